/*
 * query.c: looking: leases by address, by pool, by owner; and the caller's own records.
 *
 * Everything here is read from the store, never from the bitmap: what it shows is committed.
 */
#include "registry/held_back.h"
#include "registry/txn.h"

#include <string.h>

/* --- one lease -------------------------------------------------------------------------------- */

static void copy_lease(ipalloc_lease *out, const ipalloc_lease *full) {
    size_t size = out->size;
    memcpy(out, full, size < sizeof *full ? size : sizeof *full);
    out->size = size;
}

static bool is_in_range(ipalloc_registry *registry, const ipalloc_pool *pool, const place *p) {
    range_offset offset;
    gate_enter(&registry->gate);
    bool found = pool_find_range(pool, p, &offset) != NULL;
    gate_leave(&registry->gate);
    return found;
}

/* Another server may have added its range: that is said by a memory that has caught up. */
static int check_in_range(ipalloc_registry *registry, const ipalloc_pool *pool, const place *p,
                          ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT];
    if (is_in_range(registry, pool, p))
        return IPALLOC_OK;
    int status = cache_catch_up(registry, error);
    if (status != IPALLOC_OK || is_in_range(registry, pool, p))
        return status;
    return error_set(error, IPALLOC_E_NOT_IN_RANGE, "%s is not in pool %s",
                     place_format(p, address), pool->name);
}

static int lookup(ipalloc_registry *registry, ipalloc_pool *pool, const place *p,
                  ipalloc_lease *out, ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT];
    record_key key = key_of_lease(pool->name, p);
    fetched record;
    int status = check_in_range(registry, pool, p, error);
    if (status == IPALLOC_OK)
        status = registry_fetch(registry, bytes_of_key(&key), &record, error);
    if (status == IPALLOC_E_NOT_FOUND)
        return error_set(error, IPALLOC_E_NOT_FOUND, "%s of pool %s is held by nobody",
                         place_format(p, address), pool->name);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_lease lease = {.pool = pool->name, .revision = record.revision};
    bool fine = lease_parse(bytes_of_buffer(&record.value), p, &lease);
    text_free(&record.value);
    if (!fine)
        return record_corrupt(error, bytes_of_key(&key), "is not a lease record");
    copy_lease(out, &lease);
    return IPALLOC_OK;
}

static int check_lookup(ipalloc_registry *registry, const ipalloc_pool *pool, int kind,
                        const ipalloc_lease *out, ipalloc_error *error) {
    if (registry == NULL || out == NULL || out->size < sizeof out->size)
        return error_set(error, IPALLOC_E_INVALID,
                         "lookup: registry, out and its size must be "
                         "set");
    return registry_check_pool(registry, pool, kind, error);
}

int ipalloc_lookup(ipalloc_registry *registry, ipalloc_pool *pool, const ipalloc_addr *address,
                   ipalloc_lease *out, ipalloc_error *error) {
    int status = check_lookup(registry, pool, ADDRESS_KIND, out, error);
    if (status != IPALLOC_OK)
        return status;
    if (address == NULL || (address->family != 4 && address->family != 6))
        return error_set(error, IPALLOC_E_INVALID, "the address is none");
    place p = place_of_addr(address);
    return lookup(registry, pool, &p, out, error);
}

int ipalloc_lookup_port(ipalloc_registry *registry, ipalloc_pool *pool, uint16_t port,
                        ipalloc_lease *out, ipalloc_error *error) {
    int status = check_lookup(registry, pool, IPALLOC_POOL_PORT, out, error);
    if (status != IPALLOC_OK)
        return status;
    place p = place_of_port(port);
    return lookup(registry, pool, &p, out, error);
}

/* --- many leases ------------------------------------------------------------------------------ */

typedef struct listing {
    ipalloc_registry *registry;
    ipalloc_lease_visit visit;
    ipalloc_lease_change_visit visit_change; /* changes only */
    void *context;
    ipalloc_error *error;
} listing;

/* The pool and the place that a lease's key names. OK; CORRUPT. */
static int read_lease_key(const listing *l, ipalloc_bytes key, ipalloc_pool **pool, place *p) {
    place_key parts;
    if (!key_split_place(key, PREFIX_LEASE, &parts))
        return record_corrupt(l->error, key, "the key names no address of a pool");
    /* Not through the gate: who is alone in there may be waiting for the store we are walking. */
    *pool = cache_find_pool(l->registry, parts.pool, parts.pool_length);
    if (*pool == NULL)
        return record_corrupt(l->error, key, "names a pool that is not defined");
    if (!place_parse_key((*pool)->kind, parts.place, parts.place_length, p))
        return record_corrupt(l->error, key, "the key names no address of its pool");
    return IPALLOC_OK;
}

