/*
 * etcd_watch.c: the watch on the store's prefix: opened, understood, ended, and opened again.
 *
 * May use: base/, the channel, the history. Where it starts is the revision that is known to be
 * complete, not the one behind it: what comes of it is known, but if history was forgotten up to
 * the next one, etcd refuses to start here, whereas it would start there and leave out the keys
 * that were deleted in it (before 3.4.36 and 3.5.18). Where history is forgotten, the feed goes on
 * at the newest revision that is known: whoever knows less has to read everything anyway.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "base/text.h"
#include "store/etcd.pb-c.h"

#include <string.h>

enum {
    BACKOFF_FIRST_MS = 20,
    BACKOFF_MAX_MS = 2000,
    UNAUTHENTICATED = 16, /* gRPC's code */
    LIVED_MS = 2000,      /* a watch that lived so long, or told something new, was a good one */
    /* A watch that begins in the past is told at most 1,000 revisions at a time, every 100 ms. Who
     * is farther behind than this reads everything sooner than that comes. */
    BEHIND_MAX = 20000,
};

static const char METHOD[] = "/etcdserverpb.Watch/Watch";
static const char DATA[] = "data/";

/* --- its end -------------------------------------------------------------------------------------
 */

/* Under the lock. The first one after a good one is opened at once. */
static void end_watch(etcd_store *store) {
    etcd_feed *feed = &store->feed;
    uint64_t now = hooks_monotonic_ms(store->hooks);
    feed->phase = WATCH_OVER;
    history_cut(&feed->history);
    if (feed->history.complete > feed->opened_at || now - feed->opened_ms >= LIVED_MS)
        feed->backoff_ms = 0;
    feed->retry_ms =
        now + (feed->backoff_ms > 0 ? hooks_random_below(store->hooks, feed->backoff_ms) : 0);
    feed->backoff_ms = feed->backoff_ms == 0 ? BACKOFF_FIRST_MS : 2 * feed->backoff_ms;
    if (feed->backoff_ms > BACKOFF_MAX_MS)
        feed->backoff_ms = BACKOFF_MAX_MS;
}

static void on_end(void *context, int grpc_code, const char *why) {
    etcd_store *store = context;
    char quoted[256];
    if (store->feed.phase != WATCH_LIVE)
        return;
    end_watch(store);
    store->feed.refused = grpc_code == UNAUTHENTICATED;
    (void)error_set(&store->feed.why, IPALLOC_E_UNAVAILABLE, "%s: the watch ended with %d: %s",
                    store->name, grpc_code, text_quote(why, strlen(why), quoted, sizeof quoted));
}

/* --- its messages --------------------------------------------------------------------------------
 */

/* Something is missing: go on from the newest revision that is known. */
static int begin_anew(etcd_store *store, uint64_t at_least, ipalloc_error *error) {
    uint64_t seen = etcd_seen(store);
    history_gap(&store->feed.history, seen > at_least ? seen : at_least);
    return error_set(error, IPALLOC_E_EXPIRED, "%s: what changed has been forgotten", store->name);
}

static int take_end(etcd_store *store, const Etcd__WatchResponse *message, ipalloc_error *error) {
    if (message->compact_revision > 0)
        return begin_anew(store, (uint64_t)message->compact_revision, error);
    const ProtobufCBinaryData *why = &message->cancel_reason;
    char quoted[256];
    store->feed.refused = true; /* 3.4 says "permission denied" where a login has become too old */
    return error_set(error, IPALLOC_E_UNAVAILABLE, "%s: etcd ended the watch: %s", store->name,
                     text_quote(why->data, why->len, quoted, sizeof quoted));
}

/* The caller's key in an event's; empty: it is one of ours, or none that a store can have. */
static ipalloc_bytes caller_key(const etcd_store *store, const ProtobufCBinaryData *key) {
    size_t start = store->prefix_length + sizeof DATA - 1;
    if (key->len <= start || key->len - start > IPALLOC_KEY_MAX ||
        memcmp(key->data, store->prefix, store->prefix_length) != 0 ||
        memcmp(key->data + store->prefix_length, DATA, sizeof DATA - 1) != 0 ||
        memchr(key->data + start, '\0', key->len - start) != NULL)
        return (ipalloc_bytes){NULL, 0};
    return (ipalloc_bytes){key->data + start, key->len - start};
}

static int take_event(etcd_store *store, const Etcd__Event *event, int64_t newest,
                      ipalloc_error *error) {
    const Etcd__KeyValue *kv = event->kv;
    if (kv == NULL || kv->mod_revision <= 0 || kv->mod_revision > newest || event->type < 0 ||
        event->type > 1)
        return error_set(error, IPALLOC_E_CORRUPT, "%s: an event of the watch makes no sense",
                         store->name);
    ipalloc_entry entry = {.key = caller_key(store, &kv->key),
                           .revision = (uint64_t)kv->mod_revision,
                           .deleted = event->type == 1};
    if (!entry.deleted)
        entry.value = (ipalloc_bytes){kv->value.data, kv->value.len};
    int status = history_take(&store->feed.history, &entry);
    if (status == IPALLOC_E_EXPIRED)
        return begin_anew(store, 0, error);
    return status == IPALLOC_OK ? IPALLOC_OK : error_no_memory(error);
}

static int check_header(etcd_store *store, const Etcd__WatchResponse *message,
                        ipalloc_error *error) {
    if (message->header == NULL || !message->canceled)
        return etcd_check_header(store, message->header, 0, error);
    Etcd__Header header = *message->header;
    if (header.revision <= 0) /* a refusal may tell none */
        header.revision = 1;
    return etcd_check_header(store, &header, 0, error);
}

