/*
 * test_rules.c: kube-proxy's ruleset, changed step by step by random changes of Services and
 * endpoints, is the same as one that is made from nothing; and the kernel takes every step.
 *
 * The kernel's part runs in a network namespace of this process' own, and is left out where that
 * cannot be had (not root).
 */
#include "kernel.h"
#include "nft_rules.h"
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICES = 12, STEPS = 120 };

static uint64_t seed;
static struct proxy_options options = {
    .node = "n1", .cluster_cidr_count = 2, .cluster_cidrs = {"10.20.0.0/16", "fd20::/16"}};

static unsigned below(unsigned most) {
    return (unsigned)(test_random(&seed) % most);
}

/* --- random objects --------------------------------------------------------------------------- */

static struct json_object *parse(struct text *text) {
    struct text problem = {0};
    for (size_t i = 0; i < text->size; i++) {
        text->data[i] = text->data[i] == '\'' ? '"' : text->data[i];
    }
    struct json_object *value = json_parse(text->data, text->size, &problem);
    ck_assert_msg(value != NULL, "%s: %s", problem.data, text->data);
    text_clear(text);
    return value;
}

static struct json_object *random_service(unsigned number) {
    static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer"};
    static const char *const protocols[] = {"TCP", "UDP", "SCTP"};
    static const char *const policies[] = {"Cluster", "Local"};
    struct text text = {0};
    unsigned type = below(3);
    text_format(&text,
                "{'metadata':{'namespace':'ns','name':'s%u'},'spec':{'type':'%s','clusterIP':"
                "'10.96.0.%u','clusterIPs':['10.96.0.%u'%s%u'],'internalTrafficPolicy':'%s',"
                "'externalTrafficPolicy':'%s','sessionAffinity':'%s','sessionAffinityConfig':{"
                "'clientIP':{'timeoutSeconds':%u}},%s'ports':[",
                number, types[type], number + 1, number + 1,
                below(2) != 0 ? ",'fd10::" : "],'x':['", number + 1, policies[below(4) == 0],
                policies[below(3) == 0], below(3) == 0 ? "ClientIP" : "None", 10 + below(2),
                below(3) == 0 ? "'loadBalancerSourceRanges':['10.0.0.0/8','fd30::/64']," : "");
    unsigned ports = 1 + below(2);
    for (unsigned i = 0; i < ports; i++) {
        text_format(&text, "%s{'name':'p%u','protocol':'%s','port':%u", i > 0 ? "," : "", i,
                    protocols[below(3)], 80 + i);
        text_format(&text, type > 0 ? ",'nodePort':%u}" : "}", 30000 + 2 * number + i);
    }
    text_add(&text, "]");
    if (below(4) == 0) { /* two may want the same */
        text_format(&text, ",'externalIPs':['203.0.113.%u','2001:db8::%u']", below(3), below(3));
    }
    text_add(&text, "}");
    if (type == 2) {
        text_format(&text, ",'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.%u'}]}}", number);
    }
    text_add(&text, "}");
    return parse(&text);
}

static struct json_object *random_slice(int family) {
    struct text text = {0};
    unsigned count = below(3) == 0 ? 0 : below(12);
    text_format(&text,
                "{'addressType':'IPv%d','ports':[{'name':'p0','protocol':'%s','port':8080},{'name':"
                "'p1','protocol':'TCP','port':8081},{'name':'p0','protocol':'TCP','port':8080}],"
                "'endpoints':[",
                family, below(2) != 0 ? "UDP" : "SCTP");
    for (unsigned i = 0; i < count; i++) {
        bool ready = below(4) != 0;
        text_format(&text,
                    family == 4 ? "%s{'addresses':['10.20.0.%u']" : "%s{'addresses':['fd20::%u']",
                    i > 0 ? "," : "", 1 + below(20));
        text_format(&text,
                    ",'nodeName':'n%u','conditions':{'ready':%s,'serving':true,'terminating':%s}}",
                    1 + below(2), ready ? "true" : "false", ready ? "false" : "true");
    }
    text_add(&text, "]}");
    return parse(&text);
}

/* --- a ruleset of some Services ------------------------------------------------------------------
 */

struct wanted {
    struct piece taken;
    struct json_object *service, *slices[2]; /* NULL: there is none */
};

