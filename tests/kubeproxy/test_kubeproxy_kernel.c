/*
 * Rulesets in the kernel of a network namespace of the test's own: changes one after the other make
 * what a whole programming makes, whatever objects say. Needs root; exit code 77 without.
 */
#include "conntrack.h"
#include "kernel.h"
#include "kubeproxy_world.h"
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct proxy_options plain = {
    .node = "node1", .cluster_cidrs = {"10.20.0.0/16", "fd20::/16"}, .cluster_cidr_count = 2};
static const struct proxy_options hashed = {.node = "", .hash = true};

static struct kernel *open_kernel(void) {
    struct text problem = {0};
    struct kernel *kernel = kernel_open(&problem);
    ck_assert_msg(kernel != NULL, "%s", problem.data);
    return kernel;
}

static void run(struct kernel *kernel, struct text *commands) {
    struct text problem = {0};
    ck_assert_msg(commands->size == 0 || kernel_run(kernel, commands->data, &problem), "%s in:\n%s",
                  problem.data, commands->data);
    text_clear(commands);
}

static char *output_of(const char *command) {
    struct text out = {0};
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    text_add(&out, "");
    char part[4096];
    for (size_t size; (size = fread(part, 1, sizeof part, pipe)) > 0;) {
        text_append(&out, part, size);
    }
    ck_assert_int_eq(pclose(pipe), 0);
    return out.data;
}

/* --- listings that can be compared ------------------------------------------------------------ */

struct words {
    char **items;
    size_t count;
};

static void add_word(struct words *words, char *word) {
    words->items = memory_resize(words->items, (words->count + 1) * sizeof(char *));
    words->items[words->count++] = word;
}

