/* The command line of ipalloc-apiserver, through the real binary: exit codes, one clear line, and
 * nothing created. */
#include "server_process.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *argument;
    const char *says; /* NULL: accepted */
} lines[] = {
    {"--service-cluster-ip-range=",
     "--service-cluster-ip-range must contain at least one valid cidr"},
    {"--service-cluster-ip-range=10.96.0.0", "service-cluster-ip-range[0] is not a valid cidr"},
    {"--service-cluster-ip-range=10.96.0.0/33", "service-cluster-ip-range[0] is not a valid cidr"},
    {"--service-cluster-ip-range=fd00::/129", "service-cluster-ip-range[0] is not a valid cidr"},
    {"--service-cluster-ip-range=bogus", "service-cluster-ip-range[0] is not a valid cidr"},
    {"--service-cluster-ip-range=010.96.0.0/16", "service-cluster-ip-range[0] is not a valid"},
    {"--service-cluster-ip-range=10.96.0.0/16,bogus",
     "service-cluster-ip-range[1] is not a valid cidr"},
    {"--service-cluster-ip-range=,10.96.0.0/16", "service-cluster-ip-range[0] is not a valid cidr"},
    {"--service-cluster-ip-range=10.96.0.0/16,", "service-cluster-ip-range[1] is not a valid cidr"},
    {"--service-cluster-ip-range=10.0.0.0/16,11.0.0.0/16",
     "--service-cluster-ip-range[0] and --service-cluster-ip-range[1] must be of different IP "
     "family"},
    {"--service-cluster-ip-range=2000::/108,3000::/108", "must be of different IP family"},
    {"--service-cluster-ip-range=10.0.0.0/16,fd00::/108,fd01::/108",
     "--service-cluster-ip-range must not contain more than two entries"},
    {"--service-cluster-ip-range=10.0.0.0/30",
     "the service cluster IP range must be at least 8 IP addresses"},
    {"--service-cluster-ip-range=fd00::/126",
     "the service cluster IP range must be at least 8 IP addresses"},
    {"--service-cluster-ip-range=10.0.0.0/16\nx", "\\x0a"},
    {"--service-cluster-ip-range", "it needs a value"},
    {"--service-node-port-range=", "unable to parse port range"},
    {"--service-node-port-range=100 - 200", "unable to parse port range"},
    {"--service-node-port-range=-100", "unable to parse port range"},
    {"--service-node-port-range=100-", "unable to parse port range"},
    {"--service-node-port-range=200-100", "end port cannot be less than start port"},
    {"--service-node-port-range=60000-70000", "the port range cannot be greater than 65535"},
    {"--service-node-port-range=70000-80000", "the port range cannot be greater than 65535"},
    {"--service-node-port-range=70000+80000", "the port range cannot be greater than 65535"},
    {"--service-node-port-range=1+65535", "the port range cannot be greater than 65535"},
    {"--service-node-port-range=1+-1", "unable to parse port range"},
    {"--service-node-port-range=1-+1", "unable to parse port range"},
    {"--service-node-port-range=99999999999999999999", "unable to parse port range"},
    {"--service-node-port-range=0-5", "port 0 cannot be a node port"},
    {"--service-node-port-range=30000-32767x", "unable to parse port range"},
    {"--load-balancer-ip-range=", "it must contain at least one CIDR"},
    {"--load-balancer-ip-range=192.0.2.0/40", "load-balancer-ip-range[0] is not a valid cidr"},
    {"--load-balancer-ip-range=10.96.1.0/24", "10.96.0.0/16 and 10.96.1.0/24 overlap"},
    {"--load-balancer-ip-range=a_b=192.0.2.0/24", "RFC 1123 label"},
    {"--load-balancer-ip-range=a=", "it must contain at least one CIDR"},
    {"--load-balancer-ip-range=a=b=192.0.2.0/24", "\"a=b=192.0.2.0/24\": "},
    {"--load-balancer-ip-range=192.0.2.0/24,192.0.2.128/25", "overlap"},
    {"--load-balancer-ip-range=1.0.0.0/24,2.0.0.0/24,3.0.0.0/24,4.0.0.0/24,5.0.0.0/24,6.0.0.0/24,"
     "7.0.0.0/24,8.0.0.0/24,9.0.0.0/24",
     "it must not contain more than eight entries"},
    {"--store=", "it must be memory:, sqlite:PATH or etcd:URL"},
    {"--store=sqlite:", "it must be memory:, sqlite:PATH or etcd:URL"},
    {"--store=etcd:", "it must be etcd:http://HOST:PORT"},
    {"--store=etcd:127.0.0.1:2379", "it must be etcd:http://HOST:PORT"},
    {"--store=etcd:http://root:secret@127.0.0.1:2379", "comes from --etcd-password-file"},
    {"--etcd-timeout=", "it must be a time from 1ms to 10m"},
    {"--etcd-timeout=5", "it must be a time from 1ms to 10m"},
    {"--etcd-timeout=0s", "it must be a time from 1ms to 10m"},
    {"--etcd-timeout=11m", "it must be a time from 1ms to 10m"},
    {"--etcd-timeout=99999999999999999999s", "it must be a time from 1ms to 10m"},
    {"--etcd-timeout=-1s", "it must be a time from 1ms to 10m"},
    {"--etcd-timeout=5s", "it is for --store=etcd:..."},
    {"--etcd-cafile=", "it must not be empty"},
    {"--etcd-cafile=ca.pem", "it is for --store=etcd:..."},
    {"--etcd-servers=http://127.0.0.1:2379", "etcd's endpoints and the prefix are one URL"},
    {"--listen=", "it must be ADDRESS:PORT"},
    {"--listen=8001", "it must be ADDRESS:PORT"},
    {"--listen=localhost:8001", "it must be ADDRESS:PORT"},
    {"--listen=127.0.0.1:", "the port must be a number from 0 to 65535"},
    {"--listen=127.0.0.1:65536", "the port must be a number from 0 to 65535"},
    {"--listen=127.0.0.1:http", "the port must be a number from 0 to 65535"},
    {"--listen=::1:8001", "it must be ADDRESS:PORT"},
    {"--listen=[127.0.0.1]:8001", "it must be ADDRESS:PORT"},
    {"--bogus=1", "no such flag"},
    {"--bogus", "no such flag"},
    {"-h", "no such flag"},
    {"word", "no such flag"},
    {"", "no such flag"},
};

