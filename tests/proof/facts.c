/*
 * facts.c: what the C functions return, as terms for z3: one "FILE.smt2 TERM" a line.
 *
 * run.py checks them against the definitions of that file, so that a proof about the definitions
 * speaks of this code. Boundaries and mixed values, the same in every run.
 */
#include "base/u128.h"
#include "core/bitmap.h"
#include "core/bits.h"
#include "core/range_internal.h"

#include <ipalloc/ipalloc.h>

#include <stdio.h>
#include <stdlib.h>

#if __has_include("core/bitmap_private.h")
#include "core/bitmap_private.h"
#define HAS_BITMAP_PRIVATE
#endif
#if __has_include("core/generations.h")
#include "core/generations.h"
#define HAS_GENERATIONS
#endif

enum { MIXED = 40 };

typedef unsigned long long print64;

static uint64_t random_next; /* what the random hook returns */
static uint64_t clock_ms;    /* what the clock hook returns */

static uint64_t given_random(void *context) {
    (void)context;
    return random_next;
}

static uint64_t given_clock(void *context) {
    (void)context;
    return clock_ms;
}

static void need(bool condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "facts: %s\n", what);
    exit(1);
}

static void print_u128(u128 value) {
    printf("#x%016llx%016llx", (print64)(value >> 64), (print64)value);
}

/* ---- bits ---- */

static void say_bits_of(uint64_t word) {
    unsigned count = bits_count_plain(word);
    printf("bits.smt2 (= (bits_count_bytes #x%016llx) #x%016llx)\n", (print64)word,
           (print64)bits_count_bytes(word));
    printf("bits.smt2 (= (bits_count_plain #x%016llx) #x%016x)\n", (print64)word, count);
    for (unsigned rank = 0; rank < count; rank += 1 + count / 5)
        printf("bits.smt2 (= (bits_select_plain #x%016llx #x%016x) #x%016x)\n", (print64)word, rank,
               bits_select_plain(word, rank));
}

static void say_bits(void) {
    static const uint64_t WORDS[] = {0,
                                     1,
                                     2,
                                     UINT64_MAX,
                                     UINT64_MAX - 1,
                                     (uint64_t)1 << 63,
                                     0x8000000000000001,
                                     0xff00ff00ff00ff00,
                                     0x0f0f0f0f0f0f0f0f};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        say_bits_of(WORDS[i]);
    for (uint64_t i = 0; i < MIXED; i++)
        say_bits_of(random_mix(i) & (i % 3 == 0 ? random_mix(i + MIXED) : UINT64_MAX));
}

/* ---- masks: what is taken after a band, or all, has been claimed ---- */

static uint64_t claim_all(bitmap *map, hooks *h, uint64_t begin, uint64_t end) {
    uint64_t claimed = 0, number;
    while (bitmap_claim_any(map, h, BITMAP_LOWEST, begin, end, &number))
        claimed++;
    return claimed;
}

static void say_band(hooks *h, uint64_t begin, uint64_t end) {
    bitmap *map = bitmap_create(h, 256);
    need(map != NULL && claim_all(map, h, begin, end) == end - begin, "a band cannot be claimed");
    for (uint64_t word = 0; word < 4; word++)
        printf("band.smt2 (= (band_mask #x%016llx #x%016llx #x%016llx) #x%016llx)\n",
               (print64)begin, (print64)end, (print64)word, (print64)bitmap_taken_word(map, word));
    bitmap_destroy(h, map);
}

static void say_size(hooks *h, uint64_t size) {
    bitmap *map = bitmap_create(h, size);
    need(map != NULL && claim_all(map, h, 0, size) == size, "a map cannot be claimed");
    for (uint64_t word = 0; word * 64 < size; word++)
        printf("band.smt2 (= (valid_bits #x%016llx #x%016llx) #x%016llx)\n", (print64)size,
               (print64)word, (print64)bitmap_taken_word(map, word));
    bitmap_destroy(h, map);
}

#ifdef HAS_BITMAP_PRIVATE
static void say_within_band(hooks *h, uint64_t begin, uint64_t end) {
    bitmap *map = bitmap_create(h, 256);
    need(map != NULL, "no map");
    bitmap_band band = bitmap_band_of(map, begin, end);
    for (uint64_t word = 0; word < 4; word++) {
        uint64_t room = random_mix(begin * 64 + end + word);
        printf("band.smt2 (= (within_band #x%016llx #x%016llx #x%016llx #x%016llx) #x%016llx)\n",
               (print64)begin, (print64)end, (print64)word, (print64)room,
               (print64)within_band(&band, word, room));
    }
    bitmap_destroy(h, map);
}
#else
static void say_within_band(hooks *h, uint64_t begin, uint64_t end) {
    (void)h;
    (void)begin;
    (void)end;
}
#endif

