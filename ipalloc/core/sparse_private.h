/*
 * sparse_private.h: the inside of a sparse set, and its two usual steps in line.
 *
 * May use: core/sparse_table.h. For sparse.c, and for the range, which claims and releases under
 * its lock: of a large set a step costs little but the wait for its cache line, and the fewer
 * instructions lie between two waits, the more of them a processor does at once. Both steps do all
 * or nothing; where they answer false, sparse.h has the whole of them.
 */
#ifndef IPALLOC_CORE_SPARSE_PRIVATE_H
#define IPALLOC_CORE_SPARSE_PRIVATE_H

#include "core/sparse.h"
#include "core/sparse_table.h"

#include <assert.h>

static const uint64_t RANDOM_STEP = 0x9e3779b97f4a7c15u; /* of splitmix64 */

typedef struct sparse_side { /* of `split`: the numbers below it, and those from it on */
    u128 begin, end;
    u128 lowest_free; /* nothing below this is free */
    u128 candidates;  /* not excluded, as of the exclusions' count of changes */
    u128 draw_mask;   /* as many low bits as candidates has */
    uint64_t taken;
} sparse_side;

typedef struct sparse_candidate { /* drawn for the next random pick of a side */
    const sparse_side *of;        /* NULL: none was drawn */
    u128 number;
    uint64_t hash;
} sparse_candidate;

struct sparse {
    lone_table lone;
    leaf_table leaves;
    size_t leaves_upper; /* those that hold numbers of the upper side, or could */
    hash_key key;
    const hooks *hooks;
    const exclusion_set *excluded;
    uint64_t exclusion_changes; /* of `excluded`, when candidates were counted */
    u128 size, split;
    sparse_side sides[2];
    sparse_candidate ahead;
    bool claims_at_once; /* see sparse_claim_at_once; false is never wrong */
    uint64_t random;     /* state of the random numbers, where the program brings none of its own */
    /* For ordered walks; NULL until one asks. Keys in `sorted` may be gone from the tables; keys
     * that came since are in `added`. */
    u128 *sorted; /* sorted_end keys, of which those before sorted_begin are gone; then `added` */
    size_t sorted_begin, sorted_end, added_count, gone_count;
};

/* The set has a state of its own, for it is locked anyway. */
static inline uint64_t sparse_random(sparse *set, hooks *h) {
    return h->own_random ? random_mix(set->random += RANDOM_STEP) : hooks_random_hooked(h);
}

/* Ask for the line of a number that hashes to `hash`, some hundred nanoseconds before it is wanted.
 * Not before the first number. */
static inline void sparse_prefetch(const sparse *set, uint64_t hash) {
    __builtin_prefetch(lone_line(&set->lone, lone_home(&set->lone, hash)), 1);
}

/* The usual release: a lone number of 64 bits in its own line, on the upper side and not below what
 * is known to be free there, so that there is nothing but a count to correct. */
static inline bool sparse_release_at_once(sparse *set, u128 number) {
    assert(number < set->size);
    if (number < set->sides[1].lowest_free || set->sorted != NULL || set->lone.wide)
        return false;
    uint64_t low = (uint64_t)number;
    if (!lone_remove_at_once(&set->lone, hash_short(&set->key, low >> 6), low))
        return false;
    set->sides[1].taken--;
    return true;
}

/* The usual random claim: the number drawn ahead for the upper side is free at the first look. It
 * wants numbers of 64 bits, no leaf on that side but lone ones, and no walk that wants to know;
 * claims_at_once says so. Draws the next and asks for its line, so that the
 * next claim does not wait for memory. */
static inline bool sparse_claim_at_once(sparse *set, hooks *h, u128 *number) {
    uint64_t taken = (uint64_t)set->ahead.number;
    if (!set->claims_at_once || set->exclusion_changes != set->excluded->changes ||
        !lone_put_at_once(&set->lone, set->ahead.hash, taken))
        return false;
    sparse_side *upper = &set->sides[1];
    upper->taken++;
    *number = taken;
    uint64_t last = (uint64_t)(upper->candidates - 1), index;
    do
        index = sparse_random(set, h) & (uint64_t)upper->draw_mask;
    while (index > last);
    uint64_t next = (uint64_t)exclusion_nth_included(set->excluded, upper->begin, index);
    set->ahead.number = next;
    set->ahead.hash = hash_short(&set->key, next >> 6);
    sparse_prefetch(set, set->ahead.hash);
    return true;
}

#endif
