/*
 * test_store.c: the rules of store.h, over every kind of store.
 */
#include "store_support.h"

#include "base/atomic.h"
#include "store/store.h"
#ifdef ON_ETCD
#include "../etcd/cluster.h"
#endif

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the kinds -----------------------------------------------------------------------------------
 */

/* A store of the program's own: hands everything on to another. */
static int own_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                   ipalloc_error *error) {
    return ipalloc_store_get(self, key, visit, context, error);
}
static int own_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                    ipalloc_visit visit, void *context, uint64_t *at, ipalloc_error *error) {
    return ipalloc_store_scan(self, prefix, after, limit, visit, context, at, error);
}
static int own_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    return ipalloc_store_commit(self, batches, count, error);
}
static int own_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                       ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    return ipalloc_store_changes(self, since, prefix, limit, visit, context, up_to, error);
}
static int own_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    return ipalloc_store_get_info(self, out, error);
}
static void own_close(void *self) {
    ipalloc_store_close(self);
}

static const ipalloc_store_methods OWN = {.size = sizeof OWN,
                                          .get = own_get,
                                          .scan = own_scan,
                                          .commit = own_commit,
                                          .changes = own_changes,
                                          .info = own_info,
                                          .close = own_close};

static const char *directory;

#ifndef ON_ETCD
static ipalloc_store *open_memory(const ipalloc_store_options *options) {
    return open_store("memory:", options);
}

static ipalloc_store *open_own(const ipalloc_store_options *options) {
    ipalloc_store *store;
    ipalloc_store *inner = open_store("memory:", options);
    ck_assert_status(ipalloc_store_create(&OWN, inner, NULL, &store, NULL), IPALLOC_OK);
    return store;
}

#ifdef WITH_SQLITE
static ipalloc_store *open_sqlite(const ipalloc_store_options *options) {
    return open_store(sqlite_url(directory, "store.db"), options);
}
#endif
#endif

#ifdef ON_ETCD
static etcd_cluster *cluster; /* one for all tests: each has a prefix of its own */

static void start_cluster(void) {
    cluster = etcd_start(NULL);
}

static void stop_cluster(void) {
    etcd_stop(cluster);
}

static const char *fresh_prefix(void) {
    static char prefix[64];
    static unsigned used;
    snprintf(prefix, sizeof prefix, "/test/%d/%u", (int)getpid(), used++);
    return prefix;
}

static ipalloc_store *open_etcd(const ipalloc_store_options *options) {
    return open_store(etcd_url(cluster, fresh_prefix()), options);
}

/* Two servers on one store: what the one commits the other reads, and the other way round. */
typedef struct pair {
    ipalloc_store *one, *other;
    atomic_word commits;
} pair;

static int pair_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                    ipalloc_error *error) {
    return ipalloc_store_get(((pair *)self)->other, key, visit, context, error);
}
static int pair_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                     ipalloc_visit visit, void *context, uint64_t *at, ipalloc_error *error) {
    return ipalloc_store_scan(((pair *)self)->other, prefix, after, limit, visit, context, at,
                              error);
}
static int pair_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    pair *p = self;
    ipalloc_store *by = atomic_add_relaxed(&p->commits, 1) % 3 == 0 ? p->other : p->one;
    return ipalloc_store_commit(by, batches, count, error);
}
static int pair_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                        ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    return ipalloc_store_changes(((pair *)self)->other, since, prefix, limit, visit, context, up_to,
                                 error);
}
static int pair_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    return ipalloc_store_get_info(((pair *)self)->other, out, error);
}
static int pair_reach(void *self, uint64_t revision, ipalloc_error *error) {
    return ipalloc_store_reach(((pair *)self)->other, revision, error);
}
static void pair_close(void *self) {
    pair *p = self;
    ipalloc_store_close(p->one);
    ipalloc_store_close(p->other);
    free(p);
}

static ipalloc_store *open_pair(const ipalloc_store_options *options) {
    static const ipalloc_store_methods methods = {.size = sizeof methods,
                                                  .get = pair_get,
                                                  .scan = pair_scan,
                                                  .commit = pair_commit,
                                                  .changes = pair_changes,
                                                  .info = pair_info,
                                                  .reach = pair_reach,
                                                  .close = pair_close};
    const char *url = etcd_url(cluster, fresh_prefix());
    pair *p = calloc(1, sizeof *p);
    p->one = open_store(url, options);
    p->other = open_store(url, options);
    ipalloc_store *out;
    ck_assert_status(ipalloc_store_create(&methods, p, NULL, &out, NULL), IPALLOC_OK);
    return out;
}
#endif

static const struct {
    const char *name;
    ipalloc_store *(*open)(const ipalloc_store_options *options);
} KINDS[] = {
#ifdef ON_ETCD
    {"etcd", open_etcd},
    {"two on one etcd", open_pair},
#else
    {"memory", open_memory},
    {"own", open_own},
#ifdef WITH_SQLITE
    {"sqlite", open_sqlite},
#endif
#endif
};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0] };

static ipalloc_store *store;

static void set_up(void) {
    directory = test_directory_make();
}

static void tear_down(void) {
    ipalloc_store_close(store);
    test_directory_remove(directory);
}

static void begin_with(int kind, const ipalloc_store_options *options) {
    store = KINDS[kind].open(options);
    revision_zero = 0;
    revision_zero = info_of(store).revision;
}

static void begin(int kind) {
    begin_with(kind, NULL);
}

/* All that was committed is among the changes. */
static void reach_last(void) {
    uint64_t last = info_of(store).revision + revision_zero;
    ck_assert_status(ipalloc_store_reach(store, last, NULL), IPALLOC_OK);
}

