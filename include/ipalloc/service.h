/*
 * service.h: the API-server hook. What a Kubernetes Service needs on create, update and delete.
 *
 * The caller begins a transaction for the Service's owner, calls one of the three functions, puts
 * its own object into the same transaction and commits: object and addresses are one atomic write.
 * The hook is thin: Kubernetes' rules in, transaction calls out, no I/O of its own. It never frees
 * or takes anything before the commit, so a refused write changes nothing.
 *
 *     ipalloc_begin(registry, {.owner = "Service/default/web/<uid>"}, &txn, &error);
 *     ipalloc_service_create(txn, &pools, &service, &problems, &error);
 *     ipalloc_txn_put(txn, "services/default/web", json, size, IPALLOC_REVISION_ABSENT, &error);
 *     ipalloc_txn_commit(txn, &revision, &error);
 *
 * A transaction that is run again (after CONFLICT) must start from a fresh copy of what the user
 * sent: the Service of the attempt before has its picks filled in, and would now ask for them.
 *
 * Rules and texts are those of kube-apiserver 1.36 (pkg/registry/core/service), KEP-1880, KEP-2438
 * (dual-stack), KEP-3070 and KEP-3668 (bands).
 */
#ifndef IPALLOC_SERVICE_H
#define IPALLOC_SERVICE_H

#include <ipalloc/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IPALLOC_SERVICE_TEXT     64 /* an address as the user sent it, a type, a policy, a protocol */
#define IPALLOC_SERVICE_LIST_MAX 8 /* clusterIPs and ipFamilies as sent; more than 2 is refused */
#define IPALLOC_SERVICE_PORTS_MAX                                                            \
    95 /* with two ClusterIPs, two load-balancer addresses and a health-check port this is a \
          transaction's limit. An update that changes more than that at once is refused */

/* The pools that Services draw from. Unused members are NULL. cluster_ips[0] is the default family
 * (the first of --service-cluster-ip-range), cluster_ips[1] the other one, NULL on a single-stack
 * cluster. */
typedef struct ipalloc_service_pools {
    size_t size;
    ipalloc_pool *cluster_ips[2];
    ipalloc_pool *node_ports;
    ipalloc_pool *load_balancer[2]; /* IPv4, IPv6 */
    const char
        *load_balancer_class; /* whose Services the load-balancer pools serve; NULL: those
                                 without a loadBalancerClass, as Kubernetes' own controller */
    ipalloc_pool *load_balancer_before[2]; /* for an update of a Service that drew from other ones
                                              until now: what it has of them goes in the same
                                              commit; NULL: from the same */
    bool load_balancer_may_wait; /* a LoadBalancer Service that has no address of a pool, and finds
                                    it full, is made without one (Kubernetes shows "<pending>")
                                    and says so in ingress_waits; each later update tries again.
                                    false: it is refused */
    ipalloc_pool *const *more_load_balancers; /* for ipalloc_service_metrics alone: those that
                                                 other Services draw from */
    size_t more_load_balancer_count;
} ipalloc_service_pools;

typedef struct ipalloc_service_port {
    char name[IPALLOC_SERVICE_TEXT];     /* "" if the only port has none */
    char protocol[IPALLOC_SERVICE_TEXT]; /* "TCP", "UDP", "SCTP"; "" is TCP */
    int32_t port;
    int32_t node_port; /* 0: none asked for; filled in */
} ipalloc_service_port;

/* The fields of a Service that decide allocation, as the user sent them; the functions fill in what
 * was defaulted and allocated. Text members: "" is "not given". Addresses come back canonical. */
typedef struct ipalloc_service {
    size_t size;
    const char *name;                /* for messages; never changed */
    char type[IPALLOC_SERVICE_TEXT]; /* "" is ClusterIP */
    bool has_selector;
    char cluster_ip[IPALLOC_SERVICE_TEXT]; /* "None": headless */
    size_t cluster_ip_count;
    char cluster_ips[IPALLOC_SERVICE_LIST_MAX][IPALLOC_SERVICE_TEXT];
    size_t ip_family_count;
    char ip_families[IPALLOC_SERVICE_LIST_MAX][IPALLOC_SERVICE_TEXT]; /* "IPv4", "IPv6" */
    char ip_family_policy[IPALLOC_SERVICE_TEXT];
    ipalloc_service_port *ports; /* the caller's array; node_port members are filled in */
    size_t port_count;           /* at most IPALLOC_SERVICE_PORTS_MAX */
    char external_traffic_policy[IPALLOC_SERVICE_TEXT]; /* "Cluster", "Local" */
    int32_t health_check_node_port;
    bool allocate_load_balancer_node_ports_given;
    bool allocate_load_balancer_node_ports; /* default true */
    char load_balancer_ip[IPALLOC_SERVICE_TEXT];
    size_t ingress_ip_count; /* out: addresses from the load-balancer pools */
    char ingress_ips[2][IPALLOC_SERVICE_TEXT];
    bool ingress_waits;              /* out: it lacks an address of a pool that was full */
    bool has_external_ips;           /* a ClusterIP Service with externalIPs has a traffic policy */
    const char *load_balancer_class; /* NULL: none. Not copied, and set to NULL where it goes with
                                        the type; its form is the caller's to check */
} ipalloc_service;

