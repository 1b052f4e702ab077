/*
 * etcd_store.h: what the parts of the etcd store share.
 *
 * Under the prefix lie `data/K` for a caller's key K, `store/form` (which form, epoch, the cluster
 * that it was made on) and `store/slot/SESSION/N`. A batch in flight has a slot to itself and
 * writes it, on condition that nobody did since: that tells how a sending ended whose answer was
 * lost, and the highest revision under `store/` is that of the last batch. Revisions are etcd's.
 *
 * May use: base/, store/etcd_channel.h. Locks: `mutex` guards slots, form and head, for a few
 * instructions at a time, and is never held while the channel is called; what the feed keeps is
 * guarded by the channel's own lock, under which `mutex` may be taken.
 */
#ifndef IPALLOC_STORE_ETCD_STORE_H
#define IPALLOC_STORE_ETCD_STORE_H

#include "base/hooks.h"
#include "base/system.h"
#include "store/etcd_channel.h"
#include "store/etcd_feed.h"
#include "store/etcd_url.h"
#include "store/store.h"

#include <pthread.h>

enum {
    ETCD_KEY_MAX = ETCD_PREFIX_MAX + IPALLOC_KEY_MAX + 64,
    ETCD_NAME_MAX = 256,
    ETCD_SLOT_VALUE_MAX = 96,
    ETCD_FORM_VALUE_MAX = 128,
    ETCD_FORM_VERSION = 1,
};

#define ETCD_REVISION_MAX INT64_MAX

/* A key of ours that tells how one batch at a time ended. */
typedef struct etcd_slot {
    struct etcd_slot *next; /* of the free ones, or of those that a ticket holds */
    uint64_t number;
    uint64_t revision; /* at which it was written last; 0: never */
    uint64_t nonce;    /* of the batch that has it, and its ticket */
    uint64_t taken_ms; /* when that took it */
    bool echo;         /* a sending of that batch may still arrive */
    bool doubtful;     /* a sending from before the first write may: the key must stay */
} etcd_slot;

/* The question for the last batch's revision, which all ask together who wait at the same time. */
typedef struct etcd_head {
    uint64_t asked;      /* number of the question that was sent last */
    uint64_t answered;   /* number of the last one that has ended; == asked: none is out */
    int status;          /* of the last one */
    uint64_t limit_ms;   /* how long it could take */
    uint64_t revision;   /* what it answered */
    ipalloc_error error; /* or why not */
    atomic_word32 ended; /* changes when a question ends */
} etcd_head;

/* What `store/form` says. */
typedef struct etcd_form {
    uint64_t epoch;
    uint64_t cluster_id; /* the cluster it was made or accepted on */
    uint64_t revision;   /* at which it was written: every batch is conditional on it */
} etcd_form;

/* A slot of a session that looked dead when it was seen. */
typedef struct etcd_relic {
    uint8_t *key;
    size_t key_size;
    uint64_t revision;
} etcd_relic;

enum { ETCD_RELICS_MAX = 64 };

typedef struct etcd_store {
    hooks *hooks;
    const system_calls *system;
    etcd_channel *channel;
    char name[ETCD_NAME_MAX];         /* etcd store "...", for messages: no password is in it */
    char prefix[ETCD_PREFIX_MAX + 2]; /* with a '/' at its end */
    size_t prefix_length;
    uint64_t timeout_ms;
    uint64_t changes_kept;
    uint64_t session; /* random */
    bool read_only;

    pthread_mutex_t mutex; /* guards what follows up to the feed */
    etcd_form form;
    uint64_t cluster_id;     /* of the cluster that answers */
    uint64_t seen;           /* the highest revision of an answer */
    bool restored;           /* form.cluster_id differs from cluster_id */
    const char *unusable;    /* why nothing is written any more; NULL: all is well */
    bool doubtful;           /* the last call that ended had no answer */
    uint64_t short_until_ms; /* and questions have little time until then */
    uint64_t slots_made;     /* numbers given to slots so far */
    uint64_t nonces;         /* given to batches so far */
    etcd_slot *free_slots;
    etcd_slot *held_slots; /* each by a ticket */
    etcd_head head;
    bool sweeping;     /* somebody does */
    uint64_t sweep_ms; /* next at this time */
    etcd_relic relics[ETCD_RELICS_MAX];
    size_t relic_count;

    etcd_feed feed;
} etcd_store;

/* --- etcd_answer.c: questions and answers --------------------------------------------------------
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
/* Write nothing any more. `why` is static. MISMATCH. */
int etcd_give_up(etcd_store *store, const char *why, ipalloc_error *error);

/* Ask, and check the answer's header. OK: *answer is freed with etcd_free_message. Else as the
 * channel says, or as etcd_check_header. Repeatable questions only. timeout_ms 0: the store's. */
struct Etcd__RangeRequest;
struct Etcd__RangeResponse;
struct Etcd__TxnRequest;
struct Etcd__TxnResponse;
int etcd_ask_range(etcd_store *store, const struct Etcd__RangeRequest *request, uint64_t timeout_ms,
                   struct Etcd__RangeResponse **answer, ipalloc_error *error);
int etcd_ask_txn(etcd_store *store, const struct Etcd__TxnRequest *request, uint64_t timeout_ms,
                 struct Etcd__TxnResponse **answer, ipalloc_error *error);

