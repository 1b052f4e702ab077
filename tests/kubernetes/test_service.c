/*
 * test_service.c: the three calls: what they refuse to read, what a failure leaves, dry-run,
 * delete.
 */
#include "service_support.h"

#include <string.h>

static const cluster_shape CLUSTER = {.cluster_ips = {IPV4_CIDR, IPV6_CIDR},
                                      .load_balancer = {"192.0.2.0/29", "2001:db8::/120"}};

static const char EVERYTHING[] = "type=LoadBalancer policy=RequireDualStack etp=Local "
                                 "ports=a:80,b:53/TCP,c:53/UDP";

/* --- what a call leaves behind ---------------------------------------------------------------- */

START_TEST(a_service_gets_all_it_needs_in_one_transaction) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    ck_assert_status_error(cluster_create(&c, "x", EVERYTHING, &s), IPALLOC_OK, &c.error);
    ck_assert_str_eq(cluster_used(&c), "ip=1 ip2=1 ports=3 lb4=1 lb6=1");
    ck_assert_holds_what_it_shows(&c, "x", &s);
    ck_assert_status(cluster_delete(&c, "x"), IPALLOC_OK);
    ck_assert_str_eq(cluster_used(&c), "ip=0 ip2=0 ports=0 lb4=0 lb6=0");
    ck_assert_status(cluster_delete(&c, "x"), IPALLOC_OK); /* again is fine */
    cluster_close(&c);
}
END_TEST

/* Each fails at a later step than the one before; the last when everything else is claimed. */
static const char *const FAILING[] = {
    "ip=garbage ports=80",
    "type=LoadBalancer policy=RequireDualStack ip=10.96.0.9 ports=80",
    "type=LoadBalancer policy=RequireDualStack etp=Local ports=a:80,b:81>30080",
    "type=LoadBalancer policy=RequireDualStack etp=Local hc=30080 ports=80",
    "type=LoadBalancer policy=RequireDualStack etp=Local lb=192.0.2.5 ports=80",
};

static void take_what_they_want(cluster *c) {
    ck_assert_status_error(
        cluster_create(c, "other", "type=LoadBalancer ip=10.96.0.9 lb=192.0.2.5 ports=80>30080",
                       NULL),
        IPALLOC_OK, &c->error);
}

START_TEST(a_failed_create_leaves_nothing) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    take_what_they_want(&c);
    const char *used = cluster_used(&c);
    test_service s;
    ck_assert_int_ne(cluster_create(&c, "x", FAILING[_i], &s), IPALLOC_OK);
    ck_assert_str_eq(cluster_used(&c), used);
    ck_assert_str_eq(cluster_holdings(&c, "x"), "");
    cluster_close(&c);
}
END_TEST

START_TEST(a_failed_update_changes_nothing) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    take_what_they_want(&c);
    test_service old;
    ck_assert_status(cluster_create(&c, "x", "type=NodePort ports=z:99", &old), IPALLOC_OK);
    const char *used = cluster_used(&c);
    /* to the one that asks for a taken cluster IP, a change of it is refusal enough */
    ck_assert_int_ne(cluster_update(&c, "x", &old, FAILING[_i], NULL), IPALLOC_OK);
    ck_assert_str_eq(cluster_used(&c), used);
    ck_assert_holds_what_it_shows(&c, "x", &old);
    cluster_close(&c);
}
END_TEST

START_TEST(a_failed_call_leaves_the_service_as_it_was) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    take_what_they_want(&c);
    test_service sent, s;
    service_read(FAILING[_i], "x", &sent);
    service_copy(&s, &sent);
    ck_assert_int_ne(cluster_create_service(&c, "x", &s), IPALLOC_OK);
    ck_assert_str_eq(service_write(&s), service_write(&sent));
    cluster_close(&c);
}
END_TEST

