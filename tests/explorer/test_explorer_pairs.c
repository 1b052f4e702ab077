/*
 * test_explorer_pairs.c: all small programs on a bitmap of one, two and three words.
 *
 * A space is: some interesting numbers, each held or free at the start, the flags stale or closed,
 * and for each thread every sequence of so many operations out of allocate and release, take,
 * look up each number. Threads are interchangeable, and so are numbers of one word, so that each
 * program stands for all that differ only by such an exchange. Two threads go through all
 * interleavings, three through those with few preemptions.
 *
 * Where a space is larger than its share of time, programs are drawn from it at random; TEST_SCALE
 * draws more.
 */
#include "explorer.h"
#include "support.h"

#include <stdio.h>

/* ---- the bounds, all of them ---- */

enum { NUMBERS = 3, PREEMPTIONS_OF_THREE = 3 };

static const uint64_t STATES_MAX = 3000000; /* of one program */

typedef struct space {
    const char *name;
    uint64_t size;
    unsigned numbers; /* the interesting ones; the first `alike` of them are in one word */
    unsigned alike;
    uint64_t number[NUMBERS];
    unsigned threads;
    unsigned operations_min, operations_max; /* of each thread */
    uint64_t programs_max;                   /* at the default scale */
} space;

static const space SPACES[] = {
    {"2 threads, 2 operations, 1 word", 64, 2, 2, {3, 4}, 2, 2, 2, 100000},
    {"2 threads, 2 operations, 2 words", 128, 2, 1, {3, 70}, 2, 2, 2, 1000},
    {"2 threads, 2 operations, 3 words", 192, 3, 1, {3, 70, 150}, 2, 2, 2, 600},
    {"2 threads, 2 operations, 2 words, 3 numbers", 128, 3, 2, {3, 4, 70}, 2, 2, 2, 300},
    {"3 threads, 1 operation, 3 words", 192, 3, 1, {3, 70, 150}, 3, 1, 1, 300},
    {"3 threads, 1-2 operations, 1 word", 64, 2, 2, {3, 4}, 3, 1, 2, 150},
    {"3 threads, 1-2 operations, 2 words", 128, 2, 1, {3, 70}, 3, 1, 2, 150},
};

/* ---- programs by number ---- */

static unsigned kinds_of_operations(const space *s) {
    return 1 + 3 * s->numbers;
}

static unsigned power(unsigned base, unsigned exponent) {
    unsigned result = 1;
    while (exponent-- > 0)
        result *= base;
    return result;
}

static unsigned sequences(const space *s) {
    unsigned count = 0;
    for (unsigned n = s->operations_min; n <= s->operations_max; n++)
        count += power(kinds_of_operations(s), n);
    return count;
}

/* A program as digits: who does what, what is free, and whether the flags are closed. */
typedef struct digits {
    unsigned sequence[THREADS_MAX];
    unsigned free; /* numbers, by bit */
    unsigned closed;
} digits;

static uint64_t space_size(const space *s) {
    uint64_t count = 2u << s->numbers;
    for (unsigned i = 0; i < s->threads; i++)
        count *= sequences(s);
    return count;
}

static digits digits_of(const space *s, uint64_t index) {
    digits d = {.closed = index % 2, .free = (unsigned)(index / 2 % (1u << s->numbers))};
    index /= 2u << s->numbers;
    for (unsigned i = 0; i < s->threads; i++, index /= sequences(s))
        d.sequence[i] = (unsigned)(index % sequences(s));
    return d;
}

/* The operations of a sequence, as digits; returns how many. */
static unsigned unfold(const space *s, unsigned sequence, unsigned operations[OPERATIONS_MAX]) {
    unsigned kinds = kinds_of_operations(s), length = s->operations_min;
    for (; sequence >= power(kinds, length); length++)
        sequence -= power(kinds, length);
    for (unsigned i = 0; i < length; i++, sequence /= kinds)
        operations[i] = sequence % kinds;
    return length;
}

static unsigned fold(const space *s, const unsigned operations[OPERATIONS_MAX], unsigned length) {
    unsigned kinds = kinds_of_operations(s), sequence = 0;
    for (unsigned i = length; i-- > 0;)
        sequence = sequence * kinds + operations[i];
    for (unsigned n = s->operations_min; n < length; n++)
        sequence += power(kinds, n);
    return sequence;
}

/* ---- symmetry ---- */

