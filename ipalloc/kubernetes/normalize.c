/*
 * normalize.c: what a Service means before anybody judges it.
 *
 * Defaults are filled in, addresses become canonical text, values that the client left out but that
 * were allocated for it earlier are carried over from the stored object, and clusterIP and
 * clusterIPs are brought in line for clients that know only one of them. Nothing is refused here:
 * what cannot be read stays as it was sent, for validate.c to name.
 */
#include "kubernetes/service_work.h"

#include <stdio.h>
#include <string.h>

/* --- defaults and canonical text -------------------------------------------------------------- */

static void fill_defaults(ipalloc_service *service) {
    if (service->type[0] == '\0')
        copy_text(service->type, "ClusterIP");
    if (is_external(service) && service->external_traffic_policy[0] == '\0')
        copy_text(service->external_traffic_policy, "Cluster");
    if (type_is(service, "LoadBalancer") && !service->allocate_load_balancer_node_ports_given) {
        service->allocate_load_balancer_node_ports_given = true;
        service->allocate_load_balancer_node_ports = true;
    }
}

/* Old text (leading zeros) is read only where it was stored: what is new must be strict. */
static void make_canonical(char text[IPALLOC_SERVICE_TEXT], bool stored) {
    ipalloc_addr address;
    size_t length = strlen(text);
    int status = stored ? ipalloc_addr_parse_legacy(text, length, &address, NULL, NULL)
                        : ipalloc_addr_parse(text, length, &address, NULL);
    if (status == IPALLOC_OK)
        ipalloc_addr_format(&address, text);
}

static bool was_stored(const ipalloc_service *before, const char *text) {
    for (size_t i = 0; i < before->cluster_ip_count; i++)
        if (strcmp(before->cluster_ips[i], text) == 0)
            return true;
    return text[0] != '\0' && strcmp(before->cluster_ip, text) == 0;
}

/* Text that is stored already is read as it was then (KEP-4858: old values are not refused on
 * update), so the new object's is judged while the old one's is still as it was stored. */
static void make_addresses_canonical(service_work *work) {
    ipalloc_service *before = &work->before, *after = &work->after;
    make_canonical(after->cluster_ip, was_stored(before, after->cluster_ip));
    for (size_t i = 0; i < after->cluster_ip_count; i++)
        make_canonical(after->cluster_ips[i], was_stored(before, after->cluster_ips[i]));
    make_canonical(after->load_balancer_ip,
                   strcmp(after->load_balancer_ip, before->load_balancer_ip) == 0);
    make_canonical(before->cluster_ip, true);
    for (size_t i = 0; i < before->cluster_ip_count; i++)
        make_canonical(before->cluster_ips[i], true);
}

/* --- carry-over ------------------------------------------------------------------------------- */

static void carry_over_cluster_ips(service_work *work) {
    const ipalloc_service *before = &work->before;
    ipalloc_service *after = &work->after;
    if (after->cluster_ip[0] == '\0')
        copy_text(after->cluster_ip, before->cluster_ip);
    if (after->cluster_ip_count == 0) {
        after->cluster_ip_count = before->cluster_ip_count;
        memcpy(after->cluster_ips, before->cluster_ips, sizeof after->cluster_ips);
    }
}

static bool asked_for(const service_work *work, int32_t node_port) {
    for (size_t i = 0; i < work->after.port_count; i++)
        if (work->after.ports[i].node_port == node_port)
            return true;
    return false;
}

/* The node port that the stored object has under this port name; 0 if none. */
static int32_t node_port_by_name(const ipalloc_service *before, const char *name) {
    for (size_t i = before->port_count; i-- > 0;)
        if (strcmp(before->ports[i].name, name) == 0)
            return before->ports[i].node_port;
    return 0;
}

/* By port name; but a number that the client gave to another port is that port's now. */
static void carry_over_node_ports(service_work *work) {
    for (size_t i = 0; i < work->after.port_count; i++) {
        if (work->node_ports[i] != 0)
            continue;
        int32_t earlier = node_port_by_name(&work->before, work->after.ports[i].name);
        if (earlier != 0 && !asked_for(work, earlier))
            work->node_ports[i] = earlier;
    }
}

static void carry_over(service_work *work) {
    const ipalloc_service *before = &work->before;
    ipalloc_service *after = &work->after;
    if (needs_cluster_ip(before) && needs_cluster_ip(after))
        carry_over_cluster_ips(work);
    if (needs_node_ports(before) && needs_node_ports(after))
        carry_over_node_ports(work);
    if (needs_health_check_port(before) && needs_health_check_port(after) &&
        after->health_check_node_port == 0)
        after->health_check_node_port = before->health_check_node_port;
}

