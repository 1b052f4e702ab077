/*
 * hooks.h: memory, clocks, random numbers and log lines, through what the program plugged in.
 *
 * A handle resolves the caller's hooks once, when it is made, and keeps the result; nobody else in
 * the library calls malloc, a clock or getrandom. The default random source lives in the handle
 * too: striped states without locks or read-modify-writes, so that threads neither wait for one
 * another nor share one global generator. A lost update on a stripe only repeats a number, which is
 * harmless: every pick is validated by an atomic operation.
 */
#ifndef IPALLOC_BASE_HOOKS_H
#define IPALLOC_BASE_HOOKS_H

#include "base/atomic.h"
#include "base/u128.h"
#include <ipalloc/status.h>

enum { RANDOM_STRIPES = 16 };

typedef struct random_stripe {
    _Alignas(64) atomic_word state;
} random_stripe;

typedef struct hooks {
    ipalloc_hooks user; /* every function member set */
    bool own_random;    /* use the stripes rather than user.random */
    random_stripe stripes[RANDOM_STRIPES];
} hooks;

/* Fill `out` from the caller's hooks (NULL: all defaults). OK, or INVALID for a bad size or for
 * memory functions that do not come together. `out` must not move afterwards while in use. */
int hooks_init(hooks *out, const ipalloc_hooks *user, ipalloc_error *error);

/* Memory. NULL when there is none; zeroed where the name says so. Sizes are bytes. */
void *hooks_alloc(const hooks *h, size_t bytes);
void *hooks_alloc_zeroed(const hooks *h, size_t bytes);
void *hooks_realloc(const hooks *h, void *memory, size_t bytes);
void hooks_free(const hooks *h, void *memory);
char *hooks_strdup(const hooks *h, const char *text);

uint64_t hooks_wall_ms(const hooks *h);
uint64_t hooks_monotonic_ms(const hooks *h);
/* Nanoseconds for pacing our own waits on the disk. Not hooked: no result may depend on it. */
uint64_t hooks_pacing_ns(void);
void hooks_log(const hooks *h, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

uint64_t hooks_random_hooked(hooks *h); /* the slow way out of the next function */

static inline uint64_t random_mix(uint64_t x) { /* the finalizer of splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A linear congruential generator (Knuth's MMIX multiplier): what it returns was computed the time
 * before, so that nobody waits for a multiplication. Its high bits are as good as random placement
 * needs; bit i by itself repeats after 2^(i+1) draws. */
static inline uint64_t hooks_random_own(hooks *h) {
    uint64_t thread = (uint64_t)(uintptr_t)__builtin_thread_pointer();
    atomic_word *state = &h->stripes[(thread >> 12 ^ thread >> 20) % RANDOM_STRIPES].state;
    uint64_t drawn = atomic_load_relaxed(state);
    atomic_store_relaxed(state, drawn * 6364136223846793005u + 1442695040888963407u);
    return drawn;
}

/* 64 bits of which the high ones are uniform: for choices by multiplication. */
static inline uint64_t hooks_random_high(hooks *h) {
    return h->own_random ? hooks_random_own(h) : hooks_random_hooked(h);
}

/* 64 uniform bits. */
static inline uint64_t hooks_random(hooks *h) {
    return h->own_random ? random_mix(hooks_random_own(h)) : hooks_random_hooked(h);
}

/* Uniform below `bound` (> 0), without division in the usual case. */
uint64_t hooks_random_below(hooks *h, uint64_t bound);
u128 hooks_random_below_u128(hooks *h, u128 bound);

#endif
