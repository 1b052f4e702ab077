/*
 * cluster.c: see cluster.h.
 *
 * Cost: a request is a few look-ups, whatever the size and the number of servers: nobody has a
 * bitmap. Each address has a chain of what happened to it, newest first, and what a server believes
 * of it is the first link that it has heard of. What it believes to be free is the free list
 * without what it has not heard was released, and with what it has not heard was taken.
 */
#include "cluster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 256, DRAWS_COUNTED = 4096 };

typedef struct event {
    double time;
    uint32_t address;
    uint32_t before; /* the event before it at this address; 0: none */
    uint32_t server;
    bool taken;
} event;

/* A draw on its way to the store. */
typedef struct flight {
    double time; /* when it is decided */
    uint32_t address;
    uint32_t server;
    uint32_t draws;
    bool asked;
    bool counted;
} flight;

typedef struct cluster {
    const scale_case *c;
    uint64_t random;
    uint32_t *free_list, *place; /* place: where an address is in it, or the number of addresses */
    uint32_t free_count;
    event *events; /* the first is not used */
    uint32_t event_count, event_capacity;
    uint32_t *newest;      /* of each address; 0: none */
    uint32_t first_recent; /* older ones every server has heard of */
    double *lags, lag_max;
    double *caught_up; /* each server knows all that happened until then */
    flight *flights;   /* a heap, the next to be decided first */
    size_t flight_count, flight_capacity;
    uint32_t draws[DRAWS_COUNTED];
    scale_result result;
    bool failed;
} cluster;

/* --- chance -------------------------------------------------------------------------------------
 */

