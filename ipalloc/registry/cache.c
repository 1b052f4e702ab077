/*
 * cache.c: the bitmaps, as a cache of the store: pools in memory, and loading them.
 *
 * The store decides; the bitmap proposes. Loading sets a bit per lease key and reads no lease body;
 * cooling records are read, because their time matters. Where a store is shared by several servers,
 * cache_apply.c applies what the others did; cache_seen.c knows how far that has come.
 */
#include "registry/registry.h"

#include <assert.h>
#include <string.h>

/* How often definitions may move while they are loaded. */
enum { LOAD_ATTEMPTS_MAX = 16 };

/* --- pools in memory -------------------------------------------------------------------------- */

ipalloc_pool *cache_find_pool(ipalloc_registry *registry, const char *name, size_t length) {
    pthread_mutex_lock(&registry->pools_mutex);
    ipalloc_pool *pool = registry->pools;
    while (pool != NULL && (strlen(pool->name) != length || memcmp(pool->name, name, length) != 0))
        pool = pool->next;
    pthread_mutex_unlock(&registry->pools_mutex);
    return pool;
}

ipalloc_pool *cache_new_pool(ipalloc_registry *registry, const char *name, int kind) {
    assert(strlen(name) <= IPALLOC_POOL_NAME_MAX);
    ipalloc_pool *pool = hooks_alloc_zeroed(&registry->hooks, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->registry = registry;
    pool->kind = kind;
    for (size_t i = 0; i < REPAIR_KINDS; i++)
        atomic_word_init(&pool->repairs[i], 0);
    atomic_word_init(&pool->has_cooling, 0);
    memcpy(pool->name, name, strlen(name) + 1);
    return pool;
}

void cache_link_pool(ipalloc_registry *registry, ipalloc_pool *pool) {
    pthread_mutex_lock(&registry->pools_mutex);
    ipalloc_pool **link = &registry->pools;
    while (*link != NULL && strcmp((*link)->name, pool->name) < 0)
        link = &(*link)->next;
    pool->next = *link;
    *link = pool;
    pthread_mutex_unlock(&registry->pools_mutex);
}

void cache_free_pool(ipalloc_pool *pool) {
    const hooks *h = &pool->registry->hooks;
    cache_free_set(h, pool->set);
    definition_free(&pool->definition);
    hooks_free(h, pool);
}

void cache_free_set(const hooks *h, range_set *set) {
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        ipalloc_range_destroy(set->ranges[i].range);
    hooks_free(h, set);
}

static void carry_counters(const range_set *old, range_set *set) {
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        const pool_range *from = &old->ranges[i];
        for (size_t j = 0; j < set->count; j++) {
            pool_range *to = &set->ranges[j];
            if (memcmp(&from->cidr, &to->cidr, sizeof from->cidr) != 0)
                continue;
            activity_carry(&to->activity, &from->activity);
        }
    }
}

void cache_install(ipalloc_pool *pool, definition *d, uint64_t revision, range_set *set) {
    carry_counters(pool->set, set);
    cache_free_set(&pool->registry->hooks, pool->set);
    definition_free(&pool->definition);
    pool->definition = *d;
    pool->revision = revision;
    pool->set = set;
    set->serial = ++pool->registry->sets_installed;
    *d = (definition){0};
}

/* The offset of a place within one range, if it lies in it. */
static bool range_offset_of_place(const pool_range *range, const place *p, range_offset *offset) {
    if (p->kind == IPALLOC_POOL_PORT)
        return range_offset_of_port(range->range, place_port(p), offset) == IPALLOC_OK;
    ipalloc_addr address = place_addr(p);
    return ipalloc_cidr_contains(&range->cidr, &address) &&
           range_offset_of(range->range, &address, offset) == IPALLOC_OK;
}

pool_range *range_set_find(range_set *set, const place *p, range_offset *offset) {
    for (size_t i = 0; i < set->count; i++)
        if (range_offset_of_place(&set->ranges[i], p, offset))
            return &set->ranges[i];
    return NULL;
}

