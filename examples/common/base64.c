/* base64.c: see base64.h. */
#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct text *out, const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                         (left > 2 ? at[i + 2] : 0);
        char four[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
                        alphabet[group >> 6 & 63], alphabet[group & 63]};
        if (left < 3) {
            memset(four + left + 1, '=', 3 - left);
        }
        text_append(out, four, sizeof four);
    }
}

/* The six bits of a character; 64 for one that is none. */
static uint32_t bits_of(char character) {
    if (character >= 'A' && character <= 'Z') {
        return (uint32_t)(character - 'A');
    }
    if (character >= 'a' && character <= 'z') {
        return (uint32_t)(character - 'a' + 26);
    }
    if (character >= '0' && character <= '9') {
        return (uint32_t)(character - '0' + 52);
    }
    return character == '+' ? 62 : character == '/' ? 63 : 64;
}

bool base64_read(const char *words, size_t size, struct text *out) {
    if (size % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < size; i += 4) {
        bool is_last = i + 4 == size;
        size_t padding = !is_last || words[i + 3] != '=' ? 0 : words[i + 2] != '=' ? 1 : 2;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            uint32_t bits = j < 4 - padding ? bits_of(words[i + j]) : 0;
            if (bits > 63) {
                return false;
            }
            group = group << 6 | bits;
        }
        char three[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        if ((padding > 0 && three[2] != 0) || (padding > 1 && three[1] != 0)) {
            return false; /* bits that stand for nothing */
        }
        text_append(out, three, 3 - padding);
    }
    return true;
}

size_t base64_wrong_at(const char *words, size_t size) {
    size_t at = 0;
    while (at < size && bits_of(words[at]) < 64) {
        at++;
    }
    bool is_padding = at < size && words[at] == '=' && at % 4 >= 2;
    return at < size && !is_padding ? at : at - at % 4;
}
