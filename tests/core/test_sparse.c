/*
 * test_sparse.c: the sparse set by itself: its rules one by one, the inside of its tables, then
 * random operations against a sorted list of numbers.
 */
#include "counted_memory.h"
#include "support.h"

#include "core/sparse_private.h"

#include <stdlib.h>

static counted_memory memory;
static uint64_t state; /* of test_random */
static hooks h;
static exclusion_set excluded;

static uint64_t drawn_from_seed(void *context) {
    (void)context;
    return test_random(&state);
}

static void set_up(void) {
    memory = (counted_memory){0};
    state = test_seed();
    ipalloc_hooks user = counted_hooks(&memory);
    user.random = drawn_from_seed;
    ck_assert_status(hooks_init(&h, &user, NULL), IPALLOC_OK);
    exclusion_init(&excluded, &h);
}

static void nothing_leaked(void) {
    exclusion_free(&excluded);
    ck_assert_int_eq(memory.live, 0);
}

static sparse *make(u128 size, u128 split) {
    sparse *set = sparse_create(&h, size, split, &excluded);
    ck_assert_ptr_nonnull(set);
    return set;
}

static void exclude(u128 first, u128 last) {
    ck_assert_status(exclusion_reserve(&excluded), IPALLOC_OK);
    exclusion_add(&excluded, (interval){first, last});
}

static void include(sparse *set, u128 first, u128 last) {
    ck_assert_status(exclusion_reserve(&excluded), IPALLOC_OK);
    exclusion_remove(&excluded, (interval){first, last});
    sparse_included(set, first);
}

static void take(sparse *set, u128 number) {
    require(sparse_take(set, number) == IPALLOC_OK);
}

/* The index-th of distinct numbers, far apart: no two share a leaf. Below 2^127. */
static u128 far_apart(uint64_t index) {
    return u128_make(random_mix(index + 1) >> 1, index);
}

/* The same below 2^63; leaves are shared by chance only, among these by none. */
static u128 far_apart_narrow(uint64_t index) {
    return random_mix(index + 1) >> 1;
}

/* As the range claims: at once where that is possible. */
static int claim_any(sparse *set, enum bitmap_choice choice, bool upper, u128 *number) {
    if (upper && choice == BITMAP_RANDOM && sparse_claim_at_once(set, &h, number))
        return IPALLOC_OK;
    return sparse_claim_any(set, &h, choice, upper, number);
}

static void no_memory_from_now(void) {
    memory.fail_from = memory.calls + 1;
}

static void memory_again(void) {
    memory.fail_from = 0;
}

static u128 random_wide(u128 bound) {
    u128 wide = u128_make(test_random(&state), test_random(&state));
    return wide % bound;
}

/* Both ways of choosing, by loop index. */
static enum bitmap_choice choice_of(int index) {
    return index == 0 ? BITMAP_RANDOM : BITMAP_LOWEST;
}

/* ---- single numbers ---- */

