/*
 * test_group.c: many callers, one write at a time, over a write that only counts and sleeps.
 */
#include "support.h"

#include "base/hooks.h"
#include "store/group.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 16, ROUNDS = 50, SYNC_US = 2000 };

static group_commit group;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool writing, overlapped;
    uint64_t writes, requests, tidied, waits;
    size_t largest; /* batches in one write */
} seen;

static uint64_t write_slowly(void *self, group_request *first) {
    (void)self;
    pthread_mutex_lock(&mutex);
    seen.overlapped |= seen.writing;
    seen.writing = true;
    seen.writes++;
    pthread_mutex_unlock(&mutex);
    size_t batches = 0, requests = 0;
    usleep(SYNC_US);
    for (group_request *request = first; request != NULL; request = request->next) {
        request->status = (int)request->count; /* an answer of its own for each */
        batches += request->count;
        requests++;
    }
    pthread_mutex_lock(&mutex);
    seen.requests += requests;
    if (batches > seen.largest)
        seen.largest = batches;
    seen.writing = false;
    pthread_mutex_unlock(&mutex);
    return (uint64_t)SYNC_US * 1000;
}

static void count_tidy(void *self) {
    (void)self;
    pthread_mutex_lock(&mutex);
    seen.tidied++;
    pthread_mutex_unlock(&mutex);
}

static void count_wait(const atomic_word32 *word, uint32_t expected, uint64_t timeout_ns) {
    pthread_mutex_lock(&mutex);
    seen.waits++;
    pthread_mutex_unlock(&mutex);
    SYSTEM_CALLS.wait(word, expected, timeout_ns);
}

static system_calls counting;

static void set_up(void) {
    memset(&seen, 0, sizeof seen);
    counting = SYSTEM_CALLS;
    counting.wait = count_wait;
    group_init(&group, &counting, write_slowly, count_tidy, NULL);
}

static void tear_down(void) {
    group_destroy(&group);
}

typedef struct caller {
    pthread_t thread;
    size_t batch_count; /* in each request */
    size_t wrong_answers;
} caller;

static void *call_again_and_again(void *argument) {
    caller *c = argument;
    ipalloc_batch *batches = calloc(c->batch_count, sizeof *batches);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        group_request request = {.batches = batches, .count = c->batch_count, .status = -1};
        group_submit(&group, &request);
        c->wrong_answers += request.status != (int)c->batch_count;
    }
    free(batches);
    return NULL;
}

static void run_callers(int threads, size_t batch_count) {
    static caller callers[THREADS];
    for (int i = 0; i < threads; i++) {
        callers[i] = (caller){.batch_count = batch_count + (size_t)i};
        ck_assert_int_eq(
            pthread_create(&callers[i].thread, NULL, call_again_and_again, &callers[i]), 0);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(callers[i].thread, NULL);
        ck_assert_uint_eq(callers[i].wrong_answers, 0);
    }
    ck_assert(!seen.overlapped);
    ck_assert_uint_eq(seen.requests, (uint64_t)threads * ROUNDS);
    ck_assert_uint_eq(seen.tidied, seen.writes);
}

START_TEST(every_request_is_written_once_and_never_two_groups_at_a_time) {
    run_callers(THREADS, 1);
}
END_TEST

START_TEST(a_lone_caller_never_waits) {
    run_callers(1, 1);
    ck_assert_uint_eq(seen.writes, ROUNDS);
    ck_assert_uint_eq(seen.waits, 0);
}
END_TEST

/* Without gathering they would split into two cohorts: groups of half of them. */
START_TEST(callers_that_come_back_at_once_share_a_write) {
    run_callers(THREADS, 1);
    ck_assert_uint_lt(seen.writes, ROUNDS * 3 / 2);
}
END_TEST

START_TEST(a_group_is_bounded) {
    size_t each = GROUP_BATCHES_MAX / 3;
    run_callers(THREADS, each);
    ck_assert_uint_le(seen.largest, GROUP_BATCHES_MAX + each + THREADS);
    ck_assert_uint_ge(seen.largest, GROUP_BATCHES_MAX);
}
END_TEST

START_TEST(numbers_of_groups_may_wrap) {
    group.forming = UINT32_MAX - 1;
    atomic32_init(&group.finished[0], UINT32_MAX - 3);
    atomic32_init(&group.finished[1], UINT32_MAX - 2);
    run_callers(2, 1);
    ck_assert_uint_lt(group.forming, 2 * ROUNDS);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("group");
    TCase *tests = tcase_create("group");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, every_request_is_written_once_and_never_two_groups_at_a_time);
    tcase_add_test(tests, a_lone_caller_never_waits);
    tcase_add_test(tests, callers_that_come_back_at_once_share_a_write);
    tcase_add_test(tests, a_group_is_bounded);
    tcase_add_test(tests, numbers_of_groups_may_wrap);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
