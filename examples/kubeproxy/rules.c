/* rules.c: see rules.h. A hash table; the changed ones are listed aside, and stay in the table
 * until the transaction with them is over, also if nobody wants them any more. */
#include "rules.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 256

/* --- pieces ----------------------------------------------------------------------------------- */

static struct rule *rule_new(enum rule_kind kind, int family, const char *place, const char *key,
                             const char *value) {
    struct rule *rule = memory_allocate(sizeof *rule);
    rule->kind = kind;
    rule->family = family;
    rule->place = memory_copy(place);
    rule->key = memory_copy(key);
    rule->value = memory_copy(value);
    return rule;
}

static void rule_free(struct rule *rule) {
    free(rule->place);
    free(rule->key);
    free(rule->value);
    free(rule->before);
    free(rule);
}

void piece_add(struct piece *piece, enum rule_kind kind, int family, const char *place,
               const char *key, const char *value) {
    for (struct rule *at = piece->rules; at != NULL; at = at->next) {
        if (at->kind == kind && at->family == family && strcmp(at->place, place) == 0 &&
            strcmp(at->key, key) == 0) {
            return;
        }
    }
    struct rule *rule = rule_new(kind, family, place, key, value);
    rule->next = piece->rules;
    piece->rules = rule;
}

void piece_clear(struct piece *piece) {
    while (piece->rules != NULL) {
        struct rule *rule = piece->rules;
        piece->rules = rule->next;
        rule_free(rule);
    }
}

/* --- the table -------------------------------------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, const char *text) { /* FNV-1a */
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static size_t bucket_of(const struct ruleset *set, const struct rule *rule) {
    uint64_t hash =
        UINT64_C(0xcbf29ce484222325) ^ ((uint64_t)rule->kind * 16 + (uint64_t)rule->family);
    return (size_t)(hash_text(hash_text(hash, rule->place), rule->key) % set->bucket_count);
}

static bool same_name(const struct rule *one, const struct rule *other) {
    return one->kind == other->kind && one->family == other->family &&
           strcmp(one->key, other->key) == 0 && strcmp(one->place, other->place) == 0;
}

static struct rule **place_of(const struct ruleset *set, const struct rule *rule) {
    struct rule **at = &set->buckets[bucket_of(set, rule)];
    while (*at != NULL && !same_name(*at, rule)) {
        at = &(*at)->next;
    }
    return at;
}

static struct rule *find(const struct ruleset *set, const struct rule *rule) {
    return set->bucket_count > 0 ? *place_of(set, rule) : NULL;
}

static void grow(struct ruleset *set) {
    struct ruleset larger = *set;
    larger.bucket_count = set->bucket_count > 0 ? 2 * set->bucket_count : BUCKETS_FIRST;
    larger.buckets = memory_allocate(larger.bucket_count * sizeof *larger.buckets);
    for (size_t i = 0; i < set->bucket_count; i++) {
        while (set->buckets[i] != NULL) {
            struct rule *rule = set->buckets[i];
            set->buckets[i] = rule->next;
            struct rule **at = &larger.buckets[bucket_of(&larger, rule)];
            rule->next = *at;
            *at = rule;
        }
    }
    free(set->buckets);
    *set = larger;
}

/* Remember what it was before the first change. */
static void note_change(struct ruleset *set, struct rule *rule, bool there) {
    if (rule->change != 0) {
        return;
    }
    rule->change = 1;
    rule->before = there ? memory_copy(rule->value) : NULL;
    if (set->changed_count == set->changed_capacity) {
        set->changed_capacity = set->changed_capacity > 0 ? 2 * set->changed_capacity : 64;
        set->changed = memory_resize(set->changed, set->changed_capacity * sizeof *set->changed);
    }
    set->changed[set->changed_count++] = rule;
}

bool ruleset_want(struct ruleset *set, const struct rule *rule) {
    struct rule *present = find(set, rule);
    if (present != NULL && present->wanted > 0) {
        bool same = strcmp(present->value, rule->value) == 0;
        present->wanted += same;
        return same;
    }
    if (present == NULL) {
        if (set->count >= set->bucket_count) {
            grow(set);
        }
        present = rule_new(rule->kind, rule->family, rule->place, rule->key, rule->value);
        *place_of(set, present) = present;
        set->count++;
        note_change(set, present, false);
    } else {
        note_change(set, present, true);
        free(present->value);
        present->value = memory_copy(rule->value);
    }
    present->wanted = 1;
    return true;
}

void ruleset_drop(struct ruleset *set, const struct rule *rule) {
    struct rule *present = find(set, rule);
    if (present != NULL && present->wanted > 0 && --present->wanted == 0) {
        note_change(set, present, true);
    }
}

bool ruleset_names(const struct ruleset *set, enum rule_kind kind, int family, const char *key) {
    char nowhere[] = "";
    struct rule name = {
        .kind = kind, .family = family, .place = nowhere, .key = (char *)(uintptr_t)key};
    const struct rule *present = find(set, &name);
    return present != NULL && present->wanted > 0;
}

size_t ruleset_counts(const struct ruleset *set, enum rule_kind kind, int family) {
    size_t count = 0;
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (const struct rule *rule = set->buckets[i]; rule != NULL; rule = rule->next) {
            count += rule->kind == kind && rule->family == family && rule->wanted > 0;
        }
    }
    return count;
}

static void remove_rule(struct ruleset *set, struct rule *rule) {
    struct rule **at = place_of(set, rule);
    *at = rule->next;
    set->count--;
    rule_free(rule);
}

void ruleset_settle(struct ruleset *set) {
    for (size_t i = 0; i < set->changed_count; i++) {
        struct rule *rule = set->changed[i];
        rule->change = 0;
        free(rule->before);
        rule->before = NULL;
        if (rule->wanted == 0) {
            remove_rule(set, rule);
        }
    }
    set->changed_count = 0;
}

void ruleset_clear(struct ruleset *set) {
    for (size_t i = 0; i < set->bucket_count; i++) {
        while (set->buckets[i] != NULL) {
            struct rule *rule = set->buckets[i];
            set->buckets[i] = rule->next;
            rule_free(rule);
        }
    }
    free(set->buckets);
    free(set->changed);
    *set = (struct ruleset){0};
}

void ruleset_each_changed(struct ruleset *set, void (*visit)(void *context, struct rule *rule),
                          void *context) {
    for (size_t i = 0; i < set->changed_count; i++) {
        visit(context, set->changed[i]);
    }
}

void ruleset_each(struct ruleset *set, void (*visit)(void *context, struct rule *rule),
                  void *context) {
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (struct rule *rule = set->buckets[i]; rule != NULL; rule = rule->next) {
            visit(context, rule);
        }
    }
}
