/*
 * admin_pages.h: /ipalloc/v1/NAME, the operations of examples/admin for ipallocctl --server.
 *
 * GET with the arguments as parameters for what only looks, POST with them as a JSON object for all
 * others. There is no authentication: the server listens on loopback unless told otherwise, and a
 * POST has to be application/json, which a page of a foreign site cannot send.
 */
#ifndef APISERVER_ADMIN_PAGES_H
#define APISERVER_ADMIN_PAGES_H

#include "http.h"

#define ADMIN_PAGES "/ipalloc/v1/"

/* Answer a request whose path begins with ADMIN_PAGES. */
void admin_pages_answer(struct server *server, const struct request *request, struct reply *reply);

/* The same where the store cannot be asked now. */
void admin_pages_unavailable(const struct request *request, struct reply *reply, const char *why);

#endif
