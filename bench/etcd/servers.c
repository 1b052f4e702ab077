/*
 * servers.c: servers as processes; see etcd_bench.h.
 *
 * Each opens what it needs and says that it is ready; then all are let go at the same time, and
 * report through memory that they share with the parent.
 */
#include "etcd_bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct board {
    _Atomic unsigned ready;
    _Atomic bool go;
    uint64_t end_ns;
    result results[SERVERS_MAX][CALLERS_MAX];
} board;

typedef struct caller {
    const subject *kind;
    void *self;
    board *board;
    result *result;
    unsigned number;
    pthread_t thread;
} caller;

static void pause_a_little(void) {
    const struct timespec little = {.tv_nsec = 100000};
    nanosleep(&little, NULL);
}

static void *call(void *context) {
    caller *c = context;
    while (!atomic_load(&c->board->go))
        pause_a_little();
    uint64_t begun = now_ns(), before = begun;
    while (before < c->board->end_ns) {
        c->result->conflicts += c->kind->allocate(c->self, c->number, c->result->done);
        uint64_t after = now_ns();
        latency_note(&c->result->latency, (after - before) / 1000);
        c->result->done++;
        before = after;
    }
    c->result->spent_ns = before - begun;
    return NULL;
}

static void serve(const subject *kind, const setup *s, board *shared) {
    caller callers[CALLERS_MAX];
    void *self = kind->open(s);
    for (unsigned i = 0; i < s->callers; i++) {
        callers[i] = (caller){kind, self, shared, &shared->results[s->server][i], i, 0};
        if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0)
            broken("a caller", "no thread could be made");
    }
    atomic_fetch_add(&shared->ready, 1);
    for (unsigned i = 0; i < s->callers; i++)
        pthread_join(callers[i].thread, NULL);
    kind->close(self);
}

static pid_t start(const subject *kind, setup s, unsigned number, board *shared) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0)
        broken("a server", "no process could be made");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_FAILURE);
        s.server = number;
        serve(kind, &s, shared);
        _exit(EXIT_SUCCESS);
    }
    return child;
}

static void wait_until_ready(const board *shared, unsigned servers) {
    while (atomic_load(&shared->ready) < servers) {
        int status;
        if (waitpid(-1, &status, WNOHANG) > 0)
            broken("a server", "ended before it began");
        pause_a_little();
    }
}

static void add_up(const board *shared, const setup *s, result *out) {
    *out = (result){0};
    for (unsigned i = 0; i < s->servers * s->callers; i++) {
        const result *one = &shared->results[i / s->callers][i % s->callers];
        out->done += one->done;
        out->conflicts += one->conflicts;
        latency_add(&out->latency, &one->latency);
        if (one->spent_ns > out->spent_ns)
            out->spent_ns = one->spent_ns;
    }
}

void servers_run(const subject *kind, const setup *s, uint64_t stretch_ns, result *out) {
    board *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[SERVERS_MAX];
    if (shared == MAP_FAILED)
        broken("shared memory", "there is none");
    kind->prepare(s);
    for (unsigned i = 0; i < s->servers; i++)
        children[i] = start(kind, *s, i, shared);
    wait_until_ready(shared, s->servers);
    shared->end_ns = now_ns() + stretch_ns;
    atomic_store(&shared->go, true);
    for (unsigned i = 0; i < s->servers; i++) {
        int status;
        if (waitpid(children[i], &status, 0) != children[i] || status != 0)
            broken(kind->name, "a server failed");
    }
    add_up(shared, s, out);
    munmap(shared, sizeof *shared);
}
