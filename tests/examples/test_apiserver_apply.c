/*
 * Server-side apply beside upstream's own: tests/data/server-side-apply.jsonl has random sequences
 * of applies and updates of Services by three managers, and what sigs.k8s.io/structured-merge-diff
 * v6 made of each step. {"op": "reset"} begins a sequence; a step has its conflicts, or the object
 * and each manager's fields afterwards.
 */
#include "managed_case.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_managers(struct json_object *expected, const char *line) {
    size_t count = 0;
    json_object_object_foreach(expected, who, fields) {
        char manager[64];
        const char *bar = strchr(who, '|');
        snprintf(manager, sizeof manager, "%.*s", (int)(bar - who), who);
        struct json_object *entry = case_entry_of(manager, bar + 1);
        ck_assert_msg(json_object_equal(json_member(entry, "fieldsV1"), fields), "%s: %s owns %s",
                      line, who, json_line(entry, NULL));
        count++;
    }
    ck_assert_msg(case_entry_count() == count, "%s: %zu managers", line, case_entry_count());
}

static void assert_object(struct json_object *expected, const char *line) {
    static const char *const parts[] = {"metadata", "spec"};
    struct json_object *left = json_copy(object);
    json_remove(json_member(left, "metadata"), "managedFields");
    json_remove(left, "status");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct json_object *part = json_member(left, parts[i]);
        if (part != NULL && json_object_object_length(part) == 0) {
            json_remove(left, parts[i]);
        }
    }
    ck_assert_msg(json_object_equal(left, expected), "%s: it is %s", line, json_line(left, NULL));
    json_object_put(left);
}

/* "MANAGER|OPERATION" and the path of each conflict, in order. */
static void assert_conflicts(struct json_object *expected, const char *line) {
    struct json_object *causes = json_at(outcome.value, "details", "causes", NULL);
    ck_assert_msg(json_length(causes) == json_length(expected), "%s: %s", line, case_said());
    for (size_t i = 0; i < json_length(causes); i++) {
        struct json_object *cause = json_object_array_get_idx(causes, i);
        const char *manager = strchr(json_member_text(cause, "message"), '"') + 1;
        struct text conflict = {0};
        text_format(&conflict, "%.*s|%s%s", (int)strcspn(manager, "\""), manager,
                    strstr(manager, " using ") != NULL ? "Update" : "Apply",
                    json_member_text(cause, "field"));
        bool found = false;
        for (size_t j = 0; j < json_length(expected); j++) {
            found = found || strcmp(json_object_get_string(json_object_array_get_idx(expected, j)),
                                    conflict.data) == 0;
        }
        ck_assert_msg(found, "%s: %s", line, conflict.data);
        text_clear(&conflict);
    }
}

static void replay(const char *line) {
    struct json_object *step = json_tokener_parse(line);
    const char *op = json_member_text(step, "op");
    const char *manager = json_member_text(step, "manager");
    struct json_object *given = json_member(step, "object_given");
    struct json_object *conflicts = json_member(step, "conflicts");
    if (strcmp(op, "reset") == 0) {
        case_end();
        case_begin();
    } else if (strcmp(op, "apply") == 0) {
        int code =
            case_apply_value(manager, json_copy(given), json_member_truth(step, "force", false));
        ck_assert_msg((code == 409) == (conflicts != NULL), "%s: %d %s", line, code, case_said());
    } else {
        case_update(manager, json_line(given, NULL));
    }
    if (conflicts != NULL) {
        assert_conflicts(conflicts, line);
    } else if (given != NULL) {
        assert_managers(json_member(step, "managers"), line);
        assert_object(json_member(step, "object"), line);
    }
    json_object_put(step);
}

START_TEST(recorded_sequences_end_as_upstream_ends_them) {
    char path[4096];
    snprintf(path, sizeof path, "%s/server-side-apply.jsonl", getenv("TEST_DATA"));
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s cannot be read", path);
    char *line = NULL;
    size_t capacity = 0;
    size_t count = 0;
    while (getline(&line, &capacity, file) > 0) {
        replay(line);
        count++;
    }
    ck_assert_uint_gt(count, 200);
    free(line);
    fclose(file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apply");
    TCase *cases = tcase_create("apply");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, case_begin, case_end);
    tcase_add_test(cases, recorded_sequences_end_as_upstream_ends_them);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
