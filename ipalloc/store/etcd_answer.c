/*
 * etcd_answer.c: packing questions, unpacking answers, and whether an answer can be believed.
 *
 * May use: base/, the channel. All memory of messages comes from the hooks. Every answer passes
 * etcd_check_header: one cluster, and no revision that goes back.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "store/etcd.pb-c.h"

#include <string.h>

/* --- messages ------------------------------------------------------------------------------------
 */

typedef struct message_memory {
    const hooks *hooks;
    bool failed; /* so that damage can be told from want of memory */
} message_memory;

static void *message_alloc(void *context, size_t size) {
    message_memory *memory = context;
    void *bytes = hooks_alloc(memory->hooks, size > 0 ? size : 1);
    memory->failed |= bytes == NULL;
    return bytes;
}

static void message_free(void *context, void *bytes) {
    message_memory *memory = context;
    hooks_free(memory->hooks, bytes);
}

int etcd_unpack(const hooks *h, const ProtobufCMessageDescriptor *kind, const uint8_t *bytes,
                size_t size, ProtobufCMessage **out, ipalloc_error *error) {
    message_memory memory = {.hooks = h};
    ProtobufCAllocator allocator = {message_alloc, message_free, &memory};
    *out = protobuf_c_message_unpack(kind, &allocator, size, bytes);
    if (*out != NULL)
        return IPALLOC_OK;
    if (memory.failed)
        return error_no_memory(error);
    return error_set(error, IPALLOC_E_CORRUPT, "etcd: an answer is damaged: no %s",
                     kind->short_name);
}

void etcd_free_message(const hooks *h, ProtobufCMessage *message) {
    message_memory memory = {.hooks = h};
    ProtobufCAllocator allocator = {message_alloc, message_free, &memory};
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, &allocator);
}

int etcd_pack(const hooks *h, const ProtobufCMessage *message, uint8_t **out, size_t *size,
              ipalloc_error *error) {
    *size = protobuf_c_message_get_packed_size(message);
    *out = hooks_alloc(h, *size > 0 ? *size : 1);
    if (*out == NULL)
        return error_no_memory(error);
    protobuf_c_message_pack(message, *out);
    return IPALLOC_OK;
}

/* --- belief --------------------------------------------------------------------------------------
 */

static const char OTHER_CLUSTER[] =
    "another etcd cluster answers than the one that the store was opened on: it was restored or "
    "replaced; open the store again";
static const char WENT_BACK[] =
    "etcd's revision went back: it lost what it had said to be stored, or was restored; open the "
    "store again";

int etcd_give_up(etcd_store *store, const char *why, ipalloc_error *error) {
    pthread_mutex_lock(&store->mutex);
    store->unusable = why;
    pthread_mutex_unlock(&store->mutex);
    return error_set(error, IPALLOC_E_MISMATCH, "%s: %s", store->name, why);
}

int etcd_damaged(const etcd_store *store, const char *what, ipalloc_error *error) {
    return error_set(error, IPALLOC_E_CORRUPT, "%s: an answer of etcd is damaged: %s", store->name,
                     what);
}

uint64_t etcd_seen(etcd_store *store) {
    pthread_mutex_lock(&store->mutex);
    uint64_t seen = store->seen;
    pthread_mutex_unlock(&store->mutex);
    return seen;
}

int etcd_check_header(etcd_store *store, const etcd_header *header, uint64_t seen_before,
                      ipalloc_error *error) {
    if (header == NULL || header->cluster_id == 0 || header->revision <= 0)
        return etcd_damaged(store, "its header says no cluster or no revision", error);
    uint64_t revision = (uint64_t)header->revision;
    pthread_mutex_lock(&store->mutex);
    if (store->cluster_id == 0)
        store->cluster_id = header->cluster_id; /* the first answer */
    bool same = header->cluster_id == store->cluster_id;
    if (same && revision > store->seen)
        store->seen = revision;
    pthread_mutex_unlock(&store->mutex);
    if (!same)
        return etcd_give_up(store, OTHER_CLUSTER, error);
    return revision < seen_before ? etcd_give_up(store, WENT_BACK, error) : IPALLOC_OK;
}

/* --- asking --------------------------------------------------------------------------------------
 */

static int ask(etcd_store *store, const char *method, const ProtobufCMessage *request,
               uint64_t timeout_ms, const ProtobufCMessageDescriptor *kind,
               ProtobufCMessage **answer, ipalloc_error *error) {
    uint8_t *bytes;
    size_t size;
    int status = etcd_pack(store->hooks, request, &bytes, &size, error);
    if (status != IPALLOC_OK)
        return status;
    uint64_t begun = hooks_monotonic_ms(store->hooks);
    uint64_t wanted = timeout_ms != 0 ? timeout_ms : store->timeout_ms;
    channel_call call = {.method = method,
                         .request = {bytes, size},
                         .repeatable = true,
                         .in_order = kind == &etcd__txn_response__descriptor,
                         .timeout_ms = etcd_patience(store, wanted)};
    channel_do(store->channel, &call, 1);
    etcd_note_call(store, &call, begun);
    hooks_free(store->hooks, bytes);
    if (call.end == CALL_ANSWERED) {
        status = etcd_unpack(store->hooks, kind, call.answer, call.answer_size, answer, error);
        channel_free_answer(store->channel, &call);
        return status;
    }
    return error_set(error, call.status, "%s: %s", store->name, call.error.message);
}

int etcd_ask_range(etcd_store *store, const Etcd__RangeRequest *request, uint64_t timeout_ms,
                   Etcd__RangeResponse **answer, ipalloc_error *error) {
    ProtobufCMessage *message;
    uint64_t seen = etcd_seen(store);
    int status = ask(store, "/etcdserverpb.KV/Range", &request->base, timeout_ms,
                     &etcd__range_response__descriptor, &message, error);
    if (status != IPALLOC_OK)
        return status;
    *answer = (Etcd__RangeResponse *)message;
    status = etcd_check_header(store, (*answer)->header, seen, error);
    if (status != IPALLOC_OK)
        etcd_free_message(store->hooks, message);
    return status;
}

int etcd_ask_txn(etcd_store *store, const Etcd__TxnRequest *request, uint64_t timeout_ms,
                 Etcd__TxnResponse **answer, ipalloc_error *error) {
    ProtobufCMessage *message;
    uint64_t seen = etcd_seen(store);
    int status = ask(store, "/etcdserverpb.KV/Txn", &request->base, timeout_ms,
                     &etcd__txn_response__descriptor, &message, error);
    if (status != IPALLOC_OK)
        return status;
    *answer = (Etcd__TxnResponse *)message;
    status = etcd_check_header(store, (*answer)->header, seen, error);
    if (status != IPALLOC_OK)
        etcd_free_message(store->hooks, message);
    return status;
}
