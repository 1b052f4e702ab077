/* What a start with another --load-balancer-ip-range makes of the pools that were there: addresses
 * that are held stay held, what is not given any more is free for others, nothing is doubled. */
#include "server_process.h"
#include "service_client.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT "--load-balancer-ip-range="
#define PUBLIC  DEFAULT "public="
#define LAB     DEFAULT "lab="

static const char *directory;
static char store[512];
static struct server_process server;

static void set_up(void) {
    char url[300];
    directory = test_directory_make();
    snprintf(url, sizeof url, "sqlite:%s/db", directory);
    snprintf(store, sizeof store, "--store=%s", server_store_url(url));
    server = (struct server_process){0};
}

static void stop(void) {
    if (server.pid != 0) {
        expect_nothing_to_repair(&server);
        ck_assert_int_eq(server_stop(&server), 0);
        server = (struct server_process){0};
    }
}

static void tear_down(void) {
    stop();
    test_directory_remove(directory);
}

/* Stop it, if it runs, and start it with these flags (NULL: none). */
static void start(const char *flag, const char *second) {
    const char *arguments[] = {store, flag, flag != NULL ? second : NULL, NULL};
    stop();
    server = server_start(arguments);
}

/* It does not start with these flags, and says this. */
static void start_is_refused(const char *flag, const char *second, const char *words) {
    const char *arguments[] = {store, "--listen=127.0.0.1:0", flag, second, NULL};
    char errors[4096];
    stop();
    ck_assert_int_eq(server_run(arguments, errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, words) != NULL, "%s", errors);
}

static void make(const char *name, const char *pool, const char *more) {
    char body[1024];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\",\"annotations\":{%s%s%s}},\"spec\":{\"type\":"
             "\"LoadBalancer\",%s\"ports\":[{\"port\":80}]}}",
             name, pool[0] != '\0' ? "\"ipalloc/load-balancer-pool\":\"" : "", pool,
             pool[0] != '\0' ? "\"" : "", more);
    struct answer answer = server_post(&server, SERVICES, body);
    ck_assert_msg(answer.code == 201, "%s: %s", name, answer.text);
    answer_free(&answer);
}

static void has_address(const char *name, const char *prefix) {
    struct answer answer = service_get(&server, name);
    const char *address = answer_text(&answer, "status.loadBalancer.ingress.0.ip");
    ck_assert_msg(prefix[0] != '\0' ? strncmp(address, prefix, strlen(prefix)) == 0
                                    : address[0] == '\0',
                  "%s: %s", name, answer.text);
    answer_free(&answer);
}

static void change_is(int code, const char *name, const char *patch) {
    struct answer answer = service_patch(&server, name, patch, "");
    ck_assert_msg(answer.code == code, "%ld %s", answer.code, answer.text);
    answer_free(&answer);
}

static void create_is_refused(const char *pool) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"no\",\"annotations\":{\"ipalloc/load-balancer-pool\":"
             "\"%s\"}},\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":80}]}}",
             pool);
    struct answer answer = server_post(&server, SERVICES, body);
    ck_assert_msg(answer.code == 422, "%ld %s", answer.code, answer.text);
    answer_free(&answer);
}

START_TEST(a_range_given_by_mistake_is_corrected_by_the_next_start) {
    start(DEFAULT "192.0.2.0/24", NULL);
    start(DEFAULT "198.51.100.0/24", NULL);
    make("web", "", "");
    has_address("web", "198.51.100.");
    start(DEFAULT "198.51.100.0/24", PUBLIC "192.0.2.0/24"); /* nobody has that any more */
    make("seen", "public", "");
    has_address("seen", "192.0.2.");
}
END_TEST

START_TEST(what_is_held_in_a_range_without_a_flag_stays_and_nothing_new_is_given) {
    start(DEFAULT "192.0.2.0/30", NULL);
    make("web", "", "\"loadBalancerIP\":\"192.0.2.1\",");
    make("other", "", "");
    start(DEFAULT "198.51.100.0/24", NULL);
    has_address("web", "192.0.2.1");
    change_is(200, "web", "{'spec':{'ports':[{'port':81}]}}");
    has_address("web", "192.0.2.1");
    make("new", "", "");
    has_address("new", "198.51.100.");
    change_is(200, "web", "{'metadata':{'labels':{'a':'b'}}}");
    start_is_refused(DEFAULT "198.51.100.0/24", PUBLIC "192.0.2.0/24",
                     "192.0.2.0/30 of pool load-balancers-v4");
    start(DEFAULT "198.51.100.0/24", NULL);
    must_delete(&server, "web");
    change_is(200, "other", "{'spec':{'type':'ClusterIP'}}");
    has_address("other", "");
    start(DEFAULT "198.51.100.0/24", PUBLIC "192.0.2.0/24");
    make("web", "public", "\"loadBalancerIP\":\"192.0.2.1\",");
    has_address("web", "192.0.2.1");
}
END_TEST

