/*
 * atomic_hook.h: base/atomic.h for the explorer: plain words, and every operation a choice point.
 *
 * explorer_step() may switch to another coroutine before the operation; explorer_saw() tells the
 * scheduler what the operation returned, which is all that a thread can learn from the others.
 */
#ifndef IPALLOC_TEST_ATOMIC_HOOK_H
#define IPALLOC_TEST_ATOMIC_HOOK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct atomic_word {
    uint64_t value;
} atomic_word;

void explorer_step(void);
void explorer_saw(uint64_t value);

static inline void atomic_word_init(atomic_word *word, uint64_t value) {
    word->value = value;
}

static inline uint64_t explorer_load(const atomic_word *word) {
    explorer_step();
    explorer_saw(word->value);
    return word->value;
}

static inline void explorer_store(atomic_word *word, uint64_t value) {
    explorer_step();
    explorer_saw(0); /* nothing, but it is one step further: the value may be what was there */
    word->value = value;
}

static inline uint64_t explorer_swap(atomic_word *word, uint64_t seen, uint64_t value) {
    explorer_saw(seen);
    word->value = value;
    return seen;
}

static inline uint64_t atomic_load_relaxed(const atomic_word *word) {
    return explorer_load(word);
}

static inline uint64_t atomic_load_acquire(const atomic_word *word) {
    return explorer_load(word);
}

static inline uint64_t atomic_load_seq(const atomic_word *word) {
    return explorer_load(word);
}

static inline void atomic_store_relaxed(atomic_word *word, uint64_t value) {
    explorer_store(word, value);
}

static inline void atomic_store_release(atomic_word *word, uint64_t value) {
    explorer_store(word, value);
}

static inline void atomic_store_seq(atomic_word *word, uint64_t value) {
    explorer_store(word, value);
}

static inline bool atomic_cas_seq(atomic_word *word, uint64_t *expected, uint64_t desired) {
    explorer_step();
    uint64_t wanted = *expected;
    *expected = explorer_swap(word, word->value, word->value == wanted ? desired : word->value);
    return *expected == wanted;
}

static inline bool atomic_cas_weak_seq(atomic_word *word, uint64_t *expected, uint64_t desired) {
    return atomic_cas_seq(word, expected, desired);
}

static inline uint64_t atomic_or_seq(atomic_word *word, uint64_t bits) {
    explorer_step();
    return explorer_swap(word, word->value, word->value | bits);
}

static inline uint64_t atomic_and_seq(atomic_word *word, uint64_t bits) {
    explorer_step();
    return explorer_swap(word, word->value, word->value & bits);
}

static inline uint64_t atomic_add_seq(atomic_word *word, uint64_t amount) {
    explorer_step();
    return explorer_swap(word, word->value, word->value + amount);
}

static inline uint64_t atomic_add_relaxed(atomic_word *word, uint64_t amount) {
    return atomic_add_seq(word, amount);
}

#endif
