/*
 * nemesis.h: one fault after another against a cluster and the workers on it.
 *
 * Each makes its fault, sees that it took effect (the leader is another; a write cannot be made; a
 * connection cannot be opened; the process is gone; the past is gone), lets it last, heals it, and
 * sees that the cluster is healthy and every client works again. Anything else fails the test.
 */
#ifndef IPALLOC_TEST_ETCD_NEMESIS_H
#define IPALLOC_TEST_ETCD_NEMESIS_H

#include "cluster.h"
#include "crew.h"
#include "network.h"

typedef enum fault_kind {
    KILL_LEADER,
    KILL_FOLLOWER,
    KILL_MAJORITY,
    KILL_ALL,
    STOP_LEADER,
    STOP_FOLLOWER,
    STOP_MAJORITY,
    STOP_ALL,
    CUT_LEADER,
    CUT_FOLLOWER,
    MUTE_LEADER,
    DEAFEN_LEADER,
    CUT_WORKER,
    DEAFEN_WORKER,
    CUT_WORKER_OFF,
    KILL_WORKER,
    COMPACT_BEHIND,
    FAULT_KINDS
} fault_kind;

typedef struct fault_record {
    fault_kind kind;
    uint64_t began, healed, recovered;
} fault_record;

enum { MEMBERS = 3, FAULTS_MAX = 4096 };

typedef struct nemesis {
    etcd_cluster *cluster;
    network *net; /* NULL: cuts are made by stopping what would be cut off */
    crew *crew;
    uint64_t random;
    size_t count;
    fault_record done[FAULTS_MAX];
} nemesis;

const char *fault_name(fault_kind kind);

/* Faults for so long, and at least so many. No kind comes again before all have come. */
void nemesis_run(nemesis *n, unsigned seconds, unsigned faults_min);

#endif
