/*
 * durable.h: what the durable cases share: their peers, their files, how long a stretch is.
 */
#ifndef IPALLOC_BENCH_DURABLE_H
#define IPALLOC_BENCH_DURABLE_H

#include "capture.h"

enum { DURABLE_PATH_MAX = 4200 };

/* How many leases are there before the first measured one. */
uint64_t durable_preloaded(const workload *work);
uint64_t durable_stretch_ns(const workload *work);

/* A new file name in the benchmark's directory. */
void durable_path(const workload *work, const char *name, char out[DURABLE_PATH_MAX]);

/* A peer that fails ends the program: its figure would mean nothing. */
void durable_broken(const char *what, const char *why) __attribute__((noreturn, cold));

extern const subject BARE_SUBJECT, BARE_NO_CHANGES_SUBJECT, APPEND_SUBJECT;

#endif
