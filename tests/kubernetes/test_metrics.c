/*
 * test_metrics.c: OpenMetrics text under Kubernetes' names, as strict as its specification, and
 * true: against what Services hold, from the first scrape after a start.
 */
#include "openmetrics.h"
#include "service_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IPS   "kube_apiserver_clusterip_allocator_"
#define PORTS "kube_apiserver_nodeport_allocator_"
#define LB    "ipalloc_load_balancer_allocator_"

static const cluster_shape FULL_CLUSTER = {.cluster_ips = {"10.96.0.0/24", "fd00:10:96::/48"},
                                           .port_first = 30000,
                                           .port_last = 30009,
                                           .load_balancer = {"192.0.2.0/30", "2001:db8::/126"}};

/* Freed by the caller; NULL: nothing could be written. */
static char *scrape(cluster *c) {
    char problem[OPENMETRICS_PROBLEM];
    size_t length = ipalloc_service_metrics(c->registry, &c->pools, NULL, 0);
    char *text = malloc(length + 1);
    memset(text, 'x', length + 1);
    ck_assert_uint_eq(ipalloc_service_metrics(c->registry, &c->pools, text, length), length);
    ck_assert_int_eq(text[0], 'x'); /* no room for the NUL: nothing is written */
    ck_assert_uint_eq(ipalloc_service_metrics(c->registry, &c->pools, text, length + 1), length);
    ck_assert_uint_eq(strlen(text), length);
    ck_assert_msg(openmetrics_check(text, problem), "%s", problem);
    return text;
}

static void ck_assert_series(cluster *c, const char *series, const char *wanted) {
    char *text = scrape(c);
    const char *value = openmetrics_value(text, series);
    ck_assert_msg(value != NULL && strcmp(value, wanted) == 0, "%s is %s, not %s", series,
                  value != NULL ? value : "absent", wanted);
    free(text);
}

static void reopen(cluster *c) {
    ipalloc_pool *pools[5] = {c->pools.cluster_ips[0], c->pools.cluster_ips[1], c->pools.node_ports,
                              c->pools.load_balancer[0], c->pools.load_balancer[1]};
    char names[5][IPALLOC_POOL_NAME_MAX + 1];
    for (size_t i = 0; i < 5; i++)
        snprintf(names[i], sizeof names[i], "%s", ipalloc_pool_name(pools[i]));
    ipalloc_registry_close(c->registry);
    ck_assert_status_error(ipalloc_registry_open(c->store, NULL, &c->registry, &c->error),
                           IPALLOC_OK, &c->error);
    for (size_t i = 0; i < 5; i++)
        ck_assert_status(ipalloc_pool_open(c->registry, names[i], &pools[i], NULL), IPALLOC_OK);
    c->pools.cluster_ips[0] = pools[0];
    c->pools.cluster_ips[1] = pools[1];
    c->pools.node_ports = pools[2];
    c->pools.load_balancer[0] = pools[3];
    c->pools.load_balancer[1] = pools[4];
}

/* --- the names and labels --------------------------------------------------------------------- */

