/*
 * pool_change.c: how a pool's definition is changed.
 *
 * A change is made alone in the gate: catch up, build the new ranges aside, commit the definition
 * (and move the revision that every allocating batch compares), then swap. Where the store has
 * moved on in between, it starts again. Cost of a change: one reading of the pool's leases.
 *
 * A definition that may take effect yet (its outcome unknown, and the store not to be asked) is
 * settled before the next change, and before anything that was claimed is committed: no lease of
 * ours comes between the change and its taking effect.
 */
#include "registry/pool_change.h"

#include <string.h>

enum { CHANGE_ATTEMPTS_MAX = 16 };

static int put_definition(ipalloc_registry *registry, const char *name, const definition *d,
                          uint64_t revision, uint64_t *committed_at, ipalloc_error *error) {
    text_buffer text, mark;
    text_init(&text, &registry->hooks);
    text_init(&mark, &registry->hooks);
    definition_append(&text, d);
    text_format(&mark, "changed=%s\n", name);
    int status = text.failed || mark.failed ? error_no_memory(error) : IPALLOC_OK;
    if (status == IPALLOC_OK) {
        record_key key = key_of_pool(name);
        uint64_t all = registry->definitions_revision;
        ipalloc_op ops[] = {{.kind = IPALLOC_OP_PUT,
                             .condition = all == 0 ? IPALLOC_IF_ABSENT : IPALLOC_IF_REVISION,
                             .revision = all,
                             .key = bytes_of(KEY_DEFINITIONS),
                             .value = bytes_of_buffer(&mark)},
                            {.kind = IPALLOC_OP_PUT,
                             .condition = revision == 0 ? IPALLOC_IF_ABSENT : IPALLOC_IF_REVISION,
                             .revision = revision,
                             .key = bytes_of_key(&key),
                             .value = bytes_of_buffer(&text)}};
        ipalloc_batch batch = {.ops = ops, .op_count = 2};
        status = registry_commit_settled(registry, &batch, error);
        *committed_at = batch.revision;
        if (status == IPALLOC_E_UNKNOWN_OUTCOME && batch.ticket != 0) {
            registry->unsettled_definition = batch.ticket;
            registry->unsettled_pool = cache_find_pool(registry, name, strlen(name));
        }
    }
    text_free(&text);
    text_free(&mark);
    return status;
}

static int check_overlaps(const ipalloc_registry *registry, const char *name, const definition *d,
                          ipalloc_error *error) {
    char ours[IPALLOC_CIDR_TEXT], theirs[IPALLOC_CIDR_TEXT];
    for (const ipalloc_pool *other = registry->pools; other != NULL; other = other->next) {
        if (strcmp(other->name, name) == 0)
            continue;
        for (size_t i = 0; i < d->range_count; i++) {
            for (size_t j = 0; j < other->definition.range_count; j++) {
                const ipalloc_cidr *range = &other->definition.ranges[j].cidr;
                if (!ipalloc_cidr_overlaps(&d->ranges[i].cidr, range))
                    continue;
                ipalloc_cidr_format(&d->ranges[i].cidr, ours);
                ipalloc_cidr_format(range, theirs);
                return error_set(error, IPALLOC_E_MISMATCH,
                                 "range %s of pool %s overlaps range %s of pool %s", ours, name,
                                 theirs, other->name);
            }
        }
    }
    return IPALLOC_OK;
}

/* Take a change back that has left somebody's lease in no range. Where that fails, the revision
 * stays behind the store's: nothing is given out, and the next catching up says what is wrong. */
static void take_back(ipalloc_pool *pool, uint64_t changed_at) {
    ipalloc_registry *registry = pool->registry;
    uint64_t at, before = registry->definitions_revision;
    registry->definitions_revision = changed_at;
    int status = put_definition(registry, pool->name, &pool->definition, changed_at, &at, NULL);
    registry->definitions_revision = status == IPALLOC_OK ? at : before;
    if (status == IPALLOC_OK)
        pool->revision = at;
}

/* It has taken effect after all, at that revision. Where another server's lease has come before it
 * and lies in no range now, it goes back to what is still in memory. */
static int follow(ipalloc_registry *registry, ipalloc_pool *pool, uint64_t at,
                  ipalloc_error *error) {
    int status = cache_catch_up_alone(registry, error);
    if (status != IPALLOC_E_CORRUPT || pool == NULL || registry->definitions_revision >= at)
        return status;
    take_back(pool, at);
    return cache_catch_up_alone(registry, error);
}

/* Alone in the gate. */
static int settle_alone(ipalloc_registry *registry, ipalloc_error *error) {
    bool happened;
    uint64_t at;
    if (registry->unsettled_definition == 0)
        return IPALLOC_OK;
    ipalloc_pool *pool = registry->unsettled_pool;
    /* Not a batch of ours that the memory has followed: it is caught up with like any other's. */
    int status =
        ipalloc_store_settle(registry->store, registry->unsettled_definition, &happened, &at, NULL);
    if (status != IPALLOC_OK)
        return error_set(error, IPALLOC_E_UNAVAILABLE,
                         "it is not known whether a pool's changed definition has taken effect, "
                         "and the store does not tell");
    registry->unsettled_definition = 0;
    registry->unsettled_pool = NULL;
    return happened ? follow(registry, pool, at, error) : IPALLOC_OK;
}

int pool_change_settle(ipalloc_registry *registry, ipalloc_error *error) {
    gate_enter_alone(&registry->gate);
    int status = settle_alone(registry, error);
    gate_leave_alone(&registry->gate);
    return status;
}

