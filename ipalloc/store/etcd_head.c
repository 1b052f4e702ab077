/*
 * etcd_head.c: which is the last batch's revision: one question for all who wait at the same time.
 *
 * May use: base/, the channel through etcd_ask_txn. A caller takes only an answer to a question
 * that was sent after it came: else it could miss what was committed before it asked. So whoever
 * finds a question out waits for its end, and then for the next one, which the first of the waiting
 * sends. That its time was too short is no answer to who has more.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "store/etcd_txn.h"

static const char OTHER_FORM[] = "the store under the prefix was accepted as restored, or made "
                                 "anew, by another process since it "
                                 "was opened here; open it again";

/* The form may have been written since: by whoever accepted the restored store. Where that was
 * another thread of ours, while this answer was on its way, we know more than the answer. */
static int follow_form(etcd_store *store, const Etcd__KeyValue *kv, ipalloc_error *error) {
    pthread_mutex_lock(&store->mutex);
    uint64_t known = store->form.revision;
    bool restored = store->restored;
    pthread_mutex_unlock(&store->mutex);
    if (kv != NULL && (uint64_t)kv->mod_revision <= known)
        return IPALLOC_OK;
    if (kv == NULL || !restored)
        return etcd_give_up(store, OTHER_FORM, error);
    etcd_form form = {.revision = (uint64_t)kv->mod_revision};
    int status = etcd_form_read(store, kv->value.data, kv->value.len, &form, error);
    if (status != IPALLOC_OK)
        return status;
    pthread_mutex_lock(&store->mutex);
    if (form.revision > store->form.revision) {
        store->form = form;
        store->restored = form.cluster_id != store->cluster_id;
    }
    pthread_mutex_unlock(&store->mutex);
    return IPALLOC_OK;
}

static int read_answer(etcd_store *store, const Etcd__TxnResponse *answer,
                       ProtobufCBinaryData form_key, uint64_t *revision, ipalloc_error *error) {
    const Etcd__RangeResponse *form = NULL, *head = NULL;
    const Etcd__KeyValue *kv = NULL;
    int64_t now = answer->header->revision;
    int status = etcd_range_at(store, answer, 0, &form, error);
    if (status == IPALLOC_OK)
        status = etcd_range_at(store, answer, 1, &head, error);
    if (status == IPALLOC_OK)
        status = etcd_single_key(store, form, form_key, now, &kv, error);
    if (status == IPALLOC_OK)
        status = follow_form(store, kv, error);
    return status == IPALLOC_OK ? etcd_head_read(store, head, now, revision, error) : status;
}

static int ask_head(etcd_store *store, uint64_t timeout_ms, uint64_t *revision,
                    ipalloc_error *error) {
    etcd_key_text form_key, head_key, head_end;
    Etcd__RangeRequest ranges[2];
    etcd_key_store(store, "form", &form_key);
    etcd_range_init(&ranges[0], etcd_binary(&form_key), false);
    etcd_head_init(store, &head_key, &head_end, &ranges[1]);
    Etcd__RequestOp ops[2] = {ETCD__REQUEST_OP__INIT, ETCD__REQUEST_OP__INIT};
    Etcd__RequestOp *list[2] = {&ops[0], &ops[1]};
    for (int i = 0; i < 2; i++) {
        ops[i].request_case = ETCD__REQUEST_OP__REQUEST_RANGE;
        ops[i].range = &ranges[i];
    }
    Etcd__TxnRequest txn = ETCD__TXN_REQUEST__INIT;
    txn.n_success = 2;
    txn.success = list;
    Etcd__TxnResponse *answer;
    int status = etcd_ask_txn(store, &txn, timeout_ms, &answer, error);
    if (status != IPALLOC_OK)
        return status;
    status = read_answer(store, answer, etcd_binary(&form_key), revision, error);
    etcd_free_message(store->hooks, &answer->base);
    return status;
}

/* Under the mutex, which is let go meanwhile: ask, and tell all who wait. */
static void lead(etcd_store *store, uint64_t limit_ms) {
    etcd_head *head = &store->head;
    uint64_t number = ++head->asked;
    uint64_t revision = 0;
    ipalloc_error error = {0};
    limit_ms = etcd_patience_held(store, limit_ms);
    pthread_mutex_unlock(&store->mutex);
    int status = ask_head(store, limit_ms, &revision, &error);
    pthread_mutex_lock(&store->mutex);
    head->answered = number;
    head->status = status;
    head->limit_ms = limit_ms;
    head->revision = revision;
    head->error = error;
    atomic32_store_release(&head->ended, (uint32_t)number);
    store->system->wake_all(&head->ended);
}

/* Under the mutex, which is let go meanwhile. */
static void wait_for_leader(etcd_store *store, uint64_t limit_ms) {
    uint32_t before = atomic32_load_acquire(&store->head.ended);
    pthread_mutex_unlock(&store->mutex);
    store->system->wait(&store->head.ended, before, limit_ms * 1000000);
    pthread_mutex_lock(&store->mutex);
}

/* Somebody with less time has asked, and it was too short. */
static bool was_too_short(const etcd_store *store, uint64_t left_ms) {
    return store->head.status == IPALLOC_E_UNAVAILABLE &&
           store->head.limit_ms < etcd_patience_held(store, left_ms);
}

int etcd_learn_head(etcd_store *store, uint64_t timeout_ms, uint64_t *revision,
                    ipalloc_error *error) {
    etcd_head *head = &store->head;
    uint64_t start = hooks_monotonic_ms(store->hooks), left = timeout_ms;
    bool led = false;
    pthread_mutex_lock(&store->mutex);
    uint64_t wanted = head->asked + 1;
    while (left > 0 && (head->answered < wanted || (!led && was_too_short(store, left)))) {
        led = head->asked == head->answered;
        if (led)
            lead(store, left);
        else
            wait_for_leader(store, left);
        uint64_t waited = hooks_monotonic_ms(store->hooks) - start;
        left = waited < timeout_ms ? timeout_ms - waited : 0;
    }
    bool answered = head->answered >= wanted;
    int status = head->status;
    *revision = head->revision;
    ipalloc_error last = head->error;
    pthread_mutex_unlock(&store->mutex);
    if (!answered)
        return error_set(error, IPALLOC_E_UNAVAILABLE, "%s: no answer within %llu ms%s%s",
                         store->name, (unsigned long long)timeout_ms,
                         last.message[0] != '\0' ? "; before that: " : "", last.message);
    if (status != IPALLOC_OK && error != NULL)
        *error = last;
    return status;
}

int etcd_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    etcd_store *store = self;
    uint64_t revision;
    int status = etcd_learn_head(store, store->timeout_ms, &revision, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_store_info full = {.size = sizeof full,
                               .revision = revision,
                               .oldest_change = feed_oldest(store),
                               .read_only = store->read_only};
    pthread_mutex_lock(&store->mutex);
    full.epoch = store->form.epoch;
    full.restored = store->restored;
    pthread_mutex_unlock(&store->mutex);
    return store_info_copy(out, &full, error);
}
