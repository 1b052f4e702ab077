/*
 * test_bitmap_cost.c: what the bitmap's operations cost, counted in words read and words changed.
 *
 * The real bitmap*.c with counting atomics (atomic_count.h), so that the promises of the headers
 * about cost are tested without a clock.
 */
#include "support.h"

#include "core/bitmap.h"

#include <stdlib.h>

uint64_t counted_loads, counted_changes;

typedef struct cost {
    uint64_t loads, changes;
} cost;

static hooks h;
static uint64_t seed;

/* Random numbers through a hook, so that the same source runs with plain words. */
static uint64_t next_random(void *context) {
    (void)context;
    return test_random(&seed);
}

static void set_up(void) {
    const ipalloc_hooks user = {.size = sizeof user, .random = next_random};
    seed = test_seed();
    ck_assert_status(hooks_init(&h, &user, NULL), IPALLOC_OK);
}

static void start_counting(void) {
    counted_loads = counted_changes = 0;
}

static cost counted(void) {
    return (cost){counted_loads, counted_changes};
}

static bitmap *make(uint64_t size) {
    bitmap *map = bitmap_create(&h, size);
    ck_assert_ptr_nonnull(map);
    return map;
}

/* A map with every number taken but a random share. */
static bitmap *make_filled(uint64_t size, uint64_t free_per_thousand) {
    bitmap *map = make(size);
    for (uint64_t i = 0; i < size; i++)
        if (test_random(&seed) % 1000 >= free_per_thousand)
            bitmap_take(map, i);
    return map;
}

static uint64_t claim(bitmap *map, uint64_t size) {
    uint64_t number;
    ck_assert(bitmap_claim_any(map, &h, BITMAP_RANDOM, 0, size, &number));
    return number;
}

START_TEST(a_usual_claim_and_release_change_one_word_each) {
    enum { SIZE = 1 << 16, ROUNDS = 2000 };
    bitmap *map = make_filled(SIZE, 500);
    for (int i = 0; i < ROUNDS; i++) {
        start_counting();
        uint64_t number = claim(map, SIZE);
        cost one = counted();
        ck_assert_uint_eq(one.changes, 1);
        ck_assert_uint_le(one.loads, 4); /* density, the word, and the word again */
        start_counting();
        ck_assert(bitmap_release(map, number));
        one = counted();
        ck_assert_uint_eq(one.changes, 1);
        ck_assert_uint_le(one.loads, 3); /* the word, and a flag a level */
    }
    bitmap_destroy(&h, map);
}
END_TEST

/* Free per thousand, and the most words that a claim may read on average there. */
static const struct {
    uint64_t free_per_thousand, loads, changes_per_ten;
} FILLS[] = {{500, 4, 10}, {100, 6, 10}, {50, 10, 11}, {10, 16, 14}, {5, 24, 20}, {1, 40, 30}};

START_TEST(a_claim_reads_little_at_any_fill) {
    enum { SIZE = 1 << 18, ROUNDS = 4000 };
    bitmap *map = make_filled(SIZE, FILLS[_i].free_per_thousand);
    for (int i = 0; i < ROUNDS; i++) /* let it find out how full the map is */
        bitmap_release(map, claim(map, SIZE));
    cost all = {0, 0};
    for (int i = 0; i < ROUNDS; i++) {
        start_counting();
        uint64_t number = claim(map, SIZE);
        all.loads += counted().loads;
        all.changes += counted().changes;
        bitmap_release(map, number);
    }
    ck_assert_msg(all.loads <= FILLS[_i].loads * ROUNDS, "%llu words read in %d claims",
                  (unsigned long long)all.loads, ROUNDS);
    ck_assert_msg(all.changes * 10 <= FILLS[_i].changes_per_ten * ROUNDS,
                  "%llu words changed in %d claims", (unsigned long long)all.changes, ROUNDS);
    bitmap_destroy(&h, map);
}
END_TEST

START_TEST(the_one_free_number_of_the_largest_map_is_found_by_way_of_the_flags) {
    enum { ROUNDS = 500 };
    uint64_t size = BITMAP_SIZE_MAX, stamp, number;
    enum bitmap_choice choice = _i == 0 ? BITMAP_RANDOM : BITMAP_LOWEST;
    bitmap *map = make_filled(size, 0);
    ck_assert(bitmap_prove_full(map, &stamp, &number));
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t hole = test_random(&seed) % size;
        ck_assert(bitmap_release(map, hole));
        start_counting();
        ck_assert(bitmap_claim_any(map, &h, choice, 0, size, &number));
        ck_assert_uint_eq(number, hole);
        ck_assert_uint_le(counted().loads, 160); /* of 262,144 words: a node a level, and lines */
        ck_assert_uint_le(counted().changes, 1 + 3); /* the word, and a flag a level */
    }
    bitmap_destroy(&h, map);
}
END_TEST

START_TEST(full_asked_again_reads_two_words) {
    uint64_t size = BITMAP_SIZE_MAX, stamp, number;
    bitmap *map = make_filled(size, 0);
    ck_assert(bitmap_prove_full(map, &stamp, &number));
    start_counting();
    ck_assert(bitmap_prove_full(map, &stamp, &number));
    ck_assert_uint_eq(counted().loads, 2);
    ck_assert_uint_eq(counted().changes, 0);
    start_counting();
    ck_assert(bitmap_still_full(map, stamp));
    ck_assert_uint_eq(counted().loads, 1);
    bitmap_destroy(&h, map);
}
END_TEST

START_TEST(many_at_once_change_one_word_for_all_that_is_taken_of_it) {
    enum { SIZE = 1 << 16, MANY = 4096 };
    bitmap *map = make_filled(SIZE, 500);
    uint64_t *numbers = calloc(MANY, sizeof *numbers);
    start_counting();
    ck_assert_uint_eq(bitmap_claim_many(map, &h, BITMAP_RANDOM, 0, SIZE, MANY, numbers), MANY);
    ck_assert_uint_le(counted().changes, MANY / 24); /* some 32 of a word are free */
    ck_assert_uint_le(counted().loads, MANY / 12);
    free(numbers);
    bitmap_destroy(&h, map);
}
END_TEST

START_TEST(a_block_changes_one_word_for_every_64_numbers) {
    enum { SIZE = 1 << 16, BLOCK = 1024 };
    bitmap *map = make(SIZE);
    start_counting();
    uint64_t first = bitmap_claim_block(map, &h, BITMAP_RANDOM, 0, SIZE, BLOCK);
    ck_assert_uint_ne(first, BITMAP_NONE);
    ck_assert_uint_eq(first % BLOCK, 0);
    ck_assert_uint_eq(counted().changes, BLOCK / 64);
    bitmap_destroy(&h, map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bitmap cost");
    TCase *tc = tcase_create("bitmap cost");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, a_usual_claim_and_release_change_one_word_each);
    tcase_add_loop_test(tc, a_claim_reads_little_at_any_fill, 0, sizeof FILLS / sizeof *FILLS);
    tcase_add_loop_test(tc, the_one_free_number_of_the_largest_map_is_found_by_way_of_the_flags, 0,
                        2);
    tcase_add_test(tc, full_asked_again_reads_two_words);
    tcase_add_test(tc, many_at_once_change_one_word_for_all_that_is_taken_of_it);
    tcase_add_test(tc, a_block_changes_one_word_for_every_64_numbers);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
