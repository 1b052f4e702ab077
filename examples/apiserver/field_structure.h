/*
 * field_structure.h: which parts of an object have owners of their own.
 *
 * What Kubernetes' API says with list, map and struct types: an atomic list or map is owned as a
 * whole, a list of type map by element and its keys, one of type set by value, an object by field.
 * The shape comes from schema.c; what that does not tell (which lists merge, by what) is a table in
 * field_structure.c, a row per field that is not atomic by its kind.
 */
#ifndef APISERVER_FIELD_STRUCTURE_H
#define APISERVER_FIELD_STRUCTURE_H

#include "schema.h"

enum structure_kind {
    STRUCTURE_UNKNOWN, /* no field of the schema */
    STRUCTURE_IGNORED, /* a field that the server does not keep */
    STRUCTURE_LEAF,
    STRUCTURE_OBJECT, /* of `schema` */
    STRUCTURE_MAP,    /* of leaves */
    STRUCTURE_SET,    /* a list of plain values */
    STRUCTURE_KEYED   /* a list of objects of `schema`, told apart by `keys` */
};

struct structure {
    enum structure_kind kind;
    bool always; /* in Kubernetes' own type it cannot be absent, only empty */
    bool whole;  /* KEYED: an element is owned as a whole */
    const char *keys[2];
    const char *second_default; /* of keys[1], where an element does not say it */
    const struct schema *schema;
};

struct structure structure_of(const struct schema *schema);

/* Of an object's member; a leaf without a schema where the type is open and does not know it. */
struct structure structure_member(const struct structure *object, const char *name);

/* Of the child that a path element ("f:spec") names. */
struct structure structure_child(const struct structure *parent, const char *element);

/* The value's children by path element, in their order: a new object whose values are borrowed
 * from `value`. Of elements that are the same by their keys the first counts, and `duplicate`, if
 * it is given, says which it was (cleared by the caller). Members that are null are left out. */
struct json_object *structure_children(const struct structure *structure, struct json_object *value,
                                       struct text *duplicate);

/* The value that has these children, each taken over; the opposite of structure_children. */
struct json_object *structure_assemble(const struct structure *structure,
                                       struct json_object *children);

/* Does it have children with owners of their own? */
bool structure_is_open(const struct structure *structure);
bool structure_is_list(const struct structure *structure);

#endif
