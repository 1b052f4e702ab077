/*
 * service_store.c: create, read and update; see service_store.h, and service_delete.c.
 *
 * The body of every transaction may run again after a conflict, so it reads the record afresh and
 * leaves what it found in `struct write`, which outlives it. The owner of the addresses is
 * Service/NAMESPACE/NAME/UID: a Service deleted and made again under its name is another owner.
 */
#include "service_store.h"

#include "namespaces.h"
#include "record.h"
#include "schema.h"
#include "service_fields.h"
#include "service_rules.h"
#include "service_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATED_SUFFIX   5
#define GENERATED_BASE_MAX 58 /* 63 less the suffix */
#define GENERATED_ATTEMPTS 8

void write_begin(struct write *write, const struct service_place *place, struct outcome *outcome) {
    *write = (struct write){.place = place, .outcome = outcome};
    write->problems.size = sizeof write->problems;
    snprintf(write->key, sizeof write->key, SERVICE_PREFIX "%s/%s", place->namespace, place->name);
}

void write_set_owner(struct write *write, const char *uid) {
    snprintf(write->owner, sizeof write->owner, "Service/%s/%s/%s", write->place->namespace,
             write->place->name, uid);
}

int write_refuse(struct write *write) {
    write->decided = true;
    return IPALLOC_E_INVALID;
}

static bool is_refusal(int status) {
    return status == IPALLOC_E_INVALID || status == IPALLOC_E_TAKEN ||
           status == IPALLOC_E_NOT_IN_RANGE || status == IPALLOC_E_FULL;
}

int write_run(struct write *write, ipalloc_txn_body body) {
    ipalloc_error error = {0};
    uint64_t revision = 0;
    struct server *server = write->place->server;
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = write->owner, .dry_run = write->place->dry_run};
    int status = ipalloc_transact(server->registry, &options, body, write, &revision, &error);
    if (status == IPALLOC_OK) {
        write->revision = write->unchanged ? write->revision : revision;
        if (!write->unchanged && !write->place->dry_run) {
            hub_wake(server->hub);
        }
        return status;
    }
    error.status = status;
    if (write->decided) {
        return status;
    }
    if (write->problems.count > 0 && is_refusal(status)) {
        outcome_problems(write->outcome, "Service", write->place->name, &write->problems);
    } else if (status == IPALLOC_E_TAKEN) {
        outcome_fail(write->outcome, 413, "RequestEntityTooLarge", "%s", error.message);
    } else {
        outcome_library(write->outcome, write->place->name, &error);
    }
    return status;
}

void write_succeed(struct write *write, int code) {
    char version[RESOURCE_VERSION_TEXT];
    if (write->revision != 0) {
        resource_version_format(write->place->server, write->revision, version);
        json_set_text(json_member(write->object, "metadata"), "resourceVersion", version);
    }
    outcome_set(write->outcome, code, json_object_get(write->object));
}

void write_end(struct write *write) {
    json_object_put(write->object);
    free(write->fields);
}

/* Fields in their order, so that equal objects are equal text. */
static struct json_object *canonical(struct json_object *object) {
    struct text ignored = {0};
    struct text problem = {0};
    struct json_object *out = schema_decode(&schema_service, object, &ignored, &problem);
    text_clear(&ignored);
    text_clear(&problem);
    return out;
}

/* Keep what the transaction's body made; what an earlier run made goes. */
static void keep_object(struct write *write, struct json_object *object) {
    json_object_put(write->object);
    write->object = canonical(object);
}

static bool owns_ingress(const struct server *server) {
    return server->pools.load_balancer[0] != NULL || server->pools.load_balancer[1] != NULL;
}

/* --- create ----------------------------------------------------------------------------------- */

struct creation {
    struct write write;
    struct json_object *object; /* as asked for, defaulted and judged */
};

