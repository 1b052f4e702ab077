/* condition.c: see condition.h. */
#include "condition.h"

#include <string.h>

struct json_object *condition_find(struct json_object *object, const char *type) {
    struct json_object *conditions = json_at(object, "status", "conditions", NULL);
    for (size_t i = 0; i < json_length(conditions); i++) {
        struct json_object *condition = json_object_array_get_idx(conditions, i);
        if (strcmp(json_member_text(condition, "type"), type) == 0) {
            return condition;
        }
    }
    return NULL;
}

bool condition_is_true(struct json_object *object, const char *type) {
    return strcmp(json_member_text(condition_find(object, type), "status"), "True") == 0;
}
