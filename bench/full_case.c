/*
 * full_case.c: how long "full" takes: proved for the first time after a change, and asked again.
 */
#include "range_subject.h"

enum { FULL_SLICE_NS = 400000 };

static void must_be_full(ipalloc_range *range) {
    ipalloc_addr address;
    int status = ipalloc_range_allocate(range, &address);
    if (status != IPALLOC_E_FULL)
        range_broken("a full range", status);
}

static void again_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    range_state *r = state;
    for (uint64_t i = 0; i < count; i++)
        must_be_full(r->ranges[0]);
}

/* After each pair nothing is free, which has to be proved anew. */
static void first_run(void *state, unsigned thread, uint64_t count) {
    range_state *r = state;
    for (uint64_t i = 0; i < count; i++) {
        range_run(state, thread, 1);
        must_be_full(r->ranges[0]);
    }
}

static double again_measure(void *state) {
    const range_state *r = state;
    return slice_time(again_run, state, 1, r->pairs.slice_count);
}

/* Pairs alone, one call each as in first_run. */
static void pair_run(void *state, unsigned thread, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        range_run(state, thread, 1);
}

/* What the question adds to its pair. */
static double first_measure(void *state) {
    const range_state *r = state;
    double pair = slice_time(pair_run, state, 1, r->pairs.slice_count);
    return slice_time(first_run, state, 1, r->pairs.slice_count) - pair;
}

static void *again_open(const workload *work) {
    range_state *r = range_state_make(work);
    if (r != NULL)
        r->pairs.slice_count = slice_calibrate(again_run, r, 1, FULL_SLICE_NS);
    return r;
}

static void *first_open(const workload *work) {
    range_state *r = range_state_make(work);
    if (r != NULL)
        r->pairs.slice_count = slice_calibrate(first_run, r, 1, FULL_SLICE_NS);
    return r;
}

static const subject AGAIN_SUBJECT = {"ipalloc", again_open, again_measure, range_close, NULL};
static const subject FIRST_SUBJECT = {"ipalloc", first_open, first_measure, range_close, NULL};

/* Both against a bare pair on 2^8, whatever the size: the answer needs no search. */
static scenario *full_scenario(plan *p, const char *what, uint32_t bits, subject one) {
    static workload small_half_full = {.size_bits = 8, .held = 128, .threads = 1};
    small_half_full.quick = p->quick;
    small_half_full.smoke = p->smoke;
    scenario *s = plan_add(p, "ns", "range/%s/2^%u", what, bits);
    s->work.size_bits = bits;
    s->work.held = (uint64_t)1 << bits;
    subject limit = LIMIT_SUBJECT;
    limit.work = &small_half_full;
    scenario_add(s, limit);
    scenario_add(s, one);
    return s;
}

void full_plan(plan *p, uint32_t bits) {
    scenario_budget(full_scenario(p, "full-again", bits, AGAIN_SUBJECT), AT_MOST, 2);
    full_scenario(p, "full-first", bits, FIRST_SUBJECT);
}
