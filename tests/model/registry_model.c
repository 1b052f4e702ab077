/*
 * registry_model.c: see registry_model.h. Arrays and loops, nothing clever.
 */
#include "registry_model.h"

#include <string.h>

static const char *const SLOT_NAMES[MODEL_POOLS][MODEL_SLOTS] = {
    {"clusterIP/IPv4", "clusterIP/second", "probe"},
    {"clusterIP/IPv6", "clusterIP6/second", "probe6"},
    {"nodePort/http", "nodePort/https", "nodePort/dns"},
    {"loadBalancer/0", "loadBalancer/1", "loadBalancer/2"},
    {"resting/0", "resting/1", "resting/2"},
};

const char *model_slot_name(enum model_pool_id pool, unsigned slot) {
    return SLOT_NAMES[pool][slot];
}

/* --- building --------------------------------------------------------------------------------- */

static void add_cell(model_pool *p, place at, uint8_t range, bool is_static) {
    ck_assert_uint_lt(p->cell_count, MODEL_CELLS);
    p->cells[p->cell_count++] = (cell){.at = at,
                                       .in_use = true,
                                       .is_static = is_static,
                                       .range = range,
                                       .owner = NO_OWNER,
                                       .claimed_by = -1};
}

/* The usable addresses of an IPv4 range: not the first, not the last; the static band is the low
 * part by the formula of KEP-3070, which these sizes make 16 or nothing. */
static void add_range(model_pool *p, const char *text) {
    ipalloc_cidr range = cidr(text);
    uint8_t index = (uint8_t)p->range_count++;
    p->ranges[index] = range;
    p->conditions[index] = RANGE_ACTIVE;
    unsigned size = 1u << (32 - range.prefix_length);
    unsigned offset = size <= 16 ? 0 : 16;
    for (unsigned i = 1; i < size - 1; i++) {
        place at = {.address = range.base};
        at.address.bytes[3] = (uint8_t)(at.address.bytes[3] + i);
        add_cell(p, at, index, i <= offset);
    }
}

static void add_ports(model_pool *p, uint16_t first, unsigned count) {
    p->range_count = 1;
    p->conditions[0] = RANGE_ACTIVE;
    for (unsigned i = 0; i < count; i++) {
        place at = {.port = (uint16_t)(first + i)};
        add_cell(p, at, 0, i < 16); /* KEP-3668: min(max(16, 64/32), 128) */
    }
}

void model_init(model *m) {
    memset(m, 0, sizeof *m);
    m->now_ms = 1700000000000;
    static const struct {
        const char *name;
        int kind;
    } POOLS[MODEL_POOLS] = {{"small", IPALLOC_POOL_IPV4},
                            {"sparse", IPALLOC_POOL_IPV6},
                            {"ports", IPALLOC_POOL_PORT},
                            {"ranges", IPALLOC_POOL_IPV4},
                            {"resting", IPALLOC_POOL_IPV4}};
    for (int i = 0; i < MODEL_POOLS; i++) {
        m->pools[i].name = POOLS[i].name;
        m->pools[i].kind = POOLS[i].kind;
    }
    add_range(&m->pools[MODEL_SMALL], "10.96.0.0/26");
    m->pools[MODEL_SPARSE].ranges[0] = cidr("fd00:10:96::/64");
    m->pools[MODEL_SPARSE].range_count = 1;
    m->pools[MODEL_SPARSE].conditions[0] = RANGE_ACTIVE;
    add_ports(&m->pools[MODEL_PORTS], 30000, 64);
    add_range(&m->pools[MODEL_RANGES], "192.0.2.0/28");
    add_range(&m->pools[MODEL_RANGES], "192.0.2.32/28");
    add_range(&m->pools[MODEL_RANGES], "192.0.2.64/28");
    add_range(&m->pools[MODEL_RESTING], "10.97.0.0/27");
    m->pools[MODEL_RESTING].cool_down_ms = MODEL_COOL_DOWN_MS;
}

/* --- cells ------------------------------------------------------------------------------------ */

static bool same_place(const place *a, const place *b) {
    return ipalloc_addr_compare(&a->address, &b->address) == 0 && a->port == b->port;
}

