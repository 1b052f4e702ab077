/*
 * judge.h: could one server, doing these operations one after the other, have answered so?
 *
 * A history of any length, with operations whose outcome nobody knows. Every address is a register
 * (free, or held by an owner in a slot), and so is every slot of an owner (empty, or one address).
 * Each lease carries a generation of its own, so that what is written is told apart whatever reads
 * it; then the question is one of intervals. A lease is held from an instant within its claim to
 * one within its release. What must have been its: from the end of the claim (or of the first time
 * that it was seen) to the beginning of the release (or the last time that it was seen). The
 * history is linearizable for a register exactly if these stretches do not overlap, each lies
 * within what its operations allow, and every short-lived lease or sight of nothing finds an
 * instant between them.
 *
 * "Full" speaks of all addresses of a pool, and is judged against what was surely free: from the
 * end of a release (and its rest) to the beginning of the next claim. It is false if at every
 * instant of the call more addresses were surely free than open operations of its process, and
 * those of unknown outcome anywhere, can have held for a moment.
 *
 * Revisions must agree with time: what ended before another began has the lower one.
 *
 * Cost: O(n log n), and for each FULL the operations beside it.
 */
#ifndef IPALLOC_TEST_ETCD_JUDGE_H
#define IPALLOC_TEST_ETCD_JUDGE_H

#include "journal.h"

typedef struct judged_pool {
    uint32_t first, count; /* numbers that can be given out */
    uint64_t rest_ns;      /* how long a released one may rest, at most */
} judged_pool;

/* A lease as the judge knows it. */
typedef struct judged_lease {
    uint64_t generation;
    uint32_t number, owner;
    uint16_t slot;
    uint8_t pool;
    bool claimed, seen; /* somebody was told OK; somebody saw it */
    bool released;      /* somebody was told so */
    /* Instants: no earlier than begin, no later than end. */
    uint64_t claim_begin, claim_end, release_begin, release_end;
    uint64_t seen_first_begin, seen_first_end; /* of the sight that ended first; NEVER: none */
    uint64_t seen_last_begin;
} judged_lease;

enum { FULL_DOUBT_MAX = 4 };

typedef struct judgement {
    size_t operations, leases, unknown, unknown_happened, full_answers;
    size_t full_sharp; /* of them, judged with no more than FULL_DOUBT_MAX addresses of doubt */
    char wrong[1024];  /* the first thing that is wrong; empty: nothing */
} judgement;

typedef struct judged_history {
    const operation *operations;
    size_t count;
    judged_pool pools[POOLS_MAX];
    size_t pool_count;
    /* What is in the store after all of them, read at `final_at`; NULL: not looked at. */
    const step *final; /* STEP_SEE */
    size_t final_count;
    uint64_t final_at;
} judged_history;

void judge(const judged_history *history, judgement *out);

#endif