/* Run the library's rules over a fresh copy, and put object and addresses together. */
static int create_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct creation *creation = context;
    struct write *write = &creation->write;
    struct server *server = write->place->server;
    struct json_object *present = NULL;
    int status = record_read(server, write->key, &present, NULL, error);
    json_object_put(present);
    if (status == IPALLOC_OK) {
        outcome_exists(write->outcome, "services", write->place->name);
        write->exists = true;
        return write_refuse(write);
    }
    if (status != IPALLOC_E_NOT_FOUND) {
        return status;
    }
    struct json_object *object = json_copy(creation->object);
    service_fields_read(object, write->fields);
    write->problems.count = 0;
    status = ipalloc_service_create(txn, &server->pools, &write->fields->service, &write->problems,
                                    error);
    if (status == IPALLOC_OK) {
        service_fields_write(object, write->fields, owns_ingress(server));
        keep_object(write, object);
        status = record_put(txn, write->key, write->object, IPALLOC_REVISION_ABSENT, error);
    }
    json_object_put(object);
    return status;
}

/* Returns whether the name was taken, which a generated name may try again. */
static bool create_named(const struct service_place *place, struct json_object *object,
                         struct outcome *outcome) {
    struct creation creation = {.object = object};
    write_begin(&creation.write, place, outcome);
    creation.write.fields = memory_allocate(sizeof *creation.write.fields);
    write_set_owner(&creation.write, json_member_text(json_member(object, "metadata"), "uid"));
    service_validate(object, &creation.write.problems);
    if (creation.write.problems.count > 0) {
        outcome_problems(outcome, "Service", place->name, &creation.write.problems);
    } else if (write_run(&creation.write, create_body) == IPALLOC_OK) {
        write_succeed(&creation.write, 201);
    }
    write_end(&creation.write);
    return creation.write.exists;
}

static void generate_name(const char *base, char out[64]) {
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    char uid[UID_TEXT];
    uid_make(uid);
    uint64_t random = strtoull(uid + 24, NULL, 16); /* 48 random bits */
    int length = snprintf(out, 64, "%.*s", GENERATED_BASE_MAX, base);
    for (int i = 0; i < GENERATED_SUFFIX; i++) {
        out[length++] = letters[random % (sizeof letters - 1)];
        random /= sizeof letters - 1;
    }
    out[length] = '\0';
}

static void create_generated(const struct service_place *place, struct json_object *object,
                             struct outcome *outcome) {
    struct json_object *metadata = json_member(object, "metadata");
    struct service_place named = *place;
    char name[64];
    bool again = true;
    for (int i = 0; again && i < GENERATED_ATTEMPTS; i++) {
        generate_name(json_member_text(metadata, "generateName"), name);
        json_set_text(metadata, "name", name);
        named.name = name;
        again = create_named(&named, object, outcome);
    }
}

/* What an object to be made may not say. */
static bool may_create(const struct service_place *place, struct json_object *metadata,
                       struct outcome *outcome) {
    const char *namespace = json_member_text(metadata, "namespace");
    if (namespace[0] != '\0' && strcmp(namespace, place->namespace) != 0) {
        outcome_fail(outcome, 400, "BadRequest",
                     "the namespace of the provided object does not match the namespace sent on "
                     "the request");
        return false;
    }
    if (json_member_text(metadata, "resourceVersion")[0] != '\0') {
        outcome_fail(outcome, 400, "BadRequest",
                     "resourceVersion should not be set on objects to be created");
        return false;
    }
    if (!namespace_exists(place->server, place->namespace)) {
        outcome_not_found(outcome, "namespaces", place->namespace);
        return false;
    }
    return true;
}

void service_create(const struct service_place *place, struct json_object *object,
                    struct outcome *outcome) {
    struct json_object *metadata = json_ensure(object, "metadata");
    if (!may_create(place, metadata, outcome)) {
        return;
    }
    json_set_text(object, "apiVersion", "v1");
    json_set_text(object, "kind", "Service");
    json_set_text(metadata, "namespace", place->namespace);
    record_stamp(metadata);
    json_remove(object, "status");
    service_default(object);
    struct service_place named = *place;
    named.name = json_member_text(metadata, "name");
    if (named.name[0] != '\0') {
        create_named(&named, object, outcome);
    } else if (json_member_text(metadata, "generateName")[0] != '\0') {
        create_generated(place, object, outcome);
    } else {
        ipalloc_service_problems problems = {.size = sizeof problems};
        problem_add(&problems, "FieldValueRequired", "metadata.name",
                    "Required value: name or generateName is required");
        outcome_problems(outcome, "Service", "", &problems);
    }
}

/* --- read ------------------------------------------------------------------------------------- */

