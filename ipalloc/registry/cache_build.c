/*
 * cache_build.c: the ranges of a definition, made anew and filled: what the store holds, what open
 * transactions have in hand, what is excluded and what cools.
 *
 * Built aside: nobody sees a set before it is installed. Cost: one walk over the pool's lease keys
 * and cooling records; no lease body is read, but to name the holder of what would lie in no range.
 */
#include "registry/registry.h"

#include <assert.h>
#include <string.h>

static int create_range(ipalloc_registry *registry, const definition *d, size_t index,
                        pool_range *out, ipalloc_error *error) {
    ipalloc_range_options options =
        definition_range_options(d, index, registry_user_hooks(registry));
    activity_init(&out->activity);
    if (d->kind == IPALLOC_POOL_PORT)
        return ipalloc_port_range_create(d->port_first, d->port_last, &options, &out->range, error);
    out->cidr = d->ranges[index].cidr;
    out->draining = d->ranges[index].draining;
    return ipalloc_range_create(&out->cidr, &options, &out->range, error);
}

static int create_set(ipalloc_registry *registry, const definition *d, range_set **out,
                      ipalloc_error *error) {
    size_t count = d->kind == IPALLOC_POOL_PORT ? 1 : d->range_count;
    range_set *set =
        hooks_alloc_zeroed(&registry->hooks, sizeof *set + count * sizeof set->ranges[0]);
    if (set == NULL)
        return error_no_memory(error);
    for (; set->count < count; set->count++) {
        int status = create_range(registry, d, set->count, &set->ranges[set->count], error);
        if (status != IPALLOC_OK) {
            cache_free_set(&registry->hooks, set);
            return status;
        }
    }
    *out = set;
    return IPALLOC_OK;
}

enum { BUILD_ATTEMPTS_MAX = 8 };

/* What the visits of a build share. */
typedef struct build {
    ipalloc_pool *pool;
    const definition *definition;
    range_set *set;
    size_t prefix_length;
    uint64_t now_ms;
    ipalloc_error *error;
} build;

/* Exclude a stretch of one range but for what is held in it: that was allocated by another server
 * while this one excluded it. It stays held, and is excluded once it is released. */
static int exclude_around_held(pool_range *range, range_offset first, range_offset last) {
    range_offset gap = first, held;
    while (gap.value <= last.value) {
        bool found = range_next_from(range->range, gap, &held) && held.value <= last.value;
        if (!found)
            return range_exclude(range->range, gap, last);
        range_offset before = {held.value - 1};
        int status = held.value > gap.value ? range_exclude(range->range, gap, before) : IPALLOC_OK;
        if (status != IPALLOC_OK)
            return status;
        gap.value = held.value + 1;
    }
    return IPALLOC_OK;
}

static int exclude_span(range_set *set, const definition_span *span) {
    range_offset first, last;
    pool_range *range = range_set_find(set, &span->first, &first);
    if (range == NULL || range_set_find(set, &span->last, &last) != range)
        return IPALLOC_E_NOT_IN_RANGE;
    int status = range_exclude(range->range, first, last);
    return status == IPALLOC_E_TAKEN ? exclude_around_held(range, first, last) : status;
}

static int apply_exclusions(const build *b) {
    for (size_t i = 0; i < b->definition->exclusion_count; i++) {
        const definition_span *span = &b->definition->exclusions[i];
        char first[IPALLOC_ADDR_TEXT], last[IPALLOC_ADDR_TEXT];
        int status = exclude_span(b->set, span);
        if (status == IPALLOC_E_NOMEM)
            return error_no_memory(b->error);
        if (status != IPALLOC_OK)
            return error_set(b->error, IPALLOC_E_TAKEN,
                             "pool %s: the excluded %s-%s would be in no range", b->pool->name,
                             place_format(&span->first, first), place_format(&span->last, last));
    }
    return IPALLOC_OK;
}

/* The place that a key below the build's prefix names. */
static bool key_place(const build *b, ipalloc_bytes key, place *out) {
    const char *text = (const char *)key.data + b->prefix_length;
    size_t length = key.size - b->prefix_length;
    return length > 0 && text[length - 1] == '/' &&
           place_parse_key(b->pool->kind, text, length - 1, out);
}

static int say_in_no_range(const build *b, const ipalloc_entry *entry, const place *p) {
    char text[IPALLOC_ADDR_TEXT], quoted[250];
    ipalloc_lease lease = {.owner = "an owner whose record cannot be read"};
    lease_parse(entry->value, p, &lease);
    return error_set(b->error, IPALLOC_E_TAKEN,
                     "pool %s: %s is held by %s and would be in no range", b->pool->name,
                     place_format(p, text),
                     text_quote(lease.owner, strlen(lease.owner), quoted, sizeof quoted));
}

