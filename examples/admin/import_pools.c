/* import_pools.c: pools and ranges that an import needs; see import_plan.h. */
#include "import_plan.h"

#include <stdio.h>
#include <string.h>

/* As ipalloc-apiserver calls them. */
static const char *cluster_pool_name(const struct import_range *range) {
    return range->is_ports                ? "node-ports"
           : range->cidr.base.family == 4 ? "services-v4"
                                          : "services-v6";
}

/* --- exported pools ----------------------------------------------------------------------------
 */

static int check_same(struct admin *admin, const struct import_pool *wanted, ipalloc_error *error) {
    struct pool_text there;
    struct json_object *lines = pool_text_of(admin, wanted->name, error);
    if (lines == NULL) {
        return error->status;
    }
    int status = pool_text_read(lines, &there, error);
    if (status == IPALLOC_OK && !pool_text_agrees(&there, &wanted->text)) {
        status = admin_refuse(
            error, IPALLOC_E_MISMATCH,
            "pool %s is there with another definition than the one to be imported", wanted->name);
    }
    pool_text_free(&there);
    json_object_put(lines);
    return status;
}

static int define_pool(struct admin *admin, const struct import_pool *wanted,
                       ipalloc_error *error) {
    ipalloc_pool_definition definition = wanted->text.definition;
    ipalloc_pool *pool = NULL;
    definition.ranges = wanted->text.range_count > 0 ? wanted->text.ranges : NULL;
    return ipalloc_pool_define(admin->registry, wanted->name, &definition, &pool, error);
}

static int ensure_pool(struct admin *admin, const struct import_pool *wanted, bool define,
                       struct import_counts *counts, ipalloc_error *error) {
    ipalloc_pool *pool = NULL;
    if (ipalloc_pool_open(admin->registry, wanted->name, &pool, NULL) == IPALLOC_OK) {
        return check_same(admin, wanted, error);
    }
    if (!define) {
        return admin_refuse(error, IPALLOC_E_NOT_FOUND,
                            "there is no pool %s; --define makes it as it was exported",
                            wanted->name);
    }
    counts->pools++;
    return define_pool(admin, wanted, error);
}

/* --- ranges ------------------------------------------------------------------------------------
 */

static bool covers(const ipalloc_pool *pool, const ipalloc_pool_range *there,
                   const struct import_range *wanted) {
    if (admin_pool_is_port(pool) != wanted->is_ports || there->draining) {
        return false;
    }
    if (wanted->is_ports) {
        return there->stats.port_first <= wanted->first && there->stats.port_last >= wanted->last;
    }
    return there->cidr.prefix_length <= wanted->cidr.prefix_length &&
           ipalloc_cidr_contains(&there->cidr, &wanted->cidr.base);
}

static bool is_covered(struct admin *admin, const struct import_range *wanted) {
    ipalloc_pool *pool = NULL;
    while (ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        ipalloc_pool_range range = {.size = sizeof range};
        for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
            if (covers(pool, &range, wanted)) {
                return true;
            }
            range = (ipalloc_pool_range){.size = sizeof range};
        }
    }
    return false;
}

static int make_range(struct admin *admin, const struct import_range *wanted,
                      ipalloc_error *error) {
    const char *name = cluster_pool_name(wanted);
    ipalloc_pool *pool = NULL;
    ipalloc_pool_definition definition = {.size = sizeof definition};
    if (ipalloc_pool_open(admin->registry, name, &pool, NULL) == IPALLOC_OK) {
        return wanted->is_ports
                   ? admin_refuse(error, IPALLOC_E_MISMATCH,
                                  "pool %s is there with other ports than %s", name, wanted->text)
                   : ipalloc_pool_add_range(pool, &wanted->cidr, error);
    }
    if (wanted->is_ports) {
        definition.kind = IPALLOC_POOL_PORT;
        definition.port_first = wanted->first;
        definition.port_last = wanted->last;
    } else {
        definition.kind = wanted->cidr.base.family;
        definition.ranges = &wanted->cidr;
        definition.range_count = 1;
    }
    return ipalloc_pool_define(admin->registry, name, &definition, &pool, error);
}

static int ensure_range(struct admin *admin, const struct import_range *wanted, bool define,
                        struct import_counts *counts, ipalloc_error *error) {
    if (is_covered(admin, wanted)) {
        return IPALLOC_OK;
    }
    if (!define) {
        return admin_refuse(error, IPALLOC_E_NOT_FOUND,
                            "no pool has the range %s; --define adds it to pool %s", wanted->text,
                            cluster_pool_name(wanted));
    }
    counts->ranges++;
    return make_range(admin, wanted, error);
}

/* --- all of them -------------------------------------------------------------------------------
 */

int import_define(struct admin *admin, const struct import_plan *plan, bool define,
                  struct import_counts *counts, ipalloc_error *error) {
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < plan->pool_count; i++) {
        status = ensure_pool(admin, &plan->pools[i], define, counts, error);
    }
    for (size_t i = 0; status == IPALLOC_OK && i < plan->range_count; i++) {
        status = ensure_range(admin, &plan->ranges[i], define, counts, error);
    }
    return status;
}

static int finish_pool(struct admin *admin, const struct import_pool *wanted,
                       ipalloc_error *error) {
    ipalloc_pool *pool = NULL;
    const struct pool_text *text = &wanted->text;
    int status = ipalloc_pool_open(admin->registry, wanted->name, &pool, error);
    for (size_t i = 0; status == IPALLOC_OK && i < text->exclusion_count; i++) {
        status =
            ipalloc_pool_exclude(pool, &text->exclusions[i][0], &text->exclusions[i][1], error);
    }
    for (size_t i = 0; status == IPALLOC_OK && i < text->range_count; i++) {
        if (text->draining[i]) {
            status = ipalloc_pool_drain_range(pool, &text->ranges[i], error);
        }
    }
    return status;
}

int import_finish_pools(struct admin *admin, const struct import_plan *plan, ipalloc_error *error) {
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < plan->pool_count; i++) {
        status = finish_pool(admin, &plan->pools[i], error);
    }
    return status;
}
