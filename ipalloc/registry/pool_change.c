/*
 * pool_change.c: how a pool's definition is changed.
 *
 * A change is made alone in the gate: catch up, build the new ranges aside, commit the definition
 * (and move the revision that every allocating batch compares), then swap. Where the store has
 * moved on in between, it starts again.
 *
 * Other servers allocate between our look at the leases and our commit. So what a change takes away
 * goes in two commits: first it drains (definition_drain.c), and nothing by the definitions of
 * before can be committed after that; then the leases are read, and it goes. Whatever is held in it
 * by then stops the change, and the first step is taken back. Whoever dies between the two leaves
 * something that drains, and the same change made again goes on from there. What is only added to,
 * or drains already, needs one commit.
 * Invariant: at every revision of the store each lease lies in a range of its pool.
 *
 * A definition that may take effect yet (its outcome unknown, and the store not to be asked) is
 * settled before the next change, and before anything that was claimed is committed: no lease of
 * ours comes between the change and its taking effect.
 */
#include "registry/pool_change.h"

#include "registry/holder.h"

#include <string.h>

enum { CHANGE_ATTEMPTS_MAX = 16 };

/* Beside statuses: what goes drains now, and the change is to be made. */
enum { CHANGE_DRAINED = CHANGE_NOTHING + 1 };

/* What goes drains: since when, and the definition before that. */
typedef struct first_step {
    uint64_t revision; /* 0: not so */
    definition before;
} first_step;

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
        if (status == IPALLOC_E_UNKNOWN_OUTCOME)
            registry->unsettled_definition = batch.ticket;
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

/* Alone in the gate. */
static int settle_alone(ipalloc_registry *registry, ipalloc_error *error) {
    bool happened;
    uint64_t at;
    if (registry->unsettled_definition == 0)
        return IPALLOC_OK;
    /* Not a batch of ours that the memory has followed: it is caught up with like any other's. */
    int status =
        ipalloc_store_settle(registry->store, registry->unsettled_definition, &happened, &at, NULL);
    if (status != IPALLOC_OK)
        return error_set(error, IPALLOC_E_UNAVAILABLE,
                         "it is not known whether a pool's changed definition has taken effect, "
                         "and the store does not tell");
    registry->unsettled_definition = 0;
    return happened ? cache_catch_up_alone(registry, error) : IPALLOC_OK;
}

int pool_change_settle(ipalloc_registry *registry, ipalloc_error *error) {
    gate_enter_alone(&registry->gate);
    int status = settle_alone(registry, error);
    gate_leave_alone(&registry->gate);
    return status;
}

/* --- one definition ----------------------------------------------------------------------------
 */

/* Build the ranges aside. */
static int prepare(ipalloc_pool *pool, const definition *wanted, range_set **set,
                   ipalloc_error *error) {
    int status = check_overlaps(pool->registry, pool->name, wanted, error);
    return status == IPALLOC_OK ? cache_build_set(pool->registry, pool, wanted, set, error)
                                : status;
}

/* Commit, and only then swap them in. What others have committed since they were read is told as
 * any change is. */
