/*
 * unknown.c: how an unknown outcome becomes known (see unknown.h).
 *
 * Absence proves nothing: what is not in the store may come yet where a ticket was given, and in a
 * store that has stopped writing its log may hold the batch, which the next opening finds there.
 *
 * Stranded transactions are settled by one thread at a time, a few on its way, outside the gate and
 * all locks. After a failure nobody tries for as long again as it took: a store that lets everybody
 * wait holds up one caller at a time, and not all the time.
 */
#include "registry/unknown.h"

#include <string.h>

enum { STRANDED_AT_ONCE = 2 };

/* --- by reading ------------------------------------------------------------------------------- */

typedef struct evidence {
    ipalloc_bytes expected;
    bool present;
    bool equal;
    uint64_t revision;
} evidence;

static int weigh_evidence(void *context, const ipalloc_entry *entry) {
    evidence *e = context;
    e->present = true;
    e->revision = entry->revision;
    e->equal = entry->value.size == e->expected.size &&
               (e->expected.size == 0 ||
                memcmp(entry->value.data, e->expected.data, e->expected.size) == 0);
    return IPALLOC_OK;
}

/* How well an operation shows that its batch took effect. Conditional ones leave a state that
 * nobody else can have made: leases and owner records carry random generations. */
static int telling_value(const ipalloc_op *op) {
    bool conditional = op->condition != IPALLOC_IF_ANY;
    if (op->kind == IPALLOC_OP_PUT)
        return conditional ? 4 : 2;
    if (op->kind == IPALLOC_OP_DELETE)
        return conditional ? 3 : 1;
    return 0;
}

/* NULL: a batch of checks, which leaves no trace. */
static const ipalloc_op *telling_op(const ipalloc_txn *txn) {
    const ipalloc_op *best = &txn->batch.ops[0];
    for (size_t i = 1; i < txn->batch.count; i++)
        if (telling_value(&txn->batch.ops[i]) > telling_value(best))
            best = &txn->batch.ops[i];
    return telling_value(best) > 0 ? best : NULL;
}

/* Does the store still take writes? */
static int check_writable(ipalloc_registry *registry, ipalloc_bytes any_key) {
    ipalloc_op look = {.kind = IPALLOC_OP_CHECK, .condition = IPALLOC_IF_ANY, .key = any_key};
    ipalloc_batch batch = {.ops = &look, .op_count = 1};
    return registry_commit_batch(registry, &batch, NULL);
}

