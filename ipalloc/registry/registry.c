/*
 * registry.c: opening and closing, and the small services that every part uses.
 *
 * May use: store.h's public calls, and the attach mark of a store handle. Opening reads every pool,
 * every lease key and every cooling record; it writes nothing but the format mark of a new store.
 */
#include "registry/registry.h"

#include "store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SENDINGS_MAX = 3 };

/* --- small services --------------------------------------------------------------------------- */

static int fetch_visit(void *context, const ipalloc_entry *entry) {
    fetched *out = context;
    text_append(&out->value, entry->value.data, entry->value.size);
    out->revision = entry->revision;
    return out->value.failed ? IPALLOC_E_NOMEM : IPALLOC_OK;
}

int registry_fetch(ipalloc_registry *registry, ipalloc_bytes key, fetched *out,
                   ipalloc_error *error) {
    text_init(&out->value, &registry->hooks);
    out->revision = 0;
    int status = ipalloc_store_get(registry->store, key, fetch_visit, out, error);
    bool failed = out->value.failed;
    if (status != IPALLOC_OK)
        text_free(&out->value);
    return failed ? error_no_memory(error) : status;
}

const ipalloc_hooks *registry_user_hooks(const ipalloc_registry *registry) {
    return registry->has_user_hooks ? &registry->user_hooks : NULL;
}

int registry_send_batch(ipalloc_registry *registry, ipalloc_batch *batch, ipalloc_error *error) {
    if (error != NULL)
        error->status = IPALLOC_OK; /* to be told if the store says something */
    int status = ipalloc_store_commit(registry->store, batch, 1, error);
    if (status != IPALLOC_OK)
        return status;
    if (batch->status == IPALLOC_E_CONFLICT)
        error_set(error, IPALLOC_E_CONFLICT, "the store has moved on");
    else if (batch->status != IPALLOC_OK && (error == NULL || error->status != batch->status))
        error_set(error, batch->status, "the commit failed: %s", ipalloc_strerror(batch->status));
    return batch->status;
}

int registry_commit_batch(ipalloc_registry *registry, ipalloc_batch *batch, ipalloc_error *error) {
    int status = registry_send_batch(registry, batch, error);
    if (status == IPALLOC_OK)
        cache_note_own_commit(registry, batch->revision);
    return status;
}

int registry_settle(ipalloc_registry *registry, uint64_t ticket, bool *happened,
                    uint64_t *revision) {
    return ipalloc_store_settle(registry->store, ticket, happened, revision, NULL);
}

int registry_commit_settled(ipalloc_registry *registry, ipalloc_batch *batch,
                            ipalloc_error *error) {
    for (int sending = 1;; sending++) {
        bool happened;
        int status = registry_commit_batch(registry, batch, error);
        if (status != IPALLOC_E_UNKNOWN_OUTCOME || batch->ticket == 0 ||
            registry_settle(registry, batch->ticket, &happened, &batch->revision) != IPALLOC_OK)
            return status;
        batch->ticket = 0;
        batch->status = happened ? IPALLOC_OK : IPALLOC_E_UNAVAILABLE;
        if (happened) {
            cache_note_own_commit(registry, batch->revision);
            return IPALLOC_OK;
        }
        if (sending == SENDINGS_MAX)
            return error_set(error, IPALLOC_E_UNAVAILABLE, "the store has not taken the change");
    }
}

int registry_check_pool(const ipalloc_registry *registry, const ipalloc_pool *pool, int kind,
                        ipalloc_error *error) {
    if (pool == NULL || pool->registry != registry)
        return error_set(error, IPALLOC_E_INVALID, "the pool is not one of this registry");
    bool port_pool = pool->kind == IPALLOC_POOL_PORT;
    if (kind == ADDRESS_KIND && port_pool)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has ports, not addresses", pool->name);
    if (kind == IPALLOC_POOL_PORT && !port_pool)
        return error_set(error, IPALLOC_E_INVALID, "pool %s has addresses, not ports", pool->name);
    return IPALLOC_OK;
}

/* --- the version of the form ------------------------------------------------------------------ */

static int format_is_ours(ipalloc_bytes value, ipalloc_error *error) {
    line_reader lines = lines_of(value);
    uint64_t version;
    if (!line_take_number(&lines, "version", UINT64_MAX, &version) || !lines_ended(&lines))
        return record_corrupt(error, bytes_of(KEY_FORMAT), "is not a format version");
    if (version != RECORD_FORMAT_VERSION)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "the store's records have form %" PRIu64
                         ", and this library reads form %d: use a newer one",
                         version, RECORD_FORMAT_VERSION);
    return IPALLOC_OK;
}

