/*
 * apiservers.h: real API servers on a real etcd, for tests of several at once.
 *
 * apiservers_begin starts an etcd of one member, or of three; apiserver_add starts a server on it.
 * apiservers_end stops what is left of both. Failures fail the test.
 */
#ifndef IPALLOC_TEST_APISERVERS_H
#define IPALLOC_TEST_APISERVERS_H

#include "cluster.h"
#include "service_client.h"

#include <pthread.h>

enum { APISERVERS_MAX = 4 };

#define SMALL      "--service-cluster-ip-range=10.96.0.0/28"
#define SMALL_SIZE 14 /* addresses */

extern etcd_cluster *members;
extern struct server_process servers[APISERVERS_MAX];

void apiservers_begin(int member_count);
void apiservers_end(void);

/* The flag that names the store. */
const char *apiservers_store(void);

/* Start servers[index] with up to two more flags (NULL: fewer). */
void apiserver_add(int index, const char *flag, const char *second_flag);
/* The same number of them, all at the same moment, with one flag (NULL: none). */
void apiservers_launch(int count, const char *flag);

/* All of that with one member and two servers. */
void two_servers(const char *flag);

/* The text at `member` of what servers[index] answers for a path; the caller frees it. */
char *text_of(int index, const char *path, const char *member);

/* Repeat a look until it is true; fails after so many seconds. */
void wait_until(bool (*look)(void *context), void *context, unsigned seconds, const char *what);

/* How many Services servers[index] lists, of all namespaces. */
size_t count_services(int index);
/* Is one of that name in its list? */
bool lists_service(int index, const char *name, const char *parameters);

/* Nothing doubled, nothing leaked: repair finds nothing, check neither, and no two Services have
 * the same ClusterIP. */
void expect_sound(int index);

/* The number behind the first line of /metrics that begins so; -1: there is none. */
double metric_of(int index, const char *line_start);

/* One thread for each of `count` contexts of `size` bytes; returns when all have ended. */
void run_together(void *(*body)(void *context), void *contexts, size_t size, int count);

/* main: skipped where there is no etcd. */
int apiservers_main(Suite *suite);

#endif
