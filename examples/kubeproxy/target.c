/* target.c: see target.h. */
#include "target.h"

#include <ipalloc/addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- addresses -------------------------------------------------------------------------------- */

/* Canonical text, if it is an address of that family. */
static bool read_address(const char *text, int family, char out[ADDRESS_TEXT]) {
    ipalloc_addr address;
    if (ipalloc_addr_parse(text, strlen(text), &address, NULL) != IPALLOC_OK ||
        address.family != family) {
        return false;
    }
    char canonical[IPALLOC_ADDR_TEXT];
    ipalloc_addr_format(&address, canonical);
    snprintf(out, ADDRESS_TEXT, "%s", canonical);
    return true;
}

static void add_text(struct address_list *list, const char *text) {
    list->items = memory_resize(list->items, (list->count + 1) * sizeof *list->items);
    snprintf(list->items[list->count++], sizeof *list->items, "%s", text);
}

static void add_address(struct address_list *list, const char *text, int family) {
    char address[ADDRESS_TEXT];
    if (read_address(text, family, address)) {
        add_text(list, address);
    }
}

static const char *text_at(struct json_object *list, size_t index) {
    const char *text = json_object_get_string(json_object_array_get_idx(list, index));
    return text != NULL ? text : "";
}

static void add_addresses(struct address_list *to, struct json_object *list, int family) {
    for (size_t i = 0; i < json_length(list); i++) {
        add_address(to, text_at(list, i), family);
    }
}

/* The addresses of a load balancer that deliver packets as they came, and not through a proxy. */
static void add_balanced(struct address_list *to, struct json_object *service, int family) {
    struct json_object *points = json_at(service, "status", "loadBalancer", "ingress", NULL);
    for (size_t i = 0; i < json_length(points); i++) {
        struct json_object *point = json_object_array_get_idx(points, i);
        if (strcmp(json_member_text(point, "ipMode"), "Proxy") != 0) {
            add_address(to, json_member_text(point, "ip"), family);
        }
    }
}

static void add_sources(struct target *target, struct json_object *spec) {
    struct json_object *ranges = json_member(spec, "loadBalancerSourceRanges");
    for (size_t i = 0; i < json_length(ranges); i++) {
        ipalloc_cidr cidr;
        char text[IPALLOC_CIDR_TEXT];
        const char *range = text_at(ranges, i);
        range += strspn(range, " \t");
        size_t size = strcspn(range, " \t");
        target->restricted = true;
        if (ipalloc_cidr_parse(range, size, &cidr, NULL) == IPALLOC_OK &&
            cidr.base.family == target->family) {
            ipalloc_cidr_format(&cidr, text);
            add_text(&target->sources, text);
        }
    }
}

/* --- endpoints -------------------------------------------------------------------------------- */

enum usable { USABLE_NOT, USABLE_ENDING, USABLE_READY };

static enum usable usable(struct json_object *endpoint) {
    struct json_object *conditions = json_member(endpoint, "conditions");
    bool ready = json_member_truth(conditions, "ready", true);
    bool serving = json_member_truth(conditions, "serving", ready);
    bool ends = json_member_truth(conditions, "terminating", false);
    return ready ? USABLE_READY : serving && ends ? USABLE_ENDING : USABLE_NOT;
}

static bool has_endpoint(const struct endpoint_list *list, const struct endpoint *endpoint) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].port == endpoint->port &&
            strcmp(list->items[i].address, endpoint->address) == 0) {
            return true;
        }
    }
    return false;
}

static void add_endpoint(struct endpoint_list *list, const struct endpoint *endpoint) {
    if (!has_endpoint(list, endpoint)) {
        list->items = memory_resize(list->items, (list->count + 1) * sizeof *list->items);
        list->items[list->count++] = *endpoint;
    }
}

/* The number at which a slice's endpoints have that port; 0: they do not. */
static int port_in(struct json_object *slice, const char *name, const char *protocol) {
    struct json_object *ports = json_member(slice, "ports");
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        if (strcmp(json_member_text(port, "name"), name) == 0 &&
            strcmp(json_member_text(port, "protocol"), protocol) == 0) {
            int64_t number = json_member_number(port, "port", 0);
            return number >= 1 && number <= UINT16_MAX ? (int)number : 0;
        }
    }
    return 0;
}

static int compare_endpoints(const void *one, const void *other) {
    const struct endpoint *a = one;
    const struct endpoint *b = other;
    int order = strcmp(a->address, b->address);
    return order != 0 ? order : a->port - b->port;
}

static void add_from_slice(struct endpoint_list *list, struct json_object *slice, int family,
                           int port, const char *node, enum usable wanted) {
    struct json_object *endpoints = json_member(slice, "endpoints");
    for (size_t i = 0; i < json_length(endpoints); i++) {
        struct json_object *from = json_object_array_get_idx(endpoints, i);
        struct json_object *addresses = json_member(from, "addresses");
        struct endpoint endpoint = {.port = port};
        bool elsewhere = node != NULL && strcmp(json_member_text(from, "nodeName"), node) != 0;
        if (json_length(addresses) > 0 && usable(from) == wanted && !elsewhere &&
            read_address(text_at(addresses, 0), family, endpoint.address)) {
            add_endpoint(list, &endpoint);
        }
    }
}

