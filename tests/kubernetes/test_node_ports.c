/*
 * test_node_ports.c: node ports and the health-check port: sharing, wishes, slots, updates.
 */
#include "service_support.h"

#include <stdio.h>
#include <string.h>

static const cluster_shape CLUSTER = {.cluster_ips = {IPV4_CIDR}};

/* Of a line, only the ports are of interest here. */
static const char *ports_of(const test_service *s) {
    static char ports[SERVICE_LINE];
    const char *start = strstr(service_write(s), "ports=");
    ck_assert_ptr_nonnull(start);
    snprintf(ports, sizeof ports, "%s", start + strlen("ports="));
    ports[strcspn(ports, " ")] = '\0';
    return ports;
}

static const struct {
    const char *line, *ports;
} SHARING[] = {
    /* one number, several protocols: one node port */
    {"type=NodePort ports=a:53/TCP,b:53/UDP", "a:53/TCP>30000,b:53/UDP>30000"},
    {"type=NodePort ports=a:53/TCP,b:53/UDP,c:53/SCTP",
     "a:53/TCP>30000,b:53/UDP>30000,c:53/SCTP>30000"},
    {"type=NodePort ports=a:53/TCP,b:54/UDP", "a:53/TCP>30000,b:54/UDP>30001"},
    /* a wish of one of them is the wish of all */
    {"type=NodePort ports=a:53/TCP,b:53/UDP>30053", "a:53/TCP>30053,b:53/UDP>30053"},
    {"type=NodePort ports=a:53/TCP>30053,b:53/UDP", "a:53/TCP>30053,b:53/UDP>30053"},
    {"type=NodePort ports=a:53/TCP>30053,b:53/UDP>30053", "a:53/TCP>30053,b:53/UDP>30053"},
    /* different wishes are both granted */
    {"type=NodePort ports=a:53/TCP>30053,b:53/UDP>30054", "a:53/TCP>30053,b:53/UDP>30054"},
    /* a free pick never takes what a later port asks for */
    {"type=NodePort ports=a:80,b:81>30000", "a:80/TCP>30001,b:81/TCP>30000"},
    {"type=LoadBalancer etp=Local hc=30000 ports=80", "80/TCP>30001"},
    /* none allocated, but wishes are granted */
    {"type=LoadBalancer alloc=no ports=a:80,b:81>30081", "a:80/TCP,b:81/TCP>30081"},
    {"type=LoadBalancer alloc=no ports=a:53/TCP,b:53/UDP>30053", "a:53/TCP,b:53/UDP>30053"},
    {"type=LoadBalancer alloc=yes ports=80", "80/TCP>30000"},
};

START_TEST(ports_of_one_number_share_a_node_port) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    ck_assert_status_error(cluster_create(&c, "x", SHARING[_i].line, &s), IPALLOC_OK, &c.error);
    ck_assert_str_eq(ports_of(&s), SHARING[_i].ports);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    ck_assert_status(cluster_delete(&c, "x"), IPALLOC_OK);
    ck_assert_str_eq(cluster_used(&c), "ip=0 ports=0");
    cluster_close(&c);
}
END_TEST

START_TEST(ports_of_two_numbers_do_not_share_on_create) {
    static const char TAKEN[] = "FieldValueInvalid spec.ports[1].nodePort: Invalid value: 30080: "
                                "provided port is already allocated";
    ck_assert_refused(&CLUSTER, "type=NodePort ports=a:80/TCP>30080,b:81/TCP>30080", NULL, TAKEN);
    ck_assert_refused(&CLUSTER, "type=NodePort ports=a:80/TCP>30080,b:81/UDP>30080", NULL, TAKEN);
}
END_TEST

