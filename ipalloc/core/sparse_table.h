/*
 * sparse_table.h: the two hash tables of a sparse set, and the hash they share.
 *
 * A leaf is 64 neighbouring numbers, its key their number / 64. A leaf of which one number is taken
 * is that number in the table of lone numbers; one of which more are taken is in the table of
 * leaves. No leaf is in both. May use: base/.
 *
 * Lone numbers are kept in lines of seven: a word of marks, one byte for each, and the numbers
 * themselves; a line is one cache line (two where numbers have more than 64 bits). A mark is seven
 * bits of the hash under a set bit, 0 where nothing is; all seven are compared at once, so that a
 * step costs one cache line and hardly a branch that can be guessed wrong. What finds its line full
 * goes to the next, and each line passed counts it in the eighth byte: a search ends at the first
 * line that nothing has passed. A removal from such a line fetches back one of those that passed.
 * A third to six tenths full, growing and shrinking by half: 18 to 28 bytes a number (31 to 46
 * where they are wide).
 *
 * Leaves are 24 bytes a slot, by linear probing, 2/5 to 4/5 full; a slot that empties is closed up
 * at once, so that there are no tombstones.
 *
 * The hash is keyed, because addresses that people ask for by name are chosen by them: who does not
 * know the key cannot choose numbers that meet. Homes are the hash's share of the table, so that
 * they keep their order when its size changes: one pass over old and new.
 */
#ifndef IPALLOC_CORE_SPARSE_TABLE_H
#define IPALLOC_CORE_SPARSE_TABLE_H

#include "base/hooks.h"
#include "base/u128.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- keys and the hash --------------------------------------------------------------------------
 */

static inline u128 key_of(u128 number) {
    return number >> 6;
}

static inline uint64_t bit_of(u128 number) {
    return (uint64_t)1 << ((unsigned)number & 63);
}

typedef struct hash_key { /* odd multipliers, one addend */
    uint64_t low, high, add, last;
} hash_key;

hash_key hash_key_make(uint64_t seed);

/* Both halves of a product: every bit of either factor changes half of the bits. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b) {
    u128 product = (u128)a * b;
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

static inline uint64_t hash_short(const hash_key *k, uint64_t key) {
    return hash_fold(key ^ k->add, k->low) * k->last;
}

/* The same for keys below 2^64. */
static inline uint64_t hash_of(const hash_key *k, u128 key) {
    uint64_t x = hash_fold((uint64_t)key ^ k->add, k->low), high = (uint64_t)(key >> 64);
    if (high != 0)
        x = hash_fold(x ^ high, k->high);
    return x * k->last;
}

enum {
    LONE_LINES_MIN = 8,     /* 576 bytes with what aligns them, 1088 where they are wide */
    LEAF_CAPACITY_MIN = 64, /* 1.5 KiB */
    LEAF_SHRINK_SHARE = 4   /* halve below this part of the most that may be filled */
};

/* --- lone numbers -------------------------------------------------------------------------------
 */

enum {
    LINE_NUMBERS = 7,
    TABLE_LINE_WORDS = 8, /* the marks, then the numbers' low 64 bits */
    LINE_WORDS_WIDE = 16, /* then the high ones, and a word that nobody uses */
    PASSED_SHIFT = 56,    /* in the word of marks: how many passed by; at PASSED_MAX for ever */
    PASSED_MAX = 255
};

static const uint64_t MARKS_EACH = 0x0001010101010101u, MARKS_SET = 0x0080808080808080u;

typedef struct lone_table {
    uint64_t *words; /* NULL before the first number */
    void *memory;    /* the block that the words lie in, aligned to cache lines */
    size_t lines;
    bool wide;
    size_t filled, filled_min, filled_max; /* below and from there on another size is better */
} lone_table;

/* Where a number is. */
typedef struct lone_place {
    uint64_t *line; /* NULL: nowhere */
    unsigned index;
} lone_place;

static inline size_t line_words(const lone_table *t) {
    return t->wide ? LINE_WORDS_WIDE : TABLE_LINE_WORDS;
}

static inline uint64_t *lone_line(const lone_table *t, size_t at) {
    return t->words + (at * TABLE_LINE_WORDS << t->wide);
}

static inline size_t lone_home(const lone_table *t, uint64_t hash) {
    return (size_t)((u128)hash * t->lines >> 64);
}

