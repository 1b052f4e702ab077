/*
 * draw_full.c: FULL is said only if at some instant of the call nothing was free, in the store.
 *
 * First the memory: every active range is shown to have been full at some instant, and then that
 * none has had anything free since its proof began, so that there was one instant t0 at which all
 * were full. The stamps of that are kept: while none of them moves, no bit has been freed.
 *
 * Then the store is asked for its head H: the question is sent after t0, and the answer was true at
 * some instant t > t0, before it came. If the memory does not know everything up to H, it catches
 * up to H, no further. If no stamp has moved by then, nothing was free at t: Say an address was
 * free at t: absent in the store at H, and in nobody's hands here. Its last change up to H is known
 * to the memory now. Had the memory learned of it after t0, it would have freed the bit, and a
 * stamp would have moved. So it had learned of it before t0, and a bit that was held all the time
 * since t0 was held by a claim of this process, made before t0. That claim was not undone, which
 * would have freed the bit; it was not committed up to H, or the address would be present at H, or
 * freed by a later change up to H; so it was in hand at t. (What is passed over because it is older
 * than an own commit, or than what a range was read at, was known by that before t0, or the address
 * was in hand at t.) An address in the hands of an open transaction of this process counts as used;
 * of those of other processes only the store tells, once they are committed.
 *
 * It ends, whatever others write: changes that free nothing here move no stamp, and H is not
 * chased. Only what is really freed makes it look again, and then there was something to draw.
 */
#include "registry/draw.h"

static size_t active_ranges(const range_set *set, ipalloc_range *out[IPALLOC_POOL_RANGES_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++)
        if (!set->ranges[i].draining)
            out[count++] = set->ranges[i].range;
    return count;
}

static bool is_free(const draw *d, const place *p) {
    range_offset offset;
    const pool_range *range = pool_find_range(d->pool, p, &offset);
    return range != NULL && !range->draining && range_state_of(range->range, offset) == RANGE_FREE;
}

/* A dry-run's own picks are free in the bitmap (but for those that cool): they are all that is left
 * where the free ones are no more than they. */
static bool only_own_picks_left(const draw *d) {
    u128 free = 0, own = 0;
    for (size_t i = 0; i < d->pool->set->count; i++) {
        const pool_range *range = &d->pool->set->ranges[i];
        if (!range->draining)
            free += range_count_free(range->range, RANGE_BAND_DYNAMIC) +
                    range_count_free(range->range, RANGE_BAND_STATIC);
    }
    for (size_t i = 0; i < d->txn->lease_count; i++) {
        const txn_lease *lease = d->txn->leases[i];
        own += lease->claim.pool == d->pool && !lease->stored && is_free(d, &lease->claim.place);
    }
    return free <= own;
}

int draw_prove_full(draw *d) {
    ipalloc_range *active[IPALLOC_POOL_RANGES_MAX];
    _Static_assert((int)IPALLOC_POOL_RANGES_MAX <= (int)RANGE_PROOF_MAX, "one proof is enough");
    full_proof *proof = &d->proof;
    proof->serial = d->pool->set->serial;
    proof->count = active_ranges(d->pool->set, active);
    proof->own_picks = d->txn->dry_run && only_own_picks_left(d);
    if (proof->own_picks)
        return DRAW_FULL;
    int status = range_prove_all_stamped(active, proof->count, proof->stamps);
    return status == IPALLOC_E_FULL ? DRAW_FULL : DRAW_AGAIN;
}

/* Has anything been freed since? Inside the gate. */
static bool still_stands(const draw *d) {
    ipalloc_range *active[IPALLOC_POOL_RANGES_MAX];
    const full_proof *proof = &d->proof;
    if (d->pool->set->serial != proof->serial)
        return false;
    if (proof->own_picks)
        return only_own_picks_left(d);
    active_ranges(d->pool->set, active);
    return range_all_still_full(active, proof->count, proof->stamps);
}

static int say_full(const draw *d) {
    const ipalloc_pool *pool = d->pool;
    size_t active = 0;
    for (size_t i = 0; i < pool->set->count; i++)
        active += !pool->set->ranges[i].draining;
    if (draw_refusals_count(d))
        draw_count_full(pool);
    return error_set(d->error, IPALLOC_E_FULL,
                     "pool %s is full: nothing is free in its %zu active %s", pool->name, active,
                     active == 1 ? "range" : "ranges");
}

int draw_confirm_full(draw *d) {
    ipalloc_registry *registry = d->txn->registry;
    int status = cache_catch_up(registry, d->error);
    if (status != IPALLOC_OK)
        return status;
    gate_enter(&registry->gate);
    status = still_stands(d) ? say_full(d) : DRAW_AGAIN;
    gate_leave(&registry->gate);
    return status;
}
