/*
 * test_unknown.c: commits that fail, and commits whose outcome is not known at first, by the
 * store's ticket or by reading; definitions in doubt; and stores that refuse to be written to.
 */
#include "shaky.h"

#include <string.h>

/* --- by reading ------------------------------------------------------------------------------- */

START_TEST(a_commit_that_failed_leaves_nothing) {
    static const struct {
        enum wrapped_mood mood;
        int status;
    } ROWS[] = {{MOOD_IO, IPALLOC_E_IO}, {MOOD_DOWN, IPALLOC_E_UNAVAILABLE}};
    for (size_t i = 0; i < 2; i++) {
        shaky s;
        ipalloc_grant grant;
        shaky_open(&s, i == 1);
        ipalloc_txn *txn = shaky_txn(&s, &grant);
        wrapped_set_mood(&s.store, ROWS[i].mood, 1);
        IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), ROWS[i].status);
        shaky_assert_held(&s, &grant, false);
        shaky_close(&s);
    }
}
END_TEST

START_TEST(where_nothing_happens_late_reading_resolves_an_unknown_outcome) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST};
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, false);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error),
       _i == 0 ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE);
    shaky_assert_held(&s, &grant, _i == 0);
    /* A release, and a record alone. */
    grant = allocate(&s.f, s.pool, "Service/a", SHAKY_SLOT);
    txn = begin(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_release(txn, s.pool, &grant.address, 0, &s.f.error));
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error),
       _i == 0 ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE);
    shaky_assert_held(&s, &grant, _i == 1);
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ABSENT,
               _i == 0 ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE);
    shaky_close(&s);
}
END_TEST

/* Of two absent records only the store can tell whether they were absent at once. */
START_TEST(a_check_whose_outcome_is_unknown_changed_nothing) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST};
    for (int tickets = 0; tickets < 2; tickets++) {
        shaky s;
        shaky_open(&s, tickets);
        ipalloc_txn *txn = begin(&s.f, NULL);
        OK(&s.f, ipalloc_txn_check(txn, "none", IPALLOC_REVISION_ABSENT, &s.f.error));
        OK(&s.f, ipalloc_txn_check(txn, "nor this", IPALLOC_REVISION_ABSENT, &s.f.error));
        wrapped_set_mood(&s.store, MOODS[_i], 1);
        IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error),
           tickets ? IPALLOC_E_UNKNOWN_OUTCOME : IPALLOC_E_UNAVAILABLE);
        if (tickets)
            OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
        shaky_close(&s);
    }
}
END_TEST

/* "one" goes, and "other" after it. */
static void delete_both(void *context) {
    shaky *s = context;
    const char *const keys[] = {"one", "other"};
    for (int i = 0; i < 2; i++) {
        ipalloc_txn *txn = begin(&s->f, NULL);
        OK(&s->f, ipalloc_txn_delete(txn, keys[i], IPALLOC_REVISION_ANY, &s->f.error));
        OK(&s->f, ipalloc_txn_commit(txn, NULL, &s->f.error));
    }
}

START_TEST(checks_hold_only_if_all_did_at_once) {
    shaky s;
    shaky_open(&s, false);
    uint64_t one = put_record(&s.f, "one", "x", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    put_record(&s.f, "other", "x", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    ipalloc_txn *txn = begin(&s.f, NULL);
    OK(&s.f, ipalloc_txn_check(txn, "one", one, &s.f.error));
    OK(&s.f, ipalloc_txn_check(txn, "other", IPALLOC_REVISION_ABSENT, &s.f.error));
    s.store.before_context = &s;
    s.store.before_get = delete_both;
    s.store.gets_left = 1; /* between the looks at the two */
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_CONFLICT);
    ck_assert_message(&s.f, "record/one");
    ck_assert(s.store.before_get == NULL);
    shaky_close(&s);
}
END_TEST

START_TEST(where_not_even_reading_works_the_outcome_stays_unknown_until_it_does) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, false);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_APPLIED, 1);
    s.store.reads_fail = true;
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    IS(&s.f, ipalloc_txn_put(txn, "k", "", 0, IPALLOC_REVISION_ANY, &s.f.error), IPALLOC_E_INVALID);
    IS(&s.f, ipalloc_txn_allocate(txn, s.pool, "x", NULL, &s.f.error), IPALLOC_E_INVALID);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    s.store.reads_fail = false;
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    shaky_assert_held(&s, &grant, true);
    shaky_close(&s);
}
END_TEST

