/*
 * etcd_slots.c: the keys by which a batch's outcome is known.
 *
 * May use: base/, the channel at close. A slot belongs to one batch at a time; there are as many as
 * batches were in flight at once. Numbers are never used again in a session, so that a slot that
 * was never written is one that nobody's sending can meet.
 */
#include "store/etcd_store.h"

etcd_slot *slot_take(etcd_store *store) {
    pthread_mutex_lock(&store->mutex);
    etcd_slot *slot = store->free_slots;
    if (slot != NULL)
        store->free_slots = slot->next;
    uint64_t number = slot != NULL ? slot->number : store->slots_made++;
    uint64_t nonce = ++store->nonces;
    pthread_mutex_unlock(&store->mutex);
    if (slot == NULL) {
        slot = hooks_alloc_zeroed(store->hooks, sizeof *slot);
        if (slot == NULL)
            return NULL;
        slot->number = number;
    }
    slot->next = NULL;
    slot->nonce = nonce;
    slot->taken_ms = hooks_monotonic_ms(store->hooks);
    slot->echo = false;
    return slot;
}

static void push(etcd_store *store, etcd_slot **list, etcd_slot *slot) {
    pthread_mutex_lock(&store->mutex);
    slot->next = *list;
    *list = slot;
    pthread_mutex_unlock(&store->mutex);
}

void slot_give_back(etcd_store *store, etcd_slot *slot) {
    push(store, &store->free_slots, slot);
}

void slot_drop(etcd_store *store, etcd_slot *slot) {
    hooks_free(store->hooks, slot);
}

void slot_hold(etcd_store *store, etcd_slot *slot) {
    push(store, &store->held_slots, slot);
}

etcd_slot *slot_unhold(etcd_store *store, uint64_t ticket) {
    pthread_mutex_lock(&store->mutex);
    etcd_slot **link = &store->held_slots;
    while (*link != NULL && (*link)->nonce != ticket)
        link = &(*link)->next;
    etcd_slot *slot = *link;
    if (slot != NULL)
        *link = slot->next;
    pthread_mutex_unlock(&store->mutex);
    return slot;
}

/* --- closing -------------------------------------------------------------------------------------
 */

static void free_list(etcd_store *store, etcd_slot **list) {
    while (*list != NULL) {
        etcd_slot *slot = *list;
        *list = slot->next;
        hooks_free(store->hooks, slot);
    }
}

/* A doubtful one must stay until no sending from before its first write can arrive any more: with
 * the key gone, that would find things as it expects them. A sweep takes it in a day. */
static bool is_removable(const etcd_slot *slot) {
    return slot->revision != 0 && !slot->doubtful;
}

/* What cannot be removed now is left to a sweep. */
static void remove_keys(etcd_store *store) {
    etcd_relic removable[ETCD_RELICS_MAX];
    size_t count = 0;
    for (etcd_slot *slot = store->free_slots; slot != NULL && count < ETCD_RELICS_MAX;
         slot = slot->next) {
        if (!is_removable(slot))
            continue;
        etcd_key_text key;
        etcd_key_slot(store, slot, &key);
        if (!etcd_relic_init(store, &key, slot->revision, &removable[count]))
            break;
        count++;
    }
    if (count > 0 && store->unusable == NULL)
        etcd_remove_relics(store, removable, count);
    for (size_t i = 0; i < count; i++)
        hooks_free(store->hooks, removable[i].key);
}

void slots_free(etcd_store *store) {
    remove_keys(store);
    free_list(store, &store->free_slots);
    free_list(store, &store->held_slots);
}
