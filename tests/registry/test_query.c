/*
 * test_query.c: looking: in order, of one pool or of all, by owner; and what validate finds.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

typedef struct listing {
    int count, stop_at;
    char text[16][400];
} listing;

static int note(void *context, const ipalloc_lease *lease) {
    listing *l = context;
    char address[IPALLOC_ADDR_TEXT];
    snprintf(address, sizeof address, "%u", lease->port);
    if (lease->address.family != 0)
        ipalloc_addr_format(&lease->address, address);
    snprintf(l->text[l->count], sizeof l->text[0], "%s %s %s", lease->pool, address, lease->owner);
    ck_assert_uint_ne(lease->revision, 0);
    return ++l->count == l->stop_at ? 77 : 0;
}

static void fill(fixture *f) {
    ipalloc_pool *services = define_pool(f, "services", "10.9.0.0/16 10.10.0.0/16");
    ipalloc_pool *ports = define_ports(f, "ports", 1, 65535);
    reserve(f, services, "Service/b", SLOT, "10.10.0.9");
    reserve(f, services, "Service/a", SLOT, "10.9.0.200");
    reserve(f, services, "Service/b", "second", "10.9.0.3");
    ipalloc_txn *txn = begin(f, "Service/b");
    OK(f, ipalloc_txn_reserve_port(txn, ports, "http", 30000, NULL, &f->error));
    OK(f, ipalloc_txn_reserve_port(txn, ports, "dns", 53, NULL, &f->error));
    OK(f, ipalloc_txn_commit(txn, NULL, &f->error));
}

START_TEST(leases_are_listed_in_order_of_pool_and_address) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    fill(&f);
    static const char *const ALL[] = {
        "ports 53 Service/b", "ports 30000 Service/b", "services 10.9.0.3 Service/b",
        "services 10.9.0.200 Service/a", "services 10.10.0.9 Service/b"};
    listing l = {0};
    OK(&f, ipalloc_list(f.registry, NULL, note, &l, &f.error));
    ck_assert_int_eq(l.count, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(l.text[i], ALL[i]);
    l = (listing){0};
    OK(&f, ipalloc_list(f.registry, open_pool(&f, "services"), note, &l, &f.error));
    ck_assert_int_eq(l.count, 3);
    ck_assert_str_eq(l.text[0], ALL[2]);
    l = (listing){.stop_at = 2};
    IS(&f, ipalloc_list(f.registry, NULL, note, &l, &f.error), 77);
    ck_assert_int_eq(l.count, 2);
    fixture_close(&f);
}
END_TEST

START_TEST(an_owners_leases_are_its_own) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    fill(&f);
    listing l = {0};
    OK(&f, ipalloc_owner_leases(f.registry, "Service/b", note, &l, &f.error));
    ck_assert_int_eq(l.count, 4);
    l = (listing){0};
    OK(&f, ipalloc_owner_leases(f.registry, "Service/none", note, &l, &f.error));
    ck_assert_int_eq(l.count, 0);
    size_t released;
    OK(&f, ipalloc_release_owner(f.registry, "Service/b", &released, &f.error));
    ck_assert_uint_eq(released, 4);
    OK(&f, ipalloc_release_owner(f.registry, "Service/b", &released, &f.error));
    ck_assert_uint_eq(released, 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static void *list_all(void *context) {
    fixture *f = context;
    for (uint64_t i = 0; i < test_scaled(2000); i++) {
        listing l = {0};
        if (ipalloc_list(f->registry, NULL, note, &l, NULL) != IPALLOC_OK)
            return f;
    }
    return NULL;
}

START_TEST(listing_and_changing_pools_do_not_wait_for_each_other) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    fill(&f);
    ipalloc_pool *pool = open_pool(&f, "services");
    ipalloc_addr first = addr("10.9.1.1"), last = addr("10.9.1.9");
    pthread_t lister;
    void *failed;
    ck_assert_int_eq(pthread_create(&lister, NULL, list_all, &f), 0);
    for (uint64_t i = 0; i < test_scaled(_i == 0 ? 1000 : 20); i++) {
        OK(&f, ipalloc_pool_exclude(pool, &first, &last, &f.error));
        OK(&f, ipalloc_pool_include(pool, &first, &last, &f.error));
    }
    pthread_join(lister, &failed);
    ck_assert_ptr_null(failed);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(what_is_not_committed_is_not_seen) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    fill(&f);
    ipalloc_pool *pool = open_pool(&f, "services");
    ipalloc_addr claimed = addr("10.9.9.9"), outside = addr("10.11.0.1");
    ipalloc_lease lease = LEASE;
    ipalloc_txn *txn = begin(&f, "Service/c");
    OK(&f, ipalloc_txn_reserve(txn, pool, SLOT, &claimed, NULL, &f.error));
    IS(&f, ipalloc_lookup(f.registry, pool, &claimed, &lease, &f.error), IPALLOC_E_NOT_FOUND);
    IS(&f, ipalloc_lookup(f.registry, pool, &outside, &lease, &f.error), IPALLOC_E_NOT_IN_RANGE);
    listing l = {0};
    OK(&f, ipalloc_list(f.registry, pool, note, &l, &f.error));
    ck_assert_int_eq(l.count, 3);
    ipalloc_txn_abort(txn);
    fixture_close(&f);
}
END_TEST

static void write_raw(fixture *f, int kind, const char *key, const char *value) {
    ipalloc_op op = {.kind = kind,
                     .key = {key, strlen(key)},
                     .value = {value, value != NULL ? strlen(value) : 0}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    OK(f, ipalloc_store_commit(f->store, &batch, 1, &f->error));
    OK(f, batch.status);
}

static const struct {
    const char *key, *value; /* NULL: deleted */
    const char *says;
} BREAKS[] = {
    {"lease/services/010.009.000.007/",
     "address=10.9.0.7\nowner=Service/x\nslot=s\ngeneration=1\ntime=1\n", "slots"},
    {"lease/services/010.009.000.003/", NULL, "lease/services/010.009.000.003/"},
    {"lease/services/010.009.000.003/",
     "address=10.9.0.3\nowner=Service/x\nslot=second\ngeneration=1\ntime=1\n",
     "lease/services/010.009.000.003/"},
    {"lease/nowhere/010.009.000.003/", "x", "lease/nowhere/"},
    {"lease/services/011.000.000.001/",
     "address=11.0.0.1\nowner=Service/x\nslot=s\ngeneration=1\ntime=1\n", "11.0.0.1"},
    {"cooling/services/010.009.000.003/", "released=1\nowner=Service/x\n", "10.9.0.3"},
    {"cooling/nowhere/010.009.000.003/", "released=1\nowner=Service/x\n", "cooling/nowhere/"},
    {"owner/Service%2Fa/", NULL, "slots"},
    {"owner/Service%2Fz/", "lease=services 10.9.0.3 1 1 s\n", "lease/services/010.009.000.003/"},
    {"owner/Service%2Fz/", "lease=gone 10.9.0.3 1 1 s\n", "owner/Service%2Fz/"},
};

