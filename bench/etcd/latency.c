/* latency.c: durations, counted in buckets that are an eighth of a power of two wide; see
 * etcd_bench.h. */
#include "etcd_bench.h"

enum { STEPS = 8, STEP_BITS = 3 };

static unsigned bucket_of(uint64_t us) {
    if (us < STEPS)
        return (unsigned)us;
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    unsigned bucket =
        (power - STEP_BITS + 1) * STEPS + (unsigned)(us >> (power - STEP_BITS)) % STEPS;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The middle of a bucket. */
static double middle_of(unsigned bucket) {
    if (bucket < STEPS)
        return bucket;
    unsigned power = bucket / STEPS + STEP_BITS - 1;
    double width = (double)(1ull << (power - STEP_BITS));
    return (double)(1ull << power) + (bucket % STEPS + 0.5) * width;
}

void latency_note(latency *l, uint64_t us) {
    l->counts[bucket_of(us)]++;
    if (us > l->longest_us)
        l->longest_us = us;
}

void latency_add(latency *to, const latency *from) {
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        to->counts[i] += from->counts[i];
    if (from->longest_us > to->longest_us)
        to->longest_us = from->longest_us;
}

double latency_at(const latency *l, unsigned per_mille) {
    uint64_t all = 0, below = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        all += l->counts[i];
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        below += l->counts[i];
        if (below > 0 && below * 1000 >= all * per_mille)
            return middle_of(i);
    }
    return 0;
}
