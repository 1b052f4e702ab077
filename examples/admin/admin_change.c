/*
 * admin_change.c: allocate, reserve, release, exclude, include, accept, backup.
 *
 * Every change is one transaction or one definition change of the library: what it refuses, for
 * instance a release by somebody who is not the owner, is refused here too.
 */
#include "service_records.h"
#include "space.h"

#include <stdio.h>
#include <string.h>

/* --- grants ------------------------------------------------------------------------------------
 */

struct granting {
    ipalloc_pool *pool;
    const char *owner;
    const char *slot;
    const struct admin_place *place; /* NULL: any */
    bool dry_run;
    ipalloc_grant grant;
};

static int grant_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct granting *granting = context;
    ipalloc_pool *pool = granting->pool;
    ipalloc_grant *grant = &granting->grant;
    const struct admin_place *place = granting->place;
    *grant = (ipalloc_grant){.size = sizeof *grant};
    if (place == NULL) {
        return admin_pool_is_port(pool)
                   ? ipalloc_txn_allocate_port(txn, pool, granting->slot, grant, error)
                   : ipalloc_txn_allocate(txn, pool, granting->slot, grant, error);
    }
    return place->is_port
               ? ipalloc_txn_reserve_port(txn, pool, granting->slot, place->port, grant, error)
               : ipalloc_txn_reserve(txn, pool, granting->slot, &place->address, grant, error);
}

static void describe_grant(const struct granting *granting, struct json_object *value) {
    struct admin_place place = {.is_port = admin_pool_is_port(granting->pool),
                                .address = granting->grant.address,
                                .port = granting->grant.port};
    ipalloc_addr_format(&place.address, place.text);
    json_set_text(value, "pool", ipalloc_pool_name(granting->pool));
    admin_set_place(value, &place);
    json_set_text(value, "owner", granting->owner);
    json_set_text(value, "slot", granting->slot);
    if (!granting->dry_run) {
        json_set_number(value, "generation", (int64_t)granting->grant.generation);
    }
    json_set(value, "existing", json_object_new_boolean(granting->grant.existing));
    json_set(value, "dryRun", json_object_new_boolean(granting->dry_run));
}

static bool read_grant(struct json_object *arguments, struct granting *granting,
                       ipalloc_error *error) {
    return admin_needed_text(arguments, "owner", &granting->owner, error) &&
           admin_needed_text(arguments, "slot", &granting->slot, error) &&
           admin_truth(arguments, "dryRun", &granting->dry_run, error);
}

static int run_grant(struct admin *admin, struct granting *granting, struct admin_output *out,
                     ipalloc_error *error) {
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = granting->owner, .dry_run = granting->dry_run};
    int status = ipalloc_transact(admin->registry, &options, grant_body, granting, NULL, error);
    if (status == IPALLOC_OK) {
        describe_grant(granting, out->members);
    }
    return status;
}

int admin_allocate(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                   ipalloc_error *error) {
    struct granting granting = {0};
    const char *name = NULL;
    if (!admin_needed_text(arguments, "pool", &name, error) ||
        !read_grant(arguments, &granting, error)) {
        return IPALLOC_E_INVALID;
    }
    int status = ipalloc_pool_open(admin->registry, name, &granting.pool, error);
    return status == IPALLOC_OK ? run_grant(admin, &granting, out, error) : status;
}

int admin_reserve(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                  ipalloc_error *error) {
    struct granting granting = {0};
    struct admin_place place;
    const char *words = NULL;
    const char *name = NULL;
    if (!admin_needed_text(arguments, "place", &words, error) ||
        !admin_text(arguments, "pool", &name, error) || !read_grant(arguments, &granting, error)) {
        return IPALLOC_E_INVALID;
    }
    int status = admin_place_parse(words, strlen(words), &place, error);
    if (status == IPALLOC_OK) {
        status = admin_find_pool(admin, name, &place, &granting.pool, error);
    }
    granting.place = &place;
    return status == IPALLOC_OK ? run_grant(admin, &granting, out, error) : status;
}

/* --- release -----------------------------------------------------------------------------------
 */

struct releasing {
    struct admin *admin;
    const char *owner;
    uint64_t generation;
    bool dry_run;
    struct json_object *leases; /* what goes */
};

static int note_lease(void *context, const ipalloc_lease *lease) {
    struct releasing *releasing = context;
    struct json_object *value = admin_lease_value(lease);
    json_set(value, "dryRun", json_object_new_boolean(releasing->dry_run));
    json_object_array_add(releasing->leases, value);
    return IPALLOC_OK;
}

static int find_lease(struct releasing *releasing, ipalloc_pool *pool,
                      const struct admin_place *place, ipalloc_lease *lease, ipalloc_error *error) {
    ipalloc_registry *registry = releasing->admin->registry;
    *lease = (ipalloc_lease){.size = sizeof *lease};
    return place->is_port ? ipalloc_lookup_port(registry, pool, place->port, lease, error)
                          : ipalloc_lookup(registry, pool, &place->address, lease, error);
}

