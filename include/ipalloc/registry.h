/*
 * registry.h: pools that last. Transactions over reserve / allocate / release, persisted.
 *
 * A registry draws addresses from pools and keeps every lease in a store. What it promises:
 *   no double   no two owners ever hold the same address or port;
 *   no loss     what a commit answered OK for survives kill -9 and power cuts;
 *   no leak     a lease exists only if the transaction that made it was committed, together with
 *               every record the caller put into it; nothing needs sweeping;
 *   no false FULL, guarded release, safe repetition, exact counts (see each call).
 *
 * Words: an owner is an opaque name of 1..255 bytes without NUL, by convention
 * "Service/<namespace>/<name>/<uid>". A slot is what an address is for within its owner, 1..63
 * bytes
 * ("clusterIP/IPv4", "nodePort/http"). A lease is {address, owner, slots, generation, time}.
 *
 * A transaction is used by one thread at a time; everything else here is thread-safe.
 */
#ifndef IPALLOC_REGISTRY_H
#define IPALLOC_REGISTRY_H

#include <ipalloc/range.h>
#include <ipalloc/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ipalloc_registry ipalloc_registry;
typedef struct ipalloc_pool ipalloc_pool; /* owned by its registry, valid until that is closed */
typedef struct ipalloc_txn ipalloc_txn;

#define IPALLOC_OWNER_MAX       255 /* bytes */
#define IPALLOC_SLOT_MAX        63  /* bytes */
#define IPALLOC_LEASE_SLOTS_MAX 16  /* slots that share one address */
#define IPALLOC_POOL_NAME_MAX   63  /* bytes: a-z 0-9 and '-', not at the ends */
#define IPALLOC_POOL_RANGES_MAX 256 /* ::/0 without one address is 128 of them */
#define IPALLOC_TXN_ADDRESSES_MAX \
    100                             /* allocations, reservations and releases in one transaction */
#define IPALLOC_TXN_RECORDS_MAX 32  /* the caller's own records in one transaction */
#define IPALLOC_RECORD_KEY_MAX  768 /* bytes */

/* --- registry --------------------------------------------------------------------------------- */

typedef struct ipalloc_registry_options {
    size_t size;
    const ipalloc_hooks *hooks; /* copied */
} ipalloc_registry_options;

/* Open the registry in `store`, which must stay open longer; loads every pool and lease key. A
 * restored store that nobody accepted opens, but allocates nothing (MISMATCH) until
 * ipalloc_store_accept.
 * OK; CORRUPT (which record, and why); BUSY (the store has a registry open already); IO;
 * UNAVAILABLE; NOMEM; INVALID. */
IPALLOC_API int ipalloc_registry_open(ipalloc_store *store, const ipalloc_registry_options *options,
                                      ipalloc_registry **out, ipalloc_error *error);

/* Close it and its pools. Open transactions must have ended. Does not close the store. */
IPALLOC_API void ipalloc_registry_close(ipalloc_registry *registry);

/* Prove in place that the store and the memory agree: every lease has its bit and its owner record,
 * every bit a lease, counts add up. Call it when no transaction is open. OK; CORRUPT (what, in the
 * message); CONFLICT (other servers kept writing while it compared); IO; UNAVAILABLE; NOMEM. */
IPALLOC_API int ipalloc_registry_validate(ipalloc_registry *registry, ipalloc_error *error);

/* --- pools ------------------------------------------------------------------------------------ */

enum ipalloc_pool_kind { IPALLOC_POOL_IPV4 = 4, IPALLOC_POOL_IPV6 = 6, IPALLOC_POOL_PORT = 1 };

typedef struct ipalloc_pool_definition {
    size_t size;
    int kind;                   /* enum ipalloc_pool_kind */
    const ipalloc_cidr *ranges; /* address pools: 1..IPALLOC_POOL_RANGES_MAX, of that family */
    size_t range_count;
    uint16_t port_first, port_last; /* port pools */
    uint32_t strategy;              /* the rest as in ipalloc_range_options, for every range */
    uint64_t static_band_size;
    uint64_t cool_down_ms; /* a rest lasts so long at least; in ranges of up to 2^24
                              addresses up to 1.5 times that and 2 ms, because the memory
                              keeps 2 bits an address and not its time (range.h);
                              exactly so long with oldest-freed */
    bool use_all_addresses;
    bool reuse_cooling_when_full; /* the longest-rested of the whole pool, by the store's times */
    bool refuse_reserve_cooling;
    bool change; /* the stored definition may be changed to this one: new ranges are
                    added, ranges not listed start draining, options are replaced;
                    nothing that is held is renumbered */
} ipalloc_pool_definition;

