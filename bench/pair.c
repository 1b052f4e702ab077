/*
 * pair.c: what subjects hold before the first pair, the warm-up, and what is measured about pairs.
 */
#include "pair.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLICE_NS = 800000,
    WARM_UP_NS = 400000000, /* at most; slow peers near "full" would take minutes otherwise */
    WARM_UP_QUICK_NS = 30000000,
    WARM_UP_SMOKE_NS = 1000000,
    NUMBERS_A_WARMING_PAIR = 256, /* a line of 512 bits is touched four times */
    WARMING_SLICES_MAX = 4,
    NUMBERS_A_LINE = 16,
};

/* Selection sampling gives the numbers in order, the shuffle removes the order. */
static void draw_numbers(uint32_t *numbers, uint64_t count, uint64_t size) {
    uint64_t random = 42, drawn = 0;
    for (uint64_t i = 0; i < size && drawn < count; i++)
        if (random_below(&random, size - i) < count - drawn)
            numbers[drawn++] = (uint32_t)i;
    for (uint64_t i = count; i > 1; i--) {
        uint32_t j = random_below(&random, i), swap = numbers[i - 1];
        numbers[i - 1] = numbers[j];
        numbers[j] = swap;
    }
}

void *lines_alloc(size_t bytes) {
    size_t whole_lines = (bytes + LINE_PAIR - 1) / LINE_PAIR * LINE_PAIR;
    void *memory = aligned_alloc(LINE_PAIR, whole_lines);
    if (memory != NULL)
        memset(memory, 0, whole_lines);
    return memory;
}

bool pairs_open(pairs *p, const pair_way *way, const workload *work, uint64_t size, pair_take take,
                void *state) {
    p->way = way;
    p->size = size;
    p->smoke = work->smoke;
    p->numbers = calloc(work->held, sizeof *p->numbers);
    if (p->numbers == NULL)
        return false;
    p->thread_count = work->threads;
    uint64_t share = work->held / work->threads;
    for (unsigned i = 0; i < work->threads; i++) {
        holder *h = &p->holders[i];
        *h = (holder){.numbers = p->numbers + i * share, .count = share, .random = 7 + i};
        for (int v = 0; v < VICTIMS_AHEAD; v++)
            h->victims[v] = random_below(&h->random, share);
        if (work->own_ranges)
            draw_numbers(h->numbers, share, size);
    }
    if (!work->own_ranges)
        draw_numbers(p->numbers, work->held, size);
    for (uint64_t i = 0; i < share * work->threads; i++)
        if (!take(state, (unsigned)(i / share), p->numbers[i]))
            return false;
    return true;
}

void pairs_close(pairs *p) {
    free(p->numbers);
}

static uint64_t warm_up_ns(const workload *work) {
    if (work->smoke)
        return WARM_UP_SMOKE_NS;
    return work->quick ? WARM_UP_QUICK_NS : WARM_UP_NS;
}

void pairs_warm_up(void *state, const workload *work) {
    pairs *p = state;
    p->slice_count = slice_calibrate(p->way->run, state, work->threads, SLICE_NS);
    uint64_t end = now_ns() + warm_up_ns(work);
    for (uint64_t done = 0; done < 2 * work->held && now_ns() < end;
         done += p->slice_count * work->threads)
        slice_time(p->way->run, state, work->threads, p->slice_count);
    p->slice_count = slice_calibrate(p->way->run, state, work->threads, SLICE_NS);
}

/* What is held, a line at a time. */
static void warm_numbers(const holder *h) {
    for (uint64_t i = 0; i < h->count; i += NUMBERS_A_LINE)
        (void)*(const volatile uint32_t *)&h->numbers[i];
}

/* The other subjects have had the caches since our last round, and a slice is too short to win them
 * back. What is measured is a steady state, so read what is held, and go over every line of the
 * bitmap a few times, but not for long: whoever is slow has other costs. */
static void warm_caches(void *state, unsigned threads) {
    const pairs *p = state;
    for (unsigned i = 0; i < threads; i++)
        warm_numbers(&p->holders[i]);
    uint64_t wanted = p->size / NUMBERS_A_WARMING_PAIR / threads;
    uint64_t step = wanted < p->slice_count ? wanted : p->slice_count;
    for (uint64_t done = 0, i = 0; done < wanted && i < WARMING_SLICES_MAX; done += step, i++)
        slice_time(p->way->run, state, threads, step);
}

double pairs_measure(void *state) {
    const pairs *p = state;
    warm_caches(state, p->thread_count);
    return slice_time(p->way->run, state, p->thread_count, p->slice_count);
}

double pairs_measure_gain(void *state) {
    const pairs *p = state;
    warm_caches(state, 2);
    double alone = slice_time(p->way->run, state, 1, p->slice_count);
    double together = slice_time(p->way->run, state, 2, p->slice_count);
    return 2 * alone / together;
}

static void *allowed_open(const workload *work) {
    double *allowed = malloc(sizeof *allowed);
    if (allowed != NULL)
        *allowed = work->allowed;
    return allowed;
}

static double allowed_measure(void *state) {
    return *(const double *)state;
}

const subject ALLOWED_SUBJECT = {"allowed", allowed_open, allowed_measure, free, NULL};

scenario *allowed_scenario(plan *p, const char *unit, const char *name, double allowed) {
    scenario *s = plan_add(p, unit, "%s", name);
    s->work.allowed = allowed;
    scenario_add(s, ALLOWED_SUBJECT);
    scenario_budget(s, AT_MOST, 1);
    return s;
}