static int compare_words(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static char *join_sorted(struct words *words) {
    struct text out = {0};
    text_add(&out, "");
    if (words->count > 0) {
        qsort(words->items, words->count, sizeof(char *), compare_words);
    }
    for (size_t i = 0; i < words->count; i++) {
        text_format(&out, "%s\n", words->items[i]);
    }
    free(words->items);
    return out.data;
}

/* Elements are in no order, rules are. */
static char *sorted_block(char *block) {
    struct words words = {0};
    if (text_starts_with(block, "\tchain")) {
        return memory_copy(block);
    }
    for (char *rest = block, *word; (word = strsep(&rest, ",\n{}")) != NULL;) {
        word += strspn(word, " \t");
        if (*word != '\0') {
            add_word(&words, word);
        }
    }
    return join_sorted(&words);
}

static char *listing(void) {
    char *listed = output_of("nft list table ip ipalloc-kubeproxy; nft list table ip6 "
                             "ipalloc-kubeproxy");
    struct words blocks = {0};
    int family = 0;
    for (char *at = listed; at != NULL && *at != '\0';) {
        if (text_starts_with(at, "table")) {
            family += 1;
        }
        char *end = text_starts_with(at, "\tchain") || text_starts_with(at, "\tset") ||
                            text_starts_with(at, "\tmap")
                        ? strstr(at, "\n\t}")
                        : NULL;
        if (end != NULL) {
            *end = '\0';
            char *sorted = sorted_block(at);
            struct text block = {0};
            text_format(&block, "%d %s", family, sorted);
            free(sorted);
            add_word(&blocks, block.data);
            at = end + 1;
        }
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    ck_assert_uint_gt(blocks.count, 10);
    struct words copy = {memory_allocate(blocks.count * sizeof(char *)), blocks.count};
    memcpy(copy.items, blocks.items, blocks.count * sizeof(char *));
    char *whole = join_sorted(&copy);
    for (size_t i = 0; i < blocks.count; i++) {
        free(blocks.items[i]);
    }
    free(blocks.items);
    free(listed);
    return whole;
}

/* --- random worlds, hostile ones among them ----------------------------------------------------
 */

struct dice {
    uint64_t state;
};

static size_t draw(struct dice *dice, size_t below) {
    return (size_t)(test_random(&dice->state) % below);
}

static const char *one_of(struct dice *dice, const char *const *texts, size_t count) {
    return texts[draw(dice, count)];
}
#define ONE_OF(dice, texts) one_of(dice, texts, sizeof(texts) / sizeof *(texts))

static const char *const names[] = {
    "a",
    "b",
    "c",
    "d-d",
    "e.e",
    "long-long-long-long-long-long-long-long-long-long-long-long-001",
    "long-long-long-long-long-long-long-long-long-long-long-long-002"};
static const char *const addresses[] = {"10.96.0.1", "10.96.0.2", "10.96.0.3",  "10.96.0.4",
                                        "fd96::1",   "fd96::2",   "fd96::3",    "::ffff:10.96.0.1",
                                        "0.0.0.0",   "224.0.0.1", "not-at-all", "10.20.0.1"};
static const char *const protocols[] = {"TCP", "UDP", "SCTP"};
static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"};
static const char *const policies[] = {"Cluster", "Local"};
static const char *const affinities[] = {"None", "ClientIP"};
static const char *const ranges[] = {"10.0.0.0/8", "0.0.0.0/0", "fd00::/8", " 10.1.0.0/16 ", "?"};
static const int port_numbers[] = {80, 80, 81, 443, 0, -1, 65535, 65536, 1};
static const char *const yes_no[] = {"true", "false", "null"};

static void add_list(struct dice *dice, struct text *out, const char *name,
                     const char *const *texts, size_t count) {
    text_format(out, ",'%s':[", name);
    for (size_t i = 0, most = draw(dice, 4); i < most; i++) {
        text_format(out, "%s'%s'", i > 0 ? "," : "", one_of(dice, texts, count));
    }
    text_add(out, "]");
}

static int port_number(struct dice *dice) {
    return port_numbers[draw(dice, sizeof port_numbers / sizeof *port_numbers)];
}

static void put_service(struct proxy *proxy, struct dice *dice, const char *name) {
    struct text spec = {0};
    text_format(&spec, "'spec':{'type':'%s','sessionAffinity':'%s','internalTrafficPolicy':'%s'",
                ONE_OF(dice, types), ONE_OF(dice, affinities), ONE_OF(dice, policies));
    text_format(&spec, ",'externalTrafficPolicy':'%s'", ONE_OF(dice, policies));
    add_list(dice, &spec, "clusterIPs", addresses, LENGTH(addresses));
    add_list(dice, &spec, "externalIPs", addresses, LENGTH(addresses));
    if (draw(dice, 3) == 0) {
        add_list(dice, &spec, "loadBalancerSourceRanges", ranges, LENGTH(ranges));
    }
    text_add(&spec, ",'ports':[");
    for (size_t i = 0, most = draw(dice, 4); i < most; i++) {
        text_format(&spec, "%s{'name':'p%zu','protocol':'%s','port':%d,'nodePort':%d}",
                    i > 0 ? "," : "", draw(dice, 2), ONE_OF(dice, protocols), port_number(dice),
                    port_number(dice));
    }
    text_format(&spec, "]},'status':{'loadBalancer':{'ingress':[{'ip':'%s','ipMode':'%s'}]}}",
                ONE_OF(dice, addresses), draw(dice, 3) == 0 ? "Proxy" : "VIP");
    world_put_service(proxy, name, "%s", spec.data);
    text_clear(&spec);
}

static void put_slice(struct proxy *proxy, struct dice *dice, const char *name) {
    char slice[100];
    struct text fields = {0};
    bool four = draw(dice, 2) == 0;
    snprintf(slice, sizeof slice, "%s-%zu", name, draw(dice, 2));
    text_format(&fields, "'addressType':'%s','ports':[", four ? "IPv4" : "IPv6");
    for (size_t i = 0; i < 3; i++) {
        text_format(&fields, "%s{'name':'p%zu','protocol':'%s','port':%d}", i > 0 ? "," : "",
                    draw(dice, 2), protocols[i], port_number(dice));
    }
    text_add(&fields, "],'endpoints':[");
    for (size_t i = 0, most = draw(dice, draw(dice, 8) == 0 ? 300 : 6); i < most; i++) {
        text_format(&fields, "%s{'addresses':['", i > 0 ? "," : "");
        text_format(&fields, four == (draw(dice, 20) != 0) ? "10.20.%zu.%zu" : "fd20::%zu:%zu",
                    draw(dice, 2), 1 + draw(dice, most > 10 ? 250 : 4));
        text_format(&fields,
                    "'],'nodeName':'node%zu','conditions':{'ready':%s,'serving':%s,"
                    "'terminating':%s}}",
                    1 + draw(dice, 2), ONE_OF(dice, yes_no), ONE_OF(dice, yes_no),
                    ONE_OF(dice, yes_no));
    }
    text_add(&fields, "]");
    world_put_slice(proxy, slice, name, "%s", fields.data);
    text_clear(&fields);
}

static void change_world(struct proxy *proxy, struct dice *dice) {
    char slice[100];
    const char *name = ONE_OF(dice, names);
    snprintf(slice, sizeof slice, "%s-%zu", name, draw(dice, 2));
    switch (draw(dice, 8)) {
    case 0:
        world_remove_service(proxy, name);
        break;
    case 1:
        world_remove_slice(proxy, slice);
        break;
    case 2:
    case 3:
    case 4:
        put_service(proxy, dice, name);
        break;
    default:
        put_slice(proxy, dice, name);
    }
}

static void change_rules(struct kernel *kernel, struct proxy *proxy) {
    struct text commands = {0};
    proxy_settle(proxy);
    nft_add_changes(&commands, &proxy->rules);
    run(kernel, &commands);
    ruleset_settle(&proxy->rules);
    string_map_clear(&proxy->stale, free);
}

static void program_whole(struct kernel *kernel, struct proxy *proxy) {
    struct text commands = {0};
    nft_add_whole(&commands, &proxy->rules, proxy->options);
    run(kernel, &commands);
}

START_TEST(changes_one_by_one_make_what_a_whole_programming_makes) {
    const struct proxy_options *options = _i == 0 ? &plain : &hashed;
    struct kernel *kernel = open_kernel();
    struct dice dice = {test_seed() + (uint64_t)_i};
    struct proxy proxy;
    world_begin(&proxy, options);
    program_whole(kernel, &proxy);
    for (uint64_t i = 0; i < test_scaled(25); i++) {
        for (size_t j = 0; j < 12; j++) {
            for (size_t k = 0, most = 1 + draw(&dice, 3); k < most; k++) {
                change_world(&proxy, &dice);
            }
            change_rules(kernel, &proxy);
        }
        char *changed = listing();
        program_whole(kernel, &proxy);
        char *whole = listing();
        ck_assert_msg(strcmp(changed, whole) == 0, "--- by changes:\n%s\n--- whole:\n%s", changed,
                      whole);
        free(changed);
        free(whole);
    }
    for (size_t i = 0; i < LENGTH(names); i++) {
        world_remove_service(&proxy, names[i]);
    }
    change_rules(kernel, &proxy);
    ck_assert_uint_eq(proxy.rules.count, 0);
    world_end(&proxy);
    kernel_close(kernel);
}
END_TEST

START_TEST(a_line_that_is_refused_is_left_out_and_the_rest_programmed) {
    struct kernel *kernel = open_kernel();
    struct text problem = {0};
    char commands[] = "table ip other {\n}\nadd chain ip other one\nadd rule ip other one goto "
                      "nowhere\nadd rule ip other one accept\n";
    char hopeless[] = "add chain ip absent one\n";
    ck_assert_msg(kernel_run_most(kernel, commands, &problem), "%s", problem.data);
    char *listed = output_of("nft list table ip other");
    ck_assert_ptr_nonnull(strstr(listed, "accept"));
    ck_assert_ptr_null(strstr(listed, "nowhere"));
    ck_assert(!kernel_run_most(kernel, hopeless, &problem));
    ck_assert_msg(strstr(problem.data, "No such file") != NULL, "%s", problem.data);
    free(listed);
    text_clear(&problem);
    kernel_close(kernel);
}
END_TEST

static void put_sticky(struct proxy *proxy) {
    world_put_service(proxy, "sticky",
                      "'spec':{'sessionAffinity':'ClientIP','clusterIPs':['10.96.0.1'],'ports':[{"
                      "'protocol':'TCP','port':80}]}");
    world_put_slice(proxy, "sticky-1", "sticky",
                    "'addressType':'IPv4','ports':[{'protocol':'TCP','port':8080}],'endpoints':[{"
                    "'addresses':['10.20.0.1']},{'addresses':['10.20.0.2']}]");
}

START_TEST(bound_clients_survive_a_whole_programming) {
    struct kernel *kernel = open_kernel();
    struct proxy proxy;
    struct text commands = {0};
    world_begin(&proxy, &plain);
    put_sticky(&proxy);
    proxy_settle(&proxy);
    program_whole(kernel, &proxy);
    ruleset_settle(&proxy.rules);
    free(
        output_of("set -e; n=0; for set in $(nft list table ip ipalloc-kubeproxy | awk '$1 == "
                  "\"set\" && $2 ~ /^clients/ {print $2}'); do n=$((n + 1)); for i in 1 2 3 4 5 6 "
                  "7 8 9; do nft add element ip ipalloc-kubeproxy $set \"{ 192.0.2.$n$i }\"; done; "
                  "done"));
    kernel_save_clients(kernel, &proxy.rules, &commands);
    struct text whole = {0};
    nft_add_whole(&whole, &proxy.rules, proxy.options);
    text_append(&whole, commands.data, commands.size);
    run(kernel, &whole);
    char *count = output_of("nft list table ip ipalloc-kubeproxy | grep -o '192.0.2.[12][1-9] "
                            "expires [0-9hms]*' | sort -u | wc -l");
    ck_assert_int_eq(atoi(count), 18);
    free(count);
    text_clear(&commands);
    world_end(&proxy);
    kernel_close(kernel);
}
END_TEST

START_TEST(flows_of_udp_are_forgotten_only_where_they_went_elsewhere) {
    static const char make[] =
        "set -e; nft add table ip track; nft add chain ip track c '{ type filter hook input "
        "priority 0; }'; nft add rule ip track c ct state new accept; "
        "flow() { conntrack -I -p udp -t 300 -s 10.0.0.9 -d $1 --sport $2 --dport 53 -r $3 -q "
        "10.0.0.9 --reply-port-src $4 --reply-port-dst $2 >/dev/null 2>&1; }; "
        "flow 10.96.0.1 1001 10.20.0.1 5353; flow 10.96.0.1 1002 10.20.0.2 5353; "
        "flow 10.96.0.1 1003 10.96.0.1 53; flow 10.96.0.2 1004 10.20.0.2 5353; "
        "flow 172.30.0.1 1005 10.20.0.3 5353";
    struct string_map ways = {0};
    struct text problem = {0};
    free(output_of(make));
    string_map_set(&ways, "4 10.96.0.1 53", (char[]){"|10.20.0.1 5353|"});
    string_map_set(&ways, "4 - 53", (char[]){"||10.20.0.2 5353|"});
    ck_assert_msg(conntrack_forget(&ways, &problem), "%s", problem.data);
    char *left = output_of("conntrack -L -p udp 2>/dev/null | grep -o 'sport=100[0-9]' | sort | tr "
                           "'\\n' ' '");
    ck_assert_str_eq(left, "sport=1001 sport=1004 ");
    free(left);
    string_map_clear(&ways, NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kubeproxy in the kernel");
    TCase *cases = tcase_create("kernel");
    if (unshare(CLONE_NEWNET) != 0) {
        puts("skipped: it needs root, to make a network namespace");
        return 77;
    }
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, changes_one_by_one_make_what_a_whole_programming_makes, 0, 2);
    tcase_add_test(cases, a_line_that_is_refused_is_left_out_and_the_rest_programmed);
    tcase_add_test(cases, bound_clients_survive_a_whole_programming);
    tcase_add_test(cases, flows_of_udp_are_forgotten_only_where_they_went_elsewhere);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
