/*
 * hub.c: follow the store; see watch.h.
 *
 * Lock order: the hub's lock, then libmicrohttpd's inside suspend. Resuming happens outside the
 * hub's lock: a suspended connection cannot go away, and only the hub resumes it.
 */
#include "hub_source.h"
#include "service_cidrs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS         1000
#define CATCH_UP_MOST_S 5
#define RELOAD_S        5 /* while something stored is damaged */

time_t monotonic_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

struct shared_text *shared_text_hold(struct shared_text *text) {
    if (text != NULL) {
        text->references++;
    }
    return text;
}

void shared_text_drop(struct shared_text *text) {
    if (text != NULL && --text->references == 0) {
        free(text);
    }
}

/* --- the ring --------------------------------------------------------------------------------- */

static size_t event_size(const struct event *event) {
    return (event->before != NULL ? event->before->size : 0) +
           (event->after != NULL ? event->after->size : 0);
}

static void drop_first_event(struct hub *hub) {
    struct event *event = &hub->events[hub->first_event++ % HUB_EVENTS_MAX];
    hub->event_bytes -= event_size(event);
    hub->floor = event->revision;
    free(event->key);
    shared_text_drop(event->before);
    shared_text_drop(event->after);
}

/* Take over the key and both references. */
static void add_event(struct hub *hub, struct event event) {
    if (hub->next_event - hub->first_event == HUB_EVENTS_MAX) {
        drop_first_event(hub);
    }
    hub->events[hub->next_event++ % HUB_EVENTS_MAX] = event;
    hub->event_bytes += event_size(&event);
    while (hub->event_bytes > HUB_EVENT_BYTES_MAX && hub->first_event + 1 < hub->next_event) {
        drop_first_event(hub);
    }
}

/* --- following -------------------------------------------------------------------------------- */

/* Put what was seen into state and ring, under the lock. */
static void apply_change(struct hub *hub, struct change *change, bool as_event) {
    struct shelf *shelf = &hub->shelves[resource_index(change->resource)];
    struct shared_text *before =
        shelf_exchange(shelf, change->key, shared_text_hold(change->after));
    hub->cidrs_changed += change->resource == &resource_service_cidrs;
    if (as_event && (before != NULL || change->after != NULL)) {
        struct event event = {change->revision, change->resource, memory_copy(change->key), before,
                              change->after};
        add_event(hub, event);
    } else {
        shared_text_drop(before);
        shared_text_drop(change->after);
    }
}

/* Is the state of this key as new as the change? So it is where one source was read later than
 * another. */
static bool is_known(struct hub *hub, const struct change *change) {
    const struct shelf *shelf = &hub->shelves[resource_index(change->resource)];
    const struct item *item = shelf_find(shelf, change->key);
    return item != NULL && item->text->revision >= change->revision;
}

static void apply_changes(struct hub *hub, struct changes *changes, bool as_events) {
    for (size_t i = 0; i < changes->count; i++) {
        struct change *change = &changes->list[i];
        if (as_events && is_known(hub, change)) {
            shared_text_drop(change->after);
        } else {
            apply_change(hub, change, as_events);
        }
    }
    changes_free(changes);
}

static void clear_state(struct hub *hub) {
    while (hub->first_event < hub->next_event) {
        drop_first_event(hub);
    }
    for (size_t i = 0; i < resource_count; i++) {
        struct shelf *shelf = &hub->shelves[i];
        while (shelf->count > 0) {
            shared_text_drop(shelf_take_last(shelf));
        }
    }
}

