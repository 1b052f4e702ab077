/*
 * judge_full.c: is every "full" true?
 *
 * Counts that change with time, as lists of changes: of each pool the addresses that were surely
 * free, and what operations of unknown outcome may hold; of each process and pool what its open
 * operations may hold for a moment. A "full" is false where the first stays above the sum of the
 * others all the time.
 */
#include "judge_internal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct change {
    uint64_t at;
    int64_t by, sum; /* `sum`: after it */
} change;

typedef struct line {
    change *all;
    size_t count, capacity;
    int64_t start;
} line;

static void put(line *l, uint64_t at, int64_t by) {
    if (at == NEVER)
        return;
    if (l->count == l->capacity) {
        l->capacity = l->capacity > 0 ? 2 * l->capacity : 256;
        l->all = realloc(l->all, l->capacity * sizeof *l->all);
        ck_assert_ptr_nonnull(l->all);
    }
    l->all[l->count++] = (change){at, by, 0};
}

static int by_time(const void *a, const void *b) {
    const change *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->by < y->by ? -1 : x->by > y->by;
}

static void add_up(line *l) {
    int64_t sum = l->start;
    if (l->count > 0)
        qsort(l->all, l->count, sizeof *l->all, by_time);
    for (size_t i = 0; i < l->count; i++)
        l->all[i].sum = sum += l->all[i].by;
}

static void line_free(line *l) {
    free(l->all);
    *l = (line){0};
}

