/* field_structure.c: see field_structure.h. */
#include "field_structure.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *type, *field;
    struct structure structure; /* without its schema */
} exceptions[] = {
    {"ObjectMeta", "finalizers", {.kind = STRUCTURE_SET}},
    {"ObjectMeta", "ownerReferences", {.kind = STRUCTURE_KEYED, .keys = {"uid"}, .whole = true}},
    {"ObjectMeta", "managedFields", {.kind = STRUCTURE_IGNORED}},
    {"ServiceSpec",
     "ports",
     {.kind = STRUCTURE_KEYED, .keys = {"port", "protocol"}, .second_default = "TCP"}},
    {"ServiceSpec", "selector", {.kind = STRUCTURE_LEAF}},
    {"ServiceStatus", "conditions", {.kind = STRUCTURE_KEYED, .keys = {"type"}}},
    {"ServiceStatus", "loadBalancer", {.kind = STRUCTURE_OBJECT, .always = true}},
    {"NamespaceStatus", "conditions", {.kind = STRUCTURE_KEYED, .keys = {"type"}}},
    {"ServiceCIDRStatus", "conditions", {.kind = STRUCTURE_KEYED, .keys = {"type"}}},
    {"PodStatus", "conditions", {.kind = STRUCTURE_KEYED, .keys = {"type"}}},
    {"NodeStatus", "conditions", {.kind = STRUCTURE_KEYED, .keys = {"type"}}},
    {"NodeStatus", "addresses", {.kind = STRUCTURE_KEYED, .keys = {"type"}}},
    {"PodStatus", "podIPs", {.kind = STRUCTURE_KEYED, .keys = {"ip"}}},
    {"PodSpec", "containers", {.kind = STRUCTURE_KEYED, .keys = {"name"}}},
    {"Container", "env", {.kind = STRUCTURE_KEYED, .keys = {"name"}}},
    {"Container",
     "ports",
     {.kind = STRUCTURE_KEYED, .keys = {"containerPort", "protocol"}, .second_default = "TCP"}},
    {"IngressStatus", "loadBalancer", {.kind = STRUCTURE_OBJECT, .always = true}},
};

static enum structure_kind kind_of(const struct field *field) {
    switch (field->kind) {
    case FIELD_OBJECT:
        return STRUCTURE_OBJECT;
    case FIELD_TEXT_MAP:
    case FIELD_BYTES_MAP:
        return STRUCTURE_MAP;
    case FIELD_IGNORED:
        return STRUCTURE_IGNORED;
    default:
        return STRUCTURE_LEAF;
    }
}

struct structure structure_of(const struct schema *schema) {
    return (struct structure){.kind = STRUCTURE_OBJECT, .always = true, .schema = schema};
}

/* metadata, spec and status are no pointers in Kubernetes' types. */
static bool is_part(const struct field *field) {
    return strcmp(field->name, "metadata") == 0 || strcmp(field->name, "spec") == 0 ||
           strcmp(field->name, "status") == 0;
}

static struct structure structure_of_field(const struct schema *schema, const struct field *field) {
    struct structure structure = {.kind = kind_of(field),
                                  .always = field->kind == FIELD_OBJECT && is_part(field)};
    for (size_t i = 0; i < COUNT(exceptions); i++) {
        if (strcmp(exceptions[i].field, field->name) == 0 &&
            strcmp(exceptions[i].type, schema->go_name) == 0) {
            structure = exceptions[i].structure;
        }
    }
    structure.schema = field->schema;
    return structure;
}

struct structure structure_member(const struct structure *object, const char *name) {
    const struct schema *schema = object->schema;
    if (object->kind != STRUCTURE_OBJECT) {
        return (struct structure){.kind = STRUCTURE_LEAF};
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return structure_of_field(schema, &schema->fields[i]);
        }
    }
    return (struct structure){.kind = schema->open ? STRUCTURE_LEAF : STRUCTURE_UNKNOWN};
}

struct structure structure_child(const struct structure *parent, const char *element) {
    if (parent->kind == STRUCTURE_KEYED && !parent->whole) {
        return (struct structure){.kind = STRUCTURE_OBJECT, .schema = parent->schema};
    }
    return structure_member(parent, element + 2);
}

bool structure_is_list(const struct structure *structure) {
    return structure->kind == STRUCTURE_SET || structure->kind == STRUCTURE_KEYED;
}

bool structure_is_open(const struct structure *structure) {
    return structure->kind == STRUCTURE_OBJECT || structure->kind == STRUCTURE_MAP ||
           structure_is_list(structure);
}

/* The path element of a list's element: its value, or its keys by name. */
static void element_of(const struct structure *list, struct json_object *value, struct text *out) {
    if (list->kind == STRUCTURE_SET) {
        text_format(out, "v:%s", json_line(value, NULL));
        return;
    }
    text_add(out, "k:{");
    for (size_t i = 0; i < COUNT(list->keys) && list->keys[i] != NULL; i++) {
        struct json_object *key = json_member(value, list->keys[i]);
        const char *between = out->size > strlen("k:{") ? "," : "";
        if (key != NULL) {
            text_format(out, "%s\"%s\":%s", between, list->keys[i], json_line(key, NULL));
        } else if (i == 1 && list->second_default != NULL) {
            text_format(out, "%s\"%s\":\"%s\"", between, list->keys[i], list->second_default);
        }
    }
    text_add(out, "}");
}

static struct json_object *children_of_list(const struct structure *list, struct json_object *value,
                                            struct text *duplicate) {
    struct json_object *out = json_object_new_object();
    for (size_t i = 0; i < json_length(value); i++) {
        struct text element = {0};
        struct json_object *child = json_object_array_get_idx(value, i);
        element_of(list, child, &element);
        if (json_object_object_get_ex(out, element.data, NULL)) {
            if (duplicate != NULL && duplicate->size == 0) {
                text_add(duplicate, element.data);
            }
        } else {
            json_set(out, element.data, json_object_get(child));
        }
        text_clear(&element);
    }
    return out;
}

struct json_object *structure_children(const struct structure *structure, struct json_object *value,
                                       struct text *duplicate) {
    if (structure_is_list(structure)) {
        return children_of_list(structure, value, duplicate);
    }
    struct json_object *out = json_object_new_object();
    if (json_object_is_type(value, json_type_object)) {
        struct text element = {0};
        json_object_object_foreach(value, name, child) {
            element.size = 0;
            text_add(&element, "f:");
            text_add(&element, name);
            if (child != NULL) {
                json_set(out, element.data, json_object_get(child));
            }
        }
        text_clear(&element);
    }
    return out;
}

struct json_object *structure_assemble(const struct structure *structure,
                                       struct json_object *children) {
    bool list = structure_is_list(structure);
    struct json_object *out = list ? json_object_new_array() : json_object_new_object();
    json_object_object_foreach(children, element, child) {
        if (list) {
            json_object_array_add(out, json_object_get(child));
        } else {
            json_set(out, element + 2, json_object_get(child));
        }
    }
    json_object_put(children);
    return out;
}
