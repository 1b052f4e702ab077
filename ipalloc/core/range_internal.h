/*
 * range_internal.h: what the registry may ask of a range beyond range.h.
 *
 * Works on offsets: the i-th usable address or port of the range, from 0. An offset is a type of
 * its own so that it cannot be mistaken for an address, a port or a count.
 */
#ifndef IPALLOC_CORE_RANGE_INTERNAL_H
#define IPALLOC_CORE_RANGE_INTERNAL_H

#include "base/u128.h"
#include <ipalloc/range.h>

typedef struct range_offset {
    u128 value;
} range_offset;

enum range_band { RANGE_BAND_DYNAMIC, RANGE_BAND_STATIC };

enum range_state { RANGE_FREE, RANGE_HELD, RANGE_COOLING, RANGE_EXCLUDED };

/* OK; NOT_IN_RANGE. */
int range_offset_of(const ipalloc_range *range, const ipalloc_addr *address, range_offset *out);
int range_offset_of_port(const ipalloc_range *range, uint16_t port, range_offset *out);
ipalloc_addr range_addr_of(const ipalloc_range *range, range_offset offset);
uint16_t range_port_of(const ipalloc_range *range, range_offset offset);

/* As ipalloc_range_allocate. */
int range_allocate(ipalloc_range *range, range_offset *out);

/* Claim some free offset of one band. FULL here means "found nothing in this band" and proves
 * nothing. With reuse_cooling_when_full it does not reuse: see range_claim_cooling. OK; FULL;
 * NOMEM. */
int range_claim_any(ipalloc_range *range, enum range_band band, range_offset *out);

/* Claim this offset, which cools. OK; NOT_FOUND (it does not cool, or no longer). */
int range_claim_cooling(ipalloc_range *range, range_offset offset);

/* As ipalloc_range_reserve and ipalloc_range_release; release tells when it happened (wall clock)
 * for the cool-down: the rest lasts at least cool_down_ms from then on. */
int range_claim(ipalloc_range *range, range_offset offset);
int range_release(ipalloc_range *range, range_offset offset, uint64_t released_at_wall_ms);

/* No rest is longer, however it is rounded (range.h). Saturated. */
static inline uint64_t range_rest_ms_max(uint64_t cool_down_ms) {
    uint64_t more = cool_down_ms / 2 + 2;
    return cool_down_ms > UINT64_MAX - more ? UINT64_MAX : cool_down_ms + more;
}

/* Undo a claim that never became a lease: free at once, without cool-down; an offset that cooled
 * when it was claimed cools on (`cooled_since_wall_ms` != 0). */
int range_unclaim(ipalloc_range *range, range_offset offset, uint64_t cooled_since_wall_ms);

/* As ipalloc_range_exclude and ipalloc_range_include, for ports too; first <= last. */
int range_exclude(ipalloc_range *range, range_offset first, range_offset last);
int range_include(ipalloc_range *range, range_offset first, range_offset last);

/* While loading, in any order: put a free offset to rest as if it had been released then; it stays
 * free if it has rested long enough. OK; TAKEN; NOMEM. */
int range_restore_cooling(ipalloc_range *range, range_offset offset, uint64_t released_at_wall_ms);

/* The pick that range_claim_any would make, without claiming; offsets for which `skip` says true
 * are passed over. OK; FULL. */
int range_peek(ipalloc_range *range, enum range_band band,
               bool (*skip)(void *context, range_offset offset), void *context, range_offset *out);

/* At some instant during the call nothing was free (cooling is not free). FULL with a stamp for
 * range_still_full; OK if something is free. */
int range_prove_full(ipalloc_range *range, uint64_t *stamp);
bool range_still_full(const ipalloc_range *range, uint64_t stamp);

/* At some instant during the call nothing was free in any of these ranges, at most RANGE_PROOF_MAX:
 * FULL; OK if something was seen free, or became free meanwhile. */
enum { RANGE_PROOF_MAX = 256 }; /* the ranges of a pool */
int range_prove_all_full(ipalloc_range *const *ranges, size_t count);
/* The same, with a stamp for each range; and have they all stayed full since? */
int range_prove_all_stamped(ipalloc_range *const *ranges, size_t count, uint64_t *stamps);
bool range_all_still_full(ipalloc_range *const *ranges, size_t count, const uint64_t *stamps);

/* The first held offset from `from` on; false if there is none. `from` may lie behind the last. */
bool range_next_from(const ipalloc_range *range, range_offset from, range_offset *held);

enum range_state range_state_of(const ipalloc_range *range, range_offset offset);

/* Free offsets of a band, for weighing ranges; exact at rest. */
u128 range_count_free(const ipalloc_range *range, enum range_band band);
u128 range_usable_size(const ipalloc_range *range);
bool range_is_static(const ipalloc_range *range, range_offset offset);

#endif
