/*
 * test_channel_life.c: the life of a channel: endpoints that come and go, streams, event loops,
 * pings, many threads.
 */
#include "channel_support.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { SERVERS = 3 };

static fake_etcd *servers[SERVERS];
static const char *hosts[SERVERS];

static void set_up(void) {
    ck_assert_status(hooks_init(&channel_hooks, NULL, NULL), IPALLOC_OK);
    for (int i = 0; i < SERVERS; i++) {
        servers[i] = fake_start(NULL);
        hosts[i] = fake_host(servers[i]);
    }
}

static void tear_down(void) {
    for (int i = 0; i < SERVERS; i++)
        fake_stop(servers[i]);
}

static int all_requests(void) {
    int sum = 0;
    for (int i = 0; i < SERVERS; i++)
        sum += fake_requests(servers[i]);
    return sum;
}

/* --- endpoints -----------------------------------------------------------------------------------
 */

START_TEST(an_endpoint_that_works_is_kept) {
    etcd_channel *channel = channel_open_to(hosts, SERVERS);
    for (int i = 0; i < 50; i++) {
        channel_call call = call_do(channel, "x", false);
        call_was_answered(channel, &call, "x");
    }
    int connections = 0;
    for (int i = 0; i < SERVERS; i++)
        connections += fake_connections(servers[i]);
    ck_assert_int_eq(connections, 1);
    channel_close(channel);
}
END_TEST

START_TEST(one_endpoint_of_three_is_enough) {
    for (int alive = 0; alive < SERVERS; alive++) {
        for (int i = 0; i < SERVERS; i++)
            fake_set_absent(servers[i], i != alive);
        etcd_channel *channel = channel_open_to(hosts, SERVERS);
        channel_call call = call_do(channel, "x", false);
        call_was_answered(channel, &call, "x");
        channel_close(channel);
    }
}
END_TEST

START_TEST(a_silent_endpoint_is_left_for_another_in_time) {
    etcd_channel *channel = channel_open_to(hosts, SERVERS);
    for (int round = 0; round < 4; round++) { /* one of three is silent, another each time */
        fake_set_silent(servers[round % SERVERS], true);
        channel_call call = call_new("x", true);
        call.timeout_ms = 5000;
        channel_do(channel, &call, 1);
        call_was_answered(channel, &call, "x");
        fake_set_silent(servers[round % SERVERS], false);
    }
    channel_close(channel);
}
END_TEST

START_TEST(an_endpoint_without_a_leader_is_left_for_another) {
    static const fake_step NO_LEADER = {FAKE_STATUS, 14, "etcdserver: no leader"};
    for (int i = 0; i < SERVERS; i++)
        fake_set_script(servers[i], &NO_LEADER, 1);
    FAKE_SCRIPT(servers[1], {FAKE_ECHO, 0, NULL});
    etcd_channel *channel = channel_open_to(hosts, SERVERS);
    channel_call call = call_do(channel, "x", true);
    call_was_answered(channel, &call, "x");
    int requests = all_requests();
    call = call_do(channel, "y", true); /* and it stays with the one that works */
    call_was_answered(channel, &call, "y");
    ck_assert(!call.echo);
    ck_assert_int_eq(all_requests(), requests + 1);
    channel_close(channel);
}
END_TEST

START_TEST(each_endpoint_is_told_with_its_reason) {
    etcd_channel *channel = channel_open_to(hosts, SERVERS);
    fake_set_absent(servers[0], true);
    fake_set_silent(servers[1], true);
    FAKE_SCRIPT(servers[2], {FAKE_STATUS, 14, "etcdserver: no leader"});
    channel_call call = call_new("x", true);
    call.timeout_ms = 4000;
    uint64_t begun = now_ms();
    channel_do(channel, &call, 1);
    over_in_time(begun, 4000);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert_int_eq(call.status, IPALLOC_E_UNAVAILABLE);
    for (int i = 0; i < SERVERS; i++)
        ck_assert_contains(call.error.message, hosts[i]);
    ck_assert_contains(call.error.message, "Connection refused");
    ck_assert_contains(call.error.message, "no leader");
    ck_assert(strstr(call.error.message, "no answer in 1") != NULL ||
              strstr(call.error.message, "no greeting") != NULL);
    channel_close(channel);
}
END_TEST

