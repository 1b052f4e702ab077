/*
 * capture.c: see capture.h. Single-threaded.
 */
#include "capture.h"

#include "preload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct capturing_store {
    ipalloc_store *inner;
    capture *capture;
} capturing_store;

/* --- keeping copies --------------------------------------------------------------------------- */

static void *grown(void *memory, size_t *capacity, size_t wanted, size_t item_size) {
    if (wanted <= *capacity)
        return memory;
    *capacity = wanted * 2;
    memory = realloc(memory, *capacity * item_size);
    if (memory == NULL) {
        fprintf(stderr, "ipalloc-bench: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static void keep_bytes(capture *c, ipalloc_bytes bytes) {
    c->bytes = grown(c->bytes, &c->byte_capacity, c->byte_count + bytes.size, 1);
    if (bytes.size > 0)
        memcpy(c->bytes + c->byte_count, bytes.data, bytes.size);
    c->byte_count += bytes.size;
}

static void keep_batch(capture *c, const ipalloc_batch *batch) {
    captured_batch kept = {.first_op = c->op_count};
    c->ops = grown(c->ops, &c->op_capacity, c->op_count + batch->op_count, sizeof *c->ops);
    for (size_t i = 0; i < batch->op_count; i++) {
        const ipalloc_op *op = &batch->ops[i];
        size_t value_size = op->kind == IPALLOC_OP_PUT ? op->value.size : 0;
        c->ops[c->op_count++] = (captured_op){.kind = op->kind,
                                              .key_size = (uint32_t)op->key.size,
                                              .value_size = (uint32_t)value_size,
                                              .at = c->byte_count};
        keep_bytes(c, op->key);
        if (value_size > 0)
            keep_bytes(c, op->value);
        kept.bytes += op->key.size + value_size;
    }
    kept.op_count = c->op_count - kept.first_op;
    c->batches = grown(c->batches, &c->batch_capacity, c->batch_count + 1, sizeof *c->batches);
    c->batches[c->batch_count++] = kept;
}

/* --- the store: everything is passed on ------------------------------------------------------- */

static int pass_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                    ipalloc_error *error) {
    return ipalloc_store_get(((capturing_store *)self)->inner, key, visit, context, error);
}

static int pass_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                     ipalloc_visit visit, void *context, uint64_t *at_revision,
                     ipalloc_error *error) {
    return ipalloc_store_scan(((capturing_store *)self)->inner, prefix, after, limit, visit,
                              context, at_revision, error);
}

static int capture_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    capturing_store *s = self;
    int status = ipalloc_store_commit(s->inner, batches, count, error);
    for (size_t i = 0; status == IPALLOC_OK && i < count; i++)
        if (batches[i].status == IPALLOC_OK)
            keep_batch(s->capture, &batches[i]);
    return status;
}

static int pass_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                        ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    return ipalloc_store_changes(((capturing_store *)self)->inner, since, prefix, limit, visit,
                                 context, up_to, error);
}

static int pass_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    return ipalloc_store_get_info(((capturing_store *)self)->inner, out, error);
}

static void pass_close(void *self) {
    ipalloc_store_close(((capturing_store *)self)->inner);
}

static const ipalloc_store_methods CAPTURING = {.size = sizeof CAPTURING,
                                                .get = pass_get,
                                                .scan = pass_scan,
                                                .commit = capture_commit,
                                                .changes = pass_changes,
                                                .info = pass_info,
                                                .close = pass_close};

/* --- the work --------------------------------------------------------------------------------- */

static bool capture_run(capture *c, uint64_t leases, uint64_t one_shots, ipalloc_store *store) {
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    ipalloc_error error = {0};
    if (durable_failed("ipalloc_registry_open",
                       ipalloc_registry_open(store, NULL, &registry, &error), &error))
        return false;
    bool fine = durable_pool_define(registry, &pool) &&
                durable_one_shots(registry, pool, PRELOAD_SERIAL, leases);
    c->first_one_shot = c->batch_count;
    fine = fine && durable_one_shots(registry, pool, 0, one_shots);
    ipalloc_registry_close(registry);
    return fine;
}

capture *capture_make(uint64_t leases, uint64_t one_shots) {
    capture *c = calloc(1, sizeof *c);
    capturing_store self = {.capture = c};
    ipalloc_store *store;
    ipalloc_error error = {0};
    if (c == NULL ||
        durable_failed("ipalloc_store_open",
                       ipalloc_store_open("memory:", NULL, &self.inner, &error), &error)) {
        free(c);
        return NULL;
    }
    if (durable_failed("ipalloc_store_create",
                       ipalloc_store_create(&CAPTURING, &self, NULL, &store, &error), &error)) {
        ipalloc_store_close(self.inner);
        free(c);
        return NULL;
    }
    bool fine = capture_run(c, leases, one_shots, store);
    ipalloc_store_close(store);
    if (fine)
        return c;
    capture_free(c);
    return NULL;
}

void capture_free(capture *c) {
    if (c == NULL)
        return;
    free(c->ops);
    free(c->batches);
    free(c->bytes);
    free(c);
}
