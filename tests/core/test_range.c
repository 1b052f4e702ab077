/*
 * test_range.c: what a range offers, its bands, every status of every call, snapshots, threads.
 */
#include "counted_memory.h"
#include "range_model.h"

#include "base/atomic.h"
#include "core/range_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

static ipalloc_range *range_with(const char *text, ipalloc_range_options options) {
    ipalloc_cidr from = cidr(text);
    ipalloc_range *range;
    ipalloc_error error;
    options.size = sizeof options;
    ck_assert_status_error(ipalloc_range_create(&from, &options, &range, &error), IPALLOC_OK,
                           &error);
    return range;
}

static ipalloc_range *range_of(const char *text) {
    return range_with(text, (ipalloc_range_options){0});
}

static ipalloc_range *ports(uint16_t first, uint16_t last) {
    ipalloc_range *range;
    ipalloc_error error;
    ck_assert_status_error(ipalloc_port_range_create(first, last, NULL, &range, &error), IPALLOC_OK,
                           &error);
    return range;
}

static ipalloc_range_stats stats_of(const ipalloc_range *range) {
    ipalloc_range_stats stats = {.size = sizeof stats};
    ck_assert_status(ipalloc_range_get_stats(range, &stats), IPALLOC_OK);
    return stats;
}

static int reserve(ipalloc_range *range, const char *text) {
    ipalloc_addr address = addr(text);
    return ipalloc_range_reserve(range, &address);
}

static int release(ipalloc_range *range, const char *text) {
    ipalloc_addr address = addr(text);
    return ipalloc_range_release(range, &address);
}

static bool has(ipalloc_range *range, const char *text) {
    ipalloc_addr address = addr(text);
    return ipalloc_range_has(range, &address);
}

static int exclude(ipalloc_range *range, const char *first, const char *last) {
    ipalloc_addr from = addr(first), to = addr(last);
    return ipalloc_range_exclude(range, &from, &to);
}

static int include(ipalloc_range *range, const char *first, const char *last) {
    ipalloc_addr from = addr(first), to = addr(last);
    return ipalloc_range_include(range, &from, &to);
}

static void destroy_valid(ipalloc_range *range) {
    ipalloc_error error;
    ck_assert_status_error(ipalloc_range_validate(range, &error), IPALLOC_OK, &error);
    ipalloc_range_destroy(range);
}

static void fill(ipalloc_range *range) {
    ipalloc_addr address;
    while (ipalloc_range_allocate(range, &address) == IPALLOC_OK)
        continue;
}

/* --- what is usable, and the bands -------------------------------------------------------------
 */

/* Kubernetes' table; NULL where there is no address. Where its two allocators differ, or one gives
 * up, the row says what the rule gives. */
static const struct {
    const char *cidr, *usable;
    uint64_t band;
    const char *first, *first_dynamic, *last;
} GEOMETRY[] = {
    {"10.0.0.0/32", "0", 0, NULL, NULL, NULL},
    {"10.0.0.0/31", "0", 0, NULL, NULL, NULL},
    {"10.0.0.0/30", "2", 0, "10.0.0.1", "10.0.0.1", "10.0.0.2"},
    {"10.0.0.0/29", "6", 0, "10.0.0.1", "10.0.0.1", "10.0.0.6"},
    {"10.0.0.0/28", "14", 0, "10.0.0.1", "10.0.0.1", "10.0.0.14"},
    {"10.0.0.0/27", "30", 16, "10.0.0.1", "10.0.0.17", "10.0.0.30"},
    {"10.0.0.0/26", "62", 16, "10.0.0.1", "10.0.0.17", "10.0.0.62"},
    {"10.0.0.0/25", "126", 16, "10.0.0.1", "10.0.0.17", "10.0.0.126"},
    {"10.0.0.0/24", "254", 16, "10.0.0.1", "10.0.0.17", "10.0.0.254"},
    {"10.0.0.0/23", "510", 32, "10.0.0.1", "10.0.0.33", "10.0.1.254"},
    {"10.0.0.0/22", "1022", 64, "10.0.0.1", "10.0.0.65", "10.0.3.254"},
    {"10.0.0.0/21", "2046", 128, "10.0.0.1", "10.0.0.129", "10.0.7.254"},
    {"10.0.0.0/20", "4094", 256, "10.0.0.1", "10.0.1.1", "10.0.15.254"},
    {"10.0.0.0/19", "8190", 256, "10.0.0.1", "10.0.1.1", "10.0.31.254"},
    {"10.0.0.0/18", "16382", 256, "10.0.0.1", "10.0.1.1", "10.0.63.254"},
    {"10.0.0.0/17", "32766", 256, "10.0.0.1", "10.0.1.1", "10.0.127.254"},
    {"10.0.0.0/16", "65534", 256, "10.0.0.1", "10.0.1.1", "10.0.255.254"},
    {"10.0.0.0/15", "131070", 256, "10.0.0.1", "10.0.1.1", "10.1.255.254"},
    {"10.0.0.0/14", "262142", 256, "10.0.0.1", "10.0.1.1", "10.3.255.254"},
    {"10.0.0.0/13", "524286", 256, "10.0.0.1", "10.0.1.1", "10.7.255.254"},
    {"10.0.0.0/12", "1048574", 256, "10.0.0.1", "10.0.1.1", "10.15.255.254"},
    {"10.0.0.0/8", "16777214", 256, "10.0.0.1", "10.0.1.1", "10.255.255.254"},
    {"0.0.0.0/1", "2147483646", 256, "0.0.0.1", "0.0.1.1", "127.255.255.254"},
    {"0.0.0.0/0", "4294967294", 256, "0.0.0.1", "0.0.1.1", "255.255.255.254"},
    {"255.255.255.255/32", "0", 0, NULL, NULL, NULL},
    {"fd00::/128", "0", 0, NULL, NULL, NULL},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "0", 0, NULL, NULL, NULL},
    {"fd00::/127", "1", 0, "fd00::1", "fd00::1", "fd00::1"},
    {"fd00::/126", "3", 0, "fd00::1", "fd00::1", "fd00::3"},
    {"fd00::/125", "7", 0, "fd00::1", "fd00::1", "fd00::7"},
    {"fd00::/124", "15", 0, "fd00::1", "fd00::1", "fd00::f"},
    {"fd00::/123", "31", 16, "fd00::1", "fd00::11", "fd00::1f"},
    {"fd00::/122", "63", 16, "fd00::1", "fd00::11", "fd00::3f"},
    {"fd00::/121", "127", 16, "fd00::1", "fd00::11", "fd00::7f"},
    {"fd00::/120", "255", 16, "fd00::1", "fd00::11", "fd00::ff"},
    {"fd00::/119", "511", 32, "fd00::1", "fd00::21", "fd00::1ff"},
    {"fd00::/118", "1023", 64, "fd00::1", "fd00::41", "fd00::3ff"},
    {"fd00::/117", "2047", 128, "fd00::1", "fd00::81", "fd00::7ff"},
    {"fd00::/116", "4095", 256, "fd00::1", "fd00::101", "fd00::fff"},
    {"fd00::/115", "8191", 256, "fd00::1", "fd00::101", "fd00::1fff"},
    {"fd00::/114", "16383", 256, "fd00::1", "fd00::101", "fd00::3fff"},
    {"fd00::/113", "32767", 256, "fd00::1", "fd00::101", "fd00::7fff"},
    {"fd00::/112", "65535", 256, "fd00::1", "fd00::101", "fd00::ffff"},
    {"fd00::/111", "131071", 256, "fd00::1", "fd00::101", "fd00::1:ffff"},
    {"fd00::/108", "1048575", 256, "fd00::1", "fd00::101", "fd00::f:ffff"},
    {"fd00::/104", "16777215", 256, "fd00::1", "fd00::101", "fd00::ff:ffff"},
    {"fd00::/103", "33554431", 256, "fd00::1", "fd00::101", "fd00::1ff:ffff"},
    {"fd00::/96", "4294967295", 256, "fd00::1", "fd00::101", "fd00::ffff:ffff"},
    {"fd00::/65", "9223372036854775807", 256, "fd00::1", "fd00::101", "fd00::7fff:ffff:ffff:ffff"},
    {"fd00::/64", "18446744073709551615", 256, "fd00::1", "fd00::101", "fd00::ffff:ffff:ffff:ffff"},
    {"fd00::/63", "36893488147419103231", 256, "fd00::1", "fd00::101",
     "fd00::1:ffff:ffff:ffff:ffff"},
    {"fd00::/12", "83076749736557242056487941267521535", 256, "fd00::1", "fd00::101",
     "fd0f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"::/0", "340282366920938463463374607431768211455", 256, "::1", "::101",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    /* the KEP's own examples and Kubernetes' unit test */
    {"192.168.0.0/16", "65534", 256, "192.168.0.1", "192.168.1.1", "192.168.255.254"},
    {"192.168.0.0/22", "1022", 64, "192.168.0.1", "192.168.0.65", "192.168.3.254"},
    {"192.168.0.0/26", "62", 16, "192.168.0.1", "192.168.0.17", "192.168.0.62"},
};

