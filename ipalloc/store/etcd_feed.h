/*
 * etcd_feed.h: the changes of an etcd store: one watch on its prefix, and what it has told.
 *
 * The feed tells the caller's keys only (what lies under `<prefix>/data/`, without that), but
 * counts every event under the prefix: each batch writes a slot, so what is known is complete up to
 * a batch's revision once an event of that revision or of a later one has come whole.
 */
#ifndef IPALLOC_STORE_ETCD_FEED_H
#define IPALLOC_STORE_ETCD_FEED_H

#include <ipalloc/store.h>

struct etcd_store;

typedef struct etcd_feed {
    uint64_t opened_at; /* the head then: changes since it are known */
} etcd_feed;

/* The store is open. Its head was `head` when the cluster was at `revision`, so that nothing
 * changed under the prefix in between: changes since `head` or later will be asked for, and a watch
 * from `revision` + 1 sees them. OK or NOMEM; the watch itself may be opened later. */
int feed_init(struct etcd_store *store, uint64_t head, uint64_t revision, ipalloc_error *error);
void feed_free(
    struct etcd_store *store); /* before the channel is closed; after a failed init too */

/* The methods of the same names. */
int feed_changes(struct etcd_store *store, uint64_t since, ipalloc_bytes prefix, size_t limit,
                 ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error);
int feed_reach(struct etcd_store *store, uint64_t revision, ipalloc_error *error);
int feed_poll_fd(struct etcd_store *store);
int feed_poll_timeout_ms(struct etcd_store *store);
int feed_process(struct etcd_store *store, uint64_t *known_to, ipalloc_error *error);
/* For info: changes since this revision or later can be asked for. */
uint64_t feed_oldest(struct etcd_store *store);

#endif
