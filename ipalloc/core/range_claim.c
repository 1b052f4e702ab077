/*
 * range_claim.c: claiming, releasing, picking and proving, by offset.
 *
 * May use: the range's parts. Lock-free ranges go straight to the bitmap; the others take the lock,
 * let go what has rested, and then decide. Where both need the same step it has one name with
 * _settled, called under the lock.
 */
#include "core/range_private.h"
#include "core/sparse_private.h"

#include <assert.h>

static enum bitmap_choice choice_of(const ipalloc_range *range) {
    /* Oldest-freed takes never-used numbers first, lowest first. */
    return range->strategy == IPALLOC_STRATEGY_RANDOM ? BITMAP_RANDOM : BITMAP_LOWEST;
}

static bool is_excluded(const ipalloc_range *range, u128 number) {
    return exclusion_find(&range->excluded, number) != NULL;
}

/* --- under the lock ----------------------------------------------------------------------------
 */

void range_settle(ipalloc_range *range) {
    cooldown *kept_back = range->kept_back;
    if (kept_back == NULL)
        return;
    uint64_t now = cooldown_now(kept_back);
    u128 number;
    while (cooldown_due(kept_back, now, &number)) {
        if (range->strategy == IPALLOC_STRATEGY_OLDEST_FREED) {
            cooldown_promote(kept_back, number);
        } else {
            cooldown_remove(kept_back, number);
            numbers_release(&range->numbers, number);
        }
        range->freed_count++;
    }
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
    if (numbers_find_any(&range->numbers, &range->hooks, choice_of(range), bounds.begin, bounds.end,
                         skip, number))
        return true;
    return range->strategy == IPALLOC_STRATEGY_OLDEST_FREED &&
           cooldown_oldest_rested(range->kept_back, band == RANGE_BAND_DYNAMIC, skip.skip,
                                  skip.context, number);
}

int range_take_settled(ipalloc_range *range, u128 number) {
    if (range->kept_back != NULL && cooldown_remove(range->kept_back, number))
        return IPALLOC_OK; /* it was taken all along */
    if (is_excluded(range, number))
        return IPALLOC_E_TAKEN;
    return numbers_take(&range->numbers, number);
}

/* A sparse range that keeps nothing back: find and take in one step. */
static int claim_any_sparse(ipalloc_range *range, enum range_band band, range_offset *out) {
    u128 number;
    int status = sparse_claim_any(range->numbers.sparse, &range->hooks, choice_of(range),
                                  band == RANGE_BAND_DYNAMIC, &number);
    if (status == IPALLOC_OK)
        out->value = number;
    return status;
}

