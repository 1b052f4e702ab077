/* service_rules.c: defaults and validation of a Service's spec; the texts are kube-apiserver's. */
#include "service_rules.h"

#include "status.h"

#include <stdio.h>
#include <string.h>

#define AFFINITY_TIMEOUT_DEFAULT_S 10800
#define AFFINITY_TIMEOUT_MAX_S     86400

static bool is_type(struct json_object *spec, const char *type) {
    return strcmp(json_member_text(spec, "type"), type) == 0;
}

/* Reached from outside the cluster, so that externalTrafficPolicy means something. */
static bool is_external(struct json_object *spec) {
    return is_type(spec, "NodePort") || is_type(spec, "LoadBalancer") ||
           (is_type(spec, "ClusterIP") && json_length(json_member(spec, "externalIPs")) > 0);
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
    if (!is_type(spec, "ExternalName")) {
        default_text(spec, "internalTrafficPolicy", "Cluster");
    }
    if (is_type(spec, "LoadBalancer") &&
        json_member(spec, "allocateLoadBalancerNodePorts") == NULL) {
        json_set(spec, "allocateLoadBalancerNodePorts", json_object_new_boolean(true));
    }
    json_ensure(json_ensure(object, "status"), "loadBalancer");
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
    if (is_type(before, "LoadBalancer") && !is_type(spec, "LoadBalancer")) {
        drop_if_same(before, spec, "allocateLoadBalancerNodePorts");
        drop_if_same(before, spec, "loadBalancerClass");
    }
    if (is_external(before) && !is_external(spec)) {
        drop_if_same(before, spec, "externalTrafficPolicy");
    }
    if (is_type(spec, "ExternalName")) {
        drop_if_same(before, spec, "internalTrafficPolicy");
    }
}

/* --- validation ------------------------------------------------------------------------------- */

static void refuse(ipalloc_service_problems *problems, const char *field, const char *value,
                   const char *rule) {
    struct json_object *shown = json_object_new_string(value);
    problem_add(problems, "FieldValueInvalid", field, "Invalid value: %.120s: %s",
                json_line(shown, NULL), rule);
    json_object_put(shown);
}

/* `choices` ends with NULL and is in alphabetical order, as the message lists it. */
static void validate_choice(struct json_object *object, const char *name, const char *field,
                            const char *const *choices, ipalloc_service_problems *problems) {
    const char *value = json_member_text(object, name);
    struct text listed = {0};
    bool found = value[0] == '\0';
    for (size_t i = 0; choices[i] != NULL; i++) {
        found = found || strcmp(value, choices[i]) == 0;
        text_format(&listed, "%s\"%s\"", i > 0 ? ", " : "", choices[i]);
    }
    if (!found) {
        struct json_object *shown = json_object_new_string(value);
        problem_add(problems, "FieldValueNotSupported", field,
                    "Unsupported value: %.120s: supported values: %s", json_line(shown, NULL),
                    listed.data);
        json_object_put(shown);
    }
    text_clear(&listed);
}

static void validate_choices(struct json_object *spec, ipalloc_service_problems *problems) {
    static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort",
                                        NULL};
    static const char *const affinities[] = {"ClientIP", "None", NULL};
    static const char *const policies[] = {"Cluster", "Local", NULL};
    validate_choice(spec, "type", "spec.type", types, problems);
    validate_choice(spec, "sessionAffinity", "spec.sessionAffinity", affinities, problems);
    validate_choice(spec, "internalTrafficPolicy", "spec.internalTrafficPolicy", policies,
                    problems);
    if (is_external(spec)) {
        validate_choice(spec, "externalTrafficPolicy", "spec.externalTrafficPolicy", policies,
                        problems);
    } else if (json_member_text(spec, "externalTrafficPolicy")[0] != '\0') {
        refuse(problems, "spec.externalTrafficPolicy",
               json_member_text(spec, "externalTrafficPolicy"),
               "may only be set for externally-accessible services");
    }
}

static const char port_number_rule[] = "must be between 1 and 65535, inclusive";

static void validate_port_number(int64_t port, const char *field,
                                 ipalloc_service_problems *problems) {
    if (port < 1 || port > UINT16_MAX) {
        problem_add(problems, "FieldValueInvalid", field, "Invalid value: %lld: %s",
                    (long long)port, port_number_rule);
    }
}

static void validate_port_name(struct json_object *port, const char *prefix, bool required,
                               ipalloc_service_problems *problems) {
    char field[64];
    const char *name = json_member_text(port, "name");
    snprintf(field, sizeof field, "%s.name", prefix);
    if (name[0] == '\0') {
        if (required) {
            problem_add(problems, "FieldValueRequired", field, "Required value");
        }
        return;
    }
    const char *rule = name_rule_dns1123(name);
    if (rule != NULL) {
        refuse(problems, field, name, rule);
    }
}

static void validate_target(struct json_object *port, const char *prefix,
                            ipalloc_service_problems *problems) {
    char field[64];
    struct json_object *target = json_member(port, "targetPort");
    snprintf(field, sizeof field, "%s.targetPort", prefix);
    if (json_object_is_type(target, json_type_string)) {
        const char *rule = port_name_rule(json_object_get_string(target));
        if (rule != NULL) {
            refuse(problems, field, json_object_get_string(target), rule);
        }
    } else {
        validate_port_number(json_object_get_int64(target), field, problems);
    }
}

