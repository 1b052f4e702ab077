/*
 * test_history.c: what threads were answered by real ranges, judged: 100,000 histories by default,
 * fewer where each step waits (TEST_SCALE stretches or shortens it).
 *
 * The interleavings are those that happen; tests/explorer has all of a few small programs. Here are
 * real threads, real memory orders, every kind of range, and the public calls.
 */
#include "recorder.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef HISTORIES
#define HISTORIES 100000
#endif

#define LOWEST       IPALLOC_STRATEGY_LOWEST
#define OLDEST_FREED IPALLOC_STRATEGY_OLDEST_FREED
#define NO_BAND      IPALLOC_NO_STATIC_BAND

/* clang-format off */
static const range_shape SHAPES[] = {
    {.name = "four addresses", .cidr = "10.0.0.0/30", .numbers = 4,
     .threads = 4, .operations = 8, .free_max = 1},
    {.name = "eight, lowest first", .cidr = "10.0.0.0/29", .numbers = 8, .strategy = LOWEST,
     .threads = 4, .operations = 10, .free_max = 2},
    {.name = "two words, two bands", .cidr = "10.0.0.0/25", .numbers = 128, .static_band_size = 60,
     .threads = 3, .operations = 12, .free_max = 2},
    {.name = "four words, two bands", .cidr = "10.0.0.0/24", .numbers = 256,
     .threads = 4, .operations = 10, .free_max = 3},
    {.name = "a line", .cidr = "fd00::/119", .numbers = 512, .static_band_size = NO_BAND,
     .threads = 3, .operations = 10, .free_max = 2},
    {.name = "two lines, but for a few excluded", .cidr = "10.0.0.0/22", .base = 508, .numbers = 8,
     .static_band_size = 512, .threads = 4, .operations = 10, .free_max = 2},
    {.name = "exclusions change", .cidr = "10.0.0.0/29", .numbers = 8, .static_band_size = 4,
     .excluding = true, .threads = 4, .operations = 10, .free_max = 4},
    {.name = "exclusions come and go", .cidr = "10.0.0.0/25", .numbers = 128,
     .excluding = true, .threads = 3, .operations = 12, .free_max = 4},
    {.name = "oldest freed", .cidr = "10.0.0.0/28", .numbers = 16, .strategy = OLDEST_FREED,
     .many = true, .threads = 4, .operations = 10, .free_max = 2},
    {.name = "oldest freed, exclusions change", .cidr = "10.0.0.0/29", .numbers = 8,
     .strategy = OLDEST_FREED, .excluding = true, .many = true, .threads = 3, .operations = 10, .free_max = 3},
    {.name = "cooling ones are given when full", .cidr = "10.0.0.0/28", .numbers = 16,
     .cool_down_ms = 1000, .reuse_cooling_when_full = true,
     .threads = 4, .operations = 10, .free_max = 2},
    {.name = "sparse, nearly all excluded", .cidr = "fd00::/64", .base = 252, .numbers = 8, .many = true,
     .threads = 4, .operations = 10, .free_max = 2},
    {.name = "sparse, exclusions change", .cidr = "fd00::/64", .base = 252, .numbers = 8, .many = true,
     .excluding = true, .threads = 3, .operations = 12, .free_max = 4},
};
/* clang-format on */

enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

typedef struct tally {
    uint64_t histories, calls, full, refused, overlapping;
} tally;

static void count(tally *t, const history *h) {
    t->histories++;
    t->calls += h->count;
    for (size_t i = 0; i < h->count; i++) {
        const call *c = &h->calls[i];
        t->full += (c->kind == CALL_ALLOCATE || c->kind == CALL_PROVE) && !c->ok;
        t->refused += c->kind != CALL_ALLOCATE && c->kind != CALL_PROVE && !c->ok;
        t->overlapping += c->end > c->begin + 1; /* something happened in between */
    }
}

static void require_linearizable(const range_shape *shape, const history *h) {
    static char text[20000];
    if (!history_linearizable(h))
        ck_abort_msg("%s: %s", shape->name, history_describe(h, text, sizeof text));
}

