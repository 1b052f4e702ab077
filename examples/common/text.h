/*
 * text.h: the example programs' one text buffer, and memory that is simply there.
 *
 * A program gives up on the spot when memory runs out: whatever it has acknowledged is durable, so
 * ending and being started again loses nothing, and no caller needs a path for half a buffer.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory; the caller frees it. */
void *memory_allocate(size_t bytes);
void *memory_resize(void *memory, size_t bytes);
char *memory_copy(const char *text);

/* A growing buffer. All zero is empty; `data` is NULL or NUL-terminated. */
struct text {
    char *data;
    size_t size;
    size_t capacity;
};

void text_append(struct text *text, const void *bytes, size_t size);
void text_add(struct text *text, const char *words);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_clear(struct text *text);

/* Append the words with <, >, & and " as HTML wants them. */
void text_add_html(struct text *text, const char *words);

/* Is it valid UTF-8 without a NUL byte? */
bool text_is_clean(const char *bytes, size_t size);

bool text_starts_with(const char *text, const char *prefix);

#endif
