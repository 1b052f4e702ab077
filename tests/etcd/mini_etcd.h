/*
 * mini_etcd.h: an etcd in memory that stands in the place of the channel.
 *
 * It defines the channel's functions (store/etcd_channel.h), so that a program that links it before
 * the library talks to it: key-value calls only, one thread at a time. What goes wrong with each
 * call is the test's to say, and what was sent but not applied can be applied later.
 */
#ifndef IPALLOC_TEST_ETCD_MINI_H
#define IPALLOC_TEST_ETCD_MINI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mini_fault {
    MINI_NONE,
    MINI_ANSWER_LOST,   /* applied; nobody learns it */
    MINI_LATE,          /* not applied yet, may be later; nobody answers */
    MINI_SENT_TWICE,    /* applied, the answer lost; sent again and answered */
    MINI_OVERTAKEN,     /* the first sending may be applied later; the second one is answered */
    MINI_REFUSED,       /* certainly not applied */
    MINI_FULL,          /* not applied, and over, but that is not what the answer says */
    MINI_FULL_BUT_DONE, /* applied, and over; nor does it say that */
    MINI_GARBAGE,       /* applied; the answer is damaged */
    MINI_FAULTS
};

typedef struct mini_etcd {
    uint64_t cluster_id;
    int64_t revision;
    size_t ops_max; /* --max-txn-ops */
    enum mini_fault (*fault)(void *context, const char *method);
    void (*answered)(void *context); /* what a call did is done; its answer is not there yet */
    void *context;
} mini_etcd;

extern mini_etcd mini;

void mini_reset(void); /* empty, at revision 1, without faults */
/* Apply what is late, in an order drawn from *random. */
void mini_deliver(uint64_t *random);
size_t mini_late_count(void);

/* NULL: absent. */
typedef struct mini_key {
    uint8_t *key, *value;
    size_t key_size, value_size;
    int64_t created, modified, version;
} mini_key;
const mini_key *mini_find(const char *key);
size_t mini_count(const char *prefix);
/* As somebody else's client. */
void mini_put(const char *key, const char *value);
void mini_delete(const char *key);

#endif