static uint64_t draw64(cluster *k) { /* splitmix64 */
    uint64_t x = k->random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t below(cluster *k, uint32_t bound) {
    return (uint32_t)((draw64(k) >> 32) * bound >> 32);
}

static double exponential(cluster *k, double mean) {
    double unit = (double)((draw64(k) >> 11) + 1) / 9007199254740993.0;
    return -mean * log(unit);
}

/* --- the truth ----------------------------------------------------------------------------------
 */

static bool is_free(const cluster *k, uint32_t address) {
    return k->place[address] < k->c->addresses;
}

static void set_free(cluster *k, uint32_t address, bool free_now) {
    if (free_now) {
        k->place[address] = k->free_count;
        k->free_list[k->free_count++] = address;
        return;
    }
    uint32_t last = k->free_list[--k->free_count];
    k->free_list[k->place[address]] = last;
    k->place[last] = k->place[address];
    k->place[address] = k->c->addresses;
}

static void happen(cluster *k, double time, uint32_t address, uint32_t server, bool taken) {
    if (k->event_count == k->event_capacity) {
        k->failed = true;
        return;
    }
    k->events[k->event_count] = (event){time, address, k->newest[address], server, taken};
    k->newest[address] = k->event_count++;
    set_free(k, address, !taken);
}

static void release_one(cluster *k, double time, uint32_t server) {
    uint32_t address = below(k, k->c->addresses);
    for (int i = 0; is_free(k, address) && i < 1 << 20; i++)
        address = below(k, k->c->addresses);
    if (!is_free(k, address))
        happen(k, time, address, server, false);
}

/* --- what a server believes ---------------------------------------------------------------------
 */

static bool has_heard(const cluster *k, const event *e, uint32_t server, double now) {
    return e->server == server || e->time <= now - k->lags[server] ||
           e->time <= k->caught_up[server];
}

static bool believes_free(const cluster *k, uint32_t address, uint32_t server, double now) {
    bool state = is_free(k, address);
    for (uint32_t i = k->newest[address]; i != 0; i = k->events[i].before) {
        const event *e = &k->events[i];
        if (has_heard(k, e, server, now))
            return !e->taken;
        state = e->taken; /* as it was before */
    }
    return state;
}

/* A server does not draw what a request of its own has claimed. */
static bool is_claimed(const cluster *k, uint32_t address, uint32_t server) {
    for (size_t i = 0; i < k->flight_count; i++)
        if (k->flights[i].address == address && k->flights[i].server == server)
            return true;
    return false;
}

/* The i-th candidate: of the free list, then of what was taken lately. An address may come twice,
 * or be none: it counts where it comes first. */
static bool candidate(const cluster *k, const flight *f, double now, uint32_t i, uint32_t *out) {
    bool listed = i < k->free_count;
    uint32_t number = listed ? 0 : k->first_recent + (i - k->free_count);
    const event *e = &k->events[number];
    *out = listed ? k->free_list[i] : e->address;
    if (!listed && (is_free(k, *out) || !e->taken || k->newest[*out] != number))
        return false;
    return believes_free(k, *out, f->server, now) && !is_claimed(k, *out, f->server);
}

/* Uniformly from what the server believes to be free; false: it believes that nothing is. */
static bool draw_address(cluster *k, const flight *f, double now, uint32_t *out) {
    while (k->first_recent < k->event_count && k->events[k->first_recent].time <= now - k->lag_max)
        k->first_recent++;
    uint32_t count = k->free_count + (k->event_count - k->first_recent);
    for (int i = 0; i < TRIES_MAX && count > 0; i++)
        if (candidate(k, f, now, below(k, count), out))
            return true;
    uint32_t found = 0; /* hardly anything: look at all of it */
    for (uint32_t i = 0, address; i < count; i++)
        if (candidate(k, f, now, i, &address) && below(k, ++found) == 0)
            *out = address;
    return found > 0;
}

/* --- requests ------------------------------------------------------------------------------------
 */

static void push(cluster *k, flight f) {
    if (k->flight_count == k->flight_capacity) {
        size_t capacity = k->flight_capacity > 0 ? 2 * k->flight_capacity : 1024;
        flight *flights = realloc(k->flights, capacity * sizeof *flights);
        if (flights == NULL) {
            k->failed = true;
            return;
        }
        k->flights = flights;
        k->flight_capacity = capacity;
    }
    size_t i = k->flight_count++;
    for (; i > 0 && k->flights[(i - 1) / 2].time > f.time; i = (i - 1) / 2)
        k->flights[i] = k->flights[(i - 1) / 2];
    k->flights[i] = f;
}

static flight pop(cluster *k) {
    flight first = k->flights[0], last = k->flights[--k->flight_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < k->flight_count) {
        if (child + 1 < k->flight_count && k->flights[child + 1].time < k->flights[child].time)
            child++;
        if (k->flights[child].time >= last.time)
            break;
        k->flights[i] = k->flights[child];
        i = child;
    }
    k->flights[i] = last;
    return first;
}

/* Draw, and send it. A server that sees nothing free asks the store, and takes in what it has not
 * heard; where nothing is free indeed, that is the answer. */
static void send(cluster *k, flight f, double now) {
    f.draws++;
    while (!draw_address(k, &f, now, &f.address)) {
        k->result.confirmed += f.counted;
        if (k->free_count == 0 || f.asked) {
            k->result.full += f.counted;
            return;
        }
        k->caught_up[f.server] = now;
        now += k->c->commit_time;
        f.asked = true;
    }
    f.time = now + k->c->commit_time;
    push(k, f);
}

static void count_request(cluster *k, const flight *f) {
    if (!f->counted)
        return;
    k->result.requests++;
    k->draws[f->draws < DRAWS_COUNTED ? f->draws : DRAWS_COUNTED - 1]++;
    if (f->draws > k->result.draws_max)
        k->result.draws_max = f->draws;
}

/* Who lost takes in all that it had not heard, and draws again: one round trip, and another. */
static void decide(cluster *k) {
    flight f = pop(k);
    bool is_lost = !is_free(k, f.address);
    k->result.draws += f.counted;
    k->result.conflicts += f.counted && is_lost;
    k->result.first_conflicts += f.counted && is_lost && f.draws == 1;
    if (is_lost) {
        k->caught_up[f.server] = f.time;
        send(k, f, f.time + k->c->commit_time);
        return;
    }
    happen(k, f.time, f.address, f.server, true);
    if (k->free_count < k->c->free_at_first)
        release_one(k, f.time, below(k, k->c->servers));
    count_request(k, &f);
}

/* --- the whole
 * ------------------------------------------------------------------------------------ */

static bool begin(cluster *k, const scale_case *c) {
    *k = (cluster){.c = c, .random = c->seed, .event_count = 1, .first_recent = 1};
    k->event_capacity = (uint32_t)(2 * c->requests + 2);
    k->free_list = malloc(c->addresses * sizeof *k->free_list);
    k->place = malloc(c->addresses * sizeof *k->place);
    k->newest = calloc(c->addresses, sizeof *k->newest);
    k->events = calloc(k->event_capacity, sizeof *k->events);
    k->lags = malloc(c->servers * sizeof *k->lags);
    k->caught_up = calloc(c->servers, sizeof *k->caught_up);
    if (k->free_list == NULL || k->place == NULL || k->newest == NULL || k->events == NULL ||
        k->lags == NULL || k->caught_up == NULL)
        return false;
    for (uint32_t i = 0; i < c->servers; i++) {
        k->lags[i] = c->lags_differ ? exponential(k, c->lag) : c->lag;
        k->lag_max = k->lags[i] > k->lag_max ? k->lags[i] : k->lag_max;
    }
    for (uint32_t i = 0; i < c->addresses; i++)
        k->place[i] = c->addresses;
    while (k->free_count < c->free_at_first) {
        uint32_t address = below(k, c->addresses);
        if (!is_free(k, address))
            set_free(k, address, true);
    }
    return true;
}

static void run(cluster *k) {
    double now = 0;
    for (uint64_t i = 0; i < k->c->requests && !k->failed; i++) {
        now += exponential(k, 1 / k->c->rate);
        while (k->flight_count > 0 && k->flights[0].time <= now && !k->failed)
            decide(k);
        send(k, (flight){.server = below(k, k->c->servers), .counted = i >= k->c->warm_up}, now);
    }
    while (k->flight_count > 0 && !k->failed)
        decide(k);
}

static void end(cluster *k) {
    free(k->flights);
    free(k->lags);
    free(k->caught_up);
    free(k->events);
    free(k->newest);
    free(k->place);
    free(k->free_list);
}

bool scale_simulate(const scale_case *c, scale_result *out) {
    cluster *k = malloc(sizeof *k);
    bool fine = k != NULL && begin(k, c);
    if (fine) {
        run(k);
        fine = !k->failed;
        uint64_t seen = 0;
        for (uint32_t i = 0; i < DRAWS_COUNTED && seen * 100 < k->result.requests * 99; i++) {
            seen += k->draws[i];
            k->result.draws_99 = i;
        }
        *out = k->result;
    }
    if (k != NULL)
        end(k);
    free(k);
    return fine;
}

static double rate_of_others(const scale_case *c) {
    return c->rate * (1 - 1.0 / c->servers);
}

double scale_first_conflict(const scale_case *c) {
    double fresh = rate_of_others(c) * c->lag / c->free_at_first;
    if (fresh >= 1)
        return 1;
    double hazard = rate_of_others(c) / (c->free_at_first * (1 - fresh));
    double unheard = hazard * c->lag, meanwhile = (1 - fresh) * exp(-unheard);
    if (unheard > 0)
        meanwhile += fresh * (1 - exp(-unheard)) / unheard;
    return 1 - meanwhile * exp(-hazard * c->commit_time);
}

double scale_draws(const scale_case *c) {
    double again = 1 - exp(-2 * rate_of_others(c) * c->commit_time / c->free_at_first);
    return 1 + scale_first_conflict(c) / (1 - again);
}