static inline size_t line_after(const lone_table *t, size_t at) {
    return at + 1 < t->lines ? at + 1 : 0;
}

/* How many steps from one line to another. */
static inline size_t line_distance(const lone_table *t, size_t from, size_t to) {
    return to >= from ? to - from : to + t->lines - from;
}

/* From the bits that are farthest from those of the home. */
static inline uint64_t lone_mark(uint64_t hash) {
    return (uint8_t)(hash | 0x80);
}

static inline bool lone_same_leaf(const lone_table *t, lone_place at, u128 number) {
    return (at.line[1 + at.index] ^ (uint64_t)number) < 64 &&
           (!t->wide || at.line[1 + LINE_NUMBERS + at.index] == (uint64_t)(number >> 64));
}

static inline u128 lone_number(const lone_table *t, lone_place at) {
    return u128_make(t->wide ? at.line[1 + LINE_NUMBERS + at.index] : 0, at.line[1 + at.index]);
}

/* Bits of MARKS_SET where the mark may be `mark`; the lowest of them is right. */
static inline uint64_t marks_like(uint64_t marks, uint64_t mark) {
    uint64_t differ = marks ^ mark * MARKS_EACH;
    return (differ - MARKS_EACH) & ~differ & MARKS_SET;
}

static inline uint64_t marks_empty(uint64_t marks) {
    return ~marks & MARKS_SET;
}

static inline unsigned mark_index(uint64_t bits) {
    return (unsigned)__builtin_ctzll(bits) / 8;
}

/* The number that is taken in the leaf of `number`, whose key hashes to `hash`. */
static inline lone_place lone_find(const lone_table *t, uint64_t hash, u128 number) {
    if (t->filled == 0)
        return (lone_place){0};
    uint64_t mark = lone_mark(hash);
    size_t at = lone_home(t, hash);
    for (size_t left = t->lines; left > 0; left--, at = line_after(t, at)) {
        uint64_t *line = lone_line(t, at);
        for (uint64_t like = marks_like(line[0], mark); like != 0; like &= like - 1) {
            lone_place place = {line, mark_index(like)};
            if (lone_same_leaf(t, place, number))
                return place;
        }
        if (line[0] >> PASSED_SHIFT == 0)
            break;
    }
    return (lone_place){0};
}

/* Room for one more. false: no memory, nothing changed. */
bool lone_grow(lone_table *t, const hash_key *k, const hooks *h);

static inline bool lone_make_room(lone_table *t, const hash_key *k, const hooks *h) {
    return t->filled < t->filled_max || lone_grow(t, k, h);
}

static inline void lone_fill(lone_table *t, uint64_t *line, uint64_t mark, u128 number) {
    unsigned index = mark_index(marks_empty(line[0]));
    line[0] |= mark << 8 * index;
    line[1 + index] = (uint64_t)number;
    if (t->wide)
        line[1 + LINE_NUMBERS + index] = (uint64_t)(number >> 64);
    t->filled++;
}

static inline void lone_clear(lone_table *t, lone_place place) {
    place.line[0] &= ~((uint64_t)0xff << 8 * place.index);
    t->filled--;
}

/* The two usual steps where numbers have 64 bits, short enough for a processor to work on several
 * at once while they wait for memory. Either may answer false: then look properly. */

/* Put it where nothing can be in the way: there is room, no mark in its line is like its own, and
 * nothing passed. */
static inline bool lone_put_at_once(lone_table *t, uint64_t hash, uint64_t number) {
    if (t->filled >= t->filled_max)
        return false;
    uint64_t mark = lone_mark(hash);
    uint64_t *line = t->words + lone_home(t, hash) * TABLE_LINE_WORDS;
    uint64_t marks = line[0], empty = marks_empty(marks);
    if (empty == 0 || (marks_like(marks, mark) | marks >> PASSED_SHIFT) != 0)
        return false;
    unsigned index = mark_index(empty);
    line[0] = marks | mark << 8 * index;
    line[1 + index] = number;
    t->filled++;
    return true;
}

/* Remove it if it is the first in its line whose mark is like its own, nothing passed, and the
 * table stays large enough for its size. */
static inline bool lone_remove_at_once(lone_table *t, uint64_t hash, uint64_t number) {
    if (t->filled <= t->filled_min)
        return false;
    uint64_t *line = t->words + lone_home(t, hash) * TABLE_LINE_WORDS;
    uint64_t marks = line[0], like = marks_like(marks, lone_mark(hash));
    if (like == 0 || marks >> PASSED_SHIFT != 0 || line[1 + mark_index(like)] != number)
        return false;
    line[0] = marks & ~((uint64_t)0xff << 8 * mark_index(like));
    t->filled--;
    return true;
}

