/*
 * copy_page.c: see copy_page.h.
 *
 * Cost: one copy of each entry, and a few instructions for every eight bytes of it.
 */
#include "store/copy_page.h"

#include "base/error.h"
#include "store/store.h"

#include <string.h>

enum { PAGE_FULL = 1 }; /* a visitor's answer: no status is positive */

void page_init(copy_page *page, const hooks *h) {
    *page = (copy_page){.hooks = h, .limit = PAGE_ENTRIES_MAX};
}

void page_free(copy_page *page) {
    hooks_free(page->hooks, page->bytes);
    hooks_free(page->hooks, page->entries);
}

ipalloc_bytes page_key(const copy_page *page, size_t i) {
    const page_entry *entry = &page->entries[i];
    return (ipalloc_bytes){page->bytes + entry->offset, entry->key_size};
}

ipalloc_bytes page_value(const copy_page *page, size_t i) {
    const page_entry *entry = &page->entries[i];
    return (ipalloc_bytes){page->bytes + entry->offset + entry->key_size, entry->value_size};
}

/* --- the digest --------------------------------------------------------------------------------
 */

static uint64_t digest_word(uint64_t digest, uint64_t word) {
    return random_mix(digest + 0x9e3779b97f4a7c15u) ^ random_mix(word + 1);
}

/* With its size, so that no byte can move from a key into its value unnoticed. */
static uint64_t digest_bytes(uint64_t digest, ipalloc_bytes bytes) {
    const char *at = bytes.data;
    size_t left = bytes.size;
    digest = digest_word(digest, left);
    for (; left > 0;) {
        uint64_t word = 0;
        size_t part = left < sizeof word ? left : sizeof word;
        memcpy(&word, at, part);
        digest = digest_word(digest, word);
        at += part;
        left -= part;
    }
    return digest;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static bool make_room(copy_page *page, size_t more) {
    if (page->count == page->entry_capacity) {
        size_t capacity = page->entry_capacity > 0 ? 2 * page->entry_capacity : 256;
        page_entry *entries =
            hooks_realloc(page->hooks, page->entries, capacity * sizeof entries[0]);
        if (entries == NULL)
            return false;
        page->entries = entries;
        page->entry_capacity = capacity;
    }
    if (more > page->capacity - page->size) {
        size_t capacity = page->capacity > 0 ? 2 * page->capacity : 65536;
        while (capacity - page->size < more)
            capacity *= 2;
        char *bytes = hooks_realloc(page->hooks, page->bytes, capacity);
        if (bytes == NULL)
            return false;
        page->bytes = bytes;
        page->capacity = capacity;
    }
    return true;
}

static void keep(copy_page *page, const ipalloc_entry *entry) {
    page_entry *kept = &page->entries[page->count++];
    *kept = (page_entry){page->size, entry->key.size, entry->value.size};
    memcpy(page->bytes + page->size, entry->key.data, entry->key.size);
    page->size += entry->key.size;
    if (entry->value.size > 0)
        memcpy(page->bytes + page->size, entry->value.data, entry->value.size);
    page->size += entry->value.size;
    page->digest = digest_bytes(digest_bytes(page->digest, entry->key), entry->value);
    page->total++;
    page->total_bytes += entry->key.size + entry->value.size;
}

static int see_entry(void *context, const ipalloc_entry *entry) {
    copy_page *page = context;
    static const char mark[] = IPALLOC_COPY_MARK;
    size_t more = entry->key.size + entry->value.size;
    if (page->count > 0 && page->size + more > PAGE_BYTES_MAX)
        return PAGE_FULL;
    if (!make_room(page, more))
        return IPALLOC_E_NOMEM;
    memcpy(page->last, entry->key.data, entry->key.size);
    page->last_size = entry->key.size;
    if (bytes_equal(entry->key, (ipalloc_bytes){mark, sizeof mark - 1})) {
        page->marked = true;
        return IPALLOC_OK;
    }
    keep(page, entry);
    return IPALLOC_OK;
}

int page_read(copy_page *page, ipalloc_store *store, ipalloc_error *error) {
    char after[IPALLOC_KEY_MAX]; /* not the buffer that the visitor writes to */
    int status = IPALLOC_OK;
    bool go_on = true;
    page->count = page->size = 0;
    while (go_on && status == IPALLOC_OK && page->count == 0) {
        size_t size = page->last_size;
        memcpy(after, page->last, size);
        status = ipalloc_store_scan(store, (ipalloc_bytes){NULL, 0}, (ipalloc_bytes){after, size},
                                    page->limit, see_entry, page, NULL, error);
        /* A page of nothing but the mark is not the end. */
        go_on = page->last_size != size || memcmp(page->last, after, size) != 0;
    }
    if (status == PAGE_FULL) {
        page->limit = page->count;
        return IPALLOC_OK;
    }
    return status == IPALLOC_E_NOMEM ? error_no_memory(error) : status;
}
