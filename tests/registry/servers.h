/*
 * servers.h: several servers on one store, each with its registry on the pool "services", and with
 * changes that lag behind until a test tells of them.
 */
#ifndef IPALLOC_TEST_REGISTRY_SERVERS_H
#define IPALLOC_TEST_REGISTRY_SERVERS_H

#include "fixture.h"
#include "shared_store.h"

typedef struct servers {
    shared_cluster cluster;
    size_t count;
    fixture f[SHARED_SERVERS_MAX]; /* registry and error only */
    ipalloc_pool *pools[SHARED_SERVERS_MAX];
} servers;

void servers_open(servers *s, size_t count, const char *ranges, ipalloc_pool_definition options,
                  const ipalloc_hooks *given_hooks);

/* Nothing is cut off or expired any more; all are sound against the store; closed. */
void servers_close(servers *s);
void servers_calm(servers *s);
void servers_check(servers *s);

/* That server is told of all up to that revision, and applies it. */
void servers_tell(servers *s, size_t index, uint64_t up_to);
void servers_tell_all(servers *s, size_t index);
/* Up to which it has been told, and has the store. */
uint64_t servers_known(const servers *s, size_t index);
uint64_t servers_head(servers *s);

#define WITH(...) ((ipalloc_pool_definition){__VA_ARGS__})

#endif
