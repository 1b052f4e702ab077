/*
 * discovery.c: /version, /api, /apis and what is below them, and the part of /openapi/v3 that
 * kubectl needs to let the server validate fields (a patch path with a fieldValidation parameter)
 * and to explain them. All of it follows from the descriptors of resource.h.
 */
#include "discovery.h"

#include "openapi.h"
#include "resource.h"

#include <stdio.h>
#include <string.h>

static struct json_object *document_new(const char *kind, bool versioned) {
    struct json_object *document = json_object_new_object();
    json_set_text(document, "kind", kind);
    if (versioned) {
        json_set_text(document, "apiVersion", "v1");
    }
    return document;
}

static struct json_object *list_at(struct json_object *object, const char *name) {
    struct json_object *list = json_object_new_array();
    json_set(object, name, list);
    return list;
}

static struct json_object *texts(const char *const *words) {
    struct json_object *list = json_object_new_array();
    for (; *words != NULL; words++) {
        json_object_array_add(list, json_object_new_string(*words));
    }
    return list;
}

static struct json_object *version_document(void) {
    struct json_object *document = json_object_new_object();
    json_set_text(document, "major", "1");
    json_set_text(document, "minor", SERVER_KUBERNETES_MINOR);
    json_set_text(document, "gitVersion",
                  "v1." SERVER_KUBERNETES_MINOR ".0+ipalloc-" IPALLOC_VERSION_TEXT);
    json_set_text(document, "gitCommit", "");
    json_set_text(document, "gitTreeState", "clean");
    json_set_text(document, "buildDate", "1970-01-01T00:00:00Z");
    json_set_text(document, "goVersion", "none");
    json_set_text(document, "compiler", "c17");
    json_set_text(document, "platform", "linux");
    return document;
}

/* --- groups and versions ---------------------------------------------------------------------- */

static bool same_version(const struct resource *a, const struct resource *b) {
    return strcmp(a->group, b->group) == 0 && strcmp(a->version, b->version) == 0;
}

/* Is it the first of its group and version in the table? Each group has one version. */
static bool opens_version(size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (same_version(resources[i], resources[index])) {
            return false;
        }
    }
    return true;
}

static struct json_object *core_versions(void) {
    static const char *const versions[] = {"v1", NULL};
    struct json_object *document = document_new("APIVersions", false);
    json_set(document, "versions", texts(versions));
    list_at(document, "serverAddressByClientCIDRs");
    return document;
}

static struct json_object *group_version(const struct resource *resource) {
    char api_version[RESOURCE_TEXT];
    struct json_object *out = json_object_new_object();
    json_set_text(out, "groupVersion", resource_api_version(resource, api_version));
    json_set_text(out, "version", resource->version);
    return out;
}

static void describe_group(struct json_object *out, const struct resource *resource) {
    json_set_text(out, "name", resource->group);
    json_object_array_add(list_at(out, "versions"), group_version(resource));
    json_set(out, "preferredVersion", group_version(resource));
}

static struct json_object *groups(void) {
    struct json_object *document = document_new("APIGroupList", true);
    struct json_object *list = list_at(document, "groups");
    for (size_t i = 0; i < resource_count; i++) {
        if (resources[i]->group[0] != '\0' && opens_version(i)) {
            struct json_object *group = json_object_new_object();
            describe_group(group, resources[i]);
            json_object_array_add(list, group);
        }
    }
    return document;
}

static struct json_object *group(const char *name) {
    for (size_t i = 0; i < resource_count; i++) {
        if (name[0] != '\0' && strcmp(resources[i]->group, name) == 0) {
            struct json_object *document = document_new("APIGroup", true);
            describe_group(document, resources[i]);
            return document;
        }
    }
    return NULL;
}

/* --- the kinds of one version ----------------------------------------------------------------- */

static struct json_object *verbs(unsigned set) {
    static const struct {
        enum verb verb;
        const char *name;
    } names[] = {{VERB_CREATE, "create"}, {VERB_DELETE, "delete"}, {VERB_GET, "get"},
                 {VERB_LIST, "list"},     {VERB_PATCH, "patch"},   {VERB_UPDATE, "update"},
                 {VERB_WATCH, "watch"}};
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((set & names[i].verb) != 0) {
            json_object_array_add(list, json_object_new_string(names[i].name));
        }
    }
    return list;
}

