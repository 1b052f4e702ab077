/*
 * draw.c: claiming out of a pool: over its ranges and bands, or one address by name; and undoing or
 * confirming what was claimed.
 *
 * A pick goes through all dynamic bands before any static one; among several ranges it falls on
 * each in proportion to what is free there. FULL is proved: every active range is shown to have
 * been full at some instant, and then that none has had anything free since its proof began, so
 * that there was one instant at which all were full. Where others write to the store too, FULL is
 * said only by a memory that is not behind.
 *
 * A dry-run goes the same way without claiming, passing over its own picks.
 */
#include "registry/txn.h"

#include <assert.h>
#include <string.h>

/* Beside statuses: the state moved under our hands, look again. */
enum { DRAW_AGAIN = 1, DRAW_BEHIND = 2 };

/* How often a reserve looks again at an address that is taken by nobody to be seen. */
enum { LOOKS_MAX = 1000 };

/* --- claims and ranges ------------------------------------------------------------------------ */

static void note_definitions(ipalloc_txn *txn) {
    if (txn->drew)
        return;
    txn->drew = true;
    txn->definitions_revision = txn->registry->definitions_revision;
}

/* Where and what a range's claim function took is listed before anybody can ask about it. */
static void list_claim(ipalloc_txn *txn, txn_lease *lease, const pool_range *range,
                       range_offset offset) {
    lease->claim.place = pool_range_place(lease->claim.pool, range, offset);
    lease->claim.kind = CLAIM_TAKE;
    lease->claim.seen = CLAIM_SEEN_NOTHING;
    claims_list(&txn->registry->claims, &lease->claim);
}

/* The cooling record of what was just claimed, so that the commit can remove it and an undo can
 * put it back to rest. */
static int read_cooling(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    const ipalloc_pool *pool = lease->claim.pool;
    ipalloc_registry *registry = txn->registry;
    if (!pool->has_cooling)
        return IPALLOC_OK;
    record_key key = key_of_cooling(pool->name, &lease->claim.place);
    fetched record;
    uint64_t released_ms;
    char owner[IPALLOC_OWNER_MAX + 1];
    int status = registry_fetch(registry, bytes_of_key(&key), &record, error);
    if (status == IPALLOC_E_NOT_FOUND)
        return IPALLOC_OK;
    lease->cooled_since_ms = hooks_wall_ms(&registry->hooks); /* if we cannot know better */
    if (status != IPALLOC_OK)
        return status;
    bool fine = cooling_parse(bytes_of_buffer(&record.value), &released_ms, owner);
    text_free(&record.value);
    if (!fine)
        return record_corrupt(error, bytes_of_key(&key), "is not a cooling record");
    lease->cooled_since_ms = released_ms;
    lease->cooling_revision = record.revision;
    return IPALLOC_OK;
}

void draw_undo(ipalloc_txn *txn, txn_lease *lease) {
    claim *c = &lease->claim;
    claim_table *claims = &txn->registry->claims;
    range_offset offset;
    if (!c->listed)
        return;
    claims_lock(claims);
    claims_unlist(claims, c);
    bool free_it = c->kind == CLAIM_TAKE ? c->seen != CLAIM_SEEN_PRESENT
                                         : c->seen == CLAIM_SEEN_ABSENT &&
                                               !claims_has_locked(claims, c->pool, &c->place);
    pool_range *range = pool_find_range(c->pool, &c->place, &offset);
    if (free_it && range != NULL) {
        range_unclaim(range->range, offset, lease->cooled_since_ms);
        exclude_released(c->pool, range, offset); /* by another server, while it was in hand */
    }
    claims_unlock(claims);
}

/* With the claims locked, so that nobody takes it before it is excluded, if it is to be. */
static void free_released(const ipalloc_txn *txn, const claim *c) {
    range_offset offset;
    pool_range *range = pool_find_range(c->pool, &c->place, &offset);
    if (range == NULL)
        return;
    if (range_release(range->range, offset, txn->time_ms) == IPALLOC_E_NOMEM)
        range_unclaim(range->range, offset, 0); /* no memory to rest it: the store still knows */
    exclude_released(c->pool, range, offset);
}

static void count_granted(const ipalloc_txn *txn, const txn_lease *lease) {
    range_offset offset;
    pool_range *range = pool_find_range(lease->claim.pool, &lease->claim.place, &offset);
    if (range != NULL)
        activity_grant(&range->activity, lease->scope, lease->draw_ms + txn->commit_ms);
}

