/*
 * sighting.c: what was seen to leak, kept in the store until it is confirmed, freed, or seen no
 * more.
 *
 * A sighting counts for one lease, by its generation and owner, and for the record that it was
 * judged by. The first time stays, the last never goes back. Batches are conditional on the
 * sightings that were read, so that of two reports at once one gives way; a report that ends
 * half-way leaves sightings that are true, and others older than they could be, which ripens
 * nothing earlier.
 *
 * Cost: one walk over the sightings, a look-up by hash for each, one batch for 256 changes.
 */
#include "registry/held_back.h"
#include "registry/repair.h"

#include "registry/batch.h"

#include <string.h>

enum { CHANGES_PER_BATCH = 256 };

/* --- what is stored --------------------------------------------------------------------------- */

/* One that no leak confirms. */
typedef struct stale_sighting {
    const ipalloc_pool *pool;
    place place;
    uint64_t revision;
} stale_sighting;

typedef struct sighting_walk {
    ipalloc_repair_report *report;
    stale_sighting *stale;
    size_t stale_count, stale_capacity;
    ipalloc_error *error;
} sighting_walk;

static uint64_t finding_hash(const void *items, size_t item) {
    return ((const finding *)items)[item].hash;
}

static int index_findings(ipalloc_repair_report *r, ipalloc_error *error) {
    for (size_t i = 0; i < r->count; i++) {
        finding *f = &r->findings[i];
        f->hash = hash_of_place(r->live.seed, f->pool, &f->place);
        if (hash_index_add(&r->by_place, &r->registry->hooks, finding_hash, r->findings) !=
            IPALLOC_OK)
            return error_no_memory(error);
    }
    return IPALLOC_OK;
}

/* The leak of that place: there is one lease of it, and so at most one leak. */
static finding *find_leak(const ipalloc_repair_report *r, const ipalloc_pool *pool,
                          const place *p) {
    uint64_t hash = hash_of_place(r->live.seed, pool, p);
    for (size_t cursor = 0, item; hash_index_next(&r->by_place, hash, &cursor, &item);) {
        finding *f = &r->findings[item];
        if (f->kind == IPALLOC_REPAIR_LEAK && f->pool == pool && place_compare(&f->place, p) == 0)
            return f;
    }
    return NULL;
}

static int note_stale(sighting_walk *walk, const stale_sighting *one) {
    void *stale = walk->stale;
    int status = array_grow(&walk->report->registry->hooks, &stale, walk->stale_count,
                            &walk->stale_capacity, sizeof walk->stale[0], walk->error);
    walk->stale = stale;
    if (status == IPALLOC_OK)
        walk->stale[walk->stale_count++] = *one;
    return status;
}

