/*
 * copy_support.h: what the tests of copying share: filling, comparing, copying.
 */
#ifndef IPALLOC_TEST_COPY_SUPPORT_H
#define IPALLOC_TEST_COPY_SUPPORT_H

#include "store_support.h"

/* A new store of that epoch. */
ipalloc_store *open_epoch(const char *url, uint64_t epoch);

/* So many entries "k/<number>/", k/0000000/ first. */
void fill(ipalloc_store *store, size_t count);

/* All that a store holds, in one number. */
typedef struct content {
    uint64_t hash;
    size_t count;
} content;
content content_of(ipalloc_store *store);
void expect_same(ipalloc_store *a, ipalloc_store *b);

bool is_marked(ipalloc_store *store);
/* It is refused as an unfinished copy. */
void expect_no_registry(ipalloc_store *store);

/* Copy; what the error said is kept for expect_words. */
int copy(ipalloc_store *from, ipalloc_store *to);
int copy_with(ipalloc_store *from, ipalloc_store *to, ipalloc_copy_options options);
void expect_words(const char *words);

#endif
