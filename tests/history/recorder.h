/*
 * recorder.h: threads at work on one range, and what they were answered, as histories.
 *
 * The range is small or nearly all excluded, and kept nearly full. The threads stay; each history
 * starts where the last one ended, made nearly full again. Every operation takes its instants from
 * one counter. In between, and wherever the library asks for a random number, a thread may wait a
 * moment or give way, so that few processors make many interleavings.
 */
#ifndef IPALLOC_TEST_RECORDER_H
#define IPALLOC_TEST_RECORDER_H

#include "linearizable.h"
#include "support.h"

enum { RECORDER_THREADS_MAX = 4, ROUND_HISTORIES = 64 };

typedef struct range_shape {
    const char *name;
    const char *cidr;
    uint32_t base, numbers; /* offsets in play; all others are excluded, if there are any */
    uint64_t static_band_size;
    uint32_t strategy;
    uint64_t cool_down_ms;
    bool reuse_cooling_when_full;
    bool excluding; /* exclusions change; then threads release only what is theirs */
    bool many;      /* many at once, too. Not in lock-free ranges: where such a request is refused,
                       others      have seen taken for a moment what it had to give back */
    unsigned threads, operations;
    unsigned free_max; /* at the start of a history */
} range_shape;

typedef struct recorder recorder;

recorder *recorder_create(const range_shape *shape, uint64_t seed);
void recorder_destroy(recorder *r);

/* Record that many histories into `out`; fails the test on an answer that no operation may give,
 * and on a range that is not valid afterwards. */
void recorder_record(recorder *r, history out[ROUND_HISTORIES]);

#endif
