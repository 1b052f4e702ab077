/*
 * durable_case.c: durable one-shot allocations from 1, 8 and 64 threads, against a bare SQLite
 * transaction of the same rows, and against the disk: append and fdatasync of the same bytes.
 *
 * All write what capture.c captured, or its like, with the same leases preloaded, and the time
 * includes checkpoints. Rates are operations a second over a stretch of wall time.
 */
#include "durable.h"
#include "preload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* --- ipalloc ---------------------------------------------------------------------------------- */

typedef struct durable {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    uint32_t threads;
    uint64_t stretch_ns;
    atomic_uint_fast64_t serial; /* of the next owner */
    uint64_t end_ns;
    pthread_barrier_t start;
} durable;

static void durable_close(void *state) {
    durable *d = state;
    ipalloc_registry_close(d->registry);
    ipalloc_store_close(d->store);
    free(d);
}

static void *durable_open(const workload *work) {
    durable *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    char path[DURABLE_PATH_MAX], url[DURABLE_PATH_MAX + 16];
    durable_path(work, "store", path);
    snprintf(url, sizeof url, "sqlite:%s", path);
    ipalloc_error error = {0};
    d->threads = work->threads;
    d->stretch_ns = durable_stretch_ns(work);
    if (!preload_store(url, durable_preloaded(work)) ||
        durable_failed(url, ipalloc_store_open(url, NULL, &d->store, &error), &error) ||
        durable_failed("ipalloc_registry_open",
                       ipalloc_registry_open(d->store, NULL, &d->registry, &error), &error) ||
        !durable_pool_define(d->registry, &d->pool)) {
        durable_close(d);
        return NULL;
    }
    return d;
}

static void *durable_work(void *context) {
    durable *d = context;
    ipalloc_error error;
    uint64_t done = 0;
    pthread_barrier_wait(&d->start);
    while (now_ns() < d->end_ns) {
        uint64_t serial = atomic_fetch_add_explicit(&d->serial, 1, memory_order_relaxed);
        if (durable_one_shot(d->registry, d->pool, serial, &error) != IPALLOC_OK)
            durable_broken("ipalloc_allocate", error.message);
        done++;
    }
    return (void *)(uintptr_t)done;
}

static double durable_measure(void *state) {
    durable *d = state;
    pthread_t threads[THREADS_MAX] = {0};
    pthread_barrier_init(&d->start, NULL, d->threads + 1);
    for (uint32_t i = 0; i < d->threads; i++)
        if (pthread_create(&threads[i], NULL, durable_work, d) != 0)
            durable_broken("pthread_create", "failed");
    uint64_t begin = now_ns(), done = 0;
    d->end_ns = begin + d->stretch_ns;
    pthread_barrier_wait(&d->start);
    for (uint32_t i = 0; i < d->threads; i++) {
        void *mine;
        pthread_join(threads[i], &mine);
        done += (uintptr_t)mine;
    }
    uint64_t spent = now_ns() - begin;
    pthread_barrier_destroy(&d->start);
    return (double)done * 1e9 / (double)spent;
}

static const subject DURABLE_SUBJECT = {"ipalloc", durable_open, durable_measure, durable_close,
                                        NULL};

void durable_plan(plan *p) {
    static const struct {
        uint32_t threads;
        double budget;
    } CASES[] = {{1, 0.9}, {8, 2.5}, {64, 5}};
    p->has_sqlite = true;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        scenario *s = plan_add(p, "op/s", "durable/one-shot/%u-threads", CASES[i].threads);
        s->work.threads = CASES[i].threads;
        s->rounds = s->work.quick ? 5 : 15;
        s->seconds_expected = 4 * s->rounds * (double)durable_stretch_ns(&s->work) / 1e9;
        scenario_add(s, BARE_SUBJECT);
        scenario_add(s, DURABLE_SUBJECT);
        scenario_add(s, APPEND_SUBJECT);
        scenario_add(s, BARE_NO_CHANGES_SUBJECT);
        scenario_budget(s, AT_LEAST, CASES[i].budget);
    }
}
