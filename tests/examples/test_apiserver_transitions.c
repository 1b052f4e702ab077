/*
 * From every kind of Service to every other, over HTTP: by PUT of the new kind alone, which says
 * nothing of addresses and ports, and by a merge patch of its type. What both need is carried over,
 * what only the old one needed is freed, what only the new one needs is given.
 */
#include "service_client.h"
#include "support.h"

#include <ipalloc/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTER_IP, NODE_PORT, BALANCER, LOCAL_BALANCER, EXTERNAL, HEADLESS, KINDS };

static const struct {
    const char *spec;  /* of a new Service or a PUT */
    const char *patch; /* towards it */
} kinds[KINDS] = {
    {"'type':'ClusterIP'", "'type':'ClusterIP'"},
    {"'type':'NodePort'", "'type':'NodePort'"},
    {"'type':'LoadBalancer'", "'type':'LoadBalancer','externalTrafficPolicy':'Cluster'"},
    {"'type':'LoadBalancer','externalTrafficPolicy':'Local'",
     "'type':'LoadBalancer','externalTrafficPolicy':'Local'"},
    {"'type':'ExternalName','externalName':'a.example'",
     "'type':'ExternalName','externalName':'a.example'"},
    {"'type':'ClusterIP','clusterIP':'None'",
     "'type':'ClusterIP','clusterIP':'None','clusterIPs':['None']"},
};

/* [from][to]: cluster IP, node port, health check port: K kept, N new, H "None", - none; "" is 422.
 * A headless Service carries its "None" over, which no node port can go with. */
static const char *const outcomes[KINDS][KINDS] = {
    /* ClusterIP NodePort LoadBalancer Local ExternalName headless */
    {"K--", "KN-", "KN-", "KNN", "---", ""},    /* ClusterIP */
    {"K--", "KK-", "KK-", "KKN", "---", ""},    /* NodePort */
    {"K--", "KK-", "KK-", "KKN", "---", ""},    /* LoadBalancer */
    {"K--", "KK-", "KK-", "KKK", "---", ""},    /* with externalTrafficPolicy Local */
    {"N--", "NN-", "NN-", "NNN", "---", "H--"}, /* ExternalName */
    {"H--", "", "", "", "---", "H--"},          /* headless */
};

static struct server_process server;

static void start(void) {
    const char *arguments[] = {"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112", NULL};
    server = server_start(arguments);
}

static void stop(void) {
    expect_nothing_to_repair(&server);
    ck_assert_int_eq(server_stop(&server), 0);
}

/* What is looked at of a Service. */
static const char *const places[] = {"spec.clusterIP", "spec.ports.0.nodePort",
                                     "spec.healthCheckNodePort"};
#define PLACES 3

static void read_places(const struct answer *answer, char values[PLACES][64]) {
    for (size_t i = 0; i < PLACES; i++) {
        snprintf(values[i], sizeof values[i], "%s", answer_text(answer, places[i]));
    }
}

static char outcome_of(const char *before, const char *after) {
    if (after[0] == '\0') {
        return '-';
    }
    if (strcmp(after, "None") == 0) {
        return 'H';
    }
    return strcmp(before, after) == 0 ? 'K' : 'N';
}

/* Fields of the old kind that the new one may not have; Kubernetes leaves an externalName. */
static void expect_no_remains(const struct answer *answer, int to) {
    if (to == EXTERNAL) {
        ck_assert_str_eq(answer_text(answer, "spec.clusterIPs.0"), "");
        ck_assert_str_eq(answer_text(answer, "spec.ipFamilies.0"), "");
        ck_assert_str_eq(answer_text(answer, "spec.ipFamilyPolicy"), "");
    }
    if (to == CLUSTER_IP || to == EXTERNAL || to == HEADLESS) {
        ck_assert_str_eq(answer_text(answer, "spec.externalTrafficPolicy"), "");
    }
    if (to != BALANCER && to != LOCAL_BALANCER) {
        ck_assert_str_eq(answer_text(answer, "spec.allocateLoadBalancerNodePorts"), "");
    }
}

