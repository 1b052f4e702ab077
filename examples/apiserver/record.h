/*
 * record.h: objects in the store.
 *
 * A record "PLURAL/NAMESPACE/NAME" or "PLURAL/NAME" holds the object as one line of JSON, canonical
 * (fields in the order of its schema), without its resourceVersion: that is the record's revision
 * and is put in on the way out.
 */
#ifndef APISERVER_RECORD_H
#define APISERVER_RECORD_H

#include "json.h"
#include "moment.h"
#include "server.h"

#define RESOURCE_VERSION_TEXT 24

void resource_version_format(const struct server *server, uint64_t revision,
                             char out[RESOURCE_VERSION_TEXT]);

/* The revision of a resourceVersion of this store's epoch. False for other epochs (*expired then
 * set) and for what is no number. */
bool resource_version_parse(const struct server *server, const char *text, uint64_t *revision,
                            bool *expired);

/* Append the object, its resourceVersion put in. False if the record is not one of ours. */
bool record_add(const struct server *server, const ipalloc_entry *entry, struct text *out);

/* The same as a value (the caller puts it); NULL and CORRUPT in `error` if it is damaged. */
struct json_object *record_parse(const struct server *server, const ipalloc_entry *entry,
                                 ipalloc_error *error);

/* Read one record; *object is the caller's to put, *revision may be NULL.
 * OK; NOT_FOUND; CORRUPT; what ipalloc_record_get answers. */
int record_read(const struct server *server, const char *key, struct json_object **object,
                uint64_t *revision, ipalloc_error *error);

/* Store the object (without its resourceVersion) with the transaction. TAKEN where it is larger
 * than a value may be. */
int record_put(ipalloc_txn *txn, const char *key, struct json_object *object,
               uint64_t expected_revision, ipalloc_error *error);

/* What every object gets at its creation. */
void record_stamp(struct json_object *metadata);

#define UID_TEXT 37

void uid_make(char out[UID_TEXT]); /* RFC 4122, version 4 */

#endif