/* Every series that a fresh cluster shows, and its value. */
static const struct {
    const char *series, *value;
} FRESH[] = {
    {IPS "allocated_ips{cidr=\"10.96.0.0/24\"}", "0"},
    {IPS "allocated_ips{cidr=\"fd00:10:96::/48\"}", "0"},
    {IPS "available_ips{cidr=\"10.96.0.0/24\"}", "254"},
    {IPS "available_ips{cidr=\"fd00:10:96::/48\"}", "1208925819614629174706175"},
    {IPS "allocation_total{cidr=\"10.96.0.0/24\",scope=\"static\"}", "0"},
    {IPS "allocation_total{cidr=\"10.96.0.0/24\",scope=\"dynamic\"}", "0"},
    {IPS "allocation_errors_total{cidr=\"fd00:10:96::/48\",scope=\"static\"}", "0"},
    {IPS "allocation_errors_total{cidr=\"fd00:10:96::/48\",scope=\"dynamic\"}", "0"},
    {IPS "allocation_duration_seconds_bucket{cidr=\"10.96.0.0/24\",le=\"0.005\"}", "0"},
    {IPS "allocation_duration_seconds_bucket{cidr=\"10.96.0.0/24\",le=\"10.0\"}", "0"},
    {IPS "allocation_duration_seconds_bucket{cidr=\"10.96.0.0/24\",le=\"+Inf\"}", "0"},
    {IPS "allocation_duration_seconds_count{cidr=\"10.96.0.0/24\"}", "0"},
    {IPS "allocation_duration_seconds_sum{cidr=\"10.96.0.0/24\"}", "0.000"},
    {PORTS "allocated_ports", "0"},
    {PORTS "available_ports", "10"},
    {PORTS "allocation_total{scope=\"static\"}", "0"},
    {PORTS "allocation_total{scope=\"dynamic\"}", "0"},
    {PORTS "allocation_errors_total{scope=\"static\"}", "0"},
    {PORTS "allocation_errors_total{scope=\"dynamic\"}", "0"},
    {LB "available_ips{cidr=\"192.0.2.0/30\"}", NULL},
    {LB "allocated_ips{cidr=\"2001:db8::/126\"}", "0"},
    {LB "allocation_total{cidr=\"192.0.2.0/30\",scope=\"dynamic\"}", "0"},
    {LB "allocation_duration_seconds_count{cidr=\"192.0.2.0/30\"}", "0"},
};

START_TEST(every_series_is_there_from_the_first_scrape) {
    cluster c;
    cluster_open(&c, &FULL_CLUSTER);
    char *text = scrape(&c);
    for (size_t i = 0; i < sizeof FRESH / sizeof FRESH[0]; i++) {
        const char *value = openmetrics_value(text, FRESH[i].series);
        ck_assert_msg(value != NULL, "%s is absent", FRESH[i].series);
        if (FRESH[i].value != NULL)
            ck_assert_str_eq(value, FRESH[i].value);
    }
    ck_assert_ptr_null(strstr(text, "nodeport_allocator_allocation_duration"));
    free(text);
    cluster_close(&c);
}
END_TEST

/* The bounds in the text are those that the registry counts by. */
START_TEST(bounds_are_those_of_the_counters) {
    cluster c;
    cluster_open(&c, &FULL_CLUSTER);
    char *text = scrape(&c), *at = text;
    for (size_t i = 0; i < IPALLOC_DURATION_BUCKETS; i++) {
        at = strstr(at, "le=\"");
        ck_assert_ptr_nonnull(at);
        at += 4;
        uint64_t bound = ipalloc_duration_bound_ms(i);
        if (bound < UINT64_MAX)
            ck_assert_uint_eq((uint64_t)(strtod(at, NULL) * 1000 + 0.5), bound);
        else
            ck_assert_int_eq(strncmp(at, "+Inf\"", 5), 0);
    }
    free(text);
    cluster_close(&c);
}
END_TEST

START_TEST(pools_that_are_not_given_are_not_shown) {
    cluster c;
    cluster_open(&c, &FULL_CLUSTER);
    ipalloc_pool *v6 = c.pools.cluster_ips[1];
    c.pools.load_balancer[0] = c.pools.load_balancer[1] = c.pools.node_ports = NULL;
    c.pools.cluster_ips[1] = NULL;
    char *text = scrape(&c);
    ck_assert_ptr_null(strstr(text, PORTS));
    ck_assert_ptr_null(strstr(text, LB));
    ck_assert_ptr_null(strstr(text, "fd00"));
    ck_assert_ptr_nonnull(strstr(text, "10.96.0.0/24"));
    free(text);
    c.pools.cluster_ips[0] = c.pools.cluster_ips[1] = v6; /* once, though named twice */
    free(scrape(&c));
    c.pools.cluster_ips[0] = c.pools.cluster_ips[1] = NULL;
    text = scrape(&c);
    ck_assert_str_eq(text, "# EOF\n");
    free(text);
    cluster_close(&c);
}
END_TEST

