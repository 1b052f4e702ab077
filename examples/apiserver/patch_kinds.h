/* patch_kinds.h: what patch.c calls; see patch.h. Both return a new value or NULL with `problem`.
 */
#ifndef APISERVER_PATCH_KINDS_H
#define APISERVER_PATCH_KINDS_H

#include "json.h"

struct json_object *patch_json(struct json_object *object, struct json_object *operations,
                               struct text *problem);
struct json_object *patch_strategic(struct json_object *object, struct json_object *patch,
                                    struct text *problem);

/* Does a list of this name merge, and by which members of its elements? `key` "": its elements are
 * plain values. `second_key` may be NULL. */
bool patch_list_keys(const char *list, const char **key, const char **second_key);

#endif
