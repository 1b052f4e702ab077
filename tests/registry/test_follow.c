/*
 * test_follow.c: a registry that is kept up to date: process for event loops, follow for a thread.
 */
#include "servers.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char SLOT[] = "clusterIP/IPv4";

enum { A, B };

static bool is_readable(int fd) {
    struct pollfd file = {.fd = fd, .events = POLLIN};
    return poll(&file, 1, 0) == 1;
}

START_TEST(what_arrives_is_applied_by_process) {
    servers s;
    uint64_t before, known_to;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    int fd = ipalloc_registry_poll_fd(f->registry);
    ck_assert_int_ge(fd, 0);
    OK(f, ipalloc_registry_process(f->registry, &before, &f->error));
    ck_assert(!is_readable(fd));
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, "10.96.0.10");
    ck_assert_uint_eq(used_of(s.pools[B]), 0);
    ck_assert(is_readable(fd));
    OK(f, ipalloc_registry_process(f->registry, &known_to, &f->error));
    ck_assert_uint_eq(known_to, before + 1);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    ck_assert(!is_readable(fd));
    OK(f, ipalloc_registry_process(f->registry, &known_to, NULL));
    ck_assert_uint_eq(known_to, before + 1);
    servers_close(&s);
}
END_TEST

START_TEST(a_store_that_nobody_else_writes_to_has_nothing_to_process) {
    fixture f;
    uint64_t known_to;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    allocate(&f, pool, "Service/a", SLOT);
    ck_assert_int_eq(ipalloc_registry_poll_fd(f.registry), -1);
    ck_assert_int_eq(ipalloc_registry_poll_timeout_ms(f.registry), -1);
    OK(&f, ipalloc_registry_process(f.registry, &known_to, &f.error));
    ck_assert_uint_ge(known_to, 2);
    IS(&f, ipalloc_registry_process(NULL, &known_to, &f.error), IPALLOC_E_INVALID);
    ck_assert_int_eq(ipalloc_registry_poll_fd(NULL), -1);
    fixture_close(&f);
}
END_TEST

/* --- follow ----------------------------------------------------------------------------------- */

typedef struct follower {
    ipalloc_registry *registry;
    int stop_fd;
    int status;
    pthread_t id;
} follower;

static void *follow(void *context) {
    follower *me = context;
    me->status = ipalloc_registry_follow(me->registry, me->stop_fd, NULL);
    return NULL;
}

static void start(follower *me, ipalloc_registry *registry) {
    *me = (follower){.registry = registry, .stop_fd = eventfd(0, 0), .status = 1};
    ck_assert_int_eq(pthread_create(&me->id, NULL, follow, me), 0);
}

static void stop(follower *me) {
    ck_assert_int_eq(eventfd_write(me->stop_fd, 1), 0);
    pthread_join(me->id, NULL);
    close(me->stop_fd);
}

/* Definitions are followed, and what was forgotten is read anew: as soon as the store can be asked,
 * although nothing more arrives. */
START_TEST(reading_anew_that_failed_is_asked_for_again) {
    servers s;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    fixture *f = &s.f[B];
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, "10.96.0.10");
    ck_assert_int_eq(ipalloc_registry_poll_timeout_ms(f->registry), -1);
    s.cluster.servers[B].changes_expired = true;
    s.cluster.servers[B].scans_expire = 100;
    IS(f, ipalloc_registry_process(f->registry, NULL, &f->error), IPALLOC_E_UNAVAILABLE);
    s.cluster.servers[B].scans_expire = 0;
    ck_assert_int_gt(ipalloc_registry_poll_timeout_ms(f->registry), 0);
    OK(f, ipalloc_registry_process(f->registry, NULL, &f->error));
    ck_assert_int_eq(ipalloc_registry_poll_timeout_ms(f->registry), -1);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    servers_close(&s);
}
END_TEST

/* For as long as a stopped machine might need. */
static void await_used(ipalloc_pool *pool, uint64_t wanted) {
    for (int i = 0; i < 6000 && used_of(pool) != wanted; i++)
        usleep(10000);
    ck_assert_uint_eq(used_of(pool), wanted);
}

START_TEST(a_follower_keeps_up_through_an_outage) {
    servers s;
    follower me;
    servers_open(&s, 2, "10.96.0.0/24", WITH(0), NULL);
    start(&me, s.f[B].registry);
    reserve(&s.f[A], s.pools[A], "Service/a", SLOT, "10.96.0.10");
    await_used(s.pools[B], 1);
    s.cluster.servers[B].cut = true;
    reserve(&s.f[A], s.pools[A], "Service/b", SLOT, "10.96.0.11");
    size_t asked = shared_count(&s.cluster.servers[B], SHARED_PROCESS);
    for (int i = 0; i < 6000 && shared_count(&s.cluster.servers[B], SHARED_PROCESS) == asked; i++)
        usleep(10000);
    ck_assert_uint_eq(used_of(s.pools[B]), 1);
    s.cluster.servers[B].cut = false;
    eventfd_write(s.cluster.servers[B].poll_fd, 1); /* connected again */
    await_used(s.pools[B], 2);
    stop(&me);
    ck_assert_status(me.status, IPALLOC_OK);
    servers_close(&s);
}
END_TEST

START_TEST(a_follower_of_a_store_of_our_own_only_waits_to_be_stopped) {
    fixture f;
    follower me;
    OPEN_OR_SKIP(&f, _i);
    start(&me, f.registry);
    stop(&me);
    ck_assert_status(me.status, IPALLOC_OK);
    int closed = eventfd(0, 0);
    close(closed);
    IS(&f, ipalloc_registry_follow(f.registry, closed, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_registry_follow(f.registry, -1, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_registry_follow(NULL, 0, &f.error), IPALLOC_E_INVALID);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[1]); /* hung up */
    OK(&f, ipalloc_registry_follow(f.registry, ends[0], &f.error));
    close(ends[0]);
    fixture_close(&f);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("follow");
    TCase *tc = tcase_create("process");
    tcase_add_test(tc, what_arrives_is_applied_by_process);
    tcase_add_test(tc, reading_anew_that_failed_is_asked_for_again);
    tcase_add_loop_test(tc, a_store_that_nobody_else_writes_to_has_nothing_to_process, 0,
                        STORE_KINDS);
    suite_add_tcase(suite, tc);
    tc = tcase_create("follow");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_follower_keeps_up_through_an_outage);
    tcase_add_loop_test(tc, a_follower_of_a_store_of_our_own_only_waits_to_be_stopped, 0,
                        STORE_KINDS);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
