/* router.h: from a method and a path to the function that answers. */
#ifndef APISERVER_ROUTER_H
#define APISERVER_ROUTER_H

#include "http.h"

/* Is it answered from what is at hand, so that no thread has to wait for it? */
bool router_is_quick(const struct request *request);

/* Fill in the reply, whatever the request is. */
void router_answer(struct server *server, struct request *request, struct reply *reply);

#endif
