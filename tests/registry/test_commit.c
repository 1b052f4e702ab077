/*
 * test_commit.c: one batch or nothing: the caller's records with their conditions, and conflicts.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char SLOT[] = "clusterIP/IPv4";

/* --- the caller's records --------------------------------------------------------------------- */

typedef struct seen {
    int count;
    uint64_t revision;
    bool deleted;
    char key[64];
    char value[64];
} seen;

static int see(void *context, const ipalloc_entry *entry) {
    seen *s = context;
    s->count++;
    s->revision = entry->revision;
    s->deleted = entry->deleted;
    memcpy(s->key, entry->key.data, entry->key.size);
    s->key[entry->key.size] = '\0';
    if (entry->value.size > 0)
        memcpy(s->value, entry->value.data, entry->value.size);
    s->value[entry->value.size] = '\0';
    return 0;
}

static uint64_t put(fixture *f, const char *key, const char *value, uint64_t expected, int want) {
    ipalloc_txn *txn = begin(f, NULL);
    uint64_t revision = 0;
    OK(f, ipalloc_txn_put(txn, key, value, strlen(value), expected, &f->error));
    IS(f, ipalloc_txn_commit(txn, &revision, &f->error), want);
    return revision;
}

START_TEST(a_record_is_read_back_with_its_revision) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    seen s = {0};
    IS(&f, ipalloc_record_get(f.registry, "services/a", see, &s, &f.error), IPALLOC_E_NOT_FOUND);
    uint64_t first = put(&f, "services/a", "one", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    OK(&f, ipalloc_record_get(f.registry, "services/a", see, &s, &f.error));
    ck_assert_str_eq(s.key, "services/a");
    ck_assert_str_eq(s.value, "one");
    ck_assert_uint_eq(s.revision, first);
    uint64_t second = put(&f, "services/b", "two", IPALLOC_REVISION_ANY, IPALLOC_OK);
    ck_assert_uint_gt(second, first);
    s = (seen){0};
    uint64_t at;
    OK(&f, ipalloc_record_scan(f.registry, "services/", NULL, 0, see, &s, &at, &f.error));
    ck_assert_int_eq(s.count, 2);
    ck_assert_uint_eq(at, second);
    s = (seen){0};
    OK(&f, ipalloc_record_scan(f.registry, "services/", "services/a", 0, see, &s, &at, &f.error));
    ck_assert_int_eq(s.count, 1);
    ck_assert_str_eq(s.key, "services/b");
    fixture_close(&f);
}
END_TEST

