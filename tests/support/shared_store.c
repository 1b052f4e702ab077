/*
 * shared_store.c: see shared_store.h.
 *
 * The cluster's mutex makes a batch and its outcome one; reads go to the truth as they are. Keys
 * that somebody else writes begin with '~', behind all of ours.
 */
#include "shared_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FOREIGN_KEY "~foreign"

enum batch_state { BATCH_LATE, BATCH_HAPPENED, BATCH_NEVER };

struct shared_batch {
    shared_batch *next; /* in the order of sending */
    uint64_t ticket;
    const shared_server *server; /* NULL: closed, nobody will ask */
    enum batch_state state;
    uint64_t revision;
    ipalloc_op *ops; /* copied; late ones only */
    size_t op_count;
};

/* --- late batches ----------------------------------------------------------------------------- */

static ipalloc_bytes copy_bytes(ipalloc_bytes bytes) {
    char *copy = malloc(bytes.size + 1);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return (ipalloc_bytes){.data = copy, .size = bytes.size};
}

static void copy_ops(shared_batch *late, const ipalloc_batch *batch) {
    late->op_count = batch->op_count;
    late->ops = malloc(batch->op_count * sizeof *late->ops);
    memcpy(late->ops, batch->ops, batch->op_count * sizeof *late->ops);
    for (size_t i = 0; i < late->op_count; i++) {
        late->ops[i].key = copy_bytes(late->ops[i].key);
        late->ops[i].value = copy_bytes(late->ops[i].value);
    }
}

static void free_ops(shared_batch *late) {
    for (size_t i = 0; i < late->op_count; i++) {
        free((void *)(uintptr_t)late->ops[i].key.data);
        free((void *)(uintptr_t)late->ops[i].value.data);
    }
    free(late->ops);
    late->ops = NULL;
    late->op_count = 0;
}

static void free_batch(shared_batch *batch) {
    free_ops(batch);
    free(batch);
}

/* What nobody will ask about any more, and cannot happen. */
static void forget_unasked(shared_cluster *cluster) {
    shared_batch **link = &cluster->batches;
    while (*link != NULL) {
        shared_batch *batch = *link;
        if (batch->server != NULL || batch->state == BATCH_LATE) {
            link = &batch->next;
            continue;
        }
        *link = batch->next;
        free_batch(batch);
    }
}

static shared_batch *remember(const shared_server *server, enum batch_state state) {
    shared_cluster *cluster = server->cluster;
    shared_batch *batch = calloc(1, sizeof *batch);
    shared_batch **link = &cluster->batches;
    batch->ticket = ++cluster->last_ticket;
    batch->state = state;
    batch->server = server->no_tickets ? NULL : server;
    while (*link != NULL)
        link = &(*link)->next;
    *link = batch;
    return batch;
}

/* --- what happens, with the mutex held -------------------------------------------------------- */

static void wake_servers(shared_cluster *cluster) {
    for (size_t i = 0; i < SHARED_SERVERS_MAX; i++)
        if (cluster->servers[i].cluster != NULL)
            eventfd_write(cluster->servers[i].poll_fd, 1);
}

static int apply(shared_cluster *cluster, ipalloc_batch *batch, ipalloc_error *error) {
    int status = ipalloc_store_commit(cluster->truth, batch, 1, error);
    if (status == IPALLOC_OK && batch->status == IPALLOC_OK) {
        cluster->head = batch->revision;
        wake_servers(cluster);
    }
    return status;
}

static size_t deliver(shared_cluster *cluster, shared_batch *late) {
    ipalloc_batch batch = {.ops = late->ops, .op_count = late->op_count};
    require_status(apply(cluster, &batch, NULL), IPALLOC_OK);
    bool happened = batch.status == IPALLOC_OK;
    late->state = happened ? BATCH_HAPPENED : BATCH_NEVER;
    late->revision = batch.revision;
    free_ops(late);
    return happened;
}

static int draw_fate(shared_server *server) {
    int left = server->fate_commits;
    while (left > 0 && !atomic_compare_exchange_weak(&server->fate_commits, &left, left - 1))
        continue;
    if (left > 0)
        return server->fate;
    uint64_t random = test_random(&server->cluster->random);
    if (random % 100 >= (uint64_t)server->unknown_percent)
        return FATE_HONEST;
    static const int FATES[] = {FATE_HAPPENS, FATE_LOST, FATE_LATE};
    return FATES[random / 100 % 3];
}

