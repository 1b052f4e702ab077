/*
 * crash_child.c: the process that is killed: several threads at work on one registry.
 *
 * It asserts nothing beyond "a call answered something that it may answer": the parent judges.
 */
#include "crash_events.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct crash_slot CRASH_SLOT_TABLE[CRASH_SLOTS] = {
    {"clusterIP/IPv4", CRASH_IPV4},
    {"loadBalancer", CRASH_LOAD_BALANCERS},
    {"clusterIP/IPv6", CRASH_IPV6},
    {"nodePort/http", CRASH_PORTS},
};

const char *const CRASH_POOL_NAMES[CRASH_POOLS] = {"ipv4", "load-balancers", "ipv6", "ports"};

enum {
    CHANGES_KEPT = 1000, /* bounds the store's growth over hundreds of cycles */
    PORT_FIRST = 30000,
    PORT_COUNT = 64,
};

void crash_owner_name(unsigned owner, char out[32]) {
    snprintf(out, 32, "Service/crash/owner-%u", owner);
}

void crash_record_key(unsigned owner, char out[32]) {
    snprintf(out, 32, "services/crash/%u", owner);
}

/* Check's own assertions write to a file that it reads at the end: a process that is killed in the
 * middle of that leaves half a message. */
static void must(int status, const ipalloc_error *error) {
    if (status != IPALLOC_OK) {
        fprintf(stderr, "%s: %s\n", ipalloc_status_name(status), error->message);
        abort();
    }
}

static void define(crash_registry *r, enum crash_pool pool, int kind, const char *text) {
    ipalloc_pool_definition definition = {.size = sizeof definition, .kind = kind};
    ipalloc_cidr range;
    if (text != NULL) {
        range = cidr(text);
        definition.ranges = &range;
        definition.range_count = 1;
    } else {
        definition.port_first = PORT_FIRST;
        definition.port_last = PORT_FIRST + PORT_COUNT - 1;
    }
    ipalloc_error error;
    must(ipalloc_pool_define(r->registry, CRASH_POOL_NAMES[pool], &definition, &r->pools[pool],
                             &error),
         &error);
}

void crash_registry_open(crash_registry *out, const char *directory) {
    char url[4200];
    snprintf(url, sizeof url, "sqlite:%s/registry", directory);
    ipalloc_store_options options = {.size = sizeof options, .changes_kept = CHANGES_KEPT};
    ipalloc_error error;
    must(ipalloc_store_open(url, &options, &out->store, &error), &error);
    must(ipalloc_registry_open(out->store, NULL, &out->registry, &error), &error);
    define(out, CRASH_IPV4, IPALLOC_POOL_IPV4, "10.96.0.0/25");
    define(out, CRASH_LOAD_BALANCERS, IPALLOC_POOL_IPV4, "192.0.2.0/26");
    define(out, CRASH_IPV6, IPALLOC_POOL_IPV6, "fd00:10:96::/64");
    define(out, CRASH_PORTS, IPALLOC_POOL_PORT, NULL);
}

void crash_registry_close(crash_registry *r) {
    ipalloc_registry_close(r->registry);
    ipalloc_store_close(r->store);
}

/* --- one thread of the child ------------------------------------------------------------------ */

typedef struct worker {
    crash_registry *registry;
    int pipe_end;
    uint8_t thread;
    uint64_t random;
    uint64_t serial;
    crash_owner owners[CRASH_OWNERS_PER_THREAD];
} worker;

static void say(const worker *w, const crash_event *event) {
    if (write(w->pipe_end, event, sizeof *event) != (ssize_t)sizeof *event)
        _exit(3); /* the parent is gone */
}

static void say_what_went_wrong(const char *call, const ipalloc_error *error) {
    fprintf(stderr, "child: %s: %s: %s\n", call, ipalloc_status_name(error->status),
            error->message);
    _exit(4);
}

/* Choose what to do for one owner: now and then by address, often together with its record. */
static void choose(worker *w, crash_event *event) {
    uint64_t dice = test_random(&w->random);
    unsigned local = (unsigned)(dice % CRASH_OWNERS_PER_THREAD);
    const crash_owner *owner = &w->owners[local];
    memset(event, 0, sizeof *event);
    event->thread = w->thread;
    event->owner = (uint8_t)(w->thread * CRASH_OWNERS_PER_THREAD + local);
    event->one_shot = (dice >> 8) % 2 == 0;
    unsigned touched = event->one_shot ? 1u << (dice >> 16) % CRASH_SLOTS
                                       : 1u + (unsigned)((dice >> 16) % ((1u << CRASH_SLOTS) - 1));
    for (unsigned slot = 0; slot < CRASH_SLOTS; slot++) {
        if ((touched >> slot & 1) == 0)
            continue;
        if (owner->slots[slot].held) {
            event->release_mask |= (uint8_t)(1u << slot);
            event->grants[slot] = owner->slots[slot];
        } else {
            event->allocate_mask |= (uint8_t)(1u << slot);
        }
    }
    event->reserve = event->allocate_mask == 1 && (dice >> 24) % 2 == 0;
    if (event->reserve) {
        event->grants[0].address = addr("10.96.0.0");
        event->grants[0].address.bytes[3] = (uint8_t)(1 + (dice >> 32) % 126);
    }
    if (!event->one_shot)
        event->serial = ++w->serial << 8 | event->owner;
}

