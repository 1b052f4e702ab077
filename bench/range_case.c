/*
 * range_case.c: ipalloc's range in memory: pairs at every size and fill, FULL, bands, two threads.
 *
 * Everything goes through the public calls with whole addresses, so the conversions between
 * addresses and numbers are part of what is measured. After each scenario the range is validated
 * and compared with what was held: a wrong allocator must not look fast.
 */
#include "pair.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATIC_BAND_NUMBERS = 256, /* of a /16 and larger */
    RETURN_PAIRS = 2000000,
};

typedef struct range_state {
    pairs pairs;
    ipalloc_range *ranges[2]; /* the second only where every thread has its own */
    bool own_ranges;
    uint64_t size;
    uint64_t held_besides; /* held, but not in any holder */
} range_state;

/* 10.0.0.0 + number: ranges of up to 2^24. */
static inline ipalloc_addr addr_of(uint32_t number) {
    return (ipalloc_addr){
        .family = 4,
        .bytes = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static inline uint32_t number_of(const ipalloc_addr *address) {
    return (uint32_t)address->bytes[1] << 16 | (uint32_t)address->bytes[2] << 8 | address->bytes[3];
}

static __attribute__((noreturn, cold)) void broken(const char *what, int status) {
    fprintf(stderr, "ipalloc-bench: %s answered %s\n", what, ipalloc_status_name(status));
    exit(EXIT_FAILURE);
}

static uint32_t range_claim_one(void *range, uint64_t *random) {
    (void)random; /* ipalloc draws its own */
    ipalloc_addr address;
    int status = ipalloc_range_allocate(range, &address);
    if (status != IPALLOC_OK)
        broken("ipalloc_range_allocate", status);
    return number_of(&address);
}

static void range_release_one(void *range, uint32_t number) {
    static const ipalloc_addr ipv4 = {.family = 4};
    uint32_t big_endian = htobe32(0x0a000000 | number);
    ipalloc_addr address = ipv4;
    memcpy(address.bytes, &big_endian, sizeof big_endian);
    int status = ipalloc_range_release(range, &address);
    if (status != IPALLOC_OK)
        broken("ipalloc_range_release", status);
}

static void range_run(void *state, unsigned thread, uint64_t count) {
    range_state *r = state;
    pair_loop(&r->pairs.holders[thread], count, r->ranges[r->own_ranges ? thread : 0],
              range_claim_one, range_release_one);
}

static void full_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    range_state *r = state;
    ipalloc_addr address;
    for (uint64_t i = 0; i < count; i++)
        if (ipalloc_range_allocate(r->ranges[0], &address) != IPALLOC_E_FULL)
            broken("a full range", IPALLOC_OK);
}

static bool range_take(void *state, unsigned thread, uint32_t number) {
    range_state *r = state;
    ipalloc_addr address = addr_of(number);
    return ipalloc_range_reserve(r->ranges[r->own_ranges ? thread : 0], &address) == IPALLOC_OK;
}

/* Whatever was timed must have been right. */
static void range_check(const range_state *r) {
    uint64_t used = 0;
    for (int i = 0; i < 2 && r->ranges[i] != NULL; i++) {
        ipalloc_error error;
        ipalloc_range_stats stats = {.size = sizeof stats};
        if (ipalloc_range_validate(r->ranges[i], &error) != IPALLOC_OK ||
            ipalloc_range_get_stats(r->ranges[i], &stats) != IPALLOC_OK)
            broken("ipalloc_range_validate", IPALLOC_E_CORRUPT);
        used += stats.total.used.low;
    }
    uint64_t held = r->held_besides;
    for (unsigned i = 0; i < r->pairs.thread_count; i++) {
        const holder *h = &r->pairs.holders[i];
        held += h->count;
        for (uint64_t j = 0; j < h->count; j++) {
            ipalloc_addr address = addr_of(h->numbers[j]);
            if (!ipalloc_range_has(r->ranges[r->own_ranges ? i : 0], &address))
                broken("ipalloc_range_has of a held address", IPALLOC_E_NOT_FOUND);
        }
    }
    if (used != held)
        broken("the count of held addresses", IPALLOC_E_MISMATCH);
}

static void range_close(void *state) {
    range_state *r = state;
    if (r->ranges[0] != NULL)
        range_check(r);
    ipalloc_range_destroy(r->ranges[0]);
    ipalloc_range_destroy(r->ranges[1]);
    pairs_close(&r->pairs);
    free(r);
}

static bool range_make(const workload *work, ipalloc_range **out) {
    ipalloc_cidr cidr = {.base = addr_of(0), .prefix_length = (uint8_t)(32 - work->size_bits)};
    ipalloc_range_options options = {.size = sizeof options,
                                     .use_all_addresses = true,
                                     .static_band_size = work->bands ? 0 : IPALLOC_NO_STATIC_BAND};
    ipalloc_error error;
    int status = ipalloc_range_create(&cidr, &options, out, &error);
    if (status != IPALLOC_OK)
        fprintf(stderr, "%s\n", error.message);
    return status == IPALLOC_OK;
}

/* Hold all of the dynamic band, so that every pick comes from the static one. */
static bool fill_dynamic_band(range_state *r) {
    for (uint64_t i = STATIC_BAND_NUMBERS; i < r->size; i++)
        if (!range_take(r, 0, (uint32_t)i))
            return false;
    r->held_besides = r->size - STATIC_BAND_NUMBERS;
    return true;
}

static range_state *range_state_make(const workload *work) {
    range_state *r = lines_alloc(sizeof *r);
    if (r == NULL)
        return NULL;
    r->own_ranges = work->own_ranges;
    r->size = (uint64_t)1 << work->size_bits;
    if (!range_make(work, &r->ranges[0]) ||
        (work->own_ranges && !range_make(work, &r->ranges[1])) ||
        (work->bands && !fill_dynamic_band(r)) ||
        !pairs_open(&r->pairs, work, 0, work->bands ? STATIC_BAND_NUMBERS : r->size, range_take,
                    r)) {
        range_close(r);
        return NULL;
    }
    return r;
}

static void *range_open(const workload *work) {
    range_state *r = range_state_make(work);
    if (r != NULL)
        pairs_warm_up(&r->pairs, work, range_run, r);
    return r;
}

static void *full_open(const workload *work) {
    range_state *r = range_state_make(work);
    if (r != NULL)
        r->pairs.slice_count = slice_calibrate(full_run, r, 1, 400000);
    return r;
}

static double range_measure(void *state) {
    range_state *r = state;
    return slice_time(range_run, r, r->pairs.thread_count, r->pairs.slice_count);
}

static double full_measure(void *state) {
    range_state *r = state;
    return slice_time(full_run, r, 1, r->pairs.slice_count);
}

static double range_measure_gain(void *state) {
    range_state *r = state;
    return pairs_measure_gain(&r->pairs, range_run, r);
}

static double range_measure_return(void *state) {
    range_state *r = state;
    return pairs_measure_return(&r->pairs, range_run, r, r->size, RETURN_PAIRS);
}

static const subject RANGE_SUBJECT = {"ipalloc", range_open, range_measure, range_close, NULL};
static const subject FULL_SUBJECT = {"ipalloc", full_open, full_measure, range_close, NULL};
static const subject RANGE_GAIN_SUBJECT = {"ipalloc", range_open, range_measure_gain, range_close,
                                           NULL};
static const subject RANGE_RETURN_SUBJECT = {"ipalloc", range_open, range_measure_return,
                                             range_close, NULL};

/* --- the scenarios ---------------------------------------------------------------------------- */

static const uint32_t SIZES[] = {8, 16, 20, 24};

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

static void pair_scenario(plan *p, uint32_t bits, size_t fill) {
    scenario *s = plan_add(p, "ns", "range/pair/2^%u/%s", bits, FILLS[fill].name);
    s->work.size_bits = bits;
    s->work.held = held_at(bits, FILLS[fill].permille, 1);
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, RANGE_SUBJECT);
    scenario_add(s, MUTEX_SUBJECT);
    scenario_add(s, KUBERNETES_SUBJECT);
    scenario_budget(s, AT_MOST, FILLS[fill].budget);
}