/* Those that are so usable, on one node or (NULL) on any, in an order that does not depend on the
 * slices'. */
static void add_usable(struct endpoint_list *list, struct json_object *const *slices,
                       size_t slice_count, const struct target *target, const char *name,
                       const char *protocol, const char *node, enum usable wanted) {
    const char *type = target->family == 4 ? "IPv4" : "IPv6";
    for (size_t i = 0; i < slice_count; i++) {
        int port = port_in(slices[i], name, protocol);
        if (port != 0 && strcmp(json_member_text(slices[i], "addressType"), type) == 0) {
            add_from_slice(list, slices[i], target->family, port, node, wanted);
        }
    }
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof *list->items, compare_endpoints);
    }
}

/* The ready ones; where none is, those that still serve while they end. A node's own are chosen
 * for themselves: one that ends is better than a packet lost where only this node may answer. */
static void find_endpoints(struct target *target, struct json_object *const *slices,
                           size_t slice_count, const char *name, const char *protocol,
                           const char *node) {
    for (int wanted = USABLE_READY; wanted > USABLE_NOT; wanted--) {
        if (target->all.count == 0) {
            add_usable(&target->all, slices, slice_count, target, name, protocol, NULL,
                       (enum usable)wanted);
        }
        if (target->local.count == 0 && node[0] != '\0') {
            add_usable(&target->local, slices, slice_count, target, name, protocol, node,
                       (enum usable)wanted);
        }
        if (wanted == USABLE_READY) {
            target->local_ready = target->local.count;
        }
    }
}

/* --- a Service -------------------------------------------------------------------------------- */

static const char *protocol_word(const char *protocol) {
    return strcmp(protocol, "UDP") == 0 ? "udp" : strcmp(protocol, "SCTP") == 0 ? "sctp" : "tcp";
}

static int port_number(struct json_object *port, const char *name) {
    int64_t number = json_member_number(port, name, 0);
    return number >= 1 && number <= UINT16_MAX ? (int)number : 0;
}

static void read_policies(struct target *target, struct json_object *spec) {
    const char *type = json_member_text(spec, "type");
    bool outside = strcmp(type, "NodePort") == 0 || strcmp(type, "LoadBalancer") == 0 ||
                   json_length(json_member(spec, "externalIPs")) > 0;
    target->internal_local = strcmp(json_member_text(spec, "internalTrafficPolicy"), "Local") == 0;
    target->external_local =
        outside && strcmp(json_member_text(spec, "externalTrafficPolicy"), "Local") == 0;
    if (strcmp(json_member_text(spec, "sessionAffinity"), "ClientIP") == 0) {
        struct json_object *client = json_at(spec, "sessionAffinityConfig", "clientIP", NULL);
        int64_t seconds = json_member_number(client, "timeoutSeconds", 10800);
        target->affinity_s = seconds >= 1 && seconds <= 86400 ? (int)seconds : 10800;
    }
}

static struct target *target_new(const char *name, struct json_object *service,
                                 struct json_object *port, int family) {
    struct target *target = memory_allocate(sizeof *target);
    struct json_object *spec = json_member(service, "spec");
    struct json_object *addresses = json_member(spec, "clusterIPs");
    target->family = family;
    target->protocol = protocol_word(json_member_text(port, "protocol"));
    target->port = port_number(port, "port");
    snprintf(target->name, sizeof target->name, "%s/%s/%d", name, target->protocol, target->port);
    for (size_t i = 0; i < json_length(addresses) && target->cluster_ip[0] == '\0'; i++) {
        read_address(text_at(addresses, i), family, target->cluster_ip);
    }
    if (target->cluster_ip[0] != '\0') {
        target->node_port = port_number(port, "nodePort");
        add_addresses(&target->external, json_member(spec, "externalIPs"), family);
        add_balanced(&target->balanced, service, family);
        add_sources(target, spec);
        read_policies(target, spec);
    }
    return target;
}

static void target_free(struct target *target) {
    free(target->external.items);
    free(target->balanced.items);
    free(target->sources.items);
    free(target->all.items);
    free(target->local.items);
    free(target);
}

struct target *targets_make(const char *name, struct json_object *service,
                            struct json_object *const *slices, size_t slice_count,
                            const char *node) {
    struct json_object *spec = json_member(service, "spec");
    struct json_object *ports = json_member(spec, "ports");
    struct target *targets = NULL;
    if (strcmp(json_member_text(spec, "type"), "ExternalName") == 0 ||
        strcmp(json_member_text(spec, "clusterIP"), "None") == 0) {
        return NULL;
    }
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        for (int family = 4; family <= 6; family += 2) {
            struct target *target = target_new(name, service, port, family);
            if (target->cluster_ip[0] == '\0' || target->port == 0) {
                target_free(target);
                continue;
            }
            find_endpoints(target, slices, slice_count, json_member_text(port, "name"),
                           json_member_text(port, "protocol"), node);
            target->next = targets;
            targets = target;
        }
    }
    return targets;
}

void targets_free(struct target *targets) {
    while (targets != NULL) {
        struct target *next = targets->next;
        target_free(targets);
        targets = next;
    }
}
