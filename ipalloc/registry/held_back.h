/*
 * held_back.h: a store's walk over keys that name pools, which may meet a pool that another server
 * has defined a moment ago.
 *
 * Nothing can be read from within a walk. So from the first entry of a pool that is not known here,
 * all are kept until the walk is over; then the definitions are caught up with, and the rest is
 * visited in its order: the walk stays one at one revision. Memory: the entries that are kept.
 */
#ifndef IPALLOC_REGISTRY_HELD_BACK_H
#define IPALLOC_REGISTRY_HELD_BACK_H

#include "registry/registry.h"

typedef struct held_back {
    ipalloc_registry *registry;
    const char *prefix; /* of the keys: PREFIX_LEASE and its like */
    ipalloc_visit visit;
    void *context;
    bool holding;
    text_buffer bytes;
} held_back;

void held_back_init(held_back *h, ipalloc_registry *registry, const char *prefix,
                    ipalloc_visit visit, void *context);

/* What the store's walk is given, with a held_back as its context. */
int held_back_visit(void *context, const ipalloc_entry *entry);

/* Behind the walk, whose status it was, and from outside the gate: catch up, where anything is held
 * back. OK; that status; those of catching up. */
int held_back_catch_up(held_back *h, int status, ipalloc_error *error);

/* Then: visit what was held back. Frees all, also where the status is none. */
int held_back_finish(held_back *h, int status);

#endif