static int step_slot(ipalloc_txn *txn, const worker *w, crash_event *event, unsigned slot,
                     ipalloc_error *error) {
    const struct crash_slot *which = &CRASH_SLOT_TABLE[slot];
    ipalloc_pool *pool = w->registry->pools[which->pool];
    crash_grant *mine = &event->grants[slot];
    if ((event->release_mask >> slot & 1) != 0)
        return which->pool == CRASH_PORTS
                   ? ipalloc_txn_release_port(txn, pool, mine->port, mine->generation, error)
                   : ipalloc_txn_release(txn, pool, &mine->address, mine->generation, error);
    if ((event->allocate_mask >> slot & 1) == 0)
        return IPALLOC_OK;
    ipalloc_grant grant = {.size = sizeof grant};
    int status;
    if (event->reserve)
        status = ipalloc_txn_reserve(txn, pool, which->name, &mine->address, &grant, error);
    else if (which->pool == CRASH_PORTS)
        status = ipalloc_txn_allocate_port(txn, pool, which->name, &grant, error);
    else
        status = ipalloc_txn_allocate(txn, pool, which->name, &grant, error);
    if (status == IPALLOC_OK)
        *mine = (crash_grant){true, grant.address, grant.port, grant.generation};
    return status;
}

typedef struct step_context {
    const worker *worker;
    crash_event *event;
} step_context;

static int run_steps(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    step_context *c = context;
    for (unsigned slot = 0; slot < CRASH_SLOTS; slot++) {
        int status = step_slot(txn, c->worker, c->event, slot, error);
        if (status != IPALLOC_OK)
            return status;
    }
    if (c->event->serial == 0)
        return IPALLOC_OK;
    char key[32];
    crash_record_key(c->event->owner, key);
    return ipalloc_txn_put(txn, key, &c->event->serial, sizeof c->event->serial,
                           IPALLOC_REVISION_ANY, error);
}

static int run_one_shot(const worker *w, crash_event *event, const char *owner,
                        ipalloc_error *error) {
    unsigned slot = (unsigned)__builtin_ctz(event->release_mask | event->allocate_mask);
    const struct crash_slot *which = &CRASH_SLOT_TABLE[slot];
    ipalloc_registry *registry = w->registry->registry;
    ipalloc_pool *pool = w->registry->pools[which->pool];
    crash_grant *mine = &event->grants[slot];
    if (event->release_mask != 0)
        return ipalloc_release(registry, pool, owner, &mine->address, mine->generation, error);
    ipalloc_grant grant = {.size = sizeof grant};
    int status =
        event->reserve
            ? ipalloc_reserve(registry, pool, owner, which->name, &mine->address, &grant, error)
            : ipalloc_allocate(registry, pool, owner, which->name, &grant, error);
    if (status == IPALLOC_OK)
        *mine = (crash_grant){true, grant.address, grant.port, grant.generation};
    return status;
}

static void work_once(worker *w) {
    crash_event event;
    choose(w, &event);
    say(w, &event);
    char owner[32];
    crash_owner_name(event.owner, owner);
    ipalloc_error error = {0};
    unsigned touched = event.release_mask | event.allocate_mask;
    bool port_only = touched == 1u << 3; /* there are no one-shots for ports */
    if (event.one_shot && !port_only) {
        event.status = run_one_shot(w, &event, owner, &error);
    } else {
        ipalloc_txn_options options = {.size = sizeof options, .owner = owner};
        step_context context = {w, &event};
        event.status =
            ipalloc_transact(w->registry->registry, &options, run_steps, &context, NULL, &error);
    }
    /* A reserve may hit an address that somebody holds; a small pool may be full. */
    if (event.status != IPALLOC_OK && event.status != IPALLOC_E_TAKEN &&
        event.status != IPALLOC_E_FULL)
        say_what_went_wrong("operation", &error);
    event.done = true;
    say(w, &event);
    if (event.status != IPALLOC_OK)
        return;
    crash_owner *mine = &w->owners[event.owner % CRASH_OWNERS_PER_THREAD];
    for (unsigned slot = 0; slot < CRASH_SLOTS; slot++) {
        if ((event.release_mask >> slot & 1) != 0)
            mine->slots[slot] = (crash_grant){0};
        if ((event.allocate_mask >> slot & 1) != 0)
            mine->slots[slot] = event.grants[slot];
    }
}

static void *work(void *context) {
    for (;;)
        work_once(context);
    return NULL;
}

void crash_child_run(const char *directory, uint64_t seed, int pipe_end, const crash_owner *held) {
    static crash_registry registry;
    static worker workers[CRASH_THREADS];
    crash_registry_open(&registry, directory);
    for (unsigned i = 0; i < CRASH_THREADS; i++) {
        workers[i] = (worker){.registry = &registry,
                              .pipe_end = pipe_end,
                              .thread = (uint8_t)i,
                              .random = seed + i * 7919,
                              .serial = seed % 1000000007 << 20};
        memcpy(workers[i].owners, held + i * CRASH_OWNERS_PER_THREAD, sizeof workers[i].owners);
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, &workers[i]) != 0)
            _exit(5);
    }
    for (;;)
        pause();
}
