/*
 * endpoint_settle.c: from what is due to what is written; see endpoint_pass.h.
 *
 * A Service is planned anew (endpoint_plan.c) and compared with the slices that are there; what
 * differs is written on condition of the version that was seen. A write that comes too late is
 * refused, and the change that was in its way makes the Service due again.
 */
#include "endpoint_pass.h"
#include "endpoint_plan.h"
#include "store_gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS  20  /* between two looks at what has arrived */
#define PAUSE_MS 500 /* after a write that nobody answered */

/* --- one request ------------------------------------------------------------------------------ */

static enum written judge(int code) {
    if (code / 100 == 2 || code == 404 || code == 409) {
        return WRITE_DONE;
    }
    return code == 0 || code == 429 || code == 503 || code == 504 ? WRITE_UNANSWERED
                                                                  : WRITE_REFUSED;
}

static void note_trouble(struct endpoint_keeper *keeper, const char *path, int code,
                         const char *problem, enum written written, unsigned refusals) {
    bool again = written == WRITE_REFUSED ? refusals > 0 : keeper->in_trouble;
    if (!again) {
        fprintf(stderr, "ipalloc-apiserver: endpoints: %s: %s (%d); trying again\n", path,
                problem[0] != '\0' ? problem : "refused", code);
    }
    if (written == WRITE_UNANSWERED) {
        keeper->in_trouble = true;
        keeper->pause_until = monotonic_ms() + PAUSE_MS;
    }
}

enum written endpoint_write(struct endpoint_keeper *keeper, const char *method, const char *path,
                            struct json_object *object, unsigned refusals) {
    struct text problem = {0};
    const char *body = object != NULL ? json_line(object, NULL) : NULL;
    struct json_object *answer = NULL;
    int code =
        client_send(keeper->client, method, path, NULL, body, WRITE_TIMEOUT_MS, &answer, &problem);
    enum written written = judge(code);
    if (written != WRITE_DONE) {
        text_add(&problem, json_member_text(answer, "message"));
        note_trouble(keeper, path, code, problem.data, written, refusals);
    } else {
        keeper->in_trouble = false;
    }
    json_object_put(answer);
    text_clear(&problem);
    return written;
}

/* --- one Service ------------------------------------------------------------------------------ */

/* What the writes for one Service share. */
struct settling {
    struct endpoint_keeper *keeper;
    const char *service; /* "NAMESPACE/NAME" */
    struct json_object *plan;
    unsigned refusals;
};

/* "NAMESPACE/NAME" of a slice beside the Service. */
static void set_slice_name(struct text *out, const char *service, const char *name) {
    out->size = 0;
    text_format(out, "%.*s/%s", (int)strcspn(service, "/"), service, name);
}

static struct json_object *find_slice(const struct settling *settling, const char *name) {
    struct text full = {0};
    set_slice_name(&full, settling->service, name);
    struct json_object *slice = client_find(settling->keeper->slices, full.data);
    text_clear(&full);
    return slice;
}

static bool is_taken(void *context, const char *name) {
    return find_slice(context, name) != NULL;
}

/* `name` NULL: of all. */
static void add_path(struct text *out, const char *service, const char *name) {
    text_format(out, "/apis/discovery.k8s.io/v1/namespaces/%.*s/endpointslices%s%s",
                (int)strcspn(service, "/"), service, name != NULL ? "/" : "",
                name != NULL ? name : "");
}

static enum written change_slice(const struct settling *settling, struct json_object *wanted,
                                 struct json_object *stored) {
    const char *name = json_member_text(json_member(wanted, "metadata"), "name");
    struct json_object *merged = plan_merge(wanted, stored);
    struct text path = {0};
    add_path(&path, settling->service, name);
    enum written written =
        endpoint_write(settling->keeper, "PUT", path.data, merged, settling->refusals);
    json_object_put(merged);
    text_clear(&path);
    return written;
}

static enum written make_slice(const struct settling *settling, struct json_object *wanted) {
    struct text path = {0};
    add_path(&path, settling->service, NULL);
    enum written written =
        endpoint_write(settling->keeper, "POST", path.data, wanted, settling->refusals);
    text_clear(&path);
    return written;
}

