/*
 * txn.c: beginning a transaction, what its steps check, and those that release and rename (those
 * that allocate and reserve are in txn_grant.c).
 *
 * A step checks its arguments, reads the owner's record once, and either changes the transaction's
 * list of leases or leaves everything as it was. Nothing is written before the commit.
 *
 * A restored store that nobody has accepted: no transaction that could write begins on it, because
 * its original may still be in use; dry-runs do.
 */
#include "registry/unknown.h"

#include <assert.h>
#include <string.h>

/* --- begin and free --------------------------------------------------------------------------- */

static int check_begin(ipalloc_registry *registry, const ipalloc_txn_options *given,
                       ipalloc_error *error) {
    if (given->owner != NULL && !owner_is_valid(given->owner))
        return error_set(error, IPALLOC_E_INVALID, "an owner has 1 to %d bytes", IPALLOC_OWNER_MAX);
    if (given->dry_run)
        return IPALLOC_OK;
    if (registry->read_only)
        return error_set(error, IPALLOC_E_READ_ONLY, "the store was opened for reading only");
    if (atomic_load_acquire(&registry->restored) == 0)
        return IPALLOC_OK;
    ipalloc_store_info info = {.size = sizeof info};
    int status = ipalloc_store_get_info(registry->store, &info, error);
    if (status != IPALLOC_OK)
        return status;
    if (info.restored)
        return error_set(error, IPALLOC_E_MISMATCH,
                         "the store is a copy or was restored: nothing is written to it before "
                         "ipalloc_store_accept");
    atomic_store_release(&registry->restored, 0);
    return IPALLOC_OK;
}

