/* schema.c: the fields that every kind has (protobuf numbers included), and the walk over any table
 * of fields. */
#include "schema.h"

#include "base64.h"
#include "moment.h"

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
    bool keeps; /* what it would refuse, as it is */
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
    case FIELD_MICRO_TIME:
        return "v1.MicroTime";
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

static bool is_text(struct json_object *value) {
    return value == NULL || json_object_is_type(value, json_type_string);
}

/* The first member that is no text, of what holds nothing but texts; null stands for "", as in Go.
 */
static bool has_other_than_text(struct json_object *value, struct json_object **other) {
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member) {
            (void)name;
            *other = member;
            if (!is_text(member)) {
                return true;
            }
        }
    }
    for (size_t i = 0; i < json_length(value); i++) {
        *other = json_object_array_get_idx(value, i);
        if (!is_text(*other)) {
            return true;
        }
    }
    return false;
}

static bool holds_texts(const struct field *field, struct json_object *value) {
    return json_object_is_type(value,
                               field->kind == FIELD_TEXT_LIST ? json_type_array : json_type_object);
}

static void wrong_type(struct walk *walk, const struct field *field, const char *path,
                       struct json_object *value) {
    bool of_texts = field->kind == FIELD_TEXT_MAP || field->kind == FIELD_BYTES_MAP ||
                    field->kind == FIELD_TEXT_LIST;
    struct json_object *other = NULL;
    if (walk->failed) {
        return;
    }
    walk->failed = true;
    if (of_texts && holds_texts(field, value) && has_other_than_text(value, &other)) {
        text_format(walk->problem, "json: cannot unmarshal %s into field %s of type string",
                    json_type_of(other), path);
    } else {
        text_format(walk->problem, "json: cannot unmarshal %s into field %s of type %s",
                    json_type_of(value), path, go_type(field));
    }
}

static bool is_number(struct json_object *value, int64_t least, int64_t greatest) {
    /* json-c saturates what does not fit into 64 bits, so a value at the edge is out too. */
    return json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= least &&
           json_object_get_int64(value) <= greatest;
}

static bool are_texts(const struct field *field, struct json_object *value) {
    struct json_object *other = NULL;
    return holds_texts(field, value) && !has_other_than_text(value, &other);
}

static bool has_type(const struct field *field, struct json_object *value) {
    switch (field->kind) {
    case FIELD_TEXT:
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
        return json_object_is_type(value, json_type_string);
    case FIELD_INT32:
        return is_number(value, INT32_MIN, INT32_MAX);
    case FIELD_INT64:
        return is_number(value, INT64_MIN + 1, INT64_MAX - 1);
    case FIELD_TRUTH:
        return json_object_is_type(value, json_type_boolean);
    case FIELD_TEXT_MAP:
    case FIELD_BYTES_MAP:
    case FIELD_TEXT_LIST:
        return are_texts(field, value);
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
        if (member != NULL) {
            add_without_line_ends(&words, json_object_get_string(member));
        }
        if (!walk->failed && !walk->keeps && !base64_read(words.data, words.size, &bytes)) {
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

/* A Go client cannot read a list with a time in it that is none. */
static struct json_object *decode_time(const struct field *field, struct json_object *value,
                                       struct walk *walk) {
    bool micro = field->kind == FIELD_MICRO_TIME;
    struct moment moment = {0};
    char text[MOMENT_TEXT] = "";
    if (!moment_read(json_object_get_string(value), micro, &moment)) {
        if (walk->keeps) {
            return json_copy(value);
        }
        text_format(walk->problem, "parsing time %.200s as \"2006-01-02T15:04:05%sZ07:00\"",
                    json_line(value, NULL), micro ? ".000000" : "");
        walk->failed = true;
    } else if (micro) {
        moment_format_micro(&moment, text);
    } else {
        moment_format(moment.seconds, text);
    }
    return json_object_new_string(text);
}

static struct json_object *decode_text(struct json_object *value) {
    return value != NULL ? json_copy(value) : json_object_new_string("");
}

static struct json_object *decode_texts(struct json_object *value) {
    bool list = json_object_is_type(value, json_type_array);
    struct json_object *out = list ? json_object_new_array() : json_object_new_object();
    for (size_t i = 0; i < json_length(value); i++) {
        json_object_array_add(out, decode_text(json_object_array_get_idx(value, i)));
    }
    if (!list) {
        json_object_object_foreach(value, name, member) {
            json_set(out, name, decode_text(member));
        }
    }
    return out;
}

static struct json_object *decode_list(const struct field *field, struct json_object *value,
                                       const char *path, struct walk *walk) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < json_length(value); i++) {
        struct json_object *element = json_object_array_get_idx(value, i);
        if (element != NULL && !json_object_is_type(element, json_type_object)) {
            if (!walk->keeps) {
                wrong_type(walk, field, path, element);
                break;
            }
            json_object_array_add(list, json_copy(element));
            continue;
        }
        struct text inner = {0};
        text_format(&inner, "%s[%zu]", path, i);
        json_object_array_add(list, element == NULL
                                        ? json_object_new_object()
                                        : decode_object(field->schema, element, inner.data, walk));
        text_clear(&inner);
    }
    return list;
}

static void decode_field(const struct field *field, struct json_object *value, const char *path,
                         struct json_object *out, struct walk *walk) {
    struct text inner = {0};
    text_format(&inner, "%s%s%s", path, path[0] != '\0' ? "." : "", field->name);
    if (!has_type(field, value)) {
        if (walk->keeps) {
            json_set(out, field->name, json_copy(value));
        } else {
            wrong_type(walk, field, inner.data, value);
        }
    } else if (field->kind == FIELD_OBJECT) {
        json_set(out, field->name, decode_object(field->schema, value, inner.data, walk));
    } else if (field->kind == FIELD_OBJECT_LIST) {
        json_set(out, field->name, decode_list(field, value, inner.data, walk));
    } else if (field->kind == FIELD_TIME || field->kind == FIELD_MICRO_TIME) {
        json_set(out, field->name, decode_time(field, value, walk));
    } else if (field->kind == FIELD_TEXT_MAP || field->kind == FIELD_TEXT_LIST) {
        json_set(out, field->name, decode_texts(value));
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

struct json_object *schema_arrange(const struct schema *schema, struct json_object *object) {
    struct text unknown = {0};
    struct walk walk = {.unknown = &unknown, .keeps = true};
    struct json_object *out = decode_object(schema, object, "", &walk);
    text_clear(&unknown);
    return out;
}