/* Pools that only some Services draw from are shown beside the others, each once. */
START_TEST(more_load_balancer_pools_are_shown_too) {
    cluster c;
    cluster_open(&c, &FULL_CLUSTER);
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = 4,
                                          .ranges = (ipalloc_cidr[]){cidr("203.0.113.0/30")},
                                          .range_count = 1,
                                          .use_all_addresses = true};
    ipalloc_pool *second;
    ck_assert_status(ipalloc_pool_define(c.registry, "second", &definition, &second, NULL),
                     IPALLOC_OK);
    ipalloc_pool *more[] = {c.pools.load_balancer[0], second, NULL, second};
    c.pools.more_load_balancers = more;
    c.pools.more_load_balancer_count = 4;
    ck_assert_series(&c, LB "available_ips{cidr=\"203.0.113.0/30\"}", "4");
    ck_assert_series(&c, LB "available_ips{cidr=\"192.0.2.0/30\"}", "4");
    char *text = scrape(&c);
    const char *series = "\n" LB "available_ips{cidr=\"";
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, series)) != NULL; at++)
        count++;
    ck_assert_uint_eq(count, 3);
    free(text);
    more[2] = c.pools.node_ports; /* no addresses */
    ck_assert_uint_eq(ipalloc_service_metrics(c.registry, &c.pools, NULL, 0), 0);
    cluster_close(&c);
}
END_TEST

START_TEST(callers_mistakes_write_nothing) {
    cluster c, other;
    cluster_open(&c, &FULL_CLUSTER);
    cluster_open(&other, &FULL_CLUSTER);
    char out[8] = "untouch";
    ipalloc_service_pools small = {.size = 1}, swapped = c.pools;
    swapped.node_ports = c.pools.cluster_ips[0];
    ck_assert_uint_eq(ipalloc_service_metrics(NULL, &c.pools, out, sizeof out), 0);
    ck_assert_uint_eq(ipalloc_service_metrics(c.registry, NULL, out, sizeof out), 0);
    ck_assert_uint_eq(ipalloc_service_metrics(c.registry, &small, out, sizeof out), 0);
    ck_assert_uint_eq(ipalloc_service_metrics(c.registry, &other.pools, out, sizeof out), 0);
    ck_assert_uint_eq(ipalloc_service_metrics(c.registry, &swapped, out, sizeof out), 0);
    swapped = c.pools;
    swapped.load_balancer[0] = c.pools.node_ports;
    ck_assert_uint_eq(ipalloc_service_metrics(c.registry, &swapped, out, sizeof out), 0);
    ck_assert_str_eq(out, "untouch");
    cluster_close(&c);
    cluster_close(&other);
}
END_TEST

/* --- truth ------------------------------------------------------------------------------------ */

START_TEST(scope_tells_what_was_asked_for_from_what_was_picked) {
    cluster c;
    test_service s;
    cluster_open(&c, &FULL_CLUSTER);
    ck_assert_status(cluster_create(&c, "a", "ip=10.96.0.7 ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "type=NodePort ports=x:80/TCP>30001,y:81/TCP", &s),
                     IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "c", "ip=10.96.0.7 ports=80", &s), IPALLOC_E_TAKEN);
    ck_assert_status(cluster_create(&c, "d", "type=NodePort ports=80/TCP>30001", &s),
                     IPALLOC_E_TAKEN);
    ck_assert_series(&c, IPS "allocation_total{cidr=\"10.96.0.0/24\",scope=\"static\"}", "1");
    ck_assert_series(&c, IPS "allocation_total{cidr=\"10.96.0.0/24\",scope=\"dynamic\"}", "1");
    ck_assert_series(&c, IPS "allocation_errors_total{cidr=\"10.96.0.0/24\",scope=\"static\"}",
                     "1");
    ck_assert_series(&c, IPS "allocation_duration_seconds_count{cidr=\"10.96.0.0/24\"}", "2");
    ck_assert_series(&c, PORTS "allocation_total{scope=\"static\"}", "1");
    ck_assert_series(&c, PORTS "allocation_total{scope=\"dynamic\"}", "1");
    ck_assert_series(&c, PORTS "allocation_errors_total{scope=\"static\"}", "1");
    ck_assert_series(&c, IPS "allocated_ips{cidr=\"10.96.0.0/24\"}", "2");
    cluster_close(&c);
}
END_TEST

