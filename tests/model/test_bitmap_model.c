/*
 * test_bitmap_model.c: bitmaps of many sizes against an array of bytes, 10^8 random operations by
 * default; TEST_SCALE=1000 makes it 10^9.
 *
 * The array is the second implementation: one byte a number, searched with memchr, and the number
 * of free ones. Every operation's answer is judged in full; where chance decides, that it is one of
 * the right answers. Operations on a wide band cost the array time in proportion, so most bands are
 * narrow.
 */
#include "range_model.h"
#include "support.h"

#include "core/bitmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const uint64_t OPERATIONS = 100000000;

enum { FREE, TAKEN };

/* Around words (64), lines (512), words of flags (2^14), and beyond. */
static const uint64_t SIZES[] = {
    1,    2,    63,   64,    65,    127,   128,   129,   511,    512,    513,
    1023, 1024, 1025, 16383, 16384, 16385, 16897, 65536, 131071, 131072,
};

enum { SIZE_COUNT = sizeof SIZES / sizeof *SIZES, SIZE_MAX_HERE = 131072 };

typedef struct model {
    bitmap *map;
    hooks h;
    uint64_t size, random;
    uint64_t bits; /* chance for the operation at hand, used up from below */
    uint64_t free_count;
    bool filling;
    bool was_full; /* `stamp` is of a proof, and nothing has become free since */
    bool stamped;
    uint64_t stamp, proofs; /* `proofs`: how often it was full */
    unsigned char state[SIZE_MAX_HERE];
    uint64_t numbers[SIZE_MAX_HERE];
} model;

/* ---- chance ---- */

static uint64_t model_random(void *context) {
    return test_random(&((model *)context)->random);
}

/* A few bits of this operation's chance. */
static unsigned draw(model *m, unsigned bits) {
    unsigned result = (unsigned)(m->bits & ((1u << bits) - 1));
    m->bits >>= bits;
    return result;
}

static uint64_t draw_below(model *m, uint64_t bound) {
    return (test_random(&m->random) >> 32) * bound >> 32;
}

static uint64_t draw_number(model *m) {
    return draw_below(m, m->size);
}

static enum bitmap_choice draw_choice(model *m) {
    return draw(m, 1) == 0 ? BITMAP_RANDOM : BITMAP_LOWEST;
}

typedef struct interval {
    uint64_t begin, end;
} interval;

/* Mostly narrow, at times all, at times empty. */
static interval draw_band(model *m) {
    enum { NARROW = 256 };
    unsigned kind = draw(m, 6);
    if (kind == 0)
        return (interval){0, m->size};
    uint64_t begin = draw_number(m), width = draw_below(m, kind == 1 ? m->size : NARROW);
    uint64_t end = begin + width < m->size ? begin + width : m->size;
    return (interval){begin, end};
}

/* ---- the array ---- */

static bool is_free(const model *m, uint64_t number) {
    return m->state[number] == FREE;
}

static void set_taken(model *m, uint64_t number) {
    require(number < m->size && is_free(m, number));
    m->state[number] = TAKEN;
    m->free_count--;
}

static void set_free(model *m, uint64_t number) {
    require(number < m->size && !is_free(m, number));
    m->state[number] = FREE;
    m->free_count++;
    m->was_full = false;
}

/* The first number of [from, end) in this state, else `end`. */
static uint64_t next_in_state(const model *m, uint64_t from, uint64_t end, int state) {
    if (from >= end)
        return end;
    const unsigned char *found = memchr(m->state + from, state, end - from);
    return found != NULL ? (uint64_t)(found - m->state) : end;
}

static uint64_t count_free(const model *m, interval band) {
    uint64_t taken = 0;
    for (uint64_t i = band.begin; i < band.end; i++)
        taken += m->state[i];
    return band.end > band.begin ? band.end - band.begin - taken : 0;
}

/* ---- one number ---- */

static void take(model *m) {
    uint64_t number = draw_number(m);
    bool was_free = is_free(m, number);
    require(bitmap_take(m->map, number) == was_free);
    if (was_free)
        set_taken(m, number);
}

static void release(model *m) {
    uint64_t number = draw_number(m);
    bool was_taken = !is_free(m, number);
    require(bitmap_release(m->map, number) == was_taken);
    if (was_taken)
        set_free(m, number);
}

static void look(model *m) {
    uint64_t number = draw_number(m);
    require(bitmap_is_taken(m->map, number) == !is_free(m, number));
}

static uint64_t mask_of_word(const model *m, uint64_t word) {
    uint64_t left = m->size - word * 64;
    return left >= 64 ? UINT64_MAX : ((uint64_t)1 << left) - 1;
}

