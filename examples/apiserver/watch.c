/*
 * watch.c: one watch: its parameters, and its events as lines of JSON.
 *
 * Rendering happens outside the hub's lock, on counted texts, so that a watch with a costly
 * selector holds up nobody.
 */
#include "hub.h"

#include "body.h"
#include "record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_TARGET      ((size_t)32 << 10) /* bytes rendered before they are sent */
#define BOOKMARK_INTERVAL_S 60
#define TIMEOUT_LEAST_S     1800 /* when the client asks for none: 30 to 60 minutes */
#define TIMEOUT_SPREAD_S    1800
#define TIMEOUT_MOST_S      (7 * 24 * 3600)

bool watch_is_due(const struct watch *watch, time_t now) {
    return watch->hub->stopping || watch->sequence < watch->hub->next_event ||
           now >= watch->deadline || (watch->bookmarks && now >= watch->bookmark_due);
}

/* --- rendering -------------------------------------------------------------------------------- */

static void add_line(struct watch *watch, const char *type, const char *object) {
    text_format(&watch->pending, "{\"type\":\"%s\",\"object\":%s}\n", type, object);
}

static void add_object(struct watch *watch, const char *type, struct json_object *object) {
    if (!watch->table) {
        add_line(watch, type, json_line(object, NULL));
        return;
    }
    const char *version = json_member_text(json_member(object, "metadata"), "resourceVersion");
    struct json_object *table = table_new(watch->resource, !watch->columns_sent, version);
    table_add(table, watch->resource, object, (enum table_object)watch->include);
    add_line(watch, type, json_line(table, NULL));
    json_object_put(table);
    watch->columns_sent = true;
}

