/* secrets.c: the kind Secret. Stored as it is sent: who can read the store reads it. */
#include "kinds.h"

#include "base64.h"

#include <stdio.h>
#include <string.h>

#define TYPE_TLS      "kubernetes.io/tls"
#define DATA_MAX_SIZE ((size_t)1 << 20)

/* stringData is for writing only: it goes into data, and wins there. */
static void fill_defaults(struct json_object *object) {
    struct json_object *plain = json_member(object, "stringData");
    if (json_member_text(object, "type")[0] == '\0') {
        json_set_text(object, "type", "Opaque");
    }
    if (plain == NULL) {
        return;
    }
    json_object_object_foreach(plain, name, value) {
        struct text encoded = {0};
        base64_add(&encoded, json_object_get_string(value),
                   (size_t)json_object_get_string_len(value));
        json_set_text(json_ensure(object, "data"), name, encoded.data != NULL ? encoded.data : "");
        text_clear(&encoded);
    }
    json_remove(object, "stringData");
}

static size_t check_value(const char *name, struct json_object *value,
                          ipalloc_service_problems *problems) {
    struct text bytes = {0};
    size_t size = 0;
    if (base64_read(json_object_get_string(value), (size_t)json_object_get_string_len(value),
                    &bytes)) {
        size = bytes.size;
    } else {
        char field[96];
        snprintf(field, sizeof field, "data[%.80s]", name);
        refuse_value(problems, field, "<secret>", "must be base64 (RFC 4648, with padding)");
    }
    text_clear(&bytes);
    return size;
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *data = json_member(object, "data");
    size_t size = 0;
    kind_validate(object, problems);
    if (data != NULL) {
        json_object_object_foreach(data, name, value) {
            size += check_value(name, value, problems);
        }
    }
    if (size > DATA_MAX_SIZE) {
        problem_add(problems, "FieldValueTooLong", "data",
                    "Too long: may not be more than %zu bytes", DATA_MAX_SIZE);
    }
    if (strcmp(json_member_text(object, "type"), TYPE_TLS) == 0) {
        static const char *const parts[] = {"tls.crt", "tls.key"};
        for (size_t i = 0; i < SCHEMA_COUNT(parts); i++) {
            if (json_member(data, parts[i]) == NULL) {
                char field[24];
                snprintf(field, sizeof field, "data[%s]", parts[i]);
                problem_add(problems, "FieldValueRequired", field, "Required value");
            }
        }
    }
}

static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    if (strcmp(json_member_text(old, "type"), json_member_text(object, "type")) != 0) {
        refuse_value(problems, "type", json_member_text(object, "type"), "field is immutable");
    }
    if (json_member_truth(old, "immutable", false) &&
        (!json_object_equal(json_member(old, "data"), json_member(object, "data")) ||
         !json_member_truth(object, "immutable", false))) {
        problem_add(problems, "FieldValueForbidden", "data",
                    "Forbidden: field is immutable when `immutable` is set");
    }
}

static void type_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(object, "type"));
}

static void data_cell(struct text *out, struct json_object *object) {
    struct json_object *data = json_member(object, "data");
    text_format(out, "%d", data != NULL ? json_object_object_length(data) : 0);
}

static const struct column columns[] = {
    {"Name", "string", "name", "The name.", 0, cell_name},
    {"Type", "string", "", "What it is for.", 0, type_cell},
    {"Data", "string", "", "How many entries.", 0, data_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

static const struct field fields[] = {
    KIND_FIELDS,
    {"data", FIELD_BYTES_MAP, 2, false, NULL},
    {"immutable", FIELD_TRUTH, 5, true, NULL},
    {"stringData", FIELD_TEXT_MAP, 4, false, NULL},
    {"type", FIELD_TEXT, 3, false, NULL},
};
static const struct schema schema = {"Secret", fields, SCHEMA_COUNT(fields), false};

static const char *const selectable[] = {"type", NULL};

const struct resource resource_secrets = {
    .group = "",
    .version = "v1",
    .kind = "Secret",
    .plural = "secrets",
    .singular = "secret",
    .namespaced = true,
    .verbs = VERB_ALL,
    .record_prefix = "secrets/",
    .schema = &schema,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .selectable = selectable,
    .fill_defaults = fill_defaults,
    .validate = validate,
    .validate_update = validate_update,
};
