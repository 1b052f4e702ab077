/*
 * range_walk.c: what is held, in order: the walk, snapshots, and restoring one.
 *
 * May use: the range's parts. A snapshot is the big-endian magnitude of a number whose bit i is the
 * i-th usable address, as Kubernetes' RangeAllocation.data. Cost: dense, one pass over the words;
 * sparse, one step of the ordered walk per held address, and memory for the bytes at the caller.
 */
#include "core/range_private.h"

#include <string.h>

/* --- the walk ----------------------------------------------------------------------------------
 */

bool range_next_held(const ipalloc_range *range, u128 from, u128 *number) {
    while (numbers_next_taken(&range->numbers, from, range->size, number)) {
        const interval *hole = exclusion_find(&range->excluded, *number);
        if (hole == NULL && kept_back_state(range, *number) == COOLDOWN_ABSENT)
            return true;
        u128 last = hole != NULL ? hole->last : *number;
        if (last == range->size - 1)
            return false;
        from = last + 1;
    }
    return false;
}

static bool next_held(const ipalloc_range *range, u128 from, u128 *number) {
    if (from >= range->size)
        return false;
    if (!range->locked) {
        uint64_t epoch = range_bulk_await(range);
        bool found = numbers_next_taken(&range->numbers, from, range->size, number);
        if (!found || (!range_is_guarded(range) && !range_bulk_since(range, epoch)))
            return found;
    }
    ipalloc_range *locked = range_lock(range);
    bool found = range_next_held(locked, from, number);
    range_unlock(locked);
    return found;
}

bool range_next_from(const ipalloc_range *range, range_offset from, range_offset *held) {
    return next_held(range, from.value, &held->value);
}

/* The first offset behind a cursor; false where nothing of the range can be behind it. */
static bool offset_behind(const ipalloc_range *range, const ipalloc_addr *cursor, u128 *from) {
    *from = 0;
    if (range->size == 0 || cursor->family > range->family)
        return false;
    ipalloc_addr first = range_addr_of(range, (range_offset){0});
    if (ipalloc_addr_compare(cursor, &first) < 0)
        return true; /* family 0, the other family's addresses before ours, or before the first */
    range_offset offset;
    if (range_offset_of(range, cursor, &offset) != IPALLOC_OK || offset.value == range->size - 1)
        return false;
    *from = offset.value + 1;
    return true;
}

int ipalloc_range_next(const ipalloc_range *range, ipalloc_addr *cursor) {
    if (range == NULL || cursor == NULL || range->family == 0)
        return IPALLOC_E_INVALID;
    u128 from, number;
    if (!offset_behind(range, cursor, &from) || !next_held(range, from, &number))
        return IPALLOC_E_NOT_FOUND;
    *cursor = range_addr_of(range, (range_offset){number});
    return IPALLOC_OK;
}

/* A word of a dense range: what is held, and what is excluded. */
static uint64_t not_free_word(const ipalloc_range *range, uint64_t index) {
    return bitmap_taken_word(range->numbers.dense, index) &
           ~kept_back_word(&range->kept_back, index);
}

/* What of a word of a dense range is held. */
static uint64_t held_word(const ipalloc_range *range, uint64_t word) {
    uint64_t held = not_free_word(range, word);
    u128 first = (u128)word * 64;
    interval whole = {first, first + 63};
    for (const interval *hole;
         held != 0 && (hole = exclusion_first_overlap(&range->excluded, whole)) != NULL;) {
        u128 begin = hole->first > first ? hole->first - first : 0;
        u128 end = hole->last < first + 63 ? hole->last - first : 63;
        held &= ~(UINT64_MAX >> (63 - (unsigned)(end - begin)) << (unsigned)begin);
        if (end == 63)
            break;
        whole.first = first + end + 1;
    }
    return held;
}

typedef struct listing {
    ipalloc_addr *out;
    size_t capacity, count;
} listing;

static inline void list_word(const ipalloc_range *range, uint64_t word, uint64_t held, listing *l) {
    if (held == 0)
        return;
    ipalloc_addr *end = l->out + l->capacity;
    l->count = (size_t)(range_write_word(range, word, held, l->out + l->count, end) - l->out);
}

static void list_dense(const ipalloc_range *range, u128 from, bool plain, listing *l) {
    uint64_t word = (uint64_t)(from / 64), words = (uint64_t)((range->size + 63) / 64);
    uint64_t mask = UINT64_MAX << (unsigned)(from % 64);
    for (; word < words && l->count < l->capacity; word++, mask = UINT64_MAX) {
        uint64_t held =
            plain ? bitmap_taken_word(range->numbers.dense, word) : held_word(range, word);
        list_word(range, word, held & mask, l);
    }
}

