/* namespaces.h: the namespaces there are: four from the start, and those that clients create. */
#ifndef APISERVER_NAMESPACES_H
#define APISERVER_NAMESPACES_H

#include "http.h"
#include "server.h"

bool namespace_exists(struct server *server, const char *name);

/* Handlers; see router.c. */
void namespaces_list(struct server *server, const struct request *request, struct reply *reply);
void namespaces_create(struct server *server, const struct request *request, struct reply *reply);
void namespaces_get(struct server *server, const struct request *request, struct reply *reply);

#endif
