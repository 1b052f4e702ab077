/*
 * sparse.c: taking, releasing, picking and walking over the two tables of a sparse set.
 *
 * May use: base/, core/exclusion.h, core/sparse_table.h. A leaf of which one number is taken is in
 * the table of lone numbers, one with more in the table of leaves, where it stays until its last
 * number is released: a release must not need memory. Where the numbers taken are random, every
 * step is one look at one line of the lone ones.
 *
 * A random claim draws its successor and asks for its cache line, so that the next claim does not
 * wait for memory. The number drawn ahead is as uniform as one drawn then: it depends on nothing
 * that happens in between, and it is dropped where the exclusions change.
 */
#include "core/sparse_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    RANDOM_PROBES = 64, /* a range 90 % full misses 64 times in a row once in 850 picks */
    ADDED_MAX = 1024    /* keys that a sorted list may miss before it is dropped */
};

static sparse_side *side_of(sparse *set, u128 number) {
    return &set->sides[number >= set->split];
}

sparse *sparse_create(hooks *h, u128 size, u128 split, const exclusion_set *excluded) {
    assert(split <= size);
    /* u128 members want 16-byte alignment, which malloc gives and a hook is asked to give. */
    sparse *set = hooks_alloc_zeroed(h, sizeof *set);
    if (set == NULL)
        return NULL;
    set->key = hash_key_make(hooks_random(h));
    set->random = hooks_random(h);
    set->hooks = h;
    set->excluded = excluded;
    set->lone.wide = (size - 1) >> 64 != 0;
    set->size = size;
    set->split = split;
    set->sides[0] = (sparse_side){.begin = 0, .end = split};
    set->sides[1] = (sparse_side){.begin = split, .end = size, .lowest_free = split};
    set->exclusion_changes = ~excluded->changes; /* nothing is counted yet */
    return set;
}

void sparse_destroy(sparse *set) {
    if (set == NULL)
        return;
    hooks_free(set->hooks, set->lone.memory);
    hooks_free(set->hooks, set->leaves.slots);
    hooks_free(set->hooks, set->sorted);
    hooks_free(set->hooks, set);
}

static uint64_t hash_in(const sparse *set, u128 number) {
    return hash_of(&set->key, key_of(number));
}

/* The taken bits of a leaf, wherever it is. */
static uint64_t taken_of(const sparse *set, u128 key) {
    uint64_t hash = hash_of(&set->key, key);
    lone_place lone = lone_find(&set->lone, hash, key << 6);
    if (lone.line != NULL)
        return bit_of(lone_number(&set->lone, lone));
    const sparse_leaf *one = leaf_find(&set->leaves, hash, key);
    return one != NULL ? one->taken : 0;
}

static size_t count_leaves(const sparse *set) {
    return set->lone.filled + set->leaves.filled;
}

/* --- the sorted keys ---------------------------------------------------------------------------
 */

static void drop_sorted(sparse *set) {
    hooks_free(set->hooks, set->sorted);
    set->sorted = NULL;
    set->sorted_begin = set->sorted_end = set->added_count = set->gone_count = 0;
}

static void note_added(sparse *set, u128 key) {
    if (set->sorted == NULL)
        return;
    if (set->added_count == ADDED_MAX)
        drop_sorted(set);
    else
        set->sorted[set->sorted_end + set->added_count++] = key;
}

static void note_gone(sparse *set) {
    if (set->sorted != NULL && ++set->gone_count > (set->sorted_end + set->added_count) / 2)
        drop_sorted(set);
}

