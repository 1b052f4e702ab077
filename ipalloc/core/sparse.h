/*
 * sparse.h: the taken numbers of a range that is too large to lay out.
 *
 * Two hash tables, sparse_table.h: a number that is alone among its 64 neighbours costs 18 to 28
 * bytes (31 to 46 where numbers have more than 64 bits); 64 neighbours of which more are taken
 * share one leaf of 30 to 60 bytes, 0.94 bytes per number where they cluster. Tables are remade
 * larger or smaller when a third of what they hold has come or gone; a claim that finds no memory
 * changes nothing.
 *
 * Take, release and lookup are O(1), one cache line each where numbers are alone. A random pick is
 * O(1) until the range is nearly full, then one ordered scan over full leaves. The ordered walk
 * sorts the keys once (16 bytes a leaf, kept while walks go on and few keys change) and costs
 * O(log n) a step; without memory for that it scans the tables.
 *
 * Excluded numbers are not stored: free means neither taken nor excluded, and picks map around the
 * intervals. Not thread-safe: the range's lock guards it, and with it FULL is simply a count.
 */
#ifndef IPALLOC_CORE_SPARSE_H
#define IPALLOC_CORE_SPARSE_H

#include "core/bitmap.h"
#include "core/exclusion.h"

typedef struct sparse sparse;

/* Numbers 0..size-1, counted apart below and from `split` on. `excluded` must outlive it.
 * NULL when out of memory. */
sparse *sparse_create(hooks *h, u128 size, u128 split, const exclusion_set *excluded);
void sparse_destroy(sparse *set);

/* Take a number that is not excluded. OK; TAKEN; NOMEM (nothing changed). */
int sparse_take(sparse *set, u128 number);

/* Give it back. false: it was not taken. */
bool sparse_release(sparse *set, u128 number);

bool sparse_has(const sparse *set, u128 number);

/* Choose a free number of [begin, end), one of the two sides of `split`; `skip` (may be NULL)
 * passes numbers over. false: there is none. */
bool sparse_find_any(sparse *set, hooks *h, enum bitmap_choice choice, u128 begin, u128 end,
                     bool (*skip)(void *context, u128 number), void *context, u128 *number);

/* Choose from the numbers from `split` on (upper) or below it, and take it. OK; FULL: nothing is
 * free there; NOMEM (nothing changed). */
int sparse_claim_any(sparse *set, hooks *h, enum bitmap_choice choice, bool upper, u128 *number);

/* Free numbers of [begin, end), one of the two sides of `split`, or all of it. */
u128 sparse_count_free(const sparse *set, u128 begin, u128 end);

/* The smallest taken number >= from; false if there is none. */
bool sparse_next_taken(sparse *set, u128 from, u128 *number);

/* The largest taken number; false if there is none. One pass over the table. */
bool sparse_last_taken(const sparse *set, u128 *number);

/* Numbers from `first` on may have become free because an exclusion ended. */
void sparse_included(sparse *set, u128 first);

/* Counts against bits, keys where their hash leads, nothing excluded or beyond size. */
bool sparse_validate(const sparse *set);

#endif
