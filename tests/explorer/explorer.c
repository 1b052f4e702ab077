/*
 * explorer.c: coroutines, depth-first search with a table of known states, linearizability.
 *
 * An execution always starts from the same memory and follows `path`; where the path ends, new
 * choices are made and noted with their alternatives. A thread is deterministic given the values
 * that its atomic operations returned, so a state is: the memory, and of each thread a hash of
 * those values and of which operations had ended when each of its own began. A state seen before is
 * not followed again. That finds the same outcomes as all interleavings would.
 */
#include "explorer.h"

#include "core/bitmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum {
    STACK_BYTES = 64 * 1024,
    MEMORY_BYTES = 4096,
    DEPTH_MAX = 3000, /* longer executions do not make progress */
    NOBODY = -1,
};

typedef struct outcome {
    operation called;
    unsigned ended_before; /* operations that had ended when this one began, by bit */
    bool ok;
    bool done;
    uint64_t number;
} outcome;

typedef struct thread {
    ucontext_t context;
    bool runnable, beginning;
    uint64_t saw, randoms, stamp;
    outcome outcomes[OPERATIONS_MAX];
} thread;

typedef struct choice {
    int chosen;
    unsigned left; /* alternatives not tried yet, by bit */
} choice;

static const program *running;
static thread threads[THREADS_MAX];
static char stacks[THREADS_MAX][STACK_BYTES];
static ucontext_t home;
static int current = NOBODY;
static bool booting, stuck;
static int preemptions;

static choice path[DEPTH_MAX];
static int path_length, depth;

static uint64_t *known; /* open addressing, 0: empty */
static uint64_t known_mask, known_count;

static _Alignas(64) unsigned char memory[MEMORY_BYTES], memory_at_start[MEMORY_BYTES];
static size_t memory_used;
static bitmap *map;
static hooks h;

/* ---- memory and random numbers: the same in every execution ---- */

static void *allocate(void *context, size_t bytes) {
    (void)context;
    memory_used = (bytes + 7) / 8 * 8;
    return memory_used <= MEMORY_BYTES ? memory : NULL;
}

static void *reallocate(void *context, void *block, size_t bytes) {
    (void)context;
    (void)block;
    (void)bytes;
    return NULL;
}

static void deallocate(void *context, void *block) {
    (void)context;
    (void)block;
}

static uint64_t next_random(void *context) {
    (void)context;
    return current == NOBODY ? 1 : random_mix(++threads[current].randoms);
}

/* ---- the scheduler ---- */

static uint64_t state_now(void) {
    uint64_t hash = 0, word;
    for (size_t i = 0; i < memory_used; i += sizeof word) {
        memcpy(&word, memory + i, sizeof word);
        hash = random_mix(hash * 3 + word + 1);
    }
    for (int i = 0; i < THREADS_MAX; i++)
        hash = random_mix(hash * 3 + threads[i].saw);
    if (running->preemptions != PREEMPTIONS_ANY)
        hash = random_mix(hash * 3 + (uint64_t)preemptions * THREADS_MAX + (uint64_t)(current + 1));
    return hash | 1; /* never 0 */
}

static bool is_new(uint64_t state) {
    uint64_t at = state >> 1 & known_mask;
    for (; known[at] != 0; at = (at + 1) & known_mask) {
        if (known[at] == state)
            return false;
    }
    known[at] = state;
    known_count++;
    return true;
}

static unsigned runnable_threads(void) {
    unsigned set = 0;
    for (int i = 0; i < THREADS_MAX; i++)
        set |= (unsigned)threads[i].runnable << i;
    return set;
}

/* Who goes next; NOBODY ends the execution. */
static int decide(void) {
    unsigned options = runnable_threads(), self = current == NOBODY ? 0 : options & 1u << current;
    if (options == 0)
        return NOBODY;
    if (depth == path_length) {
        stuck = depth == DEPTH_MAX;
        if (stuck || !is_new(state_now()))
            return NOBODY;
        if (self != 0 && preemptions == running->preemptions)
            options = self;
        path[depth].chosen = self != 0 ? current : __builtin_ctz(options);
        path[depth].left = options & ~(1u << path[depth].chosen);
        path_length++;
    }
    int chosen = path[depth++].chosen;
    if (self != 0 && chosen != current)
        preemptions++;
    return chosen;
}

static void switch_to(ucontext_t *from, int next) {
    current = next;
    swapcontext(from, next == NOBODY ? &home : &threads[next].context);
}

static unsigned ended_operations(void) {
    unsigned set = 0;
    for (int i = 0; i < THREADS_MAX * OPERATIONS_MAX; i++)
        set |= (unsigned)threads[i / OPERATIONS_MAX].outcomes[i % OPERATIONS_MAX].done << i;
    return set;
}

