/*
 * definition_drain.c: what a change of a pool takes away, and the definition in which just that
 * drains: the step before it goes (pool_change.c says why). No I/O. Memory: the exclusions only.
 *
 * Invariant: in the definition between, everything that the current one gives out or holds lies in
 * some range, and of what the wanted one lacks nothing is given out. It gives out nothing that the
 * current one does not: so it can be taken back whatever was given out under it.
 */
#include "registry/definition.h"

#include "base/error.h"

#include <string.h>

/* Laying the wanted ranges over one of the current ones. */
typedef struct cutting {
    const definition *current, *wanted;
    const definition_range *from; /* the range of `current` that is cut */
    definition *out;              /* NULL: it is only looked whether anything is lost */
    bool lost;
    ipalloc_error *error;
} cutting;

static unsigned host_bits(const ipalloc_cidr *cidr) {
    return (cidr->base.family == 4 ? 32u : 128u) - cidr->prefix_length;
}

static bool is_unusable_end(const definition *d, const definition_range *range,
                            const ipalloc_addr *address) {
    ipalloc_addr ends[2];
    size_t count = definition_unusable_ends(d, range, ends);
    for (size_t i = 0; i < count; i++)
        if (ipalloc_addr_compare(&ends[i], address) == 0)
            return true;
    return false;
}

static bool counts_in(const definition *d, const definition_range *range,
                      const ipalloc_addr *address) {
    return ipalloc_cidr_contains(&range->cidr, address) && !is_unusable_end(d, range, address);
}

/* Does it count in any range, active or draining? */
static bool counts(const definition *d, const ipalloc_addr *address) {
    for (size_t i = 0; i < d->range_count; i++)
        if (counts_in(d, &d->ranges[i], address))
            return true;
    return false;
}

/* --- one range -------------------------------------------------------------------------------- */

/* All of `part` lies in no wanted range. */
static int meet_apart(cutting *k, const ipalloc_cidr *part) {
    bool whole = part->prefix_length == k->from->cidr.prefix_length;
    k->lost |= host_bits(part) > 0 || counts_in(k->current, k->from, &part->base);
    if (k->out == NULL)
        return IPALLOC_OK;
    definition_range rest = {.cidr = *part,
                             .draining = true,
                             .all = !whole ||
                                    (k->current->use_all_addresses && !k->out->use_all_addresses)};
    return definition_add_range(k->out, &rest, k->error);
}

/* All of `part` lies in the wanted range `by`, which may not give out its ends. */
static int meet_covered(cutting *k, const ipalloc_cidr *part, const definition_range *by) {
    ipalloc_addr ends[2];
    size_t count = definition_unusable_ends(k->wanted, by, ends);
    for (size_t i = 0; i < count; i++)
        k->lost |= ipalloc_cidr_contains(part, &ends[i]) &&
                   counts_in(k->current, k->from, &ends[i]) && !counts(k->wanted, &ends[i]);
    if (k->out == NULL)
        return IPALLOC_OK;
    bool whole = part->prefix_length == k->from->cidr.prefix_length;
    bool fewer = k->current->use_all_addresses && !k->out->use_all_addresses;
    definition_range kept = {
        .cidr = *part, .draining = by->draining, .all = by->draining && (!whole || fewer)};
    return definition_add_range(k->out, &kept, k->error);
}

static void halve(const ipalloc_cidr *whole, ipalloc_cidr halves[2]) {
    unsigned bit = whole->prefix_length;
    halves[0] = *whole;
    halves[0].prefix_length++;
    halves[1] = halves[0];
    halves[1].base.bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
}

/* Ranges lie within each other or apart: it is halved until each part does so with all of them, 128
 * deep at most. */
static int cut(cutting *k, const ipalloc_cidr *part) {
    const definition_range *by = NULL;
    bool apart = true;
    for (size_t i = 0; i < k->wanted->range_count; i++) {
        const definition_range *range = &k->wanted->ranges[i];
        apart &= !ipalloc_cidr_overlaps(&range->cidr, part);
        if (ipalloc_cidr_covers(&range->cidr, part) &&
            (by == NULL || range->cidr.prefix_length < by->cidr.prefix_length))
            by = range; /* the widest, where one address drains at the end of another */
    }
    if (by != NULL)
        return meet_covered(k, part, by);
    if (apart)
        return meet_apart(k, part);
    ipalloc_cidr halves[2];
    halve(part, halves);
    int status = cut(k, &halves[0]);
    return status == IPALLOC_OK ? cut(k, &halves[1]) : status;
}

static bool range_loses(const definition *current, const definition_range *range,
                        const definition *wanted) {
    cutting k = {.current = current, .wanted = wanted, .from = range};
    return !range->draining && cut(&k, &range->cidr) == IPALLOC_OK && k.lost;
}

/* --- ports ------------------------------------------------------------------------------------ */

