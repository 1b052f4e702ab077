/*
 * judge.c: the registers, the final state, and revisions against time.
 */
#include "judge_internal.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool wrong(judgement *j, const char *form, ...) {
    if (j->wrong[0] == '\0') {
        va_list values;
        va_start(values, form);
        vsnprintf(j->wrong, sizeof j->wrong, form, values);
        va_end(values);
    }
    return false;
}

static uint64_t lower(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* ---- one register ---- */

/* What a register must have held from `begin` to `end`; or, where end <= begin, for an instant
 * somewhere from end to begin. `lease` NULL: it held nothing at an instant. */
typedef struct stretch {
    uint64_t register_of; /* registers are numbered */
    uint64_t begin, end;
    const judged_lease *lease;
} stretch;

/* From when on is it surely held, and until when? A lease that was never released is held for ever.
 */
static uint64_t surely_from(const judged_lease *l) {
    return lower(l->claim_end, l->seen_first_end);
}

static uint64_t surely_until(const judged_lease *l) {
    return l->release_begin == NEVER ? NEVER : higher(l->release_begin, l->seen_last_begin);
}

static bool lease_is_possible(const judged_lease *l, judgement *j) {
    char text[256];
    if (surely_from(l) < l->claim_begin)
        return wrong(j, "it was seen before anybody asked for it: %s", describe_lease(l, text));
    if (l->release_end < l->seen_last_begin)
        return wrong(j, "it was seen after its release: %s", describe_lease(l, text));
    if (l->release_end < l->claim_begin)
        return wrong(j, "it was released before anybody asked for it: %s", describe_lease(l, text));
    return true;
}

static bool is_core(const stretch *s) {
    return s->lease != NULL && s->begin < s->end;
}

static int by_register_and_begin(const void *a, const void *b) {
    const stretch *x = a, *y = b;
    if (x->register_of != y->register_of)
        return x->register_of < y->register_of ? -1 : 1;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Stretches of one register, of which those that are cores come first and in order. */
static bool cores_are_apart(const stretch *cores, size_t count, const char *what, judgement *j) {
    char one[256], other[256];
    for (size_t i = 1; i < count; i++)
        if (cores[i].begin < cores[i - 1].end)
            return wrong(j, "one %s held twice at once: %s, and %s", what,
                         describe_lease(cores[i - 1].lease, one),
                         describe_lease(cores[i].lease, other));
    return true;
}

/* Is there an instant from `from` to `to` that no core fills? */
static bool finds_instant(const stretch *cores, size_t count, uint64_t from, uint64_t to) {
    size_t low = 0, high = count;
    while (low < high) { /* the last core that begins before `from` */
        size_t middle = (low + high) / 2;
        if (cores[middle].begin < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 || cores[low - 1].end <= to;
}

static bool judge_register(const stretch *all, size_t count, const char *what, judgement *j) {
    stretch *cores = malloc((count + 1) * sizeof *cores);
    size_t core_count = 0;
    char text[256];
    ck_assert_ptr_nonnull(cores);
    for (size_t i = 0; i < count; i++)
        if (is_core(&all[i]))
            cores[core_count++] = all[i];
    bool right = cores_are_apart(cores, core_count, what, j);
    for (size_t i = 0; i < count && right; i++) {
        const stretch *s = &all[i];
        if (is_core(s) || finds_instant(cores, core_count, s->end, s->begin))
            continue;
        right = s->lease != NULL
                    ? wrong(j, "one %s had no instant for %s", what, describe_lease(s->lease, text))
                    : wrong(j, "one %s was seen free from %llu to %llu, and was not", what,
                            (unsigned long long)s->end, (unsigned long long)s->begin);
    }
    free(cores);
    return right;
}

static bool judge_registers(stretch *all, size_t count, const char *what, judgement *j) {
    qsort(all, count, sizeof *all, by_register_and_begin);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from; to < count && all[to].register_of == all[from].register_of; to++)
            ;
        if (!judge_register(&all[from], to - from, what, j))
            return false;
    }
    return true;
}

/* ---- addresses, and slots ---- */

static uint64_t address_register(const judged_lease *l) {
    return (uint64_t)l->pool << 32 | l->number;
}

static uint64_t slot_register(const judged_lease *l) {
    return (uint64_t)l->pool << 48 | (uint64_t)l->owner << 16 | l->slot;
}

static size_t lay_leases(const lease_table *t, uint64_t (*register_of)(const judged_lease *),
                         stretch *out) {
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++)
        if (lease_happened(&t->all[i]))
            out[count++] = (stretch){register_of(&t->all[i]), surely_from(&t->all[i]),
                                     surely_until(&t->all[i]), &t->all[i]};
    return count;
}

/* Where somebody was told that an address is nobody's. */
static size_t lay_free_sights(const judged_history *h, stretch *out) {
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++) {
        const operation *o = &h->operations[i];
        for (uint32_t k = 0; k < o->step_count; k++) {
            const step *s = &o->steps[k];
            if (s->kind == STEP_FREE && o->outcome != OUTCOME_UNKNOWN)
                out[count++] =
                    (stretch){(uint64_t)s->pool << 32 | s->number, o->end, o->begin, NULL};
        }
    }
    return count;
}

