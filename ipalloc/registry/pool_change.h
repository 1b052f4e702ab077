/*
 * pool_change.h: what the changes of a pool's definition share: a plan each, and one way to carry
 * it out (pool_change.c).
 */
#ifndef IPALLOC_REGISTRY_POOL_CHANGE_H
#define IPALLOC_REGISTRY_POOL_CHANGE_H

#include "registry/registry.h"

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
    const ipalloc_cidr *range;            /* add, drain, remove */
    const ipalloc_pool_range_spec *specs; /* set */
    size_t spec_count;
    definition_span span; /* exclude, include */
    bool (*is_fine)(const change *c, ipalloc_pool *pool, ipalloc_error *error);
};

/* Carry it out, from outside the gate; again after CONFLICT. `out` may be NULL. */
int pool_change_run(const change *c, ipalloc_pool **out, ipalloc_error *error);

/* From outside the gate: find out how the definition ended whose outcome is unknown, and follow it.
 * OK; else it is still not known, and nothing may be given out. */
int pool_change_settle(ipalloc_registry *registry, ipalloc_error *error);

/* TAKEN, naming the address and its holder behind `before`. Always false. */
bool pool_change_say_held(const change *c, ipalloc_pool *pool, const ipalloc_addr *held,
                          const char *before, ipalloc_error *error);

#endif
