/*
 * lock.c: waiting for a lock, and waking who waits.
 *
 * May use: base/system.h. The three states are Drepper's ("Futexes are tricky", mutex 2): who is
 * about to sleep marks the lock as awaited, and takes it as awaited after waking, because others
 * may sleep still. So a lock that anybody sleeps on is awaited, and giving it back wakes one: no
 * wake-up is lost. At worst one is for nobody.
 */
#include "base/lock.h"

#include "base/system.h"

enum { LOOKS = 100 }; /* before sleeping: a section is shorter than two switches of context */

/* Look without writing, so that the holder keeps its cache line. */
static bool look_and_take(lock *l) {
    for (int i = 0; i < LOOKS; i++) {
        uint32_t expected = LOCK_FREE;
        if (atomic32_load_relaxed(&l->state) == LOCK_FREE &&
            atomic32_cas_acquire(&l->state, &expected, LOCK_TAKEN))
            return true;
    }
    return false;
}

void lock_wait(lock *l) {
    if (look_and_take(l))
        return;
    /* acquire: pairs with the exchange in lock_give */
    while (atomic32_exchange_acquire(&l->state, LOCK_AWAITED) != LOCK_FREE)
        SYSTEM_CALLS.wait(&l->state, LOCK_AWAITED, 0);
}

void lock_wake(lock *l) {
    SYSTEM_CALLS.wake_one(&l->state);
}
