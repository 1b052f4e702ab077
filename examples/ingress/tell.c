/* tell.c: see tell.h. */
#include "tell.h"

#include "event.h"

#include <stdlib.h>
#include <string.h>

#define SEND_MS 3000

static bool tell_one(struct client *client, const struct ingress *ingress, const char *reason,
                     const char *message) {
    struct event event = {.program = "ipalloc-ingress",
                          .api_version = "networking.k8s.io/v1",
                          .kind = "Ingress",
                          .object = ingress->object,
                          .reason = reason,
                          .message = message};
    enum event_told told = event_tell(client, &event);
    return told == EVENT_TOLD || (told == EVENT_TOLD_BEFORE && event_count_up(client, &event));
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
