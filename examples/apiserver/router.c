/* router.c: one table of paths; see router.h. ":namespace" and ":name" capture a part of the path.
 */
#include "router.h"

#include "discovery.h"
#include "namespaces.h"
#include "pages.h"
#include "service_handlers.h"
#include "status.h"

#include <stdio.h>
#include <string.h>

typedef void (*handler)(struct server *server, const struct request *request, struct reply *reply);

struct route {
    const char *path;
    handler handlers[METHOD_COUNT]; /* by enum method */
};

#define SERVICES "/api/v1/namespaces/:namespace/services"

static const struct route routes[] = {
    {"/", {[METHOD_GET] = page_index}},
    {"/healthz", {[METHOD_GET] = page_health}},
    {"/livez", {[METHOD_GET] = page_health}},
    {"/readyz", {[METHOD_GET] = page_ready}},
    {"/metrics", {[METHOD_GET] = page_metrics}},
    {"/version", {[METHOD_GET] = discovery_version}},
    {"/api", {[METHOD_GET] = discovery_versions}},
    {"/apis", {[METHOD_GET] = discovery_groups}},
    {"/api/v1", {[METHOD_GET] = discovery_resources}},
    {"/openapi/v3", {[METHOD_GET] = discovery_openapi}},
    {"/openapi/v3/api/v1", {[METHOD_GET] = discovery_openapi_core}},
    {"/api/v1/namespaces", {[METHOD_GET] = namespaces_list, [METHOD_POST] = namespaces_create}},
    {"/api/v1/namespaces/:name", {[METHOD_GET] = namespaces_get}},
    {"/api/v1/services", {[METHOD_GET] = services_list}},
    {SERVICES, {[METHOD_GET] = services_list, [METHOD_POST] = services_create}},
    {SERVICES "/:name",
     {[METHOD_GET] = services_get,
      [METHOD_PUT] = services_replace,
      [METHOD_PATCH] = services_patch,
      [METHOD_DELETE] = services_delete}},
    {SERVICES "/:name/status",
     {[METHOD_GET] = services_get,
      [METHOD_PUT] = services_replace_status,
      [METHOD_PATCH] = services_patch_status}},
};

/* The slot that a pattern's part captures into; NULL for a literal part. */
static char *capture_of(struct request *request, const char *part, size_t length) {
    if (length == strlen(":name") && memcmp(part, ":name", length) == 0) {
        return request->name;
    }
    bool namespace = length == strlen(":namespace") && memcmp(part, ":namespace", length) == 0;
    return namespace ? request->namespace : NULL;
}

static bool match_part(struct request *request, const char *part, size_t part_length,
                       const char *given, size_t given_length) {
    char *slot = capture_of(request, part, part_length);
    if (slot == NULL) {
        return part_length == given_length && memcmp(part, given, given_length) == 0;
    }
    if (given_length == 0 || given_length >= sizeof request->name) {
        return false;
    }
    memcpy(slot, given, given_length);
    slot[given_length] = '\0';
    return true;
}

static bool match(struct request *request, const char *pattern) {
    const char *path = request->path;
    while (*pattern == '/' && *path == '/') {
        size_t part = strcspn(++pattern, "/");
        size_t given = strcspn(++path, "/");
        if (!match_part(request, pattern, part, path, given)) {
            return false;
        }
        pattern += part;
        path += given;
    }
    return *pattern == '\0' && (*path == '\0' || strcmp(path, "/") == 0);
}

static void refuse(const struct request *request, struct reply *reply, int code, const char *reason,
                   const char *message) {
    struct outcome outcome = {0};
    outcome_fail(&outcome, code, reason, "%s", message);
    reply_json(request, reply, code, json_object_get(outcome.value));
    outcome_clear(&outcome);
}

static void refuse_method(const struct route *route, const struct request *request,
                          struct reply *reply) {
    reply->allow = route->handlers[METHOD_PUT] != NULL && route->handlers[METHOD_DELETE] != NULL
                       ? "GET, HEAD, PUT, PATCH, DELETE"
                   : route->handlers[METHOD_PUT] != NULL  ? "GET, HEAD, PUT, PATCH"
                   : route->handlers[METHOD_POST] != NULL ? "GET, HEAD, POST"
                                                          : "GET, HEAD";
    refuse(request, reply, 405, "MethodNotAllowed",
           "the server does not allow this method on the requested resource");
}

void router_answer(struct server *server, struct request *request, struct reply *reply) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        request->namespace[0] = request->name[0] = '\0';
        if (!match(request, routes[i].path)) {
            continue;
        }
        if (request->method == METHOD_OTHER || routes[i].handlers[request->method] == NULL) {
            refuse_method(&routes[i], request, reply);
        } else {
            routes[i].handlers[request->method](server, request, reply);
        }
        return;
    }
    refuse(request, reply, 404, "NotFound", "the server could not find the requested resource");
}
