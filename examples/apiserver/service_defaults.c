/* service_defaults.c: what kube-apiserver fills in (pkg/apis/core/v1/defaults.go), and what goes
 * with a type that an update leaves behind. */
#include "service_rules.h"

#include <string.h>

#define AFFINITY_TIMEOUT_DEFAULT_S 10800

bool service_has_type(struct json_object *spec, const char *type) {
    return strcmp(json_member_text(spec, "type"), type) == 0;
}

static bool is_external(struct json_object *spec) {
    return service_has_type(spec, "NodePort") || service_has_type(spec, "LoadBalancer") ||
           (service_has_type(spec, "ClusterIP") &&
            json_length(json_member(spec, "externalIPs")) > 0);
}

static void default_text(struct json_object *object, const char *name, const char *value) {
    if (json_member_text(object, name)[0] == '\0') {
        json_set_text(object, name, value);
    }
}

static void default_port(struct json_object *port) {
    default_text(port, "protocol", "TCP");
    struct json_object *target = json_member(port, "targetPort");
    bool given = json_object_is_type(target, json_type_string)
                     ? json_object_get_string_len(target) > 0
                     : json_member_number(port, "targetPort", 0) != 0;
    if (!given) {
        json_set_number(port, "targetPort", json_member_number(port, "port", 0));
    }
}

static void default_affinity(struct json_object *spec) {
    default_text(spec, "sessionAffinity", "None");
    const char *affinity = json_member_text(spec, "sessionAffinity");
    if (strcmp(affinity, "None") == 0) {
        json_remove(spec, "sessionAffinityConfig");
    } else if (strcmp(affinity, "ClientIP") == 0) {
        struct json_object *client =
            json_ensure(json_ensure(spec, "sessionAffinityConfig"), "clientIP");
        if (json_member(client, "timeoutSeconds") == NULL) {
            json_set_number(client, "timeoutSeconds", AFFINITY_TIMEOUT_DEFAULT_S);
        }
    }
}

/* An address of a load balancer is a VIP unless its controller says otherwise. */
static void default_ingress(struct json_object *balancer) {
    struct json_object *ingress = json_member(balancer, "ingress");
    for (size_t i = 0; i < json_length(ingress); i++) {
        struct json_object *point = json_object_array_get_idx(ingress, i);
        if (json_member_text(point, "ip")[0] != '\0') {
            default_text(point, "ipMode", "VIP");
        }
    }
}

void service_default(struct json_object *object) {
    struct json_object *spec = json_ensure(object, "spec");
    struct json_object *ports = json_member(spec, "ports");
    default_text(spec, "type", "ClusterIP");
    default_affinity(spec);
    for (size_t i = 0; i < json_length(ports); i++) {
        default_port(json_object_array_get_idx(ports, i));
    }
    if (is_external(spec)) {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if (!service_has_type(spec, "ExternalName") &&
        json_member(spec, "internalTrafficPolicy") == NULL) {
        json_set_text(spec, "internalTrafficPolicy", "Cluster");
    }
    if (service_has_type(spec, "LoadBalancer") &&
        json_member(spec, "allocateLoadBalancerNodePorts") == NULL) {
        json_set(spec, "allocateLoadBalancerNodePorts", json_object_new_boolean(true));
    }
    default_ingress(json_ensure(json_ensure(object, "status"), "loadBalancer"));
}

static void drop_if_same(struct json_object *old, struct json_object *spec, const char *name) {
    struct json_object *value = json_member(spec, name);
    if (value != NULL && json_object_equal(json_member(old, name), value)) {
        json_remove(spec, name);
    }
}

void service_drop_unneeded(struct json_object *old, struct json_object *object) {
    struct json_object *before = json_member(old, "spec");
    struct json_object *spec = json_member(object, "spec");
    if (service_has_type(before, "LoadBalancer") && !service_has_type(spec, "LoadBalancer")) {
        drop_if_same(before, spec, "allocateLoadBalancerNodePorts");
        drop_if_same(before, spec, "loadBalancerClass");
    }
    if (is_external(before) && !is_external(spec)) {
        drop_if_same(before, spec, "externalTrafficPolicy");
    }
}
