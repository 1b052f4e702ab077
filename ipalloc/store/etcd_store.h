/*
 * etcd_store.h: what the parts of the etcd store share.
 *
 * Under the prefix lie `data/K` for a caller's key K, `store/form` (which form, epoch, the cluster
 * that it was made on) and `store/slot/SESSION/N`. A batch in flight has a slot to itself and
 * writes it, on condition that nobody did since: that tells how a sending ended whose answer was
 * lost, and the highest revision of a slot is that of the last batch (etcd_slots.c). Revisions are
 * etcd's own.
 *
 * May use: base/, store/etcd_channel.h. Locks: `mutex` guards slots and head, for a few
 * instructions at a time, and is never held while the channel is called; what the feed keeps is
 * guarded by the channel's own lock.
 */
#ifndef IPALLOC_STORE_ETCD_STORE_H
#define IPALLOC_STORE_ETCD_STORE_H

#include "base/hooks.h"
#include "base/system.h"
#include "store/etcd_channel.h"
#include "store/etcd_feed.h"
#include "store/store.h"

#include <pthread.h>

enum {
    ETCD_PREFIX_MAX = 512, /* bytes of the prefix, so that its keys stay short */
    ETCD_KEY_MAX = ETCD_PREFIX_MAX + IPALLOC_KEY_MAX + 64,
    ETCD_NAME_MAX = 256,
    ETCD_REVISION_BITS = 63,
};

/* A key of ours that tells how one batch at a time ended. */
typedef struct etcd_slot {
    struct etcd_slot *next; /* of the free ones, or of those that a ticket holds */
    uint64_t number;
    uint64_t revision; /* at which it was written last; 0: never */
    uint64_t nonce;    /* of the batch that has it */
    uint64_t sent_ms;  /* when that was sent first */
    bool doubtful;     /* a sending from before its first write may still arrive */
} etcd_slot;

/* The question for the last batch's revision, which all ask together who wait at the same time. */
typedef struct etcd_head {
    uint64_t asked;    /* number of the question that was sent last */
    uint64_t answered; /* number of the last question that has ended; == asked: none is out */
    int status;        /* of the last one */
    uint64_t revision; /* what it answered */
    ipalloc_error error;
    atomic_word32 ended; /* changes when a question ends */
} etcd_head;

/* What `store/form` says. */
typedef struct etcd_form {
    uint64_t epoch;
    uint64_t cluster_id; /* the cluster it was made or accepted on */
    uint64_t revision;   /* at which it was written: every batch is conditional on it */
} etcd_form;

typedef struct etcd_store {
    hooks *hooks;
    const system_calls *system;
    etcd_channel *channel;
    char name[ETCD_NAME_MAX];         /* "etcd store \"...\"", for messages: no password is in it */
    char prefix[ETCD_PREFIX_MAX + 2]; /* with a '/' at its end */
    size_t prefix_length;
    uint64_t timeout_ms;
    uint64_t changes_kept;
    bool read_only;

    pthread_mutex_t mutex; /* guards what follows up to the feed */
    etcd_form form;
    uint64_t cluster_id;  /* of the cluster that answers */
    uint64_t seen;        /* the highest revision of an answer */
    bool restored;        /* form.cluster_id differs from cluster_id */
    const char *unusable; /* why nothing is written any more; NULL: all is well */
    uint64_t session;     /* random */
    uint64_t slots_made;  /* numbers given to slots so far */
    uint64_t nonces;      /* given to batches so far */
    etcd_slot *free_slots;
    etcd_slot *held_slots; /* each by a ticket, which is its number */
    etcd_head head;

    etcd_feed feed;
} etcd_store;

/* --- what the feed needs of the rest (etcd_answer.c) ---------------------------------------------
 */

typedef struct Etcd__Header etcd_header;
struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

/* Unpack an answer, with the hooks' memory. OK; CORRUPT (it is no such message); NOMEM. */
int etcd_unpack(const hooks *h, const struct ProtobufCMessageDescriptor *kind, const uint8_t *bytes,
                size_t size, struct ProtobufCMessage **out, ipalloc_error *error);
void etcd_free_message(const hooks *h, struct ProtobufCMessage *message); /* NULL is fine */
/* Pack a request: *out is freed with hooks_free. OK or NOMEM. */
int etcd_pack(const hooks *h, const struct ProtobufCMessage *message, uint8_t **out, size_t *size,
              ipalloc_error *error);

/* Is this answer from the cluster that the store was opened on? `seen_before`: what etcd_seen said
 * before the question was sent; a linearizable answer is not older (0: it may be, as a watch is).
 * OK; CORRUPT (no header, nonsense); MISMATCH (another cluster, or one that lost what it had): the
 * store then writes nothing until it is opened again. */
int etcd_check_header(etcd_store *store, const etcd_header *header, uint64_t seen_before,
                      ipalloc_error *error);
uint64_t etcd_seen(etcd_store *store);

/* The key after all that start with these bytes: written to `out` (as large as the prefix), its
 * size returned; 0: there is none, and "\0" stands for the end of all keys. */
size_t etcd_prefix_end(ipalloc_bytes prefix, uint8_t *out);

#endif
