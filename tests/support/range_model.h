/*
 * range_model.h: a range and a naive model of it, driven through the same random operations.
 *
 * The model keeps a sorted array of what is not free and a list of excluded intervals, and knows
 * the rules of range.h in their plainest form. Every operation checks its status and its result;
 * every now and then everything that can be asked is compared, and the range validates itself.
 */
#ifndef IPALLOC_TEST_RANGE_MODEL_H
#define IPALLOC_TEST_RANGE_MODEL_H

#include "support.h"

typedef struct range_case {
    const char *cidr; /* NULL: ports port_first..port_last */
    uint16_t port_first, port_last;
    uint64_t static_band_size;
    uint32_t strategy;
    bool use_all_addresses, reuse_cooling_when_full, refuse_reserve_cooling;
    uint64_t cool_down_ms;
} range_case;

/* Run `operations` random operations from `seed` on one range; fails the test on a difference. */
void range_model_run(const range_case *shape, uint64_t seed, uint64_t operations);

#endif
