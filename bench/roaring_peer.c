/*
 * roaring_peer.c: CRoaring behind a mutex: a compressed bitmap as the set of the free numbers.
 *
 * Claim: an iterator moved to the first free number from a random start on, wrapping, and that
 * number removed. Release: it is added again. These are the calls of Debian 12's CRoaring (0.2).
 */
#include "peer.h"

#include <roaring/roaring.h>

static uint32_t next_free(const roaring_bitmap_t *set, uint32_t from) {
    roaring_uint32_iterator_t at;
    roaring_init_iterator(set, &at);
    if (!roaring_move_uint32_iterator_equalorlarger(&at, from))
        roaring_init_iterator(set, &at);
    return at.has_value ? at.current_value : UINT32_MAX;
}

PAIR_STEP uint32_t roaring_claim(void *context, uint64_t *random) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    uint32_t number = next_free(p->set, random_below(random, p->size));
    roaring_bitmap_remove(p->set, number);
    pthread_mutex_unlock(&p->lock);
    return number;
}

PAIR_STEP void roaring_release(void *context, uint32_t number) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    roaring_bitmap_add(p->set, number);
    pthread_mutex_unlock(&p->lock);
}

static void roaring_run(void *state, unsigned thread, uint64_t count) {
    peer *p = state;
    pair_loop(&p->pairs.holders[thread], count, p, roaring_claim, roaring_release);
}

static void *roaring_make(const peer_start *start) {
    roaring_bitmap_t *set = roaring_bitmap_create();
    for (uint64_t i = 0; set != NULL && i < start->size; i++)
        if (!peer_start_taken(start, i))
            roaring_bitmap_add(set, (uint32_t)i);
    return set;
}

static void roaring_destroy(void *set) {
    roaring_bitmap_free(set);
}

static bool roaring_is_taken(void *set, uint32_t number) {
    return !roaring_bitmap_contains(set, number);
}

static const peer_kind ROARING = {.name = "roaring",
                                  .way = {roaring_run, roaring_claim, roaring_release},
                                  .make = roaring_make,
                                  .destroy = roaring_destroy,
                                  .is_taken = roaring_is_taken};

static void *roaring_open(const workload *work) {
    return peer_open(&ROARING, work);
}

const subject ROARING_SUBJECT = {"roaring", roaring_open, pairs_measure, peer_close, NULL};
