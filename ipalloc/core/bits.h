/*
 * bits.h: counting and selecting the set bits of a 64-bit word.
 *
 * Two forms of each: plain C, and one for processors with popcnt and pdep. The caller asks
 * bits_fast_supported() once and keeps the answer; functions that use the fast form carry the
 * attribute BITS_FAST. Both forms give the same results, and both are tested.
 */
#ifndef IPALLOC_CORE_BITS_H
#define IPALLOC_CORE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define BITS_FAST __attribute__((target("popcnt,bmi,bmi2,avx2")))

/* Zen 1 and 2 have pdep, in microcode that takes longer than the plain form. */
static inline bool bits_fast_supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("avx2") && !__builtin_cpu_is("znver1") &&
           !__builtin_cpu_is("znver2");
}

BITS_FAST static inline unsigned bits_count_fast(uint64_t word) {
    return (unsigned)__builtin_popcountll(word);
}

BITS_FAST static inline unsigned bits_select_fast(uint64_t word, unsigned rank) {
    return (unsigned)__builtin_ctzll(_pdep_u64((uint64_t)1 << rank, word));
}

/* Which of eight words, aligned to a cache line, are not 0. No atomic read: a hint, each word as it
 * was at some instant. */
BITS_FAST static inline unsigned bits_nonzero_fast(const void *words) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i *halves = words;
    __m256i low = _mm256_cmpeq_epi64(_mm256_load_si256(&halves[0]), zero);
    __m256i high = _mm256_cmpeq_epi64(_mm256_load_si256(&halves[1]), zero);
    unsigned zeros = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(low)) |
                     (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(high)) << 4;
    return ~zeros & 0xff;
}
#else
#define BITS_FAST
static inline bool bits_fast_supported(void) {
    return false;
}
#endif

#define BITS_EVERY_BYTE ((uint64_t)0x0101010101010101)

/* The number of set bits of every byte, each in its byte. */
static inline uint64_t bits_count_bytes(uint64_t word) {
    word -= word >> 1 & 0x55 * BITS_EVERY_BYTE;
    word = (word & 0x33 * BITS_EVERY_BYTE) + (word >> 2 & 0x33 * BITS_EVERY_BYTE);
    return (word + (word >> 4)) & 0x0f * BITS_EVERY_BYTE;
}

static inline unsigned bits_count_plain(uint64_t word) {
    return (unsigned)(bits_count_bytes(word) * BITS_EVERY_BYTE >> 56);
}

/* The place of the set bit that has `rank` set bits below it; rank < the number of set bits. */
static inline unsigned bits_select_plain(uint64_t word, unsigned rank) {
    /* Byte i of `upto` counts the bits of bytes 0..i: at most 64, so bit 7 is free to catch the
     * result of comparing all eight with the rank at once. */
    uint64_t upto = bits_count_bytes(word) * BITS_EVERY_BYTE;
    uint64_t passed = ((rank * BITS_EVERY_BYTE | 0x80 * BITS_EVERY_BYTE) - upto) >> 7;
    unsigned byte = (unsigned)((passed & BITS_EVERY_BYTE) * BITS_EVERY_BYTE >> 56);
    rank -= (unsigned)(upto << 8 >> 8 * byte & 0xff);
    uint64_t rest = word >> 8 * byte;
    while (rank-- > 0)
        rest &= rest - 1;
    return 8 * byte + (unsigned)__builtin_ctzll(rest);
}

#ifndef __x86_64__
static inline unsigned bits_count_fast(uint64_t word) {
    return bits_count_plain(word);
}

static inline unsigned bits_select_fast(uint64_t word, unsigned rank) {
    return bits_select_plain(word, rank);
}

static inline unsigned bits_nonzero_fast(const void *words) {
    unsigned mask = 0;
    for (unsigned i = 0; i < 8; i++)
        mask |= (unsigned)(((const uint64_t *)words)[i] != 0) << i;
    return mask;
}
#endif

#endif
