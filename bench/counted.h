/*
 * counted.h: a fixed count of pairs, for tools that count instead of time.
 *
 * valgrind --tool=callgrind --toggle-collect=counted_pairs counts the instructions of the pairs and
 * nothing else, the loop around them included. See tools/instructions.sh.
 */
#ifndef IPALLOC_BENCH_COUNTED_H
#define IPALLOC_BENCH_COUNTED_H

#include "pair.h"

/* Do `count` pairs on one thread. */
void counted_pairs(void *state, uint64_t count);

/* The same for the subject of this name in each scenario that does pairs. false: there is none, or
 * one could not be set up. */
bool count_pairs(const plan *p, const char *subject_name, uint64_t count);

#endif
