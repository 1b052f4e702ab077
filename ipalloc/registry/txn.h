/*
 * txn.h: a transaction's inside: the owner's leases as it sees them, and what it wants to change.
 *
 * The list of leases starts as the owner's record in the store and takes every step's change; the
 * commit writes the difference. Steps change memory only by claims, which an abort undoes.
 */
#ifndef IPALLOC_REGISTRY_TXN_H
#define IPALLOC_REGISTRY_TXN_H

#include "registry/batch.h"
#include "registry/registry.h"

typedef struct txn_lease {
    claim claim; /* says which pool and place; listed while its bit is in our hands */
    uint64_t generation;
    uint64_t time_ms;
    slot_name *slots;
    size_t slot_count;
    bool stored;               /* the owner's record had it when the transaction read it */
    bool removed;              /* goes with the commit; stored ones only */
    bool touched;              /* the commit writes or deletes it */
    enum grant_scope scope;    /* of a new one */
    uint64_t draw_ms;          /* how long it took to claim it */
    uint64_t stored_revision;  /* of its record; known once it is touched */
    uint64_t cooling_revision; /* of its cooling record; 0: it has none */
    uint64_t cooled_since_ms;  /* when it was released before; 0: not known */
} txn_lease;

typedef struct txn_record {
    int kind; /* enum ipalloc_op_kind */
    uint64_t expected_revision;
    char *key; /* with its prefix */
    void *value;
    size_t value_size;
} txn_record;

struct ipalloc_txn {
    ipalloc_registry *registry;
    char owner[IPALLOC_OWNER_MAX + 1]; /* "" for records only */
    bool dry_run;
    bool unknown;            /* the outcome is; only commit and abort may follow */
    uint64_t ticket;         /* what settles it; 0: reading does */
    uint64_t deadline_at_ms; /* monotonic; 0: none */

    bool owner_is_new;   /* the caller expects that the owner holds nothing */
    bool owner_presumed; /* and steps have believed it: the commit is to find out */
    bool owner_loaded;
    text_buffer owner_key;
    uint64_t owner_revision; /* 0: there was no record */
    txn_lease **leases;      /* sorted by pool name and place */
    size_t lease_count, lease_capacity;
    size_t touched_count;

    bool caught_up; /* the memory has, for this transaction: once is enough for a dry-run */
    bool drew;      /* claimed something, when the definitions were at: */
    uint64_t definitions_revision;

    txn_record records[IPALLOC_TXN_RECORDS_MAX];
    size_t record_count;

    batch_builder batch;
    uint64_t time_ms;      /* wall clock of the batch */
    uint64_t commit_at_ms; /* monotonic, when the first commit was called */
    uint64_t commit_ms;    /* how long it was until the outcome was known */
    ipalloc_txn *next_stranded;
};

/* --- txn.c ------------------------------------------------------------------------------------ */

/* Free it and all it owns; claims still listed are unlisted, bits stay. */
void txn_free(ipalloc_txn *txn);

/* INVALID where it is NULL, or nothing but commit and abort may follow. */
int txn_check_open(const ipalloc_txn *txn, ipalloc_error *error);

/* UNAVAILABLE once the deadline has passed. */
int txn_check_deadline(const ipalloc_txn *txn, ipalloc_error *error);

/* How many milliseconds there are to it, at least 1; 0: there is none. */
uint64_t txn_time_left(const ipalloc_txn *txn);

/* What a step about a pool's addresses or ports begins with: all but the owner's record. */
int txn_check_step(const ipalloc_txn *txn, const ipalloc_pool *pool, int kind,
                   ipalloc_error *error);
int txn_check_slot(const char *slot, ipalloc_error *error);
int txn_check_grant(const ipalloc_grant *out, ipalloc_error *error);
/* The place of a caller's address; NOT_IN_RANGE where it is of the other family. */
int txn_place_of_caller(const ipalloc_pool *pool, const ipalloc_addr *address, place *out,
                        ipalloc_error *error);

/* What the caller gets; `out` may be NULL. */
void txn_fill_grant(ipalloc_grant *out, const txn_lease *lease, bool existing);
/* TAKEN: the slot has another address already. */
int txn_say_slot_occupied(const txn_lease *lease, const char *slot, ipalloc_error *error);

