/*
 * test_copy.c: one store into another: all of it or nothing that passes for it.
 */
#include "copy_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;

static void set_up(void) {
    directory = test_directory_make();
}

static void tear_down(void) {
    test_directory_remove(directory);
}

/* --- the kinds, from and to ---------------------------------------------------------------------
 */

static const struct {
    bool from_file, to_file;
} WAYS[] = {
    {false, false},
#ifdef WITH_SQLITE
    {false, true},
    {true, false},
    {true, true},
#endif
};

static ipalloc_store *open_source(int way) {
    return open_store(WAYS[way].from_file ? sqlite_url(directory, "from.db") : "memory:", NULL);
}

static ipalloc_store *open_destination(int way) {
    return open_epoch(WAYS[way].to_file ? sqlite_url(directory, "to.db") : "memory:", 2);
}

static void put_bytes(ipalloc_store *store, const char *key, const void *bytes, size_t size) {
    ipalloc_op op = op_put(key, "");
    op.value = (ipalloc_bytes){bytes, size};
    must_commit(store, &op, 1);
}

/* --- whole copies -------------------------------------------------------------------------------
 */

START_TEST(an_empty_store_is_copied_too) {
    ipalloc_store *from = open_source(_i), *to = open_destination(_i);
    ck_assert_status(copy(from, to), IPALLOC_OK);
    ck_assert_uint_eq(content_of(to).count, 0);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

START_TEST(every_key_and_byte_arrives) {
    ipalloc_store *from = open_source(_i), *to = open_destination(_i);
    char *big = malloc(IPALLOC_VALUE_MAX);
    char longest[IPALLOC_KEY_MAX + 1];
    for (size_t i = 0; i < IPALLOC_VALUE_MAX; i++)
        big[i] = (char)(i * 31 + i / 251);
    memset(longest, 'l', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fill(from, 3333);
    put(from, "a/", "");
    put(from, "copying", "near the mark");
    put(from, "copying/a/", "nearer");
    put(from, longest, "the longest key");
    put_bytes(from, "zero/", "a\0b\0", 4);
    for (int i = 0; i < 19; i++) { /* more than one page of bytes */
        char key[16];
        snprintf(key, sizeof key, "z/%02d/", i);
        big[0] = (char)i;
        put_bytes(from, key, big, IPALLOC_VALUE_MAX);
    }
    erase(from, "a/");
    put(from, "a/", "again");
    ipalloc_copy_result result = {.size = sizeof result};
    ck_assert_status(ipalloc_store_copy(from, to, NULL, &result, NULL), IPALLOC_OK);
    expect_same(from, to);
    ck_assert(!is_marked(to));
    ck_assert_uint_eq(result.entries, content_of(from).count);
    ck_assert_uint_gt(result.bytes, 19 * IPALLOC_VALUE_MAX);
    ck_assert_uint_eq(result.source_revision, info_of(from).revision);
    ck_assert_uint_eq(result.destination_revision, info_of(to).revision);
    ck_assert_uint_gt(info_of(to).epoch, info_of(from).epoch);
    ck_assert(!info_of(to).restored);
    put(to, "written/", "afterwards");
    free(big);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

START_TEST(batches_and_groups_of_every_size_copy_the_same) {
    static const size_t counts[] = {0, 1, 2, 3, 99, 100, 101, 200, 201, 1000};
    static const size_t entries[] = {1, 3, 100, 500}, groups[] = {1, 2, 16, 64};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        ipalloc_store *from = open_source(0);
        fill(from, counts[i]);
        for (int j = 0; j < LENGTH(entries) * LENGTH(groups); j++) {
            ipalloc_store *to = open_destination(0);
            ck_assert_status(
                copy_with(from, to,
                          (ipalloc_copy_options){.batch_entries = entries[j / LENGTH(groups)],
                                                 .batches_at_once = groups[j % LENGTH(groups)]}),
                IPALLOC_OK);
            expect_same(from, to);
            ipalloc_store_close(to);
        }
        ipalloc_store_close(from);
    }
}
END_TEST

START_TEST(more_than_a_page_arrives) {
    ipalloc_store *from = open_source(0), *to = open_destination(0);
    fill(from, 70001);
    ck_assert_status(copy(from, to), IPALLOC_OK);
    expect_same(from, to);
    ck_assert_uint_eq(content_of(to).count, 70001);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

/* --- refusals -----------------------------------------------------------------------------------
 */

START_TEST(what_cannot_be_copied_is_refused) {
    ipalloc_store *from = open_source(0), *to = open_destination(0), *old = open_source(0);
    put(from, "a/", "1");
    ck_assert_status(copy(from, from), IPALLOC_E_INVALID);
    ck_assert_status(copy(NULL, to), IPALLOC_E_INVALID);
    ck_assert_status(copy(from, NULL), IPALLOC_E_INVALID);
    ck_assert_status(copy_with(from, to, (ipalloc_copy_options){.batch_entries = 501}),
                     IPALLOC_E_INVALID);
    ck_assert_status(copy_with(from, to, (ipalloc_copy_options){.batches_at_once = 65}),
                     IPALLOC_E_INVALID);
    ipalloc_copy_options unsized = {0};
    ipalloc_copy_result result = {0};
    ck_assert_status(ipalloc_store_copy(from, to, &unsized, NULL, NULL), IPALLOC_E_INVALID);
    ck_assert_status(ipalloc_store_copy(from, to, NULL, &result, NULL), IPALLOC_E_INVALID);
    ck_assert_status(copy(from, old), IPALLOC_E_INVALID);
    expect_words("epoch 1 is not later than the source's, 1");
    ck_assert_uint_eq(content_of(to).count, 0);
    ck_assert_uint_eq(content_of(old).count, 0);
    ipalloc_store_close(old);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

START_TEST(a_store_that_holds_anything_is_left_alone) {
    ipalloc_store *from = open_source(_i), *to = open_destination(_i);
    put(from, "a/", "1");
    put(to, "b/\x01", "2");
    ck_assert_status(copy(from, to), IPALLOC_E_BUSY);
    expect_words("it holds \"b/\\x01\"");
    ck_assert_status(copy_with(from, to, (ipalloc_copy_options){.replace_unfinished = true}),
                     IPALLOC_E_BUSY);
    ck_assert_uint_eq(content_of(to).count, 1);
    ck_assert_uint_eq(info_of(to).revision, 1); /* no mark came and went */
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

#ifdef WITH_SQLITE
START_TEST(what_nobody_accepted_is_not_copied) {
    ipalloc_store *from = open_store(sqlite_url(directory, "from.db"), NULL);
    put(from, "a/", "1");
    ck_assert_status(ipalloc_store_backup(from, file_in(directory, "backup.db"), NULL), IPALLOC_OK);
    ipalloc_store *backup = open_store(sqlite_url(directory, "backup.db"), NULL);
    ipalloc_store *to = open_epoch("memory:", info_of(backup).epoch + 1);
    ck_assert_status(copy(backup, to), IPALLOC_E_MISMATCH);
    expect_words("the source is a copy or was restored");
    ck_assert_status(ipalloc_store_accept(backup, NULL), IPALLOC_OK);
    ck_assert_status(copy(backup, to), IPALLOC_OK);
    expect_same(from, to);
    ipalloc_store_close(to);
    ipalloc_store_close(backup);
    ipalloc_store_close(from);
}
END_TEST

START_TEST(a_reader_beside_the_owner_can_copy_what_it_sees) {
    ipalloc_store *from = open_store(sqlite_url(directory, "from.db"), NULL);
    fill(from, 1234);
    pid_t child = fork();
    if (child == 0) {
        ipalloc_store_options reads = {.size = sizeof reads, .read_only = true};
        ipalloc_store *reader = open_store(sqlite_url(directory, "from.db"), &reads);
        ipalloc_store *to = open_epoch(sqlite_url(directory, "to.db"), 2);
        bool fine = ipalloc_store_copy(reader, to, NULL, NULL, NULL) == IPALLOC_OK;
        bool refused = ipalloc_store_copy(to, reader, NULL, NULL, NULL) < 0;
        _exit(fine && refused ? 0 : 1);
    }
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_int_eq(how, 0);
    ipalloc_store *to = open_store(sqlite_url(directory, "to.db"), NULL);
    expect_same(from, to);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST
#endif

/* --- half-way -----------------------------------------------------------------------------------
 */

typedef struct interruption {
    ipalloc_store *from, *to;
    uint64_t at;      /* entries copied; then once: */
    uint64_t back_at; /* or entries read back */
    int answer;       /* of the callback */
    void (*act)(struct interruption *);
    int inner_status; /* of another copy */
    bool happened;
    uint64_t copied, read_back;
} interruption;

static int interrupt(void *context, uint64_t copied, uint64_t read_back) {
    interruption *i = context;
    ck_assert_uint_ge(copied, i->copied);
    ck_assert_uint_ge(read_back, i->read_back);
    i->copied = copied;
    i->read_back = read_back;
    if (i->happened || copied < i->at || read_back < i->back_at)
        return 0;
    i->happened = true;
    if (i->act != NULL)
        i->act(i);
    return i->answer;
}

static ipalloc_copy_options interrupted(interruption *i) {
    return (ipalloc_copy_options){
        .batch_entries = 10, .batches_at_once = 3, .progress = interrupt, .context = i};
}

START_TEST(a_stopped_copy_is_no_registry_and_can_be_begun_again) {
    ipalloc_store *from = open_source(_i), *to = open_destination(_i);
    fill(from, 500);
    put(from, "format/", "version=1\n");
    interruption i = {.at = 200, .answer = 33};
    ck_assert_status(copy_with(from, to, interrupted(&i)), 33);
    ck_assert(i.happened);
    ck_assert_uint_eq(content_of(to).count, i.copied + 1);
    ck_assert_uint_lt(i.copied, 501);
    expect_no_registry(to);
    ck_assert_status(copy(from, to), IPALLOC_E_BUSY);
    expect_words("unfinished copy");
    put(to, "k/not-in-the-source/", "left by the first copy");
    ck_assert_status(copy_with(from, to, (ipalloc_copy_options){.replace_unfinished = true}),
                     IPALLOC_OK);
    expect_same(from, to);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

/* All is there, and only the comparison is still to end. */
START_TEST(a_copy_stopped_while_it_is_read_back_is_no_registry) {
    ipalloc_store *from = open_source(_i), *to = open_destination(_i);
    put(from, "format/", "version=1\n");
    interruption i = {.back_at = 1, .answer = -99};
    ck_assert_status(copy_with(from, to, interrupted(&i)), -99);
    expect_no_registry(to);
    ipalloc_store *next = open_epoch("memory:", 3);
    ck_assert_status(copy(to, next), IPALLOC_E_CORRUPT);
    expect_words("the source is an unfinished copy");
    ipalloc_store_close(next);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

static void write_to_source(interruption *i) {
    put(i->from, "k/0000000/", "changed");
}

static void remove_from_source(interruption *i) {
    erase(i->from, "k/0000000/");
}

START_TEST(a_source_that_changes_meanwhile_is_noticed) {
    void (*const changes[])(interruption *) = {write_to_source, remove_from_source};
    for (int when = 0; when < 4; when++) {
        ipalloc_store *from = open_source(0), *to = open_destination(0);
        fill(from, 500);
        interruption i = {.from = from,
                          .at = when < 2 ? 200 : 0,
                          .back_at = when < 2 ? 0 : 1,
                          .act = changes[when % 2]};
        ck_assert_status(copy_with(from, to, interrupted(&i)), IPALLOC_E_CONFLICT);
        expect_words("the source has changed meanwhile, from revision 2 to 3");
        expect_no_registry(to);
        ck_assert_status(copy_with(from, to, (ipalloc_copy_options){.replace_unfinished = true}),
                         IPALLOC_OK);
        expect_same(from, to);
        ipalloc_store_close(to);
        ipalloc_store_close(from);
    }
}
END_TEST

static void copy_into_the_same(interruption *i) {
    ipalloc_copy_options options = {.size = sizeof options, .replace_unfinished = true};
    i->inner_status = ipalloc_store_copy(i->from, i->to, &options, NULL, NULL);
}

static void begin_to_copy_into_the_same(interruption *i) {
    interruption inner = {.at = 50, .answer = 5};
    ipalloc_copy_options options = interrupted(&inner);
    options.size = sizeof options;
    options.replace_unfinished = true;
    i->inner_status = ipalloc_store_copy(i->from, i->to, &options, NULL, NULL);
}

START_TEST(of_two_copies_into_one_store_the_later_takes_over) {
    for (int when = 0; when < 2; when++) {
        ipalloc_store *from = open_source(0), *to = open_destination(0);
        fill(from, 500);
        interruption i = {.from = from,
                          .to = to,
                          .at = when == 0 ? 200 : 0,
                          .back_at = when == 0 ? 0 : 1,
                          .act = copy_into_the_same};
        ck_assert_status(copy_with(from, to, interrupted(&i)), IPALLOC_E_CONFLICT);
        expect_words("somebody else writes to the destination");
        ck_assert_status(i.inner_status, IPALLOC_OK);
        expect_same(from, to);
        ipalloc_store_close(to);
        ipalloc_store_close(from);
    }
    ipalloc_store *from = open_source(0), *to = open_destination(0);
    fill(from, 500);
    interruption i = {.from = from, .to = to, .at = 200, .act = begin_to_copy_into_the_same};
    ck_assert_status(copy_with(from, to, interrupted(&i)), IPALLOC_E_CONFLICT);
    ck_assert_status(i.inner_status, 5);
    expect_no_registry(to);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

/* --- a registry ---------------------------------------------------------------------------------
 */

enum { OWNERS = 60 };

static ipalloc_pool *define(ipalloc_registry *registry) {
    ipalloc_cidr range = cidr("10.96.0.0/24");
    ipalloc_pool_definition definition = {.size = sizeof definition,
                                          .kind = IPALLOC_POOL_IPV4,
                                          .ranges = &range,
                                          .range_count = 1,
                                          .cool_down_ms = 3600000};
    ipalloc_pool *pool;
    ipalloc_error error;
    ck_assert_status_error(ipalloc_pool_define(registry, "services-v4", &definition, &pool, &error),
                           IPALLOC_OK, &error);
    return pool;
}

static int put_record(ipalloc_txn *txn, void *context, ipalloc_error *error) {
    return ipalloc_txn_put(txn, context, "{}", 2, 0, error);
}

static void work(ipalloc_registry *registry, ipalloc_pool *pool) {
    char owner[32];
    ipalloc_addr first = addr("10.96.0.200"), last = addr("10.96.0.210");
    ck_assert_status(ipalloc_pool_exclude(pool, &first, &last, NULL), IPALLOC_OK);
    for (int i = 0; i < OWNERS; i++) {
        ipalloc_grant grant = {.size = sizeof grant};
        snprintf(owner, sizeof owner, "Service/a b/%d", i);
        ck_assert_status(ipalloc_allocate(registry, pool, owner, "clusterIP/IPv4", &grant, NULL),
                         IPALLOC_OK);
        if (i % 3 == 0)
            ck_assert_status(ipalloc_release_owner(registry, owner, NULL, NULL), IPALLOC_OK);
    }
    ipalloc_txn_options options = {.size = sizeof options, .owner = "Service/x"};
    char key[] = "services/x";
    ck_assert_status(ipalloc_transact(registry, &options, put_record, key, NULL, NULL), IPALLOC_OK);
}

typedef struct listed {
    char text[65536];
    size_t length;
} listed;

static int list_one(void *context, const ipalloc_lease *lease) {
    listed *l = context;
    l->length +=
        (size_t)snprintf(l->text + l->length, sizeof l->text - l->length, "%s %s %s %llu %llu\n",
                         addr_text(&lease->address), lease->owner, lease->slots[0],
                         (unsigned long long)lease->generation, (unsigned long long)lease->time_ms);
    return 0;
}

static void list(ipalloc_registry *registry, listed *out) {
    out->length = 0;
    ck_assert_status(ipalloc_list(registry, NULL, list_one, out, NULL), IPALLOC_OK);
}

START_TEST(a_registry_goes_on_where_it_was) {
    static listed before, after;
    ipalloc_store *from = open_source(_i), *to = open_destination(_i);
    ipalloc_registry *registry;
    ipalloc_error error;
    ck_assert_status(ipalloc_registry_open(from, NULL, &registry, NULL), IPALLOC_OK);
    ipalloc_pool *pool = define(registry);
    work(registry, pool);
    list(registry, &before);
    ipalloc_pool_stats old = {.size = sizeof old}, now = {.size = sizeof now};
    ck_assert_status(ipalloc_pool_get_stats(pool, &old, NULL), IPALLOC_OK);
    ipalloc_registry_close(registry);
    ck_assert_status(copy(from, to), IPALLOC_OK);
    ck_assert_status(ipalloc_registry_open(to, NULL, &registry, NULL), IPALLOC_OK);
    pool = define(registry); /* the same definition: nothing changes */
    ck_assert_status_error(ipalloc_registry_validate(registry, &error), IPALLOC_OK, &error);
    list(registry, &after);
    ck_assert_str_eq(before.text, after.text);
    ck_assert_status(ipalloc_pool_get_stats(pool, &now, NULL), IPALLOC_OK);
    ck_assert_uint_eq(now.total.used.low, old.total.used.low);
    ck_assert_uint_eq(now.total.cooling.low, old.total.cooling.low);
    ck_assert_uint_eq(now.total.cooling.low, OWNERS / 3);
    ck_assert_uint_eq(now.total.excluded.low, 11);
    ipalloc_grant grant = {.size = sizeof grant};
    ck_assert_status(
        ipalloc_allocate(registry, pool, "Service/a b/1", "clusterIP/IPv4", &grant, NULL),
        IPALLOC_OK);
    ck_assert(grant.existing);
    ck_assert_status(ipalloc_release_owner(registry, "Service/a b/1", NULL, NULL), IPALLOC_OK);
    ck_assert_status(ipalloc_allocate(registry, pool, "new", "clusterIP/IPv4", &grant, NULL),
                     IPALLOC_OK);
    ck_assert_status(ipalloc_registry_validate(registry, NULL), IPALLOC_OK);
    ipalloc_registry_close(registry);
    ipalloc_store_close(to);
    ipalloc_store_close(from);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("copy");
    TCase *tests = tcase_create("copy");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, an_empty_store_is_copied_too, 0, LENGTH(WAYS));
    tcase_add_loop_test(tests, every_key_and_byte_arrives, 0, LENGTH(WAYS));
    tcase_add_test(tests, batches_and_groups_of_every_size_copy_the_same);
    tcase_add_test(tests, more_than_a_page_arrives);
    tcase_add_test(tests, what_cannot_be_copied_is_refused);
    tcase_add_loop_test(tests, a_store_that_holds_anything_is_left_alone, 0, LENGTH(WAYS));
    tcase_add_loop_test(tests, a_stopped_copy_is_no_registry_and_can_be_begun_again, 0,
                        LENGTH(WAYS));
    tcase_add_loop_test(tests, a_copy_stopped_while_it_is_read_back_is_no_registry, 0,
                        LENGTH(WAYS));
    tcase_add_test(tests, a_source_that_changes_meanwhile_is_noticed);
    tcase_add_test(tests, of_two_copies_into_one_store_the_later_takes_over);
    tcase_add_loop_test(tests, a_registry_goes_on_where_it_was, 0, LENGTH(WAYS));
#ifdef WITH_SQLITE
    tcase_add_test(tests, what_nobody_accepted_is_not_copied);
    tcase_add_test(tests, a_reader_beside_the_owner_can_copy_what_it_sees);
#endif
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
