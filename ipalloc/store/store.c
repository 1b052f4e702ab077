/*
 * store.c: the store handle. Opens by URL, checks every argument, hands on to the methods.
 *
 * May use: base/. What passes here is well-formed: keys and values within their limits, known
 * operations, no key twice in a batch. Stores rely on it and do not check again.
 * Cost: one pass over the arguments; no allocation.
 */
#include "store/store.h"

#include "base/error.h"
#include "base/text.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

struct ipalloc_store {
    hooks hooks;
    ipalloc_store_methods methods;
    void *self;
    void *memory;         /* what was allocated: the handle is aligned inside it */
    atomic_word attached; /* 1 while a registry is open on it */
};

/* --- the handle ----------------------------------------------------------------------------------
 */

/* Allocators align to 16 bytes; the random stripes want a cache line. */
static ipalloc_store *place_handle(void *memory) {
    uintptr_t align = _Alignof(ipalloc_store);
    size_t skip = (align - (uintptr_t)memory % align) % align;
    return (ipalloc_store *)(void *)((char *)memory + skip);
}

static int make_handle(const ipalloc_hooks *user, ipalloc_store **out, ipalloc_error *error) {
    hooks early;
    int status = hooks_init(&early, user, error);
    if (status != IPALLOC_OK)
        return status;
    void *memory = hooks_alloc_zeroed(&early, sizeof(ipalloc_store) + _Alignof(ipalloc_store));
    if (memory == NULL)
        return error_no_memory(error);
    ipalloc_store *store = place_handle(memory);
    status = hooks_init(&store->hooks, user, error);
    assert(status == IPALLOC_OK); /* it passed a moment ago */
    store->memory = memory;
    atomic_word_init(&store->attached, 0);
    *out = store;
    return status;
}

static void free_handle(ipalloc_store *store) {
    void (*deallocate)(void *, void *) = store->hooks.user.deallocate;
    deallocate(store->hooks.user.context, store->memory);
}

/* --- opening -------------------------------------------------------------------------------------
 */

typedef int (*open_function)(const store_opening *opening, ipalloc_error *error);

static const struct {
    const char *scheme;
    open_function open;
} KINDS[] = {
    {"memory:", memory_store_open}, {"sqlite:", sqlite_store_open}, {"etcd:", etcd_store_open}};

static open_function find_kind(const char *url, const char **rest) {
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        size_t length = strlen(KINDS[i].scheme);
        if (strncmp(url, KINDS[i].scheme, length) == 0) {
            *rest = url + length;
            return KINDS[i].open;
        }
    }
    return NULL;
}

int ipalloc_store_open(const char *url, const ipalloc_store_options *options, ipalloc_store **out,
                       ipalloc_error *error) {
    return store_open_with(url, options, &SYSTEM_CALLS, out, error);
}

int store_open_with(const char *url, const ipalloc_store_options *options,
                    const system_calls *system, ipalloc_store **out, ipalloc_error *error) {
    if (url == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "store: url and out must not be NULL");
    ipalloc_store_options given;
    int status = options_copy(&given, sizeof given, options, "ipalloc_store_options", error);
    if (status != IPALLOC_OK)
        return status;
    if (given.changes_kept == 0)
        given.changes_kept = STORE_CHANGES_KEPT_DEFAULT;
    if (given.first_epoch == 0)
        given.first_epoch = 1;
    if (given.first_epoch > STORE_EPOCH_MAX)
        return error_set(error, IPALLOC_E_INVALID, "store: a first epoch is at most %llu",
                         (unsigned long long)STORE_EPOCH_MAX);
    const char *rest;
    open_function open = find_kind(url, &rest);
    if (open == NULL) {
        char quoted[128];
        return error_set(
            error, IPALLOC_E_INVALID,
            "store \"%s\": the URL must be memory:, sqlite:PATH or etcd:http://HOST/PREFIX",
            text_quote(url, strlen(url), quoted, sizeof quoted));
    }
    ipalloc_store *store = NULL;
    status = make_handle(given.hooks, &store, error);
    if (status != IPALLOC_OK)
        return status;
    store_opening opening = {rest, &given, &store->hooks, system, &store->methods, &store->self};
    status = open(&opening, error);
    if (status != IPALLOC_OK) {
        free_handle(store);
        return status;
    }
    *out = store;
    return IPALLOC_OK;
}

