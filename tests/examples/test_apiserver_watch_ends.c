/* Where a watch begins and why it ends: initial events, and clients that read too slowly. */
#include "server_process.h"
#include "support.h"
#include "watch_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES "/api/v1/namespaces/default/services"
#define JSON     "application/json"
#define MERGE    "application/merge-patch+json"

#define NOTE_BYTES (250 * 1024) /* an annotation close to its limit */
#define CHANGES    160 /* of that size: more than the server keeps for those who lag behind */

static struct server_process server;

static void start(void) {
    server = server_start((const char *const[]){NULL});
}

static void stop(void) {
    ck_assert_int_eq(server_stop(&server), 0);
}

START_TEST(initial_events_end_with_a_bookmark_that_says_so) {
    struct stream stream = stream_open(&server, SERVICES,
                                       "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                                       "allowWatchBookmarks=true",
                                       JSON);
    struct json_object *annotations = NULL;
    struct json_object *mark = NULL;
    stream_expect(&stream, "ADDED", "kubernetes");
    struct json_object *event = stream_next(&stream);
    ck_assert_str_eq(json_text_at(event, "type"), "BOOKMARK");
    struct json_object *object = NULL;
    struct json_object *metadata = NULL;
    json_object_object_get_ex(event, "object", &object);
    json_object_object_get_ex(object, "metadata", &metadata);
    json_object_object_get_ex(metadata, "annotations", &annotations);
    ck_assert(json_object_object_get_ex(annotations, "k8s.io/initial-events-end", &mark));
    ck_assert_str_eq(json_object_get_string(mark), "true");
    json_object_put(event);
    stream_close(&stream);
}
END_TEST

static void change(int number) {
    static char body[NOTE_BYTES + 256];
    int head =
        snprintf(body, sizeof body, "{\"metadata\":{\"annotations\":{\"note\":\"%03d", number);
    memset(body + head, 'x', NOTE_BYTES - 64);
    snprintf(body + head + NOTE_BYTES - 64, 64, "\"}}}");
    struct answer answer =
        server_ask(&server, "PATCH", SERVICES "/kubernetes", MERGE, NULL, body, strlen(body));
    ck_assert_msg(answer.code == 200, "%s", answer.text);
    answer_free(&answer);
}

/* It has begun well, so the end comes as an event: it must list again. Not in short runs: under
 * TSan so many bytes take half a minute. */
START_TEST(a_watch_that_lags_too_far_behind_is_told_410_in_an_event) {
    if (test_scaled(100) < 100) {
        return;
    }
    struct stream stream = stream_open(&server, SERVICES, "", JSON);
    int seen = 0;
    stream_expect(&stream, "ADDED", "kubernetes");
    for (int i = 0; i < CHANGES; i++) {
        change(i);
    }
    struct json_object *event = stream_next(&stream);
    while (strcmp(json_text_at(event, "type"), "MODIFIED") == 0) {
        json_object_put(event);
        event = stream_next(&stream);
        seen++;
    }
    ck_assert_int_lt(seen, CHANGES);
    ck_assert_str_eq(json_text_at(event, "type"), "ERROR");
    ck_assert_str_eq(json_text_at(event, "object.kind"), "Status");
    ck_assert_str_eq(json_text_at(event, "object.code"), "410");
    ck_assert_str_eq(json_text_at(event, "object.reason"), "Expired");
    ck_assert_ptr_nonnull(
        strstr(json_text_at(event, "object.message"), "too old resource version: "));
    json_object_put(event);
    stream_expect_end(&stream);
    stream_close(&stream);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("watch_ends");
    TCase *cases = tcase_create("watch_ends");
    tcase_set_timeout(cases, 110);
    tcase_add_checked_fixture(cases, start, stop);
    tcase_add_test(cases, initial_events_end_with_a_bookmark_that_says_so);
    tcase_add_test(cases, a_watch_that_lags_too_far_behind_is_told_410_in_an_event);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
