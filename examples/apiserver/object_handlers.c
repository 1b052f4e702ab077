/* object_handlers.c: from a request about one object to the store and back. Lists and watches are
 * in object_list.c. */
#include "object_handlers.h"

#include "body.h"
#include "delete_options.h"
#include "object_store.h"
#include "patch.h"
#include "write_options.h"
#include "yaml_text.h"

#include <stdio.h>
#include <string.h>

#define UPSERT_ATTEMPTS 16 /* to make what is not there or change what is, while others do too */

static struct object_place place_of(struct server *server, const struct request *request) {
    return (struct object_place){.server = server,
                                 .resource = request->resource,
                                 .namespace = request->namespace,
                                 .name = request->name};
}

void objects_get(struct server *server, const struct request *request, struct reply *reply) {
    struct outcome outcome = {0};
    struct object_place place = place_of(server, request);
    object_get(&place, &outcome);
    reply_outcome(request, reply, request->resource, &outcome);
}

/* The options that every write has. */
static bool begin_write(const struct request *request, bool applies, struct object_place *place,
                        struct write_options *options, struct outcome *outcome) {
    bool usable = write_options_read(request, applies, options, outcome);
    place->writer = &options->writer;
    place->dry_run = usable && options->dry_run;
    return usable;
}

/* The outcome of a write, with the warnings about what was taken. */
static void reply_write(const struct request *request, struct reply *reply,
                        struct outcome *outcome) {
    const struct resource *resource = request->resource;
    if (outcome->code / 100 == 2 && resource->warn != NULL && !request->status) {
        if (reply->warning.size > 0) {
            text_add(&reply->warning, "\n");
        }
        resource->warn(outcome->value, &reply->warning);
    }
    reply_outcome(request, reply, resource, outcome);
}

void objects_create(struct server *server, const struct request *request, struct reply *reply) {
    struct outcome outcome = {0};
    struct object_place place = place_of(server, request);
    struct write_options options;
    struct json_object *object = NULL;
    if (begin_write(request, false, &place, &options, &outcome)) {
        object = body_decode(request, request->resource, reply, &outcome);
    }
    if (object != NULL) {
        object_create(&place, object, &outcome);
    }
    json_object_put(object);
    reply_write(request, reply, &outcome);
}

/* --- replace and patch ------------------------------------------------------------------------ */

struct edit {
    const struct request *request;
    struct reply *reply;
    struct json_object *object; /* PUT: the decoded body */
    struct json_object *patch;  /* PATCH: the parsed body */
    enum patch_kind kind;
};

static struct json_object *replace_with_body(void *context, struct json_object *current,
                                             struct outcome *failure) {
    (void)current;
    (void)failure;
    struct edit *edit = context;
    return json_copy(edit->object);
}

static struct json_object *apply_the_patch(void *context, struct json_object *current,
                                           struct outcome *failure) {
    struct edit *edit = context;
    struct text problem = {0};
    struct json_object *object = NULL;
    struct structure structure = structure_of(edit->request->resource->schema);
    struct json_object *patched =
        patch_apply(edit->kind, &structure, current, edit->patch, &problem);
    if (patched == NULL) {
        bool unprocessable = edit->kind == PATCH_JSON;
        outcome_fail(failure, unprocessable ? 422 : 400, unprocessable ? "Invalid" : "BadRequest",
                     "the patch does not apply: %s", problem.data);
    } else {
        object = body_decode_value(edit->request, edit->request->resource, patched, edit->reply,
                                   failure);
    }
    json_object_put(patched);
    text_clear(&problem);
    return object;
}

static bool is_taken(const struct outcome *outcome) {
    return outcome->code == 409 &&
           strcmp(json_member_text(outcome->value, "reason"), "AlreadyExists") == 0;
}

/* A PUT that names a version or a uid means an object that was there. */
static bool may_create_by_replace(const struct object_place *place, struct json_object *metadata,
                                  struct outcome *outcome) {
    return place->resource->replace_creates && !object_names_version(metadata) &&
           json_member_text(metadata, "uid")[0] == '\0' &&
           object_is_named(place, metadata, outcome);
}

static void create_by_replace(const struct object_place *place, struct edit *edit,
                              struct outcome *outcome) {
    struct json_object *object = json_copy(edit->object);
    outcome_clear(outcome);
    json_remove(json_member(object, "metadata"), "resourceVersion"); /* it was "0" */
    object_create(place, object, outcome);
    json_object_put(object);
}

/* Somebody else may make it, or take it away, in between. */
static void replace(const struct object_place *place, struct edit *edit, struct outcome *outcome) {
    bool again = true;
    for (int i = 0; again && i < UPSERT_ATTEMPTS; i++) {
        outcome_clear(outcome);
        object_update(place, replace_with_body, edit, edit->request->status, outcome);
        again = outcome->code == 404 && !edit->request->status &&
                may_create_by_replace(place, json_member(edit->object, "metadata"), outcome);
        if (again) {
            create_by_replace(place, edit, outcome);
            again = is_taken(outcome);
        }
    }
}

