/*
 * test_bitmap.c: the concurrent bitmap against a plain array, alone and with four threads.
 */
#include "support.h"

#include "core/bitmap.h"
#include "core/bits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static hooks h;

static void set_up(void) {
    ck_assert_status(hooks_init(&h, NULL, NULL), IPALLOC_OK);
}

static bitmap *make(uint64_t size) {
    bitmap *map = bitmap_create(&h, size);
    ck_assert_ptr_nonnull(map);
    return map;
}

static void take_all(bitmap *map, uint64_t size) {
    for (uint64_t i = 0; i < size; i++)
        require(bitmap_take(map, i));
}

/* Both ways of choosing, by loop index. */
static enum bitmap_choice choice_of(int index) {
    return index == 0 ? BITMAP_RANDOM : BITMAP_LOWEST;
}

/* ---- bits.h ---- */

static unsigned select_slowly(uint64_t word, unsigned rank) {
    for (unsigned i = 0;; i++) {
        if ((word >> i & 1) != 0 && rank-- == 0)
            return i;
    }
}

BITS_FAST static void check_fast_words(const uint64_t *words) {
    uint8_t written[64], expected[64];
    unsigned nonzero = bits_nonzero_fast(words);
    for (unsigned i = 0; i < 8; i++)
        require((nonzero >> i & 1) == (words[i] != 0));
    bits_write_not_fast(words, 2, written + sizeof written);
    for (unsigned i = 0; i < 64; i++)
        expected[63 - i] = (uint8_t) ~(words[i / 8] >> i % 8 * 8);
    ck_assert_mem_eq(written, expected, sizeof written);
}

START_TEST(eight_words_at_once_are_seen_as_one_by_one) {
    _Alignas(64) uint64_t words[8];
    uint64_t state = test_seed();
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 8; i++)
            words[i] = test_random(&state) % 3 == 0 ? 0 : test_random(&state);
        if (bits_fast_supported())
            check_fast_words(words);
    }
}
END_TEST

BITS_FAST static void check_fast_bits(uint64_t word) {
    unsigned count = bits_count_plain(word);
    require(bits_count_fast(word) == count);
    for (unsigned rank = 0; rank < count; rank++)
        require(bits_select_fast(word, rank) == bits_select_plain(word, rank));
}

START_TEST(both_forms_of_counting_and_selecting_agree) {
    uint64_t state = test_seed();
    for (int i = 0; i < 20000; i++) {
        uint64_t word = test_random(&state);
        for (uint64_t thin = test_random(&state) % 8; thin > 0; thin--)
            word &= test_random(&state);
        if (i < 3)
            word = (const uint64_t[]){0, UINT64_MAX, (uint64_t)1 << 63}[i];
        unsigned count = bits_count_plain(word);
        require(count == (unsigned)__builtin_popcountll(word));
        for (unsigned rank = 0; rank < count; rank++)
            require(bits_select_plain(word, rank) == select_slowly(word, rank));
        if (bits_fast_supported())
            check_fast_bits(word);
    }
}
END_TEST

/* ---- single numbers ---- */

START_TEST(a_number_is_taken_once_and_released_once) {
    bitmap *map = make(1000);
    ck_assert(!bitmap_is_taken(map, 777));
    ck_assert(bitmap_take(map, 777));
    ck_assert(bitmap_is_taken(map, 777));
    ck_assert(!bitmap_take(map, 777));
    ck_assert_uint_eq(bitmap_count_free(map, 0, 1000), 999);
    ck_assert(bitmap_release(map, 777));
    ck_assert(!bitmap_release(map, 777));
    ck_assert(!bitmap_is_taken(map, 777));
    ck_assert_uint_eq(bitmap_count_free(map, 0, 1000), 1000);
    ck_assert(bitmap_validate(map));
    bitmap_destroy(&h, map);
}
END_TEST

/* ---- sizes ---- */

