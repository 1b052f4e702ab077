/* metadata_update.c: which object a write means, and what an update may not say about metadata; see
 * object_write.h. */
#include "object_write.h"

#include <stdio.h>
#include <string.h>

/* The words as a set, which takes long lists as well as short ones. */
static struct json_object *set_of(struct json_object *list) {
    struct json_object *set = json_object_new_object();
    for (size_t i = 0; i < json_length(list); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(list, i));
        json_set(set, word, json_object_new_boolean(true));
    }
    return set;
}

/* --- what it may not say -----------------------------------------------------------------------
 */

/* Whoever deletes an object counts on those who hold it now, and on nobody new. */
static void check_finalizers(struct json_object *now, struct json_object *then,
                             ipalloc_service_problems *problems) {
    struct json_object *held = set_of(json_member(now, "finalizers"));
    struct json_object *wanted = json_member(then, "finalizers");
    struct text added = {0};
    for (size_t i = 0; i < json_length(wanted); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(wanted, i));
        if (json_member(held, name) == NULL && added.size < IPALLOC_ERROR_TEXT) {
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
    json_object_put(held);
}

static void check_update(struct json_object *now, struct json_object *then,
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

/* --- which object it means
 * ------------------------------------------------------------------------ */

static bool same_or_absent(const char *wanted, const char *present) {
    return wanted[0] == '\0' || strcmp(wanted, present) == 0;
}

bool object_names_version(struct json_object *metadata) {
    const char *version = json_member_text(metadata, "resourceVersion");
    return version[0] != '\0' && strcmp(version, "0") != 0;
}

bool object_is_named(const struct object_place *place, struct json_object *metadata,
                     struct outcome *outcome) {
    const char *name = json_member_text(metadata, "name");
    const char *namespace = json_member_text(metadata, "namespace");
    if (name[0] == '\0') {
        outcome_fail(outcome, 400, "BadRequest",
                     "the name of the object (%s based on URL) was undeterminable: name must be "
                     "provided",
                     place->name);
    } else if (strcmp(name, place->name) != 0) {
        outcome_fail(outcome, 400, "BadRequest",
                     "the name of the object (%.63s) does not match the name on the URL (%s)", name,
                     place->name);
    } else if (place->resource->namespaced && !same_or_absent(namespace, place->namespace)) {
        outcome_fail(outcome, 400, "BadRequest",
                     "the namespace of the object (%.63s) does not match the namespace on the "
                     "request (%s)",
                     namespace, place->namespace);
    } else {
        return true;
    }
    return false;
}

bool write_may_update(struct write *write, struct json_object *current,
                      struct json_object *wanted) {
    struct json_object *now = json_member(current, "metadata");
    struct json_object *then = json_ensure(wanted, "metadata");
    const struct object_place *place = write->place;
    if (!object_is_named(place, then, write->outcome)) {
        return false;
    }
    if (!same_or_absent(json_member_text(then, "uid"), json_member_text(now, "uid"))) {
        char why[160];
        snprintf(why, sizeof why,
                 "Precondition failed: UID in precondition: %.40s, UID in object meta: %.40s",
                 json_member_text(then, "uid"), json_member_text(now, "uid"));
        outcome_conflict(write->outcome, place->resource, place->name, why);
        return false;
    }
    if (object_names_version(then) && strcmp(json_member_text(then, "resourceVersion"),
                                             json_member_text(now, "resourceVersion")) != 0) {
        outcome_conflict(write->outcome, place->resource, place->name, CONFLICT_MODIFIED);
        return false;
    }
    write->problems.count = 0;
    check_update(now, then, &write->problems);
    if (write->problems.count > 0) {
        outcome_refused(write->outcome, place->resource, place->name, &write->problems);
    }
    return write->problems.count == 0;
}
