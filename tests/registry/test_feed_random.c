/*
 * test_feed_random.c: servers that do anything at random, each told of the others whenever it
 * pleases; in the end, and at every rest, each memory agrees with the store.
 */
#include "servers.h"

#include "registry/registry.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SERVERS = 3, OWNERS = 10, OPEN_MAX = 4 };

/* --- one thread, every order ------------------------------------------------------------------ */

typedef struct game {
    servers s;
    uint64_t state;
    ipalloc_txn *open[SERVERS][OPEN_MAX];
} game;

static uint64_t draw(game *g, uint64_t below) {
    return test_random(&g->state) % below;
}

static void owner_name(char name[32], uint64_t number) {
    snprintf(name, 32, "Service/%d", (int)number);
}

static ipalloc_addr any_address(game *g) {
    return (ipalloc_addr){.family = 4, .bytes = {10, 96, 0, (uint8_t)(1 + draw(g, 14))}};
}

static void slot_name_of(char name[16], uint64_t number) {
    snprintf(name, 16, "slot-%d", (int)number);
}

/* A few steps; what is refused is left. */
static void step(game *g, size_t server, ipalloc_txn *txn) {
    ipalloc_pool *pool = g->s.pools[server];
    ipalloc_addr address = any_address(g);
    char slot[16];
    slot_name_of(slot, draw(g, 3));
    switch (draw(g, 6)) {
    case 0:
    case 1:
        ipalloc_txn_allocate(txn, pool, slot, NULL, NULL);
        break;
    case 2:
        ipalloc_txn_reserve(txn, pool, slot, &address, NULL, NULL);
        break;
    case 3:
        ipalloc_txn_release(txn, pool, &address, 0, NULL);
        break;
    case 4:
        ipalloc_txn_release_slot(txn, pool, slot, NULL);
        break;
    default:
        ipalloc_txn_release_all(txn, NULL);
        break;
    }
}

static void play_txn(game *g, size_t server) {
    ipalloc_txn **open = &g->open[server][draw(g, OPEN_MAX)];
    if (*open == NULL) {
        char owner[32];
        owner_name(owner, draw(g, OWNERS));
        ipalloc_txn_options options = {
            .size = sizeof options, .owner = owner, .new_owner = draw(g, 3) == 0};
        OK(&g->s.f[server],
           ipalloc_begin(g->s.f[server].registry, &options, open, &g->s.f[server].error));
    }
    for (uint64_t steps = draw(g, 4); steps > 0; steps--)
        step(g, server, *open);
    if (draw(g, 2) == 0)
        return;
    if (draw(g, 4) == 0) {
        ipalloc_txn_abort(*open);
        *open = NULL;
    } else if (ipalloc_txn_commit(*open, NULL, NULL) != IPALLOC_E_UNKNOWN_OUTCOME) {
        *open = NULL;
    }
}

static void change_definition(game *g, size_t server) {
    ipalloc_addr address = any_address(g);
    if (draw(g, 2) == 0)
        ipalloc_pool_exclude(g->s.pools[server], &address, &address, NULL);
    else
        ipalloc_pool_include(g->s.pools[server], &address, &address, NULL);
}

static void tell_some(game *g, size_t server) {
    uint64_t known = servers_known(&g->s, server), head = servers_head(&g->s);
    servers_tell(&g->s, server, known + draw(g, head - known + 1));
}

static void move(game *g) {
    size_t server = draw(g, SERVERS);
    uint64_t what = draw(g, 100);
    if (what < 60)
        play_txn(g, server);
    else if (what < 85)
        tell_some(g, server);
    else if (what < 88)
        shared_foreign_write(&g->s.cluster);
    else if (what < 90)
        change_definition(g, server);
    else if (what < 92)
        shared_deliver_one(&g->s.cluster);
    else if (what < 94)
        OK(&g->s.f[server], ipalloc_registry_process(g->s.f[server].registry, NULL, NULL));
    else if (what < 95)
        g->s.cluster.servers[server].changes_expired = true;
    else if (what < 98)
        g->s.cluster.servers[server].changes_expired = false;
    else
        cache_ask_for_rebuild(g->s.f[server].registry);
}

static void rest(game *g) {
    for (size_t i = 0; i < SERVERS; i++)
        for (size_t j = 0; j < OPEN_MAX; j++) {
            ipalloc_txn_abort(g->open[i][j]);
            g->open[i][j] = NULL;
        }
    servers_calm(&g->s);
    shared_deliver(&g->s.cluster);
    for (size_t i = 0; i < SERVERS; i++)
        servers_tell_all(&g->s, i);
}

/* What the store has, each by its own memory. */
static void compare(game *g) {
    ipalloc_pool_stats first = {.size = sizeof first};
    for (size_t i = 0; i < SERVERS; i++) {
        ipalloc_pool_stats stats = {.size = sizeof stats};
        require_status(ipalloc_pool_get_stats(g->s.pools[i], &stats, NULL), IPALLOC_OK);
        if (i == 0)
            first = stats;
        require(stats.total.used.low == first.total.used.low);
        require(stats.total.cooling.low == first.total.cooling.low);
        require(stats.total.free.low == first.total.free.low);
    }
    servers_check(&g->s);
}

