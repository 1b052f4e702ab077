/*
 * peer.c: see peer.h.
 *
 * Sets are made from a bitmap in one go, for some would take hours number by number.
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATIC_BAND_NUMBERS = 256 /* of a /16 and larger: min(max(16, size/16), 256) */ };

static bool start_take(void *state, unsigned thread, uint32_t number) {
    (void)thread;
    peer_start *start = ((peer *)state)->set; /* until the set is made */
    start->words[number / 64] |= (uint64_t)1 << number % 64;
    return true;
}

static bool start_open(peer_start *start, const workload *work) {
    start->size = (uint64_t)1 << work->size_bits;
    start->band_begin = work->bands ? STATIC_BAND_NUMBERS : 0;
    start->words = calloc((start->size + 63) / 64, sizeof *start->words);
    if (start->words == NULL)
        return false;
    for (uint64_t i = start->band_begin; work->bands && i < start->size; i++)
        start->words[i / 64] |= (uint64_t)1 << i % 64; /* the upper band is full */
    return true;
}

/* Whatever was timed must have been right: nothing held twice, everything held is taken, and
 * nothing else is. */
static void peer_check(peer *p, const char *what) {
    uint64_t held = 0, taken = 0;
    for (unsigned i = 0; i < p->pairs.thread_count; i++)
        for (uint64_t j = 0; j < p->pairs.holders[i].count; j++, held++) {
            uint32_t number = p->pairs.holders[i].numbers[j];
            if (number >= p->size || !p->kind->is_taken(p->set, number)) {
                fprintf(stderr, "ipalloc-bench: %s: %u is held but not taken\n", what, number);
                exit(EXIT_FAILURE);
            }
        }
    for (uint64_t i = 0; i < p->pairs.size; i++)
        taken += p->kind->is_taken(p->set, (uint32_t)i);
    if (taken == held)
        return;
    fprintf(stderr, "ipalloc-bench: %s: %llu are held, %llu taken\n", what,
            (unsigned long long)held, (unsigned long long)taken);
    exit(EXIT_FAILURE);
}

static void peer_free(peer *p) {
    if (p->set != NULL)
        p->kind->destroy(p->set);
    pthread_mutex_destroy(&p->lock);
    pairs_close(&p->pairs);
    free(p);
}

void peer_close(void *state) {
    peer *p = state;
    peer_check(p, p->kind->name);
    peer_free(p);
}

void *peer_open(const peer_kind *kind, const workload *work) {
    peer *p = lines_alloc(sizeof *p);
    if (p == NULL)
        return NULL;
    p->kind = kind;
    p->size = (uint64_t)1 << work->size_bits;
    p->pairs.maps[0] = p->pairs.maps[1] = p;
    pthread_mutex_init(&p->lock, NULL);
    peer_start start = {0};
    p->set = &start;
    bool fine = start_open(&start, work) &&
                pairs_open(&p->pairs, &kind->way, work, work->bands ? start.band_begin : start.size,
                           start_take, p);
    p->set = fine ? kind->make(&start) : NULL;
    free(start.words);
    if (p->set == NULL) {
        peer_free(p);
        return NULL;
    }
    pairs_warm_up(p, work);
    return p;
}
