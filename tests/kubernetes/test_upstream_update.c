/*
 * test_upstream_update.c: kube-apiserver's own update cases, stated as facts.
 *
 * What pkg/registry/core/service/storage/storage_test.go of Kubernetes 1.36 expects of an update:
 * TestUpdateIPsFromSingleStack and TestUpdateIPsFromDualStack (182 cases), then
 * TestUpdatePatchAllocatedValues, TestFeatureType, TestFeaturePorts, TestFeatureClusterIPs and
 * TestFeatureExternalTrafficPolicy. Inputs and outcomes are theirs, the tables and the code are
 * ours. All agree. Upstream's four rows without an externalTrafficPolicy on NodePort and
 * LoadBalancer are left out: they skip the defaulting that every request passes.
 */
#include "service_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPSTREAM_IPV4 "10.0.0.0/16"
#define UPSTREAM_IPV6 "2000::/108"

static const cluster_shape SHAPES[] = {
    {.cluster_ips = {UPSTREAM_IPV4}},
    {.cluster_ips = {UPSTREAM_IPV4, UPSTREAM_IPV6}},
    {.cluster_ips = {UPSTREAM_IPV6, UPSTREAM_IPV4}},
};
enum { SHAPE_4, SHAPE_46, SHAPE_64 };

/* --- single-stack and dual-stack: the matrix ----------------------------------------------------
 *
 * A row is a Service as it was and what the update's policy is. Its nine outcomes are those of
 * ipFamilies {left out, the first, both} x clusterIPs {left out, the first, both}: the number of
 * families after it, or "-" for a refusal. */

#define SINGLE_4 "policy=SingleStack ip=10.0.0.1 ips=10.0.0.1"
#define SINGLE_6 "policy=SingleStack ip=2000::1 ips=2000::1"
#define DUAL_46  "policy=RequireDualStack ip=10.0.0.1 ips=10.0.0.1,2000::1"
#define DUAL_64  "policy=RequireDualStack ip=2000::1 ips=2000::1,10.0.0.1"

#define UP_NO     "1 1 - 1 1 - - - -"
#define UP_ALWAYS "2 2 2 2 2 2 2 2 2"
#define KEEP_DUAL "2 - 2 - - - 2 - 2"
#define DOWN      "1 1 1 1 1 1 1 1 1"

static const struct {
    int shape;
    const char *before, *policy, *outcome;
} MATRIX[] = {
    {SHAPE_46, SINGLE_4, "", UP_NO},
    {SHAPE_46, SINGLE_4, "SingleStack", UP_NO},
    {SHAPE_46, SINGLE_4, "PreferDualStack", UP_ALWAYS},
    {SHAPE_46, SINGLE_4, "RequireDualStack", UP_ALWAYS},
    {SHAPE_64, SINGLE_6, "", UP_NO},
    {SHAPE_64, SINGLE_6, "SingleStack", UP_NO},
    {SHAPE_64, SINGLE_6, "PreferDualStack", UP_ALWAYS},
    {SHAPE_64, SINGLE_6, "RequireDualStack", UP_ALWAYS},
    {SHAPE_46, DUAL_46, "", KEEP_DUAL},
    {SHAPE_46, DUAL_46, "SingleStack", DOWN},
    {SHAPE_46, DUAL_46, "PreferDualStack", KEEP_DUAL},
    {SHAPE_46, DUAL_46, "RequireDualStack", KEEP_DUAL},
    {SHAPE_64, DUAL_64, "", KEEP_DUAL},
    {SHAPE_64, DUAL_64, "SingleStack", DOWN},
    {SHAPE_64, DUAL_64, "PreferDualStack", KEEP_DUAL},
    {SHAPE_64, DUAL_64, "RequireDualStack", KEEP_DUAL},
};
enum { MATRIX_COUNT = sizeof MATRIX / sizeof MATRIX[0] };

/* What a family and an address list is in each cluster: nothing, the first, both. */
static const char *const FAMILIES[][3] = {
    [SHAPE_46] = {"", " families=IPv4", " families=IPv4,IPv6"},
    [SHAPE_64] = {"", " families=IPv6", " families=IPv6,IPv4"},
};
static const char *const IPS[][3] = {
    [SHAPE_46] = {"", " ip=10.0.0.1 ips=10.0.0.1", " ip=10.0.0.1 ips=10.0.0.1,2000::1"},
    [SHAPE_64] = {"", " ip=2000::1 ips=2000::1", " ip=2000::1 ips=2000::1,10.0.0.1"},
};

