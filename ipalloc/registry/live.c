/*
 * live.c: see live.h.
 *
 * May use: base, the registry's pools by name. No I/O and no gate: adding is allowed from within a
 * store's walk.
 */
#include "registry/live.h"

#include <assert.h>
#include <string.h>

/* --- memory ----------------------------------------------------------------------------------- */

int array_grow(const hooks *h, void **items, size_t count, size_t *capacity, size_t size,
               ipalloc_error *error) {
    if (count < *capacity)
        return IPALLOC_OK;
    size_t wanted = *capacity > 0 ? 2 * *capacity : 64;
    void *grown = hooks_realloc(h, *items, wanted * size);
    if (grown == NULL)
        return error_no_memory(error);
    *items = grown;
    *capacity = wanted;
    return IPALLOC_OK;
}

/* --- item numbers by hash --------------------------------------------------------------------- */

enum { INDEX_CAPACITY_FIRST = 128 };

static void index_insert(hash_index *x, uint64_t hash, size_t item) {
    size_t at = hash & (x->capacity - 1);
    while (x->slots[at] != 0)
        at = (at + 1) & (x->capacity - 1);
    x->slots[at] = (uint32_t)item + 1;
}

static int index_grow(hash_index *x, const hooks *h, item_hash hash, const void *items) {
    hash_index grown = {.capacity = x->capacity > 0 ? 2 * x->capacity : INDEX_CAPACITY_FIRST,
                        .count = x->count};
    if (grown.capacity > UINT32_MAX)
        return IPALLOC_E_INVALID;
    grown.slots = hooks_alloc_zeroed(h, grown.capacity * sizeof grown.slots[0]);
    if (grown.slots == NULL)
        return IPALLOC_E_NOMEM;
    for (size_t item = 0; item < x->count; item++)
        index_insert(&grown, hash(items, item), item);
    hooks_free(h, x->slots);
    *x = grown;
    return IPALLOC_OK;
}

int hash_index_add(hash_index *x, const hooks *h, item_hash hash, const void *items) {
    if (2 * (x->count + 1) > x->capacity) {
        int status = index_grow(x, h, hash, items);
        if (status != IPALLOC_OK)
            return status;
    }
    index_insert(x, hash(items, x->count), x->count);
    x->count++;
    return IPALLOC_OK;
}

void hash_index_free(hash_index *x, const hooks *h) {
    hooks_free(h, x->slots);
    *x = (hash_index){0};
}

bool hash_index_next(const hash_index *x, uint64_t hash, size_t *cursor, size_t *item) {
    if (x->capacity == 0)
        return false;
    size_t at = (hash + *cursor) & (x->capacity - 1);
    if (x->slots[at] == 0)
        return false;
    ++*cursor;
    *item = x->slots[at] - 1;
    return true;
}

/* FNV-1a, begun at a random place and mixed at the end. */
static uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length) {
    const uint8_t *b = bytes;
    uint64_t hash = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ b[i]) * 0x100000001b3u;
    return random_mix(hash);
}

uint64_t hash_of_place(uint64_t seed, const ipalloc_pool *pool, const place *p) {
    return hash_bytes(seed ^ (uint64_t)(uintptr_t)pool, p, sizeof *p);
}

/* --- the list --------------------------------------------------------------------------------- */

void live_init(ipalloc_live_list *list, ipalloc_registry *registry, const ipalloc_live_set *set) {
    *list = (ipalloc_live_list){
        .registry = registry, .set = set, .seed = hooks_random(&registry->hooks)};
    text_init(&list->names, &registry->hooks);
}

void live_free(ipalloc_live_list *list) {
    const hooks *h = &list->registry->hooks;
    text_free(&list->names);
    hooks_free(h, list->records);
    hooks_free(h, list->claims);
    hash_index_free(&list->by_key, h);
    hash_index_free(&list->by_place, h);
}

