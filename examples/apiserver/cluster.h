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

int cluster_define_pool(struct server *server, int family, const ipalloc_cidr *ranges, size_t count,
                        ipalloc_error *error);

/* ipalloc_pool_define; others may start at the same moment, and make the same pool. */
int cluster_define_patiently(struct server *server, const char *name,
                             const ipalloc_pool_definition *definition, ipalloc_pool **out,
                             ipalloc_error *error);

/* The pools that Services draw from at this moment, and another pair of ClusterIP pools for them:
 * the default family's, and the other one's or NULL. */
ipalloc_service_pools cluster_service_pools(struct server *server);
void cluster_publish_pools(struct server *server, ipalloc_pool *first, ipalloc_pool *second);

/* Make default/kubernetes where it is not there: at the start, and when somebody has deleted it. */
void cluster_ensure_kubernetes_service(struct server *server);

/* Addresses and ports held now, over all pools. */
uint64_t cluster_leases(struct server *server);

#endif
