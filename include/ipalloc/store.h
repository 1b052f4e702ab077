/*
 * store.h: where a registry lives. An ordered key-value store with atomic, conditional batches.
 *
 * Built in: "memory:" (gone with the handle), "sqlite:PATH" (the embedded default) and
 * "etcd:http://HOST:PORT,.../PREFIX" (shared by any number of servers). A program can bring its
 * own: fill in ipalloc_store_methods. A store knows nothing of addresses.
 *
 * Keys are 1..IPALLOC_KEY_MAX bytes of text without NUL, ordered by memcmp; values are
 * 0..IPALLOC_VALUE_MAX bytes. Every committed batch gets a revision of its own: persisted, growing,
 * never reused. An entry carries the revision of the batch that wrote it.
 *
 * Caveats: sqlite stores refuse network file systems where they can be detected; one process owns
 * a store file (others get BUSY with its pid, or open it read-only beside it); opening one file
 * twice in one process is BUSY too; do not carry a store handle across fork(); a copied or restored
 * file starts a new epoch and must be accepted (see accept_restored) before anything is allocated.
 * After a failed sync a store answers IO to every write until it is opened again: the kernel may
 * have dropped the pages.
 *
 * etcd stores: the prefix belongs to one store alone. Revisions are etcd's, which others move too:
 * a new store's is not 0. A batch is one etcd transaction, as large as etcd's defaults allow:
 * INVALID names the limit where a server's is lower. Where another etcd answers than before, or one
 * that has lost what it had (both: a restored one), and where somebody else accepted such a store,
 * every write is MISMATCH until the store is opened again.
 */
#ifndef IPALLOC_STORE_H
#define IPALLOC_STORE_H

#include <ipalloc/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IPALLOC_KEY_MAX       1024
#define IPALLOC_VALUE_MAX     ((size_t)1 << 20)
#define IPALLOC_BATCH_OPS_MAX 512 /* 100 addresses with all their records, with room to spare */

typedef struct ipalloc_store ipalloc_store;

/* Bytes that somebody else owns. */
typedef struct ipalloc_bytes {
    const void *data;
    size_t size;
} ipalloc_bytes;

typedef struct ipalloc_entry {
    ipalloc_bytes key;
    ipalloc_bytes value;
    uint64_t revision; /* of the batch that wrote it */
    bool deleted;      /* only in changes: the key went away; the value is then empty */
} ipalloc_entry;

/* Sees one entry, whose bytes are valid only during the call. Returning non-zero stops the walk and
 * is the walk's result. It must not call the store it is called from. */
typedef int (*ipalloc_visit)(void *context, const ipalloc_entry *entry);

enum ipalloc_op_kind {
    IPALLOC_OP_CHECK = 1, /* only the condition */
    IPALLOC_OP_PUT = 2,
    IPALLOC_OP_DELETE = 3 /* deleting an absent key with no condition is fine */
};

enum ipalloc_condition {
    IPALLOC_IF_ANY = 0,
    IPALLOC_IF_ABSENT = 1,  /* the key is absent */
    IPALLOC_IF_REVISION = 2 /* the key is present with exactly `revision` */
};

typedef struct ipalloc_op {
    int kind;      /* enum ipalloc_op_kind */
    int condition; /* enum ipalloc_condition */
    uint64_t revision;
    ipalloc_bytes key;
    ipalloc_bytes value; /* PUT only */
} ipalloc_op;

/* One atomic batch: all conditions hold and all operations happen, or nothing does. Conditions are
 * judged against the state before the batch. A key may occur once. */
typedef struct ipalloc_batch {
    const ipalloc_op *ops;
    size_t op_count;
    uint64_t timeout_ms; /* at most so long is it tried; 0: the store's own limit */
    int status;          /* out: OK, CONFLICT, UNKNOWN_OUTCOME, or why nothing of it happened */
    size_t failed_op;    /* out: on CONFLICT, the first operation whose condition did not hold */
    uint64_t revision;   /* out: on OK, the batch's revision */
    uint64_t ticket; /* out: on UNKNOWN_OUTCOME, what settle takes; 0: reading shows how it ended,
                        because it cannot take effect later */
} ipalloc_batch;

typedef struct ipalloc_store_info {
    size_t size;
    uint64_t epoch;         /* grows when the store was copied or restored; 1 at first */
    uint64_t revision;      /* of the last committed batch; 0: none yet */
    uint64_t oldest_change; /* changes since this revision or later can be asked for */
    bool read_only;
    bool restored; /* a copy or a restored one that nobody has accepted yet */
} ipalloc_store_info;

/* What a store is. Each function returns OK or a negative status and fills in `error` when it
 * fails. All but close may be called from several threads at once. */
