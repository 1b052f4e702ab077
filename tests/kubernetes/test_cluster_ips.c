/*
 * test_cluster_ips.c: cluster IPs over every change of type, and both families as one.
 */
#include "service_support.h"

#include <string.h>

static const cluster_shape CLUSTER = {.cluster_ips = {IPV4_CIDR, IPV6_CIDR}};

/* --- every pair of types ---------------------------------------------------------------------- */

enum { CLUSTER_IP, HEADLESS, NODE_PORT, LOAD_BALANCER, LOCAL, EXTERNAL_NAME, KIND_COUNT };

static const char *const KINDS[KIND_COUNT] = {
    "type=ClusterIP ports=80",
    "type=ClusterIP ip=None ips=None ports=80",
    "type=NodePort ports=80",
    "type=LoadBalancer ports=80",
    "type=LoadBalancer ports=80 etp=Local",
    "type=ExternalName ports=80",
};

/* What a pair of types comes to: '+' the new type, '!' refused, '0' fine but still headless (who
 * leaves the cluster IP out means the one that is there). */
static const char *const PUT_OUTCOMES[KIND_COUNT] = {
    /* to:             ClusterIP None NodePort LoadBalancer Local ExternalName */
    /* ClusterIP    */ "+!++++",
    /* None         */ "0+!!!+",
    /* NodePort     */ "+!++++",
    /* LoadBalancer */ "+!++++",
    /* Local        */ "+!++++",
    /* ExternalName */ "++++++",
};

static bool has_cluster_ip(int kind) {
    return kind != HEADLESS && kind != EXTERNAL_NAME;
}

static bool has_node_port(int kind) {
    return kind == NODE_PORT || kind == LOAD_BALANCER || kind == LOCAL;
}

static void check_is(const test_service *s, int kind) {
    const ipalloc_service *service = &s->service;
    bool has_address = service->cluster_ip_count > 0 && service->cluster_ip[0] != 'N';
    ck_assert_int_eq(has_address, has_cluster_ip(kind));
    ck_assert_int_eq(service->ports[0].node_port != 0, has_node_port(kind));
    ck_assert_int_eq(service->health_check_node_port != 0, kind == LOCAL);
    ck_assert_int_eq(service->ip_family_count > 0, kind != EXTERNAL_NAME);
}

static void check_pair(int from, int to, bool patched, char outcome, const char *policy) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old, s;
    service_read(KINDS[from], "x", &old);
    if (from != EXTERNAL_NAME)
        strcpy(old.service.ip_family_policy, policy);
    ck_assert_status_error(cluster_create_service(&c, "x", &old), IPALLOC_OK, &c.error);
    check_is(&old, from);
    service_read(KINDS[to], "x", &s);
    if (patched) { /* all that is stored, but for what makes the other type */
        test_service wanted = s;
        service_copy(&s, &old);
        strcpy(s.service.type, wanted.service.type);
        if (wanted.service.external_traffic_policy[0] != '\0' || to == LOAD_BALANCER)
            strcpy(s.service.external_traffic_policy, to == LOCAL ? "Local" : "Cluster");
        if (to == HEADLESS || (from == EXTERNAL_NAME && to != EXTERNAL_NAME)) {
            strcpy(s.service.cluster_ip, wanted.service.cluster_ip);
            s.service.cluster_ip_count = wanted.service.cluster_ip_count;
            strcpy(s.service.cluster_ips[0], wanted.service.cluster_ips[0]);
        }
    }
    const char *used = cluster_used(&c);
    int status = cluster_update_service(&c, "x", &old, &s);
    ck_assert_msg((status != IPALLOC_OK) == (outcome == '!'), "%s -> %s: %s (%s)", KINDS[from],
                  KINDS[to], ipalloc_status_name(status), c.error.message);
    if (outcome == '!') {
        ck_assert_str_eq(cluster_used(&c), used);
        ck_assert_holds_what_it_shows(&c, "x", &old);
    } else {
        check_is(&s, outcome == '0' ? HEADLESS : to);
        ck_assert_holds_what_it_shows(&c, "x", &s);
        if (has_cluster_ip(from) && has_cluster_ip(to))
            ck_assert_str_eq(s.service.cluster_ip, old.service.cluster_ip);
        if (has_node_port(from) && has_node_port(to))
            ck_assert_int_eq(s.ports[0].node_port, old.ports[0].node_port);
    }
    cluster_close(&c);
}

START_TEST(every_pair_of_types_by_put) {
    int from = _i / KIND_COUNT, to = _i % KIND_COUNT;
    check_pair(from, to, false, PUT_OUTCOMES[from][to], "");
    check_pair(from, to, false, PUT_OUTCOMES[from][to], "PreferDualStack");
}
END_TEST

START_TEST(every_pair_of_types_by_patch) {
    int from = _i / KIND_COUNT, to = _i % KIND_COUNT;
    check_pair(from, to, true, PUT_OUTCOMES[from][to], "");
    check_pair(from, to, true, PUT_OUTCOMES[from][to], "RequireDualStack");
}
END_TEST

/* --- both families are one -------------------------------------------------------------------- */

