/*
 * test_validate.c: the field rules that have nothing to do with what is free.
 */
#include "service_support.h"

#include <stdio.h>

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
    {"ports=web.a:80",
     "FieldValueInvalid spec.ports[0].name: Invalid value: \"web.a\": must not contain dots"},
    {"ports=web.:80", "FieldValueInvalid spec.ports[0].name: Invalid value: \"web.\": " LABEL_RULE},
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
    {"etp=Cluster ports=80",
     "FieldValueInvalid spec.externalTrafficPolicy: Invalid value: \"Cluster\": may only be set "
     "for externally-accessible services"},
    {"type=NodePort class=a/b ports=80",
     "FieldValueForbidden spec.loadBalancerClass: Forbidden: may only be used when `type` is "
     "'LoadBalancer'"},
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
    {"etp=Local external=yes ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP "
     "etp=Local external=yes"},
    {"external=yes ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP "
     "etp=Cluster external=yes"},
    {"type=LoadBalancer class=a.example/b ports=80",
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=80/TCP>30000 etp=Cluster alloc=yes class=a.example/b"},
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

static const struct {
    const char *before, *update, *value; /* NULL: fine */
} CLASSES[] = {
    {"type=LoadBalancer class=a ports=80", "type=LoadBalancer class=a ports=81", NULL},
    {"type=LoadBalancer class=a ports=80", "type=LoadBalancer class=b ports=80", "\"b\""},
    {"type=LoadBalancer class=a ports=80", "type=LoadBalancer ports=80", "null"},
    {"type=LoadBalancer ports=80", "type=LoadBalancer class=b ports=80", "\"b\""},
    {"type=NodePort ports=80", "type=LoadBalancer class=b ports=80", NULL},
    {"type=LoadBalancer class=a ports=80", "type=NodePort ports=80", NULL},
    {"type=LoadBalancer class=a ports=80", "type=NodePort class=a ports=80", NULL}, /* it goes */
};

START_TEST(a_load_balancer_class_may_not_change) {
    cluster c;
    test_service old, now;
    cluster_open(&c, &CLUSTER);
    ck_assert_status(cluster_create(&c, "x", CLASSES[_i].before, &old), IPALLOC_OK);
    int status = cluster_update(&c, "x", &old, CLASSES[_i].update, &now);
    if (CLASSES[_i].value == NULL) {
        ck_assert_status_error(status, IPALLOC_OK, &c.error);
        ck_assert(now.service.type[0] == 'L' || now.service.load_balancer_class == NULL);
    } else {
        char expected[128];
        snprintf(expected, sizeof expected,
                 "FieldValueInvalid spec.loadBalancerClass: Invalid value: %s: may not change once "
                 "set",
                 CLASSES[_i].value);
        ck_assert_str_eq(problems_text(&c), expected);
    }
    cluster_close(&c);
}
END_TEST

static const struct {
    const char *before, *line; /* before NULL: a create */
    bool fine, alone;
} CHECKED[] = {
    {NULL, "ports=80", true, false},
    {NULL, "ports=0", false, false},
    {NULL, "families=IPv6 ports=0", false, true}, /* and not a word of the port */
    {NULL, "ip=10.96.0.9 ports=80", true, false}, /* taken, which is not looked at */
    {NULL, "ip=10.97.0.9 ports=80", true, false}, /* nor is the range */
    {"ports=80", "ports=81", true, false},
    {"ports=80", "ip=10.96.0.77 ports=80", false, false},
    {"ports=80", "policy=RequireDualStack ports=80", false, true},
};

START_TEST(a_check_tells_what_is_wrong_with_the_fields_and_takes_nothing) {
    cluster c;
    test_service old, now, copy;
    cluster_open(&c, &CLUSTER);
    ck_assert_status(cluster_create(&c, "taker", "ip=10.96.0.9 ports=80", NULL), IPALLOC_OK);
    if (CHECKED[_i].before != NULL)
        ck_assert_status(cluster_create(&c, "x", CHECKED[_i].before, &old), IPALLOC_OK);
    service_read(CHECKED[_i].line, "x", &now);
    service_copy(&copy, &now);
    c.problems = (ipalloc_service_problems){.size = sizeof c.problems, .alone = true};
    const char *used = cluster_used(&c);
    int status = ipalloc_service_check(&c.pools, CHECKED[_i].before != NULL ? &old.service : NULL,
                                       &now.service, &c.problems, &c.error);
    ck_assert_msg((status == IPALLOC_OK) == CHECKED[_i].fine, "%s", problems_text(&c));
    ck_assert_int_eq(c.problems.count == 0, CHECKED[_i].fine);
    ck_assert_int_eq(c.problems.alone, CHECKED[_i].alone);
    ck_assert_str_eq(cluster_used(&c), used);
    ck_assert_str_eq(service_write(&now), service_write(&copy));
    cluster_close(&c);
}
END_TEST

/* As many as may be are fine, one more is not. */
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
                     "FieldValueTooMany spec.ports: Too many: 96: must have at most 95 items");
    s.service.port_count--;
    ck_assert_status_error(cluster_create_service(&c, "x", &s), IPALLOC_OK, &c.error);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("validate");
    TCase *tc = tcase_create("validate");
    tcase_add_loop_test(tc, a_broken_field_rule_is_refused, 0, LENGTH(REFUSED));
    tcase_add_loop_test(tc, what_no_rule_forbids_is_fine, 0, LENGTH(FINE));
    tcase_add_test(tc, a_node_port_twice_is_refused_on_update);
    tcase_add_loop_test(tc, a_load_balancer_class_may_not_change, 0, LENGTH(CLASSES));
    tcase_add_loop_test(tc, a_check_tells_what_is_wrong_with_the_fields_and_takes_nothing, 0,
                        LENGTH(CHECKED));
    tcase_add_test(tc, ports_are_counted);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
