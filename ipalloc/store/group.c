/*
 * group.c: leader/follower group commit. See group.h for the idea.
 *
 * May use: base/. Groups are numbered. At any time at most one is being written and one is forming;
 * callers sleep on finished[number & 1], so that the end of a group wakes its own callers and the
 * next group's leader, and nobody else. Numbers wrap; they are compared by their difference.
 */
#include "store/group.h"

#include "base/hooks.h"

#include <assert.h>

void group_init(group_commit *group, const system_calls *system, group_write write, group_tidy tidy,
                void *self) {
    *group = (group_commit){.system = system,
                            .write = write,
                            .tidy = tidy,
                            .self = self,
                            .last_next = &group->first,
                            .forming = 1,
                            .expected = 1};
    pthread_mutex_init(&group->mutex, NULL); /* cannot fail with default attributes on Linux */
    atomic32_init(&group->gathered, 0);
    atomic32_init(&group->finished[0], 0); /* group 0 is over */
    atomic32_init(&group->finished[1], UINT32_MAX);
}

void group_destroy(group_commit *group) {
    assert(group->first == NULL);
    pthread_mutex_destroy(&group->mutex);
}

/* --- waiting -------------------------------------------------------------------------------------
 */

static void wait_until_finished(group_commit *group, uint32_t number) {
    atomic_word32 *word = &group->finished[number & 1];
    for (;;) {
        uint32_t finished = atomic32_load_acquire(word); /* pairs with the store in finish */
        if ((int32_t)(finished - number) >= 0)
            return;
        group->system->wait(word, finished, 0);
    }
}

static void finish(group_commit *group, uint32_t number) {
    atomic_word32 *word = &group->finished[number & 1];
    atomic32_store_release(word, number); /* publishes the requests' results to their callers */
    group->system->wake_all(word);
}

/* --- the queue -----------------------------------------------------------------------------------
 */

static size_t request_bytes(const group_request *request) {
    size_t bytes = 0;
    for (size_t i = 0; i < request->count; i++)
        for (size_t j = 0; j < request->batches[i].op_count; j++)
            bytes += request->batches[i].ops[j].key.size + request->batches[i].ops[j].value.size;
    return bytes;
}

static bool is_full(const group_commit *group) {
    return group->batches >= GROUP_BATCHES_MAX || group->bytes >= GROUP_BYTES_MAX;
}

static bool is_gathered(const group_commit *group) {
    return group->requests >= group->expected || is_full(group);
}

/* Under the mutex, which is let go while the forming group is full. Returns the group's number. */
static uint32_t enqueue(group_commit *group, group_request *request, bool *leads) {
    while (is_full(group)) {
        uint32_t full = group->forming;
        pthread_mutex_unlock(&group->mutex);
        wait_until_finished(group, full);
        pthread_mutex_lock(&group->mutex);
    }
    *leads = group->first == NULL;
    request->next = NULL;
    *group->last_next = request;
    group->last_next = &request->next;
    group->requests++;
    group->batches += request->count;
    group->bytes += request_bytes(request);
    return group->forming;
}

static group_request *take_queue(group_commit *group, size_t *requests) {
    group_request *first = group->first;
    *requests = group->requests;
    group->first = NULL;
    group->last_next = &group->first;
    group->requests = group->batches = group->bytes = 0;
    group->forming++;
    return first;
}

/* --- leading -------------------------------------------------------------------------------------
 */

static void wake_gathering_leader(group_commit *group) {
    group->gathering = false;
    atomic32_store_release(&group->gathered, atomic32_load_acquire(&group->gathered) + 1);
}

static void gather(group_commit *group) {
    pthread_mutex_lock(&group->mutex);
    group->gathering = !is_gathered(group);
    bool waits = group->gathering;
    uint32_t before = atomic32_load_acquire(&group->gathered);
    uint64_t patience_ns = group->sync_ns;
    pthread_mutex_unlock(&group->mutex);
    if (!waits)
        return;
    uint64_t start = hooks_pacing_ns();
    uint64_t waited = 0;
    while (waited < patience_ns && atomic32_load_acquire(&group->gathered) == before) {
        group->system->wait(&group->gathered, before, patience_ns - waited);
        waited = hooks_pacing_ns() - start;
    }
}

/* How many callers the next leader should wait for: those of this group, who may come back, and
 * those who are in the queue already. */
static void learn(group_commit *group, size_t requests, uint64_t sync_ns) {
    pthread_mutex_lock(&group->mutex);
    group->expected = requests + group->requests;
    if (sync_ns != 0)
        group->sync_ns = group->sync_ns == 0 ? sync_ns : (group->sync_ns * 7 + sync_ns) / 8;
    pthread_mutex_unlock(&group->mutex);
}

static void lead(group_commit *group, uint32_t number) {
    wait_until_finished(group, number - 1);
    gather(group);
    size_t requests;
    pthread_mutex_lock(&group->mutex);
    assert(group->forming == number);
    group->gathering = false;
    group_request *first = take_queue(group, &requests);
    pthread_mutex_unlock(&group->mutex);
    uint64_t sync_ns = group->write(group->self, first);
    learn(group, requests, sync_ns);
    finish(group, number); /* the followers' requests are gone from here on */
    group->tidy(group->self);
}

void group_submit(group_commit *group, group_request *request) {
    bool leads;
    pthread_mutex_lock(&group->mutex);
    uint32_t number = enqueue(group, request, &leads);
    bool wakes = group->gathering && is_gathered(group);
    if (wakes)
        wake_gathering_leader(group);
    pthread_mutex_unlock(&group->mutex);
    if (wakes)
        group->system->wake_all(&group->gathered);
    if (leads)
        lead(group, number);
    else
        wait_until_finished(group, number);
}
