/*
 * limit.c: the bare limit of the machine: one atomic read-modify-write to claim, one to release.
 *
 * Claim: load a random word of a bitmap of the same size and compare-and-swap one random bit of it.
 * Release: one atomic OR. Nothing is searched and nothing is checked, so no allocator that is safe
 * between threads can be faster on the same words; the random numbers are drawn as ipalloc draws
 * them. Bit 1 means free, as in ipalloc.
 *
 * The compare-and-swap is the cheapest of the operations that tell a claimer whether it got the bit
 * (measured at 2^16: 5.8 ns a pair, 7.7 with fetch_and whose result is used). A blind fetch_and
 * would be cheaper still where everything is in the first-level cache (4.7 instead of 6.4 ns at
 * 2^8), but does not tell, so nothing can claim with it.
 */
#include "pair.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef struct bare_map {
    _Alignas(LINE_PAIR) uint64_t size;
    void *memory;
    _Atomic uint64_t *words; /* in memory */
} bare_map;

typedef struct limit {
    pairs pairs;
    bare_map maps[2]; /* the second only where every thread has its own */
} limit;

PAIR_STEP uint32_t bare_claim(void *context, uint64_t *random) {
    bare_map *map = context;
    uint32_t number = random_below(random, map->size);
    _Atomic uint64_t *word = &map->words[number / 64];
    uint64_t bit = (uint64_t)1 << number % 64;
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(word, &seen, seen & ~bit))
        ;
    return number;
}

PAIR_STEP void bare_release(void *context, uint32_t number) {
    bare_map *map = context;
    atomic_fetch_or(&map->words[number / 64], (uint64_t)1 << number % 64);
}

static void limit_run(void *state, unsigned thread, uint64_t count) {
    limit *l = state;
    pair_loop(&l->pairs.holders[thread], count, l->pairs.maps[thread], bare_claim, bare_release);
}

static const pair_way BARE = {limit_run, bare_claim, bare_release};

static bool limit_take(void *state, unsigned thread, uint32_t number) {
    bare_map *map = ((limit *)state)->pairs.maps[thread];
    atomic_fetch_and(&map->words[number / 64], ~((uint64_t)1 << number % 64));
    return true;
}

static void limit_close(void *state) {
    limit *l = state;
    for (int i = 0; i < 2; i++)
        free(l->maps[i].memory);
    pairs_close(&l->pairs);
    free(l);
}

static bool bare_map_open(bare_map *map, uint32_t size_bits) {
    map->size = (uint64_t)1 << size_bits;
    size_t bytes = map->size >= 64 ? map->size / 8 : 8;
    map->memory = lines_alloc(bytes);
    if (map->memory == NULL)
        return false;
    map->words = map->memory;
    for (size_t i = 0; i < bytes / 8; i++)
        atomic_init(&map->words[i], UINT64_MAX);
    return true;
}

static void *limit_open(const workload *work) {
    limit *l = lines_alloc(sizeof *l);
    if (l == NULL)
        return NULL;
    l->pairs.maps[0] = &l->maps[0];
    l->pairs.maps[1] = &l->maps[work->own_ranges ? 1 : 0];
    uint64_t size = (uint64_t)1 << work->size_bits;
    if (!bare_map_open(&l->maps[0], work->size_bits) ||
        (work->own_ranges && !bare_map_open(&l->maps[1], work->size_bits)) ||
        !pairs_open(&l->pairs, &BARE, work, size, limit_take, l)) {
        limit_close(l);
        return NULL;
    }
    pairs_warm_up(l, work);
    return l;
}

const subject LIMIT_SUBJECT = {"limit", limit_open, pairs_measure, limit_close, NULL};
