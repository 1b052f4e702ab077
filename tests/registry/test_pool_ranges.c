/*
 * test_pool_ranges.c: the whole set of a pool's ranges replaced at once: grown in place, shrunk,
 * cut; nothing held is lost or doubled, whoever looks.
 */
#include "fixture.h"
#include "wrapped_store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

/* "10.96.0.0/28 -10.96.0.16/28": a minus is draining. */
static int set_ranges(fixture *f, ipalloc_pool *pool, const char *text) {
    ipalloc_pool_range_spec specs[IPALLOC_POOL_RANGES_MAX + 1];
    char copy[8192];
    char *rest = copy;
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *one; (one = strtok_r(rest, " ", &rest)) != NULL; count++) {
        specs[count].draining = one[0] == '-';
        specs[count].cidr = cidr(one + specs[count].draining);
    }
    return ipalloc_pool_set_ranges(pool, specs, count, &f->error);
}

/* The ranges as set_ranges takes them. */
static const char *ranges_text(fixture *f, ipalloc_pool *pool, char out[8192]) {
    ipalloc_pool_range range = {.size = sizeof range};
    char text[IPALLOC_CIDR_TEXT];
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; ipalloc_pool_get_range(pool, i, &range, &f->error) == IPALLOC_OK; i++) {
        ipalloc_cidr_format(&range.cidr, text);
        used += (size_t)snprintf(out + used, 8192 - used, "%s%s%s", i == 0 ? "" : " ",
                                 range.draining ? "-" : "", text);
    }
    return out;
}

static void assert_ranges(fixture *f, ipalloc_pool *pool, const char *wanted) {
    char text[8192];
    ck_assert_str_eq(ranges_text(f, pool, text), wanted);
}

static uint64_t revision_of(fixture *f) {
    ipalloc_store_info info = {.size = sizeof info};
    OK(f, ipalloc_store_get_info(f->store, &info, &f->error));
    return info.revision;
}

static int try_reserve(fixture *f, ipalloc_pool *pool, const char *owner, const char *address) {
    ipalloc_addr wanted = addr(address);
    return ipalloc_reserve(f->registry, pool, owner, SLOT, &wanted, NULL, &f->error);
}

static void release(fixture *f, ipalloc_pool *pool, const char *owner, const char *address) {
    ipalloc_addr held = addr(address);
    OK(f, ipalloc_release(f->registry, pool, owner, &held, 0, &f->error));
}

static void assert_held_by(fixture *f, ipalloc_pool *pool, const char *address, const char *owner) {
    ipalloc_lease lease = LEASE;
    ipalloc_addr held = addr(address);
    OK(f, ipalloc_lookup(f->registry, pool, &held, &lease, &f->error));
    ck_assert_str_eq(lease.owner, owner);
    IS(f, try_reserve(f, pool, "Service/other", address), IPALLOC_E_TAKEN);
    ck_assert_message(f, owner);
}

/* --- growing ---------------------------------------------------------------------------------- */

START_TEST(a_range_grows_in_place_and_its_old_ends_are_given_out) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.16/28");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.20");
    IS(&f, try_reserve(&f, pool, "Service/b", "10.96.0.31"), IPALLOC_E_NOT_IN_RANGE);
    OK(&f, set_ranges(&f, pool, "10.96.0.0/24"));
    assert_held_by(&f, pool, "10.96.0.20", "Service/a");
    OK(&f, try_reserve(&f, pool, "Service/b", "10.96.0.31"));
    OK(&f, try_reserve(&f, pool, "Service/c", "10.96.0.16"));
    IS(&f, try_reserve(&f, pool, "Service/d", "10.96.0.0"), IPALLOC_E_NOT_IN_RANGE);
    ck_assert_uint_eq(free_of(pool), 251);
    ck_assert(allocate(&f, pool, "Service/a", SLOT).existing);
    assert_sound(&f);
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    assert_ranges(&f, pool, "10.96.0.0/24");
    assert_held_by(&f, pool, "10.96.0.31", "Service/b");
    assert_held_by(&f, pool, "10.96.0.16", "Service/c");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_definition_that_grew_is_opened_by_its_new_ranges_only) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/28");
    OK(&f, set_ranges(&f, pool, "10.96.0.0/24 10.97.0.0/24"));
    fixture_reopen(&f);
    define_pool(&f, "services", "10.97.0.0/24 10.96.0.0/24");
    ipalloc_cidr old = cidr("10.96.0.0/28");
    ipalloc_pool_definition d = {
        .size = sizeof d, .kind = IPALLOC_POOL_IPV4, .ranges = &old, .range_count = 1};
    IS(&f, ipalloc_pool_define(f.registry, "services", &d, &pool, &f.error), IPALLOC_E_MISMATCH);
    ck_assert_message(&f, "10.96.0.0/24");
    fixture_close(&f);
}
END_TEST

/* --- shrinking -------------------------------------------------------------------------------- */

#define REST_OF_24 "10.96.0.0/28 -10.96.0.16/28 -10.96.0.32/27 -10.96.0.64/26 -10.96.0.128/25"