void explorer_saw(uint64_t value) {
    if (current != NOBODY)
        threads[current].saw = random_mix(threads[current].saw * 3 + value + 1);
}

void explorer_step(void) {
    if (current == NOBODY)
        return; /* preparation and the last look: not explored */
    int self = current, next = booting ? NOBODY : decide();
    if (next != self)
        switch_to(&threads[self].context, next);
    if (threads[self].beginning) { /* an operation begins with its first step, not before */
        threads[self].beginning = false;
        outcome *o = threads[self].outcomes;
        while (o->done)
            o++;
        unsigned ended = ended_operations();
        o->ended_before = ended;
        explorer_saw(ended);
    }
}

/* ---- the operations ---- */

static bool allocate_number(enum bitmap_choice chosen, uint64_t *stamp, uint64_t *number) {
    for (;;) {
        if (bitmap_claim_any(map, &h, chosen, 0, running->size, number))
            return true;
        if (bitmap_prove_full(map, stamp, number))
            return false;
        if (bitmap_take(map, *number))
            return true;
    }
}

static bool perform(thread *t, operation called, outcome *o) {
    o->number = called.number;
    switch (called.kind) {
    case TAKE:
        return bitmap_take(map, called.number);
    case RELEASE:
        return bitmap_release(map, called.number);
    case LOOKUP:
        return bitmap_is_taken(map, called.number);
    case CLAIM:
        return bitmap_claim_any(map, &h, BITMAP_LOWEST, 0, running->size, &o->number);
    case PROVE:
        return !bitmap_prove_full(map, &t->stamp, &o->number);
    case DRY_RUN:
        return bitmap_find_any(map, &h, BITMAP_LOWEST, 0, running->size, NULL, NULL, &o->number) ||
               !bitmap_prove_full(map, &t->stamp, &o->number);
    case AGAIN:
        if (o > t->outcomes && !o[-1].ok && bitmap_still_full(map, t->stamp))
            return false;
        break;
    default:
        break;
    }
    return allocate_number(called.kind == LOWEST ? BITMAP_LOWEST : BITMAP_RANDOM, &t->stamp,
                           &o->number);
}

static void thread_main(int index) {
    thread *t = &threads[index];
    for (int i = 0; i < OPERATIONS_MAX; i++) {
        outcome *o = &t->outcomes[i];
        o->called = running->threads[index][i];
        if (o->called.kind == NOTHING)
            break;
        t->beginning = true;
        o->ok = perform(t, o->called, o);
        o->done = true;
    }
    t->runnable = false;
    explorer_saw(0);
    switch_to(&t->context, booting ? NOBODY : decide());
}

static void boot(int index) {
    thread *t = &threads[index];
    if (running->threads[index][0].kind == NOTHING)
        return;
    getcontext(&t->context);
    t->context.uc_stack.ss_sp = stacks[index];
    t->context.uc_stack.ss_size = STACK_BYTES;
    t->runnable = true;
    makecontext(&t->context, (void (*)(void))thread_main, 1, index);
    switch_to(&home, index); /* as far as its first step */
}

static void execute(void) {
    memcpy(memory, memory_at_start, memory_used);
    memset(threads, 0, sizeof threads);
    depth = preemptions = 0;
    booting = true;
    for (int i = 0; i < THREADS_MAX; i++)
        boot(i);
    booting = false;
    int first = decide();
    if (first != NOBODY)
        switch_to(&home, first);
}

/* ---- the judge ---- */

/* Does this outcome fit a map with these free numbers? If so, change them. */
static bool fits(const outcome *o, bool *free_numbers, uint64_t size) {
    bool was_free = o->number < size && free_numbers[o->number];
    switch (o->called.kind) {
    case RELEASE:
        if (o->ok)
            free_numbers[o->number] = true;
        return o->ok != was_free;
    case LOOKUP:
        return o->ok != was_free;
    case CLAIM:
        if (!o->ok)
            return true;
        break;
    case TAKE:
        break;
    case PROVE:
    case DRY_RUN:
        return o->ok ? was_free : memchr(free_numbers, true, size) == NULL;
    default:
        if (!o->ok) { /* FULL */
            return memchr(free_numbers, true, size) == NULL;
        }
    }
    if (o->ok)
        free_numbers[o->number] = false;
    return o->ok == was_free;
}

/* Is there an order of the operations, each after those that had ended before it, which a map
 * without concurrency could have answered so, and which leaves the numbers that are free now? */
