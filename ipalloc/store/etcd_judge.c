/*
 * etcd_judge.c: what the answer to a batch's transaction says.
 *
 * May use: base/. Nothing is believed: each answer must be of the kind that was asked for and about
 * the key that was asked about, and every revision must have been. See etcd_txn.h.
 */
#include "store/etcd_txn.h"

#include "base/error.h"

#include <string.h>

/* --- small things --------------------------------------------------------------------------------
 */

int etcd_range_at(const etcd_store *store, const Etcd__TxnResponse *answer, size_t index,
                  const Etcd__RangeResponse **out, ipalloc_error *error) {
    if (index >= answer->n_responses ||
        answer->responses[index]->response_case != ETCD__RESPONSE_OP__RESPONSE_RANGE ||
        answer->responses[index]->range == NULL)
        return etcd_damaged(store, "it does not answer a question of the transaction", error);
    *out = answer->responses[index]->range;
    return IPALLOC_OK;
}

static bool has_been(const Etcd__KeyValue *kv, int64_t revision) {
    return kv->mod_revision > 0 && kv->mod_revision <= revision;
}

int etcd_single_key(const etcd_store *store, const Etcd__RangeResponse *range,
                    ProtobufCBinaryData key, int64_t revision, const Etcd__KeyValue **out,
                    ipalloc_error *error) {
    *out = NULL;
    if (range->n_kvs == 0)
        return IPALLOC_OK;
    const Etcd__KeyValue *kv = range->kvs[0];
    if (range->n_kvs > 1 || kv->key.len != key.len || memcmp(kv->key.data, key.data, key.len) != 0)
        return etcd_damaged(store, "another key than the one that was asked for", error);
    if (!has_been(kv, revision))
        return etcd_damaged(store, "a key with a revision that has not been", error);
    *out = kv;
    return IPALLOC_OK;
}

static const char REMOVED[] =
    "what lay under the prefix was removed since the store was opened; open it again";

int etcd_head_read(etcd_store *store, const Etcd__RangeResponse *range, int64_t revision,
                   uint64_t *out, ipalloc_error *error) {
    if (range->n_kvs == 0)
        return etcd_give_up(store, REMOVED, error);
    etcd_key_text prefix;
    etcd_key_store(store, "", &prefix);
    const Etcd__KeyValue *kv = range->kvs[0];
    if (range->n_kvs > 1 || kv->key.len < prefix.size ||
        memcmp(kv->key.data, prefix.bytes, prefix.size) != 0)
        return etcd_damaged(store, "another key than the one that was asked for", error);
    if (!has_been(kv, revision))
        return etcd_damaged(store, "a key with a revision that has not been", error);
    *out = (uint64_t)kv->mod_revision;
    return IPALLOC_OK;
}

/* --- slot and form -------------------------------------------------------------------------------
 */

/* The first two questions of both transactions. *settled: the verdict is known without looking at
 * the batch's conditions. */
static int judge_frame(const etcd_store *store, const etcd_slot *slot, uint64_t form_revision,
                       const Etcd__TxnResponse *answer, bool *settled, txn_judgement *out,
                       ipalloc_error *error) {
    etcd_key_text slot_key, form_key;
    const Etcd__RangeResponse *slot_range = NULL, *form_range = NULL;
    const Etcd__KeyValue *slot_kv = NULL, *form_kv = NULL;
    int64_t revision = answer->header->revision;
    etcd_key_slot(store, slot, &slot_key);
    etcd_key_store(store, "form", &form_key);
    int status = etcd_range_at(store, answer, 0, &slot_range, error);
    if (status == IPALLOC_OK)
        status = etcd_range_at(store, answer, 1, &form_range, error);
    if (status == IPALLOC_OK)
        status =
            etcd_single_key(store, slot_range, etcd_binary(&slot_key), revision, &slot_kv, error);
    if (status == IPALLOC_OK)
        status =
            etcd_single_key(store, form_range, etcd_binary(&form_key), revision, &form_kv, error);
    if (status != IPALLOC_OK)
        return status;
    uint64_t written = slot_kv != NULL ? (uint64_t)slot_kv->mod_revision : 0;
    *settled = true;
    *out = (txn_judgement){.verdict = TXN_NO_SLOT, .revision = written};
    if (written != slot->revision) {
        enum slot_word word = SLOT_OTHER;
        if (slot_kv != NULL)
            word = etcd_slot_read(slot, slot_kv->value.data, slot_kv->value.len);
        if (word != SLOT_OTHER)
            out->verdict = word == SLOT_COMMITTED ? TXN_COMMITTED : TXN_ABORTED;
        return IPALLOC_OK;
    }
    if (form_kv == NULL || (uint64_t)form_kv->mod_revision != form_revision)
        out->verdict = TXN_OTHER_FORM;
    else
        *settled = false;
    return IPALLOC_OK;
}

/* --- conditions ----------------------------------------------------------------------------------
 */

/* Does the operation's condition hold by this answer? */
static int judge_op(const etcd_store *store, const ipalloc_op *op, const Etcd__RangeResponse *range,
                    int64_t revision, bool *holds, ipalloc_error *error) {
    etcd_key_text key;
    const Etcd__KeyValue *kv;
    etcd_key_data(store, op->key, &key);
    int status = etcd_single_key(store, range, etcd_binary(&key), revision, &kv, error);
    if (status == IPALLOC_OK)
        *holds = op_condition_holds(op, kv != NULL, kv != NULL ? (uint64_t)kv->mod_revision : 0);
    return status;
}

