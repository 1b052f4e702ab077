/*
 * scan.c: walks over a store that may forget, half-way, the revision that is being read (EXPIRED:
 * another server's etcd was compacted meanwhile). Then they begin anew.
 */
#include "registry/registry.h"

enum { SCANS_MAX = 4 };

typedef struct rescan {
    ipalloc_visit visit;
    void *context;
    bool visited;
    bool stopped; /* by what is visited: that is the result, whatever it is */
} rescan;

static int pass_on(void *context, const ipalloc_entry *entry) {
    rescan *r = context;
    r->visited = true;
    int status = r->visit(r->context, entry);
    r->stopped = status != IPALLOC_OK;
    return status;
}

int registry_scan(ipalloc_registry *registry, const registry_walk *walk, ipalloc_error *error) {
    for (int scan = 1;; scan++) {
        rescan r = {.visit = walk->visit, .context = walk->context};
        int status = ipalloc_store_scan(registry->store, walk->prefix, walk->after, walk->limit,
                                        pass_on, &r, walk->at_revision, error);
        if (status != IPALLOC_E_EXPIRED || r.stopped)
            return status;
        if (scan == SCANS_MAX || (r.visited && walk->restart == NULL))
            return error_set(error, IPALLOC_E_EXPIRED,
                             "the store was compacted while it was read: do it again");
        if (r.visited)
            walk->restart(walk->context);
    }
}
