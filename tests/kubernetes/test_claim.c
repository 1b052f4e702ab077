/*
 * test_claim.c: releases are guarded, and a transaction's own failure is not dressed up as a
 * refusal.
 */
#include "service_support.h"

#include <string.h>

static const cluster_shape CLUSTER = {.cluster_ips = {IPV4_CIDR, IPV6_CIDR},
                                      .load_balancer = {"192.0.2.0/29"}};

/* The stored object shows addresses that are another's by now: they stay the other's. */
START_TEST(what_another_holds_is_left_alone) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service theirs, stale;
    ck_assert_status(
        cluster_create(&c, "theirs", "type=NodePort ip=10.96.0.9 ports=80>30080", &theirs),
        IPALLOC_OK);
    service_copy(&stale, &theirs);
    ck_assert_status_error(cluster_update(&c, "x", &stale, "type=ExternalName", NULL), IPALLOC_OK,
                           &c.error);
    ck_assert_holds_what_it_shows(&c, "theirs", &theirs);
    cluster_close(&c);
}
END_TEST

/* The stored object shows what is outside the ranges, or not readable, or of a family that the
 * cluster does not have any more. */
START_TEST(what_is_outside_is_left_alone) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old;
    service_read("type=LoadBalancer ip=10.99.0.9 ips=10.99.0.9,fd00:10:96::9 families=IPv4,IPv6 "
                 "policy=PreferDualStack etp=Local hc=20001 ports=a:80>20000,b:81>-7,c:82>70000",
                 "x", &old);
    c.pools.cluster_ips[1] = NULL;
    ck_assert_status_error(cluster_update(&c, "x", &old, "type=ExternalName", NULL), IPALLOC_OK,
                           &c.error);
    strcpy(old.service.cluster_ips[0], "garbage");
    ck_assert_status_error(cluster_update(&c, "x", &old, "type=ExternalName", NULL), IPALLOC_OK,
                           &c.error);
    ck_assert_str_eq(cluster_used(&c), "ip=0 ports=0 lb4=0");
    cluster_close(&c);
}
END_TEST

/* A transaction without an owner can claim nothing: INVALID, and no word about the Service. */
START_TEST(a_failing_transaction_is_no_problem_of_the_service) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    ipalloc_txn_options options = {.size = sizeof options};
    ipalloc_txn *txn;
    ck_assert_status(ipalloc_begin(c.registry, &options, &txn, &c.error), IPALLOC_OK);
    test_service s;
    service_read("ports=80", "x", &s);
    c.problems = (ipalloc_service_problems){.size = sizeof c.problems};
    c.error.message[0] = '\0';
    ck_assert_status(ipalloc_service_create(txn, &c.pools, &s.service, &c.problems, &c.error),
                     IPALLOC_E_INVALID);
    ck_assert_uint_eq(c.problems.count, 0);
    ck_assert_str_ne(c.error.message, "");
    ipalloc_txn_abort(txn);
    cluster_close(&c);
}
END_TEST

/* The error record is the caller's, and is written only where the call fails. */
START_TEST(a_call_that_succeeds_does_not_touch_the_error) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service old, s;
    service_read("type=LoadBalancer ip=10.99.0.9 ips=10.99.0.9 families=IPv4 policy=SingleStack "
                 "ports=80>20000",
                 "x", &old);
    service_read("type=ExternalName", "x", &s);
    ipalloc_txn *txn = cluster_begin(&c, "x", false);
    strcpy(c.error.message, "untouched");
    ck_assert_status(
        ipalloc_service_update(txn, &c.pools, &old.service, &s.service, &c.problems, &c.error),
        IPALLOC_OK);
    ck_assert_str_eq(c.error.message, "untouched");
    ipalloc_txn_abort(txn);
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("claim");
    TCase *tc = tcase_create("claim");
    tcase_add_test(tc, what_another_holds_is_left_alone);
    tcase_add_test(tc, what_is_outside_is_left_alone);
    tcase_add_test(tc, a_failing_transaction_is_no_problem_of_the_service);
    tcase_add_test(tc, a_call_that_succeeds_does_not_touch_the_error);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
