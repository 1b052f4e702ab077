/*
 * block_case.c: aligned blocks: release a random held block, claim one, half of 2^16 held in blocks
 * of the same size.
 *
 * Shown beside a bare pair of single addresses; there is no budget.
 */
#include "range_subject.h"

#include <stdlib.h>

enum {
    BLOCK_BITS = 16,
    BLOCK_SLICE_NS = 400000,
};

typedef struct blocks {
    ipalloc_range *range;
    ipalloc_cidr *held;
    uint64_t count, random, slice_count;
    uint8_t prefix_length;
} blocks;

static void must_be_ok(int status, const char *what) {
    if (status != IPALLOC_OK)
        range_broken(what, status);
}

static void claim_block(blocks *b, ipalloc_cidr *out) {
    must_be_ok(ipalloc_range_allocate_block(b->range, b->prefix_length, out),
               "ipalloc_range_allocate_block");
}

static void block_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    blocks *b = state;
    for (uint64_t i = 0; i < count; i++) {
        ipalloc_cidr *one = &b->held[random_below(&b->random, b->count)];
        must_be_ok(ipalloc_range_release_block(b->range, one), "ipalloc_range_release_block");
        claim_block(b, one);
    }
}

static void blocks_free(blocks *b) {
    ipalloc_range_destroy(b->range);
    free(b->held);
    free(b);
}

/* Every address of every block is held, and as many as they have together: no two overlap. */
static void blocks_check(const blocks *b) {
    uint32_t size = (uint32_t)1 << (32 - b->prefix_length);
    ipalloc_error error;
    ipalloc_range_stats stats = {.size = sizeof stats};
    must_be_ok(ipalloc_range_validate(b->range, &error), "ipalloc_range_validate");
    must_be_ok(ipalloc_range_get_stats(b->range, &stats), "ipalloc_range_get_stats");
    if (stats.total.used.low != b->count * size)
        range_broken("the count of held addresses", IPALLOC_E_MISMATCH);
    for (uint64_t i = 0; i < b->count; i++)
        for (uint32_t j = 0; j < size; j++) {
            ipalloc_addr address = addr_of(number_of(&b->held[i].base) + j);
            if (number_of(&b->held[i].base) % size != 0 || !ipalloc_range_has(b->range, &address))
                range_broken("a held block", IPALLOC_E_NOT_FOUND);
        }
}

static void blocks_close(void *state) {
    blocks_check(state);
    blocks_free(state);
}

static void *blocks_open(const workload *work) {
    blocks *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->prefix_length = (uint8_t)work->prefix_length;
    b->count = work->held >> (32 - work->prefix_length);
    b->random = 17;
    b->held = calloc(b->count, sizeof *b->held);
    if (b->held == NULL || !range_make(work, &b->range)) {
        blocks_free(b);
        return NULL;
    }
    for (uint64_t i = 0; i < b->count; i++)
        claim_block(b, &b->held[i]);
    b->slice_count = slice_calibrate(block_run, b, 1, BLOCK_SLICE_NS);
    return b;
}

static double blocks_measure(void *state) {
    return slice_time(block_run, state, 1, ((blocks *)state)->slice_count);
}

static const subject BLOCK_SUBJECT = {"ipalloc", blocks_open, blocks_measure, blocks_close, NULL};

static void block_scenario(plan *p, uint32_t size, uint32_t prefix_length) {
    scenario *s = plan_add(p, "ns", "range/block/%u", size);
    s->work.size_bits = BLOCK_BITS;
    s->work.held = (uint64_t)1 << (BLOCK_BITS - 1);
    s->work.prefix_length = prefix_length;
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, BLOCK_SUBJECT);
}

void block_plan(plan *p) {
    block_scenario(p, 8, 29);
    block_scenario(p, 64, 26);
    block_scenario(p, 256, 24);
}
