/*
 * range_claim.c: claiming, releasing, picking and proving, by offset.
 *
 * May use: the range's parts. Lock-free ranges go straight to the bitmap; the others take the lock,
 * let go what has rested, and then decide. Where both need the same step it has one name with
 * _settled, called under the lock.
 */
#include "core/bitmap_private.h"
#include "core/range_private.h"
#include "core/sparse_private.h"

#include <assert.h>

static bool is_excluded(const ipalloc_range *range, u128 number) {
    return exclusion_find(&range->excluded, number) != NULL;
}

/* --- under the lock ----------------------------------------------------------------------------
 */

void range_settle(ipalloc_range *range) {
    range->freed_count += kept_back_settle(&range->kept_back, &range->numbers);
}

enum range_state range_state_settled(const ipalloc_range *range, u128 number) {
    if (is_excluded(range, number))
        return RANGE_EXCLUDED;
    if (!numbers_is_taken(&range->numbers, number))
        return RANGE_FREE;
    switch (kept_back_state(range, number)) {
    case COOLDOWN_RESTING:
        return RANGE_COOLING;
    case COOLDOWN_RESTED:
        return RANGE_FREE;
    case COOLDOWN_ABSENT:
        break;
    }
    return RANGE_HELD;
}

/* The pick: from the numbers, then from the line of those released earlier. */
static bool find_settled(ipalloc_range *range, enum range_band band, number_skip skip,
                         u128 *number) {
    range_bounds bounds = band_bounds(range, band);
    if (numbers_find_any(&range->numbers, &range->hooks, range_choice(range), bounds.begin,
                         bounds.end, skip, number))
        return true;
    return kept_back_oldest_in_line(&range->kept_back, band == RANGE_BAND_DYNAMIC, skip, number);
}

int range_take_settled(ipalloc_range *range, u128 number) {
    if (kept_back_remove(&range->kept_back, number))
        return IPALLOC_OK; /* it was taken all along */
    if (is_excluded(range, number))
        return IPALLOC_E_TAKEN;
    return numbers_take(&range->numbers, number);
}

/* A sparse range that keeps nothing back: find and take in one step. */
static int claim_any_sparse(ipalloc_range *range, enum range_band band, range_offset *out) {
    u128 number;
    int status = sparse_claim_any(range->numbers.sparse, &range->hooks, range_choice(range),
                                  band == RANGE_BAND_DYNAMIC, &number);
    if (status == IPALLOC_OK)
        out->value = number;
    return status;
}

static int claim_any_settled(ipalloc_range *range, enum range_band band, range_offset *out) {
    if (!kept_back_in_use(&range->kept_back))
        return claim_any_sparse(range, band, out);
    u128 number;
    if (!find_settled(range, band, (number_skip){0}, &number))
        return IPALLOC_E_FULL;
    int status = range_take_settled(range, number);
    assert(status != IPALLOC_E_TAKEN);
    if (status == IPALLOC_OK)
        out->value = number;
    return status;
}

static int reuse_oldest_settled(ipalloc_range *range, range_offset *out) {
    u128 number;
    if (!kept_back_oldest_resting(&range->kept_back, &number))
        return IPALLOC_E_FULL;
    kept_back_remove(&range->kept_back, number);
    out->value = number;
    return IPALLOC_OK;
}

int range_allocate_settled(ipalloc_range *range, range_offset *out) {
    int status = claim_any_settled(range, RANGE_BAND_DYNAMIC, out);
    if (status == IPALLOC_E_FULL)
        status = claim_any_settled(range, RANGE_BAND_STATIC, out);
    if (status == IPALLOC_E_FULL && range->reuse_cooling_when_full)
        status = reuse_oldest_settled(range, out);
    return status;
}

void range_free_now_settled(ipalloc_range *range, u128 number) {
    bool was_taken = numbers_release(&range->numbers, number);
    assert(was_taken);
    (void)was_taken;
    range->freed_count++;
}

/* Put a taken number to rest, or in line, or free it where it has rested enough. OK; NOMEM. */
static int keep_back(ipalloc_range *range, u128 number, uint64_t released_at_wall_ms) {
    int status = kept_back_put(&range->kept_back, number, released_at_wall_ms);
    if (status != IPALLOC_OK)
        return status;
    enum cooldown_state state = kept_back_state(range, number);
    if (state == COOLDOWN_ABSENT)
        range_free_now_settled(range, number);
    else if (state == COOLDOWN_RESTED)
        range->freed_count++;
    return IPALLOC_OK;
}

