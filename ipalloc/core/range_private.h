/*
 * range_private.h: the inside of a range, shared by the range_*.c files and nobody else.
 *
 * A range runs in one of two ways, fixed when it is made:
 *   lock-free  dense, no cool-down, not oldest-freed: claims and releases go to the bitmap alone.
 *              The lock guards exclusions and bulk changes; a release or lookup takes it only while
 *              something is excluded.
 *   locked     everything else: every call takes the lock, so FULL is simply "nothing free now".
 *
 * Invariants: a number is free, held, kept back (cooling, or waiting in line to be used again) or
 * excluded. Dense: all but free ones are taken in the bitmap. Sparse: held and kept-back ones are
 * in the set, excluded ones are not.
 */
#ifndef IPALLOC_CORE_RANGE_PRIVATE_H
#define IPALLOC_CORE_RANGE_PRIVATE_H

#include "base/lock.h"
#include "core/cooldown.h"
#include "core/exclusion.h"
#include "core/numbers.h"
#include "core/range_internal.h"

struct ipalloc_range {
    hooks hooks;
    void *memory;               /* the block that this struct was placed in, for its alignment */
    struct ipalloc_range *self; /* for calls that are const to the caller but lock or settle */

    uint8_t family;   /* 4, 6; 0 for ports */
    u128 first_value; /* the address or port of offset 0 */
    u128 size;        /* usable numbers */
    u128 split;       /* the static band is [0, split), the dynamic one [split, size) */

    enum ipalloc_strategy strategy;
    bool reuse_cooling_when_full, refuse_reserve_cooling;
    bool locked;

    numbers numbers;
    cooldown *kept_back; /* NULL without cool-down unless the strategy is oldest-freed */
    exclusion_set excluded;
    atomic_word has_exclusions; /* lock-free ranges: 0 spares the lock */
    atomic_word bulk_epoch;     /* lock-free ranges: odd while a bulk change runs */
    uint64_t freed_count;       /* locked ranges: counts up whenever something became free */
    lock lock;
};

typedef struct range_bounds {
    u128 begin, end;
} range_bounds;

static inline range_bounds band_bounds(const ipalloc_range *range, enum range_band band) {
    return band == RANGE_BAND_STATIC ? (range_bounds){0, range->split}
                                     : (range_bounds){range->split, range->size};
}

static inline enum cooldown_state kept_back_state(const ipalloc_range *range, u128 number) {
    return range->kept_back == NULL ? COOLDOWN_ABSENT : cooldown_state_of(range->kept_back, number);
}

/* Take the lock of a range that the caller may have as const. */
static inline ipalloc_range *range_lock(const ipalloc_range *range) {
    lock_take(&range->self->lock);
    return range->self;
}

static inline void range_unlock(ipalloc_range *range) {
    lock_give(&range->lock);
}

/* Around changes of many bits, under the lock. A bulk change that is undone has had bits taken that
 * nobody held; in a lock-free range whoever saw a bit taken asks whether one ran meanwhile. */
void range_bulk_begin(ipalloc_range *range);
void range_bulk_end(ipalloc_range *range);
/* Wait until no bulk change runs; then range_bulk_since tells whether one began after that. */
uint64_t range_bulk_await(const ipalloc_range *range);
bool range_bulk_since(const ipalloc_range *range, uint64_t epoch);

/* The rest are called under the lock, or where nothing else runs. */

/* Let go what has rested long enough. */
void range_settle(ipalloc_range *range);

/* Take what is free, or kept back and to be given all the same. OK; TAKEN; NOMEM. */
int range_take_settled(ipalloc_range *range, u128 number);

enum range_state range_state_settled(const ipalloc_range *range, u128 number);

/* Counts of a band: free = in the numbers + waiting in line. */
u128 range_free_settled(const ipalloc_range *range, enum range_band band);
ipalloc_band_stats range_band_stats(const ipalloc_range *range, enum range_band band);

/* The smallest held number >= from. */
bool range_next_held(const ipalloc_range *range, u128 from, u128 *number);

#endif