static bool judge_all_registers(const judged_history *h, const lease_table *t, judgement *j) {
    stretch *all = malloc((t->count + h->count * STEPS_MAX + 1) * sizeof *all);
    ck_assert_ptr_nonnull(all);
    size_t count = lay_leases(t, address_register, all);
    count += lay_free_sights(h, all + count);
    bool right = judge_registers(all, count, "address", j);
    if (right) {
        count = lay_leases(t, slot_register, all);
        right = judge_registers(all, count, "slot", j);
    }
    free(all);
    return right;
}

/* ---- the end ---- */

/* What was acknowledged and that nobody tried to release is in the store. (What is in the store and
 * should not be has been found as a sight.) */
static bool judge_final(const judged_history *h, const lease_table *t, judgement *j) {
    char text[256];
    if (h->final == NULL)
        return true;
    for (size_t i = 0; i < t->count; i++) {
        const judged_lease *l = &t->all[i];
        bool is_there = l->seen && l->seen_last_begin == h->final_at;
        if (l->claimed && l->release_begin == NEVER && !is_there)
            return wrong(j, "it was acknowledged, and is not in the store: %s",
                         describe_lease(l, text));
        if (!l->claimed && l->seen && l->release_begin == NEVER && !is_there)
            return wrong(j, "it was seen, never released, and is not in the store: %s",
                         describe_lease(l, text));
    }
    return true;
}

/* ---- revisions ---- */

typedef struct instant {
    uint64_t at, revision;
    bool is_end;
} instant;

static int by_time(const void *a, const void *b) {
    const instant *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->is_end - y->is_end; /* at one instant they are beside each other */
}

static bool judge_revisions(const judged_history *h, judgement *j) {
    instant *all = malloc((2 * h->count + 1) * sizeof *all);
    size_t count = 0;
    uint64_t highest = 0;
    bool right = true;
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < h->count; i++) {
        const operation *o = &h->operations[i];
        if (o->outcome != OUTCOME_OK || o->revision == 0)
            continue;
        all[count++] = (instant){o->begin, o->revision, false};
        all[count++] = (instant){o->end, o->revision, true};
    }
    qsort(all, count, sizeof *all, by_time);
    for (size_t i = 0; i < count && right; i++) {
        if (all[i].is_end)
            highest = higher(highest, all[i].revision);
        else if (all[i].revision <= highest)
            right = wrong(j, "revision %llu began at %llu, when %llu had ended",
                          (unsigned long long)all[i].revision, (unsigned long long)all[i].at,
                          (unsigned long long)highest);
    }
    free(all);
    return right;
}

void judge(const judged_history *h, judgement *out) {
    lease_table table = {0};
    bool right = true;
    *out = (judgement){.operations = h->count};
    right = leases_collect(&table, h, out);
    for (size_t i = 0; i < table.count && right; i++)
        right = !lease_happened(&table.all[i]) || lease_is_possible(&table.all[i], out);
    right = right && judge_all_registers(h, &table, out);
    right = right && judge_final(h, &table, out);
    right = right && judge_revisions(h, out);
    right = right && judge_full(h, &table, out);
    for (size_t i = 0; i < table.count; i++)
        out->leases += lease_happened(&table.all[i]);
    leases_free(&table);
}
