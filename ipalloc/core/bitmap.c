/*
 * bitmap.c: the concurrent bitmap: leaves, summary, claims, releases and the proof of FULL.
 *
 * May use: base/atomic.h and base/hooks.h, core/bits.h. No allocation after creation, no locks.
 *
 * Leaves are the only truth: a number is claimed or released by one compare-and-swap on its leaf
 * word. Invariants of the summary:
 *   I1  At rest, a leaf with a free bit has every flag above it set. A claim never clears a flag.
 *       Whoever finds a line empty clears its flag and then looks at the line again; a release sets
 *       its bit and then looks at every flag up to the root. Each side writes one word and reads
 *       the other's, all seq_cst, so one of the two sees the other and sets the flag.
 *   I2  Setting a flag counts the version of its summary word up; clearing leaves it alone. An
 * equal word without flags is therefore a word in which nothing was set meanwhile. I3  Nobody who
 * knows a number to be free returns before every flag above it, root included, has been seen set.
 * While the root keeps the value of a proof, no such caller has returned.
 *
 * Cost: claim and release one read-modify-write each, plus one load a level for a release (3 levels
 * at 2^24). FULL is one scan of the leaves after a change, two loads when asked again.
 */
#include "core/bitmap.h"

#include "core/bits.h"

#include <assert.h>
#include <string.h>

/* The shape of the tree. The interleaving explorer builds one with smaller nodes, to reach three
 * levels with few words. */
#ifndef BITMAP_LINE_WORDS
#define BITMAP_LINE_WORDS 8 /* 64 bytes, one cache line */
#define BITMAP_FLAG_SHIFT 5 /* 32 flags to a summary word; the upper half is the version */
#endif

enum {
    WORD_BITS = 64,
    LINE_WORDS = BITMAP_LINE_WORDS,
    LINE_BITS = WORD_BITS * LINE_WORDS,
    FLAG_SHIFT = BITMAP_FLAG_SHIFT,
    FLAG_BITS = 1 << FLAG_SHIFT,
    LEVELS_MAX = 3, /* 512 * 32^3 = 2^24 */
    CACHE_LINE = 64,
};

_Static_assert(LINE_WORDS != 8 || (uint64_t)LINE_BITS << LEVELS_MAX * FLAG_SHIFT == BITMAP_SIZE_MAX,
               "three levels reach exactly the largest size");
_Static_assert(sizeof(atomic_word) == 8, "eight words are one cache line");
_Static_assert(FLAG_BITS <= 32, "flags leave the upper half of a summary word to the version");

#define VERSION_ONE ((uint64_t)1 << 32)
#define ALL_FLAGS   (((uint64_t)1 << FLAG_BITS) - 1)
#define NEVER_ROOT  UINT64_MAX /* has flags, so it is the root of no proof */

/* A random pick looks at words until it has seen this many free bits, in at most POOL_WORDS words.
 * More even out the choice between full and empty words, fewer cost less. */
enum { POOL_ENOUGH = 10, POOL_WORDS = 4 };

struct bitmap {
    uint64_t size;
    uint64_t words; /* leaf words with a valid bit */
    uint64_t lines; /* at least one, so that there is always a root */
    unsigned levels;
    bool fast_bits; /* the processor has popcnt and a quick pdep */
    void *memory;   /* what to free: the block before alignment */
    atomic_word *leaves;
    atomic_word *summary[LEVELS_MAX]; /* [0] has one flag a line; [levels - 1] is the root */
    _Alignas(CACHE_LINE) atomic_word full_root; /* the root's value in the last proof of FULL */
};

/* A half-open interval of numbers, as words. */
typedef struct band {
    uint64_t first, last; /* words, inclusive */
    uint64_t first_mask, last_mask;
} band;

/* A free bit, with the value of its word when it was seen. */
typedef struct pick {
    uint64_t word;
    uint64_t seen;
    unsigned bit;
} pick;

/* ---- making and destroying ---- */

static uint64_t divide_up(uint64_t amount, uint64_t by) {
    return (amount + by - 1) / by;
}

static uint64_t summary_words(const bitmap *map, unsigned level) {
    uint64_t words = map->lines;
    for (unsigned i = 0; i <= level; i++)
        words = divide_up(words, FLAG_BITS);
    return words;
}

