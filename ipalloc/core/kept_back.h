/*
 * kept_back.h: the numbers that a range keeps back after their release, in the form that suits it.
 *
 *   nothing      no cool-down, and not oldest-freed: a released number is free at once.
 *   generations  dense with cool-down: a number rests; 2 bits a number, a rest may last half as
 *                long again (core/generations.h).
 *   queue        sparse, or oldest-freed: a number rests, then with oldest-freed it waits in line;
 *                exact times and order (core/cooldown.h).
 *
 * May use: core/generations.h, core/cooldown.h, core/numbers.h. Costs are theirs. A number in here
 * stays taken in the numbers. States are those of cooldown.h.
 * Not thread-safe: the range's lock guards it.
 */
#ifndef IPALLOC_CORE_KEPT_BACK_H
#define IPALLOC_CORE_KEPT_BACK_H

#include "core/cooldown.h"
#include "core/generations.h"
#include "core/numbers.h"

typedef struct kept_back { /* at most one of the two is set */
    generations *generations;
    cooldown *queue;
    bool in_line; /* oldest-freed: what has rested waits in line */
} kept_back;

/* false when out of memory. */
bool kept_back_create(kept_back *k, const hooks *h, const cooldown_options *options);
void kept_back_destroy(kept_back *k);

/* Is anything ever kept back here? Where not, the other calls find nothing. */
static inline bool kept_back_in_use(const kept_back *k) {
    return k->generations != NULL || k->queue != NULL;
}

static inline enum cooldown_state kept_back_state_of(const kept_back *k, u128 number) {
    if (k->generations != NULL)
        return generations_has(k->generations, (uint64_t)number) ? COOLDOWN_RESTING
                                                                 : COOLDOWN_ABSENT;
    return k->queue != NULL ? cooldown_state_of(k->queue, number) : COOLDOWN_ABSENT;
}

/* Look at the clock: what has rested is free in `n`, or waits in line. Returns how many. */
uint64_t kept_back_settle(kept_back *k, numbers *n);

/* Keep back a number that is not in here, released at that wall clock time. Settle first, under the
 * same lock: generations know no later time than that of the last settling. OK, and it is still
 * absent where it has rested long enough and needs no line; NOMEM (queue). */
int kept_back_put(kept_back *k, u128 number, uint64_t released_at_wall_ms);

/* Forget a number. false: it was not in here. */
bool kept_back_remove(kept_back *k, u128 number);

/* The resting number that was released longest ago, as exactly as the form knows. false: none. */
bool kept_back_oldest_resting(const kept_back *k, u128 *number);

/* The same of those that wait in line on one side of `split`, but for what `skip` passes over. */
bool kept_back_oldest_in_line(const kept_back *k, int side, number_skip skip, u128 *number);

/* How many there are on one side of `split` (0 below, 1 above). */
uint64_t kept_back_count(const kept_back *k, int side, enum cooldown_state state);

/* Dense: all that is kept back, as 64-bit words: bit i of word w is number 64w+i. */
uint64_t kept_back_word(const kept_back *k, uint64_t word);

/* Each number that is kept back, in no order; *cursor starts at 0. false: no further one. */
bool kept_back_next(const kept_back *k, uint64_t *cursor, u128 *number);

bool kept_back_validate(const kept_back *k);

#endif
