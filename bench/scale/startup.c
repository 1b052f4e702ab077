/*
 * startup.c: ipalloc-bench-startup: what a full store costs: copying it, and a server's start on
 * it.
 *
 *   ipalloc-bench-startup STORE LEASES
 *
 * Makes a registry with so many leases in memory, each of an owner of its own, as Services are;
 * copies it into STORE, which must be new; opens that as a server does. Prints one row of the table
 * whose head is printed by `ipalloc-bench-startup --head`. With 0 leases STORE is opened as it is.
 */
#include <ipalloc/ipalloc.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of this process, resident. */
static double memory_mib(void) {
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    if (file != NULL)
        fclose(file);
    const char *second = strchr(line, ' ');
    long resident = second != NULL ? strtol(second, NULL, 10) : 0; /* pages */
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static void must(int status, const char *what, const ipalloc_error *error) {
    if (status == IPALLOC_OK)
        return;
    fprintf(stderr, "ipalloc-bench-startup: %s: %s: %s\n", what, ipalloc_strerror(status),
            error->message);
    exit(1);
}

static ipalloc_store *open_store(const char *url, uint64_t first_epoch) {
    ipalloc_error error = {0};
    ipalloc_store *store = NULL;
    ipalloc_store_options options = {
        .size = sizeof options, .first_epoch = first_epoch, .changes_kept = 1000};
    must(ipalloc_store_open(url, &options, &store, &error), url, &error);
    return store;
}

static void fill(ipalloc_store *store, uint64_t leases) {
    ipalloc_error error = {0};
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    ipalloc_cidr range;
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    must(ipalloc_cidr_parse("10.0.0.0/8", 10, &range, &error), "the range", &error);
    must(ipalloc_registry_open(store, NULL, &registry, &error), "the registry", &error);
    must(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error), "the pool",
         &error);
    for (uint64_t i = 0; i < leases; i++) {
        char owner[96];
        ipalloc_grant grant = {.size = sizeof grant};
        snprintf(owner, sizeof owner,
                 "Service/team-%03u/service-%07" PRIu64 "/2f6c1d5e-8f0b-4f5e-9b1e-%012" PRIu64,
                 (unsigned)(i % 1000), i, i);
        must(ipalloc_allocate(registry, pool, owner, "clusterIP/IPv4", &grant, &error), owner,
             &error);
    }
    ipalloc_registry_close(registry);
}

/* In a process of its own, so that its memory is not the other's. */
static void fill_and_copy(const char *url, uint64_t leases) {
    ipalloc_error error = {0};
    ipalloc_copy_result result = {.size = sizeof result};
    ipalloc_store *memory = open_store("memory:", 1);
    fill(memory, leases);
    ipalloc_store *store = open_store(url, 2);
    double begin = now_s();
    must(ipalloc_store_copy(memory, store, NULL, &result, &error), "the copy", &error);
    double copied = now_s();
    ipalloc_store_close(store);
    ipalloc_store_close(memory);
    printf("| %" PRIu64 " | %" PRIu64 " | %.1f | %.2f ", leases, result.entries,
           (double)result.bytes / 1048576, copied - begin);
    fflush(stdout);
}

static bool run_child(const char *url, uint64_t leases) {
    int how = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fill_and_copy(url, leases);
        _exit(0);
    }
    return child > 0 && waitpid(child, &how, 0) == child && how == 0;
}

static void start(const char *url) {
    ipalloc_error error = {0};
    ipalloc_registry *registry;
    double before_mib = memory_mib(), opening = now_s();
    ipalloc_store *store = open_store(url, 0);
    must(ipalloc_registry_open(store, NULL, &registry, &error), "opening", &error);
    double opened = now_s(), after_mib = memory_mib();
    must(ipalloc_registry_validate(registry, &error), "validating", &error);
    printf("| %.2f | %.2f | %.1f |\n", opened - opening, now_s() - opened, after_mib - before_mib);
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
}

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "--head") == 0) {
        puts("| leases | records | keys and values, MiB | copying there, s | a server's start, s | "
             "validating, s | memory taken, MiB |\n|---:|---:|---:|---:|---:|---:|---:|");
        return 0;
    }
    char *end = NULL;
    uint64_t leases = count == 3 ? strtoull(words[2], &end, 10) : 0;
    if (end == NULL || end == words[2] || *end != '\0' || leases > 16000000) {
        fputs("usage: ipalloc-bench-startup STORE LEASES | --head\n", stderr);
        return 2;
    }
    if (leases == 0)
        printf("| as it is | | | ");
    else if (!run_child(words[1], leases))
        return 1;
    start(words[1]);
    return 0;
}
