/*
 * test_activity.c: what a range's counters say of its allocations, and how long they took.
 */
#include "fixture.h"
#include "wrapped_store.h"

#include <stdlib.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

static ipalloc_pool_range range_of(ipalloc_pool *pool, size_t index) {
    ipalloc_pool_range range = {.size = sizeof range};
    ck_assert_status(ipalloc_pool_get_range(pool, index, &range, NULL), IPALLOC_OK);
    return range;
}

/* Granted and refused: static, dynamic each. */
static void assert_counts(ipalloc_pool *pool, size_t index, uint64_t granted_static,
                          uint64_t granted_dynamic, uint64_t refused_static,
                          uint64_t refused_dynamic) {
    ipalloc_pool_range range = range_of(pool, index);
    uint64_t durations = 0;
    ck_assert_uint_eq(range.granted_static, granted_static);
    ck_assert_uint_eq(range.granted_dynamic, granted_dynamic);
    ck_assert_uint_eq(range.refused_static, refused_static);
    ck_assert_uint_eq(range.refused_dynamic, refused_dynamic);
    for (size_t i = 0; i < IPALLOC_DURATION_BUCKETS; i++)
        durations += range.durations[i];
    ck_assert_uint_eq(durations, granted_static + granted_dynamic);
}

START_TEST(counters_tell_asked_for_from_picked_and_granted_from_refused) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/30");
    ipalloc_addr held = addr("10.96.0.1"), outside = addr("10.96.0.3");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.1");
    reserve(&f, pool, "Service/a", "second", "10.96.0.1"); /* shared: nothing was allocated */
    allocate(&f, pool, "Service/b", SLOT);
    allocate(&f, pool, "Service/b", SLOT); /* existing: the same */
    ipalloc_reserve(f.registry, pool, "Service/c", SLOT, &held, NULL, NULL);
    ipalloc_reserve(f.registry, pool, "Service/c", SLOT, &outside, NULL, NULL);
    ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, NULL);
    assert_counts(pool, 0, 1, 1, 1, 1);
    OK(&f, ipalloc_release_owner(f.registry, "Service/a", NULL, &f.error));
    assert_counts(pool, 0, 1, 1, 1, 1);
    fixture_reopen(&f);
    assert_counts(open_pool(&f, "services"), 0, 0, 0, 0, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(full_is_a_refusal_of_each_active_range) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/30 10.97.0.0/30 10.98.0.0/30");
    ipalloc_cidr drains = cidr("10.98.0.0/30");
    OK(&f, ipalloc_pool_drain_range(pool, &drains, &f.error));
    static const char *const SLOTS[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++)
        allocate(&f, pool, "Service/a", SLOTS[i]);
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/b", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    assert_counts(pool, 0, 0, 2, 0, 1);
    assert_counts(pool, 1, 0, 2, 0, 1);
    assert_counts(pool, 2, 0, 0, 0, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(what_was_not_committed_does_not_count) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/30");
    ipalloc_addr wanted = addr("10.96.0.1");
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error));
    assert_counts(pool, 0, 0, 0, 0, 0);
    ipalloc_txn_abort(txn);
    reserve(&f, pool, "Service/b", SLOT, "10.96.0.1");
    txn = begin_dry(&f, "Service/a");
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error));
    IS(&f, ipalloc_txn_allocate(txn, pool, "more", NULL, &f.error), IPALLOC_E_FULL);
    IS(&f, ipalloc_txn_reserve(txn, pool, "this", &wanted, NULL, &f.error), IPALLOC_E_TAKEN);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    assert_counts(pool, 0, 1, 0, 0, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(counters_go_on_where_the_range_does) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/30 10.97.0.0/30");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.1");
    reserve(&f, pool, "Service/b", SLOT, "10.97.0.1");
    ipalloc_cidr more = cidr("10.98.0.0/30");
    OK(&f, ipalloc_pool_add_range(pool, &more, &f.error));
    assert_counts(pool, 0, 1, 0, 0, 0);
    ipalloc_pool_range_spec specs[] = {{.cidr = cidr("10.97.0.0/24")},
                                       {.cidr = cidr("10.96.0.0/30"), .draining = true}};
    OK(&f, ipalloc_pool_set_ranges(pool, specs, 2, &f.error));
    assert_counts(pool, 0, 0, 0, 0, 0);
    assert_counts(pool, 1, 1, 0, 0, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(ports_are_counted_too) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_ports(&f, "node-ports", 30000, 30000);
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_reserve_port(txn, pool, SLOT, 30000, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    txn = begin(&f, "Service/b");
    IS(&f, ipalloc_txn_reserve_port(txn, pool, SLOT, 30000, NULL, &f.error), IPALLOC_E_TAKEN);
    IS(&f, ipalloc_txn_allocate_port(txn, pool, SLOT, NULL, &f.error), IPALLOC_E_FULL);
    ipalloc_txn_abort(txn);
    assert_counts(pool, 0, 1, 0, 1, 1);
    fixture_close(&f);
}
END_TEST

/* --- durations -------------------------------------------------------------------------------- */

static uint64_t now_ms(void *context) {
    return *(const uint64_t *)context;
}

typedef struct slow {
    uint64_t now;
    ipalloc_hooks hooks;
    ipalloc_store *inner;
    wrapped_store store;
    fixture f; /* store, registry, error */
    ipalloc_pool *pool;
    uint64_t commit_takes_ms;
} slow;

static void let_time_pass(void *context) {
    slow *s = context;
    s->now += s->commit_takes_ms;
}

static void slow_open(slow *s) {
    *s = (slow){.now = 1000};
    s->hooks = (ipalloc_hooks){.size = sizeof s->hooks, .context = &s->now, .monotonic_ms = now_ms};
    ck_assert_status(ipalloc_store_open("memory:", NULL, &s->inner, NULL), IPALLOC_OK);
    wrapped_open(&s->store, s->inner);
    s->f.store = s->store.handle;
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &s->hooks};
    OK(&s->f, ipalloc_registry_open(s->f.store, &options, &s->f.registry, &s->f.error));
    s->pool = define_pool(&s->f, "services", "10.96.0.0/24");
}

