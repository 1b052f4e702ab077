/*
 * test_weak.cpp: small programs on the real bitmap.c under the C11 memory model.
 *
 * Each program is searched exhaustively up to a number of preemptions, then at random. Then one
 * memory order after the other is weakened, and a program must fail: an order that nobody misses
 * would be either too strong or not tested. The tree has one word to a line and two flags to a
 * summary word, so that 1, 65, 129 and 257 numbers have 1, 1, 2 and 3 levels.
 *
 * TEST_SCALE stretches the random searches, and from 1000 on the exhaustive ones by one preemption.
 * WEAK_TABLE=1 prints what happens when each single operation is weakened; it takes minutes.
 *
 * What Relacy cannot show: it takes the one order of all seq_cst operations to be the order in
 * which it ran them, and a failed exchange always sees the newest value. A load that is at most two
 * values old (one in the exhaustive searches) is the oldest it hands out.
 */
extern "C" {
#include "support.h"
}

#include "weak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A = 0, B = 64, C = 128, Z = 256 }; /* numbers in the first, second, third and fifth line */

/* name, size, free numbers + 1, flags, preemptions, the steps of each thread. Small ones first. */
/* clang-format off */
static const weak_program PROGRAMS[] = {
    {"the payload is handed over", 1, {0}, CLOSED, 9,
     {{{RELEASE, A}}, {{LOWEST}}}},
    {"the payload, to a random claim", 1, {0}, CLOSED, 6,
     {{{RELEASE, A}}, {{ALLOCATE}}}},
    {"the payload, to who asked for it", 1, {0}, CLOSED, 9,
     {{{RELEASE, A}}, {{TAKE, A}}}},
    {"one free number for two", 1, {A + 1}, CLOSED, 5,
     {{{LOWEST}}, {{ALLOCATE}}}},
    {"taken is an answer", 1, {A + 1}, STALE, 9,
     {{{WRITE_NOTE}, {TAKE, A}}, {{TAKE, A}, {READ_NOTE_UNLESS}}}},
    {"full is an answer", 1, {A + 1}, STALE, 9,
     {{{WRITE_NOTE}, {TAKE, A}}, {{NOT_FULL}, {READ_NOTE_UNLESS}}}},
    {"full is an answer, proved by another", 1, {A + 1}, STALE, 3,
     {{{WRITE_NOTE}, {TAKE, A}}, {{NOT_FULL}, {READ_NOTE_UNLESS}}, {{PROVE}}}},
    {"a flag is closed beside a release", 1, {0}, STALE, 9,
     {{{CLAIM}}, {{RELEASE, A}}}},
    {"a flag is closed beside a release, two levels", 129, {0}, STALE, 4,
     {{{CLAIM}}, {{RELEASE, C}}}},
    {"told of a release, then full", 1, {0}, STALE, 6,
     {{{PROVE}, {SIGNALLED}, {LOWEST_IF}}, {{RELEASE, A}, {SIGNAL}}}},
    {"told of a release, then the old proof", 65, {0}, CLOSED, 6,
     {{{PROVE}, {SIGNALLED}, {STILL_IF}}, {{RELEASE, A}, {SIGNAL}}}},
    {"seen free, then full", 65, {0}, CLOSED, 7,
     {{{LOOKUP, A}, {LOWEST_IF}}, {{RELEASE, A}}}},
    {"seen free, then full, two levels", 129, {0}, CLOSED, 5,
     {{{LOOKUP, C}, {LOWEST_IF}}, {{RELEASE, C}}}},
    {"released already, then full", 129, {0}, CLOSED, 5,
     {{{RELEASE_ANY, C}, {LOWEST_IF}}, {{RELEASE_ANY, C}}}},
    {"two releases, then two looks", 65, {0}, STALE, 7,
     {{{RELEASE, A}, {LOOKUP, B}}, {{RELEASE, B}, {LOOKUP, A}}}, true},
    {"a release beside full, in one order", 65, {0}, CLOSED, 7,
     {{{RELEASE, A}, {MARKED}}, {{MARK}, {NOT_FULL}}}, true},
    {"a release beside full, in one order, two levels", 129, {0}, STALE, 4,
     {{{RELEASE, C}, {MARKED}}, {{MARK}, {NOT_FULL}}}, true},
    {"a release beside still full, in one order", 65, {0}, CLOSED, 7,
     {{{RELEASE, A}, {MARKED}}, {{PROVE}, {MARK}, {OVER}}}, true},
    {"a dry run, then full", 129, {0}, CLOSED, 5,
     {{{DRY_RUN}, {LOWEST_IF}}, {{RELEASE, C}}}},
    {"the moving hole", 65, {B + 1}, CLOSED, 6,
     {{{MUST_LOWEST}}, {{RELEASE, A}, {TAKE, B}}}},
    {"the moving hole, stale flags", 65, {B + 1}, STALE, 6,
     {{{MUST_ALLOCATE}}, {{RELEASE, A}, {TAKE, B}}}},
    {"the moving hole, two levels", 129, {C + 1}, CLOSED, 4,
     {{{MUST_LOWEST}}, {{RELEASE, A}, {TAKE, C}}}},
    {"the moving hole, three levels", 257, {Z + 1}, STALE, 3,
     {{{MUST_LOWEST}}, {{RELEASE, A}, {TAKE, Z}}}},
    {"a proof beside the moving hole", 65, {B + 1}, CLOSED, 5,
     {{{PROVE}, {PROVE}}, {{RELEASE, A}, {TAKE, B}}}},
    {"two quotas in a word", 2, {0}, CLOSED, 5,
     {{{RELEASE, A}, {MUST_LOWEST}}, {{RELEASE, A + 1}, {MUST_ALLOCATE}}}},
    {"two quotas in two lines", 65, {0}, CLOSED, 5,
     {{{RELEASE, A}, {MUST_LOWEST}}, {{RELEASE, B}, {MUST_LOWEST}}}},
    {"two quotas in two lines, stale flags", 65, {0}, STALE, 5,
     {{{RELEASE, A}, {MUST_LOWEST}}, {{RELEASE, B}, {MUST_ALLOCATE}}}},
    {"two quotas under two levels", 129, {0}, STALE, 4,
     {{{RELEASE, A}, {MUST_LOWEST}}, {{RELEASE, C}, {MUST_LOWEST}}}},
    {"two quotas under three levels", 257, {0}, STALE, 3,
     {{{RELEASE, A}, {MUST_LOWEST}}, {{RELEASE, Z}, {MUST_LOWEST}}}},
    {"full beside a release, three levels", 257, {0}, STALE, 3,
     {{{LOWEST}}, {{RELEASE, Z}}}},
    {"full beside a release taken back", 65, {0}, STALE, 5,
     {{{LOWEST}, {LOWEST}}, {{RELEASE, A}, {TAKE, A}}}},
    {"three: two closers beside a release", 65, {0}, STALE, 3,
     {{{LOWEST}}, {{RELEASE, A}}, {{LOWEST}}}},
    {"three: the moving hole for two", 65, {B + 1}, CLOSED, 2,
     {{{LOWEST}}, {{RELEASE, A}, {TAKE, B}}, {{LOWEST}}}},
    {"three: the moving hole and a proof", 65, {B + 1}, STALE, 3,
     {{{MUST_LOWEST}}, {{RELEASE, A}, {TAKE, B}}, {{PROVE}}}},
    {"three: two releases, two levels", 129, {0}, CLOSED, 3,
     {{{LOWEST}}, {{RELEASE, A}}, {{RELEASE, C}}}},
    {"three: quotas under two levels", 129, {0}, CLOSED, 2,
     {{{RELEASE, A}, {MUST_LOWEST}}, {{RELEASE, B}, {MUST_LOWEST}}, {{RELEASE, C}, {MUST_LOWEST}}}},
    {"three: two proofs beside a release", 65, {0}, CLOSED, 3,
     {{{PROVE}, {SIGNALLED}, {STILL_IF}}, {{RELEASE, A}, {SIGNAL}}, {{PROVE}}}},
};

