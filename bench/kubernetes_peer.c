/*
 * kubernetes_peer.c: Kubernetes' bitmap algorithm, for comparison: one mutex, a random start in the
 * upper band, then bit by bit, wrapping; the lower band in the same way once the upper one is full.
 *
 * A model of the algorithm only, without the big-integer arithmetic and the conversions around it,
 * which make the original slower than this.
 */
#include "peer.h"

#include <stdlib.h>

typedef struct scanned_map {
    uint64_t size;       /* numbers */
    uint64_t band_begin; /* the upper band starts here */
    uint64_t used;
    uint64_t words[]; /* 1: allocated */
} scanned_map;

static bool scan_band(scanned_map *map, uint64_t *random, uint64_t first, uint64_t size,
                      uint32_t *number) {
    if (size == 0)
        return false;
    uint64_t start = random_below(random, size);
    for (uint64_t i = 0; i < size; i++) {
        uint64_t at = first + (start + i) % size;
        if ((map->words[at / 64] >> at % 64 & 1) != 0)
            continue;
        map->words[at / 64] |= (uint64_t)1 << at % 64;
        map->used++;
        *number = (uint32_t)at;
        return true;
    }
    return false;
}

PAIR_STEP uint32_t scanned_claim(void *context, uint64_t *random) {
    peer *p = context;
    uint32_t number = UINT32_MAX;
    pthread_mutex_lock(&p->lock);
    scanned_map *map = p->set;
    if (map->used < map->size &&
        !scan_band(map, random, map->band_begin, map->size - map->band_begin, &number))
        scan_band(map, random, 0, map->band_begin, &number);
    pthread_mutex_unlock(&p->lock);
    return number;
}

PAIR_STEP void scanned_release(void *context, uint32_t number) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    scanned_map *map = p->set;
    uint64_t bit = (uint64_t)1 << number % 64;
    if ((map->words[number / 64] & bit) != 0) {
        map->words[number / 64] &= ~bit;
        map->used--;
    }
    pthread_mutex_unlock(&p->lock);
}

static void scanned_run(void *state, unsigned thread, uint64_t count) {
    peer *p = state;
    pair_loop(&p->pairs.holders[thread], count, p, scanned_claim, scanned_release);
}

static void *scanned_make(const peer_start *start) {
    uint64_t count = (start->size + 63) / 64;
    scanned_map *map = malloc(sizeof *map + count * sizeof *map->words);
    if (map == NULL)
        return NULL;
    *map = (scanned_map){.size = start->size, .band_begin = start->band_begin};
    for (uint64_t i = 0; i < count; i++) {
        map->words[i] = start->words[i];
        map->used += (uint64_t)__builtin_popcountll(start->words[i]);
    }
    return map;
}

static bool scanned_is_taken(void *set, uint32_t number) {
    const scanned_map *map = set;
    return (map->words[number / 64] >> number % 64 & 1) != 0;
}

static const peer_kind KUBERNETES = {.name = "kubernetes",
                                     .way = {scanned_run, scanned_claim, scanned_release},
                                     .make = scanned_make,
                                     .destroy = free,
                                     .is_taken = scanned_is_taken};

static void *kubernetes_open(const workload *work) {
    return peer_open(&KUBERNETES, work);
}

const subject KUBERNETES_SUBJECT = {"kubernetes", kubernetes_open, pairs_measure, peer_close, NULL};
