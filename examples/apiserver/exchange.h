/* exchange.h: what http.c and workers.c share. */
#ifndef APISERVER_EXCHANGE_H
#define APISERVER_EXCHANGE_H

#include "http.h"
#include "server.h"

#include <microhttpd.h>

/* One request and its reply. Used by one thread at a time: the event thread of its connection, or,
 * while the connection is suspended, a worker. */
struct exchange {
    struct http *http;
    struct request request;
    struct reply reply;
    char *path;
    struct text body;
    size_t received; /* bytes of the body, kept or not */
    bool submitted;
    struct exchange *next; /* in the queue */
};

/* One connection. */
struct peer {
    struct peer *previous, *next;
    int descriptor;
    time_t waiting_since; /* for a whole request; 0: it has arrived */
};

struct http {
    struct server *server;
    struct MHD_Daemon *daemon;
    int listen_socket;
    unsigned connections_max;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;
    struct exchange *first, *last; /* the queue */
    struct peer *peers;
    size_t exchange_count;
    bool stopping;
    pthread_t workers[HTTP_WORKERS];
    unsigned worker_count;
};

bool workers_start(struct http *http);

/* Suspend the exchange's connection and queue it; false when the workers are going home. */
bool workers_hand_over(struct exchange *exchange);

/* Answer what is queued, then end the threads. */
void workers_stop(struct http *http);

#endif
