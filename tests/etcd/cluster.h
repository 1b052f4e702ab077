/*
 * cluster.h: real etcd members for a test: started, killed, stopped, restarted, looked at.
 *
 * Each cluster has a directory and ports of its own, so that any number of tests run at once, as
 * root or not. Whatever happens to the test, its members die with it and the directory goes: a
 * watchman, a process of its own, sees to it, and shows what the members said where the test
 * failed. Everything here fails the test that calls it when it does not work. Start and restart
 * from a thread that stays: members die with the thread that started them.
 *
 * `etcd` and `etcdctl` are found in PATH: 3.4, 3.5 or 3.6.
 */
#ifndef IPALLOC_TEST_ETCD_CLUSTER_H
#define IPALLOC_TEST_ETCD_CLUSTER_H

#include "support.h"

#include <sys/types.h>

enum { ETCD_MEMBERS_MAX = 5, ETCD_ALL = -1 };

typedef struct etcd_cluster etcd_cluster;

typedef struct etcd_options {
    int members;                  /* 1, 3 or 5; 0: 1 */
    const char *const *arguments; /* more for each member, up to NULL: "--max-txn-ops=256" */
    /* TLS for clients (PEM). With a ca_file they have to show a certificate that it has signed. */
    const char *cert_file, *key_file, *ca_file;
    /* How etcdctl gets in: the authority of the members, and its own certificate. */
    const char *ctl_ca_file, *ctl_cert_file, *ctl_key_file;
    /* Members with addresses of their own, at etcd's usual ports, in a network of the test's:
     * `enter` runs in each member's process before it becomes etcd. NULL: 127.0.0.1. */
    const char *const *hosts;
    void (*enter)(void *context, int member);
    void *context;
} etcd_options;

/* Is there an etcd to test with? */
bool etcd_is_here(void);

/* Started and healthy. NULL options: one member. */
etcd_cluster *etcd_start(const etcd_options *options);
/* Kill all and remove what they wrote. NULL is fine. */
void etcd_stop(etcd_cluster *cluster);

/* "etcd:http://127.0.0.1:21001,http://127.0.0.1:21002/prefix"; https where the cluster has TLS.
 * `prefix` begins with '/', or is empty. Good until the cluster is stopped. */
const char *etcd_url(etcd_cluster *cluster, const char *prefix);
/* "http://127.0.0.1:21001,http://127.0.0.1:21002": all, or one member's. */
const char *etcd_endpoints(const etcd_cluster *cluster, int member_or_all);
const char *etcd_host(const etcd_cluster *cluster, int member); /* "127.0.0.1:21001" */
const char *etcd_directory(const etcd_cluster *cluster);
int etcd_member_count(const etcd_cluster *cluster);

/* Faults. */
void etcd_kill(etcd_cluster *cluster, int member); /* SIGKILL, and gone when it returns */
void etcd_pause(etcd_cluster *cluster, int member);
void etcd_resume(etcd_cluster *cluster, int member);
void etcd_restart(etcd_cluster *cluster,
                  int member); /* kills it first if it lives; does not wait */
bool etcd_is_running(const etcd_cluster *cluster, int member); /* paused ones are, too */
bool etcd_is_paused(const etcd_cluster *cluster, int member);

/* Wait until every member has answered a write; fails the test after `seconds`. */
void etcd_wait_healthy(etcd_cluster *cluster, unsigned seconds);
/* Has this member (or each) committed something just now? */
bool etcd_is_healthy(etcd_cluster *cluster, int member_or_all);

typedef struct etcd_status {
    uint64_t cluster_id, member_id;
    uint64_t leader; /* a member id; 0: it knows none */
    uint64_t term, revision;
} etcd_status;

/* What one member says of itself; false: it did not answer within a second. */
bool etcd_member_status(etcd_cluster *cluster, int member, etcd_status *out);
/* Who leads: the leader of the highest term that a member tells; -1: nobody. */
int etcd_leader(etcd_cluster *cluster);

/* Forget history before the present revision, which is returned. */
uint64_t etcd_compact(etcd_cluster *cluster);

typedef struct etcd_key {
    const char *key; /* ends in NUL, which does not count in key_size */
    size_t key_size;
    const char *value;
    size_t value_size;
    uint64_t create_revision, mod_revision, lease;
} etcd_key;

/* Every key under a prefix, read by etcdctl (linearizable), in order. Returns how many. */
size_t etcd_read_all(etcd_cluster *cluster, const char *prefix,
                     void (*visit)(void *context, const etcd_key *key), void *context);

/* etcdctl WORDS... (up to NULL) with everything that it needs to get in. Its exit status; -1 if it
 * did not end by itself within `seconds` (0: 10). `output` (may be NULL) gets its text, freed by
 * the caller. */
int etcd_ctl_words(etcd_cluster *cluster, int member_or_all, unsigned seconds, char **output,
                   const char *const *words);
#define etcd_ctl(cluster, output, ...) \
    etcd_ctl_words(cluster, ETCD_ALL, 0, output, (const char *const[]){__VA_ARGS__, NULL})
/* It must succeed. */
#define etcd_ctl_ok(cluster, ...) ck_assert_int_eq(etcd_ctl(cluster, NULL, __VA_ARGS__), 0)
/* From now on etcdctl comes as "name:password" (NULL: as nobody). */
void etcd_ctl_user(etcd_cluster *cluster, const char *user);

#endif
