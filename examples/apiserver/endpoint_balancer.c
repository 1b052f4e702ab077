/*
 * endpoint_balancer.c: Services that wait for a load-balancer address get one when one is free; see
 * endpoint_pass.h.
 *
 * The server marks a Service for which it found no free address with a condition, in the
 * transaction that makes or changes it. Whenever an address is given back, and now and then, those
 * that wait are written anew without a change, the oldest first: that draws again. One that gets
 * nothing has an Event that says so. Of those that
 * draw from the same pool the first one that gets nothing stands for the rest.
 */
#include "condition.h"
#include "endpoint_pass.h"
#include "event.h"
#include "service_fields.h"
#include "services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_S 30 /* should a pool have grown, or another server have ended */

static bool waits(struct json_object *service) {
    return condition_find(service, SERVICE_WAITS) != NULL;
}

/* --- noting ----------------------------------------------------------------------------------- */

static bool gave_back(struct json_object *old, struct json_object *new) {
    struct json_object *before = json_at(old, "status", "loadBalancer", "ingress", NULL);
    struct json_object *after = json_at(new, "status", "loadBalancer", "ingress", NULL);
    return json_length(before) > 0 && !json_object_equal(before, after);
}

void endpoint_note_balancer(struct endpoint_keeper *keeper, const char *name,
                            struct json_object *old, struct json_object *new) {
    if (waits(new)) {
        if (!waits(old)) {
            keeper->next_try = 0; /* one may have been given back a moment before */
        }
        if (string_map_find(&keeper->waiting, name) == NULL) {
            string_map_set(&keeper->waiting, name, memory_allocate(sizeof(bool)));
        }
    } else {
        free(string_map_take(&keeper->waiting, name));
    }
    if (gave_back(old, new)) {
        keeper->next_try = 0;
    }
}

/* --- trying again ----------------------------------------------------------------------------- */

struct waiter {
    struct json_object *service;
    char *name;
};

struct waiters {
    struct endpoint_keeper *keeper;
    struct waiter *items;
    size_t count;
};

static void gather(void *context, const char *name, void *value) {
    struct waiters *waiters = context;
    struct json_object *service = client_find(waiters->keeper->services, name);
    (void)value;
    if (service != NULL) {
        waiters->items[waiters->count++] = (struct waiter){service, memory_copy(name)};
    }
}

static const char *created(const struct waiter *waiter) {
    return json_member_text(json_member(waiter->service, "metadata"), "creationTimestamp");
}

static int compare_ages(const void *one, const void *other) {
    int order = strcmp(created(one), created(other));
    return order != 0
               ? order
               : strcmp(((const struct waiter *)one)->name, ((const struct waiter *)other)->name);
}

/* What it waits for: "POOL IPv4,IPv6,", the families of which it has no address. */
static void set_source(struct text *out, struct json_object *service) {
    struct json_object *annotations = json_at(service, "metadata", "annotations", NULL);
    struct json_object *families = json_at(service, "spec", "ipFamilies", NULL);
    out->size = 0;
    text_format(out, "%s ", json_member_text(annotations, SERVICE_POOL_ANNOTATION));
    for (size_t i = 0; i < json_length(families); i++) {
        const char *family = json_object_get_string(json_object_array_get_idx(families, i));
        if (!service_has_ingress(service, strcmp(family, "IPv6") == 0 ? 6 : 4)) {
            text_format(out, "%s,", family);
        }
    }
}

static size_t count_ingress(struct json_object *service) {
    return json_length(json_at(service, "status", "loadBalancer", "ingress", NULL));
}

/* A patch that says nothing. Has it got an address more, or is it gone? */
static bool draw_again(struct endpoint_keeper *keeper, const struct waiter *waiter) {
    struct text path = {0};
    struct text problem = {0};
    struct json_object *answer = NULL;
    text_format(&path, "/api/v1/namespaces/%.*s/services/%s", (int)strcspn(waiter->name, "/"),
                waiter->name, strchr(waiter->name, '/') + 1);
    int code = client_send(keeper->client, "PATCH", path.data, "application/merge-patch+json", "{}",
                           WRITE_TIMEOUT_MS, &answer, &problem);
    bool got_one =
        code == 404 ||
        (code == 200 && (!waits(answer) || count_ingress(answer) > count_ingress(waiter->service)));
    json_object_put(answer);
    text_clear(&path);
    text_clear(&problem);
    return got_one;
}

/* Once: whoever has said it before has said it. */
static void tell_waiting(struct endpoint_keeper *keeper, const struct waiter *waiter) {
    struct event event = {.program = "ipalloc-apiserver",
                          .api_version = "v1",
                          .kind = "Service",
                          .object = waiter->service,
                          .reason = "LoadBalancerWaits",
                          .message = SERVICE_WAITS_WORDS};
    bool *told = string_map_find(&keeper->waiting, waiter->name);
    if (!*told) {
        *told = event_tell(keeper->client, &event) != EVENT_NOT_TOLD;
    }
}

static void try_all(struct endpoint_keeper *keeper, struct waiters *waiters) {
    struct string_map empty = {0}; /* sources that had nothing left */
    struct text source = {0};
    for (size_t i = 0; i < waiters->count; i++) {
        const struct waiter *waiter = &waiters->items[i];
        set_source(&source, waiter->service);
        if (string_map_find(&empty, source.data) != NULL || !draw_again(keeper, waiter)) {
            string_map_set(&empty, source.data, keeper);
            tell_waiting(keeper, waiter);
        }
        free(waiter->name);
    }
    string_map_clear(&empty, NULL);
    text_clear(&source);
}

int endpoint_give_waiting(struct endpoint_keeper *keeper) {
    time_t now = time(NULL);
    if (keeper->waiting.count == 0) {
        return -1;
    }
    if (keeper->next_try <= now || keeper->next_try > now + LOOK_S) {
        struct waiters waiters = {.keeper = keeper};
        waiters.items = memory_allocate(keeper->waiting.count * sizeof *waiters.items);
        string_map_each(&keeper->waiting, gather, &waiters);
        qsort(waiters.items, waiters.count, sizeof *waiters.items, compare_ages);
        try_all(keeper, &waiters);
        free(waiters.items);
        keeper->next_try = now + LOOK_S;
    }
    return (int)(keeper->next_try - now) * 1000;
}
