/*
 * bitmap_walk.c: looking at many numbers: ordered walks, words for snapshots, counts.
 *
 * May use: bitmap_private.h. All loads are relaxed: each word is as it was at some instant of the
 * call, and nothing is said about two words together. Cost: one pass over the words of the
 * interval.
 */
#include "core/bitmap_private.h"

#include <endian.h>
#include <string.h>

uint64_t bitmap_taken_word(const bitmap *map, uint64_t word) {
    assert(word < map->words);
    return ~atomic_load_relaxed(&map->leaves[word]) & valid_bits(map, word);
}

/* Whole words below the last one. Returns how many bytes it wrote. */
static size_t write_words(const bitmap *map, uint8_t *end, size_t words) {
    size_t done = 0;
    if (map->fast_bits) {
        bits_write_not_fast(map->leaves, words / 4, end);
        done = words / 4 * 4;
    }
    for (; done < words; done++) {
        uint64_t word = htobe64(~atomic_load_relaxed(&map->leaves[done]));
        memcpy(end - (done + 1) * sizeof word, &word, sizeof word);
    }
    return done * sizeof(uint64_t);
}

void bitmap_write_taken(const bitmap *map, uint8_t *out, size_t length) {
    if (length == 0)
        return;
    size_t last = (length - 1) / 8;
    assert(last < map->words);
    size_t left = length - write_words(map, out + length, last);
    uint64_t word = htobe64(bitmap_taken_word(map, last)); /* which has bits beyond the size */
    memcpy(out, (const uint8_t *)&word + sizeof word - left, left);
}

bool bitmap_next_taken(const bitmap *map, uint64_t from, uint64_t end, uint64_t *number) {
    if (from >= end)
        return false;
    bitmap_band b = bitmap_band_of(map, from, end);
    for (uint64_t word = b.first; word <= b.last; word++) {
        uint64_t taken = within_band(&b, word, ~atomic_load_relaxed(&map->leaves[word]));
        if (taken != 0) {
            *number = word * WORD_BITS + (unsigned)__builtin_ctzll(taken);
            return true;
        }
    }
    return false;
}

bool bitmap_next_free(const bitmap *map, uint64_t from, uint64_t end, uint64_t *number) {
    bitmap_band b = bitmap_band_of(map, from < end ? from : end, end);
    return bitmap_first_free(map, &b, number);
}

static INLINE uint64_t count_words(const bitmap *map, const bitmap_band *b, bool fast) {
    uint64_t total = 0;
    for (uint64_t word = b->first; word <= b->last; word++) {
        uint64_t room = atomic_load_relaxed(&map->leaves[word]);
        if (word == b->first)
            room &= b->first_mask;
        if (word == b->last)
            room &= b->last_mask;
        total += count(room, fast);
    }
    return total;
}

static uint64_t count_words_plain(const bitmap *map, const bitmap_band *b) {
    return count_words(map, b, false);
}

BITS_FAST static uint64_t count_words_fast(const bitmap *map, const bitmap_band *b) {
    return count_words(map, b, true);
}

uint64_t bitmap_count_free(const bitmap *map, uint64_t begin, uint64_t end) {
    if (begin >= end)
        return 0;
    bitmap_band b = bitmap_band_of(map, begin, end);
    return map->fast_bits ? count_words_fast(map, &b) : count_words_plain(map, &b);
}
