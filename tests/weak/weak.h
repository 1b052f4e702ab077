/*
 * weak.h: small concurrent programs on the real bitmap.c under the C11 memory model.
 *
 * A program is a few operations for each of two or three threads. Relacy runs it again and again:
 * at every atomic operation it may switch threads, and at every load it may hand out an older value
 * that the memory model still allows. Each number has a payload, plain data that only its holder
 * touches: an exchange too weak to hand it over is a data race.
 */
#ifndef IPALLOC_TEST_WEAK_H
#define IPALLOC_TEST_WEAK_H

#include <stdbool.h>
#include <stdint.h>

/* The operations of base/atomic.h. */
enum weak_kind {
    WEAK_NOTHING,
    WEAK_LOAD_RELAXED,
    WEAK_LOAD_ACQUIRE,
    WEAK_LOAD_SEQ,
    WEAK_STORE_RELAXED,
    WEAK_STORE_RELEASE,
    WEAK_STORE_SEQ,
    WEAK_CAS_SEQ,
    WEAK_CAS_FAILED, /* the order of a compare-and-swap that fails */
    WEAK_OR_SEQ,
    WEAK_AND_SEQ,
    WEAK_ADD_SEQ,
    WEAK_ADD_RELAXED,
    WEAK_KINDS
};

enum weak_order { WEAK_RELAXED, WEAK_ACQUIRE, WEAK_RELEASE, WEAK_ACQUIRE_RELEASE };

/* One kind of operation with another order: everywhere, in functions whose name contains `function`
 * (not NULL) or on one line (not 0). */
typedef struct weakening {
    enum weak_kind kind;
    enum weak_order order;
    const char *function;
    unsigned line;
} weakening;

/* An operation of base/atomic.h somewhere in bitmap.c. */
typedef struct weak_site {
    enum weak_kind kind;
    unsigned line;
    const char *function;
} weak_site;

enum weak_verb {
    END,
    ALLOCATE,      /* any number, random; FULL is a possible answer */
    LOWEST,        /* the same, the lowest */
    MUST_ALLOCATE, /* below its quota: FULL is an error */
    MUST_LOWEST,
    LOWEST_IF,        /* FULL is an error if the step before said yes */
    CLAIM,            /* the lowest, by the flags only; no proof if there is none */
    TAKE,             /* this number; it may be taken */
    RELEASE,          /* this number, which this thread holds */
    RELEASE_ANY,      /* a number that another thread may have released: says yes if it had */
    LOOKUP,           /* says yes if the number was seen free */
    DRY_RUN,          /* find, do not claim; says yes if one was seen free */
    PROVE,            /* says yes if FULL was proved */
    SIGNAL,           /* tell the others that this thread has come this far */
    MARK,             /* the same, in the one order of all seq_cst operations */
    MARKED,           /* says yes if another has marked */
    NOT_FULL,         /* says no if FULL was proved */
    OVER,             /* says no if the last proof of FULL still holds */
    SIGNALLED,        /* says yes if one has been told */
    WRITE_NOTE,       /* plain data that belongs to no number */
    READ_NOTE_UNLESS, /* if the step before said no */
    STILL_IF,         /* the last proof must not hold any more if the step before said yes */
};

enum { WEAK_THREADS_MAX = 3, WEAK_STEPS_MAX = 4, WEAK_FREE_MAX = 2 };

typedef struct weak_step {
    enum weak_verb verb;
    uint64_t number;
} weak_step;

enum weak_flags { STALE, CLOSED }; /* the flags above full lines, before the threads start */

typedef struct weak_program {
    const char *name;
    uint64_t size;
    uint64_t free[WEAK_FREE_MAX]; /* number + 1; 0: none */
    enum weak_flags flags;
    unsigned switches; /* in the exhaustive search */
    weak_step threads[WEAK_THREADS_MAX][WEAK_STEPS_MAX];
    bool one_yes; /* not all last steps may say no */
} weak_program;

typedef struct weak_search {
    uint64_t random_executions;             /* 0: exhaustive */
    unsigned more_switches, fewer_switches; /* than the program says */
    weakening weakened;
} weak_search;

typedef struct weak_result {
    bool failed;
    bool data_race;
    bool weakened; /* the weakening was met */
    uint64_t executions;
    char what[160]; /* one line */
} weak_result;

weak_result weak_run(const weak_program *program, const weak_search *search, bool verbose);

/* The operations that the runs so far have met, in order of lines. */
const weak_site *weak_sites(unsigned *count);

#endif
