/*
 * range_bulk.c: many addresses at once, and aligned blocks.
 *
 * May use: the range's parts. Many addresses come from words in a row, from a random place on: one
 * exchange for all that is taken of a word, instead of one an address. All or nothing: where fewer
 * are free than asked for, FULL is proved first, as for a single address, with what was claimed so
 * far counting as taken, and then that is given back. A block is claimed under the lock and as a
 * bulk change, because it may have to be given back half taken.
 *
 * Cost: 1 to 2 ns an address in a lock-free range; a block is searched for over all of its size,
 * from a random one on.
 */
#include "core/range_private.h"

#include <assert.h>

enum { NUMBERS_AT_ONCE = 256 }; /* on the stack */

static enum bitmap_choice choice_of(const ipalloc_range *range) {
    return range->strategy == IPALLOC_STRATEGY_RANDOM ? BITMAP_RANDOM : BITMAP_LOWEST;
}

/* --- many claims -------------------------------------------------------------------------------
 */

static size_t claim_many_in_band(ipalloc_range *range, enum range_band band, ipalloc_addr *out,
                                 size_t wanted) {
    range_bounds bounds = band_bounds(range, band);
    uint64_t taken[NUMBERS_AT_ONCE];
    size_t claimed = 0, chunk, got = 0;
    do {
        chunk = wanted - claimed < NUMBERS_AT_ONCE ? wanted - claimed : NUMBERS_AT_ONCE;
        got = bitmap_claim_many(range->numbers.dense, &range->hooks, choice_of(range),
                                (uint64_t)bounds.begin, (uint64_t)bounds.end, chunk, taken);
        for (size_t i = 0; i < got; i++)
            range_write_addr(range, taken[i], &out[claimed + i]);
        claimed += got;
    } while (got == chunk && claimed < wanted);
    return claimed;
}

static void give_back(ipalloc_range *range, const ipalloc_addr *addresses, size_t count) {
    for (size_t i = 0; i < count; i++) {
        range_offset offset;
        int status = range_offset_of(range, &addresses[i], &offset);
        assert(status == IPALLOC_OK);
        status = range_unclaim(range, offset, 0);
        assert(status == IPALLOC_OK);
        (void)status;
    }
}

static int allocate_many_lock_free(ipalloc_range *range, ipalloc_addr *out, size_t count) {
    size_t claimed = 0;
    for (;;) {
        uint64_t stamp;
        claimed += claim_many_in_band(range, RANGE_BAND_DYNAMIC, out + claimed, count - claimed);
        if (claimed < count)
            claimed += claim_many_in_band(range, RANGE_BAND_STATIC, out + claimed, count - claimed);
        if (claimed == count)
            return IPALLOC_OK;
        if (range_prove_full(range, &stamp) != IPALLOC_E_FULL)
            continue;
        give_back(range, out, claimed);
        return IPALLOC_E_FULL;
    }
}

/* What an allocation could get now, one after the other. */
static u128 count_available(const ipalloc_range *range) {
    u128 available = range_free_settled(range, RANGE_BAND_DYNAMIC) +
                     range_free_settled(range, RANGE_BAND_STATIC);
    if (range->reuse_cooling_when_full)
        available += (u128)kept_back_count(&range->kept_back, 0, COOLDOWN_RESTING) +
                     kept_back_count(&range->kept_back, 1, COOLDOWN_RESTING);
    return available;
}

/* Only a sparse range can run out of memory on the way, and then before it reuses what cools. */
static int allocate_many_locked(ipalloc_range *range, ipalloc_addr *out, size_t count) {
    range_lock(range);
    range_settle(range);
    int status = count_available(range) < count ? IPALLOC_E_FULL : IPALLOC_OK;
    for (size_t i = 0; i < count && status == IPALLOC_OK; i++) {
        range_offset offset;
        status = range_allocate_settled(range, &offset);
        if (status == IPALLOC_OK) {
            range_write_addr(range, offset.value, &out[i]);
            continue;
        }
        for (size_t back = 0; back < i; back++)
            if (range_offset_of(range, &out[back], &offset) == IPALLOC_OK)
                range_free_now_settled(range, offset.value);
    }
    range_unlock(range);
    return status;
}

