/*
 * kubernetes_case.c: Kubernetes' bitmap algorithm, for comparison: one mutex, a random start in the
 * upper band, then bit by bit, wrapping; the lower band in the same way once the upper one is full.
 *
 * A model of the algorithm only, without the big-integer arithmetic and the conversions around it,
 * which make the original slower than this.
 */
#include "pair.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    STATIC_BAND = 256,          /* of a /16 and larger: min(max(16, size/16), 256) */
    RETURN_PAIRS_PEER = 200000, /* a round of counting numbers that come back at once */
};

typedef struct scanned_map {
    pairs pairs;
    pthread_mutex_t lock;
    uint64_t size;   /* numbers */
    uint64_t offset; /* the upper band starts here */
    uint64_t used;
    uint64_t *words; /* 1: allocated */
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

static uint32_t scanned_claim(void *context, uint64_t *random) {
    scanned_map *map = context;
    uint32_t number = UINT32_MAX;
    pthread_mutex_lock(&map->lock);
    if (map->used < map->size &&
        !scan_band(map, random, map->offset, map->size - map->offset, &number))
        scan_band(map, random, 0, map->offset, &number);
    pthread_mutex_unlock(&map->lock);
    return number;
}

static void scanned_release(void *context, uint32_t number) {
    scanned_map *map = context;
    pthread_mutex_lock(&map->lock);
    uint64_t bit = (uint64_t)1 << number % 64;
    if ((map->words[number / 64] & bit) != 0) {
        map->words[number / 64] &= ~bit;
        map->used--;
    }
    pthread_mutex_unlock(&map->lock);
}

static void scanned_run(void *state, unsigned thread, uint64_t count) {
    scanned_map *map = state;
    pair_loop(&map->pairs.holders[thread], count, map, scanned_claim, scanned_release);
}

static bool scanned_take(void *state, unsigned thread, uint32_t number) {
    (void)thread;
    scanned_map *map = state;
    map->words[number / 64] |= (uint64_t)1 << number % 64;
    map->used++;
    return true;
}

static void scanned_close(void *state) {
    scanned_map *map = state;
    free(map->words);
    pairs_close(&map->pairs);
    pthread_mutex_destroy(&map->lock);
    free(map);
}

static void *scanned_open(const workload *work) {
    scanned_map *map = lines_alloc(sizeof *map);
    if (map == NULL)
        return NULL;
    pthread_mutex_init(&map->lock, NULL);
    map->size = (uint64_t)1 << work->size_bits;
    map->offset = work->bands ? STATIC_BAND : 0;
    map->words = lines_alloc(map->size / 8);
    for (uint64_t i = map->offset; map->words != NULL && work->bands && i < map->size; i++)
        scanned_take(map, 0, (uint32_t)i); /* the upper band is full */
    if (map->words == NULL ||
        !pairs_open(&map->pairs, work, 0, work->bands ? STATIC_BAND : map->size, scanned_take,
                    map)) {
        scanned_close(map);
        return NULL;
    }
    pairs_warm_up(&map->pairs, work, scanned_run, map);
    return map;
}

static double scanned_measure(void *state) {
    scanned_map *map = state;
    return slice_time(scanned_run, map, map->pairs.thread_count, map->pairs.slice_count);
}

const subject KUBERNETES_SUBJECT = {"kubernetes", scanned_open, scanned_measure, scanned_close,
                                    NULL};

static double scanned_measure_return(void *state) {
    scanned_map *map = state;
    return pairs_measure_return(&map->pairs, scanned_run, map, map->size, RETURN_PAIRS_PEER);
}

const subject KUBERNETES_RETURN_SUBJECT = {"kubernetes", scanned_open, scanned_measure_return,
                                           scanned_close, NULL};
