/*
 * endpoint_index.c: what a change makes due; see endpoint_pass.h.
 *
 * A change of a Service makes that Service due, a change of a Pod all Services that select it or
 * did so before, a change of a slice the Service that it is for. Services are found by one term of
 * their selectors, the one that the fewest others are noted under: a label that everything has
 * ("app.kubernetes.io/managed-by=Helm") leads nowhere.
 */
#include "endpoint_pass.h"
#include "endpoint_plan.h"

#include <stdlib.h>
#include <string.h>

/* "NAMESPACE/LABEL=VALUE" */
static void set_term(struct text *out, struct json_object *object, const char *label,
                     struct json_object *value) {
    out->size = 0;
    text_format(out, "%s/%s=%s", json_member_text(json_member(object, "metadata"), "namespace"),
                label, json_object_get_string(value));
}

/* The term of the Service's selector that has the shortest list; empty where it selects nothing. */
static void find_rarest(struct text *out, const struct name_index *index,
                        struct json_object *service) {
    struct text term = {0};
    size_t fewest = SIZE_MAX;
    out->size = 0;
    if (!service_selects(service)) {
        return;
    }
    json_object_object_foreach(json_at(service, "spec", "selector", NULL), label, value) {
        set_term(&term, service, label, value);
        const struct name_list *list = name_index_find(index, term.data);
        size_t count = list != NULL ? list->count : 0;
        if (count < fewest) {
            fewest = count;
            out->size = 0;
            text_append(out, term.data, term.size);
        }
    }
    text_clear(&term);
}

/* --- Services --------------------------------------------------------------------------------- */

static void unnote_service(struct endpoint_keeper *keeper, const char *name) {
    char *term = string_map_take(&keeper->noted, name);
    if (term != NULL) {
        name_index_remove(&keeper->selecting, term, name);
    }
    free(term);
}

static void note_service(struct endpoint_keeper *keeper, const char *name,
                         struct json_object *service) {
    struct text term = {0};
    find_rarest(&term, &keeper->selecting, service);
    if (term.size > 0) {
        name_index_add(&keeper->selecting, term.data, name);
        string_map_set(&keeper->noted, name, memory_copy(term.data));
    }
    text_clear(&term);
}

static void on_service(void *context, const char *name, struct json_object *old,
                       struct json_object *new) {
    struct endpoint_keeper *keeper = context;
    endpoint_note_balancer(keeper, name, old, new);
    unnote_service(keeper, name);
    if (new != NULL) {
        note_service(keeper, name, new);
    }
    due_add(&keeper->due, name, DUE_FIRST);
}

static void on_endpoints(void *context, const char *name, struct json_object *old,
                         struct json_object *new) {
    struct endpoint_keeper *keeper = context;
    (void)old;
    (void)new;
    due_add(&keeper->due, name, DUE_FIRST);
}

/* --- Pods ------------------------------------------------------------------------------------- */

static void make_selecting_due(struct endpoint_keeper *keeper, const char *term,
                               const char *pod_name, struct json_object *pod) {
    (void)pod_name;
    const struct name_list *services = name_index_find(&keeper->selecting, term);
    for (size_t i = 0; services != NULL && i < services->count; i++) {
        const char *name = services->names[i];
        struct json_object *service = client_find(keeper->services, name);
        if (service != NULL && service_selects_pod(service, pod)) {
            due_add(&keeper->due, name, DUE_SECOND);
        }
    }
}

typedef void (*term_visit)(struct endpoint_keeper *keeper, const char *term, const char *name,
                           struct json_object *pod);

static void each_term(struct endpoint_keeper *keeper, const char *name, struct json_object *pod,
                      term_visit visit) {
    struct json_object *labels = json_at(pod, "metadata", "labels", NULL);
    struct text term = {0};
    if (labels == NULL) {
        return;
    }
    json_object_object_foreach(labels, label, value) {
        set_term(&term, pod, label, value);
        visit(keeper, term.data, name, pod);
    }
    text_clear(&term);
}

static void note_label(struct endpoint_keeper *keeper, const char *term, const char *name,
                       struct json_object *pod) {
    (void)pod;
    name_index_add(&keeper->labelled, term, name);
}

static void unnote_label(struct endpoint_keeper *keeper, const char *term, const char *name,
                         struct json_object *pod) {
    (void)pod;
    name_index_remove(&keeper->labelled, term, name);
}

