/*
 * import_plan.h: what an import is to bring about, before anything is changed.
 *
 * A plan is made from items; it is carried out first in a registry in memory that has the same
 * pools and holds nothing, which finds whatever contradicts itself in it, then as a dry-run on the
 * store itself, and only then for good. Every step may be repeated: what is there already stays.
 */
#ifndef ADMIN_IMPORT_PLAN_H
#define ADMIN_IMPORT_PLAN_H

#include "pool_text.h"

/* An address or port, and who is to hold it. */
struct import_want {
    char pool[IPALLOC_POOL_NAME_MAX + 1]; /* "": the one that has the place */
    struct admin_place place;
    char *owner;
    char *as_good;    /* a holder whose name begins so holds it already; NULL: only the owner */
    bool taken;       /* whoever holds it already may keep it */
    bool held_before; /* when its turn came in the last import_give that was no dry run */
    size_t slot_count;
    char (*slots)[IPALLOC_SLOT_MAX + 1];
};

/* A pool as exported. */
struct import_pool {
    char *name;
    struct pool_text text;
};

/* A range that has to be there. */
struct import_range {
    bool is_ports;
    ipalloc_cidr cidr;
    uint16_t first, last;
    char text[IPALLOC_CIDR_TEXT];
};

struct import_record {
    char *key;
    struct text value;
};

struct import_plan {
    struct import_pool *pools;
    size_t pool_count;
    struct import_range *ranges;
    size_t range_count;
    struct import_want *wants; /* by owner; those that are only taken last */
    size_t want_count, want_capacity;
    struct import_record *records;
    size_t record_count;
};

/* Read the items. OK; INVALID (says which item, counted from 0, and why). The caller frees the
 * plan, also then. */
int import_plan_read(struct json_object *items, struct import_plan *plan, ipalloc_error *error);
void import_plan_free(struct import_plan *plan);

struct import_counts {
    uint64_t pools, ranges; /* defined or added */
    uint64_t given, existing;
    uint64_t records;
};

/* Make sure of pools and ranges. Where `define` is not set, those that are missing are NOT_FOUND.
 */
int import_define(struct admin *admin, const struct import_plan *plan, bool define,
                  struct import_counts *counts, ipalloc_error *error);

/* Give the wants, transaction by transaction; with dry_run keep nothing, and pass over pools that
 * are not there yet. */
int import_give(struct admin *admin, struct import_plan *plan, bool dry_run,
                struct import_counts *counts, struct admin_output *out, ipalloc_error *error);

/* Draining and exclusions of exported pools, once their leases are there. */
int import_finish_pools(struct admin *admin, const struct import_plan *plan, ipalloc_error *error);

/* Store the records that are missing; TAKEN where another value is there. */
int import_records(struct admin *admin, const struct import_plan *plan, bool dry_run,
                   struct import_counts *counts, ipalloc_error *error);

#endif
