/*
 * test_sqlite_fault.c: every input and output call of SQLite fails once: what was acknowledged is
 * there afterwards, what was refused is not, what is unknown is whole or absent. Then every system
 * call of our own, and what a store does after a full disk and after a failed sync.
 */
#include "fault_vfs.h"
#include "store_support.h"

#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;

static void set_up(void) {
    fault_vfs_install();
    directory = test_directory_make();
}

static void tear_down(void) {
    fault_vfs_disarm();
    test_directory_remove(directory);
}

/* --- a run with faults ---------------------------------------------------------------------------
 */

enum { COMMITS = 6, TRIED_AND_GONE = 1, NOT_TRIED = 2 };

typedef struct outcome {
    int opened;
    int statuses[COMMITS];
    uint64_t revision_max; /* acknowledged */
    uint64_t fired;
} outcome;

/* Commit i puts two keys, so that half a batch would show; every third also deletes one of commit
 * 0's. */
static int commit_pair(ipalloc_store *store, int i, uint64_t *revision) {
    char first[16], second[16];
    snprintf(first, sizeof first, "a/%d/", i);
    snprintf(second, sizeof second, "z/%d/", i);
    ipalloc_op ops[] = {if_absent(op_put(first, "1")), if_absent(op_put(second, "2"))};
    ipalloc_batch batch = {.ops = ops, .op_count = 2};
    ipalloc_error error = {0};
    int status = ipalloc_store_commit(store, &batch, 1, &error);
    if (status != IPALLOC_OK && (batch.status != status || error.message[0] == '\0'))
        return -1000; /* the call and the batch must tell the same, in words */
    *revision = batch.revision;
    return status == IPALLOC_OK ? batch.status : status;
}

static void run(outcome *out, bool close_at_end) {
    ipalloc_store *store = NULL;
    for (int i = 0; i < COMMITS; i++)
        out->statuses[i] = NOT_TRIED;
    out->opened = ipalloc_store_open(sqlite_url(directory, "s.db"), NULL, &store, NULL);
    if (out->opened == IPALLOC_OK) {
        for (int i = 0; i < COMMITS; i++) {
            uint64_t revision;
            out->statuses[i] = commit_pair(store, i, &revision);
            if (out->statuses[i] == IPALLOC_OK)
                out->revision_max = revision;
        }
        if (close_at_end)
            ipalloc_store_close(store);
    }
    out->fired = fault_vfs_fired();
}

static bool has(ipalloc_store *store, const char *first_letter, int i) {
    char key[16];
    snprintf(key, sizeof key, "%s/%d/", first_letter, i);
    return strcmp(value_of(store, key), "absent") != 0;
}

/* Reopen without faults and hold what is there against what was said. */
static void verify(const outcome *said, fault_plan plan) {
    ipalloc_store *store;
    ipalloc_error error = {0};
    int status = ipalloc_store_open(sqlite_url(directory, "s.db"), NULL, &store, &error);
    ck_assert_msg(status == IPALLOC_OK, "fault %d at %llu: reopen: %s", plan.kind,
                  (unsigned long long)plan.fail_at, error.message);
    for (int i = 0; i < COMMITS; i++) {
        bool first = has(store, "a", i), second = has(store, "z", i);
        int expected = said->statuses[i];
        ck_assert_msg(first == second, "fault %d at %llu: half of commit %d", plan.kind,
                      (unsigned long long)plan.fail_at, i);
        bool right = expected == IPALLOC_OK                  ? first
                     : expected == IPALLOC_E_UNKNOWN_OUTCOME ? true
                                                             : !first;
        ck_assert_msg(right, "fault %d at %llu: commit %d was %s, is %s", plan.kind,
                      (unsigned long long)plan.fail_at, i, ipalloc_status_name(expected),
                      first ? "there" : "absent");
        ck_assert_msg(expected == IPALLOC_OK || expected == IPALLOC_E_IO ||
                          expected == IPALLOC_E_UNKNOWN_OUTCOME || expected == NOT_TRIED ||
                          expected == IPALLOC_E_NOMEM || expected == IPALLOC_E_BUSY,
                      "fault %d at %llu: commit %d is %d", plan.kind,
                      (unsigned long long)plan.fail_at, i, expected);
    }
    ck_assert(!info_of(store).restored);
    ck_assert_uint_ge(info_of(store).revision, said->revision_max);
    ck_assert_uint_gt(put(store, "after/", "v"), said->revision_max);
    ipalloc_store_close(store);
}

