/*
 * test_registry_model.c: random transactions on a registry, compared with a naive model.
 *
 * Up to two transactions are open at once, of different owners or of the same one; every answer is
 * compared as it comes, the full state (leases, counts, records) now and then, and the registry is
 * closed and opened again now and then. A mismatch says the seed and the step; SEED= repeats it.
 * A step is one call on a transaction, its commit included. TEST_SCALE=400 is the
 * long form: more than 10^7 on memory:.
 */
#include "registry_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MEMORY = 3000000,
    STEPS_SQLITE = 15000,
    COMPARE_EVERY = 512, /* transactions */
    REOPEN_EVERY = 3001,
    DEFINE_EVERY = 97,
    STATUSES = 32,
};

typedef struct driver {
    model model;
    uint64_t random, chosen; /* the generator of what to do, and its last number */
    uint64_t step;
    const char *url;
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pools[MODEL_POOLS];
    ipalloc_txn *txns[MODEL_TXNS];
    uint64_t revision;          /* of the last commit that changed something */
    uint64_t answers[STATUSES]; /* by -status: what the run has seen */
    uint64_t existing, shared, dry_runs, reopened, defined;
    ipalloc_error error;
} driver;

/* The library and the model must agree. */
#define agree(d, condition, ...)                                                      \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "SEED=%llu step %llu: ", (unsigned long long)test_seed(), \
                    (unsigned long long)(d)->step);                                   \
            fprintf(stderr, __VA_ARGS__);                                             \
            fprintf(stderr, "\n");                                                    \
            ck_abort_msg("the registry and the model disagree: " #condition);         \
        }                                                                             \
    } while (0)

static void agree_status(driver *d, const char *call, int got, int expected) {
    agree(d, got == expected, "%s: %s (%s), the model says %s", call, ipalloc_status_name(got),
          got != IPALLOC_OK ? d->error.message : "", ipalloc_status_name(expected));
    d->answers[-expected]++;
}

static unsigned pick(driver *d, unsigned bound) {
    return (unsigned)(test_random(&d->random) % bound);
}

static const char *text_of(place at) {
    static char port[16];
    if (at.address.family != 0)
        return addr_text(&at.address);
    snprintf(port, sizeof port, "port %u", at.port);
    return port;
}

static void owner_name(int owner, char out[32]) {
    snprintf(out, 32, "Service/model/%d", owner);
}

static void record_key(unsigned key, char out[16]) {
    snprintf(out, 16, "objects/%u", key);
}

/* --- opening ---------------------------------------------------------------------------------- */

static uint64_t clock_of(void *context) {
    return ((driver *)context)->model.now_ms;
}

static uint64_t random_of(void *context) {
    return test_random(&((driver *)context)->chosen);
}

static void define_pool(driver *d, enum model_pool_id pool) {
    const model_pool *p = &d->model.pools[pool];
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = p->kind,
                                          .ranges = p->ranges,
                                          .range_count = p->range_count,
                                          .cool_down_ms = p->cool_down_ms};
    if (pool == MODEL_PORTS) {
        definition.range_count = 0;
        definition.ranges = NULL;
        definition.port_first = p->cells[0].at.port;
        definition.port_last = p->cells[p->cell_count - 1].at.port;
    }
    agree_status(d, "pool_define",
                 ipalloc_pool_define(d->registry, p->name, &definition, &d->pools[pool], &d->error),
                 IPALLOC_OK);
}

static void open_registry(driver *d) {
    ipalloc_hooks hooks = {.size = sizeof hooks,
                           .context = d,
                           .wall_clock_ms = clock_of,
                           .monotonic_ms = clock_of,
                           .random = random_of};
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &hooks};
    if (d->store == NULL)
        agree_status(d, "store_open", ipalloc_store_open(d->url, NULL, &d->store, &d->error),
                     IPALLOC_OK);
    agree_status(d, "registry_open",
                 ipalloc_registry_open(d->store, &options, &d->registry, &d->error), IPALLOC_OK);
}