/* How many leases of the pool lie in the CIDR: by the store's records. */
typedef struct census {
    ipalloc_cidr cidr; /* family 0: ports */
    uint64_t count;
} census;

static int count_lease(void *context, const ipalloc_lease *lease) {
    census *of = context;
    of->count += of->cidr.base.family == 0 || ipalloc_cidr_contains(&of->cidr, &lease->address);
    return 0;
}

static void ck_assert_gauges_are_true(cluster *c, ipalloc_pool *pool, const char *prefix) {
    ipalloc_pool_range range = {.size = sizeof range};
    for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, NULL) == IPALLOC_OK; i++) {
        char cidr_text[IPALLOC_CIDR_TEXT], series[256], wanted[32];
        bool ports = range.cidr.base.family == 0;
        census of = {.cidr = range.cidr};
        ck_assert_status(ipalloc_list(c->registry, pool, count_lease, &of, NULL), IPALLOC_OK);
        ipalloc_cidr_format(&range.cidr, cidr_text);
        snprintf(series, sizeof series,
                 ports ? "%sallocated_ports" : "%sallocated_ips{cidr=\"%s\"}", prefix, cidr_text);
        snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)of.count);
        ck_assert_series(c, series, wanted);
    }
}

static void ck_assert_all_gauges_are_true(cluster *c) {
    for (size_t i = 0; i < 2; i++) {
        ck_assert_gauges_are_true(c, c->pools.cluster_ips[i], IPS);
        ck_assert_gauges_are_true(c, c->pools.load_balancer[i], LB);
    }
    ck_assert_gauges_are_true(c, c->pools.node_ports, PORTS);
}

