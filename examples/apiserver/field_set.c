/* field_set.c: the algebra of field sets; see field_set.h. */
#include "field_set.h"

#include <stdlib.h>
#include <string.h>

#define SELF "."

bool field_set_is_empty(struct json_object *set) {
    return set == NULL || json_object_object_length(set) == 0;
}

bool field_set_is_member(struct json_object *node) {
    return node != NULL &&
           (json_object_object_length(node) == 0 || json_member(node, SELF) != NULL);
}

void field_set_put(struct json_object *set, const char *element, bool member,
                   struct json_object *below) {
    if (field_set_is_empty(below) && !member) {
        json_object_put(below);
        return;
    }
    if (below == NULL) {
        below = json_object_new_object();
    }
    if (!field_set_is_empty(below) && member) {
        json_set(below, SELF, json_object_new_object());
    }
    json_set(set, element, below);
}

static bool stays(enum set_operation operation, bool in_a, bool in_b) {
    switch (operation) {
    case SET_UNION:
        return in_a || in_b;
    case SET_INTERSECTION:
        return in_a && in_b;
    default:
        return in_a && !in_b;
    }
}

static struct json_object *combine(enum set_operation operation, struct json_object *a,
                                   struct json_object *b);

static void combine_element(enum set_operation operation, const char *element,
                            struct json_object *a, struct json_object *b, struct json_object *out) {
    bool in_a = field_set_is_member(a);
    bool in_b = field_set_is_member(b);
    if (strcmp(element, SELF) == 0 || (operation == SET_WITHOUT_BELOW && in_b)) {
        return;
    }
    field_set_put(out, element, stays(operation, in_a, in_b), combine(operation, a, b));
}

static struct json_object *combine(enum set_operation operation, struct json_object *a,
                                   struct json_object *b) {
    if (field_set_is_empty(a) && field_set_is_empty(b)) {
        return NULL;
    }
    struct json_object *out = json_object_new_object();
    if (a != NULL) {
        json_object_object_foreach(a, element, node) {
            combine_element(operation, element, node, json_member(b, element), out);
        }
    }
    if (b != NULL && operation == SET_UNION) {
        json_object_object_foreach(b, element, node) {
            if (json_member(a, element) == NULL) {
                combine_element(operation, element, NULL, node, out);
            }
        }
    }
    return out;
}

struct json_object *field_set_combine(enum set_operation operation, struct json_object *a,
                                      struct json_object *b) {
    if (field_set_is_empty(b) && operation != SET_INTERSECTION && a != NULL) {
        return json_object_get(a);
    }
    if (field_set_is_empty(a) && operation == SET_UNION && b != NULL) {
        return json_object_get(b);
    }
    return combine(operation, a, b);
}

/* --- one form --------------------------------------------------------------------------------- */

struct member {
    const char *name;
    struct json_object *value;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static struct json_object *sorted_object(struct json_object *object) {
    size_t count = 0;
    struct member *members =
        memory_allocate(((size_t)json_object_object_length(object) + 1) * sizeof *members);
    json_object_object_foreach(object, name, value) {
        members[count++] = (struct member){name, value};
    }
    qsort(members, count, sizeof *members, by_name);
    struct json_object *out = json_object_new_object();
    for (size_t i = 0; i < count; i++) {
        json_set(out, members[i].name, json_sorted(members[i].value));
    }
    free(members);
    return out;
}

struct json_object *json_sorted(struct json_object *value) {
    if (json_object_is_type(value, json_type_object)) {
        return sorted_object(value);
    }
    if (!json_object_is_type(value, json_type_array)) {
        return json_copy(value);
    }
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; i < json_length(value); i++) {
        json_object_array_add(out, json_sorted(json_object_array_get_idx(value, i)));
    }
    return out;
}

/* The value that stands behind "k:" or "v:"; NULL if it is none. */
static struct json_object *element_value(const char *element) {
    struct text problem = {0};
    struct json_object *value = json_parse(element + 2, strlen(element + 2), &problem);
    text_clear(&problem);
    return value;
}

/* The element in its one form, appended to `out`; nothing for a kind that is unknown. */
static bool read_element(const char *element, struct text *out) {
    if (element[0] == '\0' || element[1] != ':') {
        return false;
    }
    if (element[0] == 'f' || element[0] == 'i') {
        text_add(out, element);
        return true;
    }
    if (element[0] != 'k' && element[0] != 'v') {
        return true;
    }
    struct json_object *value = element_value(element);
    bool keys = json_object_is_type(value, json_type_object);
    bool usable = value != NULL && keys == (element[0] == 'k');
    struct json_object *sorted = usable ? json_sorted(value) : NULL;
    if (usable) {
        text_format(out, "%c:%s", element[0], json_line(sorted, NULL));
    }
    json_object_put(sorted);
    json_object_put(value);
    return usable;
}

static bool read_node(struct json_object *fields, struct json_object *out) {
    if (fields != NULL && !json_object_is_type(fields, json_type_object)) {
        return false;
    }
    if (fields == NULL) {
        return true;
    }
    json_object_object_foreach(fields, name, node) {
        struct text element = {0};
        struct json_object *below = json_object_new_object();
        bool member =
            json_object_is_type(node, json_type_object) ? field_set_is_member(node) : node == NULL;
        bool usable = strcmp(name, SELF) == 0 || (read_element(name, &element) &&
                                                  (element.size == 0 || read_node(node, below)));
        if (usable && element.size > 0) {
            field_set_put(out, element.data, member, below);
        } else {
            json_object_put(below);
        }
        text_clear(&element);
        if (!usable) {
            return false;
        }
    }
    return true;
}

struct json_object *field_set_read(struct json_object *fields) {
    struct json_object *out = json_object_new_object();
    if (!read_node(fields, out)) {
        json_object_put(out);
        return NULL;
    }
    return out;
}

/* --- paths ------------------------------------------------------------------------------------ */

static void add_keys(struct text *path, struct json_object *keys) {
    const char *between = "";
    json_object_object_foreach(keys, name, value) {
        text_format(path, "%s%s=%s", between, name, json_line(value, NULL));
        between = ",";
    }
}

static void add_element(struct text *path, const char *element) {
    if (element[0] == 'f') {
        text_format(path, ".%s", element + 2);
        return;
    }
    struct json_object *value = element[0] != 'i' ? element_value(element) : NULL;
    text_add(path, "[");
    if (json_object_is_type(value, json_type_object)) {
        add_keys(path, value);
    } else {
        text_format(path, "%s%s", element[0] == 'v' ? "=" : "", element + 2);
    }
    text_add(path, "]");
    json_object_put(value);
}

static void each_below(struct json_object *set, const char *path, field_path_seen seen,
                       void *context) {
    json_object_object_foreach(set, element, node) {
        if (strcmp(element, SELF) == 0) {
            continue;
        }
        struct text inner = {0};
        text_add(&inner, path);
        add_element(&inner, element);
        if (field_set_is_member(node)) {
            seen(context, inner.data);
        }
        each_below(node, inner.data, seen, context);
        text_clear(&inner);
    }
}

void field_set_each(struct json_object *set, field_path_seen seen, void *context) {
    if (set != NULL) {
        each_below(set, "", seen, context);
    }
}
