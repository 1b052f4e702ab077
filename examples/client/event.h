/*
 * event.h: Events: what a program has to say to people about an object, where `kubectl describe`
 * shows it.
 *
 * An Event of the same object, reason and words has the same name: whoever says it again finds it.
 */
#ifndef CLIENT_EVENT_H
#define CLIENT_EVENT_H

#include "client.h"

struct event {
    const char *program; /* who says it */
    const char *api_version, *kind;
    struct json_object *object; /* what it is about; in a namespace */
    const char *reason;         /* one word */
    const char *message;
};

enum event_told { EVENT_TOLD, EVENT_TOLD_BEFORE, EVENT_NOT_TOLD };

/* Say it, as a warning. NOT_TOLD: not now. */
enum event_told event_tell(struct client *client, const struct event *event);

/* What was told before happened once more. False: not now. */
bool event_count_up(struct client *client, const struct event *event);

#endif
