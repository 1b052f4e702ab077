/*
 * admin_map.c: what a drawing of a range needs: the range cut into cells of equal size, and in each
 * cell how much is held, cools or is excluded.
 *
 * A cell is one address as long as the cells suffice, else 2^n of them. Cells with nothing in them
 * are left out. Cost: a walk over the leases of the pool, whatever the range's size.
 */
#include "space.h"

#include <stdlib.h>
#include <string.h>

#define CELLS_MIN     16
#define CELLS_MAX     65536
#define CELLS_DEFAULT 4096

struct cell {
    uint64_t held;
    uint64_t cooling;
    wide excluded; /* held ones among them not counted */
};

struct window {
    ipalloc_pool *pool;
    const ipalloc_pool_range *range;
    char name[IPALLOC_CIDR_TEXT];
    wide first, last; /* all of it, usable or not */
    unsigned shift;   /* a cell has 2^shift places */
    size_t cell_count;
    struct cell *cells;
    bool whole; /* of its range */
};

static bool is_inside(const struct window *window, wide number) {
    return number >= window->first && number <= window->last;
}

static struct cell *cell_of(const struct window *window, wide number) {
    return &window->cells[(size_t)((number - window->first) >> window->shift)];
}

/* --- filling the cells -------------------------------------------------------------------------
 */

static int see_excluded(void *context, const ipalloc_addr *first, const ipalloc_addr *last) {
    const struct window *window = context;
    wide from = wide_of_address(first);
    wide to = wide_of_address(last);
    if (first->family != window->range->cidr.base.family || to < window->first ||
        from > window->last) {
        return IPALLOC_OK;
    }
    from = from < window->first ? window->first : from;
    to = to > window->last ? window->last : to;
    while (from <= to) {
        wide end =
            window->first + ((((from - window->first) >> window->shift) + 1) << window->shift) - 1;
        end = end > to ? to : end;
        cell_of(window, from)->excluded += end - from + 1;
        if (end == to) {
            break;
        }
        from = end + 1;
    }
    return IPALLOC_OK;
}

static int see_held(void *context, const ipalloc_lease *lease) {
    const struct window *window = context;
    struct admin_place place = admin_place_of_lease(lease);
    wide number = wide_of_place(&place);
    if (is_inside(window, number)) {
        cell_of(window, number)->held++;
    }
    return IPALLOC_OK;
}

static int see_cooling(void *context, const ipalloc_cooling *cooling) {
    const struct window *window = context;
    struct admin_place place = {.is_port = cooling->address.family == 0,
                                .address = cooling->address,
                                .port = cooling->port};
    wide number = wide_of_place(&place);
    if (is_inside(window, number)) {
        cell_of(window, number)->cooling++;
    }
    return IPALLOC_OK;
}

/* --- describing --------------------------------------------------------------------------------
 */

static void set_bound(struct json_object *value, const char *name, const ipalloc_addr *address,
                      uint16_t port) {
    struct admin_place place = {.address = *address};
    if (port != 0) {
        json_set_number(value, name, port);
    } else if (address->family != 0) {
        ipalloc_addr_format(address, place.text);
        json_set_text(value, name, place.text);
    }
}

static void set_counts(struct json_object *value, const struct window *window) {
    const ipalloc_band_stats *total = &window->range->stats.total;
    wide held = 0;
    wide cooling = 0;
    wide excluded = 0;
    for (size_t i = 0; i < window->cell_count; i++) {
        held += window->cells[i].held;
        cooling += window->cells[i].cooling;
        excluded += window->cells[i].excluded;
    }
    if (window->whole) {
        admin_set_count(value, "size", total->size);
        admin_set_count(value, "free", total->free);
    }
    admin_set_count(value, "held", count_of_wide(held));
    admin_set_count(value, "cooling", count_of_wide(cooling));
    admin_set_count(value, "excluded", window->whole ? total->excluded : count_of_wide(excluded));
}

static void add_cells(struct json_object *value, const struct window *window) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < window->cell_count; i++) {
        const struct cell *cell = &window->cells[i];
        if (cell->held == 0 && cell->cooling == 0 && cell->excluded == 0) {
            continue;
        }
        struct json_object *entry = json_object_new_object();
        json_set_number(entry, "cell", (int64_t)i);
        json_set_number(entry, "held", (int64_t)cell->held);
        json_set_number(entry, "cooling", (int64_t)cell->cooling);
        admin_set_count(entry, "excluded", count_of_wide(cell->excluded));
        json_object_array_add(list, entry);
    }
    json_set(value, "cells", list);
}

static struct json_object *window_value(const struct window *window) {
    struct json_object *value = json_object_new_object();
    const ipalloc_pool_range *range = window->range;
    json_set_text(value, "pool", ipalloc_pool_name(window->pool));
    json_set_text(value, "range", window->name);
    json_set(value, "draining", json_object_new_boolean(range->draining));
    if (admin_pool_is_port(window->pool)) {
        json_set_number(value, "base", (int64_t)window->first);
    } else {
        ipalloc_addr base = address_of_wide(range->cidr.base.family, window->first);
        set_bound(value, "base", &base, 0);
    }
    set_bound(value, "first", &range->stats.first, range->stats.port_first);
    set_bound(value, "last", &range->stats.last, range->stats.port_last);
    set_bound(value, "staticFirst", &range->static_first, range->port_static_first);
    set_bound(value, "staticLast", &range->static_last, range->port_static_last);
    set_counts(value, window);
    admin_set_count(value, "places", count_of_wide(window->last - window->first + 1));
    admin_set_count(value, "placesPerCell", count_of_wide((wide)1 << window->shift));
    json_set_number(value, "cellCount", (int64_t)window->cell_count);
    add_cells(value, window);
    return value;
}

