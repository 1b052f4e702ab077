/*
 * service_rules.c: the rules of a Service that have nothing to do with allocation; the texts and
 * their order are kube-apiserver's (pkg/apis/core/validation, ValidateService).
 */
#include "service_rules.h"

#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AFFINITY_TIMEOUT_MAX_S 86400
#define PORT_NAME_MAX_BYTES    63

#define ANNOTATION_TOPOLOGY_MODE  "service.kubernetes.io/topology-mode"
#define ANNOTATION_TOPOLOGY_HINTS "service.kubernetes.io/topology-aware-hints"
#define ANNOTATION_SOURCE_RANGES  "service.beta.kubernetes.io/load-balancer-source-ranges"

static const char load_balancer_only[] =
    "Forbidden: may only be used when `type` is 'LoadBalancer'";
static const char port_number_rule[] = "must be between 1 and 65535, inclusive";

/* `choices` ends with NULL and is in alphabetical order, as the message lists it. */
static void validate_choice(struct json_object *object, const char *name, const char *field,
                            const char *const *choices, ipalloc_service_problems *problems) {
    const char *value = json_member_text(object, name);
    struct text listed = {0};
    bool found = json_member(object, name) == NULL;
    for (size_t i = 0; choices[i] != NULL; i++) {
        found = found || strcmp(value, choices[i]) == 0;
        text_format(&listed, "%s\"%s\"", i > 0 ? ", " : "", choices[i]);
    }
    if (!found) {
        struct json_object *shown = json_object_new_string(value);
        problem_add(problems, "FieldValueNotSupported", field,
                    "Unsupported value: %.300s: supported values: %s", json_line(shown, NULL),
                    listed.data);
        json_object_put(shown);
    }
    text_clear(&listed);
}

/* --- metadata --------------------------------------------------------------------------------- */

/* A generated name's last character may still be a dash: something follows it. */
static void validate_generate_name(const char *base, ipalloc_service_problems *problems) {
    ipalloc_service_problems found = {.size = sizeof found};
    size_t length = strlen(base);
    char *masked = memory_copy(base);
    if (length > 1 && base[length - 1] == '-') {
        masked[length - 1] = 'a';
    }
    check_service_name("metadata.generateName", masked, &found);
    if (found.count > 0) {
        check_service_name("metadata.generateName", base, problems);
    }
    free(masked);
}

static void validate_topology(struct json_object *metadata, ipalloc_service_problems *problems) {
    struct json_object *annotations = json_member(metadata, "annotations");
    struct json_object *mode = json_member(annotations, ANNOTATION_TOPOLOGY_MODE);
    struct json_object *hints = json_member(annotations, ANNOTATION_TOPOLOGY_HINTS);
    if (mode != NULL && hints != NULL && !json_object_equal(mode, hints)) {
        refuse_value(problems, "metadata.annotations[" ANNOTATION_TOPOLOGY_MODE "]",
                     json_object_get_string(mode),
                     "must match annotations[" ANNOTATION_TOPOLOGY_HINTS
                     "] when both are specified");
    }
}

void service_validate_metadata(struct json_object *object, ipalloc_service_problems *problems) {
    struct json_object *metadata = json_member(object, "metadata");
    const char *base = json_member_text(metadata, "generateName");
    if (base[0] != '\0') {
        validate_generate_name(base, problems);
    }
    check_service_name("metadata.name", json_member_text(metadata, "name"), problems);
    metadata_validate(metadata, problems);
    validate_topology(metadata, problems);
}

/* --- ports and names ----------------------------------------------------------------------------
 */

/* The value is shown without the dot that ends it. */
static void validate_external_name(const char *name, ipalloc_service_problems *problems) {
    char *cname = memory_copy(name);
    size_t length = strlen(cname);
    if (length > 0 && cname[length - 1] == '.') {
        cname[length - 1] = '\0';
    }
    if (cname[0] == '\0') {
        problem_add(problems, "FieldValueRequired", "spec.externalName", "Required value");
    } else {
        check_subdomain("spec.externalName", cname, problems);
    }
    free(cname);
}

