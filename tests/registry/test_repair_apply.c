/*
 * test_repair_apply.c: nothing is freed that an owner lists, whatever happens between report and
 * apply, or to the store, and whatever a line says.
 */
#include "repair_cluster.h"
#include "wrapped_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

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
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &CLOCK_HOOKS};
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

/* Another server on the same store. */
static void with_other_server(wrapped_fixture *w, void (*act)(ipalloc_registry *, ipalloc_pool *)) {
    ipalloc_registry *other;
    ipalloc_pool *pool;
    OK(&w->f, ipalloc_registry_open(w->inner, NULL, &other, &w->f.error));
    OK(&w->f, ipalloc_pool_open(other, "services", &pool, &w->f.error));
    act(other, pool);
    ipalloc_registry_close(other);
}

static void give_more(ipalloc_registry *registry, ipalloc_pool *pool) {
    ck_assert_status(ipalloc_allocate(registry, pool, "Service/web/1", "second", NULL, NULL),
                     IPALLOC_OK);
}

static void give_to_another(ipalloc_registry *registry, ipalloc_pool *pool) {
    ipalloc_addr address = addr("10.96.0.5");
    ck_assert_status(ipalloc_release_owner(registry, "Service/web/1", NULL, NULL), IPALLOC_OK);
    ck_assert_status(ipalloc_reserve(registry, pool, "Service/new/2", SLOT, &address, NULL, NULL),
                     IPALLOC_OK);
}

static void before_give_more(void *context) {
    with_other_server(context, give_more);
}

static void before_give_to_another(void *context) {
    with_other_server(context, give_to_another);
}