/* Addresses that stay are the same ones in the same place, and each is of its family. */
static void check_kept(const test_service *before, const test_service *after) {
    const ipalloc_service *old = &before->service, *now = &after->service;
    ck_assert_str_eq(now->cluster_ip, now->cluster_ips[0]);
    ck_assert_str_eq(now->cluster_ip, old->cluster_ip);
    for (size_t i = 0; i < old->cluster_ip_count && i < now->cluster_ip_count; i++)
        ck_assert_str_eq(now->cluster_ips[i], old->cluster_ips[i]);
    if (strcmp(now->cluster_ip, "None") == 0)
        return;
    ck_assert_uint_eq(now->cluster_ip_count, now->ip_family_count);
    for (size_t i = 0; i < now->cluster_ip_count; i++)
        ck_assert_int_eq(addr(now->cluster_ips[i]).family, now->ip_families[i][3] - '0');
}

/* Create `before`, update it to `update`: a number of families, or "-" for a refusal that leaves
 * all as it was. */
static void check_case(cluster *c, const char *before, const char *update, const char *expected) {
    test_service old, now;
    ck_assert_status_error(cluster_create(c, "foo", before, &old), IPALLOC_OK, &c->error);
    int status = cluster_update(c, "foo", &old, update, &now);
    if (strcmp(expected, "-") == 0) {
        ck_assert_msg(status != IPALLOC_OK, "%s -> %s is not refused", before, update);
        ck_assert_holds_what_it_shows(c, "foo", &old);
    } else {
        ck_assert_msg(status == IPALLOC_OK, "%s -> %s: %s", before, update, c->error.message);
        ck_assert_msg(now.service.ip_family_count == strtoul(expected, NULL, 10),
                      "%s -> %s has %zu families", before, update, now.service.ip_family_count);
        check_kept(&old, &now);
        ck_assert_holds_what_it_shows(c, "foo", &now);
    }
    ck_assert_status(cluster_delete(c, "foo"), IPALLOC_OK);
    ck_assert_holds_what_it_shows(c, "foo", NULL);
}

static void write_update(char line[256], const char *policy, const char *families,
                         const char *ips) {
    snprintf(line, 256, "type=ClusterIP ports=93%s%s%s%s", policy[0] != '\0' ? " policy=" : "",
             policy, families, ips);
}

START_TEST(an_update_has_as_many_families_as_kubernetes_gives) {
    cluster c;
    int shape = MATRIX[_i].shape;
    char before[256], cells[64], *rest = NULL;
    cluster_open(&c, &SHAPES[shape]);
    snprintf(before, sizeof before, "type=ClusterIP ports=93 %s", MATRIX[_i].before);
    snprintf(cells, sizeof cells, "%s", MATRIX[_i].outcome);
    char *cell = strtok_r(cells, " ", &rest);
    for (int i = 0; i < 9; i++) {
        char update[256];
        write_update(update, MATRIX[_i].policy, FAMILIES[shape][i / 3], IPS[shape][i % 3]);
        ck_assert_ptr_nonnull(cell);
        check_case(&c, before, update, cell);
        cell = strtok_r(NULL, " ", &rest);
    }
    cluster_close(&c);
}
END_TEST

/* --- the other cases of the 182 ------------------------------------------------------------------
 */

#define NONE_1 "policy=SingleStack ip=None ips=None"
#define NONE_2 "policy=RequireDualStack ip=None ips=None"

