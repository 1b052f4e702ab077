/*
 * copy.h: what a store holds, counted by kind, for ipallocctl copy.
 *
 * The kind of a record is the first part of its key ("lease", "record"): what an operator sees in
 * the store, and all that is needed to compare two of them.
 */
#ifndef IPALLOCCTL_COPY_H
#define IPALLOCCTL_COPY_H

#include "json.h"

#include <ipalloc/store.h>

#define COPY_KINDS_MAX 32
#define COPY_KIND_TEXT 24

struct copy_counts {
    struct {
        char name[COPY_KIND_TEXT];
        uint64_t count;
    } kinds[COPY_KINDS_MAX]; /* in the order of their keys; what is too much is "other" */
    size_t kind_count;
    uint64_t entries;
    uint64_t bytes;
    bool unfinished; /* it carries the mark of a copy, which is not counted */
};

/* Count what the store holds. What the scan answers. */
int copy_count(ipalloc_store *store, struct copy_counts *counts, ipalloc_error *error);

/* As one object: {"lease": 12, ...}; the caller puts it. */
struct json_object *copy_counts_value(const struct copy_counts *counts);

/* As lines of a table. */
void copy_counts_print(const struct copy_counts *counts);

#endif
