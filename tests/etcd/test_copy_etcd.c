/*
 * test_copy_etcd.c: copies into and out of a real etcd: the same bytes, and killed at any moment
 * nothing, marked, or whole.
 */
#include "cluster.h"
#include "copy_support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static etcd_cluster *cluster;
static const char *directory;

static void set_up(void) {
    cluster = etcd_start(NULL);
    directory = test_directory_make();
}

static void tear_down(void) {
    etcd_stop(cluster);
    test_directory_remove(directory);
}

static void put_bytes(ipalloc_store *store, const char *key, size_t size) {
    static char bytes[IPALLOC_VALUE_MAX];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 251);
    ipalloc_op op = op_put(key, "");
    op.value = (ipalloc_bytes){bytes, size};
    must_commit(store, &op, 1);
}

START_TEST(there_and_back_every_byte_is_the_same) {
    ipalloc_store *from = open_store("memory:", NULL);
    fill(from, 2500);
    put_bytes(from, "empty/", 0);
    put_bytes(from, "z/half/", IPALLOC_VALUE_MAX / 2);
    put_bytes(from, "z/long/", IPALLOC_VALUE_MAX);
    ipalloc_store *etcd = open_epoch(etcd_url(cluster, "/copy/here"), 7);
    ck_assert_status(copy(from, etcd), IPALLOC_OK);
    ck_assert_uint_eq(info_of(etcd).epoch, 7);
    expect_same(from, etcd);
    ipalloc_store *back = open_epoch(sqlite_url(directory, "back.db"), 8);
    ck_assert_status(copy(etcd, back), IPALLOC_OK);
    expect_same(from, back);
    ipalloc_store *beside = open_epoch(etcd_url(cluster, "/copy/beside"), 9);
    ck_assert_status(copy(etcd, beside), IPALLOC_OK);
    expect_same(from, beside);
    expect_same(from, etcd);
    ck_assert_status(copy(from, etcd), IPALLOC_E_BUSY);
    ipalloc_store_close(beside);
    ipalloc_store_close(back);
    ipalloc_store_close(etcd);
    ipalloc_store_close(from);
}
END_TEST

typedef struct writing {
    ipalloc_store *other; /* a session of another server */
    bool done;
} writing;

static int write_meanwhile(void *context, uint64_t copied, uint64_t read_back) {
    writing *w = context;
    (void)read_back;
    if (copied >= 500 && !w->done) {
        put(w->other, "k/0000000/", "another server's");
        w->done = true;
    }
    return 0;
}

START_TEST(another_server_that_writes_to_the_source_is_noticed) {
    ipalloc_store *from = open_store(etcd_url(cluster, "/from"), NULL);
    fill(from, 2000);
    writing w = {.other = open_store(etcd_url(cluster, "/from"), NULL)};
    ipalloc_copy_options options = {
        .batch_entries = 50, .batches_at_once = 2, .progress = write_meanwhile, .context = &w};
    ipalloc_store *to = open_epoch("memory:", 2);
    ck_assert_status(copy_with(from, to, options), IPALLOC_E_CONFLICT);
    expect_words("the source has changed meanwhile");
    expect_no_registry(to);
    /* What others write beside our prefix is no change. */
    etcd_ctl_ok(cluster, "put", "/elsewhere", "x");
    ck_assert_status(copy_with(from, to, (ipalloc_copy_options){.replace_unfinished = true}),
                     IPALLOC_OK);
    expect_same(from, to);
    ipalloc_store_close(to);
    ipalloc_store_close(w.other);
    ipalloc_store_close(from);
}
END_TEST

/* --- killed -------------------------------------------------------------------------------------
 */

enum { KILLS = 40, ENTRIES = 1500 };

static void copy_in_child(const char *url) {
    ipalloc_store *from = open_store("memory:", NULL);
    fill(from, ENTRIES);
    ipalloc_store *to = open_epoch(url, 2);
    ipalloc_copy_options options = {.size = sizeof options,
                                    .batch_entries = 10,
                                    .batches_at_once = 2,
                                    .replace_unfinished = true};
    _exit(ipalloc_store_copy(from, to, &options, NULL, NULL) == IPALLOC_OK ? 0 : 1);
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t run_child(const char *url, uint64_t kill_after_us) {
    uint64_t begin = now_us();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        copy_in_child(url);
    if (kill_after_us > 0) {
        usleep((useconds_t)kill_after_us);
        kill(child, SIGKILL);
    }
    int how = 0;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(how == 0 || (kill_after_us > 0 && WIFSIGNALED(how)), "the copy ended with %#x",
                  (unsigned)how);
    return now_us() - begin;
}

START_TEST(killed_at_any_moment_it_is_nothing_or_marked_or_whole) {
    uint64_t random = test_seed();
    unsigned before = 0, within = 0, after = 0;
    ipalloc_store *from = open_store("memory:", NULL);
    fill(from, ENTRIES);
    uint64_t whole_us = run_child(etcd_url(cluster, "/whole"), 0);
    unsigned round = 0; /* of new places */
    for (uint64_t i = 0; i < test_scaled(KILLS); i++) {
        char prefix[32];
        bool whole = false;
        snprintf(prefix, sizeof prefix, "/killed/%u", round);
        const char *url = etcd_url(cluster, prefix);
        run_child(url, 1 + test_random(&random) % (whole_us * 11 / 10));
        ipalloc_store *to = open_epoch(url, 2);
        if (content_of(to).count == 0) {
            before++;
        } else if (is_marked(to)) {
            within++;
            expect_no_registry(to);
        } else {
            after++;
            whole = true;
            expect_same(from, to);
        }
        ipalloc_store_close(to);
        if (whole || test_random(&random) % 3 != 0) /* else over what this one has left */
            round++;
    }
    ipalloc_store_close(from);
    fprintf(stderr, "killed %u times before anything was copied, %u within, %u after the end\n",
            before, within, after);
    ck_assert_uint_gt(within, 0);
}
END_TEST

/* --- a leader that is killed
 * -----------------------------------------------------------------------
 */

static int kill_leader(void *context, uint64_t copied, uint64_t read_back) {
    bool *killed = context;
    (void)read_back;
    if (copied >= 300 && !*killed) {
        int leader = etcd_leader(cluster);
        ck_assert_int_ge(leader, 0);
        etcd_kill(cluster, leader);
        ck_assert(!etcd_is_running(cluster, leader));
        *killed = true;
    }
    return 0;
}

START_TEST(a_copy_outlives_the_leader_of_three) {
    etcd_stop(cluster);
    cluster = etcd_start(&(etcd_options){.members = 3});
    bool killed = false;
    ipalloc_store *from = open_store("memory:", NULL);
    fill(from, 2000);
    ipalloc_store *to = open_epoch(etcd_url(cluster, "/three"), 2);
    ipalloc_copy_options options = {
        .batch_entries = 20, .batches_at_once = 4, .progress = kill_leader, .context = &killed};
    ck_assert_status(copy_with(from, to, options), IPALLOC_OK);
    ck_assert(killed);
    expect_same(from, to);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

int main(void) {
    if (!etcd_is_here()) {
        fputs("there is no etcd to test with\n", stderr);
        return 77;
    }
    Suite *suite = suite_create("copy etcd");
    TCase *tests = tcase_create("copy etcd");
    tcase_set_timeout(tests, 250);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, there_and_back_every_byte_is_the_same);
    tcase_add_test(tests, another_server_that_writes_to_the_source_is_noticed);
    tcase_add_test(tests, killed_at_any_moment_it_is_nothing_or_marked_or_whole);
    tcase_add_test(tests, a_copy_outlives_the_leader_of_three);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