START_TEST(what_is_left_of_a_range_drains_and_gives_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    static const char *const HELD[] = {"10.96.0.7",  "10.96.0.16",  "10.96.0.31",
                                       "10.96.0.64", "10.96.0.128", "10.96.0.254"};
    char owner[32];
    for (size_t i = 0; i < 6; i++) {
        snprintf(owner, sizeof owner, "Service/%zu", i);
        reserve(&f, pool, owner, SLOT, HELD[i]);
    }
    OK(&f, set_ranges(&f, pool, REST_OF_24));
    for (int opened = 0; opened < 2; opened++) {
        ck_assert_uint_eq(used_of(pool), 6);
        for (size_t i = 0; i < 6; i++) {
            snprintf(owner, sizeof owner, "Service/%zu", i);
            ipalloc_lease lease = LEASE;
            ipalloc_addr held = addr(HELD[i]);
            OK(&f, ipalloc_lookup(f.registry, pool, &held, &lease, &f.error));
            ck_assert_str_eq(lease.owner, owner);
            ck_assert(allocate(&f, pool, owner, SLOT).existing);
        }
        IS(&f, try_reserve(&f, pool, "Service/new", "10.96.0.200"), IPALLOC_E_NOT_IN_RANGE);
        ck_assert_message(&f, "draining");
        assert_sound(&f);
        fixture_reopen(&f);
        pool = open_pool(&f, "services");
    }
    for (size_t i = 0; i < 13; i++) {
        snprintf(owner, sizeof owner, "Service/new%zu", i);
        ck_assert_uint_lt(allocate(&f, pool, owner, SLOT).address.bytes[3], 15);
    }
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/full", SLOT, NULL, &f.error),
       IPALLOC_E_FULL);
    for (size_t i = 1; i < 6; i++) {
        snprintf(owner, sizeof owner, "Service/%zu", i);
        release(&f, pool, owner, HELD[i]);
    }
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/full", SLOT, NULL, &f.error),
       IPALLOC_E_FULL);
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    ck_assert_uint_eq(used_of(pool), 14);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_held_address_that_becomes_an_end_drains_by_itself_and_goes_when_released) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.15");
    reserve(&f, pool, "Service/b", SLOT, "10.96.0.5");
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    assert_ranges(&f, pool, "10.96.0.0/28 -10.96.0.15/32");
    assert_held_by(&f, pool, "10.96.0.5", "Service/b");
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ck_assert_uint_eq(used_of(pool), 2);
    IS(&f, try_reserve(&f, pool, "Service/c", "10.96.0.15"), IPALLOC_E_NOT_IN_RANGE);
    ck_assert(allocate(&f, pool, "Service/a", SLOT).existing);
    uint64_t before = revision_of(&f);
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28")); /* it is so already */
    ck_assert_uint_eq(revision_of(&f), before);
    define_pool(&f, "services", "10.96.0.0/28"); /* and agrees */
    release(&f, pool, "Service/a", "10.96.0.15");
    IS(&f, try_reserve(&f, pool, "Service/c", "10.96.0.15"), IPALLOC_E_NOT_IN_RANGE);
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    assert_ranges(&f, pool, "10.96.0.0/28");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_lone_address_that_is_listed_stays_until_it_is_not) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.15");
    OK(&f, set_ranges(&f, pool, "-10.96.0.15/32 10.96.0.0/28"));
    release(&f, pool, "Service/a", "10.96.0.15");
    OK(&f, set_ranges(&f, pool, "-10.96.0.15/32 10.96.0.0/28"));
    assert_ranges(&f, pool, "-10.96.0.15/32 10.96.0.0/28");
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    assert_ranges(&f, pool, "10.96.0.0/28");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_lone_draining_address_is_removed_like_any_range) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "fd00::/120");
    reserve(&f, pool, "Service/a", SLOT, "fd00::40");
    reserve(&f, pool, "Service/b", SLOT, "fd00::7f");
    OK(&f, set_ranges(&f, pool, "fd00::40/122"));
    assert_ranges(&f, pool, "fd00::40/122 -fd00::40/128"); /* IPv6 gives out the last one */
    ipalloc_cidr alone = cidr("fd00::40/128"), range = cidr("fd00::40/122");
    IS(&f, ipalloc_pool_remove_range(pool, &alone, &f.error), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "Service/a");
    OK(&f, ipalloc_pool_drain_range(pool, &range, &f.error));
    assert_sound(&f);
    release(&f, pool, "Service/a", "fd00::40");
    OK(&f, ipalloc_pool_remove_range(pool, &alone, &f.error));
    assert_ranges(&f, pool, "-fd00::40/122");
    fixture_reopen(&f);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static int redefine(fixture *f, const char *range, ipalloc_pool_definition options) {
    ipalloc_cidr one = cidr(range);
    ipalloc_pool *pool;
    options.size = sizeof options;
    options.kind = one.base.family;
    options.ranges = &one;
    options.range_count = 1;
    options.change = true;
    return ipalloc_pool_define(f->registry, "services", &options, &pool, &f->error);
}

START_TEST(a_lone_address_outlives_other_options_and_goes_into_a_range_that_gives_it_out) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.15");
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    OK(&f, redefine(&f, "10.96.0.0/28", (ipalloc_pool_definition){.strategy = 1}));
    assert_ranges(&f, pool, "10.96.0.0/28 -10.96.0.15/32");
    fixture_reopen(&f);
    assert_sound(&f);
    OK(&f, redefine(&f, "10.96.0.0/28", (ipalloc_pool_definition){.use_all_addresses = true}));
    pool = open_pool(&f, "services");
    assert_ranges(&f, pool, "10.96.0.0/28");
    assert_held_by(&f, pool, "10.96.0.15", "Service/a");
    IS(&f, redefine(&f, "10.96.0.0/28", (ipalloc_pool_definition){.strategy = 1}),
       IPALLOC_E_MISMATCH);
    ck_assert_message(&f, "10.96.0.15 is held by Service/a");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_range_that_goes_on_keeps_to_the_addresses_that_it_had) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24 10.97.0.0/24");
    OK(&f, set_ranges(&f, pool, "10.96.0.0/24 -10.97.0.0/24"));
    ipalloc_pool_stats stats = {.size = sizeof stats};
    OK(&f, ipalloc_pool_get_stats(pool, &stats, &f.error));
    ck_assert_uint_eq(stats.total.size.low, 508);
    OK(&f, set_ranges(&f, pool, "10.96.0.0/24 -10.97.0.0/25 -10.97.0.128/25"));
    OK(&f, ipalloc_pool_get_stats(pool, &stats, &f.error));
    ck_assert_uint_eq(stats.total.size.low, 510); /* all of what was cut */
    OK(&f, set_ranges(&f, pool, "10.96.0.0/24 10.97.0.0/25"));
    OK(&f, ipalloc_pool_get_stats(pool, &stats, &f.error));
    ck_assert_uint_eq(stats.total.size.low, 254 + 126);
    fixture_close(&f);
}
END_TEST

START_TEST(what_would_lie_in_no_range_is_taken_and_named) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Service/default/web", SLOT, "10.96.0.200");
    reserve(&f, pool, "Service/b", SLOT, "10.96.0.5");
    uint64_t before = revision_of(&f);
    IS(&f, set_ranges(&f, pool, "10.96.0.0/28"), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "10.96.0.200 is held by Service/default/web");
    ck_assert_message(&f, "no range");
    ck_assert_uint_eq(revision_of(&f), before);
    assert_ranges(&f, pool, "10.96.0.0/24");
    ck_assert_uint_eq(free_of(pool), 252);
    assert_held_by(&f, pool, "10.96.0.200", "Service/default/web");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* Without ranges a pool is a name: nothing can be had from it, its addresses can be another's, and
 * it can have ranges again; after a restart and in another server too. */
