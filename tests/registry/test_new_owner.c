/*
 * test_new_owner.c: an owner who is expected to hold nothing: the record is not read, the commit
 * finds out; and what a one-shot costs in calls of the store.
 */
#include "fixture.h"
#include "shared_store.h"

#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

typedef struct single {
    shared_cluster cluster;
    shared_server *store;
    fixture f; /* no store of its own */
    ipalloc_pool *pool;
    int runs; /* of a body */
} single;

static void single_open(single *s, const char *range) {
    s->f = (fixture){0};
    s->runs = 0;
    shared_open(&s->cluster);
    s->store = shared_server_open(&s->cluster, 0);
    s->f.store = s->store->handle;
    OK(&s->f, ipalloc_registry_open(s->f.store, NULL, &s->f.registry, &s->f.error));
    s->pool = define_pool_with(&s->f, "services", range,
                               (ipalloc_pool_definition){.strategy = IPALLOC_STRATEGY_LOWEST});
    shared_reset_counts(s->store);
}

static void single_close(single *s) {
    assert_sound(&s->f);
    ipalloc_registry_close(s->f.registry);
    shared_close(&s->cluster);
}

static ipalloc_txn *begin_new(single *s, const char *owner) {
    ipalloc_txn_options options = {.size = sizeof options, .owner = owner, .new_owner = true};
    ipalloc_txn *txn;
    OK(&s->f, ipalloc_begin(s->f.registry, &options, &txn, &s->f.error));
    return txn;
}

static void assert_calls(single *s, size_t commits, size_t gets) {
    ck_assert_uint_eq(shared_count(s->store, SHARED_COMMIT), commits);
    ck_assert_uint_eq(shared_count(s->store, SHARED_GET), gets);
    ck_assert_uint_eq(shared_count_all(s->store), commits + gets);
    shared_reset_counts(s->store);
}

/* --- cost ------------------------------------------------------------------------------------- */

static int two_slots_and_a_record(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    int status = ipalloc_txn_allocate(txn, context, "one", NULL, error);
    if (status == IPALLOC_OK)
        status = ipalloc_txn_allocate(txn, context, "two", NULL, error);
    if (status == IPALLOC_OK)
        status = ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ANY, error);
    return status;
}

START_TEST(a_new_owner_costs_one_round_trip) {
    single s;
    single_open(&s, "10.96.0.0/24");
    allocate(&s.f, s.pool, "Service/a", SLOT);
    assert_calls(&s, 1, 0);
    reserve(&s.f, s.pool, "Service/b", SLOT, "10.96.0.77");
    assert_calls(&s, 1, 0);
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/c", .new_owner = true};
    OK(&s.f,
       ipalloc_transact(s.f.registry, &options, two_slots_and_a_record, s.pool, NULL, &s.f.error));
    assert_calls(&s, 1, 0);
    options.owner = "Service/d";
    options.new_owner = false;
    OK(&s.f,
       ipalloc_transact(s.f.registry, &options, two_slots_and_a_record, s.pool, NULL, &s.f.error));
    assert_calls(&s, 1, 1);
    single_close(&s);
}
END_TEST

START_TEST(a_wrong_guess_costs_one_commit_and_one_reading) {
    single s;
    single_open(&s, "10.96.0.0/24");
    ipalloc_grant first = allocate(&s.f, s.pool, "Service/a", SLOT);
    shared_reset_counts(s.store);
    ipalloc_grant again = allocate(&s.f, s.pool, "Service/a", SLOT);
    assert_calls(&s, 1, 1);
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&again.address, &first.address), 0);
    ck_assert_uint_eq(used_of(s.pool), 1);
    ck_assert(!allocate(&s.f, s.pool, "Service/a", "other").existing);
    assert_calls(&s, 2, 1);
    ck_assert_uint_eq(used_of(s.pool), 2);
    single_close(&s);
}
END_TEST

/* --- wrong guesses ---------------------------------------------------------------------------- */

