/*
 * selector.c: parse and judge label and field selectors; see selector.h.
 *
 * A selector is a list of requirements that must all hold; each is a key, a relation and values.
 * Cost: one walk over the requirements per object.
 */
#include "selector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQUIREMENTS_MAX 64
#define VALUES_MAX       64
#define KEY_MAX_BYTES    320 /* a label key: 253 + 1 + 63 */

enum relation {
    RELATION_IN,
    RELATION_NOT_IN,
    RELATION_EXISTS,
    RELATION_ABSENT,
    RELATION_GREATER,
    RELATION_LESS
};

struct requirement {
    bool is_field;
    enum relation relation;
    char *key;
    char **values;
    size_t value_count;
};

struct selector {
    char *namespace; /* "": all */
    struct requirement requirements[REQUIREMENTS_MAX];
    size_t count;
};

void selector_free(struct selector *selector) {
    for (size_t i = 0; selector != NULL && i < selector->count; i++) {
        struct requirement *requirement = &selector->requirements[i];
        for (size_t j = 0; j < requirement->value_count; j++) {
            free(requirement->values[j]);
        }
        free(requirement->values);
        free(requirement->key);
    }
    if (selector != NULL) {
        free(selector->namespace);
    }
    free(selector);
}

/* --- parsing ---------------------------------------------------------------------------------- */

static void skip_blanks(const char **at) {
    *at += strspn(*at, " \t");
}

/* A word: what may be in a key or value, up to the next mark. */
static char *take_word(const char **at) {
    skip_blanks(at);
    size_t length = strcspn(*at, " \t,=!()<>");
    if (length > KEY_MAX_BYTES) {
        return NULL;
    }
    char *word = memory_allocate(length + 1);
    memcpy(word, *at, length);
    *at += length;
    skip_blanks(at);
    return word;
}

static bool take_mark(const char **at, const char *mark) {
    if (!text_starts_with(*at, mark)) {
        return false;
    }
    *at += strlen(mark);
    skip_blanks(at);
    return true;
}

static bool take_value(const char **at, struct requirement *requirement) {
    char *value = take_word(at);
    if (value == NULL || requirement->value_count >= VALUES_MAX) {
        free(value);
        return false;
    }
    size_t count = requirement->value_count + 1;
    requirement->values = memory_resize(requirement->values, count * sizeof(char *));
    requirement->values[requirement->value_count++] = value;
    return true;
}

/* "(x,y)" */
static bool take_set(const char **at, struct requirement *requirement) {
    if (!take_mark(at, "(")) {
        return false;
    }
    do {
        if (!take_value(at, requirement)) {
            return false;
        }
    } while (take_mark(at, ","));
    return take_mark(at, ")");
}

static bool is_whole(const char *text, long long *number) {
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* ">3" or "<3": labels that are numbers. */
static bool take_bound(const char **at, struct requirement *requirement, bool greater) {
    long long bound;
    requirement->relation = greater ? RELATION_GREATER : RELATION_LESS;
    return !requirement->is_field && take_value(at, requirement) &&
           is_whole(requirement->values[0], &bound);
}

static bool take_relation(const char **at, struct requirement *requirement) {
    bool greater = take_mark(at, ">");
    if (greater || take_mark(at, "<")) {
        return take_bound(at, requirement, greater);
    }
    if (take_mark(at, "!=")) {
        requirement->relation = RELATION_NOT_IN;
        return take_value(at, requirement);
    }
    if (take_mark(at, "==") || take_mark(at, "=")) {
        requirement->relation = RELATION_IN;
        return take_value(at, requirement);
    }
    if (take_mark(at, "notin")) {
        requirement->relation = RELATION_NOT_IN;
        return take_set(at, requirement);
    }
    if (take_mark(at, "in")) {
        requirement->relation = RELATION_IN;
        return take_set(at, requirement);
    }
    requirement->relation = RELATION_EXISTS;
    return true;
}

static bool take_requirement(const char **at, struct requirement *requirement) {
    bool absent = take_mark(at, "!");
    requirement->key = take_word(at);
    if (requirement->key == NULL || requirement->key[0] == '\0') {
        return false;
    }
    if (absent) {
        requirement->relation = RELATION_ABSENT;
        return true;
    }
    return take_relation(at, requirement);
}

static bool parse_list(struct selector *selector, const char *text, bool is_field,
                       struct text *problem) {
    const char *at = text;
    skip_blanks(&at);
    bool more = *at != '\0';
    while (more) {
        if (selector->count >= REQUIREMENTS_MAX) {
            text_format(problem, "a selector may have at most %d requirements", REQUIREMENTS_MAX);
            return false;
        }
        struct requirement *requirement = &selector->requirements[selector->count++];
        requirement->is_field = is_field;
        bool parsed = take_requirement(&at, requirement);
        more = parsed && take_mark(&at, ",");
        if (!parsed || (*at != '\0' && !more)) {
            text_format(problem, "unable to parse requirement: at character %zu of \"%.200s\"",
                        (size_t)(at - text), text);
            return false;
        }
    }
    return true;
}

static bool is_selectable(const struct resource *resource, const char *field) {
    bool found = strcmp(field, "metadata.name") == 0 ||
                 (resource->namespaced && strcmp(field, "metadata.namespace") == 0);
    for (const char *const *at = resource->selectable; !found && at != NULL && *at != NULL; at++) {
        found = strcmp(field, *at) == 0;
    }
    return found;
}

static bool fields_are_known(const struct selector *selector, const struct resource *resource,
                             struct text *problem) {
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *requirement = &selector->requirements[i];
        bool plain = requirement->value_count == 1;
        if (requirement->is_field && !(plain && is_selectable(resource, requirement->key))) {
            text_format(problem, "field label not supported: %s", requirement->key);
            return false;
        }
    }
    return true;
}

