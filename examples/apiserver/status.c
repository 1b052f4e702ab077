/* status.c: Kubernetes Status objects; see status.h. */
#include "status.h"

#include "resource.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void outcome_clear(struct outcome *outcome) {
    json_object_put(outcome->value);
    *outcome = (struct outcome){0};
}

void outcome_set(struct outcome *outcome, int code, struct json_object *value) {
    outcome_clear(outcome);
    *outcome = (struct outcome){.code = code, .value = value};
}

static struct json_object *status_new(const char *status, const char *message, const char *reason,
                                      struct json_object *details, int code) {
    struct json_object *value = json_object_new_object();
    json_set_text(value, "kind", "Status");
    json_set_text(value, "apiVersion", "v1");
    json_set(value, "metadata", json_object_new_object());
    json_set_text(value, "status", status);
    if (message != NULL) {
        json_set_text(value, "message", message);
        json_set_text(value, "reason", reason);
    }
    if (details != NULL) {
        json_set(value, "details", details);
    }
    if (code != 0) {
        json_set_number(value, "code", code);
    }
    return value;
}

/* `kind` may have its group behind the first dot. */
static struct json_object *details_new(const char *kind, const char *name) {
    struct json_object *details = json_object_new_object();
    size_t length = strcspn(kind, ".");
    json_set_text(details, "name", name);
    if (kind[length] == '.') {
        json_set_text(details, "group", kind + length + 1);
    }
    json_set(details, "kind", json_object_new_string_len(kind, (int)length));
    return details;
}

static void fail(struct outcome *outcome, int code, const char *reason, const char *message,
                 struct json_object *details) {
    outcome_set(outcome, code, status_new("Failure", message, reason, details, code));
}

void outcome_fail(struct outcome *outcome, int code, const char *reason, const char *format, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fail(outcome, code, reason, message, NULL);
}

void outcome_no_version(struct outcome *outcome, const char *text) {
    outcome_fail(outcome, 400, "BadRequest",
                 "resourceVersion: Invalid value: \"%.24s\": it must be one that this server gave, "
                 "or 0",
                 text);
}

static void fail_named(struct outcome *outcome, int code, const char *reason, const char *kind,
                       const char *name, struct text *message) {
    fail(outcome, code, reason, message->data, details_new(kind, name));
    text_clear(message);
}

void outcome_causes(struct outcome *outcome, int code, const char *reason, const char *message,
                    struct json_object *causes) {
    struct json_object *details = json_object_new_object();
    json_set(details, "causes", causes);
    fail(outcome, code, reason, message, details);
}

void outcome_not_found(struct outcome *outcome, const struct resource *resource, const char *name) {
    struct text message = {0};
    char plural[RESOURCE_TEXT];
    resource_full_plural(resource, plural);
    text_format(&message, "%s \"%s\" not found", plural, name);
    fail_named(outcome, 404, "NotFound", plural, name, &message);
}

void outcome_exists(struct outcome *outcome, const struct resource *resource, const char *name,
                    bool dying) {
    struct text message = {0};
    char plural[RESOURCE_TEXT];
    resource_full_plural(resource, plural);
    text_format(&message, "%s%s \"%s\" already exists", dying ? "object is being deleted: " : "",
                plural, name);
    fail_named(outcome, 409, "AlreadyExists", plural, name, &message);
}

void outcome_conflict_of(struct outcome *outcome, const char *kind, const char *name,
                         const char *why) {
    struct text message = {0};
    text_format(&message, "Operation cannot be fulfilled on %s \"%s\": %s", kind, name, why);
    fail_named(outcome, 409, "Conflict", kind, name, &message);
}

void outcome_conflict(struct outcome *outcome, const struct resource *resource, const char *name,
                      const char *why) {
    char plural[RESOURCE_TEXT];
    outcome_conflict_of(outcome, resource_full_plural(resource, plural), name, why);
}

void outcome_deleted(struct outcome *outcome, const struct resource *resource, const char *name,
                     const char *uid) {
    char plural[RESOURCE_TEXT];
    struct json_object *details = details_new(resource_full_plural(resource, plural), name);
    json_set_text(details, "uid", uid);
    outcome_set(outcome, 200, status_new("Success", NULL, NULL, details, 0));
}