/* The methods that every store must have, by their place in the struct. */
static const char *missing_method(const ipalloc_store_methods *methods) {
    if (methods->get == NULL)
        return "get";
    if (methods->scan == NULL)
        return "scan";
    if (methods->commit == NULL)
        return "commit";
    if (methods->changes == NULL)
        return "changes";
    if (methods->info == NULL)
        return "info";
    if (methods->close == NULL)
        return "close";
    return NULL;
}

int ipalloc_store_create(const ipalloc_store_methods *methods, void *self,
                         const ipalloc_hooks *user, ipalloc_store **out, ipalloc_error *error) {
    if (methods == NULL || out == NULL)
        return error_set(error, IPALLOC_E_INVALID, "store: methods and out must not be NULL");
    ipalloc_store_methods given;
    int status = options_copy(&given, sizeof given, methods, "ipalloc_store_methods", error);
    if (status != IPALLOC_OK)
        return status;
    const char *missing = missing_method(&given);
    if (missing != NULL)
        return error_set(error, IPALLOC_E_INVALID, "store: the method %s is missing", missing);
    ipalloc_store *store;
    status = make_handle(user, &store, error);
    if (status != IPALLOC_OK)
        return status;
    store->methods = given;
    store->self = self;
    *out = store;
    return IPALLOC_OK;
}

void ipalloc_store_close(ipalloc_store *store) {
    if (store == NULL)
        return;
    assert(atomic_load_relaxed(&store->attached) == 0);
    store->methods.close(store->self);
    free_handle(store);
}

int store_attach(ipalloc_store *store, ipalloc_error *error) {
    uint64_t expected = 0;
    if (!atomic_cas_seq(&store->attached, &expected, 1))
        return error_set(error, IPALLOC_E_BUSY, "store: a registry is open on it already");
    return IPALLOC_OK;
}

void store_detach(ipalloc_store *store) {
    assert(atomic_load_relaxed(&store->attached) == 1);
    atomic_store_release(&store->attached, 0); /* pairs with the next store_attach */
}

hooks *store_hooks(ipalloc_store *store) {
    return &store->hooks;
}

/* --- checks --------------------------------------------------------------------------------------
 */

enum { QUOTED_KEY = 128 };

static int no_store(ipalloc_error *error) {
    return error_set(error, IPALLOC_E_INVALID, "store: NULL");
}

/* A prefix or a key to go on after: may be empty. */
static int check_bound(ipalloc_bytes bound, const char *what, ipalloc_error *error) {
    if (bound.size == 0)
        return IPALLOC_OK;
    if (bound.data == NULL)
        return error_set(error, IPALLOC_E_INVALID, "%s: NULL with a size of %zu", what, bound.size);
    if (bound.size > IPALLOC_KEY_MAX)
        return error_set(error, IPALLOC_E_INVALID, "%s: %zu bytes; at most %d are allowed", what,
                         bound.size, IPALLOC_KEY_MAX);
    if (memchr(bound.data, '\0', bound.size) != NULL) {
        char quoted[QUOTED_KEY];
        return error_set(error, IPALLOC_E_INVALID, "%s \"%s\": must not contain a zero byte", what,
                         text_quote(bound.data, bound.size, quoted, sizeof quoted));
    }
    return IPALLOC_OK;
}

static int check_key(ipalloc_bytes key, ipalloc_error *error) {
    if (key.size == 0)
        return error_set(error, IPALLOC_E_INVALID, "key: must not be empty");
    return check_bound(key, "key", error);
}

