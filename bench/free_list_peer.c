/*
 * free_list_peer.c: the classic: a sorted free list behind a mutex.
 *
 * The list is an array of free intervals in order, found by binary search. Claim: the first number
 * of the first interval from a random start on, wrapping; from within an interval the number at the
 * start itself, which splits it. Release: joined to its neighbours, or put in between. What is
 * behind in the array moves, so the cost grows with the number of intervals: half full and random
 * is its worst case, nearly empty or nearly full its best.
 */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

typedef struct interval {
    uint32_t first, last; /* both included */
} interval;

typedef struct free_list {
    size_t count;
    interval intervals[]; /* room for every other number, and one */
} free_list;

/* The first interval that ends at `number` or behind; count if there is none. */
static size_t interval_from(const free_list *list, uint32_t number) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->intervals[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void interval_remove(free_list *list, size_t at) {
    list->count--;
    memmove(&list->intervals[at], &list->intervals[at + 1],
            (list->count - at) * sizeof *list->intervals);
}

static void interval_insert(free_list *list, size_t at, interval one) {
    memmove(&list->intervals[at + 1], &list->intervals[at],
            (list->count - at) * sizeof *list->intervals);
    list->intervals[at] = one;
    list->count++;
}

static void free_list_take(free_list *list, size_t at, uint32_t number) {
    interval *one = &list->intervals[at];
    if (one->first == one->last) {
        interval_remove(list, at);
    } else if (number == one->first) {
        one->first++;
    } else if (number == one->last) {
        one->last--;
    } else {
        interval lower = {one->first, number - 1};
        one->first = number + 1;
        interval_insert(list, at, lower);
    }
}

static void free_list_give(free_list *list, uint32_t number) {
    size_t at = interval_from(list, number);
    interval *above = at < list->count ? &list->intervals[at] : NULL;
    interval *below = at > 0 ? &list->intervals[at - 1] : NULL;
    bool joins_above = above != NULL && above->first == number + 1;
    bool joins_below = below != NULL && below->last + 1 == number;
    if (joins_above && joins_below) {
        below->last = above->last;
        interval_remove(list, at);
    } else if (joins_above) {
        above->first = number;
    } else if (joins_below) {
        below->last = number;
    } else {
        interval_insert(list, at, (interval){number, number});
    }
}

PAIR_STEP uint32_t list_claim(void *context, uint64_t *random) {
    peer *p = context;
    uint32_t number = UINT32_MAX, from = random_below(random, p->size);
    pthread_mutex_lock(&p->lock);
    free_list *list = p->set;
    if (list->count > 0) {
        size_t at = interval_from(list, from) % list->count;
        number = list->intervals[at].first;
        if (number < from && from <= list->intervals[at].last)
            number = from;
        free_list_take(list, at, number);
    }
    pthread_mutex_unlock(&p->lock);
    return number;
}

PAIR_STEP void list_release(void *context, uint32_t number) {
    peer *p = context;
    pthread_mutex_lock(&p->lock);
    free_list_give(p->set, number);
    pthread_mutex_unlock(&p->lock);
}

static void list_run(void *state, unsigned thread, uint64_t count) {
    peer *p = state;
    pair_loop(&p->pairs.holders[thread], count, p, list_claim, list_release);
}

static void *list_make(const peer_start *start) {
    free_list *list = malloc(sizeof *list + (start->size / 2 + 1) * sizeof *list->intervals);
    if (list == NULL)
        return NULL;
    list->count = 0;
    for (uint64_t i = 0; i < start->size; i++) {
        if (peer_start_taken(start, i))
            continue;
        if (i > 0 && !peer_start_taken(start, i - 1))
            list->intervals[list->count - 1].last = (uint32_t)i;
        else
            list->intervals[list->count++] = (interval){(uint32_t)i, (uint32_t)i};
    }
    return list;
}

static bool list_is_taken(void *set, uint32_t number) {
    const free_list *list = set;
    size_t at = interval_from(list, number);
    return at == list->count || number < list->intervals[at].first;
}

static const peer_kind FREE_LIST = {.name = "free-list",
                                    .way = {list_run, list_claim, list_release},
                                    .make = list_make,
                                    .destroy = free,
                                    .is_taken = list_is_taken};

static void *list_open(const workload *work) {
    return peer_open(&FREE_LIST, work);
}

const subject FREE_LIST_SUBJECT = {"free-list", list_open, pairs_measure, peer_close, NULL};