/* Define a pool, or open it if the store has it already with the same definition.
 * OK; INVALID (name, kind, a range with no usable address, two ranges that overlap); MISMATCH (the
 * store has another definition and `change` is not set: shows both; or a range overlaps one of any
 * address pool: names both; each port pool is a number space of its own); CONFLICT; READ_ONLY; IO;
 * UNKNOWN_OUTCOME (define it again to find out); NOMEM. */
IPALLOC_API int ipalloc_pool_define(ipalloc_registry *registry, const char *name,
                                    const ipalloc_pool_definition *definition, ipalloc_pool **out,
                                    ipalloc_error *error);

/* The pool of that name. OK; NOT_FOUND. */
IPALLOC_API int ipalloc_pool_open(ipalloc_registry *registry, const char *name, ipalloc_pool **out,
                                  ipalloc_error *error);

/* The pools one after another, by name: *pool NULL at first. OK; NOT_FOUND (no further one). */
IPALLOC_API int ipalloc_pool_next(ipalloc_registry *registry, ipalloc_pool **pool);

IPALLOC_API const char *ipalloc_pool_name(const ipalloc_pool *pool);
IPALLOC_API int ipalloc_pool_kind_of(const ipalloc_pool *pool);

/* Whatever changes a pool's definition (define, and what follows here) may also answer UNAVAILABLE,
 * CORRUPT (what the store holds; names the record), NOMEM, and UNKNOWN_OUTCOME (call it again to
 * find out). CONFLICT: other servers kept changing definitions; call it again.
 * What a change takes away drains first (ports: is excluded), so that no other server gives out of
 * it any more, and goes in a second commit, once nothing is held in it. If something is, the first
 * one is taken back. Where the process ends in between, or the store fails, what should go drains,
 * and the same change made again goes on from there. */

/* Add a range to an address pool; drawn from at once.
 * OK; INVALID; MISMATCH (overlap, or it is draining: names which); CONFLICT; READ_ONLY; IO; NOMEM.
 */
IPALLOC_API int ipalloc_pool_add_range(ipalloc_pool *pool, const ipalloc_cidr *range,
                                       ipalloc_error *error);
/* Give nothing more out of it, neither dynamically nor by reserve; what is held stays held.
 * OK; NOT_FOUND (no such range); CONFLICT; READ_ONLY; IO. */
IPALLOC_API int ipalloc_pool_drain_range(ipalloc_pool *pool, const ipalloc_cidr *range,
                                         ipalloc_error *error);
/* Remove a draining range that holds nothing. OK; NOT_FOUND; TAKEN (says how many are held and
 * one of them with its owner); INVALID (not draining); CONFLICT; READ_ONLY; IO. */
IPALLOC_API int ipalloc_pool_remove_range(ipalloc_pool *pool, const ipalloc_cidr *range,
                                          ipalloc_error *error);

typedef struct ipalloc_pool_range_spec {
    ipalloc_cidr cidr;
    bool draining;
} ipalloc_pool_range_spec;

/* Give an address pool another set of ranges, all at once: what is not in it goes. So a range grows
 * in place (10.96.0.0/28 becomes 10.96.0.0/24), or shrinks: the smaller one, and what is left of
 * the old one (ipalloc_cidr_subtract) as draining ranges.
 *   - Everything held stays held, by the same owner, in whichever new range it lies, active or
 *     draining. A draining range that the pool did not have before counts all its addresses, also
 *     those that an active one does not give out; a single address may drain.
 *   - An address that is held and becomes such an end of an active range (10.96.0.15 of a /28 cut
 *     out of a /24) is kept in a draining range of one address, which need not be listed and goes
 *     with the next change of the set once it is released. One that is listed stays.
 *   - Exclusions stay as far as they lie in what the new ranges give out. What cools goes on
 *     cooling there; elsewhere it is forgotten by memory, and rests again if its range comes back
 *     in time.
 *   - An open transaction that has claimed anything gets CONFLICT at its commit.
 *   - Counters of a range with the same CIDR go on; those of any other begin at 0.
 *   - No range at all (`count` 0) leaves the pool's name and options alone: it has no address, and
 *     its ranges are free for other pools. That is how a pool ends.
 * The set that the pool has already changes nothing. Cost: one reading of the pool's leases; three
 * where something goes.
 * OK; TAKEN (something held would lie in no range: names it and its holder); INVALID (two of them
 * overlap: names both; one has bits beyond its prefix, is of the other family or has no usable
 * address; more than IPALLOC_POOL_RANGES_MAX; a port pool); MISMATCH (one overlaps a
 * range of another pool: names both); CONFLICT; READ_ONLY; IO; UNKNOWN_OUTCOME (set them again to
 * find out); NOMEM. On failure nothing has changed, or what should go drains (above). */
