/*
 * service_cidrs.h: the kind ServiceCIDR, and how its objects become the ranges of the ClusterIP
 * pools.
 *
 *   service_cidrs.c        the descriptor: fields, rules, columns
 *   service_cidr_ranges.c  from CIDRs to a pool's ranges: arithmetic only
 *   service_cidr_settle.c  one pass that makes pools and conditions what the objects ask for, with
 *                          _pools, _status and _start (service_cidr_pass.h)
 *
 * The objects are the truth about what is wanted, the leases about what is held. A pool gives from
 * the largest CIDRs of the objects that are not being deleted. What it had before and none of them
 * covers drains: it gives nothing, and goes when nothing in it is held. So a ServiceCIDR that is
 * deleted stays until the last address that no other one serves is released.
 */
#ifndef APISERVER_SERVICE_CIDRS_H
#define APISERVER_SERVICE_CIDRS_H

#include "server.h"

#define SERVICE_CIDR_DEFAULT   "kubernetes" /* the one of --service-cluster-ip-range */
#define SERVICE_CIDR_FINALIZER "networking.k8s.io/service-cidr-finalizer"
#define SERVICE_CIDR_CIDRS_MAX 2

struct json_object;

/* The CIDRs of an object; those that are none are left out (what is stored was judged). */
size_t service_cidr_read(struct json_object *object, ipalloc_cidr out[SERVICE_CIDR_CIDRS_MAX]);

/* At the start: the default object must be what the flags say, where there is one; a second family
 * that is new is added to it. False with one line in `problem`. */
bool service_cidrs_check_flags(struct server *server, struct text *problem);

/* Make pools and conditions what the objects ask for, and let go what nothing holds. Changes
 * server->pools. Serialised; costs a walk over the leases while something is being deleted. */
void service_cidrs_settle(struct server *server);

/* The same where something may have been released since: nothing unless something drains. */
void service_cidrs_released(struct server *server);

/* Where the store is shared: a thread for passes that nobody waits for, after a release and where
 * another server has left its own undone. False: it cannot be started. */
bool service_cidrs_keeper_start(struct server *server);
void service_cidrs_keeper_stop(struct server *server);

/* For the hub: an object has changed, here or on another server, and the registry knows the pools
 * as they are now. */
void service_cidrs_changed(struct server *server);

/* Something has been released by this server. */
void service_cidrs_note_release(struct server *server);

/* --- arithmetic --------------------------------------------------------------------------------
 */

struct service_cidr_list {
    ipalloc_cidr *cidrs;
    size_t count, capacity;
};

void service_cidr_list_add(struct service_cidr_list *list, const ipalloc_cidr *cidr);
void service_cidr_list_free(struct service_cidr_list *list);

/* Leave only those that no other one covers, each once, in order. */
void service_cidr_list_reduce(struct service_cidr_list *list);

/* Does one of them give out this address? Not its network address, nor an IPv4 broadcast one. */
bool service_cidr_list_serves(const struct service_cidr_list *list, const ipalloc_addr *address);

/* Has it an address to give? */
bool service_cidr_is_usable(const ipalloc_cidr *cidr);

/* What is left of a range without all of `taken`, added to `out`. */
void service_cidr_list_add_rest(struct service_cidr_list *out, const ipalloc_cidr *range,
                                const struct service_cidr_list *taken);

#endif
