/*
 * test_upstream_create.c: kube-apiserver's own create cases, stated as facts.
 *
 * What pkg/registry/core/service/storage/storage_test.go of Kubernetes 1.36 expects of a create:
 * TestCreateInitIPFields (520 cases: four clusters x what clusterIPs, ipFamilyPolicy and ipFamilies
 * say), TestCreateInvalidClusterIPInputs and TestCreateInitNodePorts. Inputs and outcomes are
 * theirs, the tables and the code are ours. All agree; where we say more, the row says so.
 */
#include "service_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPSTREAM_IPV4 "10.0.0.0/16"
#define UPSTREAM_IPV6 "2000::/108"

static const cluster_shape SHAPES[] = {
    {.cluster_ips = {UPSTREAM_IPV4}},
    {.cluster_ips = {UPSTREAM_IPV6}},
    {.cluster_ips = {UPSTREAM_IPV4, UPSTREAM_IPV6}},
    {.cluster_ips = {UPSTREAM_IPV6, UPSTREAM_IPV4}},
};
enum { SHAPE_4, SHAPE_6, SHAPE_46, SHAPE_64 };

/* --- 520 cases of families and policies --------------------------------------------------------
 *
 * A row is one cluster and what clusterIPs says; its four texts are the policies (none, Single,
 * Prefer, Require), each with what comes of ipFamilies being left out, 4, 6, 46 and 64: the
 * families of the Service, or "-" for a refusal. */

static const char *const POLICIES[] = {"", "SingleStack", "PreferDualStack", "RequireDualStack"};
static const char *const FAMILIES[] = {"", "IPv4", "IPv6", "IPv4,IPv6", "IPv6,IPv4"};
enum { POLICY_COUNT = 4, FAMILIES_COUNT = 5 };

#define NO_IPS   ""
#define IP_4     "ip=10.0.0.1 ips=10.0.0.1"
#define IP_6     "ip=2000::1 ips=2000::1"
#define IP_46    "ip=10.0.0.1 ips=10.0.0.1,2000::1"
#define IP_64    "ip=2000::1 ips=2000::1,10.0.0.1"
#define HEADLESS "ip=None ips=None"
#define FREE     "ip=None ips=None selector=no" /* headless without a selector */

#define REFUSED "- - - - -"

