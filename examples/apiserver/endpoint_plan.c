/*
 * endpoint_plan.c: see endpoint_plan.h.
 *
 * One slice a family and set of port numbers (a named targetPort may be another number in another
 * Pod), and at most SLICE_ENDPOINTS_MAX endpoints in each. Names are made of what a slice is for,
 * so that two servers on one store mean the same object.
 */
#include "endpoint_plan.h"

#include <ipalloc/addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_KEPT 54 /* of the Service's name; with the suffix 63 bytes */

/* --- what a Service selects ------------------------------------------------------------------- */

static struct json_object *selector_of(struct json_object *service) {
    struct json_object *selector = json_at(service, "spec", "selector", NULL);
    return json_object_is_type(selector, json_type_object) ? selector : NULL;
}

bool service_selects(struct json_object *service) {
    struct json_object *selector = selector_of(service);
    const char *type = json_member_text(json_member(service, "spec"), "type");
    return selector != NULL && json_object_object_length(selector) > 0 &&
           strcmp(type, "ExternalName") != 0;
}

bool service_selects_pod(struct json_object *service, struct json_object *pod) {
    struct json_object *labels = json_at(pod, "metadata", "labels", NULL);
    struct json_object *selector = selector_of(service);
    if (!service_selects(service)) {
        return false;
    }
    json_object_object_foreach(selector, name, value) {
        struct json_object *label = json_member(labels, name);
        if (label == NULL || !json_object_equal(label, value)) {
            return false;
        }
    }
    return true;
}

/* --- what a Pod is ---------------------------------------------------------------------------- */

static bool is_ready(struct json_object *pod) {
    struct json_object *conditions = json_at(pod, "status", "conditions", NULL);
    for (size_t i = 0; i < json_length(conditions); i++) {
        struct json_object *condition = json_object_array_get_idx(conditions, i);
        if (strcmp(json_member_text(condition, "type"), "Ready") == 0) {
            return strcmp(json_member_text(condition, "status"), "True") == 0;
        }
    }
    return false;
}

static bool is_over(struct json_object *pod) {
    const char *phase = json_member_text(json_member(pod, "status"), "phase");
    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

static bool is_of_family(const char *text, int family) {
    ipalloc_addr address;
    return ipalloc_addr_parse(text, strlen(text), &address, NULL) == IPALLOC_OK &&
           address.family == family;
}

/* Its address of that family; "" where it has none (yet). */
static const char *address_of(struct json_object *pod, int family) {
    struct json_object *status = json_member(pod, "status");
    struct json_object *all = json_member(status, "podIPs");
    const char *first = json_member_text(status, "podIP");
    for (size_t i = 0; i < json_length(all); i++) {
        const char *text = json_member_text(json_object_array_get_idx(all, i), "ip");
        if (is_of_family(text, family)) {
            return text;
        }
    }
    return is_of_family(first, family) ? first : "";
}

/* The number of a named port in the Pod's containers; 0: it has none of that name. */
static int64_t find_port(struct json_object *pod, const char *name, const char *protocol) {
    struct json_object *containers = json_at(pod, "spec", "containers", NULL);
    for (size_t i = 0; i < json_length(containers); i++) {
        struct json_object *ports = json_member(json_object_array_get_idx(containers, i), "ports");
        for (size_t j = 0; j < json_length(ports); j++) {
            struct json_object *port = json_object_array_get_idx(ports, j);
            const char *spoken = json_member_text(port, "protocol");
            if (strcmp(json_member_text(port, "name"), name) == 0 &&
                strcmp(spoken[0] != '\0' ? spoken : "TCP", protocol) == 0) {
                return json_member_number(port, "containerPort", 0);
            }
        }
    }
    return 0;
}

/* The Service's ports as they are in that Pod; those that it does not have are left out. */
static struct json_object *ports_of(struct json_object *service, struct json_object *pod) {
    struct json_object *out = json_object_new_array();
    struct json_object *ports = json_at(service, "spec", "ports", NULL);
    for (size_t i = 0; i < json_length(ports); i++) {
        struct json_object *from = json_object_array_get_idx(ports, i);
        struct json_object *target = json_member(from, "targetPort");
        const char *protocol = json_member_text(from, "protocol");
        int64_t number = json_object_is_type(target, json_type_string)
                             ? find_port(pod, json_object_get_string(target), protocol)
                             : json_member_number(from, "targetPort", 0);
        if (number == 0) {
            continue;
        }
        struct json_object *port = json_object_new_object();
        json_carry(from, port, "appProtocol");
        json_set_text(port, "name", json_member_text(from, "name"));
        json_set_number(port, "port", number);
        json_set_text(port, "protocol", protocol);
        json_object_array_add(out, port);
    }
    return out;
}

static void add_reference(struct json_object *endpoint, struct json_object *pod) {
    struct json_object *metadata = json_member(pod, "metadata");
    struct json_object *reference = json_ensure(endpoint, "targetRef");
    json_set_text(reference, "kind", "Pod");
    json_set_text(reference, "name", json_member_text(metadata, "name"));
    json_set_text(reference, "namespace", json_member_text(metadata, "namespace"));
    json_set_text(reference, "uid", json_member_text(metadata, "uid"));
}

/* A Pod that ends takes no new connections, but may still serve; publishNotReadyAddresses says that
 * all shall be found. */
static struct json_object *endpoint_of(struct json_object *service, struct json_object *pod,
                                       const char *address) {
    struct json_object *endpoint = json_object_new_object();
    struct json_object *addresses = json_object_new_array();
    const char *node = json_member_text(json_member(pod, "spec"), "nodeName");
    bool serving = is_ready(pod);
    bool ends = json_at(pod, "metadata", "deletionTimestamp", NULL) != NULL;
    bool all = json_member_truth(json_member(service, "spec"), "publishNotReadyAddresses", false);
    json_object_array_add(addresses, json_object_new_string(address));
    json_set(endpoint, "addresses", addresses);
    struct json_object *conditions = json_ensure(endpoint, "conditions");
    json_set(conditions, "ready", json_object_new_boolean(all || (serving && !ends)));
    json_set(conditions, "serving", json_object_new_boolean(serving));
    json_set(conditions, "terminating", json_object_new_boolean(ends));
    if (node[0] != '\0') {
        json_set_text(endpoint, "nodeName", node);
    }
    add_reference(endpoint, pod);
    return endpoint;
}

/* --- slices ----------------------------------------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, const char *text) { /* FNV-1a */
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return (hash ^ '/') * UINT64_C(0x100000001b3);
}

