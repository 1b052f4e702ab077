/*
 * blob.c: Kubernetes' first way to keep a range: its bitmap is one value; an allocation reads it,
 * sets a bit that is free, and swaps it in if nobody else did; see etcd_bench.h.
 *
 * One attempt at a time in each server, as there. A refused swap brings the newer value with it,
 * and is tried again with that.
 */
#include "inside.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct blob {
    hooks hooks;
    etcd_channel *channel;
    char key[PREFIX_MAX + 8];
    pthread_mutex_t one_at_a_time;
} blob;

/* Swap; false: it had changed, and *bits and *revision are newer now. */
static bool swap(blob *b, uint8_t *bits, int64_t *revision) {
    ProtobufCBinaryData key = inside_text(b->key);
    Etcd__Compare compare, *compares[] = {&compare};
    Etcd__PutRequest put = ETCD__PUT_REQUEST__INIT;
    Etcd__RangeRequest range;
    Etcd__RequestOp write = ETCD__REQUEST_OP__INIT, *writes[] = {&write};
    Etcd__RequestOp look = ETCD__REQUEST_OP__INIT, *looks[] = {&look};
    Etcd__TxnRequest request = ETCD__TXN_REQUEST__INIT;
    etcd_compare_init(&compare, key, *revision);
    etcd_range_init(&range, key, false);
    put.key = key;
    put.value = (ProtobufCBinaryData){BLOB_BYTES, bits};
    write.request_case = ETCD__REQUEST_OP__REQUEST_PUT;
    write.put = &put;
    look.request_case = ETCD__REQUEST_OP__REQUEST_RANGE;
    look.range = &range;
    request.n_compare = request.n_success = request.n_failure = 1;
    request.compare = compares;
    request.success = writes;
    request.failure = looks;
    Etcd__TxnResponse *answer = inside_do(b->channel, &b->hooks, &request);
    bool succeeded = answer->succeeded;
    if (!succeeded) {
        const Etcd__KeyValue *kv = answer->responses[0]->range->kvs[0];
        memcpy(bits, kv->value.data, BLOB_BYTES);
        *revision = kv->mod_revision;
    }
    etcd_free_message(&b->hooks, &answer->base);
    return succeeded;
}

static void *open_blob(const setup *s) {
    blob *b = calloc(1, sizeof *b);
    if (b == NULL)
        broken("blob", "out of memory");
    b->channel = inside_connect(s, &b->hooks);
    pthread_mutex_init(&b->one_at_a_time, NULL);
    snprintf(b->key, sizeof b->key, "%s/blob", s->prefix);
    return b;
}

static void close_blob(void *self) {
    blob *b = self;
    channel_close(b->channel);
    pthread_mutex_destroy(&b->one_at_a_time);
    free(b);
}

/* An empty range. */
static void prepare_blob(const setup *s) {
    blob *b = open_blob(s);
    uint8_t bits[BLOB_BYTES] = {0};
    int64_t revision = 0; /* absent */
    if (!swap(b, bits, &revision))
        broken("blob", "is there already");
    close_blob(b);
}

static void set_free_bit(blob *b, uint8_t *bits) {
    for (;;) {
        uint64_t bit = hooks_random_below(&b->hooks, BLOB_BYTES * 8u);
        if ((bits[bit / 8] >> bit % 8 & 1) == 0) {
            bits[bit / 8] |= (uint8_t)(1u << bit % 8);
            return;
        }
    }
}

static uint64_t allocate_blob(void *self, unsigned caller, uint64_t number) {
    blob *b = self;
    size_t size;
    int64_t revision;
    uint64_t conflicts = 0;
    (void)caller;
    (void)number;
    pthread_mutex_lock(&b->one_at_a_time);
    uint8_t *bits = inside_read(b->channel, &b->hooks, inside_text(b->key), &size, &revision);
    if (bits == NULL || size != BLOB_BYTES)
        broken("blob", "is gone");
    set_free_bit(b, bits);
    while (!swap(b, bits, &revision)) {
        conflicts++;
        set_free_bit(b, bits);
    }
    free(bits);
    pthread_mutex_unlock(&b->one_at_a_time);
    return conflicts;
}

const subject BLOB = {"one value, swapped", prepare_blob, open_blob, allocate_blob, close_blob};
