/* ServiceCIDRs and several API servers on one etcd: a range that one adds all others give from, and
 * their passes end. */
#include "apiservers.h"
#include "cidr_client.h"
#include "watch_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT    "'ports':[{'port':80}]"
#define LATER_S 13 /* by then each server has looked whether something was left undone */

START_TEST(a_range_that_one_server_adds_the_other_gives_from) {
    char name[16];
    two_servers(SMALL);
    for (int i = 0; i < SMALL_SIZE - 1; i++) {
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[0], name, PORT);
    }
    cidr_server = servers[0];
    cidr_make("more", "\"10.97.0.0/24\"");
    must_create(&servers[1], "there", PORT); /* full is said only after asking */
    char *address = text_of(0, SERVICES "/there", "spec.clusterIP");
    ck_assert_int_eq(strncmp(address, "10.97.0.", 8), 0);
    free(address);
    cidr_server = servers[1];
    pool_expect("services-v4", "10.96.0.0/28 10.97.0.0/24");

    /* Deleted there, it waits for what the other one gave; and goes when that is released. */
    struct answer deleted = cidr_delete("more");
    ck_assert_msg(deleted.code == 200, "%ld %s", deleted.code, deleted.text);
    answer_free(&deleted);
    ck_assert_msg(strstr(cidr_ready("more"), "default/there") != NULL, "%s", cidr_ready("more"));
    cidr_server = servers[0];
    pool_expect("services-v4", "10.96.0.0/28 10.97.0.0/24!");
    struct answer full = service_create(&servers[0], "beyond", PORT, "");
    ck_assert_msg(full.code == 500, "%ld %s", full.code, full.text);
    answer_free(&full);
    must_delete(&servers[0], "there");
    cidr_expect_gone("more");
    for (int i = 0; i < 2; i++) {
        cidr_server = servers[i];
        pool_expect("services-v4", "10.96.0.0/28");
    }
    expect_sound(0);
    apiservers_end();
}
END_TEST

START_TEST(a_second_family_that_one_server_adds_the_other_serves) {
    two_servers(SMALL);
    struct stream watch = stream_open(&servers[1], CIDRS, "", "application/json");
    stream_expect(&watch, "ADDED", "kubernetes");
    cidr_server = servers[0];
    cidr_make("six", "\"fd00:96::/112\"");
    stream_expect(&watch, "ADDED", "six");
    stream_expect(&watch, "MODIFIED", "six"); /* it is ready */
    must_create(&servers[1], "both", "'ipFamilyPolicy':'RequireDualStack'," PORT);
    must_create(&servers[0], "both-too", "'ipFamilyPolicy':'RequireDualStack'," PORT);
    stream_close(&watch);
    expect_sound(0);
    apiservers_end();
}
END_TEST

struct cidr_maker {
    int index;
    char name[32], cidr[64];
    long code;
};

static void *make_cidr(void *context) {
    struct cidr_maker *maker = context;
    char body[512];
    snprintf(body, sizeof body,
             "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\",\"metadata\":"
             "{\"name\":\"%s\"},\"spec\":{\"cidrs\":[\"%s\"]}}",
             maker->name, maker->cidr);
    struct answer answer = server_post(&servers[maker->index], CIDRS, body);
    maker->code = answer.code;
    answer_free(&answer);
    return NULL;
}

static bool all_are_ready(void *context) {
    const struct cidr_maker *makers = context;
    for (int i = 0; i < 6; i++) {
        if (strcmp(cidr_ready(makers[i].name), "True") != 0) {
            return false;
        }
    }
    return true;
}

/* Passes of several servers at once: each object ends Ready, each range is given from, and then
 * nobody writes any more, also not those that look later whether something was left undone. */
START_TEST(passes_of_several_servers_end_in_peace) {
    struct cidr_maker makers[6];
    char *versions[6];
    char parameters[128];
    apiservers_begin(1);
    apiservers_launch(3, SMALL);
    for (int i = 0; i < 6; i++) {
        makers[i] = (struct cidr_maker){.index = i % 3};
        snprintf(makers[i].name, sizeof makers[i].name, "more-%d", i);
        snprintf(makers[i].cidr, sizeof makers[i].cidr, "10.97.%d.0/24", i);
    }
    run_together(make_cidr, makers, sizeof makers[0], 6);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(makers[i].code, 201);
    }
    cidr_server = servers[1];
    wait_until(all_are_ready, makers, 20, "all six are Ready");
    for (int i = 0; i < 3; i++) {
        cidr_server = servers[i];
        pool_expect("services-v4", "10.96.0.0/28 10.97.0.0/24 10.97.1.0/24 10.97.2.0/24 "
                                   "10.97.3.0/24 10.97.4.0/24 10.97.5.0/24");
    }
    char *before = text_of(0, CIDRS, "metadata.resourceVersion");
    for (int i = 0; i < 6; i++) {
        char path[128];
        snprintf(path, sizeof path, CIDRS "/%s", makers[i].name);
        versions[i] = text_of(0, path, "metadata.resourceVersion");
    }
    sleep(LATER_S);
    snprintf(parameters, sizeof parameters,
             "timeoutSeconds=1&allowWatchBookmarks=1&resourceVersion=%s", before);
    struct stream watch = stream_open(&servers[2], CIDRS, parameters, "application/json");
    char *events = stream_take(&watch, "BOOKMARK"); /* the end, and nothing before it */
    ck_assert_msg(strlen(events) < 20, "%.600s", events);
    stream_close(&watch);
    for (int i = 0; i < 6; i++) {
        char path[128];
        snprintf(path, sizeof path, CIDRS "/%s", makers[i].name);
        char *version = text_of(1, path, "metadata.resourceVersion");
        ck_assert_str_eq(version, versions[i]);
        free(version);
        free(versions[i]);
    }
    free(before);
    apiservers_end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiservers and ServiceCIDRs");
    TCase *cases = tcase_create("cidrs");
    tcase_set_timeout(cases, 90);
    tcase_add_test(cases, a_range_that_one_server_adds_the_other_gives_from);
    tcase_add_test(cases, a_second_family_that_one_server_adds_the_other_serves);
    tcase_add_test(cases, passes_of_several_servers_end_in_peace);
    suite_add_tcase(suite, cases);
    return apiservers_main(suite);
}
