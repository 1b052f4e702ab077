/*
 * range_exclude.c: taking numbers out of circulation and putting them back, all or nothing.
 *
 * May use: the range's parts; everything here runs under the lock. A dense range takes the bits of
 * what is excluded, so that claims need not look; a sparse one only keeps the interval. A number
 * that is kept back (cooling or waiting in line) may be excluded: nobody holds it, and its rest is
 * forgotten. Cost: dense O(numbers of the interval), sparse O(held numbers of the interval).
 */
#include "core/range_private.h"

#include <assert.h>

static bool any_held(const ipalloc_range *range, interval wanted) {
    u128 number;
    return range_next_held(range, wanted.first, &number) && number <= wanted.last;
}

/* The numbers of `wanted` that are not excluded yet, one stretch at a time: *from is where to look
 * and is moved beyond. false: no further one. */
static bool next_stretch(const ipalloc_range *range, interval wanted, u128 *from,
                         interval *stretch) {
    const interval *hole;
    while (*from <= wanted.last && (hole = exclusion_find(&range->excluded, *from)) != NULL)
        *from = hole->last + 1;
    if (*from > wanted.last)
        return false;
    *stretch = (interval){*from, wanted.last};
    hole = exclusion_first_overlap(&range->excluded, *stretch);
    if (hole != NULL)
        stretch->last = hole->first - 1;
    *from = stretch->last + 1;
    return true;
}

static void release_bits(ipalloc_range *range, interval wanted) {
    u128 from = wanted.first;
    interval stretch;
    while (next_stretch(range, wanted, &from, &stretch))
        for (u128 number = stretch.first; number <= stretch.last; number++)
            bitmap_release(range->numbers.dense, (uint64_t)number);
}

/* Take every bit of `wanted` that is not excluded yet. TAKEN only in a lock-free range, where
 * somebody may claim one in the meantime; then nothing has changed. */
static int take_bits(ipalloc_range *range, interval wanted) {
    u128 from = wanted.first;
    interval stretch;
    while (next_stretch(range, wanted, &from, &stretch)) {
        for (u128 number = stretch.first; number <= stretch.last; number++) {
            if (kept_back_remove(&range->kept_back, number))
                continue; /* taken all along */
            if (bitmap_take(range->numbers.dense, (uint64_t)number))
                continue;
            assert(!range->locked);
            if (number > wanted.first)
                release_bits(range, (interval){wanted.first, number - 1});
            return IPALLOC_E_TAKEN;
        }
    }
    return IPALLOC_OK;
}

/* A sparse set does not store what is excluded: drop what was kept back there. */
static void drop_kept_back(ipalloc_range *range, interval wanted) {
    u128 number = wanted.first;
    while (numbers_next_taken(&range->numbers, number, wanted.last + 1, &number)) {
        kept_back_remove(&range->kept_back, number);
        numbers_release(&range->numbers, number++);
    }
}

static void note_exclusions(ipalloc_range *range) {
    atomic_store_release(&range->has_exclusions, range->excluded.count > 0);
}

static int exclude_locked(ipalloc_range *range, interval wanted) {
    if (any_held(range, wanted))
        return IPALLOC_E_TAKEN;
    int status = exclusion_reserve(&range->excluded);
    if (status != IPALLOC_OK)
        return status;
    if (range->numbers.sparse != NULL) {
        drop_kept_back(range, wanted);
    } else {
        atomic_store_release(&range->has_exclusions,
                             1); /* before the bits: see release_lock_free */
        status = take_bits(range, wanted);
    }
    if (status == IPALLOC_OK)
        exclusion_add(&range->excluded, wanted);
    note_exclusions(range);
    return status;
}

int range_exclude(ipalloc_range *range, range_offset first, range_offset last) {
    assert(first.value <= last.value && last.value < range->size);
    range_lock(range);
    range_bulk_begin(range);
    int status = exclude_locked(range, (interval){first.value, last.value});
    range_bulk_end(range);
    range_unlock(range);
    return status;
}

static int include_locked(ipalloc_range *range, interval wanted) {
    if (!exclusion_covers(&range->excluded, wanted))
        return IPALLOC_E_NOT_FOUND;
    int status = exclusion_reserve(&range->excluded);
    if (status != IPALLOC_OK)
        return status;
    exclusion_remove(&range->excluded, wanted);
    if (range->numbers.sparse != NULL)
        sparse_included(range->numbers.sparse, wanted.first);
    else
        release_bits(range, wanted);
    range->freed_count++;
    note_exclusions(range);
    return IPALLOC_OK;
}

int range_include(ipalloc_range *range, range_offset first, range_offset last) {
    assert(first.value <= last.value && last.value < range->size);
    range_lock(range);
    int status = include_locked(range, (interval){first.value, last.value});
    range_unlock(range);
    return status;
}
