/*
 * draw.h: what the parts of drawing share: any address (draw.c), this address (draw_this.c), and
 * the proof that nothing is left (draw_full.c).
 */
#ifndef IPALLOC_REGISTRY_DRAW_H
#define IPALLOC_REGISTRY_DRAW_H

#include "registry/txn.h"

/* Beside statuses, of a try inside the gate: the state moved under our hands, look again; the
 * memory must catch up before anything can be said; the memory has nothing left, which the store is
 * to confirm. */
enum { DRAW_AGAIN = 1, DRAW_BEHIND = 2, DRAW_FULL = 3 };

/* Ranges that were proved full together, in memory. */
typedef struct full_proof {
    uint64_t serial; /* of the set */
    bool own_picks;  /* a dry-run's: what is free is no more than what it has picked itself */
    size_t count;    /* of its active ranges */
    uint64_t stamps[IPALLOC_POOL_RANGES_MAX];
} full_proof;

typedef struct draw {
    ipalloc_txn *txn;
    txn_lease *lease;
    ipalloc_pool *pool;
    const pool_range *peeked; /* the range that a dry-run's filter is about */
    bool took_cooling;        /* on purpose: an undo puts it back to rest */
    bool caught_up;           /* the memory has, since this call began */
    full_proof proof;
    ipalloc_error *error;
} draw;

/* --- draw.c ----------------------------------------------------------------------------------- */

/* What is claimed is claimed under the definitions of now. Inside the gate. */
void draw_note_definitions(ipalloc_txn *txn);

/* Where and what a range's claim function took is listed before anybody can ask about it. With the
 * claims locked. */
void draw_list_claim(const draw *d, const pool_range *range, range_offset offset);

/* What was claimed is taken over with its cooling record, or given back. OK; DRAW_BEHIND. */
int draw_accept(draw *d, bool may_cool);

/* Run `try` inside the gate, catching up where it says DRAW_BEHIND, until it says something; at
 * most so often (0: as often as it takes), CONFLICT beyond that. Counts how long it took. */
int draw_timed(draw *d, int (*try)(draw *), size_t times);

/* Counting refusals. An owner of whom nothing is known may have it already: then it is none yet. */
bool draw_refusals_count(const draw *d);
void draw_count_full(const ipalloc_pool *pool);

/* --- draw_full.c ------------------------------------------------------------------------------ */

/* Inside the gate: nothing was found. DRAW_FULL: there was one instant at which no active range had
 * anything free, by the memory, and d->proof stands for it; DRAW_AGAIN. */
int draw_prove_full(draw *d);

/* From outside the gate, behind DRAW_FULL: FULL, and say so, if the store agrees; else DRAW_AGAIN.
 * UNAVAILABLE and others: the store could not be asked. */
int draw_confirm_full(draw *d);

#endif
