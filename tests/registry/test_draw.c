/*
 * test_draw.c: picks over one and several ranges, FULL, dry-runs, and many threads at once.
 */
#include "fixture.h"

#include "core/range_private.h"
#include "registry/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

/* --- several ranges --------------------------------------------------------------------------- */

START_TEST(dynamic_bands_of_all_ranges_come_before_any_static_one) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/27 10.97.0.0/27");
    char owner[32];
    ipalloc_pool_stats stats = {.size = sizeof stats};
    OK(&f, ipalloc_pool_get_stats(pool, &stats, &f.error));
    ck_assert_uint_eq(stats.range_count, 2);
    uint64_t dynamic = stats.dynamic_band.size.low;
    for (uint64_t i = 0; i < stats.total.size.low; i++) {
        snprintf(owner, sizeof owner, "Service/%d", (int)i);
        allocate(&f, pool, owner, SLOT);
        OK(&f, ipalloc_pool_get_stats(pool, &stats, &f.error));
        ck_assert_uint_eq(stats.static_band.used.low, i < dynamic ? 0 : i + 1 - dynamic);
    }
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/x", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    ck_assert_message(&f, "2 active ranges");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(picks_fall_on_ranges_in_proportion_to_what_is_free) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24 10.97.0.0/22");
    char owner[32];
    int in_small = 0, picks = 300;
    for (int i = 0; i < picks; i++) {
        snprintf(owner, sizeof owner, "Service/%d", i);
        in_small += allocate(&f, pool, owner, SLOT).address.bytes[1] == 96;
    }
    /* 1 in 5 is free in the small one: 60 of 300 give or take six deviations. */
    ck_assert_int_gt(in_small, 60 - 42);
    ck_assert_int_lt(in_small, 60 + 42);
    fixture_close(&f);
}
END_TEST

START_TEST(ranges_too_large_to_count_in_64_bits_are_weighed_too) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "fd00::/48 fd01::/48 fd02::/120");
    char owner[32];
    int in_first = 0, picks = 200;
    for (int i = 0; i < picks; i++) {
        snprintf(owner, sizeof owner, "Service/%d", i);
        in_first += allocate(&f, pool, owner, SLOT).address.bytes[1] == 0;
    }
    ck_assert_int_gt(in_first, 100 - 45); /* half of them give or take six deviations */
    ck_assert_int_lt(in_first, 100 + 45);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(draining_ranges_give_nothing_and_full_does_not_count_them) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/29 10.97.0.0/29");
    ipalloc_cidr range = cidr("10.96.0.0/29");
    reserve(&f, pool, "Service/old", SLOT, "10.96.0.3");
    OK(&f, ipalloc_pool_drain_range(pool, &range, &f.error));
    char owner[32];
    for (int i = 0; i < 6; i++) {
        snprintf(owner, sizeof owner, "Service/%d", i);
        ck_assert_int_eq(allocate(&f, pool, owner, SLOT).address.bytes[1], 97);
    }
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/x", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    ipalloc_addr wanted = addr("10.96.0.1");
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/x", SLOT, &wanted, NULL, &f.error),
       IPALLOC_E_NOT_IN_RANGE);
    ck_assert_message(&f, "draining");
    ck_assert(reserve(&f, pool, "Service/old", SLOT, "10.96.0.3").existing);
    ck_assert(!reserve(&f, pool, "Service/old", "other", "10.96.0.3").existing);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(lowest_first_takes_ranges_in_order) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool =
        define_pool_with(&f, "services", "10.96.0.0/30 10.97.0.0/30",
                         (ipalloc_pool_definition){.strategy = IPALLOC_STRATEGY_LOWEST});
    static const char *const EXPECTED[] = {"10.96.0.1", "10.96.0.2", "10.97.0.1", "10.97.0.2"};
    char owner[32];
    for (int i = 0; i < 4; i++) {
        snprintf(owner, sizeof owner, "Service/%d", i);
        ipalloc_grant grant = allocate(&f, pool, owner, SLOT);
        ck_assert_str_eq(addr_text(&grant.address), EXPECTED[i]);
    }
    fixture_close(&f);
}
END_TEST

/* The one free address of a pool, which moves while the pool is searched. Ranges with a cool-down
 * ask the clock each time they are searched; the clock finds out which one is, by its lock, and
 * moves the address to a range that the search is past: from the third to the first while the
 * second is searched, and back while the fourth is. */
typedef struct moving_hole {
    ipalloc_pool *pool; /* NULL: it rests */
    size_t in;          /* the range that has it: 0 or 2 */
    bool moving;        /* the clock is asked by a move itself */
    int moves_left;
} moving_hole;

