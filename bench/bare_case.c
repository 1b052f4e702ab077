/*
 * bare_case.c: the bare peers of a durable one-shot: SQLite itself, and the disk itself.
 *
 * "bare sqlite" writes the rows that ipalloc's store writes: the records, and a row of changes for
 * each (those who watch need them). "no changes" leaves the latter out. Both check nothing and run
 * on one thread whatever the case: SQLite has one writer, so more threads would only queue.
 * "append" is one write and one fdatasync of the records' bytes.
 */
#include "durable.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STRETCH_MS = 400,
    STRETCH_QUICK_MS = 150,
    STRETCH_SMOKE_MS = 10,
    PRELOADED = 100000,
    PRELOADED_QUICK = 20000,
    PRELOADED_SMOKE = 1000,
    ONE_SHOTS_CAPTURED = 100000,
    ONE_SHOTS_CAPTURED_QUICK = 20000,
};

uint64_t durable_preloaded(const workload *work) {
    if (work->smoke)
        return PRELOADED_SMOKE;
    return work->quick ? PRELOADED_QUICK : PRELOADED;
}

/* Made when first needed and kept until the program ends; the scenarios share it. */
static capture *shared_capture(const workload *work) {
    static capture *made;
    if (made == NULL) {
        made = capture_make(durable_preloaded(work),
                            work->quick ? ONE_SHOTS_CAPTURED_QUICK : ONE_SHOTS_CAPTURED);
    }
    return made;
}

uint64_t durable_stretch_ns(const workload *work) {
    int quick_ms = work->smoke ? STRETCH_SMOKE_MS : STRETCH_QUICK_MS;
    return (uint64_t)(work->quick ? quick_ms : STRETCH_MS) * 1000000;
}

/* Every state has files of its own. */
void durable_path(const workload *work, const char *name, char out[DURABLE_PATH_MAX]) {
    static unsigned number;
    snprintf(out, DURABLE_PATH_MAX, "%s/%s-%u", work->directory, name, number++);
}

