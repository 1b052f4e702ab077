/*
 * group.h: many callers, one durable write, no thread of our own.
 *
 * Callers queue their batches. Whoever finds the queue empty leads: waits for the write before to
 * end, gathers, writes for all, wakes all. Without gathering, callers that come back at once split
 * into two cohorts and groups stay half as large as they could be; so the leader waits for as many
 * callers as the last group shows to be about, at most one sync time, and not at all where that is
 * one: a lone caller pays nothing.
 */
#ifndef IPALLOC_STORE_GROUP_H
#define IPALLOC_STORE_GROUP_H

#include "base/system.h"
#include <ipalloc/store.h>

#include <pthread.h>

/* One caller's batches, on its stack until group_submit returns. */
typedef struct group_request {
    ipalloc_batch *batches;
    size_t count;
    int status; /* out: of the whole call; each batch has its own beside it */
    ipalloc_error error;
    struct group_request *next;
} group_request;

/* Write all requests of a list durably, and fill in every status. Returns how long the sync took,
 * in nanoseconds (0: there was none). Never runs twice at once. */
typedef uint64_t (*group_write)(void *self, group_request *first);
/* What may be done once nobody waits for it any more (a checkpoint); runs after each group. */
typedef void (*group_tidy)(void *self);

enum {
    GROUP_BATCHES_MAX = 1024,       /* a group's write stays in the tens of milliseconds */
    GROUP_BYTES_MAX = 16 * 1 << 20, /* and its pages in memory */
};

typedef struct group_commit {
    const system_calls *system;
    group_write write;
    group_tidy tidy;
    void *self;
    pthread_mutex_t mutex; /* guards what follows, for a few instructions at a time */
    group_request *first, **last_next;
    size_t requests, batches, bytes; /* in the queue */
    uint32_t forming;                /* number of the group that the queue will be */
    bool gathering;                  /* its leader waits for `expected` requests */
    size_t expected;
    uint64_t sync_ns;          /* smoothed */
    atomic_word32 gathered;    /* changes when the leader has waited enough */
    atomic_word32 finished[2]; /* the last finished group, by its number's parity */
} group_commit;

void group_init(group_commit *group, const system_calls *system, group_write write, group_tidy tidy,
                void *self);
void group_destroy(group_commit *group);

/* Returns when the request's batches have been written or refused. */
void group_submit(group_commit *group, group_request *request);

#endif
