/* admin_look.c: pools, leases, and what is known of one address or port. Changes nothing. */
#include "admin_work.h"

#include <string.h>

/* --- pools -------------------------------------------------------------------------------------
 */

static void set_band(struct json_object *value, const ipalloc_band_stats *band) {
    admin_set_count(value, "size", band->size);
    admin_set_count(value, "used", band->used);
    admin_set_count(value, "free", band->free);
    admin_set_count(value, "cooling", band->cooling);
    admin_set_count(value, "excluded", band->excluded);
}

static struct json_object *band_value(const ipalloc_band_stats *band) {
    struct json_object *value = json_object_new_object();
    set_band(value, band);
    return value;
}

/* A bound of a band or of the whole; nothing where there is none. */
static void set_bound(struct json_object *value, const char *name, const ipalloc_addr *address,
                      uint16_t port) {
    char words[IPALLOC_ADDR_TEXT];
    if (port != 0) {
        json_set_number(value, name, port);
    } else if (address->family != 0) {
        ipalloc_addr_format(address, words);
        json_set_text(value, name, words);
    }
}

static void set_bounds(struct json_object *value, const ipalloc_pool_range *range) {
    const ipalloc_range_stats *stats = &range->stats;
    set_bound(value, "first", &stats->first, stats->port_first);
    set_bound(value, "last", &stats->last, stats->port_last);
    set_bound(value, "staticFirst", &range->static_first, range->port_static_first);
    set_bound(value, "staticLast", &range->static_last, range->port_static_last);
}

static struct json_object *range_value(const ipalloc_pool *pool, const ipalloc_pool_range *range) {
    struct json_object *value = json_object_new_object();
    char words[IPALLOC_CIDR_TEXT];
    admin_range_format(pool, range, words);
    json_set_text(value, "range", words);
    json_set(value, "draining", json_object_new_boolean(range->draining));
    set_bounds(value, range);
    set_band(value, &range->stats.total);
    json_set(value, "static", band_value(&range->stats.static_band));
    json_set(value, "dynamic", band_value(&range->stats.dynamic_band));
    return value;
}

static const char *kind_name(const ipalloc_pool *pool) {
    switch (ipalloc_pool_kind_of(pool)) {
    case IPALLOC_POOL_IPV4:
        return "ipv4";
    case IPALLOC_POOL_IPV6:
        return "ipv6";
    default:
        return "port";
    }
}

static struct json_object *pool_value(ipalloc_pool *pool) {
    struct json_object *value = json_object_new_object();
    struct json_object *ranges = json_object_new_array();
    ipalloc_pool_stats stats = {.size = sizeof stats};
    ipalloc_pool_range range = {.size = sizeof range};
    json_set_text(value, "name", ipalloc_pool_name(pool));
    json_set_text(value, "type", kind_name(pool));
    if (ipalloc_pool_get_stats(pool, &stats, NULL) == IPALLOC_OK) {
        set_band(value, &stats.total);
    }
    for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
        json_object_array_add(ranges, range_value(pool, &range));
        range = (ipalloc_pool_range){.size = sizeof range};
    }
    json_set(value, "ranges", ranges);
    return value;
}

int admin_pools(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                ipalloc_error *error) {
    ipalloc_pool *pool = NULL;
    (void)arguments;
    (void)error;
    while (ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        out->item(out->context, pool_value(pool));
    }
    return IPALLOC_OK;
}

/* --- list --------------------------------------------------------------------------------------
 */

#define PROGRESS_EVERY 10000

struct listing {
    struct admin_output *out;
    const char *owner; /* whole, or up to a last '*'; NULL: anybody */
    const char *pool;  /* NULL: any */
    uint64_t seen;
};

static bool owner_matches(const char *owner, const char *wanted) {
    size_t length = strlen(wanted);
    bool prefix = length > 0 && wanted[length - 1] == '*';
    return prefix ? strncmp(owner, wanted, length - 1) == 0 : strcmp(owner, wanted) == 0;
}

static int see_lease(void *context, const ipalloc_lease *lease) {
    struct listing *listing = context;
    listing->seen++;
    if (listing->out->progress != NULL && listing->seen % PROGRESS_EVERY == 0) {
        listing->out->progress(listing->out->context, listing->seen);
    }
    if ((listing->owner == NULL || owner_matches(lease->owner, listing->owner)) &&
        (listing->pool == NULL || strcmp(lease->pool, listing->pool) == 0)) {
        listing->out->item(listing->out->context, admin_lease_value(lease));
    }
    return IPALLOC_OK;
}

int admin_list(struct admin *admin, struct json_object *arguments, struct admin_output *out,
               ipalloc_error *error) {
    struct listing listing = {.out = out};
    ipalloc_pool *pool = NULL;
    int status = IPALLOC_OK;
    if (!admin_text(arguments, "pool", &listing.pool, error) ||
        !admin_text(arguments, "owner", &listing.owner, error)) {
        return IPALLOC_E_INVALID;
    }
    if (listing.pool != NULL) {
        status = ipalloc_pool_open(admin->registry, listing.pool, &pool, error);
    }
    if (status != IPALLOC_OK) {
        return status;
    }
    /* One owner's own record is a short way to its leases. */
    bool one_owner = listing.owner != NULL && strchr(listing.owner, '*') == NULL;
    return one_owner
               ? ipalloc_owner_leases(admin->registry, listing.owner, see_lease, &listing, error)
               : ipalloc_list(admin->registry, pool, see_lease, &listing, error);
}

/* --- show --------------------------------------------------------------------------------------
 */

static bool is_usable(const ipalloc_pool_range *range, const struct admin_place *place) {
    return place->is_port || (range->stats.first.family != 0 &&
                              ipalloc_addr_compare(&place->address, &range->stats.first) >= 0 &&
                              ipalloc_addr_compare(&place->address, &range->stats.last) <= 0);
}

