/*
 * linearizable.c: the search of Wing and Gong with Lowe's memory of where it has been.
 *
 * All beginnings and ends stand in one list, by time. The search takes, of the operations that
 * begin before the first end that is left, one that fits the state of the numbers, removes it from
 * the list, and goes on; at an end whose operation has not been taken it goes back. What it has
 * tried is known by the set of operations taken and the state (both as 64 bits of hash): coming
 * there again is of no use. Cost: short histories of a few threads take microseconds; the worst
 * case is exponential in the number of threads.
 */
#include "linearizable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the numbers ---- */

enum { WORDS = HISTORY_NUMBERS_MAX / 64 };

typedef struct number_set {
    uint64_t free[WORDS], excluded[WORDS];
    uint32_t free_count;
    uint64_t hash; /* of the states of all numbers */
} number_set;

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static number_state state_of(const number_set *s, uint32_t number) {
    if ((s->free[number / 64] >> number % 64 & 1) != 0)
        return STATE_FREE;
    return (s->excluded[number / 64] >> number % 64 & 1) != 0 ? STATE_EXCLUDED : STATE_HELD;
}

static uint64_t hash_of(uint32_t number, number_state state) {
    return mix((uint64_t)number * 4 + state + 1);
}

static void set_state(number_set *s, uint32_t number, number_state state) {
    number_state before = state_of(s, number);
    uint64_t bit = (uint64_t)1 << number % 64;
    s->free[number / 64] &= ~bit;
    s->excluded[number / 64] &= ~bit;
    if (state == STATE_FREE)
        s->free[number / 64] |= bit;
    else if (state == STATE_EXCLUDED)
        s->excluded[number / 64] |= bit;
    s->free_count += (state == STATE_FREE) - (before == STATE_FREE);
    s->hash ^= hash_of(number, before) ^ hash_of(number, state);
}

static number_set set_from(const unsigned char *states, uint32_t numbers) {
    number_set s = {0};
    for (uint32_t i = 0; i < numbers; i++)
        set_state(&s, i, (number_state)states[i]);
    return s;
}

static bool same(const number_set *a, const number_set *b) {
    return memcmp(a->free, b->free, sizeof a->free) == 0 &&
           memcmp(a->excluded, b->excluded, sizeof a->excluded) == 0;
}

/* Are `count` numbers from `first` on all (or is none of them) in this state? */
static bool all_are(const number_set *s, const call *c, number_state state) {
    for (uint32_t i = 0; i < c->count; i++) {
        if (state_of(s, c->number + i) != state)
            return false;
    }
    return true;
}

static bool none_is(const number_set *s, const call *c, number_state state) {
    for (uint32_t i = 0; i < c->count; i++) {
        if (state_of(s, c->number + i) == state)
            return false;
    }
    return true;
}

static void set_states(number_set *s, const call *c, number_state state) {
    for (uint32_t i = 0; i < c->count; i++)
        set_state(s, c->number + i, state);
}

static bool change(number_set *s, uint32_t number, number_state from, number_state to) {
    if (state_of(s, number) != from)
        return false;
    set_state(s, number, to);
    return true;
}

/* Is that the answer of a set in this state? If so, change it. */
static bool fits(number_set *s, const call *c) {
    switch (c->kind) {
    case CALL_ALLOCATE:
        return c->ok ? change(s, c->number, STATE_FREE, STATE_HELD) : s->free_count == 0;
    case CALL_RESERVE:
        return c->ok ? change(s, c->number, STATE_FREE, STATE_HELD)
                     : state_of(s, c->number) != STATE_FREE;
    case CALL_RELEASE:
        return c->ok ? change(s, c->number, STATE_HELD, STATE_FREE)
                     : state_of(s, c->number) != STATE_HELD;
    case CALL_HAS:
        return c->ok == (state_of(s, c->number) == STATE_HELD);
    case CALL_PROVE:
        return c->ok == (s->free_count > 0);
    case CALL_EXCLUDE:
        if (c->ok != none_is(s, c, STATE_HELD))
            return false;
        if (c->ok)
            set_states(s, c, STATE_EXCLUDED);
        return true;
    case CALL_INCLUDE:
        if (c->ok != all_are(s, c, STATE_EXCLUDED))
            return false;
        if (c->ok)
            set_states(s, c, STATE_FREE);
        return true;
    default:
        abort();
    }
}

/* ---- beginnings and ends, by time ---- */

typedef struct event {
    struct event *before, *after, *end; /* `end`: of a beginning; NULL of an end */
    uint64_t at;
    uint32_t call;
} event;

typedef struct timeline {
    event events[2 * HISTORY_OPERATIONS_MAX];
    event head; /* before all */
} timeline;

