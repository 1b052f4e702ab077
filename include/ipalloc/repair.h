/*
 * repair.h: leases against the records that should list them. Report first, then apply.
 *
 * A registry leaks nothing by itself: lease and record are one batch. What goes wrong comes from
 * outside: an object that was deleted past its release, a restored backup, an import. The registry
 * cannot know what an owner's record says, so the caller tells it: ipalloc_live_set lists each
 * owner's record with its revision and the addresses that it names.
 *
 *   ipalloc_repair         compares and reports; changes no lease. A leak that is seen is noted in
 *                          the store (a sighting).
 *   ipalloc_repair_apply   frees or reserves, line by line: each is done only if lease and record
 *                          are still as they were reported.
 *
 * What an owner lists is never freed: every line carries the revision of the record it was judged
 * by, and a record that has changed, appeared or gone since refuses it. A leak is freed only after
 * two stored sightings of the same lease (generation and owner), at least the grace apart by the
 * wall clock; the first of them counts even where the clock goes back, so that this ripens nothing
 * earlier. A sighting that the next report does not confirm is deleted.
 *
 * A lease is judged as a whole: listed for one of its slots, it stays with all of them. Only leases
 * are judged here. Records of the store that contradict each other are damage, which
 * ipalloc_registry_validate finds; a line that meets it answers CORRUPT and changes nothing.
 */
#ifndef IPALLOC_REPAIR_H
#define IPALLOC_REPAIR_H

#include <ipalloc/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- what is live ----------------------------------------------------------------------------- */

typedef struct ipalloc_live_list ipalloc_live_list; /* being filled in, during ipalloc_repair */

/* An address or port that an owner's record names. */
typedef struct ipalloc_live_claim {
    size_t size;
    const char *owner;
    uint64_t record_revision; /* of the owner's record, as it was read */
    const char *pool;         /* name; NULL: the record names no address, but is there */
    ipalloc_addr address;     /* address pools */
    uint16_t port;            /* port pools */
    const char *slot;         /* what it is for, as in ipalloc_txn_reserve */
} ipalloc_live_claim;

/* How the caller's records are read. */
typedef struct ipalloc_live_set {
    size_t size;
    void *context;
    /* The key (as in ipalloc_txn_put) of the record that lists what `owner` holds, whether or not
     * there is such a record. false: not known; the leases of such an owner are left alone. Must
     * not call the registry. */
    bool (*record_of)(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]);
    /* Call ipalloc_live_add for every address that every live record names, and once for a record
     * that names none. Called once; may read the registry. Anything but OK ends the repair with it.
     */
    int (*list)(void *context, ipalloc_live_list *list, ipalloc_error *error);
} ipalloc_live_set;

/* Add one; everything is copied. Touches memory only: it may be called from a visit function.
 * A failure is remembered and fails the repair, so that no list is taken for whole that is not.
 * OK; INVALID (owner, slot, pool name, an address that is none, a port of an address pool or the
 * other way round, an owner of which record_of knows nothing, one record at two revisions); NOMEM.
 */
IPALLOC_API int ipalloc_live_add(ipalloc_live_list *list, const ipalloc_live_claim *listed,
                                 ipalloc_error *error);

/* --- the report ------------------------------------------------------------------------------- */

#define IPALLOC_REPAIR_GRACE_MS_DEFAULT 60000

typedef struct ipalloc_repair_options {
    size_t size;
    uint64_t grace_ms; /* a leak's two sightings are so far apart; 0: the default */
    bool no_sightings; /* look only: store nothing (apply does not read this) */
} ipalloc_repair_options;

enum ipalloc_repair_kind {
    IPALLOC_REPAIR_LEAK = 1,        /* a lease that its owner's record does not list, or whose owner
                                       has none: freed once it is ripe */
    IPALLOC_REPAIR_MISSING = 2,     /* listed, and no lease: reserved for the owner in that slot */
    IPALLOC_REPAIR_DUPLICATE = 3,   /* listed, and leased to, or listed by, another: report only */
    IPALLOC_REPAIR_OUT_OF_RANGE = 4 /* listed, and in no range of that pool: report only */
};

/* "leak", "missing", "duplicate", "out-of-range"; "?" for any other number. Static. */
IPALLOC_API const char *ipalloc_repair_kind_name(int kind);

/* One finding. Plain values, so that a caller can write it down and hand it to
 * ipalloc_repair_apply later, from another process too. */
