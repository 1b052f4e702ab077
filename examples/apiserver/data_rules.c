/* data_rules.c: what the data of a ConfigMap and of a Secret have in common; see kinds.h. */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

#define KEY_MAX_BYTES 253

const char *kind_data_field(const char *member, const char *key, char out[KIND_DATA_FIELD]) {
    snprintf(out, KIND_DATA_FIELD, "%s[%s]", member, key);
    return out;
}

static void check_key_of_data(const char *field, const char *key,
                              ipalloc_service_problems *problems) {
    static const char allowed[] =
        "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t length = strlen(key);
    if (length > KEY_MAX_BYTES) {
        refuse_value(problems, field, key, "must be no more than 253 characters");
    }
    if (length == 0 || strspn(key, allowed) != length) {
        refuse_value(problems, field, key,
                     "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
                     "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation "
                     "is '[-._a-zA-Z0-9]+')");
    }
    if (strcmp(key, ".") == 0 || strcmp(key, "..") == 0) {
        refuse_value(problems, field, key, length == 1 ? "must not be '.'" : "must not be '..'");
    } else if (text_starts_with(key, "..")) {
        refuse_value(problems, field, key, "must not start with '..'");
    }
}

/* Of canonical base64: the schema lets nothing else in. */
static size_t decoded_size(const char *words, size_t length) {
    size_t padding = 0;
    while (padding < length && words[length - 1 - padding] == '=') {
        padding++;
    }
    return length / 4 * 3 - padding;
}

size_t kind_check_data(struct json_object *data, const char *member, bool encoded,
                       ipalloc_service_problems *problems) {
    size_t size = 0;
    if (data == NULL) {
        return 0;
    }
    json_object_object_foreach(data, key, value) {
        size_t length = (size_t)json_object_get_string_len(value);
        char field[KIND_DATA_FIELD];
        check_key_of_data(kind_data_field(member, key, field), key, problems);
        size += encoded ? decoded_size(json_object_get_string(value), length) : length;
    }
    return size;
}

static void refuse_change(const char *field, ipalloc_service_problems *problems) {
    problem_add(problems, "FieldValueForbidden", field,
                "Forbidden: field is immutable when `immutable` is set");
}

void kind_check_immutable(struct json_object *old, struct json_object *object,
                          const char *const *parts, ipalloc_service_problems *problems) {
    if (!json_member_truth(old, "immutable", false)) {
        return;
    }
    if (!json_member_truth(object, "immutable", false)) {
        refuse_change("immutable", problems);
    }
    for (size_t i = 0; parts[i] != NULL; i++) {
        if (!json_object_equal(json_member(old, parts[i]), json_member(object, parts[i]))) {
            refuse_change(parts[i], problems);
        }
    }
}
