/* patch_kinds.h: what patch.c calls; see patch.h. Both return a new value or NULL with `problem`.
 */
#ifndef APISERVER_PATCH_KINDS_H
#define APISERVER_PATCH_KINDS_H

#include "field_structure.h"

struct json_object *patch_json(struct json_object *object, struct json_object *operations,
                               struct text *problem);
struct json_object *patch_strategic(const struct structure *structure, struct json_object *object,
                                    struct json_object *patch, struct text *problem);

#endif
