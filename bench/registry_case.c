/*
 * registry_case.c: opening a store that holds many leases, and one-shots without a disk.
 */
#include "pair.h"
#include "preload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REOPEN_BUDGET_MS = 500,
    ONE_SHOT_SLICE_NS = 1000000,
};

/* --- reopening -------------------------------------------------------------------------------- */

typedef struct reopened {
    char url[4200];
    uint64_t leases;
} reopened;

static double reopen_once(const reopened *r, uint64_t *used) {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    ipalloc_error error = {0};
    uint64_t begin = now_ns();
    if (ipalloc_store_open(r->url, NULL, &store, &error) != IPALLOC_OK ||
        ipalloc_registry_open(store, NULL, &registry, &error) != IPALLOC_OK ||
        ipalloc_pool_open(registry, DURABLE_POOL, &pool, &error) != IPALLOC_OK) {
        fprintf(stderr, "ipalloc-bench: reopening: %s\n", error.message);
        exit(EXIT_FAILURE);
    }
    double ms = (double)(now_ns() - begin) / 1e6;
    ipalloc_pool_stats stats = {.size = sizeof stats};
    *used = ipalloc_pool_get_stats(pool, &stats, NULL) == IPALLOC_OK ? stats.total.used.low : 0;
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
    return ms;
}

static double reopen_measure(void *state) {
    const reopened *r = state;
    uint64_t used;
    double ms = reopen_once(r, &used);
    if (used == r->leases)
        return ms;
    fprintf(stderr, "ipalloc-bench: reopened with %llu leases\n", (unsigned long long)used);
    exit(EXIT_FAILURE);
}

static void *reopen_open(const workload *work) {
    reopened *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    snprintf(r->url, sizeof r->url, "sqlite:%s/reopen-%llu", work->directory,
             (unsigned long long)work->held);
    r->leases = work->held;
    if (!preload_store(r->url, r->leases)) {
        free(r);
        return NULL;
    }
    return r;
}

static const subject REOPEN_SUBJECT = {"ipalloc", reopen_open, reopen_measure, free, NULL};

/* --- one-shots on memory: --------------------------------------------------------------------- */

typedef struct one_shots {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    uint64_t serial, slice_count;
} one_shots;

static void one_shot_close(void *state) {
    one_shots *o = state;
    ipalloc_registry_close(o->registry);
    ipalloc_store_close(o->store);
    free(o);
}

static void one_shot_run(void *state, unsigned thread, uint64_t count) {
    (void)thread;
    one_shots *o = state;
    ipalloc_error error = {0};
    for (uint64_t i = 0; i < count; i++)
        if (durable_one_shot(o->registry, o->pool, o->serial++, &error) != IPALLOC_OK) {
            fprintf(stderr, "ipalloc-bench: ipalloc_allocate: %s\n", error.message);
            exit(EXIT_FAILURE);
        }
}

static void *one_shot_open(const workload *work) {
    one_shots *o = calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    if (ipalloc_store_open("memory:", NULL, &o->store, NULL) != IPALLOC_OK ||
        ipalloc_registry_open(o->store, NULL, &o->registry, NULL) != IPALLOC_OK ||
        !durable_pool_define(o->registry, &o->pool) ||
        !durable_one_shots(o->registry, o->pool, PRELOAD_SERIAL, work->held)) {
        one_shot_close(o);
        return NULL;
    }
    o->slice_count = slice_calibrate(one_shot_run, o, 1, ONE_SHOT_SLICE_NS);
    return o;
}

static double one_shot_measure(void *state) {
    one_shots *o = state;
    return slice_time(one_shot_run, o, 1, o->slice_count);
}

static const subject ONE_SHOT_SUBJECT = {"ipalloc", one_shot_open, one_shot_measure, one_shot_close,
                                         NULL};

/* --- the scenarios ---------------------------------------------------------------------------- */

static void reopen_scenario(plan *p, const char *name, uint64_t leases) {
    scenario *s = plan_add(p, "ms", "registry/reopen/%s-leases", name);
    s->work.held = leases;
    s->work.allowed = REOPEN_BUDGET_MS;
    s->seconds_expected = 2e-5 * (double)leases;
    s->rounds = 5;
    scenario_add(s, ALLOWED_SUBJECT);
    scenario_add(s, REOPEN_SUBJECT);
    scenario_budget(s, AT_MOST, 1);
}

void registry_plan(plan *p) {
    scenario *s = plan_add(p, "ns", "registry/one-shot/memory");
    s->work.size_bits = 24;
    s->work.held = 100000;
    s->work.threads = 1;
    s->rounds = p->quick ? 5 : 15;
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, ONE_SHOT_SUBJECT);
    if (!p->has_sqlite)
        return;
    reopen_scenario(p, "10^5", 100000);
    if (!p->quick)
        reopen_scenario(p, "10^6", 1000000);
}
