/*
 * etcd.c: the etcd store: opening, closing, and its methods in one table.
 *
 * May use: base/, the channel. Opening connects, and reads or makes the form; see etcd_store.h for
 * what lies in etcd and how the parts share their state.
 */
#include "store/etcd_store.h"

#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_DEFAULT_MS = 5000, FIRST_SWEEP_MS = 600000 };

/* --- methods of the feed -------------------------------------------------------------------------
 */

static int changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                   ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    return feed_changes(self, since, prefix, limit, visit, context, up_to, error);
}

static int reach(void *self, uint64_t revision, ipalloc_error *error) {
    return feed_reach(self, revision, error);
}

static int poll_fd(void *self) {
    return feed_poll_fd(self);
}

static int poll_timeout_ms(void *self) {
    return feed_poll_timeout_ms(self);
}

static int process(void *self, uint64_t *known_to, ipalloc_error *error) {
    return feed_process(self, known_to, error);
}

/* --- closing -------------------------------------------------------------------------------------
 */

static void etcd_close(void *self) {
    etcd_store *store = self;
    slots_free(store);
    etcd_relics_free(store);
    feed_free(store);
    channel_close(store->channel);
    pthread_mutex_destroy(&store->mutex);
    hooks_free(store->hooks, store);
}

static const ipalloc_store_methods METHODS = {.size = sizeof METHODS,
                                              .get = etcd_get,
                                              .scan = etcd_scan,
                                              .commit = etcd_commit,
                                              .changes = changes,
                                              .info = etcd_info,
                                              .accept = etcd_accept,
                                              .close = etcd_close,
                                              .settle = etcd_settle,
                                              .reach = reach,
                                              .poll_fd = poll_fd,
                                              .poll_timeout_ms = poll_timeout_ms,
                                              .process = process};

/* --- opening -------------------------------------------------------------------------------------
 */

static int check_options(const etcd_place *place, const ipalloc_store_options *options,
                         ipalloc_error *error) {
    if (!place->tls &&
        (options->ca_file != NULL || options->cert_file != NULL || options->key_file != NULL))
        return error_set(error, IPALLOC_E_INVALID,
                         "etcd store: certificates were given, but the URL says http://");
    if ((options->cert_file == NULL) != (options->key_file == NULL))
        return error_set(error, IPALLOC_E_INVALID,
                         "etcd store: cert_file and key_file come together or not at all");
    if ((options->user == NULL) != (options->password == NULL))
        return error_set(error, IPALLOC_E_INVALID,
                         "etcd store: user and password come together or not at all");
    if (options->first_epoch > ETCD_REVISION_MAX)
        return error_set(error, IPALLOC_E_INVALID, "etcd store: first_epoch is out of range");
    return IPALLOC_OK;
}

static int connect_to(etcd_store *store, const etcd_place *place,
                      const ipalloc_store_options *options, ipalloc_error *error) {
    const char *hosts[ETCD_HOSTS_MAX];
    for (size_t i = 0; i < place->host_count; i++)
        hosts[i] = place->hosts[i];
    channel_options wanted = {.hooks = store->hooks,
                              .system = store->system,
                              .hosts = hosts,
                              .host_count = place->host_count,
                              .tls = place->tls,
                              .ca_file = options->ca_file,
                              .cert_file = options->cert_file,
                              .key_file = options->key_file,
                              .user = options->user,
                              .password = options->password,
                              .timeout_ms = store->timeout_ms};
    ipalloc_error inner = {0};
    int status = channel_open(&wanted, &store->channel, &inner);
    if (status != IPALLOC_OK)
        error_set(error, status, "%s: %s", store->name, inner.message);
    return status;
}

/* Sessions must differ even where programs give the same random numbers. */
static uint64_t session_number(etcd_store *store) {
    uint64_t here = (uint64_t)(uintptr_t)store ^ (uint64_t)store->system->process_id() << 48;
    return random_mix(hooks_random(store->hooks) ^ random_mix(hooks_pacing_ns()) ^
                      random_mix(here + hooks_wall_ms(store->hooks)));
}

static etcd_store *make(const store_opening *opening, const etcd_place *place) {
    etcd_store *store = hooks_alloc_zeroed(opening->hooks, sizeof *store);
    if (store == NULL)
        return NULL;
    const ipalloc_store_options *options = opening->options;
    char quoted[ETCD_NAME_MAX - 16];
    store->hooks = opening->hooks;
    store->system = opening->system;
    snprintf(store->name, sizeof store->name, "etcd store \"%s\"",
             text_quote(opening->rest, strlen(opening->rest), quoted, sizeof quoted));
    memcpy(store->prefix, place->prefix, sizeof store->prefix);
    store->prefix_length = place->prefix_length;
    store->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    store->changes_kept = options->changes_kept;
    store->read_only = options->read_only;
    store->session = session_number(store);
    store->sweep_ms = hooks_monotonic_ms(store->hooks) + FIRST_SWEEP_MS;
    pthread_mutex_init(&store->mutex, NULL); /* cannot fail with default attributes on Linux */
    atomic32_init(&store->head.ended, 0);
    return store;
}

int etcd_store_open(const store_opening *opening, ipalloc_error *error) {
    etcd_place place;
    int status = etcd_url_parse(opening->rest, &place, error);
    if (status == IPALLOC_OK)
        status = check_options(&place, opening->options, error);
    if (status != IPALLOC_OK)
        return status;
    etcd_store *store = make(opening, &place);
    if (store == NULL)
        return error_no_memory(error);
    status = connect_to(store, &place, opening->options, error);
    if (status == IPALLOC_OK)
        status = etcd_form_open(store, opening->options, error);
    if (status != IPALLOC_OK) {
        etcd_close(store);
        return status;
    }
    *opening->methods = METHODS;
    *opening->self = store;
    return IPALLOC_OK;
}