static void clear_directory(void) {
    test_directory_remove(directory);
    directory = test_directory_make();
}

/* One run per place where a call can fail, until none does. `child`: in a process of its own that
 * ends without closing anything. */
static void sweep(fault_plan plan, bool exists_before, bool child) {
    outcome *out =
        mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(out != MAP_FAILED);
    uint64_t runs = 0;
    for (plan.fail_at = 1;; plan.fail_at++) {
        *out = (outcome){0};
        if (exists_before) {
            ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), NULL);
            put(store, "before/", "v");
            ipalloc_store_close(store);
        }
        if (child) {
            pid_t pid = fork();
            if (pid == 0) {
                fault_vfs_arm(plan);
                run(out, false);
                _exit(0);
            }
            int status;
            ck_assert_int_eq(waitpid(pid, &status, 0), pid);
            ck_assert_int_eq(status, 0);
        } else {
            fault_vfs_arm(plan);
            run(out, true);
            fault_vfs_disarm();
        }
        verify(out, plan);
        clear_directory();
        if (out->fired == 0)
            break;
        runs++;
    }
    ck_assert_uint_gt(runs, 5);
    munmap(out, sizeof *out);
}

static const struct {
    enum fault_kind kind;
    unsigned calls;
    bool all_after;
} FAULTS[] = {
    {FAULT_EIO, FAULT_IN_ALL, false},
    {FAULT_EIO, FAULT_IN_ALL, true},
    {FAULT_EIO_LATE, FAULT_IN_WRITE | FAULT_IN_SYNC, false},
    {FAULT_EIO_LATE, FAULT_IN_WRITE | FAULT_IN_SYNC, true},
    {FAULT_TORN_WRITE, FAULT_IN_WRITE | FAULT_IN_SYNC, false},
    {FAULT_FULL, FAULT_IN_WRITE, false},
    {FAULT_FULL, FAULT_IN_WRITE, true},
};
enum { FAULT_COUNT = sizeof FAULTS / sizeof FAULTS[0] };

static fault_plan plan_of(int i) {
    return (fault_plan){
        .kind = FAULTS[i].kind, .calls = FAULTS[i].calls, .all_after = FAULTS[i].all_after};
}

START_TEST(a_new_store_survives_every_fault) {
    sweep(plan_of(_i), false, false);
}
END_TEST

START_TEST(an_old_store_survives_every_fault) {
    sweep(plan_of(_i), true, false);
}
END_TEST

START_TEST(a_process_may_end_after_any_fault) {
    sweep(plan_of(_i), true, true);
}
END_TEST

/* --- after a fault -------------------------------------------------------------------------------
 */