static int judge_conditions(const etcd_store *store, const ipalloc_batch *batch,
                            const Etcd__TxnResponse *answer, size_t *failed_op,
                            ipalloc_error *error) {
    size_t at = 2; /* after slot and form */
    *failed_op = batch->op_count;
    for (size_t i = 0; i < batch->op_count; i++) {
        if (batch->ops[i].condition == IPALLOC_IF_ANY)
            continue;
        const Etcd__RangeResponse *range = NULL;
        bool holds = true;
        int status = etcd_range_at(store, answer, at++, &range, error);
        if (status == IPALLOC_OK)
            status =
                judge_op(store, &batch->ops[i], range, answer->header->revision, &holds, error);
        if (status != IPALLOC_OK)
            return status;
        if (!holds && *failed_op == batch->op_count)
            *failed_op = i;
    }
    return at == answer->n_responses ? IPALLOC_OK
                                     : etcd_damaged(store, "it answers more than was asked", error);
}

/* --- success -------------------------------------------------------------------------------------
 */

static bool answers_write(const Etcd__ResponseOp *response, int kind) {
    return response->response_case == (kind == IPALLOC_OP_PUT
                                           ? ETCD__RESPONSE_OP__RESPONSE_PUT
                                           : ETCD__RESPONSE_OP__RESPONSE_DELETE_RANGE);
}

static bool answers_inner(const ipalloc_batch *batch, const Etcd__TxnResponse *answer) {
    size_t inner = (batch->op_count + ETCD_TXN_INNER - 1) / ETCD_TXN_INNER;
    if (answer->n_responses != 1 + inner)
        return false;
    for (size_t i = 1; i <= inner; i++)
        if (answer->responses[i]->response_case != ETCD__RESPONSE_OP__RESPONSE_TXN ||
            answer->responses[i]->txn == NULL || !answer->responses[i]->txn->succeeded)
            return false;
    return true;
}

/* Is there an answer of the right kind to each write? */
static bool answers_writes(const ipalloc_batch *batch, const Etcd__TxnResponse *answer) {
    if (answer->n_responses == 0 || !answers_write(answer->responses[0], IPALLOC_OP_PUT))
        return false;
    if (txn_is_nested(batch))
        return answers_inner(batch, answer);
    size_t at = 1;
    for (size_t i = 0; i < batch->op_count; i++) {
        if (batch->ops[i].kind == IPALLOC_OP_CHECK)
            continue;
        if (at >= answer->n_responses || !answers_write(answer->responses[at], batch->ops[i].kind))
            return false;
        at++;
    }
    return at == answer->n_responses;
}

int txn_judge(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
              uint64_t form_revision, const Etcd__TxnResponse *answer, txn_judgement *out,
              ipalloc_error *error) {
    if (answer->succeeded) {
        if (!answers_writes(batch, answer) || (uint64_t)answer->header->revision <= slot->revision)
            return etcd_damaged(store, "it does not answer what the transaction wrote", error);
        *out = (txn_judgement){.verdict = TXN_COMMITTED,
                               .revision = (uint64_t)answer->header->revision};
        return IPALLOC_OK;
    }
    bool settled = false;
    int status = judge_frame(store, slot, form_revision, answer, &settled, out, error);
    if (status != IPALLOC_OK || settled)
        return status;
    if (txn_is_nested(batch))
        return etcd_damaged(store, "a condition failed that holds", error);
    status = judge_conditions(store, batch, answer, &out->failed_op, error);
    if (status == IPALLOC_OK && out->failed_op == batch->op_count)
        status = etcd_damaged(store, "a condition failed that holds", error);
    out->verdict = TXN_CONFLICT;
    return status;
}

/* --- the question --------------------------------------------------------------------------------
 */

/* The answer about one operation that has a condition: inner transactions have one each. */
static int inner_range(const etcd_store *store, const Etcd__TxnResponse *answer, size_t inner,
                       size_t place, const Etcd__RangeResponse **out, ipalloc_error *error) {
    const Etcd__ResponseOp *response =
        inner + 2 < answer->n_responses ? answer->responses[inner + 2] : NULL;
    if (response == NULL || response->response_case != ETCD__RESPONSE_OP__RESPONSE_TXN ||
        response->txn == NULL || place >= response->txn->n_responses ||
        response->txn->responses[place]->range == NULL)
        return etcd_damaged(store, "it does not answer a question of the transaction", error);
    *out = response->txn->responses[place]->range;
    return IPALLOC_OK;
}

int txn_judge_question(const etcd_store *store, const ipalloc_batch *batch, const etcd_slot *slot,
                       uint64_t form_revision, const Etcd__TxnResponse *answer, txn_judgement *out,
                       ipalloc_error *error) {
    bool settled = false;
    int status = judge_frame(store, slot, form_revision, answer, &settled, out, error);
    if (status != IPALLOC_OK || settled)
        return status;
    size_t place = 0;
    for (size_t i = 0; i < batch->op_count; i++) {
        if (i % ETCD_TXN_INNER == 0)
            place = 0;
        if (batch->ops[i].condition == IPALLOC_IF_ANY)
            continue;
        const Etcd__RangeResponse *range = NULL;
        bool holds = true;
        status = inner_range(store, answer, i / ETCD_TXN_INNER, place++, &range, error);
        if (status == IPALLOC_OK)
            status =
                judge_op(store, &batch->ops[i], range, answer->header->revision, &holds, error);
        if (status != IPALLOC_OK)
            return status;
        if (!holds) {
            *out = (txn_judgement){.verdict = TXN_CONFLICT, .failed_op = i};
            return IPALLOC_OK;
        }
    }
    out->verdict = TXN_HELD;
    return IPALLOC_OK;
}
