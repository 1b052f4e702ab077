/*
 * test_range_cooldown.c: ranges whose released addresses rest, or wait in line to be used again.
 *
 * What holds for every shape at random is in the model's tests; here is each rule by itself.
 */
#include "counted_memory.h"

#include "core/range_internal.h"

#include <string.h>

enum { REST = 1000 }; /* ms */

static uint64_t end_of_rest(uint64_t released_at) {
    return test_end_of_rest(released_at, REST);
}

/* Memory that is counted, and a clock that the test sets. `memory` comes first, so that one context
 * serves both. */
static struct {
    counted_memory memory;
    uint64_t wall;
} world;

static uint64_t wall_clock(void *context) {
    (void)context;
    return world.wall;
}

static ipalloc_hooks world_hooks(void) {
    memset(&world, 0, sizeof world);
    world.wall = 1000000;
    ipalloc_hooks user = counted_hooks(&world.memory);
    user.wall_clock_ms = wall_clock;
    return user;
}

static ipalloc_range *range;

static void make_range(const char *text, ipalloc_range_options options) {
    ipalloc_hooks user = world_hooks();
    ipalloc_cidr from = cidr(text);
    options.size = sizeof options;
    options.hooks = &user;
    ck_assert_status(ipalloc_range_create(&from, &options, &range, NULL), IPALLOC_OK);
}

static void destroy_range(void) {
    ipalloc_error error;
    ck_assert_status_error(ipalloc_range_validate(range, &error), IPALLOC_OK, &error);
    ipalloc_range_destroy(range);
    ck_assert_int_eq(world.memory.live, 0);
}

static int claim(uint64_t number) {
    return range_claim(range, (range_offset){number});
}

static int release(uint64_t number) {
    return range_release(range, (range_offset){number}, world.wall);
}

static enum range_state state_of(uint64_t number) {
    return range_state_of(range, (range_offset){number});
}

/* The offset that is allocated, or the negative status. */
static int allocate(void) {
    range_offset got;
    int status = range_allocate(range, &got);
    return status == IPALLOC_OK ? (int)got.value : status;
}

static void fill(void) {
    while (allocate() >= 0)
        continue;
}

static void check_cooling(uint64_t static_band, uint64_t dynamic_band) {
    ipalloc_range_stats stats = {.size = sizeof stats};
    ck_assert_status(ipalloc_range_get_stats(range, &stats), IPALLOC_OK);
    ck_assert_uint_eq(stats.static_band.cooling.low, static_band);
    ck_assert_uint_eq(stats.dynamic_band.cooling.low, dynamic_band);
    ck_assert_uint_eq(stats.total.cooling.low, static_band + dynamic_band);
}

START_TEST(a_released_address_cools_and_is_then_free) {
    make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = REST});
    fill();
    ipalloc_addr address = addr("10.0.0.5");
    ck_assert_status(ipalloc_range_release(range, &address), IPALLOC_OK);
    ck_assert_status(ipalloc_range_release(range, &address), IPALLOC_E_NOT_FOUND);
    ck_assert(!ipalloc_range_has(range, &address));
    ck_assert_int_eq(state_of(4), RANGE_COOLING);
    ck_assert_status(release(20), IPALLOC_OK);
    check_cooling(1, 1);
    ck_assert_int_eq(allocate(), IPALLOC_E_FULL);
    uint64_t end = end_of_rest(world.wall);
    ck_assert_uint_ge(end, world.wall + REST);
    world.wall = end - 1;
    ck_assert_int_eq(allocate(), IPALLOC_E_FULL);
    world.wall = end;
    ck_assert_int_eq(state_of(4), RANGE_FREE);
    check_cooling(0, 0);
    ck_assert_int_eq(allocate(), 20); /* the dynamic band first */
    ck_assert_int_eq(allocate(), 4);
    ck_assert_int_eq(allocate(), IPALLOC_E_FULL);
    destroy_range();
}
END_TEST

START_TEST(a_reserve_takes_a_cooling_address_unless_refused) {
    for (int refuse = 0; refuse < 2; refuse++) {
        make_range("10.0.0.0/27",
                   (ipalloc_range_options){.cool_down_ms = REST, .refuse_reserve_cooling = refuse});
        ck_assert_status(claim(3), IPALLOC_OK);
        ck_assert_status(release(3), IPALLOC_OK);
        ck_assert_status(claim(3), refuse ? IPALLOC_E_TAKEN : IPALLOC_OK);
        ck_assert_int_eq(state_of(3), refuse ? RANGE_COOLING : RANGE_HELD);
        world.wall = end_of_rest(world.wall);
        ck_assert_status(claim(3), refuse ? IPALLOC_OK : IPALLOC_E_TAKEN);
        destroy_range();
    }
}
END_TEST