/* What is weakened, where, and whether it must show as a data race on a payload. */
static const struct {
    const char *what;
    weakening weakened;
    bool data_race;
} WEAKENINGS[] = {
    {"claims and releases order nothing", {WEAK_CAS_SEQ, WEAK_RELAXED, "exchange", 0}, true},
    {"a release publishes nothing", {WEAK_CAS_SEQ, WEAK_ACQUIRE, "exchange", 0}, true},
    {"a claim acquires nothing", {WEAK_CAS_SEQ, WEAK_RELEASE, "exchange", 0}, true},
    {"a failed claim acquires nothing", {WEAK_CAS_FAILED, WEAK_RELAXED, "exchange", 0}, true},
    {"who finds it taken acquires nothing", {WEAK_LOAD_ACQUIRE, WEAK_RELAXED, "bitmap_take", 0}, true},
    {"who believes another's proof acquires nothing", {WEAK_LOAD_ACQUIRE, WEAK_RELAXED, "bitmap_prove_full", 0}, true},
    {"who proves it publishes nothing", {WEAK_STORE_RELEASE, WEAK_RELAXED, "bitmap_prove_full", 0}, true},
    {"a release comes after its look at the flags", {WEAK_CAS_SEQ, WEAK_ACQUIRE_RELEASE, "exchange", 0}, false},
    {"the look at the flags comes before the release", {WEAK_LOAD_SEQ, WEAK_ACQUIRE, "open_", 0}, false},
    {"a flag is set after the look above it", {WEAK_CAS_SEQ, WEAK_ACQUIRE_RELEASE, "open_flags", 0}, false},
    {"a flag is cleared after the second look", {WEAK_AND_SEQ, WEAK_ACQUIRE_RELEASE, "close_flag", 0}, false},
    {"the second look comes before the flag is cleared", {WEAK_LOAD_SEQ, WEAK_ACQUIRE, "child_has_room", 0}, false},
    {"a look at a number need not be in order", {WEAK_LOAD_SEQ, WEAK_ACQUIRE, "bitmap_is_taken", 0}, false},
    {"a proof need not be in order", {WEAK_LOAD_SEQ, WEAK_ACQUIRE, "bitmap_prove_full", 0}, false},
    {"an old proof need not be in order", {WEAK_LOAD_SEQ, WEAK_ACQUIRE, "bitmap_still_full", 0}, false},
    {"all compare-and-swaps acquire and release", {WEAK_CAS_SEQ, WEAK_ACQUIRE_RELEASE, NULL, 0}, false},
    {"all sequential loads acquire", {WEAK_LOAD_SEQ, WEAK_ACQUIRE, NULL, 0}, false},
};
/* clang-format on */

