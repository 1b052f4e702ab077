/*
 * hub_source.c: read the sources and merge them; see hub_source.h.
 *
 * Each source is read on its own, so one may have seen more than another: the answer is complete up
 * to the least of them, and what is beyond that waits for the next time.
 */
#include "hub_source.h"

#include "record.h"

#include <stdlib.h>
#include <string.h>

#define CHANGES_AT_ONCE 1000 /* of each source */

static struct shared_text *shared_text_new(uint64_t revision, const struct text *text) {
    struct shared_text *shared = memory_allocate(sizeof *shared + text->size + 1);
    shared->references = 1;
    shared->revision = revision;
    shared->size = text->size;
    memcpy(shared->data, text->data, text->size);
    return shared;
}

/* Take over the key. */
static void add_change(struct changes *changes, const struct change *change) {
    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity == 0 ? 64 : changes->capacity * 2;
        changes->list = memory_resize(changes->list, changes->capacity * sizeof *changes->list);
    }
    changes->list[changes->count++] = *change;
}

static int see_record(void *context, const ipalloc_entry *entry) {
    struct changes *changes = context;
    struct change change = {.revision = entry->revision,
                            .resource = resource_of_key(entry->key.data, entry->key.size)};
    struct text text = {0};
    if (change.resource == NULL) {
        return IPALLOC_OK;
    }
    if (!entry->deleted) {
        if (!record_add(changes->server, entry, &text)) {
            return IPALLOC_OK; /* not one of ours; reading it by name says so */
        }
        change.after = shared_text_new(entry->revision, &text);
        text_clear(&text);
    }
    change.key = memory_allocate(entry->key.size + 1);
    memcpy(change.key, entry->key.data, entry->key.size);
    add_change(changes, &change);
    return IPALLOC_OK;
}

struct view_reading {
    struct changes *changes;
    const struct resource *resource;
};

static void see_view(void *context, const char *name, uint64_t revision,
                     const struct text *object) {
    struct view_reading *reading = context;
    struct change change = {
        .revision = revision, .resource = reading->resource, .key = memory_copy(name)};
    if (object != NULL) {
        change.after = shared_text_new(revision, object);
    }
    add_change(reading->changes, &change);
}

int changes_all(struct changes *changes, uint64_t *complete, uint64_t *newest,
                ipalloc_error *error) {
    struct server *server = changes->server;
    uint64_t revision = 0;
    int status =
        ipalloc_record_scan(server->registry, "", NULL, 0, see_record, changes, &revision, error);
    *complete = *newest = revision;
    for (size_t i = 0; i < resource_count && status == IPALLOC_OK; i++) {
        struct view_reading reading = {changes, resources[i]};
        if (resources[i]->view != NULL) {
            status = resources[i]->view->list(server, see_view, &reading, &revision, error);
            *complete = revision < *complete ? revision : *complete;
            *newest = revision > *newest ? revision : *newest;
        }
    }
    return status;
}

static int compare_changes(const void *a, const void *b) {
    const struct change *left = a;
    const struct change *right = b;
    if (left->revision != right->revision) {
        return left->revision < right->revision ? -1 : 1;
    }
    int order = (int)resource_index(left->resource) - (int)resource_index(right->resource);
    return order != 0 ? order : strcmp(left->key, right->key);
}

/* What is beyond `up_to` is read again the next time. */
static void drop_beyond(struct changes *changes, uint64_t up_to) {
    while (changes->count > 0 && changes->list[changes->count - 1].revision > up_to) {
        struct change *change = &changes->list[--changes->count];
        free(change->after); /* nobody else has it yet */
        free(change->key);
    }
}

int changes_since(struct changes *changes, uint64_t since, uint64_t most, uint64_t *up_to,
                  bool *more, ipalloc_error *error) {
    struct server *server = changes->server;
    *up_to = since;
    int status = ipalloc_record_changes(server->registry, since, "", CHANGES_AT_ONCE, see_record,
                                        changes, up_to, error);
    *more = changes->count >= CHANGES_AT_ONCE;
    for (size_t i = 0; i < resource_count && status == IPALLOC_OK; i++) {
        struct view_reading reading = {changes, resources[i]};
        size_t before = changes->count;
        uint64_t seen = since;
        if (resources[i]->view != NULL) {
            status = resources[i]->view->changes(server, since, CHANGES_AT_ONCE, see_view, &reading,
                                                 &seen, error);
            *up_to = seen < *up_to ? seen : *up_to;
            *more = *more || changes->count - before >= CHANGES_AT_ONCE;
        }
    }
    *more = *more || *up_to > most;
    *up_to = *up_to > most ? most : *up_to;
    if (changes->count > 0) {
        qsort(changes->list, changes->count, sizeof *changes->list, compare_changes);
    }
    drop_beyond(changes, status == IPALLOC_OK && *up_to > since ? *up_to : since);
    return status;
}

void changes_drop(struct changes *changes) {
    drop_beyond(changes, 0);
    changes_free(changes);
}

void changes_free(struct changes *changes) {
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->list[i].key);
    }
    free(changes->list);
    *changes = (struct changes){.server = changes->server};
}
