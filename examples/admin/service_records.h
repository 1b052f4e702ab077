/*
 * service_records.h: what the Service records of ipalloc-apiserver say is in use.
 *
 * A record "services/NAMESPACE/NAME" holds a Service as JSON; its addresses belong to the owner
 * Service/NAMESPACE/NAME/UID. A store without such records has no Services, and nothing to say.
 */
#ifndef ADMIN_SERVICE_RECORDS_H
#define ADMIN_SERVICE_RECORDS_H

#include "admin_work.h"

#define SERVICE_RECORDS "services/"

/* One address or port that a Service names, and for what. Text is valid during the visit. */
struct service_claim {
    const char *owner;
    const char *record_key;
    uint64_t record_revision;
    struct admin_place place;
    const char *pool; /* that it should be from; NULL: the Service is there, and no more is said */
    char slot[IPALLOC_SLOT_MAX + 1];
};

/* A non-zero return stops the walk and is its result. It may call the registry. */
typedef int (*service_claim_visit)(void *context, const struct service_claim *claim,
                                   ipalloc_error *error);

/* Visit what all Services name, each Service once without a pool before that. OK; CORRUPT (a record
 * that is no Service: names it); what ipalloc_record_scan answers. */
int service_claims_visit(struct admin *admin, service_claim_visit visit, void *context,
                         ipalloc_error *error);

/* The key of the record of a Service that is an owner, whether or not there is such a record: of
 * Service/NAMESPACE/NAME/UID it is services/NAMESPACE/NAME. False for other owners. */
bool service_key_of_owner(const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]);

/* TAKEN if `owner` is a Service that exists and names the place (NULL: if it exists at all). Else
 * OK, or what reading its record answers. */
int service_still_lists(struct admin *admin, const char *owner, const struct admin_place *place,
                        ipalloc_error *error);

#endif
