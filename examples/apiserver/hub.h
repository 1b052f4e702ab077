/* hub.h: what hub.c (following the store) and watch.c (streaming to a client) share. */
#ifndef APISERVER_HUB_H
#define APISERVER_HUB_H

#include "resource.h"
#include "shelf.h"
#include "watch.h"

/* An object's text as clients get it. Counted under the hub's lock. */
struct shared_text {
    size_t references;
    uint64_t revision;
    size_t size;
    char data[];
};

struct event {
    uint64_t revision;
    const struct resource *resource;
    char *key;
    struct shared_text *before; /* NULL: it was not there */
    struct shared_text *after;  /* NULL: it is gone */
};

struct hub {
    struct server *server;
    pthread_t thread;
    int wake_descriptor;  /* an eventfd */
    int store_descriptor; /* tells that others have written; -1: nobody does */
    pthread_mutex_t lock; /* guards all below; never held while calling the store */
    pthread_cond_t seen;  /* `revision` has grown */
    bool woken;
    bool stopping;
    struct shelf shelves[RESOURCES_MAX]; /* by resource_index */
    struct event events[HUB_EVENTS_MAX]; /* sequence number modulo HUB_EVENTS_MAX */
    uint64_t first_event, next_event;    /* sequence numbers */
    size_t event_bytes;
    uint64_t floor;    /* every change after this revision is in the ring */
    uint64_t revision; /* every change up to this one has been seen; only the thread writes it */
    uint64_t cidrs_changed; /* how often a ServiceCIDR has, so far */
    char said[512];         /* the last failure of taking in, which is printed once */
    ipalloc_error trouble;  /* why the thread cannot follow, other than that nobody answers */
    uint64_t failures;      /* how often it has failed so */
    time_t load_due;        /* not to read all anew before, while there is trouble */
    struct watch *watches;
    struct watch *bound; /* woken ones, to be resumed outside the lock */
};

enum watch_state { WATCH_RUNNING, WATCH_SUSPENDED };

struct watch {
    struct hub *hub;
    struct watch *previous, *next; /* in hub->watches */
    struct watch *next_bound;
    const struct resource *resource;
    struct selector *selector;
    bool table;
    int include; /* enum table_object */
    bool columns_sent;
    bool bookmarks;
    bool initial_end; /* mark the end of the initial objects with a bookmark */
    struct shared_text **initial;
    size_t initial_count, initial_at;
    uint64_t sequence;             /* of the next event to send */
    uint64_t skip;                 /* events up to this revision were known at the start */
    uint64_t after;                /* revision up to which the client knows everything */
    time_t deadline, bookmark_due; /* monotonic seconds */
    enum watch_state state;
    bool ended;
    void *connection;
    int descriptor;
    struct text pending; /* rendered, not yet sent */
    size_t sent;
};

void shared_text_drop(struct shared_text *text); /* under the lock */
struct shared_text *shared_text_hold(struct shared_text *text);

time_t monotonic_seconds(void);

/* Does a suspended watch have something to do? Under the lock. */
bool watch_is_due(const struct watch *watch, time_t now);

#endif
