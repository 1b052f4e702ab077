/*
 * memory_case.c: what a range costs in bytes and in heap allocations, counted through the hooks.
 */
#include "pair.h"

#include <malloc.h>
#include <stdlib.h>

enum { COUNTED_PAIRS = 100000 };

typedef struct counter {
    int64_t bytes; /* in use, as the hooks handed them out */
    uint64_t allocations;
} counter;

typedef struct counted_range {
    counter counter;
    ipalloc_range *range;
    uint64_t held;
    ipalloc_addr *addresses;
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
    if (c->addresses == NULL ||
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

static const subject BYTES_SUBJECT = {"ipalloc", counted_open, bytes_measure, counted_close, NULL};
static const subject HEAP_SUBJECT = {"ipalloc", counted_open, allocations_measure, counted_close,
                                     NULL};

/* --- the scenarios ---------------------------------------------------------------------------- */

static void bytes_scenario(plan *p, const char *name, uint32_t bits, uint64_t held, double allowed,
                           uint64_t cool_down_ms) {
    scenario *s = allowed_scenario(p, "bytes", name, allowed);
    s->rounds = 1;
    scenario_add(s, BYTES_SUBJECT);
    s->work.size_bits = bits;
    s->work.held = held;
    s->work.cool_down_ms = cool_down_ms;
}

static void heap_scenario(plan *p, const char *name, uint32_t bits, double per_thousand_max) {
    scenario *s = allowed_scenario(p, "/1000", name, 1);
    s->rounds = 1;
    scenario_add(s, HEAP_SUBJECT);
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
}
