/*
 * explorer.c: a program's threads, their outcomes, and the verdict on each execution.
 */
#include "explorer.h"

#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one execution has come to; the scheduler puts it aside and back. */
static struct {
    outcome outcomes[OUTCOMES_MAX];
    bool beginning[THREADS_MAX];
    uint64_t stamps[THREADS_MAX];
} so_far;

static const program *running;
static const subject *on;

static outcome *outcomes_of(unsigned thread) {
    return &so_far.outcomes[thread * OPERATIONS_MAX];
}

static void run(unsigned thread) {
    const outcome *before = NULL;
    for (int i = 0; i < OPERATIONS_MAX; i++) {
        outcome *o = &outcomes_of(thread)[i];
        if (o->called.kind == NOTHING)
            break;
        so_far.beginning[thread] = true;
        on->perform(o, before, &so_far.stamps[thread]);
        o->done = true;
        before = o;
    }
}

/* An operation begins with its first step, not before. */
static void stepping(unsigned thread) {
    if (!so_far.beginning[thread])
        return;
    so_far.beginning[thread] = false;
    outcome *o = outcomes_of(thread);
    while (o->done)
        o++;
    o->ended_before = ended_operations(so_far.outcomes);
    explorer_saw(o->ended_before);
}

static void states_at_start(unsigned char *states) {
    memset(states, NUMBER_HELD, program_numbers(running));
    for (int i = 0; i < NAMED_MAX; i++) {
        if (running->free[i] != 0)
            states[running->free[i] - 1] = NUMBER_FREE;
    }
    if (running->excluded != 0)
        states[running->excluded - 1] = NUMBER_EXCLUDED;
}

static const char *judge(void) {
    unsigned char at_start[NUMBERS_MAX], at_end[NUMBERS_MAX];
    states_at_start(at_start);
    on->look(at_end);
    if (!linearizable(running, so_far.outcomes, at_start, at_end))
        return "no order of the operations explains this";
    return on->check(memchr(at_end, NUMBER_FREE, program_numbers(running)) != NULL);
}

static void describe(char *out, size_t size) {
    static const char *const names[KINDS] = {
        "",        "allocate",    "lowest",  "take",       "release",      "lookup",
        "claim",   "prove",       "dry run", "again",      "allocate all", "prove all",
        "exclude", "exclude two", "include", "include two"};
    size_t used = strlen(out);
    for (int i = 0; i < OUTCOMES_MAX && used < size; i++) {
        const outcome *o = &so_far.outcomes[i];
        if (o->called.kind != NOTHING)
            used += (size_t)snprintf(out + used, size - used, "; [%d] %s %llu -> %s %llu after %#x",
                                     i / OPERATIONS_MAX, names[o->called.kind],
                                     (unsigned long long)o->called.number,
                                     !o->done ? "?"
                                     : o->ok  ? "yes"
                                              : "no",
                                     (unsigned long long)o->number, o->ended_before);
    }
}

exploration explore(const program *p, uint64_t states_max) {
    running = p;
    on = p->ranges > 0 ? &ranges_subject : &bitmap_subject;
    memset(&so_far, 0, sizeof so_far);
    if (program_numbers(p) > NUMBERS_MAX)
        abort();
    workload w = {.run = run,
                  .stepping = stepping,
                  .guarded = on->guarded,
                  .judge = judge,
                  .kept = &so_far,
                  .kept_bytes = sizeof so_far,
                  .preemptions = p->preemptions,
                  .states_max = states_max};
    while (w.threads < THREADS_MAX && p->threads[w.threads][0].kind != NOTHING) {
        for (int i = 0; i < OPERATIONS_MAX; i++) {
            outcome *o = &outcomes_of(w.threads)[i];
            o->called = p->threads[w.threads][i];
            o->number = o->called.number;
        }
        w.threads++;
    }
    on->prepare(p);
    exploration result = scheduler_search(&w);
    if (result.failure[0] != '\0')
        describe(result.failure, sizeof result.failure);
    return result;
}