void draw_committed(ipalloc_txn *txn, txn_lease *lease) {
    claim *c = &lease->claim;
    claim_table *claims = &txn->registry->claims;
    if (!c->listed)
        return;
    claims_lock(claims);
    claims_unlist(claims, c);
    if (c->kind == CLAIM_RELEASE) {
        free_released(txn, c);
    } else {
        count_granted(txn, lease);
        /* Whoever planned to release an earlier lease of it must not free this one. */
        claims_note_seen_locked(claims, c->pool, &c->place, CLAIM_SEEN_PRESENT);
    }
    claims_unlock(claims);
}

/* --- the order of ranges ---------------------------------------------------------------------- */

typedef struct draw {
    ipalloc_txn *txn;
    txn_lease *lease;
    ipalloc_pool *pool;
    const pool_range *peeked; /* the range that skip_own_pick is about */
    bool took_cooling;        /* on purpose */
    ipalloc_error *error;
} draw;

static bool skip_own_pick(void *context, range_offset offset) {
    const draw *d = context;
    place p = pool_range_place(d->pool, d->peeked, offset);
    const txn_lease *lease = owner_find_place(d->txn, d->pool, &p);
    return lease != NULL && !lease->stored;
}

/* Free numbers of each active range, scaled so that their sum fits 64 bits; returns the sum. */
static uint64_t weigh(const range_set *set, enum range_band band,
                      uint64_t weights[IPALLOC_POOL_RANGES_MAX]) {
    u128 free[IPALLOC_POOL_RANGES_MAX];
    u128 largest = 0;
    for (size_t i = 0; i < set->count; i++) {
        const pool_range *range = &set->ranges[i];
        free[i] = range->draining ? 0 : range_count_free(range->range, band);
        if (free[i] > largest)
            largest = free[i];
    }
    unsigned shift = 0;
    _Static_assert(IPALLOC_POOL_RANGES_MAX <= 256, "so many weights of 55 bits do not overflow");
    while (largest >> shift > (UINT64_MAX >> 9))
        shift++;
    uint64_t sum = 0;
    for (size_t i = 0; i < set->count; i++) {
        weights[i] = (uint64_t)(free[i] >> shift);
        if (free[i] > 0 && weights[i] == 0)
            weights[i] = 1;
        sum += weights[i];
    }
    return sum;
}

/* Which range to try first; the others follow it round. */
static size_t first_range(ipalloc_pool *pool, enum range_band band) {
    uint64_t weights[IPALLOC_POOL_RANGES_MAX];
    const range_set *set = pool->set;
    if (set->count == 1 || pool->definition.strategy != IPALLOC_STRATEGY_RANDOM)
        return 0;
    uint64_t sum = weigh(set, band, weights);
    if (sum == 0)
        return 0;
    uint64_t ticket = hooks_random_below(&pool->registry->hooks, sum);
    size_t i = 0;
    while (ticket >= weights[i])
        ticket -= weights[i++];
    return i;
}

/* The place at that offset, for the lease. OK; TAKEN; NOMEM. */
static int take_this(draw *d, pool_range *range, range_offset offset) {
    if (d->txn->dry_run) {
        enum range_state state = range_state_of(range->range, offset);
        bool cooling_is_fine = !d->pool->definition.refuse_reserve_cooling;
        return state == RANGE_FREE || (state == RANGE_COOLING && cooling_is_fine) ? IPALLOC_OK
                                                                                  : IPALLOC_E_TAKEN;
    }
    claim_table *claims = &d->txn->registry->claims;
    claims_lock(claims);
    int status = range_claim(range->range, offset);
    if (status == IPALLOC_OK)
        list_claim(d->txn, d->lease, range, offset);
    claims_unlock(claims);
    return status;
}

/* --- any address ------------------------------------------------------------------------------ */

static int take_from(draw *d, pool_range *range, enum range_band band) {
    range_offset offset;
    int status;
    if (d->txn->dry_run) {
        d->peeked = range;
        status = range_peek(range->range, band, skip_own_pick, d, &offset);
        if (status == IPALLOC_OK)
            d->lease->claim.place = pool_range_place(d->pool, range, offset);
        return status;
    }
    claim_table *claims = &d->txn->registry->claims;
    claims_lock(claims);
    status = range_claim_any(range->range, band, &offset);
    if (status == IPALLOC_OK)
        list_claim(d->txn, d->lease, range, offset);
    claims_unlock(claims);
    return status;
}

