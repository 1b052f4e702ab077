/*
 * test_promises.c: what the nemesis meets by chance, made to happen: two servers that do not hear
 * of one another, requests that arrive after their sender has given up, answers that are lost.
 */
#include "cluster.h"
#include "relay.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVERS = 2, LATE_MS = 800, LONG_MS = 5000 };

static const char SLOT[] = "clusterIP/IPv4";

/* ---- two servers ---- */

typedef struct server {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    ipalloc_error error;
} server;

static void server_open(server *s, const char *url, const char *range) {
    ipalloc_store_options with = {.size = sizeof with, .timeout_ms = LONG_MS};
    ipalloc_cidr ranges[] = {cidr(range)};
    ipalloc_pool_definition d = {
        .size = sizeof d, .kind = IPALLOC_POOL_IPV4, .ranges = ranges, .range_count = 1};
    ck_assert_status_error(ipalloc_store_open(url, &with, &s->store, &s->error), IPALLOC_OK,
                           &s->error);
    ck_assert_status_error(ipalloc_registry_open(s->store, NULL, &s->registry, &s->error),
                           IPALLOC_OK, &s->error);
    ck_assert_status_error(ipalloc_pool_define(s->registry, "services", &d, &s->pool, &s->error),
                           IPALLOC_OK, &s->error);
}

static void server_close(server *s) {
    ck_assert_status_error(ipalloc_registry_validate(s->registry, &s->error), IPALLOC_OK,
                           &s->error);
    ipalloc_registry_close(s->registry);
    ipalloc_store_close(s->store);
}

static int allocate(server *s, const char *owner, ipalloc_addr *out) {
    ipalloc_grant g = {.size = sizeof g};
    int status = ipalloc_allocate(s->registry, s->pool, owner, SLOT, &g, &s->error);
    if (out != NULL)
        *out = g.address;
    return status;
}

START_TEST(what_another_server_holds_is_taken) {
    etcd_cluster *c = etcd_start(NULL);
    server s[SERVERS];
    ipalloc_addr wanted = addr("10.96.0.10");
    for (int i = 0; i < SERVERS; i++)
        server_open(&s[i], etcd_url(c, "/two"), "10.96.0.0/24");
    ck_assert_status(
        ipalloc_reserve(s[0].registry, s[0].pool, "Service/a", SLOT, &wanted, NULL, &s[0].error),
        IPALLOC_OK);
    ck_assert_status(
        ipalloc_reserve(s[1].registry, s[1].pool, "Service/b", SLOT, &wanted, NULL, &s[1].error),
        IPALLOC_E_TAKEN);
    ck_assert_ptr_nonnull(strstr(s[1].error.message, "held by Service/a"));
    for (int i = 0; i < SERVERS; i++)
        server_close(&s[i]);
    etcd_stop(c);
}
END_TEST

/* Neither is told what the other does (nobody processes), and still "full" is true. */
START_TEST(full_is_not_said_of_what_another_server_has_released) {
    etcd_cluster *c = etcd_start(NULL);
    server s[SERVERS];
    ipalloc_addr one, two;
    for (int i = 0; i < SERVERS; i++)
        server_open(&s[i], etcd_url(c, "/two"), "10.96.0.0/30");
    ck_assert_status(allocate(&s[0], "Service/a", &one), IPALLOC_OK);
    ck_assert_status(allocate(&s[1], "Service/b", &two), IPALLOC_OK);
    for (int i = 0; i < SERVERS; i++)
        ck_assert_status(allocate(&s[i], "Service/c", NULL), IPALLOC_E_FULL);
    for (int i = 0; i < 10; i++) {
        server *gives = &s[i % 2], *takes = &s[1 - i % 2];
        ck_assert_status(
            ipalloc_release(gives->registry, gives->pool, "Service/a", &one, 0, &gives->error),
            IPALLOC_OK);
        ck_assert_status_error(allocate(takes, "Service/a", &one), IPALLOC_OK, &takes->error);
        ck_assert_status(allocate(takes, "Service/c", NULL), IPALLOC_E_FULL);
    }
    for (int i = 0; i < SERVERS; i++)
        server_close(&s[i]);
    etcd_stop(c);
}
END_TEST

/* ---- requests that come late ---- */

typedef struct late {
    etcd_cluster *cluster;
    relay *relays[2];
    ipalloc_store *store;
    ipalloc_error error;
} late;

/* A store that reaches its one member on two ways. */
static void late_open(late *l) {
    char url[256];
    l->cluster = etcd_start(NULL);
    for (int i = 0; i < 2; i++)
        l->relays[i] = relay_start(etcd_host(l->cluster, 0));
    snprintf(url, sizeof url, "etcd:http://%s,http://%s/late", relay_host(l->relays[0]),
             relay_host(l->relays[1]));
    ipalloc_store_options with = {.size = sizeof with, .timeout_ms = LONG_MS};
    ck_assert_status_error(ipalloc_store_open(url, &with, &l->store, &l->error), IPALLOC_OK,
                           &l->error);
}

static void late_close(late *l) {
    ipalloc_store_close(l->store);
    for (int i = 0; i < 2; i++)
        relay_stop(l->relays[i]);
    etcd_stop(l->cluster);
}

typedef struct put {
    late *l;
    const char *value;
    uint64_t timeout_ms;
    ipalloc_batch batch;
    int status;
} put;

