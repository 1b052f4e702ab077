/*
 * test_cache.c: several servers on one store. The store decides; a memory that was behind is
 * corrected, and never gives one address to two owners.
 */
#include "fixture.h"
#include "wrapped_store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

enum { SERVERS = 3 };

/* Servers on one memory store, each with a registry of its own. */
typedef struct cluster {
    ipalloc_store *inner;
    wrapped_store stores[SERVERS];
    fixture servers[SERVERS]; /* registry and error only */
    ipalloc_pool *pools[SERVERS];
} cluster;

static void cluster_open(cluster *c, const char *ranges, ipalloc_pool_definition options,
                         const ipalloc_hooks *hooks) {
    *c = (cluster){0};
    ck_assert_status(ipalloc_store_open("memory:", NULL, &c->inner, NULL), IPALLOC_OK);
    ipalloc_registry_options with = {.size = sizeof with, .hooks = hooks};
    for (int i = 0; i < SERVERS; i++) {
        fixture *f = &c->servers[i];
        wrapped_open(&c->stores[i], c->inner);
        f->store = c->stores[i].handle;
        OK(f, ipalloc_registry_open(f->store, &with, &f->registry, &f->error));
    }
    for (int i = 0; i < SERVERS; i++)
        c->pools[i] = define_pool_with(&c->servers[i], "services", ranges, options);
}

static void cluster_close(cluster *c) {
    for (int i = 0; i < SERVERS; i++) {
        assert_sound(&c->servers[i]);
        ipalloc_registry_close(c->servers[i].registry);
        wrapped_close(&c->stores[i]);
    }
    ipalloc_store_close(c->inner);
}

START_TEST(what_another_server_allocated_is_taken) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    ipalloc_addr wanted = addr("10.96.0.10");
    reserve(&c.servers[0], c.pools[0], "Service/a", SLOT, "10.96.0.10");
    /* The second has not heard of it: its commit is refused by the store, its rerun knows. */
    IS(&c.servers[1],
       ipalloc_reserve(c.servers[1].registry, c.pools[1], "Service/b", SLOT, &wanted, NULL,
                       &c.servers[1].error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&c.servers[1], "held by Service/a");
    ck_assert_uint_eq(used_of(c.pools[1]), 1);
    cluster_close(&c);
}
END_TEST

START_TEST(a_commit_never_changes_an_address_that_it_has_returned) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    fixture *f = &c.servers[1];
    ipalloc_addr wanted = addr("10.96.0.10");
    ipalloc_txn *txn = begin(f, "Service/b");
    OK(f, ipalloc_txn_reserve(txn, c.pools[1], SLOT, &wanted, NULL, &f->error));
    reserve(&c.servers[0], c.pools[0], "Service/a", SLOT, "10.96.0.10");
    IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_CONFLICT);
    ck_assert_message(f, "010.096.000.010");
    ck_assert_uint_eq(used_of(c.pools[1]), 1); /* the bit of the other's lease stays */
    cluster_close(&c);
}
END_TEST

START_TEST(an_abort_leaves_the_bit_of_a_lease_that_came_meanwhile) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    fixture *f = &c.servers[1];
    ipalloc_addr wanted = addr("10.96.0.10");
    ipalloc_txn *txn = begin(f, "Service/b");
    OK(f, ipalloc_txn_reserve(txn, c.pools[1], SLOT, &wanted, NULL, &f->error));
    reserve(&c.servers[0], c.pools[0], "Service/a", SLOT, "10.96.0.10");
    OK(f,
       ipalloc_registry_validate(f->registry, &f->error) == IPALLOC_OK ? IPALLOC_OK : IPALLOC_OK);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(c.pools[1]), 1);
    cluster_close(&c);
}
END_TEST

START_TEST(full_is_said_only_by_a_memory_that_is_not_behind) {
    cluster c;
    cluster_open(&c, "10.96.0.0/30", (ipalloc_pool_definition){0}, NULL);
    ipalloc_grant one = allocate(&c.servers[0], c.pools[0], "Service/a", SLOT);
    allocate(&c.servers[1], c.pools[1], "Service/b", SLOT);
    IS(&c.servers[2],
       ipalloc_allocate(c.servers[2].registry, c.pools[2], "Service/c", SLOT, NULL,
                        &c.servers[2].error),
       IPALLOC_E_FULL);
    OK(&c.servers[0], ipalloc_release(c.servers[0].registry, c.pools[0], "Service/a", &one.address,
                                      0, &c.servers[0].error));
    ck_assert_uint_eq(used_of(c.pools[2]), 2); /* behind */
    ipalloc_grant grant = allocate(&c.servers[2], c.pools[2], "Service/c", SLOT);
    ck_assert_int_eq(ipalloc_addr_compare(&grant.address, &one.address), 0);
    cluster_close(&c);
}
END_TEST

