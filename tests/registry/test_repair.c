/*
 * test_repair.c: the report: what is found between leases and the records that should list them,
 * when a leak is ripe, and what callers may list.
 */
#include "repair_cluster.h"

#include <stdio.h>
#include <string.h>

/* --- what is found ---------------------------------------------------------------------------- */

START_TEST(where_all_agree_nothing_is_found) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = make_leak(&f), *ports = define_ports(&f, "ports", 1, 100);
    ipalloc_txn *txn = begin(&f, "Service/web/1");
    OK(&f, ipalloc_txn_reserve_port(txn, ports, "nodePort/80/TCP", 80, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    reserve(&f, pool, "Import/10.96.0.0", SLOT, "10.96.0.77"); /* not ours to judge */
    write_record(f.registry, "objects/web",
                 "1\nservices 10.96.0.5 clusterIP/IPv4\nports 80 nodePort/80/TCP\n");
    write_record(f.registry, "objects/headless", "2\n");
    report r = repair(&f);
    ck_assert_uint_eq(r.summary.lines, 0);
    ck_assert_uint_eq(r.summary.leases, 3);
    ck_assert_uint_eq(r.summary.not_judged, 1);
    ck_assert_uint_eq(r.summary.live, 2);
    ck_assert_int_eq(stored_sightings(&f), 0);
    fixture_close(&f);
}
END_TEST

static const struct {
    const char *record; /* of objects/web; NULL: none */
    int kind;           /* 0: nothing is found */
    const char *owner, *holder;
    bool absent, ripe;
    const char *says;
} FINDINGS[] = {
    /* 10.96.0.5 is leased to Service/web/1 */
    {NULL, IPALLOC_REPAIR_LEAK, "Service/web/1", "", true, false, "there is no record objects/web"},
    {"1\n", IPALLOC_REPAIR_LEAK, "Service/web/1", "", false, false,
     "record objects/web does not list it; it was seen once, and is freed after two sightings at "
     "least 60000 ms apart"},
    {"2\n", IPALLOC_REPAIR_LEAK, "Service/web/1", "", false, false, "does not list it"},
    {"1\nservices 10.96.0.5 clusterIP/IPv4\n", 0, NULL, NULL, false, false, NULL},
    {"1\nservices 10.96.0.5 another\n", 0, NULL, NULL, false, false, NULL},
    {"2\nservices 10.96.0.5 clusterIP/IPv4\n", IPALLOC_REPAIR_DUPLICATE, "Service/web/2",
     "Service/web/1", false, false, "leased to Service/web/1; this is reported only"},
    {"1\nservices 10.96.0.5 clusterIP/IPv4\nservices 10.96.0.6 second\n", IPALLOC_REPAIR_MISSING,
     "Service/web/1", "", false, true, "10.96.0.6 is listed by Service/web/1"},
    {"1\nservices 10.96.0.5 clusterIP/IPv4\nservices 10.97.0.6 second\n",
     IPALLOC_REPAIR_OUT_OF_RANGE, "Service/web/1", "", false, false,
     "in no range of pool services"},
    {"1\nservices 10.96.0.5 clusterIP/IPv4\nservices fd00::1 second\n", IPALLOC_REPAIR_OUT_OF_RANGE,
     "Service/web/1", "", false, false, "fd00::1"},
    {"1\nservices 10.96.0.5 clusterIP/IPv4\nservices 10.96.0.0 second\n",
     IPALLOC_REPAIR_OUT_OF_RANGE, "Service/web/1", "", false, false, "10.96.0.0"},
    {"1\nservices 10.96.0.5 clusterIP/IPv4\nnowhere 10.96.0.6 second\n",
     IPALLOC_REPAIR_OUT_OF_RANGE, "Service/web/1", "", false, false, "there is no pool nowhere"},
};

START_TEST(each_kind_is_found_and_said) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    make_leak(&f);
    if (FINDINGS[_i].record != NULL)
        write_record(f.registry, "objects/web", FINDINGS[_i].record);
    report r = repair(&f);
    ck_assert_uint_eq(r.summary.lines, FINDINGS[_i].kind != 0);
    if (FINDINGS[_i].kind != 0) {
        const ipalloc_repair_line *line = &r.lines[0];
        ck_assert_int_eq(line->kind, FINDINGS[_i].kind);
        ck_assert_str_eq(line->owner, FINDINGS[_i].owner);
        ck_assert_str_eq(line->holder, FINDINGS[_i].holder);
        ck_assert_str_eq(line->record_key, "objects/web");
        ck_assert_int_eq(line->record_revision == IPALLOC_REVISION_ABSENT, FINDINGS[_i].absent);
        ck_assert_int_eq(line->ripe, FINDINGS[_i].ripe);
        ck_assert_msg(strstr(line->text, FINDINGS[_i].says) != NULL, "%s", line->text);
        ck_assert_uint_eq(line->slot_count, 1);
        if (line->kind == IPALLOC_REPAIR_DUPLICATE || line->kind == IPALLOC_REPAIR_OUT_OF_RANGE)
            REFUSES(&f, line, IPALLOC_E_INVALID, "reported only");
    }
    fixture_close(&f);
}
END_TEST