START_TEST(a_wrong_guess_is_a_conflict_and_leaves_nothing) {
    single s;
    single_open(&s, "10.96.0.0/24");
    ipalloc_grant first = allocate(&s.f, s.pool, "Service/a", SLOT);
    ipalloc_txn *txn = begin_new(&s, "Service/a");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SLOT, NULL, &s.f.error));
    ck_assert_uint_eq(used_of(s.pool), 2);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_CONFLICT);
    ck_assert_message(&s.f, "owner/");
    ck_assert_uint_eq(used_of(s.pool), 1);
    ipalloc_lease lease = LEASE;
    OK(&s.f, ipalloc_lookup(s.f.registry, s.pool, &first.address, &lease, &s.f.error));
    ck_assert_uint_eq(lease.generation, first.generation);
    single_close(&s);
}
END_TEST

static int count_attempts(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    single *s = context;
    s->runs++;
    return ipalloc_txn_allocate(txn, s->pool, SLOT, NULL, error);
}

START_TEST(transact_guesses_only_once) {
    single s;
    single_open(&s, "10.96.0.0/24");
    allocate(&s.f, s.pool, "Service/a", SLOT);
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = "Service/a", .new_owner = true, .max_attempts = 2};
    OK(&s.f, ipalloc_transact(s.f.registry, &options, count_attempts, &s, NULL, &s.f.error));
    ck_assert_int_eq(s.runs, 2);
    single_close(&s);
}
END_TEST

START_TEST(what_is_refused_to_a_new_owner_may_be_its_own) {
    single s;
    single_open(&s, "10.96.0.0/30"); /* two addresses */
    ipalloc_addr own = addr("10.96.0.1"), other = addr("10.96.0.2"), outside = addr("10.97.0.1");
    ipalloc_grant grant = GRANT;
    reserve(&s.f, s.pool, "Service/a", SLOT, "10.96.0.1");
    reserve(&s.f, s.pool, "Service/b", SLOT, "10.96.0.2");
    ck_assert(allocate(&s.f, s.pool, "Service/a", SLOT).existing); /* though it is full */
    ck_assert(reserve(&s.f, s.pool, "Service/a", SLOT, "10.96.0.1").existing);
    ipalloc_txn *txn = begin_new(&s, "Service/a");
    OK(&s.f, ipalloc_txn_reserve(txn, s.pool, "second", &own, &grant, &s.f.error)); /* shared */
    IS(&s.f, ipalloc_txn_reserve(txn, s.pool, SLOT, &other, &grant, &s.f.error), IPALLOC_E_TAKEN);
    ck_assert_message(&s.f, "has 10.96.0.1 of pool services already");
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    IS(&s.f, ipalloc_allocate(s.f.registry, s.pool, "Service/c", SLOT, NULL, &s.f.error),
       IPALLOC_E_FULL);
    ck_assert_message(&s.f, "is full");
    IS(&s.f, ipalloc_reserve(s.f.registry, s.pool, "Service/c", SLOT, &own, NULL, &s.f.error),
       IPALLOC_E_TAKEN);
    ck_assert_message(&s.f, "is held by Service/a");
    IS(&s.f, ipalloc_reserve(s.f.registry, s.pool, "Service/c", SLOT, &outside, NULL, &s.f.error),
       IPALLOC_E_NOT_IN_RANGE);
    single_close(&s);
}
END_TEST

/* --- steps that must know --------------------------------------------------------------------- */

static int release_it(ipalloc_txn *txn, ipalloc_pool *pool, ipalloc_error *error) {
    ipalloc_addr address = addr("10.96.0.9");
    return ipalloc_txn_release(txn, pool, &address, 0, error);
}

static int release_slot(ipalloc_txn *txn, ipalloc_pool *pool, ipalloc_error *error) {
    return ipalloc_txn_release_slot(txn, pool, SLOT, error);
}

static int release_all(ipalloc_txn *txn, ipalloc_pool *pool, ipalloc_error *error) {
    (void)pool;
    return ipalloc_txn_release_all(txn, error);
}

