/* tell.c: see tell.h. */
#include "tell.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEND_MS 3000

static void now_text(char out[32]) {
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static unsigned hash_of(const char *words) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *words != '\0'; words++) {
        hash = (hash ^ (unsigned char)*words) * UINT64_C(0x100000001b3);
    }
    return (unsigned)(hash ^ hash >> 32);
}

static struct json_object *event_of(const struct ingress *ingress, const char *name,
                                    const char *reason, const char *message) {
    struct json_object *of = json_member(ingress->object, "metadata");
    struct json_object *event = json_object_new_object();
    struct json_object *metadata = json_ensure(event, "metadata");
    struct json_object *about = json_ensure(event, "involvedObject");
    char moment[32];
    now_text(moment);
    json_set_text(event, "apiVersion", "v1");
    json_set_text(event, "kind", "Event");
    json_set_text(metadata, "name", name);
    json_set_text(metadata, "namespace", json_member_text(of, "namespace"));
    json_set_text(about, "apiVersion", "networking.k8s.io/v1");
    json_set_text(about, "kind", "Ingress");
    json_set_text(about, "namespace", json_member_text(of, "namespace"));
    json_set_text(about, "name", json_member_text(of, "name"));
    json_set_text(about, "uid", json_member_text(of, "uid"));
    json_set_text(event, "reason", reason);
    json_set_text(event, "message", message);
    json_set_text(event, "type", "Warning");
    json_set_number(event, "count", 1);
    json_set_text(event, "firstTimestamp", moment);
    json_set_text(event, "lastTimestamp", moment);
    json_set_text(json_ensure(event, "source"), "component", "ipalloc-ingress");
    return event;
}

/* It is there already: it happened once more. */
static bool count_up(struct client *client, const char *path) {
    struct json_object *event = NULL;
    struct text problem = {0};
    struct text body = {0};
    char moment[32];
    now_text(moment);
    int code = client_send(client, "GET", path, NULL, NULL, SEND_MS, &event, &problem);
    text_format(&body, "{\"count\":%lld,\"lastTimestamp\":\"%s\"}",
                (long long)json_member_number(event, "count", 1) + 1, moment);
    if (code == 200) {
        code = client_send(client, "PATCH", path, "application/merge-patch+json", body.data,
                           SEND_MS, NULL, &problem);
    }
    json_object_put(event);
    text_clear(&body);
    text_clear(&problem);
    return code / 100 == 2 || code == 404;
}

static bool tell_one(struct client *client, const struct ingress *ingress, const char *reason,
                     const char *message) {
    struct text path = {0};
    struct text name = {0};
    struct text problem = {0};
    const char *short_name = strchr(ingress->name, '/') + 1;
    text_format(&name, "%.200s.%08x%08x", short_name, hash_of(reason), hash_of(message));
    text_format(&path, "/api/v1/namespaces/%.*s/events", (int)strcspn(ingress->name, "/"),
                ingress->name);
    struct json_object *event = event_of(ingress, name.data, reason, message);
    int code = client_send(client, "POST", path.data, NULL, json_line(event, NULL), SEND_MS, NULL,
                           &problem);
    bool well = code / 100 == 2;
    if (code == 409) {
        text_format(&path, "/%s", name.data);
        well = count_up(client, path.data);
    }
    json_object_put(event);
    text_clear(&path);
    text_clear(&name);
    text_clear(&problem);
    return well;
}

bool tell_problems(struct client *client, const struct ingress *ingress) {
    char *copy = memory_copy(ingress->problems.data != NULL ? ingress->problems.data : "");
    char *rest = copy;
    bool well = true;
    for (char *line; well && (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        char *words = strchr(line, '\t');
        *words++ = '\0';
        well = tell_one(client, ingress, line, words);
    }
    free(copy);
    return well;
}

bool tell_addresses(struct client *client, const char *name, struct json_object *object,
                    struct json_object *addresses) {
    struct json_object *present = json_at(object, "status", "loadBalancer", "ingress", NULL);
    struct text path = {0};
    struct text body = {0};
    struct text problem = {0};
    if (json_length(present) == 0 ? json_length(addresses) == 0
                                  : json_object_equal(present, addresses) != 0) {
        return true;
    }
    text_format(&path, "/apis/networking.k8s.io/v1/namespaces/%.*s/ingresses/%s/status",
                (int)strcspn(name, "/"), name, strchr(name, '/') + 1);
    text_format(&body, "{\"status\":{\"loadBalancer\":{\"ingress\":%s}}}",
                addresses != NULL ? json_line(addresses, NULL) : "null");
    int code = client_send(client, "PATCH", path.data, "application/merge-patch+json", body.data,
                           SEND_MS, NULL, &problem);
    text_clear(&path);
    text_clear(&body);
    text_clear(&problem);
    return code / 100 == 2 || code == 404 || code == 409;
}