START_TEST(a_pool_may_have_no_range_at_all) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "old", "10.96.0.0/24");
    reserve(&f, pool, "Service/default/web", SLOT, "10.96.0.200");
    IS(&f, set_ranges(&f, pool, ""), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "10.96.0.200 is held by Service/default/web");
    release(&f, pool, "Service/default/web", "10.96.0.200");
    OK(&f, set_ranges(&f, pool, ""));
    for (int i = 0; i < 2; i++) {
        ipalloc_grant got = {.size = sizeof got};
        assert_ranges(&f, pool, "");
        ck_assert_uint_eq(free_of(pool), 0);
        IS(&f, ipalloc_allocate(f.registry, pool, "Service/x", SLOT, &got, &f.error),
           IPALLOC_E_FULL);
        IS(&f, try_reserve(&f, pool, "Service/x", "10.96.0.7"), IPALLOC_E_NOT_IN_RANGE);
        assert_sound(&f);
        fixture_reopen(&f);
        OK(&f, ipalloc_pool_open(f.registry, "old", &pool, &f.error));
    }
    ipalloc_pool *other = define_pool(&f, "new", "10.96.0.0/25");
    reserve(&f, other, "Service/default/web", SLOT, "10.96.0.7");
    IS(&f, set_ranges(&f, pool, "10.96.0.0/24"), IPALLOC_E_MISMATCH);
    OK(&f, set_ranges(&f, pool, "10.96.0.128/25"));
    ck_assert_uint_eq(free_of(pool), 126);
    reserve(&f, pool, "Service/default/web", SLOT, "10.96.0.200");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- refusals --------------------------------------------------------------------------------- */

static const struct {
    const char *ranges;
    int status;
    const char *says;
} REFUSALS[] = {
    {"10.96.0.0/24 10.96.0.0/28", IPALLOC_E_INVALID, "10.96.0.0/28"},
    {"10.96.0.0/24 -10.96.0.128/25", IPALLOC_E_INVALID, "10.96.0.128/25"},
    {"10.96.0.0/24 10.96.0.0/24", IPALLOC_E_INVALID, "overlap"},
    {"10.96.0.0/24 -10.96.0.7/32", IPALLOC_E_INVALID, "10.96.0.7/32"},
    {"-10.96.0.0/25 -10.96.0.0/32", IPALLOC_E_INVALID, "10.96.0.0/32"},
    {"fd00::/64", IPALLOC_E_INVALID, "kind"},
    {"10.96.0.0/31", IPALLOC_E_INVALID, "usable"},
    {"10.96.0.0/24 10.200.0.0/16", IPALLOC_E_MISMATCH, "10.200.1.0/24 of pool other"},
    {"10.96.0.0/24 -10.200.1.7/32", IPALLOC_E_MISMATCH, "10.200.1.7/32 of pool services"},
};

START_TEST(a_set_that_cannot_be_is_refused_and_nothing_has_changed) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    define_pool(&f, "other", "10.200.1.0/24");
    uint64_t before = revision_of(&f);
    IS(&f, set_ranges(&f, pool, REFUSALS[_i].ranges), REFUSALS[_i].status);
    ck_assert_message(&f, REFUSALS[_i].says);
    ck_assert_uint_eq(revision_of(&f), before);
    assert_ranges(&f, pool, "10.96.0.0/24");
    fixture_close(&f);
}
END_TEST

START_TEST(callers_mistakes_are_invalid) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_pool *ports = define_ports(&f, "ports", 30000, 30010);
    ipalloc_pool_range_spec specs[2] = {{.cidr = cidr("10.96.0.0/24")}};
    IS(&f, ipalloc_pool_set_ranges(NULL, specs, 1, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_set_ranges(pool, NULL, 1, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_set_ranges(pool, specs, IPALLOC_POOL_RANGES_MAX + 1, &f.error),
       IPALLOC_E_INVALID);
    IS(&f, ipalloc_pool_set_ranges(ports, specs, 1, &f.error), IPALLOC_E_INVALID);
    specs[0].cidr.base.bytes[3] = 1;
    IS(&f, ipalloc_pool_set_ranges(pool, specs, 1, &f.error), IPALLOC_E_INVALID);
    ck_assert_message(&f, "beyond");
    specs[0].cidr.prefix_length = 40;
    IS(&f, ipalloc_pool_set_ranges(pool, specs, 1, &f.error), IPALLOC_E_INVALID);
    fixture_close(&f);
}
END_TEST

/* --- many ------------------------------------------------------------------------------------- */

START_TEST(all_of_ipv6_without_one_address_drains) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "wide", "8000::/1");
    ipalloc_cidr all = cidr("8000::/1"), one = cidr("fd00::/127"), rest[IPALLOC_CIDR_PARTS_MAX];
    ipalloc_pool_range_spec specs[IPALLOC_CIDR_PARTS_MAX + 1] = {{.cidr = one}};
    reserve(&f, pool, "Service/a", SLOT, "fd00::1");
    reserve(&f, pool, "Service/b", SLOT, "fd00::2");
    reserve(&f, pool, "Service/c", SLOT, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    size_t count;
    OK(&f, ipalloc_cidr_subtract(&all, &one, rest, IPALLOC_CIDR_PARTS_MAX, &count, &f.error));
    ck_assert_uint_eq(count, 126);
    for (size_t i = 0; i < count; i++)
        specs[i + 1] = (ipalloc_pool_range_spec){.cidr = rest[i], .draining = true};
    OK(&f, ipalloc_pool_set_ranges(pool, specs, count + 1, &f.error));
    ck_assert_uint_eq(used_of(pool), 3);
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/d", SLOT, NULL, &f.error), IPALLOC_E_FULL);
    fixture_reopen(&f);
    assert_sound(&f);
    pool = open_pool(&f, "wide");
    specs[0].cidr = all;
    OK(&f, ipalloc_pool_set_ranges(pool, specs, 1, &f.error));
    ck_assert_uint_eq(used_of(pool), 3);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(as_many_ranges_as_there_may_be_are_drawn_from_evenly) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/16");
    ipalloc_pool_range_spec specs[IPALLOC_POOL_RANGES_MAX];
    for (size_t i = 0; i < IPALLOC_POOL_RANGES_MAX; i++) {
        specs[i] = (ipalloc_pool_range_spec){.cidr = cidr("10.96.0.0/30")};
        specs[i].cidr.base.bytes[2] = (uint8_t)i;
    }
    OK(&f, ipalloc_pool_set_ranges(pool, specs, IPALLOC_POOL_RANGES_MAX, &f.error));
    char owner[32];
    bool seen[256][4] = {{false}};
    for (size_t i = 0; i < 2 * IPALLOC_POOL_RANGES_MAX; i++) {
        snprintf(owner, sizeof owner, "Service/%zu", i);
        ipalloc_grant grant = allocate(&f, pool, owner, SLOT);
        bool *one = &seen[grant.address.bytes[2]][grant.address.bytes[3]];
        require(!*one);
        *one = true;
    }
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/full", SLOT, NULL, &f.error),
       IPALLOC_E_FULL);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- exclusions ------------------------------------------------------------------------------- */

