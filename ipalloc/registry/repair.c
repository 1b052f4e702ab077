/*
 * repair.c: the report: what is leased against what owners' records list.
 *
 * The caller lists its records first, then the leases are read at one revision, then the record
 * behind each finding is looked at once more: where it is still at the revision that the caller
 * read, it was so at the instant of the leases too, and the finding was true then. Others are left
 * out and counted; the next report judges them.
 *
 * Cost: one walk over the leases, a look-up by hash for each, and a read for each finding.
 */
#include "registry/repair.h"

#include <assert.h>
#include <string.h>

/* --- findings --------------------------------------------------------------------------------- */

static int add_finding(ipalloc_repair_report *r, const finding *f, ipalloc_error *error) {
    void *findings = r->findings;
    int status = array_grow(&r->registry->hooks, &findings, r->count, &r->capacity,
                            sizeof r->findings[0], error);
    r->findings = findings;
    if (status != IPALLOC_OK)
        return status;
    r->findings[r->count++] = *f;
    return r->live.names.failed ? error_no_memory(error) : IPALLOC_OK;
}

/* What a claim says, as a finding. */
static finding finding_of_claim(const ipalloc_repair_report *r, int kind, const live_claim *c) {
    const live_record *record = &r->live.records[c->record];
    return (finding){.kind = kind,
                     .pool = c->pool,
                     .pool_name = c->pool_name,
                     .place = c->place,
                     .owner = c->owner,
                     .key = record->key,
                     .revision = record->revision,
                     .slots = c->slot,
                     .slot_count = 1};
}

static int add_duplicate(ipalloc_repair_report *r, const live_claim *c, size_t holder,
                         uint64_t generation, ipalloc_error *error) {
    finding f = finding_of_claim(r, IPALLOC_REPAIR_DUPLICATE, c);
    f.holder = holder;
    f.has_holder = true;
    f.generation = generation;
    return add_finding(r, &f, error);
}

/* --- what is leased --------------------------------------------------------------------------- */

typedef struct lease_walk {
    ipalloc_repair_report *report;
    ipalloc_error *error;
} lease_walk;

static int add_leak(ipalloc_repair_report *r, const ipalloc_pool *pool, const place *p,
                    const ipalloc_lease *lease, ipalloc_error *error) {
    char key[LIVE_KEY_TEXT];
    if (!live_judges(&r->live, lease->owner, key)) {
        r->summary.not_judged++;
        return IPALLOC_OK;
    }
    const live_record *record = live_find_record(&r->live, key);
    finding f = {.kind = IPALLOC_REPAIR_LEAK,
                 .pool = pool,
                 .place = *p,
                 .revision = record != NULL ? record->revision : IPALLOC_REVISION_ABSENT,
                 .generation = lease->generation,
                 .slot_count = lease->slot_count};
    f.key = record != NULL ? record->key : live_keep(&r->live, key);
    f.owner = live_keep(&r->live, lease->owner);
    f.slots = r->live.names.length;
    for (size_t i = 0; i < lease->slot_count; i++)
        live_keep(&r->live, lease->slots[i]);
    return add_finding(r, &f, error);
}

/* Who lists the address of a lease: its owner, others, or nobody? */
static int judge_lease(void *context, const ipalloc_lease *lease) {
    const lease_walk *walk = context;
    ipalloc_repair_report *r = walk->report;
    const ipalloc_pool *pool = cache_find_pool(r->registry, lease->pool, strlen(lease->pool));
    place p = pool->kind == IPALLOC_POOL_PORT ? place_of_port(lease->port)
                                              : place_of_addr(&lease->address);
    size_t holder = 0;
    bool listed = false, kept = false;
    live_claim *c;
    r->summary.leases++;
    for (size_t cursor = 0; (c = live_next_claim(&r->live, pool, &p, &cursor)) != NULL;) {
        c->leased = true;
        listed = true;
        if (strcmp(live_name(&r->live, c->owner), lease->owner) == 0)
            continue;
        if (!kept)
            holder = live_keep(&r->live, lease->owner);
        kept = true;
        int status = add_duplicate(r, c, holder, lease->generation, walk->error);
        if (status != IPALLOC_OK)
            return status;
    }
    return listed ? IPALLOC_OK : add_leak(r, pool, &p, lease, walk->error);
}

