/*
 * test_channel_secure.c: real etcd with TLS, client certificates, users and passwords.
 */
#include "certificates.h"
#include "channel_support.h"
#include "cluster.h"
#include "proto_hand.h"

#include <stdlib.h>
#include <unistd.h>

static const char *directory;
static etcd_cluster *cluster;

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

static void tear_down(void) {
    etcd_stop(cluster);
    cluster = NULL;
}

static const char *file(const char *name) {
    return name == NULL ? NULL : certificate_file(directory, name);
}

static void start(const char *authority) {
    etcd_options options = {.cert_file = file("server.pem"),
                            .key_file = file("server.key"),
                            .ca_file = file(authority),
                            .ctl_ca_file = file("ca.pem"),
                            .ctl_cert_file = file("server.pem"),
                            .ctl_key_file = file("server.key")};
    cluster = etcd_start(&options);
}

/* A channel, or what is said. */
static etcd_channel *try_open(channel_options more, char *told) {
    const char *host = etcd_host(cluster, 0);
    channel_options options = channel_options_for(&host, 1);
    options.tls = more.tls;
    options.ca_file = file(more.ca_file);
    options.cert_file = file(more.cert_file);
    options.key_file = file(more.key_file);
    options.user = more.user;
    options.password = more.password;
    options.timeout_ms = 5000;
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    int status = channel_open(&options, &channel, &error);
    ck_assert(status == IPALLOC_OK || status == IPALLOC_E_UNAVAILABLE);
    ck_assert((status == IPALLOC_OK) == (channel != NULL));
    snprintf(told, IPALLOC_ERROR_TEXT, "%s", error.message);
    return channel;
}

static channel_call put(etcd_channel *channel, const char *key) {
    hand_message m = hand_put(key, "value");
    channel_call call = {.method = HAND_PUT, .request = hand_request(&m), .repeatable = true};
    channel_do(channel, &call, 1);
    call_free(channel, &call);
    return call;
}

static void must_put(etcd_channel *channel, const char *key) {
    channel_call call = put(channel, key);
    ck_assert_msg(call.end == CALL_ANSWERED, "%s", call.error.message);
}

static void is_refused(channel_options options, const char *part) {
    char told[IPALLOC_ERROR_TEXT];
    ck_assert_ptr_null(try_open(options, told));
    ck_assert_contains(told, part);
    ck_assert_contains(told, etcd_host(cluster, 0));
}

static etcd_channel *must_open(channel_options options) {
    char told[IPALLOC_ERROR_TEXT];
    etcd_channel *channel = try_open(options, told);
    ck_assert_msg(channel != NULL, "%s", told);
    return channel;
}

START_TEST(etcd_with_tls_is_used_and_refusals_say_which) {
    start("ca.pem");
    etcd_channel *channel = must_open((channel_options){
        .tls = true, .ca_file = "ca.pem", .cert_file = "client.pem", .key_file = "client.key"});
    must_put(channel, "/x");
    channel_close(channel);
    is_refused((channel_options){.tls = true, .ca_file = "ca.pem"}, "wants a client certificate");
    is_refused((channel_options){.tls = true,
                                 .ca_file = "ca.pem",
                                 .cert_file = "stranger.pem",
                                 .key_file = "stranger.key"},
               "refuses our client certificate");
    is_refused((channel_options){.tls = true, .ca_file = "other.pem"}, "not signed by");
    is_refused((channel_options){.tls = false}, "https://");
}
END_TEST

START_TEST(tls_spoken_to_a_plain_port_is_said) {
    cluster = etcd_start(NULL);
    is_refused((channel_options){.tls = true, .ca_file = "ca.pem"}, "http://");
}
END_TEST

/* Root and a user "writer" who may do anything under /mine. */
static void enable_users(void) {
    etcd_ctl_ok(cluster, "user", "add", "root:rootpass");
    etcd_ctl_ok(cluster, "user", "grant-role", "root", "root");
    etcd_ctl_ok(cluster, "role", "add", "writing");
    etcd_ctl_ok(cluster, "role", "grant-permission", "--prefix=true", "writing", "readwrite",
                "/mine");
    etcd_ctl_ok(cluster, "user", "add", "writer:secret");
    etcd_ctl_ok(cluster, "user", "grant-role", "writer", "writing");
    etcd_ctl_ok(cluster, "auth", "enable");
    etcd_ctl_user(cluster, "root:rootpass");
}

