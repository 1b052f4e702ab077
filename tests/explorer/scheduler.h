/*
 * scheduler.h: run up to four coroutines through all orders of their steps.
 *
 * A step is an atomic operation (atomic_hook.h) or a mutex. The search is depth first. What the
 * coroutines share lives in one memory that the scheduler can copy; at each choice it puts memory
 * and stacks aside, and to try another order it puts them back, so that nothing runs twice.
 *
 * A coroutine is deterministic given the values that its steps returned, so a state is: the memory,
 * and of each coroutine a hash of those values. A state seen before is not followed again; that
 * finds the same outcomes as all interleavings would. (States are told apart by 64 bits of hash.)
 */
#ifndef IPALLOC_TEST_SCHEDULER_H
#define IPALLOC_TEST_SCHEDULER_H

#include <ipalloc/status.h>

#include <stdbool.h>

enum { THREADS_MAX = 4, PREEMPTIONS_ANY = -1 };

typedef struct workload {
    unsigned threads;
    void (*run)(unsigned thread);      /* the whole life of a thread */
    void (*stepping)(unsigned thread); /* it has been chosen and is about to do its step */
    uint64_t (*guarded)(void);         /* a hash of what mutexes guard */
    const char *(*judge)(void);        /* at the end of an execution; NULL: all is well */
    void *kept;                        /* put aside and back with the memory; not part of a state */
    size_t kept_bytes;
    int preemptions; /* how often a thread that could run on is made to wait */
    uint64_t states_max;
} workload;

typedef struct exploration {
    uint64_t states;     /* distinct ones */
    uint64_t executions; /* those that ran to an end of their own */
    bool finished;       /* all interleavings; else stopped after states_max */
    char failure[600];   /* empty: none */
} exploration;

/* Forget the shared memory; the hooks allocate from it, and draw each thread's own random numbers,
 * the same in every execution. */
ipalloc_hooks scheduler_new_memory(void);

/* Explore from the memory as it is now. */
exploration scheduler_search(const workload *w);

/* A step: others may come first. Outside of a search: nothing. */
void explorer_step(void);
/* The thread learns this value. */
void explorer_saw(uint64_t value);

#endif