static void list_locked(const ipalloc_range *range, u128 from, listing *l) {
    ipalloc_range *locked = range_lock(range);
    if (range->numbers.dense != NULL) {
        list_dense(locked, from, false, l);
    } else {
        u128 number;
        for (; l->count < l->capacity && range_next_held(locked, from, &number);
             from = number + 1) {
            range_write_addr(range, number, &l->out[l->count++]);
            if (number == range->size - 1)
                break;
        }
    }
    range_unlock(locked);
}

static void list_held(const ipalloc_range *range, u128 from, listing *l) {
    if (!range->locked) {
        uint64_t epoch = range_bulk_await(range);
        list_dense(range, from, true, l);
        if (!range_is_guarded(range) && !range_bulk_since(range, epoch))
            return;
        l->count = 0;
    }
    list_locked(range, from, l);
}

int ipalloc_range_next_many(const ipalloc_range *range, ipalloc_addr *cursor, ipalloc_addr *out,
                            size_t capacity, size_t *count) {
    if (range == NULL || cursor == NULL || out == NULL || count == NULL || capacity == 0 ||
        range->family == 0)
        return IPALLOC_E_INVALID;
    *count = 0;
    u128 from;
    if (!offset_behind(range, cursor, &from))
        return IPALLOC_E_NOT_FOUND;
    listing l = {.out = out, .capacity = capacity};
    list_held(range, from, &l);
    if (l.count == 0)
        return IPALLOC_E_NOT_FOUND;
    *cursor = out[l.count - 1];
    *count = l.count;
    return IPALLOC_OK;
}

int ipalloc_range_next_port(const ipalloc_range *range, uint16_t *cursor, bool *started) {
    if (range == NULL || cursor == NULL || started == NULL || range->family != 0)
        return IPALLOC_E_INVALID;
    u128 from = 0, number;
    if (*started && *cursor >= range->first_value)
        from = *cursor - range->first_value + 1;
    if (!next_held(range, from, &number))
        return IPALLOC_E_NOT_FOUND;
    *cursor = range_port_of(range, (range_offset){number});
    *started = true;
    return IPALLOC_OK;
}

/* --- snapshot ----------------------------------------------------------------------------------
 */

static uint8_t *byte_of(uint8_t *bytes, size_t length, u128 number) {
    return &bytes[length - 1 - (size_t)(number / 8)];
}

/* The bytes that the held numbers need; 0 for none. */
static u128 bytes_needed(const ipalloc_range *range) {
    u128 last, number;
    if (range->numbers.sparse != NULL) {
        if (!sparse_last_taken(range->numbers.sparse, &last))
            return 0;
        /* What is last may be kept back: then a walk decides. */
        if (range_state_settled(range, last) == RANGE_HELD)
            return last / 8 + 1;
        bool any = false;
        for (u128 from = 0; range_next_held(range, from, &number); from = number + 1) {
            last = number;
            any = true;
        }
        return any ? last / 8 + 1 : 0;
    }
    for (u128 end = (range->size + 63) / 64 * 64; end > 0; end -= 64) {
        u128 found = 0;
        bool any = false;
        if (not_free_word(range, (uint64_t)(end / 64 - 1)) == 0)
            continue;
        for (u128 from = end - 64; range_next_held(range, from, &number) && number < end;
             from = number + 1) {
            found = number;
            any = true;
            if (number == range->size - 1)
                break;
        }
        if (any)
            return found / 8 + 1;
    }
    return 0;
}

/* Eight bytes a word; the highest word may have fewer. */
static void write_words(const ipalloc_range *range, uint8_t *out, size_t length) {
    if (!kept_back_in_use(&range->kept_back)) {
        bitmap_write_taken(range->numbers.dense, out, length);
        return;
    }
    for (size_t i = 0; i * 8 < length; i++) {
        uint64_t word = htobe64(not_free_word(range, i));
        size_t bytes = length - i * 8 < 8 ? length - i * 8 : 8;
        memcpy(out + length - i * 8 - bytes, (const uint8_t *)&word + 8 - bytes, bytes);
    }
}

/* Clear the bits of what is excluded. */
static void clear_excluded(const ipalloc_range *range, uint8_t *out, size_t length) {
    u128 end = (u128)length * 8;
    for (size_t i = 0; i < range->excluded.count; i++) {
        interval one = range->excluded.intervals[i];
        for (u128 number = one.first; number <= one.last && number < end; number++)
            *byte_of(out, length, number) &= (uint8_t) ~(1u << (unsigned)(number % 8));
    }
}

