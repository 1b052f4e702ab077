/*
 * contracts.c: the real bitmap with contracts for its index arithmetic, for Frama-C's WP.
 *
 * For all values within the preconditions: no shift by a word's width, no read or write beside its
 * object, no division by zero, and what the contracts say. What a mask selects is proved in
 * band.smt2. Parsed with plain_atomic.h; never compiled. WRONG denies one contract on purpose.
 */
#include <stdbool.h>
#include <stdint.h>

int __builtin_ctzll(unsigned long long word);
void *__builtin_thread_pointer(void);

#include "core/bitmap.c"
#if __has_include("core/bitmap_claim.c")
#include "core/bitmap_claim.c"
#endif

#ifdef WRONG
#define FLAG_BELOW 31
#else
#define FLAG_BELOW 32
#endif

/*@ requires by > 0 && amount + by - 1 <= 0xffffffffffffffff;
    assigns \nothing;
    ensures \result <= amount; */
static uint64_t divide_up(uint64_t amount, uint64_t by);

/*@ requires \valid_read(&map->size) && map->size <= 0x7fffffffffffffff && word < 0x100000000000000;
    assigns \nothing;
    ensures (word + 1) * 64 <= map->size ==> \result == 0xffffffffffffffff;
    ensures word * 64 >= map->size ==> \result == 0; */
static inline uint64_t valid_bits(const bitmap *map, uint64_t word);

/*@ assigns \nothing;
    ensures \result == 1 << (index % FLAG_BELOW); */
static inline uint64_t flag_of(uint64_t index);

#if __has_include("core/bitmap_private.h")

/*@ requires \valid_read(&map->size) && begin <= end <= map->size;
    assigns \nothing;
    ensures \result.empty <==> begin == end;
    ensures begin < end ==> \result.first == begin / 64;
    ensures begin < end ==> \result.last == (end - 1) / 64;
    ensures begin < end ==> \result.words == \result.last - \result.first + 1; */
bitmap_band bitmap_band_of(const bitmap *map, uint64_t begin, uint64_t end);

/*@ assigns \nothing;
    ensures condition == 1 ==> \result == 0xffffffffffffffff;
    ensures condition == 0 ==> \result == 0; */
static inline uint64_t every_bit_if(bool condition);

/*@ requires \valid_read(b);
    assigns \nothing;
    ensures word < b->first || word > b->last ==> \result == 0; */
static inline uint64_t within_band(const bitmap_band *b, uint64_t word, uint64_t room);

/*@ requires begin < end <= 0x7fffffffffffffff && begin / 64 <= word && word * 64 < end;
    assigns \nothing; */
static uint64_t block_mask(uint64_t word, uint64_t begin, uint64_t end);

#else

/*@ requires \valid_read(map) && \valid(out) && \separated(map, out) && end <= map->size;
    assigns *out;
    ensures \result <==> begin < end;
    ensures \result ==> out->first == begin / 64 && out->last == (end - 1) / 64;
    ensures \result ==> out->first <= out->last; */
static bool band_make(const bitmap *map, uint64_t begin, uint64_t end, band *out);

/*@ requires \valid_read(b);
    assigns \nothing;
    ensures b->first < word < b->last ==> \result == 0xffffffffffffffff; */
static inline uint64_t band_mask(const band *b, uint64_t word);

/*@ requires 0 < bound <= 0xffffffff;
    assigns \nothing;
    ensures \result < bound; */
static inline uint64_t scaled(uint64_t random, uint64_t bound);

#endif
