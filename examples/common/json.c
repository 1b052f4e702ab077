/* json.c: json-c, made strict and short; see json.h. */
#include "json.h"

#include <string.h>

/* Say where byte `offset` is, as an editor counts. */
static void locate(struct text *problem, const char *bytes, size_t size, size_t offset) {
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < offset && i < size; i++) {
        column++;
        if (bytes[i] == '\n') {
            line++;
            column = 1;
        }
    }
    text_format(problem, " at line %zu column %zu (byte %zu)", line, column, offset);
}

static bool has_nul_escape(struct json_object *value) {
    enum json_type type = json_object_get_type(value);
    if (type == json_type_string) {
        size_t size = (size_t)json_object_get_string_len(value);
        return memchr(json_object_get_string(value), '\0', size) != NULL;
    }
    if (type == json_type_array) {
        for (size_t i = 0; i < json_length(value); i++) {
            if (has_nul_escape(json_object_array_get_idx(value, i))) {
                return true;
            }
        }
    }
    if (type == json_type_object) {
        json_object_object_foreach(value, name, member) {
            (void)name;
            if (has_nul_escape(member)) {
                return true;
            }
        }
    }
    return false;
}

struct json_object *json_parse(const char *bytes, size_t size, struct text *problem) {
    const char *nul = size > 0 ? memchr(bytes, '\0', size) : NULL;
    if (size == 0 || nul != NULL) {
        text_add(problem, size == 0 ? "the body is empty" : "a NUL byte");
        locate(problem, bytes, size, nul != NULL ? (size_t)(nul - bytes) : 0);
        return NULL;
    }
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (tokener == NULL) {
        text_add(problem, "out of memory");
        return NULL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    /* Sizes are bounded far below INT_MAX by the body limit and the store's value limit. The end
     * is marked by the NUL that every buffer here carries, so that a bare number ends too. */
    struct json_object *value = json_tokener_parse_ex(tokener, bytes, (int)size + 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    if (error != json_tokener_success) {
        text_add(problem, error == json_tokener_continue ? "it ends too early"
                                                         : json_tokener_error_desc(error));
        locate(problem, bytes, size, json_tokener_get_parse_end(tokener));
        json_object_put(value);
        value = NULL;
    } else if (has_nul_escape(value)) {
        text_add(problem, "a string holds the character \\u0000, which no field may");
        json_object_put(value);
        value = NULL;
    } else if (value == NULL) {
        text_add(problem, "null is not an object");
    }
    json_tokener_free(tokener);
    return value;
}

struct json_object *json_member(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &value)) {
        return NULL;
    }
    return value;
}

struct json_object *json_at(struct json_object *object, ...) {
    va_list names;
    va_start(names, object);
    const char *name;
    while (object != NULL && (name = va_arg(names, const char *)) != NULL) {
        object = json_member(object, name);
    }
    va_end(names);
    return object;
}

const char *json_member_text(struct json_object *object, const char *name) {
    struct json_object *value = json_member(object, name);
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

int64_t json_member_number(struct json_object *object, const char *name, int64_t absent) {
    struct json_object *value = json_member(object, name);
    return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : absent;
}

bool json_member_truth(struct json_object *object, const char *name, bool absent) {
    struct json_object *value = json_member(object, name);
    return json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value) : absent;
}

size_t json_length(struct json_object *list) {
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

size_t json_depth(struct json_object *value) {
    size_t deepest = 0;
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_length(value); i++) {
            size_t depth = json_depth(json_object_array_get_idx(value, i));
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member) {
            (void)name;
            size_t depth = json_depth(member);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    return deepest;
}

struct json_object *json_ensure(struct json_object *object, const char *name) {
    struct json_object *value = json_member(object, name);
    if (!json_object_is_type(value, json_type_object)) {
        value = json_object_new_object();
        json_set(object, name, value);
    }
    return value;
}

void json_set(struct json_object *object, const char *name, struct json_object *value) {
    json_object_object_add(object, name, value);
}

void json_set_text(struct json_object *object, const char *name, const char *value) {
    json_set(object, name, json_object_new_string(value));
}

void json_set_number(struct json_object *object, const char *name, int64_t value) {
    json_set(object, name, json_object_new_int64(value));
}

void json_remove(struct json_object *object, const char *name) {
    if (json_object_is_type(object, json_type_object)) {
        json_object_object_del(object, name);
    }
}

struct json_object *json_copy(struct json_object *value) {
    struct json_object *copy = NULL;
    json_object_deep_copy(value, &copy, NULL);
    return copy;
}

const char *json_line(struct json_object *value, size_t *size) {
    return json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, size);
}

void json_carry(struct json_object *from, struct json_object *to, const char *name) {
    struct json_object *value = json_member(from, name);
    if (value != NULL) {
        json_set(to, name, json_copy(value));
    } else {
        json_remove(to, name);
    }
}
