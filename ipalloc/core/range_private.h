/*
 * range_private.h: the inside of a range, shared by the range_*.c files and nobody else.
 *
 * A range runs in one of two ways, fixed when it is made:
 *   lock-free  dense, no cool-down, not oldest-freed: claims and releases go to the bitmap alone.
 *              The lock guards exclusions and bulk changes; a release or lookup takes it only while
 *              something is excluded.
 *   locked     everything else: every call takes the lock, so FULL is simply "nothing free now".
 *
 * Invariants: a number is free, held, kept back (cooling, or waiting in line to be used again) or
 * excluded. Dense: all but free ones are taken in the bitmap. Sparse: held and kept-back ones are
 * in the set, excluded ones are not.
 */
#ifndef IPALLOC_CORE_RANGE_PRIVATE_H
#define IPALLOC_CORE_RANGE_PRIVATE_H

#include "base/lock.h"
#include "core/exclusion.h"
#include "core/kept_back.h"
#include "core/range_internal.h"

#include <endian.h>
#include <string.h>

struct ipalloc_range {
    hooks hooks;
    void *memory;               /* the block that this struct was placed in, for its alignment */
    struct ipalloc_range *self; /* for calls that are const to the caller but lock or settle */

    uint8_t family;   /* 4, 6; 0 for ports */
    u128 first_value; /* the address or port of offset 0 */
    u128 size;        /* usable numbers */
    u128 split;       /* the static band is [0, split), the dynamic one [split, size) */

    enum ipalloc_strategy strategy;
    bool reuse_cooling_when_full, refuse_reserve_cooling;
    bool locked;
    bool claims_in_words; /* the usual claim may be tried: see ipalloc_range_allocate */

    numbers numbers;
    bitmap_band bands[2]; /* dense: by enum range_band */
    kept_back kept_back;
    exclusion_set excluded;
    /* Lock-free ranges: not 0 while a bulk change runs or something is excluded. Raised before the
     * first bit of either is taken. Who sees a bit taken, and then this not 0, asks under the lock.
     */
    atomic_word guard;
    atomic_word bulk_epoch; /* lock-free ranges: odd while a bulk change runs */
    uint64_t freed_count;   /* locked ranges: counts up whenever something became free */
    lock lock;
};

typedef struct range_bounds {
    u128 begin, end;
} range_bounds;

static inline range_bounds band_bounds(const ipalloc_range *range, enum range_band band) {
    return band == RANGE_BAND_STATIC ? (range_bounds){0, range->split}
                                     : (range_bounds){range->split, range->size};
}

/* Oldest-freed takes never-used numbers first, lowest first. */
static inline enum bitmap_choice range_choice(const ipalloc_range *range) {
    return range->strategy == IPALLOC_STRATEGY_RANDOM ? BITMAP_RANDOM : BITMAP_LOWEST;
}

static inline enum cooldown_state kept_back_state(const ipalloc_range *range, u128 number) {
    return kept_back_state_of(&range->kept_back, number);
}

/* Is something taken that nobody holds? seq_cst: partner is the store of range_bulk_begin. */
static inline bool range_is_guarded(const ipalloc_range *range) {
    return atomic_load_seq(&range->guard) != 0;
}

/* The time of a release, where it matters. */
static inline uint64_t range_now(const ipalloc_range *range) {
    return kept_back_in_use(&range->kept_back) ? hooks_wall_ms(&range->hooks) : 0;
}

static inline u128 range_addr_value(const ipalloc_addr *address) {
    uint32_t four_bytes;
    uint64_t high, low;
    if (address->family == 4) {
        memcpy(&four_bytes, address->bytes, sizeof four_bytes);
        return be32toh(four_bytes);
    }
    memcpy(&high, address->bytes, sizeof high);
    memcpy(&low, address->bytes + sizeof high, sizeof low);
    return u128_make(be64toh(high), be64toh(low));
}

/* The number of an address; false: it is not in the range. What lies before the first address wraps
 * around to something larger than any size. */
static inline bool range_number_of(const ipalloc_range *range, const ipalloc_addr *address,
                                   u128 *number) {
    *number = range_addr_value(address) - range->first_value;
    return address->family == range->family && range->family != 0 && *number < range->size;
}

static inline void range_write_bytes(uint8_t family, uint64_t high, uint64_t low,
                                     ipalloc_addr *out) {
    high = htobe64(high);
    low = htobe64(low);
    out->family = family;
    memcpy(out->bytes, &high, sizeof high);
    memcpy(out->bytes + sizeof high, &low, sizeof low);
}

/* What every allocation writes; the address at `number`, as range_addr_of. */
static inline void range_write_addr(const ipalloc_range *range, u128 number, ipalloc_addr *out) {
    u128 value = range->first_value + number;
    if (range->family == 4)
        range_write_bytes(4, (uint64_t)value << 32, 0, out);
    else
        range_write_bytes(6, (uint64_t)(value >> 64), (uint64_t)value, out);
}

/* The addresses of a word's bits, lowest first, as far as [out, end) has room; where it stopped. */
static inline ipalloc_addr *range_write_word(const ipalloc_range *range, uint64_t word,
                                             uint64_t bits, ipalloc_addr *out,
                                             const ipalloc_addr *end) {
    uint64_t first = (uint64_t)range->first_value + word * 64;
    if (range->family == 4) /* apart: its addresses fit a register */
        for (; bits != 0 && out < end; bits &= bits - 1)
            range_write_bytes(4, (first + (unsigned)__builtin_ctzll(bits)) << 32, 0, out++);
    else
        for (; bits != 0 && out < end; bits &= bits - 1)
            range_write_addr(range, (u128)word * 64 + (unsigned)__builtin_ctzll(bits), out++);
    return out;
}

/* Take the lock of a range that the caller may have as const. */
static inline ipalloc_range *range_lock(const ipalloc_range *range) {
    lock_take(&range->self->lock);
    return range->self;
}

static inline void range_unlock(ipalloc_range *range) {
    lock_give(&range->lock);
}

/* Around changes of many bits, under the lock. A bulk change that is undone has had bits taken that
 * nobody held; in a lock-free range whoever saw a bit taken asks whether one ran meanwhile. */
void range_bulk_begin(ipalloc_range *range);
void range_bulk_end(ipalloc_range *range);
/* Wait until no bulk change runs; then range_bulk_since tells whether one began after that. */
uint64_t range_bulk_await(const ipalloc_range *range);
bool range_bulk_since(const ipalloc_range *range, uint64_t epoch);

/* The rest are called under the lock, or where nothing else runs. */

/* Let go what has rested long enough. */
void range_settle(ipalloc_range *range);

/* Take what is free, or kept back and to be given all the same. OK; TAKEN; NOMEM. */
int range_take_settled(ipalloc_range *range, u128 number);

/* As range_allocate. */
int range_allocate_settled(ipalloc_range *range, range_offset *out);

/* A taken number is free, without a rest. */
void range_free_now_settled(ipalloc_range *range, u128 number);

enum range_state range_state_settled(const ipalloc_range *range, u128 number);

/* Counts of a band: free = in the numbers + waiting in line. */
u128 range_free_settled(const ipalloc_range *range, enum range_band band);
ipalloc_band_stats range_band_stats(const ipalloc_range *range, enum range_band band);

/* The smallest held number >= from. */
bool range_next_held(const ipalloc_range *range, u128 from, u128 *number);

#endif
