/*
 * test_channel_calls.c: unary calls against a server that does what it is told: what comes back,
 * what is sent again, what is known at the end.
 */
#include "channel_support.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <unistd.h>

static fake_etcd *server;
static etcd_channel *channel;

static void set_up(void) {
    ck_assert_status(hooks_init(&channel_hooks, NULL, NULL), IPALLOC_OK);
    server = fake_start(NULL);
    channel = channel_open_to_fake(server);
}

static void tear_down(void) {
    channel_close(channel);
    fake_stop(server);
}

/* --- answers -------------------------------------------------------------------------------------
 */

START_TEST(an_answer_may_be_cut_into_frames_anywhere) {
    static const size_t SIZES[] = {0, 1, 4, 5, 6, 1000};
    char text[1001];
    for (size_t chunk = 1; chunk <= 7; chunk++) {
        fake_set_chunk(server, chunk);
        for (int i = 0; i < LENGTH(SIZES); i++) {
            memset(text, 'x', sizeof text);
            text[SIZES[i]] = '\0';
            channel_call call = call_do(channel, text, false);
            call_was_answered(channel, &call, text);
        }
    }
    ck_assert_int_eq(fake_connections(server), 1);
}
END_TEST

START_TEST(large_messages_pass_both_ways) {
    size_t size = (size_t)5 << 20;
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'y', size);
    text[size] = '\0';
    channel_call call = call_do(channel, text, false);
    call_was_answered(channel, &call, text);
    free(text);
}
END_TEST

START_TEST(many_calls_at_once_are_all_answered) {
    enum { COUNT = 200 };
    channel_call calls[COUNT];
    char texts[COUNT][16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "call %d", i);
        calls[i] = call_new(texts[i], false);
    }
    channel_do(channel, calls, COUNT);
    for (int i = 0; i < COUNT; i++)
        call_was_answered(channel, &calls[i], texts[i]);
}
END_TEST

/* --- what the server says ------------------------------------------------------------------------
 */

static const struct {
    int code;
    const char *text;
    enum call_end end;
    int status;
    const char *told; /* in the message */
} SAYINGS[] = {
    {3, "etcdserver: key is not provided", CALL_REFUSED, IPALLOC_E_INVALID, "key is not provided"},
    {3, "etcdserver: request is too large", CALL_REFUSED, IPALLOC_E_INVALID, "too large"},
    {3, "etcdserver: user name is empty", CALL_REFUSED, IPALLOC_E_UNAVAILABLE,
     "demands a user and a password"},
    {5, "etcdserver: requested lease not found", CALL_REFUSED, IPALLOC_E_INVALID, "lease"},
    {7, "etcdserver: permission denied", CALL_REFUSED, IPALLOC_E_UNAVAILABLE, "needs a role"},
    {8, "etcdserver: mvcc: database space exceeded", CALL_UNKNOWN, IPALLOC_E_IO, "alarm disarm"},
    {8, "grpc: received message larger than max (2600011 vs. 2097152)", CALL_REFUSED,
     IPALLOC_E_INVALID, "--max-request-bytes"},
    {9, "etcdserver: authentication is not enabled", CALL_REFUSED, IPALLOC_E_INVALID,
     "not enabled"},
    {11, "etcdserver: mvcc: required revision has been compacted", CALL_REFUSED, IPALLOC_E_EXPIRED,
     "compacted"},
    {11, "etcdserver: mvcc: required revision is a future revision", CALL_REFUSED,
     IPALLOC_E_INVALID, "future"},
    {12, "unknown service etcdserverpb.KV", CALL_REFUSED, IPALLOC_E_UNAVAILABLE, "3.4 or later"},
    {15, "etcdserver: corrupt cluster", CALL_UNKNOWN, IPALLOC_E_CORRUPT, "corrupt"},
    {16, "etcdserver: invalid auth token", CALL_REFUSED, IPALLOC_E_UNAVAILABLE, "demands a user"},
    /* not known */
    {1, "context canceled", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "context canceled"},
    {2, "context deadline exceeded", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "deadline exceeded"},
    {2, "something", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "something"},
    {4, "context deadline exceeded", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "deadline"},
    {8, "something", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "something"},
    {10, "", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "without a reason"},
    {13, "transport", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "transport"},
    {14, "etcdserver: no leader", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "no leader"},
    {14, "etcdserver: request timed out", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "timed out"},
    {99, "later gRPC", CALL_UNKNOWN, IPALLOC_E_UNAVAILABLE, "later gRPC"},
};

