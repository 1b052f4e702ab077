/*
 * etcd_txn.h: batches as etcd transactions, and what their answers say.
 *
 * A transaction is one, whatever its size. Its conditions are those of the batch, that nobody wrote
 * the batch's slot, and that the store's form is still the one we know; it writes what the batch
 * writes, and the slot. Where a condition fails it reads which.
 *
 * etcd takes 128 operations in a list (--max-txn-ops) and in what is nested into it as many less as
 * the list has. Batches that need more are cut into inner transactions of 64 operations. etcd
 * judges all conditions, inner ones too, before it applies anything; but an inner condition that
 * fails does not keep the other inner ones from happening. So what an inner transaction does then
 * is to read at a revision that has not been: etcd refuses the whole for that, before it applies
 * anything (with OUT_OF_RANGE, which a transaction of ours is refused with for no other reason).
 * Which condition it was is asked in a second, reading transaction.
 */
#ifndef IPALLOC_STORE_ETCD_TXN_H
#define IPALLOC_STORE_ETCD_TXN_H

#include "store/etcd.pb-c.h"
#include "store/etcd_store.h"

enum {
    ETCD_TXN_OPS = 128, /* etcd's own limit, by default */
    ETCD_TXN_INNER = 64,
    GRPC_OUT_OF_RANGE = 11
};

/* Is it cut into inner transactions? */
bool txn_is_nested(const ipalloc_batch *batch);

/* What the batch's transaction, or the question why it was refused, looks like on the wire: freed
 * with hooks_free. OK or NOMEM. `form_revision`: of the form that it is conditional on. */
int txn_pack_batch(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
                   uint64_t form_revision, uint64_t now_ms, uint8_t **out, size_t *size,
                   ipalloc_error *error);
int txn_pack_question(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
                      uint8_t **out, size_t *size, ipalloc_error *error);

enum txn_verdict {
    TXN_COMMITTED,  /* at `revision`: now, or by an earlier sending */
    TXN_CONFLICT,   /* `failed_op` */
    TXN_HELD,       /* only as an answer to the question: all conditions hold by now */
    TXN_ABORTED,    /* the slot says so, at `revision` */
    TXN_OTHER_FORM, /* the store was accepted, or made anew, by somebody else */
    TXN_NO_SLOT,    /* the slot's key was removed, or written by others: not by this sending */
};

typedef struct txn_judgement {
    enum txn_verdict verdict;
    uint64_t revision;
    size_t failed_op;
} txn_judgement;

/* OK; CORRUPT where the answer is none to this batch's transaction. */
int txn_judge(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
              uint64_t form_revision, const Etcd__TxnResponse *answer, txn_judgement *out,
              ipalloc_error *error);
int txn_judge_question(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
                       uint64_t form_revision, const Etcd__TxnResponse *answer, txn_judgement *out,
                       ipalloc_error *error);

/* --- small things for all questions --------------------------------------------------------------
 */

ProtobufCBinaryData etcd_binary(const etcd_key_text *key);
/* Where a key's revision is exactly this; 0: where it is absent. */
void etcd_compare_init(Etcd__Compare *out, ProtobufCBinaryData key, int64_t revision);
/* One key; with its value or without. */
void etcd_range_init(Etcd__RangeRequest *out, ProtobufCBinaryData key, bool keys_only);
/* The newest key under `store/`: the last batch's slot. `end` lives as long as the question. */
void etcd_head_init(const etcd_store *store, etcd_key_text *key, etcd_key_text *end,
                    Etcd__RangeRequest *out);

/* The answer number `index`, which must be one to a range. OK or CORRUPT. */
int etcd_range_at(const etcd_store *store, const Etcd__TxnResponse *answer, size_t index,
                  const Etcd__RangeResponse **out, ipalloc_error *error);
/* An answer about one key: *out is NULL where it is absent. OK or CORRUPT. */
int etcd_single_key(const etcd_store *store, const Etcd__RangeResponse *range,
                    ProtobufCBinaryData key, int64_t revision, const Etcd__KeyValue **out,
                    ipalloc_error *error);
/* The answer to etcd_head_init. MISMATCH where nothing is there any more. */
int etcd_head_read(etcd_store *store, const Etcd__RangeResponse *range, int64_t revision,
                   uint64_t *out, ipalloc_error *error);

#endif