void problem_add(ipalloc_service_problems *problems, const char *reason, const char *field,
                 const char *format, ...) {
    assert(format != NULL);
    if (problems->count >= IPALLOC_SERVICE_PROBLEMS_MAX) {
        return;
    }
    ipalloc_service_problem *problem = &problems->items[problems->count++];
    *problem = (ipalloc_service_problem){0};
    snprintf(problem->reason, sizeof problem->reason, "%s", reason);
    snprintf(problem->field, sizeof problem->field, "%s", field);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
    size_t size = strlen(problem->message);
    while (!text_is_clean(problem->message, size)) { /* cut inside a character */
        problem->message[--size] = '\0';
    }
}

/* What Kubernetes says, and who is in the way, which it does not say. */
static void add_problem_text(struct text *out, const ipalloc_service_problem *problem) {
    text_add(out, problem->message);
    if (problem->holder[0] != '\0') {
        text_format(out, " (held by %s)", problem->holder);
    }
}

static struct json_object *cause_new(const ipalloc_service_problem *problem) {
    struct text message = {0};
    add_problem_text(&message, problem);
    struct json_object *cause = json_object_new_object();
    json_set_text(cause, "reason", problem->reason);
    json_set_text(cause, "message", message.data);
    json_set_text(cause, "field", problem->field);
    text_clear(&message);
    return cause;
}

static void fail_internal(struct outcome *outcome, const char *words) {
    struct text message = {0};
    struct json_object *cause = json_object_new_object();
    struct json_object *causes = json_object_new_array();
    struct json_object *details = json_object_new_object();
    json_set_text(cause, "message", words);
    json_object_array_add(causes, cause);
    json_set(details, "causes", causes);
    text_format(&message, "Internal error occurred: %s", words);
    fail(outcome, 500, "InternalError", message.data, details);
    text_clear(&message);
}

static void fail_claim(struct outcome *outcome, const ipalloc_service_problem *problem) {
    struct text words = {0};
    add_problem_text(&words, problem);
    fail_internal(outcome, words.data);
    text_clear(&words);
}

void outcome_problems(struct outcome *outcome, const char *kind, const char *name,
                      const ipalloc_service_problems *problems) {
    struct json_object *details = details_new(kind, name);
    struct json_object *causes = json_object_new_array();
    struct text message = {0};
    json_set(details, "causes", causes);
    text_format(&message, "%s \"%s\" is invalid: %s", kind, name, problems->count > 1 ? "[" : "");
    for (size_t i = 0; i < problems->count; i++) {
        const ipalloc_service_problem *problem = &problems->items[i];
        if (strcmp(problem->reason, "InternalError") == 0) {
            json_object_put(details);
            text_clear(&message);
            fail_claim(outcome, problem);
            return;
        }
        json_object_array_add(causes, cause_new(problem));
        text_format(&message, "%s%s: ", i > 0 ? ", " : "", problem->field);
        add_problem_text(&message, problem);
    }
    text_add(&message, problems->count > 1 ? "]" : "");
    fail(outcome, 422, "Invalid", message.data, details);
    text_clear(&message);
}

void outcome_refused(struct outcome *outcome, const struct resource *resource, const char *name,
                     const ipalloc_service_problems *problems) {
    char kind[RESOURCE_TEXT];
    outcome_problems(outcome, resource_full_kind(resource, kind), name, problems);
}

void outcome_library(struct outcome *outcome, const struct resource *resource, const char *name,
                     const ipalloc_error *error) {
    switch (error->status) {
    case IPALLOC_E_CONFLICT:
        outcome_conflict(outcome, resource, name, CONFLICT_MODIFIED);
        break;
    case IPALLOC_E_NOMEM:
    case IPALLOC_E_BUSY:
    case IPALLOC_E_IO:
    case IPALLOC_E_UNAVAILABLE:
    case IPALLOC_E_READ_ONLY:
    case IPALLOC_E_MISMATCH: /* it is another store than it was */
        outcome_fail(outcome, 503, "ServiceUnavailable", "the store could not do it: %s",
                     error->message);
        outcome->store_silent = error->status == IPALLOC_E_UNAVAILABLE;
        break;
    case IPALLOC_E_UNKNOWN_OUTCOME:
        outcome_fail(
            outcome, 504, "Timeout",
            "it is not known whether this was stored; the same request again will tell: %s",
            error->message);
        outcome->store_silent = true;
        break;
    default:
        fail_internal(outcome, error->message);
    }
}