START_TEST(what_the_server_says_is_judged) {
    fake_step step = {FAKE_STATUS, SAYINGS[_i].code, SAYINGS[_i].text};
    fake_set_script(server, &step, 1);
    channel_call call = call_do(channel, "x", false);
    ck_assert_int_eq(call.end, SAYINGS[_i].end);
    ck_assert_int_eq(call.status, SAYINGS[_i].status);
    ck_assert_int_eq(call.error.status, SAYINGS[_i].status);
    ck_assert_int_eq(call.grpc_code, SAYINGS[_i].code);
    ck_assert_contains(call.error.message, SAYINGS[_i].told);
    ck_assert_contains(call.error.message, fake_host(server));
    ck_assert_ptr_null(call.answer);
    ck_assert_int_eq(fake_requests(server), 1); /* once, and no second time */
}
END_TEST

/* --- repeating -----------------------------------------------------------------------------------
 */

START_TEST(what_may_be_repeated_is_and_tells_that_it_was) {
    FAKE_SCRIPT(server, {FAKE_STATUS, 14, "etcdserver: leader changed"}, {FAKE_OK, 0, "well"});
    channel_call call = call_do(channel, "x", true);
    ck_assert(call.echo);
    call_was_answered(channel, &call, "well");
    ck_assert_int_eq(fake_requests(server), 2);
}
END_TEST

START_TEST(what_was_answered_at_once_has_no_echo) {
    channel_call call = call_do(channel, "x", true);
    ck_assert(!call.echo);
    call_was_answered(channel, &call, "x");
}
END_TEST

START_TEST(a_refusal_after_a_sending_of_unknown_outcome_is_unknown) {
    FAKE_SCRIPT(server, {FAKE_STATUS, 14, "etcdserver: request timed out"},
                {FAKE_STATUS, 3, "etcdserver: key is not provided"});
    channel_call call = call_do(channel, "x", true);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert(call.echo);
    ck_assert_int_eq(call.status, IPALLOC_E_INVALID);
}
END_TEST

START_TEST(a_cut_connection_leaves_it_unknown_or_has_it_repeated) {
    FAKE_SCRIPT(server, {FAKE_CUT, 0, NULL}, {FAKE_CUT, 0, NULL}, {FAKE_ECHO, 0, NULL});
    channel_call call = call_do(channel, "x", false);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert(call.echo);
    ck_assert_int_eq(call.grpc_code, -1);
    ck_assert_contains(call.error.message, "closed the connection");
    call = call_do(channel, "y", true);
    ck_assert(call.echo);
    call_was_answered(channel, &call, "y");
    ck_assert_int_eq(fake_connections(server), 3);
}
END_TEST

START_TEST(an_answer_cut_at_any_byte_is_no_answer) {
    for (size_t bytes = 0; bytes < 60; bytes++) {
        fake_cut_after(server, bytes);
        channel_call call = call_do(channel, "some text", true);
        call_was_answered(channel, &call, "some text");
    }
}
END_TEST

START_TEST(a_reset_that_refuses_the_stream_did_nothing) {
    FAKE_SCRIPT(server, {FAKE_RESET, NGHTTP2_REFUSED_STREAM, NULL}, {FAKE_ECHO, 0, NULL});
    channel_call call = call_do(channel, "x", false);
    ck_assert(!call.echo);
    call_was_answered(channel, &call, "x");
    ck_assert_int_eq(fake_requests(server), 2);
}
END_TEST

START_TEST(any_other_reset_leaves_it_unknown) {
    FAKE_SCRIPT(server, {FAKE_RESET, NGHTTP2_INTERNAL_ERROR, NULL});
    channel_call call = call_do(channel, "x", false);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert_contains(call.error.message, "HTTP/2 error 2");
}
END_TEST

START_TEST(a_goodbye_that_leaves_it_out_did_nothing) {
    FAKE_SCRIPT(server, {FAKE_GOAWAY, 0, NULL}, {FAKE_ECHO, 0, NULL});
    channel_call call = call_do(channel, "x", false);
    ck_assert(!call.echo);
    call_was_answered(channel, &call, "x");
    ck_assert_int_eq(fake_connections(server), 2);
}
END_TEST