static int hold_lease(void *context, const ipalloc_entry *entry) {
    build *b = context;
    place p;
    range_offset offset;
    if (!key_place(b, entry->key, &p))
        return record_corrupt(b->error, entry->key, "the key names no address of its pool");
    pool_range *range = range_set_find(b->set, &p, &offset);
    int status = range != NULL ? range_claim(range->range, offset) : IPALLOC_E_NOT_IN_RANGE;
    if (status == IPALLOC_E_NOMEM)
        return error_no_memory(b->error);
    return status == IPALLOC_OK ? IPALLOC_OK : say_in_no_range(b, entry, &p);
}

static int hold_leases(build *b) {
    record_key prefix = key_of_pool_leases(b->pool->name);
    b->prefix_length = prefix.length;
    return ipalloc_store_scan(b->pool->registry->store, bytes_of_key(&prefix), (ipalloc_bytes){0},
                              0, hold_lease, b, &b->set->read_at, b->error);
}

static void note_claim(void *context, claim *c) {
    build *b = context;
    range_offset offset;
    pool_range *range = range_set_find(b->set, &c->place, &offset);
    if (b->set->read_at < c->seen_revision)
        return;
    c->seen_revision = b->set->read_at;
    c->present = range != NULL && range_state_of(range->range, offset) == RANGE_HELD;
    c->cooling_seen = true; /* unless its record is met, it has none */
    c->cooled_since_ms = 0;
}

static void hold_claim(void *context, claim *c) {
    build *b = context;
    range_offset offset;
    pool_range *range = range_set_find(b->set, &c->place, &offset);
    if (c->kind == CLAIM_TAKE && range != NULL &&
        range_state_of(range->range, offset) != RANGE_HELD)
        range_claim(range->range, offset); /* where it fails, the commit's conditions decide */
}

/* Over and done with, whatever the range makes of it; an oldest-freed one still lines them up. */
static bool is_forgotten(const build *b, uint64_t released_ms) {
    return b->definition->strategy != IPALLOC_STRATEGY_OLDEST_FREED && b->now_ms >= released_ms &&
           b->now_ms - released_ms >= range_rest_ms_max(b->definition->cool_down_ms);
}

static int rest_cooling(void *context, const ipalloc_entry *entry) {
    build *b = context;
    claim_table *claims = &b->pool->registry->claims;
    place p;
    range_offset offset;
    uint64_t released_ms;
    char owner[IPALLOC_OWNER_MAX + 1];
    if (!key_place(b, entry->key, &p))
        return record_corrupt(b->error, entry->key, "the key names no address of its pool");
    if (!cooling_parse(entry->value, &released_ms, owner))
        return record_corrupt(b->error, entry->key, "is not a cooling record");
    atomic_store_relaxed(&b->pool->has_cooling, 1);
    claims_lock(claims);
    claims_note_cooling(claims, b->pool, &p, released_ms);
    claims_unlock(claims);
    pool_range *range = range_set_find(b->set, &p, &offset);
    if (range == NULL || is_forgotten(b, released_ms))
        return IPALLOC_OK;
    int status = range_restore_cooling(range->range, offset, released_ms);
    return status == IPALLOC_E_NOMEM ? error_no_memory(b->error) : IPALLOC_OK;
}

static int rest_all(build *b) {
    record_key prefix = key_of_pool_cooling(b->pool->name);
    b->prefix_length = prefix.length;
    b->now_ms = hooks_wall_ms(&b->pool->registry->hooks);
    if (definition_keeps_releases(b->definition))
        atomic_store_relaxed(&b->pool->has_cooling, 1);
    return ipalloc_store_scan(b->pool->registry->store, bytes_of_key(&prefix), (ipalloc_bytes){0},
                              0, rest_cooling, b, NULL, b->error);
}

static int build_set(build *b) {
    ipalloc_registry *registry = b->pool->registry;
    int status = create_set(registry, b->definition, &b->set, b->error);
    if (status != IPALLOC_OK)
        return status;
    status = hold_leases(b);
    if (status == IPALLOC_OK) {
        claims_visit(&registry->claims, b->pool, note_claim, b);
        claims_visit(&registry->claims, b->pool, hold_claim, b);
        status = apply_exclusions(b);
    }
    if (status == IPALLOC_OK)
        status = rest_all(b);
    if (status != IPALLOC_OK)
        cache_free_set(&registry->hooks, b->set);
    return status;
}

/* A store over a network may forget the revision that it is read at meanwhile: then once more. */
int cache_build_set(ipalloc_registry *registry, ipalloc_pool *pool, const definition *d,
                    range_set **out, ipalloc_error *error) {
    assert(pool->registry == registry);
    (void)registry;
    build b = {.pool = pool, .definition = d, .error = error};
    int status = IPALLOC_E_EXPIRED;
    for (int i = 0; i < BUILD_ATTEMPTS_MAX && status == IPALLOC_E_EXPIRED; i++)
        status = build_set(&b);
    if (status == IPALLOC_E_EXPIRED)
        return error_set(error, IPALLOC_E_UNAVAILABLE,
                         "pool %s: its leases change faster than they can be read", pool->name);
    if (status == IPALLOC_OK)
        *out = b.set;
    return status;
}
