/*
 * test_repair_together.c: leaks of one owner are freed by few transactions, and each line is
 * answered as if it had been alone.
 */
#include "repair_cluster.h"
#include "wrapped_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAKS = 70, BATCHES_MAX = 3 }; /* 31 leaks and their sightings a transaction */

typedef struct leaking {
    fixture f;
    ipalloc_store *inner;
    wrapped_store wrapped;
    ipalloc_pool *pool;
    ipalloc_repair_line lines[LEAKS + 1]; /* room for one that a test makes up */
    ipalloc_error results[LEAKS + 1];
    size_t count;
} leaking;

static void lease_all(leaking *l, const char *owner) {
    for (int i = 0; i < LEAKS; i++) {
        char slot[32];
        snprintf(slot, sizeof slot, "slot/%d", i);
        allocate(&l->f, l->pool, owner, slot);
    }
}

/* The lines of a report; the second time they are ripe. */
static void read_lines(leaking *l) {
    cluster c = {.registry = l->f.registry};
    ipalloc_live_set live = {
        .size = sizeof live, .context = &c, .record_of = record_of, .list = list_records};
    ipalloc_repair_report *made;
    OK(&l->f, ipalloc_repair(l->f.registry, &live, NULL, &made, &l->f.error));
    for (l->count = 0; l->count < LEAKS; l->count++) {
        l->lines[l->count] = (ipalloc_repair_line){.size = sizeof l->lines[0]};
        OK(&l->f, ipalloc_repair_report_line(made, l->count, &l->lines[l->count], &l->f.error));
    }
    ipalloc_repair_report_free(made);
}

/* One owner has leaked all of them, and its record names none. */
static leaking *leaking_open(void) {
    leaking *l = calloc(1, sizeof *l);
    ck_assert_ptr_nonnull(l);
    clock_ms = 1700000000000;
    ck_assert_status(ipalloc_store_open("memory:", NULL, &l->inner, NULL), IPALLOC_OK);
    wrapped_open(&l->wrapped, l->inner);
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &CLOCK_HOOKS};
    OK(&l->f, ipalloc_registry_open(l->wrapped.handle, &options, &l->f.registry, &l->f.error));
    l->f.store = l->wrapped.handle;
    l->pool = define_pool(&l->f, "services", "10.96.0.0/24");
    lease_all(l, "Service/web/1");
    write_record(l->f.registry, "objects/web", "1\n");
    read_lines(l);
    clock_ms += GRACE_MS;
    read_lines(l);
    return l;
}

static void leaking_close(leaking *l) {
    assert_sound(&l->f);
    ipalloc_registry_close(l->f.registry);
    wrapped_close(&l->wrapped);
    ipalloc_store_close(l->inner);
    free(l);
}

static void apply_all(leaking *l) {
    OK(&l->f,
       ipalloc_repair_apply(l->f.registry, NULL, l->lines, l->count, l->results, &l->f.error));
}

static uint64_t store_revision(leaking *l) {
    ipalloc_store_info info = {.size = sizeof info};
    OK(&l->f, ipalloc_store_get_info(l->f.store, &info, &l->f.error));
    return info.revision;
}

START_TEST(leaks_of_one_owner_are_freed_by_few_transactions) {
    leaking *l = leaking_open();
    uint64_t before = store_revision(l);
    apply_all(l);
    ck_assert_uint_le(store_revision(l) - before, BATCHES_MAX);
    for (size_t i = 0; i < l->count; i++) {
        ck_assert_status_error(l->results[i].status, IPALLOC_OK, &l->results[i]);
        ck_assert_str_eq(l->results[i].message, "");
    }
    ck_assert_uint_eq(used_of(l->pool), 0);
    ck_assert_int_eq(stored_sightings(&l->f), 0);
    ipalloc_pool_stats stats = {.size = sizeof stats};
    OK(&l->f, ipalloc_pool_get_stats(l->pool, &stats, &l->f.error));
    ck_assert_uint_eq(stats.leaks_freed, LEAKS);
    leaking_close(l);
}
END_TEST

static void other_generation(ipalloc_repair_line *line) {
    line->generation++;
}
static void other_owner(ipalloc_repair_line *line) {
    strcpy(line->owner, "Service/web/2");
}
static void other_record(ipalloc_repair_line *line) {
    line->record_revision++;
}
static void no_pool(ipalloc_repair_line *line) {
    strcpy(line->pool, "tomorrow"); /* in the order of a report */
}
static void only_reported(ipalloc_repair_line *line) {
    line->kind = IPALLOC_REPAIR_DUPLICATE;
}