static int release_settled(ipalloc_range *range, u128 number, uint64_t released_at_wall_ms) {
    if (range_state_settled(range, number) != RANGE_HELD)
        return IPALLOC_E_NOT_FOUND;
    return keep_back(range, number, released_at_wall_ms);
}

u128 range_free_settled(const ipalloc_range *range, enum range_band band) {
    range_bounds bounds = band_bounds(range, band);
    return numbers_count_free(&range->numbers, bounds.begin, bounds.end) +
           kept_back_count(&range->kept_back, band == RANGE_BAND_DYNAMIC, COOLDOWN_RESTED);
}

static bool is_full_settled(ipalloc_range *range) {
    if (kept_back_count(&range->kept_back, 0, COOLDOWN_RESTED) +
            kept_back_count(&range->kept_back, 1, COOLDOWN_RESTED) >
        0)
        return false;
    if (range->numbers.sparse != NULL)
        return sparse_count_free(range->numbers.sparse, 0, range->size) == 0;
    uint64_t stamp, number;
    return bitmap_prove_full(range->numbers.dense, &stamp, &number);
}

/* --- lock-free ranges --------------------------------------------------------------------------
 */

void range_bulk_begin(ipalloc_range *range) {
    atomic_store_seq(&range->guard, 1);    /* pairs with the load in range_is_guarded */
    atomic_add_seq(&range->bulk_epoch, 1); /* pairs with the load in range_bulk_since */
}

void range_bulk_end(ipalloc_range *range) {
    atomic_add_seq(&range->bulk_epoch, 1); /* pairs with the load in range_bulk_await */
    atomic_store_seq(&range->guard, range->excluded.count > 0);
}

uint64_t range_bulk_await(const ipalloc_range *range) {
    uint64_t epoch;
    while ((epoch = atomic_load_seq(&range->bulk_epoch)) % 2 != 0)
        range_unlock(range_lock(range));
    return epoch;
}

bool range_bulk_since(const ipalloc_range *range, uint64_t epoch) {
    return atomic_load_seq(&range->bulk_epoch) != epoch;
}

static bool prove_full_lock_free(ipalloc_range *range, uint64_t *stamp) {
    for (;;) {
        uint64_t epoch = range_bulk_await(range), number;
        if (!bitmap_prove_full(range->numbers.dense, stamp, &number))
            return false;
        if (!range_bulk_since(range, epoch))
            return true;
    }
}

static int claim_lock_free(ipalloc_range *range, u128 number) {
    if (bitmap_take(range->numbers.dense, (uint64_t)number))
        return IPALLOC_OK;
    for (;;) {
        uint64_t epoch = range_bulk_await(range);
        if (bitmap_take(range->numbers.dense, (uint64_t)number))
            return IPALLOC_OK;
        if (!range_bulk_since(range, epoch))
            return IPALLOC_E_TAKEN;
    }
}

/* Some free number of a band, or BITMAP_NONE, which proves nothing. */
static inline uint64_t claim_in_band(ipalloc_range *range, enum range_band band) {
    const bitmap_band *b = &range->bands[band];
    if (range->strategy == IPALLOC_STRATEGY_RANDOM)
        return bitmap_claim_random(range->numbers.dense, &range->hooks, b);
    return bitmap_claim_lowest(range->numbers.dense, b);
}

/* Claim from the bitmap until there is something, or until FULL is proved. Where no flag stands,
 * that is likely, and quickly done. */
static int allocate_lock_free(ipalloc_range *range, range_offset *out) {
    uint64_t stamp;
    for (;;) {
        if (looks_full(range->numbers.dense) && prove_full_lock_free(range, &stamp))
            return IPALLOC_E_FULL;
        uint64_t number = claim_in_band(range, RANGE_BAND_DYNAMIC);
        if (number == BITMAP_NONE)
            number = claim_in_band(range, RANGE_BAND_STATIC);
        if (number != BITMAP_NONE) {
            out->value = number;
            return IPALLOC_OK;
        }
        if (prove_full_lock_free(range, &stamp))
            return IPALLOC_E_FULL;
    }
}

