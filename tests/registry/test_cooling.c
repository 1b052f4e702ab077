/*
 * test_cooling.c: released addresses rest, over a restart too; with a clock of the test's own.
 */
#include "fixture.h"
#include "wrapped_store.h"

#include <stdio.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";
enum { REST_MS = 60000 };

static uint64_t clock_ms;

static uint64_t read_clock(void *context) {
    (void)context;
    return clock_ms;
}

static const ipalloc_hooks HOOKS = {.size = sizeof HOOKS, .wall_clock_ms = read_clock};

static bool open_with_clock(fixture *f, int kind) {
    clock_ms = 1700000000000;
    return fixture_open(f, kind, &HOOKS);
}

/* The ranges here are dense: a rest ends with a generation. */
static uint64_t end_of_rest(uint64_t released_ms) {
    return test_end_of_rest(released_ms, REST_MS);
}

static void release(fixture *f, ipalloc_pool *pool, const char *owner, const ipalloc_grant *grant) {
    OK(f, ipalloc_release(f->registry, pool, owner, &grant->address, 0, &f->error));
}

START_TEST(a_released_address_rests_over_a_restart) {
    fixture f;
    if (!open_with_clock(&f, _i))
        return;
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/30",
                                          (ipalloc_pool_definition){.cool_down_ms = REST_MS});
    ipalloc_grant one = allocate(&f, pool, "Service/a", SLOT);
    allocate(&f, pool, "Service/b", SLOT);
    release(&f, pool, "Service/a", &one);
    ck_assert_uint_eq(cooling_of(pool), 1);
    ck_assert_uint_eq(free_of(pool), 0);
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    uint64_t released_ms = clock_ms;
    const uint64_t resting_ms[] = {released_ms + REST_MS / 2, end_of_rest(released_ms) - 1};
    for (int i = 0; i < 2; i++) {
        clock_ms = resting_ms[i];
        fixture_reopen(&f);
        pool = open_pool(&f, "services");
        ck_assert_uint_eq(cooling_of(pool), 1);
        IS(&f, ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, &f.error),
           IPALLOC_E_FULL);
    }
    clock_ms++;
    ck_assert_uint_ge(clock_ms, released_ms + REST_MS);
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ck_assert_uint_eq(free_of(pool), 1);
    ipalloc_grant again = allocate(&f, pool, "Service/c", SLOT);
    ck_assert_int_eq(ipalloc_addr_compare(&again.address, &one.address), 0);
    assert_sound(&f); /* its cooling record is gone */
    fixture_close(&f);
}
END_TEST

typedef struct resting {
    int count, stop_at;
    ipalloc_cooling last;
} resting;

static int note_resting(void *context, const ipalloc_cooling *cooling) {
    resting *r = context;
    r->last = *cooling;
    return ++r->count == r->stop_at ? 77 : 0;
}

