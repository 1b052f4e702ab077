/*
 * activity.h: what happened to a range since its counters began: granted, refused, and how long
 * grants took. Statistics only: nothing is decided by them. Cost: three relaxed additions a grant.
 */
#ifndef IPALLOC_REGISTRY_ACTIVITY_H
#define IPALLOC_REGISTRY_ACTIVITY_H

#include "base/atomic.h"
#include <ipalloc/registry.h>

/* Kubernetes' word for how an address came: asked for by name, or picked. */
enum grant_scope { SCOPE_STATIC, SCOPE_DYNAMIC, SCOPE_COUNT };

typedef struct range_activity {
    atomic_word granted[SCOPE_COUNT];
    atomic_word refused[SCOPE_COUNT];
    atomic_word durations[IPALLOC_DURATION_BUCKETS]; /* not cumulated */
    atomic_word duration_sum_ms;
} range_activity;

void activity_init(range_activity *a);
/* Inside the gate alone. */
void activity_carry(range_activity *to, const range_activity *from);

void activity_grant(range_activity *a, enum grant_scope scope, uint64_t duration_ms);
void activity_refuse(range_activity *a, enum grant_scope scope);

/* Into the members of `out` that tell of it. */
void activity_read(const range_activity *a, ipalloc_pool_range *out);

#endif
