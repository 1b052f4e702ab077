/*
 * store_support.h: what the store tests share: kinds of stores, short forms, collected walks.
 */
#ifndef IPALLOC_TEST_STORE_SUPPORT_H
#define IPALLOC_TEST_STORE_SUPPORT_H

#include "support.h"

#include <ipalloc/store.h>

/* The revision that the store had when it was opened: 0 in new memory and sqlite stores. All
 * revisions below are counted from it. */
extern uint64_t revision_zero;

/* Bytes of a literal or a NUL-terminated text. */
ipalloc_bytes text_bytes(const char *text);

ipalloc_op op_put(const char *key, const char *value);
ipalloc_op op_delete(const char *key);
ipalloc_op op_check(const char *key);
ipalloc_op if_absent(ipalloc_op op);
ipalloc_op if_revision(ipalloc_op op, uint64_t revision); /* 0 is 0 */

/* Commit one batch; its outcome is returned, a failed call fails the test. */
ipalloc_batch commit(ipalloc_store *store, const ipalloc_op *ops, size_t count);
uint64_t must_commit(ipalloc_store *store, const ipalloc_op *ops, size_t count);
uint64_t put(ipalloc_store *store, const char *key, const char *value); /* its revision */
uint64_t erase(ipalloc_store *store, const char *key);

/* A walk written down: "key=value@revision " for each entry, "key!@revision " for a deletion. */
typedef struct walk {
    char text[4096];
    size_t count;
    size_t stop_at; /* return STOPPED at this entry, counted from 1; 0: never */
} walk;
enum { STOPPED = 77 };
int write_down(void *context, const ipalloc_entry *entry);

/* "value@revision", or "absent"; static buffers, four deep. */
const char *value_of(ipalloc_store *store, const char *key);
const char *scan_text(ipalloc_store *store, const char *prefix);
const char *changes_text(ipalloc_store *store, uint64_t since); /* all there are by now */
ipalloc_store_info info_of(ipalloc_store *store);

/* Open or fail the test. */
ipalloc_store *open_store(const char *url, const ipalloc_store_options *options);
/* "sqlite:DIRECTORY/NAME"; static buffers, four deep. */
const char *sqlite_url(const char *directory, const char *name);
const char *file_in(const char *directory, const char *name);
void copy_file(const char *from, const char *to);

#endif
