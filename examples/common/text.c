/* text.c: a growing buffer and checked memory; see text.h. Appending is amortised O(1) per byte. */
#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void end_without_memory(void) {
    fprintf(stderr, "%s: out of memory; nothing acknowledged is lost\n",
            program_invocation_short_name);
    exit(70);
}

void *memory_allocate(size_t bytes) {
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        end_without_memory();
    }
    return memory;
}

void *memory_resize(void *memory, size_t bytes) {
    void *resized = realloc(memory, bytes > 0 ? bytes : 1);
    if (resized == NULL) {
        end_without_memory();
    }
    return resized;
}

char *memory_copy(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(memory_allocate(bytes), text, bytes);
}

static void make_room(struct text *text, size_t more) {
    size_t needed = text->size + more + 1;
    if (needed <= text->capacity) {
        return;
    }
    size_t capacity = text->capacity < 256 ? 256 : text->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    text->data = memory_resize(text->data, capacity);
    text->capacity = capacity;
}

void text_append(struct text *text, const void *bytes, size_t size) {
    make_room(text, size);
    if (size > 0) {
        memcpy(text->data + text->size, bytes, size);
    }
    text->size += size;
    text->data[text->size] = '\0';
}

void text_add(struct text *text, const char *words) {
    text_append(text, words, strlen(words));
}

void text_format(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        return;
    }
    make_room(text, (size_t)size);
    va_start(arguments, format);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void text_clear(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}

void text_add_html(struct text *text, const char *words) {
    for (const char *at = words; *at != '\0'; at++) {
        switch (*at) {
        case '<':
            text_add(text, "&lt;");
            break;
        case '>':
            text_add(text, "&gt;");
            break;
        case '&':
            text_add(text, "&amp;");
            break;
        case '"':
            text_add(text, "&quot;");
            break;
        default:
            text_append(text, at, 1);
        }
    }
}

/* The length of the UTF-8 sequence at `bytes`, 0 if it is none (RFC 3629: shortest form, no
 * surrogates, at most U+10FFFF). */
static size_t sequence_length(const uint8_t *bytes, size_t left) {
    uint8_t first = bytes[0];
    if (first < 0x80) {
        return 1;
    }
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > left) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    uint8_t second = bytes[1];
    bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || beyond ? 0 : length;
}

bool text_is_clean(const char *bytes, size_t size) {
    const uint8_t *at = (const uint8_t *)bytes;
    while (size > 0) {
        size_t length = at[0] == 0 ? 0 : sequence_length(at, size);
        if (length == 0) {
            return false;
        }
        at += length;
        size -= length;
    }
    return true;
}

bool text_starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}
