/*
 * Tests of several servers on one store: what one commits, the others meet.
 */
#include "fixture.h"
#include "shared_store.h"

#include <stdio.h>
#include <string.h>

/* A server with its registry on it. */
typedef struct server {
    shared_server *store;
    fixture f; /* no store of its own */
    ipalloc_pool *pool;
} server;

static server start(shared_cluster *cluster, size_t index, const char *ranges) {
    server s = {.store = shared_server_open(cluster, index)};
    s.f.store = s.store->handle;
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    s.pool = define_pool(&s.f, "services", ranges);
    return s;
}

static void stop(server *s) {
    ipalloc_registry_close(s->f.registry);
    shared_server_close(s->store);
}

START_TEST(two_servers_share_a_pool) {
    shared_cluster cluster;
    shared_open(&cluster);
    server a = start(&cluster, 0, "10.96.0.0/28"), b = start(&cluster, 1, "10.96.0.0/28");
    for (int i = 0; i < 7; i++) {
        char owner[20];
        snprintf(owner, sizeof owner, "owner-%d", i);
        allocate(&a.f, a.pool, owner, "a");
        allocate(&b.f, b.pool, owner, "b");
    }
    IS(&a.f, ipalloc_allocate(a.f.registry, a.pool, "late", "a", NULL, &a.f.error), IPALLOC_E_FULL);
    IS(&b.f, ipalloc_allocate(b.f.registry, b.pool, "late", "a", NULL, &b.f.error), IPALLOC_E_FULL);
    assert_sound(&a.f);
    assert_sound(&b.f);
    stop(&a);
    stop(&b);
    shared_close(&cluster);
}
END_TEST

/* --- definitions that take effect late -------------------------------------------------------- */

static void narrow_in_doubt(server *s) {
    ipalloc_pool_range_spec half = {.cidr = cidr("10.96.0.0/28")};
    shared_set_fate(s->store, FATE_LATE, 1);
    s->store->settle_fails = true;
    IS(&s->f, ipalloc_pool_set_ranges(s->pool, &half, 1, &s->f.error), IPALLOC_E_UNKNOWN_OUTCOME);
}

START_TEST(a_late_definition_leaves_no_lease_outside) {
    shared_cluster cluster;
    shared_open(&cluster);
    server a = start(&cluster, 0, "10.96.0.0/27"), b = start(&cluster, 1, "10.96.0.0/27");
    narrow_in_doubt(&a);
    reserve(&b.f, b.pool, "Service/b", "x", "10.96.0.20"); /* under the old definition */
    ck_assert_uint_eq(shared_deliver(&cluster), 1);
    a.store->settle_fails = false;
    ipalloc_addr outside = addr("10.96.0.21");
    IS(&a.f, ipalloc_reserve(a.f.registry, a.pool, "Service/a", "x", &outside, NULL, &a.f.error),
       IPALLOC_E_NOT_IN_RANGE);
    ck_assert_message(&a.f, "draining");
    reserve(&a.f, a.pool, "Service/a", "x", "10.96.0.1");
    reserve(&b.f, b.pool, "Service/b", "y", "10.96.0.2");
    OK(&a.f, ipalloc_registry_process(a.f.registry, NULL, &a.f.error));
    ck_assert_uint_eq(used_of(a.pool), 3);
    assert_sound(&a.f);
    assert_sound(&b.f);
    stop(&a);
    stop(&b);
    shared_close(&cluster);
}
END_TEST

