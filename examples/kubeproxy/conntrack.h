/*
 * conntrack.h: UDP has no end. The kernel sends a client that stays at one port where it was sent
 * first, whether that is still an endpoint or not, and also if it was sent nowhere because there
 * was no rule yet. So what was translated by older rules has to be forgotten.
 */
#ifndef KUBEPROXY_CONNTRACK_H
#define KUBEPROXY_CONNTRACK_H

#include "string_map.h"

/* `ways` has, under "FAMILY ADDRESS PORT" (ADDRESS "-": the node's own), the endpoints to which
 * that leads now, as "|ADDRESS PORT|ADDRESS PORT|", or "|". Flows that came by one of the ways and
 * went elsewhere are forgotten; all others stay, those to endpoints that are still there too. Costs
 * one look through all flows. False, with the reason, where the kernel does not tell or obey. */
bool conntrack_forget(const struct string_map *ways, struct text *problem);

#endif
