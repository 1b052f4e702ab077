/* Load-balancer addresses: pools with names, chosen by annotation, moved between, given back. */
#include "server_process.h"
#include "service_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct server_process server;

static void start(void) {
    const char *arguments[] = {"--service-cluster-ip-range=10.96.0.0/16,fd10:96::/108",
                               "--load-balancer-ip-range=192.0.2.0/30",
                               "--load-balancer-ip-range=public=203.0.113.0/30,2001:db8::/126",
                               "--load-balancer-ip-range=lab=198.51.100.0/24", NULL};
    server = server_start(arguments);
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

/* A LoadBalancer Service with this annotation ("" : none) and these further members of its spec. */
static struct answer make(const char *name, const char *pool, const char *more) {
    char body[1024];
    snprintf(
        body, sizeof body,
        "{\"metadata\":{\"name\":\"%s\"%s%s%s},\"spec\":{\"type\":\"LoadBalancer\",%s\"ports\":[{"
        "\"port\":80}]}}",
        name, pool[0] != '\0' ? ",\"annotations\":{\"ipalloc/load-balancer-pool\":\"" : "", pool,
        pool[0] != '\0' ? "\"}" : "", more);
    return server_post(&server, SERVICES, body);
}

static void is_made(const char *name, const char *pool, const char *more, const char *prefix) {
    struct answer answer = make(name, pool, more);
    const char *address = answer_text(&answer, "status.loadBalancer.ingress.0.ip");
    ck_assert_msg(answer.code == 201 && strncmp(address, prefix, strlen(prefix)) == 0, "%s: %s",
                  name, answer.text);
    answer_free(&answer);
}

static void is_refused(struct answer answer, const char *words) {
    ck_assert_msg(answer.code == 422 || answer.code == 500, "%ld %s", answer.code, answer.text);
    ck_assert_msg(strstr(answer_text(&answer, "message"), words) != NULL, "%s", answer.text);
    answer_free(&answer);
}

/* How often a text stands in the list of all leases. */
static int leases_with(const char *words) {
    char *leases = leases_now(&server);
    int count = 0;
    for (const char *at = leases; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    free(leases);
    return count;
}

START_TEST(the_annotation_chooses_the_pool) {
    is_made("plain", "", "", "192.0.2.");
    is_made("seen", "public", "", "203.0.113.");
    is_made("tried", "lab", "", "198.51.100.");
    is_made("both", "public", "\"ipFamilyPolicy\":\"RequireDualStack\",", "203.0.113.");
    struct answer answer = service_get(&server, "both");
    ck_assert_int_eq(
        strncmp(answer_text(&answer, "status.loadBalancer.ingress.1.ip"), "2001:db8::", 10), 0);
    answer_free(&answer);
    is_refused(make("lost", "nowhere", ""),
               "metadata.annotations[ipalloc/load-balancer-pool]: Unsupported value: \"nowhere\": "
               "supported values: \"public\", \"lab\"");
    ck_assert_int_eq(leases_with("default/lost"), 0);
}
END_TEST

START_TEST(a_wish_is_for_an_address_of_the_chosen_pool) {
    is_made("wish", "public", "\"loadBalancerIP\":\"203.0.113.2\",", "203.0.113.2");
    is_refused(make("twice", "public", "\"loadBalancerIP\":\"203.0.113.2\","),
               "held by Service/default/wish/");
    is_refused(make("astray", "public", "\"loadBalancerIP\":\"192.0.2.1\","), "192.0.2.1");
    ck_assert_int_eq(leases_with("default/twice") + leases_with("default/astray"), 0);
}
END_TEST

START_TEST(another_pool_is_another_address_and_the_end_of_the_first) {
    is_made("web", "public", "\"ipFamilyPolicy\":\"RequireDualStack\",", "203.0.113.");
    must_change(&server, "web", "'ports':[{'port':81}]");
    ck_assert_int_eq(leases_with("203.0.113."), 1);
    struct answer answer = service_patch(
        &server, "web", "{'metadata':{'annotations':{'ipalloc/load-balancer-pool':'lab'}}}", "");
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    const char *address = answer_text(&answer, "status.loadBalancer.ingress.0.ip");
    ck_assert_msg(strncmp(address, "198.51.100.", 11) == 0, "%s", answer.text);
    ck_assert_str_eq(answer_text(&answer, "status.loadBalancer.ingress.1.ip"), "");
    answer_free(&answer);
    ck_assert_int_eq(leases_with("203.0.113."), 0);
    ck_assert_int_eq(leases_with("2001:db8::"), 0); /* lab has no IPv6 */
    answer = service_patch(&server, "web",
                           "{'metadata':{'annotations':{'ipalloc/load-balancer-pool':null}}}", "");
    ck_assert_msg(
        strncmp(answer_text(&answer, "status.loadBalancer.ingress.0.ip"), "192.0.2.", 8) == 0, "%s",
        answer.text);
    answer_free(&answer);
    ck_assert_int_eq(leases_with("198.51.100."), 0);
    must_change(&server, "web", "'type':'ClusterIP'");
    ck_assert_int_eq(leases_with("192.0.2."), 0);
    expect_nothing_to_repair(&server);
}
END_TEST

START_TEST(a_move_that_cannot_be_changes_nothing) {
    for (int i = 0; i < 4; i++) { /* all four addresses of a /30 are given out */
        char name[16];
        snprintf(name, sizeof name, "fill%d", i);
        is_made(name, "public", "", "203.0.113.");
    }
    is_made("web", "lab", "", "198.51.100.");
    struct answer before = service_get(&server, "web");
    is_refused(service_patch(&server, "web",
                             "{'metadata':{'annotations':{'ipalloc/load-balancer-pool':'public'}}}",
                             ""),
               "range is full");
    struct answer after = service_get(&server, "web");
    ck_assert_str_eq(before.text, after.text);
    answer_free(&before);
    answer_free(&after);
    must_delete(&server, "fill2");
    struct answer answer = service_patch(
        &server, "web", "{'metadata':{'annotations':{'ipalloc/load-balancer-pool':'public'}}}",
        "?dryRun=All");
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    answer_free(&answer);
    ck_assert_int_eq(leases_with("198.51.100."), 1);
    must_delete(&server, "web");
    ck_assert_int_eq(leases_with("198.51.100."), 0);
    expect_nothing_to_repair(&server);
}
END_TEST

/* The stored annotation says which pool the addresses are of: a write of the status must not. */
START_TEST(who_writes_the_status_chooses_no_pool) {
    static const char lab[] =
        "{'metadata':{'annotations':{'ipalloc/load-balancer-pool':'lab','seen':'yes'}}}";
    is_made("web", "public", "", "203.0.113.");
    is_made("plain", "", "", "192.0.2.");
    static const char *const names[] = {"web/status", "plain/status"};
    for (int i = 0; i < 2; i++) {
        struct answer answer = service_patch(&server, names[i], lab, "");
        ck_assert_msg(answer.code == 200 && strstr(answer.text, "\"seen\"") != NULL &&
                          strstr(answer.text, "\"lab\"") == NULL,
                      "%s", answer.text);
        answer_free(&answer);
    }
    must_change(&server, "web", "'ports':[{'port':81}]");
    must_change(&server, "plain", "'ports':[{'port':81}]");
    ck_assert_int_eq(leases_with("203.0.113."), 1);
    ck_assert_int_eq(leases_with("192.0.2."), 1);
    ck_assert_int_eq(leases_with("198.51.100."), 0);
}
END_TEST

START_TEST(what_another_controller_serves_may_name_any_pool) {
    struct answer answer = make("theirs", "gold", "\"loadBalancerClass\":\"example.com/lb\",");
    ck_assert_msg(answer.code == 201, "%s", answer.text);
    answer_free(&answer);
    ck_assert_int_eq(leases_with("loadBalancer/"), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("load balancers");
    TCase *tests = tcase_create("load balancers");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, the_annotation_chooses_the_pool);
    tcase_add_test(tests, a_wish_is_for_an_address_of_the_chosen_pool);
    tcase_add_test(tests, another_pool_is_another_address_and_the_end_of_the_first);
    tcase_add_test(tests, a_move_that_cannot_be_changes_nothing);
    tcase_add_test(tests, who_writes_the_status_chooses_no_pool);
    tcase_add_test(tests, what_another_controller_serves_may_name_any_pool);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
