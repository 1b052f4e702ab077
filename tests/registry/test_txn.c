/*
 * test_txn.c: what a transaction promises: one owner an address, asking again, guarded release,
 * nothing left of what failed.
 */
#include "fixture.h"

#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

START_TEST(a_commit_survives_reopening) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    ck_assert(!grant.existing);
    ck_assert_uint_ne(grant.generation, 0);
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ck_assert_uint_eq(used_of(pool), 1);
    ipalloc_lease lease = LEASE;
    OK(&f, ipalloc_lookup(f.registry, pool, &grant.address, &lease, &f.error));
    ck_assert_str_eq(lease.owner, "Service/a");
    ck_assert_str_eq(lease.slots[0], SLOT);
    ck_assert_uint_eq(lease.generation, grant.generation);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(asking_again_gives_the_same_address) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant first = allocate(&f, pool, "Service/a", SLOT);
    ipalloc_grant again = allocate(&f, pool, "Service/a", SLOT);
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&first.address, &again.address), 0);
    ck_assert_uint_eq(first.generation, again.generation);
    fixture_reopen(&f);
    again = allocate(&f, open_pool(&f, "services"), "Service/a", SLOT);
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&first.address, &again.address), 0);
    ck_assert_uint_eq(used_of(open_pool(&f, "services")), 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_reserved_address_is_taken_and_names_the_holder) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.10");
    ipalloc_addr wanted = addr("10.96.0.10");
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &wanted, NULL, &f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&f, "held by Service/a");
    ipalloc_txn *txn = begin(&f, "Service/c");
    wanted = addr("10.96.0.11");
    OK(&f, ipalloc_txn_reserve(txn, pool, SLOT, &wanted, NULL, &f.error));
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &wanted, NULL, &f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&f, "being allocated by Service/c");
    ipalloc_txn_abort(txn);
    reserve(&f, pool, "Service/b", SLOT, "10.96.0.11");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(release_by_another_owner_is_refused_and_names_the_holder) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    IS(&f, ipalloc_release(f.registry, pool, "Service/b", &grant.address, 0, &f.error),
       IPALLOC_E_NOT_OWNER);
    ck_assert_message(&f, "Service/a");
    IS(&f,
       ipalloc_release(f.registry, pool, "Service/a", &grant.address, grant.generation + 1,
                       &f.error),
       IPALLOC_E_NOT_OWNER);
    ck_assert_uint_eq(used_of(pool), 1);
    OK(&f,
       ipalloc_release(f.registry, pool, "Service/a", &grant.address, grant.generation, &f.error));
    ck_assert_uint_eq(used_of(pool), 0);
    OK(&f, ipalloc_release(f.registry, pool, "Service/a", &grant.address, 0, &f.error));
    OK(&f, ipalloc_release(f.registry, pool, "Service/b", &grant.address, 0, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(an_aborted_transaction_leaves_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant kept = allocate(&f, pool, "Service/a", SLOT);
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_allocate(txn, pool, "other", NULL, &f.error));
    OK(&f, ipalloc_txn_release(txn, pool, &kept.address, 0, &f.error));
    OK(&f, ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ANY, &f.error));
    ck_assert_uint_eq(used_of(pool), 2);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(pool), 1);
    ipalloc_lease lease = LEASE;
    OK(&f, ipalloc_lookup(f.registry, pool, &kept.address, &lease, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("txn");
    TCase *c = tcase_create("rules");
    tcase_add_loop_test(c, a_commit_survives_reopening, 0, STORE_KINDS);
    tcase_add_loop_test(c, asking_again_gives_the_same_address, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_reserved_address_is_taken_and_names_the_holder, 0, STORE_KINDS);
    tcase_add_loop_test(c, release_by_another_owner_is_refused_and_names_the_holder, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, an_aborted_transaction_leaves_nothing, 0, STORE_KINDS);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
