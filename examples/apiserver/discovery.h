/* discovery.h: what a client asks before its first real request: versions, resources, schemas. */
#ifndef APISERVER_DISCOVERY_H
#define APISERVER_DISCOVERY_H

#include "http.h"
#include "server.h"

void discovery_version(struct server *server, const struct request *request, struct reply *reply);
void discovery_versions(struct server *server, const struct request *request, struct reply *reply);
void discovery_groups(struct server *server, const struct request *request, struct reply *reply);
void discovery_resources(struct server *server, const struct request *request, struct reply *reply);
void discovery_openapi(struct server *server, const struct request *request, struct reply *reply);
void discovery_openapi_core(struct server *server, const struct request *request,
                            struct reply *reply);

#endif
