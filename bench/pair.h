/*
 * pair.h: the steady-state pair, "release a random held number, claim one", the same for all.
 *
 * Every subject keeps the numbers it holds in the same array of 32-bit numbers and draws its
 * victims in the same way, eight pairs ahead, so that subjects differ in nothing but claim and
 * release.
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

/* All threads' holders, and how many pairs make a slice. */
typedef struct pairs {
    holder holders[2];
    uint32_t *numbers; /* of all holders */
    unsigned thread_count;
    uint64_t slice_count;
} pairs;

/* Draw work->held distinct random numbers below `size` from `first` on and deal them to the
 * threads; `take` claims each in the subject. false: no memory, or a take failed. */
typedef bool (*pair_take)(void *state, unsigned thread, uint32_t number);
bool pairs_open(pairs *p, const workload *work, uint32_t first, uint64_t size, pair_take take,
                void *state);
void pairs_close(pairs *p);

/* Zeroed memory on cache lines of its own; free() it. */
void *lines_alloc(size_t bytes);

/* Warm up until the subject's own equilibrium is reached, then find the slice length. */
void pairs_warm_up(pairs *p, const workload *work, slice_run run, void *state);

/* The loop. `claim` and `release` are known where this is inlined, so they cost no call. */
static inline __attribute__((always_inline)) void
pair_loop(holder *h, uint64_t count, void *map, uint32_t (*claim)(void *map, uint64_t *random),
          void (*release)(void *map, uint32_t number)) {
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

/* How often a released number comes back at once, times what uniform choice would give: 1 is
 * uniform. `run` does the pairs on thread 0. */
double pairs_measure_return(pairs *p, slice_run run, void *state, uint64_t size, uint64_t count);

/* Throughput of two threads on ranges of their own over that of one thread. NAN: disturbed. */
double pairs_measure_gain(const pairs *p, slice_run run, void *state);

/* A subject whose value is work->allowed: what a budget allows where there is no bare limit. */
extern const subject ALLOWED_SUBJECT;

extern const subject LIMIT_SUBJECT, LIMIT_GAIN_SUBJECT, MUTEX_SUBJECT, KUBERNETES_SUBJECT,
    KUBERNETES_RETURN_SUBJECT;

#endif
