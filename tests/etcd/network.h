/*
 * network.h: nodes with a network of their own, joined by a bridge, and cut off from one another.
 *
 * All of it lives in network namespaces that only processes and descriptors of this test hold: when
 * the last of them is gone, so is the network. Nothing has a name outside, and nothing needs to be
 * cleaned up. The calling process moves into the namespace of the bridge, from where it reaches
 * every node whatever is cut.
 */
#ifndef IPALLOC_TEST_ETCD_NETWORK_H
#define IPALLOC_TEST_ETCD_NETWORK_H

#include <stdbool.h>

enum { NETWORK_NODES_MAX = 12 };

typedef struct network network;

/* NULL: this process may not (not root, no user namespaces) or cannot (no `ip`, no `nft`): *why
 * says so. From the main thread of a process that has no other. */
network *network_create(int nodes, const char **why);
void network_destroy(network *n);

const char *network_address(const network *n, int node); /* "10.199.0.1" */

/* Move the calling process, a child that is about to become something else, into that node. */
void network_enter(const network *n, int node);

/* What `from` sends does not arrive at `to` any more. */
void network_cut(network *n, int from, int to);
/* Everything arrives again. */
void network_heal(network *n);

/* Can a process at `from` open a connection to that port of `to`, within 300 ms? */
bool network_reaches(const network *n, int from, int to, unsigned port);

#endif
