/* cluster.h: open the store, define the pools, make the first Service: what there is to serve. */
#ifndef APISERVER_CLUSTER_H
#define APISERVER_CLUSTER_H

#include "server.h"

/* Everything but HTTP. False with one line in `problem`, and everything closed again. */
bool cluster_open(struct server *server, const struct options *options, struct text *problem);
void cluster_close(struct server *server);

/* The ClusterIP pool of a family (4, 6); NULL: the store has none. And is that the name of one? */
ipalloc_pool *cluster_pool(struct server *server, int family);
bool cluster_is_cluster_pool(const char *name);

/* Addresses and ports held now, over all pools. */
uint64_t cluster_leases(struct server *server);

#endif