static void reopen(driver *d) {
    ipalloc_registry_close(d->registry);
    if (strcmp(d->url, "memory:") != 0) {
        ipalloc_store_close(d->store);
        d->store = NULL;
    }
    open_registry(d);
    for (int pool = 0; pool < MODEL_POOLS; pool++)
        agree_status(
            d, "pool_open",
            ipalloc_pool_open(d->registry, d->model.pools[pool].name, &d->pools[pool], &d->error),
            IPALLOC_OK);
    d->reopened++;
}

/* --- steps ------------------------------------------------------------------------------------ */

static place any_sparse_place(driver *d) {
    place at = {.address = d->model.pools[MODEL_SPARSE].ranges[0].base};
    unsigned low = pick(d, 600); /* 0 is not usable; 1..256 are static */
    at.address.bytes[14] = (uint8_t)(low >> 8);
    at.address.bytes[15] = (uint8_t)low;
    if (pick(d, 3) == 0)
        at.address.bytes[8] = (uint8_t)pick(d, 256);
    return at;
}

/* Outside of every range, or an end of one that is not usable. */
static place foreign_place(driver *d, enum model_pool_id pool) {
    static const char *const OUTSIDE[MODEL_POOLS] = {"10.96.0.0", "fd00:10:97::1", NULL,
                                                     "192.0.2.31", "10.97.0.31"};
    if (pool == MODEL_PORTS)
        return (place){.port = (uint16_t)(pick(d, 2) != 0 ? 29999 : 30064)};
    return (place){.address = addr(OUTSIDE[pool])};
}

/* Often one that the owner holds, for there most rules are. */
static place some_place(driver *d, int index, enum model_pool_id pool) {
    const model_pool *p = &d->model.pools[pool];
    const model_txn *t = &d->model.txns[index];
    unsigned dice = pick(d, 16);
    if (dice == 0)
        return foreign_place(d, pool);
    if (dice < 7 && t->view_count > 0) {
        const view *v = &t->views[pick(d, (unsigned)t->view_count)];
        if (v->pool == pool)
            return v->cell->at;
    }
    if (pool == MODEL_SPARSE && (p->cell_count == 0 || dice < 11))
        return any_sparse_place(d);
    return p->cells[pick(d, (unsigned)p->cell_count)].at;
}

/* A new lease: of a free address, dynamic while anything dynamic is free, and told apart from the
 * last lease of the address. */
static void take_grant(driver *d, int index, enum model_pool_id pool, unsigned slot,
                       const ipalloc_grant *grant, bool by_name) {
    model *m = &d->model;
    place at = {.address = grant->address, .port = grant->port};
    cell *c = model_cell(m, pool, at, true);
    agree(d, c != NULL, "%s was given, which is not usable in %s", text_of(at),
          m->pools[pool].name);
    agree(d, !grant->existing, "%s is said to be held already", text_of(at));
    const view *mine = model_view(&m->txns[index], c);
    if (mine != NULL) {
        agree(d, grant->generation == mine->generation, "%s: a new generation", text_of(at));
        d->shared++;
    } else {
        agree(d,
              grant->generation != 0 && grant->generation != c->generation &&
                  grant->generation >> 53 == 0,
              "%s: generation %llu", text_of(at), (unsigned long long)grant->generation);
    }
    if (!by_name) {
        band_counts dynamic, static_band;
        model_count(m, pool, &dynamic, &static_band);
        agree(d, model_is_free(m, pool, c) && mine == NULL, "%s was given but is not free",
              text_of(at));
        agree(d, !c->is_static || m->txns[index].dry_run || dynamic.free == 0,
              "%s of the static band was given with %llu dynamic ones free", text_of(at),
              (unsigned long long)dynamic.free);
    }
    model_grant(m, index, pool, slot, c, grant->generation);
}

