/* base64.h: bytes in JSON (RFC 4648, with padding). */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include "text.h"

void base64_add(struct text *out, const void *bytes, size_t size);

/* Append the bytes that the words stand for. False where they are not canonical base64. */
bool base64_read(const char *words, size_t size, struct text *out);

/* Of words that cannot be read: the first character that does not belong there, or where the last,
 * incomplete group begins. */
size_t base64_wrong_at(const char *words, size_t size);

#endif
