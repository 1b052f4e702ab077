/* schema.c: the fields that every kind has (protobuf numbers included), and the walk over any table
 * of fields. */
#include "schema.h"

#include "base64.h"
#include "field_structure.h"

#include <string.h>

#define COUNT(array) SCHEMA_COUNT(array)

static const struct field owner_reference_fields[] = {
    {"apiVersion", FIELD_TEXT, 5, false, NULL}, {"blockOwnerDeletion", FIELD_TRUTH, 7, true, NULL},
    {"controller", FIELD_TRUTH, 6, true, NULL}, {"kind", FIELD_TEXT, 1, false, NULL},
    {"name", FIELD_TEXT, 3, false, NULL},       {"uid", FIELD_TEXT, 4, false, NULL},
};
static const struct schema schema_owner_reference = {"OwnerReference", owner_reference_fields,
                                                     COUNT(owner_reference_fields), false};

/* Not read from protobuf (hence no numbers): a client that sends none leaves what is stored. */
static const struct field managed_fields_fields[] = {
    {"apiVersion", FIELD_TEXT, 0, false, NULL}, {"fieldsType", FIELD_TEXT, 0, false, NULL},
    {"fieldsV1", FIELD_FREE, 0, false, NULL},   {"manager", FIELD_TEXT, 0, false, NULL},
    {"operation", FIELD_TEXT, 0, false, NULL},  {"subresource", FIELD_TEXT, 0, false, NULL},
    {"time", FIELD_TIME, 0, false, NULL},
};
static const struct schema schema_managed_fields = {"ManagedFieldsEntry", managed_fields_fields,
                                                    COUNT(managed_fields_fields), false};

static const struct field metadata_fields[] = {
    {"annotations", FIELD_TEXT_MAP, 12, false, NULL},
    {"creationTimestamp", FIELD_TIME, 8, false, NULL},
    {"deletionGracePeriodSeconds", FIELD_INT64, 10, true, NULL},
    {"deletionTimestamp", FIELD_TIME, 9, false, NULL},
    {"finalizers", FIELD_TEXT_LIST, 14, false, NULL},
    {"generateName", FIELD_TEXT, 2, false, NULL},
    {"generation", FIELD_INT64, 7, false, NULL},
    {"labels", FIELD_TEXT_MAP, 11, false, NULL},
    {"managedFields", FIELD_OBJECT_LIST, 0, false, &schema_managed_fields},
    {"name", FIELD_TEXT, 1, false, NULL},
    {"namespace", FIELD_TEXT, 3, false, NULL},
    {"ownerReferences", FIELD_OBJECT_LIST, 13, false, &schema_owner_reference},
    {"resourceVersion", FIELD_TEXT, 6, false, NULL},
    {"selfLink", FIELD_IGNORED, 4, false, NULL},
    {"uid", FIELD_TEXT, 5, false, NULL},
};
const struct schema schema_metadata = {"ObjectMeta", metadata_fields, COUNT(metadata_fields),
                                       false};

static const struct field condition_fields[] = {
    {"lastTransitionTime", FIELD_TIME, 4, false, NULL},
    {"message", FIELD_TEXT, 6, true, NULL},
    {"observedGeneration", FIELD_INT64, 3, false, NULL},
    {"reason", FIELD_TEXT, 5, true, NULL},
    {"status", FIELD_TEXT, 2, false, NULL},
    {"type", FIELD_TEXT, 1, false, NULL},
};
const struct schema schema_condition = {"Condition", condition_fields, COUNT(condition_fields),
                                        false};
const struct schema schema_open_condition = {"Condition", condition_fields, COUNT(condition_fields),
                                             true};