static void agree_existing(driver *d, const view *v, const ipalloc_grant *grant) {
    place at = {.address = grant->address, .port = grant->port};
    agree(d,
          grant->existing && memcmp(&at.address, &v->cell->at.address, sizeof at.address) == 0 &&
              at.port == v->cell->at.port && grant->generation == v->generation,
          "%s was given, not the one that the slot has", text_of(at));
    d->existing++;
}

static void step_allocate(driver *d, int index, enum model_pool_id pool, unsigned slot) {
    view *existing;
    int expected = model_allocate(&d->model, index, pool, slot, &existing);
    const char *name = model_slot_name(pool, slot);
    ipalloc_grant grant = {.size = sizeof grant};
    int got =
        pool == MODEL_PORTS
            ? ipalloc_txn_allocate_port(d->txns[index], d->pools[pool], name, &grant, &d->error)
            : ipalloc_txn_allocate(d->txns[index], d->pools[pool], name, &grant, &d->error);
    agree_status(d, "allocate", got, expected);
    if (got == IPALLOC_OK && existing != NULL)
        agree_existing(d, existing, &grant);
    else if (got == IPALLOC_OK)
        take_grant(d, index, pool, slot, &grant, false);
}

static void step_reserve(driver *d, int index, enum model_pool_id pool, unsigned slot) {
    place at = some_place(d, index, pool);
    bool existing;
    int expected = model_reserve(&d->model, index, pool, slot, at, &existing);
    const char *name = model_slot_name(pool, slot);
    ipalloc_grant grant = {.size = sizeof grant};
    int got = pool == MODEL_PORTS ? ipalloc_txn_reserve_port(d->txns[index], d->pools[pool], name,
                                                             at.port, &grant, &d->error)
                                  : ipalloc_txn_reserve(d->txns[index], d->pools[pool], name,
                                                        &at.address, &grant, &d->error);
    agree_status(d, "reserve", got, expected);
    if (got == IPALLOC_OK && existing)
        agree_existing(d, model_slot(&d->model.txns[index], pool, slot), &grant);
    else if (got == IPALLOC_OK)
        take_grant(d, index, pool, slot, &grant, true);
}

static void step_release(driver *d, int index, enum model_pool_id pool) {
    place at = some_place(d, index, pool);
    const cell *c = model_cell(&d->model, pool, at, false);
    static const uint64_t WRONG = 12345;
    uint64_t right = c != NULL && c->owner != NO_OWNER ? c->generation : 0;
    uint64_t generation = pick(d, 4) == 0 ? WRONG : pick(d, 2) == 0 ? right : 0;
    int expected = model_release(&d->model, index, pool, at, generation);
    int got = pool == MODEL_PORTS ? ipalloc_txn_release_port(d->txns[index], d->pools[pool],
                                                             at.port, generation, &d->error)
                                  : ipalloc_txn_release(d->txns[index], d->pools[pool], &at.address,
                                                        generation, &d->error);
    agree_status(d, "release", got, expected);
    if (got == IPALLOC_OK)
        model_apply_release(&d->model, index, pool, at);
}

static void step_release_slot(driver *d, int index, enum model_pool_id pool, unsigned slot) {
    agree_status(d, "release_slot",
                 ipalloc_txn_release_slot(d->txns[index], d->pools[pool],
                                          model_slot_name(pool, slot), &d->error),
                 IPALLOC_OK);
    model_apply_release_slot(&d->model, index, pool, slot);
}

static void step_rename(driver *d, int index, enum model_pool_id pool, unsigned from) {
    unsigned to = pick(d, MODEL_SLOTS);
    int expected = model_rename(&d->model, index, pool, from, to);
    int got = ipalloc_txn_rename_slot(d->txns[index], d->pools[pool], model_slot_name(pool, from),
                                      model_slot_name(pool, to), &d->error);
    agree_status(d, "rename_slot", got, expected);
    if (got == IPALLOC_OK)
        model_apply_rename(&d->model, index, pool, from, to);
}

