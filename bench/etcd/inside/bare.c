/*
 * bare.c: the transactions of an allocation without registry and store: packed by the same code, of
 * records of the same bytes, sent through the same client; see etcd_bench.h.
 *
 * A sample of the two records is taken from a registry in memory; each transaction gets a lease and
 * an owner of its own by the digits in them.
 */
#include "inside.h"

#include <ipalloc/ipalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 512, DIGITS = 15 }; /* "00-000000000000" */

static const char MARK[] = "77-777777777777"; /* as many as DIGITS */

typedef struct sample {
    char key[TEXT_MAX], value[TEXT_MAX];
    size_t key_size, value_size;
} sample;

typedef struct bare {
    hooks hooks;
    etcd_channel *channel;
    etcd_store store; /* as much of it as packing looks at */
    uint64_t form_revision, definitions_revision;
    unsigned server, servers, callers;
    sample lease, owner;
    etcd_slot slots[CALLERS_MAX];
} bare;

static void need(int status, const char *what, const ipalloc_error *error) {
    if (status != IPALLOC_OK)
        broken(what, error->message);
}

/* --- the records ------------------------------------------------------------------------------ */

static int copy_record(void *context, const ipalloc_entry *entry) {
    sample *s = context;
    if (entry->key.size >= TEXT_MAX || entry->value.size >= TEXT_MAX)
        broken("a record", "is larger than was thought");
    memcpy(s->key, entry->key.data, entry->key.size);
    memcpy(s->value, entry->value.data, entry->value.size);
    s->key_size = entry->key.size;
    s->value_size = entry->value.size;
    return IPALLOC_OK;
}

static void take_samples(bare *b) {
    ipalloc_store *store;
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    ipalloc_error error = {0};
    ipalloc_cidr range;
    ipalloc_grant grant = {.size = sizeof grant};
    char owner[64];
    snprintf(owner, sizeof owner, "Service/bench/0-%s", MARK);
    need(ipalloc_store_open("memory:", NULL, &store, &error), "memory:", &error);
    need(ipalloc_registry_open(store, NULL, &registry, &error), "memory:", &error);
    need(ipalloc_cidr_parse("10.96.0.0/16", 12, &range, &error), "the range", &error);
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    need(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error), "pool", &error);
    need(ipalloc_allocate(registry, pool, owner, "clusterIP/IPv4", &grant, &error), "one", &error);
    need(ipalloc_store_scan(store, (ipalloc_bytes){"lease/", 6}, (ipalloc_bytes){0}, 1, copy_record,
                            &b->lease, NULL, &error),
         "lease", &error);
    need(ipalloc_store_scan(store, (ipalloc_bytes){"owner/", 6}, (ipalloc_bytes){0}, 1, copy_record,
                            &b->owner, NULL, &error),
         "owner", &error);
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
}

static void set_digits(char *text, size_t size, const char digits[DIGITS + 1]) {
    char *at = memmem(text, size, MARK, DIGITS);
    if (at != NULL)
        memcpy(at, digits, DIGITS);
}

/* --- opening ---------------------------------------------------------------------------------- */

static ipalloc_store *open_store(const setup *s) {
    char url[1024];
    ipalloc_store *store;
    ipalloc_error error = {0};
    snprintf(url, sizeof url, "etcd:http://%s%s", s->hosts, s->prefix);
    need(ipalloc_store_open(url, NULL, &store, &error), url, &error);
    return store;
}

/* The store's form, and the definitions' mark that every allocation is conditional on. */
static void prepare_bare(const setup *s) {
    ipalloc_store *store = open_store(s);
    ipalloc_error error = {0};
    ipalloc_op op = {.kind = IPALLOC_OP_PUT, .key = {"definitions/", 12}, .value = {"1\n", 2}};
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    need(ipalloc_store_commit(store, &batch, 1, &error), "definitions", &error);
    need(batch.status, "definitions", &error);
    ipalloc_store_close(store);
}

