/*
 * activity.c: counters of a range (see activity.h). Whoever reads while others count sees each
 * counter at some instant during the call; at rest they agree with each other.
 */
#include "registry/activity.h"

/* Those of Prometheus' client libraries, which Kubernetes takes for its allocators. */
static const uint64_t BOUNDS_MS[IPALLOC_DURATION_BUCKETS] = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, UINT64_MAX};

uint64_t ipalloc_duration_bound_ms(size_t bucket) {
    return bucket < IPALLOC_DURATION_BUCKETS ? BOUNDS_MS[bucket] : UINT64_MAX;
}

void activity_init(range_activity *a) {
    for (size_t scope = 0; scope < SCOPE_COUNT; scope++) {
        atomic_word_init(&a->granted[scope], 0);
        atomic_word_init(&a->refused[scope], 0);
    }
    for (size_t i = 0; i < IPALLOC_DURATION_BUCKETS; i++)
        atomic_word_init(&a->durations[i], 0);
    atomic_word_init(&a->duration_sum_ms, 0);
}

static void carry(atomic_word *to, const atomic_word *from) {
    atomic_store_relaxed(to, atomic_load_relaxed(from));
}

void activity_carry(range_activity *to, const range_activity *from) {
    for (size_t scope = 0; scope < SCOPE_COUNT; scope++) {
        carry(&to->granted[scope], &from->granted[scope]);
        carry(&to->refused[scope], &from->refused[scope]);
    }
    for (size_t i = 0; i < IPALLOC_DURATION_BUCKETS; i++)
        carry(&to->durations[i], &from->durations[i]);
    carry(&to->duration_sum_ms, &from->duration_sum_ms);
}

void activity_grant(range_activity *a, enum grant_scope scope, uint64_t duration_ms) {
    size_t bucket = 0;
    while (duration_ms > BOUNDS_MS[bucket])
        bucket++;
    atomic_add_relaxed(&a->granted[scope], 1);
    atomic_add_relaxed(&a->durations[bucket], 1);
    atomic_add_relaxed(&a->duration_sum_ms, duration_ms);
}

void activity_refuse(range_activity *a, enum grant_scope scope) {
    atomic_add_relaxed(&a->refused[scope], 1);
}

void activity_read(const range_activity *a, ipalloc_pool_range *out) {
    out->granted_static = atomic_load_relaxed(&a->granted[SCOPE_STATIC]);
    out->granted_dynamic = atomic_load_relaxed(&a->granted[SCOPE_DYNAMIC]);
    out->refused_static = atomic_load_relaxed(&a->refused[SCOPE_STATIC]);
    out->refused_dynamic = atomic_load_relaxed(&a->refused[SCOPE_DYNAMIC]);
    for (size_t i = 0; i < IPALLOC_DURATION_BUCKETS; i++)
        out->durations[i] = atomic_load_relaxed(&a->durations[i]);
    out->duration_sum_ms = atomic_load_relaxed(&a->duration_sum_ms);
}
