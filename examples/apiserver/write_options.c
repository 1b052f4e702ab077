/* write_options.c: see write_options.h. */
#include "write_options.h"

/* The options' type, as messages name it. */
static const char *options_kind(const struct request *request) {
    switch (request->method) {
    case METHOD_POST:
        return "CreateOptions.meta.k8s.io";
    case METHOD_PATCH:
        return "PatchOptions.meta.k8s.io";
    default:
        return "UpdateOptions.meta.k8s.io";
    }
}

bool write_options_read(const struct request *request, bool applies, struct write_options *options,
                        struct outcome *outcome) {
    ipalloc_service_problems problems = {.size = sizeof problems};
    const char *given = request_parameter(request, "fieldManager");
    bool named = given != NULL && given[0] != '\0';
    if (applies && !named) {
        problem_add(&problems, "FieldValueRequired", "fieldManager",
                    "Required value: is required for apply patch");
    }
    if (!applies && request->method == METHOD_PATCH &&
        request_parameter(request, "force") != NULL) {
        problem_add(&problems, "FieldValueForbidden", "force",
                    "Forbidden: may not be specified for non-apply patch");
    }
    if (named) {
        manager_name_check(given, "fieldManager", &problems);
    }
    if (problems.count > 0) {
        outcome_problems(outcome, options_kind(request), "", &problems);
        return false;
    }
    manager_name(given, request_header(request, "User-Agent"), options->manager);
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