static void check_address(const ipalloc_addr *address, const char *expected) {
    ck_assert_str_eq(addr_text(address), expected != NULL ? expected : "invalid");
}

static void check_count(ipalloc_count count, const char *expected) {
    char text[IPALLOC_COUNT_TEXT];
    ipalloc_count_format(count, text);
    ck_assert_str_eq(text, expected);
}

START_TEST(usable_addresses_and_bands_follow_kubernetes) {
    ipalloc_range *range = range_of(GEOMETRY[_i].cidr);
    ipalloc_range_stats stats = stats_of(range);
    check_count(stats.total.size, GEOMETRY[_i].usable);
    check_count(stats.total.free, GEOMETRY[_i].usable);
    ck_assert_uint_eq(stats.static_band.size.low, GEOMETRY[_i].band);
    check_address(&stats.first, GEOMETRY[_i].first);
    check_address(&stats.first_dynamic, GEOMETRY[_i].first_dynamic);
    check_address(&stats.last, GEOMETRY[_i].last);
    destroy_valid(range);
}
END_TEST

/* The ends of every range: in it or not, whatever its length. */
START_TEST(the_ends_of_a_range_are_usable_or_not_in_range) {
    ipalloc_range *range = range_of(GEOMETRY[_i].cidr);
    ipalloc_addr network = cidr(GEOMETRY[_i].cidr).base, got;
    ck_assert_status(ipalloc_range_reserve(range, &network), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_release(range, &network), IPALLOC_E_NOT_IN_RANGE);
    ck_assert(!ipalloc_range_has(range, &network));
    if (GEOMETRY[_i].first == NULL) {
        ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_E_FULL);
    } else {
        ck_assert_status(reserve(range, GEOMETRY[_i].first), IPALLOC_OK);
        ck_assert(has(range, GEOMETRY[_i].first));
        if (strcmp(GEOMETRY[_i].first, GEOMETRY[_i].last) != 0)
            ck_assert_status(reserve(range, GEOMETRY[_i].last), IPALLOC_OK);
        ck_assert(has(range, GEOMETRY[_i].last));
    }
    destroy_valid(range);
}
END_TEST

static const struct {
    const char *cidr, *usable;
    uint64_t band;
    const char *first, *first_dynamic, *last;
} WHOLE[] = {
    {"10.0.0.0/32", "1", 0, "10.0.0.0", "10.0.0.0", "10.0.0.0"},
    {"10.0.0.0/31", "2", 0, "10.0.0.0", "10.0.0.0", "10.0.0.1"},
    {"10.0.0.0/24", "256", 16, "10.0.0.0", "10.0.0.16", "10.0.0.255"},
    {"10.0.0.0/8", "16777216", 256, "10.0.0.0", "10.0.1.0", "10.255.255.255"},
    {"0.0.0.0/0", "4294967296", 256, "0.0.0.0", "0.0.1.0", "255.255.255.255"},
    {"fd00::/128", "1", 0, "fd00::", "fd00::", "fd00::"},
    {"fd00::/64", "18446744073709551616", 256, "fd00::", "fd00::100", "fd00::ffff:ffff:ffff:ffff"},
    {"::/1", "170141183460469231731687303715884105728", 256, "::", "::100",
     "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

START_TEST(use_all_addresses_keeps_the_ends) {
    ipalloc_range *range =
        range_with(WHOLE[_i].cidr, (ipalloc_range_options){.use_all_addresses = true});
    ipalloc_range_stats stats = stats_of(range);
    check_count(stats.total.size, WHOLE[_i].usable);
    ck_assert_uint_eq(stats.static_band.size.low, WHOLE[_i].band);
    check_address(&stats.first, WHOLE[_i].first);
    check_address(&stats.first_dynamic, WHOLE[_i].first_dynamic);
    check_address(&stats.last, WHOLE[_i].last);
    ck_assert_status(reserve(range, WHOLE[_i].first), IPALLOC_OK);
    ck_assert(has(range, WHOLE[_i].first));
    destroy_valid(range);
}
END_TEST

/* KEP-3668 and Kubernetes' test rows; first port 30000. */
static const struct {
    uint16_t size, band;
} PORTS[] = {{2768, 86}, {10, 0},   {16, 0},    {17, 16},    {32, 16},    {128, 16},    {201, 16},
             {512, 16},  {544, 17}, {2048, 64}, {4096, 128}, {8192, 128}, {12768, 128}, {1, 0}};

START_TEST(port_bands_follow_kubernetes) {
    ipalloc_range *range = ports(30000, (uint16_t)(30000 + PORTS[_i].size - 1));
    ipalloc_range_stats stats = stats_of(range);
    ck_assert_uint_eq(stats.total.size.low, PORTS[_i].size);
    ck_assert_uint_eq(stats.static_band.size.low, PORTS[_i].band);
    ck_assert_uint_eq(stats.port_first, 30000);
    ck_assert_uint_eq(stats.port_first_dynamic, 30000 + PORTS[_i].band);
    ck_assert_uint_eq(stats.port_last, 30000 + PORTS[_i].size - 1);
    ck_assert_uint_eq(stats.first.family, 0);
    destroy_valid(range);
}
END_TEST

START_TEST(all_ports_can_be_one_range) {
    ipalloc_range *range = ports(0, 65535);
    ck_assert_uint_eq(stats_of(range).total.size.low, 65536);
    ck_assert_status(ipalloc_range_reserve_port(range, 0), IPALLOC_OK);
    ck_assert_status(ipalloc_range_reserve_port(range, 65535), IPALLOC_OK);
    uint16_t cursor = 0;
    bool started = false;
    ck_assert_status(ipalloc_range_next_port(range, &cursor, &started), IPALLOC_OK);
    ck_assert_uint_eq(cursor, 0);
    ck_assert_status(ipalloc_range_next_port(range, &cursor, &started), IPALLOC_OK);
    ck_assert_uint_eq(cursor, 65535);
    ck_assert_status(ipalloc_range_next_port(range, &cursor, &started), IPALLOC_E_NOT_FOUND);
    ck_assert_uint_eq(cursor, 65535);
    destroy_valid(range);
}
END_TEST

START_TEST(a_static_band_can_be_asked_for) {
    static const struct {
        uint64_t asked, got;
    } ROW[] = {{0, 16}, {1, 1}, {254, 254}, {255, 254}, {UINT64_MAX - 1, 254}, {UINT64_MAX, 0}};
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        ipalloc_range *range =
            range_with("10.0.0.0/24", (ipalloc_range_options){.static_band_size = ROW[i].asked});
        ipalloc_range_stats stats = stats_of(range);
        ck_assert_uint_eq(stats.static_band.size.low, ROW[i].got);
        ck_assert_uint_eq(stats.dynamic_band.size.low, 254 - ROW[i].got);
        ck_assert_int_eq(stats.first_dynamic.family, ROW[i].got == 254 ? 0 : 4);
        fill(range);
        check_count(stats_of(range).total.used, "254");
        destroy_valid(range);
    }
}
END_TEST

START_TEST(dynamic_picks_leave_the_static_band_until_the_upper_one_is_full) {
    for (uint32_t strategy = 0; strategy <= IPALLOC_STRATEGY_OLDEST_FREED; strategy++) {
        ipalloc_range *range =
            range_with("10.0.0.0/24", (ipalloc_range_options){.strategy = strategy});
        ipalloc_addr got, first_dynamic = addr("10.0.0.17");
        for (int i = 0; i < 238; i++) {
            ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_OK);
            ck_assert_int_ge(ipalloc_addr_compare(&got, &first_dynamic), 0);
        }
        for (int i = 0; i < 16; i++) {
            ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_OK);
            ck_assert_int_lt(ipalloc_addr_compare(&got, &first_dynamic), 0);
        }
        ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_E_FULL);
        destroy_valid(range);
    }
}
END_TEST

