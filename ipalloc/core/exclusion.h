/*
 * exclusion.h: numbers that are never given out, as sorted intervals.
 *
 * Memory: 32 bytes an interval, whatever its length. Lookups are a binary search; changes and
 * exclusion_nth_included walk the intervals, of which a configuration has a handful.
 * Not thread-safe: the range's lock guards it.
 * Invariant: intervals are sorted, disjoint and never touch (touching ones are merged).
 */
#ifndef IPALLOC_CORE_EXCLUSION_H
#define IPALLOC_CORE_EXCLUSION_H

#include "base/hooks.h"
#include "base/u128.h"

typedef struct interval { /* both ends included, so that the last number of all can be in one */
    u128 first, last;
} interval;

typedef struct exclusion_set {
    const hooks *hooks;
    interval *intervals;
    size_t count, capacity;
    uint64_t changes; /* counts up with every one, for those who keep what they computed from it */
} exclusion_set;

void exclusion_init(exclusion_set *set, const hooks *h);
void exclusion_free(exclusion_set *set);

/* Make room so that the next add or remove cannot fail. OK; NOMEM. */
int exclusion_reserve(exclusion_set *set);

/* After exclusion_reserve. `excluded` may overlap what is excluded already. */
void exclusion_add(exclusion_set *set, interval excluded);
/* After exclusion_reserve. */
void exclusion_remove(exclusion_set *set, interval included);

/* Is every number of `wanted` excluded? */
bool exclusion_covers(const exclusion_set *set, interval wanted);

/* The lowest interval that shares a number with `wanted`; NULL if none does. */
const interval *exclusion_first_overlap(const exclusion_set *set, interval wanted);

/* The interval that holds `number`; NULL if it is not excluded. Most ranges exclude nothing. */
static inline const interval *exclusion_find(const exclusion_set *set, u128 number) {
    return set->count == 0 ? NULL : exclusion_first_overlap(set, (interval){number, number});
}

/* How many numbers of [begin, end) are excluded. */
u128 exclusion_count(const exclusion_set *set, u128 begin, u128 end);

/* The index-th number from `begin` on that is not excluded; the caller knows that there is one. */
u128 exclusion_nth_around(const exclusion_set *set, u128 begin, u128 index);

static inline u128 exclusion_nth_included(const exclusion_set *set, u128 begin, u128 index) {
    return set->count == 0 ? begin + index : exclusion_nth_around(set, begin, index);
}

/* Sorted, disjoint, not touching, and below `size`. */
bool exclusion_validate(const exclusion_set *set, u128 size);

#endif
