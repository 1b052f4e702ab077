/*
 * field_walk.h: an object and its fields: what it sets, how two differ, one laid over another.
 *
 * The rules are those of Kubernetes' structured merge and diff. All walk one value, or two side by
 * side, along the structure of its schema; results are new and the caller's to put.
 */
#ifndef APISERVER_FIELD_WALK_H
#define APISERVER_FIELD_WALK_H

#include "field_set.h"
#include "field_structure.h"

/* The set of the fields that `value` gives. Fields that the schema does not have and list elements
 * that are given twice are noted in `problem` (NULL: nobody asks). */
struct json_object *fields_of(const struct structure *structure, struct json_object *value,
                              struct text *problem);

/* How `after` differs from `before`, NULL being an object with nothing in it. */
struct comparison {
    struct json_object *removed, *modified, *added; /* sets; NULL where there is nothing */
};

struct comparison fields_compare(const struct structure *structure, struct json_object *before,
                                 struct json_object *after);
void comparison_clear(struct comparison *comparison);

/* What `config` gives, laid over `live`. Lists by element: in the order of the config, elements
 * that it does not name staying about where they were. */
struct json_object *fields_merge(const struct structure *structure, struct json_object *live,
                                 struct json_object *config);

/* `value` without the members of `set` and what is below them. NULL if nothing is left. */
struct json_object *fields_remove(const struct structure *structure, struct json_object *value,
                                  struct json_object *set);

/* The set with each named field on the way to a member: for taking out an object that is empty
 * afterwards. Entries of maps and elements of lists are no named fields. */
struct json_object *fields_with_parents(const struct structure *structure, struct json_object *set);

#endif
