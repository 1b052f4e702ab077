/*
 * test_channel_tls.c: TLS: who is trusted, who is refused, and what is said about it.
 */
#include "certificates.h"
#include "channel_support.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;

static void make_all(void) {
    directory = test_directory_make();
    certificates_make(directory);
}

static void remove_all(void) {
    test_directory_remove(directory);
}

static void set_up(void) {
    ck_assert_status(hooks_init(&channel_hooks, NULL, NULL), IPALLOC_OK);
}

static const char *file(const char *name) {
    return name == NULL || name[0] == '/' ? name : certificate_file(directory, name);
}

/* What the server shows and demands, what the client has, and what comes of it. */
static const struct {
    const char *server, *demands; /* certificate (NULL: plain), authority of clients */
    bool no_alpn;
    bool plain;                  /* the client speaks plain text */
    const char *ca, *cert, *key; /* the client's */
    int status;
    const char *told;
} CASES[] = {
    {"server", NULL, false, false, "ca.pem", NULL, NULL, IPALLOC_OK, ""},
    {"server", "ca.pem", false, false, "ca.pem", "client.pem", "client.key", IPALLOC_OK, ""},
    {"server", NULL, false, false, "other.pem", NULL, NULL, IPALLOC_E_UNAVAILABLE,
     "not signed by an authority of the CA file"},
    {"server", NULL, false, false, NULL, NULL, NULL, IPALLOC_E_UNAVAILABLE,
     "not signed by an authority that the system trusts"},
    {"elsewhere", NULL, false, false, "ca.pem", NULL, NULL, IPALLOC_E_UNAVAILABLE,
     "not for \"127.0.0.1\""},
    {"old", NULL, false, false, "ca.pem", NULL, NULL, IPALLOC_E_UNAVAILABLE, "has expired"},
    {"server", "ca.pem", false, false, "ca.pem", NULL, NULL, IPALLOC_E_UNAVAILABLE,
     "wants a client certificate"},
    {"server", "ca.pem", false, false, "ca.pem", "stranger.pem", "stranger.key",
     IPALLOC_E_UNAVAILABLE, "refuses our client certificate"},
    {"server", NULL, true, false, "ca.pem", NULL, NULL, IPALLOC_E_UNAVAILABLE, "ALPN h2"},
    {NULL, NULL, false, false, "ca.pem", NULL, NULL, IPALLOC_E_UNAVAILABLE, "does not speak TLS"},
    {"server", NULL, false, true, NULL, NULL, NULL, IPALLOC_E_UNAVAILABLE, "https://"},
    {"server", NULL, false, false, "missing.pem", NULL, NULL, IPALLOC_E_INVALID,
     "No such file or directory"},
    {"server", NULL, false, false, "client.key", NULL, NULL, IPALLOC_E_INVALID,
     "holds no certificate"},
    {"server", NULL, false, false, "ca.pem", "client.pem", "server.key", IPALLOC_E_INVALID,
     "does not belong to the client certificate"},
    {"server", NULL, false, false, "ca.pem", "client.pem", "client.pem", IPALLOC_E_INVALID,
     "holds no private key"},
    {"server", NULL, false, false, "ca.pem", "client.pem", "locked.key", IPALLOC_E_INVALID,
     "holds no private key"},
    {"server", NULL, false, false, "ca.pem", "client.pem", NULL, IPALLOC_E_INVALID, "together"},
    {"server", NULL, false, false, "ca.pem", "old.pem", "old.key", IPALLOC_E_INVALID,
     "has expired"},
    {"server", NULL, false, false, "ca.pem", "missing.pem", "client.key", IPALLOC_E_INVALID,
     "client certificate"},
    {"server", NULL, false, false, "/", NULL, NULL, IPALLOC_E_INVALID, "Is a directory"},
};

static fake_etcd *start_server(int i) {
    char cert[64], key[64];
    fake_options options = {.no_alpn = CASES[i].no_alpn};
    if (CASES[i].server != NULL) {
        snprintf(cert, sizeof cert, "%s.pem", CASES[i].server);
        snprintf(key, sizeof key, "%s.key", CASES[i].server);
        options.cert_file = file(cert);
        options.key_file = file(key);
        options.client_ca_file = file(CASES[i].demands);
    }
    return fake_start(&options);
}

static void try_case(int i, const system_calls *system) {
    fake_etcd *server = start_server(i);
    const char *host = fake_host(server);
    channel_options options = channel_options_for(&host, 1);
    options.tls = !CASES[i].plain;
    options.ca_file = file(CASES[i].ca);
    options.cert_file = file(CASES[i].cert);
    options.key_file = file(CASES[i].key);
    options.timeout_ms = 10000;
    options.system = system;
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    uint64_t begun = now_ms();
    ck_assert_status_error(channel_open(&options, &channel, &error), CASES[i].status, &error);
    if (CASES[i].status == IPALLOC_OK) {
        channel_call call = call_do(channel, "through TLS", false);
        call_was_answered(channel, &call, "through TLS");
    } else {
        ck_assert_ptr_null(channel);
        ck_assert_contains(error.message, CASES[i].told);
        /* What waiting does not mend is told at once. */
        if (!CASES[i].plain)
            ck_assert_uint_lt(now_ms() - begun, options.timeout_ms);
    }
    channel_close(channel);
    fake_stop(server);
}