#define IPALLOC_SERVICE_PROBLEMS_MAX 32

/* One refusal, as a Kubernetes Status object carries it. */
typedef struct ipalloc_service_problem {
    char reason[32]; /* "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate",
                        "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooMany";
                        "InternalError" is HTTP 500 with "Internal error occurred: <message>",
                        all others are causes of a 422 */
    char field[96];  /* "spec.clusterIPs[0]"; "" for InternalError */
    char message[IPALLOC_ERROR_TEXT];   /* Kubernetes' own text without the field: `Invalid value:
                                           ...` */
    char holder[IPALLOC_OWNER_MAX + 1]; /* who has it, where that is the matter; "" otherwise */
} ipalloc_service_problem;

typedef struct ipalloc_service_problems {
    size_t size;
    size_t count; /* at most IPALLOC_SERVICE_PROBLEMS_MAX are kept */
    ipalloc_service_problem items[IPALLOC_SERVICE_PROBLEMS_MAX];
    bool alone; /* Kubernetes tells of these without looking at the rest of the object: what is
                   wrong with families and addresses before they are allocated, and a claim that
                   failed. Otherwise they are told together with what else is wrong with it */
} ipalloc_service_problems;

/* Tell what ipalloc_service_create (`old` NULL) or _update would refuse for the fields alone, with
 * no look at what is taken and no transaction: for a caller with rules of its own, who wants all
 * that is wrong with an object before an address is claimed for it. Changes nothing, and reads the
 * pools' kinds only. Thread-safe.
 * OK; INVALID (refused, with problems); INVALID without a problem as below. */
IPALLOC_API int ipalloc_service_check(const ipalloc_service_pools *pools,
                                      const ipalloc_service *old, const ipalloc_service *service,
                                      ipalloc_service_problems *problems, ipalloc_error *error);

/* Apply the rules of a create: infer families and policy, normalize clusterIP/clusterIPs, claim
 * addresses and node ports in `txn`. On failure the caller aborts `txn`; *service is as it was.
 * `problems` (may be NULL) gets each refusal; the error's message is "<field>: <message>" of the
 * first, with the holder where there is one.
 * OK; INVALID, TAKEN, NOT_IN_RANGE (refused); FULL (refused; the HTTP code is in the problem's
 * reason); INVALID without a problem (the caller's own mistake: pools, sizes, lists); CONFLICT, IO,
 * NOMEM, UNAVAILABLE from the transaction. */
IPALLOC_API int ipalloc_service_create(ipalloc_txn *txn, const ipalloc_service_pools *pools,
                                       ipalloc_service *service, ipalloc_service_problems *problems,
                                       ipalloc_error *error);

/* Apply the rules of an update from `old` (as stored) to `service`: carry over what was omitted,
 * refuse what is immutable, claim what is new; what is no longer needed is released with the commit
 * and not before. Otherwise as create. */
IPALLOC_API int ipalloc_service_update(ipalloc_txn *txn, const ipalloc_service_pools *pools,
                                       const ipalloc_service *old, ipalloc_service *service,
                                       ipalloc_service_problems *problems, ipalloc_error *error);

/* Release everything that the transaction's owner (the Service) holds. Statuses of
 * ipalloc_txn_release_all. */
IPALLOC_API int ipalloc_service_delete(ipalloc_txn *txn, ipalloc_error *error);

/* OpenMetrics text, NUL-terminated and ended by "# EOF", about the pools that are given (each of
 * this registry; NULL ones are left out). Names and labels of cluster IPs and node ports are
 * kube-apiserver's:
 *   kube_apiserver_clusterip_allocator_allocated_ips{cidr}, available_ips{cidr},
 *     allocation_total{cidr,scope}, allocation_errors_total{cidr,scope},
 *     allocation_duration_seconds{cidr} (a histogram)
 *   kube_apiserver_nodeport_allocator_allocated_ports, available_ports, allocation_total{scope},
 *     allocation_errors_total{scope}
 *   apiserver_clusterip_repair_ip_errors_total{type}, apiserver_nodeport_repair_port_errors_total
 *     {type}: "leak" (freed), "repair" (reserved), "duplicate", "outOfRange" (each time that they
 *     were found); apiserver_*_repair_reconcile_errors_total (reports that failed)
 *   ipalloc_load_balancer_allocator_* and _repair_*, as those of cluster IPs
 * scope is "static" for what was asked for by address or port, "dynamic" for what was picked. Each
 * range has its own cidr; one that drains has nothing available. Gauges are exact from the first
 * scrape on, counters count as ipalloc_pool_get_range tells. `ipalloc_service_pools` that name one
 * pool twice show it once.
 * Returns the bytes needed without the NUL, and writes only if that is less than `capacity`; 0
 * where an argument is wrong or memory has run out. Thread-safe. Cost: one look at each range's
 * counts. */
IPALLOC_API size_t ipalloc_service_metrics(ipalloc_registry *registry,
                                           const ipalloc_service_pools *pools, char *out,
                                           size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
