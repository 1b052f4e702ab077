/*
 * test_etcd_store.c: the etcd store on a real etcd: whose prefix it is, etcd's limits, large
 * transactions of a registry, scans over compaction, and what dead sessions leave.
 */
#include "../store/store_support.h"
#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static etcd_cluster *cluster;
static const char *prefix; /* of this test */
static const char *url;

static void start_cluster(void) {
    cluster = etcd_start(NULL);
}

static void stop_cluster(void) {
    etcd_stop(cluster);
}

static void set_up(void) {
    static char text[64];
    static unsigned used;
    snprintf(text, sizeof text, "/t%u-%d", used++, (int)getpid());
    prefix = text;
    url = etcd_url(cluster, prefix);
    revision_zero = 0;
}

static const char *key_of(const char *rest) {
    static char out[4][128];
    static unsigned next;
    char *text = out[next++ % 4];
    snprintf(text, sizeof out[0], "%s/%s", prefix, rest);
    return text;
}

static int open_with(ipalloc_store_options options, ipalloc_store **out, ipalloc_error *error) {
    options.size = sizeof options;
    return ipalloc_store_open(url, &options, out, error);
}

static void says(const ipalloc_error *error, const char *words) {
    ck_assert_msg(strstr(error->message, words) != NULL, "\"%s\" lacks \"%s\"", error->message,
                  words);
}

static void is_refused(ipalloc_store_options options, int status, const char *words) {
    ipalloc_store *store;
    ipalloc_error error = {0};
    ck_assert_status_error(open_with(options, &store, &error), status, &error);
    says(&error, words);
}

static void pass_by(void *context, const etcd_key *key) {
    (void)context, (void)key;
}

static size_t count_keys(const char *under) {
    return etcd_read_all(cluster, under, pass_by, NULL);
}

/* --- whose prefix --------------------------------------------------------------------------------
 */

START_TEST(a_prefix_with_anything_else_in_it_is_left_alone) {
    etcd_ctl_ok(cluster, "put", key_of("registry/pods/a"), "x");
    is_refused((ipalloc_store_options){0}, IPALLOC_E_CORRUPT, "belongs to something else");
    is_refused((ipalloc_store_options){0}, IPALLOC_E_CORRUPT, "registry/pods/a");
    is_refused((ipalloc_store_options){.must_exist = true}, IPALLOC_E_CORRUPT, "something else");
    ck_assert_uint_eq(count_keys(key_of("")), 1);
}
END_TEST

START_TEST(a_form_of_a_newer_library_or_of_nobody_is_left_alone) {
    etcd_ctl_ok(cluster, "put", key_of("store/form"), "form=2\nwhat=ever\n");
    is_refused((ipalloc_store_options){0}, IPALLOC_E_CORRUPT, "has form 2");
    etcd_ctl_ok(cluster, "put", key_of("store/form"), "hello");
    is_refused((ipalloc_store_options){0}, IPALLOC_E_CORRUPT, "damaged");
    ck_assert_uint_eq(count_keys(key_of("")), 1);
}
END_TEST

START_TEST(a_store_is_made_only_where_that_is_wanted) {
    is_refused((ipalloc_store_options){.must_exist = true}, IPALLOC_E_NOT_FOUND, prefix);
    is_refused((ipalloc_store_options){.read_only = true}, IPALLOC_E_NOT_FOUND, prefix);
    ck_assert_uint_eq(count_keys(key_of("")), 0);
    ipalloc_store *store, *reader;
    ck_assert_status(open_with((ipalloc_store_options){.first_epoch = 9}, &store, NULL),
                     IPALLOC_OK);
    ck_assert_uint_eq(info_of(store).epoch, 9);
    put(store, "a/", "1");
    ck_assert_status(
        open_with((ipalloc_store_options){.first_epoch = 4, .must_exist = true, .read_only = true},
                  &reader, NULL),
        IPALLOC_OK);
    ck_assert_uint_eq(info_of(reader).epoch, 9);
    ck_assert(info_of(reader).read_only);
    ck_assert_ptr_nonnull(strstr(value_of(reader, "a/"), "1@"));
    ipalloc_op op = op_put("a/", "2");
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ck_assert_status(ipalloc_store_commit(reader, &batch, 1, NULL), IPALLOC_E_READ_ONLY);
    ck_assert_status(batch.status, IPALLOC_E_READ_ONLY);
    ipalloc_store_close(reader);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(of_many_that_make_a_store_at_once_all_get_the_same) {
    ipalloc_store *stores[8];
    for (int i = 0; i < 8; i++)
        ck_assert_status(
            open_with((ipalloc_store_options){.first_epoch = (uint64_t)i + 1}, &stores[i], NULL),
            IPALLOC_OK);
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_eq(info_of(stores[i]).epoch, 1);
        ipalloc_store_close(stores[i]);
    }
}
END_TEST