START_TEST(validate_finds_what_does_not_agree) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    fill(&f);
    assert_sound(&f);
    write_raw(&f, BREAKS[_i].value != NULL ? IPALLOC_OP_PUT : IPALLOC_OP_DELETE, BREAKS[_i].key,
              BREAKS[_i].value);
    IS(&f, ipalloc_registry_validate(f.registry, &f.error), IPALLOC_E_CORRUPT);
    ck_assert_message(&f, BREAKS[_i].says);
    fixture_close(&f);
}
END_TEST

START_TEST(bad_arguments_are_invalid) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    fixture other;
    ck_assert(fixture_open(&other, 0, NULL));
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_addr address = addr("10.96.0.1"), none = {0};
    ipalloc_lease lease = LEASE;
    IS(&f, ipalloc_lookup(other.registry, pool, &address, &lease, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_lookup(f.registry, pool, &none, &lease, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_lookup(f.registry, pool, NULL, &lease, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_lookup_port(f.registry, pool, 1, &lease, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_list(f.registry, NULL, NULL, NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_list(other.registry, pool, note, NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_allocate(other.registry, pool, "a", "s", NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_registry_validate(NULL, &f.error), IPALLOC_E_INVALID);
    ck_assert_uint_eq(ipalloc_metrics(NULL, NULL, 0), 0);
    ipalloc_registry_close(NULL);
    ipalloc_txn_abort(NULL);
    fixture_close(&other);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("query");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 30);
    tcase_add_loop_test(c, leases_are_listed_in_order_of_pool_and_address, 0, STORE_KINDS);
    tcase_add_loop_test(c, an_owners_leases_are_its_own, 0, STORE_KINDS);
    tcase_add_loop_test(c, listing_and_changing_pools_do_not_wait_for_each_other, 0, STORE_KINDS);
    tcase_add_loop_test(c, what_is_not_committed_is_not_seen, 0, STORE_KINDS);
    tcase_add_loop_test(c, validate_finds_what_does_not_agree, 0,
                        (int)(sizeof BREAKS / sizeof BREAKS[0]));
    tcase_add_test(c, bad_arguments_are_invalid);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
