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

/* --- the store itself ------------------------------------------------------------------------- */

START_TEST(test_two_servers_share_a_pool) {
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

int main(void) {
    Suite *suite = suite_create("servers");
    TCase *tcase = tcase_create("together");
    tcase_add_test(tcase, test_two_servers_share_a_pool);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