int ipalloc_range_allocate_many(ipalloc_range *range, ipalloc_addr *out, size_t count) {
    if (range == NULL || (out == NULL && count > 0) || range->family == 0)
        return IPALLOC_E_INVALID;
    if (count == 0)
        return IPALLOC_OK;
    return range->locked ? allocate_many_locked(range, out, count)
                         : allocate_many_lock_free(range, out, count);
}

/* --- many releases -----------------------------------------------------------------------------
 */

/* Numbers of one word that are to be released together. */
typedef struct gathered {
    uint64_t word, bits;
    bool missed; /* something was not held */
} gathered;

static void release_gathered(ipalloc_range *range, gathered *g) {
    if (g->bits != 0 && bitmap_release_word(range->numbers.dense, g->word, g->bits) != g->bits)
        g->missed = true;
    g->bits = 0;
}

static inline void gather(ipalloc_range *range, gathered *g, uint64_t number) {
    uint64_t bit = (uint64_t)1 << number % 64;
    if (number / 64 != g->word || (g->bits & bit) != 0) {
        release_gathered(range, g);
        g->word = number / 64;
    }
    g->bits |= bit;
}

static int release_many_simple(ipalloc_range *range, const ipalloc_addr *addresses, size_t count) {
    gathered g = {0};
    for (size_t i = 0; i < count; i++) {
        range_offset offset;
        range_offset_of(range, &addresses[i], &offset);
        gather(range, &g, (uint64_t)offset.value);
    }
    release_gathered(range, &g);
    return g.missed ? IPALLOC_E_NOT_FOUND : IPALLOC_OK;
}

static int release_many_one_by_one(ipalloc_range *range, const ipalloc_addr *addresses,
                                   size_t count) {
    int worst = IPALLOC_OK;
    for (size_t i = 0; i < count; i++) {
        int status = ipalloc_range_release(range, &addresses[i]);
        if (status != IPALLOC_OK)
            worst = status;
    }
    return worst;
}

int ipalloc_range_release_many(ipalloc_range *range, const ipalloc_addr *addresses, size_t count) {
    if (range == NULL || (addresses == NULL && count > 0) || range->family == 0)
        return IPALLOC_E_INVALID;
    for (size_t i = 0; i < count; i++) {
        range_offset offset;
        if (range_offset_of(range, &addresses[i], &offset) != IPALLOC_OK)
            return IPALLOC_E_NOT_IN_RANGE;
    }
    return range_is_simple(range) ? release_many_simple(range, addresses, count)
                                  : release_many_one_by_one(range, addresses, count);
}

/* --- blocks ------------------------------------------------------------------------------------
 */

/* Where the aligned blocks of a range are. */
typedef struct blocks {
    u128 first; /* number of the first address of the first block */
    u128 size;  /* addresses in each */
    u128 count;
} blocks;

static unsigned address_bits(const ipalloc_range *range) {
    return range->family == 4 ? 32 : 128;
}

/* The blocks that lie within [begin, end). */
static blocks blocks_within(const ipalloc_range *range, u128 begin, u128 end, u128 size) {
    u128 misaligned = (range->first_value + begin) % size;
    u128 skipped = misaligned == 0 ? 0 : size - misaligned;
    blocks b = {.first = begin + skipped, .size = size};
    b.count = end - begin > skipped ? (end - begin - skipped) / size : 0;
    return b;
}

/* The first number of [from, end) that is not free. */
static bool next_unfree(const ipalloc_range *range, u128 from, u128 end, u128 *number) {
    const interval *hole = exclusion_first_overlap(&range->excluded, (interval){from, end - 1});
    u128 excluded = hole == NULL ? end : hole->first > from ? hole->first : from;
    while (from < excluded && numbers_next_taken(&range->numbers, from, excluded, number)) {
        if (kept_back_state(range, *number) != COOLDOWN_RESTED)
            return true;
        from = *number + 1;
    }
    *number = excluded;
    return excluded < end;
}

static int take_numbers(ipalloc_range *range, u128 begin, u128 end) {
    for (u128 number = begin; number < end; number++) {
        int status = range_take_settled(range, number);
        if (status == IPALLOC_OK)
            continue;
        while (number-- > begin)
            range_free_now_settled(range, number);
        return status;
    }
    return IPALLOC_OK;
}

