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

typedef struct change_list {
    int count, stop_at;
    char text[16][400];
} change_list;

static int note_change(void *context, const ipalloc_lease *lease, bool deleted) {
    change_list *l = context;
    char address[IPALLOC_ADDR_TEXT];
    snprintf(address, sizeof address, "%u", lease->port);
    if (lease->address.family != 0)
        ipalloc_addr_format(&lease->address, address);
    snprintf(l->text[l->count], sizeof l->text[0], "%s %s %s%s %zu", lease->pool, address,
             deleted ? "gone" : "", lease->owner, lease->slot_count);
    ck_assert_uint_ne(lease->revision, 0);
    return ++l->count == l->stop_at ? 77 : 0;
}

START_TEST(changes_since_a_list_are_what_it_does_not_show) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    fill(&f);
    ipalloc_pool *services = open_pool(&f, "services"), *ports = open_pool(&f, "ports");
    uint64_t at, up_to;
    listing l = {0};
    OK(&f, ipalloc_list_at(f.registry, NULL, note, &l, &at, &f.error));
    change_list none = {0};
    OK(&f, ipalloc_lease_changes(f.registry, at, NULL, 0, note_change, &none, &up_to, &f.error));
    ck_assert_int_eq(none.count, 0);
    ck_assert_uint_ge(up_to, at);
    ipalloc_addr shared = addr("10.9.0.200"), gone = addr("10.10.0.9");
    reserve(&f, services, "Service/c", SLOT, "10.10.0.77");
    OK(&f, ipalloc_reserve(f.registry, services, "Service/a", "more", &shared, NULL, &f.error));
    OK(&f, ipalloc_release(f.registry, services, "Service/b", &gone, 0, &f.error));
    ipalloc_txn *txn = begin(&f, "Service/b");
    OK(&f, ipalloc_txn_release_port(txn, ports, 53, 0, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    static const char *const ALL[] = {"services 10.10.0.77 Service/c 1",
                                      "services 10.9.0.200 Service/a 2",
                                      "services 10.10.0.9 gone 0", "ports 53 gone 0"};
    change_list all = {0};
    OK(&f, ipalloc_lease_changes(f.registry, at, NULL, 0, note_change, &all, &up_to, &f.error));
    ck_assert_int_eq(all.count, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_str_eq(all.text[i], ALL[i]);
    change_list of_pool = {0};
    OK(&f, ipalloc_lease_changes(f.registry, at, ports, 0, note_change, &of_pool, NULL, &f.error));
    ck_assert_int_eq(of_pool.count, 1);
    change_list one = {0};
    OK(&f, ipalloc_lease_changes(f.registry, at, NULL, 1, note_change, &one, &up_to, &f.error));
    ck_assert_int_eq(one.count, 1);
    OK(&f, ipalloc_lease_changes(f.registry, up_to, NULL, 1, note_change, &one, &up_to, &f.error));
    ck_assert_str_eq(one.text[1], ALL[1]);
    change_list stopped = {.stop_at = 2};
    IS(&f, ipalloc_lease_changes(f.registry, at, NULL, 0, note_change, &stopped, NULL, &f.error),
       77);
    IS(&f,
       ipalloc_lease_changes(f.registry, up_to + 1000, NULL, 0, note_change, &all, NULL, &f.error),
       IPALLOC_E_INVALID);
    fixture_close(&f);
}
END_TEST

START_TEST(changes_that_are_no_longer_kept_are_expired) {
    ipalloc_store_options options = {.size = sizeof options, .changes_kept = 2};
    fixture f = {0};
    OK(&f, ipalloc_store_open("memory:", &options, &f.store, &f.error));
    OK(&f, ipalloc_registry_open(f.store, NULL, &f.registry, &f.error));
    fill(&f);
    change_list l = {0};
    IS(&f, ipalloc_lease_changes(f.registry, 1, NULL, 0, note_change, &l, NULL, &f.error),
       IPALLOC_E_EXPIRED);
    fixture_close(&f);
}
END_TEST

static int note_stretch(void *context, const ipalloc_addr *first, const ipalloc_addr *last) {
    listing *l = context;
    snprintf(l->text[l->count], sizeof l->text[0], "%s-%s", addr_text(first), addr_text(last));
    return ++l->count == l->stop_at ? 77 : 0;
}

START_TEST(excluded_stretches_are_told_in_order) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.9.0.0/16 10.10.0.0/16");
    ipalloc_pool *ports = define_ports(&f, "ports", 1, 65535);
    static const char *const PAIRS[][2] = {{"10.10.0.4", "10.10.0.9"}, {"10.9.0.1", "10.9.0.1"}};
    for (int i = 0; i < 2; i++) {
        ipalloc_addr first = addr(PAIRS[i][0]), last = addr(PAIRS[i][1]);
        OK(&f, ipalloc_pool_exclude(pool, &first, &last, &f.error));
    }
    listing l = {0};
    OK(&f, ipalloc_pool_list_excluded(pool, note_stretch, &l, &f.error));
    ck_assert_int_eq(l.count, 2);
    ck_assert_str_eq(l.text[0], "10.9.0.1-10.9.0.1");
    ck_assert_str_eq(l.text[1], "10.10.0.4-10.10.0.9");
    l = (listing){.stop_at = 1};
    IS(&f, ipalloc_pool_list_excluded(pool, note_stretch, &l, &f.error), 77);
    OK(&f, ipalloc_pool_list_excluded(ports, note_stretch, &l, &f.error));
    ck_assert_int_eq(l.count, 1);
    IS(&f, ipalloc_pool_list_excluded(pool, NULL, NULL, &f.error), IPALLOC_E_INVALID);
    fixture_close(&f);
}
END_TEST

static const struct {
    const char *range;
    uint64_t band;
    const char *first, *last; /* "": the band is empty */
} STATIC_BANDS[] = {
    {"10.96.0.0/24", 0, "10.96.0.1", "10.96.0.16"},
    {"10.96.0.0/28", 0, "", ""},
    {"10.96.0.0/24", IPALLOC_NO_STATIC_BAND, "", ""},
    {"10.96.0.0/28", 16, "10.96.0.1", "10.96.0.14"},
    {"fd00::/64", 0, "fd00::1", "fd00::100"},
};

START_TEST(the_static_band_has_ends) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool =
        define_pool_with(&f, "services", STATIC_BANDS[_i].range,
                         (ipalloc_pool_definition){.static_band_size = STATIC_BANDS[_i].band});
    ipalloc_pool_range range = {.size = sizeof range};
    OK(&f, ipalloc_pool_get_range(pool, 0, &range, &f.error));
    bool empty = STATIC_BANDS[_i].first[0] == '\0';
    ck_assert_int_eq(range.static_first.family == 0, empty);
    ck_assert_int_eq(range.static_last.family == 0, empty);
    if (!empty) {
        ck_assert_str_eq(addr_text(&range.static_first), STATIC_BANDS[_i].first);
        ck_assert_str_eq(addr_text(&range.static_last), STATIC_BANDS[_i].last);
    }
    ipalloc_pool *ports = define_ports(&f, "ports", 30000, 32767);
    OK(&f, ipalloc_pool_get_range(ports, 0, &range, &f.error));
    ck_assert_uint_eq(range.port_static_first, 30000);
    ck_assert_uint_eq(range.port_static_last, 30085);
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

static int ignore_cooling(void *context, const ipalloc_cooling *cooling) {
    (void)context;
    (void)cooling;
    return 0;
}

START_TEST(a_damaged_record_is_named_by_who_walks_over_it) {
    static const struct {
        const char *key, *value;
        bool cooling;
    } DAMAGED[] = {{"lease/services/010.009.000.003/", "x", false},
                   {"lease/services/nowhere/", "x", false},
                   {"lease/nowhere/010.009.000.003/", "x", false},
                   {"lease/services/", "x", false},
                   {"cooling/services/010.009.000.004/", "x", true},
                   {"cooling/services/nowhere/", "released=1\nowner=a\n", true},
                   {"cooling/nowhere/010.009.000.004/", "released=1\nowner=a\n", true},
                   {"cooling/services/", "released=1\nowner=a\n", true}};
    for (size_t i = 0; i < sizeof DAMAGED / sizeof DAMAGED[0]; i++) {
        fixture f;
        OPEN_OR_SKIP(&f, 0);
        fill(&f);
        listing l = {0};
        uint64_t at;
        OK(&f, ipalloc_list_at(f.registry, NULL, note, &l, &at, &f.error));
        write_raw(&f, IPALLOC_OP_PUT, DAMAGED[i].key, DAMAGED[i].value);
        change_list changes = {0};
        if (DAMAGED[i].cooling) {
            IS(&f, ipalloc_list_cooling(f.registry, NULL, ignore_cooling, NULL, &f.error),
               IPALLOC_E_CORRUPT);
        } else {
            IS(&f, ipalloc_list(f.registry, NULL, note, &l, &f.error), IPALLOC_E_CORRUPT);
            ck_assert_message(&f, DAMAGED[i].key);
            IS(&f,
               ipalloc_lease_changes(f.registry, at, NULL, 0, note_change, &changes, NULL,
                                     &f.error),
               IPALLOC_E_CORRUPT);
        }
        ck_assert_message(&f, DAMAGED[i].key);
        fixture_close(&f);
    }
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
    IS(&f, ipalloc_list_cooling(f.registry, NULL, NULL, NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_lease_changes(f.registry, 0, NULL, 0, NULL, NULL, NULL, &f.error),
       IPALLOC_E_INVALID);
    IS(&f, ipalloc_allocate(other.registry, pool, "a", "s", NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_registry_validate(NULL, &f.error), IPALLOC_E_INVALID);
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
    tcase_add_loop_test(c, changes_since_a_list_are_what_it_does_not_show, 0, STORE_KINDS);
    tcase_add_test(c, changes_that_are_no_longer_kept_are_expired);
    tcase_add_loop_test(c, excluded_stretches_are_told_in_order, 0, STORE_KINDS);
    tcase_add_loop_test(c, the_static_band_has_ends, 0,
                        (int)(sizeof STATIC_BANDS / sizeof STATIC_BANDS[0]));
    tcase_add_test(c, a_damaged_record_is_named_by_who_walks_over_it);
    tcase_add_test(c, bad_arguments_are_invalid);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
