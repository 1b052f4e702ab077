/*
 * sparse_table.c: growing, shrinking and the rarer steps of the tables of sparse_table.h.
 *
 * May use: base/. A table that changes its size is built aside and then swapped, so that a failed
 * allocation leaves it as it was.
 */
#include "core/sparse_table.h"

enum {
    LINE_BYTES = 64, /* of a cache line; elsewhere a line may cross two */
    /* Then half as large again. At that, one line in fifteen is full: the more there are, the more
     * often a processor guesses wrong; the fewer, the less of the table its caches hold. */
    LONE_FILLED_PERCENT = 50,
    LONE_FILLED_PERCENT_WIDE = 60, /* they take twice the room */
    LONE_SHRINK_PERCENT = 40,      /* of that: then a third smaller, and still far from growing */
    LEAF_FILLED_PERCENT = 80       /* then double: 24 bytes at 40 % are 60 bytes a leaf */
};

hash_key hash_key_make(uint64_t seed) {
    const uint64_t step = 0x9e3779b97f4a7c15u; /* as splitmix64 steps */
    return (hash_key){.low = random_mix(seed + step) | 1,
                      .high = random_mix(seed + 2 * step) | 1,
                      .add = random_mix(seed + 3 * step),
                      .last = random_mix(seed + 4 * step) | 1};
}

static size_t share_of(size_t capacity, size_t percent) {
    return capacity / 100 * percent + capacity % 100 * percent / 100;
}

static unsigned shift_of(size_t capacity) {
    return 64 - (unsigned)__builtin_ctzll(capacity);
}

/* --- lone numbers -------------------------------------------------------------------------------
 */

/* An empty table of that many lines; its words are NULL where there is no memory. */
static lone_table lone_make(const hooks *h, size_t lines, bool wide) {
    lone_table t = {.lines = lines, .wide = wide};
    t.filled_max =
        share_of(lines * LINE_NUMBERS, wide ? LONE_FILLED_PERCENT_WIDE : LONE_FILLED_PERCENT);
    t.filled_min = lines > LONE_LINES_MIN ? share_of(t.filled_max, LONE_SHRINK_PERCENT) : 0;
    t.memory = hooks_alloc_zeroed(h, lines * line_words(&t) * sizeof *t.words + LINE_BYTES);
    if (t.memory == NULL)
        return t;
    size_t beyond = (uintptr_t)t.memory % LINE_BYTES;
    t.words = (uint64_t *)(void *)((char *)t.memory + (LINE_BYTES - beyond));
    return t;
}

static bool lone_resize(lone_table *t, const hash_key *k, const hooks *h, size_t lines) {
    lone_table next = lone_make(h, lines, t->wide);
    if (next.words == NULL)
        return false;
    lone_place at;
    for (size_t cursor = 0; lone_next(t, &cursor, &at);) {
        u128 number = lone_number(t, at);
        lone_put(&next, hash_of(k, key_of(number)), number);
    }
    hooks_free(h, t->memory);
    *t = next;
    return true;
}

/* Those who passed the lines from `from` on and stood in `to` do so no more. */
static void uncount_passing(lone_table *t, size_t from, size_t to) {
    for (; from != to; from = line_after(t, from)) {
        uint64_t *line = lone_line(t, from);
        assert(line[0] >> PASSED_SHIFT > 0);
        if (line[0] >> PASSED_SHIFT < PASSED_MAX)
            line[0] -= (uint64_t)1 << PASSED_SHIFT;
    }
}

/* Is there a number in line `at` that passed line `hole`? */
static bool passer_in(const lone_table *t, const hash_key *k, size_t at, size_t hole,
                      lone_place *place) {
    *place = (lone_place){.line = lone_line(t, at)};
    for (; place->index < LINE_NUMBERS; place->index++) {
        if ((place->line[0] >> 8 * place->index & 0xff) == 0)
            continue;
        size_t home = lone_home(t, hash_of(k, key_of(lone_number(t, *place))));
        if (line_distance(t, home, at) >= line_distance(t, hole, at))
            return true;
    }
    return false;
}

/* Fetch back one of those who passed the line `hole`; false: there is none. *from: whence. */
static bool fetch_back(lone_table *t, const hash_key *k, size_t hole, size_t *from) {
    lone_place place;
    size_t at = hole;
    do {
        if (lone_line(t, at)[0] >> PASSED_SHIFT == 0)
            return false;
        at = line_after(t, at);
        if (at == hole)
            return false; /* only where a count is past its maximum */
    } while (!passer_in(t, k, at, hole, &place));
    lone_fill(t, lone_line(t, hole), place.line[0] >> 8 * place.index & 0xff,
              lone_number(t, place));
    lone_clear(t, place);
    uncount_passing(t, hole, at);
    *from = at;
    return true;
}

