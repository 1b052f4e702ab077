/* endpoint_clock.c: what ends by the clock: Pods that have had their time, Events that are old; see
 * endpoint_pass.h. */
#include "endpoint_pass.h"
#include "moment.h"

#include <string.h>

#define EVENT_LIFE_S 3600
#define SWEEP_S      60   /* between two looks for old Events */
#define SWEEP_MOST   100  /* removed at a time */
#define AGAIN_S      1    /* after a Pod that would not go */
#define LOOK_S       3600 /* at the latest, should the clock be set */

/* --- Pods ------------------------------------------------------------------------------------- */

/* When its time is over; 0: never, or not before somebody's finalizers are gone. */
static time_t end_of(struct json_object *pod) {
    struct json_object *metadata = json_member(pod, "metadata");
    time_t end;
    bool ends = moment_parse(json_member_text(metadata, "deletionTimestamp"), &end);
    bool held = json_length(json_member(metadata, "finalizers")) > 0;
    return ends && !held ? end + 1 : 0; /* the moment is in whole seconds */
}

static void look_at(struct endpoint_keeper *keeper, time_t moment) {
    if (keeper->next_end == 0 || moment < keeper->next_end) {
        keeper->next_end = moment;
    }
}

void endpoint_note_end(struct endpoint_keeper *keeper, const char *name, struct json_object *pod) {
    time_t end = end_of(pod);
    if (end != 0) {
        string_map_set(&keeper->ending, name, keeper);
        look_at(keeper, end);
    } else {
        string_map_take(&keeper->ending, name);
    }
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

static void end_if_over(void *context, const char *name, void *value) {
    struct endpoint_keeper *keeper = context;
    struct json_object *pod = client_find(keeper->pods, name);
    time_t now = time(NULL);
    time_t end = end_of(pod);
    (void)value;
    if (end != 0 && end <= now) {
        remove_pod(keeper, name, pod);
        end = now + AGAIN_S; /* should that have failed */
    }
    if (end != 0) {
        look_at(keeper, end);
    }
}

/* Returns seconds until the next one ends; -1: none does. */
static int64_t end_pods(struct endpoint_keeper *keeper) {
    time_t now = time(NULL);
    if (keeper->next_end != 0 && keeper->next_end <= now) {
        keeper->next_end = 0;
        string_map_each(&keeper->ending, end_if_over, keeper);
        now = time(NULL);
    }
    if (keeper->next_end == 0) {
        return -1;
    }
    return keeper->next_end > now ? (int64_t)(keeper->next_end - now) : 0;
}

/* --- Events ----------------------------------------------------------------------------------- */

struct sweep {
    time_t before;
    struct text paths; /* a line each */
    size_t count;
};

static void sweep_event(void *context, const char *name, struct json_object *event) {
    struct sweep *sweep = context;
    struct json_object *metadata = json_member(event, "metadata");
    time_t seen;
    bool known = moment_parse(json_member_text(event, "lastTimestamp"), &seen) ||
                 moment_parse(json_member_text(metadata, "creationTimestamp"), &seen);
    if (known && seen < sweep->before && sweep->count < SWEEP_MOST) {
        text_format(&sweep->paths, "/api/v1/namespaces/%.*s/events/%s\n", (int)strcspn(name, "/"),
                    name, strchr(name, '/') + 1);
        sweep->count++;
    }
}

static void remove_old_events(struct endpoint_keeper *keeper, time_t now) {
    struct sweep sweep = {.before = now - EVENT_LIFE_S};
    client_each(keeper->events, sweep_event, &sweep);
    char *rest = sweep.paths.data;
    for (char *path; rest != NULL && (path = strsep(&rest, "\n")) != NULL && path[0] != '\0';) {
        endpoint_write(keeper, "DELETE", path, NULL, 0);
    }
    keeper->next_sweep = now + (sweep.count < SWEEP_MOST ? SWEEP_S : 1);
    text_clear(&sweep.paths);
}

int endpoint_end_due(struct endpoint_keeper *keeper) {
    time_t now = time(NULL);
    int64_t left = end_pods(keeper);
    if (keeper->next_sweep <= now || keeper->next_sweep > now + SWEEP_S) {
        remove_old_events(keeper, now);
    }
    int64_t sweep = keeper->next_sweep - now;
    left = left < 0 || sweep < left ? sweep : left;
    return (int)(left < LOOK_S ? left : LOOK_S) * 1000;
}