/* Read everything anew; watches that lag behind fall out of the ring. */
static int load(struct hub *hub, ipalloc_error *error) {
    struct changes all = {.server = hub->server};
    uint64_t complete = 0;
    uint64_t newest = 0;
    int status = changes_all(&all, &complete, &newest, error);
    pthread_mutex_lock(&hub->lock);
    if (status == IPALLOC_OK) {
        clear_state(hub);
        hub->first_event = ++hub->next_event; /* a gap: every watch has missed something */
        hub->floor = newest;
        hub->revision = complete;
        hub->cidrs_changed++;
        apply_changes(hub, &all, false);
        pthread_cond_broadcast(&hub->seen);
    } else { /* a part of it would change objects without telling a watch */
        changes_drop(&all);
    }
    pthread_mutex_unlock(&hub->lock);
    return status;
}

/* As load. What is damaged is in the way until somebody has mended it, and a change that was seen
 * damaged is in the way for good: only the present state can tell that it is mended. */
static int load_in_time(struct hub *hub, ipalloc_error *error) {
    time_t now = monotonic_seconds();
    if (hub->trouble.status != IPALLOC_OK && now < hub->load_due) { /* only this thread writes it */
        *error = hub->trouble;
        return error->status;
    }
    hub->load_due = now + RELOAD_S;
    return load(hub, error);
}

/* Remember how following went, for those who wait for it, and print it once. */
static void note(struct hub *hub, int status, const ipalloc_error *error) {
    bool fails = status != IPALLOC_OK && status != IPALLOC_E_UNAVAILABLE;
    if (fails && strcmp(hub->trouble.message, error->message) != 0) {
        fprintf(stderr, "ipalloc-apiserver: lists and watches stand still: %s\n", error->message);
    } else if (status == IPALLOC_OK && hub->trouble.status != IPALLOC_OK) {
        fprintf(stderr, "ipalloc-apiserver: lists and watches go on\n");
    }
    pthread_mutex_lock(&hub->lock);
    if (fails) {
        hub->trouble = *error;
        hub->trouble.status = status;
        hub->failures++;
        pthread_cond_broadcast(&hub->seen);
    } else if (status == IPALLOC_OK) {
        hub->trouble = (ipalloc_error){0};
    }
    pthread_mutex_unlock(&hub->lock);
}

/* Let the registry take in what other servers did: *known is how far it and the changes that it
 * tells go. Watches are told no more than that, so that who hears of a ServiceCIDR on this server
 * finds its ranges here. Returns whether it has taken in all that there was. */
static bool take_in(struct hub *hub, uint64_t *known) {
    ipalloc_error error = {0};
    *known = UINT64_MAX;
    if (hub->store_descriptor < 0) {
        return true;
    }
    int status = ipalloc_registry_process(hub->server->registry, known, &error);
    if (status != IPALLOC_OK && status != IPALLOC_E_UNAVAILABLE) {
        *known = UINT64_MAX; /* go on with what can be told */
        if (strcmp(hub->said, error.message) != 0) {
            snprintf(hub->said, sizeof hub->said, "%s", error.message);
            fprintf(stderr, "ipalloc-apiserver: other servers' changes: %s\n", hub->said);
        }
    }
    return status == IPALLOC_OK;
}

/* Fetch what is new. Returns whether there may be more. */
static bool follow(struct hub *hub) {
    struct changes new = {.server = hub->server};
    ipalloc_error error = {0};
    uint64_t since = hub->revision; /* only this thread writes it */
    uint64_t up_to = since;
    uint64_t known;
    bool more = false;
    bool all = take_in(hub, &known);
    int status = changes_since(&new, since, known, &up_to, &more, &error);
    if (status == IPALLOC_E_EXPIRED || status == IPALLOC_E_CORRUPT) {
        changes_free(&new);
        status = load_in_time(hub, &error);
        note(hub, status, &error);
        return false;
    }
    note(hub, status, &error);
    pthread_mutex_lock(&hub->lock);
    apply_changes(hub, &new, true);
    if (status == IPALLOC_OK && up_to > since) {
        hub->revision = up_to;
        pthread_cond_broadcast(&hub->seen);
    }
    pthread_mutex_unlock(&hub->lock);
    return status == IPALLOC_OK && more && all;
}

/* --- waking watches --------------------------------------------------------------------------- */

