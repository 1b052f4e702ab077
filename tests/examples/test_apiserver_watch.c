/* Watches, and what concurrent writers may and may not do to each other. */
#include "server_process.h"
#include "support.h"
#include "watch_stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICES "/api/v1/namespaces/default/services"
#define JSON     "application/json"
#define MERGE    "application/merge-patch+json"

static struct server_process server;

static void start(void) {
    /* whose watches would be counted among ours */
    const char *arguments[] = {"--endpoint-slices=off", NULL};
    server = server_start(arguments);
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

/* --- requests ----------------------------------------------------------------------------------
 */

/* Create NAME with this in its spec beside the ports; its resourceVersion as a number. */
static unsigned long long create(const char *name, const char *spec) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"ports\":[{\"port\":80}]}}", name, spec);
    struct answer answer = server_post(&server, SERVICES, body);
    ck_assert_msg(answer.code == 201, "%s: %ld %s", name, answer.code, answer.text);
    unsigned long long version =
        strtoull(answer_text(&answer, "metadata.resourceVersion"), NULL, 10);
    answer_free(&answer);
    return version;
}

static struct answer ask(const char *method, const char *name, const char *type, const char *body) {
    char path[256];
    snprintf(path, sizeof path, SERVICES "/%s", name);
    return server_ask(&server, method, path, type, NULL, body, body != NULL ? strlen(body) : 0);
}

static void expect_code(struct answer answer, long code) {
    ck_assert_msg(answer.code == code, "%ld %s", answer.code, answer.text);
    answer_free(&answer);
}

/* --- watches -----------------------------------------------------------------------------------
 */

static struct stream watch(const char *parameters, const char *accept) {
    return stream_open(&server, SERVICES, parameters, accept);
}

