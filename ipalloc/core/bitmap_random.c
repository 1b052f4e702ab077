/*
 * bitmap_random.c: random claims: where to look, how to choose, and the same without claiming.
 *
 * May use: bitmap_private.h. A claim looks at random words and chooses uniformly among all that is
 * free in them. So a word counts by its room, as it would in a uniform choice over all free
 * numbers, and full and empty regions even out; one word alone would not do that. How many words it
 * looks at depends on how full the map is:
 *
 *   PLENTY    one, where that has room enough for the choice within it to be what matters
 *   SOME      two
 *   FEW       four
 *   RARE      none: a line is drawn among the flags that are set, and a number in that line
 *
 * `density` remembers from claim to claim which of these fits. It is a hint: each hands over to the
 * next where it finds nothing, and the last one finds whatever there is. The first two are in
 * bitmap_private.h.
 *
 * Cost: so many words, or two summary words and a line. Nothing here branches on what was drawn: it
 * would be predicted wrong every other time. Each width is a function of its own, because saving
 * registers for a wider one costs as much as a tenth of a claim.
 */
#include "core/bitmap_private.h"

/* Free numbers in four words, and words with room in a line, that say "look less widely next time".
 */
enum { FEW_MAX = 28, RARE_MAX = 3 };

/* ---- one line ---- */

/* Which words of a line have room, by bit. Hints. */
static INLINE unsigned words_with_room(const bitmap *map, uint64_t line, bool fast) {
    const atomic_word *words = &map->leaves[line * LINE_WORDS];
    if (fast && LINE_WORDS == 8)
        return bits_nonzero_fast(words);
    unsigned mask = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < LINE_WORDS; i++) /* relaxed: hints */
        mask |= (unsigned)(atomic_load_relaxed(&words[i]) != 0) << i;
    return mask;
}

/* Those of `words` that are in the band and have room in it, for a line at an end of the band. */
static INLINE unsigned words_within_band(const bitmap *map, const bitmap_band *b, uint64_t line,
                                         unsigned words) {
    uint64_t first = line * LINE_WORDS; /* relaxed loads: hints */
    if (b->first >= first) {
        unsigned place = (unsigned)(b->first - first);
        words &= ~0u << place;
        if (within_band(b, b->first, atomic_load_relaxed(&map->leaves[b->first])) == 0)
            words &= ~(1u << place);
    }
    if (b->last < first + LINE_WORDS) {
        unsigned place = (unsigned)(b->last - first);
        words &= (2u << place) - 1;
        if (within_band(b, b->last, atomic_load_relaxed(&map->leaves[b->last])) == 0)
            words &= ~(1u << place);
    }
    return words;
}

static INLINE unsigned choose_any(uint64_t bits, bool fast, uint64_t *random) {
    return choose(bits, (unsigned)draw(random, count(bits, fast)), fast);
}

/* From one line that has words of the band. A line without any room is closed. Returns how many
 * words there were to choose from. */
static INLINE unsigned pick_in_line(const bitmap *map, const bitmap_band *b, bool fast,
                                    uint64_t line, uint64_t random, pick *out) {
    unsigned with_room = words_with_room(map, line, fast), words = with_room;
    if (with_room == 0)
        bitmap_close_flag(map, 0, line);
    if (line == b->first / LINE_WORDS || line == b->last / LINE_WORDS)
        words = words_within_band(map, b, line, with_room);
    if (words == 0)
        return 0;
    out->word = line * LINE_WORDS + choose_any(words, fast, &random);
    /* relaxed: the exchange of the claim validates what is chosen here. */
    uint64_t seen = atomic_load_relaxed(&map->leaves[out->word]);
    uint64_t room = within_band(b, out->word, seen);
    if (room == 0)
        return 0;
    out->bit = choose_any(room, fast, &random);
    out->last_of_line = (with_room & (with_room - 1)) == 0 && (seen & (seen - 1)) == 0;
    return count(words, fast);
}

/* ---- flags ---- */

/* A line among the set flags of two random summary words; it may lie outside the band, if just so.
 * false: they have none. relaxed: hints. */
