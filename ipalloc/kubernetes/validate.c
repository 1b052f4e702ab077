/*
 * validate.c: the field rules: what a Service may say, and what an update may change.
 *
 * Every rule that can be judged from the fields alone, in kube-apiserver's order, with its words.
 * All broken rules are recorded, not only the first.
 */
#include "kubernetes/service_work.h"

#include "kubernetes/names.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Sorted, as they are listed to the user. */
static const char *const TYPES[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"};
static const char *const FAMILIES[] = {"IPv4", "IPv6"};
static const char *const POLICIES[] = {"PreferDualStack", "RequireDualStack", "SingleStack"};
static const char *const PROTOCOLS[] = {"SCTP", "TCP", "UDP"};
static const char *const TRAFFIC_POLICIES[] = {"Cluster", "Local"};

static bool is_one_of(const char *text, const char *const *supported, size_t supported_count) {
    for (size_t i = 0; i < supported_count; i++)
        if (strcmp(text, supported[i]) == 0)
            return true;
    return false;
}

static void check_supported(service_work *work, const char *field, const char *text,
                            const char *const *supported, size_t supported_count) {
    char value[VALUE_TEXT];
    if (!is_one_of(text, supported, supported_count))
        problem_not_supported(work, field, text_value(text, value), supported, supported_count);
}

static int outcome(const service_work *work, size_t problems_earlier) {
    return work->problem_count > problems_earlier ? IPALLOC_E_INVALID : IPALLOC_OK;
}

/* --- clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy ---------------------------------------- */

static void check_cluster_ips_agree(service_work *work) {
    const ipalloc_service *after = &work->after;
    char value[VALUE_TEXT];
    if (after->cluster_ip[0] == '\0') {
        if (after->cluster_ip_count > 0)
            problem_invalid(work, "spec.clusterIPs", cluster_ips_value(after, value),
                            "must be empty when `clusterIP` is not specified");
    } else if (after->cluster_ip_count == 0) {
        problem_required(work, "spec.clusterIPs");
    } else if (strcmp(after->cluster_ip, after->cluster_ips[0]) != 0) {
        problem_invalid(work, "spec.clusterIPs", cluster_ips_value(after, value),
                        "first value must match `clusterIP`");
    }
}

static bool family_given_before(const ipalloc_service *service, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(service->ip_families[i], service->ip_families[index]) == 0)
            return true;
    return false;
}

static void check_family_names(service_work *work) {
    const ipalloc_service *after = &work->after;
    for (size_t i = 0; i < after->ip_family_count; i++) {
        char field[FIELD_TEXT], value[VALUE_TEXT];
        indexed_field("ipFamilies", i, "", field);
        check_supported(work, field, after->ip_families[i], FAMILIES, COUNT_OF(FAMILIES));
        if (family_given_before(after, i))
            problem_duplicate(work, field, text_value(after->ip_families[i], value));
    }
    if (after->ip_family_policy[0] != '\0')
        check_supported(work, "spec.ipFamilyPolicy", after->ip_family_policy, POLICIES,
                        COUNT_OF(POLICIES));
}

/* Text that the lenient parser reads is refused for its form, other text for not being one. */
static const char *why_not_an_address(const char *text) {
    ipalloc_addr address;
    bool has_colon = strchr(text, ':') != NULL;
    if (ipalloc_addr_parse_legacy(text, strlen(text), &address, NULL, NULL) == IPALLOC_OK) {
        if (!has_colon)
            return "must not have leading 0s";
        if (address.family == 4)
            return "must not be an IPv4-mapped IPv6 address";
    }
    return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}

static void check_address(service_work *work, const char *field, const char *text) {
    char value[VALUE_TEXT];
    if (family_of_address(text) == 0)
        problem_invalid(work, field, text_value(text, value), why_not_an_address(text));
}

static void check_cluster_ip_texts(service_work *work) {
    const ipalloc_service *after = &work->after;
    for (size_t i = 0; i < after->cluster_ip_count; i++) {
        char field[FIELD_TEXT], value[VALUE_TEXT];
        if (i > 0 || strcmp(after->cluster_ips[0], "None") != 0)
            check_address(work, indexed_field("clusterIPs", i, "", field), after->cluster_ips[i]);
        else if (after->cluster_ip_count > 1)
            problem_invalid(work, "spec.clusterIPs", cluster_ips_value(after, value),
                            "'None' must be the first and only value");
    }
}