/* A store that holds anything of ours without the mark is not what it should be. */
static int stop_at_first(void *context, const ipalloc_entry *entry) {
    (void)context;
    return record_corrupt(NULL, entry->key, "");
}

static int unfinished_copy(ipalloc_error *error) {
    return error_set(
        error, IPALLOC_E_CORRUPT,
        "the store is a copy that is not finished: copy it again, or wait for the end");
}

static int stop_at_mark(void *context, const ipalloc_entry *entry) {
    (void)entry;
    return unfinished_copy(context);
}

/* ipalloc_store_copy has begun to fill this store, or has stopped half-way. */
static int check_copied(const ipalloc_registry *registry, ipalloc_error *error) {
    ipalloc_error found;
    int status = ipalloc_store_get(registry->store, bytes_of(IPALLOC_COPY_MARK), stop_at_mark,
                                   &found, &found);
    if (status == IPALLOC_E_NOT_FOUND)
        return IPALLOC_OK;
    if (error != NULL)
        *error = found;
    return status;
}

/* CONFLICT: another server did it first. */
static int write_format(ipalloc_registry *registry, ipalloc_error *error) {
    char value[32];
    snprintf(value, sizeof value, "version=%d\n", RECORD_FORMAT_VERSION);
    ipalloc_op ops[] = {{.kind = IPALLOC_OP_PUT,
                         .condition = IPALLOC_IF_ABSENT,
                         .key = bytes_of(KEY_FORMAT),
                         .value = bytes_of(value)},
                        {.kind = IPALLOC_OP_CHECK,
                         .condition = IPALLOC_IF_ABSENT,
                         .key = bytes_of(IPALLOC_COPY_MARK)}};
    ipalloc_batch batch = {.ops = ops, .op_count = 2};
    int status = registry_commit_settled(registry, &batch, error);
    if (status ==
        IPALLOC_E_UNKNOWN_OUTCOME) /* whenever it happens, it is what any opening writes */
        return error_set(error, IPALLOC_E_UNAVAILABLE,
                         "it is not known whether the store was made "
                         "ready: open it again");
    return status == IPALLOC_E_CONFLICT && batch.failed_op == 1 ? unfinished_copy(error) : status;
}

/* NOT_FOUND: there is no mark. */
static int read_format(ipalloc_registry *registry, ipalloc_error *error) {
    fetched format;
    int status = check_copied(registry, error);
    if (status != IPALLOC_OK)
        return status;
    status = registry_fetch(registry, bytes_of(KEY_FORMAT), &format, error);
    if (status == IPALLOC_OK) {
        status = format_is_ours(bytes_of_buffer(&format.value), error);
        text_free(&format.value);
    }
    return status;
}

/* The mark comes before anything else, so where there are records and still no mark, something is
 * wrong; but another server may just have made both between two of our looks. */
static int check_format(ipalloc_registry *registry, ipalloc_error *error) {
    int status = read_format(registry, error);
    if (status != IPALLOC_E_NOT_FOUND)
        return status;
    status = ipalloc_store_scan(registry->store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 1,
                                stop_at_first, NULL, NULL, error);
    if (status == IPALLOC_OK && !registry->read_only)
        status = write_format(registry, error);
    if (status != IPALLOC_E_CORRUPT && status != IPALLOC_E_CONFLICT)
        return status;
    status = read_format(registry, error);
    return status == IPALLOC_E_NOT_FOUND
               ? error_set(error, IPALLOC_E_CORRUPT,
                           "the store holds records but no " KEY_FORMAT " mark")
               : status;
}

/* --- open and close --------------------------------------------------------------------------- */

/* Allocators align to 16 bytes; the random stripes want a cache line. */
static ipalloc_registry *place_handle(void *memory) {
    uintptr_t align = _Alignof(ipalloc_registry);
    size_t skip = (align - (uintptr_t)memory % align) % align;
    return (ipalloc_registry *)(void *)((char *)memory + skip);
}

