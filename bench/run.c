/*
 * run.c: one scenario: its subjects opened, measured in interleaved rounds, and closed.
 *
 * A subject that is never undisturbed costs its own figures, not those of the others; one that is
 * slow costs rounds, but never more than SCENARIO_NS.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

enum {
    ROUNDS_FULL = ROUNDS_MAX,
    ROUNDS_QUICK = 7,
    ROUNDS_SMOKE = 1,
    ROUNDS_LEAST = 3,
    REPEATS_MAX = 40,         /* of one disturbed measurement */
    REPEATING_NS = 250000000, /* the same by time: repeating a slow one is no better */
    REPEATING_QUICK_NS = 60000000,
    SCENARIO_QUICK_NS = 1500000000, /* then no further rounds, once there are ROUNDS_LEAST */
};

static const uint64_t SCENARIO_NS = 10000000000u;

/* One undisturbed measurement, or NAN. */
static double measure_once(const subject *one, void *state, uint64_t repeating_ns,
                           uint32_t *repeated) {
    uint64_t end = now_ns() + repeating_ns;
    for (int attempt = 0; attempt < REPEATS_MAX; attempt++) {
        double value = one->measure(state);
        if (!isnan(value))
            return value;
        (*repeated)++;
        if (now_ns() >= end)
            break;
    }
    return NAN;
}

/* Of one subject. */
typedef struct samples {
    double values[ROUNDS_MAX], ratios[ROUNDS_MAX];
    size_t value_count, ratio_count;
    uint32_t repeated;
} samples;

static void samples_add(samples *s, double value, double limit) {
    if (isnan(value))
        return;
    s->values[s->value_count++] = value;
    if (!isnan(limit))
        s->ratios[s->ratio_count++] = value / limit;
}

static uint32_t rounds_of(const scenario *s) {
    if (s->work.smoke)
        return ROUNDS_SMOKE;
    if (s->rounds != 0)
        return s->rounds;
    return s->work.quick ? ROUNDS_QUICK : ROUNDS_FULL;
}

static void measure_interleaved(const scenario *s, void *const *states, samples *out) {
    uint32_t rounds = rounds_of(s);
    uint64_t end = now_ns() + (s->work.quick ? (uint64_t)SCENARIO_QUICK_NS : SCENARIO_NS);
    uint64_t repeating_ns = s->work.quick ? REPEATING_QUICK_NS : REPEATING_NS;
    for (uint32_t round = 0; round < rounds && (round < ROUNDS_LEAST || now_ns() < end); round++) {
        double limit = NAN;
        for (size_t i = 0; i < s->subject_count; i++) {
            double value = measure_once(&s->subjects[i], states[i], repeating_ns, &out[i].repeated);
            limit = i == 0 ? value : limit;
            samples_add(&out[i], value, limit);
        }
    }
}

static bool open_subjects(const scenario *s, void **states) {
    for (size_t i = 0; i < s->subject_count; i++) {
        const subject *one = &s->subjects[i];
        states[i] = one->open(one->work != NULL ? one->work : &s->work);
        if (states[i] != NULL)
            continue;
        fprintf(stderr, "ipalloc-bench: %s: %s could not be set up\n", s->name, one->name);
        return false;
    }
    return true;
}

bool scenario_run(const scenario *s, result out[SUBJECTS_MAX]) {
    static samples taken[SUBJECTS_MAX]; /* too large for the stack */
    void *states[SUBJECTS_MAX] = {NULL};
    memset(taken, 0, sizeof taken);
    bool whole = open_subjects(s, states);
    if (whole)
        measure_interleaved(s, states, taken);
    for (size_t i = 0; i < s->subject_count; i++) {
        out[i] = (result){.value = summarize(taken[i].values, taken[i].value_count),
                          .ratio = summarize(taken[i].ratios, taken[i].ratio_count),
                          .rounds = (uint32_t)taken[i].ratio_count,
                          .repeated = taken[i].repeated};
        whole = whole && out[i].rounds > 0;
        if (states[i] != NULL)
            s->subjects[i].close(states[i]);
    }
    return whole;
}
