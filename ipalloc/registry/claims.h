/*
 * claims.h: what the open transactions of this process have in hand.
 *
 * A claim is listed here from before anybody else can see its bit until its transaction has ended,
 * so that a refusal can name who is just being given an address, and so that a reload of the bitmap
 * keeps it. A release is listed from the moment the transaction asks for it.
 *
 * `seen` is what catching up with the store saw of the address meanwhile: another server's lease
 * must survive our undo, another server's release must not leave the bit behind.
 *
 * Intrusive: listing cannot fail. One mutex; a claim's bit is taken while it is held, so that
 * "taken, but listed nowhere and not in the store" means that it was released just now.
 */
#ifndef IPALLOC_REGISTRY_CLAIMS_H
#define IPALLOC_REGISTRY_CLAIMS_H

#include "registry/record.h"
#include <pthread.h>

enum claim_kind { CLAIM_TAKE, CLAIM_RELEASE };
enum claim_seen { CLAIM_SEEN_NOTHING, CLAIM_SEEN_PRESENT, CLAIM_SEEN_ABSENT };

typedef struct claim {
    struct claim *next; /* in its bucket */
    struct ipalloc_pool *pool;
    place place;
    const char *owner; /* the transaction's */
    enum claim_kind kind;
    enum claim_seen seen;
    bool listed;
} claim;

enum { CLAIM_BUCKETS = 256 };

typedef struct claim_table {
    pthread_mutex_t mutex;
    claim *buckets[CLAIM_BUCKETS];
    size_t count;
} claim_table;

bool claims_init(claim_table *table);
void claims_destroy(claim_table *table);

void claims_lock(claim_table *table);
void claims_unlock(claim_table *table);

/* With the lock held. */
void claims_list(claim_table *table, claim *c);
void claims_unlist(claim_table *table, claim *c);
bool claims_has_locked(claim_table *table, const struct ipalloc_pool *pool, const place *p);

/* Is the address in hand? Says by whom (owner gets 256 bytes) and for what; a take goes before a
 * release. */
bool claims_find(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                 enum claim_kind *kind, char owner[IPALLOC_OWNER_MAX + 1]);

/* Note what the store holds of an address; returns whether it is in hand at all. */
bool claims_note_seen(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                      enum claim_seen seen);
bool claims_note_seen_locked(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                             enum claim_seen seen);

/* Visit all claims of a pool, with the lock held around it. */
void claims_visit(claim_table *table, const struct ipalloc_pool *pool,
                  void (*visit)(void *context, claim *c), void *context);

#endif
