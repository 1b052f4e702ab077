/*
 * etcd_feed.h: the changes of an etcd store: one watch on its prefix, and what it has told.
 *
 * The feed tells the caller's keys only (what lies under `<prefix>/data/`, without that), but
 * counts every event under the prefix: each batch writes a slot, so what is known is complete up to
 * a batch's revision once an event of that revision or of a later one has come whole.
 *
 * There is no watch before somebody asks. It is opened, and opened again when it is over, by
 * whoever drives the store: changes, reach, process. Everything here is guarded by the channel's
 * lock, which the watch's messages come under.
 */
#ifndef IPALLOC_STORE_ETCD_FEED_H
#define IPALLOC_STORE_ETCD_FEED_H

#include "store/etcd_channel.h"
#include "store/etcd_history.h"

struct etcd_store;

/* The watch, as far as its messages are concerned. */
enum watch_phase {
    WATCH_NONE, /* not opened yet */
    WATCH_LIVE, /* opened, or being so: its messages count */
    WATCH_OVER, /* they do not any more, and another one has to be opened */
};

typedef struct etcd_feed {
    etcd_history history;
    enum watch_phase phase;
    bool opening;           /* somebody is about to open one, and has the lock given away */
    channel_stream *stream; /* of the watch, also when it is over; NULL: there is none to close */
    bool awaited;           /* somebody has asked for changes: there should be a watch */
    bool refused;           /* the last one was refused, perhaps for an old login */
    uint64_t opened_ms;     /* when the last one was, */
    uint64_t opened_at;     /* and from which revision on */
    uint64_t backoff_ms;    /* watches that are soon over are opened again later and later */
    uint64_t retry_ms;      /* none is opened before */
    ipalloc_error why;      /* why the last one was over */
} etcd_feed;

/* The store is open. Its head was `head` when the cluster was at `revision`, so that nothing
 * changed under the prefix in between: changes since `head` or later will be asked for. OK. */
int feed_init(struct etcd_store *store, uint64_t head, uint64_t revision, ipalloc_error *error);
/* Before the channel is closed; after a failed init too. */
void feed_free(struct etcd_store *store);

/* The methods of the same names. */
int feed_changes(struct etcd_store *store, uint64_t since, ipalloc_bytes prefix, size_t limit,
                 ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error);
int feed_reach(struct etcd_store *store, uint64_t revision, ipalloc_error *error);
int feed_poll_fd(struct etcd_store *store);
int feed_poll_timeout_ms(struct etcd_store *store);
int feed_process(struct etcd_store *store, uint64_t *known_to, ipalloc_error *error);
/* For info: changes since this revision or later can be asked for. */
uint64_t feed_oldest(struct etcd_store *store);

/* --- between the feed's files --------------------------------------------------------------------
 */

/* There is a watch, or another thread is opening one; as far as can be done in `wait_ms`. OK;
 * UNAVAILABLE; NOMEM; MISMATCH (the store is of no use any more). */
int watch_open(struct etcd_store *store, uint64_t wait_ms, ipalloc_error *error);
/* Is there none, and nobody opening one? Under the lock. */
bool watch_is_missing(const etcd_feed *feed);

#endif
