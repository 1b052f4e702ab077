/*
 * test_lock.c: the lock excludes, and nobody sleeps on for ever. A lost wake-up would show as a
 * test that does not end.
 */
#include "support.h"

#include "base/lock.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { THREADS = 4 };

static lock guard;
static uint64_t counter; /* plain: the thread sanitizer watches it */
static unsigned inside;  /* threads between take and give; plain */
static bool met;         /* more than one was there */

static void set_up(void) {
    guard = (lock){0};
    counter = inside = 0;
    met = false;
}

static void visit(void) {
    lock_take(&guard);
    met |= inside++ > 0;
    counter++;
    inside--;
    lock_give(&guard);
}

static void *visit_often(void *context) {
    uint64_t rounds = *(const uint64_t *)context;
    for (uint64_t i = 0; i < rounds; i++)
        visit();
    return NULL;
}

/* Let others run while it is taken, so that they look in vain and go to sleep. */
static void *linger_often(void *context) {
    uint64_t rounds = *(const uint64_t *)context;
    for (uint64_t i = 0; i < rounds; i++) {
        lock_take(&guard);
        met |= inside++ > 0;
        for (int turn = 0; turn < 3; turn++)
            sched_yield();
        counter++;
        inside--;
        lock_give(&guard);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), uint64_t rounds) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &rounds), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(counter, THREADS * rounds);
    ck_assert(!met);
    ck_assert_uint_eq(atomic32_load_acquire(&guard.state), LOCK_FREE);
}

START_TEST(one_thread_at_a_time_is_inside) {
    run_threads(visit_often, test_scaled(300000));
}
END_TEST

START_TEST(nobody_sleeps_on_when_it_is_given_back) {
    run_threads(linger_often, test_scaled(20000));
}
END_TEST

START_TEST(taken_and_given_back_by_one_thread_it_never_is_awaited) {
    for (int i = 0; i < 1000; i++) {
        lock_take(&guard);
        ck_assert_uint_eq(atomic32_load_acquire(&guard.state), LOCK_TAKEN);
        lock_give(&guard);
        ck_assert_uint_eq(atomic32_load_acquire(&guard.state), LOCK_FREE);
    }
}
END_TEST

static void *visit_once(void *context) {
    (void)context;
    visit();
    return NULL;
}

/* All of them asleep at once: each that wakes must wake the next. */
START_TEST(all_who_wait_get_their_turn_after_one_release) {
    for (uint64_t round = test_scaled(100); round > 0; round--) {
        pthread_t threads[THREADS];
        counter = 0;
        lock_take(&guard);
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, visit_once, NULL), 0);
        while (atomic32_load_acquire(&guard.state) != LOCK_AWAITED)
            sched_yield();
        usleep(round % 4 == 0 ? 2000 : 0); /* time for the others to fall asleep too */
        lock_give(&guard);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        ck_assert_uint_eq(counter, THREADS);
        ck_assert_uint_eq(atomic32_load_acquire(&guard.state), LOCK_FREE);
    }
    ck_assert(!met);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lock");
    TCase *tc = tcase_create("lock");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, taken_and_given_back_by_one_thread_it_never_is_awaited);
    tcase_add_test(tc, one_thread_at_a_time_is_inside);
    tcase_add_test(tc, nobody_sleeps_on_when_it_is_given_back);
    tcase_add_test(tc, all_who_wait_get_their_turn_after_one_release);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