struct release_one {
    ipalloc_pool *pool;
    const struct admin_place *place;
    uint64_t generation;
};

static int release_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const struct release_one *one = context;
    return one->place->is_port
               ? ipalloc_txn_release_port(txn, one->pool, one->place->port, one->generation, error)
               : ipalloc_txn_release(txn, one->pool, &one->place->address, one->generation, error);
}

static int release_place(struct releasing *releasing, const char *words, const char *name,
                         ipalloc_error *error) {
    struct admin_place place;
    ipalloc_pool *pool = NULL;
    ipalloc_lease lease;
    int status = admin_place_parse(words, strlen(words), &place, error);
    if (status == IPALLOC_OK) {
        status = admin_find_pool(releasing->admin, name, &place, &pool, error);
    }
    if (status != IPALLOC_OK) {
        return status;
    }
    status = find_lease(releasing, pool, &place, &lease, error);
    if (status != IPALLOC_OK && status != IPALLOC_E_NOT_FOUND) {
        return status;
    }
    if (status == IPALLOC_OK && strcmp(lease.owner, releasing->owner) == 0) {
        note_lease(releasing, &lease);
        status = service_still_lists(releasing->admin, releasing->owner, &place, error);
    } else {
        status = IPALLOC_OK; /* free already, or the release below says whose it is */
    }
    if (status != IPALLOC_OK) {
        return status;
    }
    struct release_one one = {.pool = pool, .place = &place, .generation = releasing->generation};
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = releasing->owner, .dry_run = releasing->dry_run};
    return ipalloc_transact(releasing->admin->registry, &options, release_body, &one, NULL, error);
}

static int release_all(struct releasing *releasing, ipalloc_error *error) {
    ipalloc_registry *registry = releasing->admin->registry;
    int status = service_still_lists(releasing->admin, releasing->owner, NULL, error);
    if (status == IPALLOC_OK) {
        status = ipalloc_owner_leases(registry, releasing->owner, note_lease, releasing, error);
    }
    if (status != IPALLOC_OK || releasing->dry_run) {
        return status;
    }
    return ipalloc_release_owner(registry, releasing->owner, NULL, error);
}

static int release(struct releasing *releasing, struct json_object *arguments,
                   ipalloc_error *error) {
    const char *words = NULL;
    const char *name = NULL;
    bool all = false;
    if (!admin_text(arguments, "place", &words, error) ||
        !admin_text(arguments, "pool", &name, error) ||
        !admin_truth(arguments, "all", &all, error)) {
        return IPALLOC_E_INVALID;
    }
    if (all == (words != NULL)) {
        return admin_refuse(error, IPALLOC_E_INVALID,
                            "release takes either one address or port, or all that the owner "
                            "holds");
    }
    return all ? release_all(releasing, error) : release_place(releasing, words, name, error);
}

int admin_release(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                  ipalloc_error *error) {
    struct releasing releasing = {.admin = admin};
    if (!admin_needed_text(arguments, "owner", &releasing.owner, error) ||
        !admin_number(arguments, "generation", 0, UINT64_C(1) << 53, &releasing.generation,
                      error) ||
        !admin_truth(arguments, "dryRun", &releasing.dry_run, error)) {
        return IPALLOC_E_INVALID;
    }
    releasing.leases = json_object_new_array();
    int status = release(&releasing, arguments, error);
    for (size_t i = 0; status == IPALLOC_OK && i < json_length(releasing.leases); i++) {
        out->item(out->context, json_object_get(json_object_array_get_idx(releasing.leases, i)));
    }
    json_object_put(releasing.leases);
    return status;
}

/* --- exclusions --------------------------------------------------------------------------------
 */

/* "10.96.0.5", "10.96.0.5-10.96.0.9" or "10.96.0.8/29". */
static int parse_stretch(const char *words, ipalloc_addr *first, ipalloc_addr *last,
                         ipalloc_error *error) {
    const char *dash = strchr(words, '-');
    ipalloc_cidr cidr;
    if (strchr(words, '/') != NULL) {
        int status = ipalloc_cidr_parse(words, strlen(words), &cidr, error);
        if (status != IPALLOC_OK) {
            return status;
        }
        *first = cidr.base;
        *last = cidr_last(&cidr);
        return IPALLOC_OK;
    }
    size_t length = dash != NULL ? (size_t)(dash - words) : strlen(words);
    int status = ipalloc_addr_parse(words, length, first, error);
    *last = *first;
    if (status == IPALLOC_OK && dash != NULL) {
        status = ipalloc_addr_parse(dash + 1, strlen(dash + 1), last, error);
    }
    return status;
}