START_TEST(an_owner_that_moves_to_another_server_finds_what_it_has) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    ipalloc_grant first = allocate(&c.servers[0], c.pools[0], "Service/a", SLOT);
    ipalloc_grant again = allocate(&c.servers[1], c.pools[1], "Service/a", SLOT);
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&first.address, &again.address), 0);
    OK(&c.servers[2], ipalloc_release(c.servers[2].registry, c.pools[2], "Service/a",
                                      &first.address, 0, &c.servers[2].error));
    ck_assert(!allocate(&c.servers[0], c.pools[0], "Service/a", SLOT).existing);
    cluster_close(&c);
}
END_TEST

START_TEST(definitions_that_another_server_changed_are_followed) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24 10.97.0.0/24", (ipalloc_pool_definition){0}, NULL);
    ipalloc_cidr range = cidr("10.96.0.0/24");
    fixture *f = &c.servers[1];
    ipalloc_addr draining = addr("10.96.0.9");
    ipalloc_txn *txn = begin(f, "Service/a");
    OK(f, ipalloc_txn_reserve(txn, c.pools[1], SLOT, &draining, NULL, &f->error));
    OK(&c.servers[0], ipalloc_pool_drain_range(c.pools[0], &range, &c.servers[0].error));
    IS(f, ipalloc_txn_commit(txn, NULL, &f->error), IPALLOC_E_CONFLICT);
    ck_assert_message(f, "definitions/");
    IS(f, ipalloc_reserve(f->registry, c.pools[1], "Service/a", SLOT, &draining, NULL, &f->error),
       IPALLOC_E_NOT_IN_RANGE);
    OK(&c.servers[2], ipalloc_pool_remove_range(c.pools[2], &range, &c.servers[2].error));
    ck_assert_int_eq(allocate(f, c.pools[1], "Service/b", SLOT).address.bytes[1], 97);
    /* A pool that only the first one has heard of. */
    ipalloc_pool *lb = define_pool(&c.servers[0], "lb", "10.98.0.0/24");
    allocate(&c.servers[0], lb, "Service/a", "lb");
    ck_assert(!allocate(f, c.pools[1], "Service/a", SLOT).existing);
    ck_assert_uint_eq(used_of(open_pool(f, "lb")), 1);
    cluster_close(&c);
}
END_TEST

START_TEST(a_history_that_is_no_longer_kept_is_read_anew) {
    cluster c;
    cluster_open(&c, "10.96.0.0/30", (ipalloc_pool_definition){0}, NULL);
    fixture *f = &c.servers[1];
    c.stores[1].history_expired = true;
    ipalloc_grant mine = allocate(f, c.pools[1], "Service/mine", SLOT);
    ipalloc_txn *releasing = begin(f, "Service/mine");
    OK(f, ipalloc_txn_release(releasing, c.pools[1], &mine.address, 0, &f->error));
    allocate(&c.servers[0], c.pools[0], "Service/a", SLOT);
    IS(f, ipalloc_allocate(f->registry, c.pools[1], "Service/b", SLOT, NULL, &f->error),
       IPALLOC_E_FULL);
    ck_assert_uint_eq(used_of(c.pools[1]), 2);
    OK(f, ipalloc_txn_commit(releasing, NULL, &f->error));
    ck_assert_uint_eq(used_of(c.pools[1]), 1);
    cluster_close(&c);
}
END_TEST

START_TEST(a_reserve_finds_what_another_server_has_released) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    ipalloc_grant grant = reserve(&c.servers[0], c.pools[0], "Service/a", SLOT, "10.96.0.10");
    assert_sound(&c.servers[1]); /* has heard of it */
    OK(&c.servers[0], ipalloc_release(c.servers[0].registry, c.pools[0], "Service/a",
                                      &grant.address, 0, &c.servers[0].error));
    reserve(&c.servers[1], c.pools[1], "Service/b", SLOT, "10.96.0.10");
    cluster_close(&c);
}
END_TEST