static struct json_object *describe(const struct resource *resource, bool status) {
    char name[RESOURCE_TEXT];
    struct json_object *out = json_object_new_object();
    snprintf(name, sizeof name, "%s%s", resource->plural, status ? "/status" : "");
    json_set_text(out, "name", name);
    json_set_text(out, "singularName", status ? "" : resource->singular);
    json_set(out, "namespaced", json_object_new_boolean(resource->namespaced));
    json_set_text(out, "kind", resource->kind);
    unsigned of_status = VERB_GET | VERB_PATCH | VERB_UPDATE;
    json_set(out, "verbs", verbs(status ? resource->verbs & of_status : resource->verbs));
    if (resource->short_names != NULL && !status) {
        json_set(out, "shortNames", texts(resource->short_names));
    }
    if (resource->categories != NULL && !status) {
        json_set(out, "categories", texts(resource->categories));
    }
    return out;
}

static struct json_object *kinds(const struct resource *version) {
    char api_version[RESOURCE_TEXT];
    struct json_object *document = document_new("APIResourceList", version->group[0] != '\0');
    json_set_text(document, "groupVersion", resource_api_version(version, api_version));
    struct json_object *list = list_at(document, "resources");
    for (size_t i = 0; i < resource_count; i++) {
        if (same_version(resources[i], version)) {
            json_object_array_add(list, describe(resources[i], false));
        }
        if (same_version(resources[i], version) && resources[i]->has_status) {
            json_object_array_add(list, describe(resources[i], true));
        }
    }
    return document;
}

/* --- OpenAPI ---------------------------------------------------------------------------------- */

static struct json_object *openapi_version(const struct resource *version) {
    struct json_object *document = openapi_new("openapi", "3.0.0");
    struct json_object *paths = json_ensure(document, "paths");
    struct json_object *schemas = json_ensure(json_ensure(document, "components"), "schemas");
    for (size_t i = 0; i < resource_count; i++) {
        if (same_version(resources[i], version)) {
            openapi_add(resources[i], paths, schemas);
        }
    }
    return document;
}

static struct json_object *openapi(void) {
    struct json_object *document = json_object_new_object();
    struct json_object *paths = json_ensure(document, "paths");
    for (size_t i = 0; i < resource_count; i++) {
        char api_version[RESOURCE_TEXT];
        char path[2 * RESOURCE_TEXT];
        char url[4 * RESOURCE_TEXT];
        if (!opens_version(i)) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", resources[i]->group[0] != '\0' ? "apis" : "api",
                 resource_api_version(resources[i], api_version));
        snprintf(url, sizeof url, "/openapi/v3/%s?hash=" IPALLOC_VERSION_TEXT, path);
        json_set_text(json_ensure(paths, path), "serverRelativeURL", url);
    }
    return document;
}

/* --- paths ------------------------------------------------------------------------------------ */

/* The group and version that "/api/v1" or "/apis/GROUP/VERSION" speaks of; NULL: none of ours. */
static const struct resource *version_of(const char *path) {
    bool core = text_starts_with(path, "/api/");
    if (!core && !text_starts_with(path, "/apis/")) {
        return NULL;
    }
    path += strlen(core ? "/api/" : "/apis/");
    for (size_t i = 0; i < resource_count; i++) {
        char api_version[RESOURCE_TEXT];
        bool is_core = resources[i]->group[0] == '\0';
        if (is_core == core && strcmp(resource_api_version(resources[i], api_version), path) == 0) {
            return resources[i];
        }
    }
    return NULL;
}

static struct json_object *document_of(const char *path) {
    static const char openapi_prefix[] = "/openapi/v3";
    static const struct {
        const char *path;
        struct json_object *(*make)(void);
    } fixed[] = {{"/version", version_document},
                 {"/api", core_versions},
                 {"/apis", groups},
                 {openapi_prefix, openapi}};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(path, fixed[i].path) == 0) {
            return fixed[i].make();
        }
    }
    bool schemas = text_starts_with(path, openapi_prefix);
    const struct resource *version = version_of(path + (schemas ? strlen(openapi_prefix) : 0));
    if (version != NULL) {
        return schemas ? openapi_version(version) : kinds(version);
    }
    return text_starts_with(path, "/apis/") ? group(path + strlen("/apis/")) : NULL;
}

bool discovery_answer(const struct request *request, struct reply *reply) {
    char path[4 * RESOURCE_TEXT];
    size_t length = strlen(request->path);
    if (length >= sizeof path) {
        return false;
    }
    memcpy(path, request->path, length + 1);
    if (length > 1 && path[length - 1] == '/') {
        path[length - 1] = '\0';
    }
    if (strcmp(path, "/openapi/v2") == 0) {
        openapi_v2_answer(request, reply);
        return true;
    }
    struct json_object *document = document_of(path);
    if (document != NULL) {
        reply_json(request, reply, 200, document);
    }
    return document != NULL;
}
