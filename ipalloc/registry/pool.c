/*
 * pool.c: pools: defined, opened, and their ranges and exclusions changed.
 *
 * A change is made alone in the gate: catch up, build the new ranges aside, commit the definition
 * (and move the revision that every allocating batch compares), then swap. Where the store has
 * moved on in between, it starts again. Cost of a change: one reading of the pool's leases.
 */
#include "registry/registry.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { CHANGE_ATTEMPTS_MAX = 16 };

/* --- changing a definition -------------------------------------------------------------------- */

/* Works out the definition that is wanted from the one there is. `current` is NULL for a pool that
 * does not exist yet. CHANGE_NOTHING: it is so already. */
enum { CHANGE_NOTHING = 1 };
typedef struct change change;
typedef int (*change_function)(const change *c, const definition *current, definition *wanted,
                               ipalloc_error *error);

struct change {
    ipalloc_registry *registry;
    const char *name;
    change_function plan;
    const definition *given; /* define */
    bool may_change;
    const ipalloc_cidr *range; /* add, drain, remove */
    definition_span span;      /* exclude, include */
    bool (*is_fine)(const change *c, ipalloc_pool *pool, ipalloc_error *error);
};

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
        status = registry_commit_batch(registry, &batch, error);
        *committed_at = batch.revision;
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

/* Take a change back that has left somebody's lease in no range. */
static void take_back(ipalloc_pool *pool, uint64_t changed_at) {
    ipalloc_registry *registry = pool->registry;
    uint64_t at;
    registry->definitions_revision = changed_at;
    if (put_definition(registry, pool->name, &pool->definition, changed_at, &at, NULL) !=
        IPALLOC_OK)
        return; /* the next catching up says what is wrong */
    pool->revision = at;
    registry->definitions_revision = at;
}

/* Somebody else committed between our look and our change. Now that the definitions have moved, no
 * batch under the old ones can follow: what is in the store is all there will be. */
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
        return status;
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
    int status = cache_catch_up_alone(c->registry, error);
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

static int run_change(const change *c, ipalloc_pool **out, ipalloc_error *error) {
    int status = IPALLOC_E_CONFLICT;
    for (int attempt = 0; status == IPALLOC_E_CONFLICT && attempt < CHANGE_ATTEMPTS_MAX;
         attempt++) {
        gate_enter_alone(&c->registry->gate);
        status = try_change(c, out, error);
        gate_leave_alone(&c->registry->gate);
    }
    return status;
}

/* --- define ----------------------------------------------------------------------------------- */

static int say_other_definition(const change *c, const definition *current, ipalloc_error *error) {
    char stored[220], given[220];
    return error_set(error, IPALLOC_E_MISMATCH, "pool %s is stored as %s, and given as %s", c->name,
                     definition_describe(current, stored, sizeof stored),
                     definition_describe(c->given, given, sizeof given));
}