static void add_bookmark(struct watch *watch, uint64_t revision, bool initial_end) {
    char version[RESOURCE_VERSION_TEXT];
    resource_version_format(watch->hub->server, revision, version);
    if (watch->table) {
        struct json_object *table = table_new(watch->resource, false, version);
        add_line(watch, "BOOKMARK", json_line(table, NULL));
        json_object_put(table);
        return;
    }
    char api_version[RESOURCE_TEXT];
    text_format(&watch->pending,
                "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\","
                "\"metadata\":{\"resourceVersion\":\"%s\",\"creationTimestamp\":null%s}}}\n",
                watch->resource->kind, resource_api_version(watch->resource, api_version), version,
                initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

/* The last thing that the client hears. */
static void add_error(struct watch *watch, const struct outcome *outcome) {
    add_line(watch, "ERROR", json_line(outcome->value, NULL));
    watch->ended = true;
}

static void add_expired(struct watch *watch, uint64_t asked, uint64_t oldest) {
    struct outcome outcome = {0};
    outcome_fail(&outcome, 410, "Expired", "too old resource version: %" PRIu64 " (%" PRIu64 ")",
                 asked, oldest);
    add_error(watch, &outcome);
    outcome_clear(&outcome);
}

static struct json_object *parse_shared(const struct shared_text *text) {
    struct text ignored = {0};
    struct json_object *object = text != NULL ? json_parse(text->data, text->size, &ignored) : NULL;
    text_clear(&ignored);
    return object;
}

/* What the change is to this watch: an object may come into its selection or leave it. */
static void add_event_line(struct watch *watch, const struct event *event) {
    struct json_object *before = parse_shared(event->before);
    struct json_object *after = parse_shared(event->after);
    bool was = before != NULL && selector_matches(watch->selector, before);
    bool is = after != NULL && selector_matches(watch->selector, after);
    if (is) {
        add_object(watch, was ? "MODIFIED" : "ADDED", after);
    } else if (was) {
        char version[RESOURCE_VERSION_TEXT];
        resource_version_format(watch->hub->server, event->revision, version);
        json_set_text(json_member(before, "metadata"), "resourceVersion", version);
        add_object(watch, "DELETED", before);
    }
    json_object_put(before);
    json_object_put(after);
}

static void add_initial_line(struct watch *watch, const struct shared_text *text) {
    struct json_object *object = parse_shared(text);
    if (object != NULL && selector_matches(watch->selector, object)) {
        add_object(watch, "ADDED", object);
    }
    json_object_put(object);
}

/* --- streaming -------------------------------------------------------------------------------- */

/* Render the next initial object. Called and returns with the lock held. */
static void render_initial(struct watch *watch) {
    struct shared_text *text = watch->initial[watch->initial_at++];
    pthread_mutex_unlock(&watch->hub->lock);
    add_initial_line(watch, text);
    if (watch->initial_at == watch->initial_count && watch->initial_end) {
        add_bookmark(watch, watch->after, true);
    }
    pthread_mutex_lock(&watch->hub->lock);
    shared_text_drop(text);
}

/* Render the next event; the same about the lock. */
static void render_event(struct watch *watch) {
    struct hub *hub = watch->hub;
    struct event event = hub->events[watch->sequence++ % HUB_EVENTS_MAX];
    if (event.revision <= watch->skip) {
        return;
    }
    watch->after = event.revision;
    if (event.resource != watch->resource) {
        return;
    }
    shared_text_hold(event.before);
    shared_text_hold(event.after);
    pthread_mutex_unlock(&hub->lock);
    add_event_line(watch, &event);
    pthread_mutex_lock(&hub->lock);
    shared_text_drop(event.before);
    shared_text_drop(event.after);
}

/* Nothing is left to tell; is it time for a bookmark, or for the end? */
static void render_rest(struct watch *watch) {
    time_t now = monotonic_seconds();
    struct hub *hub = watch->hub;
    bool over = hub->stopping || now >= watch->deadline;
    if (hub->revision > watch->after) {
        watch->after = hub->revision;
    }
    if (watch->bookmarks && (over || now >= watch->bookmark_due)) {
        add_bookmark(watch, watch->after, false);
        watch->bookmark_due = now + BOOKMARK_INTERVAL_S;
    }
    watch->ended = over;
}

static void fill(struct watch *watch) {
    struct hub *hub = watch->hub;
    while (!watch->ended && watch->pending.size < PENDING_TARGET) {
        if (watch->initial_at < watch->initial_count) {
            render_initial(watch);
        } else if (watch->sequence < hub->first_event) {
            add_expired(watch, watch->after, hub->floor);
        } else if (watch->sequence < hub->next_event) {
            render_event(watch);
        } else {
            render_rest(watch);
            break;
        }
    }
}

static long take_pending(struct watch *watch, char *out, size_t capacity) {
    size_t left = watch->pending.size - watch->sent;
    size_t size = left < capacity ? left : capacity;
    memcpy(out, watch->pending.data + watch->sent, size);
    watch->sent += size;
    if (watch->sent == watch->pending.size) {
        text_clear(&watch->pending);
        watch->sent = 0;
    }
    return (long)size;
}

long watch_read(struct watch *watch, void *connection, int descriptor, char *out, size_t capacity) {
    pthread_mutex_lock(&watch->hub->lock);
    watch->connection = connection;
    watch->descriptor = descriptor;
    if (watch->pending.size == 0 && !watch->ended) {
        fill(watch);
    }
    long result = -1;
    if (watch->pending.size > 0) {
        result = take_pending(watch, out, capacity);
    } else if (!watch->ended) {
        watch->state = WATCH_SUSPENDED;
        http_suspend(connection);
        result = 0;
    }
    pthread_mutex_unlock(&watch->hub->lock);
    return result;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void link_watch(struct watch *watch) {
    struct hub *hub = watch->hub;
    watch->next = hub->watches;
    if (hub->watches != NULL) {
        hub->watches->previous = watch;
    }
    hub->watches = watch;
    counters_watch(hub->server, 1);
}

void watch_free(struct watch *watch) {
    struct hub *hub = watch->hub;
    pthread_mutex_lock(&hub->lock);
    if (watch->previous != NULL) {
        watch->previous->next = watch->next;
    } else {
        hub->watches = watch->next;
    }
    if (watch->next != NULL) {
        watch->next->previous = watch->previous;
    }
    for (size_t i = watch->initial_at; i < watch->initial_count; i++) {
        shared_text_drop(watch->initial[i]);
    }
    pthread_mutex_unlock(&hub->lock);
    counters_watch(hub->server, -1);
    selector_free(watch->selector);
    text_clear(&watch->pending);
    free(watch->initial);
    free(watch);
}

/* From the present state on: every object first. Under the lock. */
static void start_with_all(struct watch *watch) {
    struct hub *hub = watch->hub;
    const struct shelf *shelf = &hub->shelves[resource_index(watch->resource)];
    watch->initial = memory_allocate(shelf->count * sizeof *watch->initial);
    watch->initial_count = shelf->count;
    struct shelf_walk walk = {.shelf = shelf};
    for (size_t i = 0; i < shelf->count; i++, shelf_step(&walk)) {
        watch->initial[i] = shared_text_hold(shelf_peek(&walk)->text);
    }
    watch->sequence = hub->next_event;
    watch->skip = watch->after = hub->revision;
    if (watch->initial_count == 0 && watch->initial_end) {
        add_bookmark(watch, watch->after, true);
    }
}

/* From after a revision on, if the ring reaches back so far. Under the lock. */
static void start_after(struct watch *watch, uint64_t revision) {
    watch->sequence = watch->hub->first_event;
    watch->skip = watch->after = revision;
    if (revision < watch->hub->floor) {
        add_expired(watch, revision, watch->hub->floor);
    }
}

static time_t deadline_of(const struct request *request, uint64_t spread) {
    const char *text = request_parameter(request, "timeoutSeconds");
    long seconds = text != NULL ? strtol(text, NULL, 10) : 0;
    if (seconds <= 0) {
        seconds = TIMEOUT_LEAST_S + (long)(spread % TIMEOUT_SPREAD_S);
    }
    /* This second has begun already: one more, or it would be too short. */
    return monotonic_seconds() + 1 + (seconds < TIMEOUT_MOST_S ? seconds : TIMEOUT_MOST_S);
}

static struct watch *watch_new(struct server *server, const struct request *request,
                               struct selector *selector) {
    enum table_object include;
    struct watch *watch = memory_allocate(sizeof *watch);
    watch->hub = server->hub;
    watch->resource = request->resource;
    watch->selector = selector;
    watch->table = wants_table(request, &include);
    watch->include = include;
    watch->bookmarks = request_flag(request, "allowWatchBookmarks");
    watch->initial_end = request_flag(request, "sendInitialEvents");
    watch->deadline = deadline_of(request, (uint64_t)(uintptr_t)watch >> 6);
    watch->bookmark_due = monotonic_seconds() + BOOKMARK_INTERVAL_S;
    return watch;
}

/* The resourceVersion to start after; false with the outcome set. *all: from the present state. */
static bool parse_start(struct server *server, const struct request *request, uint64_t *revision,
                        bool *all, struct outcome *outcome) {
    const char *text = request_parameter(request, "resourceVersion");
    bool expired = false;
    *revision = 0;
    *all = text == NULL || text[0] == '\0' || strcmp(text, "0") == 0 ||
           request_flag(request, "sendInitialEvents");
    if (*all || resource_version_parse(server, text, revision, &expired)) {
        return true;
    }
    if (expired) {
        outcome_fail(outcome, 410, "Expired",
                     "too old resource version: %.24s (it is of another life of this store)", text);
    } else {
        outcome_no_version(outcome, text);
    }
    return false;
}

static void reply_stream(struct reply *reply, struct watch *watch) {
    reply->code = 200;
    reply->content_type = "application/json";
    reply->watch = watch;
}

/* As in kube-apiserver, a version that was read but is too old is told in the stream, as an event:
 * a client meets 410 in one place, at the start and later. */
static void begin_expired(struct server *server, const struct request *request, struct reply *reply,
                          struct selector *selector, const struct outcome *outcome) {
    struct watch *watch = watch_new(server, request, selector);
    pthread_mutex_lock(&server->hub->lock);
    link_watch(watch);
    add_error(watch, outcome);
    pthread_mutex_unlock(&server->hub->lock);
    reply_stream(reply, watch);
}

static void begin(struct server *server, const struct request *request, struct reply *reply,
                  struct selector *selector, bool all, uint64_t revision) {
    ipalloc_error error = {0};
    struct outcome outcome = {0};
    if (all && hub_catch_up(server->hub, &error) != IPALLOC_OK) {
        outcome_library(&outcome, request->resource, "", &error);
        reply_outcome(request, reply, NULL, &outcome);
        selector_free(selector);
        return;
    }
    struct watch *watch = watch_new(server, request, selector);
    pthread_mutex_lock(&server->hub->lock);
    link_watch(watch);
    if (all) {
        start_with_all(watch);
    } else {
        start_after(watch, revision);
    }
    pthread_mutex_unlock(&server->hub->lock);
    reply_stream(reply, watch);
}

void watch_begin(struct server *server, const struct request *request, struct reply *reply,
                 struct selector *selector) {
    struct outcome outcome = {0};
    uint64_t revision;
    bool all;
    if (parse_start(server, request, &revision, &all, &outcome)) {
        begin(server, request, reply, selector, all, revision);
    } else if (outcome.code == 410) {
        begin_expired(server, request, reply, selector, &outcome);
        outcome_clear(&outcome);
    } else {
        selector_free(selector);
        reply_outcome(request, reply, NULL, &outcome);
    }
}
