/*
 * patch_strategic.c: strategic merge patch.
 *
 * Like a merge patch, but lists that field_structure.h tells apart by keys merge element by
 * element; so do those of a Pod's unread parts that `open_lists` names. Directives:
 *   {"$patch": "replace" | "delete" | "merge"}   for an object or an element
 *   "$setElementOrder/LIST"                      the order after merging; unnamed ones stay behind
 *   "$deleteFromPrimitiveList/LIST"              values to take out
 *   "$retainKeys"                                members to keep, all others go
 * kubectl sends a port's key alone where its protocol is unchanged, so an element without protocol
 * matches the first one of that port.
 */
#include "patch_kinds.h"

#include <string.h>

#define ORDER_PREFIX    "$setElementOrder/"
#define LIST_LENGTH_MAX 1000 /* elements are matched by looking at each: quadratic */
#define DELETE_PREFIX   "$deleteFromPrimitiveList/"

/* Below what the schema leaves open, by name alone. */
static const struct {
    const char *name;
    struct structure structure;
} open_lists[] = {
    {"env", {.kind = STRUCTURE_KEYED, .keys = {"name"}}},
    {"ephemeralContainers", {.kind = STRUCTURE_KEYED, .keys = {"name"}}},
    {"hostAliases", {.kind = STRUCTURE_KEYED, .keys = {"ip"}}},
    {"imagePullSecrets", {.kind = STRUCTURE_KEYED, .keys = {"name"}}},
    {"initContainers", {.kind = STRUCTURE_KEYED, .keys = {"name"}}},
    {"ports", {.kind = STRUCTURE_KEYED, .keys = {"containerPort", "protocol"}}},
    {"volumeDevices", {.kind = STRUCTURE_KEYED, .keys = {"devicePath"}}},
    {"volumeMounts", {.kind = STRUCTURE_KEYED, .keys = {"mountPath"}}},
    {"volumes", {.kind = STRUCTURE_KEYED, .keys = {"name"}}},
};

static struct structure structure_in(const struct structure *parent, const char *name) {
    struct structure child = structure_member(parent, name);
    for (size_t i = 0;
         child.kind == STRUCTURE_LEAF && child.schema == NULL && i < SCHEMA_COUNT(open_lists);
         i++) {
        if (strcmp(open_lists[i].name, name) == 0) {
            child = open_lists[i].structure;
        }
    }
    return child;
}

/* Of a list's elements; what is open stays open below. */
static struct structure structure_of_elements(const struct structure *list) {
    return (struct structure){.kind = list->schema != NULL ? STRUCTURE_OBJECT : STRUCTURE_LEAF,
                              .schema = list->schema};
}

static const char *second_key_value(struct json_object *element, const struct structure *list) {
    const char *value = json_member_text(element, list->keys[1]);
    return value[0] != '\0' ? value : "TCP";
}

/* Does `wanted` (from a patch) speak of `element`? */
static bool is_same(struct json_object *element, struct json_object *wanted,
                    const struct structure *list) {
    if (list->kind == STRUCTURE_SET) {
        return json_object_equal(element, wanted) != 0;
    }
    struct json_object *value = json_member(wanted, list->keys[0]);
    if (value == NULL || !json_object_equal(json_member(element, list->keys[0]), value)) {
        return false;
    }
    return list->keys[1] == NULL || json_member(wanted, list->keys[1]) == NULL ||
           strcmp(second_key_value(element, list), second_key_value(wanted, list)) == 0;
}

static size_t find_element(struct json_object *elements, struct json_object *wanted,
                           const struct structure *list) {
    size_t count = json_length(elements);
    for (size_t i = 0; i < count; i++) {
        if (is_same(json_object_array_get_idx(elements, i), wanted, list)) {
            return i;
        }
    }
    return count;
}

static struct json_object *merge_object(const struct structure *structure,
                                        struct json_object *target, struct json_object *patch,
                                        struct text *problem);

/* Put the elements of `elements` into the order that `order` names; returns a new list. */
static struct json_object *reorder(struct json_object *elements, struct json_object *order,
                                   const struct structure *list) {
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; i < json_length(order); i++) {
        struct json_object *wanted = json_object_array_get_idx(order, i);
        for (size_t at = 0; (at = find_element(elements, wanted, list)) < json_length(elements);) {
            json_object_array_add(out, json_object_get(json_object_array_get_idx(elements, at)));
            json_object_array_del_idx(elements, at, 1);
        }
    }
    for (size_t i = 0; i < json_length(elements); i++) {
        json_object_array_add(out, json_object_get(json_object_array_get_idx(elements, i)));
    }
    json_object_put(elements);
    return out;
}

static bool merge_element(struct json_object *out, struct json_object *element,
                          const struct structure *list, struct text *problem) {
    bool keyed = list->kind == STRUCTURE_KEYED;
    if (keyed && json_member(element, list->keys[0]) == NULL) {
        text_format(problem, "map: %.200s does not contain declared merge key: %s",
                    json_line(element, NULL), list->keys[0]);
        return false;
    }
    size_t at = find_element(out, element, list);
    bool found = at < json_length(out);
    if (strcmp(json_member_text(element, "$patch"), "delete") == 0) {
        if (found) {
            json_object_array_del_idx(out, at, 1);
        }
        return true;
    }
    if (!keyed) {
        if (!found) {
            json_object_array_add(out, json_copy(element));
        }
        return true;
    }
    struct structure inner = structure_of_elements(list);
    struct json_object *merged =
        merge_object(&inner, found ? json_object_array_get_idx(out, at) : NULL, element, problem);
    if (merged != NULL && found) {
        json_object_array_put_idx(out, at, merged);
    } else if (merged != NULL) {
        json_object_array_add(out, merged);
    }
    return merged != NULL;
}