START_TEST(what_cools_is_told_with_its_last_owner_until_it_is_free) {
    fixture f;
    if (!open_with_clock(&f, _i))
        return;
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/24",
                                          (ipalloc_pool_definition){.cool_down_ms = REST_MS});
    ipalloc_pool *ports = define_ports(&f, "ports", 1, 100);
    reserve(&f, pool, "Service/b", SLOT, "10.96.0.100");
    reserve(&f, pool, "Service/c", SLOT, "10.96.0.3");
    ipalloc_grant one = reserve(&f, pool, "Service/a", SLOT, "10.96.0.200");
    release(&f, pool, "Service/a", &one);
    ipalloc_addr first = addr("10.96.0.3");
    OK(&f, ipalloc_release(f.registry, pool, "Service/c", &first, 0, &f.error));
    resting r = {0};
    OK(&f, ipalloc_list_cooling(f.registry, NULL, note_resting, &r, &f.error));
    ck_assert_int_eq(r.count, 2);
    ck_assert_uint_eq(cooling_of(pool), 2);
    ck_assert_str_eq(r.last.pool, "services");
    ck_assert_str_eq(addr_text(&r.last.address), "10.96.0.200");
    ck_assert_str_eq(r.last.owner, "Service/a");
    ck_assert_uint_eq(r.last.released_ms, clock_ms);
    ck_assert_uint_eq(r.last.free_at_ms, clock_ms + REST_MS);
    r = (resting){.stop_at = 1};
    IS(&f, ipalloc_list_cooling(f.registry, pool, note_resting, &r, &f.error), 77);
    ck_assert_str_eq(addr_text(&r.last.address), "10.96.0.3");
    r = (resting){0};
    OK(&f, ipalloc_list_cooling(f.registry, ports, note_resting, &r, &f.error));
    ck_assert_int_eq(r.count, 0);
    clock_ms = end_of_rest(clock_ms);
    fixture_reopen(&f); /* the records are there still */
    OK(&f, ipalloc_list_cooling(f.registry, NULL, note_resting, &r, &f.error));
    ck_assert_int_eq(r.count, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(a_clock_that_went_back_ends_the_rest_no_earlier) {
    fixture f;
    if (!open_with_clock(&f, _i))
        return;
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/30",
                                          (ipalloc_pool_definition){.cool_down_ms = REST_MS});
    ipalloc_grant one = allocate(&f, pool, "Service/a", SLOT);
    allocate(&f, pool, "Service/b", SLOT);
    release(&f, pool, "Service/a", &one);
    clock_ms -= 10 * REST_MS;
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    clock_ms = end_of_rest(clock_ms) - 1; /* as if released now */
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    clock_ms += 1;
    allocate(&f, pool, "Service/c", SLOT);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_clock_that_goes_back_while_open_neither_ends_the_rest_nor_hangs) {
    fixture f;
    if (!open_with_clock(&f, _i))
        return;
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/30",
                                          (ipalloc_pool_definition){.cool_down_ms = REST_MS});
    ipalloc_grant one = allocate(&f, pool, "Service/a", SLOT);
    allocate(&f, pool, "Service/b", SLOT);
    release(&f, pool, "Service/a", &one);
    uint64_t left_ms = end_of_rest(clock_ms) - clock_ms - REST_MS / 2;
    clock_ms += REST_MS / 2;
    ck_assert_uint_eq(cooling_of(pool), 1);
    clock_ms -= REST_MS;
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    clock_ms += left_ms - 1; /* part of it before the jump and the rest after it */
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    clock_ms++;
    allocate(&f, pool, "Service/c", SLOT);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(an_explicit_reserve_may_take_a_cooling_address_unless_refused) {
    for (int refuse = 0; refuse < 2; refuse++) {
        fixture f;
        if (!open_with_clock(&f, _i))
            return;
        ipalloc_pool *pool =
            define_pool_with(&f, "services", "10.96.0.0/24",
                             (ipalloc_pool_definition){.cool_down_ms = REST_MS,
                                                       .refuse_reserve_cooling = refuse != 0});
        ipalloc_grant one = allocate(&f, pool, "Service/a", SLOT);
        release(&f, pool, "Service/a", &one);
        ipalloc_txn *dry = begin_dry(&f, "Service/b");
        IS(&f, ipalloc_txn_reserve(dry, pool, SLOT, &one.address, NULL, &f.error),
           refuse ? IPALLOC_E_TAKEN : IPALLOC_OK);
        ipalloc_txn_abort(dry);
        IS(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &one.address, NULL, &f.error),
           refuse ? IPALLOC_E_TAKEN : IPALLOC_OK);
        if (refuse)
            ck_assert_message(&f, "cooling");
        ck_assert_uint_eq(cooling_of(pool), refuse != 0);
        assert_sound(&f);
        fixture_close(&f);
    }
}
END_TEST

START_TEST(an_aborted_reserve_of_a_cooling_address_lets_it_cool_on) {
    fixture f;
    if (!open_with_clock(&f, _i))
        return;
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/30",
                                          (ipalloc_pool_definition){.cool_down_ms = REST_MS});
    ipalloc_grant one = allocate(&f, pool, "Service/a", SLOT);
    allocate(&f, pool, "Service/b", SLOT);
    release(&f, pool, "Service/a", &one);
    clock_ms = end_of_rest(clock_ms) - 10;
    ipalloc_txn *txn = begin(&f, "Service/c");
    OK(&f, ipalloc_txn_reserve(txn, pool, SLOT, &one.address, NULL, &f.error));
    ck_assert_uint_eq(cooling_of(pool), 0);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(cooling_of(pool), 1);
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/c", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    clock_ms += 10; /* its old time counts */
    allocate(&f, pool, "Service/c", SLOT);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* A /30 on a store whose reads can be made to fail, with one address held and one released. */
typedef struct shaky {
    fixture f;
    wrapped_store store;
    ipalloc_store *inner;
    ipalloc_pool *pool;
    ipalloc_grant released;
} shaky;

static void shaky_open(shaky *s, uint32_t strategy) {
    *s = (shaky){0};
    clock_ms = 1700000000000;
    ck_assert_status(ipalloc_store_open("memory:", NULL, &s->inner, NULL), IPALLOC_OK);
    wrapped_open(&s->store, s->inner);
    s->f.store = s->store.handle;
    ipalloc_registry_options with = {.size = sizeof with, .hooks = &HOOKS};
    OK(&s->f, ipalloc_registry_open(s->f.store, &with, &s->f.registry, &s->f.error));
    s->pool =
        define_pool_with(&s->f, "services", "10.96.0.0/30",
                         (ipalloc_pool_definition){.cool_down_ms = REST_MS, .strategy = strategy});
    s->released = allocate(&s->f, s->pool, "Service/a", SLOT);
    allocate(&s->f, s->pool, "Service/b", SLOT);
    release(&s->f, s->pool, "Service/a", &s->released);
}