static struct wanted services[SERVICES];

static void add_targets(struct piece *piece, unsigned number) {
    char name[16];
    snprintf(name, sizeof name, "ns/s%u", number);
    if (services[number].service != NULL) {
        struct target *targets =
            targets_make(name, services[number].service, services[number].slices, 2, options.node);
        for (struct target *at = targets; at != NULL; at = at->next) {
            nft_add_target(piece, at, &options);
        }
        targets_free(targets);
    }
}

/* As proxy.c exchanges what a Service wants. */
static void settle(struct ruleset *set, unsigned number) {
    struct piece fresh = {0};
    struct piece taken = {0};
    struct piece refused = {0};
    add_targets(&fresh, number);
    for (struct rule *rule = services[number].taken.rules; rule != NULL; rule = rule->next) {
        ruleset_drop(set, rule);
    }
    while (fresh.rules != NULL) {
        struct rule *rule = fresh.rules;
        fresh.rules = rule->next;
        struct piece *to = ruleset_want(set, rule) ? &taken : &refused;
        rule->next = to->rules;
        to->rules = rule;
    }
    piece_clear(&services[number].taken);
    piece_clear(&refused);
    services[number].taken = taken;
}

static void change(unsigned number) {
    json_object_put(services[number].service);
    services[number].service = below(6) == 0 ? NULL : random_service(number);
    for (int i = 0; i < 2; i++) {
        json_object_put(services[number].slices[i]);
        services[number].slices[i] = random_slice(i == 0 ? 4 : 6);
    }
}

/* --- comparing -------------------------------------------------------------------------------- */

static void add_rule_line(void *context, struct rule *rule) {
    if (rule->wanted > 0) {
        text_format(context, "%d %d %s %s %s|", (int)rule->kind, rule->family, rule->place,
                    rule->key, rule->value);
        text_add(context, "\1");
    }
}

