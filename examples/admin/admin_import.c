/*
 * admin_import.c: carrying out a plan: first in memory, then as a dry-run, then for good.
 *
 * Nothing is written unless all of it was found possible. Each owner's leases are a transaction (or
 * several, beyond IPALLOC_TXN_ADDRESSES_MAX), so an import that is cut off has done a part; doing
 * it again does the rest.
 */
#include "import_plan.h"

#include <string.h>

/* A pool of the store, without its leases, in a registry in memory. */
static int copy_pool(struct admin *admin, struct admin *trial, const char *name,
                     ipalloc_error *error) {
    struct pool_text text = {0};
    ipalloc_pool *pool = NULL;
    struct json_object *lines = pool_text_of(admin, name, error);
    if (lines == NULL) {
        return error->status;
    }
    int status = pool_text_read(lines, &text, error);
    bool empty = text.range_count == 0 && text.definition.kind != IPALLOC_POOL_PORT;
    if (status == IPALLOC_OK && !empty) {
        status = ipalloc_pool_define(trial->registry, name, &text.definition, &pool, error);
    }
    pool_text_free(&text);
    json_object_put(lines);
    return status;
}

static int try_in_memory(struct admin *admin, struct admin *trial, struct import_plan *plan,
                         bool define, struct import_counts *counts, struct admin_output *out,
                         ipalloc_error *error) {
    struct import_counts ignored = {0};
    ipalloc_pool *pool = NULL;
    int status = IPALLOC_OK;
    while (status == IPALLOC_OK && ipalloc_pool_next(admin->registry, &pool) == IPALLOC_OK) {
        status = copy_pool(admin, trial, ipalloc_pool_name(pool), error);
    }
    if (status == IPALLOC_OK) {
        status = import_define(trial, plan, define, counts, error);
    }
    if (status == IPALLOC_OK) {
        struct admin_output silent = *out;
        silent.progress = NULL;
        status = import_give(trial, plan, false, &ignored, &silent, error);
    }
    if (status == IPALLOC_OK) {
        status = import_finish_pools(trial, plan, error);
    }
    return status;
}

/* What contradicts itself in the plan, or cannot be in its pools, is found where nothing counts. */
static int try_plan(struct admin *admin, struct import_plan *plan, bool define,
                    struct import_counts *counts, struct admin_output *out, ipalloc_error *error) {
    struct admin trial = {0};
    int status = ipalloc_store_open("memory:", NULL, &trial.store, error);
    if (status == IPALLOC_OK) {
        status = ipalloc_registry_open(trial.store, NULL, &trial.registry, error);
    }
    if (status == IPALLOC_OK) {
        status = try_in_memory(admin, &trial, plan, define, counts, out, error);
    }
    ipalloc_registry_close(trial.registry);
    ipalloc_store_close(trial.store);
    return status;
}

/* Pools that are there already must be as they were exported. */
static int check_pools(struct admin *admin, const struct import_plan *plan, ipalloc_error *error) {
    for (size_t i = 0; i < plan->pool_count; i++) {
        struct import_plan one = {.pools = &plan->pools[i], .pool_count = 1};
        struct import_counts ignored = {0};
        int status = import_define(admin, &one, false, &ignored, error);
        if (status != IPALLOC_OK && status != IPALLOC_E_NOT_FOUND) {
            return status;
        }
    }
    return IPALLOC_OK;
}

static int carry_out(struct admin *admin, struct import_plan *plan, bool define,
                     struct import_counts *counts, struct admin_output *out, ipalloc_error *error) {
    *counts = (struct import_counts){0};
    int status = import_define(admin, plan, define, counts, error);
    if (status == IPALLOC_OK) {
        status = import_give(admin, plan, false, counts, out, error);
    }
    if (status == IPALLOC_OK) {
        status = import_records(admin, plan, false, counts, error);
    }
    return status == IPALLOC_OK ? import_finish_pools(admin, plan, error) : status;
}

static int import_plan_run(struct admin *admin, struct import_plan *plan, bool define, bool dry_run,
                           struct admin_output *out, ipalloc_error *error) {
    struct import_counts counts = {0};
    int status = check_pools(admin, plan, error);
    if (status == IPALLOC_OK) {
        status = try_plan(admin, plan, define, &counts, out, error);
    }
    if (status == IPALLOC_OK) {
        status = import_give(admin, plan, true, &counts, out, error);
    }
    if (status == IPALLOC_OK) {
        status = import_records(admin, plan, true, &counts, error);
    }
    if (status == IPALLOC_OK && !dry_run) {
        status = carry_out(admin, plan, define, &counts, out, error);
    }
    json_set_number(out->members, "pools", (int64_t)counts.pools);
    json_set_number(out->members, "ranges", (int64_t)counts.ranges);
    json_set_number(out->members, "given", (int64_t)counts.given);
    json_set_number(out->members, "existing", (int64_t)counts.existing);
    json_set_number(out->members, "records", (int64_t)counts.records);
    json_set(out->members, "dryRun", json_object_new_boolean(dry_run));
    return status;
}

int admin_import(struct admin *admin, struct json_object *arguments, struct admin_output *out,
                 ipalloc_error *error) {
    struct json_object *items = json_member(arguments, "items");
    struct import_plan plan = {0};
    bool define = false;
    bool dry_run = false;
    if (!admin_truth(arguments, "define", &define, error) ||
        !admin_truth(arguments, "dryRun", &dry_run, error)) {
        return IPALLOC_E_INVALID;
    }
    if (!json_object_is_type(items, json_type_array)) {
        return admin_refuse(error, IPALLOC_E_INVALID, "items: what is to be imported, as a list");
    }
    int status = import_plan_read(items, &plan, error);
    if (status == IPALLOC_OK) {
        status = import_plan_run(admin, &plan, define, dry_run, out, error);
    }
    import_plan_free(&plan);
    return status;
}