/* An entry as a lease; one that is gone has its pool and place only. OK; CORRUPT. */
static int read_lease(const listing *l, const ipalloc_entry *entry, bool gone, ipalloc_lease *out) {
    ipalloc_pool *pool = NULL;
    place p;
    int status = read_lease_key(l, entry->key, &pool, &p);
    if (status != IPALLOC_OK)
        return status;
    *out = (ipalloc_lease){.size = sizeof *out,
                           .pool = pool->name,
                           .address = place_addr(&p),
                           .port = place_port(&p),
                           .revision = entry->revision};
    if (!gone && !lease_parse(entry->value, &p, out))
        return record_corrupt(l->error, entry->key, "is not a lease record");
    return IPALLOC_OK;
}

static int list_entry(void *context, const ipalloc_entry *entry) {
    const listing *l = context;
    ipalloc_lease lease;
    int status = read_lease(l, entry, false, &lease);
    return status == IPALLOC_OK ? l->visit(l->context, &lease) : status;
}

/* What walks over a pool's records, or over all, check first. They read from the store, and what it
 * has of pools that memory does not know yet is held back; so nothing is asked for before. */
static int check_pool_walk(ipalloc_registry *registry, const ipalloc_pool *pool, bool has_visit,
                           ipalloc_error *error) {
    if (registry == NULL || !has_visit)
        return error_set(error, IPALLOC_E_INVALID, "list: registry and visit must not be NULL");
    return pool != NULL ? registry_check_pool(registry, pool, ANY_KIND, error) : IPALLOC_OK;
}

/* The prefix of a pool's leases, or of all. */
static record_key lease_prefix(const ipalloc_pool *pool) {
    record_key all = {.length = strlen(PREFIX_LEASE), .text = PREFIX_LEASE};
    return pool != NULL ? key_of_pool_leases(pool->name) : all;
}

int ipalloc_list(ipalloc_registry *registry, ipalloc_pool *pool, ipalloc_lease_visit visit,
                 void *context, ipalloc_error *error) {
    return ipalloc_list_at(registry, pool, visit, context, NULL, error);
}

int ipalloc_list_at(ipalloc_registry *registry, ipalloc_pool *pool, ipalloc_lease_visit visit,
                    void *context, uint64_t *at_revision, ipalloc_error *error) {
    int status = check_pool_walk(registry, pool, visit != NULL, error);
    if (status != IPALLOC_OK)
        return status;
    listing l = {.registry = registry, .visit = visit, .context = context, .error = error};
    record_key prefix = lease_prefix(pool);
    held_back h;
    held_back_init(&h, registry, PREFIX_LEASE, list_entry, &l);
    registry_walk walk = {.prefix = bytes_of_key(&prefix),
                          .visit = held_back_visit,
                          .context = &h,
                          .at_revision = at_revision};
    status = registry_scan(registry, &walk, error);
    return held_back_finish(&h, held_back_catch_up(&h, status, error));
}

/* --- changes ---------------------------------------------------------------------------------- */

static int visit_change(void *context, const ipalloc_entry *entry) {
    const listing *l = context;
    ipalloc_lease lease;
    int status = read_lease(l, entry, entry->deleted, &lease);
    return status == IPALLOC_OK ? l->visit_change(l->context, &lease, entry->deleted) : status;
}

int ipalloc_lease_changes(ipalloc_registry *registry, uint64_t since, ipalloc_pool *pool,
                          size_t limit, ipalloc_lease_change_visit visit, void *context,
                          uint64_t *up_to, ipalloc_error *error) {
    int status = check_pool_walk(registry, pool, visit != NULL, error);
    if (status != IPALLOC_OK)
        return status;
    listing l = {.registry = registry, .visit_change = visit, .context = context, .error = error};
    record_key prefix = lease_prefix(pool);
    held_back h;
    held_back_init(&h, registry, PREFIX_LEASE, visit_change, &l);
    status = ipalloc_store_changes(registry->store, since, bytes_of_key(&prefix), limit,
                                   held_back_visit, &h, up_to, error);
    return held_back_finish(&h, held_back_catch_up(&h, status, error));
}

/* --- cooling ---------------------------------------------------------------------------------- */