static void step_find(driver *d, int index, enum model_pool_id pool, unsigned slot) {
    const view *v = model_slot(&d->model.txns[index], pool, slot);
    ipalloc_grant grant = {.size = sizeof grant};
    int got = ipalloc_txn_find_slot(d->txns[index], d->pools[pool], model_slot_name(pool, slot),
                                    &grant, &d->error);
    agree_status(d, "find_slot", got, v != NULL ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    if (v != NULL)
        agree_existing(d, v, &grant);
}

/* A key once per transaction; now and then with a condition that does not hold. */
static void step_record(driver *d, int index) {
    model_txn *t = &d->model.txns[index];
    model_put put = {.key = pick(d, MODEL_KEYS), .value = test_random(&d->random)};
    for (size_t i = 0; i < t->put_count; i++)
        if (t->puts[i].key == put.key)
            return;
    const model_record *r = &d->model.records[put.key];
    uint64_t truth = r->exists ? r->revision : IPALLOC_REVISION_ABSENT;
    unsigned dice = pick(d, 8);
    put.expected = dice < 3 ? IPALLOC_REVISION_ANY : dice < 7 ? truth : 1 + pick(d, 1000);
    put.delete = pick(d, 4) == 0;
    char key[16];
    record_key(put.key, key);
    int got = put.delete ? ipalloc_txn_delete(d->txns[index], key, put.expected, &d->error)
                         : ipalloc_txn_put(d->txns[index], key, &put.value, sizeof put.value,
                                           put.expected, &d->error);
    agree_status(d, "put or delete", got, IPALLOC_OK);
    t->puts[t->put_count++] = put;
}

/* Half of the steps go to the two pools that get full. */
static enum model_pool_id some_pool(driver *d) {
    unsigned dice = pick(d, 8);
    return dice < MODEL_POOLS ? (enum model_pool_id)dice : dice < 7 ? MODEL_RANGES : MODEL_RESTING;
}

static void step(driver *d, int index) {
    enum model_pool_id pool = some_pool(d);
    unsigned slot = pick(d, MODEL_SLOTS), dice = pick(d, 100);
    d->step++;
    if (dice >= 90) {
        step_record(d, index);
        return;
    }
    model_load(&d->model, index);
    if (dice < 40)
        step_allocate(d, index, pool, slot);
    else if (dice < 60)
        step_reserve(d, index, pool, slot);
    else if (dice < 75)
        step_release(d, index, pool);
    else if (dice < 80)
        step_release_slot(d, index, pool, slot);
    else if (dice < 85)
        step_rename(d, index, pool, slot);
    else if (dice < 89)
        step_find(d, index, pool, slot);
    else {
        agree_status(d, "release_all", ipalloc_txn_release_all(d->txns[index], &d->error),
                     IPALLOC_OK);
        model_apply_release_all(&d->model, index);
    }
}

/* --- transactions ----------------------------------------------------------------------------- */

static void begin(driver *d, int index, int owner) {
    bool dry_run = pick(d, 8) == 0;
    char name[32];
    owner_name(owner, name);
    ipalloc_txn_options options = {.size = sizeof options, .owner = name, .dry_run = dry_run};
    agree_status(d, "begin", ipalloc_begin(d->registry, &options, &d->txns[index], &d->error),
                 IPALLOC_OK);
    model_begin(&d->model, index, owner, dry_run);
    d->dry_runs += dry_run;
}

static void end(driver *d, int index) {
    d->step++;
    if (pick(d, 6) == 0) {
        ipalloc_txn_abort(d->txns[index]);
        model_abort(&d->model, index);
        return;
    }
    int expected = model_commit(&d->model, index);
    bool changes = model_changes_something(&d->model, index) && !d->model.txns[index].dry_run;
    uint64_t revision = 0;
    agree_status(d, "commit", ipalloc_txn_commit(d->txns[index], &revision, &d->error), expected);
    if (expected != IPALLOC_OK || !changes) {
        model_abort(&d->model, index);
        return;
    }
    agree(d, revision > d->revision, "revision %llu after %llu", (unsigned long long)revision,
          (unsigned long long)d->revision);
    d->revision = revision;
    model_apply_commit(&d->model, index, revision);
}

/* One transaction, or two that run into one another. */
static void transact(driver *d) {
    int first = (int)pick(d, MODEL_OWNERS);
    begin(d, 0, first);
    bool rival = pick(d, 3) == 0;
    if (rival)
        begin(d, 1, pick(d, 3) == 0 ? first : (int)pick(d, MODEL_OWNERS));
    unsigned steps = 1 + pick(d, 6);
    for (unsigned i = 0; i < steps; i++)
        step(d, rival ? (int)pick(d, 2) : 0);
    int order = (int)pick(d, 2);
    if (!rival) {
        end(d, 0);
        return;
    }
    end(d, order);
    end(d, 1 - order);
}

/* --- definitions ------------------------------------------------------------------------------ */

static void toggle_exclusion(driver *d) {
    cell *c = &d->model.pools[MODEL_SMALL].cells[pick(d, 62)];
    int expected = !c->excluded && c->owner != NO_OWNER ? IPALLOC_E_TAKEN : IPALLOC_OK;
    int got = c->excluded ? ipalloc_pool_include(d->pools[MODEL_SMALL], &c->at.address,
                                                 &c->at.address, &d->error)
                          : ipalloc_pool_exclude(d->pools[MODEL_SMALL], &c->at.address,
                                                 &c->at.address, &d->error);
    agree_status(d, c->excluded ? "include" : "exclude", got, expected);
    if (got == IPALLOC_OK)
        c->excluded = !c->excluded;
}

static bool range_holds_something(const model_pool *p, size_t range) {
    for (size_t i = 0; i < p->cell_count; i++)
        if (p->cells[i].range == range && p->cells[i].owner != NO_OWNER)
            return true;
    return false;
}

static bool is_last_range(const model_pool *p, size_t range) {
    for (size_t i = 0; i < p->range_count; i++)
        if (i != range && p->conditions[i] != RANGE_ABSENT)
            return false;
    return true;
}

/* Active ranges drain, draining ones are removed once empty, absent ones come back. */
static void move_range(driver *d) {
    model_pool *p = &d->model.pools[MODEL_RANGES];
    ipalloc_pool *pool = d->pools[MODEL_RANGES];
    unsigned range = pick(d, (unsigned)p->range_count);
    const ipalloc_cidr *text = &p->ranges[range];
    switch (p->conditions[range]) {
    case RANGE_ACTIVE:
        if (pick(d, 4) != 0)
            return; /* mostly leave them to fill up */
        agree_status(d, "drain_range", ipalloc_pool_drain_range(pool, text, &d->error), IPALLOC_OK);
        p->conditions[range] = RANGE_DRAINING;
        break;
    case RANGE_DRAINING: {
        if (is_last_range(p, range))
            return; /* a pool keeps one */
        bool held = range_holds_something(p, range);
        agree_status(d, "remove_range", ipalloc_pool_remove_range(pool, text, &d->error),
                     held ? IPALLOC_E_TAKEN : IPALLOC_OK);
        if (!held)
            p->conditions[range] = RANGE_ABSENT;
        break;
    }
    case RANGE_ABSENT:
        agree_status(d, "add_range", ipalloc_pool_add_range(pool, text, &d->error), IPALLOC_OK);
        p->conditions[range] = RANGE_ACTIVE;
        break;
    }
    d->defined++;
}

/* --- the full state --------------------------------------------------------------------------- */

typedef struct lease_comparison {
    driver *driver;
    size_t seen;
} lease_comparison;

static int compare_lease(void *context, const ipalloc_lease *lease) {
    lease_comparison *comparison = context;
    driver *d = comparison->driver;
    unsigned pool = 0;
    while (pool < MODEL_POOLS && strcmp(d->model.pools[pool].name, lease->pool) != 0)
        pool++;
    agree(d, pool < MODEL_POOLS, "a lease of pool %s", lease->pool);
    place at = {.address = lease->address, .port = lease->port};
    const cell *c = model_cell(&d->model, (enum model_pool_id)pool, at, false);
    agree(d, c != NULL && c->owner != NO_OWNER, "%s is listed but not held", text_of(at));
    char owner[32];
    owner_name(c->owner, owner);
    agree(d, strcmp(owner, lease->owner) == 0, "%s is held by %s", text_of(at), lease->owner);
    agree(d, lease->generation == c->generation && lease->time_ms == c->time_ms,
          "%s: generation or time", text_of(at));
    uint8_t slots = 0;
    for (size_t i = 0; i < lease->slot_count; i++)
        for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
            if (strcmp(lease->slots[i], model_slot_name((enum model_pool_id)pool, slot)) == 0)
                slots |= (uint8_t)(1u << slot);
    agree(d, slots == c->slots && lease->slot_count == (size_t)__builtin_popcount(slots),
          "%s: slots %x, the model says %x", text_of(at), slots, c->slots);
    comparison->seen++;
    return 0;
}

static void compare_leases(driver *d) {
    lease_comparison comparison = {.driver = d};
    agree_status(d, "list", ipalloc_list(d->registry, NULL, compare_lease, &comparison, &d->error),
                 IPALLOC_OK);
    size_t held = 0;
    for (int pool = 0; pool < MODEL_POOLS; pool++)
        for (size_t i = 0; i < d->model.pools[pool].cell_count; i++)
            held += d->model.pools[pool].cells[i].in_use &&
                    d->model.pools[pool].cells[i].owner != NO_OWNER;
    agree(d, comparison.seen == held, "%zu leases are listed, the model has %zu", comparison.seen,
          held);
}

static void compare_band(driver *d, const char *what, const ipalloc_band_stats *got,
                         const band_counts *expected) {
    agree(d,
          got->size.low == expected->size && got->free.low == expected->free &&
              got->used.low == expected->used && got->cooling.low == expected->cooling &&
              got->excluded.low == expected->excluded,
          "%s: size %llu free %llu used %llu cooling %llu excluded %llu, "
          "the model says %llu %llu %llu %llu %llu",
          what, (unsigned long long)got->size.low, (unsigned long long)got->free.low,
          (unsigned long long)got->used.low, (unsigned long long)got->cooling.low,
          (unsigned long long)got->excluded.low, (unsigned long long)expected->size,
          (unsigned long long)expected->free, (unsigned long long)expected->used,
          (unsigned long long)expected->cooling, (unsigned long long)expected->excluded);
}

static void compare_counts(driver *d) {
    for (int pool = 0; pool < MODEL_POOLS; pool++) {
        ipalloc_pool_stats stats = {.size = sizeof stats};
        agree_status(d, "stats", ipalloc_pool_get_stats(d->pools[pool], &stats, &d->error),
                     IPALLOC_OK);
        band_counts dynamic, static_band;
        model_count(&d->model, (enum model_pool_id)pool, &dynamic, &static_band);
        compare_band(d, d->model.pools[pool].name, &stats.dynamic_band, &dynamic);
        compare_band(d, d->model.pools[pool].name, &stats.static_band, &static_band);
    }
}

static int compare_record(void *context, const ipalloc_entry *entry) {
    const model_record *r = context;
    uint64_t value = 0;
    memcpy(&value, entry->value.data, sizeof value);
    return entry->value.size == sizeof value && value == r->value && entry->revision == r->revision
               ? 0
               : 1;
}

static void compare_records(driver *d) {
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        model_record *r = &d->model.records[i];
        char key[16];
        record_key(i, key);
        agree_status(d, "record_get",
                     ipalloc_record_get(d->registry, key, compare_record, r, &d->error),
                     r->exists ? IPALLOC_OK : IPALLOC_E_NOT_FOUND);
    }
}

