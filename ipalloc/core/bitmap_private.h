/*
 * bitmap_private.h: the inside of a bitmap, shared by the bitmap*.c files, and the two usual
 * operations in full, so that range.c can have them without a call.
 *
 * May use: base/atomic.h and base/hooks.h, core/bits.h. bitmap.c tells the invariants I1 to I3 that
 * everything here keeps.
 */
#ifndef IPALLOC_CORE_BITMAP_PRIVATE_H
#define IPALLOC_CORE_BITMAP_PRIVATE_H

#include "base/u128.h"
#include "core/bitmap.h"
#include "core/bits.h"

#include <assert.h>

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

#define INLINE   inline __attribute__((always_inline)) /* so that `fast` and sizes are constants */
#define NOINLINE __attribute__((noinline)) /* so that what is usual saves no register for it */

/* How much is free, as far as random claims need to know, which look at 2^density words until that
 * is not worth while: see bitmap_random.c. */
enum density { PLENTY, SOME, FEW, RARE };

struct bitmap {
    uint64_t size;
    uint64_t words; /* leaf words with a valid bit */
    uint64_t lines; /* at least one, so that there is always a root */
    unsigned levels;
    bool fast_bits;                   /* the processor has popcnt and a quick pdep */
    void *memory;                     /* what to free: the block before alignment */
    atomic_word *summary[LEVELS_MAX]; /* [0] has one flag a line; [levels - 1] is the root */
    _Alignas(CACHE_LINE) atomic_word full_root; /* the root's value in the last proof of FULL */
    atomic_word density;                        /* a hint: enum density */
    _Alignas(CACHE_LINE) atomic_word leaves[];  /* the summary comes behind them */
};

/* ---- words ---- */

/* The valid bits of a leaf word: all but those beyond `size`. */
static inline uint64_t valid_bits(const bitmap *map, uint64_t word) {
    uint64_t begin = word * WORD_BITS;
    if (begin + WORD_BITS <= map->size)
        return UINT64_MAX;
    return begin >= map->size ? 0 : ((uint64_t)1 << (map->size - begin)) - 1;
}

/* ---- the summary ---- */

static inline uint64_t flag_of(uint64_t index) {
    return (uint64_t)1 << index % FLAG_BITS;
}

static inline bool has_flags(uint64_t summary) {
    return (summary & ALL_FLAGS) != 0;
}

static inline const atomic_word *root_of(const bitmap *map) {
    return &map->summary[map->levels - 1][0];
}

/* Does no flag stand? Then bitmap_prove_full is likely to say true. */
static inline bool looks_full(const bitmap *map) {
    return !has_flags(atomic_load_relaxed(root_of(map))); /* relaxed: a hint */
}

/* How many summary words `level` has. */
uint64_t bitmap_summary_words(const bitmap *map, unsigned level);

/* Child `index` of `level` has room: see to it that its flag and all above are set. */
void bitmap_open_flags(const bitmap *map, unsigned level, uint64_t index);

/* Child `index` of `level` was seen without room: clear its flag, look again (I1), and go on above
 * if this was the last flag of its word. */
void bitmap_close_flag(const bitmap *map, unsigned level, uint64_t index);

/* The first line in [line, end) whose flag is set, else `end`. Closes flags above words that have
 * none. */
uint64_t bitmap_next_open_line(const bitmap *map, uint64_t line, uint64_t end);

/* As bitmap_open_flags from the line up; calls it only if a flag is missing. */
static inline void open_number(const bitmap *map, uint64_t number) {
    uint64_t index = number / LINE_BITS;
    for (unsigned level = 0; level < map->levels; level++, index /= FLAG_BITS) {
        /* seq_cst, after the write that made room: partner is the atomic_and_seq of
         * bitmap_close_flag, which comes before its second look. */
        uint64_t flags = atomic_load_seq(&map->summary[level][index / FLAG_BITS]);
        if ((flags >> index % FLAG_BITS & 1) == 0) {
            bitmap_open_flags(map, level, index);
            return;
        }
    }
}