/* Somebody else committed between our look and our change. Now that the definitions have moved, no
 * batch under the old ones can follow: what is in the store is all there will be. CONFLICT: it does
 * not fit, and is to be planned anew with what has come. */
static int look_again(ipalloc_pool *pool, const definition *wanted, uint64_t at, range_set **set,
                      ipalloc_error *error) {
    ipalloc_registry *registry = pool->registry;
    range_set *fresh;
    int status = cache_build_set(registry, pool, wanted, &fresh, error);
    if (status == IPALLOC_OK) {
        cache_free_set(&registry->hooks, *set);
        *set = fresh;
    } else if (status == IPALLOC_E_TAKEN && pool->set != NULL) {
        take_back(pool, at);
        return error_set(error, IPALLOC_E_CONFLICT, "pool %s was drawn from at the same time",
                         pool->name);
    }
    return IPALLOC_OK; /* where reading failed, catching up does it */
}

/* Build the ranges aside, commit, and only then swap them in. */
static int apply_change(const change *c, ipalloc_pool *pool, definition *wanted,
                        ipalloc_error *error) {
    ipalloc_registry *registry = c->registry;
    bool is_new = pool->set == NULL;
    range_set *set;
    uint64_t at;
    int status = check_overlaps(registry, c->name, wanted, error);
    if (status == IPALLOC_OK)
        status = cache_build_set(registry, pool, wanted, &set, error);
    if (status != IPALLOC_OK)
        return status;
    status = put_definition(registry, c->name, wanted, pool->revision, &at, error);
    if (status == IPALLOC_OK && !cache_has_seen(registry, at))
        status = look_again(pool, wanted, at, &set, error);
    if (status != IPALLOC_OK) {
        cache_free_set(&registry->hooks, set);
        return status;
    }
    cache_install(pool, wanted, at, set);
    registry->definitions_revision = at;
    if (is_new)
        cache_link_pool(registry, pool);
    return IPALLOC_OK;
}

static int change_pool(const change *c, ipalloc_pool *known, definition *wanted,
                       ipalloc_error *error) {
    if (c->registry->read_only)
        return error_set(error, IPALLOC_E_READ_ONLY, "the store was opened for reading only");
    ipalloc_pool *pool = known != NULL ? known : cache_new_pool(c->registry, c->name, wanted->kind);
    if (pool == NULL)
        return error_no_memory(error);
    int status = IPALLOC_OK;
    if (c->is_fine != NULL && !c->is_fine(c, pool, error))
        status = IPALLOC_E_TAKEN;
    if (status == IPALLOC_OK)
        status = apply_change(c, pool, wanted, error);
    if (status != IPALLOC_OK && known == NULL)
        cache_free_pool(pool);
    return status;
}

/* One attempt, alone in the gate. */
static int try_change(const change *c, ipalloc_pool **out, ipalloc_error *error) {
    int status = settle_alone(c->registry, error);
    if (status == IPALLOC_OK)
        status = cache_catch_up_alone(c->registry, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_pool *known = cache_find_pool(c->registry, c->name, strlen(c->name));
    definition wanted = {0};
    status = c->plan(c, known != NULL ? &known->definition : NULL, &wanted, error);
    if (status == IPALLOC_OK)
        status = change_pool(c, known, &wanted, error);
    definition_free(&wanted);
    if (status == CHANGE_NOTHING)
        status = IPALLOC_OK;
    if (status == IPALLOC_OK && out != NULL)
        *out = cache_find_pool(c->registry, c->name, strlen(c->name));
    return status;
}

int pool_change_run(const change *c, ipalloc_pool **out, ipalloc_error *error) {
    int status = IPALLOC_E_CONFLICT;
    for (int attempt = 0; status == IPALLOC_E_CONFLICT && attempt < CHANGE_ATTEMPTS_MAX;
         attempt++) {
        gate_enter_alone(&c->registry->gate);
        status = try_change(c, out, error);
        gate_leave_alone(&c->registry->gate);
    }
    return status;
}

/* --- who is in the way ------------------------------------------------------------------------ */

/* Who holds it: a transaction in this process, or the store's lease. */
static const char *holder_of(ipalloc_registry *registry, const ipalloc_pool *pool, const place *p,
                             char holder[IPALLOC_OWNER_MAX + 1]) {
    enum claim_kind kind;
    fetched record;
    ipalloc_lease lease;
    record_key key = key_of_lease(pool->name, p);
    if (registry_fetch(registry, bytes_of_key(&key), &record, NULL) == IPALLOC_OK) {
        bool fine = lease_parse(bytes_of_buffer(&record.value), p, &lease);
        text_free(&record.value);
        if (fine) {
            memcpy(holder, lease.owner, sizeof lease.owner);
            return holder;
        }
    } else if (claims_find(&registry->claims, pool, p, &kind, holder)) {
        return holder;
    }
    return "an owner whose record cannot be read";
}

bool pool_change_say_held(const change *c, ipalloc_pool *pool, const ipalloc_addr *held,
                          const char *before, ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT], holder[IPALLOC_OWNER_MAX + 1], quoted[250];
    place p = place_of_addr(held);
    const char *who = holder_of(c->registry, pool, &p, holder);
    error_set(error, IPALLOC_E_TAKEN, "%s%s of pool %s is held by %s", before,
              place_format(&p, address), c->name,
              text_quote(who, strlen(who), quoted, sizeof quoted));
    return false;
}
