/*
 * sparse.c: the hash table of 64-bit leaves behind sparse.h.
 *
 * May use: base/, core/exclusion.h. Open addressing with linear probing; a leaf of zero marks an
 * empty slot, and a leaf that becomes zero is closed up at once by shifting its followers back, so
 * that there are no tombstones. The hash is keyed with a random seed, because addresses that people
 * ask for by name are chosen by them.
 */
#include "core/sparse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CAPACITY_MIN = 64,       /* slots; 1.5 KiB */
    FILLED_MAX_PERCENT = 80, /* then double: 24 bytes at 40 % are 60 bytes a leaf */
    FILLED_MIN_PERCENT = 15, /* then halve: far enough from 40 % not to swing */
    RANDOM_PROBES = 64,      /* a range 90 % full misses 64 times in a row once in 850 picks */
    ADDED_MAX = 1024         /* keys that a sorted list may miss before it is dropped */
};

typedef struct slot {
    uint64_t key_high, key_low;
    uint64_t taken; /* 0: the slot is empty */
} slot;

_Static_assert(sizeof(slot) == 24, "the header promises 24 bytes a leaf");

struct sparse {
    const hooks *hooks;
    const exclusion_set *excluded;
    u128 size, split;
    u128 taken[2];       /* numbers below split, and from it on */
    u128 lowest_free[2]; /* of each side: nothing below this is free */
    uint64_t seed;
    slot *slots;
    size_t capacity, filled; /* capacity is 0 or a power of two */
    /* For ordered walks; NULL until one asks. Keys in `sorted` may be gone from the table; keys
     * that came since are in `added`. */
    u128 *sorted; /* sorted_end keys, of which those before sorted_begin are gone; then `added` */
    size_t sorted_begin, sorted_end, added_count, gone_count;
};

static int side_of(const sparse *set, u128 number) {
    return number >= set->split;
}

sparse *sparse_create(const hooks *h, u128 size, u128 split, const exclusion_set *excluded) {
    assert(split <= size);
    /* u128 members want 16-byte alignment, which malloc gives and a hook is asked to give. */
    sparse *set = hooks_alloc_zeroed(h, sizeof *set);
    if (set == NULL)
        return NULL;
    set->hooks = h;
    set->excluded = excluded;
    set->size = size;
    set->split = split;
    set->lowest_free[1] = split;
    set->seed = (uint64_t)(uintptr_t)set * 0x9e3779b97f4a7c15u;
    return set;
}

void sparse_destroy(sparse *set) {
    if (set == NULL)
        return;
    hooks_free(set->hooks, set->slots);
    hooks_free(set->hooks, set->sorted);
    hooks_free(set->hooks, set);
}

/* --- the table ---------------------------------------------------------------------------------
 */

static u128 key_of(u128 number) {
    return number >> 6;
}

static uint64_t bit_of(u128 number) {
    return (uint64_t)1 << ((unsigned)number & 63);
}

static u128 slot_key(const slot *s) {
    return u128_make(s->key_high, s->key_low);
}

static size_t home_of(const sparse *set, u128 key) {
    uint64_t high = random_mix((uint64_t)(key >> 64) ^ set->seed);
    return (size_t)random_mix((uint64_t)key + high) & (set->capacity - 1);
}

/* The slot of `key`, or the empty slot where it belongs. There always is an empty one. */
static size_t position_of(const sparse *set, u128 key) {
    assert(set->filled < set->capacity);
    size_t position = home_of(set, key);
    while (set->slots[position].taken != 0 && slot_key(&set->slots[position]) != key)
        position = (position + 1) & (set->capacity - 1);
    return position;
}

static uint64_t leaf_of(const sparse *set, u128 key) {
    return set->capacity == 0 ? 0 : set->slots[position_of(set, key)].taken;
}

static bool resize(sparse *set, size_t capacity) {
    slot *old = set->slots;
    size_t old_capacity = set->capacity;
    slot *slots = hooks_alloc_zeroed(set->hooks, capacity * sizeof *slots);
    if (slots == NULL)
        return false;
    set->slots = slots;
    set->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].taken != 0)
            slots[position_of(set, slot_key(&old[i]))] = old[i];
    hooks_free(set->hooks, old);
    return true;
}

static bool make_room(sparse *set) {
    if (set->capacity == 0)
        return resize(set, CAPACITY_MIN);
    if (set->filled <
        set->capacity / 100 * FILLED_MAX_PERCENT + set->capacity % 100 * FILLED_MAX_PERCENT / 100)
        return true;
    return set->capacity <= SIZE_MAX / sizeof(slot) / 2 && resize(set, set->capacity * 2);
}

