/*
 * transact.c: running a transaction again on CONFLICT, and the one-shots built on that.
 *
 * Before a rerun the memory is brought up to date, and where a step was refused, the commits that
 * are on their way are waited for: the winner of the conflict is then in the store. An unknown
 * outcome is found out by committing again before it is told; what is then left unknown is stranded
 * (unknown.h), and asking again for the same owner and slot resolves it.
 *
 * One-shots expect that their owner is new, because then one round trip is all that they cost: the
 * record is read in the second attempt.
 */
#include "registry/unknown.h"

#include <time.h>

enum {
    ATTEMPTS_DEFAULT = 16,
    RESOLVE_ATTEMPTS_MAX = 4,
    PATIENT_ATTEMPTS = 2, /* rerun at once */
    PAUSE_US_FIRST = 100, /* then wait, doubling */
    PAUSE_US_MAX = 10000
};

/* The winner of a conflict may still be on its way to its commit. */
static void pause_before(uint32_t attempt_number) {
    if (attempt_number < PATIENT_ATTEMPTS)
        return;
    uint32_t doublings = attempt_number - PATIENT_ATTEMPTS;
    long pause_us = doublings < 7 ? PAUSE_US_FIRST << doublings : PAUSE_US_MAX;
    struct timespec pause = {.tv_nsec = pause_us * 1000};
    nanosleep(&pause, NULL); /* a signal cuts it short, which is as good */
}

/* An unknown outcome is resolved as long as asking tells anything new, and there is time. */
static int resolve(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    int status = IPALLOC_E_UNKNOWN_OUTCOME;
    bool told = true;
    for (int i = 0; told && status == IPALLOC_E_UNKNOWN_OUTCOME && i < RESOLVE_ATTEMPTS_MAX; i++) {
        uint64_t ticket = txn->ticket;
        if (txn_check_deadline(txn, NULL) != IPALLOC_OK)
            break;
        status = ipalloc_txn_commit(txn, revision, error);
        told = status != IPALLOC_E_UNKNOWN_OUTCOME || txn->ticket != ticket;
    }
    if (status == IPALLOC_E_UNKNOWN_OUTCOME)
        unknown_strand(txn);
    return status;
}

/* *refused: the commit was tried, and is what says so. */
static int attempt(ipalloc_registry *registry, const ipalloc_txn_options *options,
                   ipalloc_txn_body body, void *context, uint64_t *revision, bool *refused,
                   ipalloc_error *error) {
    ipalloc_txn *txn;
    *refused = false;
    int status = ipalloc_begin(registry, options, &txn, error);
    if (status != IPALLOC_OK)
        return status;
    status = body(txn, context, error);
    if (status != IPALLOC_OK) {
        ipalloc_txn_abort(txn);
        return status;
    }
    *refused = true;
    status = ipalloc_txn_commit(txn, revision, error);
    return status == IPALLOC_E_UNKNOWN_OUTCOME ? resolve(txn, revision, error) : status;
}

/* What a step has met is in the hands of another transaction: it may be on its way to its commit,
 * which is waited for. */
static void wait_for_others(ipalloc_registry *registry) {
    gate_enter_alone(&registry->gate);
    gate_leave_alone(&registry->gate);
}

int ipalloc_transact(ipalloc_registry *registry, const ipalloc_txn_options *options,
                     ipalloc_txn_body body, void *context, uint64_t *revision,
                     ipalloc_error *error) {
    ipalloc_txn_options given;
    if (registry == NULL || body == NULL)
        return error_set(error, IPALLOC_E_INVALID, "transact: registry and body must not be NULL");
    int status = options_copy(&given, sizeof given, options, "ipalloc_txn_options", error);
    if (status != IPALLOC_OK)
        return status;
    uint32_t attempts = given.max_attempts != 0 ? given.max_attempts : ATTEMPTS_DEFAULT;
    uint64_t start_ms = hooks_monotonic_ms(&registry->hooks);
    uint64_t deadline_ms = given.deadline_ms;
    for (uint32_t number = 1;; number++) {
        bool refused, guessed = given.new_owner;
        status = attempt(registry, &given, body, context, revision, &refused, error);
        if (status != IPALLOC_E_CONFLICT || number >= attempts)
            return status;
        given.new_owner = false; /* the guess may have been wrong; memory has no part in that */
        pause_before(number);
        if (!refused)
            wait_for_others(registry);
        if (!refused || number > 1)
            cache_catch_up(registry, NULL); /* where it fails, the next attempt says why */
        else if (!guessed)                  /* the first refusal has told what it was about */
            cache_take_in(registry, NULL);
        uint64_t passed_ms = hooks_monotonic_ms(&registry->hooks) - start_ms;
        if (deadline_ms != 0 && passed_ms >= deadline_ms)
            return error_set(error, IPALLOC_E_UNAVAILABLE,
                             "the transaction's deadline has passed, after conflicts");
        if (deadline_ms != 0)
            given.deadline_ms = deadline_ms - passed_ms;
    }
}