typedef struct ipalloc_repair_line {
    size_t size;
    int kind; /* enum ipalloc_repair_kind */
    char pool[IPALLOC_POOL_NAME_MAX + 1];
    ipalloc_addr address;
    uint16_t port;
    char owner[IPALLOC_OWNER_MAX + 1];  /* LEAK: of the lease; else who lists it */
    char holder[IPALLOC_OWNER_MAX + 1]; /* DUPLICATE: who has the lease, or lists it too */
    size_t slot_count;                  /* LEAK: the lease's; else the one it is listed for */
    char slots[IPALLOC_LEASE_SLOTS_MAX][IPALLOC_SLOT_MAX + 1];
    uint64_t generation; /* of the lease; 0: there is none */
    char record_key[IPALLOC_RECORD_KEY_MAX + 1];
    uint64_t record_revision;      /* IPALLOC_REVISION_ABSENT: there is no such record */
    uint64_t first_seen_ms;        /* LEAK: by the stored sightings; 0: none */
    uint64_t last_seen_ms;         /* wall clock since the Unix epoch */
    uint64_t sightings;            /* how many are stored */
    bool ripe;                     /* may be applied */
    char text[IPALLOC_ERROR_TEXT]; /* what is wrong, and why it is not ripe */
} ipalloc_repair_line;

typedef struct ipalloc_repair_summary {
    size_t size;
    size_t lines; /* the sum of the next four */
    size_t leaks, missing, duplicates, out_of_range;
    size_t ripe;       /* of them */
    size_t leases;     /* looked at */
    size_t not_judged; /* of them, of owners whose record is not known */
    size_t live;       /* addresses that were listed */
    size_t moved;      /* findings left out because their record changed meanwhile */
    uint64_t revision; /* at which the leases were looked at */
    uint64_t time_ms;  /* wall clock of the sightings */
    uint64_t grace_ms;
    bool stored;                /* the sightings are */
    const char *why_not_stored; /* static text; "" where they are */
} ipalloc_repair_summary;

typedef struct ipalloc_repair_report ipalloc_repair_report;

/* Compare what the store leases with what `live` lists. *out is the caller's to free, before the
 * registry is closed. A store that is opened for reading, or restored and not accepted, is reported
 * on too; its sightings are not stored, and the summary says why. Cost: one reading of all leases
 * and sightings, a few hundred bytes for each claim and line.
 * OK; INVALID (live, options, or what was listed); CONFLICT (another report was storing sightings
 * at the same time: run it again); EXPIRED (an etcd was compacted while it was read: run it again);
 * CORRUPT (names the record); IO; UNAVAILABLE; UNKNOWN_OUTCOME; NOMEM; what live->list answers. */
IPALLOC_API int ipalloc_repair(ipalloc_registry *registry, const ipalloc_live_set *live,
                               const ipalloc_repair_options *options, ipalloc_repair_report **out,
                               ipalloc_error *error);

/* OK; INVALID. */
IPALLOC_API int ipalloc_repair_report_summary(const ipalloc_repair_report *report,
                                              ipalloc_repair_summary *out, ipalloc_error *error);
/* The index-th line, from 0: what concerns leases in order of pool and address, then what is only
 * listed, in the order of the list. OK; NOT_FOUND (no such line); INVALID. */
IPALLOC_API int ipalloc_repair_report_line(const ipalloc_repair_report *report, size_t index,
                                           ipalloc_repair_line *out, ipalloc_error *error);
/* NULL is fine. */
IPALLOC_API void ipalloc_repair_report_free(ipalloc_repair_report *report);

/* --- applying --------------------------------------------------------------------------------- */

/* Apply lines, each by itself; results[i] is OK (with an empty message) or says why line i
 * was not applied:
 *   CONFLICT (it does not hold any more: what has changed); INVALID (not ripe by the sightings in
 *   the store and options->grace_ms, whatever the line says; of a kind that is only reported; or
 *   not a line); TAKEN, NOT_IN_RANGE (MISSING: who has it, or that it cannot be reserved); CORRUPT
 *   (owner's record and lease contradict each other); UNKNOWN_OUTCOME (report again to find out).
 * A line that has been applied already is CONFLICT (LEAK) or OK (MISSING).
 * Leaks of one owner in the order of a report are freed some 30 in a transaction, all or none;
 * where one of them is refused, each is tried again in a transaction of its own. OK (each line was
 * tried, see results); INVALID (nothing was tried); IO, UNAVAILABLE, NOMEM, READ_ONLY, MISMATCH
 * (restored and not accepted): the rest was not tried and carries that status.
 */
IPALLOC_API int ipalloc_repair_apply(ipalloc_registry *registry,
                                     const ipalloc_repair_options *options,
                                     const ipalloc_repair_line *lines, size_t count,
                                     ipalloc_error *results, ipalloc_error *error);

#ifdef __cplusplus
}
#endif
#endif
