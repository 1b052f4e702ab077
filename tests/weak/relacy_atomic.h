/*
 * relacy_atomic.h: base/atomic.h for Relacy, the weak-memory checker. C++.
 *
 * Every operation becomes the same one on an rl::atomic, with the order that base/atomic.h gives
 * it, and with the caller's function and line, so that a history reads like the source. A weakening
 * replaces the order of one kind of operation, everywhere or on one line only: the checker must
 * notice.
 *
 * An atomic_word must be one word, and an rl::atomic is larger, so the word holds a pointer to it.
 */
#ifndef IPALLOC_TEST_RELACY_ATOMIC_H
#define IPALLOC_TEST_RELACY_ATOMIC_H

#include <relacy/relacy.hpp>

/* Relacy takes these words from the language; bitmap.c needs them back. */
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

/* C that C++ spells otherwise. */
#define _Static_assert static_assert
#define _Alignas alignas

#include "weak.h"

typedef rl::atomic<uint64_t> relacy_cell;

typedef struct atomic_word {
    relacy_cell *cell;
} atomic_word;

/* A place for the cell of a new word, and whether spurious failures are wanted. */
void *relacy_new_cell(void);
bool relacy_spurious_failures(void);
/* The order of this operation: `usual`, which is that of base/atomic.h, unless it is weakened. */
rl::memory_order relacy_order(enum weak_kind kind, rl::memory_order usual, const char *function,
                              unsigned line);

/* The caller, as Relacy wants to know it. */
#define RELACY_CALLER             const char *function = __builtin_FUNCTION(), unsigned line = __builtin_LINE()
#define RELACY_PLACE              rl::debug_info(function, "bitmap.c", line)
#define RELACY_ORDER(kind, usual) relacy_order(kind, usual, function, line)

static inline void atomic_word_init(atomic_word *word, uint64_t value, RELACY_CALLER) {
    word->cell = new (relacy_new_cell()) relacy_cell;
    word->cell->store(value, rl::mo_relaxed, RELACY_PLACE);
}

static inline uint64_t atomic_load_relaxed(const atomic_word *word, RELACY_CALLER) {
    return word->cell->load(RELACY_ORDER(WEAK_LOAD_RELAXED, rl::mo_relaxed), RELACY_PLACE);
}

static inline uint64_t atomic_load_acquire(const atomic_word *word, RELACY_CALLER) {
    return word->cell->load(RELACY_ORDER(WEAK_LOAD_ACQUIRE, rl::mo_acquire), RELACY_PLACE);
}

static inline uint64_t atomic_load_seq(const atomic_word *word, RELACY_CALLER) {
    return word->cell->load(RELACY_ORDER(WEAK_LOAD_SEQ, rl::mo_seq_cst), RELACY_PLACE);
}

static inline void atomic_store_relaxed(atomic_word *word, uint64_t value, RELACY_CALLER) {
    word->cell->store(value, RELACY_ORDER(WEAK_STORE_RELAXED, rl::mo_relaxed), RELACY_PLACE);
}

static inline void atomic_store_seq(atomic_word *word, uint64_t value, RELACY_CALLER) {
    word->cell->store(value, RELACY_ORDER(WEAK_STORE_SEQ, rl::mo_seq_cst), RELACY_PLACE);
}

static inline void atomic_store_release(atomic_word *word, uint64_t value, RELACY_CALLER) {
    word->cell->store(value, RELACY_ORDER(WEAK_STORE_RELEASE, rl::mo_release), RELACY_PLACE);
}

static inline bool atomic_cas_seq(atomic_word *word, uint64_t *expected, uint64_t desired,
                                  RELACY_CALLER) {
    return word->cell->compare_exchange(
        rl::bool_t<false>(), *expected, desired, RELACY_ORDER(WEAK_CAS_SEQ, rl::mo_seq_cst),
        RELACY_ORDER(WEAK_CAS_FAILED, rl::mo_acquire), RELACY_PLACE);
}

static inline bool atomic_cas_weak_seq(atomic_word *word, uint64_t *expected, uint64_t desired,
                                       RELACY_CALLER) {
    if (!relacy_spurious_failures())
        return atomic_cas_seq(word, expected, desired, function, line);
    return word->cell->compare_exchange(
        rl::bool_t<true>(), *expected, desired, RELACY_ORDER(WEAK_CAS_SEQ, rl::mo_seq_cst),
        RELACY_ORDER(WEAK_CAS_FAILED, rl::mo_acquire), RELACY_PLACE);
}

static inline uint64_t atomic_or_seq(atomic_word *word, uint64_t bits, RELACY_CALLER) {
    return word->cell->fetch_or(bits, RELACY_ORDER(WEAK_OR_SEQ, rl::mo_seq_cst), RELACY_PLACE);
}

static inline uint64_t atomic_and_seq(atomic_word *word, uint64_t bits, RELACY_CALLER) {
    return word->cell->fetch_and(bits, RELACY_ORDER(WEAK_AND_SEQ, rl::mo_seq_cst), RELACY_PLACE);
}

static inline uint64_t atomic_add_seq(atomic_word *word, uint64_t amount, RELACY_CALLER) {
    return word->cell->fetch_add(amount, RELACY_ORDER(WEAK_ADD_SEQ, rl::mo_seq_cst), RELACY_PLACE);
}

static inline uint64_t atomic_add_relaxed(atomic_word *word, uint64_t amount, RELACY_CALLER) {
    return word->cell->fetch_add(amount, RELACY_ORDER(WEAK_ADD_RELAXED, rl::mo_relaxed),
                                 RELACY_PLACE);
}

#endif