static void say_masks(hooks *h) {
    static const uint64_t ENDS[] = {0, 1, 63, 64, 65, 127, 128, 130, 200, 255, 256};
    enum { COUNT = sizeof ENDS / sizeof *ENDS };
    for (int i = 0; i < COUNT; i++) {
        for (int j = i + 1; j < COUNT; j++) {
            say_band(h, ENDS[i], ENDS[j]);
            say_within_band(h, ENDS[i], ENDS[j]);
        }
        say_size(h, ENDS[i] + 1);
    }
}

/* ---- random numbers below a bound ---- */

#ifdef HAS_BITMAP_PRIVATE
static void say_draw(uint64_t random, uint64_t bound) {
    uint64_t left = random, drawn = draw(&left, bound);
    printf("scale.smt2 (and (= (high %llu %llu) %llu) (= (low %llu %llu) %llu))\n", (print64)random,
           (print64)bound, (print64)drawn, (print64)random, (print64)bound, (print64)left);
}
#else
static void say_draw(uint64_t random, uint64_t bound) {
    (void)random;
    (void)bound;
}
#endif

/* A drawn number that would have to be drawn again makes no fact: the hook has no other. */
static void say_below(hooks *h, uint64_t random, uint64_t bound) {
    uint64_t threshold = -bound % bound;
    say_draw(random, bound);
    printf("scale.smt2 (= (threshold %llu) %llu)\n", (print64)bound, (print64)threshold);
    if (random * bound < threshold)
        return;
    random_next = random;
    printf("scale.smt2 (= (high %llu %llu) %llu)\n", (print64)random, (print64)bound,
           (print64)hooks_random_below(h, bound));
}

static void say_scale(hooks *h) {
    static const uint64_t VALUES[] = {1,         2, 3, 64, 65534, UINT32_MAX, (uint64_t)1 << 32,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        say_below(h, UINT64_MAX, VALUES[i]);
        say_below(h, UINT64_MAX / 2 + 1, VALUES[i]);
        for (uint64_t mixed = 0; mixed < 5; mixed++)
            say_below(h, random_mix(mixed), VALUES[i]);
    }
}

/* ---- addresses, bands of ranges ---- */

static void say_address(const ipalloc_range *range, u128 first, u128 size, u128 value) {
    ipalloc_addr address = {.family = 6};
    for (int i = 0; i < 16; i++)
        address.bytes[i] = (uint8_t)(value >> (120 - 8 * i));
    range_offset offset;
    bool in_range = range_offset_of(range, &address, &offset) == IPALLOC_OK;
    printf("address.smt2 (= (in_range ");
    print_u128(first);
    putchar(' ');
    print_u128(size);
    putchar(' ');
    print_u128(value);
    printf(") %s)\n", in_range ? "true" : "false");
    if (!in_range)
        return;
    ipalloc_addr back = range_addr_of(range, offset);
    need(ipalloc_addr_compare(&back, &address) == 0, "an address does not come back");
    printf("address.smt2 (= (offset_of ");
    print_u128(first);
    putchar(' ');
    print_u128(value);
    printf(") ");
    print_u128(offset.value);
    printf(")\n");
}

static void say_range_of(u128 base, uint8_t prefix_length, bool use_all) {
    ipalloc_cidr cidr = {.base = {.family = 6}, .prefix_length = prefix_length};
    ipalloc_range_options options = {.size = sizeof options, .use_all_addresses = use_all};
    for (int i = 0; i < 16; i++)
        cidr.base.bytes[i] = (uint8_t)(base >> (120 - 8 * i));
    ipalloc_range *range;
    need(ipalloc_range_create(&cidr, &options, &range, NULL) == IPALLOC_OK, "no range");
    u128 host_mask = prefix_length == 0 ? U128_MAX : ((u128)1 << (128 - prefix_length)) - 1;
    u128 size = range_usable_size(range), first = base + (use_all ? 0 : 1), ends = use_all ? 0 : 1;
    printf("address.smt2 (= (size_of ");
    print_u128(host_mask);
    putchar(' ');
    print_u128(ends);
    printf(") ");
    print_u128(size);
    printf(")\naddress.smt2 (= (first_of ");
    print_u128(base);
    putchar(' ');
    print_u128(ends);
    printf(") ");
    print_u128(first);
    printf(")\n");
    u128 values[] = {0,
                     base - 1,
                     base,
                     base + 1,
                     base + host_mask - 1,
                     base + host_mask,
                     base + host_mask + 1,
                     U128_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        say_address(range, first, size, values[i]);
    ipalloc_range_destroy(range);
}

static void say_addresses(void) {
    u128 base = u128_make(0x20010db800000000, 0);
    static const uint8_t LENGTHS[] = {32, 64, 100, 112, 120, 127, 128};
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        say_range_of(base, LENGTHS[i], false);
        say_range_of(base, LENGTHS[i], true);
    }
    say_range_of(0, 0, false);
    say_range_of((u128)0xff << 120, 8, true);
}

