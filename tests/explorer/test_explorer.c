/*
 * test_explorer.c: small programs through all their interleavings on the real bitmap.c.
 *
 * The tree has one word to a line and two flags to a summary word, so that 64, 128, 256 and 512
 * numbers have 1, 1, 2 and 3 levels: every step of the protocol with as few words as possible.
 */
#include "support.h"

#include "explorer.h"

#include <stdio.h>

enum { ANY = PREEMPTIONS_ANY };
enum { A = 3, B = 70, C = 150, Z = 500 }; /* numbers in the first, second, third and last word */

/* name, size, free, flags, retaken, preemptions, operations of each thread */
/* clang-format off */
static const program PROGRAMS[] = {
    {"one free number for two", 64, {A + 1}, CLOSED, 0, ANY,
     {{{ALLOCATE, 0}}, {{ALLOCATE, 0}}}},
    {"take and allocate", 128, {B + 1}, CLOSED, 0, ANY,
     {{{TAKE, B}}, {{ALLOCATE, 0}}}},
    {"take twice", 64, {A + 1}, CLOSED, 0, ANY,
     {{{TAKE, A}}, {{TAKE, A}}}},
    {"release twice", 256, {0}, CLOSED, 0, ANY,
     {{{RELEASE, C}, {ALLOCATE, 0}}, {{RELEASE, C}, {ALLOCATE, 0}}}},
    {"two releases in a word", 64, {0}, CLOSED, 0, ANY,
     {{{RELEASE, A}, {ALLOCATE, 0}}, {{RELEASE, A + 1}, {ALLOCATE, 0}}}},
    {"release beside take", 64, {A + 1}, CLOSED, 0, ANY,
     {{{TAKE, A}, {RELEASE, A}}, {{RELEASE, A + 1}, {TAKE, A + 1}}}},
    {"the moving hole", 128, {B + 1}, CLOSED, 0, ANY,
     {{{ALLOCATE, 0}}, {{RELEASE, A}, {TAKE, B}}}},
    {"the moving hole, stale flags", 128, {B + 1}, STALE, 0, ANY,
     {{{ALLOCATE, 0}}, {{RELEASE, A}, {TAKE, B}}}},
    {"the moving hole, two levels", 256, {C + 1}, CLOSED, 0, ANY,
     {{{LOWEST, 0}}, {{RELEASE, A}, {TAKE, C}}}},
    {"the moving hole, three levels", 512, {Z + 1}, CLOSED, 0, ANY,
     {{{LOWEST, 0}}, {{RELEASE, A}, {TAKE, Z}}}},
    {"release, then one's own allocation", 256, {0}, STALE, 0, ANY,
     {{{RELEASE, C}, {ALLOCATE, 0}}, {{ALLOCATE, 0}}}},
    {"allocate beside two releases", 256, {0}, CLOSED, 0, ANY,
     {{{ALLOCATE, 0}, {ALLOCATE, 0}}, {{RELEASE, A}, {RELEASE, C}}}},
    {"seen free, then full", 256, {0}, CLOSED, 0, ANY,
     {{{LOOKUP, C}, {ALLOCATE, 0}}, {{RELEASE, C}}}},
    {"released already, then full", 512, {0}, CLOSED, 0, ANY,
     {{{RELEASE, Z}, {ALLOCATE, 0}}, {{RELEASE, Z}, {LOOKUP, Z}}}},
    {"still full", 256, {0}, CLOSED, 0, ANY,
     {{{ALLOCATE, 0}, {AGAIN, 0}}, {{RELEASE, C}, {TAKE, C}}}},
    {"allocate and give back", 128, {B + 1}, STALE, 0, ANY,
     {{{ALLOCATE, 0}, {RELEASE, B}}, {{ALLOCATE, 0}, {LOOKUP, B}}}},
    {"two releases, one allocation", 256, {0}, CLOSED, 0, 3,
     {{{RELEASE, A}}, {{RELEASE, C}}, {{ALLOCATE, 0}}}},
    {"two allocations, one release", 256, {0}, CLOSED, 0, 3,
     {{{ALLOCATE, 0}}, {{RELEASE, C}}, {{ALLOCATE, 0}}}},
    {"two allocations, one release, stale flags", 256, {0}, STALE, 0, 3,
     {{{ALLOCATE, 0}}, {{RELEASE, C}}, {{LOWEST, 0}}}},
    {"the moving hole for two", 128, {B + 1}, CLOSED, 0, 3,
     {{{ALLOCATE, 0}}, {{RELEASE, A}, {TAKE, B}}, {{ALLOCATE, 0}}}},
    {"release and take back, beside two", 256, {0}, STALE, 0, 3,
     {{{RELEASE, C}, {TAKE, C}}, {{ALLOCATE, 0}}, {{RELEASE, A}, {ALLOCATE, 0}}}},
    {"a claim from under a release", 512, {0}, CLOSED, 0, 3,
     {{{RELEASE, Z}, {ALLOCATE, 0}}, {{TAKE, Z}, {RELEASE, Z}}, {{LOWEST, 0}}}},
    {"a look while a flag is down", 64, {0}, STALE, 0, 3,
     {{{LOWEST, 0}}, {{RELEASE, A}}, {{LOWEST, 0}}}},
    {"two claims beside a release", 192, {0}, CLOSED, C + 1, ANY,
     {{{CLAIM, 0}}, {{RELEASE, C}}, {{CLAIM, 0}}}},
    {"two closers beside a release", 192, {0}, CLOSED, C + 1, 4,
     {{{LOWEST, 0}}, {{RELEASE, C}}, {{LOWEST, 0}}}},
    {"a dry run beside a release", 256, {0}, CLOSED, 0, ANY,
     {{{DRY_RUN, 0}, {DRY_RUN, 0}}, {{RELEASE, C}}}},
    {"a proof beside the moving hole", 128, {B + 1}, CLOSED, 0, ANY,
     {{{PROVE, 0}}, {{RELEASE, A}, {TAKE, B}}}},
    {"a proof beside the moving hole, two levels", 256, {C + 1}, STALE, 0, ANY,
     {{{PROVE, 0}, {PROVE, 0}}, {{RELEASE, A}, {TAKE, C}, {RELEASE, C}}}},
    {"two proofs beside a release", 128, {0}, CLOSED, B + 1, 3,
     {{{PROVE, 0}, {PROVE, 0}}, {{RELEASE, B}}, {{PROVE, 0}}}},
    {"the moving hole under two closers", 128, {0}, STALE, 0, 6,
     {{{CLAIM, 0}}, {{CLAIM, 0}}, {{RELEASE, B}, {RELEASE, A}, {TAKE, B}}, {{PROVE, 0}}}},
};
/* clang-format on */

START_TEST(every_interleaving_is_linearizable) {
    const program *p = &PROGRAMS[_i];
    exploration result = explore(p, test_scaled(700000));
    fprintf(stderr, "%-45s %7llu states %7llu executions%s\n", p->name,
            (unsigned long long)result.states, (unsigned long long)result.executions,
            result.finished ? "" : ", stopped");
    ck_assert_msg(result.failure[0] == '\0', "%s: %s", p->name, result.failure);
    ck_assert_uint_gt(result.states, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("explorer");
    TCase *tc = tcase_create("explorer");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_interleaving_is_linearizable, 0,
                        sizeof PROGRAMS / sizeof *PROGRAMS);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
