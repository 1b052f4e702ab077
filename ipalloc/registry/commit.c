/*
 * commit.c: a transaction's one batch, and its end.
 *
 * The batch is conditional on everything the transaction relied on: the definitions' revision if it
 * claimed anything, the owner's record, each lease it changes, each condition of the caller. Claims
 * become leases, and releases free their bits, only after the store has said OK.
 *
 * After UNKNOWN_OUTCOME: a store whose unknown batches never take effect later (late_ms_max 0) is
 * asked by reading what the batch would have written; elsewhere the batch's token decides. What is
 * absent proves nothing in a store that has stopped writing: its log may hold the batch, and the
 * next opening may find it there.
 */
#include "registry/conditions.h"
#include "registry/txn.h"

#include <inttypes.h>
#include <string.h>

enum {
    OLD_TOKENS_PER_COMMIT = 2, /* more than one each, so that the queue shrinks */
    /* token, definitions, owner; a lease and a cooling record an address; records; old tokens */
    BATCH_CAPACITY =
        3 + 2 * IPALLOC_TXN_ADDRESSES_MAX + IPALLOC_TXN_RECORDS_MAX + OLD_TOKENS_PER_COMMIT
};

/* --- building the batch ----------------------------------------------------------------------- */

static bool has_any_step(const ipalloc_txn *txn) {
    return txn->touched_count > 0 || txn->record_count > 0;
}

static bool only_checks(const ipalloc_txn *txn) {
    bool only = txn->touched_count == 0;
    for (size_t i = 0; only && i < txn->record_count; i++)
        only = txn->records[i].kind == IPALLOC_OP_CHECK;
    return only;
}

static void add_definitions(ipalloc_txn *txn) {
    if (txn->drew)
        batch_check(&txn->batch, bytes_of(KEY_DEFINITIONS), txn->definitions_revision);
}

static void put_lease(ipalloc_txn *txn, txn_lease *lease) {
    const claim *c = &lease->claim;
    batch_builder *b = &txn->batch;
    record_key key = key_of_lease(c->pool->name, &c->place);
    if (!lease->stored)
        lease->time_ms = txn->time_ms;
    batch_put(b, bytes_of_key(&key), WHEN_AT, lease->stored_revision);
    lease_append(&b->bytes, &c->place, txn->owner, (const char(*)[64])lease->slots,
                 lease->slot_count, lease->generation, lease->time_ms);
    batch_end_value(b);
    if (lease->cooling_revision == 0)
        return;
    key = key_of_cooling(c->pool->name, &c->place);
    batch_delete(b, bytes_of_key(&key), WHEN_AT, lease->cooling_revision);
}

static void delete_lease(ipalloc_txn *txn, const txn_lease *lease) {
    const claim *c = &lease->claim;
    batch_builder *b = &txn->batch;
    record_key key = key_of_lease(c->pool->name, &c->place);
    batch_delete(b, bytes_of_key(&key), WHEN_AT, lease->stored_revision);
    if (!definition_keeps_releases(&c->pool->definition))
        return;
    key = key_of_cooling(c->pool->name, &c->place);
    batch_put(b, bytes_of_key(&key), WHEN_ANY, 0);
    cooling_append(&b->bytes, txn->time_ms, txn->owner);
    batch_end_value(b);
}

static void add_leases(ipalloc_txn *txn) {
    for (size_t i = 0; i < txn->lease_count; i++) {
        txn_lease *lease = txn->leases[i];
        if (lease->touched && lease->removed)
            delete_lease(txn, lease);
        else if (lease->touched)
            put_lease(txn, lease);
    }
}

static bool holds_anything(const ipalloc_txn *txn) {
    for (size_t i = 0; i < txn->lease_count; i++)
        if (!txn->leases[i]->removed)
            return true;
    return false;
}

