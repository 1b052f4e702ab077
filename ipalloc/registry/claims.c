/*
 * claims.c: the table of claims in hand (see claims.h). Chains are a few long at most: a
 * transaction holds up to 100 claims, and there are as many transactions as threads.
 */
#include "registry/claims.h"

#include <assert.h>
#include <string.h>

bool claims_init(claim_table *table) {
    memset(table, 0, sizeof *table);
    return pthread_mutex_init(&table->mutex, NULL) == 0;
}

void claims_destroy(claim_table *table) {
    pthread_mutex_destroy(&table->mutex);
}

void claims_lock(claim_table *table) {
    pthread_mutex_lock(&table->mutex);
}

void claims_unlock(claim_table *table) {
    pthread_mutex_unlock(&table->mutex);
}

static claim **bucket_of(claim_table *table, const struct ipalloc_pool *pool, const place *p) {
    uint64_t high, low;
    memcpy(&high, p->bytes, sizeof high);
    memcpy(&low, p->bytes + 8, sizeof low);
    uint64_t mixed = random_mix(high ^ random_mix(low ^ (uint64_t)(uintptr_t)pool));
    return &table->buckets[mixed % CLAIM_BUCKETS];
}

void claims_list(claim_table *table, claim *c) {
    assert(!c->listed);
    claim **bucket = bucket_of(table, c->pool, &c->place);
    c->next = *bucket;
    *bucket = c;
    c->listed = true;
    table->count++;
}

void claims_unlist(claim_table *table, claim *c) {
    assert(c->listed);
    claim **link = bucket_of(table, c->pool, &c->place);
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    c->listed = false;
    table->count--;
}

static bool is_about(const claim *c, const struct ipalloc_pool *pool, const place *p) {
    return c->pool == pool && place_compare(&c->place, p) == 0;
}

bool claims_has_locked(claim_table *table, const struct ipalloc_pool *pool, const place *p) {
    for (const claim *c = *bucket_of(table, pool, p); c != NULL; c = c->next)
        if (is_about(c, pool, p))
            return true;
    return false;
}

bool claims_find(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                 enum claim_kind *kind, char owner[IPALLOC_OWNER_MAX + 1]) {
    const claim *found = NULL;
    claims_lock(table);
    for (const claim *c = *bucket_of(table, pool, p); c != NULL; c = c->next)
        if (is_about(c, pool, p) && (found == NULL || c->kind == CLAIM_TAKE))
            found = c;
    if (found != NULL) {
        *kind = found->kind;
        memcpy(owner, found->owner, strlen(found->owner) + 1);
    }
    claims_unlock(table);
    return found != NULL;
}

bool claims_note_seen_locked(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                             enum claim_seen seen) {
    bool found = false;
    for (claim *c = *bucket_of(table, pool, p); c != NULL; c = c->next) {
        if (is_about(c, pool, p)) {
            c->seen = seen;
            found = true;
        }
    }
    return found;
}

bool claims_note_seen(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                      enum claim_seen seen) {
    claims_lock(table);
    bool found = claims_note_seen_locked(table, pool, p, seen);
    claims_unlock(table);
    return found;
}

void claims_visit(claim_table *table, const struct ipalloc_pool *pool,
                  void (*visit)(void *context, claim *c), void *context) {
    claims_lock(table);
    for (size_t i = 0; i < CLAIM_BUCKETS; i++)
        for (claim *c = table->buckets[i]; c != NULL; c = c->next)
            if (c->pool == pool)
                visit(context, c);
    claims_unlock(table);
}
