/* service_fields.h: between a Service's JSON and the fields of it that decide allocation. */
#ifndef APISERVER_SERVICE_FIELDS_H
#define APISERVER_SERVICE_FIELDS_H

#include "json.h"

#include <ipalloc/service.h>

/* The condition of a Service that waits for a load-balancer address. */
#define SERVICE_WAITS "ipalloc/LoadBalancerWaits"
#define SERVICE_WAITS_WORDS \
    "no address of its load-balancer pool is free; it gets one as soon as one is"

/* An ipalloc_service with the ports it points to; large, so keep it off small stacks. */
struct service_fields {
    ipalloc_service service;
    ipalloc_service_port ports[IPALLOC_SERVICE_PORTS_MAX];
};

/* Read them. `object` must have at most IPALLOC_SERVICE_PORTS_MAX ports and must outlive `fields`
 * (the name is borrowed). Texts that are too long are cut: none of the cut ones is valid. */
void service_fields_read(struct json_object *object, struct service_fields *fields);

/* Write back what was defaulted and allocated. `owns_ingress`: this server gives load-balancer
 * addresses, so status.loadBalancer is its own to write, and whether it waits for one. */
void service_fields_write(struct json_object *object, const struct service_fields *fields,
                          bool owns_ingress);

#endif