static struct answer put(const char *name, const char *spec) {
    char body[1024];
    char path[64];
    snprintf(body, sizeof body, "{'metadata':{'name':'%s'},'spec':{%s}}", name, spec);
    for (char *at = body; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    snprintf(path, sizeof path, SERVICES "/%s", name);
    return server_ask(&server, "PUT", path, "application/json", NULL, body, strlen(body));
}

static void expect_transition(int from, int to, bool by_patch) {
    char spec[256];
    char before[PLACES][64];
    char after[PLACES][64];
    snprintf(spec, sizeof spec, "%s,'ports':[{'port':80}]", kinds[from].spec);
    struct answer made = service_create(&server, "x", spec, "");
    ck_assert_msg(made.code == 201, "%s: %s", spec, made.text);
    read_places(&made, before);
    snprintf(spec, sizeof spec, "%s,'ports':[{'port':80}]", kinds[to].spec);
    struct answer changed =
        by_patch ? service_change(&server, "x", kinds[to].patch, "") : put("x", spec);
    const char *outcome = outcomes[from][to];
    ck_assert_msg(changed.code == (outcome[0] == '\0' ? 422 : 200), "from %s to %s: %ld %s",
                  kinds[from].spec, kinds[to].spec, changed.code, changed.text);
    if (outcome[0] != '\0') {
        read_places(&changed, after);
        for (size_t i = 0; i < PLACES; i++) {
            ck_assert_msg(outcome_of(before[i], after[i]) == outcome[i], "from %s to %s: %s",
                          kinds[from].spec, kinds[to].spec, changed.text);
        }
        expect_no_remains(&changed, to);
    }
    expect_nothing_to_repair(&server); /* what is not named any more is free */
    must_delete(&server, "x");
    answer_free(&made);
    answer_free(&changed);
}

START_TEST(a_put_of_another_kind_carries_over_what_both_need) {
    start();
    for (int from = 0; from < KINDS; from++) {
        for (int to = 0; to < KINDS; to++) {
            expect_transition(from, to, false);
        }
    }
    stop();
}
END_TEST

START_TEST(a_patch_of_the_type_drops_what_the_new_one_may_not_have) {
    start();
    for (int from = 0; from < KINDS; from++) {
        for (int to = 0; to < KINDS; to++) {
            expect_transition(from, to, true);
        }
    }
    stop();
}
END_TEST

/* --- what a change that says nothing, or null, keeps
 * ---------------------------------------------- */

static const struct {
    const char *what;
    const char *patch;
} kept[] = {
    {"null clears no address", "'clusterIP':null,'clusterIPs':null"},
    {"nor empty text", "'clusterIP':'','clusterIPs':[]"},
    {"null clears no families", "'ipFamilies':null,'ipFamilyPolicy':null"},
    {"the health check port neither", "'healthCheckNodePort':null"},
    {"nor zero", "'healthCheckNodePort':0"},
    {"node ports stay with the ports of the same name, in any order",
     "'ports':[{'name':'b','port':81},{'name':'a','port':80}]"},
    {"and with another port number", "'ports':[{'name':'a','port':180},{'name':'b','port':181}]"},
};

static const char *node_port_of(const struct answer *answer, const char *name) {
    for (int i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "spec.ports.%d.name", i);
        if (strcmp(answer_text(answer, path), name) == 0) {
            snprintf(path, sizeof path, "spec.ports.%d.nodePort", i);
            return answer_text(answer, path);
        }
    }
    return "";
}

START_TEST(what_is_left_out_or_null_is_kept) {
    static const char *const same[] = {"spec.clusterIP",      "spec.clusterIPs.0",
                                       "spec.clusterIPs.1",   "spec.ipFamilies.1",
                                       "spec.ipFamilyPolicy", "spec.healthCheckNodePort"};
    start();
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        struct answer made = service_create(
            &server, "x",
            "'type':'LoadBalancer','externalTrafficPolicy':'Local','ipFamilyPolicy':"
            "'RequireDualStack','ports':[{'name':'a','port':80},{'name':'b','port':81}]",
            "");
        ck_assert_int_eq((int)made.code, 201);
        struct answer changed = service_change(&server, "x", kept[i].patch, "");
        ck_assert_msg(changed.code == 200, "%s: %s", kept[i].what, changed.text);
        for (size_t k = 0; k < sizeof same / sizeof same[0]; k++) {
            char before[64];
            snprintf(before, sizeof before, "%s", answer_text(&made, same[k]));
            ck_assert_str_ne(before, "");
            ck_assert_msg(strcmp(before, answer_text(&changed, same[k])) == 0, "%s: %s was %s",
                          kept[i].what, changed.text, before);
        }
        for (const char *name = "a\0b\0"; *name != '\0'; name += 2) {
            char before[64];
            snprintf(before, sizeof before, "%s", node_port_of(&made, name));
            ck_assert_str_ne(before, "");
            ck_assert_str_eq(node_port_of(&changed, name), before);
        }
        answer_free(&made);
        answer_free(&changed);
        must_delete(&server, "x");
    }
    stop();
}
END_TEST

/* --- the status subresource
 * ----------------------------------------------------------------------- */

#define STATUS(ingress) "{'status':{'loadBalancer':{'ingress':[" ingress "]}}}"

static const struct {
    const char *patch;
    long code;
    const char *part;
} statuses[] = {
    {STATUS("{'ip':'192.0.2.1'}"), 200, "\"ipMode\":\"VIP\""},
    {STATUS("{'ip':'192.0.2.1','ipMode':'Proxy'}"), 200, "Proxy"},
    {STATUS("{'hostname':'lb.example'}"), 200, "lb.example"},
    {STATUS("{'ip':'192.0.2.300'}"), 422,
     "status.loadBalancer.ingress[0].ip: Invalid value: \\\"192.0.2.300\\\": must be a valid IP "
     "address"},
    {STATUS("{'hostname':'192.0.2.1'}"), 422, "status.loadBalancer.ingress[0].hostname"},
    {STATUS("{'hostname':'a_b'}"), 422, "status.loadBalancer.ingress[0].hostname"},
    {STATUS("{'ip':'192.0.2.1','ipMode':'Foo'}"), 422,
     "status.loadBalancer.ingress[0].ipMode: Unsupported value: \\\"Foo\\\""},
};