/* The live address stays taken until the commit, and for good if there is none. */
START_TEST(an_update_frees_nothing_before_its_commit) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old, s;
    ck_assert_status(cluster_create(&c, "x", "type=NodePort ip=10.96.0.9 ports=80>30080", &old),
                     IPALLOC_OK);
    service_read("type=ExternalName", "x", &s);
    for (int commit = 0; commit < 2; commit++) {
        service_read("type=ExternalName", "x", &s);
        ipalloc_txn *txn = cluster_begin(&c, "x", false);
        ck_assert_status(
            ipalloc_service_update(txn, &c.pools, &old.service, &s.service, NULL, &c.error),
            IPALLOC_OK);
        ck_assert_status(cluster_create(&c, "y", "ip=10.96.0.9 ports=80", NULL), IPALLOC_E_TAKEN);
        ck_assert_status(cluster_create(&c, "y", "type=NodePort ports=80>30080", NULL),
                         IPALLOC_E_TAKEN);
        if (commit != 0)
            ck_assert_status(ipalloc_txn_commit(txn, NULL, &c.error), IPALLOC_OK);
        else
            ipalloc_txn_abort(txn);
        ck_assert_str_eq(cluster_holdings(&c, "x"), commit != 0 ? "" : "10.96.0.9 30080");
    }
    ck_assert_status(cluster_create(&c, "y", "type=NodePort ip=10.96.0.9 ports=80>30080", NULL),
                     IPALLOC_OK);
    cluster_close(&c);
}
END_TEST

/* The object and its addresses are one write: where the object is refused, nothing is allocated. */
START_TEST(a_refused_record_refuses_the_addresses) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    for (int i = 0; i < 2; i++) {
        test_service s;
        service_read(EVERYTHING, "x", &s);
        ipalloc_txn *txn = cluster_begin(&c, i == 0 ? "x" : "x2", false);
        ck_assert_status(ipalloc_service_create(txn, &c.pools, &s.service, &c.problems, &c.error),
                         IPALLOC_OK);
        ck_assert_status(
            ipalloc_txn_put(txn, "services/default/x", "{}", 2, IPALLOC_REVISION_ABSENT, NULL),
            IPALLOC_OK);
        ck_assert_status(ipalloc_txn_commit(txn, NULL, &c.error),
                         i == 0 ? IPALLOC_OK : IPALLOC_E_CONFLICT);
    }
    ck_assert_str_eq(cluster_used(&c), "ip=1 ip2=1 ports=3 lb4=1 lb6=1");
    ck_assert_str_eq(cluster_holdings(&c, "x2"), "");
    cluster_close(&c);
}
END_TEST

/* --- dry-run ---------------------------------------------------------------------------------- */

static int dry_run_create(cluster *c, const char *line, test_service *out) {
    service_read(line, "x", out);
    ipalloc_txn *txn = cluster_begin(c, "x", true);
    int status = ipalloc_service_create(txn, &c->pools, &out->service, &c->problems, &c->error);
    if (status == IPALLOC_OK)
        ck_assert_status(ipalloc_txn_commit(txn, NULL, &c->error), IPALLOC_OK);
    else
        ipalloc_txn_abort(txn);
    return status;
}

START_TEST(a_dry_run_shows_what_would_be_given_and_keeps_nothing) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service tried, made;
    ck_assert_status_error(dry_run_create(&c, EVERYTHING, &tried), IPALLOC_OK, &c.error);
    ck_assert_str_eq(cluster_used(&c), "ip=0 ip2=0 ports=0 lb4=0 lb6=0");
    ck_assert_status(cluster_create(&c, "x", EVERYTHING, &made), IPALLOC_OK);
    ck_assert_str_eq(service_write(&tried), service_write(&made));
    cluster_close(&c);
}
END_TEST

START_TEST(a_dry_run_refuses_what_would_be_refused) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    take_what_they_want(&c);
    test_service s;
    int expected = cluster_create(&c, "x", FAILING[_i], NULL);
    ipalloc_service_problems problems = c.problems;
    ck_assert_status(dry_run_create(&c, FAILING[_i], &s), expected);
    ck_assert_uint_eq(c.problems.count, problems.count);
    ck_assert_str_eq(c.problems.items[0].message, problems.items[0].message);
    ck_assert_str_eq(c.problems.items[0].holder, problems.items[0].holder);
    cluster_close(&c);
}
END_TEST

