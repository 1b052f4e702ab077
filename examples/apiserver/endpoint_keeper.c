/*
 * endpoint_keeper.c: see endpoint_keeper.h.
 *
 * A change of a Service makes that Service due, a change of a Pod all Services that may select it,
 * found by one term of their selectors; a change of a slice the Service that it is for. What is due
 * is planned anew (endpoint_plan.c) and compared with the slices that are there; what differs is
 * written on condition of the version that was seen. A write that comes too late is refused, and
 * the change that was in its way makes the Service due again.
 */
#include "endpoint_keeper.h"

#include "client.h"
#include "endpoint_plan.h"
#include "name_index.h"
#include "record.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WRITE_TIMEOUT_MS 10000
#define BATCH_SERVICES   200 /* between two looks at what has arrived */
#define RETRY_MS         500 /* after a write that failed */
#define EVENT_LIFE_S     3600
#define SWEEP_S          60 /* between two looks for old Events */

struct endpoint_keeper {
    pthread_t thread;
    int stop; /* an eventfd */
    char *url;
    struct client *client;
    struct collection *services, *pods, *slices, *endpoints, *events;
    struct name_index selecting; /* "NAMESPACE/LABEL=VALUE": Services with that as first term */
    struct name_index labelled;  /* the same: Pods with that label */
    struct name_index sliced;    /* Service: its slices that are ours */
    struct name_index ending;    /* "": Pods that end */
    struct name_index queued;    /* Services in the queue */
    char **queue;                /* Services that are due, from `first` on */
    size_t queue_first, queue_count, queue_capacity;
    bool failed;
    time_t swept;
};

/* --- what is due ------------------------------------------------------------------------------ */

static void make_due(struct endpoint_keeper *keeper, const char *service) {
    if (name_index_find(&keeper->queued, service) != NULL) {
        return;
    }
    name_index_add(&keeper->queued, service, "");
    if (keeper->queue_count == keeper->queue_capacity) {
        keeper->queue_capacity = keeper->queue_capacity > 0 ? 2 * keeper->queue_capacity : 64;
        keeper->queue =
            memory_resize(keeper->queue, keeper->queue_capacity * sizeof *keeper->queue);
    }
    keeper->queue[keeper->queue_count++] = memory_copy(service);
}

/* The caller frees it; NULL: nothing is due. */
static char *take_due(struct endpoint_keeper *keeper) {
    if (keeper->queue_first == keeper->queue_count) {
        keeper->queue_first = keeper->queue_count = 0;
        return NULL;
    }
    char *service = keeper->queue[keeper->queue_first++];
    name_index_drop(&keeper->queued, service);
    return service;
}

/* "NAMESPACE/LABEL=VALUE" */
static void set_term(struct text *out, struct json_object *object, const char *label,
                     struct json_object *value) {
    out->size = 0;
    text_format(out, "%s/%s=%s", json_member_text(json_member(object, "metadata"), "namespace"),
                label, json_object_get_string(value));
}

/* --- Services --------------------------------------------------------------------------------- */

static void index_service(struct endpoint_keeper *keeper, const char *name,
                          struct json_object *service, bool there) {
    struct text term = {0};
    if (service == NULL || !service_selects(service)) {
        return;
    }
    json_object_object_foreach(json_at(service, "spec", "selector", NULL), label, value) {
        set_term(&term, service, label, value);
        break;
    }
    if (there) {
        name_index_add(&keeper->selecting, term.data, name);
    } else {
        name_index_remove(&keeper->selecting, term.data, name);
    }
    text_clear(&term);
}

static void on_service(void *context, const char *name, struct json_object *old,
                       struct json_object *new) {
    struct endpoint_keeper *keeper = context;
    index_service(keeper, name, old, false);
    index_service(keeper, name, new, true);
    make_due(keeper, name);
}

static void on_endpoints(void *context, const char *name, struct json_object *old,
                         struct json_object *new) {
    (void)old;
    (void)new;
    make_due(context, name);
}

/* --- Pods ------------------------------------------------------------------------------------- */

