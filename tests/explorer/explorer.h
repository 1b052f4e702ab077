/*
 * explorer.h: run small concurrent programs on the real source through all their interleavings,
 * and judge every outcome.
 *
 * A program works on numbers. Its subject is one bitmap, or a few ranges without cool-down: then
 * the first range has the numbers 0..size-1, the second size..2*size-1, and so on. All numbers are
 * held at the start but for those that the program names.
 *
 * Sequentially consistent steps only: what weaker orders allow is argued where they are used.
 */
#ifndef IPALLOC_TEST_EXPLORER_H
#define IPALLOC_TEST_EXPLORER_H

#include "scheduler.h"

enum { OPERATIONS_MAX = 3, NAMED_MAX = 3, NUMBERS_MAX = 1024 };

typedef enum operation_kind {
    NOTHING,
    ALLOCATE, /* a random number, or FULL (of a range: the one that has this number) */
    LOWEST,   /* bitmap: the same with BITMAP_LOWEST */
    TAKE,
    RELEASE,
    LOOKUP,
    CLAIM,        /* bitmap: the lowest, or a hint that there is none */
    PROVE,        /* FULL, or bitmap: a number that was seen free; range: that one is free */
    DRY_RUN,      /* bitmap: a number that an allocation could get, or FULL */
    AGAIN,        /* bitmap: still FULL, if this thread's last one said so; else an allocation */
    ALLOCATE_ALL, /* out of any range, or FULL of all */
    PROVE_ALL,    /* FULL of all ranges at once, or no answer */
    EXCLUDE,      /* this number */
    EXCLUDE_TWO,  /* and the next one: both or none */
    INCLUDE,
    INCLUDE_TWO,
    KINDS
} operation_kind;

typedef enum flags_at_start {
    STALE /* all are set */,
    CLOSED /* as a proof of FULL left them */
} flags_at_start;

typedef struct operation {
    operation_kind kind;
    uint64_t number;
} operation;

/* Numbers that a program names are given plus one; 0: none. */
typedef struct program {
    const char *name;
    unsigned ranges; /* 0: the bitmap by itself */
    uint64_t size;   /* of the bitmap, or of each range */
    uint64_t free[NAMED_MAX];
    uint64_t excluded;
    uint64_t retaken; /* released and taken again at the start, so that its flags are stale */
    flags_at_start flags;
    int preemptions; /* how often a thread that could run on is made to wait */
    operation threads[THREADS_MAX][OPERATIONS_MAX];
} program;

/* What an operation answered. */
typedef struct outcome {
    operation called;
    unsigned ended_before; /* operations that had ended when this one began, by bit */
    bool done;
    bool ok;
    unsigned char state; /* LOOKUP: an enum number_state */
    uint64_t number;     /* ALLOCATE and the like: which; else as called */
} outcome;

enum number_state { NUMBER_HELD, NUMBER_FREE, NUMBER_EXCLUDED };

/* What the programs run on. */
typedef struct subject {
    void (*prepare)(const program *p);
    /* Fill ok, number and state; *stamp is the thread's own, from its last FULL; `before` is the
     * thread's previous outcome or NULL. */
    void (*perform)(outcome *o, const outcome *before, uint64_t *stamp);
    uint64_t (*guarded)(void);           /* a hash of what its mutexes guard */
    void (*look)(unsigned char *states); /* at rest: the state of every number */
    /* At rest: what is wrong with it, or NULL. `any_free`: something is. May change it. */
    const char *(*check)(bool any_free);
} subject;

extern const subject bitmap_subject, ranges_subject;

uint64_t program_numbers(const program *p); /* of all its ranges */

exploration explore(const program *p, uint64_t states_max);

#endif
