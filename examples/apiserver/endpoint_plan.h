/*
 * endpoint_plan.h: from a Service and its Pods to the EndpointSlices that it should have. Pure: no
 * server, no clock, the same result in any server.
 */
#ifndef APISERVER_ENDPOINT_PLAN_H
#define APISERVER_ENDPOINT_PLAN_H

#include "json.h"

#define SLICE_SERVICE_LABEL  "kubernetes.io/service-name"
#define SLICE_MANAGER_LABEL  "endpointslice.kubernetes.io/managed-by"
#define SLICE_MANAGER        "endpointslice-controller.k8s.io"
#define SLICE_MIRROR_MANAGER "endpointslicemirroring-controller.k8s.io"
#define SLICE_ENDPOINTS_MAX  100 /* as kube-controller-manager's default */

/* Does the Service select Pods? One of type ExternalName does not. */
bool service_selects(struct json_object *service);

/* Has the Pod all labels of the Service's selector? */
bool service_selects_pod(struct json_object *service, struct json_object *pod);

/* The slices for these Pods, which the Service selects, in any order: a new list of whole objects.
 */
struct json_object *plan_slices(struct json_object *service, struct json_object *const *pods,
                                size_t pod_count);

/* The same for a Service without selector, from its Endpoints object (NULL: there is none). */
struct json_object *plan_mirror(struct json_object *service, struct json_object *endpoints);

/* Is the stored slice as it is wanted, in all that a plan says? */
bool plan_is_met(struct json_object *wanted, struct json_object *stored);

#endif
