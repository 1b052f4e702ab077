/*
 * txn_grant.c: the steps of a transaction that allocate and reserve.
 *
 * They look at the owner's record first, unless the owner is expected to hold nothing: then what is
 * refused is looked at again with the record, because what is in the way may be the owner's own.
 * Claims go through draw.c; a claim is the last thing in a step that can fail.
 */
#include "registry/txn.h"

#include <assert.h>
#include <string.h>

/* --- allocate and reserve --------------------------------------------------------------------- */

static uint64_t new_generation(ipalloc_registry *registry) {
    uint64_t generation;
    do
        generation = hooks_random(&registry->hooks) >> (64 - GENERATION_BITS);
    while (generation == 0);
    return generation;
}

/* A new lease for `slot`, with everything ready so that a claim is the last thing that can fail. */
static int prepare_lease(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot, txn_lease **out,
                         ipalloc_error *error) {
    int status = txn_check_room(txn, 1, error);
    if (status == IPALLOC_OK)
        status = owner_make_room(txn, error);
    if (status != IPALLOC_OK)
        return status;
    txn_lease *lease = lease_new(txn, pool);
    if (lease == NULL)
        return error_no_memory(error);
    status = lease_add_slot(&txn->registry->hooks, lease, slot, error);
    if (status != IPALLOC_OK) {
        lease_free(&txn->registry->hooks, lease);
        return status;
    }
    lease->generation = new_generation(txn->registry);
    *out = lease;
    return IPALLOC_OK;
}

static void adopt_lease(ipalloc_txn *txn, txn_lease *lease) {
    lease->touched = true;
    txn->touched_count++;
    owner_insert(txn, lease);
}

/* A step that wants something for a slot. */
typedef struct wish {
    ipalloc_pool *pool;
    const char *slot;
    const place *place; /* reserve only */
    ipalloc_grant *out;
} wish;

static int allocate(ipalloc_txn *txn, const wish *w, ipalloc_error *error) {
    txn_lease *lease = owner_find_slot(txn, w->pool, w->slot);
    if (lease != NULL) {
        txn_fill_grant(w->out, lease, true);
        return IPALLOC_OK;
    }
    int status = prepare_lease(txn, w->pool, w->slot, &lease, error);
    if (status != IPALLOC_OK)
        return status;
    status = draw_any(txn, lease, error);
    if (status != IPALLOC_OK) {
        lease_free(&txn->registry->hooks, lease);
        return status;
    }
    adopt_lease(txn, lease);
    txn_fill_grant(w->out, lease, false);
    return IPALLOC_OK;
}

/* Stop the release that this transaction planned. Where another server has released it meanwhile
 * its bit goes, as at an abort, and the commit will be refused. */
static void revive(ipalloc_txn *txn, txn_lease *lease) {
    gate_enter(&txn->registry->gate);
    draw_undo(txn, lease);
    gate_leave(&txn->registry->gate);
    lease->removed = false;
    lease->slot_count = 0;
}

/* The owner has the address: give it this slot too. A planned release of it is off. */
static int share(ipalloc_txn *txn, txn_lease *lease, const char *slot, ipalloc_grant *out,
                 ipalloc_error *error) {
    int status = lease_touch(txn, lease, error);
    if (status != IPALLOC_OK)
        return status;
    if (lease->removed) {
        revive(txn, lease);
        assert(lease->slots != NULL); /* it had a slot: adding one cannot need memory */
        memcpy(lease->slots[lease->slot_count++], slot, strlen(slot) + 1);
    } else {
        status = lease_add_slot(&txn->registry->hooks, lease, slot, error);
    }
    if (status == IPALLOC_OK)
        txn_fill_grant(out, lease, false);
    return status;
}

static int reserve_new(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot, const place *p,
                       ipalloc_grant *out, ipalloc_error *error) {
    txn_lease *lease;
    int status = prepare_lease(txn, pool, slot, &lease, error);
    if (status != IPALLOC_OK)
        return status;
    lease->claim.place = *p;
    status = draw_this(txn, lease, error);
    if (status != IPALLOC_OK) {
        lease_free(&txn->registry->hooks, lease);
        return status;
    }
    adopt_lease(txn, lease);
    txn_fill_grant(out, lease, false);
    return IPALLOC_OK;
}