static void one_free_scenario(plan *p, uint32_t bits) {
    scenario *s = plan_add(p, "ns", "range/one-free/2^%u", bits);
    s->work.size_bits = bits;
    s->work.held = (uint64_t)1 << bits; /* the pair's release leaves the only free one */
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, RANGE_SUBJECT);
    scenario_add(s, MUTEX_SUBJECT);
    if (bits <= 16)
        scenario_add(s, KUBERNETES_SUBJECT);
    scenario_budget(s, AT_MOST, 12);
}

static void full_scenario(plan *p, uint32_t bits) {
    static const workload SMALL_HALF_FULL = {.size_bits = 8, .held = 128, .threads = 1};
    scenario *s = plan_add(p, "ns", "range/full-again/2^%u", bits);
    s->work.size_bits = bits;
    s->work.held = (uint64_t)1 << bits;
    subject limit = LIMIT_SUBJECT;
    limit.work = &SMALL_HALF_FULL;
    scenario_add(s, limit);
    scenario_add(s, FULL_SUBJECT);
    scenario_budget(s, AT_MOST, 2);
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
    if (FILLS[fill].permille <= 900)
        scenario_add(s, MUTEX_SUBJECT);
    scenario_budget(s, AT_MOST, FILLS[fill].budget_two_threads);
}

static void own_ranges_scenario(plan *p, uint32_t bits) {
    scenario *s = plan_add(p, "x", "range/two-threads-own-ranges/2^%u/50%%", bits);
    s->work.size_bits = bits;
    s->work.threads = 2;
    s->work.own_ranges = true;
    s->work.held = (uint64_t)1 << bits; /* half of each of the two */
    scenario_add(s, LIMIT_GAIN_SUBJECT);
    scenario_add(s, RANGE_GAIN_SUBJECT);
    scenario_budget(s, AT_LEAST, 0.95);
}

static void return_scenario(plan *p, uint32_t bits, size_t fill) {
    scenario *s = plan_add(p, "x", "range/returned-at-once/2^%u/%s", bits, FILLS[fill].name);
    s->work.size_bits = bits;
    s->work.held = held_at(bits, FILLS[fill].permille, 1);
    s->work.allowed = 1; /* uniform choice */
    s->rounds = s->work.quick ? 1 : 5;
    scenario_add(s, ALLOWED_SUBJECT);
    s->subjects[0].name = "uniform";
    scenario_add(s, RANGE_RETURN_SUBJECT);
    scenario_add(s, KUBERNETES_RETURN_SUBJECT);
    scenario_budget(s, AT_MOST, 1.2);
}

void range_plan(plan *p) {
    for (size_t size = 0; size < sizeof SIZES / sizeof *SIZES; size++) {
        uint32_t bits = SIZES[size];
        if (bits == 24 && p->quick)
            continue; /* filling it takes longer than the short form has */
        for (size_t fill = 0; fill < FILLS_COUNT; fill++)
            pair_scenario(p, bits, fill);
        one_free_scenario(p, bits);
        full_scenario(p, bits);
    }
    band_scenario(p, 16);
    for (size_t size = 0; size < 3; size++)
        for (size_t fill = 1; fill < 4; fill++)
            two_threads_scenario(p, SIZES[size], fill);
    own_ranges_scenario(p, 16);
    return_scenario(p, 16, 3);
}
