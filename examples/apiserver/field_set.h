/*
 * field_set.h: sets of an object's fields, in the form that Kubernetes stores (FieldsV1).
 *
 * A set is a JSON object, a tree of path elements:
 *   "f:spec"                            a field, or an entry of a map
 *   "k:{\"port\":80,\"protocol\":\"TCP\"}"   the element of a list with these keys
 *   "v:\"example.com/finalizer\""         the element of a list of plain values
 * A path is in the set if its node is empty, or has the member "."; nodes on the way are not.
 * The functions return sets that the caller puts, and leave their arguments as they are; a set that
 * is made is not changed any more, so that it can be shared. NULL is the empty set. Their cost is
 * the size of their arguments; depth is bounded by JSON_DEPTH_MAX.
 */
#ifndef APISERVER_FIELD_SET_H
#define APISERVER_FIELD_SET_H

#include "json.h"

enum set_operation {
    SET_UNION,
    SET_INTERSECTION,
    SET_DIFFERENCE,
    SET_WITHOUT_BELOW /* the difference, with everything below what is taken out */
};

struct json_object *field_set_combine(enum set_operation operation, struct json_object *a,
                                      struct json_object *b);

bool field_set_is_empty(struct json_object *set);

/* Is this node's own path in the set? NULL: no. */
bool field_set_is_member(struct json_object *node);

/* Put the path element into a set that is being made, with the set below it, which is taken. What
 * is neither a member nor has anything below is left out. */
void field_set_put(struct json_object *set, const char *element, bool member,
                   struct json_object *below);

/* What a client sent, in the one form that the functions here compare: NULL if it is no set. Path
 * elements of unknown kinds are dropped. */
struct json_object *field_set_read(struct json_object *fields);

/* The same set, or any value, with the names of objects in order, so that equal is equal text. */
struct json_object *json_sorted(struct json_object *value);

/* Each path of the set as a person reads it: .spec.ports[port=80,protocol="TCP"].nodePort */
typedef void (*field_path_seen)(void *context, const char *path);
void field_set_each(struct json_object *set, field_path_seen seen, void *context);

#endif