START_TEST(a_malformed_flag_is_one_clear_line_exit_2_and_nothing_created) {
    const char *directory = test_directory_make();
    char store[512];
    char errors[4096];
    snprintf(store, sizeof store, "--store=sqlite:%s/db", directory);
    bool is_store = strncmp(lines[_i].argument, "--store", 7) == 0;
    const char *arguments[] = {is_store ? "--service-node-port-range=1" : store, lines[_i].argument,
                               NULL};
    int code = server_run(arguments, errors, sizeof errors);
    ck_assert_msg(code == 2, "%s: exit %d: %s", lines[_i].argument, code, errors);
    ck_assert_msg(strstr(errors, lines[_i].says) != NULL, "%s: %s", lines[_i].argument, errors);
    ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1, "not one line: %s", errors);
    snprintf(store, sizeof store, "%s/db", directory);
    ck_assert_int_ne(access(store, F_OK), 0);
    test_directory_remove(directory);
}
END_TEST

/* What several flags of etcd are together; the address is nobody's. */
static const struct {
    const char *arguments[4];
    int code;
    const char *says;
} sets[] = {
    {{"--store=etcd:https://127.0.0.1:1", "--etcd-certfile=a.pem"}, 2, "it needs --etcd-keyfile"},
    {{"--store=etcd:https://127.0.0.1:1", "--etcd-keyfile=a.pem"}, 2, "it needs --etcd-certfile"},
    {{"--store=etcd:http://127.0.0.1:1", "--etcd-cafile=a.pem"}, 2, "it is for --store=etcd:https"},
    {{"--store=etcd:http://127.0.0.1:1", "--etcd-user=root"}, 2, "it needs --etcd-password-file"},
    {{"--store=etcd:http://127.0.0.1:1", "--etcd-password-file=a"}, 2, "it needs --etcd-user"},
    {{"--store=etcd:http://127.0.0.1:1", "--etcd-user=root", "--etcd-password-file=/nowhere/a"},
     1,
     "--etcd-password-file=/nowhere/a: No such file or directory"},
    {{"--store=etcd:http://127.0.0.1:1", "--etcd-user=root", "--etcd-password-file=/dev/null"},
     1,
     "--etcd-password-file=/dev/null: it is empty"},
};

