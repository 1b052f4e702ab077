/*
 * main.c: ipalloc-bench: ipalloc, its peers and the bare limit of the machine, in one process.
 *
 *   ipalloc-bench [--list] [--case=GLOB] [--quick | --smoke] [--json] [--output=FILE]
 *                 [--directory=DIR] [--count-pairs=N --subject=NAME]
 *
 * Every scenario has a stable name; --case takes a shell pattern over these names. --output puts
 * JSON lines into a file, whatever stdout shows. --directory says where the files of durable stores
 * go (a temporary directory in it is made and removed); the file system matters: on tmpfs a sync
 * costs nothing. --smoke does a little of every case and fails if one did not run; it measures
 * nothing. --count-pairs is for valgrind: see counted.h. The exit status says whether the program
 * ran, not whether budgets were met: a figure depends on the machine, and the table says what was
 * missed.
 */
#include "counted.h"

#include <fnmatch.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct command_line {
    const char *pattern, *directory, *output, *subject;
    uint64_t count_pairs;
    bool list, quick, smoke, json;
} command_line;

static void list_scenarios(const plan *p) {
    for (uint32_t i = 0; i < p->count; i++)
        printf("%s\n", p->scenarios[i].name);
}

/* Only the scenarios whose names match stay. */
static void choose_scenarios(plan *p, const char *pattern) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (fnmatch(pattern, p->scenarios[i].name, 0) == 0)
            p->scenarios[kept++] = p->scenarios[i];
    p->count = kept;
}

static bool run_plan(const plan *p, const report *r) {
    progress g = {0};
    bool whole = true;
    for (uint32_t i = 0; i < p->count; i++)
        progress_count(&g, &p->scenarios[i]);
    progress_begin(&g);
    report_head(r, p->quick);
    for (uint32_t i = 0; i < p->count; i++) {
        const scenario *s = &p->scenarios[i];
        result results[SUBJECTS_MAX];
        progress_show(&g, s->name);
        bool measured = scenario_run(s, results);
        progress_clear(&g);
        report_scenario(r, s, results);
        progress_done(&g, s);
        if (!measured)
            fprintf(stderr, "ipalloc-bench: %s was not measured as a whole\n", s->name);
        whole = whole && measured;
    }
    return whole;
}

/* The value where `word` is NAME=VALUE of this option. */
static bool option_is(const char *word, const char *name, const char **value) {
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0)
        return false;
    *value = word + length;
    return true;
}

static bool parse_word(const char *word, command_line *out) {
    const char *number;
    if (strcmp(word, "--list") == 0)
        out->list = true;
    else if (strcmp(word, "--quick") == 0)
        out->quick = true;
    else if (strcmp(word, "--smoke") == 0)
        out->quick = out->smoke = true;
    else if (strcmp(word, "--json") == 0)
        out->json = true;
    else if (option_is(word, "--count-pairs=", &number))
        out->count_pairs = strtoull(number, NULL, 10);
    else
        return option_is(word, "--case=", &out->pattern) ||
               option_is(word, "--subject=", &out->subject) ||
               option_is(word, "--output=", &out->output) ||
               option_is(word, "--directory=", &out->directory);
    return true;
}

static bool parse_command_line(int argc, char **argv, command_line *out) {
    *out = (command_line){.pattern = "*", .directory = ".", .subject = "ipalloc"};
    for (int i = 1; i < argc; i++)
        if (!parse_word(argv[i], out))
            return false;
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

static void make_plan(plan *p, const command_line *options, const char *directory) {
    p->quick = options->quick;
    p->smoke = options->smoke;
    p->directory = directory;
    range_plan(p);
    quality_plan(p);
    policy_plan(p);
    sparse_plan(p);
    walk_plan(p);
    bulk_plan(p);
    block_plan(p);
    memory_plan(p);
    durable_plan(p);
    registry_plan(p);
    choose_scenarios(p, options->pattern);
}

static bool run_all(const plan *p, const command_line *options) {
    report r = {.table = !options->json, .json = options->json};
    FILE *lines = options->output != NULL ? fopen(options->output, "we") : NULL;
    if (options->output != NULL && lines == NULL) {
        perror(options->output);
        return false;
    }
    r.lines = lines;
    bool whole = run_plan(p, &r);
    bool written = lines == NULL || fclose(lines) == 0;
    return written && (whole || !options->smoke);
}

static bool work(const plan *p, const command_line *options) {
    if (p->count == 0) {
        fprintf(stderr, "ipalloc-bench: no case is named '%s'\n", options->pattern);
        return false;
    }
    if (options->count_pairs > 0)
        return count_pairs(p, options->subject, options->count_pairs);
    return run_all(p, options);
}

int main(int argc, char **argv) {
    command_line options;
    if (!parse_command_line(argc, argv, &options)) {
        fprintf(stderr,
                "usage: ipalloc-bench [--list] [--case=GLOB] [--quick | --smoke] [--json]\n"
                "           [--output=FILE] [--directory=DIR] [--count-pairs=N --subject=NAME]\n"
                "  e.g. ipalloc-bench --case='range/pair/*' --quick\n");
        return EXIT_FAILURE;
    }
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/ipalloc-bench-XXXXXX", options.directory);
    static plan p; /* too large for the stack */
    make_plan(&p, &options, directory);
    if (options.list) {
        list_scenarios(&p);
        return EXIT_SUCCESS;
    }
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return EXIT_FAILURE;
    }
    become_threaded();
    if (options.smoke)
        slice_smoke();
    bool fine = work(&p, &options);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