static int compare_lines(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* All of it, in order; the caller frees it. */
static char *sorted(struct ruleset *set) {
    struct text all = {0};
    struct text out = {0};
    size_t count = 0;
    static char *lines[20000];
    ruleset_each(set, add_rule_line, &all);
    char *rest = all.data;
    for (char *line; rest != NULL && (line = strsep(&rest, "\1")) != NULL;) {
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) {
        text_format(&out, "%s\n", lines[i]);
    }
    text_clear(&all);
    return out.data != NULL ? out.data : memory_copy("");
}

/* From nothing, in the order of who has what: whoever took something first has it here too. */
static void expect_as_from_nothing(struct ruleset *set) {
    struct ruleset fresh = {0};
    for (unsigned i = 0; i < SERVICES; i++) {
        for (struct rule *rule = services[i].taken.rules; rule != NULL; rule = rule->next) {
            ck_assert(ruleset_want(&fresh, rule));
        }
    }
    char *stepwise = sorted(set);
    char *whole = sorted(&fresh);
    ck_assert_str_eq(stepwise, whole);
    free(stepwise);
    free(whole);
    ruleset_clear(&fresh);
}

static void clear_all(struct ruleset *set) {
    for (unsigned i = 0; i < SERVICES; i++) {
        piece_clear(&services[i].taken);
        json_object_put(services[i].service);
        json_object_put(services[i].slices[0]);
        json_object_put(services[i].slices[1]);
        services[i] = (struct wanted){0};
    }
    ruleset_clear(set);
}

/* Everything in the kernel, word by word of lists and line by line of rules, in order; the caller
 * frees it. */
static char *sorted_kernel(void) {
    struct text all = {0};
    struct text out = {0};
    static char *lines[60000];
    size_t count = 0;
    char bytes[4096];
    size_t got;
    FILE *nft = popen("nft list ruleset", "re");
    ck_assert_ptr_nonnull(nft);
    while ((got = fread(bytes, 1, sizeof bytes, nft)) > 0) {
        text_append(&all, bytes, got);
    }
    ck_assert_int_eq(pclose(nft), 0);
    for (char *rest = all.data, *line; rest != NULL && (line = strsep(&rest, "\n,{}")) != NULL;) {
        line += strspn(line, " \t");
        line += strncmp(line, "elements = ", 11) == 0 ? 11 : 0;
        line[strcspn(line, "\t")] = '\0';
        for (size_t length = strlen(line); length > 0 && line[length - 1] == ' ';) {
            line[--length] = '\0';
        }
        if (line[0] != '\0') {
            lines[count++] = line;
        }
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) {
        text_format(&out, "%s\n", lines[i]);
    }
    text_clear(&all);
    return out.data != NULL ? out.data : memory_copy("");
}

static void must_run(struct kernel *kernel, const char *commands) {
    struct text problem = {0};
    bool well = kernel_run(kernel, commands, &problem);
    ck_assert_msg(well, "%s in:\n%.3000s", problem.data, commands);
    text_clear(&problem);
}

START_TEST(changes_step_by_step_come_to_the_same_as_all_at_once) {
    struct ruleset set = {0};
    struct text commands = {0};
    struct text problem = {0};
    seed = test_seed() + (uint64_t)_i;
    options.hash = _i % 2 == 1;
    struct kernel *kernel = unshare(CLONE_NEWNET) == 0 ? kernel_open(&problem) : NULL;
    if (kernel == NULL) {
        fprintf(stderr, "without the kernel: no network namespace of our own\n");
    }
    nft_add_whole(&commands, &set, &options);
    if (kernel != NULL) {
        must_run(kernel, commands.data);
    }
    for (int step = 0; step < STEPS; step++) {
        for (unsigned i = 1 + below(3); i > 0; i--) {
            unsigned number = below(SERVICES);
            change(number);
            settle(&set, number);
        }
        commands.size = 0;
        text_add(&commands, "");
        nft_add_changes(&commands, &set);
        if (kernel != NULL && commands.size > 0) {
            must_run(kernel, commands.data);
        }
        ruleset_settle(&set);
        expect_as_from_nothing(&set);
    }
    commands.size = 0;
    nft_add_whole(&commands, &set, &options); /* in place of what the steps came to */
    if (kernel != NULL) {
        char *stepwise = sorted_kernel();
        must_run(kernel, commands.data);
        char *whole = sorted_kernel();
        ck_assert_str_eq(stepwise, whole);
        ck_assert_uint_gt(strlen(whole), 1000);
        ck_assert(kernel_has_ours(kernel));
        free(stepwise);
        free(whole);
    }
    kernel_close(kernel);
    text_clear(&commands);
    text_clear(&problem);
    clear_all(&set);
}
END_TEST

START_TEST(what_two_want_is_the_first_one_s_until_it_gives_it_up) {
    struct ruleset set = {0};
    struct piece one = {0};
    struct piece other = {0};
    piece_add(&one, RULE_ELEMENT, 4, "vips", "203.0.113.1 . tcp . 80", "goto one");
    piece_add(&one, RULE_ELEMENT, 4, "hairpins", "10.0.0.1 . 10.0.0.1", "");
    piece_add(&other, RULE_ELEMENT, 4, "vips", "203.0.113.1 . tcp . 80", "goto other");
    piece_add(&other, RULE_ELEMENT, 4, "hairpins", "10.0.0.1 . 10.0.0.1", "");
    for (struct rule *rule = one.rules; rule != NULL; rule = rule->next) {
        ck_assert(ruleset_want(&set, rule));
    }
    size_t taken = 0;
    for (struct rule *rule = other.rules; rule != NULL; rule = rule->next) {
        taken += ruleset_want(&set, rule);
    }
    ck_assert_uint_eq(taken, 1); /* what both want alike */
    ruleset_settle(&set);
    for (struct rule *rule = one.rules; rule != NULL; rule = rule->next) {
        ruleset_drop(&set, rule);
    }
    struct text commands = {0};
    nft_add_changes(&commands, &set);
    ck_assert_ptr_nonnull(strstr(commands.data, "delete element ip ipalloc-kubeproxy vips"));
    ck_assert_ptr_null(strstr(commands.data, "hairpins")); /* the other one has it still */
    ruleset_settle(&set);
    text_clear(&commands);
    piece_clear(&one);
    piece_clear(&other);
    ruleset_clear(&set);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kube-proxy's rules");
    TCase *tests = tcase_create("rules");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, changes_step_by_step_come_to_the_same_as_all_at_once, 0, 4);
    tcase_add_test(tests, what_two_want_is_the_first_one_s_until_it_gives_it_up);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
