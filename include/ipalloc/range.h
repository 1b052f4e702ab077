/*
 * range.h: one CIDR or port range in memory: the bitmap-backed allocator.
 *
 * Usable: IPv4 without the first (network) and last (broadcast) address, IPv6 without the first;
 * /31 and /32 give 0, /127 gives 1, /128 gives 0. Every prefix length from /0 on works.
 * Bands (KEP-3070): the low min(max(16, size/16), 256) addresses are the static band (ports,
 * KEP-3668: min(max(16, size/32), 128)); none where size <= 16; size counts all addresses. Dynamic
 * picks come from the upper band while anything is free there, then from the static one.
 *
 * Cost: ranges up to 2^24 addresses are a bitmap of 1.004 bits an address and no memory is
 * allocated after creation; larger ones are sparse, with memory in proportion to what is held (18
 * to 28 bytes per held random address, 1 where they cluster). Claims and releases in a dense range
 * without cool-down and not oldest-freed are lock-free (a release or lookup takes a lock while
 * something is excluded, or a block is being claimed); all others take one lock.
 * Cool-down: a bitmap remembers the generation in which an address was released, not the time:
 * 2 bits more an address, rather than 28 bytes, nothing allocated after creation, and a release is
 * O(1). A generation is what is released within half a cool-down, and is free again all at once: a
 * rest lasts at least cool_down_ms and at most 1.5 times that and 2 ms, and what has rested longest
 * is the lowest address of the oldest generation. Sparse ranges keep an exact queue: a rest lasts
 * cool_down_ms, for 52 to 104 bytes per address that rests at once.
 * Oldest-freed needs the order of all releases, and keeps the exact queue with or without
 * cool-down. It is not frugal: dense, 32 bytes and one bit an address are allocated when the range
 * is made (of which only those of addresses that were ever released are touched): 32 MiB for 2^20
 * addresses. Sparse, 56 to 112 bytes per address that was ever used.
 *
 * IPALLOC_E_FULL is linearizable: at some instant during the call nothing was free.
 * Calls here return a status only; there is nothing to add to it.
 */
#ifndef IPALLOC_RANGE_H
#define IPALLOC_RANGE_H

#include <ipalloc/addr.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ipalloc_range ipalloc_range;

enum ipalloc_strategy {
    /* Default. Random over the band: every free address can come. In a steady flow of allocations
     * and releases one that was just released comes back at once 0.9 to 1.2 times as often as under
     * uniform choice (measured in 2^16 addresses, 50 to 99 % held). Not for secrets. */
    IPALLOC_STRATEGY_RANDOM = 0,
    IPALLOC_STRATEGY_LOWEST = 1,
    /* What was released longest ago; never-used addresses first, lowest first. Keeps a queue, and
     * takes a lock. A sparse range then remembers every address that was ever used. */
    IPALLOC_STRATEGY_OLDEST_FREED = 2
};

#define IPALLOC_NO_STATIC_BAND UINT64_MAX

typedef struct ipalloc_range_options {
    size_t size;
    const ipalloc_hooks *hooks;   /* copied */
    uint64_t static_band_size;    /* so many of the lowest usable addresses, at most all; 0: by the
                                     formula; IPALLOC_NO_STATIC_BAND: none */
    uint32_t strategy;            /* enum ipalloc_strategy */
    bool use_all_addresses;       /* the first and the last address are usable too; the static
                                     band is as long as without, and so ends one earlier */
    bool reuse_cooling_when_full; /* rather than FULL, give the longest-rested cooling one (dense:
                                     the lowest of the oldest generation, see above) */
    bool refuse_reserve_cooling;  /* reserve of a cooling address is TAKEN (default: it is given) */
    uint64_t cool_down_ms;        /* rest after a release before it is free again; 0: none. So
                                     long at least; dense, up to 1.5 times that: see above */
} ipalloc_range_options;

/* Make an empty range over `cidr`. The caller destroys it.
 * A CIDR with no usable address (/32) makes a range of size 0: it is always FULL.
 * OK; INVALID (host bits, bad option, ::/0 with use_all_addresses: 2^128 cannot be counted); NOMEM.
 */