static const struct field object_reference_fields[] = {
    {"apiVersion", FIELD_TEXT, 5, false, NULL}, {"fieldPath", FIELD_TEXT, 7, false, NULL},
    {"kind", FIELD_TEXT, 1, false, NULL},       {"name", FIELD_TEXT, 3, false, NULL},
    {"namespace", FIELD_TEXT, 2, false, NULL},  {"resourceVersion", FIELD_TEXT, 6, false, NULL},
    {"uid", FIELD_TEXT, 4, false, NULL},
};
const struct schema schema_object_reference = {"ObjectReference", object_reference_fields,
                                               COUNT(object_reference_fields), false};

/* --- decoding --------------------------------------------------------------------------------- */

struct walk {
    struct text *unknown;
    struct text *problem;
    bool failed;
};

static const char *go_type(const struct field *field) {
    switch (field->kind) {
    case FIELD_INT32:
        return "int32";
    case FIELD_INT64:
        return "int64";
    case FIELD_TRUTH:
        return "bool";
    case FIELD_TIME:
        return "v1.Time";
    case FIELD_TEXT_MAP:
        return "map[string]string";
    case FIELD_BYTES_MAP:
        return "map[string][]uint8";
    case FIELD_TEXT_LIST:
        return "[]string";
    case FIELD_NUMBER_TEXT:
        return "intstr.IntOrString";
    default:
        return field->schema != NULL ? field->schema->go_name : "string";
    }
}

static const char *json_type_of(struct json_object *value) {
    switch (json_object_get_type(value)) {
    case json_type_boolean:
        return "bool";
    case json_type_double:
    case json_type_int:
        return "number";
    case json_type_object:
        return "object";
    case json_type_array:
        return "array";
    default:
        return "string";
    }
}

static void wrong_type(struct walk *walk, const struct field *field, const char *path,
                       struct json_object *value) {
    if (!walk->failed) {
        text_format(walk->problem, "json: cannot unmarshal %s into field %s of type %s",
                    json_type_of(value), path, go_type(field));
    }
    walk->failed = true;
}

static bool is_number(struct json_object *value, int64_t least, int64_t greatest) {
    /* json-c saturates what does not fit into 64 bits, so a value at the edge is out too. */
    return json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= least &&
           json_object_get_int64(value) <= greatest;
}

static bool is_text_map(struct json_object *value) {
    if (!json_object_is_type(value, json_type_object)) {
        return false;
    }
    json_object_object_foreach(value, name, member) {
        (void)name;
        if (!json_object_is_type(member, json_type_string)) {
            return false;
        }
    }
    return true;
}

static bool is_text_list(struct json_object *value) {
    if (!json_object_is_type(value, json_type_array)) {
        return false;
    }
    for (size_t i = 0; i < json_length(value); i++) {
        if (!json_object_is_type(json_object_array_get_idx(value, i), json_type_string)) {
            return false;
        }
    }
    return true;
}

static bool has_type(const struct field *field, struct json_object *value) {
    switch (field->kind) {
    case FIELD_TEXT:
    case FIELD_TIME:
        return json_object_is_type(value, json_type_string);
    case FIELD_INT32:
        return is_number(value, INT32_MIN, INT32_MAX);
    case FIELD_INT64:
        return is_number(value, INT64_MIN + 1, INT64_MAX - 1);
    case FIELD_TRUTH:
        return json_object_is_type(value, json_type_boolean);
    case FIELD_TEXT_MAP:
    case FIELD_BYTES_MAP:
        return is_text_map(value);
    case FIELD_TEXT_LIST:
        return is_text_list(value);
    case FIELD_FREE:
        return json_object_is_type(value, json_type_object);
    case FIELD_NUMBER_TEXT:
        return json_object_is_type(value, json_type_string) ||
               is_number(value, INT32_MIN, INT32_MAX);
    case FIELD_OBJECT:
        return json_object_is_type(value, json_type_object);
    case FIELD_OBJECT_LIST:
        return json_object_is_type(value, json_type_array);
    case FIELD_INLINE:
    case FIELD_IGNORED:
        return true;
    }
    return false;
}

