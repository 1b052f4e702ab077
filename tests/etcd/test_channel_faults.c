/*
 * test_channel_faults.c: memory that ends anywhere, and each system call that fails once: a channel
 * goes on or says so, and leaves nothing behind.
 */
#include "channel_support.h"
#include "counted_memory.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>

static void set_up(void) {
    ck_assert_status(hooks_init(&channel_hooks, NULL, NULL), IPALLOC_OK);
}

/* --- memory --------------------------------------------------------------------------------------
 */

/* Open, call, watch, be cut, call again. Anything may fail, in words. */
static void live(const channel_options *options, fake_etcd *server, int number_of_faults) {
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    int status = channel_open(options, &channel, &error);
    if (status != IPALLOC_OK) {
        ck_assert_ptr_null(channel);
        ck_assert(error.message[0] != '\0');
        ck_assert_int_gt(number_of_faults, 0);
        return;
    }
    channel_call call = call_do(channel, "some text", true);
    ck_assert(call.end == CALL_ANSWERED || call.error.message[0] != '\0');
    channel_free_answer(channel, &call);
    heard h = {0};
    stream_listener listener = listener_to(&h);
    channel_stream *stream = NULL;
    status = channel_stream_open(channel, "/test/Stream", (ipalloc_bytes){"one", 3}, &listener,
                                 2000, &stream, &error);
    if (status == IPALLOC_OK)
        (void)channel_drive(channel, heard_one, &h, 200, &error);
    fake_cut(server);
    channel_call calls[6];
    for (int i = 0; i < LENGTH(calls); i++)
        calls[i] = call_new("more", true);
    channel_do(channel, calls, LENGTH(calls));
    for (int i = 0; i < LENGTH(calls); i++) {
        ck_assert(calls[i].end == CALL_ANSWERED || calls[i].error.message[0] != '\0');
        channel_free_answer(channel, &calls[i]);
    }
    (void)channel_process(channel, &error);
    channel_stream_close(channel, stream);
    channel_close(channel);
}

START_TEST(memory_that_ends_anywhere_is_told_and_nothing_leaks) {
    fake_etcd *server = fake_start_streaming();
    counted_memory memory = {0};
    ipalloc_hooks user = counted_hooks(&memory);
    ck_assert_status(hooks_init(&channel_hooks, &user, NULL), IPALLOC_OK);
    const char *host = fake_host(server);
    channel_options options = channel_options_for(&host, 1);
    options.timeout_ms = 2000;
    live(&options, server, 0);
    ck_assert_int_eq(memory.live, 0);
    long calls = memory.calls;
    ck_assert_int_gt(calls, 50);
    for (long fail = 1; fail <= calls; fail++) {
        memory = (counted_memory){.fail_once = fail};
        live(&options, server, 1);
        ck_assert_msg(memory.live == 0, "%ld blocks are left after the %ldth failed", memory.live,
                      fail);
    }
    memory = (counted_memory){.fail_from = calls / 2};
    options.timeout_ms = 300;
    live(&options, server, 1);
    ck_assert_int_eq(memory.live, 0);
    fake_stop(server);
}
END_TEST

/* --- system calls --------------------------------------------------------------------------------
 */

/* One of the calls fails, at its n-th time. */
static struct fault {
    const char *name;
    int at, count;
    int number; /* errno */
} fault;
static system_calls faulty;

static bool fails(const char *name) {
    if (strcmp(fault.name, name) != 0 || ++fault.count != fault.at)
        return false;
    errno = fault.number;
    return true;
}

static int bad_resolve(const char *name, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out) {
    return fails("resolve") ? EAI_AGAIN : SYSTEM_CALLS.resolve(name, port, hints, out);
}
static int bad_socket(int family, int type, int protocol) {
    return fails("socket") ? -1 : SYSTEM_CALLS.socket(family, type, protocol);
}
static int bad_set_option(int socket, int level, int name, const void *value, unsigned size) {
    return fails("set_option") ? -1 : SYSTEM_CALLS.set_option(socket, level, name, value, size);
}
static int bad_connect(int socket, const struct sockaddr *address, unsigned size) {
    return fails("connect") ? -1 : SYSTEM_CALLS.connect(socket, address, size);
}
static int bad_socket_error(int socket, int *error) {
    return fails("socket_error") ? -1 : SYSTEM_CALLS.socket_error(socket, error);
}
static ssize_t bad_send(int socket, const void *bytes, size_t size) {
    return fails("send") ? -1 : SYSTEM_CALLS.send(socket, bytes, size);
}
static ssize_t bad_receive(int socket, void *bytes, size_t size) {
    return fails("receive") ? -1 : SYSTEM_CALLS.receive(socket, bytes, size);
}
static int bad_poll(struct pollfd *files, size_t count, int timeout_ms) {
    return fails("poll") ? -1 : SYSTEM_CALLS.poll(files, count, timeout_ms);
}
static int bad_epoll_create(void) {
    return fails("epoll_create") ? -1 : SYSTEM_CALLS.epoll_create();
}
static int bad_epoll_control(int epoll, int operation, int file, struct epoll_event *event) {
    return fails("epoll_control") ? -1 : SYSTEM_CALLS.epoll_control(epoll, operation, file, event);
}
static int bad_event_create(void) {
    return fails("event_create") ? -1 : SYSTEM_CALLS.event_create();
}
static int bad_event_set(int event) {
    return fails("event_set") ? -1 : SYSTEM_CALLS.event_set(event);
}
static int bad_event_clear(int event) {
    return fails("event_clear") ? -1 : SYSTEM_CALLS.event_clear(event);
}

static const struct {
    const char *name;
    int number;
} CALLS[] = {{"resolve", 0},           {"socket", EMFILE},       {"set_option", EINVAL},
             {"connect", ENETUNREACH}, {"socket_error", EBADF},  {"send", EPIPE},
             {"send", EINTR},          {"receive", ECONNRESET},  {"receive", EINTR},
             {"poll", EINTR},          {"epoll_create", EMFILE}, {"epoll_control", ENOMEM},
             {"event_create", EMFILE}, {"event_set", EAGAIN},    {"event_clear", EIO}};

START_TEST(each_system_call_fails_once_and_it_goes_on_or_is_told) {
    fake_etcd *server = fake_start_streaming();
    faulty = SYSTEM_CALLS;
    faulty.resolve = bad_resolve;
    faulty.socket = bad_socket;
    faulty.set_option = bad_set_option;
    faulty.connect = bad_connect;
    faulty.socket_error = bad_socket_error;
    faulty.send = bad_send;
    faulty.receive = bad_receive;
    faulty.poll = bad_poll;
    faulty.epoll_create = bad_epoll_create;
    faulty.epoll_control = bad_epoll_control;
    faulty.event_create = bad_event_create;
    faulty.event_set = bad_event_set;
    faulty.event_clear = bad_event_clear;
    const char *host = fake_host(server);
    channel_options options = channel_options_for(&host, 1);
    options.timeout_ms = 2000;
    options.system = &faulty;
    for (int at = 1; at <= 40; at++) {
        fault = (struct fault){CALLS[_i].name, at, 0, CALLS[_i].number};
        live(&options, server, 1);
        if (fault.count < at)
            break; /* it is not called so often */
        ck_assert_int_lt(at, 40);
    }
    fake_stop(server);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("channel faults");
    TCase *tests = tcase_create("fake");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, memory_that_ends_anywhere_is_told_and_nothing_leaks);
    tcase_add_loop_test(tests, each_system_call_fails_once_and_it_goes_on_or_is_told, 0,
                        LENGTH(CALLS));
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