/* --- one-shots -------------------------------------------------------------------------------- */

typedef struct one_shot {
    ipalloc_pool *pool;
    const char *slot;
    const ipalloc_addr *address;
    uint64_t generation;
    ipalloc_grant *out;
} one_shot;

static int allocate_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const one_shot *o = context;
    return ipalloc_txn_allocate(txn, o->pool, o->slot, o->out, error);
}

static int reserve_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const one_shot *o = context;
    return ipalloc_txn_reserve(txn, o->pool, o->slot, o->address, o->out, error);
}

static int release_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const one_shot *o = context;
    return ipalloc_txn_release(txn, o->pool, o->address, o->generation, error);
}

static int run_one_shot(ipalloc_registry *registry, const char *owner, ipalloc_txn_body body,
                        one_shot *o, ipalloc_error *error) {
    if (owner == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the owner must not be NULL");
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = owner, .new_owner = body != release_body};
    return ipalloc_transact(registry, &options, body, o, NULL, error);
}

int ipalloc_allocate(ipalloc_registry *registry, ipalloc_pool *pool, const char *owner,
                     const char *slot, ipalloc_grant *out, ipalloc_error *error) {
    one_shot o = {.pool = pool, .slot = slot, .out = out};
    return run_one_shot(registry, owner, allocate_body, &o, error);
}

int ipalloc_reserve(ipalloc_registry *registry, ipalloc_pool *pool, const char *owner,
                    const char *slot, const ipalloc_addr *address, ipalloc_grant *out,
                    ipalloc_error *error) {
    one_shot o = {.pool = pool, .slot = slot, .address = address, .out = out};
    return run_one_shot(registry, owner, reserve_body, &o, error);
}

int ipalloc_release(ipalloc_registry *registry, ipalloc_pool *pool, const char *owner,
                    const ipalloc_addr *address, uint64_t generation, ipalloc_error *error) {
    one_shot o = {.pool = pool, .address = address, .generation = generation};
    return run_one_shot(registry, owner, release_body, &o, error);
}

/* --- release of everything -------------------------------------------------------------------- */

/* As many leases as one transaction can release; tells how many, so that 0 ends it. */
static int release_some_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    size_t *count = context;
    *count = 0;
    int status = owner_load(txn, error);
    while (status == IPALLOC_OK && *count < IPALLOC_TXN_ADDRESSES_MAX &&
           *count < txn->lease_count) {
        const claim *c = &txn->leases[*count]->claim;
        ipalloc_addr address = place_addr(&c->place);
        status = c->pool->kind == IPALLOC_POOL_PORT
                     ? ipalloc_txn_release_port(txn, c->pool, place_port(&c->place), 0, error)
                     : ipalloc_txn_release(txn, c->pool, &address, 0, error);
        if (status == IPALLOC_OK)
            ++*count;
    }
    return status;
}

int ipalloc_release_owner(ipalloc_registry *registry, const char *owner, size_t *released,
                          ipalloc_error *error) {
    size_t all = 0, count;
    int status;
    if (released != NULL)
        *released = 0;
    if (registry == NULL || owner == NULL)
        return error_set(error, IPALLOC_E_INVALID, "registry and owner must not be NULL");
    ipalloc_txn_options options = {.size = sizeof options, .owner = owner};
    do {
        status = ipalloc_transact(registry, &options, release_some_body, &count, NULL, error);
        if (status == IPALLOC_OK)
            all += count;
        if (released != NULL)
            *released = all;
    } while (status == IPALLOC_OK && count == IPALLOC_TXN_ADDRESSES_MAX);
    return status;
}
