/*
 * test_normalize.c: defaults, canonical text, carry-over, clusterIP against clusterIPs, and what
 * goes with a type that is left.
 */
#include "service_support.h"

#include <string.h>

static const cluster_shape CLUSTER = {.cluster_ips = {IPV4_CIDR, IPV6_CIDR}};

static const struct {
    const char *line, *update, *expected; /* update NULL: a create */
} ROWS[] = {
    /* defaults */
    {"type=NodePort ports=80", NULL,
     "type=NodePort ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=80/TCP>30000 etp=Cluster"},
    {"type=LoadBalancer ports=80", NULL,
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=80/TCP>30000 etp=Cluster alloc=yes"},
    /* canonical text, whatever was sent */
    {"ip=FD00:0010:96:0::9A ports=80", NULL,
     "type=ClusterIP ip=fd00:10:96::9a ips=fd00:10:96::9a families=IPv6 policy=SingleStack "
     "ports=80/TCP"},
    {"ip=FD00:10:96::9A ips=fd00:10:96::009a,10.96.0.9 policy=PreferDualStack ports=80", NULL,
     "type=ClusterIP ip=fd00:10:96::9a ips=fd00:10:96::9a,10.96.0.9 families=IPv6,IPv4 "
     "policy=PreferDualStack ports=80/TCP"},
    /* the same address in other text is no change */
    {"ip=fd00:10:96::9a ports=80", "ip=FD00:10:96::9A ips=FD00:10:96::9A ports=80",
     "type=ClusterIP ip=fd00:10:96::9a ips=fd00:10:96::9a families=IPv6 policy=SingleStack "
     "ports=80/TCP"},
    /* carry-over of cluster IPs: both left out, one left out */
    {"ip=10.96.0.9 ports=80", "ports=80",
     "type=ClusterIP ip=10.96.0.9 ips=10.96.0.9 families=IPv4 policy=SingleStack ports=80/TCP"},
    {"ip=10.96.0.9 ports=80", "ip=10.96.0.9 ports=80",
     "type=ClusterIP ip=10.96.0.9 ips=10.96.0.9 families=IPv4 policy=SingleStack ports=80/TCP"},
    {"ip=10.96.0.9 ports=80", "ips=10.96.0.9 ports=80",
     "type=ClusterIP ip=10.96.0.9 ips=10.96.0.9 families=IPv4 policy=SingleStack ports=80/TCP"},
    {"ip=None ports=80", "ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4 policy=SingleStack ports=80/TCP"},
    /* carry-over of node ports by name, whatever else of the port changes */
    {"type=NodePort ports=a:80>30500,b:81>30501", "type=NodePort ports=b:91,a:90",
     "type=NodePort ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=b:91/TCP>30501,a:90/TCP>30500 etp=Cluster"},
    {"type=NodePort ports=80>30500", "type=LoadBalancer ports=80",
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=80/TCP>30500 etp=Cluster alloc=yes"},
    /* a number that was given to another port is not carried over */
    {"type=NodePort ports=a:80>30500", "type=NodePort ports=a:80,b:81>30500",
     "type=NodePort ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=a:80/TCP>30000,b:81/TCP>30500 etp=Cluster"},
    /* carry-over of the health-check port */
    {"type=LoadBalancer etp=Local hc=30100 ports=80", "type=LoadBalancer etp=Local ports=80",
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=80/TCP>30000 etp=Local hc=30100 alloc=yes"},
    /* node ports survive allocateLoadBalancerNodePorts=false: they were not asked to go */
    {"type=LoadBalancer ports=80", "type=LoadBalancer alloc=no ports=80",
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=80/TCP>30000 etp=Cluster alloc=no"},
    /* fields of the type that is left go, if they were sent back as they were */
    {"type=NodePort ports=80", "type=ClusterIP etp=Cluster ports=80>30000",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP"},
    {"type=LoadBalancer etp=Local ports=80",
     "type=ClusterIP etp=Local hc=30001 alloc=yes ports=80>30000",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP"},
    {"type=LoadBalancer etp=Local ports=80", "type=LoadBalancer etp=Cluster hc=30001 ports=80",
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
     "ports=80/TCP>30000 etp=Cluster alloc=yes"},
    {"policy=PreferDualStack ports=80",
     "type=ExternalName ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=PreferDualStack ports=80",
     "type=ExternalName ports=80/TCP"},
    {"ip=None ports=80", "type=ExternalName ip=None ips=None families=IPv4 policy=SingleStack",
     "type=ExternalName"},
};

START_TEST(a_service_becomes) {
    ck_assert_becomes(&CLUSTER, ROWS[_i].line, ROWS[_i].update, ROWS[_i].expected);
}
END_TEST

static const struct {
    const char *line, *update, *problems;
} REFUSED[] = {
    /* wishes for the new type are not dropped silently */
    {"type=NodePort ports=80", "type=ClusterIP ports=80>30600",
     "FieldValueForbidden spec.ports[0].nodePort: Forbidden: may not be used when `type` is "
     "'ClusterIP'"},
    {"ports=80", "type=ExternalName ip=10.96.0.7",
     "FieldValueForbidden spec.clusterIPs: Forbidden: may not be set for ExternalName services"},
    {"type=LoadBalancer etp=Local ports=80", "type=NodePort hc=30700 ports=80",
     "FieldValueInvalid spec.healthCheckNodePort: Invalid value: 30700: may only be set when "
     "`type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"},
    {"type=LoadBalancer ports=80", "type=NodePort alloc=no ports=80",
     "FieldValueForbidden spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when "
     "`type` is 'LoadBalancer'"},
    /* an old client changes clusterIP and sends the list back */
    {"ip=10.96.0.9 ports=80", "ip=10.96.0.8 ips=10.96.0.9 ports=80",
     "FieldValueInvalid spec.clusterIPs[0]: Invalid value: [\"10.96.0.8\"]: may not change once "
     "set"},
    /* both are changed, in different ways */
    {"ip=10.96.0.9 ports=80", "ip=10.96.0.8 ips=10.96.0.7 ports=80",
     "FieldValueInvalid spec.clusterIPs: Invalid value: [\"10.96.0.7\"]: first value must match "
     "`clusterIP`"},
};

START_TEST(a_wish_is_not_dropped) {
    ck_assert_refused(&CLUSTER, REFUSED[_i].line, REFUSED[_i].update, REFUSED[_i].problems);
}
END_TEST

/* Stored by a server of old: read as it was meant then, and written back canonical. */
START_TEST(old_text_in_the_stored_object_is_not_refused) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old, s;
    ck_assert_status(cluster_create(&c, "x", "ip=10.96.0.9 ports=80", &old), IPALLOC_OK);
    strcpy(old.service.cluster_ip, "010.096.000.009");
    strcpy(old.service.cluster_ips[0], "010.096.000.009");
    ck_assert_status_error(
        cluster_update(&c, "x", &old, "ip=010.096.000.009 ips=010.096.000.009 ports=80", &s),
        IPALLOC_OK, &c.error);
    ck_assert_str_eq(s.service.cluster_ips[0], "10.96.0.9");
    ck_assert_status(cluster_update(&c, "x", &old, "ip=10.96.0.009 ips=10.96.0.009 ports=80", &s),
                     IPALLOC_E_INVALID);
    ck_assert_str_eq(problems_text(&c), "FieldValueInvalid spec.clusterIPs[0]: Invalid value: "
                                        "\"10.96.0.009\": must not have leading 0s");
    cluster_close(&c);
}
END_TEST

/* Stored before there were clusterIPs, ipFamilies and ipFamilyPolicy. */
static const struct {
    const char *line, *update, *expected;
} OLDER[] = {
    {"ip=10.96.0.9 ports=80", "ports=80",
     "type=ClusterIP ip=10.96.0.9 ips=10.96.0.9 families=IPv4 policy=SingleStack ports=80/TCP"},
    {"ip=fd00:10:96::9 ports=80", "ip=fd00:10:96::9 policy=PreferDualStack ports=80",
     "type=ClusterIP ip=fd00:10:96::9 ips=fd00:10:96::9,10.96.0.1 families=IPv6,IPv4 "
     "policy=PreferDualStack ports=80/TCP"},
    {"ip=None ports=80", "ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4 policy=SingleStack ports=80/TCP"},
    {"ip=None selector=no ports=80", "selector=no ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4,IPv6 policy=RequireDualStack ports=80/TCP "
     "selector=no"},
    {"ip=10.96.0.9 ports=80", "type=ExternalName", "type=ExternalName"},
};

START_TEST(a_stored_object_without_lists_is_completed) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old, s;
    ck_assert_status(cluster_create(&c, "x", OLDER[_i].line, &old), IPALLOC_OK);
    old.service.cluster_ip_count = old.service.ip_family_count = 0;
    old.service.ip_family_policy[0] = '\0';
    ck_assert_status_error(cluster_update(&c, "x", &old, OLDER[_i].update, &s), IPALLOC_OK,
                           &c.error);
    ck_assert_str_eq(service_write(&s), OLDER[_i].expected);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("normalize");
    TCase *tc = tcase_create("normalize");
    tcase_add_loop_test(tc, a_service_becomes, 0, LENGTH(ROWS));
    tcase_add_loop_test(tc, a_wish_is_not_dropped, 0, LENGTH(REFUSED));
    tcase_add_test(tc, old_text_in_the_stored_object_is_not_refused);
    tcase_add_loop_test(tc, a_stored_object_without_lists_is_completed, 0, LENGTH(OLDER));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