START_TEST(opening_tells_what_was_tried) {
    for (int i = 0; i < SERVERS; i++)
        fake_set_absent(servers[i], true);
    channel_options options = channel_options_for(hosts, SERVERS);
    options.timeout_ms = 500;
    etcd_channel *channel = NULL;
    ipalloc_error error;
    uint64_t begun = now_ms();
    ck_assert_status(channel_open(&options, &channel, &error), IPALLOC_E_UNAVAILABLE);
    over_in_time(begun, 500);
    for (int i = 0; i < SERVERS; i++)
        ck_assert_contains(error.message, hosts[i]);
}
END_TEST

START_TEST(names_that_cannot_be_resolved_and_hosts_that_are_none_are_told) {
    static const char *const NO_NAME[] = {"no-such-host.invalid:2379"};
    static const char *const NONE[] = {"",        "127.0.0.1", "127.0.0.1:", ":2379",
                                       "::1:1",   "[::1]",     "a b:1",      "a:0",
                                       "a:65536", "a:http",    "[]:1"};
    channel_options options = channel_options_for(NO_NAME, 1);
    options.timeout_ms = 300;
    etcd_channel *channel = NULL;
    ipalloc_error error;
    ck_assert_status(channel_open(&options, &channel, &error), IPALLOC_E_UNAVAILABLE);
    ck_assert_contains(error.message, "no-such-host.invalid:2379: the name cannot be resolved");
    for (int i = 0; i < LENGTH(NONE); i++) {
        options = channel_options_for(&NONE[i], 1);
        ck_assert_status(channel_open(&options, &channel, &error), IPALLOC_E_INVALID);
        ck_assert_contains(error.message, "is no endpoint");
    }
    options = channel_options_for(NONE, 0);
    ck_assert_status(channel_open(&options, &channel, &error), IPALLOC_E_INVALID);
}
END_TEST

/* --- streams -------------------------------------------------------------------------------------
 */

static bool heard_two(void *context) {
    return ((heard *)context)->messages > 1;
}

static void must_drive(etcd_channel *channel, bool (*done)(void *), heard *h) {
    ipalloc_error error = {0};
    ck_assert_status_error(channel_drive(channel, done, h, 10000, &error), IPALLOC_OK, &error);
}