static const struct {
    const char *before, *first, *last, *after;
    const char *excluded, *included; /* some of what is, and is not, excluded then */
} CARRIED[] = {
    {"10.96.0.0/28", "10.96.0.3", "10.96.0.5", "10.96.0.0/24", "10.96.0.3 10.96.0.5",
     "10.96.0.2 10.96.0.6"},
    {"10.96.0.0/24", "10.96.0.10", "10.96.0.40", "10.96.0.0/28 10.96.0.32/28",
     "10.96.0.10 10.96.0.14 10.96.0.33 10.96.0.40", "10.96.0.9 10.96.0.41"},
    {"10.96.0.0/24", "10.96.0.100", "10.96.0.110", "10.96.0.0/28", "", "10.96.0.1 10.96.0.14"},
    {"fd00::/120", "fd00::7", "fd00::f7", "fd00::80/121 fd00::/121",
     "fd00::7 fd00::7f fd00::81 fd00::f7", "fd00::6 fd00::f8"},
};

static void assert_all_reserved(fixture *f, ipalloc_pool *pool, const char *addresses, int status) {
    char copy[256];
    char *rest = copy;
    snprintf(copy, sizeof copy, "%s", addresses);
    for (char *one; (one = strtok_r(rest, " ", &rest)) != NULL;) {
        IS(f, try_reserve(f, pool, one, one), status);
        if (status == IPALLOC_E_TAKEN)
            ck_assert_message(f, "excluded");
    }
}

START_TEST(exclusions_stay_where_the_new_ranges_give_out) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", CARRIED[_i].before);
    ipalloc_addr first = addr(CARRIED[_i].first), last = addr(CARRIED[_i].last);
    OK(&f, ipalloc_pool_exclude(pool, &first, &last, &f.error));
    OK(&f, set_ranges(&f, pool, CARRIED[_i].after));
    assert_all_reserved(&f, pool, CARRIED[_i].excluded, IPALLOC_E_TAKEN);
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    assert_all_reserved(&f, pool, CARRIED[_i].excluded, IPALLOC_E_TAKEN);
    assert_all_reserved(&f, pool, CARRIED[_i].included, IPALLOC_OK);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- cool-down -------------------------------------------------------------------------------- */

static uint64_t now_ms(void *context) {
    return *(uint64_t *)context;
}

START_TEST(what_cools_goes_on_cooling_also_where_its_range_comes_back) {
    fixture f;
    uint64_t now = 1000000;
    ipalloc_hooks hooks = {
        .size = sizeof hooks, .context = &now, .monotonic_ms = now_ms, .wall_clock_ms = now_ms};
    if (!fixture_open(&f, _i, &hooks))
        return;
    ipalloc_pool *pool = define_pool_with(&f, "services", "10.96.0.0/24",
                                          (ipalloc_pool_definition){.cool_down_ms = 10000});
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.5");
    reserve(&f, pool, "Service/b", SLOT, "10.96.0.200");
    release(&f, pool, "Service/a", "10.96.0.5");
    release(&f, pool, "Service/b", "10.96.0.200");
    ck_assert_uint_eq(cooling_of(pool), 2);
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    ck_assert_uint_eq(cooling_of(pool), 1);
    now += 5000;
    OK(&f, set_ranges(&f, pool, "10.96.0.0/23"));
    ck_assert_uint_eq(cooling_of(pool), 2);
    assert_sound(&f);
    now += 11000;
    OK(&f, set_ranges(&f, pool, "10.96.0.0/22"));
    ck_assert_uint_eq(cooling_of(pool), 0);
    fixture_close(&f);
}
END_TEST

/* --- open transactions ------------------------------------------------------------------------ */

START_TEST(an_open_claim_survives_the_change_and_conflicts_at_its_commit) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_addr inside = addr("10.96.0.7"), end = addr("10.96.0.15"), outside = addr("10.96.0.99");
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_reserve(txn, pool, "one", &inside, NULL, &f.error));
    OK(&f, ipalloc_txn_reserve(txn, pool, "two", &outside, NULL, &f.error));
    OK(&f, ipalloc_txn_reserve(txn, pool, "three", &end, NULL, &f.error));
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    assert_ranges(&f, pool, "10.96.0.0/28 -10.96.0.15/32");
    IS(&f, try_reserve(&f, pool, "Service/b", "10.96.0.7"), IPALLOC_E_TAKEN);
    ck_assert_message(&f, "being allocated by Service/a");
    IS(&f, ipalloc_txn_commit(txn, NULL, &f.error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(pool), 0);
    OK(&f, try_reserve(&f, pool, "Service/b", "10.96.0.7"));
    OK(&f, set_ranges(&f, pool, "10.96.0.0/24"));
    OK(&f, try_reserve(&f, pool, "Service/c", "10.96.0.99"));
    OK(&f, try_reserve(&f, pool, "Service/d", "10.96.0.15"));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(an_open_release_takes_effect_in_the_new_ranges) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_addr held = addr("10.96.0.15");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.15");
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_release(txn, pool, &held, 0, &f.error));
    OK(&f, set_ranges(&f, pool, "10.96.0.0/28"));
    ck_assert_uint_eq(used_of(pool), 1);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(pool), 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- other servers, and stores that fail ------------------------------------------------------ */

typedef struct pair {
    ipalloc_store *inner;
    wrapped_store stores[2];
    fixture servers[2]; /* store, registry and error only */
    ipalloc_pool *pools[2];
} pair;

static void pair_open(pair *p, const char *ranges) {
    *p = (pair){0};
    ck_assert_status(ipalloc_store_open("memory:", NULL, &p->inner, NULL), IPALLOC_OK);
    for (int i = 0; i < 2; i++) {
        fixture *f = &p->servers[i];
        wrapped_open(&p->stores[i], p->inner);
        f->store = p->stores[i].handle;
        OK(f, ipalloc_registry_open(f->store, NULL, &f->registry, &f->error));
    }
    for (int i = 0; i < 2; i++)
        p->pools[i] = define_pool(&p->servers[i], "services", ranges);
}

static void pair_close(pair *p) {
    for (int i = 0; i < 2; i++) {
        assert_sound(&p->servers[i]);
        ipalloc_registry_close(p->servers[i].registry);
        wrapped_close(&p->stores[i]);
    }
    ipalloc_store_close(p->inner);
}

