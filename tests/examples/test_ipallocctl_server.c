/* ipallocctl --server beside a running ipalloc-apiserver: the same answers as from the store, the
 * same refusals, and the pages that it asks. */
#include "ctl_process.h"
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *directory;
static char store_flag[512];
static struct server_process server;

static void begin(void) {
    directory = test_directory_make();
    snprintf(store_flag, sizeof store_flag, "--store=sqlite:%s/db", directory);
    const char *flags[] = {store_flag, "--service-cluster-ip-range=10.96.0.0/24,fd00::/64",
                           "--load-balancer-ip-range=192.0.2.0/28", NULL};
    server = server_start(flags);
    struct answer answer = server_post(
        &server, "/api/v1/namespaces/default/services",
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"web\"},\"spec\":{"
        "\"type\":\"LoadBalancer\",\"clusterIP\":\"10.96.0.77\",\"ports\":[{\"port\":80,"
        "\"nodePort\":30077}]}}");
    ck_assert_int_eq((int)answer.code, 201);
    answer_free(&answer);
}

static void end(void) {
    server_kill(&server);
    test_directory_remove(directory);
}

/* The words of a line with the server in front. */
#define SERVER_LINE "--server=http://127.0.0.1:%u %s"

static const char *const looks[] = {
    "pools",
    "pools -o json",
    "list",
    "list -o json",
    "list --pool node-ports",
    "list --owner Service/default/web/*",
    "show 10.96.0.77",
    "show 10.96.0.77 -o json",
    "show 30077",
    "show 10.97.0.1",
    "map services-v4",
    "map services-v6 --ascii",
    "map 10.96.0.64/26 -o json",
    "map nope",
    "check",
    "check -o json",
    "repair --report --dry-run",
    "export",
    "allocate load-balancers-v4 --owner A --slot s --dry-run -o table --pool", /* a wrong line */
};

START_TEST(both_ways_show_the_same) {
    begin();
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        struct ran one = ctl("%s %s", looks[i], store_flag);
        struct ran other = ctl(SERVER_LINE, server.port, looks[i]);
        ck_assert_int_eq(one.code, other.code);
        ck_assert_str_eq(one.out, other.out);
        ck_assert_str_eq(one.errors, other.errors);
        ran_free(&one);
        ran_free(&other);
    }
    end();
}
END_TEST