static void release_word(model *m) {
    uint64_t word = draw_number(m) / 64;
    uint64_t wanted = test_random(&m->random) & test_random(&m->random) & mask_of_word(m, word);
    if (wanted == 0)
        return; /* nobody asks that */
    uint64_t released = bitmap_release_word(m->map, word, wanted);
    require((released & ~wanted) == 0);
    for (uint64_t bits = wanted; bits != 0; bits &= bits - 1) {
        uint64_t number = word * 64 + (unsigned)__builtin_ctzll(bits);
        require((released >> number % 64 & 1) == !is_free(m, number));
        if (!is_free(m, number))
            set_free(m, number);
    }
}

/* ---- any number ---- */

static void check_claimed(model *m, interval band, enum bitmap_choice choice, uint64_t number) {
    require(number >= band.begin && number < band.end);
    require(choice == BITMAP_RANDOM || number == next_in_state(m, band.begin, band.end, FREE));
    set_taken(m, number);
}

static void claim_any(model *m) {
    interval band = draw_band(m);
    enum bitmap_choice choice = draw_choice(m);
    uint64_t number;
    if (bitmap_claim_any(m->map, &m->h, choice, band.begin, band.end, &number))
        check_claimed(m, band, choice, number);
    else
        require(next_in_state(m, band.begin, band.end, FREE) == band.end);
}

/* What a range does: over all of the map, or its upper part. */
static void claim_in_prepared_band(model *m) {
    enum bitmap_choice choice = draw(m, 3) == 0 ? BITMAP_LOWEST : BITMAP_RANDOM;
    interval band = {draw(m, 1) == 0 ? 0 : m->size / 3, m->size};
    bitmap_band prepared = bitmap_band_of(m->map, band.begin, band.end);
    uint64_t number = choice == BITMAP_RANDOM ? bitmap_claim_random(m->map, &m->h, &prepared)
                                              : bitmap_claim_lowest(m->map, &prepared);
    if (number != BITMAP_NONE)
        check_claimed(m, band, choice, number);
    else
        require(next_in_state(m, band.begin, band.end, FREE) == band.end);
}

static bool skip_some(void *context, uint64_t number) {
    const unsigned *modulus = context;
    return number % 8 < *modulus;
}

static void find_any(model *m) {
    interval band = draw_band(m);
    enum bitmap_choice choice = draw_choice(m);
    unsigned modulus = draw(m, 3);
    uint64_t number, first = next_in_state(m, band.begin, band.end, FREE);
    while (first < band.end && skip_some(&modulus, first))
        first = next_in_state(m, first + 1, band.end, FREE);
    bool found = bitmap_find_any(m->map, &m->h, choice, band.begin, band.end,
                                 modulus == 0 ? NULL : skip_some, &modulus, &number);
    require(found == (first < band.end));
    if (!found)
        return;
    require(number >= band.begin && number < band.end && is_free(m, number));
    require(!skip_some(&modulus, number));
    require(choice == BITMAP_RANDOM || number == first);
}

/* ---- many ---- */

static void claim_many(model *m) {
    interval band = draw_band(m);
    enum bitmap_choice choice = draw_choice(m);
    uint64_t wanted = draw(m, 4) == 0 ? draw_below(m, m->size) : draw(m, 7);
    uint64_t available = count_free(m, band);
    size_t claimed =
        bitmap_claim_many(m->map, &m->h, choice, band.begin, band.end, wanted, m->numbers);
    require(claimed == (wanted < available ? wanted : available));
    unsigned descents = 0; /* in order, but for one step around the end */
    for (size_t i = 0; i < claimed; i++) {
        descents += i > 0 && m->numbers[i] < m->numbers[i - 1];
        check_claimed(m, band, choice, m->numbers[i]);
    }
    require(descents <= (choice == BITMAP_RANDOM));
}

/* The lowest block of `size` from `first` on without a taken number, else `end`. */
static uint64_t first_free_block(const model *m, interval band, uint64_t size) {
    for (uint64_t begin = band.begin; begin + size <= band.end; begin += size) {
        if (next_in_state(m, begin, begin + size, TAKEN) == begin + size)
            return begin;
    }
    return band.end;
}

static void claim_block(model *m) {
    interval band = draw_band(m);
    enum bitmap_choice choice = draw_choice(m);
    uint64_t size = (uint64_t)1 << draw_below(m, 8);
    uint64_t first = first_free_block(m, band, size);
    uint64_t begin = bitmap_claim_block(m->map, &m->h, choice, band.begin, band.end, size);
    require((begin == BITMAP_NONE) == (first == band.end));
    if (begin == BITMAP_NONE)
        return;
    require(choice == BITMAP_RANDOM || begin == first);
    require(begin >= band.begin && (begin - band.begin) % size == 0 && begin + size <= band.end);
    for (uint64_t i = 0; i < size; i++)
        set_taken(m, begin + i);
}

/* ---- FULL ---- */