static int take_from_band(draw *d, enum range_band band) {
    range_set *set = d->pool->set;
    size_t first = first_range(d->pool, band);
    for (size_t i = 0; i < set->count; i++) {
        pool_range *range = &set->ranges[(first + i) % set->count];
        if (range->draining)
            continue;
        int status = take_from(d, range, band);
        if (status != IPALLOC_E_FULL)
            return status;
    }
    return IPALLOC_E_FULL;
}

/* What cools and has rested longest, over the whole pool: by the store's records. */
typedef struct oldest_cooling {
    draw *draw;
    size_t prefix_length;
    bool found;
    uint64_t released_ms;
    place place;
} oldest_cooling;

static int consider_cooling(void *context, const ipalloc_entry *entry) {
    oldest_cooling *o = context;
    place p;
    range_offset offset;
    uint64_t released_ms;
    char owner[IPALLOC_OWNER_MAX + 1];
    const char *text = (const char *)entry->key.data + o->prefix_length;
    if (!place_parse_key(o->draw->pool->kind, text, entry->key.size - o->prefix_length - 1, &p) ||
        !cooling_parse(entry->value, &released_ms, owner))
        return record_corrupt(o->draw->error, entry->key, "is not a cooling record");
    pool_range *range = pool_find_range(o->draw->pool, &p, &offset);
    bool usable = range != NULL && !range->draining &&
                  range_state_of(range->range, offset) == RANGE_COOLING &&
                  owner_find_place(o->draw->txn, o->draw->pool, &p) == NULL;
    if (usable && (!o->found || released_ms < o->released_ms)) {
        o->found = true;
        o->released_ms = released_ms;
        o->place = p;
    }
    return IPALLOC_OK;
}

/* Claim `p`, which was seen cooling; DRAW_AGAIN where somebody was faster, or its rest is over. */
static int take_cooling_place(draw *d, const place *p) {
    range_offset offset;
    pool_range *range = pool_find_range(d->pool, p, &offset);
    if (d->txn->dry_run) {
        d->lease->claim.place = *p;
        return IPALLOC_OK;
    }
    claim_table *claims = &d->txn->registry->claims;
    claims_lock(claims);
    int status = range_claim_cooling(range->range, offset);
    if (status == IPALLOC_OK)
        list_claim(d->txn, d->lease, range, offset);
    claims_unlock(claims);
    return status == IPALLOC_E_NOT_FOUND ? DRAW_AGAIN : status;
}

static int take_cooling(draw *d) {
    record_key prefix = key_of_pool_cooling(d->pool->name);
    oldest_cooling o = {.draw = d, .prefix_length = prefix.length};
    int status = ipalloc_store_scan(d->txn->registry->store, bytes_of_key(&prefix),
                                    (ipalloc_bytes){0}, 0, consider_cooling, &o, NULL, d->error);
    if (status != IPALLOC_OK)
        return status;
    d->took_cooling = o.found;
    return o.found ? take_cooling_place(d, &o.place) : IPALLOC_E_FULL;
}

/* FULL: there was one instant at which no active range had anything free. */
static int prove_full(const ipalloc_pool *pool) {
    ipalloc_range *active[IPALLOC_POOL_RANGES_MAX];
    _Static_assert(IPALLOC_POOL_RANGES_MAX <= RANGE_PROOF_MAX, "one proof reaches a whole pool");
    size_t count = 0;
    for (size_t i = 0; i < pool->set->count; i++) {
        if (!pool->set->ranges[i].draining)
            active[count++] = pool->set->ranges[i].range;
    }
    return range_prove_all_full(active, count) == IPALLOC_E_FULL ? IPALLOC_E_FULL : DRAW_AGAIN;
}

static bool is_free(const draw *d, const place *p) {
    range_offset offset;
    const pool_range *range = pool_find_range(d->pool, p, &offset);
    return range != NULL && !range->draining && range_state_of(range->range, offset) == RANGE_FREE;
}

/* A dry-run's own picks are free in the bitmap (but for those that cool): they are all that is left
 * where the free ones are no more than they. */
