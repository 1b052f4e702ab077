/*
 * test_repair.c: leases against the records that should list them: what is found, when a leak is
 * ripe, and that nothing is freed that an owner lists, whatever happens in between.
 *
 * An owner here is Service/NAME/UID, and its record "objects/NAME" holds "UID\n" and a line
 * "POOL ADDRESS SLOT\n" for each address that it lists.
 */
#include "fixture.h"
#include "wrapped_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";
enum { GRACE_MS = 60000 };

static uint64_t clock_ms;

static uint64_t read_clock(void *context) {
    (void)context;
    return clock_ms;
}

static const ipalloc_hooks HOOKS = {.size = sizeof HOOKS, .wall_clock_ms = read_clock};

/* --- records ---------------------------------------------------------------------------------- */

typedef struct record_write {
    const char *key, *value; /* NULL: deleted */
} record_write;

static int write_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const record_write *w = context;
    return w->value != NULL ? ipalloc_txn_put(txn, w->key, w->value, strlen(w->value),
                                              IPALLOC_REVISION_ANY, error)
                            : ipalloc_txn_delete(txn, w->key, IPALLOC_REVISION_ANY, error);
}

static void write_record(ipalloc_registry *registry, const char *key, const char *value) {
    ipalloc_error error;
    record_write w = {key, value};
    ck_assert_status_error(ipalloc_transact(registry, NULL, write_body, &w, NULL, &error),
                           IPALLOC_OK, &error);
}

static bool record_of(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]) {
    char name[100];
    (void)context;
    if (sscanf(owner, "Service/%99[^/]/", name) != 1)
        return false;
    snprintf(key, IPALLOC_RECORD_KEY_MAX + 1, "objects/%s", name);
    return true;
}

typedef struct record_reading {
    ipalloc_live_list *list;
    ipalloc_error *error;
} record_reading;

static int add_line(const record_reading *reading, const char *owner, uint64_t revision,
                    const char *line) {
    char pool[64], address[64], slot[64];
    ck_assert_int_eq(sscanf(line, "%63s %63s %63s", pool, address, slot), 3);
    ipalloc_live_claim claim = {.size = sizeof claim,
                                .owner = owner,
                                .record_revision = revision,
                                .pool = pool,
                                .slot = slot};
    if (strpbrk(address, ".:") != NULL)
        claim.address = addr(address);
    else
        claim.port = (uint16_t)atoi(address);
    return ipalloc_live_add(reading->list, &claim, reading->error);
}

static int read_record(void *context, const ipalloc_entry *entry) {
    const record_reading *reading = context;
    char text[400], owner[200];
    snprintf(text, sizeof text, "%.*s", (int)entry->value.size, (const char *)entry->value.data);
    char *rest = text, *uid = strtok_r(rest, "\n", &rest), *line;
    snprintf(owner, sizeof owner, "Service/%.*s/%s", (int)(entry->key.size - strlen("objects/")),
             (const char *)entry->key.data + strlen("objects/"), uid);
    ipalloc_live_claim none = {
        .size = sizeof none, .owner = owner, .record_revision = entry->revision};
    int status = ipalloc_live_add(reading->list, &none, reading->error);
    while (status == IPALLOC_OK && (line = strtok_r(rest, "\n", &rest)) != NULL)
        status = add_line(reading, owner, entry->revision, line);
    return status;
}

/* The context of a live set. */
typedef struct cluster {
    ipalloc_registry *registry;
    void (*after_listing)(ipalloc_registry *registry); /* NULL: nothing happens */
} cluster;

static int list_records(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    const cluster *c = context;
    record_reading reading = {list, error};
    int status =
        ipalloc_record_scan(c->registry, "objects/", NULL, 0, read_record, &reading, NULL, error);
    if (status == IPALLOC_OK && c->after_listing != NULL)
        c->after_listing(c->registry);
    return status;
}

/* --- reports ---------------------------------------------------------------------------------- */

enum { LINES_MAX = 8 };

typedef struct report {
    ipalloc_repair_summary summary;
    ipalloc_repair_line lines[LINES_MAX];
} report;