static int refuse_op(const ipalloc_op *op, const char *why, ipalloc_error *error) {
    char quoted[QUOTED_KEY];
    return error_set(error, IPALLOC_E_INVALID, "key \"%s\": %s",
                     text_quote(op->key.data, op->key.size, quoted, sizeof quoted), why);
}

static int check_op(const ipalloc_op *op, ipalloc_error *error) {
    int status = check_key(op->key, error);
    if (status != IPALLOC_OK)
        return status;
    if (op->kind < IPALLOC_OP_CHECK || op->kind > IPALLOC_OP_DELETE)
        return refuse_op(op, "unknown kind of operation", error);
    if (op->condition < IPALLOC_IF_ANY || op->condition > IPALLOC_IF_REVISION)
        return refuse_op(op, "unknown condition", error);
    if (op->kind != IPALLOC_OP_PUT && op->value.size != 0)
        return refuse_op(op, "only a put carries a value", error);
    if (op->value.size > 0 && op->value.data == NULL)
        return refuse_op(op, "the value is NULL but has a size", error);
    if (op->value.size > IPALLOC_VALUE_MAX)
        return refuse_op(op, "the value is longer than 1 MiB", error);
    return IPALLOC_OK;
}

static uint32_t hash_key(ipalloc_bytes key) { /* FNV-1a */
    const unsigned char *bytes = key.data;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

/* Find a key that comes twice, through a small table of operation numbers on the stack. */
static int check_keys_differ(const ipalloc_batch *batch, ipalloc_error *error) {
    uint16_t slots[2 * IPALLOC_BATCH_OPS_MAX]; /* operation number + 1; 0: empty */
    size_t slot_count = 4;
    while (slot_count < 2 * batch->op_count)
        slot_count *= 2;
    assert(slot_count <= sizeof slots / sizeof slots[0]);
    memset(slots, 0, slot_count * sizeof slots[0]);
    for (size_t i = 0; i < batch->op_count; i++) {
        size_t slot = hash_key(batch->ops[i].key) % slot_count;
        while (slots[slot] != 0) {
            if (bytes_equal(batch->ops[slots[slot] - 1].key, batch->ops[i].key))
                return refuse_op(&batch->ops[i], "occurs twice in one batch", error);
            slot = (slot + 1) % slot_count;
        }
        slots[slot] = (uint16_t)(i + 1);
    }
    return IPALLOC_OK;
}

static int check_batch(const ipalloc_batch *batch, ipalloc_error *error) {
    if (batch->op_count == 0 || batch->op_count > IPALLOC_BATCH_OPS_MAX)
        return error_set(error, IPALLOC_E_INVALID,
                         "batch: %zu operations; a batch has 1 to %d of them", batch->op_count,
                         IPALLOC_BATCH_OPS_MAX);
    if (batch->ops == NULL)
        return error_set(error, IPALLOC_E_INVALID, "batch: ops is NULL");
    for (size_t i = 0; i < batch->op_count; i++) {
        int status = check_op(&batch->ops[i], error);
        if (status != IPALLOC_OK)
            return status;
    }
    return batch->op_count == 1 ? IPALLOC_OK : check_keys_differ(batch, error);
}

/* --- the methods ---------------------------------------------------------------------------------
 */

int ipalloc_store_get(ipalloc_store *store, ipalloc_bytes key, ipalloc_visit visit, void *context,
                      ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    if (visit == NULL)
        return error_set(error, IPALLOC_E_INVALID, "get: visit is NULL");
    int status = check_key(key, error);
    if (status != IPALLOC_OK)
        return status;
    return store->methods.get(store->self, key, visit, context, error);
}

int ipalloc_store_scan(ipalloc_store *store, ipalloc_bytes prefix, ipalloc_bytes after,
                       size_t limit, ipalloc_visit visit, void *context, uint64_t *at_revision,
                       ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    if (visit == NULL)
        return error_set(error, IPALLOC_E_INVALID, "scan: visit is NULL");
    int status = check_bound(prefix, "prefix", error);
    if (status == IPALLOC_OK)
        status = check_bound(after, "after", error);
    if (status != IPALLOC_OK)
        return status;
    return store->methods.scan(store->self, prefix, after, limit, visit, context, at_revision,
                               error);
}

int ipalloc_store_commit(ipalloc_store *store, ipalloc_batch *batches, size_t count,
                         ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    if (batches == NULL && count > 0)
        return error_set(error, IPALLOC_E_INVALID, "commit: batches is NULL");
    for (size_t i = 0; i < count; i++) {
        int status = check_batch(&batches[i], error);
        if (status != IPALLOC_OK) {
            batches_set_status(batches, count, status);
            return status;
        }
        batches[i].ticket = 0;
    }
    return count == 0 ? IPALLOC_OK : store->methods.commit(store->self, batches, count, error);
}

int ipalloc_store_changes(ipalloc_store *store, uint64_t since, ipalloc_bytes prefix, size_t limit,
                          ipalloc_visit visit, void *context, uint64_t *up_to,
                          ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    if (visit == NULL)
        return error_set(error, IPALLOC_E_INVALID, "changes: visit is NULL");
    int status = check_bound(prefix, "prefix", error);
    if (status != IPALLOC_OK)
        return status;
    return store->methods.changes(store->self, since, prefix, limit, visit, context, up_to, error);
}

int ipalloc_store_get_info(ipalloc_store *store, ipalloc_store_info *out, ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    ipalloc_store_info full = {.size = sizeof full};
    if (out == NULL || out->size < sizeof out->size) /* before the store is asked */
        return store_info_copy(out, &full, error);
    int status = store->methods.info(store->self, &full, error);
    return status == IPALLOC_OK ? store_info_copy(out, &full, error) : status;
}

int ipalloc_store_backup(ipalloc_store *store, const char *path, ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    if (path == NULL || path[0] == '\0')
        return error_set(error, IPALLOC_E_INVALID, "backup: no path was given");
    if (store->methods.backup == NULL)
        return error_set(
            error, IPALLOC_E_INVALID,
            "backup: this kind of store has no files of its own. An etcd is backed up "
            "by etcdctl snapshot save FILE; ipallocctl copy etcd:... sqlite:PATH makes "
            "a copy that can be read, and served from, without etcd");
    return store->methods.backup(store->self, path, error);
}

int ipalloc_store_accept(ipalloc_store *store, ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    return store->methods.accept == NULL ? IPALLOC_OK : store->methods.accept(store->self, error);
}

/* --- what only shared stores have ----------------------------------------------------------------
 */

int ipalloc_store_settle(ipalloc_store *store, uint64_t ticket, bool *happened, uint64_t *revision,
                         ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    if (happened == NULL || revision == NULL)
        return error_set(error, IPALLOC_E_INVALID,
                         "settle: happened and revision must not be NULL");
    if (ticket == 0 || store->methods.settle == NULL)
        return error_set(error, IPALLOC_E_INVALID, "settle: there is no such ticket");
    return store->methods.settle(store->self, ticket, happened, revision, error);
}

int ipalloc_store_reach(ipalloc_store *store, uint64_t revision, ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    return store->methods.reach == NULL ? IPALLOC_OK
                                        : store->methods.reach(store->self, revision, error);
}

int ipalloc_store_poll_fd(ipalloc_store *store) {
    return store == NULL || store->methods.poll_fd == NULL ? -1
                                                           : store->methods.poll_fd(store->self);
}

int ipalloc_store_poll_timeout_ms(ipalloc_store *store) {
    if (store == NULL || store->methods.poll_timeout_ms == NULL)
        return -1;
    return store->methods.poll_timeout_ms(store->self);
}

int ipalloc_store_process(ipalloc_store *store, uint64_t *known_to, ipalloc_error *error) {
    if (store == NULL)
        return no_store(error);
    if (store->methods.process != NULL)
        return store->methods.process(store->self, known_to, error);
    ipalloc_store_info info = {.size = sizeof info};
    int status = store->methods.info(store->self, &info, error);
    if (known_to != NULL)
        *known_to = info.revision;
    return status;
}