START_TEST(a_goodbye_that_takes_it_in_may_have_done_it) {
    FAKE_SCRIPT(server, {FAKE_GOAWAY, 1, NULL}, {FAKE_ECHO, 0, NULL});
    channel_call call = call_do(channel, "x", false);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert_contains(call.error.message, "shutting down");
    call = call_do(channel, "y", false);
    call_was_answered(channel, &call, "y");
}
END_TEST

START_TEST(too_many_requests_is_asked_again_after_a_while) {
    fake_step busy = {FAKE_STATUS, 8, "etcdserver: too many requests"};
    FAKE_SCRIPT(server, busy, busy, {FAKE_ECHO, 0, NULL});
    channel_call call = call_do(channel, "x", false);
    ck_assert(!call.echo);
    call_was_answered(channel, &call, "x");
    ck_assert_int_eq(fake_requests(server), 3);
}
END_TEST

/* --- answers that are none -----------------------------------------------------------------------
 */

START_TEST(http_without_grpc_is_no_answer) {
    FAKE_SCRIPT(server, {FAKE_HTTP, 503, NULL});
    channel_call call = call_do(channel, "x", false);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert_contains(call.error.message, "HTTP status 503");
}
END_TEST

static void answer_badly(void *context, fake_etcd *fake, const fake_request *request) {
    const ipalloc_bytes *bytes = context;
    fake_answer_raw(fake, request->stream, bytes->data, bytes->size);
    fake_end(fake, request->stream, 0, "");
}

static const struct {
    const char *bytes;
    size_t size;
    const char *told;
} NONSENSE[] = {
    {"", 0, "without a message"},
    {"\0\0\0\0\5ab", 7, "without a message"}, /* cut, and ended well nonetheless */
    {"\1\0\0\0\1a", 6, "compressed"},
    {"\0\4\0\0\1a", 6, "more than 64 MiB"},
    {"\0\xff\xff\xff\xff", 5, "more than 64 MiB"},
};

START_TEST(nonsense_is_no_answer) {
    ipalloc_bytes bytes = {NONSENSE[_i].bytes, NONSENSE[_i].size};
    fake_etcd *bad = fake_start(&(fake_options){.handler = answer_badly, .context = &bytes});
    etcd_channel *to_bad = channel_open_to_fake(bad);
    channel_call call = call_do(to_bad, "x", false);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert_contains(call.error.message, NONSENSE[_i].told);
    channel_close(to_bad);
    fake_stop(bad);
}
END_TEST

START_TEST(messages_of_the_server_are_decoded_and_made_printable) {
    FAKE_SCRIPT(server, {FAKE_STATUS, 3, "a%20b%0Ac%zz%4"});
    channel_call call = call_do(channel, "x", false);
    ck_assert_contains(call.error.message, "a b\\x0Ac%zz%4");
}
END_TEST

/* --- limits --------------------------------------------------------------------------------------
 */

START_TEST(no_more_streams_are_opened_than_the_server_allows) {
    enum { COUNT = 40 };
    fake_etcd *narrow = fake_start(&(fake_options){.streams_max = 3});
    etcd_channel *to_narrow = channel_open_to_fake(narrow);
    channel_call calls[COUNT];
    for (int i = 0; i < COUNT; i++)
        calls[i] = call_new("x", false);
    channel_do(to_narrow, calls, COUNT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(!calls[i].echo);
        call_was_answered(to_narrow, &calls[i], "x");
    }
    ck_assert_uint_le(fake_streams_most(narrow), 3);
    ck_assert_int_eq(fake_requests(narrow), COUNT);
    channel_close(to_narrow);
    fake_stop(narrow);
}
END_TEST

/* --- time ----------------------------------------------------------------------------------------
 */

START_TEST(a_silent_server_leaves_it_unknown_in_time) {
    FAKE_SCRIPT(server, {FAKE_NOTHING, 0, NULL});
    uint64_t begun = now_ms();
    channel_call call = call_new("x", true);
    call.timeout_ms = 2000;
    channel_do(channel, &call, 1);
    over_in_time(begun, 2000);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert(call.echo);
    ck_assert_int_eq(call.status, IPALLOC_E_UNAVAILABLE);
    ck_assert_contains(call.error.message, "no answer in ");
}
END_TEST