START_TEST(a_full_range_reuses_the_longest_rested_if_asked) {
    make_range("10.0.0.0/27",
               (ipalloc_range_options){.cool_down_ms = REST, .reuse_cooling_when_full = true});
    fill();
    static const uint64_t RELEASED[] = {22, 9, 3, 17}, REUSED[] = {22, 3, 9, 17};
    static const uint64_t SINCE[] = {0, REST / 2, REST / 2 + 10,
                                     REST}; /* the 2nd and 3rd: equals */
    uint64_t start = world.wall;
    for (int i = 0; i < 4; i++) {
        world.wall = start + SINCE[i];
        ck_assert_status(release(RELEASED[i]), IPALLOC_OK);
    }
    range_offset got;
    uint64_t stamp;
    ck_assert_status(range_prove_full(range, &stamp), IPALLOC_E_FULL); /* cooling is not free */
    ck_assert_status(range_claim_any(range, RANGE_BAND_DYNAMIC, &got), IPALLOC_E_FULL);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(allocate(), (int)REUSED[i]);
    ck_assert_int_eq(allocate(), IPALLOC_E_FULL);
    ck_assert(range_still_full(range, stamp)); /* nothing was free in all that time */
    destroy_range();
}
END_TEST

START_TEST(a_full_range_without_cool_down_has_nothing_to_reuse) {
    static const char *const CIDRS[] = {"10.0.0.0/24", "fd00::/64"};
    for (int sparse = 0; sparse < 2; sparse++) {
        make_range(CIDRS[sparse], (ipalloc_range_options){.reuse_cooling_when_full = true});
        range_offset last = {range_usable_size(range) - 1};
        ck_assert_status(range_exclude(range, (range_offset){1}, last), IPALLOC_OK);
        ck_assert_int_eq(allocate(), 0);
        ck_assert_int_eq(allocate(), IPALLOC_E_FULL);
        destroy_range();
    }
}
END_TEST

START_TEST(a_cooling_address_can_be_claimed_by_name_whatever_else_cools) {
    make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = REST});
    ck_assert_status(claim(3), IPALLOC_OK);
    ck_assert_status(claim(20), IPALLOC_OK);
    ck_assert_status(release(3), IPALLOC_OK);
    world.wall += REST;
    ck_assert_status(range_claim_cooling(range, (range_offset){20}),
                     IPALLOC_E_NOT_FOUND); /* held */
    ck_assert_status(release(20), IPALLOC_OK);
    ck_assert_status(range_claim_cooling(range, (range_offset){20}), IPALLOC_OK);
    ck_assert_int_eq(state_of(20), RANGE_HELD);
    ck_assert_int_eq(state_of(3), RANGE_COOLING);
    ck_assert_status(range_claim_cooling(range, (range_offset){4}), IPALLOC_E_NOT_FOUND); /* free */
    world.wall += REST;
    ck_assert_status(range_claim_cooling(range, (range_offset){3}), IPALLOC_E_NOT_FOUND);
    ck_assert_int_eq(state_of(3), RANGE_FREE); /* its rest is over */
    destroy_range();
    make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = 0});
    ck_assert_status(claim(3), IPALLOC_OK);
    ck_assert_status(range_claim_cooling(range, (range_offset){3}), IPALLOC_E_NOT_FOUND);
    ck_assert_int_eq(state_of(3), RANGE_HELD);
    destroy_range();
}
END_TEST

/* Dense rests are rounded up, sparse ones are exact: at every phase of the clock. */
START_TEST(a_rest_is_as_long_as_the_header_says) {
    static const char *const CIDRS[] = {"10.0.0.0/24", "fd00::/64"};
    static const uint64_t RESTS[] = {1, 2, 3, 7, 10};
    uint64_t rest = RESTS[_i];
    for (int sparse = 0; sparse < 2; sparse++) {
        make_range(CIDRS[sparse], (ipalloc_range_options){.cool_down_ms = rest});
        for (uint64_t phase = 0; phase < 3 * rest; phase++) {
            world.wall += phase; /* the rest before ended with an epoch */
            ck_assert_status(claim(100), IPALLOC_OK);
            ck_assert_status(release(100), IPALLOC_OK);
            uint64_t released_at = world.wall;
            while (state_of(100) == RANGE_COOLING)
                world.wall++;
            ck_assert_int_eq(state_of(100), RANGE_FREE);
            uint64_t rested = world.wall - released_at;
            ck_assert_uint_ge(rested, rest);
            ck_assert_uint_le(rested, sparse ? rest : rest + rest / 2 + 2);
            ck_assert_uint_le(rested, range_rest_ms_max(rest));
        }
        destroy_range();
    }
    ck_assert_uint_eq(range_rest_ms_max(UINT64_MAX), UINT64_MAX);
}
END_TEST

