/* field_walk.c: see field_walk.h. */
#include "field_walk.h"

#include <string.h>

static bool is_empty(struct json_object *value) {
    return value == NULL ||
           (json_object_is_type(value, json_type_object) &&
            json_object_object_length(value) == 0) ||
           (json_object_is_type(value, json_type_array) && json_length(value) == 0);
}

/* --- the fields of one object ----------------------------------------------------------------- */

static void note_element(void *context, const char *path) {
    text_add(context, path);
}

/* The path of one element below `path`, as a person reads it. */
static void add_path(struct text *out, const char *path, const char *element) {
    struct json_object *set = json_object_new_object();
    text_add(out, path);
    field_set_put(set, element, true, NULL);
    field_set_each(set, note_element, out);
    json_object_put(set);
}

static void note_duplicate(const char *path, const struct text *element, struct text *problem) {
    if (element->size > 0 && problem != NULL && problem->size == 0) {
        text_format(problem, "%s: duplicate entries for key ", path);
        add_path(problem, "", element->data);
    }
}

static struct json_object *set_of(const struct structure *structure, struct json_object *value,
                                  const char *path, struct text *problem);

static void add_child(const struct structure *parent, const char *element,
                      struct json_object *value, const char *path, struct text *problem,
                      struct json_object *out) {
    struct structure child = structure_child(parent, element);
    struct json_object *below = NULL;
    struct text inner = {0};
    bool member = true;
    add_path(&inner, path, element);
    if (child.kind == STRUCTURE_UNKNOWN && problem != NULL && problem->size == 0) {
        text_format(problem, "%s: field not declared in schema", inner.data);
    }
    if (structure_is_open(&child)) {
        below = set_of(&child, value, inner.data, problem);
        bool empty_map = is_empty(value) && !structure_is_list(&child);
        member = structure_is_list(parent) || empty_map;
    }
    if (child.kind != STRUCTURE_IGNORED && child.kind != STRUCTURE_UNKNOWN) {
        field_set_put(out, element, member, below);
    }
    text_clear(&inner);
}

static struct json_object *set_of(const struct structure *structure, struct json_object *value,
                                  const char *path, struct text *problem) {
    struct text duplicate = {0};
    struct json_object *out = json_object_new_object();
    struct json_object *children = structure_children(structure, value, &duplicate);
    note_duplicate(path, &duplicate, problem);
    json_object_object_foreach(children, element, child) {
        add_child(structure, element, child, path, problem, out);
    }
    json_object_put(children);
    text_clear(&duplicate);
    return out;
}

struct json_object *fields_of(const struct structure *structure, struct json_object *value,
                              struct text *problem) {
    return set_of(structure, value, "", problem);
}

/* --- two objects ------------------------------------------------------------------------------ */

void comparison_clear(struct comparison *comparison) {
    json_object_put(comparison->removed);
    json_object_put(comparison->modified);
    json_object_put(comparison->added);
    *comparison = (struct comparison){0};
}

/* Most comparisons find few differences: a set is made with its first member. */
static void put(struct json_object **set, const char *element, bool member,
                struct json_object *below) {
    if (*set == NULL && (member || !field_set_is_empty(below))) {
        *set = json_object_new_object();
    }
    field_set_put(*set, element, member, below);
}

static void compare_leaf(const char *element, struct json_object *before, struct json_object *after,
                         struct comparison *out) {
    if (before == NULL) {
        put(&out->added, element, true, NULL);
    } else if (after == NULL) {
        put(&out->removed, element, true, NULL);
    } else if (!json_object_equal(before, after)) {
        put(&out->modified, element, true, NULL);
    }
}

static void compare_child(const struct structure *parent, const char *element,
                          struct json_object *before, struct json_object *after,
                          struct comparison *out) {
    struct structure child = structure_child(parent, element);
    if (child.kind == STRUCTURE_IGNORED || child.kind == STRUCTURE_UNKNOWN) {
        return;
    }
    bool empty = is_empty(before) && is_empty(after);
    if (!structure_is_open(&child) || (empty && !child.always)) {
        compare_leaf(element, before, after, out);
        return;
    }
    struct comparison below = fields_compare(&child, before, after);
    put(&out->added, element, before == NULL && !child.always, below.added);
    put(&out->removed, element, after == NULL && !child.always, below.removed);
    put(&out->modified, element, false, below.modified);
}

