/*
 * test_channel_lost.c: calls that are never answered over a connection that answers others.
 */
#include "channel_support.h"

#include "base/atomic.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { SERVERS = 2, HELD_MAX = 16, PATIENCE_MS = 1000, TIMEOUT_MS = (SERVERS + 1) * PATIENCE_MS };

/* What begins with "held" is answered as often as it is told, and counted; the rest is echoed. */
static struct {
    uint64_t skip;    /* so many of the held are not answered, the others are */
    bool begins;      /* the first bytes of an answer come at once */
    atomic_word held; /* how many came */
    fake_etcd *by;    /* whom they came to, valid with the first */
    uint64_t streams[HELD_MAX];
} script;

static fake_etcd *servers[SERVERS];
static etcd_channel *channel;

static void answer(void *context, fake_etcd *server, const fake_request *request) {
    (void)context;
    bool is_held = request->size >= 4 && memcmp(request->message, "held", 4) == 0;
    uint64_t number = is_held ? atomic_load_relaxed(&script.held) : 0;
    if (is_held) {
        ck_assert_uint_lt(number, HELD_MAX);
        script.by = server;
        script.streams[number] = request->stream;
        if (script.begins)
            fake_answer_raw(server, request->stream, "\0\0\0\0\4he", 7);
        atomic_store_release(&script.held, number + 1);
    }
    if (is_held && number < script.skip)
        return;
    fake_answer(server, request->stream, request->message, request->size);
    fake_end(server, request->stream, 0, "");
}

static void set_up(void) {
    const char *hosts[SERVERS];
    ck_assert_status(hooks_init(&channel_hooks, NULL, NULL), IPALLOC_OK);
    memset(&script, 0, sizeof script);
    script.skip = HELD_MAX;
    for (int i = 0; i < SERVERS; i++) {
        servers[i] = fake_start(&(fake_options){.handler = answer});
        hosts[i] = fake_host(servers[i]);
    }
    channel = channel_open_to(hosts, SERVERS);
}

static void tear_down(void) {
    channel_close(channel);
    for (int i = 0; i < SERVERS; i++)
        fake_stop(servers[i]);
}

/* --- a call, and others meanwhile ----------------------------------------------------------------
 */

typedef struct caller {
    pthread_t thread;
    etcd_channel *channel;
    channel_call calls[3];
    size_t count;
    atomic_word over;
} caller;

static void *call(void *context) {
    caller *c = context;
    channel_do(c->channel, c->calls, c->count);
    atomic_store_release(&c->over, 1);
    return NULL;
}

static channel_call held(uint64_t timeout_ms) {
    channel_call c = call_new("held", true);
    c.in_order = true;
    c.timeout_ms = timeout_ms;
    return c;
}

static void begin(caller *c) {
    c->channel = channel;
    ck_assert_int_eq(pthread_create(&c->thread, NULL, call, c), 0);
    for (uint64_t begun = now_ms(); atomic_load_acquire(&script.held) < c->count;) {
        ck_assert_uint_le(now_ms() - begun, 10000);
        usleep(1000);
    }
    usleep(5000); /* what others send now is later by the clock, too */
}

/* Others are answered, for so long at most, and while it is not over. */
static void others_while(caller *c, uint64_t at_most_ms) {
    for (uint64_t begun = now_ms();
         atomic_load_acquire(&c->over) == 0 && now_ms() - begun < at_most_ms;) {
        channel_call other = call_do(channel, "other", true);
        ck_assert(!other.echo);
        call_was_answered(channel, &other, "other");
        usleep(5000);
    }
}

static void finish(caller *c) {
    pthread_join(c->thread, NULL);
}

static int connections(void) {
    int sum = 0;
    for (int i = 0; i < SERVERS; i++)
        sum += fake_connections(servers[i]);
    return sum;
}

/* --- sent again ----------------------------------------------------------------------------------
 */

START_TEST(what_is_lost_is_sent_again_over_the_same_connection) {
    script.skip = 1;
    caller c = {.calls = {held(3 * 2500)}, .count = 1};
    uint64_t begun = now_ms();
    begin(&c);
    others_while(&c, UINT64_MAX);
    finish(&c);
    ck_assert_uint_ge(now_ms() - begun, 2500);
    ck_assert(c.calls[0].echo);
    call_was_answered(channel, &c.calls[0], "held");
    ck_assert_uint_eq(atomic_load_acquire(&script.held), 2);
    ck_assert_int_eq(connections(), 1);
}
END_TEST

START_TEST(what_is_lost_twice_is_sent_a_third_time) {
    script.skip = 2;
    caller c = {.calls = {held(2 * TIMEOUT_MS)}, .count = 1};
    begin(&c);
    others_while(&c, UINT64_MAX);
    finish(&c);
    ck_assert(c.calls[0].echo);
    call_was_answered(channel, &c.calls[0], "held");
    ck_assert_uint_eq(atomic_load_acquire(&script.held), 3);
    ck_assert_int_eq(connections(), 1);
}
END_TEST

