/* service_handlers.h: the verbs of /api/v1/.../services; see router.c. */
#ifndef APISERVER_SERVICE_HANDLERS_H
#define APISERVER_SERVICE_HANDLERS_H

#include "http.h"
#include "server.h"

void services_list(struct server *server, const struct request *request, struct reply *reply);
void services_create(struct server *server, const struct request *request, struct reply *reply);
void services_get(struct server *server, const struct request *request, struct reply *reply);
void services_replace(struct server *server, const struct request *request, struct reply *reply);
void services_patch(struct server *server, const struct request *request, struct reply *reply);
void services_delete(struct server *server, const struct request *request, struct reply *reply);
void services_replace_status(struct server *server, const struct request *request,
                             struct reply *reply);
void services_patch_status(struct server *server, const struct request *request,
                           struct reply *reply);

#endif
