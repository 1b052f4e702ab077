/*
 * text.h: the one text buffer. Appends, quotes, percent-encodes; grows through the hooks.
 *
 * A buffer that ran out of memory stays so (`failed`): callers append freely and check once at the
 * end.
 */
#ifndef IPALLOC_BASE_TEXT_H
#define IPALLOC_BASE_TEXT_H

#include "base/hooks.h"

typedef struct text_buffer {
    const hooks *hooks;
    char *bytes; /* NUL-terminated where size > 0 */
    size_t length;
    size_t capacity;
    bool failed;
} text_buffer;

void text_init(text_buffer *t, const hooks *h);
void text_free(text_buffer *t);
void text_clear(text_buffer *t); /* keeps the memory */

void text_append(text_buffer *t, const char *bytes, size_t length);
void text_append_text(text_buffer *t, const char *nul_terminated);
void text_format(text_buffer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append a key part: bytes outside A-Z a-z 0-9 - . _ : are written %XX, then a '/' is added. */
void text_append_key_part(text_buffer *t, const char *bytes, size_t length);

/* Undo text_append_key_part for one part of a key: reads up to the '/', writes the bytes with a
 * NUL. Returns what follows the '/', or NULL if the part is malformed, not canonical, or longer
 * than capacity - 1. */
const char *text_parse_key_part(const char *key, const char *key_end, char *out, size_t capacity,
                                size_t *length);

/* Write untrusted bytes for a message: printable ASCII and whole UTF-8 stay, the rest becomes \xNN;
 * cut with "..." to fit. Always NUL-terminated. Returns `out`. */
const char *text_quote(const void *bytes, size_t length, char *out, size_t capacity);

/* Decimal text of up to `length` digits without sign, leading zero or anything else, at most `max`.
 * false where it is anything else. */
bool text_parse_decimal(const char *bytes, size_t length, uint64_t max, uint64_t *out);

#endif
