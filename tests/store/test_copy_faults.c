/*
 * test_copy_faults.c: a copy whose destination fails, lies, is taken by somebody else; a copy
 * without memory; a copy that is killed.
 */
#include "copy_support.h"

#include "counted_memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *directory;

static void set_up(void) {
    directory = test_directory_make();
}

static void tear_down(void) {
    test_directory_remove(directory);
}

/* --- a destination with troubles
 * ------------------------------------------------------------------
 */

typedef struct troubled {
    ipalloc_store *inner;
    uint64_t random;
    unsigned unavailable, unknown; /* in a hundred batches */
    unsigned calls;
    int settle_fails; /* so often before it is decided */
    bool flips;       /* a byte of what is read back */
    void (*before_commit)(struct troubled *, const ipalloc_batch *);
    unsigned settled, refused;
    uint64_t next_ticket;
    struct {
        bool happened;
        uint64_t revision;
    } outcomes[4096];
} troubled;

static int troubled_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
                        ipalloc_error *error) {
    return ipalloc_store_get(((troubled *)self)->inner, key, visit, context, error);
}

typedef struct flipping {
    ipalloc_visit visit;
    void *context;
} flipping;

static int flip(void *context, const ipalloc_entry *entry) {
    flipping *f = context;
    ipalloc_entry other = *entry;
    char bytes[128];
    if (entry->value.size > 0 && entry->value.size < sizeof bytes) {
        memcpy(bytes, entry->value.data, entry->value.size);
        bytes[entry->value.size - 1] ^= 1;
        other.value.data = bytes;
    }
    return f->visit(f->context, &other);
}

static int troubled_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                         ipalloc_visit visit, void *context, uint64_t *at, ipalloc_error *error) {
    troubled *t = self;
    flipping f = {visit, context};
    return t->flips ? ipalloc_store_scan(t->inner, prefix, after, limit, flip, &f, at, error)
                    : ipalloc_store_scan(t->inner, prefix, after, limit, visit, context, at, error);
}

static void commit_with_trouble(troubled *t, ipalloc_batch *batch) {
    unsigned draw = (unsigned)(test_random(&t->random) % 100);
    if (t->unavailable + t->unknown < 100 && t->calls % 3 == 0)
        draw = 99; /* a store that stays away is another test's */
    if (draw < t->unavailable) {
        batch->status = IPALLOC_E_UNAVAILABLE;
        t->refused++;
        return;
    }
    bool unknown = draw < t->unavailable + t->unknown;
    bool lost = unknown && test_random(&t->random) % 2 == 0;
    if (!lost)
        ck_assert_status(ipalloc_store_commit(t->inner, batch, 1, NULL), IPALLOC_OK);
    if (unknown && (lost || batch->status == IPALLOC_OK)) {
        batch->ticket = ++t->next_ticket;
        ck_assert_uint_lt(batch->ticket, 4096);
        t->outcomes[batch->ticket].happened = !lost;
        t->outcomes[batch->ticket].revision = batch->revision;
        batch->status = IPALLOC_E_UNKNOWN_OUTCOME;
        batch->revision = 0;
    }
}

static int troubled_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    troubled *t = self;
    size_t unavailable = 0;
    t->calls++;
    if (t->before_commit != NULL)
        t->before_commit(t, &batches[0]);
    for (size_t i = 0; i < count; i++) {
        commit_with_trouble(t, &batches[i]);
        unavailable += batches[i].status == IPALLOC_E_UNAVAILABLE;
    }
    if (unavailable < count)
        return IPALLOC_OK;
    if (error != NULL)
        *error = (ipalloc_error){.status = IPALLOC_E_UNAVAILABLE, .message = "nobody is there"};
    return IPALLOC_E_UNAVAILABLE;
}

static int troubled_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                            ipalloc_visit visit, void *context, uint64_t *up_to,
                            ipalloc_error *error) {
    return ipalloc_store_changes(((troubled *)self)->inner, since, prefix, limit, visit, context,
                                 up_to, error);
}

static int troubled_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    return ipalloc_store_get_info(((troubled *)self)->inner, out, error);
}

static int troubled_settle(void *self, uint64_t ticket, bool *happened, uint64_t *revision,
                           ipalloc_error *error) {
    troubled *t = self;
    if (t->settle_fails > 0) {
        t->settle_fails--;
        *error = (ipalloc_error){.status = IPALLOC_E_UNAVAILABLE, .message = "still nobody"};
        return IPALLOC_E_UNAVAILABLE;
    }
    t->settled++;
    *happened = t->outcomes[ticket].happened;
    *revision = t->outcomes[ticket].revision;
    return IPALLOC_OK;
}

static void troubled_close(void *self) {
    ipalloc_store_close(((troubled *)self)->inner);
}

static const ipalloc_store_methods TROUBLED = {.size = sizeof TROUBLED,
                                               .get = troubled_get,
                                               .scan = troubled_scan,
                                               .commit = troubled_commit,
                                               .changes = troubled_changes,
                                               .info = troubled_info,
                                               .settle = troubled_settle,
                                               .close = troubled_close};