static void shaky_close(shaky *s) {
    assert_sound(&s->f);
    ipalloc_registry_close(s->f.registry);
    wrapped_close(&s->store);
    ipalloc_store_close(s->inner);
}

static const uint32_t STRATEGIES[] = {IPALLOC_STRATEGY_RANDOM, IPALLOC_STRATEGY_OLDEST_FREED};

/* Where the owner was guessed to be new, and where its record was read before. */
START_TEST(a_read_that_fails_begins_no_rest) {
    shaky s;
    shaky_open(&s, STRATEGIES[_i]);
    clock_ms = end_of_rest(clock_ms);
    ck_assert_uint_eq(free_of(s.pool), 1);
    s.store.reads_fail = true;
    IS(&s.f, ipalloc_allocate(s.f.registry, s.pool, "Service/c", SLOT, NULL, &s.f.error),
       IPALLOC_E_UNAVAILABLE);
    IS(&s.f,
       ipalloc_reserve(s.f.registry, s.pool, "Service/c", SLOT, &s.released.address, NULL,
                       &s.f.error),
       IPALLOC_E_UNAVAILABLE);
    s.store.reads_fail = false;
    ipalloc_txn *txn = begin(&s.f, "Service/b");
    OK(&s.f, ipalloc_txn_find_slot(txn, s.pool, SLOT, NULL, &s.f.error));
    s.store.reads_fail = true;
    IS(&s.f, ipalloc_txn_allocate(txn, s.pool, "other", NULL, &s.f.error), IPALLOC_E_UNAVAILABLE);
    ipalloc_txn_abort(txn);
    s.store.reads_fail = false;
    ck_assert_uint_eq(cooling_of(s.pool), 0);
    ck_assert_uint_eq(free_of(s.pool), 1);
    allocate(&s.f, s.pool, "Service/c", SLOT);
    shaky_close(&s);
}
END_TEST

/* The same where the record could be read: by a clock that has gone back since, it rests still. */
START_TEST(what_was_free_is_free_again_after_an_abort) {
    shaky s;
    shaky_open(&s, STRATEGIES[_i]);
    clock_ms = end_of_rest(clock_ms);
    ck_assert_uint_eq(free_of(s.pool), 1);
    clock_ms -= REST_MS;
    ipalloc_txn *txn = begin(&s.f, "Service/c");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SLOT, NULL, &s.f.error));
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(cooling_of(s.pool), 0);
    ck_assert_uint_eq(free_of(s.pool), 1);
    allocate(&s.f, s.pool, "Service/c", SLOT);
    shaky_close(&s);
}
END_TEST

START_TEST(what_cooled_when_it_was_asked_for_cools_on_though_its_record_cannot_be_read) {
    shaky s;
    shaky_open(&s, STRATEGIES[_i]);
    s.store.reads_fail = true;
    IS(&s.f,
       ipalloc_reserve(s.f.registry, s.pool, "Service/c", SLOT, &s.released.address, NULL,
                       &s.f.error),
       IPALLOC_E_UNAVAILABLE);
    s.store.reads_fail = false;
    ck_assert_uint_eq(cooling_of(s.pool), 1);
    IS(&s.f, ipalloc_allocate(s.f.registry, s.pool, "Service/c", SLOT, NULL, &s.f.error),
       IPALLOC_E_FULL);
    clock_ms = end_of_rest(clock_ms);
    allocate(&s.f, s.pool, "Service/c", SLOT);
    shaky_close(&s);
}
END_TEST

START_TEST(a_full_pool_may_reuse_what_has_rested_longest) {
    static const char *const RANGES[] = {"10.96.0.0/29", "10.96.0.0/30 10.97.0.0/30 10.98.0.0/30"};
    for (size_t r = 0; r < 2; r++) {
        fixture f;
        if (!open_with_clock(&f, _i))
            return;
        ipalloc_pool *pool = define_pool_with(
            &f, "services", RANGES[r],
            (ipalloc_pool_definition){.cool_down_ms = REST_MS, .reuse_cooling_when_full = true});
        ipalloc_grant grants[6];
        char owner[32];
        for (int i = 0; i < 6; i++) {
            snprintf(owner, sizeof owner, "Service/%d", i);
            grants[i] = allocate(&f, pool, owner, SLOT);
        }
        static const int ORDER[] = {3, 0, 5, 1};
        for (int i = 0; i < 4; i++) {
            snprintf(owner, sizeof owner, "Service/%d", ORDER[i]);
            release(&f, pool, owner, &grants[ORDER[i]]);
            clock_ms += 10;
        }
        ipalloc_txn *dry = begin_dry(&f, "Service/dry");
        ipalloc_grant pick = GRANT;
        OK(&f, ipalloc_txn_allocate(dry, pool, SLOT, &pick, &f.error));
        ck_assert_int_eq(ipalloc_addr_compare(&pick.address, &grants[3].address), 0);
        OK(&f, ipalloc_txn_allocate(dry, pool, "second", &pick, &f.error));
        ck_assert_int_eq(ipalloc_addr_compare(&pick.address, &grants[0].address), 0);
        ipalloc_txn_abort(dry);
        for (int i = 0; i < 4; i++) {
            snprintf(owner, sizeof owner, "Service/new/%d", i);
            pick = allocate(&f, pool, owner, SLOT);
            ck_assert_int_eq(ipalloc_addr_compare(&pick.address, &grants[ORDER[i]].address), 0);
        }
        IS(&f, ipalloc_allocate(f.registry, pool, "Service/x", SLOT, NULL, &f.error),
           IPALLOC_E_FULL);
        assert_sound(&f);
        fixture_close(&f);
    }
}
END_TEST