/* With more than one address, both families must be among them. */
static bool is_dual_stack(const ipalloc_service *service) {
    bool four = false, six = false;
    for (size_t i = 0; i < service->cluster_ip_count; i++) {
        int family = family_of_address(service->cluster_ips[i]);
        four = four || family == 4;
        six = six || family == 6;
    }
    return four && six;
}

static void check_addresses_against_families(service_work *work) {
    const ipalloc_service *after = &work->after;
    if (is_headless(after))
        return;
    for (size_t i = 0; i < after->cluster_ip_count && i < after->ip_family_count; i++) {
        int expected = family_of_name(after->ip_families[i]);
        if (expected == 0 || family_of_address(after->cluster_ips[i]) == expected)
            continue;
        char field[FIELD_TEXT], value[VALUE_TEXT], detail[96];
        snprintf(detail, sizeof detail, "expected an %s value as indicated by `ipFamilies[%zu]`",
                 family_name(expected), i);
        problem_invalid(work, indexed_field("clusterIPs", i, "", field),
                        text_value(after->cluster_ips[i], value), detail);
    }
}

int service_validate_cluster_ips(service_work *work) {
    const ipalloc_service *after = &work->after;
    size_t earlier = work->problem_count;
    char value[VALUE_TEXT];
    check_cluster_ips_agree(work);
    check_family_names(work);
    size_t before_texts = work->problem_count;
    check_cluster_ip_texts(work);
    bool readable = work->problem_count == before_texts;
    if (after->cluster_ip_count > SERVICE_FAMILIES_MAX)
        problem_invalid(work, "spec.clusterIPs", cluster_ips_value(after, value),
                        "may only hold up to 2 values");
    if (!readable) /* the rest would only say again that the addresses are bad */
        return outcome(work, earlier);
    if (after->cluster_ip_count > 1 && !is_dual_stack(after))
        problem_invalid(work, "spec.clusterIPs", cluster_ips_value(after, value),
                        "may specify no more than one IP for each IP family");
    check_addresses_against_families(work);
    return outcome(work, earlier);
}

/* --- type and what goes with it --------------------------------------------------------------- */

static void check_external_name(service_work *work) {
    static const char DETAIL[] = "may not be set for ExternalName services";
    const ipalloc_service *after = &work->after;
    if (after->cluster_ip_count > 0 || after->cluster_ip[0] != '\0')
        problem_forbidden(work, "spec.clusterIPs", DETAIL);
    if (after->ip_family_count > 0)
        problem_forbidden(work, "spec.ipFamilies", DETAIL);
    if (after->ip_family_policy[0] != '\0')
        problem_forbidden(work, "spec.ipFamilyPolicy", DETAIL);
}

static void check_type(service_work *work) {
    const ipalloc_service *after = &work->after;
    if (after->port_count == 0 && !is_headless(after) && needs_cluster_ip(after))
        problem_required(work, "spec.ports");
    if (is_headless(after) && needs_node_ports(after)) {
        char value[VALUE_TEXT], detail[48 + IPALLOC_SERVICE_TEXT];
        snprintf(detail, sizeof detail, "may not be set to 'None' for %s services", after->type);
        problem_invalid(work, "spec.clusterIPs[0]", text_value("None", value), detail);
    }
    if (type_is(after, "ExternalName"))
        check_external_name(work);
}

/* --- ports ------------------------------------------------------------------------------------ */

static const char *why_not_a_label(ipalloc_bytes name) {
    if (name_is_subdomain(name))
        return "must not contain dots";
    return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
           "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
           "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
}

static bool name_given_before(const ipalloc_service *service, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(service->ports[i].name, service->ports[index].name) == 0)
            return true;
    return false;
}

static void check_port_name(service_work *work, size_t index) {
    const ipalloc_service *after = &work->after;
    const char *name = after->ports[index].name;
    char field[FIELD_TEXT], value[VALUE_TEXT];
    indexed_field("ports", index, ".name", field);
    if (name[0] == '\0') {
        if (after->port_count > 1)
            problem_required(work, field);
        return;
    }
    ipalloc_bytes bytes = {name, strlen(name)};
    if (!name_is_label(bytes))
        problem_invalid(work, field, text_value(name, value), why_not_a_label(bytes));
    if (name_given_before(after, index))
        problem_duplicate(work, field, text_value(name, value));
}