static void index_pod(struct endpoint_keeper *keeper, const char *name, struct json_object *pod,
                      bool there) {
    struct json_object *labels = json_at(pod, "metadata", "labels", NULL);
    struct text term = {0};
    if (labels == NULL) {
        return;
    }
    json_object_object_foreach(labels, label, value) {
        set_term(&term, pod, label, value);
        if (there) {
            name_index_add(&keeper->labelled, term.data, name);
        } else {
            name_index_remove(&keeper->labelled, term.data, name);
        }
        const struct name_list *services = name_index_find(&keeper->selecting, term.data);
        for (size_t i = 0; services != NULL && i < services->count; i++) {
            make_due(keeper, services->names[i]);
        }
    }
    text_clear(&term);
}

static void on_pod(void *context, const char *name, struct json_object *old,
                   struct json_object *new) {
    struct endpoint_keeper *keeper = context;
    index_pod(keeper, name, old, false);
    index_pod(keeper, name, new, true);
    if (json_at(new, "metadata", "deletionTimestamp", NULL) != NULL) {
        name_index_add(&keeper->ending, "", name);
    } else {
        name_index_remove(&keeper->ending, "", name);
    }
}

/* --- slices ----------------------------------------------------------------------------------- */

/* The Service that a slice of ours is for, as "NAMESPACE/NAME"; false where it is not ours. */
static bool service_of(struct json_object *slice, struct text *out) {
    struct json_object *metadata = json_member(slice, "metadata");
    struct json_object *labels = json_member(metadata, "labels");
    const char *manager = json_member_text(labels, SLICE_MANAGER_LABEL);
    const char *service = json_member_text(labels, SLICE_SERVICE_LABEL);
    if (slice == NULL || service[0] == '\0' ||
        (strcmp(manager, SLICE_MANAGER) != 0 && strcmp(manager, SLICE_MIRROR_MANAGER) != 0)) {
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
        make_due(keeper, service.data);
    }
    if (service_of(new, &service)) {
        name_index_add(&keeper->sliced, service.data, name);
        make_due(keeper, service.data);
    }
    text_clear(&service);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Anything but what another server, or a change of a moment ago, may rightly have led to. */
static void note_failure(struct endpoint_keeper *keeper, const char *what, int code,
                         const struct text *problem) {
    if (!keeper->failed) {
        fprintf(stderr, "ipalloc-apiserver: endpoints: %s: %s (%d); trying again\n", what,
                problem->size > 0 ? problem->data : "refused", code);
    }
    keeper->failed = true;
}

/* Done, or overtaken? Then whoever was quicker makes the Service due again. */
static bool write_object(struct endpoint_keeper *keeper, const char *method, const char *path,
                         struct json_object *object) {
    struct text problem = {0};
    const char *body = object != NULL ? json_line(object, NULL) : NULL;
    struct json_object *answer = NULL;
    int code =
        client_send(keeper->client, method, path, NULL, body, WRITE_TIMEOUT_MS, &answer, &problem);
    bool well = code / 100 == 2 || code == 404 || code == 409;
    if (!well) {
        text_add(&problem, json_member_text(answer, "message"));
        note_failure(keeper, path, code, &problem);
    }
    json_object_put(answer);
    text_clear(&problem);
    return well;
}

static void add_slices_path(struct text *out, const char *service) {
    text_format(out, "/apis/discovery.k8s.io/v1/namespaces/%.*s/endpointslices",
                (int)strcspn(service, "/"), service);
}

static bool write_wanted(struct endpoint_keeper *keeper, const char *service,
                         struct json_object *wanted) {
    struct json_object *metadata = json_member(wanted, "metadata");
    char *name = NULL;
    struct text path = {0};
    bool well = true;
    text_format(&path, "%.*s/%s", (int)strcspn(service, "/"), service,
                json_member_text(metadata, "name"));
    name = memory_copy(path.data);
    struct json_object *stored = client_find(keeper->slices, name);
    path.size = 0;
    add_slices_path(&path, service);
    if (stored == NULL) {
        well = write_object(keeper, "POST", path.data, wanted);
    } else if (!plan_is_met(wanted, stored)) {
        text_format(&path, "/%s", json_member_text(metadata, "name"));
        json_set_text(metadata, "resourceVersion",
                      json_member_text(json_member(stored, "metadata"), "resourceVersion"));
        well = write_object(keeper, "PUT", path.data, wanted);
    }
    free(name);
    text_clear(&path);
    return well;
}

static bool is_wanted(struct json_object *plan, const char *name) {
    for (size_t i = 0; i < json_length(plan); i++) {
        struct json_object *wanted = json_object_array_get_idx(plan, i);
        if (strcmp(json_member_text(json_member(wanted, "metadata"), "name"), name) == 0) {
            return true;
        }
    }
    return false;
}

/* Slices of ours that the plan does not have. */
static bool remove_others(struct endpoint_keeper *keeper, const char *service,
                          struct json_object *plan) {
    const struct name_list *list = name_index_find(&keeper->sliced, service);
    bool well = true;
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *name = strchr(list->names[i], '/') + 1;
        if (!is_wanted(plan, name)) {
            struct text path = {0};
            add_slices_path(&path, service);
            text_format(&path, "/%s", name);
            well = write_object(keeper, "DELETE", path.data, NULL) && well;
            text_clear(&path);
        }
    }
    return well;
}

