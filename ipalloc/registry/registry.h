/*
 * registry.h (internal): the registry's parts and what they share.
 *
 *   registry.c   open and close            cache*.c     the bitmap kept true to the store
 *   pool*.c      pools: define and change  draw*.c      claiming out of a pool's ranges
 *   txn.c        steps of a transaction    commit.c     its batch, its end
 *   owner.c      the owner's record        unknown.c    outcomes that are not known yet
 *   transact.c   run again on CONFLICT     query.c      looking
 *   activity.c   counters of a range       validate.c   store against memory
 *   txn_*.c      its grants, its records   live.c       what owners' records list
 *   repair*.c    leases against records    sighting.c   what was seen to leak
 *   conditions.c a batch's, by reading     claim_end.c  how a claim ends
 *   follow.c     for event loops           held_back.c  walks that meet new pools
 *   scan.c       walks that may begin anew
 *
 * Locks: the gate (many together, or one alone), inside it the appliers' mutex, and then the claim
 * table's mutex and the small mutexes below. Nobody waits for the gate while holding a mutex. The
 * appliers' mutex is held over the store's walk over changes; the claim table's and the pools' may
 * be locked from within one, and who holds them never calls the store. Ranges are lock-free by
 * themselves; a pool's list of ranges and all definitions change only when one is alone.
 */
#ifndef IPALLOC_REGISTRY_INTERNAL_H
#define IPALLOC_REGISTRY_INTERNAL_H

#include "base/error.h"
#include "core/range_internal.h"
#include "registry/activity.h"
#include "registry/claims.h"
#include "registry/definition.h"
#include "registry/gate.h"

typedef char slot_name[IPALLOC_SLOT_MAX + 1];

typedef struct pool_range {
    ipalloc_cidr cidr; /* address pools */
    bool draining;
    ipalloc_range *range;
    range_activity activity;
} pool_range;

/* The ranges of a pool as one block, so that a changed definition is built aside and swapped in. */
typedef struct range_set {
    uint64_t read_at; /* the revision of the leases that it was filled with */
    uint64_t serial;  /* of its installation */
    size_t count;
    pool_range ranges[];
} range_set;

enum { REPAIR_KINDS = 5 };

struct ipalloc_pool {
    ipalloc_registry *registry;
    ipalloc_pool *next; /* by name */
    char name[IPALLOC_POOL_NAME_MAX + 1];
    int kind;
    definition definition;
    uint64_t revision; /* of its record */
    range_set *set;
    atomic_word has_cooling;           /* cooling keys of it may be in the store */
    atomic_word repairs[REPAIR_KINDS]; /* freed, reserved, found: by enum ipalloc_repair_kind */
};

/* Up to which revision the memory knows everything (cache_seen.c). */
enum { SEEN_OWN_MAX = 256 };
typedef struct seen_revisions {
    uint64_t revision;
    size_t own_count;
    uint64_t own[SEEN_OWN_MAX]; /* of our own commits after that, behind a gap; sorted */
} seen_revisions;

struct ipalloc_registry {
    hooks hooks;
    void *memory; /* what was allocated: the handle is aligned inside it */
    bool has_user_hooks;
    ipalloc_hooks user_hooks; /* as given, for the ranges */
    ipalloc_store *store;
    gate gate;
    pthread_mutex_t pools_mutex;   /* over the list; never held across anything that waits */
    ipalloc_pool *pools;           /* sorted by name; only grows; names and kinds never change */
    uint64_t definitions_revision; /* 0: nothing was ever defined */
    claim_table claims;
    bool read_only;
    atomic_word restored;
    atomic_word repair_failures; /* reports that could not be made */

    uint64_t sets_installed; /* ever; counted alone in the gate */
    atomic_word rebuild;     /* what was told of changes does not suffice: all is to be read anew */
    pthread_mutex_t apply_mutex; /* who applies changes; held across the store's walk over them */
    pthread_mutex_t seen_mutex;  /* over this: */
    seen_revisions seen;

    /* A definition that may take effect yet: its ticket. Written only alone in the gate. */
    uint64_t unsettled_definition;

    atomic_word stranded_count;
    pthread_mutex_t stranded_mutex; /* over the next three */
    ipalloc_txn *stranded;          /* given up by their callers, and not settled yet */
    bool stranded_busy;             /* one of them is being settled */
    uint64_t stranded_again_ms;     /* monotonic: not to be tried before */
};

/* --- registry.c ------------------------------------------------------------------------------- */

/* A time that the clock cannot show is never reached. */
static inline uint64_t later_ms(uint64_t at_ms, uint64_t more_ms) {
    return more_ms > UINT64_MAX - at_ms ? UINT64_MAX : at_ms + more_ms;
}

/* A copy of the value of one key. OK; NOT_FOUND; others of the store; NOMEM. */
typedef struct fetched {
    text_buffer value;
    uint64_t revision;
} fetched;
int registry_fetch(ipalloc_registry *registry, ipalloc_bytes key, fetched *out,
                   ipalloc_error *error);

const ipalloc_hooks *registry_user_hooks(const ipalloc_registry *registry);

/* One batch. The status is that of the call, or else the batch's. send: the memory has to follow it
 * before cache_note_own_commit is called; commit: it has nothing to follow. */
int registry_send_batch(ipalloc_registry *registry, ipalloc_batch *batch, ipalloc_error *error);
int registry_commit_batch(ipalloc_registry *registry, ipalloc_batch *batch, ipalloc_error *error);

/* The same, and an unknown outcome is settled at once, and sent again where it did not happen.
 * UNKNOWN_OUTCOME: even that could not be done; the batch's ticket stays good (0: reading tells).
 */