/* --- single keys ---------------------------------------------------------------------------------
 */

START_TEST(a_new_store_is_empty_at_revision_0) {
    begin(_i);
    ck_assert_str_eq(scan_text(store, ""), "");
    ck_assert_str_eq(changes_text(store, 0), "");
    ipalloc_store_info info = info_of(store);
    ck_assert_uint_eq(info.revision, 0);
    ck_assert_uint_eq(info.epoch, 1);
    ck_assert_uint_eq(info.oldest_change, 0);
    ck_assert(!info.restored);
    ck_assert(!info.read_only);
}
END_TEST

START_TEST(a_new_store_has_the_first_epoch_that_was_asked_for) {
    store = KINDS[_i].open(
        &(ipalloc_store_options){.size = sizeof(ipalloc_store_options), .first_epoch = 4711});
    ck_assert_uint_eq(info_of(store).epoch, 4711);
    put(store, "a", "1");
    ck_assert_uint_eq(info_of(store).epoch, 4711);
}
END_TEST

START_TEST(what_was_put_is_there_with_its_revision) {
    begin(_i);
    uint64_t first = put(store, "a/", "one");
    ck_assert_uint_eq(first, 1);
    ck_assert_str_eq(value_of(store, "a/"), "one@1");
    ck_assert_uint_eq(put(store, "a/", "two"), 2);
    ck_assert_str_eq(value_of(store, "a/"), "two@2");
    ck_assert_str_eq(value_of(store, "b/"), "absent");
    ck_assert_uint_eq(erase(store, "a/"), 3);
    ck_assert_str_eq(value_of(store, "a/"), "absent");
}
END_TEST

START_TEST(an_empty_value_is_a_value) {
    begin(_i);
    put(store, "a/", "");
    ck_assert_str_eq(value_of(store, "a/"), "@1");
    ck_assert_str_eq(changes_text(store, 0), "a/=@1 ");
}
END_TEST

START_TEST(get_passes_on_what_the_visitor_returns) {
    begin(_i);
    put(store, "a/", "one");
    walk w = {.stop_at = 1};
    ck_assert_status(ipalloc_store_get(store, text_bytes("a/"), write_down, &w, NULL), STOPPED);
    ck_assert_str_eq(w.text, "a/=one@1 ");
}
END_TEST

/* --- conditions ----------------------------------------------------------------------------------
 */

enum { KIND_OF_OPS = 3, STATES = 3 };

START_TEST(every_condition_holds_exactly_when_it_should) {
    begin(_i);
    static const int op_kinds[KIND_OF_OPS] = {IPALLOC_OP_CHECK, IPALLOC_OP_PUT, IPALLOC_OP_DELETE};
    /* key absent; key present and its revision named; key present and another named */
    static const struct {
        int condition;
        int expected[STATES];
    } table[] = {
        {IPALLOC_IF_ANY, {IPALLOC_OK, IPALLOC_OK, IPALLOC_OK}},
        {IPALLOC_IF_ABSENT, {IPALLOC_OK, IPALLOC_E_CONFLICT, IPALLOC_E_CONFLICT}},
        {IPALLOC_IF_REVISION, {IPALLOC_E_CONFLICT, IPALLOC_OK, IPALLOC_E_CONFLICT}},
    };
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++)
        for (int k = 0; k < KIND_OF_OPS; k++)
            for (int state = 0; state < STATES; state++) {
                erase(store, "k/");
                uint64_t before = state > 0 ? put(store, "k/", "old") : info_of(store).revision;
                ipalloc_op op = {.kind = op_kinds[k],
                                 .condition = table[row].condition,
                                 .revision = revision_zero + (state == 2 ? before - 1 : before),
                                 .key = text_bytes("k/")};
                if (op.kind == IPALLOC_OP_PUT)
                    op.value = text_bytes("new");
                ipalloc_batch batch = commit(store, &op, 1);
                ck_assert_msg(batch.status == table[row].expected[state],
                              "condition %d, operation %d, state %d: %s", table[row].condition,
                              op.kind, state, ipalloc_status_name(batch.status));
                ck_assert_uint_eq(info_of(store).revision,
                                  batch.status == IPALLOC_OK ? before + 1 : before);
            }
}
END_TEST

START_TEST(revision_0_is_no_way_to_say_absent) {
    begin(_i);
    ipalloc_op op = if_revision(op_put("k/", "v"), 0);
    ck_assert_status(commit(store, &op, 1).status, IPALLOC_E_CONFLICT);
}
END_TEST

