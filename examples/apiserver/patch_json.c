/*
 * patch_json.c: JSON patch, RFC 6902, over JSON pointers, RFC 6901.
 *
 * Our own, because no library at hand will do: json-c has patches only from 0.17 on, later than
 * Debian 12's 0.16; cJSON's take letters in an array index for digits and read out of bounds with
 * them (CVE-2025-57052), bound nothing that copies of copies grow to, and would need the value in
 * another form and back. The public cases of json-patch-tests are run against this file.
 *
 * A pointer is walked to the parent of what it names, so that add, remove and replace work on the
 * parent; the empty pointer names the whole document, which has none. Operations work on a copy
 * that is thrown away when one of them fails.
 */
#include "patch.h"
#include "patch_kinds.h"

#include <stdlib.h>
#include <string.h>

/* What a patch may make of a small body: copies that are copied again grow exponentially. */
#define COPIED_BYTES_MAX ((size_t)1 << 20)
#define LIST_LENGTH_MAX \
    10000 /* inserting and removing are linear, and there may be as many operations */

struct patching {
    struct json_object *root;
    size_t copied_bytes;
};

struct place {
    struct json_object *parent; /* an object or a list, borrowed */
    size_t depth;               /* of what is named; the root is 0 */
    char *name;                 /* member or index; the place owns it */
};

/* The next reference token of a pointer, with ~1 and ~0 undone; `*at` moves behind it. */
static char *take_token(const char **at) {
    size_t length = strcspn(*at, "/");
    char *token = memory_allocate(length + 1);
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        char byte = (*at)[i];
        if (byte == '~' && (*at)[i + 1] == '1') {
            byte = '/';
            i++;
        } else if (byte == '~' && (*at)[i + 1] == '0') {
            i++;
        }
        token[out++] = byte;
    }
    *at += length;
    return token;
}

/* The index that a token names in a list of `length`; `*out == length` only where `end` allows. */
static bool list_index(const char *token, size_t length, bool end, size_t *out) {
    if (end && strcmp(token, "-") == 0) {
        *out = length;
        return true;
    }
    size_t digits = strspn(token, "0123456789");
    if (digits == 0 || digits > 9 || token[digits] != '\0' || (token[0] == '0' && digits > 1)) {
        return false;
    }
    *out = strtoul(token, NULL, 10);
    return *out < length || (end && *out == length);
}

static struct json_object *child(struct json_object *parent, const char *token, bool *found) {
    struct json_object *value = NULL;
    size_t index;
    *found = false;
    if (json_object_is_type(parent, json_type_object)) {
        *found = json_object_object_get_ex(parent, token, &value);
    } else if (json_object_is_type(parent, json_type_array) &&
               list_index(token, json_length(parent), false, &index)) {
        *found = true;
        value = json_object_array_get_idx(parent, index);
    }
    return value;
}

/* Find the parent of what `pointer` names. False where there is none; place.name is then NULL. */
static bool find(struct json_object *root, const char *pointer, struct place *place) {
    *place = (struct place){.parent = root};
    const char *at = pointer;
    if (*at != '/') {
        return false;
    }
    for (;;) {
        at++;
        place->depth++;
        char *token = take_token(&at);
        if (*at == '\0') {
            place->name = token;
            return json_object_is_type(place->parent, json_type_object) ||
                   json_object_is_type(place->parent, json_type_array);
        }
        bool found;
        place->parent = child(place->parent, token, &found);
        free(token);
        if (!found) {
            return false;
        }
    }
}

/* Recursion everywhere relies on JSON_DEPTH_MAX, so no operation may nest deeper. */
static bool fits(const struct place *place, struct json_object *value) {
    return place->depth + json_depth(value) <= JSON_DEPTH_MAX;
}

static bool insert(const struct place *place, struct json_object *value) {
    if (!fits(place, value)) {
        return false;
    }
    if (json_object_is_type(place->parent, json_type_object)) {
        json_set(place->parent, place->name, value);
        return true;
    }
    size_t length = json_length(place->parent);
    size_t index;
    if (length >= LIST_LENGTH_MAX || !list_index(place->name, length, true, &index)) {
        return false;
    }
    /* json-c 0.16 has no insertion: make room at the end, then move up. */
    json_object_array_add(place->parent, NULL);
    for (size_t i = length; i > index; i--) {
        struct json_object *moved = json_object_array_get_idx(place->parent, i - 1);
        json_object_array_put_idx(place->parent, i, json_object_get(moved));
    }
    json_object_array_put_idx(place->parent, index, value);
    return true;
}

static bool take_out(const struct place *place) {
    bool found;
    size_t index;
    child(place->parent, place->name, &found);
    if (!found || json_length(place->parent) > LIST_LENGTH_MAX) {
        return false;
    }
    if (json_object_is_type(place->parent, json_type_object)) {
        json_remove(place->parent, place->name);
        return true;
    }
    return list_index(place->name, json_length(place->parent), false, &index) &&
           json_object_array_del_idx(place->parent, index, 1) == 0;
}

