/*
 * cache_apply.c: applying what others have committed, and catching up with the store.
 *
 * Changes of leases and of cooling records are applied beside transactions, inside the gate
 * together with them and by one thread at a time; each change is one step under the claims' lock.
 * So a busy store drains no commit that is on its way. Only a changed definition, and reading
 * everything anew (the changes were forgotten, or one of them does not fit), is done alone.
 *
 * Why no older change undoes a newer state for good: the store tells changes in the order of their
 * revisions, so that among them the last of a place wins. What we know before it is told carries
 * its revision too: our own commits (claims_remember), and a set of ranges that was read from the
 * store (set->read_at). A change that is not newer than that is passed over, as is one at or below
 * what is seen as a whole, which another walk, or our own commits without a gap, made known
 * meanwhile. Between an own commit and the moment that it is remembered its claim is listed, and
 * collects what is seen (claims.h).
 *
 * Invariant: what the store has at revision `seen` is what the bits say, but for places that newer
 * knowledge has moved on.
 */
#include "registry/registry.h"

#include <inttypes.h>
#include <string.h>

enum {
    CHUNK = 4096,            /* changes that are asked for at once */
    ALONE_ATTEMPTS_MAX = 16, /* how often definitions may move meanwhile */
    REACH_ATTEMPTS_MAX = 4   /* one is enough for a store that keeps its word */
};

/* Beside statuses: somebody must be alone to go on. */
enum { APPLY_ALONE = 1 };

/* What the visits of a walk share. */
typedef struct application {
    ipalloc_registry *registry;
    size_t visited;
    uint64_t stopped_before; /* the revision of a changed definition; 0: none */
    bool rebuild;            /* something cannot be applied one by one */
} application;

typedef struct changed_place {
    ipalloc_pool *pool;
    place place;
    pool_range *range;
    range_offset offset;
} changed_place;

/* false: names nothing that we know, which is validate's business. */
static bool locate(ipalloc_registry *registry, ipalloc_bytes key, const char *prefix,
                   changed_place *out) {
    place_key parts;
    if (!key_split_place(key, prefix, &parts))
        return false;
    out->pool = cache_find_pool(registry, parts.pool, parts.pool_length);
    if (out->pool == NULL ||
        !place_parse_key(out->pool->kind, parts.place, parts.place_length, &out->place))
        return false;
    out->range = pool_find_range(out->pool, &out->place, &out->offset);
    return out->range != NULL;
}

/* Is it known already, in this or a later state? With the claims locked. */
static bool is_known(ipalloc_registry *registry, const changed_place *c, uint64_t revision) {
    return revision <= c->pool->set->read_at ||
           claims_know_better(&registry->claims, c->pool, &c->place, revision) ||
           cache_has_seen(registry, revision);
}

/* --- one change ------------------------------------------------------------------------------- */

static int set_bit(application *a, const changed_place *c, bool present) {
    enum range_state state = range_state_of(c->range->range, c->offset);
    if (present) {
        int status = state != RANGE_HELD ? range_claim(c->range->range, c->offset) : IPALLOC_OK;
        a->rebuild |= status == IPALLOC_E_TAKEN; /* excluded here, or cools and is refused */
        return status == IPALLOC_E_NOMEM ? status : IPALLOC_OK;
    }
    if (state == RANGE_HELD) {
        range_unclaim(c->range->range, c->offset, 0);
        exclude_released(c->pool, c->range, c->offset);
    }
    return IPALLOC_OK;
}

static int apply_lease(application *a, const changed_place *c, bool present, uint64_t revision) {
    claim_table *claims = &a->registry->claims;
    bool taken = claims_note_lease(claims, c->pool, &c->place, present, revision);
    return taken ? IPALLOC_OK : set_bit(a, c, present);
}