START_TEST(a_late_definition_that_fits_is_followed) {
    shared_cluster cluster;
    shared_open(&cluster);
    server a = start(&cluster, 0, "10.96.0.0/27"), b = start(&cluster, 1, "10.96.0.0/27");
    ipalloc_addr outside = addr("10.96.0.20");
    narrow_in_doubt(&a);
    ck_assert_uint_eq(shared_deliver(&cluster), 1);
    a.store->settle_fails = false;
    IS(&a.f, ipalloc_reserve(a.f.registry, a.pool, "Service/a", "x", &outside, NULL, &a.f.error),
       IPALLOC_E_NOT_IN_RANGE);
    IS(&b.f, ipalloc_reserve(b.f.registry, b.pool, "Service/b", "x", &outside, NULL, &b.f.error),
       IPALLOC_E_NOT_IN_RANGE);
    reserve(&a.f, a.pool, "Service/a", "x", "10.96.0.7");
    assert_sound(&a.f);
    assert_sound(&b.f);
    stop(&a);
    stop(&b);
    shared_close(&cluster);
}
END_TEST

/* --- a store that is compacted while it is read ----------------------------------------------- */

static int count_lease(void *context, const ipalloc_lease *lease) {
    (void)lease;
    ++*(int *)context;
    return 0;
}

static int count_record(void *context, const ipalloc_entry *entry) {
    (void)entry;
    ++*(int *)context;
    return 0;
}

START_TEST(what_was_forgotten_half_way_is_read_anew) {
    shared_cluster cluster;
    int count = 0;
    shared_open(&cluster);
    server a = start(&cluster, 0, "10.96.0.0/28");
    IS(&a.f, ipalloc_list(a.f.registry, a.pool, count_lease, &count, &a.f.error), IPALLOC_OK);
    allocate(&a.f, a.pool, "Service/a", "x");
    allocate(&a.f, a.pool, "Service/b", "x");
    a.store->scans_expire = 3;
    OK(&a.f, ipalloc_registry_validate(a.f.registry, &a.f.error));
    ck_assert_int_eq(a.store->scans_expire, 0);
    a.store->scans_expire = 1; /* behind the first one, which has been shown */
    IS(&a.f, ipalloc_list(a.f.registry, a.pool, count_lease, &count, &a.f.error),
       IPALLOC_E_EXPIRED);
    ck_assert_message(&a.f, "compacted");
    ck_assert_int_eq(count, 1);
    a.store->scans_expire = 1; /* nothing has been shown */
    OK(&a.f,
       ipalloc_record_scan(a.f.registry, "", NULL, 0, count_record, &count, NULL, &a.f.error));
    ck_assert_int_eq(a.store->scans_expire, 0);
    ipalloc_registry_close(a.f.registry);
    a.store->scans_expire = 3;
    OK(&a.f, ipalloc_registry_open(a.f.store, NULL, &a.f.registry, &a.f.error));
    ck_assert_int_eq(a.store->scans_expire, 0);
    a.pool = open_pool(&a.f, "services");
    ipalloc_cidr more = cidr("10.97.0.0/28");
    a.store->scans_expire = 3; /* the leases */
    OK(&a.f, ipalloc_pool_add_range(a.pool, &more, &a.f.error));
    ck_assert_int_eq(a.store->scans_expire, 0);
    ck_assert_uint_eq(used_of(a.pool), 2);
    assert_sound(&a.f);
    ipalloc_registry_close(a.f.registry);
    a.store->scans_expire = 1000;
    IS(&a.f, ipalloc_registry_open(a.f.store, NULL, &a.f.registry, &a.f.error),
       IPALLOC_E_UNAVAILABLE);
    shared_close(&cluster);
}
END_TEST

START_TEST(the_longest_rested_is_looked_for_anew) {
    shared_cluster cluster;
    shared_open(&cluster);
    server a = {.store = shared_server_open(&cluster, 0)};
    a.f.store = a.store->handle;
    OK(&a.f, ipalloc_registry_open(a.f.store, NULL, &a.f.registry, &a.f.error));
    a.pool = define_pool_with(
        &a.f, "services", "10.96.0.0/30",
        (ipalloc_pool_definition){.cool_down_ms = 3600000, .reuse_cooling_when_full = true});
    for (int i = 0; i < 2; i++) {
        ipalloc_grant grant = allocate(&a.f, a.pool, "Service/a", "x");
        OK(&a.f, ipalloc_release(a.f.registry, a.pool, "Service/a", &grant.address, 0, &a.f.error));
    }
    a.store->scans_expire = 2;
    allocate(&a.f, a.pool, "Service/b", "x");
    ck_assert_int_eq(a.store->scans_expire, 0);
    assert_sound(&a.f);
    stop(&a);
    shared_close(&cluster);
}
END_TEST