START_TEST(another_server_follows_and_gives_nothing_by_the_old_ranges) {
    pair p;
    pair_open(&p, "10.96.0.0/24");
    fixture *f = &p.servers[1];
    reserve(f, p.pools[1], "Service/a", SLOT, "10.96.0.15");
    ipalloc_txn *txn = begin(f, "Service/b");
    ipalloc_addr wanted = addr("10.96.0.99");
    OK(f, ipalloc_txn_reserve(txn, p.pools[1], SLOT, &wanted, NULL, &f->error));
    OK(&p.servers[0], set_ranges(&p.servers[0], p.pools[0], "10.96.0.0/28 10.97.0.0/24"));
    assert_ranges(&p.servers[0], p.pools[0], "10.96.0.0/28 10.97.0.0/24 -10.96.0.15/32");
    IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_CONFLICT);
    IS(f, try_reserve(f, p.pools[1], "Service/b", "10.96.0.99"), IPALLOC_E_NOT_IN_RANGE);
    OK(f, try_reserve(f, p.pools[1], "Service/b", "10.97.0.99"));
    assert_ranges(f, p.pools[1], "10.96.0.0/28 10.97.0.0/24 -10.96.0.15/32");
    ck_assert(allocate(f, p.pools[1], "Service/a", SLOT).existing);
    pair_close(&p);
}
END_TEST

START_TEST(a_range_that_another_server_has_just_added_is_not_refused) {
    pair p;
    pair_open(&p, "10.96.0.0/28");
    OK(&p.servers[0], set_ranges(&p.servers[0], p.pools[0], "10.96.0.0/24"));
    OK(&p.servers[1], try_reserve(&p.servers[1], p.pools[1], "Service/a", "10.96.0.99"));
    pair_close(&p);
}
END_TEST

/* Another server widens the pool and gives out of what is new. */
static void grow_behind_the_back(void *context) {
    pair *p = context;
    OK(&p->servers[0], set_ranges(&p->servers[0], p->pools[0], "10.96.0.0/24"));
    OK(&p->servers[0], try_reserve(&p->servers[0], p->pools[0], "Service/new", "10.96.0.200"));
}

/* Between any two of its reads: catching up ends with the definitions and leases that there are. */
START_TEST(a_set_that_changes_while_another_server_catches_up_is_not_missed) {
    pair p;
    pair_open(&p, "10.96.0.0/28");
    OK(&p.servers[0], try_reserve(&p.servers[0], p.pools[0], "Service/a", "10.96.0.3"));
    p.stores[1].before_context = &p;
    p.stores[1].before_changes = grow_behind_the_back;
    OK(&p.servers[1], ipalloc_registry_validate(p.servers[1].registry, &p.servers[1].error));
    ck_assert(p.stores[1].before_changes == NULL);
    for (int i = 1; i >= 0; i--)
        OK(&p.servers[i], try_reserve(&p.servers[i], p.pools[i], i == 0 ? "Service/x" : "Service/y",
                                      i == 0 ? "10.96.0.201" : "10.96.0.202"));
    assert_held_by(&p.servers[1], p.pools[1], "10.96.0.200", "Service/new");
    pair_close(&p);
}
END_TEST

START_TEST(a_set_that_changes_while_a_server_loads_is_not_taken_for_damage) {
    pair p;
    pair_open(&p, "10.96.0.0/28");
    fixture *f = &p.servers[1];
    ipalloc_registry_close(f->registry);
    p.stores[1].before_context = &p;
    p.stores[1].before_scan = grow_behind_the_back;
    OK(f, ipalloc_registry_open(f->store, NULL, &f->registry, &f->error));
    ck_assert(p.stores[1].before_scan == NULL);
    p.pools[1] = open_pool(f, "services");
    assert_held_by(f, p.pools[1], "10.96.0.200", "Service/new");
    pair_close(&p);
}
END_TEST

/* The other server's lease reaches the store just before the change does. */
static void reserve_behind_the_back(void *context) {
    pair *p = context;
    OK(&p->servers[1], try_reserve(&p->servers[1], p->pools[1], "Service/fast", "10.96.0.200"));
}

START_TEST(a_lease_that_comes_just_before_the_change_takes_it_back) {
    pair p;
    pair_open(&p, "10.96.0.0/24");
    p.stores[0].before_commit = reserve_behind_the_back;
    p.stores[0].before_context = &p;
    IS(&p.servers[0], set_ranges(&p.servers[0], p.pools[0], "10.96.0.0/28"), IPALLOC_E_TAKEN);
    ck_assert_message(&p.servers[0], "Service/fast");
    for (int i = 0; i < 2; i++) {
        OK(&p.servers[i], try_reserve(&p.servers[i], p.pools[i], i == 0 ? "Service/x" : "Service/y",
                                      i == 0 ? "10.96.0.201" : "10.96.0.202"));
        assert_ranges(&p.servers[i], p.pools[i], "10.96.0.0/24");
    }
    pair_close(&p);
}
END_TEST

/* What goes drains, and then the store fails. */
static void reserve_and_fail_later(void *context) {
    pair *p = context;
    reserve_behind_the_back(p);
    p->stores[0].reads_fail = true;
}

START_TEST(a_change_that_could_not_be_taken_back_leaves_what_goes_draining) {
    pair p;
    pair_open(&p, "10.96.0.0/24");
    p.stores[0].before_commit = reserve_and_fail_later;
    p.stores[0].before_context = &p;
    IS(&p.servers[0], set_ranges(&p.servers[0], p.pools[0], "10.96.0.0/28"), IPALLOC_E_UNAVAILABLE);
    p.stores[0].reads_fail = false;
    for (int i = 0; i < 2; i++) {
        IS(&p.servers[i], try_reserve(&p.servers[i], p.pools[i], "Service/z", "10.96.0.201"),
           IPALLOC_E_NOT_IN_RANGE);
        ck_assert_message(&p.servers[i], "draining");
        ck_assert(allocate(&p.servers[i], p.pools[i], "Service/fast", SLOT).existing);
        OK(&p.servers[i], try_reserve(&p.servers[i], p.pools[i], i == 0 ? "Service/x" : "Service/y",
                                      i == 0 ? "10.96.0.7" : "10.96.0.8"));
    }
    IS(&p.servers[1], set_ranges(&p.servers[1], p.pools[1], "10.96.0.0/28"), IPALLOC_E_TAKEN);
    release(&p.servers[1], p.pools[1], "Service/fast", "10.96.0.200");
    OK(&p.servers[1], set_ranges(&p.servers[1], p.pools[1], "10.96.0.0/28"));
    assert_ranges(&p.servers[1], p.pools[1], "10.96.0.0/28");
    pair_close(&p);
}
END_TEST

