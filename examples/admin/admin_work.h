/*
 * admin_work.h: what the operations share: reading arguments, finding pools, writing values.
 */
#ifndef ADMIN_ADMIN_WORK_H
#define ADMIN_ADMIN_WORK_H

#include "admin.h"

/* Say why not; returns the status. */
int admin_refuse(ipalloc_error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- arguments -------------------------------------------------------------------------------- */

/* A text argument, NULL where it is absent. False where it is no text. */
bool admin_text(struct json_object *arguments, const char *name, const char **out,
                ipalloc_error *error);

/* The same, and INVALID where it is absent or empty. */
bool admin_needed_text(struct json_object *arguments, const char *name, const char **out,
                       ipalloc_error *error);

/* A whole number given as a number or as digits, `absent` where it is absent. */
bool admin_number(struct json_object *arguments, const char *name, uint64_t absent, uint64_t max,
                  uint64_t *out, ipalloc_error *error);

/* A truth value given as one or as "true" or "false"; false where it is absent. */
bool admin_truth(struct json_object *arguments, const char *name, bool *out, ipalloc_error *error);

/* --- places ------------------------------------------------------------------------------------
 */

/* An address or a port, as people write them. */
struct admin_place {
    bool is_port;
    ipalloc_addr address;
    uint16_t port;
    char text[IPALLOC_CIDR_TEXT];
};

/* Read "10.96.0.10", "fd00::a" or "30080". OK; INVALID. */
int admin_place_parse(const char *text, size_t length, struct admin_place *out,
                      ipalloc_error *error);

/* Of an address, or where its family is 0, of a port. */
struct admin_place admin_place_of(const ipalloc_addr *address, uint16_t port);
struct admin_place admin_place_of_lease(const ipalloc_lease *lease);

bool admin_pool_is_port(const ipalloc_pool *pool);

/* The range of the pool that the place lies in. False if there is none. */
bool admin_range_of(ipalloc_pool *pool, const struct admin_place *place, ipalloc_pool_range *out);

/* "10.96.0.0/16" or "30000-32767". */
void admin_range_format(const ipalloc_pool *pool, const ipalloc_pool_range *range,
                        char out[IPALLOC_CIDR_TEXT]);

/* The one pool that holds the place; `name` (may be NULL) says which where several do.
 * OK; NOT_FOUND (no pool of that name); NOT_IN_RANGE (lists the ranges there are); INVALID
 * (several). */
int admin_find_pool(struct admin *admin, const char *name, const struct admin_place *place,
                    ipalloc_pool **out, ipalloc_error *error);

/* --- values ------------------------------------------------------------------------------------
 */

/* A count in digits: as text, because it may have 39 of them. */
void admin_set_count(struct json_object *object, const char *name, ipalloc_count count);

/* The address as text, or the port as a number. */
void admin_set_place(struct json_object *object, const struct admin_place *place);

/* A moment: 2026-05-01T12:00:00.000Z; nothing for 0. */
void admin_set_moment(struct json_object *object, const char *name, uint64_t wall_clock_ms);

/* A lease with all that is known of it. Where its owner or a slot is no UTF-8, bytes from 0x80 on
 * are written %XX. */
struct json_object *admin_lease_value(const ipalloc_lease *lease);

/* --- the operations ----------------------------------------------------------------------------
 */

int admin_pools(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_list(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_show(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_map(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_allocate(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_reserve(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_release(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_exclude(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_include(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_check(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_repair(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_repair_apply(struct admin *, struct json_object *, struct admin_output *,
                       ipalloc_error *);
int admin_export(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_import(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_backup(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);
int admin_accept(struct admin *, struct json_object *, struct admin_output *, ipalloc_error *);

#endif
