/*
 * test_linearizable.c: the checker itself, on histories made by hand.
 */
#include "linearizable.h"
#include "support.h"

enum { CALLS = 6, NUMBERS = 4 };

/* Numbers as text: h held, f free, x excluded. */
typedef struct example {
    const char *name;
    bool linearizable;
    const char *at_start, *at_end;
    call calls[CALLS];
} example;

/* clang-format off */
static const example EXAMPLES[] = {
    {"nothing at all", true, "hhff", "hhff", {{0}}},
    {"nothing, but something changed", false, "hhff", "hhfh", {{0}}},
    {"one allocation", true, "hhfh", "hhhh", {{CALL_ALLOCATE, true, 2, 1, 1, 2}}},
    {"of what was not free", false, "hhhf", "hhhh", {{CALL_ALLOCATE, true, 2, 1, 1, 2}}},
    {"a double, one after the other", false, "hhfh", "hhhh",
     {{CALL_ALLOCATE, true, 2, 1, 1, 2}, {CALL_ALLOCATE, true, 2, 1, 3, 4}}},
    {"a double, at once", false, "hhfh", "hhhh",
     {{CALL_ALLOCATE, true, 2, 1, 1, 3}, {CALL_RESERVE, true, 2, 1, 2, 4}}},
    {"twice, released in between", true, "hhfh", "hhhh",
     {{CALL_ALLOCATE, true, 2, 1, 1, 3}, {CALL_ALLOCATE, true, 2, 1, 2, 8}, {CALL_RELEASE, true, 2, 1, 4, 5}}},
    {"twice, released too late", false, "hhfh", "hhfh",
     {{CALL_ALLOCATE, true, 2, 1, 1, 3}, {CALL_ALLOCATE, true, 2, 1, 2, 4}, {CALL_RELEASE, true, 2, 1, 5, 6}}},
    {"a lost release", false, "hhhh", "hhhh", {{CALL_RELEASE, true, 1, 1, 1, 2}}},
    {"a release that says it found nothing", false, "hhhh", "hfhh", {{CALL_RELEASE, false, 1, 1, 1, 2}}},
    {"one of two releases of a number", true, "hhhh", "hfhh",
     {{CALL_RELEASE, true, 1, 1, 1, 4}, {CALL_RELEASE, false, 1, 1, 2, 3}}},
    {"both releases of a number", false, "hhhh", "hfhh",
     {{CALL_RELEASE, true, 1, 1, 1, 4}, {CALL_RELEASE, true, 1, 1, 2, 3}}},
    {"FULL while all is held", true, "hhhh", "hhhh", {{CALL_ALLOCATE, false, 0, 0, 1, 2}}},
    {"FULL beside a release", true, "hhhh", "hfhh",
     {{CALL_ALLOCATE, false, 0, 0, 1, 4}, {CALL_RELEASE, true, 1, 1, 2, 3}}},
    {"FULL after a release", false, "hhhh", "hfhh",
     {{CALL_RELEASE, true, 1, 1, 1, 2}, {CALL_ALLOCATE, false, 0, 0, 3, 4}}},
    {"FULL while the hole moves", false, "hhfh", "fhhh",
     {{CALL_ALLOCATE, false, 0, 0, 1, 6}, {CALL_RELEASE, true, 0, 1, 2, 3}, {CALL_RESERVE, true, 2, 1, 4, 5}}},
    {"FULL while a hole closes and another opens", true, "hhfh", "fhhh",
     {{CALL_ALLOCATE, false, 0, 0, 1, 6}, {CALL_RESERVE, true, 2, 1, 2, 3}, {CALL_RELEASE, true, 0, 1, 4, 5}}},
    {"has, beside what it sees", true, "hfhh", "hhhh",
     {{CALL_HAS, true, 1, 1, 1, 6}, {CALL_HAS, false, 1, 1, 2, 3}, {CALL_RESERVE, true, 1, 1, 4, 5}}},
    {"has, then has not, with one claim", false, "hfhh", "hhhh",
     {{CALL_HAS, true, 1, 1, 1, 2}, {CALL_HAS, false, 1, 1, 3, 4}, {CALL_RESERVE, true, 1, 1, 1, 6}}},
    {"a reserve refused for no reason", false, "hfhh", "hfhh", {{CALL_RESERVE, false, 1, 1, 1, 2}}},
    {"a reserve refused beside a claim and a release", true, "hfhh", "hfhh",
     {{CALL_RESERVE, false, 1, 1, 1, 6}, {CALL_RESERVE, true, 1, 1, 2, 3}, {CALL_RELEASE, true, 1, 1, 4, 5}}},
    {"an exclusion", true, "hffh", "hxxh",
     {{CALL_EXCLUDE, true, 1, 2, 1, 2}, {CALL_ALLOCATE, false, 0, 0, 3, 4}, {CALL_HAS, false, 1, 1, 5, 6}}},
    {"an exclusion of what is held", false, "hffh", "hxxx", {{CALL_EXCLUDE, true, 1, 3, 1, 2}}},
    {"a half exclusion", false, "hffh", "hxfh", {{CALL_EXCLUDE, true, 1, 2, 1, 2}}},
    {"an exclusion refused for no reason", false, "hffh", "hffh", {{CALL_EXCLUDE, false, 1, 2, 1, 2}}},
    {"a release of what is excluded", false, "hxfh", "hffh", {{CALL_RELEASE, true, 1, 1, 1, 2}}},
    {"an inclusion", true, "hxxh", "hffh", {{CALL_INCLUDE, true, 1, 2, 1, 2}, {CALL_PROVE, true, 0, 0, 3, 4}}},
    {"an inclusion of what is free", false, "hxfh", "hffh", {{CALL_INCLUDE, true, 1, 2, 1, 2}}},
    {"an inclusion that is refused", true, "hxfh", "hxfh", {{CALL_INCLUDE, false, 1, 2, 1, 2}}},
    {"a proof where something is free", false, "hfhh", "hfhh", {{CALL_PROVE, false, 0, 0, 1, 2}}},
    {"the order of two threads crosses", false, "hhhh", "hhhh",
     {{CALL_RELEASE, true, 0, 1, 1, 2}, {CALL_RESERVE, false, 1, 1, 3, 10}, {CALL_RELEASE, true, 1, 1, 4, 5},
      {CALL_RESERVE, true, 0, 1, 6, 7}, {CALL_HAS, false, 1, 1, 11, 12}}},
    {"the way back is long", true, "ffff", "hhff",
     {{CALL_RESERVE, true, 0, 1, 1, 20}, {CALL_RESERVE, true, 1, 1, 2, 19}, {CALL_HAS, false, 0, 1, 3, 4},
      {CALL_HAS, true, 1, 1, 5, 6}, {CALL_HAS, false, 0, 1, 7, 8}, {CALL_HAS, true, 0, 1, 9, 10}}},
};
/* clang-format on */

