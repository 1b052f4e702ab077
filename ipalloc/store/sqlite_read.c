/*
 * sqlite_read.c: reading: a few read-only connections, lent to one caller at a time.
 *
 * May use: SQLite through sqlite_connection. Readers never write, lock out the writer or
 * checkpoint. What is read is not trusted: a key, value or revision that the store could not have
 * written is CORRUPT.
 */
#include "store/sqlite_store.h"

#include "base/error.h"
#include "base/text.h"
#include "store/delivery.h"

#include <assert.h>
#include <string.h>

uint64_t oldest_of_first(bool found, int64_t first_position) {
    uint64_t revision = (uint64_t)first_position >> PLACE_BITS;
    return found && revision > 0 ? revision - 1 : 0; /* whole batches are trimmed */
}

/* --- the pool ------------------------------------------------------------------------------------
 */

static int open_reader(sqlite_store *s, int i, ipalloc_error *error) {
    return connection_open(&s->pool.readers[i], &s->path, s->path.file, SQLITE_OPEN_READONLY,
                           error);
}

int readers_open(sqlite_store *s, ipalloc_error *error) {
    int status = open_reader(s, 0, error); /* the others when they are needed */
    if (status != IPALLOC_OK)
        return status;
    pthread_mutex_init(&s->pool.mutex, NULL);
    pthread_cond_init(&s->pool.returned, NULL);
    return IPALLOC_OK;
}

void readers_close(sqlite_store *s) {
    if (s->pool.readers[0].path == NULL)
        return;
    for (int i = 0; i < READERS_MAX; i++)
        connection_close(&s->pool.readers[i]);
    pthread_cond_destroy(&s->pool.returned);
    pthread_mutex_destroy(&s->pool.mutex);
}

/* A free reader: an open one rather than one that must be opened; -1: all are lent. */
static int find_free(const reader_pool *pool) {
    for (int i = 0; i < READERS_MAX; i++)
        if (!pool->lent[i])
            return i;
    return -1;
}

static int borrow(sqlite_store *s, connection **out, ipalloc_error *error) {
    reader_pool *pool = &s->pool;
    pthread_mutex_lock(&pool->mutex);
    int i = find_free(pool);
    while (i < 0) {
        pthread_cond_wait(&pool->returned, &pool->mutex);
        i = find_free(pool);
    }
    pool->lent[i] = true;
    pthread_mutex_unlock(&pool->mutex);
    *out = &pool->readers[i];
    if (pool->readers[i].db != NULL)
        return IPALLOC_OK;
    int status = open_reader(s, i, error);
    if (status != IPALLOC_OK) {
        pthread_mutex_lock(&pool->mutex);
        pool->lent[i] = false;
        pthread_cond_signal(&pool->returned);
        pthread_mutex_unlock(&pool->mutex);
    }
    return status;
}

static void give_back(sqlite_store *s, connection *c) {
    reader_pool *pool = &s->pool;
    pthread_mutex_lock(&pool->mutex);
    pool->lent[c - pool->readers] = false;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->mutex);
}

/* --- rows ----------------------------------------------------------------------------------------
 */

static ipalloc_bytes column_bytes(sqlite3_stmt *statement, int column) {
    const void *data = sqlite3_column_blob(statement, column);
    return (ipalloc_bytes){data, (size_t)sqlite3_column_bytes(statement, column)};
}

static int damaged_row(const connection *c, ipalloc_bytes key, const char *what,
                       ipalloc_error *error) {
    char quoted[128];
    return error_set(error, IPALLOC_E_CORRUPT, "sqlite store \"%s\": record \"%s\": %s",
                     c->path->quoted, text_quote(key.data, key.size, quoted, sizeof quoted), what);
}

/* Key, value and number of a row of records or changes, as far as the store could have written
 * them. */
static int read_row(const connection *c, sqlite3_stmt *statement, ipalloc_entry *out,
                    ipalloc_error *error) {
    out->key = column_bytes(statement, 0);
    out->deleted = sqlite3_column_type(statement, 1) == SQLITE_NULL;
    out->value = column_bytes(statement, 1);
    if (out->key.size == 0 || out->key.size > IPALLOC_KEY_MAX || out->key.data == NULL ||
        memchr(out->key.data, '\0', out->key.size) != NULL)
        return damaged_row(c, out->key, "the key is damaged", error);
    if (out->value.size > IPALLOC_VALUE_MAX)
        return damaged_row(c, out->key, "the value is too long", error);
    if (out->value.size > 0 && out->value.data == NULL)
        return error_no_memory(error);
    int64_t number = sqlite3_column_int64(statement, 2);
    if (sqlite3_column_type(statement, 2) != SQLITE_INTEGER || number <= 0)
        return damaged_row(c, out->key, "the revision is damaged", error);
    out->revision = (uint64_t)number;
    return IPALLOC_OK;
}

