/*
 * judge_leases.c: leases out of operations. Who was told what about which generation, and when.
 *
 * Operations with an unknown outcome may have claimed: a lease that somebody saw and nobody was
 * told of is traced to one of them, of the same owner and slot.
 */
#include "judge_internal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t *slot_of(const lease_table *t, uint64_t generation) {
    size_t at = mix(generation) & (t->slot_count - 1);
    while (t->slots[at] != 0 && t->all[t->slots[at] - 1].generation != generation)
        at = (at + 1) & (t->slot_count - 1);
    return &t->slots[at];
}

static void grow(lease_table *t) {
    t->capacity = t->capacity > 0 ? 2 * t->capacity : 64;
    t->all = realloc(t->all, t->capacity * sizeof *t->all);
    free(t->slots);
    t->slot_count = 4 * t->capacity;
    t->slots = calloc(t->slot_count, sizeof *t->slots);
    ck_assert_ptr_nonnull(t->all);
    ck_assert_ptr_nonnull(t->slots);
    for (size_t i = 0; i < t->count; i++)
        *slot_of(t, t->all[i].generation) = (uint32_t)i + 1;
}

static judged_lease *find(const lease_table *t, uint64_t generation) {
    uint32_t at = t->slot_count > 0 ? *slot_of(t, generation) : 0;
    return at != 0 ? &t->all[at - 1] : NULL;
}

static judged_lease *add(lease_table *t, const step *s, uint32_t owner) {
    if (t->count == t->capacity)
        grow(t);
    t->all[t->count] = (judged_lease){.generation = s->generation,
                                      .number = s->number,
                                      .owner = owner,
                                      .slot = s->slot,
                                      .pool = s->pool,
                                      .claim_begin = NEVER,
                                      .claim_end = NEVER,
                                      .release_begin = NEVER,
                                      .release_end = NEVER,
                                      .seen_first_end = NEVER};
    *slot_of(t, s->generation) = (uint32_t)t->count + 1;
    return &t->all[t->count++];
}

void leases_free(lease_table *t) {
    free(t->all);
    free(t->slots);
    free(t->told.all);
    free(t->unknown.all);
}

bool lease_happened(const judged_lease *l) {
    return l->claimed || l->seen;
}

const char *describe_lease(const judged_lease *l, char out[256]) {
    snprintf(out, 256,
             "pool %u number %u of owner %u slot %u in generation %llu (claim %llu..%llu, seen "
             "%llu..%llu, release %llu..%llu)",
             l->pool, l->number, l->owner, l->slot, (unsigned long long)l->generation,
             (unsigned long long)l->claim_begin, (unsigned long long)l->claim_end,
             (unsigned long long)l->seen_first_end, (unsigned long long)l->seen_last_begin,
             (unsigned long long)l->release_begin, (unsigned long long)l->release_end);
    return out;
}

/* ---- claims ---- */

static bool same_lease(const judged_lease *l, const step *s, uint32_t owner) {
    return l->pool == s->pool && l->number == s->number && l->owner == owner && l->slot == s->slot;
}

static bool take_claim(lease_table *t, const operation *o, const step *s, judgement *j) {
    judged_lease *l = find(t, s->generation);
    char text[256];
    if (l != NULL)
        return wrong(j, "one generation was given twice: %s, and again to owner %u number %u",
                     describe_lease(l, text), o->owner, s->number);
    l = add(t, s, o->owner);
    l->claim_begin = o->begin;
    l->claim_end = o->outcome == OUTCOME_OK ? o->end : NEVER;
    l->claimed = o->outcome == OUTCOME_OK;
    return true;
}

/* ---- uses of slots ---- */

static uint64_t key_of(const step *s, uint32_t owner) {
    return (uint64_t)s->pool << 48 | (uint64_t)owner << 16 | s->slot;
}

/* An answer that tells what is in a slot to somebody who asked for something to be in it. */
static bool tells(const operation *o, const step *s) {
    return o->outcome == OUTCOME_OK && s->generation != 0 &&
           (o->kind == OPERATION_ALLOCATE || o->kind == OPERATION_RESERVE ||
            o->kind == OPERATION_TRANSACTION) &&
           (s->kind == STEP_CLAIM || s->kind == STEP_SEE);
}

static bool is_unknown_claim(const operation *o, const step *s) {
    return o->outcome == OUTCOME_UNKNOWN && s->kind == STEP_CLAIM;
}

static int by_key_and_begin(const void *a, const void *b) {
    const slot_use *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->of->begin < y->of->begin ? -1 : x->of->begin > y->of->begin;
}

static void index_uses(slot_uses *uses, const judged_history *h,
                       bool (*wanted)(const operation *, const step *)) {
    size_t capacity = 0;
    for (size_t i = 0; i < h->count; i++)
        capacity += h->operations[i].step_count;
    uses->all = malloc((capacity + 1) * sizeof *uses->all);
    ck_assert_ptr_nonnull(uses->all);
    for (size_t i = 0; i < h->count; i++) {
        const operation *o = &h->operations[i];
        for (uint32_t k = 0; k < o->step_count; k++)
            if (wanted(o, &o->steps[k]))
                uses->all[uses->count++] =
                    (slot_use){key_of(&o->steps[k], o->owner), o, &o->steps[k]};
    }
    qsort(uses->all, uses->count, sizeof *uses->all, by_key_and_begin);
}

