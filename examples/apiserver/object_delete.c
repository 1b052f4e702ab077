/* object_delete.c: the end of an object: it and what it holds go in one transaction. */
#include "object_write.h"

#include <stdio.h>
#include <string.h>

struct deletion {
    struct write write;
    const char *uid, *resource_version; /* preconditions; "": none */
    int64_t grace;                      /* as asked for */
    bool marked;                        /* something holds it: only marked */
};

static bool may_delete(struct deletion *deletion, struct json_object *metadata) {
    const struct object_place *place = deletion->write.place;
    char kind[RESOURCE_TEXT];
    char why[300];
    const char *uid = json_member_text(metadata, "uid");
    const char *version = json_member_text(metadata, "resourceVersion");
    if (deletion->uid[0] != '\0' && strcmp(deletion->uid, uid) != 0) {
        snprintf(why, sizeof why,
                 "the UID in the precondition (%.40s) does not match the UID in record (%s). The "
                 "object might have been deleted and then recreated",
                 deletion->uid, uid);
    } else if (deletion->resource_version[0] != '\0' &&
               strcmp(deletion->resource_version, version) != 0) {
        snprintf(why, sizeof why,
                 "the ResourceVersion in the precondition (%.40s) does not match the "
                 "ResourceVersion in record (%s). The object might have been modified",
                 deletion->resource_version, version);
    } else {
        return true;
    }
    outcome_conflict_of(deletion->write.outcome, resource_full_kind(place->resource, kind),
                        place->name, why);
    return false;
}

/* A moment is written with four digits of the year: what shall take longer ends there. */
static int64_t possible_grace(int64_t grace, time_t now) {
    int64_t most = MOMENT_LAST - (int64_t)now;
    return grace < most ? grace : most;
}

/* When it shall be gone: counted from the first deletion, whenever later ones came. */
static time_t moment_of_end(struct json_object *metadata, int64_t grace, time_t now) {
    time_t end;
    int64_t before = json_member_number(metadata, "deletionGracePeriodSeconds", 0);
    bool marked = moment_parse(json_member_text(metadata, "deletionTimestamp"), &end);
    return marked ? end - before + grace : now + grace;
}

/* Finalizers are for others to take off, a grace period for the object to end in; until then only
 * the time is noted, at which it shall be gone. A second deletion that says how long may bring that
 * nearer. */
static int mark(struct deletion *deletion, ipalloc_txn *txn, struct json_object *metadata,
                int64_t asked, ipalloc_error *error) {
    struct write *write = &deletion->write;
    uint64_t revision = write->revision;
    time_t now = time(NULL);
    int64_t grace = possible_grace(asked, now);
    bool before = json_member(metadata, "deletionTimestamp") != NULL;
    deletion->marked = true;
    write->unchanged =
        before && (deletion->grace < 0 ||
                   grace >= json_member_number(metadata, "deletionGracePeriodSeconds", 0));
    if (write->unchanged) {
        return IPALLOC_OK;
    }
    char moment[MOMENT_TEXT];
    moment_format(moment_of_end(metadata, grace, now), moment);
    json_set_text(metadata, "deletionTimestamp", moment);
    json_set_number(metadata, "deletionGracePeriodSeconds", grace);
    return record_put(txn, write->key, write->object, revision, error);
}

static int delete_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct deletion *deletion = context;
    struct write *write = &deletion->write;
    json_object_put(write->object);
    write->object = NULL;
    int status = write_read_current(write, &write->object, error);
    if (status != IPALLOC_OK) {
        return status;
    }
    struct json_object *metadata = json_member(write->object, "metadata");
    if (write->replaced || !may_delete(deletion, metadata)) {
        return write_refuse(write);
    }
    const struct resource *resource = write->place->resource;
    int64_t grace = resource->grace != NULL ? resource->grace(write->object, deletion->grace) : 0;
    if (grace > 0 || json_length(json_member(metadata, "finalizers")) > 0) {
        return mark(deletion, txn, metadata, grace, error);
    }
    status = write_run_hook(write, resource->delete, txn, write->object, NULL, error);
    return status == IPALLOC_OK ? ipalloc_txn_delete(txn, write->key, write->revision, error)
                                : status;
}

void object_delete(const struct object_place *place, const char *uid, const char *resource_version,
                   int64_t grace, struct outcome *outcome) {
    struct deletion deletion = {.uid = uid, .resource_version = resource_version, .grace = grace};
    write_begin(&deletion.write, place, outcome);
    deletion.write.deletes = true;
    if (write_run_on_current(&deletion.write, delete_body) == IPALLOC_OK) {
        if (deletion.marked || place->resource->shows_deleted) {
            write_succeed(&deletion.write, 200);
        } else {
            outcome_deleted(
                outcome, place->resource, place->name,
                json_member_text(json_member(deletion.write.object, "metadata"), "uid"));
        }
        write_committed(&deletion.write);
    }
    write_end(&deletion.write);
}
