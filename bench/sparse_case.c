/*
 * sparse_case.c: a range too large to lay out (IPv6 /64), against a plain open-addressing set of
 * the same random numbers.
 *
 * The set is the floor of any structure that keeps what is held: one probe sequence, 8 bytes a
 * number, half full, no lock, no order, no states.
 */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPARSE_SLICE_NS = 2000000,
    WARMING_NS = 30000000, /* at most */
};

typedef struct sparse_state {
    uint64_t *numbers; /* held */
    uint64_t held;
    uint64_t random;
    uint64_t slice_count;
    uint64_t victims[VICTIMS_AHEAD];
    ipalloc_range *range; /* ipalloc */
    uint64_t *slots;      /* the set: 0 is empty */
    uint64_t slots_mask;
} sparse_state;

static inline __attribute__((always_inline)) void
sparse_loop(sparse_state *s, uint64_t count, uint64_t (*claim)(sparse_state *),
            void (*release)(sparse_state *, uint64_t)) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t *victim = &s->victims[i % VICTIMS_AHEAD];
        uint64_t index = *victim;
        *victim = random_below(&s->random, s->held);
        __builtin_prefetch(&s->numbers[*victim], 1);
        release(s, s->numbers[index]);
        s->numbers[index] = claim(s);
    }
}

/* --- the set ---------------------------------------------------------------------------------- */

static inline uint64_t home_of(const sparse_state *s, uint64_t number) {
    return (number * 0x9e3779b97f4a7c15u >> 20) & s->slots_mask;
}

static uint64_t set_claim(sparse_state *s) {
    for (;;) {
        uint64_t number = random_next(&s->random) | 1;
        uint64_t at = home_of(s, number);
        while (s->slots[at] != 0 && s->slots[at] != number)
            at = (at + 1) & s->slots_mask;
        if (s->slots[at] == number)
            continue;
        s->slots[at] = number;
        return number;
    }
}

/* Closes the gap, so that no tombstones pile up. */
static void set_release(sparse_state *s, uint64_t number) {
    uint64_t gap = home_of(s, number);
    while (s->slots[gap] != number)
        gap = (gap + 1) & s->slots_mask;
    for (uint64_t at = (gap + 1) & s->slots_mask; s->slots[at] != 0;
         at = (at + 1) & s->slots_mask) {
        uint64_t home = home_of(s, s->slots[at]);
        if (((at - home) & s->slots_mask) < ((at - gap) & s->slots_mask))
            continue;
        s->slots[gap] = s->slots[at];
        gap = at;
    }
    s->slots[gap] = 0;
}

static void set_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    sparse_loop(state, count, set_claim, set_release);
}

/* --- ipalloc ---------------------------------------------------------------------------------- */

static uint64_t number_of(const ipalloc_addr *address) {
    uint64_t big_endian;
    memcpy(&big_endian, address->bytes + 8, sizeof big_endian);
    return __builtin_bswap64(big_endian);
}

static ipalloc_addr addr_of(uint64_t number) {
    ipalloc_addr address = {.family = 6, .bytes = {0xfd}};
    uint64_t big_endian = __builtin_bswap64(number);
    memcpy(address.bytes + 8, &big_endian, sizeof big_endian);
    return address;
}

static void must_be_ok(int status, const char *what) {
    if (status == IPALLOC_OK)
        return;
    fprintf(stderr, "ipalloc-bench: %s answered %s\n", what, ipalloc_status_name(status));
    exit(EXIT_FAILURE);
}

static uint64_t sparse_claim(sparse_state *s) {
    ipalloc_addr address;
    must_be_ok(ipalloc_range_allocate(s->range, &address), "ipalloc_range_allocate");
    return number_of(&address);
}

static void sparse_release(sparse_state *s, uint64_t number) {
    ipalloc_addr address = addr_of(number);
    must_be_ok(ipalloc_range_release(s->range, &address), "ipalloc_range_release");
}

static void sparse_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    sparse_loop(state, count, sparse_claim, sparse_release);
}

/* --- both ------------------------------------------------------------------------------------- */

static void sparse_close(void *state) {
    sparse_state *s = state;
    if (s->range != NULL) {
        ipalloc_error error;
        must_be_ok(ipalloc_range_validate(s->range, &error), "ipalloc_range_validate");
    }
    ipalloc_range_destroy(s->range);
    free(s->slots);
    free(s->numbers);
    free(s);
}

static sparse_state *sparse_make(const workload *work) {
    sparse_state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->held = work->held;
    s->random = 11;
    s->numbers = calloc(s->held, sizeof *s->numbers);
    return s;
}

static void sparse_prepare(sparse_state *s, slice_run run, uint64_t (*claim)(sparse_state *)) {
    for (uint64_t i = 0; i < s->held; i++)
        s->numbers[i] = claim(s);
    for (int i = 0; i < VICTIMS_AHEAD; i++)
        s->victims[i] = random_below(&s->random, s->held);
    s->slice_count = slice_calibrate(run, s, 1, SPARSE_SLICE_NS);
}

static void *set_open(const workload *work) {
    sparse_state *s = sparse_make(work);
    if (s == NULL)
        return NULL;
    s->slots_mask = 2 * work->held - 1;
    s->slots = calloc(s->slots_mask + 1, sizeof *s->slots);
    if (s->slots == NULL || s->numbers == NULL) {
        sparse_close(s);
        return NULL;
    }
    sparse_prepare(s, set_run, set_claim);
    return s;
}

static void *sparse_open(const workload *work) {
    sparse_state *s = sparse_make(work);
    if (s == NULL)
        return NULL;
    ipalloc_cidr cidr = {.base = addr_of(0), .prefix_length = 64};
    if (s->numbers == NULL || ipalloc_range_create(&cidr, NULL, &s->range, NULL) != IPALLOC_OK) {
        sparse_close(s);
        return NULL;
    }
    sparse_prepare(s, sparse_run, sparse_claim);
    return s;
}

/* As for pairs (pair.c): the other subject has had the caches, and this is a steady state. */
static double warm_slice_time(sparse_state *s, slice_run run) {
    uint64_t end = now_ns() + WARMING_NS;
    for (uint64_t done = 0; done < 2 * s->held && now_ns() < end; done += s->slice_count)
        slice_time(run, s, 1, s->slice_count);
    return slice_time(run, s, 1, s->slice_count);
}

static double set_measure(void *state) {
    return warm_slice_time(state, set_run);
}

static double sparse_measure(void *state) {
    return warm_slice_time(state, sparse_run);
}

static const subject SET_SUBJECT = {"plain set", set_open, set_measure, sparse_close, NULL};
static const subject SPARSE_SUBJECT = {"ipalloc", sparse_open, sparse_measure, sparse_close, NULL};

void sparse_plan(plan *p) {
    for (uint32_t bits = 16; bits <= 20; bits += 4) {
        scenario *s = plan_add(p, "ns", "range/sparse-pair/2^%u", bits);
        s->work.held = (uint64_t)1 << bits;
        scenario_add(s, SET_SUBJECT);
        scenario_add(s, SPARSE_SUBJECT);
        scenario_budget(s, AT_MOST, 1.3);
    }
}