int ipalloc_begin(ipalloc_registry *registry, const ipalloc_txn_options *options, ipalloc_txn **out,
                  ipalloc_error *error) {
    if (registry == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "begin: registry and out must not be NULL");
    ipalloc_txn_options given;
    int status = options_copy(&given, sizeof given, options, "ipalloc_txn_options", error);
    if (status == IPALLOC_OK)
        status = check_begin(registry, &given, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_txn *txn = hooks_alloc_zeroed(&registry->hooks, sizeof *txn);
    if (txn == NULL)
        return error_no_memory(error);
    txn->registry = registry;
    txn->dry_run = given.dry_run;
    txn->owner_is_new = given.new_owner && !given.dry_run; /* a dry-run has no commit to find out */
    if (given.deadline_ms != 0)
        txn->deadline_at_ms = later_ms(hooks_monotonic_ms(&registry->hooks), given.deadline_ms);
    text_init(&txn->owner_key, &registry->hooks);
    if (given.owner != NULL) {
        memcpy(txn->owner, given.owner, strlen(given.owner) + 1);
        key_append_owner(&txn->owner_key, txn->owner);
    }
    if (txn->owner_key.failed) {
        txn_free(txn);
        return error_no_memory(error);
    }
    if (given.owner != NULL)
        unknown_settle_owner(registry, txn->owner);
    *out = txn;
    return IPALLOC_OK;
}

static void unlist(ipalloc_txn *txn, claim *c) {
    claims_lock(&txn->registry->claims);
    if (c->listed)
        claims_unlist(&txn->registry->claims, c);
    claims_unlock(&txn->registry->claims);
}

void txn_free(ipalloc_txn *txn) {
    const hooks *h = &txn->registry->hooks;
    for (size_t i = 0; i < txn->lease_count; i++) {
        unlist(txn, &txn->leases[i]->claim);
        lease_free(h, txn->leases[i]);
    }
    hooks_free(h, txn->leases);
    for (size_t i = 0; i < txn->record_count; i++) {
        hooks_free(h, txn->records[i].key);
        hooks_free(h, txn->records[i].value);
    }
    batch_free(&txn->batch);
    text_free(&txn->owner_key);
    hooks_free(h, txn);
}

/* --- what every step checks ------------------------------------------------------------------- */

int txn_check_deadline(const ipalloc_txn *txn, ipalloc_error *error) {
    if (txn->deadline_at_ms != 0 &&
        hooks_monotonic_ms(&txn->registry->hooks) >= txn->deadline_at_ms)
        return error_set(error, IPALLOC_E_UNAVAILABLE, "the transaction's deadline has passed");
    return IPALLOC_OK;
}

uint64_t txn_time_left(const ipalloc_txn *txn) {
    if (txn->deadline_at_ms == 0)
        return 0;
    uint64_t now_ms = hooks_monotonic_ms(&txn->registry->hooks);
    return now_ms < txn->deadline_at_ms ? txn->deadline_at_ms - now_ms : 1;
}

int txn_check_open(const ipalloc_txn *txn, ipalloc_error *error) {
    if (txn == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the transaction must not be NULL");
    if (txn->unknown)
        return error_set(error, IPALLOC_E_INVALID,
                         "the transaction's outcome is unknown: only commit and abort may follow");
    return IPALLOC_OK;
}

int txn_check_slot(const char *slot, ipalloc_error *error) {
    if (slot_is_valid(slot))
        return IPALLOC_OK;
    return error_set(error, IPALLOC_E_INVALID, "a slot has 1 to %d bytes", IPALLOC_SLOT_MAX);
}

static int check_owner_step(const ipalloc_txn *txn, ipalloc_error *error) {
    int status = txn_check_open(txn, error);
    if (status == IPALLOC_OK && txn->owner[0] == '\0')
        return error_set(error, IPALLOC_E_INVALID, "the transaction has no owner");
    return status == IPALLOC_OK ? txn_check_deadline(txn, error) : status;
}

/* A step over all that the owner holds: the checks, and the owner's record. */
static int begin_owner_step(ipalloc_txn *txn, ipalloc_error *error) {
    int status = check_owner_step(txn, error);
    return status == IPALLOC_OK ? owner_load(txn, error) : status;
}

/* A step about addresses or ports of a pool: the checks. */
int txn_check_step(const ipalloc_txn *txn, const ipalloc_pool *pool, int kind,
                   ipalloc_error *error) {
    int status = txn_check_open(txn, error);
    if (status == IPALLOC_OK)
        status = registry_check_pool(txn->registry, pool, kind, error);
    return status == IPALLOC_OK ? check_owner_step(txn, error) : status;
}

/* The same with the owner's record, for a step that must know it. */
static int begin_step(ipalloc_txn *txn, const ipalloc_pool *pool, int kind, ipalloc_error *error) {
    int status = txn_check_step(txn, pool, kind, error);
    return status == IPALLOC_OK ? owner_load(txn, error) : status;
}

int txn_check_grant(const ipalloc_grant *out, ipalloc_error *error) {
    if (out == NULL || out->size >= sizeof out->size)
        return IPALLOC_OK;
    return error_set(error, IPALLOC_E_INVALID, "ipalloc_grant: size is %zu", out->size);
}

void txn_fill_grant(ipalloc_grant *out, const txn_lease *lease, bool existing) {
    if (out == NULL)
        return;
    ipalloc_grant grant = {.size = out->size,
                           .address = place_addr(&lease->claim.place),
                           .port = place_port(&lease->claim.place),
                           .generation = lease->generation,
                           .existing = existing};
    memcpy(out, &grant, out->size < sizeof grant ? out->size : sizeof grant);
}

int txn_say_slot_occupied(const txn_lease *lease, const char *slot, ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT], quoted[100];
    return error_set(error, IPALLOC_E_TAKEN, "slot %s of this owner has %s of pool %s already",
                     text_quote(slot, strlen(slot), quoted, sizeof quoted),
                     place_format(&lease->claim.place, address), lease->claim.pool->name);
}

/* The place of a caller's address; NOT_IN_RANGE where it is of the other family. */
int txn_place_of_caller(const ipalloc_pool *pool, const ipalloc_addr *address, place *out,
                        ipalloc_error *error) {
    char text[IPALLOC_ADDR_TEXT];
    if (address == NULL || (address->family != 4 && address->family != 6))
        return error_set(error, IPALLOC_E_INVALID, "the address is none");
    *out = place_of_addr(address);
    if (address->family != pool->kind) {
        ipalloc_addr_format(address, text);
        return error_set(error, IPALLOC_E_NOT_IN_RANGE, "%s is not in pool %s, which is %s", text,
                         pool->name, pool_kind_name(pool->kind));
    }
    return IPALLOC_OK;
}

/* --- release ---------------------------------------------------------------------------------- */

/* Plan the release of a lease. One that this transaction has only just claimed is undone. */
static int remove_lease(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    ipalloc_registry *registry = txn->registry;
    int status = lease_touch(txn, lease, error);
    if (status != IPALLOC_OK)
        return status;
    if (!lease->stored) {
        gate_enter(&registry->gate);
        draw_undo(txn, lease);
        gate_leave(&registry->gate);
        owner_remove(txn, lease);
        txn->touched_count--;
        lease_free(&registry->hooks, lease);
        return IPALLOC_OK;
    }
    lease->removed = true;
    if (txn->dry_run)
        return IPALLOC_OK;
    lease->claim.kind = CLAIM_RELEASE;
    claims_lock(&registry->claims);
    claims_list(&registry->claims, &lease->claim);
    claims_unlock(&registry->claims);
    return IPALLOC_OK;
}

static int say_not_owner(const ipalloc_pool *pool, const place *p, const char *holder,
                         ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT], quoted[300];
    return error_set(error, IPALLOC_E_NOT_OWNER, "%s of pool %s is held by %s",
                     place_format(p, address), pool->name,
                     text_quote(holder, strlen(holder), quoted, sizeof quoted));
}