START_TEST(an_address_that_two_list_is_given_to_neither) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    define_pool(&f, "services", "10.96.0.0/24");
    write_record(f.registry, "objects/a", "1\nservices 10.96.0.9 clusterIP/IPv4\n");
    write_record(f.registry, "objects/b", "2\nservices 10.96.0.9 clusterIP/IPv4\n");
    report r = repair(&f);
    ck_assert_uint_eq(r.summary.duplicates, 2);
    ck_assert_str_eq(r.lines[0].owner, "Service/a/1");
    ck_assert_str_eq(r.lines[0].holder, "Service/b/2");
    ck_assert_uint_eq(r.lines[0].generation, 0);
    ck_assert_str_eq(r.lines[1].holder, "Service/a/1");
    ck_assert_msg(strstr(r.lines[1].text, "and by Service/a/1") != NULL, "%s", r.lines[1].text);
    fixture_close(&f);
}
END_TEST

START_TEST(whoever_else_lists_a_leased_address_is_named) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = make_leak(&f);
    static const char *const OTHERS[] = {"objects/a", "objects/b", "objects/web"};
    for (int i = 0; i < 3; i++)
        write_record(f.registry, OTHERS[i], "1\nservices 10.96.0.5 clusterIP/IPv4\n");
    report r = repair(&f);
    ck_assert_uint_eq(r.summary.lines, 2);
    ck_assert_uint_eq(r.summary.duplicates, 2);
    for (int i = 0; i < 2; i++)
        ck_assert_str_eq(r.lines[i].holder, "Service/web/1");
    ck_assert_str_ne(r.lines[0].owner, r.lines[1].owner);
    write_record(f.registry, "objects/web", "1\n"); /* only others list it now: still no leak */
    ck_assert_uint_eq(repair(&f).summary.leaks, 0);
    ck_assert(is_held(&f, pool, "10.96.0.5"));
    fixture_close(&f);
}
END_TEST

