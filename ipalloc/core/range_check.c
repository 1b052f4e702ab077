/*
 * range_check.c: counting a range, and proving its invariants in place.
 *
 * May use: the range's parts. Cost: dense counting is one pass over the words, sparse counting O(1)
 * plus the intervals; validate looks at everything.
 */
#include "base/error.h"
#include "core/range_private.h"

#include <string.h>

/* --- counts ------------------------------------------------------------------------------------
 */

ipalloc_band_stats range_band_stats(const ipalloc_range *range, enum range_band band) {
    range_bounds bounds = band_bounds(range, band);
    u128 size = bounds.end - bounds.begin;
    u128 free = range_free_settled(range, band);
    u128 cooling = kept_back_count(&range->kept_back, band == RANGE_BAND_DYNAMIC, COOLDOWN_RESTING);
    u128 excluded = exclusion_count(&range->excluded, bounds.begin, bounds.end);
    return (ipalloc_band_stats){.size = count_of(size),
                                .free = count_of(free),
                                .used = count_of(size - free - cooling - excluded),
                                .cooling = count_of(cooling),
                                .excluded = count_of(excluded)};
}

static ipalloc_count add(ipalloc_count a, ipalloc_count b) {
    return count_of(count_value(a) + count_value(b)); /* below 2^128: usable addresses fit */
}

static ipalloc_band_stats add_bands(ipalloc_band_stats a, ipalloc_band_stats b) {
    return (ipalloc_band_stats){.size = add(a.size, b.size),
                                .free = add(a.free, b.free),
                                .used = add(a.used, b.used),
                                .cooling = add(a.cooling, b.cooling),
                                .excluded = add(a.excluded, b.excluded)};
}

/* The ends; "no address" and port 0 where a band is empty. */
static void fill_ends(const ipalloc_range *range, ipalloc_range_stats *stats) {
    if (range->size == 0)
        return;
    range_offset first = {0}, first_dynamic = {range->split}, last = {range->size - 1};
    bool has_dynamic = range->split < range->size;
    if (range->family == 0) {
        stats->port_first = range_port_of(range, first);
        stats->port_last = range_port_of(range, last);
        if (has_dynamic)
            stats->port_first_dynamic = range_port_of(range, first_dynamic);
        return;
    }
    stats->first = range_addr_of(range, first);
    stats->last = range_addr_of(range, last);
    if (has_dynamic)
        stats->first_dynamic = range_addr_of(range, first_dynamic);
}

int ipalloc_range_get_stats(const ipalloc_range *range, ipalloc_range_stats *out) {
    if (range == NULL || out == NULL || out->size < sizeof out->size)
        return IPALLOC_E_INVALID;
    ipalloc_range_stats stats;
    memset(&stats, 0, sizeof stats); /* the padding too: it is copied out */
    ipalloc_range *locked = range_lock(range);
    range_settle(locked);
    stats.static_band = range_band_stats(locked, RANGE_BAND_STATIC);
    stats.dynamic_band = range_band_stats(locked, RANGE_BAND_DYNAMIC);
    range_unlock(locked);
    stats.total = add_bands(stats.static_band, stats.dynamic_band);
    fill_ends(range, &stats);
    stats.size = out->size;
    memcpy(out, &stats, out->size < sizeof stats ? out->size : sizeof stats);
    return IPALLOC_OK;
}

/* --- validate ----------------------------------------------------------------------------------
 */

static int corrupt(ipalloc_error *error, const char *what) {
    return error_set(error, IPALLOC_E_CORRUPT, "range: %s", what);
}

/* What is excluded is not given out: taken in a bitmap, absent from a sparse set. */
static bool exclusions_agree(const ipalloc_range *range) {
    for (size_t i = 0; i < range->excluded.count; i++) {
        interval one = range->excluded.intervals[i];
        if (range->numbers.sparse != NULL) {
            u128 number;
            if (numbers_next_taken(&range->numbers, one.first, range->size, &number) &&
                number <= one.last)
                return false;
            continue;
        }
        uint64_t number;
        if (bitmap_next_free(range->numbers.dense, (uint64_t)one.first, (uint64_t)one.last + 1,
                             &number))
            return false;
    }
    return true;
}

/* What is kept back is taken, and not excluded. */
static bool kept_back_agrees(const ipalloc_range *range) {
    uint64_t cursor = 0;
    u128 number;
    while (kept_back_next(&range->kept_back, &cursor, &number))
        if (!numbers_is_taken(&range->numbers, number) ||
            exclusion_find(&range->excluded, number) != NULL)
            return false;
    return true;
}

/* free + kept back + excluded never exceed the band, by a count that looks at the bits. */
static bool counts_agree(const ipalloc_range *range, enum range_band band) {
    range_bounds bounds = band_bounds(range, band);
    ipalloc_band_stats stats = range_band_stats(range, band);
    u128 held = 0, number;
    for (u128 from = bounds.begin;
         from < bounds.end && range_next_held(range, from, &number) && number < bounds.end;
         from = number + 1)
        held++;
    return held == count_value(stats.used);
}

static int validate_locked(const ipalloc_range *range, ipalloc_error *error) {
    if (range->split > range->size)
        return corrupt(error, "the static band is larger than the range");
    if (!numbers_validate(&range->numbers))
        return corrupt(error, range->numbers.sparse != NULL
                                  ? "the table of taken addresses contradicts its counts"
                                  : "the bitmap's summaries contradict its words");
    if (!exclusion_validate(&range->excluded, range->size))
        return corrupt(error, "the excluded intervals are out of order");
    if (!exclusions_agree(range))
        return corrupt(error, "an excluded address can be given out");
    if (!kept_back_validate(&range->kept_back))
        return corrupt(error, "the account of cooling addresses is out of order");
    if (!kept_back_agrees(range))
        return corrupt(error, "a cooling address is free or excluded");
    if (!counts_agree(range, RANGE_BAND_STATIC) || !counts_agree(range, RANGE_BAND_DYNAMIC))
        return corrupt(error, "the counts contradict the held addresses");
    return IPALLOC_OK;
}

int ipalloc_range_validate(const ipalloc_range *range, ipalloc_error *error) {
    if (range == NULL)
        return error_set(error, IPALLOC_E_INVALID, "range: NULL");
    ipalloc_range *locked = range_lock(range);
    int status = validate_locked(locked, error);
    range_unlock(locked);
    return status;
}
