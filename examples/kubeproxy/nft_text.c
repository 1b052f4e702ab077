/*
 * nft_text.c: rulesets and their changes as nft's transactions; see nft_rules.h.
 *
 * The order within a transaction: what is referred to before what refers to it. New sets, new
 * chains, the rules of chains, elements that go and those that come, then the end of chains and of
 * sets.
 */
#include "nft_rules.h"

#include <string.h>

static const char *ip_word(int family) {
    return family == 4 ? "ip" : "ip6";
}

static bool was_there(const struct rule *rule) {
    return rule->before != NULL;
}

static bool is_there(const struct rule *rule) {
    return rule->wanted > 0;
}

/* Does it come, or become another? */
static bool comes(const struct rule *rule) {
    return is_there(rule) && (!was_there(rule) || strcmp(rule->before, rule->value) != 0);
}

static bool goes(const struct rule *rule) {
    return was_there(rule) && (!is_there(rule) || strcmp(rule->before, rule->value) != 0);
}

static void name_it(struct text *out, const char *verb, const char *what, const struct rule *rule,
                    const char *name) {
    text_format(out, "%s %s %s " NFT_TABLE " %s", verb, what, ip_word(rule->family), name);
}

static void add_rules(struct text *out, const struct rule *chain) {
    for (const char *line = chain->value; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        name_it(out, "add", "rule", chain, chain->key);
        text_format(out, " %.*s\n", (int)size, line);
        line += size + (line[size] == '\n');
    }
}

static void name_element(struct text *out, const char *verb, const struct rule *rule,
                         const char *value) {
    name_it(out, verb, "element", rule, rule->place);
    text_format(out, " { %s%s%s }\n", rule->key, value[0] != '\0' ? " : " : "", value);
}

/* --- changes, a pass for each step ------------------------------------------------------------ */

static void begin_sets(void *context, struct rule *rule) {
    struct text *out = context;
    if (rule->kind == RULE_SET && is_there(rule) && !was_there(rule)) {
        name_it(out, "add", "set", rule, rule->key);
        text_format(out, " { %s }\n", rule->value);
    }
}

static void begin_chains(void *context, struct rule *rule) {
    if (rule->kind == RULE_CHAIN && is_there(rule) && !was_there(rule)) {
        name_it(context, "add", "chain", rule, rule->key);
        text_add(context, "\n");
    }
}

static void fill_chains(void *context, struct rule *rule) {
    if (rule->kind != RULE_CHAIN) {
        return;
    }
    if (goes(rule)) {
        name_it(context, "flush", "chain", rule, rule->key);
        text_add(context, "\n");
    }
    if (comes(rule)) {
        add_rules(context, rule);
    }
}

static void end_elements(void *context, struct rule *rule) {
    if (rule->kind == RULE_ELEMENT && goes(rule)) {
        name_element(context, "delete", rule, rule->before);
    }
}

static void begin_elements(void *context, struct rule *rule) {
    if (rule->kind == RULE_ELEMENT && comes(rule)) {
        name_element(context, "add", rule, rule->value);
    }
}

static void end_chains(void *context, struct rule *rule) {
    if (rule->kind == RULE_CHAIN && was_there(rule) && !is_there(rule)) {
        name_it(context, "delete", "chain", rule, rule->key);
        text_add(context, "\n");
    }
}

static void end_sets(void *context, struct rule *rule) {
    if (rule->kind == RULE_SET && was_there(rule) && !is_there(rule)) {
        name_it(context, "delete", "set", rule, rule->key);
        text_add(context, "\n");
    }
}

void nft_add_changes(struct text *out, struct ruleset *set) {
    static void (*const steps[])(void *, struct rule *) = {
        begin_sets, begin_chains, fill_chains, end_elements, begin_elements, end_chains, end_sets};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        ruleset_each_changed(set, steps[i], out);
    }
}

/* --- all of it -------------------------------------------------------------------------------- */

static void whole_set(void *context, struct rule *rule) {
    if (rule->kind == RULE_SET && is_there(rule)) {
        name_it(context, "add", "set", rule, rule->key);
        text_format(context, " { %s }\n", rule->value);
    }
}

static void whole_chain(void *context, struct rule *rule) {
    if (rule->kind == RULE_CHAIN && is_there(rule)) {
        name_it(context, "add", "chain", rule, rule->key);
        text_add(context, "\n");
    }
}

static void whole_rules(void *context, struct rule *rule) {
    if (rule->kind == RULE_CHAIN && is_there(rule)) {
        add_rules(context, rule);
    }
}

static void whole_element(void *context, struct rule *rule) {
    if (rule->kind == RULE_ELEMENT && is_there(rule)) {
        name_element(context, "add", rule, rule->value);
    }
}

void nft_add_cleanup(struct text *out) {
    for (int family = 4; family <= 6; family += 2) { /* deleting what is not there is refused */
        text_format(out, "table %s " NFT_TABLE "\ndelete table %s " NFT_TABLE "\n", ip_word(family),
                    ip_word(family));
    }
}

void nft_add_whole(struct text *out, struct ruleset *set, const struct proxy_options *options) {
    static void (*const steps[])(void *, struct rule *) = {whole_set, whole_chain, whole_rules,
                                                           whole_element};
    nft_add_cleanup(out);
    nft_add_base(out, options);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        ruleset_each(set, steps[i], out);
    }
}
