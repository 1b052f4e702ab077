/* Several API servers on one etcd: what one stores, all others show, at once and in one order; and
 * two that want the same agree on who has it. */
#include "apiservers.h"
#include "cidr_client.h"
#include "watch_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define ALL_SERVICES "/api/v1/services"
#define ADDRESSES    "/apis/networking.k8s.io/v1/ipaddresses"
#define PORT         "'ports':[{'port':80}]"
#define ALLOCATED    "kube_apiserver_clusterip_allocator_allocated_ips{cidr=\"10.96.0.0/28\"}"
#define AVAILABLE    "kube_apiserver_clusterip_allocator_available_ips{cidr=\"10.96.0.0/28\"}"

static void expect_same(int count, const char *path, const char *member) {
    char *first = text_of(0, path, member);
    ck_assert_str_ne(first, "");
    for (int i = 1; i < count; i++) {
        char *other = text_of(i, path, member);
        ck_assert_str_eq(first, other);
        free(other);
    }
    free(first);
}

static size_t count_items(int index, const char *path) {
    struct json_object *items = NULL;
    struct answer answer = server_get(&servers[index], path);
    json_object_object_get_ex(answer.json, "items", &items);
    ck_assert_msg(items != NULL, "%s: %s", path, answer.text);
    size_t count = json_object_array_length(items);
    answer_free(&answer);
    return count;
}

/* --- starting --------------------------------------------------------------------------------- */

START_TEST(servers_that_start_at_the_same_moment_make_everything_once) {
    apiservers_begin(1);
    apiservers_launch(4, "--service-cluster-ip-range=10.96.0.0/24,fd00:96::/112");
    expect_same(4, "/api/v1/namespaces/default/services/kubernetes", "metadata.uid");
    expect_same(4, "/apis/networking.k8s.io/v1/servicecidrs/kubernetes", "metadata.uid");
    expect_same(4, "/api/v1/namespaces/kube-system", "metadata.uid");
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(count_services(i), 1);
    }
    for (int i = 0; i < 4; i++) {
        char name[16];
        ck_assert_uint_eq(count_items(i, "/api/v1/namespaces"), 4);
        ck_assert_uint_eq(count_items(i, CIDRS), 1);
        snprintf(name, sizeof name, "of-%d", i);
        must_create(&servers[i], name, "'ipFamilyPolicy':'RequireDualStack'," PORT);
        cidr_server = servers[i];
        ck_assert_str_eq(pool_ranges("services-v4"), "10.96.0.0/24");
        ck_assert_str_eq(pool_ranges("services-v6"), "fd00:96::/112");
        ck_assert_str_eq(cidr_ready("kubernetes"), "True");
    }
    ck_assert_uint_eq(count_services(2), 5);
    expect_sound(3);
    apiservers_end();
}
END_TEST

static const char *const other_flags[][2] = {
    {"--service-cluster-ip-range=10.97.0.0/16", "10.96.0.0/16"},
    {"--service-cluster-ip-range=10.96.0.0/24", "10.96.0.0/16"},
    {"--service-node-port-range=30000-30009", "30000-32767"},
};

START_TEST(other_flags_are_a_mismatch_that_shows_both) {
    char errors[4096];
    apiservers_begin(1);
    apiserver_add(0, NULL, NULL);
    for (int i = 0; i < LENGTH(other_flags); i++) {
        const char *arguments[] = {apiservers_store(), "--listen=127.0.0.1:0", other_flags[i][0],
                                   NULL};
        ck_assert_int_eq(server_run(arguments, errors, sizeof errors), 1);
        const char *given = strchr(other_flags[i][0], '=') + 1;
        ck_assert_msg(strstr(errors, given) != NULL, "%s", errors);
        ck_assert_msg(strstr(errors, other_flags[i][1]) != NULL, "%s", errors);
        ck_assert_msg(strstr(errors, ipalloc_strerror(IPALLOC_E_MISMATCH)) != NULL, "%s", errors);
    }
    must_create(&servers[0], "web", PORT);
    apiservers_end();
}
END_TEST

/* Whoever is first, the other one ends, and the store is as the first one wanted it. */
START_TEST(of_two_with_different_ranges_that_start_at_the_same_moment_one_serves) {
    static const char *const flags[] = {"--service-cluster-ip-range=10.96.0.0/24",
                                        "--service-cluster-ip-range=10.97.0.0/24"};
    apiservers_begin(1);
    for (int i = 0; i < 2; i++) {
        const char *arguments[] = {apiservers_store(), flags[i], NULL};
        servers[i] = server_launch(arguments);
    }
    int serving = -1;
    for (int i = 0; i < 2; i++) {
        int status = 0;
        if (server_await(&servers[i])) {
            ck_assert_msg(serving < 0, "both serve");
            serving = i;
        } else {
            ck_assert_int_eq(waitpid(servers[i].pid, &status, 0), servers[i].pid);
            ck_assert_int_eq(WEXITSTATUS(status), 1);
            servers[i].pid = 0;
        }
    }
    ck_assert_int_ge(serving, 0);
    must_create(&servers[serving], "web", PORT);
    char *address = text_of(serving, SERVICES "/web", "spec.clusterIP");
    ck_assert_int_eq(strncmp(address, serving == 0 ? "10.96." : "10.97.", 6), 0);
    free(address);
    expect_sound(serving);
    apiservers_end();
}
END_TEST

