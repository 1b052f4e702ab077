/*
 * test_feed.c: changes of an etcd store, with real etcd: what others wrote is told, in order and
 * whole, or it is said that it was forgotten: over kills, restarts, compactions and many threads.
 */
#include "cluster.h"
#include "counted_memory.h"
#include "follower.h"
#include "store_support.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static etcd_cluster *cluster;
static follower f;

static void start(int members) {
    etcd_options options = {.members = members};
    cluster = etcd_start(&options);
    memset(&f, 0, sizeof f);
}

static void set_up(void) {
    start(1);
}

static void tear_down(void) {
    etcd_stop(cluster);
    cluster = NULL;
}

static ipalloc_store *open_one(void) {
    ipalloc_store_options options = {.size = sizeof options};
    return open_store(etcd_url(cluster, "/feed"), &options);
}

/* So many puts, and a deletion now and then, by `store`. */
static void write_some(ipalloc_store *store, unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++) {
        put(store, follower_key(i), "value");
        if (i % 3 == 0)
            erase(store, follower_key(i / 2));
    }
}

static uint64_t reach_head(ipalloc_store *store) {
    ipalloc_error error = {0};
    uint64_t head = info_of(store).revision;
    ck_assert_status_error(ipalloc_store_reach(store, head, &error), IPALLOC_OK, &error);
    return head;
}

