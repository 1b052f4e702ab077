/*
 * held_back.c: see held_back.h.
 */
#include "registry/held_back.h"

#include <string.h>

/* Before the bytes of each kept entry. */
typedef struct kept_entry {
    uint64_t revision;
    size_t key_size, value_size;
    bool deleted;
} kept_entry;

void held_back_init(held_back *h, ipalloc_registry *registry, const char *prefix,
                    ipalloc_visit visit, void *context) {
    *h = (held_back){.registry = registry, .prefix = prefix, .visit = visit, .context = context};
    text_init(&h->bytes, &registry->hooks);
}

/* A key that names no pool at all is its visit's business. */
static bool is_of_unknown_pool(const held_back *h, ipalloc_bytes key) {
    place_key parts;
    return key_split_place(key, h->prefix, &parts) &&
           cache_find_pool(h->registry, parts.pool, parts.pool_length) == NULL;
}

int held_back_visit(void *context, const ipalloc_entry *entry) {
    held_back *h = context;
    h->holding = h->holding || is_of_unknown_pool(h, entry->key);
    if (!h->holding)
        return h->visit(h->context, entry);
    kept_entry head = {.revision = entry->revision,
                       .key_size = entry->key.size,
                       .value_size = entry->value.size,
                       .deleted = entry->deleted};
    text_append(&h->bytes, (const char *)&head, sizeof head);
    text_append(&h->bytes, entry->key.data, entry->key.size);
    if (entry->value.size > 0)
        text_append(&h->bytes, entry->value.data, entry->value.size);
    return h->bytes.failed ? IPALLOC_E_NOMEM : IPALLOC_OK;
}

int held_back_catch_up(held_back *h, int status, ipalloc_error *error) {
    if (h->bytes.failed)
        return error_no_memory(error);
    return status == IPALLOC_OK && h->holding ? cache_catch_up(h->registry, error) : status;
}

static int visit_kept(const held_back *h) {
    int status = IPALLOC_OK;
    for (size_t at = 0; at < h->bytes.length && status == IPALLOC_OK;) {
        kept_entry head;
        memcpy(&head, h->bytes.bytes + at, sizeof head);
        at += sizeof head;
        ipalloc_entry entry = {.key = {h->bytes.bytes + at, head.key_size},
                               .value = {h->bytes.bytes + at + head.key_size, head.value_size},
                               .revision = head.revision,
                               .deleted = head.deleted};
        at += head.key_size + head.value_size;
        status = h->visit(h->context, &entry);
    }
    return status;
}

int held_back_finish(held_back *h, int status) {
    if (status == IPALLOC_OK)
        status = visit_kept(h);
    text_free(&h->bytes);
    return status;
}
