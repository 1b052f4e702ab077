/*
 * scheduler.c: the search: choices, the trail back to them, the table of known states.
 *
 * The loop runs on the program's own stack; coroutines come back to it before each of their steps.
 */
#include "scheduler.h"

#include "base/hooks.h"
#include "coroutine.h"
#include "lock_hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_BYTES = 16 * 1024,
    DEPTH_MAX = 3000, /* longer executions do not make progress */
    NOBODY = -1,
};

typedef struct thread {
    coroutine self;
    bool runnable;
    const int *wanted; /* the lock that its step is about */
    uint64_t saw, randoms;
} thread;

/* All that changes from step to step, beside memory, stacks and what the workload keeps. */
typedef struct moment {
    thread threads[THREADS_MAX];
    int current, preemptions, depth;
} moment;

/* A choice with alternatives: where it lies in the trail, and what has not been tried. */
typedef struct choice {
    size_t begin;
    unsigned left; /* threads, by bit */
} choice;

static const workload *work;
static moment now = {.current = NOBODY};
static char stacks[THREADS_MAX][COROUTINE_STACK_BYTES];
static unsigned char path[DEPTH_MAX]; /* who did each step of this execution */

static _Alignas(64) unsigned char memory[MEMORY_BYTES];
static unsigned char memory_at_start[MEMORY_BYTES];
static size_t memory_used;

static choice choices[DEPTH_MAX];
static int choice_count;
static unsigned char *trail; /* what was put aside, one moment after the other */
static size_t trail_used, trail_capacity;

static uint64_t *known; /* open addressing, 0: empty */
static uint64_t known_capacity, known_count;

/* ---- memory and random numbers: the same in every execution ---- */

static void *allocate(void *context, size_t bytes) {
    (void)context;
    if (now.current != NOBODY)
        abort(); /* memory that is had during the search would not be part of its states */
    unsigned char *block = memory + memory_used;
    memory_used += (bytes + 15) / 16 * 16;
    return memory_used <= MEMORY_BYTES ? block : NULL;
}

static void *reallocate(void *context, void *block, size_t bytes) {
    void *larger = allocate(context, bytes);
    if (larger != NULL && block != NULL)
        memmove(larger, block, bytes); /* maybe too much, but all from the same memory */
    return larger;
}

static void deallocate(void *context, void *block) {
    (void)context;
    (void)block;
}

static uint64_t next_random(void *context) {
    (void)context;
    return now.current == NOBODY ? 1 : random_mix(++now.threads[now.current].randoms);
}

ipalloc_hooks scheduler_new_memory(void) {
    memset(memory, 0, sizeof memory);
    memory_used = 0;
    return (ipalloc_hooks){.size = sizeof(ipalloc_hooks),
                           .allocate = allocate,
                           .reallocate = reallocate,
                           .deallocate = deallocate,
                           .random = next_random};
}

/* ---- states ---- */

static uint64_t memory_hash(void) {
    uint64_t hash = 0, word, first;
    for (size_t i = 0; i < memory_used; i += sizeof word) {
        memcpy(&word, memory + i, sizeof word);
        memcpy(&first, memory_at_start + i, sizeof first);
        if (word != first)
            hash += random_mix(word + (i + 1) * 0x9e3779b97f4a7c15u);
    }
    return hash;
}

static uint64_t state_now(void) {
    uint64_t hash = memory_hash();
    for (unsigned i = 0; i < work->threads; i++)
        hash = random_mix(hash * 3 + now.threads[i].saw);
    if (work->preemptions != PREEMPTIONS_ANY)
        hash = random_mix(hash * 3 + (uint64_t)(now.preemptions * THREADS_MAX + now.current + 1));
    return hash | 1; /* never 0 */
}

static void forget_states(void) {
    enum { CAPACITY_FIRST = 1 << 12 };
    free(known);
    known_capacity = CAPACITY_FIRST;
    known_count = 0;
    known = calloc(known_capacity, sizeof *known);
    if (known == NULL)
        abort();
}

static bool insert_state(uint64_t state) {
    uint64_t at = (state >> 1) & (known_capacity - 1);
    for (; known[at] != 0; at = (at + 1) & (known_capacity - 1)) {
        if (known[at] == state)
            return false;
    }
    known[at] = state;
    return true;
}

static bool is_new(uint64_t state) {
    if (2 * known_count >= known_capacity) {
        uint64_t *old = known, count = known_capacity;
        known_capacity *= 4;
        known = calloc(known_capacity, sizeof *known);
        if (known == NULL)
            abort();
        for (uint64_t i = 0; i < count; i++) {
            if (old[i] != 0)
                insert_state(old[i]);
        }
        free(old);
    }
    bool added = insert_state(state);
    known_count += added;
    return added;
}

/* ---- putting aside and back ---- */

typedef struct piece {
    void *at;
    size_t bytes;
} piece;

enum { PIECES_MAX = 3 + THREADS_MAX };

/* What makes up the present: the stacks as far as `now` says that they are in use. */
static unsigned present(piece pieces[PIECES_MAX]) {
    unsigned count = 0;
    pieces[count++] = (piece){&now, sizeof now};
    pieces[count++] = (piece){memory, memory_used};
    pieces[count++] = (piece){work->kept, work->kept_bytes};
    for (unsigned i = 0; i < work->threads; i++) {
        char *low = coroutine_low(&now.threads[i].self);
        pieces[count++] = (piece){low, (size_t)(stacks[i] + COROUTINE_STACK_BYTES - low)};
    }
    return count;
}