/* The ports below and above the wanted ones; returns how many stretches there are. */
static size_t lost_ports(const definition *current, const definition *wanted,
                         definition_span lost[2]) {
    uint16_t first = current->port_first, last = current->port_last;
    size_t count = 0;
    if (first < wanted->port_first)
        lost[count++] = (definition_span){
            place_of_port(first),
            place_of_port(last < wanted->port_first ? last : (uint16_t)(wanted->port_first - 1))};
    if (last > wanted->port_last)
        lost[count++] = (definition_span){
            place_of_port(first > wanted->port_last ? first : (uint16_t)(wanted->port_last + 1)),
            place_of_port(last)};
    return count;
}

static int drain_ports(definition *out, const definition *current, const definition *wanted,
                       ipalloc_error *error) {
    definition_span lost[2];
    size_t count = lost_ports(current, wanted, lost);
    int status = definition_copy(out, current, error);
    for (size_t i = 0; status == IPALLOC_OK && i < count; i++)
        status = definition_exclude(out, &lost[i], error);
    return status;
}

/* --- the whole -------------------------------------------------------------------------------- */

bool definition_gives_up(const definition *current, const definition *wanted) {
    definition_span ports[2];
    bool lost = false;
    if (current->kind == IPALLOC_POOL_PORT) {
        size_t count = lost_ports(current, wanted, ports);
        for (size_t i = 0; i < count; i++)
            lost |= !definition_is_excluded(current, &ports[i]);
        return lost;
    }
    for (size_t i = 0; !lost && i < current->range_count; i++)
        lost = range_loses(current, &current->ranges[i], wanted);
    return lost;
}

static int add_active(definition *out, const definition *current, const definition *wanted,
                      ipalloc_error *error) {
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < current->range_count; i++) {
        const definition_range *range = &current->ranges[i];
        cutting k = {
            .current = current, .wanted = wanted, .from = range, .out = out, .error = error};
        if (range->draining)
            continue;
        status = range_loses(current, range, wanted) ? cut(&k, &range->cidr)
                                                     : definition_add_range(out, range, error);
    }
    return status;
}

/* What drained goes on draining; one address that a wider one counts by now is in that. */
static int add_draining(definition *out, const definition *current, ipalloc_error *error) {
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < current->range_count; i++) {
        definition_range range = current->ranges[i];
        if (!range.draining || (host_bits(&range.cidr) == 0 && counts(out, &range.cidr.base)))
            continue;
        range.all |= current->use_all_addresses && !out->use_all_addresses;
        status = definition_add_range(out, &range, error);
    }
    return status;
}

/* Ends that the parts do not give out, and the whole did. */
static int add_ends(definition *out, const definition *current, ipalloc_error *error) {
    size_t parts = out->range_count;
    int status = IPALLOC_OK;
    for (size_t i = 0; i < parts; i++) {
        ipalloc_addr ends[2];
        size_t count = definition_unusable_ends(out, &out->ranges[i], ends);
        for (size_t j = 0; status == IPALLOC_OK && j < count; j++) {
            definition_range alone = {
                .cidr = {ends[j], ends[j].family == 4 ? 32 : 128}, .draining = true, .all = true};
            if (counts(current, &ends[j]) && !counts(out, &ends[j]))
                status = definition_add_range(out, &alone, error);
        }
    }
    return status;
}

static int drain_parts(definition *out, const definition *current, const definition *wanted,
                       ipalloc_error *error) {
    *out = *current;
    out->range_count = 0;
    out->exclusions = NULL;
    out->exclusion_count = 0;
    out->use_all_addresses = current->use_all_addresses && wanted->use_all_addresses;
    int status = add_active(out, current, wanted, error);
    if (status == IPALLOC_OK)
        status = add_draining(out, current, error);
    if (status == IPALLOC_OK)
        status = add_ends(out, current, error);
    return status == IPALLOC_OK ? definition_carry_exclusions(out, current, error) : status;
}

/* All of each range that loses anything: where the parts would be too many. */
static int drain_whole(definition *out, const definition *current, const definition *wanted,
                       ipalloc_error *error) {
    int status = definition_copy(out, current, error);
    for (size_t i = 0; status == IPALLOC_OK && i < out->range_count; i++)
        out->ranges[i].draining |= range_loses(current, &current->ranges[i], wanted);
    return status;
}

int definition_drain_first(definition *out, const definition *current, const definition *wanted,
                           ipalloc_error *error) {
    if (current->kind == IPALLOC_POOL_PORT)
        return drain_ports(out, current, wanted, error);
    int status = drain_parts(out, current, wanted, NULL);
    if (status == IPALLOC_E_INVALID)
        return drain_whole(out, current, wanted, error);
    return status == IPALLOC_OK ? IPALLOC_OK : error_no_memory(error);
}
