/*
 * preload.c: stores that hold many leases before anything is measured.
 *
 * One lease an owner, as a server would make them, allocated on "memory:" and copied to the SQLite
 * store through the store interface, in key order: that takes seconds where as many durable commits
 * would take many minutes.
 */
#include "preload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPY_BATCHES = 64, /* in one durable write */
    COPY_OPS_MAX = COPY_BATCHES * IPALLOC_BATCH_OPS_MAX,
    COPY_BYTES_MAX = 16 << 20,
    COPY_FULL = 1, /* beside statuses: there is more to copy */
};

bool durable_failed(const char *what, int status, const ipalloc_error *error) {
    if (status == IPALLOC_OK)
        return false;
    fprintf(stderr, "ipalloc-bench: %s: %s: %s\n", what, ipalloc_status_name(status),
            error->message);
    return true;
}

bool durable_pool_define(ipalloc_registry *registry, ipalloc_pool **out) {
    ipalloc_error error = {0};
    ipalloc_cidr range;
    int status = ipalloc_cidr_parse(DURABLE_RANGE, strlen(DURABLE_RANGE), &range, &error);
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    if (status == IPALLOC_OK)
        status = ipalloc_pool_define(registry, DURABLE_POOL, &definition, out, &error);
    return !durable_failed("ipalloc_pool_define", status, &error);
}

/* As long as the owners that a Kubernetes-like server names: namespace, name, uid. */
static void owner_name(uint64_t serial, char out[80]) {
    uint64_t uid = serial;
    uint64_t high = random_next(&uid), low = random_next(&uid);
    snprintf(out, 80, "Service/default/web-%06llu/%08x-%04x-4%03x-a%03x-%012llx",
             (unsigned long long)serial % 1000000, (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff), (unsigned)(low >> 52),
             (unsigned long long)(low & 0xffffffffffff));
}

int durable_one_shot(ipalloc_registry *registry, ipalloc_pool *pool, uint64_t serial,
                     ipalloc_error *error) {
    char owner[80];
    owner_name(serial, owner);
    ipalloc_grant grant = {.size = sizeof grant};
    return ipalloc_allocate(registry, pool, owner, "clusterIP/IPv4", &grant, error);
}

bool durable_one_shots(ipalloc_registry *registry, ipalloc_pool *pool, uint64_t first_serial,
                       uint64_t count) {
    ipalloc_error error = {0};
    for (uint64_t i = 0; i < count; i++)
        if (durable_failed("ipalloc_allocate",
                           durable_one_shot(registry, pool, first_serial + i, &error), &error))
            return false;
    return true;
}

/* --- copying a store -------------------------------------------------------------------------- */

typedef struct copier {
    ipalloc_store *to;
    ipalloc_op *ops; /* their keys and values are in bytes */
    char *bytes;
    size_t op_count, byte_count;
    char last_key[IPALLOC_KEY_MAX];
    size_t last_key_size;
} copier;

static ipalloc_bytes keep(copier *c, ipalloc_bytes bytes) {
    char *at = c->bytes + c->byte_count;
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    c->byte_count += bytes.size;
    return (ipalloc_bytes){at, bytes.size};
}

/* Stops the walk where the buffer is full: it goes on after the last key. */
static int copy_entry(void *context, const ipalloc_entry *entry) {
    copier *c = context;
    if (c->op_count == COPY_OPS_MAX ||
        c->byte_count + entry->key.size + entry->value.size > COPY_BYTES_MAX)
        return COPY_FULL;
    c->ops[c->op_count++] = (ipalloc_op){
        .kind = IPALLOC_OP_PUT, .key = keep(c, entry->key), .value = keep(c, entry->value)};
    memcpy(c->last_key, entry->key.data, entry->key.size);
    c->last_key_size = entry->key.size;
    return 0;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static int commit_copied(copier *c) {
    ipalloc_batch batches[COPY_BATCHES];
    if (c->op_count == 0)
        return IPALLOC_OK;
    size_t count = 0;
    for (size_t i = 0; i < c->op_count; i += IPALLOC_BATCH_OPS_MAX)
        batches[count++] = (ipalloc_batch){
            .ops = c->ops + i, .op_count = smaller(c->op_count - i, IPALLOC_BATCH_OPS_MAX)};
    int status = ipalloc_store_commit(c->to, batches, count, NULL);
    for (size_t i = 0; status == IPALLOC_OK && i < count; i++)
        status = batches[i].status;
    return status;
}

static bool store_copy(ipalloc_store *from, ipalloc_store *to) {
    copier c = {
        .to = to, .ops = calloc(COPY_OPS_MAX, sizeof *c.ops), .bytes = malloc(COPY_BYTES_MAX)};
    int status = c.ops != NULL && c.bytes != NULL ? COPY_FULL : IPALLOC_E_NOMEM;
    while (status == COPY_FULL) {
        c.op_count = c.byte_count = 0;
        status = ipalloc_store_scan(from, (ipalloc_bytes){"", 0},
                                    (ipalloc_bytes){c.last_key, c.last_key_size}, 0, copy_entry, &c,
                                    NULL, NULL);
        int committed = commit_copied(&c);
        if (committed != IPALLOC_OK)
            status = committed;
    }
    free(c.ops);
    free(c.bytes);
    return status == IPALLOC_OK;
}

static bool fill(ipalloc_store *store, uint64_t leases) {
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    if (ipalloc_registry_open(store, NULL, &registry, NULL) != IPALLOC_OK)
        return false;
    bool fine = durable_pool_define(registry, &pool) &&
                durable_one_shots(registry, pool, PRELOAD_SERIAL, leases);
    ipalloc_registry_close(registry);
    return fine;
}

bool preload_store(const char *url, uint64_t leases) {
    ipalloc_store *memory = NULL, *file = NULL;
    ipalloc_error error = {0};
    bool fine =
        !durable_failed("memory:", ipalloc_store_open("memory:", NULL, &memory, &error), &error) &&
        !durable_failed(url, ipalloc_store_open(url, NULL, &file, &error), &error) &&
        fill(memory, leases) && store_copy(memory, file);
    ipalloc_store_close(file);
    ipalloc_store_close(memory);
    return fine;
}
