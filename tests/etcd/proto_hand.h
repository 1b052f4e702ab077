/*
 * proto_hand.h: the few messages of etcd's that the channel's tests need, made by hand.
 */
#ifndef IPALLOC_TEST_ETCD_PROTO_HAND_H
#define IPALLOC_TEST_ETCD_PROTO_HAND_H

#include "support.h"

#include <ipalloc/store.h>

#include <string.h>

typedef struct hand_message {
    uint8_t bytes[512];
    size_t size;
} hand_message;

static inline void hand_varint(hand_message *m, uint64_t value) {
    for (; value >= 128; value >>= 7)
        m->bytes[m->size++] = (uint8_t)(value | 128);
    m->bytes[m->size++] = (uint8_t)value;
}

static inline void hand_bytes(hand_message *m, unsigned field, const void *bytes, size_t size) {
    ck_assert_uint_lt(m->size + size + 8, sizeof m->bytes);
    hand_varint(m, field << 3 | 2);
    hand_varint(m, size);
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static inline void hand_text(hand_message *m, unsigned field, const char *text) {
    hand_bytes(m, field, text, strlen(text));
}

static inline void hand_number(hand_message *m, unsigned field, uint64_t value) {
    hand_varint(m, field << 3);
    hand_varint(m, value);
}

static inline ipalloc_bytes hand_request(const hand_message *m) {
    return (ipalloc_bytes){m->bytes, m->size};
}

#define HAND_PUT   "/etcdserverpb.KV/Put"
#define HAND_RANGE "/etcdserverpb.KV/Range"
#define HAND_WATCH "/etcdserverpb.Watch/Watch"

static inline hand_message hand_put(const char *key, const char *value) {
    hand_message m = {.size = 0};
    hand_text(&m, 1, key);
    hand_text(&m, 2, value);
    return m;
}

static inline hand_message hand_range(const char *key) {
    hand_message m = {.size = 0};
    hand_text(&m, 1, key);
    return m;
}

/* Watch all keys from `key` to `end`. */
static inline hand_message hand_watch(const char *key, const char *end) {
    hand_message create = {.size = 0}, m = {.size = 0};
    hand_text(&create, 1, key);
    hand_text(&create, 2, end);
    hand_bytes(&m, 1, create.bytes, create.size);
    return m;
}

#endif
