/*
 * etcd_sweep.c: removes the slots of sessions that ended without a close.
 *
 * May use: base/, the channel. A slot goes where its value is more than a day old and nobody has
 * written it between two looks, ten minutes apart: a clock that is wrong cannot take a slot from a
 * batch in flight. A session that lives, but was idle so long, makes itself new ones. Each removal
 * writes `store/slot/last`, so that the highest revision of a slot never goes back.
 */
#include "store/etcd_store.h"

#include "store/etcd_txn.h"

#include <assert.h>
#include <string.h>

enum { SWEEP_EVERY_MS = 600000, SWEEP_TIMEOUT_MS = 500, DEAD_AFTER_MS = 86400000 };
enum { SORT_ASCENDING = 1, SORT_BY_MODIFIED = 3 };

bool etcd_relic_init(const etcd_store *store, const etcd_key_text *key, uint64_t revision,
                     etcd_relic *out) {
    *out = (etcd_relic){hooks_alloc(store->hooks, key->size), key->size, revision};
    if (out->key != NULL)
        memcpy(out->key, key->bytes, key->size);
    return out->key != NULL;
}

void etcd_relics_free(etcd_store *store) {
    for (size_t i = 0; i < store->relic_count; i++)
        hooks_free(store->hooks, store->relics[i].key);
    store->relic_count = 0;
}

/* --- removing ------------------------------------------------------------------------------------
 */

typedef struct removal {
    Etcd__Compare compares[ETCD_RELICS_MAX], *compare_list[ETCD_RELICS_MAX];
    Etcd__DeleteRequest deletes[ETCD_RELICS_MAX];
    Etcd__PutRequest put;
    Etcd__RequestOp ops[ETCD_RELICS_MAX + 1], *op_list[ETCD_RELICS_MAX + 1];
} removal;

static void add_removal(removal *r, size_t i, const etcd_relic *relic) {
    ProtobufCBinaryData key = {relic->key_size, relic->key};
    etcd_compare_init(&r->compares[i], key, (int64_t)relic->revision);
    r->compare_list[i] = &r->compares[i];
    etcd__delete_request__init(&r->deletes[i]);
    r->deletes[i].key = key;
    etcd__request_op__init(&r->ops[i]);
    r->ops[i].request_case = ETCD__REQUEST_OP__REQUEST_DELETE_RANGE;
    r->ops[i].delete_range = &r->deletes[i];
    r->op_list[i] = &r->ops[i];
}

void etcd_remove_relics(etcd_store *store, const etcd_relic *relics, size_t count) {
    assert(count <= ETCD_RELICS_MAX);
    removal r;
    etcd_key_text last;
    for (size_t i = 0; i < count; i++)
        add_removal(&r, i, &relics[i]);
    etcd_key_store(store, "slot/last", &last);
    etcd__put_request__init(&r.put);
    r.put.key = etcd_binary(&last);
    etcd__request_op__init(&r.ops[count]);
    r.ops[count].request_case = ETCD__REQUEST_OP__REQUEST_PUT;
    r.ops[count].put = &r.put;
    r.op_list[count] = &r.ops[count];
    Etcd__TxnRequest txn = ETCD__TXN_REQUEST__INIT;
    txn.n_compare = count;
    txn.compare = r.compare_list;
    txn.n_success = count + 1;
    txn.success = r.op_list;
    Etcd__TxnResponse *answer;
    if (etcd_ask_txn(store, &txn, SWEEP_TIMEOUT_MS, &answer, NULL) == IPALLOC_OK)
        etcd_free_message(store->hooks, &answer->base);
}

/* --- looking -------------------------------------------------------------------------------------
 */

static bool is_dead(const etcd_store *store, const etcd_key_text *own, const Etcd__KeyValue *kv) {
    uint64_t written_ms;
    return kv->mod_revision > 0 && kv->key.len <= ETCD_KEY_MAX && kv->key.len > own->size &&
           memcmp(kv->key.data, own->bytes, own->size) != 0 &&
           etcd_slot_time(kv->value.data, kv->value.len, &written_ms) &&
           hooks_wall_ms(store->hooks) > written_ms &&
           hooks_wall_ms(store->hooks) - written_ms > DEAD_AFTER_MS;
}

static void note_dead(etcd_store *store, const Etcd__RangeResponse *slots) {
    etcd_key_text own, slots_key;
    etcd_slot any = {0};
    etcd_key_slot(store, &any, &own);
    own.size -= 1; /* "slot/SESSION/" */
    etcd_key_store(store, "slot/", &slots_key);
    for (size_t i = 0; i < slots->n_kvs && store->relic_count < ETCD_RELICS_MAX; i++) {
        const Etcd__KeyValue *kv = slots->kvs[i];
        etcd_key_text key;
        if (!is_dead(store, &own, kv) || memcmp(kv->key.data, slots_key.bytes, slots_key.size) != 0)
            continue;
        key.size = kv->key.len;
        memcpy(key.bytes, kv->key.data, kv->key.len);
        if (!etcd_relic_init(store, &key, (uint64_t)kv->mod_revision,
                             &store->relics[store->relic_count]))
            return;
        store->relic_count++;
    }
}

static void look(etcd_store *store) {
    etcd_key_text key, end;
    Etcd__RangeRequest range;
    Etcd__RangeResponse *answer;
    etcd_key_store(store, "slot/", &key);
    etcd_key_end(&key, &end);
    etcd_range_init(&range, etcd_binary(&key), false);
    range.range_end = etcd_binary(&end);
    range.limit = ETCD_RELICS_MAX;
    range.sort_order = SORT_ASCENDING;
    range.sort_target = SORT_BY_MODIFIED;
    if (etcd_ask_range(store, &range, SWEEP_TIMEOUT_MS, &answer, NULL) != IPALLOC_OK)
        return;
    note_dead(store, answer);
    etcd_free_message(store->hooks, &answer->base);
}

void etcd_sweep(etcd_store *store) {
    uint64_t now = hooks_monotonic_ms(store->hooks);
    pthread_mutex_lock(&store->mutex);
    bool ours = !store->sweeping && now >= store->sweep_ms;
    if (ours)
        store->sweeping = true; /* from here on the relics are ours */
    pthread_mutex_unlock(&store->mutex);
    if (!ours)
        return;
    if (store->relic_count > 0)
        etcd_remove_relics(store, store->relics, store->relic_count);
    etcd_relics_free(store);
    look(store);
    pthread_mutex_lock(&store->mutex);
    store->sweep_ms = hooks_monotonic_ms(store->hooks) + SWEEP_EVERY_MS;
    store->sweeping = false;
    pthread_mutex_unlock(&store->mutex);
}