static void stop_writing(void *context) {
    wrapped_set_mood(context, MOOD_IO, 1000);
}

START_TEST(a_store_that_stopped_writing_leaves_the_outcome_unknown) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, false);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LOST, 1);
    s.store.before_commit = stop_writing;
    s.store.before_context = &s.store;
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    wrapped_set_mood(&s.store, MOOD_HONEST, 0);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNAVAILABLE);
    shaky_assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

/* --- by the store's ticket -------------------------------------------------------------------- */

/* What the first answer was, what happens next, and how it must end. */
enum next_step { COMMIT_AGAIN, ABORT, DELIVER_THEN_COMMIT, DELIVER_THEN_ABORT };

static const struct {
    enum wrapped_mood mood;
    enum next_step next;
    bool held;
} OUTCOMES[] = {
    {MOOD_UNKNOWN_APPLIED, COMMIT_AGAIN, true},     {MOOD_UNKNOWN_APPLIED, ABORT, true},
    {MOOD_UNKNOWN_LOST, COMMIT_AGAIN, true},        {MOOD_UNKNOWN_LOST, ABORT, false},
    {MOOD_UNKNOWN_LATE, COMMIT_AGAIN, true},        {MOOD_UNKNOWN_LATE, ABORT, false},
    {MOOD_UNKNOWN_LATE, DELIVER_THEN_COMMIT, true}, {MOOD_UNKNOWN_LATE, DELIVER_THEN_ABORT, true},
};

START_TEST(an_unknown_outcome_is_settled) {
    shaky s;
    ipalloc_grant grant;
    ipalloc_lease lease = LEASE;
    uint64_t revision = 0;
    shaky_open(&s, true);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    enum next_step next = OUTCOMES[_i].next;
    wrapped_set_mood(&s.store, OUTCOMES[_i].mood, 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_uint_eq(used_of(s.pool), 1); /* claims stay meanwhile */
    if (next == DELIVER_THEN_COMMIT || next == DELIVER_THEN_ABORT)
        ck_assert_status(wrapped_deliver(&s.store), IPALLOC_OK);
    if (next == ABORT || next == DELIVER_THEN_ABORT)
        ipalloc_txn_abort(txn);
    else
        OK(&s.f, ipalloc_txn_commit(txn, &revision, &s.f.error));
    ck_assert_int_eq(s.store.settled, 1);
    if (s.store.late.op_count > 0) /* the late one can no longer happen */
        ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    shaky_assert_held(&s, &grant, OUTCOMES[_i].held);
    if (revision != 0) {
        OK(&s.f, ipalloc_lookup(s.f.registry, s.pool, &grant.address, &lease, &s.f.error));
        ck_assert_uint_eq(lease.revision, revision);
    }
    shaky_close(&s);
}
END_TEST

START_TEST(what_did_not_happen_is_sent_again_and_may_be_refused) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, true);
    uint64_t revision = put_record(&s.f, "object", "one", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    OK(&s.f, ipalloc_txn_put(txn, "object", "ours", 4, revision, &s.f.error));
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LATE, 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    put_record(&s.f, "object", "theirs", IPALLOC_REVISION_ANY, IPALLOC_OK);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_CONFLICT);
    ck_assert_message(&s.f, "record/object");
    ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    shaky_assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