static void check_ports(service_work *work) {
    const ipalloc_service *after = &work->after;
    for (size_t i = 0; i < after->port_count; i++) {
        const ipalloc_service_port *port = &after->ports[i];
        char field[FIELD_TEXT], value[VALUE_TEXT];
        check_port_name(work, i);
        if (port->port < 1 || port->port > 65535)
            problem_invalid(work, indexed_field("ports", i, ".port", field),
                            number_value(port->port, value),
                            "must be between 1 and 65535, inclusive");
        check_supported(work, indexed_field("ports", i, ".protocol", field), port_protocol(port),
                        PROTOCOLS, COUNT_OF(PROTOCOLS));
    }
}

static void check_node_ports_allowed(service_work *work) {
    if (!type_is(&work->after, "ClusterIP"))
        return;
    for (size_t i = 0; i < work->after.port_count; i++) {
        char field[FIELD_TEXT];
        if (work->node_ports[i] != 0)
            problem_forbidden(work, indexed_field("ports", i, ".nodePort", field),
                              "may not be used when `type` is 'ClusterIP'");
    }
}

static bool same_protocol(const ipalloc_service *service, size_t a, size_t b) {
    return strcmp(port_protocol(&service->ports[a]), port_protocol(&service->ports[b])) == 0;
}

/* On create, ports of different numbers that want one node port are left to the claims, which
 * refuse the second of them whatever its protocol. */
static bool node_port_given_before(const service_work *work, size_t index) {
    const ipalloc_service *after = &work->after;
    for (size_t i = 0; i < index; i++)
        if (work->node_ports[i] == work->node_ports[index] && same_protocol(after, i, index) &&
            (work->updating || after->ports[i].port == after->ports[index].port))
            return true;
    return false;
}

static void check_duplicate_node_ports(service_work *work) {
    for (size_t i = 0; i < work->after.port_count; i++) {
        char field[FIELD_TEXT], value[VALUE_TEXT];
        if (work->node_ports[i] != 0 && node_port_given_before(work, i))
            problem_duplicate(work, indexed_field("ports", i, ".nodePort", field),
                              number_value(work->node_ports[i], value));
    }
}

static bool port_given_before(const ipalloc_service *service, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (service->ports[i].port == service->ports[index].port &&
            same_protocol(service, i, index))
            return true;
    return false;
}

static void check_duplicate_ports(service_work *work) {
    const ipalloc_service *after = &work->after;
    for (size_t i = 0; i < after->port_count; i++) {
        if (!port_given_before(after, i))
            continue;
        char field[FIELD_TEXT], protocol[VALUE_TEXT], value[VALUE_TEXT + 128];
        snprintf(value, sizeof value,
                 "{\"Name\":\"\",\"Protocol\":%s,\"AppProtocol\":null,\"Port\":%d,"
                 "\"TargetPort\":0,\"NodePort\":0}",
                 text_value(port_protocol(&after->ports[i]), protocol), (int)after->ports[i].port);
        problem_duplicate(work, indexed_field("ports", i, "", field), value);
    }
}

/* --- load balancers and traffic policy -------------------------------------------------------- */

static void check_allocate_node_ports(service_work *work) {
    if (work->after.allocate_load_balancer_node_ports_given &&
        !type_is(&work->after, "LoadBalancer"))
        problem_forbidden(work, "spec.allocateLoadBalancerNodePorts",
                          "may only be used when `type` is 'LoadBalancer'");
}

static void check_class(service_work *work) {
    if (work->after.load_balancer_class != NULL && !type_is(&work->after, "LoadBalancer"))
        problem_forbidden(work, "spec.loadBalancerClass",
                          "may only be used when `type` is 'LoadBalancer'");
}