static void add_owner(struct json_object *metadata, struct json_object *service) {
    struct json_object *owners = json_object_new_array();
    struct json_object *owner = json_object_new_object();
    struct json_object *of = json_member(service, "metadata");
    json_set_text(owner, "apiVersion", "v1");
    json_set(owner, "blockOwnerDeletion", json_object_new_boolean(true));
    json_set(owner, "controller", json_object_new_boolean(true));
    json_set_text(owner, "kind", "Service");
    json_set_text(owner, "name", json_member_text(of, "name"));
    json_set_text(owner, "uid", json_member_text(of, "uid"));
    json_object_array_add(owners, owner);
    json_set(metadata, "ownerReferences", owners);
}

/* An empty slice, for these ports (taken; NULL: none). */
static struct json_object *slice_new(struct json_object *service, int family, const char *manager,
                                     struct json_object *ports, size_t number) {
    struct json_object *of = json_member(service, "metadata");
    struct json_object *slice = json_object_new_object();
    struct json_object *metadata = json_ensure(slice, "metadata");
    struct json_object *labels = json_ensure(metadata, "labels");
    const char *name = json_member_text(of, "name");
    const char *type = family == 4 ? "IPv4" : "IPv6";
    char text[80];
    char count[24];
    snprintf(count, sizeof count, "%zu", number);
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), json_member_text(of, "uid"));
    hash = hash_text(hash_text(hash_text(hash, manager), type), count);
    hash = hash_text(hash, ports != NULL ? json_line(ports, NULL) : "");
    snprintf(text, sizeof text, "%.*s-%08x", NAME_KEPT, name, (unsigned)(hash ^ hash >> 32));
    json_set_text(slice, "apiVersion", "discovery.k8s.io/v1");
    json_set_text(slice, "kind", "EndpointSlice");
    json_set_text(metadata, "name", text);
    json_set_text(metadata, "namespace", json_member_text(of, "namespace"));
    json_set_text(labels, SLICE_MANAGER_LABEL, manager);
    json_set_text(labels, SLICE_SERVICE_LABEL, name);
    if (strcmp(json_member_text(json_member(service, "spec"), "clusterIP"), "None") == 0) {
        json_set_text(labels, "service.kubernetes.io/headless", "");
    }
    add_owner(metadata, service);
    json_set_text(slice, "addressType", type);
    json_set(slice, "endpoints", json_object_new_array());
    if (ports != NULL) {
        json_set(slice, "ports", ports);
    }
    return slice;
}

/* The slice of `out` that is for these ports and has room; made if there is none. */
static struct json_object *slice_for(struct json_object *out, size_t first,
                                     struct json_object *service, int family, const char *manager,
                                     struct json_object *ports) {
    size_t alike = 0;
    for (size_t i = first; i < json_length(out); i++) {
        struct json_object *slice = json_object_array_get_idx(out, i);
        if (json_object_equal(json_member(slice, "ports"), ports)) {
            if (json_length(json_member(slice, "endpoints")) < SLICE_ENDPOINTS_MAX) {
                return slice;
            }
            alike++;
        }
    }
    struct json_object *slice = slice_new(service, family, manager, json_object_get(ports), alike);
    json_object_array_add(out, slice);
    return slice;
}

static int compare_pods(const void *one, const void *other) {
    return strcmp(
        json_member_text(json_member(*(struct json_object *const *)one, "metadata"), "name"),
        json_member_text(json_member(*(struct json_object *const *)other, "metadata"), "name"));
}