IPALLOC_API int ipalloc_range_create(const ipalloc_cidr *cidr, const ipalloc_range_options *options,
                                     ipalloc_range **out, ipalloc_error *error);

/* Make an empty port range first..last, both included. OK; INVALID (first > last); NOMEM. */
IPALLOC_API int ipalloc_port_range_create(uint16_t first, uint16_t last,
                                          const ipalloc_range_options *options, ipalloc_range **out,
                                          ipalloc_error *error);

/* Free it. No other call on it may be running. */
IPALLOC_API void ipalloc_range_destroy(ipalloc_range *range);

/* Take any free address. OK; FULL; NOMEM (sparse ranges only; nothing changed). */
IPALLOC_API int ipalloc_range_allocate(ipalloc_range *range, ipalloc_addr *out);

/* Take this one. OK; TAKEN (held, or cooling where that is refused, or excluded);
 * NOT_IN_RANGE (outside, or an end that is not usable); NOMEM (sparse). */
IPALLOC_API int ipalloc_range_reserve(ipalloc_range *range, const ipalloc_addr *address);

/* Give it back; it becomes free, or cools down. OK; NOT_FOUND (it was not held: it may be free,
 * cooling or excluded; nothing changed); NOT_IN_RANGE; NOMEM (sparse, with cool-down or
 * oldest-freed; nothing changed). */
IPALLOC_API int ipalloc_range_release(ipalloc_range *range, const ipalloc_addr *address);

/* Take up to `count` free addresses at once; *got says how many were taken and stand in `out`. They
 * come from the same bands as single ones, in rows from a random place on (lowest first where that
 * is the strategy): far cheaper than one by one, and not spread as evenly. OK (all of them; count 0
 * is OK); FULL (*got of them: with those, at some instant during the call nothing was free); NOMEM
 * (sparse; *got of them); INVALID. Who wants all or none, gives back what it got. */
IPALLOC_API int ipalloc_range_allocate_many(ipalloc_range *range, ipalloc_addr *out, size_t count,
                                            size_t *got);

/* Give back `count` addresses at once; cheapest where neighbours stand together, as
 * ipalloc_range_allocate_many returns them.
 * OK; NOT_FOUND (some were not held, or stand twice; all others are released); NOT_IN_RANGE (one is
 * outside; nothing changed); NOMEM (sparse, with cool-down or oldest-freed: some stay held);
 * INVALID. */
IPALLOC_API int ipalloc_range_release_many(ipalloc_range *range, const ipalloc_addr *addresses,
                                           size_t count);

/* Take a whole block: all addresses of some CIDR of this prefix length, aligned as CIDRs are, at a
 * random place (the lowest where that is the strategy), above the static band if one is free there.
 * Blocks of up to 2^IPALLOC_BLOCK_BITS_MAX addresses. At half fill and random placement there are
 * none above 8: who needs many large blocks, keeps a range for them. OK; FULL (no such block was
 * found free, or none fits the range; a hint where others claim and release meanwhile); NOMEM
 * (sparse; nothing changed); INVALID (prefix length). Takes the lock. */
#define IPALLOC_BLOCK_BITS_MAX 16
IPALLOC_API int ipalloc_range_allocate_block(ipalloc_range *range, uint8_t prefix_length,
                                             ipalloc_cidr *out);

/* Give back all addresses of a CIDR. OK; NOT_FOUND (some were not held; all others are released);
 * NOT_IN_RANGE (not wholly inside; nothing changed); NOMEM as above; INVALID (prefix length, or
 * bits beyond it). */
IPALLOC_API int ipalloc_range_release_block(ipalloc_range *range, const ipalloc_cidr *block);

/* Is it held? false for free, cooling, excluded and foreign addresses. */
IPALLOC_API bool ipalloc_range_has(const ipalloc_range *range, const ipalloc_addr *address);

/* Never give out first..last (inclusive). Excluding what is excluded already is fine; a cooling
 * address is excluded too, and forgets its rest.
 * OK; TAKEN (one of them is held; nothing changed); NOT_IN_RANGE; INVALID (first > last); NOMEM. */