int registry_commit_settled(ipalloc_registry *registry, ipalloc_batch *batch, ipalloc_error *error);

/* Settle a batch of a transaction's, which the memory has yet to follow. OK: *happened, and if so
 * its *revision. */
int registry_settle(ipalloc_registry *registry, uint64_t ticket, bool *happened,
                    uint64_t *revision);

/* --- scan.c ----------------------------------------------------------------------------------- */

typedef struct registry_walk {
    ipalloc_bytes prefix, after;
    size_t limit;
    ipalloc_visit visit;
    void *context;
    void (*restart)(void *context); /* make it as it was; NULL: that cannot be */
    uint64_t *at_revision;          /* may be NULL */
} registry_walk;

/* ipalloc_store_scan, begun anew where the store has forgotten what it was reading. EXPIRED: too
 * often, or something was visited and cannot be restarted. */
int registry_scan(ipalloc_registry *registry, const registry_walk *walk, ipalloc_error *error);

/* --- unknown.c -------------------------------------------------------------------------------- */

/* Settle a few transactions whose outcome nobody could tell, now that the store answers: one round
 * trip each. From outside the gate. */
void stranded_settle(ipalloc_registry *registry);

/* At close: forget the others. */
void stranded_free(ipalloc_registry *registry);

/* INVALID unless the pool belongs to the registry and is of the wanted sort. */
enum { ANY_KIND = -1, ADDRESS_KIND = 0 };
int registry_check_pool(const ipalloc_registry *registry, const ipalloc_pool *pool, int kind,
                        ipalloc_error *error);

/* --- cache.c, cache_build.c: inside the gate alone, unless it says otherwise
 * -------------------------------- */

/* Anywhere, inside a store's walk too. */
ipalloc_pool *cache_find_pool(ipalloc_registry *registry, const char *name, size_t length);

/* Load all, whatever is there already; that is then seen. */
int cache_load(ipalloc_registry *registry, ipalloc_error *error);

/* Make the ranges of a definition and hold in them what the store and the claims in hand say.
 * OK; NOMEM; TAKEN (something held would be in no range; names it); CORRUPT; IO. */
int cache_build_set(ipalloc_registry *registry, ipalloc_pool *pool, const definition *d,
                    range_set **out, ipalloc_error *error);
void cache_free_set(const hooks *h, range_set *set);

/* Take over definition, its revision and set; what was there before is freed. */
void cache_install(ipalloc_pool *pool, definition *d, uint64_t revision, range_set *set);

ipalloc_pool *cache_new_pool(ipalloc_registry *registry, const char *name, int kind);
void cache_link_pool(ipalloc_registry *registry, ipalloc_pool *pool);
void cache_free_pool(ipalloc_pool *pool);

/* The pools as the store defines them now; `rebuild`: the ranges of all of them anew. What changed
 * after the set was read is told by the changes. OK; CORRUPT; IO; UNAVAILABLE; NOMEM. */
int cache_load_definitions(ipalloc_registry *registry, bool rebuild, ipalloc_error *error);

/* --- cache_apply.c ---------------------------------------------------------------------------- */

/* The revision of the last batch that anybody has committed. Anywhere. */
int cache_store_revision(ipalloc_registry *registry, uint64_t *out, ipalloc_error *error);

/* Know and apply everything that was committed before the call began; inside the gate alone, and
 * from outside of it, where nobody is held up but by a changed definition. One question to the
 * store, and where others wrote, waiting until it has told what.
 * OK; CORRUPT; IO; UNAVAILABLE; NOMEM. */
int cache_catch_up_alone(ipalloc_registry *registry, ipalloc_error *error);
int cache_catch_up(ipalloc_registry *registry, ipalloc_error *error);

/* From outside the gate: apply what the store can tell by now; and let it take in first what has
 * arrived. Neither waits for more. Statuses as above. */
int cache_apply(ipalloc_registry *registry, ipalloc_error *error);
int cache_take_in(ipalloc_registry *registry, ipalloc_error *error);

/* Anywhere: the changes do not suffice any more; and is that so? Whoever catches up next reads
 * everything. */
void cache_ask_for_rebuild(ipalloc_registry *registry);
bool cache_must_rebuild(const ipalloc_registry *registry);

/* Inside the gate: the store was read, and had a lease of the claim's place of that revision. Only
 * a take's own bit follows. What is read is in no order with the changes: whoever else set a bit by
 * it might bring back a lease that has gone meanwhile. */
void cache_note_lease(ipalloc_registry *registry, claim *c, uint64_t revision);

/* --- cache_seen.c: anywhere ------------------------------------------------------------------- */

/* The memory knows what was committed up to that revision; and does it know that one? */
uint64_t cache_seen_revision(ipalloc_registry *registry);
bool cache_has_seen(ipalloc_registry *registry, uint64_t revision);

/* It does now. */
void cache_set_seen(ipalloc_registry *registry, uint64_t revision);

/* A batch of ours was committed, and the memory has followed it. Answers what is then seen. */
uint64_t cache_note_own_commit(ipalloc_registry *registry, uint64_t revision);

/* --- cache.c again ---------------------------------------------------------------------------- */

/* The range of a set that gives out that place, NULL if none; and of the pool's, inside the gate.
 */
pool_range *range_set_find(range_set *set, const place *p, range_offset *offset);
pool_range *pool_find_range(const ipalloc_pool *pool, const place *p, range_offset *offset);
/* Exclude what was held when its stretch was excluded, and is released now. */
void exclude_released(const ipalloc_pool *pool, const pool_range *range, range_offset offset);
place pool_range_place(const ipalloc_pool *pool, const pool_range *range, range_offset offset);

#endif