IPALLOC_API int ipalloc_pool_set_ranges(ipalloc_pool *pool, const ipalloc_pool_range_spec *ranges,
                                        size_t count, ipalloc_error *error);

/* Never give out first..last, or give it out again; kept in the store.
 * OK; TAKEN (names the address and its owner); NOT_IN_RANGE (an end of it is given out by no range,
 * or it spans two: says which); NOT_FOUND (include: was not excluded); INVALID; CONFLICT;
 * READ_ONLY; IO; NOMEM. */
IPALLOC_API int ipalloc_pool_exclude(ipalloc_pool *pool, const ipalloc_addr *first,
                                     const ipalloc_addr *last, ipalloc_error *error);
IPALLOC_API int ipalloc_pool_include(ipalloc_pool *pool, const ipalloc_addr *first,
                                     const ipalloc_addr *last, ipalloc_error *error);

typedef struct ipalloc_pool_stats {
    size_t size;
    size_t range_count;
    ipalloc_band_stats static_band, dynamic_band,
        total; /* over its active ranges and draining ones */
    /* Since the registry was opened: what ipalloc_repair_apply freed and reserved, and the findings
     * that it only reports, each time that ipalloc_repair met them. */
    uint64_t leaks_freed, missing_reserved, duplicates_found, out_of_range_found;
} ipalloc_pool_stats;

/* Counts of a pool. Claims of open transactions count as used. OK; INVALID. */
IPALLOC_API int ipalloc_pool_get_stats(ipalloc_pool *pool, ipalloc_pool_stats *out,
                                       ipalloc_error *error);

/* Durations are counted in buckets: 5, 10, 25, 50, 100, 250, 500 ms, 1, 2.5, 5, 10 s, and longer.
 */
#define IPALLOC_DURATION_BUCKETS 12

/* The longest duration that a bucket counts, in milliseconds; UINT64_MAX for the last. */
IPALLOC_API uint64_t ipalloc_duration_bound_ms(size_t bucket);

/* A range as it is, and what happened to it since the registry was opened or the range came. An
 * allocation is counted once it is committed, not where the owner had the address already; a
 * refusal when it is said: an address that was asked for is taken, or nothing is free in the pool
 * (then in each active range). Dry-runs do not count. */
typedef struct ipalloc_pool_range {
    size_t size;
    ipalloc_cidr cidr; /* address pools */
    bool draining;
    ipalloc_range_stats stats;
    ipalloc_addr static_first, static_last; /* usable ones of the static band; family 0 or port 0
                                               where it is empty */
    uint16_t port_static_first, port_static_last;
    uint64_t granted_static, granted_dynamic; /* asked for by address or port; picked */
    uint64_t refused_static, refused_dynamic;
    /* How long each grant took: the step that claimed it and the commit, without what the caller
     * did between them; by the hooks' monotonic clock, whose steps are milliseconds. */
    uint64_t durations[IPALLOC_DURATION_BUCKETS]; /* each bucket by itself */
    uint64_t duration_sum_ms;
} ipalloc_pool_range;

/* The index-th range of a pool, counted from 0. OK; NOT_FOUND (no such index); INVALID. */
IPALLOC_API int ipalloc_pool_get_range(ipalloc_pool *pool, size_t index, ipalloc_pool_range *out,
                                       ipalloc_error *error);

/* Visit the excluded stretches of an address pool in order, both ends included. What was held when
 * its stretch was excluded stays held, and is excluded once it is released. `visit` must not call
 * the registry; a non-zero return of it stops and is the result. A port pool has none.
 * OK; INVALID; IO; UNAVAILABLE; CORRUPT; NOMEM. */
typedef int (*ipalloc_excluded_visit)(void *context, const ipalloc_addr *first,
                                      const ipalloc_addr *last);