/* The valid bits of a leaf word: all but those beyond `size`. */
static uint64_t valid_bits(const bitmap *map, uint64_t word) {
    uint64_t begin = word * WORD_BITS;
    if (begin + WORD_BITS <= map->size)
        return UINT64_MAX;
    return begin >= map->size ? 0 : ((uint64_t)1 << (map->size - begin)) - 1;
}

/* Set the flags of `count` children, all of which have room. */
static void fill_level(atomic_word *summary, uint64_t count) {
    for (uint64_t word = 0; word == 0 || word * FLAG_BITS < count; word++) {
        uint64_t left = count - word * FLAG_BITS;
        uint64_t flags = left >= FLAG_BITS ? ALL_FLAGS : ((uint64_t)1 << left) - 1;
        atomic_word_init(&summary[word], flags);
    }
}

static void fill(bitmap *map) {
    for (uint64_t word = 0; word < map->lines * LINE_WORDS; word++)
        atomic_word_init(&map->leaves[word], valid_bits(map, word));
    uint64_t children = divide_up(map->size, LINE_BITS);
    for (unsigned level = 0; level < map->levels; level++) {
        fill_level(map->summary[level], children);
        children = divide_up(children, FLAG_BITS);
    }
    atomic_word_init(&map->full_root, NEVER_ROOT);
}

bitmap *bitmap_create(const hooks *h, uint64_t size) {
    assert(size <= BITMAP_SIZE_MAX);
    bitmap shape = {.size = size, .words = divide_up(size, WORD_BITS)};
    shape.lines = size > 0 ? divide_up(size, LINE_BITS) : 1;
    shape.fast_bits = bits_fast_supported();
    size_t summary_at[LEVELS_MAX];
    size_t bytes = sizeof shape + shape.lines * LINE_WORDS * sizeof(atomic_word);
    do {
        summary_at[shape.levels] = bytes;
        bytes += summary_words(&shape, shape.levels) * sizeof(atomic_word);
    } while (summary_words(&shape, shape.levels++) > 1);

    shape.memory = hooks_alloc(h, bytes + CACHE_LINE - 1);
    if (shape.memory == NULL)
        return NULL;
    char *start = shape.memory;
    start += -(uintptr_t)start % CACHE_LINE;
    shape.leaves = (atomic_word *)(void *)(start + sizeof shape);
    for (unsigned level = 0; level < shape.levels; level++)
        shape.summary[level] = (atomic_word *)(void *)(start + summary_at[level]);
    bitmap *map = (bitmap *)(void *)start;
    memcpy(map, &shape, sizeof shape);
    fill(map);
    return map;
}

void bitmap_destroy(const hooks *h, bitmap *map) {
    if (map != NULL)
        hooks_free(h, map->memory);
}

/* ---- the summary ---- */

static uint64_t flag_of(uint64_t index) {
    return (uint64_t)1 << index % FLAG_BITS;
}

static bool has_flags(uint64_t summary) {
    return (summary & ALL_FLAGS) != 0;
}

static const atomic_word *root_of(const bitmap *map) {
    return &map->summary[map->levels - 1][0];
}

/* Child `index` of `level` has room: see to it that its flag and all above are set. */
static void open_flags(const bitmap *map, unsigned level, uint64_t index) {
    for (; level < map->levels; level++, index /= FLAG_BITS) {
        atomic_word *summary = &map->summary[level][index / FLAG_BITS];
        /* seq_cst, after the write that made room: partner is the atomic_and_seq in close_flag,
         * which comes before its second look. When the exchange fails, the value it brings back
         * is newer than this load, which suffices: a clearing after it comes after this load. */
        uint64_t seen = atomic_load_seq(summary);
        while ((seen & flag_of(index)) == 0) {
            if (atomic_cas_weak_seq(summary, &seen, (seen | flag_of(index)) + VERSION_ONE))
                break; /* seq_cst: pairs with the loads of prove_full and close_flag */
        }
    }
}

static void open_number(const bitmap *map, uint64_t number) {
    open_flags(map, 0, number / LINE_BITS);
}

