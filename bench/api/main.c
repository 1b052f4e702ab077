/*
 * main.c: ipalloc-bench-api: creates of Services per second through ipalloc-apiserver, by clients
 * and by how many Services are there, against SQLite alone; see api.h.
 *
 *   ipalloc-bench-api SERVER [--smoke] [--directory=DIR]
 *
 * Prints a table in Markdown. Each figure is the median of rounds in which the server and SQLite
 * take turns; what a round made is deleted before the next, so that the Services that are there
 * stay as many.
 */
#include "api.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS_MAX = 7, CASES_MAX = 3, PRELOAD_CLIENTS = 64, TEMPLATES = 1000 };

typedef struct plan {
    uint64_t existing[CASES_MAX];
    unsigned clients[CASES_MAX];
    size_t existing_count, client_count;
    unsigned rounds;
    uint64_t stretch_ns;
} plan;

static const plan FULL = {{0, 10000, 100000}, {1, 4, 64}, 3, 3, 7, 500000000};
static const plan SMOKE = {{0, 100}, {1, 4}, 2, 2, 1, 20000000};

typedef struct result {
    double server, bare;
    double cpu_us; /* of the server for one create */
} result;

static void show_progress(const plan *p, size_t done, uint64_t existing, unsigned clients) {
    static uint64_t begin_ns;
    size_t all = p->existing_count * p->client_count;
    double spent = 0;
    if (begin_ns == 0)
        begin_ns = api_now_ns();
    spent = (double)(api_now_ns() - begin_ns) / 1e9;
    fprintf(stderr, "%zu of %zu, %.0f s: %u clients, %llu Services\n", done + 1, all, spent,
            clients, (unsigned long long)existing);
}

/* --- one case --------------------------------------------------------------------------------- */

static void create(const api_server *server, const char *name, uint64_t count) {
    uint64_t spent;
    api_work work = {server->port, PRELOAD_CLIENTS, false, name, count, 0};
    if (count > 0)
        api_client_run(&work, &spent);
}

/* Make as many as the time allows, and delete them again. */
static double server_rate(const api_server *server, unsigned clients, uint64_t stretch_ns,
                          double *cpu_us) {
    uint64_t spent, unmeasured;
    api_work work = {server->port, clients,    false,
                     "measured",   UINT64_MAX, api_now_ns() + stretch_ns};
    uint64_t cpu = api_server_cpu_ns(server);
    uint64_t done = api_client_run(&work, &spent);
    *cpu_us = (double)(api_server_cpu_ns(server) - cpu) / 1e3 / (double)done;
    api_work undo = {server->port, PRELOAD_CLIENTS, true, "measured", done, 0};
    if (api_client_run(&undo, &unmeasured) != done)
        api_broken("the server", "lost Services");
    return (double)done * 1e9 / (double)spent;
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, unsigned count) {
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

static result measure(const plan *p, const api_server *server, api_bare *bare, unsigned clients) {
    double servers[ROUNDS_MAX] = {0}, bares[ROUNDS_MAX] = {0}, cpu_us[ROUNDS_MAX] = {0};
    for (unsigned i = 0; i < p->rounds; i++) {
        servers[i] = server_rate(server, clients, p->stretch_ns, &cpu_us[i]);
        bares[i] = api_bare_run(bare, clients, p->stretch_ns);
    }
    return (result){median(servers, p->rounds), median(bares, p->rounds),
                    median(cpu_us, p->rounds)};
}

/* --- all cases -------------------------------------------------------------------------------- */

/* The rows of a create, from a server that only makes a few. */
static void make_templates(const char *program, const char *directory, api_server *server) {
    api_server_start(server, program, directory);
    create(server, "template", TEMPLATES);
    api_server_stop(server);
}

static void print_head(void) {
    printf("| Services there | clients | creates/s | bare SQLite, commits/s | ratio |"
           " server's CPU, µs a create |\n"
           "|---:|---:|---:|---:|---:|---:|\n");
}

static void print_row(uint64_t existing, unsigned clients, const result *r) {
    printf("| %llu | %u | %.0f | %.0f | %.2f | %.0f |\n", (unsigned long long)existing, clients,
           r->server, r->bare, r->server / r->bare, r->cpu_us);
    fflush(stdout);
}

static double measure_existing(const plan *p, size_t at, const char *program, const char *directory,
                               const char *templates) {
    api_server server = {0};
    uint64_t existing = p->existing[at];
    api_server_start(&server, program, directory);
    create(&server, "preloaded", existing);
    api_bare *bare = api_bare_open(directory, templates, existing);
    for (size_t i = 0; i < p->client_count; i++) {
        show_progress(p, at * p->client_count + i, existing, p->clients[i]);
        result r = measure(p, &server, bare, p->clients[i]);
        print_row(existing, p->clients[i], &r);
    }
    double bytes = api_bare_bytes(bare);
    api_bare_close(bare);
    api_server_stop(&server);
    return bytes;
}

/* The databases, and what SQLite keeps beside them. */
static void remove_files(const char *directory) {
    DIR *files = opendir(directory);
    if (files == NULL)
        api_broken(directory, "cannot be read");
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;)
        unlinkat(dirfd(files), entry->d_name, 0);
    closedir(files);
    if (rmdir(directory) != 0)
        fprintf(stderr, "ipalloc-bench-api: %s stays\n", directory);
}

static void run(const plan *p, const char *program, const char *parent) {
    char directory[API_PATH_MAX];
    api_server templates = {0};
    double bytes = 0;
    snprintf(directory, sizeof directory, "%s/ipalloc-bench-api-XXXXXX", parent);
    if (mkdtemp(directory) == NULL)
        api_broken(parent, "no directory can be made there");
    make_templates(program, directory, &templates);
    print_head();
    for (size_t i = 0; i < p->existing_count; i++)
        bytes = measure_existing(p, i, program, directory, templates.store);
    printf("\nA create writes %.0f bytes of keys and values, twice (records and changes).\n",
           bytes);
    remove_files(directory);
}

int main(int argc, char **argv) {
    const plan *p = &FULL;
    const char *temporary = getenv("TMPDIR");
    const char *parent = temporary != NULL ? temporary : "/tmp";
    static const char directory_option[] = "--directory=";
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            p = &SMOKE;
        else if (strncmp(argv[i], directory_option, strlen(directory_option)) == 0)
            parent = argv[i] + strlen(directory_option);
        else
            argc = 0;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: ipalloc-bench-api SERVER [--smoke] [--directory=DIR]\n");
        return 2;
    }
    run(p, argv[1], parent);
    return EXIT_SUCCESS;
}
