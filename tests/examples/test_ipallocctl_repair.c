/* ipallocctl repair: what it reports, and that only what still holds is applied. */
#include "ctl_process.h"
#include "ctl_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char report[600]; /* a file */
static ipalloc_error error;

static void hold(const char *owner, const char *address) {
    ipalloc_pool *pool = NULL;
    ipalloc_addr parsed = addr(address);
    ck_assert_status(ipalloc_pool_open(registry, "services-v4", &pool, &error), IPALLOC_OK);
    ck_assert_status_error(
        ipalloc_reserve(registry, pool, owner, "clusterIP/IPv4", &parsed, NULL, &error), IPALLOC_OK,
        &error);
}

static void put_service(const char *name, const char *uid, const char *address) {
    char key[128];
    char value[512];
    ipalloc_txn_options options = {.size = sizeof options};
    ipalloc_txn *txn = NULL;
    snprintf(key, sizeof key, "services/default/%s", name);
    snprintf(value, sizeof value,
             "{\"metadata\":{\"uid\":\"%s\"},\"spec\":{\"clusterIP\":\"%s\",\"clusterIPs\":[\"%s\"]"
             "}}",
             uid, address, address);
    ck_assert_status(ipalloc_begin(registry, &options, &txn, &error), IPALLOC_OK);
    ck_assert_status(ipalloc_txn_put(txn, key, value, strlen(value), IPALLOC_REVISION_ANY, &error),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
}

/* A Service that is right, a leak, a missing address, a duplicate, and an owner of another kind. */
static void begin_cluster(void) {
    ipalloc_cidr range = cidr("10.96.0.0/24");
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    ipalloc_pool *pool = NULL;
    begin();
    snprintf(report, sizeof report, "%s/report", directory);
    open_store();
    ck_assert_status(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error),
                     IPALLOC_OK);
    hold("Service/default/web/1", "10.96.0.1");
    put_service("web", "1", "10.96.0.1");
    hold("Service/default/gone/2", "10.96.0.2");
    put_service("lost", "3", "10.96.0.3");
    put_service("twin", "4", "10.96.0.1");
    hold("Router/edge", "10.96.0.5");
    close_store();
}

static void write_report(void) {
    struct ran ran = ctl_expect(0, "repair --report -o json --store=%s", url);
    FILE *file = fopen(report, "w");
    ck_assert_ptr_nonnull(file);
    fputs(ran.out, file);
    fclose(file);
    ran_free(&ran);
}

/* Make the first sighting two minutes older, as if the test had waited. */
static int age(void *context, const ipalloc_entry *entry) {
    char value[1024];
    char *out = context;
    snprintf(value, sizeof value, "%.*s", (int)entry->value.size, (const char *)entry->value.data);
    char *at = strstr(value, "first=");
    ck_assert_msg(at != NULL, "%s", value);
    char *rest = NULL;
    uint64_t first_ms = strtoull(at + strlen("first="), &rest, 10);
    *at = '\0';
    sprintf(out, "%sfirst=%" PRIu64 "%s", value, first_ms - 120000, rest);
    return IPALLOC_OK;
}

static void age_sighting(void) {
    static const char key[] = "sighting/services-v4/010.096.000.002/";
    char value[1200];
    ck_assert_status(ipalloc_store_open(url, NULL, &store, &error), IPALLOC_OK);
    ipalloc_op op = {.kind = IPALLOC_OP_PUT, .key = {key, strlen(key)}};
    ck_assert_status(ipalloc_store_get(store, op.key, age, value, &error), IPALLOC_OK);
    op.value = (ipalloc_bytes){value, strlen(value)};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_OK);
    ck_assert_status(batch.status, IPALLOC_OK);
    ipalloc_store_close(store);
    store = NULL;
}

static void expect_holder(const char *address, const char *words) {
    struct ran ran = ctl_expect(0, "show %s --store=%s", address, url);
    expect_in(ran.out, words);
    ran_free(&ran);
}

