/*
 * object_store.c: create, read and update; see object_store.h, and object_delete.c.
 *
 * The body of every transaction may run again after a conflict, so it reads the record afresh and
 * leaves what it found in `struct write`, which outlives it. The owner of addresses is
 * KIND/NAMESPACE/NAME/UID: an object deleted and made again under its name is another owner.
 */
#include "object_write.h"

#include "namespaces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATED_SUFFIX   5
#define GENERATED_BASE_MAX 58 /* 63 less the suffix */
#define GENERATED_ATTEMPTS 8

void write_begin(struct write *write, const struct object_place *place, struct outcome *outcome) {
    const struct resource *resource = place->resource;
    *write = (struct write){.place = place, .outcome = outcome};
    write->problems.size = sizeof write->problems;
    snprintf(write->key, sizeof write->key, "%s%s%s%s", resource->record_prefix,
             resource->namespaced ? place->namespace : "", resource->namespaced ? "/" : "",
             place->name);
}

void write_set_uid(struct write *write, const char *uid) {
    const struct object_place *place = write->place;
    snprintf(write->uid, sizeof write->uid, "%s", uid);
    if (place->resource->owner_kind != NULL) {
        snprintf(write->owner, sizeof write->owner, "%s/%s/%s/%s", place->resource->owner_kind,
                 place->namespace, place->name, uid);
    }
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
    ipalloc_txn_options options = {.size = sizeof options,
                                   .owner = write->owner[0] != '\0' ? write->owner : NULL,
                                   .dry_run = write->place->dry_run,
                                   .new_owner = write->new_owner,
                                   .deadline_ms = server->shared ? server->patience_ms : 0};
    int status = ipalloc_transact(server->registry, &options, body, write, &revision, &error);
    if (status == IPALLOC_OK) {
        if (!write->unchanged && !write->place->dry_run) {
            write->revision = revision;
            hub_wake(server->hub);
        }
        return status;
    }
    error.status = status;
    if (write->decided) {
        return status;
    }
    if (write->problems.count > 0 && is_refusal(status)) {
        outcome_refused(write->outcome, write->place->resource, write->place->name,
                        &write->problems);
    } else if (status == IPALLOC_E_TAKEN) {
        outcome_fail(write->outcome, 413, "RequestEntityTooLarge", "%s", error.message);
    } else {
        outcome_library(write->outcome, write->place->resource, write->place->name, &error);
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
    json_object_put(write->ahead);
}

void write_committed(struct write *write) {
    const struct object_place *place = write->place;
    if (place->resource->committed != NULL && !place->dry_run && !place->internal &&
        !write->unchanged) {
        place->resource->committed(place, write->deletes, write->outcome);
    }
}

int write_run_hook(struct write *write, change_hook hook, ipalloc_txn *txn, struct json_object *old,
                   struct json_object *object, ipalloc_error *error) {
    struct object_change change = {
        .server = write->place->server, .old = old, .object = object, .problems = &write->problems};
    write->problems.count = 0;
    return hook != NULL ? hook(txn, &change, error) : IPALLOC_OK;
}

/* Fields in their order, so that equal objects are equal text. */
static struct json_object *canonical(const struct write *write, struct json_object *object) {
    return schema_arrange(write->place->resource->schema, object);
}

/* Keep what the transaction's body made; what an earlier run made goes. */
static void keep_object(struct write *write, struct json_object *object) {
    json_object_put(write->object);
    write->object = canonical(write, object);
}

static void set_type(const struct resource *resource, struct json_object *object) {
    char version[RESOURCE_TEXT];
    json_set_text(object, "apiVersion", resource_api_version(resource, version));
    json_set_text(object, "kind", resource->kind);
}

static void judge(struct write *write, struct json_object *old, struct json_object *object,
                  bool status_only) {
    const struct resource *resource = write->place->resource;
    write->problems.count = 0;
    if (resource->validate != NULL) {
        resource->validate(object, &write->problems);
    }
    if (old != NULL && resource->validate_update != NULL) {
        resource->validate_update(old, object, &write->problems);
    }
    if (resource->judge != NULL && !status_only) {
        resource->judge(write->place->server, old, object, &write->problems);
    }
}

/* Who owns which field; an apply has said so itself. */
static void note_owners(const struct object_place *place, struct json_object *current,
                        struct json_object *wanted) {
    if (place->writer != NULL && !place->writer->applies) {
        managed_fields_update(place->writer, current, wanted);
    }
}

/* --- create ----------------------------------------------------------------------------------- */

struct creation {
    struct write write;
    struct json_object *object; /* as asked for, defaulted and judged */
    bool presumed;              /* that nothing has the name: the commit tells */
};

/* OK where nothing has the name. */
static int check_name_is_free(struct write *write, ipalloc_error *error) {
    struct json_object *present = NULL;
    int status = record_read(write->place->server, write->key, &present, NULL, error);
    bool dying = json_at(present, "metadata", "deletionTimestamp", NULL) != NULL;
    json_object_put(present);
    if (status == IPALLOC_OK) {
        outcome_exists(write->outcome, write->place->resource, write->place->name, dying);
        write->exists = true;
        return write_refuse(write);
    }
    return status == IPALLOC_E_NOT_FOUND ? IPALLOC_OK : status;
}

/* Run the kind's hook over a fresh copy, and put the object and what it got together. That nothing
 * has the name is a condition of the commit, so the first run does not ask; one that is refused
 * does, because a taken name is told before anything else. */
static int create_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct creation *creation = context;
    struct write *write = &creation->write;
    const struct resource *resource = write->place->resource;
    bool presume = write->place->server->shared && !write->place->dry_run && !creation->presumed;
    int status = presume ? IPALLOC_OK : check_name_is_free(write, error);
    if (status != IPALLOC_OK) {
        return status;
    }
    creation->presumed = true;
    struct json_object *object = json_copy(creation->object);
    status = write_run_hook(write, resource->create, txn, NULL, object, error);
    if (presume && is_refusal(status)) {
        ipalloc_error ignored = {0};
        int named = check_name_is_free(write, &ignored);
        status = named == IPALLOC_OK ? status : named;
    }
    if (status == IPALLOC_OK) {
        keep_object(write, object);
        status = record_put(txn, write->key, write->object, IPALLOC_REVISION_ABSENT, error);
    }
    json_object_put(object);
    return status;
}