static void check_traffic_policy(service_work *work) {
    static const char FIELD[] = "spec.externalTrafficPolicy";
    const char *policy = work->after.external_traffic_policy;
    char value[VALUE_TEXT];
    if (policy[0] == '\0')
        return;
    if (!is_external(&work->after))
        problem_invalid(work, FIELD, text_value(policy, value),
                        "may only be set for externally-accessible services");
    else
        check_supported(work, FIELD, policy, TRAFFIC_POLICIES, COUNT_OF(TRAFFIC_POLICIES));
}

static void check_health_check_port(service_work *work) {
    const ipalloc_service *after = &work->after;
    char value[VALUE_TEXT];
    if (after->health_check_node_port != 0 && !needs_health_check_port(after))
        problem_invalid(work, "spec.healthCheckNodePort",
                        number_value(after->health_check_node_port, value),
                        "may only be set when `type` is 'LoadBalancer' and "
                        "`externalTrafficPolicy` is 'Local'");
}

/* --- what an update may not change ------------------------------------------------------------
 *
 * That a list becomes shorter only with the policy SingleStack has been checked with the policy. */

static void refuse_change(service_work *work, const char *list, size_t index, const char *value) {
    char field[FIELD_TEXT];
    problem_invalid(work, indexed_field(list, index, "", field), value, "may not change once set");
}

static void check_cluster_ips_kept(service_work *work) {
    const ipalloc_service *before = &work->before, *after = &work->after;
    char value[VALUE_TEXT];
    cluster_ips_value(after, value);
    if (is_headless(before) && is_headless(after))
        return;
    if (before->cluster_ip_count == after->cluster_ip_count) {
        for (size_t i = 0; i < before->cluster_ip_count; i++)
            if (strcmp(before->cluster_ips[i], after->cluster_ips[i]) != 0)
                refuse_change(work, "clusterIPs", i, value);
        return;
    }
    assert(after->cluster_ip_count > 0); /* what is left out is carried over */
    if (before->cluster_ip_count > 0 && strcmp(before->cluster_ips[0], after->cluster_ips[0]) != 0)
        refuse_change(work, "clusterIPs", 0, value);
}

static void check_families_kept(service_work *work) {
    const ipalloc_service *before = &work->before, *after = &work->after;
    char value[VALUE_TEXT];
    if (is_headless(before) || is_headless(after))
        return;
    if (before->ip_family_count == after->ip_family_count) {
        for (size_t i = 0; i < before->ip_family_count; i++)
            if (strcmp(before->ip_families[i], after->ip_families[i]) != 0)
                refuse_change(work, "ipFamilies", 0, ip_families_value(after, value));
        return;
    }
    if (before->ip_family_count > 0 && strcmp(before->ip_families[0], after->ip_families[0]) != 0)
        refuse_change(work, "ipFamilies", 0, cluster_ips_value(after, value));
}

/* Another class is another controller's load balancer: none can take it over. */
static void check_class_kept(service_work *work) {
    const char *before = work->before.load_balancer_class, *after = work->after.load_balancer_class;
    char value[VALUE_TEXT];
    if (type_is(&work->before, "LoadBalancer") && type_is(&work->after, "LoadBalancer") &&
        !same_class(before, after))
        problem_invalid(work, "spec.loadBalancerClass",
                        after != NULL ? text_value(after, value) : "null",
                        "may not change once set");
}

static void check_update(service_work *work) {
    const ipalloc_service *before = &work->before, *after = &work->after;
    if (needs_cluster_ip(before) && needs_cluster_ip(after)) {
        check_cluster_ips_kept(work);
        check_families_kept(work);
    }
    check_class_kept(work);
    if (needs_health_check_port(before) && needs_health_check_port(after) &&
        before->health_check_node_port != after->health_check_node_port)
        problem_forbidden(work, "spec.healthCheckNodePort", "field is immutable");
}

int service_validate(service_work *work) {
    size_t earlier = work->problem_count;
    if (work->updating)
        check_update(work);
    check_type(work);
    check_ports(work);
    if (needs_cluster_ip(&work->after))
        service_validate_cluster_ips(work);
    check_supported(work, "spec.type", work->after.type, TYPES, COUNT_OF(TYPES));
    check_node_ports_allowed(work);
    check_duplicate_node_ports(work);
    check_duplicate_ports(work);
    check_allocate_node_ports(work);
    check_class(work);
    check_traffic_policy(work);
    check_health_check_port(work);
    return outcome(work, earlier);
}
