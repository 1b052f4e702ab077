/*
 * shared_store.h: one store, and several servers' handles on it, in one process: what a store over
 * a network does to a registry, without a network.
 *
 * A cluster holds the truth (a memory: store). Each server has a handle of its own, which can be
 * cut off, told of changes late, left without an answer to what it commits, and which counts its
 * calls. All of it may be used from several threads, but for opening and closing; knobs are set
 * while nothing of theirs runs, or atomic.
 */
#ifndef IPALLOC_TEST_SHARED_STORE_H
#define IPALLOC_TEST_SHARED_STORE_H

#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SHARED_SERVERS_MAX = 8 };

enum shared_call {
    SHARED_GET,
    SHARED_SCAN,
    SHARED_COMMIT,
    SHARED_CHANGES,
    SHARED_INFO,
    SHARED_SETTLE,
    SHARED_REACH,
    SHARED_PROCESS,
    SHARED_CALLS
};

/* What becomes of a commit. */
enum shared_fate {
    FATE_HONEST,
    FATE_HAPPENS, /* it happens, and UNKNOWN_OUTCOME is said */
    FATE_LOST,    /* it never happens, and UNKNOWN_OUTCOME is said */
    FATE_LATE,    /* it happens at shared_deliver unless it is settled before; UNKNOWN_OUTCOME */
    FATE_REFUSED  /* the call is UNAVAILABLE, and nothing happens */
};

typedef struct shared_cluster shared_cluster;
typedef struct shared_batch shared_batch; /* one whose outcome was not told */

typedef struct shared_server {
    shared_cluster *cluster; /* NULL: closed */
    ipalloc_store *handle;   /* what its registry is opened on */

    _Atomic bool cut;             /* every call is UNAVAILABLE, and nothing happens */
    _Atomic bool settle_fails;    /* only settle is */
    _Atomic bool no_tickets;      /* unknown outcomes have ticket 0: reading shows them */
    _Atomic bool lags;            /* changes tells only what was known at the last reach, process
                                     or shared_tell */
    _Atomic bool changes_expired; /* changes and reach answer EXPIRED */
    _Atomic int scans_expire;     /* so many scans are cut by EXPIRED, behind their first entry */
    _Atomic int fate;             /* of the next commits: enum shared_fate */
    _Atomic int fate_commits;     /* for how many; then honest again */
    _Atomic int unknown_percent;  /* so many of all other commits meet one of the unknown fates */
    _Atomic int settle_percent;   /* so many of all settlings fail */
    _Atomic uint64_t known_to;    /* where it lags */
    _Atomic uint64_t timeout_ms;  /* of the last batch */
    _Atomic size_t calls[SHARED_CALLS];

    /* Called before each call, outside all locks; NULL: nothing. */
    void (*before)(void *context, enum shared_call call);
    void *before_context;
    /* The same with what get and changes have read, before they return. */
    void (*behind)(void *context, enum shared_call call);
    void *behind_context;
    int poll_fd; /* readable when there is something to process */
} shared_server;

struct shared_cluster {
    ipalloc_store *truth;
    pthread_mutex_t mutex; /* over what follows */
    uint64_t head;         /* the revision of the last batch of any server */
    uint64_t random;       /* the state of its generator: seed it where percents are set */
    uint64_t last_ticket;
    shared_batch *batches;
    shared_server servers[SHARED_SERVERS_MAX];
};

void shared_open(shared_cluster *cluster);
/* Servers that are open are closed too: their registries first. */
void shared_close(shared_cluster *cluster);

/* Open the index-th server; as often as it was closed. */
shared_server *shared_server_open(shared_cluster *cluster, size_t index);
/* As when its process dies: what is late of it may still arrive. */
void shared_server_close(shared_server *server);

void shared_set_fate(shared_server *server, enum shared_fate fate, int commits);

/* Deliver what is late, in the order in which it was sent; returns how many happened. */
size_t shared_deliver(shared_cluster *cluster);
/* The same of one of them, drawn at random. */
size_t shared_deliver_one(shared_cluster *cluster);

/* A lagging server is told of all that has happened up to now (as process and reach do), or up to
 * that revision. */
void shared_tell(shared_server *server, uint64_t up_to);

/* Somebody else writes to the same store: a revision passes that is none of ours. */
void shared_foreign_write(shared_cluster *cluster);

size_t shared_count(const shared_server *server, enum shared_call call);
size_t shared_count_all(const shared_server *server);
void shared_reset_counts(shared_server *server);

#endif
