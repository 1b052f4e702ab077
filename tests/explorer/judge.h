/*
 * judge.h: could a map without concurrency have answered all this?
 */
#ifndef IPALLOC_TEST_JUDGE_H
#define IPALLOC_TEST_JUDGE_H

#include "explorer.h"

enum { OUTCOMES_MAX = THREADS_MAX * OPERATIONS_MAX };

/* Outcomes are OUTCOMES_MAX in a row, OPERATIONS_MAX of each thread. */

/* The operations that have ended, by bit: thread * OPERATIONS_MAX + which. */
unsigned ended_operations(const outcome *outcomes);

/* Is there an order of the operations, each after those that had ended before it began, which
 * explains every answer, and leads from the states at the start to those at the end? */
bool linearizable(const program *p, const outcome *outcomes, const unsigned char *at_start,
                  const unsigned char *at_end);

#endif