static struct json_object *merge_list(const struct structure *list, struct json_object *target,
                                      struct json_object *patch, struct text *problem) {
    struct json_object *out =
        json_object_is_type(target, json_type_array) ? json_copy(target) : json_object_new_array();
    for (size_t i = 0; i < json_length(patch); i++) {
        struct json_object *element = json_object_array_get_idx(patch, i);
        if (strcmp(json_member_text(element, "$patch"), "replace") == 0) {
            json_object_put(out);
            out = json_copy(patch);
            json_object_array_del_idx(out, i, 1);
            return out;
        }
    }
    for (size_t i = 0; i < json_length(patch); i++) {
        if (!merge_element(out, json_object_array_get_idx(patch, i), list, problem)) {
            json_object_put(out);
            return NULL;
        }
    }
    return out;
}

/* Directives that speak of a list beside them; done before the list itself is merged. */
static void delete_values(struct json_object *out, const char *list, struct json_object *values) {
    struct json_object *present = json_member(out, list);
    for (size_t i = 0; i < json_length(values); i++) {
        for (size_t j = json_length(present); j > 0; j--) {
            if (json_object_equal(json_object_array_get_idx(present, j - 1),
                                  json_object_array_get_idx(values, i))) {
                json_object_array_del_idx(present, j - 1, 1);
            }
        }
    }
}

static bool is_named(struct json_object *names, const char *name) {
    for (size_t i = 0; i < json_length(names); i++) {
        struct json_object *element = json_object_array_get_idx(names, i);
        if (json_object_is_type(element, json_type_string) &&
            strcmp(json_object_get_string(element), name) == 0) {
            return true;
        }
    }
    return false;
}

static struct json_object *retain(struct json_object *object, struct json_object *names) {
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(object, name, value) {
        if (is_named(names, name)) {
            json_set(out, name, json_object_get(value));
        }
    }
    json_object_put(object);
    return out;
}

/* Of a list that merges, or that a directive speaks of, in the patch or in the object. */
static bool is_too_long(const struct structure *list, struct json_object *out, const char *name,
                        struct json_object *value) {
    const char *slash = name[0] == '$' ? strchr(name, '/') : NULL;
    bool merges = slash != NULL || structure_is_list(list);
    return merges &&
           (json_length(value) > LIST_LENGTH_MAX ||
            json_length(json_member(out, slash != NULL ? slash + 1 : name)) > LIST_LENGTH_MAX);
}

static struct json_object *merge_value(const struct structure *structure,
                                       struct json_object *target, struct json_object *value,
                                       struct text *problem) {
    if (json_object_is_type(value, json_type_array) && structure_is_list(structure)) {
        return merge_list(structure, target, value, problem);
    }
    if (json_object_is_type(value, json_type_object)) {
        return merge_object(structure, target, value, problem);
    }
    return json_copy(value);
}

static bool merge_member(const struct structure *structure, struct json_object *out,
                         const char *name, struct json_object *value, struct text *problem) {
    struct structure child = structure_in(structure, name);
    if (is_too_long(&child, out, name, value)) {
        text_format(problem, "%s: lists of more than %d elements cannot be merged", name,
                    LIST_LENGTH_MAX);
        return false;
    }
    if (name[0] == '$') {
        if (text_starts_with(name, DELETE_PREFIX)) {
            delete_values(out, name + strlen(DELETE_PREFIX), value);
        }
        return true;
    }
    if (value == NULL || strcmp(json_member_text(value, "$patch"), "delete") == 0) {
        json_remove(out, name);
        return true;
    }
    struct json_object *merged = merge_value(&child, json_member(out, name), value, problem);
    if (problem->size > 0) {
        json_object_put(merged);
        return false;
    }
    json_set(out, name, merged);
    return true;
}

static void apply_orders(const struct structure *structure, struct json_object *out,
                         struct json_object *patch) {
    json_object_object_foreach(patch, name, order) {
        if (!text_starts_with(name, ORDER_PREFIX)) {
            continue;
        }
        const char *list_name = name + strlen(ORDER_PREFIX);
        struct structure list = structure_in(structure, list_name);
        struct json_object *elements = json_member(out, list_name);
        if (structure_is_list(&list) && json_object_is_type(elements, json_type_array)) {
            json_set(out, list_name, reorder(json_copy(elements), order, &list));
        }
    }
}

static struct json_object *merge_object(const struct structure *structure,
                                        struct json_object *target, struct json_object *patch,
                                        struct text *problem) {
    const char *directive = json_member_text(patch, "$patch");
    bool fresh =
        !json_object_is_type(target, json_type_object) || strcmp(directive, "replace") == 0;
    struct json_object *out = fresh ? json_object_new_object() : json_copy(target);
    json_object_object_foreach(patch, name, value) {
        if (!merge_member(structure, out, name, value, problem)) {
            json_object_put(out);
            return NULL;
        }
    }
    apply_orders(structure, out, patch);
    struct json_object *retained = json_member(patch, "$retainKeys");
    return retained != NULL ? retain(out, retained) : out;
}

struct json_object *patch_strategic(const struct structure *structure, struct json_object *object,
                                    struct json_object *patch, struct text *problem) {
    return merge_object(structure, object, patch, problem);
}