static const struct {
    int shape;
    const char *before, *update, *outcome;
} SINGLE_CASES[] = {
    {SHAPE_4, "policy=SingleStack", "policy=SingleStack", "1"},
    {SHAPE_4, "policy=SingleStack", "policy=RequireDualStack families=IPv4,IPv6", "-"},
    {SHAPE_4, "policy=SingleStack", "policy=RequireDualStack", "-"},
    {SHAPE_4, "policy=SingleStack", "families=IPv4,IPv6", "-"},
    /* the wrong order */
    {SHAPE_46, SINGLE_4, "policy=RequireDualStack families=IPv6,IPv4", "-"},
    {SHAPE_46, SINGLE_4, "policy=RequireDualStack ip=2000::1 ips=2000::1,10.0.0.1", "-"},
    {SHAPE_64, SINGLE_6, "policy=RequireDualStack families=IPv4,IPv6", "-"},
    {SHAPE_64, SINGLE_6, "policy=RequireDualStack ip=10.0.0.1 ips=10.0.0.1,2000::1", "-"},
    {SHAPE_46, DUAL_46, "policy=SingleStack families=IPv6", "-"},
    {SHAPE_46, DUAL_46, "policy=SingleStack ip=2000::1 ips=2000::1", "-"},
    {SHAPE_64, DUAL_64, "policy=SingleStack families=IPv4", "-"},
    {SHAPE_64, DUAL_64, "policy=SingleStack ip=10.0.0.1 ips=10.0.0.1", "-"},
    /* headless */
    {SHAPE_46, NONE_1, "", "1"},
    {SHAPE_46, NONE_1, "families=IPv4", "1"},
    {SHAPE_46, NONE_1, "families=IPv4,IPv6", "-"},
    {SHAPE_46, NONE_1, "policy=SingleStack", "1"},
    {SHAPE_46, NONE_1, "policy=SingleStack families=IPv4", "1"},
    {SHAPE_46, NONE_1, "policy=SingleStack families=IPv4,IPv6", "-"},
    {SHAPE_46, NONE_1, "policy=PreferDualStack", "2"},
    {SHAPE_46, NONE_1, "policy=PreferDualStack families=IPv4", "2"},
    {SHAPE_46, NONE_1, "policy=PreferDualStack families=IPv4,IPv6", "2"},
    {SHAPE_46, NONE_1, "policy=RequireDualStack", "2"},
    {SHAPE_46, NONE_1, "policy=RequireDualStack families=IPv4", "2"},
    {SHAPE_46, NONE_1, "policy=RequireDualStack families=IPv4,IPv6", "2"},
    {SHAPE_46, NONE_2, "", "2"},
    {SHAPE_46, NONE_2, "families=IPv4", "-"},
    {SHAPE_46, NONE_2, "families=IPv4,IPv6", "2"},
    {SHAPE_46, NONE_2, "policy=SingleStack", "1"},
    {SHAPE_46, NONE_2, "policy=SingleStack families=IPv4", "1"},
    {SHAPE_46, NONE_2, "policy=SingleStack families=IPv4,IPv6", "1"},
    {SHAPE_46, NONE_2, "policy=PreferDualStack", "2"},
    {SHAPE_46, NONE_2, "policy=PreferDualStack families=IPv4", "-"},
    {SHAPE_46, NONE_2, "policy=PreferDualStack families=IPv4,IPv6", "2"},
    {SHAPE_46, NONE_2, "policy=RequireDualStack", "2"},
    {SHAPE_46, NONE_2, "policy=RequireDualStack families=IPv4", "-"},
    {SHAPE_46, NONE_2, "policy=RequireDualStack families=IPv4,IPv6", "2"},
};
enum { SINGLE_CASE_COUNT = sizeof SINGLE_CASES / sizeof SINGLE_CASES[0] };
/* and two where the second address is in use: see the test below */
_Static_assert(MATRIX_COUNT * 9 + SINGLE_CASE_COUNT + 2 == 182, "upstream has 182 cases");

START_TEST(an_update_of_families_ends_as_in_kubernetes) {
    cluster c;
    char before[256], update[256];
    cluster_open(&c, &SHAPES[SINGLE_CASES[_i].shape]);
    snprintf(before, sizeof before, "type=ClusterIP ports=93 %s", SINGLE_CASES[_i].before);
    snprintf(update, sizeof update, "type=ClusterIP ports=93 %s", SINGLE_CASES[_i].update);
    check_case(&c, before, update, SINGLE_CASES[_i].outcome);
    cluster_close(&c);
}
END_TEST

