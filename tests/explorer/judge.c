/*
 * judge.c: what each answer means for the state of the numbers, and the search for an order.
 *
 * Plain backtracking: a program has a handful of operations.
 */
#include "judge.h"

#include <string.h>

uint64_t program_numbers(const program *p) {
    return p->ranges > 1 ? p->ranges * p->size : p->size;
}

unsigned ended_operations(const outcome *outcomes) {
    unsigned set = 0;
    for (int i = 0; i < OUTCOMES_MAX; i++)
        set |= (unsigned)outcomes[i].done << i;
    return set;
}

static bool any_free(const unsigned char *states, uint64_t begin, uint64_t end) {
    return memchr(states + begin, NUMBER_FREE, end - begin) != NULL;
}

/* Move `count` numbers to another state, if all are in one state before. */
static bool move(unsigned char *states, uint64_t count, enum number_state from,
                 enum number_state to) {
    for (uint64_t i = 0; i < count; i++) {
        if (states[i] != from)
            return false;
        states[i] = (unsigned char)to;
    }
    return true;
}

static bool fits_exclude(const outcome *o, unsigned char *states, uint64_t count) {
    bool held = memchr(states + o->number, NUMBER_HELD, count) != NULL;
    if (!o->ok)
        return held;
    memset(states + o->number, NUMBER_EXCLUDED, count);
    return !held;
}

static bool fits_include(const outcome *o, unsigned char *states, uint64_t count) {
    unsigned char trial[2];
    memcpy(trial, states + o->number, count);
    if (!move(trial, count, NUMBER_EXCLUDED, NUMBER_FREE))
        return !o->ok;
    memcpy(states + o->number, trial, count);
    return o->ok;
}

static bool fits_full(const program *p, const outcome *o, const unsigned char *states) {
    bool all = o->called.kind == ALLOCATE_ALL || o->called.kind == PROVE_ALL;
    uint64_t begin = all || p->ranges <= 1 ? 0 : o->called.number / p->size * p->size;
    return !any_free(states, begin, all ? program_numbers(p) : begin + p->size);
}

/* Does this answer fit these states? If so, change them. */
static bool fits(const program *p, const outcome *o, unsigned char *states) {
    unsigned char *state = &states[o->number];
    switch (o->called.kind) {
    case RELEASE:
        return o->ok ? move(state, 1, NUMBER_HELD, NUMBER_FREE) : *state != NUMBER_HELD;
    case TAKE:
        return o->ok ? move(state, 1, NUMBER_FREE, NUMBER_HELD) : *state != NUMBER_FREE;
    case LOOKUP:
        return o->state == *state;
    case EXCLUDE:
    case EXCLUDE_TWO:
        return fits_exclude(o, states, o->called.kind == EXCLUDE ? 1 : 2);
    case INCLUDE:
    case INCLUDE_TWO:
        return fits_include(o, states, o->called.kind == INCLUDE ? 1 : 2);
    case PROVE:
        if (o->ok)
            return p->ranges > 0 || *state == NUMBER_FREE;
        return fits_full(p, o, states);
    case DRY_RUN:
        return o->ok ? *state == NUMBER_FREE : fits_full(p, o, states);
    case PROVE_ALL:
        return o->ok || fits_full(p, o, states);
    case CLAIM:
        return !o->ok || move(state, 1, NUMBER_FREE, NUMBER_HELD);
    default: /* the allocations */
        return o->ok ? move(state, 1, NUMBER_FREE, NUMBER_HELD) : fits_full(p, o, states);
    }
}

typedef struct question {
    const program *program;
    const outcome *outcomes;
    const unsigned char *at_end;
    uint64_t numbers;
    unsigned ended;
} question;

static bool can_go_on(const question *q, const unsigned char *states, unsigned placed) {
    if (placed == q->ended)
        return memcmp(states, q->at_end, q->numbers) == 0;
    for (int i = 0; i < OUTCOMES_MAX; i++) {
        const outcome *o = &q->outcomes[i];
        unsigned char next[NUMBERS_MAX];
        if ((q->ended >> i & 1) == 0 || (placed >> i & 1) != 0 || (o->ended_before & ~placed) != 0)
            continue;
        memcpy(next, states, q->numbers);
        if (o->number < q->numbers && fits(q->program, o, next) &&
            can_go_on(q, next, placed | 1u << i))
            return true;
    }
    return false;
}

bool linearizable(const program *p, const outcome *outcomes, const unsigned char *at_start,
                  const unsigned char *at_end) {
    question q = {p, outcomes, at_end, program_numbers(p), ended_operations(outcomes)};
    return can_go_on(&q, at_start, 0);
}