START_TEST(what_another_server_does_before_the_commit_counts) {
    wrapped_fixture w;
    wrapped_fixture_open(&w);
    ipalloc_repair_line line = ripe_leak(&w.f);
    w.wrapped.before_commit = _i == 0 ? before_give_more : before_give_to_another;
    w.wrapped.before_context = &w;
    if (_i == 0) { /* the owner's other leases do not concern this line */
        APPLIES(&w.f, &line);
        ck_assert(!is_held(&w.f, w.pool, "10.96.0.5"));
        ck_assert_uint_eq(used_of(w.pool), 1);
    } else {
        REFUSES(&w.f, &line, IPALLOC_E_CONFLICT, "Service/new/2");
        ck_assert(is_held(&w.f, w.pool, "10.96.0.5"));
    }
    assert_sound(&w.f);
    wrapped_fixture_close(&w);
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

/* --- beside a living server ------------------------------------------------------------------- */

enum { NAMES = 8 };

/* Owners come and go under a few names; every third forgets its address. Each reading of the clock
 * is later, so that two reports are enough. */
typedef struct living {
    fixture f;
    ipalloc_pool *pool;
    _Atomic uint64_t readings;
    _Atomic bool ended;
    const char *broken; /* what was not as it must be */
} living;

typedef struct object {
    ipalloc_pool *pool;
    uint64_t uid; /* 0: none of that name */
    char key[40], owner[80];
    ipalloc_addr address;
} object;

static uint64_t later_each_time(void *context) {
    living *l = context;
    return 1700000000000 + atomic_fetch_add(&l->readings, 1);
}

static int deploy(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    object *o = context;
    char value[100], text[IPALLOC_ADDR_TEXT];
    ipalloc_grant grant = GRANT;
    int status = ipalloc_txn_allocate(txn, o->pool, SLOT, &grant, error);
    if (status != IPALLOC_OK)
        return status;
    o->address = grant.address;
    ipalloc_addr_format(&grant.address, text);
    snprintf(value, sizeof value, "%llu\nservices %s %s\n", (unsigned long long)o->uid, text, SLOT);
    return ipalloc_txn_put(txn, o->key, value, strlen(value), IPALLOC_REVISION_ABSENT, error);
}

static int withdraw(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    const object *o = context;
    bool forgets = o->uid % 3 == 0;
    int status = forgets ? IPALLOC_OK : ipalloc_txn_release_all(txn, error);
    return status == IPALLOC_OK ? ipalloc_txn_delete(txn, o->key, IPALLOC_REVISION_ANY, error)
                                : status;
}

static bool run(living *l, object *o, ipalloc_txn_body body) {
    ipalloc_txn_options options = {.size = sizeof options, .owner = o->owner};
    return ipalloc_transact(l->f.registry, &options, body, o, NULL, NULL) == IPALLOC_OK;
}

static bool is_its_own(const living *l, const object *o) {
    ipalloc_lease lease = LEASE;
    return ipalloc_lookup(l->f.registry, l->pool, &o->address, &lease, NULL) == IPALLOC_OK &&
           strcmp(lease.owner, o->owner) == 0;
}

/* The next object of that name takes the place of the one before. */
static const char *replace(living *l, object *o, uint64_t uid) {
    if (o->uid != 0 && !is_its_own(l, o))
        return "an address that is listed was freed";
    if (o->uid != 0 && !run(l, o, withdraw))
        return "withdraw failed";
    o->pool = l->pool;
    o->uid = uid;
    snprintf(o->key, sizeof o->key, "objects/s%u", (unsigned)(uid % NAMES));
    snprintf(o->owner, sizeof o->owner, "Service/s%u/%llu", (unsigned)(uid % NAMES),
             (unsigned long long)uid);
    return run(l, o, deploy) ? NULL : "deploy failed";
}

static void *live(void *context) {
    living *l = context;
    object objects[NAMES] = {0};
    for (uint64_t uid = 1; l->broken == NULL && uid <= test_scaled(3000); uid++)
        l->broken = replace(l, &objects[uid % NAMES], uid);
    atomic_store(&l->ended, true);
    return NULL;
}

/* Report, and apply every line that is ripe; how many were applied. Whoever lists an address has
 * its lease: nothing else is ever found. */
static size_t repair_all(living *l) {
    static const ipalloc_repair_options SOON = {.size = sizeof SOON, .grace_ms = 1};
    cluster c = {.registry = l->f.registry};
    ipalloc_live_set set = {
        .size = sizeof set, .context = &c, .record_of = record_of, .list = list_records};
    ipalloc_repair_report *made;
    size_t applied = 0;
    OK(&l->f, ipalloc_repair(l->f.registry, &set, &SOON, &made, &l->f.error));
    for (size_t i = 0;; i++) {
        ipalloc_repair_line line = {.size = sizeof line};
        if (ipalloc_repair_report_line(made, i, &line, NULL) != IPALLOC_OK)
            break;
        require(line.kind == IPALLOC_REPAIR_LEAK);
        require_status(ipalloc_repair_apply(l->f.registry, &SOON, &line, 1, &l->f.error, NULL),
                       IPALLOC_OK);
        applied += l->f.error.status == IPALLOC_OK;
        require(l->f.error.status == IPALLOC_OK || !line.ripe ||
                l->f.error.status == IPALLOC_E_CONFLICT);
    }
    ipalloc_repair_report_free(made);
    return applied;
}

START_TEST(beside_a_living_server_only_what_leaks_is_freed) {
    living l = {0};
    ipalloc_hooks hooks = {.size = sizeof hooks, .context = &l, .wall_clock_ms = later_each_time};
    ck_assert(fixture_open(&l.f, 0, &hooks));
    l.pool = define_pool(&l.f, "services", "10.96.0.0/16");
    pthread_t server;
    size_t applied = 0;
    ck_assert_int_eq(pthread_create(&server, NULL, live, &l), 0);
    while (!atomic_load(&l.ended))
        applied += repair_all(&l);
    pthread_join(server, NULL);
    ck_assert_msg(l.broken == NULL, "%s", l.broken);
    for (int i = 0; i < 2; i++)
        applied += repair_all(&l);
    ck_assert_uint_eq(repair_all(&l), 0);
    ck_assert_uint_eq(used_of(l.pool), NAMES);
    ck_assert_uint_eq(applied, (test_scaled(3000) - NAMES) / 3);
    assert_sound(&l.f);
    fixture_close(&l.f);
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
     "generation=1\nowner=Service/web/1\nrecord=objects/web\nfirst=2\nlast=1\ncount=2\n", true},
    {"sighting/services/010.096.000.005/",
     "generation=1\nowner=Service/web/1\nrecord=objects/web\nfirst=1\nlast=2\ncount=0\n", true},
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
static void another_record(ipalloc_repair_line *line) { /* that there is not: no objection */
    strcpy(line->record_key, "objects/none");
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
    another_record, no_kind,      no_owner,       endless_owner, endless_pool,
    endless_key,    no_key,       no_generation,  any_revision,  no_pool,
    no_address,     other_family, missing_absent, missing_slot};

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

START_TEST(lines_of_another_form_are_read_by_their_size) {
    fixture f;
    open_with_clock(&f, 0);
    make_leak(&f);
    ipalloc_repair_line line = ripe_leak(&f), lines[2] = {line, line};
    ipalloc_error results[2];
    lines[1].size--;
    OK(&f, ipalloc_repair_apply(f.registry, NULL, lines, 2, results, &f.error));
    ck_assert_status(results[0].status, IPALLOC_OK);
    ck_assert_status_error(results[1].status, IPALLOC_E_INVALID, &results[1]);
    ck_assert_ptr_nonnull(strstr(results[1].message, "differ in size"));
    lines[0].size = 8;
    IS(&f, ipalloc_repair_apply(f.registry, NULL, lines, 2, results, &f.error), IPALLOC_E_INVALID);
    /* A newer program's, longer. */
    static char longer[2 * (sizeof line + 64)];
    line.size += 64;
    memcpy(longer, &line, sizeof line);
    memcpy(longer + line.size, &line, sizeof line);
    OK(&f, ipalloc_repair_apply(f.registry, NULL, (const void *)longer, 2, results, &f.error));
    ck_assert_status_error(results[1].status, IPALLOC_E_CONFLICT, &results[1]);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("repair_apply");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, what_is_listed_after_the_report_is_not_freed, 0,
                        (int)(sizeof RACES / sizeof RACES[0]));
    tcase_add_test(c, what_is_listed_before_the_commit_is_not_freed);
    tcase_add_loop_test(c, what_another_server_does_before_the_commit_counts, 0, 2);
    tcase_add_test(c, what_moves_while_the_report_looks_is_left_out);
    tcase_add_test(c, of_two_reports_at_once_one_gives_way);
    tcase_add_test(c, beside_a_living_server_only_what_leaks_is_freed);
    tcase_add_test(c, what_cannot_be_stored_is_reported_all_the_same);
    tcase_add_loop_test(c, a_store_that_fails_frees_nothing_early, 0,
                        (int)(sizeof FAULTS / sizeof FAULTS[0]));
    tcase_add_loop_test(c, damage_is_named_and_nothing_is_freed, 0,
                        (int)(sizeof DAMAGE / sizeof DAMAGE[0]));
    tcase_add_loop_test(c, a_line_from_elsewhere_is_not_believed, 0,
                        (int)(sizeof SPOILT / sizeof SPOILT[0]));
    tcase_add_test(c, lines_of_another_form_are_read_by_their_size);
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