START_TEST(options_that_contradict_each_other_are_refused) {
    is_refused((ipalloc_store_options){.ca_file = "x"}, IPALLOC_E_INVALID, "http://");
    is_refused((ipalloc_store_options){.user = "x"}, IPALLOC_E_INVALID, "user and password");
    url = "etcd:https://127.0.0.1:1/x";
    is_refused((ipalloc_store_options){.cert_file = "x"}, IPALLOC_E_INVALID, "key_file");
}
END_TEST

/* Not the head of the whole etcd, which others move too. */
START_TEST(the_head_is_the_last_batch_under_the_prefix) {
    ipalloc_store *store = open_store(url, NULL);
    uint64_t last = put(store, "a/", "1");
    etcd_ctl_ok(cluster, "put", "/elsewhere", "x");
    etcd_ctl_ok(cluster, "put", "/elsewhere", "y");
    ck_assert_uint_eq(info_of(store).revision, last);
    ck_assert_uint_eq(put(store, "a/", "2"), last + 3);
    ck_assert_uint_eq(info_of(store).revision, last + 3);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_form_from_another_cluster_is_a_restored_store) {
    ipalloc_store *store = open_store(url, NULL);
    put(store, "a/", "1");
    ipalloc_store_close(store);
    etcd_ctl_ok(cluster, "put", key_of("store/form"),
                "form=1\nepoch=5\ncluster=0000000000000001\n");
    store = open_store(url, NULL);
    ck_assert(info_of(store).restored);
    ipalloc_op op = op_put("a/", "2");
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ck_assert_status(ipalloc_store_commit(store, &batch, 1, NULL), IPALLOC_E_MISMATCH);
    ck_assert_status(ipalloc_store_accept(store, NULL), IPALLOC_OK);
    ck_assert_uint_eq(info_of(store).epoch, 6);
    must_commit(store, &op, 1);
    ipalloc_store_close(store);
    store = open_store(url, NULL);
    ck_assert(!info_of(store).restored);
    ipalloc_store_close(store);
}
END_TEST

/* --- scans ---------------------------------------------------------------------------------------
 */

static void fill(ipalloc_store *store, int count, size_t value_size) {
    static char keys[100][16], value[100000];
    ipalloc_op ops[100];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < count; i++) {
        snprintf(keys[i % 100], sizeof keys[0], "k%05d/", i);
        ops[i % 100] = op_put(keys[i % 100], "");
        ops[i % 100].value = (ipalloc_bytes){value, value_size};
        if (i % 100 == 99 || i == count - 1)
            must_commit(store, ops, (size_t)(i % 100) + 1);
    }
}

typedef struct seen {
    int count;
    int compact_at;
    bool in_order;
    ipalloc_store *store; /* to be called from within the walk: no lock is held */
} seen;

static int see(void *context, const ipalloc_entry *entry) {
    seen *s = context;
    char key[16];
    snprintf(key, sizeof key, "k%05d/", s->count);
    s->in_order = s->in_order && entry->key.size == strlen(key) &&
                  memcmp(entry->key.data, key, entry->key.size) == 0;
    if (s->compact_at != 0 && s->count == s->compact_at) {
        put(s->store, "later/", "x"); /* so that what is being read is the past */
        etcd_compact(cluster);
    }
    s->count++;
    return IPALLOC_OK;
}

