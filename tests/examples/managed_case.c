/* managed_case.c: see managed_case.h. */
#include "managed_case.h"

#include "resource.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

struct json_object *object;
struct field_writer writer;
struct outcome outcome;

struct json_object *case_value(const char *text) {
    char *copy = memory_copy(text);
    for (char *at = copy; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    struct json_object *out = json_tokener_parse(copy);
    ck_assert_msg(out != NULL, "no JSON: %s", copy);
    free(copy);
    return out;
}

void case_begin(void) {
    object = NULL;
    outcome = (struct outcome){0};
    writer = (struct field_writer){
        .schema = resource_services.schema, .api_version = "v1", .subresource = "", .now = 1000};
}

void case_end(void) {
    json_object_put(object);
    outcome_clear(&outcome);
}

const char *case_said(void) {
    return json_member_text(outcome.value, "message");
}

int case_apply_value(const char *manager, struct json_object *config, bool force) {
    outcome_clear(&outcome);
    writer.manager = manager;
    writer.applies = true;
    writer.force = force;
    struct json_object *out = managed_fields_apply(&writer, object, config, &outcome);
    json_object_put(config);
    if (out != NULL) {
        json_object_put(object);
        object = out;
    }
    return out != NULL ? 200 : outcome.code;
}

void case_update(const char *manager, const char *wanted) {
    writer.manager = manager;
    writer.applies = false;
    struct json_object *out = case_value(wanted);
    managed_fields_update(&writer, object, out);
    json_object_put(object);
    object = out;
}

struct json_object *case_entry_of(const char *manager, const char *operation) {
    struct json_object *entries = json_at(object, "metadata", "managedFields", NULL);
    for (size_t i = 0; i < json_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        if (strcmp(json_member_text(entry, "manager"), manager) == 0 &&
            strcmp(json_member_text(entry, "operation"), operation) == 0) {
            return entry;
        }
    }
    return NULL;
}

size_t case_entry_count(void) {
    return json_length(json_at(object, "metadata", "managedFields", NULL));
}