static void compare_everything(driver *d) {
    agree_status(d, "validate", ipalloc_registry_validate(d->registry, &d->error), IPALLOC_OK);
    compare_leases(d);
    compare_counts(d);
    compare_records(d);
}

/* --- the tests -------------------------------------------------------------------------------- */

static void run(driver *d, const char *url, uint64_t steps) {
    memset(d, 0, sizeof *d);
    d->url = url;
    d->random = test_seed();
    d->chosen = test_seed() + 1;
    model_init(&d->model);
    open_registry(d);
    for (int pool = 0; pool < MODEL_POOLS; pool++)
        define_pool(d, (enum model_pool_id)pool);
    for (uint64_t i = 1; d->step < steps; i++) {
        transact(d);
        d->model.now_ms += pick(d, 4) == 0 ? pick(d, 3000) : 0;
        if (i % DEFINE_EVERY == 0)
            toggle_exclusion(d);
        if (i % DEFINE_EVERY == DEFINE_EVERY / 2)
            move_range(d);
        if (i % REOPEN_EVERY == 0)
            reopen(d);
        if (i % COMPARE_EVERY == 0)
            compare_everything(d);
    }
    compare_everything(d);
    reopen(d);
    compare_everything(d);
    ipalloc_registry_close(d->registry);
    ipalloc_store_close(d->store);
}