/* Put the key, whatever it is now. */
static void *do_put(void *context) {
    put *p = context;
    ipalloc_op op = {.kind = IPALLOC_OP_PUT,
                     .condition = IPALLOC_IF_ANY,
                     .key = {"key", 3},
                     .value = {p->value, strlen(p->value)}};
    ipalloc_error error;
    p->batch = (ipalloc_batch){.ops = &op, .op_count = 1, .timeout_ms = p->timeout_ms};
    p->status = ipalloc_store_commit(p->l->store, &p->batch, 1, &error);
    if (p->status == IPALLOC_OK)
        p->status = p->batch.status;
    return NULL;
}

static int put_now(late *l, const char *value) {
    put p = {.l = l, .value = value, .timeout_ms = LONG_MS};
    do_put(&p);
    return p.status;
}

static int see_value(void *context, const ipalloc_entry *entry) {
    snprintf(context, 32, "%.*s", (int)entry->value.size, (const char *)entry->value.data);
    return 0;
}

static const char *value_now(late *l) {
    static char value[32];
    value[0] = '\0';
    int status =
        ipalloc_store_get(l->store, (ipalloc_bytes){"key", 3}, see_value, value, &l->error);
    ck_assert(status == IPALLOC_OK || status == IPALLOC_E_NOT_FOUND);
    return value;
}

static size_t held_now(late *l) {
    return relay_held(l->relays[0]) + relay_held(l->relays[1]);
}

/* Something is held, and nothing more comes. */
static void wait_held(late *l) {
    size_t before = 0, held = held_now(l);
    for (int i = 0; held == 0 || held != before; i++) {
        ck_assert_int_lt(i, 100);
        usleep(100000);
        before = held;
        held = held_now(l);
    }
}

static void forget_clients(late *l) {
    for (int i = 0; i < 2; i++)
        relay_forget_clients(l->relays[i]);
}

static void deliver(late *l) {
    for (int i = 0; i < 2; i++)
        relay_deliver(l->relays[i]);
    usleep(300000); /* it is processed */
}

START_TEST(what_is_settled_as_not_happened_never_does) {
    late l;
    late_open(&l);
    for (int i = 0; i < 2; i++)
        relay_hold_requests(l.relays[i]);
    put p = {.l = &l, .value = "late", .timeout_ms = LATE_MS};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, do_put, &p), 0);
    wait_held(&l);
    pthread_join(thread, NULL);
    ck_assert_status(p.status, IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_uint_ne(p.batch.ticket, 0);
    forget_clients(&l);
    bool happened = true;
    uint64_t revision = 0;
    ck_assert_status_error(
        ipalloc_store_settle(l.store, p.batch.ticket, &happened, &revision, &l.error), IPALLOC_OK,
        &l.error);
    ck_assert(!happened);
    deliver(&l);
    ck_assert_str_eq(value_now(&l), "");
    late_close(&l);
}
END_TEST

START_TEST(what_was_sent_again_does_not_happen_again) {
    late l;
    late_open(&l);
    for (int i = 0; i < 2; i++)
        relay_hold_requests(l.relays[i]);
    put p = {.l = &l, .value = "first", .timeout_ms = 2 * LONG_MS};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, do_put, &p), 0);
    wait_held(&l);
    forget_clients(&l); /* it is sent again, and arrives */
    pthread_join(thread, NULL);
    ck_assert_status(p.status, IPALLOC_OK);
    ck_assert_str_eq(value_now(&l), "first");
    ck_assert_status(put_now(&l, "second"), IPALLOC_OK);
    deliver(&l); /* now the first sending arrives, too */
    ck_assert_str_eq(value_now(&l), "second");
    late_close(&l);
}
END_TEST

START_TEST(what_happened_without_an_answer_is_known_to_have_happened) {
    late l;
    late_open(&l);
    ck_assert_status(put_now(&l, "before"), IPALLOC_OK);
    for (int i = 0; i < 2; i++)
        relay_lose_answers(l.relays[i]);
    put p = {.l = &l, .value = "lost", .timeout_ms = LATE_MS};
    do_put(&p);
    ck_assert_status(p.status, IPALLOC_E_UNKNOWN_OUTCOME);
    forget_clients(&l);
    bool happened = false;
    uint64_t revision = 0;
    ck_assert_status_error(
        ipalloc_store_settle(l.store, p.batch.ticket, &happened, &revision, &l.error), IPALLOC_OK,
        &l.error);
    ck_assert(happened);
    ck_assert_uint_gt(revision, 0);
    ck_assert_str_eq(value_now(&l), "lost");
    ck_assert_status(put_now(&l, "after"), IPALLOC_OK);
    late_close(&l);
}
END_TEST

int main(void) {
    if (!etcd_is_here()) {
        printf("etcd or etcdctl is not in PATH (Debian packages etcd-server, etcd-client)\n");
        return 77;
    }
    Suite *suite = suite_create("promises");
    TCase *tc = tcase_create("promises");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_another_server_holds_is_taken);
    tcase_add_test(tc, full_is_not_said_of_what_another_server_has_released);
    tcase_add_test(tc, what_is_settled_as_not_happened_never_does);
    tcase_add_test(tc, what_was_sent_again_does_not_happen_again);
    tcase_add_test(tc, what_happened_without_an_answer_is_known_to_have_happened);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
