/*
 * crew.h: the workers of a test as processes: started, killed, watched, and their journals read.
 */
#ifndef IPALLOC_TEST_ETCD_CREW_H
#define IPALLOC_TEST_ETCD_CREW_H

#include "judge.h"
#include "network.h"
#include "workload.h"

#include <sys/types.h>

enum { WORKERS_MAX = 5, CREW_CLIENTS = 8 };

typedef struct crew_worker {
    pid_t pid;
    int input; /* closing it ends the worker */
    unsigned first_client, client_count, life;
} crew_worker;

typedef struct crew {
    char url[1024], directory[4096];
    uint64_t seed;
    network *net; /* NULL: none; else worker i lives in node first_node + i */
    int first_node;
    unsigned worker_count, next_life;
    crew_worker workers[WORKERS_MAX];
} crew;

/* Start so many workers with CREW_CLIENTS clients between them. url, directory, seed, net and
 * first_node are set. */
void crew_start(crew *c, unsigned workers);
/* kill -9, and start another with the same clients. */
void crew_kill(crew *c, unsigned worker);
void crew_restart(crew *c, unsigned worker);
/* SIGSTOP and SIGCONT. */
void crew_stop(crew *c, unsigned worker);
void crew_resume(crew *c, unsigned worker);
/* Fail the test if a worker has ended by itself; shows what it said. */
void crew_must_be_alive(crew *c);
/* Has every client been told OK for a change that began after `since`? Waits up to `seconds`. */
bool crew_works_since(crew *c, uint64_t since, unsigned seconds);
/* The same but for the clients of one worker. */
bool crew_others_work_since(crew *c, unsigned but, uint64_t since, unsigned seconds);
/* End them all: each settles what is open, and must end with 0. */
void crew_finish(crew *c);

/* All journals of all lives. Freed by the caller. */
operation *crew_history(const crew *c, size_t *count);
/* The judge's view of the workload's pools. */
void crew_pools(judged_history *h);

#endif