static const struct {
    void (*spoil)(ipalloc_repair_line *line);
    int status;
    const char *says;
} SPOILT[] = {
    {other_generation, IPALLOC_E_CONFLICT, "leased again since"},
    {other_owner, IPALLOC_E_CONFLICT, "leased again since: to Service/web/1"},
    {other_record, IPALLOC_E_CONFLICT, "record objects/web has been changed since"},
    {no_pool, IPALLOC_E_INVALID, "there is no pool tomorrow"},
    {only_reported, IPALLOC_E_INVALID, "is reported only"},
};

START_TEST(one_that_is_refused_keeps_no_other_from_being_freed) {
    leaking *l = leaking_open();
    enum { SPOILT_LINE = 40 };
    SPOILT[_i].spoil(&l->lines[SPOILT_LINE]);
    apply_all(l);
    for (size_t i = 0; i < l->count; i++)
        if (i != SPOILT_LINE)
            ck_assert_status_error(l->results[i].status, IPALLOC_OK, &l->results[i]);
    ck_assert_status_error(l->results[SPOILT_LINE].status, SPOILT[_i].status,
                           &l->results[SPOILT_LINE]);
    ck_assert_ptr_nonnull(strstr(l->results[SPOILT_LINE].message, SPOILT[_i].says));
    ck_assert_uint_eq(used_of(l->pool), 1);
    leaking_close(l);
}
END_TEST

START_TEST(a_line_that_is_given_twice_is_refused_the_second_time) {
    leaking *l = leaking_open();
    memmove(&l->lines[4], &l->lines[3], (l->count - 3) * sizeof l->lines[0]);
    l->count++;
    apply_all(l);
    for (size_t i = 0; i < l->count; i++)
        ck_assert_status_error(l->results[i].status, i == 4 ? IPALLOC_E_CONFLICT : IPALLOC_OK,
                               &l->results[i]);
    ck_assert_uint_eq(used_of(l->pool), 0);
    leaking_close(l);
}
END_TEST

/* As another server does it, under the feet of the commit. */
static void list_one(void *context) {
    const leaking *l = context;
    static const char KEY[] = "record/objects/web";
    char value[100];
    snprintf(value, sizeof value, "1\nservices %s slot/7\n", addr_text(&l->lines[7].address));
    ipalloc_op op = {
        .kind = IPALLOC_OP_PUT, .key = {KEY, sizeof KEY - 1}, .value = {value, strlen(value)}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ck_assert_status(ipalloc_store_commit(l->inner, &batch, 1, NULL), IPALLOC_OK);
}

START_TEST(what_is_listed_before_the_commit_is_not_freed) {
    leaking *l = leaking_open();
    l->wrapped.before_commit = list_one;
    l->wrapped.before_context = l;
    apply_all(l);
    for (size_t i = 0; i < l->count; i++)
        ck_assert_status_error(l->results[i].status, IPALLOC_E_CONFLICT, &l->results[i]);
    ck_assert_uint_eq(used_of(l->pool), LEAKS);
    leaking_close(l);
}
END_TEST

START_TEST(a_store_that_fails_stops_all_of_them) {
    leaking *l = leaking_open();
    wrapped_set_mood(&l->wrapped, MOOD_DOWN, 1000);
    IS(&l->f,
       ipalloc_repair_apply(l->f.registry, NULL, l->lines, l->count, l->results, &l->f.error),
       IPALLOC_E_UNAVAILABLE);
    for (size_t i = 0; i < l->count; i++)
        ck_assert_status(l->results[i].status, IPALLOC_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(l->results[l->count - 1].message, "not tried"));
    wrapped_set_mood(&l->wrapped, MOOD_DOWN, 0);
    apply_all(l);
    ck_assert_uint_eq(used_of(l->pool), 0);
    leaking_close(l);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("repair_together");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, leaks_of_one_owner_are_freed_by_few_transactions);
    tcase_add_loop_test(c, one_that_is_refused_keeps_no_other_from_being_freed, 0,
                        (int)(sizeof SPOILT / sizeof SPOILT[0]));
    tcase_add_test(c, a_line_that_is_given_twice_is_refused_the_second_time);
    tcase_add_test(c, what_is_listed_before_the_commit_is_not_freed);
    tcase_add_test(c, a_store_that_fails_stops_all_of_them);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
