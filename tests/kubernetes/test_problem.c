/*
 * test_problem.c: every refusal in the words that a client of kube-apiserver sees, to the letter.
 */
#include "service_support.h"

#include <stdio.h>
#include <string.h>

static const cluster_shape IPV4_CLUSTER = {.cluster_ips = {IPV4_CIDR}};
static const cluster_shape DUAL_CLUSTER = {.cluster_ips = {IPV4_CIDR, IPV6_CIDR}};

#define INVALID_VALUE "FieldValueInvalid spec."
#define CLUSTER_IPS   INVALID_VALUE "clusterIPs"
#define POLICY        INVALID_VALUE "ipFamilyPolicy: Invalid value: "

typedef struct refusal {
    const char *situation;
    const cluster_shape *shape;
    const char *other; /* a Service that is there already, or NULL */
    const char *old;   /* the Service before the update; NULL: a create */
    const char *line;
    int status;
    const char *problems;
} refusal;

static const refusal REFUSALS[] = {
    {"IP taken", &IPV4_CLUSTER, "ip=10.96.0.10 ports=80", NULL, "ip=10.96.0.10 ports=80",
     IPALLOC_E_TAKEN,
     CLUSTER_IPS ": Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: provided IP "
                 "is already allocated"},
    {"out of range", &IPV4_CLUSTER, NULL, NULL, "ip=10.97.0.10 ports=80", IPALLOC_E_NOT_IN_RANGE,
     CLUSTER_IPS
     ": Invalid value: [\"10.97.0.10\"]: failed to allocate IP 10.97.0.10: the provided "
     "IP (10.97.0.10) is not in the valid range. The range of valid IPs is "
     "10.96.0.0/24"},
    {"network address", &IPV4_CLUSTER, NULL, NULL, "ip=10.96.0.0 ports=80", IPALLOC_E_NOT_IN_RANGE,
     CLUSTER_IPS ": Invalid value: [\"10.96.0.0\"]: failed to allocate IP 10.96.0.0: the provided "
                 "IP (10.96.0.0) is not in the valid range. The range of valid IPs is "
                 "10.96.0.0/24"},
    {"broadcast address", &IPV4_CLUSTER, NULL, NULL, "ip=10.96.0.255 ports=80",
     IPALLOC_E_NOT_IN_RANGE,
     CLUSTER_IPS ": Invalid value: [\"10.96.0.255\"]: failed to allocate IP 10.96.0.255: the "
                 "provided IP (10.96.0.255) is not in the valid range. The range of valid IPs is "
                 "10.96.0.0/24"},
    {"family not on cluster, from the IP", &IPV4_CLUSTER, NULL, NULL, "ip=fd00::1 ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"},
    {"family not on cluster, from the field", &IPV4_CLUSTER, NULL, NULL, "families=IPv6 ports=80",
     IPALLOC_E_INVALID,
     INVALID_VALUE "ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"},
    {"RequireDualStack on a single-stack cluster", &IPV4_CLUSTER, NULL, NULL,
     "policy=RequireDualStack ports=80", IPALLOC_E_INVALID,
     POLICY "\"RequireDualStack\": this cluster is not configured for dual-stack services"},
    {"two IPs without a policy", &DUAL_CLUSTER, NULL, NULL,
     "ip=10.96.0.9 ips=10.96.0.9,fd00:10:96::9 ports=80", IPALLOC_E_INVALID,
     POLICY "\"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple "
            "cluster IPs are specified"},
    {"two families and SingleStack", &DUAL_CLUSTER, NULL, NULL,
     "families=IPv4,IPv6 policy=SingleStack ports=80", IPALLOC_E_INVALID,
     POLICY "\"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP "
            "families are specified"},
    {"second IP dropped without the policy", &DUAL_CLUSTER, NULL, "policy=PreferDualStack ports=80",
     "ip=10.96.0.1 ips=10.96.0.1 families=IPv4,IPv6 policy=PreferDualStack ports=80",
     IPALLOC_E_INVALID,
     POLICY "\"PreferDualStack\": must be 'SingleStack' to release the secondary cluster IP"},
    {"second family dropped without the policy", &DUAL_CLUSTER, NULL,
     "policy=PreferDualStack ports=80", "families=IPv4 policy=PreferDualStack ports=80",
     IPALLOC_E_INVALID,
     POLICY "\"PreferDualStack\": must be 'SingleStack' to release the secondary IP family"},
    {"IP against family", &DUAL_CLUSTER, NULL, NULL, "ip=10.96.0.61 families=IPv6 ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: \"10.96.0.61\": expected an IPv6 value as indicated by "
                 "`ipFamilies[0]`"},
    {"bad IP", &IPV4_CLUSTER, NULL, NULL, "ip=garbage ports=80", IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: \"garbage\": must be a valid IP address, (e.g. 10.9.8.7 or "
                 "2001:db8::ffff)"},
    {"bad IP with a zero in front", &IPV4_CLUSTER, NULL, NULL, "ip=010.x ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: \"010.x\": must be a valid IP address, (e.g. 10.9.8.7 or "
                 "2001:db8::ffff)"},
    {"leading zeros", &IPV4_CLUSTER, NULL, NULL, "ip=010.096.000.010 ports=80", IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: \"010.096.000.010\": must not have leading 0s"},
    {"v4-mapped", &IPV4_CLUSTER, NULL, NULL, "ip=::ffff:10.96.0.10 ports=80", IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: \"::ffff:10.96.0.10\": must not be an IPv4-mapped IPv6 "
                 "address"},
    {"two IPs of one family", &DUAL_CLUSTER, NULL, NULL,
     "ip=10.96.0.31 ips=10.96.0.31,10.96.0.32 policy=RequireDualStack ports=80", IPALLOC_E_INVALID,
     CLUSTER_IPS ": Invalid value: [\"10.96.0.31\",\"10.96.0.32\"]: may specify no more than one "
                 "IP for each IP family"},
    {"three IPs", &DUAL_CLUSTER, NULL, NULL,
     "ip=10.96.0.31 ips=10.96.0.31,fd00:10:96::1,10.96.0.32 policy=RequireDualStack ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS ": Invalid value: [\"10.96.0.31\",\"fd00:10:96::1\",\"10.96.0.32\"]: may only "
                 "hold up to 2 values"},
    {"clusterIP differs from clusterIPs[0]", &IPV4_CLUSTER, NULL, NULL,
     "ip=10.96.0.31 ips=10.96.0.32 ports=80", IPALLOC_E_INVALID,
     CLUSTER_IPS ": Invalid value: [\"10.96.0.32\"]: first value must match `clusterIP`"},
    {"clusterIPs without clusterIP", &IPV4_CLUSTER, NULL, NULL, "ips=10.96.0.32 ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS ": Invalid value: [\"10.96.0.32\"]: must be empty when `clusterIP` is not "
                 "specified"},
    {"None and an IP", &IPV4_CLUSTER, NULL, NULL, "ip=None ips=None,10.96.0.32 ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS ": Invalid value: [\"None\",\"10.96.0.32\"]: 'None' must be the first and only "
                 "value"},
    {"None and NodePort", &IPV4_CLUSTER, NULL, NULL, "type=NodePort ip=None ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"},
    {"None and LoadBalancer", &IPV4_CLUSTER, NULL, NULL, "type=LoadBalancer ip=None ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer "
                 "services"},
    {"ExternalName and all of them", &IPV4_CLUSTER, NULL, NULL,
     "type=ExternalName ip=10.96.0.9 families=IPv4 policy=SingleStack", IPALLOC_E_INVALID,
     "FieldValueForbidden spec.clusterIPs: Forbidden: may not be set for ExternalName services | "
     "FieldValueForbidden spec.ipFamilies: Forbidden: may not be set for ExternalName services | "
     "FieldValueForbidden spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName "
     "services"},
    {"IP changed", &IPV4_CLUSTER, NULL, "ip=10.96.0.10 ports=80", "ip=10.96.0.11 ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: [\"10.96.0.11\"]: may not change once set"},
    {"IP and list changed", &IPV4_CLUSTER, NULL, "ip=10.96.0.10 ports=80",
     "ip=10.96.0.11 ips=10.96.0.11 ports=80", IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: [\"10.96.0.11\"]: may not change once set"},
    {"IP to None", &IPV4_CLUSTER, NULL, "ip=10.96.0.10 ports=80", "ip=None ips=None ports=80",
     IPALLOC_E_INVALID, CLUSTER_IPS "[0]: Invalid value: [\"None\"]: may not change once set"},
    {"None to IP", &IPV4_CLUSTER, NULL, "ip=None ports=80", "ip=10.96.0.10 ips=10.96.0.10 ports=80",
     IPALLOC_E_INVALID,
     CLUSTER_IPS "[0]: Invalid value: [\"10.96.0.10\"]: may not change once set"},
    {"family twice", &DUAL_CLUSTER, NULL, NULL,
     "families=IPv4,IPv4 policy=RequireDualStack ports=80", IPALLOC_E_INVALID,
     "FieldValueDuplicate spec.ipFamilies[1]: Duplicate value: \"IPv4\""},
    {"bogus family", &DUAL_CLUSTER, NULL, NULL, "families=IPv5 ports=80", IPALLOC_E_INVALID,
     "FieldValueNotSupported spec.ipFamilies[0]: Unsupported value: \"IPv5\": supported values: "
     "\"IPv4\", \"IPv6\""},
    {"bogus policy", &DUAL_CLUSTER, NULL, NULL, "policy=Foo ports=80", IPALLOC_E_INVALID,
     "FieldValueNotSupported spec.ipFamilyPolicy: Unsupported value: \"Foo\": supported values: "
     "\"PreferDualStack\", \"RequireDualStack\", \"SingleStack\""},
    {"nodePort taken", &IPV4_CLUSTER, "type=NodePort ports=80>30080", NULL,
     "type=NodePort ports=80>30080", IPALLOC_E_TAKEN,
     "FieldValueInvalid spec.ports[0].nodePort: Invalid value: 30080: provided port is already "
     "allocated"},
    {"nodePort below the range", &IPV4_CLUSTER, NULL, NULL, "type=NodePort ports=80>20000",
     IPALLOC_E_NOT_IN_RANGE,
     "FieldValueInvalid spec.ports[0].nodePort: Invalid value: 20000: provided port is not in the "
     "valid range. The range of valid ports is 30000-32767"},
    {"nodePort -1", &IPV4_CLUSTER, NULL, NULL, "type=NodePort ports=80>-1", IPALLOC_E_NOT_IN_RANGE,
     "FieldValueInvalid spec.ports[0].nodePort: Invalid value: -1: provided port is not in the "
     "valid range. The range of valid ports is 30000-32767"},
    {"nodePort 70000", &IPV4_CLUSTER, NULL, NULL, "type=NodePort ports=80>70000",
     IPALLOC_E_NOT_IN_RANGE,
     "FieldValueInvalid spec.ports[0].nodePort: Invalid value: 70000: provided port is not in the "
     "valid range. The range of valid ports is 30000-32767"},
    {"nodePort on ClusterIP", &IPV4_CLUSTER, NULL, NULL, "ports=80>30080", IPALLOC_E_INVALID,
     "FieldValueForbidden spec.ports[0].nodePort: Forbidden: may not be used when `type` is "
     "'ClusterIP'"},
    {"health-check port taken", &IPV4_CLUSTER, "type=NodePort ports=80>30100", NULL,
     "type=LoadBalancer etp=Local hc=30100 ports=80", IPALLOC_E_TAKEN,
     "InternalError failed to allocate requested HealthCheck NodePort 30100: provided port is "
     "already allocated"},
    {"health-check port out of range", &IPV4_CLUSTER, NULL, NULL,
     "type=LoadBalancer etp=Local hc=20000 ports=80", IPALLOC_E_NOT_IN_RANGE,
     "InternalError failed to allocate requested HealthCheck NodePort 20000: provided port is not "
     "in the valid range. The range of valid ports is 30000-32767"},
    {"health-check port where not allowed", &IPV4_CLUSTER, NULL, NULL,
     "type=LoadBalancer hc=30101 ports=80", IPALLOC_E_INVALID,
     "FieldValueInvalid spec.healthCheckNodePort: Invalid value: 30101: may only be set when "
     "`type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"},
    {"health-check port changed", &IPV4_CLUSTER, NULL,
     "type=LoadBalancer etp=Local hc=30100 ports=80",
     "type=LoadBalancer etp=Local hc=30101 ports=80", IPALLOC_E_INVALID,
     "FieldValueForbidden spec.healthCheckNodePort: Forbidden: field is immutable"},
};

static void check_refusal(const refusal *row) {
    cluster c;
    cluster_open(&c, row->shape);
    test_service old;
    if (row->other != NULL)
        ck_assert_status_error(cluster_create(&c, "other", row->other, NULL), IPALLOC_OK, &c.error);
    if (row->old != NULL)
        ck_assert_status_error(cluster_create(&c, "x", row->old, &old), IPALLOC_OK, &c.error);
    const char *used = cluster_used(&c);
    int status = row->old != NULL ? cluster_update(&c, "x", &old, row->line, NULL)
                                  : cluster_create(&c, "x", row->line, NULL);
    ck_assert_msg(strcmp(problems_text(&c), row->problems) == 0, "%s:\n got      %s\n expected %s",
                  row->situation, problems_text(&c), row->problems);
    ck_assert_status_error(status, row->status, &c.error);
    ck_assert_str_eq(cluster_used(&c), used);
    cluster_close(&c);
}

START_TEST(a_refusal_reads_as_upstream) {
    check_refusal(&REFUSALS[_i]);
}
END_TEST

/* A /30 has two usable addresses; the port range has one. */
START_TEST(full_ranges_are_internal_errors) {
    cluster c;
    cluster_open(&c, &(cluster_shape){
                         .cluster_ips = {"10.96.0.0/30"}, .port_first = 30000, .port_last = 30000});
    ck_assert_status(cluster_create(&c, "a", "type=NodePort ports=80", NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "type=NodePort ports=80", NULL), IPALLOC_E_FULL);
    ck_assert_str_eq(problems_text(&c),
                     "InternalError failed to allocate a nodePort: range is full");
    ck_assert_str_eq(c.error.message, "failed to allocate a nodePort: range is full");
    ck_assert_status(cluster_create(&c, "b", "type=LoadBalancer alloc=no etp=Local ports=80", NULL),
                     IPALLOC_E_FULL);
    ck_assert_str_eq(problems_text(&c),
                     "InternalError failed to allocate a HealthCheck NodePort 0: range is full");
    ck_assert_status(cluster_create(&c, "b", "ports=80", NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "x", "ports=80", NULL), IPALLOC_E_FULL);
    ck_assert_str_eq(
        problems_text(&c),
        "InternalError failed to allocate a serviceIP for Service \"x\": range is full");
    cluster_close(&c);
}
END_TEST

START_TEST(the_error_says_field_message_and_holder) {
    cluster c;
    cluster_open(&c, &IPV4_CLUSTER);
    ck_assert_status(cluster_create(&c, "a", "type=NodePort ip=10.96.0.10 ports=80>30080", NULL),
                     IPALLOC_OK);
    cluster_create(&c, "x", "ip=10.96.0.10 ports=80", NULL);
    ck_assert_str_eq(c.error.message,
                     "spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP "
                     "10.96.0.10: provided IP is already allocated; held by "
                     "Service/default/a/uid");
    ck_assert_str_eq(c.problems.items[0].holder, "Service/default/a/uid");
    cluster_create(&c, "x", "type=NodePort ports=80>30080", NULL);
    ck_assert_str_eq(c.problems.items[0].holder, "Service/default/a/uid");
    cluster_close(&c);
}
END_TEST

START_TEST(every_broken_rule_is_told_up_to_the_limit) {
    cluster c;
    cluster_open(&c, &IPV4_CLUSTER);
    char line[1024] = "ports=0";
    for (int i = 1; i < 30; i++)
        strcat(line, ",0");
    ck_assert_status(cluster_create(&c, "x", line, NULL), IPALLOC_E_INVALID);
    ck_assert_uint_eq(c.problems.count, IPALLOC_SERVICE_PROBLEMS_MAX);
    ck_assert_str_eq(c.error.message, "spec.ports[0].name: Required value");
    cluster_close(&c);
}
END_TEST

START_TEST(untrusted_text_is_escaped_in_messages) {
    cluster c;
    cluster_open(&c, &IPV4_CLUSTER);
    ck_assert_status(cluster_create(&c, "x", "ip=a\"b\\c\n\xff ports=80", NULL), IPALLOC_E_INVALID);
    ck_assert_str_eq(problems_text(&c),
                     CLUSTER_IPS "[0]: Invalid value: \"a\\\"b\\\\c\\x0A\\xFF\": must be a valid "
                                 "IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    cluster_close(&c);
}
END_TEST

START_TEST(several_ranges_are_listed) {
    cluster c;
    cluster_open(&c, &IPV4_CLUSTER);
    ipalloc_cidr more = cidr("10.98.0.0/24");
    ck_assert_status(ipalloc_pool_add_range(c.pools.cluster_ips[0], &more, NULL), IPALLOC_OK);
    cluster_create(&c, "x", "ip=10.97.0.1 ports=80", NULL);
    ck_assert_str_eq(problems_text(&c),
                     CLUSTER_IPS ": Invalid value: [\"10.97.0.1\"]: failed to allocate IP "
                                 "10.97.0.1: the provided IP (10.97.0.1) is not in the valid "
                                 "range. The range of valid IPs is 10.96.0.0/24, 10.98.0.0/24");
    cluster_close(&c);
}
END_TEST

START_TEST(a_draining_range_is_not_offered) {
    cluster c;
    cluster_open(&c, &IPV4_CLUSTER);
    ipalloc_cidr more = cidr("10.98.0.0/24"), first = cidr(IPV4_CIDR);
    ck_assert_status(ipalloc_pool_add_range(c.pools.cluster_ips[0], &more, NULL), IPALLOC_OK);
    ck_assert_status(ipalloc_pool_drain_range(c.pools.cluster_ips[0], &first, NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "x", "ip=10.96.0.1 ports=80", NULL),
                     IPALLOC_E_NOT_IN_RANGE);
    ck_assert_str_eq(problems_text(&c),
                     CLUSTER_IPS ": Invalid value: [\"10.96.0.1\"]: failed to allocate IP "
                                 "10.96.0.1: the provided IP (10.96.0.1) is not in the valid "
                                 "range. The range of valid IPs is 10.98.0.0/24");
    cluster_close(&c);
}
END_TEST

START_TEST(a_message_that_is_too_long_is_cut) {
    cluster c;
    cluster_open(&c, &IPV4_CLUSTER);
    for (int i = 0; i < 60; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.%d.0.0/24", 100 + i);
        ipalloc_cidr more = cidr(text);
        ck_assert_status(ipalloc_pool_add_range(c.pools.cluster_ips[0], &more, NULL), IPALLOC_OK);
    }
    cluster_create(&c, "x", "ip=10.97.0.1 ports=80", NULL);
    const char *message = c.problems.items[0].message;
    ck_assert_uint_lt(strlen(message), IPALLOC_ERROR_TEXT);
    ck_assert_str_eq(message + strlen(message) - 3, "...");
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("problem");
    TCase *tc = tcase_create("problem");
    tcase_add_loop_test(tc, a_refusal_reads_as_upstream, 0, sizeof REFUSALS / sizeof *REFUSALS);
    tcase_add_test(tc, full_ranges_are_internal_errors);
    tcase_add_test(tc, the_error_says_field_message_and_holder);
    tcase_add_test(tc, every_broken_rule_is_told_up_to_the_limit);
    tcase_add_test(tc, untrusted_text_is_escaped_in_messages);
    tcase_add_test(tc, several_ranges_are_listed);
    tcase_add_test(tc, a_draining_range_is_not_offered);
    tcase_add_test(tc, a_message_that_is_too_long_is_cut);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
