/*
 * capture.h: what ipalloc writes to its store, captured once and replayed by the bare peers.
 *
 * A registry over a store of our own (store.h: a program can bring its own) that passes everything
 * on to "memory:" and keeps a copy of every batch. So the peers write the same rows, keys and
 * bytes, whatever the registry's records look like.
 */
#ifndef IPALLOC_BENCH_CAPTURE_H
#define IPALLOC_BENCH_CAPTURE_H

#include "bench.h"

typedef struct captured_op {
    int kind; /* enum ipalloc_op_kind */
    uint32_t key_size, value_size;
    size_t at; /* key, then value, in capture.bytes */
} captured_op;

typedef struct captured_batch {
    size_t first_op, op_count, bytes;
} captured_batch;

typedef struct capture {
    size_t op_count, op_capacity, batch_count, batch_capacity, byte_count, byte_capacity;
    captured_op *ops;
    captured_batch *batches;
    char *bytes;
    size_t first_one_shot; /* index of the first batch that is a one-shot; before: preload */
} capture;

/* Make `leases` one-shot allocations that count as preloaded, and `one_shots` more. NULL: no
 * memory, or a call failed (said on stderr). */
capture *capture_make(uint64_t leases, uint64_t one_shots);
void capture_free(capture *c);

#endif