/* seq_cst loads: the second look of close_flag. Partners: the exchange of bitmap_release (level 0)
 * and that of open_flags (above). */
static bool child_has_room(const bitmap *map, unsigned level, uint64_t index) {
    if (level > 0)
        return has_flags(atomic_load_seq(&map->summary[level - 1][index]));
    for (unsigned i = 0; i < LINE_WORDS; i++) {
        if (atomic_load_seq(&map->leaves[index * LINE_WORDS + i]) != 0)
            return true;
    }
    return false;
}

/* Child `index` of `level` was seen without room: clear its flag, look again (I1), and go on above
 * if this was the last flag of its word. */
static void close_flag(const bitmap *map, unsigned level, uint64_t index) {
    for (; level < map->levels; level++, index /= FLAG_BITS) {
        atomic_word *summary = &map->summary[level][index / FLAG_BITS];
        if ((atomic_load_relaxed(summary) & flag_of(index)) == 0)
            return; /* relaxed: only spares a write that would change nothing */
        /* seq_cst, before the second look: partner is the load of open_flags. */
        uint64_t before = atomic_and_seq(summary, ~flag_of(index));
        if (child_has_room(map, level, index)) {
            open_flags(map, level, index);
            return;
        }
        if (has_flags(before & ~flag_of(index)))
            return;
    }
}

/* The first line in [line, end) whose flag is set, else `end`. Closes flags above words that have
 * none. Relaxed loads: flags are hints here, the caller looks at the line. */
static uint64_t next_open_line(const bitmap *map, uint64_t line, uint64_t end) {
    unsigned level = 0;
    uint64_t index = line; /* of a flag in `level`; it stands for FLAG_BITS^level lines */
    while (index << FLAG_SHIFT * level < end) {
        uint64_t flags = atomic_load_relaxed(&map->summary[level][index / FLAG_BITS]) & ALL_FLAGS;
        uint64_t ahead = flags >> index % FLAG_BITS;
        if (ahead != 0) {
            index += (unsigned)__builtin_ctzll(ahead);
            if (level == 0)
                return index < end ? index : end;
            level--;
            index *= FLAG_BITS;
        } else {
            if (++level == map->levels)
                break;
            index /= FLAG_BITS;
            if (flags == 0)
                close_flag(map, level, index);
            index++;
        }
    }
    return end;
}

/* ---- bands ---- */

static bool band_make(const bitmap *map, uint64_t begin, uint64_t end, band *out) {
    assert(end <= map->size);
    (void)map;
    if (begin >= end)
        return false;
    out->first = begin / WORD_BITS;
    out->last = (end - 1) / WORD_BITS;
    out->first_mask = UINT64_MAX << begin % WORD_BITS;
    out->last_mask = UINT64_MAX >> (WORD_BITS - 1 - (end - 1) % WORD_BITS);
    return true;
}

static inline uint64_t band_mask(const band *b, uint64_t word) {
    uint64_t mask = word == b->first ? b->first_mask : UINT64_MAX;
    return word == b->last ? mask & b->last_mask : mask;
}

/* The first free number of [begin, end) by way of the flags. Whole lines without room are closed,
 * so that the next search does not come by again. */
static bool first_free(const bitmap *map, uint64_t begin, uint64_t end, uint64_t *number) {
    band b;
    if (!band_make(map, begin, end, &b))
        return false;
    uint64_t end_line = b.last / LINE_WORDS + 1;
    uint64_t line = next_open_line(map, b.first / LINE_WORDS, end_line);
    for (; line < end_line; line = next_open_line(map, line + 1, end_line)) {
        uint64_t any = 0;
        for (uint64_t word = line * LINE_WORDS; word < (line + 1) * LINE_WORDS; word++) {
            /* relaxed: a hint; a claim validates it, and prove_full does not rely on it. */
            uint64_t room = atomic_load_relaxed(&map->leaves[word]);
            any |= room;
            if (word < b.first || word > b.last)
                continue;
            room &= band_mask(&b, word);
            if (room != 0) {
                *number = word * WORD_BITS + (unsigned)__builtin_ctzll(room);
                return true;
            }
        }
        if (any == 0)
            close_flag(map, 0, line);
    }
    return false;
}

/* ---- one number ---- */