static INLINE bool draw_open_line(const bitmap *map, const bitmap_band *b, bool fast,
                                  uint64_t *random, uint64_t *line) {
    uint64_t lowest = b->first / LINE_WORDS / FLAG_BITS;
    uint64_t bound = b->last / LINE_WORDS / FLAG_BITS - lowest + 1;
    uint64_t word[2] = {lowest + draw(random, bound), lowest + draw(random, bound)};
    uint64_t flags = (atomic_load_relaxed(&map->summary[0][word[0]]) & ALL_FLAGS) |
                     (atomic_load_relaxed(&map->summary[0][word[1]]) & ALL_FLAGS) << FLAG_BITS;
    if (flags == 0)
        return false;
    unsigned bit = choose(flags, (unsigned)draw(random, count(flags, fast)), fast);
    *line = word[0] + ((word[1] - word[0]) & every_bit_if(bit >= FLAG_BITS));
    *line = *line * FLAG_BITS + bit % FLAG_BITS;
    return true;
}

/* A line by way of the set flags from the root down; it may lie outside the band. false: a flag
 * was stale. */
static INLINE bool descend_to_open_line(const bitmap *map, bool fast, uint64_t *random,
                                        uint64_t *line) {
    *line = 0;
    for (unsigned level = map->levels; level-- > 0;) {
        uint64_t flags = atomic_load_relaxed(&map->summary[level][*line]) & ALL_FLAGS; /* hint */
        if (flags == 0)
            return false;
        *line = *line * FLAG_BITS + choose(flags, (unsigned)draw(random, count(flags, fast)), fast);
    }
    return true;
}

/* In the first line of [line, end) with room in the band, but for one that was looked at already.
 */
static unsigned pick_in_lines(const bitmap *map, hooks *h, const bitmap_band *b, uint64_t line,
                              uint64_t end, uint64_t seen, pick *out) {
    unsigned words = 0;
    for (line = bitmap_next_open_line(map, line, end); line < end && words == 0;
         line = bitmap_next_open_line(map, line + 1, end)) {
        if (line != seen)
            words = pick_in_line(map, b, false, line, hooks_random_high(h), out);
    }
    return words;
}

/* The same from a random line on and around the end: every open line of the band. */
static NOINLINE unsigned pick_in_every_line(const bitmap *map, hooks *h, const bitmap_band *b,
                                            uint64_t seen, pick *out) {
    uint64_t first = b->first / LINE_WORDS, end = b->last / LINE_WORDS + 1;
    uint64_t start = first + random_number(h, end - first);
    unsigned words = pick_in_lines(map, h, b, start, end, seen, out);
    return words > 0 ? words : pick_in_lines(map, h, b, first, start, seen, out);
}

/* Returns how many words of its line there were to choose from; 0: nothing is free in the band, as
 * far as a hint can tell. */
static INLINE unsigned pick_by_flags(const bitmap *map, hooks *h, const bitmap_band *b, bool fast,
                                     pick *out) {
    if (looks_full(map))
        return 0;
    uint64_t random = next_random(h, fast), line = 0;
    bool drawn = draw_open_line(map, b, fast, &random, &line) ||
                 descend_to_open_line(map, fast, &random, &line);
    if (!drawn || line < b->first / LINE_WORDS || line > b->last / LINE_WORDS)
        return pick_in_every_line(map, h, b, UINT64_MAX, out);
    unsigned words = pick_in_line(map, b, fast, line, random, out);
    return words > 0 ? words : pick_in_every_line(map, h, b, line, out);
}

/* ---- claims ---- */

static INLINE uint64_t claim_by_flags(bitmap *map, hooks *h, const bitmap_band *b, bool fast) {
    pick p;
    unsigned words;
    while (!b->empty && (words = pick_by_flags(map, h, b, fast, &p)) > 0) {
        if (b->is_rest)
            remember_density(map, words >= RARE_MAX ? FEW : RARE);
        if (!claim_pick(map, &p))
            continue; /* somebody was faster, and the system as a whole went on */
        if (p.last_of_line)
            bitmap_close_flag(map, 0, p.word / LINE_WORDS); /* spares the next claim a visit */
        return pick_number(&p);
    }
    if (b->is_rest)
        remember_density(map, RARE);
    return BITMAP_NONE;
}