/* Search blocks [from, to) by jumping from one number that is not free to the next. */
static int claim_block_of(ipalloc_range *range, const blocks *b, u128 from, u128 to, u128 *number) {
    for (u128 i = from; i < to; i++) {
        u128 begin = b->first + i * b->size, unfree;
        if (!next_unfree(range, begin, begin + b->size, &unfree)) {
            *number = begin;
            return take_numbers(range, begin, begin + b->size);
        }
    }
    return IPALLOC_E_FULL;
}

static int claim_block_in(ipalloc_range *range, range_bounds within, u128 size, u128 *number) {
    blocks b = blocks_within(range, within.begin, within.end, size);
    if (b.count == 0)
        return IPALLOC_E_FULL;
    if (range->numbers.dense != NULL && range->strategy != IPALLOC_STRATEGY_OLDEST_FREED) {
        uint64_t begin = bitmap_claim_block(range->numbers.dense, &range->hooks, choice_of(range),
                                            (uint64_t)b.first, (uint64_t)(b.first + b.count * size),
                                            (uint64_t)size);
        *number = begin;
        return begin != BITMAP_NONE ? IPALLOC_OK : IPALLOC_E_FULL;
    }
    u128 start = range->strategy == IPALLOC_STRATEGY_RANDOM
                     ? hooks_random_below_u128(&range->hooks, b.count)
                     : 0;
    int status = claim_block_of(range, &b, start, b.count, number);
    return status == IPALLOC_E_FULL ? claim_block_of(range, &b, 0, start, number) : status;
}

static int read_block_size(const ipalloc_range *range, uint8_t prefix_length, u128 *size) {
    unsigned bits = address_bits(range);
    if (prefix_length > bits || bits - prefix_length > IPALLOC_BLOCK_BITS_MAX)
        return IPALLOC_E_INVALID;
    *size = (u128)1 << (bits - prefix_length);
    return IPALLOC_OK;
}

int ipalloc_range_allocate_block(ipalloc_range *range, uint8_t prefix_length, ipalloc_cidr *out) {
    u128 size, number;
    if (range == NULL || out == NULL || range->family == 0 ||
        read_block_size(range, prefix_length, &size) != IPALLOC_OK)
        return IPALLOC_E_INVALID;
    range_lock(range);
    range_bulk_begin(range);
    range_settle(range);
    int status = claim_block_in(range, (range_bounds){range->split, range->size}, size, &number);
    if (status == IPALLOC_E_FULL)
        status = claim_block_in(range, (range_bounds){0, range->size}, size, &number);
    range_bulk_end(range);
    range_unlock(range);
    if (status != IPALLOC_OK)
        return status;
    range_write_addr(range, number, &out->base);
    out->prefix_length = prefix_length;
    return IPALLOC_OK;
}

int ipalloc_range_release_block(ipalloc_range *range, const ipalloc_cidr *block) {
    u128 size;
    range_offset first;
    if (range == NULL || block == NULL || range->family == 0)
        return IPALLOC_E_INVALID;
    if (block->base.family != range->family)
        return IPALLOC_E_NOT_IN_RANGE;
    if (read_block_size(range, block->prefix_length, &size) != IPALLOC_OK)
        return IPALLOC_E_INVALID;
    if (range_offset_of(range, &block->base, &first) != IPALLOC_OK ||
        range->size - first.value < size)
        return IPALLOC_E_NOT_IN_RANGE;
    if ((range->first_value + first.value) % size != 0)
        return IPALLOC_E_INVALID;
    int worst = IPALLOC_OK;
    if (range_is_simple(range)) {
        gathered g = {0};
        for (u128 i = 0; i < size; i++)
            gather(range, &g, (uint64_t)(first.value + i));
        release_gathered(range, &g);
        return g.missed ? IPALLOC_E_NOT_FOUND : IPALLOC_OK;
    }
    for (u128 i = 0; i < size; i++) {
        int status = range_release(range, (range_offset){first.value + i}, range_now(range));
        if (status != IPALLOC_OK)
            worst = status;
    }
    return worst;
}
