/*
 * u128.h: 128-bit numbers: offsets within a range, and counts.
 *
 * An offset is an address minus its range's first address; a count is a number of addresses. A
 * count can be 2^128 only for a whole /0, whose usable addresses always fit.
 */
#ifndef IPALLOC_BASE_U128_H
#define IPALLOC_BASE_U128_H

#include <ipalloc/addr.h>

__extension__ typedef unsigned __int128 u128;

#define U128_MAX (~(u128)0)

static inline u128 u128_make(uint64_t high, uint64_t low) {
    return (u128)high << 64 | low;
}

static inline ipalloc_count count_of(u128 value) {
    return (ipalloc_count){.high = (uint64_t)(value >> 64), .low = (uint64_t)value};
}

static inline u128 count_value(ipalloc_count count) {
    return u128_make(count.high, count.low);
}

#endif
