/*
 * object_list.c: lists of objects, and the start of a watch.
 *
 * A list of everything comes from the store, at one revision. Pages and past states come from the
 * hub's memory, so that every page of a list shows the state of its first one; and all lists where
 * the store is shared. The hub catches up first, so that what was stored before is shown. A plain
 * list without selectors copies text; selectors and tables parse each object.
 */
#include "body.h"
#include "hub_state.h"
#include "list_options.h"
#include "object_handlers.h"
#include "record.h"
#include "selector.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    const struct server *server;
    const struct resource *resource;
    const struct selector *selector; /* NULL: every object, unparsed */
    struct json_object *table;       /* without its rows; NULL: a list of objects */
    enum table_object include;
    struct text items; /* or rows, as the answer has them, comma-separated */
    uint64_t count;
    struct text next;   /* the token of the next page; empty: this is the last one */
    uint64_t remaining; /* objects behind this page; 0: there are none, or it is not known */
    ipalloc_error *error;
};

/* One row, as text at once: the values of a long table would be several times its text. */
static void add_row(struct listing *listing, struct json_object *object) {
    struct json_object *table = table_new(listing->resource, false, NULL);
    table_add(table, listing->resource, object, listing->include);
    size_t size = 0;
    const char *row = json_line(json_object_array_get_idx(json_member(table, "rows"), 0), &size);
    text_append(&listing->items, row, size);
    json_object_put(table);
}

static void add_selected(struct listing *listing, struct json_object *object) {
    size_t size = 0;
    listing->count++;
    text_add(&listing->items, listing->items.size > 0 ? "," : "");
    if (listing->table != NULL) {
        add_row(listing, object);
    } else {
        const char *line = json_line(object, &size);
        text_append(&listing->items, line, size);
    }
}

static void add_parsed(struct listing *listing, struct json_object *object) {
    if (listing->selector == NULL || selector_matches(listing->selector, object)) {
        add_selected(listing, object);
    }
    json_object_put(object);
}

static bool is_plain(const struct listing *listing) {
    return listing->selector == NULL && listing->table == NULL;
}

static int see_record(void *context, const ipalloc_entry *entry) {
    struct listing *listing = context;
    if (is_plain(listing)) {
        text_add(&listing->items, listing->items.size > 0 ? "," : "");
        if (record_add(listing->server, entry, &listing->items)) {
            return IPALLOC_OK;
        }
    }
    struct json_object *object = record_parse(listing->server, entry, listing->error);
    if (object == NULL) {
        return IPALLOC_E_CORRUPT;
    }
    add_parsed(listing, object);
    return IPALLOC_OK;
}

static struct json_object *parse(const char *bytes, size_t size) {
    struct text ignored = {0};
    struct json_object *object = json_parse(bytes, size, &ignored);
    text_clear(&ignored);
    return object;
}

/* An object as clients get it. */
static void see_object(struct listing *listing, const char *bytes, size_t size) {
    if (is_plain(listing)) {
        listing->count++;
        text_add(&listing->items, listing->items.size > 0 ? "," : "");
        text_append(&listing->items, bytes, size);
    } else {
        add_parsed(listing, parse(bytes, size));
    }
}

static void see_view(void *context, const char *name, uint64_t revision,
                     const struct text *object) {
    (void)name;
    (void)revision;
    see_object(context, object->data, object->size);
}

static int read_all(struct server *server, const struct request *request, struct listing *listing,
                    uint64_t *revision) {
    const struct resource *resource = request->resource;
    char prefix[IPALLOC_RECORD_KEY_MAX];
    if (resource->view != NULL) {
        return resource->view->list(server, see_view, listing, revision, listing->error);
    }
    snprintf(prefix, sizeof prefix, "%s%s%s", resource->record_prefix, request->namespace,
             request->namespace[0] != '\0' ? "/" : "");
    return ipalloc_record_scan(server->registry, prefix, NULL, 0, see_record, listing, revision,
                               listing->error);
}

/* --- the answer ------------------------------------------------------------------------------- */

static struct json_object *list_metadata(const struct listing *listing, uint64_t revision) {
    char version[RESOURCE_VERSION_TEXT];
    struct json_object *metadata = json_object_new_object();
    resource_version_format(listing->server, revision, version);
    json_set_text(metadata, "resourceVersion", version);
    if (listing->next.size > 0) {
        json_set_text(metadata, "continue", listing->next.data);
    }
    if (listing->next.size > 0 && listing->remaining > 0) {
        json_set_number(metadata, "remainingItemCount", (int64_t)listing->remaining);
    }
    return metadata;
}