static const struct {
    int shape;
    const char *before, *other, *update;
} IN_USE[] = {
    {SHAPE_46, SINGLE_4, "ip=2000::1",
     "policy=RequireDualStack families=IPv4,IPv6 ip=10.0.0.1 ips=10.0.0.1,2000::1"},
    {SHAPE_64, SINGLE_6, "ip=10.0.0.1",
     "policy=RequireDualStack families=IPv4,IPv6 ip=2000::1 ips=2000::1,10.0.0.1"},
};

START_TEST(a_second_address_that_is_in_use_is_refused) {
    cluster c;
    char line[256];
    cluster_open(&c, &SHAPES[IN_USE[_i].shape]);
    snprintf(line, sizeof line, "ports=93 %s", IN_USE[_i].other);
    ck_assert_status(cluster_create(&c, "other", line, NULL), IPALLOC_OK);
    char before[256], update[256];
    snprintf(before, sizeof before, "ports=93 %s", IN_USE[_i].before);
    snprintf(update, sizeof update, "ports=93 %s", IN_USE[_i].update);
    check_case(&c, before, update, "-");
    cluster_close(&c);
}
END_TEST

/* --- what an update leaves out stays
 * --------------------------------------------------------------
 */

#define LB    "type=LoadBalancer etp=Local "
#define PORTS "ports=p:867/TCP>30093,q:5309/TCP>30076"

/* Of the outcome: the addresses, the node ports in order ("!30076": any but that), the health-check
 * port. */
static const struct {
    const char *before, *update;
    const char *ips, *node_ports, *health_check; /* NULL: refused */
} PATCHED[] = {
    {LB "ip=10.0.0.1 ips=10.0.0.1 ports=93>30093 hc=30118", LB "ports=93", "10.0.0.1", "30093",
     "30118"},
    {LB "policy=PreferDualStack ip=10.0.0.1 ips=10.0.0.1,2000::1 hc=30118 " PORTS,
     LB "ports=p:867/TCP,q:5309/TCP", "10.0.0.1 2000::1", "30093 30076", "30118"},
    {LB "policy=PreferDualStack ip=10.0.0.1 ips=10.0.0.1,2000::1 hc=30118 " PORTS,
     LB "ip=10.0.0.1 ips=10.0.0.1 ports=93", NULL, NULL, NULL},
    {LB "hc=30118 " PORTS, LB "ports=p:867/TCP>30093,q:5309/TCP", "10.0.0.1", "30093 30076",
     "30118"},
    {LB "hc=30118 " PORTS, LB "ports=q:5309/TCP,p:867/TCP", "10.0.0.1", "30076 30093", "30118"},
    {LB "hc=30118 " PORTS, LB "hc=30118 ports=p:867/TCP>30076,q:5309/TCP", "10.0.0.1",
     "30076 !30076", "30118"},
    {LB "hc=30118 " PORTS, LB "ports=p:867/TCP>30076,q:5309/TCP>30118", NULL, NULL, NULL},
    {LB "hc=30118 " PORTS, LB "ports=p:867/TCP>30118,q:5309/TCP", NULL, NULL, NULL},
    {LB "hc=30118 " PORTS, LB "hc=30111 " PORTS, NULL, NULL, NULL},
};

static void check_node_ports(const test_service *s, const char *expected) {
    char cells[64], *rest = NULL;
    size_t index = 0;
    snprintf(cells, sizeof cells, "%s", expected);
    for (char *cell = strtok_r(cells, " ", &rest); cell != NULL;
         cell = strtok_r(NULL, " ", &rest)) {
        int32_t got = s->ports[index++].node_port;
        if (cell[0] == '!')
            ck_assert_int_ne(got, (int)strtol(cell + 1, NULL, 10));
        else
            ck_assert_int_eq(got, (int)strtol(cell, NULL, 10));
    }
    ck_assert_uint_eq(index, s->service.port_count);
}