START_TEST(scans_go_over_any_number_of_pages) {
    ipalloc_store *store = open_store(url, NULL);
    fill(store, 3000, 10);
    seen s = {.in_order = true};
    ipalloc_bytes none = {0}, all = text_bytes("k");
    ck_assert_status(ipalloc_store_scan(store, all, none, 0, see, &s, NULL, NULL), IPALLOC_OK);
    ck_assert_int_eq(s.count, 3000);
    ck_assert(s.in_order);
    for (size_t limit = 255; limit <= 257; limit++) { /* around the first page's end */
        s = (seen){.in_order = true};
        ck_assert_status(ipalloc_store_scan(store, all, none, limit, see, &s, NULL, NULL),
                         IPALLOC_OK);
        ck_assert_int_eq(s.count, (int)limit);
    }
    s = (seen){.in_order = true, .count = 2990};
    ck_assert_status(ipalloc_store_scan(store, all, text_bytes("k02989/"), 0, see, &s, NULL, NULL),
                     IPALLOC_OK);
    ck_assert_int_eq(s.count, 3000);
    ck_assert(s.in_order);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(scans_take_large_values_in_small_pages) {
    ipalloc_store *store = open_store(url, NULL);
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof key, "small%d/", i);
        put(store, key, "x");
    }
    fill(store, 10, 100000);
    seen s = {.in_order = true};
    ck_assert_status(
        ipalloc_store_scan(store, text_bytes("k"), (ipalloc_bytes){0}, 0, see, &s, NULL, NULL),
        IPALLOC_OK);
    ck_assert_int_eq(s.count, 10);
    ck_assert(s.in_order);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_scan_over_a_compaction_is_expired) {
    ipalloc_store *store = open_store(url, NULL);
    fill(store, 400, 10);
    seen s = {.compact_at = 100, .store = store};
    ipalloc_error error = {0};
    ck_assert_status(
        ipalloc_store_scan(store, text_bytes("k"), (ipalloc_bytes){0}, 0, see, &s, NULL, &error),
        IPALLOC_E_EXPIRED);
    says(&error, "compacted");
    ck_assert_int_lt(s.count, 400);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(prefixes_of_the_last_byte_end_where_they_should) {
    ipalloc_store *store = open_store(url, NULL);
    static const char *const keys[] = {"\xff", "\xff\xff", "\xff\xff\x01", "\xfe\xff", "a"};
    for (size_t i = 0; i < 5; i++)
        put(store, keys[i], "");
    walk w = {0};
    ck_assert_status(ipalloc_store_scan(store, text_bytes("\xff"), (ipalloc_bytes){0}, 0,
                                        write_down, &w, NULL, NULL),
                     IPALLOC_OK);
    ck_assert_uint_eq(w.count, 3);
    w = (walk){0};
    ck_assert_status(ipalloc_store_scan(store, text_bytes("\xff\xff"), text_bytes("\xff\xff"), 0,
                                        write_down, &w, NULL, NULL),
                     IPALLOC_OK);
    ck_assert_uint_eq(w.count, 1);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(keys_that_nobody_of_us_wrote_are_damage) {
    ipalloc_store *store = open_store(url, NULL);
    char key[2000];
    snprintf(key, sizeof key, "%s/data/", prefix);
    memset(key + strlen(key), 'k', IPALLOC_KEY_MAX + 1);
    key[strlen(prefix) + 6 + IPALLOC_KEY_MAX + 1] = '\0';
    etcd_ctl_ok(cluster, "put", key, "x");
    ipalloc_error error = {0};
    walk w = {0};
    ck_assert_status(ipalloc_store_scan(store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0,
                                        write_down, &w, NULL, &error),
                     IPALLOC_E_CORRUPT);
    says(&error, "not written by this library");
    ipalloc_store_close(store);
}
END_TEST

/* --- etcd's limits -------------------------------------------------------------------------------
 */

START_TEST(a_batch_that_is_too_large_for_etcd_is_told_by_which_limit) {
    ipalloc_store *store = open_store(url, NULL);
    char *value = calloc(1, IPALLOC_VALUE_MAX);
    ipalloc_op ops[] = {op_put("a/", ""), op_put("b/", ""), op_put("c/", "")};
    for (int i = 0; i < 3; i++)
        ops[i].value = (ipalloc_bytes){value, IPALLOC_VALUE_MAX};
    for (size_t count = 2; count <= 3; count++) { /* above --max-request-bytes; above gRPC's too */
        ipalloc_error error = {0};
        ipalloc_batch batch = {.ops = ops, .op_count = count};
        ck_assert_status_error(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_E_INVALID,
                               &error);
        says(&error, "--max-request-bytes");
    }
    ck_assert_str_eq(value_of(store, "a/"), "absent");
    put(store, "a/", "small");
    free(value);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_lowered_limit_of_operations_is_told) {
    const char *const arguments[] = {"--max-txn-ops=16", NULL};
    etcd_cluster *strict = etcd_start(&(etcd_options){.arguments = arguments});
    ipalloc_store *store = open_store(etcd_url(strict, "/p"), NULL);
    static char keys[IPALLOC_BATCH_OPS_MAX][16];
    static ipalloc_op ops[IPALLOC_BATCH_OPS_MAX];
    for (int i = 0; i < IPALLOC_BATCH_OPS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%03d/", i);
        ops[i] = if_absent(op_put(keys[i], "v"));
    }
    static const size_t counts[] = {20, IPALLOC_BATCH_OPS_MAX};
    for (int i = 0; i < 2; i++) {
        ipalloc_error error = {0};
        ipalloc_batch batch = {.ops = ops, .op_count = counts[i]};
        ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_E_INVALID);
        says(&error, "--max-txn-ops");
    }
    must_commit(store, ops, 10);
    ipalloc_store_close(store);
    etcd_stop(strict);
}
END_TEST

START_TEST(a_full_etcd_is_an_error_and_not_an_unknown_outcome) {
    const char *const arguments[] = {"--quota-backend-bytes=8388608", NULL};
    etcd_cluster *small = etcd_start(&(etcd_options){.arguments = arguments});
    ipalloc_store *store = open_store(etcd_url(small, "/p"), NULL);
    char *value = calloc(1, IPALLOC_VALUE_MAX), key[16];
    ipalloc_error error = {0};
    int status = IPALLOC_OK;
    for (int i = 0; i < 40 && status == IPALLOC_OK; i++) {
        snprintf(key, sizeof key, "k%02d/", i);
        ipalloc_op op = op_put(key, "");
        op.value = (ipalloc_bytes){value, IPALLOC_VALUE_MAX};
        ipalloc_batch batch = {.ops = &op, .op_count = 1};
        ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), batch.status);
        status = batch.status;
    }
    ck_assert_status_error(status, IPALLOC_E_IO, &error);
    says(&error, "space");
    ck_assert_str_eq(value_of(store, key), "absent");
    free(value);
    ipalloc_store_close(store);
    etcd_stop(small);
}
END_TEST

