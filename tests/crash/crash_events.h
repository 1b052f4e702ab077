/*
 * crash_events.h: what the child of the crash loop says to its parent, and what both know.
 *
 * The child works on a registry with several threads. Each thread works for owners of its own, one
 * operation at a time: it writes "begun" to the pipe, does it, and writes "done" with what it got.
 * Whatever was done is acknowledged and must survive; of what was only begun, at most one operation
 * a thread, either all happened or nothing.
 */
#ifndef IPALLOC_TEST_CRASH_EVENTS_H
#define IPALLOC_TEST_CRASH_EVENTS_H

#include "support.h"

#include <limits.h>

enum {
    CRASH_THREADS = 4,
    CRASH_OWNERS_PER_THREAD = 6,
    CRASH_OWNERS = CRASH_THREADS * CRASH_OWNERS_PER_THREAD,
    CRASH_SLOTS = 4,
};

enum crash_pool { CRASH_IPV4, CRASH_LOAD_BALANCERS, CRASH_IPV6, CRASH_PORTS, CRASH_POOLS };

/* The slots of every owner, and the pool that each draws from. */
extern const struct crash_slot {
    const char *name;
    enum crash_pool pool;
} CRASH_SLOT_TABLE[CRASH_SLOTS];

extern const char *const CRASH_POOL_NAMES[CRASH_POOLS];

/* One address in one slot. */
typedef struct crash_grant {
    bool held;
    ipalloc_addr address;
    uint16_t port;
    uint64_t generation;
} crash_grant;

/* One operation for one owner, all in one transaction: release some slots, then fill some, and put
 * the owner's record. */
typedef struct crash_event {
    bool done; /* false: begun */
    uint8_t thread;
    uint8_t owner;
    uint8_t release_mask, allocate_mask; /* of slots */
    bool one_shot;                       /* through ipalloc_allocate or ipalloc_release */
    bool reserve;                        /* the allocated slots by address */
    int status;                          /* done: the result */
    uint64_t serial;                     /* the value put to the record; 0: no record is put */
    crash_grant grants[CRASH_SLOTS];     /* begun: what is asked for or released; done: given */
} crash_event;

_Static_assert(sizeof(crash_event) <= PIPE_BUF, "events are written to the pipe in one piece");

void crash_owner_name(unsigned owner, char out[32]);
void crash_record_key(unsigned owner, char out[32]);

/* Open the store in `directory` and the registry with its pools; fails the test where it cannot. */
typedef struct crash_registry {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pools[CRASH_POOLS];
} crash_registry;

void crash_registry_open(crash_registry *out, const char *directory);
void crash_registry_close(crash_registry *r);

/* What every owner holds, by acknowledged operations. */
typedef struct crash_owner {
    crash_grant slots[CRASH_SLOTS];
    uint64_t serial; /* in its record; 0: no record */
} crash_owner;

/* The child: works until it is killed. `held` is what the owners hold when it starts. */
void crash_child_run(const char *directory, uint64_t seed, int pipe_end, const crash_owner *held)
    __attribute__((noreturn));

#endif