static void say_what_was_seen(const driver *d) {
    fprintf(stderr,
            "%s: %llu steps; existing %llu, shared %llu, dry-runs %llu, reopened %llu, "
            "defined %llu",
            d->url, (unsigned long long)d->step, (unsigned long long)d->existing,
            (unsigned long long)d->shared, (unsigned long long)d->dry_runs,
            (unsigned long long)d->reopened, (unsigned long long)d->defined);
    for (int i = 0; i < STATUSES; i++)
        if (d->answers[i] != 0)
            fprintf(stderr, "; %s %llu", ipalloc_status_name(-i),
                    (unsigned long long)d->answers[i]);
    fprintf(stderr, "\n");
}

/* A run that has not met a rule has not tested it. */
static void every_answer_was_seen(const driver *d) {
    static const int STATUSES_MET[] = {
        IPALLOC_OK,          IPALLOC_E_FULL,      IPALLOC_E_TAKEN,   IPALLOC_E_NOT_IN_RANGE,
        IPALLOC_E_NOT_FOUND, IPALLOC_E_NOT_OWNER, IPALLOC_E_CONFLICT};
    for (size_t i = 0; i < sizeof STATUSES_MET / sizeof *STATUSES_MET; i++)
        ck_assert_msg(d->answers[-STATUSES_MET[i]] > 0, "the run never met %s",
                      ipalloc_status_name(STATUSES_MET[i]));
    ck_assert_uint_gt(d->existing, 0);
    ck_assert_uint_gt(d->shared, 0);
    ck_assert_uint_gt(d->dry_runs, 0);
    ck_assert_uint_gt(d->reopened, 0);
    ck_assert_uint_gt(d->defined, 0);
}

START_TEST(a_registry_in_memory_answers_as_the_model) {
    static driver d;
    uint64_t steps = test_scaled(STEPS_MEMORY);
    run(&d, "memory:", steps);
    say_what_was_seen(&d);
    if (steps >= 100000)
        every_answer_was_seen(&d);
}
END_TEST

START_TEST(a_registry_in_sqlite_answers_as_the_model) {
    static driver d;
    const char *directory = test_directory_make();
    char url[4200];
    snprintf(url, sizeof url, "sqlite:%s/registry", directory);
    run(&d, url, test_scaled(STEPS_SQLITE));
    test_directory_remove(directory);
    say_what_was_seen(&d);
}
END_TEST

int main(int argc, char **argv) {
    Suite *suite = suite_create("registry model");
    TCase *tc = tcase_create("model");
    tcase_set_timeout(tc, 550);
    bool sqlite = argc > 1 && strcmp(argv[1], "sqlite") == 0;
    if (sqlite)
        tcase_add_test(tc, a_registry_in_sqlite_answers_as_the_model);
    else
        tcase_add_test(tc, a_registry_in_memory_answers_as_the_model);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