static void reserve_an_end_behind_the_back(void *context) {
    pair *p = context;
    OK(&p->servers[1], try_reserve(&p->servers[1], p->pools[1], "Service/fast", "10.96.0.15"));
}

START_TEST(a_lease_of_an_end_that_comes_just_before_the_change_drains_by_itself) {
    pair p;
    pair_open(&p, "10.96.0.0/24");
    p.stores[0].before_commit = reserve_an_end_behind_the_back;
    p.stores[0].before_context = &p;
    OK(&p.servers[0], set_ranges(&p.servers[0], p.pools[0], "10.96.0.0/28"));
    assert_ranges(&p.servers[0], p.pools[0], "10.96.0.0/28 -10.96.0.15/32");
    ck_assert(allocate(&p.servers[0], p.pools[0], "Service/fast", SLOT).existing);
    pair_close(&p);
}
END_TEST

static const struct {
    enum wrapped_mood mood;
    int status;
    const char *ranges; /* afterwards */
} MOODS[] = {{MOOD_IO, IPALLOC_E_IO, "10.96.0.0/24"},
             {MOOD_DOWN, IPALLOC_E_UNAVAILABLE, "10.96.0.0/24"},
             {MOOD_UNKNOWN_LOST, IPALLOC_E_UNKNOWN_OUTCOME, "10.96.0.0/24"},
             {MOOD_UNKNOWN_APPLIED, IPALLOC_E_UNKNOWN_OUTCOME, "10.96.0.0/23"}};

START_TEST(a_store_that_fails_leaves_one_set_or_the_other) {
    pair p;
    pair_open(&p, "10.96.0.0/24");
    fixture *f = &p.servers[0];
    reserve(f, p.pools[0], "Service/a", SLOT, "10.96.0.15");
    wrapped_set_mood(&p.stores[0], MOODS[_i].mood, 1);
    IS(f, set_ranges(f, p.pools[0], "10.96.0.0/23"), MOODS[_i].status);
    OK(f, ipalloc_registry_validate(f->registry, &f->error)); /* and catches up */
    assert_ranges(f, p.pools[0], MOODS[_i].ranges);
    OK(f, set_ranges(f, p.pools[0], "10.96.0.0/23"));
    assert_ranges(f, p.pools[0], "10.96.0.0/23");
    assert_held_by(f, p.pools[0], "10.96.0.15", "Service/a");
    pair_close(&p);
}
END_TEST

/* --- threads ---------------------------------------------------------------------------------- */

enum { WORKERS = 2 };

typedef struct worker {
    fixture *f;
    ipalloc_pool *pool;
    uint64_t seed, steps;
    int number;
    int strange; /* a status that nothing explains */
} worker;

static void *allocate_and_release(void *context) {
    worker *w = context;
    for (uint64_t i = 0; i < w->steps && w->strange == 0; i++) {
        char owner[32];
        ipalloc_grant grant = GRANT;
        snprintf(owner, sizeof owner, "Service/%d/%llu", w->number,
                 (unsigned long long)(test_random(&w->seed) % 20));
        int status = test_random(&w->seed) % 2 == 0
                         ? ipalloc_allocate(w->f->registry, w->pool, owner, SLOT, &grant, NULL)
                         : ipalloc_release_owner(w->f->registry, owner, NULL, NULL);
        if (status != IPALLOC_OK && status != IPALLOC_E_FULL && status != IPALLOC_E_CONFLICT)
            w->strange = status;
    }
    return NULL;
}

START_TEST(the_set_changes_while_others_allocate_and_release) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/26");
    pthread_t threads[WORKERS];
    worker workers[WORKERS];
    uint64_t state = test_seed(), steps = test_scaled(_i == 0 ? 600 : 60);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){
            .f = &f, .pool = pool, .seed = test_random(&state), .steps = steps, .number = i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, allocate_and_release, &workers[i]), 0);
    }
    static const char *const SETS[] = {"10.96.0.0/26", "10.96.0.0/24", REST_OF_24,
                                       "10.96.0.32/27 10.96.0.64/26 -10.96.0.0/27 -10.96.0.128/25",
                                       "10.96.0.0/28"};
    for (uint64_t i = 0; i < steps / 5; i++) {
        int status = set_ranges(&f, pool, SETS[test_random(&state) % 5]);
        ck_assert(status == IPALLOC_OK || status == IPALLOC_E_TAKEN);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_status(workers[i].strange, IPALLOC_OK);
    }
    assert_sound(&f);
    fixture_reopen(&f);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- against an array ------------------------------------------------------------------------- */

enum { UNIVERSE = 256, SET_MAX = 64 };

/* What 256 addresses of one family should be: an address is given out, drains, or is outside. */
typedef struct universe {
    const char *base;
    bool use_all;
    uint64_t state; /* of the random numbers */
    size_t count;
    ipalloc_pool_range_spec specs[SET_MAX];
    bool whole[SET_MAX];  /* counts all its addresses */
    int owners[UNIVERSE]; /* 0: nobody */
    uint64_t generations[UNIVERSE];
    bool excluded[UNIVERSE];
} universe;

static ipalloc_addr address_at(const universe *u, unsigned i) {
    ipalloc_addr address = addr(u->base);
    address.bytes[address.family == 4 ? 3 : 15] = (uint8_t)i;
    return address;
}

static unsigned block_size(const ipalloc_cidr *block) {
    return 1u << ((block->base.family == 4 ? 32 : 128) - block->prefix_length);
}

static bool is_usable(const ipalloc_cidr *block, bool whole, unsigned i) {
    unsigned first = block->base.bytes[block->base.family == 4 ? 3 : 15];
    unsigned last = first + block_size(block) - 1;
    if (i < first || i > last)
        return false;
    return whole || (i != first && (i != last || block->base.family == 6));
}

/* The range that gives out the address, or in which it drains; count if there is none. */
static size_t range_at(const universe *u, unsigned i) {
    size_t r = 0;
    while (r < u->count && !is_usable(&u->specs[r].cidr, u->whole[r], i))
        r++;
    return r;
}

static bool is_given_out(const universe *u, unsigned i) {
    size_t r = range_at(u, i);
    return r < u->count && !u->specs[r].draining;
}

