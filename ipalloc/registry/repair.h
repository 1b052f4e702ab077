/*
 * repair.h (internal): a report's inside, and the two steps that make it.
 *
 * A finding refers to its names by where they begin in the live list's names, which the report
 * takes over; a line (repair.h, public) is made from it when it is asked for.
 */
#ifndef IPALLOC_REGISTRY_REPAIR_INTERNAL_H
#define IPALLOC_REGISTRY_REPAIR_INTERNAL_H

#include "registry/live.h"

typedef struct finding {
    int kind;                 /* enum ipalloc_repair_kind */
    const ipalloc_pool *pool; /* NULL: there is none of that name */
    size_t pool_name;         /* the next five: in the names */
    place place;
    size_t owner, holder, key;
    size_t slots; /* slot_count names one after another */
    size_t slot_count;
    bool has_holder;
    uint64_t generation; /* of the lease; 0: none */
    uint64_t revision;   /* of the record that it was judged by; 0: absent */
    uint64_t hash;       /* of its place */
    /* Of a leak: what is stored, 0 where nothing is; the record's revision. */
    uint64_t first_ms, last_ms, sightings, sighting_revision;
} finding;

struct ipalloc_repair_report {
    ipalloc_registry *registry;
    ipalloc_live_list live; /* its names are ours */
    finding *findings;
    size_t count, capacity;
    hash_index by_place; /* of leaks: it lists all findings */
    ipalloc_repair_summary summary;
};

/* OK; INVALID. Fills in the default of the grace. */
int repair_options_read(ipalloc_repair_options *out, const ipalloc_repair_options *given,
                        ipalloc_error *error);

/* The revision of a record of the caller's; IPALLOC_REVISION_ABSENT where there is none. */
int repair_record_revision(ipalloc_registry *registry, const char *key, uint64_t *out,
                           ipalloc_error *error);

/* --- repair_line.c ---------------------------------------------------------------------------- */

bool finding_is_ripe(const ipalloc_repair_report *report, const finding *f);

/* Two sightings, far enough apart? Where not, why (`out` may be NULL). */
bool sightings_are_ripe(uint64_t count, uint64_t first_ms, uint64_t last_ms, uint64_t grace_ms,
                        char *out, size_t capacity);

/* --- sighting.c ------------------------------------------------------------------------------- */

/* Match the leaks with the sightings in the store; with `write`, store this one too and
 * delete what no leak confirms. OK; CONFLICT; CORRUPT; IO; UNAVAILABLE; UNKNOWN_OUTCOME; NOMEM. */
int sightings_update(ipalloc_repair_report *report, uint64_t now_ms, bool write,
                     ipalloc_error *error);

#endif
