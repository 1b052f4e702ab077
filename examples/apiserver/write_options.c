/* write_options.c: see write_options.h. */
#include "write_options.h"

#include <string.h>

/* The options' type, as messages name it. */
static const char *options_kind(const struct request *request) {
    switch (request->method) {
    case METHOD_POST:
        return "CreateOptions.meta.k8s.io";
    case METHOD_PATCH:
        return "PatchOptions.meta.k8s.io";
    case METHOD_DELETE:
        return "DeleteOptions.meta.k8s.io";
    default:
        return "UpdateOptions.meta.k8s.io";
    }
}

/* A parameter that is absent, empty, or one of the values (NULL-terminated). dryRun is shown as the
 * list that it is to Kubernetes. */
static void check_value(const struct request *request, const char *name, const char *const *values,
                        const char *listed, ipalloc_service_problems *problems) {
    const char *given = request_parameter(request, name);
    bool known = given == NULL || given[0] == '\0';
    for (size_t i = 0; values[i] != NULL && !known; i++) {
        known = strcmp(given, values[i]) == 0;
    }
    if (!known) {
        bool is_list = strcmp(name, "dryRun") == 0;
        problem_add(problems, "FieldValueNotSupported", name,
                    "Unsupported value: %s\"%.40s\"%s: supported values: %s", is_list ? "[" : "",
                    given, is_list ? "]" : "", listed);
    }
}

static void check_manager(const struct request *request, bool applies,
                          ipalloc_service_problems *problems) {
    const char *given = request_parameter(request, "fieldManager");
    bool named = given != NULL && given[0] != '\0';
    if (applies && !named) {
        problem_add(problems, "FieldValueRequired", "fieldManager",
                    "Required value: is required for apply patch");
    }
    if (!applies && request->method == METHOD_PATCH &&
        request_parameter(request, "force") != NULL) {
        problem_add(problems, "FieldValueForbidden", "force",
                    "Forbidden: may not be specified for non-apply patch");
    }
    if (named) {
        manager_name_check(given, "fieldManager", problems);
    }
}

bool write_options_read(const struct request *request, bool applies, struct write_options *options,
                        struct outcome *outcome) {
    static const char *const dry_runs[] = {"All", NULL};
    static const char *const validations[] = {"Ignore", "Strict", "Warn", NULL};
    ipalloc_service_problems problems = {.size = sizeof problems};
    const char *given = request_parameter(request, "fieldManager");
    const char *dry_run = request_parameter(request, "dryRun");
    bool deletes = request->method == METHOD_DELETE;
    if (!deletes) {
        check_manager(request, applies, &problems);
    }
    check_value(request, "dryRun", dry_runs, "\"All\"", &problems);
    if (!deletes) {
        check_value(request, "fieldValidation", validations,
                    "\"\", \"Ignore\", \"Strict\", \"Warn\"", &problems);
    }
    if (problems.count > 0) {
        outcome_problems(outcome, options_kind(request), "", &problems);
        return false;
    }
    manager_name(given, request_header(request, "User-Agent"), options->manager);
    options->dry_run = dry_run != NULL && dry_run[0] != '\0';
    options->writer = (struct field_writer){
        .schema = request->resource->schema,
        .api_version = resource_api_version(request->resource, options->api_version),
        .manager = options->manager,
        .subresource = request->status ? "status" : "",
        .now = time(NULL),
        .applies = applies,
        .force = applies && request_flag(request, "force")};
    return true;
}