static int commit_with_fate(shared_server *server, ipalloc_batch *batch, ipalloc_error *error) {
    shared_cluster *cluster = server->cluster;
    enum batch_state state = BATCH_NEVER;
    int fate = draw_fate(server);
    if (fate == FATE_REFUSED)
        return IPALLOC_E_UNAVAILABLE;
    if (fate == FATE_HONEST)
        return apply(cluster, batch, error);
    if (fate == FATE_LATE && !server->no_tickets)
        state = BATCH_LATE;
    if (fate == FATE_HAPPENS) {
        int status = apply(cluster, batch, error);
        if (status != IPALLOC_OK)
            return status;
        state = batch->status == IPALLOC_OK ? BATCH_HAPPENED : BATCH_NEVER;
    }
    shared_batch *unknown = remember(server, state);
    unknown->revision = batch->revision;
    if (state == BATCH_LATE)
        copy_ops(unknown, batch);
    batch->ticket = server->no_tickets ? 0 : unknown->ticket;
    batch->revision = 0;
    batch->status = IPALLOC_E_UNKNOWN_OUTCOME;
    return IPALLOC_OK;
}

/* --- the methods ------------------------------------------------------------------------------ */

/* Counts the call; UNAVAILABLE where the server is cut off. */
static int enter(shared_server *server, enum shared_call call, ipalloc_error *error) {
    server->calls[call]++;
    if (server->before != NULL)
        server->before(server->before_context, call);
    if (!server->cut)
        return IPALLOC_OK;
    if (error != NULL) {
        error->status = IPALLOC_E_UNAVAILABLE;
        strcpy(error->message, "the server is cut off");
    }
    return IPALLOC_E_UNAVAILABLE;
}

static void leave(const shared_server *server, enum shared_call call) {
    if (server->behind != NULL)
        server->behind(server->behind_context, call);
}

static int shared_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                      ipalloc_error *error) {
    shared_server *server = self;
    int status = enter(server, SHARED_GET, error);
    if (status == IPALLOC_OK)
        status = ipalloc_store_get(server->cluster->truth, key, visit, context, error);
    leave(server, SHARED_GET);
    return status;
}

/* What a scan and a walk over changes put between. */
typedef struct filter {
    ipalloc_visit visit;
    void *context;
    uint64_t known_to; /* later entries are not told */
    bool expires;      /* behind the first one */
    size_t seen;
} filter;

static int filter_entry(void *context, const ipalloc_entry *entry) {
    filter *f = context;
    if (entry->key.size > 0 && *(const char *)entry->key.data == '~')
        return IPALLOC_OK;
    if (entry->revision > f->known_to)
        return IPALLOC_OK;
    if (f->expires && f->seen++ > 0)
        return IPALLOC_E_EXPIRED;
    return f->visit(f->context, entry);
}

static bool take_expiry(shared_server *server) {
    int left = server->scans_expire;
    while (left > 0 && !atomic_compare_exchange_weak(&server->scans_expire, &left, left - 1))
        continue;
    return left > 0;
}

static int shared_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                       ipalloc_visit visit, void *context, uint64_t *at_revision,
                       ipalloc_error *error) {
    shared_server *server = self;
    int status = enter(server, SHARED_SCAN, error);
    if (status != IPALLOC_OK)
        return status;
    filter f = {
        .visit = visit, .context = context, .known_to = UINT64_MAX, .expires = take_expiry(server)};
    status = ipalloc_store_scan(server->cluster->truth, prefix, after, limit, filter_entry, &f,
                                at_revision, error);
    return status == IPALLOC_OK && f.expires ? IPALLOC_E_EXPIRED : status;
}

static int shared_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    shared_server *server = self;
    int status = enter(server, SHARED_COMMIT, error);
    pthread_mutex_lock(&server->cluster->mutex);
    for (size_t i = 0; status == IPALLOC_OK && i < count; i++) {
        server->timeout_ms = batches[i].timeout_ms;
        status = commit_with_fate(server, &batches[i], error);
    }
    pthread_mutex_unlock(&server->cluster->mutex);
    return status;
}

static uint64_t head_of(shared_cluster *cluster) {
    pthread_mutex_lock(&cluster->mutex);
    uint64_t head = cluster->head;
    pthread_mutex_unlock(&cluster->mutex);
    return head;
}