START_TEST(what_is_sent_again_may_be_in_doubt_again) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, true);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LOST, 3);
    for (int i = 0; i < 3; i++)
        IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    ck_assert_int_eq(s.store.settled, 3);
    shaky_assert_held(&s, &grant, true);
    shaky_close(&s);
}
END_TEST

START_TEST(what_is_sent_again_and_fails_has_not_happened) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, true);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LOST, 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    wrapped_set_mood(&s.store, MOOD_DOWN, 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNAVAILABLE);
    shaky_assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

START_TEST(as_long_as_nobody_can_settle_it_the_outcome_stays_unknown) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, true);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_APPLIED, 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    s.store.settle_fails =
        true; /* the store can be read, and shows the lease: that settles nothing */
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    IS(&s.f, ipalloc_txn_allocate(txn, s.pool, "x", NULL, &s.f.error), IPALLOC_E_INVALID);
    s.store.settle_fails = false;
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    shaky_assert_held(&s, &grant, true);
    shaky_close(&s);
}
END_TEST

/* --- definitions ------------------------------------------------------------------------------ */

START_TEST(a_definition_in_doubt_is_settled_at_once) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST,
                                              MOOD_UNKNOWN_LATE};
    shaky s;
    shaky_open(&s, true);
    ipalloc_cidr range = cidr("10.97.0.0/24");
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    OK(&s.f, ipalloc_pool_add_range(s.pool, &range, &s.f.error));
    if (_i == 2)
        ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    reserve(&s.f, s.pool, "Service/a", SHAKY_SLOT, "10.97.0.7");
    assert_sound(&s.f);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LOST, 1000); /* it is not tried for ever */
    IS(&s.f, ipalloc_pool_drain_range(s.pool, &range, &s.f.error), IPALLOC_E_UNAVAILABLE);
    shaky_close(&s);
}
END_TEST

START_TEST(nothing_is_given_out_while_a_definition_may_change_behind_it) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST,
                                              MOOD_UNKNOWN_LATE};
    shaky s;
    shaky_open(&s, true);
    ipalloc_pool_range_spec half = {.cidr = cidr("10.96.0.0/25")};
    ipalloc_addr beyond = addr("10.96.0.200");
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    s.store.settle_fails = true;
    IS(&s.f, ipalloc_pool_set_ranges(s.pool, &half, 1, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    IS(&s.f,
       ipalloc_reserve(s.f.registry, s.pool, "Service/a", SHAKY_SLOT, &beyond, NULL, &s.f.error),
       IPALLOC_E_UNAVAILABLE);
    IS(&s.f, ipalloc_pool_set_ranges(s.pool, &half, 1, &s.f.error), IPALLOC_E_UNAVAILABLE);
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK); /* draws nothing */
    ck_assert_uint_eq(used_of(s.pool), 0);
    s.store.settle_fails = false;
    IS(&s.f,
       ipalloc_reserve(s.f.registry, s.pool, "Service/a", SHAKY_SLOT, &beyond, NULL, &s.f.error),
       _i == 0 ? IPALLOC_E_NOT_IN_RANGE : IPALLOC_OK);
    if (_i == 2)
        ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    assert_sound(&s.f);
    shaky_close(&s);
}
END_TEST

START_TEST(a_new_stores_mark_in_doubt_is_settled) {
    static const struct {
        enum wrapped_mood mood;
        bool settle_fails;
        int status;
    } ROWS[] = {{MOOD_UNKNOWN_APPLIED, false, IPALLOC_OK},
                {MOOD_UNKNOWN_LOST, false, IPALLOC_OK},
                {MOOD_UNKNOWN_APPLIED, true, IPALLOC_E_UNAVAILABLE}};
    for (size_t i = 0; i < 3; i++) {
        shaky s = {0};
        OK(&s.f, ipalloc_store_open("memory:", NULL, &s.inner, &s.f.error));
        wrapped_open(&s.store, s.inner);
        s.store.tickets = true;
        s.store.settle_fails = ROWS[i].settle_fails;
        wrapped_set_mood(&s.store, ROWS[i].mood, 1);
        IS(&s.f, ipalloc_registry_open(s.store.handle, NULL, &s.f.registry, &s.f.error),
           ROWS[i].status);
        if (ROWS[i].status != IPALLOC_OK)
            OK(&s.f, ipalloc_registry_open(s.store.handle, NULL, &s.f.registry, &s.f.error));
        shaky_close(&s);
    }
}
END_TEST

