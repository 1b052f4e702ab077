/*
 * owner.c: the owner's record, and a transaction's list of leases that starts from it.
 *
 * One record per owner decides what the owner holds in which slot: every batch that changes it is
 * conditional on the revision that was read, so that of two transactions of one owner only one
 * commits. Cost: reading is linear in what the owner holds; finding by place is a binary search, by
 * slot a walk.
 */
#include "registry/txn.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* --- leases ----------------------------------------------------------------------------------- */

txn_lease *lease_new(ipalloc_txn *txn, ipalloc_pool *pool) {
    txn_lease *lease = hooks_alloc_zeroed(&txn->registry->hooks, sizeof *lease);
    if (lease != NULL) {
        lease->claim.pool = pool;
        lease->claim.owner = txn->owner;
    }
    return lease;
}

void lease_free(const hooks *h, txn_lease *lease) {
    if (lease == NULL)
        return;
    assert(!lease->claim.listed);
    hooks_free(h, lease->slots);
    hooks_free(h, lease);
}

static size_t slot_index(const txn_lease *lease, const char *slot) {
    size_t i = 0;
    while (i < lease->slot_count && strcmp(lease->slots[i], slot) != 0)
        i++;
    return i;
}

bool lease_has_slot(const txn_lease *lease, const char *slot) {
    return slot_index(lease, slot) < lease->slot_count;
}

int lease_add_slot(const hooks *h, txn_lease *lease, const char *slot, ipalloc_error *error) {
    assert(slot_is_valid(slot) && !lease_has_slot(lease, slot));
    if (lease->slot_count == IPALLOC_LEASE_SLOTS_MAX)
        return error_set(error, IPALLOC_E_INVALID, "an address has at most %d slots",
                         IPALLOC_LEASE_SLOTS_MAX);
    slot_name *slots =
        hooks_realloc(h, lease->slots, (lease->slot_count + 1) * sizeof lease->slots[0]);
    if (slots == NULL)
        return error_no_memory(error);
    lease->slots = slots;
    memcpy(slots[lease->slot_count++], slot, strlen(slot) + 1);
    return IPALLOC_OK;
}

void lease_drop_slot(txn_lease *lease, const char *slot) {
    size_t i = slot_index(lease, slot);
    assert(i < lease->slot_count);
    lease->slot_count--;
    memmove(lease->slots[i], lease->slots[i + 1], (lease->slot_count - i) * sizeof lease->slots[0]);
}

/* --- the list --------------------------------------------------------------------------------- */

static int compare_keys(const ipalloc_pool *a_pool, const place *a, const ipalloc_pool *b_pool,
                        const place *b) {
    int order = a_pool == b_pool ? 0 : strcmp(a_pool->name, b_pool->name);
    return order != 0 ? order : place_compare(a, b);
}

