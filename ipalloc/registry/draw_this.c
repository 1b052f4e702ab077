/*
 * draw_this.c: claiming one address or port that is asked for, or saying why it cannot be had.
 *
 * Who holds it is read from the store. Refusals that only the memory knows a reason for (it is in
 * no range, drains, is excluded or cools) are said by a memory that has caught up since the call
 * began.
 */
#include "registry/draw.h"

#include <string.h>

/* How often to look again at an address that is taken by nobody to be seen. */
enum { LOOKS_MAX = 1000 };

/* The place at that offset, for the lease. OK; TAKEN; NOMEM. */
static int take_this(draw *d, pool_range *range, range_offset offset) {
    if (d->txn->dry_run) {
        enum range_state state = range_state_of(range->range, offset);
        bool cooling_is_fine = !d->pool->definition.refuse_reserve_cooling;
        return state == RANGE_FREE || (state == RANGE_COOLING && cooling_is_fine) ? IPALLOC_OK
                                                                                  : IPALLOC_E_TAKEN;
    }
    claim_table *claims = &d->txn->registry->claims;
    claims_lock(claims);
    d->took_cooling = !d->pool->definition.refuse_reserve_cooling &&
                      range_claim_cooling(range->range, offset) == IPALLOC_OK;
    int status = d->took_cooling ? IPALLOC_OK : range_claim(range->range, offset);
    if (status == IPALLOC_OK)
        draw_list_claim(d, range, offset);
    claims_unlock(claims);
    return status;
}

/* --- this address ----------------------------------------------------------------------------- */

static int say_in_hand(const draw *d, const char *address, const char *holder) {
    char quoted[300];
    if (strcmp(holder, d->txn->owner) == 0)
        return error_set(d->error, IPALLOC_E_CONFLICT,
                         "%s of pool %s is in the hands of another transaction of this owner",
                         address, d->pool->name);
    return error_set(d->error, IPALLOC_E_TAKEN, "%s of pool %s is being allocated by %s", address,
                     d->pool->name, text_quote(holder, strlen(holder), quoted, sizeof quoted));
}

static int say_held(const draw *d, const char *address, const char *holder) {
    char quoted[300];
    if (strcmp(holder, d->txn->owner) == 0)
        return error_set(d->error, IPALLOC_E_CONFLICT,
                         "another transaction of this owner has taken %s of pool %s", address,
                         d->pool->name);
    return error_set(d->error, IPALLOC_E_TAKEN, "%s of pool %s is held by %s", address,
                     d->pool->name, text_quote(holder, strlen(holder), quoted, sizeof quoted));
}

/* Who holds it, by the store. NOT_FOUND where nobody does. */
static int find_holder(const draw *d, const place *p, char holder[IPALLOC_OWNER_MAX + 1]) {
    record_key key = key_of_lease(d->pool->name, p);
    fetched record;
    ipalloc_lease lease;
    int status = registry_fetch(d->txn->registry, bytes_of_key(&key), &record, d->error);
    if (status != IPALLOC_OK)
        return status;
    bool fine = lease_parse(bytes_of_buffer(&record.value), p, &lease);
    text_free(&record.value);
    if (!fine)
        return record_corrupt(d->error, bytes_of_key(&key), "is not a lease record");
    memcpy(holder, lease.owner, sizeof lease.owner);
    return IPALLOC_OK;
}

/* Excluded, or cooling where that is refused; by what the memory knows. */
static int say_unfit(const draw *d, const char *address, enum range_state state) {
    if (state == RANGE_EXCLUDED)
        return error_set(d->error, IPALLOC_E_TAKEN, "%s is excluded from pool %s", address,
                         d->pool->name);
    return error_set(d->error, IPALLOC_E_TAKEN,
                     "%s of pool %s was released just now and is cooling down", address,
                     d->pool->name);
}

/* Say why a place cannot be had, or DRAW_BEHIND. What only the memory says, it may say once it has
 * caught up. */
static int explain_taken(const draw *d, const pool_range *range, range_offset offset) {
    char address[IPALLOC_ADDR_TEXT], holder[IPALLOC_OWNER_MAX + 1];
    const place *p = &d->lease->claim.place;
    enum claim_kind kind;
    place_format(p, address);
    if (claims_find(&d->txn->registry->claims, d->pool, p, &kind, holder) && kind == CLAIM_TAKE)
        return say_in_hand(d, address, holder);
    enum range_state state = range_state_of(range->range, offset);
    if (state == RANGE_EXCLUDED ||
        (state == RANGE_COOLING && d->pool->definition.refuse_reserve_cooling))
        return d->caught_up ? say_unfit(d, address, state) : DRAW_BEHIND;
    int status = find_holder(d, p, holder);
    if (status == IPALLOC_OK)
        return say_held(d, address, holder);
    /* Nobody holds it any more: the memory is behind, or it is just being released. */
    return status == IPALLOC_E_NOT_FOUND ? DRAW_BEHIND : status;
}

static int say_not_in_range(const draw *d, const pool_range *range) {
    char address[IPALLOC_ADDR_TEXT], text[IPALLOC_CIDR_TEXT], all[300];
    place_format(&d->lease->claim.place, address);
    if (range == NULL)
        return error_set(d->error, IPALLOC_E_NOT_IN_RANGE, "%s is not in pool %s (%s)", address,
                         d->pool->name, definition_describe(&d->pool->definition, all, sizeof all));
    ipalloc_cidr_format(&range->cidr, text);
    return error_set(d->error, IPALLOC_E_NOT_IN_RANGE,
                     "%s is in %s, which is draining: pool %s gives nothing more out of it",
                     address, text, d->pool->name);
}

/* One try, inside the gate. */
static int try_this(draw *d) {
    range_offset offset;
    draw_note_definitions(d->txn);
    pool_range *range = pool_find_range(d->pool, &d->lease->claim.place, &offset);
    if (range == NULL || range->draining)
        return d->caught_up ? say_not_in_range(d, range) : DRAW_BEHIND;
    int status = take_this(d, range, offset);
    if (status == IPALLOC_OK)
        return draw_accept(d, !d->pool->definition.refuse_reserve_cooling);
    if (status == IPALLOC_E_NOMEM)
        return error_no_memory(d->error);
    status = explain_taken(d, range, offset);
    if (status == IPALLOC_E_TAKEN && draw_refusals_count(d))
        activity_refuse(&range->activity, SCOPE_STATIC);
    return status;
}

int draw_this(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error) {
    draw d = {.txn = txn, .lease = lease, .pool = lease->claim.pool, .error = error};
    lease->scope = SCOPE_STATIC;
    return draw_timed(&d, try_this, LOOKS_MAX);
}
