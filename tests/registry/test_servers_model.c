/*
 * test_servers_model.c: servers on one store that get no answers, are cut off, told of changes late
 * and started anew, against a model of what each owner must hold.
 *
 * Seeded, and one call after another; what is late arrives between them. From time to time all
 * calms down: then every outcome must be settled, every server must agree with the store, and the
 * store with the model.
 */
#include "fixture.h"
#include "shared_store.h"

#include <stdio.h>
#include <string.h>

enum { SERVERS = 3, OWNERS = 10, SLOTS = 3, WITH_RECORD = 2, EPOCH = 60 };

/* What an owner's slot must hold. UNSURE: something about it was left unknown, and may have
 * happened, or happen yet: then whatever the store says once all is settled. */
enum held { NONE, HELD, UNSURE };

typedef struct cell {
    enum held held;
    ipalloc_addr address;
} cell;

typedef struct world {
    shared_cluster cluster;
    struct {
        shared_server *store;
        fixture f;
        ipalloc_pool *pool;
    } servers[SERVERS];
    cell cells[OWNERS][SLOTS];
    bool tainted[OWNERS]; /* something of it was left unknown since the last calm */
    ipalloc_hooks hooks;
    uint64_t clock_ms;
    uint64_t random;
} world;

/* Slot WITH_RECORD comes and goes together with a record of the caller's. */
static const char *const SLOT_NAMES[SLOTS] = {"a", "b", "with-record"};

static uint64_t draw(world *w, uint64_t below) {
    return test_random(&w->random) % below;
}

static const char *owner_name(size_t owner, char out[16]) {
    snprintf(out, 16, "owner-%zu", owner);
    return out;
}

static uint64_t monotonic(void *context) {
    return ((world *)context)->clock_ms;
}

/* --- servers ---------------------------------------------------------------------------------- */

static const char RANGE[] = "10.96.0.0/27";

static void open_registry(world *w, size_t i) {
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &w->hooks};
    w->servers[i].f = (fixture){.store = w->servers[i].store->handle};
    OK(&w->servers[i].f, ipalloc_registry_open(w->servers[i].f.store, &options,
                                               &w->servers[i].f.registry, &w->servers[i].f.error));
    w->servers[i].pool = define_pool(&w->servers[i].f, "services", RANGE);
}

static void make_trouble(world *w, shared_server *store, bool on) {
    store->unknown_percent = on ? 25 : 0;
    store->settle_percent = on ? 25 : 0;
    store->lags = on && draw(w, 2) == 0;
    store->cut = false;
}

static void world_open(world *w, uint64_t seed) {
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->clock_ms = 1000;
    w->hooks = (ipalloc_hooks){.size = sizeof w->hooks, .context = w, .monotonic_ms = monotonic};
    shared_open(&w->cluster);
    w->cluster.random = test_random(&w->random);
    for (size_t i = 0; i < SERVERS; i++) {
        w->servers[i].store = shared_server_open(&w->cluster, i);
        open_registry(w, i);
    }
}

static void world_close(world *w) {
    for (size_t i = 0; i < SERVERS; i++)
        ipalloc_registry_close(w->servers[i].f.registry);
    shared_close(&w->cluster);
}

/* Its process dies, and another one begins. */
static void restart(world *w, size_t i) {
    ipalloc_registry_close(w->servers[i].f.registry);
    shared_server_close(w->servers[i].store);
    w->servers[i].store = shared_server_open(&w->cluster, i);
    open_registry(w, i);
    make_trouble(w, w->servers[i].store, true);
}

/* --- what calls must answer ------------------------------------------------------------------- */

static bool same(const ipalloc_addr *a, const ipalloc_addr *b) {
    return ipalloc_addr_compare(a, b) == 0;
}

