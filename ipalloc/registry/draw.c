/*
 * draw.c: claiming out of a pool, over its ranges and bands.
 *
 * A pick goes through all dynamic bands before any static one; among several ranges it falls on
 * each in proportion to what is free there. Where nothing is found, draw_full.c says whether that
 * is FULL.
 *
 * A dry-run goes the same way without claiming, passing over its own picks. It has no commit that
 * would find out what others did, so that the memory catches up before its first pick.
 */
#include "registry/draw.h"

#include <assert.h>
#include <string.h>

/* --- claims and ranges ------------------------------------------------------------------------ */

void draw_note_definitions(ipalloc_txn *txn) {
    if (txn->drew)
        return;
    txn->drew = true;
    txn->definitions_revision = txn->registry->definitions_revision;
}

void draw_list_claim(const draw *d, const pool_range *range, range_offset offset) {
    claim *c = &d->lease->claim;
    c->place = pool_range_place(c->pool, range, offset);
    c->kind = CLAIM_TAKE;
    claims_list(&d->txn->registry->claims, c);
}

/* The cooling record of what was just claimed, so that the commit can remove it and an undo can
 * put it back to rest. Where the memory gave it as free, its rest is over, and not to be able to
 * read the record is no reason to begin another: an undo makes it free again. */
static int read_cooling(draw *d) {
    txn_lease *lease = d->lease;
    const ipalloc_pool *pool = lease->claim.pool;
    ipalloc_registry *registry = d->txn->registry;
    lease->cooling_revision = 0; /* of what it claimed before, and gave back */
    lease->cooled_since_ms = 0;
    if (atomic_load_relaxed(&pool->has_cooling) == 0) /* set under the claims' lock */
        return IPALLOC_OK;
    record_key key = key_of_cooling(pool->name, &lease->claim.place);
    fetched record;
    uint64_t released_ms;
    char owner[IPALLOC_OWNER_MAX + 1];
    int status = registry_fetch(registry, bytes_of_key(&key), &record, d->error);
    if (status == IPALLOC_E_NOT_FOUND)
        return IPALLOC_OK;
    if (d->took_cooling)
        lease->cooled_since_ms = hooks_wall_ms(&registry->hooks); /* if we cannot know better */
    if (status != IPALLOC_OK)
        return status;
    bool fine = cooling_parse(bytes_of_buffer(&record.value), &released_ms, owner);
    text_free(&record.value);
    if (!fine)
        return record_corrupt(d->error, bytes_of_key(&key), "is not a cooling record");
    lease->cooled_since_ms = released_ms;
    lease->cooling_revision = record.revision;
    return IPALLOC_OK;
}

/* --- the order of ranges ---------------------------------------------------------------------- */

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
        draw_list_claim(d, range, offset);
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

static void consider_anew(void *context) {
    ((oldest_cooling *)context)->found = false;
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
        draw_list_claim(d, range, offset);
    claims_unlock(claims);
    return status == IPALLOC_E_NOT_FOUND ? DRAW_AGAIN : status;
}

static int take_cooling(draw *d) {
    record_key prefix = key_of_pool_cooling(d->pool->name);
    oldest_cooling o = {.draw = d, .prefix_length = prefix.length};
    registry_walk walk = {.prefix = bytes_of_key(&prefix),
                          .visit = consider_cooling,
                          .context = &o,
                          .restart = consider_anew};
    int status = registry_scan(d->txn->registry, &walk, d->error);
    if (status != IPALLOC_OK)
        return status;
    d->took_cooling = o.found;
    return o.found ? take_cooling_place(d, &o.place) : IPALLOC_E_FULL;
}

static int take_somewhere(draw *d) {
    int status = take_from_band(d, RANGE_BAND_DYNAMIC);
    if (status == IPALLOC_E_FULL)
        status = take_from_band(d, RANGE_BAND_STATIC);
    if (status == IPALLOC_E_FULL && d->pool->definition.reuse_cooling_when_full)
        status = take_cooling(d);
    return status == IPALLOC_E_FULL ? draw_prove_full(d) : status;
}

/* The memory gave a place as rested; or has another server released it only just now? What the
 * memory knew of when it judged, it judged by a clock that never goes back, and that stands. */
static bool has_rested(const draw *d) {
    const txn_lease *lease = d->lease;
    claim_table *claims = &d->txn->registry->claims;
    uint64_t rest_ms = d->pool->definition.cool_down_ms;
    uint64_t now_ms = hooks_wall_ms(&d->txn->registry->hooks);
    if (lease->cooling_revision == 0 || rest_ms == 0 ||
        (now_ms >= lease->cooled_since_ms && now_ms - lease->cooled_since_ms >= rest_ms))
        return true;
    claims_lock(claims);
    bool judged = !lease->claim.cooling_seen; /* else the memory has heard of it since */
    claims_unlock(claims);
    return judged && cache_has_seen(d->txn->registry, lease->cooling_revision);
}