void durable_broken(const char *what, const char *why) {
    fprintf(stderr, "ipalloc-bench: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

/* --- bare SQLite ------------------------------------------------------------------------------ */

typedef struct bare {
    sqlite3 *database;
    sqlite3_stmt *begin, *commit, *put, *delete, *change; /* change NULL: none are kept */
    const capture *capture;
    size_t next;
    int64_t revision;
    uint64_t stretch_ns;
    int file; /* append */
} bare;

static void run_text(sqlite3 *database, const char *text) {
    if (sqlite3_exec(database, text, NULL, NULL, NULL) != SQLITE_OK)
        durable_broken(text, sqlite3_errmsg(database));
}

static sqlite3_stmt *prepare(sqlite3 *database, const char *text) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(database, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        durable_broken(text, sqlite3_errmsg(database));
    return statement;
}

static void step(bare *b, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE)
        durable_broken("bare SQLite", sqlite3_errmsg(b->database));
    sqlite3_reset(statement);
}

static void write_record(bare *b, const captured_op *op, const char *bytes) {
    sqlite3_stmt *statement = op->kind == IPALLOC_OP_PUT ? b->put : b->delete;
    sqlite3_bind_text(statement, 1, bytes, (int)op->key_size, SQLITE_STATIC);
    if (op->kind == IPALLOC_OP_PUT) {
        sqlite3_bind_text(statement, 2, bytes + op->key_size, (int)op->value_size, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, b->revision);
    }
    step(b, statement);
}

static void write_change(bare *b, const captured_op *op, const char *bytes, int64_t place) {
    sqlite3_bind_int64(b->change, 1, b->revision * 1024 + place);
    sqlite3_bind_text(b->change, 2, bytes, (int)op->key_size, SQLITE_STATIC);
    if (op->kind == IPALLOC_OP_PUT)
        sqlite3_bind_text(b->change, 3, bytes + op->key_size, (int)op->value_size, SQLITE_STATIC);
    else
        sqlite3_bind_null(b->change, 3);
    step(b, b->change);
}

static void write_batch(bare *b, const captured_batch *batch) {
    b->revision++;
    for (size_t i = 0; i < batch->op_count; i++) {
        const captured_op *op = &b->capture->ops[batch->first_op + i];
        if (op->kind == IPALLOC_OP_CHECK)
            continue;
        const char *bytes = b->capture->bytes + op->at;
        write_record(b, op, bytes);
        if (b->change != NULL)
            write_change(b, op, bytes, (int64_t)i);
    }
}

static void bare_close(void *state) {
    bare *b = state;
    sqlite3_finalize(b->begin);
    sqlite3_finalize(b->commit);
    sqlite3_finalize(b->put);
    sqlite3_finalize(b->delete);
    sqlite3_finalize(b->change);
    sqlite3_close(b->database);
    free(b);
}

static void *bare_open_with(const workload *work, bool changes) {
    bare *b = calloc(1, sizeof *b);
    if (b == NULL || (b->capture = shared_capture(work)) == NULL) {
        free(b);
        return NULL;
    }
    char path[DURABLE_PATH_MAX];
    durable_path(work, "bare", path);
    if (sqlite3_open(path, &b->database) != SQLITE_OK)
        durable_broken(path, "cannot be opened");
    run_text(b->database, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "CREATE TABLE records(key TEXT PRIMARY KEY NOT NULL, value NOT NULL,"
                          " revision INTEGER NOT NULL) WITHOUT ROWID;"
                          "CREATE TABLE changes(position INTEGER PRIMARY KEY NOT NULL, key TEXT,"
                          " value);");
    b->begin = prepare(b->database, "BEGIN IMMEDIATE");
    b->commit = prepare(b->database, "COMMIT");
    b->put = prepare(b->database, "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3)");
    b->delete = prepare(b->database, "DELETE FROM records WHERE key = ?1");
    if (changes)
        b->change = prepare(b->database, "INSERT INTO changes VALUES(?1, ?2, ?3)");
    b->stretch_ns = durable_stretch_ns(work);
    step(b, b->begin);
    while (b->next < b->capture->first_one_shot)
        write_batch(b, &b->capture->batches[b->next++]);
    step(b, b->commit);
    return b;
}

static void *bare_open(const workload *work) {
    return bare_open_with(work, true);
}

static void *bare_open_no_changes(const workload *work) {
    return bare_open_with(work, false);
}

/* Begins again with the first one-shot where the captured ones run out: rows are then replaced
 * rather than added, which costs the same pages. */
static const captured_batch *next_one_shot(bare *b) {
    if (b->next == b->capture->batch_count)
        b->next = b->capture->first_one_shot;
    return &b->capture->batches[b->next++];
}

static double bare_measure(void *state) {
    bare *b = state;
    uint64_t begin = now_ns(), spent, done = 0;
    do {
        step(b, b->begin);
        write_batch(b, next_one_shot(b));
        step(b, b->commit);
        done++;
        spent = now_ns() - begin;
    } while (spent < b->stretch_ns);
    return (double)done * 1e9 / (double)spent;
}

/* --- append and fdatasync --------------------------------------------------------------------- */

static void append_close(void *state) {
    bare *b = state;
    close(b->file);
    free(b);
}

static void *append_open(const workload *work) {
    bare *b = calloc(1, sizeof *b);
    if (b == NULL || (b->capture = shared_capture(work)) == NULL) {
        free(b);
        return NULL;
    }
    char path[DURABLE_PATH_MAX];
    durable_path(work, "append", path);
    b->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (b->file < 0)
        durable_broken(path, "cannot be opened");
    b->next = b->capture->first_one_shot;
    b->stretch_ns = durable_stretch_ns(work);
    return b;
}

static double append_measure(void *state) {
    bare *b = state;
    uint64_t begin = now_ns(), spent, done = 0;
    do {
        const captured_batch *batch = next_one_shot(b);
        const char *bytes = b->capture->bytes + b->capture->ops[batch->first_op].at;
        if (write(b->file, bytes, batch->bytes) != (ssize_t)batch->bytes || fdatasync(b->file) != 0)
            durable_broken("append", "write or fdatasync failed");
        done++;
        spent = now_ns() - begin;
    } while (spent < b->stretch_ns);
    return (double)done * 1e9 / (double)spent;
}

const subject BARE_SUBJECT = {"bare sqlite", bare_open, bare_measure, bare_close, NULL};
const subject BARE_NO_CHANGES_SUBJECT = {"no changes", bare_open_no_changes, bare_measure,
                                         bare_close, NULL};
const subject APPEND_SUBJECT = {"append", append_open, append_measure, append_close, NULL};