/* --- a registry's largest transactions -----------------------------------------------------------
 */

enum { MANY = IPALLOC_TXN_ADDRESSES_MAX, REST_MS = 1000 };

static uint64_t clock_ms; /* of the registries here: wall and monotonic */

static uint64_t tell_time(void *context) {
    (void)context;
    return clock_ms;
}

static ipalloc_hooks timed(void) {
    return (ipalloc_hooks){
        .size = sizeof(ipalloc_hooks), .wall_clock_ms = tell_time, .monotonic_ms = tell_time};
}

static int allocate_many(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    for (int i = 0; i < MANY; i++) {
        char slot[16];
        snprintf(slot, sizeof slot, "s%03d", i);
        ipalloc_grant grant = {.size = sizeof grant};
        int status = ipalloc_txn_allocate(txn, context, slot, &grant, error);
        if (status != IPALLOC_OK)
            return status;
    }
    return IPALLOC_OK;
}

static int release_all(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    (void)context;
    return ipalloc_txn_release_all(txn, error);
}

static void transact(ipalloc_registry *registry, ipalloc_txn_body body, ipalloc_pool *pool) {
    ipalloc_txn_options options = {.size = sizeof options, .owner = "many"};
    ipalloc_error error;
    ck_assert_status_error(ipalloc_transact(registry, &options, body, pool, NULL, &error),
                           IPALLOC_OK, &error);
}

static ipalloc_registry *open_registry(ipalloc_store *store, ipalloc_pool **pool) {
    static ipalloc_hooks given;
    given = timed();
    ipalloc_registry_options options = {.size = sizeof options, .hooks = &given};
    ipalloc_registry *registry;
    ipalloc_error error;
    ipalloc_cidr range = cidr("10.0.0.0/25"); /* 126 addresses: the rested ones are needed */
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = IPALLOC_POOL_IPV4,
                                          .ranges = &range,
                                          .range_count = 1,
                                          .cool_down_ms = REST_MS};
    ck_assert_status_error(ipalloc_registry_open(store, &options, &registry, &error), IPALLOC_OK,
                           &error);
    ck_assert_status_error(ipalloc_pool_define(registry, "p", &definition, pool, &error),
                           IPALLOC_OK, &error);
    return registry;
}