void objects_replace(struct server *server, const struct request *request, struct reply *reply) {
    struct outcome outcome = {0};
    struct object_place place = place_of(server, request);
    struct write_options options;
    struct edit edit = {.request = request, .reply = reply};
    if (begin_write(request, false, &place, &options, &outcome)) {
        edit.object = body_decode(request, request->resource, reply, &outcome);
    }
    if (edit.object != NULL) {
        replace(&place, &edit, &outcome);
    }
    json_object_put(edit.object);
    reply_write(request, reply, &outcome);
}

static bool parse_patch(const struct request *request, struct edit *edit, struct outcome *outcome) {
    struct text problem = {0};
    if (edit->kind == PATCH_UNKNOWN) {
        outcome_fail(outcome, 415, "UnsupportedMediaType",
                     "the body of the request was in an unknown format - accepted media types "
                     "include: application/json-patch+json, application/merge-patch+json, "
                     "application/strategic-merge-patch+json, application/apply-patch+yaml");
        return false;
    }
    edit->patch = json_parse(request->body, request->body_size, &problem);
    if (edit->patch == NULL) {
        outcome_fail(outcome, 400, "BadRequest", "error decoding patch: %s", problem.data);
    }
    text_clear(&problem);
    return edit->patch != NULL;
}

/* --- server-side apply ------------------------------------------------------------------------ */

struct application {
    const struct object_place *place;
    struct json_object *config;
};

static struct json_object *apply_to_current(void *context, struct json_object *current,
                                            struct outcome *failure) {
    struct application *application = context;
    return managed_fields_apply(application->place->writer, current, application->config, failure);
}

/* What a config may not say where it makes the object. */
static bool may_apply_new(const struct object_place *place, struct json_object *config,
                          struct outcome *outcome) {
    struct json_object *metadata = json_member(config, "metadata");
    const char *uid = json_member_text(metadata, "uid");
    if (!object_is_named(place, metadata, outcome)) {
        return false;
    }
    if (uid[0] != '\0') {
        char why[160];
        snprintf(why, sizeof why,
                 "uid mismatch: the provided object specified uid %.40s, and no existing object "
                 "was found",
                 uid);
        outcome_conflict(outcome, place->resource, place->name, why);
    }
    return uid[0] == '\0';
}

/* An apply makes what is not there. */
static void apply_new(struct application *application, struct outcome *outcome) {
    const struct object_place *place = application->place;
    outcome_clear(outcome);
    struct json_object *object = NULL;
    if (may_apply_new(place, application->config, outcome)) {
        object = managed_fields_apply(place->writer, NULL, application->config, outcome);
    }
    if (object != NULL) {
        object_create(place, object, outcome);
    }
    json_object_put(object);
}

static void apply(const struct request *request, struct object_place *place,
                  struct outcome *outcome) {
    struct text problem = {0};
    struct application application = {place, NULL};
    application.config = yaml_parse(request->body, request->body_size, &problem);
    if (application.config == NULL) {
        outcome_fail(outcome, 400, "BadRequest", "error decoding YAML: %s", problem.data);
    } else {
        bool again = true;
        for (int i = 0; again && i < UPSERT_ATTEMPTS; i++) {
            outcome_clear(outcome);
            object_update(place, apply_to_current, &application, request->status, outcome);
            again = outcome->code == 404 && !request->status;
            if (again) {
                apply_new(&application, outcome);
                again = is_taken(outcome);
            }
        }
    }
    json_object_put(application.config);
    text_clear(&problem);
}

void objects_patch(struct server *server, const struct request *request, struct reply *reply) {
    struct outcome outcome = {0};
    struct object_place place = place_of(server, request);
    struct write_options options;
    struct edit edit = {.request = request, .reply = reply};
    edit.kind = patch_kind_of(request_header(request, "Content-Type"));
    if (begin_write(request, edit.kind == PATCH_APPLY, &place, &options, &outcome)) {
        if (edit.kind == PATCH_APPLY) {
            apply(request, &place, &outcome);
        } else if (parse_patch(request, &edit, &outcome)) {
            object_update(&place, apply_the_patch, &edit, request->status, &outcome);
        }
    }
    json_object_put(edit.patch);
    reply_write(request, reply, &outcome);
}

/* --- delete ----------------------------------------------------------------------------------- */

void objects_delete(struct server *server, const struct request *request, struct reply *reply) {
    struct outcome outcome = {0};
    struct object_place place = place_of(server, request);
    struct delete_options options;
    if (delete_options_read(request, &options, &outcome)) {
        place.dry_run = options.dry_run;
        object_delete(&place, options.uid, options.resource_version, options.grace, &outcome);
    }
    delete_options_clear(&options);
    reply_outcome(request, reply, request->resource, &outcome);
}