/* Claim the bits, all free in `seen`; on failure `seen` is what was there. */
static bool exchange(const bitmap *map, uint64_t word, uint64_t *seen, uint64_t desired) {
    /* seq_cst: as a claim it acquires what the previous holder did before its release (partner: the
     * same exchange there); as a release it comes before the loads of open_flags (partner: the
     * second look of close_flag). */
    return atomic_cas_weak_seq(&map->leaves[word], seen, desired);
}

static bool claim_bit(const bitmap *map, uint64_t word, uint64_t seen, unsigned bit) {
    uint64_t mask = (uint64_t)1 << bit;
    while ((seen & mask) != 0) {
        if (exchange(map, word, &seen, seen & ~mask))
            return true;
    }
    return false;
}

bool bitmap_take(bitmap *map, uint64_t number) {
    assert(number < map->size);
    /* acquire: "taken" is an answer; partner: the exchange of the claim that took it. */
    uint64_t seen = atomic_load_acquire(&map->leaves[number / WORD_BITS]);
    return claim_bit(map, number / WORD_BITS, seen, number % WORD_BITS);
}

bool bitmap_release(bitmap *map, uint64_t number) {
    assert(number < map->size);
    uint64_t word = number / WORD_BITS, mask = (uint64_t)1 << number % WORD_BITS;
    uint64_t seen = atomic_load_seq(&map->leaves[word]); /* seq_cst: see bitmap_is_taken */
    bool released = false;
    while (!released && (seen & mask) == 0)
        released = exchange(map, word, &seen, seen | mask);
    open_number(map, number); /* also when somebody else released it and is not yet here: I3 */
    return released;
}

bool bitmap_is_taken(const bitmap *map, uint64_t number) {
    assert(number < map->size);
    /* seq_cst: who sees the bit free looks at the flags next, as the release itself does (I3). */
    uint64_t seen = atomic_load_seq(&map->leaves[number / WORD_BITS]);
    if ((seen >> number % WORD_BITS & 1) == 0)
        return true;
    open_number(map, number);
    return false;
}

/* ---- random choice ---- */

static inline __attribute__((always_inline)) unsigned count(uint64_t word, bool fast) {
    return fast ? bits_count_fast(word) : bits_count_plain(word);
}

static inline __attribute__((always_inline)) unsigned choose(uint64_t word, unsigned rank,
                                                             bool fast) {
    return fast ? bits_select_fast(word, rank) : bits_select_plain(word, rank);
}

/* `random` (32 bits) scaled to 0..bound-1. */
static inline uint64_t scaled(uint64_t random, uint64_t bound) {
    return (uint32_t)random * bound >> 32;
}

/* Choose uniformly among the free bits of a few words drawn at random: that weighs each word by its
 * room, as a uniform choice over all free numbers would. *line is where the last draw was. */
static inline __attribute__((always_inline)) bool
pool_words(const bitmap *map, hooks *h, const band *b, bool fast, pick *out, uint64_t *line) {
    uint64_t word[POOL_WORDS], seen[POOL_WORDS], room[POOL_WORDS];
    unsigned counts[POOL_WORDS], draws = 0, total = 0, i = 0;
    const uint64_t first_random = hooks_random(h);
    uint64_t random = first_random; /* upper half: which word; lower half: which bit */
    for (;;) {
        word[draws] = b->first + scaled(random >> 32, b->last - b->first + 1);
        /* relaxed: the exchange of the claim validates what is chosen here. */
        seen[draws] = atomic_load_relaxed(&map->leaves[word[draws]]);
        room[draws] = seen[draws] & band_mask(b, word[draws]);
        counts[draws] = count(room[draws], fast);
        total += counts[draws++];
        if (total >= POOL_ENOUGH || draws == POOL_WORDS)
            break;
        random = random_mix(first_random + draws); /* not of the last one: the draws overlap */
    }
    *line = word[draws - 1] / LINE_WORDS;
    if (total == 0)
        return false;
    unsigned rank = (unsigned)scaled(random, total);
    for (; rank >= counts[i]; i++) {
        rank -= counts[i];
        assert(i + 1 < draws);
    }
    *out = (pick){word[i], seen[i], choose(room[i], rank, fast)};
    return true;
}