static void prove_full(model *m) {
    uint64_t stamp, number;
    bool full = bitmap_prove_full(m->map, &stamp, &number);
    require(full == (m->free_count == 0));
    if (!full) {
        require(number < m->size && is_free(m, number));
        return;
    }
    require(!m->was_full || stamp == m->stamp);
    m->stamp = stamp;
    m->stamped = m->was_full = true;
    m->proofs++;
}

static void still_full(model *m) {
    if (m->stamped)
        require(bitmap_still_full(m->map, m->stamp) == m->was_full);
}

/* ---- walks and counts ---- */

static void walk(model *m) {
    interval band = draw_band(m);
    uint64_t number, expected = next_in_state(m, band.begin, band.end, TAKEN);
    bool found = bitmap_next_taken(m->map, band.begin, band.end, &number);
    require(found == (expected < band.end) && (!found || number == expected));
    expected = next_in_state(m, band.begin, band.end, FREE);
    found = bitmap_next_free(m->map, band.begin, band.end, &number);
    require(found == (expected < band.end) && (!found || number == expected));
}

static void count(model *m) {
    interval band = draw_band(m);
    require(bitmap_count_free(m->map, band.begin, band.end) == count_free(m, band));
}

static void check_word(const model *m, uint64_t word, uint64_t taken) {
    require((taken & ~mask_of_word(m, word)) == 0);
    for (uint64_t i = word * 64; i < m->size && i < word * 64 + 64; i++)
        require((taken >> i % 64 & 1) == m->state[i]);
}

static void read_word(model *m) {
    uint64_t word = draw_number(m) / 64;
    check_word(m, word, bitmap_taken_word(m->map, word));
}

static void compare_all(model *m) {
    static uint8_t bytes[SIZE_MAX_HERE / 8];
    size_t length = (m->size + 7) / 8;
    require(bitmap_validate(m->map));
    require(bitmap_count_free(m->map, 0, m->size) == m->free_count);
    bitmap_write_taken(m->map, bytes, length);
    for (uint64_t i = 0; i < m->size; i++)
        require((bytes[length - 1 - i / 8] >> i % 8 & 1) == m->state[i]);
}

/* ---- runs ---- */

static void operate_rarely(model *m) {
    switch (draw(m, 4)) {
    case 0:
    case 1:
    case 2:
        claim_many(m);
        return;
    case 3:
    case 4:
        claim_block(m);
        return;
    case 5:
    case 6:
    case 7:
        count(m);
        return;
    case 8:
    case 9:
        read_word(m);
        return;
    case 10:
    case 11:
        m->filling ? find_any(m) : release_word(m);
        return;
    default:
        walk(m);
    }
}

static void operate(model *m) {
    m->bits = test_random(&m->random);
    switch (draw(m, 4)) {
    case 0:
        operate_rarely(m);
        return;
    case 1:
        prove_full(m);
        still_full(m);
        return;
    case 2:
    case 3:
        take(m);
        return;
    case 4:
    case 5:
        look(m);
        return;
    case 6:
        claim_any(m);
        return;
    case 7:
        find_any(m);
        return;
    case 8:
    case 9:
        release(m);
        return;
    default:
        m->filling ? claim_in_prepared_band(m) : release(m);
    }
}

static model *model_create(uint64_t size, uint64_t seed) {
    model *m = calloc(1, sizeof *m);
    ck_assert_ptr_nonnull(m);
    const ipalloc_hooks user = {.size = sizeof user, .context = m, .random = model_random};
    m->random = seed;
    ck_assert_status(hooks_init(&m->h, &user, NULL), IPALLOC_OK);
    m->map = bitmap_create(&m->h, size);
    ck_assert_ptr_nonnull(m->map);
    m->size = m->free_count = size;
    return m;
}

/* Fill and empty by turns, for longer than the size, so that both ends are reached. */
static void run(model *m, uint64_t operations) {
    enum { COMPARE_EVERY = 1 << 17 };
    uint64_t turn = 2 * m->size + 100, left = turn;
    for (uint64_t i = 1; i <= operations; i++) {
        if (--left == 0) {
            m->filling = !m->filling;
            left = turn / 2 + draw_below(m, turn);
        }
        operate(m);
        if (i % COMPARE_EVERY == 0)
            compare_all(m);
    }
    compare_all(m);
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(a_bitmap_does_what_an_array_does) {
    model *m = model_create(SIZES[_i], test_seed() + (uint64_t)_i);
    uint64_t operations = test_scaled(OPERATIONS) / SIZE_COUNT + 1;
    double start = seconds_now();
    run(m, operations);
    double seconds = seconds_now() - start;
    fprintf(stderr, "%6llu numbers: %llu operations, %.1f million a second, %llu times full\n",
            (unsigned long long)m->size, (unsigned long long)operations,
            (double)operations / seconds / 1e6, (unsigned long long)m->proofs);
    bitmap_destroy(&m->h, m->map);
    free(m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bitmap model");
    TCase *tc = tcase_create("bitmap model");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, a_bitmap_does_what_an_array_does, 0, SIZE_COUNT);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