static void fill_and_empty(uint64_t size, enum bitmap_choice choice) {
    bitmap *map = make(size);
    bool *seen = calloc(size + 1, sizeof *seen);
    uint64_t number = 0, stamp;
    require(bitmap_validate(map));
    require(bitmap_count_free(map, 0, size) == size);
    for (uint64_t i = 0; i < size; i++) {
        require(!bitmap_prove_full(map, &stamp, &number));
        require(number < size && !seen[number]);
        require(bitmap_claim_any(map, &h, choice, 0, size, &number));
        require(number < size && !seen[number]);
        require(choice == BITMAP_RANDOM || number == i);
        seen[number] = true;
    }
    require(!bitmap_claim_any(map, &h, choice, 0, size, &number));
    require(!bitmap_next_free(map, 0, size, &number));
    require(bitmap_prove_full(map, &stamp, &number));
    require(bitmap_still_full(map, stamp));
    require(bitmap_validate(map));
    for (uint64_t i = 0; i < size; i++) {
        require(bitmap_release(map, i));
        require(!bitmap_still_full(map, stamp));
    }
    require(bitmap_count_free(map, 0, size) == size);
    require(!bitmap_next_taken(map, 0, size, &number));
    require(bitmap_validate(map));
    free(seen);
    bitmap_destroy(&h, map);
}

START_TEST(every_size_to_1100_fills_and_empties) {
    for (uint64_t size = 0; size <= 1100; size++)
        fill_and_empty(size, choice_of(_i));
}
END_TEST

static const uint64_t BIG_SIZES[] = {
    (1 << 14) - 1, 1 << 14, (1 << 14) + 1, (1 << 19) - 1, 1 << 19, (1 << 19) + 1, (1 << 19) + 513,
};

START_TEST(sizes_around_a_summary_word_fill_and_empty) {
    fill_and_empty(BIG_SIZES[_i], BITMAP_RANDOM);
}
END_TEST

START_TEST(a_map_of_nothing_is_full) {
    bitmap *map = make(0);
    uint64_t stamp, number;
    ck_assert(bitmap_prove_full(map, &stamp, &number));
    ck_assert(bitmap_still_full(map, stamp));
    ck_assert(!bitmap_claim_any(map, &h, BITMAP_RANDOM, 0, 0, &number));
    ck_assert_uint_eq(bitmap_claim_many(map, &h, BITMAP_RANDOM, 0, 0, 1, &number), 0);
    ck_assert(bitmap_validate(map));
    bitmap_destroy(&h, map);
}
END_TEST

static void *no_memory(void *context, size_t bytes) {
    (void)context;
    (void)bytes;
    return NULL;
}

START_TEST(a_map_for_which_there_is_no_memory_is_null) {
    hooks poor = h;
    poor.user.allocate = no_memory;
    ck_assert_ptr_null(bitmap_create(&poor, 1000));
    bitmap_destroy(&poor, NULL);
}
END_TEST

/* ---- FULL ---- */

START_TEST(a_release_ends_full_for_good) {
    bitmap *map = make(2000);
    uint64_t stamp, later, number;
    take_all(map, 2000);
    ck_assert(bitmap_prove_full(map, &stamp, &number));
    ck_assert(bitmap_release(map, 1234));
    ck_assert(!bitmap_still_full(map, stamp));
    ck_assert(!bitmap_prove_full(map, &later, &number));
    ck_assert_uint_eq(number, 1234);
    ck_assert(bitmap_take(map, 1234));
    ck_assert(bitmap_prove_full(map, &later, &number));
    ck_assert(bitmap_still_full(map, later));
    ck_assert(!bitmap_still_full(map, stamp)); /* it was interrupted */
    bitmap_destroy(&h, map);
}
END_TEST

/* ---- bands ---- */

static const struct {
    uint64_t begin, end;
} BANDS[] = {
    {0, 0},     {0, 1},     {5, 5},      {63, 64},     {63, 65},     {64, 128}, {1, 63},
    {10, 130},  {511, 513}, {256, 1024}, {700, 701},   {1000, 1500}, {0, 2000}, {1999, 2000},
    {320, 400}, {0, 256},   {512, 1024}, {1023, 1537}, {64, 2000},
};

START_TEST(a_claim_stays_in_its_band_and_takes_all_of_it) {
    uint64_t begin = BANDS[_i].begin, end = BANDS[_i].end, number;
    for (int c = 0; c < 2; c++) {
        bitmap *map = make(2000);
        for (uint64_t i = begin; i < end; i++) {
            ck_assert(bitmap_claim_any(map, &h, choice_of(c), begin, end, &number));
            ck_assert(number >= begin && number < end);
        }
        ck_assert(!bitmap_claim_any(map, &h, choice_of(c), begin, end, &number));
        ck_assert(!bitmap_find_any(map, &h, choice_of(c), begin, end, NULL, NULL, &number));
        ck_assert(!bitmap_next_free(map, begin, end, &number));
        ck_assert_uint_eq(bitmap_count_free(map, begin, end), 0);
        ck_assert_uint_eq(bitmap_count_free(map, 0, 2000), 2000 - (end - begin));
        ck_assert(bitmap_validate(map));
        bitmap_destroy(&h, map);
    }
}
END_TEST

