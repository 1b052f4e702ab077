/*
 * namespaces.c: get, list and create namespaces. Those of a cluster's start are always there and
 * kept nowhere; others are records. None is ever deleted: what they hold would have to go first.
 */
#include "namespaces.h"

#include "body.h"
#include "record.h"
#include "service_rules.h"

#include <stdio.h>
#include <string.h>

static const char *const built_in[] = {"default", "kube-node-lease", "kube-public", "kube-system"};

#define BUILT_IN_COUNT (sizeof built_in / sizeof built_in[0])

static bool is_built_in(const char *name) {
    for (size_t i = 0; i < BUILT_IN_COUNT; i++) {
        if (strcmp(name, built_in[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void finish_namespace(struct json_object *object) {
    struct json_object *finalizers = json_object_new_array();
    json_object_array_add(finalizers, json_object_new_string("kubernetes"));
    json_set(json_ensure(object, "spec"), "finalizers", finalizers);
    json_set_text(json_ensure(object, "status"), "phase", "Active");
}

static void set_name_label(struct json_object *metadata, const char *name) {
    json_set_text(json_ensure(metadata, "labels"), "kubernetes.io/metadata.name", name);
}

static struct json_object *built_in_object(const struct server *server, const char *name) {
    char moment[32];
    struct tm then;
    gmtime_r(&server->started, &then);
    strftime(moment, sizeof moment, "%Y-%m-%dT%H:%M:%SZ", &then);
    struct json_object *object = json_object_new_object();
    json_set_text(object, "apiVersion", "v1");
    json_set_text(object, "kind", "Namespace");
    struct json_object *metadata = json_ensure(object, "metadata");
    json_set_text(metadata, "creationTimestamp", moment);
    set_name_label(metadata, name);
    json_set_text(metadata, "name", name);
    json_set_text(metadata, "resourceVersion", "1");
    finish_namespace(object);
    return object;
}

static int read_namespace(struct server *server, const char *name, struct json_object **object,
                          ipalloc_error *error) {
    char key[IPALLOC_RECORD_KEY_MAX];
    if (is_built_in(name)) {
        *object = built_in_object(server, name);
        return IPALLOC_OK;
    }
    *object = NULL;
    if (name_rule_dns1123(name) != NULL) {
        return IPALLOC_E_NOT_FOUND;
    }
    snprintf(key, sizeof key, NAMESPACE_PREFIX "%s", name);
    int status = record_read(server, key, object, NULL, error);
    if (status == IPALLOC_OK) {
        finish_namespace(*object);
    }
    return status;
}

bool namespace_exists(struct server *server, const char *name) {
    struct json_object *object = NULL;
    ipalloc_error error = {0};
    bool exists = is_built_in(name) || read_namespace(server, name, &object, &error) == IPALLOC_OK;
    json_object_put(object);
    return exists;
}

void namespaces_get(struct server *server, const struct request *request, struct reply *reply) {
    struct outcome outcome = {0};
    struct json_object *object;
    ipalloc_error error = {0};
    int status = read_namespace(server, request->name, &object, &error);
    if (status == IPALLOC_OK) {
        outcome_set(&outcome, 200, object);
    } else if (status == IPALLOC_E_NOT_FOUND) {
        outcome_not_found(&outcome, "namespaces", request->name);
    } else {
        outcome_library(&outcome, request->name, &error);
    }
    reply_outcome(request, reply, "Namespace", &outcome);
}

/* --- list ------------------------------------------------------------------------------------- */

struct listing {
    struct server *server;
    struct json_object *items;
    ipalloc_error *error;
};

static int see_namespace(void *context, const ipalloc_entry *entry) {
    struct listing *listing = context;
    struct json_object *object = record_parse(listing->server, entry, listing->error);
    if (object == NULL) {
        return IPALLOC_E_CORRUPT;
    }
    finish_namespace(object);
    json_object_array_add(listing->items, object);
    return IPALLOC_OK;
}

static void reply_items(const struct request *request, struct reply *reply,
                        struct json_object *items, const char *version) {
    enum table_object include;
    if (wants_table(request, &include)) {
        struct json_object *table = table_new("Namespace", true, version);
        for (size_t i = 0; i < json_length(items); i++) {
            table_add(table, "Namespace", json_object_array_get_idx(items, i), include);
        }
        reply_json(request, reply, 200, table);
        return;
    }
    struct json_object *value = json_object_new_object();
    json_set_text(value, "kind", "NamespaceList");
    json_set_text(value, "apiVersion", "v1");
    json_set_text(json_ensure(value, "metadata"), "resourceVersion", version);
    json_set(value, "items", json_object_get(items));
    reply_json(request, reply, 200, value);
}

void namespaces_list(struct server *server, const struct request *request, struct reply *reply) {
    ipalloc_error error = {0};
    struct listing listing = {.server = server, .error = &error};
    uint64_t revision = 0;
    char version[RESOURCE_VERSION_TEXT];
    listing.items = json_object_new_array();
    for (size_t i = 0; i < BUILT_IN_COUNT; i++) {
        json_object_array_add(listing.items, built_in_object(server, built_in[i]));
    }
    int status = ipalloc_record_scan(server->registry, NAMESPACE_PREFIX, NULL, 0, see_namespace,
                                     &listing, &revision, &error);
    if (status == IPALLOC_OK) {
        resource_version_format(server, revision, version);
        reply_items(request, reply, listing.items, version);
    } else {
        struct outcome outcome = {0};
        error.status = status;
        outcome_library(&outcome, "", &error);
        reply_outcome(request, reply, "", &outcome);
    }
    json_object_put(listing.items);
}

/* --- create ----------------------------------------------------------------------------------- */

struct creation {
    struct json_object *object;
    char key[IPALLOC_RECORD_KEY_MAX];
};

static int create_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct creation *creation = context;
    return record_put(txn, creation->key, creation->object, IPALLOC_REVISION_ABSENT, error);
}

static void store_namespace(struct server *server, struct json_object *object, const char *name,
                            bool dry_run, struct outcome *outcome) {
    struct creation creation = {.object = object};
    uint64_t revision = 0;
    ipalloc_error error = {0};
    ipalloc_txn_options options = {.size = sizeof options, .dry_run = dry_run};
    char version[RESOURCE_VERSION_TEXT];
    if (namespace_exists(server, name)) {
        outcome_exists(outcome, "namespaces", name);
        return;
    }
    snprintf(creation.key, sizeof creation.key, NAMESPACE_PREFIX "%s", name);
    int status =
        ipalloc_transact(server->registry, &options, create_body, &creation, &revision, &error);
    error.status = status;
    if (status == IPALLOC_E_CONFLICT) {
        outcome_exists(outcome, "namespaces", name);
    } else if (status != IPALLOC_OK) {
        outcome_library(outcome, name, &error);
    } else {
        resource_version_format(server, revision, version);
        json_set_text(json_member(object, "metadata"), "resourceVersion", version);
        finish_namespace(object);
        outcome_set(outcome, 201, json_object_get(object));
    }
}

static void create_namespace(struct server *server, struct json_object *object, bool dry_run,
                             struct outcome *outcome) {
    struct json_object *metadata = json_ensure(object, "metadata");
    char name[64];
    snprintf(name, sizeof name, "%s", json_member_text(metadata, "name"));
    const char *rule = name_rule_dns1123(json_member_text(metadata, "name"));
    ipalloc_service_problems problems = {.size = sizeof problems};
    if (rule != NULL) {
        problem_add(&problems, "FieldValueInvalid", "metadata.name", "Invalid value: \"%s\": %s",
                    name, rule);
    }
    metadata_validate(metadata, &problems);
    if (problems.count > 0) {
        outcome_problems(outcome, "Namespace", name, &problems);
        return;
    }
    json_set_text(object, "apiVersion", "v1");
    json_set_text(object, "kind", "Namespace");
    record_stamp(metadata);
    set_name_label(metadata, name);
    json_remove(metadata, "namespace");
    struct text ignored = {0};
    struct text problem = {0};
    struct json_object *ordered = schema_decode(&schema_namespace, object, &ignored, &problem);
    store_namespace(server, ordered, name, dry_run, outcome);
    json_object_put(ordered);
    text_clear(&ignored);
    text_clear(&problem);
}

void namespaces_create(struct server *server, const struct request *request, struct reply *reply) {
    struct outcome outcome = {0};
    struct json_object *object = NULL;
    bool dry_run = false;
    if (body_dry_run(request, &dry_run, &outcome)) {
        object = body_decode(request, &schema_namespace, reply, &outcome);
    }
    if (object != NULL) {
        create_namespace(server, object, dry_run, &outcome);
    }
    json_object_put(object);
    reply_outcome(request, reply, "Namespace", &outcome);
}