/* Behind the change of the lease, which has freed the place. */
static int apply_cooling(application *a, const changed_place *c, const ipalloc_entry *entry) {
    uint64_t released_ms = 0;
    char owner[IPALLOC_OWNER_MAX + 1];
    if (!entry->deleted && !cooling_parse(entry->value, &released_ms, owner))
        return IPALLOC_OK;
    if (!entry->deleted)
        atomic_store_relaxed(&c->pool->has_cooling, 1); /* under the claims' lock, as its readers */
    if (claims_note_cooling(&a->registry->claims, c->pool, &c->place, released_ms))
        return IPALLOC_OK;
    ipalloc_range *range = c->range->range;
    enum range_state state = range_state_of(range, c->offset);
    int status = IPALLOC_OK;
    if (entry->deleted && state == RANGE_COOLING && range_claim(range, c->offset) == IPALLOC_OK)
        status = range_unclaim(range, c->offset, 0);
    else if (!entry->deleted && state == RANGE_FREE)
        status = range_restore_cooling(range, c->offset, released_ms);
    return status == IPALLOC_E_NOMEM ? IPALLOC_E_NOMEM : IPALLOC_OK;
}

static int apply_place(application *a, const ipalloc_entry *entry, const char *prefix,
                       bool is_lease) {
    changed_place c;
    claim_table *claims = &a->registry->claims;
    int status = IPALLOC_OK;
    if (!locate(a->registry, entry->key, prefix, &c))
        return IPALLOC_OK;
    claims_lock(claims);
    if (!is_known(a->registry, &c, entry->revision))
        status = is_lease ? apply_lease(a, &c, !entry->deleted, entry->revision)
                          : apply_cooling(a, &c, entry);
    claims_unlock(claims);
    return status;
}

static bool has_prefix(ipalloc_bytes key, const char *prefix) {
    size_t length = strlen(prefix);
    return key.size >= length && memcmp(key.data, prefix, length) == 0;
}

/* The rest are other people's records. */
static int apply_change(void *context, const ipalloc_entry *entry) {
    application *a = context;
    a->visited++;
    if (has_prefix(entry->key, PREFIX_LEASE))
        return apply_place(a, entry, PREFIX_LEASE, true);
    if (has_prefix(entry->key, PREFIX_COOLING))
        return apply_place(a, entry, PREFIX_COOLING, false);
    if (!has_prefix(entry->key, KEY_DEFINITIONS) ||
        entry->revision <= a->registry->definitions_revision)
        return IPALLOC_OK;
    a->stopped_before = entry->revision; /* what follows may be about ranges that we do not know */
    return APPLY_ALONE;
}

/* --- all that is known ------------------------------------------------------------------------ */

bool cache_must_rebuild(const ipalloc_registry *registry) {
    return atomic_load_acquire(&registry->rebuild) != 0; /* set by whoever noticed */
}

void cache_ask_for_rebuild(ipalloc_registry *registry) {
    atomic_store_release(&registry->rebuild, 1); /* partner: cache_must_rebuild */
}

/* Some changes; *more: there may be further ones. */
static int apply_some(ipalloc_registry *registry, bool *more) {
    application a = {.registry = registry};
    uint64_t since = cache_seen_revision(registry), up_to = since;
    int status = ipalloc_store_changes(registry->store, since, (ipalloc_bytes){0}, CHUNK,
                                       apply_change, &a, &up_to, NULL);
    *more = a.visited >= CHUNK && up_to > since;
    if (status == IPALLOC_E_EXPIRED || a.rebuild) {
        cache_ask_for_rebuild(registry);
        return APPLY_ALONE;
    }
    if (status == IPALLOC_E_INVALID) /* it knows less than we do already: nothing to tell */
        status = IPALLOC_OK;
    if (status == APPLY_ALONE)
        up_to = a.stopped_before - 1; /* all before that batch, and of that nothing else counts */
    if (status == IPALLOC_OK || status == APPLY_ALONE)
        cache_set_seen(registry, up_to);
    return status;
}

/* Inside the gate, together or alone. OK; APPLY_ALONE; UNAVAILABLE; IO; NOMEM. */
static int apply_known(ipalloc_registry *registry) {
    bool more = true;
    int status = IPALLOC_OK;
    pthread_mutex_lock(&registry->apply_mutex);
    atomic_store_relaxed(&registry->claims.crowded, 0);
    while (status == IPALLOC_OK && more)
        status = cache_must_rebuild(registry) ? APPLY_ALONE : apply_some(registry, &more);
    pthread_mutex_unlock(&registry->apply_mutex);
    return status;
}

/* --- alone ------------------------------------------------------------------------------------ */

