/*
 * commit.c: a transaction's one batch, and its end.
 *
 * The batch is conditional on everything the transaction relied on: the definitions' revision if it
 * claimed anything, the owner's record, each lease it changes, each condition of the caller. Claims
 * become leases, and releases free their bits, only after the store has said OK. What follows where
 * it says UNKNOWN_OUTCOME is in unknown.c.
 */
#include "registry/conditions.h"
#include "registry/pool_change.h"
#include "registry/unknown.h"

#include <inttypes.h>
#include <string.h>

enum {
    /* definitions, owner; a lease and a cooling record an address; records */
    BATCH_CAPACITY = 2 + 2 * IPALLOC_TXN_ADDRESSES_MAX + IPALLOC_TXN_RECORDS_MAX
};

/* --- building the batch ----------------------------------------------------------------------- */

static bool has_any_step(const ipalloc_txn *txn) {
    return txn->touched_count > 0 || txn->record_count > 0;
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
    key = key_of_cooling(c->pool->name, &c->place);
    if (lease->cooling_revision != 0)
        batch_delete(b, bytes_of_key(&key), WHEN_AT, lease->cooling_revision);
    else if (!lease->stored && atomic_load_relaxed(&c->pool->has_cooling) != 0)
        batch_check(b, bytes_of_key(&key), 0); /* nobody held it and released it meanwhile */
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
    if (!txn->owner_loaded && !txn->owner_presumed)
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

static int build(ipalloc_txn *txn, ipalloc_error *error) {
    txn->time_ms = hooks_wall_ms(&txn->registry->hooks);
    if (batch_init(&txn->batch, &txn->registry->hooks, BATCH_CAPACITY) != IPALLOC_OK)
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

static bool has_prefix(ipalloc_bytes key, const char *prefix) {
    size_t length = strlen(prefix);
    return key.size >= length && memcmp(key.data, prefix, length) == 0;
}

/* Let the memory know better next time. Of a lease or its rest it is enough to take in what has
 * arrived by itself: the lease is read below, and a rest is read when it is met again. Where it
 * fails, the next conflict tries again. */
static void learn_from(ipalloc_registry *registry, ipalloc_bytes key) {
    if (has_prefix(key, KEY_DEFINITIONS))
        cache_catch_up(registry, NULL);
    else if (has_prefix(key, PREFIX_LEASE) || has_prefix(key, PREFIX_COOLING))
        cache_take_in(registry, NULL);
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

int commit_give_up(ipalloc_txn *txn, int status) {
    undo_all(txn);
    txn_free(txn);
    return status;
}

/* It is committed: what it claimed are leases now. Inside the gate; a second time does nothing. */
static void confirm_leases(ipalloc_txn *txn, uint64_t at) {
    txn->commit_ms = hooks_monotonic_ms(&txn->registry->hooks) - txn->commit_at_ms;
    draw_committed(txn, at);
}

int commit_confirm(ipalloc_txn *txn, uint64_t at, uint64_t *revision) {
    gate_enter(&txn->registry->gate);
    confirm_leases(txn, at);
    gate_leave(&txn->registry->gate);
    if (revision != NULL)
        *revision = at;
    txn_free(txn);
    return IPALLOC_OK;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Inside the gate, so that definitions stay as they are until memory has followed. On OK the leases
 * are confirmed. */
static int send(ipalloc_txn *txn, ipalloc_batch *batch, ipalloc_error *error) {
    *batch = (ipalloc_batch){.ops = txn->batch.ops,
                             .op_count = txn->batch.count,
                             .timeout_ms = txn_time_left(txn),
                             .failed_op = SIZE_MAX};
    int status = registry_send_batch(txn->registry, batch, error);
    if (status == IPALLOC_OK)
        confirm_leases(txn, batch->revision);
    if (status == IPALLOC_E_CONFLICT && batch->failed_op < txn->batch.count)
        say_conflict(&txn->batch.ops[batch->failed_op], error);
    return status;
}

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

/* Enter the gate with no definition's outcome unknown: what is claimed under the old ones must not
 * come between that change and its taking effect. */
static int enter_gate(ipalloc_txn *txn, ipalloc_error *error) {
    ipalloc_registry *registry = txn->registry;
    for (;;) {
        gate_enter(&registry->gate);
        if (!txn->drew || registry->unsettled_definition == 0)
            return IPALLOC_OK;
        gate_leave(&registry->gate);
        int status = pool_change_settle(registry, error);
        if (status != IPALLOC_OK)
            return status;
    }
}

/* Nothing has happened where this is not OK. */
static int build_and_send(ipalloc_txn *txn, ipalloc_batch *batch, ipalloc_error *error) {
    int status = enter_gate(txn, error);
    if (status != IPALLOC_OK)
        return status;
    status = build(txn, error);
    if (status == IPALLOC_OK)
        status = conditions_can_be_proved(&txn->batch) ? prove(txn, batch, error)
                                                       : send(txn, batch, error);
    gate_leave(&txn->registry->gate);
    return status;
}

static int end_unchanged(ipalloc_txn *txn, uint64_t *revision) {
    if (revision != NULL)
        *revision = 0;
    return commit_give_up(txn, IPALLOC_OK);
}

static int note_revision(void *context, const ipalloc_entry *entry) {
    *(uint64_t *)context = entry->revision;
    return IPALLOC_OK;
}

/* Another server has a lease that the memory did not know: our undo must leave its bit. */
static void note_lease_of_others(ipalloc_txn *txn, ipalloc_bytes key) {
    place_key parts;
    place p;
    uint64_t revision;
    if (!key_split_place(key, PREFIX_LEASE, &parts) ||
        ipalloc_store_get(txn->registry->store, key, note_revision, &revision, NULL) != IPALLOC_OK)
        return;
    gate_enter(&txn->registry->gate);
    ipalloc_pool *pool = cache_find_pool(txn->registry, parts.pool, parts.pool_length);
    if (place_parse_key(pool->kind, parts.place, parts.place_length, &p)) {
        txn_lease *lease = owner_find_place(txn, pool, &p);
        if (lease != NULL)
            cache_note_lease(txn->registry, &lease->claim, revision);
    }
    gate_leave(&txn->registry->gate);
}

static int end_after_conflict(ipalloc_txn *txn, const ipalloc_batch *batch) {
    if (batch->failed_op < txn->batch.count) {
        ipalloc_bytes key = txn->batch.ops[batch->failed_op].key;
        learn_from(txn->registry, key);
        note_lease_of_others(txn, key);
    }
    return commit_give_up(txn, IPALLOC_E_CONFLICT);
}

/* What the store has answered. */
static int end_sending(ipalloc_txn *txn, const ipalloc_batch *batch, int status, uint64_t *revision,
                       ipalloc_error *error) {
    ipalloc_registry *registry = txn->registry;
    if (status == IPALLOC_E_CONFLICT)
        return end_after_conflict(txn, batch);
    if (status == IPALLOC_E_UNKNOWN_OUTCOME)
        return unknown_begin(txn, batch->ticket, revision, error);
    if (status != IPALLOC_OK)
        return commit_give_up(txn, status);
    commit_confirm(txn, batch->revision, revision);
    stranded_settle(registry); /* the store answers */
    return IPALLOC_OK;
}

int commit_send_again(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    ipalloc_batch batch = {.failed_op = SIZE_MAX};
    int status = txn_check_deadline(txn, error);
    if (status == IPALLOC_OK)
        status = enter_gate(txn, error);
    if (status == IPALLOC_OK) {
        status = send(txn, &batch, error);
        gate_leave(&txn->registry->gate);
    }
    return end_sending(txn, &batch, status, revision, error);
}

/* --- commit and abort ------------------------------------------------------------------------- */

int ipalloc_txn_commit(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error) {
    if (txn == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the transaction must not be NULL");
    if (txn->unknown)
        return unknown_resolve(txn, revision, error);
    txn->commit_at_ms = hooks_monotonic_ms(&txn->registry->hooks);
    if (!has_any_step(txn))
        return end_unchanged(txn, revision);
    int status = txn_check_deadline(txn, error);
    if (status != IPALLOC_OK)
        return commit_give_up(txn, status);
    if (txn->dry_run) {
        status = rehearse(txn, error);
        return status == IPALLOC_OK ? end_unchanged(txn, revision) : commit_give_up(txn, status);
    }
    ipalloc_batch batch = {.failed_op = SIZE_MAX};
    status = build_and_send(txn, &batch, error);
    return end_sending(txn, &batch, status, revision, error);
}

void ipalloc_txn_abort(ipalloc_txn *txn) {
    if (txn == NULL)
        return;
    if (txn->unknown)
        unknown_abort(txn);
    else
        commit_give_up(txn, IPALLOC_OK);
}