START_TEST(the_one_free_number_of_a_band_is_found) {
    uint64_t begin = BANDS[_i].begin, end = BANDS[_i].end, number;
    bitmap *map = make(2000);
    for (uint64_t i = begin; i < end; i++)
        ck_assert(bitmap_take(map, i));
    for (uint64_t hole = begin; hole < end; hole++) {
        ck_assert(bitmap_release(map, hole));
        ck_assert(bitmap_claim_any(map, &h, choice_of(hole % 2), begin, end, &number));
        ck_assert_uint_eq(number, hole);
    }
    bitmap_destroy(&h, map);
}
END_TEST

START_TEST(a_random_claim_reaches_every_number_about_equally) {
    enum { SIZE = 700, BEGIN = 100, TAKEN_END = 500, FREE = SIZE - TAKEN_END, ROUNDS = 400 };
    unsigned hits[SIZE] = {0};
    bitmap *map = make(SIZE);
    uint64_t number;
    for (uint64_t i = BEGIN; i < TAKEN_END; i++)
        require(bitmap_take(map, i));
    for (int i = 0; i < ROUNDS * FREE; i++) {
        require(bitmap_claim_any(map, &h, BITMAP_RANDOM, BEGIN, SIZE, &number));
        require(number >= TAKEN_END);
        hits[number]++;
        require(bitmap_release(map, number));
    }
    for (int i = TAKEN_END; i < SIZE; i++) {
        require(hits[i] > ROUNDS / 8);
        require(hits[i] < ROUNDS * 8);
    }
    bitmap_destroy(&h, map);
}
END_TEST

/* ---- finding without claiming ---- */

static bool is_odd(void *context, uint64_t number) {
    ++*(unsigned *)context;
    return number % 2 != 0;
}

START_TEST(find_passes_over_what_is_skipped_and_claims_nothing) {
    enum bitmap_choice choice = choice_of(_i);
    bitmap *map = make(600);
    unsigned asked = 0;
    uint64_t number;
    for (uint64_t i = 0; i < 600; i += 2) {
        if (i != 530)
            ck_assert(bitmap_take(map, i));
    }
    for (int i = 0; i < 50; i++) {
        ck_assert(bitmap_find_any(map, &h, choice, 3, 600, is_odd, &asked, &number));
        ck_assert_uint_eq(number, 530);
    }
    ck_assert_uint_gt(asked, 0);
    ck_assert(!bitmap_find_any(map, &h, choice, 3, 530, is_odd, &asked, &number));
    ck_assert(!bitmap_find_any(map, &h, choice, 531, 600, is_odd, &asked, &number));
    ck_assert(bitmap_find_any(map, &h, choice, 531, 533, NULL, NULL, &number));
    ck_assert_uint_eq(number, 531);
    ck_assert_uint_eq(bitmap_count_free(map, 0, 600), 301);
    bitmap_destroy(&h, map);
}
END_TEST

/* ---- random operations against an array ---- */

typedef struct model {
    bool taken[3000];
    uint64_t size;
} model;

static void compare(const bitmap *map, const model *m) {
    uint64_t free_numbers = 0, number, next = 0;
    for (uint64_t i = 0; i < m->size; i++) {
        require(bitmap_is_taken(map, i) == m->taken[i]);
        require((bitmap_taken_word(map, i / 64) >> i % 64 & 1) == m->taken[i]);
        free_numbers += !m->taken[i];
    }
    require(bitmap_count_free(map, 0, m->size) == free_numbers);
    for (uint64_t i = 0; i < m->size; i = number + 1) {
        for (next = i; next < m->size && !m->taken[next];)
            next++;
        require(bitmap_next_taken(map, i, m->size, &number) == (next < m->size));
        if (next == m->size)
            break;
        require(number == next);
    }
    for (uint64_t i = 0; i < m->size; i = number + 1) {
        for (next = i; next < m->size && m->taken[next];)
            next++;
        require(bitmap_next_free(map, i, m->size, &number) == (next < m->size));
        if (next == m->size)
            break;
        require(number == next);
    }
    require(bitmap_validate(map));
}

