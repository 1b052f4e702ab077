/*
 * test_exclusion.c: intervals of excluded numbers against one flag a number.
 */
#include "counted_memory.h"

#include "core/exclusion.h"

#include <string.h>

enum { SIZE = 200 };

static hooks h;
static exclusion_set set;

static void set_up(void) {
    ck_assert_status(hooks_init(&h, NULL, NULL), IPALLOC_OK);
    exclusion_init(&set, &h);
}

static void tear_down(void) {
    exclusion_free(&set);
}

static void add(u128 first, u128 last) {
    ck_assert_status(exclusion_reserve(&set), IPALLOC_OK);
    exclusion_add(&set, (interval){first, last});
}

static void remove_all(u128 first, u128 last) {
    ck_assert_status(exclusion_reserve(&set), IPALLOC_OK);
    exclusion_remove(&set, (interval){first, last});
}

START_TEST(touching_and_overlapping_intervals_become_one) {
    add(10, 19);
    add(30, 39);
    ck_assert_uint_eq(set.count, 2);
    add(20, 24);
    ck_assert_uint_eq(set.count, 2);
    add(25, 29);
    ck_assert_uint_eq(set.count, 1);
    ck_assert(set.intervals[0].first == 10 && set.intervals[0].last == 39);
    add(0, 100);
    ck_assert_uint_eq(set.count, 1);
    ck_assert(exclusion_covers(&set, (interval){0, 100}));
    ck_assert(!exclusion_covers(&set, (interval){0, 101}));
}
END_TEST

START_TEST(removing_from_the_middle_leaves_two) {
    add(10, 19);
    remove_all(12, 15);
    ck_assert_uint_eq(set.count, 2);
    ck_assert(set.intervals[0].last == 11 && set.intervals[1].first == 16);
    ck_assert_ptr_null(exclusion_find(&set, 12));
    ck_assert_ptr_null(exclusion_find(&set, 15));
    ck_assert_ptr_nonnull(exclusion_find(&set, 16));
    ck_assert(exclusion_first_overlap(&set, (interval){12, 99}) == &set.intervals[1]);
    ck_assert_ptr_null(exclusion_first_overlap(&set, (interval){12, 15}));
    remove_all(0, 99);
    ck_assert_uint_eq(set.count, 0);
}
END_TEST

START_TEST(the_ends_of_128_bits_are_numbers_like_others) {
    add(U128_MAX - 5, U128_MAX);
    add(0, 2);
    add(U128_MAX - 9, U128_MAX - 6);
    ck_assert_uint_eq(set.count, 2);
    ck_assert(exclusion_covers(&set, (interval){U128_MAX - 9, U128_MAX}));
    ck_assert(exclusion_count(&set, 0, U128_MAX) == 3 + 9); /* [begin, end) */
    ck_assert(exclusion_nth_included(&set, 0, 0) == 3);
    ck_assert(exclusion_nth_included(&set, 0, U128_MAX - 13) == U128_MAX - 10);
    remove_all(U128_MAX, U128_MAX);
    ck_assert_ptr_null(exclusion_find(&set, U128_MAX));
    ck_assert(!exclusion_validate(&set, U128_MAX - 5));
    ck_assert(exclusion_validate(&set, U128_MAX));
}
END_TEST

START_TEST(a_hole_of_any_size_costs_one_interval) {
    counted_memory memory = {0};
    ipalloc_hooks user = counted_hooks(&memory);
    ck_assert_status(hooks_init(&h, &user, NULL), IPALLOC_OK);
    exclusion_init(&set, &h);
    add(1, (u128)1 << 120);
    ck_assert_int_le(memory.bytes, 512);
    exclusion_free(&set);
    ck_assert_int_eq(memory.live, 0);
}
END_TEST

START_TEST(without_memory_nothing_changes) {
    counted_memory memory = {0};
    ipalloc_hooks user = counted_hooks(&memory);
    ck_assert_status(hooks_init(&h, &user, NULL), IPALLOC_OK);
    exclusion_init(&set, &h);
    u128 next = 0;
    for (; set.count < set.capacity || set.capacity == 0; next += 10)
        add(next, next);
    memory.fail_from = 1;
    ck_assert_status(exclusion_reserve(&set), IPALLOC_E_NOMEM);
    ck_assert(exclusion_validate(&set, next));
    ck_assert(exclusion_count(&set, 0, next) == set.count);
    memory.fail_from = 0;
    add(next, next);
    exclusion_free(&set);
    ck_assert_int_eq(memory.live, 0);
}
END_TEST

START_TEST(validate_sees_what_is_out_of_order) {
    static const interval BAD[][2] = {
        {{20, 29}, {10, 15}}, {{10, 20}, {20, 29}}, {{10, 20}, {21, 29}}, {{10, 9}, {20, 29}}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        interval pair[2] = {BAD[i][0], BAD[i][1]};
        exclusion_set bad = {.hooks = &h, .intervals = pair, .count = 2, .capacity = 2};
        ck_assert(!exclusion_validate(&bad, SIZE));
    }
}
END_TEST

/* --- against one flag a number -----------------------------------------------------------------
 */

static void compare(const bool *flags, uint64_t *state) {
    ck_assert(exclusion_validate(&set, SIZE));
    u128 begin = test_random(state) % SIZE, end = begin + test_random(state) % (SIZE - begin + 1);
    u128 count = 0;
    bool all = true;
    for (u128 i = begin; i < end; i++) {
        count += flags[i];
        all &= flags[i];
    }
    ck_assert(exclusion_count(&set, begin, end) == count);
    if (begin < end) {
        const interval *first = exclusion_first_overlap(&set, (interval){begin, end - 1});
        ck_assert_int_eq(exclusion_covers(&set, (interval){begin, end - 1}), all);
        ck_assert_int_eq(first != NULL, count > 0);
        if (first != NULL)
            ck_assert(first->first < end && first->last >= begin);
    }
    u128 index = 0;
    for (u128 i = begin; i < SIZE; i++) {
        ck_assert_int_eq(exclusion_find(&set, i) != NULL, flags[i]);
        if (!flags[i])
            ck_assert(exclusion_nth_included(&set, begin, index++) == i);
    }
}

START_TEST(intervals_do_what_flags_do) {
    uint64_t state = test_seed();
    bool flags[SIZE] = {false};
    for (uint64_t i = 0; i < test_scaled(2000); i++) {
        u128 first = test_random(&state) % SIZE;
        u128 last = first + test_random(&state) % 20;
        last = last < SIZE ? last : SIZE - 1;
        bool excluded = test_random(&state) % 2;
        excluded ? add(first, last) : remove_all(first, last);
        for (u128 k = first; k <= last; k++)
            flags[k] = excluded;
        compare(flags, &state);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("exclusion");
    TCase *tc = tcase_create("exclusion");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, touching_and_overlapping_intervals_become_one);
    tcase_add_test(tc, removing_from_the_middle_leaves_two);
    tcase_add_test(tc, the_ends_of_128_bits_are_numbers_like_others);
    tcase_add_test(tc, a_hole_of_any_size_costs_one_interval);
    tcase_add_test(tc, without_memory_nothing_changes);
    tcase_add_test(tc, validate_sees_what_is_out_of_order);
    tcase_add_test(tc, intervals_do_what_flags_do);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
