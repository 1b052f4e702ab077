/*
 * atomic_count.h: base/atomic.h for test_bitmap_cost.c: plain words, and every operation counted.
 *
 * What an operation of the bitmap costs is how many words it reads and how many it changes with one
 * read-modify-write; both are exact, whatever the machine is doing.
 */
#ifndef IPALLOC_TEST_ATOMIC_COUNT_H
#define IPALLOC_TEST_ATOMIC_COUNT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct atomic_word {
    uint64_t value;
} atomic_word;

extern uint64_t counted_loads, counted_changes;

static inline void atomic_word_init(atomic_word *word, uint64_t value) {
    word->value = value;
}

static inline uint64_t counted_load(const atomic_word *word) {
    counted_loads++;
    return word->value;
}

static inline uint64_t counted_change(atomic_word *word, uint64_t value) {
    uint64_t before = word->value;
    counted_changes++;
    word->value = value;
    return before;
}

static inline uint64_t atomic_load_relaxed(const atomic_word *word) {
    return counted_load(word);
}

static inline uint64_t atomic_load_acquire(const atomic_word *word) {
    return counted_load(word);
}

static inline uint64_t atomic_load_seq(const atomic_word *word) {
    return counted_load(word);
}

static inline void atomic_store_relaxed(atomic_word *word, uint64_t value) {
    word->value = value;
}

static inline void atomic_store_release(atomic_word *word, uint64_t value) {
    word->value = value;
}

static inline bool atomic_cas_seq(atomic_word *word, uint64_t *expected, uint64_t desired) {
    bool same = word->value == *expected;
    *expected = counted_change(word, same ? desired : word->value);
    return same;
}

static inline bool atomic_cas_weak_seq(atomic_word *word, uint64_t *expected, uint64_t desired) {
    return atomic_cas_seq(word, expected, desired);
}

static inline uint64_t atomic_or_seq(atomic_word *word, uint64_t bits) {
    return counted_change(word, word->value | bits);
}

static inline uint64_t atomic_and_seq(atomic_word *word, uint64_t bits) {
    return counted_change(word, word->value & bits);
}

static inline uint64_t atomic_add_seq(atomic_word *word, uint64_t amount) {
    return counted_change(word, word->value + amount);
}

static inline uint64_t atomic_add_relaxed(atomic_word *word, uint64_t amount) {
    return counted_change(word, word->value + amount);
}

#endif
