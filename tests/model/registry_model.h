/*
 * registry_model.h: what a registry must answer, written down as naively as possible.
 *
 * Every usable address of every pool is a cell in an array; leases, claims, rests and exclusions
 * are members of the cell; nothing is indexed, cached or shared with the library. Only an IPv6 /64
 * is too large for that: its cells come and go. The model predicts statuses; which free address was
 * picked is the library's choice, and the model checks that it was free and in the right band.
 */
#ifndef IPALLOC_TEST_REGISTRY_MODEL_H
#define IPALLOC_TEST_REGISTRY_MODEL_H

#include "support.h"

enum model_pool_id {
    MODEL_SMALL,   /* IPv4 /26, with exclusions */
    MODEL_SPARSE,  /* IPv6 /64 */
    MODEL_PORTS,   /* 64 ports */
    MODEL_RANGES,  /* three IPv4 /28, drained, removed and added again */
    MODEL_RESTING, /* IPv4 /27 with cool-down */
    MODEL_POOLS
};

enum {
    MODEL_OWNERS = 30,
    MODEL_SLOTS = 3, /* per owner and pool */
    MODEL_CELLS = 256,
    MODEL_RANGES_MAX = 3,
    MODEL_KEYS = 8,
    MODEL_TXNS = 2, /* open at the same time */
    MODEL_COOL_DOWN_MS = 10000,
};

#define NO_OWNER (-1)

enum range_condition { RANGE_ABSENT, RANGE_ACTIVE, RANGE_DRAINING };

/* An address or a port; the other is zero. */
typedef struct place {
    ipalloc_addr address;
    uint16_t port;
} place;

typedef struct cell {
    place at;
    bool in_use; /* sparse pools: does this cell exist; elsewhere always */
    bool is_static;
    bool excluded;
    uint8_t range;
    int owner;       /* of the committed lease, or NO_OWNER */
    uint8_t slots;   /* bits */
    int claimed_by;  /* index of an open transaction, or -1 */
    unsigned peeked; /* dry-runs that have picked it */
    uint64_t generation, time_ms;
    uint64_t rested_at_ms;    /* cooling until then; 0: not */
    uint64_t cooling_version; /* the commit that put it to rest, until it is leased; 0: none */
} cell;

typedef struct model_pool {
    int kind; /* enum ipalloc_pool_kind */
    const char *name;
    uint64_t cool_down_ms;
    size_t range_count;
    ipalloc_cidr ranges[MODEL_RANGES_MAX];
    enum range_condition conditions[MODEL_RANGES_MAX];
    size_t cell_count;
    cell cells[MODEL_CELLS];
} model_pool;

typedef struct model_record {
    bool exists;
    uint64_t value, revision;
} model_record;

/* How a transaction sees a lease of its owner. */
typedef struct view {
    cell *cell;
    enum model_pool_id pool;
    bool was_held, touched; /* touched: the commit writes or deletes it */
    uint8_t slots;          /* 0: released */
    uint64_t generation;
    uint64_t cooling_version; /* of the cell when it was claimed */
} view;

typedef struct model_put {
    unsigned key;
    bool delete;
    uint64_t value, expected;
} model_put;

typedef struct model_txn {
    bool open, dry_run;
    bool loaded; /* the owner's leases, at the first step that needs them */
    uint64_t owner_version;
    int owner;
    size_t view_count, put_count;
    view views[MODEL_CELLS];
    model_put puts[MODEL_KEYS];
} model_txn;

typedef struct model {
    uint64_t now_ms;
    uint64_t commits;
    model_pool pools[MODEL_POOLS];
    model_record records[MODEL_KEYS];
    uint64_t owner_versions[MODEL_OWNERS]; /* the commit that changed it last; 0: holds nothing */
    model_txn txns[MODEL_TXNS];
} model;

void model_init(model *m);
const char *model_slot_name(enum model_pool_id pool, unsigned slot);

/* The cell of an address in the pool. For a sparse pool one is made where `make` says so. NULL: not
 * in an existing range of the pool, or its network or broadcast address. */
cell *model_cell(model *m, enum model_pool_id pool, place at, bool make);

/* Free cells that could be given out: per band. UINT64_MAX for a sparse pool's dynamic band. */
typedef struct band_counts {
    uint64_t size, free, used, cooling, excluded;
} band_counts;
void model_count(const model *m, enum model_pool_id pool, band_counts *dynamic,
                 band_counts *static_band);
bool model_is_free(const model *m, enum model_pool_id pool, const cell *c);

/* --- one transaction ------------------------------------------------------------------------- */

void model_begin(model *m, int index, int owner, bool dry_run);
void model_load(model *m, int index); /* before any step for the owner; does its work once */

/* The lease in that slot as the transaction sees it; NULL: empty. */
view *model_slot(model_txn *t, enum model_pool_id pool, unsigned slot);
view *model_view(model_txn *t, const cell *c);

/* What each step must answer. On OK of allocate, *existing is the lease that must be given, or NULL
 * for any free one. */
int model_allocate(model *m, int index, enum model_pool_id pool, unsigned slot, view **existing);
int model_reserve(model *m, int index, enum model_pool_id pool, unsigned slot, place at,
                  bool *existing);
int model_release(model *m, int index, enum model_pool_id pool, place at, uint64_t generation);
int model_rename(model *m, int index, enum model_pool_id pool, unsigned from, unsigned to);

/* What each step does once the library agreed. */
void model_grant(model *m, int index, enum model_pool_id pool, unsigned slot, cell *c,
                 uint64_t generation);
void model_apply_release(model *m, int index, enum model_pool_id pool, place at);
void model_apply_release_slot(model *m, int index, enum model_pool_id pool, unsigned slot);
void model_apply_release_all(model *m, int index);
void model_apply_rename(model *m, int index, enum model_pool_id pool, unsigned from, unsigned to);

/* What the commit must answer, and what it does. */
int model_commit(const model *m, int index);
bool model_changes_something(const model *m, int index);
void model_apply_commit(model *m, int index, uint64_t revision);
void model_abort(model *m, int index);

#endif
