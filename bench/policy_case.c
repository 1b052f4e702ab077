/*
 * policy_case.c: pairs where a range does more than give any free address: other strategies, and a
 * rest after each release. These take a lock; their cost is shown, not judged.
 */
#include "pair.h"

enum {
    POLICY_BITS = 16,
    COOL_DOWN_MS = 1, /* so that at full speed some ten thousand addresses rest */
};

static scenario *policy_scenario(plan *p, const char *name) {
    scenario *s = plan_add(p, "ns", "range/%s/2^%d/50%%", name, POLICY_BITS);
    s->work.size_bits = POLICY_BITS;
    s->work.held = (uint64_t)1 << (POLICY_BITS - 1);
    scenario_add(s, LIMIT_SUBJECT);
    scenario_add(s, RANGE_SUBJECT);
    return s;
}

void policy_plan(plan *p) {
    policy_scenario(p, "strategy/lowest")->work.strategy = IPALLOC_STRATEGY_LOWEST;
    policy_scenario(p, "strategy/oldest-freed")->work.strategy = IPALLOC_STRATEGY_OLDEST_FREED;
    policy_scenario(p, "cool-down")->work.cool_down_ms = COOL_DOWN_MS;
}
