/*
 * endpoint_place.h: which slice each endpoint of a Service stands in. Pure, as endpoint_plan.h.
 *
 * An endpoint stays in the slice that it is in already, so that a change of one Pod of a thousand
 * is a change of one slice of ten; new ones fill what has room. All slices that are seen are used
 * in the order of their names, so that servers that share a store plan the same.
 */
#ifndef APISERVER_ENDPOINT_PLACE_H
#define APISERVER_ENDPOINT_PLACE_H

#include "json.h"

#define SLICE_SERVICE_LABEL  "kubernetes.io/service-name"
#define SLICE_MANAGER_LABEL  "endpointslice.kubernetes.io/managed-by"
#define SLICE_HEADLESS_LABEL "service.kubernetes.io/headless"
#define SLICE_MANAGER        "endpointslice-controller.k8s.io"
#define SLICE_MIRROR_MANAGER "endpointslicemirroring-controller.k8s.io"
#define SLICE_ENDPOINTS_MAX  100 /* as kube-controller-manager's default */

/* What is there already. */
struct slices_seen {
    struct json_object *const *slices; /* ours, of that Service, in any order */
    size_t count;
    bool (*is_taken)(void *context, const char *name); /* is there a slice of that name at all? */
    void *context;
};

/* What the slices of a plan have in common. */
struct slice_frame {
    struct json_object *service;
    struct json_object *labels; /* theirs beside our own; NULL: none */
    const char *manager;
    int family;
    bool never_none; /* without endpoints there is still one slice, an empty one */
    const struct slices_seen *seen;
};

struct candidate {
    struct json_object *endpoint, *ports; /* taken by place_endpoints */
    bool placed;                          /* stands in a slice, or is one too many */
};

/* The ports of a slice, from {name, port, protocol, appProtocol}. */
void add_port(struct json_object *ports, struct json_object *from, int64_t number);

/* Which endpoint of which Pod it is; in `out`. */
void endpoint_key(struct text *out, struct json_object *endpoint);

/* Add the slices for these endpoints to the plan `out`. Of two with the same key and ports the
 * first one counts. */
void place_endpoints(struct json_object *out, const struct slice_frame *frame,
                     struct candidate *candidates, size_t count);

#endif
