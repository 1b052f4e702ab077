/*
 * gnostic.c: an OpenAPI 2 document as protobuf.
 *
 * The messages are those of gnostic's OpenAPIv2.proto; the numbers below are that file's. It wraps
 * much into messages of one field: a member's `path` is the chain of field numbers that lead to its
 * value. Extensions ("x-...") carry their value as YAML text, which JSON is. What has no row is not
 * written, so the tables hold what openapi.c makes and no more.
 */
#include "openapi.h"

#include <string.h>

#define PATH_MAX_LENGTH 4
#define WIRE_BYTES      2

enum member_kind {
    MEMBER_TEXT,
    MEMBER_OBJECT,
    MEMBER_LIST, /* an object per element, each with the whole path */
    MEMBER_NAMED /* a map: entries of {1 name, 2 value}, in field `entry` of the path's end */
};

struct message;

struct member {
    const char *name;
    enum member_kind kind;
    unsigned path[PATH_MAX_LENGTH]; /* ends with 0 where it is shorter */
    unsigned entry;
    const struct message *message;
};

struct message {
    const struct member *members;
    size_t count;
    unsigned extensions; /* the field of the extensions; 0: none */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct message schema_message;

static const struct member schema_members[] = {
    {"additionalProperties", MEMBER_OBJECT, {21, 1}, 0, &schema_message},
    {"format", MEMBER_TEXT, {2}, 0, NULL},
    {"items", MEMBER_OBJECT, {23, 1}, 0, &schema_message},
    {"properties", MEMBER_NAMED, {25}, 1, &schema_message},
    {"type", MEMBER_TEXT, {22, 1}, 0, NULL},
};
static const struct message schema_message = {schema_members, COUNT(schema_members), 31};

static const struct member parameter_members[] = {
    {"in", MEMBER_TEXT, {2}, 0, NULL},
    {"name", MEMBER_TEXT, {4}, 0, NULL},
    {"type", MEMBER_TEXT, {6}, 0, NULL},
};
static const struct message parameter_message = {parameter_members, COUNT(parameter_members), 0};

static const struct member operation_members[] = {
    {"parameters", MEMBER_LIST, {8, 1, 2, 3}, 0, &parameter_message},
};
static const struct message operation_message = {operation_members, COUNT(operation_members), 13};

static const struct member path_members[] = {
    {"patch", MEMBER_OBJECT, {8}, 0, &operation_message},
};
static const struct message path_message = {path_members, COUNT(path_members), 0};

static const struct member info_members[] = {
    {"title", MEMBER_TEXT, {1}, 0, NULL},
    {"version", MEMBER_TEXT, {2}, 0, NULL},
};
static const struct message info_message = {info_members, COUNT(info_members), 0};

static const struct member document_members[] = {
    {"swagger", MEMBER_TEXT, {1}, 0, NULL},
    {"info", MEMBER_OBJECT, {2}, 0, &info_message},
    {"paths", MEMBER_NAMED, {8}, 2, &path_message},
    {"definitions", MEMBER_NAMED, {9}, 1, &schema_message},
};
static const struct message document_message = {document_members, COUNT(document_members), 0};

static void put_number(struct text *out, uint64_t value) {
    do {
        unsigned char byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        text_append(out, &byte, 1);
        value >>= 7;
    } while (value != 0);
}

static void put_bytes(struct text *out, unsigned field, const void *bytes, size_t size) {
    put_number(out, ((uint64_t)field << 3) | WIRE_BYTES);
    put_number(out, size);
    text_append(out, bytes, size);
}

/* Put what is in `inner` behind the path's field numbers, and empty it. */
static void put_behind(struct text *out, const unsigned *path, struct text *inner) {
    size_t length = 0;
    while (length < PATH_MAX_LENGTH && path[length] != 0) {
        length++;
    }
    while (length-- > 1) {
        struct text outer = {0};
        put_bytes(&outer, path[length], inner->data, inner->size);
        text_clear(inner);
        *inner = outer;
    }
    put_bytes(out, path[0], inner->data, inner->size);
    text_clear(inner);
}

static void put_message(struct text *out, const struct message *message, struct json_object *value);

static void put_named(struct text *out, unsigned field, const char *name,
                      const struct message *message, struct json_object *value) {
    struct text entry = {0};
    struct text inner = {0};
    put_bytes(&entry, 1, name, strlen(name));
    put_message(&inner, message, value);
    put_bytes(&entry, 2, inner.data, inner.size);
    put_bytes(out, field, entry.data, entry.size);
    text_clear(&inner);
    text_clear(&entry);
}

static void put_list(struct text *out, const struct member *member, struct json_object *list) {
    for (size_t i = 0; i < json_length(list); i++) {
        struct text inner = {0};
        put_message(&inner, member->message, json_object_array_get_idx(list, i));
        put_behind(out, member->path, &inner);
    }
}

static void put_member(struct text *out, const struct member *member, struct json_object *value) {
    struct text inner = {0};
    if (member->kind == MEMBER_LIST) {
        put_list(out, member, value);
        return;
    }
    if (member->kind == MEMBER_TEXT) {
        text_add(&inner, json_object_get_string(value));
    } else if (member->kind == MEMBER_OBJECT) {
        put_message(&inner, member->message, value);
    } else {
        json_object_object_foreach(value, name, entry) {
            put_named(&inner, member->entry, name, member->message, entry);
        }
    }
    put_behind(out, member->path, &inner);
}

/* NamedAny{1 name, 2 Any{2 yaml}} */
static void put_extension(struct text *out, unsigned field, const char *name,
                          struct json_object *value) {
    struct text any = {0};
    struct text named = {0};
    size_t size = 0;
    const char *yaml = json_line(value, &size);
    put_bytes(&any, 2, yaml, size);
    put_bytes(&named, 1, name, strlen(name));
    put_bytes(&named, 2, any.data, any.size);
    put_bytes(out, field, named.data, named.size);
    text_clear(&any);
    text_clear(&named);
}

static void put_message(struct text *out, const struct message *message,
                        struct json_object *value) {
    for (size_t i = 0; i < message->count; i++) {
        struct json_object *member = json_member(value, message->members[i].name);
        if (member != NULL) {
            put_member(out, &message->members[i], member);
        }
    }
    json_object_object_foreach(value, name, extension) {
        if (message->extensions != 0 && text_starts_with(name, "x-")) {
            put_extension(out, message->extensions, name, extension);
        }
    }
}

void gnostic_encode(struct json_object *document, struct text *out) {
    put_message(out, &document_message, document);
}
