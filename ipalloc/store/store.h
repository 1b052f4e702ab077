/*
 * store.h (internal): the store handle and how built-in stores plug into it.
 *
 * May use: base/. The registry uses store_attach and store_hooks; nothing else looks inside.
 */
#ifndef IPALLOC_STORE_INTERNAL_H
#define IPALLOC_STORE_INTERNAL_H

#include "base/hooks.h"
#include "base/system.h"
#include <ipalloc/store.h>

enum { STORE_CHANGES_KEPT_DEFAULT = 100000 };

/* A store may be restored very often after it: each time adds a few thousand at most. */
#define STORE_EPOCH_MAX (((uint64_t)1 << 52) - 1)

/* Say that a registry is open on this store. OK, or BUSY where one is already. */
int store_attach(ipalloc_store *store, ipalloc_error *error);
void store_detach(ipalloc_store *store);

/* The hooks that the store was opened with; they live as long as the handle. */
hooks *store_hooks(ipalloc_store *store);

/* What a built-in store gets to open itself: `rest` is the URL after its scheme; the options are
 * complete, with defaults filled in; hooks outlive the store. It fills in methods and self. */
typedef struct store_opening {
    const char *rest;
    const ipalloc_store_options *options;
    hooks *hooks;
    const system_calls *system;
    ipalloc_store_methods *methods;
    void **self;
} store_opening;

/* ipalloc_store_open with another table of system calls (tests make them fail). */
int store_open_with(const char *url, const ipalloc_store_options *options,
                    const system_calls *system, ipalloc_store **out, ipalloc_error *error);

int memory_store_open(const store_opening *opening, ipalloc_error *error);
int sqlite_store_open(const store_opening *opening, ipalloc_error *error);
int etcd_store_open(const store_opening *opening, ipalloc_error *error);

/* Small things that every store needs. */
bool bytes_equal(ipalloc_bytes a, ipalloc_bytes b);
bool bytes_start_with(ipalloc_bytes bytes, ipalloc_bytes prefix);
int bytes_compare(ipalloc_bytes a, ipalloc_bytes b); /* memcmp, then the shorter first */

/* Fill in `out` as far as the caller's struct reaches. OK, or INVALID for a bad size. */
int store_info_copy(ipalloc_store_info *out, const ipalloc_store_info *full, ipalloc_error *error);

/* Give every batch the status of a call that failed as a whole. */
void batches_set_status(ipalloc_batch *batches, size_t count, int status);

/* Can changes since this revision be given? OK, EXPIRED or INVALID (it has not been yet). */
int check_since(uint64_t since, uint64_t oldest, uint64_t last, ipalloc_error *error);

/* Does the key's state (present, at which revision) meet the operation's condition? */
bool op_condition_holds(const ipalloc_op *op, bool present, uint64_t revision);

#endif
