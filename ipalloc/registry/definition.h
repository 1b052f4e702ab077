/*
 * definition.h: what a pool is, as the store keeps it, and its text form.
 *
 * The record is name=value lines in this order:
 *   kind=ipv4|ipv6|port
 *   range=10.96.0.0/16 active|draining|draining-all   (address pools: one line each)
 *   ports=30000-32767                      (port pools)
 *   strategy=random|lowest|oldest-freed
 *   static-band=formula|none|<n>
 *   cool-down-ms=<n>
 *   use-all-addresses=yes|no
 *   reuse-cooling-when-full=yes|no
 *   refuse-reserve-cooling=yes|no
 *   exclude=<first>-<last>                 (any number, in order, none touching the next's first)
 * Exclusions are sorted and disjoint; each lies within one range.
 *
 * No address is usable in two ranges. Ranges share no address at all, but for this: a range of one
 * address may be the first or the last of another that does not give it out. So an address that is
 * held, and becomes such an end when its range is cut, stays held in a draining range of its own.
 * What drains after a cut counts all its addresses (draining-all): its ends may be held too.
 */
#ifndef IPALLOC_REGISTRY_DEFINITION_H
#define IPALLOC_REGISTRY_DEFINITION_H

#include "registry/record.h"

/* More stretches than this in one pool is a policy that belongs into ranges. */
enum { DEFINITION_EXCLUSIONS_MAX = 4096 };

typedef struct definition_range {
    ipalloc_cidr cidr;
    bool draining;
    bool all; /* draining: its first and last address count too */
} definition_range;

typedef struct definition_span {
    place first, last; /* both included */
} definition_span;

typedef struct definition {
    int kind;
    size_t range_count;
    definition_range ranges[IPALLOC_POOL_RANGES_MAX];
    uint16_t port_first, port_last;
    uint32_t strategy;
    uint64_t static_band_size;
    uint64_t cool_down_ms;
    bool use_all_addresses;
    bool reuse_cooling_when_full;
    bool refuse_reserve_cooling;
    const hooks *hooks; /* of the exclusions' memory */
    size_t exclusion_count;
    definition_span *exclusions;
} definition;

void definition_free(definition *d);
/* A copy of its own. OK; NOMEM. */
int definition_copy(definition *out, const definition *d, ipalloc_error *error);

void definition_append(text_buffer *t, const definition *d);
/* OK; CORRUPT (names `key`); NOMEM. */
int definition_parse(ipalloc_bytes key, ipalloc_bytes value, const hooks *h, definition *out,
                     ipalloc_error *error);

/* Read what a caller gave: checked but for overlaps with other pools. No exclusions.
 * OK; INVALID. */
int definition_read(const ipalloc_pool_definition *given, const hooks *h, definition *out,
                    ipalloc_error *error);

/* Does `d` say what `given` says? Its draining ranges and exclusions do not count. */
bool definition_agrees(const definition *d, const definition *given);

/* A line for messages, cut to fit. */
const char *definition_describe(const definition *d, char *out, size_t capacity);

/* The options of one of its ranges. */
ipalloc_range_options definition_range_options(const definition *d, size_t index,
                                               const ipalloc_hooks *user);

/* Does the store keep when addresses of it were released: for their rest, or for their order? */
bool definition_keeps_releases(const definition *d);

/* The range of that CIDR; range_count if there is none. */
size_t definition_find_range(const definition *d, const ipalloc_cidr *range);

/* --- definition_ranges.c ---------------------------------------------------------------------- */

/* Add a range that a caller gave. OK; INVALID (not of the pool's kind, nothing usable, it overlaps
 * one that is there, too many). */
int definition_add_range(definition *d, const definition_range *range, ipalloc_error *error);

/* Do the two overlap in a way that no definition may have? */
bool definition_ranges_collide(const definition *d, const definition_range *a,
                               const definition_range *b);

/* The ends of a range that it does not give out; returns how many there are. */
size_t definition_unusable_ends(const definition *d, const definition_range *range,
                                ipalloc_addr ends[2]);

/* Give `out`, which has ranges and no exclusions, those of `d` as far as they lie in its ranges.
 * OK; INVALID (too many); NOMEM. */
int definition_carry_exclusions(definition *out, const definition *d, ipalloc_error *error);

/* Do they have the same ranges, in the same order and state, and the same exclusions? */
bool definition_same_ranges(const definition *a, const definition *b);

/* --- definition_drain.c ----------------------------------------------------------------------- */

/* Does `current` give out anything that is in no range of `wanted`? */
bool definition_gives_up(const definition *current, const definition *wanted);

/* `current`, but that what `wanted` has in no range drains (ports: is excluded). What it gives out
 * `current` gives out too, and what `current` holds it holds. OK; NOMEM; INVALID (ports: too many
 * excluded stretches). */
int definition_drain_first(definition *out, const definition *current, const definition *wanted,
                           ipalloc_error *error);

/* --- exclusions ------------------------------------------------------------------------------- */

/* Is all of first..last excluded? */
bool definition_is_excluded(const definition *d, const definition_span *span);

/* Add first..last to the exclusions, merging what overlaps; or take it out of them. OK; NOMEM;
 * INVALID (too many). */
int definition_exclude(definition *d, const definition_span *span, ipalloc_error *error);
int definition_include(definition *d, const definition_span *span, ipalloc_error *error);

const char *pool_kind_name(int kind);

#endif
