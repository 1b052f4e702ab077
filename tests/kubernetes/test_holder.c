/*
 * test_holder.c: who has it: the lease's owner, or who is just being given it.
 */
#include "service_support.h"

#include "registry/holder.h"

static const cluster_shape CLUSTER = {.cluster_ips = {IPV4_CIDR}};

static const char *holder_of(ipalloc_pool *pool, place p) {
    static char owner[IPALLOC_OWNER_MAX + 1];
    holder_find(pool, &p, owner);
    return owner;
}

START_TEST(the_owner_of_the_lease) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    ipalloc_addr address = addr("10.96.0.9");
    ck_assert_status(cluster_create(&c, "a", "type=NodePort ip=10.96.0.9 ports=80>30080", NULL),
                     IPALLOC_OK);
    ck_assert_str_eq(holder_of(c.pools.cluster_ips[0], place_of_addr(&address)),
                     "Service/default/a/uid");
    ck_assert_str_eq(holder_of(c.pools.node_ports, place_of_port(30080)), "Service/default/a/uid");
    ck_assert_str_eq(holder_of(c.pools.node_ports, place_of_port(30081)), "");
    cluster_close(&c);
}
END_TEST

START_TEST(who_is_just_being_given_it) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    test_service s, other;
    service_read("ip=10.96.0.9 ports=80", "a", &s);
    ipalloc_txn *txn = cluster_begin(&c, "a", false);
    ck_assert_status(ipalloc_service_create(txn, &c.pools, &s.service, NULL, NULL), IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "ip=10.96.0.9 ports=80", &other), IPALLOC_E_TAKEN);
    ck_assert_str_eq(c.problems.items[0].holder, "Service/default/a/uid");
    ipalloc_txn_abort(txn);
    ck_assert_status(cluster_create(&c, "b", "ip=10.96.0.9 ports=80", &other), IPALLOC_OK);
    cluster_close(&c);
}
END_TEST

START_TEST(nobody_holds_what_is_excluded) {
    cluster c;
    cluster_open(&c, &CLUSTER);
    ipalloc_addr address = addr("10.96.0.9");
    ck_assert_status(ipalloc_pool_exclude(c.pools.cluster_ips[0], &address, &address, NULL),
                     IPALLOC_OK);
    ck_assert_status(cluster_create(&c, "b", "ip=10.96.0.9 ports=80", NULL), IPALLOC_E_TAKEN);
    ck_assert_str_eq(c.problems.items[0].holder, "");
    cluster_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("holder");
    TCase *tc = tcase_create("holder");
    tcase_add_test(tc, the_owner_of_the_lease);
    tcase_add_test(tc, who_is_just_being_given_it);
    tcase_add_test(tc, nobody_holds_what_is_excluded);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
