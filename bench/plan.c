/*
 * plan.c: putting scenarios together: what the case files call to say what is to be measured.
 */
#include "bench.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

scenario *plan_add(plan *p, const char *unit, const char *name_format, ...) {
    if (p->count == SCENARIOS_MAX) {
        fprintf(stderr, "ipalloc-bench: more than %d scenarios\n", SCENARIOS_MAX);
        exit(EXIT_FAILURE);
    }
    scenario *s = &p->scenarios[p->count++];
    memset(s, 0, sizeof *s);
    va_list arguments;
    va_start(arguments, name_format);
    vsnprintf(s->name, sizeof s->name, name_format, arguments);
    va_end(arguments);
    s->unit = unit;
    s->work.threads = 1;
    s->work.quick = p->quick;
    s->work.smoke = p->smoke;
    s->work.directory = p->directory;
    return s;
}

void scenario_add(scenario *s, subject one) {
    assert(s->subject_count < SUBJECTS_MAX);
    if (one.name != NULL)
        s->subjects[s->subject_count++] = one;
}

subject measuring(subject one, double (*measure)(void *state)) {
    one.measure = measure;
    return one;
}

void scenario_budget(scenario *s, enum budget_kind kind, double budget) {
    s->budget_kind = kind;
    s->budget = budget;
}