START_TEST(a_watch_sees_every_change_in_order_with_rising_versions) {
    struct stream stream = watch("", JSON);
    unsigned long long versions[5];
    versions[0] = stream_expect(&stream, "ADDED", "kubernetes");
    unsigned long long created = create("seen", "");
    versions[1] = stream_expect(&stream, "ADDED", "seen");
    ck_assert_uint_eq(versions[1], created);
    expect_code(ask("PATCH", "seen", MERGE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"), 200);
    versions[2] = stream_expect(&stream, "MODIFIED", "seen");
    expect_code(ask("PATCH", "seen", MERGE, "{\"spec\":{\"type\":\"NodePort\"}}"), 200);
    versions[3] = stream_expect(&stream, "MODIFIED", "seen");
    expect_code(ask("DELETE", "seen", NULL, NULL), 200);
    versions[4] = stream_expect(&stream, "DELETED", "seen");
    for (size_t i = 1; i < sizeof versions / sizeof versions[0]; i++) {
        ck_assert_uint_gt(versions[i], versions[i - 1]);
    }
    stream_close(&stream);
}
END_TEST

START_TEST(a_watch_resumes_after_a_version_and_misses_nothing) {
    char parameters[64];
    unsigned long long first = create("one", "");
    create("two", "");
    expect_code(ask("DELETE", "one", NULL, NULL), 200);
    snprintf(parameters, sizeof parameters, "resourceVersion=%llu", first);
    struct stream stream = watch(parameters, JSON);
    unsigned long long second = stream_expect(&stream, "ADDED", "two");
    unsigned long long deleted = stream_expect(&stream, "DELETED", "one");
    ck_assert_uint_gt(second, first);
    ck_assert_uint_gt(deleted, second);
    stream_close(&stream);
    snprintf(parameters, sizeof parameters, "resourceVersion=%llu", deleted);
    stream = watch(parameters, JSON); /* from the last one on there is only what is new */
    create("three", "");
    stream_expect(&stream, "ADDED", "three");
    stream_close(&stream);
}
END_TEST

START_TEST(a_watch_from_a_list_s_version_sees_what_came_after_the_list) {
    char parameters[64];
    create("before", "");
    struct answer list = server_get(&server, SERVICES);
    snprintf(parameters, sizeof parameters, "resourceVersion=%s",
             answer_text(&list, "metadata.resourceVersion"));
    answer_free(&list);
    create("after", "");
    struct stream stream = watch(parameters, JSON);
    stream_expect(&stream, "ADDED", "after");
    stream_close(&stream);
}
END_TEST

START_TEST(a_watch_with_a_selector_sees_services_enter_and_leave_it) {
    struct stream stream = watch("labelSelector=tier%3Dfront", JSON);
    create("other", "");
    create("mine", "");
    expect_code(ask("PATCH", "mine", MERGE, "{\"metadata\":{\"labels\":{\"tier\":\"front\"}}}"),
                200);
    stream_expect(&stream, "ADDED", "mine");
    expect_code(ask("PATCH", "mine", MERGE, "{\"metadata\":{\"labels\":{\"tier\":\"back\"}}}"),
                200);
    stream_expect(&stream, "DELETED", "mine");
    stream_close(&stream);
}
END_TEST

/* The stream is one event, and the server ends it. */
static void expect_expired(unsigned long long version) {
    char path[256];
    snprintf(path, sizeof path, SERVICES "?watch=1&resourceVersion=%llu", version);
    struct answer answer = server_get(&server, path);
    ck_assert_int_eq(answer.code, 200);
    ck_assert_str_eq(answer_text(&answer, "type"), "ERROR");
    ck_assert_str_eq(answer_text(&answer, "object.code"), "410");
    ck_assert_str_eq(answer_text(&answer, "object.reason"), "Expired");
    ck_assert_ptr_nonnull(strstr(answer.text, "too old resource version"));
    answer_free(&answer);
}

/* A version from before this life of the process is no longer in memory, whatever the store is. */
START_TEST(a_version_that_is_too_old_is_410_in_an_event) {
    char store[512];
    const char *directory = test_directory_make();
    snprintf(store, sizeof store, "--store=sqlite:%s/store.db", directory);
    const char *arguments[] = {store, NULL};
    stop();
    server = server_start(arguments);
    unsigned long long old = create("old", "");
    create("newer", "");
    server_kill(&server);
    server = server_start(arguments);
    expect_expired(old);
    expect_code(server_get(&server, SERVICES "?watch=1&resourceVersion=x"), 400);
    test_directory_remove(directory);
}
END_TEST

START_TEST(a_version_of_another_life_of_the_store_is_too_old) {
    expect_expired(99);            /* from before there were epochs */
    expect_expired(2000000000001); /* of an epoch that this store is not in */
}
END_TEST

START_TEST(a_table_watch_has_columns_once_and_a_row_an_event) {
    struct stream stream =
        watch("", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
    struct json_object *event = stream_next(&stream);
    ck_assert_str_eq(json_text_at(event, "type"), "ADDED");
    ck_assert_str_eq(json_text_at(event, "object.kind"), "Table");
    ck_assert_str_eq(json_text_at(event, "object.columnDefinitions.2.name"), "Cluster-IP");
    ck_assert_str_eq(json_text_at(event, "object.rows.0.cells.0"), "kubernetes");
    json_object_put(event);
    create("row", "\"clusterIP\":\"10.96.3.3\",");
    event = stream_next(&stream);
    ck_assert_str_eq(json_text_at(event, "object.columnDefinitions.0.name"), "");
    ck_assert_str_eq(json_text_at(event, "object.rows.0.cells.0"), "row");
    ck_assert_str_eq(json_text_at(event, "object.rows.0.cells.2"), "10.96.3.3");
    ck_assert_str_eq(json_text_at(event, "object.rows.1"), "");
    json_object_put(event);
    stream_close(&stream);
}
END_TEST

START_TEST(timeout_seconds_ends_a_watch) {
    double begin = seconds_now();
    struct stream stream = watch("timeoutSeconds=1", JSON);
    stream_expect(&stream, "ADDED", "kubernetes");
    stream_expect_end(&stream);
    double took = seconds_now() - begin;
    ck_assert_msg(took > 0.9 && took < 10, "it took %.2f s", took);
    stream_close(&stream);
}
END_TEST

START_TEST(a_bookmark_comes_before_the_end_of_a_watch_that_wants_them) {
    struct stream stream = watch("timeoutSeconds=1&allowWatchBookmarks=true", JSON);
    unsigned long long version = stream_expect(&stream, "ADDED", "kubernetes");
    ck_assert_uint_ge(stream_expect(&stream, "BOOKMARK", ""), version);
    stream_expect_end(&stream);
    stream_close(&stream);
}
END_TEST

#define WATCHES 20

START_TEST(many_watches_see_the_same_and_cost_nothing_when_they_leave) {
    struct stream streams[WATCHES];
    for (size_t i = 0; i < WATCHES; i++) {
        streams[i] = watch("fieldSelector=metadata.name%3Dshared", JSON);
    }
    unsigned long long version = create("shared", "");
    for (size_t i = 0; i < WATCHES; i++) {
        ck_assert_uint_eq(stream_expect(&streams[i], "ADDED", "shared"), version);
        stream_close(&streams[i]);
    }
    double until = seconds_now() + 10;
    bool gone = false;
    while (!gone && seconds_now() < until) {
        struct answer answer = server_get(&server, "/metrics");
        gone = strstr(answer.text, "\nipalloc_apiserver_watches 0\n") != NULL;
        answer_free(&answer);
        usleep(20000);
    }
    ck_assert(gone);
}
END_TEST

/* --- writers -----------------------------------------------------------------------------------
 */

struct rival {
    pthread_t thread;
    pthread_barrier_t *start;
    unsigned number, round;
    char name[64];
    struct answer answer;
};

static void *grab(void *context) {
    struct rival *rival = context;
    char body[256];
    snprintf(rival->name, sizeof rival->name, "rival-%u-%u", rival->round, rival->number);
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"clusterIP\":\"10.96.9.%u\",\"ports\":[{"
             "\"port\":80}]}}",
             rival->name, rival->round + 1);
    pthread_barrier_wait(rival->start);
    rival->answer = server_post(&server, SERVICES, body);
    return NULL;
}

static void expect_one_winner(const struct rival *winner, const struct rival *loser) {
    ck_assert_int_eq(winner->answer.code, 201);
    ck_assert_msg(loser->answer.code == 422, "%ld %s", loser->answer.code, loser->answer.text);
    ck_assert_str_eq(answer_text(&loser->answer, "reason"), "Invalid");
    const char *message = answer_text(&loser->answer, "message");
    ck_assert_msg(strstr(message, winner->name) != NULL, "%s does not name %s", message,
                  winner->name);
    expect_code(ask("GET", winner->name, NULL, NULL), 200);
    expect_code(ask("GET", loser->name, NULL, NULL), 404);
}

START_TEST(of_two_that_ask_for_one_address_one_gets_it_and_the_other_learns_who_did) {
    for (unsigned round = 0; round < 20; round++) {
        pthread_barrier_t barrier;
        struct rival rivals[2] = {0};
        pthread_barrier_init(&barrier, NULL, 2);
        for (unsigned i = 0; i < 2; i++) {
            rivals[i].start = &barrier;
            rivals[i].number = i;
            rivals[i].round = round;
            ck_assert_int_eq(pthread_create(&rivals[i].thread, NULL, grab, &rivals[i]), 0);
        }
        for (unsigned i = 0; i < 2; i++) {
            pthread_join(rivals[i].thread, NULL);
        }
        bool first = rivals[0].answer.code == 201;
        expect_one_winner(&rivals[first ? 0 : 1], &rivals[first ? 1 : 0]);
        answer_free(&rivals[0].answer);
        answer_free(&rivals[1].answer);
        pthread_barrier_destroy(&barrier);
    }
}
END_TEST

static const char dry[] = "{\"metadata\":{\"name\":\"dry\"},\"spec\":{\"type\":\"NodePort\","
                          "\"clusterIP\":\"10.96.4.4\",\"ports\":[{\"port\":80,\"nodePort\":"
                          "31000}]}}";

START_TEST(a_dry_run_answers_as_if_and_keeps_nothing) {
    struct answer answer = server_post(&server, SERVICES "?dryRun=All", dry);
    ck_assert_int_eq(answer.code, 201);
    ck_assert_str_eq(answer_text(&answer, "spec.clusterIP"), "10.96.4.4");
    answer_free(&answer);
    expect_code(ask("GET", "dry", NULL, NULL), 404);
    answer = server_post(&server, SERVICES, dry); /* the address and the port are still free */
    ck_assert_int_eq(answer.code, 201);
    answer_free(&answer);
    expect_code(ask("PATCH", "dry?dryRun=All", MERGE, "{\"spec\":{\"type\":\"ClusterIP\"}}"), 200);
    expect_code(ask("DELETE", "dry?dryRun=All", NULL, NULL), 200);
    answer = ask("GET", "dry", NULL, NULL);
    ck_assert_str_eq(answer_text(&answer, "spec.ports.0.nodePort"), "31000");
    answer_free(&answer);
    expect_code(server_post(&server, SERVICES,
                            "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"clusterIP\":\"10.96.4.4\","
                            "\"ports\":[{\"port\":80}]}}"),
                422);
}
END_TEST

START_TEST(a_put_with_a_stale_version_is_409_and_frees_nothing) {
    unsigned long long stale = create("held", "\"type\":\"NodePort\",\"clusterIP\":\"10.96.5.5\",");
    expect_code(ask("PATCH", "held", MERGE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"), 200);
    struct answer before = ask("GET", "held", NULL, NULL);
    char body[512];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"held\",\"resourceVersion\":\"%llu\"},\"spec\":{\"type\":"
             "\"ExternalName\",\"externalName\":\"example.org\"}}",
             stale);
    struct answer answer = ask("PUT", "held", JSON, body);
    ck_assert_int_eq(answer.code, 409);
    ck_assert_str_eq(answer_text(&answer, "reason"), "Conflict");
    answer_free(&answer);
    struct answer after = ask("GET", "held", NULL, NULL);
    ck_assert_str_eq(after.text, before.text);
    expect_code(server_post(&server, SERVICES,
                            "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"clusterIP\":\"10.96.5.5\","
                            "\"ports\":[{\"port\":80}]}}"),
                422);
    /* with the right version the same PUT gives the addresses back */
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"held\",\"resourceVersion\":\"%s\"},\"spec\":{\"type\":"
             "\"ExternalName\",\"externalName\":\"example.org\"}}",
             answer_text(&after, "metadata.resourceVersion"));
    expect_code(ask("PUT", "held", JSON, body), 200);
    create("heir", "\"clusterIP\":\"10.96.5.5\",");
    answer_free(&before);
    answer_free(&after);
}
END_TEST

static void *label(void *context) {
    struct rival *rival = context;
    char body[128];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(body, sizeof body, "{\"metadata\":{\"labels\":{\"k-%u-%u\":\"v\"}}}",
                 rival->number, i);
        struct answer answer = ask("PATCH", "labelled", MERGE, body);
        rival->round += answer.code == 200;
        answer_free(&answer);
    }
    return NULL;
}

START_TEST(concurrent_patches_lose_nothing) {
    struct rival rivals[4] = {0};
    create("labelled", "");
    for (unsigned i = 0; i < 4; i++) {
        rivals[i].number = i;
        ck_assert_int_eq(pthread_create(&rivals[i].thread, NULL, label, &rivals[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(rivals[i].thread, NULL);
        ck_assert_uint_eq(rivals[i].round, 10);
    }
    struct answer answer = ask("GET", "labelled", NULL, NULL);
    struct json_object *metadata;
    struct json_object *labels;
    ck_assert(json_object_object_get_ex(answer.json, "metadata", &metadata));
    ck_assert(json_object_object_get_ex(metadata, "labels", &labels));
    ck_assert_int_eq(json_object_object_length(labels), 40);
    answer_free(&answer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver watch");
    TCase *cases = tcase_create("watch");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, start, stop);
    tcase_add_test(cases, a_watch_sees_every_change_in_order_with_rising_versions);
    tcase_add_test(cases, a_watch_resumes_after_a_version_and_misses_nothing);
    tcase_add_test(cases, a_watch_from_a_list_s_version_sees_what_came_after_the_list);
    tcase_add_test(cases, a_watch_with_a_selector_sees_services_enter_and_leave_it);
    tcase_add_test(cases, a_version_that_is_too_old_is_410_in_an_event);
    tcase_add_test(cases, a_version_of_another_life_of_the_store_is_too_old);
    tcase_add_test(cases, a_table_watch_has_columns_once_and_a_row_an_event);
    tcase_add_test(cases, timeout_seconds_ends_a_watch);
    tcase_add_test(cases, a_bookmark_comes_before_the_end_of_a_watch_that_wants_them);
    tcase_add_test(cases, many_watches_see_the_same_and_cost_nothing_when_they_leave);
    tcase_add_test(cases, of_two_that_ask_for_one_address_one_gets_it_and_the_other_learns_who_did);
    tcase_add_test(cases, a_dry_run_answers_as_if_and_keeps_nothing);
    tcase_add_test(cases, a_put_with_a_stale_version_is_409_and_frees_nothing);
    tcase_add_test(cases, concurrent_patches_lose_nothing);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
