/* yaml_word.c: what a plain YAML word means: the table of YAML 1.1, and its numbers. */
#include "yaml_text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64 /* no word for null, no truth value and no number is longer */

static bool is_among(const char *const *words, const char *word) {
    for (; *words != NULL; words++) {
        if (strcmp(*words, word) == 0) {
            return true;
        }
    }
    return false;
}

static bool fixed_word(const char *word, struct json_object **out) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const truths[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                         "True", "TRUE", "on",  "On",  "ON",  NULL};
    static const char *const untruths[] = {"n",     "N",     "no",  "No",  "NO",  "false",
                                           "False", "FALSE", "off", "Off", "OFF", NULL};
    *out = NULL;
    if (is_among(nulls, word)) {
        return true;
    }
    bool truth = is_among(truths, word);
    if (truth || is_among(untruths, word)) {
        *out = json_object_new_boolean(truth);
        return true;
    }
    return false;
}

/* Base prefixes 0x, 0o and 0b, and a leading 0 for octal. */
static int base_of(const char **digits) {
    static const struct {
        const char *prefix;
        int base;
    } bases[] = {{"0x", 16}, {"0X", 16}, {"0o", 8}, {"0O", 8}, {"0b", 2}, {"0B", 2}};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        if (text_starts_with(*digits, bases[i].prefix)) {
            *digits += 2;
            return bases[i].base;
        }
    }
    return (*digits)[0] == '0' && (*digits)[1] != '\0' ? 8 : 10;
}

static struct json_object *whole_number(const char *word) {
    bool negative = *word == '-';
    const char *digits = word + (*word == '-' || *word == '+' ? 1 : 0);
    int base = base_of(&digits);
    const char *allowed = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
    if (*digits == '\0' || digits[strspn(digits, allowed)] != '\0') {
        return NULL;
    }
    char *end;
    errno = 0;
    uint64_t value = strtoull(digits, &end, base);
    if (errno != 0 || *end != '\0' || (negative && value > (uint64_t)INT64_MAX + 1)) {
        return NULL;
    }
    if (negative) {
        return json_object_new_int64((int64_t)(0 - value));
    }
    return value <= INT64_MAX ? json_object_new_int64((int64_t)value)
                              : json_object_new_uint64(value);
}

/* [-+] digits [. digits] [e[-+] digits], with a digit before or behind the point. */
static bool looks_broken(const char *word) {
    const char *at = word + (*word == '-' || *word == '+' ? 1 : 0);
    size_t before = strspn(at, "0123456789");
    at += before;
    size_t behind = 0;
    if (*at == '.') {
        behind = strspn(++at, "0123456789");
        at += behind;
    }
    if (before + behind == 0) {
        return false;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+' ? 1 : 0;
        size_t exponent = strspn(at, "0123456789");
        return exponent > 0 && at[exponent] == '\0';
    }
    return *at == '\0';
}

static struct json_object *broken_number(const char *word) {
    double value = looks_broken(word) ? strtod(word, NULL) : NAN;
    if (!isfinite(value)) {
        return NULL;
    }
    bool whole = value == floor(value) && fabs(value) < 1e15;
    return whole ? json_object_new_int64((int64_t)value) : json_object_new_double(value);
}

struct json_object *yaml_word(const char *word, size_t size) {
    char plain[WORD_MAX] = "";
    struct json_object *value = NULL;
    if (size < sizeof plain && memchr(word, '\0', size) == NULL) {
        size_t length = 0;
        for (size_t i = 0; i < size; i++) { /* 1_000 is a number in YAML 1.1 */
            plain[length] = word[i];
            length += word[i] != '_';
        }
        plain[length] = '\0';
        if (length == size && fixed_word(plain, &value)) {
            return value;
        }
        bool numeric = size > 0 && strchr("+-.0123456789", word[0]) != NULL;
        value = numeric ? whole_number(plain) : NULL;
        value = numeric && value == NULL ? broken_number(plain) : value;
    }
    return value != NULL ? value : json_object_new_string_len(word, (int)size);
}