START_TEST(the_server_writes_what_a_second_process_may_not) {
    begin();
    struct ran ran = ctl_expect(1, "reserve 10.96.0.99 --owner A/b --slot x %s", store_flag);
    expect_in(ran.errors, "in use by process");
    ran_free(&ran);
    ran = ctl_expect(0, SERVER_LINE, server.port, "reserve 10.96.0.99 --owner A/b --slot x");
    expect_in(ran.out, "given");
    ran_free(&ran);
    ran = ctl_expect(0, "show 10.96.0.99 %s", store_flag);
    expect_in(ran.out, "A/b");
    ran_free(&ran);
    ran = ctl_expect(0, SERVER_LINE, server.port, "release --all --owner A/b");
    expect_in(ran.out, "10.96.0.99");
    ran_free(&ran);
    ran = ctl_expect(0, SERVER_LINE, server.port, "exclude 10.96.0.128/25");
    ran_free(&ran);
    ran = ctl_expect(0, SERVER_LINE, server.port, "include 10.96.0.128/26");
    ran_free(&ran);
    ran = ctl_expect(1, SERVER_LINE, server.port, "allocate nope --owner A --slot s");
    expect_in(ran.errors, "not found: there is no pool");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(an_address_that_a_service_names_stays_with_it) {
    char line[512];
    begin();
    struct ran ran = ctl_expect(0, SERVER_LINE, server.port, "show 10.96.0.77 -o json");
    const char *owner = json_text_at(ran.json, "items.0.owner");
    snprintf(line, sizeof line, "release 10.96.0.77 --owner %s", owner);
    struct ran refused = ctl_expect(1, SERVER_LINE, server.port, line);
    expect_in(refused.errors, "10.96.0.77 is still named by Service/default/web/");
    ran_free(&refused);
    snprintf(line, sizeof line, "release 30077 --owner %s", owner);
    refused = ctl_expect(1, SERVER_LINE, server.port, line);
    ran_free(&refused);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_server_repairs_its_store) {
    char report[600];
    begin();
    struct ran ran = ctl_expect(0, SERVER_LINE, server.port,
                                "reserve 10.96.0.9 --owner Service/default/gone/1 --slot s");
    ran_free(&ran);
    ran = ctl_expect(0, SERVER_LINE, server.port, "repair --report -o json");
    expect_in(ran.out, "\"kind\":\"leak\"");
    expect_in(ran.out, "\"stored\":true");
    snprintf(report, sizeof report, "%s/report", directory);
    FILE *file = fopen(report, "w");
    ck_assert_ptr_nonnull(file);
    fputs(ran.out, file);
    fclose(file);
    ran_free(&ran);
    ran = ctl_expect(0, "--server=http://127.0.0.1:%u repair --apply %s", server.port, report);
    expect_in(ran.out, "0 applied, 0 refused, 1 left\n");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(what_was_exported_serves_again_from_another_store) {
    char exported[600];
    char other[600];
    begin();
    struct ran ran = ctl_expect(0, SERVER_LINE, server.port, "export");
    snprintf(exported, sizeof exported, "%s/exported", directory);
    FILE *file = fopen(exported, "w");
    ck_assert_ptr_nonnull(file);
    fputs(ran.out, file);
    fclose(file);
    ran_free(&ran);
    ran = ctl_expect(0, "--server=http://127.0.0.1:%u import %s", server.port, exported);
    expect_in(ran.out, "0       0        0       4          "); /* all there already */
    ran_free(&ran);
    ran = ctl_expect(1, "--server=http://127.0.0.1:%u import %s --define", server.port, exported);
    expect_in(ran.errors, "a server's pools come from its flags");
    ran_free(&ran);
    ran = ctl_expect(0, "import %s --define --store=sqlite:%s/other", exported, directory);
    ran_free(&ran);
    ck_assert_int_eq(server_stop(&server), 0);
    snprintf(other, sizeof other, "--store=sqlite:%s/other", directory);
    const char *flags[] = {other, "--service-cluster-ip-range=10.96.0.0/24,fd00::/64",
                           "--load-balancer-ip-range=192.0.2.0/28", NULL};
    server = server_start(flags);
    struct answer answer = server_get(&server, "/api/v1/namespaces/default/services/web");
    ck_assert_str_eq(answer_text(&answer, "spec.clusterIP"), "10.96.0.77");
    answer_free(&answer);
    end();
}
END_TEST

START_TEST(a_copy_is_made_beside_the_servers_store_and_nowhere_else) {
    char path[600];
    begin();
    struct ran ran = ctl_expect(0, SERVER_LINE, server.port, "backup copy.db");
    ran_free(&ran);
    snprintf(path, sizeof path, "%s/copy.db", directory);
    ck_assert_int_eq(access(path, F_OK), 0);
    ran = ctl_expect(1, SERVER_LINE, server.port, "backup /tmp/elsewhere.db");
    expect_in(ran.errors, "a file name without a directory");
    ran_free(&ran);
    ran = ctl_expect(1, SERVER_LINE, server.port, "backup ../elsewhere.db");
    ran_free(&ran);
    end();
}
END_TEST

static const struct {
    const char *method;
    const char *path;
    const char *type;
    const char *body;
    int code;
    const char *says;
} requests[] = {
    {"GET", "/ipalloc/v1/pools", NULL, NULL, 200, "PoolList"},
    {"POST", "/ipalloc/v1/pools", "application/json", "{}", 200, "PoolList"},
    {"GET", "/ipalloc/v1/nope", NULL, NULL, 404, "no such operation"},
    {"GET", "/ipalloc/v1/", NULL, NULL, 404, "no such operation"},
    {"GET", "/ipalloc/v1/release?owner=A&all=true", NULL, NULL, 405, "asked for by POST"},
    {"DELETE", "/ipalloc/v1/pools", NULL, NULL, 405, "asked for by POST"},
    /* What a page of a foreign site may send without asking. */
    {"POST", "/ipalloc/v1/release", "text/plain", "{\"owner\":\"A\",\"all\":true}", 400,
     "application/json"},
    {"POST", "/ipalloc/v1/release", "application/json", "[1]", 400, "one JSON object"},
    {"POST", "/ipalloc/v1/release", "application/json", "{", 400, "unexpected end of data"},
    {"POST", "/ipalloc/v1/release", "application/json", "{\"owner\":\"A\",\"x\":1}", 400,
     "takes no argument \\\"x\\\""},
    {"POST", "/ipalloc/v1/release", "application/json", "{\"owner\":{}}", 400, "must be text"},
    {"POST", "/ipalloc/v1/release", "application/json", "{\"owner\":\"A\",\"all\":\"perhaps\"}",
     400, "must be true or false"},
    {"POST", "/ipalloc/v1/release", "application/json",
     "{\"owner\":\"A\",\"place\":\"10.96.0.9\",\"generation\":-1}", 400, "whole number"},
    {"POST", "/ipalloc/v1/reserve", "application/json",
     "{\"owner\":\"A\",\"slot\":\"s\",\"place\":\"10.96.0.77\"}", 409,
     "held by Service/default/web"},
    {"POST", "/ipalloc/v1/reserve", "application/json",
     "{\"owner\":\"A\",\"slot\":\"s\",\"place\":\"10.97.0.77\"}", 404, "in no pool"},
    {"GET", "/ipalloc/v1/map?what=services-v4&cells=99999999", NULL, NULL, 400, "whole number"},
};

START_TEST(the_pages_check_what_they_are_sent) {
    begin();
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const char *body = requests[i].body;
        struct answer answer =
            server_ask(&server, requests[i].method, requests[i].path, requests[i].type, NULL, body,
                       body != NULL ? strlen(body) : 0);
        ck_assert_msg(answer.code == requests[i].code, "%ld: %s", answer.code, answer.text);
        expect_in(answer.text, requests[i].says);
        answer_free(&answer);
    }
    end();
}
END_TEST

START_TEST(a_server_that_is_not_there_or_no_such_server_is_said) {
    begin();
    struct ran ran = ctl_expect(1, "pools --server=http://127.0.0.1:1");
    expect_in(ran.errors, "http://127.0.0.1:1: ");
    ran_free(&ran);
    ran = ctl_expect(1, "pools --server=http://127.0.0.1:%u/api/v1", server.port);
    expect_in(ran.errors, "could not find the requested resource");
    ran_free(&ran);
    ran = ctl_expect(1, "pools --server=ftp://127.0.0.1:%u", server.port);
    ran_free(&ran);
    ran = ctl_expect(1, "pools --server=file:///etc");
    ran_free(&ran);
    end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ipallocctl server");
    TCase *cases = tcase_create("server");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, both_ways_show_the_same);
    tcase_add_test(cases, the_server_writes_what_a_second_process_may_not);
    tcase_add_test(cases, an_address_that_a_service_names_stays_with_it);
    tcase_add_test(cases, a_server_repairs_its_store);
    tcase_add_test(cases, what_was_exported_serves_again_from_another_store);
    tcase_add_test(cases, a_copy_is_made_beside_the_servers_store_and_nowhere_else);
    tcase_add_test(cases, the_pages_check_what_they_are_sent);
    tcase_add_test(cases, a_server_that_is_not_there_or_no_such_server_is_said);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
