/*
 * memory.c: the store that is gone with its handle: an ordered map, a ring of changes, one mutex.
 *
 * May use: base/, the map and the ring. Every call holds the mutex, so a scan sees one revision.
 * A commit first judges, then makes everything it needs, then applies without failing: running out
 * of memory leaves nothing half done.
 */
#include "store/change_ring.h"
#include "store/ordered_map.h"
#include "store/store.h"

#include "base/error.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

typedef struct memory_store {
    const hooks *hooks;
    pthread_mutex_t mutex; /* guards what follows */
    ordered_map map;
    change_ring changes;
    uint64_t revision;
    uint64_t epoch; /* stays */
} memory_store;

/* What one operation will put in place. */
typedef struct prepared_op {
    record *record; /* NULL: nothing changes */
    map_node *node; /* for a key that is new */
} prepared_op;

/* --- commit --------------------------------------------------------------------------------------
 */

/* The first operation whose condition does not hold; op_count where all do. */
static size_t find_failed_op(const memory_store *m, const ipalloc_batch *batch) {
    for (size_t i = 0; i < batch->op_count; i++) {
        const ipalloc_op *op = &batch->ops[i];
        if (op->condition == IPALLOC_IF_ANY)
            continue;
        const map_node *node = map_find(&m->map, op->key);
        if (!op_condition_holds(op, node != NULL, node != NULL ? node->record->revision : 0))
            return i;
    }
    return batch->op_count;
}

static int prepare_op(memory_store *m, const ipalloc_op *op, prepared_op *prepared) {
    *prepared = (prepared_op){0};
    if (op->kind == IPALLOC_OP_CHECK)
        return IPALLOC_OK;
    bool present = map_find(&m->map, op->key) != NULL;
    if (op->kind == IPALLOC_OP_DELETE && !present)
        return IPALLOC_OK;
    prepared->record = record_make(m->hooks, op);
    if (prepared->record == NULL)
        return IPALLOC_E_NOMEM;
    if (!present) {
        prepared->node = map_node_make(&m->map, m->hooks);
        if (prepared->node == NULL)
            return IPALLOC_E_NOMEM;
    }
    return IPALLOC_OK;
}

static void drop_prepared(memory_store *m, prepared_op *prepared, size_t count) {
    for (size_t i = 0; i < count; i++) {
        record_release(m->hooks, prepared[i].record);
        hooks_free(m->hooks, prepared[i].node);
    }
}

static void put_record(memory_store *m, prepared_op *prepared) {
    if (prepared->node != NULL) {
        prepared->node->record = prepared->record;
        map_link(&m->map, prepared->node);
        return;
    }
    map_node *node = map_find(&m->map, record_key(prepared->record));
    assert(node != NULL);
    record_release(m->hooks, node->record);
    node->record = prepared->record;
}

static void delete_record(memory_store *m, prepared_op *prepared) {
    map_node *node = map_unlink(&m->map, record_key(prepared->record));
    record_release(m->hooks, node->record);
    hooks_free(m->hooks, node);
    record_release(m->hooks, prepared->record); /* the ring keeps it */
}

/* Cannot fail: everything was made before. */
static void apply(memory_store *m, ipalloc_batch *batch, prepared_op *prepared) {
    batch->revision = ++m->revision;
    batch->status = IPALLOC_OK;
    for (size_t i = 0; i < batch->op_count; i++) {
        if (prepared[i].record == NULL)
            continue;
        prepared[i].record->revision = batch->revision;
        ring_push(&m->changes, m->hooks, prepared[i].record);
        if (prepared[i].record->deleted)
            delete_record(m, &prepared[i]);
        else
            put_record(m, &prepared[i]);
    }
}

static void commit_one(memory_store *m, ipalloc_batch *batch) {
    size_t failed_op = find_failed_op(m, batch);
    if (failed_op < batch->op_count) {
        batch->status = IPALLOC_E_CONFLICT;
        batch->failed_op = failed_op;
        return;
    }
    prepared_op prepared[IPALLOC_BATCH_OPS_MAX];
    int status = ring_reserve(&m->changes, m->hooks, batch->op_count);
    size_t count = 0;
    while (status == IPALLOC_OK && count < batch->op_count) {
        status = prepare_op(m, &batch->ops[count], &prepared[count]);
        count++;
    }
    if (status != IPALLOC_OK) {
        drop_prepared(m, prepared, count);
        batch->status = status;
        return;
    }
    apply(m, batch, prepared);
}

static int memory_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    memory_store *m = self;
    size_t without_memory = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < count; i++) {
        commit_one(m, &batches[i]);
        without_memory += batches[i].status == IPALLOC_E_NOMEM;
    }
    pthread_mutex_unlock(&m->mutex);
    return without_memory == count ? error_no_memory(error) : IPALLOC_OK;
}

