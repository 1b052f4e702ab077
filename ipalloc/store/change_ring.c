/*
 * change_ring.c: see change_ring.h. Revisions never fall from one place to the next.
 */
#include "store/change_ring.h"

#include <assert.h>
#include <string.h>

enum { CAPACITY_FIRST = 64 };

void ring_free(change_ring *ring, const hooks *h) {
    for (size_t i = 0; i < ring->count; i++)
        record_release(h, ring_at(ring, i));
    hooks_free(h, ring->slots);
    *ring = (change_ring){0};
}

record *ring_at(const change_ring *ring, size_t place) {
    assert(place < ring->count);
    return ring->slots[(ring->first + place) & (ring->capacity - 1)];
}

static int grow(change_ring *ring, const hooks *h, size_t capacity) {
    record **slots = hooks_alloc(h, capacity * sizeof slots[0]);
    if (slots == NULL)
        return IPALLOC_E_NOMEM;
    for (size_t i = 0; i < ring->count; i++)
        slots[i] = ring_at(ring, i);
    hooks_free(h, ring->slots);
    ring->slots = slots;
    ring->capacity = capacity;
    ring->first = 0;
    return IPALLOC_OK;
}

int ring_reserve(change_ring *ring, const hooks *h, size_t more) {
    size_t wanted = ring->count + more;
    if (wanted > ring->kept_max)
        wanted = (size_t)ring->kept_max;
    size_t capacity = ring->capacity == 0 ? CAPACITY_FIRST : ring->capacity;
    while (capacity < wanted)
        capacity *= 2;
    return capacity == ring->capacity ? IPALLOC_OK : grow(ring, h, capacity);
}

static size_t bytes_of(const record *r) {
    return (size_t)r->key_size + r->value_size;
}

static void forget_first(change_ring *ring, const hooks *h) {
    record *first = ring_at(ring, 0);
    assert(first->revision >= ring->oldest);
    ring->oldest = first->revision;
    ring->bytes -= bytes_of(first);
    record_release(h, first);
    ring->first = (ring->first + 1) & (ring->capacity - 1);
    ring->count--;
    ring->forgotten++;
}

void ring_push(change_ring *ring, const hooks *h, record *change) {
    if (ring->count == ring->kept_max)
        forget_first(ring, h);
    ring->bytes += bytes_of(change);
    while (ring->bytes_max != 0 && ring->bytes > ring->bytes_max && ring->count > 0)
        forget_first(ring, h);
    assert(ring->count < ring->capacity);
    change->references++;
    ring->slots[(ring->first + ring->count) & (ring->capacity - 1)] = change;
    ring->count++;
}

void ring_forget(change_ring *ring, const hooks *h, uint64_t revision) {
    while (ring->count > 0)
        forget_first(ring, h);
    if (revision > ring->oldest)
        ring->oldest = revision;
}

void ring_take_back(change_ring *ring, const hooks *h, uint64_t revision) {
    while (ring->count > 0) {
        record *last = ring_at(ring, ring->count - 1);
        if (last->revision <= revision)
            return;
        ring->bytes -= bytes_of(last);
        record_release(h, last);
        ring->count--;
    }
}

size_t ring_find(const change_ring *ring, uint64_t since) {
    size_t low = 0, high = ring->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring_at(ring, middle)->revision <= since)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