struct selector *selector_parse(const struct resource *resource, const char *namespace,
                                const char *labels, const char *fields, struct text *problem) {
    struct selector *selector = memory_allocate(sizeof *selector);
    selector->namespace = memory_copy(namespace);
    if (!parse_list(selector, labels != NULL ? labels : "", false, problem) ||
        !parse_list(selector, fields != NULL ? fields : "", true, problem) ||
        !fields_are_known(selector, resource, problem)) {
        selector_free(selector);
        return NULL;
    }
    return selector;
}

/* --- judging ---------------------------------------------------------------------------------- */

/* The value that a requirement speaks of; NULL where the object has none. */
static const char *value_of(const struct requirement *requirement, struct json_object *object) {
    if (!requirement->is_field) {
        struct json_object *labels = json_at(object, "metadata", "labels", NULL);
        struct json_object *label = json_member(labels, requirement->key);
        return label != NULL ? json_object_get_string(label) : NULL;
    }
    const char *at = requirement->key;
    for (const char *dot; (dot = strchr(at, '.')) != NULL; at = dot + 1) {
        char part[KEY_MAX_BYTES + 1] = {0};
        memcpy(part, at, (size_t)(dot - at));
        object = json_member(object, part);
    }
    return json_member_text(object, at);
}

static bool is_listed(const struct requirement *requirement, const char *value) {
    for (size_t i = 0; i < requirement->value_count; i++) {
        if (strcmp(requirement->values[i], value) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_beyond(const struct requirement *requirement, const char *value) {
    long long number;
    long long bound;
    if (value == NULL || !is_whole(value, &number) || !is_whole(requirement->values[0], &bound)) {
        return false;
    }
    return requirement->relation == RELATION_GREATER ? number > bound : number < bound;
}

static bool holds(const struct requirement *requirement, struct json_object *object) {
    const char *value = value_of(requirement, object);
    switch (requirement->relation) {
    case RELATION_IN:
        return value != NULL && is_listed(requirement, value);
    case RELATION_NOT_IN:
        return value == NULL || !is_listed(requirement, value);
    case RELATION_EXISTS:
        return value != NULL;
    case RELATION_ABSENT:
        return value == NULL;
    case RELATION_GREATER:
    case RELATION_LESS:
        return is_beyond(requirement, value);
    }
    return false;
}

bool selector_matches(const struct selector *selector, struct json_object *object) {
    const char *namespace = json_member_text(json_member(object, "metadata"), "namespace");
    if (selector->namespace[0] != '\0' && strcmp(selector->namespace, namespace) != 0) {
        return false;
    }
    for (size_t i = 0; i < selector->count; i++) {
        if (!holds(&selector->requirements[i], object)) {
            return false;
        }
    }
    return true;
}
