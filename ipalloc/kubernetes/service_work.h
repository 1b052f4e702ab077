/*
 * service_work.h: what the files of the Service hook share.
 *
 * One call of the hook is one service_work on the stack: the Service as it was, the Service as it
 * is becoming, and the refusals so far. Nothing of the caller's is written before the call
 * succeeds. The steps run in this order, each refusing all that it finds wrong before the next one
 * starts:
 *
 *     normalize.c      defaults, canonical addresses, carry-over, clusterIP against clusterIPs
 *     families.c       ipFamilies and ipFamilyPolicy from what was given and what the cluster has
 *     validate.c       field rules, and on update what may not change
 *     cluster_ips.c    claims and releases of cluster IPs
 *     node_ports.c     the same for node ports and the health-check port
 *     load_balancer.c  the same for load-balancer addresses
 *
 * Claims come last, so that a Service that is refused for its fields never holds an address, not
 * even for a moment.
 */
#ifndef IPALLOC_KUBERNETES_SERVICE_WORK_H
#define IPALLOC_KUBERNETES_SERVICE_WORK_H

#include <ipalloc/service.h>

enum { SERVICE_FAMILIES_MAX = 2 };

typedef struct service_work {
    ipalloc_txn *txn;
    ipalloc_service_pools pools;
    bool updating;
    ipalloc_service before; /* as stored, addresses made canonical; all empty on create */
    ipalloc_service after;  /* as it is becoming; after.ports is read, never written */
    int32_t node_ports[IPALLOC_SERVICE_PORTS_MAX]; /* of after.ports, as they are becoming */
    ipalloc_service_problems *problems;            /* may be NULL */
    size_t problem_count;
    ipalloc_error *error; /* may be NULL */
} service_work;

/* --- problem.c --------------------------------------------------------------------------------
 *
 * Each records one refusal and returns its status. The first one also fills in the error. */

enum { FIELD_TEXT = 64 };

/* "Invalid value: <value>: <detail>". `value` is shown as it is: see the *_value functions. */
int problem_invalid(service_work *work, const char *field, const char *value, const char *detail);
int problem_forbidden(service_work *work, const char *field, const char *detail);
int problem_required(service_work *work, const char *field);
int problem_duplicate(service_work *work, const char *field, const char *value);
int problem_too_many(service_work *work, const char *field, size_t count, size_t count_max);
/* One transaction cannot change all that the update changes. */
int problem_too_many_changes(service_work *work);
int problem_not_supported(service_work *work, const char *field, const char *value,
                          const char *const *supported, size_t supported_count);
/* A claim that failed: as an invalid value, or as an internal error (HTTP 500) where `field` is
 * NULL. `status` is the claim's, `holder` who has it ("" where that is not the matter). */
int problem_claim(service_work *work, int status, const char *field, const char *value,
                  const char *detail, const char *holder);

enum {
    VALUE_TEXT = 1280
}; /* eight list members, each byte escaped as four in the worst case,
      would be more: a longer value is cut with "..." */

/* How a value is shown: "text", ["a","b"], or a number. Each returns `out`. */
const char *text_value(const char *text, char out[VALUE_TEXT]);
const char *cluster_ips_value(const ipalloc_service *service, char out[VALUE_TEXT]);
const char *ip_families_value(const ipalloc_service *service, char out[VALUE_TEXT]);
const char *number_value(int64_t number, char out[VALUE_TEXT]);

/* "spec.<list>[<index>]<rest>" */
const char *indexed_field(const char *list, size_t index, const char *rest, char out[FIELD_TEXT]);

/* --- normalize.c ------------------------------------------------------------------------------ */

/* Defaults, canonical addresses, carry-over and synchronisation. Refuses nothing. */
void service_normalize(service_work *work);
/* On update, drop what the new type has no use for and the user did not change. */
void service_drop_unused(service_work *work);

/* --- families.c ------------------------------------------------------------------------------- */

/* A stored object from before there were families gets those of its addresses. */
void service_complete_stored(service_work *work);
/* Infer and check ipFamilies and ipFamilyPolicy. OK or INVALID. */
int service_infer_families(service_work *work);

/* --- validate.c ------------------------------------------------------------------------------- */

/* Every rule about fields that needs no look at the pools. OK or INVALID. */
int service_validate(service_work *work);
/* The rules that tie clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy together. */
int service_validate_cluster_ips(service_work *work);

/* --- claims: each OK, a refusal, or the transaction's own failure ----------------------------- */

int service_claim_cluster_ips(service_work *work);
int service_claim_node_ports(service_work *work); /* and the health-check port */
int service_claim_load_balancer(service_work *work);

/* --- claim.c ---------------------------------------------------------------------------------- */

/* Claim an address (NULL: any) or a node port (0: any) for `slot`. */
int claim_address(service_work *work, ipalloc_pool *pool, const char *slot,
                  const ipalloc_addr *address, ipalloc_addr *out);
int claim_port(service_work *work, const char *slot, int32_t number, int32_t *out);
/* Does the status refuse the claim, or is it the transaction's own failure? */
bool claim_is_refused(int status);

/* Release with the commit. What somebody else holds, what is not held and what is outside the pool
 * by now is not this Service's and is left alone: OK. A NULL pool is OK too. */
int release_address(service_work *work, ipalloc_pool *pool, const char *text);
int release_port(service_work *work, int32_t number);
int release_slot(service_work *work, ipalloc_pool *pool, const char *slot);
int rename_slot(service_work *work, ipalloc_pool *pool, const char *from, const char *to);

/* What the Service holds in `slot`; family 0 for nothing. */
int find_slot(service_work *work, ipalloc_pool *pool, const char *slot, ipalloc_addr *out);

/* A refused claim in Kubernetes' words: taken, out of range, full. */
const char *address_refusal(ipalloc_pool *pool, const char *address, int status,
                            char out[VALUE_TEXT]);
const char *port_refusal(const service_work *work, int status, char out[VALUE_TEXT]);

/* Who has what was refused as taken; "" where nobody is known. Returns `out`. */
const char *address_holder(ipalloc_pool *pool, const ipalloc_addr *address, int status,
                           char out[IPALLOC_OWNER_MAX + 1]);
const char *port_holder(const service_work *work, int32_t number, int status,
                        char out[IPALLOC_OWNER_MAX + 1]);

/* --- questions.c ------------------------------------------------------------------------------ */

bool type_is(const ipalloc_service *service, const char *type);
bool is_headless(const ipalloc_service *service);
bool needs_cluster_ip(const ipalloc_service *service);
bool needs_node_ports(const ipalloc_service *service);
bool is_external(const ipalloc_service *service); /* reached from outside the cluster */
bool needs_health_check_port(const ipalloc_service *service);
bool same_class(const char *a, const char *b); /* of load balancers; NULL: none */
const char *port_protocol(const ipalloc_service_port *port);
bool same_cluster_ips(const ipalloc_service *a, const ipalloc_service *b);
bool same_ip_families(const ipalloc_service *a, const ipalloc_service *b);
const char *family_name(int family);     /* "IPv4", "IPv6" */
int family_of_name(const char *name);    /* 4, 6, or 0 */
int family_of_address(const char *text); /* of canonical text: 4, 6, or 0 */
ipalloc_pool *cluster_ip_pool(const service_work *work, int family); /* NULL: not on the cluster */
void copy_text(char out[IPALLOC_SERVICE_TEXT], const char *text);

#endif