typedef struct ipalloc_store_methods {
    size_t size;
    /* Call `visit` once with the entry. NOT_FOUND where the key is absent. */
    int (*get)(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
               ipalloc_error *error);
    /* Visit, in key order and at one revision (stored to *at_revision, may be NULL), the entries
     * whose key starts with `prefix` and is greater than `after` (empty: from the first). At most
     * `limit` of them (0: all). EXPIRED: that revision was
     * forgotten half-way (another program has compacted the store): begin anew. */
    int (*scan)(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                ipalloc_visit visit, void *context, uint64_t *at_revision, ipalloc_error *error);
    /* Commit independent batches; each is durable when this returns OK, and each has its own
     * status. OK even where batches are in CONFLICT; an error if nothing could be tried. */
    int (*commit)(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error);
    /* Visit, in revision order, what changed after revision `since` under `prefix`. EXPIRED where
     * that is no longer kept; INVALID for a revision that has not been yet. *up_to (may be NULL)
     * gets the revision that the answer is complete to: where others write to the store too, that
     * may be less than the last one (see reach). At most `limit` changes (0: all), but a batch is
     * never cut in two. */
    int (*changes)(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                   ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error);
    int (*info)(void *self, ipalloc_store_info *out, ipalloc_error *error);
    /* A consistent copy at `path`, which must not exist (BUSY). NULL: the store has no files. */
    int (*backup)(void *self, const char *path, ipalloc_error *error);
    /* Clear the restored mark durably. NULL: never restored. */
    int (*accept)(void *self, ipalloc_error *error);
    void (*close)(void *self);

    /* The rest is for stores that others write to, over a network. Each may be NULL. */

    /* Decide how a batch with UNKNOWN_OUTCOME ended: one that has not happened by now never will.
     * OK: *happened, and if so its *revision; the ticket is spent. Else (UNAVAILABLE, IO, NOMEM) it
     * is still not known, and the ticket stays good. close spends what is left. */
    int (*settle)(void *self, uint64_t ticket, bool *happened, uint64_t *revision,
                  ipalloc_error *error);
    /* Return once `changes` tells everything up to `revision`, which info has answered. NULL: it
     * always does. OK; EXPIRED (what changed has been forgotten: read everything again);
     * UNAVAILABLE; NOMEM. */
    int (*reach)(void *self, uint64_t revision, ipalloc_error *error);
    /* A descriptor that becomes readable when there is something to process; the same as long as
     * the store is open. NULL, or -1: there never is. */
    int (*poll_fd)(void *self);
    /* Process no later than in so many milliseconds; -1: the descriptor tells. */
    int (*poll_timeout_ms)(void *self);
    /* Take in what has arrived, without waiting. *known_to: `changes` tells everything up to it.
     * OK; UNAVAILABLE (for now: it is tried again when poll_timeout_ms says so); NOMEM. */
    int (*process)(void *self, uint64_t *known_to, ipalloc_error *error);
} ipalloc_store_methods;

typedef struct ipalloc_store_options {
    size_t size;
    const ipalloc_hooks *hooks; /* copied */
    bool read_only;             /* sqlite: beside a living owner; writes are READ_ONLY */
    bool must_exist;            /* NOT_FOUND rather than making a new store */
    uint64_t changes_kept;      /* how many changes are kept for watches; 0: 100,000 */
    uint64_t first_epoch;       /* of a store that is made by this call; 0: 1 */
    /* etcd: */
    uint64_t timeout_ms;   /* of a call, over all that it tries; 0: 5,000. For half a second
                              behind one that had no answer in that time, calls have less */
    const char *ca_file;   /* PEM; NULL: the system's authorities */
    const char *cert_file; /* PEM, the client's certificate, with key_file */
    const char *key_file;
    const char *user, *password;
} ipalloc_store_options;

/* Open by URL. "memory:", "sqlite:PATH" (PATH relative to the working directory), or
 * "etcd:http://HOST:PORT,HOST:PORT/PREFIX" (or https; port 2379 and prefix /ipalloc where none is
 * given; IPv6 addresses in brackets).
 * OK; INVALID (URL, option); NOT_FOUND; BUSY (the message names the owning pid); CORRUPT (not an
 * ipalloc store, damaged, or of a newer form: says which); IO; NOMEM; UNAVAILABLE (a network file
 * system; a store kind that was not built in; no etcd that answers: says what was tried). */
IPALLOC_API int ipalloc_store_open(const char *url, const ipalloc_store_options *options,
                                   ipalloc_store **out, ipalloc_error *error);

/* Make a handle over a store of your own. `methods` is copied; `self` is closed by `close` when the
 * handle is. OK; INVALID (a method is missing); NOMEM (self is not closed then). */
IPALLOC_API int ipalloc_store_create(const ipalloc_store_methods *methods, void *self,
                                     const ipalloc_hooks *hooks, ipalloc_store **out,
                                     ipalloc_error *error);

/* Close. No other call on it may be running, and no registry may be open on it. */
IPALLOC_API void ipalloc_store_close(ipalloc_store *store);