static int compare_keys(const void *a, const void *b) {
    u128 left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

static void sort_keys(sparse *set) {
    set->sorted = hooks_alloc(set->hooks, (count_leaves(set) + ADDED_MAX) * sizeof *set->sorted);
    if (set->sorted == NULL)
        return;
    lone_place lone;
    for (size_t cursor = 0; lone_next(&set->lone, &cursor, &lone);)
        set->sorted[set->sorted_end++] = key_of(lone_number(&set->lone, lone));
    for (size_t i = 0; i < leaf_capacity(&set->leaves); i++)
        if (set->leaves.slots[i].taken != 0)
            set->sorted[set->sorted_end++] = leaf_key(&set->leaves.slots[i]);
    assert(set->sorted_end == count_leaves(set));
    set->claims_at_once = false;
    qsort(set->sorted, set->sorted_end, sizeof *set->sorted, compare_keys);
}

static void least_from(u128 one, u128 from, bool *found, u128 *least) {
    if (one < from || (*found && one >= *least))
        return;
    *least = one;
    *found = true;
}

/* The smallest key >= from by looking at every slot. */
static bool next_key_by_scan(const sparse *set, u128 from, u128 *key) {
    bool found = false;
    lone_place lone;
    for (size_t cursor = 0; lone_next(&set->lone, &cursor, &lone);)
        least_from(key_of(lone_number(&set->lone, lone)), from, &found, key);
    for (size_t i = 0; i < leaf_capacity(&set->leaves); i++)
        if (set->leaves.slots[i].taken != 0)
            least_from(leaf_key(&set->leaves.slots[i]), from, &found, key);
    return found;
}

static bool next_key_by_list(sparse *set, u128 from, u128 *key) {
    size_t low = set->sorted_begin, high = set->sorted_end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->sorted[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    bool from_begin = low == set->sorted_begin;
    while (low < set->sorted_end && taken_of(set, set->sorted[low]) == 0)
        low++;
    if (from_begin)
        set->sorted_begin = low; /* who walks and releases does not pass these again */
    bool found = low < set->sorted_end;
    if (found)
        *key = set->sorted[low];
    for (size_t i = 0; i < set->added_count; i++) {
        u128 one = set->sorted[set->sorted_end + i];
        if (taken_of(set, one) != 0)
            least_from(one, from, &found, key);
    }
    return found;
}

static bool next_key(sparse *set, u128 from, u128 *key) {
    if (count_leaves(set) == 0)
        return false;
    if (set->sorted == NULL)
        sort_keys(set);
    return set->sorted != NULL ? next_key_by_list(set, from, key)
                               : next_key_by_scan(set, from, key);
}

/* --- take, release, look -----------------------------------------------------------------------
 */

static int take_in_leaf(sparse_leaf *one, u128 number) {
    if (one->taken & bit_of(number))
        return IPALLOC_E_TAKEN;
    one->taken |= bit_of(number);
    return IPALLOC_OK;
}

/* A second number of a leaf: the leaf moves. */
static int take_beside_lone(sparse *set, uint64_t hash, lone_place place, u128 number) {
    u128 lone = lone_number(&set->lone, place);
    if (lone == number)
        return IPALLOC_E_TAKEN;
    if (!leaf_make_room(&set->leaves, &set->key, set->hooks))
        return IPALLOC_E_NOMEM;
    leaf_put(&set->leaves, hash, key_of(number), bit_of(lone) | bit_of(number));
    set->leaves_upper += key_of(number) >= key_of(set->split);
    set->claims_at_once = false;
    lone_remove(&set->lone, &set->key, hash, place);
    lone_shrink(&set->lone, &set->key, set->hooks);
    return IPALLOC_OK;
}

/* OK; TAKEN; NOMEM. */
static int take(sparse *set, sparse_side *of, uint64_t hash, u128 number) {
    int status = IPALLOC_OK;
    lone_place place = lone_find(&set->lone, hash, number);
    sparse_leaf *one;
    if (place.line != NULL) {
        status = take_beside_lone(set, hash, place, number);
    } else if ((one = leaf_find(&set->leaves, hash, key_of(number))) != NULL) {
        status = take_in_leaf(one, number);
    } else if (lone_make_room(&set->lone, &set->key, set->hooks)) {
        lone_put(&set->lone, hash, number);
        note_added(set, key_of(number));
    } else {
        status = IPALLOC_E_NOMEM;
    }
    of->taken += status == IPALLOC_OK;
    return status;
}

int sparse_take(sparse *set, u128 number) {
    assert(number < set->size && exclusion_find(set->excluded, number) == NULL);
    return take(set, side_of(set, number), hash_in(set, number), number);
}

static bool release_in_leaf(sparse *set, uint64_t hash, u128 number) {
    sparse_leaf *one = leaf_find(&set->leaves, hash, key_of(number));
    if (one == NULL || (one->taken & bit_of(number)) == 0)
        return false;
    one->taken &= ~bit_of(number);
    if (one->taken == 0) {
        leaf_remove(&set->leaves, &set->key, one);
        set->leaves_upper -= key_of(number) >= key_of(set->split);
        leaf_shrink(&set->leaves, &set->key, set->hooks);
        note_gone(set);
    }
    return true;
}

static void count_released(sparse *set, u128 number) {
    sparse_side *s = side_of(set, number);
    s->taken--;
    if (number < s->lowest_free)
        s->lowest_free = number;
}

static bool release_properly(sparse *set, u128 number) {
    uint64_t hash = hash_in(set, number);
    lone_place place = lone_find(&set->lone, hash, number);
    if (place.line == NULL) {
        if (!release_in_leaf(set, hash, number))
            return false;
    } else {
        if (lone_number(&set->lone, place) != number)
            return false;
        lone_remove(&set->lone, &set->key, hash, place);
        lone_shrink(&set->lone, &set->key, set->hooks);
        note_gone(set);
    }
    count_released(set, number);
    return true;
}

bool sparse_release(sparse *set, u128 number) {
    return sparse_release_at_once(set, number) || release_properly(set, number);
}

bool sparse_has(const sparse *set, u128 number) {
    return taken_of(set, key_of(number)) & bit_of(number);
}

static uint64_t count_taken(const sparse *set, u128 begin, u128 end) {
    assert((begin == 0 || begin == set->split) && (end == set->split || end == set->size));
    return (begin < set->split ? set->sides[0].taken : 0) +
           (end > set->split ? set->sides[1].taken : 0);
}

u128 sparse_count_free(const sparse *set, u128 begin, u128 end) {
    return end - begin - exclusion_count(set->excluded, begin, end) - count_taken(set, begin, end);
}

/* The bits of the leaf `key` that stand for first..last. */
static uint64_t bits_between(u128 key, u128 first, u128 last) {
    uint64_t bits = ~(uint64_t)0;
    if (key == key_of(first))
        bits &= ~(uint64_t)0 << ((unsigned)first & 63);
    if (key == key_of(last))
        bits &= ~(uint64_t)0 >> (63 - ((unsigned)last & 63));
    return bits;
}

bool sparse_next_taken(sparse *set, u128 from, u128 *number) {
    u128 key = key_of(from);
    uint64_t taken = taken_of(set, key) & bits_between(key, from, U128_MAX);
    if (taken == 0) {
        if (!next_key(set, key + 1, &key)) /* keys are below 2^122: no wrap */
            return false;
        taken = taken_of(set, key);
    }
    *number = (key << 6) + (unsigned)__builtin_ctzll(taken);
    return true;
}

static void greatest(u128 one, bool *found, u128 *most) {
    if (!*found || one > *most)
        *most = one;
    *found = true;
}

bool sparse_last_taken(const sparse *set, u128 *number) {
    bool found = false;
    lone_place lone;
    for (size_t cursor = 0; lone_next(&set->lone, &cursor, &lone);)
        greatest(lone_number(&set->lone, lone), &found, number);
    for (size_t i = 0; i < leaf_capacity(&set->leaves); i++) {
        const sparse_leaf *one = &set->leaves.slots[i];
        if (one->taken != 0)
            greatest((leaf_key(one) << 6) + 63 - (unsigned)__builtin_clzll(one->taken), &found,
                     number);
    }
    return found;
}

/* --- picks -------------------------------------------------------------------------------------
 */

/* The smallest free number of [from, end). Steps over whole leaves and whole intervals. */
static bool next_free(const sparse *set, u128 from, u128 end, u128 *number) {
    while (from < end) {
        const interval *hole = exclusion_find(set->excluded, from);
        if (hole != NULL) {
            if (hole->last >= end - 1)
                return false;
            from = hole->last + 1;
            continue;
        }
        u128 key = key_of(from);
        uint64_t free = ~taken_of(set, key) & bits_between(key, from, end - 1);
        if (free == 0) {
            if (key == key_of(end - 1))
                return false;
            from = (key + 1) << 6;
            continue;
        }
        u128 found = (key << 6) + (unsigned)__builtin_ctzll(free);
        if (exclusion_find(set->excluded, found) == NULL) {
            *number = found;
            return true;
        }
        from = found;
    }
    return false;
}

typedef struct pick { /* what one search looks for */
    sparse_side *of;
    bool (*skip)(void *context, u128 number);
    void *context;
} pick;

static bool skipped(const pick *p, u128 number) {
    return p->skip != NULL && p->skip(p->context, number);
}

static bool next_unskipped(const sparse *set, const pick *p, u128 from, u128 end, u128 *number) {
    for (; next_free(set, from, end, number); from = *number + 1)
        if (!skipped(p, *number))
            return true;
    return false;
}

static bool find_lowest(sparse *set, const pick *p, u128 *number) {
    u128 lowest;
    if (!next_free(set, p->of->lowest_free, p->of->end, &lowest))
        return false;
    p->of->lowest_free = lowest;
    return next_unskipped(set, p, lowest, p->of->end, number);
}

/* Uniform below the number of candidates. Half of the draws at least are, all but a few where that
 * is nearly a power of two, as in most ranges. */
static u128 random_index(sparse *set, hooks *h, const sparse_side *of) {
    u128 index;
    do {
        index = sparse_random(set, h);
        if (of->draw_mask >> 64 != 0)
            index |= (u128)sparse_random(set, h) << 64;
        index &= of->draw_mask;
    } while (index >= of->candidates);
    return index;
}

static void drop_ahead(sparse *set) {
    set->ahead.of = NULL;
    set->claims_at_once = false;
}

/* Draw the next candidate for a side, unless it was drawn ahead. Who uses it drops it. */
static void draw(sparse *set, hooks *h, const sparse_side *of) {
    if (set->ahead.of == of)
        return;
    set->ahead.of = of;
    set->ahead.number = exclusion_nth_included(set->excluded, of->begin, random_index(set, h, of));
    set->ahead.hash = hash_in(set, set->ahead.number);
}

static void draw_ahead(sparse *set, hooks *h, const sparse_side *of) {
    draw(set, h, of);
    if (set->lone.words != NULL)
        sparse_prefetch(set, set->ahead.hash);
    set->claims_at_once =
        of == &set->sides[1] && !set->lone.wide && set->leaves_upper == 0 && set->sorted == NULL;
}

/* Near the end of a range drawing takes too long: the next free one from the last draw on. */
static bool find_behind(const sparse *set, const pick *p, u128 last_drawn, u128 *number) {
    return next_unskipped(set, p, last_drawn, p->of->end, number) ||
           next_unskipped(set, p, p->of->begin, last_drawn, number);
}

static bool find_random(sparse *set, hooks *h, const pick *p, u128 *number) {
    for (int i = 0; i < RANDOM_PROBES; i++) {
        draw(set, h, p->of);
        *number = set->ahead.number;
        drop_ahead(set);
        if (!sparse_has(set, *number) && !skipped(p, *number))
            return true;
    }
    return find_behind(set, p, *number, number);
}

static int claim_random(sparse *set, hooks *h, sparse_side *of, u128 *number) {
    int status = IPALLOC_E_TAKEN;
    for (int i = 0; i < RANDOM_PROBES && status == IPALLOC_E_TAKEN; i++) {
        draw(set, h, of);
        *number = set->ahead.number;
        drop_ahead(set);
        status = take(set, of, set->ahead.hash, *number);
    }
    if (status == IPALLOC_E_TAKEN) {
        pick p = {.of = of};
        bool found = find_behind(set, &p, *number, number);
        assert(found);
        (void)found;
        status = take(set, of, hash_in(set, *number), *number);
    }
    if (status == IPALLOC_OK)
        draw_ahead(set, h, of);
    return status;
}

static int claim_lowest(sparse *set, sparse_side *of, u128 *number) {
    pick p = {.of = of};
    bool found = find_lowest(set, &p, number);
    assert(found);
    (void)found;
    return take(set, of, hash_in(set, *number), *number);
}

/* The bits that a random number below `bound` needs. */
static u128 mask_below(u128 bound) {
    u128 mask = bound - 1;
    for (unsigned bits = 1; bits < 128; bits *= 2)
        mask |= mask >> bits;
    return mask;
}

/* Count again what the exclusions leave over, if they changed. */
static void count_candidates(sparse *set) {
    set->exclusion_changes = set->excluded->changes;
    drop_ahead(set);
    for (int i = 0; i < 2; i++) {
        sparse_side *s = &set->sides[i];
        s->candidates = s->end - s->begin - exclusion_count(set->excluded, s->begin, s->end);
        s->draw_mask = mask_below(s->candidates);
    }
}

/* NULL where nothing of that side is free. */
static sparse_side *side_with_free(sparse *set, bool upper) {
    if (set->exclusion_changes != set->excluded->changes)
        count_candidates(set);
    sparse_side *s = &set->sides[upper];
    return s->candidates > s->taken ? s : NULL;
}

bool sparse_find_any(sparse *set, hooks *h, enum bitmap_choice choice, u128 begin, u128 end,
                     bool (*skip)(void *context, u128 number), void *context, u128 *number) {
    assert(begin == end || (begin == 0 && end == set->split) ||
           (begin == set->split && end == set->size));
    pick p = {begin < end ? side_with_free(set, begin == set->split) : NULL, skip, context};
    if (p.of == NULL)
        return false;
    return choice == BITMAP_LOWEST ? find_lowest(set, &p, number) : find_random(set, h, &p, number);
}

int sparse_claim_any(sparse *set, hooks *h, enum bitmap_choice choice, bool upper, u128 *number) {
    sparse_side *s = side_with_free(set, upper);
    if (s == NULL)
        return IPALLOC_E_FULL;
    return choice == BITMAP_LOWEST ? claim_lowest(set, s, number) : claim_random(set, h, s, number);
}

void sparse_included(sparse *set, u128 first) {
    for (int i = 0; i < 2; i++) {
        sparse_side *s = &set->sides[i];
        u128 from = first > s->begin ? first : s->begin;
        if (from < s->lowest_free)
            s->lowest_free = from;
    }
}

/* --- proof -------------------------------------------------------------------------------------
 */

/* Every number of a leaf may be taken; counted on its side. */
static bool validate_taken(const sparse *set, u128 key, uint64_t taken, uint64_t counts[2]) {
    if (key >> 122 != 0)
        return false;
    for (uint64_t rest = taken; rest != 0; rest &= rest - 1) {
        u128 number = (key << 6) + (unsigned)__builtin_ctzll(rest);
        if (number >= set->size || exclusion_find(set->excluded, number) != NULL)
            return false;
        counts[number >= set->split]++;
    }
    return true;
}

/* Lone numbers are found where they stand, and their leaves are not in both tables. */
static bool validate_lone(const sparse *set, uint64_t counts[2]) {
    size_t filled = 0, cursor = 0;
    lone_place place;
    while (lone_next(&set->lone, &cursor, &place)) {
        filled++;
        u128 number = lone_number(&set->lone, place);
        uint64_t hash = hash_in(set, number);
        lone_place found = lone_find(&set->lone, hash, number);
        if (found.line != place.line || found.index != place.index ||
            leaf_find(&set->leaves, hash, key_of(number)) != NULL ||
            !validate_taken(set, key_of(number), bit_of(number), counts))
            return false;
    }
    return filled == set->lone.filled && filled <= set->lone.filled_max &&
           lone_validate(&set->lone, &set->key);
}

static bool validate_leaves(const sparse *set, uint64_t counts[2]) {
    const leaf_table *t = &set->leaves;
    size_t filled = 0;
    for (size_t i = 0; i < leaf_capacity(t); i++) {
        const sparse_leaf *one = &t->slots[i];
        if (one->taken == 0)
            continue;
        filled++;
        if (leaf_position(t, hash_of(&set->key, leaf_key(one)), leaf_key(one)) != i ||
            !validate_taken(set, leaf_key(one), one->taken, counts))
            return false;
    }
    return filled == t->filled && filled <= t->filled_max;
}

static bool nothing_free_below_hint(const sparse *set, const sparse_side *s) {
    u128 number;
    return !next_free(set, s->begin, s->lowest_free, &number);
}

bool sparse_validate(const sparse *set) {
    uint64_t counts[2] = {0, 0};
    return validate_lone(set, counts) && validate_leaves(set, counts) &&
           counts[0] == set->sides[0].taken && counts[1] == set->sides[1].taken &&
           nothing_free_below_hint(set, &set->sides[0]) &&
           nothing_free_below_hint(set, &set->sides[1]);
}
