/*
 * cooldown.h: released numbers that are kept back: they rest, or wait in line to be used again.
 *
 * A number in here stays taken in the bitmap or sparse set. RESTING ones may not be given out
 * before their rest is over; they leave in the order of their release. RESTED ones are free, and
 * wait in that same order; only the oldest-freed strategy keeps numbers there.
 *
 * Exact to the millisecond, for ranges where that costs memory in proportion to use, or where the
 * order of all releases matters; dense ranges that only rest have generations.h. Time is that of
 * rest_clock.h.
 *
 * Four binary heaps (resting and rested, below and above `split`), ordered by release time, then by
 * arrival. Put and remove are O(log n), O(1) for a put in order. Memory, laid out: everything at
 * creation, 28 bytes a number (32 with the rested heap) of which only those of numbers that ever
 * rested are touched, and one bit a number; nothing later. Otherwise: a hash from number to node,
 * 52 to 104 bytes per number kept back at once (56 to 112 with the rested heap), given back only at
 * the end, and a put may find no memory.
 * Not thread-safe: the range's lock guards it.
 */
#ifndef IPALLOC_CORE_COOLDOWN_H
#define IPALLOC_CORE_COOLDOWN_H

#include "base/hooks.h"
#include "base/u128.h"

typedef struct cooldown cooldown;

typedef struct cooldown_options {
    u128 size, split; /* numbers 0..size-1, counted apart below and from `split` on */
    bool laid_out;    /* all memory now; size < 2^32 */
    bool keep_rested; /* rested numbers wait in line here */
    uint64_t rest_ms;
} cooldown_options;

/* NULL when out of memory. `h` gives memory and the wall clock and must outlive it. */
cooldown *cooldown_create(const hooks *h, const cooldown_options *options);
void cooldown_destroy(cooldown *c);

/* The time on the clock that never goes back. */
uint64_t cooldown_now(cooldown *c);

/* Keep back a number that is not in here, released at that wall clock time. OK; NOMEM. */
int cooldown_put(cooldown *c, u128 number, uint64_t released_at_wall_ms);

enum cooldown_state { COOLDOWN_ABSENT, COOLDOWN_RESTING, COOLDOWN_RESTED };

enum cooldown_state cooldown_state_of(const cooldown *c, u128 number);

/* Forget a number. false: it was not in here. */
bool cooldown_remove(cooldown *c, u128 number);

/* A resting number whose rest is over at `now`, the longest-rested first. false: there is none. */
bool cooldown_due(const cooldown *c, uint64_t now, u128 *number);

/* Let a resting number wait in line as a rested one (keep_rested). */
void cooldown_promote(cooldown *c, u128 number);

/* The number released longest ago among the resting ones. */
bool cooldown_oldest_resting(const cooldown *c, u128 *number);

/* The number released longest ago among the rested ones on one side of `split` (0 below, 1 above)
 * for which `skip` (may be NULL) says false. O(1), O(n) with `skip`. */
bool cooldown_oldest_rested(const cooldown *c, int side, bool (*skip)(void *context, u128 number),
                            void *context, u128 *number);

/* How many are resting or rested on one side of `split`. */
uint64_t cooldown_count(const cooldown *c, int side, enum cooldown_state state);

/* How many there are in all; the index-th of them, in no order. */
uint64_t cooldown_total(const cooldown *c);
u128 cooldown_at(const cooldown *c, uint64_t index);

/* Laid out: all of them as 64-bit words: bit i of word w is number 64w+i. */
uint64_t cooldown_word(const cooldown *c, uint64_t word);

/* Heap order, positions, index and counts. */
bool cooldown_validate(const cooldown *c);

#endif
