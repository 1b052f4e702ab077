/*
 * test_families.c: which families a Service gets: all cluster shapes x policies x families x IPs.
 */
#include "service_support.h"

#include <stdio.h>
#include <string.h>

static const cluster_shape SHAPES[] = {
    {.cluster_ips = {IPV4_CIDR}},
    {.cluster_ips = {IPV6_CIDR}},
    {.cluster_ips = {IPV4_CIDR, IPV6_CIDR}},
    {.cluster_ips = {IPV6_CIDR, IPV4_CIDR}},
};
enum { SHAPE_4, SHAPE_6, SHAPE_46, SHAPE_64, SHAPE_COUNT };

/* --- known rows ------------------------------------------------------------------------------- */

static const struct {
    int shape;
    const char *line, *expected;
} ROWS[] = {
    {SHAPE_4, "ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP"},
    {SHAPE_6, "ports=80",
     "type=ClusterIP ip=fd00:10:96::1 ips=fd00:10:96::1 families=IPv6 policy=SingleStack "
     "ports=80/TCP"},
    {SHAPE_46, "ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP"},
    {SHAPE_64, "ports=80",
     "type=ClusterIP ip=fd00:10:96::1 ips=fd00:10:96::1 families=IPv6 policy=SingleStack "
     "ports=80/TCP"},
    {SHAPE_4, "policy=PreferDualStack ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=PreferDualStack ports=80/TCP"},
    {SHAPE_46, "policy=PreferDualStack ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=PreferDualStack ports=80/TCP"},
    {SHAPE_64, "policy=RequireDualStack ports=80",
     "type=ClusterIP ip=fd00:10:96::1 ips=fd00:10:96::1,10.96.0.1 families=IPv6,IPv4 "
     "policy=RequireDualStack ports=80/TCP"},
    {SHAPE_46, "families=IPv6 policy=PreferDualStack ports=80",
     "type=ClusterIP ip=fd00:10:96::1 ips=fd00:10:96::1,10.96.0.1 families=IPv6,IPv4 "
     "policy=PreferDualStack ports=80/TCP"},
    {SHAPE_46, "ip=fd00:10:96::9 ports=80",
     "type=ClusterIP ip=fd00:10:96::9 ips=fd00:10:96::9 families=IPv6 policy=SingleStack "
     "ports=80/TCP"},
    {SHAPE_46, "ip=fd00:10:96::9 policy=RequireDualStack ports=80",
     "type=ClusterIP ip=fd00:10:96::9 ips=fd00:10:96::9,10.96.0.1 families=IPv6,IPv4 "
     "policy=RequireDualStack ports=80/TCP"},
    {SHAPE_46, "ip=10.96.0.9 ips=10.96.0.9,fd00:10:96::9 policy=PreferDualStack ports=80",
     "type=ClusterIP ip=10.96.0.9 ips=10.96.0.9,fd00:10:96::9 families=IPv4,IPv6 "
     "policy=PreferDualStack ports=80/TCP"},
    {SHAPE_4, "ip=None ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4 policy=SingleStack ports=80/TCP"},
    {SHAPE_46, "ip=None policy=PreferDualStack ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4,IPv6 policy=PreferDualStack ports=80/TCP"},
    {SHAPE_4, "ip=None selector=no ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4,IPv6 policy=RequireDualStack ports=80/TCP "
     "selector=no"},
    {SHAPE_4, "ip=None selector=no families=IPv6 policy=SingleStack ports=80",
     "type=ClusterIP ip=None ips=None families=IPv6 policy=SingleStack ports=80/TCP selector=no"},
    {SHAPE_6, "ip=None selector=no families=IPv4 ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4,IPv6 policy=RequireDualStack ports=80/TCP "
     "selector=no"},
    {SHAPE_64, "ip=None selector=no policy=SingleStack ports=80",
     "type=ClusterIP ip=None ips=None families=IPv6 policy=SingleStack ports=80/TCP selector=no"},
    {SHAPE_4, "type=ExternalName", "type=ExternalName"},
};

START_TEST(a_service_gets_these_families) {
    ck_assert_becomes(&SHAPES[ROWS[_i].shape], ROWS[_i].line, NULL, ROWS[_i].expected);
}
END_TEST

