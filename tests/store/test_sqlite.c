/*
 * test_sqlite.c: what only the sqlite store promises: one owner, files that are known for what they
 * are, copies that are known for copies, backups, readers beside the owner.
 */
#include "store_support.h"

#include "store/delivery.h"
#include "store/sqlite_store.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;
static const ipalloc_store_options READ_ONLY = {.size = sizeof READ_ONLY, .read_only = true};
static const ipalloc_store_options MUST_EXIST = {.size = sizeof MUST_EXIST, .must_exist = true};

static void set_up(void) {
    directory = test_directory_make();
}

static void tear_down(void) {
    test_directory_remove(directory);
}

static ipalloc_store *open_here(const char *name) {
    return open_store(sqlite_url(directory, name), NULL);
}

/* Opening fails with this status and these words. */
static void refused_url(const char *url, const ipalloc_store_options *options, int expected,
                        const char *words) {
    ipalloc_store *store = NULL;
    ipalloc_error error = {0};
    ck_assert_status_error(ipalloc_store_open(url, options, &store, &error), expected, &error);
    ck_assert_ptr_null(store);
    ck_assert_int_eq(error.status, expected);
    ck_assert_msg(strstr(error.message, words) != NULL, "\"%s\" lacks \"%s\"", error.message,
                  words);
}

static void refused(const char *name, const ipalloc_store_options *options, int expected,
                    const char *words) {
    refused_url(sqlite_url(directory, name), options, expected, words);
}

