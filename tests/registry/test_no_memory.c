/*
 * test_no_memory.c: every allocation of every call fails once. The call answers NOMEM, nothing has
 * changed, nothing is leaked, and the same call works afterwards.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SLOT[] = "clusterIP/IPv4";

/* An allocator that fails its fail_at-th call (1 is the next one; 0: never) and counts blocks. */
typedef struct stingy {
    long fail_at;
    bool failed;
    long blocks;
} stingy;

static bool must_fail(stingy *s) {
    if (s->fail_at == 0 || --s->fail_at > 0)
        return false;
    s->failed = true;
    return true;
}

static void *stingy_allocate(void *context, size_t bytes) {
    stingy *s = context;
    if (must_fail(s))
        return NULL;
    s->blocks++;
    return malloc(bytes);
}

static void *stingy_reallocate(void *context, void *memory, size_t bytes) {
    stingy *s = context;
    if (must_fail(s))
        return NULL;
    s->blocks += memory == NULL;
    return realloc(memory, bytes);
}

static void stingy_deallocate(void *context, void *memory) {
    stingy *s = context;
    s->blocks -= memory != NULL;
    free(memory);
}

typedef struct poor {
    stingy memory;
    ipalloc_hooks hooks;
    ipalloc_store *store; /* with memory of its own that does not fail */
    fixture f;            /* registry and error */
    ipalloc_pool *pool;
    ipalloc_addr held;
    uint64_t generation; /* of it */
} poor;

static void write_sighting(poor *p, uint64_t generation);

static int open_registry(poor *p) {
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &p->hooks};
    return ipalloc_registry_open(p->store, &options, &p->f.registry, &p->f.error);
}

static poor *poor_open(void) {
    poor *p = calloc(1, sizeof *p);
    p->hooks = (ipalloc_hooks){.size = sizeof p->hooks,
                               .context = &p->memory,
                               .allocate = stingy_allocate,
                               .reallocate = stingy_reallocate,
                               .deallocate = stingy_deallocate};
    ck_assert_status(ipalloc_store_open("memory:", NULL, &p->store, NULL), IPALLOC_OK);
    p->f.store = p->store;
    OK(&p->f, open_registry(p));
    p->pool = define_pool_with(&p->f, "services", "10.96.0.0/24 10.97.0.0/24",
                               (ipalloc_pool_definition){.cool_down_ms = 100000});
    ipalloc_grant held = reserve(&p->f, p->pool, "Service/held", SLOT, "10.96.0.5");
    p->held = held.address;
    p->generation = held.generation;
    write_sighting(p, p->generation);
    reserve(&p->f, p->pool, "Service/held", "second", "10.96.0.6");
    ipalloc_addr gone = reserve(&p->f, p->pool, "Service/gone", SLOT, "10.96.0.7").address;
    OK(&p->f, ipalloc_release(p->f.registry, p->pool, "Service/gone", &gone, 0, &p->f.error));
    ipalloc_addr excluded = addr("10.96.0.200");
    OK(&p->f, ipalloc_pool_exclude(p->pool, &excluded, &excluded, &p->f.error));
    return p;
}

static void poor_close(poor *p) {
    assert_sound(&p->f);
    ipalloc_registry_close(p->f.registry);
    ck_assert_int_eq(p->memory.blocks, 0);
    ipalloc_store_close(p->store);
    free(p);
}

/* --- the calls -------------------------------------------------------------------------------- */

static int do_allocate(poor *p) {
    return ipalloc_allocate(p->f.registry, p->pool, "Service/a", SLOT, NULL, &p->f.error);
}

static int do_reserve(poor *p) {
    ipalloc_addr wanted = addr("10.97.0.9");
    return ipalloc_reserve(p->f.registry, p->pool, "Service/a", SLOT, &wanted, NULL, &p->f.error);
}

/* One that cools: its cooling record is read after it has been claimed. */
static int do_reserve_cooling(poor *p) {
    ipalloc_addr wanted = addr("10.96.0.7");
    return ipalloc_reserve(p->f.registry, p->pool, "Service/a", SLOT, &wanted, NULL, &p->f.error);
}

static int do_share(poor *p) {
    return ipalloc_reserve(p->f.registry, p->pool, "Service/held", "third", &p->held, NULL,
                           &p->f.error);
}

static int do_release(poor *p) {
    return ipalloc_release(p->f.registry, p->pool, "Service/held", &p->held, 0, &p->f.error);
}

static int do_release_owner(poor *p) {
    return ipalloc_release_owner(p->f.registry, "Service/held", NULL, &p->f.error);
}

