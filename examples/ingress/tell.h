/* tell.h: what is told back to the API server: Events about an Ingress, and where it is served. */
#ifndef INGRESS_TELL_H
#define INGRESS_TELL_H

#include "client.h"
#include "routes.h"

/* One Event for each problem; the same one again counts up. False: not now. */
bool tell_problems(struct client *client, const struct ingress *ingress);

/* Write status.loadBalancer.ingress (a list; NULL: nothing) unless it says so. False: not now. */
bool tell_addresses(struct client *client, const char *name, struct json_object *object,
                    struct json_object *addresses);

#endif