static bool only_own_picks_left(const draw *d) {
    u128 free = 0, own = 0;
    for (size_t i = 0; i < d->pool->set->count; i++) {
        const pool_range *range = &d->pool->set->ranges[i];
        if (!range->draining)
            free += range_count_free(range->range, RANGE_BAND_DYNAMIC) +
                    range_count_free(range->range, RANGE_BAND_STATIC);
    }
    for (size_t i = 0; i < d->txn->lease_count; i++) {
        const txn_lease *lease = d->txn->leases[i];
        own += lease->claim.pool == d->pool && !lease->stored && is_free(d, &lease->claim.place);
    }
    return free <= own;
}

static int take_somewhere(draw *d) {
    int status = take_from_band(d, RANGE_BAND_DYNAMIC);
    if (status == IPALLOC_E_FULL)
        status = take_from_band(d, RANGE_BAND_STATIC);
    if (status == IPALLOC_E_FULL && d->pool->definition.reuse_cooling_when_full)
        status = take_cooling(d);
    if (status != IPALLOC_E_FULL)
        return status;
    if (d->txn->dry_run && only_own_picks_left(d))
        return IPALLOC_E_FULL;
    return prove_full(d->pool);
}

static void count_full(const ipalloc_pool *pool) {
    for (size_t i = 0; i < pool->set->count; i++)
        if (!pool->set->ranges[i].draining)
            activity_refuse(&pool->set->ranges[i].activity, SCOPE_DYNAMIC);
}

static void count_taken(const ipalloc_pool *pool, const place *p) {
    range_offset offset;
    pool_range *range = pool_find_range(pool, p, &offset);
    if (range != NULL)
        activity_refuse(&range->activity, SCOPE_STATIC);
}

void draw_count_refusal(const ipalloc_pool *pool, const place *p, int status) {
    gate_enter(&pool->registry->gate);
    if (status == IPALLOC_E_FULL)
        count_full(pool);
    else if (status == IPALLOC_E_TAKEN && p != NULL)
        count_taken(pool, p);
    gate_leave(&pool->registry->gate);
}

/* An owner of whom nothing is known may have it already: then it is no refusal. */
static bool refusals_count(const draw *d) {
    return !d->txn->dry_run && d->txn->owner_loaded;
}

static int say_full(const draw *d) {
    const ipalloc_pool *pool = d->pool;
    size_t active = 0;
    for (size_t i = 0; i < pool->set->count; i++)
        active += !pool->set->ranges[i].draining;
    if (refusals_count(d))
        count_full(pool);
    return error_set(d->error, IPALLOC_E_FULL,
                     "pool %s is full: nothing is free in its %zu active %s", pool->name, active,
                     active == 1 ? "range" : "ranges");
}

/* The memory gave a place as rested; has another server released it only just now? Then it goes to
 * rest here too. What the memory knew of when it judged, it judged by a clock that never goes back,
 * and that stands. OK: it is ours; DRAW_AGAIN: it rests. */
static int let_rest(draw *d) {
    txn_lease *lease = d->lease;
    uint64_t rest_ms = d->pool->definition.cool_down_ms;
    uint64_t now_ms = hooks_wall_ms(&d->txn->registry->hooks);
    bool rested = now_ms >= lease->cooled_since_ms && now_ms - lease->cooled_since_ms >= rest_ms;
    if (lease->cooling_revision == 0 || rest_ms == 0 || rested || d->txn->dry_run ||
        cache_has_seen(d->txn->registry, lease->cooling_revision))
        return IPALLOC_OK;
    draw_undo(d->txn, lease);
    lease->cooling_revision = 0;
    lease->cooled_since_ms = 0;
    return DRAW_BEHIND;
}

/* What was claimed is taken over with its cooling record, or given back. */
static int accept_claim(draw *d, bool may_cool) {
    int status = read_cooling(d->txn, d->lease, d->error);
    if (status != IPALLOC_OK) {
        draw_undo(d->txn, d->lease);
        return status;
    }
    return may_cool ? IPALLOC_OK : let_rest(d);
}

/* The owner's record had this place, and it is free now: the record has changed since. */
static int check_own_record(const draw *d) {
    char address[IPALLOC_ADDR_TEXT];
    const place *p = &d->lease->claim.place;
    if (owner_find_place(d->txn, d->pool, p) == NULL)
        return IPALLOC_OK;
    draw_undo(d->txn, d->lease);
    return error_set(d->error, IPALLOC_E_CONFLICT,
                     "another transaction of this owner has released %s of pool %s",
                     place_format(p, address), d->pool->name);
}