/* After lone_make_room: a number whose leaf is not here yet. */
static inline void lone_put(lone_table *t, uint64_t hash, u128 number) {
    assert(t->filled < t->filled_max);
    size_t at = lone_home(t, hash);
    uint64_t *line = lone_line(t, at);
    while (marks_empty(line[0]) == 0) {
        if (line[0] >> PASSED_SHIFT < PASSED_MAX)
            line[0] += (uint64_t)1 << PASSED_SHIFT;
        at = line_after(t, at);
        line = lone_line(t, at);
    }
    lone_fill(t, line, lone_mark(hash), number);
}

/* Take out what lone_find found. */
void lone_remove(lone_table *t, const hash_key *k, uint64_t hash, lone_place place);

/* After removals: make smaller what is too large; without memory for that it stays as it is. */
void lone_reduce(lone_table *t, const hash_key *k, const hooks *h);

static inline void lone_shrink(lone_table *t, const hash_key *k, const hooks *h) {
    if (t->filled < t->filled_min)
        lone_reduce(t, k, h);
}

/* Every number, in no order: from a zeroed cursor; false at the end. */
static inline bool lone_next(const lone_table *t, size_t *cursor, lone_place *place) {
    if (t->words == NULL)
        return false;
    for (; *cursor < t->lines * LINE_NUMBERS; ++*cursor) {
        uint64_t *line = lone_line(t, *cursor / LINE_NUMBERS);
        unsigned index = (unsigned)(*cursor % LINE_NUMBERS);
        if ((line[0] >> 8 * index & 0xff) == 0)
            continue;
        *place = (lone_place){line, index};
        ++*cursor;
        return true;
    }
    return false;
}

/* The lines count exactly those who passed by, and only full ones were passed. */
bool lone_validate(const lone_table *t, const hash_key *k);

/* --- leaves -------------------------------------------------------------------------------------
 */

typedef struct sparse_leaf {
    uint64_t key_high, key_low;
    uint64_t taken; /* 0: the slot is empty */
} sparse_leaf;

_Static_assert(sizeof(sparse_leaf) == 24, "the opening promises 24 bytes a leaf");

typedef struct leaf_table {
    sparse_leaf *slots;
    size_t mask;
    unsigned shift;
    size_t filled, filled_max;
} leaf_table;

static inline u128 leaf_key(const sparse_leaf *one) {
    return u128_make(one->key_high, one->key_low);
}

/* The slot of `key`, or the empty one where it belongs. Not before the first. */
static inline size_t leaf_position(const leaf_table *t, uint64_t hash, u128 key) {
    size_t position = (size_t)(hash >> t->shift);
    while (t->slots[position].taken != 0 && leaf_key(&t->slots[position]) != key)
        position = (position + 1) & t->mask;
    return position;
}

/* The leaf of `key`; NULL if it is not here. */
static inline sparse_leaf *leaf_find(const leaf_table *t, uint64_t hash, u128 key) {
    if (t->filled == 0)
        return NULL;
    sparse_leaf *one = &t->slots[leaf_position(t, hash, key)];
    return one->taken != 0 ? one : NULL;
}

bool leaf_grow(leaf_table *t, const hash_key *k, const hooks *h);

static inline bool leaf_make_room(leaf_table *t, const hash_key *k, const hooks *h) {
    return t->filled < t->filled_max || leaf_grow(t, k, h);
}

/* After leaf_make_room: a leaf that is not here yet. */
void leaf_put(leaf_table *t, uint64_t hash, u128 key, uint64_t taken);
void leaf_remove(leaf_table *t, const hash_key *k, sparse_leaf *one);
void leaf_halve(leaf_table *t, const hash_key *k, const hooks *h);

static inline void leaf_shrink(leaf_table *t, const hash_key *k, const hooks *h) {
    if (t->filled < t->filled_max / LEAF_SHRINK_SHARE && t->mask + 1 > LEAF_CAPACITY_MIN)
        leaf_halve(t, k, h);
}

static inline size_t leaf_capacity(const leaf_table *t) {
    return t->slots == NULL ? 0 : t->mask + 1;
}

#endif
