/*
 * watchers.c: ipalloc-bench-watchers: what it costs an etcd that many servers watch one store.
 *
 *   ipalloc-bench-watchers STORE WATCHERS SECONDS | --head
 *
 * One registry allocates from 8 threads while so many other handles on STORE take in what it
 * commits, all driven by one thread as an event loop would. Prints one row: commits a second, what
 * was delivered a second, and how long after the last commit everybody had heard of it. This
 * program and the etcd share the machine: with many watchers the rate is theirs, not etcd's alone.
 */
#include <ipalloc/ipalloc.h>

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WRITERS = 8, WATCHERS_MAX = 1000, SLOW_MS = 50 };

static ipalloc_registry *registry;
static ipalloc_pool *pool;
static atomic_uint_least64_t commits, last_revision;
static atomic_bool stop_writing;
static double end_of_writing;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(int status, const char *what, const ipalloc_error *error) {
    if (status == IPALLOC_OK)
        return;
    fprintf(stderr, "ipalloc-bench-watchers: %s: %s: %s\n", what, ipalloc_strerror(status),
            error->message);
    exit(1);
}

static ipalloc_store *open_store(const char *url) {
    ipalloc_error error = {0};
    ipalloc_store *store = NULL;
    must(ipalloc_store_open(url, NULL, &store, &error), url, &error);
    return store;
}

static void begin(ipalloc_store *store) {
    ipalloc_error error = {0};
    ipalloc_cidr range;
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    must(ipalloc_cidr_parse("10.0.0.0/8", 10, &range, &error), "the range", &error);
    must(ipalloc_registry_open(store, NULL, &registry, &error), "the registry", &error);
    must(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error), "the pool",
         &error);
}

static void *write_on(void *context) {
    unsigned writer = (unsigned)(uintptr_t)context;
    ipalloc_error error = {0};
    for (uint64_t i = 0; !atomic_load(&stop_writing); i++) {
        char owner[96];
        ipalloc_grant grant = {.size = sizeof grant};
        snprintf(owner, sizeof owner,
                 "Service/team-%03u/service-%07" PRIu64 "/2f6c1d5e-8f0b-4f5e-9b1e-%012" PRIu64,
                 writer, i, i);
        must(ipalloc_allocate(registry, pool, owner, "clusterIP/IPv4", &grant, &error), owner,
             &error);
        atomic_fetch_add(&commits, 1);
    }
    return NULL;
}

/* Take in what there is until everybody knows the last revision. */
static void drive(ipalloc_store **stores, size_t count) {
    static struct pollfd polled[WATCHERS_MAX];
    static uint64_t known[WATCHERS_MAX];
    ipalloc_error error = {0};
    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = ipalloc_store_poll_fd(stores[i]), .events = POLLIN};
    for (size_t behind = count; behind > 0;) {
        poll(polled, count, SLOW_MS);
        uint64_t last = atomic_load(&last_revision); /* 0 while there is more to come */
        behind = 0;
        for (size_t i = 0; i < count; i++) {
            must(ipalloc_store_process(stores[i], &known[i], &error), "processing", &error);
            behind += last == 0 || known[i] < last;
        }
    }
}

static void *write_for(void *context) {
    pthread_t writers[WRITERS];
    ipalloc_error error = {0};
    const double *seconds = context;
    ipalloc_registry *mine = registry;
    struct timespec pause = {.tv_sec = (time_t)*seconds};
    for (uintptr_t i = 0; i < WRITERS; i++)
        if (pthread_create(&writers[i], NULL, write_on, (void *)i) != 0)
            exit(1);
    nanosleep(&pause, NULL);
    atomic_store(&stop_writing, true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    end_of_writing = now_s();
    ipalloc_txn_options options = {.size = sizeof options, .owner = "the last"};
    ipalloc_txn *txn;
    ipalloc_grant grant = {.size = sizeof grant};
    uint64_t revision = 0;
    must(ipalloc_begin(mine, &options, &txn, &error), "the last", &error);
    must(ipalloc_txn_allocate(txn, pool, "slot", &grant, &error), "the last", &error);
    must(ipalloc_txn_commit(txn, &revision, &error), "the last", &error);
    atomic_store(&last_revision, revision);
    return NULL;
}

static void measure(const char *url, size_t count, double seconds) {
    static ipalloc_store *watchers[WATCHERS_MAX];
    ipalloc_store *store = open_store(url);
    pthread_t writing;
    begin(store);
    for (size_t i = 0; i < count; i++)
        watchers[i] = open_store(url);
    double start = now_s();
    if (pthread_create(&writing, NULL, write_for, &seconds) != 0)
        exit(1);
    drive(watchers, count);
    pthread_join(writing, NULL);
    double heard = now_s(), spent = end_of_writing - start;
    printf("| %zu | %.0f | %.0f | %.0f |\n", count, (double)commits / spent,
           (double)commits * (double)count / (heard - start), 1000 * (heard - end_of_writing));
    for (size_t i = 0; i < count; i++)
        ipalloc_store_close(watchers[i]);
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
}

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "--head") == 0) {
        puts("| watchers | commits/s | commits heard/s, all together | the last one heard by all "
             "after, ms |\n|---:|---:|---:|---:|");
        return 0;
    }
    unsigned long watchers = count == 4 ? strtoul(words[2], NULL, 10) : WATCHERS_MAX + 1;
    double seconds = count == 4 ? strtod(words[3], NULL) : 0;
    if (watchers > WATCHERS_MAX || seconds < 1 || seconds > 600) {
        fputs("usage: ipalloc-bench-watchers STORE WATCHERS SECONDS | --head\n", stderr);
        return 2;
    }
    measure(words[1], watchers, seconds);
    return 0;
}
