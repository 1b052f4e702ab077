/*
 * test_stranded.c: transactions that ended before it was known what became of them are settled on
 * the way of later calls; and how long a call tries.
 */
#include "shaky.h"

#include <string.h>

/* --- stranded transactions -------------------------------------------------------------------- */

/* The time of the hooks, which the pause between two tries goes by. */
static uint64_t now_ms;

static uint64_t monotonic(void *context) {
    (void)context;
    return now_ms;
}

static void pass_time(void *context) {
    (void)context;
    now_ms += 300;
}

static void strand(shaky *s, enum wrapped_mood mood, const char *owner, ipalloc_grant *grant) {
    ipalloc_txn *txn = begin(&s->f, owner);
    *grant = GRANT;
    OK(&s->f, ipalloc_txn_allocate(txn, s->pool, SHAKY_SLOT, grant, &s->f.error));
    wrapped_set_mood(&s->store, mood, 1);
    IS(&s->f, ipalloc_txn_commit(txn, NULL, &s->f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    s->store.settle_fails = true;
    ipalloc_txn_abort(txn);
    s->store.settle_fails = false;
}

static void reopen_with_clock(shaky *s) {
    ipalloc_hooks hooks = {.size = sizeof hooks, .monotonic_ms = monotonic};
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &hooks};
    ipalloc_registry_close(s->f.registry);
    OK(&s->f, ipalloc_registry_open(s->f.store, &options, &s->f.registry, &s->f.error));
    s->pool = open_pool(&s->f, "services");
}

START_TEST(an_abort_that_cannot_be_settled_keeps_its_claims_until_a_later_commit) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST,
                                              MOOD_UNKNOWN_LATE};
    shaky s;
    ipalloc_grant grant;
    ipalloc_lease lease = LEASE;
    bool held = _i == 0;
    shaky_open(&s, true);
    strand(&s, MOODS[_i], "Service/a", &grant);
    ck_assert_uint_eq(used_of(s.pool), 1);
    IS(&s.f,
       ipalloc_reserve(s.f.registry, s.pool, "Service/b", SHAKY_SLOT, &grant.address, NULL,
                       &s.f.error),
       IPALLOC_E_TAKEN);
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK);
    ck_assert_int_eq(s.store.settled, 1);
    if (_i == 2)
        ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    IS(&s.f, ipalloc_lookup(s.f.registry, s.pool, &grant.address, &lease, &s.f.error),
       held ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    shaky_assert_held(&s, &grant, held);
    shaky_close(&s);
}
END_TEST

START_TEST(an_owner_who_asks_again_is_settled_first) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST};
    shaky s;
    ipalloc_grant other, grant, again;
    shaky_open(&s, true);
    strand(&s, MOOD_UNKNOWN_LOST, "Service/other", &other);
    strand(&s, MOODS[_i], "Service/a", &grant);
    again = reserve(&s.f, s.pool, "Service/a", SHAKY_SLOT,
                    addr_text(&grant.address)); /* in our hands */
    ck_assert_int_eq(again.existing, _i == 0);
    /* Where that took a commit, the other one is settled too. */
    ck_assert_uint_eq(used_of(s.pool), _i == 0 ? 2 : 1);
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK);
    shaky_assert_held(&s, &grant, true);
    shaky_close(&s);
}
END_TEST

START_TEST(few_are_settled_on_the_way_of_one_call) {
    shaky s;
    ipalloc_grant grant;
    char owner[] = "Service/0";
    shaky_open(&s, true);
    for (int i = 0; i < 5; i++, owner[8]++)
        strand(&s, MOOD_UNKNOWN_LOST, owner, &grant);
    static const uint64_t LEFT[] = {3, 1, 0};
    for (int i = 0; i < 3; i++) {
        put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK);
        ck_assert_uint_eq(used_of(s.pool), LEFT[i]);
    }
    assert_sound(&s.f);
    shaky_close(&s);
}
END_TEST

START_TEST(what_could_not_be_settled_is_left_alone_for_a_while) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, true);
    now_ms = 5000;
    reopen_with_clock(&s);
    strand(&s, MOOD_UNKNOWN_LOST, "Service/a", &grant);
    s.store.settle_fails = true;
    s.store.before_settle = pass_time;
    s.store.before_context = &s;
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK);
    s.store.settle_fails = false;
    now_ms += 299;
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK);
    ck_assert_uint_eq(used_of(s.pool), 1);
    now_ms += 1; /* as long as it took in vain */
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK);
    shaky_assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