/* Halve or not, down to single addresses; each part is active, drains, or is left out. */
static void draw_set(universe *u, unsigned first, unsigned bits, universe *out) {
    ipalloc_addr base = address_at(u, first);
    uint8_t prefix_length = (uint8_t)((base.family == 4 ? 32 : 128) - bits);
    bool full = out->count + 2 >= SET_MAX - 20; /* room for lone ends */
    if (bits > 0 && !full && test_random(&u->state) % 5 < 3) {
        draw_set(u, first, bits - 1, out);
        draw_set(u, first + (1u << (bits - 1)), bits - 1, out);
        return;
    }
    unsigned kind = test_random(&u->state) % 4;
    bool has_usable = u->use_all || bits >= (base.family == 4 ? 2 : 1);
    if (kind == 0 || out->count == SET_MAX)
        return;
    out->specs[out->count++] = (ipalloc_pool_range_spec){.cidr = {base, prefix_length},
                                                         .draining = kind == 1 || !has_usable};
}

static bool same_block(const ipalloc_cidr *a, const ipalloc_cidr *b) {
    return a->prefix_length == b->prefix_length && ipalloc_addr_compare(&a->base, &b->base) == 0;
}

/* A range that was there keeps to its addresses; another one that drains counts all. */
static void decide_whole(const universe *u, universe *next) {
    for (size_t i = 0; i < next->count; i++) {
        size_t known = 0;
        while (known < u->count && !same_block(&u->specs[known].cidr, &next->specs[i].cidr))
            known++;
        bool was_whole = known == u->count || u->whole[known];
        next->whole[i] = u->use_all || (next->specs[i].draining && was_whole);
    }
}

/* Held ends that no range of the next set gives out drain by themselves. */
static void add_lone_ends(const universe *u, universe *next) {
    size_t given = next->count;
    for (size_t r = 0; r < given; r++) {
        for (unsigned i = 0; i < UNIVERSE; i++) {
            if (u->owners[i] == 0 || !is_usable(&next->specs[r].cidr, true, i) ||
                range_at(next, i) < next->count)
                continue;
            ck_assert_uint_lt(next->count, SET_MAX);
            ipalloc_addr base = address_at(u, i);
            next->specs[next->count] = (ipalloc_pool_range_spec){
                .cidr = {base, base.family == 4 ? 32 : 128}, .draining = true};
            next->whole[next->count++] = true;
        }
    }
}

static void change_set(fixture *f, ipalloc_pool *pool, universe *u) {
    universe next = {.base = u->base, .use_all = u->use_all};
    draw_set(u, 0, 8, &next);
    if (next.count == 0)
        return;
    size_t given = next.count;
    decide_whole(u, &next);
    add_lone_ends(u, &next);
    bool lost = false;
    for (unsigned i = 0; i < UNIVERSE; i++)
        lost |= u->owners[i] != 0 && range_at(&next, i) == next.count;
    IS(f, ipalloc_pool_set_ranges(pool, next.specs, given, &f->error),
       lost ? IPALLOC_E_TAKEN : IPALLOC_OK);
    if (lost)
        return;
    u->count = next.count;
    memcpy(u->specs, next.specs, sizeof u->specs);
    memcpy(u->whole, next.whole, sizeof u->whole);
    for (unsigned i = 0; i < UNIVERSE; i++)
        u->excluded[i] &= range_at(u, i) < u->count;
}

static void owner_name(unsigned i, char out[32]) {
    snprintf(out, 32, "Service/%u", i);
}

static void allocate_one(fixture *f, ipalloc_pool *pool, universe *u, int owner) {
    char name[32], slot[32];
    ipalloc_grant grant = GRANT;
    unsigned free_count = 0;
    for (unsigned i = 0; i < UNIVERSE; i++)
        free_count += is_given_out(u, i) && u->owners[i] == 0 && !u->excluded[i];
    owner_name((unsigned)owner, name);
    snprintf(slot, sizeof slot, "%llu", (unsigned long long)test_random(&u->state));
    IS(f, ipalloc_allocate(f->registry, pool, name, slot, &grant, &f->error),
       free_count > 0 ? IPALLOC_OK : IPALLOC_E_FULL);
    if (free_count == 0)
        return;
    unsigned i = grant.address.bytes[grant.address.family == 4 ? 3 : 15];
    require(is_given_out(u, i) && u->owners[i] == 0 && !u->excluded[i]);
    u->owners[i] = owner;
    u->generations[i] = grant.generation;
}

static void reserve_one(fixture *f, ipalloc_pool *pool, universe *u, int owner, unsigned i) {
    char name[32];
    ipalloc_grant grant = GRANT;
    ipalloc_addr wanted = address_at(u, i);
    bool has = u->owners[i] == owner;
    int status = has                                   ? IPALLOC_OK
                 : !is_given_out(u, i)                 ? IPALLOC_E_NOT_IN_RANGE
                 : u->owners[i] != 0 || u->excluded[i] ? IPALLOC_E_TAKEN
                                                       : IPALLOC_OK;
    owner_name((unsigned)owner, name);
    IS(f, ipalloc_reserve(f->registry, pool, name, addr_text(&wanted), &wanted, &grant, &f->error),
       status);
    if (status != IPALLOC_OK)
        return;
    require(!has || grant.generation == u->generations[i]);
    u->owners[i] = owner;
    u->generations[i] = grant.generation;
}

static void release_one(fixture *f, ipalloc_pool *pool, universe *u, int owner, unsigned i) {
    char name[32];
    ipalloc_addr held = address_at(u, i);
    int status = u->owners[i] == owner        ? IPALLOC_OK
                 : range_at(u, i) == u->count ? IPALLOC_E_NOT_IN_RANGE
                 : u->owners[i] != 0          ? IPALLOC_E_NOT_OWNER
                                              : IPALLOC_OK;
    owner_name((unsigned)owner, name);
    IS(f, ipalloc_release(f->registry, pool, name, &held, 0, &f->error), status);
    if (u->owners[i] == owner)
        u->owners[i] = 0;
}

static void exclude_one(fixture *f, ipalloc_pool *pool, universe *u, unsigned i) {
    ipalloc_addr one = address_at(u, i);
    bool inside = range_at(u, i) < u->count;
    int status = !inside ? IPALLOC_E_NOT_IN_RANGE : u->owners[i] ? IPALLOC_E_TAKEN : IPALLOC_OK;
    IS(f, ipalloc_pool_exclude(pool, &one, &one, &f->error), status);
    u->excluded[i] |= status == IPALLOC_OK;
}

