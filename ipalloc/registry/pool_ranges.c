/*
 * pool_ranges.c: the ranges of an address pool come, drain and go: one by one, or the whole set at
 * once.
 */
#include "registry/pool_change.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static int say_no_such_range(const change *c, ipalloc_error *error) {
    char text[IPALLOC_CIDR_TEXT];
    ipalloc_cidr_format(c->range, text);
    return error_set(error, IPALLOC_E_NOT_FOUND, "pool %s has no range %s", c->name, text);
}

static int plan_add(const change *c, const definition *current, definition *wanted,
                    ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    char text[IPALLOC_CIDR_TEXT], other[IPALLOC_CIDR_TEXT];
    definition_range added = {.cidr = *c->range};
    ipalloc_cidr_format(c->range, text);
    for (size_t i = 0; i < current->range_count; i++) {
        if (definition_ranges_collide(current, &current->ranges[i], &added)) {
            ipalloc_cidr_format(&current->ranges[i].cidr, other);
            return error_set(error, IPALLOC_E_MISMATCH,
                             "range %s overlaps range %s, which pool %s has already (%s)", text,
                             other, c->name, current->ranges[i].draining ? "draining" : "active");
        }
    }
    if (current->range_count == IPALLOC_POOL_RANGES_MAX)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has %d ranges already", c->name,
                         IPALLOC_POOL_RANGES_MAX);
    int status = definition_copy(wanted, current, error);
    if (status == IPALLOC_OK)
        wanted->ranges[wanted->range_count++] = added;
    return status;
}

static int plan_drain(const change *c, const definition *current, definition *wanted,
                      ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    size_t i = definition_find_range(current, c->range);
    if (i == current->range_count)
        return say_no_such_range(c, error);
    if (current->ranges[i].draining)
        return CHANGE_NOTHING;
    int status = definition_copy(wanted, current, error);
    if (status == IPALLOC_OK)
        wanted->ranges[i].draining = true;
    return status;
}

/* Exclusions within a range go with it. */
static void drop_exclusions(definition *d, const ipalloc_cidr *range) {
    size_t kept = 0;
    for (size_t i = 0; i < d->exclusion_count; i++) {
        ipalloc_addr first = place_addr(&d->exclusions[i].first);
        if (!ipalloc_cidr_contains(range, &first))
            d->exclusions[kept++] = d->exclusions[i];
    }
    d->exclusion_count = kept;
}

static int plan_remove(const change *c, const definition *current, definition *wanted,
                       ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    char text[IPALLOC_CIDR_TEXT];
    size_t i = definition_find_range(current, c->range);
    if (i == current->range_count)
        return say_no_such_range(c, error);
    ipalloc_cidr_format(c->range, text);
    if (!current->ranges[i].draining)
        return error_set(error, IPALLOC_E_INVALID, "range %s of pool %s is not draining", text,
                         c->name);
    int status = definition_copy(wanted, current, error);
    if (status != IPALLOC_OK)
        return status;
    wanted->range_count--;
    memmove(&wanted->ranges[i], &wanted->ranges[i + 1],
            (wanted->range_count - i) * sizeof wanted->ranges[0]);
    drop_exclusions(wanted, c->range);
    return IPALLOC_OK;
}

static bool is_empty_range(const change *c, ipalloc_pool *pool, ipalloc_error *error) {
    char text[IPALLOC_CIDR_TEXT], number[IPALLOC_COUNT_TEXT], before[160];
    for (size_t i = 0; i < pool->set->count; i++) {
        const pool_range *range = &pool->set->ranges[i];
        ipalloc_range_stats stats = {.size = sizeof stats};
        ipalloc_addr held = {0};
        if (ipalloc_addr_compare(&range->cidr.base, &c->range->base) != 0 ||
            range->cidr.prefix_length != c->range->prefix_length ||
            ipalloc_range_next(range->range, &held) != IPALLOC_OK)
            continue;
        ipalloc_range_get_stats(range->range, &stats);
        ipalloc_count_format(stats.total.used, number);
        ipalloc_cidr_format(c->range, text);
        snprintf(before, sizeof before, "range %s holds %s: ", text, number);
        return pool_change_say_held(c, pool, &held, before, error);
    }
    return true;
}

static int run_range_change(ipalloc_pool *pool, const ipalloc_cidr *range, change_function plan,
                            bool (*is_fine)(const change *, ipalloc_pool *, ipalloc_error *),
                            ipalloc_error *error) {
    if (pool == NULL || range == NULL)
        return error_set(error, IPALLOC_E_INVALID, "pool and range must not be NULL");
    if (pool->kind == IPALLOC_POOL_PORT)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has ports, not ranges", pool->name);
    change c = {.registry = pool->registry,
                .name = pool->name,
                .plan = plan,
                .range = range,
                .is_fine = is_fine};
    return pool_change_run(&c, NULL, error);
}