/* --- sparse ranges that keep nothing back ------------------------------------------------------
 */

static NOINLINE int allocate_sparse(ipalloc_range *range, range_offset *out) {
    range_lock(range);
    int status = IPALLOC_OK;
    if (range->strategy != IPALLOC_STRATEGY_RANDOM ||
        !sparse_claim_at_once(range->numbers.sparse, &range->hooks, &out->value))
        status = range_allocate_settled(range, out);
    range_unlock(range);
    return status;
}

/* What is excluded is not in the set. */
static NOINLINE int release_sparse(ipalloc_range *range, u128 number) {
    range_lock(range);
    bool released = sparse_release_at_once(range->numbers.sparse, number) ||
                    sparse_release(range->numbers.sparse, number);
    range->freed_count += released;
    range_unlock(range);
    return released ? IPALLOC_OK : IPALLOC_E_NOT_FOUND;
}

/* --- what range_internal.h offers --------------------------------------------------------------
 */

static NOINLINE int allocate_locked(ipalloc_range *range, range_offset *out) {
    range_lock(range);
    range_settle(range);
    int status = range_allocate_settled(range, out);
    range_unlock(range);
    return status;
}

int range_allocate(ipalloc_range *range, range_offset *out) {
    if (!range->locked)
        return allocate_lock_free(range, out);
    return kept_back_in_use(&range->kept_back) ? allocate_locked(range, out)
                                               : allocate_sparse(range, out);
}

int range_claim_any(ipalloc_range *range, enum range_band band, range_offset *out) {
    if (range->locked) {
        range_lock(range);
        range_settle(range);
        int status = claim_any_settled(range, band, out);
        range_unlock(range);
        return status;
    }
    uint64_t number = claim_in_band(range, band);
    if (number == BITMAP_NONE)
        return IPALLOC_E_FULL;
    out->value = number;
    return IPALLOC_OK;
}

int range_claim_cooling(ipalloc_range *range, range_offset offset) {
    assert(offset.value < range->size);
    if (!range->locked)
        return IPALLOC_E_NOT_FOUND;
    range_lock(range);
    range_settle(range);
    bool cools = range_state_settled(range, offset.value) == RANGE_COOLING;
    if (cools)
        kept_back_remove(&range->kept_back, offset.value);
    range_unlock(range);
    return cools ? IPALLOC_OK : IPALLOC_E_NOT_FOUND;
}

int range_claim(ipalloc_range *range, range_offset offset) {
    assert(offset.value < range->size);
    if (!range->locked)
        return claim_lock_free(range, offset.value);
    range_lock(range);
    range_settle(range);
    int status = IPALLOC_E_TAKEN;
    if (!range->refuse_reserve_cooling || kept_back_state(range, offset.value) != COOLDOWN_RESTING)
        status = range_take_settled(range, offset.value);
    range_unlock(range);
    return status;
}

static int release_lock_free(ipalloc_range *range, u128 number) {
    bitmap *map = range->numbers.dense;
    uint64_t word = (uint64_t)number / 64, bit = (uint64_t)1 << (unsigned)(number % 64);
    bool guarded = false;
    uint64_t released = release_in_word(map, word, bit, &range->guard, &guarded);
    if (guarded) {
        range_lock(range); /* now no bulk change runs */
        if (!is_excluded(range, number))
            released = release_in_word(map, word, bit, NULL, NULL);
        range_unlock(range);
    }
    return released != 0 ? IPALLOC_OK : IPALLOC_E_NOT_FOUND;
}

static NOINLINE int release_locked(ipalloc_range *range, u128 number,
                                   uint64_t released_at_wall_ms) {
    range_lock(range);
    range_settle(range);
    int status = release_settled(range, number, released_at_wall_ms);
    range_unlock(range);
    return status;
}

int range_release(ipalloc_range *range, range_offset offset, uint64_t released_at_wall_ms) {
    assert(offset.value < range->size);
    if (!range->locked)
        return release_lock_free(range, offset.value);
    return kept_back_in_use(&range->kept_back)
               ? release_locked(range, offset.value, released_at_wall_ms)
               : release_sparse(range, offset.value);
}