static void write_file(const char *name, const void *bytes, size_t size) {
    FILE *file = fopen(file_in(directory, name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static char *read_file(const char *name, size_t *size) {
    FILE *file = fopen(file_in(directory, name), "rb");
    ck_assert_ptr_nonnull(file);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static bool exists(const char *name) {
    return access(file_in(directory, name), F_OK) == 0;
}

static void run_sql(const char *name, const char *sql) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(file_in(directory, name), &db), SQLITE_OK);
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", sql, message);
    sqlite3_close(db);
}

static void make_store(const char *name) {
    ipalloc_store *store = open_here(name);
    put(store, "a/", "one");
    put(store, "b/", "two");
    ipalloc_store_close(store);
}

/* --- paths ---------------------------------------------------------------------------------------
 */

START_TEST(a_store_is_where_its_path_says_and_reopens_with_all_it_held) {
    make_store("s.db");
    ck_assert(exists("s.db"));
    ck_assert(!exists("s.db-new"));
    ck_assert(!exists("s.db-wal"));
    ipalloc_store *store = open_here("s.db");
    ck_assert_str_eq(scan_text(store, ""), "a/=one@1 b/=two@2 ");
    ck_assert_str_eq(changes_text(store, 0), "a/=one@1 b/=two@2 ");
    ck_assert_uint_eq(info_of(store).epoch, 1);
    ck_assert(!info_of(store).restored);
    ck_assert_uint_eq(put(store, "c/", "three"), 3);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(revisions_are_never_used_again) {
    make_store("s.db");
    ipalloc_store *store = open_here("s.db");
    ck_assert_uint_eq(erase(store, "b/"), 3);
    ck_assert_uint_eq(erase(store, "a/"), 4);
    ipalloc_op nothing = op_check("z/");
    ck_assert_uint_eq(must_commit(store, &nothing, 1), 5);
    ipalloc_store_close(store);
    store = open_store(
        sqlite_url(directory, "s.db"),
        &(ipalloc_store_options){.size = sizeof(ipalloc_store_options), .changes_kept = 1});
    ck_assert_uint_eq(info_of(store).revision, 5);
    ck_assert_uint_eq(put(store, "a/", "again"), 6);
    ipalloc_store_close(store);
    store = open_here("s.db");
    ck_assert_uint_eq(info_of(store).revision, 6);
    ck_assert_uint_eq(info_of(store).oldest_change, 5);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(the_first_epoch_is_that_of_the_call_that_made_the_store) {
    ipalloc_store_options options = {.size = sizeof options, .first_epoch = 12};
    ipalloc_store *store = open_store(sqlite_url(directory, "s.db"), &options);
    ck_assert_uint_eq(info_of(store).epoch, 12);
    ipalloc_store_close(store);
    options.first_epoch = 99;
    store = open_store(sqlite_url(directory, "s.db"), &options);
    ck_assert_uint_eq(info_of(store).epoch, 12);
    ck_assert(!info_of(store).restored);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(paths_are_checked) {
    refused_url("sqlite:", NULL, IPALLOC_E_INVALID, "a path must follow");
    refused("missing/s.db", NULL, IPALLOC_E_NOT_FOUND, "directory");
    refused("s.db", &MUST_EXIST, IPALLOC_E_NOT_FOUND, "no such store");
    refused("s.db", &READ_ONLY, IPALLOC_E_NOT_FOUND, "no such store");
    ck_assert(!exists("s.db-lock"));
    refused("s.db/..", NULL, IPALLOC_E_INVALID, "file name");
    refused("sub/", NULL, IPALLOC_E_INVALID, "file name");
    char path[5000] = "sqlite:";
    memset(path + 7, 'x', 4500);
    refused_url(path, NULL, IPALLOC_E_INVALID, "too long");
    write_file("file", "x", 1);
    refused("file/s.db", NULL, IPALLOC_E_IO, "Not a directory");
    ck_assert_int_eq(mkdir(file_in(directory, "sub"), 0700), 0);
    refused("sub", NULL, IPALLOC_E_CORRUPT, "is a directory");
    ck_assert_int_eq(mkfifo(file_in(directory, "pipe"), 0600), 0);
    refused("pipe", NULL, IPALLOC_E_CORRUPT, "not a regular file");
}
END_TEST

START_TEST(a_relative_path_is_relative_to_the_working_directory) {
    ck_assert_int_eq(chdir(directory), 0);
    ipalloc_store *store = open_store("sqlite:s.db", NULL);
    put(store, "a/", "v");
    refused("s.db", NULL, IPALLOC_E_BUSY, "has it open already");
    ipalloc_store_close(store);
    ck_assert(exists("s.db"));
    store = open_store("sqlite:file:x?mode=memory", NULL); /* a name like any other */
    ipalloc_store_close(store);
    ck_assert(exists("file:x?mode=memory"));
}
END_TEST

START_TEST(a_symbolic_link_leads_to_the_same_owner) {
    ipalloc_store *store = open_here("s.db");
    ck_assert_int_eq(symlink("s.db", file_in(directory, "link.db")), 0);
    refused("link.db", NULL, IPALLOC_E_BUSY, "has it open already");
    ipalloc_store_close(store);
    store = open_here("link.db");
    refused("s.db", NULL, IPALLOC_E_BUSY, "has it open already");
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_file_with_two_names_is_refused) {
    make_store("s.db");
    ck_assert_int_eq(link(file_in(directory, "s.db"), file_in(directory, "other.db")), 0);
    refused("other.db", NULL, IPALLOC_E_UNAVAILABLE, "hard links");
    refused("s.db", NULL, IPALLOC_E_UNAVAILABLE, "hard links");
}
END_TEST

static int statfs_nfs(const char *path, struct statfs *out) {
    int result = statfs(path, out);
    out->f_type = 0x6969;
    return result;
}

static int statfs_fuse(const char *path, struct statfs *out) {
    int result = statfs(path, out);
    out->f_type = 0x65735546;
    return result;
}

START_TEST(a_network_file_system_is_refused_and_fuse_is_not) {
    system_calls system = SYSTEM_CALLS;
    ipalloc_store *store;
    ipalloc_error error;
    ipalloc_store_options options = {.size = sizeof options};
    system.file_system = statfs_nfs;
    ck_assert_status(
        store_open_with(sqlite_url(directory, "s.db"), &options, &system, &store, &error),
        IPALLOC_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(error.message, "NFS"));
    ck_assert(!exists("s.db"));
    system.file_system = statfs_fuse;
    ck_assert_status(
        store_open_with(sqlite_url(directory, "s.db"), &options, &system, &store, &error),
        IPALLOC_OK);
    ipalloc_store_close(store);
}
END_TEST

/* --- files that are no store ---------------------------------------------------------------------
 */

/* Opening refuses the file, for writing and for reading, and leaves every byte of it. */
static void refused_untouched(const char *name, int expected, const char *words) {
    size_t before_size, after_size;
    char *before = read_file(name, &before_size);
    refused(name, NULL, expected, words);
    refused(name, &READ_ONLY, expected, words);
    char *after = read_file(name, &after_size);
    ck_assert_uint_eq(before_size, after_size);
    ck_assert_int_eq(memcmp(before, after, before_size), 0);
    free(before);
    free(after);
}

START_TEST(an_empty_file_is_no_store) {
    write_file("s.db", "", 0);
    refused_untouched("s.db", IPALLOC_E_CORRUPT, "empty file");
}
END_TEST

START_TEST(random_bytes_are_no_store) {
    uint64_t random = test_seed();
    static unsigned char bytes[65536];
    static const size_t sizes[] = {1, 15, 16, 99, 100, 511, 512, 4096, 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            bytes[j] = (unsigned char)test_random(&random);
        write_file("s.db", bytes, sizes[i]);
        refused_untouched("s.db", IPALLOC_E_CORRUPT, "not");
    }
}
END_TEST

START_TEST(another_programs_database_is_no_store) {
    run_sql("s.db", "CREATE TABLE records(key, value, revision)");
    refused_untouched("s.db", IPALLOC_E_CORRUPT, "another program (application id 0x00000000)");
    run_sql("s.db", "PRAGMA application_id = 0x12345678");
    refused_untouched("s.db", IPALLOC_E_CORRUPT, "0x12345678");
}
END_TEST

START_TEST(a_newer_form_is_refused_by_number) {
    make_store("s.db");
    run_sql("s.db", "PRAGMA user_version = 2");
    refused_untouched("s.db", IPALLOC_E_CORRUPT, "has form 2; this library knows forms up to 1");
    run_sql("s.db", "PRAGMA user_version = 0");
    refused_untouched("s.db", IPALLOC_E_CORRUPT, "form 0");
}
END_TEST

START_TEST(a_changed_schema_is_refused) {
    static const struct {
        const char *sql, *words;
    } table[] = {
        {"DROP TABLE meta", "meta is missing"},
        {"DROP TABLE records", "records is missing"},
        {"ALTER TABLE changes ADD COLUMN more", "changes is not the one"},
        {"DROP TABLE changes; CREATE TABLE changes(position, key, value)", "changes is not"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        make_store("s.db");
        run_sql("s.db", table[i].sql);
        refused_untouched("s.db", IPALLOC_E_CORRUPT, table[i].words);
        ck_assert_int_eq(unlink(file_in(directory, "s.db")), 0);
    }
}
END_TEST

START_TEST(damaged_meta_is_refused) {
    static const struct {
        const char *sql, *words;
    } table[] = {
        {"DELETE FROM meta WHERE name = 'epoch'", "epoch is missing"},
        {"UPDATE meta SET value = '-1' WHERE name = 'epoch'", "epoch in meta is not a number"},
        {"UPDATE meta SET value = '99999999999999999999' WHERE name = 'epoch'", "not a number"},
        {"DELETE FROM meta WHERE name = 'identity'", "identity is missing"},
        {"UPDATE meta SET value = hex(randomblob(900)) WHERE name = 'identity'", "damaged"},
        {"UPDATE meta SET value = x'00' WHERE name = 'identity'", "damaged"},
        {"UPDATE meta SET value = 'yes' WHERE name = 'restored'", "restored in meta is not"},
        {"INSERT INTO changes(position) VALUES (-5)", "negative position"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        make_store("s.db");
        run_sql("s.db", table[i].sql);
        refused("s.db", NULL, IPALLOC_E_CORRUPT, table[i].words);
        ck_assert_int_eq(unlink(file_in(directory, "s.db")), 0);
    }
}
END_TEST

START_TEST(damaged_records_are_reported_as_such) {
    static const struct {
        const char *sql, *words;
    } table[] = {
        {"UPDATE records SET revision = -1 WHERE key = 'a/'", "revision is damaged"},
        {"UPDATE records SET revision = 'x' WHERE key = 'a/'", "revision is damaged"},
        {"UPDATE records SET revision = 1 << 60 WHERE key = 'a/'", "revision is damaged"},
        {"UPDATE records SET value = zeroblob(1048577) WHERE key = 'a/'", "value is too long"},
        {"UPDATE records SET key = '' WHERE key = 'a/'", "key is damaged"},
        {"UPDATE records SET key = CAST(x'6100' AS TEXT) WHERE key = 'a/'", "key is damaged"},
        {"UPDATE records SET key = hex(zeroblob(600)) WHERE key = 'a/'", "key is damaged"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        make_store("s.db");
        run_sql("s.db", table[i].sql);
        ipalloc_store *store = open_here("s.db");
        walk w = {0};
        ipalloc_error error;
        ck_assert_status(ipalloc_store_scan(store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0,
                                            write_down, &w, NULL, &error),
                         IPALLOC_E_CORRUPT);
        ck_assert_msg(strstr(error.message, table[i].words) != NULL, "%s", error.message);
        ipalloc_store_close(store);
        ck_assert_int_eq(unlink(file_in(directory, "s.db")), 0);
    }
}
END_TEST

/* Every cut and every damaged page is either found or harmless; never a crash. */
START_TEST(a_truncated_store_is_refused) {
    ipalloc_store *store = open_here("s.db");
    for (int i = 0; i < 200; i++) {
        char key[32];
        snprintf(key, sizeof key, "k/%03d/", i);
        put(store, key, "some value that takes a little room in the file");
    }
    ipalloc_store_close(store);
    size_t size;
    char *bytes = read_file("s.db", &size);
    ck_assert_uint_gt(size, 5 * 4096);
    for (size_t cut = size - 4096; cut > 0; cut -= 4096) {
        write_file("cut.db", bytes, cut);
        refused("cut.db", NULL, IPALLOC_E_CORRUPT, "damaged");
        write_file("cut.db", bytes, cut - 1000);
        refused("cut.db", NULL, IPALLOC_E_CORRUPT, "");
    }
    free(bytes);
}
END_TEST

START_TEST(random_damage_is_reported_and_never_crashes) {
    ipalloc_store *store = open_here("s.db");
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof key, "k/%03d/", i);
        put(store, key, "value");
    }
    ipalloc_store_close(store);
    size_t size;
    char *bytes = read_file("s.db", &size), *damaged = malloc(size);
    uint64_t random = test_seed();
    for (uint64_t i = 0; i < test_scaled(100); i++) {
        memcpy(damaged, bytes, size);
        for (int j = 0; j < 4; j++)
            damaged[test_random(&random) % size] = (char)test_random(&random);
        write_file("d.db", damaged, size);
        ipalloc_error error = {0};
        if (ipalloc_store_open(sqlite_url(directory, "d.db"), NULL, &store, &error) != IPALLOC_OK)
            continue;
        walk w = {0};
        ipalloc_op op = op_put("k/050/", "new");
        ipalloc_batch batch = {.ops = &op, .op_count = 1};
        int scanned = ipalloc_store_scan(store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0,
                                         write_down, &w, NULL, &error);
        ck_assert(scanned == IPALLOC_OK || scanned == IPALLOC_E_CORRUPT);
        (void)ipalloc_store_commit(store, &batch, 1, &error);
        ipalloc_store_close(store);
    }
    free(bytes);
    free(damaged);
}
END_TEST

/* --- owners --------------------------------------------------------------------------------------
 */

START_TEST(a_second_open_in_one_process_is_busy) {
    ipalloc_store *store = open_here("s.db");
    char words[64];
    snprintf(words, sizeof words, "this process (pid %d) has it open already", (int)getpid());
    refused("s.db", NULL, IPALLOC_E_BUSY, words);
    put(store, "a/", "v"); /* and the first is none the worse */
    refused("s.db", NULL, IPALLOC_E_BUSY, words);
    ipalloc_store_close(store);
    store = open_here("s.db");
    ck_assert_str_eq(value_of(store, "a/"), "v@1");
    ipalloc_store_close(store);
}
END_TEST

/* A child that owns the store, has committed `count` keys, and sleeps. */
static pid_t start_owner(const char *name, int count, int *ready) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        ipalloc_store *store;
        if (ipalloc_store_open(sqlite_url(directory, name), NULL, &store, NULL) != IPALLOC_OK)
            _exit(1);
        for (int i = 0; i < count; i++) {
            char key[32];
            snprintf(key, sizeof key, "k/%d/", i);
            ipalloc_op op = op_put(key, "v");
            ipalloc_batch batch = {.ops = &op, .op_count = 1};
            if (ipalloc_store_commit(store, &batch, 1, NULL) != IPALLOC_OK)
                _exit(2);
        }
        if (write(ends[1], "x", 1) != 1)
            _exit(3);
        for (;;)
            pause();
    }
    close(ends[1]);
    char byte;
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    *ready = ends[0];
    return child;
}

static void kill_owner(pid_t child, int ready) {
    int status;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    close(ready);
}

START_TEST(another_process_gets_busy_with_the_owners_pid_until_it_is_gone) {
    int ready;
    pid_t child = start_owner("s.db", 3, &ready);
    char words[64];
    snprintf(words, sizeof words, "in use by process %d", (int)child);
    refused("s.db", NULL, IPALLOC_E_BUSY, words);
    kill_owner(child, ready);
    ipalloc_store *store = open_here("s.db");
    ck_assert_str_eq(scan_text(store, ""), "k/0/=v@1 k/1/=v@2 k/2/=v@3 ");
    ck_assert(!info_of(store).restored);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_lock_file_without_a_pid_still_counts) {
    int ready;
    pid_t child = start_owner("s.db", 1, &ready);
    static const char *const texts[] = {"", "12", "x\n", "99999999999999\n", "-4\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file("s.db-lock", texts[i], strlen(texts[i]));
        refused("s.db", NULL, IPALLOC_E_BUSY, "in use by another process");
    }
    kill_owner(child, ready);
    ipalloc_store_close(open_here("s.db"));
}
END_TEST

START_TEST(what_a_crash_left_of_a_new_store_is_swept_away) {
    write_file("s.db-new", "half a file", 11);
    write_file("s.db-new-journal", "half a journal", 14);
    make_store("s.db");
    ck_assert(!exists("s.db-new"));
    ck_assert(!exists("s.db-new-journal"));
}
END_TEST

/* --- readers beside the owner --------------------------------------------------------------------
 */

START_TEST(a_reader_beside_a_living_owner_sees_each_commit) {
    int ready;
    pid_t child = start_owner("s.db", 2, &ready);
    ipalloc_store *reader = open_store(sqlite_url(directory, "s.db"), &READ_ONLY);
    ck_assert_str_eq(scan_text(reader, ""), "k/0/=v@1 k/1/=v@2 ");
    kill_owner(child, ready);
    ipalloc_store *owner = open_here("s.db");
    for (uint64_t i = 3; i < 30; i++) {
        ck_assert_uint_eq(put(owner, "n/", "v"), i);
        ck_assert_uint_eq(info_of(reader).revision, i);
        char expected[32];
        snprintf(expected, sizeof expected, "v@%llu", (unsigned long long)i);
        ck_assert_str_eq(value_of(reader, "n/"), expected);
    }
    ipalloc_store_close(owner);
    ck_assert_str_eq(scan_text(reader, "n"), "n/=v@29 ");
    ipalloc_store_close(reader);
}
END_TEST

START_TEST(a_reader_writes_nothing) {
    make_store("s.db");
    ipalloc_store *reader = open_store(sqlite_url(directory, "s.db"), &READ_ONLY);
    ck_assert(info_of(reader).read_only);
    ipalloc_op op = op_put("a/", "v");
    ipalloc_batch batch = {.ops = &op, .op_count = 1};
    ck_assert_status(ipalloc_store_commit(reader, &batch, 1, NULL), IPALLOC_E_READ_ONLY);
    ck_assert_status(batch.status, IPALLOC_E_READ_ONLY);
    ck_assert_status(ipalloc_store_accept(reader, NULL), IPALLOC_E_READ_ONLY);
    ck_assert_str_eq(changes_text(reader, 1), "b/=two@2 ");
    ipalloc_store *owner = open_here("s.db"); /* it holds no lock either */
    ipalloc_store_close(owner);
    ipalloc_store_close(reader);
}
END_TEST

/* Rows of a query, columns joined by '|', rows ended by ';'. */
static void query(const char *name, const char *sql, char *out, size_t capacity) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_open_v2(file_in(directory, name), &db, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    out[0] = '\0';
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            size_t length = strlen(out);
            snprintf(out + length, capacity - length, "%s%s", i > 0 ? "|" : "",
                     text != NULL ? text : "NULL");
        }
        strncat(out, ";", capacity - strlen(out) - 1);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

START_TEST(an_operator_can_read_records_and_leases) {
    ipalloc_store *store = open_here("s.db");
    put(store, "lease/services-v4/010.096.000.010/",
        "address=10.96.0.10\nowner=Service/default/web\nslot=clusterIP/IPv4\n"
        "generation=7\ntime=1700000000123\n");
    put(store, "lease/node-ports/30000/",
        "port=30000\nowner=Service/default/dns\nslot=nodePort/tcp\nslot=nodePort/udp\n"
        "generation=1\ntime=0\n");
    put(store, "leases/", "not one");
    put(store, "owner/x/", "neither");
    char rows[1024];
    query("s.db", "SELECT key, typeof(value), revision FROM records WHERE key LIKE 'o%'", rows,
          sizeof rows);
    ck_assert_str_eq(rows, "owner/x/|text|4;");
    query("s.db", "SELECT * FROM leases", rows, sizeof rows);
    ck_assert_str_eq(rows, "node-ports|30000|Service/default/dns|nodePort/tcp nodePort/udp|1|"
                           "1970-01-01T00:00:00Z|2;"
                           "services-v4|10.96.0.10|Service/default/web|clusterIP/IPv4|7|"
                           "2023-11-14T22:13:20Z|1;");
    ipalloc_store_close(store);
}
END_TEST

START_TEST(the_view_shows_what_the_registry_writes) {
    ipalloc_store *store = open_here("s.db");
    ipalloc_registry *registry;
    ipalloc_pool *pool;
    ipalloc_error error = {0};
    ck_assert_status_error(ipalloc_registry_open(store, NULL, &registry, &error), IPALLOC_OK,
                           &error);
    ipalloc_cidr range = cidr("10.96.0.0/24");
    ipalloc_pool_definition definition = {
        .size = sizeof definition, .kind = IPALLOC_POOL_IPV4, .ranges = &range, .range_count = 1};
    ck_assert_status_error(ipalloc_pool_define(registry, "v4", &definition, &pool, &error),
                           IPALLOC_OK, &error);
    ipalloc_addr wanted = addr("10.96.0.77");
    ipalloc_grant grant = {.size = sizeof grant};
    ck_assert_status_error(ipalloc_reserve(registry, pool, "Service/default/web", "clusterIP/IPv4",
                                           &wanted, &grant, &error),
                           IPALLOC_OK, &error);
    char rows[1024];
    query("s.db", "SELECT pool, address, owner, slots, generation > 0, time > '2020' FROM leases",
          rows, sizeof rows);
    ck_assert_str_eq(rows, "v4|10.96.0.77|Service/default/web|clusterIP/IPv4|1|1;");
    ipalloc_registry_close(registry);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(an_older_view_is_replaced) {
    make_store("s.db");
    char before[8192], after[8192];
    static const char sql[] = "SELECT sql FROM sqlite_master WHERE name = 'leases'";
    query("s.db", sql, before, sizeof before);
    run_sql("s.db", "DROP VIEW leases; CREATE VIEW leases AS SELECT 1");
    ipalloc_store_close(open_here("s.db"));
    query("s.db", sql, after, sizeof after);
    ck_assert_str_eq(before, after);
}
END_TEST

/* A visitor that sleeps at the first entry for longer than the store's patience, and then looks
 * whether the owner can empty its log, which a reader's snapshot would prevent. */
typedef struct slow_walk {
    walk walk;
    bool slept;
    bool log_was_free;
} slow_walk;

static void three_batches(ipalloc_store *store) {
    ipalloc_op first[] = {op_put("a/1/", "x"), op_put("b/2/", "x"), op_put("e/5/", "x")};
    ipalloc_op second[] = {op_delete("e/5/")};
    ipalloc_op third[] = {op_put("a/1/", "y"), op_put("c/3/", "")};
    must_commit(store, first, 3);
    must_commit(store, second, 1);
    must_commit(store, third, 2);
}

static bool log_can_be_emptied(void) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(file_in(directory, "s.db"), &db), SQLITE_OK);
    int frames, copied; /* a connection finds its log only with its first reading */
    ck_assert_int_eq(sqlite3_exec(db, "SELECT max(revision) FROM changes", NULL, NULL, NULL),
                     SQLITE_OK);
    int result = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &frames, &copied);
    sqlite3_close(db);
    return result == SQLITE_OK;
}

static int visit_slowly(void *context, const ipalloc_entry *entry) {
    slow_walk *w = context;
    if (!w->slept) {
        ck_assert(!log_can_be_emptied()); /* the snapshot is there as yet */
        usleep((DELIVERY_PATIENCE_MS + 50) * 1000);
        w->slept = true;
    } else {
        w->log_was_free = log_can_be_emptied();
    }
    return write_down(&w->walk, entry);
}

START_TEST(a_slow_visitor_keeps_no_snapshot) {
    ipalloc_store *store = open_here("s.db");
    three_batches(store);
    slow_walk w = {.walk.stop_at = 4};
    uint64_t up_to = 99;
    ck_assert_status(ipalloc_store_scan(store, (ipalloc_bytes){0}, (ipalloc_bytes){0}, 0,
                                        visit_slowly, &w, &up_to, NULL),
                     IPALLOC_OK);
    ck_assert(w.log_was_free);
    ck_assert_str_eq(w.walk.text, "a/1/=y@3 b/2/=x@1 c/3/=@3 ");
    ck_assert_uint_eq(up_to, 3);
    put(store, "d/4/", "z"); /* something in the log again */
    w = (slow_walk){.walk.stop_at = 5};
    ck_assert_status(
        ipalloc_store_changes(store, 0, (ipalloc_bytes){0}, 0, visit_slowly, &w, &up_to, NULL),
        STOPPED);
    ck_assert(w.log_was_free);
    ck_assert_str_eq(w.walk.text, "a/1/=x@1 b/2/=x@1 e/5/=x@1 e/5/!@2 a/1/=y@3 ");
    ck_assert_uint_eq(up_to, 2);
    put(store, "d/5/", "z");
    w = (slow_walk){0};
    ck_assert_status(
        ipalloc_store_changes(store, 0, (ipalloc_bytes){0}, 4, visit_slowly, &w, &up_to, NULL),
        IPALLOC_OK);
    ck_assert_uint_eq(w.walk.count, 4);
    ck_assert_uint_eq(up_to, 2);
    ipalloc_store_close(store);
}
END_TEST

/* --- copies and backups --------------------------------------------------------------------------
 */

static void expect_restored_until_accepted(const char *name, uint64_t epoch_before) {
    ipalloc_store *store = open_here(name);
    ipalloc_store_info first = info_of(store);
    ck_assert(first.restored);
    ck_assert_uint_gt(first.epoch, epoch_before);
    ck_assert_uint_le(first.epoch, epoch_before + 4095);
    ipalloc_store_close(store);
    store = open_here(name); /* the mark stays, the epoch too */
    ck_assert(info_of(store).restored);
    ck_assert_uint_eq(info_of(store).epoch, first.epoch);
    ck_assert_status(ipalloc_store_accept(store, NULL), IPALLOC_OK);
    ck_assert(!info_of(store).restored);
    ck_assert_status(ipalloc_store_accept(store, NULL), IPALLOC_OK);
    ipalloc_store_close(store);
    store = open_here(name);
    ck_assert(!info_of(store).restored);
    ck_assert_uint_eq(info_of(store).epoch, first.epoch);
    ipalloc_store_close(store);
}

START_TEST(a_copied_file_starts_a_new_epoch_and_is_restored_until_accepted) {
    make_store("s.db");
    copy_file(file_in(directory, "s.db"), file_in(directory, "copy.db"));
    ipalloc_store *reader = open_store(sqlite_url(directory, "copy.db"), &READ_ONLY);
    ck_assert(info_of(reader).restored);
    ipalloc_store_close(reader);
    expect_restored_until_accepted("copy.db", 1);
    ipalloc_store *store = open_here("s.db");
    ck_assert(!info_of(store).restored);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(two_copies_go_on_under_different_epochs) {
    make_store("s.db");
    uint64_t epochs[3];
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "copy%d.db", i);
        copy_file(file_in(directory, "s.db"), file_in(directory, name));
        ipalloc_store *store = open_here(name);
        epochs[i] = info_of(store).epoch;
        ipalloc_store_close(store);
    }
    ck_assert(epochs[0] != epochs[1] || epochs[1] != epochs[2]); /* 1 in 16 million otherwise */
}
END_TEST

START_TEST(a_renamed_file_stays_itself) {
    make_store("s.db");
    ck_assert_int_eq(rename(file_in(directory, "s.db"), file_in(directory, "t.db")), 0);
    ipalloc_store *store = open_here("t.db");
    ck_assert(!info_of(store).restored);
    ck_assert_uint_eq(info_of(store).epoch, 1);
    ck_assert_str_eq(scan_text(store, ""), "a/=one@1 b/=two@2 ");
    ipalloc_store_close(store);
}
END_TEST

static int birth_unknown(const char *path, file_birth *out) {
    int result = SYSTEM_CALLS.birth(path, out);
    out->born_known = false;
    return result;
}

START_TEST(where_births_are_unknown_inode_and_device_tell_a_copy) {
    system_calls system = SYSTEM_CALLS;
    system.birth = birth_unknown;
    ipalloc_store_options options = {.size = sizeof options};
    for (int i = 0; i < 2; i++) {
        ipalloc_store *store;
        ck_assert_status(
            store_open_with(sqlite_url(directory, "s.db"), &options, &system, &store, NULL),
            IPALLOC_OK);
        ck_assert(!info_of(store).restored);
        ipalloc_store_close(store);
    }
    copy_file(file_in(directory, "s.db"), file_in(directory, "copy.db"));
    ipalloc_store *store;
    ck_assert_status(
        store_open_with(sqlite_url(directory, "copy.db"), &options, &system, &store, NULL),
        IPALLOC_OK);
    ck_assert(info_of(store).restored);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_backup_is_a_whole_marked_copy_of_a_living_store) {
    ipalloc_store *store = open_here("s.db");
    put(store, "a/", "one");
    erase(store, "a/");
    put(store, "b/", "two");
    ipalloc_error error;
    ck_assert_status_error(ipalloc_store_backup(store, file_in(directory, "b.db"), &error),
                           IPALLOC_OK, &error);
    put(store, "c/", "three");
    ck_assert(!exists("b.db-new"));
    ck_assert(!exists("b.db-lock"));
    ipalloc_store *copy = open_here("b.db");
    ck_assert_str_eq(scan_text(copy, ""), "b/=two@3 ");
    ck_assert_str_eq(changes_text(copy, 0), "a/=one@1 a/!@2 b/=two@3 ");
    ck_assert_uint_eq(info_of(copy).revision, 3);
    ipalloc_store_close(copy);
    ipalloc_store_close(store);
    expect_restored_until_accepted("b.db", 1);
}
END_TEST

START_TEST(a_backup_put_back_in_the_old_files_place_is_restored) {
    ipalloc_store *store = open_here("s.db");
    put(store, "a/", "one");
    ck_assert_status(ipalloc_store_backup(store, file_in(directory, "b.db"), NULL), IPALLOC_OK);
    put(store, "a/", "two");
    ipalloc_store_close(store);
    copy_file(file_in(directory, "b.db"), file_in(directory, "s.db")); /* the same inode */
    expect_restored_until_accepted("s.db", 1);
    store = open_here("s.db");
    ck_assert_str_eq(scan_text(store, ""), "a/=one@1 ");
    ipalloc_store_close(store);
}
END_TEST

START_TEST(a_backup_replaces_nothing) {
    ipalloc_store *store = open_here("s.db");
    put(store, "a/", "one");
    ipalloc_error error;
    write_file("there", "precious", 8);
    ck_assert_status(ipalloc_store_backup(store, file_in(directory, "there"), &error),
                     IPALLOC_E_BUSY);
    ck_assert_ptr_nonnull(strstr(error.message, "exists already"));
    ck_assert_status(ipalloc_store_backup(store, file_in(directory, "s.db"), &error),
                     IPALLOC_E_BUSY);
    write_file("half-new", "another's", 9);
    ck_assert_status(ipalloc_store_backup(store, file_in(directory, "half"), &error),
                     IPALLOC_E_BUSY);
    ck_assert(exists("half-new"));
    ck_assert_status(ipalloc_store_backup(store, file_in(directory, "missing/b.db"), &error),
                     IPALLOC_E_NOT_FOUND);
    ipalloc_store_close(store);
    size_t size;
    char *bytes = read_file("there", &size);
    ck_assert(size == 8 && memcmp(bytes, "precious", 8) == 0);
    free(bytes);
}
END_TEST

START_TEST(a_reader_can_make_a_backup_beside_the_owner) {
    ipalloc_store *owner = open_here("s.db");
    put(owner, "a/", "one");
    ipalloc_store *reader = open_store(sqlite_url(directory, "s.db"), &READ_ONLY);
    ck_assert_status(ipalloc_store_backup(reader, file_in(directory, "b.db"), NULL), IPALLOC_OK);
    put(owner, "a/", "two");
    ipalloc_store_close(reader);
    ipalloc_store_close(owner);
    ipalloc_store *copy = open_here("b.db");
    ck_assert_str_eq(scan_text(copy, ""), "a/=one@1 ");
    ipalloc_store_close(copy);
}
END_TEST

/* --- changes kept --------------------------------------------------------------------------------
 */

START_TEST(trimming_goes_in_bounded_steps_and_whole_batches) {
    ipalloc_store_options options = {.size = sizeof options, .changes_kept = 100};
    ipalloc_store *store = open_here("s.db");
    for (int i = 0; i < 150; i++) {
        ipalloc_op ops[] = {op_put("a/", "1"), op_put("b/", "2"), op_put("c/", "3")};
        must_commit(store, ops, 3);
    }
    ipalloc_store_close(store);
    store = open_store(sqlite_url(directory, "s.db"), &options); /* 450 are there, 100 wanted */
    ck_assert_uint_eq(info_of(store).oldest_change, 0);
    put(store, "d/", "4");
    uint64_t oldest = info_of(store).oldest_change;
    ck_assert_uint_ge(151 - oldest, 34); /* at least 100 changes, in batches of three */
    ck_assert_uint_le(151 - oldest, 36);
    walk w = {0};
    ck_assert_status(
        ipalloc_store_changes(store, oldest, (ipalloc_bytes){0}, 0, write_down, &w, NULL, NULL),
        IPALLOC_OK);
    ck_assert_uint_ge(w.count, 100);
    ck_assert_status(
        ipalloc_store_changes(store, oldest - 1, (ipalloc_bytes){0}, 0, write_down, &w, NULL, NULL),
        IPALLOC_E_EXPIRED);
    ipalloc_store_close(store);
    store = open_store(sqlite_url(directory, "s.db"), &options);
    ck_assert_uint_eq(info_of(store).oldest_change, oldest);
    ipalloc_store_close(store);
}
END_TEST

START_TEST(the_log_is_kept_short_by_checkpoints) {
    ipalloc_store *store = open_here("s.db");
    static char value[4000];
    memset(value, 'v', sizeof value - 1);
    struct stat status = {0};
    for (int i = 0; i < 2500; i++) {
        char key[32];
        snprintf(key, sizeof key, "k/%d/", i % 50);
        put(store, key, value);
    }
    ck_assert_int_eq(stat(file_in(directory, "s.db-wal"), &status), 0);
    ck_assert_int_lt(status.st_size, 20 * 1024 * 1024);
    ipalloc_store_close(store);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sqlite");
    TCase *tests = tcase_create("sqlite");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_store_is_where_its_path_says_and_reopens_with_all_it_held);
    tcase_add_test(tests, revisions_are_never_used_again);
    tcase_add_test(tests, the_first_epoch_is_that_of_the_call_that_made_the_store);
    tcase_add_test(tests, paths_are_checked);
    tcase_add_test(tests, a_relative_path_is_relative_to_the_working_directory);
    tcase_add_test(tests, a_symbolic_link_leads_to_the_same_owner);
    tcase_add_test(tests, a_file_with_two_names_is_refused);
    tcase_add_test(tests, a_network_file_system_is_refused_and_fuse_is_not);
    tcase_add_test(tests, an_empty_file_is_no_store);
    tcase_add_test(tests, random_bytes_are_no_store);
    tcase_add_test(tests, another_programs_database_is_no_store);
    tcase_add_test(tests, a_newer_form_is_refused_by_number);
    tcase_add_test(tests, a_changed_schema_is_refused);
    tcase_add_test(tests, damaged_meta_is_refused);
    tcase_add_test(tests, damaged_records_are_reported_as_such);
    tcase_add_test(tests, a_truncated_store_is_refused);
    tcase_add_test(tests, random_damage_is_reported_and_never_crashes);
    tcase_add_test(tests, a_second_open_in_one_process_is_busy);
    tcase_add_test(tests, another_process_gets_busy_with_the_owners_pid_until_it_is_gone);
    tcase_add_test(tests, a_lock_file_without_a_pid_still_counts);
    tcase_add_test(tests, what_a_crash_left_of_a_new_store_is_swept_away);
    tcase_add_test(tests, a_reader_beside_a_living_owner_sees_each_commit);
    tcase_add_test(tests, a_reader_writes_nothing);
    tcase_add_test(tests, a_slow_visitor_keeps_no_snapshot);
    tcase_add_test(tests, an_operator_can_read_records_and_leases);
    tcase_add_test(tests, the_view_shows_what_the_registry_writes);
    tcase_add_test(tests, an_older_view_is_replaced);
    tcase_add_test(tests, a_copied_file_starts_a_new_epoch_and_is_restored_until_accepted);
    tcase_add_test(tests, two_copies_go_on_under_different_epochs);
    tcase_add_test(tests, a_renamed_file_stays_itself);
    tcase_add_test(tests, where_births_are_unknown_inode_and_device_tell_a_copy);
    tcase_add_test(tests, a_backup_is_a_whole_marked_copy_of_a_living_store);
    tcase_add_test(tests, a_backup_put_back_in_the_old_files_place_is_restored);
    tcase_add_test(tests, a_backup_replaces_nothing);
    tcase_add_test(tests, a_reader_can_make_a_backup_beside_the_owner);
    tcase_add_test(tests, trimming_goes_in_bounded_steps_and_whole_batches);
    tcase_add_test(tests, the_log_is_kept_short_by_checkpoints);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