/* --- one Service ------------------------------------------------------------------------------ */

/* The Pods of the Service, an array that the caller frees. */
static struct json_object **find_pods(struct endpoint_keeper *keeper, struct json_object *service,
                                      size_t *count) {
    struct text term = {0};
    json_object_object_foreach(json_at(service, "spec", "selector", NULL), label, value) {
        set_term(&term, service, label, value);
        break;
    }
    const struct name_list *list = name_index_find(&keeper->labelled, term.data);
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

static struct json_object *plan_for(struct endpoint_keeper *keeper, const char *name) {
    struct json_object *service = client_find(keeper->services, name);
    struct json_object *endpoints = client_find(keeper->endpoints, name);
    if (service == NULL) {
        return json_object_new_array();
    }
    if (!service_selects(service)) {
        return plan_mirror(service, endpoints);
    }
    size_t count;
    struct json_object **pods = find_pods(keeper, service, &count);
    struct json_object *plan = plan_slices(service, pods, count);
    free(pods);
    return plan;
}

static bool settle(struct endpoint_keeper *keeper, const char *name) {
    struct json_object *plan = plan_for(keeper, name);
    bool well = true;
    for (size_t i = 0; i < json_length(plan) && well; i++) {
        well = write_wanted(keeper, name, json_object_array_get_idx(plan, i));
    }
    well = well && remove_others(keeper, name, plan);
    json_object_put(plan);
    return well;
}

/* Returns milliseconds until more is to do; -1: nothing is. */
static int settle_due(struct endpoint_keeper *keeper) {
    for (int i = 0; i < BATCH_SERVICES; i++) {
        char *name = take_due(keeper);
        if (name == NULL) {
            keeper->failed = false;
            return -1;
        }
        bool well = settle(keeper, name);
        if (!well) {
            make_due(keeper, name);
        }
        free(name);
        if (!well) {
            return RETRY_MS;
        }
    }
    return 0;
}

/* --- what ends by the clock ------------------------------------------------------------------- */

/* Seconds left of its time to end. */
static time_t time_left(struct json_object *pod, time_t now) {
    struct tm parts = {0};
    const char *text = json_member_text(json_member(pod, "metadata"), "deletionTimestamp");
    return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) != NULL ? timegm(&parts) - now : 0;
}

static void remove_pod(struct endpoint_keeper *keeper, const char *name, struct json_object *pod) {
    struct text path = {0};
    struct text body = {0};
    struct text problem = {0};
    text_format(&path, "/api/v1/namespaces/%.*s/pods/%s", (int)strcspn(name, "/"), name,
                strchr(name, '/') + 1);
    text_format(&body, "{\"gracePeriodSeconds\":0,\"preconditions\":{\"uid\":\"%s\"}}",
                json_member_text(json_member(pod, "metadata"), "uid"));
    client_send(keeper->client, "DELETE", path.data, NULL, body.data, WRITE_TIMEOUT_MS, NULL,
                &problem);
    text_clear(&path);
    text_clear(&body);
    text_clear(&problem);
}

/* Returns milliseconds until the next is due; -1: none ends. */
static int end_pods(struct endpoint_keeper *keeper) {
    const struct name_list *list = name_index_find(&keeper->ending, "");
    time_t now = time(NULL);
    time_t soonest = -1;
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        struct json_object *pod = client_find(keeper->pods, list->names[i]);
        bool held = json_length(json_at(pod, "metadata", "finalizers", NULL)) > 0;
        time_t left = pod != NULL ? time_left(pod, now) : 0;
        if (pod != NULL && left < 0 && !held) { /* the time is in whole seconds */
            remove_pod(keeper, list->names[i], pod);
            left = 1; /* should that fail */
        }
        soonest = soonest < 0 || left < soonest ? left : soonest;
    }
    return soonest < 0 ? -1 : soonest < 1 ? 1000 : (int)(soonest < 60 ? soonest * 1000 : 60000);
}