/* The methods, with arguments checked (INVALID for a bad key, value, op or count). */
IPALLOC_API int ipalloc_store_get(ipalloc_store *store, ipalloc_bytes key, ipalloc_visit visit,
                                  void *context, ipalloc_error *error);
IPALLOC_API int ipalloc_store_scan(ipalloc_store *store, ipalloc_bytes prefix, ipalloc_bytes after,
                                   size_t limit, ipalloc_visit visit, void *context,
                                   uint64_t *at_revision, ipalloc_error *error);
IPALLOC_API int ipalloc_store_commit(ipalloc_store *store, ipalloc_batch *batches, size_t count,
                                     ipalloc_error *error);
IPALLOC_API int ipalloc_store_changes(ipalloc_store *store, uint64_t since, ipalloc_bytes prefix,
                                      size_t limit, ipalloc_visit visit, void *context,
                                      uint64_t *up_to, ipalloc_error *error);
IPALLOC_API int ipalloc_store_get_info(ipalloc_store *store, ipalloc_store_info *out,
                                       ipalloc_error *error);

/* Write a consistent copy of a living store to a new file. The copy carries a mark: opening it
 * starts a new epoch. OK; BUSY (the file exists); INVALID (the store has no files); IO; NOMEM. */
IPALLOC_API int ipalloc_store_backup(ipalloc_store *store, const char *path, ipalloc_error *error);

/* Say that a copied or restored store is the one truth now: allocation works again.
 * OK (also when nothing was to accept); READ_ONLY; IO. */
IPALLOC_API int ipalloc_store_accept(ipalloc_store *store, ipalloc_error *error);

/* --- copying ---------------------------------------------------------------------------------- */

/* The key of the mark that a store carries while a copy into it is not finished. A registry does
 * not open on such a store. */
#define IPALLOC_COPY_MARK "copying/"

typedef struct ipalloc_copy_options {
    size_t size;
    size_t batch_entries;    /* in one batch; 0: 100, which etcd takes by default; at most 500 */
    size_t batches_at_once;  /* 0: 16; at most 64 */
    bool replace_unfinished; /* remove what an earlier copy, which did not end, has left */
    /* Called after each group of batches, and while what was copied is read back. Non-zero stops
     * the copy, unfinished, and is its result. */
    int (*progress)(void *context, uint64_t copied, uint64_t read_back);
    void *context;
} ipalloc_copy_options;

typedef struct ipalloc_copy_result {
    size_t size;
    uint64_t entries;
    uint64_t bytes;                /* of keys and values */
    uint64_t source_revision;      /* the copy is what the source held then, and holds still */
    uint64_t destination_revision; /* of the batch that made the copy whole */
} ipalloc_copy_result;

/* Copy every entry of `source`, as it is at one revision, into `destination`, which must be empty
 * and of a later epoch (first_epoch), so that a revision of the copy is never taken for one of the
 * source. Keys and values are the same; revisions are the destination's. Everything is read back
 * and compared before the copy counts: until then the destination carries IPALLOC_COPY_MARK. A copy
 * that was cut off stays marked, is no registry, and can be begun again (replace_unfinished).
 *
 * Nobody may write to the source meanwhile: that is noticed at the end, and the copy stays
 * unfinished. Memory: about 32 MiB. `options` and `result` may be NULL.
 * OK; INVALID (the same store; an option; the destination's epoch is not later); BUSY (the
 * destination holds something: names it); CONFLICT (the source has changed, or another copy took
 * the destination over); MISMATCH (one of them is a restored store that nobody accepted); CORRUPT
 * (the source is an unfinished copy; what was read back differs); READ_ONLY; IO; NOMEM;
 * UNAVAILABLE; UNKNOWN_OUTCOME. */
IPALLOC_API int ipalloc_store_copy(ipalloc_store *source, ipalloc_store *destination,
                                   const ipalloc_copy_options *options, ipalloc_copy_result *result,
                                   ipalloc_error *error);

/* --- stores that others write to ---------------------------------------------------------------
 */

/* For stores that others write to; what the methods say. Where a method is missing: settle is
 * INVALID, reach OK, poll_fd and poll_timeout_ms -1, and process answers the last revision. A
 * registry on the store has these calls for its own user (registry.h). */
IPALLOC_API int ipalloc_store_settle(ipalloc_store *store, uint64_t ticket, bool *happened,
                                     uint64_t *revision, ipalloc_error *error);
IPALLOC_API int ipalloc_store_reach(ipalloc_store *store, uint64_t revision, ipalloc_error *error);
IPALLOC_API int ipalloc_store_poll_fd(ipalloc_store *store);
IPALLOC_API int ipalloc_store_poll_timeout_ms(ipalloc_store *store);
IPALLOC_API int ipalloc_store_process(ipalloc_store *store, uint64_t *known_to,
                                      ipalloc_error *error);

#ifdef __cplusplus
}
#endif
#endif
