/*
 * admin_check.c: prove in place that the store and the memory agree.
 *
 * The proof reads everything once and wants the store to stand still meanwhile; beside writers it
 * is tried again for as long as the store moved while it ran.
 */
#include "admin_work.h"

#define ATTEMPTS_MAX 8

static int validate(struct admin *admin, bool *moved, ipalloc_error *error) {
    ipalloc_store_info before = {.size = sizeof before};
    ipalloc_store_info after = {.size = sizeof after};
    int status = ipalloc_store_get_info(admin->store, &before, error);
    if (status == IPALLOC_OK) {
        status = ipalloc_registry_validate(admin->registry, error);
    }
    *moved = ipalloc_store_get_info(admin->store, &after, NULL) == IPALLOC_OK &&
             after.revision != before.revision;
    return status;
}

static void count_all(struct admin *admin, struct json_object *members) {
    ipalloc_store_info info = {.size = sizeof info};
    ipalloc_pool *pool = NULL;
    int64_t pools = 0;
    uint64_t leases = 0;
    while (ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        ipalloc_pool_stats stats = {.size = sizeof stats};
        ipalloc_pool_get_stats(pool, &stats, NULL);
        leases += stats.total.used.low;
        pools++;
    }
    json_set_number(members, "pools", pools);
    json_set_number(members, "leases", (int64_t)leases);
    if (ipalloc_store_get_info(admin->store, &info, NULL) == IPALLOC_OK) {
        json_set_number(members, "revision", (int64_t)info.revision);
        json_set_number(members, "epoch", (int64_t)info.epoch);
        json_set(members, "restored", json_object_new_boolean(info.restored));
    }
}

int admin_check(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                ipalloc_error *error) {
    bool moved = true;
    int status = IPALLOC_E_CORRUPT;
    (void)arguments;
    for (unsigned i = 0; status == IPALLOC_E_CORRUPT && moved && i < ATTEMPTS_MAX; i++) {
        status = validate(admin, &moved, error);
    }
    if (status == IPALLOC_OK) {
        count_all(admin, out->members);
    }
    return status;
}