static uint64_t revision_of(bare *b, const etcd_key_text *key) {
    size_t size;
    int64_t revision;
    free(inside_read(b->channel, &b->hooks, etcd_binary(key), &size, &revision));
    if (revision == 0)
        broken("a key", "is not there");
    return (uint64_t)revision;
}

static void *open_bare(const setup *s) {
    bare *b = calloc(1, sizeof *b);
    etcd_key_text key;
    if (b == NULL)
        broken("bare", "out of memory");
    b->channel = inside_connect(s, &b->hooks);
    b->server = s->server;
    b->servers = s->servers;
    b->callers = s->callers;
    b->store.hooks = &b->hooks;
    b->store.session = hooks_random(&b->hooks);
    b->store.prefix_length =
        (size_t)snprintf(b->store.prefix, sizeof b->store.prefix, "%s/", s->prefix);
    for (unsigned i = 0; i < s->callers; i++)
        b->slots[i].number = i;
    etcd_key_store(&b->store, "form", &key);
    b->form_revision = revision_of(b, &key);
    etcd_key_data(&b->store, (ipalloc_bytes){"definitions/", 12}, &key);
    b->definitions_revision = revision_of(b, &key);
    take_samples(b);
    return b;
}

/* --- allocating ------------------------------------------------------------------------------- */

/* An address that no other caller of any server comes to. */
static void make_records(const bare *b, unsigned caller, uint64_t number, sample *lease,
                         sample *owner) {
    uint64_t place = (number * b->servers + b->server) * b->callers + caller;
    char digits[DIGITS + 1], address[64];
    snprintf(digits, sizeof digits, "%02u-%012llu", caller, (unsigned long long)number);
    *lease = b->lease;
    *owner = b->owner;
    owner->key[strcspn(owner->key, "0")] = (char)('0' + b->server);
    set_digits(owner->key, owner->key_size, digits);
    set_digits(owner->value, owner->value_size, digits);
    set_digits(lease->value, lease->value_size, digits);
    int length =
        snprintf(address, sizeof address, "010.%03u.%03u.%03u/", (unsigned)(place >> 16) & 255,
                 (unsigned)(place >> 8) & 255, (unsigned)place & 255);
    memcpy(lease->key + lease->key_size - (size_t)length, address, (size_t)length);
}

static ipalloc_op put_of(const sample *s) {
    return (ipalloc_op){.kind = IPALLOC_OP_PUT,
                        .condition = IPALLOC_IF_ABSENT,
                        .key = {s->key, s->key_size},
                        .value = {s->value, s->value_size}};
}

static uint64_t allocate_bare(void *self, unsigned caller, uint64_t number) {
    bare *b = self;
    sample lease, owner;
    etcd_slot *slot = &b->slots[caller];
    uint8_t *bytes;
    size_t size;
    make_records(b, caller, number, &lease, &owner);
    ipalloc_op ops[] = {{.kind = IPALLOC_OP_CHECK,
                         .condition = IPALLOC_IF_REVISION,
                         .revision = b->definitions_revision,
                         .key = {"definitions/", 12}},
                        put_of(&lease),
                        put_of(&owner)};
    ipalloc_batch batch = {.ops = ops, .op_count = sizeof ops / sizeof ops[0]};
    slot->nonce = number * CALLERS_MAX + caller + 1;
    if (txn_pack_batch(&b->store, &batch, slot, b->form_revision, hooks_wall_ms(&b->hooks), &bytes,
                       &size, NULL) != IPALLOC_OK)
        broken("bare", "out of memory");
    Etcd__TxnResponse *answer = inside_send(b->channel, &b->hooks, bytes, size);
    if (!answer->succeeded)
        broken("bare", "a condition does not hold");
    slot->revision = (uint64_t)answer->header->revision;
    etcd_free_message(&b->hooks, &answer->base);
    hooks_free(&b->hooks, bytes);
    return 0;
}

static void close_bare(void *self) {
    bare *b = self;
    channel_close(b->channel);
    free(b);
}

const subject BARE = {"bare transactions", prepare_bare, open_bare, allocate_bare, close_bare};
