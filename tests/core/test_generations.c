/*
 * test_generations.c: resting numbers by generation: the rules one by one, then random operations
 * against a list that knows each release time.
 */
#include "resting_world.h"

#include "core/generations.h"

#include <stdlib.h>

enum { SIZE = 400, SPLIT = 100, HALF_MS = REST_MS / 2 };

static generations *make_with(uint64_t rest_ms) {
    generations *g = generations_create(&h, SIZE, SPLIT, rest_ms);
    ck_assert_ptr_nonnull(g);
    return g;
}

static generations *make(void) {
    return make_with(REST_MS);
}

/* Look, and throw away what has rested; returns how many. */
static uint64_t settle(generations *g) {
    uint64_t word, numbers, count = 0;
    generations_look(g);
    while (generations_take_rested(g, &word, &numbers))
        count += (unsigned)__builtin_popcountll(numbers);
    return count;
}

static void put(generations *g, uint64_t number, uint64_t released_at_wall_ms) {
    settle(g);
    require(generations_put(g, number, released_at_wall_ms));
}

static bool rests(generations *g, uint64_t number) {
    settle(g);
    return generations_has(g, number);
}

/* Until when it rests, seen millisecond by millisecond; it must not rest for ever. */
static uint64_t watch(generations *g, uint64_t number) {
    for (uint64_t i = 0; rests(g, number); i++, world.wall_ms++)
        require(i < 100 * REST_MS);
    return world.wall_ms;
}

static uint64_t count_all(const generations *g) {
    return generations_count(g, 0) + generations_count(g, 1);
}

static void assert_counts(const generations *g, uint64_t below, uint64_t above) {
    ck_assert_uint_eq(generations_count(g, 0), below);
    ck_assert_uint_eq(generations_count(g, 1), above);
}

static void destroy(generations *g) {
    ck_assert(generations_validate(g));
    generations_destroy(g);
}

/* ---- one number ---- */

START_TEST(a_number_rests_until_it_is_removed_and_only_once) {
    generations *g = make();
    ck_assert(!generations_has(g, 7));
    ck_assert(!generations_remove(g, 7));
    put(g, 7, world.wall_ms);
    ck_assert(generations_has(g, 7));
    ck_assert(!generations_has(g, 8));
    assert_counts(g, 1, 0);
    ck_assert(generations_remove(g, 7));
    ck_assert(!generations_remove(g, 7));
    ck_assert(!generations_has(g, 7));
    assert_counts(g, 0, 0);
    put(g, 7, world.wall_ms); /* and may come again */
    assert_counts(g, 1, 0);
    destroy(g);
}
END_TEST

START_TEST(what_has_rested_is_handed_out_once_and_is_then_gone) {
    generations *g = make();
    put(g, 0, world.wall_ms);
    put(g, 63, world.wall_ms);
    put(g, 130, world.wall_ms);
    world.wall_ms += HALF_MS;
    put(g, 64, world.wall_ms);
    world.wall_ms += REST_MS;
    uint64_t word, numbers;
    generations_look(g);
    ck_assert(generations_take_rested(g, &word, &numbers));
    ck_assert_uint_eq(word, 0);
    ck_assert_uint_eq(numbers, 1 | (uint64_t)1 << 63);
    ck_assert(generations_take_rested(g, &word, &numbers));
    ck_assert_uint_eq(word, 2);
    ck_assert_uint_eq(numbers, (uint64_t)1 << 2);
    ck_assert(!generations_take_rested(g, &word, &numbers));
    ck_assert_uint_eq(settle(g), 0);
    ck_assert(generations_has(g, 64)); /* the next generation rests on */
    assert_counts(g, 1, 0);
    destroy(g);
}
END_TEST

/* ---- how long ---- */

static const uint64_t RESTS[] = {1, 2, 3, 4, 5, 7, 10, 33, 100};