/* --- what is only listed ---------------------------------------------------------------------- */

static bool is_in_range(ipalloc_registry *registry, const live_claim *c) {
    range_offset offset;
    if (c->pool == NULL)
        return false;
    gate_enter(&registry->gate);
    bool found = pool_find_range(c->pool, &c->place, &offset) != NULL;
    gate_leave(&registry->gate);
    return found;
}

/* Another owner that lists the same place; NULL if none does. */
static const live_claim *find_rival(const ipalloc_repair_report *r, const live_claim *c) {
    const live_claim *other;
    for (size_t cursor = 0;
         (other = live_next_claim(&r->live, c->pool, &c->place, &cursor)) != NULL;)
        if (strcmp(live_name(&r->live, other->owner), live_name(&r->live, c->owner)) != 0)
            return other;
    return NULL;
}

static int judge_claim(ipalloc_repair_report *r, const live_claim *c, ipalloc_error *error) {
    if (c->leased)
        return IPALLOC_OK;
    bool in_range = is_in_range(r->registry, c);
    const live_claim *rival = in_range ? find_rival(r, c) : NULL;
    if (rival != NULL)
        return add_duplicate(r, c, rival->owner, 0, error);
    finding f =
        finding_of_claim(r, in_range ? IPALLOC_REPAIR_MISSING : IPALLOC_REPAIR_OUT_OF_RANGE, c);
    return add_finding(r, &f, error);
}

static int judge_claims(ipalloc_repair_report *r, ipalloc_error *error) {
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < r->live.claim_count; i++)
        status = judge_claim(r, &r->live.claims[i], error);
    return status;
}

/* --- the records once more -------------------------------------------------------------------- */

static int note_revision(void *context, const ipalloc_entry *entry) {
    *(uint64_t *)context = entry->revision;
    return IPALLOC_OK;
}

int repair_record_revision(ipalloc_registry *registry, const char *key, uint64_t *out,
                           ipalloc_error *error) {
    *out = IPALLOC_REVISION_ABSENT;
    int status = ipalloc_record_get(registry, key, note_revision, out, error);
    return status == IPALLOC_E_NOT_FOUND ? IPALLOC_OK : status;
}

/* Keep the findings whose record is where the caller read it. */
static int drop_moved(ipalloc_repair_report *r, ipalloc_error *error) {
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        const finding f = r->findings[i];
        uint64_t revision;
        int status =
            repair_record_revision(r->registry, live_name(&r->live, f.key), &revision, error);
        if (status != IPALLOC_OK)
            return status;
        if (revision == f.revision)
            r->findings[kept++] = f;
    }
    r->summary.moved = r->count - kept;
    r->count = kept;
    return IPALLOC_OK;
}

/* --- the report ------------------------------------------------------------------------------- */

int repair_options_read(ipalloc_repair_options *out, const ipalloc_repair_options *given,
                        ipalloc_error *error) {
    int status = options_copy(out, sizeof *out, given, "ipalloc_repair_options", error);
    if (status == IPALLOC_OK && out->grace_ms == 0)
        out->grace_ms = IPALLOC_REPAIR_GRACE_MS_DEFAULT;
    return status;
}

/* Why nothing may be written; "" where it may. */
static int why_not_stored(ipalloc_registry *registry, const ipalloc_repair_options *options,
                          const char **out, ipalloc_error *error) {
    ipalloc_store_info info = {.size = sizeof info};
    int status = ipalloc_store_get_info(registry->store, &info, error);
    *out = options->no_sightings ? "asked to look only"
           : registry->read_only ? "the store was opened for reading only"
           : info.restored       ? "the store was restored and is not accepted yet"
                                 : "";
    return status;
}

/* The caller's list. A failed add counts even where the caller has overlooked it. */
static int list_live(ipalloc_repair_report *r, ipalloc_error *error) {
    ipalloc_live_list *live = &r->live;
    int status = live->set->list(live->set->context, live, error);
    if (live->failed != IPALLOC_OK)
        return error_set(error, live->failed, "%s", live->failure.message);
    r->summary.live = live->claim_count;
    return status;
}

_Static_assert((int)IPALLOC_REPAIR_OUT_OF_RANGE < (int)REPAIR_KINDS, "a counter for each kind");