START_TEST(what_threads_were_answered_is_linearizable) {
    const range_shape *shape = &SHAPES[_i];
    uint64_t wanted = test_scaled(HISTORIES) / SHAPE_COUNT + 1;
    history *histories = malloc(ROUND_HISTORIES * sizeof *histories);
    ck_assert_ptr_nonnull(histories);
    recorder *r = recorder_create(shape, test_seed() + (uint64_t)_i);
    tally t = {0};
    while (t.histories < wanted) {
        recorder_record(r, histories);
        for (int i = 0; i < ROUND_HISTORIES; i++) {
            require_linearizable(shape, &histories[i]);
            count(&t, &histories[i]);
        }
    }
    recorder_destroy(r);
    free(histories);
    fprintf(stderr,
            "%-36s %7llu histories, of their calls %2llu%% FULL, %2llu%% refused, %2llu%% "
            "overlapping\n",
            shape->name, (unsigned long long)t.histories,
            (unsigned long long)(100 * t.full / t.calls),
            (unsigned long long)(100 * t.refused / t.calls),
            (unsigned long long)(100 * t.overlapping / t.calls));
    ck_assert_uint_gt(t.full, 0);
}
END_TEST

/* ---- one lie each ---- */

/* What nobody touched in this history, in that state; false: there is none. */
static bool untouched(const history *h, number_state state, uint32_t *number) {
    for (*number = 0; *number < h->numbers; ++*number) {
        bool touched = h->at_start[*number] != state || h->at_end[*number] != state;
        for (size_t i = 0; i < h->count && !touched; i++)
            touched = h->calls[i].number == *number;
        if (!touched)
            return true;
    }
    return false;
}

/* Each lies about one call, if it can. */
static bool say_full_for_an_allocation(const history *h, call *c) {
    (void)h;
    if (c->kind != CALL_ALLOCATE || !c->ok)
        return false;
    c->ok = false;
    return true;
}

static bool lose_a_release(const history *h, call *c) {
    (void)h;
    if (c->kind != CALL_RELEASE || !c->ok)
        return false;
    c->ok = false;
    return true;
}

static bool give_what_is_held(const history *h, call *c) {
    uint32_t number;
    if (c->kind != CALL_ALLOCATE || !c->ok || !untouched(h, STATE_HELD, &number))
        return false;
    c->number = number;
    return true;
}

static bool say_full_while_one_is_free(const history *h, call *c) {
    uint32_t number;
    if (c->kind != CALL_HAS || !untouched(h, STATE_FREE, &number))
        return false;
    *c = (call){CALL_ALLOCATE, false, 0, 0, c->begin, c->end};
    return true;
}

static bool deny_what_is_held(const history *h, call *c) {
    uint32_t number;
    if (c->kind != CALL_HAS || !untouched(h, STATE_HELD, &number))
        return false;
    c->number = number;
    c->ok = false;
    return true;
}

static bool take_without_asking(const history *h, call *c) {
    (void)h;
    if (c->kind != CALL_RESERVE || c->ok)
        return false;
    c->ok = true;
    return true;
}

START_TEST(a_history_with_one_lie_is_rejected) {
    static bool (*const lies[])(const history *h, call *c) = {
        say_full_for_an_allocation, lose_a_release,    give_what_is_held,
        say_full_while_one_is_free, deny_what_is_held, take_without_asking};
    const range_shape shape = {.name = "with room",
                               .cidr = "10.0.0.0/27",
                               .numbers = 32,
                               .threads = 4,
                               .operations = 10,
                               .free_max = 20};
    history *histories = malloc(ROUND_HISTORIES * sizeof *histories);
    ck_assert_ptr_nonnull(histories);
    recorder *r = recorder_create(&shape, test_seed());
    uint64_t told = 0;
    for (uint64_t i = 0, rounds = test_scaled(20); i < rounds || told == 0; i++) {
        recorder_record(r, histories);
        for (int j = 0; j < ROUND_HISTORIES; j++) {
            history *h = &histories[j];
            require_linearizable(&shape, h);
            for (size_t k = 0; k < h->count; k++) {
                call truth = h->calls[k];
                if (lies[_i](h, &h->calls[k])) {
                    ck_assert(!history_linearizable(h));
                    told++;
                }
                h->calls[k] = truth;
            }
        }
    }
    recorder_destroy(r);
    free(histories);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("history");
    TCase *tc = tcase_create("history"), *lies = tcase_create("lies");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, what_threads_were_answered_is_linearizable, 0, SHAPE_COUNT);
    tcase_set_timeout(lies, 120);
    tcase_add_loop_test(lies, a_history_with_one_lie_is_rejected, 0, 6);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, lies);
    return test_main(suite);
}
