/*
 * generations.c: epochs, slots and the two bit planes behind generations.h.
 *
 * May use: base/, core/rest_clock.h. A generation has the slot (its epoch mod 3); the planes hold
 * slot + 1 for a number that rests and 0 for any other, the low bit in one plane and the high bit
 * in the other, word beside word so that a number is one cache line away.
 *
 * Invariants: only the generations of `epoch` and of the two before it have numbers, but for those
 * in `ended`, between a look and the end of taking out: so a slot says which generation it is.
 * No number of a slot lies in a word before its `first_word`.
 */
#include "core/generations.h"

#include "core/rest_clock.h"

#include <assert.h>

enum { SLOTS = 3, WORD_BITS = 64 };

typedef struct plane_word {
    uint64_t low, high;
} plane_word;

typedef struct generation {
    uint64_t counts[2];  /* below and from `split` on */
    uint64_t first_word; /* searches begin there */
} generation;

struct generations {
    rest_clock clock;
    uint64_t size, split, words;
    uint64_t epoch_ms;
    uint64_t epoch; /* as of the last look */
    generation slots[SLOTS];
    bool ended[SLOTS]; /* to be taken out */
    uint64_t ended_left, ended_word;
    plane_word *planes;
};

/* --- making and unmaking -----------------------------------------------------------------------
 */

generations *generations_create(const hooks *h, uint64_t size, uint64_t split, uint64_t rest_ms) {
    assert(split <= size && rest_ms > 0);
    generations *g = hooks_alloc_zeroed(h, sizeof *g);
    if (g == NULL)
        return NULL;
    g->clock.hooks = h;
    g->size = size;
    g->split = split;
    g->words = size / WORD_BITS + (size % WORD_BITS != 0);
    g->epoch_ms = rest_ms / 2 + rest_ms % 2;
    g->epoch = rest_clock_now(&g->clock) / g->epoch_ms;
    for (int slot = 0; slot < SLOTS; slot++)
        g->slots[slot].first_word = g->words;
    g->planes = g->words > 0 ? hooks_alloc_zeroed(h, g->words * sizeof *g->planes) : NULL;
    if (g->words > 0 && g->planes == NULL) {
        generations_destroy(g);
        return NULL;
    }
    return g;
}

void generations_destroy(generations *g) {
    if (g == NULL)
        return;
    const hooks *h = g->clock.hooks;
    hooks_free(h, g->planes);
    hooks_free(h, g);
}

/* --- planes ------------------------------------------------------------------------------------
 */

static int slot_of_epoch(uint64_t epoch) {
    return (int)(epoch % SLOTS);
}

/* The slot of a number, or -1 where it does not rest. */
static int slot_of(const generations *g, uint64_t number) {
    const plane_word *word = &g->planes[number / WORD_BITS];
    unsigned bit = number % WORD_BITS;
    return (int)((word->low >> bit & 1) | (word->high >> bit & 1) << 1) - 1;
}

/* The numbers of one slot in a word. */
static uint64_t word_of_slot(const generations *g, uint64_t word, int slot) {
    const plane_word *planes = &g->planes[word];
    uint64_t low = (slot + 1) & 1 ? planes->low : ~planes->low;
    uint64_t high = (slot + 1) & 2 ? planes->high : ~planes->high;
    return low & high;
}

static void clear_bits(generations *g, uint64_t word, uint64_t bits) {
    g->planes[word].low &= ~bits;
    g->planes[word].high &= ~bits;
}

static void set_bit(generations *g, uint64_t number, int slot) {
    plane_word *planes = &g->planes[number / WORD_BITS];
    unsigned bit = number % WORD_BITS;
    planes->low |= (uint64_t)((slot + 1) & 1) << bit;
    planes->high |= (uint64_t)((slot + 1) >> 1) << bit;
}

static unsigned count_bits(uint64_t bits) {
    return (unsigned)__builtin_popcountll(bits);
}

/* The bits of a word that are below `split`. */
static uint64_t below_split(const generations *g, uint64_t word) {
    uint64_t begin = word * WORD_BITS;
    if (g->split <= begin)
        return 0;
    return g->split - begin >= WORD_BITS ? UINT64_MAX : ((uint64_t)1 << (g->split - begin)) - 1;
}

static uint64_t count_of_slot(const generations *g, int slot) {
    return g->slots[slot].counts[0] + g->slots[slot].counts[1];
}

/* --- time --------------------------------------------------------------------------------------
 */

static void end_generation(generations *g, int slot) {
    generation *ending = &g->slots[slot];
    if (count_of_slot(g, slot) == 0)
        return;
    g->ended[slot] = true;
    g->ended_left += count_of_slot(g, slot);
    if (ending->first_word < g->ended_word)
        g->ended_word = ending->first_word;
    ending->first_word = g->words;
}