/* The first index whose lease is not before (pool, place). */
static size_t lower_bound(const ipalloc_txn *txn, const ipalloc_pool *pool, const place *p) {
    size_t low = 0, high = txn->lease_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const claim *c = &txn->leases[middle]->claim;
        if (compare_keys(c->pool, &c->place, pool, p) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

txn_lease *owner_find_place(const ipalloc_txn *txn, const ipalloc_pool *pool, const place *p) {
    size_t i = lower_bound(txn, pool, p);
    if (i == txn->lease_count)
        return NULL;
    const claim *c = &txn->leases[i]->claim;
    return compare_keys(c->pool, &c->place, pool, p) == 0 ? txn->leases[i] : NULL;
}

txn_lease *owner_find_slot(const ipalloc_txn *txn, const ipalloc_pool *pool, const char *slot) {
    for (size_t i = 0; i < txn->lease_count; i++) {
        txn_lease *lease = txn->leases[i];
        if (lease->claim.pool == pool && !lease->removed && lease_has_slot(lease, slot))
            return lease;
    }
    return NULL;
}

int owner_make_room(ipalloc_txn *txn, ipalloc_error *error) {
    if (txn->lease_count < txn->lease_capacity)
        return IPALLOC_OK;
    size_t capacity = txn->lease_capacity > 0 ? 2 * txn->lease_capacity : 8;
    txn_lease **leases =
        hooks_realloc(&txn->registry->hooks, txn->leases, capacity * sizeof leases[0]);
    if (leases == NULL)
        return error_no_memory(error);
    txn->leases = leases;
    txn->lease_capacity = capacity;
    return IPALLOC_OK;
}

void owner_insert(ipalloc_txn *txn, txn_lease *lease) {
    assert(txn->lease_count < txn->lease_capacity);
    size_t i = lower_bound(txn, lease->claim.pool, &lease->claim.place);
    memmove(&txn->leases[i + 1], &txn->leases[i], (txn->lease_count - i) * sizeof txn->leases[0]);
    txn->leases[i] = lease;
    txn->lease_count++;
}

void owner_remove(ipalloc_txn *txn, txn_lease *lease) {
    size_t i = lower_bound(txn, lease->claim.pool, &lease->claim.place);
    assert(i < txn->lease_count && txn->leases[i] == lease);
    txn->lease_count--;
    memmove(&txn->leases[i], &txn->leases[i + 1], (txn->lease_count - i) * sizeof txn->leases[0]);
}

/* --- the record ------------------------------------------------------------------------------- */

void owner_append(text_buffer *t, const ipalloc_txn *txn) {
    for (size_t i = 0; i < txn->lease_count; i++) {
        const txn_lease *lease = txn->leases[i];
        char address[IPALLOC_ADDR_TEXT];
        if (lease->removed)
            continue;
        text_format(t, "lease=%s %s %" PRIu64 " %" PRIu64, lease->claim.pool->name,
                    place_format(&lease->claim.place, address), lease->generation, lease->time_ms);
        for (size_t slot = 0; slot < lease->slot_count; slot++) {
            text_append_text(t, " ");
            text_append_word(t, lease->slots[slot], strlen(lease->slots[slot]));
        }
        text_append_text(t, "\n");
    }
}

enum { PARSE_DAMAGED = 1, PARSE_UNKNOWN_POOL = 2 };

static bool number_take(ipalloc_bytes *line, uint64_t max, uint64_t *out) {
    ipalloc_bytes word;
    return word_take(line, &word) && text_parse_decimal(word.data, word.size, max, out);
}

/* The numbers and slots behind pool and address. OK; NOMEM; PARSE_DAMAGED. */
static int parse_rest(const hooks *h, ipalloc_bytes line, txn_lease *lease) {
    ipalloc_bytes word;
    if (!number_take(&line, ((uint64_t)1 << GENERATION_BITS) - 1, &lease->generation) ||
        lease->generation == 0 || !number_take(&line, UINT64_MAX, &lease->time_ms))
        return PARSE_DAMAGED;
    while (word_take(&line, &word)) {
        slot_name slot;
        if (!word_parse(word.data, word.size, slot, sizeof slot) || lease_has_slot(lease, slot) ||
            lease->slot_count == IPALLOC_LEASE_SLOTS_MAX)
            return PARSE_DAMAGED;
        int status = lease_add_slot(h, lease, slot, NULL);
        if (status != IPALLOC_OK)
            return status;
    }
    return lease->slot_count > 0 && line.data == NULL && word.size > 0 ? IPALLOC_OK : PARSE_DAMAGED;
}

static int parse_line(ipalloc_txn *txn, ipalloc_bytes line) {
    ipalloc_bytes name, address;
    place p;
    if (!word_take(&line, &name) || !pool_name_is_valid(name.data, name.size) ||
        !word_take(&line, &address))
        return PARSE_DAMAGED;
    ipalloc_pool *pool = cache_find_pool(txn->registry, name.data, name.size);
    if (pool == NULL)
        return PARSE_UNKNOWN_POOL;
    if (!place_parse(pool->kind, address.data, address.size, &p) ||
        lower_bound(txn, pool, &p) != txn->lease_count || owner_find_place(txn, pool, &p) != NULL)
        return PARSE_DAMAGED; /* also where it is out of order */
    if (owner_make_room(txn, NULL) != IPALLOC_OK)
        return IPALLOC_E_NOMEM;
    txn_lease *lease = lease_new(txn, pool);
    if (lease == NULL)
        return IPALLOC_E_NOMEM;
    lease->claim.place = p;
    lease->stored = true;
    int status = parse_rest(&txn->registry->hooks, line, lease);
    if (status == IPALLOC_OK)
        owner_insert(txn, lease);
    else
        lease_free(&txn->registry->hooks, lease);
    return status;
}

static void forget_leases(ipalloc_txn *txn) {
    while (txn->lease_count > 0)
        lease_free(&txn->registry->hooks, txn->leases[--txn->lease_count]);
}

static int parse_record(ipalloc_txn *txn, ipalloc_bytes value) {
    line_reader lines = lines_of(value);
    ipalloc_bytes line;
    int status = IPALLOC_OK;
    while (status == IPALLOC_OK && line_take(&lines, "lease", &line))
        status = parse_line(txn, line);
    if (status == IPALLOC_OK && (!lines_ended(&lines) || txn->lease_count == 0))
        status = PARSE_DAMAGED;
    if (status != IPALLOC_OK)
        forget_leases(txn);
    return status;
}

int owner_parse(ipalloc_txn *txn, ipalloc_bytes value) {
    return parse_record(txn, value);
}

void owner_forget(ipalloc_txn *txn) {
    forget_leases(txn);
}

/* Another server may have defined a pool that we have not heard of: look once more then. */
static int parse_with_pools(ipalloc_txn *txn, ipalloc_bytes value, ipalloc_error *error) {
    ipalloc_registry *registry = txn->registry;
    gate_enter(&registry->gate);
    int status = parse_record(txn, value);
    gate_leave(&registry->gate);
    if (status == PARSE_UNKNOWN_POOL) {
        status = cache_catch_up(registry, error);
        if (status != IPALLOC_OK)
            return status;
        gate_enter(&registry->gate);
        status = parse_record(txn, value);
        gate_leave(&registry->gate);
    }
    if (status == IPALLOC_E_NOMEM)
        return error_no_memory(error);
    if (status != IPALLOC_OK)
        return record_corrupt(error, bytes_of_buffer(&txn->owner_key),
                              status == PARSE_UNKNOWN_POOL ? "names a pool that is not defined"
                                                           : "is not an owner record");
    return IPALLOC_OK;
}

/* What was claimed for a new owner cannot be joined to a record: another slot may be the same. */
static int take_record(ipalloc_txn *txn, ipalloc_bytes value, ipalloc_error *error) {
    if (txn->lease_count == 0)
        return parse_with_pools(txn, value, error);
    return error_set(error, IPALLOC_E_CONFLICT,
                     "the owner was expected to hold nothing, and holds something");
}

int owner_load(ipalloc_txn *txn, ipalloc_error *error) {
    if (txn->owner_loaded)
        return IPALLOC_OK;
    fetched record;
    int status = registry_fetch(txn->registry, bytes_of_buffer(&txn->owner_key), &record, error);
    if (status == IPALLOC_E_NOT_FOUND) {
        txn->owner_loaded = true;
        return IPALLOC_OK;
    }
    if (status != IPALLOC_OK)
        return status;
    status = take_record(txn, bytes_of_buffer(&record.value), error);
    if (status == IPALLOC_OK) {
        txn->owner_revision = record.revision;
        txn->owner_loaded = true;
    }
    text_free(&record.value);
    return status;
}

int owner_load_or_presume(ipalloc_txn *txn, ipalloc_error *error) {
    if (!txn->owner_is_new)
        return owner_load(txn, error);
    txn->owner_presumed = true;
    return IPALLOC_OK;
}

/* --- touching --------------------------------------------------------------------------------- */

int txn_check_room(const ipalloc_txn *txn, size_t more, ipalloc_error *error) {
    if (txn->touched_count + more > IPALLOC_TXN_ADDRESSES_MAX)
        return error_set(error, IPALLOC_E_INVALID, "a transaction changes at most %d addresses",
                         IPALLOC_TXN_ADDRESSES_MAX);
    return IPALLOC_OK;
}

static bool agrees(const txn_lease *lease, const ipalloc_lease *stored, const char *owner) {
    if (strcmp(stored->owner, owner) != 0 || stored->generation != lease->generation ||
        stored->time_ms != lease->time_ms || stored->slot_count != lease->slot_count)
        return false;
    for (size_t i = 0; i < lease->slot_count; i++)
        if (strcmp(stored->slots[i], lease->slots[i]) != 0)
            return false;
    return true;
}

/* The two records of a lease differ: somebody changed both since, or they are damaged. */
static int judge_difference(ipalloc_txn *txn, ipalloc_bytes lease_key, ipalloc_error *error) {
    fetched record;
    int status = registry_fetch(txn->registry, bytes_of_buffer(&txn->owner_key), &record, error);
    if (status == IPALLOC_OK)
        text_free(&record.value);
    else if (status != IPALLOC_E_NOT_FOUND)
        return status;
    if (status == IPALLOC_OK && record.revision == txn->owner_revision)
        return record_corrupt(error, lease_key, "does not say what its owner's record says");
    return error_set(error, IPALLOC_E_CONFLICT,
                     "another transaction of this owner was committed in the meantime");
}

static int read_stored(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    record_key key = key_of_lease(lease->claim.pool->name, &lease->claim.place);
    fetched record;
    ipalloc_lease stored;
    int status = registry_fetch(txn->registry, bytes_of_key(&key), &record, error);
    if (status == IPALLOC_E_NOT_FOUND)
        return judge_difference(txn, bytes_of_key(&key), error);
    if (status != IPALLOC_OK)
        return status;
    bool fine = lease_parse(bytes_of_buffer(&record.value), &lease->claim.place, &stored);
    text_free(&record.value);
    if (!fine)
        return record_corrupt(error, bytes_of_key(&key), "is not a lease record");
    if (!agrees(lease, &stored, txn->owner))
        return judge_difference(txn, bytes_of_key(&key), error);
    lease->stored_revision = record.revision;
    return IPALLOC_OK;
}

int lease_touch(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    if (lease->touched)
        return IPALLOC_OK;
    int status = txn_check_room(txn, 1, error);
    if (status == IPALLOC_OK && lease->stored)
        status = read_stored(txn, lease, error);
    if (status != IPALLOC_OK)
        return status;
    lease->touched = true;
    txn->touched_count++;
    return IPALLOC_OK;
}
