/* ours.c: allocations through the registry; see etcd_bench.h. One transaction of one address each,
 * as ipalloc_allocate makes it; made by hand so that the attempts can be counted. */
#include "etcd_bench.h"

#include <ipalloc/ipalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct ours {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    unsigned server;
    bool follows;
    int stop[2];
    pthread_t follower;
} ours;

static void need(int status, const char *what, const ipalloc_error *error) {
    if (status != IPALLOC_OK)
        broken(what, error->message);
}

static void *follow(void *context) {
    ours *o = context;
    ipalloc_error error = {0};
    need(ipalloc_registry_follow(o->registry, o->stop[0], &error), "follow", &error);
    return NULL;
}

static void *open_ours(const setup *s) {
    ours *o = calloc(1, sizeof *o);
    char url[1024];
    ipalloc_error error = {0};
    ipalloc_cidr range;
    if (o == NULL)
        broken("ours", "out of memory");
    snprintf(url, sizeof url, "etcd:http://%s%s", s->hosts, s->prefix);
    need(ipalloc_store_open(url, NULL, &o->store, &error), url, &error);
    need(ipalloc_registry_open(o->store, NULL, &o->registry, &error), url, &error);
    need(ipalloc_cidr_parse("10.96.0.0/16", 12, &range, &error), "the range", &error);
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    need(ipalloc_pool_define(o->registry, "services-v4", &definition, &o->pool, &error), "the pool",
         &error);
    o->server = s->server;
    o->follows = s->follows;
    if (o->follows && (pipe(o->stop) != 0 || pthread_create(&o->follower, NULL, follow, o) != 0))
        broken("ours", "no thread could be made");
    return o;
}

static void prepare_ours(const setup *s) {
    (void)s; /* whoever opens first makes the store and the pool */
}

typedef struct step {
    ours *ours;
    uint64_t attempts;
} step;

static int body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    step *one = context;
    ipalloc_grant grant = {.size = sizeof grant};
    one->attempts++;
    return ipalloc_txn_allocate(txn, one->ours->pool, "clusterIP/IPv4", &grant, error);
}

static uint64_t allocate_ours(void *self, unsigned caller, uint64_t number) {
    step one = {.ours = self};
    char owner[64];
    ipalloc_error error = {0};
    snprintf(owner, sizeof owner, "Service/bench/%u-%02u-%012llu", one.ours->server, caller,
             (unsigned long long)number);
    ipalloc_txn_options options = {.size = sizeof options, .owner = owner, .new_owner = true};
    need(ipalloc_transact(one.ours->registry, &options, body, &one, NULL, &error), "ours", &error);
    return one.attempts - 1;
}

static void close_ours(void *self) {
    ours *o = self;
    if (o->follows) {
        close(o->stop[1]);
        pthread_join(o->follower, NULL);
        close(o->stop[0]);
    }
    ipalloc_registry_close(o->registry);
    ipalloc_store_close(o->store);
    free(o);
}

const subject OURS = {"ipalloc", prepare_ours, open_ours, allocate_ours, close_ours};
