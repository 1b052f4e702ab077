/*
 * hub_source.h: what the hub follows: the stored records and the views over leases, as one list of
 * changes in the order of their revisions.
 */
#ifndef APISERVER_HUB_SOURCE_H
#define APISERVER_HUB_SOURCE_H

#include "hub.h"

struct change {
    char *key;
    const struct resource *resource;
    uint64_t revision;
    struct shared_text *after; /* NULL: it is gone */
};

struct changes {
    struct server *server;
    struct change *list;
    size_t count, capacity;
};

/* Everything there is. All that changed up to *complete is in it, and nothing after *newest. */
int changes_all(struct changes *changes, uint64_t *complete, uint64_t *newest,
                ipalloc_error *error);

/* What changed after `since`, but not after `most`; complete up to *up_to. *more: there may be more
 * at once. EXPIRED as ipalloc_record_changes. */
int changes_since(struct changes *changes, uint64_t since, uint64_t most, uint64_t *up_to,
                  bool *more, ipalloc_error *error);

/* Free the list and its keys; the texts are the caller's to drop. */
void changes_free(struct changes *changes);

/* Free all of it, texts that nobody else has seen included. */
void changes_drop(struct changes *changes);

#endif