/* Empty one slot and move back those behind it that may stand nearer to their home. */
static void close_up(sparse *set, size_t hole) {
    size_t mask = set->capacity - 1;
    for (size_t next = (hole + 1) & mask; set->slots[next].taken != 0; next = (next + 1) & mask) {
        size_t home = home_of(set, slot_key(&set->slots[next]));
        if (((next - home) & mask) < ((next - hole) & mask))
            continue; /* its home lies behind the hole */
        set->slots[hole] = set->slots[next];
        hole = next;
    }
    set->slots[hole] = (slot){0};
    set->filled--;
}

static void give_memory_back(sparse *set) {
    if (set->capacity > CAPACITY_MIN && set->filled < set->capacity / 100 * FILLED_MIN_PERCENT)
        resize(set, set->capacity / 2); /* without memory for that it stays as it is */
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
    set->sorted = hooks_alloc(set->hooks, (set->filled + ADDED_MAX) * sizeof *set->sorted);
    if (set->sorted == NULL)
        return;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i].taken != 0)
            set->sorted[set->sorted_end++] = slot_key(&set->slots[i]);
    assert(set->sorted_end == set->filled);
    qsort(set->sorted, set->sorted_end, sizeof *set->sorted, compare_keys);
}

/* The smallest key >= from by looking at every slot. */
static bool next_key_by_scan(const sparse *set, u128 from, u128 *key) {
    bool found = false;
    for (size_t i = 0; i < set->capacity; i++) {
        u128 one = slot_key(&set->slots[i]);
        if (set->slots[i].taken == 0 || one < from || (found && one >= *key))
            continue;
        *key = one;
        found = true;
    }
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
    while (low < set->sorted_end && leaf_of(set, set->sorted[low]) == 0)
        low++;
    if (from_begin)
        set->sorted_begin = low; /* who walks and releases does not pass these again */
    bool found = low < set->sorted_end;
    if (found)
        *key = set->sorted[low];
    for (size_t i = 0; i < set->added_count; i++) {
        u128 one = set->sorted[set->sorted_end + i];
        if (one < from || (found && one >= *key) || leaf_of(set, one) == 0)
            continue;
        *key = one;
        found = true;
    }
    return found;
}

static bool next_key(sparse *set, u128 from, u128 *key) {
    if (set->filled == 0)
        return false;
    if (set->sorted == NULL)
        sort_keys(set);
    return set->sorted != NULL ? next_key_by_list(set, from, key)
                               : next_key_by_scan(set, from, key);
}

/* --- take, release, look -----------------------------------------------------------------------
 */

int sparse_take(sparse *set, u128 number) {
    assert(number < set->size && exclusion_find(set->excluded, number) == NULL);
    uint64_t bit = bit_of(number);
    if (leaf_of(set, key_of(number)) & bit)
        return IPALLOC_E_TAKEN;
    if (!make_room(set))
        return IPALLOC_E_NOMEM;
    slot *s = &set->slots[position_of(set, key_of(number))];
    if (s->taken == 0) {
        s->key_high = (uint64_t)(key_of(number) >> 64);
        s->key_low = (uint64_t)key_of(number);
        set->filled++;
        note_added(set, key_of(number));
    }
    s->taken |= bit;
    set->taken[side_of(set, number)]++;
    return IPALLOC_OK;
}

bool sparse_release(sparse *set, u128 number) {
    assert(number < set->size);
    if (!sparse_has(set, number))
        return false;
    size_t position = position_of(set, key_of(number));
    set->slots[position].taken &= ~bit_of(number);
    if (set->slots[position].taken == 0) {
        close_up(set, position);
        give_memory_back(set);
        note_gone(set);
    }
    int side = side_of(set, number);
    set->taken[side]--;
    if (number < set->lowest_free[side])
        set->lowest_free[side] = number;
    return true;
}

bool sparse_has(const sparse *set, u128 number) {
    return leaf_of(set, key_of(number)) & bit_of(number);
}

static u128 count_taken(const sparse *set, u128 begin, u128 end) {
    assert((begin == 0 || begin == set->split) && (end == set->split || end == set->size));
    u128 count = 0;
    if (begin < set->split)
        count += set->taken[0];
    if (end > set->split)
        count += set->taken[1];
    return count;
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
    uint64_t leaf = leaf_of(set, key) & bits_between(key, from, U128_MAX);
    if (leaf == 0) {
        if (!next_key(set, key + 1, &key)) /* keys are below 2^122: no wrap */
            return false;
        leaf = leaf_of(set, key);
    }
    *number = (key << 6) + (unsigned)__builtin_ctzll(leaf);
    return true;
}

