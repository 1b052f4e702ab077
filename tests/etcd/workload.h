/*
 * workload.h: what clients do to a registry: the pools, the names, and the process that they run
 * in.
 *
 * A worker is a process with one registry, a thread that follows the store, and some clients, each
 * a thread with owners of its own and a share in common ones. It works until its stdin ends. A
 * client whose process was killed goes on in another: it reads its journals, and asks again for
 * what was open.
 */
#ifndef IPALLOC_TEST_ETCD_WORKLOAD_H
#define IPALLOC_TEST_ETCD_WORKLOAD_H

#include "journal.h"

#include <ipalloc/ipalloc.h>

enum {
    POOL_SMALL, /* addresses, mostly full */
    POOL_COOL,  /* addresses that rest */
    POOL_PORTS,
    WORKLOAD_POOLS,
    COOL_DOWN_MS = 400,
    SLOTS = 4,         /* of an owner: in which pool, see workload_pool_of */
    PLAIN_OWNERS = 4,  /* of a client: one-shots */
    RECORD_OWNERS = 2, /* of a client: transactions with a record that lists what they hold */
    SHARED_OWNERS = 3, /* of all: one-shots in slot 0 */
    OWNERS_PER_CLIENT = 16,
    SHARED_FIRST = 10000,
    CALL_MS = 2000 /* deadline of every call */
};

extern const char *const POOL_NAMES[WORKLOAD_POOLS];

/* Define (or open) the pools. */
int workload_define(ipalloc_registry *registry, ipalloc_pool *pools[WORKLOAD_POOLS],
                    ipalloc_error *error);
/* The same pools for the judge. */
uint32_t workload_pool_first(int pool);
uint32_t workload_pool_count(int pool);
uint64_t workload_pool_rest_ns(int pool);

int workload_pool_of(unsigned slot);
bool workload_is_record_owner(uint32_t owner);

/* Names and back. */
void workload_owner_name(uint32_t owner, char out[32]);
bool workload_owner_parse(const char *name, uint32_t *out);
void workload_slot_name(unsigned slot, char out[16]);
bool workload_slot_parse(const char *name, uint16_t *out);
ipalloc_addr workload_address(int pool, uint32_t number);
uint32_t workload_number(int pool, const ipalloc_addr *address, uint16_t port);

/* A lease as a sight; false: it is none of ours. */
bool workload_sight(const ipalloc_lease *lease, step *out);

/* What the record of an owner with records says of what it holds. */
typedef struct holding {
    bool held;
    uint32_t number;
    uint64_t generation;
} holding;
void workload_record_key(uint32_t owner, char out[48]);
size_t workload_record_write(const holding held[SLOTS], char *out, size_t capacity);
bool workload_record_read(const char *text, size_t size, holding held[SLOTS]);

/* The journal of a client's n-th life. */
void workload_journal_path(const char *directory, unsigned client, unsigned life, char *out,
                           size_t capacity);

/* The words that make a process a worker: "worker URL DIRECTORY LIFE FIRST-CLIENT CLIENTS SEED". */
int worker_main(int argc, char **argv);

#endif