void service_get(const struct service_place *place, struct outcome *outcome) {
    struct write read;
    struct json_object *object = NULL;
    ipalloc_error error = {0};
    write_begin(&read, place, outcome);
    int status = record_read(place->server, read.key, &object, NULL, &error);
    if (status == IPALLOC_OK) {
        outcome_set(outcome, 200, object);
    } else if (status == IPALLOC_E_NOT_FOUND || status == IPALLOC_E_INVALID) {
        outcome_not_found(outcome, "services", place->name);
    } else {
        outcome_library(outcome, place->name, &error);
    }
}

/* --- update ----------------------------------------------------------------------------------- */

struct update {
    struct write write;
    service_edit edit;
    void *context;
    bool status_only;
};

static bool same_or_absent(const char *wanted, const char *present) {
    return wanted[0] == '\0' || strcmp(wanted, present) == 0;
}

/* Is the wanted object this one, at this version? */
static bool may_update(struct write *write, struct json_object *current,
                       struct json_object *wanted) {
    struct json_object *now = json_member(current, "metadata");
    struct json_object *then = json_ensure(wanted, "metadata");
    const struct service_place *place = write->place;
    if (!same_or_absent(json_member_text(then, "name"), place->name)) {
        outcome_fail(write->outcome, 400, "BadRequest",
                     "the name of the object (%.63s) does not match the name on the URL (%s)",
                     json_member_text(then, "name"), place->name);
        return false;
    }
    if (!same_or_absent(json_member_text(then, "namespace"), place->namespace)) {
        outcome_fail(write->outcome, 400, "BadRequest",
                     "the namespace of the provided object does not match the namespace sent on "
                     "the request");
        return false;
    }
    if (!same_or_absent(json_member_text(then, "uid"), json_member_text(now, "uid"))) {
        char why[160];
        snprintf(why, sizeof why,
                 "Precondition failed: UID in precondition: %.40s, UID in object meta: %.40s",
                 json_member_text(then, "uid"), json_member_text(now, "uid"));
        outcome_conflict(write->outcome, place->name, why);
        return false;
    }
    if (!same_or_absent(json_member_text(then, "resourceVersion"),
                        json_member_text(now, "resourceVersion"))) {
        outcome_conflict(write->outcome, place->name, CONFLICT_MODIFIED);
        return false;
    }
    return true;
}

static void carry(struct json_object *from, struct json_object *to, const char *name) {
    struct json_object *value = json_member(from, name);
    if (value != NULL) {
        json_set(to, name, json_copy(value));
    } else {
        json_remove(to, name);
    }
}

/* What a client cannot change stays as it is. */
static void carry_over(struct json_object *current, struct json_object *wanted, bool status_only) {
    static const char *const fixed[] = {"name",
                                        "namespace",
                                        "uid",
                                        "generateName",
                                        "creationTimestamp",
                                        "deletionTimestamp",
                                        "generation",
                                        "deletionGracePeriodSeconds"};
    struct json_object *now = json_member(current, "metadata");
    struct json_object *then = json_member(wanted, "metadata");
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        carry(now, then, fixed[i]);
    }
    json_remove(then, "resourceVersion");
    json_set_text(wanted, "apiVersion", "v1");
    json_set_text(wanted, "kind", "Service");
    carry(current, wanted, status_only ? "spec" : "status");
}

/* Apply the library's rules from `current` to `wanted`. */
static int change_addresses(struct update *update, ipalloc_txn *txn, struct json_object *current,
                            struct json_object *wanted, ipalloc_error *error) {
    struct write *write = &update->write;
    struct server *server = write->place->server;
    struct service_fields *old = memory_allocate(sizeof *old);
    service_fields_read(current, old);
    service_fields_read(wanted, write->fields);
    int status = ipalloc_service_update(txn, &server->pools, &old->service, &write->fields->service,
                                        &write->problems, error);
    if (status == IPALLOC_OK) {
        service_fields_write(wanted, write->fields, owns_ingress(server));
    }
    free(old);
    return status;
}

static bool is_dying_free(struct json_object *object) {
    struct json_object *metadata = json_member(object, "metadata");
    return json_member(metadata, "deletionTimestamp") != NULL &&
           json_length(json_member(metadata, "finalizers")) == 0;
}

