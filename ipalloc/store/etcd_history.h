/*
 * etcd_history.h: what a watch has told, as changes that can be asked for.
 *
 * A watch tells events in the order of revisions, but may tell some twice, may cut a revision into
 * several messages, and may be over at any moment. Here they become changes that are visible only
 * once their revision has come whole, each once. Not thread-safe; the owner locks. No I/O.
 *
 * Invariants: the ring holds every change of a revision in (ring.oldest, complete], and nothing
 * else but the beginning of the revision that is coming in.
 */
#ifndef IPALLOC_STORE_ETCD_HISTORY_H
#define IPALLOC_STORE_ETCD_HISTORY_H

#include "store/change_ring.h"

enum { HISTORY_BYTES_MAX = 16 << 20 }; /* of keys and values */

typedef struct etcd_history {
    const hooks *hooks;
    change_ring ring;
    uint64_t complete; /* everything up to this revision has been told */
    uint64_t coming;   /* the revision whose events come in; 0: none has begun */
    bool continued;    /* it began in an earlier message */
    uint64_t gaps;     /* how often something was missed */
} etcd_history;

/* Changes after `revision` will be told, and there were none after `head`, which is no later. */
void history_init(etcd_history *history, const hooks *h, uint64_t kept_max, uint64_t head,
                  uint64_t revision);
void history_free(etcd_history *history);

/* One event. An empty key: none of the caller's keys; only its revision counts. OK; EXPIRED (this
 * should have been told before: something may be missing, see history_gap); NOMEM (see
 * history_forget, which was done). */
int history_take(etcd_history *history, const ipalloc_entry *event);
/* A message is over; `fragment`: its last revision goes on in the next one. */
void history_message_over(etcd_history *history, bool fragment);
/* The watch is over, perhaps in the middle of a revision. The next one starts at `complete`. */
void history_cut(etcd_history *history);
/* Memory is wanted: forget all changes. Whoever has read up to `complete` loses nothing by that;
 * what was coming in must be told again. */
void history_forget(etcd_history *history);
/* Changes may have been missed. What follows begins after `revision`, or after `complete` where
 * that is later. Whoever has read up to `complete` so far, or less, must read everything again, and
 * if nothing newer exists yet, so must those who did. */
void history_gap(etcd_history *history, uint64_t revision);

/* For readers, who visit while the history goes on: find where the changes after `since` begin,
 * then take some at a time, up to revision `to`, which was complete then. Each that is taken has a
 * reference more, for history_release. */
uint64_t history_find(const etcd_history *history, uint64_t since);
/* How many were taken; 0: that is all, or, with *overtaken, some are forgotten by now. */
size_t history_gather(etcd_history *history, uint64_t *place, uint64_t to, record *taken[],
                      size_t max, bool *overtaken);
void history_release(etcd_history *history, record *taken[], size_t count);

#endif
