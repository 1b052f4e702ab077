/*
 * What goes wrong in kube-apiserver 1.36 with Services, each as the attack that shows it there: it
 * must not happen here. That another range is refused after a restart is in test_apiserver_restart.
 */
#include "service_client.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUAL  "--service-cluster-ip-range=10.96.0.0/24,fd00:10:96::/112"
#define PORTS "'ports':[{'port':80}]"
#define BOTH  "'ipFamilyPolicy':'RequireDualStack',"
#define PAIR(first, second) \
    BOTH "'clusterIP':'" first "','clusterIPs':['" first "','" second "']," PORTS

static struct server_process server;

static void start(const char *range) {
    const char *arguments[] = {range, "--load-balancer-ip-range=192.0.2.0/24,2001:db8::/64", NULL};
    server = server_start(arguments);
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

static void expect_code(struct answer answer, long code, const char *part) {
    ck_assert_msg(answer.code == code && strstr(answer.text, part) != NULL, "%ld, not %ld %s: %s",
                  answer.code, code, part, answer.text);
    answer_free(&answer);
}

static void expect_leases(char *before) {
    char *after = leases_now(&server);
    ck_assert_str_eq(after, before);
    free(after);
    free(before);
}

/* --- 1: a pair of which the second is refused leaks the first -----------------------------------
 */

START_TEST(a_pair_with_one_refused_address_leaves_the_other_free) {
    start(DUAL);
    must_create(&server, "holder", PAIR("10.96.0.200", "fd00:10:96::c8"));
    static const char *const pairs[] = {
        PAIR("10.96.0.11", "fd00::b"),        /* out of range */
        PAIR("fd00:10:96::b", "10.97.0.1"),   /* the other way round */
        PAIR("10.96.0.11", "fd00:10:96::c8"), /* held */
        PAIR("fd00:10:96::b", "10.96.0.200"), /* held */
        PAIR("10.96.0.255", "fd00:10:96::b"), /* broadcast */
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        for (int attempt = 0; attempt < 2; attempt++) { /* the second was refused for the first's */
            char *before = leases_now(&server);
            expect_code(service_create(&server, "x", pairs[i], ""), 422, "failed to allocate IP");
            expect_leases(before);
        }
    }
    must_create(&server, "y", PAIR("10.96.0.11", "fd00:10:96::b"));
    stop();
}
END_TEST

START_TEST(a_pair_of_which_one_range_is_full_leaks_nothing) {
    start("--service-cluster-ip-range=10.96.0.0/29,fd00:10:96::/112");
    for (int i = 0; i < 5; i++) { /* and the kubernetes Service's */
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        must_create(&server, name, PORTS);
    }
    char *before = leases_now(&server);
    for (int i = 0; i < 20; i++) { /* Kubernetes: whichever family came first was leaked */
        expect_code(service_create(&server, "x", BOTH PORTS, ""), 500, "range is full");
    }
    expect_leases(before);
    stop();
}
END_TEST

/* --- 2 and 5: repair while Services are made and widened ----------------------------------------
 */

#define WIDENED 30

struct repairing {
    pthread_t thread;
    atomic_bool done;
    unsigned reports;
    char finding[2048]; /* an answer with one; there must be none */
};

static void *repair_again_and_again(void *argument) {
    struct repairing *repairing = argument;
    while (!atomic_load(&repairing->done)) {
        struct answer answer = server_post(&server, "/ipalloc/v1/repair", "{}");
        bool good = (answer.code == 200 && strstr(answer.text, "\"leaks\":0,\"missing\":0,"
                                                               "\"duplicates\":0") != NULL) ||
                    answer.code == 409; /* another writer came first: nothing was judged */
        if (!good && repairing->finding[0] == '\0') {
            snprintf(repairing->finding, sizeof repairing->finding, "%ld %s", answer.code,
                     answer.text);
        }
        repairing->reports += answer.code == 200;
        answer_free(&answer);
    }
    return NULL;
}

static void name_of(char *out, size_t capacity, int number) {
    snprintf(out, capacity, "s%d", number);
}

static void expect_still_held(int number) {
    char name[16];
    char spec[256];
    name_of(name, sizeof name, number);
    struct answer answer = service_get(&server, name);
    const char *second = answer_text(&answer, "spec.clusterIPs.1");
    ck_assert_str_ne(second, "");
    snprintf(spec, sizeof spec, "'clusterIP':'%s'," PORTS, second);
    expect_code(service_create(&server, "thief", spec, ""), 422,
                "provided IP is already allocated");
    answer_free(&answer);
}

START_TEST(repair_finds_nothing_wrong_with_what_is_being_made_and_takes_nothing) {
    start(DUAL);
    struct repairing repairing = {0};
    ck_assert_int_eq(pthread_create(&repairing.thread, NULL, repair_again_and_again, &repairing),
                     0);
    for (int i = 0; i < WIDENED; i++) {
        char name[16];
        name_of(name, sizeof name, i);
        struct answer answer = service_create(&server, name, PORTS, "");
        ck_assert_str_eq(answer.warning, "");
        expect_code(answer, 201, name);
        answer = service_change(&server, name, "'ipFamilyPolicy':'PreferDualStack'", "");
        ck_assert_str_eq(answer.warning, "");
        expect_code(answer, 200, name);
    }
    atomic_store(&repairing.done, true);
    pthread_join(repairing.thread, NULL);
    ck_assert_str_eq(repairing.finding, "");
    for (int i = 0; i < WIDENED; i++) {
        expect_still_held(i);
    }
    expect_nothing_to_repair(&server);
    stop();
}
END_TEST

/* --- 3: one address, many spellings -------------------------------------------------------------
 */

static const struct {
    const char *given;
    const char *canonical;
} spellings[] = {
    {"FD00:10:96::9A", "fd00:10:96::9a"},        {"fd00:0010:0096::009a", "fd00:10:96::9a"},
    {"fd00:10:96:0:0:0:0:9a", "fd00:10:96::9a"}, {"fd00:10:96::0:9a", "fd00:10:96::9a"},
    {"fd00:10:96:0::9A", "fd00:10:96::9a"},      {"fd00:10:96::0.0.0.154", "fd00:10:96::9a"},
};
#define SPELLINGS (sizeof spellings / sizeof spellings[0])

START_TEST(every_spelling_is_one_address_and_every_answer_has_the_canonical_one) {
    start(DUAL);
    for (size_t i = 0; i < SPELLINGS; i++) {
        char spec[256];
        snprintf(spec, sizeof spec, "'clusterIP':'%s','clusterIPs':['%s']," PORTS,
                 spellings[i].given, spellings[i].given);
        struct answer made = service_create(&server, "x", spec, "");
        ck_assert_msg(made.code == 201, "%s: %s", spec, made.text);
        struct answer read = service_get(&server, "x");
        struct answer kept = service_change(&server, "x", spec, ""); /* given again: no change */
        struct answer *answers[] = {&made, &read, &kept};
        for (size_t k = 0; k < 3; k++) {
            ck_assert_str_eq(answer_text(answers[k], "spec.clusterIP"), spellings[i].canonical);
            ck_assert_str_eq(answer_text(answers[k], "spec.clusterIPs.0"), spellings[i].canonical);
            ck_assert_str_eq(answer_text(answers[k], "spec.clusterIPs.1"), "");
            answer_free(answers[k]);
        }
        for (size_t k = 0; k < SPELLINGS; k++) {
            snprintf(spec, sizeof spec, "'clusterIP':'%s'," PORTS, spellings[k].given);
            expect_code(service_create(&server, "y", spec, ""), 422,
                        "provided IP is already allocated");
        }
        expect_nothing_to_repair(&server);
        must_delete(&server, "x");
    }
    stop();
}
END_TEST

START_TEST(a_load_balancer_s_address_has_the_canonical_text_too) {
    start(DUAL);
    struct answer answer = service_create(
        &server, "x",
        "'type':'LoadBalancer','ipFamilies':['IPv6'],'loadBalancerIP':'2001:DB8::00AB'," PORTS, "");
    ck_assert_int_eq((int)answer.code, 201);
    ck_assert_str_eq(answer_text(&answer, "status.loadBalancer.ingress.0.ip"), "2001:db8::ab");
    answer_free(&answer);
    stop();
}
END_TEST

/* --- 4: a refused update has freed the address ---------------------------------------------------
 */

#define PATCHERS 3
#define REFUSALS 60

struct patcher {
    pthread_t thread;
    unsigned number;
    atomic_bool *done;
    unsigned patched;
    char refusal[1024];
};

static void *patch_again_and_again(void *argument) {
    struct patcher *patcher = argument;
    while (!atomic_load(patcher->done)) {
        char patch[128];
        snprintf(patch, sizeof patch, "{'metadata':{'annotations':{'a%u':'%u'}}}", patcher->number,
                 patcher->patched++);
        struct answer answer = service_patch(&server, "x", patch, "");
        if (answer.code != 200) {
            snprintf(patcher->refusal, sizeof patcher->refusal, "%ld %s", answer.code, answer.text);
        }
        answer_free(&answer);
    }
    return NULL;
}

/* PUT what was read, as an ExternalName: the code. */
static long put_as_external_name(void) {
    struct answer read = service_get(&server, "x");
    ck_assert_int_eq((int)read.code, 200);
    struct json_object *spec = NULL;
    ck_assert(json_object_object_get_ex(read.json, "spec", &spec));
    json_object_object_add(spec, "type", json_object_new_string("ExternalName"));
    json_object_object_add(spec, "externalName", json_object_new_string("a.example"));
    const char *body = json_object_to_json_string(read.json);
    struct answer answer =
        server_ask(&server, "PUT", SERVICES "/x", "application/json", NULL, body, strlen(body));
    long code = answer.code;
    ck_assert_msg(code == 200 || code == 409, "%ld %s", code, answer.text);
    answer_free(&answer);
    answer_free(&read);
    return code;
}

START_TEST(an_update_refused_for_its_resource_version_frees_nothing) {
    start(DUAL);
    atomic_bool done = false;
    struct patcher patchers[PATCHERS];
    must_create(&server, "x", "'clusterIP':'10.96.0.50'," PORTS);
    for (unsigned i = 0; i < PATCHERS; i++) {
        patchers[i] = (struct patcher){.number = i, .done = &done};
        pthread_create(&patchers[i].thread, NULL, patch_again_and_again, &patchers[i]);
    }
    char *before = leases_now(&server);
    for (unsigned refused = 0; refused < REFUSALS;) {
        if (put_as_external_name() == 409) {
            refused++;
        } else { /* it was quicker than the others: back, to the same address */
            must_change(&server, "x",
                        "'type':'ClusterIP','externalName':null,"
                        "'clusterIP':'10.96.0.50','clusterIPs':['10.96.0.50']");
            free(before);
            before = leases_now(&server);
        }
        char *after = leases_now(&server);
        ck_assert_str_eq(after, before);
        free(after);
    }
    atomic_store(&done, true);
    for (unsigned i = 0; i < PATCHERS; i++) {
        pthread_join(patchers[i].thread, NULL);
        ck_assert_str_eq(patchers[i].refusal, "");
    }
    expect_leases(before);
    expect_nothing_to_repair(&server);
    stop();
}
END_TEST

/* --- 6: a /48 -----------------------------------------------------------------------------------
 */

START_TEST(a_48_is_served) {
    start("--service-cluster-ip-range=10.96.0.0/24,fd01::/48");
    struct answer answer = service_create(&server, "x", "'ipFamilies':['IPv6']," PORTS, "");
    ck_assert_msg(answer.code == 201, "%s", answer.text);
    ck_assert_int_eq(strncmp(answer_text(&answer, "spec.clusterIP"), "fd01:", 5), 0);
    answer_free(&answer);
    must_create(&server, "y", "'clusterIP':'fd01:0:0:ffff:ffff:ffff:ffff:ffff'," PORTS);
    must_create(&server, "z", "'clusterIP':'fd01::1'," PORTS);
    stop();
}
END_TEST

START_TEST(a_48_is_served_as_an_object_too) {
    start("--service-cluster-ip-range=10.96.0.0/24");
    struct answer answer =
        server_post(&server, "/apis/networking.k8s.io/v1/servicecidrs",
                    "{\"metadata\":{\"name\":\"wide\"},\"spec\":{\"cidrs\":[\"fd01::/48\"]}}");
    ck_assert_msg(answer.code == 201, "%s", answer.text);
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.type"), "Ready");
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.status"), "True");
    answer_free(&answer);
    must_create(&server, "x", "'ipFamilies':['IPv6']," PORTS);
    must_create(&server, "y", PAIR("fd01:0:0:8000::1", "10.96.0.9"));
    expect_nothing_to_repair(&server);
    stop();
}
END_TEST

/* --- finalizers ----------------------------------------------------------------------------------
 */

START_TEST(nothing_is_freed_until_the_object_is_gone) {
    start(DUAL);
    must_create(&server, "x", "'type':'NodePort','clusterIP':'10.96.0.60'," PORTS);
    expect_code(service_patch(&server, "x", "{'metadata':{'finalizers':['a.example/hold']}}", ""),
                200, "a.example/hold");
    char *before = leases_now(&server);
    expect_code(service_delete(&server, "x", ""), 200, "deletionTimestamp");
    expect_code(service_create(&server, "y", "'clusterIP':'10.96.0.60'," PORTS, ""), 422,
                "provided IP is already allocated");
    expect_leases(before);
    expect_code(service_patch(&server, "x", "{'metadata':{'finalizers':null}}", ""), 200, "");
    expect_code(service_get(&server, "x"), 404, "not found");
    must_create(&server, "y", "'clusterIP':'10.96.0.60'," PORTS);
    stop();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver defects");
    TCase *tests = tcase_create("defects");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_pair_with_one_refused_address_leaves_the_other_free);
    tcase_add_test(tests, a_pair_of_which_one_range_is_full_leaks_nothing);
    tcase_add_test(tests, repair_finds_nothing_wrong_with_what_is_being_made_and_takes_nothing);
    tcase_add_test(tests, every_spelling_is_one_address_and_every_answer_has_the_canonical_one);
    tcase_add_test(tests, a_load_balancer_s_address_has_the_canonical_text_too);
    tcase_add_test(tests, an_update_refused_for_its_resource_version_frees_nothing);
    tcase_add_test(tests, a_48_is_served);
    tcase_add_test(tests, a_48_is_served_as_an_object_too);
    tcase_add_test(tests, nothing_is_freed_until_the_object_is_gone);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
