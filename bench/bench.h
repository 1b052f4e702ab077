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
    SUBJECTS_MAX = 8,
    SCENARIOS_MAX = 160,
    THREADS_MAX = 64,
    ROUNDS_MAX = 101,
};

/* What a scenario works on; each case file reads the members that it knows. */
typedef struct workload {
    uint32_t size_bits; /* a range of 2^size_bits addresses */
    uint64_t held;      /* addresses (or leases) held while measuring */
    uint32_t threads;
    uint32_t strategy;      /* enum ipalloc_strategy */
    uint32_t prefix_length; /* of the blocks that are held */
    bool own_ranges;        /* a range of its own for every thread */
    bool bands;             /* static and dynamic band as in KEP-3070, the dynamic one full */
    bool quick;             /* short form */
    bool smoke;             /* shortest form, which is quick too: does it run at all? */
    uint64_t cool_down_ms;
    uint64_t at_once; /* addresses in one call */
    double allowed;   /* see ALLOWED_SUBJECT */

    const char *directory; /* for the files of durable stores */
} workload;

typedef struct subject {
    const char *name;                    /* NULL: it was not there to be built in */
    void *(*open)(const workload *work); /* NULL: it could not be set up; said on stderr */
    double (*measure)(void *state);      /* one round; NAN: disturbed, to be repeated */
    void (*close)(void *state);          /* exits where the subject's answers were wrong */
    const workload *work;                /* NULL: the scenario's own */
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
    uint32_t rounds;         /* 0: as many as the command line says */
    double seconds_expected; /* 0: guessed from the workload; for the progress line only */
} scenario;

typedef struct plan {
    bool quick, smoke;
    bool has_sqlite;
    const char *directory; /* for the files of durable stores */
    uint32_t count;
    scenario scenarios[SCENARIOS_MAX];
} plan;

/* Add a scenario without subjects; NULL never (SCENARIOS_MAX is checked by exiting). */
scenario *plan_add(plan *p, const char *unit, const char *name_format, ...)
    __attribute__((format(printf, 3, 4)));
void scenario_add(scenario *s, subject one); /* one without a name is left out */
void scenario_budget(scenario *s, enum budget_kind kind, double budget);

/* The same subject, another thing measured about it. */
subject measuring(subject one, double (*measure)(void *state));

/* The case files. */
void range_plan(plan *p);
void quality_plan(plan *p);
void policy_plan(plan *p);
void sparse_plan(plan *p);
void walk_plan(plan *p);
void bulk_plan(plan *p);
void block_plan(plan *p);
void memory_plan(plan *p);
void durable_plan(plan *p); /* says in the plan whether there is SQLite */
void registry_plan(plan *p);

/* --- timing.c --------------------------------------------------------------------------------- */

uint64_t now_ns(void);

/* Time `run(state, thread, count)` on `threads` threads that start together; several of them stop
 * together too, when the first has done its count. Nanoseconds per operation and thread; NAN where
 * a thread was switched out meanwhile. */
typedef void (*slice_run)(void *state, unsigned thread, uint64_t count);
double slice_time(slice_run run, void *state, unsigned threads, uint64_t count);

/* How many operations make a slice of about `slice_ns`; at least one. */
uint64_t slice_calibrate(slice_run run, void *state, unsigned threads, uint64_t slice_ns);

/* From now on slices are tiny, and disturbed ones count: nobody will read the figures. */
void slice_smoke(void);

typedef struct summary {
    double median;
    double spread; /* (upper quartile - lower quartile) / median */
} summary;

/* Sorts `values`. */
summary summarize(double *values, size_t count);

/* --- run.c ------------------------------------------------------------------------------------ */

typedef struct result {
    summary value;
    summary ratio; /* to the limit; NAN for the limit itself */
    uint32_t rounds;
    uint32_t repeated; /* measurements thrown away because a thread was switched out */
} result;

/* Open, measure, close. false: a subject could not be set up, or was never measured. */
bool scenario_run(const scenario *s, result out[SUBJECTS_MAX]);

/* --- report.c --------------------------------------------------------------------------------- */

typedef struct report {
    bool table, json; /* on stdout */
    void *lines;      /* a FILE that gets JSON lines too, or NULL */
} report;

void report_head(const report *r, bool quick);
void report_scenario(const report *r, const scenario *s, const result results[SUBJECTS_MAX]);

/* --- progress.c ------------------------------------------------------------------------------- */

/* On stderr: one line that is rewritten where that is a terminal, else a line for each scenario. */
typedef struct progress {
    uint32_t total, done;
    double seconds_total, seconds_done; /* as expected of the scenarios */
    uint64_t begin_ns;
    bool terminal;
} progress;

void progress_begin(progress *g);                    /* after progress_count for each scenario */
void progress_count(progress *g, const scenario *s); /* it will run */
void progress_show(const progress *g, const char *name); /* it begins */
void progress_clear(const progress *g);                  /* before anything else is printed */
void progress_done(progress *g, const scenario *s);

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