/* Nobody has looked at the clock since the claim. */
START_TEST(a_release_after_a_long_silence_rests_its_full_time) {
    for (int undo = 0; undo < 2; undo++) {
        make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = REST});
        ck_assert_status(claim(20), IPALLOC_OK);
        world.wall += 10 * REST;
        uint64_t released_at = world.wall;
        ck_assert_status(undo ? range_unclaim(range, (range_offset){20}, released_at) : release(20),
                         IPALLOC_OK);
        world.wall = end_of_rest(released_at) - 1;
        ck_assert_int_eq(state_of(20), RANGE_COOLING);
        world.wall++;
        ck_assert_int_eq(state_of(20), RANGE_FREE);
        destroy_range();
    }
}
END_TEST

START_TEST(a_proof_of_full_ends_when_a_rest_does) {
    make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = REST});
    fill();
    ck_assert_status(release(20), IPALLOC_OK);
    uint64_t stamp;
    ck_assert_status(range_prove_full(range, &stamp), IPALLOC_E_FULL);
    uint64_t end = end_of_rest(world.wall);
    world.wall = end - 1;
    ck_assert(range_still_full(range, stamp));
    world.wall = end;
    ck_assert(!range_still_full(range, stamp));
    ck_assert_status(range_prove_full(range, &stamp), IPALLOC_OK);
    destroy_range();
}
END_TEST

START_TEST(an_undone_claim_cools_on) {
    make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = REST});
    ck_assert_status(claim(20), IPALLOC_OK);
    ck_assert_status(release(20), IPALLOC_OK);
    uint64_t released_at = world.wall;
    world.wall += REST / 2;
    ck_assert_status(claim(20), IPALLOC_OK);
    ck_assert_status(range_unclaim(range, (range_offset){20}, released_at), IPALLOC_OK);
    ck_assert_int_eq(state_of(20), RANGE_COOLING);
    world.wall = end_of_rest(released_at) - 1;
    ck_assert_int_eq(state_of(20), RANGE_COOLING);
    world.wall = end_of_rest(released_at);
    ck_assert_int_eq(state_of(20), RANGE_FREE);
    ck_assert_status(claim(20), IPALLOC_OK); /* it was free: so it is again */
    ck_assert_status(range_unclaim(range, (range_offset){20}, 0), IPALLOC_OK);
    ck_assert_int_eq(state_of(20), RANGE_FREE);
    ck_assert_status(range_unclaim(range, (range_offset){20}, 0), IPALLOC_E_NOT_FOUND);
    destroy_range();
}
END_TEST

START_TEST(rests_can_be_loaded) {
    make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = REST});
    ck_assert_status(range_restore_cooling(range, (range_offset){20}, world.wall - 400),
                     IPALLOC_OK);
    ck_assert_status(range_restore_cooling(range, (range_offset){20}, world.wall), IPALLOC_E_TAKEN);
    ck_assert_status(range_restore_cooling(range, (range_offset){21}, world.wall - 2 * REST),
                     IPALLOC_OK); /* long over */
    ck_assert_int_eq(state_of(20), RANGE_COOLING);
    ck_assert_int_eq(state_of(21), RANGE_FREE);
    world.wall = end_of_rest(1000000 - 400) - 1;
    ck_assert_int_eq(state_of(20), RANGE_COOLING);
    world.wall++;
    ck_assert_int_eq(state_of(20), RANGE_FREE);
    destroy_range();
    make_range("10.0.0.0/27", (ipalloc_range_options){.cool_down_ms = 0});
    ck_assert_status(range_restore_cooling(range, (range_offset){20}, world.wall), IPALLOC_OK);
    ck_assert_int_eq(state_of(20), RANGE_FREE); /* this range has no rests (any more) */
    ck_assert_status(claim(20), IPALLOC_OK);
    ck_assert_status(range_restore_cooling(range, (range_offset){20}, world.wall), IPALLOC_E_TAKEN);
    destroy_range();
}
END_TEST

