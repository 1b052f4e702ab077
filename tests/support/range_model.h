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

/* As ck_assert and ck_assert_status, for loops of millions: Check writes to a pipe at every
 * assertion, these do only when they fail. */
#define require(condition)                            \
    do {                                              \
        if (!(condition))                             \
            ck_abort_msg("not true: %s", #condition); \
    } while (0)

#define require_status(call, expected)                                                 \
    do {                                                                               \
        int status_ = (call);                                                          \
        if (status_ != (expected))                                                     \
            ck_abort_msg("%s is %s, expected %s", #call, ipalloc_status_name(status_), \
                         ipalloc_status_name(expected));                               \
    } while (0)

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