enum { PROGRAM_COUNT = sizeof PROGRAMS / sizeof *PROGRAMS };

static weak_search exhaustive(void) {
    weak_search search = {};
    search.more_switches = test_scaled(100) >= 1000 ? 1 : 0;
    search.fewer_switches = test_scaled(100) < 100 ? 1 : 0;
    return search;
}

static void expect_success(const weak_program *program, const weak_search *search,
                           const char *how) {
    weak_result result = weak_run(program, search, true);
    fprintf(stderr, "%-48s %9llu executions, %s\n", program->name,
            (unsigned long long)result.executions, how);
    ck_assert_msg(!result.failed, "%s: %s", program->name, result.what);
    ck_assert_uint_gt(result.executions, 1);
}

START_TEST(no_order_of_memory_breaks_it) {
    weak_search search = exhaustive();
    expect_success(&PROGRAMS[_i], &search, "all");
}
END_TEST

START_TEST(no_random_order_of_memory_breaks_it) {
    weak_search search = {};
    search.random_executions = test_scaled(20000);
    expect_success(&PROGRAMS[_i], &search, "random");
}
END_TEST

/* The first program that fails; NULL: none does. */
static const weak_program *find_broken(const weakening *weakened, weak_result *result, bool *met) {
    weak_search search = {};
    search.weakened = *weakened;
    *met = false;
    for (const weak_program &program : PROGRAMS) {
        *result = weak_run(&program, &search, false);
        *met = *met || result->weakened;
        if (result->failed)
            return &program;
    }
    return NULL;
}