IPALLOC_API int ipalloc_pool_list_excluded(ipalloc_pool *pool, ipalloc_excluded_visit visit,
                                           void *context, ipalloc_error *error);

/* --- transactions ----------------------------------------------------------------------------- */

typedef struct ipalloc_txn_options {
    size_t size;
    const char *owner;     /* who the addresses are for; copied. NULL: records only */
    bool dry_run;          /* claim nothing, keep nothing, refuse what a commit would refuse */
    uint64_t deadline_ms;  /* from now; 0: none. Past it, waiting calls end with UNAVAILABLE; a
                              commit that was sent by then, with UNKNOWN_OUTCOME */
    uint32_t max_attempts; /* ipalloc_transact only; 0: 16 */
    bool new_owner;        /* this owner is expected to hold nothing: its record is not read, and
                              the commit finds out: CONFLICT where the guess was wrong (then
                              ipalloc_transact runs it again without guessing). Saves a reading;
                              steps that must know the record read it after all */
} ipalloc_txn_options;

/* What was given. */
typedef struct ipalloc_grant {
    size_t size;
    ipalloc_addr address; /* address pools */
    uint16_t port;        /* port pools */
    uint64_t generation;  /* tells this lease from any earlier one of the same address; < 2^53 */
    bool existing;        /* the owner had it in this slot already */
} ipalloc_grant;

/* Begin. The caller ends it with commit or abort (both free it), except after UNKNOWN_OUTCOME.
 * OK; INVALID (owner, option); READ_ONLY (dry-run is fine on a read-only store); MISMATCH (restored
 * and not accepted: nothing is written to it, releases and records included; dry-runs are fine);
 * NOMEM. */
IPALLOC_API int ipalloc_begin(ipalloc_registry *registry, const ipalloc_txn_options *options,
                              ipalloc_txn **out, ipalloc_error *error);

/* Claim any free address for `slot`; the owner asking again in the same slot gets the same one,
 * with `existing` set. Nobody else in the process can take a claimed address; it becomes a lease
 * with the commit. OK; FULL (see below); INVALID (no owner, bad slot, a port pool, over
 * IPALLOC_TXN_ADDRESSES_MAX: before any claim); CONFLICT; IO; NOMEM. FULL: at some instant during
 * the call nothing was free in any active range; an address claimed by an open transaction counts
 * as used, one that cools is not free. */
IPALLOC_API int ipalloc_txn_allocate(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                                     ipalloc_grant *out, ipalloc_error *error);

/* Claim this address for `slot`. One that this owner holds already gets the slot added (TCP and UDP
 * ports that share a node port); another address in an occupied slot is TAKEN unless this
 * transaction releases the old one.
 * OK; TAKEN (names who holds it, or who is just being given it); NOT_IN_RANGE; INVALID; CONFLICT;
 * IO; NOMEM. */
IPALLOC_API int ipalloc_txn_reserve(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                                    const ipalloc_addr *address, ipalloc_grant *out,
                                    ipalloc_error *error);

/* Release the address that this transaction's owner holds, when the commit is durable and not
 * before. `generation` 0 means any. All its slots go. What is free already is OK.
 * OK; NOT_OWNER (names the holder, or the other generation); NOT_IN_RANGE; INVALID; IO; NOMEM. */
IPALLOC_API int ipalloc_txn_release(ipalloc_txn *txn, ipalloc_pool *pool,
                                    const ipalloc_addr *address, uint64_t generation,
                                    ipalloc_error *error);

/* Release one slot; the lease goes with its last slot. OK (also if the slot is empty); others as
 * ipalloc_txn_release. */
IPALLOC_API int ipalloc_txn_release_slot(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                                         ipalloc_error *error);

/* Release everything that this transaction's owner holds, in every pool. OK; INVALID (more than
 * IPALLOC_TXN_ADDRESSES_MAX: use ipalloc_release_owner); IO; NOMEM. */
IPALLOC_API int ipalloc_txn_release_all(ipalloc_txn *txn, ipalloc_error *error);

/* The same calls for port pools. */
IPALLOC_API int ipalloc_txn_allocate_port(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                                          ipalloc_grant *out, ipalloc_error *error);
IPALLOC_API int ipalloc_txn_reserve_port(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                                         uint16_t port, ipalloc_grant *out, ipalloc_error *error);
IPALLOC_API int ipalloc_txn_release_port(ipalloc_txn *txn, ipalloc_pool *pool, uint16_t port,
                                         uint64_t generation, ipalloc_error *error);