static NOINLINE uint64_t claim_by_flags_plain(bitmap *map, hooks *h, const bitmap_band *b) {
    return claim_by_flags(map, h, b, false);
}

BITS_FAST static NOINLINE uint64_t claim_by_flags_fast(bitmap *map, hooks *h,
                                                       const bitmap_band *b) {
    return claim_by_flags(map, h, b, true);
}

/* In four random words; where two or less did not do, or were not tried. */
static INLINE uint64_t claim_widely(bitmap *map, hooks *h, const bitmap_band *b, bool fast) {
    pick p;
    if (b->is_rest && atomic_load_relaxed(&map->density) != RARE) { /* relaxed: a hint */
        unsigned total = pick_in_random_words(map, b, fast, 4, next_random(h, fast), &p);
        remember_density(map, total >= FEW_MAX ? SOME : FEW);
        if (total > 0 && claim_pick(map, &p))
            return pick_number(&p);
    }
    return fast ? claim_by_flags_fast(map, h, b) : claim_by_flags_plain(map, h, b);
}

static NOINLINE uint64_t claim_widely_plain(bitmap *map, hooks *h, const bitmap_band *b) {
    return claim_widely(map, h, b, false);
}

BITS_FAST NOINLINE uint64_t bitmap_claim_widely_fast(bitmap *map, hooks *h, const bitmap_band *b) {
    return claim_widely(map, h, b, true);
}

BITS_FAST static NOINLINE uint64_t claim_fast(bitmap *map, hooks *h, const bitmap_band *b) {
    uint64_t number = claim_in_one_word(map, h, b, true);
    if (number == BITMAP_NONE)
        number = claim_in_two_words(map, h, b, true);
    return number != BITMAP_NONE ? number : bitmap_claim_widely_fast(map, h, b);
}

static NOINLINE uint64_t claim_plain(bitmap *map, hooks *h, const bitmap_band *b) {
    uint64_t number = claim_in_one_word(map, h, b, false);
    if (number == BITMAP_NONE)
        number = claim_in_two_words(map, h, b, false);
    return number != BITMAP_NONE ? number : claim_widely_plain(map, h, b);
}

uint64_t bitmap_claim_random(bitmap *map, hooks *h, const bitmap_band *b) {
    return is_fast(map, h) ? claim_fast(map, h, b) : claim_plain(map, h, b);
}

/* ---- without claiming ---- */

/* The first free number of [begin, end) that is not skipped. */
static bool first_wanted(const bitmap *map, uint64_t begin, uint64_t end,
                         bool (*skip)(void *context, uint64_t number), void *context,
                         uint64_t *number) {
    for (; bitmap_next_free(map, begin, end, number); begin = *number + 1) {
        if (skip == NULL || !skip(context, *number))
            return true;
    }
    return false;
}

/* What a claim would pick now: the same steps with the same random numbers. */
static bool pick_any(const bitmap *map, hooks *h, const bitmap_band *b, pick *out) {
    uint64_t density = b->is_rest ? atomic_load_relaxed(&map->density) : RARE; /* relaxed: a hint */
    for (; density < RARE; density++)
        if (pick_in_random_words(map, b, false, 1u << density, hooks_random_high(h), out) > 0)
            return true;
    return pick_by_flags(map, h, b, false, out) > 0;
}

/* As a claim would pick; when that is skipped time and again, the next from a random number on. */
static bool find_random(const bitmap *map, hooks *h, uint64_t begin, uint64_t end,
                        bool (*skip)(void *context, uint64_t number), void *context,
                        uint64_t *number) {
    enum { TRIES = 8 }; /* enough while few numbers are skipped; the walk below is exact */
    bitmap_band b = bitmap_band_of(map, begin, end);
    if (b.empty)
        return false;
    for (int i = 0; i < TRIES; i++) {
        pick p;
        if (!pick_any(map, h, &b, &p))
            return false;
        *number = pick_number(&p);
        if (skip == NULL || !skip(context, *number))
            return true;
    }
    uint64_t start = begin + random_number(h, end - begin);
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