START_TEST(a_rest_is_as_long_as_asked_and_at_most_half_longer_at_every_phase) {
    uint64_t rest = RESTS[_i], half = (rest + 1) / 2, shortest = UINT64_MAX, longest = 0;
    generations *g = make_with(rest);
    for (uint64_t phase = 0; phase < 3 * half; phase++) {
        uint64_t released = (START_MS / half + 10 * (phase + 1)) * half + phase;
        world.wall_ms = released;
        put(g, 7, world.wall_ms);
        uint64_t rested = watch(g, 7) - released;
        ck_assert_uint_ge(rested, rest);
        ck_assert_uint_le(rested, rest + rest / 2 + 2);
        shortest = rested < shortest ? rested : shortest;
        longest = rested > longest ? rested : longest;
    }
    ck_assert_uint_eq(longest, 3 * half);
    ck_assert_uint_eq(shortest, 2 * half + 1);
    destroy(g);
}
END_TEST

START_TEST(all_that_were_released_in_one_epoch_rest_equally_long_and_their_neighbours_do_not) {
    generations *g = make();
    uint64_t last_before = START_MS - 1, first = START_MS, last = START_MS + HALF_MS - 1,
             first_after = START_MS + HALF_MS;
    world.wall_ms = first_after;
    put(g, 1, last_before);
    put(g, 2, first);
    put(g, 3, last);
    put(g, 4, first_after);
    ck_assert_uint_eq(watch(g, 1), START_MS + 2 * HALF_MS);
    ck_assert_uint_eq(count_all(g), 3);
    ck_assert_uint_eq(watch(g, 2), START_MS + 3 * HALF_MS);
    ck_assert(!generations_has(g, 3));
    ck_assert_uint_eq(watch(g, 4), START_MS + 4 * HALF_MS);
    ck_assert_uint_eq(count_all(g), 0);
    destroy(g);
}
END_TEST

START_TEST(a_rest_without_end_never_ends) {
    generations *g = make_with(UINT64_MAX);
    put(g, 7, world.wall_ms);
    world.wall_ms = UINT64_MAX - 1;
    ck_assert(rests(g, 7));
    put(g, 8, world.wall_ms);
    world.wall_ms = UINT64_MAX;
    ck_assert(rests(g, 7) && rests(g, 8));
    destroy(g);
}
END_TEST

START_TEST(at_the_end_of_time_the_last_rests_do_not_end) {
    generations *g = make_with(1);
    world.wall_ms = UINT64_MAX - 3;
    put(g, 1, world.wall_ms);
    world.wall_ms++;
    put(g, 2, world.wall_ms);
    world.wall_ms = UINT64_MAX;
    ck_assert(!rests(g, 1));
    ck_assert(rests(g, 2));
    put(g, 3, UINT64_MAX);
    ck_assert_uint_eq(settle(g), 0);
    assert_counts(g, 2, 0);
    destroy(g);
}
END_TEST

/* A rest is over when the third epoch after its own has begun, however far the clock jumps. */
START_TEST(a_clock_that_jumps_over_epochs_ends_exactly_the_rests_that_are_over) {
    static const struct {
        uint64_t epochs, rested;
    } JUMPS[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 3}, {5, 3}, {6, 3}, {1000000000, 3}};
    for (size_t jump = 0; jump < sizeof JUMPS / sizeof *JUMPS; jump++) {
        world.wall_ms = START_MS;
        generations *g = make();
        put(g, 1, world.wall_ms);
        put(g, 2, world.wall_ms += HALF_MS);
        put(g, 3, world.wall_ms += HALF_MS);
        world.wall_ms += JUMPS[jump].epochs * HALF_MS + HALF_MS - 1;
        ck_assert_uint_eq(settle(g), JUMPS[jump].rested);
        for (uint64_t number = 1; number <= 3; number++)
            ck_assert_int_eq(generations_has(g, number), number > JUMPS[jump].rested);
        put(g, 4, world.wall_ms); /* the slots are as good as new */
        ck_assert_uint_eq(settle(g), 0);
        ck_assert_uint_eq(count_all(g), 4 - JUMPS[jump].rested);
        destroy(g);
    }
}
END_TEST

/* ---- the clock ---- */

START_TEST(a_clock_that_goes_back_ends_no_rest_earlier) {
    generations *g = make();
    put(g, 7, world.wall_ms);
    world.wall_ms += 400;
    settle(g);
    world.wall_ms -= 900000;
    ck_assert(rests(g, 7));
    world.wall_ms += 3 * HALF_MS - 400 - 1;
    ck_assert(rests(g, 7));
    world.wall_ms += 1;
    ck_assert(!rests(g, 7)); /* and no later: somebody looked before it went back */
    destroy(g);
}
END_TEST

