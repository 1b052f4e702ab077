/*
 * range_bulk.c: many addresses at once, and aligned blocks.
 *
 * May use: the range's parts, bitmap_private.h. Many addresses come from words in a row, from a
 * random place on: one exchange for all that is taken of a word, instead of one an address. What is
 * taken stays taken, so that each of them is an allocation like any other. A block is claimed under
 * the lock and as a bulk change, because it may have to be given back half taken.
 *
 * Cost: 1 to 2 ns an address in a lock-free range; a block is searched for over all of its range,
 * from a random one on.
 */
#include "core/bitmap_private.h"
#include "core/range_private.h"

/* --- many claims -------------------------------------------------------------------------------
 */

typedef struct listing {
    const ipalloc_range *range;
    ipalloc_addr *next, *end;
} listing;

static void list_addresses(void *context, uint64_t word, uint64_t bits) {
    listing *l = context;
    l->next = range_write_word(l->range, word, bits, l->next, l->end);
}

static size_t claim_many_in_band(ipalloc_range *range, enum range_band band, ipalloc_addr *out,
                                 size_t wanted) {
    range_bounds bounds = band_bounds(range, band);
    listing l = {range, out, out + wanted};
    return bitmap_claim_words(range->numbers.dense, &range->hooks, range_choice(range),
                              (uint64_t)bounds.begin, (uint64_t)bounds.end, wanted, list_addresses,
                              &l);
}

static int allocate_many_lock_free(ipalloc_range *range, ipalloc_addr *out, size_t count,
                                   size_t *got) {
    for (;;) {
        uint64_t stamp;
        *got += claim_many_in_band(range, RANGE_BAND_DYNAMIC, out + *got, count - *got);
        if (*got < count)
            *got += claim_many_in_band(range, RANGE_BAND_STATIC, out + *got, count - *got);
        if (*got == count)
            return IPALLOC_OK;
        if (range_prove_full(range, &stamp) == IPALLOC_E_FULL)
            return IPALLOC_E_FULL;
    }
}

static int allocate_many_locked(ipalloc_range *range, ipalloc_addr *out, size_t count,
                                size_t *got) {
    int status = IPALLOC_OK;
    range_lock(range);
    range_settle(range);
    while (*got < count && status == IPALLOC_OK) {
        range_offset offset;
        status = range_allocate_settled(range, &offset);
        if (status == IPALLOC_OK)
            range_write_addr(range, offset.value, &out[(*got)++]);
    }
    range_unlock(range);
    return status;
}

int ipalloc_range_allocate_many(ipalloc_range *range, ipalloc_addr *out, size_t count,
                                size_t *got) {
    if (range == NULL || (out == NULL && count > 0) || got == NULL || range->family == 0)
        return IPALLOC_E_INVALID;
    *got = 0;
    if (count == 0)
        return IPALLOC_OK;
    return range->locked ? allocate_many_locked(range, out, count, got)
                         : allocate_many_lock_free(range, out, count, got);
}

/* --- many releases -----------------------------------------------------------------------------
 */

/* Numbers of one word that are to be released together. */
typedef struct gathered {
    uint64_t word, bits;
    bool missed; /* something was not held */
} gathered;

/* Under the guard one by one: some may be excluded, or taken by a bulk change. */
static void release_guarded(ipalloc_range *range, gathered *g) {
    for (; g->bits != 0; g->bits &= g->bits - 1) {
        range_offset offset = {(u128)g->word * 64 + (unsigned)__builtin_ctzll(g->bits)};
        if (range_release(range, offset, 0) != IPALLOC_OK)
            g->missed = true;
    }
}

