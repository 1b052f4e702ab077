/*
 * client.h: one client: a thread that asks, notes what it is told, and resolves what it was not.
 */
#ifndef IPALLOC_TEST_ETCD_CLIENT_H
#define IPALLOC_TEST_ETCD_CLIENT_H

#include "workload.h"

enum { OWN_OWNERS = PLAIN_OWNERS + RECORD_OWNERS };

typedef struct own_owner {
    uint32_t id;
    char name[32];
    holding held[SLOTS];
    bool open[SLOTS];         /* asked for, and the outcome is unknown */
    bool unsure;              /* what it holds has to be read again */
    uint64_t record_revision; /* of its record; owners with records only */
} own_owner;

typedef struct client {
    unsigned index, life;
    const char *directory;
    ipalloc_registry *registry;
    ipalloc_pool *const *pools;
    int journal;
    uint64_t random;
    own_owner owners[OWN_OWNERS];
    ipalloc_error error;
    operation now; /* under way */
} client;

void client_init(client *c, unsigned index, unsigned life, const char *directory, uint64_t seed);
/* Learn from the journals of earlier lives what is open. */
void client_remember(client *c);
/* One operation, drawn at random; what is open comes first. */
void client_step(client *c);
/* Release half of what it holds, so that asking again is not answered that nothing is free. */
void client_make_room(client *c);
/* Nothing is open any more? Else try once more; false: not yet. */
bool client_settle(client *c);

/* ---- for client_*.c ---- */

uint64_t draw(client *c, uint64_t bound);
void operation_begin(client *c, operation_kind kind, uint32_t owner);
step *operation_step(client *c, step_kind kind, int pool, unsigned slot, uint32_t number);
void operation_start(client *c); /* the intent is noted: go */
void operation_try(client *c);   /* what would be committed */
int operation_end(client *c, int status);
void timed(client *c, const char *call, uint64_t began);
/* The status is one that a sound registry may answer in a storm; anything else ends the process. */
void must_be_sound(client *c, int status);

/* client_transaction.c */
void client_transaction(client *c, own_owner *o);
void client_dry_run(client *c);
void client_read_record_owner(client *c, own_owner *o);

/* client.c */
bool client_read_holdings(client *c, own_owner *o);

#define TIMED(c, status, name, call)     \
    do {                                 \
        uint64_t began_ = journal_now(); \
        status = call;                   \
        timed(c, name, began_);          \
    } while (0)

#endif