START_TEST(what_another_store_does_is_told) {
    ipalloc_store *ours = open_one(), *theirs = open_one();
    uint64_t since = info_of(ours).revision;
    put(theirs, "a", "1");
    put(theirs, "b", "2");
    erase(theirs, "a");
    put(ours, "c", "3");
    reach_head(ours);
    const char *text = changes_text(ours, since);
    char wanted[128];
    uint64_t at = info_of(ours).revision;
    snprintf(wanted, sizeof wanted, "a=1@%llu b=2@%llu a!@%llu c=3@%llu ",
             (unsigned long long)at - 3, (unsigned long long)at - 2, (unsigned long long)at - 1,
             (unsigned long long)at);
    ck_assert_str_eq(text, wanted);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

/* Keys of others in the same etcd move its revision, and nothing else. */
START_TEST(foreign_keys_do_not_matter) {
    ipalloc_store *ours = open_one(), *theirs = open_one();
    put(theirs, "a", "1");
    uint64_t head = info_of(ours).revision;
    for (int i = 0; i < 5; i++)
        etcd_ctl_ok(cluster, "put", "/feeding", "x");
    ck_assert_uint_eq(info_of(ours).revision, head);
    reach_head(ours);
    uint64_t up_to;
    walk w = {0};
    ipalloc_error error = {0};
    /* A scan's revision may be beyond all that a watch shows. */
    uint64_t scanned;
    ck_assert_status(ipalloc_store_scan(ours, text_bytes(""), text_bytes(""), 0, write_down, &w,
                                        &scanned, &error),
                     IPALLOC_OK);
    ck_assert_uint_ge(scanned, head + 5);
    w = (walk){0};
    ck_assert_status_error(
        ipalloc_store_changes(ours, scanned, text_bytes(""), 0, write_down, &w, &up_to, &error),
        IPALLOC_OK, &error);
    ck_assert_uint_eq(w.count, 0);
    ck_assert_uint_ge(up_to, scanned);
    /* So may a revision that only others have seen; but not one that has not been. */
    etcd_ctl_ok(cluster, "put", "/feeding", "y");
    ck_assert_status_error(
        ipalloc_store_changes(ours, scanned + 1, text_bytes(""), 0, write_down, &w, NULL, &error),
        IPALLOC_OK, &error);
    ck_assert_status(
        ipalloc_store_changes(ours, scanned + 2, text_bytes(""), 0, write_down, &w, NULL, &error),
        IPALLOC_E_INVALID);
    put(theirs, "b", "2");
    reach_head(ours);
    ck_assert_uint_eq(strchr(changes_text(ours, scanned), 'b') != NULL, 1);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

START_TEST(batches_are_never_cut_in_two) {
    ipalloc_store *ours = open_one(), *theirs = open_one();
    uint64_t since = info_of(ours).revision;
    ipalloc_op ops[] = {op_put("a", "1"), op_put("b", "2"), op_put("c", "3")};
    must_commit(theirs, ops, 3);
    uint64_t second = must_commit(theirs, ops, 2);
    reach_head(ours);
    walk w = {0};
    uint64_t up_to;
    ck_assert_status(
        ipalloc_store_changes(ours, since, text_bytes(""), 1, write_down, &w, &up_to, NULL),
        IPALLOC_OK);
    ck_assert_uint_eq(w.count, 3);
    ck_assert_uint_eq(up_to, second - 1);
    w = (walk){0};
    ck_assert_status(
        ipalloc_store_changes(ours, up_to, text_bytes("b"), 1, write_down, &w, &up_to, NULL),
        IPALLOC_OK);
    ck_assert_uint_eq(w.count, 1);
    ck_assert_uint_ge(up_to, second);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

/* --- compaction ----------------------------------------------------------------------------------
 */

START_TEST(compacted_while_nobody_drove) {
    ipalloc_store *theirs = open_one();
    write_some(theirs, 0, 5);
    ipalloc_store *ours = open_one();
    follower_begin(&f, ours);
    write_some(theirs, 5, 20);
    etcd_compact(cluster); /* before the first watch is opened */
    write_some(theirs, 25, 5);
    ipalloc_error error = {0};
    ck_assert_status(ipalloc_store_reach(ours, info_of(ours).revision, &error), IPALLOC_E_EXPIRED);
    ck_assert_status(ipalloc_store_changes(ours, f.revision, text_bytes(""), 0, write_down,
                                           &(walk){0}, NULL, &error),
                     IPALLOC_E_EXPIRED);
    ck_assert_uint_gt(info_of(ours).oldest_change, f.revision);
    follower_catch_up(&f);
    ck_assert_uint_eq(f.read_anew, 1);
    follower_check(&f);
    write_some(theirs, 100, 20); /* and now by changes again */
    follower_catch_up(&f);
    ck_assert_uint_eq(f.read_anew, 1);
    ck_assert_uint_ge(f.told, 20);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

/* A key is deleted, and history is forgotten up to the very revision that did it, which is the
 * first one that our watch has to tell. etcd 3.4.23 would begin there and leave the deletion out.
 */
START_TEST(a_deletion_in_the_compacted_revision_is_not_lost) {
    ipalloc_store *theirs = open_one();
    put(theirs, follower_key(1), "1");
    put(theirs, follower_key(2), "2");
    ipalloc_store *ours = open_one();
    follower_begin(&f, ours);
    uint64_t deleted = erase(theirs, follower_key(1));
    ck_assert_uint_eq(deleted, f.revision + 1);
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)deleted);
    etcd_ctl_ok(cluster, "compact", "--physical", text);
    follower_catch_up(&f);
    follower_check(&f);
    ck_assert_uint_eq(f.read_anew, 1);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

START_TEST(compaction_again_and_again_under_load) {
    ipalloc_store *ours = open_one(), *theirs = open_one();
    follower_begin(&f, ours);
    for (unsigned round = 0; round < 15; round++) {
        write_some(theirs, round * 7, 20);
        if (round % 3 == 1)
            etcd_compact(cluster);
        if (round % 2 == 0)
            follower_catch_up(&f);
    }
    follower_catch_up(&f);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

/* --- members that go -----------------------------------------------------------------------------
 */

/* Its only member is dead. What it still sent is taken in first, a part with each call. */
static void process_until_cut_off(ipalloc_store *store) {
    for (int calls = 0; ipalloc_store_process(store, NULL, NULL) != IPALLOC_E_UNAVAILABLE;
         calls++) {
        ck_assert_int_lt(calls, 10000);
        usleep(1000);
    }
}

START_TEST(killed_in_the_middle_of_the_watch) {
    ipalloc_store *ours = open_one(), *theirs = open_one();
    follower_begin(&f, ours);
    for (unsigned round = 0; round < 3; round++) {
        write_some(theirs, round * 40, 40);
        if (round != 1) /* once, nobody has read when it dies */
            follower_catch_up(&f);
        etcd_kill(cluster, 0);
        process_until_cut_off(ours);
        etcd_restart(cluster, 0);
        etcd_wait_healthy(cluster, 30);
    }
    write_some(theirs, 300, 40);
    follower_catch_up(&f);
    ck_assert_uint_eq(f.read_anew, 0);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

/* Each member in turn goes: one of them is the one that is watched. */
START_TEST(the_watched_one_of_three_goes) {
    start(3);
    ipalloc_store *ours = open_one(), *theirs = open_one();
    follower_begin(&f, ours);
    for (int member = 0; member < 3; member++) {
        write_some(theirs, 50 * (unsigned)member, 30);
        follower_catch_up(&f);
        if (member == 1)
            etcd_pause(cluster, member); /* silent, with its connections open */
        else
            etcd_kill(cluster, member);
        write_some(theirs, 50 * (unsigned)member + 30, 20);
        follower_catch_up(&f);
        if (member == 1)
            etcd_resume(cluster, member);
        else
            etcd_restart(cluster, member);
        etcd_wait_healthy(cluster, 60);
    }
    follower_catch_up(&f);
    ck_assert_uint_eq(f.read_anew, 0);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
    tear_down();
}
END_TEST

START_TEST(without_etcd_reach_gives_up_in_time) {
    ipalloc_store_options options = {.size = sizeof options, .timeout_ms = 700};
    ipalloc_store *ours = open_store(etcd_url(cluster, "/feed"), &options);
    uint64_t head = put(ours, "a", "1");
    etcd_kill(cluster, 0);
    ipalloc_error error = {0};
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    ck_assert_status(ipalloc_store_reach(ours, head, &error), IPALLOC_E_UNAVAILABLE);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ck_assert_int_lt(ended.tv_sec - begun.tv_sec, 5); /* generous: others want the processor */
    ck_assert_ptr_nonnull(strstr(error.message, "127.0.0.1"));
    ipalloc_store_close(ours);
}
END_TEST

/* --- event loops ---------------------------------------------------------------------------------
 */

/* Only poll, poll_timeout_ms and process; a death in between. */
START_TEST(an_event_loop_follows) {
    ipalloc_store *ours = open_one(), *theirs = open_one();
    follower_begin(&f, ours);
    uint64_t last = 0;
    int polls = 0;
    for (unsigned round = 0; round < 3; round++) {
        write_some(theirs, 30 * round, 30);
        last = put(theirs, follower_key(1000 + round), "last");
        uint64_t known_to = 0;
        for (; known_to < last; polls++) {
            ck_assert_int_lt(polls, 20000);
            struct pollfd file = {.fd = ipalloc_store_poll_fd(ours), .events = POLLIN};
            (void)poll(&file, 1, ipalloc_store_poll_timeout_ms(ours));
            (void)ipalloc_store_process(ours, &known_to, NULL);
        }
        ck_assert_status(follower_take(&f, NULL), IPALLOC_OK);
        if (round == 1) {
            etcd_kill(cluster, 0);
            etcd_restart(cluster, 0);
            etcd_wait_healthy(cluster, 30);
        }
    }
    ck_assert_uint_eq(f.read_anew, 0);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

/* A login ends where nobody calls for long, and a watch needs it only when it is opened again. */
START_TEST(an_event_loop_logs_in_again) {
    static const char *const SHORT[] = {"--auth-token-ttl=1", NULL};
    cluster = etcd_start(&(etcd_options){.arguments = SHORT});
    f = (follower){0};
    etcd_ctl_ok(cluster, "user", "add", "root:rootpass");
    etcd_ctl_ok(cluster, "user", "grant-role", "root", "root");
    etcd_ctl_ok(cluster, "auth", "enable");
    etcd_ctl_user(cluster, "root:rootpass");
    ipalloc_store_options options = {
        .size = sizeof options, .user = "root", .password = "rootpass"};
    ipalloc_store *ours = open_store(etcd_url(cluster, "/feed"), &options);
    follower_begin(&f, ours);
    follower_catch_up(&f);
    etcd_kill(cluster, 0);
    process_until_cut_off(ours);
    etcd_restart(cluster, 0);
    etcd_wait_healthy(cluster, 30);
    ipalloc_store *theirs = open_store(etcd_url(cluster, "/feed"), &options);
    uint64_t last = put(theirs, follower_key(1), "1"), known_to = 0;
    sleep(3);
    ipalloc_error error = {0};
    for (int polls = 0; known_to < last; polls++) {
        ck_assert_msg(polls < 300, "%s", error.message);
        struct pollfd file = {.fd = ipalloc_store_poll_fd(ours), .events = POLLIN};
        (void)poll(&file, 1, ipalloc_store_poll_timeout_ms(ours));
        (void)ipalloc_store_process(ours, &known_to, &error);
    }
    ck_assert_status(follower_take(&f, NULL), IPALLOC_OK);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
    tear_down();
}
END_TEST

/* --- much ----------------------------------------------------------------------------------------
 */

enum { WRITERS = 4, BATCH_CHANGES = 40 };

typedef struct writer {
    ipalloc_store *store;
    unsigned number;
    uint64_t changes; /* how many to make */
    uint64_t seed;
} writer;

static void *write_much(void *context) {
    writer *w = context;
    for (uint64_t made = 0; made < w->changes; made += BATCH_CHANGES) {
        ipalloc_op ops[BATCH_CHANGES];
        char keys[BATCH_CHANGES][8];
        unsigned first = (unsigned)(test_random(&w->seed) % FOLLOWER_KEYS);
        for (unsigned i = 0; i < BATCH_CHANGES; i++) {
            snprintf(keys[i], sizeof keys[i], "%s", follower_key(first + i));
            ops[i] = test_random(&w->seed) % 4 == 0 ? op_delete(keys[i]) : op_put(keys[i], "v");
        }
        must_commit(w->store, ops, BATCH_CHANGES);
    }
    return NULL;
}

START_TEST(a_hundred_thousand_changes_of_others) {
    ipalloc_store *ours = open_one(), *theirs = open_one();
    writer writers[WRITERS];
    pthread_t threads[WRITERS];
    uint64_t seed = test_seed();
    follower_begin(&f, ours);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (writer){theirs, i, test_scaled(100000) / WRITERS, test_random(&seed)};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_much, &writers[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        ck_assert_status(follower_take(&f, NULL), IPALLOC_OK);
        if (i % 10 == 0)
            follower_catch_up(&f);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    follower_catch_up(&f);
    ck_assert_uint_gt(f.told, test_scaled(100000) / 2);
    ck_assert_uint_eq(f.read_anew, 0);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

typedef struct together {
    ipalloc_store *store;
    int kind;
    bool *stop;
    uint64_t seed;
    follower *follower;
} together;

static void *do_one_thing(void *context) {
    together *t = context;
    ipalloc_store_info info = {.size = sizeof info};
    uint64_t known_to;
    while (!__atomic_load_n(t->stop, __ATOMIC_RELAXED)) {
        switch (t->kind) {
        case 0:
            put(t->store, follower_key((unsigned)test_random(&t->seed)), "v");
            break;
        case 1:
            require_status(follower_take(t->follower, NULL), IPALLOC_OK);
            break;
        case 2:
            require_status(ipalloc_store_get_info(t->store, &info, NULL), IPALLOC_OK);
            require_status(ipalloc_store_reach(t->store, info.revision, NULL), IPALLOC_OK);
            break;
        default:
            require_status(ipalloc_store_process(t->store, &known_to, NULL), IPALLOC_OK);
            usleep(200);
            break;
        }
    }
    return NULL;
}

START_TEST(many_threads_do_everything_at_once) {
    enum { THREADS = 8 };
    ipalloc_store *ours = open_one();
    static follower followers[2];
    together tasks[THREADS];
    pthread_t threads[THREADS];
    bool stop = false;
    uint64_t seed = test_seed();
    for (int i = 0; i < 2; i++)
        follower_begin(&followers[i], ours);
    for (int i = 0; i < THREADS; i++) {
        tasks[i] = (together){ours, i / 2, &stop, test_random(&seed), &followers[i % 2]};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, do_one_thing, &tasks[i]), 0);
    }
    usleep((unsigned)test_scaled(2000000));
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        follower_catch_up(&followers[i]);
        ck_assert_uint_gt(followers[i].told, 0);
        follower_check(&followers[i]);
    }
    ipalloc_store_close(ours);
}
END_TEST

/* Nobody drives, much is written: neither memory grows nor does anything else wait for us. */
START_TEST(undriven_nothing_grows) {
    static char large[200000];
    memset(large, 'x', sizeof large);
    counted_memory memory = {0};
    ipalloc_hooks user = counted_hooks(&memory);
    ipalloc_store_options options = {.size = sizeof options, .hooks = &user};
    ipalloc_store *ours = open_store(etcd_url(cluster, "/feed"), &options), *theirs = open_one();
    follower_begin(&f, ours);
    follower_catch_up(&f); /* the watch is there */
    for (unsigned i = 0; i < 300; i++) {
        ipalloc_op op = {.kind = IPALLOC_OP_PUT, .key = text_bytes(follower_key(i % 10))};
        op.value = (ipalloc_bytes){large, sizeof large};
        must_commit(theirs, &op, 1);
        if (i % 50 == 49)
            info_of(ours); /* reads the connection, and the watch with it */
        ck_assert_int_lt(memory.bytes, 40 << 20);
    }
    follower_catch_up(&f);
    follower_check(&f);
    ck_assert_int_lt(memory.bytes, 40 << 20);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
    ck_assert_int_eq(memory.live, 0);
}
END_TEST

START_TEST(values_of_a_mebibyte_come_whole) {
    static char large[IPALLOC_VALUE_MAX];
    memset(large, 'x', sizeof large);
    ipalloc_store *ours = open_one(), *theirs = open_one();
    follower_begin(&f, ours);
    for (unsigned i = 0; i < 8; i++) {
        ipalloc_op op = {.kind = IPALLOC_OP_PUT, .key = text_bytes(follower_key(i))};
        op.value = (ipalloc_bytes){large, sizeof large};
        must_commit(theirs, &op, 1);
    }
    follower_catch_up(&f);
    ck_assert_uint_eq(f.told, 8);
    follower_check(&f);
    ipalloc_store_close(theirs);
    ipalloc_store_close(ours);
}
END_TEST

/* Each allocation of following fails once. Where the status says so, asking again goes on; nothing
 * is lost, told twice or leaked. */
START_TEST(every_allocation_fails_once) {
    ipalloc_store *theirs = open_one();
    for (long fail_once = 1, quiet = 0; quiet < 3; fail_once++) {
        counted_memory memory = {0};
        ipalloc_hooks user = counted_hooks(&memory);
        ipalloc_store_options options = {.size = sizeof options, .hooks = &user};
        ipalloc_store *ours = open_store(etcd_url(cluster, "/feed"), &options);
        f = (follower){0};
        follower_begin(&f, ours);
        write_some(theirs, (unsigned)fail_once % 50, 4);
        uint64_t head = info_of(theirs).revision;
        memory.calls = 0;
        memory.fail_once = fail_once;
        ipalloc_error error = {0};
        int status;
        for (int tries = 0; (status = ipalloc_store_reach(ours, head, &error)) != IPALLOC_OK;
             tries++) {
            ck_assert_msg(status == IPALLOC_E_NOMEM || status == IPALLOC_E_UNAVAILABLE, "%s",
                          error.message);
            ck_assert_int_lt(tries, 3);
        }
        while ((status = follower_take(&f, &error)) != IPALLOC_OK)
            ck_assert_msg(status == IPALLOC_E_NOMEM, "%s", error.message);
        quiet = memory.calls < fail_once ? quiet + 1 : 0;
        memory.fail_once = 0;
        follower_catch_up(&f);
        follower_check(&f);
        ipalloc_store_close(ours);
        ck_assert_int_eq(memory.live, 0);
    }
    ipalloc_store_close(theirs);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("etcd feed");
    TCase *tests = tcase_create("one member");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_another_store_does_is_told);
    tcase_add_test(tests, foreign_keys_do_not_matter);
    tcase_add_test(tests, batches_are_never_cut_in_two);
    tcase_add_test(tests, compacted_while_nobody_drove);
    tcase_add_test(tests, a_deletion_in_the_compacted_revision_is_not_lost);
    tcase_add_test(tests, compaction_again_and_again_under_load);
    tcase_add_test(tests, killed_in_the_middle_of_the_watch);
    tcase_add_test(tests, without_etcd_reach_gives_up_in_time);
    tcase_add_test(tests, an_event_loop_follows);
    tcase_add_test(tests, a_hundred_thousand_changes_of_others);
    tcase_add_test(tests, many_threads_do_everything_at_once);
    tcase_add_test(tests, undriven_nothing_grows);
    tcase_add_test(tests, values_of_a_mebibyte_come_whole);
    tcase_add_test(tests, every_allocation_fails_once);
    tcase_set_timeout(tests, 200);
    suite_add_tcase(suite, tests);
    TCase *three = tcase_create("clusters of their own");
    tcase_add_test(three, an_event_loop_logs_in_again);
    tcase_add_test(three, the_watched_one_of_three_goes);
    tcase_set_timeout(three, 200);
    suite_add_tcase(suite, three);
    return suite;
}

int main(void) {
    if (!etcd_is_here()) {
        printf("no etcd in PATH\n");
        return 77;
    }
    return test_main(make_suite());
}