static struct json_object *decode_object(const struct schema *schema, struct json_object *value,
                                         const char *path, struct walk *walk);

/* Line ends in base64 mean nothing, as in Go. */
static void add_without_line_ends(struct text *out, const char *words) {
    for (size_t run; *words != '\0'; words += run + (words[run] != '\0')) {
        run = strcspn(words, "\r\n");
        text_append(out, words, run);
    }
}

static struct json_object *decode_bytes(struct json_object *value, struct walk *walk) {
    struct json_object *map = json_object_new_object();
    json_object_object_foreach(value, name, member) {
        struct text words = {0};
        struct text bytes = {0};
        text_add(&words, "");
        add_without_line_ends(&words, json_object_get_string(member));
        if (!walk->failed && !base64_read(words.data, words.size, &bytes)) {
            text_format(walk->problem, "illegal base64 data at input byte %zu",
                        base64_wrong_at(words.data, words.size));
            walk->failed = true;
        }
        json_set_text(map, name, words.data);
        text_clear(&words);
        text_clear(&bytes);
    }
    return map;
}

static struct json_object *decode_list(const struct field *field, struct json_object *value,
                                       const char *path, struct walk *walk) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < json_length(value); i++) {
        struct json_object *element = json_object_array_get_idx(value, i);
        if (!json_object_is_type(element, json_type_object)) {
            wrong_type(walk, field, path, element);
            break;
        }
        struct text inner = {0};
        text_format(&inner, "%s[%zu]", path, i);
        json_object_array_add(list, decode_object(field->schema, element, inner.data, walk));
        text_clear(&inner);
    }
    return list;
}

static void decode_field(const struct field *field, struct json_object *value, const char *path,
                         struct json_object *out, struct walk *walk) {
    struct text inner = {0};
    text_format(&inner, "%s%s%s", path, path[0] != '\0' ? "." : "", field->name);
    if (!has_type(field, value)) {
        wrong_type(walk, field, inner.data, value);
    } else if (field->kind == FIELD_OBJECT) {
        json_set(out, field->name, decode_object(field->schema, value, inner.data, walk));
    } else if (field->kind == FIELD_OBJECT_LIST) {
        json_set(out, field->name, decode_list(field, value, inner.data, walk));
    } else if (field->kind == FIELD_BYTES_MAP) {
        json_set(out, field->name, decode_bytes(value, walk));
    } else if (field->kind != FIELD_IGNORED && field->kind != FIELD_INLINE) {
        json_set(out, field->name, json_copy(value));
    }
    text_clear(&inner);
}

static bool is_known(const struct schema *schema, const char *name) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

#define UNKNOWN_TEXT_MAX 4096 /* bytes of unknown names that are listed */

static void note_unknown(const struct schema *schema, struct json_object *value, const char *path,
                         struct walk *walk) {
    json_object_object_foreach(value, name, member) {
        (void)member;
        if (walk->unknown->size < UNKNOWN_TEXT_MAX && !is_known(schema, name)) {
            text_format(walk->unknown, "%sunknown field \"%s%s%.100s\"",
                        walk->unknown->size > 0 ? ", " : "", path, path[0] != '\0' ? "." : "",
                        name);
        }
    }
}

static void keep_unknown(const struct schema *schema, struct json_object *value,
                         struct json_object *out) {
    json_object_object_foreach(value, name, member) {
        if (member != NULL && !is_known(schema, name)) {
            json_set(out, name, json_copy(member));
        }
    }
}

static struct json_object *decode_object(const struct schema *schema, struct json_object *value,
                                         const char *path, struct walk *walk) {
    struct json_object *out = json_object_new_object();
    for (size_t i = 0; i < schema->field_count && !walk->failed; i++) {
        struct json_object *member = json_member(value, schema->fields[i].name);
        if (member != NULL) {
            decode_field(&schema->fields[i], member, path, out, walk);
        }
    }
    if (schema->open) {
        keep_unknown(schema, value, out);
    } else {
        note_unknown(schema, value, path, walk);
    }
    return out;
}

