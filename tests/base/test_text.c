/*
 * test_text.c: the text buffer, key parts and quoting.
 */
#include "support.h"

#include "base/text.h"

#include <string.h>

static hooks h;

static void set_up(void) {
    ck_assert_status(hooks_init(&h, NULL, NULL), IPALLOC_OK);
}

START_TEST(appends_grow_the_buffer) {
    text_buffer t;
    text_init(&t, &h);
    for (int i = 0; i < 1000; i++)
        text_format(&t, "%04d", i);
    ck_assert(!t.failed);
    ck_assert_uint_eq(t.length, 4000);
    ck_assert_str_eq(t.bytes + 3996, "0999");
    text_free(&t);
}
END_TEST

static const struct {
    const char *raw, *key;
} KEY_PARTS[] = {
    {"", "/"},
    {"web", "web/"},
    {"a/b", "a%2Fb/"},
    {"a%b", "a%25b/"},
    {"\xc3\xa9 \n", "%C3%A9%20%0A/"},
};

START_TEST(key_parts_round_trip) {
    text_buffer t;
    text_init(&t, &h);
    text_append_key_part(&t, KEY_PARTS[_i].raw, strlen(KEY_PARTS[_i].raw));
    ck_assert_str_eq(t.bytes, KEY_PARTS[_i].key);
    char out[64];
    size_t length;
    ck_assert_ptr_eq(text_parse_key_part(t.bytes, t.bytes + t.length, out, sizeof out, &length),
                     t.bytes + t.length);
    ck_assert_str_eq(out, KEY_PARTS[_i].raw);
    text_free(&t);
}
END_TEST

static const char *const BAD_KEY_PARTS[] = {"web", "a b/", "%2f/", "%41/", "%4/", "%", "%ZZ/"};

START_TEST(a_key_part_has_one_spelling) {
    const char *key = BAD_KEY_PARTS[_i];
    char out[64];
    size_t length;
    ck_assert_ptr_null(text_parse_key_part(key, key + strlen(key), out, sizeof out, &length));
}
END_TEST

START_TEST(a_key_part_longer_than_the_buffer_is_refused) {
    char out[4];
    size_t length;
    const char *four = "abcd/", *three = "abc/";
    ck_assert_ptr_null(text_parse_key_part(four, four + 5, out, sizeof out, &length));
    ck_assert_ptr_nonnull(text_parse_key_part(three, three + 4, out, sizeof out, &length));
}
END_TEST

START_TEST(untrusted_text_is_made_printable) {
    char out[64];
    ck_assert_str_eq(text_quote("a\nb\xff\xc3\xa9", 6, out, sizeof out), "a\\x0Ab\\xFF\xc3\xa9");
    ck_assert_str_eq(text_quote("\xc2\x85\xed\xa0\x80", 5, out, sizeof out),
                     "\\xC2\\x85\\xED\\xA0\\x80");
    char tight[12];
    ck_assert_str_eq(text_quote("abcdefghijklmnop", 16, tight, sizeof tight), "abcdefgh...");
}
END_TEST

START_TEST(decimals_are_strict) {
    uint64_t value = 7;
    ck_assert(text_parse_decimal("0", 1, 10, &value) && value == 0);
    ck_assert(text_parse_decimal("18446744073709551615", 20, UINT64_MAX, &value));
    ck_assert_uint_eq(value, UINT64_MAX);
    ck_assert(!text_parse_decimal("18446744073709551616", 20, UINT64_MAX, &value));
    ck_assert(!text_parse_decimal("", 0, 10, &value));
    ck_assert(!text_parse_decimal("01", 2, 10, &value));
    ck_assert(!text_parse_decimal("+1", 2, 10, &value));
    ck_assert(!text_parse_decimal("11", 2, 10, &value));
    ck_assert(!text_parse_decimal("9", 1, 8, &value));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("text");
    TCase *tc = tcase_create("text");
    tcase_add_unchecked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, appends_grow_the_buffer);
    tcase_add_loop_test(tc, key_parts_round_trip, 0, sizeof KEY_PARTS / sizeof *KEY_PARTS);
    tcase_add_loop_test(tc, a_key_part_has_one_spelling, 0,
                        sizeof BAD_KEY_PARTS / sizeof *BAD_KEY_PARTS);
    tcase_add_test(tc, a_key_part_longer_than_the_buffer_is_refused);
    tcase_add_test(tc, untrusted_text_is_made_printable);
    tcase_add_test(tc, decimals_are_strict);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