START_TEST(gauges_are_what_the_store_holds_before_and_after_a_restart) {
    cluster c;
    test_service s;
    cluster_open(&c, &FULL_CLUSTER);
    ck_assert_status(cluster_create(&c, "a", "policy=PreferDualStack ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "type=LoadBalancer ports=x:80,y:81", &s), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "c", "ip=10.96.0.9 ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "d", "ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_delete(&c, "d"), IPALLOC_OK);
    ck_assert_all_gauges_are_true(&c);
    ck_assert_series(&c, IPS "allocated_ips{cidr=\"10.96.0.0/24\"}", "3");
    ck_assert_series(&c, PORTS "allocated_ports", "2");
    reopen(&c);
    ck_assert_all_gauges_are_true(&c);
    ck_assert_series(&c, IPS "allocated_ips{cidr=\"10.96.0.0/24\"}", "3");
    ck_assert_series(&c, IPS "available_ips{cidr=\"10.96.0.0/24\"}", "251");
    ck_assert_series(&c, PORTS "allocated_ports", "2");
    ck_assert_series(&c, PORTS "available_ports", "8");
    ck_assert_series(&c, IPS "allocation_total{cidr=\"10.96.0.0/24\",scope=\"dynamic\"}", "0");
    cluster_close(&c);
}
END_TEST

START_TEST(each_range_of_a_family_has_its_own_cidr_and_nothing_is_counted_twice) {
    cluster c;
    test_service s;
    cluster_open(&c, &FULL_CLUSTER);
    ck_assert_status(cluster_create(&c, "a", "ip=10.96.0.15 ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "ip=10.96.0.200 ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "c", "ip=10.96.0.3 ports=80", &s), IPALLOC_OK);
    ipalloc_pool_range_spec specs[] = {{.cidr = cidr("10.96.0.0/28")},
                                       {.cidr = cidr("10.97.0.0/16")},
                                       {.cidr = cidr("10.96.0.128/25"), .draining = true}};
    ck_assert_status_error(ipalloc_pool_set_ranges(c.pools.cluster_ips[0], specs, 3, &c.error),
                           IPALLOC_OK, &c.error);
    for (int opened = 0; opened < 2; opened++) {
        ck_assert_series(&c, IPS "allocated_ips{cidr=\"10.96.0.0/28\"}", "1");
        ck_assert_series(&c, IPS "available_ips{cidr=\"10.96.0.0/28\"}", "13");
        ck_assert_series(&c, IPS "allocated_ips{cidr=\"10.96.0.15/32\"}", "1");
        ck_assert_series(&c, IPS "allocated_ips{cidr=\"10.96.0.128/25\"}", "1");
        ck_assert_series(&c, IPS "available_ips{cidr=\"10.96.0.128/25\"}", "0"); /* it drains */
        ck_assert_series(&c, IPS "available_ips{cidr=\"10.97.0.0/16\"}", "65534");
        reopen(&c);
    }
    cluster_close(&c);
}
END_TEST

/* --- repair ----------------------------------------------------------------------------------- */

/* Records that list addresses: one object per owner. */
typedef struct listing {
    size_t count;
    ipalloc_live_claim claims[4];
    int status; /* of the list */
} listing;

static bool record_of(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]) {
    (void)context;
    snprintf(key, IPALLOC_RECORD_KEY_MAX + 1, "objects/%s", owner);
    return true;
}

static int list_claims(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    const listing *l = context;
    int status = l->status;
    for (size_t i = 0; status == IPALLOC_OK && i < l->count; i++)
        status = ipalloc_live_add(list, &l->claims[i], error);
    return status;
}

static int put_object(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    return ipalloc_txn_put(txn, context, "x", 1, IPALLOC_REVISION_ANY, error);
}

static void list_one(cluster *c, listing *l, const char *owner, ipalloc_pool *pool,
                     const char *address) {
    char key[IPALLOC_RECORD_KEY_MAX + 1];
    ipalloc_live_claim *claim = &l->claims[l->count++];
    record_of(NULL, owner, key);
    *claim = (ipalloc_live_claim){.size = sizeof *claim,
                                  .owner = owner,
                                  .pool = ipalloc_pool_name(pool),
                                  .address = addr(address),
                                  .slot = "clusterIP/IPv4"};
    ck_assert_status(
        ipalloc_transact(c->registry, NULL, put_object, key, &claim->record_revision, NULL),
        IPALLOC_OK);
}

/* Report until `ripe` lines may be applied, and apply all. */
static size_t repair(cluster *c, listing *l, size_t ripe) {
    ipalloc_live_set live = {
        .size = sizeof live, .context = l, .record_of = record_of, .list = list_claims};
    ipalloc_repair_options options = {.size = sizeof options, .grace_ms = 1};
    ipalloc_repair_summary summary = {.size = sizeof summary};
    ipalloc_repair_report *report;
    size_t reports = 0;
    for (;;) {
        ck_assert_status_error(ipalloc_repair(c->registry, &live, &options, &report, &c->error),
                               IPALLOC_OK, &c->error);
        reports++;
        ck_assert_status(ipalloc_repair_report_summary(report, &summary, NULL), IPALLOC_OK);
        if (summary.ripe >= ripe)
            break;
        ipalloc_repair_report_free(report);
    }
    for (size_t i = 0; i < summary.lines; i++) {
        ipalloc_repair_line line = {.size = sizeof line};
        ipalloc_error result;
        ck_assert_status(ipalloc_repair_report_line(report, i, &line, NULL), IPALLOC_OK);
        for (int again = 0; again < 2 && line.ripe; again++) /* the second changes nothing */
            ck_assert_status(ipalloc_repair_apply(c->registry, &options, &line, 1, &result, NULL),
                             IPALLOC_OK);
    }
    ipalloc_repair_report_free(report);
    return reports;
}

START_TEST(repairs_are_counted_once_and_findings_each_time) {
    cluster c;
    test_service s;
    listing l = {.count = 0};
    cluster_open(&c, &FULL_CLUSTER);
    ipalloc_pool *pool = c.pools.cluster_ips[0];
    ck_assert_status(cluster_create(&c, "leak", "ip=10.96.0.7 ports=80", &s), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "held", "ip=10.96.0.8 ports=80", &s), IPALLOC_OK);
    list_one(&c, &l, "Service/default/held/uid", pool, "10.96.0.8");
    list_one(&c, &l, "Service/default/missing/uid", pool, "10.96.0.9");
    list_one(&c, &l, "Service/default/twice/uid", pool, "10.96.0.8");
    list_one(&c, &l, "Service/default/far/uid", pool, "10.200.0.1");
    char reports[32];
    snprintf(reports, sizeof reports, "%zu", repair(&c, &l, 2));
#define REPAIR "apiserver_clusterip_repair_"
    ck_assert_series(&c, REPAIR "ip_errors_total{type=\"leak\"}", "1");
    ck_assert_series(&c, REPAIR "ip_errors_total{type=\"repair\"}", "1");
    ck_assert_series(&c, REPAIR "ip_errors_total{type=\"duplicate\"}", reports);
    ck_assert_series(&c, REPAIR "ip_errors_total{type=\"outOfRange\"}", reports);
    ck_assert_series(&c, REPAIR "reconcile_errors_total", "0");
    ck_assert_series(&c, "apiserver_nodeport_repair_port_errors_total{type=\"leak\"}", "0");
    ck_assert_series(&c, IPS "allocation_total{cidr=\"10.96.0.0/24\",scope=\"static\"}", "3");
    l.status = IPALLOC_E_IO;
    ipalloc_live_set live = {
        .size = sizeof live, .context = &l, .record_of = record_of, .list = list_claims};
    ipalloc_repair_report *report;
    ck_assert_status(ipalloc_repair(c.registry, &live, NULL, &report, NULL), IPALLOC_E_IO);
    ck_assert_series(&c, REPAIR "reconcile_errors_total", "1");
    ck_assert_series(&c, "apiserver_nodeport_repair_reconcile_errors_total", "1");
    cluster_close(&c);
}
END_TEST

