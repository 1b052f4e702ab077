/*
 * holder.h: who has an address that was refused as taken.
 */
#ifndef IPALLOC_KUBERNETES_HOLDER_H
#define IPALLOC_KUBERNETES_HOLDER_H

#include "registry/record.h"

/* The owner of the lease, or else who is just being given it; "" where it is neither (excluded,
 * resting, or free again by now). */
void holder_find(ipalloc_pool *pool, const place *p, char owner[IPALLOC_OWNER_MAX + 1]);

#endif
