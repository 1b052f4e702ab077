/*
 * health.h: what load balancers ask: /healthz of the proxy itself, and for each Service with
 * externalTrafficPolicy Local, at its healthCheckNodePort, whether this node has endpoints.
 *
 * Answered by the program's one thread, a few bytes each; whoever is slow to ask is not waited for.
 */
#ifndef KUBEPROXY_HEALTH_H
#define KUBEPROXY_HEALTH_H

#include "target.h"

#include <poll.h>

struct health;

/* `place` is ADDRESS:PORT of /healthz, NULL: none. NULL with `problem` where it cannot be had. */
struct health *health_open(const char *place, struct text *problem);
void health_close(struct health *health);

/* A Service is this now (NULL: gone), with these targets. */
void health_note(struct health *health, const char *name, struct json_object *service,
                 const struct target *targets);

/* The rules are up to date at this moment; a proxy that has not been for a minute is not healthy.
 */
void health_synced(struct health *health);

/* Descriptors to be waited for, into an array that holds `capacity`; returns how many. */
size_t health_descriptors(const struct health *health, struct pollfd *out, size_t capacity);
void health_answer(struct health *health);

#endif
