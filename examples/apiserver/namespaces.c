/*
 * namespaces.c: the kind Namespace. Those of a cluster's start are made at the first start. None is
 * ever deleted: what they hold would have to go first.
 */
#include "namespaces.h"

#include "object_store.h"
#include "record.h"
#include "service_rules.h"
#include "table.h"
#include "watch.h"

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

bool namespace_exists(struct server *server, const char *name) {
    char key[IPALLOC_RECORD_KEY_MAX];
    snprintf(key, sizeof key, "%s%s", resource_namespaces.record_prefix, name);
    if (is_built_in(name) ||
        (server->hub != NULL && hub_has(server->hub, &resource_namespaces, key))) {
        return true; /* none is ever deleted, so what was seen is there */
    }
    struct object_place place = {
        .server = server, .resource = &resource_namespaces, .namespace = "", .name = name};
    struct outcome outcome = {0};
    object_get(&place, &outcome);
    bool exists = outcome.code == 200;
    outcome_clear(&outcome);
    return exists;
}

void namespaces_ensure(struct server *server) {
    for (size_t i = 0; i < BUILT_IN_COUNT; i++) {
        struct object_place place = {.server = server,
                                     .resource = &resource_namespaces,
                                     .namespace = "",
                                     .name = built_in[i]};
        struct outcome outcome = {0};
        object_get(&place, &outcome);
        if (outcome.code == 404) {
            struct json_object *object = json_object_new_object();
            json_set_text(json_ensure(object, "metadata"), "name", built_in[i]);
            object_create(&place, object, &outcome);
            json_object_put(object);
        }
        bool made_by_another = outcome.code == 409 && server->shared;
        if (outcome.code != 200 && outcome.code != 201 && !made_by_another) {
            fprintf(stderr, "ipalloc-apiserver: namespace %s could not be made: %s\n", built_in[i],
                    json_member_text(outcome.value, "message"));
        }
        outcome_clear(&outcome);
    }
}

/* --- the descriptor --------------------------------------------------------------------------- */

static void fill_defaults(struct json_object *object) {
    struct json_object *finalizers = json_object_new_array();
    json_object_array_add(finalizers, json_object_new_string("kubernetes"));
    json_set(json_ensure(object, "spec"), "finalizers", finalizers);
    json_set_text(json_ensure(object, "status"), "phase", "Active");
}

static int set_name_label(ipalloc_txn *txn, const struct object_change *change,
                          ipalloc_error *error) {
    struct json_object *metadata = json_member(change->object, "metadata");
    const char *name = json_member_text(metadata, "name");
    json_set_text(json_ensure(metadata, "labels"), "kubernetes.io/metadata.name", name);
    (void)txn;
    (void)error;
    return IPALLOC_OK;
}

static void validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *metadata = json_member(object, "metadata");
    const char *name = json_member_text(metadata, "name");
    const char *rule = name_rule_dns1123(name);
    if (rule != NULL) {
        problem_add(problems, "FieldValueInvalid", "metadata.name", "Invalid value: \"%.63s\": %s",
                    name, rule);
    }
    metadata_validate(metadata, problems);
}

static void status_cell(struct text *out, struct json_object *object) {
    text_add(out, json_member_text(json_member(object, "status"), "phase"));
}

static const struct column columns[] = {
    {"Name", "string", "name", "The namespace's name.", 0, cell_name},
    {"Status", "string", "", "Active.", 0, status_cell},
    {"Age", "string", "", "Time since creation.", 0, cell_age},
};

static const struct field spec_fields[] = {
    {"finalizers", FIELD_TEXT_LIST, 1, false, NULL},
};
static const struct schema schema_spec = {"NamespaceSpec", spec_fields, SCHEMA_COUNT(spec_fields),
                                          false};

static const struct field status_fields[] = {
    {"conditions", FIELD_OBJECT_LIST, 2, false, &schema_condition},
    {"phase", FIELD_TEXT, 1, false, NULL},
};
static const struct schema schema_status = {"NamespaceStatus", status_fields,
                                            SCHEMA_COUNT(status_fields), false};

static const struct field namespace_fields[] = {
    {"apiVersion", FIELD_TEXT, 0, false, NULL},
    {"kind", FIELD_TEXT, 0, false, NULL},
    {"metadata", FIELD_OBJECT, 1, false, &schema_metadata},
    {"spec", FIELD_OBJECT, 2, false, &schema_spec},
    {"status", FIELD_OBJECT, 3, false, &schema_status},
};
static const struct schema schema_namespace = {"Namespace", namespace_fields,
                                               SCHEMA_COUNT(namespace_fields), false};

static const char *const short_names[] = {"ns", NULL};
static const char *const selectable[] = {"status.phase", NULL};

const struct resource resource_namespaces = {
    .group = "",
    .version = "v1",
    .kind = "Namespace",
    .plural = "namespaces",
    .singular = "namespace",
    .short_names = short_names,
    .verbs = VERB_ALL & ~(unsigned)VERB_DELETE,
    .record_prefix = "namespaces/",
    .schema = &schema_namespace,
    .columns = columns,
    .column_count = SCHEMA_COUNT(columns),
    .selectable = selectable,
    .fill_defaults = fill_defaults,
    .validate = validate,
    .create = set_name_label,
    .update = set_name_label,
};
