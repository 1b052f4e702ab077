/* object_handlers.h: the verbs of every kind of object; request->resource says which. See router.c.
 */
#ifndef APISERVER_OBJECT_HANDLERS_H
#define APISERVER_OBJECT_HANDLERS_H

#include "http.h"
#include "server.h"

void objects_list(struct server *server, const struct request *request, struct reply *reply);
void objects_create(struct server *server, const struct request *request, struct reply *reply);
void objects_get(struct server *server, const struct request *request, struct reply *reply);
/* The next two change the status alone where request->status is set. */
void objects_replace(struct server *server, const struct request *request, struct reply *reply);
void objects_patch(struct server *server, const struct request *request, struct reply *reply);
void objects_delete(struct server *server, const struct request *request, struct reply *reply);

#endif