/* After how many milliseconds it was given up, by its own words. */
static uint64_t time_told(const channel_call *call) {
    static const char WORDS[] = "gave no answer in ";
    const char *at = strstr(call->error.message, WORDS);
    ck_assert_msg(at != NULL, "%s", call->error.message);
    return strtoull(at + sizeof WORDS - 1, NULL, 10);
}

START_TEST(each_call_has_its_own_time) {
    FAKE_SCRIPT(server, {FAKE_NOTHING, 0, NULL});
    channel_call calls[2] = {call_new("x", true), call_new("y", true)};
    calls[0].timeout_ms = 100;
    calls[1].timeout_ms = 3000; /* so much later that no busy machine mixes them up */
    uint64_t begun = now_ms();
    channel_do(channel, calls, 2);
    over_in_time(begun, 3000);
    uint64_t first = time_told(&calls[0]), second = time_told(&calls[1]);
    ck_assert_msg(first >= 100 && first < 3000, "%s", calls[0].error.message);
    ck_assert_msg(second >= 3000, "%s", calls[1].error.message);
}
END_TEST

START_TEST(what_was_never_sent_certainly_did_nothing) {
    fake_set_absent(server, true);
    channel_call call = call_new("x", true);
    call.timeout_ms = 300;
    channel_do(channel, &call, 1); /* finds the connection cut */
    channel_do(channel, &call, 1);
    ck_assert_int_eq(call.end, CALL_REFUSED);
    ck_assert(!call.echo);
    ck_assert_int_eq(call.status, IPALLOC_E_UNAVAILABLE);
    ck_assert_contains(call.error.message, "Connection refused");
    fake_set_absent(server, false);
    call = call_do(channel, "y", false);
    call_was_answered(channel, &call, "y");
}
END_TEST

START_TEST(a_late_answer_to_a_call_that_is_over_is_let_go) {
    FAKE_SCRIPT(server, {FAKE_NOTHING, 0, NULL}, {FAKE_ECHO, 0, NULL});
    channel_call call = call_new("x", false);
    call.timeout_ms = 50;
    channel_do(channel, &call, 1);
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    fake_answer(server, 1, "late", 4);
    fake_end(server, 1, 0, "");
    call = call_do(channel, "y", false);
    call_was_answered(channel, &call, "y");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("channel calls");
    TCase *tests = tcase_create("fake");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_answer_may_be_cut_into_frames_anywhere);
    tcase_add_test(tests, large_messages_pass_both_ways);
    tcase_add_test(tests, many_calls_at_once_are_all_answered);
    tcase_add_loop_test(tests, what_the_server_says_is_judged, 0, LENGTH(SAYINGS));
    tcase_add_test(tests, what_may_be_repeated_is_and_tells_that_it_was);
    tcase_add_test(tests, what_was_answered_at_once_has_no_echo);
    tcase_add_test(tests, a_refusal_after_a_sending_of_unknown_outcome_is_unknown);
    tcase_add_test(tests, a_cut_connection_leaves_it_unknown_or_has_it_repeated);
    tcase_add_test(tests, an_answer_cut_at_any_byte_is_no_answer);
    tcase_add_test(tests, a_reset_that_refuses_the_stream_did_nothing);
    tcase_add_test(tests, any_other_reset_leaves_it_unknown);
    tcase_add_test(tests, a_goodbye_that_leaves_it_out_did_nothing);
    tcase_add_test(tests, a_goodbye_that_takes_it_in_may_have_done_it);
    tcase_add_test(tests, too_many_requests_is_asked_again_after_a_while);
    tcase_add_test(tests, http_without_grpc_is_no_answer);
    tcase_add_loop_test(tests, nonsense_is_no_answer, 0, LENGTH(NONSENSE));
    tcase_add_test(tests, messages_of_the_server_are_decoded_and_made_printable);
    tcase_add_test(tests, no_more_streams_are_opened_than_the_server_allows);
    tcase_add_test(tests, a_silent_server_leaves_it_unknown_in_time);
    tcase_add_test(tests, each_call_has_its_own_time);
    tcase_add_test(tests, what_was_never_sent_certainly_did_nothing);
    tcase_add_test(tests, a_late_answer_to_a_call_that_is_over_is_let_go);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
