/*
 * bitmap.c: the concurrent bitmap: its making, the summary, single numbers, and the proof of FULL.
 *
 * May use: bitmap_private.h. No allocation after creation, no locks. bitmap_random.c and
 * bitmap_claim.c search, bitmap_walk.c looks.
 *
 * Leaves are the only truth: a number is claimed or released by one compare-and-swap on its leaf
 * word. Invariants of the summary:
 *   I1  At rest, a leaf with a free bit has every flag above it set. Whoever finds a line empty, or
 *       has just emptied it, clears its flag and then looks at the line again; a release sets its
 *       bit and then looks at every flag up to the root. Each side writes one word and reads the
 *       other's, all seq_cst, so one of the two sees the other and sets the flag.
 *   I2  Setting a flag counts the version of its summary word up; clearing leaves it alone. An
 * equal word without flags is therefore a word in which nothing was set meanwhile. I3  Nobody who
 * knows a number to be free returns before every flag above it, root included, has been seen set.
 * While the root keeps the value of a proof, no such caller has returned.
 *
 * Cost: claim and release one read-modify-write each, plus one load a level for a release (3 levels
 * at 2^24). FULL is one scan of the leaves after a change, two loads when asked again.
 */
#include "core/bitmap_private.h"

#include <string.h>

#define NEVER_ROOT UINT64_MAX /* has flags, so it is the root of no proof */

/* Never free: groups of words that a random claim reads may go on beyond the last line. */
enum { PADDING_WORDS = LINE_WORDS };

/* ---- making and destroying ---- */

static uint64_t divide_up(uint64_t amount, uint64_t by) {
    return (amount + by - 1) / by;
}

uint64_t bitmap_summary_words(const bitmap *map, unsigned level) {
    uint64_t words = map->lines;
    for (unsigned i = 0; i <= level; i++)
        words = divide_up(words, FLAG_BITS);
    return words;
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
    for (uint64_t word = 0; word < map->lines * LINE_WORDS + PADDING_WORDS; word++)
        atomic_word_init(&map->leaves[word], valid_bits(map, word));
    uint64_t children = divide_up(map->size, LINE_BITS);
    for (unsigned level = 0; level < map->levels; level++) {
        fill_level(map->summary[level], children);
        children = divide_up(children, FLAG_BITS);
    }
    atomic_word_init(&map->full_root, NEVER_ROOT);
    atomic_word_init(&map->density, PLENTY);
}

bitmap *bitmap_create(const hooks *h, uint64_t size) {
    assert(size <= BITMAP_SIZE_MAX);
    bitmap shape = {.size = size, .words = divide_up(size, WORD_BITS)};
    shape.lines = size > 0 ? divide_up(size, LINE_BITS) : 1;
    shape.fast_bits = bits_fast_supported();
    size_t summary_at[LEVELS_MAX];
    size_t bytes = sizeof shape + (shape.lines * LINE_WORDS + PADDING_WORDS) * sizeof(atomic_word);
    do {
        summary_at[shape.levels] = bytes;
        bytes += bitmap_summary_words(&shape, shape.levels) * sizeof(atomic_word);
    } while (bitmap_summary_words(&shape, shape.levels++) > 1);

    shape.memory = hooks_alloc(h, bytes + CACHE_LINE - 1);
    if (shape.memory == NULL)
        return NULL;
    char *start = shape.memory;
    start += -(uintptr_t)start % CACHE_LINE;
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

void bitmap_open_flags(const bitmap *map, unsigned level, uint64_t index) {
    for (; level < map->levels; level++, index /= FLAG_BITS) {
        atomic_word *summary = &map->summary[level][index / FLAG_BITS];
        /* seq_cst, after the write that made room: partner is the atomic_and_seq in
         * bitmap_close_flag, which comes before its second look. When the exchange fails, the value
         * it brings back is newer than this load, which suffices: a clearing after it comes after
         * this load. */
        uint64_t seen = atomic_load_seq(summary);
        while ((seen & flag_of(index)) == 0) {
            if (atomic_cas_weak_seq(summary, &seen, (seen | flag_of(index)) + VERSION_ONE))
                break; /* seq_cst: pairs with the loads of bitmap_prove_full and of
                          bitmap_close_flag */
        }
    }
}

/* seq_cst loads: the second look of bitmap_close_flag. Partners: the exchange of a release (level
 * 0) and that of bitmap_open_flags (above). */
static bool child_has_room(const bitmap *map, unsigned level, uint64_t index) {
    if (level > 0)
        return has_flags(atomic_load_seq(&map->summary[level - 1][index]));
    uint64_t room = 0;
    for (unsigned i = 0; i < LINE_WORDS; i++)
        room |= atomic_load_seq(&map->leaves[index * LINE_WORDS + i]);
    return room != 0;
}

void bitmap_close_flag(const bitmap *map, unsigned level, uint64_t index) {
    for (; level < map->levels; level++, index /= FLAG_BITS) {
        atomic_word *summary = &map->summary[level][index / FLAG_BITS];
        if ((atomic_load_relaxed(summary) & flag_of(index)) == 0)
            return; /* relaxed: only spares a write that would change nothing */
        /* seq_cst, before the second look: partner is the load of bitmap_open_flags. */
        uint64_t before = atomic_and_seq(summary, ~flag_of(index));
        if (child_has_room(map, level, index)) {
            bitmap_open_flags(map, level, index);
            return;
        }
        if (has_flags(before & ~flag_of(index)))
            return;
    }
}

/* Relaxed loads: flags are hints here, the caller looks at the line. */
uint64_t bitmap_next_open_line(const bitmap *map, uint64_t line, uint64_t end) {
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
                bitmap_close_flag(map, level, index);
            index++;
        }
    }
    return end;
}