static void read_states(const char *text, unsigned char *states) {
    for (uint32_t i = 0; i < NUMBERS; i++)
        states[i] = text[i] == 'f' ? STATE_FREE : text[i] == 'x' ? STATE_EXCLUDED : STATE_HELD;
}

static history history_of(const example *e) {
    history h = {.numbers = NUMBERS};
    read_states(e->at_start, h.at_start);
    read_states(e->at_end, h.at_end);
    while (h.count < CALLS && e->calls[h.count].end != 0) {
        h.calls[h.count] = e->calls[h.count];
        h.count++;
    }
    return h;
}

START_TEST(the_checker_tells_what_one_thread_could_have_seen) {
    const example *e = &EXAMPLES[_i];
    history h = history_of(e);
    ck_assert_msg(history_linearizable(&h) == e->linearizable, "%s", e->name);
}
END_TEST

/* Whoever wrote the calls down in another order: nothing but their instants counts. */
START_TEST(the_order_in_the_list_does_not_matter) {
    const example *e = &EXAMPLES[_i];
    history h = history_of(e), reversed = h;
    for (size_t i = 0; i < h.count; i++)
        reversed.calls[i] = h.calls[h.count - 1 - i];
    ck_assert_msg(history_linearizable(&reversed) == e->linearizable, "%s", e->name);
}
END_TEST

/* Every operation overlaps every other: n! orders, but only 2^n sets. */
START_TEST(many_operations_at_once_are_judged_quickly) {
    enum { AT_ONCE = 14 };
    history h = {.numbers = AT_ONCE};
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        h.at_start[i] = STATE_FREE;
        h.at_end[i] = STATE_HELD;
        h.calls[h.count++] = (call){CALL_RESERVE, true, i, 1, 1 + i, 100 + i};
    }
    ck_assert(history_linearizable(&h));
    h.calls[h.count++] = (call){CALL_RELEASE, true, 0, 1, 50, 99}; /* and nobody took it again */
    ck_assert(!history_linearizable(&h));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("linearizable");
    TCase *tc = tcase_create("linearizable");
    int examples = sizeof EXAMPLES / sizeof *EXAMPLES;
    tcase_add_loop_test(tc, the_checker_tells_what_one_thread_could_have_seen, 0, examples);
    tcase_add_loop_test(tc, the_order_in_the_list_does_not_matter, 0, examples);
    tcase_add_test(tc, many_operations_at_once_are_judged_quickly);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
