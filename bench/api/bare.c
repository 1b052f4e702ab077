/*
 * bare.c: SQLite alone; see api.h.
 *
 * The rows are read from the table of changes that the server's store keeps: all that one revision
 * wrote is what one create wrote. Written again, each gets keys of its own by a number behind, so
 * that rows are added and none replaced. One connection: SQLite has one writer, and threads that
 * each wait for it with their own would only be slower.
 */
#include "api.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEMPLATES_MAX = 1000, ROWS_MAX = 16, KEY_MAX = 1024 };

typedef struct row {
    char *key, *value;
    size_t key_size, value_size;
} row;

typedef struct batch {
    size_t row_count;
    row rows[ROWS_MAX];
} batch;

struct api_bare {
    sqlite3 *database;
    sqlite3_stmt *begin, *commit, *put, *change;
    batch *templates;
    size_t template_count;
    int64_t revision;
    uint64_t bytes; /* of all templates */
    pthread_mutex_t lock;
    uint64_t end_ns, done;
};

static void run_text(sqlite3 *database, const char *text) {
    if (sqlite3_exec(database, text, NULL, NULL, NULL) != SQLITE_OK)
        api_broken(text, sqlite3_errmsg(database));
}

static sqlite3_stmt *prepare(sqlite3 *database, const char *text) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(database, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        api_broken(text, sqlite3_errmsg(database));
    return statement;
}

static void step(api_bare *b, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE)
        api_broken("bare SQLite", sqlite3_errmsg(b->database));
    sqlite3_reset(statement);
}

/* --- what the server wrote -------------------------------------------------------------------- */

static char *copy_column(sqlite3_stmt *from, int column, size_t *size) {
    *size = (size_t)sqlite3_column_bytes(from, column);
    char *out = malloc(*size + 1);
    if (out == NULL)
        api_broken("bare SQLite", "no memory");
    if (*size > 0)
        memcpy(out, sqlite3_column_blob(from, column), *size);
    out[*size] = '\0';
    return out;
}

static void add_row(api_bare *b, batch *to, sqlite3_stmt *from) {
    if (to->row_count == ROWS_MAX)
        api_broken("bare SQLite", "a create wrote more rows than expected");
    row *r = &to->rows[to->row_count++];
    r->key = copy_column(from, 1, &r->key_size);
    r->value = copy_column(from, 2, &r->value_size);
    b->bytes += r->key_size + r->value_size;
}

/* The last batches that hold a Service whose name begins as the client's do. */
static void read_templates(api_bare *b, const char *store) {
    sqlite3 *source;
    if (sqlite3_open_v2(store, &source, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        api_broken(store, "cannot be read");
    sqlite3_stmt *rows = prepare(
        source, "SELECT revision, key, value FROM changes WHERE value IS NOT NULL AND revision IN"
                " (SELECT revision FROM changes WHERE key LIKE 'record/services%template%' AND"
                " value IS NOT NULL ORDER BY position DESC LIMIT 1000) ORDER BY position");
    int64_t revision = -1;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        if (sqlite3_column_int64(rows, 0) != revision)
            b->template_count++;
        revision = sqlite3_column_int64(rows, 0);
        add_row(b, &b->templates[b->template_count - 1], rows);
    }
    sqlite3_finalize(rows);
    sqlite3_close(source);
    if (b->template_count == 0)
        api_broken(store, "holds no Services to write again");
}

/* --- writing it again ------------------------------------------------------------------------- */

static void write_row(api_bare *b, const row *r, int64_t place) {
    char key[KEY_MAX];
    int size = snprintf(key, sizeof key, "%s%lld", r->key, (long long)b->revision);
    sqlite3_bind_text(b->put, 1, key, size, SQLITE_STATIC);
    sqlite3_bind_text(b->put, 2, r->value, (int)r->value_size, SQLITE_STATIC);
    sqlite3_bind_int64(b->put, 3, b->revision);
    step(b, b->put);
    sqlite3_bind_int64(b->change, 1, b->revision * 1024 + place);
    sqlite3_bind_text(b->change, 2, key, size, SQLITE_STATIC);
    sqlite3_bind_text(b->change, 3, r->value, (int)r->value_size, SQLITE_STATIC);
    step(b, b->change);
}

static void write_batch(api_bare *b) {
    const batch *rows = &b->templates[(size_t)b->revision++ % b->template_count];
    for (size_t i = 0; i < rows->row_count; i++)
        write_row(b, &rows->rows[i], (int64_t)i);
}

api_bare *api_bare_open(const char *directory, const char *store, uint64_t existing) {
    static unsigned number;
    char path[API_PATH_MAX];
    api_bare *b = calloc(1, sizeof *b);
    batch *templates = calloc(TEMPLATES_MAX, sizeof *templates);
    snprintf(path, sizeof path, "%s/bare-%u.db", directory, number++);
    if (b == NULL || templates == NULL || sqlite3_open(path, &b->database) != SQLITE_OK)
        api_broken(path, "cannot be opened");
    b->templates = templates;
    pthread_mutex_init(&b->lock, NULL);
    read_templates(b, store);
    run_text(b->database, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "CREATE TABLE records(key TEXT PRIMARY KEY NOT NULL, value NOT NULL,"
                          " revision INTEGER NOT NULL) WITHOUT ROWID;"
                          "CREATE TABLE changes(position INTEGER PRIMARY KEY NOT NULL, key TEXT,"
                          " value);");
    b->begin = prepare(b->database, "BEGIN IMMEDIATE");
    b->commit = prepare(b->database, "COMMIT");
    b->put = prepare(b->database, "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3)");
    b->change = prepare(b->database, "INSERT INTO changes VALUES(?1, ?2, ?3)");
    step(b, b->begin);
    for (uint64_t i = 0; i < existing; i++)
        write_batch(b);
    step(b, b->commit);
    return b;
}

void api_bare_close(api_bare *b) {
    sqlite3_finalize(b->begin);
    sqlite3_finalize(b->commit);
    sqlite3_finalize(b->put);
    sqlite3_finalize(b->change);
    sqlite3_close(b->database);
    for (size_t i = 0; i < b->template_count; i++) {
        for (size_t j = 0; j < b->templates[i].row_count; j++) {
            free(b->templates[i].rows[j].key);
            free(b->templates[i].rows[j].value);
        }
    }
    free(b->templates);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

double api_bare_bytes(const api_bare *b) {
    return (double)b->bytes / (double)b->template_count;
}

static void *commit_until_the_end(void *context) {
    api_bare *b = context;
    bool more = true;
    while (more) {
        pthread_mutex_lock(&b->lock);
        step(b, b->begin);
        write_batch(b);
        step(b, b->commit);
        b->done++;
        pthread_mutex_unlock(&b->lock);
        more = api_now_ns() < b->end_ns;
    }
    return NULL;
}

double api_bare_run(api_bare *b, unsigned threads, uint64_t stretch_ns) {
    pthread_t running[API_CLIENTS_MAX];
    uint64_t begin = api_now_ns();
    b->done = 0;
    b->end_ns = begin + stretch_ns;
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&running[i], NULL, commit_until_the_end, b) != 0)
            api_broken("pthread_create", "failed");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(running[i], NULL);
    return (double)b->done * 1e9 / (double)(api_now_ns() - begin);
}
