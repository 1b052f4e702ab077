/*
 * atomic.h: the only place where atomics are spelled.
 *
 * Everything concurrent goes through these functions, so that the very same source can be compiled
 * with other definitions: IPALLOC_ATOMIC_HEADER names a header that replaces them (an explorer that
 * makes each operation a choice point, or a weak-memory checker). There are no stand-alone fences:
 * ThreadSanitizer cannot see them; order sits on the operation itself.
 *
 * Orders offered: relaxed for hints that a later operation validates, acquire/release for
 * publication, seq_cst where two sides each write one word and read the other's.
 */
#ifndef IPALLOC_BASE_ATOMIC_H
#define IPALLOC_BASE_ATOMIC_H

#ifdef IPALLOC_ATOMIC_HEADER
#include IPALLOC_ATOMIC_HEADER
#else

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct atomic_word {
    _Atomic uint64_t value;
} atomic_word;

static inline void atomic_word_init(atomic_word *word, uint64_t value) {
    atomic_init(&word->value, value);
}

static inline uint64_t atomic_load_relaxed(const atomic_word *word) {
    return atomic_load_explicit(&word->value, memory_order_relaxed);
}

static inline uint64_t atomic_load_acquire(const atomic_word *word) {
    return atomic_load_explicit(&word->value, memory_order_acquire);
}

static inline uint64_t atomic_load_seq(const atomic_word *word) {
    return atomic_load_explicit(&word->value, memory_order_seq_cst);
}

static inline void atomic_store_relaxed(atomic_word *word, uint64_t value) {
    atomic_store_explicit(&word->value, value, memory_order_relaxed);
}

static inline void atomic_store_release(atomic_word *word, uint64_t value) {
    atomic_store_explicit(&word->value, value, memory_order_release);
}

static inline void atomic_store_seq(atomic_word *word, uint64_t value) {
    atomic_store_explicit(&word->value, value, memory_order_seq_cst);
}

/* Compare and swap; may fail spuriously; *expected gets what was there on failure, acquired: who
 * learns so that a number is taken is ordered after the one who took it. */
static inline bool atomic_cas_weak_seq(atomic_word *word, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_weak_explicit(&word->value, expected, desired,
                                                 memory_order_seq_cst, memory_order_acquire);
}

static inline bool atomic_cas_seq(atomic_word *word, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_strong_explicit(&word->value, expected, desired,
                                                   memory_order_seq_cst, memory_order_acquire);
}

/* Each returns the value before. */
static inline uint64_t atomic_or_seq(atomic_word *word, uint64_t bits) {
    return atomic_fetch_or_explicit(&word->value, bits, memory_order_seq_cst);
}

static inline uint64_t atomic_and_seq(atomic_word *word, uint64_t bits) {
    return atomic_fetch_and_explicit(&word->value, bits, memory_order_seq_cst);
}

static inline uint64_t atomic_add_seq(atomic_word *word, uint64_t amount) {
    return atomic_fetch_add_explicit(&word->value, amount, memory_order_seq_cst);
}

static inline uint64_t atomic_add_relaxed(atomic_word *word, uint64_t amount) {
    return atomic_fetch_add_explicit(&word->value, amount, memory_order_relaxed);
}

/* A 32-bit word that the kernel can wait on (a futex). */
typedef struct atomic_word32 {
    _Atomic uint32_t value;
} atomic_word32;

static inline void atomic32_init(atomic_word32 *word, uint32_t value) {
    atomic_init(&word->value, value);
}

static inline uint32_t atomic32_load_relaxed(const atomic_word32 *word) {
    return atomic_load_explicit(&word->value, memory_order_relaxed);
}

static inline uint32_t atomic32_load_acquire(const atomic_word32 *word) {
    return atomic_load_explicit(&word->value, memory_order_acquire);
}

static inline void atomic32_store_release(atomic_word32 *word, uint32_t value) {
    atomic_store_explicit(&word->value, value, memory_order_release);
}

/* *expected gets what was there on failure. */
static inline bool atomic32_cas_acquire(atomic_word32 *word, uint32_t *expected, uint32_t desired) {
    return atomic_compare_exchange_strong_explicit(&word->value, expected, desired,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Each returns the value before. */
static inline uint32_t atomic32_exchange_acquire(atomic_word32 *word, uint32_t value) {
    return atomic_exchange_explicit(&word->value, value, memory_order_acquire);
}

static inline uint32_t atomic32_exchange_release(atomic_word32 *word, uint32_t value) {
    return atomic_exchange_explicit(&word->value, value, memory_order_release);
}

#endif
#endif
