/*
 * test_commit.c: one batch or nothing: the caller's records with their conditions, conflicts, and
 * outcomes that are not known at first.
 */
#include "fixture.h"
#include "wrapped_store.h"

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

/* --- a store that fails ----------------------------------------------------------------------- */

typedef struct shaky {
    ipalloc_store *inner;
    wrapped_store store;
    fixture f; /* its registry and error only */
    ipalloc_pool *pool;
} shaky;

static void shaky_open(shaky *s, uint64_t late_ms_max) {
    *s = (shaky){0};
    OK(&s->f, ipalloc_store_open("memory:", NULL, &s->inner, &s->f.error));
    wrapped_open(&s->store, s->inner);
    s->store.late_ms_max = late_ms_max;
    s->f.store = s->store.handle;
    OK(&s->f, ipalloc_registry_open(s->f.store, NULL, &s->f.registry, &s->f.error));
    s->pool = define_pool(&s->f, "services", "10.96.0.0/24");
}

static void shaky_close(shaky *s) {
    ipalloc_registry_close(s->f.registry);
    wrapped_close(&s->store);
    ipalloc_store_close(s->inner);
}

static ipalloc_txn *shaky_txn(shaky *s, ipalloc_grant *grant) {
    ipalloc_txn *txn = begin(&s->f, "Service/a");
    *grant = GRANT;
    OK(&s->f, ipalloc_txn_allocate(txn, s->pool, SLOT, grant, &s->f.error));
    return txn;
}

static void assert_held(shaky *s, const ipalloc_grant *grant, bool held) {
    ipalloc_lease lease = LEASE;
    IS(&s->f, ipalloc_lookup(s->f.registry, s->pool, &grant->address, &lease, &s->f.error),
       held ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    ck_assert_uint_eq(used_of(s->pool), held);
    assert_sound(&s->f);
}

START_TEST(a_commit_that_failed_leaves_nothing) {
    static const struct {
        enum wrapped_mood mood;
        int status;
    } ROWS[] = {{MOOD_IO, IPALLOC_E_IO}, {MOOD_DOWN, IPALLOC_E_UNAVAILABLE}};
    for (size_t i = 0; i < 2; i++) {
        shaky s;
        ipalloc_grant grant;
        shaky_open(&s, i == 0 ? 0 : 1000);
        ipalloc_txn *txn = shaky_txn(&s, &grant);
        wrapped_set_mood(&s.store, ROWS[i].mood, 1);
        IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), ROWS[i].status);
        assert_held(&s, &grant, false);
        shaky_close(&s);
    }
}
END_TEST

START_TEST(where_nothing_happens_late_reading_resolves_an_unknown_outcome) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST};
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, 0);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error),
       _i == 0 ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE);
    assert_held(&s, &grant, _i == 0);
    /* A release, and a record alone. */
    grant = allocate(&s.f, s.pool, "Service/a", SLOT);
    txn = begin(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_release(txn, s.pool, &grant.address, 0, &s.f.error));
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error),
       _i == 0 ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE);
    assert_held(&s, &grant, _i == 1);
    wrapped_set_mood(&s.store, MOODS[_i], 1);
    put(&s.f, "object", "x", IPALLOC_REVISION_ABSENT, _i == 0 ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE);
    shaky_close(&s);
}
END_TEST

/* Of two absent records only the store can tell whether they were absent at once. */
START_TEST(a_check_whose_outcome_is_unknown_changed_nothing) {
    static const enum wrapped_mood MOODS[] = {MOOD_UNKNOWN_APPLIED, MOOD_UNKNOWN_LOST};
    for (int late = 0; late < 2; late++) {
        shaky s;
        shaky_open(&s, late ? 1000 : 0);
        ipalloc_txn *txn = begin(&s.f, NULL);
        OK(&s.f, ipalloc_txn_check(txn, "none", IPALLOC_REVISION_ABSENT, &s.f.error));
        OK(&s.f, ipalloc_txn_check(txn, "nor this", IPALLOC_REVISION_ABSENT, &s.f.error));
        wrapped_set_mood(&s.store, MOODS[_i], 1);
        IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNAVAILABLE);
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
    shaky_open(&s, 0);
    uint64_t one = put(&s.f, "one", "x", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    put(&s.f, "other", "x", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
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
    shaky_open(&s, 0);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_APPLIED, 1);
    s.store.reads_fail = true;
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    IS(&s.f, ipalloc_txn_put(txn, "k", "", 0, IPALLOC_REVISION_ANY, &s.f.error), IPALLOC_E_INVALID);
    IS(&s.f, ipalloc_txn_allocate(txn, s.pool, "x", NULL, &s.f.error), IPALLOC_E_INVALID);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    s.store.reads_fail = false;
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    assert_held(&s, &grant, true);
    shaky_close(&s);
}
END_TEST

static void stop_writing(void *context) {
    wrapped_set_mood(context, MOOD_IO, 1000);
}

START_TEST(a_store_that_stopped_writing_leaves_the_outcome_unknown) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, 0);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LOST, 1);
    s.store.before_commit = stop_writing;
    s.store.before_context = &s.store;
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    wrapped_set_mood(&s.store, MOOD_HONEST, 0);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNAVAILABLE);
    assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