/* A dry-run has no commit that would find out what others did. */
static int check_dry_run(const draw *d) {
    bool behind = false;
    if (!d->txn->dry_run)
        return IPALLOC_OK;
    int status = cache_is_behind(d->txn->registry, &behind, d->error);
    return status == IPALLOC_OK && behind ? DRAW_BEHIND : status;
}

/* One try, inside the gate. */
static int try_any(draw *d) {
    bool behind = false;
    note_definitions(d->txn);
    d->took_cooling = false;
    int status = check_dry_run(d);
    if (status == IPALLOC_OK)
        status = take_somewhere(d);
    if (status == IPALLOC_OK) {
        status = accept_claim(d, d->took_cooling);
        if (status == IPALLOC_OK)
            status = check_own_record(d);
    } else if (status == IPALLOC_E_FULL) {
        status = cache_is_behind(d->txn->registry, &behind, d->error);
        if (status == IPALLOC_OK)
            status = behind ? DRAW_BEHIND : say_full(d);
    } else if (status == IPALLOC_E_NOMEM) {
        error_no_memory(d->error);
    }
    return status;
}

static int find_any(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    draw d = {.txn = txn, .lease = lease, .pool = lease->claim.pool, .error = error};
    lease->scope = SCOPE_DYNAMIC;
    for (;;) {
        int status = txn_check_deadline(txn, error);
        if (status != IPALLOC_OK)
            return status;
        gate_enter(&txn->registry->gate);
        status = try_any(&d);
        gate_leave(&txn->registry->gate);
        if (status == DRAW_BEHIND) {
            status = cache_catch_up(txn->registry, error);
            if (status == IPALLOC_OK)
                status = DRAW_AGAIN;
        }
        if (status != DRAW_AGAIN)
            return status;
    }
}

/* --- this address ----------------------------------------------------------------------------- */

static int say_in_hand(const draw *d, const char *address, enum claim_kind kind,
                       const char *holder) {
    char quoted[300];
    if (strcmp(holder, d->txn->owner) == 0)
        return error_set(d->error, IPALLOC_E_CONFLICT,
                         "%s of pool %s is in the hands of another transaction of this owner",
                         address, d->pool->name);
    return error_set(d->error, IPALLOC_E_TAKEN, "%s of pool %s is being %s by %s", address,
                     d->pool->name, kind == CLAIM_TAKE ? "allocated" : "released",
                     text_quote(holder, strlen(holder), quoted, sizeof quoted));
}

static int say_held(const draw *d, const char *address, const char *holder) {
    char quoted[300];
    if (strcmp(holder, d->txn->owner) == 0)
        return error_set(d->error, IPALLOC_E_CONFLICT,
                         "another transaction of this owner has taken %s of pool %s", address,
                         d->pool->name);
    return error_set(d->error, IPALLOC_E_TAKEN, "%s of pool %s is held by %s", address,
                     d->pool->name, text_quote(holder, strlen(holder), quoted, sizeof quoted));
}

/* Who holds it, by the store. NOT_FOUND where nobody does. */
static int find_holder(const draw *d, const place *p, char holder[IPALLOC_OWNER_MAX + 1]) {
    record_key key = key_of_lease(d->pool->name, p);
    fetched record;
    ipalloc_lease lease;
    int status = registry_fetch(d->txn->registry, bytes_of_key(&key), &record, d->error);
    if (status != IPALLOC_OK)
        return status;
    bool fine = lease_parse(bytes_of_buffer(&record.value), p, &lease);
    text_free(&record.value);
    if (!fine)
        return record_corrupt(d->error, bytes_of_key(&key), "is not a lease record");
    memcpy(holder, lease.owner, sizeof lease.owner);
    return IPALLOC_OK;
}