static uint64_t known_to(shared_server *server) {
    uint64_t head = head_of(server->cluster);
    return server->lags && server->known_to < head ? server->known_to : head;
}

static int shared_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                          ipalloc_visit visit, void *context, uint64_t *up_to,
                          ipalloc_error *error) {
    shared_server *server = self;
    uint64_t complete_to;
    int status = enter(server, SHARED_CHANGES, error);
    if (status == IPALLOC_OK && server->changes_expired)
        status = IPALLOC_E_EXPIRED;
    if (status != IPALLOC_OK)
        return status;
    filter f = {.visit = visit, .context = context, .known_to = known_to(server)};
    status = ipalloc_store_changes(server->cluster->truth, since, prefix, limit, filter_entry, &f,
                                   &complete_to, error);
    if (complete_to > f.known_to)
        complete_to = f.known_to;
    if (status == IPALLOC_OK && up_to != NULL)
        *up_to = complete_to > since ? complete_to : since;
    leave(server, SHARED_CHANGES);
    return status;
}

static int shared_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    shared_server *server = self;
    int status = enter(server, SHARED_INFO, error);
    if (status == IPALLOC_OK)
        status = ipalloc_store_get_info(server->cluster->truth, out, error);
    if (status == IPALLOC_OK)
        out->revision = head_of(server->cluster);
    return status;
}

static int settle(shared_server *server, uint64_t ticket, bool *happened, uint64_t *revision) {
    shared_cluster *cluster = server->cluster;
    shared_batch **link = &cluster->batches;
    if (test_random(&cluster->random) % 100 < (uint64_t)server->settle_percent)
        return IPALLOC_E_UNAVAILABLE;
    while (*link != NULL && (*link)->ticket != ticket)
        link = &(*link)->next;
    shared_batch *batch = *link;
    require(batch != NULL); /* settled twice, or never given out */
    *link = batch->next;
    *happened = batch->state == BATCH_HAPPENED;
    *revision = batch->revision;
    free_batch(batch);
    return IPALLOC_OK;
}

static int shared_settle(void *self, uint64_t ticket, bool *happened, uint64_t *revision,
                         ipalloc_error *error) {
    shared_server *server = self;
    int status = enter(server, SHARED_SETTLE, error);
    if (status == IPALLOC_OK && server->settle_fails)
        status = IPALLOC_E_UNAVAILABLE;
    pthread_mutex_lock(&server->cluster->mutex);
    if (status == IPALLOC_OK)
        status = settle(server, ticket, happened, revision);
    pthread_mutex_unlock(&server->cluster->mutex);
    return status;
}

static int shared_reach(void *self, uint64_t revision, ipalloc_error *error) {
    shared_server *server = self;
    int status = enter(server, SHARED_REACH, error);
    if (status == IPALLOC_OK && server->changes_expired)
        status = IPALLOC_E_EXPIRED;
    if (status == IPALLOC_OK && revision > head_of(server->cluster))
        status = IPALLOC_E_INVALID;
    if (status == IPALLOC_OK)
        shared_tell(server, head_of(server->cluster));
    return status;
}

static int shared_poll_fd(void *self) {
    const shared_server *server = self;
    return server->poll_fd;
}

static int shared_process(void *self, uint64_t *known, ipalloc_error *error) {
    shared_server *server = self;
    eventfd_t count;
    int status = enter(server, SHARED_PROCESS, error);
    if (status != IPALLOC_OK)
        return status;
    eventfd_read(server->poll_fd, &count); /* does not block; before the head is read */
    shared_tell(server, head_of(server->cluster));
    if (known != NULL)
        *known = known_to(server);
    return IPALLOC_OK;
}

static void shared_end(void *self) {
    shared_server *server = self;
    shared_cluster *cluster = server->cluster;
    pthread_mutex_lock(&cluster->mutex);
    for (shared_batch *b = cluster->batches; b != NULL; b = b->next)
        if (b->server == server)
            b->server = NULL;
    forget_unasked(cluster);
    close(server->poll_fd);
    server->cluster = NULL;
    server->handle = NULL;
    pthread_mutex_unlock(&cluster->mutex);
}

/* --- opening and closing ---------------------------------------------------------------------- */