static const struct {
    int shape;
    const char *ips;
    const char *outcome[POLICY_COUNT];
} ROWS[] = {
    {SHAPE_4, NO_IPS, {"4 4 - - -", "4 4 - - -", "4 4 - - -", REFUSED}},
    {SHAPE_4, IP_4, {"4 4 - - -", "4 4 - - -", "4 4 - - -", REFUSED}},
    {SHAPE_4, IP_46, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {SHAPE_4, IP_64, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {SHAPE_4, HEADLESS, {"4 4 - - -", "4 4 - - -", "4 4 - - -", REFUSED}},
    {SHAPE_4, FREE, {"46 46 64 46 64", "4 4 6 - -", "46 46 64 46 64", "46 46 64 46 64"}},

    {SHAPE_6, NO_IPS, {"6 - 6 - -", "6 - 6 - -", "6 - 6 - -", REFUSED}},
    {SHAPE_6, IP_6, {"6 - 6 - -", "6 - 6 - -", "6 - 6 - -", REFUSED}},
    {SHAPE_6, IP_46, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {SHAPE_6, IP_64, {REFUSED, REFUSED, REFUSED, REFUSED}},
    {SHAPE_6, HEADLESS, {"6 - 6 - -", "6 - 6 - -", "6 - 6 - -", REFUSED}},
    {SHAPE_6, FREE, {"64 46 64 46 64", "6 4 6 - -", "64 46 64 46 64", "64 46 64 46 64"}},

    {SHAPE_46, NO_IPS, {"4 4 6 - -", "4 4 6 - -", "46 46 64 46 64", "46 46 64 46 64"}},
    {SHAPE_46, IP_4, {"4 4 - - -", "4 4 - - -", "46 46 - 46 -", "46 46 - 46 -"}},
    {SHAPE_46, IP_6, {"6 - 6 - -", "6 - 6 - -", "64 - 64 - 64", "64 - 64 - 64"}},
    {SHAPE_46, IP_46, {REFUSED, REFUSED, "46 46 - 46 -", "46 46 - 46 -"}},
    {SHAPE_46, IP_64, {REFUSED, REFUSED, "64 - 64 - 64", "64 - 64 - 64"}},
    {SHAPE_46, HEADLESS, {"4 4 6 - -", "4 4 6 - -", "46 46 64 46 64", "46 46 64 46 64"}},
    {SHAPE_46, FREE, {"46 46 64 46 64", "4 4 6 - -", "46 46 64 46 64", "46 46 64 46 64"}},

    {SHAPE_64, NO_IPS, {"6 4 6 - -", "6 4 6 - -", "64 46 64 46 64", "64 46 64 46 64"}},
    {SHAPE_64, IP_4, {"4 4 - - -", "4 4 - - -", "46 46 - 46 -", "46 46 - 46 -"}},
    {SHAPE_64, IP_6, {"6 - 6 - -", "6 - 6 - -", "64 - 64 - 64", "64 - 64 - 64"}},
    {SHAPE_64, IP_46, {REFUSED, REFUSED, "46 46 - 46 -", "46 46 - 46 -"}},
    {SHAPE_64, IP_64, {REFUSED, REFUSED, "64 - 64 - 64", "64 - 64 - 64"}},
    {SHAPE_64, HEADLESS, {"6 4 6 - -", "6 4 6 - -", "64 46 64 46 64", "64 46 64 46 64"}},
    {SHAPE_64, FREE, {"64 46 64 46 64", "6 4 6 - -", "64 46 64 46 64", "64 46 64 46 64"}},
};
enum { ROW_COUNT = sizeof ROWS / sizeof ROWS[0] };
_Static_assert(ROW_COUNT *POLICY_COUNT *FAMILIES_COUNT == 520, "upstream has 520 cases");

static const char *families_of(const test_service *s) {
    static char out[IPALLOC_SERVICE_LIST_MAX + 1];
    for (size_t i = 0; i < s->service.ip_family_count; i++)
        out[i] = s->service.ip_families[i][3];
    out[s->service.ip_family_count] = '\0';
    return out;
}

/* Upstream proves that each IP is allocated, is of its family, and that clusterIP is the first. */
static void check_addresses(cluster *c, const test_service *s, bool headless) {
    const ipalloc_service *service = &s->service;
    ck_assert_str_eq(service->cluster_ip, service->cluster_ips[0]);
    ck_assert_holds_what_it_shows(c, "foo", s);
    if (headless) {
        ck_assert_uint_eq(service->cluster_ip_count, 1);
        ck_assert_str_eq(service->cluster_ip, "None");
        return;
    }
    ck_assert_uint_eq(service->cluster_ip_count, service->ip_family_count);
    for (size_t i = 0; i < service->cluster_ip_count; i++)
        ck_assert_int_eq(addr(service->cluster_ips[i]).family, service->ip_families[i][3] - '0');
}

static void check_case(cluster *c, const char *ips, int policy, int families,
                       const char *expected) {
    char line[256];
    snprintf(line, sizeof line, "type=ClusterIP ports=93 %s%s%s%s%s", ips,
             POLICIES[policy][0] != '\0' ? " policy=" : "", POLICIES[policy],
             FAMILIES[families][0] != '\0' ? " families=" : "", FAMILIES[families]);
    test_service s;
    int status = cluster_create(c, "foo", line, &s);
    if (strcmp(expected, "-") == 0) {
        ck_assert_msg(status == IPALLOC_E_INVALID, "%s is not refused", line);
        ck_assert_uint_gt(c->problems.count, 0);
        ck_assert_str_eq(cluster_holdings(c, "foo"), "");
        return;
    }
    ck_assert_msg(status == IPALLOC_OK, "%s: %s", line, c->error.message);
    ck_assert_msg(strcmp(families_of(&s), expected) == 0, "%s gets %s, not %s", line,
                  families_of(&s), expected);
    const char *unset = strcmp(ips, FREE) == 0 ? "RequireDualStack" : "SingleStack";
    ck_assert_str_eq(s.service.ip_family_policy,
                     POLICIES[policy][0] != '\0' ? POLICIES[policy] : unset);
    check_addresses(c, &s, strstr(ips, "None") != NULL);
    ck_assert_status(cluster_delete(c, "foo"), IPALLOC_OK);
}

START_TEST(a_create_gets_the_families_and_the_policy_that_kubernetes_gives) {
    cluster c;
    cluster_open(&c, &SHAPES[ROWS[_i].shape]);
    for (int policy = 0; policy < POLICY_COUNT; policy++) {
        char cells[64], *rest = NULL;
        snprintf(cells, sizeof cells, "%s", ROWS[_i].outcome[policy]);
        char *cell = strtok_r(cells, " ", &rest);
        for (int families = 0; families < FAMILIES_COUNT; families++) {
            ck_assert_ptr_nonnull(cell);
            check_case(&c, ROWS[_i].ips, policy, families, cell);
            cell = strtok_r(NULL, " ", &rest);
        }
    }
    cluster_close(&c);
}
END_TEST

/* --- inputs that must be refused, with the words that must be in the refusal --------------------
 */

static const struct {
    int shape;
    const char *line;
    const char *words[2];
} INVALID[] = {
    {SHAPE_4, "policy=garbage", {"spec.ipFamilyPolicy: Unsupported value"}},
    {SHAPE_4, "policy=RequireDualStack", {"cluster is not configured for dual-stack"}},
    {SHAPE_4, "families=garbage", {"spec.ipFamilies[0]: Unsupported value"}},
    {SHAPE_4, "families=IPv4,garbage", {"spec.ipFamilies[1]: Unsupported value"}},
    {SHAPE_46, "families=IPv4,IPv6,garbage", {"spec.ipFamilies[2]: Unsupported value"}},
    {SHAPE_4, "families=IPv6", {"not configured on this cluster"}},
    {SHAPE_4, "families=IPv4,IPv6", {"when multiple IP families are specified"}},
    {SHAPE_4, "families=IPv4,IPv4", {"Duplicate value"}},
    {SHAPE_46, "families=IPv4,IPv6,IPv6", {"Duplicate value"}},
    {SHAPE_4, "ip=garbage ips=garbage", {"must be a valid IP"}},
    {SHAPE_4, "ip=2000::1 ips=2000::1", {"IPv6 is not configured on this cluster"}},
    {SHAPE_4, "ip=2000::1 ips=2000::1 families=IPv4", {"expected an IPv4 value as indicated"}},
    {SHAPE_4, "ip=10.0.0.1 ips=10.0.0.1,10.0.0.2", {"no more than one IP for each IP family"}},
    {SHAPE_46, "ip=10.0.0.1 ips=10.0.0.1,2000::1,10.0.0.2", {"only hold up to 2 values"}},
    {SHAPE_4, "ip=10.0.0.1 ips=10.0.0.1,10.0.0.1", {"no more than one IP for each IP family"}},
    {SHAPE_4, "ips=", {"must be empty when", "must be a valid IP"}},
    {SHAPE_4, "ip=10.0.0.1 ips=10.0.0.1,None", {"must be a valid IP"}},
};

START_TEST(a_bad_input_is_refused_with_the_words_of_kubernetes) {
    cluster c;
    char line[256];
    cluster_open(&c, &SHAPES[INVALID[_i].shape]);
    snprintf(line, sizeof line, "type=ClusterIP ports=93 %s", INVALID[_i].line);
    ck_assert_status(cluster_create(&c, "foo", line, NULL), IPALLOC_E_INVALID);
    for (int i = 0; i < 2 && INVALID[_i].words[i] != NULL; i++)
        ck_assert_msg(strstr(problems_text(&c), INVALID[_i].words[i]) != NULL, "%s: %s", line,
                      problems_text(&c));
    ck_assert_str_eq(cluster_holdings(&c, "foo"), "");
    cluster_close(&c);
}
END_TEST

/* --- node ports --------------------------------------------------------------------------------
 */

#define TWO_PORTS "p:80/TCP,q:443/TCP"
#define BOTH      "p:53/TCP,q:53/UDP"

static const struct {
    const char *line;
    const char *node_ports; /* of each port; "*" is any, "0" none; NULL: refused */
} NODE_PORTS[] = {
    {"type=ExternalName", ""},
    {"type=ClusterIP ports=93", "0"},
    {"type=ClusterIP ports=93>30093", NULL},
    {"type=NodePort ports=93", "*"},
    {"type=NodePort ports=93>30093", "30093"},
    {"type=NodePort ports=" TWO_PORTS, "* *"},
    {"type=NodePort ports=p:80/TCP>30080,q:443/TCP>30443", "30080 30443"},
    {"type=NodePort ports=p:80/TCP>30080,q:443/TCP>30080", NULL},
    {"type=NodePort ports=" BOTH, "* ="},
    {"type=NodePort ports=p:53/TCP>30053,q:53/UDP>30054", "30053 30054"},
    {"type=NodePort ports=p:53/TCP>30053,q:53/UDP>30053", "30053 30053"},
    {"type=NodePort ports=p:93/TCP>30093,q:76/UDP>30093", NULL},
    {"type=LoadBalancer alloc=no ports=93", "0"},
    {"type=LoadBalancer alloc=yes ports=93", "*"},
    {"type=LoadBalancer alloc=no ports=93>30093", "30093"},
    {"type=LoadBalancer alloc=yes ports=93>30093", "30093"},
    {"type=LoadBalancer alloc=no ports=" TWO_PORTS, "0 0"},
    {"type=LoadBalancer alloc=yes ports=" TWO_PORTS, "* *"},
    {"type=LoadBalancer alloc=no ports=p:80/TCP>30080,q:443/TCP>30443", "30080 30443"},
    {"type=LoadBalancer alloc=yes ports=p:80/TCP>30080,q:443/TCP>30443", "30080 30443"},
    {"type=LoadBalancer alloc=yes ports=p:80/TCP>30080,q:443/TCP>30080", NULL},
    {"type=LoadBalancer alloc=yes ports=" BOTH, "* ="},
    {"type=LoadBalancer alloc=yes ports=p:53/TCP>30053,q:53/UDP>30054", "30053 30054"},
    {"type=LoadBalancer alloc=yes ports=p:53/TCP>30053,q:53/UDP>30053", "30053 30053"},
    {"type=LoadBalancer alloc=yes ports=p:93/TCP>30093,q:76/UDP>30093", NULL},
};

/* "=": the same as the port before. */
static void check_node_port(const test_service *s, size_t index, const char *expected) {
    int32_t got = s->ports[index].node_port;
    if (strcmp(expected, "*") == 0)
        ck_assert_int_ge(got, 30000);
    else if (strcmp(expected, "=") == 0)
        ck_assert_int_eq(got, s->ports[index - 1].node_port);
    else
        ck_assert_int_eq(got, (int)strtol(expected, NULL, 10));
}

START_TEST(a_create_gets_the_node_ports_that_kubernetes_gives) {
    cluster c;
    test_service s;
    cluster_open(&c, &SHAPES[SHAPE_46]);
    int status = cluster_create(&c, "foo", NODE_PORTS[_i].line, &s);
    if (NODE_PORTS[_i].node_ports == NULL) {
        ck_assert_int_ne(status, IPALLOC_OK);
        ck_assert_str_eq(cluster_holdings(&c, "foo"), "");
    } else {
        char cells[64], *rest = NULL;
        ck_assert_msg(status == IPALLOC_OK, "%s: %s", NODE_PORTS[_i].line, c.error.message);
        snprintf(cells, sizeof cells, "%s", NODE_PORTS[_i].node_ports);
        size_t count = 0;
        for (char *cell = strtok_r(cells, " ", &rest); cell != NULL;
             cell = strtok_r(NULL, " ", &rest))
            check_node_port(&s, count++, cell);
        ck_assert_uint_eq(count, s.service.port_count);
        ck_assert_holds_what_it_shows(&c, "foo", &s);
    }
    cluster_close(&c);
}
END_TEST

/* Upstream's TestCreateDeleteReuse. */
static const char *const REUSED[] = {
    "type=NodePort families=IPv4 ports=93",
    "type=NodePort families=IPv6 ports=93",
    "type=NodePort families=IPv4,IPv6 policy=PreferDualStack ports=93",
};

START_TEST(what_a_deleted_service_had_can_be_asked_for_at_once) {
    cluster c;
    test_service first, second;
    cluster_open(&c, &SHAPES[SHAPE_46]);
    ck_assert_status(cluster_create(&c, "foo", REUSED[_i], &first), IPALLOC_OK);
    ck_assert_status(cluster_delete(&c, "foo"), IPALLOC_OK);
    service_copy(&second, &first);
    ck_assert_status_error(cluster_create_service(&c, "foo2", &second), IPALLOC_OK, &c.error);
    ck_assert_str_eq(service_write(&second), service_write(&first));
    ck_assert_holds_what_it_shows(&c, "foo2", &second);
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("upstream_create");
    TCase *tc = tcase_create("upstream_create");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_create_gets_the_families_and_the_policy_that_kubernetes_gives, 0,
                        ROW_COUNT);
    tcase_add_loop_test(tc, a_bad_input_is_refused_with_the_words_of_kubernetes, 0,
                        LENGTH(INVALID));
    tcase_add_loop_test(tc, a_create_gets_the_node_ports_that_kubernetes_gives, 0,
                        LENGTH(NODE_PORTS));
    tcase_add_loop_test(tc, what_a_deleted_service_had_can_be_asked_for_at_once, 0, LENGTH(REUSED));
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