/* ---- bands ---- */

bitmap_band bitmap_band_of(const bitmap *map, uint64_t begin, uint64_t end) {
    assert(begin <= end && end <= map->size);
    if (begin == end)
        return (bitmap_band){.empty = true};
    bitmap_band b = {.first = begin / WORD_BITS, .last = (end - 1) / WORD_BITS};
    b.words = b.last - b.first + 1;
    b.first_mask = UINT64_MAX << begin % WORD_BITS;
    b.last_mask = UINT64_MAX >> -end % WORD_BITS;
    b.is_rest = end == map->size; /* an empty band is no rest of anything */
    return b;
}

bool bitmap_first_free(const bitmap *map, const bitmap_band *b, uint64_t *number) {
    if (b->empty)
        return false;
    uint64_t end_line = b->last / LINE_WORDS + 1;
    uint64_t line = bitmap_next_open_line(map, b->first / LINE_WORDS, end_line);
    for (; line < end_line; line = bitmap_next_open_line(map, line + 1, end_line)) {
        uint64_t any = 0;
        for (uint64_t word = line * LINE_WORDS; word < (line + 1) * LINE_WORDS; word++) {
            /* relaxed: a hint; a claim validates it, and prove_full does not rely on it. */
            uint64_t room = atomic_load_relaxed(&map->leaves[word]);
            any |= room;
            room = within_band(b, word, room);
            if (room != 0) {
                *number = word * WORD_BITS + (unsigned)__builtin_ctzll(room);
                return true;
            }
        }
        if (any == 0)
            bitmap_close_flag(map, 0, line);
    }
    return false;
}

/* ---- one number ---- */

bool bitmap_take(bitmap *map, uint64_t number) {
    assert(number < map->size);
    /* acquire: "taken" is an answer; partner: the exchange of the claim that took it. */
    uint64_t word = number / WORD_BITS, seen = atomic_load_acquire(&map->leaves[word]);
    return claim_bit(map, word, number % WORD_BITS, seen);
}

bool bitmap_release(bitmap *map, uint64_t number) {
    uint64_t bit = (uint64_t)1 << number % WORD_BITS;
    return release_in_word(map, number / WORD_BITS, bit, NULL, NULL) != 0;
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

/* ---- FULL ---- */

/* The sum of the summary words just above the lines. false if one of them has flags: a release is
 * on its way up, or a flag is stale; either way the levels above are made to show it. */
static bool closed_versions(const bitmap *map, uint64_t *sum) {
    uint64_t words = bitmap_summary_words(map, 0);
    *sum = 0;
    for (uint64_t i = 0; i < words; i++) {
        uint64_t seen = atomic_load_seq(&map->summary[0][i]); /* partner: open_flags */
        if (has_flags(seen)) {
            bitmap_open_flags(map, 1, i);
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
    bitmap_band all = bitmap_band_of(map, 0, map->size);
    for (;;) {
        uint64_t root = atomic_load_seq(root_of(map)), before, after; /* partner: open_flags */
        if (has_flags(root)) {
            if (bitmap_first_free(map, &all, number))
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

/* ---- validation ---- */

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
        children = bitmap_summary_words(map, level);
    }
    uint64_t root = atomic_load_seq(root_of(map));
    bool proved = root == atomic_load_seq(&map->full_root);
    return !(proved && any_leaf(map, &number));
}