static bool replace(const struct place *place, struct json_object *value) {
    bool found;
    size_t index;
    child(place->parent, place->name, &found);
    if (!found || !fits(place, value)) {
        return false;
    }
    if (json_object_is_type(place->parent, json_type_object)) {
        json_set(place->parent, place->name, value);
        return true;
    }
    return list_index(place->name, json_length(place->parent), false, &index) &&
           json_object_array_put_idx(place->parent, index, value) == 0;
}

/* A copy of what `pointer` names. */
static bool fetch_copy(struct patching *patching, const char *pointer, struct json_object **out) {
    struct place place = {0};
    bool found = pointer[0] == '\0';
    size_t size = 0;
    struct json_object *value = found ? patching->root : NULL;
    if (!found && find(patching->root, pointer, &place)) {
        value = child(place.parent, place.name, &found);
    }
    free(place.name);
    json_line(value, &size);
    patching->copied_bytes += size;
    found = found && patching->copied_bytes <= COPIED_BYTES_MAX;
    *out = found ? json_copy(value) : NULL;
    return found;
}

static bool move_out(struct json_object *root, const char *pointer) {
    struct place place;
    bool done = find(root, pointer, &place) && take_out(&place);
    free(place.name);
    return done;
}

/* What an operation puts or compares: its value, or a copy of what `from` names. */
static bool operand(struct patching *patching, const char *name, struct json_object *operation,
                    struct json_object **out) {
    *out = NULL;
    if (strcmp(name, "remove") == 0) {
        return true;
    }
    if (strcmp(name, "copy") == 0 || strcmp(name, "move") == 0) {
        return json_object_is_type(json_member(operation, "from"), json_type_string) &&
               fetch_copy(patching, json_member_text(operation, "from"), out);
    }
    struct json_object *value = NULL;
    bool given = json_object_object_get_ex(operation, "value", &value);
    *out = json_copy(value);
    return given;
}

/* The operation on the whole document. */
static bool perform_on_root(struct patching *patching, const char *name,
                            struct json_object *value) {
    if (strcmp(name, "remove") == 0) {
        return false;
    }
    if (strcmp(name, "test") == 0) {
        return json_object_equal(patching->root, value);
    }
    json_object_put(patching->root);
    patching->root = json_object_get(value);
    return true;
}

/* The operation at a place. */
static bool perform(const char *name, const struct place *place, struct json_object *value) {
    bool found;
    if (strcmp(name, "remove") == 0) {
        return take_out(place);
    }
    if (strcmp(name, "test") == 0) {
        struct json_object *present = child(place->parent, place->name, &found);
        return found && json_object_equal(present, value);
    }
    bool done = strcmp(name, "replace") == 0 ? replace(place, value) : insert(place, value);
    if (done) {
        json_object_get(value); /* the document has one reference, the caller the other */
    }
    return done;
}

static bool is_operation(const char *name) {
    static const char *const known[] = {"add", "remove", "replace", "move", "copy", "test"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool lies_inside(const char *path, const char *from) {
    size_t length = strlen(from);
    return strncmp(path, from, length) == 0 && path[length] == '/';
}

static bool operate(struct patching *patching, struct json_object *operation,
                    struct text *problem) {
    const char *name = json_member_text(operation, "op");
    const char *path = json_member_text(operation, "path");
    const char *from = json_member_text(operation, "from");
    struct json_object *value = NULL;
    if (!is_operation(name)) {
        text_format(problem, "unexpected kind: \"%.60s\"", name);
        return false;
    }
    bool moves = strcmp(name, "move") == 0;
    if (moves && lies_inside(path, from)) {
        text_format(problem, "move: \"%.200s\" lies inside \"%.200s\"", path, from);
        return false;
    }
    bool done = json_object_is_type(json_member(operation, "path"), json_type_string) &&
                operand(patching, name, operation, &value);
    /* A move is a copy, then a removal of the old place, before the new one is looked up. */
    done = done && (!moves || move_out(patching->root, from));
    if (done && path[0] == '\0') {
        done = perform_on_root(patching, name, value);
    } else if (done) {
        struct place place;
        done = find(patching->root, path, &place) && perform(name, &place, value);
        free(place.name);
    }
    json_object_put(value);
    if (!done) {
        text_format(problem, "%s operation does not apply: \"%.200s\"", name, path);
    }
    return done;
}

struct json_object *patch_json(struct json_object *object, struct json_object *operations,
                               struct text *problem) {
    size_t count = json_length(operations);
    if (count > PATCH_OPERATIONS_MAX) {
        text_format(problem, "The allowed maximum operations in a JSON patch is %d, got %zu",
                    PATCH_OPERATIONS_MAX, count);
        return NULL;
    }
    struct patching patching = {.root = json_copy(object)};
    for (size_t i = 0; i < count; i++) {
        if (!operate(&patching, json_object_array_get_idx(operations, i), problem)) {
            json_object_put(patching.root);
            return NULL;
        }
    }
    if (patching.root == NULL) {
        text_add(problem, "the patch leaves null");
    }
    return patching.root;
}
