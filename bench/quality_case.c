/*
 * quality_case.c: how well claims are spread: does a released number come back at once, and how
 * evenly do claims fall on what is free?
 *
 * Counted, not timed: the counts are as large as a relative error of a few percent asks for, but no
 * round of a slow peer takes longer than ROUND_NS.
 */
#include "pair.h"

#include <stdlib.h>

enum {
    RETURNS_EXPECTED = 250,    /* in a round, from uniform choice: an error of 6 % */
    COINCIDENCES_EXPECTED = 4, /* claims of a round for each free number, so that squares count */
    CLAIMS_MIN = 200000,
    CHUNK = 64,            /* between looks at the clock */
    ROUND_NS = 150000000,  /* at most */
    ROUND_SMOKE_NS = 1000, /* with it CHUNK is what is counted */
    QUALITY_ROUNDS = 9,
    QUALITY_ROUNDS_QUICK = 1,
};

static uint64_t round_end_ns(const pairs *p) {
    return now_ns() + (p->smoke ? (uint64_t)ROUND_SMOKE_NS : (uint64_t)ROUND_NS);
}

double pairs_measure_return(void *state) {
    pairs *p = state;
    holder *h = &p->holders[0];
    uint64_t free_numbers = p->size - h->count + 1; /* after the release */
    uint64_t wanted = RETURNS_EXPECTED * free_numbers, done = 0, end = round_end_ns(p);
    h->returned_at_once = 0;
    do {
        p->way->run(state, 0, CHUNK);
        done += CHUNK;
    } while (done < wanted && now_ns() < end);
    return (double)h->returned_at_once / (double)done * (double)free_numbers;
}

/* What is claimed is released at once, so every claim meets the same free numbers. */
double pairs_measure_spread(void *state) {
    pairs *p = state;
    uint64_t free_numbers = p->size - p->holders[0].count;
    uint64_t wanted = COINCIDENCES_EXPECTED * free_numbers, done = 0, end = round_end_ns(p);
    wanted = wanted < CLAIMS_MIN ? CLAIMS_MIN : wanted;
    uint32_t *claims = calloc(p->size, sizeof *claims);
    if (claims == NULL)
        return NAN;
    do {
        uint32_t number = p->way->claim(p->maps[0], &p->holders[0].random);
        claims[number]++;
        p->way->release(p->maps[0], number);
        done++;
    } while (done < wanted && (done % CHUNK != 0 || now_ns() < end));
    double coincidences = 0; /* pairs of claims that got the same number */
    for (uint64_t i = 0; i < p->size; i++)
        coincidences += (double)claims[i] * ((double)claims[i] - 1);
    free(claims);
    return coincidences / ((double)done * ((double)done - 1)) * (double)free_numbers;
}

/* --- the scenarios ---------------------------------------------------------------------------- */

enum { QUALITY_BITS = 16 };

static void quality_scenario(plan *p, const char *what, uint32_t percent,
                             double (*measure)(void *state), double budget) {
    scenario *s = plan_add(p, "x", "range/%s/2^%d/%u%%", what, QUALITY_BITS, percent);
    s->work.size_bits = QUALITY_BITS;
    s->work.held = ((uint64_t)1 << QUALITY_BITS) * percent / 100;
    s->work.allowed = 1; /* uniform choice */
    s->rounds = p->quick ? QUALITY_ROUNDS_QUICK : QUALITY_ROUNDS;
    scenario_add(s, ALLOWED_SUBJECT);
    s->subjects[0].name = "uniform";
    scenario_add(s, measuring(RANGE_SUBJECT, measure));
    scenario_add(s, measuring(MUTEX_SUBJECT, measure));
    scenario_add(s, measuring(KUBERNETES_SUBJECT, measure));
    scenario_add(s, measuring(ROARING_SUBJECT, measure));
    scenario_add(s, measuring(JUDY_SUBJECT, measure));
    scenario_add(s, measuring(FREE_LIST_SUBJECT, measure));
    if (budget > 0)
        scenario_budget(s, AT_MOST, budget);
}

void quality_plan(plan *p) {
    static const uint32_t PERCENTS[] = {50, 90, 99};
    for (size_t i = 0; i < 3; i++)
        quality_scenario(p, "returned-at-once", PERCENTS[i], pairs_measure_return,
                         PERCENTS[i] == 99 ? 1.2 : 0);
    for (size_t i = 0; i < 3; i++)
        quality_scenario(p, "spread", PERCENTS[i], pairs_measure_spread, 0);
}
