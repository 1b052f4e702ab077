/*
 * test_pool.c: definitions that last, their changes, ranges that come and go, exclusions.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

static int define(fixture *f, const char *name, const char *range, ipalloc_pool_definition options,
                  ipalloc_pool **pool) {
    ipalloc_cidr one = cidr(range);
    options.size = sizeof options;
    options.kind = one.base.family;
    options.ranges = &one;
    options.range_count = 1;
    return ipalloc_pool_define(f->registry, name, &options, pool, &f->error);
}

START_TEST(a_definition_survives_reopening) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool;
    ipalloc_pool_definition options = {.strategy = IPALLOC_STRATEGY_LOWEST,
                                       .static_band_size = 20,
                                       .cool_down_ms = 5000,
                                       .use_all_addresses = true,
                                       .reuse_cooling_when_full = true,
                                       .refuse_reserve_cooling = true};
    OK(&f, define(&f, "lb", "10.0.0.0/24", options, &pool));
    define_ports(&f, "ports", 30000, 32767);
    define_pool(&f, "v6", "fd00::/64");
    fixture_reopen(&f);
    OK(&f, define(&f, "lb", "10.0.0.0/24", options, &pool));
    ipalloc_pool_stats stats = {.size = sizeof stats};
    OK(&f, ipalloc_pool_get_stats(pool, &stats, &f.error));
    ck_assert_uint_eq(stats.total.size.low, 256);
    ck_assert_uint_eq(stats.static_band.size.low, 20);
    ck_assert_int_eq(ipalloc_pool_kind_of(open_pool(&f, "ports")), IPALLOC_POOL_PORT);
    ck_assert_int_eq(ipalloc_pool_kind_of(open_pool(&f, "v6")), IPALLOC_POOL_IPV6);
    static const char *const NAMES[] = {"lb", "ports", "v6"};
    ipalloc_pool *next = NULL;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_status(ipalloc_pool_next(f.registry, &next), IPALLOC_OK);
        ck_assert_str_eq(ipalloc_pool_name(next), NAMES[i]);
    }
    ck_assert_status(ipalloc_pool_next(f.registry, &next), IPALLOC_E_NOT_FOUND);
    IS(&f, ipalloc_pool_open(f.registry, "none", &pool, &f.error), IPALLOC_E_NOT_FOUND);
    fixture_close(&f);
}
END_TEST

START_TEST(reopening_with_other_ranges_is_a_mismatch_that_shows_both) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    allocate(&f, pool, "Service/a", SLOT);
    fixture_reopen(&f);
    IS(&f, define(&f, "services", "10.97.0.0/24", (ipalloc_pool_definition){0}, &pool),
       IPALLOC_E_MISMATCH);
    ck_assert_message(&f, "10.96.0.0/24");
    ck_assert_message(&f, "10.97.0.0/24");
    IS(&f,
       define(&f, "services", "10.96.0.0/24", (ipalloc_pool_definition){.cool_down_ms = 1}, &pool),
       IPALLOC_E_MISMATCH);
    IS(&f, define(&f, "services", "fd00::/112", (ipalloc_pool_definition){.change = true}, &pool),
       IPALLOC_E_MISMATCH);
    OK(&f, define(&f, "services", "10.96.0.0/24", (ipalloc_pool_definition){0}, &pool));
    ck_assert_uint_eq(used_of(pool), 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_change_that_is_asked_for_renumbers_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    ipalloc_txn *open = begin(&f, "Service/b");
    ipalloc_grant claimed = GRANT;
    OK(&f, ipalloc_txn_allocate(open, pool, SLOT, &claimed, &f.error));
    ipalloc_pool *changed;
    OK(&f, define(&f, "services", "10.97.0.0/24",
                  (ipalloc_pool_definition){.change = true, .use_all_addresses = true}, &changed));
    ck_assert_ptr_eq(changed, pool);
    /* What was claimed under the old definition is claimed still, and cannot be committed. */
    ck_assert_uint_eq(used_of(pool), 2);
    IS(&f, ipalloc_txn_commit(open, NULL, &f.error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(pool), 1);
    ipalloc_pool_range range = {.size = sizeof range};
    OK(&f, ipalloc_pool_get_range(pool, 0, &range, &f.error));
    ck_assert(!range.draining);
    ck_assert_uint_eq(range.stats.total.size.low, 256);
    OK(&f, ipalloc_pool_get_range(pool, 1, &range, &f.error));
    ck_assert(range.draining);
    ck_assert_uint_eq(range.stats.total.used.low, 1);
    IS(&f, ipalloc_pool_get_range(pool, 2, &range, &f.error), IPALLOC_E_NOT_FOUND);
    ck_assert(allocate(&f, pool, "Service/a", SLOT).existing);
    ck_assert_int_eq(allocate(&f, pool, "Service/c", SLOT).address.bytes[1], 97);
    OK(&f, ipalloc_release(f.registry, pool, "Service/a", &grant.address, 0, &f.error));
    assert_sound(&f);
    fixture_reopen(&f);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(options_under_which_a_held_address_would_be_lost_are_a_mismatch) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool_with(&f, "lb", "10.0.0.0/24",
                                          (ipalloc_pool_definition){.use_all_addresses = true});
    reserve(&f, pool, "Service/a", SLOT, "10.0.0.0");
    IS(&f, define(&f, "lb", "10.0.0.0/24", (ipalloc_pool_definition){.change = true}, &pool),
       IPALLOC_E_MISMATCH);
    ck_assert_message(&f, "10.0.0.0 is held");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static const struct {
    const char *name;
    const char *range;
    ipalloc_pool_definition options;
    int status;
    const char *says;
} DEFINITIONS[] = {
    {"", "10.0.0.0/24", {0}, IPALLOC_E_INVALID, "name"},
    {"Upper", "10.0.0.0/24", {0}, IPALLOC_E_INVALID, "name"},
    {"-a", "10.0.0.0/24", {0}, IPALLOC_E_INVALID, "name"},
    {"a-", "10.0.0.0/24", {0}, IPALLOC_E_INVALID, "name"},
    {"a/b", "10.0.0.0/24", {0}, IPALLOC_E_INVALID, "name"},
    {"fine", "10.0.0.0/31", {0}, IPALLOC_E_INVALID, "usable"},
    {"fine", "10.0.0.0/32", {0}, IPALLOC_E_INVALID, "usable"},
    {"fine", "fd00::/128", {0}, IPALLOC_E_INVALID, "usable"},
    {"fine", "10.0.0.0/32", {.use_all_addresses = true}, IPALLOC_OK, ""},
    {"fine", "fd00::/127", {0}, IPALLOC_OK, ""},
    {"fine", "10.0.0.0/24", {.strategy = 9}, IPALLOC_E_INVALID, "strategy"},
    {"fine", "10.0.0.0/24", {.port_last = 9}, IPALLOC_E_INVALID, "ports"},
    {"other", "10.96.0.128/25", {0}, IPALLOC_E_MISMATCH, "services"},
    {"other", "10.0.0.0/8", {0}, IPALLOC_E_MISMATCH, "10.96.0.0/24"},
};

START_TEST(a_definition_is_checked) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_store_info before = {.size = sizeof before}, after = {.size = sizeof after};
    OK(&f, ipalloc_store_get_info(f.store, &before, &f.error));
    IS(&f, define(&f, DEFINITIONS[_i].name, DEFINITIONS[_i].range, DEFINITIONS[_i].options, &pool),
       DEFINITIONS[_i].status);
    OK(&f, ipalloc_store_get_info(f.store, &after, &f.error));
    if (DEFINITIONS[_i].status != IPALLOC_OK) {
        ck_assert_message(&f, DEFINITIONS[_i].says);
        ck_assert_uint_eq(before.revision, after.revision);
    }
    fixture_reopen(&f);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(ranges_of_one_definition_may_not_overlap) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_cidr ranges[] = {cidr("10.0.0.0/24"), cidr("10.0.0.128/25")};
    ipalloc_pool_definition d = {
        .size = sizeof d, .kind = IPALLOC_POOL_IPV4, .ranges = ranges, .range_count = 2};
    ipalloc_pool *pool;
    IS(&f, ipalloc_pool_define(f.registry, "p", &d, &pool, &f.error), IPALLOC_E_INVALID);
    ck_assert_message(&f, "10.0.0.0/24");
    ck_assert_message(&f, "10.0.0.128/25");
    d.range_count = 0;
    IS(&f, ipalloc_pool_define(f.registry, "p", &d, &pool, &f.error), IPALLOC_E_INVALID);
    d.range_count = 1;
    d.kind = IPALLOC_POOL_IPV6;
    IS(&f, ipalloc_pool_define(f.registry, "p", &d, &pool, &f.error), IPALLOC_E_INVALID);
    d.kind = 9;
    IS(&f, ipalloc_pool_define(f.registry, "p", &d, &pool, &f.error), IPALLOC_E_INVALID);
    d = (ipalloc_pool_definition){
        .size = sizeof d, .kind = IPALLOC_POOL_PORT, .port_first = 2, .port_last = 1};
    IS(&f, ipalloc_pool_define(f.registry, "p", &d, &pool, &f.error), IPALLOC_E_INVALID);
    fixture_close(&f);
}
END_TEST

