/*
 * resting_world.h: what the tests of resting numbers stand on: memory that is counted, a clock that
 * stands still until the test moves it, and the hooks of both.
 */
#ifndef IPALLOC_TEST_RESTING_WORLD_H
#define IPALLOC_TEST_RESTING_WORLD_H

#include "counted_memory.h"

#include "base/hooks.h"

enum { REST_MS = 1000, START_MS = 1000000 }; /* an epoch of 500 ms begins at the start */

static struct world {
    counted_memory memory; /* first: the memory functions get the same context */
    uint64_t wall_ms;
} world;

static hooks h;
static uint64_t state; /* of test_random */

static uint64_t told_wall_ms(void *context) {
    return ((struct world *)context)->wall_ms;
}

static void set_up(void) {
    world = (struct world){.wall_ms = START_MS};
    state = test_seed();
    ipalloc_hooks user = counted_hooks(&world.memory);
    user.context = &world;
    user.wall_clock_ms = told_wall_ms;
    ck_assert_status(hooks_init(&h, &user, NULL), IPALLOC_OK);
}

static void nothing_leaked(void) {
    ck_assert_int_eq(world.memory.live, 0);
}

#endif
