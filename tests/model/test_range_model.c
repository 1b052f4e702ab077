/*
 * test_range_model.c: ranges of many shapes against a naive model, 10^7 random operations by
 * default (TEST_SCALE stretches or shortens it).
 */
#include "range_model.h"

static const uint64_t OPERATIONS = 10000000;

#define RANDOM       IPALLOC_STRATEGY_RANDOM
#define LOWEST       IPALLOC_STRATEGY_LOWEST
#define OLDEST_FREED IPALLOC_STRATEGY_OLDEST_FREED

static const range_case SHAPES[] = {
    {.cidr = "10.0.0.0/30", .strategy = RANDOM},
    {.cidr = "10.0.0.0/28", .strategy = LOWEST},
    {.cidr = "10.0.0.0/27", .strategy = RANDOM},
    {.cidr = "10.0.0.0/24", .strategy = RANDOM},
    {.cidr = "10.0.0.0/24", .strategy = RANDOM, .use_all_addresses = true},
    {.cidr = "10.0.0.0/25", .strategy = LOWEST, .static_band_size = IPALLOC_NO_STATIC_BAND},
    {.cidr = "10.0.0.0/25", .strategy = RANDOM, .static_band_size = 1000},
    {.cidr = "fd00::/119", .strategy = RANDOM},
    {.port_first = 30000, .port_last = 30200, .strategy = RANDOM},
    {.port_first = 0, .port_last = 127, .strategy = LOWEST, .static_band_size = 70},
    {.cidr = "10.0.0.0/26", .strategy = RANDOM, .cool_down_ms = 500},
    {.cidr = "10.0.0.0/26",
     .strategy = LOWEST,
     .cool_down_ms = 900,
     .refuse_reserve_cooling = true},
    {.cidr = "10.0.0.0/25",
     .strategy = RANDOM,
     .cool_down_ms = 5000,
     .reuse_cooling_when_full = true},
    {.cidr = "10.0.0.0/24",
     .strategy = LOWEST,
     .use_all_addresses = true,
     .cool_down_ms = 801,
     .reuse_cooling_when_full = true},
    {.port_first = 30000, .port_last = 30099, .strategy = RANDOM, .cool_down_ms = 1},
    {.cidr = "10.0.0.0/26", .strategy = OLDEST_FREED},
    {.cidr = "fd00::/121", .strategy = OLDEST_FREED, .cool_down_ms = 700},
    {.cidr = "10.0.0.0/27",
     .strategy = OLDEST_FREED,
     .cool_down_ms = 3000,
     .reuse_cooling_when_full = true,
     .refuse_reserve_cooling = true},
    {.cidr = "fd00::/64", .strategy = RANDOM},
    {.cidr = "::/0", .strategy = RANDOM, .static_band_size = 100},
    {.cidr = "fd00::/64", .strategy = LOWEST},
    {.cidr = "fd00::/64", .strategy = RANDOM, .use_all_addresses = true, .cool_down_ms = 600},
    {.cidr = "0.0.0.0/4", .strategy = LOWEST, .cool_down_ms = 600, .reuse_cooling_when_full = true},
    {.cidr = "fd00::/48", .strategy = OLDEST_FREED},
    {.cidr = "fd00::/103", .strategy = OLDEST_FREED, .cool_down_ms = 400},
};

enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

START_TEST(a_range_does_what_the_naive_model_does) {
    range_model_run(&SHAPES[_i], test_seed() + (uint64_t)_i,
                    test_scaled(OPERATIONS) / SHAPE_COUNT + 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("range model");
    TCase *tc = tcase_create("range model");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, a_range_does_what_the_naive_model_does, 0, SHAPE_COUNT);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