/* --- reading ---------------------------------------------------------------------------------- */

START_TEST(what_one_has_answered_every_other_one_shows_at_once) {
    two_servers(NULL);
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[i % 2], name, PORT);
        int other = 1 - i % 2;
        ck_assert_msg(lists_service(other, name, ""), "%s is not in a list", name);
        ck_assert_msg(lists_service(other, name, "?limit=500"), "%s is not in a page", name);
        struct answer answer = service_get(&servers[other], name);
        ck_assert_int_eq(answer.code, 200);
        answer_free(&answer);
        if (i % 4 == 3) {
            must_delete(&servers[other], name);
            ck_assert_msg(!lists_service(i % 2, name, ""), "%s is still in a list", name);
            ck_assert_msg(!lists_service(i % 2, name, "?limit=500"), "%s is in a page", name);
        }
    }
    expect_sound(0);
    apiservers_end();
}
END_TEST

/* The pages of a list show one state, whichever server gives them; and a version that one server
 * gave is no version of the future to another. */
START_TEST(a_list_goes_on_at_another_server) {
    char path[1024];
    two_servers(NULL);
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[0], name, PORT);
    }
    struct answer first = server_get(&servers[0], SERVICES "?limit=3");
    ck_assert_int_eq(first.code, 200);
    must_delete(&servers[0], "web-5");
    snprintf(path, sizeof path, SERVICES "?limit=9&continue=%s",
             answer_text(&first, "metadata.continue"));
    struct answer rest = server_get(&servers[1], path);
    ck_assert_msg(rest.code == 200, "%ld %s", rest.code, rest.text);
    ck_assert_str_eq(answer_text(&rest, "metadata.resourceVersion"),
                     answer_text(&first, "metadata.resourceVersion"));
    ck_assert_str_eq(answer_text(&rest, "items.3.metadata.name"), "web-5");
    answer_free(&first);
    answer_free(&rest);

    /* Others than we write to this etcd, which counts that, too. */
    etcd_ctl_ok(members, "put", "/elsewhere", "1");
    for (int from = 0; from < 2; from++) {
        char *version = text_of(from, ALL_SERVICES, "metadata.resourceVersion");
        const char *const ways[] = {"", "&limit=2", "&resourceVersionMatch=Exact",
                                    "&resourceVersionMatch=Exact&limit=2"};
        for (int i = 0; i < LENGTH(ways); i++) {
            snprintf(path, sizeof path, ALL_SERVICES "?resourceVersion=%s%s", version, ways[i]);
            struct answer answer = server_get(&servers[1 - from], path);
            ck_assert_msg(answer.code == 200, "%s: %ld %s", path, answer.code, answer.text);
            answer_free(&answer);
        }
        free(version);
    }
    apiservers_end();
}
END_TEST

START_TEST(an_address_is_an_object_on_every_server) {
    char path[128];
    two_servers(NULL);
    must_create(&servers[0], "web", "'clusterIP':'10.96.0.77'," PORT);
    snprintf(path, sizeof path, ADDRESSES "/10.96.0.77");
    char *parent = text_of(1, path, "spec.parentRef.name");
    ck_assert_str_eq(parent, "web");
    free(parent);
    ck_assert_uint_eq(count_items(1, ADDRESSES), 2);
    struct stream watch = stream_open(&servers[1], ADDRESSES, "", "application/json");
    stream_expect(&watch, "ADDED", "10.96.0.1");
    stream_expect(&watch, "ADDED", "10.96.0.77");
    must_delete(&servers[0], "web");
    stream_expect(&watch, "DELETED", "10.96.0.77");
    stream_close(&watch);
    struct answer answer = server_get(&servers[1], path);
    ck_assert_int_eq(answer.code, 404);
    answer_free(&answer);
    apiservers_end();
}
END_TEST

/* --- watches ---------------------------------------------------------------------------------- */

static unsigned long long version_of(int index, const char *name) {
    struct answer answer = service_get(&servers[index], name);
    unsigned long long version =
        strtoull(answer_text(&answer, "metadata.resourceVersion"), NULL, 10);
    ck_assert_msg(version != 0, "%s: %s", name, answer.text);
    answer_free(&answer);
    return version;
}

