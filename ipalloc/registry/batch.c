/*
 * batch.c: building a batch. Keys and values are collected in one buffer that may move while it
 * grows; operations learn their addresses when it is finished.
 */
#include "registry/batch.h"

#include <assert.h>

int batch_init(batch_builder *b, const hooks *h, size_t capacity) {
    assert(capacity <= IPALLOC_BATCH_OPS_MAX);
    *b = (batch_builder){.hooks = h, .capacity = capacity};
    text_init(&b->bytes, h);
    b->ops = hooks_alloc_zeroed(h, capacity * sizeof b->ops[0]);
    b->keys = hooks_alloc_zeroed(h, capacity * sizeof b->keys[0]);
    b->values = hooks_alloc_zeroed(h, capacity * sizeof b->values[0]);
    if (b->ops != NULL && b->keys != NULL && b->values != NULL)
        return IPALLOC_OK;
    batch_free(b);
    return IPALLOC_E_NOMEM;
}

void batch_free(batch_builder *b) {
    if (b->hooks == NULL)
        return;
    hooks_free(b->hooks, b->ops);
    hooks_free(b->hooks, b->keys);
    hooks_free(b->hooks, b->values);
    text_free(&b->bytes);
    *b = (batch_builder){0};
}

static void add(batch_builder *b, int kind, ipalloc_bytes key, enum batch_when when,
                uint64_t revision) {
    assert(b->count < b->capacity);
    int condition = when == WHEN_ANY ? IPALLOC_IF_ANY
                    : revision == 0  ? IPALLOC_IF_ABSENT
                                     : IPALLOC_IF_REVISION;
    b->ops[b->count] = (ipalloc_op){
        .kind = kind, .condition = condition, .revision = when == WHEN_ANY ? 0 : revision};
    b->keys[b->count] = (batch_span){.at = b->bytes.length, .size = key.size};
    text_append(&b->bytes, key.data, key.size);
    b->values[b->count] = (batch_span){.at = b->bytes.length};
    b->count++;
}

void batch_check(batch_builder *b, ipalloc_bytes key, uint64_t revision) {
    add(b, IPALLOC_OP_CHECK, key, WHEN_AT, revision);
}

void batch_delete(batch_builder *b, ipalloc_bytes key, enum batch_when when, uint64_t revision) {
    add(b, IPALLOC_OP_DELETE, key, when, revision);
}

void batch_put(batch_builder *b, ipalloc_bytes key, enum batch_when when, uint64_t revision) {
    add(b, IPALLOC_OP_PUT, key, when, revision);
}

void batch_end_value(batch_builder *b) {
    batch_span *value = &b->values[b->count - 1];
    value->size = b->bytes.length - value->at;
}

void batch_put_bytes(batch_builder *b, ipalloc_bytes key, enum batch_when when, uint64_t revision,
                     ipalloc_bytes value) {
    add(b, IPALLOC_OP_PUT, key, when, revision);
    b->ops[b->count - 1].value = value;
}

bool batch_finish(batch_builder *b) {
    if (b->bytes.failed)
        return false;
    for (size_t i = 0; i < b->count; i++) {
        ipalloc_op *op = &b->ops[i];
        op->key = (ipalloc_bytes){.data = b->bytes.bytes + b->keys[i].at, .size = b->keys[i].size};
        if (op->value.data == NULL && b->values[i].size > 0)
            op->value = (ipalloc_bytes){.data = b->bytes.bytes + b->values[i].at,
                                        .size = b->values[i].size};
    }
    return true;
}
