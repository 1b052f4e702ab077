/*
 * discovery.c: /version, /api, /apis, /api/v1 and the little of /openapi/v3 that kubectl needs to
 * let the server validate fields (a patch path with a fieldValidation parameter) and to explain
 * them. /openapi/v2 is not served: kubectl takes its 404 well.
 */
#include "discovery.h"

#include "json.h"
#include "schema.h"

static void reply_text(struct reply *reply, const char *json) {
    reply->code = 200;
    reply->content_type = "application/json";
    text_add(&reply->body, json);
}

void discovery_version(struct server *server, const struct request *request, struct reply *reply) {
    (void)server;
    (void)request;
    reply_text(reply,
               "{\"major\":\"1\",\"minor\":\"" SERVER_KUBERNETES_MINOR
               "\",\"gitVersion\":\"v1." SERVER_KUBERNETES_MINOR ".0+ipalloc-" IPALLOC_VERSION_TEXT
               "\",\"gitCommit\":\"\",\"gitTreeState\":\"clean\",\"buildDate\":"
               "\"1970-01-01T00:00:00Z\",\"goVersion\":\"none\",\"compiler\":\"c17\","
               "\"platform\":\"linux\"}\n");
}

void discovery_versions(struct server *server, const struct request *request, struct reply *reply) {
    (void)server;
    (void)request;
    reply_text(reply, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],"
                      "\"serverAddressByClientCIDRs\":[]}\n");
}

void discovery_groups(struct server *server, const struct request *request, struct reply *reply) {
    (void)server;
    (void)request;
    reply_text(reply, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[]}\n");
}

void discovery_resources(struct server *server, const struct request *request,
                         struct reply *reply) {
    (void)server;
    (void)request;
    reply_text(
        reply,
        "{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":["
        "{\"name\":\"namespaces\",\"singularName\":\"namespace\",\"namespaced\":false,"
        "\"kind\":\"Namespace\",\"verbs\":[\"create\",\"get\",\"list\"],\"shortNames\":[\"ns\"]},"
        "{\"name\":\"services\",\"singularName\":\"service\",\"namespaced\":true,"
        "\"kind\":\"Service\",\"verbs\":[\"create\",\"delete\",\"get\",\"list\",\"patch\","
        "\"update\",\"watch\"],\"shortNames\":[\"svc\"],\"categories\":[\"all\"]},"
        "{\"name\":\"services/status\",\"singularName\":\"\",\"namespaced\":true,"
        "\"kind\":\"Service\",\"verbs\":[\"get\",\"patch\",\"update\"]}]}\n");
}

void discovery_openapi(struct server *server, const struct request *request, struct reply *reply) {
    (void)server;
    (void)request;
    reply_text(reply, "{\"paths\":{\"api/v1\":{\"serverRelativeURL\":"
                      "\"/openapi/v3/api/v1?hash=" IPALLOC_VERSION_TEXT "\"}}}\n");
}

static struct json_object *group_version_kind(const char *kind) {
    struct json_object *out = json_object_new_object();
    json_set_text(out, "group", "");
    json_set_text(out, "version", "v1");
    json_set_text(out, "kind", kind);
    return out;
}

static struct json_object *query_parameter(const char *name) {
    struct json_object *out = json_object_new_object();
    json_set_text(out, "name", name);
    json_set_text(out, "in", "query");
    json_set_text(json_ensure(out, "schema"), "type", "string");
    return out;
}

static void add_patch_path(struct json_object *paths, const char *path, const char *kind) {
    struct json_object *operation = json_ensure(json_ensure(paths, path), "patch");
    struct json_object *parameters = json_object_new_array();
    json_object_array_add(parameters, query_parameter("dryRun"));
    json_object_array_add(parameters, query_parameter("fieldValidation"));
    json_set(operation, "parameters", parameters);
    json_set_text(operation, "x-kubernetes-action", "patch");
    json_set(operation, "x-kubernetes-group-version-kind", group_version_kind(kind));
}

static void add_component(struct json_object *schemas, const char *name,
                          const struct schema *schema) {
    struct json_object *component = schema_openapi(schema);
    struct json_object *kinds = json_object_new_array();
    json_object_array_add(kinds, group_version_kind(schema->go_name));
    json_set(component, "x-kubernetes-group-version-kind", kinds);
    json_set(schemas, name, component);
}

void discovery_openapi_core(struct server *server, const struct request *request,
                            struct reply *reply) {
    (void)server;
    struct json_object *document = json_object_new_object();
    json_set_text(document, "openapi", "3.0.0");
    struct json_object *info = json_ensure(document, "info");
    json_set_text(info, "title", "ipalloc-apiserver");
    json_set_text(info, "version", IPALLOC_VERSION_TEXT);
    struct json_object *paths = json_ensure(document, "paths");
    add_patch_path(paths, "/api/v1/namespaces/{namespace}/services/{name}", "Service");
    add_patch_path(paths, "/api/v1/namespaces/{name}", "Namespace");
    struct json_object *schemas = json_ensure(json_ensure(document, "components"), "schemas");
    add_component(schemas, "io.k8s.api.core.v1.Namespace", &schema_namespace);
    add_component(schemas, "io.k8s.api.core.v1.Service", &schema_service);
    reply_json(request, reply, 200, document);
}