static bool peer_is_gone(const struct watch *watch) {
    char byte;
    ssize_t got = recv(watch->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Collect the suspended watches that have something to do; with `look`, also those whose client
 * has gone, which only the socket tells. */
static void bind_due(struct hub *hub, bool look) {
    time_t now = monotonic_seconds();
    for (struct watch *watch = hub->watches; watch != NULL; watch = watch->next) {
        if (watch->state != WATCH_SUSPENDED) {
            continue;
        }
        if (look && peer_is_gone(watch)) {
            watch->ended = true;
        }
        if (watch->ended || watch_is_due(watch, now)) {
            watch->state = WATCH_RUNNING;
            watch->next_bound = hub->bound;
            hub->bound = watch;
        }
    }
}

static void resume_bound(struct hub *hub, bool look) {
    pthread_mutex_lock(&hub->lock);
    bind_due(hub, look);
    struct watch *watch = hub->bound;
    hub->bound = NULL;
    pthread_mutex_unlock(&hub->lock);
    while (watch != NULL) {
        struct watch *next = watch->next_bound; /* the watch may be freed once it is resumed */
        http_resume(watch->connection);
        watch = next;
    }
}

static int wait_most(const struct hub *hub) {
    int wish =
        hub->store_descriptor >= 0 ? ipalloc_registry_poll_timeout_ms(hub->server->registry) : -1;
    return wish >= 0 && wish < TICK_MS ? wish : TICK_MS;
}

/* Until somebody of this server has written something, others have, or it is time. */
static bool wait_for_work(struct hub *hub) {
    struct pollfd ready[] = {{.fd = hub->wake_descriptor, .events = POLLIN},
                             {.fd = hub->store_descriptor, .events = POLLIN}};
    uint64_t count;
    poll(ready, 2, wait_most(hub));
    if (read(hub->wake_descriptor, &count, sizeof count) < 0) {
        /* nobody has, and nothing is lost by looking */
    }
    pthread_mutex_lock(&hub->lock);
    hub->woken = false;
    bool go_on = !hub->stopping;
    pthread_mutex_unlock(&hub->lock);
    return go_on;
}

/* Under the lock. */
static void wake(struct hub *hub) {
    const uint64_t one = 1;
    if (!hub->woken && write(hub->wake_descriptor, &one, sizeof one) < 0) {
        /* its counter is full: it is awake */
    }
    hub->woken = true;
}

static void *run_hub(void *context) {
    struct hub *hub = context;
    time_t looked = monotonic_seconds();
    uint64_t cidrs_seen = hub->cidrs_changed; /* only this thread writes it */
    while (wait_for_work(hub)) {
        while (follow(hub)) {
        }
        if (hub->cidrs_changed != cidrs_seen) {
            cidrs_seen = hub->cidrs_changed;
            service_cidrs_changed(hub->server);
        }
        time_t now = monotonic_seconds();
        resume_bound(hub, now != looked);
        looked = now;
        if (!hub->server->shared) {
            service_cidrs_released(hub->server);
        }
    }
    resume_bound(hub, false);
    return NULL;
}

/* --- doors ------------------------------------------------------------------------------------ */

int hub_start(struct server *server, ipalloc_error *error) {
    struct hub *hub = memory_allocate(sizeof *hub);
    pthread_condattr_t monotonic;
    hub->server = server;
    hub->store_descriptor = ipalloc_registry_poll_fd(server->registry);
    hub->wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&hub->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->seen, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int status = load(hub, error);
    if (status == IPALLOC_OK && pthread_create(&hub->thread, NULL, run_hub, hub) != 0) {
        status = error->status = IPALLOC_E_NOMEM;
        snprintf(error->message, sizeof error->message, "cannot start a thread");
    }
    if (status != IPALLOC_OK) {
        hub_free(hub);
        return status;
    }
    server->hub = hub;
    return status;
}

void hub_wake(struct hub *hub) {
    if (hub == NULL) {
        return; /* the first objects are made before the hub starts */
    }
    pthread_mutex_lock(&hub->lock);
    wake(hub);
    pthread_mutex_unlock(&hub->lock);
}

/* Until the thread has seen everything up to the revision, or is about to end. */
static int await_revision(struct hub *hub, uint64_t revision, ipalloc_error *error) {
    struct timespec until;
    int status = IPALLOC_OK;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += CATCH_UP_MOST_S;
    pthread_mutex_lock(&hub->lock);
    int waited = 0;
    if (hub->revision < revision) {
        wake(hub);
    }
    uint64_t hopeless = hub->failures + 2; /* the first may have begun before us */
    while (hub->revision < revision && !hub->stopping && waited == 0 && hub->failures < hopeless) {
        waited = pthread_cond_timedwait(&hub->seen, &hub->lock, &until);
    }
    if (hub->revision < revision && !hub->stopping) {
        *error = hub->trouble;
        status = error->status;
        if (status == IPALLOC_OK) {
            status = IPALLOC_E_UNAVAILABLE;
            snprintf(error->message, sizeof error->message,
                     "what was stored last has not been read in %d s", CATCH_UP_MOST_S);
        }
    }
    pthread_mutex_unlock(&hub->lock);
    return status;
}

int hub_catch_up(struct hub *hub, ipalloc_error *error) {
    struct server *server = hub->server;
    ipalloc_store_info info = {.size = sizeof info};
    int status = ipalloc_store_get_info(server->store, &info, error);
    if (status == IPALLOC_OK && server->shared) {
        status = ipalloc_store_reach(server->store, info.revision, error);
        status = status == IPALLOC_E_EXPIRED ? IPALLOC_OK : status; /* the thread loads anew */
    }
    if (status == IPALLOC_OK) {
        status = await_revision(hub, info.revision, error);
    }
    error->status = status;
    return status;
}

bool hub_has(struct hub *hub, const struct resource *resource, const char *key) {
    pthread_mutex_lock(&hub->lock);
    bool has = shelf_find(&hub->shelves[resource_index(resource)], key) != NULL;
    pthread_mutex_unlock(&hub->lock);
    return has;
}

void hub_stop(struct hub *hub) {
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    wake(hub);
    pthread_cond_broadcast(&hub->seen);
    pthread_mutex_unlock(&hub->lock);
    pthread_join(hub->thread, NULL);
}

void hub_free(struct hub *hub) {
    clear_state(hub);
    close(hub->wake_descriptor);
    pthread_cond_destroy(&hub->seen);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

size_t hub_count(struct hub *hub, const struct resource *resource) {
    pthread_mutex_lock(&hub->lock);
    size_t count = hub->shelves[resource_index(resource)].count;
    pthread_mutex_unlock(&hub->lock);
    return count;
}

/* The newest of those older than `below`. */
static struct shared_text *newest_below(const struct shelf *shelf, uint64_t below) {
    struct shared_text *newest = NULL;
    struct shelf_walk walk = {.shelf = shelf};
    for (const struct item *item; (item = shelf_peek(&walk)) != NULL; shelf_step(&walk)) {
        struct shared_text *text = item->text;
        if (text->revision < below && (newest == NULL || text->revision > newest->revision)) {
            newest = text;
        }
    }
    return newest;
}

size_t hub_recent(struct hub *hub, const struct resource *resource, char **texts, size_t max) {
    const struct shelf *shelf = &hub->shelves[resource_index(resource)];
    size_t count = 0;
    uint64_t below = UINT64_MAX;
    pthread_mutex_lock(&hub->lock);
    while (count < max) {
        struct shared_text *newest = newest_below(shelf, below);
        if (newest == NULL) {
            break;
        }
        below = newest->revision;
        texts[count++] = memory_copy(newest->data);
    }
    pthread_mutex_unlock(&hub->lock);
    return count;
}