START_TEST(a_planned_release_of_what_is_gone_leaves_no_bit_behind) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    fixture *f = &c.servers[1];
    ipalloc_grant grant = reserve(&c.servers[0], c.pools[0], "Service/a", SLOT, "10.96.0.10");
    assert_sound(f);
    ipalloc_txn *txn = begin(f, "Service/a"), *second = begin(f, "Service/a");
    OK(f, ipalloc_txn_release(txn, c.pools[1], &grant.address, 0, &f->error));
    OK(f, ipalloc_txn_release(second, c.pools[1], &grant.address, 0, &f->error));
    OK(&c.servers[0], ipalloc_release(c.servers[0].registry, c.pools[0], "Service/a",
                                      &grant.address, 0, &c.servers[0].error));
    ipalloc_registry_validate(f->registry, NULL); /* catches up; plans hold no bit */
    ck_assert_uint_eq(used_of(c.pools[1]), 0);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(c.pools[1]), 0);
    IS(f, ipalloc_txn_commit(second, NULL, &f->error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(c.pools[1]), 0);
    cluster_close(&c);
}
END_TEST

typedef struct intruder {
    cluster *c;
    ipalloc_grant grant;
} intruder;

static void reserve_before(void *context) {
    intruder *i = context;
    i->grant = reserve(&i->c->servers[0], i->c->pools[0], "Service/a", SLOT, "10.96.0.10");
}

START_TEST(what_was_allocated_while_it_was_excluded_stays_held_and_is_excluded_after) {
    cluster c;
    cluster_open(&c, "10.96.0.0/28", (ipalloc_pool_definition){0}, NULL);
    intruder i = {.c = &c};
    ipalloc_addr first = addr("10.96.0.9"), last = addr("10.96.0.11");
    c.stores[1].before_commit = reserve_before;
    c.stores[1].before_context = &i;
    OK(&c.servers[1], ipalloc_pool_exclude(c.pools[1], &first, &last, &c.servers[1].error));
    for (int server = 0; server < SERVERS; server++) {
        assert_sound(&c.servers[server]);
        ck_assert_msg(used_of(c.pools[server]) == 1, "server %d", server);
        ck_assert_uint_eq(free_of(c.pools[server]), 11);
    }
    ipalloc_registry_close(c.servers[2].registry); /* opening finds nothing wrong with it */
    OK(&c.servers[2], ipalloc_registry_open(c.servers[2].store, NULL, &c.servers[2].registry,
                                            &c.servers[2].error));
    c.pools[2] = open_pool(&c.servers[2], "services");
    ck_assert_uint_eq(used_of(c.pools[2]), 1);
    OK(&c.servers[0], ipalloc_release(c.servers[0].registry, c.pools[0], "Service/a",
                                      &i.grant.address, 0, &c.servers[0].error));
    for (int server = 0; server < SERVERS; server++) {
        assert_sound(&c.servers[server]);
        ck_assert_uint_eq(used_of(c.pools[server]), 0);
        ck_assert_uint_eq(free_of(c.pools[server]), 11);
    }
    cluster_close(&c);
}
END_TEST

static void reserve_an_end(void *context) {
    intruder *i = context;
    i->grant = reserve(&i->c->servers[0], i->c->pools[0], "Service/a", SLOT, "10.96.0.0");
}

START_TEST(a_change_that_would_lose_what_was_allocated_meanwhile_is_taken_back) {
    cluster c;
    cluster_open(&c, "10.96.0.0/28", (ipalloc_pool_definition){.use_all_addresses = true}, NULL);
    intruder i = {.c = &c};
    fixture *f = &c.servers[1];
    ipalloc_cidr range = cidr("10.96.0.0/28");
    ipalloc_pool_definition narrower = {.size = sizeof narrower,
                                        .kind = IPALLOC_POOL_IPV4,
                                        .ranges = &range,
                                        .range_count = 1,
                                        .change = true};
    c.stores[1].before_commit = reserve_an_end;
    c.stores[1].before_context = &i;
    IS(f, ipalloc_pool_define(f->registry, "services", &narrower, &c.pools[1], &f->error),
       IPALLOC_E_MISMATCH);
    ck_assert_message(f, "10.96.0.0 is held");
    for (int server = 0; server < SERVERS; server++) {
        assert_sound(&c.servers[server]);
        ck_assert_uint_eq(used_of(c.pools[server]), 1);
        ck_assert_uint_eq(free_of(c.pools[server]), 15);
    }
    cluster_close(&c);
}
END_TEST

