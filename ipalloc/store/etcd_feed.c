/*
 * etcd_feed.c: changes, reach and what event loops need, from what the watch has told.
 *
 * May use: base/, the channel, the history, the watch. Visitors run without the lock: they hold
 * references to what they see.
 */
#include "store/etcd_store.h"

#include "base/error.h"

#include <string.h>

enum {
    GATHERED_MAX = 128,     /* changes that are taken under the lock at a time */
    WITHOUT_WATCH_MS = 200, /* an event loop comes back so soon where there is none */
};

int feed_init(etcd_store *store, uint64_t head, uint64_t revision, ipalloc_error *error) {
    (void)error;
    history_init(&store->feed.history, store->hooks, store->changes_kept, head, revision);
    return IPALLOC_OK;
}

void feed_free(etcd_store *store) {
    channel_stream_close(store->channel, store->feed.stream);
    store->feed.stream = NULL;
    store->feed.phase = WATCH_NONE;
    if (store->feed.history.hooks != NULL)
        history_free(&store->feed.history);
}

uint64_t feed_oldest(etcd_store *store) {
    channel_lock(store->channel);
    uint64_t oldest = store->feed.history.ring.oldest;
    channel_unlock(store->channel);
    return oldest;
}

/* --- changes -------------------------------------------------------------------------------------
 */

/* One answer to `changes`. */
typedef struct walk {
    ipalloc_bytes prefix;
    size_t limit;
    ipalloc_visit visit;
    void *context;
    uint64_t place; /* of the next change in the history */
    uint64_t to;    /* what is complete */
    size_t seen;
    uint64_t last;  /* the revision of the last change that was visited */
    uint64_t up_to; /* every change up to here was visited */
    bool full;      /* the limit is reached, and a whole batch with it */
} walk;

static int visit_one(walk *w, const record *change) {
    ipalloc_entry entry = record_entry(change);
    if (!bytes_start_with(entry.key, w->prefix))
        return IPALLOC_OK;
    if (entry.revision != w->last) {
        w->up_to = w->last;
        w->full = w->limit != 0 && w->seen >= w->limit;
        if (w->full)
            return IPALLOC_OK;
    }
    w->last = entry.revision;
    w->seen++;
    return w->visit(w->context, &entry);
}

static int forgotten(const etcd_store *store, uint64_t since, uint64_t oldest,
                     ipalloc_error *error) {
    return error_set(error, IPALLOC_E_EXPIRED,
                     "%s: changes since revision %llu are no longer kept; the oldest is %llu",
                     store->name, (unsigned long long)since, (unsigned long long)oldest);
}

static int walk_on(etcd_store *store, walk *w, ipalloc_error *error) {
    record *taken[GATHERED_MAX];
    int status = IPALLOC_OK;
    size_t count;
    do {
        bool overtaken;
        channel_lock(store->channel);
        count =
            history_gather(&store->feed.history, &w->place, w->to, taken, GATHERED_MAX, &overtaken);
        channel_unlock(store->channel);
        if (overtaken)
            return forgotten(store, w->last, feed_oldest(store), error);
        for (size_t i = 0; i < count && status == IPALLOC_OK && !w->full; i++)
            status = visit_one(w, taken[i]);
        channel_lock(store->channel);
        history_release(&store->feed.history, taken, count);
        channel_unlock(store->channel);
    } while (count > 0 && status == IPALLOC_OK && !w->full);
    if (status == IPALLOC_OK && !w->full)
        w->up_to = w->to;
    return status;
}

/* Has this revision been? Whoever asks may have it from another process on the same store. */
static int check_has_been(etcd_store *store, uint64_t since, ipalloc_error *error) {
    if (since <= etcd_seen(store))
        return IPALLOC_OK;
    ipalloc_store_info info = {.size = sizeof info};
    int status = etcd_info(store, &info, error);
    return status == IPALLOC_OK ? check_since(since, 0, etcd_seen(store), error) : status;
}

int feed_changes(etcd_store *store, uint64_t since, ipalloc_bytes prefix, size_t limit,
                 ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    /* What has come by now counts; that there is no watch does not matter. */
    int status = feed_process(store, NULL, error);
    if (status == IPALLOC_E_MISMATCH)
        return status;
    walk w = {.prefix = prefix,
              .limit = limit,
              .visit = visit,
              .context = context,
              .last = since,
              .up_to = since};
    channel_lock(store->channel);
    const etcd_history *history = &store->feed.history;
    uint64_t oldest = history->ring.oldest;
    w.to = history->complete;
    w.place = history_find(history, since);
    channel_unlock(store->channel);
    if (since < oldest)
        return forgotten(store, since, oldest, error);
    if (since > w.to)
        status = check_has_been(store, since, error);
    else
        status = walk_on(store, &w, error);
    if (up_to != NULL)
        *up_to = w.up_to;
    return status;
}