/* Returns whether the name was taken, which a generated name may try again. */
static bool create_named(const struct object_place *place, struct json_object *object,
                         struct outcome *outcome) {
    struct creation creation = {.object = object};
    struct write *write = &creation.write;
    write_begin(write, place, outcome);
    write_set_uid(write, json_member_text(json_member(object, "metadata"), "uid"));
    write->new_owner = true;
    judge(write, NULL, object, false);
    if (write->problems.count > 0) {
        outcome_refused(outcome, place->resource, place->name, &write->problems);
    } else if (write_run(write, create_body) == IPALLOC_OK) {
        write_succeed(write, 201);
        write_committed(write);
    }
    write_end(write);
    return write->exists;
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

static void create_generated(const struct object_place *place, struct json_object *object,
                             struct outcome *outcome) {
    struct json_object *metadata = json_member(object, "metadata");
    struct object_place named = *place;
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
static bool may_create(const struct object_place *place, struct json_object *metadata,
                       struct outcome *outcome) {
    const char *namespace = json_member_text(metadata, "namespace");
    bool namespaced = place->resource->namespaced;
    if (namespaced && namespace[0] != '\0' && strcmp(namespace, place->namespace) != 0) {
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
    if (namespaced && !namespace_exists(place->server, place->namespace)) {
        outcome_not_found(outcome, &resource_namespaces, place->namespace);
        return false;
    }
    return true;
}

void object_create(const struct object_place *place, struct json_object *object,
                   struct outcome *outcome) {
    const struct resource *resource = place->resource;
    struct json_object *metadata = json_ensure(object, "metadata");
    if (!may_create(place, metadata, outcome)) {
        return;
    }
    set_type(resource, object);
    if (resource->namespaced) {
        json_set_text(metadata, "namespace", place->namespace);
    } else {
        json_remove(metadata, "namespace");
    }
    record_stamp(metadata);
    if (resource->has_status) {
        json_remove(object, "status");
    }
    if (resource->fill_defaults != NULL) {
        resource->fill_defaults(object);
    }
    note_owners(place, NULL, object);
    struct object_place named = *place;
    named.name = json_member_text(metadata, "name");
    if (named.name[0] != '\0') {
        create_named(&named, object, outcome);
    } else if (json_member_text(metadata, "generateName")[0] != '\0') {
        create_generated(place, object, outcome);
    } else {
        ipalloc_service_problems problems = {.size = sizeof problems};
        problem_add(&problems, "FieldValueRequired", "metadata.name",
                    "Required value: name or generateName is required");
        outcome_refused(outcome, resource, "", &problems);
    }
}

/* --- read ------------------------------------------------------------------------------------- */

static int read_record(const struct object_place *place, struct json_object **object,
                       ipalloc_error *error) {
    struct write read;
    write_begin(&read, place, NULL);
    return record_read(place->server, read.key, object, NULL, error);
}

static int read_view(const struct object_place *place, struct json_object **object,
                     ipalloc_error *error) {
    struct text text = {0};
    struct text ignored = {0};
    int status = place->resource->view->get(place->server, place->name, &text, error);
    if (status == IPALLOC_OK) {
        *object = json_parse(text.data, text.size, &ignored);
    }
    text_clear(&text);
    text_clear(&ignored);
    return status;
}

void object_get(const struct object_place *place, struct outcome *outcome) {
    struct json_object *object = NULL;
    ipalloc_error error = {0};
    int status = place->resource->view != NULL ? read_view(place, &object, &error)
                                               : read_record(place, &object, &error);
    if (status == IPALLOC_OK) {
        outcome_set(outcome, 200, object);
    } else if (status == IPALLOC_E_NOT_FOUND || status == IPALLOC_E_INVALID) {
        outcome_not_found(outcome, place->resource, place->name);
    } else {
        outcome_library(outcome, place->resource, place->name, &error);
    }
}

/* --- update ----------------------------------------------------------------------------------- */

struct update {
    struct write write;
    object_edit edit;
    void *context;
    bool status_only;
};

/* What a client cannot change stays as it is. */
static void carry_metadata(struct json_object *current, struct json_object *wanted) {
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
        json_carry(now, then, fixed[i]);
    }
    json_remove(then, "resourceVersion");
}

/* Of the members beside metadata, a status write changes the status alone; any other write, where
 * the status is a subresource, all but that. */
static void carry_members(const struct resource *resource, struct json_object *current,
                          struct json_object *wanted, bool status_only) {
    for (size_t i = 0; i < resource->schema->field_count; i++) {
        const char *name = resource->schema->fields[i].name;
        bool is_status = strcmp(name, "status") == 0;
        bool is_kept = is_status ? resource->has_status && !status_only : status_only;
        if (is_kept && strcmp(name, "metadata") != 0) {
            json_carry(current, wanted, name);
        }
    }
    set_type(resource, wanted);
}

static bool is_dying_free(struct json_object *object) {
    struct json_object *metadata = json_member(object, "metadata");
    return json_member(metadata, "deletionTimestamp") != NULL &&
           json_length(json_member(metadata, "finalizers")) == 0 &&
           json_member_number(metadata, "deletionGracePeriodSeconds", 0) == 0;
}

static int store_wanted(struct update *update, ipalloc_txn *txn, struct json_object *current,
                        struct json_object *wanted, ipalloc_error *error) {
    struct write *write = &update->write;
    uint64_t revision = write->revision;
    keep_object(write, wanted);
    if (is_dying_free(write->object)) {
        int status =
            write_run_hook(write, write->place->resource->delete, txn, current, NULL, error);
        return status == IPALLOC_OK ? ipalloc_txn_delete(txn, write->key, revision, error) : status;
    }
    json_remove(json_member(current, "metadata"), "resourceVersion");
    struct json_object *before = canonical(write, current);
    write->unchanged = strcmp(json_line(before, NULL), json_line(write->object, NULL)) == 0;
    json_object_put(before);
    return write->unchanged ? IPALLOC_OK
                            : record_put(txn, write->key, write->object, revision, error);
}

static int edit_current(struct update *update, ipalloc_txn *txn, struct json_object *current,
                        ipalloc_error *error) {
    struct write *write = &update->write;
    struct json_object *wanted = update->edit(update->context, current, write->outcome);
    if (wanted == NULL || !write_may_update(write, current, wanted)) {
        json_object_put(wanted);
        return write_refuse(write);
    }
    const struct resource *resource = write->place->resource;
    carry_metadata(current, wanted);
    carry_members(resource, current, wanted, update->status_only);
    if (resource->prepare_update != NULL) {
        resource->prepare_update(write->place->server, current, wanted, update->status_only);
    }
    if (resource->fill_defaults != NULL) {
        resource->fill_defaults(wanted);
    }
    note_owners(write->place, current, wanted);
    judge(write, current, wanted, update->status_only);
    int status = write->problems.count > 0 ? IPALLOC_E_INVALID : IPALLOC_OK;
    if (status == IPALLOC_OK && !update->status_only) {
        status = write_run_hook(write, resource->update, txn, current, wanted, error);
    }
    if (status == IPALLOC_OK) {
        status = store_wanted(update, txn, current, wanted, error);
    }
    json_object_put(wanted);
    return status;
}

int write_read_current(struct write *write, struct json_object **current, ipalloc_error *error) {
    if (write->ahead != NULL) { /* with its revision and uid */
        *current = write->ahead;
        write->ahead = NULL;
        return IPALLOC_OK;
    }
    int status = record_read(write->place->server, write->key, current, &write->revision, error);
    if (status == IPALLOC_E_NOT_FOUND || status == IPALLOC_E_INVALID) {
        outcome_not_found(write->outcome, write->place->resource, write->place->name);
        return write_refuse(write);
    }
    if (status == IPALLOC_OK) {
        const char *uid = json_member_text(json_member(*current, "metadata"), "uid");
        write->replaced = strcmp(write->uid, uid) != 0;
        write_set_uid(write, uid);
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
        json_object_put(write->ahead);
        write->ahead = NULL;
        write->decided = false;
        status = write_read_current(write, &current, &error);
        write->ahead = current;
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
        outcome_library(write->outcome, write->place->resource, write->place->name, &error);
    }
    return status;
}

void object_update(const struct object_place *place, object_edit edit, void *context,
                   bool status_only, struct outcome *outcome) {
    struct update update = {.edit = edit, .context = context, .status_only = status_only};
    write_begin(&update.write, place, outcome);
    if (write_run_on_current(&update.write, update_body) == IPALLOC_OK) {
        write_succeed(&update.write, 200);
        write_committed(&update.write);
    }
    write_end(&update.write);
}