static void validate_port(struct json_object *port, size_t index, bool name_required,
                          ipalloc_service_problems *problems) {
    static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
    char prefix[48];
    char field[64];
    snprintf(prefix, sizeof prefix, "spec.ports[%zu]", index);
    validate_port_name(port, prefix, name_required, problems);
    snprintf(field, sizeof field, "%s.port", prefix);
    validate_port_number(json_member_number(port, "port", 0), field, problems);
    snprintf(field, sizeof field, "%s.protocol", prefix);
    validate_choice(port, "protocol", field, protocols, problems);
    validate_target(port, prefix, problems);
}

/* Later ports that repeat an earlier one's name, or its number and protocol. */
static void validate_repeats(struct json_object *ports, ipalloc_service_problems *problems) {
    for (size_t i = 1; i < json_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);
        const char *name = json_member_text(port, "name");
        const char *protocol = json_member_text(port, "protocol");
        int64_t number = json_member_number(port, "port", 0);
        char field[64];
        for (size_t j = 0; j < i; j++) {
            struct json_object *earlier = json_object_array_get_idx(ports, j);
            if (name[0] != '\0' && strcmp(name, json_member_text(earlier, "name")) == 0) {
                snprintf(field, sizeof field, "spec.ports[%zu].name", i);
                problem_add(problems, "FieldValueDuplicate", field, "Duplicate value: \"%.63s\"",
                            name);
            }
            if (number == json_member_number(earlier, "port", 0) &&
                strcmp(protocol, json_member_text(earlier, "protocol")) == 0) {
                snprintf(field, sizeof field, "spec.ports[%zu]", i);
                problem_add(problems, "FieldValueDuplicate", field,
                            "Duplicate value: {\"protocol\":\"%.8s\",\"port\":%lld}", protocol,
                            (long long)number);
            }
        }
    }
}

static void validate_ports(struct json_object *spec, ipalloc_service_problems *problems) {
    struct json_object *ports = json_member(spec, "ports");
    size_t count = json_length(ports);
    bool headless = strcmp(json_member_text(spec, "clusterIP"), "None") == 0;
    if (count == 0 && !headless && !is_type(spec, "ExternalName")) {
        problem_add(problems, "FieldValueRequired", "spec.ports", "Required value");
    }
    if (count > IPALLOC_SERVICE_PORTS_MAX) {
        problem_add(problems, "FieldValueTooMany", "spec.ports",
                    "Too many: %zu: must have at most %d items", count, IPALLOC_SERVICE_PORTS_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        validate_port(json_object_array_get_idx(ports, i), i, count > 1, problems);
    }
    validate_repeats(ports, problems);
}

static void validate_addresses(struct json_object *list, const char *name,
                               ipalloc_service_problems *problems) {
    for (size_t i = 0; i < json_length(list); i++) {
        const char *value = json_object_get_string(json_object_array_get_idx(list, i));
        ipalloc_addr address;
        if (ipalloc_addr_parse(value, strlen(value), &address, NULL) != IPALLOC_OK) {
            char field[64];
            snprintf(field, sizeof field, "spec.%s[%zu]", name, i);
            refuse(problems, field, value,
                   "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
    }
}

static void validate_source_ranges(struct json_object *list, ipalloc_service_problems *problems) {
    for (size_t i = 0; i < json_length(list); i++) {
        const char *value = json_object_get_string(json_object_array_get_idx(list, i));
        ipalloc_cidr cidr;
        if (ipalloc_cidr_parse_masked(value, strlen(value), &cidr, NULL) != IPALLOC_OK) {
            char field[64];
            snprintf(field, sizeof field, "spec.LoadBalancerSourceRanges[%zu]", i);
            refuse(problems, field, value,
                   "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        }
    }
}

static void validate_affinity_timeout(struct json_object *spec,
                                      ipalloc_service_problems *problems) {
    struct json_object *client = json_at(spec, "sessionAffinityConfig", "clientIP", NULL);
    int64_t timeout = json_member_number(client, "timeoutSeconds", 1);
    if (timeout < 1 || timeout > AFFINITY_TIMEOUT_MAX_S) {
        problem_add(problems, "FieldValueInvalid",
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    "Invalid value: %lld: must be greater than 0 and less than or equal to %d",
                    (long long)timeout, AFFINITY_TIMEOUT_MAX_S);
    }
}

static void validate_balancer(struct json_object *spec, ipalloc_service_problems *problems) {
    static const char rule[] = "Forbidden: may only be used when `type` is 'LoadBalancer'";
    if (is_type(spec, "LoadBalancer")) {
        return;
    }
    if (json_member(spec, "allocateLoadBalancerNodePorts") != NULL) {
        problem_add(problems, "FieldValueForbidden", "spec.allocateLoadBalancerNodePorts", "%s",
                    rule);
    }
    if (json_member(spec, "loadBalancerClass") != NULL) {
        problem_add(problems, "FieldValueForbidden", "spec.loadBalancerClass", "%s", rule);
    }
}

void service_validate(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *metadata = json_member(object, "metadata");
    struct json_object *spec = json_member(object, "spec");
    const char *name = json_member_text(metadata, "name");
    const char *rule = name_rule_dns1035(name);
    if (rule != NULL) {
        refuse(problems, "metadata.name", name, rule);
    }
    metadata_validate(metadata, problems);
    validate_ports(spec, problems);
    selector_validate(spec, problems);
    validate_choices(spec, problems);
    validate_affinity_timeout(spec, problems);
    validate_addresses(json_member(spec, "externalIPs"), "externalIPs", problems);
    validate_source_ranges(json_member(spec, "loadBalancerSourceRanges"), problems);
    validate_balancer(spec, problems);
    if (is_type(spec, "ExternalName")) {
        external_name_validate(json_member_text(spec, "externalName"), problems);
    }
}
