/*
 * exclusion.c: the sorted intervals behind exclusion.h.
 *
 * May use: base/. A change rewrites the array in place: adding swallows what it overlaps or
 * touches, removing cuts one interval in two at most, so that one spare entry always suffices.
 */
#include "core/exclusion.h"

#include <assert.h>
#include <string.h>

enum { CAPACITY_FIRST = 8 };

void exclusion_init(exclusion_set *set, const hooks *h) {
    *set = (exclusion_set){.hooks = h};
}

void exclusion_free(exclusion_set *set) {
    hooks_free(set->hooks, set->intervals);
    exclusion_init(set, set->hooks);
}

int exclusion_reserve(exclusion_set *set) {
    if (set->count < set->capacity)
        return IPALLOC_OK;
    size_t capacity = set->capacity > 0 ? set->capacity * 2 : CAPACITY_FIRST;
    interval *intervals =
        hooks_realloc(set->hooks, set->intervals, capacity * sizeof *set->intervals);
    if (intervals == NULL)
        return IPALLOC_E_NOMEM;
    set->intervals = intervals;
    set->capacity = capacity;
    return IPALLOC_OK;
}

/* The index of the first interval that ends at `number` or later. */
static size_t first_ending_from(const exclusion_set *set, u128 number) {
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->intervals[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Replace intervals [from, to) by `count` new ones. */
static void replace(exclusion_set *set, size_t from, size_t to, const interval *with,
                    size_t count) {
    assert(set->count - (to - from) + count <= set->capacity);
    memmove(set->intervals + from + count, set->intervals + to,
            (set->count - to) * sizeof *set->intervals);
    if (count > 0)
        memcpy(set->intervals + from, with, count * sizeof *with);
    set->count = set->count - (to - from) + count;
    set->changes++;
}

void exclusion_add(exclusion_set *set, interval excluded) {
    assert(excluded.first <= excluded.last && set->count < set->capacity);
    /* One number further on both sides, so that neighbours that only touch are merged too. */
    size_t from = first_ending_from(set, excluded.first > 0 ? excluded.first - 1 : 0);
    size_t to = from;
    u128 reach = excluded.last < U128_MAX ? excluded.last + 1 : U128_MAX;
    while (to < set->count && set->intervals[to].first <= reach) {
        const interval *old = &set->intervals[to++];
        if (old->first < excluded.first)
            excluded.first = old->first;
        if (old->last > excluded.last)
            excluded.last = old->last;
    }
    replace(set, from, to, &excluded, 1);
}

void exclusion_remove(exclusion_set *set, interval included) {
    assert(included.first <= included.last && set->count < set->capacity);
    size_t from = first_ending_from(set, included.first);
    size_t to = from;
    interval rest[2];
    size_t rest_count = 0;
    while (to < set->count && set->intervals[to].first <= included.last) {
        interval old = set->intervals[to++];
        if (old.first < included.first)
            rest[rest_count++] = (interval){old.first, included.first - 1};
        if (old.last > included.last)
            rest[rest_count++] = (interval){included.last + 1, old.last};
    }
    assert(rest_count <= 2);
    replace(set, from, to, rest, rest_count);
}

const interval *exclusion_first_overlap(const exclusion_set *set, interval wanted) {
    size_t index = first_ending_from(set, wanted.first);
    if (index == set->count || set->intervals[index].first > wanted.last)
        return NULL;
    return &set->intervals[index];
}

bool exclusion_covers(const exclusion_set *set, interval wanted) {
    const interval *found = exclusion_find(set, wanted.first);
    return found != NULL && found->last >= wanted.last; /* touching ones are merged: one is all */
}

u128 exclusion_count(const exclusion_set *set, u128 begin, u128 end) {
    u128 count = 0;
    for (size_t i = first_ending_from(set, begin); i < set->count; i++) {
        interval one = set->intervals[i];
        if (one.first >= end)
            break;
        u128 first = one.first > begin ? one.first : begin;
        u128 last = one.last < end ? one.last : end - 1;
        count += last - first + 1;
    }
    return count;
}

u128 exclusion_nth_around(const exclusion_set *set, u128 begin, u128 index) {
    u128 number = begin + index;
    for (size_t i = first_ending_from(set, begin); i < set->count; i++) {
        interval one = set->intervals[i];
        if (one.first > number)
            break;
        u128 first = one.first > begin ? one.first : begin;
        number += one.last - first + 1;
    }
    return number;
}

bool exclusion_validate(const exclusion_set *set, u128 size) {
    for (size_t i = 0; i < set->count; i++) {
        interval one = set->intervals[i];
        if (one.first > one.last || one.last >= size)
            return false;
        if (i > 0 && set->intervals[i - 1].last + 1 >= one.first)
            return false;
    }
    return set->count <= set->capacity;
}
