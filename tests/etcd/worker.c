/*
 * worker.c: a process full of clients. It opens the store (again and again, while that cannot be
 * reached), works until its stdin ends, settles what is open, and ends with 0.
 */
#include "client.h"

#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_PER_WORKER_MAX = 8, SETTLE_SECONDS = 60, THINK_MS = 20 };

typedef struct worker {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pools[WORKLOAD_POOLS];
    client clients[CLIENTS_PER_WORKER_MAX];
    pthread_t threads[CLIENTS_PER_WORKER_MAX];
    unsigned client_count;
    atomic_bool stop;
    int follow_stop[2];
} worker;

static worker the_worker;

static void wait_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- threads ---- */

static void *work(void *context) {
    client *c = context;
    client_remember(c);
    while (!atomic_load(&the_worker.stop)) {
        client_step(c);
        wait_ms((long)draw(c, THINK_MS));
    }
    client_make_room(c);
    uint64_t limit = journal_now() + SETTLE_SECONDS * UINT64_C(1000000000);
    while (!client_settle(c)) {
        if (journal_now() > limit) {
            fprintf(stderr, "client %u: what it asked for is still not settled after %d s: %s\n",
                    c->index, SETTLE_SECONDS, c->error.message);
            abort();
        }
        wait_ms(20);
    }
    return NULL;
}

static void *follow(void *context) {
    worker *w = context;
    ipalloc_error error;
    int status = ipalloc_registry_follow(w->registry, w->follow_stop[0], &error);
    if (status != IPALLOC_OK) {
        fprintf(stderr, "follow: %s: %s\n", ipalloc_status_name(status), error.message);
        abort();
    }
    return NULL;
}

/* ---- opening ---- */

static bool stdin_ended(int wait_ms_max) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, wait_ms_max) > 0;
}

static bool may_be_tried_again(int status) {
    return status == IPALLOC_E_UNAVAILABLE || status == IPALLOC_E_UNKNOWN_OUTCOME ||
           status == IPALLOC_E_CONFLICT;
}

static int try_to_open(worker *w, const char *url, ipalloc_error *error) {
    ipalloc_store_options with = {.size = sizeof with, .timeout_ms = CALL_MS};
    int status = w->store != NULL ? IPALLOC_OK : ipalloc_store_open(url, &with, &w->store, error);
    if (status == IPALLOC_OK && w->registry == NULL)
        status = ipalloc_registry_open(w->store, NULL, &w->registry, error);
    return status == IPALLOC_OK ? workload_define(w->registry, w->pools, error) : status;
}

static bool open_registry(worker *w, const char *url) {
    ipalloc_error error;
    int status = try_to_open(w, url, &error);
    while (status != IPALLOC_OK && may_be_tried_again(status) && !stdin_ended(50))
        status = try_to_open(w, url, &error);
    if (status != IPALLOC_OK && !may_be_tried_again(status)) {
        fprintf(stderr, "opening %s: %s: %s\n", url, ipalloc_status_name(status), error.message);
        abort();
    }
    return status == IPALLOC_OK;
}

static void close_registry(worker *w) {
    ipalloc_registry_close(w->registry);
    ipalloc_store_close(w->store);
}

int worker_main(int argc, char **argv) {
    worker *w = &the_worker;
    pthread_t follower;
    if (argc != 8)
        return 2;
    const char *url = argv[2], *directory = argv[3];
    unsigned life = (unsigned)atoi(argv[4]), first = (unsigned)atoi(argv[5]);
    uint64_t seed = strtoull(argv[7], NULL, 10);
    w->client_count = (unsigned)atoi(argv[6]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (w->client_count > CLIENTS_PER_WORKER_MAX || pipe(w->follow_stop) != 0)
        return 2;
    if (!open_registry(w, url)) {
        close_registry(w);
        return 0;
    }
    if (pthread_create(&follower, NULL, follow, w) != 0)
        return 2;
    for (unsigned i = 0; i < w->client_count; i++) {
        client *c = &w->clients[i];
        client_init(c, first + i, life, directory, seed);
        c->registry = w->registry;
        c->pools = w->pools;
        if (pthread_create(&w->threads[i], NULL, work, c) != 0)
            return 2;
    }
    stdin_ended(-1);
    atomic_store(&w->stop, true);
    for (unsigned i = 0; i < w->client_count; i++)
        pthread_join(w->threads[i], NULL);
    close(w->follow_stop[1]);
    pthread_join(follower, NULL);
    close_registry(w);
    return 0;
}
