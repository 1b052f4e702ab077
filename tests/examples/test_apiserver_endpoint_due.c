/* test_apiserver_endpoint_due.c: which Service comes next in the endpoints' keeper. */
#include "endpoint_due.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct due_list list;

static void set_up(void) {
    due_open(&list);
}

static void tear_down(void) {
    due_close(&list);
}

/* All that are due at that time, "a b c"; in static memory. */
static const char *take_all(int64_t now) {
    static char out[256];
    char *service;
    out[0] = '\0';
    while ((service = due_take(&list, now)) != NULL) {
        size_t used = strlen(out);
        snprintf(out + used, sizeof out - used, "%s%s", used > 0 ? " " : "", service);
        free(service);
    }
    return out;
}

START_TEST(lines_take_turns) {
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        due_add(&list, name, DUE_SECOND);
    }
    free(due_take(&list, 0));
    due_add(&list, "new", DUE_FIRST);
    due_add(&list, "newer", DUE_FIRST);
    ck_assert_str_eq(take_all(0), "new s1 newer s2 s3");
    ck_assert_int_eq(due_wait(&list, 0), -1);
    ck_assert_uint_eq(list.all.count, 0);
}
END_TEST

START_TEST(one_that_is_due_stands_once_and_in_the_better_line) {
    due_add(&list, "a", DUE_SECOND);
    due_add(&list, "b", DUE_SECOND);
    due_add(&list, "a", DUE_SECOND);
    due_add(&list, "b", DUE_FIRST);
    due_add(&list, "b", DUE_SECOND);
    ck_assert_int_eq(due_wait(&list, 0), 0);
    ck_assert_str_eq(take_all(0), "b a");
}
END_TEST

START_TEST(what_was_refused_comes_again_later_each_time) {
    static const int64_t pauses[] = {500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    int64_t now = 7;
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        ck_assert_uint_eq(due_refusals(&list, "a"), i);
        due_refused(&list, "a", now);
        ck_assert_int_eq(due_wait(&list, now), pauses[i]);
        ck_assert_str_eq(take_all(now + pauses[i] - 1), "");
        now += pauses[i];
        ck_assert_str_eq(take_all(now), "a");
    }
    due_settled(&list, "a");
    ck_assert_uint_eq(due_refusals(&list, "a"), 0);
    due_refused(&list, "a", now);
    ck_assert_int_eq(due_wait(&list, now), 500);
}
END_TEST

START_TEST(what_was_refused_delays_nobody_and_a_change_brings_it_at_once) {
    due_refused(&list, "bad", 0);
    due_refused(&list, "bad", 0);
    due_refused(&list, "worse", 0);
    due_add(&list, "good", DUE_SECOND);
    ck_assert_str_eq(take_all(0), "good");
    ck_assert_int_eq(due_wait(&list, 0), 500);
    due_add(&list, "bad", DUE_FIRST);
    ck_assert_str_eq(take_all(0), "bad");
    ck_assert_uint_eq(due_refusals(&list, "bad"), 2);
    ck_assert_str_eq(take_all(500), "worse");
}
END_TEST

START_TEST(those_aside_come_by_their_time) {
    for (int i = 0; i < 3; i++) {
        due_refused(&list, "c", 0);
    }
    due_refused(&list, "a", 0);
    due_refused(&list, "b", 0);
    due_refused(&list, "b", 0);
    ck_assert_str_eq(take_all(500), "a");
    ck_assert_str_eq(take_all(2000), "b c");
}
END_TEST

START_TEST(what_becomes_due_while_it_is_being_refused_stays_due) {
    due_add(&list, "a", DUE_FIRST);
    due_refused(&list, "a", 0);
    ck_assert_int_eq(due_wait(&list, 0), 0);
    ck_assert_str_eq(take_all(0), "a");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("endpoints that are due");
    TCase *tests = tcase_create("due");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, lines_take_turns);
    tcase_add_test(tests, one_that_is_due_stands_once_and_in_the_better_line);
    tcase_add_test(tests, what_was_refused_comes_again_later_each_time);
    tcase_add_test(tests, what_was_refused_delays_nobody_and_a_change_brings_it_at_once);
    tcase_add_test(tests, those_aside_come_by_their_time);
    tcase_add_test(tests, what_becomes_due_while_it_is_being_refused_stays_due);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