/* The ends of a range are never given out, and cannot be excluded: a CIDR that has them stands for
 * the rest of it. */
static void leave_out_ends(ipalloc_pool *pool, struct admin_place *first,
                           struct admin_place *last) {
    ipalloc_pool_range range;
    if (!admin_range_of(pool, first, &range) ||
        !ipalloc_cidr_contains(&range.cidr, &last->address) || range.stats.first.family == 0) {
        return;
    }
    if (ipalloc_addr_compare(&first->address, &range.stats.first) < 0) {
        first->address = range.stats.first;
    }
    if (ipalloc_addr_compare(&last->address, &range.stats.last) > 0) {
        last->address = range.stats.last;
    }
    ipalloc_addr_format(&first->address, first->text);
    ipalloc_addr_format(&last->address, last->text);
}

struct holders {
    const ipalloc_addr *first, *last;
    ipalloc_error *error;
};

static int refuse_held(void *context, const ipalloc_lease *lease) {
    const struct holders *holders = context;
    if (ipalloc_addr_compare(&lease->address, holders->first) < 0 ||
        ipalloc_addr_compare(&lease->address, holders->last) > 0) {
        return IPALLOC_OK;
    }
    struct admin_place place = admin_place_of_lease(lease);
    return admin_refuse(holders->error, IPALLOC_E_TAKEN, "%s is held by %s", place.text,
                        lease->owner);
}

static int set_exclusion(struct admin *admin, struct json_object *arguments, bool exclude,
                         struct admin_output *out, ipalloc_error *error) {
    const char *words = NULL;
    const char *name = NULL;
    bool dry_run = false;
    struct admin_place first = {0};
    struct admin_place last = {0};
    ipalloc_pool *pool = NULL;
    if (!admin_needed_text(arguments, "what", &words, error) ||
        !admin_text(arguments, "pool", &name, error) ||
        !admin_truth(arguments, "dryRun", &dry_run, error)) {
        return IPALLOC_E_INVALID;
    }
    if (words[strspn(words, "0123456789-")] == '\0') {
        return admin_refuse(error, IPALLOC_E_INVALID,
                            "\"%s\": addresses can be excluded, ports cannot", words);
    }
    int status = parse_stretch(words, &first.address, &last.address, error);
    if (status != IPALLOC_OK) {
        return status;
    }
    ipalloc_addr_format(&first.address, first.text);
    ipalloc_addr_format(&last.address, last.text);
    status = admin_find_pool(admin, name, &first, &pool, error);
    if (status == IPALLOC_OK && strchr(words, '/') != NULL) {
        leave_out_ends(pool, &first, &last);
    }
    if (status == IPALLOC_OK && dry_run && exclude) {
        struct holders holders = {&first.address, &last.address, error};
        status = ipalloc_list(admin->registry, pool, refuse_held, &holders, error);
    } else if (status == IPALLOC_OK && !dry_run) {
        status = exclude ? ipalloc_pool_exclude(pool, &first.address, &last.address, error)
                         : ipalloc_pool_include(pool, &first.address, &last.address, error);
    }
    if (status == IPALLOC_OK) {
        json_set_text(out->members, "pool", ipalloc_pool_name(pool));
        json_set_text(out->members, "first", first.text);
        json_set_text(out->members, "last", last.text);
        json_set(out->members, "excluded", json_object_new_boolean(exclude));
        json_set(out->members, "dryRun", json_object_new_boolean(dry_run));
    }
    return status;
}

int admin_exclude(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                  ipalloc_error *error) {
    return set_exclusion(admin, arguments, true, out, error);
}

int admin_include(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                  ipalloc_error *error) {
    return set_exclusion(admin, arguments, false, out, error);
}

/* --- the store as a whole ----------------------------------------------------------------------
 */

int admin_backup(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                 ipalloc_error *error) {
    const char *path = NULL;
    if (!admin_needed_text(arguments, "path", &path, error)) {
        return IPALLOC_E_INVALID;
    }
    int status = ipalloc_store_backup(admin->store, path, error);
    if (status == IPALLOC_OK) {
        json_set_text(out->members, "path", path);
    }
    return status;
}

int admin_accept(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                 ipalloc_error *error) {
    ipalloc_store_info info = {.size = sizeof info};
    bool dry_run = false;
    if (!admin_truth(arguments, "dryRun", &dry_run, error)) {
        return IPALLOC_E_INVALID;
    }
    int status = ipalloc_store_get_info(admin->store, &info, error);
    if (status == IPALLOC_OK && !dry_run) {
        status = ipalloc_store_accept(admin->store, error);
    }
    if (status == IPALLOC_OK) {
        json_set(out->members, "restored", json_object_new_boolean(info.restored));
        json_set_number(out->members, "epoch", (int64_t)info.epoch);
        json_set(out->members, "dryRun", json_object_new_boolean(dry_run));
    }
    return status;
}