static uint64_t free_in(const model *m, uint64_t begin, uint64_t end) {
    uint64_t total = 0;
    for (; begin < end; begin++)
        total += !m->taken[begin];
    return total;
}

static void claim_in_model(model *m, uint64_t begin, uint64_t end, uint64_t number) {
    require(number >= begin && number < end && !m->taken[number]);
    m->taken[number] = true;
}

static void one_random_operation(bitmap *map, model *m, uint64_t *state) {
    uint64_t a = test_random(state) % (m->size + 1), b = test_random(state) % (m->size + 1);
    uint64_t begin = a < b ? a : b, end = a < b ? b : a, number, stamp;
    uint64_t in_band = free_in(m, begin, end), numbers[41], wanted = test_random(state) % 40;
    switch (test_random(state) % 8) {
    case 0:
    case 1:
        a %= m->size;
        require(bitmap_take(map, a) == !m->taken[a]);
        m->taken[a] = true;
        break;
    case 2:
    case 3:
    case 4:
        a %= m->size;
        require(bitmap_release(map, a) == m->taken[a]);
        m->taken[a] = false;
        break;
    case 5:
        require(bitmap_claim_any(map, &h, choice_of(wanted % 2), begin, end, &number) ==
                (in_band > 0));
        if (in_band > 0)
            claim_in_model(m, begin, end, number);
        break;
    case 6:
        if (wanted > in_band)
            wanted = in_band;
        require(bitmap_claim_many(map, &h, BITMAP_RANDOM, begin, end, wanted + (wanted == in_band),
                                  numbers) == wanted);
        for (uint64_t i = 0; i < wanted; i++)
            claim_in_model(m, begin, end, numbers[i]);
        break;
    default:
        in_band = free_in(m, 0, m->size);
        require(bitmap_prove_full(map, &stamp, &number) == (in_band == 0));
        require(in_band == 0 || !m->taken[number]);
        break;
    }
}

START_TEST(random_operations_match_an_array) {
    static const uint64_t sizes[] = {1, 3, 64, 65, 200, 512, 513, 1500, 3000};
    uint64_t state = test_seed() + (uint64_t)_i;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        model m = {.size = sizes[s]};
        bitmap *map = make(m.size);
        uint64_t operations = test_scaled(20000);
        for (uint64_t i = 0; i < operations; i++) {
            one_random_operation(map, &m, &state);
            if (i % 500 == 0)
                compare(map, &m);
        }
        compare(map, &m);
        bitmap_destroy(&h, map);
    }
}
END_TEST

START_TEST(claiming_many_takes_what_there_is) {
    uint64_t numbers[2000];
    bool seen[2000] = {false};
    bitmap *map = make(2000);
    ck_assert(bitmap_take(map, 100));
    ck_assert_uint_eq(bitmap_claim_many(map, &h, BITMAP_RANDOM, 0, 2000, 500, numbers), 500);
    size_t more = bitmap_claim_many(map, &h, BITMAP_RANDOM, 0, 2000, 2000, numbers + 500);
    ck_assert_uint_eq(more, 1499);
    for (size_t i = 0; i < 1999; i++) {
        ck_assert(numbers[i] != 100 && numbers[i] < 2000 && !seen[numbers[i]]);
        seen[numbers[i]] = true;
    }
    ck_assert_uint_eq(bitmap_claim_many(map, &h, BITMAP_RANDOM, 0, 2000, 1, numbers), 0);
    ck_assert_uint_eq(bitmap_claim_many(map, &h, BITMAP_RANDOM, 0, 2000, 0, numbers), 0);
    ck_assert(bitmap_validate(map));
    bitmap_destroy(&h, map);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 4, STRESS_MAX = 4096 };

typedef struct stress {
    bitmap *map;
    uint64_t size, operations, seed;
    atomic_uchar *holders; /* per number: who thinks to hold it */
    atomic_ullong doubled, false_full;
} stress;

typedef struct worker {
    stress *shared;
    pthread_t thread;
    uint64_t quota, held, numbers[STRESS_MAX];
    uint64_t state;
} worker;

