/*
 * copy_page.h: reading a whole store in pages that are kept, for a copy and for its check.
 *
 * A page ends at a number of entries or of bytes, whichever comes first, and the store is not being
 * read while its page is used. Pages are of one state only if nobody writes meanwhile: the caller
 * compares the store's revision before and after. A digest runs over all entries in their order, so
 * that two stores can be compared without holding either. May use: store.h's public calls.
 */
#ifndef IPALLOC_STORE_COPY_PAGE_H
#define IPALLOC_STORE_COPY_PAGE_H

#include "base/hooks.h"
#include <ipalloc/store.h>

/* Large, because etcd walks all that is left for each page of its own. */
enum { PAGE_ENTRIES_MAX = 65536, PAGE_BYTES_MAX = 16 * 1024 * 1024 };

typedef struct page_entry {
    size_t offset; /* of the key in the page's bytes; the value follows it */
    size_t key_size;
    size_t value_size;
} page_entry;

typedef struct copy_page {
    const hooks *hooks;
    char *bytes; /* moves when it grows: hence offsets */
    size_t size, capacity;
    page_entry *entries;
    size_t count, entry_capacity;
    char last[IPALLOC_KEY_MAX]; /* the last key that was read */
    size_t last_size;
    size_t limit; /* entries asked for at once: falls to what fits */
    bool marked;  /* IPALLOC_COPY_MARK was met; it is no entry */
    uint64_t digest, total, total_bytes;
} copy_page;

void page_init(copy_page *page, const hooks *h);
void page_free(copy_page *page);

/* The next page; count is 0 behind the last one. OK, or what the scan answers. */
int page_read(copy_page *page, ipalloc_store *store, ipalloc_error *error);

ipalloc_bytes page_key(const copy_page *page, size_t i);
ipalloc_bytes page_value(const copy_page *page, size_t i);

#endif
