/*
 * etcd_bench.h: the benchmark of the etcd store: what its parts share.
 *
 *   ours.c         one-shot allocations through the registry, as a server makes them
 *   inside/bare.c  the same transactions, sent by the same client without registry and store
 *   inside/blob.c  Kubernetes' first way: the bitmap as one value, read and swapped
 *   servers.c      servers as processes of their own, each with so many callers
 *   latency.c      how long calls took
 *   main.c         the cases and their table
 *
 * What is in inside/ looks into the library, because what they send has to go through the very same
 * client. Whatever fails ends the program: a figure would mean nothing.
 */
#ifndef IPALLOC_BENCH_ETCD_H
#define IPALLOC_BENCH_ETCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALLERS_MAX = 64, SERVERS_MAX = 4, PREFIX_MAX = 96, BLOB_BYTES = 8192 /* a /16 */ };

/* --- main.c ----------------------------------------------------------------------------------- */

uint64_t now_ns(void);
void broken(const char *what, const char *why) __attribute__((noreturn, cold));

/* --- latency.c -------------------------------------------------------------------------------- */

enum { LATENCY_BUCKETS = 256 };

/* Counts by duration: eight buckets to each power of two of microseconds. */
typedef struct latency {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t longest_us;
} latency;

void latency_note(latency *l, uint64_t us);
void latency_add(latency *to, const latency *from);
/* The duration, in microseconds, that so many per mille were no longer than. */
double latency_at(const latency *l, unsigned per_mille);

/* --- what is measured ------------------------------------------------------------------------- */

typedef struct setup {
    const char *hosts; /* "127.0.0.1:2379,127.0.0.1:2381" */
    char prefix[PREFIX_MAX];
    unsigned server;  /* 0, 1, ... */
    unsigned callers; /* of each server */
    unsigned servers;
    bool follows; /* a thread keeps the memory fresh */
} setup;

typedef struct subject {
    const char *name;
    void (*prepare)(const setup *s); /* once, before any server opens */
    void *(*open)(const setup *s);   /* in each server */
    uint64_t (*allocate)(void *self, unsigned caller, uint64_t number); /* returns conflicts */
    void (*close)(void *self);
} subject;

extern const subject OURS, BARE, BLOB;

/* --- servers.c -------------------------------------------------------------------------------- */

typedef struct result {
    uint64_t done, conflicts;
    uint64_t spent_ns;
    latency latency;
} result;

/* Let so many servers allocate for that long, and add up what they did. */
void servers_run(const subject *kind, const setup *s, uint64_t stretch_ns, result *out);

#endif
