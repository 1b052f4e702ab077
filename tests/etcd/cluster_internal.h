/*
 * cluster_internal.h: what cluster.c, etcdctl.c and watchman.c know of a cluster.
 */
#ifndef IPALLOC_TEST_ETCD_CLUSTER_INTERNAL_H
#define IPALLOC_TEST_ETCD_CLUSTER_INTERNAL_H

#include "cluster.h"

enum { WORDS_MAX = 64, TEXT_MAX = 512 };

typedef struct etcd_member {
    pid_t pid; /* 0: not running */
    bool paused, started_before;
    unsigned client_port, peer_port;
    char host[64], client_url[96], peer_url[96], log[TEXT_MAX];
} etcd_member;

struct etcd_cluster {
    etcd_options options;
    etcd_member members[ETCD_MEMBERS_MAX];
    int count;
    const char *directory;
    char endpoints[ETCD_MEMBERS_MAX * 97];
    char url[ETCD_MEMBERS_MAX * 97 + TEXT_MAX];
    const char *user;
    int watchman; /* the pipe that tells it that the test is over */
    pid_t watchman_pid;
};

/* Start the process that outlives the test; and tell it that all is well. */
void watchman_start(etcd_cluster *cluster);
void watchman_dismiss(etcd_cluster *cluster);

uint64_t monotonic_ms(void);
void sleep_ms(unsigned milliseconds);

#endif
