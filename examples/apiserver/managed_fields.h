/*
 * managed_fields.h: who set which field of an object (metadata.managedFields), and server-side
 * apply.
 *
 * Every write notes its manager: a create, replace or patch as an Update of the fields that it
 * changed, an apply as an Apply of the fields that it gave. One manager's fields of one operation,
 * subresource and (for an Update) API version are one entry. What a client sends as managedFields
 * is taken if it can be read, and otherwise that of the stored object stays; an empty list, or a
 * list of one empty entry, ends the keeping of owners for the object.
 *
 * All here is JSON in and JSON out; nothing is read or stored. The rules are Kubernetes' (KEP-555).
 */
#ifndef APISERVER_MANAGED_FIELDS_H
#define APISERVER_MANAGED_FIELDS_H

#include "schema.h"
#include "status.h"

#include <time.h>

#define MANAGER_NAME_MAX 128 /* bytes, as kube-apiserver */

struct field_writer {
    const struct schema *schema;
    const char *api_version; /* "v1" */
    const char *manager;
    const char *subresource; /* "status", or "" */
    time_t now;
    bool applies; /* the write is an apply, which has noted its fields itself */
    bool force;   /* an apply takes over what others own */
};

/* The manager of a write: the parameter `field_manager` if it says something, else the first part
 * of the client's User-Agent. Both may be NULL. */
void manager_name(const char *field_manager, const char *user_agent,
                  char out[MANAGER_NAME_MAX + 1]);

/* Is it a name that a manager may have? Problems are noted under `field`. */
bool manager_name_check(const char *name, const char *field, ipalloc_service_problems *problems);

/* Note in `wanted` who owns what, after a write that was no apply: `current` is what is stored
 * (NULL: it is made), `wanted` what will be, with the managedFields that the client sent. */
void managed_fields_update(const struct field_writer *writer, struct json_object *current,
                           struct json_object *wanted);

/* Lay `config` over `current` (NULL: it is made): the new object, with its managedFields, for the
 * caller to put. NULL with `failure` set: 400 where the config cannot be applied, 409 with a cause
 * per field where others own what it would change. */
struct json_object *managed_fields_apply(const struct field_writer *writer,
                                         struct json_object *current, struct json_object *config,
                                         struct outcome *failure);

#endif