static int say_other_generation(const txn_lease *lease, uint64_t generation, ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT];
    return error_set(error, IPALLOC_E_NOT_OWNER,
                     "%s of pool %s is held in generation %llu, not %llu",
                     place_format(&lease->claim.place, address), lease->claim.pool->name,
                     (unsigned long long)lease->generation, (unsigned long long)generation);
}

static bool place_is_in_pool(const ipalloc_txn *txn, const ipalloc_pool *pool, const place *p) {
    range_offset offset;
    gate_enter(&txn->registry->gate);
    bool found = pool_find_range(pool, p, &offset) != NULL;
    gate_leave(&txn->registry->gate);
    return found;
}

/* The owner's record does not have it: it is free, or somebody else's. */
static int release_foreign(ipalloc_txn *txn, const ipalloc_pool *pool, const place *p,
                           ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT];
    record_key key = key_of_lease(pool->name, p);
    fetched record;
    ipalloc_lease lease;
    if (!place_is_in_pool(txn, pool, p))
        return error_set(error, IPALLOC_E_NOT_IN_RANGE, "%s is not in pool %s",
                         place_format(p, address), pool->name);
    int status = registry_fetch(txn->registry, bytes_of_key(&key), &record, error);
    if (status == IPALLOC_E_NOT_FOUND)
        return IPALLOC_OK;
    if (status != IPALLOC_OK)
        return status;
    bool fine = lease_parse(bytes_of_buffer(&record.value), p, &lease);
    text_free(&record.value);
    if (!fine)
        return record_corrupt(error, bytes_of_key(&key), "is not a lease record");
    if (strcmp(lease.owner, txn->owner) != 0)
        return say_not_owner(pool, p, lease.owner, error);
    return error_set(error, IPALLOC_E_CONFLICT,
                     "another transaction of this owner has taken %s of pool %s",
                     place_format(p, address), pool->name);
}

static int release(ipalloc_txn *txn, ipalloc_pool *pool, const place *p, uint64_t generation,
                   ipalloc_error *error) {
    txn_lease *lease = owner_find_place(txn, pool, p);
    if (lease == NULL)
        return release_foreign(txn, pool, p, error);
    if (generation != 0 && generation != lease->generation)
        return say_other_generation(lease, generation, error);
    return lease->removed ? IPALLOC_OK : remove_lease(txn, lease, error);
}

int ipalloc_txn_release(ipalloc_txn *txn, ipalloc_pool *pool, const ipalloc_addr *address,
                        uint64_t generation, ipalloc_error *error) {
    place p;
    int status = begin_step(txn, pool, ADDRESS_KIND, error);
    if (status == IPALLOC_OK)
        status = txn_place_of_caller(pool, address, &p, error);
    return status == IPALLOC_OK ? release(txn, pool, &p, generation, error) : status;
}

