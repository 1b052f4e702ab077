/*
 * service.c: the calls of the API-server hook, and the order of their steps.
 *
 * The Service is worked out in a copy and written back only when every step has succeeded, so that
 * a refused call changes neither the caller's object nor (its transaction being aborted) a pool.
 * The calls allocate no memory; they need about 10 KiB of stack.
 */
#include "kubernetes/service_work.h"

#include "base/error.h"

#include <string.h>

/* --- what comes in ---------------------------------------------------------------------------- */

static int check_pool(const ipalloc_pool *pool, int kind, const char *what, ipalloc_error *error) {
    if (pool == NULL || ipalloc_pool_kind_of(pool) == kind)
        return IPALLOC_OK;
    return error_set(error, IPALLOC_E_INVALID, "%s: pool %s is of another kind", what,
                     ipalloc_pool_name(pool));
}

static int check_cluster_pools(const ipalloc_service_pools *pools, ipalloc_error *error) {
    const ipalloc_pool *first = pools->cluster_ips[0], *second = pools->cluster_ips[1];
    if (first == NULL)
        return error_set(error, IPALLOC_E_INVALID, "cluster_ips[0]: a pool is needed");
    int kind = ipalloc_pool_kind_of(first);
    if (kind != IPALLOC_POOL_IPV4 && kind != IPALLOC_POOL_IPV6)
        return error_set(error, IPALLOC_E_INVALID, "cluster_ips[0]: pool %s is of another kind",
                         ipalloc_pool_name(first));
    return check_pool(second, kind == IPALLOC_POOL_IPV4 ? IPALLOC_POOL_IPV6 : IPALLOC_POOL_IPV4,
                      "cluster_ips[1]", error);
}

static int read_pools(const ipalloc_service_pools *given, ipalloc_service_pools *out,
                      ipalloc_error *error) {
    if (given == NULL)
        return error_set(error, IPALLOC_E_INVALID, "service: no pools are given");
    int status = options_copy(out, sizeof *out, given, "ipalloc_service_pools", error);
    if (status == IPALLOC_OK)
        status = check_cluster_pools(out, error);
    if (status == IPALLOC_OK)
        status = check_pool(out->node_ports, IPALLOC_POOL_PORT, "node_ports", error);
    if (status == IPALLOC_OK)
        status = check_pool(out->load_balancer[0], IPALLOC_POOL_IPV4, "load_balancer[0]", error);
    if (status == IPALLOC_OK)
        status = check_pool(out->load_balancer[1], IPALLOC_POOL_IPV6, "load_balancer[1]", error);
    if (status == IPALLOC_OK)
        status = check_pool(out->load_balancer_before[0], IPALLOC_POOL_IPV4,
                            "load_balancer_before[0]", error);
    if (status == IPALLOC_OK)
        status = check_pool(out->load_balancer_before[1], IPALLOC_POOL_IPV6,
                            "load_balancer_before[1]", error);
    return status;
}

static bool has_end(const char text[IPALLOC_SERVICE_TEXT]) {
    return memchr(text, '\0', IPALLOC_SERVICE_TEXT) != NULL;
}

static bool texts_have_ends(const ipalloc_service *service) {
    bool all = has_end(service->type) && has_end(service->cluster_ip) &&
               has_end(service->ip_family_policy) && has_end(service->external_traffic_policy) &&
               has_end(service->load_balancer_ip);
    for (size_t i = 0; i < service->cluster_ip_count; i++)
        all = all && has_end(service->cluster_ips[i]);
    for (size_t i = 0; i < service->ip_family_count; i++)
        all = all && has_end(service->ip_families[i]);
    return all;
}

static bool port_texts_have_ends(const ipalloc_service *service) {
    for (size_t i = 0; i < service->port_count; i++)
        if (!has_end(service->ports[i].name) || !has_end(service->ports[i].protocol))
            return false;
    return true;
}

/* Read the caller's struct into `out`, so that the rest of the hook can believe its form. */
static int read_service(const ipalloc_service *given, ipalloc_service *out, ipalloc_error *error) {
    if (given == NULL)
        return error_set(error, IPALLOC_E_INVALID, "service: NULL");
    int status = options_copy(out, sizeof *out, given, "ipalloc_service", error);
    if (status != IPALLOC_OK)
        return status;
    if (out->cluster_ip_count > IPALLOC_SERVICE_LIST_MAX ||
        out->ip_family_count > IPALLOC_SERVICE_LIST_MAX)
        return error_set(error, IPALLOC_E_INVALID,
                         "service: %zu clusterIPs and %zu ipFamilies; at most %d of each",
                         out->cluster_ip_count, out->ip_family_count, IPALLOC_SERVICE_LIST_MAX);
    if (!texts_have_ends(out))
        return error_set(error, IPALLOC_E_INVALID, "service: a text without its NUL");
    if (out->port_count > 0 && out->ports == NULL)
        return error_set(error, IPALLOC_E_INVALID, "service: %zu ports at NULL", out->port_count);
    if (out->port_count <= IPALLOC_SERVICE_PORTS_MAX && !port_texts_have_ends(out))
        return error_set(error, IPALLOC_E_INVALID, "service: a port's text without its NUL");
    if (out->name == NULL)
        out->name = "";
    return IPALLOC_OK;
}