/* Nobody else is known to hold it. */
static void check_no_double(const world *w, size_t owner, const ipalloc_addr *address) {
    for (size_t o = 0; o < OWNERS; o++)
        for (size_t s = 0; s < SLOTS; s++)
            require(o == owner || w->cells[o][s].held != HELD ||
                    !same(&w->cells[o][s].address, address));
}

static bool is_refusal(int status) {
    return status == IPALLOC_E_UNAVAILABLE || status == IPALLOC_E_CONFLICT ||
           status == IPALLOC_E_FULL || status == IPALLOC_E_TAKEN || status == IPALLOC_E_NOT_OWNER;
}

/* An answer that leaves open whether it has happened, or will. Where an owner that holds something
 * was taken for a new one, it can happen only once all is released. */
static void leave_open(world *w, size_t owner, size_t slot, bool allocates) {
    cell *c = &w->cells[owner][slot];
    w->tainted[owner] = true;
    if (!allocates || c->held != HELD)
        c->held = UNSURE;
}

static void granted(world *w, size_t owner, size_t slot, const ipalloc_grant *grant) {
    cell *c = &w->cells[owner][slot];
    check_no_double(w, owner, &grant->address);
    if (c->held == HELD)
        require(grant->existing && same(&c->address, &grant->address));
    else if (c->held == NONE)
        require(!grant->existing);
    if (c->held == UNSURE && grant->existing)
        return; /* a release of it may be on its way */
    *c = (cell){.held = HELD, .address = grant->address};
}

/* Once the owner's record is absent, what was conditional on that may happen. */
static void released(world *w, size_t owner, size_t slot) {
    w->cells[owner][slot].held = w->tainted[owner] ? UNSURE : NONE;
}

/* --- calls ------------------------------------------------------------------------------------ */

static ipalloc_addr any_address(world *w) {
    ipalloc_addr address = addr("10.96.0.0");
    address.bytes[3] = (uint8_t)(1 + draw(w, 30));
    return address;
}

static void one_shot(world *w, size_t i, size_t owner, size_t slot) {
    char name[16];
    ipalloc_grant grant = GRANT;
    ipalloc_addr wanted = any_address(w);
    ipalloc_registry *registry = w->servers[i].f.registry;
    /* A release is of the address: the one of the record must not come to be shared. */
    bool reserves = draw(w, 4) == 0 && w->cells[owner][WITH_RECORD].held == NONE;
    owner_name(owner, name);
    int status = reserves ? ipalloc_reserve(registry, w->servers[i].pool, name, SLOT_NAMES[slot],
                                            &wanted, &grant, NULL)
                          : ipalloc_allocate(registry, w->servers[i].pool, name, SLOT_NAMES[slot],
                                             &grant, NULL);
    if (status == IPALLOC_OK)
        granted(w, owner, slot, &grant);
    else if (status != IPALLOC_E_UNKNOWN_OUTCOME)
        require(is_refusal(status));
    else
        leave_open(w, owner, slot, true);
    if (status == IPALLOC_OK && reserves)
        require(same(&grant.address, &wanted));
}

static void release(world *w, size_t i, size_t owner, size_t slot) {
    char name[16];
    const cell *c = &w->cells[owner][slot];
    if (c->held != HELD)
        return;
    int status = ipalloc_release(w->servers[i].f.registry, w->servers[i].pool,
                                 owner_name(owner, name), &c->address, 0, NULL);
    /* Two slots may share it: a release is of the address. */
    ipalloc_addr address = c->address;
    for (size_t s = 0; s < WITH_RECORD; s++) {
        if (w->cells[owner][s].held == NONE || !same(&w->cells[owner][s].address, &address))
            continue;
        if (status == IPALLOC_OK)
            released(w, owner, s);
        else if (status == IPALLOC_E_UNKNOWN_OUTCOME)
            leave_open(w, owner, s, false);
    }
    require(status == IPALLOC_OK || status == IPALLOC_E_UNKNOWN_OUTCOME || is_refusal(status));
}

