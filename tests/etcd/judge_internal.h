/*
 * judge_internal.h: the parts of the judge: judge_leases.c makes leases out of operations, judge.c
 * judges the registers, judge_full.c every "full".
 */
#ifndef IPALLOC_TEST_ETCD_JUDGE_INTERNAL_H
#define IPALLOC_TEST_ETCD_JUDGE_INTERNAL_H

#include "judge.h"

/* What an operation has to do with one slot of an owner. */
typedef struct slot_use {
    uint64_t key; /* owner, pool and slot */
    const operation *of;
    const step *step;
} slot_use;

typedef struct slot_uses { /* by key and by the operation's beginning */
    slot_use *all;
    size_t count;
} slot_uses;

typedef struct lease_table {
    judged_lease *all;
    size_t count, capacity;
    uint32_t *slots; /* open addressing by generation: index + 1; 0: empty */
    size_t slot_count;
    slot_uses told;    /* by definite answers to who asked for it */
    slot_uses unknown; /* claims of operations whose outcome nobody knows */
} lease_table;

/* Says the first wrong only. Returns false, for `return wrong(...)`. */
__attribute__((format(printf, 2, 3))) bool wrong(judgement *j, const char *form, ...);
const char *describe_lease(const judged_lease *lease, char out[256]);

/* Make leases of a history. False: something is wrong already. */
bool leases_collect(lease_table *table, const judged_history *h, judgement *j);
void leases_free(lease_table *table);
/* Has it happened, as far as anybody has seen? */
bool lease_happened(const judged_lease *lease);

/* The end of the first answer that tells who asked later for the same slot what is in it: then an
 * unknown claim has happened and is seen, or never will. NEVER: nobody asked. */
uint64_t unknown_resolved_at(const lease_table *table, const operation *o, const step *claim);

/* Is every "full" true? */
bool judge_full(const judged_history *h, const lease_table *table, judgement *j);

#endif
