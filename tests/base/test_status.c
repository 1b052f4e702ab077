/*
 * test_status.c: status codes, error records and hooks.
 */
#include "support.h"

#include "base/error.h"
#include "base/hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

START_TEST(version_text_and_numbers_agree) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", IPALLOC_VERSION_MAJOR, IPALLOC_VERSION_MINOR,
             IPALLOC_VERSION_PATCH);
    ck_assert_str_eq(ipalloc_version(), text);
}
END_TEST

START_TEST(every_status_has_a_name_and_a_text) {
    for (int status = 0; status >= IPALLOC_E_EXPIRED; status--) {
        ck_assert_str_ne(ipalloc_strerror(status), "unknown status");
        ck_assert_int_eq(strncmp(ipalloc_status_name(status), "IPALLOC_", 8), 0);
    }
    ck_assert_str_eq(ipalloc_strerror(1), "unknown status");
    ck_assert_str_eq(ipalloc_status_name(-1000), "IPALLOC_E_?");
}
END_TEST

START_TEST(an_error_carries_the_errno_text) {
    ipalloc_error error;
    ck_assert_int_eq(error_set_errno(&error, IPALLOC_E_IO, ENOSPC, "writing %s", "x.db"),
                     IPALLOC_E_IO);
    ck_assert_int_eq(error.system_errno, ENOSPC);
    ck_assert_str_eq(error.message, "writing x.db: No space left on device");
    ck_assert_int_eq(error_set(NULL, IPALLOC_E_FULL, "nobody looks"), IPALLOC_E_FULL);
}
END_TEST

START_TEST(a_long_message_is_cut_on_a_whole_character) {
    ipalloc_error error;
    char big[600];
    memset(big, 'a', sizeof big);
    memcpy(big + IPALLOC_ERROR_TEXT - 2, "\xc3\xa9", 2); /* straddles the end */
    big[sizeof big - 1] = '\0';
    error_set(&error, IPALLOC_E_INVALID, "%s", big);
    ck_assert_uint_eq(strlen(error.message), IPALLOC_ERROR_TEXT - 2);
}
END_TEST

START_TEST(an_error_may_quote_itself) {
    ipalloc_error error;
    error_set(&error, IPALLOC_E_IO, "inner");
    error_set(&error, IPALLOC_E_IO, "outer: %s", error.message);
    ck_assert_str_eq(error.message, "outer: inner");
}
END_TEST

START_TEST(options_of_an_older_program_read_as_zero_beyond_its_size) {
    ipalloc_hooks old;
    memset(&old, 0xff, sizeof old);
    old.size = sizeof(size_t);
    ipalloc_hooks copy;
    ck_assert_status(options_copy(&copy, sizeof copy, &old, "ipalloc_hooks", NULL), IPALLOC_OK);
    ck_assert_ptr_null(copy.context);
    ck_assert(copy.log == NULL);
    ck_assert_uint_eq(copy.size, sizeof copy);
}
END_TEST

START_TEST(options_without_size_are_refused) {
    ipalloc_hooks none = {0};
    ipalloc_error error;
    hooks h;
    ck_assert_status(hooks_init(&h, &none, &error), IPALLOC_E_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "sizeof(ipalloc_hooks)"));
}
END_TEST

static void *some_allocate(void *context, size_t bytes) {
    (void)context;
    (void)bytes;
    return NULL;
}

START_TEST(memory_functions_come_together) {
    ipalloc_hooks some = {.size = sizeof some, .allocate = some_allocate};
    hooks h;
    ck_assert_status(hooks_init(&h, &some, NULL), IPALLOC_E_INVALID);
}
END_TEST

START_TEST(random_below_stays_below_and_reaches_all) {
    hooks h;
    ck_assert_status(hooks_init(&h, NULL, NULL), IPALLOC_OK);
    bool seen[7] = {false};
    for (int i = 0; i < 1000; i++) {
        uint64_t value = hooks_random_below(&h, 7);
        ck_assert_uint_lt(value, 7);
        seen[value] = true;
    }
    for (int i = 0; i < 7; i++)
        ck_assert(seen[i]);
}
END_TEST

static uint64_t counting_random(void *context) {
    return ++*(uint64_t *)context;
}

START_TEST(an_injected_random_source_is_used) {
    uint64_t count = 0;
    ipalloc_hooks mine = {.size = sizeof mine, .context = &count, .random = counting_random};
    hooks h;
    ck_assert_status(hooks_init(&h, &mine, NULL), IPALLOC_OK);
    ck_assert_uint_eq(hooks_random(&h), 1);
    ck_assert_uint_eq(hooks_random(&h), 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("status");
    TCase *tc = tcase_create("status");
    tcase_add_test(tc, version_text_and_numbers_agree);
    tcase_add_test(tc, every_status_has_a_name_and_a_text);
    tcase_add_test(tc, an_error_carries_the_errno_text);
    tcase_add_test(tc, a_long_message_is_cut_on_a_whole_character);
    tcase_add_test(tc, an_error_may_quote_itself);
    tcase_add_test(tc, options_of_an_older_program_read_as_zero_beyond_its_size);
    tcase_add_test(tc, options_without_size_are_refused);
    tcase_add_test(tc, memory_functions_come_together);
    tcase_add_test(tc, random_below_stays_below_and_reaches_all);
    tcase_add_test(tc, an_injected_random_source_is_used);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
