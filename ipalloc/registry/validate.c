/*
 * validate.c: proving in place that the store and the memory say the same.
 *
 * Alone in the gate: reads every record once. Each lease has its bit, its owner's record names it
 * with the same slots, generation and time, and nothing else; each bit has its lease; the counts of
 * each range add up. Leases and owners' records are compared by two sums over what both say of each
 * lease, mixed; only where the sums differ is each owner's every lease looked up, to name it.
 * Cost: one pass over leases and owners, and then three look-ups by key for each owner.
 */
#include "registry/txn.h"

#include <string.h>

/* How often others may write while all is compared. */
enum { LOOKS_MAX = 16 };

/* What one pass over the leases collects per pool. */
typedef struct check {
    ipalloc_registry *registry;
    ipalloc_error *error;
    uint64_t lease_slots;          /* slots of all leases */
    uint64_t owner_slots;          /* slots of all owner records */
    uint64_t lease_sum, owner_sum; /* over what leases and what owners' records say */
    ipalloc_txn *reading;          /* the owner's record that is being read; alone in the gate */
    uint64_t lease_count;          /* of the pool being read */
    const ipalloc_pool *pool;
    size_t prefix_length;
} check;

static int say_place(const check *v, const place *p, const char *what) {
    char address[IPALLOC_ADDR_TEXT];
    return error_set(v->error, IPALLOC_E_CORRUPT, "%s of pool %s %s", place_format(p, address),
                     v->pool->name, what);
}

/* --- sums --------------------------------------------------------------------------------------
 */

static uint64_t mix_bytes(uint64_t sum, const void *bytes, size_t length) {
    const unsigned char *b = bytes;
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ b[i]) * 0x100000001b3u; /* FNV-1a */
    return random_mix(sum ^ length);
}

/* Of two that differ in anything the sums agree by chance only, one in 2^64. */
static uint64_t sum_of_lease(const ipalloc_pool *pool, const place *p, const char *owner,
                             uint64_t generation, uint64_t time_ms, slot_name *slots,
                             size_t slot_count) {
    uint64_t numbers[] = {generation, time_ms, slot_count};
    uint64_t sum = mix_bytes(0xcbf29ce484222325u, pool->name, strlen(pool->name));
    sum = mix_bytes(sum, p, sizeof *p);
    sum = mix_bytes(sum, owner, strlen(owner));
    sum = mix_bytes(sum, numbers, sizeof numbers);
    for (size_t i = 0; i < slot_count; i++)
        sum = mix_bytes(sum, slots[i], strlen(slots[i]));
    return sum;
}

/* --- leases ----------------------------------------------------------------------------------- */

static bool place_of_key(const check *v, ipalloc_bytes key, place *p) {
    const char *text = (const char *)key.data + v->prefix_length;
    size_t length = key.size - v->prefix_length;
    return length > 0 && text[length - 1] == '/' &&
           place_parse_key(v->pool->kind, text, length - 1, p);
}

static int check_lease(void *context, const ipalloc_entry *entry) {
    check *v = context;
    place p;
    range_offset offset;
    ipalloc_lease lease;
    if (!place_of_key(v, entry->key, &p))
        return record_corrupt(v->error, entry->key, "the key names no address of its pool");
    if (!lease_parse(entry->value, &p, &lease))
        return record_corrupt(v->error, entry->key, "is not a lease record");
    const pool_range *range = pool_find_range(v->pool, &p, &offset);
    if (range == NULL)
        return say_place(v, &p, "is held and in no range");
    if (range_state_of(range->range, offset) != RANGE_HELD)
        return say_place(v, &p, "is held in the store and not in memory");
    v->lease_count++;
    v->lease_slots += lease.slot_count;
    v->lease_sum += sum_of_lease(v->pool, &p, lease.owner, lease.generation, lease.time_ms,
                                 lease.slots, lease.slot_count);
    return IPALLOC_OK;
}

static int check_cooling(void *context, const ipalloc_entry *entry) {
    check *v = context;
    place p;
    range_offset offset;
    uint64_t released_ms;
    char owner[IPALLOC_OWNER_MAX + 1];
    if (!place_of_key(v, entry->key, &p))
        return record_corrupt(v->error, entry->key, "the key names no address of its pool");
    if (!cooling_parse(entry->value, &released_ms, owner))
        return record_corrupt(v->error, entry->key, "is not a cooling record");
    const pool_range *range = pool_find_range(v->pool, &p, &offset);
    if (range != NULL && range_state_of(range->range, offset) == RANGE_HELD)
        return say_place(v, &p, "is held and has a cooling record");
    return IPALLOC_OK;
}

static void count_claim(void *context, claim *c) {
    *(uint64_t *)context += c->kind == CLAIM_TAKE;
}

