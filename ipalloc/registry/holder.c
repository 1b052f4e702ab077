/*
 * holder.c: who has an address that was refused as taken.
 *
 * Asked only after a refusal, so the read of the lease's record costs nobody who is served. A claim
 * becomes a lease, never the other way round: whoever was not among the claims has committed before
 * the lease is read. Read in the other order, one that commits in between would be nowhere.
 */
#include "registry/holder.h"

#include "registry/record.h"

#include <string.h>

bool holder_find(const ipalloc_pool *pool, const place *p, char owner[IPALLOC_OWNER_MAX + 1]) {
    ipalloc_registry *registry = pool->registry;
    record_key key = key_of_lease(pool->name, p);
    enum claim_kind kind;
    fetched record;
    ipalloc_lease lease;
    bool found = claims_find(&registry->claims, pool, p, &kind, owner);
    if (registry_fetch(registry, bytes_of_key(&key), &record, NULL) == IPALLOC_OK) {
        if (lease_parse(bytes_of_buffer(&record.value), p, &lease)) {
            memcpy(owner, lease.owner, sizeof lease.owner);
            found = true;
        }
        text_free(&record.value);
    }
    if (!found)
        owner[0] = '\0';
    return found;
}