size_t live_keep(ipalloc_live_list *list, const char *name) {
    size_t at = list->names.length;
    text_append(&list->names, name, strlen(name) + 1);
    return at;
}

static uint64_t record_hash(const void *items, size_t item) {
    return ((const live_record *)items)[item].hash;
}

static uint64_t claim_hash(const void *items, size_t item) {
    return ((const live_claim *)items)[item].hash;
}

const live_record *live_find_record(const ipalloc_live_list *list, const char *key) {
    uint64_t hash = hash_bytes(list->seed, key, strlen(key));
    for (size_t cursor = 0, item; hash_index_next(&list->by_key, hash, &cursor, &item);) {
        const live_record *record = &list->records[item];
        if (record->hash == hash && strcmp(live_name(list, record->key), key) == 0)
            return record;
    }
    return NULL;
}

live_claim *live_next_claim(const ipalloc_live_list *list, const ipalloc_pool *pool, const place *p,
                            size_t *cursor) {
    uint64_t hash = hash_of_place(list->seed, pool, p);
    for (size_t item; hash_index_next(&list->by_place, hash, cursor, &item);) {
        live_claim *c = &list->claims[item];
        if (c->hash == hash && c->pool == pool && place_compare(&c->place, p) == 0)
            return c;
    }
    return NULL;
}

bool live_judges(const ipalloc_live_list *list, const char *owner, char key[LIVE_KEY_TEXT]) {
    key[0] = '\0';
    if (!list->set->record_of(list->set->context, owner, key))
        return false;
    size_t length = strnlen(key, LIVE_KEY_TEXT);
    return length > 0 && length < LIVE_KEY_TEXT;
}

/* --- adding ----------------------------------------------------------------------------------- */

static int read_claim(const ipalloc_live_claim *given, ipalloc_error *error) {
    bool has_family = given->address.family == 4 || given->address.family == 6;
    if (!owner_is_valid(given->owner))
        return error_set(error, IPALLOC_E_INVALID, "an owner has 1 to %d bytes", IPALLOC_OWNER_MAX);
    if (given->record_revision == IPALLOC_REVISION_ABSENT ||
        given->record_revision == IPALLOC_REVISION_ANY)
        return error_set(error, IPALLOC_E_INVALID, "a live record has a revision");
    if (given->pool == NULL)
        return IPALLOC_OK;
    if (!pool_name_is_valid(given->pool, strnlen(given->pool, IPALLOC_POOL_NAME_MAX + 1)))
        return error_set(error, IPALLOC_E_INVALID, "a claim's pool has a name of 1 to %d bytes",
                         IPALLOC_POOL_NAME_MAX);
    if (!slot_is_valid(given->slot))
        return error_set(error, IPALLOC_E_INVALID, "a slot has 1 to %d bytes", IPALLOC_SLOT_MAX);
    if (given->address.family != 0 && !has_family)
        return error_set(error, IPALLOC_E_INVALID, "the address is none");
    return IPALLOC_OK;
}

static int say_two_revisions(const char *key, uint64_t a, uint64_t b, ipalloc_error *error) {
    char quoted[300];
    return error_set(error, IPALLOC_E_INVALID, "record %s is listed at revisions %llu and %llu",
                     text_quote(key, strlen(key), quoted, sizeof quoted), (unsigned long long)a,
                     (unsigned long long)b);
}

