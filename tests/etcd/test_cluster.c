/*
 * test_cluster.c: the harness itself. Faults that it claims to make must be faults.
 */
#include "cluster.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void find_key(void *context, const etcd_key *key) {
    char *seen = context;
    snprintf(seen + strlen(seen), 200 - strlen(seen), "%s=%.*s ", key->key, (int)key->value_size,
             key->value);
    ck_assert_uint_gt(key->create_revision, 0);
    ck_assert_uint_ge(key->mod_revision, key->create_revision);
}

START_TEST(one_member_keeps_what_is_written_over_kill_and_restart) {
    etcd_cluster *c = etcd_start(NULL);
    etcd_ctl_ok(c, "put", "/a/1", "one");
    etcd_ctl_ok(c, "put", "/a/2", "");
    etcd_ctl_ok(c, "put", "/b/1", "other");
    etcd_kill(c, 0);
    ck_assert(!etcd_is_healthy(c, 0));
    etcd_restart(c, 0);
    etcd_wait_healthy(c, 20);
    char seen[200] = "";
    ck_assert_uint_eq(etcd_read_all(c, "/a/", find_key, seen), 2);
    ck_assert_str_eq(seen, "/a/1=one /a/2= ");
    ck_assert_uint_eq(etcd_read_all(c, "/c/", find_key, seen), 0);
    etcd_stop(c);
}
END_TEST

START_TEST(compaction_forgets_the_past) {
    etcd_cluster *c = etcd_start(NULL);
    etcd_ctl_ok(c, "put", "/a", "1");
    etcd_ctl_ok(c, "put", "/a", "2");
    ck_assert_uint_eq(etcd_compact(c), 3);
    char *text = NULL;
    ck_assert_int_ne(etcd_ctl(c, &text, "get", "/a", "--rev=2"), 0);
    ck_assert_ptr_nonnull(strstr(text, "compacted"));
    free(text);
    etcd_stop(c);
}
END_TEST

START_TEST(three_members_elect_another_leader) {
    etcd_cluster *c = etcd_start(&(etcd_options){.members = 3});
    ck_assert_ptr_nonnull(strstr(etcd_url(c, "/p"), ",http://"));
    int leader = etcd_leader(c), next;
    ck_assert_int_ge(leader, 0);
    etcd_pause(c, leader);
    ck_assert(!etcd_is_healthy(c, leader));
    for (int i = 0; (next = etcd_leader(c)) < 0 || next == leader; i++) {
        ck_assert_int_lt(i, 200);
        usleep(100000);
    }
    etcd_ctl_ok(c, "put", "/a", "1");
    etcd_resume(c, leader);
    etcd_wait_healthy(c, 20);
    /* Two of three are gone: no write can be made. */
    etcd_kill(c, 0);
    etcd_kill(c, 1);
    ck_assert_int_ne(etcd_ctl_words(c, 2, 2, NULL, (const char *const[]){"put", "/a", "2", NULL}),
                     0);
    etcd_restart(c, 0);
    etcd_restart(c, 1);
    etcd_wait_healthy(c, 20);
    etcd_ctl_ok(c, "put", "/a", "3");
    etcd_stop(c);
}
END_TEST

/* A test that dies in the middle leaves no member, and no directory. */
START_TEST(a_cluster_dies_with_its_test) {
    int ends[2];
    struct {
        char directory[512], host[64];
    } told = {{0}, {0}};
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* its logs are of no interest */
        etcd_cluster *c = etcd_start(NULL);
        etcd_pause(c, 0);
        snprintf(told.directory, sizeof told.directory, "%s", etcd_directory(c));
        snprintf(told.host, sizeof told.host, "%s", etcd_host(c, 0));
        if (write(ends[1], &told, sizeof told) != sizeof told)
            abort();
        raise(SIGKILL);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &told, sizeof told), sizeof told);
    waitpid(pid, NULL, 0);
    for (int i = 0; access(told.directory, F_OK) == 0; i++) {
        ck_assert_msg(i < 200, "%s is still there", told.directory);
        usleep(50000);
    }
    char command[256];
    snprintf(command, sizeof command,
             "etcdctl --command-timeout=1s --endpoints=%s get / >/dev/null 2>&1", told.host);
    ck_assert_int_ne(system(command), 0);
}
END_TEST

int main(void) {
    if (!etcd_is_here()) {
        printf("etcd or etcdctl is not in PATH (Debian packages etcd-server, etcd-client)\n");
        return 77;
    }
    Suite *suite = suite_create("cluster");
    TCase *tc = tcase_create("cluster");
    tcase_set_timeout(tc, 100);
    tcase_add_test(tc, one_member_keeps_what_is_written_over_kill_and_restart);
    tcase_add_test(tc, compaction_forgets_the_past);
    tcase_add_test(tc, three_members_elect_another_leader);
    tcase_add_test(tc, a_cluster_dies_with_its_test);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