START_TEST(a_release_after_the_clock_went_back_rests_its_full_time) {
    generations *g = make();
    settle(g);
    world.wall_ms -= 500000;
    put(g, 8, world.wall_ms);
    uint64_t released = world.wall_ms;
    ck_assert_uint_ge(watch(g, 8) - released, REST_MS);
    destroy(g);
}
END_TEST

START_TEST(a_clock_that_goes_back_from_the_end_of_time_does_not_wrap_around) {
    generations *g = make_with(10);
    world.wall_ms = UINT64_MAX - 100;
    put(g, 1, world.wall_ms);
    world.wall_ms = 1000;
    ck_assert(rests(g, 1)); /* what was lost is added from now on */
    world.wall_ms += 200;
    ck_assert(!rests(g, 1)); /* time stands still at its end */
    put(g, 2, world.wall_ms);
    put(g, 3, UINT64_MAX);
    world.wall_ms += 200;
    ck_assert(rests(g, 2) && rests(g, 3));
    destroy(g);
}
END_TEST

START_TEST(a_release_in_the_future_counts_as_one_of_now) {
    generations *g = make();
    put(g, 1, UINT64_MAX);
    put(g, 2, world.wall_ms + 1);
    put(g, 3, world.wall_ms + 10 * REST_MS);
    put(g, 4, world.wall_ms);
    ck_assert_uint_eq(watch(g, 4), START_MS + 3 * HALF_MS);
    ck_assert_uint_eq(count_all(g), 0);
    destroy(g);
}
END_TEST

/* ---- entries that are restored ---- */

/* How long before the end of an epoch these were released. */
static const uint64_t AGES_MS[] = {
    0, 1, HALF_MS, HALF_MS + 1, 2 * HALF_MS, 2 * HALF_MS + 1, 10 * HALF_MS};
enum { AGES = sizeof AGES_MS / sizeof *AGES_MS };

START_TEST(restored_entries_rest_from_their_release_on_in_whatever_order_they_come) {
    for (int round = 0; round < 50; round++) {
        unsigned order[AGES];
        for (unsigned i = 0; i < AGES; i++) { /* a random order */
            unsigned other = (unsigned)(test_random(&state) % (i + 1));
            order[i] = order[other];
            order[other] = i;
        }
        world.wall_ms = START_MS + HALF_MS - 1;
        generations *g = make();
        generations_look(g);
        for (unsigned i = 0; i < AGES; i++) {
            uint64_t age = AGES_MS[order[i]]; /* of three epochs, as the clock stands */
            ck_assert_int_eq(generations_put(g, order[i], world.wall_ms - age), age < 3 * HALF_MS);
            ck_assert(generations_validate(g));
        }
        uint64_t restored = world.wall_ms;
        for (unsigned i = AGES; i-- > 0;) { /* the oldest first */
            uint64_t released = restored - AGES_MS[i];
            uint64_t end = test_end_of_rest(released, REST_MS);
            ck_assert_uint_eq(watch(g, i), end > restored ? end : restored);
        }
        destroy(g);
    }
}
END_TEST

START_TEST(an_entry_that_has_rested_long_enough_is_not_put_to_rest) {
    generations *g = make();
    world.wall_ms += HALF_MS;
    generations_look(g);
    ck_assert(!generations_put(g, 1, 0));
    ck_assert(!generations_put(g, 1, START_MS - 2 * HALF_MS - 1));
    ck_assert(!generations_has(g, 1));
    ck_assert_uint_eq(count_all(g), 0);
    ck_assert(generations_put(g, 1, START_MS - HALF_MS)); /* the first instant that rests */
    ck_assert_uint_eq(watch(g, 1), START_MS + 2 * HALF_MS);
    destroy(g);
}
END_TEST

/* ---- all of them ---- */