static int read_problems(ipalloc_service_problems *problems, ipalloc_error *error) {
    if (problems == NULL)
        return IPALLOC_OK;
    if (problems->size < sizeof *problems)
        return error_set(error, IPALLOC_E_INVALID,
                         "ipalloc_service_problems: size is %zu; set it to sizeof", problems->size);
    problems->count = 0;
    problems->alone = false;
    return IPALLOC_OK;
}

/* `old` is NULL on create. */
static int read_all(service_work *work, const ipalloc_service_pools *pools,
                    const ipalloc_service *old, const ipalloc_service *service) {
    int status = read_problems(work->problems, work->error);
    if (status == IPALLOC_OK)
        status = read_pools(pools, &work->pools, work->error);
    if (status == IPALLOC_OK)
        status = read_service(service, &work->after, work->error);
    if (status == IPALLOC_OK && work->updating)
        status = read_service(old, &work->before, work->error);
    return status;
}

static int check_port_counts(service_work *work) {
    if (work->before.port_count > IPALLOC_SERVICE_PORTS_MAX)
        return error_set(work->error, IPALLOC_E_INVALID,
                         "service: the old one has %zu ports; at most %d", work->before.port_count,
                         IPALLOC_SERVICE_PORTS_MAX);
    if (work->after.port_count > IPALLOC_SERVICE_PORTS_MAX)
        return problem_too_many(work, "spec.ports", work->after.port_count,
                                IPALLOC_SERVICE_PORTS_MAX);
    for (size_t i = 0; i < work->after.port_count; i++)
        work->node_ports[i] = work->after.ports[i].node_port;
    return IPALLOC_OK;
}

/* --- the steps -------------------------------------------------------------------------------- */

static void mark_alone(service_work *work) {
    if (work->problems != NULL)
        work->problems->alone = work->problem_count > 0;
}

static int judge(service_work *work) {
    int status = check_port_counts(work);
    if (status != IPALLOC_OK)
        return status;
    service_normalize(work);
    status = service_infer_families(work);
    if (status != IPALLOC_OK) {
        mark_alone(work);
        return status;
    }
    service_drop_unused(work);
    return service_validate(work);
}

static int claim(service_work *work) {
    int status = service_claim_cluster_ips(work);
    if (status == IPALLOC_OK)
        status = service_claim_node_ports(work);
    if (status == IPALLOC_OK)
        status = service_claim_load_balancer(work);
    mark_alone(work);
    return status;
}

static void write_back(const service_work *work, ipalloc_service *service) {
    for (size_t i = 0; i < work->after.port_count; i++) {
        ipalloc_service_port *port = &service->ports[i];
        port->node_port = work->node_ports[i];
        if (port->protocol[0] == '\0')
            copy_text(port->protocol, port_protocol(port));
    }
    size_t size = service->size < sizeof *service ? service->size : sizeof *service;
    const char *name = service->name;
    memcpy((char *)service + sizeof size, (const char *)&work->after + sizeof size,
           size - sizeof size);
    if (size >= offsetof(ipalloc_service, name) + sizeof name)
        service->name = name;
}

static int apply(service_work *work, const ipalloc_service_pools *pools, const ipalloc_service *old,
                 ipalloc_service *service) {
    int status = read_all(work, pools, old, service);
    if (status == IPALLOC_OK && work->txn == NULL)
        status = error_set(work->error, IPALLOC_E_INVALID, "service: no transaction is given");
    if (status == IPALLOC_OK)
        status = judge(work);
    if (status == IPALLOC_OK)
        status = claim(work);
    if (status == IPALLOC_OK)
        write_back(work, service);
    return status;
}

/* --- the calls -------------------------------------------------------------------------------- */

int ipalloc_service_check(const ipalloc_service_pools *pools, const ipalloc_service *old,
                          const ipalloc_service *service, ipalloc_service_problems *problems,
                          ipalloc_error *error) {
    service_work work = {.updating = old != NULL, .problems = problems, .error = error};
    int status = read_all(&work, pools, old, service);
    return status == IPALLOC_OK ? judge(&work) : status;
}

int ipalloc_service_create(ipalloc_txn *txn, const ipalloc_service_pools *pools,
                           ipalloc_service *service, ipalloc_service_problems *problems,
                           ipalloc_error *error) {
    service_work work = {.txn = txn, .problems = problems, .error = error};
    return apply(&work, pools, NULL, service);
}

int ipalloc_service_update(ipalloc_txn *txn, const ipalloc_service_pools *pools,
                           const ipalloc_service *old, ipalloc_service *service,
                           ipalloc_service_problems *problems, ipalloc_error *error) {
    service_work work = {.txn = txn, .updating = true, .problems = problems, .error = error};
    return apply(&work, pools, old, service);
}

int ipalloc_service_delete(ipalloc_txn *txn, ipalloc_error *error) {
    if (txn == NULL)
        return error_set(error, IPALLOC_E_INVALID, "service: no transaction is given");
    return ipalloc_txn_release_all(txn, error);
}
