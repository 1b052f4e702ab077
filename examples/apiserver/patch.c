/* patch.c: which kind, and the merge patch; the other two have a file each. See patch.h. */
#include "patch.h"

#include "patch_kinds.h"

#include <string.h>
#include <strings.h>

enum patch_kind patch_kind_of(const char *content_type) {
    static const struct {
        const char *type;
        enum patch_kind kind;
    } kinds[] = {
        {"application/merge-patch+json", PATCH_MERGE},
        {"application/json-patch+json", PATCH_JSON},
        {"application/strategic-merge-patch+json", PATCH_STRATEGIC},
        {"application/apply-patch+yaml", PATCH_APPLY},
    };
    size_t length = content_type != NULL ? strcspn(content_type, "; \t") : 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (length == strlen(kinds[i].type) &&
            strncasecmp(content_type, kinds[i].type, length) == 0) {
            return kinds[i].kind;
        }
    }
    return PATCH_UNKNOWN;
}

/* RFC 7386, section 2: null removes, objects merge, anything else replaces. */
static struct json_object *merge(struct json_object *target, struct json_object *patch) {
    if (!json_object_is_type(patch, json_type_object)) {
        return json_copy(patch);
    }
    struct json_object *out = json_object_is_type(target, json_type_object)
                                  ? json_copy(target)
                                  : json_object_new_object();
    json_object_object_foreach(patch, name, value) {
        if (value == NULL) {
            json_remove(out, name);
        } else {
            json_set(out, name, merge(json_member(out, name), value));
        }
    }
    return out;
}

struct json_object *patch_apply(enum patch_kind kind, const struct structure *structure,
                                struct json_object *object, struct json_object *patch,
                                struct text *problem) {
    bool wants_list = kind == PATCH_JSON;
    if (!json_object_is_type(patch, wants_list ? json_type_array : json_type_object)) {
        text_format(problem, "the patch must be a JSON %s", wants_list ? "array" : "object");
        return NULL;
    }
    switch (kind) {
    case PATCH_MERGE:
        return merge(object, patch);
    case PATCH_JSON:
        return patch_json(object, patch, problem);
    case PATCH_STRATEGIC:
        return patch_strategic(structure, object, patch, problem);
    default:
        text_add(problem, "unknown kind of patch");
        return NULL;
    }
}