START_TEST(each_side_of_the_split_has_its_count) {
    static const uint64_t SPLITS[] = {0, 1, 63, 64, 65, 100, SIZE - 1, SIZE};
    for (size_t i = 0; i < sizeof SPLITS / sizeof *SPLITS; i++) {
        generations *g = generations_create(&h, SIZE, SPLITS[i], REST_MS);
        for (uint64_t number = 0; number < SIZE; number++)
            put(g, number, world.wall_ms - number % 3 * HALF_MS); /* three generations */
        assert_counts(g, SPLITS[i], SIZE - SPLITS[i]);
        for (uint64_t number = 0; number < SIZE; number += 5)
            ck_assert(generations_remove(g, number));
        uint64_t below = SPLITS[i] - (SPLITS[i] + 4) / 5;
        assert_counts(g, below, SIZE / 5 * 4 - below);
        for (uint64_t left = 3; left > 0; left--) { /* and each is right as they end */
            ck_assert(generations_validate(g));
            uint64_t seen[2] = {0, 0}, number;
            for (uint64_t from = 0; generations_next(g, from, &number); from = number + 1)
                seen[number >= SPLITS[i]]++;
            assert_counts(g, seen[0], seen[1]);
            world.wall_ms += HALF_MS;
            settle(g);
        }
        assert_counts(g, 0, 0);
        destroy(g);
    }
}
END_TEST

START_TEST(both_ends_of_every_size_are_numbers_like_any_other) {
    static const uint64_t SIZES[] = {1, 2, 63, 64, 65, 127, 128, 129, 254, (uint64_t)1 << 24};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        uint64_t size = SIZES[i], number;
        generations *g = generations_create(&h, size, size / 2, REST_MS);
        put(g, size - 1, world.wall_ms);
        ck_assert(generations_next(g, 0, &number) && number == size - 1);
        ck_assert(!generations_next(g, size, &number));
        if (size > 1)
            put(g, 0, world.wall_ms);
        ck_assert(generations_oldest(g, &number) && number == 0);
        assert_counts(g, size > 1, 1);
        ck_assert(generations_validate(g));
        world.wall_ms += 3 * HALF_MS;
        ck_assert_uint_eq(settle(g), size > 1 ? 2 : 1);
        destroy(g);
    }
}
END_TEST

START_TEST(a_range_without_numbers_has_none_to_rest) {
    generations *g = generations_create(&h, 0, 0, REST_MS);
    uint64_t number;
    ck_assert_uint_eq(settle(g), 0);
    world.wall_ms += 10 * REST_MS;
    ck_assert_uint_eq(settle(g), 0);
    ck_assert(!generations_oldest(g, &number));
    ck_assert(!generations_next(g, 0, &number));
    assert_counts(g, 0, 0);
    destroy(g);
}
END_TEST

START_TEST(the_oldest_is_the_lowest_number_of_the_oldest_generation) {
    generations *g = make();
    uint64_t number;
    ck_assert(!generations_oldest(g, &number));
    for (int turn = 0; turn < 3; turn++) { /* each slot is the oldest once */
        static const uint64_t PUT[] = {301, 300, 10, 350, 200, 5};
        static const uint64_t OLDEST[] = {300, 301, 10, 350, 5, 200};
        for (int i = 0; i < 6; i++) {
            put(g, PUT[i], world.wall_ms);
            world.wall_ms += i % 2 == 1 && i < 5 ? HALF_MS : 1;
        }
        for (int i = 0; i < 6; i++) {
            ck_assert(generations_oldest(g, &number));
            ck_assert_uint_eq(number, OLDEST[i]);
            ck_assert(generations_remove(g, number));
        }
        ck_assert(!generations_oldest(g, &number));
        world.wall_ms += HALF_MS;
    }
    put(g, 390, world.wall_ms);
    ck_assert(generations_oldest(g, &number) && number == 390);
    put(g, 20, world.wall_ms); /* of the same generation, before where the search has got to */
    ck_assert(generations_oldest(g, &number) && number == 20);
    destroy(g);
}
END_TEST