/* Write the wanted slices that get an endpoint, or those that get none. */
static enum written write_wanted(const struct settling *settling, bool adding) {
    enum written written = WRITE_DONE;
    for (size_t i = 0; i < json_length(settling->plan) && written == WRITE_DONE; i++) {
        struct json_object *wanted = json_object_array_get_idx(settling->plan, i);
        const char *name = json_member_text(json_member(wanted, "metadata"), "name");
        struct json_object *stored = find_slice(settling, name);
        if (stored == NULL) {
            written = adding ? make_slice(settling, wanted) : written;
        } else if (!plan_is_met(wanted, stored) && plan_adds(wanted, stored) == adding) {
            written = change_slice(settling, wanted, stored);
        }
    }
    return written;
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
static enum written remove_others(const struct settling *settling) {
    const struct name_list *list = name_index_find(&settling->keeper->sliced, settling->service);
    enum written written = WRITE_DONE;
    for (size_t i = 0; list != NULL && i < list->count && written == WRITE_DONE; i++) {
        const char *name = strchr(list->names[i], '/') + 1;
        if (!is_wanted(settling->plan, name)) {
            struct text path = {0};
            add_path(&path, settling->service, name);
            written =
                endpoint_write(settling->keeper, "DELETE", path.data, NULL, settling->refusals);
            text_clear(&path);
        }
    }
    return written;
}

/* The Service's slices of ours, an array that the caller frees. */
static struct json_object **find_slices(struct endpoint_keeper *keeper, const char *service,
                                        size_t *count) {
    const struct name_list *list = name_index_find(&keeper->sliced, service);
    size_t most = list != NULL ? list->count : 0;
    struct json_object **slices = memory_allocate((most + 1) * sizeof *slices);
    *count = 0;
    for (size_t i = 0; i < most; i++) {
        struct json_object *slice = client_find(keeper->slices, list->names[i]);
        if (slice != NULL) {
            slices[(*count)++] = slice;
        }
    }
    return slices;
}

static struct json_object *plan_for(struct settling *settling) {
    struct endpoint_keeper *keeper = settling->keeper;
    struct json_object *service = client_find(keeper->services, settling->service);
    struct json_object *plan;
    struct slices_seen seen = {.is_taken = is_taken, .context = settling};
    size_t pod_count;
    if (service == NULL) {
        return json_object_new_array();
    }
    struct json_object **slices = find_slices(keeper, settling->service, &seen.count);
    seen.slices = slices;
    if (service_selects(service)) {
        struct json_object **pods = endpoint_find_pods(keeper, service, &pod_count);
        plan = plan_slices(service, pods, pod_count, &seen);
        free(pods);
    } else {
        plan = plan_mirror(service, client_find(keeper->endpoints, settling->service), &seen);
    }
    free(slices);
    return plan;
}

static enum written settle(struct endpoint_keeper *keeper, const char *service) {
    struct settling settling = {
        .keeper = keeper, .service = service, .refusals = due_refusals(&keeper->due, service)};
    settling.plan = plan_for(&settling);
    enum written written = write_wanted(&settling, true);
    if (written == WRITE_DONE) {
        written = write_wanted(&settling, false);
    }
    if (written == WRITE_DONE) {
        written = remove_others(&settling);
    }
    json_object_put(settling.plan);
    return written;
}

/* --- all that is due -------------------------------------------------------------------------- */

static void settle_one(struct endpoint_keeper *keeper, const char *service) {
    switch (settle(keeper, service)) {
    case WRITE_DONE:
        due_settled(&keeper->due, service);
        break;
    case WRITE_REFUSED:
        due_refused(&keeper->due, service, monotonic_ms());
        break;
    case WRITE_UNANSWERED:
        due_add(&keeper->due, service, DUE_FIRST);
        break;
    }
}

int endpoint_settle(struct endpoint_keeper *keeper) {
    uint64_t begun = monotonic_ms();
    uint64_t now = begun;
    while (now < begun + LOOK_MS && now >= keeper->pause_until) {
        char *service = due_take(&keeper->due, now);
        if (service == NULL) {
            break;
        }
        settle_one(keeper, service);
        free(service);
        now = monotonic_ms();
    }
    int wait = due_wait(&keeper->due, now);
    int pause = keeper->pause_until > now ? (int)(keeper->pause_until - now) : 0;
    return wait >= 0 && wait < pause ? pause : wait;
}