static void plan_family(struct json_object *out, struct json_object *service, int family,
                        struct json_object *const *pods, size_t pod_count) {
    size_t first = json_length(out);
    for (size_t i = 0; i < pod_count; i++) {
        const char *address = address_of(pods[i], family);
        if (address[0] == '\0' || is_over(pods[i])) {
            continue;
        }
        struct json_object *ports = ports_of(service, pods[i]);
        struct json_object *slice = slice_for(out, first, service, family, SLICE_MANAGER, ports);
        json_object_array_add(json_member(slice, "endpoints"),
                              endpoint_of(service, pods[i], address));
        json_object_put(ports);
    }
    if (json_length(out) == first) { /* there is a selector, and nothing behind it */
        json_object_array_add(out, slice_new(service, family, SLICE_MANAGER, NULL, 0));
    }
}

static int family_at(struct json_object *families, size_t index) {
    const char *name = json_object_get_string(json_object_array_get_idx(families, index));
    return strcmp(name, "IPv6") == 0 ? 6 : 4;
}

struct json_object *plan_slices(struct json_object *service, struct json_object *const *pods,
                                size_t pod_count) {
    struct json_object *out = json_object_new_array();
    struct json_object *families = json_at(service, "spec", "ipFamilies", NULL);
    struct json_object **sorted = memory_allocate((pod_count + 1) * sizeof *sorted);
    for (size_t i = 0; i < pod_count; i++) {
        sorted[i] = pods[i];
    }
    qsort(sorted, pod_count, sizeof *sorted, compare_pods);
    for (size_t i = 0; i < json_length(families); i++) {
        plan_family(out, service, family_at(families, i), sorted, pod_count);
    }
    free(sorted);
    return out;
}

/* --- Endpoints of those without a selector ------------------------------------------------------
 */

static void mirror_addresses(struct json_object *out, struct json_object *service, int family,
                             struct json_object *subset, const char *list, bool ready) {
    struct json_object *addresses = json_member(subset, list);
    struct json_object *empty = json_object_new_array();
    struct json_object *ports = json_member(subset, "ports");
    struct json_object *named = json_copy(ports != NULL ? ports : empty);
    for (size_t i = 0; i < json_length(named); i++) {
        struct json_object *port = json_object_array_get_idx(named, i);
        if (json_member(port, "name") == NULL) {
            json_set_text(port, "name", "");
        }
    }
    for (size_t i = 0; i < json_length(addresses); i++) {
        struct json_object *from = json_object_array_get_idx(addresses, i);
        const char *ip = json_member_text(from, "ip");
        if (!is_of_family(ip, family)) {
            continue;
        }
        struct json_object *endpoint = json_object_new_object();
        struct json_object *listed = json_object_new_array();
        json_object_array_add(listed, json_object_new_string(ip));
        json_set(endpoint, "addresses", listed);
        json_set(json_ensure(endpoint, "conditions"), "ready", json_object_new_boolean(ready));
        json_carry(from, endpoint, "hostname");
        json_carry(from, endpoint, "nodeName");
        json_carry(from, endpoint, "targetRef");
        struct json_object *slice = slice_for(out, 0, service, family, SLICE_MIRROR_MANAGER, named);
        json_object_array_add(json_member(slice, "endpoints"), endpoint);
    }
    json_object_put(named);
    json_object_put(empty);
}

struct json_object *plan_mirror(struct json_object *service, struct json_object *endpoints) {
    struct json_object *out = json_object_new_array();
    struct json_object *subsets = json_member(endpoints, "subsets");
    const char *type = json_member_text(json_member(service, "spec"), "type");
    for (int family = 4; family <= 6 && strcmp(type, "ExternalName") != 0; family += 2) {
        struct json_object *part = json_object_new_array();
        for (size_t i = 0; i < json_length(subsets); i++) {
            struct json_object *subset = json_object_array_get_idx(subsets, i);
            mirror_addresses(part, service, family, subset, "addresses", true);
            mirror_addresses(part, service, family, subset, "notReadyAddresses", false);
        }
        for (size_t i = 0; i < json_length(part); i++) {
            json_object_array_add(out, json_object_get(json_object_array_get_idx(part, i)));
        }
        json_object_put(part);
    }
    return out;
}

/* --- comparing -------------------------------------------------------------------------------- */

bool plan_is_met(struct json_object *wanted, struct json_object *stored) {
    static const char *const parts[] = {"addressType", "endpoints", "ports"};
    struct json_object *labels = json_at(wanted, "metadata", "labels", NULL);
    struct json_object *present = json_at(stored, "metadata", "labels", NULL);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct json_object *part = json_member(stored, parts[i]);
        bool both_empty =
            json_length(json_member(wanted, parts[i])) == 0 && json_length(part) == 0 && i > 0;
        if (!both_empty && !json_object_equal(json_member(wanted, parts[i]), part)) {
            return false;
        }
    }
    json_object_object_foreach(labels, name, value) {
        if (!json_object_equal(json_member(present, name), value)) {
            return false;
        }
    }
    return json_object_equal(json_at(wanted, "metadata", "ownerReferences", NULL),
                             json_at(stored, "metadata", "ownerReferences", NULL)) != 0;
}
