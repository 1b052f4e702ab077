/*
 * claims.c: the table of claims in hand, and of own commits that are ahead of the store's changes
 * (see claims.h). Chains are a few long at most: a transaction holds up to 100 claims, and there
 * are as many transactions as threads. Entries that the changes have reached are only dropped when
 * room is needed: they answer for revisions that will not be asked about any more.
 */
#include "registry/claims.h"

#include <assert.h>
#include <string.h>

enum {
    AHEAD_CAPACITY_FIRST = 256,
    AHEAD_CROWD = 2048,
    AHEAD_CAPACITY_MAX = 1 << 20 /* half a million places that nobody told us about: give up */
};

bool claims_init(claim_table *table, const hooks *h) {
    memset(table, 0, sizeof *table);
    table->hooks = h;
    atomic_word_init(&table->crowded, 0);
    return pthread_mutex_init(&table->mutex, NULL) == 0;
}

void claims_destroy(claim_table *table) {
    hooks_free(table->hooks, table->ahead);
    pthread_mutex_destroy(&table->mutex);
}

void claims_lock(claim_table *table) {
    pthread_mutex_lock(&table->mutex);
}

void claims_unlock(claim_table *table) {
    pthread_mutex_unlock(&table->mutex);
}

static uint64_t hash_of(const struct ipalloc_pool *pool, const place *p) {
    uint64_t high, low;
    memcpy(&high, p->bytes, sizeof high);
    memcpy(&low, p->bytes + 8, sizeof low);
    return random_mix(high ^ random_mix(low ^ (uint64_t)(uintptr_t)pool));
}

/* --- claims ----------------------------------------------------------------------------------- */

static claim **bucket_of(claim_table *table, const struct ipalloc_pool *pool, const place *p) {
    return &table->buckets[hash_of(pool, p) % CLAIM_BUCKETS];
}

void claims_list(claim_table *table, claim *c) {
    assert(!c->listed);
    claim **bucket = bucket_of(table, c->pool, &c->place);
    c->seen_revision = 0;
    c->present = false;
    c->cooling_seen = false;
    c->cooled_since_ms = 0;
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

claim *claims_next(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                   const claim *before) {
    claim *c = before == NULL ? *bucket_of(table, pool, p) : before->next;
    while (c != NULL && (c->pool != pool || place_compare(&c->place, p) != 0))
        c = c->next;
    return c;
}

bool claims_find(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                 enum claim_kind *kind, char owner[IPALLOC_OWNER_MAX + 1]) {
    const claim *found = NULL, *c = NULL;
    claims_lock(table);
    while ((c = claims_next(table, pool, p, c)) != NULL)
        if (found == NULL || c->kind == CLAIM_TAKE)
            found = c;
    if (found != NULL) {
        *kind = found->kind;
        memcpy(owner, found->owner, strlen(found->owner) + 1);
    }
    claims_unlock(table);
    return found != NULL;
}

bool claims_note_lease(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                       bool present, uint64_t revision) {
    bool taken = false;
    claim *c = NULL;
    while ((c = claims_next(table, pool, p, c)) != NULL) {
        taken |= c->kind == CLAIM_TAKE;
        if (revision < c->seen_revision)
            continue;
        c->seen_revision = revision;
        c->present = present;
    }
    return taken;
}

bool claims_note_cooling(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                         uint64_t released_ms) {
    bool taken = false;
    claim *c = NULL;
    while ((c = claims_next(table, pool, p, c)) != NULL) {
        taken |= c->kind == CLAIM_TAKE;
        c->cooling_seen = true;
        c->cooled_since_ms = released_ms;
    }
    return taken;
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

/* --- own commits ahead of the changes --------------------------------------------------------- */

/* Where the entry of a place is, or would be. */
static ahead_entry *find_ahead(ahead_entry *entries, size_t capacity,
                               const struct ipalloc_pool *pool, const place *p) {
    size_t at = (size_t)hash_of(pool, p) & (capacity - 1);
    while (entries[at].pool != NULL &&
           (entries[at].pool != pool || place_compare(&entries[at].place, p) != 0))
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

static size_t count_later(const claim_table *table, uint64_t told) {
    size_t later = 0;
    for (size_t i = 0; i < table->ahead_capacity; i++)
        later += table->ahead[i].pool != NULL && table->ahead[i].revision > told;
    return later;
}

/* Drop what the changes have reached, and grow where a quarter would still be in use. */
static bool make_room(claim_table *table, uint64_t told) {
    size_t later = count_later(table, told);
    size_t capacity = table->ahead_capacity > 0 ? table->ahead_capacity : AHEAD_CAPACITY_FIRST;
    if (later > capacity / 4)
        capacity *= 2;
    if (later > AHEAD_CROWD)
        atomic_store_relaxed(&table->crowded, 1); /* a hint */
    ahead_entry *entries = capacity <= AHEAD_CAPACITY_MAX
                               ? hooks_alloc_zeroed(table->hooks, capacity * sizeof *entries)
                               : NULL;
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < table->ahead_capacity; i++) {
        const ahead_entry *entry = &table->ahead[i];
        if (entry->pool != NULL && entry->revision > told)
            *find_ahead(entries, capacity, entry->pool, &entry->place) = *entry;
    }
    hooks_free(table->hooks, table->ahead);
    table->ahead = entries;
    table->ahead_capacity = capacity;
    table->ahead_count = later;
    return true;
}

static void forget_all(claim_table *table) {
    hooks_free(table->hooks, table->ahead);
    table->ahead = NULL;
    table->ahead_capacity = table->ahead_count = 0;
}

bool claims_remember(claim_table *table, const struct ipalloc_pool *pool, const place *p,
                     uint64_t revision, uint64_t told) {
    if (revision <= told)
        return true;
    if (2 * (table->ahead_count + 1) > table->ahead_capacity && !make_room(table, told)) {
        forget_all(table);
        return false;
    }
    ahead_entry *entry = find_ahead(table->ahead, table->ahead_capacity, pool, p);
    table->ahead_count += entry->pool == NULL;
    uint64_t known = entry->pool != NULL ? entry->revision : 0;
    *entry =
        (ahead_entry){.pool = pool, .place = *p, .revision = revision > known ? revision : known};
    return true;
}

bool claims_know_better(const claim_table *table, const struct ipalloc_pool *pool, const place *p,
                        uint64_t revision) {
    if (table->ahead_count == 0)
        return false;
    const ahead_entry *entry = find_ahead(table->ahead, table->ahead_capacity, pool, p);
    return entry->pool != NULL && revision <= entry->revision;
}