static const struct {
    const char *line, *update, *ports;
} UPDATES[] = {
    /* an update accepts one node port for two numbers, as long as the protocols differ */
    {"type=NodePort ports=a:80>30080", "type=NodePort ports=a:80>30080,b:81/UDP>30080",
     "a:80/TCP>30080,b:81/UDP>30080"},
    /* and gives every new port one of its own */
    {"ports=80", "type=NodePort ports=a:53/TCP,b:53/UDP", "a:53/TCP>30000,b:53/UDP>30001"},
    /* new, gone, changed */
    {"type=NodePort ports=a:80>30080", "type=NodePort ports=a:80,b:81",
     "a:80/TCP>30080,b:81/TCP>30000"},
    {"type=NodePort ports=a:80>30080,b:81>30081", "type=NodePort ports=b:81", "b:81/TCP>30081"},
    {"type=NodePort ports=80>30080", "type=NodePort ports=80>30090", "80/TCP>30090"},
    {"type=NodePort ports=80>30080", "type=NodePort ports=8080", "8080/TCP>30080"},
    {"type=NodePort ports=80>30080", "type=NodePort ports=80/UDP", "80/UDP>30080"},
    /* a renamed port keeps its node port, whether it says so or not */
    {"type=NodePort ports=a:80>30080,b:81>30081", "type=NodePort ports=c:80>30080,b:81",
     "c:80/TCP>30080,b:81/TCP>30081"},
    {"type=NodePort ports=a:80>30080,b:81>30081", "type=NodePort ports=c:80,b:81",
     "c:80/TCP>30080,b:81/TCP>30081"},
    /* swapped: by number, by name, in a ring, and into a slot that was another's */
    {"type=NodePort ports=a:80>30080,b:81>30081", "type=NodePort ports=a:80>30081,b:81>30080",
     "a:80/TCP>30081,b:81/TCP>30080"},
    {"type=NodePort ports=a:80>30080,b:81>30081", "type=NodePort ports=a:81,b:80",
     "a:81/TCP>30080,b:80/TCP>30081"},
    {"type=NodePort ports=a:80>30080,b:81>30081,c:82>30082", "type=NodePort ports=a:81,b:82,c:80",
     "a:81/TCP>30080,b:82/TCP>30081,c:80/TCP>30082"},
    {"type=NodePort ports=a:80>30080,b:81>30081", "type=NodePort ports=b:80", "b:80/TCP>30081"},
    {"type=NodePort ports=a:80>30080", "type=NodePort ports=a:81,b:80",
     "a:81/TCP>30080,b:80/TCP>30000"},
    /* shared and not shared any more */
    {"type=NodePort ports=a:53/TCP>30053,b:53/UDP>30053", "type=NodePort ports=a:53/TCP",
     "a:53/TCP>30053"},
    {"type=NodePort ports=a:53/TCP>30053,b:53/UDP>30053",
     "type=NodePort ports=a:53/TCP>30053,b:53/UDP>30054", "a:53/TCP>30053,b:53/UDP>30054"},
    {"type=NodePort ports=a:53/TCP>30053,b:53/UDP>30053", "type=NodePort ports=a:54/TCP,b:54/UDP",
     "a:54/TCP>30053,b:54/UDP>30053"},
    /* by type */
    {"type=NodePort ports=80>30080", "type=ClusterIP ports=80", "80/TCP"},
    {"type=NodePort ports=80>30080", "type=LoadBalancer ports=80", "80/TCP>30080"},
    {"ports=80", "type=NodePort ports=80>30080", "80/TCP>30080"},
    {"ports=80", "type=LoadBalancer alloc=no ports=80", "80/TCP"},
};

START_TEST(an_update_settles_node_ports) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    ck_assert_status_error(cluster_create(&c, "x", UPDATES[_i].line, &s), IPALLOC_OK, &c.error);
    ck_assert_status_error(cluster_update(&c, "x", &s, UPDATES[_i].update, &s), IPALLOC_OK,
                           &c.error);
    ck_assert_msg(strcmp(ports_of(&s), UPDATES[_i].ports) == 0, "%s -> %s: %s, expected %s",
                  UPDATES[_i].line, UPDATES[_i].update, ports_of(&s), UPDATES[_i].ports);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}
END_TEST

START_TEST(a_refused_update_frees_no_node_port) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old;
    cluster_create(&c, "other", "type=NodePort ports=80>30090", NULL);
    ck_assert_status(cluster_create(&c, "x", "type=NodePort ports=a:80>30080,b:81>30081", &old),
                     IPALLOC_OK);
    ck_assert_status(
        cluster_update(&c, "x", &old, "type=NodePort ports=a:81>30080,b:80>30090", NULL),
        IPALLOC_E_TAKEN);
    ck_assert_str_eq(c.problems.items[0].field, "spec.ports[1].nodePort");
    ck_assert_str_eq(c.problems.items[0].holder, "Service/default/other/uid");
    ck_assert_holds_what_it_shows(&c, "x", &old);
    ck_assert_status(cluster_create(&c, "y", "type=NodePort ports=80>30081", NULL),
                     IPALLOC_E_TAKEN);
    cluster_close(&c);
}
END_TEST

/* --- the health-check port -------------------------------------------------------------------- */