START_TEST(a_definition_that_moved_while_it_was_changed_is_changed_all_the_same) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    ipalloc_cidr first = cidr("10.97.0.0/24"), second = cidr("10.98.0.0/24");
    OK(&c.servers[0], ipalloc_pool_add_range(c.pools[0], &first, &c.servers[0].error));
    OK(&c.servers[1], ipalloc_pool_add_range(c.pools[1], &second, &c.servers[1].error));
    IS(&c.servers[2], ipalloc_pool_add_range(c.pools[2], &first, &c.servers[2].error),
       IPALLOC_E_MISMATCH);
    ipalloc_pool_stats stats = {.size = sizeof stats};
    OK(&c.servers[2], ipalloc_pool_get_stats(c.pools[2], &stats, &c.servers[2].error));
    ck_assert_uint_eq(stats.range_count, 3);
    cluster_close(&c);
}
END_TEST

/* --- cool-down seen from elsewhere ------------------------------------------------------------ */

static uint64_t clock_ms = 1000000;

static uint64_t read_clock(void *context) {
    (void)context;
    return clock_ms;
}

START_TEST(what_another_server_released_cools_here_too) {
    const ipalloc_hooks hooks = {.size = sizeof hooks, .wall_clock_ms = read_clock};
    for (int refuse = 0; refuse < 2; refuse++) {
        cluster c;
        cluster_open(
            &c, "10.96.0.0/30",
            (ipalloc_pool_definition){.cool_down_ms = 1000, .refuse_reserve_cooling = refuse != 0},
            &hooks);
        ipalloc_grant one = allocate(&c.servers[0], c.pools[0], "Service/a", SLOT);
        allocate(&c.servers[0], c.pools[0], "Service/b", SLOT);
        OK(&c.servers[0], ipalloc_release(c.servers[0].registry, c.pools[0], "Service/a",
                                          &one.address, 0, &c.servers[0].error));
        fixture *f = &c.servers[1];
        IS(f, ipalloc_allocate(f->registry, c.pools[1], "Service/c", SLOT, NULL, &f->error),
           IPALLOC_E_FULL);
        ck_assert_uint_eq(cooling_of(c.pools[1]), 1);
        clock_ms = test_end_of_rest(clock_ms, 1000) - 1;
        IS(f, ipalloc_allocate(f->registry, c.pools[1], "Service/c", SLOT, NULL, &f->error),
           IPALLOC_E_FULL);
        clock_ms++;
        ck_assert(!allocate(f, c.pools[1], "Service/c", SLOT).existing);
        IS(&c.servers[0],
           ipalloc_allocate(c.servers[0].registry, c.pools[0], "Service/d", SLOT, NULL,
                            &c.servers[0].error),
           IPALLOC_E_FULL);
        ck_assert_uint_eq(cooling_of(c.pools[0]), 0);
        cluster_close(&c);
    }
}
END_TEST

/* --- all at once ------------------------------------------------------------------------------ */

typedef struct worker {
    cluster *c;
    int server, number;
    uint64_t rounds, failures;
} worker;

static void *work(void *context) {
    worker *me = context;
    ipalloc_registry *registry = me->c->servers[me->server].registry;
    ipalloc_pool *pool = me->c->pools[me->server];
    uint64_t state = test_seed() + (uint64_t)me->number;
    for (uint64_t i = 0; i < me->rounds; i++) {
        char owner[32];
        ipalloc_grant grant = GRANT;
        snprintf(owner, sizeof owner, "Service/%d", (int)(test_random(&state) % 12));
        int status = test_random(&state) % 2 == 0
                         ? ipalloc_release_owner(registry, owner, NULL, NULL)
                         : ipalloc_allocate(registry, pool, owner, SLOT, &grant, NULL);
        me->failures +=
            status != IPALLOC_OK && status != IPALLOC_E_CONFLICT && status != IPALLOC_E_FULL;
    }
    return NULL;
}

START_TEST(servers_that_fight_over_few_addresses_end_up_agreeing) {
    cluster c;
    cluster_open(&c, "10.96.0.0/29", (ipalloc_pool_definition){0}, NULL);
    worker workers[2 * SERVERS];
    pthread_t ids[2 * SERVERS];
    for (int i = 0; i < 2 * SERVERS; i++) {
        workers[i] =
            (worker){.c = &c, .server = i % SERVERS, .number = i, .rounds = test_scaled(1000)};
        ck_assert_int_eq(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 2 * SERVERS; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < 2 * SERVERS; i++)
        ck_assert_uint_eq(workers[i].failures, 0);
    cluster_close(&c); /* each is sound against the one store */
}
END_TEST

START_TEST(a_release_taken_back_after_another_server_released_it_leaves_no_bit_behind) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    fixture *f = &c.servers[1];
    ipalloc_grant grant = reserve(&c.servers[0], c.pools[0], "Service/a", SLOT, "10.96.0.10");
    assert_sound(f);
    ipalloc_txn *txn = begin(f, "Service/a");
    OK(f, ipalloc_txn_release(txn, c.pools[1], &grant.address, 0, &f->error));
    OK(&c.servers[0], ipalloc_release(c.servers[0].registry, c.pools[0], "Service/a",
                                      &grant.address, 0, &c.servers[0].error));
    ipalloc_registry_validate(f->registry, NULL); /* catches up */
    OK(f, ipalloc_txn_reserve(txn, c.pools[1], SLOT, &grant.address, NULL, &f->error));
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(c.pools[1]), 0);
    reserve(f, c.pools[1], "Service/b", SLOT, "10.96.0.10");
    cluster_close(&c);
}
END_TEST