/* --- the matrix ------------------------------------------------------------------------------- */

/* The rule once more, over strings of '4' and '6', so that the two can disagree. */
typedef struct expectation {
    bool refused;
    char families[3];
} expectation;

static const char *const SHAPE_FAMILIES[SHAPE_COUNT] = {"4", "6", "46", "64"};
static const char *const POLICIES[] = {"", "SingleStack", "PreferDualStack", "RequireDualStack"};
static const char *const FAMILY_LISTS[] = {"", "4", "6", "46", "64"};
enum { POLICY_COUNT = 4, LIST_COUNT = 5 };

static expectation expect(const char *available, const char *policy, const char *families,
                          const char *ips) {
    expectation e = {.refused = true};
    bool single = policy[0] == '\0' || policy[0] == 'S', require = policy[0] == 'R';
    size_t both = strlen(families) < strlen(ips) ? strlen(families) : strlen(ips);
    const char *longer = strlen(families) > strlen(ips) ? families : ips;
    if (strncmp(families, ips, both) != 0)
        return e;
    if (single && longer[0] != '\0' && longer[1] != '\0')
        return e;
    if (require && available[1] == '\0')
        return e;
    for (const char *f = longer; *f != '\0'; f++)
        if (strchr(available, *f) == NULL)
            return e;
    e.refused = false;
    e.families[0] = longer[0] != '\0' ? longer[0] : available[0];
    if (longer[0] != '\0' && longer[1] != '\0')
        e.families[1] = longer[1];
    else if (!single && available[1] != '\0')
        e.families[1] = e.families[0] == '4' ? '6' : '4';
    return e;
}

static void add_families(char *line, const char *families) {
    for (const char *f = families; *f != '\0'; f++) {
        strcat(line, f == families ? " families=" : ",");
        strcat(line, *f == '4' ? "IPv4" : "IPv6");
    }
}

static void add_ips(char *line, const char *ips) {
    for (const char *f = ips; *f != '\0'; f++) {
        strcat(line, f == ips ? " ips=" : ",");
        strcat(line, *f == '4' ? "10.96.0.9" : "fd00:10:96::9");
    }
    if (ips[0] != '\0')
        strcat(line, ips[0] == '4' ? " ip=10.96.0.9" : " ip=fd00:10:96::9");
}

static void families_of(const test_service *s, char out[IPALLOC_SERVICE_LIST_MAX + 1]) {
    for (size_t i = 0; i < s->service.ip_family_count; i++)
        out[i] = s->service.ip_families[i][3];
    out[s->service.ip_family_count] = '\0';
}

static void check_addresses(const test_service *s, const char *ips) {
    const ipalloc_service *service = &s->service;
    ck_assert_uint_eq(service->cluster_ip_count, service->ip_family_count);
    ck_assert_str_eq(service->cluster_ip, service->cluster_ips[0]);
    for (size_t i = 0; i < service->cluster_ip_count; i++) {
        ipalloc_addr address = addr(service->cluster_ips[i]);
        bool asked_for = i < strlen(ips);
        ck_assert_int_eq(address.family, service->ip_families[i][3] - '0');
        ck_assert_str_eq(service->cluster_ips[i],
                         address.family == 4 ? (asked_for ? "10.96.0.9" : "10.96.0.1")
                                             : (asked_for ? "fd00:10:96::9" : "fd00:10:96::1"));
    }
}