/* --- reads ---------------------------------------------------------------------------------------
 */

static int memory_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                      ipalloc_error *error) {
    memory_store *m = self;
    pthread_mutex_lock(&m->mutex);
    const map_node *node = map_find(&m->map, key);
    int status;
    if (node == NULL) {
        status = error_set(error, IPALLOC_E_NOT_FOUND, "key: not in the store");
    } else {
        ipalloc_entry entry = record_entry(node->record);
        status = visit(context, &entry);
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

static int memory_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                       ipalloc_visit visit, void *context, uint64_t *at_revision,
                       ipalloc_error *error) {
    (void)error;
    memory_store *m = self;
    int status = IPALLOC_OK;
    bool beyond = bytes_compare(after, prefix) >= 0 && after.size > 0;
    pthread_mutex_lock(&m->mutex);
    if (at_revision != NULL)
        *at_revision = m->revision;
    const map_node *node = map_seek(&m->map, beyond ? after : prefix, beyond);
    size_t seen = 0;
    while (node != NULL && status == IPALLOC_OK && (limit == 0 || seen < limit)) {
        ipalloc_entry entry = record_entry(node->record);
        if (!bytes_start_with(entry.key, prefix))
            break;
        status = visit(context, &entry);
        node = node->next[0];
        seen++;
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

static int walk_changes(const memory_store *m, uint64_t since, ipalloc_bytes prefix, size_t limit,
                        ipalloc_visit visit, void *context, uint64_t *up_to) {
    size_t seen = 0;
    uint64_t last = since; /* the revision of the last change that was seen */
    *up_to = since;
    for (size_t i = ring_find(&m->changes, since); i < m->changes.count; i++) {
        ipalloc_entry entry = record_entry(ring_at(&m->changes, i));
        if (!bytes_start_with(entry.key, prefix))
            continue;
        if (entry.revision != last)
            *up_to = last;
        if (limit != 0 && seen >= limit && entry.revision != last)
            return IPALLOC_OK;
        int status = visit(context, &entry);
        if (status != IPALLOC_OK)
            return status;
        last = entry.revision;
        seen++;
    }
    *up_to = m->revision;
    return IPALLOC_OK;
}

static int memory_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                          ipalloc_visit visit, void *context, uint64_t *up_to,
                          ipalloc_error *error) {
    memory_store *m = self;
    uint64_t complete_to;
    pthread_mutex_lock(&m->mutex);
    int status = check_since(since, m->changes.oldest, m->revision, error);
    if (status == IPALLOC_OK) {
        status = walk_changes(m, since, prefix, limit, visit, context, &complete_to);
        if (up_to != NULL)
            *up_to = complete_to;
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

static int memory_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    memory_store *m = self;
    pthread_mutex_lock(&m->mutex);
    ipalloc_store_info full = {.size = sizeof full,
                               .epoch = m->epoch,
                               .revision = m->revision,
                               .oldest_change = m->changes.oldest};
    pthread_mutex_unlock(&m->mutex);
    return store_info_copy(out, &full, error);
}

/* --- open and close ------------------------------------------------------------------------------
 */

static void memory_close(void *self) {
    memory_store *m = self;
    const hooks *h = m->hooks;
    ring_free(&m->changes, h);
    map_free(&m->map, h);
    pthread_mutex_destroy(&m->mutex);
    hooks_free(h, m);
}

int memory_store_open(const store_opening *opening, ipalloc_error *error) {
    if (opening->rest[0] != '\0')
        return error_set(error, IPALLOC_E_INVALID, "store: nothing may follow \"memory:\"");
    if (opening->options->must_exist)
        return error_set(error, IPALLOC_E_NOT_FOUND, "memory: such a store never exists before");
    if (opening->options->read_only)
        return error_set(error, IPALLOC_E_INVALID, "memory: such a store cannot be read-only");
    memory_store *m = hooks_alloc_zeroed(opening->hooks, sizeof *m);
    if (m == NULL)
        return error_no_memory(error);
    m->hooks = opening->hooks;
    m->changes.kept_max = opening->options->changes_kept;
    m->epoch = opening->options->first_epoch;
    if (map_init(&m->map, m->hooks) != IPALLOC_OK) {
        hooks_free(m->hooks, m);
        return error_no_memory(error);
    }
    pthread_mutex_init(&m->mutex, NULL); /* cannot fail with default attributes on Linux */
    *opening->methods = (ipalloc_store_methods){.size = sizeof *opening->methods,
                                                .get = memory_get,
                                                .scan = memory_scan,
                                                .commit = memory_commit,
                                                .changes = memory_changes,
                                                .info = memory_info,
                                                .close = memory_close};
    *opening->self = m;
    return IPALLOC_OK;
}