static int read_record(const connection *c, sqlite3_stmt *statement, ipalloc_entry *out,
                       ipalloc_error *error) {
    int status = read_row(c, statement, out, error);
    if (status == IPALLOC_OK && (out->deleted || out->revision > REVISION_MAX))
        status = damaged_row(c, out->key, "the value or the revision is damaged", error);
    return status;
}

static int bad_read(connection *c, int result, ipalloc_error *error) {
    return connection_error(c, result, "reading", error);
}

/* A statement with its first parameter bound. NULL: the status is in *status. */
static sqlite3_stmt *begin_rows(connection *c, enum statement which, const ipalloc_bytes *key,
                                int64_t number, int *status, ipalloc_error *error) {
    sqlite3_stmt *statement = connection_statement(c, which);
    int result = statement == NULL ? sqlite3_extended_errcode(c->db)
                 : key != NULL     ? bind_bytes(statement, 1, *key)
                                   : sqlite3_bind_int64(statement, 1, number);
    *status = result == SQLITE_OK ? IPALLOC_OK : bad_read(c, result, error);
    return result == SQLITE_OK ? statement : NULL;
}

/* --- get -----------------------------------------------------------------------------------------
 */

static int get_with(connection *c, ipalloc_bytes key, ipalloc_visit visit, void *context,
                    ipalloc_error *error) {
    int status;
    sqlite3_stmt *statement = begin_rows(c, STATEMENT_GET, &key, 0, &status, error);
    if (statement == NULL)
        return status;
    int result = sqlite3_step(statement);
    ipalloc_entry entry;
    if (result == SQLITE_ROW) {
        status = read_record(c, statement, &entry, error);
        if (status == IPALLOC_OK)
            status = visit(context, &entry);
    } else {
        status = result == SQLITE_DONE
                     ? error_set(error, IPALLOC_E_NOT_FOUND, "key: not in the store")
                     : bad_read(c, result, error);
    }
    sqlite3_reset(statement);
    return status;
}

int sqlite_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
               ipalloc_error *error) {
    connection *c;
    int status = borrow(self, &c, error);
    if (status != IPALLOC_OK)
        return status;
    status = get_with(c, key, visit, context, error);
    give_back(self, c);
    return status;
}

/* --- snapshots -----------------------------------------------------------------------------------
 */

typedef struct snapshot {
    uint64_t revision;
    uint64_t oldest_change;
} snapshot;

static int begin_snapshot(connection *c, snapshot *out, ipalloc_error *error) {
    bool found;
    int64_t last = 0, first = 0;
    int result = connection_run(c, STATEMENT_BEGIN_READ);
    if (result == SQLITE_OK)
        result = connection_integer(c, STATEMENT_LAST_CHANGE, &found, &last);
    if (result == SQLITE_OK)
        result = connection_integer(c, STATEMENT_FIRST_CHANGE, &found, &first);
    if (result != SQLITE_OK)
        return bad_read(c, result, error);
    if (first < 0 || last < 0)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "sqlite store \"%s\": the table changes has a negative position",
                         c->path->quoted);
    *out = (snapshot){(uint64_t)last >> PLACE_BITS, oldest_of_first(found, first)};
    return IPALLOC_OK;
}

static void end_snapshot(connection *c) {
    if (!sqlite3_get_autocommit(c->db))
        connection_run(c, STATEMENT_ROLLBACK);
}

/* Ends the snapshot and the loan, then hands out what was copied meanwhile. */
static int finish_walk(sqlite_store *s, connection *c, delivery *d, int status,
                       ipalloc_error *error) {
    end_snapshot(c);
    give_back(s, c);
    if (status == IPALLOC_OK)
        status = delivery_finish(d);
    else if (status == IPALLOC_E_NOMEM && d->copies)
        error_no_memory(error);
    delivery_free(d);
    return status;
}

/* --- scan ----------------------------------------------------------------------------------------
 */

static int scan_with(connection *c, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                     delivery *d, ipalloc_error *error) {
    bool beyond = after.size > 0 && bytes_compare(after, prefix) >= 0;
    int status;
    sqlite3_stmt *statement = begin_rows(c, beyond ? STATEMENT_SCAN_AFTER : STATEMENT_SCAN_FROM,
                                         beyond ? &after : &prefix, 0, &status, error);
    if (statement == NULL)
        return status;
    int result = SQLITE_ROW;
    for (size_t seen = 0; limit == 0 || seen < limit; seen++) {
        result = sqlite3_step(statement);
        if (result != SQLITE_ROW)
            break;
        ipalloc_entry entry;
        status = read_record(c, statement, &entry, error);
        if (status != IPALLOC_OK || !bytes_start_with(entry.key, prefix))
            break;
        status = delivery_pass(d, &entry);
        if (status != IPALLOC_OK)
            break;
    }
    sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? status : bad_read(c, result, error);
}