/* --- reach ---------------------------------------------------------------------------------------
 */

typedef struct awaited {
    const etcd_feed *feed;
    uint64_t revision;
    uint64_t gaps; /* when it began */
} awaited;

static bool has_come(const awaited *a) {
    return a->feed->history.complete >= a->revision;
}

static bool has_gap(const awaited *a) {
    return a->feed->history.gaps != a->gaps;
}

/* Under the lock: there is something to do but waiting. */
static bool is_over(void *context) {
    const awaited *a = context;
    return has_come(a) || has_gap(a) || watch_is_missing(a->feed);
}

/* One step nearer: open what is missing, or wait. *why: what kept it from coming. */
static int drive(etcd_store *store, awaited *a, uint64_t left_ms, ipalloc_error *why) {
    int status = watch_open(store, left_ms, why);
    if (status != IPALLOC_OK && status != IPALLOC_E_UNAVAILABLE)
        return status;
    uint64_t now = hooks_monotonic_ms(store->hooks), wait_ms = left_ms;
    bool (*done)(void *context) = is_over;
    channel_lock(store->channel);
    if (watch_is_missing(&store->feed)) { /* too early to open another */
        uint64_t retry_ms = store->feed.retry_ms;
        wait_ms = retry_ms > now ? retry_ms - now : 1;
        done = NULL;
    }
    channel_unlock(store->channel);
    ipalloc_error late = {0};
    if (channel_drive(store->channel, done, a, wait_ms < left_ms ? wait_ms : left_ms, &late) !=
            IPALLOC_OK &&
        status == IPALLOC_OK)
        *why = late;
    return IPALLOC_OK;
}

static int judge(etcd_store *store, const awaited *a, bool *decided, ipalloc_error *error) {
    channel_lock(store->channel);
    bool come = has_come(a), gap = has_gap(a);
    channel_unlock(store->channel);
    *decided = come || gap;
    if (!gap)
        return IPALLOC_OK;
    return error_set(error, IPALLOC_E_EXPIRED,
                     "%s: what changed meanwhile has been forgotten: read everything again",
                     store->name);
}

int feed_reach(etcd_store *store, uint64_t revision, ipalloc_error *error) {
    awaited a = {.feed = &store->feed, .revision = revision};
    channel_lock(store->channel);
    bool come = has_come(&a);
    a.gaps = store->feed.history.gaps;
    channel_unlock(store->channel);
    if (come)
        return IPALLOC_OK;
    uint64_t begun = hooks_monotonic_ms(store->hooks), spent = 0;
    ipalloc_error why = {0};
    while (spent < store->timeout_ms) {
        bool decided;
        int status = drive(store, &a, store->timeout_ms - spent, &why);
        if (status != IPALLOC_OK) {
            if (error != NULL)
                *error = why;
            return status;
        }
        status = judge(store, &a, &decided, error);
        if (decided)
            return status;
        spent = hooks_monotonic_ms(store->hooks) - begun;
    }
    return error_set(error, IPALLOC_E_UNAVAILABLE,
                     "%s: the watch did not come to revision %llu: %s", store->name,
                     (unsigned long long)revision, why.message);
}

/* --- for event loops -----------------------------------------------------------------------------
 */

int feed_poll_fd(etcd_store *store) {
    return channel_poll_fd(store->channel);
}

int feed_poll_timeout_ms(etcd_store *store) {
    etcd_feed *feed = &store->feed;
    uint64_t now = hooks_monotonic_ms(store->hooks);
    int own = -1;
    channel_lock(store->channel);
    if (watch_is_missing(feed)) {
        own = WITHOUT_WATCH_MS;
        if (!feed->awaited)
            own = 0;
        else if (feed->retry_ms > now && feed->retry_ms - now > WITHOUT_WATCH_MS)
            own = (int)(feed->retry_ms - now);
    }
    channel_unlock(store->channel);
    int others = channel_poll_timeout_ms(store->channel);
    return own < 0 || (others >= 0 && others < own) ? others : own;
}

int feed_process(etcd_store *store, uint64_t *known_to, ipalloc_error *error) {
    (void)watch_open(store, 0, NULL);
    int status = channel_process(store->channel, error);
    /* What came in may have ended the watch, or made the connection that it needs. */
    int watch = watch_open(store, 0, error);
    channel_lock(store->channel);
    if (known_to != NULL)
        *known_to = store->feed.history.complete;
    channel_unlock(store->channel);
    return watch != IPALLOC_OK ? watch : status;
}