START_TEST(a_condition_that_does_not_hold_is_a_conflict_and_nothing_happens) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    uint64_t first = put(&f, "object", "one", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    put(&f, "object", "two", IPALLOC_REVISION_ABSENT, IPALLOC_E_CONFLICT);
    ck_assert_message(&f, "record/object");
    put(&f, "object", "two", first + 1, IPALLOC_E_CONFLICT);
    ipalloc_txn *txn = begin(&f, "Service/a");
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error));
    OK(&f, ipalloc_txn_delete(txn, "object", first + 1, &f.error));
    IS(&f, ipalloc_txn_commit(txn, NULL, &f.error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(pool), 0);
    seen s = {0};
    OK(&f, ipalloc_record_get(f.registry, "object", see, &s, &f.error));
    ck_assert_str_eq(s.value, "one");
    put(&f, "object", "two", first, IPALLOC_OK);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static int commit_check(fixture *f, bool dry_run, const char *key, uint64_t expected) {
    ipalloc_txn *txn = dry_run ? begin_dry(f, NULL) : begin(f, NULL);
    OK(f, ipalloc_txn_check(txn, key, expected, &f->error));
    return ipalloc_txn_commit(txn, NULL, &f->error);
}

START_TEST(a_check_is_a_condition_without_a_change) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    uint64_t first = put(&f, "object", "one", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    for (int dry = 0; dry < 2; dry++) { /* by itself */
        IS(&f, commit_check(&f, dry, "object", first), IPALLOC_OK);
        IS(&f, commit_check(&f, dry, "object", first + 1), IPALLOC_E_CONFLICT);
        ck_assert_message(&f, "record/object");
        IS(&f, commit_check(&f, dry, "object", IPALLOC_REVISION_ABSENT), IPALLOC_E_CONFLICT);
        IS(&f, commit_check(&f, dry, "none", IPALLOC_REVISION_ABSENT), IPALLOC_OK);
        IS(&f, commit_check(&f, dry, "none", 1), IPALLOC_E_CONFLICT);
    }
    ipalloc_txn *txn = begin(&f, "Service/a"); /* beside a claim */
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error));
    OK(&f, ipalloc_txn_check(txn, "object", first, &f.error));
    put(&f, "object", "two", first, IPALLOC_OK);
    IS(&f, ipalloc_txn_commit(txn, NULL, &f.error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(pool), 0);
    txn = begin(&f, NULL);
    OK(&f, ipalloc_txn_check(txn, "object", first, &f.error));
    IS(&f, ipalloc_txn_delete(txn, "object", first, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_check(txn, "other", IPALLOC_REVISION_ANY, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_check(txn, NULL, 1, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_check(NULL, "other", 1, &f.error), IPALLOC_E_INVALID);
    ipalloc_txn_abort(txn);
    fixture_close(&f);
}
END_TEST

START_TEST(changes_tell_of_the_callers_records_only) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    uint64_t first = put(&f, "object", "one", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    allocate(&f, pool, "Service/a", SLOT);
    ipalloc_txn *txn = begin(&f, NULL);
    uint64_t last, up_to;
    OK(&f, ipalloc_txn_delete(txn, "object", first, &f.error));
    OK(&f, ipalloc_txn_commit(txn, &last, &f.error));
    seen s = {0};
    OK(&f, ipalloc_record_changes(f.registry, first, NULL, 0, see, &s, &up_to, &f.error));
    ck_assert_int_eq(s.count, 1);
    ck_assert(s.deleted);
    ck_assert_str_eq(s.key, "object");
    ck_assert_uint_eq(s.revision, last);
    ck_assert_uint_ge(up_to, last);
    fixture_close(&f);
}
END_TEST

START_TEST(record_and_lease_are_one_batch) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_txn *txn = begin(&f, "Service/a");
    ipalloc_grant grant = GRANT;
    ipalloc_lease lease = LEASE;
    uint64_t revision;
    seen s = {0};
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, &grant, &f.error));
    OK(&f, ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ABSENT, &f.error));
    IS(&f, ipalloc_lookup(f.registry, pool, &grant.address, &lease, &f.error), IPALLOC_E_NOT_FOUND);
    OK(&f, ipalloc_txn_commit(txn, &revision, &f.error));
    OK(&f, ipalloc_lookup(f.registry, pool, &grant.address, &lease, &f.error));
    OK(&f, ipalloc_record_get(f.registry, "object", see, &s, &f.error));
    ck_assert_uint_eq(lease.revision, revision);
    ck_assert_uint_eq(s.revision, revision);
    fixture_close(&f);
}
END_TEST

