/*
 * admin.h: looking into a registry and repairing it, as operations by name.
 *
 * ipallocctl runs them on a store that it opens itself; ipalloc-apiserver runs the same ones for
 * clients of /ipalloc/v1/. Arguments come as one JSON object, results go as JSON, so that both ways
 * show the same. Arguments are not trusted: every member is checked for name, type and meaning.
 * Public headers of the library only; prints nothing.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "json.h"

#include <ipalloc/ipalloc.h>

/* What the operations work on. Borrowed. */
struct admin {
    ipalloc_store *store;
    ipalloc_registry *registry;
};

/* Where a result goes: a list item by item as they are found, everything else as members. */
struct admin_output {
    void *context;
    void (*item)(void *context, struct json_object *item); /* takes the item over */
    void (*progress)(void *context, uint64_t done);        /* of long work; may be NULL */
    struct json_object *members;                           /* an object; the caller puts it */
};

/* Run with checked names of arguments. A negative status and `error` where it refuses; items that
 * were given out before then stand for nothing. */
typedef int (*admin_function)(struct admin *admin, struct json_object *arguments,
                              struct admin_output *out, ipalloc_error *error);

struct admin_operation {
    const char *name;
    const char *kind; /* of the result document */
    bool is_list;     /* has items */
    bool writes;      /* changes the store (not where dryRun is set) */
    bool acts;        /* does more than look: over HTTP by POST only */
    admin_function run;
    const char *arguments; /* their names, separated by spaces */
    bool looks_if_refused; /* on a store that may only be read it is still worth running */
};

/* The operation of that name; NULL if there is none. */
const struct admin_operation *admin_find(const char *name);

/* Check the names of the arguments, then run it. OK; INVALID; what the operation answers. */
int admin_run(const struct admin_operation *operation, struct admin *admin,
              struct json_object *arguments, struct admin_output *out, ipalloc_error *error);

/* Run it and append the whole result as one JSON document; nothing on failure. */
int admin_document(const struct admin_operation *operation, struct admin *admin,
                   struct json_object *arguments, struct text *document, ipalloc_error *error);

/* The three parts of such a document: up to the items, between two of them, and behind them. */
void admin_document_begin(const struct admin_operation *operation, struct text *document);
void admin_document_item(struct text *document, bool first, struct json_object *item);
void admin_document_end(const struct admin_operation *operation, struct json_object *members,
                        struct text *document);

#endif
