/*
 * endpoint_plan.h: from a Service and its Pods to the EndpointSlices that it should have. Pure: no
 * server, no clock, the same result in any server that sees the same.
 */
#ifndef APISERVER_ENDPOINT_PLAN_H
#define APISERVER_ENDPOINT_PLAN_H

#include "endpoint_place.h"

/* Does the Service select Pods? One of type ExternalName does not. */
bool service_selects(struct json_object *service);

/* Has the Pod all labels of the Service's selector? */
bool service_selects_pod(struct json_object *service, struct json_object *pod);

/* The slices for these Pods, which the Service selects, in any order: a new list of whole objects.
 */
struct json_object *plan_slices(struct json_object *service, struct json_object *const *pods,
                                size_t pod_count, const struct slices_seen *seen);

/* The same for a Service without selector, from its Endpoints object (NULL: there is none). */
struct json_object *plan_mirror(struct json_object *service, struct json_object *endpoints,
                                const struct slices_seen *seen);

/* Is the stored slice as it is wanted, in all that a plan says? */
bool plan_is_met(struct json_object *wanted, struct json_object *stored);

/* Does the wanted slice have an endpoint that the stored one has not? Such are written first, so
 * that what moves from one slice to another is in both for a moment rather than in none. */
bool plan_adds(struct json_object *wanted, struct json_object *stored);

/* The stored slice, brought to what is wanted: a new object. What others put into its metadata
 * (annotations, finalizers) stays; labels and owner are the plan's. */
struct json_object *plan_merge(struct json_object *wanted, struct json_object *stored);

#endif