static int reserve(ipalloc_txn *txn, const wish *w, ipalloc_error *error) {
    txn_lease *occupant = owner_find_slot(txn, w->pool, w->slot);
    txn_lease *lease = owner_find_place(txn, w->pool, w->place);
    if (occupant != NULL && occupant == lease) {
        txn_fill_grant(w->out, lease, true);
        return IPALLOC_OK;
    }
    if (occupant != NULL)
        return txn_say_slot_occupied(occupant, w->slot, error);
    return lease != NULL ? share(txn, lease, w->slot, w->out, error)
                         : reserve_new(txn, w->pool, w->slot, w->place, w->out, error);
}

typedef int (*wish_step)(ipalloc_txn *txn, const wish *w, ipalloc_error *error);

/* It was refused to an owner who is expected to hold nothing: what holds may be the owner's own. */
static int look_at_owner(ipalloc_txn *txn, const wish *w, wish_step step, int refused,
                         ipalloc_error *error) {
    ipalloc_error why = {0};
    int status = owner_load(txn, &why);
    if (status != IPALLOC_OK)
        return error_set(error, status, "%s", why.message);
    if (txn->owner_revision != 0)
        return step(txn, w, error);
    if (owner_find_slot(txn, w->pool, w->slot) == NULL)
        draw_count_refusal(w->pool, w->place, refused);
    return refused;
}

/* The checks are done. */
static int grant(ipalloc_txn *txn, const wish *w, wish_step step, ipalloc_error *error) {
    int status = txn_check_slot(w->slot, error);
    if (status == IPALLOC_OK)
        status = txn_check_grant(w->out, error);
    if (status == IPALLOC_OK)
        status = owner_load_or_presume(txn, error);
    if (status != IPALLOC_OK)
        return status;
    status = step(txn, w, error);
    bool refused = status == IPALLOC_E_FULL || status == IPALLOC_E_TAKEN ||
                   status == IPALLOC_E_NOT_IN_RANGE || status == IPALLOC_E_CONFLICT;
    if (!refused || txn->owner_loaded)
        return status;
    return look_at_owner(txn, w, step, status, error);
}

static int allocate_checked(ipalloc_txn *txn, int kind, const wish *w, ipalloc_error *error) {
    int status = txn_check_step(txn, w->pool, kind, error);
    return status == IPALLOC_OK ? grant(txn, w, allocate, error) : status;
}

int ipalloc_txn_allocate(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot, ipalloc_grant *out,
                         ipalloc_error *error) {
    wish w = {.pool = pool, .slot = slot, .out = out};
    return allocate_checked(txn, ADDRESS_KIND, &w, error);
}

int ipalloc_txn_allocate_port(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                              ipalloc_grant *out, ipalloc_error *error) {
    wish w = {.pool = pool, .slot = slot, .out = out};
    return allocate_checked(txn, IPALLOC_POOL_PORT, &w, error);
}

int ipalloc_txn_reserve(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                        const ipalloc_addr *address, ipalloc_grant *out, ipalloc_error *error) {
    place p;
    wish w = {.pool = pool, .slot = slot, .place = &p, .out = out};
    int status = txn_check_step(txn, pool, ADDRESS_KIND, error);
    if (status == IPALLOC_OK)
        status = txn_place_of_caller(pool, address, &p, error);
    return status == IPALLOC_OK ? grant(txn, &w, reserve, error) : status;
}

int ipalloc_txn_reserve_port(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot, uint16_t port,
                             ipalloc_grant *out, ipalloc_error *error) {
    place p = place_of_port(port);
    wish w = {.pool = pool, .slot = slot, .place = &p, .out = out};
    int status = txn_check_step(txn, pool, IPALLOC_POOL_PORT, error);
    return status == IPALLOC_OK ? grant(txn, &w, reserve, error) : status;
}