void shared_open(shared_cluster *cluster) {
    ipalloc_error error;
    *cluster = (shared_cluster){0};
    pthread_mutex_init(&cluster->mutex, NULL);
    ck_assert_status_error(ipalloc_store_open("memory:", NULL, &cluster->truth, &error), IPALLOC_OK,
                           &error);
}

void shared_close(shared_cluster *cluster) {
    for (size_t i = 0; i < SHARED_SERVERS_MAX; i++)
        if (cluster->servers[i].cluster != NULL)
            shared_server_close(&cluster->servers[i]);
    while (cluster->batches != NULL) {
        shared_batch *batch = cluster->batches;
        cluster->batches = batch->next;
        free_batch(batch);
    }
    ipalloc_store_close(cluster->truth);
    pthread_mutex_destroy(&cluster->mutex);
}

shared_server *shared_server_open(shared_cluster *cluster, size_t index) {
    static const ipalloc_store_methods METHODS = {.size = sizeof METHODS,
                                                  .get = shared_get,
                                                  .scan = shared_scan,
                                                  .commit = shared_commit,
                                                  .changes = shared_changes,
                                                  .info = shared_info,
                                                  .close = shared_end,
                                                  .settle = shared_settle,
                                                  .reach = shared_reach,
                                                  .poll_fd = shared_poll_fd,
                                                  .process = shared_process};
    shared_server *server = &cluster->servers[index];
    ipalloc_error error;
    require(index < SHARED_SERVERS_MAX && server->cluster == NULL);
    memset(server, 0, sizeof *server);
    server->cluster = cluster;
    server->known_to = cluster->head;
    server->poll_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    require(server->poll_fd >= 0);
    ck_assert_status_error(ipalloc_store_create(&METHODS, server, NULL, &server->handle, &error),
                           IPALLOC_OK, &error);
    return server;
}

void shared_server_close(shared_server *server) {
    ipalloc_store_close(server->handle);
}

/* --- what tests ask for ----------------------------------------------------------------------- */

void shared_set_fate(shared_server *server, enum shared_fate fate, int commits) {
    server->fate = fate;
    server->fate_commits = commits;
}

static size_t count_late(const shared_cluster *cluster) {
    size_t late = 0;
    for (const shared_batch *b = cluster->batches; b != NULL; b = b->next)
        late += b->state == BATCH_LATE;
    return late;
}

size_t shared_deliver(shared_cluster *cluster) {
    size_t happened = 0;
    pthread_mutex_lock(&cluster->mutex);
    for (shared_batch *b = cluster->batches; b != NULL; b = b->next)
        if (b->state == BATCH_LATE)
            happened += deliver(cluster, b);
    forget_unasked(cluster);
    pthread_mutex_unlock(&cluster->mutex);
    return happened;
}

size_t shared_deliver_one(shared_cluster *cluster) {
    pthread_mutex_lock(&cluster->mutex);
    size_t late = count_late(cluster);
    size_t skip = late > 0 ? test_random(&cluster->random) % late : 0;
    shared_batch *b = late > 0 ? cluster->batches : NULL;
    while (b != NULL && (b->state != BATCH_LATE || skip-- > 0))
        b = b->next;
    size_t happened = b != NULL ? deliver(cluster, b) : 0;
    forget_unasked(cluster);
    pthread_mutex_unlock(&cluster->mutex);
    return happened;
}

void shared_tell(shared_server *server, uint64_t up_to) {
    uint64_t known = server->known_to;
    while (known < up_to && !atomic_compare_exchange_weak(&server->known_to, &known, up_to))
        continue;
}

void shared_foreign_write(shared_cluster *cluster) {
    ipalloc_op op = {.kind = IPALLOC_OP_PUT, .key = {.data = FOREIGN_KEY, .size = 8}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    require_status(ipalloc_store_commit(cluster->truth, &batch, 1, NULL), IPALLOC_OK);
    require_status(batch.status, IPALLOC_OK);
}

size_t shared_count(const shared_server *server, enum shared_call call) {
    return server->calls[call];
}

size_t shared_count_all(const shared_server *server) {
    size_t all = 0;
    for (size_t i = 0; i < SHARED_CALLS; i++)
        all += server->calls[i];
    return all;
}

void shared_reset_counts(shared_server *server) {
    for (size_t i = 0; i < SHARED_CALLS; i++)
        server->calls[i] = 0;
}