/* --- clusterIP against clusterIPs ------------------------------------------------------------- */

static void set_list_to_single(ipalloc_service *service) {
    service->cluster_ip_count = 1;
    copy_text(service->cluster_ips[0], service->cluster_ip);
}

/* A client that knows only clusterIP changed it and sent the list back as it was, or not at all:
 * the list follows. Where both were changed, both stay, to be judged. */
static void synchronise_cluster_ips(service_work *work) {
    const ipalloc_service *before = &work->before;
    ipalloc_service *after = &work->after;
    if (!work->updating) {
        if (after->cluster_ip[0] != '\0' && after->cluster_ip_count == 0)
            set_list_to_single(after);
        return;
    }
    if (strcmp(before->cluster_ip, after->cluster_ip) == 0) {
        if (after->cluster_ip_count == 0 && before->cluster_ip_count > 0) {
            after->cluster_ip_count = before->cluster_ip_count;
            memcpy(after->cluster_ips, before->cluster_ips, sizeof after->cluster_ips);
        }
        return;
    }
    if (!same_cluster_ips(before, after))
        return;
    if (after->cluster_ip[0] == '\0')
        after->cluster_ip_count = 0;
    else
        set_list_to_single(after);
}

void service_normalize(service_work *work) {
    fill_defaults(&work->after);
    if (work->updating)
        fill_defaults(&work->before);
    if (work->before.cluster_ip[0] != '\0' && work->before.cluster_ip_count == 0)
        set_list_to_single(&work->before); /* stored before there was a list */
    make_addresses_canonical(work);
    if (work->updating) {
        service_complete_stored(work);
        carry_over(work);
    }
    synchronise_cluster_ips(work);
}

/* --- fields of another type ------------------------------------------------------------------- */

static bool has_number(const ipalloc_service *service, int32_t node_port) {
    for (size_t i = 0; i < service->port_count; i++)
        if (service->ports[i].node_port == node_port)
            return true;
    return false;
}

/* Ports may come, go and change; a number that was not there before is the user's wish. */
static bool only_known_node_ports(const service_work *work) {
    for (size_t i = 0; i < work->after.port_count; i++)
        if (work->node_ports[i] != 0 && !has_number(&work->before, work->node_ports[i]))
            return false;
    return true;
}

static void drop_cluster_ip_fields(service_work *work) {
    const ipalloc_service *before = &work->before;
    ipalloc_service *after = &work->after;
    if (same_cluster_ips(before, after)) {
        after->cluster_ip[0] = '\0';
        after->cluster_ip_count = 0;
    }
    if (same_ip_families(before, after))
        after->ip_family_count = 0;
    if (strcmp(before->ip_family_policy, after->ip_family_policy) == 0)
        after->ip_family_policy[0] = '\0';
}

static void drop_load_balancer_fields(service_work *work) {
    const ipalloc_service *before = &work->before;
    ipalloc_service *after = &work->after;
    if (after->allocate_load_balancer_node_ports_given &&
        before->allocate_load_balancer_node_ports_given &&
        after->allocate_load_balancer_node_ports == before->allocate_load_balancer_node_ports)
        after->allocate_load_balancer_node_ports_given = false;
    if (same_class(before->load_balancer_class, after->load_balancer_class))
        after->load_balancer_class = NULL;
}

void service_drop_unused(service_work *work) {
    const ipalloc_service *before = &work->before;
    ipalloc_service *after = &work->after;
    if (!work->updating)
        return;
    if (needs_cluster_ip(before) && !needs_cluster_ip(after))
        drop_cluster_ip_fields(work);
    if (needs_node_ports(before) && !needs_node_ports(after) && only_known_node_ports(work))
        memset(work->node_ports, 0, sizeof work->node_ports);
    if (is_external(before) && !is_external(after) &&
        strcmp(before->external_traffic_policy, after->external_traffic_policy) == 0)
        after->external_traffic_policy[0] = '\0';
    if (needs_health_check_port(before) && !needs_health_check_port(after) &&
        before->health_check_node_port == after->health_check_node_port)
        after->health_check_node_port = 0;
    if (type_is(before, "LoadBalancer") && !type_is(after, "LoadBalancer"))
        drop_load_balancer_fields(work);
}