START_TEST(flags_of_etcd_that_do_not_fit_are_one_clear_line) {
    char errors[4096];
    const char *arguments[6] = {"--listen=127.0.0.1:0"};
    for (size_t i = 0; i < 4; i++) {
        arguments[i + 1] = sets[_i].arguments[i];
    }
    int code = server_run(arguments, errors, sizeof errors);
    ck_assert_msg(code == sets[_i].code, "exit %d: %s", code, errors);
    ck_assert_msg(strstr(errors, sets[_i].says) != NULL, "%s", errors);
    ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1, "not one line: %s", errors);
}
END_TEST

START_TEST(a_flag_given_twice_is_refused) {
    char errors[1024];
    const char *arguments[] = {"--store=memory:", "--store=memory:", NULL};
    ck_assert_int_eq(server_run(arguments, errors, sizeof errors), 2);
    ck_assert_ptr_nonnull(strstr(errors, "the flag is given twice"));
}
END_TEST

static const char *const accepted[] = {
    "--service-cluster-ip-range=10.0.0.0/8",
    "--service-cluster-ip-range=192.0.2.1/24",
    "--service-cluster-ip-range=244.0.0.0/16",
    "--service-cluster-ip-range=10.0.0.0/29",
    "--service-cluster-ip-range=2001:db8::/12",
    "--service-cluster-ip-range=fd00::/125",
    "--service-cluster-ip-range=10.0.0.0/16,3000::/48",
    "--service-cluster-ip-range=3000::/108,10.0.0.0/16",
    "--service-node-port-range=100-200",
    "--service-node-port-range= 100-200 ",
    "--service-node-port-range=100",
    "--service-node-port-range=100+200",
    "--service-node-port-range=1+0",
    "--service-node-port-range=1-65535",
    "--load-balancer-ip-range=192.0.2.0/24",
    "--load-balancer-ip-range=192.0.2.0/24,198.51.100.0/24,fd01::/64",
};

START_TEST(a_good_flag_starts_the_server) {
    const char *arguments[] = {accepted[_i], NULL};
    struct server_process server = server_start(arguments);
    ck_assert_int_eq(server_stop(&server), 0);
}
END_TEST

START_TEST(help_and_version_exit_0) {
    char errors[1024];
    const char *help[] = {"--help", NULL};
    const char *version[] = {"--version", NULL};
    ck_assert_int_eq(server_run(help, errors, sizeof errors), 0);
    ck_assert_int_eq(server_run(version, errors, sizeof errors), 0);
    ck_assert_str_eq(errors, "");
}
END_TEST

START_TEST(the_start_line_says_url_store_ranges_and_what_was_loaded) {
    const char *arguments[] = {"--load-balancer-ip-range=192.0.2.0/24", NULL};
    struct server_process server = server_start(arguments);
    static const char *const parts[] = {
        "http://127.0.0.1:",           "store memory:",
        "ClusterIPs 10.96.0.0/16",     "node ports 30000-32767",
        "load balancers 192.0.2.0/24", "loaded 1 Services holding 1 addresses and ports"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        ck_assert_msg(strstr(server.start_line, parts[i]) != NULL, "%s", server.start_line);
    }
    server_kill(&server);
}
END_TEST

/* Flags that do not fit what the store was made with. */
static const struct {
    const char *first, *second, *says_first, *says_second;
} changes[] = {
    {"--service-cluster-ip-range=10.96.0.0/16", "--service-cluster-ip-range=10.97.0.0/16",
     "10.96.0.0/16", "10.97.0.0/16"},
    {"--service-cluster-ip-range=10.96.0.0/16", "--service-cluster-ip-range=10.96.0.0/24",
     "10.96.0.0/16", "10.96.0.0/24"},
    {"--service-cluster-ip-range=10.96.0.0/16,fd00::/108",
     "--service-cluster-ip-range=10.96.0.0/16", "ServiceCIDR kubernetes", "fd00::/108"},
    {"--service-node-port-range=30000-32767", "--service-node-port-range=30000-30009",
     "30000-32767", "30000-30009"},
};

