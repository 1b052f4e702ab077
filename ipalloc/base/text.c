/*
 * text.c: the text buffer, key parts, and untrusted text made fit to print.
 *
 * Cost: appends are amortised O(length). Invariant: length < capacity whenever bytes != NULL, and
 * bytes[length] is NUL.
 */
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void text_init(text_buffer *t, const hooks *h) {
    *t = (text_buffer){.hooks = h};
}

void text_free(text_buffer *t) {
    hooks_free(t->hooks, t->bytes);
    *t = (text_buffer){.hooks = t->hooks};
}

void text_clear(text_buffer *t) {
    t->length = 0;
    t->failed = false;
    if (t->bytes != NULL)
        t->bytes[0] = '\0';
}

static bool reserve(text_buffer *t, size_t extra) {
    if (t->failed)
        return false;
    if (t->bytes != NULL && extra < t->capacity - t->length)
        return true;
    size_t capacity = t->capacity > 0 ? t->capacity : FIRST_CAPACITY;
    while (capacity - t->length <= extra) {
        if (capacity > SIZE_MAX / 2) {
            t->failed = true;
            return false;
        }
        capacity *= 2;
    }
    char *bytes = hooks_realloc(t->hooks, t->bytes, capacity);
    if (bytes == NULL) {
        t->failed = true;
        return false;
    }
    t->bytes = bytes;
    t->capacity = capacity;
    return true;
}

void text_append(text_buffer *t, const char *bytes, size_t length) {
    if (!reserve(t, length))
        return;
    if (length > 0)
        memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    t->bytes[t->length] = '\0';
    assert(t->length < t->capacity);
}

void text_append_text(text_buffer *t, const char *nul_terminated) {
    text_append(t, nul_terminated, strlen(nul_terminated));
}

void text_format(text_buffer *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && reserve(t, (size_t)length)) {
        vsnprintf(t->bytes + t->length, (size_t)length + 1, format, again);
        t->length += (size_t)length;
    } else if (length < 0) {
        t->failed = true;
    }
    va_end(again);
}

static bool plain_in_key(unsigned char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == ':';
}

static const char HEX_DIGITS[] = "0123456789ABCDEF";

void text_append_key_part(text_buffer *t, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char escaped[3] = {'%', HEX_DIGITS[byte >> 4], HEX_DIGITS[byte & 15]};
        if (plain_in_key(byte))
            text_append(t, &bytes[i], 1);
        else
            text_append(t, escaped, sizeof escaped);
    }
    text_append(t, "/", 1);
}

static int hex_value(char digit) { /* upper case only: one spelling per key */
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

const char *text_parse_key_part(const char *key, const char *key_end, char *out, size_t capacity,
                                size_t *length) {
    size_t used = 0;
    while (key < key_end && *key != '/') {
        unsigned char byte = (unsigned char)*key++;
        if (byte == '%') {
            if (key_end - key < 2 || hex_value(key[0]) < 0 || hex_value(key[1]) < 0)
                return NULL;
            byte = (unsigned char)(hex_value(key[0]) << 4 | hex_value(key[1]));
            if (plain_in_key(byte))
                return NULL;
            key += 2;
        } else if (!plain_in_key(byte)) {
            return NULL;
        }
        if (used + 1 >= capacity)
            return NULL;
        out[used++] = (char)byte;
    }
    if (key == key_end)
        return NULL;
    out[used] = '\0';
    *length = used;
    return key + 1;
}

/* The length of the well-formed, printable UTF-8 sequence at `bytes`, 0 if there is none. */
static size_t printable_utf8(const unsigned char *bytes, size_t length) {
    unsigned char lead = bytes[0];
    if (lead >= 0x20 && lead < 0x7f)
        return 1;
    size_t wanted = lead >= 0xc2 && lead < 0xe0   ? 2
                    : lead >= 0xe0 && lead < 0xf0 ? 3
                    : lead >= 0xf0 && lead < 0xf5 ? 4
                                                  : 0;
    if (wanted == 0 || wanted > length)
        return 0;
    for (size_t i = 1; i < wanted; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    bool control = lead == 0xc2 && bytes[1] < 0xa0; /* C1 controls */
    bool too_long = (lead == 0xe0 && bytes[1] < 0xa0) || (lead == 0xf0 && bytes[1] < 0x90);
    bool surrogate = lead == 0xed && bytes[1] >= 0xa0;
    bool too_large = lead == 0xf4 && bytes[1] >= 0x90;
    return control || too_long || surrogate || too_large ? 0 : wanted;
}

const char *text_quote(const void *bytes, size_t length, char *out, size_t capacity) {
    static const char CUT[] = "...";
    assert(capacity >= sizeof CUT + 4);
    const unsigned char *in = bytes;
    size_t used = 0;
    size_t room = capacity - sizeof CUT; /* the cut mark and the NUL always fit */
    for (size_t i = 0; i < length;) {
        size_t whole = printable_utf8(in + i, length - i);
        size_t needed = whole > 0 ? whole : 4;
        if (used + needed > room) {
            memcpy(out + used, CUT, sizeof CUT);
            return out;
        }
        if (whole > 0) {
            memcpy(out + used, in + i, whole);
            i += whole;
        } else {
            out[used] = '\\';
            out[used + 1] = 'x';
            out[used + 2] = HEX_DIGITS[in[i] >> 4];
            out[used + 3] = HEX_DIGITS[in[i] & 15];
            i++;
        }
        used += needed;
    }
    out[used] = '\0';
    return out;
}

bool text_parse_decimal(const char *bytes, size_t length, uint64_t max, uint64_t *out) {
    if (length == 0 || (length > 1 && bytes[0] == '0'))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(bytes[i] - '0');
        if (value > (max - digit) / 10 || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