/* The same among all of a line; closes it if there is none. */
static inline __attribute__((always_inline)) bool
pool_line(const bitmap *map, hooks *h, const band *b, bool fast, uint64_t line, pick *out) {
    uint64_t seen[LINE_WORDS], room[LINE_WORDS], any = 0;
    unsigned counts[LINE_WORDS], total = 0;
    for (unsigned i = 0; i < LINE_WORDS; i++) {
        uint64_t word = line * LINE_WORDS + i;
        seen[i] = atomic_load_relaxed(&map->leaves[word]); /* relaxed: as in pool_words */
        bool inside = word >= b->first && word <= b->last;
        room[i] = inside ? seen[i] & band_mask(b, word) : 0;
        counts[i] = count(room[i], fast);
        total += counts[i];
        any |= seen[i];
    }
    if (any == 0)
        close_flag(map, 0, line);
    if (total == 0)
        return false;
    unsigned rank = (unsigned)scaled(hooks_random(h), total), i = 0;
    for (; rank >= counts[i]; i++) {
        rank -= counts[i];
        assert(i + 1 < LINE_WORDS);
    }
    *out = (pick){line * LINE_WORDS + i, seen[i], choose(room[i], rank, fast)};
    return true;
}

static bool pool_words_plain(const bitmap *map, hooks *h, const band *b, pick *out,
                             uint64_t *line) {
    return pool_words(map, h, b, false, out, line);
}

BITS_FAST static bool pool_words_fast(const bitmap *map, hooks *h, const band *b, pick *out,
                                      uint64_t *line) {
    return pool_words(map, h, b, true, out, line);
}

static bool pool_line_plain(const bitmap *map, hooks *h, const band *b, uint64_t line, pick *out) {
    return pool_line(map, h, b, false, line, out);
}

BITS_FAST static bool pool_line_fast(const bitmap *map, hooks *h, const band *b, uint64_t line,
                                     pick *out) {
    return pool_line(map, h, b, true, line, out);
}

static bool pick_in_line(const bitmap *map, hooks *h, const band *b, uint64_t line, pick *out) {
    return map->fast_bits ? pool_line_fast(map, h, b, line, out)
                          : pool_line_plain(map, h, b, line, out);
}

/* In the first line with room from `start` on, around the end. Every open line of the band is
 * looked at. */
static bool pick_in_open_line(const bitmap *map, hooks *h, const band *b, uint64_t start,
                              pick *out) {
    uint64_t first = b->first / LINE_WORDS, end = b->last / LINE_WORDS + 1;
    uint64_t line;
    for (line = next_open_line(map, start, end); line < end;
         line = next_open_line(map, line + 1, end)) {
        if (pick_in_line(map, h, b, line, out))
            return true;
    }
    for (line = next_open_line(map, first, start); line < start;
         line = next_open_line(map, line + 1, start)) {
        if (pick_in_line(map, h, b, line, out))
            return true;
    }
    return false;
}

static bool pick_random(const bitmap *map, hooks *h, const band *b, pick *out) {
    uint64_t line;
    bool found = map->fast_bits ? pool_words_fast(map, h, b, out, &line)
                                : pool_words_plain(map, h, b, out, &line);
    return found || pick_in_open_line(map, h, b, line, out);
}

static uint64_t pick_number(const pick *p) {
    return p->word * WORD_BITS + p->bit;
}

/* ---- claims within a band ---- */

static bool claim_lowest(bitmap *map, uint64_t begin, uint64_t end, uint64_t *number) {
    while (first_free(map, begin, end, number)) {
        if (bitmap_take(map, *number))
            return true; /* else somebody was faster, and the system as a whole went on */
    }
    return false;
}

bool bitmap_claim_any(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                      uint64_t end, uint64_t *number) {
    if (choice == BITMAP_LOWEST)
        return claim_lowest(map, begin, end, number);
    band b;
    if (!band_make(map, begin, end, &b))
        return false;
    pick p;
    while (pick_random(map, h, &b, &p)) {
        if (claim_bit(map, p.word, p.seen, p.bit)) {
            *number = pick_number(&p);
            return true;
        }
    }
    return false;
}

