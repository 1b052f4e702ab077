/*
 * change_ring.h: the last changes of a store, oldest first.
 *
 * Grows by doubling up to its limit, then forgets the oldest. `oldest` is the revision since which
 * everything is still here. Not thread-safe; the owner locks.
 */
#ifndef IPALLOC_STORE_CHANGE_RING_H
#define IPALLOC_STORE_CHANGE_RING_H

#include "store/ordered_map.h"

typedef struct change_ring {
    record **slots;
    size_t capacity; /* 0 or a power of two */
    size_t first;
    size_t count;
    uint64_t kept_max;
    size_t bytes_max;   /* of keys and values; 0: no bound */
    size_t bytes;       /* of those that are here */
    uint64_t forgotten; /* how many were: the number of the change at place 0, counted from 0 */
    uint64_t oldest;    /* the highest revision of which a change was forgotten */
} change_ring;

void ring_free(change_ring *ring, const hooks *h);
/* Make room so that `more` pushes cannot fail. OK or NOMEM. */
int ring_reserve(change_ring *ring, const hooks *h, size_t more);
/* Append a change, which keeps a reference of its own. */
void ring_push(change_ring *ring, const hooks *h, record *change);
/* Forget everything: changes since `revision` or later can be asked for. */
void ring_forget(change_ring *ring, const hooks *h, uint64_t revision);
/* Take back the changes after `revision`, as if they had not been pushed. */
void ring_take_back(change_ring *ring, const hooks *h, uint64_t revision);
record *ring_at(const change_ring *ring, size_t place);
/* The place of the first change after revision `since`; count where there is none. */
size_t ring_find(const change_ring *ring, uint64_t since);

#endif