typedef struct cooling_listing {
    ipalloc_registry *registry;
    ipalloc_cooling_visit visit;
    void *context;
    ipalloc_error *error;
} cooling_listing;

/* Records outlive the rest that they tell of: the memory knows what still cools. Inside the gate.
 */
static int list_cooling(void *context, const ipalloc_entry *entry) {
    const cooling_listing *l = context;
    place_key parts;
    place p;
    range_offset offset;
    ipalloc_cooling cooling = {.size = sizeof cooling};
    if (!key_split_place(entry->key, PREFIX_COOLING, &parts))
        return record_corrupt(l->error, entry->key, "the key names no address of a pool");
    const ipalloc_pool *pool = cache_find_pool(l->registry, parts.pool, parts.pool_length);
    if (pool == NULL)
        return record_corrupt(l->error, entry->key, "names a pool that is not defined");
    if (!place_parse_key(pool->kind, parts.place, parts.place_length, &p) ||
        !cooling_parse(entry->value, &cooling.released_ms, cooling.owner))
        return record_corrupt(l->error, entry->key, "is not a cooling record");
    const pool_range *range = pool_find_range(pool, &p, &offset);
    if (range == NULL || range_state_of(range->range, offset) != RANGE_COOLING)
        return IPALLOC_OK;
    cooling.pool = pool->name;
    cooling.address = place_addr(&p);
    cooling.port = place_port(&p);
    cooling.free_at_ms = later_ms(cooling.released_ms, pool->definition.cool_down_ms);
    return l->visit(l->context, &cooling);
}

int ipalloc_list_cooling(ipalloc_registry *registry, ipalloc_pool *pool,
                         ipalloc_cooling_visit visit, void *context, ipalloc_error *error) {
    int status = check_pool_walk(registry, pool, visit != NULL, error);
    if (status == IPALLOC_OK)
        status = cache_catch_up(registry, error);
    if (status != IPALLOC_OK)
        return status;
    cooling_listing l = {.registry = registry, .visit = visit, .context = context, .error = error};
    record_key of_pool = pool != NULL ? key_of_pool_cooling(pool->name) : (record_key){0};
    ipalloc_bytes prefix = pool != NULL ? bytes_of_key(&of_pool) : bytes_of(PREFIX_COOLING);
    held_back h;
    held_back_init(&h, registry, PREFIX_COOLING, list_cooling, &l);
    gate_enter(&registry->gate);
    registry_walk walk = {.prefix = prefix, .visit = held_back_visit, .context = &h};
    status = registry_scan(registry, &walk, error);
    gate_leave(&registry->gate);
    status = held_back_catch_up(&h, status, error);
    gate_enter(&registry->gate);
    status = held_back_finish(&h, status);
    gate_leave(&registry->gate);
    return status;
}

/* --- of one owner ----------------------------------------------------------------------------- */

/* The owner's record names them; slots, generation and time stand in it too. */
static int visit_owned(ipalloc_txn *txn, const txn_lease *owned, const listing *l) {
    ipalloc_lease lease = {.size = sizeof lease,
                           .pool = owned->claim.pool->name,
                           .address = place_addr(&owned->claim.place),
                           .port = place_port(&owned->claim.place),
                           .generation = owned->generation,
                           .time_ms = owned->time_ms,
                           .slot_count = owned->slot_count};
    memcpy(lease.owner, txn->owner, sizeof lease.owner);
    memcpy(lease.slots, owned->slots, owned->slot_count * sizeof owned->slots[0]);
    record_key key = key_of_lease(lease.pool, &owned->claim.place);
    fetched record;
    int status = registry_fetch(txn->registry, bytes_of_key(&key), &record, l->error);
    if (status == IPALLOC_E_NOT_FOUND)
        return IPALLOC_OK; /* released since */
    if (status != IPALLOC_OK)
        return status;
    lease.revision = record.revision;
    text_free(&record.value);
    return l->visit(l->context, &lease);
}

int ipalloc_owner_leases(ipalloc_registry *registry, const char *owner, ipalloc_lease_visit visit,
                         void *context, ipalloc_error *error) {
    if (registry == NULL || owner == NULL || visit == NULL)
        return error_set(error, IPALLOC_E_INVALID,
                         "owner_leases: registry, owner and visit must not be NULL");
    ipalloc_txn_options options = {.size = sizeof options, .owner = owner, .dry_run = true};
    listing l = {.registry = registry, .visit = visit, .context = context, .error = error};
    ipalloc_txn *txn;
    int status = ipalloc_begin(registry, &options, &txn, error);
    if (status != IPALLOC_OK)
        return status;
    status = owner_load(txn, error);
    for (size_t i = 0; status == IPALLOC_OK && i < txn->lease_count; i++)
        status = visit_owned(txn, txn->leases[i], &l);
    ipalloc_txn_abort(txn);
    return status;
}