/* The first use of that key that begins at `begin` or later, or where it would stand. */
static size_t first_use(const slot_uses *uses, uint64_t key, uint64_t begin) {
    size_t low = 0, high = uses->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const slot_use *u = &uses->all[middle];
        if (u->key < key || (u->key == key && u->of->begin < begin))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t unknown_resolved_at(const lease_table *t, const operation *o, const step *claim) {
    uint64_t key = key_of(claim, o->owner);
    size_t at = first_use(&t->told, key, o->begin + 1);
    return at < t->told.count && t->told.all[at].key == key ? t->told.all[at].of->end : NEVER;
}

/* The unknown operation that made a lease which nobody was told of: the first that no later answer
 * about the same slot had ruled out when the lease was first seen. */
static const operation *maker_of(const lease_table *t, const judged_lease *l) {
    step s = {.pool = l->pool, .slot = l->slot};
    uint64_t key = key_of(&s, l->owner), not_before = 0;
    for (size_t i = first_use(&t->told, key, l->seen_first_end); i-- > 0;) {
        const slot_use *u = &t->told.all[i];
        if (u->key != key)
            break;
        if (u->step->generation != l->generation && u->of->end < l->seen_first_begin) {
            not_before = u->of->begin;
            break;
        }
    }
    for (size_t i = first_use(&t->unknown, key, not_before); i < t->unknown.count; i++) {
        const slot_use *u = &t->unknown.all[i];
        if (u->key != key || u->of->begin > l->seen_first_end)
            break;
        if (u->step->generation == 0 &&
            (u->step->number == NUMBER_UNKNOWN || u->step->number == l->number))
            return u->of;
    }
    return NULL;
}

static bool find_makers(lease_table *t, judgement *j) {
    char text[256];
    for (size_t i = 0; i < t->count; i++) {
        judged_lease *l = &t->all[i];
        j->unknown_happened += !l->claimed && l->seen;
        if (l->claim_begin != NEVER)
            continue;
        const operation *maker = maker_of(t, l);
        if (maker == NULL)
            return wrong(j, "it is held, and nobody asked for it: %s", describe_lease(l, text));
        l->claim_begin = maker->begin;
    }
    return true;
}

/* ---- sights ---- */

static bool take_sight(lease_table *t, const step *s, uint64_t begin, uint64_t end, judgement *j) {
    char text[256];
    judged_lease *l = find(t, s->generation);
    if (l == NULL)
        l = add(t, s, s->owner);
    if (!same_lease(l, s, s->owner))
        return wrong(j, "seen as number %u of owner %u slot %u: %s", s->number, s->owner, s->slot,
                     describe_lease(l, text));
    l->seen = true;
    if (end < l->seen_first_end) {
        l->seen_first_end = end;
        l->seen_first_begin = begin;
    }
    if (begin > l->seen_last_begin)
        l->seen_last_begin = begin;
    return true;
}

/* ---- releases ---- */

static void take_release(lease_table *t, const operation *o, const step *s) {
    judged_lease *l = find(t, s->generation);
    if (l == NULL || l->owner != o->owner)
        return; /* of what is free already: nothing happens */
    if (o->begin < l->release_begin)
        l->release_begin = o->begin;
    if (o->outcome == OUTCOME_OK && o->end < l->release_end)
        l->release_end = o->end;
    l->released |= o->outcome == OUTCOME_OK;
}

/* ---- all ---- */

/* Was it told to be so, or may it have happened? */
static bool counts(const operation *o, const step *s) {
    switch (s->kind) {
    case STEP_CLAIM:
    case STEP_RELEASE:
        return o->outcome == OUTCOME_OK || o->outcome == OUTCOME_UNKNOWN;
    default:
        return o->outcome == OUTCOME_OK || o->outcome == OUTCOME_REFUSED;
    }
}

typedef bool (*take)(lease_table *t, const operation *o, const step *s, judgement *j);

static bool for_each_step(lease_table *t, const judged_history *h, step_kind kind, take take_one,
                          judgement *j) {
    for (size_t i = 0; i < h->count; i++) {
        const operation *o = &h->operations[i];
        for (uint32_t k = 0; k < o->step_count; k++) {
            const step *s = &o->steps[k];
            if (s->kind == kind && counts(o, s) && !take_one(t, o, s, j))
                return false;
        }
    }
    return true;
}

static bool one_claim(lease_table *t, const operation *o, const step *s, judgement *j) {
    return s->generation == 0 || take_claim(t, o, s, j);
}

static bool one_sight(lease_table *t, const operation *o, const step *s, judgement *j) {
    return take_sight(t, s, o->begin, o->end, j);
}

static bool one_release(lease_table *t, const operation *o, const step *s, judgement *j) {
    (void)j;
    take_release(t, o, s);
    return true;
}

bool leases_collect(lease_table *t, const judged_history *h, judgement *j) {
    index_uses(&t->told, h, tells);
    index_uses(&t->unknown, h, is_unknown_claim);
    for (size_t i = 0; i < h->count; i++)
        j->unknown += h->operations[i].outcome == OUTCOME_UNKNOWN;
    if (!for_each_step(t, h, STEP_CLAIM, one_claim, j) ||
        !for_each_step(t, h, STEP_SEE, one_sight, j))
        return false;
    for (size_t i = 0; i < h->final_count; i++)
        if (!take_sight(t, &h->final[i], h->final_at, h->final_at, j))
            return false;
    for_each_step(t, h, STEP_RELEASE, one_release, j);
    return find_makers(t, j);
}
