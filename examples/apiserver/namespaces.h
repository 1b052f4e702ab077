/* namespaces.h: the kind Namespace; see resource.h for its descriptor. */
#ifndef APISERVER_NAMESPACES_H
#define APISERVER_NAMESPACES_H

#include "server.h"

/* May objects be made in it? */
bool namespace_exists(struct server *server, const char *name);

/* Make those that a cluster starts with, where they are missing. */
void namespaces_ensure(struct server *server);

#endif