/* The number of the owner's record, which is added where it is new. */
static int add_record(ipalloc_live_list *list, const ipalloc_live_claim *given, size_t *number,
                      ipalloc_error *error) {
    const hooks *h = &list->registry->hooks;
    char key[LIVE_KEY_TEXT], quoted[300];
    if (!live_judges(list, given->owner, key))
        return error_set(error, IPALLOC_E_INVALID, "no record is known for the live owner %s",
                         text_quote(given->owner, strlen(given->owner), quoted, sizeof quoted));
    const live_record *known = live_find_record(list, key);
    if (known != NULL) {
        *number = (size_t)(known - list->records);
        return known->revision == given->record_revision
                   ? IPALLOC_OK
                   : say_two_revisions(key, known->revision, given->record_revision, error);
    }
    void *records = list->records;
    int status = array_grow(h, &records, list->record_count, &list->record_capacity,
                            sizeof list->records[0], error);
    list->records = records;
    if (status != IPALLOC_OK)
        return status;
    list->records[list->record_count] =
        (live_record){.hash = hash_bytes(list->seed, key, strlen(key)),
                      .key = live_keep(list, key),
                      .revision = given->record_revision};
    if (list->names.failed ||
        hash_index_add(&list->by_key, h, record_hash, list->records) != IPALLOC_OK)
        return error_no_memory(error);
    *number = list->record_count++;
    return IPALLOC_OK;
}

static place place_of_claim(const ipalloc_live_claim *given) {
    return given->address.family != 0 ? place_of_addr(&given->address) : place_of_port(given->port);
}

static int say_other_sort(const ipalloc_pool *pool, ipalloc_error *error) {
    return error_set(error, IPALLOC_E_INVALID, "pool %s is %s, and what is listed is %s",
                     pool->name, pool_kind_name(pool->kind),
                     pool->kind == IPALLOC_POOL_PORT ? "an address" : "a port");
}

/* The claim before is most often of the same owner. */
static size_t keep_owner(ipalloc_live_list *list, const char *owner) {
    if (list->claim_count > 0) {
        size_t last = list->claims[list->claim_count - 1].owner;
        if (strcmp(live_name(list, last), owner) == 0)
            return last;
    }
    return live_keep(list, owner);
}

static int add_claim(ipalloc_live_list *list, const ipalloc_live_claim *given, size_t record,
                     ipalloc_error *error) {
    const hooks *h = &list->registry->hooks;
    void *claims = list->claims;
    int status = array_grow(h, &claims, list->claim_count, &list->claim_capacity,
                            sizeof list->claims[0], error);
    list->claims = claims;
    if (status != IPALLOC_OK)
        return status;
    const ipalloc_pool *pool = cache_find_pool(list->registry, given->pool, strlen(given->pool));
    if (pool != NULL && (pool->kind == IPALLOC_POOL_PORT) != (given->address.family == 0))
        return say_other_sort(pool, error);
    live_claim c = {.pool = pool, .place = place_of_claim(given), .record = record};
    c.hash = hash_of_place(list->seed, pool, &c.place);
    if (pool == NULL)
        c.pool_name = live_keep(list, given->pool);
    c.owner = keep_owner(list, given->owner);
    c.slot = live_keep(list, given->slot);
    list->claims[list->claim_count] = c;
    if (list->names.failed ||
        hash_index_add(&list->by_place, h, claim_hash, list->claims) != IPALLOC_OK)
        return error_no_memory(error);
    list->claim_count++;
    return IPALLOC_OK;
}

static int add(ipalloc_live_list *list, const ipalloc_live_claim *listed, ipalloc_error *error) {
    ipalloc_live_claim given;
    size_t record;
    if (listed == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the live claim must not be NULL");
    int status = options_copy(&given, sizeof given, listed, "ipalloc_live_claim", error);
    if (status == IPALLOC_OK)
        status = read_claim(&given, error);
    if (status == IPALLOC_OK)
        status = add_record(list, &given, &record, error);
    if (status == IPALLOC_OK && given.pool != NULL)
        status = add_claim(list, &given, record, error);
    return status;
}

int ipalloc_live_add(ipalloc_live_list *list, const ipalloc_live_claim *listed,
                     ipalloc_error *error) {
    if (list == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the live list must not be NULL");
    if (list->failed != IPALLOC_OK)
        return error_set(error, list->failed, "%s", list->failure.message);
    list->failed = add(list, listed, &list->failure);
    if (list->failed != IPALLOC_OK)
        return error_set(error, list->failed, "%s", list->failure.message);
    return IPALLOC_OK;
}
