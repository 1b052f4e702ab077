/*
 * test_load_balancer.c: load-balancer addresses: given, wished for, kept, given up.
 */
#include "service_support.h"

#include <stdio.h>

#include <string.h>

#define DUAL \
    { IPV4_CIDR, IPV6_CIDR }
static const cluster_shape NONE = {.cluster_ips = DUAL};
static const cluster_shape FOUR = {.cluster_ips = DUAL, .load_balancer = {"192.0.2.0/29"}};
static const cluster_shape BOTH = {.cluster_ips = DUAL,
                                   .load_balancer = {"192.0.2.0/29", "2001:db8::/120"}};

#define REST  " ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack "
#define PORTS "ports=80/TCP>30000 etp=Cluster "

static const struct {
    const cluster_shape *shape;
    const char *line, *update, *expected;
} ROWS[] = {
    {&NONE, "type=LoadBalancer lb=garbage ports=80", NULL,
     "type=LoadBalancer" REST PORTS "alloc=yes lb=garbage"},
    {&FOUR, "type=LoadBalancer ports=80", NULL,
     "type=LoadBalancer" REST PORTS "alloc=yes ingress=192.0.2.0"},
    {&FOUR, "type=LoadBalancer lb=192.0.2.5 ports=80", NULL,
     "type=LoadBalancer" REST PORTS "alloc=yes lb=192.0.2.5 ingress=192.0.2.5"},
    {&FOUR, "type=LoadBalancer policy=RequireDualStack ports=80", NULL,
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=RequireDualStack " PORTS "alloc=yes ingress=192.0.2.0"},
    {&BOTH, "type=LoadBalancer policy=RequireDualStack ports=80", NULL,
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=RequireDualStack " PORTS "alloc=yes ingress=192.0.2.0,2001:db8::"},
    {&BOTH, "type=LoadBalancer families=IPv6,IPv4 lb=2001:DB8::7 policy=RequireDualStack ports=80",
     NULL,
     "type=LoadBalancer ip=fd00:10:96::1 ips=fd00:10:96::1,10.96.0.1 families=IPv6,IPv4 "
     "policy=RequireDualStack " PORTS "alloc=yes lb=2001:db8::7 ingress=2001:db8::7,192.0.2.0"},
    {&FOUR, "ports=80", NULL, "type=ClusterIP" REST "ports=80/TCP"},
    /* kept over an update, with the wish left out too */
    {&FOUR, "type=LoadBalancer lb=192.0.2.5 ports=80", "type=LoadBalancer ports=81",
     "type=LoadBalancer" REST "ports=81/TCP>30000 etp=Cluster alloc=yes ingress=192.0.2.5"},
    /* another wish: the old one goes */
    {&FOUR, "type=LoadBalancer lb=192.0.2.5 ports=80", "type=LoadBalancer lb=192.0.2.6 ports=80",
     "type=LoadBalancer" REST PORTS "alloc=yes lb=192.0.2.6 ingress=192.0.2.6"},
    {&FOUR, "type=LoadBalancer ports=80", "type=LoadBalancer lb=192.0.2.0 ports=80",
     "type=LoadBalancer" REST PORTS "alloc=yes lb=192.0.2.0 ingress=192.0.2.0"},
    /* with the type */
    {&FOUR, "ports=80", "type=LoadBalancer ports=80",
     "type=LoadBalancer" REST PORTS "alloc=yes ingress=192.0.2.0"},
    {&FOUR, "type=LoadBalancer ports=80", "type=NodePort ports=80",
     "type=NodePort" REST "ports=80/TCP>30000 etp=Cluster"},
    {&FOUR, "type=LoadBalancer ports=80", "type=ExternalName", "type=ExternalName"},
    /* with the family */
    {&BOTH, "type=LoadBalancer policy=RequireDualStack ports=80",
     "type=LoadBalancer policy=SingleStack ports=80",
     "type=LoadBalancer" REST PORTS "alloc=yes ingress=192.0.2.0"},
    {&BOTH, "type=LoadBalancer ports=80", "type=LoadBalancer policy=PreferDualStack ports=80",
     "type=LoadBalancer ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=PreferDualStack " PORTS "alloc=yes ingress=192.0.2.0,2001:db8::"},
};

START_TEST(a_load_balancer_gets) {
    ck_assert_becomes(ROWS[_i].shape, ROWS[_i].line, ROWS[_i].update, ROWS[_i].expected);
}
END_TEST

#define FIELD "FieldValueInvalid spec.loadBalancerIP: Invalid value: "

static const struct {
    const cluster_shape *shape;
    const char *line, *problems;
} REFUSED[] = {
    {&FOUR, "type=LoadBalancer lb=garbage ports=80",
     FIELD "\"garbage\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"},
    {&FOUR, "type=LoadBalancer lb=2001:db8::7 ports=80",
     FIELD "\"2001:db8::7\": must be of a family in `ipFamilies`"},
    {&FOUR, "type=LoadBalancer lb=2001:db8::7 policy=RequireDualStack ports=80",
     FIELD "\"2001:db8::7\": no load-balancer addresses of this family are configured"},
    {&FOUR, "type=LoadBalancer lb=192.0.2.9 ports=80",
     FIELD "\"192.0.2.9\": failed to allocate IP 192.0.2.9: the provided IP (192.0.2.9) is not in "
           "the valid range. The range of valid IPs is 192.0.2.0/29"},
};

START_TEST(a_wish_that_cannot_be_had_is_refused) {
    ck_assert_refused(REFUSED[_i].shape, REFUSED[_i].line, NULL, REFUSED[_i].problems);
}
END_TEST

START_TEST(a_taken_address_names_its_holder) {
    cluster c;
    cluster_open(&c, &FOUR);
    test_service s;
    cluster_create(&c, "a", "type=LoadBalancer lb=192.0.2.5 ports=80", NULL);
    ck_assert_status(cluster_create(&c, "x", "type=LoadBalancer lb=192.0.2.5 ports=80", NULL),
                     IPALLOC_E_TAKEN);
    ck_assert_str_eq(problems_text(&c), FIELD "\"192.0.2.5\": failed to allocate IP 192.0.2.5: "
                                              "provided IP is already allocated");
    ck_assert_str_eq(c.problems.items[0].holder, "Service/default/a/uid");
    /* and a refused change of the wish keeps what is there */
    ck_assert_status(cluster_create(&c, "x", "type=LoadBalancer lb=192.0.2.6 ports=80", &s),
                     IPALLOC_OK);
    ck_assert_status(cluster_update(&c, "x", &s, "type=LoadBalancer lb=192.0.2.5 ports=80", NULL),
                     IPALLOC_E_TAKEN);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}
END_TEST

/* The pools' class, the Service's, and whether they are each other's. */
static const struct {
    const char *pools, *service;
    bool served;
} CLASSES[] = {
    {NULL, "", true},
    {NULL, " class=a.example/b", false},
    {"a.example/b", " class=a.example/b", true},
    {"a.example/b", " class=a.example/c", false},
    {"a.example/b", "", false},
};

START_TEST(a_service_of_another_class_is_left_to_its_controller) {
    cluster c;
    test_service s;
    char line[128];
    cluster_open(&c, &FOUR);
    c.pools.load_balancer_class = CLASSES[_i].pools;
    /* a wish that could not be had does not matter to who does not serve it */
    snprintf(line, sizeof line, "type=LoadBalancer%s lb=%s ports=80", CLASSES[_i].service,
             CLASSES[_i].served ? "192.0.2.5" : "203.0.113.5");
    ck_assert_status_error(cluster_create(&c, "x", line, &s), IPALLOC_OK, &c.error);
    ck_assert_uint_eq(s.service.ingress_ip_count, CLASSES[_i].served ? 1 : 0);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    ck_assert_status(cluster_update(&c, "x", &s, "type=ClusterIP ports=80", &s), IPALLOC_OK);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}
END_TEST

START_TEST(a_full_pool_refuses_the_service) {
    cluster c;
    cluster_open(&c, &(cluster_shape){.cluster_ips = DUAL, .load_balancer = {"192.0.2.0/31"}});
    ck_assert_status(cluster_create(&c, "a", "type=LoadBalancer ports=80", NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "type=LoadBalancer ports=80", NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "x", "type=LoadBalancer ports=80", NULL), IPALLOC_E_FULL);
    ck_assert_str_eq(
        problems_text(&c),
        "InternalError failed to allocate a load-balancer IP for Service \"x\": range is full");
    ck_assert_str_eq(cluster_used(&c), "ip=2 ip2=0 ports=2 lb4=2");
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("load_balancer");
    TCase *tc = tcase_create("load_balancer");
    tcase_add_loop_test(tc, a_load_balancer_gets, 0, LENGTH(ROWS));
    tcase_add_loop_test(tc, a_wish_that_cannot_be_had_is_refused, 0, LENGTH(REFUSED));
    tcase_add_test(tc, a_taken_address_names_its_holder);
    tcase_add_loop_test(tc, a_service_of_another_class_is_left_to_its_controller, 0,
                        LENGTH(CLASSES));
    tcase_add_test(tc, a_full_pool_refuses_the_service);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
