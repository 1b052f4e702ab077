/*
 * preload.h: the registry of the durable cases: its one pool, its one-shots, its leases from
 * before.
 */
#ifndef IPALLOC_BENCH_PRELOAD_H
#define IPALLOC_BENCH_PRELOAD_H

#include "bench.h"

#define DURABLE_POOL   "services-v4"
#define DURABLE_RANGE  "10.0.0.0/8"
#define PRELOAD_SERIAL ((uint64_t)1 << 32) /* owners of preloaded leases count from here */

/* A new store of `leases` leases. These say on stderr what failed. */
bool preload_store(const char *url, uint64_t leases);
bool durable_failed(const char *what, int status, const ipalloc_error *error);
bool durable_pool_define(ipalloc_registry *registry, ipalloc_pool **out);

/* One allocation for an owner of its own, and `count` of them. */
int durable_one_shot(ipalloc_registry *registry, ipalloc_pool *pool, uint64_t serial,
                     ipalloc_error *error);
bool durable_one_shots(ipalloc_registry *registry, ipalloc_pool *pool, uint64_t first_serial,
                       uint64_t count);

#endif
