/*
 * range_case.c: pairs on a range at every size and fill, by one thread and by two.
 */
#include "range_subject.h"

static const uint32_t SIZES[] = {8, 12, 16, 20, 24};
static const uint32_t SHARED_SIZES[] = {8, 16, 20}; /* by two threads */

/* Fill levels and the budget of the pair there, as a multiple of the limit. */
static const struct {
    const char *name;
    uint32_t permille;
    double budget, budget_two_threads; /* 0: none */
} FILLS[] = {
    {"0%", 0, 2, 2},    {"50%", 500, 2, 2},   {"90%", 900, 2, 2},
    {"99%", 990, 3, 4}, {"99.9%", 999, 5, 0},
};

enum { FILLS_COUNT = sizeof FILLS / sizeof *FILLS };

/* At "0 %" eight are held for each thread, so that consecutive pairs do not wait for one another.
 */
static uint64_t held_at(uint32_t size_bits, uint32_t permille, uint32_t threads) {
    uint64_t size = (uint64_t)1 << size_bits, held = size * permille / 1000;
    uint64_t least = (uint64_t)VICTIMS_AHEAD * threads;
    return held < least ? least : held;
}

static void add_peers(scenario *s) {
    scenario_add(s, MUTEX_SUBJECT);
    scenario_add(s, KUBERNETES_SUBJECT);
    scenario_add(s, ROARING_SUBJECT);
    scenario_add(s, JUDY_SUBJECT);
    scenario_add(s, FREE_LIST_SUBJECT);
}

static void pair_scenario(plan *p, uint32_t bits, size_t fill) {
    scenario *s = plan_add(p, "ns", "range/pair/2^%u/%s", bits, FILLS[fill].name);
    s->work.size_bits = bits;
    s->work.held = held_at(bits, FILLS[fill].permille, 1);
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, RANGE_SUBJECT);
    add_peers(s);
    scenario_budget(s, AT_MOST, FILLS[fill].budget);
}

static void one_free_scenario(plan *p, uint32_t bits) {
    scenario *s = plan_add(p, "ns", "range/one-free/2^%u", bits);
    s->work.size_bits = bits;
    s->work.held = (uint64_t)1 << bits; /* the pair's release leaves the only free one */
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, RANGE_SUBJECT);
    add_peers(s);
    scenario_budget(s, AT_MOST, 12);
}

static void band_scenario(plan *p, uint32_t bits) {
    scenario *s = plan_add(p, "ns", "range/dynamic-band-full/2^%u", bits);
    s->work.size_bits = bits;
    s->work.held = STATIC_BAND_NUMBERS / 2;
    s->work.bands = true;
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, RANGE_SUBJECT);
    scenario_add(s, KUBERNETES_SUBJECT);
    scenario_budget(s, AT_MOST, 5);
}

static void two_threads_scenario(plan *p, uint32_t bits, size_t fill) {
    scenario *s = plan_add(p, "ns", "range/two-threads/2^%u/%s", bits, FILLS[fill].name);
    s->work.size_bits = bits;
    s->work.threads = 2;
    s->work.held = held_at(bits, FILLS[fill].permille, 2);
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, RANGE_SUBJECT);
    add_peers(s);
    scenario_budget(s, AT_MOST, FILLS[fill].budget_two_threads);
}

static void own_ranges_scenario(plan *p, uint32_t bits) {
    scenario *s = plan_add(p, "x", "range/two-threads-own-ranges/2^%u/50%%", bits);
    s->work.size_bits = bits;
    s->work.threads = 2;
    s->work.own_ranges = true;
    s->work.held = (uint64_t)1 << bits; /* half of each of the two */
    scenario_add(s, measuring(LIMIT_SUBJECT, pairs_measure_gain));
    scenario_add(s, measuring(RANGE_SUBJECT, pairs_measure_gain));
    scenario_budget(s, AT_LEAST, 0.95);
}

void range_plan(plan *p) {
    for (size_t size = 0; size < sizeof SIZES / sizeof *SIZES; size++) {
        uint32_t bits = SIZES[size];
        if (bits == 24 && p->quick)
            continue; /* filling it takes longer than the short form has */
        for (size_t fill = 0; fill < FILLS_COUNT; fill++)
            pair_scenario(p, bits, fill);
        one_free_scenario(p, bits);
        full_plan(p, bits);
        if (bits >= 16)
            band_scenario(p, bits);
    }
    for (size_t size = 0; size < sizeof SHARED_SIZES / sizeof *SHARED_SIZES; size++)
        for (size_t fill = 1; fill < 4; fill++)
            two_threads_scenario(p, SHARED_SIZES[size], fill);
    own_ranges_scenario(p, 16);
}
