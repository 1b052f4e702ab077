/*
 * claim_end.c: how a claim ends: undone, or confirmed by its commit.
 *
 * What the store's changes told of the place meanwhile is in the claim, and the later of that and
 * the commit decides its bit. The whole transaction is confirmed in one step under the claims'
 * lock: first the bits follow, and only then is its revision counted as seen, so that whoever finds
 * the memory to be up to date finds the bits to be so too.
 */
#include "registry/txn.h"

/* --- undone ----------------------------------------------------------------------------------- */

/* With the claims locked, so that nobody takes it before it is excluded, if it is to be. */
static void let_go(const txn_lease *lease) {
    const claim *c = &lease->claim;
    range_offset offset;
    pool_range *range = pool_find_range(c->pool, &c->place, &offset);
    if (range == NULL)
        return;
    range_unclaim(range->range, offset,
                  c->cooling_seen ? c->cooled_since_ms : lease->cooled_since_ms);
    exclude_released(c->pool, range, offset); /* by another server, while it was in hand */
}

void draw_undo(ipalloc_txn *txn, txn_lease *lease) {
    claim *c = &lease->claim;
    claim_table *claims = &txn->registry->claims;
    if (!c->listed)
        return;
    claims_lock(claims);
    claims_unlist(claims, c);
    if (c->kind == CLAIM_TAKE && !c->present) /* else another server has a lease of it */
        let_go(lease);
    claims_unlock(claims);
}

/* --- confirmed -------------------------------------------------------------------------------- */

/* Where the memory did not know of the lease yet, it may be free or cool: it is made held first. */
static void free_released(const ipalloc_txn *txn, const claim *c) {
    range_offset offset;
    pool_range *range = pool_find_range(c->pool, &c->place, &offset);
    if (range == NULL)
        return;
    enum range_state state = range_state_of(range->range, offset);
    if (state == RANGE_FREE)
        range_claim(range->range, offset);
    else if (state == RANGE_COOLING)
        range_claim_cooling(range->range, offset);
    if (range_release(range->range, offset, txn->time_ms) == IPALLOC_E_NOMEM)
        range_unclaim(range->range, offset, 0); /* no memory to rest it: the store still knows */
    exclude_released(c->pool, range, offset);
}

static void count_granted(const ipalloc_txn *txn, const txn_lease *lease) {
    range_offset offset;
    pool_range *range = pool_find_range(lease->claim.pool, &lease->claim.place, &offset);
    if (range != NULL)
        activity_grant(&range->activity, lease->scope, lease->draw_ms + txn->commit_ms);
}

static void confirm_take(const ipalloc_txn *txn, const txn_lease *lease, uint64_t revision) {
    const claim *c = &lease->claim;
    count_granted(txn, lease);
    if (c->seen_revision <=
        revision) /* whoever planned to release an earlier lease: not this one */
        claims_note_lease(&txn->registry->claims, c->pool, &c->place, true, revision);
    else if (!c->present)
        let_go(lease); /* released again before we came here, by another server */
}

static void confirm_release(const ipalloc_txn *txn, const claim *c, uint64_t revision) {
    if (c->seen_revision >= revision && revision != 0)
        return; /* the changes were faster */
    claim_table *claims = &txn->registry->claims;
    bool taken = claims_note_lease(claims, c->pool, &c->place, false, revision);
    if (definition_keeps_releases(&c->pool->definition))
        claims_note_cooling(claims, c->pool, &c->place, txn->time_ms);
    if (!taken)
        free_released(txn, c);
}

static void confirm(ipalloc_txn *txn, txn_lease *lease, uint64_t revision, uint64_t seen) {
    claim *c = &lease->claim;
    ipalloc_registry *registry = txn->registry;
    if (!c->listed)
        return;
    claims_unlist(&registry->claims, c);
    if (c->kind == CLAIM_TAKE)
        confirm_take(txn, lease, revision);
    else
        confirm_release(txn, c, revision);
    bool is_next = revision == seen + 1; /* then it is seen in a moment */
    if (!is_next && !claims_remember(&registry->claims, c->pool, &c->place, revision, seen))
        cache_ask_for_rebuild(registry);
}

void draw_committed(ipalloc_txn *txn, uint64_t revision) {
    ipalloc_registry *registry = txn->registry;
    claims_lock(&registry->claims);
    uint64_t seen = cache_seen_revision(registry);
    for (size_t i = 0; i < txn->lease_count; i++)
        confirm(txn, txn->leases[i], revision, seen);
    if (revision != 0)
        cache_note_own_commit(registry, revision);
    claims_unlock(&registry->claims);
    if (revision == 0 && txn->touched_count > 0) /* when it was is not known, so neither is what */
        cache_ask_for_rebuild(registry);         /* of the changes to come is older */
}