/* The commit, and what may follow it. */
static int commit(world *w, ipalloc_txn *txn) {
    int status = ipalloc_txn_commit(txn, NULL, NULL);
    bool aborts = draw(w, 2) == 0;
    for (int again = 0; !aborts && again < 3 && status == IPALLOC_E_UNKNOWN_OUTCOME; again++) {
        if (draw(w, 3) == 0)
            shared_deliver_one(&w->cluster);
        status = ipalloc_txn_commit(txn, NULL, NULL);
    }
    if (status == IPALLOC_E_UNKNOWN_OUTCOME)
        ipalloc_txn_abort(txn);
    return status;
}

static int put_record(ipalloc_txn *txn, const char *name, const ipalloc_addr *address) {
    const char *text = addr_text(address);
    return ipalloc_txn_put(txn, name, text, strlen(text), IPALLOC_REVISION_ANY, NULL);
}

/* An address and a record that names it, or neither. */
static void with_record(world *w, size_t i, size_t owner) {
    char name[16];
    cell *c = &w->cells[owner][WITH_RECORD];
    bool releases = c->held == HELD;
    ipalloc_txn *txn;
    ipalloc_grant grant = GRANT;
    ipalloc_txn_options options = {
        .size = sizeof options, .owner = owner_name(owner, name), .new_owner = draw(w, 2) == 0};
    int status = ipalloc_begin(w->servers[i].f.registry, &options, &txn, NULL);
    require_status(status, IPALLOC_OK);
    if (releases)
        status = ipalloc_txn_release_slot(txn, w->servers[i].pool, SLOT_NAMES[WITH_RECORD], NULL);
    else
        status =
            ipalloc_txn_allocate(txn, w->servers[i].pool, SLOT_NAMES[WITH_RECORD], &grant, NULL);
    if (status == IPALLOC_OK)
        status = releases ? ipalloc_txn_delete(txn, name, IPALLOC_REVISION_ANY, NULL)
                          : put_record(txn, name, &grant.address);
    if (status != IPALLOC_OK) {
        require(is_refusal(status));
        ipalloc_txn_abort(txn);
        return;
    }
    status = commit(w, txn);
    if (status == IPALLOC_E_UNKNOWN_OUTCOME)
        leave_open(w, owner, WITH_RECORD, !releases);
    else if (status == IPALLOC_OK && releases)
        released(w, owner, WITH_RECORD);
    else if (status == IPALLOC_OK)
        granted(w, owner, WITH_RECORD, &grant);
    else
        require(is_refusal(status));
}

static void act(world *w) {
    size_t i = draw(w, SERVERS), owner = draw(w, OWNERS);
    shared_server *store = w->servers[i].store;
    w->clock_ms += draw(w, 400);
    switch (draw(w, 20)) {
    case 0:
        store->cut = !store->cut;
        break;
    case 1:
        shared_deliver_one(&w->cluster);
        break;
    case 2:
        ipalloc_registry_process(w->servers[i].f.registry, NULL, NULL);
        break;
    case 3:
        if (draw(w, 5) == 0)
            restart(w, i);
        break;
    case 4:
        shared_foreign_write(&w->cluster);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        release(w, i, owner, draw(w, WITH_RECORD));
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        with_record(w, i, owner);
        break;
    default:
        one_shot(w, i, owner, draw(w, WITH_RECORD));
    }
}

/* --- when all is calm ------------------------------------------------------------------------- */

/* The store answers again: later calls settle what was left. */
static void settle_all(world *w) {
    for (size_t i = 0; i < SERVERS; i++)
        make_trouble(w, w->servers[i].store, false);
    w->clock_ms += 5000;
    for (size_t i = 0; i < SERVERS; i++)
        for (int n = 0; n < EPOCH; n++) {
            ipalloc_txn *txn = begin(&w->servers[i].f, NULL);
            OK(&w->servers[i].f,
               ipalloc_txn_put(txn, "~calm", "", 0, IPALLOC_REVISION_ANY, &w->servers[i].f.error));
            OK(&w->servers[i].f, ipalloc_txn_commit(txn, NULL, &w->servers[i].f.error));
        }
    shared_deliver(&w->cluster);         /* what dead processes have sent */
    require(w->cluster.batches == NULL); /* no ticket of the living is forgotten */
}