bool sparse_last_taken(const sparse *set, u128 *number) {
    bool found = false;
    for (size_t i = 0; i < set->capacity; i++) {
        uint64_t leaf = set->slots[i].taken;
        if (leaf == 0)
            continue;
        u128 last = (slot_key(&set->slots[i]) << 6) + 63 - (unsigned)__builtin_clzll(leaf);
        if (!found || last > *number)
            *number = last;
        found = true;
    }
    return found;
}

/* --- picks -------------------------------------------------------------------------------------
 */

static u128 random_below(hooks *h, u128 bound) {
    assert(bound > 0);
    if (bound >> 64 == 0)
        return hooks_random_below(h, (uint64_t)bound);
    unsigned bits = 128 - (unsigned)__builtin_clzll((uint64_t)((bound - 1) >> 64) | 1);
    for (;;) { /* half of the draws at least are below the bound */
        u128 drawn = u128_make(hooks_random(h), hooks_random(h));
        drawn &= bits == 128 ? U128_MAX : ((u128)1 << bits) - 1;
        if (drawn < bound)
            return drawn;
    }
}

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
        uint64_t free = ~leaf_of(set, key) & bits_between(key, from, end - 1);
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
    u128 begin, end;
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
    int side = side_of(set, p->begin);
    u128 from = set->lowest_free[side] > p->begin ? set->lowest_free[side] : p->begin;
    u128 lowest;
    if (!next_free(set, from, p->end, &lowest))
        return false;
    set->lowest_free[side] = lowest;
    return next_unskipped(set, p, lowest, p->end, number);
}

/* Draw until one is free; near the end of the range, take the next one from the last draw on. */
static bool find_random(const sparse *set, hooks *h, const pick *p, u128 candidates, u128 *number) {
    u128 drawn = p->begin;
    for (int i = 0; i < RANDOM_PROBES; i++) {
        drawn = exclusion_nth_included(set->excluded, p->begin, random_below(h, candidates));
        if (sparse_has(set, drawn) || skipped(p, drawn))
            continue;
        *number = drawn;
        return true;
    }
    return next_unskipped(set, p, drawn, p->end, number) ||
           next_unskipped(set, p, p->begin, drawn, number);
}

bool sparse_find_any(sparse *set, hooks *h, enum bitmap_choice choice, u128 begin, u128 end,
                     bool (*skip)(void *context, u128 number), void *context, u128 *number) {
    u128 candidates = end - begin - exclusion_count(set->excluded, begin, end);
    if (candidates == count_taken(set, begin, end))
        return false;
    pick p = {begin, end, skip, context};
    return choice == BITMAP_LOWEST ? find_lowest(set, &p, number)
                                   : find_random(set, h, &p, candidates, number);
}

void sparse_included(sparse *set, u128 first) {
    if (first < set->lowest_free[0])
        set->lowest_free[0] = first;
    u128 from = first > set->split ? first : set->split;
    if (from < set->lowest_free[1])
        set->lowest_free[1] = from;
}

/* --- proof -------------------------------------------------------------------------------------
 */

static bool validate_slot(const sparse *set, size_t position, u128 counts[2]) {
    const slot *s = &set->slots[position];
    u128 key = slot_key(s);
    if (s->key_high >> 58 != 0 || position_of(set, key) != position)
        return false;
    for (uint64_t rest = s->taken; rest != 0; rest &= rest - 1) {
        u128 number = (key << 6) + (unsigned)__builtin_ctzll(rest);
        if (number >= set->size || exclusion_find(set->excluded, number) != NULL)
            return false;
        counts[side_of(set, number)]++;
    }
    return true;
}

static bool nothing_free_below_hint(const sparse *set, int side) {
    u128 begin = side == 0 ? 0 : set->split;
    u128 number;
    return !next_free(set, begin, set->lowest_free[side], &number);
}

bool sparse_validate(const sparse *set) {
    u128 counts[2] = {0, 0};
    size_t filled = 0;
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i].taken == 0)
            continue;
        filled++;
        if (!validate_slot(set, i, counts))
            return false;
    }
    return filled == set->filled && counts[0] == set->taken[0] && counts[1] == set->taken[1] &&
           nothing_free_below_hint(set, 0) && nothing_free_below_hint(set, 1);
}
