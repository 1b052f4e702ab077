/*
 * service_cidr_pass.h: what the files of one pass over the ServiceCIDRs share; see service_cidrs.h.
 *
 *   service_cidr_settle.c  reads the objects, and runs the steps
 *   service_cidr_pools.c   the pools get their ranges
 *   service_cidr_status.c  the objects are told what came of it, and let go
 *   service_cidr_start.c   the object that the flags make
 *   service_cidr_keeper.c  when passes are due, where other servers make them too
 */
#ifndef APISERVER_SERVICE_CIDR_PASS_H
#define APISERVER_SERVICE_CIDR_PASS_H

#include "json.h"
#include "object_store.h"
#include "service_cidrs.h"

#include <ipalloc/registry.h>

#define SERVICE_CIDR_HELD_MANY 1000 /* from so many on, conditions change at most once a second */

/* One ServiceCIDR object, and what is found out about it. */
struct wish {
    struct wish *next;
    struct json_object *object;
    ipalloc_cidr cidrs[SERVICE_CIDR_CIDRS_MAX];
    size_t count;
    bool deleting;
    bool overtaken; /* somebody has written the object since it was read */
    bool blocked;   /* its ranges could not be set: `why` */
    struct text why;
    const char *reason;  /* of Ready being False; NULL: it is True */
    uint64_t held;       /* addresses that only it and others being deleted have */
    struct text holders; /* some of them */
};

struct pass {
    struct server *server;
    struct wish *wishes;
    struct service_cidr_list serving[2]; /* by family: what is to be given from */
    bool failed;                         /* something is left to do */
    bool overtaken; /* another server wrote meanwhile: what was found out may be of the past */
};

/* Its place in `serving`. */
size_t family_index(int family);

const char *wish_name(const struct wish *wish);

/* Where a ServiceCIDR is, for a write that follows from another. */
struct object_place service_cidr_place(struct server *server, const char *name);

/* Give the pools their ranges, and the server the pools. Failures are noted in the wishes. */
void service_cidr_set_pools(struct pass *pass);

/* Nothing can be done about a family now: its wishes say why. */
void service_cidr_block_family(struct pass *pass, int family, const ipalloc_error *error);

/* Give the server the pools that there are; is one of the families, beside the default one, any
 * object's? */
void service_cidr_publish(struct server *server, const bool wanted[2]);

/* Addresses held in ranges that drain, as memory has it. */
uint64_t service_cidr_held(struct server *server);

/* Find who holds what of those being deleted. */
void service_cidr_find_holders(struct pass *pass);

/* Write the conditions; let go what nothing holds. Returns whether any object went away. */
bool service_cidr_tell_all(struct pass *pass);

/* Make the default object from the flags. */
bool service_cidr_make_default(struct server *server);

#endif