static int claim_any_settled(ipalloc_range *range, enum range_band band, range_offset *out) {
    if (range->kept_back == NULL)
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

static int claim_cooling_settled(ipalloc_range *range, range_offset *out) {
    u128 number;
    if (range->kept_back == NULL || !cooldown_oldest_resting(range->kept_back, &number))
        return IPALLOC_E_FULL;
    cooldown_remove(range->kept_back, number);
    out->value = number;
    return IPALLOC_OK;
}

static int allocate_settled(ipalloc_range *range, range_offset *out) {
    int status = claim_any_settled(range, RANGE_BAND_DYNAMIC, out);
    if (status == IPALLOC_E_FULL)
        status = claim_any_settled(range, RANGE_BAND_STATIC, out);
    if (status == IPALLOC_E_FULL && range->reuse_cooling_when_full)
        status = claim_cooling_settled(range, out);
    return status;
}

static void free_settled(ipalloc_range *range, u128 number) {
    bool was_taken = numbers_release(&range->numbers, number);
    assert(was_taken);
    (void)was_taken;
    range->freed_count++;
}

/* Put a taken number to rest, or in line. OK; NOMEM. */
static int keep_back(ipalloc_range *range, u128 number, uint64_t released_at_wall_ms) {
    int status = cooldown_put(range->kept_back, number, released_at_wall_ms);
    if (status == IPALLOC_OK && cooldown_state_of(range->kept_back, number) == COOLDOWN_RESTED)
        range->freed_count++;
    return status;
}

static int release_settled(ipalloc_range *range, u128 number, uint64_t released_at_wall_ms) {
    if (range_state_settled(range, number) != RANGE_HELD)
        return IPALLOC_E_NOT_FOUND;
    return keep_back(range, number, released_at_wall_ms);
}

u128 range_free_settled(const ipalloc_range *range, enum range_band band) {
    range_bounds bounds = band_bounds(range, band);
    u128 free = numbers_count_free(&range->numbers, bounds.begin, bounds.end);
    if (range->kept_back != NULL)
        free += cooldown_count(range->kept_back, band == RANGE_BAND_DYNAMIC, COOLDOWN_RESTED);
    return free;
}

static bool is_full_settled(ipalloc_range *range) {
    if (range->kept_back != NULL && cooldown_count(range->kept_back, 0, COOLDOWN_RESTED) +
                                            cooldown_count(range->kept_back, 1, COOLDOWN_RESTED) >
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
    atomic_add_seq(&range->bulk_epoch, 1); /* pairs with the load in range_bulk_since */
}

void range_bulk_end(ipalloc_range *range) {
    atomic_add_seq(&range->bulk_epoch, 1); /* pairs with the load in range_bulk_await */
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

/* Claim from the bitmap until there is something, or until FULL is proved. */
static int allocate_lock_free(ipalloc_range *range, range_offset *out) {
    bitmap *map = range->numbers.dense;
    uint64_t number, stamp;
    do {
        for (int i = 0; i < 2; i++) {
            range_bounds bounds =
                band_bounds(range, i == 0 ? RANGE_BAND_DYNAMIC : RANGE_BAND_STATIC);
            if (bounds.begin == bounds.end)
                continue;
            if (!bitmap_claim_any(map, &range->hooks, choice_of(range), (uint64_t)bounds.begin,
                                  (uint64_t)bounds.end, &number))
                continue;
            out->value = number;
            return IPALLOC_OK;
        }
    } while (!prove_full_lock_free(range, &stamp));
    return IPALLOC_E_FULL;
}

/* --- sparse ranges that keep nothing back ------------------------------------------------------
 */

static __attribute__((noinline)) int allocate_sparse(ipalloc_range *range, range_offset *out) {
    range_lock(range);
    int status = IPALLOC_OK;
    if (range->strategy != IPALLOC_STRATEGY_RANDOM ||
        !sparse_claim_at_once(range->numbers.sparse, &range->hooks, &out->value))
        status = allocate_settled(range, out);
    range_unlock(range);
    return status;
}

/* What is excluded is not in the set. */
static __attribute__((noinline)) int release_sparse(ipalloc_range *range, u128 number) {
    range_lock(range);
    bool released = sparse_release_at_once(range->numbers.sparse, number) ||
                    sparse_release(range->numbers.sparse, number);
    range->freed_count += released;
    range_unlock(range);
    return released ? IPALLOC_OK : IPALLOC_E_NOT_FOUND;
}

/* --- what range_internal.h offers --------------------------------------------------------------
 */

static __attribute__((noinline)) int allocate_locked(ipalloc_range *range, range_offset *out) {
    range_lock(range);
    range_settle(range);
    int status = allocate_settled(range, out);
    range_unlock(range);
    return status;
}

int range_allocate(ipalloc_range *range, range_offset *out) {
    if (!range->locked)
        return allocate_lock_free(range, out);
    return range->kept_back == NULL ? allocate_sparse(range, out) : allocate_locked(range, out);
}

int range_claim_any(ipalloc_range *range, enum range_band band, range_offset *out) {
    if (range->locked) {
        range_lock(range);
        range_settle(range);
        int status = claim_any_settled(range, band, out);
        range_unlock(range);
        return status;
    }
    range_bounds bounds = band_bounds(range, band);
    uint64_t number;
    if (bounds.begin == bounds.end ||
        !bitmap_claim_any(range->numbers.dense, &range->hooks, choice_of(range),
                          (uint64_t)bounds.begin, (uint64_t)bounds.end, &number))
        return IPALLOC_E_FULL;
    out->value = number;
    return IPALLOC_OK;
}

int range_claim_cooling(ipalloc_range *range, range_offset *out) {
    if (range->kept_back == NULL)
        return IPALLOC_E_FULL;
    range_lock(range);
    int status = claim_cooling_settled(range, out);
    range_unlock(range);
    return status;
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

/* A second release that races with the exclusion of its number would free what is excluded; the
 * lock keeps the two apart as soon as anything is excluded. */
static int release_lock_free(ipalloc_range *range, u128 number) {
    bool excluding = atomic_load_seq(&range->has_exclusions) != 0;
    if (excluding)
        range_lock(range);
    bool released = !(excluding && is_excluded(range, number)) &&
                    bitmap_release(range->numbers.dense, (uint64_t)number);
    if (excluding)
        range_unlock(range);
    return released ? IPALLOC_OK : IPALLOC_E_NOT_FOUND;
}

static __attribute__((noinline)) int release_locked(ipalloc_range *range, u128 number,
                                                    uint64_t released_at_wall_ms) {
    range_lock(range);
    int status = release_settled(range, number, released_at_wall_ms);
    range_unlock(range);
    return status;
}

int range_release(ipalloc_range *range, range_offset offset, uint64_t released_at_wall_ms) {
    assert(offset.value < range->size);
    if (!range->locked)
        return release_lock_free(range, offset.value);
    return range->kept_back == NULL ? release_sparse(range, offset.value)
                                    : release_locked(range, offset.value, released_at_wall_ms);
}

int range_unclaim(ipalloc_range *range, range_offset offset, uint64_t cooled_since_wall_ms) {
    assert(offset.value < range->size);
    if (!range->locked)
        return release_lock_free(range, offset.value);
    range_lock(range);
    int status = IPALLOC_E_NOT_FOUND;
    if (range_state_settled(range, offset.value) == RANGE_HELD) {
        /* Where no memory is left for the rest, losing the rest is better than losing the number.
         */
        if (range->kept_back == NULL || cooled_since_wall_ms == 0 ||
            keep_back(range, offset.value, cooled_since_wall_ms) != IPALLOC_OK)
            free_settled(range, offset.value);
        status = IPALLOC_OK;
    }
    range_unlock(range);
    return status;
}

static int restore_cooling_settled(ipalloc_range *range, u128 number,
                                   uint64_t released_at_wall_ms) {
    if (range_state_settled(range, number) != RANGE_FREE)
        return IPALLOC_E_TAKEN;
    if (range->kept_back == NULL)
        return IPALLOC_OK; /* nothing rests here: it is free */
    int status = range_take_settled(range, number);
    if (status != IPALLOC_OK)
        return status;
    status = keep_back(range, number, released_at_wall_ms);
    if (status != IPALLOC_OK)
        free_settled(range, number);
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
        if (atomic_load_seq(&range->has_exclusions) == 0 && !range_bulk_since(range, epoch))
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
