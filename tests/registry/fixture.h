/*
 * fixture.h: a registry over each kind of store, opened, reopened and closed.
 *
 * Tests loop over STORE_KINDS (tcase_add_loop_test); a kind that was not built in is skipped by
 * SKIP_UNLESS_BUILT.
 */
#ifndef IPALLOC_TEST_REGISTRY_FIXTURE_H
#define IPALLOC_TEST_REGISTRY_FIXTURE_H

#include "support.h"

enum { STORE_KINDS = 2 }; /* memory:, sqlite: */

typedef struct fixture {
    const char *directory; /* sqlite: only */
    char url[4200];
    const ipalloc_hooks *hooks;
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_error error;
} fixture;

/* false: that kind was not built in. */
bool fixture_open(fixture *f, int kind, const ipalloc_hooks *hooks);
void fixture_close(fixture *f);

/* Close the registry (and the store's file) and open it again. */
void fixture_reopen(fixture *f);
/* The same without insisting on success. */
int fixture_try_reopen(fixture *f);

#define OPEN_OR_SKIP(f, kind)             \
    do {                                  \
        if (!fixture_open(f, kind, NULL)) \
            return;                       \
    } while (0)

/* A pool over one CIDR, or up to four separated by spaces; the lowest-first strategy where the test
 * wants to know what comes. */
ipalloc_pool *define_pool(fixture *f, const char *name, const char *ranges);
ipalloc_pool *define_pool_with(fixture *f, const char *name, const char *ranges,
                               ipalloc_pool_definition options);
ipalloc_pool *define_ports(fixture *f, const char *name, uint16_t first, uint16_t last);
ipalloc_pool *open_pool(fixture *f, const char *name);

/* A transaction of that owner. */
ipalloc_txn *begin(fixture *f, const char *owner);
ipalloc_txn *begin_dry(fixture *f, const char *owner);

/* One-shots that must succeed. */
ipalloc_grant allocate(fixture *f, ipalloc_pool *pool, const char *owner, const char *slot);
ipalloc_grant reserve(fixture *f, ipalloc_pool *pool, const char *owner, const char *slot,
                      const char *address);

/* Counts. */
uint64_t used_of(ipalloc_pool *pool);
uint64_t free_of(ipalloc_pool *pool);
uint64_t cooling_of(ipalloc_pool *pool);

#define GRANT ((ipalloc_grant){.size = sizeof(ipalloc_grant)})
#define LEASE ((ipalloc_lease){.size = sizeof(ipalloc_lease)})

/* Fails the test with the error's message; leaves the status to see. */
#define OK(f, call)       ck_assert_status_error(call, IPALLOC_OK, &(f)->error)
#define IS(f, call, want) ck_assert_status_error(call, want, &(f)->error)

/* The message says this. */
#define ck_assert_message(f, text)                                                    \
    ck_assert_msg(strstr((f)->error.message, text) != NULL, "\"%s\" does not say %s", \
                  (f)->error.message, text)

/* Memory and store agree, and every band adds up. */
void assert_sound(fixture *f);

#endif