static bool is_same_place(const struct admin_place *place, const ipalloc_cooling *cooling) {
    return place->is_port ? cooling->port == place->port
                          : ipalloc_addr_compare(&cooling->address, &place->address) == 0;
}

/* What is looked for while walking what rests or is excluded. */
struct search {
    const struct admin_place *place;
    struct json_object *value;
    bool found;
};

static int see_cooling(void *context, const ipalloc_cooling *cooling) {
    struct search *search = context;
    if (is_same_place(search->place, cooling)) {
        search->found = true;
        json_set_text(search->value, "state", "cooling");
        json_set_text(search->value, "lastOwner", cooling->owner);
        admin_set_moment(search->value, "releasedAt", cooling->released_ms);
        admin_set_moment(search->value, "freeAt", cooling->free_at_ms);
    }
    return IPALLOC_OK;
}

static int see_excluded(void *context, const ipalloc_addr *first, const ipalloc_addr *last) {
    struct search *search = context;
    char words[IPALLOC_ADDR_TEXT];
    if (ipalloc_addr_compare(&search->place->address, first) >= 0 &&
        ipalloc_addr_compare(&search->place->address, last) <= 0) {
        search->found = true;
        json_set_text(search->value, "state", "excluded");
        ipalloc_addr_format(first, words);
        json_set_text(search->value, "excludedFirst", words);
        ipalloc_addr_format(last, words);
        json_set_text(search->value, "excludedLast", words);
    }
    return IPALLOC_OK;
}

/* Why a usable place that nobody holds may still not be given out. */
static int set_idle_state(struct admin *admin, ipalloc_pool *pool, const struct admin_place *place,
                          struct json_object *value, ipalloc_error *error) {
    struct search search = {.place = place, .value = value};
    int status = ipalloc_list_cooling(admin->registry, pool, see_cooling, &search, error);
    if (status == IPALLOC_OK && !search.found) {
        status = ipalloc_pool_list_excluded(pool, see_excluded, &search, error);
    }
    if (status == IPALLOC_OK && !search.found) {
        json_set_text(value, "state", "free");
    }
    return status;
}

/* The dynamic band is the upper one. */
static const char *band_of(const ipalloc_pool_range *range, const struct admin_place *place) {
    if (place->is_port) {
        uint16_t dynamic = range->stats.port_first_dynamic;
        return dynamic != 0 && place->port >= dynamic ? "dynamic" : "static";
    }
    const ipalloc_addr *dynamic = &range->stats.first_dynamic;
    return dynamic->family != 0 && ipalloc_addr_compare(&place->address, dynamic) >= 0 ? "dynamic"
                                                                                       : "static";
}

static struct json_object *place_value(ipalloc_pool *pool, const ipalloc_pool_range *range,
                                       const struct admin_place *place) {
    struct json_object *value = json_object_new_object();
    char words[IPALLOC_CIDR_TEXT];
    admin_range_format(pool, range, words);
    admin_set_place(value, place);
    json_set_text(value, "pool", ipalloc_pool_name(pool));
    json_set_text(value, "range", words);
    json_set(value, "draining", json_object_new_boolean(range->draining));
    return value;
}

static int show_in_pool(struct admin *admin, ipalloc_pool *pool, const struct admin_place *place,
                        struct admin_output *out, ipalloc_error *error) {
    ipalloc_pool_range range;
    ipalloc_lease lease = {.size = sizeof lease};
    if (!admin_range_of(pool, place, &range)) {
        return IPALLOC_OK;
    }
    struct json_object *value = place_value(pool, &range, place);
    bool usable = is_usable(&range, place);
    if (usable) {
        json_set_text(value, "band", band_of(&range, place));
    }
    int status = place->is_port
                     ? ipalloc_lookup_port(admin->registry, pool, place->port, &lease, error)
                     : ipalloc_lookup(admin->registry, pool, &place->address, &lease, error);
    if (status == IPALLOC_OK) {
        struct json_object *held = admin_lease_value(&lease);
        json_set_text(value, "state", "held");
        json_object_object_foreach(held, name, member) {
            json_set(value, name, json_object_get(member));
        }
        json_object_put(held);
    } else if (status == IPALLOC_E_NOT_FOUND || status == IPALLOC_E_NOT_IN_RANGE) {
        json_set_text(value, "state", "unusable");
        status = usable ? set_idle_state(admin, pool, place, value, error) : IPALLOC_OK;
    }
    if (status == IPALLOC_OK) {
        out->item(out->context, value);
    } else {
        json_object_put(value);
    }
    return status;
}

int admin_show(struct admin *admin, struct json_object *arguments, struct admin_output *out,
               ipalloc_error *error) {
    const char *words = NULL;
    const char *name = NULL;
    struct admin_place place;
    ipalloc_pool *pool = NULL;
    if (!admin_needed_text(arguments, "place", &words, error) ||
        !admin_text(arguments, "pool", &name, error)) {
        return IPALLOC_E_INVALID;
    }
    int status = admin_place_parse(words, strlen(words), &place, error);
    if (status != IPALLOC_OK) {
        return status;
    }
    /* A port may be in several pools: each says what it knows. */
    status = admin_find_pool(admin, name, &place, &pool, error);
    if (status == IPALLOC_OK) {
        return show_in_pool(admin, pool, &place, out, error);
    }
    if (status != IPALLOC_E_INVALID) {
        return status;
    }
    status = IPALLOC_OK;
    pool = NULL;
    while (status == IPALLOC_OK && ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        status = show_in_pool(admin, pool, &place, out, error);
    }
    return status;
}