START_TEST(a_number_is_taken_once_and_released_once) {
    sparse *set = make(U128_MAX, 256);
    ck_assert(!sparse_has(set, 777));
    ck_assert(!sparse_release(set, 777));
    ck_assert_status(sparse_take(set, 777), IPALLOC_OK);
    ck_assert(sparse_has(set, 777));
    ck_assert(!sparse_has(set, 776)); /* the same leaf */
    ck_assert_status(sparse_take(set, 777), IPALLOC_E_TAKEN);
    ck_assert(sparse_count_free(set, 0, U128_MAX) == U128_MAX - 1);
    ck_assert(sparse_release(set, 777));
    ck_assert(!sparse_release(set, 777));
    ck_assert(!sparse_has(set, 777));
    ck_assert(sparse_count_free(set, 0, U128_MAX) == U128_MAX);
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

START_TEST(both_ends_of_the_largest_range_are_numbers_like_any_other) {
    const u128 middle = (u128)1 << 127;
    const u128 ends[] = {0, 63, 64, middle - 1, middle, U128_MAX - 65, U128_MAX - 1};
    const size_t count = sizeof ends / sizeof *ends;
    sparse *set = make(U128_MAX, middle);
    u128 number;
    ck_assert(!sparse_next_taken(set, 0, &number));
    ck_assert(!sparse_last_taken(set, &number));
    for (size_t i = 0; i < count; i++) {
        ck_assert_status(sparse_take(set, ends[i]), IPALLOC_OK);
        ck_assert(sparse_last_taken(set, &number) && number == ends[i]);
    }
    for (size_t i = 0; i < count; i++) {
        ck_assert(sparse_has(set, ends[i]));
        ck_assert(sparse_next_taken(set, ends[i], &number) && number == ends[i]);
        bool more = sparse_next_taken(set, ends[i] + 1, &number);
        ck_assert(more == (i + 1 < count));
        ck_assert(!more || number == ends[i + 1]);
    }
    ck_assert(!sparse_next_taken(set, U128_MAX, &number));
    ck_assert(sparse_count_free(set, 0, middle) == middle - 4);
    ck_assert(sparse_count_free(set, middle, U128_MAX) == middle - 1 - 3);
    ck_assert(sparse_validate(set));
    for (size_t i = 0; i < count; i++)
        ck_assert(sparse_release(set, ends[i]));
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

START_TEST(numbers_are_counted_apart_on_both_sides_and_without_the_excluded) {
    sparse *set = make(1000, 100);
    exclude(90, 109);
    take(set, 89);
    take(set, 110);
    take(set, 999);
    ck_assert(sparse_count_free(set, 0, 100) == 100 - 10 - 1);
    ck_assert(sparse_count_free(set, 100, 1000) == 900 - 10 - 2);
    ck_assert(sparse_count_free(set, 0, 1000) == 1000 - 20 - 3);
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

/* ---- memory ---- */

START_TEST(a_set_for_which_there_is_no_memory_is_null) {
    no_memory_from_now();
    ck_assert_ptr_null(sparse_create(&h, U128_MAX, 0, &excluded));
}
END_TEST

static const struct {
    u128 size;
    u128 (*number)(uint64_t index);
    long first_bytes; /* of the smallest table */
    uint64_t first_numbers;
    long bytes_max; /* a number, beyond that */
} WIDTHS[] = {
    {(u128)1 << 64, far_apart_narrow, 8 * 64 + 64, 28, 28},
    {U128_MAX, far_apart, 8 * 128 + 64, 33, 47},
};

START_TEST(memory_stays_within_what_the_header_promises) {
    enum { KEYS = 2500, ROUNDING = 80 }; /* small enough for malloc not to round to pages */
    sparse *set = make(WIDTHS[_i].size, 0);
    long empty = memory.bytes;
    for (uint64_t i = 0; i < KEYS; i++) {
        take(set, WIDTHS[_i].number(i));
        long most = i < WIDTHS[_i].first_numbers ? WIDTHS[_i].first_bytes
                                                 : WIDTHS[_i].bytes_max * (long)(i + 1) + ROUNDING;
        require(memory.bytes - empty <= most + 16);
    }
    for (uint64_t i = 0; i < KEYS; i++) /* 63 neighbours each: 0.94 bytes a number */
        for (u128 bit = 0; bit < 64; bit++)
            sparse_take(set, (WIDTHS[_i].number(i) & ~(u128)63) + bit);
    ck_assert_int_le(memory.bytes - empty, KEYS * 60 + WIDTHS[_i].first_bytes + ROUNDING);
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

START_TEST(the_table_grows_and_gives_its_memory_back) {
    enum { KEYS = 5000 };
    sparse *set = make(WIDTHS[_i].size, 1000);
    take(set, 0);
    long small = memory.bytes;
    for (uint64_t i = 1; i < KEYS; i++)
        take(set, WIDTHS[_i].number(i));
    ck_assert(sparse_validate(set));
    ck_assert_int_gt(memory.bytes, KEYS * WIDTHS[_i].bytes_max / 2);
    for (uint64_t i = 1; i < KEYS; i++) {
        require(sparse_release(set, WIDTHS[_i].number(i)));
        if (i % 500 == 0)
            require(sparse_validate(set));
        if (i + 1 < KEYS)
            require(sparse_has(set, WIDTHS[_i].number(i + 1)));
    }
    ck_assert(sparse_has(set, 0));
    ck_assert_int_eq(memory.bytes, small);
    sparse_destroy(set);
}
END_TEST

/* Take `number` where there is no memory; if that is refused, see that nothing changed, and take it
 * with memory. true: it was refused. */
static bool take_needs_memory(sparse *set, u128 number, u128 free_before) {
    long live = memory.live, bytes = memory.bytes;
    no_memory_from_now();
    int status = sparse_take(set, number);
    memory_again();
    if (status == IPALLOC_OK)
        return false;
    ck_assert_int_eq(status, IPALLOC_E_NOMEM);
    ck_assert_int_eq(memory.live, live);
    ck_assert_int_eq(memory.bytes, bytes);
    ck_assert(!sparse_has(set, number));
    ck_assert(sparse_count_free(set, 0, set->size) == free_before);
    ck_assert(sparse_validate(set));
    take(set, number);
    return true;
}

START_TEST(a_take_without_memory_changes_nothing) {
    u128 size = WIDTHS[_i].size;
    sparse *set = make(size, 1000);
    int refused = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        if (!take_needs_memory(set, WIDTHS[_i].number(i), size - i))
            continue;
        refused++;
        for (uint64_t k = 0; k <= i; k++)
            require(sparse_has(set, WIDTHS[_i].number(k)));
    }
    ck_assert_int_eq(refused, 10); /* 8 lines at first, and nine times half as many more: 303 */
    sparse_destroy(set);
}
END_TEST

START_TEST(a_second_number_of_a_leaf_without_memory_changes_nothing) {
    u128 size = WIDTHS[_i].size;
    sparse *set = make(size, 1000);
    for (uint64_t i = 0; i < 500; i++)
        take(set, WIDTHS[_i].number(i));
    int refused = 0;
    for (uint64_t i = 0; i < 500; i++) {
        refused += take_needs_memory(set, WIDTHS[_i].number(i) ^ 1, size - 500 - i);
        require(sparse_has(set, WIDTHS[_i].number(i)));
    }
    ck_assert_int_eq(refused, 5); /* 64 leaves at first, and four times twice as many */
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

START_TEST(a_claim_without_memory_changes_nothing) {
    u128 size = WIDTHS[_i].size, number = 77;
    sparse *set = make(size, 0);
    int refused = 0;
    for (u128 i = 0; i < 1000; i++) {
        long live = memory.live, bytes = memory.bytes;
        no_memory_from_now();
        int status = claim_any(set, BITMAP_RANDOM, true, &number);
        memory_again();
        if (status == IPALLOC_OK)
            continue;
        refused++;
        ck_assert_int_eq(status, IPALLOC_E_NOMEM);
        ck_assert_int_eq(memory.live, live);
        ck_assert_int_eq(memory.bytes, bytes);
        ck_assert(sparse_count_free(set, 0, size) == size - i);
        ck_assert(sparse_validate(set));
        ck_assert_status(claim_any(set, BITMAP_RANDOM, true, &number), IPALLOC_OK);
    }
    ck_assert_int_ge(refused, 6);
    ck_assert(sparse_count_free(set, 0, size) == size - 1000);
    sparse_destroy(set);
}
END_TEST

START_TEST(allocations_are_fewer_than_one_in_a_thousand_claims) {
    enum { HELD = 20000, PAIRS = 60000 };
    u128 *held = calloc(HELD, sizeof *held);
    sparse *set = make(WIDTHS[_i].size, 256);
    for (int i = 0; i < HELD; i++)
        require(claim_any(set, BITMAP_RANDOM, true, &held[i]) == IPALLOC_OK);
    for (int i = 0; i < PAIRS; i++) {
        u128 *one = &held[test_random(&state) % HELD];
        require(sparse_release(set, *one));
        require(claim_any(set, BITMAP_RANDOM, true, one) == IPALLOC_OK);
    }
    ck_assert_int_le(memory.calls, (HELD + PAIRS) / 1000);
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
    free(held);
}
END_TEST

START_TEST(release_and_walk_need_no_memory) {
    sparse *set = make(U128_MAX, 1000);
    for (uint64_t i = 0; i < 1000; i++)
        take(set, far_apart(i));
    no_memory_from_now();
    u128 number, least = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        require(sparse_next_taken(set, least, &number) && number >= least);
        require(sparse_release(set, number));
        least = number + 1;
        if (i % 100 == 0)
            require(sparse_validate(set));
    }
    ck_assert(!sparse_next_taken(set, 0, &number));
    ck_assert_int_gt(memory.calls, memory.fail_from);
    sparse_destroy(set);
}
END_TEST

/* ---- the tables ---- */

START_TEST(a_leaf_is_alone_until_its_second_number_and_moves_once) {
    sparse *set = make(WIDTHS[_i].size, 1000);
    u128 first = WIDTHS[_i].size - 130, second = first + 1;
    first &= ~(u128)63;
    second = first + 63;
    take(set, first);
    ck_assert(set->lone.filled == 1 && set->leaves.filled == 0);
    take(set, second);
    ck_assert(set->lone.filled == 0 && set->leaves.filled == 1);
    ck_assert_status(sparse_take(set, first), IPALLOC_E_TAKEN);
    ck_assert_status(sparse_take(set, second), IPALLOC_E_TAKEN);
    ck_assert(sparse_release(set, first));
    ck_assert(set->lone.filled == 0 && set->leaves.filled == 1); /* a release needs no memory */
    ck_assert(!sparse_has(set, first) && sparse_has(set, second));
    ck_assert(sparse_release(set, second));
    ck_assert(set->lone.filled == 0 && set->leaves.filled == 0);
    ck_assert(!sparse_release(set, first) && !sparse_release(set, second));
    take(set, second);
    ck_assert(!sparse_release(set, first)); /* its neighbour is alone, but not it */
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

/* The next number whose hash begins with the twelve bits `home`: they meet in one line of any table
 * that is not too large, or in two neighbours. *from: where to look on. */
static u128 meeting(const sparse *set, unsigned home, uint64_t *from) {
    for (;;) {
        u128 number = set->lone.wide ? far_apart((*from)++) : far_apart_narrow((*from)++);
        if (hash_of(&set->key, key_of(number)) >> 52 == home)
            return number;
    }
}

/* Take `count` numbers that meet near the last line, release them in random order. */
static void crowd_one_line(sparse *set, size_t count, size_t filled_before) {
    u128 *numbers = calloc(count, sizeof *numbers);
    uint64_t from = (uint64_t)1 << 32; /* others are those before */
    for (size_t i = 0; i < count; i++) {
        numbers[i] = meeting(set, 4090, &from);
        take(set, numbers[i]);
        require(i % 16 != 0 || sparse_validate(set));
    }
    ck_assert(sparse_validate(set));
    for (size_t left = count; left > 0; left--) {
        size_t which = test_random(&state) % left;
        require(sparse_release(set, numbers[which]) && !sparse_has(set, numbers[which]));
        numbers[which] = numbers[left - 1];
        require(sparse_has(set, numbers[0]) || left == 1);
        require(left % 16 != 0 || sparse_validate(set));
    }
    ck_assert(sparse_validate(set));
    ck_assert(set->lone.filled == filled_before);
    free(numbers);
}

START_TEST(numbers_that_meet_pass_full_lines_and_are_fetched_back) {
    sparse *set = make(WIDTHS[_i].size, 1000);
    crowd_one_line(set, 8, 0);
    crowd_one_line(set, 100, 0); /* beyond the last line, to the first */
    for (uint64_t i = 0; i < 300; i++)
        take(set, WIDTHS[_i].number(i << 10)); /* among others that stand in the way */
    for (int round = 0; round < 20; round++)
        crowd_one_line(set, 60, 300);
    sparse_destroy(set);
}
END_TEST

START_TEST(more_may_pass_a_line_than_it_can_count) {
    sparse *set = make(WIDTHS[_i].size, 1000);
    for (uint64_t i = 0; i < 300; i++)
        take(set, WIDTHS[_i].number(i << 10));
    crowd_one_line(set, PASSED_MAX + 100, 300);
    crowd_one_line(set, 50, 300); /* whatever the counts are now */
    for (uint64_t i = 0; i < 300; i++)
        require(sparse_release(set, WIDTHS[_i].number(i << 10)));
    ck_assert(sparse_validate(set));
    ck_assert(sparse_count_free(set, 0, set->size) == set->size);
    sparse_destroy(set);
}
END_TEST

START_TEST(numbers_that_meet_under_one_key_do_not_under_another) {
    sparse *one = make(WIDTHS[_i].size, 0), *other = make(WIDTHS[_i].size, 0);
    bool seen[256] = {false};
    int homes = 0;
    uint64_t from = 0;
    for (int i = 0; i < 64; i++) {
        unsigned home = (unsigned)(hash_of(&other->key, key_of(meeting(one, 7, &from))) >> 56);
        homes += !seen[home];
        seen[home] = true;
    }
    ck_assert_int_gt(homes, 32); /* 57 expected */
    sparse_destroy(one);
    sparse_destroy(other);
}
END_TEST

/* People number in steps. Whatever the step, the lines fill as by chance: among 2000 numbers in
 * 4767 places some ten pass a line. */
START_TEST(numbers_in_steps_spread_as_random_ones_do) {
    sparse *set = make(WIDTHS[_i].size, 0);
    for (unsigned bits = 6; bits < (set->lone.wide ? 116 : 53); bits++) {
        u128 base = random_wide((u128)1 << bits);
        for (u128 i = 0; i < 2000; i++)
            take(set, base + (i << bits));
        uint64_t passed = 0;
        for (size_t i = 0; i < set->lone.lines; i++)
            passed += lone_line(&set->lone, i)[0] >> PASSED_SHIFT;
        require(set->lone.filled == 2000 && passed < 140);
        for (u128 i = 0; i < 2000; i++)
            require(sparse_release(set, base + (i << bits)));
    }
    sparse_destroy(set);
}
END_TEST

/* ---- walks ---- */

START_TEST(a_walk_sees_what_was_taken_and_released_since_it_began) {
    sparse *set = make(U128_MAX, 0);
    const u128 step = 1000;
    u128 number;
    for (u128 i = 0; i < 5000; i++)
        take(set, i * step);
    require(sparse_next_taken(set, 1, &number) && number == step);
    for (u128 i = 0; i < 5000; i++) { /* more than a sorted list may miss */
        take(set, i * step + 500);
        require(sparse_next_taken(set, i * step + 1, &number) && number == i * step + 500);
        require(sparse_release(set, i * step));
        require(sparse_next_taken(set, i * step, &number) && number == i * step + 500);
        require(sparse_next_taken(set, 0, &number) && number == 500);
    }
    ck_assert(sparse_release(set, 500));
    ck_assert(sparse_next_taken(set, 0, &number) && number == 1500);
    take(set, 500); /* once more what a walk has passed as gone */
    ck_assert(sparse_next_taken(set, 0, &number) && number == 500);
    sparse_destroy(set);
}
END_TEST

START_TEST(what_a_walk_sorted_is_dropped_when_half_of_it_is_gone) {
    enum { HELD = 1000 };
    u128 *held = calloc(HELD, sizeof *held), number;
    sparse *set = make((u128)1 << 64, 256);
    for (int i = 0; i < HELD; i++)
        require(claim_any(set, BITMAP_RANDOM, true, &held[i]) == IPALLOC_OK);
    require(sparse_next_taken(set, 0, &number) && set->sorted != NULL);
    for (int i = 0; i <= HELD / 2; i++)
        require(sparse_release(set, held[i]));
    ck_assert_ptr_null(set->sorted);
    sparse_destroy(set);
    free(held);
}
END_TEST

START_TEST(a_walk_sees_what_was_claimed_since_it_began) {
    sparse *set = make((u128)1 << 64, 256);
    u128 claimed, number;
    for (int i = 0; i < 500; i++) {
        require(claim_any(set, BITMAP_RANDOM, true, &claimed) == IPALLOC_OK);
        require(sparse_next_taken(set, claimed, &number) && number == claimed);
        require(sparse_next_taken(set, claimed & ~(u128)63 & ~(u128)64, &number));
        require(number == claimed);
    }
    sparse_destroy(set);
}
END_TEST

/* ---- picks ---- */

START_TEST(the_lowest_free_number_is_found_after_releases_and_inclusions) {
    const u128 split = (u128)1 << 100;
    sparse *set = make(U128_MAX, split);
    u128 number;
    exclude(split, split + 9);
    for (u128 i = 10; i < 200; i++) {
        require(sparse_find_any(set, &h, BITMAP_LOWEST, split, U128_MAX, NULL, NULL, &number));
        require(number == split + i);
        take(set, number);
    }
    ck_assert(sparse_release(set, split + 77));
    ck_assert(sparse_find_any(set, &h, BITMAP_LOWEST, split, U128_MAX, NULL, NULL, &number));
    ck_assert(number == split + 77);
    include(set, split + 3, split + 4);
    ck_assert(sparse_find_any(set, &h, BITMAP_LOWEST, split, U128_MAX, NULL, NULL, &number));
    ck_assert(number == split + 3);
    ck_assert(sparse_find_any(set, &h, BITMAP_LOWEST, 0, split, NULL, NULL, &number));
    ck_assert(number == 0);
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

/* Find and take in two steps, or in one. OK; FULL. */
static int claim(sparse *set, enum bitmap_choice choice, bool at_once, bool upper, u128 *number) {
    if (at_once)
        return claim_any(set, choice, upper, number);
    if (!sparse_find_any(set, &h, choice, upper ? set->split : 0, upper ? set->size : set->split,
                         NULL, NULL, number))
        return IPALLOC_E_FULL;
    return sparse_take(set, *number); /* OK only if it was free */
}

START_TEST(a_lone_number_that_is_released_is_the_lowest_free_again) {
    sparse *set = make((u128)1 << 64, 0);
    u128 number;
    for (u128 leaf = 0; leaf < 50; leaf++) { /* one number of each leaf is left */
        exclude(64 * leaf + 1, 64 * leaf + 63);
        require(claim_any(set, BITMAP_LOWEST, true, &number) == IPALLOC_OK);
        require(number == 64 * leaf);
    }
    for (u128 leaf = 49; leaf > 10; leaf--) {
        require(sparse_release(set, 64 * leaf));
        require(sparse_find_any(set, &h, BITMAP_LOWEST, 0, set->size, NULL, NULL, &number));
        require(number == 64 * leaf);
    }
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

START_TEST(a_claim_sees_what_was_taken_in_the_leaf_of_the_number_drawn_ahead) {
    sparse *set = make((u128)1 << 64, 256);
    u128 number;
    for (int i = 0; i < 100; i++) {
        require(claim_any(set, BITMAP_RANDOM, true, &number) == IPALLOC_OK);
        require(set->claims_at_once); /* or the rest proves nothing */
        u128 ahead = set->ahead.number;
        take(set, ahead ^ 1);
        take(set, ahead ^ 2);
        require(claim_any(set, BITMAP_RANDOM, true, &number) == IPALLOC_OK);
        require(sparse_has(set, ahead ^ 1) && sparse_has(set, ahead ^ 2));
        require(sparse_validate(set));
        require(sparse_release(set, ahead ^ 1) && sparse_release(set, ahead ^ 2));
        require(sparse_release(set, number));
    }
    sparse_destroy(set);
}
END_TEST

START_TEST(a_side_fills_to_its_last_number_and_then_there_is_none) {
    enum { SIZE = 700, SPLIT = 130 };
    sparse *set = make(SIZE, SPLIT);
    exclude(120, 199);
    const u128 begins[] = {0, SPLIT}, ends[] = {SPLIT, SIZE}, counts[] = {120, 500};
    u128 number;
    for (int side = 0; side < 2; side++) {
        for (u128 i = 0; i < counts[side]; i++) {
            require(claim(set, choice_of(_i % 2), _i >= 2, side, &number) == IPALLOC_OK);
            require(number >= begins[side] && number < ends[side]);
            require(number < 120 || number > 199);
        }
        ck_assert_status(claim(set, choice_of(_i % 2), _i >= 2, side, &number), IPALLOC_E_FULL);
        ck_assert(sparse_validate(set));
        ck_assert(sparse_count_free(set, begins[side], ends[side]) == 0);
    }
    for (u128 i = 0; i < SIZE; i++) { /* one free number among all the taken ones */
        if (!sparse_release(set, i))
            continue;
        require(claim(set, choice_of(_i % 2), _i >= 2, i >= SPLIT, &number) == IPALLOC_OK);
        require(number == i);
    }
    sparse_destroy(set);
}
END_TEST

static bool all_but(void *context, u128 number) {
    return number != *(u128 *)context;
}

static bool every(void *context, u128 number) {
    (void)context;
    (void)number;
    return true;
}

START_TEST(a_pick_passes_over_what_is_skipped_and_takes_nothing) {
    sparse *set = make(5000, 1000);
    u128 wanted = 4999, number;
    ck_assert(sparse_find_any(set, &h, choice_of(_i), 1000, 5000, all_but, &wanted, &number));
    ck_assert(number == wanted);
    ck_assert(!sparse_find_any(set, &h, choice_of(_i), 0, 1000, all_but, &wanted, &number));
    ck_assert(!sparse_find_any(set, &h, choice_of(_i), 1000, 5000, every, NULL, &number));
    wanted = 1000;
    ck_assert(sparse_find_any(set, &h, choice_of(_i), 1000, 5000, all_but, &wanted, &number));
    ck_assert(number == wanted);
    ck_assert(sparse_count_free(set, 0, 5000) == 5000);
    sparse_destroy(set);
}
END_TEST

START_TEST(random_picks_spread_over_the_whole_of_the_largest_side) {
    sparse *set = make(U128_MAX, 0);
    exclude(0, U128_MAX / 2); /* the upper half remains: eight parts of 2^124 */
    int parts[8] = {0};
    for (int i = 0; i < 8000; i++) {
        u128 number;
        require(sparse_find_any(set, &h, BITMAP_RANDOM, 0, U128_MAX, NULL, NULL, &number));
        require(number > U128_MAX / 2 && number < U128_MAX);
        parts[(unsigned)(number >> 124) - 8]++;
    }
    for (int i = 0; i < 8; i++) { /* 1000 each, deviation 30 */
        ck_assert_int_gt(parts[i], 800);
        ck_assert_int_lt(parts[i], 1200);
    }
    sparse_destroy(set);
}
END_TEST

/* Without a hole, with one, found or claimed. */
START_TEST(random_picks_are_even_over_what_is_free) {
    enum { SIZE = 1000, DRAWS = 90000 };
    bool hole = _i % 2, at_once = _i >= 2;
    unsigned seen[SIZE] = {0};
    sparse *set = make(SIZE, 0);
    if (hole)
        exclude(100, 799);
    long bytes = memory.bytes;
    for (u128 i = 0; i < SIZE; i += 80) /* each alone: a claim is taken back where it was */
        if (!hole || i < 100 || i > 799)
            take(set, i);
    unsigned free = (unsigned)sparse_count_free(set, 0, SIZE);
    for (int i = 0; i < DRAWS; i++) {
        u128 number;
        require(claim(set, BITMAP_RANDOM, at_once, true, &number) == IPALLOC_OK);
        require(sparse_release(set, number));
        seen[number]++;
    }
    for (u128 i = 0; i < SIZE; i++) {
        if (sparse_has(set, i) || (hole && i >= 100 && i < 800))
            require(seen[i] == 0);
        else /* 91 to 300 expected, standard deviation 10 to 17 */
            require(seen[i] > DRAWS / free * 45 / 100 && seen[i] < DRAWS / free * 16 / 10);
    }
    ck_assert_int_le(memory.bytes - bytes, 64 * 24 + 8 * 64 + 192); /* the smallest tables */
    sparse_destroy(set);
}
END_TEST

START_TEST(a_number_drawn_ahead_is_dropped_when_the_exclusions_change) {
    const u128 quarter = (u128)1 << 62;
    sparse *set = make((u128)1 << 64, 1000);
    for (int i = 0; i < 2000; i++) {
        u128 from = quarter * (test_random(&state) % 3), number;
        require(claim_any(set, BITMAP_RANDOM, true, &number) == IPALLOC_OK);
        require(sparse_release(set, number)); /* nothing is taken when that is excluded: */
        exclude(from, from + 2 * quarter - 1);
        require(claim_any(set, BITMAP_RANDOM, true, &number) == IPALLOC_OK);
        require(number < from || number >= from + 2 * quarter);
        require(sparse_release(set, number));
        include(set, from, from + 2 * quarter - 1);
    }
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

/* A poor source: 64 numbers, again and again. */
static uint64_t drawn_from_few(void *context) {
    (void)context;
    return test_random(&state) << 58 | 12345;
}

START_TEST(a_number_drawn_again_is_not_given_again) {
    u128 numbers[80];
    h.user.random = drawn_from_few;
    sparse *set = make((u128)1 << 64, 256);
    for (int i = 0; i < 80; i++) {
        require(claim_any(set, BITMAP_RANDOM, true, &numbers[i]) == IPALLOC_OK);
        for (int k = 0; k < i; k++)
            require(numbers[k] != numbers[i]);
    }
    for (int i = 0; i < 80; i++)
        require(sparse_release(set, numbers[i]));
    ck_assert(sparse_validate(set));
    sparse_destroy(set);
}
END_TEST

START_TEST(the_same_random_numbers_make_the_same_picks) {
    sparse *sets[2];
    uint64_t start = state, ends[2];
    u128 *picks = calloc(6000, sizeof *picks);
    for (int k = 0; k < 2; k++) {
        state = start;
        sets[k] = make(WIDTHS[_i].size, 1000);
        for (int i = 0; i < 6000; i++) {
            u128 number;
            bool upper = i % 7 != 0;
            require(claim_any(sets[k], BITMAP_RANDOM, upper, &number) == IPALLOC_OK);
            require(k == 0 || number == picks[i]);
            picks[i] = number;
            if (i % 3 == 0)
                sparse_release(sets[k], picks[i / 2]); /* now and then it is gone already */
        }
        ends[k] = state;
    }
    ck_assert(ends[0] == ends[1]);
    sparse_destroy(sets[0]);
    sparse_destroy(sets[1]);
    free(picks);
}
END_TEST

/* ---- random operations against a sorted list ---- */

enum { POOL = 3000, HOLES = 5 };

typedef struct model {
    u128 size, split;
    u128 pool[POOL]; /* sorted, distinct: only these are ever taken, besides picks among them */
    bool taken[POOL];
    size_t count;
    interval holes[HOLES]; /* disjoint */
    bool closed[HOLES];    /* excluded now */
    size_t hole_count;
} model;

static const struct {
    u128 size, split;
} SHAPES[] = {
    {U128_MAX, (u128)1 << 127},
    {U128_MAX, 0},
    {U128_MAX, U128_MAX},
    {((u128)1 << 64) - 2, 256},
    {((u128)1 << 64) + 77, ((u128)1 << 64) - 3},
    {700, 100},
    {3000, 1},
};

static int compare_numbers(const void *a, const void *b) {
    u128 left = *(const u128 *)a, right = *(const u128 *)b;
    return (left > right) - (left < right);
}

/* Dense at the beginning of each side and at the very end, scattered elsewhere. */
static u128 pool_number(const model *m, int index) {
    u128 near = (u128)(index / 4) % m->size;
    switch (index % 8) {
    case 0:
        return near;
    case 1:
        return m->split + near < m->size ? m->split + near : near;
    case 2:
        return m->size - 1 - near;
    default:
        return random_wide(m->size);
    }
}

static void add_hole(model *m, u128 first, u128 last) {
    for (size_t i = 0; i < m->hole_count; i++)
        if (first <= m->holes[i].last + 1 && last + 1 >= m->holes[i].first)
            return;
    m->holes[m->hole_count++] = (interval){first, last};
}

static model *model_make(u128 size, u128 split) {
    model *m = calloc(1, sizeof *m);
    ck_assert_ptr_nonnull(m);
    m->size = size;
    m->split = split;
    for (int i = 0; i < POOL; i++)
        m->pool[i] = size <= POOL ? (u128)i % size : pool_number(m, i);
    qsort(m->pool, POOL, sizeof *m->pool, compare_numbers);
    for (int i = 0; i < POOL; i++)
        if (i == 0 || m->pool[i] != m->pool[m->count - 1])
            m->pool[m->count++] = m->pool[i];
    add_hole(m, 2, 9);
    add_hole(m, size - 5, size - 1);
    add_hole(m, size - size / 4, size - size / 8);
    if (split >= 20 && split < size - 100)
        add_hole(m, split - 3, split + 70);
    return m;
}

static size_t model_index(const model *m, u128 number) { /* m->count: not in the pool */
    const u128 *found = bsearch(&number, m->pool, m->count, sizeof number, compare_numbers);
    return found == NULL ? m->count : (size_t)(found - m->pool);
}

static bool model_excluded(const model *m, u128 number) {
    for (size_t i = 0; i < m->hole_count; i++)
        if (m->closed[i] && m->holes[i].first <= number && number <= m->holes[i].last)
            return true;
    return false;
}

static bool model_free(const model *m, u128 number) {
    size_t index = model_index(m, number);
    return (index == m->count || !m->taken[index]) && !model_excluded(m, number);
}

static u128 model_count_free(const model *m, u128 begin, u128 end) {
    u128 count = end - begin;
    for (size_t i = 0; i < m->count; i++)
        count -= m->taken[i] && begin <= m->pool[i] && m->pool[i] < end;
    for (size_t i = 0; i < m->hole_count; i++) {
        u128 first = m->holes[i].first > begin ? m->holes[i].first : begin;
        u128 after = m->holes[i].last + 1 < end ? m->holes[i].last + 1 : end;
        if (m->closed[i] && first < after)
            count -= after - first;
    }
    return count;
}

static bool skip_odd(void *context, u128 number) {
    (void)context;
    return number & 1;
}

static bool model_lowest(const model *m, u128 begin, u128 end, bool even, u128 *number) {
    for (u128 n = begin; n < end; n++) {
        if (!model_free(m, n) || (even && (n & 1)))
            continue;
        *number = n;
        return true;
    }
    return false;
}

static void take_or_release_one(model *m, sparse *set, bool fill) {
    size_t index = test_random(&state) % m->count;
    u128 number = m->pool[index];
    require(sparse_has(set, number) == m->taken[index]);
    if (test_random(&state) % 4 == 0 ? fill : !fill) {
        require(sparse_release(set, number) == m->taken[index]);
        m->taken[index] = false;
    } else if (!model_excluded(m, number)) {
        bool poor = test_random(&state) % 4 == 0;
        if (poor)
            no_memory_from_now();
        int status = sparse_take(set, number);
        memory_again();
        require(m->taken[index] ? status == IPALLOC_E_TAKEN
                                : status == IPALLOC_OK || (poor && status == IPALLOC_E_NOMEM));
        m->taken[index] = m->taken[index] || status == IPALLOC_OK;
    }
}

static void find_one(const model *m, sparse *set) {
    int side = (int)(test_random(&state) % 2);
    bool even = test_random(&state) % 2, lowest_wanted = test_random(&state) % 2;
    u128 begin = side == 0 ? 0 : m->split, end = side == 0 ? m->split : m->size;
    u128 number = 0, lowest = 0;
    bool found = sparse_find_any(set, &h, lowest_wanted ? BITMAP_LOWEST : BITMAP_RANDOM, begin, end,
                                 even ? skip_odd : NULL, NULL, &number);
    require(found == model_lowest(m, begin, end, even, &lowest));
    if (!found)
        return;
    require(begin <= number && number < end && model_free(m, number));
    require(!even || (number & 1) == 0);
    require(!lowest_wanted || number == lowest);
}

/* Claim, and give it back: the model knows only its own numbers. */
static void claim_one(const model *m, sparse *set) {
    bool upper = test_random(&state) % 2, poor = test_random(&state) % 4 == 0;
    u128 begin = upper ? m->split : 0, end = upper ? m->size : m->split, number;
    u128 free = model_count_free(m, begin, end);
    if (poor)
        no_memory_from_now();
    int status = claim_any(set, choice_of((int)(test_random(&state) % 4 == 0)), upper, &number);
    memory_again();
    require(free == 0 ? status == IPALLOC_E_FULL
                      : status == IPALLOC_OK || (poor && status == IPALLOC_E_NOMEM));
    require(sparse_count_free(set, begin, end) == free - (status == IPALLOC_OK));
    if (status != IPALLOC_OK)
        return;
    require(begin <= number && number < end && model_free(m, number));
    require(sparse_has(set, number) && sparse_release(set, number));
}

static void walk_one_step(const model *m, sparse *set) {
    u128 from = m->pool[test_random(&state) % m->count] + test_random(&state) % 3;
    size_t i = 0;
    while (i < m->count && (!m->taken[i] || m->pool[i] < from))
        i++;
    u128 number;
    if (test_random(&state) % 4 == 0)
        no_memory_from_now();
    bool found = sparse_next_taken(set, from, &number);
    memory_again();
    require(found == (i < m->count));
    require(!found || number == m->pool[i]);
}

static void compare_totals(const model *m, sparse *set) {
    require(sparse_validate(set));
    require(sparse_count_free(set, 0, m->split) == model_count_free(m, 0, m->split));
    require(sparse_count_free(set, m->split, m->size) == model_count_free(m, m->split, m->size));
    size_t i = m->count;
    while (i > 0 && !m->taken[i - 1])
        i--;
    u128 last;
    require(sparse_last_taken(set, &last) == (i > 0));
    require(i == 0 || last == m->pool[i - 1]);
}

static void open_or_close_a_hole(model *m, sparse *set) {
    size_t which = test_random(&state) % m->hole_count;
    interval hole = m->holes[which];
    if (m->closed[which]) {
        include(set, hole.first, hole.last);
        m->closed[which] = false;
        return;
    }
    for (size_t i = 0; i < m->count; i++)
        if (m->taken[i] && hole.first <= m->pool[i] && m->pool[i] <= hole.last)
            return;
    exclude(hole.first, hole.last);
    m->closed[which] = true;
}

/* Release all by walking, and only a part of it now and then. */
static void walk_and_release(model *m, sparse *set, bool all) {
    u128 number, from = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!m->taken[i])
            continue;
        require(sparse_next_taken(set, from, &number) && number == m->pool[i]);
        from = number + 1;
        if (!all && test_random(&state) % 8 == 0)
            continue;
        require(sparse_release(set, number));
        m->taken[i] = false;
    }
    require(!sparse_next_taken(set, from, &number));
}

START_TEST(random_operations_match_a_list) {
    model *m = model_make(SHAPES[_i].size, SHAPES[_i].split);
    sparse *set = make(m->size, m->split);
    for (uint64_t round = test_scaled(6); round > 0; round--) {
        for (int i = 0; i < 3; i++)
            open_or_close_a_hole(m, set);
        for (int i = 0; i < 12000; i++) {
            take_or_release_one(m, set, i % 8000 < 6000);
            if (i % 16 == 0)
                find_one(m, set);
            if (i % 16 == 4)
                claim_one(m, set);
            if (i % 16 == 8 && i % 4000 < 2000)
                walk_one_step(m, set);
            if (i % 500 == 0) {
                open_or_close_a_hole(m, set);
                compare_totals(m, set);
            }
        }
        walk_and_release(m, set, round % 2 == 0);
        compare_totals(m, set);
    }
    sparse_destroy(set);
    free(m);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void) {
    Suite *suite = suite_create("sparse");
    TCase *tc = tcase_create("sparse");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, nothing_leaked);
    tcase_add_test(tc, a_number_is_taken_once_and_released_once);
    tcase_add_test(tc, both_ends_of_the_largest_range_are_numbers_like_any_other);
    tcase_add_test(tc, numbers_are_counted_apart_on_both_sides_and_without_the_excluded);
    tcase_add_test(tc, a_set_for_which_there_is_no_memory_is_null);
    tcase_add_loop_test(tc, memory_stays_within_what_the_header_promises, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, the_table_grows_and_gives_its_memory_back, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, a_take_without_memory_changes_nothing, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, a_second_number_of_a_leaf_without_memory_changes_nothing, 0,
                        COUNT(WIDTHS));
    tcase_add_loop_test(tc, a_claim_without_memory_changes_nothing, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, allocations_are_fewer_than_one_in_a_thousand_claims, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, a_leaf_is_alone_until_its_second_number_and_moves_once, 0,
                        COUNT(WIDTHS));
    tcase_add_loop_test(tc, numbers_that_meet_pass_full_lines_and_are_fetched_back, 0,
                        COUNT(WIDTHS));
    tcase_add_loop_test(tc, more_may_pass_a_line_than_it_can_count, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, numbers_that_meet_under_one_key_do_not_under_another, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, numbers_in_steps_spread_as_random_ones_do, 0, COUNT(WIDTHS));
    tcase_add_test(tc, release_and_walk_need_no_memory);
    tcase_add_test(tc, a_walk_sees_what_was_taken_and_released_since_it_began);
    tcase_add_test(tc, a_walk_sees_what_was_claimed_since_it_began);
    tcase_add_test(tc, what_a_walk_sorted_is_dropped_when_half_of_it_is_gone);
    tcase_add_test(tc, the_lowest_free_number_is_found_after_releases_and_inclusions);
    tcase_add_test(tc, a_lone_number_that_is_released_is_the_lowest_free_again);
    tcase_add_test(tc, a_claim_sees_what_was_taken_in_the_leaf_of_the_number_drawn_ahead);
    tcase_add_loop_test(tc, a_side_fills_to_its_last_number_and_then_there_is_none, 0, 4);
    tcase_add_loop_test(tc, a_pick_passes_over_what_is_skipped_and_takes_nothing, 0, 2);
    tcase_add_test(tc, random_picks_spread_over_the_whole_of_the_largest_side);
    tcase_add_loop_test(tc, random_picks_are_even_over_what_is_free, 0, 4);
    tcase_add_test(tc, a_number_drawn_ahead_is_dropped_when_the_exclusions_change);
    tcase_add_test(tc, a_number_drawn_again_is_not_given_again);
    tcase_add_loop_test(tc, the_same_random_numbers_make_the_same_picks, 0, COUNT(WIDTHS));
    tcase_add_loop_test(tc, random_operations_match_a_list, 0, COUNT(SHAPES));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
