/*
 * etcd_settle.c: how a batch ended whose answer was lost, and that it has ended.
 *
 * May use: base/, the channel. Whoever wants to know writes "aborted" into the batch's slot, on
 * condition that the batch has not written it: one of the two happens, and the other never will.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "store/etcd_txn.h"

#include <string.h>

/* A slot's key may be swept when it is a day old, and what a missing key means is then not known.
 */
enum { SETTLE_WITHIN_MS = 43200000 };

static int cannot_tell(const etcd_store *store, ipalloc_error *error) {
    return error_set(error, IPALLOC_E_IO,
                     "%s: how the batch ended cannot be told: its slot was removed or written by "
                     "another program",
                     store->name);
}

/* The slot as it is now, `kv` NULL where it is absent. */
static int read_slot(etcd_store *store, etcd_slot *slot, const Etcd__KeyValue *kv,
                     enum slot_word *how, ipalloc_error *error) {
    uint64_t written = kv != NULL ? (uint64_t)kv->mod_revision : 0;
    if (written == slot->revision && !slot->echo) { /* no sending is left that could come */
        *how = SLOT_ABORTED;
        return IPALLOC_OK;
    }
    *how = kv != NULL ? etcd_slot_read(slot, kv->value.data, kv->value.len) : SLOT_OTHER;
    if (*how == SLOT_OTHER || written <= slot->revision)
        return cannot_tell(store, error);
    slot->doubtful |= slot->revision == 0 && slot->echo;
    slot->revision = written;
    return IPALLOC_OK;
}

static int judge(etcd_store *store, etcd_slot *slot, const Etcd__TxnResponse *answer,
                 ProtobufCBinaryData key, enum slot_word *how, ipalloc_error *error) {
    if (answer->succeeded && slot->echo) {
        slot->doubtful |= slot->revision == 0;
        slot->revision = (uint64_t)answer->header->revision;
        *how = SLOT_ABORTED;
        return IPALLOC_OK;
    }
    const Etcd__RangeResponse *range = NULL;
    const Etcd__KeyValue *kv = NULL;
    int status = etcd_range_at(store, answer, 0, &range, error);
    if (status == IPALLOC_OK)
        status = etcd_single_key(store, range, key, answer->header->revision, &kv, error);
    return status == IPALLOC_OK ? read_slot(store, slot, kv, how, error) : status;
}

int etcd_settle_slot(etcd_store *store, etcd_slot *slot, uint64_t timeout_ms, enum slot_word *how,
                     ipalloc_error *error) {
    etcd_key_text key;
    char value[ETCD_SLOT_VALUE_MAX];
    Etcd__Compare unwritten, *unwritten_list = &unwritten;
    Etcd__PutRequest put = ETCD__PUT_REQUEST__INIT;
    Etcd__RangeRequest range;
    Etcd__RequestOp put_op = ETCD__REQUEST_OP__INIT, *put_list = &put_op;
    Etcd__RequestOp range_op = ETCD__REQUEST_OP__INIT, *range_list = &range_op;
    etcd_key_slot(store, slot, &key);
    etcd_slot_write(slot, SLOT_ABORTED, hooks_wall_ms(store->hooks), value);
    etcd_compare_init(&unwritten, etcd_binary(&key), (int64_t)slot->revision);
    put.key = etcd_binary(&key);
    put.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
    put_op.request_case = ETCD__REQUEST_OP__REQUEST_PUT;
    put_op.put = &put;
    etcd_range_init(&range, etcd_binary(&key), false);
    range_op.request_case = ETCD__REQUEST_OP__REQUEST_RANGE;
    range_op.range = &range;
    Etcd__TxnRequest txn = ETCD__TXN_REQUEST__INIT;
    if (slot->echo) { /* else nothing has to be kept from happening, and reading is enough */
        txn.n_compare = 1;
        txn.compare = &unwritten_list;
        txn.n_failure = 1;
        txn.failure = &range_list;
    }
    txn.n_success = 1;
    txn.success = slot->echo ? &put_list : &range_list;
    Etcd__TxnResponse *answer;
    int status = etcd_ask_txn(store, &txn, timeout_ms, &answer, error);
    if (status != IPALLOC_OK)
        return status;
    status = judge(store, slot, answer, etcd_binary(&key), how, error);
    etcd_free_message(store->hooks, &answer->base);
    return status;
}

int etcd_settle(void *self, uint64_t ticket, bool *happened, uint64_t *revision,
                ipalloc_error *error) {
    etcd_store *store = self;
    etcd_slot *slot = slot_unhold(store, ticket);
    if (slot == NULL)
        return error_set(error, IPALLOC_E_INVALID, "settle: there is no such ticket");
    int status;
    enum slot_word how = SLOT_OTHER;
    if (hooks_monotonic_ms(store->hooks) - slot->taken_ms > SETTLE_WITHIN_MS)
        status = cannot_tell(store, error);
    else
        status = etcd_settle_slot(store, slot, 0, &how, error);
    if (status != IPALLOC_OK) {
        slot_hold(store, slot);
        return status;
    }
    *happened = how == SLOT_COMMITTED;
    *revision = *happened ? slot->revision : 0;
    slot_give_back(store, slot);
    return IPALLOC_OK;
}