/* --- the caller's records --------------------------------------------------------------------- */

/* Hands entries on with the caller's own key. */
typedef struct record_walk {
    ipalloc_visit visit;
    void *context;
} record_walk;

static int visit_record(void *context, const ipalloc_entry *entry) {
    const record_walk *walk = context;
    size_t prefix_length = strlen(PREFIX_RECORD);
    ipalloc_entry own = *entry;
    own.key = (ipalloc_bytes){.data = (const char *)entry->key.data + prefix_length,
                              .size = entry->key.size - prefix_length};
    return walk->visit(walk->context, &own);
}

/* A record key, or the beginning of one, with its prefix. */
typedef struct full_key {
    char text[sizeof PREFIX_RECORD + IPALLOC_RECORD_KEY_MAX];
    size_t length;
} full_key;

static int make_full_key(const char *key, size_t length_min, full_key *out, ipalloc_error *error) {
    size_t prefix_length = strlen(PREFIX_RECORD);
    size_t length = key != NULL ? strnlen(key, IPALLOC_RECORD_KEY_MAX + 1) : 0;
    if (length < length_min || length > IPALLOC_RECORD_KEY_MAX)
        return error_set(error, IPALLOC_E_INVALID, "a record's key has 1 to %d bytes",
                         IPALLOC_RECORD_KEY_MAX);
    memcpy(out->text, PREFIX_RECORD, prefix_length);
    if (length > 0)
        memcpy(out->text + prefix_length, key, length);
    out->length = prefix_length + length;
    return IPALLOC_OK;
}

static ipalloc_bytes bytes_of_full_key(const full_key *key) {
    return (ipalloc_bytes){.data = key->text, .size = key->length};
}

static int check_walk(const ipalloc_registry *registry, ipalloc_visit visit, ipalloc_error *error) {
    if (registry == NULL || visit == NULL)
        return error_set(error, IPALLOC_E_INVALID, "records: registry and visit must not be NULL");
    return IPALLOC_OK;
}

int ipalloc_record_get(ipalloc_registry *registry, const char *key, ipalloc_visit visit,
                       void *context, ipalloc_error *error) {
    full_key full;
    record_walk walk = {visit, context};
    int status = check_walk(registry, visit, error);
    if (status == IPALLOC_OK)
        status = make_full_key(key, 1, &full, error);
    if (status != IPALLOC_OK)
        return status;
    return ipalloc_store_get(registry->store, bytes_of_full_key(&full), visit_record, &walk, error);
}

int ipalloc_record_scan(ipalloc_registry *registry, const char *prefix, const char *after,
                        size_t limit, ipalloc_visit visit, void *context, uint64_t *at_revision,
                        ipalloc_error *error) {
    full_key full, full_after;
    record_walk walk = {visit, context};
    int status = check_walk(registry, visit, error);
    if (status == IPALLOC_OK)
        status = make_full_key(prefix, 0, &full, error);
    if (status == IPALLOC_OK)
        status = make_full_key(after, 0, &full_after, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_bytes from = {0};
    if (after != NULL && after[0] != '\0')
        from = bytes_of_full_key(&full_after);
    registry_walk all = {.prefix = bytes_of_full_key(&full),
                         .after = from,
                         .limit = limit,
                         .visit = visit_record,
                         .context = &walk,
                         .at_revision = at_revision};
    return registry_scan(registry, &all, error);
}

int ipalloc_record_changes(ipalloc_registry *registry, uint64_t since, const char *prefix,
                           size_t limit, ipalloc_visit visit, void *context, uint64_t *up_to,
                           ipalloc_error *error) {
    full_key full;
    record_walk walk = {visit, context};
    int status = check_walk(registry, visit, error);
    if (status == IPALLOC_OK)
        status = make_full_key(prefix, 0, &full, error);
    if (status != IPALLOC_OK)
        return status;
    return ipalloc_store_changes(registry->store, since, bytes_of_full_key(&full), limit,
                                 visit_record, &walk, up_to, error);
}