void lone_remove(lone_table *t, const hash_key *k, uint64_t hash, lone_place place) {
    size_t hole = (size_t)(place.line - t->words) / line_words(t);
    lone_clear(t, place);
    uncount_passing(t, lone_home(t, hash), hole);
    while (fetch_back(t, k, hole, &hole))
        ;
}

bool lone_grow(lone_table *t, const hash_key *k, const hooks *h) {
    if (t->words == NULL)
        return lone_resize(t, k, h, LONE_LINES_MIN);
    return t->lines <= SIZE_MAX / sizeof *t->words / LINE_WORDS_WIDE / 4 &&
           lone_resize(t, k, h, t->lines + t->lines / 2);
}

void lone_reduce(lone_table *t, const hash_key *k, const hooks *h) {
    size_t lines = t->lines * 2 / 3;
    lone_resize(t, k, h, lines > LONE_LINES_MIN ? lines : LONE_LINES_MIN);
}

bool lone_validate(const lone_table *t, const hash_key *k) {
    if (t->words == NULL)
        return t->filled == 0;
    uint64_t displaced = 0, passed = 0;
    lone_place place;
    for (size_t cursor = 0; lone_next(t, &cursor, &place);) {
        size_t home = lone_home(t, hash_of(k, key_of(lone_number(t, place))));
        size_t line = (size_t)(place.line - t->words) / line_words(t);
        displaced += line_distance(t, home, line);
    }
    bool all_counted = true;
    for (size_t i = 0; i < t->lines; i++) {
        uint64_t marks = lone_line(t, i)[0], here = marks >> PASSED_SHIFT;
        if (here == PASSED_MAX)
            all_counted = false; /* it may have been more */
        else if (here > 0 && marks_empty(marks) != 0)
            return false; /* nobody was fetched back */
        passed += here;
    }
    return displaced == passed || !all_counted;
}

/* --- leaves -------------------------------------------------------------------------------------
 */

static bool leaf_resize(leaf_table *t, const hash_key *k, const hooks *h, size_t capacity) {
    sparse_leaf *slots = hooks_alloc_zeroed(h, capacity * sizeof *slots);
    if (slots == NULL)
        return false;
    leaf_table next = {.slots = slots,
                       .mask = capacity - 1,
                       .shift = shift_of(capacity),
                       .filled_max = share_of(capacity, LEAF_FILLED_PERCENT)};
    for (size_t i = 0; i < leaf_capacity(t); i++)
        if (t->slots[i].taken != 0)
            leaf_put(&next, hash_of(k, leaf_key(&t->slots[i])), leaf_key(&t->slots[i]),
                     t->slots[i].taken);
    hooks_free(h, t->slots);
    *t = next;
    return true;
}

bool leaf_grow(leaf_table *t, const hash_key *k, const hooks *h) {
    if (t->slots == NULL)
        return leaf_resize(t, k, h, LEAF_CAPACITY_MIN);
    size_t capacity = t->mask + 1;
    return capacity <= SIZE_MAX / sizeof *t->slots / 2 && leaf_resize(t, k, h, capacity * 2);
}

void leaf_put(leaf_table *t, uint64_t hash, u128 key, uint64_t taken) {
    assert(t->filled < t->filled_max && taken != 0);
    sparse_leaf *one = &t->slots[leaf_position(t, hash, key)];
    assert(one->taken == 0);
    *one = (sparse_leaf){(uint64_t)(key >> 64), (uint64_t)key, taken};
    t->filled++;
}

void leaf_remove(leaf_table *t, const hash_key *k, sparse_leaf *one) {
    size_t hole = (size_t)(one - t->slots);
    for (size_t next = (hole + 1) & t->mask; t->slots[next].taken != 0;
         next = (next + 1) & t->mask) {
        size_t home = (size_t)(hash_of(k, leaf_key(&t->slots[next])) >> t->shift);
        if (((next - home) & t->mask) < ((next - hole) & t->mask))
            continue; /* its home lies behind the hole */
        t->slots[hole] = t->slots[next];
        hole = next;
    }
    t->slots[hole] = (sparse_leaf){0};
    t->filled--;
}

void leaf_halve(leaf_table *t, const hash_key *k, const hooks *h) {
    leaf_resize(t, k, h, (t->mask + 1) / 2);
}
