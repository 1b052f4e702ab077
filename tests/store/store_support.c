/*
 * store_support.c: see store_support.h.
 */
#include "store_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BUFFERS = 4, TEXT_MAX = 4096 };

uint64_t revision_zero;

static char *next_buffer(void) {
    static char buffers[TEXT_BUFFERS][TEXT_MAX];
    static unsigned next;
    return buffers[next++ % TEXT_BUFFERS];
}

ipalloc_bytes text_bytes(const char *text) {
    return (ipalloc_bytes){text, strlen(text)};
}

ipalloc_op op_put(const char *key, const char *value) {
    return (ipalloc_op){.kind = IPALLOC_OP_PUT, .key = text_bytes(key), .value = text_bytes(value)};
}

ipalloc_op op_delete(const char *key) {
    return (ipalloc_op){.kind = IPALLOC_OP_DELETE, .key = text_bytes(key)};
}

ipalloc_op op_check(const char *key) {
    return (ipalloc_op){.kind = IPALLOC_OP_CHECK, .key = text_bytes(key)};
}

ipalloc_op if_absent(ipalloc_op op) {
    op.condition = IPALLOC_IF_ABSENT;
    return op;
}

ipalloc_op if_revision(ipalloc_op op, uint64_t revision) {
    op.condition = IPALLOC_IF_REVISION;
    op.revision = revision != 0 ? revision_zero + revision : 0;
    return op;
}

ipalloc_batch commit(ipalloc_store *store, const ipalloc_op *ops, size_t count) {
    ipalloc_error error;
    ipalloc_batch batch = {.ops = ops, .op_count = count, .status = 99};
    ck_assert_status_error(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_OK, &error);
    return batch;
}

uint64_t must_commit(ipalloc_store *store, const ipalloc_op *ops, size_t count) {
    ipalloc_batch batch = commit(store, ops, count);
    ck_assert_status(batch.status, IPALLOC_OK);
    return batch.revision - revision_zero;
}

uint64_t put(ipalloc_store *store, const char *key, const char *value) {
    ipalloc_op op = op_put(key, value);
    return must_commit(store, &op, 1);
}

uint64_t erase(ipalloc_store *store, const char *key) {
    ipalloc_op op = op_delete(key);
    return must_commit(store, &op, 1);
}

int write_down(void *context, const ipalloc_entry *entry) {
    walk *w = context;
    size_t length = strlen(w->text);
    w->count++;
    snprintf(w->text + length, sizeof w->text - length, "%.*s%s%.*s@%llu ", (int)entry->key.size,
             (const char *)entry->key.data, entry->deleted ? "!" : "=", (int)entry->value.size,
             (const char *)entry->value.data,
             (unsigned long long)(entry->revision - revision_zero));
    return w->stop_at != 0 && w->count == w->stop_at ? STOPPED : IPALLOC_OK;
}

static int write_value(void *context, const ipalloc_entry *entry) {
    snprintf(context, TEXT_MAX, "%.*s@%llu", (int)entry->value.size,
             (const char *)entry->value.data,
             (unsigned long long)(entry->revision - revision_zero));
    return IPALLOC_OK;
}

const char *value_of(ipalloc_store *store, const char *key) {
    char *out = next_buffer();
    ipalloc_error error;
    int status = ipalloc_store_get(store, text_bytes(key), write_value, out, &error);
    if (status == IPALLOC_E_NOT_FOUND)
        return "absent";
    ck_assert_status_error(status, IPALLOC_OK, &error);
    return out;
}

static const char *keep_text(const walk *w) {
    char *out = next_buffer();
    memcpy(out, w->text, sizeof w->text);
    return out;
}

const char *scan_text(ipalloc_store *store, const char *prefix) {
    walk w = {0};
    ipalloc_error error;
    ck_assert_status_error(ipalloc_store_scan(store, text_bytes(prefix), (ipalloc_bytes){0}, 0,
                                              write_down, &w, NULL, &error),
                           IPALLOC_OK, &error);
    return keep_text(&w);
}

const char *changes_text(ipalloc_store *store, uint64_t since) {
    walk w = {0};
    ipalloc_error error;
    uint64_t last = info_of(store).revision + revision_zero;
    ck_assert_status_error(ipalloc_store_reach(store, last, &error), IPALLOC_OK, &error);
    ck_assert_status_error(ipalloc_store_changes(store, revision_zero + since, (ipalloc_bytes){0},
                                                 0, write_down, &w, NULL, &error),
                           IPALLOC_OK, &error);
    return keep_text(&w);
}

ipalloc_store_info info_of(ipalloc_store *store) {
    ipalloc_store_info info = {.size = sizeof info};
    ipalloc_error error;
    ck_assert_status_error(ipalloc_store_get_info(store, &info, &error), IPALLOC_OK, &error);
    info.revision -= revision_zero;
    info.oldest_change -= revision_zero;
    return info;
}

ipalloc_store *open_store(const char *url, const ipalloc_store_options *options) {
    ipalloc_store *store = NULL;
    ipalloc_error error;
    ck_assert_status_error(ipalloc_store_open(url, options, &store, &error), IPALLOC_OK, &error);
    return store;
}

const char *sqlite_url(const char *directory, const char *name) {
    char *out = next_buffer();
    snprintf(out, TEXT_MAX, "sqlite:%s/%s", directory, name);
    return out;
}

const char *file_in(const char *directory, const char *name) {
    char *out = next_buffer();
    snprintf(out, TEXT_MAX, "%s/%s", directory, name);
    return out;
}

void copy_file(const char *from, const char *to) {
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(out);
    char bytes[8192];
    size_t size;
    while ((size = fread(bytes, 1, sizeof bytes, in)) > 0)
        ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
}