/* ---- bands ---- */

static inline uint64_t every_bit_if(bool condition) {
    return -(uint64_t)condition;
}

/* What of this word's free numbers is in the band, of which the word may be outside. */
static inline uint64_t within_band(const bitmap_band *b, uint64_t word, uint64_t room) {
    room &= b->first_mask | every_bit_if(word != b->first);
    room &= b->last_mask | every_bit_if(word != b->last);
    return room & every_bit_if(word >= b->first && word <= b->last);
}

/* The first free number of a band by way of the flags. Whole lines without room are closed, so that
 * the next search does not come by again. */
bool bitmap_first_free(const bitmap *map, const bitmap_band *b, uint64_t *number);

/* ---- random numbers, counting, choosing ---- */

/* The most significant digit of `*random` in base `bound`; what is left serves the next draw. */
static inline uint64_t draw(uint64_t *random, uint64_t bound) {
    u128 product = (u128)*random * bound;
    *random = (uint64_t)product;
    return (uint64_t)(product >> 64);
}

/* `fast` goes with random numbers of our own only: calling a hook would cost every claim registers.
 */
static INLINE uint64_t next_random(hooks *h, bool fast) {
    return fast ? hooks_random_own(h) : hooks_random_high(h);
}

static inline bool is_fast(const bitmap *map, const hooks *h) {
    return map->fast_bits && h->own_random;
}

static inline uint64_t random_number(hooks *h, uint64_t bound) {
    uint64_t random = hooks_random_high(h);
    return draw(&random, bound);
}

static INLINE unsigned count(uint64_t word, bool fast) {
    return fast ? bits_count_fast(word) : bits_count_plain(word);
}

static INLINE unsigned choose(uint64_t word, unsigned rank, bool fast) {
    return fast ? bits_select_fast(word, rank) : bits_select_plain(word, rank);
}

/* ---- one number ---- */

/* Change a leaf word that is as it was seen; on failure `seen` is what was there. */
static inline bool exchange(bitmap *map, uint64_t word, uint64_t *seen, uint64_t desired) {
    /* seq_cst: as a claim it acquires what the previous holder did before its release (partner: the
     * same exchange there); as a release it comes before the loads of open_number (partner: the
     * second look of bitmap_close_flag). */
    return atomic_cas_weak_seq(&map->leaves[word], seen, desired);
}

/* Claim a bit of a word that was seen as `seen`. false: it is not free any more. */
static inline bool claim_bit(bitmap *map, uint64_t word, unsigned bit, uint64_t seen) {
    uint64_t mask = (uint64_t)1 << bit;
    while ((seen & mask) != 0) {
        if (exchange(map, word, &seen, seen & ~mask))
            return true;
    }
    return false;
}

/* Release those of the numbers `mask` of a word that are taken; returns them. Where one of them was
 * taken, and `guard` (may be NULL) was not 0 after that had been seen, nothing is released and
 * *guarded is set: so what was taken since the guard went up is not released here. */
static inline uint64_t release_in_word(bitmap *map, uint64_t word, uint64_t mask,
                                       const atomic_word *guard, bool *guarded) {
    assert(word < map->words && (mask & ~valid_bits(map, word)) == 0);
    for (;;) {
        /* seq_cst: see bitmap_is_taken; and it comes before the look at the guard, whose other side
         * raises it first and takes then. */
        uint64_t seen = atomic_load_seq(&map->leaves[word]);
        if ((mask & ~seen) != 0) {
            if (guard != NULL && atomic_load_seq(guard) != 0) {
                *guarded = true;
                return 0;
            }
            if (!exchange(map, word, &seen, seen | mask))
                continue;
        }
        open_number(map, word * WORD_BITS); /* also where somebody else released them: I3 */
        return mask & ~seen;
    }
}

/* ---- the usual random claims; bitmap_random.c explains all of them ---- */

/* A number that was seen free. */
typedef struct pick {
    uint64_t word;
    unsigned bit;
    bool last_of_line; /* nothing else was free in its line */
} pick;

