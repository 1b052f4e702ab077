/*
 * holder.c: who has an address that was refused as taken.
 *
 * Asked only after a refusal, so the read of the lease's record costs nobody who is served.
 */
#include "kubernetes/holder.h"

#include "registry/registry.h"

#include <string.h>

static int look_up(ipalloc_pool *pool, const place *p, ipalloc_lease *out) {
    ipalloc_addr address = place_addr(p);
    if (pool->kind == IPALLOC_POOL_PORT)
        return ipalloc_lookup_port(pool->registry, pool, place_port(p), out, NULL);
    return ipalloc_lookup(pool->registry, pool, &address, out, NULL);
}

void holder_find(ipalloc_pool *pool, const place *p, char owner[IPALLOC_OWNER_MAX + 1]) {
    ipalloc_lease lease = {.size = sizeof lease};
    owner[0] = '\0';
    if (look_up(pool, p, &lease) == IPALLOC_OK) {
        memcpy(owner, lease.owner, sizeof lease.owner);
        return;
    }
    enum claim_kind kind;
    if (!claims_find(&pool->registry->claims, pool, p, &kind, owner))
        owner[0] = '\0';
}