START_TEST(oldest_freed_takes_the_unused_first_then_in_order_of_release) {
    make_range("10.0.0.0/28", (ipalloc_range_options){.strategy = IPALLOC_STRATEGY_OLDEST_FREED});
    ck_assert_int_eq(allocate(), 0);
    ck_assert_int_eq(allocate(), 1);
    ck_assert_status(release(0), IPALLOC_OK);
    for (int i = 2; i < 14; i++)
        ck_assert_int_eq(allocate(), i); /* 0 was used before */
    static const uint64_t RELEASED[] = {9, 2, 13};
    for (int i = 0; i < 3; i++)
        ck_assert_status(release(RELEASED[i]), IPALLOC_OK);
    ck_assert_int_eq(state_of(9), RANGE_FREE);
    ck_assert_status(release(9), IPALLOC_E_NOT_FOUND);
    ck_assert_int_eq(allocate(), 0);
    ck_assert_status(claim(2), IPALLOC_OK); /* by name, out of the middle of the line */
    ck_assert_int_eq(allocate(), 9);
    ck_assert_int_eq(allocate(), 13);
    ck_assert_int_eq(allocate(), IPALLOC_E_FULL);
    destroy_range();
}
END_TEST

/* Where no memory is left for the rest of an undone claim, the number is not lost with it. */
START_TEST(an_undone_claim_without_memory_is_free_at_once) {
    make_range("fd00::/64", (ipalloc_range_options){.cool_down_ms = REST});
    ck_assert_status(claim(500), IPALLOC_OK);
    world.memory.fail_from = 1;
    ck_assert_status(range_unclaim(range, (range_offset){500}, world.wall), IPALLOC_OK);
    world.memory.fail_from = 0;
    ck_assert_int_eq(state_of(500), RANGE_FREE);
    destroy_range();
}
END_TEST

/* DESIGN: 3.1 bits an address and 4 KiB with cool-down; range.h: 32 bytes and a bit in line. */
START_TEST(a_dense_range_takes_the_memory_that_the_header_says) {
    static const char *const CIDRS[] = {"10.0.0.0/24", "10.0.0.0/16", "10.0.0.0/12"};
    static const long SIZES[] = {1 << 8, 1 << 16, 1 << 20};
    for (uint32_t strategy = 0; strategy < 3; strategy++) {
        make_range(CIDRS[_i], (ipalloc_range_options){.cool_down_ms = REST, .strategy = strategy});
        bool in_line = strategy == IPALLOC_STRATEGY_OLDEST_FREED;
        long rests = in_line ? SIZES[_i] * 32 + SIZES[_i] / 8 : SIZES[_i] / 4;
        ck_assert_int_le(world.memory.bytes, SIZES[_i] / 8 * 11 / 10 + rests + 4096);
        long calls = world.memory.calls;
        for (int i = 0; i < 200; i++) {
            int got = allocate();
            ck_assert_int_ge(got, 0);
            ck_assert_status(release((uint64_t)got), IPALLOC_OK);
            world.wall += 7;
        }
        ck_assert_int_eq(world.memory.calls, calls);
        destroy_range();
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("range cooldown");
    TCase *tc = tcase_create("range cooldown");
    tcase_add_test(tc, a_released_address_cools_and_is_then_free);
    tcase_add_test(tc, a_reserve_takes_a_cooling_address_unless_refused);
    tcase_add_test(tc, a_full_range_reuses_the_longest_rested_if_asked);
    tcase_add_test(tc, a_full_range_without_cool_down_has_nothing_to_reuse);
    tcase_add_test(tc, a_cooling_address_can_be_claimed_by_name_whatever_else_cools);
    tcase_add_loop_test(tc, a_rest_is_as_long_as_the_header_says, 0, 5);
    tcase_add_test(tc, a_release_after_a_long_silence_rests_its_full_time);
    tcase_add_test(tc, a_proof_of_full_ends_when_a_rest_does);
    tcase_add_test(tc, an_undone_claim_cools_on);
    tcase_add_test(tc, rests_can_be_loaded);
    tcase_add_test(tc, oldest_freed_takes_the_unused_first_then_in_order_of_release);
    tcase_add_test(tc, an_undone_claim_without_memory_is_free_at_once);
    tcase_add_loop_test(tc, a_dense_range_takes_the_memory_that_the_header_says, 0, 3);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
