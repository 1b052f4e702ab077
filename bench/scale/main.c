/*
 * main.c: ipalloc-bench-scale: a thousand servers on one store, on paper: conflicts by how full the
 * range is, by formula and by simulation; see cluster.h.
 *
 *   ipalloc-bench-scale [--smoke] [--plot=FILE] [--seed=N]
 *
 * Prints tables in Markdown. --plot writes the points of the plot, tab-separated.
 */
#include "cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEN_MILLION 10000000
#define SEED        20261126

typedef struct plan {
    uint32_t addresses, servers;
    double rate, lag;
    bool lags_differ;
} plan;

static const double free_parts[] = {0.5, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001};

/* 2,000 a second is what one etcd of three members committed of our batches; see the paper. */
static const plan plans[] = {
    {TEN_MILLION, 1000, 2000, 0.02, false}, {TEN_MILLION, 1000, 2000, 1, false},
    {TEN_MILLION, 1000, 2000, 0.02, true},  {TEN_MILLION, 10, 2000, 0.02, false},
    {TEN_MILLION, 1000, 200, 0.02, false},  {65534, 1000, 2000, 0.02, false},
};
enum { PLANS = sizeof plans / sizeof *plans, PARTS = sizeof free_parts / sizeof *free_parts };

#define COMMIT_TIME 0.005

typedef struct settings {
    bool smoke;
    const char *plot;
    uint64_t seed;
} settings;

static scale_case case_of(const settings *s, const plan *p, double free_part) {
    scale_case c = {.addresses = s->smoke ? p->addresses / 100 : p->addresses,
                    .servers = p->servers,
                    .rate = p->rate,
                    .lag = p->lag,
                    .commit_time = COMMIT_TIME,
                    .requests = s->smoke ? 4000 : 200000,
                    .lags_differ = p->lags_differ,
                    .seed = s->seed};
    c.free_at_first = (uint32_t)(c.addresses * free_part);
    /* Until what is on its way and unheard of is as much as it will be. */
    c.warm_up = (uint64_t)(2 * p->rate * (p->lag * (p->lags_differ ? 4 : 1) + COMMIT_TIME));
    c.requests += c.warm_up;
    return c;
}

static void print_row(const scale_case *c, const scale_result *r) {
    double requests = r->requests > 0 ? (double)r->requests : 1;
    printf("| %" PRIu32 " | %" PRIu32 " | %g | %g%s | %.6g %% | %" PRIu32
           " | %.4f %% | %.4f %% | %.4f | %.4f | %" PRIu32 " | %" PRIu32 " | %.4f %% |\n",
           c->addresses, c->servers, c->rate, c->lag * 1000, c->lags_differ ? " (differ)" : "",
           100.0 * (c->addresses - c->free_at_first) / c->addresses, c->free_at_first,
           100 * scale_first_conflict(c), 100 * (double)r->first_conflicts / requests,
           scale_draws(c), (double)r->draws / requests, r->draws_99, r->draws_max,
           100.0 * (double)r->confirmed / requests);
}

static bool run(const settings *s, FILE *plot) {
    printf(
        "| addresses | servers | allocations/s | lag, ms | in use | free | first draw in "
        "conflict: formula | simulated | draws a request: formula | simulated | 99 of 100 within "
        "| most | asked whether full |\n"
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (int i = 0; i < PLANS; i++) {
        for (int j = 0; j < PARTS; j++) {
            scale_result r;
            scale_case c = case_of(s, &plans[i], free_parts[j]);
            if (c.free_at_first <= 2 * c.rate * COMMIT_TIME)
                continue; /* fewer than are on their way at once: full, now and then */
            if (!scale_simulate(&c, &r))
                return false;
            print_row(&c, &r);
            fflush(stdout);
            if (plot != NULL)
                fprintf(plot, "%d\t%.9f\t%.9f\t%.9f\n", i, free_parts[j], scale_first_conflict(&c),
                        (double)r.first_conflicts / (double)r.requests);
        }
        if (plot != NULL)
            fputs("\n\n", plot); /* gnuplot's way to end a data set */
    }
    return true;
}

static bool read_arguments(int count, char **words, settings *s) {
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--smoke") == 0)
            s->smoke = true;
        else if (strncmp(words[i], "--plot=", 7) == 0)
            s->plot = words[i] + 7;
        else if (strncmp(words[i], "--seed=", 7) == 0)
            s->seed = strtoull(words[i] + 7, NULL, 10);
        else
            return false;
    }
    return true;
}

int main(int count, char **words) {
    settings s = {.seed = SEED};
    if (!read_arguments(count, words, &s)) {
        fputs("usage: ipalloc-bench-scale [--smoke] [--plot=FILE] [--seed=N]\n", stderr);
        return 2;
    }
    FILE *plot = s.plot != NULL ? fopen(s.plot, "we") : NULL;
    if (s.plot != NULL && plot == NULL) {
        perror(s.plot);
        return 1;
    }
    bool fine = run(&s, plot);
    if (!fine)
        fputs("ipalloc-bench-scale: out of memory\n", stderr);
    if (plot != NULL && fclose(plot) != 0)
        fine = false;
    return fine ? 0 : 1;
}