pool_range *pool_find_range(const ipalloc_pool *pool, const place *p, range_offset *offset) {
    return p->kind == pool->kind ? range_set_find(pool->set, p, offset) : NULL;
}

place pool_range_place(const ipalloc_pool *pool, const pool_range *range, range_offset offset) {
    if (pool->kind == IPALLOC_POOL_PORT)
        return place_of_port(range_port_of(range->range, offset));
    ipalloc_addr address = range_addr_of(range->range, offset);
    return place_of_addr(&address);
}

void exclude_released(const ipalloc_pool *pool, const pool_range *range, range_offset offset) {
    place p = pool_range_place(pool, range, offset);
    if (pool->definition.exclusion_count > 0 &&
        definition_is_excluded(&pool->definition, &(definition_span){.first = p, .last = p}))
        range_exclude(range->range, offset, offset); /* no memory: it is when it is loaded again */
}

/* --- definitions from the store --------------------------------------------------------------- */

typedef struct stored_pool {
    struct stored_pool *next;
    char name[IPALLOC_POOL_NAME_MAX + 1];
    uint64_t revision;
    definition definition;
} stored_pool;

typedef struct stored_pools {
    const hooks *hooks;
    stored_pool *first;
    ipalloc_error *error;
} stored_pools;

static void free_stored_pools(stored_pools *all) {
    while (all->first != NULL) {
        stored_pool *one = all->first;
        all->first = one->next;
        definition_free(&one->definition);
        hooks_free(all->hooks, one);
    }
}

static int read_pool(void *context, const ipalloc_entry *entry) {
    stored_pools *all = context;
    char name[IPALLOC_POOL_NAME_MAX + 1];
    size_t length;
    const char *key = entry->key.data;
    const char *end = key + entry->key.size;
    const char *rest =
        text_parse_key_part(key + strlen(PREFIX_POOL), end, name, sizeof name, &length);
    if (rest != end || !pool_name_is_valid(name, length))
        return record_corrupt(all->error, entry->key, "the key names no pool");
    stored_pool *one = hooks_alloc_zeroed(all->hooks, sizeof *one);
    if (one == NULL)
        return error_no_memory(all->error);
    int status =
        definition_parse(entry->key, entry->value, all->hooks, &one->definition, all->error);
    if (status != IPALLOC_OK) {
        hooks_free(all->hooks, one);
        return status;
    }
    memcpy(one->name, name, length + 1);
    one->revision = entry->revision;
    one->next = all->first;
    all->first = one;
    return IPALLOC_OK;
}

/* What does not fit at this point is damage: the change that made it so was checked. */
static int as_corrupt(int status, ipalloc_error *error) {
    if (status == IPALLOC_E_TAKEN && error != NULL)
        error->status = IPALLOC_E_CORRUPT;
    return status == IPALLOC_E_TAKEN ? IPALLOC_E_CORRUPT : status;
}

static int adopt_pool(ipalloc_registry *registry, stored_pool *stored, bool rebuild,
                      ipalloc_error *error) {
    ipalloc_pool *known = cache_find_pool(registry, stored->name, strlen(stored->name));
    if (known != NULL && known->revision == stored->revision && !rebuild)
        return IPALLOC_OK;
    record_key key = key_of_pool(stored->name);
    if (known != NULL && known->kind != stored->definition.kind)
        return record_corrupt(error, bytes_of_key(&key), "the pool's kind has changed");
    ipalloc_pool *pool =
        known != NULL ? known : cache_new_pool(registry, stored->name, stored->definition.kind);
    if (pool == NULL)
        return error_no_memory(error);
    range_set *set;
    int status = cache_build_set(registry, pool, &stored->definition, &set, error);
    if (status != IPALLOC_OK) {
        if (known == NULL)
            cache_free_pool(pool);
        return status;
    }
    cache_install(pool, &stored->definition, stored->revision, set);
    if (known == NULL)
        cache_link_pool(registry, pool);
    return IPALLOC_OK;
}

