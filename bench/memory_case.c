/*
 * memory_case.c: what a range costs in bytes and in heap allocations, counted through the hooks;
 * and how long snapshots and walks take.
 */
#include "bench.h"

#include "pair.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTED_PAIRS = 100000, WALK_STEPS = 20000 };

typedef struct counter {
    int64_t bytes; /* in use, as the hooks handed them out */
    uint64_t allocations;
} counter;

typedef struct counted_range {
    counter counter;
    ipalloc_range *range;
    uint64_t held;
    ipalloc_addr *addresses;
    uint8_t *bytes; /* of a snapshot */
    size_t bytes_size;
    ipalloc_addr cursor; /* of a walk */
} counted_range;

static void *count_allocate(void *context, size_t bytes) {
    counter *c = context;
    void *memory = malloc(bytes);
    c->allocations++;
    c->bytes += (int64_t)malloc_usable_size(memory);
    return memory;
}

static void *count_reallocate(void *context, void *memory, size_t bytes) {
    counter *c = context;
    int64_t before = (int64_t)malloc_usable_size(memory);
    void *moved = realloc(memory, bytes);
    c->allocations++;
    if (moved != NULL)
        c->bytes += (int64_t)malloc_usable_size(moved) - before;
    return moved;
}

static void count_deallocate(void *context, void *memory) {
    counter *c = context;
    c->bytes -= (int64_t)malloc_usable_size(memory);
    free(memory);
}

static void counted_close(void *state) {
    counted_range *c = state;
    ipalloc_range_destroy(c->range);
    free(c->addresses);
    free(c->bytes);
    free(c);
}

static bool counted_fill(counted_range *c) {
    for (uint64_t i = 0; i < c->held; i++)
        if (ipalloc_range_allocate(c->range, &c->addresses[i]) != IPALLOC_OK)
            return false;
    return true;
}

/* work->size_bits 64 is an IPv6 /64, anything less an IPv4 range. */
static void *counted_open(const workload *work) {
    counted_range *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    ipalloc_hooks hooks = {.size = sizeof hooks,
                           .context = &c->counter,
                           .allocate = count_allocate,
                           .reallocate = count_reallocate,
                           .deallocate = count_deallocate};
    ipalloc_range_options options = {
        .size = sizeof options, .hooks = &hooks, .cool_down_ms = work->cool_down_ms};
    ipalloc_cidr cidr = {.base = {.family = 4, .bytes = {10}},
                         .prefix_length = (uint8_t)(32 - work->size_bits)};
    if (work->size_bits == 64)
        cidr = (ipalloc_cidr){.base = {.family = 6, .bytes = {0xfd}}, .prefix_length = 64};
    c->held = work->held;
    c->addresses = calloc(work->held, sizeof *c->addresses);
    c->bytes_size = work->size_bits < 32 ? ((size_t)1 << work->size_bits) / 8 : 1;
    c->bytes = calloc(1, c->bytes_size);
    if (c->addresses == NULL || c->bytes == NULL ||
        ipalloc_range_create(&cidr, &options, &c->range, NULL) != IPALLOC_OK || !counted_fill(c)) {
        counted_close(c);
        return NULL;
    }
    return c;
}

static double bytes_measure(void *state) {
    return (double)((counted_range *)state)->counter.bytes;
}

/* Heap allocations in 1,000 steady-state pairs. */
static double allocations_measure(void *state) {
    counted_range *c = state;
    uint64_t random = 5, before = c->counter.allocations;
    for (int i = 0; i < COUNTED_PAIRS; i++) {
        ipalloc_addr *one = &c->addresses[random_below(&random, c->held)];
        if (ipalloc_range_release(c->range, one) != IPALLOC_OK ||
            ipalloc_range_allocate(c->range, one) != IPALLOC_OK)
            return NAN;
    }
    return (double)(c->counter.allocations - before) * 1000 / COUNTED_PAIRS;
}

static void snapshot_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    counted_range *c = state;
    size_t length;
    for (uint64_t i = 0; i < count; i++)
        ipalloc_range_snapshot(c->range, c->bytes, c->bytes_size, &length);
}

static double snapshot_measure(void *state) {
    return slice_time(snapshot_run, state, 1, 10) / 1000;
}

