/* openapi.c: what OpenAPI says about the kinds of resource.h; see openapi.h. */
#include "openapi.h"

#include <stdio.h>
#include <string.h>

struct json_object *openapi_new(const char *member, const char *version) {
    struct json_object *document = json_object_new_object();
    json_set_text(document, member, version);
    struct json_object *info = json_ensure(document, "info");
    json_set_text(info, "title", "ipalloc-apiserver");
    json_set_text(info, "version", IPALLOC_VERSION_TEXT);
    return document;
}

static struct json_object *group_version_kind(const struct resource *resource) {
    struct json_object *out = json_object_new_object();
    json_set_text(out, "group", resource->group);
    json_set_text(out, "version", resource->version);
    json_set_text(out, "kind", resource->kind);
    return out;
}

static struct json_object *query_parameter(const char *name) {
    struct json_object *out = json_object_new_object();
    json_set_text(out, "name", name);
    json_set_text(out, "in", "query");
    json_set_text(json_ensure(out, "schema"), "type", "string");
    return out;
}

static void add_patch_path(struct json_object *paths, const struct resource *resource) {
    char api_version[RESOURCE_TEXT];
    char path[4 * RESOURCE_TEXT];
    snprintf(path, sizeof path, "/%s/%s/%s%s/{name}", resource->group[0] != '\0' ? "apis" : "api",
             resource_api_version(resource, api_version),
             resource->namespaced ? "namespaces/{namespace}/" : "", resource->plural);
    struct json_object *operation = json_ensure(json_ensure(paths, path), "patch");
    struct json_object *parameters = json_object_new_array();
    json_object_array_add(parameters, query_parameter("dryRun"));
    json_object_array_add(parameters, query_parameter("fieldValidation"));
    json_set(operation, "parameters", parameters);
    json_set_text(operation, "x-kubernetes-action", "patch");
    json_set(operation, "x-kubernetes-group-version-kind", group_version_kind(resource));
}

/* "io.k8s.api.core.v1.Service": the group's first label stands for it. */
static void add_schema(struct json_object *schemas, const struct resource *resource) {
    char name[4 * RESOURCE_TEXT];
    const char *group_name = resource->group[0] != '\0' ? resource->group : "core";
    snprintf(name, sizeof name, "io.k8s.api.%.*s.%s.%s", (int)strcspn(group_name, "."), group_name,
             resource->version, resource->kind);
    struct json_object *schema = schema_openapi(resource->schema);
    struct json_object *kinds = json_object_new_array();
    json_object_array_add(kinds, group_version_kind(resource));
    json_set(schema, "x-kubernetes-group-version-kind", kinds);
    json_set(schemas, name, schema);
}

void openapi_add(const struct resource *resource, struct json_object *paths,
                 struct json_object *schemas) {
    add_patch_path(paths, resource);
    add_schema(schemas, resource);
}

/* --- version 2 -------------------------------------------------------------------------------- */

/* A parameter's type stands in the parameter itself. */
static void lower_parameters(struct json_object *paths) {
    json_object_object_foreach(paths, path, item) {
        (void)path;
        struct json_object *parameters = json_at(item, "patch", "parameters", NULL);
        for (size_t i = 0; i < json_length(parameters); i++) {
            struct json_object *parameter = json_object_array_get_idx(parameters, i);
            json_set_text(parameter, "type",
                          json_member_text(json_member(parameter, "schema"), "type"));
            json_remove(parameter, "schema");
        }
    }
}

static struct json_object *document_v2(void) {
    struct json_object *document = openapi_new("swagger", "2.0");
    struct json_object *paths = json_ensure(document, "paths");
    struct json_object *definitions = json_ensure(document, "definitions");
    for (size_t i = 0; i < resource_count; i++) {
        openapi_add(resources[i], paths, definitions);
    }
    lower_parameters(paths);
    return document;
}

/* The content type of the protobuf form where the client asks for it, or NULL. Older ones ask for a
 * name that Go itself does not take for a media type, so it cannot be echoed. */
static const char *wanted_protobuf(const struct request *request) {
    static const char older[] = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    static const char newer[] = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    const char *accept = request_header(request, "Accept");
    if (accept == NULL) {
        return NULL;
    }
    return strstr(accept, newer) != NULL   ? newer
           : strstr(accept, older) != NULL ? "application/octet-stream"
                                           : NULL;
}

void openapi_v2_answer(const struct request *request, struct reply *reply) {
    struct json_object *document = document_v2();
    const char *protobuf = wanted_protobuf(request);
    if (protobuf == NULL) {
        reply_json(request, reply, 200, document);
        return;
    }
    reply->code = 200;
    reply->content_type = protobuf;
    gnostic_encode(document, &reply->body);
    json_object_put(document);
}
