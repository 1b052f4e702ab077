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
#include <stddef.h>
#include <stdint.h>

/* ThreadSanitizer takes a vector for one plain read, which races with the atomics of others. */
#if defined(__SANITIZE_THREAD__)
#define BITS_NO_VECTORS
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BITS_NO_VECTORS
#endif
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(BITS_NO_VECTORS)
#define BITS_HAVE_FAST
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

/* Write the complement of 4 `fours` words, of which the first is aligned to a cache line, as one
 * big-endian number that ends before `end`. Hints, as above. */
BITS_FAST static inline void bits_write_not_fast(const void *words, size_t fours, uint8_t *end) {
    const __m256i ones = _mm256_set1_epi64x(-1);
    const __m256i backwards =
        _mm256_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11,
                         10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    for (size_t i = 0; i < fours; i++) {
        __m256i four = _mm256_xor_si256(_mm256_load_si256((const __m256i *)words + i), ones);
        four = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(four, backwards), 0x4e);
        end -= sizeof four;
        _mm256_storeu_si256((__m256i *)(void *)end, four);
    }
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

#ifndef BITS_HAVE_FAST
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

static inline void bits_write_not_fast(const void *words, size_t fours, uint8_t *end) {
    for (size_t i = 0; i < 4 * fours; i++)
        for (unsigned byte = 0; byte < 8; byte++)
            *--end = (uint8_t) ~(((const uint64_t *)words)[i] >> 8 * byte);
}
#endif

#endif
