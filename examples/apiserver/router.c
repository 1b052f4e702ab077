/*
 * router.c: what answers a path; see router.h. Pages and discovery have a table of their own; the
 * paths of objects follow from the descriptors of resource.h:
 *
 *   /api/VERSION/... and /apis/GROUP/VERSION/...
 *       PLURAL[/NAME[/status]]                           cluster-wide; lists of all namespaces
 *       namespaces/NAMESPACE/PLURAL[/NAME[/status]]      of one namespace
 */
#include "router.h"

#include "admin_pages.h"
#include "body.h"
#include "discovery.h"
#include "json.h"
#include "object_handlers.h"
#include "pages.h"
#include "resource.h"
#include "server.h"
#include "status.h"

#include <string.h>

typedef void (*handler)(struct server *server, const struct request *request, struct reply *reply);

static const struct page {
    const char *path;
    handler get;
    bool quick;      /* nothing is waited for */
    bool asks_store; /* else it is memory that answers */
} pages[] = {
    {"/", page_index, false, false},          {"/healthz", page_health, true, false},
    {"/livez", page_health, true, false},     {"/readyz", page_ready, false, true},
    {"/metrics", page_metrics, false, false},
};

static void refuse_method(const struct request *request, struct reply *reply, const char *allow) {
    const char *why = request->resource != NULL ? request->resource->no_write : NULL;
    struct outcome outcome = {0};
    outcome_fail(&outcome, 405, "MethodNotAllowed",
                 "the server does not allow this method on the requested resource%s%s",
                 why != NULL ? ": " : "", why != NULL ? why : "");
    reply->allow = allow;
    reply_outcome(request, reply, NULL, &outcome);
}

static bool same_path(const char *given, const char *path) {
    size_t length = strlen(path);
    return strncmp(given, path, length) == 0 &&
           (given[length] == '\0' || (length > 1 && strcmp(given + length, "/") == 0));
}

static const struct page *find_page(const char *path) {
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (same_path(path, pages[i].path)) {
            return &pages[i];
        }
    }
    return NULL;
}

bool router_is_quick(const struct request *request) {
    const struct page *page = find_page(request->path);
    return page != NULL && page->quick;
}

/* --- while the store does not answer ------------------------------------------------------------
 */

/* The words of a refusal: a Status', an operation's, or a page's. */
static void add_reason(struct text *out, const struct reply *reply) {
    struct text ignored = {0};
    struct json_object *value = json_parse(reply->body.data, reply->body.size, &ignored);
    const char *message = json_member_text(value, "message");
    text_add(out, message[0] != '\0' ? message : reply->body.data);
    json_object_put(value);
    text_clear(&ignored);
}

/* What another request was told may be about a write, which this one need not be. */
static void refuse_for_store(const struct request *request, struct reply *reply,
                             const char *others) {
    struct outcome outcome = {0};
    struct text text = {0};
    text_format(&text, "the store was not asked, since it left another request without answer: %s",
                others);
    const char *why = text.data;
    if (text_starts_with(request->path, ADMIN_PAGES)) {
        admin_pages_unavailable(request, reply, why);
    } else if (request->resource == NULL) {
        page_unavailable(reply, why);
    } else {
        outcome_fail(&outcome, 503, "ServiceUnavailable", "%s", why);
        reply_outcome(request, reply, NULL, &outcome);
    }
    text_clear(&text);
}

static enum store_answer store_answer_of(const struct reply *reply) {
    return reply->store_silent                         ? STORE_SILENT
           : reply->code < 300 && reply->watch == NULL ? STORE_ANSWERED
                                                       : STORE_NOT_ASKED;
}

/* What needs the store is not tried by every request for itself while it is silent. */
static void answer_by_store(struct server *server, const struct request *request,
                            struct reply *reply, handler answer) {
    struct text why = {0};
    bool tries = false;
    if (!server->shared) {
        answer(server, request, reply);
    } else if (store_gate_enter(&server->gate, request->arrived_ms, &tries, &why)) {
        answer(server, request, reply);
        enum store_answer came = store_answer_of(reply);
        if (came == STORE_SILENT) {
            add_reason(&why, reply);
        }
        store_gate_leave(&server->gate, tries, came, why.data);
    } else {
        refuse_for_store(request, reply, why.data);
    }
    text_clear(&why);
}

/* --- the paths of objects --------------------------------------------------------------------- */

/* The next part of a path, up to a slash. False where it is empty or too long. */
static bool take_part(const char **path, char *out, size_t capacity) {
    size_t length = strcspn(*path, "/");
    if (length == 0 || length >= capacity) {
        return false;
    }
    memcpy(out, *path, length);
    out[length] = '\0';
    *path += length + ((*path)[length] == '/' ? 1 : 0);
    return true;
}