/* --- read-only and restored stores ------------------------------------------------------------ */

START_TEST(a_restored_store_allocates_nothing_until_it_is_accepted) {
    shaky s;
    ipalloc_txn *txn;
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a"};
    shaky_open(&s, false);
    ipalloc_registry_close(s.f.registry);
    s.store.restored = true;
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    s.pool = open_pool(&s.f, "services");
    IS(&s.f, ipalloc_begin(s.f.registry, &options, &txn, &s.f.error), IPALLOC_E_MISMATCH);
    txn = begin_dry(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SHAKY_SLOT, NULL, &s.f.error));
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    OK(&s.f, ipalloc_store_accept(s.f.store, &s.f.error));
    allocate(&s.f, s.pool, "Service/a", SHAKY_SLOT);
    shaky_close(&s);
}
END_TEST

START_TEST(a_read_only_store_answers_dry_runs_and_refuses_the_rest) {
    shaky s;
    ipalloc_txn *txn;
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a"};
    shaky_open(&s, false);
    ipalloc_registry_close(s.f.registry);
    s.store.read_only = true;
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    s.pool = define_pool(&s.f, "services", "10.96.0.0/24"); /* as it is: fine */
    IS(&s.f, ipalloc_begin(s.f.registry, &options, &txn, &s.f.error), IPALLOC_E_READ_ONLY);
    ipalloc_cidr range = cidr("10.97.0.0/24");
    IS(&s.f, ipalloc_pool_add_range(s.pool, &range, &s.f.error), IPALLOC_E_READ_ONLY);
    txn = begin_dry(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SHAKY_SLOT, NULL, &s.f.error));
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    shaky_close(&s);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("unknown");
    TCase *c = tcase_create("by reading");
    tcase_add_test(c, a_commit_that_failed_leaves_nothing);
    tcase_add_loop_test(c, where_nothing_happens_late_reading_resolves_an_unknown_outcome, 0, 2);
    tcase_add_loop_test(c, a_check_whose_outcome_is_unknown_changed_nothing, 0, 2);
    tcase_add_test(c, checks_hold_only_if_all_did_at_once);
    tcase_add_test(c, where_not_even_reading_works_the_outcome_stays_unknown_until_it_does);
    tcase_add_test(c, a_store_that_stopped_writing_leaves_the_outcome_unknown);
    suite_add_tcase(s, c);
    c = tcase_create("by ticket");
    tcase_add_loop_test(c, an_unknown_outcome_is_settled, 0, LENGTH(OUTCOMES));
    tcase_add_test(c, what_did_not_happen_is_sent_again_and_may_be_refused);
    tcase_add_test(c, what_is_sent_again_may_be_in_doubt_again);
    tcase_add_test(c, what_is_sent_again_and_fails_has_not_happened);
    tcase_add_test(c, as_long_as_nobody_can_settle_it_the_outcome_stays_unknown);
    suite_add_tcase(s, c);
    c = tcase_create("definitions");
    tcase_add_loop_test(c, a_definition_in_doubt_is_settled_at_once, 0, 3);
    tcase_add_loop_test(c, nothing_is_given_out_while_a_definition_may_change_behind_it, 0, 3);
    tcase_add_test(c, a_new_stores_mark_in_doubt_is_settled);
    suite_add_tcase(s, c);
    c = tcase_create("stores that refuse");
    tcase_add_test(c, a_restored_store_allocates_nothing_until_it_is_accepted);
    tcase_add_test(c, a_read_only_store_answers_dry_runs_and_refuses_the_rest);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
