/* Load-balancer addresses: pools with names, chosen by annotation, moved between, given back. */
#include "server_process.h"
#include "service_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    is_refused(make("lost", "no\\\"where", ""), "Unsupported value: \"no\\\"where\": ");
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

static void fill_public(void) {
    for (int i = 0; i < 4; i++) { /* all four addresses of a /30 are given out */
        char name[16];
        snprintf(name, sizeof name, "fill%d", i);
        is_made(name, "public", "", "203.0.113.");
    }
}

START_TEST(a_move_that_cannot_be_changes_nothing) {
    fill_public();
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

/* It is made all the same, without an address, and says why. */
static void waits(const char *name, const char *pool, const char *more) {
    struct answer answer = make(name, pool, more);
    ck_assert_msg(answer.code == 201, "%s: %s", name, answer.text);
    ck_assert_str_eq(answer_text(&answer, "status.conditions.0.type"), "ipalloc/LoadBalancerWaits");
    ck_assert_str_ne(answer_text(&answer, "spec.ports.0.nodePort"), "");
    answer_free(&answer);
}

/* It comes to have so many addresses, the first of which begins so. */
static void gets(const char *name, const char *prefix, int count) {
    double until = seconds_now() + 20;
    struct answer answer;
    char last[48];
    snprintf(last, sizeof last, "status.loadBalancer.ingress.%d.ip", count - 1);
    for (;;) {
        answer = service_get(&server, name);
        if (answer_text(&answer, last)[0] != '\0' || seconds_now() > until) {
            break;
        }
        answer_free(&answer);
        usleep(20000);
    }
    const char *address = answer_text(&answer, "status.loadBalancer.ingress.0.ip");
    ck_assert_msg(strncmp(address, prefix, strlen(prefix)) == 0, "%s", answer.text);
    ck_assert_str_ne(answer_text(&answer, last), "");
    answer_free(&answer);
}

static bool has_address(const char *name) {
    struct answer answer = service_get(&server, name);
    bool has = answer_text(&answer, "status.loadBalancer.ingress.0.ip")[0] != '\0';
    answer_free(&answer);
    return has;
}

/* An Event says that it waits. */
static void is_told(const char *name) {
    char path[160];
    double until = seconds_now() + 20;
    snprintf(path, sizeof path,
             "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=%s", name);
    for (;;) {
        struct answer answer = server_get(&server, path);
        bool told = strcmp(answer_text(&answer, "items.0.reason"), "LoadBalancerWaits") == 0 &&
                    answer_text(&answer, "items.1.reason")[0] == '\0';
        ck_assert_msg(told || seconds_now() < until, "%s", answer.text);
        answer_free(&answer);
        if (told) {
            return;
        }
        usleep(20000);
    }
}

START_TEST(for_an_address_of_a_full_pool_a_service_waits) {
    fill_public();
    waits("first", "public", "");
    is_told("first");
    must_change(&server, "first", "'ports':[{'port':81}]");
    struct answer before = service_get(&server, "first");
    usleep(1100000); /* the times of conditions are in seconds */
    struct answer again = service_patch(&server, "first", "{}", "");
    ck_assert_str_eq(answer_text(&again, "metadata.resourceVersion"),
                     answer_text(&before, "metadata.resourceVersion")); /* in vain: no change */
    answer_free(&before);
    answer_free(&again);
    waits("second", "public", "");
    is_told("second");
    ck_assert_int_eq(leases_with("203.0.113."), 4);
    must_delete(&server, "fill1");
    gets("first", "203.0.113.", 1); /* the older one */
    ck_assert(!has_address("second"));
    struct answer answer = service_get(&server, "first");
    ck_assert_str_eq(answer_text(&answer, "status.conditions"), "");
    answer_free(&answer);
    must_change(&server, "fill2", "'type':'ClusterIP'");
    gets("second", "203.0.113.", 1);
    ck_assert_int_eq(leases_with("203.0.113."), 4);
    waits("third", "public", "");
    must_change(&server, "third", "'type':'ClusterIP'"); /* waits no longer */
    must_delete(&server, "fill3");
    expect_nothing_to_repair(&server);
    answer = service_get(&server, "third");
    ck_assert_str_eq(answer_text(&answer, "status.conditions"), "");
    answer_free(&answer);
}
END_TEST

/* Who waits for one family holds up nobody who waits for both, and has the other one meanwhile. */
START_TEST(families_are_waited_for_one_by_one) {
    fill_public();
    waits("both", "public", "\"ipFamilyPolicy\":\"RequireDualStack\",");
    gets("both", "2001:db8::", 1);
    for (int i = 0; i < 3; i++) { /* the other three of the /126 */
        char name[16];
        snprintf(name, sizeof name, "six%d", i);
        is_made(name, "public", "\"ipFamilies\":[\"IPv6\"],", "2001:db8::");
    }
    waits("none", "public", "\"ipFamilyPolicy\":\"RequireDualStack\",");
    must_delete(&server, "six0");
    gets("none", "2001:db8::", 1);
    must_delete(&server, "fill0");
    must_delete(&server, "fill1");
    gets("both", "203.0.113.", 2);
    gets("none", "203.0.113.", 2);
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
    tcase_add_test(tests, for_an_address_of_a_full_pool_a_service_waits);
    tcase_add_test(tests, families_are_waited_for_one_by_one);
    tcase_add_test(tests, who_writes_the_status_chooses_no_pool);
    tcase_add_test(tests, what_another_controller_serves_may_name_any_pool);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
