/*
 * range_bits.c: a RangeAllocation's bitmap: which items are taken, and what stands behind an item.
 *
 * May use: nothing but the public structs. The bitmap is one big number, most significant byte
 * first: item i is bit i % 8 of byte size - 1 - i / 8. Cost: _has O(1), _next a byte at a time
 * where nothing is taken.
 */
#include "kubernetes/range_bits.h"

#include "base/u128.h"

#include <string.h>

static uint8_t byte_of(ipalloc_bytes data, uint64_t item) {
    uint64_t from_end = item / 8;
    return from_end < data.size ? ((const uint8_t *)data.data)[data.size - 1 - from_end] : 0;
}

bool ipalloc_range_allocation_has(const ipalloc_range_allocation *allocation, uint64_t item) {
    return allocation != NULL && item < allocation->item_count &&
           (byte_of(allocation->data, item) >> item % 8 & 1) != 0;
}

/* The first set bit at or above `item`, of whatever the data says. */
static bool next_bit(ipalloc_bytes data, uint64_t *item) {
    uint64_t bits = (uint64_t)data.size * 8;
    for (uint64_t i = *item; i < bits;) {
        uint8_t rest = (uint8_t)(byte_of(data, i) >> i % 8);
        if (rest == 0) {
            i += 8 - i % 8;
            continue;
        }
        *item = i + (uint64_t)__builtin_ctz(rest);
        return true;
    }
    return false;
}

int ipalloc_range_allocation_next(const ipalloc_range_allocation *allocation, uint64_t *item) {
    if (allocation == NULL || item == NULL)
        return IPALLOC_E_INVALID;
    uint64_t found = *item;
    if (!next_bit(allocation->data, &found) || found >= allocation->item_count)
        return IPALLOC_E_NOT_FOUND;
    *item = found;
    return IPALLOC_OK;
}

uint64_t ipalloc_range_allocation_count(const ipalloc_range_allocation *allocation) {
    ipalloc_bytes data = allocation != NULL ? allocation->data : (ipalloc_bytes){NULL, 0};
    const uint8_t *bytes = data.data;
    uint64_t count = 0;
    for (size_t i = 0; i < data.size; i++)
        count += (uint64_t)__builtin_popcount(bytes[i]);
    return count;
}

bool range_bits_beyond(ipalloc_bytes data, uint64_t item_count, uint64_t *item) {
    *item = item_count;
    return next_bit(data, item);
}

/* --- items and what they stand for ----------------------------------------------------------- */

static u128 address_value(const ipalloc_addr *address) {
    u128 value = 0;
    for (int i = 0; i < (address->family == 4 ? 4 : 16); i++)
        value = value << 8 | address->bytes[i];
    return value;
}

/* Item 0 is the address behind the network's own. */
int ipalloc_range_allocation_addr(const ipalloc_range_allocation *allocation, uint64_t item,
                                  ipalloc_addr *out) {
    if (allocation == NULL || allocation->is_ports || out == NULL)
        return IPALLOC_E_INVALID;
    if (item >= allocation->item_count)
        return IPALLOC_E_NOT_IN_RANGE;
    ipalloc_addr address = {.family = allocation->cidr.base.family};
    u128 value = address_value(&allocation->cidr.base) + 1 + item;
    for (int i = address.family == 4 ? 3 : 15; i >= 0; i--, value >>= 8)
        address.bytes[i] = (uint8_t)value;
    *out = address;
    return IPALLOC_OK;
}

int ipalloc_range_allocation_item(const ipalloc_range_allocation *allocation,
                                  const ipalloc_addr *address, uint64_t *item) {
    if (allocation == NULL || allocation->is_ports || address == NULL || item == NULL)
        return IPALLOC_E_INVALID;
    if (address->family != allocation->cidr.base.family)
        return IPALLOC_E_NOT_IN_RANGE;
    u128 first = address_value(&allocation->cidr.base) + 1, value = address_value(address);
    if (value < first || value - first >= allocation->item_count)
        return IPALLOC_E_NOT_IN_RANGE;
    *item = (uint64_t)(value - first);
    return IPALLOC_OK;
}

int ipalloc_range_allocation_port(const ipalloc_range_allocation *allocation, uint64_t item,
                                  uint16_t *out) {
    if (allocation == NULL || !allocation->is_ports || out == NULL)
        return IPALLOC_E_INVALID;
    if (item >= allocation->item_count)
        return IPALLOC_E_NOT_IN_RANGE;
    *out = (uint16_t)(allocation->port_first + item);
    return IPALLOC_OK;
}

int ipalloc_range_allocation_item_of_port(const ipalloc_range_allocation *allocation, uint16_t port,
                                          uint64_t *item) {
    if (allocation == NULL || !allocation->is_ports || item == NULL)
        return IPALLOC_E_INVALID;
    if (port < allocation->port_first || port > allocation->port_last)
        return IPALLOC_E_NOT_IN_RANGE;
    *item = (uint64_t)port - allocation->port_first;
    return IPALLOC_OK;
}

/* --- changing the bitmap --------------------------------------------------------------------- */

size_t range_bits_size(uint64_t item_count) {
    return (size_t)((item_count + 7) / 8);
}

size_t ipalloc_range_allocation_bitmap_size(const ipalloc_range_allocation *allocation) {
    return allocation != NULL ? range_bits_size(allocation->item_count) : 0;
}

static bool fits(const ipalloc_range_allocation *allocation, const uint8_t *bitmap,
                 size_t capacity) {
    return allocation != NULL && bitmap != NULL &&
           capacity == ipalloc_range_allocation_bitmap_size(allocation);
}

int ipalloc_range_allocation_bitmap_load(const ipalloc_range_allocation *allocation,
                                         uint8_t *bitmap, size_t capacity) {
    if (!fits(allocation, bitmap, capacity) || allocation->data.size > capacity)
        return IPALLOC_E_INVALID;
    ipalloc_bytes data = allocation->data;
    memset(bitmap, 0, capacity - data.size);
    if (data.size > 0)
        memmove(bitmap + (capacity - data.size), data.data, data.size);
    return IPALLOC_OK;
}

int ipalloc_range_allocation_bitmap_set(const ipalloc_range_allocation *allocation, uint8_t *bitmap,
                                        size_t capacity, uint64_t item, bool taken) {
    if (!fits(allocation, bitmap, capacity))
        return IPALLOC_E_INVALID;
    if (item >= allocation->item_count)
        return IPALLOC_E_NOT_IN_RANGE;
    uint8_t *byte = &bitmap[capacity - 1 - item / 8];
    uint8_t bit = (uint8_t)(1u << item % 8);
    *byte = (uint8_t)(taken ? *byte | bit : *byte & ~bit);
    return IPALLOC_OK;
}

ipalloc_bytes range_bits_trim(const uint8_t *bitmap, size_t size) {
    size_t zeros = 0;
    while (zeros < size && bitmap[zeros] == 0)
        zeros++;
    return (ipalloc_bytes){bitmap + zeros, size - zeros};
}