static void reply_list(const struct request *request, struct reply *reply, struct listing *listing,
                       uint64_t revision) {
    struct json_object *metadata = list_metadata(listing, revision);
    reply->code = 200;
    reply->content_type = "application/json";
    if (listing->table != NULL) {
        size_t size = 0;
        json_set(listing->table, "metadata", json_object_get(metadata));
        const char *head = json_line(listing->table, &size);
        text_append(&reply->body, head, size - strlen("]}")); /* it ends with the empty rows */
    } else {
        char api_version[RESOURCE_TEXT];
        text_format(&reply->body,
                    "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":%s,\"items\":[",
                    listing->resource->kind, resource_api_version(listing->resource, api_version),
                    json_line(metadata, NULL));
    }
    json_object_put(metadata);
    text_append(&reply->body, listing->items.data, listing->items.size);
    text_add(&reply->body, "]}\n");
    if (request_flag(request, "pretty")) {
        struct json_object *list = json_tokener_parse(reply->body.data);
        text_clear(&reply->body);
        reply_json(request, reply, 200, list);
    }
}

/* --- everything, from the store --------------------------------------------------------------- */

static void list_all(struct server *server, const struct request *request, struct reply *reply,
                     const struct list_options *options, struct listing *listing) {
    struct outcome outcome = {0};
    uint64_t revision = 0;
    int status = read_all(server, request, listing, &revision);
    if (status != IPALLOC_OK) {
        listing->error->status = status;
        outcome_library(&outcome, request->resource, "", listing->error);
        reply_outcome(request, reply, NULL, &outcome);
    } else if (options->revision > revision) {
        list_too_new(server, options->revision, revision, &outcome);
        reply_outcome(request, reply, NULL, &outcome);
    } else {
        reply_list(request, reply, listing, revision);
    }
}

/* --- pages and past states, from the hub ------------------------------------------------------ */

/* Where the next page goes on: "NAMESPACE/NAME" or "NAME". */
static void place_of(const struct shared_text *text, char out[LIST_START_TEXT]) {
    struct json_object *object = parse(text->data, text->size);
    struct json_object *metadata = json_member(object, "metadata");
    const char *namespace = json_member_text(metadata, "namespace");
    snprintf(out, LIST_START_TEXT, "%s%s%s", namespace, namespace[0] != '\0' ? "/" : "",
             json_member_text(metadata, "name"));
    json_object_put(object);
}

static void fill_page(struct listing *listing, const struct hub_state *state, uint64_t limit) {
    char start[LIST_START_TEXT];
    size_t at = 0;
    while (at < state->count && (limit == 0 || listing->count < limit)) {
        see_object(listing, state->texts[at]->data, state->texts[at]->size);
        at++;
    }
    if (at < state->count) {
        place_of(state->texts[at - 1], start);
        list_token_format(listing->server, state->revision, start, &listing->next);
        listing->remaining = listing->selector == NULL ? state->count - at : 0;
    }
}

static void refuse_too_old(const struct server *server, const struct list_options *options,
                           struct outcome *outcome) {
    struct text token = {0};
    if (!options->continues) {
        outcome_fail(outcome, 410, "Expired",
                     "The resourceVersion for the provided list is too old.");
        return;
    }
    outcome_fail(outcome, 410, "Expired",
                 "The provided continue parameter is too old to display a consistent list result. "
                 "You can start a new list without the continue parameter, or use the continue "
                 "token in this response to retrieve the remainder of the results. Continuing with "
                 "the provided token results in an inconsistent list - objects that were created, "
                 "modified, or deleted between the time the first chunk was returned and now may "
                 "show up in the list.");
    list_token_format(server, 0, options->start, &token);
    json_set_text(json_ensure(outcome->value, "metadata"), "continue", token.data);
    text_clear(&token);
}

static int see_nothing(void *context, const ipalloc_entry *entry) {
    (void)context;
    (void)entry;
    return IPALLOC_OK;
}

/* Where others write to the store, it may count more than our commits: a version that it has given
 * may be above the last commit's, and still be of the past. */