START_TEST(a_weaker_order_is_noticed) {
    weak_result result;
    bool met;
    const weak_program *broken = find_broken(&WEAKENINGS[_i].weakened, &result, &met);
    ck_assert_msg(met, "there is no such operation any more: %s", WEAKENINGS[_i].what);
    ck_assert_msg(broken != NULL, "nobody noticed: %s", WEAKENINGS[_i].what);
    fprintf(stderr, "%-50s noticed by \"%s\": %s\n", WEAKENINGS[_i].what, broken->name,
            result.what);
    ck_assert_msg(!WEAKENINGS[_i].data_race || result.data_race, "%s: not a data race but %s",
                  WEAKENINGS[_i].what, result.what);
}
END_TEST

/* ---- the table of all operations, on demand ---- */

static const char *const KINDS[WEAK_KINDS] = {"",
                                              "load relaxed",
                                              "load acquire",
                                              "load seq_cst",
                                              "store relaxed",
                                              "store release",
                                              "store seq_cst",
                                              "cas",
                                              "failed cas",
                                              "or",
                                              "and",
                                              "add",
                                              "add relaxed"};
static const char *const ORDERS[] = {"relaxed", "acquire", "release", "acq_rel"};

/* The strongest order below the usual one; false: that is relaxed already. */
static bool next_weaker(enum weak_kind kind, enum weak_order *order) {
    switch (kind) {
    case WEAK_LOAD_SEQ:
        *order = WEAK_ACQUIRE;
        return true;
    case WEAK_CAS_SEQ:
    case WEAK_OR_SEQ:
    case WEAK_AND_SEQ:
    case WEAK_ADD_SEQ:
        *order = WEAK_ACQUIRE_RELEASE;
        return true;
    case WEAK_LOAD_ACQUIRE:
    case WEAK_STORE_RELEASE:
    case WEAK_CAS_FAILED:
        *order = WEAK_RELAXED;
        return true;
    default:
        return false;
    }
}

static int print_table(void) {
    static weak_site sites[256];
    unsigned count;
    weak_search search = {};
    for (const weak_program &program : PROGRAMS)
        weak_run(&program, &search, true);
    const weak_site *met = weak_sites(&count);
    memcpy(sites, met, count * sizeof *sites);
    for (unsigned i = 0; i < count; i++) {
        weak_result result;
        bool was_met;
        weakening weakened = {sites[i].kind, WEAK_RELAXED, sites[i].function, sites[i].line};
        printf("%4u %-20s %-14s ", sites[i].line, sites[i].function, KINDS[sites[i].kind]);
        if (next_weaker(sites[i].kind, &weakened.order)) {
            const weak_program *broken = find_broken(&weakened, &result, &was_met);
            printf("as %s: %s%s%s", ORDERS[weakened.order], broken ? result.what : "nobody notices",
                   broken ? " in " : "", broken ? broken->name : "");
        }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}

int main(void) {
    if (getenv("WEAK_TABLE") != NULL)
        return print_table();
    Suite *suite = suite_create("weak");
    TCase *tc = tcase_create("weak");
    tcase_set_timeout(tc, 3600);
    tcase_add_loop_test(tc, no_order_of_memory_breaks_it, 0, PROGRAM_COUNT);
    tcase_add_loop_test(tc, no_random_order_of_memory_breaks_it, 0, PROGRAM_COUNT);
    suite_add_tcase(suite, tc);
    TCase *weaker = tcase_create("weaker");
    tcase_set_timeout(weaker, 3600);
    tcase_add_loop_test(weaker, a_weaker_order_is_noticed, 0,
                        sizeof WEAKENINGS / sizeof *WEAKENINGS);
    suite_add_tcase(suite, weaker);
    return test_main(suite);
}