START_TEST(a_report_names_leak_missing_and_duplicate_and_changes_no_lease) {
    begin_cluster();
    struct ran before = ctl_expect(0, "list --store=%s", url);
    struct ran ran = ctl_expect(0, "repair --report --store=%s", url);
    expect_in(ran.out, "leak ");
    expect_in(ran.out, "10.96.0.2   Service/default/gone/2");
    expect_in(ran.out, "missing ");
    expect_in(ran.out, "10.96.0.3   Service/default/lost/3");
    expect_in(ran.out, "duplicate ");
    expect_in(ran.out, "10.96.0.1   Service/default/twin/4");
    expect_in(ran.out, "3 leases looked at (1 of owners that are no Services left alone): 1 leaks, "
                       "1 missing, 1 duplicates, 0 out of range; 1 ripe\n");
    expect_in(ran.out, "a leak is ripe when a second report sees it at least 60 s later\n");
    struct ran after = ctl_expect(0, "list --store=%s", url);
    ck_assert_str_eq(before.out, after.out);
    ran_free(&before);
    ran_free(&after);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_leak_is_freed_after_two_sightings_and_the_grace) {
    begin_cluster();
    write_report();
    write_report(); /* at once: not ripe */
    struct ran ran = ctl_expect(0, "repair --apply %s --store=%s", report, url);
    expect_in(ran.out, "1 applied, 0 refused, 2 left\n"); /* the missing one */
    ran_free(&ran);
    expect_holder("10.96.0.2", "Service/default/gone/2");
    expect_holder("10.96.0.3", "Service/default/lost/3");
    age_sighting();
    write_report();
    ran = ctl_expect(0, "repair --apply %s --dry-run --store=%s", report, url);
    expect_in(ran.out, "1 applied (dry run), 0 refused, 1 left\n");
    ran_free(&ran);
    ran = ctl_expect(1, "repair --apply %s --dry-run --grace 200 --store=%s", report, url);
    expect_in(ran.out, "; it was seen over 12");
    expect_in(ran.out, "0 applied (dry run), 1 refused, 1 left\n");
    ran_free(&ran);
    expect_holder("10.96.0.2", "Service/default/gone/2");
    ran = ctl_expect(0, "repair --apply %s -o json --store=%s", report, url);
    expect_in(ran.out, "\"result\":\"applied\"");
    expect_in(ran.out, "\"applied\":1,\"refused\":0,\"left\":1,\"dryRun\":false}");
    ran_free(&ran);
    expect_holder("10.96.0.2", "State:          free");
    expect_holder("10.96.0.1", "Service/default/web/1");
    ran = ctl_expect(1, "repair --apply %s --store=%s", report, url);
    expect_in(ran.out, "has been released since");
    expect_in(ran.errors, "1 lines were refused");
    ran_free(&ran);
    ran = ctl_expect(1, "repair --apply %s --dry-run --store=%s", report, url);
    expect_in(ran.out, "it is not found so any more");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_service_that_names_it_again_keeps_it) {
    begin_cluster();
    write_report();
    age_sighting();
    write_report();
    open_store();
    put_service("gone", "2", "10.96.0.2"); /* between report and apply */
    close_store();
    struct ran ran = ctl_expect(1, "repair --apply %s --store=%s", report, url);
    expect_in(ran.out, "1 applied, 1 refused, 1 left\n");
    ran_free(&ran);
    expect_holder("10.96.0.2", "Service/default/gone/2");
    end();
}
END_TEST

START_TEST(a_dry_run_or_a_store_of_somebody_elses_notes_nothing) {
    begin_cluster();
    struct ran ran = ctl_expect(0, "repair --report --dry-run --store=%s", url);
    expect_in(ran.out, "what was seen is not noted");
    ran_free(&ran);
    open_store();
    ran = ctl_expect(0, "repair --report --store=%s", url);
    expect_in(ran.out, "what was seen is not noted: the store was opened for reading only");
    ran_free(&ran);
    close_store();
    ran = ctl_expect(0, "repair --report -o json --store=%s", url);
    expect_in(ran.out, "\"sightings\":1"); /* the first */
    ran_free(&ran);
    end();
}
END_TEST