static bool starts_with_part(const char *path, const char *part) {
    size_t length = strlen(part);
    return strncmp(path, part, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* "namespaces/NAMESPACE/PLURAL...", but not a namespace's own subresource. */
static bool take_namespace(const char **path, char *out, size_t capacity) {
    const char *at = *path;
    char word[sizeof((struct request *)NULL)->name];
    bool taken = take_part(&at, word, sizeof word) && strcmp(word, "namespaces") == 0 &&
                 take_part(&at, out, capacity) && *at != '\0' && !starts_with_part(at, "status");
    if (taken) {
        *path = at;
    } else {
        out[0] = '\0';
    }
    return taken;
}

/* Group and version, and what is left of the path. */
static bool take_group(const char **path, char *group, char *version, size_t capacity) {
    group[0] = '\0';
    if (text_starts_with(*path, "/api/")) {
        *path += strlen("/api/");
    } else if (text_starts_with(*path, "/apis/")) {
        *path += strlen("/apis/");
        if (!take_part(path, group, capacity)) {
            return false;
        }
    } else {
        return false;
    }
    return take_part(path, version, capacity);
}

/* Which object or list a path is about, filled into the request. False: it is not about any. */
static bool find_object(struct request *request) {
    const char *path = request->path;
    char group[RESOURCE_TEXT];
    char version[RESOURCE_TEXT];
    char plural[RESOURCE_TEXT];
    if (!take_group(&path, group, version, RESOURCE_TEXT)) {
        return false;
    }
    bool in_namespace = take_namespace(&path, request->namespace, sizeof request->namespace);
    if (!take_part(&path, plural, sizeof plural)) {
        return false;
    }
    const struct resource *resource = resource_find(group, version, plural);
    if (resource == NULL || (in_namespace && !resource->namespaced)) {
        return false;
    }
    if (*path != '\0' && !take_part(&path, request->name, sizeof request->name)) {
        return false;
    }
    if (resource->namespaced && !in_namespace && request->name[0] != '\0') {
        return false;
    }
    if (*path != '\0') {
        request->status = resource->has_status && strcmp(path, "status") == 0;
        if (!request->status) {
            return false;
        }
    }
    request->resource = resource;
    return true;
}

/* --- verbs ------------------------------------------------------------------------------------ */

/* What a path can be asked to do, by method. */
struct choice {
    unsigned verb; /* enum verb */
    handler handler;
};

static const struct choice on_list[METHOD_COUNT] = {
    [METHOD_GET] = {VERB_LIST, objects_list},
    [METHOD_POST] = {VERB_CREATE, objects_create},
};

static const struct choice on_object[METHOD_COUNT] = {
    [METHOD_GET] = {VERB_GET, objects_get},
    [METHOD_PUT] = {VERB_UPDATE, objects_replace},
    [METHOD_PATCH] = {VERB_PATCH, objects_patch},
    [METHOD_DELETE] = {VERB_DELETE, objects_delete},
};

static bool can(const struct request *request, enum method method) {
    const struct resource *resource = request->resource;
    const struct choice *choices = request->name[0] != '\0' ? on_object : on_list;
    bool everywhere = resource->namespaced && request->namespace[0] == '\0';
    return (choices[method].verb & resource->verbs) != 0 &&
           !(request->status && method == METHOD_DELETE) && !(everywhere && method == METHOD_POST);
}

static const char *allowed(const struct request *request) {
    bool writes = can(request, METHOD_PUT);
    return writes && can(request, METHOD_DELETE) ? "GET, HEAD, PUT, PATCH, DELETE"
           : writes                              ? "GET, HEAD, PUT, PATCH"
           : can(request, METHOD_POST)           ? "GET, HEAD, POST"
                                                 : "GET, HEAD";
}

static void answer_object(struct server *server, const struct request *request,
                          struct reply *reply) {
    const struct choice *choices = request->name[0] != '\0' ? on_object : on_list;
    if (request->method == METHOD_OTHER || !can(request, request->method)) {
        refuse_method(request, reply, allowed(request));
    } else {
        answer_by_store(server, request, reply, choices[request->method].handler);
    }
}

void router_answer(struct server *server, struct request *request, struct reply *reply) {
    request->namespace[0] = request->name[0] = '\0';
    request->resource = NULL;
    request->status = false;
    const struct page *page = find_page(request->path);
    if (page != NULL && request->method != METHOD_GET) {
        refuse_method(request, reply, "GET, HEAD");
    } else if (page != NULL && page->asks_store) {
        answer_by_store(server, request, reply, page->get);
    } else if (page != NULL) {
        page->get(server, request, reply);
    } else if (text_starts_with(request->path, ADMIN_PAGES)) {
        answer_by_store(server, request, reply, admin_pages_answer);
    } else if (find_object(request)) {
        answer_object(server, request, reply);
    } else if (!discovery_answer(request, reply)) {
        struct outcome outcome = {0};
        outcome_fail(&outcome, 404, "NotFound", "the server could not find the requested resource");
        reply_outcome(request, reply, NULL, &outcome);
    } else if (request->method != METHOD_GET) {
        text_clear(&reply->body);
        refuse_method(request, reply, "GET, HEAD");
    }
}