START_TEST(after_a_full_disk_the_store_goes_on) {
    ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), NULL);
    uint64_t revision;
    ck_assert_status(commit_pair(store, 0, &revision), IPALLOC_OK);
    fault_vfs_arm(
        (fault_plan){.kind = FAULT_FULL, .calls = FAULT_IN_WRITE, .fail_at = 1, .all_after = true});
    for (int i = 1; i < 4; i++) {
        ipalloc_op op = op_put("a/9/", "v");
        ipalloc_batch batch = {.ops = &op, .op_count = 1};
        ipalloc_error error;
        ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_E_IO);
        ck_assert_status(batch.status, IPALLOC_E_IO);
        ck_assert_ptr_nonnull(strstr(error.message, "full"));
    }
    ck_assert_uint_gt(fault_vfs_fired(), 0);
    fault_vfs_disarm();
    ck_assert(!has(store, "a", 9));
    ck_assert_uint_eq(info_of(store).revision, 1);
    ck_assert_status(commit_pair(store, 1, &revision), IPALLOC_OK);
    ck_assert_uint_eq(revision, 2);
    ipalloc_store_close(store);
    store = open_store(sqlite_url(directory, "s.db"), NULL);
    ck_assert_str_eq(scan_text(store, ""), "a/0/=1@1 a/1/=1@2 z/0/=2@1 z/1/=2@2 ");
    ipalloc_store_close(store);
}
END_TEST

START_TEST(after_a_failed_sync_nothing_is_written_until_it_is_reopened) {
    ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), NULL);
    uint64_t revision;
    ck_assert_status(commit_pair(store, 0, &revision), IPALLOC_OK);
    fault_vfs_arm((fault_plan){.kind = FAULT_EIO, .calls = FAULT_IN_SYNC, .fail_at = 1});
    ck_assert_status(commit_pair(store, 1, &revision), IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_uint_eq(fault_vfs_fired(), 1);
    fault_vfs_disarm();
    for (int i = 2; i < 5; i++) {
        ipalloc_op op = op_put("b/", "v");
        ipalloc_batch batch = {.ops = &op, .op_count = 1};
        ipalloc_error error;
        ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_E_IO);
        ck_assert_status(batch.status, IPALLOC_E_IO);
        ck_assert_ptr_nonnull(strstr(error.message, "reopen"));
    }
    ck_assert(has(store, "a", 0)); /* reading goes on */
    ipalloc_store_close(store);
    store = open_store(sqlite_url(directory, "s.db"), NULL);
    ck_assert(has(store, "a", 0));
    ck_assert(has(store, "a", 1) == has(store, "z", 1));
    ck_assert_status(commit_pair(store, 2, &revision), IPALLOC_OK);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_conflict_in_a_group_that_failed_is_no_conflict) {
    ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), NULL);
    put(store, "x/", "v");
    ipalloc_op wins = if_absent(op_put("a/", "1")), loses = if_absent(op_put("a/", "2"));
    ipalloc_batch batches[] = {{.ops = &wins, .op_count = 1}, {.ops = &loses, .op_count = 1}};
    fault_vfs_arm((fault_plan){.kind = FAULT_EIO, .calls = FAULT_IN_SYNC, .fail_at = 1});
    ck_assert_status(ipalloc_store_commit(store, batches, 2, NULL), IPALLOC_E_UNKNOWN_OUTCOME);
    fault_vfs_disarm();
    ck_assert_status(batches[0].status, IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_status(batches[1].status, IPALLOC_E_IO);
    ipalloc_store_close(store);
}
END_TEST

/* Only a checkpoint writes to the file itself. */
START_TEST(a_failed_checkpoint_stops_the_store_and_loses_nothing) {
    fault_plan plan = plan_of(_i);
    plan.main_file_only = true;
    plan.fail_at = 3;
    ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), NULL);
    static char value[4000];
    memset(value, 'v', sizeof value - 1);
    fault_vfs_arm(plan);
    uint64_t commits = 0;
    int status = IPALLOC_OK;
    while (commits < 3000 && status == IPALLOC_OK) {
        char key[32];
        snprintf(key, sizeof key, "k/%04d/", (int)commits);
        ipalloc_op op = op_put(key, value);
        ipalloc_batch batch = {.ops = &op, .op_count = 1};
        status = ipalloc_store_commit(store, &batch, 1, NULL);
        commits += status == IPALLOC_OK;
    }
    bool only_full = plan.kind == FAULT_FULL; /* a full disk only puts the checkpoint off */
    ck_assert_status(status, only_full ? IPALLOC_OK : IPALLOC_E_IO);
    ck_assert_uint_gt(fault_vfs_fired(), 0);
    fault_vfs_disarm();
    ipalloc_store_close(store);
    store = open_store(sqlite_url(directory, "s.db"), NULL);
    ck_assert_uint_eq(info_of(store).revision, commits);
    walk w = {0};
    ck_assert_status(ipalloc_store_scan(store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0,
                                        write_down, &w, NULL, NULL),
                     IPALLOC_OK);
    ck_assert_uint_eq(w.count, commits);
    ipalloc_store_close(store);
}
END_TEST