START_TEST(a_refused_second_family_leaves_nothing_of_the_first) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    ck_assert_status(cluster_create(&c, "a", "ip=fd00:10:96::b ports=80", NULL), IPALLOC_OK);
    static const char *const LINES[] = {
        "policy=RequireDualStack ip=10.96.0.11 ips=10.96.0.11,fd00:10:96::b ports=80",
        "policy=RequireDualStack ip=10.96.0.11 ips=10.96.0.11,fd00::b ports=80",
        "policy=RequireDualStack ip=fd00:10:96::c ips=fd00:10:96::c,10.97.0.1 ports=80",
    };
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        for (int again = 0; again < 2; again++) { /* the second try fails for the same reason */
            ck_assert_int_ne(cluster_create(&c, "x", LINES[i], NULL), IPALLOC_OK);
            ck_assert_str_eq(c.problems.items[0].field, "spec.clusterIPs");
            ck_assert_int_eq(c.problems.items[0].holder[0] != '\0', i == 0);
            ck_assert_str_eq(cluster_used(&c), "ip=0 ip2=1 ports=0");
        }
    ck_assert_status(cluster_create(&c, "y", "ip=10.96.0.11 ports=80", NULL), IPALLOC_OK);
    cluster_close(&c);
}
END_TEST

/* IPv4 is full; twenty dual-stack creates must not eat IPv6 addresses. */
START_TEST(a_full_family_leaks_nothing_of_the_other) {
    cluster c;
    cluster_open(&c, &(cluster_shape){.cluster_ips = {"10.96.0.0/30", IPV6_CIDR}});
    test_service s;
    ck_assert_status(cluster_create(&c, "a", "ports=80", NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "ports=80", NULL), IPALLOC_OK);
    for (int i = 0; i < 20; i++) {
        ck_assert_status(cluster_create(&c, "x", "policy=RequireDualStack ports=80", NULL),
                         IPALLOC_E_FULL);
        ck_assert_status(
            cluster_create(&c, "x", "policy=RequireDualStack families=IPv6,IPv4 ports=80", NULL),
            IPALLOC_E_FULL);
    }
    ck_assert_str_eq(cluster_used(&c), "ip=2 ip2=0 ports=0");
    /* nor may an upgrade that fails change anything */
    ck_assert_status(cluster_create(&c, "y", "families=IPv6 ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_update(&c, "y", &s, "policy=RequireDualStack ports=80", NULL),
                     IPALLOC_E_FULL);
    ck_assert_holds_what_it_shows(&c, "y", &s);
    cluster_close(&c);
}
END_TEST

START_TEST(the_value_shows_what_was_asked_for_and_what_was_not) {
    ck_assert_refused(&CLUSTER, "policy=PreferDualStack ip=10.97.0.1 ports=80", NULL,
                      "FieldValueInvalid spec.clusterIPs: Invalid value: [\"10.97.0.1\",\"\"]: "
                      "failed to allocate IP 10.97.0.1: the provided IP (10.97.0.1) is not in the "
                      "valid range. The range of valid IPs is 10.96.0.0/24");
}
END_TEST

/* Upgraded at once after its creation: the second address is held as soon as it is shown. */
START_TEST(an_upgraded_address_cannot_be_taken_by_another) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    char line[256] = "families=IPv6 ports=80 ip=";
    ck_assert_status(cluster_create(&c, "x", "ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_update(&c, "x", &s, "policy=PreferDualStack ports=80", &s),
                     IPALLOC_OK);
    strcat(line, s.service.cluster_ips[1]);
    ck_assert_status(cluster_create(&c, "y", line, NULL), IPALLOC_E_TAKEN);
    ck_assert_str_eq(c.problems.items[0].holder, "Service/default/x/uid");
    cluster_close(&c);
}
END_TEST

/* One spelling: no second Service gets the address in other text. */
START_TEST(an_address_in_other_text_is_the_same_address) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    ck_assert_status(cluster_create(&c, "x", "ip=FD00:10:96::9A ports=80", NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "y", "ip=fd00:10:96::9a ports=80", NULL), IPALLOC_E_TAKEN);
    ck_assert_status(cluster_create(&c, "y", "ip=fd00:0010:0096::009a ports=80", NULL),
                     IPALLOC_E_TAKEN);
    cluster_close(&c);
}
END_TEST

START_TEST(the_slot_names_the_family) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    ck_assert_status(cluster_create(&c, "x", "policy=PreferDualStack ports=80", NULL), IPALLOC_OK);
    ipalloc_lease lease = {.size = sizeof lease};
    ipalloc_addr four = addr("10.96.0.1"), six = addr("fd00:10:96::1");
    ck_assert_status(ipalloc_lookup(c.registry, c.pools.cluster_ips[0], &four, &lease, NULL),
                     IPALLOC_OK);
    ck_assert_str_eq(lease.slots[0], "clusterIP/IPv4");
    ck_assert_status(ipalloc_lookup(c.registry, c.pools.cluster_ips[1], &six, &lease, NULL),
                     IPALLOC_OK);
    ck_assert_str_eq(lease.slots[0], "clusterIP/IPv6");
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cluster_ips");
    TCase *tc = tcase_create("cluster_ips");
    tcase_add_loop_test(tc, every_pair_of_types_by_put, 0, KIND_COUNT * KIND_COUNT);
    tcase_add_loop_test(tc, every_pair_of_types_by_patch, 0, KIND_COUNT * KIND_COUNT);
    tcase_add_test(tc, a_refused_second_family_leaves_nothing_of_the_first);
    tcase_add_test(tc, a_full_family_leaks_nothing_of_the_other);
    tcase_add_test(tc, the_value_shows_what_was_asked_for_and_what_was_not);
    tcase_add_test(tc, an_upgraded_address_cannot_be_taken_by_another);
    tcase_add_test(tc, an_address_in_other_text_is_the_same_address);
    tcase_add_test(tc, the_slot_names_the_family);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