/* The generation of an epoch ends when the third epoch after it begins, and takes over its slot. */
void generations_look(generations *g) {
    assert(g->ended_left == 0);
    uint64_t epoch = rest_clock_now(&g->clock) / g->epoch_ms;
    g->ended_word = g->words;
    for (int i = 0; i < SLOTS && g->epoch < epoch; i++)
        end_generation(g, slot_of_epoch(++g->epoch));
    g->epoch = epoch;
}

static uint64_t take_ended_word(generations *g, uint64_t word) {
    uint64_t all = 0;
    for (int slot = 0; slot < SLOTS; slot++) {
        if (!g->ended[slot])
            continue;
        uint64_t bits = word_of_slot(g, word, slot);
        g->slots[slot].counts[0] -= count_bits(bits & below_split(g, word));
        g->slots[slot].counts[1] -= count_bits(bits & ~below_split(g, word));
        all |= bits;
    }
    clear_bits(g, word, all);
    return all;
}

bool generations_take_rested(generations *g, uint64_t *word, uint64_t *numbers) {
    while (g->ended_left > 0) {
        assert(g->ended_word < g->words);
        *word = g->ended_word++;
        *numbers = take_ended_word(g, *word);
        g->ended_left -= count_bits(*numbers);
        if (*numbers != 0)
            return true;
    }
    for (int slot = 0; slot < SLOTS; slot++)
        g->ended[slot] = false;
    return false;
}

/* --- one number --------------------------------------------------------------------------------
 */

bool generations_put(generations *g, uint64_t number, uint64_t released_at_wall_ms) {
    assert(number < g->size && slot_of(g, number) < 0 && g->ended_left == 0);
    uint64_t epoch = rest_clock_since(&g->clock, released_at_wall_ms) / g->epoch_ms;
    assert(epoch <= g->epoch);
    if (g->epoch - epoch >= SLOTS)
        return false;
    int slot = slot_of_epoch(epoch);
    set_bit(g, number, slot);
    g->slots[slot].counts[number >= g->split]++;
    if (number / WORD_BITS < g->slots[slot].first_word)
        g->slots[slot].first_word = number / WORD_BITS;
    return true;
}

bool generations_has(const generations *g, uint64_t number) {
    assert(number < g->size);
    return slot_of(g, number) >= 0;
}

bool generations_remove(generations *g, uint64_t number) {
    assert(number < g->size);
    int slot = slot_of(g, number);
    if (slot < 0)
        return false;
    clear_bits(g, number / WORD_BITS, (uint64_t)1 << number % WORD_BITS);
    g->slots[slot].counts[number >= g->split]--;
    return true;
}

/* --- all of them -------------------------------------------------------------------------------
 */

bool generations_oldest(generations *g, uint64_t *number) {
    for (int age = SLOTS - 1; age >= 0; age--) {
        int slot = (slot_of_epoch(g->epoch) + SLOTS - age) % SLOTS;
        if (count_of_slot(g, slot) == 0)
            continue;
        uint64_t *word = &g->slots[slot].first_word;
        while (word_of_slot(g, *word, slot) == 0)
            (*word)++;
        *number = *word * WORD_BITS + (unsigned)__builtin_ctzll(word_of_slot(g, *word, slot));
        return true;
    }
    return false;
}

uint64_t generations_count(const generations *g, int side) {
    uint64_t count = 0;
    for (int slot = 0; slot < SLOTS; slot++)
        count += g->slots[slot].counts[side];
    return count;
}

uint64_t generations_word(const generations *g, uint64_t word) {
    assert(word < g->words);
    return g->planes[word].low | g->planes[word].high;
}

bool generations_next(const generations *g, uint64_t from, uint64_t *number) {
    for (uint64_t word = from / WORD_BITS; word < g->words; word++) {
        uint64_t bits = generations_word(g, word);
        if (word == from / WORD_BITS)
            bits &= UINT64_MAX << from % WORD_BITS;
        if (bits == 0)
            continue;
        *number = word * WORD_BITS + (unsigned)__builtin_ctzll(bits);
        return true;
    }
    return false;
}

static bool validate_slot(const generations *g, int slot) {
    uint64_t counts[2] = {0, 0};
    for (uint64_t word = 0; word < g->words; word++) {
        uint64_t bits = word_of_slot(g, word, slot);
        if (bits != 0 && word < g->slots[slot].first_word)
            return false;
        counts[0] += count_bits(bits & below_split(g, word));
        counts[1] += count_bits(bits & ~below_split(g, word));
    }
    return counts[0] == g->slots[slot].counts[0] && counts[1] == g->slots[slot].counts[1];
}

bool generations_validate(const generations *g) {
    uint64_t number;
    for (int slot = 0; slot < SLOTS; slot++)
        if (!validate_slot(g, slot))
            return false;
    return g->epoch == g->clock.latest_ms / g->epoch_ms && g->ended_left == 0 &&
           !generations_next(g, g->size, &number);
}
