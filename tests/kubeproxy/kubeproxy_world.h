/*
 * kubeproxy_world.h: Services and EndpointSlices as texts, in the place of a server and the client
 * that follows it (it defines the client's functions that proxy.c calls). Every put and removal is
 * told to the proxy at once, as the client would.
 */
#ifndef KUBEPROXY_WORLD_H
#define KUBEPROXY_WORLD_H

#include "proxy.h"

/* Follow an empty world. The options must outlive the proxy. */
void world_begin(struct proxy *proxy, const struct proxy_options *options);
void world_end(struct proxy *proxy);

/* Put or replace; ' stands for ". */
__attribute__((format(printf, 3, 4))) void world_put_service(struct proxy *proxy, const char *name,
                                                             const char *spec, ...);
__attribute__((format(printf, 4, 5))) void world_put_slice(struct proxy *proxy, const char *name,
                                                           const char *service, const char *fields,
                                                           ...);
void world_remove_service(struct proxy *proxy, const char *name);
void world_remove_slice(struct proxy *proxy, const char *name);

#endif
