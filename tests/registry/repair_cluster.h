/*
 * repair_cluster.h: owners with records of their own, for the tests of repair.
 *
 * An owner is Service/NAME/UID, and its record "objects/NAME" holds "UID\n" and a line
 * "POOL ADDRESS SLOT\n" for each address that it lists. The clock is the test's.
 */
#ifndef IPALLOC_TEST_REGISTRY_REPAIR_CLUSTER_H
#define IPALLOC_TEST_REGISTRY_REPAIR_CLUSTER_H

#include "fixture.h"

#define SLOT "clusterIP/IPv4"
enum { GRACE_MS = 60000, LINES_MAX = 8 };

extern uint64_t clock_ms;
extern const ipalloc_hooks CLOCK_HOOKS;
void open_with_clock(fixture *f, int kind);
#define OPEN_CLOCK_OR_SKIP(f, kind)               \
    do {                                          \
        clock_ms = 1700000000000;                 \
        if (!fixture_open(f, kind, &CLOCK_HOOKS)) \
            return;                               \
    } while (0)

/* NULL deletes it. */
void write_record(ipalloc_registry *registry, const char *key, const char *value);

/* A live set over those records, and its context. */
typedef struct cluster {
    ipalloc_registry *registry;
    void (*after_listing)(ipalloc_registry *registry); /* NULL: nothing happens */
} cluster;
bool record_of(void *context, const char *owner, char key[IPALLOC_RECORD_KEY_MAX + 1]);
int list_records(void *context, ipalloc_live_list *list, ipalloc_error *error);

typedef struct report {
    ipalloc_repair_summary summary;
    ipalloc_repair_line lines[LINES_MAX];
} report;
int repair_with(ipalloc_registry *registry, void (*after_listing)(ipalloc_registry *),
                const ipalloc_repair_options *options, report *out, ipalloc_error *error);
report repair(fixture *f);

/* Apply one line; its own result, with its message in the fixture's error. */
int apply(fixture *f, const ipalloc_repair_line *line);
#define APPLIES(f, line) ck_assert_status_error(apply(f, line), IPALLOC_OK, &(f)->error)
#define REFUSES(f, line, want, text)                               \
    do {                                                           \
        ck_assert_status_error(apply(f, line), want, &(f)->error); \
        ck_assert_message(f, text);                                \
    } while (0)

/* Pool "services" over 10.96.0.0/24, and one lease that nobody lists: 10.96.0.5, of Service/web/1.
 */
ipalloc_pool *make_leak(fixture *f);
/* The only finding, seen twice, the grace apart. */
ipalloc_repair_line ripe_leak(fixture *f);

bool is_held(fixture *f, ipalloc_pool *pool, const char *address);
int stored_sightings(fixture *f);

#endif
