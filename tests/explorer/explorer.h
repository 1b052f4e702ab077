/*
 * explorer.h: run small concurrent programs on the real bitmap.c through all their interleavings,
 * and judge every outcome.
 *
 * Sequentially consistent steps only: what weaker orders allow is argued in bitmap.c.
 */
#ifndef IPALLOC_TEST_EXPLORER_H
#define IPALLOC_TEST_EXPLORER_H

#include <stdbool.h>
#include <stdint.h>

enum { THREADS_MAX = 4, OPERATIONS_MAX = 3, FREE_MAX = 3, PREEMPTIONS_ANY = -1 };

typedef enum operation_kind {
    NOTHING,
    ALLOCATE, /* a random number, or FULL */
    LOWEST,   /* the same with BITMAP_LOWEST */
    TAKE,
    RELEASE,
    LOOKUP,
    CLAIM,   /* the lowest, or a hint that there is none */
    PROVE,   /* FULL, or a number that was seen free */
    DRY_RUN, /* a number that an allocation could get, or FULL */
    AGAIN,   /* is it still FULL, if this thread's last operation said so; else an allocation */
} operation_kind;

typedef enum flags_at_start {
    STALE /* all are set */,
    CLOSED /* as a proof of FULL left them */
} flags_at_start;

typedef struct operation {
    operation_kind kind;
    uint64_t number;
} operation;

typedef struct program {
    const char *name;
    uint64_t size;           /* all taken ... */
    uint64_t free[FREE_MAX]; /* ... but these, each plus one; 0: none */
    flags_at_start flags;
    uint64_t retaken; /* released and taken again at the start, so that its flags are stale */
    int preemptions;  /* how often a thread that could run on is made to wait */
    operation threads[THREADS_MAX][OPERATIONS_MAX];
} program;

typedef struct exploration {
    uint64_t states;     /* distinct ones */
    uint64_t executions; /* runs from the start, most of them cut short in a known state */
    bool finished;       /* all interleavings; else stopped after states_max */
    char failure[600];   /* empty: none */
} exploration;

exploration explore(const program *p, uint64_t states_max);

#endif
