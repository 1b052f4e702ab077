/*
 * server.h: what the parts of the server share. Set up by cluster.c, constant while it serves,
 * but for what has a lock of its own.
 */
#ifndef APISERVER_SERVER_H
#define APISERVER_SERVER_H

#include "options.h"
#include "store_gate.h"

#include <ipalloc/ipalloc.h>
#include <pthread.h>
#include <time.h>

struct hub;
struct server;

/* The Kubernetes release whose answers this server gives. */
#define SERVER_KUBERNETES_MINOR "33"

struct counters {
    pthread_mutex_t lock;
    uint64_t requests[6][6]; /* by method (enum method) and first digit of the code */
    int64_t connections_now;
    int64_t watches_now;
};

void counters_request(struct server *server, unsigned method, int code);
void counters_connection(struct server *server, int change);
void counters_watch(struct server *server, int change);

/* What service_cidr_settle.c knows from its last pass. */
struct cidr_state {
    pthread_mutex_t settling; /* held through a pass; guards `said` */
    char said[512];           /* the last failure, which is printed once */
    pthread_mutex_t lock;     /* guards what follows */
    bool failed;              /* something is left to do */
    uint64_t held;            /* addresses held in draining ranges */
    time_t settled;           /* when, monotonic seconds */
    bool released;            /* this server may have released something since */
    time_t due;               /* when to look after what another server may have left; 0: never */
    /* Where the store is shared, passes have a thread of their own (service_cidr_keeper.c). */
    pthread_cond_t wake;
    pthread_t keeper;
    bool keeping, stopping, woken;
};

struct server {
    const struct options *options;
    ipalloc_store *store;
    ipalloc_registry *registry;
    pthread_mutex_t pools_lock;
    ipalloc_service_pools pools; /* under pools_lock; see cluster_service_pools */
    ipalloc_pool *balancers[OPTIONS_BALANCERS_MAX][2]; /* as options->balancers; IPv4, IPv6 */
    struct cidr_state cidrs;
    uint64_t epoch;       /* of the store; the high part of a resourceVersion */
    bool shared;          /* other servers write to the store, too; it is asked over a network */
    uint64_t patience_ms; /* how long a request waits for it */
    struct store_gate gate;
    struct hub *hub;
    time_t started;
    struct counters counters;
};

/* resourceVersion = epoch * RESOURCE_VERSION_EPOCH + revision: revisions of a restored copy never
 * compare as newer or older than those of the original. */
#define RESOURCE_VERSION_EPOCH UINT64_C(1000000000000)

#endif
