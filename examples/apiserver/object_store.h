/*
 * object_store.h: objects of every kind, stored and changed. An object and what it holds (a
 * Service's addresses) are one transaction.
 *
 * Each call decides an outcome: the object or a Status. With dry_run everything is judged as it
 * would be, and nothing is kept.
 */
#ifndef APISERVER_OBJECT_STORE_H
#define APISERVER_OBJECT_STORE_H

#include "managed_fields.h"
#include "resource.h"
#include "status.h"

struct object_place {
    struct server *server;
    const struct resource *resource;
    const char *namespace; /* "" where the kind has none */
    const char *name;
    bool dry_run;
    const struct field_writer *writer; /* noted in managedFields; NULL: the server itself, nobody */
    bool internal;                     /* a write that follows from another: the kind is not told */
};

/* Make the decoded `object`; its name comes from its metadata. 201. */
void object_create(const struct object_place *place, struct json_object *object,
                   struct outcome *outcome);

/* Read. 200. */
void object_get(const struct object_place *place, struct outcome *outcome);

/* Given the current object, make the wanted one (new, decoded). NULL with `failure` set refuses.
 * May be called more than once. */
typedef struct json_object *(*object_edit)(void *context, struct json_object *current,
                                           struct outcome *failure);

/* Is it this place's object by its metadata? Else 400. */
bool object_is_named(const struct object_place *place, struct json_object *metadata,
                     struct outcome *outcome);

/* Does it mean one version? None and "0" are any. */
bool object_names_version(struct json_object *metadata);

/* Change it: its status alone, or all but that. 200. */
void object_update(const struct object_place *place, object_edit edit, void *context,
                   bool status_only, struct outcome *outcome);

/* Delete it and release what it holds, if it is still the one with this uid and resourceVersion
 * ("" : whichever). With finalizers left, or some of its grace period (resource.h; -1: the kind's
 * own), it is only marked. 200. */
void object_delete(const struct object_place *place, const char *uid, const char *resource_version,
                   int64_t grace, struct outcome *outcome);

#endif
