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

/* Where the caller lets it wait, all else is as it would be, and an update tries again. */
START_TEST(a_service_waits_for_an_address_of_a_full_pool) {
    cluster c;
    test_service s, other;
    cluster_open(&c, &(cluster_shape){.cluster_ips = DUAL,
                                      .load_balancer = {"192.0.2.0/31", "2001:db8::/120"}});
    c.pools.load_balancer_may_wait = true;
    ck_assert_status(cluster_create(&c, "a", "type=LoadBalancer ports=80", NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "type=LoadBalancer ports=80", &other), IPALLOC_OK);
    ck_assert(!other.service.ingress_waits);
    ck_assert_status_error(
        cluster_create(&c, "x", "type=LoadBalancer policy=RequireDualStack ports=80", &s),
        IPALLOC_OK, &c.error);
    ck_assert(s.service.ingress_waits);
    ck_assert_uint_eq(s.service.ingress_ip_count, 1);
    ck_assert_str_eq(s.service.ingress_ips[0], "2001:db8::");
    ck_assert_holds_what_it_shows(&c, "x", &s);
    ck_assert_str_eq(cluster_used(&c), "ip=3 ip2=1 ports=3 lb4=2 lb6=1");
    const char *same = "type=LoadBalancer policy=RequireDualStack ports=80";
    ck_assert_status(cluster_update(&c, "x", &s, same, &s), IPALLOC_OK);
    ck_assert(s.service.ingress_waits);
    ck_assert_status(cluster_update(&c, "b", &other, "type=ClusterIP ports=80", &other),
                     IPALLOC_OK);
    ck_assert_status(cluster_update(&c, "x", &s, same, &s), IPALLOC_OK);
    ck_assert(!s.service.ingress_waits);
    ck_assert_uint_eq(s.service.ingress_ip_count, 2);
    ck_assert_str_eq(s.service.ingress_ips[0], "192.0.2.1");
    ck_assert_holds_what_it_shows(&c, "x", &s);
    /* one of another type that becomes such a Service waits, too */
    ck_assert_status(cluster_update(&c, "b", &other, "type=LoadBalancer ports=80", &other),
                     IPALLOC_OK);
    ck_assert(other.service.ingress_waits);
    /* an address that is asked for is not waited for */
    ck_assert_status(cluster_create(&c, "y", "type=LoadBalancer lb=192.0.2.1 ports=80", NULL),
                     IPALLOC_E_TAKEN);
    cluster_close(&c);
}
END_TEST

/* Who has an address does not lose it for a full pool. */
START_TEST(a_move_to_a_full_pool_is_refused_though_others_may_wait) {
    cluster c;
    test_service s, waiting;
    cluster_open(&c, &(cluster_shape){.cluster_ips = DUAL, .load_balancer = {"192.0.2.0/31"}});
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = 4,
                                          .ranges = (ipalloc_cidr[]){cidr("203.0.113.0/31")},
                                          .range_count = 1,
                                          .strategy = IPALLOC_STRATEGY_LOWEST,
                                          .use_all_addresses = true};
    ipalloc_pool *first = c.pools.load_balancer[0], *second;
    ck_assert_status(ipalloc_pool_define(c.registry, "second", &definition, &second, NULL),
                     IPALLOC_OK);
    c.pools.load_balancer_may_wait = true;
    cluster_create(&c, "a", "type=LoadBalancer ports=80", NULL);
    cluster_create(&c, "b", "type=LoadBalancer ports=80", NULL);
    cluster_create(&c, "w", "type=LoadBalancer ports=80", &waiting);
    c.pools.load_balancer[0] = second;
    cluster_create(&c, "s", "type=LoadBalancer ports=80", &s);
    ck_assert_str_eq(s.service.ingress_ips[0], "203.0.113.0");
    c.pools.load_balancer_before[0] = second;
    c.pools.load_balancer[0] = first;
    ck_assert_status(cluster_update(&c, "s", &s, "type=LoadBalancer ports=80", NULL),
                     IPALLOC_E_FULL);
    ck_assert_str_eq(cluster_used(&c), "ip=4 ip2=0 ports=4 lb4=2");
    /* one that waits may wait elsewhere, and finds an address there */
    c.pools.load_balancer_before[0] = first;
    c.pools.load_balancer[0] = second;
    ck_assert_status(cluster_update(&c, "w", &waiting, "type=LoadBalancer ports=80", &waiting),
                     IPALLOC_OK);
    ck_assert_str_eq(waiting.service.ingress_ips[0], "203.0.113.1");
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
    tcase_add_test(tc, a_service_waits_for_an_address_of_a_full_pool);
    tcase_add_test(tc, a_move_to_a_full_pool_is_refused_though_others_may_wait);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
