/*
 * walk_case.c: everything that is held, written down at once or visited in order.
 *
 * Half of 2^20 addresses is held, at random. At the end a whole walk and a snapshot are compared
 * with what was held.
 */
#include "range_subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WALKED_BITS = 20,
    WALK_SLICE_NS = 400000, /* parts of a walk: a whole one would not pass undisturbed */
    SNAPSHOT_SLICE_NS = 400000,
    STEPS_AT_ONCE = 256,
};

typedef struct walked {
    range_state *held;
    ipalloc_range *range; /* of held */
    ipalloc_addr cursor;
    uint8_t *bytes; /* of a snapshot */
    size_t size;
    uint64_t slice_count;
} walked;

static void walked_free(walked *w) {
    free(w->bytes);
    free(w);
}

static uint64_t steps_of_whole_walk(const ipalloc_range *range) {
    uint64_t steps = 0;
    uint32_t last = 0;
    ipalloc_addr cursor = {.family = 0};
    for (; ipalloc_range_next(range, &cursor) == IPALLOC_OK; steps++) {
        if (steps > 0 && number_of(&cursor) <= last)
            range_broken("a walk that goes back", IPALLOC_E_MISMATCH);
        last = number_of(&cursor);
    }
    return steps;
}

/* The same in large steps, which must visit the same addresses. */
static uint64_t steps_of_large_walk(const ipalloc_range *range) {
    uint64_t steps = 0;
    size_t count;
    ipalloc_addr cursor = {.family = 0}, single = cursor, out[STEPS_AT_ONCE];
    while (ipalloc_range_next_many(range, &cursor, out, STEPS_AT_ONCE, &count) == IPALLOC_OK)
        for (size_t i = 0; i < count; i++, steps++)
            if (ipalloc_range_next(range, &single) != IPALLOC_OK ||
                number_of(&single) != number_of(&out[i]))
                range_broken("a walk in large steps", IPALLOC_E_MISMATCH);
    return steps;
}

static uint64_t bits_of_snapshot(walked *w) {
    size_t length = 0;
    uint64_t bits = 0;
    int status = ipalloc_range_snapshot(w->range, w->bytes, w->size, &length);
    if (status != IPALLOC_OK)
        range_broken("ipalloc_range_snapshot", status);
    for (size_t i = 0; i < length; i++)
        bits += (uint64_t)__builtin_popcount(w->bytes[i]);
    return bits;
}

static void walked_close(void *state) {
    walked *w = state;
    uint64_t held = w->held->pairs.holders[0].count;
    if (steps_of_whole_walk(w->range) != held || steps_of_large_walk(w->range) != held)
        range_broken("the count of a walk", IPALLOC_E_MISMATCH);
    if (bits_of_snapshot(w) != held)
        range_broken("the count of a snapshot", IPALLOC_E_MISMATCH);
    range_close(w->held);
    walked_free(w);
}

static void *walked_open(const workload *work, slice_run run, uint64_t slice_ns) {
    walked *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->size = ((size_t)1 << work->size_bits) / 8;
    w->bytes = malloc(w->size);
    w->held = w->bytes != NULL ? range_state_make(work) : NULL;
    if (w->held == NULL) {
        walked_free(w);
        return NULL;
    }
    w->range = w->held->ranges[0];
    w->slice_count = slice_calibrate(run, w, 1, slice_ns);
    return w;
}

/* --- in large steps --------------------------------------------------------------------------- */

static void many_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    walked *w = state;
    ipalloc_addr out[STEPS_AT_ONCE];
    for (uint64_t done = 0; done < count;) {
        size_t wanted = count - done < STEPS_AT_ONCE ? (size_t)(count - done) : STEPS_AT_ONCE, got;
        if (ipalloc_range_next_many(w->range, &w->cursor, out, wanted, &got) != IPALLOC_OK)
            w->cursor.family = 0; /* again from the first */
        done += got;
        __asm__ volatile("" : : "r"(out) : "memory"); /* they are wanted */
    }
}

static void *many_open(const workload *work) {
    return walked_open(work, many_run, WALK_SLICE_NS);
}

static double many_measure(void *state) {
    return slice_time(many_run, state, 1, ((walked *)state)->slice_count);
}

/* --- one by one ------------------------------------------------------------------------------- */

static void next_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    walked *w = state;
    for (uint64_t i = 0; i < count; i++)
        if (ipalloc_range_next(w->range, &w->cursor) != IPALLOC_OK)
            w->cursor.family = 0; /* again from the first */
}

static void *next_open(const workload *work) {
    return walked_open(work, next_run, WALK_SLICE_NS);
}

static double next_measure(void *state) {
    return slice_time(next_run, state, 1, ((walked *)state)->slice_count);
}

/* --- snapshots -------------------------------------------------------------------------------- */

static void snapshot_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    walked *w = state;
    size_t length;
    for (uint64_t i = 0; i < count; i++)
        ipalloc_range_snapshot(w->range, w->bytes, w->size, &length);
}

static void *snapshot_open(const workload *work) {
    return walked_open(work, snapshot_run, SNAPSHOT_SLICE_NS);
}

static double snapshot_measure(void *state) {
    return slice_time(snapshot_run, state, 1, ((walked *)state)->slice_count) / 1000;
}

/* --- the peer of a snapshot: a copy of the bitmap ----------------------------------------------
 */

typedef struct copied {
    size_t size;
    uint8_t *from, *to;
    uint64_t slice_count;
} copied;

static void copy_close(void *state) {
    copied *c = state;
    free(c->from);
    free(c->to);
    free(c);
}

static void copy_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    copied *c = state;
    for (uint64_t i = 0; i < count; i++) {
        memcpy(c->to, c->from, c->size);
        __asm__ volatile("" : : "r"(c->to) : "memory"); /* the copy is wanted */
    }
}

static void *copy_open(const workload *work) {
    copied *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->size = ((size_t)1 << work->size_bits) / 8;
    c->from = malloc(c->size);
    c->to = malloc(c->size);
    if (c->from == NULL || c->to == NULL) {
        copy_close(c);
        return NULL;
    }
    memset(c->from, 0x5a, c->size);
    c->slice_count = slice_calibrate(copy_run, c, 1, SNAPSHOT_SLICE_NS);
    return c;
}

static double copy_measure(void *state) {
    return slice_time(copy_run, state, 1, ((copied *)state)->slice_count) / 1000;
}

static const subject COPY_SUBJECT = {"memcpy", copy_open, copy_measure, copy_close, NULL};
static const subject SNAPSHOT_SUBJECT = {"ipalloc", snapshot_open, snapshot_measure, walked_close,
                                         NULL};
static const subject MANY_SUBJECT = {"ipalloc", many_open, many_measure, walked_close, NULL};
static const subject NEXT_SUBJECT = {"one-by-one", next_open, next_measure, walked_close, NULL};

/* --- the scenarios ---------------------------------------------------------------------------- */

static void half_held(scenario *s) {
    s->work.size_bits = WALKED_BITS;
    s->work.held = (uint64_t)1 << (WALKED_BITS - 1);
}

void walk_plan(plan *p) {
    scenario *walk = allowed_scenario(p, "ns", "range/walk/2^20", 1.2);
    scenario_add(walk, MANY_SUBJECT);
    scenario_add(walk, NEXT_SUBJECT);
    half_held(walk);
    scenario *snapshot = plan_add(p, "us", "range/snapshot/2^20");
    scenario_add(snapshot, COPY_SUBJECT);
    scenario_add(snapshot, SNAPSHOT_SUBJECT);
    half_held(snapshot);
    scenario_budget(snapshot, AT_MOST, 3);
}