START_TEST(oldest_freed_keeps_its_order_over_a_restart) {
    fixture f;
    if (!open_with_clock(&f, _i))
        return;
    ipalloc_pool *pool =
        define_pool_with(&f, "services", "10.96.0.0/29",
                         (ipalloc_pool_definition){.strategy = IPALLOC_STRATEGY_OLDEST_FREED});
    ipalloc_grant grants[6];
    char owner[32];
    for (int i = 0; i < 6; i++) {
        snprintf(owner, sizeof owner, "Service/%d", i);
        grants[i] = allocate(&f, pool, owner, SLOT);
    }
    static const int ORDER[] = {3, 0, 5, 1};
    for (int i = 0; i < 4; i++) {
        snprintf(owner, sizeof owner, "Service/%d", ORDER[i]);
        release(&f, pool, owner, &grants[ORDER[i]]);
        clock_ms += 10;
    }
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ck_assert_uint_eq(free_of(pool), 4);
    ipalloc_txn *txn = begin(&f, "Service/aborted");
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error));
    ipalloc_txn_abort(txn); /* back to the head of the line */
    for (int i = 0; i < 4; i++) {
        snprintf(owner, sizeof owner, "Service/new/%d", i);
        ipalloc_grant grant = allocate(&f, pool, owner, SLOT);
        ck_assert_int_eq(ipalloc_addr_compare(&grant.address, &grants[ORDER[i]].address), 0);
    }
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_cool_down_that_is_switched_off_leaves_nothing_cooling) {
    fixture f;
    if (!open_with_clock(&f, _i))
        return;
    ipalloc_cidr range = cidr("10.96.0.0/30");
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/30",
                                          (ipalloc_pool_definition){.cool_down_ms = REST_MS});
    ipalloc_grant one = allocate(&f, pool, "Service/a", SLOT);
    release(&f, pool, "Service/a", &one);
    ipalloc_pool_definition off = {.size = sizeof off,
                                   .kind = IPALLOC_POOL_IPV4,
                                   .ranges = &range,
                                   .range_count = 1,
                                   .change = true};
    OK(&f, ipalloc_pool_define(f.registry, "services", &off, &pool, &f.error));
    ck_assert_uint_eq(cooling_of(pool), 0);
    allocate(&f, pool, "Service/b", SLOT);
    allocate(&f, pool, "Service/c", SLOT);
    assert_sound(&f); /* the old record went with the allocation */
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("cooling");
    TCase *c = tcase_create("rules");
    tcase_add_loop_test(c, a_released_address_rests_over_a_restart, 0, STORE_KINDS);
    tcase_add_loop_test(c, what_cools_is_told_with_its_last_owner_until_it_is_free, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_clock_that_went_back_ends_the_rest_no_earlier, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_clock_that_goes_back_while_open_neither_ends_the_rest_nor_hangs, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, an_explicit_reserve_may_take_a_cooling_address_unless_refused, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, an_aborted_reserve_of_a_cooling_address_lets_it_cool_on, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_read_that_fails_begins_no_rest, 0, LENGTH(STRATEGIES));
    tcase_add_loop_test(c, what_was_free_is_free_again_after_an_abort, 0, LENGTH(STRATEGIES));
    tcase_add_loop_test(c,
                        what_cooled_when_it_was_asked_for_cools_on_though_its_record_cannot_be_read,
                        0, LENGTH(STRATEGIES));
    tcase_add_loop_test(c, a_full_pool_may_reuse_what_has_rested_longest, 0, STORE_KINDS);
    tcase_add_loop_test(c, oldest_freed_keeps_its_order_over_a_restart, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_cool_down_that_is_switched_off_leaves_nothing_cooling, 0, STORE_KINDS);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
