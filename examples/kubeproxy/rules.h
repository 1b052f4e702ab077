/*
 * rules.h: a ruleset as a set of things with names: chains with their rules, elements of maps and
 * sets, sets of a Service's own. What several Services want alike (an endpoint's element) is there
 * once; what two want differently is the first one's. Two rulesets that one and the same set of
 * Services makes are equal, so a change of one Service is the difference of what it wanted and
 * wants.
 */
#ifndef KUBEPROXY_RULES_H
#define KUBEPROXY_RULES_H

#include "text.h"

enum rule_kind { RULE_SET, RULE_CHAIN, RULE_ELEMENT };

/* One thing. `place`: of an element its map or set; else "". */
struct rule {
    struct rule *next; /* in its piece, or its bucket */
    enum rule_kind kind;
    int family;
    char *place, *key, *value; /* a chain's value: its rules, a line each */
    size_t wanted;             /* how many pieces want it, in a ruleset */
    int change;                /* while a transaction is made: see rules.c */
    char *before;              /* what it was at its begin; NULL: it was not there */
};

/* What one Service wants. */
struct piece {
    struct rule *rules;
};

void piece_add(struct piece *piece, enum rule_kind kind, int family, const char *place,
               const char *key, const char *value);
void piece_clear(struct piece *piece);

struct ruleset {
    struct rule **buckets;
    size_t bucket_count, count;
    struct rule **changed; /* since the last transaction */
    size_t changed_count, changed_capacity;
};

/* Want it too. False where somebody wants something else of that name: then it is not taken. */
bool ruleset_want(struct ruleset *set, const struct rule *rule);

/* Want it no more; it must have been taken. */
void ruleset_drop(struct ruleset *set, const struct rule *rule);

/* Does somebody want something (not an element) of that name? */
bool ruleset_names(const struct ruleset *set, enum rule_kind kind, int family, const char *key);

/* How many of a kind are wanted. */
size_t ruleset_counts(const struct ruleset *set, enum rule_kind kind, int family);

void ruleset_clear(struct ruleset *set);

/* What changed since the last ruleset_settle; or everything there is, in no order of importance. */
void ruleset_each_changed(struct ruleset *set, void (*visit)(void *context, struct rule *rule),
                          void *context);
void ruleset_each(struct ruleset *set, void (*visit)(void *context, struct rule *rule),
                  void *context);

/* The changes are in the kernel. */
void ruleset_settle(struct ruleset *set);

#endif