/* So many steps of a walk, not a whole one: that would take too long to pass undisturbed. */
static void walk_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    counted_range *c = state;
    for (uint64_t i = 0; i < count; i++)
        if (ipalloc_range_next(c->range, &c->cursor) != IPALLOC_OK)
            c->cursor.family = 0; /* again from the first */
}

static double walk_measure(void *state) {
    return slice_time(walk_run, state, 1, WALK_STEPS);
}

/* --- the peer of a snapshot: a copy of the bitmap ----------------------------------------------
 */

typedef struct copied {
    size_t size;
    uint8_t *from, *to;
} copied;

static void copy_close(void *state) {
    copied *c = state;
    free(c->from);
    free(c->to);
    free(c);
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
    return c;
}

static void copy_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    copied *c = state;
    for (uint64_t i = 0; i < count; i++) {
        memcpy(c->to, c->from, c->size);
        __asm__ volatile("" : : "r"(c->to) : "memory"); /* the copy is wanted */
    }
}

static double copy_measure(void *state) {
    return slice_time(copy_run, state, 1, 20) / 1000;
}

static const subject COPY_SUBJECT = {"memcpy", copy_open, copy_measure, copy_close, NULL};
static const subject BYTES_SUBJECT = {"ipalloc", counted_open, bytes_measure, counted_close, NULL};
static const subject HEAP_SUBJECT = {"ipalloc", counted_open, allocations_measure, counted_close,
                                     NULL};
static const subject SNAPSHOT_SUBJECT = {"ipalloc", counted_open, snapshot_measure, counted_close,
                                         NULL};
static const subject WALK_SUBJECT = {"ipalloc", counted_open, walk_measure, counted_close, NULL};

/* --- the scenarios ---------------------------------------------------------------------------- */

static scenario *allowed_scenario(plan *p, const char *unit, const char *name, subject one,
                                  double allowed) {
    scenario *s = plan_add(p, unit, "%s", name);
    s->work.allowed = allowed;
    s->rounds = 1;
    scenario_add(s, ALLOWED_SUBJECT);
    scenario_add(s, one);
    scenario_budget(s, AT_MOST, 1);
    return s;
}

static void bytes_scenario(plan *p, const char *name, uint32_t bits, uint64_t held, double allowed,
                           uint64_t cool_down_ms) {
    scenario *s = allowed_scenario(p, "bytes", name, BYTES_SUBJECT, allowed);
    s->work.size_bits = bits;
    s->work.held = held;
    s->work.cool_down_ms = cool_down_ms;
}

static void heap_scenario(plan *p, const char *name, uint32_t bits, double per_thousand_max) {
    scenario *s = allowed_scenario(p, "/1000", name, HEAP_SUBJECT, 1);
    s->work.size_bits = bits;
    s->work.held = 60000;
    scenario_budget(s, AT_MOST, per_thousand_max);
}

void memory_plan(plan *p) {
    bytes_scenario(p, "range/memory/dense/2^16", 16, 1, 65536 * 1.1 / 8 + 4096, 0);
    bytes_scenario(p, "range/memory/dense/2^20", 20, 1, 1048576 * 1.1 / 8 + 4096, 0);
    bytes_scenario(p, "range/memory/cool-down/2^20", 20, 1, 1048576 * 3.1 / 8 + 4096, 60000);
    bytes_scenario(p, "range/memory/sparse/2^16-held", 64, 65536, 65536 * 64, 0);
    heap_scenario(p, "range/heap/dense", 16, 0);
    heap_scenario(p, "range/heap/sparse", 64, 1);
    scenario *walk = allowed_scenario(p, "ns", "range/walk/2^20", WALK_SUBJECT, 1.2);
    walk->work.size_bits = 20;
    walk->work.held = 524288;
    walk->rounds = 0;
    scenario *snapshot = plan_add(p, "us", "range/snapshot/2^20");
    snapshot->work.size_bits = 20;
    snapshot->work.held = 524288;
    scenario_add(snapshot, COPY_SUBJECT);
    scenario_add(snapshot, SNAPSHOT_SUBJECT);
    scenario_budget(snapshot, AT_MOST, 3);
}
