/*
 * mutex_peer.c: the plain peer: a pthread mutex around a bitmap, random start, whole words at a
 * time. What a careful programmer writes in an hour.
 */
#include "peer.h"

#include <stdlib.h>

typedef struct word_map {
    uint64_t words_count;
    uint64_t words[]; /* 1: free */
} word_map;

static uint32_t word_map_claim(word_map *map, uint64_t *random) {
    uint64_t start = random_below(random, map->words_count);
    for (uint64_t i = 0; i < map->words_count; i++) {
        uint64_t index = start + i < map->words_count ? start + i : start + i - map->words_count;
        uint64_t word = map->words[index];
        if (word == 0)
            continue;
        map->words[index] = word & (word - 1);
        return (uint32_t)(index * 64 + (uint64_t)__builtin_ctzll(word));
    }
    return UINT32_MAX;
}

PAIR_STEP uint32_t locked_claim(void *context, uint64_t *random) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    uint32_t number = word_map_claim(p->set, random);
    pthread_mutex_unlock(&p->lock);
    return number;
}

PAIR_STEP void locked_release(void *context, uint32_t number) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    word_map *map = p->set;
    map->words[number / 64] |= (uint64_t)1 << number % 64;
    pthread_mutex_unlock(&p->lock);
}

static void locked_run(void *state, unsigned thread, uint64_t count) {
    peer *p = state;
    pair_loop(&p->pairs.holders[thread], count, p, locked_claim, locked_release);
}

static void *word_map_make(const peer_start *start) {
    uint64_t count = (start->size + 63) / 64;
    word_map *map = malloc(sizeof *map + count * sizeof *map->words);
    if (map == NULL)
        return NULL;
    map->words_count = count;
    for (uint64_t i = 0; i < count; i++)
        map->words[i] = ~start->words[i];
    return map;
}

static bool word_map_is_taken(void *set, uint32_t number) {
    const word_map *map = set;
    return (map->words[number / 64] >> number % 64 & 1) == 0;
}

static const peer_kind MUTEX = {.name = "mutex",
                                .way = {locked_run, locked_claim, locked_release},
                                .make = word_map_make,
                                .destroy = free,
                                .is_taken = word_map_is_taken};

static void *mutex_open(const workload *work) {
    return peer_open(&MUTEX, work);
}

const subject MUTEX_SUBJECT = {"mutex", mutex_open, pairs_measure, peer_close, NULL};
