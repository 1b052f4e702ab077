/* serving_ranges.c: see serving_ranges.h. */
#include "serving_ranges.h"

#include "text.h"

#include <stdlib.h>

#define ATTEMPTS_MAX 4 /* of setting ranges, while addresses are just being given */

static bool holds_something(const ipalloc_pool_range *range) {
    ipalloc_count used = range->stats.total.used;
    return used.low > 0 || used.high > 0;
}

/* What the pool has beyond `serving` and somebody holds something in. */
static void gather_rest(ipalloc_pool *pool, const struct service_cidr_list *serving,
                        struct service_cidr_list *rest) {
    ipalloc_pool_range range = {.size = sizeof range};
    for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
        if (holds_something(&range)) {
            service_cidr_list_add_rest(rest, &range.cidr, serving);
        }
    }
}

static int set_ranges(ipalloc_pool *pool, const struct service_cidr_list *serving,
                      ipalloc_error *error) {
    struct service_cidr_list rest = {0};
    gather_rest(pool, serving, &rest);
    size_t count = serving->count + rest.count;
    ipalloc_pool_range_spec *specs = memory_allocate((count + 1) * sizeof *specs);
    for (size_t i = 0; i < count; i++) {
        bool draining = i >= serving->count;
        specs[i] = (ipalloc_pool_range_spec){.cidr = draining ? rest.cidrs[i - serving->count]
                                                              : serving->cidrs[i],
                                             .draining = draining};
    }
    int status = ipalloc_pool_set_ranges(pool, specs, count, error);
    free(specs);
    service_cidr_list_free(&rest);
    return status;
}

/* TAKEN: something was given between our look and the change; CONFLICT: much is going on. */
int serving_ranges_set(ipalloc_pool *pool, const struct service_cidr_list *serving,
                       ipalloc_error *error) {
    int status = IPALLOC_E_TAKEN;
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        status = set_ranges(pool, serving, error);
        if (status != IPALLOC_E_TAKEN && status != IPALLOC_E_CONFLICT) {
            break;
        }
    }
    /* What has just become empty goes, and the lonely ends that nobody holds any more. */
    return status == IPALLOC_OK ? set_ranges(pool, serving, error) : status;
}