static ipalloc_store *open_troubled(troubled *t) {
    ipalloc_store *store;
    t->inner = open_epoch("memory:", 2);
    ck_assert_status(ipalloc_store_create(&TROUBLED, t, NULL, &store, NULL), IPALLOC_OK);
    return store;
}

START_TEST(lost_answers_and_refusals_change_nothing_in_the_end) {
    static troubled t;
    uint64_t seed = test_seed();
    unsigned settled = 0, refused = 0;
    for (int round = 0; round < 50; round++) {
        t = (troubled){.random = seed + (uint64_t)round, .unavailable = 10, .unknown = 30};
        ipalloc_store *from = open_store("memory:", NULL), *to = open_troubled(&t);
        fill(from, 2000);
        ck_assert_status(
            copy_with(from, to, (ipalloc_copy_options){.batch_entries = 20, .batches_at_once = 4}),
            IPALLOC_OK);
        expect_same(from, t.inner);
        settled += t.settled;
        refused += t.refused;
        ck_assert(!is_marked(t.inner));
        ipalloc_store_close(to);
        ipalloc_store_close(from);
    }
    ck_assert_uint_gt(settled, 100);
    ck_assert_uint_gt(refused, 50);
}
END_TEST

START_TEST(a_destination_that_stays_away_fails_the_copy_with_its_words) {
    static troubled t;
    t = (troubled){.random = 1, .unavailable = 100};
    ipalloc_store *from = open_store("memory:", NULL), *to = open_troubled(&t);
    fill(from, 10);
    ck_assert_status(copy(from, to), IPALLOC_E_UNAVAILABLE);
    expect_words("nobody is there");
    ck_assert_uint_eq(t.refused, 5);
    t.unavailable = 0;
    t.unknown = 100;
    t.settle_fails = 5;
    ck_assert_status(copy(from, to), IPALLOC_E_UNAVAILABLE);
    expect_words("still nobody");
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

START_TEST(what_is_read_back_otherwise_is_no_copy) {
    static troubled t;
    t = (troubled){.random = 1, .flips = true};
    ipalloc_store *from = open_store("memory:", NULL), *to = open_troubled(&t);
    fill(from, 10);
    ck_assert_status(copy(from, to), IPALLOC_E_CORRUPT);
    expect_words("what was read back from the destination (10 entries) is not what");
    expect_no_registry(t.inner);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

/* --- a registry that begins there at the same time
 * ------------------------------------------------
 */

static bool is_put_of(const ipalloc_batch *batch, const char *key) {
    return batch->ops[0].kind == IPALLOC_OP_PUT && batch->ops[0].key.size == strlen(key) &&
           memcmp(batch->ops[0].key.data, key, strlen(key)) == 0;
}

static void open_registry_first(troubled *t, const ipalloc_batch *batch) {
    if (!is_put_of(batch, IPALLOC_COPY_MARK))
        return;
    t->before_commit = NULL;
    ipalloc_registry *registry;
    ck_assert_status(ipalloc_registry_open(t->inner, NULL, &registry, NULL), IPALLOC_OK);
    ipalloc_registry_close(registry);
}

START_TEST(a_registry_that_begins_before_the_mark_keeps_the_store) {
    static troubled t;
    t = (troubled){.random = 1, .before_commit = open_registry_first};
    ipalloc_store *from = open_store("memory:", NULL), *to = open_troubled(&t);
    fill(from, 10);
    ck_assert_status(copy(from, to), IPALLOC_E_BUSY);
    expect_words("it holds \"format/\"");
    ck_assert(!is_marked(t.inner));
    ck_assert_uint_eq(content_of(t.inner).count, 1);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

static void begin_copy_first(troubled *t, const ipalloc_batch *batch) {
    if (!is_put_of(batch, "format/"))
        return;
    t->before_commit = NULL;
    put(t->inner, IPALLOC_COPY_MARK, "begun=1\n");
}

START_TEST(a_registry_that_begins_behind_the_mark_gives_way) {
    static troubled t;
    t = (troubled){.random = 1, .before_commit = begin_copy_first};
    ipalloc_store *store = open_troubled(&t);
    expect_no_registry(store);
    ck_assert_str_eq(value_of(t.inner, "format/"), "absent");
    ipalloc_store_close(store);
}
END_TEST

/* --- without memory -----------------------------------------------------------------------------
 */

START_TEST(without_memory_nothing_passes_for_a_copy) {
    ipalloc_store *from = open_store("memory:", NULL);
    fill(from, 300);
    bool succeeded = false;
    for (long n = 1; !succeeded; n++) {
        counted_memory memory = {.calls = 0};
        ipalloc_hooks hooks = counted_hooks(&memory);
        ipalloc_store_options options = {.size = sizeof options, .hooks = &hooks, .first_epoch = 2};
        ipalloc_store *to = open_store("memory:", &options);
        memory.calls = 0;
        memory.fail_once = n;
        int status = copy(from, to);
        bool reached = memory.calls >= n;
        memory.fail_once = 0;
        succeeded = !reached;
        if (status == IPALLOC_OK) {
            expect_same(from, to);
            ck_assert(!is_marked(to));
        } else {
            ck_assert_status(status, IPALLOC_E_NOMEM);
            ck_assert(is_marked(to) || content_of(to).count == 0);
        }
        ipalloc_store_close(to);
        ck_assert_int_eq(memory.live, 0);
    }
    ipalloc_store_close(from);
}
END_TEST

/* --- killed -------------------------------------------------------------------------------------
 */

#ifdef WITH_SQLITE
enum { KILLS = 120 };

typedef struct deaths {
    unsigned before, within, after;
} deaths;

/* Small batches: many moments to be killed in. */
static void copy_in_child(void) {
    ipalloc_store *from = open_store(sqlite_url(directory, "from.db"), NULL);
    ipalloc_store *to = open_epoch(sqlite_url(directory, "to.db"), 2);
    ipalloc_copy_options options = {
        .size = sizeof options, .batch_entries = 20, .batches_at_once = 2};
    options.replace_unfinished = true;
    ipalloc_error error;
    int status = ipalloc_store_copy(from, to, &options, NULL, &error);
    if (status != IPALLOC_OK)
        fprintf(stderr, "the copy in the child: %s\n", error.message);
    _exit(status == IPALLOC_OK ? 0 : 1);
}

static uint64_t run_child(uint64_t kill_after_us) {
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        copy_in_child();
    if (kill_after_us > 0) {
        usleep((useconds_t)kill_after_us);
        kill(child, SIGKILL);
    }
    int how = 0;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(how == 0 || (kill_after_us > 0 && WIFSIGNALED(how)));
    clock_gettime(CLOCK_MONOTONIC, &after);
    return (uint64_t)((after.tv_sec - before.tv_sec) * 1000000 +
                      (after.tv_nsec - before.tv_nsec) / 1000);
}

static void remove_destination(void) {
    static const char *const files[] = {"to.db", "to.db-wal", "to.db-shm", "to.db-new",
                                        "to.db-lock"};
    for (int i = 0; i < LENGTH(files); i++)
        unlink(file_in(directory, files[i]));
}

/* Is it whole? */
static bool judge(ipalloc_store *from, deaths *d) {
    ipalloc_store_options must_exist = {.size = sizeof must_exist, .must_exist = true};
    ipalloc_store *to = NULL;
    int status = ipalloc_store_open(sqlite_url(directory, "to.db"), &must_exist, &to, NULL);
    if (status == IPALLOC_E_NOT_FOUND) {
        d->before++;
        return false;
    }
    ck_assert_status(status, IPALLOC_OK);
    bool is_whole = false;
    content held = content_of(to), whole = content_of(from);
    if (held.count == 0) {
        d->before++;
    } else if (is_marked(to)) {
        d->within++;
        expect_no_registry(to);
    } else {
        d->after++;
        is_whole = true;
        ck_assert_uint_eq(held.count, whole.count);
        ck_assert_uint_eq(held.hash, whole.hash);
    }
    ipalloc_store_close(to);
    return is_whole;
}

START_TEST(killed_at_any_moment_it_is_nothing_or_marked_or_whole) {
    if (access("/dev/shm", W_OK) == 0) {
        test_directory_remove(directory);
        setenv("TEST_DIRECTORY", "/dev/shm", 0);
        directory = test_directory_make();
    }
    uint64_t random = test_seed();
    ipalloc_store *from = open_store(sqlite_url(directory, "from.db"), NULL);
    fill(from, 4000);
    ipalloc_store_close(from);
    uint64_t whole_us = run_child(0);
    remove_destination();
    deaths d = {0};
    for (uint64_t i = 0; i < test_scaled(KILLS); i++) {
        if (test_random(&random) % 3 != 0) /* else over what the last one left */
            remove_destination();
        run_child(1 + test_random(&random) % (whole_us * 11 / 10));
        from = open_store(sqlite_url(directory, "from.db"), NULL);
        bool whole = judge(from, &d);
        ipalloc_store_close(from);
        if (whole) /* the next copy has to have a new one */
            remove_destination();
    }
    fprintf(stderr, "killed %u times before anything was copied, %u within, %u after the end\n",
            d.before, d.within, d.after);
    ck_assert_uint_gt(d.within, 0);
}
END_TEST
#endif

int main(void) {
    Suite *suite = suite_create("copy faults");
    TCase *tests = tcase_create("copy faults");
    tcase_set_timeout(tests, 250);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, lost_answers_and_refusals_change_nothing_in_the_end);
    tcase_add_test(tests, a_destination_that_stays_away_fails_the_copy_with_its_words);
    tcase_add_test(tests, what_is_read_back_otherwise_is_no_copy);
    tcase_add_test(tests, a_registry_that_begins_before_the_mark_keeps_the_store);
    tcase_add_test(tests, a_registry_that_begins_behind_the_mark_gives_way);
    tcase_add_test(tests, without_memory_nothing_passes_for_a_copy);
#ifdef WITH_SQLITE
    tcase_add_test(tests, killed_at_any_moment_it_is_nothing_or_marked_or_whole);
#endif
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
