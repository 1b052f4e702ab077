/*
 * definition_ranges.c: the ranges of a definition: which may stand beside each other, and what of
 * the exclusions stays when they are replaced by others. No I/O. Memory: the exclusions only.
 */
#include "registry/definition.h"

#include "base/error.h"

#include <string.h>

static unsigned host_bits(const ipalloc_cidr *cidr) {
    return (cidr->base.family == 4 ? 32u : 128u) - cidr->prefix_length;
}

static bool gives_all(const definition *d, const definition_range *range) {
    return d->use_all_addresses || range->all;
}

static ipalloc_addr last_address(const ipalloc_cidr *cidr) {
    ipalloc_addr last = cidr->base;
    size_t bytes = last.family == 4 ? 4 : 16;
    for (size_t i = 0; i < bytes; i++) {
        unsigned inside = cidr->prefix_length < 8 * i ? 0 : cidr->prefix_length - 8 * (unsigned)i;
        last.bytes[i] |= (uint8_t)(inside < 8 ? 0xff >> inside : 0);
    }
    return last;
}

size_t definition_unusable_ends(const definition *d, const definition_range *range,
                                ipalloc_addr ends[2]) {
    size_t count = 0;
    if (gives_all(d, range))
        return 0;
    ends[count++] = range->cidr.base;
    if (range->cidr.base.family == 4 && host_bits(&range->cidr) > 0)
        ends[count++] = last_address(&range->cidr);
    return count;
}

/* Is `one` a single address that `range` has at an end and does not give out? */
static bool is_end_of(const definition *d, const definition_range *one,
                      const definition_range *range) {
    ipalloc_addr ends[2];
    if (!one->all || host_bits(&one->cidr) > 0 || host_bits(&range->cidr) == 0)
        return false;
    size_t count = definition_unusable_ends(d, range, ends);
    for (size_t i = 0; i < count; i++)
        if (ipalloc_addr_compare(&ends[i], &one->cidr.base) == 0)
            return true;
    return false;
}

bool definition_ranges_collide(const definition *d, const definition_range *a,
                               const definition_range *b) {
    return ipalloc_cidr_overlaps(&a->cidr, &b->cidr) && !is_end_of(d, a, b) && !is_end_of(d, b, a);
}

/* --- what callers give ------------------------------------------------------------------------ */

static bool has_usable_address(const definition *d, const definition_range *range) {
    unsigned bits = host_bits(&range->cidr);
    return gives_all(d, range) || bits >= (range->cidr.base.family == 4 ? 2 : 1);
}

int definition_add_range(definition *d, const definition_range *range, ipalloc_error *error) {
    const ipalloc_cidr *given = &range->cidr;
    char text[IPALLOC_CIDR_TEXT], other[IPALLOC_CIDR_TEXT];
    if (d->range_count == IPALLOC_POOL_RANGES_MAX)
        return error_set(error, IPALLOC_E_INVALID, "a pool has at most %d ranges",
                         IPALLOC_POOL_RANGES_MAX);
    if (given->base.family != d->kind ||
        given->prefix_length > (d->kind == IPALLOC_POOL_IPV4 ? 32 : 128))
        return error_set(error, IPALLOC_E_INVALID, "a range is not of the pool's kind %s",
                         pool_kind_name(d->kind));
    ipalloc_cidr_format(given, text);
    ipalloc_cidr canonical;
    if (ipalloc_cidr_parse(text, strlen(text), &canonical, error) != IPALLOC_OK)
        return error_set(error, IPALLOC_E_INVALID, "range %s has bits beyond its prefix", text);
    if (!has_usable_address(d, range))
        return error_set(error, IPALLOC_E_INVALID, "range %s has no usable address", text);
    for (size_t i = 0; i < d->range_count; i++) {
        if (definition_ranges_collide(d, &d->ranges[i], range)) {
            ipalloc_cidr_format(&d->ranges[i].cidr, other);
            return error_set(error, IPALLOC_E_INVALID, "ranges %s and %s overlap", other, text);
        }
    }
    d->ranges[d->range_count++] = *range;
    return IPALLOC_OK;
}

/* --- exclusions carried over ------------------------------------------------------------------ */

/* The first and the last place that a range gives out. */
static definition_span usable_span(const definition *d, const definition_range *range) {
    ipalloc_addr first = range->cidr.base, last = last_address(&range->cidr);
    bool all = gives_all(d, range);
    place low = place_of_addr(&first), high = place_of_addr(&last);
    return (definition_span){.first = all ? low : place_step(low, 1),
                             .last = all || first.family == 6 ? high : place_step(high, -1)};
}

static bool intersect(const definition_span *a, const definition_span *b, definition_span *out) {
    out->first = place_compare(&a->first, &b->first) > 0 ? a->first : b->first;
    out->last = place_compare(&a->last, &b->last) < 0 ? a->last : b->last;
    return place_compare(&out->first, &out->last) <= 0;
}

/* Into its place among those that are there: near the end, since they come nearly in order. */
static void insert_span(definition_span *spans, size_t count, const definition_span *span) {
    size_t i = count;
    for (; i > 0 && place_compare(&spans[i - 1].first, &span->first) > 0; i--)
        spans[i] = spans[i - 1];
    spans[i] = *span;
}

int definition_carry_exclusions(definition *out, const definition *d, ipalloc_error *error) {
    if (d->exclusion_count == 0)
        return IPALLOC_OK;
    /* Disjoint stretches cut by disjoint ranges: each cut adds one at most. */
    size_t capacity = d->exclusion_count + out->range_count;
    definition_span *spans = hooks_alloc(out->hooks, capacity * sizeof *spans);
    definition_span piece;
    size_t count = 0;
    if (spans == NULL)
        return error_no_memory(error);
    for (size_t i = 0; i < d->exclusion_count; i++) {
        for (size_t j = 0; j < out->range_count; j++) {
            definition_span usable = usable_span(out, &out->ranges[j]);
            if (intersect(&d->exclusions[i], &usable, &piece))
                insert_span(spans, count++, &piece);
        }
    }
    if (count > DEFINITION_EXCLUSIONS_MAX) {
        hooks_free(out->hooks, spans);
        return error_set(error, IPALLOC_E_INVALID, "a pool has at most %d excluded stretches",
                         DEFINITION_EXCLUSIONS_MAX);
    }
    out->exclusions = spans;
    out->exclusion_count = count;
    return IPALLOC_OK;
}

/* --- comparing -------------------------------------------------------------------------------- */

static bool same_range(const definition_range *a, const definition_range *b) {
    return a->draining == b->draining && a->all == b->all &&
           a->cidr.prefix_length == b->cidr.prefix_length &&
           ipalloc_addr_compare(&a->cidr.base, &b->cidr.base) == 0;
}

static bool same_span(const definition_span *a, const definition_span *b) {
    return place_compare(&a->first, &b->first) == 0 && place_compare(&a->last, &b->last) == 0;
}

bool definition_same_ranges(const definition *a, const definition *b) {
    bool same = a->range_count == b->range_count && a->exclusion_count == b->exclusion_count;
    for (size_t i = 0; same && i < a->range_count; i++)
        same = same_range(&a->ranges[i], &b->ranges[i]);
    for (size_t i = 0; same && i < a->exclusion_count; i++)
        same = same_span(&a->exclusions[i], &b->exclusions[i]);
    return same;
}
