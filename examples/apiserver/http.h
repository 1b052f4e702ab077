/*
 * http.h: requests and replies, over libmicrohttpd.
 *
 * Two event threads move bytes (epoll); they never wait for a client or for the disk. A request
 * that has arrived in full is suspended and handed to one of HTTP_WORKERS threads, which answers it
 * and may wait for a commit: workers waiting together share one durable write. So idle and slow
 * clients cost a file descriptor and a few kilobytes, never a thread. Watches are suspended
 * responses; see watch.h.
 */
#ifndef APISERVER_HTTP_H
#define APISERVER_HTTP_H

#include "text.h"

#include <stdint.h>

struct server;
struct watch;
struct http;
struct json_object;
struct resource;

#define HTTP_WORKERS            16
#define HTTP_EVENT_THREADS      2
#define HTTP_BODY_MAX           (3u << 20)  /* bytes, as kube-apiserver */
#define HTTP_BODY_ADMIN_MAX     (64u << 20) /* an import or a report of a whole store */
#define HTTP_BODY_DISCARDED_MAX (64u << 20) /* read and dropped so that the client sees the 413 */
#define HTTP_CONNECTION_MEMORY                                        \
    (16u << 10) /* bytes; request line and headers must fit: else 431 \
                 */
#define HTTP_CONNECTIONS_MAX   16384
#define HTTP_IDLE_TIMEOUT_S    75
#define HTTP_REQUEST_TIMEOUT_S 60 /* from a request's first byte seen to its last */

enum method {
    METHOD_GET,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_COUNT,
    METHOD_OTHER = METHOD_COUNT
};

extern const char *const method_names[METHOD_COUNT];

struct request {
    enum method method;
    const char *path;
    void *connection; /* libmicrohttpd's, for headers and parameters */
    const char *body; /* NUL-terminated */
    size_t body_size;
    const struct resource *resource; /* what the path is about; NULL for pages */
    bool status;                     /* the status subresource */
    uint64_t arrived_ms;             /* in full; monotonic */
    char namespace[256];             /* of the path, "" if it has none */
    char name[256];
};

/* A query parameter or header of the request; NULL if absent. Borrowed. */
const char *request_parameter(const struct request *request, const char *name);
const char *request_header(const struct request *request, const char *name);

/* A parameter that is a truth value: present as "true" or "1". */
bool request_flag(const struct request *request, const char *name);

struct reply {
    int code;
    const char *content_type; /* static text */
    const char *allow;        /* methods, for 405; static text or NULL */
    struct text warning;      /* a line for each Warning header; empty: none */
    struct text body;
    struct watch *watch; /* stream this instead of the body; the reply owns it */
    bool store_silent;   /* the store could not be asked: the body says why */
};

/* Reply with the value on one line (or indented where the client asked); takes it over. */
void reply_json(const struct request *request, struct reply *reply, int code,
                struct json_object *value);

/* For the hub: park a connection whose response has nothing to send yet, and go on with it. */
void http_suspend(void *connection);
void http_resume(void *connection);

/* Serve on a listening socket, which it takes over. NULL with a message in `problem`. */
struct http *http_start(struct server *server, int listen_socket, unsigned connections_max,
                        struct text *problem);

/* Cut off clients that have taken longer than HTTP_REQUEST_TIMEOUT_S over a request. Call it about
 * once a second. */
void http_sweep(struct http *http);

/* Take no more requests and finish those that run; then nobody calls the server's parts any more.
 * The hub must have been stopped, so that the watches end. */
void http_stop(struct http *http);

#endif
