/*
 * service_store.h: Services, stored and changed. A Service and its addresses are one transaction.
 *
 * Each call decides an outcome: the object or a Status. With dry_run everything is judged as it
 * would be, and nothing is kept.
 */
#ifndef APISERVER_SERVICE_STORE_H
#define APISERVER_SERVICE_STORE_H

#include "server.h"
#include "status.h"

struct service_place {
    struct server *server;
    const char *namespace;
    const char *name;
    bool dry_run;
};

/* Make the decoded `object`; its name comes from its metadata. 201. */
void service_create(const struct service_place *place, struct json_object *object,
                    struct outcome *outcome);

/* Read. 200. */
void service_get(const struct service_place *place, struct outcome *outcome);

/* Given the current object, make the wanted one (new, decoded). NULL with `failure` set refuses.
 * May be called more than once. */
typedef struct json_object *(*service_edit)(void *context, struct json_object *current,
                                            struct outcome *failure);

/* Change it: its status alone, or all but that. 200. */
void service_update(const struct service_place *place, service_edit edit, void *context,
                    bool status_only, struct outcome *outcome);

/* Delete it and release what it holds, if it is still the one with this uid and resourceVersion
 * ("" : whichever). With finalizers left it is only marked. 200. */
void service_delete(const struct service_place *place, const char *uid,
                    const char *resource_version, struct outcome *outcome);

#endif
