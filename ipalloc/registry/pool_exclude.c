/*
 * pool_exclude.c: addresses of a pool that are never given out, and are again.
 */
#include "registry/pool_change.h"

#include <assert.h>
#include <string.h>

static int say_span(const change *c, int status, const char *what, ipalloc_error *error) {
    char first[IPALLOC_ADDR_TEXT], last[IPALLOC_ADDR_TEXT];
    return error_set(error, status, "%s-%s %s pool %s", place_format(&c->span.first, first),
                     place_format(&c->span.last, last), what, c->name);
}

/* An address that no range gives out: outside of all, or the first or the last of one. */
static int say_not_given_out(const change *c, const ipalloc_pool *pool, const place *p,
                             ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT], text[IPALLOC_CIDR_TEXT];
    ipalloc_addr wanted = place_addr(p);
    place_format(p, address);
    for (size_t i = 0; i < pool->set->count; i++) {
        const ipalloc_cidr *range = &pool->set->ranges[i].cidr;
        if (!ipalloc_cidr_contains(range, &wanted))
            continue;
        ipalloc_cidr_format(range, text);
        return error_set(error, IPALLOC_E_NOT_IN_RANGE,
                         "%s is an end of %s, which pool %s never gives out", address, text,
                         c->name);
    }
    return error_set(error, IPALLOC_E_NOT_IN_RANGE, "%s is in no range of pool %s", address,
                     c->name);
}

/* Both ends usable and in one range. */
static int check_span(const change *c, const ipalloc_pool *pool, pool_range **range,
                      ipalloc_error *error) {
    range_offset offset;
    *range = pool_find_range(pool, &c->span.first, &offset);
    const pool_range *other = pool_find_range(pool, &c->span.last, &offset);
    if (*range == NULL || other == NULL)
        return say_not_given_out(c, pool, *range == NULL ? &c->span.first : &c->span.last, error);
    return other == *range ? IPALLOC_OK
                           : say_span(c, IPALLOC_E_NOT_IN_RANGE, "spans two ranges of", error);
}

static int plan_exclude(const change *c, const definition *current, definition *wanted,
                        ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    pool_range *range;
    const ipalloc_pool *pool = cache_find_pool(c->registry, c->name, strlen(c->name));
    int status = check_span(c, pool, &range, error);
    if (status == IPALLOC_OK)
        status = definition_copy(wanted, current, error);
    return status == IPALLOC_OK ? definition_exclude(wanted, &c->span, error) : status;
}

/* The first held address of first..last; false if there is none. */
static bool first_held(const pool_range *range, const ipalloc_addr *first, const ipalloc_addr *last,
                       ipalloc_addr *held) {
    *held = *first;
    return ipalloc_range_has(range->range, first) ||
           (ipalloc_range_next(range->range, held) == IPALLOC_OK &&
            ipalloc_addr_compare(held, last) <= 0);
}

static bool holds_nothing_in_span(const change *c, ipalloc_pool *pool, ipalloc_error *error) {
    pool_range *range;
    ipalloc_addr first = place_addr(&c->span.first), last = place_addr(&c->span.last), held;
    return check_span(c, pool, &range, error) != IPALLOC_OK ||
           !first_held(range, &first, &last, &held) ||
           pool_change_say_held(c, pool, &held, "", error);
}

static int plan_include(const change *c, const definition *current, definition *wanted,
                        ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    pool_range *range;
    const ipalloc_pool *pool = cache_find_pool(c->registry, c->name, strlen(c->name));
    int status = check_span(c, pool, &range, error);
    if (status == IPALLOC_OK && !definition_is_excluded(current, &c->span))
        return say_span(c, IPALLOC_E_NOT_FOUND, "is not all excluded from", error);
    if (status == IPALLOC_OK)
        status = definition_copy(wanted, current, error);
    return status == IPALLOC_OK ? definition_include(wanted, &c->span, error) : status;
}

static int run_span_change(ipalloc_pool *pool, const ipalloc_addr *first, const ipalloc_addr *last,
                           change_function plan,
                           bool (*is_fine)(const change *, ipalloc_pool *, ipalloc_error *),
                           ipalloc_error *error) {
    if (pool == NULL || first == NULL || last == NULL)
        return error_set(error, IPALLOC_E_INVALID, "pool, first and last must not be NULL");
    if (pool->kind == IPALLOC_POOL_PORT)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has ports, not addresses", pool->name);
    if (first->family != last->family || ipalloc_addr_compare(first, last) > 0 ||
        (first->family != 4 && first->family != 6))
        return error_set(error, IPALLOC_E_INVALID, "the first address is above the last");
    change c = {.registry = pool->registry,
                .name = pool->name,
                .plan = plan,
                .span = {.first = place_of_addr(first), .last = place_of_addr(last)},
                .is_fine = is_fine};
    return pool_change_run(&c, NULL, error);
}

int ipalloc_pool_exclude(ipalloc_pool *pool, const ipalloc_addr *first, const ipalloc_addr *last,
                         ipalloc_error *error) {
    return run_span_change(pool, first, last, plan_exclude, holds_nothing_in_span, error);
}

int ipalloc_pool_include(ipalloc_pool *pool, const ipalloc_addr *first, const ipalloc_addr *last,
                         ipalloc_error *error) {
    return run_span_change(pool, first, last, plan_include, NULL, error);
}