typedef struct leases {
    const world *w;
    cell cells[OWNERS][SLOTS];
    size_t count;
} leases;

static int note_lease(void *context, const ipalloc_lease *lease) {
    leases *all = context;
    size_t owner;
    require(sscanf(lease->owner, "owner-%zu", &owner) == 1 && owner < OWNERS);
    for (size_t i = 0; i < lease->slot_count; i++)
        for (size_t s = 0; s < SLOTS; s++)
            if (strcmp(lease->slots[i], SLOT_NAMES[s]) == 0)
                all->cells[owner][s] = (cell){.held = HELD, .address = lease->address};
    all->count++;
    return 0;
}

typedef struct record_text {
    char text[64];
    bool found;
} record_text;

static int note_record(void *context, const ipalloc_entry *entry) {
    record_text *r = context;
    memcpy(r->text, entry->value.data, entry->value.size);
    r->text[entry->value.size] = '\0';
    r->found = true;
    return 0;
}

/* Lease and record came and went together. */
static void check_record(world *w, size_t owner, const cell *c) {
    char name[16];
    record_text r = {.found = false};
    ipalloc_record_get(w->servers[0].f.registry, owner_name(owner, name), note_record, &r, NULL);
    require(r.found == (c->held == HELD));
    if (r.found)
        ck_assert_str_eq(r.text, addr_text(&c->address));
}

static void check_calm(world *w) {
    leases all = {.w = w};
    settle_all(w);
    for (size_t i = 0; i < SERVERS; i++) {
        OK(&w->servers[i].f,
           ipalloc_registry_process(w->servers[i].f.registry, NULL, &w->servers[i].f.error));
        assert_sound(&w->servers[i].f);
    }
    OK(&w->servers[0].f, ipalloc_list(w->servers[0].f.registry, w->servers[0].pool, note_lease,
                                      &all, &w->servers[0].f.error));
    for (size_t i = 0; i < SERVERS; i++)
        ck_assert_uint_eq(used_of(w->servers[i].pool), all.count);
    for (size_t o = 0; o < OWNERS; o++) {
        for (size_t s = 0; s < SLOTS; s++) {
            const cell *stored = &all.cells[o][s], *wanted = &w->cells[o][s];
            if (wanted->held != UNSURE && wanted->held != stored->held)
                ck_abort_msg("owner-%zu %s: model %d %s, store %d %s", o, SLOT_NAMES[s],
                             wanted->held, addr_text(&wanted->address), stored->held,
                             addr_text(&stored->address));
            require(wanted->held == UNSURE || wanted->held == stored->held);
            require(wanted->held != HELD || same(&wanted->address, &stored->address));
        }
        check_record(w, o, &all.cells[o][WITH_RECORD]);
        w->tainted[o] = false;
    }
    memcpy(w->cells, all.cells, sizeof w->cells);
}

START_TEST(no_double_no_loss_no_leak_and_the_same_address_again) {
    world w;
    world_open(&w, test_seed() + (uint64_t)_i);
    for (uint64_t epoch = 0; epoch < test_scaled(20); epoch++) {
        for (size_t i = 0; i < SERVERS; i++)
            make_trouble(&w, w.servers[i].store, true);
        for (int n = 0; n < EPOCH; n++)
            act(&w);
        check_calm(&w);
    }
    world_close(&w);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("servers_model");
    TCase *c = tcase_create("random");
    tcase_set_timeout(c, 100);
    tcase_add_loop_test(c, no_double_no_loss_no_leak_and_the_same_address_again, 0, 20);
    suite_add_tcase(suite, c);
    return test_main(suite);
}