/* The given ranges are active; what the store has beside them drains. */
static int merge_ranges(const change *c, const definition *current, definition *wanted,
                        ipalloc_error *error) {
    for (size_t i = 0; i < current->range_count; i++) {
        const definition_range *old = &current->ranges[i];
        if (definition_find_range(c->given, &old->cidr) < c->given->range_count)
            continue;
        char text[IPALLOC_CIDR_TEXT], other[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(&old->cidr, text);
        for (size_t j = 0; j < c->given->range_count; j++) {
            if (ipalloc_cidr_overlaps(&old->cidr, &c->given->ranges[j].cidr)) {
                ipalloc_cidr_format(&c->given->ranges[j].cidr, other);
                return error_set(error, IPALLOC_E_MISMATCH,
                                 "range %s overlaps range %s, which pool %s has already", other,
                                 text, c->name);
            }
        }
        if (wanted->range_count == IPALLOC_POOL_RANGES_MAX)
            return error_set(error, IPALLOC_E_INVALID, "pool %s would have more than %d ranges",
                             c->name, IPALLOC_POOL_RANGES_MAX);
        wanted->ranges[wanted->range_count++] =
            (definition_range){.cidr = old->cidr, .draining = true};
    }
    return IPALLOC_OK;
}

static int plan_define(const change *c, const definition *current, definition *wanted,
                       ipalloc_error *error) {
    if (current == NULL)
        return definition_copy(wanted, c->given, error);
    if (definition_agrees(current, c->given))
        return CHANGE_NOTHING;
    if (!c->may_change || current->kind != c->given->kind)
        return say_other_definition(c, current, error);
    int status = definition_copy(wanted, current, error);
    if (status != IPALLOC_OK)
        return status;
    definition changed = *c->given;
    changed.exclusions = wanted->exclusions;
    changed.exclusion_count = wanted->exclusion_count;
    *wanted = changed;
    return merge_ranges(c, current, wanted, error);
}

int ipalloc_pool_define(ipalloc_registry *registry, const char *name,
                        const ipalloc_pool_definition *definition_given, ipalloc_pool **out,
                        ipalloc_error *error) {
    ipalloc_pool_definition options;
    definition given;
    if (registry == NULL || out == NULL || definition_given == NULL)
        return error_set(error, IPALLOC_E_INVALID,
                         "define: registry, definition and out must not be NULL");
    if (name == NULL || !pool_name_is_valid(name, strnlen(name, IPALLOC_POOL_NAME_MAX + 1)))
        return error_set(error, IPALLOC_E_INVALID,
                         "a pool's name has 1 to %d bytes of a-z, 0-9 and inner '-'",
                         IPALLOC_POOL_NAME_MAX);
    int status =
        options_copy(&options, sizeof options, definition_given, "ipalloc_pool_definition", error);
    if (status == IPALLOC_OK)
        status = definition_read(&options, &registry->hooks, &given, error);
    if (status != IPALLOC_OK)
        return status;
    change c = {.registry = registry,
                .name = name,
                .plan = plan_define,
                .given = &given,
                .may_change = options.change};
    status = run_change(&c, out, error);
    if (status == IPALLOC_E_TAKEN) /* a held address that the new options would not know */
        status = IPALLOC_E_MISMATCH;
    if (status == IPALLOC_E_MISMATCH && error != NULL)
        error->status = IPALLOC_E_MISMATCH;
    return status;
}

/* --- ranges ----------------------------------------------------------------------------------- */

static int say_no_such_range(const change *c, ipalloc_error *error) {
    char text[IPALLOC_CIDR_TEXT];
    ipalloc_cidr_format(c->range, text);
    return error_set(error, IPALLOC_E_NOT_FOUND, "pool %s has no range %s", c->name, text);
}

static int plan_add(const change *c, const definition *current, definition *wanted,
                    ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    char text[IPALLOC_CIDR_TEXT], other[IPALLOC_CIDR_TEXT];
    ipalloc_cidr_format(c->range, text);
    for (size_t i = 0; i < current->range_count; i++) {
        if (ipalloc_cidr_overlaps(&current->ranges[i].cidr, c->range)) {
            ipalloc_cidr_format(&current->ranges[i].cidr, other);
            return error_set(error, IPALLOC_E_MISMATCH,
                             "range %s overlaps range %s, which pool %s has already (%s)", text,
                             other, c->name, current->ranges[i].draining ? "draining" : "active");
        }
    }
    if (current->range_count == IPALLOC_POOL_RANGES_MAX)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has %d ranges already", c->name,
                         IPALLOC_POOL_RANGES_MAX);
    int status = definition_copy(wanted, current, error);
    if (status == IPALLOC_OK)
        wanted->ranges[wanted->range_count++] = (definition_range){.cidr = *c->range};
    return status;
}

static int plan_drain(const change *c, const definition *current, definition *wanted,
                      ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    size_t i = definition_find_range(current, c->range);
    if (i == current->range_count)
        return say_no_such_range(c, error);
    if (current->ranges[i].draining)
        return CHANGE_NOTHING;
    int status = definition_copy(wanted, current, error);
    if (status == IPALLOC_OK)
        wanted->ranges[i].draining = true;
    return status;
}

/* Exclusions within a range go with it. */
static void drop_exclusions(definition *d, const ipalloc_cidr *range) {
    size_t kept = 0;
    for (size_t i = 0; i < d->exclusion_count; i++) {
        ipalloc_addr first = place_addr(&d->exclusions[i].first);
        if (!ipalloc_cidr_contains(range, &first))
            d->exclusions[kept++] = d->exclusions[i];
    }
    d->exclusion_count = kept;
}