START_TEST(port_pools_may_overlap_because_they_are_spaces_of_their_own) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *one = define_ports(&f, "one", 30000, 30010);
    ipalloc_pool *two = define_ports(&f, "two", 30000, 30010);
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_reserve_port(txn, one, "a", 30005, NULL, &f.error));
    OK(&f, ipalloc_txn_reserve_port(txn, two, "a", 30005, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- ranges ----------------------------------------------------------------------------------- */

START_TEST(a_range_is_added_drained_and_removed) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_cidr first = cidr("10.96.0.0/24"), second = cidr("10.97.0.0/24");
    ipalloc_cidr overlapping = cidr("10.97.0.128/25");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    OK(&f, ipalloc_pool_add_range(pool, &second, &f.error));
    IS(&f, ipalloc_pool_add_range(pool, &overlapping, &f.error), IPALLOC_E_MISMATCH);
    ck_assert_message(&f, "10.97.0.0/24");
    IS(&f, ipalloc_pool_remove_range(pool, &first, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_drain_range(pool, &overlapping, &f.error), IPALLOC_E_NOT_FOUND);
    OK(&f, ipalloc_pool_drain_range(pool, &first, &f.error));
    OK(&f, ipalloc_pool_drain_range(pool, &first, &f.error));
    IS(&f, ipalloc_pool_remove_range(pool, &first, &f.error), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "holds 1");
    ck_assert_message(&f, "Service/a");
    IS(&f, ipalloc_pool_add_range(pool, &first, &f.error), IPALLOC_E_MISMATCH);
    ck_assert_message(&f, "draining");
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    IS(&f, ipalloc_pool_remove_range(pool, &first, &f.error), IPALLOC_E_TAKEN);
    OK(&f, ipalloc_release(f.registry, pool, "Service/a", &grant.address, 0, &f.error));
    OK(&f, ipalloc_pool_remove_range(pool, &first, &f.error));
    IS(&f, ipalloc_pool_remove_range(pool, &first, &f.error), IPALLOC_E_NOT_FOUND);
    ipalloc_pool_stats stats = {.size = sizeof stats};
    OK(&f, ipalloc_pool_get_stats(pool, &stats, &f.error));
    ck_assert_uint_eq(stats.range_count, 1);
    IS(&f, ipalloc_release(f.registry, pool, "Service/a", &grant.address, 0, &f.error),
       IPALLOC_E_NOT_IN_RANGE);
    assert_sound(&f);
    fixture_reopen(&f);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_claim_of_an_open_transaction_keeps_its_range) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24 10.97.0.0/24");
    ipalloc_cidr range = cidr("10.96.0.0/24");
    ipalloc_addr wanted = addr("10.96.0.7");
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_reserve(txn, pool, SLOT, &wanted, NULL, &f.error));
    OK(&f, ipalloc_pool_drain_range(pool, &range, &f.error));
    IS(&f, ipalloc_pool_remove_range(pool, &range, &f.error), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "Service/a");
    ipalloc_txn_abort(txn);
    OK(&f, ipalloc_pool_remove_range(pool, &range, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- exclusions ------------------------------------------------------------------------------- */

START_TEST(excluded_addresses_are_never_given_out_until_included) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/29");
    ipalloc_addr one = addr("10.96.0.1"), two = addr("10.96.0.2"), three = addr("10.96.0.3"),
                 five = addr("10.96.0.5"), outside = addr("10.97.0.1");
    OK(&f, ipalloc_pool_exclude(pool, &two, &five, &f.error));
    OK(&f, ipalloc_pool_exclude(pool, &one, &two, &f.error));
    IS(&f, ipalloc_pool_exclude(pool, &one, &outside, &f.error), IPALLOC_E_NOT_IN_RANGE);
    IS(&f, ipalloc_pool_exclude(pool, &two, &one, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/a", SLOT, &two, NULL, &f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&f, "excluded");
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ck_assert_str_eq(addr_text(&(ipalloc_addr){allocate(&f, pool, "Service/a", SLOT).address.family,
                                               {10, 96, 0, 6}}),
                     "10.96.0.6");
    ck_assert_uint_eq(free_of(pool), 0);
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/b", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    OK(&f, ipalloc_pool_include(pool, &three, &three, &f.error));
    IS(&f, ipalloc_pool_include(pool, &two, &three, &f.error), IPALLOC_E_NOT_FOUND);
    ipalloc_grant grant = allocate(&f, pool, "Service/b", SLOT);
    ck_assert_str_eq(addr_text(&grant.address), "10.96.0.3");
    IS(&f, ipalloc_pool_exclude(pool, &two, &five, &f.error), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "10.96.0.3");
    ck_assert_message(&f, "Service/b");
    assert_sound(&f);
    fixture_reopen(&f);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static const struct {
    const char *first, *last, *says;
} NO_STRETCH[] = {
    {"10.96.0.0", "10.96.0.3", "10.96.0.0 is an end of 10.96.0.0/28, which pool services never"},
    {"10.96.0.3", "10.96.0.15", "10.96.0.15 is an end of 10.96.0.0/28, which pool services never"},
    {"10.96.0.3", "10.98.0.1", "10.98.0.1 is in no range of pool services"},
    {"10.96.0.3", "10.97.0.3", "10.96.0.3-10.97.0.3 spans two ranges of pool services"},
    {"fd00::1", "fd00::2", "fd00::1 is in no range of pool services"},
};

START_TEST(a_stretch_that_cannot_be_excluded_is_told_why) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/28 10.97.0.0/28");
    ipalloc_addr first = addr(NO_STRETCH[_i].first), last = addr(NO_STRETCH[_i].last);
    IS(&f, ipalloc_pool_exclude(pool, &first, &last, &f.error), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_message(&f, NO_STRETCH[_i].says);
    IS(&f, ipalloc_pool_include(pool, &first, &last, &f.error), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_message(&f, NO_STRETCH[_i].says);
    fixture_close(&f);
}
END_TEST

START_TEST(exclusions_go_with_their_range) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/28 10.97.0.0/28");
    ipalloc_cidr range = cidr("10.96.0.0/28");
    ipalloc_addr gone = addr("10.96.0.9"), stays = addr("10.97.0.9");
    OK(&f, ipalloc_pool_exclude(pool, &gone, &gone, &f.error));
    OK(&f, ipalloc_pool_exclude(pool, &stays, &stays, &f.error));
    OK(&f, ipalloc_pool_drain_range(pool, &range, &f.error));
    OK(&f, ipalloc_pool_remove_range(pool, &range, &f.error));
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ck_assert_uint_eq(free_of(pool), 13);
    OK(&f, ipalloc_pool_add_range(pool, &range, &f.error));
    ck_assert_uint_eq(free_of(pool), 27);
    range = cidr("10.97.0.0/28");
    OK(&f, ipalloc_pool_drain_range(pool, &range, &f.error));
    OK(&f, ipalloc_pool_remove_range(pool, &range, &f.error));
    range = cidr("10.96.0.0/28");
    OK(&f, ipalloc_pool_drain_range(pool, &range, &f.error));
    OK(&f, ipalloc_pool_remove_range(pool, &range, &f.error)); /* the last one */
    ck_assert_uint_eq(free_of(pool), 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* Against a plain array. */
START_TEST(any_mix_of_exclude_and_include_ends_as_the_array_says) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/26",
                                          (ipalloc_pool_definition){.use_all_addresses = true});
    bool excluded[64] = {false};
    uint64_t state = test_seed();
    ipalloc_addr first = addr("10.96.0.0"), last = first;
    for (uint64_t round = 0; round < test_scaled(200); round++) {
        uint8_t a = test_random(&state) % 64;
        uint8_t b = (uint8_t)(a + test_random(&state) % (64u - a));
        bool exclude = test_random(&state) % 2 == 0, all = true;
        first.bytes[3] = a;
        last.bytes[3] = b;
        for (int i = a; i <= b; i++)
            all &= excluded[i];
        if (exclude)
            OK(&f, ipalloc_pool_exclude(pool, &first, &last, &f.error));
        else
            IS(&f, ipalloc_pool_include(pool, &first, &last, &f.error),
               all ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
        for (int i = a; i <= b && (exclude || all); i++)
            excluded[i] = exclude;
        uint64_t count = 0;
        for (int i = 0; i < 64; i++)
            count += excluded[i];
        ck_assert_uint_eq(free_of(pool), 64 - count);
    }
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ipalloc_txn *txn = begin_dry(&f, "Service/a");
    for (uint8_t i = 0; i < 64; i++) {
        char slot[16];
        first.bytes[3] = i;
        snprintf(slot, sizeof slot, "%u", i);
        IS(&f, ipalloc_txn_reserve(txn, pool, slot, &first, NULL, &f.error),
           excluded[i] ? IPALLOC_E_TAKEN : IPALLOC_OK);
    }
    ipalloc_txn_abort(txn);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(port_pools_have_no_ranges_to_change) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_ports(&f, "ports", 30000, 30010);
    ipalloc_cidr range = cidr("10.0.0.0/24");
    ipalloc_addr address = addr("10.0.0.1");
    IS(&f, ipalloc_pool_add_range(pool, &range, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_drain_range(pool, &range, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_remove_range(pool, &range, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_exclude(pool, &address, &address, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_include(pool, &address, &address, &f.error), IPALLOC_E_INVALID);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("pool");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 30);
    tcase_add_loop_test(c, a_definition_survives_reopening, 0, STORE_KINDS);
    tcase_add_loop_test(c, reopening_with_other_ranges_is_a_mismatch_that_shows_both, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, a_change_that_is_asked_for_renumbers_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(c, options_under_which_a_held_address_would_be_lost_are_a_mismatch, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, a_definition_is_checked, 0,
                        (int)(sizeof DEFINITIONS / sizeof DEFINITIONS[0]));
    tcase_add_test(c, ranges_of_one_definition_may_not_overlap);
    tcase_add_loop_test(c, port_pools_may_overlap_because_they_are_spaces_of_their_own, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, a_range_is_added_drained_and_removed, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_claim_of_an_open_transaction_keeps_its_range, 0, STORE_KINDS);
    tcase_add_loop_test(c, excluded_addresses_are_never_given_out_until_included, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_stretch_that_cannot_be_excluded_is_told_why, 0,
                        sizeof NO_STRETCH / sizeof NO_STRETCH[0]);
    tcase_add_loop_test(c, exclusions_go_with_their_range, 0, STORE_KINDS);
    tcase_add_loop_test(c, any_mix_of_exclude_and_include_ends_as_the_array_says, 0, STORE_KINDS);
    tcase_add_test(c, port_pools_have_no_ranges_to_change);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
