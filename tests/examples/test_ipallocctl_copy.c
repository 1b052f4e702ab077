/*
 * test_ipallocctl_copy.c: ipallocctl copy between files: what it says, what it refuses, what is the
 * same afterwards. From and to an etcd: tests/etcd/.
 */
#include "ctl_process.h"
#include "ctl_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *file(const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void fill(void) {
    open_store();
    ipalloc_pool *pool = define("services-v4", "10.96.0.0/24", 3600000);
    exclude(pool, "10.96.0.50", "10.96.0.59");
    for (int i = 0; i < 20; i++) {
        char owner[32];
        ipalloc_grant grant = {.size = sizeof grant};
        snprintf(owner, sizeof owner, "Service/shop/%d", i);
        ck_assert_status(ipalloc_allocate(registry, pool, owner, "clusterIP/IPv4", &grant, NULL),
                         IPALLOC_OK);
        if (i % 4 == 0)
            ck_assert_status(ipalloc_release_owner(registry, owner, NULL, NULL), IPALLOC_OK);
    }
    close_store();
}

static void set_up(void) {
    begin();
    fill();
}

static char *output_of(const char *line, const char *store_url) {
    struct ran ran = ctl_expect(0, "%s --store=%s", line, store_url);
    char *out = strdup(ran.out);
    ran_free(&ran);
    return out;
}

static void expect_same_output(const char *line, const char *a, const char *b) {
    char *left = output_of(line, a), *right = output_of(line, b);
    ck_assert_str_eq(left, right);
    free(left);
    free(right);
}

static void expect_absent(const char *name) {
    ck_assert_int_ne(access(file(name), F_OK), 0);
}

START_TEST(everything_is_the_same_and_the_next_step_is_said) {
    char to[600];
    snprintf(to, sizeof to, "sqlite:%s", file("to.db"));
    struct ran ran = ctl_expect(0, "copy %s %s", url, to);
    expect_in(ran.out, "lease                    15\n");
    expect_in(ran.out, "cooling                   5\n");
    expect_in(ran.out, "start the server with --store=sqlite:");
    ran_free(&ran);
    expect_same_output("list -ojson", url, to);
    expect_same_output("pools -ojson", url, to);
    expect_same_output("show 10.96.0.1 -ojson", url, to);
    ran = ctl_expect(0, "check --store=%s", to);
    expect_in(ran.out, "ok");
    ran_free(&ran);
    ran = ctl_expect(0, "allocate services-v4 --owner=new --slot=s --store=%s", to);
    ran_free(&ran);
}
END_TEST

START_TEST(a_dry_run_counts_and_makes_nothing) {
    struct ran ran = ctl_expect(0, "copy %s sqlite:%s --dry-run -ojson", url, file("to.db"));
    ck_assert_int_eq(json_object_get_int(json_object_object_get(
                         json_object_object_get(ran.json, "kinds"), "lease")),
                     15);
    ck_assert(json_object_get_boolean(json_object_object_get(ran.json, "dryRun")));
    ran_free(&ran);
    expect_absent("to.db");
    open_store(); /* a dry run goes beside a living owner, too; a copy does not */
    ran = ctl_expect(0, "copy %s sqlite:%s --dry-run", url, file("to.db"));
    ran_free(&ran);
    ran = ctl_expect(1, "copy %s sqlite:%s", url, file("to.db"));
    char pid[32];
    snprintf(pid, sizeof pid, "in use by process %d", (int)getpid());
    expect_in(ran.errors, pid);
    ran_free(&ran);
    close_store();
    expect_absent("to.db");
}
END_TEST

START_TEST(json_tells_both_epochs) {
    struct ran ran = ctl_expect(0, "copy %s sqlite:%s -ojson", url, file("to.db"));
    int64_t from = json_object_get_int64(json_object_object_get(ran.json, "fromEpoch"));
    int64_t to = json_object_get_int64(json_object_object_get(ran.json, "epoch"));
    ck_assert_int_eq(from, 1);
    ck_assert_int_gt(to, from);
    ran_free(&ran);
    ran = ctl_expect(0, "check -ojson --store=sqlite:%s", file("to.db"));
    ck_assert_int_eq(json_object_get_int64(json_object_object_get(ran.json, "epoch")), to);
    ran_free(&ran);
}
END_TEST

START_TEST(what_is_there_already_is_left_alone) {
    struct ran ran = ctl_expect(0, "copy %s sqlite:%s", url, file("to.db"));
    ran_free(&ran);
    ran = ctl_expect(1, "copy %s sqlite:%s --dry-run", url, file("to.db"));
    expect_in(ran.errors, "it is not empty");
    ran_free(&ran);
    ran = ctl_expect(1, "copy %s sqlite:%s --replace-unfinished", url, file("to.db"));
    expect_in(ran.errors, "the destination is not empty: it holds \"cooling/services-v4/");
    ran_free(&ran);
    ran = ctl_expect(1, "copy sqlite:%s sqlite:%s", file("none.db"), file("other.db"));
    expect_in(ran.errors, "no such store");
    ran_free(&ran);
    expect_absent("other.db");
}
END_TEST

/* What a copy leaves that was killed: its mark, and some of the records. */
static void leave_unfinished(const char *store_url) {
    ipalloc_store *other;
    ipalloc_store_options options = {.size = sizeof options, .first_epoch = 2};
    ck_assert_status(ipalloc_store_open(store_url, &options, &other, NULL), IPALLOC_OK);
    ipalloc_op ops[] = {
        {.kind = IPALLOC_OP_PUT,
         .key = {IPALLOC_COPY_MARK, strlen(IPALLOC_COPY_MARK)},
         .value = {"begun=1\n", 8}},
        {.kind = IPALLOC_OP_PUT, .key = {"format/", 7}, .value = {"version=1\n", 10}}};
    ipalloc_batch batch = {.ops = ops, .op_count = 2};
    ck_assert_status(ipalloc_store_commit(other, &batch, 1, NULL), IPALLOC_OK);
    ipalloc_store_close(other);
}

START_TEST(an_unfinished_copy_is_no_store_until_it_was_begun_again) {
    char to[600];
    snprintf(to, sizeof to, "sqlite:%s", file("to.db"));
    leave_unfinished(to);
    struct ran ran = ctl_expect(1, "pools --store=%s", to);
    expect_in(ran.errors, "a copy that is not finished");
    ran_free(&ran);
    ran = ctl_expect(1, "copy %s %s", url, to);
    expect_in(ran.errors, "--replace-unfinished removes that one");
    ran_free(&ran);
    ran = ctl_expect(1, "copy %s sqlite:%s", to, file("other.db"));
    expect_in(ran.errors, "the source is an unfinished copy");
    ran_free(&ran);
    ran = ctl_expect(1, "copy %s %s --dry-run", url, to);
    expect_in(ran.errors, "--replace-unfinished removes that");
    ran_free(&ran);
    ran = ctl_expect(0, "copy %s %s --dry-run --replace-unfinished", url, to);
    ran_free(&ran);
    ran = ctl_expect(0, "copy %s %s --replace-unfinished", url, to);
    ran_free(&ran);
    expect_same_output("list -ojson", url, to);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ipallocctl copy");
    TCase *tests = tcase_create("copy");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, end);
    tcase_add_test(tests, everything_is_the_same_and_the_next_step_is_said);
    tcase_add_test(tests, a_dry_run_counts_and_makes_nothing);
    tcase_add_test(tests, json_tells_both_epochs);
    tcase_add_test(tests, what_is_there_already_is_left_alone);
    tcase_add_test(tests, an_unfinished_copy_is_no_store_until_it_was_begun_again);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