/* The first free number of [begin, end) that is not skipped. */
static bool first_wanted(const bitmap *map, uint64_t begin, uint64_t end,
                         bool (*skip)(void *context, uint64_t number), void *context,
                         uint64_t *number) {
    for (; first_free(map, begin, end, number); begin = *number + 1) {
        if (skip == NULL || !skip(context, *number))
            return true;
    }
    return false;
}

/* As a claim would pick; when that is skipped time and again, the next from a random number on. */
static bool find_random(const bitmap *map, hooks *h, uint64_t begin, uint64_t end,
                        bool (*skip)(void *context, uint64_t number), void *context,
                        uint64_t *number) {
    enum { TRIES = 8 }; /* enough while few numbers are skipped; the walk below is exact */
    band b;
    if (!band_make(map, begin, end, &b))
        return false;
    for (int i = 0; i < TRIES; i++) {
        pick p;
        if (!pick_random(map, h, &b, &p))
            return false;
        *number = pick_number(&p);
        if (skip == NULL || !skip(context, *number))
            return true;
    }
    uint64_t start = begin + scaled(hooks_random(h), end - begin);
    return first_wanted(map, start, end, skip, context, number) ||
           first_wanted(map, begin, start, skip, context, number);
}

bool bitmap_find_any(const bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                     uint64_t end, bool (*skip)(void *context, uint64_t number), void *context,
                     uint64_t *number) {
    bool found = choice == BITMAP_LOWEST ? first_wanted(map, begin, end, skip, context, number)
                                         : find_random(map, h, begin, end, skip, context, number);
    if (found)
        open_number(map, *number); /* its release may not have come this far: I3 */
    return found;
}

