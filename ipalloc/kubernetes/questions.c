/*
 * questions.c: what the other files ask about a Service, its families and the cluster.
 *
 * Pure functions of what they are given; the lowest file of the hook.
 */
#include "kubernetes/service_work.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

bool type_is(const ipalloc_service *service, const char *type) {
    return strcmp(service->type, type) == 0;
}

bool is_headless(const ipalloc_service *service) {
    return service->cluster_ip_count == 1 && strcmp(service->cluster_ips[0], "None") == 0;
}

bool needs_cluster_ip(const ipalloc_service *service) {
    return !type_is(service, "ExternalName");
}

bool needs_node_ports(const ipalloc_service *service) {
    return type_is(service, "NodePort") || type_is(service, "LoadBalancer");
}

bool is_external(const ipalloc_service *service) {
    return needs_node_ports(service) ||
           (type_is(service, "ClusterIP") && service->has_external_ips);
}

bool same_class(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool needs_health_check_port(const ipalloc_service *service) {
    return type_is(service, "LoadBalancer") &&
           strcmp(service->external_traffic_policy, "Local") == 0;
}

const char *port_protocol(const ipalloc_service_port *port) {
    return port->protocol[0] != '\0' ? port->protocol : "TCP";
}

static bool same_list(const char (*a)[IPALLOC_SERVICE_TEXT], size_t a_count,
                      const char (*b)[IPALLOC_SERVICE_TEXT], size_t b_count) {
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

bool same_cluster_ips(const ipalloc_service *a, const ipalloc_service *b) {
    return same_list(a->cluster_ips, a->cluster_ip_count, b->cluster_ips, b->cluster_ip_count);
}

bool same_ip_families(const ipalloc_service *a, const ipalloc_service *b) {
    return same_list(a->ip_families, a->ip_family_count, b->ip_families, b->ip_family_count);
}

void copy_text(char out[IPALLOC_SERVICE_TEXT], const char *text) {
    snprintf(out, IPALLOC_SERVICE_TEXT, "%s", text);
}

/* --- families --------------------------------------------------------------------------------- */

const char *family_name(int family) {
    assert(family == 4 || family == 6);
    return family == 4 ? "IPv4" : "IPv6";
}

int family_of_name(const char *name) {
    return strcmp(name, "IPv4") == 0 ? 4 : strcmp(name, "IPv6") == 0 ? 6 : 0;
}

int family_of_address(const char *text) {
    ipalloc_addr address;
    if (ipalloc_addr_parse(text, strlen(text), &address, NULL) != IPALLOC_OK)
        return 0;
    return address.family;
}

ipalloc_pool *cluster_ip_pool(const service_work *work, int family) {
    for (size_t i = 0; i < SERVICE_FAMILIES_MAX; i++) {
        ipalloc_pool *pool = work->pools.cluster_ips[i];
        if (pool != NULL && ipalloc_pool_kind_of(pool) == family)
            return pool;
    }
    return NULL;
}
