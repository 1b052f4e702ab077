/* metadata_update.c: what an update may not say about metadata; see object_write.h. */
#include "object_write.h"

#include <string.h>

static bool is_listed(struct json_object *list, const char *text) {
    for (size_t i = 0; i < json_length(list); i++) {
        const char *element = json_object_get_string(json_object_array_get_idx(list, i));
        if (element != NULL && strcmp(element, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Whoever deletes an object counts on those who hold it now, and on nobody new. */
static void check_finalizers(struct json_object *now, struct json_object *then,
                             ipalloc_service_problems *problems) {
    struct json_object *held = json_member(now, "finalizers");
    struct json_object *wanted = json_member(then, "finalizers");
    struct text added = {0};
    for (size_t i = 0; i < json_length(wanted); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(wanted, i));
        if (name != NULL && !is_listed(held, name)) {
            text_format(&added, "%s\"%s\"", added.size > 0 ? ", " : "", name);
        }
    }
    if (added.size > 0) {
        problem_add(problems, "FieldValueForbidden", "metadata.finalizers",
                    "Forbidden: no new finalizers can be added if the object is being deleted, "
                    "found new finalizers []string{%s}",
                    added.data);
    }
    text_clear(&added);
}

void metadata_check_update(struct json_object *now, struct json_object *then,
                           ipalloc_service_problems *problems) {
    /* What is left out stays; the times of a deletion stay in any case once they are there. */
    static const struct {
        const char *name, *field;
        bool stays;
    } fixed[] = {
        {"creationTimestamp", "metadata.creationTimestamp", false},
        {"deletionTimestamp", "metadata.deletionTimestamp", true},
        {"deletionGracePeriodSeconds", "metadata.deletionGracePeriodSeconds", true},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        struct json_object *old = json_member(now, fixed[i].name);
        struct json_object *new = json_member(then, fixed[i].name);
        bool kept = fixed[i].stays && old != NULL;
        if (new != NULL && !kept && !json_object_equal(old, new)) {
            problem_add(problems, "FieldValueInvalid", fixed[i].field,
                        "Invalid value: %.60s: field is immutable", json_line(new, NULL));
        }
    }
    if (json_member(now, "deletionTimestamp") != NULL) {
        check_finalizers(now, then, problems);
    }
}