static inline uint64_t pick_number(const pick *p) {
    return p->word * WORD_BITS + p->bit;
}

/* relaxed: losing it to somebody is no answer to anybody. */
static inline bool claim_pick(bitmap *map, const pick *p) {
    return claim_bit(map, p->word, p->bit, atomic_load_relaxed(&map->leaves[p->word]));
}

/* Free numbers seen in one and in two words that say "look more widely next time", or less. Far
 * enough apart not to swing. */
enum { PLENTY_MIN = 9, SOME_MIN = 4, SOME_MAX = 48 };

static inline void remember_density(bitmap *map, enum density density) {
    if (atomic_load_relaxed(&map->density) != density) /* relaxed: a hint */
        atomic_store_relaxed(&map->density, density);
}

/* What is free in a word of a band that ends where the map ends. */
static INLINE uint64_t room_of(const bitmap *map, const bitmap_band *b, uint64_t word) {
    /* relaxed: the exchange of the claim validates what is chosen here. */
    uint64_t room = atomic_load_relaxed(&map->leaves[word]);
    return room & (b->first_mask | every_bit_if(word != b->first));
}

/* Choose uniformly among the free numbers of `words` (1 to 4) random words. Returns how many there
 * were. Masks rather than branches: which word it is would be predicted wrong every other time. */
static INLINE unsigned pick_in_random_words(const bitmap *map, const bitmap_band *b, bool fast,
                                            unsigned words, uint64_t random, pick *out) {
    uint64_t word[4] = {0}, room[4] = {0}, digits[2] = {random, random * 0x9e3779b97f4a7c15u};
    unsigned upto[4] = {0}, total = 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < words; i++) { /* two digits from each number: no long wait for one */
        word[i] = b->first + draw(&digits[i / 2], b->words);
        room[i] = room_of(map, b, word[i]);
        upto[i] = total += count(room[i], fast);
    }
    if (total == 0)
        return 0;
    unsigned rank = (unsigned)draw(&digits[0], total), before = 0;
#pragma GCC unroll 4
    for (unsigned i = 1; i < words; i++) {
        uint64_t beyond = every_bit_if(rank >= upto[i - 1]);
        word[0] ^= (word[0] ^ word[i]) & beyond;
        room[0] ^= (room[0] ^ room[i]) & beyond;
        before ^= (before ^ upto[i - 1]) & (unsigned)beyond;
    }
    *out = (pick){word[0], choose(room[0], rank - before, fast), false};
    return total;
}

/* A claim in one random word, if the density is such that this may do; else BITMAP_NONE. */
static INLINE uint64_t claim_in_one_word(bitmap *map, hooks *h, const bitmap_band *b, bool fast) {
    pick p;
    if (atomic_load_relaxed(&map->density) != PLENTY || !b->is_rest) /* relaxed: a hint */
        return BITMAP_NONE;
    unsigned total = pick_in_random_words(map, b, fast, 1, next_random(h, fast), &p);
    if (total < PLENTY_MIN)
        atomic_store_relaxed(&map->density, SOME);
    return total > 0 && claim_pick(map, &p) ? pick_number(&p) : BITMAP_NONE;
}

/* The same in two random words. */
static INLINE uint64_t claim_in_two_words(bitmap *map, hooks *h, const bitmap_band *b, bool fast) {
    pick p;
    if (atomic_load_relaxed(&map->density) > SOME || !b->is_rest) /* relaxed: a hint */
        return BITMAP_NONE;
    unsigned total = pick_in_random_words(map, b, fast, 2, next_random(h, fast), &p);
    if (total < SOME_MIN || total >= SOME_MAX)
        atomic_store_relaxed(&map->density, total < SOME_MIN ? FEW : PLENTY);
    return total > 0 && claim_pick(map, &p) ? pick_number(&p) : BITMAP_NONE;
}

/* What follows where that gave BITMAP_NONE; only where is_fast. */
uint64_t bitmap_claim_widely_fast(bitmap *map, hooks *h, const bitmap_band *b);

#endif
