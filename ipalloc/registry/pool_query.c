/*
 * pool_query.c: finding pools, reading their counts, bands and exclusions. Changes nothing.
 */
#include "registry/registry.h"
#include <ipalloc/repair.h>

#include <string.h>

int ipalloc_pool_open(ipalloc_registry *registry, const char *name, ipalloc_pool **out,
                      ipalloc_error *error) {
    char quoted[100];
    if (registry == NULL || name == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "pool: registry, name, out must not be NULL");
    gate_enter(&registry->gate);
    ipalloc_pool *pool = cache_find_pool(registry, name, strlen(name));
    gate_leave(&registry->gate);
    if (pool == NULL)
        return error_set(error, IPALLOC_E_NOT_FOUND, "there is no pool %s",
                         text_quote(name, strlen(name), quoted, sizeof quoted));
    *out = pool;
    return IPALLOC_OK;
}

int ipalloc_pool_next(ipalloc_registry *registry, ipalloc_pool **pool) {
    if (registry == NULL || pool == NULL)
        return IPALLOC_E_INVALID;
    gate_enter(&registry->gate);
    ipalloc_pool *next = *pool != NULL ? (*pool)->next : registry->pools;
    gate_leave(&registry->gate);
    if (next == NULL)
        return IPALLOC_E_NOT_FOUND;
    *pool = next;
    return IPALLOC_OK;
}

const char *ipalloc_pool_name(const ipalloc_pool *pool) {
    return pool->name;
}

int ipalloc_pool_kind_of(const ipalloc_pool *pool) {
    return pool->kind;
}

static void add_count(ipalloc_count *sum, ipalloc_count more) {
    *sum = count_of(count_value(*sum) + count_value(more));
}

static void add_band(ipalloc_band_stats *sum, const ipalloc_band_stats *more) {
    add_count(&sum->size, more->size);
    add_count(&sum->free, more->free);
    add_count(&sum->used, more->used);
    add_count(&sum->cooling, more->cooling);
    add_count(&sum->excluded, more->excluded);
}

int ipalloc_pool_get_stats(ipalloc_pool *pool, ipalloc_pool_stats *out, ipalloc_error *error) {
    if (pool == NULL || out == NULL || out->size < sizeof out->size)
        return error_set(error, IPALLOC_E_INVALID, "stats: pool, out and its size must be set");
    ipalloc_pool_stats sum = {.size = out->size};
    gate_enter(&pool->registry->gate);
    sum.range_count = pool->set->count;
    for (size_t i = 0; i < pool->set->count; i++) {
        ipalloc_range_stats one = {.size = sizeof one};
        ipalloc_range_get_stats(pool->set->ranges[i].range, &one);
        add_band(&sum.static_band, &one.static_band);
        add_band(&sum.dynamic_band, &one.dynamic_band);
        add_band(&sum.total, &one.total);
    }
    gate_leave(&pool->registry->gate);
    sum.leaks_freed = atomic_load_relaxed(&pool->repairs[IPALLOC_REPAIR_LEAK]);
    sum.missing_reserved = atomic_load_relaxed(&pool->repairs[IPALLOC_REPAIR_MISSING]);
    sum.duplicates_found = atomic_load_relaxed(&pool->repairs[IPALLOC_REPAIR_DUPLICATE]);
    sum.out_of_range_found = atomic_load_relaxed(&pool->repairs[IPALLOC_REPAIR_OUT_OF_RANGE]);
    memcpy(out, &sum, out->size < sizeof sum ? out->size : sizeof sum);
    return IPALLOC_OK;
}

/* The usable ones of the static band: all before the first dynamic one. */
static void fill_static_band(const ipalloc_pool *pool, const pool_range *range,
                             ipalloc_pool_range *out) {
    u128 size = count_value(out->stats.static_band.size);
    if (size == 0)
        return;
    place first = pool_range_place(pool, range, (range_offset){0});
    place last = pool_range_place(pool, range, (range_offset){size - 1});
    out->static_first = place_addr(&first);
    out->static_last = place_addr(&last);
    out->port_static_first = place_port(&first);
    out->port_static_last = place_port(&last);
}

int ipalloc_pool_get_range(ipalloc_pool *pool, size_t index, ipalloc_pool_range *out,
                           ipalloc_error *error) {
    if (pool == NULL || out == NULL || out->size < sizeof out->size)
        return error_set(error, IPALLOC_E_INVALID, "range: pool, out and its size must be set");
    ipalloc_pool_range found = {.size = out->size, .stats = {.size = sizeof found.stats}};
    gate_enter(&pool->registry->gate);
    bool exists = index < pool->set->count;
    if (exists) {
        const pool_range *range = &pool->set->ranges[index];
        found.cidr = range->cidr;
        found.draining = range->draining;
        ipalloc_range_get_stats(range->range, &found.stats);
        fill_static_band(pool, range, &found);
        activity_read(&range->activity, &found);
    }
    size_t count = pool->set->count;
    gate_leave(&pool->registry->gate);
    if (!exists)
        return error_set(error, IPALLOC_E_NOT_FOUND, "pool %s has %zu ranges, none of index %zu",
                         pool->name, count, index);
    memcpy(out, &found, out->size < sizeof found ? out->size : sizeof found);
    return IPALLOC_OK;
}

int ipalloc_pool_list_excluded(ipalloc_pool *pool, ipalloc_excluded_visit visit, void *context,
                               ipalloc_error *error) {
    if (pool == NULL || visit == NULL)
        return error_set(error, IPALLOC_E_INVALID, "excluded: pool and visit must not be NULL");
    int status = cache_catch_up(pool->registry, error);
    gate_enter(&pool->registry->gate);
    for (size_t i = 0; status == IPALLOC_OK && i < pool->definition.exclusion_count; i++) {
        const definition_span *span = &pool->definition.exclusions[i];
        ipalloc_addr first = place_addr(&span->first), last = place_addr(&span->last);
        status = visit(context, &first, &last);
    }
    gate_leave(&pool->registry->gate);
    return status;
}
