/*
 * etcd_form.c: which store lies under the prefix: making a new one, knowing an old one, accepting a
 * restored one.
 *
 * May use: base/, the channel through etcd_ask_txn. The form is made only where nothing lies under
 * the prefix, in one transaction; every later batch is conditional on it, so that no server writes
 * to a store that was replaced or accepted behind its back.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "base/text.h"
#include "store/etcd_txn.h"

#include <string.h>

enum { LOOK_FORM, LOOK_ANY, LOOK_HEAD, LOOKS };

/* What lies under the prefix. */
typedef struct look {
    bool is_there;
    etcd_form form;
    uint64_t head;
    uint64_t revision;
} look;

static int read_look(etcd_store *store, ProtobufCBinaryData form_key,
                     const Etcd__TxnResponse *answer, look *out, ipalloc_error *error) {
    const Etcd__RangeResponse *form = NULL, *any = NULL, *head = NULL;
    const Etcd__KeyValue *kv = NULL;
    int64_t revision = answer->header->revision;
    int status = etcd_range_at(store, answer, LOOK_FORM, &form, error);
    if (status == IPALLOC_OK)
        status = etcd_range_at(store, answer, LOOK_ANY, &any, error);
    if (status == IPALLOC_OK)
        status = etcd_range_at(store, answer, LOOK_HEAD, &head, error);
    if (status == IPALLOC_OK)
        status = etcd_single_key(store, form, form_key, revision, &kv, error);
    if (status != IPALLOC_OK)
        return status;
    *out = (look){.is_there = kv != NULL, .revision = (uint64_t)revision};
    if (kv == NULL && any->n_kvs == 0)
        return IPALLOC_OK;
    if (kv == NULL) {
        char quoted[128];
        return error_set(
            error, IPALLOC_E_CORRUPT,
            "%s: the prefix belongs to something else: there is a key \"%s\", and no %sstore/form",
            store->name,
            text_quote(any->kvs[0]->key.data, any->kvs[0]->key.len, quoted, sizeof quoted),
            store->prefix);
    }
    out->form.revision = (uint64_t)kv->mod_revision;
    status = etcd_form_read(store, kv->value.data, kv->value.len, &out->form, error);
    return status == IPALLOC_OK ? etcd_head_read(store, head, revision, &out->head, error) : status;
}

static int look_up(etcd_store *store, look *out, ipalloc_error *error) {
    etcd_key_text form_key, any_key, any_end, head_key, head_end;
    etcd_key_store(store, "form", &form_key);
    any_key.size = store->prefix_length;
    memcpy(any_key.bytes, store->prefix, store->prefix_length);
    etcd_key_end(&any_key, &any_end);
    Etcd__RangeRequest ranges[LOOKS];
    Etcd__RequestOp ops[LOOKS];
    Etcd__RequestOp *list[LOOKS];
    etcd_range_init(&ranges[LOOK_FORM], etcd_binary(&form_key), false);
    etcd_range_init(&ranges[LOOK_ANY], etcd_binary(&any_key), true);
    ranges[LOOK_ANY].range_end = etcd_binary(&any_end);
    ranges[LOOK_ANY].limit = 1;
    etcd_head_init(store, &head_key, &head_end, &ranges[LOOK_HEAD]);
    for (int i = 0; i < LOOKS; i++) {
        etcd__request_op__init(&ops[i]);
        ops[i].request_case = ETCD__REQUEST_OP__REQUEST_RANGE;
        ops[i].range = &ranges[i];
        list[i] = &ops[i];
    }
    Etcd__TxnRequest txn = ETCD__TXN_REQUEST__INIT;
    txn.n_success = LOOKS;
    txn.success = list;
    Etcd__TxnResponse *answer;
    int status = etcd_ask_txn(store, &txn, 0, &answer, error);
    if (status != IPALLOC_OK)
        return status;
    status = read_look(store, etcd_binary(&form_key), answer, out, error);
    etcd_free_message(store->hooks, &answer->base);
    return status;
}

/* --- writing it ----------------------------------------------------------------------------------
 */

