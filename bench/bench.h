/*
 * bench.h: what the benchmark's files share: scenarios, subjects, timed slices.
 *
 * A scenario is one line of work done by several subjects: the bare limit first, then ipalloc, then
 * the peers. All subjects of a scenario are open at the same time and are measured in interleaved
 * rounds, so that a slow moment of the machine hits them alike; the ratio to the limit is the
 * median of the ratios of the rounds. Only public headers of ipalloc are used here.
 */
#ifndef IPALLOC_BENCH_H
#define IPALLOC_BENCH_H

#include <ipalloc/ipalloc.h>
#include <math.h>

enum {
    SCENARIO_NAME_MAX = 48,
    SUBJECTS_MAX = 4,
    SCENARIOS_MAX = 96,
    THREADS_MAX = 64,
    ROUNDS_MAX = 51,
};

/* What a scenario works on; each case file reads the members that it knows. */
typedef struct workload {
    uint32_t size_bits; /* a range of 2^size_bits addresses */
    uint64_t held;      /* addresses (or leases) held while measuring */
    uint32_t threads;
    bool own_ranges; /* a range of its own for every thread */
    bool bands;      /* static and dynamic band as in KEP-3070, the dynamic one full */
    bool quick;      /* short form */
    uint64_t cool_down_ms;
    double allowed; /* see ALLOWED_SUBJECT */

    const char *directory; /* for the files of durable stores */
} workload;

typedef struct subject {
    const char *name;
    void *(*open)(const workload *work); /* NULL: it could not be set up; said on stderr */
    double (*measure)(void *state);      /* one round; NAN: disturbed, to be repeated */
    void (*close)(void *state);
    const workload *work; /* NULL: the scenario's own */
} subject;

enum budget_kind { NO_BUDGET, AT_MOST, AT_LEAST }; /* of ipalloc's ratio to the limit */

typedef struct scenario {
    char name[SCENARIO_NAME_MAX];
    const char *unit;
    workload work;
    uint32_t subject_count;
    subject subjects[SUBJECTS_MAX]; /* [0] is the limit, [1] is ipalloc */
    enum budget_kind budget_kind;
    double budget;
    uint32_t rounds; /* 0: as many as the command line says */
} scenario;

typedef struct plan {
    bool quick;
    bool has_sqlite;
    const char *directory; /* for the files of durable stores */
    uint32_t count;
    scenario scenarios[SCENARIOS_MAX];
} plan;

/* Add a scenario without subjects; NULL never (SCENARIOS_MAX is checked by exiting). */
scenario *plan_add(plan *p, const char *unit, const char *name_format, ...)
    __attribute__((format(printf, 3, 4)));
void scenario_add(scenario *s, subject one);
void scenario_budget(scenario *s, enum budget_kind kind, double budget);

/* The case files. */
void range_plan(plan *p);
void sparse_plan(plan *p);
void memory_plan(plan *p);
void durable_plan(plan *p); /* says in the plan whether there is SQLite */
void registry_plan(plan *p);

/* --- timing.c --------------------------------------------------------------------------------- */

uint64_t now_ns(void);

/* Time `run(state, thread, count)` on `threads` threads that start together. Nanoseconds per
 * operation and thread; NAN where a thread was switched out meanwhile. */
typedef void (*slice_run)(void *state, unsigned thread, uint64_t count);
double slice_time(slice_run run, void *state, unsigned threads, uint64_t count);

/* How many operations make a slice of about `slice_ns`. */
uint64_t slice_calibrate(slice_run run, void *state, unsigned threads, uint64_t slice_ns);

typedef struct summary {
    double median;
    double spread; /* (upper quartile - lower quartile) / median */
} summary;

/* Sorts `values`. */
summary summarize(double *values, size_t count);

/* --- report.c --------------------------------------------------------------------------------- */

typedef struct result {
    summary value;
    summary ratio; /* to the limit; NAN for the limit itself */
    uint32_t rounds;
    uint32_t repeated; /* rounds thrown away because a thread was switched out */
} result;

void report_head(bool json);
void report_line(bool json, const scenario *s, size_t subject_index, const result *r);
bool result_meets(const scenario *s, const result *r);

/* --- random numbers: splitmix64, the generator that ipalloc uses by default ----------------- */

static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Uniform enough below `bound` < 2^32. */
static inline uint32_t random_below(uint64_t *state, uint64_t bound) {
    return (uint32_t)((random_next(state) >> 32) * bound >> 32);
}

#endif
