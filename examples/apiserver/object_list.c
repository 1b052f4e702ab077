/*
 * object_list.c: lists of objects, and the start of a watch.
 *
 * A plain list without selectors copies stored text; selectors and tables parse each object. The
 * whole answer is at one revision.
 */
#include "body.h"
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

static void see_view(void *context, const char *name, uint64_t revision,
                     const struct text *object) {
    struct listing *listing = context;
    (void)name;
    (void)revision;
    if (is_plain(listing)) {
        text_add(&listing->items, listing->items.size > 0 ? "," : "");
        text_append(&listing->items, object->data, object->size);
    } else {
        struct text ignored = {0};
        add_parsed(listing, json_parse(object->data, object->size, &ignored));
        text_clear(&ignored);
    }
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

static void reply_list(const struct request *request, struct reply *reply, struct listing *listing,
                       uint64_t revision) {
    char version[RESOURCE_VERSION_TEXT];
    resource_version_format(listing->server, revision, version);
    reply->code = 200;
    reply->content_type = "application/json";
    if (listing->table != NULL) {
        size_t size = 0;
        json_set_text(json_member(listing->table, "metadata"), "resourceVersion", version);
        const char *head = json_line(listing->table, &size);
        text_append(&reply->body, head, size - strlen("]}")); /* it ends with the empty rows */
    } else {
        char api_version[RESOURCE_TEXT];
        text_format(&reply->body,
                    "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":"
                    "{\"resourceVersion\":\"%s\"},\"items\":[",
                    listing->resource->kind, resource_api_version(listing->resource, api_version),
                    version);
    }
    text_append(&reply->body, listing->items.data, listing->items.size);
    text_add(&reply->body, "]}\n");
    if (request_flag(request, "pretty")) {
        struct json_object *list = json_tokener_parse(reply->body.data);
        text_clear(&reply->body);
        reply_json(request, reply, 200, list);
    }
}

static void list(struct server *server, const struct request *request, struct reply *reply,
                 const struct selector *selector, bool selects) {
    ipalloc_error error = {0};
    struct listing listing = {.server = server,
                              .resource = request->resource,
                              .selector = selects ? selector : NULL,
                              .error = &error};
    uint64_t revision = 0;
    if (wants_table(request, &listing.include)) {
        listing.table = table_new(request->resource, true, NULL);
    }
    int status = read_all(server, request, &listing, &revision);
    if (status == IPALLOC_OK) {
        reply_list(request, reply, &listing, revision);
    } else {
        struct outcome outcome = {0};
        error.status = status;
        outcome_library(&outcome, request->resource, "", &error);
        reply_outcome(request, reply, NULL, &outcome);
    }
    json_object_put(listing.table);
    text_clear(&listing.items);
}

static bool is_given(const struct request *request, const char *name) {
    const char *value = request_parameter(request, name);
    return value != NULL && value[0] != '\0';
}

void objects_list(struct server *server, const struct request *request, struct reply *reply) {
    struct text problem = {0};
    struct selector *selector = selector_parse(
        request->resource, request->namespace, request_parameter(request, "labelSelector"),
        request_parameter(request, "fieldSelector"), &problem);
    if (selector == NULL) {
        struct outcome outcome = {0};
        outcome_fail(&outcome, 400, "BadRequest", "%s", problem.data);
        reply_outcome(request, reply, NULL, &outcome);
    } else if (request_flag(request, "watch")) {
        watch_begin(server, request, reply, selector); /* takes the selector over */
        selector = NULL;
    } else {
        bool selects = is_given(request, "labelSelector") || is_given(request, "fieldSelector");
        list(server, request, reply, selector, selects);
    }
    selector_free(selector);
    text_clear(&problem);
}
