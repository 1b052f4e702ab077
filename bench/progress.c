/*
 * progress.c: how far a run is and how long it will go on, on stderr.
 *
 * What is left is guessed from what scenarios are expected to take, scaled by how true that was of
 * those that are done.
 */
#include "bench.h"

#include <stdio.h>
#include <unistd.h>

/* Setting up goes number by number, and so does warming up, but for a while at most. */
static double expected_seconds(const scenario *s) {
    if (s->seconds_expected > 0)
        return s->seconds_expected;
    double warm_up = s->work.smoke ? 0.001 : s->work.quick ? 0.03 : 0.4;
    double numbers = (double)s->work.held + (double)((uint64_t)1 << s->work.size_bits % 32);
    double warm_up_needed = 1e-7 * 2 * (double)s->work.held;
    warm_up = warm_up_needed < warm_up ? warm_up_needed : warm_up;
    return s->subject_count * (0.03 + warm_up + 4e-8 * numbers);
}

void progress_count(progress *g, const scenario *s) {
    g->total++;
    g->seconds_total += expected_seconds(s);
}

void progress_begin(progress *g) {
    g->terminal = isatty(STDERR_FILENO) == 1;
    g->begin_ns = now_ns();
}

static void print_left(double seconds) {
    if (seconds < 60)
        fprintf(stderr, ", about %.0f s left", seconds < 1 ? 1 : seconds);
    else
        fprintf(stderr, ", about %.0f min left", seconds / 60);
}

void progress_show(const progress *g, const char *name) {
    double spent = (double)(now_ns() - g->begin_ns) / 1e9;
    fprintf(stderr, "%s[%u/%u] %s %.0f s", g->terminal ? "\r\033[K" : "", g->done + 1, g->total,
            name, spent);
    if (g->done > 0)
        print_left(spent / g->seconds_done * (g->seconds_total - g->seconds_done));
    if (!g->terminal)
        fputc('\n', stderr);
    fflush(stderr);
}

void progress_clear(const progress *g) {
    if (g->terminal)
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

void progress_done(progress *g, const scenario *s) {
    g->done++;
    g->seconds_done += expected_seconds(s);
}
