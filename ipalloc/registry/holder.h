/*
 * holder.h: who has an address that was refused as taken.
 */
#ifndef IPALLOC_REGISTRY_HOLDER_H
#define IPALLOC_REGISTRY_HOLDER_H

#include "registry/registry.h"

/* The owner of the lease, or else who is just being given it; false, and "", where it is neither
 * (excluded, resting, or free again by now), or where that cannot be read. */
bool holder_find(const ipalloc_pool *pool, const place *p, char owner[IPALLOC_OWNER_MAX + 1]);

#endif