START_TEST(a_dry_run_of_an_update_changes_nothing) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old, s;
    ck_assert_status(cluster_create(&c, "x", EVERYTHING, &old), IPALLOC_OK);
    service_read("type=NodePort policy=SingleStack ports=d:90,a:81", "x", &s);
    ipalloc_txn *txn = cluster_begin(&c, "x", true);
    ck_assert_status_error(
        ipalloc_service_update(txn, &c.pools, &old.service, &s.service, NULL, &c.error), IPALLOC_OK,
        &c.error);
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &c.error), IPALLOC_OK);
    ck_assert_int_eq(s.ports[1].node_port, old.ports[0].node_port);
    ck_assert_int_ne(s.ports[0].node_port, 0);
    ck_assert_holds_what_it_shows(&c, "x", &old);
    cluster_close(&c);
}
END_TEST

/* --- asking again ----------------------------------------------------------------------------- */

/* The same owner creates again (its answer was lost): it is given what it has. */
START_TEST(creating_again_gives_the_same) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service first, again;
    ck_assert_status(cluster_create(&c, "x", EVERYTHING, &first), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "x", EVERYTHING, &again), IPALLOC_OK);
    ck_assert_str_eq(service_write(&first), service_write(&again));
    ck_assert_str_eq(cluster_used(&c), "ip=1 ip2=1 ports=3 lb4=1 lb6=1");
    cluster_close(&c);
}
END_TEST

/* --- what is not read ------------------------------------------------------------------------- */

static void refused_argument(cluster *c, const ipalloc_service_pools *pools,
                             ipalloc_service *service, const char *word) {
    ipalloc_txn *txn = cluster_begin(c, "x", false);
    ck_assert_status(ipalloc_service_create(txn, pools, service, &c->problems, &c->error),
                     IPALLOC_E_INVALID);
    ck_assert_msg(strstr(c->error.message, word) != NULL, "%s: %s", word, c->error.message);
    ck_assert_uint_eq(c->problems.count, 0);
    ipalloc_txn_abort(txn);
}

START_TEST(bad_pools_are_refused) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    service_read("ports=80", "x", &s);
    ipalloc_service_pools good = c.pools, bad = good;
    refused_argument(&c, NULL, &s.service, "pools");
    bad.size = 0;
    refused_argument(&c, &bad, &s.service, "size");
    bad = good;
    bad.cluster_ips[0] = NULL;
    refused_argument(&c, &bad, &s.service, "cluster_ips[0]");
    bad.cluster_ips[0] = good.node_ports;
    refused_argument(&c, &bad, &s.service, "cluster_ips[0]");
    bad = good;
    bad.cluster_ips[1] = good.cluster_ips[0];
    refused_argument(&c, &bad, &s.service, "cluster_ips[1]");
    bad = good;
    bad.node_ports = good.cluster_ips[0];
    refused_argument(&c, &bad, &s.service, "node_ports");
    bad = good;
    bad.load_balancer[0] = good.load_balancer[1];
    refused_argument(&c, &bad, &s.service, "load_balancer[0]");
    bad = good;
    bad.load_balancer[1] = good.load_balancer[0];
    refused_argument(&c, &bad, &s.service, "load_balancer[1]");
    cluster_close(&c);
}
END_TEST

START_TEST(bad_services_are_refused) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    refused_argument(&c, &c.pools, NULL, "NULL");
    service_read("ports=80", "x", &s);
    s.service.size = 0;
    refused_argument(&c, &c.pools, &s.service, "size");
    service_read("ports=80", "x", &s);
    s.service.cluster_ip_count = IPALLOC_SERVICE_LIST_MAX + 1;
    refused_argument(&c, &c.pools, &s.service, "clusterIPs");
    service_read("ports=80", "x", &s);
    s.service.ip_family_count = IPALLOC_SERVICE_LIST_MAX + 1;
    refused_argument(&c, &c.pools, &s.service, "ipFamilies");
    service_read("ports=80", "x", &s);
    s.service.ports = NULL;
    refused_argument(&c, &c.pools, &s.service, "ports");
    service_read("ports=80 ips=10.96.0.1", "x", &s);
    memset(s.service.cluster_ips[0], 'a', IPALLOC_SERVICE_TEXT);
    refused_argument(&c, &c.pools, &s.service, "NUL");
    service_read("ports=80", "x", &s);
    memset(s.ports[0].name, 'a', IPALLOC_SERVICE_TEXT);
    refused_argument(&c, &c.pools, &s.service, "NUL");
    cluster_close(&c);
}
END_TEST

