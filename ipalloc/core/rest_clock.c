/*
 * rest_clock.c: reading the clock of rest_clock.h. May use: base/hooks.h. O(1).
 */
#include "core/rest_clock.h"

uint64_t rest_clock_now(rest_clock *c) {
    uint64_t wall = hooks_wall_ms(c->hooks);
    uint64_t now = rest_clock_add(wall, c->lost_ms);
    if (now < c->latest_ms) {
        c->lost_ms = c->latest_ms - wall;
        now = c->latest_ms;
    }
    c->latest_ms = now;
    return now;
}

uint64_t rest_clock_since(const rest_clock *c, uint64_t released_at_wall_ms) {
    uint64_t since = rest_clock_add(released_at_wall_ms, c->lost_ms);
    return since < c->latest_ms ? since : c->latest_ms;
}