START_TEST(what_is_missing_is_reserved_in_its_slot) {
    fixture f;
    OPEN_OR_SKIP(&f, _i);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    ipalloc_pool *ports = define_ports(&f, "ports", 30000, 30100);
    write_record(f.registry, "objects/web",
                 "1\nservices 10.96.0.9 clusterIP/IPv4\nports 30053 nodePort/53/TCP\n"
                 "ports 30053 nodePort/53/UDP\n");
    report r = repair(&f);
    ck_assert_uint_eq(r.summary.missing, 3);
    ck_assert_uint_eq(r.summary.ripe, 3);
    ck_assert_str_eq(r.lines[0].slots[0], SLOT);
    for (int i = 0; i < 3; i++)
        APPLIES(&f, &r.lines[i]);
    ipalloc_lease lease = LEASE;
    OK(&f, ipalloc_lookup_port(f.registry, ports, 30053, &lease, &f.error));
    ck_assert_str_eq(lease.owner, "Service/web/1");
    ck_assert_uint_eq(lease.slot_count, 2);
    ck_assert(is_held(&f, pool, "10.96.0.9"));
    APPLIES(&f, &r.lines[0]); /* once more changes nothing */
    ck_assert_uint_eq(repair(&f).summary.lines, 0);
    write_record(f.registry, "objects/web", "1\n");
    REFUSES(&f, &r.lines[0], IPALLOC_E_CONFLICT, "objects/web has been changed since");
    write_record(f.registry, "objects/web", NULL);
    REFUSES(&f, &r.lines[0], IPALLOC_E_CONFLICT, "objects/web has been deleted since");
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(what_is_missing_and_leased_meanwhile_names_the_holder) {
    fixture f;
    OPEN_OR_SKIP(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    write_record(f.registry, "objects/web", "1\nservices 10.96.0.9 clusterIP/IPv4\n");
    report r = repair(&f);
    reserve(&f, pool, "Service/fast/2", SLOT, "10.96.0.9");
    REFUSES(&f, &r.lines[0], IPALLOC_E_TAKEN, "Service/fast/2");
    ipalloc_cidr range = cidr("10.96.0.0/24");
    OK(&f, ipalloc_release_owner(f.registry, "Service/fast/2", NULL, &f.error));
    OK(&f, ipalloc_pool_drain_range(pool, &range, &f.error));
    REFUSES(&f, &r.lines[0], IPALLOC_E_NOT_IN_RANGE, "10.96.0.9");
    fixture_close(&f);
}
END_TEST

/* --- when a leak is ripe ---------------------------------------------------------------------- */

START_TEST(a_leak_is_ripe_after_two_sightings_the_grace_apart) {
    fixture f;
    OPEN_CLOCK_OR_SKIP(&f, _i);
    ipalloc_pool *pool = make_leak(&f);
    uint64_t first_ms = clock_ms;
    report r = repair(&f);
    ck_assert_uint_eq(r.lines[0].sightings, 1);
    REFUSES(&f, &r.lines[0], IPALLOC_E_INVALID, "it was seen once");
    clock_ms += 10 * GRACE_MS; /* time alone does not count */
    REFUSES(&f, &r.lines[0], IPALLOC_E_INVALID, "not ripe");
    clock_ms = first_ms + GRACE_MS - 1;
    r = repair(&f);
    ck_assert(!r.lines[0].ripe);
    ck_assert_uint_eq(r.lines[0].sightings, 2);
    r.lines[0].ripe = true; /* the line is not believed */
    r.lines[0].first_seen_ms = 1;
    REFUSES(&f, &r.lines[0], IPALLOC_E_INVALID, "it was seen over 59999 ms");
    clock_ms++;
    fixture_reopen(&f); /* a crash in between */
    pool = open_pool(&f, "services");
    r = repair(&f);
    ck_assert(r.lines[0].ripe);
    ck_assert_uint_eq(r.summary.ripe, 1);
    ck_assert_uint_eq(r.lines[0].first_seen_ms, first_ms);
    ck_assert_uint_eq(r.lines[0].last_seen_ms, clock_ms);
    ck_assert_uint_eq(r.lines[0].sightings, 3);
    fixture_reopen(&f);
    pool = open_pool(&f, "services");
    APPLIES(&f, &r.lines[0]);
    ck_assert(!is_held(&f, pool, "10.96.0.5"));
    ck_assert_int_eq(stored_sightings(&f), 0);
    REFUSES(&f, &r.lines[0], IPALLOC_E_CONFLICT, "has been released since");
    ck_assert_uint_eq(repair(&f).summary.lines, 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(a_port_leaks_like_an_address) {
    fixture f;
    OPEN_CLOCK_OR_SKIP(&f, _i);
    ipalloc_pool *ports = define_ports(&f, "ports", 30000, 30100);
    ipalloc_txn *txn = begin(&f, "Service/web/1");
    OK(&f, ipalloc_txn_reserve_port(txn, ports, "nodePort/53/TCP", 30053, NULL, &f.error));
    OK(&f, ipalloc_txn_reserve_port(txn, ports, "nodePort/53/UDP", 30053, NULL, &f.error));
    OK(&f, ipalloc_txn_commit(txn, NULL, &f.error));
    ipalloc_repair_line line = ripe_leak(&f);
    ck_assert_uint_eq(line.port, 30053);
    ck_assert_uint_eq(line.slot_count, 2);
    ck_assert_str_eq(line.slots[1], "nodePort/53/UDP");
    APPLIES(&f, &line);
    ck_assert_uint_eq(used_of(ports), 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

START_TEST(the_grace_is_the_callers_to_lengthen) {
    fixture f;
    open_with_clock(&f, 0);
    make_leak(&f);
    ipalloc_repair_line line = ripe_leak(&f);
    ipalloc_repair_options longer = {.size = sizeof longer, .grace_ms = GRACE_MS + 1};
    report r;
    OK(&f, repair_with(f.registry, NULL, &longer, &r, &f.error));
    ck_assert(!r.lines[0].ripe);
    OK(&f, ipalloc_repair_apply(f.registry, &longer, &line, 1, &f.error, NULL));
    ck_assert_status(f.error.status, IPALLOC_E_INVALID);
    fixture_close(&f);
}
END_TEST

START_TEST(a_clock_that_went_back_ripens_nothing_earlier) {
    fixture f;
    open_with_clock(&f, 0);
    make_leak(&f);
    uint64_t first_ms = clock_ms;
    repair(&f);
    clock_ms = first_ms - 10 * GRACE_MS;
    ck_assert(!repair(&f).lines[0].ripe);
    clock_ms = first_ms - 1;
    ck_assert(!repair(&f).lines[0].ripe);
    clock_ms = first_ms + GRACE_MS - 1;
    report r = repair(&f);
    ck_assert(!r.lines[0].ripe);
    ck_assert_uint_eq(r.lines[0].first_seen_ms, first_ms);
    clock_ms -= 5;
    r = repair(&f);
    ck_assert_uint_eq(r.lines[0].last_seen_ms, first_ms + GRACE_MS - 1);
    clock_ms = first_ms + GRACE_MS;
    ck_assert(repair(&f).lines[0].ripe);
    fixture_close(&f);
}
END_TEST

START_TEST(a_sighting_that_is_not_confirmed_is_forgotten) {
    fixture f;
    open_with_clock(&f, 0);
    make_leak(&f);
    ipalloc_repair_line line = ripe_leak(&f);
    write_record(f.registry, "objects/web", "1\nservices 10.96.0.5 clusterIP/IPv4\n");
    ck_assert_uint_eq(repair(&f).summary.lines, 0);
    ck_assert_int_eq(stored_sightings(&f), 0);
    write_record(f.registry, "objects/web", NULL);
    REFUSES(&f, &line, IPALLOC_E_INVALID, "no sighting of it is stored");
    ck_assert_uint_eq(repair(&f).lines[0].sightings, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_sighting_counts_for_one_lease_only) {
    fixture f;
    open_with_clock(&f, 0);
    ipalloc_pool *pool = make_leak(&f);
    ipalloc_repair_line line = ripe_leak(&f);
    static const char *const AGAIN[] = {"Service/web/1", "Service/other/2", "Service/other/2"};
    for (int i = 0; i < 3; i++) { /* leased again, to the same owner and to another */
        OK(&f, ipalloc_release_owner(f.registry, line.owner, NULL, &f.error));
        reserve(&f, pool, AGAIN[i], SLOT, "10.96.0.5");
        REFUSES(&f, &line, IPALLOC_E_CONFLICT, "leased again since");
        ck_assert_message(&f, AGAIN[i]);
        report r;
        ipalloc_repair_options look = {.size = sizeof look, .no_sightings = true};
        OK(&f, repair_with(f.registry, NULL, &look, &r, &f.error));
        ck_assert_uint_eq(r.lines[0].sightings, 0);
        REFUSES(&f, &r.lines[0], IPALLOC_E_INVALID, "no sighting of it is stored");
        r = repair(&f);
        ck_assert_uint_eq(r.lines[0].sightings, 1);
        ck_assert_uint_eq(r.lines[0].first_seen_ms, clock_ms);
        ck_assert_int_eq(stored_sightings(&f), 1);
        REFUSES(&f, &r.lines[0], IPALLOC_E_INVALID, "seen once");
        line = ripe_leak(&f);
    }
    fixture_close(&f);
}
END_TEST

static bool record_elsewhere(void *context, const char *owner,
                             char key[IPALLOC_RECORD_KEY_MAX + 1]) {
    (void)context;
    snprintf(key, IPALLOC_RECORD_KEY_MAX + 1, "elsewhere/%s", owner);
    return true;
}

static int list_nothing(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    (void)context;
    (void)list;
    (void)error;
    return IPALLOC_OK;
}

START_TEST(a_sighting_counts_for_the_record_it_was_judged_by) {
    fixture f;
    open_with_clock(&f, 0);
    make_leak(&f);
    ripe_leak(&f);
    ipalloc_live_set elsewhere = {
        .size = sizeof elsewhere, .record_of = record_elsewhere, .list = list_nothing};
    ipalloc_repair_report *made;
    ipalloc_repair_line line = {.size = sizeof line};
    OK(&f, ipalloc_repair(f.registry, &elsewhere, NULL, &made, &f.error));
    OK(&f, ipalloc_repair_report_line(made, 0, &line, &f.error));
    ck_assert_uint_eq(line.sightings, 1);
    ck_assert(!line.ripe);
    ipalloc_repair_report_free(made);
    fixture_close(&f);
}
END_TEST

START_TEST(another_callers_sightings_are_left_alone) {
    fixture f;
    open_with_clock(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Import/x", SLOT, "10.96.0.5");
    static const char KEY[] = "sighting/services/010.096.000.005/";
    static const char VALUE[] =
        "generation=7\nowner=Import/x\nrecord=x\nfirst=1\nlast=1\ncount=1\n";
    ipalloc_op op = {
        .kind = IPALLOC_OP_PUT, .key = {KEY, sizeof KEY - 1}, .value = {VALUE, sizeof VALUE - 1}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    OK(&f, ipalloc_store_commit(f.store, &batch, 1, &f.error));
    ck_assert_uint_eq(repair(&f).summary.lines, 0);
    ck_assert_int_eq(stored_sightings(&f), 1);
    fixture_close(&f);
}
END_TEST

static ipalloc_live_claim spoilt_claim;

static int list_spoilt(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    (void)context;
    ipalloc_live_add(list, &spoilt_claim, NULL); /* and does not look at the answer */
    ipalloc_live_claim fine = {.size = sizeof fine, .owner = "Service/b/1", .record_revision = 1};
    ck_assert_int_ne(ipalloc_live_add(list, &fine, error), IPALLOC_OK);
    return IPALLOC_OK;
}

START_TEST(a_list_that_is_not_whole_fails_the_repair) {
    fixture f;
    open_with_clock(&f, 0);
    make_leak(&f);
    const ipalloc_live_claim fine = {.size = sizeof fine,
                                     .owner = "Service/a/1",
                                     .record_revision = 5,
                                     .pool = "services",
                                     .address = addr("10.96.0.9"),
                                     .slot = SLOT};
    define_ports(&f, "node-ports", 30000, 30010);
    ipalloc_live_claim bad[] = {fine, fine, fine, fine, fine, fine, fine, fine, fine, fine};
    bad[0].owner = "";
    bad[1].owner = NULL;
    bad[2].owner = "Import/x"; /* record_of knows nothing of it */
    bad[3].record_revision = IPALLOC_REVISION_ABSENT;
    bad[4].pool = "Not A Name";
    bad[5].slot = NULL;
    bad[6].address.family = 5;
    bad[7].size = 0;
    bad[8].address = (ipalloc_addr){0}; /* a port, of a pool of addresses */
    bad[9].pool = "node-ports";
    ipalloc_live_set live = {.size = sizeof live, .record_of = record_of, .list = list_spoilt};
    ipalloc_repair_report *made;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        spoilt_claim = bad[i];
        IS(&f, ipalloc_repair(f.registry, &live, NULL, &made, &f.error), IPALLOC_E_INVALID);
        ck_assert_int_eq(stored_sightings(&f), 0);
    }
    live.list = NULL;
    IS(&f, ipalloc_repair(f.registry, &live, NULL, &made, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_repair(f.registry, NULL, NULL, &made, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_repair(NULL, &live, NULL, &made, &f.error), IPALLOC_E_INVALID);
    ipalloc_repair_options sizeless = {0};
    live.list = list_records;
    IS(&f, ipalloc_repair(f.registry, &live, &sizeless, &made, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_repair_apply(f.registry, &sizeless, NULL, 0, NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_repair_apply(f.registry, NULL, NULL, 1, NULL, &f.error), IPALLOC_E_INVALID);
    OK(&f, ipalloc_repair_apply(f.registry, NULL, NULL, 0, NULL, &f.error));
    IS(&f, ipalloc_live_add(NULL, &fine, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_repair_report_summary(NULL, NULL, &f.error), IPALLOC_E_INVALID);
    IS(&f, ipalloc_repair_report_line(NULL, 0, NULL, &f.error), IPALLOC_E_INVALID);
    ipalloc_repair_report_free(NULL);
    ck_assert_str_eq(ipalloc_repair_kind_name(IPALLOC_REPAIR_OUT_OF_RANGE), "out-of-range");
    ck_assert_str_eq(ipalloc_repair_kind_name(0), "?");
    fixture_close(&f);
}
END_TEST

static int list_two_revisions(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    (void)context;
    ipalloc_live_claim one = {.size = sizeof one, .owner = "Service/a/1", .record_revision = 5};
    int status = ipalloc_live_add(list, &one, error);
    one.record_revision = 6;
    return status == IPALLOC_OK ? ipalloc_live_add(list, &one, error) : status;
}

START_TEST(a_record_has_one_revision) {
    fixture f;
    open_with_clock(&f, 0);
    ipalloc_live_set live = {
        .size = sizeof live, .record_of = record_of, .list = list_two_revisions};
    ipalloc_repair_report *made;
    IS(&f, ipalloc_repair(f.registry, &live, NULL, &made, &f.error), IPALLOC_E_INVALID);
    ck_assert_message(&f, "record objects/a is listed at revisions 5 and 6");
    fixture_close(&f);
}
END_TEST

/* --- many ------------------------------------------------------------------------------------- */

/* Every third of the leases is listed, by its own owner. */
START_TEST(many_leaks_are_found_and_freed_and_no_other) {
    uint64_t count = test_scaled(10000);
    fixture f;
    open_with_clock(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/16");
    size_t listed = 0;
    for (uint64_t i = 0; i < count; i++) {
        char owner[64], key[64], value[100];
        snprintf(owner, sizeof owner, "Service/s%llu/1", (unsigned long long)i);
        ipalloc_grant grant = allocate(&f, pool, owner, SLOT);
        if (i % 3 != 0)
            continue;
        snprintf(key, sizeof key, "objects/s%llu", (unsigned long long)i);
        snprintf(value, sizeof value, "1\nservices %s %s\n", addr_text(&grant.address), SLOT);
        write_record(f.registry, key, value);
        listed++;
    }
    ipalloc_repair_report *made = NULL;
    cluster c = {.registry = f.registry};
    ipalloc_live_set live = {
        .size = sizeof live, .context = &c, .record_of = record_of, .list = list_records};
    for (int i = 0; i < 2; i++) {
        ipalloc_repair_report_free(made);
        OK(&f, ipalloc_repair(f.registry, &live, NULL, &made, &f.error));
        clock_ms += GRACE_MS;
    }
    ipalloc_repair_summary summary = {.size = sizeof summary};
    OK(&f, ipalloc_repair_report_summary(made, &summary, &f.error));
    ck_assert_uint_eq(summary.leaks, count - listed);
    ck_assert_uint_eq(summary.ripe, count - listed);
    ck_assert_uint_eq(summary.lines, count - listed);
    for (size_t i = 0; i < summary.lines; i++) {
        ipalloc_repair_line line = {.size = sizeof line};
        require_status(ipalloc_repair_report_line(made, i, &line, NULL), IPALLOC_OK);
        require_status(ipalloc_repair_apply(f.registry, NULL, &line, 1, &f.error, NULL),
                       IPALLOC_OK);
        require_status(f.error.status, IPALLOC_OK);
    }
    ipalloc_repair_report_free(made);
    ck_assert_uint_eq(used_of(pool), listed);
    ck_assert_int_eq(stored_sightings(&f), 0);
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("repair");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, where_all_agree_nothing_is_found, 0, STORE_KINDS);
    tcase_add_loop_test(c, each_kind_is_found_and_said, 0,
                        (int)(sizeof FINDINGS / sizeof FINDINGS[0]));
    tcase_add_test(c, an_address_that_two_list_is_given_to_neither);
    tcase_add_test(c, whoever_else_lists_a_leased_address_is_named);
    tcase_add_loop_test(c, what_is_missing_is_reserved_in_its_slot, 0, STORE_KINDS);
    tcase_add_test(c, what_is_missing_and_leased_meanwhile_names_the_holder);
    tcase_add_loop_test(c, a_leak_is_ripe_after_two_sightings_the_grace_apart, 0, STORE_KINDS);
    tcase_add_loop_test(c, a_port_leaks_like_an_address, 0, STORE_KINDS);
    tcase_add_test(c, the_grace_is_the_callers_to_lengthen);
    tcase_add_test(c, a_clock_that_went_back_ripens_nothing_earlier);
    tcase_add_test(c, a_sighting_that_is_not_confirmed_is_forgotten);
    tcase_add_test(c, a_sighting_counts_for_one_lease_only);
    tcase_add_test(c, a_sighting_counts_for_the_record_it_was_judged_by);
    tcase_add_test(c, another_callers_sightings_are_left_alone);
    tcase_add_test(c, a_list_that_is_not_whole_fails_the_repair);
    tcase_add_test(c, a_record_has_one_revision);
    tcase_add_test(c, many_leaks_are_found_and_freed_and_no_other);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