static bool linearizable(const bool *free_numbers, unsigned placed) {
    unsigned ended = ended_operations();
    if (placed == ended) {
        for (uint64_t i = 0; i < running->size; i++) {
            if (free_numbers[i] == bitmap_is_taken(map, i))
                return false;
        }
        return true;
    }
    for (int i = 0; i < THREADS_MAX * OPERATIONS_MAX; i++) {
        const outcome *o = &threads[i / OPERATIONS_MAX].outcomes[i % OPERATIONS_MAX];
        bool next[MEMORY_BYTES];
        if ((ended >> i & 1) == 0 || (placed >> i & 1) != 0 || (o->ended_before & ~placed) != 0)
            continue;
        memcpy(next, free_numbers, running->size);
        if (fits(o, next, running->size) && linearizable(next, placed | 1u << i))
            return true;
    }
    return false;
}

static const char *judge(void) {
    static bool at_start[MEMORY_BYTES];
    memset(at_start, 0, sizeof at_start);
    bool any_free = false;
    for (int i = 0; i < FREE_MAX; i++) {
        if (running->free[i] != 0)
            at_start[running->free[i] - 1] = true;
    }
    if (!bitmap_validate(map))
        return "a free number without its flags is left";
    if (!linearizable(at_start, 0))
        return "no order of the operations explains this";
    for (uint64_t i = 0; i < running->size; i++)
        any_free = any_free || !bitmap_is_taken(map, i);
    uint64_t number;
    if (bitmap_claim_any(map, &h, BITMAP_RANDOM, 0, running->size, &number) != any_free)
        return "at rest, a claim does not find what is free";
    return NULL;
}

static void describe(const char *what, char *out, size_t size) {
    static const char *const names[] = {"",       "allocate", "lowest", "take",    "release",
                                        "lookup", "claim",    "prove",  "dry run", "again"};
    size_t used = (size_t)snprintf(out, size, "%s:", what);
    for (int i = 0; i < THREADS_MAX * OPERATIONS_MAX && used < size; i++) {
        const outcome *o = &threads[i / OPERATIONS_MAX].outcomes[i % OPERATIONS_MAX];
        if (o->called.kind != NOTHING)
            used += (size_t)snprintf(out + used, size - used, " [%d] %s -> %s %llu after %#x;",
                                     i / OPERATIONS_MAX, names[o->called.kind],
                                     !o->done ? "?"
                                     : o->ok  ? "yes"
                                              : "no",
                                     (unsigned long long)o->number, o->ended_before);
    }
    for (int i = 0; i < depth && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%d", i == 0 ? " steps " : "",
                                 path[i].chosen);
}

/* ---- the search ---- */

static void prepare(const program *p) {
    const ipalloc_hooks user = {.size = sizeof user,
                                .allocate = allocate,
                                .reallocate = reallocate,
                                .deallocate = deallocate,
                                .random = next_random};
    uint64_t stamp, number;
    memset(memory, 0, sizeof memory);
    if (hooks_init(&h, &user, NULL) != IPALLOC_OK || (map = bitmap_create(&h, p->size)) == NULL)
        abort();
    for (uint64_t i = 0; i < p->size; i++)
        bitmap_take(map, i);
    if (p->flags == CLOSED)
        bitmap_prove_full(map, &stamp, &number);
    if (p->retaken != 0) {
        bitmap_release(map, p->retaken - 1);
        bitmap_take(map, p->retaken - 1);
    }
    for (int i = 0; i < FREE_MAX; i++) {
        if (p->free[i] != 0)
            bitmap_release(map, p->free[i] - 1);
    }
    memcpy(memory_at_start, memory, sizeof memory);
}

/* Cut the path back to its last choice with an alternative, and take that. */
static bool next_path(void) {
    for (; path_length > 0; path_length--) {
        choice *last = &path[path_length - 1];
        if (last->left != 0) {
            last->chosen = __builtin_ctz(last->left);
            last->left &= last->left - 1;
            return true;
        }
    }
    return false;
}

exploration explore(const program *p, uint64_t states_max) {
    exploration result = {.finished = true};
    running = p;
    prepare(p);
    for (known_mask = 1; known_mask < 2 * (states_max + DEPTH_MAX);)
        known_mask *= 2;
    known = calloc(known_mask, sizeof *known);
    if (known == NULL)
        abort();
    known_mask--;
    known_count = 0;
    path_length = 0;
    do {
        execute();
        result.executions++;
        const char *what = stuck ? "no progress" : runnable_threads() == 0 ? judge() : NULL;
        if (what != NULL) {
            describe(what, result.failure, sizeof result.failure);
            break;
        }
        result.finished = !next_path();
    } while (!result.finished && known_count < states_max);
    result.states = known_count;
    free(known);
    return result;
}