/* Allocate the way a range does: claim, else prove FULL, else the number that was seen. */
static bool allocate(worker *w, uint64_t *number) {
    bitmap *map = w->shared->map;
    uint64_t stamp;
    for (;;) {
        if (bitmap_claim_any(map, &h, choice_of(test_random(&w->state) % 8 == 0), 0,
                             w->shared->size, number))
            return true;
        if (bitmap_prove_full(map, &stamp, number))
            return false;
        if (bitmap_take(map, *number))
            return true;
    }
}

static void hold(worker *w, uint64_t number) {
    if (atomic_exchange(&w->shared->holders[number], 1) != 0)
        atomic_fetch_add(&w->shared->doubled, 1);
    w->numbers[w->held++] = number;
}

static void give_one_back(worker *w) {
    uint64_t at = test_random(&w->state) % w->held, number = w->numbers[at];
    w->numbers[at] = w->numbers[--w->held];
    atomic_store(&w->shared->holders[number], 0);
    require(bitmap_release(w->shared->map, number));
}

/* Quotas sum to the size: who is below its quota can never rightly be told FULL. */
static void *work(void *context) {
    worker *w = context;
    for (uint64_t i = 0; i < w->shared->operations; i++) {
        uint64_t number;
        if (w->held == w->quota || (w->held > 0 && test_random(&w->state) % 4 == 0))
            give_one_back(w);
        else if (allocate(w, &number))
            hold(w, number);
        else
            atomic_fetch_add(&w->shared->false_full, 1);
    }
    return NULL;
}

static const uint64_t STRESS_SIZES[] = {4, 64, 130, 512, 4096};

START_TEST(no_thread_below_its_quota_is_told_full_and_none_gets_a_double) {
    uint64_t size = STRESS_SIZES[_i], held = 0, state = test_seed();
    stress shared = {.map = make(size), .size = size, .operations = test_scaled(1000000)};
    shared.holders = calloc(size, sizeof *shared.holders);
    worker *workers = calloc(THREADS, sizeof *workers);
    for (int i = 0; i < THREADS; i++) {
        workers[i].shared = &shared;
        workers[i].quota = size / THREADS + ((uint64_t)i < size % THREADS);
        workers[i].state = test_random(&state);
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        require(pthread_join(workers[i].thread, NULL) == 0);
        held += workers[i].held;
        for (uint64_t n = 0; n < workers[i].held; n++)
            require(bitmap_is_taken(shared.map, workers[i].numbers[n]));
    }
    ck_assert_uint_eq(shared.doubled, 0);
    ck_assert_uint_eq(shared.false_full, 0);
    ck_assert_uint_eq(bitmap_count_free(shared.map, 0, size), size - held);
    ck_assert(bitmap_validate(shared.map));
    free(workers);
    free(shared.holders);
    bitmap_destroy(&h, shared.map);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void) {
    Suite *suite = suite_create("bitmap");
    TCase *tc = tcase_create("bitmap");
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, both_forms_of_counting_and_selecting_agree);
    tcase_add_test(tc, eight_words_at_once_are_seen_as_one_by_one);
    tcase_add_test(tc, a_number_is_taken_once_and_released_once);
    tcase_add_loop_test(tc, every_size_to_1100_fills_and_empties, 0, 2);
    tcase_add_loop_test(tc, sizes_around_a_summary_word_fill_and_empty, 0, COUNT(BIG_SIZES));
    tcase_add_test(tc, a_map_of_nothing_is_full);
    tcase_add_test(tc, a_map_for_which_there_is_no_memory_is_null);
    tcase_add_test(tc, a_release_ends_full_for_good);
    tcase_add_loop_test(tc, a_claim_stays_in_its_band_and_takes_all_of_it, 0, COUNT(BANDS));
    tcase_add_loop_test(tc, the_one_free_number_of_a_band_is_found, 0, COUNT(BANDS));
    tcase_add_test(tc, a_random_claim_reaches_every_number_about_equally);
    tcase_add_loop_test(tc, find_passes_over_what_is_skipped_and_claims_nothing, 0, 2);
    tcase_add_loop_test(tc, random_operations_match_an_array, 0, 4);
    tcase_add_test(tc, claiming_many_takes_what_there_is);
    tcase_add_loop_test(tc, no_thread_below_its_quota_is_told_full_and_none_gets_a_double, 0,
                        COUNT(STRESS_SIZES));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