/* --- the checker can fail --------------------------------------------------------------------- */

#define HEAD    "# TYPE a gauge\n# HELP a Text.\n"
#define COUNTER "# TYPE a counter\n# HELP a Text.\n"
#define BUCKETS "# TYPE a histogram\n# HELP a Text.\na_bucket{le=\"0.5\"} 1\n"

static const struct {
    const char *text;
    bool fine;
} TEXTS[] = {
    {"# EOF\n", true},
    {HEAD "a 1\n# EOF\n", true},
    {HEAD "a{x=\"1\",y=\"a\\\"b\\n\"} 1.5\na{x=\"2\"} 0\n# EOF\n", true},
    {COUNTER "a_total 1\n# EOF\n", true},
    {BUCKETS "a_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 0.250\n# EOF\n", true},
    {"# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds T\na_seconds 1\n# EOF\n",
     true},
    {"", false},
    {"# EOF", false},
    {HEAD "a 1\n", false},
    {HEAD "a 1\n# EOF\n# EOF\n", false},
    {HEAD "a 1\n# EOF\na 2\n", false},
    {HEAD "a 1\n\n# EOF\n", false},
    {HEAD "a 1\r\n# EOF\n", false},
    {"a 1\n# EOF\n", false},
    {"# HELP a Text.\na 1\n# EOF\n", false},
    {"# TYPE a gauge\na 1\n# EOF\n", false},
    {"# TYPE a gauge\n# TYPE a gauge\n# EOF\n", false},
    {"# TYPE a speed\n# EOF\n", false},
    {"# a comment\n# EOF\n", false},
    {HEAD "a 1\n" HEAD "a{x=\"1\"} 1\n# EOF\n", false},
    {HEAD "# TYPE b gauge\n# HELP b T\nb 1\n# TYPE a gauge\n# EOF\n", false},
    {HEAD "a 1\na 2\n# EOF\n", false},
    {HEAD "a{x=\"1\",} 1\n# EOF\n", false},
    {HEAD "a{x=\"1\",x=\"2\"} 1\n# EOF\n", false},
    {HEAD "a{x=1} 1\n# EOF\n", false},
    {HEAD "a{x=\"\\t\"} 1\n# EOF\n", false},
    {HEAD "a{x=\"1\"}  1\n# EOF\n", false},
    {HEAD "a one\n# EOF\n", false},
    {HEAD "a 1 1234\n# EOF\n", false},
    {HEAD "a_total 1\n# EOF\n", false},
    {HEAD "a{le=\"1.0\"} 1\n# EOF\n", false},
    {COUNTER "a 1\n# EOF\n", false},
    {COUNTER "a_total -1\n# EOF\n", false},
    {"# TYPE a_total counter\n# HELP a_total T\na_total_total 1\n# EOF\n", false},
    {"# TYPE a gauge\n# UNIT a seconds\n# HELP a T\na 1\n# EOF\n", false},
    {BUCKETS "a_count 1\na_sum 1\n# EOF\n", false},
    {BUCKETS "a_bucket{le=\"+Inf\"} 2\na_sum 1\n# EOF\n", false},
    {BUCKETS "a_bucket{le=\"+Inf\"} 2\na_count 2\n# EOF\n", false},
    {BUCKETS "a_bucket{le=\"+Inf\"} 2\na_count 3\na_sum 1\n# EOF\n", false},
    {BUCKETS "a_bucket{le=\"+Inf\"} 0\na_count 0\na_sum 1\n# EOF\n", false},
    {BUCKETS "a_bucket{le=\"0.25\"} 1\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 1\n# EOF\n",
     false},
    {BUCKETS "a_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 1\n# EOF\n", false},
    {BUCKETS "a_bucket{le=\"0.60\"} 1\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 1\n# EOF\n",
     false},
    {BUCKETS "a_bucket{x=\"1\",le=\"+Inf\"} 2\na_count 2\na_sum 1\n# EOF\n", false},
    {BUCKETS "a_bucket 2\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 1\n# EOF\n", false},
};

START_TEST(the_checker_is_strict) {
    char problem[OPENMETRICS_PROBLEM] = "";
    ck_assert_msg(openmetrics_check(TEXTS[_i].text, problem) == TEXTS[_i].fine, "%s: %s",
                  TEXTS[_i].text, problem);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("metrics");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 30);
    tcase_add_test(c, every_series_is_there_from_the_first_scrape);
    tcase_add_test(c, bounds_are_those_of_the_counters);
    tcase_add_test(c, pools_that_are_not_given_are_not_shown);
    tcase_add_test(c, more_load_balancer_pools_are_shown_too);
    tcase_add_test(c, callers_mistakes_write_nothing);
    tcase_add_test(c, scope_tells_what_was_asked_for_from_what_was_picked);
    tcase_add_test(c, gauges_are_what_the_store_holds_before_and_after_a_restart);
    tcase_add_test(c, each_range_of_a_family_has_its_own_cidr_and_nothing_is_counted_twice);
    tcase_add_test(c, repairs_are_counted_once_and_findings_each_time);
    tcase_add_loop_test(c, the_checker_is_strict, 0, (int)(sizeof TEXTS / sizeof TEXTS[0]));
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
