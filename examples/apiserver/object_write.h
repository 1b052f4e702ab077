/* object_write.h: what object_store.c and object_delete.c share: one write and what it found. */
#ifndef APISERVER_OBJECT_WRITE_H
#define APISERVER_OBJECT_WRITE_H

#include "object_store.h"
#include "record.h"
#include "watch.h"

#define WRITE_ATTEMPTS_MAX 16 /* an object deleted and made again between reading and writing */

struct write {
    const struct object_place *place;
    struct outcome *outcome;
    char key[IPALLOC_RECORD_KEY_MAX];
    char uid[UID_TEXT];                /* whose write this is */
    char owner[IPALLOC_OWNER_MAX + 1]; /* of addresses; "" where the kind holds none */
    ipalloc_service_problems problems;
    struct json_object *object; /* what is stored by the commit */
    struct json_object *ahead; /* the record, read before the transaction; its first run takes it */
    bool new_owner;            /* nobody has heard of the uid */
    uint64_t revision;         /* of the record read, then of the commit */
    bool decided;              /* the outcome says why not already */
    bool exists;               /* the name is taken */
    bool replaced;             /* the record is another object's than `uid` */
    bool unchanged;            /* nothing differs, so nothing was written */
    bool deletes;              /* it is a deletion */
};

/* Begin one on the record of `place`; write_end frees what it gathered. */
void write_begin(struct write *write, const struct object_place *place, struct outcome *outcome);
void write_end(struct write *write);

void write_set_uid(struct write *write, const char *uid);

/* The outcome is decided; returns the status that ends the transaction's body. */
int write_refuse(struct write *write);

/* Run the body in a transaction. Anything but OK has left the reason in the outcome. */
int write_run(struct write *write, ipalloc_txn_body body);

/* The same for a record that must exist; sets the uid from it. */
int write_run_on_current(struct write *write, ipalloc_txn_body body);

/* Read the record afresh; notes its revision, and whether it still is the same object. */
int write_read_current(struct write *write, struct json_object **current, ipalloc_error *error);

/* Run the kind's hook, if it has one. */
int write_run_hook(struct write *write, change_hook hook, ipalloc_txn *txn, struct json_object *old,
                   struct json_object *object, ipalloc_error *error);

/* The outcome is the object with its new resourceVersion. */
void write_succeed(struct write *write, int code);

/* Tell the kind that the write is stored, where it is. */
void write_committed(struct write *write);

/* Does the update mean this object, at this version, and leave alone what is the server's? */
bool write_may_update(struct write *write, struct json_object *current, struct json_object *wanted);

#endif
