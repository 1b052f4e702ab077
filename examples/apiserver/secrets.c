/* secrets.c: the kind Secret. Stored as it is sent: who can read the store reads it. */
#include "kinds.h"

#include "base64.h"

#include <stdio.h>
#include <string.h>

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

/* What a type's readers count on. */
static const struct {
    const char *type, *keys[2];
    bool either; /* of the two, one will do */
} types[] = {
    {"kubernetes.io/basic-auth", {"username", "password"}, true},
    {"kubernetes.io/dockercfg", {".dockercfg"}, false},
    {"kubernetes.io/dockerconfigjson", {".dockerconfigjson"}, false},
    {"kubernetes.io/ssh-auth", {"ssh-privatekey"}, false},
    {"kubernetes.io/tls", {"tls.crt", "tls.key"}, false},
};

static void validate_type(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *data = json_member(object, "data");
    size_t row = 0;
    while (row < SCHEMA_COUNT(types) &&
           strcmp(types[row].type, json_member_text(object, "type")) != 0) {
        row++;
    }
    if (row == SCHEMA_COUNT(types) ||
        (types[row].either && (json_member(data, types[row].keys[0]) != NULL ||
                               json_member(data, types[row].keys[1]) != NULL))) {
        return;
    }
    for (size_t i = 0; i < SCHEMA_COUNT(types[row].keys) && types[row].keys[i] != NULL; i++) {
        char field[40];
        snprintf(field, sizeof field, "data[%s]", types[row].keys[i]);
        if (json_member(data, types[row].keys[i]) == NULL) {
            kind_require(field, problems);
        }
    }
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    kind_validate(object, problems);
    if (kind_check_data(json_member(object, "data"), "data", true, problems) >
        KIND_DATA_MAX_BYTES) {
        problem_add(problems, "FieldValueTooLong", "data",
                    "Too long: may not be more than %d bytes", KIND_DATA_MAX_BYTES);
    }
    validate_type(object, problems);
}

static void validate_update(struct json_object *old, struct json_object *object,
                            ipalloc_service_problems *problems) {
    static const char *const parts[] = {"data", NULL};
    size_t others = problems->count;
    if (strcmp(json_member_text(old, "type"), json_member_text(object, "type")) != 0) {
        refuse_value(problems, "type", json_member_text(object, "type"), "field is immutable");
    }
    kind_check_immutable(old, object, parts, problems);
    kind_tell_first(problems, others);
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