int ipalloc_txn_release_port(ipalloc_txn *txn, ipalloc_pool *pool, uint16_t port,
                             uint64_t generation, ipalloc_error *error) {
    place p = place_of_port(port);
    int status = begin_step(txn, pool, IPALLOC_POOL_PORT, error);
    return status == IPALLOC_OK ? release(txn, pool, &p, generation, error) : status;
}

int ipalloc_txn_release_slot(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                             ipalloc_error *error) {
    int status = begin_step(txn, pool, ANY_KIND, error);
    if (status == IPALLOC_OK)
        status = txn_check_slot(slot, error);
    if (status != IPALLOC_OK)
        return status;
    txn_lease *lease = owner_find_slot(txn, pool, slot);
    if (lease == NULL)
        return IPALLOC_OK;
    if (lease->slot_count == 1)
        return remove_lease(txn, lease, error);
    status = lease_touch(txn, lease, error);
    if (status == IPALLOC_OK)
        lease_drop_slot(lease, slot);
    return status;
}

int ipalloc_txn_release_all(ipalloc_txn *txn, ipalloc_error *error) {
    int status = begin_owner_step(txn, error);
    if (status != IPALLOC_OK)
        return status;
    size_t more = 0;
    for (size_t i = 0; i < txn->lease_count; i++)
        more += !txn->leases[i]->touched;
    status = txn_check_room(txn, more, error);
    for (size_t i = 0; status == IPALLOC_OK && i < txn->lease_count; i++)
        status = lease_touch(txn, txn->leases[i], error); /* all that can fail, before any goes */
    for (size_t i = txn->lease_count; status == IPALLOC_OK && i-- > 0;)
        if (!txn->leases[i]->removed)
            status = remove_lease(txn, txn->leases[i], error);
    return status;
}

/* --- slots ------------------------------------------------------------------------------------ */

int ipalloc_txn_rename_slot(ipalloc_txn *txn, ipalloc_pool *pool, const char *from, const char *to,
                            ipalloc_error *error) {
    char quoted[100];
    int status = begin_step(txn, pool, ANY_KIND, error);
    if (status == IPALLOC_OK)
        status = txn_check_slot(from, error);
    if (status == IPALLOC_OK)
        status = txn_check_slot(to, error);
    if (status != IPALLOC_OK)
        return status;
    txn_lease *lease = owner_find_slot(txn, pool, from);
    txn_lease *occupant = owner_find_slot(txn, pool, to);
    if (lease == NULL)
        return error_set(error, IPALLOC_E_NOT_FOUND, "slot %s of this owner is empty",
                         text_quote(from, strlen(from), quoted, sizeof quoted));
    if (occupant != NULL && occupant != lease)
        return txn_say_slot_occupied(occupant, to, error);
    if (strcmp(from, to) == 0)
        return IPALLOC_OK;
    status = lease_touch(txn, lease, error);
    if (status != IPALLOC_OK)
        return status;
    lease_drop_slot(lease, from);
    if (occupant == NULL) /* into the room of the old name */
        memcpy(lease->slots[lease->slot_count++], to, strlen(to) + 1);
    return IPALLOC_OK;
}

int ipalloc_txn_find_slot(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                          ipalloc_grant *out, ipalloc_error *error) {
    char quoted[100];
    int status = begin_step(txn, pool, ANY_KIND, error);
    if (status == IPALLOC_OK)
        status = txn_check_slot(slot, error);
    if (status == IPALLOC_OK)
        status = txn_check_grant(out, error);
    if (status != IPALLOC_OK)
        return status;
    const txn_lease *lease = owner_find_slot(txn, pool, slot);
    if (lease == NULL)
        return error_set(error, IPALLOC_E_NOT_FOUND, "slot %s of this owner is empty",
                         text_quote(slot, strlen(slot), quoted, sizeof quoted));
    txn_fill_grant(out, lease, true);
    return IPALLOC_OK;
}