static int check_bits(check *v) {
    uint64_t bits = 0, claims = 0;
    for (size_t i = 0; i < v->pool->set->count; i++) {
        const pool_range *range = &v->pool->set->ranges[i];
        ipalloc_range_stats stats = {.size = sizeof stats};
        int status = ipalloc_range_validate(range->range, v->error);
        if (status != IPALLOC_OK)
            return status;
        ipalloc_range_get_stats(range->range, &stats);
        bits += stats.total.used.low;
    }
    claims_visit(&v->registry->claims, v->pool, count_claim, &claims);
    if (bits != v->lease_count + claims)
        return error_set(v->error, IPALLOC_E_CORRUPT,
                         "pool %s: %llu bits are set, and the store has %llu leases", v->pool->name,
                         (unsigned long long)bits, (unsigned long long)v->lease_count);
    return IPALLOC_OK;
}

static int check_pool(check *v) {
    record_key prefix = key_of_pool_leases(v->pool->name);
    v->prefix_length = prefix.length;
    v->lease_count = 0;
    int status = ipalloc_store_scan(v->registry->store, bytes_of_key(&prefix), (ipalloc_bytes){0},
                                    0, check_lease, v, NULL, v->error);
    if (status == IPALLOC_OK)
        status = check_bits(v);
    if (status != IPALLOC_OK)
        return status;
    prefix = key_of_pool_cooling(v->pool->name);
    v->prefix_length = prefix.length;
    return ipalloc_store_scan(v->registry->store, bytes_of_key(&prefix), (ipalloc_bytes){0}, 0,
                              check_cooling, v, NULL, v->error);
}

/* --- owners, all at once ------------------------------------------------------------------------
 */

enum { NOT_IN_ORDER = 1 }; /* a visitor's answer: no status is positive */

static bool owner_of_key(ipalloc_bytes key, char name[IPALLOC_OWNER_MAX + 1]) {
    size_t length;
    const char *text = key.data, *end = text + key.size;
    return text_parse_key_part(text + strlen(PREFIX_OWNER), end, name, IPALLOC_OWNER_MAX + 1,
                               &length) == end &&
           length > 0 && strlen(name) == length;
}

static int add_owner(void *context, const ipalloc_entry *entry) {
    check *v = context;
    ipalloc_txn *txn = v->reading;
    if (!owner_of_key(entry->key, txn->owner))
        return NOT_IN_ORDER;
    int status = owner_parse(txn, entry->value);
    for (size_t i = 0; status == IPALLOC_OK && i < txn->lease_count; i++) {
        const txn_lease *lease = txn->leases[i];
        const ipalloc_pool *pool = lease->claim.pool;
        v->owner_sum += sum_of_lease(pool, &lease->claim.place, txn->owner, lease->generation,
                                     lease->time_ms, lease->slots, lease->slot_count);
        for (size_t slot = 0; slot < lease->slot_count; slot++)
            if (owner_find_slot(txn, pool, lease->slots[slot]) != lease)
                status = NOT_IN_ORDER;
    }
    owner_forget(txn);
    return status <= IPALLOC_OK ? status : NOT_IN_ORDER;
}

/* Do all owners' records together say what the leases say? Alone in the gate. OK; NOT_IN_ORDER;
 * or why they could not be read. */
static int compare_owners(check *v) {
    const hooks *h = &v->registry->hooks;
    v->reading = hooks_alloc_zeroed(h, sizeof *v->reading);
    if (v->reading == NULL)
        return error_no_memory(v->error);
    v->reading->registry = v->registry;
    int status = ipalloc_store_scan(v->registry->store, bytes_of(PREFIX_OWNER), (ipalloc_bytes){0},
                                    0, add_owner, v, NULL, v->error);
    hooks_free(h, v->reading->leases);
    hooks_free(h, v->reading);
    if (status == IPALLOC_E_NOMEM)
        return error_no_memory(v->error);
    return status == IPALLOC_OK && v->lease_sum != v->owner_sum ? NOT_IN_ORDER : status;
}

/* --- owners, one by one -------------------------------------------------------------------------
 */

/* Read one owner's record as a transaction would, and each lease that it names. */
static int check_owner(check *v, const char *owner) {
    ipalloc_txn_options options = {.size = sizeof options, .owner = owner, .dry_run = true};
    ipalloc_txn *txn;
    int status = ipalloc_begin(v->registry, &options, &txn, v->error);
    if (status != IPALLOC_OK)
        return status;
    status = owner_load(txn, v->error);
    for (size_t i = 0; status == IPALLOC_OK && i < txn->lease_count; i++) {
        txn_lease *lease = txn->leases[i];
        txn->touched_count = 0; /* reading only: no limit applies */
        status = lease_touch(txn, lease, v->error);
        for (size_t slot = 0; slot < lease->slot_count; slot++)
            if (owner_find_slot(txn, lease->claim.pool, lease->slots[slot]) != lease)
                status = record_corrupt(v->error, bytes_of_buffer(&txn->owner_key),
                                        "has one slot twice");
        v->owner_slots += lease->slot_count;
    }
    ipalloc_txn_abort(txn);
    return status;
}