/* Rename a slot that the owner occupies; its address stays. OK; NOT_FOUND; TAKEN (the new name is
 * occupied by another address); INVALID; IO; NOMEM. */
IPALLOC_API int ipalloc_txn_rename_slot(ipalloc_txn *txn, ipalloc_pool *pool, const char *from,
                                        const char *to, ipalloc_error *error);

/* What the owner holds in `slot` as this transaction sees it (its own changes included).
 * OK; NOT_FOUND; INVALID; IO. */
IPALLOC_API int ipalloc_txn_find_slot(ipalloc_txn *txn, ipalloc_pool *pool, const char *slot,
                                      ipalloc_grant *out, ipalloc_error *error);

/* The caller's own record in the same atomic batch. `expected_revision`: the record's revision,
 * IPALLOC_REVISION_ABSENT (it must not exist) or IPALLOC_REVISION_ANY.
 * Key: 1..IPALLOC_RECORD_KEY_MAX bytes without NUL, the caller's own name space; bytes are copied.
 * OK; INVALID; NOMEM. A condition that does not hold is the commit's CONFLICT. */
#define IPALLOC_REVISION_ABSENT ((uint64_t)0)
#define IPALLOC_REVISION_ANY    UINT64_MAX
IPALLOC_API int ipalloc_txn_put(ipalloc_txn *txn, const char *key, const void *value,
                                size_t value_size, uint64_t expected_revision,
                                ipalloc_error *error);
IPALLOC_API int ipalloc_txn_delete(ipalloc_txn *txn, const char *key, uint64_t expected_revision,
                                   ipalloc_error *error);
/* The same condition without a change: the commit holds only if the record is still so. Statuses as
 * above; IPALLOC_REVISION_ANY says nothing and is INVALID. */
IPALLOC_API int ipalloc_txn_check(ipalloc_txn *txn, const char *key, uint64_t expected_revision,
                                  ipalloc_error *error);

/* Make it durable and end it. *revision (may be NULL) is the batch's; 0 where nothing was written.
 * A transaction without a step that changes or checks anything is OK without touching the store;
 * one that only checks reads, unless two of its records must be absent. A dry-run ends OK and keeps
 * nothing.
 * OK; CONFLICT (the store has moved on: claims undone, the message says on what; run it again or
 * use ipalloc_transact); IO; UNAVAILABLE (nothing happened); UNKNOWN_OUTCOME (not freed: only
 * commit and abort may follow); INVALID (the owner holds more than one record can tell, some 10,000
 * addresses); NOMEM. Commit once more finds out how it ended: OK if it has happened, and where a
 * store that others write to has not taken it, it is sent again with the same addresses. */
IPALLOC_API int ipalloc_txn_commit(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error);

/* Undo the claims and end it. After UNKNOWN_OUTCOME it settles the outcome: what has not happened
 * by then never will, and what has, stays. Where the store cannot be asked, or the deadline has
 * passed, the claims stay until it answers a later call, whichever that is. What is not settled
 * when the registry is closed, or the process dies, ends as the store takes it: all of it, or
 * nothing; and the owner who asks again gets what it holds. NULL is fine. */
IPALLOC_API void ipalloc_txn_abort(ipalloc_txn *txn);

/* Run `body` in a transaction and commit it, again from the start after CONFLICT, up to
 * max_attempts times. body returns OK to commit; anything else aborts and is the result. An unknown
 * outcome is resolved as far as the deadline and the store allow; UNKNOWN_OUTCOME says that it was
 * not: it is then settled in a later call, and asking again for the same owner and slots is safe.
 * Results: those of begin, body and commit. */
typedef int (*ipalloc_txn_body)(ipalloc_txn *txn, void *context, ipalloc_error *error);
IPALLOC_API int ipalloc_transact(ipalloc_registry *registry, const ipalloc_txn_options *options,
                                 ipalloc_txn_body body, void *context, uint64_t *revision,
                                 ipalloc_error *error);

/* One-shots: a transaction of one step, run again on CONFLICT. Statuses: those of the step and of
 * the commit. */
IPALLOC_API int ipalloc_allocate(ipalloc_registry *registry, ipalloc_pool *pool, const char *owner,
                                 const char *slot, ipalloc_grant *out, ipalloc_error *error);