static int store_wanted(struct update *update, ipalloc_txn *txn, struct json_object *current,
                        struct json_object *wanted, ipalloc_error *error) {
    struct write *write = &update->write;
    uint64_t revision = write->revision;
    keep_object(write, wanted);
    if (is_dying_free(write->object)) {
        int status = ipalloc_service_delete(txn, error);
        return status == IPALLOC_OK ? ipalloc_txn_delete(txn, write->key, revision, error) : status;
    }
    json_remove(json_member(current, "metadata"), "resourceVersion");
    struct json_object *before = canonical(current);
    write->unchanged = strcmp(json_line(before, NULL), json_line(write->object, NULL)) == 0;
    json_object_put(before);
    return write->unchanged ? IPALLOC_OK
                            : record_put(txn, write->key, write->object, revision, error);
}

static int edit_current(struct update *update, ipalloc_txn *txn, struct json_object *current,
                        ipalloc_error *error) {
    struct write *write = &update->write;
    struct json_object *wanted = update->edit(update->context, current, write->outcome);
    if (wanted == NULL || !may_update(write, current, wanted)) {
        json_object_put(wanted);
        return write_refuse(write);
    }
    carry_over(current, wanted, update->status_only);
    if (!update->status_only) {
        service_drop_unneeded(current, wanted);
        service_default(wanted);
    } else if (owns_ingress(write->place->server)) {
        carry(json_member(current, "status"), json_ensure(wanted, "status"), "loadBalancer");
    }
    write->problems.count = 0;
    service_validate(wanted, &write->problems);
    int status = write->problems.count > 0 ? IPALLOC_E_INVALID : IPALLOC_OK;
    if (status == IPALLOC_OK && !update->status_only) {
        status = change_addresses(update, txn, current, wanted, error);
    }
    if (status == IPALLOC_OK) {
        status = store_wanted(update, txn, current, wanted, error);
    }
    json_object_put(wanted);
    return status;
}

int write_read_current(struct write *write, struct json_object **current, ipalloc_error *error) {
    char owner[sizeof write->owner];
    int status = record_read(write->place->server, write->key, current, &write->revision, error);
    if (status == IPALLOC_E_NOT_FOUND || status == IPALLOC_E_INVALID) {
        outcome_not_found(write->outcome, "services", write->place->name);
        return write_refuse(write);
    }
    if (status == IPALLOC_OK) {
        memcpy(owner, write->owner, sizeof owner);
        write_set_owner(write, json_member_text(json_member(*current, "metadata"), "uid"));
        write->replaced = strcmp(owner, write->owner) != 0;
    }
    return status;
}

static int update_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct update *update = context;
    struct json_object *current = NULL;
    int status = write_read_current(&update->write, &current, error);
    if (status == IPALLOC_OK && update->write.replaced) {
        status = write_refuse(&update->write);
    }
    if (status == IPALLOC_OK) {
        status = edit_current(update, txn, current, error);
    }
    json_object_put(current);
    return status;
}

int write_run_on_current(struct write *write, ipalloc_txn_body body) {
    ipalloc_error error = {0};
    int status = IPALLOC_E_CONFLICT;
    for (int i = 0; i < WRITE_ATTEMPTS_MAX; i++) {
        struct json_object *current = NULL;
        write->decided = false;
        status = write_read_current(write, &current, &error);
        json_object_put(current);
        if (status != IPALLOC_OK) {
            break;
        }
        write->replaced = false;
        status = write_run(write, body);
        if (!write->replaced) {
            return status;
        }
    }
    if (!write->decided || write->replaced) {
        error.status = status == IPALLOC_E_INVALID ? IPALLOC_E_CONFLICT : status;
        outcome_library(write->outcome, write->place->name, &error);
    }
    return status;
}

void service_update(const struct service_place *place, service_edit edit, void *context,
                    bool status_only, struct outcome *outcome) {
    struct update update = {.edit = edit, .context = context, .status_only = status_only};
    write_begin(&update.write, place, outcome);
    update.write.fields = memory_allocate(sizeof *update.write.fields);
    if (write_run_on_current(&update.write, update_body) == IPALLOC_OK) {
        write_succeed(&update.write, 200);
    }
    write_end(&update.write);
}