static void write_walked(const ipalloc_range *range, uint8_t *out, size_t length) {
    memset(out, 0, length);
    u128 number;
    for (u128 from = 0; range_next_held(range, from, &number); from = number + 1)
        *byte_of(out, length, number) |= (uint8_t)(1u << (unsigned)(number % 8));
}

/* Releases may have gone on in a lock-free range while the bytes were written. */
static size_t trim(uint8_t *out, size_t length) {
    size_t zeros = 0;
    while (zeros < length && out[zeros] == 0)
        zeros++;
    if (zeros > 0)
        memmove(out, out + zeros, length - zeros);
    return length - zeros;
}

static int snapshot_locked(const ipalloc_range *range, uint8_t *out, size_t capacity,
                           size_t *length) {
    u128 needed = bytes_needed(range);
    if (needed > IPALLOC_SNAPSHOT_BYTES_MAX)
        return IPALLOC_E_INVALID;
    *length = (size_t)needed;
    if (out == NULL)
        return IPALLOC_OK; /* only the length was asked for */
    if (capacity < *length)
        return IPALLOC_E_NOMEM;
    if (range->numbers.sparse != NULL) {
        write_walked(range, out, *length);
    } else {
        write_words(range, out, *length);
        clear_excluded(range, out, *length);
        *length = trim(out, *length);
    }
    return IPALLOC_OK;
}

int ipalloc_range_snapshot(const ipalloc_range *range, uint8_t *out, size_t capacity,
                           size_t *length) {
    if (range == NULL || length == NULL)
        return IPALLOC_E_INVALID;
    ipalloc_range *locked = range_lock(range);
    range_settle(locked);
    int status = snapshot_locked(locked, out, capacity, length);
    range_unlock(locked);
    return status;
}

/* --- restore -----------------------------------------------------------------------------------
 */

typedef struct snapshot_bits {
    const uint8_t *bytes;
    size_t length;
} snapshot_bits;

/* The smallest set bit >= from; false if there is none. */
static bool next_bit(snapshot_bits bits, u128 from, u128 *number) {
    for (size_t i = (size_t)(from / 8); i < bits.length; i++) {
        unsigned byte = bits.bytes[bits.length - 1 - i];
        if (i == (size_t)(from / 8))
            byte &= 0xffu << (unsigned)(from % 8);
        if (byte == 0)
            continue;
        *number = (u128)i * 8 + (unsigned)__builtin_ctz(byte);
        return true;
    }
    return false;
}

static bool is_sound(const ipalloc_range *range, snapshot_bits bits) {
    if (bits.length > 0 && (range->size == 0 || bits.length - 1 > (range->size - 1) / 8))
        return false;
    u128 number;
    for (u128 from = 0; next_bit(bits, from, &number); from = number + 1)
        if (number >= range->size || exclusion_find(&range->excluded, number) != NULL)
            return false;
    return true;
}

static bool is_idle(const ipalloc_range *range) {
    ipalloc_band_stats low = range_band_stats(range, RANGE_BAND_STATIC);
    ipalloc_band_stats high = range_band_stats(range, RANGE_BAND_DYNAMIC);
    return (count_value(low.used) | count_value(low.cooling) | count_value(high.used) |
            count_value(high.cooling)) == 0;
}

static int take_all(ipalloc_range *range, snapshot_bits bits) {
    u128 number;
    for (u128 from = 0; next_bit(bits, from, &number); from = number + 1) {
        int status = range_take_settled(range, number);
        if (status == IPALLOC_OK)
            continue;
        u128 undone;
        for (u128 back = 0; next_bit(bits, back, &undone) && undone < number; back = undone + 1) {
            numbers_release(&range->numbers, undone);
            range->freed_count++;
        }
        /* TAKEN: somebody claimed from a lock-free range in the meantime. */
        return status == IPALLOC_E_TAKEN ? IPALLOC_E_BUSY : status;
    }
    return IPALLOC_OK;
}

static int restore_locked(ipalloc_range *range, snapshot_bits bits) {
    if (!is_idle(range))
        return IPALLOC_E_BUSY;
    return is_sound(range, bits) ? take_all(range, bits) : IPALLOC_E_CORRUPT;
}

int ipalloc_range_restore(ipalloc_range *range, const uint8_t *bytes, size_t length) {
    if (range == NULL || (bytes == NULL && length > 0))
        return IPALLOC_E_INVALID;
    range_lock(range);
    range_bulk_begin(range);
    range_settle(range);
    int status = restore_locked(range, (snapshot_bits){bytes, length});
    range_bulk_end(range);
    range_unlock(range);
    return status;
}