/* "etcd store "...": WHAT: the answer is damaged". CORRUPT. */
int etcd_damaged(const etcd_store *store, const char *what, ipalloc_error *error);

/* --- etcd_keys.c: our keys and what is written in them -------------------------------------------
 */

typedef struct etcd_key_text {
    size_t size;
    uint8_t bytes[ETCD_KEY_MAX];
} etcd_key_text;

void etcd_key_data(const etcd_store *store, ipalloc_bytes key, etcd_key_text *out);
void etcd_key_store(const etcd_store *store, const char *rest, etcd_key_text *out); /* "form" */
void etcd_key_slot(const etcd_store *store, const etcd_slot *slot, etcd_key_text *out);
/* The key after all that start with these bytes; "\0", the end of all keys, where there is none. */
void etcd_key_end(const etcd_key_text *prefix, etcd_key_text *out);
/* A caller's key out of one of ours. OK; CORRUPT where it is none. */
int etcd_key_of_caller(const etcd_store *store, const uint8_t *key, size_t size, ipalloc_bytes *out,
                       ipalloc_error *error);

void etcd_form_write(const etcd_form *form, char out[ETCD_FORM_VALUE_MAX]);
/* OK; CORRUPT (damaged, or of a newer form). */
int etcd_form_read(const etcd_store *store, const uint8_t *value, size_t size, etcd_form *out,
                   ipalloc_error *error);

enum slot_word { SLOT_OTHER, SLOT_COMMITTED, SLOT_ABORTED };

/* What a batch, or who aborts it, writes into its slot. */
void etcd_slot_write(const etcd_slot *slot, enum slot_word word, uint64_t now_ms,
                     char out[ETCD_SLOT_VALUE_MAX]);
/* What the value says of the batch that has the slot. */
enum slot_word etcd_slot_read(const etcd_slot *slot, const uint8_t *value, size_t size);
/* When it was written; false where it is no value of a slot. */
bool etcd_slot_time(const uint8_t *value, size_t size, uint64_t *out);

/* --- etcd_form.c: which store this is ------------------------------------------------------------
 */

/* Read the form, or make it; then feed_init. OK; NOT_FOUND; CORRUPT; as etcd_ask_txn. */
int etcd_form_open(etcd_store *store, const ipalloc_store_options *options, ipalloc_error *error);
int etcd_accept(void *self, ipalloc_error *error);

/* --- etcd_read.c, etcd_head.c, etcd_commit.c, etcd_settle.c: methods -----------------------------
 */

int etcd_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
             ipalloc_error *error);
int etcd_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
              ipalloc_visit visit, void *context, uint64_t *at_revision, ipalloc_error *error);
int etcd_info(void *self, ipalloc_store_info *out, ipalloc_error *error);
int etcd_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error);
int etcd_settle(void *self, uint64_t ticket, bool *happened, uint64_t *revision,
                ipalloc_error *error);

/* Ask once how the slot's batch ended, and end it if it has not: SLOT_COMMITTED or SLOT_ABORTED;
 * slot->revision follows. OK; else it is still not known. */
int etcd_settle_slot(etcd_store *store, etcd_slot *slot, uint64_t timeout_ms, enum slot_word *how,
                     ipalloc_error *error);

/* The revision of the last batch: an answer to a question that is sent from now on. OK; as
 * etcd_ask_txn. */
int etcd_learn_head(etcd_store *store, uint64_t timeout_ms, uint64_t *revision,
                    ipalloc_error *error);

/* --- etcd_doubt.c: after a call without an answer ------------------------------------------------
 */

/* How long a question may take that would have `wanted_ms`. */
uint64_t etcd_patience(etcd_store *store, uint64_t wanted_ms);
uint64_t etcd_patience_held(const etcd_store *store, uint64_t wanted_ms); /* under the mutex */
/* A call that was begun then has ended so. */
void etcd_note_call(etcd_store *store, const channel_call *call, uint64_t begun_ms);
/* Before something is sent that is to have an outcome. OK: etcd answers, or nothing speaks against
 * it; else as etcd_ask_txn. */
int etcd_dispel_doubt(etcd_store *store, uint64_t timeout_ms, ipalloc_error *error);

/* --- etcd_slots.c --------------------------------------------------------------------------------
 */

/* One for a batch. NULL: no memory. */
etcd_slot *slot_take(etcd_store *store);
void slot_give_back(etcd_store *store, etcd_slot *slot);
/* Its key is gone, or written by others: it is not used again. */
void slot_drop(etcd_store *store, etcd_slot *slot);
void slot_hold(etcd_store *store, etcd_slot *slot);         /* for its ticket */
etcd_slot *slot_unhold(etcd_store *store, uint64_t ticket); /* NULL: there is none */
/* For close: remove the keys that nobody needs, where etcd is at hand; free the rest. */
void slots_free(etcd_store *store);

/* --- etcd_sweep.c: what dead sessions left -------------------------------------------------------
 */

/* Now and then, by whoever comes by: look for slots of the dead, and remove those seen before. */
void etcd_sweep(etcd_store *store);
void etcd_relics_free(etcd_store *store);
/* false: no memory. */
bool etcd_relic_init(const etcd_store *store, const etcd_key_text *key, uint64_t revision,
                     etcd_relic *out);
/* Remove keys of slots if none was written since. The head stays, or grows. */
void etcd_remove_relics(etcd_store *store, const etcd_relic *relics, size_t count);

#endif