static void check_combination(cluster *c, int shape, const char *policy, const char *families,
                              const char *ips) {
    expectation e = expect(SHAPE_FAMILIES[shape], policy, families, ips);
    char line[512] = "ports=80", got[IPALLOC_SERVICE_LIST_MAX + 1];
    if (policy[0] != '\0') {
        strcat(line, " policy=");
        strcat(line, policy);
    }
    add_families(line, families);
    add_ips(line, ips);
    test_service s;
    int status = cluster_create(c, "x", line, &s);
    if (e.refused) {
        ck_assert_msg(status == IPALLOC_E_INVALID, "%s on %s is not refused", line,
                      SHAPE_FAMILIES[shape]);
        ck_assert_uint_gt(c->problems.count, 0);
        ck_assert_str_eq(cluster_holdings(c, "x"), "");
        return;
    }
    ck_assert_msg(status == IPALLOC_OK, "%s on %s: %s", line, SHAPE_FAMILIES[shape],
                  c->error.message);
    families_of(&s, got);
    ck_assert_msg(strcmp(got, e.families) == 0, "%s on %s gets %s, expected %s", line,
                  SHAPE_FAMILIES[shape], got, e.families);
    ck_assert_str_eq(s.service.ip_family_policy, policy[0] != '\0' ? policy : "SingleStack");
    check_addresses(&s, ips);
    ck_assert_holds_what_it_shows(c, "x", &s);
    ck_assert_status(cluster_delete(c, "x"), IPALLOC_OK);
}

START_TEST(every_shape_policy_families_and_addresses) {
    cluster c;
    cluster_open(&c, &SHAPES[_i]);
    for (int p = 0; p < POLICY_COUNT; p++)
        for (int f = 0; f < LIST_COUNT; f++)
            for (int a = 0; a < LIST_COUNT; a++)
                check_combination(&c, _i, POLICIES[p], FAMILY_LISTS[f], FAMILY_LISTS[a]);
    cluster_close(&c);
}
END_TEST

/* --- updates ---------------------------------------------------------------------------------- */