START_TEST(a_status_is_judged_and_changes_nothing_else) {
    start();
    must_create(&server, "x", "'type':'LoadBalancer','ports':[{'port':80}]");
    char *before = leases_now(&server);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct answer answer = service_patch(&server, "x/status", statuses[i].patch, "");
        ck_assert_msg(answer.code == statuses[i].code &&
                          strstr(answer.text, statuses[i].part) != NULL,
                      "%s: %ld %s", statuses[i].patch, answer.code, answer.text);
        answer_free(&answer);
    }
    struct answer answer = service_patch(&server, "x/status", "{'spec':{'type':'ClusterIP'}}", "");
    ck_assert_str_eq(answer_text(&answer, "spec.type"), "LoadBalancer");
    answer_free(&answer);
    char *after = leases_now(&server);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    stop();
}
END_TEST

/* Kubernetes takes the number, and allocates it once the type needs it. */
START_TEST(a_node_port_of_an_external_name_is_not_held) {
    start();
    must_create(&server, "x",
                "'type':'ExternalName','externalName':'a.example','ports':[{'port':80,'nodePort':"
                "30001}]");
    expect_nothing_to_repair(&server);
    must_create(&server, "y", "'type':'NodePort','ports':[{'port':80,'nodePort':30001}]");
    struct answer answer = service_change(&server, "x", "'type':'NodePort'", "");
    ck_assert_msg(answer.code == 422, "%s", answer.text);
    answer_free(&answer);
    must_delete(&server, "y");
    must_change(&server, "x", "'type':'NodePort'");
    stop();
}
END_TEST

static void write_ports(char *out, size_t capacity, int first_node_port) {
    size_t at = (size_t)snprintf(out, capacity, "'ports':[");
    for (int i = 0; i < IPALLOC_SERVICE_PORTS_MAX; i++) {
        at += (size_t)snprintf(out + at, capacity - at, "%s{'name':'p%d','port':%d,'nodePort':%d}",
                               i > 0 ? "," : "", i, i + 1, first_node_port + i);
    }
    snprintf(out + at, capacity - at, "]");
}

START_TEST(as_many_ports_as_may_be_with_all_that_goes_with_them) {
    const char *arguments[] = {"--service-cluster-ip-range=10.96.0.0/24,fd00:10:96::/112",
                               "--load-balancer-ip-range=192.0.2.0/24,2001:db8::/64", NULL};
    char ports[6000];
    char spec[7000];
    server = server_start(arguments);
    write_ports(ports, sizeof ports, 30100);
    snprintf(spec, sizeof spec,
             "'type':'LoadBalancer','externalTrafficPolicy':'Local','ipFamilyPolicy':"
             "'RequireDualStack',%s",
             ports);
    must_create(&server, "x", spec);
    char *before = leases_now(&server);
    write_ports(ports, sizeof ports, 30300);
    struct answer answer = service_change(&server, "x", ports, "");
    ck_assert_int_eq((int)answer.code, 422);
    ck_assert_str_eq(answer_text(&answer, "message"),
                     "Service \"x\" is invalid: spec.ports: Too many: 95: must change at most 100 "
                     "addresses and node ports at once");
    answer_free(&answer);
    char *after = leases_now(&server);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    must_change(&server, "x", "'type':'ExternalName','externalName':'a.example'");
    stop();
}
END_TEST

START_TEST(another_type_takes_the_load_balancer_s_status_away) {
    static const int others[] = {CLUSTER_IP, NODE_PORT, EXTERNAL};
    start();
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        must_create(&server, "x", "'type':'LoadBalancer','ports':[{'port':80}]");
        struct answer answer = service_patch(&server, "x/status", STATUS("{'ip':'192.0.2.1'}"), "");
        ck_assert_str_eq(answer_text(&answer, "status.loadBalancer.ingress.0.ip"), "192.0.2.1");
        answer_free(&answer);
        answer = service_change(&server, "x", kinds[others[i]].patch, "");
        ck_assert_msg(answer.code == 200, "%s", answer.text);
        ck_assert_str_eq(answer_text(&answer, "status.loadBalancer.ingress.0.ip"), "");
        answer_free(&answer);
        must_delete(&server, "x");
    }
    stop();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver transitions");
    TCase *tests = tcase_create("transitions");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_put_of_another_kind_carries_over_what_both_need);
    tcase_add_test(tests, a_patch_of_the_type_drops_what_the_new_one_may_not_have);
    tcase_add_test(tests, what_is_left_out_or_null_is_kept);
    tcase_add_test(tests, a_status_is_judged_and_changes_nothing_else);
    tcase_add_test(tests, a_node_port_of_an_external_name_is_not_held);
    tcase_add_test(tests, as_many_ports_as_may_be_with_all_that_goes_with_them);
    tcase_add_test(tests, another_type_takes_the_load_balancer_s_status_away);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