static int rebuild(ipalloc_registry *registry, ipalloc_error *error) {
    atomic_store_release(&registry->rebuild,
                         0); /* before reading: what is lost from now on counts */
    int status = cache_load(registry, error);
    if (status != IPALLOC_OK)
        cache_ask_for_rebuild(registry);
    return status;
}

static int say_status(int status, ipalloc_error *error) {
    return status == IPALLOC_OK
               ? IPALLOC_OK
               : error_set(error, status, "changes of the store: %s", ipalloc_strerror(status));
}

static int apply_alone(ipalloc_registry *registry, ipalloc_error *error) {
    for (int attempt = 0; attempt < ALONE_ATTEMPTS_MAX; attempt++) {
        int status = apply_known(registry);
        if (status != APPLY_ALONE)
            return say_status(status, error);
        if (cache_must_rebuild(registry))
            return rebuild(registry, error); /* which reads all there is */
        status = cache_load_definitions(registry, false, error);
        if (status != IPALLOC_OK)
            return status;
    }
    return error_set(error, IPALLOC_E_UNAVAILABLE,
                     "the pools' definitions change faster than they can be read");
}

/* --- catching up ------------------------------------------------------------------------------ */

typedef int apply_function(ipalloc_registry *registry, ipalloc_error *error);

int cache_apply(ipalloc_registry *registry, ipalloc_error *error) {
    gate_enter(&registry->gate);
    int status = apply_known(registry);
    gate_leave(&registry->gate);
    if (status != APPLY_ALONE)
        return say_status(status, error);
    gate_enter_alone(&registry->gate);
    status = apply_alone(registry, error);
    gate_leave_alone(&registry->gate);
    return status;
}

static bool is_up_to(ipalloc_registry *registry, uint64_t revision) {
    return !cache_must_rebuild(registry) && cache_has_seen(registry, revision);
}

/* Let the store come to know that revision, and apply it. What the store has forgotten is read
 * anew. */
static int reach(ipalloc_registry *registry, uint64_t revision, apply_function *apply_all,
                 ipalloc_error *error) {
    int status = ipalloc_store_reach(registry->store, revision, error);
    if (status == IPALLOC_E_EXPIRED)
        cache_ask_for_rebuild(registry);
    else if (status != IPALLOC_OK)
        return status;
    return apply_all(registry, error);
}

/* Up to what the store has now: the question is sent after the call began. */
static int catch_up(ipalloc_registry *registry, apply_function *apply_all, ipalloc_error *error) {
    uint64_t revision;
    int status = cache_store_revision(registry, &revision, error);
    for (int attempt = 0; status == IPALLOC_OK && !is_up_to(registry, revision); attempt++) {
        if (attempt == REACH_ATTEMPTS_MAX)
            return error_set(error, IPALLOC_E_UNAVAILABLE,
                             "the store does not tell what was changed up to revision %" PRIu64,
                             revision);
        status = reach(registry, revision, apply_all, error);
    }
    return status;
}

int cache_catch_up(ipalloc_registry *registry, ipalloc_error *error) {
    return catch_up(registry, cache_apply, error);
}

int cache_catch_up_alone(ipalloc_registry *registry, ipalloc_error *error) {
    return catch_up(registry, apply_alone, error);
}

int cache_take_in(ipalloc_registry *registry, ipalloc_error *error) {
    uint64_t known_to;
    int status = ipalloc_store_process(registry->store, &known_to, error);
    if (status != IPALLOC_OK || is_up_to(registry, known_to))
        return status;
    return cache_apply(registry, error);
}

void cache_note_lease(ipalloc_registry *registry, claim *c, uint64_t revision) {
    const changed_place at = {.pool = c->pool, .place = c->place};
    bool remembered = true;
    claims_lock(&registry->claims);
    if (c->listed && c->kind == CLAIM_TAKE && revision > c->seen_revision &&
        !is_known(registry, &at, revision)) {
        c->seen_revision = revision;
        c->present = true;
        remembered = claims_remember(&registry->claims, c->pool, &c->place, revision,
                                     cache_seen_revision(registry));
    }
    claims_unlock(&registry->claims);
    if (!remembered)
        cache_ask_for_rebuild(registry);
}
