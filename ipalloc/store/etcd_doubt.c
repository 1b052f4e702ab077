/*
 * etcd_doubt.c: what an etcd that did not answer is asked next.
 *
 * May use: base/, the head. From a call that had no answer until the next one that has, the store
 * is in doubt. A batch that is sent into silence would end as unknown, so that in doubt the head is
 * asked first, by all who wait together: where that fails nothing has been sent, and nothing has
 * happened. Only what was under way when etcd fell silent is unknown.
 *
 * And whoever has waited a full timeout in vain does not wait as long again for what he asks next
 * (how a batch ended, what is in the way): for a moment after such a failure a question has only a
 * little time, in which an etcd that is connected and there again answers. A failure for lack of
 * that little time does not prolong the moment, so that soon one has the full time again.
 */
#include "store/etcd_store.h"

enum { MOMENT_MS = 500, LITTLE_MS = 150 };

uint64_t etcd_patience_held(const etcd_store *store, uint64_t wanted_ms) {
    bool little = store->doubtful && hooks_monotonic_ms(store->hooks) < store->short_until_ms;
    return little && wanted_ms > LITTLE_MS ? LITTLE_MS : wanted_ms;
}

uint64_t etcd_patience(etcd_store *store, uint64_t wanted_ms) {
    pthread_mutex_lock(&store->mutex);
    uint64_t patience_ms = etcd_patience_held(store, wanted_ms);
    pthread_mutex_unlock(&store->mutex);
    return patience_ms;
}

void etcd_note_call(etcd_store *store, const channel_call *call, uint64_t begun_ms) {
    bool answered = call->end == CALL_ANSWERED;
    if (!answered && call->status != IPALLOC_E_UNAVAILABLE)
        return;
    uint64_t now = hooks_monotonic_ms(store->hooks);
    bool in_full = now - begun_ms >= store->timeout_ms - store->timeout_ms / 8;
    pthread_mutex_lock(&store->mutex);
    store->doubtful = !answered;
    if (!answered && in_full)
        store->short_until_ms = now + MOMENT_MS;
    pthread_mutex_unlock(&store->mutex);
}

int etcd_dispel_doubt(etcd_store *store, uint64_t timeout_ms, ipalloc_error *error) {
    uint64_t head;
    pthread_mutex_lock(&store->mutex);
    bool doubtful = store->doubtful;
    pthread_mutex_unlock(&store->mutex);
    return doubtful ? etcd_learn_head(store, timeout_ms, &head, error) : IPALLOC_OK;
}