static const range_offset HOLE = {1};

static bool is_searched(const moving_hole *hole, size_t index) {
    const ipalloc_range *range = hole->pool->set->ranges[index].range;
    return atomic32_load_acquire(&range->lock.state) != LOCK_FREE;
}

/* Free there before taken here: something is free at every instant. */
static void move_hole_to(moving_hole *hole, size_t to) {
    const range_set *set = hole->pool->set;
    if (hole->in == to || hole->moves_left == 0)
        return;
    hole->moves_left--;
    hole->moving = true;
    ck_assert_status(range_release(set->ranges[to].range, HOLE, 0), IPALLOC_OK);
    ck_assert_status(range_claim(set->ranges[hole->in].range, HOLE), IPALLOC_OK);
    hole->moving = false;
    hole->in = to;
}

static uint64_t clock_that_moves_the_hole(void *context) {
    moving_hole *hole = context;
    if (hole->pool != NULL && !hole->moving) {
        if (is_searched(hole, 1))
            move_hole_to(hole, 0);
        else if (is_searched(hole, 3))
            move_hole_to(hole, 2);
    }
    return 1000000;
}

START_TEST(full_is_not_answered_while_the_only_free_address_moves_between_ranges) {
    enum { MOVES = 40 };
    fixture f;
    moving_hole hole = {.in = 2, .moves_left = MOVES};
    ipalloc_hooks clock = {
        .size = sizeof clock, .context = &hole, .wall_clock_ms = clock_that_moves_the_hole};
    ck_assert(fixture_open(&f, 0, &clock));
    ipalloc_pool *pool = define_pool_with(
        &f, "services", "10.96.0.0/30 10.97.0.0/30 10.98.0.0/30 10.99.0.0/30",
        (ipalloc_pool_definition){.strategy = IPALLOC_STRATEGY_LOWEST, .cool_down_ms = 1});
    static const char *const HELD[] = {"10.96.0.1", "10.97.0.1", "10.97.0.2",
                                       "10.98.0.1", "10.99.0.1", "10.99.0.2"};
    char owner[32];
    for (int i = 0; i < 6; i++) {
        snprintf(owner, sizeof owner, "Service/%d", i);
        reserve(&f, pool, owner, SLOT, HELD[i]);
    }
    ipalloc_range *first = pool->set->ranges[0].range, *third = pool->set->ranges[2].range;
    ck_assert_status(range_claim(first, HOLE), IPALLOC_OK); /* the third one's is free */
    hole.pool = pool;
    ipalloc_grant grant = GRANT;
    OK(&f, ipalloc_allocate(f.registry, pool, "Service/x", SLOT, &grant, &f.error));
    hole.pool = NULL;
    ck_assert_int_lt(hole.moves_left, MOVES - 2); /* it did move behind the proof */
    ck_assert_str_eq(addr_text(&grant.address), hole.in == 0 ? "10.96.0.2" : "10.98.0.2");
    ck_assert_status(range_release(hole.in == 0 ? third : first, HOLE, 0), IPALLOC_OK);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- dry-run ---------------------------------------------------------------------------------- */

START_TEST(a_dry_run_picks_what_is_free_and_keeps_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool =
        define_pool_with(&f, "services", "10.96.0.0/29",
                         (ipalloc_pool_definition){.strategy = IPALLOC_STRATEGY_LOWEST});
    allocate(&f, pool, "Service/held", SLOT);
    ipalloc_store_info before = {.size = sizeof before}, after = {.size = sizeof after};
    OK(&f, ipalloc_store_get_info(f.store, &before, &f.error));
    ipalloc_txn *txn = begin_dry(&f, "Service/a");
    ipalloc_grant one = GRANT, two = GRANT, again = GRANT;
    OK(&f, ipalloc_txn_allocate(txn, pool, "one", &one, &f.error));
    OK(&f, ipalloc_txn_allocate(txn, pool, "two", &two, &f.error));
    OK(&f, ipalloc_txn_allocate(txn, pool, "one", &again, &f.error));
    ck_assert_str_eq(addr_text(&one.address), "10.96.0.2");
    ck_assert_str_eq(addr_text(&two.address), "10.96.0.3");
    ck_assert_str_eq(addr_text(&again.address), "10.96.0.2");
    ck_assert_uint_eq(used_of(pool), 1);
    OK(&f, ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ABSENT, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    OK(&f, ipalloc_store_get_info(f.store, &after, &f.error));
    ck_assert_uint_eq(before.revision, after.revision);
    /* The commit at that instant makes the same pick. */
    one = allocate(&f, pool, "Service/a", "one");
    ck_assert_str_eq(addr_text(&one.address), "10.96.0.2");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_dry_run_refuses_what_would_be_refused) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/29");
    reserve(&f, pool, "Service/held", SLOT, "10.96.0.3");
    ipalloc_addr held = addr("10.96.0.3"), free = addr("10.96.0.4"), other = addr("10.96.0.5");
    ipalloc_addr outside = addr("10.98.0.1");
    ipalloc_txn *txn = begin_dry(&f, "Service/a");
    IS(&f, ipalloc_txn_reserve(txn, pool, SLOT, &held, NULL, &f.error), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "Service/held");
    IS(&f, ipalloc_txn_reserve(txn, pool, SLOT, &outside, NULL, &f.error), IPALLOC_E_NOT_IN_RANGE);
    IS(&f, ipalloc_txn_release(txn, pool, &held, 0, &f.error), IPALLOC_E_NOT_OWNER);
    OK(&f, ipalloc_txn_reserve(txn, pool, SLOT, &free, NULL, &f.error));
    IS(&f, ipalloc_txn_reserve(txn, pool, SLOT, &other, NULL, &f.error), IPALLOC_E_TAKEN);
    char slot[32];
    for (int i = 0; i < 4; i++) { /* six usable, one held, one picked */
        snprintf(slot, sizeof slot, "slot-%d", i);
        OK(&f, ipalloc_txn_allocate(txn, pool, slot, NULL, &f.error));
    }
    IS(&f, ipalloc_txn_allocate(txn, pool, "more", NULL, &f.error), IPALLOC_E_FULL);
    OK(&f, ipalloc_txn_put(txn, "object", "x", 1, 12345, &f.error));
    IS(&f, ipalloc_txn_commit(txn, NULL, &f.error), IPALLOC_E_CONFLICT);
    ck_assert_message(&f, "record/object");
    ck_assert_uint_eq(used_of(pool), 1);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_dry_release_frees_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/29");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    ipalloc_txn *txn = begin_dry(&f, "Service/a");
    OK(&f, ipalloc_txn_release_all(txn, &f.error));
    IS(&f, ipalloc_txn_find_slot(txn, pool, SLOT, &grant, &f.error), IPALLOC_E_NOT_FOUND);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(pool), 1);
    ck_assert(allocate(&f, pool, "Service/a", SLOT).existing);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- many threads ----------------------------------------------------------------------------- */

enum { THREADS = 8 };

typedef struct crowd {
    fixture *f;
    ipalloc_pool *pool;
    int number;
    uint64_t rounds;
    uint64_t failures; /* anything but what the rules allow */
    uint64_t full;
    uint8_t *owners; /* who holds each address, by last byte; 0: nobody */
} crowd;

static void run_crowd(crowd *all, int threads, void *(*body)(void *)) {
    pthread_t ids[THREADS];
    for (int i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, body, &all[i]), 0);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
}

