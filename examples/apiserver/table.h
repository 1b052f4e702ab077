/* table.h: objects as kubectl prints them: kind Table of meta.k8s.io/v1. */
#ifndef APISERVER_TABLE_H
#define APISERVER_TABLE_H

#include "resource.h"

/* How much of each object a row carries. */
enum table_object { TABLE_OBJECT_NONE, TABLE_OBJECT_METADATA, TABLE_OBJECT_WHOLE };

/* A table without rows; its columns are left out where `columns` is false (later watch events). */
struct json_object *table_new(const struct resource *resource, bool columns,
                              const char *resource_version);

/* Add a row for an object of that kind. */
void table_add(struct json_object *table, const struct resource *resource,
               struct json_object *object, enum table_object include);

/* Cells that every kind has. A cell left empty reads "<none>". */
void cell_name(struct text *out, struct json_object *object);
void cell_age(struct text *out, struct json_object *object);

/* "5s", "3m2s", "7h", "12d": an age as kubectl writes it. */
void table_add_age(struct text *out, int64_t seconds);

#endif