static int rename_it(ipalloc_txn *txn, ipalloc_pool *pool, ipalloc_error *error) {
    return ipalloc_txn_rename_slot(txn, pool, SLOT, "renamed", error);
}

static int find_it(ipalloc_txn *txn, ipalloc_pool *pool, ipalloc_error *error) {
    return ipalloc_txn_find_slot(txn, pool, SLOT, NULL, error);
}

static const struct {
    int (*step)(ipalloc_txn *, ipalloc_pool *, ipalloc_error *);
    int of_nobody; /* what it is to an owner who holds nothing */
    size_t left;
} KNOWING[] = {{release_it, IPALLOC_OK, 0},
               {release_slot, IPALLOC_OK, 0},
               {release_all, IPALLOC_OK, 0},
               {rename_it, IPALLOC_E_NOT_FOUND, 1},
               {find_it, IPALLOC_E_NOT_FOUND, 1}};

START_TEST(a_step_that_must_know_the_owner_reads_its_record) {
    single s;
    single_open(&s, "10.96.0.0/24");
    ipalloc_txn *txn = begin_new(&s, "Service/a");
    IS(&s.f, KNOWING[_i].step(txn, s.pool, &s.f.error), KNOWING[_i].of_nobody);
    ipalloc_txn_abort(txn);
    txn = begin_new(&s, "Service/a"); /* behind a claim */
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, "other", NULL, &s.f.error));
    IS(&s.f, KNOWING[_i].step(txn, s.pool, &s.f.error), KNOWING[_i].of_nobody);
    ipalloc_txn_abort(txn);
    reserve(&s.f, s.pool, "Service/a", SLOT, "10.96.0.9");
    txn = begin_new(&s, "Service/a"); /* behind a claim, and there is a record */
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, "other", NULL, &s.f.error));
    IS(&s.f, KNOWING[_i].step(txn, s.pool, &s.f.error), IPALLOC_E_CONFLICT);
    ipalloc_txn_abort(txn);
    txn = begin_new(&s, "Service/a");
    OK(&s.f, KNOWING[_i].step(txn, s.pool, &s.f.error));
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    ck_assert_uint_eq(used_of(s.pool), KNOWING[_i].left);
    single_close(&s);
}
END_TEST

START_TEST(where_the_record_cannot_be_read_the_refusal_says_so) {
    single s;
    single_open(&s, "10.96.0.0/24");
    ipalloc_addr outside = addr("10.97.0.1");
    ipalloc_txn *txn = begin_new(&s, "Service/a");
    s.store->cut = true;
    IS(&s.f, ipalloc_txn_reserve(txn, s.pool, SLOT, &outside, NULL, &s.f.error),
       IPALLOC_E_UNAVAILABLE);
    s.store->cut = false;
    ipalloc_txn_abort(txn);
    single_close(&s);
}
END_TEST

START_TEST(a_dry_run_never_guesses) {
    single s;
    single_open(&s, "10.96.0.0/24");
    allocate(&s.f, s.pool, "Service/a", SLOT);
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = "Service/a", .new_owner = true, .dry_run = true};
    ipalloc_txn *txn;
    ipalloc_grant grant = GRANT;
    OK(&s.f, ipalloc_begin(s.f.registry, &options, &txn, &s.f.error));
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SLOT, &grant, &s.f.error));
    ck_assert(grant.existing);
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    single_close(&s);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("new_owner");
    TCase *c = tcase_create("rules");
    tcase_add_test(c, a_new_owner_costs_one_round_trip);
    tcase_add_test(c, a_wrong_guess_costs_one_commit_and_one_reading);
    tcase_add_test(c, a_wrong_guess_is_a_conflict_and_leaves_nothing);
    tcase_add_test(c, transact_guesses_only_once);
    tcase_add_test(c, what_is_refused_to_a_new_owner_may_be_its_own);
    tcase_add_loop_test(c, a_step_that_must_know_the_owner_reads_its_record, 0, LENGTH(KNOWING));
    tcase_add_test(c, where_the_record_cannot_be_read_the_refusal_says_so);
    tcase_add_test(c, a_dry_run_never_guesses);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