static void put_aside(unsigned left) {
    piece pieces[PIECES_MAX];
    unsigned count = present(pieces);
    choices[choice_count++] = (choice){trail_used, left};
    for (unsigned i = 0; i < count; i++) {
        if (trail_used + pieces[i].bytes > trail_capacity) {
            trail_capacity = 2 * (trail_used + pieces[i].bytes);
            trail = realloc(trail, trail_capacity);
            if (trail == NULL)
                abort();
        }
        memcpy(trail + trail_used, pieces[i].at, pieces[i].bytes);
        trail_used += pieces[i].bytes;
    }
}

static void put_back(const choice *c) {
    piece pieces[PIECES_MAX];
    const unsigned char *from = trail + c->begin;
    memcpy(&now, from, sizeof now); /* it says which stacks follow */
    unsigned count = present(pieces);
    for (unsigned i = 0; i < count; i++) {
        memcpy(pieces[i].at, from, pieces[i].bytes);
        from += pieces[i].bytes;
    }
}

/* ---- the coroutines' side ---- */

void explorer_saw(uint64_t value) {
    if (now.current != NOBODY)
        now.threads[now.current].saw = random_mix(now.threads[now.current].saw * 3 + value + 1);
}

void explorer_step(void) {
    if (now.current == NOBODY)
        return; /* preparation and the last look: not explored */
    coroutine_yield(&now.threads[now.current].self);
    work->stepping((unsigned)now.current);
}

void explorer_lock_take(int *taken) {
    if (now.current == NOBODY)
        return;
    now.threads[now.current].wanted = taken; /* nobody is chosen for a step that has to wait */
    explorer_step();
    now.threads[now.current].wanted = NULL;
    *taken = 1;
    explorer_saw(work->guarded());
}

void explorer_lock_give(int *taken) {
    if (now.current == NOBODY)
        return;
    explorer_step();
    explorer_saw(0);
    *taken = 0;
}

static void thread_main(void) {
    work->run((unsigned)now.current);
    now.threads[now.current].runnable = false;
    explorer_saw(0);
    for (;;)
        coroutine_yield(&now.threads[now.current].self);
}

/* ---- the search ---- */

static unsigned threads_that(bool can_step) {
    unsigned set = 0;
    for (unsigned i = 0; i < work->threads; i++) {
        const thread *t = &now.threads[i];
        if (t->runnable && (!can_step || t->wanted == NULL || *t->wanted == 0))
            set |= 1u << i;
    }
    return set;
}

static void run_thread(int index) {
    now.current = index;
    coroutine_run(&now.threads[index].self);
}

/* To before the first step of each. */
static void start(void) {
    memset(&now, 0, sizeof now);
    for (unsigned i = 0; i < work->threads; i++) {
        coroutine_make(&now.threads[i].self, stacks[i], thread_main);
        now.threads[i].runnable = true;
        run_thread((int)i);
    }
    now.current = NOBODY;
}

static void take_step(int index) {
    if (now.current != NOBODY && index != now.current &&
        (threads_that(true) & 1u << now.current) != 0)
        now.preemptions++;
    path[now.depth++] = (unsigned char)index;
    run_thread(index);
}

/* Step on until everything has ended or a known state is met. Returns what is wrong, or NULL. */
static const char *run_on(exploration *result) {
    for (;;) {
        unsigned options = threads_that(true);
        if (options == 0 && threads_that(false) != 0)
            return "all that are left wait for a lock";
        if (!is_new(state_now()))
            return NULL;
        if (options == 0) {
            result->executions++;
            now.current = NOBODY;
            return work->judge();
        }
        if (now.depth == DEPTH_MAX)
            return "no progress";
        unsigned self = now.current == NOBODY ? 0 : options & 1u << now.current;
        if (self != 0 && now.preemptions == work->preemptions)
            options = self;
        int chosen = self != 0 ? now.current : __builtin_ctz(options);
        unsigned left = options & ~(1u << chosen);
        if (left != 0)
            put_aside(left);
        take_step(chosen);
    }
}

/* Go back to the last choice that has an alternative, and take it. */
static bool take_another_way(void) {
    if (choice_count == 0)
        return false;
    choice *last = &choices[choice_count - 1];
    int chosen = __builtin_ctz(last->left);
    last->left &= last->left - 1;
    put_back(last);
    if (last->left == 0) {
        trail_used = last->begin;
        choice_count--;
    }
    take_step(chosen);
    return true;
}

static void describe(const char *what, char *out, size_t size) {
    size_t used = (size_t)snprintf(out, size, "%s; steps ", what);
    for (int i = 0; i < now.depth && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%u", path[i]);
}

exploration scheduler_search(const workload *w) {
    exploration result = {.finished = true};
    work = w;
    forget_states();
    choice_count = 0;
    trail_used = 0;
    memcpy(memory_at_start, memory, memory_used);
    start();
    do {
        const char *what = run_on(&result);
        if (what != NULL) {
            describe(what, result.failure, sizeof result.failure);
            break;
        }
        result.finished = known_count < w->states_max;
    } while (result.finished && take_another_way());
    now.current = NOBODY;
    result.states = known_count;
    return result;
}