START_TEST(a_range_grows_and_shrinks_in_place) {
    start(DEFAULT "192.0.2.0/30", NULL);
    make("web", "", "\"loadBalancerIP\":\"192.0.2.2\",");
    start(DEFAULT "192.0.2.0/28", NULL);
    has_address("web", "192.0.2.2");
    make("wide", "", "\"loadBalancerIP\":\"192.0.2.12\",");
    start(DEFAULT "192.0.2.0/30", NULL);
    has_address("web", "192.0.2.2");
    has_address("wide", "192.0.2.12");
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "more%d", i);
        make(name, "", "");
        has_address(name, "192.0.2.");
    }
}
END_TEST

START_TEST(who_waits_gets_an_address_of_the_range_that_was_added) {
    start(DEFAULT "192.0.2.0/31", NULL);
    make("a", "", "");
    make("b", "", "");
    make("late", "", "");
    has_address("late", "");
    start(DEFAULT "192.0.2.0/31,198.51.100.0/24", NULL);
    double until = seconds_now() + 20;
    char address[64] = "";
    while (address[0] == '\0' && seconds_now() < until) {
        struct answer answer = service_get(&server, "late");
        snprintf(address, sizeof address, "%s",
                 answer_text(&answer, "status.loadBalancer.ingress.0.ip"));
        answer_free(&answer);
        usleep(20000);
    }
    has_address("late", "198.51.100.");
}
END_TEST

START_TEST(a_pool_without_a_flag_keeps_what_it_has_until_its_services_leave) {
    start(DEFAULT "192.0.2.0/24", PUBLIC "203.0.113.0/24");
    make("stays", "public", "");
    make("moves", "public", "");
    make("ends", "public", "");
    start(DEFAULT "192.0.2.0/24", NULL);
    create_is_refused("public");
    change_is(200, "stays", "{'spec':{'ports':[{'port':81}]}}");
    has_address("stays", "203.0.113.");
    change_is(200, "moves", "{'metadata':{'annotations':{'ipalloc/load-balancer-pool':null}}}");
    has_address("moves", "192.0.2.");
    change_is(422, "moves", "{'metadata':{'annotations':{'ipalloc/load-balancer-pool':'public'}}}");
    change_is(200, "ends", "{'spec':{'type':'ClusterIP'}}");
    char *leases = leases_now(&server);
    const char *first = strstr(leases, "203.0.113.");
    ck_assert_msg(first != NULL && strstr(first + 1, "203.0.113.") == NULL, "%s", leases);
    free(leases);
    start(NULL, NULL); /* none at all: the rest stays held, new ones wait for another controller */
    has_address("stays", "203.0.113.");
    has_address("moves", "192.0.2.");
    make("later", "", "");
    has_address("later", "");
    must_delete(&server, "stays");
    start(DEFAULT "203.0.113.0/24", NULL);
    make("plain", "", "");
    has_address("plain", "203.0.113.");
}
END_TEST

START_TEST(ranges_go_from_pool_to_pool_where_nothing_is_held) {
    start(PUBLIC "203.0.113.0/24", LAB "198.51.100.0/24");
    start(PUBLIC "198.51.100.0/25", DEFAULT "203.0.113.0/24"); /* lab ends, the others move */
    make("web", "public", "");
    has_address("web", "198.51.100.");
    make("plain", "", "");
    has_address("plain", "203.0.113.");
    start_is_refused(LAB "198.51.100.0/24", DEFAULT "203.0.113.0/24", "overlaps");
    start(PUBLIC "198.51.100.0/25", DEFAULT "203.0.113.0/24");
    has_address("web", "198.51.100.");
    make("more", "public", "");
    has_address("more", "198.51.100.");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("load-balancer flags");
    TCase *tests = tcase_create("load-balancer flags");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_range_given_by_mistake_is_corrected_by_the_next_start);
    tcase_add_test(tests, what_is_held_in_a_range_without_a_flag_stays_and_nothing_new_is_given);
    tcase_add_test(tests, a_range_grows_and_shrinks_in_place);
    tcase_add_test(tests, who_waits_gets_an_address_of_the_range_that_was_added);
    tcase_add_test(tests, a_pool_without_a_flag_keeps_what_it_has_until_its_services_leave);
    tcase_add_test(tests, ranges_go_from_pool_to_pool_where_nothing_is_held);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