static const struct {
    const char *line, *update;
    int before, after;
} HEALTH_CHECKS[] = {
    {"type=LoadBalancer etp=Local ports=80", "type=LoadBalancer etp=Local ports=80", 30001, 30001},
    {"type=LoadBalancer etp=Local ports=80", "type=LoadBalancer etp=Cluster ports=80", 30001, 0},
    {"type=LoadBalancer etp=Local ports=80", "type=NodePort etp=Local ports=80", 30001, 0},
    {"type=LoadBalancer etp=Local ports=80", "type=ClusterIP ports=80", 30001, 0},
    {"type=LoadBalancer etp=Local ports=80", "type=ExternalName", 30001, 0},
    {"type=LoadBalancer ports=80", "type=LoadBalancer etp=Local ports=80", 0, 30001},
    {"type=LoadBalancer ports=80", "type=LoadBalancer etp=Local hc=30500 ports=80", 0, 30500},
    {"ports=80", "type=LoadBalancer etp=Local ports=80", 0, 30001},
};

START_TEST(the_health_check_port_comes_and_goes) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    ck_assert_status(cluster_create(&c, "x", HEALTH_CHECKS[_i].line, &s), IPALLOC_OK);
    ck_assert_int_eq(s.service.health_check_node_port, HEALTH_CHECKS[_i].before);
    ck_assert_status_error(cluster_update(&c, "x", &s, HEALTH_CHECKS[_i].update, &s), IPALLOC_OK,
                           &c.error);
    ck_assert_int_eq(s.service.health_check_node_port, HEALTH_CHECKS[_i].after);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}
END_TEST

/* Not the node port of the same Service: not now, not one that it gives up in the same update. */
START_TEST(a_port_does_not_serve_twice) {
    ck_assert_refused(&CLUSTER, "type=LoadBalancer etp=Local hc=30080 ports=80>30080", NULL,
                      "InternalError failed to allocate requested HealthCheck NodePort 30080: "
                      "provided port is already allocated");
    ck_assert_refused(&CLUSTER, "type=LoadBalancer ports=80>30080",
                      "type=LoadBalancer etp=Local hc=30080 ports=80>30081",
                      "InternalError failed to allocate requested HealthCheck NodePort 30080: "
                      "provided port is already allocated");
    ck_assert_refused(&CLUSTER, "type=LoadBalancer etp=Local hc=30080 ports=80>30081",
                      "type=LoadBalancer ports=80>30080",
                      "FieldValueInvalid spec.ports[0].nodePort: Invalid value: 30080: provided "
                      "port is already allocated");
}
END_TEST

START_TEST(without_a_port_pool_nothing_that_needs_one_is_given) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    c.pools.node_ports = NULL;
    ck_assert_status(cluster_create(&c, "x", "type=NodePort ports=80", NULL), IPALLOC_E_INVALID);
    ck_assert_str_eq(c.problems.items[0].reason, "InternalError");
    ck_assert_status(cluster_create(&c, "x", "type=LoadBalancer etp=Local alloc=no ports=80", NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(cluster_create(&c, "x", "type=LoadBalancer alloc=no ports=80", NULL),
                     IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "y", "ports=80", NULL), IPALLOC_OK);
    cluster_close(&c);
}
END_TEST

/* --- slots ------------------------------------------------------------------------------------ */

START_TEST(a_shared_node_port_is_one_lease_with_two_slots) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    ck_assert_status(cluster_create(&c, "x", "type=NodePort ports=a:53/TCP,b:53/UDP", NULL),
                     IPALLOC_OK);
    ipalloc_lease lease = {.size = sizeof lease};
    ck_assert_status(ipalloc_lookup_port(c.registry, c.pools.node_ports, 30000, &lease, &c.error),
                     IPALLOC_OK);
    ck_assert_uint_eq(lease.slot_count, 2);
    ck_assert_str_eq(lease.slots[0], "nodePort/53/TCP");
    ck_assert_str_eq(lease.slots[1], "nodePort/53/UDP");
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("node_ports");
    TCase *tc = tcase_create("node_ports");
    tcase_add_loop_test(tc, ports_of_one_number_share_a_node_port, 0, LENGTH(SHARING));
    tcase_add_test(tc, ports_of_two_numbers_do_not_share_on_create);
    tcase_add_loop_test(tc, an_update_settles_node_ports, 0, LENGTH(UPDATES));
    tcase_add_test(tc, a_refused_update_frees_no_node_port);
    tcase_add_loop_test(tc, the_health_check_port_comes_and_goes, 0, LENGTH(HEALTH_CHECKS));
    tcase_add_test(tc, a_port_does_not_serve_twice);
    tcase_add_test(tc, without_a_port_pool_nothing_that_needs_one_is_given);
    tcase_add_test(tc, a_shared_node_port_is_one_lease_with_two_slots);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