static int put_form(etcd_store *store, Etcd__Compare *condition, const etcd_form *form,
                    ipalloc_error *error) {
    etcd_key_text key;
    char value[ETCD_FORM_VALUE_MAX];
    etcd_key_store(store, "form", &key);
    etcd_form_write(form, value);
    Etcd__PutRequest put = ETCD__PUT_REQUEST__INIT;
    put.key = etcd_binary(&key);
    put.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
    Etcd__RequestOp op = ETCD__REQUEST_OP__INIT;
    op.request_case = ETCD__REQUEST_OP__REQUEST_PUT;
    op.put = &put;
    Etcd__RequestOp *list = &op;
    Etcd__TxnRequest txn = ETCD__TXN_REQUEST__INIT;
    txn.n_compare = 1;
    txn.compare = &condition;
    txn.n_success = 1;
    txn.success = &list;
    Etcd__TxnResponse *answer;
    int status = etcd_ask_txn(store, &txn, 0, &answer, error);
    if (status == IPALLOC_OK)
        etcd_free_message(store->hooks, &answer->base);
    return status; /* whether it was ours: the next look tells */
}

/* On condition that nothing at all is under the prefix. */
static int make(etcd_store *store, const ipalloc_store_options *options, ipalloc_error *error) {
    etcd_key_text any_key, any_end;
    any_key.size = store->prefix_length;
    memcpy(any_key.bytes, store->prefix, store->prefix_length);
    etcd_key_end(&any_key, &any_end);
    Etcd__Compare empty;
    etcd_compare_init(&empty, etcd_binary(&any_key), 0);
    empty.range_end = etcd_binary(&any_end);
    etcd_form form = {.epoch = options->first_epoch != 0 ? options->first_epoch : 1,
                      .cluster_id = store->cluster_id};
    return put_form(store, &empty, &form, error);
}

static void adopt(etcd_store *store, const look *seen) {
    pthread_mutex_lock(&store->mutex);
    store->form = seen->form;
    store->restored = seen->form.cluster_id != store->cluster_id;
    pthread_mutex_unlock(&store->mutex);
}

int etcd_form_open(etcd_store *store, const ipalloc_store_options *options, ipalloc_error *error) {
    look seen;
    int status = look_up(store, &seen, error);
    if (status == IPALLOC_OK && !seen.is_there) {
        if (options->must_exist || options->read_only)
            return error_set(error, IPALLOC_E_NOT_FOUND,
                             "%s: there is no store: nothing lies under the prefix %s", store->name,
                             store->prefix);
        status = make(store, options, error);
        if (status == IPALLOC_OK)
            status = look_up(store, &seen, error);
        if (status == IPALLOC_OK && !seen.is_there)
            status = error_set(error, IPALLOC_E_IO, "%s: was removed while it was being made",
                               store->name);
    }
    if (status != IPALLOC_OK)
        return status;
    adopt(store, &seen);
    if (store->restored)
        hooks_log(store->hooks, IPALLOC_LOG_WARNING,
                  "%s: is on another cluster than the one it was made on: a restored one; nothing "
                  "is written to it until it is accepted",
                  store->name);
    return feed_init(store, seen.head, seen.revision, error);
}

/* --- a restored one ------------------------------------------------------------------------------
 */

int etcd_accept(void *self, ipalloc_error *error) {
    etcd_store *store = self;
    pthread_mutex_lock(&store->mutex);
    etcd_form form = store->form;
    bool restored = store->restored;
    const char *unusable = store->unusable;
    pthread_mutex_unlock(&store->mutex);
    if (unusable != NULL)
        return error_set(error, IPALLOC_E_MISMATCH, "%s: %s", store->name, unusable);
    if (!restored)
        return IPALLOC_OK;
    if (store->read_only)
        return error_set(error, IPALLOC_E_READ_ONLY, "%s: was opened read-only", store->name);
    etcd_key_text key;
    etcd_key_store(store, "form", &key);
    Etcd__Compare unchanged;
    etcd_compare_init(&unchanged, etcd_binary(&key), (int64_t)form.revision);
    form.epoch++;
    form.cluster_id = store->cluster_id;
    look seen;
    int status = put_form(store, &unchanged, &form, error);
    if (status == IPALLOC_OK)
        status = look_up(store, &seen, error);
    if (status != IPALLOC_OK)
        return status;
    if (!seen.is_there || seen.form.cluster_id != store->cluster_id)
        return error_set(error, IPALLOC_E_IO, "%s: was replaced while it was being accepted",
                         store->name);
    adopt(store, &seen);
    return IPALLOC_OK;
}
