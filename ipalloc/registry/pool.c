/*
 * pool.c: pools are defined, and opened with the definition that the store has.
 *
 * Invariant: what the store has is changed only where the caller asks for that, and then nothing
 * that is held is renumbered.
 */
#include "registry/pool_change.h"

#include <string.h>

static int say_other_definition(const change *c, const definition *current, ipalloc_error *error) {
    char stored[220], given[220];
    return error_set(error, IPALLOC_E_MISMATCH, "pool %s is stored as %s, and given as %s", c->name,
                     definition_describe(current, stored, sizeof stored),
                     definition_describe(c->given, given, sizeof given));
}

/* Does one of the given ranges give out all of it? Then what drains there goes over to that. */
static bool is_given(const definition *given, const ipalloc_cidr *cidr) {
    for (size_t i = 0; given->use_all_addresses && i < given->range_count; i++)
        if (ipalloc_cidr_covers(&given->ranges[i].cidr, cidr))
            return true;
    return false;
}

/* The given ranges are active; what the store has beside them drains. */
static int merge_ranges(const change *c, const definition *current, definition *wanted,
                        ipalloc_error *error) {
    for (size_t i = 0; i < current->range_count; i++) {
        const definition_range *old = &current->ranges[i];
        if (definition_find_range(c->given, &old->cidr) < c->given->range_count)
            continue;
        if (old->all && is_given(c->given, &old->cidr))
            continue;
        char text[IPALLOC_CIDR_TEXT], other[IPALLOC_CIDR_TEXT];
        ipalloc_cidr_format(&old->cidr, text);
        for (size_t j = 0; j < c->given->range_count; j++) {
            if (definition_ranges_collide(c->given, old, &c->given->ranges[j])) {
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
            (definition_range){.cidr = old->cidr, .draining = true, .all = old->all};
    }
    return IPALLOC_OK;
}

static int plan_define(const change *c, const definition *current, definition *wanted,
                       ipalloc_error *error) {
    if (current == NULL)
        return definition_copy(wanted, c->given, error);
    bool left = current->kind == IPALLOC_POOL_PORT && current->exclusion_count > 0;
    if (definition_agrees(current, c->given) && !(left && c->may_change))
        return CHANGE_NOTHING;
    if (!c->may_change || current->kind != c->given->kind)
        return say_other_definition(c, current, error);
    int status = definition_copy(wanted, current, error);
    if (status != IPALLOC_OK)
        return status;
    if (current->kind == IPALLOC_POOL_PORT)
        definition_free(wanted); /* ports have none but while some go */
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
    status = pool_change_run(&c, out, error);
    if (status == IPALLOC_E_TAKEN) /* a held address that the new options would not know */
        status = IPALLOC_E_MISMATCH;
    if (status == IPALLOC_E_MISMATCH && error != NULL)
        error->status = IPALLOC_E_MISMATCH;
    return status;
}