/* The same program with the first two numbers exchanged. */
static digits exchange_numbers(const space *s, digits d) {
    for (unsigned i = 0; i < s->threads; i++) {
        unsigned operations[OPERATIONS_MAX], length = unfold(s, d.sequence[i], operations);
        for (unsigned j = 0; j < length; j++) {
            if (operations[j] >= 1 && operations[j] < 1 + 3)
                operations[j] += 3;
            else if (operations[j] >= 1 + 3 && operations[j] < 1 + 6)
                operations[j] -= 3;
        }
        d.sequence[i] = fold(s, operations, length);
    }
    d.free = (d.free & ~3u) | (d.free & 1) << 1 | (d.free >> 1 & 1);
    return d;
}

static void sort_threads(const space *s, digits *d) {
    for (unsigned i = 1; i < s->threads; i++) {
        for (unsigned j = i; j > 0 && d->sequence[j] < d->sequence[j - 1]; j--) {
            unsigned swap = d->sequence[j];
            d->sequence[j] = d->sequence[j - 1];
            d->sequence[j - 1] = swap;
        }
    }
}

static int compare(const space *s, const digits *a, const digits *b) {
    for (unsigned i = 0; i < s->threads; i++) {
        if (a->sequence[i] != b->sequence[i])
            return a->sequence[i] < b->sequence[i] ? -1 : 1;
    }
    return a->free < b->free ? -1 : a->free > b->free;
}

/* Of all programs that are the same but for names: is this the first? */
static bool stands_for_all(const space *s, const digits *d) {
    digits other = *d;
    sort_threads(s, &other);
    if (compare(s, &other, d) != 0)
        return false;
    if (s->alike < 2)
        return true;
    other = exchange_numbers(s, *d);
    sort_threads(s, &other);
    return compare(s, d, &other) <= 0;
}

/* ---- exploring ---- */

static program program_of(const space *s, const digits *d) {
    static const operation_kind kinds[] = {RELEASE, TAKE, LOOKUP};
    program p = {.name = s->name,
                 .size = s->size,
                 .flags = d->closed != 0 ? CLOSED : STALE,
                 .preemptions = s->threads > 2 ? PREEMPTIONS_OF_THREE : PREEMPTIONS_ANY};
    for (unsigned i = 0; i < s->numbers; i++)
        p.free[i] = (d->free >> i & 1) != 0 ? s->number[i] + 1 : 0;
    for (unsigned i = 0; i < s->threads; i++) {
        unsigned operations[OPERATIONS_MAX], length = unfold(s, d->sequence[i], operations);
        for (unsigned j = 0; j < length; j++)
            p.threads[i][j] = operations[j] == 0 ? (operation){ALLOCATE, 0}
                                                 : (operation){kinds[(operations[j] - 1) % 3],
                                                               s->number[(operations[j] - 1) / 3]};
    }
    return p;
}

typedef struct tally {
    uint64_t programs, states, executions, stopped, largest;
} tally;

static void explore_digits(const space *s, const digits *d, tally *t) {
    program p = program_of(s, d);
    exploration result = explore(&p, STATES_MAX);
    if (result.failure[0] != '\0')
        ck_abort_msg("%s, free %#x, %s: %s", s->name, d->free, d->closed ? "closed" : "stale",
                     result.failure);
    t->programs++;
    t->states += result.states;
    t->executions += result.executions;
    t->stopped += !result.finished;
    if (result.states > t->largest)
        t->largest = result.states;
}

/* All of a space, or as many drawn from it as fit. */
static tally explore_space(const space *s) {
    tally t = {0};
    uint64_t count = space_size(s), most = test_scaled(s->programs_max);
    if (count / power(2, s->threads) <= most) {
        for (uint64_t i = 0; i < count; i++) {
            digits d = digits_of(s, i);
            if (stands_for_all(s, &d))
                explore_digits(s, &d, &t);
        }
        return t;
    }
    uint64_t random = test_seed();
    while (t.programs < most) {
        digits d = digits_of(s, test_random(&random) % count);
        explore_digits(s, &d, &t);
    }
    return t;
}

START_TEST(every_small_program_is_linearizable) {
    const space *s = &SPACES[_i];
    tally t = explore_space(s);
    fprintf(stderr,
            "%-45s %6llu programs %9llu states (at most %llu) %8llu executions, %llu stopped\n",
            s->name, (unsigned long long)t.programs, (unsigned long long)t.states,
            (unsigned long long)t.largest, (unsigned long long)t.executions,
            (unsigned long long)t.stopped);
    ck_assert_uint_gt(t.programs, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("explorer pairs");
    TCase *tc = tcase_create("explorer pairs");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, every_small_program_is_linearizable, 0, sizeof SPACES / sizeof *SPACES);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