static int make_handle(const ipalloc_registry_options *given, ipalloc_registry **out,
                       ipalloc_error *error) {
    hooks early;
    int status = hooks_init(&early, given->hooks, error);
    if (status != IPALLOC_OK)
        return status;
    void *memory =
        hooks_alloc_zeroed(&early, sizeof(ipalloc_registry) + _Alignof(ipalloc_registry));
    if (memory == NULL)
        return error_no_memory(error);
    ipalloc_registry *registry = place_handle(memory);
    status = hooks_init(&registry->hooks, given->hooks, error);
    assert(status == IPALLOC_OK); /* it passed a moment ago */
    registry->memory = memory;
    registry->has_user_hooks = given->hooks != NULL;
    if (registry->has_user_hooks)
        status = options_copy(&registry->user_hooks, sizeof registry->user_hooks, given->hooks,
                              "ipalloc_hooks", error);
    *out = registry;
    return status;
}

static void free_handle(ipalloc_registry *registry) {
    ipalloc_hooks user = registry->hooks.user;
    user.deallocate(user.context, registry->memory);
}

enum { MUTEX_COUNT = 4 };

static void mutexes_of(ipalloc_registry *registry, pthread_mutex_t *out[MUTEX_COUNT]) {
    out[0] = &registry->pools_mutex;
    out[1] = &registry->seen_mutex;
    out[2] = &registry->stranded_mutex;
    out[3] = &registry->apply_mutex;
}

static int init_locks(ipalloc_registry *registry, ipalloc_error *error) {
    pthread_mutex_t *mutexes[MUTEX_COUNT];
    size_t made = 0;
    mutexes_of(registry, mutexes);
    while (made < MUTEX_COUNT && pthread_mutex_init(mutexes[made], NULL) == 0)
        made++;
    if (made == MUTEX_COUNT && gate_init(&registry->gate)) {
        if (claims_init(&registry->claims, &registry->hooks))
            return IPALLOC_OK;
        gate_destroy(&registry->gate);
    }
    while (made > 0)
        pthread_mutex_destroy(mutexes[--made]);
    return error_no_memory(error);
}

static void destroy_locks(ipalloc_registry *registry) {
    pthread_mutex_t *mutexes[MUTEX_COUNT];
    mutexes_of(registry, mutexes);
    claims_destroy(&registry->claims);
    gate_destroy(&registry->gate);
    for (size_t i = 0; i < MUTEX_COUNT; i++)
        pthread_mutex_destroy(mutexes[i]);
}

static void free_pools(ipalloc_registry *registry) {
    while (registry->pools != NULL) {
        ipalloc_pool *pool = registry->pools;
        registry->pools = pool->next;
        cache_free_pool(pool);
    }
}

static int load(ipalloc_registry *registry, ipalloc_error *error) {
    ipalloc_store_info info = {.size = sizeof info};
    int status = ipalloc_store_get_info(registry->store, &info, error);
    if (status != IPALLOC_OK)
        return status;
    registry->read_only = info.read_only;
    atomic_word_init(&registry->restored, info.restored);
    atomic_word_init(&registry->repair_failures, 0);
    atomic_word_init(&registry->rebuild, 0);
    atomic_word_init(&registry->stranded_count, 0);
    status = check_format(registry, error);
    if (status != IPALLOC_OK)
        return status;
    return cache_load(registry, error);
}

int ipalloc_registry_open(ipalloc_store *store, const ipalloc_registry_options *options,
                          ipalloc_registry **out, ipalloc_error *error) {
    if (store == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "registry: store and out must not be NULL");
    ipalloc_registry_options given;
    int status = options_copy(&given, sizeof given, options, "ipalloc_registry_options", error);
    if (status != IPALLOC_OK)
        return status;
    ipalloc_registry *registry;
    status = make_handle(&given, &registry, error);
    if (status != IPALLOC_OK)
        return status;
    registry->store = store;
    status = store_attach(store, error);
    if (status != IPALLOC_OK)
        goto free_it;
    status = init_locks(registry, error);
    if (status != IPALLOC_OK)
        goto detach;
    status = load(registry, error);
    if (status == IPALLOC_OK) {
        *out = registry;
        return IPALLOC_OK;
    }
    free_pools(registry);
    destroy_locks(registry);
detach:
    store_detach(store);
free_it:
    free_handle(registry);
    return status;
}

void ipalloc_registry_close(ipalloc_registry *registry) {
    if (registry == NULL)
        return;
    stranded_free(registry);
    assert(registry->claims.count == 0); /* open transactions must have ended */
    free_pools(registry);
    destroy_locks(registry);
    store_detach(registry->store);
    free_handle(registry);
}
