/* import_give.c: leases and records of an import, transaction by transaction; see import_plan.h. */
#include "import_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one owner ---------------------------------------------------------------------------------
 */

/* Wants of one owner that fit one transaction. */
struct group {
    struct admin *admin;
    const struct import_want *wants;
    size_t count;
    ipalloc_pool *pools[IPALLOC_TXN_ADDRESSES_MAX]; /* NULL: nothing to do for it */
    bool held[IPALLOC_TXN_ADDRESSES_MAX];           /* it is there already */
    uint64_t given, existing;                       /* by the last run of the body */
};

static int reserve_slot(ipalloc_txn *txn, ipalloc_pool *pool, const struct import_want *want,
                        const char *slot, bool *existing, ipalloc_error *error) {
    ipalloc_grant grant = {.size = sizeof grant};
    int status = want->place.is_port
                     ? ipalloc_txn_reserve_port(txn, pool, slot, want->place.port, &grant, error)
                     : ipalloc_txn_reserve(txn, pool, slot, &want->place.address, &grant, error);
    *existing = *existing && grant.existing;
    return status;
}

/* What was to be given, and to whom, before why it was not. */
static void say_what_for(const struct import_want *want, int status, ipalloc_error *error) {
    char why[sizeof error->message];
    memcpy(why, error->message, sizeof why);
    admin_refuse(error, status, "%s for %.200s: %s", want->place.text, want->owner, why);
}

static int give_group(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct group *group = context;
    int status = IPALLOC_OK;
    group->given = group->existing = 0;
    for (size_t i = 0; status == IPALLOC_OK && i < group->count; i++) {
        const struct import_want *want = &group->wants[i];
        bool existing = group->pools[i] != NULL || group->held[i];
        for (size_t j = 0; status == IPALLOC_OK && group->pools[i] != NULL && j < want->slot_count;
             j++) {
            status = reserve_slot(txn, group->pools[i], want, want->slots[j], &existing, error);
        }
        if (status != IPALLOC_OK) {
            say_what_for(want, status, error);
            return status;
        }
        group->held[i] = existing;
        group->given += existing ? 0 : 1;
        group->existing += existing ? 1 : 0;
    }
    return status;
}

/* Somebody holds it who may keep it. */
static int is_held_as_well(struct admin *admin, ipalloc_pool *pool, const struct import_want *want,
                           bool *held, ipalloc_error *error) {
    ipalloc_lease lease = {.size = sizeof lease};
    *held = false;
    if (!want->taken && want->as_good == NULL) {
        return IPALLOC_OK;
    }
    int status = want->place.is_port
                     ? ipalloc_lookup_port(admin->registry, pool, want->place.port, &lease, error)
                     : ipalloc_lookup(admin->registry, pool, &want->place.address, &lease, error);
    if (status == IPALLOC_E_NOT_FOUND) {
        return IPALLOC_OK;
    }
    *held = status == IPALLOC_OK && (want->taken || text_starts_with(lease.owner, want->as_good));
    return status;
}

/* The pool of a want, or NULL where there is nothing to do. */
static int find_pool(struct admin *admin, const struct import_want *want, bool dry_run,
                     ipalloc_pool **out, bool *held, ipalloc_error *error) {
    ipalloc_pool *pool = NULL;
    int status = admin_find_pool(admin, want->pool[0] != '\0' ? want->pool : NULL, &want->place,
                                 &pool, error);
    *out = NULL;
    if (dry_run && (status == IPALLOC_E_NOT_FOUND || status == IPALLOC_E_NOT_IN_RANGE)) {
        *held = want->held_before; /* its pool will be made; the trial in memory has it */
        return IPALLOC_OK;
    }
    if (status == IPALLOC_OK) {
        status = is_held_as_well(admin, pool, want, held, error);
    }
    *out = *held ? NULL : pool;
    return status;
}

/* As many of the next wants as have one owner and fit a transaction. */
static size_t group_size(const struct import_plan *plan, size_t first) {
    const struct import_want *wants = &plan->wants[first];
    size_t slots = 0;
    size_t count = 0;
    while (first + count < plan->want_count && strcmp(wants[count].owner, wants[0].owner) == 0 &&
           slots + wants[count].slot_count <= IPALLOC_TXN_ADDRESSES_MAX) {
        slots += wants[count++].slot_count;
    }
    return count;
}

int import_give(struct admin *admin, struct import_plan *plan, bool dry_run,
                struct import_counts *counts, struct admin_output *out, ipalloc_error *error) {
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < plan->want_count;) {
        struct group group = {.admin = admin, .wants = &plan->wants[i]};
        ipalloc_txn_options options = {
            .size = sizeof options, .owner = plan->wants[i].owner, .dry_run = dry_run};
        group.count = group_size(plan, i);
        for (size_t j = 0; status == IPALLOC_OK && j < group.count; j++) {
            status =
                find_pool(admin, &group.wants[j], dry_run, &group.pools[j], &group.held[j], error);
        }
        if (status == IPALLOC_OK) {
            status = ipalloc_transact(admin->registry, &options, give_group, &group, NULL, error);
        }
        for (size_t j = 0; !dry_run && j < group.count; j++) {
            plan->wants[i + j].held_before = group.held[j];
        }
        counts->given += group.given;
        counts->existing += group.existing;
        i += group.count;
        if (!dry_run && out->progress != NULL) {
            out->progress(out->context, i);
        }
    }
    return status;
}

/* --- records -----------------------------------------------------------------------------------
 */

struct comparing {
    const struct import_record *record;
    bool same;
};

static int compare_record(void *context, const ipalloc_entry *entry) {
    struct comparing *comparing = context;
    const struct text *value = &comparing->record->value;
    comparing->same =
        entry->value.size == value->size &&
        (value->size == 0 || memcmp(entry->value.data, value->data, value->size) == 0);
    return IPALLOC_OK;
}

static int put_record(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const struct import_record *record = context;
    return ipalloc_txn_put(txn, record->key, record->value.data != NULL ? record->value.data : "",
                           record->value.size, IPALLOC_REVISION_ABSENT, error);
}

int import_records(struct admin *admin, const struct import_plan *plan, bool dry_run,
                   struct import_counts *counts, ipalloc_error *error) {
    ipalloc_txn_options options = {.size = sizeof options, .dry_run = dry_run};
    for (size_t i = 0; i < plan->record_count; i++) {
        struct import_record *record = &plan->records[i];
        struct comparing comparing = {.record = record};
        int status =
            ipalloc_record_get(admin->registry, record->key, compare_record, &comparing, error);
        if (status == IPALLOC_OK && !comparing.same) {
            return admin_refuse(error, IPALLOC_E_TAKEN,
                                "the record %.200s is there with another value", record->key);
        }
        if (status == IPALLOC_E_NOT_FOUND) {
            counts->records++;
            status = ipalloc_transact(admin->registry, &options, put_record, record, NULL, error);
        }
        if (status != IPALLOC_OK) {
            return status;
        }
    }
    return IPALLOC_OK;
}