static const struct {
    int shape;
    const char *line, *update, *expected;
} UPDATES[] = {
    /* single to dual, by policy alone, with the second address asked for, by families */
    {SHAPE_46, "ports=80", "policy=PreferDualStack ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=PreferDualStack ports=80/TCP"},
    {SHAPE_46, "ports=80",
     "policy=RequireDualStack ip=10.96.0.1 ips=10.96.0.1,FD00:10:96::00AA ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::aa families=IPv4,IPv6 "
     "policy=RequireDualStack ports=80/TCP"},
    {SHAPE_64, "ports=80", "policy=RequireDualStack families=IPv6,IPv4 ports=80",
     "type=ClusterIP ip=fd00:10:96::1 ips=fd00:10:96::1,10.96.0.1 families=IPv6,IPv4 "
     "policy=RequireDualStack ports=80/TCP"},
    /* dual to single: by policy alone, by lists and policy */
    {SHAPE_46, "policy=RequireDualStack ports=80", "policy=SingleStack ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP"},
    {SHAPE_46, "policy=RequireDualStack ports=80",
     "policy=SingleStack ip=10.96.0.1 ips=10.96.0.1 families=IPv4 ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1 families=IPv4 policy=SingleStack ports=80/TCP"},
    /* what is left out stays */
    {SHAPE_46, "policy=RequireDualStack ports=80", "ports=81",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=RequireDualStack ports=81/TCP"},
    /* prefer to require and back needs nothing new */
    {SHAPE_46, "policy=PreferDualStack ports=80", "policy=RequireDualStack ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=RequireDualStack ports=80/TCP"},
    /* out of ExternalName, straight to dual-stack */
    {SHAPE_46, "type=ExternalName", "type=ClusterIP policy=PreferDualStack ports=80",
     "type=ClusterIP ip=10.96.0.1 ips=10.96.0.1,fd00:10:96::1 families=IPv4,IPv6 "
     "policy=PreferDualStack ports=80/TCP"},
    {SHAPE_46, "ip=None policy=PreferDualStack ports=80", "policy=SingleStack ports=80",
     "type=ClusterIP ip=None ips=None families=IPv4 policy=SingleStack ports=80/TCP"},
};

START_TEST(an_update_moves_between_single_and_dual_stack) {
    ck_assert_becomes(&SHAPES[UPDATES[_i].shape], UPDATES[_i].line, UPDATES[_i].update,
                      UPDATES[_i].expected);
}
END_TEST

static const struct {
    int shape;
    const char *line, *update, *problems;
} REFUSED[] = {
    {SHAPE_46, "ports=80", "families=IPv6 ports=80",
     "FieldValueInvalid spec.clusterIPs[0]: Invalid value: \"10.96.0.1\": expected an IPv6 value "
     "as indicated by `ipFamilies[0]`"},
    {SHAPE_46, "ports=80", "families=IPv6,IPv4 policy=RequireDualStack ports=80",
     "FieldValueInvalid spec.clusterIPs[0]: Invalid value: \"10.96.0.1\": expected an IPv6 value "
     "as indicated by `ipFamilies[0]`"},
    {SHAPE_46, "policy=RequireDualStack ports=80",
     "policy=RequireDualStack ip=fd00:10:96::1 ips=fd00:10:96::1,10.96.0.1 families=IPv6,IPv4 "
     "ports=80",
     "FieldValueInvalid spec.clusterIPs[0]: Invalid value: [\"fd00:10:96::1\",\"10.96.0.1\"]: may "
     "not change once set | FieldValueInvalid spec.clusterIPs[1]: Invalid value: "
     "[\"fd00:10:96::1\",\"10.96.0.1\"]: may not change once set | FieldValueInvalid "
     "spec.ipFamilies[0]: Invalid value: [\"IPv6\",\"IPv4\"]: may not change once set | "
     "FieldValueInvalid spec.ipFamilies[0]: Invalid value: [\"IPv6\",\"IPv4\"]: may not change "
     "once set"},
    {SHAPE_46, "policy=RequireDualStack ports=80",
     "policy=SingleStack ip=fd00:10:96::1 ips=fd00:10:96::1 families=IPv6 ports=80",
     "FieldValueInvalid spec.clusterIPs[0]: Invalid value: [\"fd00:10:96::1\"]: may not change "
     "once set | FieldValueInvalid spec.ipFamilies[0]: Invalid value: [\"fd00:10:96::1\"]: may "
     "not change once set"},
    {SHAPE_4, "ports=80", "policy=RequireDualStack ports=80",
     "FieldValueInvalid spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is "
     "not configured for dual-stack services"},
};

START_TEST(an_update_may_not_change_families) {
    ck_assert_refused(&SHAPES[REFUSED[_i].shape], REFUSED[_i].line, REFUSED[_i].update,
                      REFUSED[_i].problems);
}
END_TEST

/* The cluster got its second family after the Service was made. */
static void check_after_cluster_grew(const char *policy, const char *update, bool with_families,
                                     const char *expected) {
    cluster c;
    cluster_open(&c, &SHAPES[SHAPE_46]);
    ipalloc_pool *second = c.pools.cluster_ips[1];
    char line[128];
    snprintf(line, sizeof line, "policy=%s ports=80", policy);
    test_service old, s;
    c.pools.cluster_ips[1] = NULL;
    ck_assert_status_error(cluster_create(&c, "x", line, &old), IPALLOC_OK, &c.error);
    c.pools.cluster_ips[1] = second;
    service_read(update, "x", &s);
    if (with_families) {
        s.service.ip_family_count = 1;
        strcpy(s.service.ip_families[0], "IPv4");
    }
    ck_assert_status_error(cluster_update_service(&c, "x", &old, &s), IPALLOC_OK, &c.error);
    ck_assert_str_eq(service_shows(&s), expected);
    ck_assert_holds_what_it_shows(&c, "x", &s);
    cluster_close(&c);
}

START_TEST(a_service_that_prefers_dual_stack_is_not_upgraded_by_the_way) {
    check_after_cluster_grew("PreferDualStack", "policy=PreferDualStack ports=81", true,
                             "10.96.0.1");
    check_after_cluster_grew("PreferDualStack", "policy=RequireDualStack ports=80", true,
                             "10.96.0.1 fd00:10:96::1");
    check_after_cluster_grew("SingleStack", "ports=81", false, "10.96.0.1");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("families");
    TCase *tc = tcase_create("families");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_service_gets_these_families, 0, LENGTH(ROWS));
    tcase_add_loop_test(tc, every_shape_policy_families_and_addresses, 0, SHAPE_COUNT);
    tcase_add_loop_test(tc, an_update_moves_between_single_and_dual_stack, 0, LENGTH(UPDATES));
    tcase_add_loop_test(tc, an_update_may_not_change_families, 0, LENGTH(REFUSED));
    tcase_add_test(tc, a_service_that_prefers_dual_stack_is_not_upgraded_by_the_way);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