static int add_owner(ipalloc_txn *txn, ipalloc_error *error) {
    batch_builder *b = &txn->batch;
    ipalloc_bytes key = bytes_of_buffer(&txn->owner_key);
    if (!txn->owner_loaded)
        return IPALLOC_OK;
    if (txn->touched_count == 0) {
        batch_check(b, key, txn->owner_revision);
    } else if (!holds_anything(txn)) {
        batch_delete(b, key, WHEN_AT, txn->owner_revision);
    } else {
        size_t start = b->bytes.length + key.size;
        batch_put(b, key, WHEN_AT, txn->owner_revision);
        owner_append(&b->bytes, txn);
        batch_end_value(b);
        if (!b->bytes.failed && b->bytes.length - start > IPALLOC_VALUE_MAX)
            return error_set(error, IPALLOC_E_INVALID,
                             "the owner holds more than one record of %zu bytes can tell",
                             IPALLOC_VALUE_MAX);
    }
    return IPALLOC_OK;
}

static void add_records(ipalloc_txn *txn) {
    for (size_t i = 0; i < txn->record_count; i++) {
        const txn_record *record = &txn->records[i];
        bool any = record->expected_revision == IPALLOC_REVISION_ANY;
        enum batch_when when = any ? WHEN_ANY : WHEN_AT;
        uint64_t revision = any ? 0 : record->expected_revision;
        ipalloc_bytes value = {.data = record->value, .size = record->value_size};
        if (record->kind == IPALLOC_OP_PUT)
            batch_put_bytes(&txn->batch, bytes_of(record->key), when, revision, value);
        else if (record->kind == IPALLOC_OP_CHECK)
            batch_check(&txn->batch, bytes_of(record->key), revision);
        else
            batch_delete(&txn->batch, bytes_of(record->key), when, revision);
    }
}

/* What changes nothing cannot take effect late. */
static int add_token(ipalloc_txn *txn) {
    if (!tokens_are_used(txn->registry) || txn->dry_run || only_checks(txn))
        return IPALLOC_OK;
    txn->token = token_new(txn->registry);
    if (txn->token == NULL)
        return IPALLOC_E_NOMEM;
    batch_put(&txn->batch, bytes_of(txn->token->key), WHEN_AT, 0);
    token_append(&txn->batch.bytes, true, txn->time_ms);
    batch_end_value(&txn->batch);
    return IPALLOC_OK;
}

static int build(ipalloc_txn *txn, ipalloc_error *error) {
    txn->time_ms = hooks_wall_ms(&txn->registry->hooks);
    if (batch_init(&txn->batch, &txn->registry->hooks, BATCH_CAPACITY) != IPALLOC_OK ||
        add_token(txn) != IPALLOC_OK)
        return error_no_memory(error);
    add_definitions(txn);
    add_leases(txn);
    int status = add_owner(txn, error);
    add_records(txn);
    if (status != IPALLOC_OK)
        return status;
    return batch_finish(&txn->batch) ? IPALLOC_OK : error_no_memory(error);
}

/* --- conflicts -------------------------------------------------------------------------------- */

static bool is_cached_key(ipalloc_bytes key) {
    static const char *const CACHED[] = {KEY_DEFINITIONS, PREFIX_LEASE, PREFIX_COOLING};
    for (size_t i = 0; i < sizeof CACHED / sizeof CACHED[0]; i++) {
        size_t length = strlen(CACHED[i]);
        if (key.size >= length && memcmp(key.data, CACHED[i], length) == 0)
            return true;
    }
    return false;
}