int range_unclaim(ipalloc_range *range, range_offset offset, uint64_t cooled_since_wall_ms) {
    assert(offset.value < range->size);
    if (!range->locked)
        return release_lock_free(range, offset.value);
    range_lock(range);
    range_settle(range);
    int status = IPALLOC_E_NOT_FOUND;
    if (range_state_settled(range, offset.value) == RANGE_HELD) {
        /* Where no memory is left for the rest, losing the rest is better than losing the number.
         */
        if (!kept_back_in_use(&range->kept_back) || cooled_since_wall_ms == 0 ||
            keep_back(range, offset.value, cooled_since_wall_ms) != IPALLOC_OK)
            range_free_now_settled(range, offset.value);
        status = IPALLOC_OK;
    }
    range_unlock(range);
    return status;
}

static int restore_cooling_settled(ipalloc_range *range, u128 number,
                                   uint64_t released_at_wall_ms) {
    if (range_state_settled(range, number) != RANGE_FREE)
        return IPALLOC_E_TAKEN;
    if (!kept_back_in_use(&range->kept_back))
        return IPALLOC_OK; /* nothing rests here: it is free */
    int status = range_take_settled(range, number);
    if (status != IPALLOC_OK)
        return status;
    status = keep_back(range, number, released_at_wall_ms);
    if (status != IPALLOC_OK)
        range_free_now_settled(range, number);
    return status;
}

int range_restore_cooling(ipalloc_range *range, range_offset offset, uint64_t released_at_wall_ms) {
    assert(offset.value < range->size);
    range_lock(range);
    range_settle(range);
    int status = restore_cooling_settled(range, offset.value, released_at_wall_ms);
    range_unlock(range);
    return status;
}

typedef struct offset_skip {
    bool (*skip)(void *context, range_offset offset);
    void *context;
} offset_skip;

static bool skip_offset(void *context, u128 number) {
    const offset_skip *skip = context;
    return skip->skip(skip->context, (range_offset){number});
}

int range_peek(ipalloc_range *range, enum range_band band,
               bool (*skip)(void *context, range_offset offset), void *context, range_offset *out) {
    offset_skip by_offset = {skip, context};
    number_skip by_number = {skip != NULL ? skip_offset : NULL, &by_offset};
    if (range->locked) {
        range_lock(range);
        range_settle(range);
    }
    u128 number;
    bool found = find_settled(range, band, by_number, &number);
    if (range->locked)
        range_unlock(range);
    if (found)
        out->value = number;
    return found ? IPALLOC_OK : IPALLOC_E_FULL;
}

int range_prove_full(ipalloc_range *range, uint64_t *stamp) {
    if (!range->locked)
        return prove_full_lock_free(range, stamp) ? IPALLOC_E_FULL : IPALLOC_OK;
    range_lock(range);
    range_settle(range);
    bool full = is_full_settled(range);
    *stamp = range->freed_count;
    range_unlock(range);
    return full ? IPALLOC_E_FULL : IPALLOC_OK;
}

bool range_still_full(const ipalloc_range *range, uint64_t stamp) {
    if (!range->locked)
        return bitmap_still_full(range->numbers.dense, stamp);
    ipalloc_range *locked = range_lock(range);
    range_settle(locked);
    bool full = locked->freed_count == stamp; /* it was full then and nothing became free since */
    range_unlock(locked);
    return full;
}

enum range_state range_state_of(const ipalloc_range *range, range_offset offset) {
    assert(offset.value < range->size);
    if (!range->locked) {
        uint64_t epoch = range_bulk_await(range);
        if (!numbers_is_taken(&range->numbers, offset.value))
            return RANGE_FREE;
        if (!range_is_guarded(range) && !range_bulk_since(range, epoch))
            return RANGE_HELD;
    }
    ipalloc_range *locked = range_lock(range);
    range_settle(locked);
    enum range_state state = range_state_settled(locked, offset.value);
    range_unlock(locked);
    return state;
}

u128 range_count_free(const ipalloc_range *range, enum range_band band) {
    if (!range->locked) {
        range_bounds bounds = band_bounds(range, band);
        return numbers_count_free(&range->numbers, bounds.begin, bounds.end);
    }
    ipalloc_range *locked = range_lock(range);
    range_settle(locked);
    u128 free = range_free_settled(locked, band);
    range_unlock(locked);
    return free;
}

u128 range_usable_size(const ipalloc_range *range) {
    return range->size;
}

bool range_is_static(const ipalloc_range *range, range_offset offset) {
    return offset.value < range->split;
}