static int draw_window(struct admin *admin, struct window *window, uint64_t cells_max,
                       struct admin_output *out, ipalloc_error *error) {
    wide places_less_one = window->last - window->first;
    while ((places_less_one >> window->shift) >= cells_max) {
        window->shift++;
    }
    window->cell_count = (size_t)(places_less_one >> window->shift) + 1;
    window->cells = memory_allocate(window->cell_count * sizeof *window->cells);
    int status = ipalloc_pool_list_excluded(window->pool, see_excluded, window, error);
    if (status == IPALLOC_OK) {
        status = ipalloc_list(admin->registry, window->pool, see_held, window, error);
    }
    if (status == IPALLOC_OK) {
        status = ipalloc_list_cooling(admin->registry, window->pool, see_cooling, window, error);
    }
    if (status == IPALLOC_OK) {
        out->item(out->context, window_value(window));
    }
    free(window->cells);
    return status;
}

/* --- what is asked for -------------------------------------------------------------------------
 */

static int draw_range(struct admin *admin, ipalloc_pool *pool, const ipalloc_pool_range *range,
                      uint64_t cells_max, struct admin_output *out, ipalloc_error *error) {
    struct window window = {.pool = pool, .range = range, .whole = true};
    admin_range_format(pool, range, window.name);
    if (admin_pool_is_port(pool)) {
        window.first = range->stats.port_first;
        window.last = range->stats.port_last;
    } else {
        ipalloc_addr last = cidr_last(&range->cidr);
        window.first = wide_of_address(&range->cidr.base);
        window.last = wide_of_address(&last);
    }
    return draw_window(admin, &window, cells_max, out, error);
}

static int draw_pool(struct admin *admin, ipalloc_pool *pool, uint64_t cells_max,
                     struct admin_output *out, ipalloc_error *error) {
    int status = IPALLOC_OK;
    ipalloc_pool_range range = {.size = sizeof range};
    for (size_t i = 0;
         status == IPALLOC_OK && ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
        status = draw_range(admin, pool, &range, cells_max, out, error);
        range = (ipalloc_pool_range){.size = sizeof range};
    }
    return status;
}

/* A part of a range, or a CIDR that ranges lie in. */
static int draw_cidr(struct admin *admin, const ipalloc_cidr *cidr, uint64_t cells_max,
                     struct admin_output *out, ipalloc_error *error) {
    ipalloc_pool *pool = NULL;
    bool drawn = false;
    int status = IPALLOC_OK;
    while (status == IPALLOC_OK && ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        ipalloc_pool_range range = {.size = sizeof range};
        for (size_t i = 0; status == IPALLOC_OK && !admin_pool_is_port(pool) &&
                           ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK;
             i++) {
            bool overlaps = ipalloc_cidr_overlaps(cidr, &range.cidr);
            drawn = drawn || overlaps;
            if (overlaps && cidr->prefix_length <= range.cidr.prefix_length) {
                status = draw_range(admin, pool, &range, cells_max, out, error);
            } else if (overlaps) {
                ipalloc_addr last = cidr_last(cidr);
                struct window window = {.pool = pool, .range = &range};
                ipalloc_cidr_format(cidr, window.name);
                window.first = wide_of_address(&cidr->base);
                window.last = wide_of_address(&last);
                status = draw_window(admin, &window, cells_max, out, error);
            }
            range = (ipalloc_pool_range){.size = sizeof range};
        }
    }
    if (status == IPALLOC_OK && !drawn) {
        struct admin_place place = {.address = cidr->base};
        ipalloc_pool *none = NULL;
        ipalloc_cidr_format(cidr, place.text);
        status = admin_find_pool(admin, NULL, &place, &none, error);
    }
    return status;
}

int admin_map(struct admin *admin, struct json_object *arguments, struct admin_output *out,
              ipalloc_error *error) {
    const char *what = NULL;
    uint64_t cells_max = 0;
    ipalloc_pool *pool = NULL;
    ipalloc_cidr cidr;
    if (!admin_needed_text(arguments, "what", &what, error) ||
        !admin_number(arguments, "cells", CELLS_DEFAULT, CELLS_MAX, &cells_max, error)) {
        return IPALLOC_E_INVALID;
    }
    cells_max = cells_max < CELLS_MIN ? CELLS_MIN : cells_max;
    if (strchr(what, '/') != NULL) {
        int status = ipalloc_cidr_parse(what, strlen(what), &cidr, error);
        return status == IPALLOC_OK ? draw_cidr(admin, &cidr, cells_max, out, error) : status;
    }
    int status = ipalloc_pool_open(admin->registry, what, &pool, error);
    return status == IPALLOC_OK ? draw_pool(admin, pool, cells_max, out, error) : status;
}
