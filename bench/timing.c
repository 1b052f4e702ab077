/*
 * timing.c: timed slices, and medians over them.
 *
 * A slice is short (about a millisecond), so that most slices run from end to end without the
 * scheduler. One that did not (getrusage counts an involuntary context switch) is thrown away: on a
 * shared machine this removes the noise better than any averaging. Waiting for a mutex is a
 * voluntary switch, and part of what is measured. A single operation that takes many slices by
 * itself cannot be undisturbed; there the processor time of its thread counts.
 */
#include "bench.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    LONG_NS = 3000000, /* processor time beyond which no slice runs from end to end */
    SMOKE_SLICE_NS = 20000,
    CALIBRATE_ATTEMPTS = 5,
    STEPS = 32, /* of a slice of several threads */
};

static bool smoke;

void slice_smoke(void) {
    smoke = true;
}

/* What the scheduler did with this thread up to now. */
typedef struct schedule {
    long switched_out; /* times */
    uint64_t run_ns;
} schedule;

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static schedule schedule_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (schedule){usage.ru_nivcsw, clock_ns(CLOCK_THREAD_CPUTIME_ID)};
}

typedef struct slice {
    slice_run run;
    void *state;
    uint64_t count;
    unsigned threads;
    atomic_uint waiting; /* threads that have not reached the start line */
    atomic_bool over;    /* one thread has done its count: the others stop, too */
} slice;

typedef struct slice_part {
    slice *whole;
    unsigned thread;
    uint64_t begin, end, run_ns, done;
    bool switched_out;
} slice_part;

/* Each thread of a slice on a processor of its own, where there are enough of them. */
static void pin(unsigned thread, unsigned threads, const cpu_set_t *allowed) {
    if (threads == 1 || (unsigned)CPU_COUNT(allowed) < threads)
        return;
    unsigned seen = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, allowed) || seen++ != thread)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/* Several threads go on in steps until the first has done its count: a lock that favours one of
 * them would otherwise leave the other to run alone at the end. */
static void part_work(slice_part *part) {
    slice *whole = part->whole;
    uint64_t step = whole->threads == 1 ? whole->count : whole->count / STEPS + 1;
    while (part->done < whole->count && !atomic_load_explicit(&whole->over, memory_order_relaxed)) {
        whole->run(whole->state, part->thread, step);
        part->done += step;
    }
    atomic_store_explicit(&whole->over, true, memory_order_relaxed);
}

/* Spins at the start line, for a futex would wake the threads microseconds apart. */
static void *part_run(void *context) {
    slice_part *part = context;
    slice *whole = part->whole;
    atomic_fetch_sub(&whole->waiting, 1);
    while (atomic_load_explicit(&whole->waiting, memory_order_relaxed) != 0)
        ;
    schedule before = schedule_now();
    part->begin = now_ns();
    part_work(part);
    part->end = now_ns();
    schedule after = schedule_now();
    part->switched_out = after.switched_out != before.switched_out;
    part->run_ns = after.run_ns - before.run_ns;
    return NULL;
}

typedef struct pinned_part {
    slice_part *part;
    const cpu_set_t *allowed;
} pinned_part;

static void *pinned_run(void *context) {
    pinned_part *pinned = context;
    pin(pinned->part->thread, pinned->part->whole->threads, pinned->allowed);
    return part_run(pinned->part);
}

/* Nanoseconds per operation and thread, however disturbed. */
static double parts_mean(const slice_part *parts, unsigned threads) {
    uint64_t spent = 0, done = 0;
    for (unsigned i = 0; i < threads; i++) {
        spent += parts[i].end - parts[i].begin;
        done += parts[i].done;
    }
    return (double)spent / (double)done;
}

/* Threads that did not run at the same time (both on one processor, one after the other) would
 * look fast: nine tenths of the slice must overlap. */
static bool parts_overlap(const slice_part *parts, unsigned threads) {
    uint64_t begin_first = UINT64_MAX, begin_last = 0, end_first = UINT64_MAX, end_last = 0;
    for (unsigned i = 0; i < threads; i++) {
        begin_first = parts[i].begin < begin_first ? parts[i].begin : begin_first;
        begin_last = parts[i].begin > begin_last ? parts[i].begin : begin_last;
        end_first = parts[i].end < end_first ? parts[i].end : end_first;
        end_last = parts[i].end > end_last ? parts[i].end : end_last;
    }
    return end_first > begin_last &&
           (double)(end_first - begin_last) >= 0.9 * (double)(end_last - begin_first);
}

static double parts_ns(const slice_part *parts, unsigned threads) {
    double mean = parts_mean(parts, threads);
    if (smoke)
        return mean;
    if (threads == 1 && parts[0].switched_out && parts[0].run_ns > LONG_NS)
        return (double)parts[0].run_ns / (double)parts[0].done;
    for (unsigned i = 0; i < threads; i++)
        if (parts[i].switched_out)
            return NAN;
    return threads == 1 || parts_overlap(parts, threads) ? mean : NAN;
}

static void parts_time(slice_run run, void *state, unsigned threads, uint64_t count,
                       slice_part *parts) {
    assert(threads > 0 && threads <= THREADS_MAX);
    slice whole = {.run = run, .state = state, .count = count, .threads = threads};
    atomic_init(&whole.waiting, threads);
    atomic_init(&whole.over, false);
    pinned_part pinned[THREADS_MAX] = {0};
    pthread_t handles[THREADS_MAX];
    cpu_set_t allowed;
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (unsigned i = 0; i < threads; i++) {
        parts[i] = (slice_part){.whole = &whole, .thread = i};
        pinned[i] = (pinned_part){&parts[i], &allowed};
    }
    for (unsigned i = 1; i < threads; i++)
        if (pthread_create(&handles[i], NULL, pinned_run, &pinned[i]) != 0)
            exit(EXIT_FAILURE);
    pinned_run(&pinned[0]);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(handles[i], NULL);
    if (threads > 1)
        sched_setaffinity(0, sizeof allowed, &allowed);
}

double slice_time(slice_run run, void *state, unsigned threads, uint64_t count) {
    slice_part parts[THREADS_MAX];
    parts_time(run, state, threads, count, parts);
    return parts_ns(parts, threads);
}

/* The fastest of a few, however disturbed: short slices of several threads never overlap well. */
static double fastest_ns(slice_run run, void *state, unsigned threads, uint64_t count,
                         double enough_ns) {
    double fastest = INFINITY;
    for (int attempt = 0; attempt < CALIBRATE_ATTEMPTS && fastest > enough_ns; attempt++) {
        slice_part parts[THREADS_MAX];
        parts_time(run, state, threads, count, parts);
        double ns = parts_mean(parts, threads);
        fastest = ns < fastest ? ns : fastest;
    }
    return fastest;
}

uint64_t slice_calibrate(slice_run run, void *state, unsigned threads, uint64_t slice_ns) {
    double wanted = smoke ? SMOKE_SLICE_NS : (double)slice_ns;
    for (uint64_t count = 1;; count *= 2) {
        double enough = wanted / 4 / (double)count; /* below it a slice is still short */
        double ns = fastest_ns(run, state, threads, count, enough);
        if (ns > enough)
            return wanted / ns > 1 ? (uint64_t)(wanted / ns) : 1;
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

summary summarize(double *values, size_t count) {
    if (count == 0)
        return (summary){NAN, NAN};
    qsort(values, count, sizeof *values, by_value);
    double median = (values[(count - 1) / 2] + values[count / 2]) / 2;
    double quartiles = values[count - 1 - count / 4] - values[count / 4];
    return (summary){median, median > 0 ? quartiles / median : 0};
}