static void slow_close(slow *s) {
    ipalloc_registry_close(s->f.registry);
    wrapped_close(&s->store);
    ipalloc_store_close(s->inner);
}

static const uint64_t BOUNDS_MS[IPALLOC_DURATION_BUCKETS] = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, UINT64_MAX};

START_TEST(a_grant_is_counted_in_the_bucket_of_its_duration) {
    slow s;
    slow_open(&s);
    uint64_t below = _i == 0 ? 0 : BOUNDS_MS[_i - 1] + 1;
    uint64_t at = BOUNDS_MS[_i] < UINT64_MAX ? BOUNDS_MS[_i] : 3600000;
    ck_assert_uint_eq(ipalloc_duration_bound_ms((size_t)_i), BOUNDS_MS[_i]);
    s.store.before_context = &s;
    for (int i = 0; i < 2; i++) {
        s.store.before_commit = let_time_pass;
        s.commit_takes_ms = i == 0 ? below : at;
        allocate(&s.f, s.pool, i == 0 ? "Service/a" : "Service/b", SLOT);
    }
    ipalloc_pool_range range = range_of(s.pool, 0);
    ck_assert_uint_eq(range.durations[_i], 2);
    ck_assert_uint_eq(range.duration_sum_ms, below + at);
    assert_counts(s.pool, 0, 0, 2, 0, 0);
    slow_close(&s);
}
END_TEST

START_TEST(what_the_caller_does_between_claim_and_commit_is_not_its_duration) {
    slow s;
    slow_open(&s);
    ipalloc_txn *txn = begin(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SLOT, NULL, &s.f.error));
    s.now += 60000;
    s.store.before_context = &s;
    s.store.before_commit = let_time_pass;
    s.commit_takes_ms = 7;
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    ck_assert_uint_eq(range_of(s.pool, 0).duration_sum_ms, 7);
    slow_close(&s);
}
END_TEST

START_TEST(an_outcome_that_was_unknown_counts_once_when_it_is_known) {
    slow s;
    slow_open(&s);
    ipalloc_txn *txn = begin(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SLOT, NULL, &s.f.error));
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_APPLIED, 1);
    s.store.reads_fail = true;
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    assert_counts(s.pool, 0, 0, 0, 0, 0);
    s.store.reads_fail = false;
    s.now += 2000;
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    assert_counts(s.pool, 0, 0, 1, 0, 0);
    ck_assert_uint_eq(range_of(s.pool, 0).duration_sum_ms, 2000);
    slow_close(&s);
}
END_TEST

START_TEST(beyond_the_last_bucket_there_is_no_bound) {
    ck_assert_uint_eq(ipalloc_duration_bound_ms(IPALLOC_DURATION_BUCKETS), UINT64_MAX);
    ck_assert_uint_eq(ipalloc_duration_bound_ms(SIZE_MAX), UINT64_MAX);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("activity");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 30);
    tcase_add_loop_test(c, counters_tell_asked_for_from_picked_and_granted_from_refused, 0,
                        STORE_KINDS);
    tcase_add_test(c, full_is_a_refusal_of_each_active_range);
    tcase_add_loop_test(c, what_was_not_committed_does_not_count, 0, STORE_KINDS);
    tcase_add_loop_test(c, counters_go_on_where_the_range_does, 0, STORE_KINDS);
    tcase_add_loop_test(c, ports_are_counted_too, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_grant_is_counted_in_the_bucket_of_its_duration, 0,
                        IPALLOC_DURATION_BUCKETS);
    tcase_add_test(c, what_the_caller_does_between_claim_and_commit_is_not_its_duration);
    tcase_add_test(c, an_outcome_that_was_unknown_counts_once_when_it_is_known);
    tcase_add_test(c, beyond_the_last_bucket_there_is_no_bound);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