static int repair_with(ipalloc_registry *registry, void (*after_listing)(ipalloc_registry *),
                       const ipalloc_repair_options *options, report *out, ipalloc_error *error) {
    cluster c = {registry, after_listing};
    ipalloc_live_set live = {
        .size = sizeof live, .context = &c, .record_of = record_of, .list = list_records};
    ipalloc_repair_report *made;
    int status = ipalloc_repair(registry, &live, options, &made, error);
    if (status != IPALLOC_OK)
        return status;
    *out = (report){.summary = {.size = sizeof out->summary}};
    ck_assert_status(ipalloc_repair_report_summary(made, &out->summary, NULL), IPALLOC_OK);
    for (size_t i = 0; i < out->summary.lines && i < LINES_MAX; i++) {
        out->lines[i].size = sizeof out->lines[i];
        ck_assert_status(ipalloc_repair_report_line(made, i, &out->lines[i], NULL), IPALLOC_OK);
    }
    ipalloc_repair_line none = {.size = sizeof none};
    ck_assert_status(ipalloc_repair_report_line(made, out->summary.lines, &none, NULL),
                     IPALLOC_E_NOT_FOUND);
    ipalloc_repair_report_free(made);
    return IPALLOC_OK;
}

static report repair(fixture *f) {
    report r;
    OK(f, repair_with(f->registry, NULL, NULL, &r, &f->error));
    return r;
}

/* Apply one line; its own result. */
static int apply(fixture *f, const ipalloc_repair_line *line) {
    OK(f, ipalloc_repair_apply(f->registry, NULL, line, 1, &f->error, NULL));
    return f->error.status;
}

#define APPLIES(f, line) ck_assert_status_error(apply(f, line), IPALLOC_OK, &(f)->error)
#define REFUSES(f, line, want, text)                               \
    do {                                                           \
        ck_assert_status_error(apply(f, line), want, &(f)->error); \
        ck_assert_message(f, text);                                \
    } while (0)

static void open_with_clock(fixture *f, int kind) {
    clock_ms = 1700000000000;
    ck_assert(fixture_open(f, kind, &HOOKS));
}

#define OPEN_CLOCK_OR_SKIP(f, kind)         \
    do {                                    \
        clock_ms = 1700000000000;           \
        if (!fixture_open(f, kind, &HOOKS)) \
            return;                         \
    } while (0)

/* One lease that nobody lists. */
static ipalloc_pool *make_leak(fixture *f) {
    ipalloc_pool *pool = define_pool(f, "services", "10.96.0.0/24");
    reserve(f, pool, "Service/web/1", SLOT, "10.96.0.5");
    return pool;
}

/* Seen twice, the grace apart. */
static ipalloc_repair_line ripe_leak(fixture *f) {
    repair(f);
    clock_ms += GRACE_MS;
    report r = repair(f);
    ck_assert_uint_eq(r.summary.lines, 1);
    ck_assert(r.lines[0].ripe);
    return r.lines[0];
}

static bool is_held(fixture *f, ipalloc_pool *pool, const char *address) {
    ipalloc_addr wanted = addr(address);
    ipalloc_lease lease = LEASE;
    return ipalloc_lookup(f->registry, pool, &wanted, &lease, NULL) == IPALLOC_OK;
}

static int count_entry(void *context, const ipalloc_entry *entry) {
    (void)entry;
    ++*(int *)context;
    return 0;
}