static int carry_out(ipalloc_pool *pool, definition *wanted, range_set *set, ipalloc_error *error) {
    ipalloc_registry *registry = pool->registry;
    bool is_new = pool->set == NULL;
    uint64_t at;
    int status = put_definition(registry, pool->name, wanted, pool->revision, &at, error);
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

/* --- the first step of two -------------------------------------------------------------------- */

static void forget(first_step *first) {
    definition_free(&first->before);
    *first = (first_step){0};
}

/* Nobody else has changed that pool since. */
static bool stands(const first_step *first, const ipalloc_pool *pool) {
    return first->revision != 0 && pool != NULL && pool->revision == first->revision;
}

/* More than once where a held end that was to be kept is released meanwhile. */
static int drain_first(ipalloc_pool *pool, const definition *wanted, first_step *first,
                       ipalloc_error *error) {
    range_set *set;
    definition between = {0};
    int status = IPALLOC_OK;
    if (first->revision == 0)
        status = definition_copy(&first->before, &pool->definition, error);
    if (status == IPALLOC_OK)
        status = definition_drain_first(&between, &pool->definition, wanted, error);
    if (status == IPALLOC_OK)
        status = prepare(pool, &between, &set, error);
    if (status == IPALLOC_OK)
        status = carry_out(pool, &between, set, error);
    definition_free(&between);
    if (status != IPALLOC_OK)
        return status;
    first->revision = pool->revision;
    return CHANGE_DRAINED;
}

static int try_take_back(const change *c, const first_step *first) {
    range_set *set;
    definition before;
    int status = cache_catch_up_alone(c->registry, NULL);
    ipalloc_pool *pool = cache_find_pool(c->registry, c->name, strlen(c->name));
    if (status != IPALLOC_OK || !stands(first, pool))
        return status;
    status = definition_copy(&before, &first->before, NULL);
    if (status == IPALLOC_OK)
        status = prepare(pool, &before, &set, NULL);
    if (status == IPALLOC_OK)
        status = carry_out(pool, &before, set, NULL);
    definition_free(&before);
    return status;
}

/* The change cannot be made. Where this fails, what should have gone drains. */
static void take_back(const change *c, const first_step *first) {
    int status = IPALLOC_E_CONFLICT;
    for (int i = 0; status == IPALLOC_E_CONFLICT && i < CHANGE_ATTEMPTS_MAX; i++)
        status = try_take_back(c, first);
}

/* --- a change --------------------------------------------------------------------------------- */

static int change_known(ipalloc_pool *pool, definition *wanted, first_step *first,
                        ipalloc_error *error) {
    range_set *set;
    int status = prepare(pool, wanted, &set, error);
    if (status != IPALLOC_OK)
        return status;
    if (pool->set == NULL || !definition_gives_up(&pool->definition, wanted))
        return carry_out(pool, wanted, set, error);
    cache_free_set(&pool->registry->hooks, set);
    return drain_first(pool, wanted, first, error);
}

static int change_pool(const change *c, ipalloc_pool *known, definition *wanted, first_step *first,
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
        status = change_known(pool, wanted, first, error);
    if (status != IPALLOC_OK && known == NULL)
        cache_free_pool(pool);
    return status;
}

/* Planned from the definition of before the first step, as long as that stands. */
static int try_step(const change *c, first_step *first, ipalloc_error *error) {
    int status = settle_alone(c->registry, error);
    if (status == IPALLOC_OK)
        status = cache_catch_up_alone(c->registry, error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_pool *known = cache_find_pool(c->registry, c->name, strlen(c->name));
    const definition *current = known != NULL ? &known->definition : NULL;
    definition wanted = {0};
    if (stands(first, known))
        current = &first->before;
    else
        forget(first);
    status = c->plan(c, current, &wanted, error);
    if (status == IPALLOC_OK)
        status = change_pool(c, known, &wanted, first, error);
    definition_free(&wanted);
    return status == CHANGE_NOTHING ? IPALLOC_OK : status;
}

/* One attempt, alone in the gate. After an unknown outcome what was sent may still take effect. */
static int try_change(const change *c, first_step *first, bool last, ipalloc_error *error) {
    int status = CHANGE_DRAINED;
    while (status == CHANGE_DRAINED)
        status = try_step(c, first, error);
    bool is_over = status == IPALLOC_OK || status == IPALLOC_E_UNKNOWN_OUTCOME;
    bool goes_on = status == IPALLOC_E_CONFLICT && !last;
    if (!is_over && !goes_on && first->revision != 0)
        take_back(c, first);
    return status;
}

int pool_change_run(const change *c, ipalloc_pool **out, ipalloc_error *error) {
    int status = IPALLOC_E_CONFLICT;
    first_step first = {0};
    for (int i = 1; status == IPALLOC_E_CONFLICT && i <= CHANGE_ATTEMPTS_MAX; i++) {
        gate_enter_alone(&c->registry->gate);
        status = try_change(c, &first, i == CHANGE_ATTEMPTS_MAX, error);
        if (status == IPALLOC_OK && out != NULL)
            *out = cache_find_pool(c->registry, c->name, strlen(c->name));
        gate_leave_alone(&c->registry->gate);
    }
    forget(&first);
    return status;
}

/* --- who is in the way ------------------------------------------------------------------------ */

bool pool_change_say_held(const change *c, ipalloc_pool *pool, const ipalloc_addr *held,
                          const char *before, ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT], holder[IPALLOC_OWNER_MAX + 1], quoted[250];
    place p = place_of_addr(held);
    const char *who =
        holder_find(pool, &p, holder) ? holder : "an owner whose record cannot be read";
    error_set(error, IPALLOC_E_TAKEN, "%s%s of pool %s is held by %s", before,
              place_format(&p, address), c->name,
              text_quote(who, strlen(who), quoted, sizeof quoted));
    return false;
}
