/*
 * etcd_keys.c: the keys under the prefix, and what the store itself writes in its own.
 *
 * May use: base/. Values of ours are lines of `name=value`, so that an operator can read them with
 * etcdctl.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char DATA[] = "data/";
static const char STORE[] = "store/";

/* --- keys ----------------------------------------------------------------------------------------
 */

static void append(etcd_key_text *out, const void *bytes, size_t size) {
    assert(out->size + size <= sizeof out->bytes);
    if (size > 0)
        memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

void etcd_key_data(const etcd_store *store, ipalloc_bytes key, etcd_key_text *out) {
    out->size = 0;
    append(out, store->prefix, store->prefix_length);
    append(out, DATA, sizeof DATA - 1);
    append(out, key.data, key.size);
}

void etcd_key_store(const etcd_store *store, const char *rest, etcd_key_text *out) {
    out->size = 0;
    append(out, store->prefix, store->prefix_length);
    append(out, STORE, sizeof STORE - 1);
    append(out, rest, strlen(rest));
}

void etcd_key_slot(const etcd_store *store, const etcd_slot *slot, etcd_key_text *out) {
    char rest[64];
    snprintf(rest, sizeof rest, "slot/%016llx/%llu", (unsigned long long)store->session,
             (unsigned long long)slot->number);
    etcd_key_store(store, rest, out);
}

void etcd_key_end(const etcd_key_text *prefix, etcd_key_text *out) {
    *out = *prefix;
    while (out->size > 0 && out->bytes[out->size - 1] == 0xff)
        out->size--;
    if (out->size > 0) {
        out->bytes[out->size - 1]++;
    } else {
        out->bytes[0] = '\0';
        out->size = 1;
    }
}

int etcd_key_of_caller(const etcd_store *store, const uint8_t *key, size_t size, ipalloc_bytes *out,
                       ipalloc_error *error) {
    size_t start = store->prefix_length + sizeof DATA - 1;
    if (size <= start || memcmp(key, store->prefix, store->prefix_length) != 0 ||
        memcmp(key + store->prefix_length, DATA, sizeof DATA - 1) != 0)
        return etcd_damaged(store, "a key that was not asked for", error);
    *out = (ipalloc_bytes){key + start, size - start};
    if (out->size <= IPALLOC_KEY_MAX && memchr(out->data, '\0', out->size) == NULL)
        return IPALLOC_OK;
    char quoted[128];
    return error_set(error, IPALLOC_E_CORRUPT,
                     "%s: the key \"%s\" was not written by this library: it is too long or has a "
                     "zero byte",
                     store->name, text_quote(key, size, quoted, sizeof quoted));
}

/* --- the form ------------------------------------------------------------------------------------
 */

void etcd_form_write(const etcd_form *form, char out[ETCD_FORM_VALUE_MAX]) {
    snprintf(out, ETCD_FORM_VALUE_MAX, "form=%d\nepoch=%llu\ncluster=%016llx\n", ETCD_FORM_VERSION,
             (unsigned long long)form->epoch, (unsigned long long)form->cluster_id);
}

typedef struct lines {
    const char *at, *end;
} lines;

/* The value of the next line, which must be NAME=VALUE. */
static bool take_line(lines *l, const char *name, const char **value, size_t *length) {
    size_t name_length = strlen(name);
    const char *end = memchr(l->at, '\n', (size_t)(l->end - l->at));
    if (end == NULL || (size_t)(end - l->at) <= name_length ||
        memcmp(l->at, name, name_length) != 0 || l->at[name_length] != '=')
        return false;
    *value = l->at + name_length + 1;
    *length = (size_t)(end - *value);
    l->at = end + 1;
    return true;
}

static bool take_number(lines *l, const char *name, uint64_t max, uint64_t *out) {
    const char *value;
    size_t length;
    return take_line(l, name, &value, &length) && text_parse_decimal(value, length, max, out);
}

static bool take_hex(lines *l, const char *name, uint64_t *out) {
    const char *value;
    size_t length;
    if (!take_line(l, name, &value, &length) || length != 16)
        return false;
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = memchr(digits, value[i], 16);
        if (digit == NULL)
            return false;
        *out = *out << 4 | (uint64_t)(digit - digits);
    }
    return true;
}

int etcd_form_read(const etcd_store *store, const uint8_t *value, size_t size, etcd_form *out,
                   ipalloc_error *error) {
    lines l = {(const char *)value, (const char *)value + size};
    uint64_t version;
    if (size == 0 || !take_number(&l, "form", UINT32_MAX, &version) || version == 0)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "%s: %sstore/form is damaged, or written by another program", store->name,
                         store->prefix);
    if (version > ETCD_FORM_VERSION)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "%s: has form %llu; this library knows forms up to %d: use a newer one",
                         store->name, (unsigned long long)version, ETCD_FORM_VERSION);
    if (!take_number(&l, "epoch", ETCD_REVISION_MAX, &out->epoch) || out->epoch == 0 ||
        !take_hex(&l, "cluster", &out->cluster_id) || l.at != l.end)
        return error_set(error, IPALLOC_E_CORRUPT, "%s: %sstore/form is damaged", store->name,
                         store->prefix);
    return IPALLOC_OK;
}

/* --- slots ---------------------------------------------------------------------------------------
 */

static const char *const WORDS[] = {"", "committed", "aborted"};

void etcd_slot_write(const etcd_slot *slot, enum slot_word word, uint64_t now_ms,
                     char out[ETCD_SLOT_VALUE_MAX]) {
    snprintf(out, ETCD_SLOT_VALUE_MAX, "%s=%llu\ntime=%llu\n", WORDS[word],
             (unsigned long long)slot->nonce, (unsigned long long)now_ms);
}

static bool take_word(lines *l, enum slot_word word, uint64_t *nonce) {
    lines tried = *l;
    if (!take_number(&tried, WORDS[word], UINT64_MAX, nonce))
        return false;
    *l = tried;
    return true;
}

static enum slot_word read_value(const uint8_t *value, size_t size, uint64_t *nonce,
                                 uint64_t *time_ms) {
    if (size == 0)
        return SLOT_OTHER;
    lines l = {(const char *)value, (const char *)value + size};
    enum slot_word word = take_word(&l, SLOT_COMMITTED, nonce) ? SLOT_COMMITTED
                          : take_word(&l, SLOT_ABORTED, nonce) ? SLOT_ABORTED
                                                               : SLOT_OTHER;
    if (word != SLOT_OTHER && (!take_number(&l, "time", UINT64_MAX, time_ms) || l.at != l.end))
        word = SLOT_OTHER;
    return word;
}

enum slot_word etcd_slot_read(const etcd_slot *slot, const uint8_t *value, size_t size) {
    uint64_t nonce, time_ms;
    enum slot_word word = read_value(value, size, &nonce, &time_ms);
    return word != SLOT_OTHER && nonce == slot->nonce ? word : SLOT_OTHER;
}

bool etcd_slot_time(const uint8_t *value, size_t size, uint64_t *out) {
    uint64_t nonce;
    return read_value(value, size, &nonce, out) != SLOT_OTHER;
}
