/*
 * generations.h: released numbers of a dense range that must rest, in two bits a number.
 *
 * Time is cut into epochs of half a rest (rounded up to a millisecond), by the clock of
 * rest_clock.h. All numbers released in one epoch are a generation, and rest together until that
 * epoch and the two after it are over: a rest lasts at least rest_ms and at most 1.5 times that,
 * and 2 ms for rounding. To remember each release by itself takes 28 bytes a number (cooldown.h); a
 * generation, of which only three can be resting, takes 2 bits: none, or which. That also makes put
 * and remove O(1), and the counts.
 *
 * Whoever comes by after an epoch has ended looks at the clock and takes out what has rested: one
 * pass over the words, for generations that are not empty. Between numbers of one generation there
 * is no order: "the oldest" is the lowest of the oldest generation.
 *
 * Memory: 2 bits a number, all of it at creation. Not thread-safe: the range's lock guards it.
 */
#ifndef IPALLOC_CORE_GENERATIONS_H
#define IPALLOC_CORE_GENERATIONS_H

#include "base/hooks.h"

typedef struct generations generations;

/* Numbers 0..size-1, counted apart below and from `split` on; rest_ms > 0. NULL when out of memory.
 * `h` gives memory and the wall clock and must outlive it. */
generations *generations_create(const hooks *h, uint64_t size, uint64_t split, uint64_t rest_ms);
void generations_destroy(generations *g);

/* Look at the clock; then take out all that has rested, before anything else is called: each true
 * gives some numbers, which bit i of *numbers is for 64 * *word + i. false: that was all. */
void generations_look(generations *g);
bool generations_take_rested(generations *g, uint64_t *word, uint64_t *numbers);

/* Put a number to rest that is not in here, released at that wall clock time; entries may come in
 * any order. Time is what the last look saw, so look first. false: it has rested long enough, and
 * is not in here now. */
bool generations_put(generations *g, uint64_t number, uint64_t released_at_wall_ms);

bool generations_has(const generations *g, uint64_t number);

/* Forget a number. false: it was not in here. */
bool generations_remove(generations *g, uint64_t number);

/* The lowest number of the oldest generation. false: nothing rests. O(size / 64) at worst, O(1) for
 * one after the other. */
bool generations_oldest(generations *g, uint64_t *number);

/* How many rest on one side of `split` (0 below, 1 above). */
uint64_t generations_count(const generations *g, int side);

/* The resting ones as 64-bit words: bit i of word w is number 64w+i. */
uint64_t generations_word(const generations *g, uint64_t word);

/* The smallest resting number >= from; false if there is none. */
bool generations_next(const generations *g, uint64_t from, uint64_t *number);

/* Counts and where searches begin against the bits; nothing beyond size. */
bool generations_validate(const generations *g);

#endif
