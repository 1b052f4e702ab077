/*
 * range_bits.h: a RangeAllocation's bitmap, for range_allocation.c.
 */
#ifndef IPALLOC_KUBERNETES_RANGE_BITS_H
#define IPALLOC_KUBERNETES_RANGE_BITS_H

#include <ipalloc/kubernetes.h>

/* Bytes of a bitmap of so many items. */
size_t range_bits_size(uint64_t item_count);

/* Is a bit set at or above item_count? *item says which. */
bool range_bits_beyond(ipalloc_bytes data, uint64_t item_count, uint64_t *item);

/* The same bitmap without its leading zero bytes; never NULL. */
ipalloc_bytes range_bits_trim(const uint8_t *bitmap, size_t size);

#endif