START_TEST(what_an_update_leaves_out_is_carried_over) {
    cluster c;
    test_service old, now;
    cluster_open(&c, &SHAPES[SHAPE_46]);
    ck_assert_status_error(cluster_create(&c, "foo", PATCHED[_i].before, &old), IPALLOC_OK,
                           &c.error);
    int status = cluster_update(&c, "foo", &old, PATCHED[_i].update, &now);
    if (PATCHED[_i].ips == NULL) {
        ck_assert_int_ne(status, IPALLOC_OK);
        ck_assert_holds_what_it_shows(&c, "foo", &old);
    } else {
        char ips[128] = "";
        ck_assert_status_error(status, IPALLOC_OK, &c.error);
        for (size_t i = 0; i < now.service.cluster_ip_count; i++) {
            strcat(ips, i > 0 ? " " : "");
            strcat(ips, now.service.cluster_ips[i]);
        }
        ck_assert_str_eq(ips, PATCHED[_i].ips);
        check_node_ports(&now, PATCHED[_i].node_ports);
        ck_assert_int_eq(now.service.health_check_node_port,
                         (int)strtol(PATCHED[_i].health_check, NULL, 10));
        ck_assert_holds_what_it_shows(&c, "foo", &now);
    }
    cluster_close(&c);
}
END_TEST

/* --- types, ports, addresses, traffic policies
 * ---------------------------------------------------- */

#define P80  "p:80/TCP"
#define Q443 "q:443/TCP"
#define EN   "type=ExternalName"
#define CI   "type=ClusterIP ports=93"
#define NP   "type=NodePort ports=93"
#define LBT  "type=LoadBalancer ports=93"
#define HL   "type=ClusterIP ip=None ips=None ports=93"

/* `has` is what the Service holds after the update: i (addresses), n (node ports of all ports), h
 * (a health-check port), - (nothing); NULL: refused. */
static const struct {
    const char *before, *update, *has;
} CASES[] = {
    /* TestFeatureType */
    {EN, CI, "i"},
    {CI, EN, "-"},
    {EN, NP, "in"},
    {NP, EN, "-"},
    {EN, LBT, "in"},
    {LBT, EN, "-"},
    {CI, NP, "in"},
    {NP, CI, "i"},
    {CI, LBT, "in"},
    {LBT, CI, "i"},
    {NP, LBT, "in"},
    {LBT, NP, "in"},
    {HL, EN, "-"},
    {EN, HL, "-"},
    {HL, NP, NULL},
    {NP, HL, NULL},
    {HL, LBT, NULL},
    {LBT, HL, NULL},
    /* TestFeatureClusterIPs; an address alone, as by a client that knows no list */
    {CI, HL, NULL},
    {HL, CI " ip=10.0.0.93", NULL},
    {CI " ip=10.0.0.93", CI " ip=10.0.0.76", NULL},
    {CI " policy=PreferDualStack ip=10.0.0.93 ips=10.0.0.93,2000::93",
     CI " policy=PreferDualStack ip=10.0.0.76 ips=10.0.0.76,2000::76", NULL},
    /* TestFeaturePorts */
    {"type=ClusterIP ports=" P80, "type=ClusterIP ports=" P80 "," Q443, "i"},
    {"type=ClusterIP ports=" P80, "type=NodePort ports=" P80 "," Q443, "in"},
    {"type=NodePort ports=" P80, "type=ClusterIP ports=" P80 "," Q443, "i"},
    {"type=ClusterIP ports=" P80 "," Q443, "type=ClusterIP ports=" P80, "i"},
    {"type=ClusterIP ports=" P80 "," Q443, "type=NodePort ports=" P80, "in"},
    {"type=NodePort ports=" P80 "," Q443, "type=ClusterIP ports=" P80, "i"},
    {"type=NodePort ports=" P80 "," Q443, "type=NodePort ports=" Q443 "," P80, "in"},
    {"type=NodePort ports=" P80 "," Q443, "type=NodePort ports=p:8080/TCP,q:8443/TCP", "in"},
    {"type=NodePort ports=" P80 "," Q443, "type=NodePort ports=p:80/UDP,q:443/UDP", "in"},
    {"type=NodePort ports=" P80 "," Q443, "type=NodePort ports=r:53/TCP,s:53/UDP", "in"},
    {"type=NodePort ports=p:53/TCP", "type=NodePort ports=p:53/TCP,q:53/UDP", "in"},
    {"type=NodePort ports=" P80 "," Q443, "type=NodePort", NULL},
    /* TestFeatureExternalTrafficPolicy */
    {CI, CI " etp=Cluster", NULL},
    {NP " etp=Cluster", NP " etp=Local", "in"},
    {NP " etp=Local", NP " etp=Cluster", "in"},
    {LBT " etp=Cluster", LBT " etp=Local", "inh"},
    {LBT " etp=Cluster", LBT " etp=Local hc=30010", "inh"},
    {LBT " etp=Local", LBT " etp=Cluster", "in"},
    {LBT " etp=Local hc=30010", LBT " etp=Cluster", "in"},
    {LBT " etp=Local hc=30010", LBT " etp=Local hc=30001", NULL},
    {LBT " etp=Local", LBT " etp=Invalid", NULL},
};