static void validate_target(struct json_object *port, const char *field,
                            ipalloc_service_problems *problems) {
    struct json_object *target = json_member(port, "targetPort");
    if (json_object_is_type(target, json_type_string)) {
        check_port_name(field, json_object_get_string(target), problems);
        return;
    }
    int64_t number = json_object_get_int64(target);
    if (number < 1 || number > UINT16_MAX) {
        problem_add(problems, "FieldValueInvalid", field, "Invalid value: %lld: %s",
                    (long long)number, port_number_rule);
    }
}

/* Names, numbers and protocols are the library's, which holds names of up to 63 bytes. */
static void validate_port(struct json_object *port, size_t index,
                          ipalloc_service_problems *problems) {
    char field[64];
    const char *name = json_member_text(port, "name");
    if (strlen(name) > PORT_NAME_MAX_BYTES) {
        snprintf(field, sizeof field, "spec.ports[%zu].name", index);
        refuse_value(problems, field, name, name_rule_dns1123(name));
    }
    snprintf(field, sizeof field, "spec.ports[%zu].targetPort", index);
    validate_target(port, field, problems);
    if (json_member(port, "appProtocol") != NULL) {
        snprintf(field, sizeof field, "spec.ports[%zu].appProtocol", index);
        check_key(field, json_member_text(port, "appProtocol"), problems);
    }
}

static void validate_ports(struct json_object *spec, ipalloc_service_problems *problems) {
    struct json_object *ports = json_member(spec, "ports");
    size_t count = json_length(ports);
    if (count > IPALLOC_SERVICE_PORTS_MAX) {
        problem_add(problems, "FieldValueTooMany", "spec.ports",
                    "Too many: %zu: must have at most %d items", count, IPALLOC_SERVICE_PORTS_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        validate_port(json_object_array_get_idx(ports, i), i, problems);
    }
}

static void validate_affinity(struct json_object *spec, ipalloc_service_problems *problems) {
    static const char *const affinities[] = {"ClientIP", "None", NULL};
    validate_choice(spec, "sessionAffinity", "spec.sessionAffinity", affinities, problems);
    struct json_object *client = json_at(spec, "sessionAffinityConfig", "clientIP", NULL);
    int64_t timeout = json_member_number(client, "timeoutSeconds", 1);
    if (strcmp(json_member_text(spec, "sessionAffinity"), "ClientIP") == 0 &&
        (timeout < 1 || timeout > AFFINITY_TIMEOUT_MAX_S)) {
        problem_add(problems, "FieldValueInvalid",
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    "Invalid value: %lld: must be greater than 0 and less than or equal to %d",
                    (long long)timeout, AFFINITY_TIMEOUT_MAX_S);
    }
}

/* --- addresses that are not allocated -----------------------------------------------------------
 */

static bool is_in(struct json_object *list, const char *value) {
    for (size_t i = 0; i < json_length(list); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), value) == 0) {
            return true;
        }
    }
    return false;
}

static void validate_external_ips(struct json_object *old, struct json_object *spec,
                                  ipalloc_service_problems *problems) {
    struct json_object *list = json_member(spec, "externalIPs");
    struct json_object *stored = json_at(old, "spec", "externalIPs", NULL);
    for (size_t i = 0; i < json_length(list); i++) {
        const char *value = json_object_get_string(json_object_array_get_idx(list, i));
        ipalloc_addr address;
        char field[64];
        char special[128];
        const char *rule = NULL;
        if (ipalloc_addr_parse(value, strlen(value), &address, NULL) == IPALLOC_OK) {
            rule = special_address_rule(value, &address, special);
        } else if (!is_in(stored, value)) {
            rule = address_rule(value);
        }
        if (rule != NULL) {
            snprintf(field, sizeof field, "spec.externalIPs[%zu]", i);
            refuse_value(problems, field, value, rule);
        }
    }
}