START_TEST(a_hundred_addresses_with_their_rests_are_one_transaction) {
    clock_ms = 1700000000000;
    ipalloc_store *store = open_store(url, NULL);
    ipalloc_pool *pool;
    ipalloc_registry *registry = open_registry(store, &pool);
    ipalloc_error error;
    for (int round = 0; round < 3; round++) {
        uint64_t before = info_of(store).revision;
        transact(registry, allocate_many, pool); /* of which most were rested, from round 1 on */
        ck_assert_uint_eq(info_of(store).revision, before + 1);
        ck_assert_uint_eq(count_keys(key_of("data/lease/")), MANY);
        transact(registry, release_all, pool);
        ck_assert_uint_eq(info_of(store).revision, before + 2);
        ck_assert_uint_eq(count_keys(key_of("data/lease/")), 0);
        ck_assert_uint_ge(count_keys(key_of("data/cooling/")), MANY);
        ck_assert_status_error(ipalloc_registry_validate(registry, &error), IPALLOC_OK, &error);
        clock_ms += 2 * REST_MS;
    }
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
}
END_TEST

/* Two servers draw from the same 126 addresses, the one without knowing of the other's: its first
 * attempts are in conflict, in whichever inner transaction, and leave nothing. */
START_TEST(a_conflict_in_a_large_transaction_leaves_nothing) {
    clock_ms = 1700000000000;
    ipalloc_store *stores[2] = {open_store(url, NULL), open_store(url, NULL)};
    ipalloc_pool *pools[2];
    ipalloc_registry *registries[2];
    for (int i = 0; i < 2; i++)
        registries[i] = open_registry(stores[i], &pools[i]);
    transact(registries[0], allocate_many, pools[0]); /* so that there are rests to remove */
    transact(registries[0], release_all, pools[0]);
    clock_ms += 2 * REST_MS;
    ipalloc_error error;
    ipalloc_registry_process(registries[1], NULL, NULL);
    ipalloc_txn_options options = {.size = sizeof options, .owner = "late"};
    ipalloc_txn *txn;
    ck_assert_status(ipalloc_begin(registries[1], &options, &txn, &error), IPALLOC_OK);
    ck_assert_status_error(allocate_many(txn, pools[1], &error), IPALLOC_OK, &error);
    ipalloc_grant one = {.size = sizeof one};
    for (int i = 0; i < 40; i++) { /* more than what it leaves */
        char owner[16];
        snprintf(owner, sizeof owner, "quick%d", i);
        ck_assert_status_error(ipalloc_allocate(registries[0], pools[0], owner, "s", &one, &error),
                               IPALLOC_OK, &error);
    }
    uint64_t before = info_of(stores[0]).revision;
    ck_assert_status(ipalloc_txn_commit(txn, NULL, &error), IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(info_of(stores[0]).revision, before);
    ck_assert_uint_eq(count_keys(key_of("data/lease/")), 40);
    ck_assert_uint_eq(count_keys(key_of("data/owner/late/")), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_status_error(ipalloc_registry_validate(registries[i], &error), IPALLOC_OK,
                               &error);
        ipalloc_registry_close(registries[i]);
        ipalloc_store_close(stores[i]);
    }
}
END_TEST

/* --- what dead sessions leave --------------------------------------------------------------------
 */

START_TEST(slots_of_the_dead_are_swept_and_no_others) {
    enum { DAY_MS = 86400000, LOOK_MS = 600001 };
    clock_ms = 1700000000000;
    ipalloc_hooks given = timed();
    ipalloc_store *store;
    ck_assert_status(open_with((ipalloc_store_options){.hooks = &given}, &store, NULL), IPALLOC_OK);
    put(store, "a/", "1");
    char old[80], fresh[80];
    snprintf(old, sizeof old, "committed=1\ntime=%llu\n",
             (unsigned long long)(clock_ms - DAY_MS - LOOK_MS));
    snprintf(fresh, sizeof fresh, "committed=1\ntime=%llu\n",
             (unsigned long long)(clock_ms - DAY_MS + 3 * LOOK_MS));
    etcd_ctl_ok(cluster, "put", key_of("store/slot/0000000000000001/0"), old);
    etcd_ctl_ok(cluster, "put", key_of("store/slot/0000000000000001/1"), old);
    etcd_ctl_ok(cluster, "put", key_of("store/slot/0000000000000002/0"), fresh);
    etcd_ctl_ok(cluster, "put", key_of("store/slot/0000000000000003/0"), "no slot's value");
    put(store, "a/", "2");
    ck_assert_uint_eq(count_keys(key_of("store/slot/")), 5); /* too early for a look */
    clock_ms += LOOK_MS;
    put(store, "a/", "3"); /* the first look */
    ck_assert_uint_eq(count_keys(key_of("store/slot/")), 5);
    etcd_ctl_ok(cluster, "put", key_of("store/slot/0000000000000001/1"), old); /* lives after all */
    clock_ms += LOOK_MS;
    put(store, "a/", "4");
    ck_assert_uint_eq(count_keys(key_of("store/slot/0000000000000001/")), 2); /* one spoils it */
    clock_ms += LOOK_MS;
    uint64_t last = put(store, "a/", "5");
    ck_assert_uint_eq(count_keys(key_of("store/slot/0000000000000001/")), 0);
    ck_assert_uint_eq(count_keys(key_of("store/slot/0000000000000002/")), 1);
    ck_assert_uint_eq(count_keys(key_of("store/slot/0000000000000003/")), 1);
    ck_assert_uint_ge(info_of(store).revision, last);
    put(store, "a/", "6");
    ipalloc_store_close(store);
}
END_TEST

START_TEST(slots_are_as_many_as_batches_at_once) {
    ipalloc_store *store = open_store(url, NULL);
    for (int round = 0; round < 20; round++) {
        char keys[8][16];
        ipalloc_op ops[8];
        ipalloc_batch batches[8];
        for (int i = 0; i < 8; i++) {
            snprintf(keys[i], sizeof keys[i], "k%d/%d/", i, round);
            ops[i] = op_put(keys[i], "v");
            batches[i] = (ipalloc_batch){.ops = &ops[i], .op_count = 1};
        }
        ck_assert_status(ipalloc_store_commit(store, batches, 8, NULL), IPALLOC_OK);
    }
    ck_assert_uint_eq(count_keys(key_of("store/slot/")), 8);
    ipalloc_store_close(store);
    ck_assert_uint_eq(count_keys(key_of("store/slot/")), 1); /* that of the head */
}
END_TEST

int main(void) {
    if (!etcd_is_here())
        return 77;
    Suite *suite = suite_create("etcd store");
    TCase *tc = tcase_create("etcd store");
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, start_cluster, stop_cluster);
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, a_prefix_with_anything_else_in_it_is_left_alone);
    tcase_add_test(tc, a_form_of_a_newer_library_or_of_nobody_is_left_alone);
    tcase_add_test(tc, a_store_is_made_only_where_that_is_wanted);
    tcase_add_test(tc, of_many_that_make_a_store_at_once_all_get_the_same);
    tcase_add_test(tc, options_that_contradict_each_other_are_refused);
    tcase_add_test(tc, the_head_is_the_last_batch_under_the_prefix);
    tcase_add_test(tc, a_form_from_another_cluster_is_a_restored_store);
    tcase_add_test(tc, scans_go_over_any_number_of_pages);
    tcase_add_test(tc, scans_take_large_values_in_small_pages);
    tcase_add_test(tc, a_scan_over_a_compaction_is_expired);
    tcase_add_test(tc, prefixes_of_the_last_byte_end_where_they_should);
    tcase_add_test(tc, keys_that_nobody_of_us_wrote_are_damage);
    tcase_add_test(tc, a_batch_that_is_too_large_for_etcd_is_told_by_which_limit);
    tcase_add_test(tc, a_lowered_limit_of_operations_is_told);
    tcase_add_test(tc, a_full_etcd_is_an_error_and_not_an_unknown_outcome);
    tcase_add_test(tc, a_hundred_addresses_with_their_rests_are_one_transaction);
    tcase_add_test(tc, a_conflict_in_a_large_transaction_leaves_nothing);
    tcase_add_test(tc, slots_of_the_dead_are_swept_and_no_others);
    tcase_add_test(tc, slots_are_as_many_as_batches_at_once);
    suite_add_tcase(suite, tc);
    return test_main(suite);
}