static int take_message(etcd_store *store, const Etcd__WatchResponse *message,
                        ipalloc_error *error) {
    int status = check_header(store, message, error);
    if (status != IPALLOC_OK)
        return status;
    if (message->canceled)
        return take_end(store, message, error);
    uint64_t newest = (uint64_t)message->header->revision;
    if (message->created && newest > store->feed.history.complete + BEHIND_MAX)
        return begin_anew(store, newest, error);
    for (size_t i = 0; i < message->n_events && status == IPALLOC_OK; i++)
        status = take_event(store, message->events[i], message->header->revision, error);
    if (status == IPALLOC_OK && message->n_events > 0)
        history_message_over(&store->feed.history, message->fragment);
    return status;
}

static void on_message(void *context, const uint8_t *bytes, size_t size) {
    etcd_store *store = context;
    if (store->feed.phase != WATCH_LIVE)
        return;
    ProtobufCMessage *message;
    ipalloc_error *why = &store->feed.why;
    int status =
        etcd_unpack(store->hooks, &etcd__watch_response__descriptor, bytes, size, &message, why);
    if (status == IPALLOC_OK) {
        status = take_message(store, (const Etcd__WatchResponse *)message, why);
        etcd_free_message(store->hooks, message);
    }
    if (status == IPALLOC_E_NOMEM)
        history_forget(&store->feed.history);
    if (status != IPALLOC_OK)
        end_watch(store);
}

/* --- its beginning -------------------------------------------------------------------------------
 */

static int pack_request(const etcd_store *store, uint64_t start, uint8_t **out, size_t *size,
                        ipalloc_error *error) {
    etcd_key_text prefix, end;
    prefix.size = store->prefix_length;
    memcpy(prefix.bytes, store->prefix, store->prefix_length);
    etcd_key_end(&prefix, &end);
    Etcd__WatchCreate create = ETCD__WATCH_CREATE__INIT;
    create.key = (ProtobufCBinaryData){prefix.size, prefix.bytes};
    create.range_end = (ProtobufCBinaryData){end.size, end.bytes};
    create.start_revision = (int64_t)start;
    create.fragment = true;
    Etcd__WatchRequest request = ETCD__WATCH_REQUEST__INIT;
    request.request_case = ETCD__WATCH_REQUEST__REQUEST_CREATE;
    request.create = &create;
    return etcd_pack(store->hooks, &request.base, out, size, error);
}

static int open_stream(etcd_store *store, uint64_t start, uint64_t wait_ms, channel_stream **out,
                       ipalloc_error *error) {
    uint8_t *bytes;
    size_t size;
    int status = pack_request(store, start, &bytes, &size, error);
    if (status != IPALLOC_OK)
        return status;
    stream_listener listener = {.context = store, .message = on_message, .ended = on_end};
    status = channel_stream_open(store->channel, METHOD, (ipalloc_bytes){bytes, size}, &listener,
                                 wait_ms, out, error);
    hooks_free(store->hooks, bytes);
    return status;
}

bool watch_is_missing(const etcd_feed *feed) {
    return feed->phase != WATCH_LIVE && !feed->opening;
}

static int refuse_unusable(etcd_store *store, ipalloc_error *error) {
    pthread_mutex_lock(&store->mutex);
    const char *unusable = store->unusable;
    pthread_mutex_unlock(&store->mutex);
    return unusable == NULL ? IPALLOC_OK
                            : error_set(error, IPALLOC_E_MISMATCH, "%s: %s", store->name, unusable);
}

/* Why there is no watch now: who asks comes again. */
static int tell_why(const etcd_feed *feed, ipalloc_error *error) {
    int status = feed->why.status == IPALLOC_E_NOMEM ? IPALLOC_E_NOMEM : IPALLOC_E_UNAVAILABLE;
    return error_set(error, status, "%s", feed->why.message);
}

/* Is it time to open one? *old is what has to be closed before; *refused: for who we are. */
static bool may_open(etcd_store *store, channel_stream **old, bool *refused, int *status,
                     ipalloc_error *error) {
    etcd_feed *feed = &store->feed;
    bool may = false;
    channel_lock(store->channel);
    feed->awaited = true;
    *status = IPALLOC_OK;
    if (watch_is_missing(feed)) {
        may = hooks_monotonic_ms(store->hooks) >= feed->retry_ms;
        if (!may)
            *status = tell_why(feed, error);
    }
    if (may) {
        feed->opening = true;
        *old = feed->stream;
        *refused = feed->refused;
        feed->stream = NULL;
        feed->refused = false;
    }
    channel_unlock(store->channel);
    return may;
}

int watch_open(etcd_store *store, uint64_t wait_ms, ipalloc_error *error) {
    etcd_feed *feed = &store->feed;
    channel_stream *stream = NULL;
    bool refused = false;
    int status = refuse_unusable(store, error);
    if (status != IPALLOC_OK || !may_open(store, &stream, &refused, &status, error))
        return status;
    channel_stream_close(store->channel, stream);
    if (refused)
        channel_log_in_again(store->channel);

    channel_lock(store->channel);
    feed->phase = WATCH_LIVE; /* from now on a message is the new one's */
    feed->opened_ms = hooks_monotonic_ms(store->hooks);
    uint64_t start = feed->opened_at = feed->history.complete;
    channel_unlock(store->channel);
    stream = NULL;
    status = open_stream(store, start, wait_ms, &stream, error);

    channel_lock(store->channel);
    feed->opening = false;
    feed->stream = stream;
    if (status != IPALLOC_OK)
        feed->phase = WATCH_OVER; /* the channel knows when it is worth another try */
    channel_unlock(store->channel);
    return status;
}
