/*
 * test_validate.c: the field rules that have nothing to do with what is free.
 */
#include "service_support.h"

static const cluster_shape CLUSTER = {.cluster_ips = {IPV4_CIDR}};

#define LABEL_RULE                                                                           \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " \
    "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', " \
    "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

static const struct {
    const char *line, *problems;
} REFUSED[] = {
    {"type=ClusterIP", "FieldValueRequired spec.ports: Required value"},
    {"type=NodePort", "FieldValueRequired spec.ports: Required value"},
    {"ports=80,81", "FieldValueRequired spec.ports[0].name: Required value | "
                    "FieldValueRequired spec.ports[1].name: Required value"},
    {"ports=web:80,web:81", "FieldValueDuplicate spec.ports[1].name: Duplicate value: \"web\""},
    {"ports=Web:80", "FieldValueInvalid spec.ports[0].name: Invalid value: \"Web\": " LABEL_RULE},
    {"ports=-web:80", "FieldValueInvalid spec.ports[0].name: Invalid value: \"-web\": " LABEL_RULE},
    {"ports=web-:80", "FieldValueInvalid spec.ports[0].name: Invalid value: \"web-\": " LABEL_RULE},
    {"ports=0",
     "FieldValueInvalid spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, "
     "inclusive"},
    {"ports=65536",
     "FieldValueInvalid spec.ports[0].port: Invalid value: 65536: must be between 1 and 65535, "
     "inclusive"},
    {"ports=80/ICMP",
     "FieldValueNotSupported spec.ports[0].protocol: Unsupported value: \"ICMP\": supported "
     "values: \"SCTP\", \"TCP\", \"UDP\""},
    {"ports=a:80/TCP,b:80",
     "FieldValueDuplicate spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\","
     "\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}"},
    {"type=NodePort ports=a:80>30080,b:80>30080",
     "FieldValueDuplicate spec.ports[1].nodePort: Duplicate value: 30080 | "
     "FieldValueDuplicate spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\","
     "\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}"},
    {"type=Foo ports=80",
     "FieldValueNotSupported spec.type: Unsupported value: \"Foo\": supported values: "
     "\"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""},
    {"type=NodePort etp=Foo ports=80",
     "FieldValueNotSupported spec.externalTrafficPolicy: Unsupported value: \"Foo\": supported "
     "values: \"Cluster\", \"Local\""},
    {"type=ExternalName etp=Local",
     "FieldValueInvalid spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for "
     "externally-accessible services"},
    {"type=NodePort alloc=no ports=80",
     "FieldValueForbidden spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when "
     "`type` is 'LoadBalancer'"},
    {"hc=30100 ports=80",
     "FieldValueInvalid spec.healthCheckNodePort: Invalid value: 30100: may only be set when "
     "`type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"},
};

START_TEST(a_broken_field_rule_is_refused) {
    ck_assert_refused(&CLUSTER, REFUSED[_i].line, NULL, REFUSED[_i].problems);
}
END_TEST

static const struct {
    const char *line, *expected;
} FINE[] = {
    {"ip=None", "type=ClusterIP ip=None ips=None families=IPv4 policy=SingleStack"},
    {"type=ExternalName", "type=ExternalName"},
    {"ports=a:80/TCP,b:80/UDP,0-9:80/SCTP",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=a:80/TCP,b:80/UDP,0-9:80/SCTP"},
    {"ports=1", "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
                "ports=1/TCP"},
    {"ports=65535", "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
                    "ports=65535/TCP"},
    /* it may have external IPs, which the hook does not see */
    {"etp=Local ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP "
     "etp=Local"},
};

START_TEST(what_no_rule_forbids_is_fine) {
    ck_assert_becomes(&CLUSTER, FINE[_i].line, NULL, FINE[_i].expected);
}
END_TEST

START_TEST(a_node_port_twice_is_refused_on_update) {
    ck_assert_refused(&CLUSTER, "type=NodePort ports=80",
                      "type=NodePort ports=a:80>30080,b:81>30080",
                      "FieldValueDuplicate spec.ports[1].nodePort: Duplicate value: 30080");
}
END_TEST

/* 96 ports are fine, one more is not. */
START_TEST(ports_are_counted) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    static test_service s;
    service_read("type=NodePort", "x", &s);
    s.service.port_count = IPALLOC_SERVICE_PORTS_MAX + 1;
    for (int i = 0; i <= IPALLOC_SERVICE_PORTS_MAX; i++) {
        s.ports[i].port = i + 1;
        s.ports[i].name[0] = (char)('a' + i % 26);
        s.ports[i].name[1] = (char)('a' + i / 26);
    }
    ck_assert_status(cluster_create_service(&c, "x", &s), IPALLOC_E_INVALID);
    ck_assert_str_eq(problems_text(&c),
                     "FieldValueTooMany spec.ports: Too many: 97: must have at most 96 items");
    s.service.port_count--;
    ck_assert_status_error(cluster_create_service(&c, "x", &s), IPALLOC_OK, &c.error);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}
END_TEST

#define LENGTH(array) (int)(sizeof(array) / sizeof *(array))

int main(void) {
    Suite *suite = suite_create("validate");
    TCase *tc = tcase_create("validate");
    tcase_add_loop_test(tc, a_broken_field_rule_is_refused, 0, LENGTH(REFUSED));
    tcase_add_loop_test(tc, what_no_rule_forbids_is_fine, 0, LENGTH(FINE));
    tcase_add_test(tc, a_node_port_twice_is_refused_on_update);
    tcase_add_test(tc, ports_are_counted);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