static size_t first_at(const line *l, uint64_t at) {
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (l->all[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The lowest sum of the lines at any instant from `begin` to `end`, both included. What changes at
 * one instant is taken in the order that makes it lowest: in doubt, "full" is true. */
static int64_t lowest(const line *const *lines, size_t line_count, uint64_t begin, uint64_t end) {
    size_t at[3];
    int64_t sum = 0;
    ck_assert_uint_le(line_count, 3);
    for (size_t i = 0; i < line_count; i++) {
        at[i] = first_at(lines[i], begin);
        sum += at[i] > 0 ? lines[i]->all[at[i] - 1].sum : lines[i]->start;
    }
    for (int64_t least = sum;;) {
        const change *next = NULL;
        size_t from = 0;
        for (size_t i = 0; i < line_count; i++) {
            const change *c = at[i] < lines[i]->count ? &lines[i]->all[at[i]] : NULL;
            if (c != NULL && c->at <= end && (next == NULL || by_time(c, next) < 0)) {
                next = c;
                from = i;
            }
        }
        if (next == NULL)
            return least;
        at[from]++;
        sum += next->by;
        least = sum < least ? sum : least;
    }
}

/* ---- what was surely free ---- */

typedef struct span {
    uint64_t number, begin, end;
} span;

static int by_number_and_begin(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static uint64_t plus(uint64_t at, uint64_t more) {
    return at > NEVER - more ? NEVER : at + more;
}

/* From when to when leases may hold addresses of this pool, or let them rest. Where two of one
 * address overlap they are one. */
static void lay_leases(line *out, const judged_history *h, const lease_table *t, uint8_t pool) {
    span *all = malloc((t->count + 1) * sizeof *all);
    size_t count = 0;
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < t->count; i++) {
        const judged_lease *l = &t->all[i];
        if (l->pool == pool && lease_happened(l))
            all[count++] =
                (span){l->number, l->claim_begin, plus(l->release_end, h->pools[pool].rest_ns)};
    }
    qsort(all, count, sizeof *all, by_number_and_begin);
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t end = all[from].end;
        for (to = from + 1;
             to < count && all[to].number == all[from].number && all[to].begin <= end; to++)
            end = all[to].end > end ? all[to].end : end;
        put(out, all[from].begin, -1);
        put(out, end, 1);
    }
    free(all);
}

/* ---- what may be held for a moment ---- */

static void lay_unknown(line *out, const judged_history *h, const lease_table *t, uint8_t pool) {
    for (size_t i = 0; i < h->count; i++) {
        const operation *o = &h->operations[i];
        for (uint32_t k = 0; k < o->step_count && o->outcome == OUTCOME_UNKNOWN; k++) {
            const step *s = &o->steps[k];
            if (s->kind != STEP_CLAIM || s->pool != pool)
                continue;
            put(out, o->begin, -1);
            put(out, unknown_resolved_at(t, o, s), 1);
        }
    }
}

/* An allocation that runs into another server's lease draws again, and so may hold for a moment
 * what it did not get. A reservation and a transaction, each one try, hold what they got and no
 * other; that is not free already. */
static bool holds_what_it_got(const operation *o) {
    return o->outcome == OUTCOME_OK &&
           (o->kind == OPERATION_RESERVE || o->kind == OPERATION_TRANSACTION);
}

/* An allocation that found in the end what its owner has already may have held another before. */
static bool may_claim(const operation *o, const step *s) {
    return s->kind == STEP_CLAIM ||
           (s->kind == STEP_SEE && (o->kind == OPERATION_ALLOCATE || o->kind == OPERATION_RESERVE));
}

static void lay_own(line *out, const operation *const *own, size_t count, uint8_t pool) {
    for (size_t i = 0; i < count; i++) {
        const operation *o = own[i];
        if (holds_what_it_got(o))
            continue;
        bool stays = o->outcome == OUTCOME_UNKNOWN && o->keeps_claims;
        for (uint32_t k = 0; k < o->step_count && o->kind != OPERATION_DRY_RUN; k++) {
            if (!may_claim(o, &o->steps[k]) || o->steps[k].pool != pool)
                continue;
            put(out, o->begin, -1);
            put(out, stays ? NEVER : o->end, 1);
        }
    }
}

/* ---- the answers ---- */

/* What it had claimed itself is used; the one that it asked for in vain is not. */
static bool judge_answer(const operation *o, const line *const lines[3], judgement *j) {
    int64_t vain = o->kind == OPERATION_DRY_RUN ? 0 : 1;
    int64_t least = lowest(lines, 3, o->begin, o->end) + vain;
    int64_t doubt = -(lowest(lines + 1, 2, o->begin, o->end) + vain);
    j->full_answers++;
    j->full_sharp += doubt <= FULL_DOUBT_MAX;
    return least <= 0 ||
           wrong(j,
                 "client %u was told from %llu to %llu that pool %u is full; all that time at "
                 "least %lld of it were free",
                 o->client, (unsigned long long)o->begin, (unsigned long long)o->end, o->full_pool,
                 (long long)least);
}

static bool judge_process(const operation *const *own, size_t count, uint8_t pool,
                          const line *is_free, const line *unknown, judgement *j) {
    line held = {0};
    const line *const lines[3] = {is_free, unknown, &held};
    bool right = true;
    lay_own(&held, own, count, pool);
    add_up(&held);
    for (size_t i = 0; i < count && right; i++)
        if (own[i]->outcome == OUTCOME_FULL && own[i]->full_pool == pool)
            right = judge_answer(own[i], lines, j);
    line_free(&held);
    return right;
}

static bool judge_pool(const operation *const *by_process, const judged_history *h,
                       const lease_table *t, uint8_t pool, judgement *j) {
    line is_free = {.start = h->pools[pool].count}, unknown = {0};
    bool right = true;
    lay_leases(&is_free, h, t, pool);
    lay_unknown(&unknown, h, t, pool);
    add_up(&is_free);
    add_up(&unknown);
    for (size_t from = 0, to; from < h->count && right; from = to) {
        for (to = from; to < h->count && by_process[to]->process == by_process[from]->process; to++)
            ;
        right = judge_process(by_process + from, to - from, pool, &is_free, &unknown, j);
    }
    line_free(&is_free);
    line_free(&unknown);
    return right;
}

static int compare_processes(const void *a, const void *b) {
    const operation *x = *(const operation *const *)a, *y = *(const operation *const *)b;
    return (x->process > y->process) - (x->process < y->process);
}

bool judge_full(const judged_history *h, const lease_table *t, judgement *j) {
    const operation **by_process = malloc((h->count + 1) * sizeof *by_process);
    bool right = true;
    ck_assert_ptr_nonnull(by_process);
    for (size_t i = 0; i < h->count; i++)
        by_process[i] = &h->operations[i];
    qsort(by_process, h->count, sizeof *by_process, compare_processes);
    for (uint8_t pool = 0; pool < h->pool_count && right; pool++)
        right = judge_pool(by_process, h, t, pool, j);
    free(by_process);
    return right;
}