static void say_band_size(const char *function, u128 total, ipalloc_range *range) {
    ipalloc_range_stats stats = {.size = sizeof stats};
    need(ipalloc_range_get_stats(range, &stats) == IPALLOC_OK, "no statistics");
    printf("split.smt2 (= (%s ", function);
    print_u128(total);
    printf(") ");
    print_u128(count_value(stats.static_band.size));
    printf(")\n");
    ipalloc_range_destroy(range);
}

static void say_splits(void) {
    static const uint16_t TOTALS[] = {1,   15,  16,   17,   31,   32,   511,   512,
                                      513, 544, 1000, 4095, 4096, 4128, 30000, 65535};
    for (size_t i = 0; i < sizeof TOTALS / sizeof *TOTALS; i++) {
        ipalloc_range *range;
        need(ipalloc_port_range_create(1, TOTALS[i], NULL, &range, NULL) == IPALLOC_OK, "no ports");
        say_band_size("port_band", TOTALS[i], range);
    }
    for (uint8_t length = 16; length <= 32; length++) {
        ipalloc_cidr cidr = {.base = {.family = 4, .bytes = {10}}, .prefix_length = length};
        ipalloc_range *range;
        need(ipalloc_range_create(&cidr, NULL, &range, NULL) == IPALLOC_OK, "no range");
        say_band_size("address_band", (u128)1 << (32 - length), range);
    }
}

/* ---- summary words ---- */

#ifdef HAS_BITMAP_PRIVATE
static void say_flags(void) {
    for (uint64_t i = 0; i < MIXED; i++) {
        uint64_t index = i < MIXED / 2 ? i * 2 : random_mix(i);
        printf("summary.smt2 (= (flag_of #x%016llx) #x%016llx)\n", (print64)index,
               (print64)flag_of(index));
        printf("summary.smt2 (= (has_flags #x%016llx) %s)\n", (print64)(index << i),
               has_flags(index << i) ? "true" : "false");
    }
}
#else
static void say_flags(void) {
}
#endif

/* ---- cool-down ---- */

#ifdef HAS_GENERATIONS
static void say_rest(hooks *h, uint64_t rest, uint64_t released, uint64_t now) {
    uint64_t word, numbers;
    clock_ms = released;
    generations *g = generations_create(h, 64, 0, rest);
    need(g != NULL && generations_put(g, 5, released), "a number cannot rest");
    clock_ms = now;
    generations_look(g);
    printf("cooldown.smt2 (= (has_rested %llu %llu %llu) %s)\n", (print64)rest, (print64)released,
           (print64)now, generations_take_rested(g, &word, &numbers) ? "true" : "false");
    generations_destroy(g);
}

static void say_rests(hooks *h) {
    static const uint64_t RESTS[] = {1, 2, 3, 1000, 1001, 86400000};
    for (size_t i = 0; i < sizeof RESTS / sizeof *RESTS; i++) {
        for (uint64_t mixed = 0; mixed < 6; mixed++) {
            uint64_t released = 1700000000000 + random_mix(mixed) % (4 * RESTS[i]);
            say_rest(h, RESTS[i], released, released + RESTS[i] - 1);
            say_rest(h, RESTS[i], released, released + RESTS[i]);
            say_rest(h, RESTS[i], released, released + RESTS[i] + RESTS[i] / 4);
            say_rest(h, RESTS[i], released, released + RESTS[i] + RESTS[i] / 2 + 2);
        }
    }
}
#else
static void say_rests(hooks *h) {
    (void)h;
}
#endif

int main(void) {
    static hooks h;
    const ipalloc_hooks given = {
        .size = sizeof given, .random = given_random, .wall_clock_ms = given_clock};
    need(hooks_init(&h, &given, NULL) == IPALLOC_OK, "no hooks");
    say_bits();
    say_masks(&h);
    say_scale(&h);
    say_addresses();
    say_splits();
    say_flags();
    say_rests(&h);
    return 0;
}
