/* Who may ask a store that does not answer. */
#include "store_gate.h"
#include "support.h"

#include <string.h>

static struct store_gate gate;
static uint64_t early, late;

static bool enter(uint64_t arrived_ms, bool *tries) {
    struct text why = {0};
    bool may = store_gate_enter(&gate, arrived_ms, tries, &why);
    ck_assert_str_eq(may ? "" : why.data, may ? "" : "nobody answers");
    text_clear(&why);
    return may;
}

/* One that asked early has been told that nobody answers. */
static void begin_closed(void) {
    store_gate_init(&gate);
    early = monotonic_ms() - 1000;
    store_gate_leave(&gate, false, STORE_SILENT, "nobody answers");
    late = monotonic_ms() + 1000;
}

START_TEST(while_the_store_answers_everybody_asks) {
    bool tries;
    store_gate_init(&gate);
    for (int i = 0; i < 3; i++) {
        ck_assert(enter(monotonic_ms(), &tries));
        ck_assert(!tries);
    }
    store_gate_leave(&gate, false, STORE_NOT_ASKED, NULL);
    ck_assert(enter(0, &tries));
    store_gate_destroy(&gate);
}
END_TEST

START_TEST(who_came_before_the_failure_is_told_of_it) {
    bool tries;
    begin_closed();
    ck_assert(!enter(early, &tries));
    ck_assert(!enter(early, &tries));
    store_gate_destroy(&gate);
}
END_TEST

START_TEST(of_those_who_come_later_one_at_a_time_tries) {
    bool tries;
    begin_closed();
    ck_assert(enter(late, &tries));
    ck_assert(tries);
    ck_assert(!enter(late, &tries));
    ck_assert(!tries);
    store_gate_leave(&gate, true, STORE_NOT_ASKED, NULL); /* that tells nothing: the next one */
    ck_assert(enter(late, &tries));
    ck_assert(tries);
    store_gate_leave(&gate, true, STORE_SILENT, "nobody answers");
    ck_assert(!enter(early, &tries));
    ck_assert(enter(late, &tries));
    ck_assert(tries);
    store_gate_destroy(&gate);
}
END_TEST

START_TEST(an_answer_opens_it_for_all) {
    bool tries;
    begin_closed();
    store_gate_leave(&gate, false, STORE_ANSWERED, NULL); /* also of one that was on its way */
    for (int i = 0; i < 3; i++) {
        ck_assert(enter(early, &tries));
        ck_assert(!tries);
    }
    store_gate_destroy(&gate);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver store gate");
    TCase *cases = tcase_create("gate");
    tcase_add_test(cases, while_the_store_answers_everybody_asks);
    tcase_add_test(cases, who_came_before_the_failure_is_told_of_it);
    tcase_add_test(cases, of_those_who_come_later_one_at_a_time_tries);
    tcase_add_test(cases, an_answer_opens_it_for_all);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