static int put_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    (void)context;
    return ipalloc_txn_put(txn, "object", "x", 1, IPALLOC_REVISION_ANY, error);
}

static int do_put(poor *p) {
    return ipalloc_transact(p->f.registry, NULL, put_body, NULL, NULL, &p->f.error);
}

static int rename_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    return ipalloc_txn_rename_slot(txn, context, SLOT, "new name", error);
}

static int do_rename(poor *p) {
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/held"};
    return ipalloc_transact(p->f.registry, &options, rename_body, p->pool, NULL, &p->f.error);
}

static int dry_body(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    int status = ipalloc_txn_allocate(txn, context, SLOT, NULL, error);
    return status == IPALLOC_OK ? ipalloc_txn_allocate(txn, context, "more", NULL, error) : status;
}

static int do_dry_run(poor *p) {
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/a", .dry_run = true};
    return ipalloc_transact(p->f.registry, &options, dry_body, p->pool, NULL, &p->f.error);
}

static int do_define(poor *p) {
    ipalloc_cidr range = cidr("10.98.0.0/24");
    ipalloc_pool_definition d = {
        .size = sizeof d, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    ipalloc_pool *pool;
    return ipalloc_pool_define(p->f.registry, "other", &d, &pool, &p->f.error);
}

static int do_add_range(poor *p) {
    ipalloc_cidr range = cidr("10.98.0.0/24");
    return ipalloc_pool_add_range(p->pool, &range, &p->f.error);
}

static int do_drain(poor *p) {
    ipalloc_cidr range = cidr("10.97.0.0/24");
    return ipalloc_pool_drain_range(p->pool, &range, &p->f.error);
}

static int do_set_ranges(poor *p) {
    ipalloc_pool_range_spec sets[] = {{.cidr = cidr("10.96.0.0/25")},
                                      {.cidr = cidr("10.96.0.128/25"), .draining = true},
                                      {.cidr = cidr("10.98.0.0/24")}};
    return ipalloc_pool_set_ranges(p->pool, sets, 3, &p->f.error);
}

static int do_exclude(poor *p) {
    ipalloc_addr first = addr("10.96.0.100"), last = addr("10.96.0.120");
    return ipalloc_pool_exclude(p->pool, &first, &last, &p->f.error);
}

static int do_include(poor *p) {
    ipalloc_addr excluded = addr("10.96.0.200");
    return ipalloc_pool_include(p->pool, &excluded, &excluded, &p->f.error);
}

static int do_validate(poor *p) {
    return ipalloc_registry_validate(p->f.registry, &p->f.error);
}

static int do_metrics(poor *p) {
    ipalloc_service_pools pools = {.size = sizeof pools, .cluster_ips = {p->pool}};
    return ipalloc_service_metrics(p->f.registry, &pools, NULL, 0) == 0 ? IPALLOC_E_NOMEM
                                                                        : IPALLOC_OK;
}

static int ignore_lease(void *context, const ipalloc_lease *lease) {
    (void)context;
    (void)lease;
    return 0;
}

static int do_look(poor *p) {
    ipalloc_lease lease = LEASE;
    int status = ipalloc_lookup(p->f.registry, p->pool, &p->held, &lease, &p->f.error);
    if (status == IPALLOC_OK)
        status = ipalloc_list(p->f.registry, NULL, ignore_lease, NULL, &p->f.error);
    if (status == IPALLOC_OK)
        status =
            ipalloc_owner_leases(p->f.registry, "Service/held", ignore_lease, NULL, &p->f.error);
    return status;
}

static bool object_of(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]) {
    (void)context;
    snprintf(key, IPALLOC_RECORD_KEY_MAX + 1, "objects/%s", owner);
    return true;
}

/* One that is missing, one in no pool; the leases leak. */
static int list_objects(void *context, ipalloc_live_list *list, ipalloc_error *error) {
    (void)context;
    ipalloc_live_claim claim = {.size = sizeof claim,
                                .owner = "Service/a",
                                .record_revision = 1,
                                .pool = "services",
                                .address = addr("10.97.0.9"),
                                .slot = SLOT};
    int status = ipalloc_live_add(list, &claim, error);
    claim.pool = "nowhere";
    return status == IPALLOC_OK ? ipalloc_live_add(list, &claim, error) : status;
}

static int do_repair(poor *p) {
    ipalloc_live_set live = {.size = sizeof live, .record_of = object_of, .list = list_objects};
    ipalloc_repair_options look = {.size = sizeof look};
    ipalloc_repair_report *report;
    int status = ipalloc_repair(p->f.registry, &live, &look, &report, &p->f.error);
    if (status == IPALLOC_OK)
        ipalloc_repair_report_free(report);
    return status;
}

