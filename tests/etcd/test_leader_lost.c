/*
 * test_leader_lost.c: a leader is killed while others write through a member that follows it. Such
 * a member may lose what it passed on, and be silent to that alone while it answers what comes
 * later; no commit's outcome stays unknown for it.
 */
#include "cluster.h"

#include "base/atomic.h"

#include <ipalloc/store.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MEMBERS = 3, WRITERS = 8, KILLS = 2, TIMEOUT_MS = 10000, FILES_MAX = 256, OPENS_MAX = 100 };
/* Others that begin to write behind the kill, one after the other, while one of the first waits. */
enum { LATER_WRITERS = 120, LATER_BY_MS = 100, ALL_WRITERS = WRITERS + LATER_WRITERS };

typedef struct crowd {
    ipalloc_store *store;
    atomic_word killed_ms; /* 0: not yet */
    atomic_word done;      /* how many of the first */
} crowd;

typedef struct writer {
    pthread_t thread;
    crowd *crowd;
    int number;
    unsigned wait_ms; /* before it begins */
    uint64_t commits, unknown, longest_ms;
    ipalloc_error error; /* of the last that did not end well */
} writer;

static etcd_cluster *cluster;

static void set_up(void) {
    cluster = etcd_start(&(etcd_options){.members = MEMBERS});
}

static void tear_down(void) {
    etcd_stop(cluster);
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- a store whose connection is to a follower ---------------------------------------------------
 */

/* The member that a descriptor of this process is connected to; -1: none. */
static int member_at(int file) {
    struct sockaddr_in to = {0};
    socklen_t size = sizeof to;
    char text[64];
    if (getpeername(file, (struct sockaddr *)&to, &size) != 0 || to.sin_family != AF_INET)
        return -1;
    snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(to.sin_port));
    for (int i = 0; i < MEMBERS; i++)
        if (strcmp(text, etcd_host(cluster, i)) == 0)
            return i;
    return -1;
}

static int connected_member(void) {
    int member = -1;
    for (int file = 0; file < FILES_MAX && member < 0; file++)
        member = member_at(file);
    return member;
}

/* The member that it is connected to is drawn when it is opened. */
static ipalloc_store *open_at_follower(int *leader) {
    ipalloc_store_options with = {.size = sizeof with, .timeout_ms = TIMEOUT_MS};
    for (int i = 0; i < OPENS_MAX; i++) {
        ipalloc_store *store = NULL;
        ipalloc_error error = {0};
        ck_assert_status_error(
            ipalloc_store_open(etcd_url(cluster, "/lost"), &with, &store, &error), IPALLOC_OK,
            &error);
        *leader = etcd_leader(cluster);
        int member = connected_member();
        ck_assert_int_ge(member, 0);
        if (*leader >= 0 && member != *leader)
            return store;
        ipalloc_store_close(store);
    }
    ck_abort_msg("no store was connected to a follower");
    return NULL;
}

/* --- writers -------------------------------------------------------------------------------------
 */

static uint64_t commit_one(writer *w) {
    char key[16];
    snprintf(key, sizeof key, "w%d/", w->number);
    ipalloc_op op = {.kind = IPALLOC_OP_PUT, .key = {key, strlen(key)}, .value = {"v", 1}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ipalloc_error error = {0};
    uint64_t begun = now_ms();
    int status = ipalloc_store_commit(w->crowd->store, &batch, 1, &error);
    if (status == IPALLOC_OK)
        status = batch.status;
    uint64_t took = now_ms() - begun;
    w->commits++;
    if (took > w->longest_ms)
        w->longest_ms = took;
    if (status == IPALLOC_OK)
        return begun;
    w->error = error;
    w->unknown += status == IPALLOC_E_UNKNOWN_OUTCOME;
    return 0;
}

/* Until it has committed something that began after the kill. */
static void *write_on(void *context) {
    writer *w = context;
    bool first = w->wait_ms == 0;
    usleep(w->wait_ms * 1000);
    while (first || atomic_load_relaxed(&w->crowd->done) < WRITERS) {
        uint64_t begun = commit_one(w), killed = atomic_load_acquire(&w->crowd->killed_ms);
        if (killed != 0 && begun > killed)
            break;
    }
    if (first)
        atomic_add_relaxed(&w->crowd->done, 1);
    return NULL;
}

static void begin(writer *w, crowd *c, int number, unsigned wait_ms) {
    *w = (writer){.crowd = c, .number = number, .wait_ms = wait_ms};
    ck_assert_int_eq(pthread_create(&w->thread, NULL, write_on, w), 0);
}

static void kill_while_they_write(writer *writers) {
    crowd c = {.store = NULL};
    int leader;
    c.store = open_at_follower(&leader);
    for (int i = 0; i < WRITERS; i++)
        begin(&writers[i], &c, i, 0);
    usleep(200000);
    etcd_kill(cluster, leader);
    atomic_store_release(&c.killed_ms, now_ms());
    for (int i = 0; i < LATER_WRITERS; i++)
        begin(&writers[WRITERS + i], &c, WRITERS + i, LATER_BY_MS * ((unsigned)i + 1));
    for (int i = 0; i < ALL_WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    ck_assert_int_ne(etcd_leader(cluster), leader);
    etcd_restart(cluster, leader);
    etcd_wait_healthy(cluster, 30);
    ipalloc_store_close(c.store);
}

START_TEST(what_a_follower_lost_is_sent_again_in_time) {
    uint64_t kills = test_scaled(KILLS);
    for (uint64_t i = 0; i < kills; i++) {
        writer writers[ALL_WRITERS];
        uint64_t commits = 0, unknown = 0, longest = 0;
        const char *why = "";
        kill_while_they_write(writers);
        for (int k = 0; k < ALL_WRITERS; k++) {
            const writer *w = &writers[k];
            commits += w->commits;
            unknown += w->unknown;
            longest = w->longest_ms > longest ? w->longest_ms : longest;
            if (w->error.message[0] != '\0')
                why = w->error.message;
        }
        printf("kill %llu: %llu commits, the longest took %llu ms, %llu unknown\n",
               (unsigned long long)i + 1, (unsigned long long)commits, (unsigned long long)longest,
               (unsigned long long)unknown);
        fflush(stdout);
        ck_assert_msg(unknown == 0, "%llu are unknown: %s", (unsigned long long)unknown, why);
    }
}
END_TEST

int main(void) {
    if (!etcd_is_here()) {
        printf("etcd or etcdctl is not in PATH (Debian packages etcd-server, etcd-client)\n");
        return 77;
    }
    Suite *suite = suite_create("leader_lost");
    TCase *tests = tcase_create("follower");
    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_a_follower_lost_is_sent_again_in_time);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