static int stored_sightings(fixture *f) {
    int count = 0;
    OK(f, ipalloc_store_scan(f->store, (ipalloc_bytes){"sighting/", 9}, (ipalloc_bytes){0}, 0,
                             count_entry, &count, NULL, &f->error));
    return count;
}

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
    for (int same = 0; same < 2; same++) { /* leased again, to another and to the same owner */
        const char *owner = same ? "Service/web/1" : "Service/other/2";
        OK(&f, ipalloc_release_owner(f.registry, line.owner, NULL, &f.error));
        reserve(&f, pool, owner, SLOT, "10.96.0.5");
        REFUSES(&f, &line, IPALLOC_E_CONFLICT, "leased again since");
        ck_assert_message(&f, owner);
        report r = repair(&f);
        ck_assert_uint_eq(r.lines[0].sightings, 1);
        ck_assert_uint_eq(r.lines[0].first_seen_ms, clock_ms);
        ck_assert_int_eq(stored_sightings(&f), 1);
        REFUSES(&f, &r.lines[0], IPALLOC_E_INVALID, "seen once");
        line = ripe_leak(&f);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(another_callers_sightings_are_left_alone) {
    fixture f;
    open_with_clock(&f, 0);
    ipalloc_pool *pool = define_pool(&f, "services", "10.96.0.0/24");
    reserve(&f, pool, "Import/x", SLOT, "10.96.0.5");
    static const char KEY[] = "sighting/services/010.096.000.005/";
    static const char VALUE[] = "generation=7\nowner=Import/x\nfirst=1\nlast=1\ncount=1\n";
    ipalloc_op op = {
        .kind = IPALLOC_OP_PUT, .key = {KEY, sizeof KEY - 1}, .value = {VALUE, sizeof VALUE - 1}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    OK(&f, ipalloc_store_commit(f.store, &batch, 1, &f.error));
    ck_assert_uint_eq(repair(&f).summary.lines, 0);
    ck_assert_int_eq(stored_sightings(&f), 1);
    fixture_close(&f);
}
END_TEST

/* --- what happens between report and apply ---------------------------------------------------- */

static void deploy_again(ipalloc_registry *registry) { /* the same name, another uid */
    write_record(registry, "objects/web", "2\n");
}

static void list_it(ipalloc_registry *registry) {
    write_record(registry, "objects/web", "1\nservices 10.96.0.5 clusterIP/IPv4\n");
}

static void delete_it(ipalloc_registry *registry) {
    write_record(registry, "objects/web", NULL);
}

static const struct {
    const char *before; /* the record at the report */
    void (*meanwhile)(ipalloc_registry *registry);
    const char *says, *says_late;
} RACES[] = {
    {NULL, list_it, "record objects/web has been made since", "objects/web has been made since"},
    {NULL, deploy_again, "record objects/web has been made since", "has been made since"},
    {"1\n", list_it, "objects/web has been changed since", "changed since"},
    {"1\n", delete_it, "objects/web has been deleted since", "deleted since"},
};

START_TEST(what_is_listed_after_the_report_is_not_freed) {
    fixture f;
    OPEN_CLOCK_OR_SKIP(&f, 0);
    ipalloc_pool *pool = make_leak(&f);
    if (RACES[_i].before != NULL)
        write_record(f.registry, "objects/web", RACES[_i].before);
    ipalloc_repair_line line = ripe_leak(&f);
    RACES[_i].meanwhile(f.registry);
    REFUSES(&f, &line, IPALLOC_E_CONFLICT, RACES[_i].says);
    ck_assert(is_held(&f, pool, "10.96.0.5"));
    assert_sound(&f);
    fixture_close(&f);
}
END_TEST

/* A registry over a store that can be told what happens before a commit. */
typedef struct wrapped_fixture {
    fixture f;
    ipalloc_store *inner;
    wrapped_store wrapped;
    ipalloc_pool *pool;
    const char *value; /* what raw_write puts into record/objects/web; NULL: deletes it */
} wrapped_fixture;

static void open_wrapped_registry(wrapped_fixture *w) {
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &HOOKS};
    OK(&w->f, ipalloc_registry_open(w->wrapped.handle, &options, &w->f.registry, &w->f.error));
    w->f.store = w->wrapped.handle;
}

static void wrapped_fixture_open(wrapped_fixture *w) {
    clock_ms = 1700000000000;
    *w = (wrapped_fixture){0};
    ck_assert_status(ipalloc_store_open("memory:", NULL, &w->inner, NULL), IPALLOC_OK);
    wrapped_open(&w->wrapped, w->inner);
    open_wrapped_registry(w);
    w->pool = make_leak(&w->f);
}

static void wrapped_fixture_close(wrapped_fixture *w) {
    ipalloc_registry_close(w->f.registry);
    wrapped_close(&w->wrapped);
    ipalloc_store_close(w->inner);
}

/* As another server does it, under the feet of the commit. */
static void raw_write(void *context) {
    wrapped_fixture *w = context;
    static const char KEY[] = "record/objects/web";
    ipalloc_op op = {.kind = w->value != NULL ? IPALLOC_OP_PUT : IPALLOC_OP_DELETE,
                     .key = {KEY, sizeof KEY - 1},
                     .value = {w->value, w->value != NULL ? strlen(w->value) : 0}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ck_assert_status(ipalloc_store_commit(w->inner, &batch, 1, NULL), IPALLOC_OK);
}

START_TEST(what_is_listed_before_the_commit_is_not_freed) {
    static const char *const VALUES[] = {"1\nservices 10.96.0.5 clusterIP/IPv4\n", "2\n", NULL};
    for (int i = 0; i < 3; i++) {
        wrapped_fixture w;
        wrapped_fixture_open(&w);
        if (i == 2)
            write_record(w.f.registry, "objects/web", "1\n");
        ipalloc_repair_line line = ripe_leak(&w.f);
        w.value = VALUES[i];
        w.wrapped.before_commit = raw_write;
        w.wrapped.before_context = &w;
        REFUSES(&w.f, &line, IPALLOC_E_CONFLICT, "since");
        ck_assert(is_held(&w.f, w.pool, "10.96.0.5"));
        assert_sound(&w.f);
        wrapped_fixture_close(&w);
    }
}
END_TEST

START_TEST(what_moves_while_the_report_looks_is_left_out) {
    for (size_t i = 0; i < sizeof RACES / sizeof RACES[0]; i++) {
        fixture f;
        open_with_clock(&f, 0);
        make_leak(&f);
        if (RACES[i].before != NULL)
            write_record(f.registry, "objects/web", RACES[i].before);
        report r;
        OK(&f, repair_with(f.registry, RACES[i].meanwhile, NULL, &r, &f.error));
        ck_assert_uint_eq(r.summary.lines, 0);
        ck_assert_uint_eq(r.summary.moved, 1);
        ck_assert_int_eq(stored_sightings(&f), 0);
        fixture_close(&f);
    }
}
END_TEST

static void report_meanwhile(void *context) {
    wrapped_fixture *w = context;
    repair(&w->f);
}

START_TEST(of_two_reports_at_once_one_gives_way) {
    wrapped_fixture w;
    wrapped_fixture_open(&w);
    report r;
    w.wrapped.before_commit = report_meanwhile;
    w.wrapped.before_context = &w;
    IS(&w.f, repair_with(w.f.registry, NULL, NULL, &r, &w.f.error), IPALLOC_E_CONFLICT);
    ck_assert_message(&w.f, "another report");
    ck_assert_uint_eq(repair(&w.f).lines[0].sightings, 2);
    wrapped_fixture_close(&w);
}
END_TEST

/* --- stores that cannot be written, or fail --------------------------------------------------- */

START_TEST(what_cannot_be_stored_is_reported_all_the_same) {
    for (int i = 0; i < 3; i++) {
        wrapped_fixture w;
        wrapped_fixture_open(&w);
        repair(&w.f);
        clock_ms += GRACE_MS;
        ipalloc_registry_close(w.f.registry);
        w.wrapped.read_only = i == 0;
        w.wrapped.restored = i == 1;
        open_wrapped_registry(&w);
        ipalloc_repair_options look = {.size = sizeof look, .no_sightings = i == 2};
        report r;
        OK(&w.f, repair_with(w.f.registry, NULL, &look, &r, &w.f.error));
        static const char *const WHY[] = {"reading only", "restored", "look only"};
        ck_assert(!r.summary.stored);
        ck_assert_ptr_nonnull(strstr(r.summary.why_not_stored, WHY[i]));
        ck_assert_uint_eq(r.summary.leaks, 1);
        ck_assert_uint_eq(r.lines[0].sightings, 1); /* what is stored; this one is not */
        ck_assert(!r.lines[0].ripe);
        static const int STATUS[] = {IPALLOC_E_READ_ONLY, IPALLOC_E_MISMATCH, IPALLOC_OK};
        ipalloc_error results[2];
        const ipalloc_repair_line lines[2] = {r.lines[0], r.lines[0]};
        IS(&w.f, ipalloc_repair_apply(w.f.registry, NULL, lines, 2, results, &w.f.error),
           STATUS[i]);
        ck_assert_status(results[1].status, i < 2 ? STATUS[i] : IPALLOC_E_INVALID);
        if (i < 2)
            ck_assert_ptr_nonnull(strstr(results[1].message, "not tried"));
        wrapped_fixture_close(&w);
    }
}
END_TEST

static const struct {
    enum wrapped_mood mood;
    int report, apply, result;
} FAULTS[] = {
    {MOOD_IO, IPALLOC_E_IO, IPALLOC_E_IO, IPALLOC_E_IO},
    {MOOD_DOWN, IPALLOC_E_UNAVAILABLE, IPALLOC_E_UNAVAILABLE, IPALLOC_E_UNAVAILABLE},
    {MOOD_UNKNOWN_LOST, IPALLOC_E_UNKNOWN_OUTCOME, IPALLOC_E_UNAVAILABLE, IPALLOC_E_UNAVAILABLE},
    {MOOD_UNKNOWN_APPLIED, IPALLOC_E_UNKNOWN_OUTCOME, IPALLOC_OK, IPALLOC_OK},
};

START_TEST(a_store_that_fails_frees_nothing_early) {
    wrapped_fixture w;
    wrapped_fixture_open(&w);
    report r;
    wrapped_set_mood(&w.wrapped, FAULTS[_i].mood, 1);
    IS(&w.f, repair_with(w.f.registry, NULL, NULL, &r, &w.f.error), FAULTS[_i].report);
    ipalloc_repair_line line = ripe_leak(&w.f);
    wrapped_set_mood(&w.wrapped, FAULTS[_i].mood, 1);
    ipalloc_error result;
    IS(&w.f, ipalloc_repair_apply(w.f.registry, NULL, &line, 1, &result, &w.f.error),
       FAULTS[_i].apply);
    ck_assert_status(result.status, FAULTS[_i].result);
    ck_assert_int_eq(is_held(&w.f, w.pool, "10.96.0.5"), FAULTS[_i].result != IPALLOC_OK);
    if (FAULTS[_i].result != IPALLOC_OK)
        APPLIES(&w.f, &line);
    w.wrapped.reads_fail = true;
    IS(&w.f, repair_with(w.f.registry, NULL, NULL, &r, &w.f.error), IPALLOC_E_UNAVAILABLE);
    w.wrapped.reads_fail = false;
    assert_sound(&w.f);
    wrapped_fixture_close(&w);
}
END_TEST

/* --- damage ----------------------------------------------------------------------------------- */

static void write_raw(fixture *f, const char *key, const char *value) {
    ipalloc_op op = {.kind = value != NULL ? IPALLOC_OP_PUT : IPALLOC_OP_DELETE,
                     .key = {key, strlen(key)},
                     .value = {value, value != NULL ? strlen(value) : 0}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    OK(f, ipalloc_store_commit(f->store, &batch, 1, &f->error));
    OK(f, batch.status);
}

static const struct {
    const char *key, *value;
    bool report_finds;
} DAMAGE[] = {
    {"sighting/services/010.096.000.005/", "x", true},
    {"sighting/services/010.096.000.005/",
     "generation=1\nowner=Service/web/1\nfirst=2\nlast=1\ncount=2\n", true},
    {"sighting/services/010.096.000.005/",
     "generation=1\nowner=Service/web/1\nfirst=1\nlast=2\ncount=0\n", true},
    {"sighting/services/nowhere/", "x", true},
    {"sighting/nowhere/010.096.000.005/", "x", true},
    {"sighting/services/", "x", true},
    {"lease/services/010.096.000.005/", "x", true},
    {"owner/Service%2Fweb%2F1/", NULL, false},
    {"owner/Service%2Fweb%2F1/", "x", false},
    {"owner/Service%2Fweb%2F1/", "lease=services 10.96.0.5 1 1 other\n", false},
};

START_TEST(damage_is_named_and_nothing_is_freed) {
    fixture f;
    open_with_clock(&f, 0);
    make_leak(&f);
    ipalloc_repair_line line = ripe_leak(&f);
    write_raw(&f, DAMAGE[_i].key, DAMAGE[_i].value);
    report r;
    IS(&f, repair_with(f.registry, NULL, NULL, &r, &f.error),
       DAMAGE[_i].report_finds ? IPALLOC_E_CORRUPT : IPALLOC_OK);
    int status = apply(&f, &line);
    bool same_place = strstr(DAMAGE[_i].key, "nowhere") == NULL &&
                      strcmp(DAMAGE[_i].key, "sighting/services/") != 0;
    ck_assert_status_error(status, same_place ? IPALLOC_E_CORRUPT : IPALLOC_OK, &f.error);
    if (same_place)
        ck_assert_ptr_nonnull(strstr(f.error.message, "stored record"));
    fixture_close(&f);
}
END_TEST

/* --- what callers get wrong ------------------------------------------------------------------- */

static void no_kind(ipalloc_repair_line *line) {
    line->kind = 9;
}
static void no_owner(ipalloc_repair_line *line) {
    line->owner[0] = '\0';
}
static void endless_owner(ipalloc_repair_line *line) {
    memset(line->owner, 'x', sizeof line->owner);
}
static void endless_pool(ipalloc_repair_line *line) {
    memset(line->pool, 'x', sizeof line->pool);
}
static void endless_key(ipalloc_repair_line *line) {
    memset(line->record_key, 'x', sizeof line->record_key);
}
static void no_key(ipalloc_repair_line *line) {
    line->record_key[0] = '\0';
}
static void no_generation(ipalloc_repair_line *line) {
    line->generation = 0;
}
static void any_revision(ipalloc_repair_line *line) {
    line->record_revision = IPALLOC_REVISION_ANY;
}
static void no_pool(ipalloc_repair_line *line) {
    strcpy(line->pool, "gone");
}
static void no_address(ipalloc_repair_line *line) {
    line->address.family = 0;
}
static void other_family(ipalloc_repair_line *line) {
    line->address.family = 6;
}
static void missing_absent(ipalloc_repair_line *line) {
    line->kind = IPALLOC_REPAIR_MISSING;
}
static void missing_slot(ipalloc_repair_line *line) {
    line->kind = IPALLOC_REPAIR_MISSING;
    line->record_revision = 1;
    line->slots[0][0] = '\0';
}

static void (*const SPOILT[])(ipalloc_repair_line *line) = {
    no_kind,      no_owner, endless_owner, endless_pool, endless_key,    no_key,      no_generation,
    any_revision, no_pool,  no_address,    other_family, missing_absent, missing_slot};

START_TEST(a_line_from_elsewhere_is_not_believed) {
    fixture f;
    open_with_clock(&f, 0);
    ipalloc_pool *pool = make_leak(&f);
    ipalloc_repair_line line = ripe_leak(&f), spoilt = line;
    SPOILT[_i](&spoilt);
    ipalloc_repair_line lines[2] = {spoilt, line};
    ipalloc_error results[2];
    OK(&f, ipalloc_repair_apply(f.registry, NULL, lines, 2, results, &f.error));
    ck_assert_status_error(results[0].status, IPALLOC_E_INVALID, &results[0]);
    ck_assert_status_error(results[1].status, IPALLOC_OK, &results[1]); /* the others go on */
    ck_assert(!is_held(&f, pool, "10.96.0.5"));
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
    ipalloc_live_claim bad[] = {fine, fine, fine, fine, fine, fine, fine, fine};
    bad[0].owner = "";
    bad[1].owner = NULL;
    bad[2].owner = "Import/x"; /* record_of knows nothing of it */
    bad[3].record_revision = IPALLOC_REVISION_ABSENT;
    bad[4].pool = "Not A Name";
    bad[5].slot = NULL;
    bad[6].address.family = 5;
    bad[7].size = 0;
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
    tcase_add_loop_test(c, what_is_missing_is_reserved_in_its_slot, 0, STORE_KINDS);
    tcase_add_test(c, what_is_missing_and_leased_meanwhile_names_the_holder);
    tcase_add_loop_test(c, a_leak_is_ripe_after_two_sightings_the_grace_apart, 0, STORE_KINDS);
    tcase_add_test(c, the_grace_is_the_callers_to_lengthen);
    tcase_add_test(c, a_clock_that_went_back_ripens_nothing_earlier);
    tcase_add_test(c, a_sighting_that_is_not_confirmed_is_forgotten);
    tcase_add_test(c, a_sighting_counts_for_one_lease_only);
    tcase_add_test(c, another_callers_sightings_are_left_alone);
    tcase_add_loop_test(c, what_is_listed_after_the_report_is_not_freed, 0,
                        (int)(sizeof RACES / sizeof RACES[0]));
    tcase_add_test(c, what_is_listed_before_the_commit_is_not_freed);
    tcase_add_test(c, what_moves_while_the_report_looks_is_left_out);
    tcase_add_test(c, of_two_reports_at_once_one_gives_way);
    tcase_add_test(c, what_cannot_be_stored_is_reported_all_the_same);
    tcase_add_loop_test(c, a_store_that_fails_frees_nothing_early, 0,
                        (int)(sizeof FAULTS / sizeof FAULTS[0]));
    tcase_add_loop_test(c, damage_is_named_and_nothing_is_freed, 0,
                        (int)(sizeof DAMAGE / sizeof DAMAGE[0]));
    tcase_add_loop_test(c, a_line_from_elsewhere_is_not_believed, 0,
                        (int)(sizeof SPOILT / sizeof SPOILT[0]));
    tcase_add_test(c, a_list_that_is_not_whole_fails_the_repair);
    tcase_add_test(c, a_record_has_one_revision);
    tcase_add_test(c, many_leaks_are_found_and_freed_and_no_other);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
