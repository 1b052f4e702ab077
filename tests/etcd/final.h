/*
 * final.h: what is in a store after a workload, read raw, and by a fresh registry.
 */
#ifndef IPALLOC_TEST_ETCD_FINAL_H
#define IPALLOC_TEST_ETCD_FINAL_H

#include "cluster.h"
#include "workload.h"

typedef struct final_state {
    step *leases; /* STEP_SEE, in order of generation */
    size_t count;
    uint64_t at;            /* when they were read */
    size_t owners, records; /* that hold something */
    char wrong[512];        /* empty: nothing */
} final_state;

/* Read every key, by etcdctl or by the store's own scan. Leases and owners' records must tell the
 * same (each address once, each slot of an owner once), and so must the records of transactions. */
void final_from_etcd(etcd_cluster *cluster, const char *prefix, final_state *out);
void final_from_store(const char *url, final_state *out);

/* A registry that is opened now lists the same, validates, and repair finds nothing. */
void final_registry(const char *url, final_state *state);

void final_free(final_state *state);

#endif