/* A store whose batches may arrive late: what the first answer was, what happens next, and how it
 * must end. */
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

START_TEST(an_unknown_outcome_is_settled_by_who_writes_the_token) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, 60000);
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
        OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    if (s.store.late.op_count > 0) /* the late one finds the token decided */
        ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    assert_held(&s, &grant, OUTCOMES[_i].held);
    shaky_close(&s);
}
END_TEST

START_TEST(a_late_batch_that_was_refused_on_asking_again_can_no_longer_happen) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, 60000);
    uint64_t revision = put(&s.f, "object", "one", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    OK(&s.f, ipalloc_txn_put(txn, "object", "ours", 4, revision, &s.f.error));
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LATE, 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    put(&s.f, "object", "theirs", IPALLOC_REVISION_ANY, IPALLOC_OK);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_CONFLICT);
    ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

static void doubt_next(void *context) {
    wrapped_set_mood(context, MOOD_UNKNOWN_APPLIED, 1);
}

START_TEST(a_settlement_whose_own_outcome_is_unknown_is_found_by_committing_again) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, 60000);
    uint64_t revision = put(&s.f, "object", "one", IPALLOC_REVISION_ABSENT, IPALLOC_OK);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    OK(&s.f, ipalloc_txn_put(txn, "object", "ours", 4, revision, &s.f.error));
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LATE, 1);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    put(&s.f, "object", "theirs", IPALLOC_REVISION_ANY, IPALLOC_OK);
    s.store.reads_fail = true;
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    s.store.reads_fail = false;
    s.store.before_commit = doubt_next; /* sent again: refused; then "aborted" is in doubt */
    s.store.before_context = &s.store;
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_CONFLICT);
    ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

START_TEST(an_abort_that_cannot_be_settled_keeps_its_claims_until_reopening) {
    shaky s;
    ipalloc_grant grant;
    shaky_open(&s, 60000);
    ipalloc_txn *txn = shaky_txn(&s, &grant);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LOST, 2);
    IS(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error), IPALLOC_E_UNKNOWN_OUTCOME);
    ipalloc_txn_abort(txn);
    ck_assert_uint_eq(used_of(s.pool), 1);
    IS(&s.f,
       ipalloc_reserve(s.f.registry, s.pool, "Service/b", SLOT, &grant.address, NULL, &s.f.error),
       IPALLOC_E_TAKEN);
    ipalloc_registry_close(s.f.registry);
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    s.pool = open_pool(&s.f, "services");
    assert_held(&s, &grant, false);
    shaky_close(&s);
}
END_TEST

START_TEST(a_one_shot_resolves_an_unknown_outcome_by_itself) {
    shaky s;
    shaky_open(&s, 60000);
    wrapped_set_mood(&s.store, MOOD_UNKNOWN_LATE, 1);
    ipalloc_grant grant = allocate(&s.f, s.pool, "Service/a", SLOT);
    ck_assert_status(wrapped_deliver(&s.store), IPALLOC_E_CONFLICT);
    assert_held(&s, &grant, true);
    shaky_close(&s);
}
END_TEST

static int count_entry(void *context, const ipalloc_entry *entry) {
    (void)entry;
    ++*(int *)context;
    return 0;
}

static int count_tokens(shaky *s) {
    int count = 0;
    ipalloc_bytes prefix = {.data = "token/", .size = 6};
    OK(&s->f, ipalloc_store_scan(s->inner, prefix, (ipalloc_bytes){0}, 0, count_entry, &count, NULL,
                                 &s->f.error));
    return count;
}