/* NULL: it is a CIDR. Kubernetes reads with its lenient parser what it refuses for its form. */
static const char *cidr_rule(const char *value) {
    ipalloc_cidr cidr;
    if (ipalloc_cidr_parse(value, strlen(value), &cidr, NULL) == IPALLOC_OK) {
        return NULL;
    }
    if (ipalloc_cidr_parse_masked(value, strlen(value), &cidr, NULL) == IPALLOC_OK) {
        return "must not have bits set beyond the prefix length";
    }
    if (ipalloc_cidr_parse_legacy(value, strlen(value), &cidr, NULL, NULL) == IPALLOC_OK) {
        return strchr(value, ':') != NULL ? "must not have an IPv4-mapped IPv6 address"
                                          : "must not have leading 0s in IP or prefix length";
    }
    return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
}

/* Space around it is allowed, from when it was an annotation. */
static void validate_source_range(const char *field, const char *padded, size_t length,
                                  ipalloc_service_problems *problems) {
    while (length > 0 && strchr(" \t\r\n", padded[0]) != NULL) {
        padded++;
        length--;
    }
    while (length > 0 && strchr(" \t\r\n", padded[length - 1]) != NULL) {
        length--;
    }
    char *value = memory_copy(padded);
    value[length] = '\0';
    const char *rule = cidr_rule(value);
    if (rule != NULL) {
        refuse_value(problems, field, value, rule);
    }
    free(value);
}

static void validate_annotated_ranges(const char *value, bool balanced,
                                      ipalloc_service_problems *problems) {
    static const char field[] = "metadata.annotations[" ANNOTATION_SOURCE_RANGES "]";
    if (!balanced) {
        problem_add(problems, "FieldValueForbidden", field, "%s", load_balancer_only);
    }
    if (value[strspn(value, " \t\r\n")] == '\0') {
        return;
    }
    for (const char *at = value;; at++) {
        size_t length = strcspn(at, ",");
        validate_source_range(field, at, length, problems);
        at += length;
        if (*at == '\0') {
            return;
        }
    }
}

static void validate_source_ranges(struct json_object *old, struct json_object *object,
                                   ipalloc_service_problems *problems) {
    struct json_object *spec = json_member(object, "spec");
    struct json_object *list = json_member(spec, "loadBalancerSourceRanges");
    struct json_object *stored = json_at(old, "spec", "loadBalancerSourceRanges", NULL);
    struct json_object *annotation =
        json_at(object, "metadata", "annotations", ANNOTATION_SOURCE_RANGES, NULL);
    bool balanced = service_has_type(spec, "LoadBalancer");
    if (json_length(list) == 0) {
        if (annotation != NULL) {
            validate_annotated_ranges(json_object_get_string(annotation), balanced, problems);
        }
        return;
    }
    if (!balanced) {
        problem_add(problems, "FieldValueForbidden", "spec.LoadBalancerSourceRanges", "%s",
                    load_balancer_only);
    }
    for (size_t i = 0; i < json_length(list); i++) {
        const char *value = json_object_get_string(json_object_array_get_idx(list, i));
        char field[64];
        snprintf(field, sizeof field, "spec.LoadBalancerSourceRanges[%zu]", i);
        if (!is_in(stored, value)) {
            validate_source_range(field, value, strlen(value), problems);
        }
    }
}

/* --- the rest -----------------------------------------------------------------------------------
 */

static void validate_policies(struct json_object *spec, ipalloc_service_problems *problems) {
    static const char *const policies[] = {"Cluster", "Local", NULL};
    static const char *const distributions[] = {"PreferClose", "PreferSameNode", "PreferSameZone",
                                                NULL};
    validate_choice(spec, "internalTrafficPolicy", "spec.internalTrafficPolicy", policies,
                    problems);
    validate_choice(spec, "trafficDistribution", "spec.trafficDistribution", distributions,
                    problems);
}

/* To the library an empty policy is none; to Kubernetes it is a pointer to a value that is not
 * supported. */