/* --- a backup that fails -------------------------------------------------------------------------
 */

START_TEST(a_backup_is_whole_or_not_there) {
    ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), NULL);
    for (int i = 0; i < COMMITS; i++) {
        uint64_t revision;
        ck_assert_status(commit_pair(store, i, &revision), IPALLOC_OK);
    }
    fault_plan plan = plan_of(_i);
    uint64_t fired = 1;
    for (plan.fail_at = 1; fired > 0; plan.fail_at++) {
        fault_vfs_arm(plan);
        int status = ipalloc_store_backup(store, file_in(directory, "b.db"), NULL);
        fired = fault_vfs_fired();
        fault_vfs_disarm();
        ck_assert(fired > 0 || status == IPALLOC_OK);
        ck_assert_int_ne(access(file_in(directory, "b.db-new"), F_OK), 0);
        ck_assert_int_eq(access(file_in(directory, "b.db"), F_OK) == 0, status == IPALLOC_OK);
        if (status == IPALLOC_OK) {
            ipalloc_store *copy = open_store(sqlite_url(directory, "b.db"), NULL);
            ck_assert_str_eq(scan_text(copy, ""), scan_text(store, ""));
            ck_assert(info_of(copy).restored);
            ipalloc_store_close(copy);
            unlink(file_in(directory, "b.db"));
        }
    }
    uint64_t revision;
    ck_assert_status(commit_pair(store, COMMITS, &revision), IPALLOC_OK); /* none the worse */
    ipalloc_store_close(store);
}
END_TEST

/* --- our own system calls ------------------------------------------------------------------------
 */

static struct { uint64_t count, fail_at, fired; } calls;

static bool fails(void) {
    calls.count++;
    if (calls.count != calls.fail_at)
        return false;
    calls.fired++;
    errno = EIO;
    return true;
}

static int fail_open(const char *path, int flags, unsigned mode) {
    return fails() ? -1 : SYSTEM_CALLS.open(path, flags, mode);
}
static ssize_t fail_pwrite(int file, const void *bytes, size_t size, off_t offset) {
    return fails() ? -1 : SYSTEM_CALLS.pwrite(file, bytes, size, offset);
}
static int fail_truncate(int file, off_t size) {
    return fails() ? -1 : SYSTEM_CALLS.truncate(file, size);
}
static int fail_sync(int file) {
    return fails() ? -1 : SYSTEM_CALLS.sync(file);
}
static int fail_lock(int file) {
    return fails() ? -1 : SYSTEM_CALLS.lock(file);
}
static int fail_file_status(int file, struct stat *out) {
    return fails() ? -1 : SYSTEM_CALLS.file_status(file, out);
}
static int fail_path_status(const char *path, struct stat *out) {
    return fails() ? -1 : SYSTEM_CALLS.path_status(path, out);
}
static int fail_link_status(const char *path, struct stat *out) {
    return fails() ? -1 : SYSTEM_CALLS.link_status(path, out);
}
static int fail_file_system(const char *path, struct statfs *out) {
    return fails() ? -1 : SYSTEM_CALLS.file_system(path, out);
}
static int fail_birth(const char *path, file_birth *out) {
    return fails() ? -1 : SYSTEM_CALLS.birth(path, out);
}
static char *fail_real_path(const char *path, char *out) {
    return fails() ? NULL : SYSTEM_CALLS.real_path(path, out);
}
static int fail_rename_new(const char *from, const char *to) {
    return fails() ? -1 : SYSTEM_CALLS.rename_new(from, to);
}
static int fail_unlink(const char *path) {
    return fails() ? -1 : SYSTEM_CALLS.unlink(path);
}