/* Every address is held by whom it should be, in the generation that was given; counts agree. */
static void compare(fixture *f, ipalloc_pool *pool, const universe *u) {
    uint64_t used = 0, excluded = 0, size = 0;
    assert_sound(f);
    for (unsigned i = 0; i < UNIVERSE; i++) {
        char name[32];
        ipalloc_lease lease = LEASE;
        ipalloc_addr address = address_at(u, i);
        bool inside = range_at(u, i) < u->count;
        int status = ipalloc_lookup(f->registry, pool, &address, &lease, &f->error);
        require_status(status, u->owners[i] != 0 ? IPALLOC_OK
                               : inside          ? IPALLOC_E_NOT_FOUND
                                                 : IPALLOC_E_NOT_IN_RANGE);
        size += inside;
        used += u->owners[i] != 0;
        excluded += u->excluded[i];
        if (u->owners[i] == 0)
            continue;
        owner_name((unsigned)u->owners[i], name);
        require(strcmp(lease.owner, name) == 0 && lease.generation == u->generations[i]);
    }
    ipalloc_pool_stats stats = {.size = sizeof stats};
    OK(f, ipalloc_pool_get_stats(pool, &stats, &f->error));
    ck_assert_uint_eq(stats.range_count, u->count);
    ck_assert_uint_eq(stats.total.size.low, size);
    ck_assert_uint_eq(stats.total.used.low, used);
    ck_assert_uint_eq(stats.total.excluded.low, excluded);
}

static void random_step(fixture *f, ipalloc_pool **pool, universe *u) {
    unsigned what = test_random(&u->state) % 100, i = test_random(&u->state) % UNIVERSE;
    int owner = 1 + (int)(test_random(&u->state) % 5);
    if (what < 15) {
        change_set(f, *pool, u);
    } else if (what < 40) {
        allocate_one(f, *pool, u, owner);
    } else if (what < 60) {
        reserve_one(f, *pool, u, owner, i);
    } else if (what < 92) {
        while (test_random(&u->state) % 8 != 0 && u->owners[i] == 0)
            i = test_random(&u->state) % UNIVERSE;
        release_one(f, *pool, u, u->owners[i] != 0 && what < 88 ? u->owners[i] : owner, i);
    } else if (what < 96) {
        exclude_one(f, *pool, u, i);
    } else {
        fixture_reopen(f);
        *pool = open_pool(f, "services");
        compare(f, *pool, u);
    }
}

static const struct {
    int store;
    const char *base, *range;
    bool use_all;
    uint64_t steps;
} WORLDS[] = {{0, "10.96.0.0", "10.96.0.0/24", false, 3000},
              {0, "fd00::", "fd00::/120", false, 3000},
              {0, "10.96.0.0", "10.96.0.0/24", true, 1500},
              {1, "10.96.0.0", "10.96.0.0/24", false, 100}};

START_TEST(any_sequence_of_sets_and_leases_ends_as_the_array_says) {
    fixture f;
    OPEN_OR_SKIP(&f, WORLDS[_i].store);
    ipalloc_pool_definition options = {.use_all_addresses = WORLDS[_i].use_all};
    ipalloc_pool *pool = define_pool_with(&f, "services", WORLDS[_i].range, options);
    universe u = {.base = WORLDS[_i].base,
                  .use_all = WORLDS[_i].use_all,
                  .state = test_seed(),
                  .count = 1,
                  .specs = {{.cidr = cidr(WORLDS[_i].range)}},
                  .whole = {WORLDS[_i].use_all}};
    for (uint64_t i = 0; i < test_scaled(WORLDS[_i].steps); i++)
        random_step(&f, &pool, &u);
    compare(&f, pool, &u);
    fixture_reopen(&f);
    compare(&f, open_pool(&f, "services"), &u);
    fixture_close(&f);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

static Suite *suite(void) {
    Suite *s = suite_create("pool_ranges");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, a_range_grows_in_place_and_its_old_ends_are_given_out, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_definition_that_grew_is_opened_by_its_new_ranges_only, 0, STORE_KINDS);
    tcase_add_loop_test(c, what_is_left_of_a_range_drains_and_gives_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(c,
                        a_held_address_that_becomes_an_end_drains_by_itself_and_goes_when_released,
                        0, STORE_KINDS);
    tcase_add_loop_test(c, a_lone_address_that_is_listed_stays_until_it_is_not, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_lone_draining_address_is_removed_like_any_range, 0, STORE_KINDS);
    tcase_add_loop_test(
        c, a_lone_address_outlives_other_options_and_goes_into_a_range_that_gives_it_out, 0,
        STORE_KINDS);
    tcase_add_loop_test(c, a_range_that_goes_on_keeps_to_the_addresses_that_it_had, 0, STORE_KINDS);
    tcase_add_loop_test(c, what_would_lie_in_no_range_is_taken_and_named, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_pool_may_have_no_range_at_all, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_set_that_cannot_be_is_refused_and_nothing_has_changed, 0,
                        ROWS(REFUSALS));
    tcase_add_test(c, callers_mistakes_are_invalid);
    tcase_add_loop_test(c, all_of_ipv6_without_one_address_drains, 0, STORE_KINDS);
    tcase_add_test(c, as_many_ranges_as_there_may_be_are_drawn_from_evenly);
    tcase_add_loop_test(c, exclusions_stay_where_the_new_ranges_give_out, 0, ROWS(CARRIED));
    tcase_add_loop_test(c, what_cools_goes_on_cooling_also_where_its_range_comes_back, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, an_open_claim_survives_the_change_and_conflicts_at_its_commit, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, an_open_release_takes_effect_in_the_new_ranges, 0, STORE_KINDS);
    tcase_add_test(c, another_server_follows_and_gives_nothing_by_the_old_ranges);
    tcase_add_test(c, a_range_that_another_server_has_just_added_is_not_refused);
    tcase_add_test(c, a_set_that_changes_while_another_server_catches_up_is_not_missed);
    tcase_add_test(c, a_set_that_changes_while_a_server_loads_is_not_taken_for_damage);
    tcase_add_test(c, a_lease_that_comes_just_before_the_change_takes_it_back);
    tcase_add_test(c, a_lease_of_an_end_that_comes_just_before_the_change_drains_by_itself);
    tcase_add_test(c, a_change_that_could_not_be_taken_back_leaves_what_goes_draining);
    tcase_add_loop_test(c, a_store_that_fails_leaves_one_set_or_the_other, 0, ROWS(MOODS));
    tcase_add_loop_test(c, the_set_changes_while_others_allocate_and_release, 0, STORE_KINDS);
    tcase_add_loop_test(c, any_sequence_of_sets_and_leases_ends_as_the_array_says, 0, ROWS(WORLDS));
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
