/*
 * shaky.h: a registry with the pool "services" on a store that can fail (wrapped_store.h).
 */
#ifndef IPALLOC_TEST_REGISTRY_SHAKY_H
#define IPALLOC_TEST_REGISTRY_SHAKY_H

#include "fixture.h"
#include "wrapped_store.h"

#define SHAKY_SLOT "clusterIP/IPv4"

typedef struct shaky {
    ipalloc_store *inner;
    wrapped_store store;
    fixture f; /* its registry and error only */
    ipalloc_pool *pool;
} shaky;

void shaky_open(shaky *s, bool tickets);
void shaky_close(shaky *s);

/* A transaction of Service/a that has allocated. */
ipalloc_txn *shaky_txn(shaky *s, ipalloc_grant *grant);
/* Memory and store agree that it is held, and nothing else, or nothing at all. */
void shaky_assert_held(shaky *s, const ipalloc_grant *grant, bool held);

/* Put a record; the commit answers `want`. Returns its revision. */
uint64_t put_record(fixture *f, const char *key, const char *value, uint64_t expected, int want);

#endif