/* Usable in the /64: inside, and not its first address. The static band is the next 256. */
static cell *sparse_cell_make(model_pool *p, place at) {
    if (!ipalloc_cidr_contains(&p->ranges[0], &at.address) ||
        ipalloc_addr_compare(&p->ranges[0].base, &at.address) == 0)
        return NULL;
    static const uint8_t ZERO[6];
    const uint8_t *host = at.address.bytes + 8;
    unsigned low = (unsigned)host[6] << 8 | host[7];
    bool is_static = memcmp(host, ZERO, sizeof ZERO) == 0 && low <= 256;
    for (size_t i = 0; i < p->cell_count; i++) {
        if (p->cells[i].in_use)
            continue;
        p->cells[i] = (cell){
            .at = at, .in_use = true, .is_static = is_static, .owner = NO_OWNER, .claimed_by = -1};
        return &p->cells[i];
    }
    add_cell(p, at, 0, is_static);
    return &p->cells[p->cell_count - 1];
}

cell *model_cell(model *m, enum model_pool_id pool, place at, bool make) {
    model_pool *p = &m->pools[pool];
    for (size_t i = 0; i < p->cell_count; i++) {
        cell *c = &p->cells[i];
        if (c->in_use && same_place(&c->at, &at))
            return p->conditions[c->range] == RANGE_ABSENT ? NULL : c;
    }
    return pool == MODEL_SPARSE && make ? sparse_cell_make(p, at) : NULL;
}

static void forget_sparse_cell(model *m, cell *c) {
    model_pool *p = &m->pools[MODEL_SPARSE];
    if (c >= p->cells && c < p->cells + MODEL_CELLS && c->owner == NO_OWNER && c->claimed_by < 0 &&
        c->peeked == 0)
        c->in_use = false;
}

static bool is_cooling(const model *m, const cell *c) {
    return c->rested_at_ms > m->now_ms;
}

bool model_is_free(const model *m, enum model_pool_id pool, const cell *c) {
    return m->pools[pool].conditions[c->range] == RANGE_ACTIVE && c->owner == NO_OWNER &&
           c->claimed_by < 0 && !c->excluded && !is_cooling(m, c);
}

static void count_cell(const model *m, const cell *c, band_counts *band) {
    band->size++;
    if (c->owner != NO_OWNER || c->claimed_by >= 0)
        band->used++;
    else if (c->excluded)
        band->excluded++;
    else if (is_cooling(m, c))
        band->cooling++;
    else
        band->free++;
}

void model_count(const model *m, enum model_pool_id pool, band_counts *dynamic,
                 band_counts *static_band) {
    const model_pool *p = &m->pools[pool];
    memset(dynamic, 0, sizeof *dynamic);
    memset(static_band, 0, sizeof *static_band);
    for (size_t i = 0; i < p->cell_count; i++) {
        const cell *c = &p->cells[i];
        if (c->in_use && p->conditions[c->range] != RANGE_ABSENT)
            count_cell(m, c, c->is_static ? static_band : dynamic);
    }
    if (pool == MODEL_SPARSE) { /* 2^64 - 1 usable, 256 of them static */
        static_band->size = 256;
        static_band->free = 256 - static_band->used;
        dynamic->size = UINT64_MAX - 256;
        dynamic->free = dynamic->size - dynamic->used;
    }
}

/* --- steps ------------------------------------------------------------------------------------ */

void model_begin(model *m, int index, int owner, bool dry_run) {
    model_txn *t = &m->txns[index];
    memset(t, 0, sizeof *t);
    t->open = true;
    t->dry_run = dry_run;
    t->owner = owner;
}

void model_load(model *m, int index) {
    model_txn *t = &m->txns[index];
    if (t->loaded)
        return;
    t->loaded = true;
    t->owner_version = m->owner_versions[t->owner];
    for (int pool = 0; pool < MODEL_POOLS; pool++)
        for (size_t i = 0; i < m->pools[pool].cell_count; i++) {
            cell *c = &m->pools[pool].cells[i];
            if (c->in_use && c->owner == t->owner)
                t->views[t->view_count++] = (view){.cell = c,
                                                   .pool = (enum model_pool_id)pool,
                                                   .was_held = true,
                                                   .slots = c->slots,
                                                   .generation = c->generation};
        }
}

view *model_slot(model_txn *t, enum model_pool_id pool, unsigned slot) {
    for (size_t i = 0; i < t->view_count; i++)
        if (t->views[i].pool == pool && (t->views[i].slots >> slot & 1) != 0)
            return &t->views[i];
    return NULL;
}

view *model_view(model_txn *t, const cell *c) {
    for (size_t i = 0; i < t->view_count; i++)
        if (t->views[i].cell == c)
            return &t->views[i];
    return NULL;
}