/* Say why a place cannot be had, or DRAW_AGAIN, or DRAW_BEHIND. */
static int explain_taken(const draw *d, pool_range *range, range_offset offset) {
    char address[IPALLOC_ADDR_TEXT], holder[IPALLOC_OWNER_MAX + 1];
    const place *p = &d->lease->claim.place;
    claim_table *claims = &d->txn->registry->claims;
    enum claim_kind kind;
    place_format(p, address);
    bool in_hand = claims_find(claims, d->pool, p, &kind, holder);
    if (in_hand && kind == CLAIM_TAKE)
        return say_in_hand(d, address, kind, holder);
    enum range_state state = range_state_of(range->range, offset);
    if (state == RANGE_EXCLUDED)
        return error_set(d->error, IPALLOC_E_TAKEN, "%s is excluded from pool %s", address,
                         d->pool->name);
    if (state == RANGE_COOLING && d->pool->definition.refuse_reserve_cooling)
        return error_set(d->error, IPALLOC_E_TAKEN,
                         "%s of pool %s was released just now and is cooling down", address,
                         d->pool->name);
    char stored[IPALLOC_OWNER_MAX + 1];
    int status = find_holder(d, p, stored);
    if (status == IPALLOC_OK)
        return say_held(d, address, stored);
    if (status != IPALLOC_E_NOT_FOUND)
        return status;
    if (in_hand)
        return say_in_hand(d, address, kind, holder);
    bool behind;
    status = cache_is_behind(d->txn->registry, &behind, d->error);
    return status != IPALLOC_OK ? status : behind ? DRAW_BEHIND : DRAW_AGAIN;
}

static int say_not_in_range(const draw *d, const pool_range *range) {
    char address[IPALLOC_ADDR_TEXT], text[IPALLOC_CIDR_TEXT], all[300];
    place_format(&d->lease->claim.place, address);
    if (range == NULL)
        return error_set(d->error, IPALLOC_E_NOT_IN_RANGE, "%s is not in pool %s (%s)", address,
                         d->pool->name, definition_describe(&d->pool->definition, all, sizeof all));
    ipalloc_cidr_format(&range->cidr, text);
    return error_set(d->error, IPALLOC_E_NOT_IN_RANGE,
                     "%s is in %s, which is draining: pool %s gives nothing more out of it",
                     address, text, d->pool->name);
}

/* One try, inside the gate. */
static int try_this(draw *d) {
    range_offset offset;
    note_definitions(d->txn);
    pool_range *range = pool_find_range(d->pool, &d->lease->claim.place, &offset);
    if (range == NULL || range->draining) {
        bool behind;
        int status = cache_is_behind(d->txn->registry, &behind, d->error);
        return status != IPALLOC_OK ? status : behind ? DRAW_BEHIND : say_not_in_range(d, range);
    }
    int status = check_dry_run(d);
    if (status != IPALLOC_OK)
        return status;
    status = take_this(d, range, offset);
    if (status == IPALLOC_OK)
        return accept_claim(d, !d->pool->definition.refuse_reserve_cooling);
    if (status == IPALLOC_E_NOMEM)
        return error_no_memory(d->error);
    status = explain_taken(d, range, offset);
    if (status == IPALLOC_E_TAKEN && refusals_count(d))
        activity_refuse(&range->activity, SCOPE_STATIC);
    return status;
}

static int find_this(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    draw d = {.txn = txn, .lease = lease, .pool = lease->claim.pool, .error = error};
    lease->scope = SCOPE_STATIC;
    for (int look = 0; look < LOOKS_MAX; look++) {
        int status = txn_check_deadline(txn, error);
        if (status != IPALLOC_OK)
            return status;
        gate_enter(&txn->registry->gate);
        status = try_this(&d);
        gate_leave(&txn->registry->gate);
        if (status == DRAW_BEHIND) {
            status = cache_catch_up(txn->registry, error);
            if (status == IPALLOC_OK)
                continue;
        }
        if (status != DRAW_AGAIN)
            return status;
    }
    return error_set(error, IPALLOC_E_CONFLICT, "the address changes hands too fast to tell");
}

/* --- timed ------------------------------------------------------------------------------------ */

static int timed(ipalloc_txn *txn, txn_lease *lease,
                 int (*find)(ipalloc_txn *, txn_lease *, ipalloc_error *), ipalloc_error *error) {
    uint64_t start_ms = hooks_monotonic_ms(&txn->registry->hooks);
    int status = find(txn, lease, error);
    lease->draw_ms = hooks_monotonic_ms(&txn->registry->hooks) - start_ms;
    return status;
}

int draw_any(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    return timed(txn, lease, find_any, error);
}

int draw_this(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    return timed(txn, lease, find_this, error);
}