START_TEST(a_watch_is_told_what_other_servers_do_in_order) {
    apiservers_begin(1);
    apiservers_launch(3, NULL);
    struct stream watch = stream_open(&servers[1], ALL_SERVICES, "", "application/json");
    stream_expect(&watch, "ADDED", "kubernetes");
    must_create(&servers[0], "web", PORT);
    unsigned long long made = version_of(0, "web");
    must_change(&servers[2], "web", "'sessionAffinity':'ClientIP'");
    unsigned long long changed = version_of(0, "web");
    must_delete(&servers[0], "web");
    must_create(&servers[1], "own", PORT);
    ck_assert_uint_eq(stream_expect(&watch, "ADDED", "web"), made);
    ck_assert_uint_eq(stream_expect(&watch, "MODIFIED", "web"), changed);
    ck_assert_uint_gt(stream_expect(&watch, "DELETED", "web"), changed);
    ck_assert_uint_eq(stream_expect(&watch, "ADDED", "own"), version_of(2, "own"));
    stream_close(&watch);
    apiservers_end();
}
END_TEST

/* The servers look at the store once a second, too; were that all, this would take 20 s. */
START_TEST(a_watch_does_not_wait_for_the_next_look) {
    two_servers(NULL);
    struct stream watch = stream_open(&servers[1], ALL_SERVICES, "", "application/json");
    stream_expect(&watch, "ADDED", "kubernetes");
    double total = 0;
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[0], name, PORT);
        double answered = seconds_now();
        stream_expect(&watch, "ADDED", name);
        total += seconds_now() - answered;
    }
    printf("from the answer on one server to the event on another: %.1f ms on average\n",
           total / 20 * 1000);
    ck_assert_msg(total < 10, "%.3f s for 20 events", total);
    stream_close(&watch);
    apiservers_end();
}
END_TEST

START_TEST(a_watch_goes_on_at_another_server) {
    char parameters[64];
    apiservers_begin(1);
    apiservers_launch(3, NULL);
    char *version = text_of(0, ALL_SERVICES, "metadata.resourceVersion");
    unsigned long long at = strtoull(version, NULL, 10);
    free(version);
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[i % 3], name, PORT);
        snprintf(parameters, sizeof parameters, "resourceVersion=%llu", at);
        struct stream watch =
            stream_open(&servers[(i + 1) % 3], ALL_SERVICES, parameters, "application/json");
        at = stream_expect(&watch, "ADDED", name);
        stream_close(&watch);
    }
    apiservers_end();
}
END_TEST

/* --- writing ---------------------------------------------------------------------------------- */

START_TEST(an_update_of_what_another_server_has_changed_is_a_conflict) {
    two_servers(NULL);
    must_create(&servers[0], "web", PORT);
    struct answer old = service_get(&servers[0], "web");
    must_change(&servers[1], "web", "'sessionAffinity':'ClientIP'");
    struct answer answer = server_ask(&servers[0], "PUT", SERVICES "/web", "application/json", NULL,
                                      old.text, strlen(old.text));
    ck_assert_msg(answer.code == 409, "%ld %s", answer.code, answer.text);
    ck_assert_str_eq(answer_text(&answer, "reason"), "Conflict");
    answer_free(&answer);
    answer_free(&old);
    char *affinity = text_of(0, SERVICES "/web", "spec.sessionAffinity");
    ck_assert_str_eq(affinity, "ClientIP");
    free(affinity);
    apiservers_end();
}
END_TEST

struct maker {
    int index;
    char name[32];
    const char *spec;
    pthread_barrier_t *barrier;
    long code;
    char reason[64];
};

static void *make(void *context) {
    struct maker *maker = context;
    pthread_barrier_wait(maker->barrier);
    struct answer answer = service_create(&servers[maker->index], maker->name, maker->spec, "");
    maker->code = answer.code;
    snprintf(maker->reason, sizeof maker->reason, "%s", answer_text(&answer, "reason"));
    answer_free(&answer);
    return NULL;
}

START_TEST(of_two_servers_that_make_the_same_name_one_answers_201_and_one_409) {
    enum { NAMES = 30 };
    two_servers(NULL);
    for (int i = 0; i < NAMES; i++) {
        pthread_barrier_t barrier;
        struct maker makers[2];
        pthread_barrier_init(&barrier, NULL, 2);
        for (int j = 0; j < 2; j++) {
            makers[j] = (struct maker){.index = j, .spec = PORT, .barrier = &barrier};
            snprintf(makers[j].name, sizeof makers[j].name, "web-%d", i);
        }
        run_together(make, makers, sizeof makers[0], 2);
        pthread_barrier_destroy(&barrier);
        int made = makers[1].code == 201;
        ck_assert_msg(makers[made].code == 201 && makers[1 - made].code == 409, "%ld and %ld",
                      makers[0].code, makers[1].code);
        ck_assert_str_eq(makers[1 - made].reason, "AlreadyExists");
    }
    ck_assert_uint_eq(count_services(0), NAMES + 1);
    ck_assert_uint_eq(count_items(1, ADDRESSES), NAMES + 1);
    expect_sound(1);
    apiservers_end();
}
END_TEST

