/*
 * delete_options.c: see delete_options.h.
 *
 * What is to become of the objects that an object owns is judged and not looked at: no kind of this
 * server owns another.
 */
#include "delete_options.h"

#include "body.h"
#include "write_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MAX_S 31536000 /* a year */

static const struct field preconditions_fields[] = {
    {"uid", FIELD_TEXT, 1, false, NULL},
    {"resourceVersion", FIELD_TEXT, 2, false, NULL},
};
static const struct schema schema_preconditions = {"Preconditions", preconditions_fields,
                                                   SCHEMA_COUNT(preconditions_fields), false};

static const struct field delete_options_fields[] = {
    {"apiVersion", FIELD_TEXT, 0, false, NULL},
    {"kind", FIELD_TEXT, 0, false, NULL},
    {"gracePeriodSeconds", FIELD_INT64, 1, true, NULL},
    {"preconditions", FIELD_OBJECT, 2, false, &schema_preconditions},
    {"orphanDependents", FIELD_TRUTH, 3, true, NULL},
    {"propagationPolicy", FIELD_TEXT, 4, false, NULL},
    {"dryRun", FIELD_TEXT_LIST, 5, false, NULL},
};
static const struct schema schema_delete_options = {"DeleteOptions", delete_options_fields,
                                                    SCHEMA_COUNT(delete_options_fields), false};

static void judge_propagation(const struct request *request, struct json_object *body,
                              ipalloc_service_problems *problems) {
    static const char *const policies[] = {"Foreground", "Background", "Orphan"};
    const char *given = request_parameter(request, "propagationPolicy");
    const char *policy = given != NULL ? given : json_member_text(body, "propagationPolicy");
    bool known = policy[0] == '\0';
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        known = known || strcmp(policy, policies[i]) == 0;
    }
    if (policy[0] != '\0' && json_member(body, "orphanDependents") != NULL) {
        problem_add(problems, "FieldValueInvalid", "propagationPolicy",
                    "Invalid value: \"%.40s\": orphanDependents and deletionPropagation cannot be "
                    "both set",
                    policy);
    }
    if (!known) {
        problem_add(problems, "FieldValueNotSupported", "propagationPolicy",
                    "Unsupported value: \"%.40s\": supported values: \"Foreground\", "
                    "\"Background\", \"Orphan\", \"nil\"",
                    policy);
    }
}

/* dryRun may stand in the body too. */
static void judge_dry_run(struct delete_options *options, ipalloc_service_problems *problems) {
    struct json_object *listed = json_member(options->body, "dryRun");
    bool known = true;
    for (size_t i = 0; i < json_length(listed); i++) {
        const char *value = json_object_get_string(json_object_array_get_idx(listed, i));
        known = known && strcmp(value, "All") == 0;
        options->dry_run = true;
    }
    if (!known) {
        problem_add(problems, "FieldValueNotSupported", "dryRun",
                    "Unsupported value: %.80s: supported values: \"All\"", json_line(listed, NULL));
    }
}

/* The query's comes before the body's, as in kube-apiserver. */
static int64_t read_grace(const struct request *request, struct json_object *body,
                          ipalloc_service_problems *problems) {
    const char *text = request_parameter(request, "gracePeriodSeconds");
    int64_t grace = json_member_number(body, "gracePeriodSeconds", -1);
    bool given = json_member(body, "gracePeriodSeconds") != NULL;
    if (text != NULL && text[0] != '\0') {
        char *end = NULL;
        errno = 0;
        grace = strtoll(text, &end, 10);
        given = true;
        if (errno != 0 || *end != '\0') {
            grace = -1;
        }
    }
    if (given && (grace < 0 || grace > GRACE_MAX_S)) {
        problem_add(problems, "FieldValueInvalid", "gracePeriodSeconds",
                    "Invalid value: %.40s: must be from 0 to %d seconds",
                    text != NULL ? text : json_line(json_member(body, "gracePeriodSeconds"), NULL),
                    GRACE_MAX_S);
    }
    return given ? grace : -1;
}

bool delete_options_read(const struct request *request, struct delete_options *options,
                         struct outcome *outcome) {
    ipalloc_service_problems problems = {.size = sizeof problems};
    struct write_options given;
    *options = (struct delete_options){.uid = "", .resource_version = ""};
    if (!write_options_read(request, false, &given, outcome)) {
        return false;
    }
    options->dry_run = given.dry_run;
    if (request->body_size > 0) {
        options->body = body_parse(request, &schema_delete_options, outcome);
        if (options->body == NULL) {
            return false;
        }
    }
    judge_propagation(request, options->body, &problems);
    judge_dry_run(options, &problems);
    options->grace = read_grace(request, options->body, &problems);
    if (problems.count > 0) {
        outcome_problems(outcome, "DeleteOptions.meta.k8s.io", "", &problems);
        return false;
    }
    struct json_object *conditions = json_member(options->body, "preconditions");
    options->uid = json_member_text(conditions, "uid");
    options->resource_version = json_member_text(conditions, "resourceVersion");
    return true;
}

void delete_options_clear(struct delete_options *options) {
    json_object_put(options->body);
    options->body = NULL;
}