static void on_pod(void *context, const char *name, struct json_object *old,
                   struct json_object *new) {
    struct endpoint_keeper *keeper = context;
    bool relabelled = !json_object_equal(json_at(old, "metadata", "labels", NULL),
                                         json_at(new, "metadata", "labels", NULL));
    if (relabelled) { /* mostly it is the status that changes */
        each_term(keeper, name, old, unnote_label);
        each_term(keeper, name, new, note_label);
        each_term(keeper, name, old, make_selecting_due);
    }
    each_term(keeper, name, new, make_selecting_due);
    endpoint_note_end(keeper, name, new);
}

struct json_object **endpoint_find_pods(struct endpoint_keeper *keeper, struct json_object *service,
                                        size_t *count) {
    struct text term = {0};
    find_rarest(&term, &keeper->labelled, service);
    const struct name_list *list =
        term.size > 0 ? name_index_find(&keeper->labelled, term.data) : NULL;
    size_t most = list != NULL ? list->count : 0;
    struct json_object **pods = memory_allocate((most + 1) * sizeof *pods);
    *count = 0;
    for (size_t i = 0; i < most; i++) {
        struct json_object *pod = client_find(keeper->pods, list->names[i]);
        if (pod != NULL && service_selects_pod(service, pod)) {
            pods[(*count)++] = pod;
        }
    }
    text_clear(&term);
    return pods;
}

/* --- slices ----------------------------------------------------------------------------------- */

/* The Service that made the slice, by the owner that it wrote down; "": none did. */
static const char *owner_of(struct json_object *metadata) {
    struct json_object *owners = json_member(metadata, "ownerReferences");
    for (size_t i = 0; i < json_length(owners); i++) {
        struct json_object *owner = json_object_array_get_idx(owners, i);
        if (strcmp(json_member_text(owner, "kind"), "Service") == 0 &&
            json_member_truth(owner, "controller", false)) {
            return json_member_text(owner, "name");
        }
    }
    return "";
}

/* The Service that a slice of ours is for, as "NAMESPACE/NAME"; false where it is not ours. One
 * that has lost its manager's label is ours by its owner. */
static bool service_of(struct json_object *slice, struct text *out) {
    struct json_object *metadata = json_member(slice, "metadata");
    struct json_object *labels = json_member(metadata, "labels");
    const char *manager = json_member_text(labels, SLICE_MANAGER_LABEL);
    bool is_ours =
        strcmp(manager, SLICE_MANAGER) == 0 || strcmp(manager, SLICE_MIRROR_MANAGER) == 0;
    const char *service = is_ours ? json_member_text(labels, SLICE_SERVICE_LABEL) : "";
    if (service[0] == '\0' && (is_ours || manager[0] == '\0')) {
        service = owner_of(metadata);
    }
    if (service[0] == '\0') {
        return false;
    }
    out->size = 0;
    text_format(out, "%s/%s", json_member_text(metadata, "namespace"), service);
    return true;
}

static void on_slice(void *context, const char *name, struct json_object *old,
                     struct json_object *new) {
    struct endpoint_keeper *keeper = context;
    struct text service = {0};
    if (service_of(old, &service)) {
        name_index_remove(&keeper->sliced, service.data, name);
        due_add(&keeper->due, service.data, DUE_SECOND);
    }
    if (service_of(new, &service)) {
        name_index_add(&keeper->sliced, service.data, name);
        due_add(&keeper->due, service.data, DUE_SECOND);
    }
    text_clear(&service);
}

/* ---------------------------------------------------------------------------------------------- */

void endpoint_follow(struct endpoint_keeper *keeper) {
    struct client *client = keeper->client;
    keeper->services = client_follow(client, "/api/v1/services", on_service, keeper);
    keeper->pods = client_follow(client, "/api/v1/pods", on_pod, keeper);
    keeper->slices =
        client_follow(client, "/apis/discovery.k8s.io/v1/endpointslices", on_slice, keeper);
    keeper->endpoints = client_follow(client, "/api/v1/endpoints", on_endpoints, keeper);
    keeper->events = client_follow(client, "/api/v1/events", NULL, NULL);
}

void endpoint_forget_all(struct endpoint_keeper *keeper) {
    name_index_clear(&keeper->selecting);
    name_index_clear(&keeper->labelled);
    name_index_clear(&keeper->sliced);
    string_map_clear(&keeper->noted, free);
    string_map_clear(&keeper->ending, NULL);
    string_map_clear(&keeper->waiting, free);
    due_close(&keeper->due);
}
