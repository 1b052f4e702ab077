/*
 * watch.h: watches: what has changed since a resourceVersion, and what changes from now on.
 *
 * The hub is one thread that follows the store's changes (ipalloc_record_changes), keeps the
 * present text of every object and a ring of the last HUB_EVENTS_MAX events, each with the text
 * before and after. A watch is a suspended HTTP response with a place in the ring: it costs no
 * thread, and a slow one holds up nobody; one that falls out of the ring is told 410 Expired and
 * lists again, as is one that asks for a resourceVersion from before the hub began.
 *
 * Events come in the order of their revisions, each once. An object that starts or stops matching
 * the watch's selector is ADDED or DELETED to it.
 */
#ifndef APISERVER_WATCH_H
#define APISERVER_WATCH_H

#include "http.h"
#include "selector.h"
#include "server.h"

#define HUB_EVENTS_MAX      16384
#define HUB_EVENT_BYTES_MAX ((size_t)64 << 20) /* of texts that only the ring keeps alive */

/* Load what is stored and start following. OK, or what the store answered. */
int hub_start(struct server *server, ipalloc_error *error);

/* There may be something new: called after each commit. */
void hub_wake(struct hub *hub);

/* Wait until the hub has seen what is committed now. OK; what the store answers; UNAVAILABLE (it
 * takes too long). */
int hub_catch_up(struct hub *hub, ipalloc_error *error);

/* Has the hub seen an object of this key? */
bool hub_has(struct hub *hub, const struct resource *resource, const char *key);

/* End every watch, and the thread. Watches may still be streaming their end. */
void hub_stop(struct hub *hub);
void hub_free(struct hub *hub);

/* Objects of a kind there are now, and the most recently changed ones (at most `max`, newest first;
 * the caller frees the texts). For the status page. */
size_t hub_count(struct hub *hub, const struct resource *resource);
size_t hub_recent(struct hub *hub, const struct resource *resource, char **texts, size_t max);

/* Answer a list request that has watch=true; takes the selector over. */
void watch_begin(struct server *server, const struct request *request, struct reply *reply,
                 struct selector *selector);

/* For http.c: fill `out` with what there is to send. Returns the number of bytes, 0 after having
 * suspended the connection, -1 at the end of the stream. */
long watch_read(struct watch *watch, void *connection, int descriptor, char *out, size_t capacity);
void watch_free(struct watch *watch);

#endif
