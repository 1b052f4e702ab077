/*
 * test_explorer.c: small programs, each through all interleavings on the real bitmap.c, and on
 * ranges with their locks, exclusions and common proof of FULL.
 *
 * The tree has one word to a line and two flags to a summary word, so that 64, 128, 256 and 512
 * numbers have 1, 1, 2 and 3 levels: every step of the protocol with as few words as possible.
 */
#include "support.h"

#include "explorer.h"

#include <stdio.h>

enum { ANY = PREEMPTIONS_ANY };
enum { A = 3, B = 70, C = 150, Z = 500 }; /* numbers in the first, second, third and last word */

/* A program that has more states than this is cut short, at the default scale. */
static const uint64_t STATES_MAX = 3000000;

/* name, ranges, size, free, excluded, retaken, flags, preemptions, operations of each thread */
/* clang-format off */
static const program BITMAP_PROGRAMS[] = {
    {"one free number for two", 0, 64, {A + 1}, 0, 0, CLOSED, ANY,
     {{{ALLOCATE, 0}}, {{ALLOCATE, 0}}}},
    {"take and allocate", 0, 128, {B + 1}, 0, 0, CLOSED, ANY,
     {{{TAKE, B}}, {{ALLOCATE, 0}}}},
    {"take twice", 0, 64, {A + 1}, 0, 0, CLOSED, ANY,
     {{{TAKE, A}}, {{TAKE, A}}}},
    {"release twice", 0, 256, {0}, 0, 0, CLOSED, ANY,
     {{{RELEASE, C}, {ALLOCATE, 0}}, {{RELEASE, C}, {ALLOCATE, 0}}}},
    {"two releases in a word", 0, 64, {0}, 0, 0, CLOSED, ANY,
     {{{RELEASE, A}, {ALLOCATE, 0}}, {{RELEASE, A + 1}, {ALLOCATE, 0}}}},
    {"release beside take", 0, 64, {A + 1}, 0, 0, CLOSED, ANY,
     {{{TAKE, A}, {RELEASE, A}}, {{RELEASE, A + 1}, {TAKE, A + 1}}}},
    {"the moving hole", 0, 128, {B + 1}, 0, 0, CLOSED, ANY,
     {{{ALLOCATE, 0}}, {{RELEASE, A}, {TAKE, B}}}},
    {"the moving hole, stale flags", 0, 128, {B + 1}, 0, 0, STALE, ANY,
     {{{ALLOCATE, 0}}, {{RELEASE, A}, {TAKE, B}}}},
    {"the moving hole, two levels", 0, 256, {C + 1}, 0, 0, CLOSED, ANY,
     {{{LOWEST, 0}}, {{RELEASE, A}, {TAKE, C}}}},
    {"the moving hole, three levels", 0, 512, {Z + 1}, 0, 0, CLOSED, ANY,
     {{{LOWEST, 0}}, {{RELEASE, A}, {TAKE, Z}}}},
    {"release, then one's own allocation", 0, 256, {0}, 0, 0, STALE, ANY,
     {{{RELEASE, C}, {ALLOCATE, 0}}, {{ALLOCATE, 0}}}},
    {"allocate beside two releases", 0, 256, {0}, 0, 0, CLOSED, ANY,
     {{{ALLOCATE, 0}, {ALLOCATE, 0}}, {{RELEASE, A}, {RELEASE, C}}}},
    {"seen free, then full", 0, 256, {0}, 0, 0, CLOSED, ANY,
     {{{LOOKUP, C}, {ALLOCATE, 0}}, {{RELEASE, C}}}},
    {"released already, then full", 0, 512, {0}, 0, 0, CLOSED, ANY,
     {{{RELEASE, Z}, {ALLOCATE, 0}}, {{RELEASE, Z}, {LOOKUP, Z}}}},
    {"still full", 0, 256, {0}, 0, 0, CLOSED, ANY,
     {{{ALLOCATE, 0}, {AGAIN, 0}}, {{RELEASE, C}, {TAKE, C}}}},
    {"allocate and give back", 0, 128, {B + 1}, 0, 0, STALE, ANY,
     {{{ALLOCATE, 0}, {RELEASE, B}}, {{ALLOCATE, 0}, {LOOKUP, B}}}},
    {"two releases, one allocation", 0, 256, {0}, 0, 0, CLOSED, 3,
     {{{RELEASE, A}}, {{RELEASE, C}}, {{ALLOCATE, 0}}}},
    {"two allocations, one release", 0, 256, {0}, 0, 0, CLOSED, 3,
     {{{ALLOCATE, 0}}, {{RELEASE, C}}, {{ALLOCATE, 0}}}},
    {"two allocations, one release, stale flags", 0, 256, {0}, 0, 0, STALE, 3,
     {{{ALLOCATE, 0}}, {{RELEASE, C}}, {{LOWEST, 0}}}},
    {"the moving hole for two", 0, 128, {B + 1}, 0, 0, CLOSED, 3,
     {{{ALLOCATE, 0}}, {{RELEASE, A}, {TAKE, B}}, {{ALLOCATE, 0}}}},
    {"release and take back, beside two", 0, 256, {0}, 0, 0, STALE, 3,
     {{{RELEASE, C}, {TAKE, C}}, {{ALLOCATE, 0}}, {{RELEASE, A}, {ALLOCATE, 0}}}},
    {"a claim from under a release", 0, 512, {0}, 0, 0, CLOSED, 3,
     {{{RELEASE, Z}, {ALLOCATE, 0}}, {{TAKE, Z}, {RELEASE, Z}}, {{LOWEST, 0}}}},
    {"a look while a flag is down", 0, 64, {0}, 0, 0, STALE, 3,
     {{{LOWEST, 0}}, {{RELEASE, A}}, {{LOWEST, 0}}}},
    {"two claims beside a release", 0, 192, {0}, 0, C + 1, CLOSED, ANY,
     {{{CLAIM, 0}}, {{RELEASE, C}}, {{CLAIM, 0}}}},
    {"two closers beside a release", 0, 192, {0}, 0, C + 1, CLOSED, 4,
     {{{LOWEST, 0}}, {{RELEASE, C}}, {{LOWEST, 0}}}},
    {"a dry run beside a release", 0, 256, {0}, 0, 0, CLOSED, ANY,
     {{{DRY_RUN, 0}, {DRY_RUN, 0}}, {{RELEASE, C}}}},
    {"a proof beside the moving hole", 0, 128, {B + 1}, 0, 0, CLOSED, ANY,
     {{{PROVE, 0}}, {{RELEASE, A}, {TAKE, B}}}},
    {"a proof beside the moving hole, two levels", 0, 256, {C + 1}, 0, 0, STALE, ANY,
     {{{PROVE, 0}, {PROVE, 0}}, {{RELEASE, A}, {TAKE, C}, {RELEASE, C}}}},
    {"two proofs beside a release", 0, 128, {0}, 0, B + 1, CLOSED, 3,
     {{{PROVE, 0}, {PROVE, 0}}, {{RELEASE, B}}, {{PROVE, 0}}}},
    {"the moving hole under two closers", 0, 128, {0}, 0, 0, STALE, 6,
     {{{CLAIM, 0}}, {{CLAIM, 0}}, {{RELEASE, B}, {RELEASE, A}, {TAKE, B}}, {{PROVE, 0}}}},
};

