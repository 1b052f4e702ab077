/*
 * main.c: ipalloc-bench-etcd: allocations a second on an etcd, by servers and callers, against the
 * same transactions without us and against one value that is swapped; see etcd_bench.h.
 *
 *   ipalloc-bench-etcd HOSTS [--smoke]      HOSTS: 127.0.0.1:2379,127.0.0.1:22379,...
 *
 * Prints two tables in Markdown. Each figure is the median of rounds in which the three take turns,
 * each in a range of its own that nobody used before.
 */
#include "etcd_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 5, CASES_MAX = 8, KINDS = 3 };

typedef struct bench_case {
    unsigned servers, callers;
    bool follows;
} bench_case;

typedef struct plan {
    bench_case cases[CASES_MAX];
    size_t case_count;
    unsigned rounds;
    uint64_t stretch_ns;
} plan;

static const plan FULL = {{{1, 1, false},
                           {1, 8, false},
                           {1, 64, false},
                           {1, 16, true},
                           {2, 1, true},
                           {2, 16, true},
                           {4, 1, true},
                           {4, 16, true}},
                          8,
                          5,
                          1000000000};
static const plan SMOKE = {{{1, 2, false}, {2, 2, true}}, 2, 1, 50000000};

static const subject *const KIND[KINDS] = {&OURS, &BARE, &BLOB};

typedef struct row {
    bench_case it;
    double rate[KINDS], conflicts[KINDS];
    latency latency[KINDS]; /* of all rounds */
} row;

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void broken(const char *what, const char *why) {
    fprintf(stderr, "ipalloc-bench-etcd: %.200s: %.400s\n", what, why);
    _exit(EXIT_FAILURE); /* of a server, too: what its parent has is not its to close */
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, unsigned count) {
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

static void measure(const plan *p, const char *hosts, size_t number, row *out) {
    double rates[KINDS][ROUNDS_MAX] = {{0}};
    uint64_t done[KINDS] = {0}, conflicts[KINDS] = {0};
    *out = (row){.it = p->cases[number]};
    for (unsigned round = 0; round < p->rounds; round++) {
        for (int kind = 0; kind < KINDS; kind++) {
            setup s = {.hosts = hosts,
                       .callers = out->it.callers,
                       .servers = out->it.servers,
                       .follows = out->it.follows};
            result r;
            snprintf(s.prefix, sizeof s.prefix, "/bench-%d/%zu-%u-%d", (int)getpid(), number, round,
                     kind);
            servers_run(KIND[kind], &s, p->stretch_ns, &r);
            rates[kind][round] = (double)r.done * 1e9 / (double)r.spent_ns;
            done[kind] += r.done;
            conflicts[kind] += r.conflicts;
            latency_add(&out->latency[kind], &r.latency);
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        out->rate[kind] = median(rates[kind], p->rounds);
        out->conflicts[kind] = (double)conflicts[kind] / (double)(done[kind] > 0 ? done[kind] : 1);
    }
}

static void show_progress(const plan *p, size_t at, uint64_t begun_ns) {
    fprintf(stderr, "%zu of %zu, %.0f s: %u servers, %u callers each\n", at + 1, p->case_count,
            (double)(now_ns() - begun_ns) / 1e9, p->cases[at].servers, p->cases[at].callers);
}

static void print_rates(const row *rows, size_t count) {
    printf(
        "| servers | callers each | watch | ipalloc, allocations/s | bare transactions/s | ratio |"
        " one value, swapped/s | ratio |\n"
        "|---:|---:|---|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < count; i++)
        printf("| %u | %u | %s | %.0f | %.0f | %.2f | %.0f | %.1f |\n", rows[i].it.servers,
               rows[i].it.callers, rows[i].it.follows ? "yes" : "no", rows[i].rate[0],
               rows[i].rate[1], rows[i].rate[0] / rows[i].rate[1], rows[i].rate[2],
               rows[i].rate[0] / rows[i].rate[2]);
}

static void print_latency(const latency *l) {
    printf(" %.1f / %.1f / %.1f |", latency_at(l, 500) / 1e3, latency_at(l, 990) / 1e3,
           (double)l->longest_us / 1e3);
}

static void print_details(const row *rows, size_t count) {
    printf(
        "\n| servers | callers each | ipalloc: p50 / p99 / longest, ms | conflicts an allocation |"
        " bare: p50 / p99 / longest, ms | one value: p50 / p99 / longest, ms | conflicts an "
        "allocation |\n"
        "|---:|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < count; i++) {
        printf("| %u | %u |", rows[i].it.servers, rows[i].it.callers);
        print_latency(&rows[i].latency[0]);
        printf(" %.4f |", rows[i].conflicts[0]);
        print_latency(&rows[i].latency[1]);
        print_latency(&rows[i].latency[2]);
        printf(" %.2f |\n", rows[i].conflicts[2]);
    }
}

int main(int argc, char **argv) {
    static row rows[CASES_MAX];
    bool smoke = argc == 3 && strcmp(argv[2], "--smoke") == 0;
    const plan *p = smoke ? &SMOKE : &FULL;
    uint64_t begun_ns = now_ns();
    if (argc != 2 && !smoke) {
        fprintf(stderr, "usage: ipalloc-bench-etcd HOST:PORT[,HOST:PORT...] [--smoke]\n");
        return 2;
    }
    for (size_t i = 0; i < p->case_count; i++) {
        show_progress(p, i, begun_ns);
        measure(p, argv[1], i, &rows[i]);
    }
    print_rates(rows, p->case_count);
    print_details(rows, p->case_count);
    return EXIT_SUCCESS;
}
