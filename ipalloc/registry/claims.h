/*
 * claims.h: what the open transactions of this process have in hand, and what is known of single
 * places beyond what the store's changes have told.
 *
 * A claim is listed here from before anybody else can see its bit until its transaction has ended,
 * so that a refusal can name who is just being given an address, and so that a reload of the bitmap
 * keeps it. A release is listed from the moment the transaction asks for it; it holds no bit.
 *
 * The bit of a place is set if the store has a lease of it, as far as we know, or a take of it is
 * in hand. What the store has is learned in two ways, which do not keep one order: its changes, in
 * order but late, and our own commits, at once. Each carries a revision, and the later one counts:
 *   - a claim notes the newest change of its place that was seen while it is listed; when it ends,
 *     that and the commit's own revision are compared;
 *   - an own commit that the changes have not reached yet is remembered, and older changes of its
 *     place are passed over.
 *
 * Listing cannot fail: claims are intrusive. One mutex; a claim's bit is taken while it is held,
 * and changes are applied while it is held, so that bit and claim are one. It may be locked from
 * within a store's walk: nobody who holds it calls the store.
 */
#ifndef IPALLOC_REGISTRY_CLAIMS_H
#define IPALLOC_REGISTRY_CLAIMS_H

#include "base/atomic.h"
#include "base/hooks.h"
#include "registry/record.h"
#include <pthread.h>

enum claim_kind { CLAIM_TAKE, CLAIM_RELEASE };

typedef struct claim {
    struct claim *next; /* in its bucket */
    struct ipalloc_pool *pool;
    place place;
    const char *owner; /* the transaction's */
    enum claim_kind kind;
    bool listed;
    /* What was seen of the place since it was listed: */
    uint64_t seen_revision;   /* of the newest change of its lease; 0: none */
    bool present;             /* after which the store had a lease of it */
    bool cooling_seen;        /* its cooling record has changed: */
    uint64_t cooled_since_ms; /* to this; 0: it has none */
} claim;

/* An own commit that the store's changes may not have reached. */
typedef struct ahead_entry {
    const struct ipalloc_pool *pool; /* NULL: unused */
    place place;
    uint64_t revision;
} ahead_entry;

enum { CLAIM_BUCKETS = 256 };

typedef struct claim_table {
    pthread_mutex_t mutex;
    claim *buckets[CLAIM_BUCKETS];
    size_t count;
    const hooks *hooks;
    ahead_entry *ahead; /* open addressing, at most half full */
    size_t ahead_capacity, ahead_count;
    atomic_word crowded; /* it would be well to see what the changes tell */
} claim_table;

bool claims_init(claim_table *table, const hooks *h);
void claims_destroy(claim_table *table);

void claims_lock(claim_table *table);
void claims_unlock(claim_table *table);

/* --- with the lock held ----------------------------------------------------------------------- */

/* List it, with nothing seen yet. */
void claims_list(claim_table *table, claim *c);
void claims_unlist(claim_table *table, claim *c);

/* The claims of a place, one after another: NULL at first, NULL behind the last. */
claim *claims_next(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                   const claim *before);

/* A lease of the place came or went at that revision. Claims that have seen a later change keep
 * that. Returns whether a take of it is in hand, whose bit stays. */
bool claims_note_lease(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                       bool present, uint64_t revision);
/* Its cooling record was written (released then) or removed (0). */
bool claims_note_cooling(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                         uint64_t released_ms);

/* Remember that what is known of the place is as of `revision`, unless changes up to `told` have
 * reached it; entries that they have reached may go. false: no room, and everything is forgotten:
 * older changes may undo newer knowledge, until all is read anew. */
bool claims_remember(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                     uint64_t revision, uint64_t told);
/* Is a change of the place at that revision older than what is remembered of it, or the same? */
bool claims_know_better(const claim_table *table, const struct ipalloc_pool *pool, const place *p,
                        uint64_t revision);

/* --- without ---------------------------------------------------------------------------------- */

/* Is the address in hand? Says by whom (owner gets 256 bytes) and for what; a take goes before a
 * release. */
bool claims_find(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                 enum claim_kind *kind, char owner[IPALLOC_OWNER_MAX + 1]);

/* Visit all claims of a pool, with the lock held around it. */
void claims_visit(claim_table *table, const struct ipalloc_pool *pool,
                  void (*visit)(void *context, claim *c), void *context);

#endif