START_TEST(users_log_in_and_refusals_say_which) {
    cluster = etcd_start(NULL);
    is_refused((channel_options){.user = "writer", .password = "secret"},
               "authentication is not enabled");
    enable_users();
    etcd_channel *channel = must_open((channel_options){.user = "writer", .password = "secret"});
    must_put(channel, "/mine/x");
    channel_call call = put(channel, "/other/x");
    ck_assert_int_eq(call.end, CALL_REFUSED);
    ck_assert_int_eq(call.grpc_code, 7);
    ck_assert_contains(call.error.message, "permission denied");
    channel_close(channel);
    is_refused((channel_options){.user = "writer", .password = "wrong"}, "the password is wrong");
    is_refused((channel_options){.user = "nobody", .password = "secret"}, "\"nobody\" is unknown");
    channel = must_open((channel_options){.user = NULL}); /* it is the first call that needs one */
    call = put(channel, "/mine/x");
    ck_assert_int_eq(call.end, CALL_REFUSED);
    ck_assert_contains(call.error.message, "demands a user and a password");
    channel_close(channel);
}
END_TEST

START_TEST(tokens_that_went_with_the_server_are_made_anew) {
    cluster = etcd_start(NULL);
    enable_users();
    etcd_channel *channel = must_open((channel_options){.user = "writer", .password = "secret"});
    must_put(channel, "/mine/x");
    etcd_restart(cluster, 0);
    etcd_wait_healthy(cluster, 30);
    must_put(channel, "/mine/y");
    channel_close(channel);
}
END_TEST

START_TEST(a_password_that_is_changed_meanwhile_is_said) {
    cluster = etcd_start(NULL);
    enable_users();
    etcd_channel *channel = must_open((channel_options){.user = "writer", .password = "secret"});
    must_put(channel, "/mine/x");
    char *output = NULL;
    ck_assert_int_eq(etcd_ctl(cluster, &output, "user", "delete", "writer"), 0);
    free(output);
    channel_call call = put(channel, "/mine/y");
    ck_assert_msg(call.end == CALL_REFUSED, "%d %s", call.end, call.error.message);
    ck_assert_contains(call.error.message, "the password is wrong");
    channel_close(channel);
}
END_TEST

START_TEST(a_certificates_common_name_is_a_user) {
    start("ca.pem");
    etcd_ctl_ok(cluster, "user", "add", "root:rootpass");
    etcd_ctl_ok(cluster, "user", "grant-role", "root", "root");
    etcd_ctl_ok(cluster, "user", "add", "alice:x");
    etcd_ctl_ok(cluster, "role", "add", "writing");
    etcd_ctl_ok(cluster, "role", "grant-permission", "--prefix=true", "writing", "readwrite",
                "/mine");
    etcd_ctl_ok(cluster, "user", "grant-role", "alice", "writing");
    etcd_ctl_ok(cluster, "auth", "enable");
    etcd_channel *channel = must_open((channel_options){
        .tls = true, .ca_file = "ca.pem", .cert_file = "client.pem", .key_file = "client.key"});
    must_put(channel, "/mine/x");
    ck_assert_int_eq(put(channel, "/other/x").grpc_code, 7);
    channel_close(channel);
}
END_TEST

START_TEST(a_full_etcd_says_what_to_do) {
    static const char *const SMALL[] = {"--quota-backend-bytes=65536", NULL};
    cluster = etcd_start(&(etcd_options){.arguments = SMALL});
    etcd_channel *channel = must_open((channel_options){.user = NULL});
    channel_call call = {.end = CALL_ANSWERED};
    for (int i = 0; i < 2000 && call.end == CALL_ANSWERED; i++)
        call = put(channel, "/x");
    ck_assert_int_eq(call.end, CALL_UNKNOWN);
    ck_assert(!call.echo);
    ck_assert_int_eq(call.grpc_code, 8);
    ck_assert_contains(call.error.message, "database space exceeded");
    ck_assert_contains(call.error.message, "alarm disarm");
    channel_close(channel);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("channel secure");
    TCase *tests = tcase_create("etcd");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, make_all, remove_all);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, etcd_with_tls_is_used_and_refusals_say_which);
    tcase_add_test(tests, tls_spoken_to_a_plain_port_is_said);
    tcase_add_test(tests, users_log_in_and_refusals_say_which);
    tcase_add_test(tests, tokens_that_went_with_the_server_are_made_anew);
    tcase_add_test(tests, a_password_that_is_changed_meanwhile_is_said);
    tcase_add_test(tests, a_certificates_common_name_is_a_user);
    tcase_add_test(tests, a_full_etcd_says_what_to_do);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
