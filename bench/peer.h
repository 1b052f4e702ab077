/*
 * peer.h: a set that is not safe between threads, behind a mutex, as a program has to use it.
 *
 * Each peer's file says how its set is made and how it claims and releases; peer.c does the rest:
 * what is held at first, the lock, and the proof at the end that what was measured was right.
 */
#ifndef IPALLOC_BENCH_PEER_H
#define IPALLOC_BENCH_PEER_H

#include "pair.h"

#include <pthread.h>

/* A plain bitmap of what is taken before the first pair. */
typedef struct peer_start {
    uint64_t size;
    uint64_t band_begin; /* of the upper band; 0: there are no bands */
    uint64_t *words;     /* 1: taken; (size + 63) / 64 of them */
} peer_start;

static inline bool peer_start_taken(const peer_start *start, uint64_t number) {
    return (start->words[number / 64] >> number % 64 & 1) != 0;
}

typedef struct peer_kind {
    const char *name;
    pair_way way;
    void *(*make)(const peer_start *start); /* NULL: no memory */
    void (*destroy)(void *set);
    bool (*is_taken)(void *set, uint32_t number);
} peer_kind;

typedef struct peer {
    pairs pairs;
    const peer_kind *kind;
    _Alignas(LINE_PAIR) pthread_mutex_t lock; /* everything below */
    void *set;
    uint64_t size;
} peer;

/* For the subject of a kind: its open calls peer_open. */
void *peer_open(const peer_kind *kind, const workload *work);
void peer_close(void *state);

#endif
