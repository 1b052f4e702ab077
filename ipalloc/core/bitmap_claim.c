/*
 * bitmap_claim.c: claims that are not random: the lowest number, many at once, a block.
 *
 * May use: bitmap_private.h. Many at once are taken word by word, one exchange for all that is
 * wanted of a word. A block is taken word by word too, and given back where somebody was faster:
 * others may see its numbers taken for a moment, so the caller must keep those apart who would draw
 * a wrong conclusion from that (range_bulk_begin).
 */
#include "core/bitmap_private.h"

/* As the last of a random claim does: spares the next claim a visit. relaxed: bitmap_close_flag
 * looks again. */
static void close_line_if_empty(const bitmap *map, uint64_t line) {
    uint64_t room = 0;
    for (unsigned i = 0; i < LINE_WORDS; i++)
        room |= atomic_load_relaxed(&map->leaves[line * LINE_WORDS + i]);
    if (room == 0)
        bitmap_close_flag(map, 0, line);
}

uint64_t bitmap_claim_lowest(bitmap *map, const bitmap_band *b) {
    uint64_t number;
    while (bitmap_first_free(map, b, &number)) {
        pick p = {number / WORD_BITS, number % WORD_BITS, false};
        if (!claim_pick(map, &p))
            continue; /* somebody was faster, and the system as a whole went on */
        if (atomic_load_relaxed(&map->leaves[p.word]) == 0)
            close_line_if_empty(map, p.word / LINE_WORDS);
        return number;
    }
    return BITMAP_NONE;
}

bool bitmap_claim_any(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                      uint64_t end, uint64_t *number) {
    bitmap_band b = bitmap_band_of(map, begin, end);
    *number =
        choice == BITMAP_LOWEST ? bitmap_claim_lowest(map, &b) : bitmap_claim_random(map, h, &b);
    return *number != BITMAP_NONE;
}

/* ---- many at once ---- */

/* Up to `wanted` of the free numbers `room` of a word, in one exchange; 0 where all are gone. */
static size_t claim_in_word(bitmap *map, uint64_t word, uint64_t mask, size_t wanted,
                            uint64_t *numbers) {
    uint64_t seen = atomic_load_relaxed(&map->leaves[word]), room; /* relaxed: see exchange */
    do {
        room = seen & mask;
        if (room == 0)
            return 0;
        if (bits_count_plain(room) > wanted)
            room &= ((uint64_t)1 << bits_select_plain(room, (unsigned)wanted)) - 1;
    } while (!exchange(map, word, &seen, seen & ~room));
    size_t claimed = 0;
    for (; room != 0; room &= room - 1)
        numbers[claimed++] = word * WORD_BITS + (unsigned)__builtin_ctzll(room);
    return claimed;
}

static size_t claim_in_line(bitmap *map, const bitmap_band *b, uint64_t line, size_t wanted,
                            uint64_t *numbers) {
    size_t claimed = 0;
    uint64_t word = line * LINE_WORDS, end = word + LINE_WORDS;
    for (; word < end && claimed < wanted; word++) {
        uint64_t mask = within_band(b, word, UINT64_MAX);
        if (mask != 0)
            claimed += claim_in_word(map, word, mask, wanted - claimed, numbers + claimed);
    }
    if (claimed < wanted)
        bitmap_close_flag(map, 0, line); /* opens it again if there is room outside the band */
    return claimed;
}

static size_t claim_run(bitmap *map, uint64_t begin, uint64_t end, size_t wanted,
                        uint64_t *numbers) {
    size_t claimed = 0;
    bitmap_band b = bitmap_band_of(map, begin, end);
    if (b.empty || wanted == 0)
        return 0;
    uint64_t end_line = b.last / LINE_WORDS + 1;
    uint64_t line = bitmap_next_open_line(map, b.first / LINE_WORDS, end_line);
    while (line < end_line && claimed < wanted) {
        claimed += claim_in_line(map, &b, line, wanted - claimed, numbers + claimed);
        line = bitmap_next_open_line(map, line + 1, end_line);
    }
    return claimed;
}

size_t bitmap_claim_many(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                         uint64_t end, size_t wanted, uint64_t *numbers) {
    if (begin >= end)
        return 0;
    uint64_t start = choice == BITMAP_LOWEST ? begin : begin + random_number(h, end - begin);
    size_t claimed = claim_run(map, start, end, wanted, numbers);
    return claimed + claim_run(map, begin, start, wanted - claimed, numbers + claimed);
}

uint64_t bitmap_release_word(bitmap *map, uint64_t word, uint64_t numbers) {
    assert(word < map->words && (numbers & ~valid_bits(map, word)) == 0);
    uint64_t seen = atomic_load_seq(&map->leaves[word]); /* seq_cst: see bitmap_is_taken */
    while ((numbers & ~seen) != 0 && !exchange(map, word, &seen, seen | numbers))
        ;
    open_number(map, word * WORD_BITS); /* also where somebody else released them: I3 */
    return numbers & ~seen;
}

/* ---- a block ---- */

/* The part of a block that lies in `word`. */
static uint64_t block_mask(uint64_t word, uint64_t begin, uint64_t end) {
    uint64_t first = word * WORD_BITS, mask = UINT64_MAX;
    if (begin > first)
        mask <<= begin - first;
    if (end < first + WORD_BITS)
        mask &= UINT64_MAX >> (first + WORD_BITS - end);
    return mask;
}

static bool block_is_free(const bitmap *map, uint64_t begin, uint64_t end) {
    for (uint64_t word = begin / WORD_BITS; word * WORD_BITS < end; word++) {
        uint64_t mask = block_mask(word, begin, end);
        if ((atomic_load_relaxed(&map->leaves[word]) & mask) != mask) /* relaxed: see take_block */
            return false;
    }
    return true;
}

/* Take all of [begin, end), or nothing. */
static bool take_block(bitmap *map, uint64_t begin, uint64_t end) {
    for (uint64_t word = begin / WORD_BITS; word * WORD_BITS < end; word++) {
        uint64_t mask = block_mask(word, begin, end);
        uint64_t seen = atomic_load_relaxed(&map->leaves[word]); /* relaxed: see exchange */
        while ((seen & mask) == mask && !exchange(map, word, &seen, seen & ~mask))
            ;
        if ((seen & mask) == mask)
            continue;
        for (uint64_t back = begin / WORD_BITS; back < word; back++)
            bitmap_release_word(map, back, block_mask(back, begin, end));
        return false;
    }
    return true;
}

uint64_t bitmap_claim_block(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t first,
                            uint64_t end, uint64_t size) {
    uint64_t blocks = first < end ? (end - first) / size : 0;
    if (blocks == 0)
        return BITMAP_NONE;
    uint64_t start = choice == BITMAP_LOWEST ? 0 : random_number(h, blocks);
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t block = start + i < blocks ? start + i : start + i - blocks;
        uint64_t begin = first + block * size;
        if (block_is_free(map, begin, begin + size) && take_block(map, begin, begin + size))
            return begin;
    }
    return BITMAP_NONE;
}