static const struct {
    const char *text;
    const char *says;
} wrong_reports[] = {
    {"", "it is no report"},
    {"{}", "it is no report"},
    {"[", "it is no report"},
    {"{\"kind\":\"RepairReport\"}", "lines: the items of a report"},
    {"{\"kind\":\"RepairReport\",\"items\":[{\"pool\":7}]}", "pool: must be text"},
    {"{\"kind\":\"RepairReport\",\"items\":[5]}", "lines: each is an item of a report"},
    {"{\"kind\":\"RepairReport\",\"items\":[null]}", "lines: each is an item of a report"},
    {"{\"kind\":\"RepairReport\",\"items\":[{\"address\":\"10.96.0.300\"}]}", "10.96.0.300"},
    {"{\"kind\":\"RepairReport\",\"items\":[{\"slots\":[1]}]}", "slots: 1 to 63 bytes each"},
    {"{\"kind\":\"RepairReport\",\"items\":[{\"generation\":\"-4\"}]}", "whole number"},
};

START_TEST(a_damaged_report_is_refused_and_nothing_is_applied) {
    begin_cluster();
    for (size_t i = 0; i < sizeof wrong_reports / sizeof wrong_reports[0]; i++) {
        FILE *file = fopen(report, "w");
        fputs(wrong_reports[i].text, file);
        fclose(file);
        struct ran ran = ctl_expect(1, "repair --apply %s --store=%s", report, url);
        expect_in(ran.errors, wrong_reports[i].says);
        ran_free(&ran);
    }
    struct ran ran = ctl_expect(2, "repair --store=%s", url);
    ran_free(&ran);
    ran = ctl_expect(1, "repair --report --grace 0 --store=%s", url);
    expect_in(ran.errors, "grace: at least a second");
    ran_free(&ran);
    ran = ctl_expect(2, "repair --report --apply x --store=%s", url);
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(where_no_service_is_kept_nothing_is_judged) {
    begin_cluster();
    open_store();
    ipalloc_txn_options options = {.size = sizeof options};
    ipalloc_txn *txn = NULL;
    static const char *const names[] = {"services/default/web", "services/default/lost",
                                        "services/default/twin"};
    ck_assert_status(ipalloc_begin(registry, &options, &txn, &error), IPALLOC_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_status(ipalloc_txn_delete(txn, names[i], IPALLOC_REVISION_ANY, &error),
                         IPALLOC_OK);
    }
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_OK);
    close_store();
    struct ran ran = ctl_expect(1, "repair --report --store=%s", url);
    expect_in(ran.errors, "nothing says which leases are needed");
    ran_free(&ran);
    end();
}
END_TEST

START_TEST(a_line_of_a_report_is_not_believed) {
    begin_cluster();
    write_report();
    FILE *file = fopen(report, "w"); /* a line that says of a living lease that it is ripe */
    ck_assert_ptr_nonnull(file);
    fputs("{\"kind\":\"RepairReport\",\"items\":[{\"kind\":\"leak\",\"pool\":\"services-v4\","
          "\"address\":\"10.96.0.1\",\"owner\":\"Service/default/web/1\",\"generation\":1,"
          "\"record\":\"services/default/web\",\"recordRevision\":0,\"ripe\":true}]}",
          file);
    fclose(file);
    struct ran ran = ctl_expect(1, "repair --apply %s --store=%s", report, url);
    expect_in(ran.out, "0 applied, 1 refused, 0 left\n");
    ran_free(&ran);
    expect_holder("10.96.0.1", "Service/default/web/1");
    end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ipallocctl repair");
    TCase *cases = tcase_create("repair");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_report_names_leak_missing_and_duplicate_and_changes_no_lease);
    tcase_add_test(cases, a_leak_is_freed_after_two_sightings_and_the_grace);
    tcase_add_test(cases, a_service_that_names_it_again_keeps_it);
    tcase_add_test(cases, a_dry_run_or_a_store_of_somebody_elses_notes_nothing);
    tcase_add_test(cases, a_damaged_report_is_refused_and_nothing_is_applied);
    tcase_add_test(cases, where_no_service_is_kept_nothing_is_judged);
    tcase_add_test(cases, a_line_of_a_report_is_not_believed);
    suite_add_tcase(suite, cases);
    return test_main(suite);
}
