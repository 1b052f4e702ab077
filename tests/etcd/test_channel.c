/*
 * test_channel.c: the channel against real etcd: calls, streams, many threads, members that go.
 */
#include "cluster.h"
#include "proto_hand.h"

#include "store/etcd_channel.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static hooks test_hooks;
static etcd_cluster *cluster;

static void set_up(void) {
    ck_assert_status(hooks_init(&test_hooks, NULL, NULL), IPALLOC_OK);
    cluster = etcd_start(NULL);
}

static void tear_down(void) {
    etcd_stop(cluster);
    cluster = NULL;
}

static channel_options options_for(const char **hosts, int count) {
    for (int i = 0; i < count; i++)
        hosts[i] = etcd_host(cluster, i);
    return (channel_options){.hooks = &test_hooks,
                             .system = &SYSTEM_CALLS,
                             .hosts = hosts,
                             .host_count = (size_t)count,
                             .timeout_ms = 5000};
}

static etcd_channel *open_channel(void) {
    const char *hosts[ETCD_MEMBERS_MAX];
    channel_options options = options_for(hosts, etcd_member_count(cluster));
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    ck_assert_status_error(channel_open(&options, &channel, &error), IPALLOC_OK, &error);
    return channel;
}

static bool contains(const uint8_t *bytes, size_t size, const char *text) {
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

static channel_call call_of(const char *method, const hand_message *m) {
    return (channel_call){.method = method, .request = hand_request(m), .repeatable = true};
}

static void must_put(etcd_channel *channel, const char *key, const char *value) {
    hand_message m = hand_put(key, value);
    channel_call call = call_of(HAND_PUT, &m);
    channel_do(channel, &call, 1);
    ck_assert_msg(call.end == CALL_ANSWERED, "%s: %s", key, call.error.message);
    channel_free_answer(channel, &call);
}

static bool holds(etcd_channel *channel, const char *key, const char *value) {
    hand_message m = hand_range(key);
    channel_call call = call_of(HAND_RANGE, &m);
    channel_do(channel, &call, 1);
    ck_assert_msg(call.end == CALL_ANSWERED, "%s: %s", key, call.error.message);
    bool found = contains(call.answer, call.answer_size, value);
    channel_free_answer(channel, &call);
    return found;
}

START_TEST(what_was_put_is_read) {
    etcd_channel *channel = open_channel();
    must_put(channel, "/a", "one value");
    ck_assert(holds(channel, "/a", "one value"));
    channel_close(channel);
}
END_TEST

START_TEST(what_etcd_refuses_is_refused_in_its_words) {
    etcd_channel *channel = open_channel();
    hand_message m = hand_put("", "value"); /* no key */
    channel_call call = call_of(HAND_PUT, &m);
    channel_do(channel, &call, 1);
    ck_assert_int_eq(call.end, CALL_REFUSED);
    ck_assert_int_eq(call.status, IPALLOC_E_INVALID);
    ck_assert_int_eq(call.grpc_code, 3);
    ck_assert_msg(strstr(call.error.message, "key is not provided") != NULL, "%s",
                  call.error.message);
    channel_close(channel);
}
END_TEST

enum { THREADS = 8, PUTS = 200 };

typedef struct worker {
    etcd_channel *channel;
    int number;
} worker;

static void *put_many(void *context) {
    worker *w = context;
    for (int i = 0; i < PUTS; i++) {
        char key[32], value[32];
        snprintf(key, sizeof key, "/t/%d/%d", w->number, i);
        snprintf(value, sizeof value, "v%d-%d.", w->number, i);
        must_put(w->channel, key, value);
        if (i % 16 == 0)
            ck_assert(holds(w->channel, key, value));
    }
    return NULL;
}

START_TEST(many_threads_share_one_connection) {
    etcd_channel *channel = open_channel();
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){channel, i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_many, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    channel_close(channel);
}
END_TEST

typedef struct seen {
    int messages, ended;
    bool key;
} seen;

static void see(void *context, const uint8_t *bytes, size_t size) {
    seen *s = context;
    s->messages++;
    s->key |= contains(bytes, size, "/w/key");
}

static void see_end(void *context, int code, const char *why) {
    (void)code;
    ck_assert_ptr_nonnull(why);
    ((seen *)context)->ended++;
}

static bool key_was_seen(void *context) {
    return ((seen *)context)->key;
}

static bool end_was_seen(void *context) {
    return ((seen *)context)->ended > 0;
}

START_TEST(a_watch_sees_what_is_put_and_ends_with_its_server) {
    etcd_channel *channel = open_channel();
    seen s = {0};
    stream_listener listener = {&s, see, see_end};
    channel_stream *stream = NULL;
    ipalloc_error error = {0};
    hand_message m = hand_watch("/w/", "/w0");
    ck_assert_status_error(channel_stream_open(channel, HAND_WATCH, hand_request(&m), &listener,
                                               5000, &stream, &error),
                           IPALLOC_OK, &error);
    must_put(channel, "/w/key", "x");
    ck_assert_status_error(channel_drive(channel, key_was_seen, &s, 10000, &error), IPALLOC_OK,
                           &error);
    etcd_kill(cluster, 0);
    ck_assert_status_error(channel_drive(channel, end_was_seen, &s, 10000, &error), IPALLOC_OK,
                           &error);
    ck_assert_int_eq(s.ended, 1);
    channel_stream_close(channel, stream);
    channel_close(channel);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("channel");
    TCase *tests = tcase_create("etcd");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_was_put_is_read);
    tcase_add_test(tests, what_etcd_refuses_is_refused_in_its_words);
    tcase_add_test(tests, many_threads_share_one_connection);
    tcase_add_test(tests, a_watch_sees_what_is_put_and_ends_with_its_server);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