IPALLOC_API int ipalloc_range_exclude(ipalloc_range *range, const ipalloc_addr *first,
                                      const ipalloc_addr *last);

/* Undo ipalloc_range_exclude for first..last. OK; NOT_FOUND (one was not excluded; nothing
 * changed); NOT_IN_RANGE; INVALID; NOMEM. */
IPALLOC_API int ipalloc_range_include(ipalloc_range *range, const ipalloc_addr *first,
                                      const ipalloc_addr *last);

/* The same for port ranges; on an address range they are INVALID, as the above are on a port range.
 */
IPALLOC_API int ipalloc_range_allocate_port(ipalloc_range *range, uint16_t *out);
IPALLOC_API int ipalloc_range_reserve_port(ipalloc_range *range, uint16_t port);
IPALLOC_API int ipalloc_range_release_port(ipalloc_range *range, uint16_t port);
IPALLOC_API bool ipalloc_range_has_port(const ipalloc_range *range, uint16_t port);

/* Counts of one band; size = free + used + cooling + excluded whenever no call is running. */
typedef struct ipalloc_band_stats {
    ipalloc_count size, free, used, cooling, excluded;
} ipalloc_band_stats;

typedef struct ipalloc_range_stats {
    size_t size;
    ipalloc_band_stats static_band, dynamic_band, total; /* of usable addresses */
    ipalloc_addr first, first_dynamic, last;             /* for ports: see port_*; family 0 or
                                                            port 0 where the band is empty */
    uint16_t port_first, port_first_dynamic, port_last;
} ipalloc_range_stats;

/* Count, exactly when nothing else runs on the range. OK; INVALID (size). */
IPALLOC_API int ipalloc_range_get_stats(const ipalloc_range *range, ipalloc_range_stats *out);

/* Walk the held addresses in order: start with cursor->family 0; each call moves the cursor to the
 * next held address. Holds no lock between calls and is safe over changes.
 * A cursor need not be held nor inside the range: the walk goes on behind it, all of IPv4 being
 * before IPv6. OK; NOT_FOUND (no further one; the cursor is untouched). */
IPALLOC_API int ipalloc_range_next(const ipalloc_range *range, ipalloc_addr *cursor);

/* The same, up to `capacity` steps at once into `out`; the cursor moves to the last of them.
 * OK (*count is at least 1); NOT_FOUND (no further one; *count is 0); INVALID (capacity 0). */
IPALLOC_API int ipalloc_range_next_many(const ipalloc_range *range, ipalloc_addr *cursor,
                                        ipalloc_addr *out, size_t capacity, size_t *count);

/* The same for port ranges; *cursor starts at 0 with *started false. */
IPALLOC_API int ipalloc_range_next_port(const ipalloc_range *range, uint16_t *cursor,
                                        bool *started);

/* Write the held set as bitmap bytes, big-endian with leading zero bytes trimmed: bit i (the i-th
 * usable address, from 0) is bit i%8 of byte length-1-i/8, as Kubernetes' RangeAllocation.data.
 * *length gets the bytes needed. With out NULL (OK) or capacity too small nothing is written.
 * OK; NOMEM (capacity too small); INVALID (more than IPALLOC_SNAPSHOT_BYTES_MAX bytes). */
IPALLOC_API int ipalloc_range_snapshot(const ipalloc_range *range, uint8_t *out, size_t capacity,
                                       size_t *length);
#define IPALLOC_SNAPSHOT_BYTES_MAX ((size_t)1 << 29) /* an IPv4 /0 */

/* Hold what the bytes say. The range must hold nothing and cool nothing (BUSY).
 * OK; CORRUPT (a bit beyond the last usable address, or of an excluded one, or bytes that are too
 * long; nothing changed); BUSY; NOMEM. */
IPALLOC_API int ipalloc_range_restore(ipalloc_range *range, const uint8_t *bytes, size_t length);

/* Prove the inner invariants in place: counts against bits, summaries against words, exclusions
 * and cool-down against both. Call it when nothing else runs. OK; CORRUPT (which, in the message).
 */
IPALLOC_API int ipalloc_range_validate(const ipalloc_range *range, ipalloc_error *error);

#ifdef __cplusplus
}
#endif
#endif