START_TEST(a_record_is_checked_for_its_limits) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    static char key[IPALLOC_RECORD_KEY_MAX + 2];
    memset(key, 'k', IPALLOC_RECORD_KEY_MAX + 1);
    ipalloc_txn *txn = begin(&f, NULL);
    IS(&f, ipalloc_txn_put(txn, key, "", 0, IPALLOC_REVISION_ANY, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_put(txn, "", "", 0, IPALLOC_REVISION_ANY, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_put(txn, NULL, "", 0, IPALLOC_REVISION_ANY, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_put(txn, "k", NULL, 1, IPALLOC_REVISION_ANY, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_txn_put(txn, "k", "", IPALLOC_VALUE_MAX + 1, IPALLOC_REVISION_ANY, &f.error),
       IPALLOC_E_INVALID);
    key[IPALLOC_RECORD_KEY_MAX] = '\0';
    OK(&f, ipalloc_txn_put(txn, key, "", 0, IPALLOC_REVISION_ANY, &f.error));
    IS(&f, ipalloc_txn_delete(txn, key, IPALLOC_REVISION_ANY, &f.error), IPALLOC_E_INVALID);
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    IS(&f, ipalloc_txn_commit(NULL, NULL, &f.error), IPALLOC_E_INVALID);
    fixture_close(&f);
}
END_TEST

START_TEST(a_transaction_that_changes_nothing_does_not_touch_the_store) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    allocate(&f, pool, "Service/a", SLOT);
    ipalloc_store_info before = {.size = sizeof before}, after = {.size = sizeof after};
    OK(&f, ipalloc_store_get_info(f.store, &before, &f.error));
    ck_assert(allocate(&f, pool, "Service/a", SLOT).existing);
    ipalloc_txn *txn = begin(&f, "Service/b");
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    uint64_t revision = 1;
    txn = begin(&f, "Service/a"); /* its record is there, the other is not */
    OK(&f, ipalloc_txn_check(txn, "none", IPALLOC_REVISION_ABSENT, &f.error));
    OK(&f, ipalloc_txn_allocate(txn, pool, SLOT, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, &revision, &f.error));
    ck_assert_uint_eq(revision, 0);
    OK(&f, ipalloc_store_get_info(f.store, &after, &f.error));
    ck_assert_uint_eq(before.revision, after.revision);
    fixture_close(&f);
}
END_TEST

START_TEST(of_two_transactions_of_one_owner_the_second_is_a_conflict) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_txn *first = begin(&f, "Service/a"), *second = begin(&f, "Service/a");
    ipalloc_grant one = GRANT, two = GRANT;
    OK(&f, ipalloc_txn_allocate(first, pool, SLOT, &one, &f.error));
    OK(&f, ipalloc_txn_allocate(second, pool, SLOT, &two, &f.error));
    OK(&f, ipalloc_txn_commit(first, NULL, &f.error));
    IS(&f, ipalloc_txn_commit(second, NULL, &f.error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(used_of(pool), 1);
    two = allocate(&f, pool, "Service/a", SLOT);
    ck_assert(two.existing);
    ck_assert_int_eq(ipalloc_addr_compare(&one.address, &two.address), 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* --- transact --------------------------------------------------------------------------------- */

typedef struct rerun {
    fixture *f;
    int runs;
    int disturb; /* how many runs somebody else gets in between */
} rerun;

static int disturbed_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    rerun *r = context;
    seen s = {0};
    r->runs++;
    if (ipalloc_record_get(r->f->registry, "object", see, &s, NULL) != IPALLOC_OK)
        s.revision = IPALLOC_REVISION_ABSENT;
    if (r->runs <= r->disturb)
        put(r->f, "object", "theirs", IPALLOC_REVISION_ANY, IPALLOC_OK);
    return ipalloc_txn_put(txn, "object", "ours", 4, s.revision, error);
}

START_TEST(transact_runs_the_body_again_on_conflict) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    rerun r = {.f = &f, .disturb = 3};
    OK(&f, ipalloc_transact(f.registry, NULL, disturbed_body, &r, NULL, &f.error));
    ck_assert_int_eq(r.runs, 4);
    r = (rerun){.f = &f, .disturb = 100};
    ipalloc_txn_options options = {.size = sizeof options, .max_attempts = 2};
    IS(&f, ipalloc_transact(f.registry, &options, disturbed_body, &r, NULL, &f.error),
       IPALLOC_E_CONFLICT);
    ck_assert_int_eq(r.runs, 2);
    fixture_close(&f);
}
END_TEST

static int slow_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    struct timespec pause = {.tv_nsec = 3000000};
    nanosleep(&pause, NULL);
    return disturbed_body(txn, context, error);
}

START_TEST(reruns_end_with_the_deadline) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    rerun r = {.f = &f, .disturb = 100000};
    ipalloc_txn_options options = {
        .size = sizeof options, .deadline_ms = 50, .max_attempts = 100000};
    IS(&f, ipalloc_transact(f.registry, &options, slow_body, &r, NULL, &f.error),
       IPALLOC_E_UNAVAILABLE);
    ck_assert_int_le(r.runs, 18);
    fixture_close(&f);
}
END_TEST

static int refusing_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    (void)error;
    OK((fixture *)context,
       ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ANY, &((fixture *)context)->error));
    return IPALLOC_E_NOT_FOUND;
}

START_TEST(what_the_body_refuses_is_aborted) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    seen s = {0};
    IS(&f, ipalloc_transact(f.registry, NULL, refusing_body, &f, NULL, NULL), IPALLOC_E_NOT_FOUND);
    IS(&f, ipalloc_record_get(f.registry, "object", see, &s, &f.error), IPALLOC_E_NOT_FOUND);
    fixture_close(&f);
}
END_TEST

START_TEST(a_second_registry_on_one_store_is_busy) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_registry *second;
    IS(&f, ipalloc_registry_open(f.store, NULL, &second, &f.error), IPALLOC_E_BUSY);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("commit");
    TCase *c = tcase_create("records");
    tcase_add_loop_test(c, a_record_is_read_back_with_its_revision, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_condition_that_does_not_hold_is_a_conflict_and_nothing_happens, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, a_check_is_a_condition_without_a_change, 0, STORE_KINDS);
    tcase_add_loop_test(c, changes_tell_of_the_callers_records_only, 0, STORE_KINDS);
    tcase_add_loop_test(c, record_and_lease_are_one_batch, 0, STORE_KINDS);
    tcase_add_test(c, a_record_is_checked_for_its_limits);
    tcase_add_loop_test(c, a_transaction_that_changes_nothing_does_not_touch_the_store, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, of_two_transactions_of_one_owner_the_second_is_a_conflict, 0,
                        STORE_KINDS);
    tcase_add_loop_test(c, transact_runs_the_body_again_on_conflict, 0, STORE_KINDS);
    tcase_add_loop_test(c, reruns_end_with_the_deadline, 0, STORE_KINDS);
    tcase_add_loop_test(c, what_the_body_refuses_is_aborted, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_second_registry_on_one_store_is_busy, 0, STORE_KINDS);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