static int compare_events(const void *a, const void *b) {
    const event *x = *(event *const *)a, *y = *(event *const *)b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void lay_out(timeline *t, const history *h) {
    event *sorted[2 * HISTORY_OPERATIONS_MAX];
    for (uint32_t i = 0; i < h->count; i++) {
        event *begin = &t->events[2 * i], *end = begin + 1;
        *end = (event){.at = h->calls[i].end, .call = i};
        *begin = (event){.at = h->calls[i].begin, .call = i, .end = end};
        sorted[2 * i] = begin;
        sorted[2 * i + 1] = end;
    }
    qsort(sorted, 2 * h->count, sizeof *sorted, compare_events);
    event *last = &t->head;
    t->head = (event){0};
    for (size_t i = 0; i < 2 * h->count; i++) {
        last->after = sorted[i];
        sorted[i]->before = last;
        last = sorted[i];
    }
}

static void unlink_event(event *e) {
    e->before->after = e->after;
    if (e->after != NULL)
        e->after->before = e->before;
}

static void link_event(event *e) {
    e->before->after = e;
    if (e->after != NULL)
        e->after->before = e;
}

/* Take an operation out of the list, and put it back: the reverse in reverse order. */
static void take_out(event *begin) {
    unlink_event(begin);
    unlink_event(begin->end);
}

static void put_back(event *begin) {
    link_event(begin->end);
    link_event(begin);
}

/* ---- what has been tried ---- */

typedef struct memory {
    uint64_t *known; /* open addressing, 0: empty */
    size_t capacity, count;
} memory;

static bool insert(memory *m, uint64_t hash) {
    size_t at = hash & (m->capacity - 1);
    for (; m->known[at] != 0; at = (at + 1) & (m->capacity - 1)) {
        if (m->known[at] == hash)
            return false;
    }
    m->known[at] = hash;
    m->count++;
    return true;
}

static void grow(memory *m) {
    memory larger = {.capacity = m->capacity > 0 ? 4 * m->capacity : 256};
    larger.known = calloc(larger.capacity, sizeof *larger.known);
    if (larger.known == NULL)
        abort();
    for (size_t i = 0; i < m->capacity; i++) {
        if (m->known[i] != 0)
            insert(&larger, m->known[i]);
    }
    free(m->known);
    *m = larger;
}

static bool is_new(memory *m, uint64_t hash) {
    if (2 * m->count >= m->capacity)
        grow(m);
    return insert(m, hash | 1);
}

/* ---- the search ---- */

typedef struct step {
    event *taken;
    number_set before;
    uint64_t taken_hash; /* of the set of operations taken before */
} step;

static bool search(timeline *t, const history *h, memory *tried, step *steps) {
    number_set now = set_from(h->at_start, h->numbers), end = set_from(h->at_end, h->numbers);
    uint64_t taken_hash = 0;
    size_t depth = 0;
    event *e = t->head.after;
    for (;;) {
        if (t->head.after == NULL && same(&now, &end))
            return true;
        if (e != NULL && e->end != NULL) {
            number_set next = now;
            uint64_t next_hash = taken_hash ^ mix(e->call + ((uint64_t)1 << 40));
            if (fits(&next, &h->calls[e->call]) && is_new(tried, mix(next_hash) + next.hash)) {
                steps[depth++] = (step){e, now, taken_hash};
                now = next;
                taken_hash = next_hash;
                take_out(e);
                e = t->head.after;
            } else {
                e = e->after;
            }
            continue;
        }
        if (depth == 0)
            return false;
        step *last = &steps[--depth]; /* nothing fits here: go back, and on from there */
        now = last->before;
        taken_hash = last->taken_hash;
        put_back(last->taken);
        e = last->taken->after;
    }
}

bool history_linearizable(const history *h) {
    timeline *t = malloc(sizeof *t);
    step *steps = malloc((h->count + 1) * sizeof *steps);
    memory tried = {0};
    if (t == NULL || steps == NULL || h->count > HISTORY_OPERATIONS_MAX ||
        h->numbers > HISTORY_NUMBERS_MAX)
        abort();
    lay_out(t, h);
    bool found = search(t, h, &tried, steps);
    free(tried.known);
    free(steps);
    free(t);
    return found;
}

const char *history_describe(const history *h, char *out, size_t size) {
    static const char *const names[CALL_KINDS] = {"allocate", "reserve", "release", "has",
                                                  "prove",    "exclude", "include"};
    size_t used = (size_t)snprintf(out, size, "%u numbers, free:", h->numbers);
    for (uint32_t i = 0; i < h->numbers && used < size; i++) {
        if (h->at_start[i] != STATE_HELD || h->at_end[i] != STATE_HELD)
            used += (size_t)snprintf(out + used, size - used, " %u:%c->%c", i,
                                     "hfx"[h->at_start[i]], "hfx"[h->at_end[i]]);
    }
    for (size_t i = 0; i < h->count && used < size; i++) {
        const call *c = &h->calls[i];
        used += (size_t)snprintf(out + used, size - used, "\n[%llu, %llu] %s %u+%u: %s",
                                 (unsigned long long)c->begin, (unsigned long long)c->end,
                                 names[c->kind], c->number, c->count, c->ok ? "yes" : "no");
    }
    return out;
}