START_TEST(words_and_the_walk_show_what_rests_in_any_generation) {
    generations *g = make();
    for (uint64_t number = 3; number < SIZE; number += 7) {
        put(g, number, world.wall_ms);
        world.wall_ms += number % 14 == 3 ? HALF_MS / 20 : 0;
    }
    uint64_t next, from = 0;
    for (uint64_t number = 0; number < SIZE; number++) {
        bool expected = number % 7 == 3;
        ck_assert_int_eq(generations_word(g, number / 64) >> number % 64 & 1, expected);
        if (!expected)
            continue;
        ck_assert(generations_next(g, from, &next) && next == number);
        ck_assert(generations_next(g, number, &next) && next == number);
        from = number + 1;
    }
    ck_assert(!generations_next(g, from, &next));
    destroy(g);
}
END_TEST

/* ---- memory ---- */

START_TEST(every_allocation_of_a_creation_may_fail_and_nothing_leaks) {
    generations *g = NULL;
    for (world.memory.fail_once = 1; g == NULL; world.memory.fail_once++) {
        world.memory.calls = 0;
        g = generations_create(&h, SIZE, SPLIT, REST_MS);
        if (g == NULL)
            ck_assert_int_eq(world.memory.live, 0);
    }
    ck_assert_int_eq(world.memory.fail_once - 2, world.memory.calls);
    destroy(g);
}
END_TEST

START_TEST(after_creation_nothing_is_allocated) {
    generations *g = make();
    long calls = world.memory.calls;
    world.memory.fail_from = calls + 1;
    for (uint64_t number = 0; number < SIZE; number++)
        put(g, number, world.wall_ms - number);
    for (uint64_t number = 0; number < SIZE; number += 2)
        ck_assert(generations_remove(g, number));
    world.wall_ms += 3 * HALF_MS;
    ck_assert_uint_eq(settle(g), SIZE / 2);
    ck_assert_int_eq(world.memory.calls, calls);
    destroy(g);
}
END_TEST

START_TEST(memory_is_two_bits_a_number) {
    static const uint64_t SIZES[] = {1 << 8, 1 << 16, 1 << 20};
    generations *g = generations_create(&h, SIZES[_i], 256, REST_MS);
    /* and a struct of less than 512 bytes; malloc rounds a large block up to a page */
    ck_assert_int_le(world.memory.bytes,
                     (long)SIZES[_i] / 4 + (SIZES[_i] > 1 << 16 ? 4096 : 0) + 512);
    destroy(g);
}
END_TEST

/* ---- random operations against a list ---- */

typedef struct listed {
    bool rests;
    uint64_t since;
} listed;

typedef struct list {
    listed numbers[SIZE];
    uint64_t rest_ms, now_ms, wall_ms; /* as of the last look */
} list;

static void list_look(list *l) {
    l->now_ms += world.wall_ms > l->wall_ms ? world.wall_ms - l->wall_ms : 0;
    l->wall_ms = world.wall_ms;
}

static bool list_is_over(const list *l, uint64_t since) {
    return test_end_of_rest(since, l->rest_ms) <= l->now_ms;
}

/* Exactly those are handed out whose rest is over, each once. */
static void compare_settle(list *l, generations *g) {
    uint64_t word, numbers;
    list_look(l);
    generations_look(g);
    while (generations_take_rested(g, &word, &numbers)) {
        require(numbers != 0);
        for (; numbers != 0; numbers &= numbers - 1) {
            uint64_t number = word * 64 + (unsigned)__builtin_ctzll(numbers);
            require(number < SIZE && l->numbers[number].rests);
            require(list_is_over(l, l->numbers[number].since));
            l->numbers[number].rests = false;
        }
    }
    for (uint64_t number = 0; number < SIZE; number++)
        require(!l->numbers[number].rests || !list_is_over(l, l->numbers[number].since));
}

static void compare_put(list *l, generations *g, uint64_t number) {
    compare_settle(l, g);
    uint64_t age = test_random(&state) % 2 == 0 ? 0 : test_random(&state) % (2 * l->rest_ms + 2);
    bool future = test_random(&state) % 8 == 0;
    listed *entry = &l->numbers[number];
    entry->since = future ? l->now_ms : l->now_ms - age;
    entry->rests = !list_is_over(l, entry->since);
    require(generations_put(g, number, future ? world.wall_ms + age : world.wall_ms - age) ==
            entry->rests);
}