static void validate_empty_policy(struct json_object *spec, ipalloc_service_problems *problems) {
    static const char *const policies[] = {"PreferDualStack", "RequireDualStack", "SingleStack",
                                           NULL};
    if (json_member_text(spec, "ipFamilyPolicy")[0] != '\0') {
        return;
    }
    if (!service_has_type(spec, "ExternalName")) {
        validate_choice(spec, "ipFamilyPolicy", "spec.ipFamilyPolicy", policies, problems);
    } else if (json_member(spec, "ipFamilyPolicy") != NULL) {
        problem_add(problems, "FieldValueForbidden", "spec.ipFamilyPolicy",
                    "Forbidden: may not be set for ExternalName services");
    }
}

void service_validate(struct json_object *old, struct json_object *object,
                      ipalloc_service_problems *problems) {
    struct json_object *spec = json_member(object, "spec");
    if (service_has_type(spec, "ExternalName")) {
        validate_external_name(json_member_text(spec, "externalName"), problems);
    }
    validate_ports(spec, problems);
    check_labels("spec.selector", json_member(spec, "selector"), problems);
    validate_affinity(spec, problems);
    validate_external_ips(old, spec, problems);
    validate_source_ranges(old, object, problems);
    if (service_has_type(spec, "LoadBalancer") && json_member(spec, "loadBalancerClass") != NULL) {
        check_key("spec.loadBalancerClass", json_member_text(spec, "loadBalancerClass"), problems);
    }
    validate_policies(spec, problems);
    validate_empty_policy(spec, problems);
}

/* --- status -------------------------------------------------------------------------------------
 */

static void validate_mode(struct json_object *point, const char *field, bool has_ip,
                          ipalloc_service_problems *problems) {
    static const char *const modes[] = {"Proxy", "VIP", NULL};
    bool has_mode = json_member(point, "ipMode") != NULL;
    if (has_ip && !has_mode) {
        problem_add(problems, "FieldValueRequired", field,
                    "Required value: must be specified when `ip` is set");
    } else if (has_mode && !has_ip) {
        problem_add(problems, "FieldValueForbidden", field,
                    "Forbidden: may not be specified when `ip` is not set");
    } else {
        validate_choice(point, "ipMode", field, modes, problems);
    }
}

static void validate_ingress(struct json_object *point, size_t index,
                             ipalloc_service_problems *problems) {
    const char *ip = json_member_text(point, "ip");
    const char *hostname = json_member_text(point, "hostname");
    ipalloc_addr address;
    char field[64];
    snprintf(field, sizeof field, "status.loadBalancer.ingress[%zu].ip", index);
    if (ip[0] != '\0' && ipalloc_addr_parse(ip, strlen(ip), &address, NULL) != IPALLOC_OK) {
        refuse_value(problems, field, ip, address_rule(ip));
    }
    snprintf(field, sizeof field, "status.loadBalancer.ingress[%zu].ipMode", index);
    validate_mode(point, field, ip[0] != '\0', problems);
    if (hostname[0] == '\0') {
        return;
    }
    snprintf(field, sizeof field, "status.loadBalancer.ingress[%zu].hostname", index);
    check_subdomain(field, hostname, problems);
    if (ipalloc_addr_parse_legacy(hostname, strlen(hostname), &address, NULL, NULL) == IPALLOC_OK) {
        refuse_value(problems, field, hostname, "must be a DNS name, not an IP address");
    }
}

void service_validate_status(struct json_object *old, struct json_object *object,
                             ipalloc_service_problems *problems) {
    struct json_object *balancer = json_at(object, "status", "loadBalancer", NULL);
    struct json_object *ingress = json_member(balancer, "ingress");
    if (json_length(ingress) == 0 ||
        json_object_equal(balancer, json_at(old, "status", "loadBalancer", NULL))) {
        return;
    }
    if (!service_has_type(json_member(object, "spec"), "LoadBalancer")) {
        problem_add(problems, "FieldValueForbidden", "status.loadBalancer.ingress",
                    "Forbidden: may only be used when `spec.type` is LoadBalancer");
        return;
    }
    for (size_t i = 0; i < json_length(ingress); i++) {
        validate_ingress(json_object_array_get_idx(ingress, i), i, problems);
    }
}
