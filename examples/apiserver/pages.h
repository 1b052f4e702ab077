/* pages.h: what operators look at: health, metrics, and a page for people. */
#ifndef APISERVER_PAGES_H
#define APISERVER_PAGES_H

#include "http.h"
#include "server.h"

void page_health(struct server *server, const struct request *request, struct reply *reply);
void page_ready(struct server *server, const struct request *request, struct reply *reply);
/* Not ready, and why. */
void page_unavailable(struct reply *reply, const char *why);
void page_metrics(struct server *server, const struct request *request, struct reply *reply);
void page_index(struct server *server, const struct request *request, struct reply *reply);

#endif