IPALLOC_API int ipalloc_reserve(ipalloc_registry *registry, ipalloc_pool *pool, const char *owner,
                                const char *slot, const ipalloc_addr *address, ipalloc_grant *out,
                                ipalloc_error *error);
IPALLOC_API int ipalloc_release(ipalloc_registry *registry, ipalloc_pool *pool, const char *owner,
                                const ipalloc_addr *address, uint64_t generation,
                                ipalloc_error *error);
/* Release all that an owner holds, in as many transactions as it takes; *released (may be NULL)
 * counts leases, also when it fails half-way. */
IPALLOC_API int ipalloc_release_owner(ipalloc_registry *registry, const char *owner,
                                      size_t *released, ipalloc_error *error);

/* --- looking ---------------------------------------------------------------------------------- */

typedef struct ipalloc_lease {
    size_t size;
    const char *pool; /* name, owned by the registry */
    ipalloc_addr address;
    uint16_t port;
    uint64_t generation;
    uint64_t time_ms;  /* of the allocation, wall clock since the Unix epoch */
    uint64_t revision; /* of its record */
    char owner[IPALLOC_OWNER_MAX + 1];
    size_t slot_count;
    char slots[IPALLOC_LEASE_SLOTS_MAX][IPALLOC_SLOT_MAX + 1];
} ipalloc_lease;

/* The committed lease of an address or port. OK; NOT_FOUND; NOT_IN_RANGE; CORRUPT; IO; INVALID. */
IPALLOC_API int ipalloc_lookup(ipalloc_registry *registry, ipalloc_pool *pool,
                               const ipalloc_addr *address, ipalloc_lease *out,
                               ipalloc_error *error);
IPALLOC_API int ipalloc_lookup_port(ipalloc_registry *registry, ipalloc_pool *pool, uint16_t port,
                                    ipalloc_lease *out, ipalloc_error *error);

/* Visit the committed leases of a pool (NULL: of all) in order of pool and address, at one
 * revision. A non-zero return of `visit` stops and is the result. OK; CORRUPT; IO; UNAVAILABLE;
 * EXPIRED (a store that is read over a network has forgotten that revision meanwhile: list again);
 * NOMEM. */
typedef int (*ipalloc_lease_visit)(void *context, const ipalloc_lease *lease);
IPALLOC_API int ipalloc_list(ipalloc_registry *registry, ipalloc_pool *pool,
                             ipalloc_lease_visit visit, void *context, ipalloc_error *error);
/* The same, and that revision in *at_revision (may be NULL): what ipalloc_lease_changes tells since
 * then, is what the list does not show. */
IPALLOC_API int ipalloc_list_at(ipalloc_registry *registry, ipalloc_pool *pool,
                                ipalloc_lease_visit visit, void *context, uint64_t *at_revision,
                                ipalloc_error *error);
IPALLOC_API int ipalloc_owner_leases(ipalloc_registry *registry, const char *owner,
                                     ipalloc_lease_visit visit, void *context,
                                     ipalloc_error *error);

/* Visit, in order of revision, the leases of a pool (NULL: of all) that were made, changed (slots)
 * or deleted after revision `since`. lease->revision is that of the change; of a deleted one only
 * pool, address or port, and that are set. At most `limit` changes (0: all), but a batch is never
 * cut in two; *up_to (may be NULL) gets the revision that the answer is complete to. `visit` must
 * not call the registry; a non-zero return of it stops and is the result.
 * OK; EXPIRED (changes since then are no longer kept: list again); INVALID (a revision that has not
 * been yet); CORRUPT; IO; UNAVAILABLE; NOMEM. */
typedef int (*ipalloc_lease_change_visit)(void *context, const ipalloc_lease *lease, bool deleted);
IPALLOC_API int ipalloc_lease_changes(ipalloc_registry *registry, uint64_t since,
                                      ipalloc_pool *pool, size_t limit,
                                      ipalloc_lease_change_visit visit, void *context,
                                      uint64_t *up_to, ipalloc_error *error);

/* An address or port that rests after its release. */
typedef struct ipalloc_cooling {
    size_t size;
    const char *pool; /* name, owned by the registry */
    ipalloc_addr address;
    uint16_t port;
    uint64_t released_ms;              /* wall clock since the Unix epoch */
    uint64_t free_at_ms;               /* no earlier than then; up to how much later: see
                                          ipalloc_pool_definition */
    char owner[IPALLOC_OWNER_MAX + 1]; /* who held it last */
} ipalloc_cooling;