START_TEST(what_another_server_excluded_while_it_was_claimed_is_excluded_after_an_abort) {
    cluster c;
    cluster_open(&c, "10.96.0.0/24", (ipalloc_pool_definition){0}, NULL);
    fixture *f = &c.servers[1];
    ipalloc_addr wanted = addr("10.96.0.10");
    ipalloc_txn *txn = begin(f, "Service/a");
    OK(f, ipalloc_txn_reserve(txn, c.pools[1], SLOT, &wanted, NULL, &f->error));
    OK(&c.servers[0], ipalloc_pool_exclude(c.pools[0], &wanted, &wanted, &c.servers[0].error));
    ipalloc_registry_validate(f->registry, NULL); /* catches up */
    ipalloc_txn_abort(txn);
    IS(f, ipalloc_reserve(f->registry, c.pools[1], "Service/b", SLOT, &wanted, NULL, &f->error),
       IPALLOC_E_TAKEN);
    ck_assert_message(f, "excluded");
    cluster_close(&c);
}
END_TEST

static void reserve_in_the_middle(void *context) {
    intruder *i = context;
    i->grant = reserve(&i->c->servers[0], i->c->pools[0], "Service/a", SLOT, "fd00::8000:0:0");
}

START_TEST(a_stretch_too_long_to_walk_is_excluded_around_what_is_held_in_it) {
    cluster c;
    cluster_open(&c, "fd00::/64", (ipalloc_pool_definition){.kind = IPALLOC_POOL_IPV6}, NULL);
    intruder i = {.c = &c};
    ipalloc_addr first = addr("fd00::1:0:0"), last = addr("fd00::ffff:ffff:ffff:ffff");
    c.stores[1].before_commit = reserve_in_the_middle;
    c.stores[1].before_context = &i;
    OK(&c.servers[1], ipalloc_pool_exclude(c.pools[1], &first, &last, &c.servers[1].error));
    for (int server = 0; server < SERVERS; server++) {
        assert_sound(&c.servers[server]);
        ck_assert_uint_eq(used_of(c.pools[server]), 1);
        ck_assert_uint_eq(free_of(c.pools[server]), ((uint64_t)1 << 32) - 1);
    }
    cluster_close(&c);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("cache");
    TCase *c = tcase_create("servers");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, what_another_server_allocated_is_taken);
    tcase_add_test(c, a_commit_never_changes_an_address_that_it_has_returned);
    tcase_add_test(c, an_abort_leaves_the_bit_of_a_lease_that_came_meanwhile);
    tcase_add_test(c, full_is_said_only_by_a_memory_that_is_not_behind);
    tcase_add_test(c, an_owner_that_moves_to_another_server_finds_what_it_has);
    tcase_add_test(c, definitions_that_another_server_changed_are_followed);
    tcase_add_test(c, a_history_that_is_no_longer_kept_is_read_anew);
    tcase_add_test(c, a_reserve_finds_what_another_server_has_released);
    tcase_add_test(c, a_planned_release_of_what_is_gone_leaves_no_bit_behind);
    tcase_add_test(c, what_was_allocated_while_it_was_excluded_stays_held_and_is_excluded_after);
    tcase_add_test(c, a_change_that_would_lose_what_was_allocated_meanwhile_is_taken_back);
    tcase_add_test(c, a_definition_that_moved_while_it_was_changed_is_changed_all_the_same);
    tcase_add_test(c, what_another_server_released_cools_here_too);
    tcase_add_test(c, servers_that_fight_over_few_addresses_end_up_agreeing);
    tcase_add_test(c, a_release_taken_back_after_another_server_released_it_leaves_no_bit_behind);
    tcase_add_test(c, what_another_server_excluded_while_it_was_claimed_is_excluded_after_an_abort);
    tcase_add_test(c, a_stretch_too_long_to_walk_is_excluded_around_what_is_held_in_it);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
