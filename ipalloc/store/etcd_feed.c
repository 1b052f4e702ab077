/*
 * etcd_feed.c: the changes of an etcd store. None are told yet: whoever asks reads everything.
 */
#include "store/etcd_feed.h"

#include "base/error.h"
#include "store/etcd_store.h"

int feed_init(struct etcd_store *store, uint64_t head, uint64_t revision, ipalloc_error *error) {
    (void)error;
    (void)revision;
    store->feed.opened_at = head;
    return IPALLOC_OK;
}

void feed_free(struct etcd_store *store) {
    (void)store;
}

int feed_changes(struct etcd_store *store, uint64_t since, ipalloc_bytes prefix, size_t limit,
                 ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    (void)store, (void)since, (void)prefix, (void)limit, (void)visit, (void)context;
    (void)up_to;
    return error_set(error, IPALLOC_E_EXPIRED, "changes: not kept");
}

int feed_reach(struct etcd_store *store, uint64_t revision, ipalloc_error *error) {
    (void)store, (void)revision;
    return error_set(error, IPALLOC_E_EXPIRED, "changes: not kept");
}

int feed_poll_fd(struct etcd_store *store) {
    return channel_poll_fd(store->channel);
}

int feed_poll_timeout_ms(struct etcd_store *store) {
    return channel_poll_timeout_ms(store->channel);
}

int feed_process(struct etcd_store *store, uint64_t *known_to, ipalloc_error *error) {
    *known_to = store->feed.opened_at;
    return channel_process(store->channel, error);
}

uint64_t feed_oldest(struct etcd_store *store) {
    return store->feed.opened_at;
}
