/*
 * test_range_bulk.c: many addresses at once, aligned blocks, and walks in large steps. The range
 * model (tests/model) drives the same calls at random.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static ipalloc_range *make(const char *text, const ipalloc_range_options *options) {
    ipalloc_range *range;
    ipalloc_error error;
    ipalloc_cidr from = cidr(text);
    ck_assert_status_error(ipalloc_range_create(&from, options, &range, &error), IPALLOC_OK,
                           &error);
    return range;
}

static void check(const ipalloc_range *range, uint64_t used) {
    ipalloc_range_stats stats = {.size = sizeof stats};
    ipalloc_error error;
    ck_assert_status_error(ipalloc_range_validate(range, &error), IPALLOC_OK, &error);
    ck_assert_status(ipalloc_range_get_stats(range, &stats), IPALLOC_OK);
    ck_assert_uint_eq(stats.total.used.low, used);
}

/* All of them, or the test fails. */
static void take_many(ipalloc_range *range, ipalloc_addr *out, size_t count) {
    size_t got = SIZE_MAX;
    ck_assert_status(ipalloc_range_allocate_many(range, out, count, &got), IPALLOC_OK);
    ck_assert_uint_eq(got, count);
}

/* Every kind of range: lock-free, cooling, in line, lowest, sparse. */
static const struct {
    const char *cidr;
    ipalloc_range_options options;
} KINDS[] = {
    {"10.0.0.0/24", {.size = sizeof(ipalloc_range_options)}},
    {"fd00::/120", {.size = sizeof(ipalloc_range_options)}},
    {"10.0.0.0/24", {.size = sizeof(ipalloc_range_options), .cool_down_ms = 60000}},
    {"10.0.0.0/24",
     {.size = sizeof(ipalloc_range_options), .strategy = IPALLOC_STRATEGY_OLDEST_FREED}},
    {"10.0.0.0/24", {.size = sizeof(ipalloc_range_options), .strategy = IPALLOC_STRATEGY_LOWEST}},
    {"fd00::/64", {.size = sizeof(ipalloc_range_options)}},
    {"fd00::/64", {.size = sizeof(ipalloc_range_options), .cool_down_ms = 60000}},
};

enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

