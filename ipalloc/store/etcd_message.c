/*
 * etcd_message.c: gRPC messages out of bytes that come in pieces, and the text of its statuses.
 *
 * May use: base/. Pieces may be cut anywhere. A message announces its size before it comes: memory
 * for it is taken then, after the size has been looked at.
 */
#include "store/etcd_transport.h"

#include <string.h>

void message_prefix(uint8_t out[MESSAGE_PREFIX], size_t size) {
    out[0] = 0; /* not compressed */
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(size >> (24 - 8 * i));
}

static int begin_body(message_reader *reader, const hooks *h, const char **why) {
    size_t size = 0;
    for (int i = 1; i < MESSAGE_PREFIX; i++)
        size = size << 8 | reader->prefix[i];
    if (reader->prefix[0] != 0) {
        *why = "it sent a compressed message, which was not asked for";
        return IPALLOC_E_INVALID;
    }
    if (size > MESSAGE_MAX) {
        *why = "it sent a message of more than 64 MiB";
        return IPALLOC_E_INVALID;
    }
    reader->body = hooks_alloc(h, size > 0 ? size : 1);
    reader->size = size;
    reader->have = 0;
    *why = "out of memory";
    return reader->body == NULL ? IPALLOC_E_NOMEM : IPALLOC_OK;
}

/* Move up to `wanted` bytes from the front of the piece. */
static size_t take_front(uint8_t *to, size_t wanted, const uint8_t **bytes, size_t *size) {
    size_t taken = wanted < *size ? wanted : *size;
    if (taken > 0)
        memcpy(to, *bytes, taken);
    *bytes += taken;
    *size -= taken;
    return taken;
}

int message_take(message_reader *reader, const hooks *h, const uint8_t **bytes, size_t *size,
                 const char **why) {
    if (reader->whole)
        message_reset(reader, h);
    if (reader->body == NULL) {
        reader->prefix_have += take_front(reader->prefix + reader->prefix_have,
                                          MESSAGE_PREFIX - reader->prefix_have, bytes, size);
        if (reader->prefix_have < MESSAGE_PREFIX)
            return IPALLOC_OK;
        int status = begin_body(reader, h, why);
        if (status != IPALLOC_OK)
            return status;
    }
    reader->have +=
        take_front(reader->body + reader->have, reader->size - reader->have, bytes, size);
    reader->whole = reader->have == reader->size;
    return IPALLOC_OK;
}

uint8_t *message_detach(message_reader *reader, size_t *size) {
    uint8_t *body = reader->body;
    *size = reader->size;
    *reader = (message_reader){0};
    return body;
}

void message_reset(message_reader *reader, const hooks *h) {
    hooks_free(h, reader->body);
    *reader = (message_reader){0};
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void message_decode_text(const uint8_t *bytes, size_t length, char *out, size_t capacity) {
    uint8_t plain[WHY_MAX];
    size_t have = 0;
    for (size_t i = 0; i < length && have < sizeof plain; i++) {
        uint8_t byte = bytes[i];
        if (byte == '%' && i + 2 < length && hex_digit(bytes[i + 1]) >= 0 &&
            hex_digit(bytes[i + 2]) >= 0) {
            byte = (uint8_t)(hex_digit(bytes[i + 1]) * 16 + hex_digit(bytes[i + 2]));
            i += 2;
        }
        plain[have++] = byte;
    }
    text_quote(plain, have, out, capacity);
}