/* Hold at most a few, and check on each grant that nobody else has it. */
static void *take_and_give(void *context) {
    crowd *me = context;
    uint64_t state = test_seed() + (uint64_t)me->number;
    char owner[32];
    for (uint64_t i = 0; i < me->rounds; i++) {
        ipalloc_grant grant = GRANT;
        snprintf(owner, sizeof owner, "Service/%d/%d", me->number, (int)(test_random(&state) % 4));
        int status = ipalloc_allocate(me->f->registry, me->pool, owner, SLOT, &grant, NULL);
        if (status == IPALLOC_E_FULL) {
            me->full++;
            continue;
        }
        if (status != IPALLOC_OK) {
            me->failures++;
            continue;
        }
        uint8_t *holder = &me->owners[grant.address.bytes[3]];
        uint8_t before = __atomic_exchange_n(holder, (uint8_t)(me->number + 1), __ATOMIC_SEQ_CST);
        me->failures += before != 0 && before != me->number + 1;
        if (test_random(&state) % 2 == 0)
            continue; /* keep it: the next round asks again, or another owner of ours does */
        __atomic_store_n(holder, 0, __ATOMIC_SEQ_CST);
        me->failures += ipalloc_release(me->f->registry, me->pool, owner, &grant.address,
                                        grant.generation, NULL) != IPALLOC_OK;
    }
    return NULL;
}

START_TEST(no_two_owners_hold_the_same_address) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/27");
    crowd all[THREADS];
    uint8_t owners[256] = {0};
    uint64_t rounds = test_scaled(_i == 0 ? 3000 : 60);
    for (int i = 0; i < THREADS; i++)
        all[i] = (crowd){.f = &f, .pool = pool, .number = i, .rounds = rounds, .owners = owners};
    run_crowd(all, THREADS, take_and_give);
    for (int i = 0; i < THREADS; i++)
        ck_assert_uint_eq(all[i].failures, 0);
    assert_sound(&f);
    uint64_t used = used_of(pool);
    fixture_reopen(&f);
    ck_assert_uint_eq(used_of(open_pool(&f, "services")), used);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* Each thread never holds more than its quota, and the quotas together are one less than what the
 * pool has: so something is free at every instant, and FULL is never true. */
