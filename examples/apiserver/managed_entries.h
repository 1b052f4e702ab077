/*
 * managed_entries.h: the entries of metadata.managedFields, shared by managed_fields.c and
 * managed_apply.c.
 *
 * A list of entries is a JSON array of the objects that are stored, with fieldsV1 in the one form
 * of field_set_read; no two have the same manager, operation, API version and subresource.
 */
#ifndef APISERVER_MANAGED_ENTRIES_H
#define APISERVER_MANAGED_ENTRIES_H

#include "field_walk.h"
#include "managed_fields.h"

/* The entries of the object's managedFields, those of other API versions left out. NULL if they
 * cannot be read. No managedFields: an empty list. */
struct json_object *entries_read(struct json_object *object, const char *api_version);

/* Put them into the object, in Kubernetes' order; empty ones are left out, and no list is put where
 * none is left. `entries` is taken. */
void entries_write(struct json_object *entries, struct json_object *object);

/* The writer's own entry, NULL if there is none yet, or the same made. Borrowed. */
struct json_object *entry_find(struct json_object *entries, const struct field_writer *writer,
                               const char *operation);
struct json_object *entry_ensure(struct json_object *entries, const struct field_writer *writer,
                                 const char *operation);

struct json_object *entry_fields(struct json_object *entry);

/* Set its fields, taken; `changed` gives it the writer's time. */
void entry_set(struct json_object *entry, const struct field_writer *writer,
               struct json_object *fields, bool changed);

/* Take what a write changed from all entries but `own` (NULL: from all). */
void entries_disown(struct json_object *entries, struct json_object *own,
                    const struct comparison *comparison);

/* How the object changes, without what the endpoint resets: a status write is not told apart by
 * what it says elsewhere, nor another write by its status. `before` NULL: an empty object. */
struct comparison writer_compare(const struct field_writer *writer, struct json_object *before,
                                 struct json_object *after);
struct json_object *writer_without_reset(const struct field_writer *writer,
                                         struct json_object *set);

/* Fields that have no owner: names, and what the server alone sets. Takes `set`. */
struct json_object *fields_owned(struct json_object *set);

/* An Update of everything that is in the object, by `manager`, where nobody is noted yet. */
void entries_begin(struct json_object *entries, const struct field_writer *writer,
                   const char *manager, struct json_object *object);

#endif