START_TEST(a_store_with_other_ranges_is_refused_showing_both) {
    const char *directory = test_directory_make();
    char store[512];
    char errors[4096];
    snprintf(store, sizeof store, "--store=sqlite:%s/db", directory);
    const char *first[] = {store, changes[_i].first, NULL};
    const char *second[] = {store, changes[_i].second, "--listen=127.0.0.1:0", NULL};
    struct server_process server = server_start(first);
    ck_assert_int_eq(server_stop(&server), 0);
    ck_assert_int_eq(server_run(second, errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, changes[_i].says_first) != NULL, "%s", errors);
    ck_assert_msg(strstr(errors, changes[_i].says_second) != NULL, "%s", errors);
    ck_assert_msg(strstr(errors, ipalloc_strerror(IPALLOC_E_MISMATCH)) != NULL, "%s", errors);
    server = server_start(first); /* and the refusal has changed nothing */
    ck_assert_int_eq(server_stop(&server), 0);
    test_directory_remove(directory);
}
END_TEST

START_TEST(a_port_that_is_taken_is_said_before_anything_is_created) {
    const char *directory = test_directory_make();
    char store[512];
    char listener[64];
    char errors[1024];
    const char *first[] = {"--store=memory:", NULL};
    struct server_process server = server_start(first);
    snprintf(store, sizeof store, "--store=sqlite:%s/db", directory);
    snprintf(listener, sizeof listener, "--listen=127.0.0.1:%u", server.port);
    const char *second[] = {store, listener, NULL};
    ck_assert_int_eq(server_run(second, errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "Address already in use") != NULL, "%s", errors);
    snprintf(store, sizeof store, "%s/db", directory);
    ck_assert_int_ne(access(store, F_OK), 0);
    server_kill(&server);
    test_directory_remove(directory);
}
END_TEST

START_TEST(a_second_server_on_one_store_is_told_who_has_it) {
    const char *directory = test_directory_make();
    char store[512];
    char errors[1024];
    char pid[32];
    snprintf(store, sizeof store, "--store=sqlite:%s/db", directory);
    const char *first[] = {store, NULL};
    const char *second[] = {store, "--listen=127.0.0.1:0", NULL};
    struct server_process server = server_start(first);
    ck_assert_int_eq(server_run(second, errors, sizeof errors), 1);
    snprintf(pid, sizeof pid, "%d", (int)server.pid);
    ck_assert_msg(strstr(errors, pid) != NULL, "%s", errors);
    server_kill(&server);
    test_directory_remove(directory);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("apiserver options");
    TCase *cases = tcase_create("options");
    tcase_set_timeout(cases, 30);
    tcase_add_loop_test(cases, a_malformed_flag_is_one_clear_line_exit_2_and_nothing_created, 0,
                        (int)(sizeof lines / sizeof lines[0]));
    tcase_add_loop_test(cases, flags_of_etcd_that_do_not_fit_are_one_clear_line, 0,
                        (int)(sizeof sets / sizeof sets[0]));
    tcase_add_test(cases, a_flag_given_twice_is_refused);
    tcase_add_loop_test(cases, a_good_flag_starts_the_server, 0,
                        (int)(sizeof accepted / sizeof accepted[0]));
    tcase_add_test(cases, help_and_version_exit_0);
    tcase_add_test(cases, the_start_line_says_url_store_ranges_and_what_was_loaded);
    tcase_add_loop_test(cases, a_store_with_other_ranges_is_refused_showing_both, 0,
                        (int)(sizeof changes / sizeof changes[0]));
    tcase_add_test(cases, a_port_that_is_taken_is_said_before_anything_is_created);
    tcase_add_test(cases, a_second_server_on_one_store_is_told_who_has_it);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