START_TEST(a_stream_carries_messages_both_ways_and_ends_when_it_is_told) {
    fake_etcd *server = fake_start_streaming();
    etcd_channel *channel = channel_open_to_fake(server);
    heard h = {0};
    ipalloc_error error;
    channel_stream *stream = stream_open_to(channel, &h, "one");
    must_drive(channel, heard_one, &h);
    ck_assert_str_eq(h.last, "one");
    ck_assert_status(channel_stream_send(channel, stream, (ipalloc_bytes){"two", 3}, &error),
                     IPALLOC_OK);
    must_drive(channel, heard_two, &h);
    ck_assert_str_eq(h.last, "two");
    fake_end(server, 1, 14, "etcdserver: no leader");
    must_drive(channel, heard_end, &h);
    ck_assert_int_eq(h.ended, 1);
    ck_assert_int_eq(h.code, 14);
    ck_assert_str_eq(h.why, "etcdserver: no leader");
    ck_assert_status(channel_stream_send(channel, stream, (ipalloc_bytes){"no", 2}, &error),
                     IPALLOC_E_UNAVAILABLE);
    channel_stream_close(channel, stream);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

START_TEST(a_stream_that_is_closed_hears_nothing_more) {
    fake_etcd *server = fake_start_streaming();
    etcd_channel *channel = channel_open_to_fake(server);
    heard h = {0};
    channel_stream *stream = stream_open_to(channel, &h, "one");
    must_drive(channel, heard_one, &h);
    channel_stream_close(channel, stream);
    fake_answer(server, 1, "late", 4);
    fake_cut(server);
    channel_call call = call_do(channel, "x", true);
    call_was_answered(channel, &call, "x");
    ck_assert_int_eq(h.messages, 1);
    ck_assert_int_eq(h.ended, 0);
    channel_stream_close(channel, NULL);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

START_TEST(a_stream_is_over_with_its_connection_and_another_can_be_opened) {
    fake_etcd *server = fake_start_streaming();
    etcd_channel *channel = channel_open_to_fake(server);
    heard h = {0}, again = {0};
    channel_stream *stream = stream_open_to(channel, &h, "one");
    must_drive(channel, heard_one, &h);
    fake_cut(server);
    must_drive(channel, heard_end, &h);
    ck_assert_int_eq(h.code, -1);
    ck_assert_contains(h.why, "closed the connection");
    channel_stream *other = stream_open_to(channel, &again, "two");
    must_drive(channel, heard_one, &again);
    channel_stream_close(channel, stream);
    channel_stream_close(channel, other);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

START_TEST(what_does_not_come_ends_driving_in_time) {
    etcd_channel *channel = channel_open_to(hosts, 1);
    heard h = {0};
    ipalloc_error error;
    uint64_t begun = now_ms();
    ck_assert_status(channel_drive(channel, heard_one, &h, 200, &error), IPALLOC_E_UNAVAILABLE);
    over_in_time(begun, 200);
    ck_assert_contains(error.message, "did not come in 200 ms");
    channel_close(channel);
}
END_TEST

/* --- event loops ---------------------------------------------------------------------------------
 */

/* As an event loop would, for at most ten seconds. */
static void loop_until(etcd_channel *channel, bool (*done)(void *), void *context) {
    int file = channel_poll_fd(channel);
    ck_assert_int_ge(file, 0);
    for (uint64_t begun = now_ms(); now_ms() - begun < 10000;) {
        channel_lock(channel);
        bool is_done = done(context);
        channel_unlock(channel);
        if (is_done)
            return;
        struct pollfd wanted = {.fd = file, .events = POLLIN};
        int timeout = channel_poll_timeout_ms(channel);
        poll(&wanted, 1, timeout < 0 || timeout > 1000 ? 1000 : timeout);
        (void)channel_process(channel, NULL);
        ck_assert_int_eq(channel_poll_fd(channel), file);
    }
    ck_abort_msg("it did not come");
}

START_TEST(an_event_loop_hears_streams_and_connects_anew) {
    fake_etcd *server = fake_start_streaming();
    etcd_channel *channel = channel_open_to_fake(server);
    heard h = {0}, again = {0};
    channel_stream *stream = stream_open_to(channel, &h, "one");
    loop_until(channel, heard_one, &h);
    fake_set_absent(server, true);
    loop_until(channel, heard_end, &h);
    channel_stream_close(channel, stream);
    stream = NULL;
    ipalloc_error error;
    stream_listener listener = listener_to(&again);
    ck_assert_status(channel_process(channel, &error), IPALLOC_E_UNAVAILABLE);
    ck_assert_contains(error.message, "not connected");
    ck_assert_status(channel_stream_open(channel, "/test/Stream", (ipalloc_bytes){"x", 1},
                                         &listener, 0, &stream, &error),
                     IPALLOC_E_UNAVAILABLE);
    fake_set_absent(server, false);
    for (uint64_t begun = now_ms(); stream == NULL && now_ms() - begun < 10000;) {
        struct pollfd wanted = {.fd = channel_poll_fd(channel), .events = POLLIN};
        int timeout = channel_poll_timeout_ms(channel);
        poll(&wanted, 1, timeout < 0 || timeout > 1000 ? 1000 : timeout);
        if (channel_process(channel, NULL) == IPALLOC_OK)
            (void)channel_stream_open(channel, "/test/Stream", (ipalloc_bytes){"x", 1}, &listener,
                                      0, &stream, &error);
    }
    ck_assert_ptr_nonnull(stream);
    loop_until(channel, heard_one, &again);
    channel_stream_close(channel, stream);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

START_TEST(what_a_call_read_for_a_stream_wakes_the_event_loop) {
    fake_etcd *server = fake_start_streaming();
    etcd_channel *channel = channel_open_to_fake(server);
    heard h = {0};
    channel_stream *stream = stream_open_to(channel, &h, "one");
    must_drive(channel, heard_one, &h); /* another reads it away */
    struct pollfd wanted = {.fd = channel_poll_fd(channel), .events = POLLIN};
    ck_assert_int_eq(poll(&wanted, 1, 10000), 1);
    ck_assert_status(channel_process(channel, NULL), IPALLOC_OK);
    ck_assert_int_eq(poll(&wanted, 1, 50), 0); /* and it is quiet again */
    channel_stream_close(channel, stream);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

/* --- pings ---------------------------------------------------------------------------------------
 */

static atomic_word clock_ahead_ms;

static uint64_t shifted_clock(void *context) {
    (void)context;
    return now_ms() + atomic_load_relaxed(&clock_ahead_ms);
}

START_TEST(an_idle_watch_finds_out_that_its_server_is_dead) {
    ipalloc_hooks user = {.size = sizeof user, .monotonic_ms = shifted_clock};
    ck_assert_status(hooks_init(&channel_hooks, &user, NULL), IPALLOC_OK);
    fake_etcd *server = fake_start_streaming();
    etcd_channel *channel = channel_open_to_fake(server);
    heard h = {0};
    channel_stream *stream = stream_open_to(channel, &h, "one");
    must_drive(channel, heard_one, &h);
    int timeout = channel_poll_timeout_ms(channel);
    ck_assert_int_gt(timeout, 5000); /* no faster than etcd allows */
    ck_assert_int_le(timeout, 10000);
    ck_assert_int_eq(fake_pings(server), 0);
    atomic_add_relaxed(&clock_ahead_ms, 10001); /* it is time for one, which is answered */
    ck_assert_int_eq(channel_poll_timeout_ms(channel), 0);
    ck_assert_status(channel_process(channel, NULL), IPALLOC_OK);
    for (uint64_t begun = now_ms(); fake_pings(server) == 0 && now_ms() - begun < 10000;)
        usleep(1000);
    ck_assert_int_eq(fake_pings(server), 1);
    (void)channel_drive(channel, heard_end, &h, 100, NULL);
    ck_assert_int_eq(h.ended, 0);
    fake_set_silent(server, true);
    atomic_add_relaxed(&clock_ahead_ms, 10001); /* and one that is not */
    ck_assert_status(channel_process(channel, NULL), IPALLOC_OK);
    ck_assert_int_eq(h.ended, 0);
    atomic_add_relaxed(&clock_ahead_ms, 5000);
    (void)channel_process(channel, NULL);
    ck_assert_int_eq(h.ended, 1);
    ck_assert_contains(h.why, "does not answer pings");
    fake_set_silent(server, false);
    channel_stream_close(channel, stream);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

START_TEST(without_anything_open_nobody_pings) {
    etcd_channel *channel = channel_open_to(hosts, 1);
    ck_assert_int_eq(channel_poll_timeout_ms(channel), -1);
    channel_close(channel);
}
END_TEST

/* --- many threads --------------------------------------------------------------------------------
 */

enum { THREADS = 8 };

typedef struct crowd {
    etcd_channel *channel;
    atomic_word stop, answered, unknown;
} crowd;

static void *call_on(void *context) {
    crowd *c = context;
    uint64_t id = (uint64_t)pthread_self(), number = 0;
    while (atomic_load_relaxed(&c->stop) == 0) {
        char text[64];
        snprintf(text, sizeof text, "%llx/%llu", (unsigned long long)id,
                 (unsigned long long)number++);
        channel_call call = call_new(text, number % 4 != 0);
        call.timeout_ms = 5000;
        channel_do(c->channel, &call, 1);
        if (call.end == CALL_ANSWERED) {
            require(call.answer_size == strlen(text));
            require(memcmp(call.answer, text, call.answer_size) == 0); /* one's own */
            atomic_add_relaxed(&c->answered, 1);
        } else {
            require(call.end == CALL_UNKNOWN && !call.repeatable);
            atomic_add_relaxed(&c->unknown, 1);
        }
        channel_free_answer(c->channel, &call);
    }
    return NULL;
}

static void *watch_on(void *context) {
    crowd *c = context;
    while (atomic_load_relaxed(&c->stop) == 0) {
        heard h = {0};
        stream_listener listener = listener_to(&h);
        channel_stream *stream = NULL;
        if (channel_stream_open(c->channel, "/test/Stream", (ipalloc_bytes){"w", 1}, &listener,
                                1000, &stream, NULL) == IPALLOC_OK)
            (void)channel_drive(c->channel, heard_end, &h, 20, NULL);
        channel_stream_close(c->channel, stream);
    }
    return NULL;
}

static void *loop_on(void *context) {
    crowd *c = context;
    while (atomic_load_relaxed(&c->stop) == 0) {
        struct pollfd wanted = {.fd = channel_poll_fd(c->channel), .events = POLLIN};
        int timeout = channel_poll_timeout_ms(c->channel);
        poll(&wanted, 1, timeout < 0 || timeout > 20 ? 20 : timeout);
        (void)channel_process(c->channel, NULL);
    }
    return NULL;
}

START_TEST(many_threads_call_while_connections_are_cut) {
    fake_etcd *streaming[SERVERS];
    const char *names[SERVERS];
    for (int i = 0; i < SERVERS; i++) {
        streaming[i] = fake_start_streaming();
        names[i] = fake_host(streaming[i]);
    }
    crowd c = {.channel = channel_open_to(names, SERVERS)};
    pthread_t threads[THREADS + 2];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_on, &c), 0);
    ck_assert_int_eq(pthread_create(&threads[THREADS], NULL, watch_on, &c), 0);
    ck_assert_int_eq(pthread_create(&threads[THREADS + 1], NULL, loop_on, &c), 0);
    uint64_t seed = test_seed(), cuts = test_scaled(150);
    for (uint64_t i = 0; i < cuts; i++) {
        fake_etcd *victim = streaming[test_random(&seed) % SERVERS];
        switch (test_random(&seed) % 4) {
        case 0:
            fake_cut(victim);
            break;
        case 1:
            fake_cut_after(victim, test_random(&seed) % 500);
            break;
        case 2:
            fake_goaway(victim, test_random(&seed) % 2 == 0);
            break;
        default:
            fake_set_absent(victim, true);
            fake_set_absent(victim, false);
            break;
        }
        usleep((unsigned)(test_random(&seed) % 20000));
    }
    /* Between the cuts it may have backed off most of the time; behind them it must go on. */
    for (int i = 0; i < 2000 && atomic_load_relaxed(&c.answered) <= cuts; i++)
        usleep(10000);
    atomic_store_relaxed(&c.stop, 1);
    for (int i = 0; i < THREADS + 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_gt(atomic_load_relaxed(&c.answered), cuts);
    channel_close(c.channel);
    for (int i = 0; i < SERVERS; i++)
        fake_stop(streaming[i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("channel life");
    TCase *tests = tcase_create("fake");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_endpoint_that_works_is_kept);
    tcase_add_test(tests, one_endpoint_of_three_is_enough);
    tcase_add_test(tests, a_silent_endpoint_is_left_for_another_in_time);
    tcase_add_test(tests, an_endpoint_without_a_leader_is_left_for_another);
    tcase_add_test(tests, each_endpoint_is_told_with_its_reason);
    tcase_add_test(tests, opening_tells_what_was_tried);
    tcase_add_test(tests, names_that_cannot_be_resolved_and_hosts_that_are_none_are_told);
    tcase_add_test(tests, a_stream_carries_messages_both_ways_and_ends_when_it_is_told);
    tcase_add_test(tests, a_stream_that_is_closed_hears_nothing_more);
    tcase_add_test(tests, a_stream_is_over_with_its_connection_and_another_can_be_opened);
    tcase_add_test(tests, what_does_not_come_ends_driving_in_time);
    tcase_add_test(tests, an_event_loop_hears_streams_and_connects_anew);
    tcase_add_test(tests, what_a_call_read_for_a_stream_wakes_the_event_loop);
    tcase_add_test(tests, an_idle_watch_finds_out_that_its_server_is_dead);
    tcase_add_test(tests, without_anything_open_nobody_pings);
    tcase_add_test(tests, many_threads_call_while_connections_are_cut);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
