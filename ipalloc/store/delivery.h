/*
 * delivery.h: handing entries to a visitor without keeping a snapshot for as long as it likes.
 *
 * Entries go straight to the visitor. Once it has taken DELIVERY_PATIENCE_MS, the rest is copied,
 * so that the reading ends soon; the visitor gets the copies afterwards. Memory only for a slow
 * visitor: what was left, plus 24 bytes an entry.
 */
#ifndef IPALLOC_STORE_DELIVERY_H
#define IPALLOC_STORE_DELIVERY_H

#include "base/hooks.h"
#include <ipalloc/store.h>

enum { DELIVERY_PATIENCE_MS = 1000 };

typedef struct delivery {
    const hooks *hooks;
    ipalloc_visit visit;
    void *context;
    uint64_t start_ns;
    bool copies; /* patience has run out */
    char *bytes; /* copied entries, one after another */
    size_t size; /* of them */
    size_t capacity;
    uint64_t last;        /* revision of the last entry that was visited */
    uint64_t complete_to; /* every entry up to this revision was visited */
} delivery;

/* `since`: the revision that the visitor knows already (changes; 0 for a scan). */
void delivery_init(delivery *d, const hooks *h, ipalloc_visit visit, void *context, uint64_t since);
/* One entry, whose bytes are needed only during the call. What the visitor answers, or NOMEM. */
int delivery_pass(delivery *d, const ipalloc_entry *entry);
/* The copied ones, after the reading has ended. What the visitor answers. */
int delivery_finish(delivery *d);
void delivery_free(delivery *d);

#endif