static void release_gathered(ipalloc_range *range, gathered *g) {
    if (g->bits == 0)
        return;
    bool guarded = false;
    uint64_t released =
        release_in_word(range->numbers.dense, g->word, g->bits, &range->guard, &guarded);
    if (guarded)
        release_guarded(range, g);
    else if (released != g->bits)
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

/* The low 64 bits of an address. */
static inline uint64_t low_value(const ipalloc_addr *address, bool four) {
    uint32_t four_bytes;
    uint64_t low;
    memcpy(&four_bytes, address->bytes, sizeof four_bytes);
    memcpy(&low, address->bytes + 8, sizeof low);
    return four ? be32toh(four_bytes) : be64toh(low);
}

static int release_many_lock_free(ipalloc_range *range, const ipalloc_addr *addresses,
                                  size_t count) {
    gathered g = {0};
    for (size_t i = 0; i < count; i++) {
        u128 number;
        range_number_of(range, &addresses[i], &number);
        gather(range, &g, (uint64_t)number);
    }
    release_gathered(range, &g);
    return g.missed ? IPALLOC_E_NOT_FOUND : IPALLOC_OK;
}

static int release_many_locked(ipalloc_range *range, const ipalloc_addr *addresses, size_t count) {
    int worst = IPALLOC_OK;
    uint64_t now = range_now(range);
    for (size_t i = 0; i < count; i++) {
        range_offset offset;
        range_offset_of(range, &addresses[i], &offset);
        int status = range_release(range, offset, now);
        if (status != IPALLOC_OK)
            worst = status;
    }
    return worst;
}

static bool all_in_range(const ipalloc_range *range, const ipalloc_addr *addresses, size_t count) {
    uint32_t first = (uint32_t)range->first_value;
    uint64_t size = (uint64_t)range->size;
    u128 number;
    for (size_t i = 0; i < count; i++) {
        if (range->family == 4 ? addresses[i].family != 4 ||
                                     (uint32_t)(low_value(&addresses[i], true) - first) >= size
                               : !range_number_of(range, &addresses[i], &number))
            return false;
    }
    return true;
}

int ipalloc_range_release_many(ipalloc_range *range, const ipalloc_addr *addresses, size_t count) {
    if (range == NULL || (addresses == NULL && count > 0) || range->family == 0)
        return IPALLOC_E_INVALID;
    if (!all_in_range(range, addresses, count))
        return IPALLOC_E_NOT_IN_RANGE;
    return range->locked ? release_many_locked(range, addresses, count)
                         : release_many_lock_free(range, addresses, count);
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

/* Is something of [from, end) not free? Then *last is the last number of what is in the way first:
 * an exclusion may go on far beyond `end`. */
static bool find_obstacle(const ipalloc_range *range, u128 from, u128 end, u128 *last) {
    const interval *hole = exclusion_first_overlap(&range->excluded, (interval){from, end - 1});
    u128 excluded = hole == NULL ? end : hole->first > from ? hole->first : from;
    while (from < excluded && numbers_next_taken(&range->numbers, from, excluded, last)) {
        if (kept_back_state(range, *last) != COOLDOWN_RESTED)
            return true;
        from = *last + 1;
    }
    if (hole != NULL)
        *last = hole->last;
    return hole != NULL;
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

/* Search blocks [from, to) by jumping from one obstacle behind the next. */
static int claim_block_of(ipalloc_range *range, const blocks *b, u128 from, u128 to, u128 *number) {
    for (u128 i = from; i < to; i++) {
        u128 begin = b->first + i * b->size, last;
        if (!find_obstacle(range, begin, begin + b->size, &last)) {
            *number = begin;
            return take_numbers(range, begin, begin + b->size);
        }
        i = (last - b->first) / b->size;
    }
    return IPALLOC_E_FULL;
}

static int claim_block_in(ipalloc_range *range, range_bounds within, u128 size, u128 *number) {
    blocks b = blocks_within(range, within.begin, within.end, size);
    if (b.count == 0)
        return IPALLOC_E_FULL;
    if (range->numbers.dense != NULL && range->strategy != IPALLOC_STRATEGY_OLDEST_FREED) {
        uint64_t begin = bitmap_claim_block(range->numbers.dense, &range->hooks,
                                            range_choice(range), (uint64_t)b.first,
                                            (uint64_t)(b.first + b.count * size), (uint64_t)size);
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

static int release_block_lock_free(ipalloc_range *range, u128 first, u128 size) {
    gathered g = {0};
    for (u128 i = 0; i < size; i++)
        gather(range, &g, (uint64_t)(first + i));
    release_gathered(range, &g);
    return g.missed ? IPALLOC_E_NOT_FOUND : IPALLOC_OK;
}

static int release_block_locked(ipalloc_range *range, u128 first, u128 size) {
    int worst = IPALLOC_OK;
    uint64_t now = range_now(range);
    for (u128 i = 0; i < size; i++) {
        int status = range_release(range, (range_offset){first + i}, now);
        if (status != IPALLOC_OK)
            worst = status;
    }
    return worst;
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
    return range->locked ? release_block_locked(range, first.value, size)
                         : release_block_lock_free(range, first.value, size);
}