static void *stay_within_quota(void *context) {
    crowd *me = context;
    enum { QUOTA = 4 };
    uint64_t state = test_seed() + (uint64_t)me->number;
    char owner[32];
    bool holds[QUOTA] = {false};
    ipalloc_addr held[QUOTA];
    for (uint64_t i = 0; i < me->rounds; i++) {
        size_t which = test_random(&state) % QUOTA;
        snprintf(owner, sizeof owner, "Service/%d/%zu", me->number, which);
        ipalloc_grant grant = GRANT;
        int status;
        if (holds[which]) {
            status = ipalloc_release(me->f->registry, me->pool, owner, &held[which], 0, NULL);
        } else {
            status = ipalloc_allocate(me->f->registry, me->pool, owner, SLOT, &grant, NULL);
            held[which] = grant.address;
        }
        me->full += status == IPALLOC_E_FULL;
        me->failures += status != IPALLOC_OK;
        holds[which] = status == IPALLOC_OK ? !holds[which] : holds[which];
    }
    return NULL;
}

START_TEST(full_is_never_answered_while_something_is_free) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    /* 18 usable, one in use for good, and 4 threads with 4 each at most. */
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/28 10.97.0.0/30 10.98.0.0/30");
    reserve(&f, pool, "Service/fixed", SLOT, "10.98.0.1");
    crowd all[4];
    for (int i = 0; i < 4; i++)
        all[i] = (crowd){
            .f = &f, .pool = pool, .number = i, .rounds = test_scaled(_i == 0 ? 20000 : 100)};
    run_crowd(all, 4, stay_within_quota);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(all[i].full, 0);
        ck_assert_uint_eq(all[i].failures, 0);
    }
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* All threads ask for the same owner and slot. */
static void *ask_the_same(void *context) {
    crowd *me = context;
    for (uint64_t i = 0; i < me->rounds; i++) {
        ipalloc_grant grant = GRANT;
        char owner[32];
        snprintf(owner, sizeof owner, "Service/%d", (int)i);
        me->failures +=
            ipalloc_allocate(me->f->registry, me->pool, owner, SLOT, &grant, NULL) != IPALLOC_OK;
        me->owners[i] = grant.address.bytes[3];
    }
    return NULL;
}

START_TEST(two_at_once_for_one_owner_get_one_address) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    enum { ROUNDS = 50 };
    crowd all[4];
    uint8_t got[4][ROUNDS];
    for (int i = 0; i < 4; i++)
        all[i] = (crowd){.f = &f, .pool = pool, .number = i, .rounds = ROUNDS, .owners = got[i]};
    run_crowd(all, 4, ask_the_same);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(all[i].failures, 0);
        ck_assert_mem_eq(got[i], got[0], ROUNDS);
    }
    ck_assert_uint_eq(used_of(pool), ROUNDS);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("draw");
    TCase *c = tcase_create("ranges");
    tcase_add_loop_test(c, dynamic_bands_of_all_ranges_come_before_any_static_one, 0, STORE_KINDS);
    tcase_add_test(c, picks_fall_on_ranges_in_proportion_to_what_is_free);
    tcase_add_loop_test(c, draining_ranges_give_nothing_and_full_does_not_count_them, 0,
                        STORE_KINDS);
    tcase_add_test(c, ranges_too_large_to_count_in_64_bits_are_weighed_too);
    tcase_add_test(c, lowest_first_takes_ranges_in_order);
    tcase_add_test(c, full_is_not_answered_while_the_only_free_address_moves_between_ranges);
    suite_add_tcase(s, c);
    c = tcase_create("dry-run");
    tcase_add_loop_test(c, a_dry_run_picks_what_is_free_and_keeps_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_dry_run_refuses_what_would_be_refused, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_dry_release_frees_nothing, 0, STORE_KINDS);
    suite_add_tcase(s, c);
    c = tcase_create("threads");
    tcase_set_timeout(c, 100);
    tcase_add_loop_test(c, no_two_owners_hold_the_same_address, 0, STORE_KINDS);
    tcase_add_loop_test(c, full_is_never_answered_while_something_is_free, 0, STORE_KINDS);
    tcase_add_loop_test(c, two_at_once_for_one_owner_get_one_address, 0, STORE_KINDS);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