/* Visit what cools in a pool (NULL: in all) in order of pool and address: as many as
 * ipalloc_pool_get_stats counts. `visit` must not call the registry; a non-zero return of it stops
 * and is the result. OK; CORRUPT; IO; UNAVAILABLE; EXPIRED as in ipalloc_list; NOMEM; INVALID. */
typedef int (*ipalloc_cooling_visit)(void *context, const ipalloc_cooling *cooling);
IPALLOC_API int ipalloc_list_cooling(ipalloc_registry *registry, ipalloc_pool *pool,
                                     ipalloc_cooling_visit visit, void *context,
                                     ipalloc_error *error);

/* The caller's own records. Keys are as given to ipalloc_txn_put. See store.h for the semantics. */
IPALLOC_API int ipalloc_record_get(ipalloc_registry *registry, const char *key, ipalloc_visit visit,
                                   void *context, ipalloc_error *error);
IPALLOC_API int ipalloc_record_scan(ipalloc_registry *registry, const char *prefix,
                                    const char *after, size_t limit, ipalloc_visit visit,
                                    void *context, uint64_t *at_revision, ipalloc_error *error);
IPALLOC_API int ipalloc_record_changes(ipalloc_registry *registry, uint64_t since,
                                       const char *prefix, size_t limit, ipalloc_visit visit,
                                       void *context, uint64_t *up_to, ipalloc_error *error);

/* --- keeping up with other servers ------------------------------------------------------------ */

/* Where several servers share a store (etcd), the store tells each what the others did. Nothing
 * here has to be called: whatever is decided is decided by the store, and each call that must know
 * the latest state asks for it (FULL, a refused reserve, a list). A registry that is kept up to
 * date picks addresses that are really free, so that fewer commits end in CONFLICT, and has less to
 * read when it must be exact. What a call returns may be out of date the moment after. In "memory:"
 * and "sqlite:" stores, which one process owns, nothing ever arrives. */

/* For a program with an event loop: a descriptor to wait on (POLLIN), which becomes readable when
 * ipalloc_registry_process has something to do; the same as long as the store is open, and the
 * store's: do not read or close it. -1: this store has none, and nothing ever arrives. Thread-safe.
 */
IPALLOC_API int ipalloc_registry_poll_fd(ipalloc_registry *registry);

/* Call ipalloc_registry_process no later than in so many milliseconds, 0: now; -1: the descriptor
 * tells. Ask anew before each wait. Thread-safe. */
IPALLOC_API int ipalloc_registry_poll_timeout_ms(ipalloc_registry *registry);

/* Take in what has arrived and apply it, without waiting for more. *known_to (may be NULL) gets the
 * revision up to which the memory knows everything and ipalloc_record_changes, _lease_changes tell
 * everything; also where this fails, and then it may be that of the last time. It never falls.
 * Cheap where nothing has arrived. Where another server has changed a pool's definition, or changes
 * were lost (a compaction, a long partition), it reads those pools or everything anew, which takes
 * requests to the store and waits for the commits that are on their way.
 * Thread-safe, and beside any other call; two at once wait for one another.
 * OK; UNAVAILABLE (the store cannot be reached now; go on, it tries again when
 * ipalloc_registry_poll_timeout_ms says so); CORRUPT (what another server wrote; names the record);
 * MISMATCH (the store was restored, or is another one now: open it again); IO; NOMEM; INVALID
 * (registry is NULL). */
IPALLOC_API int ipalloc_registry_process(ipalloc_registry *registry, uint64_t *known_to,
                                         ipalloc_error *error);

/* The same for a program without an event loop, to be run in a thread of its own: waits, processes,
 * and waits again until `stop_fd` is readable or hung up (an eventfd, or a pipe whose other end is
 * closed), which it leaves as it is. Goes on through UNAVAILABLE and NOMEM. Where nothing ever
 * arrives it only waits for stop_fd. Registry and store must stay open until it has returned.
 * OK (stopped); CORRUPT, MISMATCH, IO: as above, and the registry is no longer followed;
 * INVALID (registry is NULL, stop_fd is negative or not open). */
IPALLOC_API int ipalloc_registry_follow(ipalloc_registry *registry, int stop_fd,
                                        ipalloc_error *error);

#ifdef __cplusplus
}
#endif
#endif
