/*
 * rest_clock.h: the clock that rests are measured by: a wall clock that never goes back.
 *
 * When the wall clock goes back, what it lost is added from then on, so that a rest ends no earlier
 * for it, and later by at most the time nobody looked. A release "in the future" counts as one of
 * now. Saturates at the end of time. Not thread-safe: the range's lock guards it.
 */
#ifndef IPALLOC_CORE_REST_CLOCK_H
#define IPALLOC_CORE_REST_CLOCK_H

#include "base/hooks.h"

typedef struct rest_clock {
    const hooks *hooks;
    uint64_t latest_ms; /* what rest_clock_now said last */
    uint64_t lost_ms;   /* what the wall clock lost by going back */
} rest_clock;

static inline uint64_t rest_clock_add(uint64_t a, uint64_t b) { /* saturated */
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Read it. `c->hooks` must be set; the rest starts as zero. */
uint64_t rest_clock_now(rest_clock *c);

/* When a release at that wall clock time was, as far as this clock has been read; it reads nothing.
 */
uint64_t rest_clock_since(const rest_clock *c, uint64_t released_at_wall_ms);

#endif