START_TEST(what_is_stranded_at_close_is_forgotten) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, true);
    strand(&s, MOOD_UNKNOWN_LATE, "Service/a", &grant);
    ipalloc_registry_close(s.f.registry);
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    s.pool = open_pool(&s.f, "services");
    shaky_assert_held(&s, &grant, false);
    ck_assert_status(wrapped_deliver(&s.store), IPALLOC_OK); /* all of it, and the owner's */
    ipalloc_grant again = allocate(&s.f, s.pool, "Service/a", SHAKY_SLOT);
    ck_assert(again.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&again.address, &grant.address), 0);
    assert_sound(&s.f);
    shaky_close(&s);
}
END_TEST

START_TEST(a_one_shot_resolves_an_unknown_outcome_by_itself) {
    shaky s;
    shaky_open(&s, true);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LATE, 1);
    ipalloc_grant grant = allocate(&s.f, s.pool, "Service/a", SHAKY_SLOT);
    ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    shaky_assert_held(&s, &grant, true);
    shaky_close(&s);
}
END_TEST

START_TEST(a_one_shot_that_cannot_be_resolved_says_so_and_asking_again_does) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST,
                                              MOOD_UNKNOWN_LATE};
    shaky s;
    ipalloc_grant grant = GRANT;
    shaky_open(&s, true);
    s.store.settle_fails = true;
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    IS(&s.f, ipalloc_allocate(s.f.registry, s.pool, "Service/a", SHAKY_SLOT, &grant, &s.f.error),
       IPALLOC_E_UNKNOWN_OUTCOME);
    s.store.settle_fails = false;
    ipalloc_grant again = allocate(&s.f, s.pool, "Service/a", SHAKY_SLOT);
    ck_assert_int_eq(again.existing, _i == 0);
    shaky_assert_held(&s, &again, true);
    shaky_close(&s);
}
END_TEST

/* --- deadlines -------------------------------------------------------------------------------- */

START_TEST(a_batch_may_take_what_is_left_of_the_deadline) {
    shaky s;
    ipalloc_txn *txn;
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a"};
    shaky_open(&s, true);
    now_ms = 1000;
    reopen_with_clock(&s);
    OK(&s.f, ipalloc_begin(s.f.registry, &options, &txn, &s.f.error));
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SHAKY_SLOT, NULL, &s.f.error));
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    ck_assert_uint_eq(s.store.timeout_ms, 0);
    options.deadline_ms = 500;
    OK(&s.f, ipalloc_begin(s.f.registry, &options, &txn, &s.f.error));
    now_ms += 200;
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, "other", NULL, &s.f.error));
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    ck_assert_uint_eq(s.store.timeout_ms, 300);
    shaky_close(&s);
}
END_TEST

static int allocate_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    return ipalloc_txn_allocate(txn, context, SHAKY_SLOT, NULL, error);
}

START_TEST(behind_its_deadline_an_unknown_outcome_is_left_for_later) {
    shaky s;
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = "Service/a", .deadline_ms = 300};
    shaky_open(&s, true);
    now_ms = 1000;
    reopen_with_clock(&s);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LOST, 1);
    s.store.before_commit = pass_time; /* as a store does that tries until its time is over */
    s.store.before_context = &s;
    IS(&s.f, ipalloc_transact(s.f.registry, &options, allocate_body, s.pool, NULL, &s.f.error),
       IPALLOC_E_UNKNOWN_OUTCOME);
    ck_assert_int_eq(s.store.settled, 0);
    ck_assert_uint_eq(used_of(s.pool), 1);
    put_record(&s.f, "object", "x", IPALLOC_REVISION_ANY, IPALLOC_OK);
    ck_assert_int_eq(s.store.settled, 1);
    ck_assert_uint_eq(used_of(s.pool), 0);
    shaky_close(&s);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("stranded");
    TCase *c = tcase_create("stranded");
    tcase_add_loop_test(c, an_abort_that_cannot_be_settled_keeps_its_claims_until_a_later_commit, 0,
                        3);
    tcase_add_loop_test(c, an_owner_who_asks_again_is_settled_first, 0, 2);
    tcase_add_test(c, few_are_settled_on_the_way_of_one_call);
    tcase_add_test(c, what_could_not_be_settled_is_left_alone_for_a_while);
    tcase_add_test(c, what_is_stranded_at_close_is_forgotten);
    tcase_add_test(c, a_one_shot_resolves_an_unknown_outcome_by_itself);
    tcase_add_loop_test(c, a_one_shot_that_cannot_be_resolved_says_so_and_asking_again_does, 0, 3);
    suite_add_tcase(s, c);
    c = tcase_create("deadlines");
    tcase_add_test(c, a_batch_may_take_what_is_left_of_the_deadline);
    tcase_add_test(c, behind_its_deadline_an_unknown_outcome_is_left_for_later);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
