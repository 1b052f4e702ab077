/* condition.h: the conditions in an object's status, which its controllers write. */
#ifndef APISERVER_CONDITION_H
#define APISERVER_CONDITION_H

#include "json.h"

/* The first one of that type; NULL: there is none. Borrowed. */
struct json_object *condition_find(struct json_object *object, const char *type);

bool condition_is_true(struct json_object *object, const char *type);

#endif