struct comparison fields_compare(const struct structure *structure, struct json_object *before,
                                 struct json_object *after) {
    struct comparison out = {0};
    struct json_object *old = structure_children(structure, before, NULL);
    struct json_object *now = structure_children(structure, after, NULL);
    json_object_object_foreach(old, element, value) {
        compare_child(structure, element, value, json_member(now, element), &out);
    }
    json_object_object_foreach(now, added, added_value) {
        if (json_member(old, added) == NULL) {
            compare_child(structure, added, NULL, added_value, &out);
        }
    }
    json_object_put(old);
    json_object_put(now);
    return out;
}

/* --- merging ---------------------------------------------------------------------------------- */

struct merge {
    const struct structure *structure;
    struct json_object *live, *config, *out; /* children by path element */
};

static void merge_element(struct merge *merge, const char *element) {
    if (json_member(merge->out, element) == NULL) {
        struct structure child = structure_child(merge->structure, element);
        json_set(merge->out, element,
                 fields_merge(&child, json_member(merge->live, element),
                              json_member(merge->config, element)));
    }
}

/* A list's elements, both lists walked side by side: what only the live one has keeps its place
 * before the next element that both have; those that both have come in the config's order. */
static void merge_lists(struct merge *merge) {
    struct json_object_iterator at = json_object_iter_begin(merge->live);
    struct json_object_iterator end = json_object_iter_end(merge->live);
    json_object_object_foreach(merge->config, element, value) {
        (void)value;
        bool shared = json_member(merge->live, element) != NULL;
        bool found = false;
        while (!found && !json_object_iter_equal(&at, &end)) {
            const char *name = json_object_iter_peek_name(&at);
            bool in_config = json_member(merge->config, name) != NULL;
            if (in_config && !shared) {
                break;
            }
            if (!in_config) {
                merge_element(merge, name);
            }
            found = strcmp(name, element) == 0;
            json_object_iter_next(&at);
        }
        merge_element(merge, element);
    }
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        merge_element(merge, json_object_iter_peek_name(&at));
    }
}

static void merge_objects(struct merge *merge) {
    json_object_object_foreach(merge->live, element, value) {
        (void)value;
        merge_element(merge, element);
    }
    json_object_object_foreach(merge->config, added, added_value) {
        (void)added_value;
        merge_element(merge, added);
    }
}

struct json_object *fields_merge(const struct structure *structure, struct json_object *live,
                                 struct json_object *config) {
    bool leaf = !structure_is_open(structure) || (is_empty(live) && is_empty(config));
    if (leaf || live == NULL || config == NULL) {
        return json_copy(config != NULL ? config : live);
    }
    struct merge merge = {structure, structure_children(structure, live, NULL),
                          structure_children(structure, config, NULL), json_object_new_object()};
    if (structure_is_list(structure)) {
        merge_lists(&merge);
    } else {
        merge_objects(&merge);
    }
    json_object_put(merge.live);
    json_object_put(merge.config);
    return structure_assemble(structure, merge.out);
}

/* --- removing --------------------------------------------------------------------------------- */

struct json_object *fields_remove(const struct structure *structure, struct json_object *value,
                                  struct json_object *set) {
    if (!structure_is_open(structure) || is_empty(value) || field_set_is_empty(set)) {
        return json_copy(value);
    }
    struct json_object *children = structure_children(structure, value, NULL);
    struct json_object *kept = json_object_new_object();
    json_object_object_foreach(children, element, child) {
        struct json_object *node = json_member(set, element);
        struct structure below = structure_child(structure, element);
        struct json_object *left =
            field_set_is_member(node) ? NULL : fields_remove(&below, child, node);
        if (left != NULL) {
            json_set(kept, element, left);
        }
    }
    json_object_put(children);
    struct json_object *out = structure_assemble(structure, kept);
    if (is_empty(out)) {
        json_object_put(out);
        out = NULL;
    }
    return out;
}

struct json_object *fields_with_parents(const struct structure *structure,
                                        struct json_object *set) {
    struct json_object *out = json_object_new_object();
    json_object_object_foreach(set, element, node) {
        if (strcmp(element, ".") == 0) {
            continue;
        }
        struct structure child = structure_child(structure, element);
        bool named = structure->kind == STRUCTURE_OBJECT && child.kind != STRUCTURE_UNKNOWN;
        field_set_put(out, element, named || field_set_is_member(node),
                      fields_with_parents(&child, node));
    }
    return out;
}