/* What one gives is counted by the other, what one takes back the other gives again, and "full" is
 * said only where it is so. */
START_TEST(the_last_address_goes_round_between_servers) {
    char name[16];
    two_servers(SMALL);
    for (int i = 0; i < SMALL_SIZE - 1; i++) {
        snprintf(name, sizeof name, "web-%d", i);
        must_create(&servers[i % 2], name, PORT);
    }
    for (int i = 0; i < 30; i++) {
        for (int j = 0; j < 2; j++) {
            struct answer answer = service_create(&servers[j], "more", PORT, "");
            ck_assert_msg(answer.code == 500 && strstr(answer.text, "full") != NULL, "%ld %s",
                          answer.code, answer.text);
            answer_free(&answer);
        }
        snprintf(name, sizeof name, "web-%d", i % (SMALL_SIZE - 1));
        must_delete(&servers[i % 2], name);
        must_create(&servers[1 - i % 2], name, PORT);
    }
    expect_sound(0);
    apiservers_end();
}
END_TEST

struct gauges {
    int index;
    double allocated;
};

static bool gauges_agree(void *context) {
    const struct gauges *gauges = context;
    return metric_of(gauges->index, ALLOCATED) == gauges->allocated &&
           metric_of(gauges->index, AVAILABLE) == SMALL_SIZE - gauges->allocated;
}

START_TEST(gauges_of_every_server_count_what_all_have_given) {
    two_servers(SMALL);
    must_create(&servers[0], "one", PORT);
    must_create(&servers[1], "two", PORT);
    must_create(&servers[1], "three", PORT);
    must_delete(&servers[0], "two");
    for (int i = 0; i < 2; i++) {
        struct gauges gauges = {i, 3};
        wait_until(gauges_agree, &gauges, 10, "the gauges show 3 and 11");
    }
    apiservers_end();
}
END_TEST

START_TEST(operations_of_an_operator_work_on_any_server) {
    static const char reserve[] = "{\"place\":\"10.96.0.9\",\"pool\":\"services-v4\",\"owner\":"
                                  "\"router\",\"slot\":\"vip\"}";
    two_servers(SMALL);
    struct answer answer = server_post(&servers[0], "/ipalloc/v1/reserve", reserve);
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    answer_free(&answer);
    char *owner = text_of(1, "/ipalloc/v1/show?place=10.96.0.9", "items.0.owner");
    ck_assert_str_eq(owner, "router");
    free(owner);
    answer = server_post(&servers[1], "/ipalloc/v1/exclude", "{\"what\":\"10.96.0.10\"}");
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    answer_free(&answer);
    answer = service_create(&servers[0], "web", "'clusterIP':'10.96.0.10'," PORT, "");
    ck_assert_msg(answer.code == 422, "%ld %s", answer.code, answer.text);
    answer_free(&answer);
    answer = server_post(&servers[1], "/ipalloc/v1/release",
                         "{\"place\":\"10.96.0.9\",\"owner\":\"router\"}");
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    answer_free(&answer);
    must_create(&servers[0], "web", "'clusterIP':'10.96.0.9'," PORT);
    apiservers_end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiservers");
    TCase *cases = tcase_create("apiservers");
    tcase_set_timeout(cases, 90);
    tcase_add_test(cases, servers_that_start_at_the_same_moment_make_everything_once);
    tcase_add_test(cases, other_flags_are_a_mismatch_that_shows_both);
    tcase_add_test(cases, of_two_with_different_ranges_that_start_at_the_same_moment_one_serves);
    tcase_add_test(cases, what_one_has_answered_every_other_one_shows_at_once);
    tcase_add_test(cases, a_list_goes_on_at_another_server);
    tcase_add_test(cases, an_address_is_an_object_on_every_server);
    tcase_add_test(cases, a_watch_is_told_what_other_servers_do_in_order);
    tcase_add_test(cases, a_watch_does_not_wait_for_the_next_look);
    tcase_add_test(cases, a_watch_goes_on_at_another_server);
    tcase_add_test(cases, an_update_of_what_another_server_has_changed_is_a_conflict);
    tcase_add_test(cases, of_two_servers_that_make_the_same_name_one_answers_201_and_one_409);
    tcase_add_test(cases, the_last_address_goes_round_between_servers);
    tcase_add_test(cases, gauges_of_every_server_count_what_all_have_given);
    tcase_add_test(cases, operations_of_an_operator_work_on_any_server);
    suite_add_tcase(suite, cases);
    return apiservers_main(suite);
}