/* What drains counts as free but is not given; a dry-run does not pick the same one twice. */
int model_allocate(model *m, int index, enum model_pool_id pool, unsigned slot, view **existing) {
    model_txn *t = &m->txns[index];
    *existing = model_slot(t, pool, slot);
    if (*existing != NULL || pool == MODEL_SPARSE)
        return IPALLOC_OK;
    for (size_t i = 0; i < m->pools[pool].cell_count; i++) {
        const cell *c = &m->pools[pool].cells[i];
        if (model_is_free(m, pool, c) && model_view(t, c) == NULL)
            return IPALLOC_OK;
    }
    return IPALLOC_E_FULL;
}

/* The slot is looked at before the address: where both speak against it, it is TAKEN. */
int model_reserve(model *m, int index, enum model_pool_id pool, unsigned slot, place at,
                  bool *existing) {
    model_txn *t = &m->txns[index];
    cell *c = model_cell(m, pool, at, true);
    view *occupied = model_slot(t, pool, slot);
    view *mine = c != NULL ? model_view(t, c) : NULL;
    *existing = occupied != NULL && occupied == mine;
    int status = IPALLOC_OK;
    if (occupied != NULL)
        status = *existing ? IPALLOC_OK : IPALLOC_E_TAKEN;
    else if (c == NULL)
        status = IPALLOC_E_NOT_IN_RANGE;
    else if (mine != NULL)
        status = IPALLOC_OK; /* the slot is added; a planned release is off */
    else if (m->pools[pool].conditions[c->range] == RANGE_DRAINING)
        status = IPALLOC_E_NOT_IN_RANGE;
    else if (c->claimed_by >= 0 && m->txns[c->claimed_by].owner == t->owner)
        status = IPALLOC_E_CONFLICT;
    else if (c->owner != NO_OWNER || c->claimed_by >= 0 || c->excluded)
        status = IPALLOC_E_TAKEN;
    if (c != NULL)
        forget_sparse_cell(m, c);
    return status;
}

int model_release(model *m, int index, enum model_pool_id pool, place at, uint64_t generation) {
    model_txn *t = &m->txns[index];
    cell *c = model_cell(m, pool, at, true);
    if (c == NULL)
        return IPALLOC_E_NOT_IN_RANGE;
    view *mine = model_view(t, c);
    int status = IPALLOC_OK;
    if (mine != NULL)
        status =
            generation != 0 && generation != mine->generation ? IPALLOC_E_NOT_OWNER : IPALLOC_OK;
    else if (c->owner != NO_OWNER)
        status = IPALLOC_E_NOT_OWNER;
    forget_sparse_cell(m, c);
    return status;
}

int model_rename(model *m, int index, enum model_pool_id pool, unsigned from, unsigned to) {
    view *source = model_slot(&m->txns[index], pool, from);
    view *target = model_slot(&m->txns[index], pool, to);
    if (source == NULL)
        return IPALLOC_E_NOT_FOUND;
    return target != NULL && target != source ? IPALLOC_E_TAKEN : IPALLOC_OK;
}

void model_grant(model *m, int index, enum model_pool_id pool, unsigned slot, cell *c,
                 uint64_t generation) {
    model_txn *t = &m->txns[index];
    view *v = model_view(t, c);
    (void)m;
    if (v == NULL) {
        v = &t->views[t->view_count++];
        *v = (view){.cell = c,
                    .pool = pool,
                    .generation = generation,
                    .cooling_version = c->cooling_version};
        if (t->dry_run)
            c->peeked++;
        else
            c->claimed_by = index;
    }
    v->slots |= (uint8_t)(1u << slot);
    v->touched = true;
}

static void drop_claim(model *m, const model_txn *t, cell *c) {
    if (t->dry_run)
        c->peeked--;
    else
        c->claimed_by = -1;
    forget_sparse_cell(m, c);
}

/* A claim of this transaction that it gives up is free at once. */
static void empty_slots(model *m, model_txn *t, view *v, uint8_t slots) {
    v->touched = true;
    v->slots &= (uint8_t)~slots;
    if (v->slots != 0 || v->was_held)
        return;
    drop_claim(m, t, v->cell);
    *v = t->views[--t->view_count];
}

void model_apply_release(model *m, int index, enum model_pool_id pool, place at) {
    cell *c = model_cell(m, pool, at, false);
    view *mine = c != NULL ? model_view(&m->txns[index], c) : NULL;
    if (mine != NULL && mine->slots != 0)
        empty_slots(m, &m->txns[index], mine, mine->slots);
}