static void play(uint64_t cool_down_ms, int unknown_percent) {
    game g = {.state = test_seed()};
    servers_open(&g.s, SERVERS, "10.96.0.0/28", WITH(.cool_down_ms = cool_down_ms), NULL);
    g.s.cluster.random = test_random(&g.state);
    for (uint64_t round = test_scaled(300); round > 0; round--) {
        for (size_t i = 0; i < SERVERS; i++)
            g.s.cluster.servers[i].unknown_percent = unknown_percent;
        for (int moves = 0; moves < 60; moves++)
            move(&g);
        rest(&g);
        compare(&g);
    }
    servers_close(&g.s);
}

START_TEST(at_every_rest_each_memory_agrees_with_the_store) {
    play(_i % 2 == 0 ? 0 : 3600000, _i / 2 == 0 ? 0 : 15);
}
END_TEST

/* --- many threads ----------------------------------------------------------------------------- */

typedef struct worker {
    servers *s;
    size_t server;
    uint64_t state, rounds, odd;
    int stop_fd;
    pthread_t id;
} worker;

static bool is_expected(int status) {
    return status == IPALLOC_OK || status == IPALLOC_E_CONFLICT || status == IPALLOC_E_FULL ||
           status == IPALLOC_E_TAKEN || status == IPALLOC_E_UNKNOWN_OUTCOME;
}

static void *work(void *context) {
    worker *me = context;
    ipalloc_registry *registry = me->s->f[me->server].registry;
    ipalloc_pool *pool = me->s->pools[me->server];
    for (uint64_t i = 0; i < me->rounds; i++) {
        char owner[32];
        uint64_t random = test_random(&me->state);
        ipalloc_addr address = {.family = 4, .bytes = {10, 96, 0, (uint8_t)(1 + random / 64 % 14)}};
        owner_name(owner, random / 4096 % OWNERS);
        int status = random % 8 < 4 ? ipalloc_release_owner(registry, owner, NULL, NULL)
                     : random % 8 == 4
                         ? ipalloc_reserve(registry, pool, owner, "r", &address, NULL, NULL)
                         : ipalloc_allocate(registry, pool, owner, "a", NULL, NULL);
        me->odd += !is_expected(status);
    }
    return NULL;
}

static void *follow(void *context) {
    worker *me = context;
    int status = ipalloc_registry_follow(me->s->f[me->server].registry, me->stop_fd, NULL);
    me->odd += status != IPALLOC_OK;
    return NULL;
}

/* Definitions move, all is read anew, and others write to the same store. */
static void *disturb(void *context) {
    worker *me = context;
    fixture *f = &me->s->f[me->server];
    for (uint64_t i = 0; i < me->rounds / 10; i++) {
        uint64_t random = test_random(&me->state);
        ipalloc_addr address = {.family = 4, .bytes = {10, 96, 0, (uint8_t)(1 + random / 64 % 14)}};
        if (random % 8 < 5)
            shared_foreign_write(&me->s->cluster);
        else if (random % 8 == 5)
            ipalloc_pool_exclude(me->s->pools[me->server], &address, &address, NULL);
        else if (random % 8 == 6)
            ipalloc_pool_include(me->s->pools[me->server], &address, &address, NULL);
        else
            cache_ask_for_rebuild(f->registry);
        usleep(100);
    }
    return NULL;
}

enum { WORKERS = 2 * SERVERS };

static void start(worker *w, servers *s, size_t server, void *(*function)(void *),
                  uint64_t number) {
    *w = (worker){.s = s,
                  .server = server,
                  .state = test_seed() + number,
                  .rounds = test_scaled(2000),
                  .stop_fd = eventfd(0, 0)};
    ck_assert_int_eq(pthread_create(&w->id, NULL, function, w), 0);
}

static void join(worker *w) {
    pthread_join(w->id, NULL);
    close(w->stop_fd);
    ck_assert_uint_eq(w->odd, 0);
}

START_TEST(servers_that_follow_each_other_end_up_agreeing) {
    servers s;
    worker workers[WORKERS], followers[SERVERS], disturber;
    servers_open(&s, SERVERS, "10.96.0.0/28", WITH(.cool_down_ms = _i == 0 ? 0 : 1), NULL);
    for (size_t i = 0; i < SERVERS; i++)
        start(&followers[i], &s, i, follow, 100 + i);
    for (size_t i = 0; i < WORKERS; i++)
        start(&workers[i], &s, i % SERVERS, work, i);
    start(&disturber, &s, 0, disturb, 200);
    for (size_t i = 0; i < WORKERS; i++)
        join(&workers[i]);
    join(&disturber);
    for (size_t i = 0; i < SERVERS; i++) {
        eventfd_write(followers[i].stop_fd, 1);
        join(&followers[i]);
    }
    servers_close(&s); /* each is sound against the one store */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("feed_random");
    TCase *tc = tcase_create("orders");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, at_every_rest_each_memory_agrees_with_the_store, 0, 4);
    suite_add_tcase(suite, tc);
    tc = tcase_create("threads");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, servers_that_follow_each_other_end_up_agreeing, 0, 2);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