static int match_sighting(void *context, const ipalloc_entry *entry) {
    sighting_walk *walk = context;
    const ipalloc_repair_report *r = walk->report;
    place_key parts;
    place p;
    sighting stored;
    if (!key_split_place(entry->key, PREFIX_SIGHTING, &parts))
        return record_corrupt(walk->error, entry->key, "the key names no address of a pool");
    const ipalloc_pool *pool = cache_find_pool(r->registry, parts.pool, parts.pool_length);
    if (pool == NULL)
        return record_corrupt(walk->error, entry->key, "names a pool that is not defined");
    if (!place_parse_key(pool->kind, parts.place, parts.place_length, &p) ||
        !sighting_parse(entry->value, &stored))
        return record_corrupt(walk->error, entry->key, "is not a sighting record");
    finding *leak = find_leak(r, pool, &p);
    if (leak == NULL && !live_judges(&r->live, stored.owner, (char[LIVE_KEY_TEXT]){0}))
        return IPALLOC_OK; /* somebody else's to judge */
    if (leak == NULL)
        return note_stale(walk, &(stale_sighting){pool, p, entry->revision});
    leak->sighting_revision = entry->revision;
    if (stored.generation != leak->generation ||
        strcmp(stored.owner, live_name(&r->live, leak->owner)) != 0 ||
        strcmp(stored.record, live_name(&r->live, leak->key)) != 0)
        return IPALLOC_OK; /* of an earlier lease: it counts for nothing, and is overwritten */
    leak->first_ms = stored.first_ms;
    leak->last_ms = stored.last_ms;
    leak->sightings = stored.count;
    return IPALLOC_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* This report is one more sighting. */
static void see_again(finding *leak, uint64_t now_ms) {
    if (leak->sightings == 0)
        leak->first_ms = leak->last_ms = now_ms;
    else if (now_ms > leak->last_ms)
        leak->last_ms = now_ms;
    leak->sightings++;
}

static void add_leak(batch_builder *b, const ipalloc_repair_report *r, finding *leak,
                     uint64_t now_ms) {
    record_key key = key_of_sighting(leak->pool->name, &leak->place);
    const char *owner = live_name(&r->live, leak->owner), *record = live_name(&r->live, leak->key);
    see_again(leak, now_ms);
    sighting s = {.generation = leak->generation,
                  .first_ms = leak->first_ms,
                  .last_ms = leak->last_ms,
                  .count = leak->sightings};
    memcpy(s.owner, owner, strlen(owner) + 1);
    memcpy(s.record, record, strlen(record) + 1);
    batch_put(b, bytes_of_key(&key), WHEN_AT, leak->sighting_revision);
    sighting_append(&b->bytes, &s);
    batch_end_value(b);
}

static void add_stale(batch_builder *b, const stale_sighting *one) {
    record_key key = key_of_sighting(one->pool->name, &one->place);
    batch_delete(b, bytes_of_key(&key), WHEN_AT, one->revision);
}

static int send(ipalloc_registry *registry, batch_builder *b, ipalloc_error *error) {
    if (!batch_finish(b))
        return error_no_memory(error);
    ipalloc_batch batch = {.ops = b->ops, .op_count = b->count};
    int status = registry_commit_settled(registry, &batch, error);
    if (status == IPALLOC_E_CONFLICT)
        return error_set(error, IPALLOC_E_CONFLICT,
                         "another report was storing sightings: run it again");
    return status;
}

/* The next changes from *leak and *stale on, as many as fit one batch. */
static int write_some(const sighting_walk *walk, size_t *leak, size_t *stale, uint64_t now_ms) {
    ipalloc_repair_report *r = walk->report;
    batch_builder b = {0};
    if (batch_init(&b, &r->registry->hooks, CHANGES_PER_BATCH) != IPALLOC_OK)
        return error_no_memory(walk->error);
    for (; *leak < r->count && b.count < CHANGES_PER_BATCH; ++*leak)
        if (r->findings[*leak].kind == IPALLOC_REPAIR_LEAK)
            add_leak(&b, r, &r->findings[*leak], now_ms);
    for (; *stale < walk->stale_count && b.count < CHANGES_PER_BATCH; ++*stale)
        add_stale(&b, &walk->stale[*stale]);
    int status = b.count > 0 ? send(r->registry, &b, walk->error) : IPALLOC_OK;
    batch_free(&b);
    return status;
}

static int write_all(const sighting_walk *walk, uint64_t now_ms) {
    size_t leak = 0, stale = 0;
    int status = IPALLOC_OK;
    while (status == IPALLOC_OK && (leak < walk->report->count || stale < walk->stale_count))
        status = write_some(walk, &leak, &stale, now_ms);
    return status;
}

int sightings_update(ipalloc_repair_report *report, uint64_t now_ms, bool write,
                     ipalloc_error *error) {
    sighting_walk walk = {.report = report, .error = error};
    int status = index_findings(report, error);
    held_back h;
    held_back_init(&h, report->registry, PREFIX_SIGHTING, match_sighting, &walk);
    if (status == IPALLOC_OK)
        status = ipalloc_store_scan(report->registry->store, bytes_of(PREFIX_SIGHTING),
                                    (ipalloc_bytes){0}, 0, held_back_visit, &h, NULL, error);
    status = held_back_finish(&h, held_back_catch_up(&h, status, error));
    if (status == IPALLOC_OK && write)
        status = write_all(&walk, now_ms);
    hooks_free(&report->registry->hooks, walk.stale);
    return status;
}