START_TEST(lowest_gives_the_lowest_of_the_dynamic_band) {
    ipalloc_range *range =
        range_with("10.0.0.0/24", (ipalloc_range_options){.strategy = IPALLOC_STRATEGY_LOWEST});
    ipalloc_addr got;
    for (int i = 0; i < 5; i++)
        ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_OK);
    ck_assert_str_eq(addr_text(&got), "10.0.0.21");
    ck_assert_status(release(range, "10.0.0.18"), IPALLOC_OK);
    ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_OK);
    ck_assert_str_eq(addr_text(&got), "10.0.0.18");
    destroy_valid(range);
}
END_TEST

START_TEST(random_reaches_every_address) {
    ipalloc_range *range = range_of("10.0.0.0/26");
    int seen[64] = {0};
    for (int i = 0; i < 20000; i++) {
        ipalloc_addr got;
        ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_OK);
        seen[got.bytes[3]]++;
        ck_assert_status(ipalloc_range_release(range, &got), IPALLOC_OK);
    }
    for (int i = 17; i <= 62; i++) /* 435 expected each */
        ck_assert_int_gt(seen[i], 250);
    destroy_valid(range);
}
END_TEST

/* --- statuses ----------------------------------------------------------------------------------
 */

START_TEST(creation_refuses_bad_input) {
    ipalloc_cidr good = cidr("10.0.0.0/24"), bad = good;
    ipalloc_range *range = NULL;
    ipalloc_error error;
    ck_assert_status(ipalloc_range_create(NULL, NULL, &range, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_create(&good, NULL, NULL, &error), IPALLOC_E_INVALID);
    bad.base.bytes[3] = 1;
    ck_assert_status(ipalloc_range_create(&bad, NULL, &range, &error), IPALLOC_E_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "10.0.0.1/24"));
    bad = good;
    bad.prefix_length = 33;
    ck_assert_status(ipalloc_range_create(&bad, NULL, &range, &error), IPALLOC_E_INVALID);
    bad = good;
    bad.base.family = 5;
    ck_assert_status(ipalloc_range_create(&bad, NULL, &range, &error), IPALLOC_E_INVALID);
    bad = cidr("::/128");
    bad.prefix_length = 129;
    ck_assert_status(ipalloc_range_create(&bad, NULL, &range, &error), IPALLOC_E_INVALID);
    ipalloc_range_options options = {.size = 0};
    ck_assert_status(ipalloc_range_create(&good, &options, &range, &error), IPALLOC_E_INVALID);
    options = (ipalloc_range_options){.size = sizeof options, .strategy = 3};
    ck_assert_status(ipalloc_range_create(&good, &options, &range, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_port_range_create(1, 2, &options, &range, &error), IPALLOC_E_INVALID);
    options = (ipalloc_range_options){.size = sizeof options, .use_all_addresses = true};
    bad = cidr("::/0");
    ck_assert_status(ipalloc_range_create(&bad, &options, &range, &error), IPALLOC_E_INVALID);
    ipalloc_hooks hooks = {.size = sizeof hooks, .deallocate = counted_deallocate};
    options = (ipalloc_range_options){.size = sizeof options, .hooks = &hooks};
    ck_assert_status(ipalloc_range_create(&good, &options, &range, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_port_range_create(2, 1, NULL, &range, &error), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_port_range_create(1, 2, NULL, NULL, &error), IPALLOC_E_INVALID);
    ck_assert_ptr_null(range);
    ipalloc_range_destroy(NULL);
}
END_TEST

START_TEST(options_of_an_older_program_read_as_zero_beyond_their_size) {
    ipalloc_range_options options;
    memset(&options, 0xff, sizeof options);
    options.size = offsetof(ipalloc_range_options, strategy);
    options.hooks = NULL;
    options.static_band_size = 3;
    ipalloc_cidr from = cidr("10.0.0.0/24");
    ipalloc_range *range;
    ck_assert_status(ipalloc_range_create(&from, &options, &range, NULL), IPALLOC_OK);
    ck_assert_uint_eq(stats_of(range).static_band.size.low, 3);
    destroy_valid(range);
}
END_TEST

/* The same life for a range that is lock-free, one that cools, one in line, and a sparse one. */
static const struct {
    const char *cidr, *one, *other, *first, *last, *outside, *network;
    ipalloc_range_options options;
} LIVES[] = {
    {"10.0.0.0/24", "10.0.0.5", "10.0.0.99", "10.0.0.1", "10.0.0.254", "10.0.1.0", "10.0.0.0", {0}},
    {"10.0.0.0/24",
     "10.0.0.5",
     "10.0.0.99",
     "10.0.0.1",
     "10.0.0.254",
     "9.255.255.255",
     "10.0.0.0",
     {.cool_down_ms = 100000}},
    {"10.0.0.0/24",
     "10.0.0.5",
     "10.0.0.99",
     "10.0.0.1",
     "10.0.0.254",
     "10.0.0.255",
     "10.0.0.0",
     {.strategy = IPALLOC_STRATEGY_OLDEST_FREED}},
    {"fd00::/64",
     "fd00::5",
     "fd00::1:2:3:4",
     "fd00::1",
     "fd00::ffff:ffff:ffff:ffff",
     "fd00:0:0:1::",
     "fd00::",
     {0}},
    {"fd00::/64",
     "fd00::5",
     "fd00::1:2:3:4",
     "fd00::1",
     "fd00::ffff:ffff:ffff:ffff",
     "fcff:ffff::",
     "fd00::",
     {.cool_down_ms = 100000}},
    {"0.0.0.0/0",
     "0.0.0.5",
     "9.9.9.9",
     "0.0.0.1",
     "255.255.255.254",
     "255.255.255.255",
     "0.0.0.0",
     {.strategy = IPALLOC_STRATEGY_LOWEST}},
};

START_TEST(reserve_release_and_has_answer_every_status) {
    ipalloc_range *range = range_with(LIVES[_i].cidr, LIVES[_i].options);
    const char *one = LIVES[_i].one;
    ck_assert(!has(range, one));
    ck_assert_status(release(range, one), IPALLOC_E_NOT_FOUND);
    ck_assert_status(reserve(range, one), IPALLOC_OK);
    ck_assert(has(range, one));
    ck_assert_status(reserve(range, one), IPALLOC_E_TAKEN);
    ck_assert(has(range, one));
    ck_assert_status(release(range, one), IPALLOC_OK);
    ck_assert(!has(range, one));
    ck_assert_status(release(range, one), IPALLOC_E_NOT_FOUND); /* free, cooling or in line */
    ck_assert_status(reserve(range, one), IPALLOC_OK);          /* a cooling one is given too */
    ck_assert(has(range, one));
    ck_assert_status(reserve(range, LIVES[_i].network), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(reserve(range, LIVES[_i].outside), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(release(range, LIVES[_i].outside), IPALLOC_E_NOT_IN_RANGE);
    ck_assert(!has(range, LIVES[_i].outside));
    ck_assert_status(reserve(range, "2001:db8::1"), IPALLOC_E_NOT_IN_RANGE);
    ipalloc_addr none = {0}, strange = {.family = 7};
    ck_assert_status(ipalloc_range_reserve(range, &none), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_release(range, &strange), IPALLOC_E_NOT_IN_RANGE);
    check_count(stats_of(range).total.used, "1");
    destroy_valid(range);
}
END_TEST

START_TEST(null_is_invalid) {
    ipalloc_range *range = range_of("10.0.0.0/24");
    ipalloc_addr address = addr("10.0.0.1");
    size_t length;
    bool started = false;
    uint16_t port = 0;
    ck_assert_status(ipalloc_range_allocate(NULL, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate(range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_reserve(NULL, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_reserve(range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_release(NULL, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_release(range, NULL), IPALLOC_E_INVALID);
    ck_assert(!ipalloc_range_has(NULL, &address) && !ipalloc_range_has(range, NULL));
    ck_assert_status(ipalloc_range_exclude(NULL, &address, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_exclude(range, NULL, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_exclude(range, &address, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_include(NULL, &address, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_next(NULL, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_next(range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_next_port(NULL, &port, &started), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_snapshot(NULL, NULL, 0, &length), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_snapshot(range, NULL, 0, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_restore(NULL, NULL, 0), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_restore(range, NULL, 1), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_validate(NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_get_stats(range, NULL), IPALLOC_E_INVALID);
    destroy_valid(range);
}
END_TEST

START_TEST(addresses_and_ports_do_not_mix) {
    ipalloc_range *addresses = range_of("10.0.0.0/24"), *port_range = ports(1, 100);
    ipalloc_addr address = addr("10.0.0.1");
    uint16_t port = 1;
    bool started = false;
    ck_assert_status(ipalloc_range_allocate_port(addresses, &port), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_port(NULL, &port), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_port(port_range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_reserve_port(addresses, 1), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_release_port(addresses, 1), IPALLOC_E_INVALID);
    ck_assert(!ipalloc_range_has_port(addresses, 1));
    ck_assert_status(ipalloc_range_next_port(addresses, &port, &started), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate(port_range, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_reserve(port_range, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_release(port_range, &address), IPALLOC_E_INVALID);
    ck_assert(!ipalloc_range_has(port_range, &address));
    ck_assert_status(ipalloc_range_exclude(port_range, &address, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_include(port_range, &address, &address), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_next(port_range, &address), IPALLOC_E_INVALID);
    range_offset offset;
    ck_assert_status(range_offset_of(port_range, &address, &offset), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(range_offset_of_port(addresses, 1, &offset), IPALLOC_E_NOT_IN_RANGE);
    destroy_valid(addresses);
    destroy_valid(port_range);
}
END_TEST

START_TEST(ports_live_like_addresses) {
    ipalloc_range *range = ports(30000, 30015);
    ck_assert_status(ipalloc_range_reserve_port(range, 29999), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_reserve_port(range, 30016), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_release_port(range, 30016), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_release_port(range, 30003), IPALLOC_E_NOT_FOUND);
    ck_assert_status(ipalloc_range_reserve_port(range, 30003), IPALLOC_OK);
    ck_assert_status(ipalloc_range_reserve_port(range, 30003), IPALLOC_E_TAKEN);
    ck_assert(ipalloc_range_has_port(range, 30003));
    uint16_t port;
    for (int i = 0; i < 15; i++) {
        ck_assert_status(ipalloc_range_allocate_port(range, &port), IPALLOC_OK);
        ck_assert_uint_ge(port, 30000);
        ck_assert_uint_le(port, 30015);
    }
    ck_assert_status(ipalloc_range_allocate_port(range, &port), IPALLOC_E_FULL);
    ck_assert_status(ipalloc_range_release_port(range, 30003), IPALLOC_OK);
    ck_assert(!ipalloc_range_has_port(range, 30003));
    ck_assert_status(ipalloc_range_allocate_port(range, &port), IPALLOC_OK);
    ck_assert_uint_eq(port, 30003);
    destroy_valid(range);
}
END_TEST

START_TEST(stats_respect_the_size_that_the_program_knows) {
    ipalloc_range *range = range_of("10.0.0.0/24");
    ipalloc_range_stats stats;
    memset(&stats, 0x5a, sizeof stats);
    stats.size = 0;
    ck_assert_status(ipalloc_range_get_stats(range, &stats), IPALLOC_E_INVALID);
    stats.size = offsetof(ipalloc_range_stats, total);
    ck_assert_status(ipalloc_range_get_stats(range, &stats), IPALLOC_OK);
    ck_assert_uint_eq(stats.dynamic_band.size.low, 238);
    ck_assert_uint_eq(stats.total.size.low, 0x5a5a5a5a5a5a5a5a);
    ck_assert_uint_eq(stats.size, offsetof(ipalloc_range_stats, total));
    destroy_valid(range);
}
END_TEST

/* --- exclusions --------------------------------------------------------------------------------
 */

START_TEST(an_excluded_address_is_never_given_out) {
    ipalloc_range *range = range_with(LIVES[_i].cidr, LIVES[_i].options);
    const char *one = LIVES[_i].one, *other = LIVES[_i].other;
    ck_assert_status(exclude(range, one, one), IPALLOC_OK);
    ck_assert_status(exclude(range, one, one), IPALLOC_OK);
    ck_assert_status(reserve(range, one), IPALLOC_E_TAKEN);
    ck_assert_status(release(range, one), IPALLOC_E_NOT_FOUND);
    ck_assert(!has(range, one));
    check_count(stats_of(range).total.excluded, "1");
    ck_assert_status(reserve(range, other), IPALLOC_OK);
    ck_assert_status(exclude(range, one, other), IPALLOC_E_TAKEN); /* all or nothing */
    check_count(stats_of(range).total.excluded, "1");
    ck_assert_status(release(range, other), IPALLOC_OK);
    ck_assert_status(exclude(range, one, other), IPALLOC_OK); /* free, cooling or in line */
    ck_assert_status(include(range, LIVES[_i].first, one), IPALLOC_E_NOT_FOUND);
    ck_assert_status(include(range, other, LIVES[_i].last), IPALLOC_E_NOT_FOUND);
    ck_assert_status(include(range, one, other), IPALLOC_OK);
    check_count(stats_of(range).total.excluded, "0");
    ck_assert_status(reserve(range, one), IPALLOC_OK);
    ck_assert_status(include(range, one, one), IPALLOC_E_NOT_FOUND);
    ck_assert_status(exclude(range, other, one), IPALLOC_E_INVALID);
    ck_assert_status(include(range, other, one), IPALLOC_E_INVALID);
    ck_assert_status(exclude(range, LIVES[_i].network, one), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(exclude(range, LIVES[_i].outside, LIVES[_i].outside), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(include(range, LIVES[_i].network, one), IPALLOC_E_NOT_IN_RANGE);
    destroy_valid(range);
}
END_TEST

START_TEST(a_range_that_is_excluded_whole_is_full) {
    ipalloc_range *range = range_with(LIVES[_i].cidr, LIVES[_i].options);
    ipalloc_addr got;
    ck_assert_status(exclude(range, LIVES[_i].first, LIVES[_i].last), IPALLOC_OK);
    ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_E_FULL);
    ipalloc_range_stats stats = stats_of(range);
    ck_assert_mem_eq(&stats.total.excluded, &stats.total.size, sizeof stats.total.size);
    check_count(stats.total.free, "0");
    ck_assert_status(include(range, LIVES[_i].other, LIVES[_i].other), IPALLOC_OK);
    ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_OK);
    ck_assert_str_eq(addr_text(&got), LIVES[_i].other);
    ck_assert_status(ipalloc_range_allocate(range, &got), IPALLOC_E_FULL);
    size_t length;
    ipalloc_addr cursor = {0};
    ck_assert_status(ipalloc_range_next(range, &cursor), IPALLOC_OK);
    ck_assert_status(ipalloc_range_next(range, &cursor), IPALLOC_E_NOT_FOUND);
    ck_assert_status(ipalloc_range_release(range, &got), IPALLOC_OK);
    ck_assert_status(ipalloc_range_snapshot(range, NULL, 0, &length), IPALLOC_OK);
    ck_assert_uint_eq(length, 0);
    destroy_valid(range);
}
END_TEST

START_TEST(exclusions_are_counted_in_their_band) {
    ipalloc_range *range = range_of("10.0.0.0/24");
    ck_assert_status(exclude(range, "10.0.0.10", "10.0.0.20"), IPALLOC_OK);
    ck_assert_status(exclude(range, "10.0.0.15", "10.0.0.30"), IPALLOC_OK);
    ipalloc_range_stats stats = stats_of(range);
    check_count(stats.static_band.excluded, "7");
    check_count(stats.dynamic_band.excluded, "14");
    check_count(stats.static_band.free, "9");
    check_count(stats.dynamic_band.free, "224");
    ck_assert_status(include(range, "10.0.0.16", "10.0.0.17"), IPALLOC_OK);
    stats = stats_of(range);
    check_count(stats.static_band.excluded, "6");
    check_count(stats.dynamic_band.excluded, "13");
    destroy_valid(range);
}
END_TEST

/* --- the walk ----------------------------------------------------------------------------------
 */

START_TEST(a_cursor_need_not_be_in_the_range) {
    ipalloc_range *range = range_of("10.0.0.0/24");
    ck_assert_status(reserve(range, "10.0.0.1"), IPALLOC_OK);
    ck_assert_status(reserve(range, "10.0.0.254"), IPALLOC_OK);
    static const struct {
        const char *from, *to;
    } STEPS[] = {
        {"0.0.0.0", "10.0.0.1"},
        {"9.255.255.255", "10.0.0.1"},
        {"10.0.0.0", "10.0.0.1"},
        {"10.0.0.1", "10.0.0.254"},
        {"10.0.0.7", "10.0.0.254"},
        {"10.0.0.253", "10.0.0.254"},
        {"10.0.0.254", NULL},
        {"10.0.0.255", NULL},
        {"10.0.1.0", NULL},
        {"255.255.255.255", NULL},
        {"::", NULL},
        {"fd00::1", NULL},
    };
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        ipalloc_addr cursor = addr(STEPS[i].from);
        ck_assert_status(ipalloc_range_next(range, &cursor),
                         STEPS[i].to != NULL ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
        check_address(&cursor, STEPS[i].to != NULL ? STEPS[i].to : STEPS[i].from);
    }
    destroy_valid(range);
    range = range_of("fd00::/64");
    ck_assert_status(reserve(range, "fd00::1"), IPALLOC_OK);
    ipalloc_addr cursor = addr("255.255.255.255"); /* all of IPv4 comes before IPv6 */
    ck_assert_status(ipalloc_range_next(range, &cursor), IPALLOC_OK);
    check_address(&cursor, "fd00::1");
    destroy_valid(range);
    range = range_of("10.0.0.0/32");
    cursor = (ipalloc_addr){0};
    ck_assert_status(ipalloc_range_next(range, &cursor), IPALLOC_E_NOT_FOUND);
    destroy_valid(range);
    range = ports(100, 200);
    ck_assert_status(ipalloc_range_reserve_port(range, 100), IPALLOC_OK);
    uint16_t port = 99;
    bool started = true;
    ck_assert_status(ipalloc_range_next_port(range, &port, &started), IPALLOC_OK);
    ck_assert_uint_eq(port, 100);
    ck_assert_status(ipalloc_range_next_port(range, &port, &started), IPALLOC_E_NOT_FOUND);
    port = 201;
    ck_assert_status(ipalloc_range_next_port(range, &port, &started), IPALLOC_E_NOT_FOUND);
    destroy_valid(range);
}
END_TEST

START_TEST(a_walk_goes_on_over_changes) {
    ipalloc_range *range = range_with(LIVES[_i].cidr, LIVES[_i].options);
    ck_assert_status(reserve(range, LIVES[_i].first), IPALLOC_OK);
    ck_assert_status(reserve(range, LIVES[_i].other), IPALLOC_OK);
    ipalloc_addr cursor = {0};
    ck_assert_status(ipalloc_range_next(range, &cursor), IPALLOC_OK);
    check_address(&cursor, LIVES[_i].first);
    ck_assert_status(ipalloc_range_release(range, &cursor), IPALLOC_OK); /* where we stand */
    ck_assert_status(reserve(range, LIVES[_i].one), IPALLOC_OK);         /* ahead of us */
    ck_assert_status(release(range, LIVES[_i].other), IPALLOC_OK);
    ck_assert_status(ipalloc_range_next(range, &cursor), IPALLOC_OK);
    check_address(&cursor, LIVES[_i].one);
    ck_assert_status(ipalloc_range_next(range, &cursor), IPALLOC_E_NOT_FOUND);
    destroy_valid(range);
}
END_TEST

/* --- snapshots ---------------------------------------------------------------------------------
 */

/* Kubernetes' bytes: the big-endian magnitude of the sum of 2^i. */
static const struct {
    const char *hex;
    int held[4]; /* -1 ends */
} SNAPSHOTS[] = {
    {"", {-1}},
    {"01", {0, -1}},
    {"08", {3, -1}},
    {"0201", {0, 9, -1}},
    {"8000000000000201", {0, 9, 63}},
    {"1000000000000008", {3, 60, -1}},
    {"80", {7, -1}},
    {"0100", {8, -1}},
    {"010000000000000000", {64, -1}},
};

static size_t unhex(const char *hex, uint8_t *out) {
    size_t length = strlen(hex) / 2;
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return length;
}

START_TEST(a_snapshot_has_kubernetes_bytes_and_restores) {
    uint8_t expected[32], got[32];
    size_t expected_length = unhex(SNAPSHOTS[_i].hex, expected), length = 99;
    static const char *const CIDRS[] = {"10.0.0.0/25", "fd00::/64", "fd00::/108"};
    for (int shape = 0; shape < 3; shape++) {
        ipalloc_range *range = range_of(CIDRS[shape]);
        int count = _i == 4 ? 3 : 4;
        for (int i = 0; i < count && SNAPSHOTS[_i].held[i] >= 0; i++)
            ck_assert_status(range_claim(range, (range_offset){(u128)SNAPSHOTS[_i].held[i]}),
                             IPALLOC_OK);
        ck_assert_status(ipalloc_range_snapshot(range, NULL, 0, &length), IPALLOC_OK);
        ck_assert_uint_eq(length, expected_length);
        memset(got, 0x5a, sizeof got);
        if (expected_length > 0) {
            ck_assert_status(ipalloc_range_snapshot(range, got, expected_length - 1, &length),
                             IPALLOC_E_NOMEM);
            ck_assert_uint_eq(length, expected_length);
            ck_assert_uint_eq(got[0], 0x5a);
        }
        ck_assert_status(ipalloc_range_snapshot(range, got, sizeof got, &length), IPALLOC_OK);
        ck_assert_uint_eq(length, expected_length);
        ck_assert_mem_eq(got, expected, length);
        ck_assert_uint_eq(got[length], 0x5a);
        ck_assert_status(ipalloc_range_restore(range, got, length),
                         expected_length > 0 ? IPALLOC_E_BUSY : IPALLOC_OK);
        ipalloc_range *again = range_of(CIDRS[shape]);
        ck_assert_status(ipalloc_range_restore(again, got, length), IPALLOC_OK);
        ipalloc_range_stats before = stats_of(range), after = stats_of(again);
        ck_assert_mem_eq(&before, &after, sizeof before);
        destroy_valid(again);
        destroy_valid(range);
    }
}
END_TEST

START_TEST(node_ports_snapshot_as_seen_in_etcd) {
    ipalloc_range *range = ports(30000, 30015);
    ck_assert_status(ipalloc_range_reserve_port(range, 30000), IPALLOC_OK);
    ck_assert_status(ipalloc_range_reserve_port(range, 30009), IPALLOC_OK);
    ck_assert_status(ipalloc_range_reserve_port(range, 30015), IPALLOC_OK);
    uint8_t got[2];
    size_t length;
    ck_assert_status(ipalloc_range_snapshot(range, got, sizeof got, &length), IPALLOC_OK);
    ck_assert_uint_eq(length, 2);
    ck_assert_uint_eq(got[0], 0x82);
    ck_assert_uint_eq(got[1], 0x01);
    destroy_valid(range);
}
END_TEST

START_TEST(a_snapshot_that_does_not_fit_is_corrupt_and_changes_nothing) {
    static const struct {
        const char *hex;
        int status;
    } ROW[] = {
        {"4000000000000001", IPALLOC_E_CORRUPT},   /* bit 62 of 62 usable */
        {"8000000000000000", IPALLOC_E_CORRUPT},   /* bit 63 */
        {"2000000000000000", IPALLOC_OK},          /* bit 61, the last */
        {"000000000000000001", IPALLOC_E_CORRUPT}, /* too long, though zero */
        {"010000000000000000", IPALLOC_E_CORRUPT},
        {"0000000000000001", IPALLOC_OK}, /* zeros that fit */
        {"10", IPALLOC_E_CORRUPT},        /* bit 4 is excluded */
        {"11", IPALLOC_E_CORRUPT},
        {"ef", IPALLOC_OK},
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        ipalloc_range *range = range_of("10.0.0.0/26");
        ck_assert_status(exclude(range, "10.0.0.5", "10.0.0.5"), IPALLOC_OK);
        uint8_t bytes[16];
        size_t length = unhex(ROW[i].hex, bytes);
        ck_assert_status(ipalloc_range_restore(range, bytes, length), ROW[i].status);
        if (ROW[i].status != IPALLOC_OK)
            check_count(stats_of(range).total.used, "0");
        destroy_valid(range);
    }
    ipalloc_range *nothing = range_of("10.0.0.0/32");
    ck_assert_status(ipalloc_range_restore(nothing, NULL, 0), IPALLOC_OK);
    ck_assert_status(ipalloc_range_restore(nothing, (const uint8_t[]){0}, 1), IPALLOC_E_CORRUPT);
    destroy_valid(nothing);
}
END_TEST

START_TEST(a_snapshot_larger_than_an_ipv4_internet_is_refused) {
    ipalloc_range *range = range_of("fd00::/64");
    ck_assert_status(range_claim(range, (range_offset){((u128)1 << 32) - 1}), IPALLOC_OK);
    size_t length;
    ck_assert_status(ipalloc_range_snapshot(range, NULL, 0, &length), IPALLOC_OK);
    ck_assert_uint_eq(length, IPALLOC_SNAPSHOT_BYTES_MAX);
    ck_assert_status(range_claim(range, (range_offset){(u128)1 << 32}), IPALLOC_OK);
    ck_assert_status(ipalloc_range_snapshot(range, NULL, 0, &length), IPALLOC_E_INVALID);
    destroy_valid(range);
}
END_TEST

START_TEST(what_cools_is_not_in_a_snapshot_and_refuses_a_restore) {
    ipalloc_range *range =
        range_with("10.0.0.0/24", (ipalloc_range_options){.cool_down_ms = 100000});
    ck_assert_status(reserve(range, "10.0.0.200"), IPALLOC_OK);
    ck_assert_status(release(range, "10.0.0.200"), IPALLOC_OK);
    size_t length;
    ck_assert_status(ipalloc_range_snapshot(range, NULL, 0, &length), IPALLOC_OK);
    ck_assert_uint_eq(length, 0);
    ck_assert_status(ipalloc_range_restore(range, (const uint8_t[]){1}, 1), IPALLOC_E_BUSY);
    destroy_valid(range);
}
END_TEST

/* --- proofs of FULL ----------------------------------------------------------------------------
 */

START_TEST(a_stamp_of_full_ends_with_the_first_release) {
    ipalloc_range *range =
        range_with("10.0.0.0/28", (ipalloc_range_options){.strategy = (uint32_t)_i});
    uint64_t stamp, later;
    ck_assert_status(range_prove_full(range, &stamp), IPALLOC_OK);
    fill(range);
    ck_assert_status(range_prove_full(range, &stamp), IPALLOC_E_FULL);
    ck_assert(range_still_full(range, stamp));
    ck_assert_status(release(range, "10.0.0.3"), IPALLOC_OK);
    ck_assert(!range_still_full(range, stamp));
    ck_assert_status(reserve(range, "10.0.0.3"), IPALLOC_OK);
    ck_assert(!range_still_full(range, stamp)); /* full again, but not without interruption */
    ck_assert_status(range_prove_full(range, &later), IPALLOC_E_FULL);
    ck_assert(range_still_full(range, later));
    destroy_valid(range);
}
END_TEST

/* --- memory ------------------------------------------------------------------------------------
 */

static void use_everything(ipalloc_range *range) {
    ipalloc_addr got, cursor = {0};
    ipalloc_range_stats stats = {.size = sizeof stats};
    uint8_t bytes[64];
    size_t length;
    uint64_t stamp;
    fill(range);
    range_prove_full(range, &stamp);
    ipalloc_range_snapshot(range, bytes, sizeof bytes, &length);
    while (ipalloc_range_next(range, &cursor) == IPALLOC_OK)
        ipalloc_range_release(range, &cursor);
    ipalloc_range_restore(range, bytes, length);
    ipalloc_range_get_stats(range, &stats);
    ipalloc_range_allocate(range, &got);
    ipalloc_range_has(range, &got);
    ipalloc_range_validate(range, NULL);
}

START_TEST(a_dense_range_allocates_nothing_after_creation) {
    counted_memory memory = {0};
    ipalloc_hooks hooks = counted_hooks(&memory);
    for (uint32_t strategy = 0; strategy < 3; strategy++) {
        for (uint64_t rest = 0; rest < 2; rest++) {
            ipalloc_range *range =
                range_with("10.0.0.0/24", (ipalloc_range_options){.hooks = &hooks,
                                                                  .strategy = strategy,
                                                                  .cool_down_ms = rest * 1000});
            long calls = memory.calls;
            use_everything(range);
            ck_assert_int_eq(memory.calls, calls);
            ipalloc_range_destroy(range);
            ck_assert_int_eq(memory.live, 0);
        }
    }
}
END_TEST

START_TEST(a_dense_range_takes_little_memory) {
    counted_memory memory = {0};
    ipalloc_hooks hooks = counted_hooks(&memory);
    ipalloc_range *range = range_with("10.0.0.0/24", (ipalloc_range_options){.hooks = &hooks});
    ck_assert_int_le(memory.bytes, 256 / 8 + 4096);
    ipalloc_range_destroy(range);
    range = range_with("10.0.0.0/12", (ipalloc_range_options){.hooks = &hooks});
    ck_assert_int_le(memory.bytes, (1 << 20) / 8 * 11 / 10 + 4096);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(creation_without_memory_leaves_nothing_behind) {
    static const ipalloc_range_options SHAPES[] = {
        {0}, {.cool_down_ms = 5}, {.strategy = IPALLOC_STRATEGY_OLDEST_FREED, .cool_down_ms = 5}};
    static const char *const CIDRS[] = {"10.0.0.0/24", "fd00::/64"};
    for (int shape = 0; shape < 6; shape++) {
        counted_memory memory = {0};
        ipalloc_hooks hooks = counted_hooks(&memory);
        ipalloc_range_options options = SHAPES[shape % 3];
        options.size = sizeof options;
        options.hooks = &hooks;
        ipalloc_cidr from = cidr(CIDRS[shape / 3]);
        ipalloc_range *range = NULL;
        int status = IPALLOC_E_NOMEM;
        for (memory.fail_from = 1; status != IPALLOC_OK; memory.fail_from++) {
            memory.calls = 0;
            ck_assert_int_lt(memory.fail_from, 20);
            status = ipalloc_range_create(&from, &options, &range, NULL);
            if (status == IPALLOC_OK)
                break;
            ck_assert_status(status, IPALLOC_E_NOMEM);
            ck_assert_int_eq(memory.live, 0);
            ck_assert_ptr_null(range);
        }
        ck_assert_int_gt(memory.fail_from, 2);
        ipalloc_range_destroy(range);
        ck_assert_int_eq(memory.live, 0);
    }
}
END_TEST

static void snapshot_everything(ipalloc_range *range, ipalloc_range_stats *stats, uint8_t *bytes,
                                size_t *length) {
    *stats = stats_of(range);
    ck_assert_status(ipalloc_range_snapshot(range, bytes, 64, length), IPALLOC_OK);
}

/* Every call that may need memory, with every one of its allocations failing in turn. */
static int one_call(ipalloc_range *range, int which) {
    static const uint8_t BYTES[] = {0xff, 0, 0xff};
    static const range_offset FIRST = {140}, LAST = {150};
    range_offset got;
    switch (which) {
    case 0:
        return range_allocate(range, &got);
    case 1:
        return range_claim(range, (range_offset){500});
    case 2:
        return range_release(range, (range_offset){100}, 5);
    case 3:
        return range_exclude(range, FIRST, LAST);
    case 4:
        return range_restore_cooling(range, (range_offset){501}, 5);
    default:
        return ipalloc_range_restore(range, BYTES, sizeof BYTES);
    }
}

START_TEST(a_call_without_memory_changes_nothing) {
    static const char *const CIDRS[] = {"fd00::/64", "10.0.0.0/22"};
    for (int shape = 0; shape < 6; shape++) {
        for (int which = 0; which < 6; which++) {
            counted_memory memory = {0};
            ipalloc_hooks hooks = counted_hooks(&memory);
            ipalloc_range *range = range_with(
                CIDRS[shape % 2], (ipalloc_range_options){
                                      .hooks = &hooks,
                                      .strategy = shape > 3 ? IPALLOC_STRATEGY_OLDEST_FREED : 1,
                                      .cool_down_ms = shape / 2 == 1 ? 1000 : 0,
                                  });
            if (which == 2)
                ck_assert_status(range_claim(range, (range_offset){100}), IPALLOC_OK);
            for (long k = 1;; k++) {
                ipalloc_range_stats before, after;
                uint8_t bytes_before[64], bytes_after[64];
                size_t length_before, length_after;
                snapshot_everything(range, &before, bytes_before, &length_before);
                memory.calls = 0;
                memory.fail_from = k;
                int status = one_call(range, which);
                memory.fail_from = 0;
                if (status == IPALLOC_OK)
                    break;
                ck_assert_status(status, IPALLOC_E_NOMEM);
                snapshot_everything(range, &after, bytes_after, &length_after);
                ck_assert_mem_eq(&before, &after, sizeof before);
                ck_assert_uint_eq(length_before, length_after);
                ck_assert_mem_eq(bytes_before, bytes_after, length_before);
                ck_assert_status(ipalloc_range_validate(range, NULL), IPALLOC_OK);
                ck_assert_int_lt(k, 20);
            }
            destroy_valid(range);
            ck_assert_int_eq(memory.live, 0);
        }
    }
}
END_TEST

/* --- threads -----------------------------------------------------------------------------------
 */

enum { THREADS = 3, STRESS_SIZE = 510 };

typedef struct stress {
    ipalloc_range *range;
    int quota;
    uint64_t seed, rounds;
    uint8_t *owners; /* one byte an address: is it held; a race shows under TSan and in the check */
    atomic_word *started, *stop;
    bool failed;
} stress;

static bool stopped(const stress *s) {
    return atomic_load_relaxed(s->stop) != 0;
}

static uint8_t *owner_of(const stress *s, const ipalloc_addr *address) {
    return &s->owners[address->bytes[2] * 256 + address->bytes[3]];
}

static void take_one(stress *s, ipalloc_addr *out) {
    if (ipalloc_range_allocate(s->range, out) != IPALLOC_OK) {
        s->failed = true; /* a false FULL */
        return;
    }
    s->failed |= *owner_of(s, out) != 0; /* doubled */
    *owner_of(s, out) = 1;
}

static void give_back(stress *s, const ipalloc_addr *address) {
    *owner_of(s, address) = 0;
    s->failed |= ipalloc_range_release(s->range, address) != IPALLOC_OK;
}

/* A thread that keeps within its share may never see FULL: the shares add up to the range. One has
 * nearly all of it and moves the few holes about, the others try to hit them. */
static void *stress_run(void *context) {
    stress *s = context;
    ipalloc_addr held[STRESS_SIZE];
    int count = 0;
    for (uint64_t i = 0; i < s->rounds && !s->failed && !stopped(s); i++) {
        for (; count < s->quota && !s->failed; count++)
            take_one(s, &held[count]);
        int victim = (int)(test_random(&s->seed) % (uint64_t)s->quota);
        give_back(s, &held[victim]);
        held[victim] = held[--count];
    }
    atomic_store_relaxed(s->stop, 1);
    while (count > 0 && !s->failed)
        give_back(s, &held[--count]);
    return NULL;
}

START_TEST(threads_within_their_quota_never_see_full) {
    ipalloc_range *range =
        range_with("10.0.0.0/23", (ipalloc_range_options){.strategy = (uint32_t)_i});
    static const int QUOTAS[THREADS] = {STRESS_SIZE - 2, 1, 1};
    static uint8_t owners[512];
    stress each[THREADS];
    pthread_t threads[THREADS];
    atomic_word stop;
    atomic_word_init(&stop, 0);
    for (int i = 0; i < THREADS; i++) {
        each[i] = (stress){.range = range,
                           .quota = QUOTAS[i],
                           .seed = test_seed() + (uint64_t)i,
                           .rounds = test_scaled(3000000),
                           .owners = owners,
                           .stop = &stop};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, stress_run, &each[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(!each[i].failed);
    }
    check_count(stats_of(range).total.free, "510");
    destroy_valid(range);
}
END_TEST

/* Moves the only free address between the two bands: there always is one. */
static void *move_hole(void *context) {
    stress *s = context;
    const ipalloc_addr ends[2] = {addr("10.0.0.1"), addr("10.0.0.254")};
    int hole = 0;
    while (!stopped(s) && !s->failed) {
        s->failed |= ipalloc_range_release(s->range, &ends[!hole]) != IPALLOC_OK;
        /* The other thread may have one of the two, and may change it for the other. */
        int taken = hole;
        while (ipalloc_range_reserve(s->range, &ends[taken]) != IPALLOC_OK)
            taken = !taken;
        hole = !taken;
    }
    return NULL;
}

START_TEST(a_free_address_that_moves_between_the_bands_is_found) {
    ipalloc_range *range =
        range_with("10.0.0.0/24", (ipalloc_range_options){.strategy = (uint32_t)_i});
    fill(range);
    ck_assert_status(release(range, "10.0.0.1"), IPALLOC_OK);
    atomic_word stop;
    atomic_word_init(&stop, 0);
    stress mover = {.range = range, .stop = &stop};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, move_hole, &mover), 0);
    int status = IPALLOC_OK;
    for (uint64_t i = 0; i < test_scaled(1000000) && status == IPALLOC_OK; i++) {
        ipalloc_addr got;
        status = ipalloc_range_allocate(range, &got);
        if (status == IPALLOC_OK)
            status = ipalloc_range_release(range, &got);
    }
    atomic_store_relaxed(&stop, 1);
    pthread_join(thread, NULL);
    ck_assert_status(status, IPALLOC_OK);
    ck_assert(!mover.failed);
    check_count(stats_of(range).total.used, "253");
    destroy_valid(range);
}
END_TEST

/* Reserves and releases the last address, the first byte of every snapshot. */
static void *flip_last(void *context) {
    stress *s = context;
    const ipalloc_addr last = addr("10.0.255.254");
    while (!stopped(s) && !s->failed) {
        s->failed |= ipalloc_range_reserve(s->range, &last) != IPALLOC_OK;
        s->failed |= ipalloc_range_release(s->range, &last) != IPALLOC_OK;
    }
    return NULL;
}

START_TEST(a_snapshot_beside_changes_has_no_leading_zeros) {
    ipalloc_range *range = range_of("10.0.0.0/16");
    static uint8_t bytes[8192];
    atomic_word stop;
    atomic_word_init(&stop, 0);
    stress other = {.range = range, .stop = &stop};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, flip_last, &other), 0);
    for (uint64_t i = 0; i < test_scaled(20000); i++) {
        size_t length;
        require_status(ipalloc_range_snapshot(range, bytes, sizeof bytes, &length), IPALLOC_OK);
        require(length == 0 || (length == sizeof bytes && bytes[0] == 0x20));
    }
    atomic_store_relaxed(&stop, 1);
    pthread_join(thread, NULL);
    ck_assert(!other.failed);
    destroy_valid(range);
}
END_TEST

/* Memory that is asked for in the middle of an exclusion: after the range was seen to hold nothing,
 * before the first bit is taken. Then the last address goes, and the exclusion must fail late. */
#define LATE_LAST "10.15.255.254" /* of 10.0.0.0/12: large, so that the attempt takes a while */

typedef struct late_claim {
    counted_memory memory;
    ipalloc_range *range; /* NULL: not yet */
} late_claim;

static void *allocate_late(void *context, size_t bytes) {
    return counted_allocate(&((late_claim *)context)->memory, bytes);
}

static void deallocate_late(void *context, void *memory) {
    counted_deallocate(&((late_claim *)context)->memory, memory);
}

static void *reallocate_and_claim(void *context, void *memory, size_t bytes) {
    late_claim *late = context;
    if (late->range != NULL)
        ck_assert_status(reserve(late->range, LATE_LAST), IPALLOC_OK);
    return counted_reallocate(&late->memory, memory, bytes);
}

/* Uses one address of a range that is free but for its last. Mostly idle: where an address is held
 * here, the exclusion ends early, and the lock that a lookup takes waits for its end. */
static void *use_free_range(void *context) {
    stress *s = context;
    const ipalloc_addr middle = addr("10.8.0.0");
    atomic_store_relaxed(s->started, 1);
    while (!stopped(s) && !s->failed) {
        for (int i = 0; i < 300; i++)
            test_random(&s->seed);
        s->failed |= ipalloc_range_reserve(s->range, &middle) != IPALLOC_OK;
        s->failed |= ipalloc_range_release(s->range, &middle) != IPALLOC_OK;
        s->failed |= ipalloc_range_has(s->range, &middle);
    }
    return NULL;
}

static void exclude_in_vain(void) {
    late_claim late = {.range = NULL};
    ipalloc_hooks hooks = {.size = sizeof hooks,
                           .context = &late,
                           .allocate = allocate_late,
                           .reallocate = reallocate_and_claim,
                           .deallocate = deallocate_late};
    ipalloc_range *range =
        range_with("10.0.0.0/12",
                   (ipalloc_range_options){.hooks = &hooks, .strategy = IPALLOC_STRATEGY_LOWEST});
    late.range = range;
    atomic_word started, stop;
    atomic_word_init(&started, 0);
    atomic_word_init(&stop, 0);
    stress user = {.range = range, .started = &started, .stop = &stop};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, use_free_range, &user), 0);
    while (atomic_load_relaxed(&started) == 0)
        sched_yield();
    for (int tries = 0; !has(range, LATE_LAST) && tries < 1000; tries++)
        ck_assert_status(exclude(range, "10.0.0.1", LATE_LAST), IPALLOC_E_TAKEN);
    atomic_store_relaxed(&stop, 1);
    pthread_join(thread, NULL);
    ck_assert(!user.failed);
    check_count(stats_of(range).total.excluded, "0");
    destroy_valid(range);
}

START_TEST(an_exclusion_that_fails_late_leaves_no_trace) {
    for (uint64_t i = 0; i < test_scaled(50); i++)
        exclude_in_vain();
}
END_TEST

/* --- the model ---------------------------------------------------------------------------------
 */

static const range_case MODELS[] = {
    {.cidr = "10.0.0.0/29"},
    {.cidr = "10.0.0.0/26", .strategy = IPALLOC_STRATEGY_LOWEST},
    {.cidr = "10.0.0.0/24", .use_all_addresses = true},
    {.cidr = "fd00::/122"},
    {.port_first = 30000, .port_last = 30100},
};

START_TEST(a_dense_range_does_what_the_naive_model_does) {
    range_model_run(&MODELS[_i], test_seed(), test_scaled(100000));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("range");
    TCase *tc = tcase_create("range");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, usable_addresses_and_bands_follow_kubernetes, 0, ROWS(GEOMETRY));
    tcase_add_loop_test(tc, the_ends_of_a_range_are_usable_or_not_in_range, 0, ROWS(GEOMETRY));
    tcase_add_loop_test(tc, use_all_addresses_keeps_the_ends, 0, ROWS(WHOLE));
    tcase_add_loop_test(tc, port_bands_follow_kubernetes, 0, ROWS(PORTS));
    tcase_add_test(tc, all_ports_can_be_one_range);
    tcase_add_test(tc, a_static_band_can_be_asked_for);
    tcase_add_test(tc, dynamic_picks_leave_the_static_band_until_the_upper_one_is_full);
    tcase_add_test(tc, lowest_gives_the_lowest_of_the_dynamic_band);
    tcase_add_test(tc, random_reaches_every_address);
    tcase_add_test(tc, creation_refuses_bad_input);
    tcase_add_test(tc, options_of_an_older_program_read_as_zero_beyond_their_size);
    tcase_add_loop_test(tc, reserve_release_and_has_answer_every_status, 0, ROWS(LIVES));
    tcase_add_test(tc, null_is_invalid);
    tcase_add_test(tc, addresses_and_ports_do_not_mix);
    tcase_add_test(tc, ports_live_like_addresses);
    tcase_add_test(tc, stats_respect_the_size_that_the_program_knows);
    tcase_add_loop_test(tc, an_excluded_address_is_never_given_out, 0, ROWS(LIVES));
    tcase_add_loop_test(tc, a_range_that_is_excluded_whole_is_full, 0, ROWS(LIVES));
    tcase_add_test(tc, exclusions_are_counted_in_their_band);
    tcase_add_test(tc, a_cursor_need_not_be_in_the_range);
    tcase_add_loop_test(tc, a_walk_goes_on_over_changes, 0, ROWS(LIVES));
    tcase_add_loop_test(tc, a_snapshot_has_kubernetes_bytes_and_restores, 0, ROWS(SNAPSHOTS));
    tcase_add_test(tc, node_ports_snapshot_as_seen_in_etcd);
    tcase_add_test(tc, a_snapshot_that_does_not_fit_is_corrupt_and_changes_nothing);
    tcase_add_test(tc, a_snapshot_larger_than_an_ipv4_internet_is_refused);
    tcase_add_test(tc, what_cools_is_not_in_a_snapshot_and_refuses_a_restore);
    tcase_add_loop_test(tc, a_stamp_of_full_ends_with_the_first_release, 0, 3);
    tcase_add_test(tc, a_dense_range_allocates_nothing_after_creation);
    tcase_add_test(tc, a_dense_range_takes_little_memory);
    tcase_add_test(tc, creation_without_memory_leaves_nothing_behind);
    tcase_add_test(tc, a_call_without_memory_changes_nothing);
    tcase_add_loop_test(tc, threads_within_their_quota_never_see_full, 0, 3);
    tcase_add_loop_test(tc, a_free_address_that_moves_between_the_bands_is_found, 0, 3);
    tcase_add_test(tc, a_snapshot_beside_changes_has_no_leading_zeros);
    tcase_add_test(tc, an_exclusion_that_fails_late_leaves_no_trace);
    tcase_add_loop_test(tc, a_dense_range_does_what_the_naive_model_does, 0, ROWS(MODELS));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
