/* schema_openapi.c: a table of fields as OpenAPI (2 and 3) tells it; see schema.h. */
#include "field_structure.h"

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
    case FIELD_MICRO_TIME:
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