static int plan_remove(const change *c, const definition *current, definition *wanted,
                       ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    char text[IPALLOC_CIDR_TEXT];
    size_t i = definition_find_range(current, c->range);
    if (i == current->range_count)
        return say_no_such_range(c, error);
    ipalloc_cidr_format(c->range, text);
    if (!current->ranges[i].draining)
        return error_set(error, IPALLOC_E_INVALID, "range %s of pool %s is not draining", text,
                         c->name);
    if (current->range_count == 1)
        return error_set(error, IPALLOC_E_INVALID, "range %s is the last of pool %s", text,
                         c->name);
    int status = definition_copy(wanted, current, error);
    if (status != IPALLOC_OK)
        return status;
    wanted->range_count--;
    memmove(&wanted->ranges[i], &wanted->ranges[i + 1],
            (wanted->range_count - i) * sizeof wanted->ranges[0]);
    drop_exclusions(wanted, c->range);
    return IPALLOC_OK;
}

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

/* The first held address of first..last; false if there is none. */
static bool first_held(const pool_range *range, const ipalloc_addr *first, const ipalloc_addr *last,
                       ipalloc_addr *held) {
    *held = *first;
    return ipalloc_range_has(range->range, first) ||
           (ipalloc_range_next(range->range, held) == IPALLOC_OK &&
            ipalloc_addr_compare(held, last) <= 0);
}

static bool say_held(const change *c, ipalloc_pool *pool, const ipalloc_addr *held,
                     const char *before, ipalloc_error *error) {
    char address[IPALLOC_ADDR_TEXT], holder[IPALLOC_OWNER_MAX + 1], quoted[250];
    place p = place_of_addr(held);
    const char *who = holder_of(c->registry, pool, &p, holder);
    error_set(error, IPALLOC_E_TAKEN, "%s%s of pool %s is held by %s", before,
              place_format(&p, address), c->name,
              text_quote(who, strlen(who), quoted, sizeof quoted));
    return false;
}

static bool is_empty_range(const change *c, ipalloc_pool *pool, ipalloc_error *error) {
    char text[IPALLOC_CIDR_TEXT], number[IPALLOC_COUNT_TEXT], before[160];
    for (size_t i = 0; i < pool->set->count; i++) {
        const pool_range *range = &pool->set->ranges[i];
        ipalloc_range_stats stats = {.size = sizeof stats};
        ipalloc_addr held = {0};
        if (ipalloc_addr_compare(&range->cidr.base, &c->range->base) != 0 ||
            range->cidr.prefix_length != c->range->prefix_length ||
            ipalloc_range_next(range->range, &held) != IPALLOC_OK)
            continue;
        ipalloc_range_get_stats(range->range, &stats);
        ipalloc_count_format(stats.total.used, number);
        ipalloc_cidr_format(c->range, text);
        snprintf(before, sizeof before, "range %s holds %s: ", text, number);
        return say_held(c, pool, &held, before, error);
    }
    return true;
}

static int run_range_change(ipalloc_pool *pool, const ipalloc_cidr *range, change_function plan,
                            bool (*is_fine)(const change *, ipalloc_pool *, ipalloc_error *),
                            ipalloc_error *error) {
    if (pool == NULL || range == NULL)
        return error_set(error, IPALLOC_E_INVALID, "pool and range must not be NULL");
    if (pool->kind == IPALLOC_POOL_PORT)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has ports, not ranges", pool->name);
    change c = {.registry = pool->registry,
                .name = pool->name,
                .plan = plan,
                .range = range,
                .is_fine = is_fine};
    return run_change(&c, NULL, error);
}

static bool uses_all_addresses(ipalloc_pool *pool) {
    gate_enter(&pool->registry->gate);
    bool all = pool->definition.use_all_addresses;
    gate_leave(&pool->registry->gate);
    return all;
}

int ipalloc_pool_add_range(ipalloc_pool *pool, const ipalloc_cidr *range, ipalloc_error *error) {
    definition checked;
    if (pool != NULL && range != NULL && pool->kind != IPALLOC_POOL_PORT) {
        ipalloc_pool_definition alone = {.size = sizeof alone,
                                         .kind = pool->kind,
                                         .ranges = range,
                                         .range_count = 1,
                                         .use_all_addresses = uses_all_addresses(pool)};
        int status = definition_read(&alone, &pool->registry->hooks, &checked, error);
        if (status != IPALLOC_OK)
            return status;
    }
    return run_range_change(pool, range, plan_add, NULL, error);
}

