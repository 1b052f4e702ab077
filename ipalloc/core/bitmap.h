/*
 * bitmap.h: the concurrent bitmap: claim, release, find. Knows numbers 0..size-1, nothing of
 * addresses.
 *
 * Structure: leaves of 64-bit words, 1 = free, eight to a cache line; above them summary words,
 * each with 32 flags ("this line may have room") and a 32-bit version; one root word at the top. A
 * claim is one read-modify-write on a leaf word; a release sets its bit and then any flag above it
 * that is clear, counting the version up; whoever finds or leaves a line empty clears its flag and
 * looks again. FULL is proved: no flag set, no leaf bit seen, and no version moved meanwhile.
 *
 * Random claims: every free number of the band can come. In a steady flow of random claims and
 * releases a number that was just released comes back at once 0.9 to 1.2 times as often as under
 * uniform choice, and two claims collide 1.04 to 1.13 times as often (2^16 at 50 to 99 % full;
 * range/returned-at-once and range/spread of the benchmark). Below that, where hardly anything is
 * free, lines are drawn and not numbers: a lone free number among full lines comes as often as a
 * whole line that is free.
 *
 * Memory: 1.004 bits a number from 2^16 on. No allocation after creation. Lock-free.
 * A "band" is a half-open interval [begin, end); all claims of one bitmap share one proof of FULL.
 */
#ifndef IPALLOC_CORE_BITMAP_H
#define IPALLOC_CORE_BITMAP_H

#include "base/hooks.h"

#define BITMAP_SIZE_MAX ((uint64_t)1 << 24)

typedef struct bitmap bitmap;

/* Every number free. size 0..BITMAP_SIZE_MAX. NULL when out of memory. */
bitmap *bitmap_create(const hooks *h, uint64_t size);
void bitmap_destroy(const hooks *h, bitmap *map);

/* Take this number. false: it was taken already. */
bool bitmap_take(bitmap *map, uint64_t number);

/* Give it back. false: it was free already; nothing changed. */
bool bitmap_release(bitmap *map, uint64_t number);

bool bitmap_is_taken(const bitmap *map, uint64_t number);

/* How to choose within a band. */
enum bitmap_choice { BITMAP_RANDOM, BITMAP_LOWEST };

/* Claim some free number of [begin, end). `h` gives the random numbers. false: none was found; this
 * is a hint, not a proof, when others claim and release at the same time. */
bool bitmap_claim_any(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                      uint64_t end, uint64_t *number);

/* A half-open interval of numbers, prepared for claims. */
typedef struct bitmap_band {
    uint64_t first, last, words; /* both ends included, and how many */
    uint64_t first_mask, last_mask;
    bool empty;
    bool is_rest; /* it ends where the map ends */
} bitmap_band;

bitmap_band bitmap_band_of(const bitmap *map, uint64_t begin, uint64_t end);

/* As bitmap_claim_any, without a detour: the number, or BITMAP_NONE. */
#define BITMAP_NONE UINT64_MAX
uint64_t bitmap_claim_random(bitmap *map, hooks *h, const bitmap_band *band);
uint64_t bitmap_claim_lowest(bitmap *map, const bitmap_band *band);

/* The same choice without claiming. Numbers for which `skip` (may be NULL) says true are passed
 * over. */
bool bitmap_find_any(const bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                     uint64_t end, bool (*skip)(void *context, uint64_t number), void *context,
                     uint64_t *number);

/* Prove that at some instant during this call no number was free. On true, *stamp can be handed to
 * bitmap_still_full. On false, *number is a number that was seen free. */
bool bitmap_prove_full(bitmap *map, uint64_t *stamp, uint64_t *number);

/* Was the map full without interruption since the proof that gave `stamp`? One load. */
bool bitmap_still_full(const bitmap *map, uint64_t stamp);

/* The smallest taken (or free) number >= from and < end; false if there is none. */
bool bitmap_next_taken(const bitmap *map, uint64_t from, uint64_t end, uint64_t *number);
bool bitmap_next_free(const bitmap *map, uint64_t from, uint64_t end, uint64_t *number);

/* Free numbers in [begin, end): exact when nothing else runs. */
uint64_t bitmap_count_free(const bitmap *map, uint64_t begin, uint64_t end);

/* Taken numbers as 64-bit words: bit i of word w is number 64w+i. For snapshots. */
uint64_t bitmap_taken_word(const bitmap *map, uint64_t word_index);

/* The same for the numbers below 8 length, as one big-endian number of `length` bytes. */
void bitmap_write_taken(const bitmap *map, uint8_t *out, size_t length);

/* Claim up to `wanted` free numbers of [begin, end) at once; returns how many. They come in order,
 * from a random number on and around the end, or from the lowest on. Fewer than wanted is a hint
 * that there are no more, as in bitmap_claim_any. */
size_t bitmap_claim_many(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                         uint64_t end, size_t wanted, uint64_t *numbers);

/* The same, a word at a time: `take` is told which numbers 64 word + i were claimed, as bits i. */
typedef void (*bitmap_take_bits)(void *context, uint64_t word, uint64_t bits);
size_t bitmap_claim_words(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t begin,
                          uint64_t end, size_t wanted, bitmap_take_bits take, void *context);

/* Give back numbers of one word at once: bit i of `numbers` is number 64 word + i. Returns those
 * that were taken. */
uint64_t bitmap_release_word(bitmap *map, uint64_t word, uint64_t numbers);

/* Claim a whole block [first + i size, first + (i + 1) size) within [first, end), from a random one
 * on or the lowest. Returns its first number, or BITMAP_NONE, which is no proof. While it looks,
 * others may see numbers taken that are given back at once. */
uint64_t bitmap_claim_block(bitmap *map, hooks *h, enum bitmap_choice choice, uint64_t first,
                            uint64_t end, uint64_t size);

/* Inner invariants, when nothing else runs: every free leaf bit has all its flags set, no bit
 * beyond size is free. */
bool bitmap_validate(const bitmap *map);

#endif
