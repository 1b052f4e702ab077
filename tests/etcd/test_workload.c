/*
 * test_workload.c: the nemesis' workload, journals, judge and final look, on one server that keeps
 * its store in a file, and is killed now and then.
 */
#include "crew.h"
#include "final.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KILLS = 4, WORK_MS = 400, LOSSES = 10 };

/* Had one lease less been in the store, it would have been told, but for one that somebody may have
 * released without being told so: those are few. */
static void expect_losses_to_be_noticed(judged_history *h) {
    const step *whole = h->final;
    size_t count = h->final_count, noticed = 0, tried = count < LOSSES ? count : LOSSES;
    step *left = malloc(count * sizeof *left);
    ck_assert_ptr_nonnull(left);
    for (size_t lost = 0; lost < tried; lost++) {
        judgement j;
        memcpy(left, whole, lost * sizeof *left);
        memcpy(left + lost, whole + lost + 1, (count - lost - 1) * sizeof *left);
        h->final = left;
        h->final_count = count - 1;
        judge(h, &j);
        noticed += j.wrong[0] != '\0';
    }
    ck_assert_msg(2 * noticed > tried, "%zu of %zu losses were noticed", noticed, tried);
    free(left);
}

START_TEST(a_server_that_is_killed_is_judged_sound) {
    static crew c;
    final_state state;
    judgement j;
    size_t count = 0;
    const char *directory = test_directory_make();
    c.seed = test_seed();
    snprintf(c.directory, sizeof c.directory, "%s", directory);
    snprintf(c.url, sizeof c.url, "sqlite:%s/store", directory);
    crew_start(&c, 1);
    for (int i = 0; i < KILLS; i++) {
        ck_assert(crew_works_since(&c, journal_now(), 20));
        usleep(WORK_MS * 1000);
        crew_kill(&c, 0);
        crew_restart(&c, 0);
    }
    ck_assert(crew_works_since(&c, journal_now(), 20));
    crew_finish(&c);
    final_from_store(c.url, &state);
    ck_assert_str_eq(state.wrong, "");
    final_registry(c.url, &state);
    ck_assert_str_eq(state.wrong, "");

    operation *all = crew_history(&c, &count);
    judged_history h = {.operations = all,
                        .count = count,
                        .final = state.leases,
                        .final_count = state.count,
                        .final_at = state.at};
    crew_pools(&h);
    judge(&h, &j);
    ck_assert_str_eq(j.wrong, "");
    ck_assert_uint_gt(j.full_answers, 0);
    ck_assert_uint_gt(state.count, 0);
    fprintf(stderr, "%zu operations, %zu leases, %zu unknown, %zu full (%zu sharp)\n", j.operations,
            j.leases, j.unknown, j.full_answers, j.full_sharp);
    expect_losses_to_be_noticed(&h);
    free(all);
    final_free(&state);
    test_directory_remove(directory);
}
END_TEST

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return worker_main(argc, argv);
    Suite *suite = suite_create("workload");
    TCase *tc = tcase_create("workload");
    tcase_set_timeout(tc, 200);
    tcase_add_test(tc, a_server_that_is_killed_is_judged_sound);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