/* Claim up to `wanted` of the bits `mask` of one word in one exchange. */
static size_t claim_in_word(bitmap *map, uint64_t word, uint64_t mask, size_t wanted,
                            uint64_t *numbers) {
    /* relaxed: the exchange validates it. */
    uint64_t seen = atomic_load_relaxed(&map->leaves[word]), room;
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

static size_t claim_run(bitmap *map, uint64_t begin, uint64_t end, size_t wanted,
                        uint64_t *numbers) {
    size_t claimed = 0;
    uint64_t number;
    band b;
    if (!band_make(map, begin, end, &b))
        return 0;
    while (claimed < wanted && first_free(map, begin, end, &number)) {
        uint64_t word = number / WORD_BITS;
        claimed +=
            claim_in_word(map, word, band_mask(&b, word), wanted - claimed, numbers + claimed);
        begin = (word + 1) * WORD_BITS;
    }
    return claimed;
}

size_t bitmap_claim_many(bitmap *map, hooks *h, uint64_t begin, uint64_t end, size_t wanted,
                         uint64_t *numbers) {
    if (begin >= end)
        return 0;
    uint64_t start = begin + scaled(hooks_random(h), end - begin);
    size_t claimed = claim_run(map, start, end, wanted, numbers);
    return claimed + claim_run(map, begin, start, wanted - claimed, numbers + claimed);
}

/* ---- FULL ---- */

/* The sum of the summary words just above the lines. false if one of them has flags: a release is
 * on its way up, or a flag is stale; either way the levels above are made to show it. */
static bool closed_versions(const bitmap *map, uint64_t *sum) {
    uint64_t words = summary_words(map, 0);
    *sum = 0;
    for (uint64_t i = 0; i < words; i++) {
        uint64_t seen = atomic_load_seq(&map->summary[0][i]); /* partner: open_flags */
        if (has_flags(seen)) {
            open_flags(map, 1, i);
            return false;
        }
        *sum += seen; /* versions only grow: equal sums, equal versions */
    }
    return true;
}

/* Look at every leaf, whatever the flags say. */
static bool any_leaf(const bitmap *map, uint64_t *number) {
    for (uint64_t word = 0; word < map->words; word++) {
        uint64_t room = atomic_load_seq(&map->leaves[word]); /* partner: bitmap_release */
        if (room != 0) {
            *number = word * WORD_BITS + (unsigned)__builtin_ctzll(room);
            return true;
        }
    }
    return false;
}

/* Why this proves it: between the two sums no flag was set and none stood. A release that returned
 * in between saw its flag set before the first sum, so its bit was there for any_leaf to see,
 * unless it was claimed since. So each bit free at the second sum belongs to a release that has not
 * returned, and FULL comes before that one. Such a release sets a flag in the root before it
 * returns (I3), so the proof holds as long as the root keeps its value. (A version would have to
 * wrap around, 2^32 settings of flags within one scan, to fool it.) */
bool bitmap_prove_full(bitmap *map, uint64_t *stamp, uint64_t *number) {
    for (;;) {
        uint64_t root = atomic_load_seq(root_of(map)), before, after; /* partner: open_flags */
        if (has_flags(root)) {
            if (first_free(map, 0, map->size, number))
                break;
            continue; /* the flags were stale and are now closed, or have just been set */
        }
        *stamp = root;
        /* acquire: partner is the store below; the proof behind it was made with this root. */
        if (root == atomic_load_acquire(&map->full_root))
            return true;
        if (!closed_versions(map, &before))
            continue;
        if (any_leaf(map, number))
            break;
        if (closed_versions(map, &after) && before == after &&
            atomic_load_seq(root_of(map)) == root) {     /* seq_cst: partner is open_flags */
            atomic_store_release(&map->full_root, root); /* partner: the load above */
            return true;
        }
    }
    open_number(map, *number); /* its release may not have come this far: I3 */
    return false;
}

bool bitmap_still_full(const bitmap *map, uint64_t stamp) {
    return atomic_load_seq(root_of(map)) == stamp; /* seq_cst: partner is open_flags */
}

/* ---- walks and counts: relaxed loads, each word as it is at some instant of the call ---- */

uint64_t bitmap_taken_word(const bitmap *map, uint64_t word_index) {
    assert(word_index < map->words);
    return ~atomic_load_relaxed(&map->leaves[word_index]) & valid_bits(map, word_index);
}

bool bitmap_next_taken(const bitmap *map, uint64_t from, uint64_t end, uint64_t *number) {
    band b;
    if (!band_make(map, from, end, &b))
        return false;
    for (uint64_t word = b.first; word <= b.last; word++) {
        uint64_t taken = ~atomic_load_relaxed(&map->leaves[word]) & band_mask(&b, word);
        if (taken != 0) {
            *number = word * WORD_BITS + (unsigned)__builtin_ctzll(taken);
            return true;
        }
    }
    return false;
}

bool bitmap_next_free(const bitmap *map, uint64_t from, uint64_t end, uint64_t *number) {
    return first_free(map, from, end, number);
}

uint64_t bitmap_count_free(const bitmap *map, uint64_t begin, uint64_t end) {
    uint64_t total = 0;
    band b;
    if (!band_make(map, begin, end, &b))
        return 0;
    for (uint64_t word = b.first; word <= b.last; word++)
        total += bits_count_plain(atomic_load_relaxed(&map->leaves[word]) & band_mask(&b, word));
    return total;
}

static bool flag_is_set(const bitmap *map, unsigned level, uint64_t index) {
    return (atomic_load_seq(&map->summary[level][index / FLAG_BITS]) & flag_of(index)) != 0;
}

/* Every child with room has its flag; no flag stands beyond the last child. */
static bool level_is_valid(const bitmap *map, unsigned level, uint64_t children) {
    for (uint64_t i = 0; i < divide_up(children, FLAG_BITS) * FLAG_BITS; i++) {
        if (i < children ? child_has_room(map, level, i) && !flag_is_set(map, level, i)
                         : flag_is_set(map, level, i))
            return false;
    }
    return true;
}

bool bitmap_validate(const bitmap *map) {
    for (uint64_t word = 0; word < map->lines * LINE_WORDS; word++) {
        if ((atomic_load_seq(&map->leaves[word]) & ~valid_bits(map, word)) != 0)
            return false;
    }
    uint64_t children = map->lines, number;
    for (unsigned level = 0; level < map->levels; level++) {
        if (!level_is_valid(map, level, children))
            return false;
        children = summary_words(map, level);
    }
    uint64_t root = atomic_load_seq(root_of(map));
    bool proved = root == atomic_load_seq(&map->full_root);
    return !(proved && any_leaf(map, &number));
}
