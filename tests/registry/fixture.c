/*
 * fixture.c: see fixture.h.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_store(fixture *f) {
    ipalloc_store_options options = {.size = sizeof options, .hooks = f->hooks};
    return ipalloc_store_open(f->url, &options, &f->store, &f->error);
}

static int open_registry(fixture *f) {
    ipalloc_registry_options options = {.size = sizeof options, .hooks = f->hooks};
    return ipalloc_registry_open(f->store, &options, &f->registry, &f->error);
}

bool fixture_open(fixture *f, int kind, const ipalloc_hooks *hooks) {
    *f = (fixture){.hooks = hooks, .url = "memory:"};
    if (kind == 1) {
        f->directory = test_directory_make();
        snprintf(f->url, sizeof f->url, "sqlite:%s/registry.db", f->directory);
    }
    int status = open_store(f);
    if (status == IPALLOC_E_UNAVAILABLE) {
        test_directory_remove(f->directory);
        return false;
    }
    OK(f, status);
    OK(f, open_registry(f));
    return true;
}

void fixture_close(fixture *f) {
    ipalloc_registry_close(f->registry);
    ipalloc_store_close(f->store);
    if (f->directory != NULL)
        test_directory_remove(f->directory);
}

int fixture_try_reopen(fixture *f) {
    ipalloc_registry_close(f->registry);
    f->registry = NULL;
    if (f->directory != NULL) {
        ipalloc_store_close(f->store);
        OK(f, open_store(f));
    }
    return open_registry(f);
}

void fixture_reopen(fixture *f) {
    OK(f, fixture_try_reopen(f));
}

ipalloc_pool *define_pool_with(fixture *f, const char *name, const char *ranges,
                               ipalloc_pool_definition options) {
    ipalloc_cidr list[4];
    char text[256];
    char *rest = text;
    size_t count = 0;
    snprintf(text, sizeof text, "%s", ranges);
    for (char *one; (one = strtok_r(rest, " ", &rest)) != NULL;)
        list[count++] = cidr(one);
    options.size = sizeof options;
    options.kind = list[0].base.family;
    options.ranges = list;
    options.range_count = count;
    ipalloc_pool *pool;
    OK(f, ipalloc_pool_define(f->registry, name, &options, &pool, &f->error));
    return pool;
}

ipalloc_pool *define_pool(fixture *f, const char *name, const char *ranges) {
    return define_pool_with(f, name, ranges, (ipalloc_pool_definition){0});
}

ipalloc_pool *define_ports(fixture *f, const char *name, uint16_t first, uint16_t last) {
    ipalloc_pool_definition options = {
        .size = sizeof options, .kind = IPALLOC_POOL_PORT, .port_first = first, .port_last = last};
    ipalloc_pool *pool;
    OK(f, ipalloc_pool_define(f->registry, name, &options, &pool, &f->error));
    return pool;
}

ipalloc_pool *open_pool(fixture *f, const char *name) {
    ipalloc_pool *pool;
    OK(f, ipalloc_pool_open(f->registry, name, &pool, &f->error));
    return pool;
}

static ipalloc_txn *begin_as(fixture *f, const char *owner, bool dry_run) {
    ipalloc_txn_options options = {.size = sizeof options, .owner = owner, .dry_run = dry_run};
    ipalloc_txn *txn;
    OK(f, ipalloc_begin(f->registry, &options, &txn, &f->error));
    return txn;
}

ipalloc_txn *begin(fixture *f, const char *owner) {
    return begin_as(f, owner, false);
}

ipalloc_txn *begin_dry(fixture *f, const char *owner) {
    return begin_as(f, owner, true);
}

ipalloc_grant allocate(fixture *f, ipalloc_pool *pool, const char *owner, const char *slot) {
    ipalloc_grant grant = GRANT;
    OK(f, ipalloc_allocate(f->registry, pool, owner, slot, &grant, &f->error));
    return grant;
}

ipalloc_grant reserve(fixture *f, ipalloc_pool *pool, const char *owner, const char *slot,
                      const char *address) {
    ipalloc_grant grant = GRANT;
    ipalloc_addr wanted = addr(address);
    OK(f, ipalloc_reserve(f->registry, pool, owner, slot, &wanted, &grant, &f->error));
    return grant;
}

static ipalloc_pool_stats stats_of(ipalloc_pool *pool) {
    ipalloc_pool_stats stats = {.size = sizeof stats};
    ck_assert_status(ipalloc_pool_get_stats(pool, &stats, NULL), IPALLOC_OK);
    return stats;
}

uint64_t used_of(ipalloc_pool *pool) {
    return stats_of(pool).total.used.low;
}

uint64_t free_of(ipalloc_pool *pool) {
    return stats_of(pool).total.free.low;
}

uint64_t cooling_of(ipalloc_pool *pool) {
    return stats_of(pool).total.cooling.low;
}

static void assert_adds_up(const ipalloc_band_stats *band) {
    ck_assert_uint_eq(band->size.low,
                      band->free.low + band->used.low + band->cooling.low + band->excluded.low);
}

void assert_sound(fixture *f) {
    OK(f, ipalloc_registry_validate(f->registry, &f->error));
    for (ipalloc_pool *pool = NULL; ipalloc_pool_next(f->registry, &pool) == IPALLOC_OK;) {
        ipalloc_pool_stats stats = stats_of(pool);
        assert_adds_up(&stats.static_band);
        assert_adds_up(&stats.dynamic_band);
        assert_adds_up(&stats.total);
    }
}