static int say_conflict(const ipalloc_op *op, ipalloc_error *error) {
    char quoted[300];
    text_quote(op->key.data, op->key.size, quoted, sizeof quoted);
    if (op->condition == IPALLOC_IF_ABSENT)
        return error_set(error, IPALLOC_E_CONFLICT, "%s is in the store already", quoted);
    return error_set(error, IPALLOC_E_CONFLICT, "%s is no longer at revision %" PRIu64, quoted,
                     op->revision);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void undo_all(ipalloc_txn *txn) {
    gate_enter(&txn->registry->gate);
    for (size_t i = 0; i < txn->lease_count; i++)
        draw_undo(txn, txn->leases[i]);
    gate_leave(&txn->registry->gate);
}

/* Undo everything and free it; `status` is what the caller is to answer. */
static int give_up(ipalloc_txn *txn, int status) {
    undo_all(txn);
    txn_free(txn);
    return status;
}

static void spend_token(ipalloc_txn *txn) {
    if (txn->token == NULL)
        return;
    token_spend(txn->registry, txn->token);
    txn->token = NULL;
}

/* It is committed: what it claimed are leases now. Inside the gate; a second time does nothing. */
static void confirm_leases(ipalloc_txn *txn) {
    txn->commit_ms = hooks_monotonic_ms(&txn->registry->hooks) - txn->commit_at_ms;
    for (size_t i = 0; i < txn->lease_count; i++)
        draw_committed(txn, txn->leases[i]);
}

static int confirm(ipalloc_txn *txn, uint64_t at, uint64_t *revision) {
    gate_enter(&txn->registry->gate);
    confirm_leases(txn);
    gate_leave(&txn->registry->gate);
    spend_token(txn);
    if (revision != NULL)
        *revision = at;
    txn_free(txn);
    return IPALLOC_OK;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Old tokens travel with the first sending of a batch, and only there. */
static size_t add_old_tokens(ipalloc_txn *txn, spent_token **taken) {
    size_t count = 0;
    while (tokens_are_used(txn->registry) && count < OLD_TOKENS_PER_COMMIT) {
        spent_token *token = token_take_old(txn->registry);
        if (token == NULL)
            break;
        taken[count++] = token;
        batch_builder *b = &txn->batch;
        b->ops[b->count++] = (ipalloc_op){.kind = IPALLOC_OP_DELETE, .key = bytes_of(token->key)};
    }
    return count;
}

static void end_old_tokens(ipalloc_txn *txn, spent_token **taken, size_t count, bool deleted) {
    txn->batch.count -= count;
    for (size_t i = 0; i < count; i++) {
        if (deleted)
            hooks_free(&txn->registry->hooks, taken[i]);
        else
            token_give_back(txn->registry, taken[i]);
    }
}

static int send(ipalloc_txn *txn, ipalloc_batch *batch, ipalloc_error *error) {
    spent_token *taken[OLD_TOKENS_PER_COMMIT];
    size_t count = add_old_tokens(txn, taken);
    *batch = (ipalloc_batch){.ops = txn->batch.ops, .op_count = txn->batch.count};
    int status = registry_commit_batch(txn->registry, batch, error);
    end_old_tokens(txn, taken, count, status == IPALLOC_OK);
    if (status == IPALLOC_E_CONFLICT && batch->failed_op < txn->batch.count)
        say_conflict(&txn->batch.ops[batch->failed_op], error);
    return status;
}

/* --- unknown outcomes ------------------------------------------------------------------------- */

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
static int check_writable(ipalloc_registry *registry, ipalloc_bytes any_key, ipalloc_error *error) {
    ipalloc_op look = {.kind = IPALLOC_OP_CHECK, .condition = IPALLOC_IF_ANY, .key = any_key};
    ipalloc_batch batch = {.ops = &look, .op_count = 1};
    return registry_commit_batch(registry, &batch, error);
}

/* Did it happen? By reading, in a store where nothing happens late. */
static int resolve_by_reading(ipalloc_txn *txn, bool *happened, uint64_t *at,
                              ipalloc_error *error) {
    const ipalloc_op *op = telling_op(txn);
    *happened = false;
    if (op == NULL)
        return IPALLOC_OK;
    evidence e = {.expected = op->value};
    int status = ipalloc_store_get(txn->registry->store, op->key, weigh_evidence, &e, error);
    if (status != IPALLOC_OK && status != IPALLOC_E_NOT_FOUND)
        return status;
    *at = e.revision;
    if (op->kind == IPALLOC_OP_DELETE)
        *happened =
            !e.present || (op->condition == IPALLOC_IF_REVISION && e.revision != op->revision);
    else
        *happened = e.present && e.equal &&
                    (op->condition != IPALLOC_IF_REVISION || e.revision != op->revision);
    return *happened ? IPALLOC_OK : check_writable(txn->registry, op->key, error);
}

static int stay_unknown(ipalloc_txn *txn, ipalloc_error *error) {
    txn->unknown = true;
    return error_set(error, IPALLOC_E_UNKNOWN_OUTCOME,
                     "it is not known whether the commit took effect: commit again to find out, or "
                     "abort");
}

static int settle_without_token(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    bool happened;
    uint64_t at;
    if (resolve_by_reading(txn, &happened, &at, NULL) != IPALLOC_OK)
        return stay_unknown(txn, error);
    if (happened)
        return confirm(txn, at, revision);
    error_set(error, IPALLOC_E_UNAVAILABLE, "the commit did not take effect");
    return give_up(txn, IPALLOC_E_UNAVAILABLE);
}

/* The batch was refused now, but its first sending may still arrive: settle which it is. */
static int settle_refused(ipalloc_txn *txn, uint64_t *revision, int status, ipalloc_error *error) {
    enum token_state state;
    uint64_t at;
    if (token_settle(txn->registry, txn->token, &state, &at, NULL) != IPALLOC_OK)
        return stay_unknown(txn, error);
    if (state == TOKEN_COMMITTED)
        return confirm(txn, at, revision);
    spend_token(txn);
    if (status == IPALLOC_E_CONFLICT)
        cache_catch_up(txn->registry, NULL);
    return give_up(txn, status);
}

static int send_again(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    ipalloc_batch batch;
    int status = send(txn, &batch, error);
    if (status == IPALLOC_OK)
        return confirm(txn, batch.revision, revision);
    if (status == IPALLOC_E_CONFLICT)
        return settle_refused(txn, revision, status, error);
    return stay_unknown(txn, error);
}

/* commit, called once more. */
static int resolve(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    enum token_state state;
    uint64_t at;
    if (txn->token == NULL)
        return settle_without_token(txn, revision, error);
    if (token_read(txn->registry, txn->token, &state, &at, NULL) != IPALLOC_OK)
        return stay_unknown(txn, error);
    if (state == TOKEN_COMMITTED)
        return confirm(txn, at, revision);
    if (state == TOKEN_ABSENT)
        return send_again(txn, revision, error);
    error_set(error, IPALLOC_E_CONFLICT, "the transaction was settled as aborted");
    spend_token(txn);
    return give_up(txn, IPALLOC_E_CONFLICT);
}

/* --- commit and abort ------------------------------------------------------------------------- */

/* A dry-run's commit. */
static int rehearse(ipalloc_txn *txn, ipalloc_error *error) {
    size_t failed_op;
    gate_enter(&txn->registry->gate); /* definitions are read */
    int status = build(txn, error);
    gate_leave(&txn->registry->gate);
    if (status == IPALLOC_OK)
        status = conditions_judge(txn->registry, &txn->batch, &failed_op, error);
    return status == IPALLOC_E_CONFLICT ? say_conflict(&txn->batch.ops[failed_op], error) : status;
}

/* Nothing to write, and reading proves it. */
static int prove(ipalloc_txn *txn, ipalloc_batch *batch, ipalloc_error *error) {
    int status = conditions_prove(txn->registry, &txn->batch, &batch->failed_op, error);
    if (status == IPALLOC_E_CONFLICT)
        say_conflict(&txn->batch.ops[batch->failed_op], error);
    return status;
}

/* Build and send, inside the gate, so that definitions stay as they are until memory has followed.
 * On OK the leases are confirmed. */
static int build_and_send(ipalloc_txn *txn, ipalloc_batch *batch, ipalloc_error *error) {
    gate_enter(&txn->registry->gate);
    int status = build(txn, error);
    if (status == IPALLOC_OK) {
        bool by_reading = conditions_can_be_proved(&txn->batch);
        status = by_reading ? prove(txn, batch, error) : send(txn, batch, error);
        if (status == IPALLOC_OK)
            confirm_leases(txn);
    }
    gate_leave(&txn->registry->gate);
    return status;
}

static int end_unchanged(ipalloc_txn *txn, uint64_t *revision) {
    if (revision != NULL)
        *revision = 0;
    return give_up(txn, IPALLOC_OK);
}

/* Another server has a lease that the memory did not know: our undo must leave its bit. */
static void note_lease_of_others(ipalloc_txn *txn, ipalloc_bytes key) {
    evidence e = {0};
    place_key parts;
    place p;
    if (!key_split_place(key, PREFIX_LEASE, &parts) ||
        ipalloc_store_get(txn->registry->store, key, weigh_evidence, &e, NULL) != IPALLOC_OK)
        return;
    gate_enter(&txn->registry->gate);
    ipalloc_pool *pool = cache_find_pool(txn->registry, parts.pool, parts.pool_length);
    if (place_parse_key(pool->kind, parts.place, parts.place_length, &p))
        claims_note_seen(&txn->registry->claims, pool, &p, CLAIM_SEEN_PRESENT);
    gate_leave(&txn->registry->gate);
}

static int end_after_conflict(ipalloc_txn *txn, const ipalloc_batch *batch) {
    if (batch->failed_op < txn->batch.count) {
        ipalloc_bytes key = txn->batch.ops[batch->failed_op].key;
        if (is_cached_key(key))
            cache_catch_up(txn->registry, NULL); /* where it fails, the next conflict tries again */
        note_lease_of_others(txn, key);
    }
    return give_up(txn, IPALLOC_E_CONFLICT);
}

int ipalloc_txn_commit(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    if (txn == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the transaction must not be NULL");
    if (txn->unknown)
        return resolve(txn, revision, error);
    txn->commit_at_ms = hooks_monotonic_ms(&txn->registry->hooks);
    if (!has_any_step(txn))
        return end_unchanged(txn, revision);
    int status = txn_check_deadline(txn, error);
    if (status != IPALLOC_OK)
        return give_up(txn, status);
    if (txn->dry_run) {
        status = rehearse(txn, error);
        return status == IPALLOC_OK ? end_unchanged(txn, revision) : give_up(txn, status);
    }
    ipalloc_batch batch = {.failed_op = SIZE_MAX};
    status = build_and_send(txn, &batch, error);
    if (status == IPALLOC_OK)
        return confirm(txn, batch.revision, revision);
    if (status == IPALLOC_E_CONFLICT)
        return end_after_conflict(txn, &batch);
    if (status != IPALLOC_E_UNKNOWN_OUTCOME)
        return give_up(txn, status);
    return txn->token != NULL ? stay_unknown(txn, error)
                              : settle_without_token(txn, revision, error);
}

/* Nobody can say how it ended: its claims stay until the registry is opened again. */
static void strand(ipalloc_txn *txn) {
    ipalloc_registry *registry = txn->registry;
    hooks_log(
        &registry->hooks, IPALLOC_LOG_WARNING,
        "an aborted transaction's outcome could not be settled: what it claimed stays claimed "
        "until the registry is opened again");
    pthread_mutex_lock(&registry->token_mutex);
    txn->next_stranded = registry->stranded;
    registry->stranded = txn;
    pthread_mutex_unlock(&registry->token_mutex);
}

static void abort_unknown(ipalloc_txn *txn) {
    enum token_state state = TOKEN_ABORTED;
    uint64_t at;
    bool happened = false;
    int status;
    if (txn->token != NULL) {
        status = token_settle(txn->registry, txn->token, &state, &at, NULL);
        happened = state == TOKEN_COMMITTED;
    } else {
        status = resolve_by_reading(txn, &happened, &at, NULL);
    }
    if (status != IPALLOC_OK) {
        strand(txn);
    } else if (happened) {
        confirm(txn, at, NULL);
    } else {
        spend_token(txn);
        give_up(txn, IPALLOC_OK);
    }
}

void ipalloc_txn_abort(ipalloc_txn *txn) {
    if (txn == NULL)
        return;
    if (txn->unknown)
        abort_unknown(txn);
    else
        give_up(txn, IPALLOC_OK);
}
