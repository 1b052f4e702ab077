/*
 * mutex_case.c: the plain peer: a pthread mutex around a bitmap, random start, whole words at a
 * time. What a careful programmer writes in an hour.
 */
#include "pair.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct locked_map {
    pairs pairs;
    pthread_mutex_t lock;
    uint64_t words_count;
    uint64_t *words; /* 1: free */
} locked_map;

static uint32_t locked_claim(void *context, uint64_t *random) {
    locked_map *map = context;
    pthread_mutex_lock(&map->lock);
    uint64_t start = random_below(random, map->words_count);
    uint32_t number = UINT32_MAX;
    for (uint64_t i = 0; i < map->words_count; i++) {
        uint64_t index = start + i < map->words_count ? start + i : start + i - map->words_count;
        uint64_t word = map->words[index];
        if (word == 0)
            continue;
        map->words[index] = word & (word - 1);
        number = (uint32_t)(index * 64 + (uint64_t)__builtin_ctzll(word));
        break;
    }
    pthread_mutex_unlock(&map->lock);
    return number;
}

static void locked_release(void *context, uint32_t number) {
    locked_map *map = context;
    pthread_mutex_lock(&map->lock);
    map->words[number / 64] |= (uint64_t)1 << number % 64;
    pthread_mutex_unlock(&map->lock);
}

static void locked_run(void *state, unsigned thread, uint64_t count) {
    locked_map *map = state;
    pair_loop(&map->pairs.holders[thread], count, map, locked_claim, locked_release);
}

static bool locked_take(void *state, unsigned thread, uint32_t number) {
    (void)thread;
    locked_map *map = state;
    map->words[number / 64] &= ~((uint64_t)1 << number % 64);
    return true;
}

static void locked_close(void *state) {
    locked_map *map = state;
    free(map->words);
    pairs_close(&map->pairs);
    pthread_mutex_destroy(&map->lock);
    free(map);
}

static void *locked_open(const workload *work) {
    locked_map *map = lines_alloc(sizeof *map);
    if (map == NULL)
        return NULL;
    pthread_mutex_init(&map->lock, NULL);
    map->words_count = ((uint64_t)1 << work->size_bits) / 64;
    map->words = lines_alloc(map->words_count * sizeof *map->words);
    for (uint64_t i = 0; map->words != NULL && i < map->words_count; i++)
        map->words[i] = UINT64_MAX;
    if (map->words == NULL ||
        !pairs_open(&map->pairs, work, 0, map->words_count * 64, locked_take, map)) {
        locked_close(map);
        return NULL;
    }
    pairs_warm_up(&map->pairs, work, locked_run, map);
    return map;
}

static double locked_measure(void *state) {
    locked_map *map = state;
    return slice_time(locked_run, map, map->pairs.thread_count, map->pairs.slice_count);
}

const subject MUTEX_SUBJECT = {"mutex", locked_open, locked_measure, locked_close, NULL};
