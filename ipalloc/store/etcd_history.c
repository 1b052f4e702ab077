/*
 * etcd_history.c: see etcd_history.h.
 *
 * A revision is whole when a later one begins, or when a message ends that is no fragment: etcd
 * puts all events of a transaction into one message and only fragments cut it. What comes again is
 * dropped. What comes late, below what was called whole, and was never told, proves that the order
 * did not hold: then nothing that was concluded from it holds either, and that is a gap.
 */
#include "store/etcd_history.h"

#include "store/store.h"

#include <assert.h>

/* No batch of ours is larger: in what others wrote, one that came twice is not looked for. */
enum { LOOKED_AT_MAX = IPALLOC_BATCH_OPS_MAX };

void history_init(etcd_history *history, const hooks *h, uint64_t kept_max, uint64_t head,
                  uint64_t revision) {
    assert(head <= revision);
    *history = (etcd_history){.hooks = h, .complete = revision};
    history->ring.kept_max = kept_max;
    history->ring.bytes_max = HISTORY_BYTES_MAX;
    history->ring.oldest = head;
}

void history_free(etcd_history *history) {
    ring_free(&history->ring, history->hooks);
}

enum told { NOT_TOLD, TOLD, TOO_MANY };

static enum told find_told(const etcd_history *history, const ipalloc_entry *event) {
    const change_ring *ring = &history->ring;
    size_t begin = ring_find(ring, event->revision - 1);
    for (size_t i = begin; i < ring->count; i++) {
        const record *r = ring_at(ring, i);
        if (r->revision != event->revision)
            break;
        if (i - begin == LOOKED_AT_MAX)
            return TOO_MANY;
        if (bytes_equal(record_key(r), event->key))
            return TOLD;
    }
    return NOT_TOLD;
}

/* An event of a revision that was whole already. */
static int take_late(const etcd_history *history, const ipalloc_entry *event) {
    if (event->key.size == 0 || event->revision <= history->ring.oldest)
        return IPALLOC_OK; /* nothing to tell, or nothing left to compare with */
    return find_told(history, event) == NOT_TOLD ? IPALLOC_E_EXPIRED : IPALLOC_OK;
}

void history_forget(etcd_history *history) {
    history_cut(history);
    ring_forget(&history->ring, history->hooks, history->complete);
}

static int without_memory(etcd_history *history) {
    history_forget(history);
    return IPALLOC_E_NOMEM;
}

static int keep(etcd_history *history, const ipalloc_entry *event) {
    ipalloc_op op = {.kind = event->deleted ? IPALLOC_OP_DELETE : IPALLOC_OP_PUT,
                     .key = event->key,
                     .value = event->value};
    if (ring_reserve(&history->ring, history->hooks, 1) != IPALLOC_OK)
        return without_memory(history);
    record *change = record_make(history->hooks, &op);
    if (change == NULL)
        return without_memory(history);
    change->revision = event->revision;
    ring_push(&history->ring, history->hooks, change);
    record_release(history->hooks, change); /* the ring has a reference of its own */
    return IPALLOC_OK;
}

int history_take(etcd_history *history, const ipalloc_entry *event) {
    if (event->revision <= history->complete)
        return take_late(history, event);
    if (event->revision < history->coming)
        return IPALLOC_E_EXPIRED;
    if (event->revision > history->coming) {
        if (history->coming != 0)
            history->complete = history->coming;
        history->coming = event->revision;
        history->continued = false;
    }
    if (event->key.size == 0)
        return IPALLOC_OK;
    if (history->continued && find_told(history, event) == TOLD)
        return IPALLOC_OK;
    return keep(history, event);
}

void history_message_over(etcd_history *history, bool fragment) {
    if (history->coming == 0)
        return;
    if (fragment) {
        history->continued = true;
        return;
    }
    history->complete = history->coming;
    history->coming = 0;
}

void history_cut(etcd_history *history) {
    ring_take_back(&history->ring, history->hooks, history->complete);
    history->coming = 0;
}

void history_gap(etcd_history *history, uint64_t revision) {
    history_cut(history);
    uint64_t begin = history->complete + 1;
    if (revision > history->complete)
        history->complete = begin = revision;
    ring_forget(&history->ring, history->hooks, begin);
    history->gaps++;
}

uint64_t history_find(const etcd_history *history, uint64_t since) {
    return history->ring.forgotten + ring_find(&history->ring, since);
}

size_t history_gather(etcd_history *history, uint64_t *place, uint64_t to, record *taken[],
                      size_t max, bool *overtaken) {
    const change_ring *ring = &history->ring;
    *overtaken = *place < ring->forgotten;
    if (*overtaken)
        return 0;
    size_t count = 0;
    while (count < max && *place - ring->forgotten < ring->count) {
        record *change = ring_at(ring, (size_t)(*place - ring->forgotten));
        if (change->revision > to)
            break;
        change->references++;
        taken[count++] = change;
        (*place)++;
    }
    return count;
}

void history_release(etcd_history *history, record *taken[], size_t count) {
    for (size_t i = 0; i < count; i++)
        record_release(history->hooks, taken[i]);
}