/* Numbers of the first, second and third range of 64, or of the first range's second word if it has
 * 128. */
enum { P = 5, Q = 64 + 7, R = 128 + 9 };

static const program RANGE_PROGRAMS[] = {
    {"a pool's hole moves to the range before", 2, 64, {Q + 1}, 0, 0, CLOSED, ANY,
     {{{PROVE_ALL, 0}}, {{RELEASE, P}, {TAKE, Q}}}},
    {"a pool's hole moves on", 2, 64, {P + 1}, 0, 0, CLOSED, ANY,
     {{{PROVE_ALL, 0}}, {{RELEASE, Q}, {TAKE, P}}}},
    {"a pool's hole moves twice", 2, 64, {P + 1}, 0, 0, CLOSED, ANY,
     {{{ALLOCATE_ALL, 0}}, {{RELEASE, Q}, {TAKE, P}, {RELEASE, P}}}},
    {"a pool's hole moves, for a third to see", 2, 64, {Q + 1}, 0, 0, CLOSED, 4,
     {{{RELEASE, P}, {TAKE, Q}}, {{ALLOCATE_ALL, 0}}, {{PROVE_ALL, 0}}}},
    {"a pool's hole moves through three ranges", 3, 64, {R + 1}, 0, 0, CLOSED, ANY,
     {{{PROVE_ALL, 0}}, {{RELEASE, P}, {TAKE, R}, {RELEASE, Q}}}},
    {"a hole moves past two askers", 3, 64, {Q + 1}, 0, 0, CLOSED, 4,
     {{{PROVE_ALL, 0}}, {{RELEASE, P}, {TAKE, Q}}, {{PROVE_ALL, 0}}}},
    {"release in one, take in the other", 2, 64, {Q + 1}, 0, 0, CLOSED, 4,
     {{{RELEASE, P}}, {{TAKE, Q}}, {{PROVE_ALL, 0}, {PROVE_ALL, 0}}}},
    {"a pool's last number for two", 2, 64, {Q + 1}, 0, 0, STALE, 4,
     {{{ALLOCATE_ALL, 0}}, {{ALLOCATE_ALL, 0}}, {{RELEASE, P}}}},
    {"two words a range, the hole moves", 2, 128, {128 + B + 1}, 0, 0, CLOSED, ANY,
     {{{PROVE_ALL, 0}}, {{RELEASE, B}, {TAKE, 128 + B}}}},
    {"two words a range, the hole moves twice", 2, 128, {A + 1}, 0, 0, CLOSED, ANY,
     {{{PROVE_ALL, 0}}, {{RELEASE, B}, {TAKE, A}}, }},
    {"one range's allocation", 1, 128, {B + 1}, 0, 0, CLOSED, ANY,
     {{{ALLOCATE, 0}, {LOOKUP, A}}, {{RELEASE, A}, {TAKE, B}}}},
    {"an exclusion beside an allocation", 1, 64, {P + 1}, 0, 0, CLOSED, ANY,
     {{{EXCLUDE, P}, {LOOKUP, P}}, {{ALLOCATE, 0}, {RELEASE, P}}}},
    {"an exclusion beside a take", 1, 64, {P + 1}, 0, 0, CLOSED, ANY,
     {{{EXCLUDE, P}}, {{TAKE, P}, {LOOKUP, P}, {RELEASE, P}}}},
    {"two exclude the same", 1, 64, {P + 1}, 0, 0, CLOSED, ANY,
     {{{EXCLUDE, P}, {INCLUDE, P}}, {{EXCLUDE, P}, {TAKE, P}}}},
    {"an exclusion that is undone, looked at", 1, 64, {P + 1, P + 2}, 0, 0, CLOSED, ANY,
     {{{EXCLUDE_TWO, P}}, {{TAKE, P + 1}, {LOOKUP, P}, {TAKE, P}}}},
    {"an exclusion that is undone, looked at by a third", 1, 64, {P + 1, P + 2}, 0, 0, CLOSED, 4,
     {{{EXCLUDE_TWO, P}}, {{TAKE, P + 1}}, {{TAKE, P}}}},
    {"two exclusions that are undone, a take beside", 1, 64, {P + 1, P + 2}, 0, 0, CLOSED, 6,
     {{{EXCLUDE_TWO, P}, {EXCLUDE_TWO, P}},
      {{TAKE, P + 1}, {RELEASE, P + 1}, {TAKE, P + 1}},
      {{TAKE, P}}}},
    {"FULL beside an exclusion that is undone", 1, 64, {P + 1, P + 2}, 0, 0, CLOSED, 4,
     {{{EXCLUDE_TWO, P}}, {{TAKE, P + 1}}, {{ALLOCATE, 0}}}},
    {"FULL of a pool beside an exclusion that is undone", 2, 64, {Q + 1, Q + 2}, 0, 0, CLOSED, 4,
     {{{EXCLUDE_TWO, Q}}, {{TAKE, Q + 1}}, {{PROVE_ALL, 0}}}},
    {"FULL after FULL beside an exclusion that is undone", 1, 64, {P + 1, P + 2}, 0, 0, CLOSED, ANY,
     {{{EXCLUDE_TWO, P}}, {{TAKE, P + 1}, {PROVE, 0}, {PROVE, 0}}}},
    {"an inclusion beside an allocation", 1, 64, {0}, P + 1, 0, CLOSED, ANY,
     {{{INCLUDE, P}, {ALLOCATE, 0}}, {{ALLOCATE, 0}, {LOOKUP, P}}}},
    {"an inclusion beside a release", 1, 64, {0}, P + 1, 0, CLOSED, ANY,
     {{{INCLUDE, P}}, {{RELEASE, P}, {TAKE, P}, {RELEASE, P}}}},
    {"a pool's hole moves by inclusion", 2, 64, {Q + 1}, P + 1, 0, CLOSED, ANY,
     {{{PROVE_ALL, 0}}, {{INCLUDE, P}, {TAKE, Q}}}},
    {"a pool's hole moves by exclusion", 2, 64, {Q + 1}, 0, 0, CLOSED, ANY,
     {{{PROVE_ALL, 0}}, {{RELEASE, P}, {EXCLUDE, Q}}}},
    {"excluded here, included there", 2, 64, {Q + 1}, P + 1, 0, CLOSED, ANY,
     {{{ALLOCATE_ALL, 0}}, {{INCLUDE, P}, {EXCLUDE, Q}}}},
    {"included and excluded again, an allocation", 1, 64, {0}, P + 1, 0, CLOSED, ANY,
     {{{INCLUDE, P}, {EXCLUDE, P}}, {{ALLOCATE, 0}, {LOOKUP, P}}}},
    {"included and excluded again, two askers", 1, 64, {0}, P + 1, 0, CLOSED, 3,
     {{{INCLUDE, P}, {EXCLUDE, P}}, {{TAKE, P}}, {{LOOKUP, P}}}},
    {"released, then excluded", 1, 64, {0}, 0, 0, CLOSED, ANY,
     {{{RELEASE, P}, {EXCLUDE, P}}, {{ALLOCATE, 0}, {LOOKUP, P}}}},
};
/* clang-format on */