/* What do_repair would have found in two sightings. */
static void write_sighting(poor *p, uint64_t generation) {
    char value[200];
    snprintf(value, sizeof value,
             "generation=%llu\nowner=Service/held\nrecord=objects/Service/"
             "held\nfirst=1\nlast=100000\ncount=2\n",
             (unsigned long long)generation);
    static const char KEY[] = "sighting/services/010.096.000.005/";
    ipalloc_op op = {
        .kind = IPALLOC_OP_PUT, .key = {KEY, sizeof KEY - 1}, .value = {value, strlen(value)}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    OK(&p->f, ipalloc_store_commit(p->store, &batch, 1, &p->f.error));
}

static int do_repair_apply(poor *p) {
    ipalloc_repair_line line = {.size = sizeof line,
                                .kind = IPALLOC_REPAIR_LEAK,
                                .pool = "services",
                                .address = p->held,
                                .owner = "Service/held",
                                .generation = p->generation,
                                .record_key = "objects/Service/held"};
    ipalloc_error result;
    return ipalloc_repair_apply(p->f.registry, NULL, &line, 1, &result, &p->f.error);
}

static int do_reopen(poor *p) {
    ipalloc_registry_close(p->f.registry);
    int status = open_registry(p);
    if (status != IPALLOC_OK) {
        ck_assert_int_eq(p->memory.blocks, 0);
        OK(&p->f, open_registry(p));
    }
    p->pool = open_pool(&p->f, "services");
    return status;
}

static const struct {
    const char *name;
    int (*call)(poor *p);
} CALLS[] = {
    {"allocate", do_allocate},
    {"reserve", do_reserve},
    {"share", do_share},
    {"release", do_release},
    {"put", do_put},
    {"release_owner", do_release_owner},
    {"rename", do_rename},
    {"dry_run", do_dry_run},
    {"define", do_define},
    {"add_range", do_add_range},
    {"drain", do_drain},
    {"exclude", do_exclude},
    {"include", do_include},
    {"validate", do_validate},
    {"metrics", do_metrics},
    {"look", do_look},
    {"reopen", do_reopen},
    {"reserve_cooling", do_reserve_cooling},
    {"set_ranges", do_set_ranges},
    {"repair", do_repair},
    {"repair_apply", do_repair_apply},
};

static int copy_value(void *context, const ipalloc_entry *entry) {
    snprintf(context, 1000, "%.*s", (int)entry->value.size, (const char *)entry->value.data);
    return IPALLOC_OK;
}

static uint64_t revision_of(poor *p) {
    ipalloc_store_info info = {.size = sizeof info};
    OK(&p->f, ipalloc_store_get_info(p->store, &info, &p->f.error));
    return info.revision;
}

static void read_definition(poor *p, char out[1000]) {
    ipalloc_bytes key = {.data = "pool/services/", .size = strlen("pool/services/")};
    OK(&p->f, ipalloc_store_get(p->store, key, copy_value, out, &p->f.error));
}

START_TEST(every_allocation_may_fail_once) {
    bool reached_end = false;
    for (long k = 1; !reached_end; k++) {
        poor *p = poor_open();
        uint64_t used = used_of(p->pool), revision = revision_of(p);
        char before[1000], after[1000];
        read_definition(p, before);
        p->memory.fail_at = k;
        int status = CALLS[_i].call(p);
        p->memory.fail_at = 0;
        reached_end = !p->memory.failed;
        ck_assert_msg(status == (reached_end ? IPALLOC_OK : IPALLOC_E_NOMEM),
                      "%s with allocation %ld failing is %s: %s", CALLS[_i].name, k,
                      ipalloc_status_name(status), p->f.error.message);
        if (status == IPALLOC_E_NOMEM) {
            ck_assert_uint_eq(used_of(p->pool), used);
            read_definition(p, after);
            ck_assert_str_eq(after, before);
            if (CALLS[_i].call != do_set_ranges) /* its first step may have been taken back */
                ck_assert_uint_eq(revision_of(p), revision);
            status = CALLS[_i].call(p);
            ck_assert_msg(status == IPALLOC_OK, "%s afterwards is %s: %s", CALLS[_i].name,
                          ipalloc_status_name(status), p->f.error.message);
        }
        ck_assert_int_lt(k, 1000);
        poor_close(p);
    }
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("no_memory");
    TCase *c = tcase_create("calls");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, every_allocation_may_fail_once, 0,
                        (int)(sizeof CALLS / sizeof CALLS[0]));
    suite_add_tcase(s, c);
    return s;
}

int main(void) {
    return test_main(suite());
}