START_TEST(the_last_sending_has_all_the_time_that_is_left) {
    caller c = {.calls = {held(9000)}, .count = 1}; /* the patience is 2500 */
    begin(&c);
    others_while(&c, UINT64_MAX);
    finish(&c);
    ck_assert_int_eq(c.calls[0].end, CALL_UNKNOWN);
    ck_assert(c.calls[0].echo);
    ck_assert_uint_eq(atomic_load_acquire(&script.held), SERVERS + 1);
    ck_assert_int_eq(connections(), 1);
}
END_TEST

/* Nothing comes when it is time; and were it overlooked, the connection would be left. */
START_TEST(who_reads_wakes_up_for_it) {
    script.skip = 1;
    caller c = {.calls = {held(2 * TIMEOUT_MS)}, .count = 1}; /* a patience of twice the usual */
    begin(&c);
    others_while(&c, PATIENCE_MS);
    finish(&c);
    ck_assert(c.calls[0].echo);
    call_was_answered(channel, &c.calls[0], "held");
    ck_assert_int_eq(connections(), 1);
}
END_TEST

/* --- left alone ----------------------------------------------------------------------------------
 */

/* The rest of an answer, or the whole, to the held with this number. */
static void release(uint64_t number) {
    if (script.begins)
        fake_answer_raw(script.by, script.streams[number], "ld", 2);
    else
        fake_answer(script.by, script.streams[number], "held", 4);
    fake_end(script.by, script.streams[number], 0, "");
}

static void is_answered_late_and_sent_once(caller *c) {
    begin(c);
    others_while(c, 2 * PATIENCE_MS);
    release(0);
    finish(c);
    ck_assert(!c->calls[0].echo);
    call_was_answered(c->channel, &c->calls[0], "held");
    ck_assert_uint_eq(atomic_load_acquire(&script.held), 1);
    ck_assert_int_eq(connections(), 1);
}

START_TEST(what_has_begun_to_be_answered_is_left_alone) {
    script.begins = true;
    caller c = {.calls = {held(3 * PATIENCE_MS)}, .count = 1};
    is_answered_late_and_sent_once(&c);
}
END_TEST

START_TEST(what_may_not_be_repeated_is_left_alone) {
    caller c = {.calls = {held(3 * PATIENCE_MS)}, .count = 1};
    c.calls[0].repeatable = false;
    is_answered_late_and_sent_once(&c);
}
END_TEST

START_TEST(what_may_be_overtaken_is_left_alone) {
    caller c = {.calls = {held(3 * PATIENCE_MS)}, .count = 1};
    c.calls[0].in_order = false;
    is_answered_late_and_sent_once(&c);
}
END_TEST

START_TEST(without_another_endpoint_it_is_left_alone) {
    channel_close(channel);
    channel = channel_open_to_fake(servers[0]);
    caller c = {.calls = {held(2 * PATIENCE_MS + 1000)}, .count = 1};
    begin(&c);
    others_while(&c, 2 * PATIENCE_MS);
    release(0);
    finish(&c);
    ck_assert(!c.calls[0].echo);
    call_was_answered(channel, &c.calls[0], "held");
    ck_assert_uint_eq(atomic_load_acquire(&script.held), 1);
}
END_TEST

/* A slow server that answers one after the other is not made slower. */
START_TEST(what_nothing_later_has_overtaken_is_left_alone) {
    caller c = {.calls = {held(TIMEOUT_MS), held(TIMEOUT_MS), held(TIMEOUT_MS)}, .count = 3};
    begin(&c);
    for (uint64_t i = 0; i < c.count; i++) {
        usleep(PATIENCE_MS / 2 * 1000);
        release(i);
    }
    finish(&c);
    for (size_t i = 0; i < c.count; i++) {
        ck_assert(!c.calls[i].echo);
        call_was_answered(channel, &c.calls[i], "held");
    }
    ck_assert_uint_eq(atomic_load_acquire(&script.held), 3);
    ck_assert_int_eq(connections(), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("channel lost");
    TCase *tests = tcase_create("fake");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_lost_is_sent_again_over_the_same_connection);
    tcase_add_test(tests, what_is_lost_twice_is_sent_a_third_time);
    tcase_add_test(tests, the_last_sending_has_all_the_time_that_is_left);
    tcase_add_test(tests, who_reads_wakes_up_for_it);
    tcase_add_test(tests, what_has_begun_to_be_answered_is_left_alone);
    tcase_add_test(tests, what_may_not_be_repeated_is_left_alone);
    tcase_add_test(tests, what_may_be_overtaken_is_left_alone);
    tcase_add_test(tests, without_another_endpoint_it_is_left_alone);
    tcase_add_test(tests, what_nothing_later_has_overtaken_is_left_alone);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
