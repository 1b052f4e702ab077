/* inside.c: questions to etcd through the library's own client; see inside.h. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTS_MAX = 8, TIMEOUT_MS = 10000 };

etcd_channel *inside_connect(const setup *s, hooks *h) {
    char text[1024];
    const char *hosts[HOSTS_MAX];
    size_t count = 0;
    ipalloc_error error = {0};
    etcd_channel *channel = NULL;
    char *left = NULL;
    if (hooks_init(h, NULL, &error) != IPALLOC_OK)
        broken("hooks", error.message);
    snprintf(text, sizeof text, "%s", s->hosts);
    for (char *host = strtok_r(text, ",", &left); host != NULL && count < HOSTS_MAX;
         host = strtok_r(NULL, ",", &left))
        hosts[count++] = host;
    channel_options options = {.hooks = h,
                               .system = &SYSTEM_CALLS,
                               .hosts = hosts,
                               .host_count = count,
                               .timeout_ms = TIMEOUT_MS};
    if (channel_open(&options, &channel, &error) != IPALLOC_OK)
        broken(s->hosts, error.message);
    return channel;
}

Etcd__TxnResponse *inside_send(etcd_channel *channel, const hooks *h, const uint8_t *request,
                               size_t size) {
    channel_call call = {.method = "/etcdserverpb.KV/Txn", .request = {request, size}};
    struct ProtobufCMessage *message = NULL;
    ipalloc_error error = {0};
    channel_do(channel, &call, 1);
    if (call.end != CALL_ANSWERED)
        broken("a transaction", call.error.message);
    if (etcd_unpack(h, &etcd__txn_response__descriptor, call.answer, call.answer_size, &message,
                    &error) != IPALLOC_OK)
        broken("an answer", error.message);
    channel_free_answer(channel, &call);
    return (Etcd__TxnResponse *)message;
}

Etcd__TxnResponse *inside_do(etcd_channel *channel, const hooks *h,
                             const Etcd__TxnRequest *request) {
    uint8_t *bytes;
    size_t size;
    if (etcd_pack(h, &request->base, &bytes, &size, NULL) != IPALLOC_OK)
        broken("a transaction", "out of memory");
    Etcd__TxnResponse *answer = inside_send(channel, h, bytes, size);
    hooks_free(h, bytes);
    return answer;
}

uint8_t *inside_read(etcd_channel *channel, const hooks *h, ProtobufCBinaryData key, size_t *size,
                     int64_t *revision) {
    Etcd__RangeRequest range;
    Etcd__RequestOp op = ETCD__REQUEST_OP__INIT, *ops[] = {&op};
    Etcd__TxnRequest request = ETCD__TXN_REQUEST__INIT;
    etcd_range_init(&range, key, false);
    op.request_case = ETCD__REQUEST_OP__REQUEST_RANGE;
    op.range = &range;
    request.n_success = 1;
    request.success = ops;
    Etcd__TxnResponse *answer = inside_do(channel, h, &request);
    uint8_t *copy = NULL;
    *revision = 0;
    *size = 0;
    if (answer->n_responses != 1 || answer->responses[0]->range == NULL)
        broken("an answer", "is none to a range");
    if (answer->responses[0]->range->n_kvs == 1) {
        const Etcd__KeyValue *kv = answer->responses[0]->range->kvs[0];
        copy = malloc(kv->value.len > 0 ? kv->value.len : 1);
        if (copy == NULL)
            broken("a value", "out of memory");
        if (kv->value.len > 0)
            memcpy(copy, kv->value.data, kv->value.len);
        *size = kv->value.len;
        *revision = kv->mod_revision;
    }
    etcd_free_message(h, &answer->base);
    return copy;
}

ProtobufCBinaryData inside_text(const char *text) {
    union {
        const char *in;
        uint8_t *out;
    } bytes = {.in = text};
    return (ProtobufCBinaryData){strlen(text), bytes.out};
}