struct sweep {
    time_t before;
    struct text *paths;
};

static void sweep_event(void *context, const char *name, struct json_object *event) {
    struct sweep *sweep = context;
    const char *text = json_member_text(event, "lastTimestamp");
    struct tm parts = {0};
    if (text[0] == '\0') {
        text = json_member_text(json_member(event, "metadata"), "creationTimestamp");
    }
    if (strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) != NULL && timegm(&parts) < sweep->before) {
        text_format(sweep->paths, "/api/v1/namespaces/%.*s/events/%s\n", (int)strcspn(name, "/"),
                    name, strchr(name, '/') + 1);
    }
}

static void remove_old_events(struct endpoint_keeper *keeper) {
    time_t now = time(NULL);
    struct text paths = {0};
    struct sweep sweep = {.before = now - EVENT_LIFE_S, .paths = &paths};
    if (now - keeper->swept < SWEEP_S) {
        return;
    }
    keeper->swept = now;
    client_each(keeper->events, sweep_event, &sweep);
    char *rest = paths.data;
    for (char *path; rest != NULL && (path = strsep(&rest, "\n")) != NULL && path[0] != '\0';) {
        write_object(keeper, "DELETE", path, NULL);
    }
    text_clear(&paths);
}

/* --- the thread ------------------------------------------------------------------------------- */

static int sooner(int one, int other) {
    return one < 0 || (other >= 0 && other < one) ? other : one;
}

static void *run(void *context) {
    struct endpoint_keeper *keeper = context;
    struct pollfd stop = {.fd = keeper->stop, .events = POLLIN};
    int wait_ms = 0;
    for (;;) {
        client_wait(keeper->client, &stop, 1, wait_ms);
        if (poll(&stop, 1, 0) > 0) {
            return NULL;
        }
        wait_ms = SWEEP_S * 1000;
        if (client_has_synced(keeper->client)) {
            wait_ms = sooner(wait_ms, settle_due(keeper));
            wait_ms = sooner(wait_ms, end_pods(keeper));
            remove_old_events(keeper);
        }
    }
}

static void say(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "ipalloc-apiserver: endpoints: %s\n", line);
}

static void keeper_free(struct endpoint_keeper *keeper) {
    char *name;
    client_close(keeper->client);
    while ((name = take_due(keeper)) != NULL) {
        free(name);
    }
    name_index_clear(&keeper->selecting);
    name_index_clear(&keeper->labelled);
    name_index_clear(&keeper->sliced);
    name_index_clear(&keeper->ending);
    name_index_clear(&keeper->queued);
    free(keeper->queue);
    free(keeper->url);
    close(keeper->stop);
    free(keeper);
}

struct endpoint_keeper *endpoint_keeper_start(const char *url) {
    struct endpoint_keeper *keeper = memory_allocate(sizeof *keeper);
    struct text problem = {0};
    keeper->url = memory_copy(url);
    keeper->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct client_options options = {
        .server = keeper->url, .name = "ipalloc-endpoints", .log = say};
    keeper->client = client_open(&options, &problem);
    text_clear(&problem);
    if (keeper->client != NULL) {
        keeper->services = client_follow(keeper->client, "/api/v1/services", on_service, keeper);
        keeper->pods = client_follow(keeper->client, "/api/v1/pods", on_pod, keeper);
        keeper->slices = client_follow(keeper->client, "/apis/discovery.k8s.io/v1/endpointslices",
                                       on_slice, keeper);
        keeper->endpoints =
            client_follow(keeper->client, "/api/v1/endpoints", on_endpoints, keeper);
        keeper->events = client_follow(keeper->client, "/api/v1/events", NULL, NULL);
    }
    if (keeper->client == NULL || pthread_create(&keeper->thread, NULL, run, keeper) != 0) {
        keeper_free(keeper);
        return NULL;
    }
    return keeper;
}

void endpoint_keeper_stop(struct endpoint_keeper *keeper) {
    if (keeper != NULL) {
        eventfd_write(keeper->stop, 1);
        pthread_join(keeper->thread, NULL);
        keeper_free(keeper);
    }
}