START_TEST(a_conflict_names_the_first_failed_operation_and_changes_nothing) {
    begin(_i);
    put(store, "b/", "old");
    ipalloc_op ops[] = {if_absent(op_put("a/", "1")), op_put("x/", "2"),
                        if_absent(op_put("b/", "3")), if_revision(op_delete("c/"), 9)};
    ipalloc_batch batch = commit(store, ops, 4);
    ck_assert_status(batch.status, IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(batch.failed_op, 2);
    ck_assert_str_eq(scan_text(store, ""), "b/=old@1 ");
    ck_assert_str_eq(changes_text(store, 0), "b/=old@1 ");
    ck_assert_uint_eq(info_of(store).revision, 1);
}
END_TEST

START_TEST(a_batch_happens_as_a_whole_at_one_revision) {
    begin(_i);
    put(store, "b/", "old");
    ipalloc_op ops[] = {op_put("c/", "3"), if_revision(op_delete("b/"), 1), op_check("z/"),
                        if_absent(op_put("a/", "1"))};
    ck_assert_uint_eq(must_commit(store, ops, 4), 2);
    ck_assert_str_eq(scan_text(store, ""), "a/=1@2 c/=3@2 ");
    ck_assert_str_eq(changes_text(store, 1), "c/=3@2 b/!@2 a/=1@2 ");
}
END_TEST

START_TEST(independent_batches_are_judged_each_on_its_own) {
    begin(_i);
    ipalloc_op first = if_absent(op_put("a/", "1")), second = if_absent(op_put("a/", "2")),
               third = if_absent(op_put("b/", "3"));
    ipalloc_batch batches[] = {{.ops = &first, .op_count = 1},
                               {.ops = &second, .op_count = 1},
                               {.ops = &third, .op_count = 1}};
    ck_assert_status(ipalloc_store_commit(store, batches, 3, NULL), IPALLOC_OK);
    /* Which comes first is the store's business. */
    int loser = batches[0].status == IPALLOC_OK;
    ck_assert_status(batches[1 - loser].status, IPALLOC_OK);
    ck_assert_status(batches[loser].status, IPALLOC_E_CONFLICT);
    ck_assert_uint_eq(batches[loser].failed_op, 0);
    ck_assert_status(batches[2].status, IPALLOC_OK);
    uint64_t won = batches[1 - loser].revision - revision_zero;
    ck_assert_uint_eq(won + (batches[2].revision - revision_zero), 1 + 2);
    char expected[64];
    snprintf(expected, sizeof expected, "a/=%d@%d b/=3@%d ", loser == 1 ? 1 : 2, (int)won,
             3 - (int)won);
    ck_assert_str_eq(scan_text(store, ""), expected);
}
END_TEST

START_TEST(a_batch_that_changes_nothing_has_a_revision_and_no_change) {
    begin(_i);
    ipalloc_op ops[] = {op_check("a/"), op_delete("b/")};
    ck_assert_uint_eq(must_commit(store, ops, 2), 1);
    ck_assert_uint_eq(put(store, "a/", "v"), 2);
    ck_assert_str_eq(changes_text(store, 0), "a/=v@2 ");
}
END_TEST

/* --- arguments -----------------------------------------------------------------------------------
 */

static void refused(ipalloc_batch batch, const char *words) {
    ipalloc_error error = {0};
    ck_assert_status(ipalloc_store_commit(store, &batch, 1, &error), IPALLOC_E_INVALID);
    ck_assert_status(batch.status, IPALLOC_E_INVALID);
    ck_assert_msg(strstr(error.message, words) != NULL, "\"%s\" lacks \"%s\"", error.message,
                  words);
}

static void op_refused(ipalloc_op op, const char *words) {
    refused((ipalloc_batch){.ops = &op, .op_count = 1}, words);
}

START_TEST(malformed_operations_are_refused) {
    begin(_i);
    static char long_key[IPALLOC_KEY_MAX + 1];
    memset(long_key, 'k', sizeof long_key);
    ipalloc_op op = op_put("a/", "v");
    op.key = (ipalloc_bytes){"", 0};
    op_refused(op, "empty");
    op.key = (ipalloc_bytes){NULL, 3};
    op_refused(op, "NULL");
    op.key = (ipalloc_bytes){"a\0b", 3};
    op_refused(op, "zero byte");
    op.key = (ipalloc_bytes){long_key, IPALLOC_KEY_MAX + 1};
    op_refused(op, "1025 bytes");
    op = op_put("a/", "v");
    op.kind = 0;
    op_refused(op, "kind");
    op.kind = 4;
    op_refused(op, "kind");
    op = op_put("a/", "v");
    op.condition = 3;
    op_refused(op, "condition");
    op = op_put("a/", "v");
    op.value = (ipalloc_bytes){NULL, 1};
    op_refused(op, "NULL");
    op = op_delete("a/");
    op.value = text_bytes("v");
    op_refused(op, "only a put");
    refused((ipalloc_batch){.ops = &op, .op_count = 0}, "1 to 512");
    refused((ipalloc_batch){.ops = NULL, .op_count = 1}, "NULL");
    ck_assert_uint_eq(info_of(store).revision, 0);
}
END_TEST

START_TEST(the_longest_key_is_fine) {
    begin(_i);
    static char key[IPALLOC_KEY_MAX + 1];
    memset(key, 'k', IPALLOC_KEY_MAX);
    put(store, key, "v");
    ck_assert_str_eq(value_of(store, key), "v@1");
}
END_TEST

START_TEST(a_batch_has_at_most_512_operations_on_different_keys) {
    begin(_i);
    static char keys[IPALLOC_BATCH_OPS_MAX + 1][16];
    static ipalloc_op ops[IPALLOC_BATCH_OPS_MAX + 1];
    for (int i = 0; i <= IPALLOC_BATCH_OPS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%03d/", i);
        ops[i] = op_put(keys[i], "v");
    }
    refused((ipalloc_batch){.ops = ops, .op_count = IPALLOC_BATCH_OPS_MAX + 1}, "1 to 512");
    ck_assert_uint_eq(must_commit(store, ops, IPALLOC_BATCH_OPS_MAX), 1);
    walk w = {0};
    ck_assert_status(ipalloc_store_scan(store, text_bytes("k"), (ipalloc_bytes){0}, 0, write_down,
                                        &w, NULL, NULL),
                     IPALLOC_OK);
    ck_assert_uint_eq(w.count, IPALLOC_BATCH_OPS_MAX);
    ops[IPALLOC_BATCH_OPS_MAX - 1] = op_check(keys[3]);
    refused((ipalloc_batch){.ops = ops, .op_count = IPALLOC_BATCH_OPS_MAX}, "twice");
    refused((ipalloc_batch){.ops = (ipalloc_op[]){ops[0], ops[0]}, .op_count = 2}, "twice");
}
END_TEST

static int compare_value(void *context, const ipalloc_entry *entry) {
    const ipalloc_bytes *expected = context;
    ck_assert(bytes_equal(entry->value, *expected));
    return IPALLOC_OK;
}

START_TEST(values_reach_up_to_1_mib) {
    begin(_i);
    char *value = malloc(IPALLOC_VALUE_MAX + 1);
    uint64_t random = test_seed();
    for (size_t i = 0; i <= IPALLOC_VALUE_MAX; i++)
        value[i] = (char)test_random(&random);
    ipalloc_op op = op_put("a/", "");
    op.value = (ipalloc_bytes){value, IPALLOC_VALUE_MAX + 1};
    op_refused(op, "1 MiB");
    op.value.size = IPALLOC_VALUE_MAX;
    must_commit(store, &op, 1);
    ck_assert_status(ipalloc_store_get(store, op.key, compare_value, &op.value, NULL), IPALLOC_OK);
    free(value);
}
END_TEST

START_TEST(keys_and_values_may_be_any_bytes) {
    begin(_i);
    static const char *const keys[] = {"\x01", "\x7f\x80\xff", "\xc3\xa4/\xe2\x82\xac/", "%00/",
                                       "'\";--"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        ipalloc_op op = op_put(keys[i], "");
        op.value = (ipalloc_bytes){"\0\xff\0\xc3(", 5};
        must_commit(store, &op, 1);
        ck_assert_status(ipalloc_store_get(store, op.key, compare_value, &op.value, NULL),
                         IPALLOC_OK);
    }
}
END_TEST

START_TEST(bad_bounds_and_missing_visitors_are_refused) {
    begin(_i);
    ipalloc_bytes none = {0}, zero = {"a\0", 2}, lost = {NULL, 1};
    walk w = {0};
    ipalloc_store_info info = {0};
    ck_assert_status(ipalloc_store_get(store, none, write_down, &w, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_get(store, text_bytes("a"), NULL, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_scan(store, zero, none, 0, write_down, &w, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_scan(store, none, lost, 0, write_down, &w, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_scan(store, none, none, 0, NULL, NULL, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_changes(store, 0, zero, 0, write_down, &w, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_changes(store, 0, none, 0, NULL, NULL, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_commit(store, NULL, 1, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_commit(store, NULL, 0, NULL), IPALLOC_OK);
    ck_assert_status(ipalloc_store_get_info(store, &info, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_get_info(store, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_backup(store, "", NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_backup(store, NULL, NULL), IPALLOC_E_INVALID);
}
END_TEST

START_TEST(an_older_programs_info_is_filled_as_far_as_it_reaches) {
    begin(_i);
    put(store, "a/", "v");
    ipalloc_store_info info;
    memset(&info, 0x55, sizeof info);
    info.size = offsetof(ipalloc_store_info, oldest_change);
    ck_assert_status(ipalloc_store_get_info(store, &info, NULL), IPALLOC_OK);
    ck_assert_uint_eq(info.size, offsetof(ipalloc_store_info, oldest_change));
    ck_assert_uint_eq(info.revision, revision_zero + 1);
    ck_assert_uint_eq(info.oldest_change, 0x5555555555555555);
}
END_TEST

/* --- scans ---------------------------------------------------------------------------------------
 */

static const char *scan_after(const char *prefix, const char *after, size_t limit) {
    static walk w;
    w = (walk){0};
    ck_assert_status(ipalloc_store_scan(store, text_bytes(prefix), text_bytes(after), limit,
                                        write_down, &w, NULL, NULL),
                     IPALLOC_OK);
    return w.text;
}

START_TEST(scan_goes_in_byte_order_within_its_bounds) {
    begin(_i);
    static const char *const keys[] = {"b/1/", "a/", "b/", "c/", "b/2/", "b", "b/\xff", "B/"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        put(store, keys[i], "");
    ck_assert_str_eq(scan_text(store, ""),
                     "B/=@8 a/=@2 b=@6 b/=@3 b/1/=@1 b/2/=@5 b/\xff=@7 c/=@4 ");
    ck_assert_str_eq(scan_text(store, "b/"), "b/=@3 b/1/=@1 b/2/=@5 b/\xff=@7 ");
    ck_assert_str_eq(scan_text(store, "b/2"), "b/2/=@5 ");
    ck_assert_str_eq(scan_text(store, "d"), "");
    ck_assert_str_eq(scan_after("b/", "b/1/", 0), "b/2/=@5 b/\xff=@7 ");
    ck_assert_str_eq(scan_after("b/", "b/0", 0), "b/1/=@1 b/2/=@5 b/\xff=@7 ");
    ck_assert_str_eq(scan_after("b/", "b/", 0), "b/1/=@1 b/2/=@5 b/\xff=@7 ");
    ck_assert_str_eq(scan_after("b/", "a", 0), "b/=@3 b/1/=@1 b/2/=@5 b/\xff=@7 ");
    ck_assert_str_eq(scan_after("b/", "c", 0), "");
    ck_assert_str_eq(scan_after("b/", "", 2), "b/=@3 b/1/=@1 ");
    ck_assert_str_eq(scan_after("b/", "b/1/", 1), "b/2/=@5 ");
    ck_assert_str_eq(scan_after("", "b/2/", 0), "b/\xff=@7 c/=@4 ");
}
END_TEST

START_TEST(scan_tells_its_revision_and_stops_when_told) {
    begin(_i);
    put(store, "a/", "1");
    put(store, "b/", "2");
    put(store, "c/", "3");
    walk w = {.stop_at = 2};
    uint64_t at = 99;
    ck_assert_status(ipalloc_store_scan(store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0,
                                        write_down, &w, &at, NULL),
                     STOPPED);
    ck_assert_uint_eq(at - revision_zero, 3);
    ck_assert_str_eq(w.text, "a/=1@1 b/=2@2 ");
}
END_TEST

/* Random puts and deletions against a plain array. */
enum { MODEL_KEYS = 200 };

START_TEST(random_batches_agree_with_an_array) {
    begin(_i);
    uint64_t random = test_seed();
    uint64_t model[MODEL_KEYS] = {0}; /* the revision of each key; 0: absent */
    for (uint64_t step = 0; step < test_scaled(500); step++) {
        char keys[3][16];
        ipalloc_op ops[3];
        size_t count = 0;
        uint64_t start = test_random(&random) % MODEL_KEYS;
        for (size_t i = 0; i < 3; i++) {
            uint64_t k = (start + i * 7) % MODEL_KEYS;
            snprintf(keys[i], sizeof keys[i], "key%03u/", (unsigned)k);
            ops[count++] =
                test_random(&random) % 3 == 0 ? op_delete(keys[i]) : op_put(keys[i], "value");
            if (test_random(&random) % 2 == 0)
                ops[i] = model[k] != 0 ? if_revision(ops[i], model[k]) : if_absent(ops[i]);
        }
        uint64_t revision = must_commit(store, ops, count);
        for (size_t i = 0; i < 3; i++)
            model[(start + i * 7) % MODEL_KEYS] = ops[i].kind == IPALLOC_OP_PUT ? revision : 0;
    }
    char expected[8192] = "";
    for (unsigned k = 0; k < MODEL_KEYS; k++)
        if (model[k] != 0)
            snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
                     "key%03u/=value@%llu ", k, (unsigned long long)model[k]);
    expected[sizeof((walk *)0)->text - 1] = '\0'; /* as the walk is cut */
    ck_assert_str_eq(scan_text(store, "key"), expected);
}
END_TEST

/* --- changes -------------------------------------------------------------------------------------
 */

static void three_batches(void) {
    ipalloc_op first[] = {op_put("a/1/", "x"), op_put("b/1/", "x"), op_put("a/2/", "x")};
    ipalloc_op second[] = {op_delete("b/1/")};
    ipalloc_op third[] = {op_put("a/1/", "y"), op_delete("a/2/")};
    must_commit(store, first, 3);
    must_commit(store, second, 1);
    must_commit(store, third, 2);
}

START_TEST(changes_come_in_order_since_a_revision_and_under_a_prefix) {
    static const struct {
        uint64_t since;
        const char *prefix;
        size_t limit;
        const char *expected;
        uint64_t up_to;
    } table[] = {
        {0, "", 0, "a/1/=x@1 b/1/=x@1 a/2/=x@1 b/1/!@2 a/1/=y@3 a/2/!@3 ", 3},
        {1, "", 0, "b/1/!@2 a/1/=y@3 a/2/!@3 ", 3},
        {2, "", 0, "a/1/=y@3 a/2/!@3 ", 3},
        {3, "", 0, "", 3},
        {0, "b/", 0, "b/1/=x@1 b/1/!@2 ", 3},
        {0, "a/", 0, "a/1/=x@1 a/2/=x@1 a/1/=y@3 a/2/!@3 ", 3},
        {0, "c/", 0, "", 3},
        {0, "", 1, "a/1/=x@1 b/1/=x@1 a/2/=x@1 ", 1}, /* a batch is never cut */
        {0, "", 3, "a/1/=x@1 b/1/=x@1 a/2/=x@1 ", 1},
        {0, "", 4, "a/1/=x@1 b/1/=x@1 a/2/=x@1 b/1/!@2 ", 2},
        {0, "", 5, "a/1/=x@1 b/1/=x@1 a/2/=x@1 b/1/!@2 a/1/=y@3 a/2/!@3 ", 3},
        {1, "", 1, "b/1/!@2 ", 2},
        {0, "b/", 1, "b/1/=x@1 ", 1},
        {0, "a/", 1, "a/1/=x@1 a/2/=x@1 ", 1},
    };
    begin(_i);
    three_batches();
    reach_last();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        walk w = {0};
        uint64_t up_to = 99;
        ck_assert_status(ipalloc_store_changes(store, revision_zero + table[i].since,
                                               text_bytes(table[i].prefix), table[i].limit,
                                               write_down, &w, &up_to, NULL),
                         IPALLOC_OK);
        ck_assert_msg(
            strcmp(w.text, table[i].expected) == 0 && up_to - revision_zero == table[i].up_to,
            "row %zu: \"%s\" up to %llu", i, w.text, (unsigned long long)(up_to - revision_zero));
    }
}
END_TEST

START_TEST(a_stopped_walk_of_changes_is_complete_to_the_batch_before) {
    begin(_i);
    three_batches();
    reach_last();
    walk w = {.stop_at = 5};
    uint64_t up_to = 99;
    ck_assert_status(ipalloc_store_changes(store, revision_zero, (ipalloc_bytes){0}, 0, write_down,
                                           &w, &up_to, NULL),
                     STOPPED);
    ck_assert_uint_eq(w.count, 5);
    ck_assert_uint_eq(up_to - revision_zero, 2);
}
END_TEST

START_TEST(a_revision_that_has_not_been_is_invalid) {
    begin(_i);
    put(store, "a/", "v");
    reach_last();
    walk w = {0};
    ipalloc_error error;
    char words[40];
    snprintf(words, sizeof words, "revision %llu", (unsigned long long)(revision_zero + 2));
    ck_assert_status(ipalloc_store_changes(store, revision_zero + 2, (ipalloc_bytes){0}, 0,
                                           write_down, &w, NULL, &error),
                     IPALLOC_E_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, words));
    ck_assert_status(
        ipalloc_store_changes(store, UINT64_MAX, (ipalloc_bytes){0}, 0, write_down, &w, NULL, NULL),
        IPALLOC_E_INVALID);
}
END_TEST

START_TEST(changes_older_than_those_kept_are_expired) {
    begin_with(_i,
               &(ipalloc_store_options){.size = sizeof(ipalloc_store_options), .changes_kept = 10});
    for (int i = 0; i < 100; i++)
        put(store, "a/", "v");
    reach_last();
    uint64_t oldest = info_of(store).oldest_change;
    ck_assert_uint_eq(oldest, 90);
    walk w = {0};
    ck_assert_status(ipalloc_store_changes(store, revision_zero + oldest, (ipalloc_bytes){0}, 0,
                                           write_down, &w, NULL, NULL),
                     IPALLOC_OK);
    ck_assert_uint_eq(w.count, 10);
    ipalloc_error error;
    ck_assert_status(ipalloc_store_changes(store, revision_zero + oldest - 1, (ipalloc_bytes){0}, 0,
                                           write_down, &w, NULL, &error),
                     IPALLOC_E_EXPIRED);
    char words[40];
    snprintf(words, sizeof words, "oldest is %llu", (unsigned long long)(revision_zero + 90));
    ck_assert_ptr_nonnull(strstr(error.message, words));
    ck_assert_str_eq(value_of(store, "a/"), "v@100");
}
END_TEST

START_TEST(a_batch_larger_than_what_is_kept_keeps_the_store_going) {
    begin_with(_i,
               &(ipalloc_store_options){.size = sizeof(ipalloc_store_options), .changes_kept = 1});
    for (int i = 0; i < 3; i++) {
        ipalloc_op ops[] = {op_put("a/", "1"), op_put("b/", "2"), op_put("c/", "3")};
        must_commit(store, ops, 3);
    }
    reach_last();
    ck_assert_uint_eq(info_of(store).revision, 3);
    ck_assert_uint_ge(info_of(store).oldest_change, 2);
    ck_assert_str_eq(changes_text(store, 3), "");
    ck_assert_uint_eq(put(store, "a/", "4"), 4);
    ck_assert_str_eq(changes_text(store, 3), "a/=4@4 ");
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------
 */

enum { THREADS = 8, ROUNDS = 40 };

typedef struct committer {
    pthread_t thread;
    int number;
    uint64_t won;
    uint64_t revisions[ROUNDS];
} committer;

static int try_commit(const ipalloc_op *op, uint64_t *revision) {
    ipalloc_batch batch = {.ops = op, .op_count = 1};
    int status = ipalloc_store_commit(store, &batch, 1, NULL);
    *revision = batch.revision - revision_zero;
    return status == IPALLOC_OK ? batch.status : status;
}

static void *commit_own_keys(void *argument) {
    committer *c = argument;
    for (int i = 0; i < ROUNDS; i++) {
        char key[32];
        snprintf(key, sizeof key, "t%d/%03d/", c->number, i);
        ipalloc_op op = if_absent(op_put(key, "v"));
        c->won += try_commit(&op, &c->revisions[i]) == IPALLOC_OK;
    }
    return NULL;
}

static void *commit_same_keys(void *argument) {
    committer *c = argument;
    for (int i = 0; i < ROUNDS; i++) {
        char key[32];
        uint64_t revision;
        snprintf(key, sizeof key, "k/%03d/", i);
        ipalloc_op op = if_absent(op_put(key, "v"));
        int status = try_commit(&op, &revision);
        if (status == IPALLOC_OK)
            c->won++;
        else if (status != IPALLOC_E_CONFLICT)
            c->won += 1000000;
    }
    return NULL;
}

static uint64_t run_committers(committer *committers, void *(*body)(void *)) {
    uint64_t won = 0;
    for (int i = 0; i < THREADS; i++) {
        committers[i] = (committer){.number = i};
        ck_assert_int_eq(pthread_create(&committers[i].thread, NULL, body, &committers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(committers[i].thread, NULL);
        won += committers[i].won;
    }
    return won;
}

START_TEST(threads_on_their_own_keys_all_win_with_a_revision_each) {
    begin(_i);
    static committer committers[THREADS];
    ck_assert_uint_eq(run_committers(committers, commit_own_keys), THREADS * ROUNDS);
    static bool seen[THREADS * ROUNDS + 1];
    memset(seen, 0, sizeof seen); /* CK_FORK=no runs every kind in one process */
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < ROUNDS; j++) {
            uint64_t revision = committers[i].revisions[j];
            ck_assert(revision >= 1 && revision <= THREADS * ROUNDS && !seen[revision]);
            ck_assert(j == 0 || revision > committers[i].revisions[j - 1]);
            seen[revision] = true;
        }
    ck_assert_uint_eq(info_of(store).revision, THREADS * ROUNDS);
}
END_TEST

START_TEST(of_threads_on_one_key_exactly_one_wins) {
    begin(_i);
    static committer committers[THREADS];
    ck_assert_uint_eq(run_committers(committers, commit_same_keys), ROUNDS);
    ck_assert_uint_eq(info_of(store).revision, ROUNDS);
}
END_TEST

static int count_values(void *context, const ipalloc_entry *entry) {
    uint64_t *sum = context;
    sum[0]++;
    sum[1] += ((const char *)entry->value.data)[0] == 'x';
    return IPALLOC_OK;
}

/* Moves a mark from one key to the other: at every revision exactly one of them has it. */
static void *move_mark(void *argument) {
    committer *c = argument;
    for (int i = 0; i < ROUNDS * 4; i++) {
        ipalloc_op ops[] = {op_put("m/1/", i % 2 == 0 ? "x" : "-"),
                            op_put("m/2/", i % 2 == 0 ? "-" : "x")};
        ipalloc_batch batch = {.ops = ops, .op_count = 2};
        c->won += ipalloc_store_commit(store, &batch, 1, NULL) == IPALLOC_OK;
    }
    return NULL;
}

START_TEST(a_scan_beside_commits_sees_whole_batches) {
    begin(_i);
    ipalloc_op ops[] = {op_put("m/1/", "-"), op_put("m/2/", "x")};
    must_commit(store, ops, 2);
    committer mover = {0};
    ck_assert_int_eq(pthread_create(&mover.thread, NULL, move_mark, &mover), 0);
    uint64_t at = 0, last = revision_zero;
    while (last <= revision_zero + ROUNDS * 2) {
        uint64_t sums[2] = {0};
        ck_assert_status(ipalloc_store_scan(store, text_bytes("m/"), (ipalloc_bytes){0}, 0,
                                            count_values, sums, &at, NULL),
                         IPALLOC_OK);
        ck_assert_uint_eq(sums[0], 2);
        ck_assert_uint_eq(sums[1], 1);
        ck_assert_uint_ge(at, last);
        last = at;
    }
    pthread_join(mover.thread, NULL);
    ck_assert_uint_eq(mover.won, ROUNDS * 4);
}
END_TEST

/* --- handles -------------------------------------------------------------------------------------
 */

START_TEST(a_second_registry_on_a_store_is_busy) {
    begin(_i);
    ck_assert_status(store_attach(store, NULL), IPALLOC_OK);
    ipalloc_error error;
    ck_assert_status(store_attach(store, &error), IPALLOC_E_BUSY);
    store_detach(store);
    ck_assert_status(store_attach(store, NULL), IPALLOC_OK);
    store_detach(store);
}
END_TEST

START_TEST(accepting_what_was_never_restored_is_fine) {
    begin(_i);
    ck_assert_status(ipalloc_store_accept(store, NULL), IPALLOC_OK);
}
END_TEST

START_TEST(urls_and_options_are_checked) {
    static const struct {
        const char *url;
        ipalloc_store_options options;
        int expected;
    } table[] = {
        {"", {.size = sizeof(ipalloc_store_options)}, IPALLOC_E_INVALID},
        {"memory", {.size = sizeof(ipalloc_store_options)}, IPALLOC_E_INVALID},
        {"memory:x", {.size = sizeof(ipalloc_store_options)}, IPALLOC_E_INVALID},
        {"mysql:x", {.size = sizeof(ipalloc_store_options)}, IPALLOC_E_INVALID},
        {"memory:", {.size = 0}, IPALLOC_E_INVALID},
        {"memory:",
         {.size = sizeof(ipalloc_store_options), .must_exist = true},
         IPALLOC_E_NOT_FOUND},
        {"memory:", {.size = sizeof(ipalloc_store_options), .read_only = true}, IPALLOC_E_INVALID},
        {"memory:",
         {.size = sizeof(ipalloc_store_options), .first_epoch = UINT64_MAX},
         IPALLOC_E_INVALID},
    };
    ipalloc_store *out = NULL;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ck_assert_status(ipalloc_store_open(table[i].url, &table[i].options, &out, NULL),
                         table[i].expected);
    ck_assert_status(ipalloc_store_open(NULL, NULL, &out, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_open("memory:", NULL, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_ptr_null(out);
    ipalloc_store_close(NULL);
}
END_TEST

START_TEST(a_store_without_a_method_is_refused) {
    static const size_t places[] = {
        offsetof(ipalloc_store_methods, get),    offsetof(ipalloc_store_methods, scan),
        offsetof(ipalloc_store_methods, commit), offsetof(ipalloc_store_methods, changes),
        offsetof(ipalloc_store_methods, info),   offsetof(ipalloc_store_methods, close),
    };
    ipalloc_store *out = NULL;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        ipalloc_store_methods methods = OWN;
        memset((char *)&methods + places[i], 0, sizeof methods.close);
        ck_assert_status(ipalloc_store_create(&methods, NULL, NULL, &out, NULL), IPALLOC_E_INVALID);
    }
    ipalloc_store_methods methods = OWN;
    methods.size = 0;
    ck_assert_status(ipalloc_store_create(&methods, NULL, NULL, &out, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_create(NULL, NULL, NULL, &out, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_create(&OWN, NULL, NULL, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_ptr_null(out);
}
END_TEST

START_TEST(calls_on_no_store_are_refused) {
    ipalloc_bytes key = text_bytes("a");
    ipalloc_op op = op_put("a/", "v");
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    walk w = {0};
    ipalloc_store_info info = {.size = sizeof info};
    ck_assert_status(ipalloc_store_get(NULL, key, write_down, &w, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_scan(NULL, key, key, 0, write_down, &w, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_commit(NULL, &batch, 1, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_changes(NULL, 0, key, 0, write_down, &w, NULL, NULL),
                     IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_get_info(NULL, &info, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_backup(NULL, "x", NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_accept(NULL, NULL), IPALLOC_E_INVALID);
}
END_TEST

/* --- out of memory -------------------------------------------------------------------------------
 */

typedef struct rationed {
    uint64_t left; /* allocations that still succeed */
    int64_t live;
} rationed;

static void *rationed_allocate(void *context, size_t bytes) {
    rationed *r = context;
    if (r->left == 0)
        return NULL;
    r->left--;
    r->live++;
    return malloc(bytes);
}

static void *rationed_reallocate(void *context, void *memory, size_t bytes) {
    rationed *r = context;
    if (r->left == 0)
        return NULL;
    r->left--;
    r->live += memory == NULL;
    return realloc(memory, bytes);
}

static void rationed_free(void *context, void *memory) {
    ((rationed *)context)->live -= memory != NULL;
    free(memory);
}

/* Each allocation in turn fails: the commit says so and leaves nothing, or succeeds as a whole. */
START_TEST(a_memory_store_without_memory_leaves_nothing_half_done) {
    bool succeeded = false;
    for (uint64_t ration = 0; !succeeded; ration++) {
        rationed r = {.left = ration};
        ipalloc_hooks given = {.size = sizeof given,
                               .context = &r,
                               .allocate = rationed_allocate,
                               .reallocate = rationed_reallocate,
                               .deallocate = rationed_free};
        ipalloc_store *small = NULL;
        int status = ipalloc_store_open(
            "memory:",
            &(ipalloc_store_options){.size = sizeof(ipalloc_store_options), .hooks = &given},
            &small, NULL);
        if (status == IPALLOC_OK) {
            ipalloc_op ops[] = {op_put("a/", "1"), op_put("b/", "2"), op_delete("c/")};
            ipalloc_batch batch = {.ops = ops, .op_count = 3};
            status = ipalloc_store_commit(small, &batch, 1, NULL);
            ck_assert_status(batch.status, status);
            succeeded = status == IPALLOC_OK;
            ck_assert_str_eq(scan_text(small, ""), succeeded ? "a/=1@1 b/=2@1 " : "");
            ck_assert_uint_eq(info_of(small).revision, succeeded);
            ipalloc_store_close(small);
        }
        ck_assert(succeeded || status == IPALLOC_E_NOMEM);
        ck_assert_int_eq(r.live, 0);
        ck_assert_uint_lt(ration, 100);
    }
}
END_TEST

#ifndef WITH_SQLITE
START_TEST(without_sqlite_its_url_is_unavailable) {
    ipalloc_store *out = NULL;
    ipalloc_error error;
    ck_assert_status(ipalloc_store_open("sqlite:x", NULL, &out, &error), IPALLOC_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(error.message, "not built in"));
}
END_TEST
#endif

int main(void) {
#ifdef ON_ETCD
    if (!etcd_is_here())
        return 77;
#endif
    Suite *suite = suite_create("store");
    TCase *every = tcase_create("every kind");
    tcase_set_timeout(every, 120);
#ifdef ON_ETCD
    tcase_add_unchecked_fixture(every, start_cluster, stop_cluster);
#endif
    tcase_add_checked_fixture(every, set_up, tear_down);
    const TTest *const tests[] = {
        a_new_store_is_empty_at_revision_0,
        a_new_store_has_the_first_epoch_that_was_asked_for,
        what_was_put_is_there_with_its_revision,
        an_empty_value_is_a_value,
        get_passes_on_what_the_visitor_returns,
        every_condition_holds_exactly_when_it_should,
        revision_0_is_no_way_to_say_absent,
        a_conflict_names_the_first_failed_operation_and_changes_nothing,
        a_batch_happens_as_a_whole_at_one_revision,
        independent_batches_are_judged_each_on_its_own,
        a_batch_that_changes_nothing_has_a_revision_and_no_change,
        malformed_operations_are_refused,
        the_longest_key_is_fine,
        a_batch_has_at_most_512_operations_on_different_keys,
        values_reach_up_to_1_mib,
        keys_and_values_may_be_any_bytes,
        bad_bounds_and_missing_visitors_are_refused,
        an_older_programs_info_is_filled_as_far_as_it_reaches,
        scan_goes_in_byte_order_within_its_bounds,
        scan_tells_its_revision_and_stops_when_told,
        random_batches_agree_with_an_array,
        changes_come_in_order_since_a_revision_and_under_a_prefix,
        a_stopped_walk_of_changes_is_complete_to_the_batch_before,
        a_revision_that_has_not_been_is_invalid,
        changes_older_than_those_kept_are_expired,
        a_batch_larger_than_what_is_kept_keeps_the_store_going,
        threads_on_their_own_keys_all_win_with_a_revision_each,
        of_threads_on_one_key_exactly_one_wins,
        a_scan_beside_commits_sees_whole_batches,
        a_second_registry_on_a_store_is_busy,
        accepting_what_was_never_restored_is_fine,
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_loop_test(every, tests[i], 0, KIND_COUNT);
    suite_add_tcase(suite, every);

    TCase *handles = tcase_create("handles");
    tcase_add_test(handles, urls_and_options_are_checked);
    tcase_add_test(handles, a_store_without_a_method_is_refused);
    tcase_add_test(handles, calls_on_no_store_are_refused);
    tcase_add_test(handles, a_memory_store_without_memory_leaves_nothing_half_done);
#ifndef WITH_SQLITE
    tcase_add_test(handles, without_sqlite_its_url_is_unavailable);
#endif
    suite_add_tcase(suite, handles);
    return test_main(suite);
}
