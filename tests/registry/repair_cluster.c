/*
 * repair_cluster.c: see repair_cluster.h.
 */
#include "repair_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t clock_ms;

static uint64_t read_clock(void *context) {
    (void)context;
    return clock_ms;
}

const ipalloc_hooks CLOCK_HOOKS = {.size = sizeof CLOCK_HOOKS, .wall_clock_ms = read_clock};

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

void write_record(ipalloc_registry *registry, const char *key, const char *value) {
    ipalloc_error error;
    record_write w = {key, value};
    ck_assert_status_error(ipalloc_transact(registry, NULL, write_body, &w, NULL, &error),
                           IPALLOC_OK, &error);
}

bool record_of(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]) {
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

int list_records(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    const cluster *c = context;
    record_reading reading = {list, error};
    int status =
        ipalloc_record_scan(c->registry, "objects/", NULL, 0, read_record, &reading, NULL, error);
    if (status == IPALLOC_OK && c->after_listing != NULL)
        c->after_listing(c->registry);
    return status;
}

/* --- reports ---------------------------------------------------------------------------------- */

int repair_with(ipalloc_registry *registry, void (*after_listing)(ipalloc_registry *),
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

report repair(fixture *f) {
    report r;
    OK(f, repair_with(f->registry, NULL, NULL, &r, &f->error));
    return r;
}

/* Apply one line; its own result. */
int apply(fixture *f, const ipalloc_repair_line *line) {
    OK(f, ipalloc_repair_apply(f->registry, NULL, line, 1, &f->error, NULL));
    return f->error.status;
}

void open_with_clock(fixture *f, int kind) {
    clock_ms = 1700000000000;
    ck_assert(fixture_open(f, kind, &CLOCK_HOOKS));
}

/* One lease that nobody lists. */
ipalloc_pool *make_leak(fixture *f) {
    ipalloc_pool *pool = define_pool(f, "services", "10.96.0.0/24");
    reserve(f, pool, "Service/web/1", SLOT, "10.96.0.5");
    return pool;
}

/* Seen twice, the grace apart. */
ipalloc_repair_line ripe_leak(fixture *f) {
    repair(f);
    clock_ms += GRACE_MS;
    report r = repair(f);
    ck_assert_uint_eq(r.summary.lines, 1);
    ck_assert(r.lines[0].ripe);
    return r.lines[0];
}

bool is_held(fixture *f, ipalloc_pool *pool, const char *address) {
    ipalloc_addr wanted = addr(address);
    ipalloc_lease lease = LEASE;
    return ipalloc_lookup(f->registry, pool, &wanted, &lease, NULL) == IPALLOC_OK;
}

static int count_entry(void *context, const ipalloc_entry *entry) {
    (void)entry;
    ++*(int *)context;
    return 0;
}

int stored_sightings(fixture *f) {
    int count = 0;
    OK(f, ipalloc_store_scan(f->store, (ipalloc_bytes){"sighting/", 9}, (ipalloc_bytes){0}, 0,
                             count_entry, &count, NULL, &f->error));
    return count;
}
