/*
 * main.c: ipalloc-bench: ipalloc, its peers and the bare limit of the machine, in one process.
 *
 *   ipalloc-bench [--list] [--case=GLOB] [--quick] [--json] [--directory=DIR]
 *
 * Every scenario has a stable name; --case takes a shell pattern over these names. --directory says
 * where the files of durable stores go (a temporary directory in it is made and removed); the file
 * system matters: on tmpfs a sync costs nothing. The exit status says whether the program ran, not
 * whether budgets were met: a figure depends on the machine, and the table says what was missed.
 */
#include "bench.h"

#include <fnmatch.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ROUNDS_FULL = 31,
    ROUNDS_QUICK = 7,
    REPEATS_MAX = 40, /* of one disturbed round, before the scenario goes on without it */
};

typedef struct command_line {
    const char *pattern;
    const char *directory;
    bool list, quick, json;
} command_line;

/* One undisturbed round of one subject, or NAN. */
static double measure_round(const subject *one, void *state, uint32_t *repeated) {
    for (int attempt = 0; attempt < REPEATS_MAX; attempt++) {
        double value = one->measure(state);
        if (!isnan(value))
            return value;
        (*repeated)++;
    }
    return NAN;
}

typedef struct samples {
    double values[SUBJECTS_MAX][ROUNDS_MAX], ratios[SUBJECTS_MAX][ROUNDS_MAX];
    size_t count; /* rounds in which every subject was measured */
    uint32_t repeated[SUBJECTS_MAX];
} samples;

static void measure_interleaved(const scenario *s, void *const *states, uint32_t rounds,
                                samples *out) {
    memset(out, 0, sizeof *out);
    for (uint32_t round = 0; round < rounds; round++) {
        bool whole = true;
        for (size_t i = 0; i < s->subject_count; i++) {
            double value = measure_round(&s->subjects[i], states[i], &out->repeated[i]);
            whole = whole && !isnan(value);
            out->values[i][out->count] = value;
            out->ratios[i][out->count] = value / out->values[0][out->count];
        }
        if (whole)
            out->count++;
    }
}

static void run_scenario(const scenario *s, const command_line *options) {
    void *states[SUBJECTS_MAX] = {NULL};
    bool ready = true;
    for (size_t i = 0; i < s->subject_count && ready; i++) {
        const subject *one = &s->subjects[i];
        states[i] = one->open(one->work != NULL ? one->work : &s->work);
        ready = states[i] != NULL;
        if (!ready)
            fprintf(stderr, "%s: %s could not be set up\n", s->name, one->name);
    }
    if (ready) {
        static samples taken; /* too large for the stack */
        uint32_t rounds = options->quick ? ROUNDS_QUICK : ROUNDS_FULL;
        measure_interleaved(s, states, s->rounds != 0 ? s->rounds : rounds, &taken);
        for (size_t i = 0; i < s->subject_count; i++) {
            result r = {.value = summarize(taken.values[i], taken.count),
                        .ratio = summarize(taken.ratios[i], taken.count),
                        .rounds = (uint32_t)taken.count,
                        .repeated = taken.repeated[i]};
            report_line(options->json, s, i, &r);
        }
    }
    for (size_t i = 0; i < s->subject_count; i++)
        if (states[i] != NULL)
            s->subjects[i].close(states[i]);
}

static void list_scenarios(const plan *p, const char *pattern) {
    for (uint32_t i = 0; i < p->count; i++)
        if (fnmatch(pattern, p->scenarios[i].name, 0) == 0)
            printf("%s\n", p->scenarios[i].name);
}

static void run_plan(const plan *p, const command_line *options) {
    uint32_t chosen = 0, done = 0;
    for (uint32_t i = 0; i < p->count; i++)
        chosen += fnmatch(options->pattern, p->scenarios[i].name, 0) == 0;
    report_head(options->json);
    for (uint32_t i = 0; i < p->count; i++) {
        if (fnmatch(options->pattern, p->scenarios[i].name, 0) != 0)
            continue;
        fprintf(stderr, "[%u/%u] %s\n", ++done, chosen, p->scenarios[i].name);
        run_scenario(&p->scenarios[i], options);
    }
}

static bool parse_command_line(int argc, char **argv, command_line *out) {
    *out = (command_line){.pattern = "*", .directory = "."};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            out->list = true;
        else if (strcmp(argv[i], "--quick") == 0)
            out->quick = true;
        else if (strcmp(argv[i], "--json") == 0)
            out->json = true;
        else if (strncmp(argv[i], "--case=", 7) == 0)
            out->pattern = argv[i] + 7;
        else if (strncmp(argv[i], "--directory=", 12) == 0)
            out->directory = argv[i] + 12;
        else
            return false;
    }
    return true;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void *do_nothing(void *context) {
    return context;
}

/* A server has threads; glibc leaves the atomic operations out of its mutexes until a process has
 * started its first one, which would flatter the peers that lock. */
static void become_threaded(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
        pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
    command_line options;
    if (!parse_command_line(argc, argv, &options)) {
        fprintf(stderr,
                "usage: ipalloc-bench [--list] [--case=GLOB] [--quick] [--json] [--directory=DIR]\n"
                "  e.g. ipalloc-bench --case='range/pair/*' --quick\n");
        return EXIT_FAILURE;
    }
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/ipalloc-bench-XXXXXX", options.directory);
    static plan p; /* too large for the stack */
    p.quick = options.quick;
    p.directory = directory;
    range_plan(&p);
    sparse_plan(&p);
    memory_plan(&p);
    durable_plan(&p);
    registry_plan(&p);
    if (options.list) {
        list_scenarios(&p, options.pattern);
        return EXIT_SUCCESS;
    }
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return EXIT_FAILURE;
    }
    become_threaded();
    run_plan(&p, &options);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return EXIT_SUCCESS;
}