/* --- many at once ----------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 150 };

typedef struct client {
    server *servers;
    int number;
    uint64_t random;
} client;

static bool is_to_repeat(int status) {
    return status == IPALLOC_E_UNKNOWN_OUTCOME || status == IPALLOC_E_CONFLICT;
}

static ipalloc_grant allocate_at_last(const server *s, const char *owner) {
    ipalloc_grant grant = GRANT;
    int status;
    do
        status = ipalloc_allocate(s->f.registry, s->pool, owner, "x", &grant, NULL);
    while (is_to_repeat(status));
    require_status(status, IPALLOC_OK);
    return grant;
}

/* Allocates for an owner of its own, asks again at any server, and releases. */
static void *allocate_and_release(void *context) {
    client *c = context;
    char owner[20];
    snprintf(owner, sizeof owner, "owner-%d", c->number);
    for (int round = 0; round < ROUNDS; round++) {
        const server *s = &c->servers[test_random(&c->random) % 2];
        const server *other = &c->servers[test_random(&c->random) % 2];
        ipalloc_grant first = allocate_at_last(s, owner);
        ipalloc_grant again = allocate_at_last(other, owner);
        require(again.existing && ipalloc_addr_compare(&first.address, &again.address) == 0);
        int status, before = IPALLOC_OK;
        while (is_to_repeat(
            status = ipalloc_release(s->f.registry, s->pool, owner, &first.address, 0, NULL)))
            before = status;
        /* One that had happened untold may have given the address to another by now. */
        require(status == IPALLOC_OK ||
                (status == IPALLOC_E_NOT_OWNER && before == IPALLOC_E_UNKNOWN_OUTCOME));
    }
    return NULL;
}

START_TEST(threads_of_two_servers_get_no_answers_and_lose_nothing) {
    shared_cluster cluster;
    pthread_t threads[THREADS];
    client clients[THREADS];
    shared_open(&cluster);
    cluster.random = test_seed();
    server servers[2] = {start(&cluster, 0, "10.96.0.0/24"), start(&cluster, 1, "10.96.0.0/24")};
    for (int i = 0; i < 2; i++) {
        servers[i].store->unknown_percent = 30;
        servers[i].store->settle_percent = 30;
    }
    for (int i = 0; i < THREADS; i++) {
        clients[i] = (client){servers, i, test_seed() + (uint64_t)i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, allocate_and_release, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        ipalloc_registry_close(servers[i].f.registry);
    for (int i = 0; i < 2; i++) {
        servers[i].store->unknown_percent = 0;
        OK(&servers[i].f, ipalloc_registry_open(servers[i].f.store, NULL, &servers[i].f.registry,
                                                &servers[i].f.error));
        servers[i].pool = open_pool(&servers[i].f, "services");
        assert_sound(&servers[i].f);
        stop(&servers[i]);
    }
    shared_close(&cluster);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("servers");
    TCase *c = tcase_create("together");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, two_servers_share_a_pool);
    tcase_add_test(c, a_late_definition_leaves_no_lease_outside);
    tcase_add_test(c, a_late_definition_that_fits_is_followed);
    tcase_add_test(c, what_was_forgotten_half_way_is_read_anew);
    tcase_add_test(c, the_longest_rested_is_looked_for_anew);
    tcase_add_test(c, threads_of_two_servers_get_no_answers_and_lose_nothing);
    suite_add_tcase(suite, c);
    return test_main(suite);
}