START_TEST(many_are_distinct_held_and_given_back_together) {
    enum { MANY = 200 };
    ipalloc_range *range = make(KINDS[_i].cidr, &KINDS[_i].options);
    ipalloc_addr got[MANY];
    take_many(range, got, MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert(ipalloc_range_has(range, &got[i]));
        for (int j = 0; j < i; j++)
            ck_assert_int_ne(ipalloc_addr_compare(&got[i], &got[j]), 0);
    }
    check(range, MANY);
    ck_assert_status(ipalloc_range_release_many(range, got, MANY), IPALLOC_OK);
    check(range, 0);
    ck_assert_status(ipalloc_range_release_many(range, got, MANY), IPALLOC_E_NOT_FOUND);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(what_there_is_is_taken_and_then_it_is_full) {
    static const ipalloc_range_options bandless = {.size = sizeof bandless,
                                                   .static_band_size = IPALLOC_NO_STATIC_BAND};
    ipalloc_range *range = make("10.0.0.0/25", _i == 0 ? NULL : &bandless);
    ipalloc_addr addresses[200], one;
    size_t got = SIZE_MAX;
    ck_assert_status(ipalloc_range_allocate(range, &one), IPALLOC_OK);
    ck_assert_status(ipalloc_range_allocate_many(range, addresses, 200, &got), IPALLOC_E_FULL);
    ck_assert_uint_eq(got, 125);
    check(range, 126);
    ck_assert_status(ipalloc_range_allocate_many(range, addresses, 1, &got), IPALLOC_E_FULL);
    ck_assert_uint_eq(got, 0);
    take_many(range, NULL, 0);
    ck_assert_status(ipalloc_range_release_many(range, addresses, 125), IPALLOC_OK);
    check(range, 1);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(many_leave_the_static_band_until_the_upper_one_is_full) {
    ipalloc_range *range = make("10.0.0.0/24", NULL); /* 16 of 254 are static, to 10.0.0.16 */
    ipalloc_addr got[254], last_static = addr("10.0.0.16");
    take_many(range, got, 238);
    for (int i = 0; i < 238; i++)
        ck_assert_int_gt(ipalloc_addr_compare(&got[i], &last_static), 0);
    take_many(range, got, 16);
    for (int i = 0; i < 16; i++)
        ck_assert_int_le(ipalloc_addr_compare(&got[i], &last_static), 0);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(releasing_many_releases_all_that_can_be) {
    ipalloc_range *range = make("10.0.0.0/24", NULL);
    ipalloc_addr some[] = {addr("10.0.0.20"), addr("10.0.0.21"), addr("10.0.0.200"),
                           addr("10.0.0.20"), addr("10.0.0.22")};
    for (int i = 0; i < 5; i++)
        if (i != 3)
            ck_assert_status(ipalloc_range_reserve(range, &some[i]), IPALLOC_OK);
    ipalloc_addr outside[] = {some[0], addr("10.0.1.1")};
    ck_assert_status(ipalloc_range_release_many(range, outside, 2), IPALLOC_E_NOT_IN_RANGE);
    check(range, 4);
    ck_assert_status(ipalloc_range_release_many(range, some, 5), IPALLOC_E_NOT_FOUND); /* twice */
    check(range, 0);
    ck_assert_status(ipalloc_range_release_many(range, some, 0), IPALLOC_OK);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(what_is_excluded_is_neither_given_nor_released) {
    ipalloc_range *range = make("10.0.0.0/24", NULL);
    ipalloc_addr first = addr("10.0.0.64"), last = addr("10.0.0.127"), got[191];
    ipalloc_cidr block = cidr("10.0.0.96/27");
    ck_assert_status(ipalloc_range_exclude(range, &first, &last), IPALLOC_OK);
    size_t taken;
    ck_assert_status(ipalloc_range_allocate_many(range, got, 191, &taken), IPALLOC_E_FULL);
    ck_assert_uint_eq(taken, 190);
    ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_E_NOT_FOUND);
    ck_assert_status(ipalloc_range_release_many(range, &first, 1), IPALLOC_E_NOT_FOUND);
    check(range, 190);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(a_block_is_aligned_whole_and_above_the_static_band) {
    ipalloc_range *range = make(KINDS[_i].cidr, &KINDS[_i].options);
    ipalloc_cidr block;
    bool four = strchr(KINDS[_i].cidr, ':') == NULL;
    for (unsigned bits = 0; bits <= 5; bits++) {
        ck_assert_status(
            ipalloc_range_allocate_block(range, (uint8_t)((four ? 32 : 128) - bits), &block),
            IPALLOC_OK);
        unsigned low = block.base.bytes[four ? 3 : 15];
        ck_assert_uint_eq(low % (1u << bits), 0);
        for (unsigned i = 0; i < 1u << bits; i++) {
            ipalloc_addr one = block.base;
            one.bytes[four ? 3 : 15] = (uint8_t)(low + i);
            ck_assert(ipalloc_range_has(range, &one));
        }
        check(range, 1u << bits);
        ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_OK);
        ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_E_NOT_FOUND);
        check(range, 0);
    }
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(blocks_fill_a_range_and_then_there_is_none) {
    ipalloc_range *range = make("10.0.0.0/24", NULL);
    ipalloc_cidr block;
    for (int i = 0; i < 14; i++) { /* 16 blocks but for the two at the ends */
        ck_assert_status(ipalloc_range_allocate_block(range, 28, &block), IPALLOC_OK);
        ck_assert(i >= 13 || block.base.bytes[3] >= 32); /* the static band goes to 10.0.0.16 */
    }
    ck_assert_uint_eq(block.base.bytes[3], 16); /* it begins in the static band: the last choice */
    ck_assert_status(ipalloc_range_allocate_block(range, 28, &block), IPALLOC_E_FULL);
    ck_assert_status(ipalloc_range_allocate_block(range, 29, &block), IPALLOC_OK);
    check(range, 14 * 16 + 8);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(a_block_larger_than_a_word_is_taken_whole) {
    ipalloc_range *range = make("10.0.0.0/16", NULL);
    ipalloc_cidr block;
    ck_assert_status(ipalloc_range_allocate_block(range, 20, &block), IPALLOC_OK);
    check(range, 4096);
    ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_OK);
    check(range, 0);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(a_block_is_found_behind_an_exclusion_of_half_the_range) {
    ipalloc_range *range = make("fd00::/64", NULL);
    ipalloc_addr first = addr("fd00::1"), last = addr("fd00::7fff:ffff:ffff:ffff");
    ipalloc_cidr block;
    ck_assert_status(ipalloc_range_exclude(range, &first, &last), IPALLOC_OK);
    for (int i = 0; i < 20; i++) { /* half of them begin their search in the exclusion */
        ck_assert_status(ipalloc_range_allocate_block(range, 124, &block), IPALLOC_OK);
        ck_assert_int_gt(ipalloc_addr_compare(&block.base, &last), 0);
    }
    check(range, 20 * 16);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(bad_blocks_are_refused) {
    ipalloc_range *range = make("10.0.0.0/24", NULL), *ports;
    ipalloc_cidr block = cidr("10.0.0.64/28");
    ipalloc_addr address;
    size_t count;
    ck_assert_status(ipalloc_range_allocate_block(range, 33, &block), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_block(range, 15, &block), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_block(range, 24, &block), IPALLOC_E_FULL);
    ck_assert_status(ipalloc_range_allocate_block(NULL, 28, &block), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_block(range, 28, NULL), IPALLOC_E_INVALID);
    block.base.bytes[3]++;
    ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_E_INVALID);
    block = cidr("10.0.0.0/28"); /* with the network address, which is nobody's */
    ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_E_NOT_IN_RANGE);
    block = cidr("10.0.0.240/28"); /* with the broadcast address */
    ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_E_NOT_IN_RANGE);
    block = cidr("fd00::/124");
    ck_assert_status(ipalloc_range_release_block(range, &block), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_status(ipalloc_range_release_block(range, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_port_range_create(1, 100, NULL, &ports, NULL), IPALLOC_OK);
    ck_assert_status(ipalloc_range_allocate_block(ports, 28, &block), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_many(ports, &address, 1, &count), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_release_many(ports, &address, 1), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_next_many(ports, &address, &address, 1, &count),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_many(range, NULL, 1, &count), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_allocate_many(range, &address, 1, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_release_many(range, NULL, 1), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_range_next_many(range, &address, &address, 0, &count),
                     IPALLOC_E_INVALID);
    check(range, 0);
    ipalloc_range_destroy(ports);
    ipalloc_range_destroy(range);
}
END_TEST

START_TEST(a_walk_in_steps_sees_what_single_steps_see) {
    ipalloc_range *range = make(KINDS[_i].cidr, &KINDS[_i].options);
    ipalloc_addr got[100], steps[7], cursor = {0}, single = {0};
    size_t count, seen = 0;
    take_many(range, got, 100);
    ck_assert_status(ipalloc_range_release_many(range, got + 40, 20), IPALLOC_OK);
    while (ipalloc_range_next_many(range, &cursor, steps, 7, &count) == IPALLOC_OK) {
        for (size_t i = 0; i < count; i++, seen++) {
            ck_assert_status(ipalloc_range_next(range, &single), IPALLOC_OK);
            ck_assert_int_eq(ipalloc_addr_compare(&single, &steps[i]), 0);
        }
    }
    ck_assert_uint_eq(seen, 80);
    ck_assert_uint_eq(count, 0);
    ck_assert_status(ipalloc_range_next(range, &single), IPALLOC_E_NOT_FOUND);
    ipalloc_range_destroy(range);
}
END_TEST

/* ---- memory ---- */

static uint64_t allowed; /* allocations until there is no memory any more */

static void *poor_allocate(void *context, size_t bytes) {
    (void)context;
    return allowed == 0 ? NULL : (allowed--, malloc(bytes));
}

static void *poor_reallocate(void *context, void *memory, size_t bytes) {
    (void)context;
    return allowed == 0 ? NULL : (allowed--, realloc(memory, bytes));
}

static void poor_deallocate(void *context, void *memory) {
    (void)context;
    free(memory);
}

START_TEST(without_memory_what_was_taken_is_held_and_a_block_changes_nothing) {
    const ipalloc_hooks hooks = {.size = sizeof hooks,
                                 .allocate = poor_allocate,
                                 .reallocate = poor_reallocate,
                                 .deallocate = poor_deallocate};
    ipalloc_range_options options = {.size = sizeof options, .hooks = &hooks};
    ipalloc_addr addresses[1000];
    ipalloc_cidr block;
    size_t got;
    allowed = UINT64_MAX;
    ipalloc_range *range = make("fd00::/64", &options);
    allowed = (uint64_t)_i;
    ck_assert_status(ipalloc_range_allocate_many(range, addresses, 1000, &got), IPALLOC_E_NOMEM);
    ck_assert_uint_lt(got, 1000);
    check(range, got);
    for (size_t i = 0; i < got; i++)
        ck_assert(ipalloc_range_has(range, &addresses[i]));
    allowed = 0;
    ck_assert_status(ipalloc_range_allocate_block(range, 112, &block), IPALLOC_E_NOMEM);
    check(range, got);
    allowed = UINT64_MAX;
    ck_assert_status(ipalloc_range_release_many(range, addresses, got), IPALLOC_OK);
    take_many(range, addresses, 1000);
    check(range, 1000);
    ipalloc_range_destroy(range);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 4, QUOTA = 60 };

typedef struct shared {
    ipalloc_range *range;
    atomic_int holders[256];
    atomic_uint doubled, false_full;
    uint64_t rounds;
} shared;

typedef struct worker {
    pthread_t thread;
    shared *shared;
    uint64_t random;
} worker;

static void hold(worker *w, const ipalloc_addr *addresses, size_t count, int by) {
    for (size_t i = 0; i < count; i++)
        if (atomic_exchange(&w->shared->holders[addresses[i].bytes[3]], by) != 0 && by != 0)
            atomic_fetch_add(&w->shared->doubled, 1);
}

/* Quotas and one block a thread sum to less than the range: never rightly FULL, but for blocks. */
static void *work(void *context) {
    worker *w = context;
    ipalloc_addr got[QUOTA];
    for (uint64_t i = 0; i < w->shared->rounds; i++) {
        size_t count = 1 + test_random(&w->random) % QUOTA;
        if (test_random(&w->random) % 4 == 0) {
            ipalloc_cidr block;
            uint8_t length = (uint8_t)(29 + test_random(&w->random) % 3);
            if (ipalloc_range_allocate_block(w->shared->range, length, &block) == IPALLOC_OK)
                require(ipalloc_range_release_block(w->shared->range, &block) == IPALLOC_OK);
            continue;
        }
        size_t taken;
        if (ipalloc_range_allocate_many(w->shared->range, got, count, &taken) != IPALLOC_OK) {
            atomic_fetch_add(&w->shared->false_full, 1);
            count = taken;
        }
        hold(w, got, count, 1);
        hold(w, got, count, 0);
        require(ipalloc_range_release_many(w->shared->range, got, count) == IPALLOC_OK);
    }
    return NULL;
}

START_TEST(threads_within_their_quota_get_all_they_ask_for) {
    shared s = {.range = make("10.0.0.0/24", NULL), .rounds = test_scaled(30000)};
    worker workers[THREADS];
    uint64_t seed = test_seed();
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.shared = &s, .random = test_random(&seed)};
        require(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(workers[i].thread, NULL) == 0);
    ck_assert_uint_eq(s.doubled, 0);
    ck_assert_uint_eq(s.false_full, 0);
    check(s.range, 0);
    ipalloc_range_destroy(s.range);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("range bulk");
    TCase *tc = tcase_create("range bulk");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, many_are_distinct_held_and_given_back_together, 0, KIND_COUNT);
    tcase_add_loop_test(tc, what_there_is_is_taken_and_then_it_is_full, 0, 2);
    tcase_add_test(tc, many_leave_the_static_band_until_the_upper_one_is_full);
    tcase_add_test(tc, releasing_many_releases_all_that_can_be);
    tcase_add_test(tc, what_is_excluded_is_neither_given_nor_released);
    tcase_add_loop_test(tc, a_block_is_aligned_whole_and_above_the_static_band, 0, KIND_COUNT);
    tcase_add_test(tc, blocks_fill_a_range_and_then_there_is_none);
    tcase_add_test(tc, a_block_larger_than_a_word_is_taken_whole);
    tcase_add_test(tc, a_block_is_found_behind_an_exclusion_of_half_the_range);
    tcase_add_test(tc, bad_blocks_are_refused);
    tcase_add_loop_test(tc, a_walk_in_steps_sees_what_single_steps_see, 0, KIND_COUNT);
    tcase_add_loop_test(tc, without_memory_what_was_taken_is_held_and_a_block_changes_nothing, 0,
                        3);
    tcase_add_test(tc, threads_within_their_quota_get_all_they_ask_for);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
