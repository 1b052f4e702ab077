/*
 * test_names.c: what Kubernetes takes as a name.
 */
#include "stored_support.h"

#include "kubernetes/names.h"

#include <string.h>

static const struct {
    const char *name;
    bool label, subdomain, segment;
} ROWS[] = {
    {"web", true, true, true},        {"a", true, true, true},
    {"0", true, true, true},          {"a-b", true, true, true},
    {"a--9", true, true, true},       {"", false, false, false},
    {"-a", false, false, true},       {"a-", false, false, true},
    {"A", false, false, true},        {"a_b", false, false, true},
    {"a.b", false, true, true},       {"a.b.c-d.0", false, true, true},
    {"a..b", false, false, true},     {".a", false, false, true},
    {"a.", false, false, true},       {"a.-b", false, false, true},
    {"a-.b", false, false, true},     {".", false, false, false},
    {"..", false, false, false},      {"...", false, false, true},
    {"a/b", false, false, false},     {"a%2f", false, false, false},
    {"a b", false, false, false},     {"a\n", false, false, false},
    {"a\x7f", false, false, false},   {"\xc3\xbc", false, false, false},
    {"system:x", false, false, true}, {"a{", false, false, true},
    {"a`", false, false, true},
};

START_TEST(a_name_is) {
    ipalloc_bytes name = bytes_copy(ROWS[_i].name, strlen(ROWS[_i].name));
    ck_assert_int_eq(name_is_label(name), ROWS[_i].label);
    ck_assert_int_eq(name_is_subdomain(name), ROWS[_i].subdomain);
    ck_assert_int_eq(name_is_path_segment(name, 63), ROWS[_i].segment);
    bytes_free(name);
}
END_TEST

START_TEST(names_have_a_longest_length) {
    char text[300];
    memset(text, 'a', sizeof text);
    ck_assert(name_is_label((ipalloc_bytes){text, 63}));
    ck_assert(!name_is_label((ipalloc_bytes){text, 64}));
    ck_assert(name_is_subdomain((ipalloc_bytes){text, 253}));
    ck_assert(!name_is_subdomain((ipalloc_bytes){text, 254}));
    ck_assert(name_is_path_segment((ipalloc_bytes){text, 10}, 10));
    ck_assert(!name_is_path_segment((ipalloc_bytes){text, 11}, 10));
    ck_assert(name_is_word((ipalloc_bytes){text, 10}, 10));
    ck_assert(!name_is_word((ipalloc_bytes){text, 11}, 10));
}
END_TEST

START_TEST(no_bytes_are_no_name) {
    ipalloc_bytes none = {NULL, 0};
    ck_assert(!name_is_label(none) && !name_is_subdomain(none) && !name_is_word(none, 9));
    ck_assert(!name_is_path_segment(none, 9));
    ck_assert(bytes_are(none, "") && !bytes_are(none, "a"));
    ck_assert(bytes_are(BYTES("ab"), "ab") && !bytes_are(BYTES("ab"), "ac"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("names");
    TCase *tc = tcase_create("names");
    tcase_add_loop_test(tc, a_name_is, 0, LENGTH(ROWS));
    tcase_add_test(tc, names_have_a_longest_length);
    tcase_add_test(tc, no_bytes_are_no_name);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
