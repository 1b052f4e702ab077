/*
 * counted_memory.h: memory functions for ipalloc_hooks that count, and that fail when told to.
 */
#ifndef IPALLOC_TEST_COUNTED_MEMORY_H
#define IPALLOC_TEST_COUNTED_MEMORY_H

#include "support.h"

#include <malloc.h>
#include <stdlib.h>

typedef struct counted_memory {
    long calls;     /* how many allocations were asked for */
    long fail_from; /* from this call on there is no memory; 0: never */
    long fail_once; /* only this call fails; 0: none */
    long live;      /* blocks not yet freed */
    long bytes;     /* in them, as malloc rounds them */
} counted_memory;

static inline bool counted_fails(counted_memory *m) {
    m->calls++;
    return (m->fail_from != 0 && m->calls >= m->fail_from) || m->calls == m->fail_once;
}

static inline void *counted_allocate(void *context, size_t bytes) {
    counted_memory *m = context;
    void *memory = counted_fails(m) ? NULL : malloc(bytes);
    if (memory != NULL) {
        m->live++;
        m->bytes += (long)malloc_usable_size(memory);
    }
    return memory;
}

static inline void counted_deallocate(void *context, void *memory) {
    counted_memory *m = context;
    if (memory == NULL)
        return;
    m->live--;
    m->bytes -= (long)malloc_usable_size(memory);
    free(memory);
}

static inline void *counted_reallocate(void *context, void *memory, size_t bytes) {
    counted_memory *m = context;
    if (counted_fails(m))
        return NULL;
    if (memory != NULL) {
        m->live--;
        m->bytes -= (long)malloc_usable_size(memory);
    }
    void *moved = realloc(memory, bytes);
    ck_assert_ptr_nonnull(moved);
    m->live++;
    m->bytes += (long)malloc_usable_size(moved);
    return moved;
}

static inline ipalloc_hooks counted_hooks(counted_memory *m) {
    return (ipalloc_hooks){.size = sizeof(ipalloc_hooks),
                           .context = m,
                           .allocate = counted_allocate,
                           .reallocate = counted_reallocate,
                           .deallocate = counted_deallocate};
}

#endif