struct json_object *schema_decode(const struct schema *schema, struct json_object *value,
                                  struct text *unknown, struct text *problem) {
    struct walk walk = {.unknown = unknown, .problem = problem};
    if (!json_object_is_type(value, json_type_object)) {
        text_format(problem, "json: cannot unmarshal %s into an object of type %s",
                    json_type_of(value), schema->go_name);
        return NULL;
    }
    struct json_object *out = decode_object(schema, value, "", &walk);
    if (walk.failed) {
        json_object_put(out);
        return NULL;
    }
    return out;
}

/* --- OpenAPI ---------------------------------------------------------------------------------- */

static struct json_object *typed(const char *type, const char *format) {
    struct json_object *out = json_object_new_object();
    json_set_text(out, "type", type);
    if (format != NULL) {
        json_set_text(out, "format", format);
    }
    return out;
}

static struct json_object *openapi_list(struct json_object *items) {
    struct json_object *out = typed("array", NULL);
    json_set(out, "items", items);
    return out;
}

static struct json_object *openapi_field(const struct field *field) {
    switch (field->kind) {
    case FIELD_INT32:
        return typed("integer", "int32");
    case FIELD_INT64:
        return typed("integer", "int64");
    case FIELD_TRUTH:
        return typed("boolean", NULL);
    case FIELD_TIME:
        return typed("string", "date-time");
    case FIELD_TEXT_LIST:
        return openapi_list(typed("string", NULL));
    case FIELD_NUMBER_TEXT:
        return typed("string", "int-or-string");
    case FIELD_OBJECT:
        return schema_openapi(field->schema);
    case FIELD_OBJECT_LIST:
        return openapi_list(schema_openapi(field->schema));
    case FIELD_FREE:
    case FIELD_IGNORED:
        return typed("object", NULL);
    case FIELD_TEXT_MAP:
    case FIELD_BYTES_MAP: {
        struct json_object *out = typed("object", NULL);
        json_set(out, "additionalProperties", typed("string", NULL));
        return out;
    }
    default:
        return typed("string", NULL);
    }
}

/* How a list merges: kubectl makes its strategic patches by that. */
static void add_merge_keys(struct json_object *property, const struct structure *list) {
    if (!structure_is_list(list)) {
        return;
    }
    json_set_text(property, "x-kubernetes-patch-strategy", "merge");
    if (list->kind == STRUCTURE_SET) {
        json_set_text(property, "x-kubernetes-list-type", "set");
        return;
    }
    struct json_object *keys = json_object_new_array();
    for (size_t i = 0; i < SCHEMA_COUNT(list->keys) && list->keys[i] != NULL; i++) {
        json_object_array_add(keys, json_object_new_string(list->keys[i]));
    }
    json_set(property, "x-kubernetes-list-map-keys", keys);
    json_set_text(property, "x-kubernetes-list-type", "map");
    json_set_text(property, "x-kubernetes-patch-merge-key", list->keys[0]);
}

struct json_object *schema_openapi(const struct schema *schema) {
    struct json_object *out = typed("object", NULL);
    if (schema->open) { /* an object without properties may have any */
        json_set(out, "x-kubernetes-preserve-unknown-fields", json_object_new_boolean(true));
        return out;
    }
    struct structure structure = structure_of(schema);
    struct json_object *properties = json_ensure(out, "properties");
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        if (field->kind == FIELD_INLINE) {
            continue;
        }
        struct json_object *property = openapi_field(field);
        if (field->kind == FIELD_TEXT_LIST || field->kind == FIELD_OBJECT_LIST) {
            struct structure list = structure_member(&structure, field->name);
            add_merge_keys(property, &list);
        }
        json_set(properties, field->name, property);
    }
    return out;
}
