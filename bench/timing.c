/*
 * timing.c: timed slices, and medians over them.
 *
 * A slice is short (about a millisecond), so that most slices run from end to end without the
 * scheduler. One that did not (getrusage counts a context switch) is thrown away: on a shared
 * machine this removes the noise better than any averaging.
 */
#include "bench.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static long context_switches(void) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

typedef struct slice {
    slice_run run;
    void *state;
    uint64_t count;
    unsigned threads;
    atomic_uint waiting; /* threads that have not reached the start line */
} slice;

typedef struct slice_part {
    slice *whole;
    unsigned thread;
    uint64_t begin, end;
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

/* Spins at the start line, for a futex would wake the threads microseconds apart. */
static void *part_run(void *context) {
    slice_part *part = context;
    slice *whole = part->whole;
    atomic_fetch_sub(&whole->waiting, 1);
    while (atomic_load_explicit(&whole->waiting, memory_order_relaxed) != 0)
        ;
    long switches = context_switches();
    part->begin = now_ns();
    whole->run(whole->state, part->thread, whole->count);
    part->end = now_ns();
    part->switched_out = context_switches() != switches;
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

/* Threads that did not run at the same time (both on one processor, one after the other) would
 * look fast: nine tenths of the slice must overlap. */
static double parts_ns(const slice_part *parts, unsigned threads, uint64_t count) {
    uint64_t begin_last = 0, end_first = UINT64_MAX, sum = 0;
    for (unsigned i = 0; i < threads; i++) {
        if (parts[i].switched_out)
            return NAN;
        begin_last = parts[i].begin > begin_last ? parts[i].begin : begin_last;
        end_first = parts[i].end < end_first ? parts[i].end : end_first;
        sum += parts[i].end - parts[i].begin;
    }
    double mean = (double)sum / threads;
    if (threads > 1 && (end_first <= begin_last || (double)(end_first - begin_last) < 0.9 * mean))
        return NAN;
    return mean / (double)count;
}

double slice_time(slice_run run, void *state, unsigned threads, uint64_t count) {
    assert(threads > 0 && threads <= THREADS_MAX);
    slice whole = {.run = run, .state = state, .count = count, .threads = threads};
    atomic_init(&whole.waiting, threads);
    slice_part parts[THREADS_MAX];
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
    return parts_ns(parts, threads, count);
}

uint64_t slice_calibrate(slice_run run, void *state, unsigned threads, uint64_t slice_ns) {
    uint64_t count = 16;
    for (int disturbed = 0;;) {
        double ns = slice_time(run, state, threads, count);
        if (isnan(ns) && ++disturbed < 20)
            continue;
        if (isnan(ns) || ns * (double)count > (double)slice_ns / 4) {
            double fitting = isnan(ns) ? (double)count : (double)slice_ns / ns;
            return fitting > 1 ? (uint64_t)fitting : 1;
        }
        count *= 2;
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