static void explore_program(const program *p) {
    exploration result = explore(p, test_scaled(STATES_MAX));
    fprintf(stderr, "%-52s %8llu states %7llu executions%s\n", p->name,
            (unsigned long long)result.states, (unsigned long long)result.executions,
            result.finished ? "" : ", stopped");
    ck_assert_msg(result.failure[0] == '\0', "%s: %s", p->name, result.failure);
    ck_assert_uint_gt(result.states, 1);
}

START_TEST(every_interleaving_on_a_bitmap_is_linearizable) {
    explore_program(&BITMAP_PROGRAMS[_i]);
}
END_TEST

START_TEST(every_interleaving_on_ranges_is_linearizable) {
    explore_program(&RANGE_PROGRAMS[_i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("explorer");
    TCase *bitmaps = tcase_create("bitmap"), *ranges = tcase_create("ranges");
    tcase_set_timeout(bitmaps, 240);
    tcase_add_loop_test(bitmaps, every_interleaving_on_a_bitmap_is_linearizable, 0,
                        sizeof BITMAP_PROGRAMS / sizeof *BITMAP_PROGRAMS);
    tcase_set_timeout(ranges, 240);
    tcase_add_loop_test(ranges, every_interleaving_on_ranges_is_linearizable, 0,
                        sizeof RANGE_PROGRAMS / sizeof *RANGE_PROGRAMS);
    suite_add_tcase(suite, bitmaps);
    suite_add_tcase(suite, ranges);
    return test_main(suite);
}
