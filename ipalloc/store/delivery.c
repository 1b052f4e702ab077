/*
 * delivery.c: see delivery.h.
 */
#include "store/delivery.h"

#include <assert.h>
#include <string.h>

/* Before the bytes of each copied entry. */
typedef struct copied_entry {
    uint64_t revision;
    uint32_t key_size;
    uint32_t value_size;
    uint64_t deleted;
} copied_entry;

enum { CAPACITY_FIRST = 64 * 1024 };

void delivery_init(delivery *d, const hooks *h, ipalloc_visit visit, void *context,
                   uint64_t since) {
    *d = (delivery){.hooks = h,
                    .visit = visit,
                    .context = context,
                    .start_ns = hooks_pacing_ns(),
                    .last = since,
                    .complete_to = since};
}

void delivery_free(delivery *d) {
    hooks_free(d->hooks, d->bytes);
    d->bytes = NULL;
}

/* Entries of one batch come together: the first of another one completes those before. */
static int visit_one(delivery *d, const ipalloc_entry *entry) {
    if (entry->revision != d->last)
        d->complete_to = d->last;
    int status = d->visit(d->context, entry);
    if (status == IPALLOC_OK)
        d->last = entry->revision;
    return status;
}

static bool make_room(delivery *d, size_t more) {
    if (d->capacity - d->size >= more)
        return true;
    size_t capacity = d->capacity == 0 ? CAPACITY_FIRST : d->capacity;
    while (capacity - d->size < more)
        capacity *= 2;
    char *bytes = hooks_realloc(d->hooks, d->bytes, capacity);
    if (bytes == NULL)
        return false;
    d->bytes = bytes;
    d->capacity = capacity;
    return true;
}

static void append(delivery *d, const void *bytes, size_t size) {
    if (size > 0)
        memcpy(d->bytes + d->size, bytes, size);
    d->size += size;
}

static int copy_one(delivery *d, const ipalloc_entry *entry) {
    copied_entry head = {.revision = entry->revision,
                         .key_size = (uint32_t)entry->key.size,
                         .value_size = (uint32_t)entry->value.size,
                         .deleted = entry->deleted};
    if (!make_room(d, sizeof head + entry->key.size + entry->value.size))
        return IPALLOC_E_NOMEM;
    append(d, &head, sizeof head);
    append(d, entry->key.data, entry->key.size);
    append(d, entry->value.data, entry->value.size);
    return IPALLOC_OK;
}

int delivery_pass(delivery *d, const ipalloc_entry *entry) {
    if (d->copies)
        return copy_one(d, entry);
    int status = visit_one(d, entry);
    uint64_t patience_ns = (uint64_t)DELIVERY_PATIENCE_MS * 1000000;
    d->copies = hooks_pacing_ns() - d->start_ns > patience_ns;
    return status;
}

int delivery_finish(delivery *d) {
    int status = IPALLOC_OK;
    const char *at = d->bytes, *end = d->size > 0 ? d->bytes + d->size : at;
    while (at < end && status == IPALLOC_OK) {
        copied_entry head;
        memcpy(&head, at, sizeof head);
        at += sizeof head;
        ipalloc_entry entry = {.key = {at, head.key_size},
                               .value = {at + head.key_size, head.value_size},
                               .revision = head.revision,
                               .deleted = head.deleted != 0};
        at += head.key_size + head.value_size;
        assert(at <= end);
        status = visit_one(d, &entry);
    }
    return status;
}
