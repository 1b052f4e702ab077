/* ctl_store.c: see ctl_store.h. */
#include "ctl_store.h"

#include <stdio.h>

const char *directory;
char url[512];
ipalloc_store *store;
ipalloc_registry *registry;

void begin(void) {
    directory = test_directory_make();
    snprintf(url, sizeof url, "sqlite:%s/db", directory);
}

void open_store(void) {
    ipalloc_error error;
    ck_assert_status_error(ipalloc_store_open(url, NULL, &store, &error), IPALLOC_OK, &error);
    ck_assert_status_error(ipalloc_registry_open(store, NULL, &registry, &error), IPALLOC_OK,
                           &error);
}

void close_store(void) {
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
    registry = NULL;
    store = NULL;
}

void end(void) {
    close_store();
    test_directory_remove(directory);
}

ipalloc_pool *define(const char *name, const char *range, uint64_t cool_down_ms) {
    ipalloc_error error;
    ipalloc_cidr parsed = cidr(range);
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = parsed.base.family,
                                          .ranges = &parsed,
                                          .range_count = 1,
                                          .strategy = IPALLOC_STRATEGY_LOWEST,
                                          .cool_down_ms = cool_down_ms};
    ipalloc_pool *pool = NULL;
    ck_assert_status_error(ipalloc_pool_define(registry, name, &definition, &pool, &error),
                           IPALLOC_OK, &error);
    return pool;
}

void exclude(ipalloc_pool *pool, const char *first, const char *last) {
    ipalloc_error error;
    ipalloc_addr from = addr(first);
    ipalloc_addr to = addr(last);
    ck_assert_status_error(ipalloc_pool_exclude(pool, &from, &to, &error), IPALLOC_OK, &error);
}