static bool uses_all_addresses(ipalloc_pool *pool) {
    gate_enter(&pool->registry->gate);
    bool all = pool->definition.use_all_addresses;
    gate_leave(&pool->registry->gate);
    return all;
}

int ipalloc_pool_add_range(ipalloc_pool *pool, const ipalloc_cidr *range, ipalloc_error *error) {
    definition checked;
    if (pool != NULL && range != NULL && pool->kind != IPALLOC_POOL_PORT) {
        ipalloc_pool_definition alone = {.size = sizeof alone,
                                         .kind = pool->kind,
                                         .ranges = range,
                                         .range_count = 1,
                                         .use_all_addresses = uses_all_addresses(pool)};
        int status = definition_read(&alone, &pool->registry->hooks, &checked, error);
        if (status != IPALLOC_OK)
            return status;
    }
    return run_range_change(pool, range, plan_add, NULL, error);
}

int ipalloc_pool_drain_range(ipalloc_pool *pool, const ipalloc_cidr *range, ipalloc_error *error) {
    return run_range_change(pool, range, plan_drain, NULL, error);
}

int ipalloc_pool_remove_range(ipalloc_pool *pool, const ipalloc_cidr *range, ipalloc_error *error) {
    return run_range_change(pool, range, plan_remove, is_empty_range, error);
}

/* --- the whole set ---------------------------------------------------------------------------- */

/* A range that the pool has keeps to the addresses that it had. */
static definition_range range_of_spec(const definition *current,
                                      const ipalloc_pool_range_spec *spec) {
    size_t known = definition_find_range(current, &spec->cidr);
    bool had_all = known == current->range_count || current->ranges[known].all;
    return (definition_range){.cidr = spec->cidr,
                              .draining = spec->draining,
                              .all = spec->draining && had_all && !current->use_all_addresses};
}

/* What is held at the ends of the new ranges, and not given out by them, drains by itself. */
static int keep_held_ends(const ipalloc_pool *pool, definition *wanted, ipalloc_error *error) {
    size_t given = wanted->range_count;
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < given; i++) {
        ipalloc_addr ends[2];
        size_t count = definition_unusable_ends(wanted, &wanted->ranges[i], ends);
        for (size_t j = 0; status == IPALLOC_OK && j < count; j++) {
            definition_range alone = {
                .cidr = {ends[j], ends[j].family == 4 ? 32 : 128}, .draining = true, .all = true};
            range_offset offset;
            place p = place_of_addr(&ends[j]);
            const pool_range *range = pool_find_range(pool, &p, &offset);
            if (range != NULL && range_state_of(range->range, offset) == RANGE_HELD &&
                definition_find_range(wanted, &alone.cidr) == wanted->range_count)
                status = definition_add_range(wanted, &alone, error);
        }
    }
    return status;
}

static int plan_set(const change *c, const definition *current, definition *wanted,
                    ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    int status = IPALLOC_OK;
    *wanted = *current;
    wanted->exclusions = NULL;
    wanted->exclusion_count = 0;
    wanted->range_count = 0;
    for (size_t i = 0; status == IPALLOC_OK && i < c->spec_count; i++) {
        definition_range range = range_of_spec(current, &c->specs[i]);
        status = definition_add_range(wanted, &range, error);
    }
    if (status == IPALLOC_OK)
        status =
            keep_held_ends(cache_find_pool(c->registry, c->name, strlen(c->name)), wanted, error);
    if (status == IPALLOC_OK)
        status = definition_carry_exclusions(wanted, current, error);
    return status == IPALLOC_OK && definition_same_ranges(current, wanted) ? CHANGE_NOTHING
                                                                           : status;
}

int ipalloc_pool_set_ranges(ipalloc_pool *pool, const ipalloc_pool_range_spec *ranges, size_t count,
                            ipalloc_error *error) {
    if (pool == NULL || (ranges == NULL && count > 0))
        return error_set(error, IPALLOC_E_INVALID, "pool and ranges must not be NULL");
    if (pool->kind == IPALLOC_POOL_PORT)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has ports, not ranges", pool->name);
    if (count > IPALLOC_POOL_RANGES_MAX)
        return error_set(error, IPALLOC_E_INVALID, "an address pool has at most %d ranges, not %zu",
                         IPALLOC_POOL_RANGES_MAX, count);
    change c = {.registry = pool->registry,
                .name = pool->name,
                .plan = plan_set,
                .specs = ranges,
                .spec_count = count};
    return pool_change_run(&c, NULL, error);
}
