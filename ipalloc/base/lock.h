/*
 * lock.h: a mutex of 32 bits for sections of a few dozen nanoseconds.
 *
 * May use: base/atomic.h, base/system.h. Free, it costs one compare-and-swap to take and one
 * exchange to give back, inline; a pthread mutex costs twice that in calls and bookkeeping. Who
 * finds it taken looks a few times more, then sleeps in the kernel until the holder wakes one.
 * Not recursive, not fair, no owner: a thread must not take it twice, and whoever waits longest is
 * not served first. It needs no initialization beyond zeroed memory, and no destruction.
 */
#ifndef IPALLOC_BASE_LOCK_H
#define IPALLOC_BASE_LOCK_H

/* As base/atomic.h: a header that replaces this one, for an explorer of interleavings. */
#ifdef IPALLOC_LOCK_HEADER
#include IPALLOC_LOCK_HEADER
#else

#include "base/atomic.h"

enum {
    LOCK_FREE = 0,
    LOCK_TAKEN = 1,
    LOCK_AWAITED = 2 /* taken, and somebody may sleep: whoever gives it back wakes one */
};

typedef struct lock {
    atomic_word32 state;
} lock;

void lock_wait(lock *l);
void lock_wake(lock *l);

static inline void lock_take(lock *l) {
    uint32_t expected = LOCK_FREE;
    /* acquire: pairs with the exchange in lock_give */
    if (!atomic32_cas_acquire(&l->state, &expected, LOCK_TAKEN))
        lock_wait(l);
}

static inline void lock_give(lock *l) {
    /* release: pairs with whoever takes it next */
    if (atomic32_exchange_release(&l->state, LOCK_FREE) == LOCK_AWAITED)
        lock_wake(l);
}

#endif
#endif