static bool has_been(struct server *server, uint64_t revision) {
    uint64_t now = 0;
    return server->shared &&
           ipalloc_record_scan(server->registry, "", NULL, 1, see_nothing, NULL, &now, NULL) ==
               IPALLOC_OK &&
           revision <= now;
}

/* The state that is asked for, as far as the hub knows it; it has caught up, so what is of the past
 * and above all that it knows is its present state. */
static enum hub_answer take_state(struct server *server, const struct request *request,
                                  const struct list_options *options, struct hub_state *state) {
    uint64_t wanted = options->exact ? options->revision : 0;
    enum hub_answer answer = hub_state_take(server->hub, request->resource, request->namespace,
                                            wanted, options->start, state);
    bool above =
        answer == HUB_TOO_NEW || (answer == HUB_STATE && options->revision > state->revision);
    if (above && has_been(server, options->revision)) {
        hub_state_drop(server->hub, state);
        answer = hub_state_take(server->hub, request->resource, request->namespace, 0,
                                options->start, state);
        state->revision = options->revision > state->revision ? options->revision : state->revision;
    }
    return answer;
}

static void list_page(struct server *server, const struct request *request, struct reply *reply,
                      const struct list_options *options, struct listing *listing) {
    struct hub_state state;
    struct outcome outcome = {0};
    if (hub_catch_up(server->hub, listing->error) != IPALLOC_OK) {
        outcome_library(&outcome, request->resource, "", listing->error);
        reply_outcome(request, reply, NULL, &outcome);
        return;
    }
    switch (take_state(server, request, options, &state)) {
    case HUB_STATE:
        if (options->revision > state.revision) {
            list_too_new(server, options->revision, state.revision, &outcome);
            reply_outcome(request, reply, NULL, &outcome);
        } else {
            fill_page(listing, &state, options->limit);
            reply_list(request, reply, listing, state.revision);
        }
        break;
    case HUB_TOO_OLD:
        refuse_too_old(server, options, &outcome);
        reply_outcome(request, reply, NULL, &outcome);
        break;
    case HUB_TOO_NEW:
        list_too_new(server, options->revision, state.revision, &outcome);
        reply_outcome(request, reply, NULL, &outcome);
        break;
    }
    hub_state_drop(server->hub, &state);
}

/* --- requests --------------------------------------------------------------------------------- */

static void list(struct server *server, const struct request *request, struct reply *reply,
                 const struct selector *selector, bool selects) {
    struct list_options options;
    struct outcome outcome = {0};
    ipalloc_error error = {0};
    struct listing listing = {.server = server,
                              .resource = request->resource,
                              .selector = selects ? selector : NULL,
                              .error = &error};
    if (!list_options_read(server, request, &options, &outcome)) {
        reply_outcome(request, reply, NULL, &outcome);
        return;
    }
    if (wants_table(request, &listing.include)) {
        listing.table = table_new(request->resource, true, NULL);
    }
    /* Over a network all of it would come anew for each list; the hub asks for what is missing. */
    if (options.limit == 0 && !options.continues && !options.exact && !server->shared) {
        list_all(server, request, reply, &options, &listing);
    } else {
        list_page(server, request, reply, &options, &listing);
    }
    json_object_put(listing.table);
    text_clear(&listing.items);
    text_clear(&listing.next);
}

static bool is_given(const struct request *request, const char *name) {
    const char *value = request_parameter(request, name);
    return value != NULL && value[0] != '\0';
}

void objects_list(struct server *server, const struct request *request, struct reply *reply) {
    struct text problem = {0};
    struct outcome outcome = {0};
    struct selector *selector = selector_parse(
        request->resource, request->namespace, request_parameter(request, "labelSelector"),
        request_parameter(request, "fieldSelector"), &problem);
    if (selector == NULL) {
        outcome_fail(&outcome, 400, "BadRequest", "%s", problem.data);
        reply_outcome(request, reply, NULL, &outcome);
    } else if (!request_flag(request, "watch")) {
        bool selects = is_given(request, "labelSelector") || is_given(request, "fieldSelector");
        list(server, request, reply, selector, selects);
    } else if (!list_options_check_watch(request, &outcome)) {
        reply_outcome(request, reply, NULL, &outcome);
    } else {
        watch_begin(server, request, reply, selector); /* takes the selector over */
        selector = NULL;
    }
    selector_free(selector);
    text_clear(&problem);
}
