/*
 * live.h: what the caller's records list, as repair was told, and findable by place and by record.
 *
 * Names are kept once in one text; items refer to them by where they begin. Lookups go through two
 * indexes of item numbers by hash. Memory: some 90 bytes a claim, 24 a record, and the names.
 * Used by one thread.
 */
#ifndef IPALLOC_REGISTRY_LIVE_H
#define IPALLOC_REGISTRY_LIVE_H

#include "registry/registry.h"
#include <ipalloc/repair.h>

/* --- item numbers by hash --------------------------------------------------------------------- */

/* Open addressing, at most half full. Item numbers are dense: 0..count-1. */
typedef struct hash_index {
    uint32_t *slots; /* item + 1; 0: none */
    size_t capacity; /* a power of two; 0: nothing is in it yet */
    size_t count;
} hash_index;

typedef uint64_t (*item_hash)(const void *items, size_t item);

/* Add the next item; `hash` tells that of each one up to it, for when the index grows.
 * OK; NOMEM; INVALID (2^31 items). */
int hash_index_add(hash_index *x, const hooks *h, item_hash hash, const void *items);
void hash_index_free(hash_index *x, const hooks *h);

/* The items that may have this hash, one after another: *cursor starts at 0. false: no more. */
bool hash_index_next(const hash_index *x, uint64_t hash, size_t *cursor, size_t *item);

uint64_t hash_of_place(uint64_t seed, const ipalloc_pool *pool, const place *p);

/* --- the list --------------------------------------------------------------------------------- */

typedef struct live_record {
    uint64_t hash; /* of its key */
    size_t key;    /* where it begins in the names */
    uint64_t revision;
} live_record;

typedef struct live_claim {
    uint64_t hash;            /* of its place */
    const ipalloc_pool *pool; /* NULL: there is none of that name */
    size_t pool_name;         /* in the names, where pool is NULL */
    place place;
    size_t owner, slot; /* in the names */
    size_t record;      /* its number */
    bool leased;        /* to whomever */
} live_claim;

struct ipalloc_live_list {
    ipalloc_registry *registry;
    const ipalloc_live_set *set;
    uint64_t seed;
    int failed; /* the first failure of an add */
    ipalloc_error failure;
    text_buffer names; /* each with its NUL */
    live_record *records;
    size_t record_count, record_capacity;
    hash_index by_key;
    live_claim *claims;
    size_t claim_count, claim_capacity;
    hash_index by_place;
};

void live_init(ipalloc_live_list *list, ipalloc_registry *registry, const ipalloc_live_set *set);
void live_free(ipalloc_live_list *list);

static inline const char *live_name(const ipalloc_live_list *list, size_t at) {
    return list->names.bytes + at;
}

/* Keep a name; where it begins. names.failed tells whether it could be kept. */
size_t live_keep(ipalloc_live_list *list, const char *name);

/* Does the caller know which record lists what that owner holds? Then its key. */
enum { LIVE_KEY_TEXT = IPALLOC_RECORD_KEY_MAX + 1 };
bool live_judges(const ipalloc_live_list *list, const char *owner, char key[LIVE_KEY_TEXT]);

/* The record of that key; NULL if none was listed. */
const live_record *live_find_record(const ipalloc_live_list *list, const char *key);

/* The claims of a place, one after another: *cursor starts at 0. NULL: no more. */
live_claim *live_next_claim(const ipalloc_live_list *list, const ipalloc_pool *pool, const place *p,
                            size_t *cursor);

/* Make room for one more of `size` bytes each. OK; NOMEM. */
int array_grow(const hooks *h, void **items, size_t count, size_t *capacity, size_t size,
               ipalloc_error *error);

#endif