int ipalloc_pool_drain_range(ipalloc_pool *pool, const ipalloc_cidr *range, ipalloc_error *error) {
    return run_range_change(pool, range, plan_drain, NULL, error);
}

int ipalloc_pool_remove_range(ipalloc_pool *pool, const ipalloc_cidr *range, ipalloc_error *error) {
    return run_range_change(pool, range, plan_remove, is_empty_range, error);
}

/* --- exclusions ------------------------------------------------------------------------------- */

static int say_span(const change *c, int status, const char *what, ipalloc_error *error) {
    char first[IPALLOC_ADDR_TEXT], last[IPALLOC_ADDR_TEXT];
    return error_set(error, status, "%s-%s %s pool %s", place_format(&c->span.first, first),
                     place_format(&c->span.last, last), what, c->name);
}

/* Both ends in one range and usable. */
static int check_span(const change *c, const ipalloc_pool *pool, pool_range **range,
                      ipalloc_error *error) {
    range_offset first, last;
    *range = pool_find_range(pool, &c->span.first, &first);
    if (*range == NULL || pool_find_range(pool, &c->span.last, &last) != *range)
        return say_span(c, IPALLOC_E_NOT_IN_RANGE, "is not within one range of", error);
    return IPALLOC_OK;
}

static int plan_exclude(const change *c, const definition *current, definition *wanted,
                        ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    pool_range *range;
    const ipalloc_pool *pool = cache_find_pool(c->registry, c->name, strlen(c->name));
    int status = check_span(c, pool, &range, error);
    if (status == IPALLOC_OK)
        status = definition_copy(wanted, current, error);
    return status == IPALLOC_OK ? definition_exclude(wanted, &c->span, error) : status;
}

static bool holds_nothing_in_span(const change *c, ipalloc_pool *pool, ipalloc_error *error) {
    pool_range *range;
    ipalloc_addr first = place_addr(&c->span.first), last = place_addr(&c->span.last), held;
    return check_span(c, pool, &range, error) != IPALLOC_OK ||
           !first_held(range, &first, &last, &held) || say_held(c, pool, &held, "", error);
}

static int plan_include(const change *c, const definition *current, definition *wanted,
                        ipalloc_error *error) {
    assert(current != NULL); /* a change starts from its pool */
    pool_range *range;
    const ipalloc_pool *pool = cache_find_pool(c->registry, c->name, strlen(c->name));
    int status = check_span(c, pool, &range, error);
    if (status == IPALLOC_OK && !definition_is_excluded(current, &c->span))
        return say_span(c, IPALLOC_E_NOT_FOUND, "is not all excluded from", error);
    if (status == IPALLOC_OK)
        status = definition_copy(wanted, current, error);
    return status == IPALLOC_OK ? definition_include(wanted, &c->span, error) : status;
}

static int run_span_change(ipalloc_pool *pool, const ipalloc_addr *first, const ipalloc_addr *last,
                           change_function plan,
                           bool (*is_fine)(const change *, ipalloc_pool *, ipalloc_error *),
                           ipalloc_error *error) {
    if (pool == NULL || first == NULL || last == NULL)
        return error_set(error, IPALLOC_E_INVALID, "pool, first and last must not be NULL");
    if (pool->kind == IPALLOC_POOL_PORT)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has ports, not addresses", pool->name);
    if (first->family != last->family || ipalloc_addr_compare(first, last) > 0 ||
        (first->family != 4 && first->family != 6))
        return error_set(error, IPALLOC_E_INVALID, "the first address is above the last");
    change c = {.registry = pool->registry,
                .name = pool->name,
                .plan = plan,
                .span = {.first = place_of_addr(first), .last = place_of_addr(last)},
                .is_fine = is_fine};
    return run_change(&c, NULL, error);
}

int ipalloc_pool_exclude(ipalloc_pool *pool, const ipalloc_addr *first, const ipalloc_addr *last,
                         ipalloc_error *error) {
    return run_span_change(pool, first, last, plan_exclude, holds_nothing_in_span, error);
}

int ipalloc_pool_include(ipalloc_pool *pool, const ipalloc_addr *first, const ipalloc_addr *last,
                         ipalloc_error *error) {
    return run_span_change(pool, first, last, plan_include, NULL, error);
}