void model_apply_release_slot(model *m, int index, enum model_pool_id pool, unsigned slot) {
    view *mine = model_slot(&m->txns[index], pool, slot);
    if (mine != NULL)
        empty_slots(m, &m->txns[index], mine, (uint8_t)(1u << slot));
}

void model_apply_release_all(model *m, int index) {
    model_txn *t = &m->txns[index];
    for (size_t i = t->view_count; i > 0; i--)
        if (t->views[i - 1].slots != 0)
            empty_slots(m, t, &t->views[i - 1], t->views[i - 1].slots);
}

void model_apply_rename(model *m, int index, enum model_pool_id pool, unsigned from, unsigned to) {
    view *v = model_slot(&m->txns[index], pool, from);
    if (from == to)
        return;
    v->slots = (uint8_t)((v->slots & ~(1u << from)) | 1u << to);
    v->touched = true;
}

/* --- commit ----------------------------------------------------------------------------------- */

static bool touches_leases(const model_txn *t) {
    for (size_t i = 0; i < t->view_count; i++)
        if (t->views[i].touched)
            return true;
    return false;
}

bool model_changes_something(const model *m, int index) {
    const model_txn *t = &m->txns[index];
    return touches_leases(t) || t->put_count > 0;
}

static bool put_holds(const model *m, const model_put *put) {
    const model_record *r = &m->records[put->key];
    if (put->expected == IPALLOC_REVISION_ANY)
        return true;
    if (put->expected == IPALLOC_REVISION_ABSENT)
        return !r->exists;
    return r->exists && r->revision == put->expected;
}

/* Only a dry-run's picks can be taken meanwhile: it claims nothing. */
static bool pick_is_gone(const view *v) {
    return !v->was_held &&
           (v->cell->owner != NO_OWNER ||
            (v->cooling_version != 0 && v->cell->cooling_version != v->cooling_version));
}

/* A commit relies on what its owner held, and on the records that it names. A dry-run is refused
 * what a commit would be refused. */
int model_commit(const model *m, int index) {
    const model_txn *t = &m->txns[index];
    if (!model_changes_something(m, index))
        return IPALLOC_OK;
    if (t->loaded && t->owner_version != m->owner_versions[t->owner])
        return IPALLOC_E_CONFLICT;
    for (size_t i = 0; i < t->view_count; i++)
        if (pick_is_gone(&t->views[i]))
            return IPALLOC_E_CONFLICT;
    for (size_t i = 0; i < t->put_count; i++)
        if (!put_holds(m, &t->puts[i]))
            return IPALLOC_E_CONFLICT;
    return IPALLOC_OK;
}

static void commit_view(model *m, const model_txn *t, const view *v) {
    cell *c = v->cell;
    c->slots = v->slots;
    c->claimed_by = -1;
    if (v->slots == 0) {
        c->owner = NO_OWNER;
        uint64_t rest = m->pools[v->pool].cool_down_ms;
        c->rested_at_ms = rest > 0 ? test_end_of_rest(m->now_ms, rest) : 0;
        c->cooling_version = rest > 0 ? m->commits : 0;
        forget_sparse_cell(m, c);
    } else if (!v->was_held) {
        c->owner = t->owner;
        c->generation = v->generation;
        c->time_ms = m->now_ms;
        c->rested_at_ms = c->cooling_version = 0;
    }
}

static bool holds_anything(const model_txn *t) {
    for (size_t i = 0; i < t->view_count; i++)
        if (t->views[i].slots != 0)
            return true;
    return false;
}

void model_apply_commit(model *m, int index, uint64_t revision) {
    model_txn *t = &m->txns[index];
    m->commits++;
    if (touches_leases(t))
        m->owner_versions[t->owner] = holds_anything(t) ? m->commits : 0;
    for (size_t i = 0; i < t->view_count; i++)
        if (t->views[i].touched)
            commit_view(m, t, &t->views[i]);
    for (size_t i = 0; i < t->put_count; i++)
        m->records[t->puts[i].key] = (model_record){!t->puts[i].delete, t->puts[i].value, revision};
    t->open = false;
}

void model_abort(model *m, int index) {
    model_txn *t = &m->txns[index];
    for (size_t i = 0; i < t->view_count; i++)
        if (!t->views[i].was_held)
            drop_claim(m, t, t->views[i].cell);
    t->open = false;
}
