/*
 * test_network.c: a cut that cuts nothing would make every nemesis look harmless.
 */
#include "cluster.h"
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NODES = 4, CLIENT = 3, PORT = 2379 };

static void enter(void *context, int member) {
    network_enter(context, member);
}

static etcd_cluster *start_in(network *n) {
    const char *hosts[3];
    for (int i = 0; i < 3; i++)
        hosts[i] = network_address(n, i);
    return etcd_start(&(etcd_options){.members = 3, .hosts = hosts, .enter = enter, .context = n});
}

START_TEST(cuts_are_one_way_or_both_and_heal) {
    const char *why = NULL;
    network *n = network_create(NODES, &why);
    ck_assert_msg(n != NULL, "%s", why);
    etcd_cluster *c = start_in(n);
    ck_assert(network_reaches(n, CLIENT, 0, PORT));
    network_cut(n, CLIENT, 0);
    ck_assert(!network_reaches(n, CLIENT, 0, PORT));
    ck_assert(network_reaches(n, CLIENT, 1, PORT));
    ck_assert(network_reaches(n, 1, 0, PORT));
    network_heal(n);
    ck_assert(network_reaches(n, CLIENT, 0, PORT));
    network_cut(n, 0, CLIENT); /* the answers do not come back */
    ck_assert(!network_reaches(n, CLIENT, 0, PORT));
    ck_assert(network_reaches(n, 1, 0, PORT));
    network_heal(n);

    /* A leader without its peers is none any more; the others elect one. */
    int leader = etcd_leader(c), next = leader;
    ck_assert_int_ge(leader, 0);
    for (int i = 0; i < 3; i++)
        if (i != leader) {
            network_cut(n, leader, i);
            network_cut(n, i, leader);
        }
    for (int i = 0; next == leader || next < 0; i++) {
        ck_assert_int_lt(i, 200);
        usleep(100000);
        next = etcd_leader(c);
    }
    ck_assert(!etcd_is_healthy(c, leader));
    network_heal(n);
    etcd_wait_healthy(c, 20);
    etcd_stop(c);
    network_destroy(n);
}
END_TEST

/* Making a network moves the process that makes it: a child tries. */
static bool a_network_can_be_made(void) {
    const char *why = NULL;
    int how = 0;
    pid_t pid = fork();
    if (pid == 0) {
        bool made = network_create(1, &why) != NULL;
        if (!made)
            printf("no network of its own: %s\n", why);
        fflush(stdout);
        _exit(made ? 0 : 1);
    }
    return waitpid(pid, &how, 0) == pid && WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

int main(void) {
    if (!etcd_is_here()) {
        printf("etcd or etcdctl is not in PATH (Debian packages etcd-server, etcd-client)\n");
        return 77;
    }
    if (!a_network_can_be_made())
        return 77;
    Suite *suite = suite_create("network");
    TCase *tc = tcase_create("network");
    tcase_set_timeout(tc, 100);
    tcase_add_test(tc, cuts_are_one_way_or_both_and_heal);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
