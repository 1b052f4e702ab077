/*
 * cache_seen.c: up to which revision the memory knows everything.
 *
 * Changes that were applied carry it forward, and so do our own commits: the memory has followed
 * them already, so that those which come next after what is known, without a gap, are known too. A
 * store that only we write to is thus never behind. Where revisions of others lie between, also
 * such as do not concern us at all, own commits beyond the gap are kept in mind until the changes
 * have told about the gap. Of too many the oldest are dropped: that only means to be told of them.
 *
 * Invariant: what is seen never falls, and everything up to it is in the memory.
 */
#include "registry/registry.h"

#include <string.h>

uint64_t cache_seen_revision(ipalloc_registry *registry) {
    pthread_mutex_lock(&registry->seen_mutex);
    uint64_t seen = registry->seen.revision;
    pthread_mutex_unlock(&registry->seen_mutex);
    return seen;
}

bool cache_has_seen(ipalloc_registry *registry, uint64_t revision) {
    return revision <= cache_seen_revision(registry);
}

static void drop_own(seen_revisions *seen, size_t count) {
    seen->own_count -= count;
    memmove(seen->own, seen->own + count, seen->own_count * sizeof seen->own[0]);
}

/* Go on over our own commits that come next. */
static void go_on(seen_revisions *seen) {
    size_t count = 0;
    while (count < seen->own_count && seen->own[count] <= seen->revision + 1) {
        if (seen->own[count] > seen->revision)
            seen->revision = seen->own[count];
        count++;
    }
    drop_own(seen, count);
}

/* Sorted; most often it is the last. */
static void insert_own(seen_revisions *seen, uint64_t revision) {
    if (seen->own_count == SEEN_OWN_MAX)
        drop_own(seen, 1);
    size_t i = seen->own_count;
    while (i > 0 && seen->own[i - 1] > revision)
        i--;
    if (i > 0 && seen->own[i - 1] == revision)
        return;
    memmove(&seen->own[i + 1], &seen->own[i], (seen->own_count - i) * sizeof seen->own[0]);
    seen->own[i] = revision;
    seen->own_count++;
}

void cache_set_seen(ipalloc_registry *registry, uint64_t revision) {
    seen_revisions *seen = &registry->seen;
    pthread_mutex_lock(&registry->seen_mutex);
    if (revision > seen->revision)
        seen->revision = revision;
    go_on(seen);
    pthread_mutex_unlock(&registry->seen_mutex);
}

uint64_t cache_note_own_commit(ipalloc_registry *registry, uint64_t revision) {
    seen_revisions *seen = &registry->seen;
    pthread_mutex_lock(&registry->seen_mutex);
    if (revision > seen->revision) {
        insert_own(seen, revision);
        go_on(seen);
    }
    uint64_t known = seen->revision;
    pthread_mutex_unlock(&registry->seen_mutex);
    return known;
}
