/*
 * test_txn.c: what a transaction promises: one owner an address, asking again, guarded release,
 * nothing left of what failed.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char SLOT[] = "clusterIP/IPv4";

START_TEST(a_commit_survives_reopening) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    ck_assert(!grant.existing);
    ck_assert_uint_ne(grant.generation, 0);
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    ck_assert_uint_eq(used_of(pool), 1);
    ipalloc_lease lease = LEASE;
    OK(&f, ipalloc_lookup(f.registry, pool, &grant.address, &lease, &f.error));
    ck_assert_str_eq(lease.owner, "Service/a");
    ck_assert_str_eq(lease.slots[0], SLOT);
    ck_assert_uint_eq(lease.generation, grant.generation);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(asking_again_gives_the_same_address) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant first = allocate(&f, pool, "Service/a", SLOT);
    ipalloc_grant again = allocate(&f, pool, "Service/a", SLOT);
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&first.address, &again.address), 0);
    ck_assert_uint_eq(first.generation, again.generation);
    fixture_reopen(&f);
    again = allocate(&f, open_pool(&f, "services"), "Service/a", SLOT);
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&first.address, &again.address), 0);
    ck_assert_uint_eq(used_of(open_pool(&f, "services")), 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_reserved_address_is_taken_and_names_the_holder) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.10");
    ipalloc_addr wanted = addr("10.96.0.10");
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &wanted, NULL, &f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&f, "held by Service/a");
    ipalloc_txn *txn = begin(&f, "Service/c");
    wanted = addr("10.96.0.11");
    OK(&f, ipalloc_txn_reserve(txn, pool, SLOT, &wanted, NULL, &f.error));
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &wanted, NULL, &f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&f, "being allocated by Service/c");
    ipalloc_txn_abort(txn);
    reserve(&f, pool, "Service/b", SLOT, "10.96.0.11");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(release_by_another_owner_is_refused_and_names_the_holder) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    IS(&f, ipalloc_release(f.registry, pool, "Service/b", &grant.address, 0, &f.error),
       IPALLOC_E_NOT_OWNER);
    ck_assert_message(&f, "Service/a");
    IS(&f,
       ipalloc_release(f.registry, pool, "Service/a", &grant.address, grant.generation + 1,
                       &f.error),
       IPALLOC_E_NOT_OWNER);
    ck_assert_uint_eq(used_of(pool), 1);
    OK(&f,
       ipalloc_release(f.registry, pool, "Service/a", &grant.address, grant.generation, &f.error));
    ck_assert_uint_eq(used_of(pool), 0);
    OK(&f, ipalloc_release(f.registry, pool, "Service/a", &grant.address, 0, &f.error));
    OK(&f, ipalloc_release(f.registry, pool, "Service/b", &grant.address, 0, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(an_aborted_transaction_leaves_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant kept = allocate(&f, pool, "Service/a", SLOT);
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_allocate(txn, pool, "other", NULL, &f.error));
    OK(&f, ipalloc_txn_release(txn, pool, &kept.address, 0, &f.error));
    OK(&f, ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ANY, &f.error));
    ck_assert_uint_eq(used_of(pool), 2);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(pool), 1);
    ipalloc_lease lease = LEASE;
    OK(&f, ipalloc_lookup(f.registry, pool, &kept.address, &lease, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_release_takes_effect_with_the_commit_and_not_before) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", SLOT);
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_release(txn, pool, &grant.address, 0, &f.error));
    ck_assert_uint_eq(used_of(pool), 1);
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &grant.address, NULL, &f.error),
       IPALLOC_E_TAKEN);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(pool), 0);
    OK(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &grant.address, NULL, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(what_a_transaction_claimed_it_can_release_again) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_txn *txn = begin(&f, "Service/a");
    ipalloc_grant grant = GRANT;
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, &grant, &f.error));
    OK(&f, ipalloc_txn_release(txn, pool, &grant.address, grant.generation, &f.error));
    ck_assert_uint_eq(used_of(pool), 0);
    IS(&f, ipalloc_txn_find_slot(txn, pool, SLOT, &grant, &f.error), IPALLOC_E_NOT_FOUND);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(ports_of_two_protocols_share_one_port_and_leave_it_one_by_one) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_ports(&f, "node-ports", 30000, 32767);
    ipalloc_txn *txn = begin(&f, "Service/a");
    ipalloc_grant tcp = GRANT, udp = GRANT;
    OK(&f, ipalloc_txn_reserve_port(txn, pool, "TCP/53", 30053, &tcp, &f.error));
    OK(&f, ipalloc_txn_reserve_port(txn, pool, "UDP/53", 30053, &udp, &f.error));
    ck_assert_uint_eq(tcp.generation, udp.generation);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(pool), 1);
    txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_reserve_port(txn, pool, "SCTP/53", 30053, &udp, &f.error));
    ck_assert(!udp.existing);
    OK(&f, ipalloc_txn_release_slot(txn, pool, "TCP/53", &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    assert_sound(&f);
    ipalloc_lease lease = LEASE;
    OK(&f, ipalloc_lookup_port(f.registry, pool, 30053, &lease, &f.error));
    ck_assert_uint_eq(lease.port, 30053);
    ck_assert_uint_eq(lease.slot_count, 2);
    ck_assert_str_eq(lease.slots[0], "UDP/53");
    ck_assert_str_eq(lease.slots[1], "SCTP/53");
    txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_release_slot(txn, pool, "UDP/53", &f.error));
    OK(&f, ipalloc_txn_release_slot(txn, pool, "SCTP/53", &f.error));
    OK(&f, ipalloc_txn_release_slot(txn, pool, "never", &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(pool), 0);
    IS(&f, ipalloc_lookup_port(f.registry, pool, 30053, &lease, &f.error), IPALLOC_E_NOT_FOUND);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(another_address_in_an_occupied_slot_is_taken_unless_the_old_one_is_released) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Service/a", SLOT, "10.96.0.10");
    ipalloc_addr old = addr("10.96.0.10"), wanted = addr("10.96.0.11");
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/a", SLOT, &wanted, NULL, &f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&f, "10.96.0.10");
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_release(txn, pool, &old, 0, &f.error));
    OK(&f, ipalloc_txn_reserve(txn, pool, SLOT, &wanted, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(pool), 1);
    ck_assert(reserve(&f, pool, "Service/a", SLOT, "10.96.0.11").existing);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(released_and_reserved_again_in_one_transaction_stays_the_same_lease) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant first = reserve(&f, pool, "Service/a", SLOT, "10.96.0.10");
    ipalloc_grant again = GRANT;
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_release(txn, pool, &first.address, 0, &f.error));
    OK(&f, ipalloc_txn_reserve(txn, pool, "new", &first.address, &again, &f.error));
    ck_assert_uint_eq(again.generation, first.generation);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ipalloc_lease lease = LEASE;
    OK(&f, ipalloc_lookup(f.registry, pool, &first.address, &lease, &f.error));
    ck_assert_uint_eq(lease.slot_count, 1);
    ck_assert_str_eq(lease.slots[0], "new");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_renamed_slot_keeps_its_address) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = allocate(&f, pool, "Service/a", "http");
    allocate(&f, pool, "Service/a", "dns");
    ipalloc_txn *txn = begin(&f, "Service/a");
    IS(&f, ipalloc_txn_rename_slot(txn, pool, "none", "web", &f.error), IPALLOC_E_NOT_FOUND);
    IS(&f, ipalloc_txn_rename_slot(txn, pool, "http", "dns", &f.error), IPALLOC_E_TAKEN);
    OK(&f, ipalloc_txn_rename_slot(txn, pool, "http", "http", &f.error));
    OK(&f, ipalloc_txn_rename_slot(txn, pool, "http", "web", &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ipalloc_grant again = allocate(&f, pool, "Service/a", "web");
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&grant.address, &again.address), 0);
    ck_assert_uint_eq(used_of(pool), 2);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(limits_are_refused_before_any_claim) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/16");
    ipalloc_txn *txn = begin(&f, "Service/a");
    char slot[32];
    for (int i = 0; i < IPALLOC_TXN_ADDRESSES_MAX; i++) {
        snprintf(slot, sizeof slot, "slot-%d", i);
        OK(&f, ipalloc_txn_allocate(txn, pool, slot, NULL, &f.error));
    }
    IS(&f, ipalloc_txn_allocate(txn, pool, "one more", NULL, &f.error), IPALLOC_E_INVALID);
    ck_assert_uint_eq(used_of(pool), IPALLOC_TXN_ADDRESSES_MAX);
    for (int i = 0; i < IPALLOC_TXN_RECORDS_MAX; i++) {
        snprintf(slot, sizeof slot, "record-%d", i);
        OK(&f, ipalloc_txn_put(txn, slot, "", 0, IPALLOC_REVISION_ABSENT, &f.error));
    }
    IS(&f, ipalloc_txn_put(txn, "more", "", 0, IPALLOC_REVISION_ANY, &f.error), IPALLOC_E_INVALID);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(pool), IPALLOC_TXN_ADDRESSES_MAX);
    allocate(&f, pool, "Service/a", "one more");
    txn = begin(&f, "Service/a");
    IS(&f, ipalloc_txn_release_all(txn, &f.error), IPALLOC_E_INVALID);
    ipalloc_txn_abort(txn);
    size_t released;
    OK(&f, ipalloc_release_owner(f.registry, "Service/a", &released, &f.error));
    ck_assert_uint_eq(released, IPALLOC_TXN_ADDRESSES_MAX + 1);
    ck_assert_uint_eq(used_of(pool), 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(at_most_sixteen_slots_share_an_address) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_addr address = addr("10.96.0.10");
    ipalloc_txn *txn = begin(&f, "Service/a");
    char slot[32];
    for (int i = 0; i < IPALLOC_LEASE_SLOTS_MAX; i++) {
        snprintf(slot, sizeof slot, "slot-%d", i);
        OK(&f, ipalloc_txn_reserve(txn, pool, slot, &address, NULL, &f.error));
    }
    IS(&f, ipalloc_txn_reserve(txn, pool, "more", &address, NULL, &f.error), IPALLOC_E_INVALID);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static char long_text[300];

static const struct {
    const char *owner, *slot;
    int status;
} NAMES[] = {
    {"Service/a", "", IPALLOC_E_INVALID},
    {"Service/a", NULL, IPALLOC_E_INVALID},
    {"Service/a", long_text, IPALLOC_E_INVALID},
    {"", "slot", IPALLOC_E_INVALID},
    {NULL, "slot", IPALLOC_E_INVALID},
    {long_text, "slot", IPALLOC_E_INVALID},
    {long_text + sizeof long_text - 1 - IPALLOC_OWNER_MAX, "slot", IPALLOC_OK},
    {"Service/b", long_text + sizeof long_text - 1 - IPALLOC_SLOT_MAX, IPALLOC_OK},
    {"line\nbreak %\x7f\xff", " a\tb%", IPALLOC_OK},
};

START_TEST(owners_and_slots_are_checked_and_every_byte_survives) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    memset(long_text, 'x', sizeof long_text - 1);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = GRANT;
    IS(&f, ipalloc_allocate(f.registry, pool, NAMES[_i].owner, NAMES[_i].slot, &grant, &f.error),
       NAMES[_i].status);
    if (NAMES[_i].status == IPALLOC_OK) {
        ipalloc_lease lease = LEASE;
        OK(&f, ipalloc_lookup(f.registry, pool, &grant.address, &lease, &f.error));
        ck_assert_str_eq(lease.owner, NAMES[_i].owner);
        ck_assert_str_eq(lease.slots[0], NAMES[_i].slot);
        ck_assert(allocate(&f, pool, NAMES[_i].owner, NAMES[_i].slot).existing);
    }
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(addresses_and_ports_do_not_mix) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *v4 = define_pool(&f, "v4", "10.96.0.0/24");
    ipalloc_pool *v6 = define_pool(&f, "v6", "fd00::/108");
    ipalloc_pool *ports = define_ports(&f, "ports", 30000, 30100);
    ipalloc_addr six = addr("fd00::1"), four = addr("10.96.0.1"), outside = addr("10.97.0.1");
    ipalloc_txn *txn = begin(&f, "Service/a");
    IS(&f, ipalloc_txn_reserve(txn, v4, "a", &six, NULL, &f.error), IPALLOC_E_NOT_IN_RANGE);
    IS(&f, ipalloc_txn_reserve(txn, v6, "a", &four, NULL, &f.error), IPALLOC_E_NOT_IN_RANGE);
    IS(&f, ipalloc_txn_reserve(txn, v4, "a", &outside, NULL, &f.error), IPALLOC_E_NOT_IN_RANGE);
    IS(&f, ipalloc_txn_release(txn, v4, &outside, 0, &f.error), IPALLOC_E_NOT_IN_RANGE);
    IS(&f, ipalloc_txn_allocate(txn, ports, "a", NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_allocate_port(txn, v4, "a", NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_reserve_port(txn, ports, "a", 29999, NULL, &f.error),
       IPALLOC_E_NOT_IN_RANGE);
    IS(&f, ipalloc_txn_release_port(txn, ports, 30101, 0, &f.error), IPALLOC_E_NOT_IN_RANGE);
    OK(&f, ipalloc_txn_allocate(txn, v4, "a", NULL, &f.error));
    OK(&f, ipalloc_txn_allocate(txn, v6, "a", NULL, &f.error));
    OK(&f, ipalloc_txn_allocate_port(txn, ports, "a", NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ck_assert_uint_eq(used_of(v4) + used_of(v6) + used_of(ports), 3);
    assert_sound(&f);
    fixture_reopen(&f);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_transaction_without_an_owner_has_records_only) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_txn *txn = begin(&f, NULL);
    IS(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error), IPALLOC_E_INVALID);
    OK(&f, ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ABSENT, &f.error));
    uint64_t revision = 0;
    OK(&f, ipalloc_txn_commit(txn, &revision, &f.error));
    ck_assert_uint_ne(revision, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(a_passed_deadline_is_unavailable_and_leaves_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a", .deadline_ms = 1};
    ipalloc_txn *txn;
    OK(&f, ipalloc_begin(f.registry, &options, &txn, &f.error));
    struct timespec pause = {.tv_nsec = 3000000};
    nanosleep(&pause, NULL);
    IS(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error), IPALLOC_E_UNAVAILABLE);
    OK(&f, ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ANY, &f.error));
    IS(&f, ipalloc_txn_commit(txn, NULL, &f.error), IPALLOC_E_UNAVAILABLE);
    ck_assert_uint_eq(used_of(pool), 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(two_transactions_of_one_owner_get_in_each_others_way_as_conflicts) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_addr one = addr("10.96.0.10"), two = addr("10.96.0.11");
    reserve(&f, pool, "Service/a", "two", "10.96.0.11");
    ipalloc_txn *first = begin(&f, "Service/a"), *second = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_reserve(first, pool, SLOT, &one, NULL, &f.error));
    IS(&f, ipalloc_txn_reserve(second, pool, SLOT, &one, NULL, &f.error), IPALLOC_E_CONFLICT);
    OK(&f, ipalloc_txn_release(first, pool, &two, 0, &f.error));
    OK(&f, ipalloc_txn_commit(first, NULL, &f.error));
    IS(&f, ipalloc_txn_reserve(second, pool, SLOT, &one, NULL, &f.error), IPALLOC_E_CONFLICT);
    IS(&f, ipalloc_txn_release(second, pool, &one, 0, &f.error), IPALLOC_E_CONFLICT);
    IS(&f, ipalloc_txn_release(second, pool, &two, 0, &f.error), IPALLOC_E_CONFLICT);
    ipalloc_txn_abort(second);
    ck_assert_uint_eq(used_of(pool), 1);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(an_address_whose_release_is_planned_is_still_taken) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = reserve(&f, pool, "Service/a", SLOT, "10.96.0.10");
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_release(txn, pool, &grant.address, 0, &f.error));
    IS(&f, ipalloc_reserve(f.registry, pool, "Service/b", SLOT, &grant.address, NULL, &f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&f, "held by Service/a");
    ipalloc_txn_abort(txn);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_structure_of_no_size_is_invalid) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_grant grant = {0};
    ipalloc_lease lease = {0};
    ipalloc_txn_options options = {.owner = "Service/a"};
    ipalloc_addr address = addr("10.96.0.1");
    ipalloc_txn *txn;
    IS(&f, ipalloc_begin(f.registry, &options, &txn, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_allocate(f.registry, pool, "Service/a", SLOT, &grant, &f.error),
       IPALLOC_E_INVALID);
    IS(&f, ipalloc_lookup(f.registry, pool, &address, &lease, &f.error), IPALLOC_E_INVALID);
    ck_assert_uint_eq(used_of(pool), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(a_step_without_its_pool_is_invalid) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_addr address = addr("10.96.0.1");
    ipalloc_grant grant = GRANT;
    ipalloc_txn *txn = begin(&f, "Service/a");
    IS(&f, ipalloc_txn_allocate(txn, NULL, SLOT, &grant, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_allocate_port(txn, NULL, SLOT, &grant, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_reserve(txn, NULL, SLOT, &address, &grant, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_reserve_port(txn, NULL, SLOT, 1, &grant, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_release(txn, NULL, &address, 0, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_release_port(txn, NULL, 1, 0, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_release_slot(txn, NULL, SLOT, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_rename_slot(txn, NULL, SLOT, "b", &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_find_slot(txn, NULL, SLOT, &grant, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_allocate(f.registry, NULL, "Service/a", SLOT, &grant, &f.error),
       IPALLOC_E_INVALID);
    ipalloc_txn_abort(txn);
    fixture_close(&f);
}
END_TEST

START_TEST(a_deadline_beyond_the_end_of_time_is_none) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = "Service/a", .deadline_ms = UINT64_MAX};
    ipalloc_txn *txn;
    OK(&f, ipalloc_begin(f.registry, &options, &txn, &f.error));
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    fixture_close(&f);
}
END_TEST

START_TEST(what_the_owner_released_elsewhere_meanwhile_is_a_conflict_when_it_is_drawn) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/30");
    ipalloc_grant one = allocate(&f, pool, "Service/a", SLOT);
    allocate(&f, pool, "Service/b", SLOT);
    ipalloc_txn *txn = begin(&f, "Service/a"), *dry = begin_dry(&f, "Service/a");
    OK(&f, ipalloc_txn_release(txn, pool, &one.address, 0, &f.error));
    IS(&f, ipalloc_txn_find_slot(dry, pool, "b", NULL, &f.error), IPALLOC_E_NOT_FOUND);
    OK(&f, ipalloc_release(f.registry, pool, "Service/a", &one.address, 0, &f.error));
    IS(&f, ipalloc_txn_allocate(txn, pool, "b", NULL, &f.error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(pool), 1);
    IS(&f, ipalloc_txn_commit(txn, NULL, &f.error), IPALLOC_E_CONFLICT);
    IS(&f, ipalloc_txn_allocate(dry, pool, "b", NULL, &f.error), IPALLOC_E_CONFLICT);
    ipalloc_txn_abort(dry);
    ck_assert_uint_eq(used_of(pool), 1);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_release_of_everything_that_fails_has_released_nothing) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_addr low = addr("10.96.0.10");
    reserve(&f, pool, "Service/a", "low", "10.96.0.10");
    reserve(&f, pool, "Service/a", "high", "10.96.0.11");
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_find_slot(txn, pool, "high", NULL, &f.error));
    OK(&f, ipalloc_release(f.registry, pool, "Service/a", &low, 0, &f.error));
    IS(&f, ipalloc_txn_release_all(txn, &f.error), IPALLOC_E_CONFLICT);
    OK(&f, ipalloc_txn_find_slot(txn, pool, "high", NULL, &f.error));
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(pool), 1);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("txn");
    TCase *c = tcase_create("rules");
    tcase_add_loop_test(c, a_commit_survives_reopening, 0, STORE_KINDS);
    tcase_add_loop_test(c, asking_again_gives_the_same_address, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_reserved_address_is_taken_and_names_the_holder, 0, STORE_KINDS);
    tcase_add_loop_test(c, release_by_another_owner_is_refused_and_names_the_holder, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, an_aborted_transaction_leaves_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_release_takes_effect_with_the_commit_and_not_before, 0, STORE_KINDS);
    tcase_add_loop_test(c, what_a_transaction_claimed_it_can_release_again, 0, STORE_KINDS);
    tcase_add_loop_test(c, ports_of_two_protocols_share_one_port_and_leave_it_one_by_one, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c,
                        another_address_in_an_occupied_slot_is_taken_unless_the_old_one_is_released,
                        0, STORE_KINDS);
    tcase_add_loop_test(c, released_and_reserved_again_in_one_transaction_stays_the_same_lease, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, a_renamed_slot_keeps_its_address, 0, STORE_KINDS);
    tcase_add_loop_test(c, limits_are_refused_before_any_claim, 0, STORE_KINDS);
    tcase_add_loop_test(c, at_most_sixteen_slots_share_an_address, 0, STORE_KINDS);
    tcase_add_loop_test(c, addresses_and_ports_do_not_mix, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_transaction_without_an_owner_has_records_only, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_passed_deadline_is_unavailable_and_leaves_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(c, owners_and_slots_are_checked_and_every_byte_survives, 0,
                        (int)(sizeof NAMES / sizeof NAMES[0]));
    tcase_add_loop_test(c, two_transactions_of_one_owner_get_in_each_others_way_as_conflicts, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, an_address_whose_release_is_planned_is_still_taken, 0, STORE_KINDS);
    tcase_add_test(c, a_structure_of_no_size_is_invalid);
    tcase_add_test(c, a_step_without_its_pool_is_invalid);
    tcase_add_test(c, a_deadline_beyond_the_end_of_time_is_none);
    tcase_add_loop_test(c,
                        what_the_owner_released_elsewhere_meanwhile_is_a_conflict_when_it_is_drawn,
                        0, STORE_KINDS);
    tcase_add_loop_test(c, a_release_of_everything_that_fails_has_released_nothing, 0, STORE_KINDS);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