static bool has_all_node_ports(const test_service *s) {
    for (size_t i = 0; i < s->service.port_count; i++)
        if (s->ports[i].node_port == 0)
            return false;
    return s->service.port_count > 0;
}

static const char *what_it_has(const test_service *s) {
    static char out[8];
    bool addresses = s->service.cluster_ip_count > 0 && strcmp(s->service.cluster_ip, "None") != 0;
    snprintf(out, sizeof out, "%s%s%s", addresses ? "i" : "", has_all_node_ports(s) ? "n" : "",
             s->service.health_check_node_port != 0 ? "h" : "");
    return out[0] != '\0' ? out : "-";
}

START_TEST(an_update_ends_with_what_kubernetes_allocates) {
    cluster c;
    test_service old, now;
    cluster_open(&c, &SHAPES[SHAPE_46]);
    ck_assert_status_error(cluster_create(&c, "foo", CASES[_i].before, &old), IPALLOC_OK, &c.error);
    int status = cluster_update(&c, "foo", &old, CASES[_i].update, &now);
    if (CASES[_i].has == NULL) {
        ck_assert_msg(status != IPALLOC_OK, "%s -> %s", CASES[_i].before, CASES[_i].update);
        ck_assert_holds_what_it_shows(&c, "foo", &old);
    } else {
        ck_assert_msg(status == IPALLOC_OK, "%s -> %s: %s", CASES[_i].before, CASES[_i].update,
                      c.error.message);
        ck_assert_str_eq(what_it_has(&now), CASES[_i].has);
        ck_assert_holds_what_it_shows(&c, "foo", &now);
    }
    cluster_close(&c);
}
END_TEST

/* TestFeatureExternalTrafficPolicy: creates that are refused. */
static const char *const REFUSED[] = {
    EN " hc=30000",
    EN " etp=Cluster",
    EN " etp=Cluster hc=30000",
    EN " etp=Local",
    EN " etp=Local hc=30000",
    CI " hc=30000",
    CI " etp=Cluster",
    CI " etp=Cluster hc=30000",
    CI " etp=Local",
    CI " etp=Local hc=30000",
    NP " etp=Cluster hc=30000",
    NP " etp=Local hc=30000",
    LBT " etp=Cluster hc=30000",
    LBT " etp=Local hc=-1",
};

START_TEST(a_traffic_policy_or_health_check_port_of_another_type_is_refused) {
    cluster c;
    cluster_open(&c, &SHAPES[SHAPE_46]);
    ck_assert_msg(cluster_create(&c, "foo", REFUSED[_i], NULL) != IPALLOC_OK, "%s", REFUSED[_i]);
    ck_assert_str_eq(cluster_holdings(&c, "foo"), "");
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("upstream_update");
    TCase *tc = tcase_create("upstream_update");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, an_update_has_as_many_families_as_kubernetes_gives, 0, MATRIX_COUNT);
    tcase_add_loop_test(tc, an_update_of_families_ends_as_in_kubernetes, 0, SINGLE_CASE_COUNT);
    tcase_add_loop_test(tc, a_second_address_that_is_in_use_is_refused, 0, LENGTH(IN_USE));
    tcase_add_loop_test(tc, what_an_update_leaves_out_is_carried_over, 0, LENGTH(PATCHED));
    tcase_add_loop_test(tc, an_update_ends_with_what_kubernetes_allocates, 0, LENGTH(CASES));
    tcase_add_loop_test(tc, a_traffic_policy_or_health_check_port_of_another_type_is_refused, 0,
                        LENGTH(REFUSED));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
