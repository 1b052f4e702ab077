/*
 * lock_hook.h: base/lock.h for the explorer: taking and giving are choice points, and who cannot
 * have the lock is not chosen until it can.
 */
#ifndef IPALLOC_TEST_LOCK_HOOK_H
#define IPALLOC_TEST_LOCK_HOOK_H

typedef struct lock {
    int taken;
} lock;

void explorer_lock_take(int *taken);
void explorer_lock_give(int *taken);

static inline void lock_take(lock *l) {
    explorer_lock_take(&l->taken);
}

static inline void lock_give(lock *l) {
    explorer_lock_give(&l->taken);
}

#endif
