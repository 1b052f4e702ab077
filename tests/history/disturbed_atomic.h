/*
 * disturbed_atomic.h: base/atomic.h with a moment's wait before some of the operations.
 *
 * The operations are the real ones, under other names, so that memory orders stay what they are;
 * the waits open the windows between two of them wide enough for a few processors to meet there.
 */
#ifndef IPALLOC_TEST_DISTURBED_ATOMIC_H
#define IPALLOC_TEST_DISTURBED_ATOMIC_H

#undef IPALLOC_BASE_ATOMIC_H
#undef IPALLOC_ATOMIC_HEADER
#define atomic_load_relaxed  real_load_relaxed
#define atomic_load_acquire  real_load_acquire
#define atomic_load_seq      real_load_seq
#define atomic_store_relaxed real_store_relaxed
#define atomic_store_release real_store_release
#define atomic_store_seq     real_store_seq
#define atomic_cas_weak_seq  real_cas_weak_seq
#define atomic_cas_seq       real_cas_seq
#define atomic_or_seq        real_or_seq
#define atomic_and_seq       real_and_seq
#define atomic_add_seq       real_add_seq
#include "base/atomic.h"
#undef atomic_load_relaxed
#undef atomic_load_acquire
#undef atomic_load_seq
#undef atomic_store_relaxed
#undef atomic_store_release
#undef atomic_store_seq
#undef atomic_cas_weak_seq
#undef atomic_cas_seq
#undef atomic_or_seq
#undef atomic_and_seq
#undef atomic_add_seq

void history_disturb(void); /* in recorder.c */

#define DISTURBED(type, name, parameters, arguments) \
    static inline type atomic_##name parameters {    \
        history_disturb();                           \
        return real_##name arguments;                \
    }

DISTURBED(uint64_t, load_relaxed, (const atomic_word *word), (word))
DISTURBED(uint64_t, load_acquire, (const atomic_word *word), (word))
DISTURBED(uint64_t, load_seq, (const atomic_word *word), (word))
DISTURBED(bool, cas_weak_seq, (atomic_word * word, uint64_t *seen, uint64_t value),
          (word, seen, value))
DISTURBED(bool, cas_seq, (atomic_word * word, uint64_t *seen, uint64_t value), (word, seen, value))
DISTURBED(uint64_t, or_seq, (atomic_word * word, uint64_t bits), (word, bits))
DISTURBED(uint64_t, and_seq, (atomic_word * word, uint64_t bits), (word, bits))
DISTURBED(uint64_t, add_seq, (atomic_word * word, uint64_t amount), (word, amount))

static inline void atomic_store_relaxed(atomic_word *word, uint64_t value) {
    history_disturb();
    real_store_relaxed(word, value);
}

static inline void atomic_store_release(atomic_word *word, uint64_t value) {
    history_disturb();
    real_store_release(word, value);
}

static inline void atomic_store_seq(atomic_word *word, uint64_t value) {
    history_disturb();
    real_store_seq(word, value);
}

#endif
