/*
 * plain_atomic.h: base/atomic.h for readers that know no atomics: one thread, plain words.
 */
#ifndef IPALLOC_TEST_PLAIN_ATOMIC_H
#define IPALLOC_TEST_PLAIN_ATOMIC_H
#include <stdbool.h>
#include <stdint.h>
typedef struct atomic_word {
    uint64_t value;
} atomic_word;
typedef struct atomic_word32 {
    uint32_t value;
} atomic_word32;
static inline void atomic_word_init(atomic_word *w, uint64_t v) {
    w->value = v;
}
static inline uint64_t atomic_load_relaxed(const atomic_word *w) {
    return w->value;
}
static inline uint64_t atomic_load_acquire(const atomic_word *w) {
    return w->value;
}
static inline uint64_t atomic_load_seq(const atomic_word *w) {
    return w->value;
}
static inline void atomic_store_relaxed(atomic_word *w, uint64_t v) {
    w->value = v;
}
static inline void atomic_store_release(atomic_word *w, uint64_t v) {
    w->value = v;
}
static inline bool atomic_cas_weak_seq(atomic_word *w, uint64_t *e, uint64_t d) {
    if (w->value == *e) {
        w->value = d;
        return true;
    }
    *e = w->value;
    return false;
}
static inline bool atomic_cas_seq(atomic_word *w, uint64_t *e, uint64_t d) {
    return atomic_cas_weak_seq(w, e, d);
}
static inline uint64_t atomic_or_seq(atomic_word *w, uint64_t b) {
    uint64_t o = w->value;
    w->value |= b;
    return o;
}
static inline uint64_t atomic_and_seq(atomic_word *w, uint64_t b) {
    uint64_t o = w->value;
    w->value &= b;
    return o;
}
static inline uint64_t atomic_add_seq(atomic_word *w, uint64_t b) {
    uint64_t o = w->value;
    w->value += b;
    return o;
}
static inline uint64_t atomic_add_relaxed(atomic_word *w, uint64_t b) {
    return atomic_add_seq(w, b);
}
#endif