/* What is only reported is counted here; the rest when it is applied. */
static void count_in_pool(const ipalloc_repair_report *r, const finding *f) {
    bool only_reported =
        f->kind == IPALLOC_REPAIR_DUPLICATE || f->kind == IPALLOC_REPAIR_OUT_OF_RANGE;
    if (f->pool == NULL || !only_reported)
        return;
    ipalloc_pool *pool = cache_find_pool(r->registry, f->pool->name, strlen(f->pool->name));
    atomic_add_relaxed(&pool->repairs[f->kind], 1);
}

static void count_up(ipalloc_repair_report *r) {
    ipalloc_repair_summary *s = &r->summary;
    s->lines = r->count;
    for (size_t i = 0; i < r->count; i++) {
        const finding *f = &r->findings[i];
        s->leaks += f->kind == IPALLOC_REPAIR_LEAK;
        s->missing += f->kind == IPALLOC_REPAIR_MISSING;
        s->duplicates += f->kind == IPALLOC_REPAIR_DUPLICATE;
        s->out_of_range += f->kind == IPALLOC_REPAIR_OUT_OF_RANGE;
        s->ripe += finding_is_ripe(r, f);
        count_in_pool(r, f);
    }
    assert(s->lines == s->leaks + s->missing + s->duplicates + s->out_of_range);
}

static int make_report(ipalloc_repair_report *r, const ipalloc_repair_options *options,
                       ipalloc_error *error) {
    ipalloc_repair_summary *s = &r->summary;
    lease_walk walk = {.report = r, .error = error};
    int status = why_not_stored(r->registry, options, &s->why_not_stored, error);
    if (status == IPALLOC_OK)
        status = list_live(r, error);
    if (status == IPALLOC_OK) {
        s->time_ms = hooks_wall_ms(&r->registry->hooks);
        status = ipalloc_list_at(r->registry, NULL, judge_lease, &walk, &s->revision, error);
    }
    if (status == IPALLOC_OK)
        status = judge_claims(r, error);
    if (status == IPALLOC_OK)
        status = drop_moved(r, error);
    s->grace_ms = options->grace_ms;
    s->stored = s->why_not_stored[0] == '\0';
    if (status == IPALLOC_OK)
        status = sightings_update(r, s->time_ms, s->stored, error);
    if (status == IPALLOC_OK)
        count_up(r);
    return status;
}

static int check_live_set(ipalloc_live_set *out, const ipalloc_live_set *given,
                          ipalloc_error *error) {
    if (given == NULL)
        return error_set(error, IPALLOC_E_INVALID, "the live set must not be NULL");
    int status = options_copy(out, sizeof *out, given, "ipalloc_live_set", error);
    if (status == IPALLOC_OK && (out->record_of == NULL || out->list == NULL))
        return error_set(error, IPALLOC_E_INVALID, "a live set needs record_of and list");
    return status;
}

int ipalloc_repair(ipalloc_registry *registry, const ipalloc_live_set *live,
                   const ipalloc_repair_options *options, ipalloc_repair_report **out,
                   ipalloc_error *error) {
    ipalloc_live_set set;
    ipalloc_repair_options given;
    if (registry == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "repair: registry and out must not be NULL");
    int status = check_live_set(&set, live, error);
    if (status == IPALLOC_OK)
        status = repair_options_read(&given, options, error);
    if (status == IPALLOC_OK)
        status = cache_catch_up(registry, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_repair_report *r = hooks_alloc_zeroed(&registry->hooks, sizeof *r);
    if (r == NULL)
        return error_no_memory(error);
    r->registry = registry;
    r->summary.size = sizeof r->summary;
    live_init(&r->live, registry, &set);
    status = make_report(r, &given, error);
    r->live.set = NULL; /* it was ours to use only until now */
    if (status == IPALLOC_OK) {
        *out = r;
    } else {
        atomic_add_relaxed(&registry->repair_failures, 1);
        ipalloc_repair_report_free(r);
    }
    return status;
}

void ipalloc_repair_report_free(ipalloc_repair_report *report) {
    if (report == NULL)
        return;
    const hooks *h = &report->registry->hooks;
    live_free(&report->live);
    hash_index_free(&report->by_place, h);
    hooks_free(h, report->findings);
    hooks_free(h, report);
}