START_TEST(decided_tokens_go_once_nothing_late_can_meet_them) {
    shaky s;
    shaky_open(&s, 1);
    char owner[32];
    for (int i = 0; i < 20; i++) {
        snprintf(owner, sizeof owner, "Service/%d", i);
        allocate(&s.f, s.pool, owner, SLOT);
        struct timespec pause = {.tv_nsec = 2500000};
        nanosleep(&pause, NULL);
    }
    ck_assert_int_le(count_tokens(&s), 3);
    struct timespec pause = {.tv_nsec = 2500000};
    nanosleep(&pause, NULL);
    ipalloc_registry_close(s.f.registry);
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    ck_assert_int_eq(count_tokens(&s), 0);
    shaky_close(&s);
}
END_TEST

/* --- read-only and restored stores ------------------------------------------------------------ */

START_TEST(a_restored_store_allocates_nothing_until_it_is_accepted) {
    shaky s;
    ipalloc_txn *txn;
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a"};
    shaky_open(&s, 0);
    ipalloc_registry_close(s.f.registry);
    s.store.restored = true;
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    s.pool = open_pool(&s.f, "services");
    IS(&s.f, ipalloc_begin(s.f.registry, &options, &txn, &s.f.error), IPALLOC_E_MISMATCH);
    txn = begin_dry(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SLOT, NULL, &s.f.error));
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    OK(&s.f, ipalloc_store_accept(s.f.store, &s.f.error));
    allocate(&s.f, s.pool, "Service/a", SLOT);
    shaky_close(&s);
}
END_TEST

START_TEST(a_read_only_store_answers_dry_runs_and_refuses_the_rest) {
    shaky s;
    ipalloc_txn *txn;
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a"};
    shaky_open(&s, 0);
    ipalloc_registry_close(s.f.registry);
    s.store.read_only = true;
    OK(&s.f, ipalloc_registry_open(s.f.store, NULL, &s.f.registry, &s.f.error));
    s.pool = define_pool(&s.f, "services", "10.96.0.0/24"); /* as it is: fine */
    IS(&s.f, ipalloc_begin(s.f.registry, &options, &txn, &s.f.error), IPALLOC_E_READ_ONLY);
    ipalloc_cidr range = cidr("10.97.0.0/24");
    IS(&s.f, ipalloc_pool_add_range(s.pool, &range, &s.f.error), IPALLOC_E_READ_ONLY);
    txn = begin_dry(&s.f, "Service/a");
    OK(&s.f, ipalloc_txn_allocate(txn, s.pool, SLOT, NULL, &s.f.error));
    OK(&s.f, ipalloc_txn_commit(txn, NULL, &s.f.error));
    shaky_close(&s);
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
    c = tcase_create("failing stores");
    tcase_add_test(c, a_commit_that_failed_leaves_nothing);
    tcase_add_loop_test(c, where_nothing_happens_late_reading_resolves_an_unknown_outcome, 0, 2);
    tcase_add_loop_test(c, a_check_whose_outcome_is_unknown_changed_nothing, 0, 2);
    tcase_add_test(c, checks_hold_only_if_all_did_at_once);
    tcase_add_test(c, where_not_even_reading_works_the_outcome_stays_unknown_until_it_does);
    tcase_add_loop_test(c, an_unknown_outcome_is_settled_by_who_writes_the_token, 0,
                        (int)(sizeof OUTCOMES / sizeof OUTCOMES[0]));
    tcase_add_test(c, a_late_batch_that_was_refused_on_asking_again_can_no_longer_happen);
    tcase_add_test(c, a_store_that_stopped_writing_leaves_the_outcome_unknown);
    tcase_add_test(c, a_settlement_whose_own_outcome_is_unknown_is_found_by_committing_again);
    tcase_add_test(c, an_abort_that_cannot_be_settled_keeps_its_claims_until_reopening);
    tcase_add_test(c, a_one_shot_resolves_an_unknown_outcome_by_itself);
    tcase_add_test(c, decided_tokens_go_once_nothing_late_can_meet_them);
    tcase_add_test(c, a_restored_store_allocates_nothing_until_it_is_accepted);
    tcase_add_test(c, a_read_only_store_answers_dry_runs_and_refuses_the_rest);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