/* --- commit.c --------------------------------------------------------------------------------- */

/* Undo everything and free it; `status` is what the caller is to answer. */
int commit_give_up(ipalloc_txn *txn, int status);

/* It happened at that revision: what it claimed are leases now. Frees it. */
int commit_confirm(ipalloc_txn *txn, uint64_t at, uint64_t *revision);

/* It has not happened and never will: send the same batch once more. */
int commit_send_again(ipalloc_txn *txn, uint64_t *revision, ipalloc_error *error);

/* --- txn_record.c ----------------------------------------------------------------------------- */

/* Delete a record of the registry's own, which is at that revision. OK; INVALID; NOMEM. */
int txn_delete_own(ipalloc_txn *txn, const record_key *key, uint64_t revision,
                   ipalloc_error *error);

/* --- owner.c ---------------------------------------------------------------------------------- */

/* Read the owner's record, once. Outside the gate. OK; CONFLICT (there is one, and something was
 * claimed on the presumption that there is none); CORRUPT; IO; UNAVAILABLE; NOMEM. */
int owner_load(ipalloc_txn *txn, ipalloc_error *error);

/* The same, but where the owner is expected to hold nothing it is believed without reading. */
int owner_load_or_presume(ipalloc_txn *txn, ipalloc_error *error);

/* Read a record's leases into a transaction that has none yet; inside the gate, or alone in it.
 * OK; NOMEM; something positive where it is damaged or names a pool that is not known. */
int owner_parse(ipalloc_txn *txn, ipalloc_bytes value);
/* Its leases are gone again; the list's memory stays for the next. */
void owner_forget(ipalloc_txn *txn);

/* The record's new text, without what is removed. */
void owner_append(text_buffer *t, const ipalloc_txn *txn);

/* A lease of the list: by place, by slot; NULL if none. By place finds removed ones too. */
txn_lease *owner_find_place(const ipalloc_txn *txn, const ipalloc_pool *pool, const place *p);
txn_lease *owner_find_slot(const ipalloc_txn *txn, const ipalloc_pool *pool, const char *slot);

/* A lease that is in no list yet; freed by lease_free. NULL: out of memory. */
txn_lease *lease_new(ipalloc_txn *txn, ipalloc_pool *pool);
void lease_free(const hooks *h, txn_lease *lease);

/* Room for one more in the list, so that owner_insert cannot fail. OK; NOMEM. */
int owner_make_room(ipalloc_txn *txn, ipalloc_error *error);
void owner_insert(ipalloc_txn *txn, txn_lease *lease);
void owner_remove(ipalloc_txn *txn, txn_lease *lease); /* does not free it */

bool lease_has_slot(const txn_lease *lease, const char *slot);
/* OK; NOMEM; INVALID (too many share the address). */
int lease_add_slot(const hooks *h, txn_lease *lease, const char *slot, ipalloc_error *error);
void lease_drop_slot(txn_lease *lease, const char *slot);

/* Mark that the commit writes or deletes it; reads a stored one's record to know its revision.
 * OK; INVALID (over IPALLOC_TXN_ADDRESSES_MAX); CONFLICT; CORRUPT; IO; NOMEM. */
int lease_touch(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error);
/* INVALID if one more address would be too many. */
int txn_check_room(const ipalloc_txn *txn, size_t more, ipalloc_error *error);

/* --- draw.c, draw_this.c, claim_end.c --------------------------------------------------------- */

/* Claim any address of the lease's pool for it. Statuses of ipalloc_txn_allocate. */
int draw_any(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error);
/* Claim the place that is set in it. Statuses of ipalloc_txn_reserve. */
int draw_this(ipalloc_txn *txn, txn_lease *lease, ipalloc_error *error);

/* Count a refusal that was not counted when it was met, because the owner was not known. */
void draw_count_refusal(const ipalloc_pool *pool, const place *p, int status);

/* Give up the lease's claim or planned release, as if it had never been. Inside the gate. */
void draw_undo(ipalloc_txn *txn, txn_lease *lease);
/* Make memory say what the commit has made true at that revision (0: not known which), and count it
 * as seen. Inside the gate; a second time changes nothing. */
void draw_committed(ipalloc_txn *txn, uint64_t revision);

#endif