static system_calls failing_calls(void) {
    system_calls system = SYSTEM_CALLS;
    system.open = fail_open;
    system.pwrite = fail_pwrite;
    system.truncate = fail_truncate;
    system.sync = fail_sync;
    system.lock = fail_lock;
    system.file_status = fail_file_status;
    system.path_status = fail_path_status;
    system.link_status = fail_link_status;
    system.file_system = fail_file_system;
    system.birth = fail_birth;
    system.real_path = fail_real_path;
    system.rename_new = fail_rename_new;
    system.unlink = fail_unlink;
    return system;
}

/* Open (a new store, then an old one), commit and back up, with each call failing in turn. A failed
 * open or backup leaves what can be opened or made afterwards. */
START_TEST(every_system_call_of_our_own_may_fail) {
    system_calls system = failing_calls();
    ipalloc_store_options options = {.size = sizeof options};
    uint64_t runs = 0;
    for (uint64_t fail_at = 1;; fail_at++) {
        calls.count = calls.fired = 0;
        calls.fail_at = fail_at;
        uint64_t acknowledged = 0;
        for (int round = 0; round < 2; round++) {
            ipalloc_store *store = NULL;
            ipalloc_error error = {0};
            int status =
                store_open_with(sqlite_url(directory, "s.db"), &options, &system, &store, &error);
            if (status != IPALLOC_OK) {
                ck_assert_uint_eq(calls.fired, 1);
                ck_assert_ptr_null(store);
                ck_assert_int_eq(error.status, status);
                continue;
            }
            acknowledged = put(store, "a/", "v");
            char name[16];
            snprintf(name, sizeof name, "b%d.db", round);
            status = ipalloc_store_backup(store, file_in(directory, name), &error);
            ck_assert(status == IPALLOC_OK || calls.fired == 1);
            ipalloc_store_close(store);
        }
        ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), NULL);
        ck_assert_uint_eq(info_of(store).revision, acknowledged);
        ck_assert_uint_gt(put(store, "a/", "v"), acknowledged);
        ck_assert(!info_of(store).restored);
        ipalloc_store_close(store);
        clear_directory();
        if (calls.fired == 0)
            break;
        runs++;
    }
    ck_assert_uint_gt(runs, 20);
}
END_TEST

int main(void) {
    if (access("/dev/shm", W_OK) == 0) /* thousands of small files: in memory, unless told where */
        setenv("TEST_DIRECTORY", "/dev/shm", 0);
    Suite *suite = suite_create("sqlite faults");
    TCase *tests = tcase_create("faults");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_new_store_survives_every_fault, 0, FAULT_COUNT);
    tcase_add_loop_test(tests, an_old_store_survives_every_fault, 0, FAULT_COUNT);
    tcase_add_loop_test(tests, a_process_may_end_after_any_fault, 0, FAULT_COUNT);
    tcase_add_loop_test(tests, a_backup_is_whole_or_not_there, 0, FAULT_COUNT);
    tcase_add_test(tests, after_a_full_disk_the_store_goes_on);
    tcase_add_test(tests, after_a_failed_sync_nothing_is_written_until_it_is_reopened);
    tcase_add_test(tests, a_conflict_in_a_group_that_failed_is_no_conflict);
    tcase_add_loop_test(tests, a_failed_checkpoint_stops_the_store_and_loses_nothing, 2,
                        FAULT_COUNT);
    tcase_add_test(tests, every_system_call_of_our_own_may_fail);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
