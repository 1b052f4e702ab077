/*
 * pair.h: the steady-state pair, "release a random held number, claim one", the same for all.
 *
 * Every subject keeps the numbers it holds in the same array of 32-bit numbers and draws its
 * victims in the same way, eight pairs ahead, so that subjects differ in nothing but claim and
 * release. The state of every such subject begins with its `pairs`, so that what is measured about
 * pairs (their cost, how well they spread) is measured here once for all of them.
 */
#ifndef IPALLOC_BENCH_PAIR_H
#define IPALLOC_BENCH_PAIR_H

#include "bench.h"

enum {
    VICTIMS_AHEAD = 8,
    LINE_PAIR =
        128, /* processors fetch cache lines in pairs: what two threads write lies further apart */
};

/* What one thread holds. */
typedef struct holder {
    _Alignas(LINE_PAIR) uint32_t *numbers;
    uint64_t count;
    uint64_t random;
    uint64_t step;
    uint64_t returned_at_once;       /* claims that gave the number released just before */
    uint32_t victims[VICTIMS_AHEAD]; /* indexes into numbers, drawn ahead */
} holder;

/* For a subject's claim and release: they are inlined into its loop, though a pair_way names them.
 */
#define PAIR_STEP static inline __attribute__((always_inline))

typedef uint32_t (*pair_claim)(void *map, uint64_t *random);
typedef void (*pair_release)(void *map, uint32_t number);

/* How a subject does its pairs. */
typedef struct pair_way {
    slice_run run; /* pairs on one thread: pair_loop with claim and release inlined */
    pair_claim claim;
    pair_release release;
} pair_way;

/* All threads' holders, and how many pairs make a slice. */
typedef struct pairs {
    holder holders[2];
    uint32_t *numbers; /* of all holders */
    const pair_way *way;
    void *maps[2]; /* what claim and release work on, by thread; set by the subject */
    unsigned thread_count;
    uint64_t size; /* numbers that can be claimed, taken or not */
    uint64_t slice_count;
    bool smoke;
} pairs;

/* Draw work->held distinct random numbers below `size` and deal them to the threads; `take` claims
 * each in the subject. false: no memory, or a take failed. */
typedef bool (*pair_take)(void *state, unsigned thread, uint32_t number);
bool pairs_open(pairs *p, const pair_way *way, const workload *work, uint64_t size, pair_take take,
                void *state);
void pairs_close(pairs *p);

/* Zeroed memory on cache lines of its own; free() it. */
void *lines_alloc(size_t bytes);

/* Warm up until the subject's own equilibrium is reached, then find the slice length. */
void pairs_warm_up(void *state, const workload *work);

/* The loop. `claim` and `release` are known where this is inlined, so they cost no call. */
static inline __attribute__((always_inline)) void
pair_loop(holder *h, uint64_t count, void *map, pair_claim claim, pair_release release) {
    uint64_t random = h->random, step = h->step, returned = 0;
    for (uint64_t i = 0; i < count; i++, step++) {
        uint32_t *victim = &h->victims[step % VICTIMS_AHEAD];
        uint32_t index = *victim;
        *victim = random_below(&random, h->count);
        __builtin_prefetch(&h->numbers[*victim], 1);
        uint32_t released = h->numbers[index];
        release(map, released);
        uint32_t claimed = claim(map, &random);
        returned += claimed == released;
        h->numbers[index] = claimed;
    }
    h->returned_at_once += returned;
    h->random = random;
    h->step = step;
}

/* --- what a round can measure; `state` begins with its pairs -------------------------------- */

/* Nanoseconds of a pair, on every thread of the workload. */
double pairs_measure(void *state);

/* Throughput of two threads on ranges of their own over that of one thread. */
double pairs_measure_gain(void *state);

/* How often a released number comes back at once, times what uniform choice would give: 1 is
 * uniform. */
double pairs_measure_return(void *state);

/* How evenly claims fall on what is free: the sum of the squared probabilities of the free numbers,
 * times their count. 1 is uniform; k: two claims collide as often as if only 1/k were free. */
double pairs_measure_spread(void *state);

/* A subject whose value is work->allowed: what a budget allows where there is no bare limit. */
extern const subject ALLOWED_SUBJECT;

/* A scenario with that as its limit, and at most 1 as its budget. */
scenario *allowed_scenario(plan *p, const char *unit, const char *name, double allowed);

/* The subjects that do pairs: the limit, ipalloc, and the peers (see peer.h). */
extern const subject LIMIT_SUBJECT, RANGE_SUBJECT, MUTEX_SUBJECT, KUBERNETES_SUBJECT,
    FREE_LIST_SUBJECT, ROARING_SUBJECT, JUDY_SUBJECT;

#endif
