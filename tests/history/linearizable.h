/*
 * linearizable.h: could one thread, doing these operations one after the other, have got the same
 * answers?
 *
 * A history is a list of operations on a set of numbers, each with the instants at which it began
 * and ended, and the state of every number before and after all of them. It is linearizable if the
 * operations can be put in an order in which none comes before one that had ended before it began,
 * and in which a set of numbers without concurrency answers the same and ends up the same.
 */
#ifndef IPALLOC_TEST_LINEARIZABLE_H
#define IPALLOC_TEST_LINEARIZABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_NUMBERS_MAX = 512, HISTORY_OPERATIONS_MAX = 256 };

typedef enum call_kind {
    CALL_ALLOCATE, /* ok: `number` was free and is held; else FULL: nothing was free */
    CALL_RESERVE,  /* ok: `number` was free and is held; else it was not free */
    CALL_RELEASE,  /* ok: `number` was held and is free; else it was not held */
    CALL_HAS,      /* ok: `number` is held */
    CALL_PROVE,    /* ok: something is free; else FULL */
    CALL_EXCLUDE,  /* ok: none of `count` numbers from `number` on was held; else one was */
    CALL_INCLUDE,  /* ok: all of them were excluded and are free; else one was not excluded */
    CALL_KINDS
} call_kind;

typedef struct call {
    call_kind kind;
    bool ok;
    uint32_t number, count;
    uint64_t begin, end; /* begin < end; no two of a history's instants are the same, but for
                            operations that were one call */
} call;

typedef enum number_state { STATE_HELD, STATE_FREE, STATE_EXCLUDED } number_state;

typedef struct history {
    uint32_t numbers;
    unsigned char at_start[HISTORY_NUMBERS_MAX], at_end[HISTORY_NUMBERS_MAX];
    size_t count;
    call calls[HISTORY_OPERATIONS_MAX];
} history;

bool history_linearizable(const history *h);

/* The history as text, in order of beginning; for when it is not. Returns `out`. */
const char *history_describe(const history *h, char *out, size_t size);

#endif
