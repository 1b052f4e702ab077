/* event.c: see event.h. */
#include "event.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SEND_MS 3000

static void now_text(char out[32]) {
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static uint64_t hash_text(uint64_t hash, const char *words) { /* FNV-1a */
    for (; *words != '\0'; words++) {
        hash = (hash ^ (unsigned char)*words) * UINT64_C(0x100000001b3);
    }
    return (hash ^ '/') * UINT64_C(0x100000001b3);
}

static const char *member_of(const struct event *event, const char *name) {
    return json_member_text(json_member(event->object, "metadata"), name);
}

/* With the uid: another object of the same name has Events of its own. */
static void add_name(struct text *out, const struct event *event) {
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), member_of(event, "uid"));
    hash = hash_text(hash_text(hash, event->reason), event->message);
    text_format(out, "%.200s.%016llx", member_of(event, "name"), (unsigned long long)hash);
}

static void add_path(struct text *out, const struct event *event) {
    text_format(out, "/api/v1/namespaces/%s/events", member_of(event, "namespace"));
}

static struct json_object *event_new(const struct event *event) {
    struct json_object *out = json_object_new_object();
    struct json_object *metadata = json_ensure(out, "metadata");
    struct json_object *about = json_ensure(out, "involvedObject");
    struct text name = {0};
    char moment[32];
    now_text(moment);
    add_name(&name, event);
    json_set_text(out, "apiVersion", "v1");
    json_set_text(out, "kind", "Event");
    json_set_text(metadata, "name", name.data);
    json_set_text(metadata, "namespace", member_of(event, "namespace"));
    json_set_text(about, "apiVersion", event->api_version);
    json_set_text(about, "kind", event->kind);
    json_set_text(about, "namespace", member_of(event, "namespace"));
    json_set_text(about, "name", member_of(event, "name"));
    json_set_text(about, "uid", member_of(event, "uid"));
    json_set_text(out, "reason", event->reason);
    json_set_text(out, "message", event->message);
    json_set_text(out, "type", "Warning");
    json_set_number(out, "count", 1);
    json_set_text(out, "firstTimestamp", moment);
    json_set_text(out, "lastTimestamp", moment);
    json_set_text(json_ensure(out, "source"), "component", event->program);
    text_clear(&name);
    return out;
}

enum event_told event_tell(struct client *client, const struct event *event) {
    struct text path = {0};
    struct text problem = {0};
    struct json_object *body = event_new(event);
    add_path(&path, event);
    int code = client_send(client, "POST", path.data, NULL, json_line(body, NULL), SEND_MS, NULL,
                           &problem);
    json_object_put(body);
    text_clear(&path);
    text_clear(&problem);
    return code / 100 == 2 ? EVENT_TOLD : code == 409 ? EVENT_TOLD_BEFORE : EVENT_NOT_TOLD;
}

bool event_count_up(struct client *client, const struct event *event) {
    struct json_object *present = NULL;
    struct text path = {0};
    struct text problem = {0};
    struct text body = {0};
    char moment[32];
    now_text(moment);
    add_path(&path, event);
    text_add(&path, "/");
    add_name(&path, event);
    int code = client_send(client, "GET", path.data, NULL, NULL, SEND_MS, &present, &problem);
    text_format(&body, "{\"count\":%lld,\"lastTimestamp\":\"%s\"}",
                (long long)json_member_number(present, "count", 1) + 1, moment);
    if (code == 200) {
        code = client_send(client, "PATCH", path.data, "application/merge-patch+json", body.data,
                           SEND_MS, NULL, &problem);
    }
    json_object_put(present);
    text_clear(&path);
    text_clear(&body);
    text_clear(&problem);
    return code / 100 == 2 || code == 404;
}