static void compare_oldest(const list *l, generations *g) {
    uint64_t best = SIZE, number;
    for (uint64_t i = 0; i < SIZE; i++) {
        if (!l->numbers[i].rests)
            continue;
        if (best == SIZE || test_end_of_rest(l->numbers[i].since, l->rest_ms) <
                                test_end_of_rest(l->numbers[best].since, l->rest_ms))
            best = i;
    }
    require(generations_oldest(g, &number) == (best < SIZE));
    require(best == SIZE || number == best);
}

static void compare_all(const list *l, const generations *g) {
    uint64_t counts[2] = {0, 0};
    for (uint64_t number = 0; number < SIZE; number++) {
        require(generations_has(g, number) == l->numbers[number].rests);
        counts[number >= SPLIT] += l->numbers[number].rests;
    }
    require(generations_count(g, 0) == counts[0] && generations_count(g, 1) == counts[1]);
    require(generations_validate(g));
}

static void move_the_clock(const list *l) {
    uint64_t step = test_random(&state) % (l->rest_ms / 4 + 2);
    uint64_t kind = test_random(&state) % 16;
    world.wall_ms += kind == 0 ? 10 * step : kind < 4 ? -3 * step : step;
    if (world.wall_ms < 100 * l->rest_ms || world.wall_ms > UINT64_MAX / 2)
        world.wall_ms = START_MS;
}

START_TEST(random_operations_match_a_list) {
    static list l;
    l = (list){.rest_ms = RESTS[_i], .now_ms = world.wall_ms, .wall_ms = world.wall_ms};
    generations *g = make_with(l.rest_ms);
    for (uint64_t i = test_scaled(20000); i > 0; i--) {
        uint64_t number = test_random(&state) % SIZE;
        bool put_it = test_random(&state) % 4 > 0;
        if (l.numbers[number].rests && !put_it) {
            require(generations_remove(g, number));
            l.numbers[number].rests = false;
        } else if (!l.numbers[number].rests && put_it) {
            compare_put(&l, g, number);
        } else {
            require(generations_has(g, number) == l.numbers[number].rests);
        }
        if (i % 64 == 1)
            move_the_clock(&l);
        if (i % 64 == 0)
            compare_settle(&l, g);
        if (i % 8 == 3)
            compare_oldest(&l, g);
        if (i % 128 == 0)
            compare_all(&l, g);
    }
    destroy(g);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void) {
    Suite *suite = suite_create("generations");
    TCase *tc = tcase_create("generations");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, nothing_leaked);
    const TTest *const rules[] = {
        a_number_rests_until_it_is_removed_and_only_once,
        what_has_rested_is_handed_out_once_and_is_then_gone,
        all_that_were_released_in_one_epoch_rest_equally_long_and_their_neighbours_do_not,
        a_rest_without_end_never_ends,
        at_the_end_of_time_the_last_rests_do_not_end,
        a_clock_that_jumps_over_epochs_ends_exactly_the_rests_that_are_over,
        a_clock_that_goes_back_ends_no_rest_earlier,
        a_release_after_the_clock_went_back_rests_its_full_time,
        a_clock_that_goes_back_from_the_end_of_time_does_not_wrap_around,
        a_release_in_the_future_counts_as_one_of_now,
        restored_entries_rest_from_their_release_on_in_whatever_order_they_come,
        an_entry_that_has_rested_long_enough_is_not_put_to_rest,
        each_side_of_the_split_has_its_count,
        both_ends_of_every_size_are_numbers_like_any_other,
        a_range_without_numbers_has_none_to_rest,
        the_oldest_is_the_lowest_number_of_the_oldest_generation,
        words_and_the_walk_show_what_rests_in_any_generation,
        every_allocation_of_a_creation_may_fail_and_nothing_leaks,
        after_creation_nothing_is_allocated,
    };
    for (int i = 0; i < COUNT(rules); i++)
        tcase_add_test(tc, rules[i]);
    tcase_add_loop_test(tc, a_rest_is_as_long_as_asked_and_at_most_half_longer_at_every_phase, 0,
                        COUNT(RESTS));
    tcase_add_loop_test(tc, memory_is_two_bits_a_number, 0, 3);
    tcase_add_loop_test(tc, random_operations_match_a_list, 0, COUNT(RESTS));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