int sqlite_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                ipalloc_visit visit, void *context, uint64_t *at_revision, ipalloc_error *error) {
    sqlite_store *s = self;
    connection *c;
    snapshot at = {0};
    delivery d;
    int status = borrow(s, &c, error);
    if (status != IPALLOC_OK)
        return status;
    delivery_init(&d, s->hooks, visit, context, 0);
    status = begin_snapshot(c, &at, error);
    if (status == IPALLOC_OK) {
        if (at_revision != NULL)
            *at_revision = at.revision;
        status = scan_with(c, prefix, after, limit, &d, error);
    }
    return finish_walk(s, c, &d, status, error);
}

/* --- changes -------------------------------------------------------------------------------------
 */

/* *all: the walk reached the end, rather than the limit. */
static int walk_changes(connection *c, uint64_t since, ipalloc_bytes prefix, size_t limit,
                        delivery *d, bool *all, ipalloc_error *error) {
    int64_t beyond = (int64_t)(((since + 1) << PLACE_BITS) - 1);
    int status;
    sqlite3_stmt *statement = begin_rows(c, STATEMENT_CHANGES, NULL, beyond, &status, error);
    if (statement == NULL)
        return status;
    uint64_t last = since; /* revision of the last one that was passed on */
    size_t seen = 0;
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        if (sqlite3_column_type(statement, 0) == SQLITE_NULL)
            continue; /* a batch that changed nothing */
        ipalloc_entry entry;
        status = read_row(c, statement, &entry, error);
        if (status != IPALLOC_OK)
            break;
        entry.revision >>= PLACE_BITS;
        if (!bytes_start_with(entry.key, prefix))
            continue;
        if (limit != 0 && seen >= limit && entry.revision != last)
            break;
        status = delivery_pass(d, &entry);
        if (status != IPALLOC_OK)
            break;
        last = entry.revision;
        seen++;
    }
    sqlite3_reset(statement);
    *all = result == SQLITE_DONE;
    return result == SQLITE_ROW || result == SQLITE_DONE ? status : bad_read(c, result, error);
}

int sqlite_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                   ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error) {
    sqlite_store *s = self;
    connection *c;
    snapshot at = {0};
    delivery d;
    bool all = false, walked = false;
    int status = borrow(s, &c, error);
    if (status != IPALLOC_OK)
        return status;
    delivery_init(&d, s->hooks, visit, context, since);
    status = begin_snapshot(c, &at, error);
    if (status == IPALLOC_OK)
        status = check_since(since, at.oldest_change, at.revision, error);
    walked = status == IPALLOC_OK;
    if (walked)
        status = walk_changes(c, since, prefix, limit, &d, &all, error);
    status = finish_walk(s, c, &d, status, error);
    if (walked && up_to != NULL)
        *up_to = status != IPALLOC_OK ? d.complete_to : all ? at.revision : d.last;
    return status;
}

/* --- info ----------------------------------------------------------------------------------------
 */

/* A read-only handle sees what the living owner has written by now. */
static int read_info(sqlite_store *s, ipalloc_store_info *out, ipalloc_error *error) {
    connection *c;
    snapshot at = {0};
    uint64_t restored = 0;
    char stored[IDENTITY_MAX], own[IDENTITY_MAX];
    int status = path_identity(s->system, s->path.file, own, error);
    if (status != IPALLOC_OK)
        return status;
    status = borrow(s, &c, error);
    if (status != IPALLOC_OK)
        return status;
    status = begin_snapshot(c, &at, error);
    if (status == IPALLOC_OK)
        status = schema_meta_text(c, "identity", stored, sizeof stored, error);
    if (status == IPALLOC_OK)
        status = schema_meta_number(c, "epoch", &out->epoch, error);
    if (status == IPALLOC_OK)
        status = schema_meta_number(c, "restored", &restored, error);
    end_snapshot(c);
    give_back(s, c);
    if (status != IPALLOC_OK)
        return status;
    out->revision = at.revision;
    out->oldest_change = at.oldest_change;
    out->restored = restored != 0 || strcmp(stored, own) != 0;
    out->read_only = true;
    return IPALLOC_OK;
}

int sqlite_info(void *self, ipalloc_store_info *out, ipalloc_error *error) {
    sqlite_store *s = self;
    ipalloc_store_info full = {.size = sizeof full};
    if (s->read_only) {
        int status = read_info(s, &full, error);
        return status == IPALLOC_OK ? store_info_copy(out, &full, error) : status;
    }
    full.epoch = s->epoch;
    full.revision = atomic_load_acquire(&s->revision);
    full.oldest_change = atomic_load_acquire(&s->oldest_change);
    full.restored = atomic_load_acquire(&s->restored) != 0;
    return store_info_copy(out, &full, error);
}