static int note_revision(void *context, const ipalloc_entry *entry) {
    *(uint64_t *)context = entry->revision;
    return IPALLOC_OK;
}

static int definitions_revision(ipalloc_registry *registry, uint64_t *out, ipalloc_error *error) {
    *out = 0;
    int status =
        ipalloc_store_get(registry->store, bytes_of(KEY_DEFINITIONS), note_revision, out, error);
    return status == IPALLOC_E_NOT_FOUND ? IPALLOC_OK : status;
}

/* TAKEN: something held lies in no range of its pool. */
static int adopt_pools(ipalloc_registry *registry, bool rebuild, ipalloc_error *error) {
    stored_pools all = {.hooks = &registry->hooks, .error = error};
    int status = ipalloc_store_scan(registry->store, bytes_of(PREFIX_POOL), (ipalloc_bytes){0}, 0,
                                    read_pool, &all, NULL, error);
    for (stored_pool *one = all.first; status == IPALLOC_OK && one != NULL; one = one->next)
        status = adopt_pool(registry, one, rebuild, error);
    free_stored_pools(&all);
    return status;
}

/* The revision is read first: what changes after that is noticed as a change later. Leases are read
 * after the definitions, and may be of ranges that have come in between: then it is done again. */
int cache_load_definitions(ipalloc_registry *registry, bool rebuild, ipalloc_error *error) {
    uint64_t revision, now;
    for (int attempt = 1;; attempt++) {
        int status = definitions_revision(registry, &revision, error);
        if (status != IPALLOC_OK || (revision == registry->definitions_revision && !rebuild))
            return status;
        status = adopt_pools(registry, rebuild, error);
        if (status == IPALLOC_OK)
            registry->definitions_revision = revision;
        if (status == IPALLOC_E_EXPIRED && attempt < LOAD_ATTEMPTS_MAX)
            continue; /* forgotten while it was read */
        if (status == IPALLOC_E_EXPIRED)
            return error_set(error, IPALLOC_E_UNAVAILABLE,
                             "the pools' definitions change faster than they can be read");
        if (status != IPALLOC_E_TAKEN || attempt == LOAD_ATTEMPTS_MAX ||
            definitions_revision(registry, &now, NULL) != IPALLOC_OK || now == revision)
            return as_corrupt(status, error);
    }
}

/* --- loading ---------------------------------------------------------------------------------- */

int cache_store_revision(ipalloc_registry *registry, uint64_t *out, ipalloc_error *error) {
    ipalloc_store_info info = {.size = sizeof info};
    int status = ipalloc_store_get_info(registry->store, &info, error);
    *out = info.revision;
    return status;
}

/* What every pool was read at or later; UINT64_MAX where there is none. */
static uint64_t earliest_reading(const ipalloc_registry *registry) {
    uint64_t earliest = UINT64_MAX;
    for (const ipalloc_pool *pool = registry->pools; pool != NULL; pool = pool->next)
        if (pool->set->read_at < earliest)
            earliest = pool->set->read_at;
    return earliest;
}

/* The store's last revision is asked for first. Where somebody else writes to the same etcd, what
 * was read is as of later ones; up to there it is known that nothing of ours changed, provided that
 * no definition has either. A store that has forgotten what came before may insist on that. */
int cache_load(ipalloc_registry *registry, ipalloc_error *error) {
    uint64_t revision, defined;
    int status = cache_store_revision(registry, &revision, error);
    if (status == IPALLOC_OK)
        status = cache_load_definitions(registry, true, error);
    if (status == IPALLOC_OK)
        status = definitions_revision(registry, &defined, error);
    if (status != IPALLOC_OK)
        return status;
    uint64_t read_at = earliest_reading(registry);
    if (defined == registry->definitions_revision && read_at != UINT64_MAX && read_at > revision)
        revision = read_at;
    cache_set_seen(registry, revision);
    return IPALLOC_OK;
}
