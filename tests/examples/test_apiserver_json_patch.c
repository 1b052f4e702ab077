/*
 * JSON patch by the public test cases: tests/data/json-patch.cases holds documents, patches and
 * results of github.com/json-patch/json-patch-tests (its spec_tests.json and tests.json, those that
 * are not disabled there), a case a line: document, patch, result or "!" for an error, with tabs
 * between them.
 */
#include "patch.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES_LEAST 100

static void check_case(const char *line, const char *document, const char *patch,
                       const char *result) {
    struct text problem = {0};
    struct json_object *object = json_tokener_parse(document);
    struct json_object *operations = json_tokener_parse(patch);
    struct json_object *out = patch_apply(PATCH_JSON, NULL, object, operations, &problem);
    ck_assert_ptr_nonnull(object);
    ck_assert_ptr_nonnull(operations);
    if (strcmp(result, "!") == 0) {
        ck_assert_msg(out == NULL && problem.size > 0, "%s gave %s", line, json_line(out, NULL));
    } else {
        struct json_object *expected = json_tokener_parse(result);
        ck_assert_msg(problem.size == 0, "%s: %s", line, problem.data);
        ck_assert_msg(json_object_equal(out, expected), "%s gave %s", line, json_line(out, NULL));
        json_object_put(expected);
    }
    json_object_put(out);
    json_object_put(operations);
    json_object_put(object);
    text_clear(&problem);
}

START_TEST(the_public_cases_agree) {
    char path[1024];
    char line[8192];
    int count = 0;
    snprintf(path, sizeof path, "%s/json-patch.cases", getenv("TEST_DATA"));
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        char *whole = strdup(line);
        const char *document = strsep(&rest, "\t");
        const char *patch = strsep(&rest, "\t");
        ck_assert_ptr_nonnull(rest);
        check_case(whole, document, patch, rest);
        free(whole);
        count++;
    }
    fclose(file);
    ck_assert_int_ge(count, CASES_LEAST);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("json_patch");
    TCase *cases = tcase_create("json_patch");
    tcase_add_test(cases, the_public_cases_agree);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
