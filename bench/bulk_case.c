/*
 * bulk_case.c: many addresses in one call: claim n, release n, half of 2^16 held.
 *
 * Nanoseconds per address, the claim and the release together. Batches go round in a ring, so that
 * each is released long after it was claimed and the range finds its own equilibrium. "one-by-one"
 * is the same with single calls.
 */
#include "range_subject.h"

#include <stdlib.h>

enum {
    BULK_BITS = 16,
    BATCHES = 4, /* in the ring */
    BULK_SLICE_NS = 400000,
};

typedef struct bulk {
    range_state *held; /* besides the batches */
    ipalloc_range *range;
    ipalloc_addr *addresses; /* BATCHES times at_once */
    size_t at_once, turn;
    uint64_t slice_count;
} bulk;

static void must_be_ok(int status, const char *what) {
    if (status != IPALLOC_OK)
        range_broken(what, status);
}

static ipalloc_addr *next_batch(bulk *b) {
    return b->addresses + b->turn++ % BATCHES * b->at_once;
}

static void claim_many(bulk *b, ipalloc_addr *batch) {
    size_t got;
    must_be_ok(ipalloc_range_allocate_many(b->range, batch, b->at_once, &got),
               "ipalloc_range_allocate_many");
}

static void many_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    bulk *b = state;
    for (uint64_t i = 0; i < count; i++) {
        ipalloc_addr *batch = next_batch(b);
        must_be_ok(ipalloc_range_release_many(b->range, batch, b->at_once),
                   "ipalloc_range_release_many");
        claim_many(b, batch);
    }
}

static void single_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    bulk *b = state;
    for (uint64_t i = 0; i < count; i++) {
        ipalloc_addr *batch = next_batch(b);
        for (size_t j = 0; j < b->at_once; j++)
            must_be_ok(ipalloc_range_release(b->range, &batch[j]), "ipalloc_range_release");
        for (size_t j = 0; j < b->at_once; j++)
            must_be_ok(ipalloc_range_allocate(b->range, &batch[j]), "ipalloc_range_allocate");
    }
}

static void bulk_free(bulk *b) {
    free(b->addresses);
    free(b);
}

/* Every address of the batches is held, and nobody else's: the counts in range_close say so. */
static void bulk_close(void *state) {
    bulk *b = state;
    for (size_t i = 0; i < BATCHES * b->at_once; i++)
        if (!ipalloc_range_has(b->range, &b->addresses[i]))
            range_broken("ipalloc_range_has of a held address", IPALLOC_E_NOT_FOUND);
    range_close(b->held);
    bulk_free(b);
}

static void *bulk_open(const workload *work, slice_run run) {
    bulk *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->at_once = work->at_once;
    b->addresses = calloc(BATCHES * b->at_once, sizeof *b->addresses);
    b->held = b->addresses != NULL ? range_state_make(work) : NULL;
    if (b->held == NULL) {
        bulk_free(b);
        return NULL;
    }
    b->range = b->held->ranges[0];
    b->held->held_besides = BATCHES * b->at_once;
    for (int i = 0; i < BATCHES; i++)
        claim_many(b, next_batch(b));
    b->slice_count = slice_calibrate(run, b, 1, BULK_SLICE_NS);
    return b;
}

static void *many_open(const workload *work) {
    return bulk_open(work, many_run);
}

static void *single_open(const workload *work) {
    return bulk_open(work, single_run);
}

static double many_measure(void *state) {
    const bulk *b = state;
    return slice_time(many_run, state, 1, b->slice_count) / (double)b->at_once;
}

static double single_measure(void *state) {
    const bulk *b = state;
    return slice_time(single_run, state, 1, b->slice_count) / (double)b->at_once;
}

static const subject MANY_SUBJECT = {"ipalloc", many_open, many_measure, bulk_close, NULL};
static const subject SINGLE_SUBJECT = {"one-by-one", single_open, single_measure, bulk_close, NULL};

static void bulk_scenario(plan *p, const char *name, uint64_t at_once) {
    scenario *s = allowed_scenario(p, "ns", name, 3);
    s->work.size_bits = BULK_BITS;
    s->work.at_once = at_once;
    s->work.held = ((uint64_t)1 << (BULK_BITS - 1)) - BATCHES * at_once;
    scenario_add(s, MANY_SUBJECT);
    scenario_add(s, SINGLE_SUBJECT);
}

void bulk_plan(plan *p) {
    bulk_scenario(p, "range/bulk/16", 16);
    bulk_scenario(p, "range/bulk/256", 256);
    bulk_scenario(p, "range/bulk/4096", 4096);
}
