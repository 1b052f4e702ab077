/*
 * follower.h: somebody who follows a store by its changes, and holds what it holds.
 *
 * Keys are "k00000" to "k99999"; what is remembered of each is the revision that wrote it. Told
 * that changes have been forgotten, the follower reads everything anew and goes on.
 */
#ifndef IPALLOC_TEST_ETCD_FOLLOWER_H
#define IPALLOC_TEST_ETCD_FOLLOWER_H

#include "support.h"

enum { FOLLOWER_KEYS = 2000 };

typedef struct follower {
    ipalloc_store *store;
    uint64_t revision;          /* everything up to it is known */
    uint64_t at[FOLLOWER_KEYS]; /* 0: absent */
    uint64_t told;              /* changes that were visited */
    uint64_t read_anew;         /* how often */
} follower;

const char *follower_key(unsigned number); /* a static buffer for each thread */

/* Read everything. */
void follower_begin(follower *f, ipalloc_store *store);
/* Take in what `changes` tells now. OK or, after reading anew, OK too; else its status. */
int follower_take(follower *f, ipalloc_error *error);
/* The same, after reaching the last batch's revision. Fails the test where that cannot be had. */
void follower_catch_up(follower *f);
/* Is what is held what a scan shows? Fails the test where it is not. */
void follower_check(follower *f);

#endif
