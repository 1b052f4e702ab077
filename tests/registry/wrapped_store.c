/*
 * wrapped_store.c: see wrapped_store.h.
 */
#include "wrapped_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* `function` is set while one thread is at work. */
static void call_once(wrapped_store *w, void (**function)(void *)) {
    void (*call)(void *) = *function;
    if (call == NULL)
        return; /* and nothing is written: commits come from several threads at once */
    *function = NULL;
    call(w->before_context);
}

static int wrapped_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                       ipalloc_error *error) {
    wrapped_store *w = self;
    if (w->reads_fail)
        return IPALLOC_E_UNAVAILABLE;
    if (w->before_get != NULL && w->gets_left-- == 0)
        call_once(w, &w->before_get);
    return ipalloc_store_get(w->inner, key, visit, context, error);
}

static int wrapped_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                        ipalloc_visit visit, void *context, uint64_t *at_revision,
                        ipalloc_error *error) {
    wrapped_store *w = self;
    if (w->reads_fail)
        return IPALLOC_E_UNAVAILABLE;
    if (prefix.size > 6 && memcmp(prefix.data, "lease/", 6) == 0)
        call_once(w, &w->before_scan);
    return ipalloc_store_scan(w->inner, prefix, after, limit, visit, context, at_revision, error);
}

static int wrapped_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                           ipalloc_visit visit, void *context, uint64_t *up_to,
                           ipalloc_error *error) {
    wrapped_store *w = self;
    if (w->reads_fail)
        return IPALLOC_E_UNAVAILABLE;
    if (w->history_expired)
        return IPALLOC_E_EXPIRED;
    call_once(w, &w->before_changes);
    return ipalloc_store_changes(w->inner, since, prefix, limit, visit, context, up_to, error);
}

static int wrapped_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    wrapped_store *w = self;
    int status = ipalloc_store_get_info(w->inner, out, error);
    out->read_only = w->read_only;
    out->restored = w->restored;
    return status;
}

static int wrapped_accept(void *self, ipalloc_error *error) {
    wrapped_store *w = self;
    (void)error;
    w->restored = false;
    return IPALLOC_OK;
}

static ipalloc_bytes copy_bytes(ipalloc_bytes bytes) {
    char *copy = malloc(bytes.size + 1);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return (ipalloc_bytes){.data = copy, .size = bytes.size};
}

static void keep_late(wrapped_store *w, const ipalloc_batch *batch) {
    ipalloc_op *ops = malloc(batch->op_count * sizeof *ops);
    memcpy(ops, batch->ops, batch->op_count * sizeof *ops);
    for (size_t i = 0; i < batch->op_count; i++) {
        ops[i].key = copy_bytes(ops[i].key);
        ops[i].value = copy_bytes(ops[i].value);
    }
    w->late = (ipalloc_batch){.ops = ops, .op_count = batch->op_count};
    w->late_ticket = w->last_ticket;
    w->late_settled = false;
}

static void drop_late(wrapped_store *w) {
    for (size_t i = 0; i < w->late.op_count; i++) {
        free((void *)(uintptr_t)w->late.ops[i].key.data);
        free((void *)(uintptr_t)w->late.ops[i].value.data);
    }
    free((void *)(uintptr_t)w->late.ops);
    w->late = (ipalloc_batch){0};
}

/* Commits come from several threads at once. */
static enum wrapped_mood next_mood(wrapped_store *w) {
    int left = atomic_load(&w->mood_commits);
    while (left > 0 && !atomic_compare_exchange_weak(&w->mood_commits, &left, left - 1))
        continue;
    return left > 0 ? w->mood : MOOD_HONEST;
}

/* Of one that was applied, or not. */
static void give_ticket(wrapped_store *w, ipalloc_batch *batch, bool applied) {
    ck_assert_uint_lt(w->last_ticket + 1, WRAPPED_TICKETS_MAX);
    w->outcomes[++w->last_ticket] = (struct wrapped_outcome){
        .happened = applied && batch->status == IPALLOC_OK, .revision = batch->revision};
    batch->ticket = w->last_ticket;
}

static int wrapped_settle(void *self, uint64_t ticket, bool *happened, uint64_t *revision,
                          ipalloc_error *error) {
    wrapped_store *w = self;
    (void)error;
    call_once(w, &w->before_settle);
    if (w->reads_fail || w->settle_fails)
        return IPALLOC_E_UNAVAILABLE;
    ck_assert_uint_le(ticket, w->last_ticket);
    *happened = w->outcomes[ticket].happened;
    *revision = w->outcomes[ticket].revision;
    w->late_settled |= ticket == w->late_ticket;
    w->settled++;
    return IPALLOC_OK;
}

static int commit_one(wrapped_store *w, ipalloc_batch *batch, ipalloc_error *error) {
    enum wrapped_mood mood = next_mood(w);
    int status = IPALLOC_OK;
    call_once(w, &w->before_commit);
    w->timeout_ms = batch->timeout_ms;
    if (mood == MOOD_HONEST || mood == MOOD_UNKNOWN_APPLIED)
        status = ipalloc_store_commit(w->inner, batch, 1, error);
    bool unknown =
        mood == MOOD_UNKNOWN_APPLIED || mood == MOOD_UNKNOWN_LOST || mood == MOOD_UNKNOWN_LATE;
    if (unknown && w->tickets)
        give_ticket(w, batch, mood == MOOD_UNKNOWN_APPLIED);
    if (mood == MOOD_UNKNOWN_LATE)
        keep_late(w, batch);
    if (mood == MOOD_IO)
        batch->status = IPALLOC_E_IO;
    else if (mood != MOOD_HONEST)
        batch->status = IPALLOC_E_UNKNOWN_OUTCOME;
    return mood == MOOD_DOWN ? IPALLOC_E_UNAVAILABLE : status;
}

static int wrapped_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    int status = IPALLOC_OK;
    for (size_t i = 0; status == IPALLOC_OK && i < count; i++)
        status = commit_one(self, &batches[i], error);
    return status;
}

static void wrapped_end(void *self) {
    drop_late(self);
}

void wrapped_open(wrapped_store *w, ipalloc_store *inner) {
    static const ipalloc_store_methods METHODS = {.size = sizeof METHODS,
                                                  .get = wrapped_get,
                                                  .scan = wrapped_scan,
                                                  .commit = wrapped_commit,
                                                  .changes = wrapped_changes,
                                                  .info = wrapped_info,
                                                  .accept = wrapped_accept,
                                                  .close = wrapped_end,
                                                  .settle = wrapped_settle};
    ipalloc_error error;
    *w = (wrapped_store){.inner = inner};
    ck_assert_status_error(ipalloc_store_create(&METHODS, w, NULL, &w->handle, &error), IPALLOC_OK,
                           &error);
}

void wrapped_set_mood(wrapped_store *w, enum wrapped_mood mood, int commits) {
    w->mood = mood;
    w->mood_commits = commits;
}

int wrapped_deliver(wrapped_store *w) {
    ck_assert_uint_gt(w->late.op_count, 0);
    w->late.status = IPALLOC_E_CONFLICT;
    if (!w->late_settled)
        ck_assert_status(ipalloc_store_commit(w->inner, &w->late, 1, NULL), IPALLOC_OK);
    int status = w->late.status;
    if (w->late_ticket != 0)
        w->outcomes[w->late_ticket] = (struct wrapped_outcome){.happened = status == IPALLOC_OK,
                                                               .revision = w->late.revision};
    drop_late(w);
    return status;
}

void wrapped_close(wrapped_store *w) {
    ipalloc_store_close(w->handle);
}
