/*
 * client.h: the one small client of the API server that the example programs share.
 *
 * It keeps a copy of whole collections (Services, EndpointSlices, ...) by one list and then a watch
 * each, calls back for every change, and survives what happens to a server: restarts, cut
 * connections, silence, "too old" (410, which lists anew and tells the difference). The copy stays
 * usable meanwhile: what is known is served until something newer is.
 *
 * One thread, no hidden one: everything happens inside client_wait and client_send. Callbacks may
 * look at the copy, and may not call either of these. May use libcurl, json-c and examples/common.
 */
#ifndef EXAMPLES_CLIENT_H
#define EXAMPLES_CLIENT_H

#include "json.h"

#include <poll.h>

struct client;
struct collection;

struct client_options {
    const char *server; /* "http://127.0.0.1:8001"; https:// works where libcurl trusts it */
    const char *name;   /* who we are: User-Agent, and fieldManager of what is written */
    void (*log)(void *context, const char *line); /* a line for people; NULL: silence. Troubles are
                                                     told once, and once that they are over */
    void *context;
    bool drops_managed_fields; /* from the copy, where they need much memory: for who writes no
                                  whole objects back */
};

/* One object was added (`old` NULL), changed, or is gone (`new` NULL). Borrowed; to keep one, take
 * a reference with json_object_get. `name` is "NAMESPACE/NAME", or "NAME" of what is cluster-wide.
 */
typedef void (*client_change)(void *context, const char *name, struct json_object *old,
                              struct json_object *new);

/* NULL, with `problem`, if the URL is none. Does not connect yet: a server may come later. */
struct client *client_open(const struct client_options *options, struct text *problem);
void client_close(struct client *client);

/* Follow all objects at `path` ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"),
 * which may end with a selector ("?fieldSelector=...").
 * The handle lives as long as the client. */
struct collection *client_follow(struct client *client, const char *path, client_change changed,
                                 void *context);

/* Was every followed collection listed at least once? Before that, what is not in the copy may
 * well exist. */
bool client_has_synced(const struct client *client);

/* When each collection was last heard of (a list, an event, a bookmark), in seconds ago, the oldest
 * of all; what /healthz of a follower tells. -1: never. */
double client_silence(const struct client *client);

/* The copy. Borrowed until the next client_wait. */
struct json_object *client_find(const struct collection *collection, const char *name);
size_t client_count(const struct collection *collection);
void client_each(const struct collection *collection,
                 void (*visit)(void *context, const char *name, struct json_object *object),
                 void *context);

/* Take in what has arrived; sleep until something does, all collections are listed (the last ones
 * may be empty), one of the caller's own descriptors (`others`, may be NULL) is ready, or
 * `timeout_ms` is over (-1: no limit). Returns how many
 * changes were called back. For signals, give it a signalfd. */
size_t client_wait(struct client *client, struct pollfd *others, size_t other_count,
                   int timeout_ms);

/* One request that is over when this returns: at most `timeout_ms`. `type` and `body` may be NULL.
 * Returns the HTTP code, or 0 with `problem` where there was no answer. `answer` (may be NULL) gets
 * the parsed body, the caller's to put; NULL if it is none. What watches tell waits meanwhile in
 * the connections' buffers. */
int client_send(struct client *client, const char *method, const char *path, const char *type,
                const char *body, int timeout_ms, struct json_object **answer,
                struct text *problem);

#endif