/* The next owner's name after a key: records are walked one by one, because a visit must not call
 * the store. */
typedef struct next_owner {
    const check *check;
    text_buffer key;
    char name[IPALLOC_OWNER_MAX + 1];
} next_owner;

static int note_owner(void *context, const ipalloc_entry *entry) {
    next_owner *next = context;
    if (!owner_of_key(entry->key, next->name))
        return record_corrupt(next->check->error, entry->key, "the key names no owner");
    text_clear(&next->key);
    text_append(&next->key, entry->key.data, entry->key.size);
    return next->key.failed ? IPALLOC_E_NOMEM : IPALLOC_OK;
}

static int check_owners(check *v) {
    next_owner next = {.check = v};
    int status;
    text_init(&next.key, &v->registry->hooks);
    for (;;) {
        size_t before = next.key.length;
        char last[IPALLOC_OWNER_MAX + 1];
        memcpy(last, next.name, sizeof last);
        next.name[0] = '\0';
        status =
            ipalloc_store_scan(v->registry->store, bytes_of(PREFIX_OWNER),
                               bytes_of_buffer(&next.key), 1, note_owner, &next, NULL, v->error);
        if (status != IPALLOC_OK || next.name[0] == '\0' ||
            (before == next.key.length && strcmp(last, next.name) == 0))
            break;
        status = check_owner(v, next.name);
        if (status != IPALLOC_OK)
            break;
    }
    bool failed = next.key.failed;
    text_free(&next.key);
    return failed ? error_no_memory(v->error) : status;
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Keys under a pool's name that no pool has. */
static int check_key(void *context, const ipalloc_entry *entry) {
    const check *v = context;
    const char *slash = memchr(entry->key.data, '/', entry->key.size);
    const char *name = slash + 1;
    const char *end = (const char *)entry->key.data + entry->key.size;
    const char *name_end = memchr(name, '/', (size_t)(end - name));
    if (name_end == NULL || cache_find_pool(v->registry, name, (size_t)(name_end - name)) == NULL)
        return record_corrupt(v->error, entry->key, "names a pool that is not defined");
    return IPALLOC_OK;
}

static int check_keys(check *v) {
    static const char *const PREFIXES[] = {PREFIX_LEASE, PREFIX_COOLING, PREFIX_SIGHTING};
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < sizeof PREFIXES / sizeof PREFIXES[0]; i++)
        status = ipalloc_store_scan(v->registry->store, bytes_of(PREFIXES[i]), (ipalloc_bytes){0},
                                    0, check_key, v, NULL, v->error);
    return status;
}

/* One look; *known_to: what the memory knew when it was compared. */
static int look(ipalloc_registry *registry, uint64_t *known_to, ipalloc_error *error) {
    check v = {.registry = registry, .error = error};
    gate_enter_alone(&registry->gate);
    int status = cache_catch_up_alone(registry, error);
    *known_to = cache_seen_revision(registry);
    if (status == IPALLOC_OK)
        status = check_keys(&v);
    for (v.pool = registry->pools; status == IPALLOC_OK && v.pool != NULL; v.pool = v.pool->next)
        status = check_pool(&v);
    if (status == IPALLOC_OK)
        status = compare_owners(&v);
    gate_leave_alone(&registry->gate);
    if (status != NOT_IN_ORDER)
        return status;
    status = check_owners(&v);
    if (status == IPALLOC_OK && v.lease_slots != v.owner_slots)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "the leases have %llu slots, and the owners' records %llu",
                         (unsigned long long)v.lease_slots, (unsigned long long)v.owner_slots);
    return status;
}

/* What differs because another server wrote while it was compared is no damage. */
int ipalloc_registry_validate(ipalloc_registry *registry, ipalloc_error *error) {
    uint64_t known_to, revision;
    if (registry == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the registry must not be NULL");
    for (int number = 0; number < LOOKS_MAX; number++) {
        int status = look(registry, &known_to, error);
        if (status == IPALLOC_E_EXPIRED) /* forgotten while it was read */
            continue;
        if (status != IPALLOC_E_CORRUPT ||
            cache_store_revision(registry, &revision, NULL) != IPALLOC_OK || revision <= known_to)
            return status;
    }
    return error_set(error, IPALLOC_E_CONFLICT,
                     "other servers keep writing: nothing can be compared meanwhile");
}