START_TEST(who_is_trusted_and_what_is_said) {
    try_case(_i, &SYSTEM_CALLS);
}
END_TEST

/* Nothing can be sent to who has hung up: what it said before that is still to be heard. */
static ssize_t send_unless_hung_up(int socket, const void *bytes, size_t size) {
    struct pollfd end = {.fd = socket, .events = POLLRDHUP};
    usleep(50000); /* so that it has come to that */
    if (poll(&end, 1, 0) > 0) {
        errno = ECONNRESET;
        return -1;
    }
    return SYSTEM_CALLS.send(socket, bytes, size);
}

START_TEST(the_same_is_said_where_a_refusal_comes_before_all_is_sent) {
    system_calls slow = SYSTEM_CALLS;
    slow.send = send_unless_hung_up;
    try_case(_i, &slow);
}
END_TEST

static etcd_channel *open_secure(fake_etcd *server) {
    const char *host = fake_host(server);
    channel_options options = channel_options_for(&host, 1);
    options.tls = true;
    options.ca_file = file("ca.pem");
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    ck_assert_status_error(channel_open(&options, &channel, &error), IPALLOC_OK, &error);
    return channel;
}

static fake_etcd *start_secure(void) {
    return fake_start(
        &(fake_options){.cert_file = file("server.pem"), .key_file = file("server.key")});
}

START_TEST(large_messages_pass_through_tls) {
    fake_etcd *server = start_secure();
    etcd_channel *channel = open_secure(server);
    size_t size = (size_t)3 << 20;
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'z', size);
    text[size] = '\0';
    channel_call call = call_new(text, false);
    call.timeout_ms = 60000;
    channel_do(channel, &call, 1);
    call_was_answered(channel, &call, text);
    free(text);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

START_TEST(a_connection_cut_at_any_byte_is_made_anew) {
    fake_etcd *server = start_secure();
    etcd_channel *channel = open_secure(server);
    for (size_t bytes = 0; bytes < 40; bytes += 3) {
        fake_cut_after(server, bytes);
        channel_call call = call_do(channel, "again", true);
        call_was_answered(channel, &call, "again");
    }
    channel_close(channel);
    fake_stop(server);
}
END_TEST

START_TEST(it_connects_by_name_too) {
    fake_etcd *server = start_secure();
    char host[64];
    const char *hosts[] = {host};
    snprintf(host, sizeof host, "localhost%s", strchr(fake_host(server), ':'));
    channel_options options = channel_options_for(hosts, 1);
    options.tls = true;
    options.ca_file = file("ca.pem");
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    ck_assert_status_error(channel_open(&options, &channel, &error), IPALLOC_OK, &error);
    channel_close(channel);
    fake_stop(server);
}
END_TEST

/* A child that takes connections and ends each, as told, once something was sent to it. */
static pid_t start_hanging_up(bool resets, unsigned *port) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof place;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&place, size), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&place, &size), 0);
    *port = ntohs(place.sin_port);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    while (pid == 0) {
        int connection = accept(listener, NULL, NULL);
        char bytes[4096];
        (void)!read(connection, bytes, sizeof bytes);
        struct linger at_once = {.l_onoff = resets};
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(connection);
    }
    close(listener);
    return pid;
}

START_TEST(who_hangs_up_on_tls_may_speak_plain_text) {
    unsigned port = 0;
    pid_t pid = start_hanging_up(_i == 1, &port);
    char host[32];
    snprintf(host, sizeof host, "127.0.0.1:%u", port);
    const char *hosts[] = {host};
    channel_options options = channel_options_for(hosts, 1);
    options.tls = true;
    options.ca_file = file("ca.pem");
    options.timeout_ms = 500;
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    ck_assert_status(channel_open(&options, &channel, &error), IPALLOC_E_UNAVAILABLE);
    ck_assert_contains(error.message, _i == 1 ? "reset by peer" : "closed the connection");
    ck_assert_contains(error.message, "http://");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("channel TLS");
    TCase *tests = tcase_create("TLS");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, make_all, remove_all);
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_loop_test(tests, who_is_trusted_and_what_is_said, 0, LENGTH(CASES));
    tcase_add_loop_test(tests, the_same_is_said_where_a_refusal_comes_before_all_is_sent, 0,
                        LENGTH(CASES));
    tcase_add_loop_test(tests, who_hangs_up_on_tls_may_speak_plain_text, 0, 2);
    tcase_add_test(tests, large_messages_pass_through_tls);
    tcase_add_test(tests, a_connection_cut_at_any_byte_is_made_anew);
    tcase_add_test(tests, it_connects_by_name_too);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