START_TEST(other_arguments_are_checked) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    service_read("ports=80", "x", &s);
    ipalloc_service_problems problems = {.size = 8};
    ipalloc_txn *txn = cluster_begin(&c, "x", false);
    ck_assert_status(ipalloc_service_create(NULL, &c.pools, &s.service, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_service_create(txn, &c.pools, &s.service, &problems, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_service_update(txn, &c.pools, NULL, &s.service, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_service_delete(NULL, NULL), IPALLOC_E_INVALID);
    test_service old = s;
    old.service.port_count = IPALLOC_SERVICE_PORTS_MAX + 1;
    ck_assert_status(ipalloc_service_update(txn, &c.pools, &old.service, &s.service, NULL, NULL),
                     IPALLOC_E_INVALID);
    s.service.name = NULL; /* only for messages */
    ck_assert_status(ipalloc_service_create(txn, &c.pools, &s.service, NULL, NULL), IPALLOC_OK);
    ck_assert_ptr_null(s.service.name);
    ipalloc_txn_abort(txn);
    cluster_close(&c);
}
END_TEST

START_TEST(a_check_refuses_bad_arguments_too) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s;
    service_read("ports=80", "x", &s);
    test_service long_list = s, endless = s, old = s;
    long_list.service.ip_family_count = SIZE_MAX;
    memset(endless.service.type, 'a', sizeof endless.service.type);
    old.service.port_count = SIZE_MAX;
    ipalloc_service_problems problems = {.size = sizeof problems}, small = {.size = 8};
    const struct {
        const ipalloc_service_pools *pools;
        const ipalloc_service *old, *service;
        ipalloc_service_problems *problems;
    } bad[] = {
        {NULL, NULL, &s.service, &problems},
        {&c.pools, NULL, NULL, &problems},
        {&c.pools, NULL, &s.service, &small},
        {&c.pools, NULL, &long_list.service, &problems},
        {&c.pools, NULL, &endless.service, &problems},
        {&c.pools, &old.service, &s.service, &problems},
        {&c.pools, &endless.service, &s.service, NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_status(
            ipalloc_service_check(bad[i].pools, bad[i].old, bad[i].service, bad[i].problems, NULL),
            IPALLOC_E_INVALID);
        ck_assert_uint_eq(problems.count, 0);
    }
    ck_assert_status(ipalloc_service_check(&c.pools, NULL, &s.service, NULL, NULL), IPALLOC_OK);
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("service");
    TCase *tc = tcase_create("service");
    tcase_add_test(tc, a_service_gets_all_it_needs_in_one_transaction);
    tcase_add_loop_test(tc, a_failed_create_leaves_nothing, 0, LENGTH(FAILING));
    tcase_add_loop_test(tc, a_failed_update_changes_nothing, 0, LENGTH(FAILING));
    tcase_add_loop_test(tc, a_failed_call_leaves_the_service_as_it_was, 0, LENGTH(FAILING));
    tcase_add_test(tc, an_update_frees_nothing_before_its_commit);
    tcase_add_test(tc, a_refused_record_refuses_the_addresses);
    tcase_add_test(tc, a_dry_run_shows_what_would_be_given_and_keeps_nothing);
    tcase_add_loop_test(tc, a_dry_run_refuses_what_would_be_refused, 0, LENGTH(FAILING));
    tcase_add_test(tc, a_dry_run_of_an_update_changes_nothing);
    tcase_add_test(tc, creating_again_gives_the_same);
    tcase_add_test(tc, bad_pools_are_refused);
    tcase_add_test(tc, bad_services_are_refused);
    tcase_add_test(tc, other_arguments_are_checked);
    tcase_add_test(tc, a_check_refuses_bad_arguments_too);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
