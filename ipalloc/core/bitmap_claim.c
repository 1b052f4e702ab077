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
    uint64_t claimed =
        choice == BITMAP_LOWEST ? bitmap_claim_lowest(map, &b) : bitmap_claim_random(map, h, &b);
    if (claimed == BITMAP_NONE)
        return false;
    *number = claimed;
    return true;
}

/* ---- many at once ---- */

/* What is still wanted, and who is told of it. */
typedef struct order {
    size_t left;
    bitmap_take_bits take;
    void *context;
} order;

/* As many of the free numbers of a word as are wanted, in one exchange. */
static void claim_in_word(bitmap *map, uint64_t word, uint64_t mask, order *o) {
    uint64_t seen = atomic_load_relaxed(&map->leaves[word]), room; /* relaxed: see exchange */
    unsigned claimed;
    do {
        room = seen & mask;
        if (room == 0)
            return;
        claimed = bits_count_plain(room);
        if (claimed > o->left) {
            claimed = (unsigned)o->left;
            room &= ((uint64_t)1 << bits_select_plain(room, claimed)) - 1;
        }
    } while (!exchange(map, word, &seen, seen & ~room));
    o->left -= claimed;
    o->take(o->context, word, room);
}

static void claim_in_line(bitmap *map, const bitmap_band *b, uint64_t line, order *o) {
    uint64_t word = line * LINE_WORDS, end = word + LINE_WORDS;
    for (; word < end && o->left > 0; word++) {
        uint64_t mask = within_band(b, word, UINT64_MAX);
        if (mask != 0)
            claim_in_word(map, word, mask, o);
    }
    if (o->left > 0)
        bitmap_close_flag(map, 0, line); /* opens it again if there is room outside the band */
}

static void claim_run(bitmap *map, uint64_t begin, uint64_t end, order *o) {
    bitmap_band b = bitmap_band_of(map, begin, end);
    if (b.empty || o->left == 0)
        return;
    uint64_t end_line = b.last / LINE_WORDS + 1;
    uint64_t line = bitmap_next_open_line(map, b.first / LINE_WORDS, end_line);
    while (line < end_line && o->left > 0) {
        claim_in_line(map, &b, line, o);
        if (o->left > 0)
            line = bitmap_next_open_line(map, line + 1, end_line);
    }
}

size_t bitmap_claim_words(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                          uint64_t end, size_t wanted, bitmap_take_bits take, void *context) {
    if (begin >= end)
        return 0;
    order o = {wanted, take, context};
    uint64_t start = choice == BITMAP_LOWEST ? begin : begin + random_number(h, end - begin);
    claim_run(map, start, end, &o);
    claim_run(map, begin, start, &o);
    return wanted - o.left;
}

static void list_numbers(void *context, uint64_t word, uint64_t bits) {
    uint64_t **next = context;
    for (; bits != 0; bits &= bits - 1)
        *(*next)++ = word * WORD_BITS + (unsigned)__builtin_ctzll(bits);
}

size_t bitmap_claim_many(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                         uint64_t end, size_t wanted, uint64_t *numbers) {
    return bitmap_claim_words(map, h, choice, begin, end, wanted, list_numbers, &numbers);
}

uint64_t bitmap_release_word(bitmap *map, uint64_t word, uint64_t numbers) {
    return release_in_word(map, word, numbers, NULL, NULL);
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
