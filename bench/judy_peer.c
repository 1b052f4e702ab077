/*
 * judy_peer.c: a Judy1 array behind a mutex: a radix tree of bitmaps and lists as the set of the
 * taken numbers.
 *
 * Claim: the first number that is not in the array, from a random start on, wrapping
 * (Judy1FirstEmpty), is set. Release: it is unset.
 */
#include "peer.h"

#include <Judy.h>
#include <stdlib.h>

typedef struct judy_set {
    Pvoid_t array;
} judy_set;

static uint32_t next_absent(const peer *p, const judy_set *set, Word_t from) {
    Word_t index = from;
    if (Judy1FirstEmpty(set->array, &index, PJE0) == 1 && index < p->size)
        return (uint32_t)index;
    index = 0;
    if (Judy1FirstEmpty(set->array, &index, PJE0) == 1 && index < p->size)
        return (uint32_t)index;
    return UINT32_MAX;
}

PAIR_STEP uint32_t judy_claim(void *context, uint64_t *random) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    judy_set *set = p->set;
    uint32_t number = next_absent(p, set, random_below(random, p->size));
    Judy1Set(&set->array, number, PJE0);
    pthread_mutex_unlock(&p->lock);
    return number;
}

PAIR_STEP void judy_release(void *context, uint32_t number) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    Judy1Unset(&((judy_set *)p->set)->array, number, PJE0);
    pthread_mutex_unlock(&p->lock);
}

static void judy_run(void *state, unsigned thread, uint64_t count) {
    peer *p = state;
    pair_loop(&p->pairs.holders[thread], count, p, judy_claim, judy_release);
}

static void *judy_make(const peer_start *start) {
    judy_set *set = calloc(1, sizeof *set);
    for (uint64_t i = 0; set != NULL && i < start->size; i++)
        if (peer_start_taken(start, i))
            Judy1Set(&set->array, i, PJE0);
    return set;
}

static void judy_destroy(void *set) {
    Judy1FreeArray(&((judy_set *)set)->array, PJE0);
    free(set);
}

static bool judy_is_taken(void *set, uint32_t number) {
    return Judy1Test(((judy_set *)set)->array, number, PJE0) == 1;
}

static const peer_kind JUDY = {.name = "judy",
                               .way = {judy_run, judy_claim, judy_release},
                               .make = judy_make,
                               .destroy = judy_destroy,
                               .is_taken = judy_is_taken};

static void *judy_open(const workload *work) {
    return peer_open(&JUDY, work);
}

const subject JUDY_SUBJECT = {"judy", judy_open, pairs_measure, peer_close, NULL};