static int read_outcome(ipalloc_txn *txn, bool *happened, uint64_t *at) {
    const ipalloc_op *op = telling_op(txn);
    *happened = false;
    if (op == NULL)
        return IPALLOC_OK;
    evidence e = {.expected = op->value};
    int status = ipalloc_store_get(txn->registry->store, op->key, weigh_evidence, &e, NULL);
    if (status != IPALLOC_OK && status != IPALLOC_E_NOT_FOUND)
        return status;
    *at = op->kind == IPALLOC_OP_DELETE ? 0 : e.revision; /* there may be a later lease */
    if (op->kind == IPALLOC_OP_DELETE)
        *happened =
            !e.present || (op->condition == IPALLOC_IF_REVISION && e.revision != op->revision);
    else
        *happened = e.present && e.equal &&
                    (op->condition != IPALLOC_IF_REVISION || e.revision != op->revision);
    return *happened ? IPALLOC_OK : check_writable(txn->registry, op->key);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* OK: it is known now: *happened, and if so its revision. Else it is as unknown as before. */
static int ask(ipalloc_txn *txn, bool *happened, uint64_t *at, ipalloc_error *tried) {
    if (txn->ticket == 0)
        return read_outcome(txn, happened, at);
    return ipalloc_store_settle(txn->registry->store, txn->ticket, happened, at, tried);
}

static int stay_unknown(ipalloc_txn *txn, uint64_t ticket, ipalloc_error *error) {
    txn->unknown = true;
    txn->ticket = ticket;
    return error_set(error, IPALLOC_E_UNKNOWN_OUTCOME,
                     "it is not known whether the commit took effect: commit again to find out, or "
                     "abort");
}

/* The same, with what the store says that it has tried. */
static int stay_unknown_after(ipalloc_txn *txn, uint64_t ticket, const ipalloc_error *tried,
                              ipalloc_error *error) {
    ipalloc_error copy = *tried; /* it may be `error` */
    stay_unknown(txn, ticket, error);
    if (copy.status == IPALLOC_OK || copy.message[0] == '\0')
        return IPALLOC_E_UNKNOWN_OUTCOME;
    return error_set(error, IPALLOC_E_UNKNOWN_OUTCOME,
                     "it is not known whether the commit took effect: commit again to find out, or "
                     "abort (%s)",
                     copy.message);
}

/* Where nothing happens late it is read; what did not happen then is not sent again, because a
 * store that has lost it has failed. */
static int resolve_by_reading(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    bool happened;
    uint64_t at;
    if (ask(txn, &happened, &at, NULL) != IPALLOC_OK)
        return stay_unknown(txn, 0, error);
    if (happened)
        return commit_confirm(txn, at, revision);
    error_set(error, IPALLOC_E_UNAVAILABLE, "the commit did not take effect");
    return commit_give_up(txn, IPALLOC_E_UNAVAILABLE);
}

int unknown_begin(ipalloc_txn *txn, uint64_t ticket, uint64_t *revision, ipalloc_error *error) {
    if (ticket != 0)
        return error != NULL ? stay_unknown_after(txn, ticket, error, error)
                             : stay_unknown(txn, ticket, error);
    txn->ticket = 0;
    return resolve_by_reading(txn, revision, error);
}

int unknown_resolve(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    bool happened;
    uint64_t at;
    if (txn->ticket == 0)
        return resolve_by_reading(txn, revision, error);
    ipalloc_error tried = {0};
    if (ask(txn, &happened, &at, &tried) != IPALLOC_OK)
        return stay_unknown_after(txn, txn->ticket, &tried, error);
    return happened ? commit_confirm(txn, at, revision) : commit_send_again(txn, revision, error);
}

/* false: it is not known, and nothing has changed. Else it has ended. */
static bool end_unknown(ipalloc_txn *txn) {
    bool happened;
    uint64_t at;
    if (ask(txn, &happened, &at, NULL) != IPALLOC_OK)
        return false;
    if (happened)
        commit_confirm(txn, at, NULL);
    else
        commit_give_up(txn, IPALLOC_OK);
    return true;
}

void unknown_abort(ipalloc_txn *txn) {
    if (txn_check_deadline(txn, NULL) != IPALLOC_OK || !end_unknown(txn))
        unknown_strand(txn);
}

/* --- stranded ones ---------------------------------------------------------------------------- */

/* With the mutex held; read without it. */
static void count_stranded(ipalloc_registry *registry, int more) {
    uint64_t count = atomic_load_relaxed(&registry->stranded_count);
    atomic_store_relaxed(&registry->stranded_count, count + (uint64_t)(int64_t)more);
}

/* Behind the others, so that one whose settling fails does not hold them up. */
static void append(ipalloc_registry *registry, ipalloc_txn *txn) {
    ipalloc_txn **link = &registry->stranded;
    while (*link != NULL)
        link = &(*link)->next_stranded;
    txn->next_stranded = NULL;
    *link = txn;
    count_stranded(registry, 1);
}

void unknown_strand(ipalloc_txn *txn) {
    ipalloc_registry *registry = txn->registry;
    hooks_log(&registry->hooks, IPALLOC_LOG_WARNING,
              "an abandoned transaction's outcome is not known: what it claimed stays claimed "
              "until the store can tell");
    pthread_mutex_lock(&registry->stranded_mutex);
    append(registry, txn);
    pthread_mutex_unlock(&registry->stranded_mutex);
}

/* The first one (of that owner, unless NULL), for this thread to settle; NULL: there is none, or
 * another thread is at it, or it was in vain a moment ago. */
static ipalloc_txn *take(ipalloc_registry *registry, const char *owner) {
    ipalloc_txn *txn = NULL;
    if (atomic_load_relaxed(&registry->stranded_count) == 0)
        return NULL; /* as good as always */
    uint64_t now_ms = hooks_monotonic_ms(&registry->hooks);
    pthread_mutex_lock(&registry->stranded_mutex);
    if (!registry->stranded_busy && now_ms >= registry->stranded_again_ms) {
        ipalloc_txn **link = &registry->stranded;
        while (*link != NULL && owner != NULL && strcmp((*link)->owner, owner) != 0)
            link = &(*link)->next_stranded;
        txn = *link;
        if (txn != NULL) {
            *link = txn->next_stranded;
            count_stranded(registry, -1);
            registry->stranded_busy = true;
        }
    }
    pthread_mutex_unlock(&registry->stranded_mutex);
    return txn;
}

static bool settle_one(ipalloc_registry *registry, const char *owner) {
    ipalloc_txn *txn = take(registry, owner);
    if (txn == NULL)
        return false;
    uint64_t start_ms = hooks_monotonic_ms(&registry->hooks);
    bool ended = end_unknown(txn);
    pthread_mutex_lock(&registry->stranded_mutex);
    registry->stranded_busy = false;
    if (!ended) {
        append(registry, txn);
        uint64_t now_ms = hooks_monotonic_ms(&registry->hooks);
        registry->stranded_again_ms = later_ms(now_ms, now_ms - start_ms);
    }
    pthread_mutex_unlock(&registry->stranded_mutex);
    return ended;
}

void stranded_settle(ipalloc_registry *registry) {
    int left = STRANDED_AT_ONCE;
    while (left > 0 && settle_one(registry, NULL))
        left--;
}

void unknown_settle_owner(ipalloc_registry *registry, const char *owner) {
    while (settle_one(registry, owner))
        continue;
}

void stranded_free(ipalloc_registry *registry) {
    while (registry->stranded != NULL) {
        ipalloc_txn *txn = registry->stranded;
        registry->stranded = txn->next_stranded;
        txn_free(txn);
    }
}