/* What is undone then is free again: where those that rested stand in line, at its place in it. */
static uint64_t rested_since(const draw *d) {
    uint64_t rest_ms = d->pool->definition.cool_down_ms;
    uint64_t now_ms = hooks_wall_ms(&d->txn->registry->hooks);
    uint64_t latest_ms = now_ms > rest_ms ? now_ms - rest_ms : 0;
    if (d->pool->definition.strategy != IPALLOC_STRATEGY_OLDEST_FREED)
        return 0;
    return d->lease->cooled_since_ms < latest_ms ? d->lease->cooled_since_ms : latest_ms;
}

int draw_accept(draw *d, bool may_cool) {
    txn_lease *lease = d->lease;
    int status = read_cooling(d);
    if (status == IPALLOC_OK && !d->took_cooling && !d->txn->dry_run) {
        if (has_rested(d))
            lease->cooled_since_ms = rested_since(d);
        else if (!may_cool)
            status = DRAW_BEHIND; /* it goes to rest here too */
    }
    if (status == IPALLOC_OK)
        return IPALLOC_OK;
    draw_undo(d->txn, lease);
    lease->cooling_revision = 0;
    lease->cooled_since_ms = 0;
    return status;
}

/* The owner's record had this place, and it is free here: the memory does not know of it yet, or
 * the record has changed since. */
static int check_own_record(const draw *d) {
    char address[IPALLOC_ADDR_TEXT];
    const place *p = &d->lease->claim.place;
    if (owner_find_place(d->txn, d->pool, p) == NULL)
        return IPALLOC_OK;
    draw_undo(d->txn, d->lease);
    if (!d->caught_up)
        return DRAW_BEHIND;
    return error_set(d->error, IPALLOC_E_CONFLICT,
                     "another transaction of this owner has released %s of pool %s",
                     place_format(p, address), d->pool->name);
}

/* One try, inside the gate. */
static int try_any(draw *d) {
    draw_note_definitions(d->txn);
    d->took_cooling = false;
    int status = take_somewhere(d);
    if (status == IPALLOC_OK)
        status = draw_accept(d, d->took_cooling);
    if (status == IPALLOC_OK)
        status = check_own_record(d);
    return status == IPALLOC_E_NOMEM ? error_no_memory(d->error) : status;
}

/* --- again and again -------------------------------------------------------------------------- */

static int catch_up(draw *d) {
    int status = cache_catch_up(d->txn->registry, d->error);
    d->caught_up = d->txn->caught_up = status == IPALLOC_OK;
    return status;
}

/* One try, and what it asks for from outside the gate. */
static int look(draw *d, int (*try)(draw *)) {
    gate *g = &d->txn->registry->gate;
    gate_enter(g);
    int status = try(d);
    gate_leave(g);
    if (status == DRAW_FULL)
        return draw_confirm_full(d);
    if (status != DRAW_BEHIND)
        return status;
    status = catch_up(d);
    return status == IPALLOC_OK ? DRAW_AGAIN : status;
}

static int repeat(draw *d, int (*try)(draw *), size_t times) {
    ipalloc_registry *registry = d->txn->registry;
    int status = IPALLOC_OK;
    if (d->txn->dry_run && !d->txn->caught_up)
        status = catch_up(d);
    else if (atomic_load_relaxed(&registry->claims.crowded) != 0) /* a hint */
        cache_take_in(registry, NULL);
    for (size_t i = 0; status == IPALLOC_OK && (times == 0 || i < times); i++) {
        status = txn_check_deadline(d->txn, d->error);
        if (status == IPALLOC_OK)
            status = look(d, try);
        if (status != DRAW_AGAIN)
            return status;
        status = IPALLOC_OK;
    }
    return status != IPALLOC_OK ? status
                                : error_set(d->error, IPALLOC_E_CONFLICT,
                                            "the address changes hands too fast to tell");
}

int draw_timed(draw *d, int (*try)(draw *), size_t times) {
    const hooks *h = &d->txn->registry->hooks;
    uint64_t start_ms = hooks_monotonic_ms(h);
    int status = repeat(d, try, times);
    d->lease->draw_ms = hooks_monotonic_ms(h) - start_ms;
    return status;
}

int draw_any(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    draw d = {.txn = txn, .lease = lease, .pool = lease->claim.pool, .error = error};
    lease->scope = SCOPE_DYNAMIC;
    return draw_timed(&d, try_any, 0);
}

/* --- counting refusals ------------------------------------------------------------------------ */

bool draw_refusals_count(const draw *d) {
    return !d->txn->dry_run && d->txn->owner_loaded;
}

void draw_count_full(const ipalloc_pool *pool) {
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
        draw_count_full(pool);
    else if (status == IPALLOC_E_TAKEN && p != NULL)
        count_taken(pool, p);
    gate_leave(&pool->registry->gate);
}
