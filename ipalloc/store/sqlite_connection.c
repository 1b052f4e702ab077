/*
 * sqlite_connection.c: connections, their prepared statements, and SQLite's errors in our words.
 *
 * May use: SQLite, base/. A connection is used by one thread at a time (its owner locks), so
 * SQLite's own mutexes are off. The file is not trusted: triggers and functions in its schema are
 * switched off, and SQLite checks its pages.
 */
#include "store/sqlite_store.h"

#include "base/error.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const STATEMENTS[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN_READ] = "BEGIN",
    [STATEMENT_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_FIND] = "SELECT revision FROM records WHERE key = ?1",
    [STATEMENT_GET] = "SELECT key, value, revision FROM records WHERE key = ?1",
    [STATEMENT_SCAN_FROM] = "SELECT key, value, revision FROM records WHERE key >= ?1 ORDER BY key",
    [STATEMENT_SCAN_AFTER] = "SELECT key, value, revision FROM records WHERE key > ?1 ORDER BY key",
    [STATEMENT_PUT] = "REPLACE INTO records(key, value, revision) VALUES (?1, ?2, ?3)",
    [STATEMENT_DELETE] = "DELETE FROM records WHERE key = ?1",
    [STATEMENT_ADD_CHANGE] = "INSERT INTO changes(position, key, value) VALUES (?1, ?2, ?3)",
    [STATEMENT_CHANGES] =
        "SELECT key, value, position FROM changes WHERE position > ?1 ORDER BY position",
    [STATEMENT_FIRST_CHANGE] = "SELECT min(position) FROM changes",
    [STATEMENT_LAST_CHANGE] = "SELECT max(position) FROM changes",
    [STATEMENT_COUNT_CHANGES] = "SELECT count(*) FROM changes",
    [STATEMENT_NTH_CHANGE] = "SELECT position FROM changes ORDER BY position LIMIT 1 OFFSET ?1",
    [STATEMENT_TRIM_CHANGES] = "DELETE FROM changes WHERE position < ?1",
    [STATEMENT_META] = "SELECT value FROM meta WHERE name = ?1",
    [STATEMENT_SET_META] = "REPLACE INTO meta(name, value) VALUES (?1, ?2)",
};

/* --- errors --------------------------------------------------------------------------------------
 */

int result_status(int result) {
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return IPALLOC_OK;
    case SQLITE_NOMEM:
        return IPALLOC_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return IPALLOC_E_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR: /* the schema was checked, so our statements fail only on damage */
        return IPALLOC_E_CORRUPT;
    default:
        return result == SQLITE_IOERR_NOMEM ? IPALLOC_E_NOMEM : IPALLOC_E_IO;
    }
}

int connection_error(const connection *c, int result, const char *doing, ipalloc_error *error) {
    char quoted[128];
    const char *text = c->db != NULL ? sqlite3_errmsg(c->db) : sqlite3_errstr(result);
    int number = c->db != NULL && (result & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(c->db) : 0;
    return error_set_errno(error, result_status(result), number,
                           "sqlite store \"%s\": %s: %s (SQLite %d)", c->path->quoted, doing,
                           text_quote(text, strlen(text), quoted, sizeof quoted), result);
}

/* --- opening -------------------------------------------------------------------------------------
 */

/* Small settings, none of which can fail in a way that matters later. */
static int configure(connection *c, bool read_only) {
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (read_only)
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_autocheckpoint(c->db, 0); /* the writer checkpoints when we say so */
    return connection_execute(c, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;");
}

int connection_open(connection *c, const sqlite_path *path, const char *file, int flags,
                    ipalloc_error *error) {
    *c = (connection){.path = path};
    if (sqlite3_threadsafe() == 0)
        return error_set(error, IPALLOC_E_UNAVAILABLE,
                         "sqlite: the SQLite library was built without threads");
    int result = sqlite3_open_v2(file, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK)
        result = configure(c, (flags & SQLITE_OPEN_READONLY) != 0);
    if (result == SQLITE_OK)
        return IPALLOC_OK;
    int status = connection_error(c, result, "cannot be opened", error);
    connection_close(c);
    return status;
}

void connection_close(connection *c) {
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(c->statements[i]);
    int result = sqlite3_close(c->db);
    assert(result == SQLITE_OK); /* nothing is left unfinalized */
    (void)result;
    *c = (connection){0};
}

/* --- statements ----------------------------------------------------------------------------------
 */

sqlite3_stmt *connection_statement(connection *c, enum statement which) {
    sqlite3_stmt **statement = &c->statements[which];
    if (*statement == NULL)
        sqlite3_prepare_v3(c->db, STATEMENTS[which], -1, SQLITE_PREPARE_PERSISTENT, statement,
                           NULL);
    else
        sqlite3_reset(*statement);
    return *statement;
}

int connection_run(connection *c, enum statement which) {
    sqlite3_stmt *statement = connection_statement(c, which);
    if (statement == NULL)
        return sqlite3_extended_errcode(c->db);
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE || result == SQLITE_ROW ? SQLITE_OK : result;
}

int connection_execute(connection *c, const char *sql) {
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

int connection_integer(connection *c, enum statement which, bool *found, int64_t *out) {
    sqlite3_stmt *statement = connection_statement(c, which);
    if (statement == NULL)
        return sqlite3_extended_errcode(c->db);
    int result = sqlite3_step(statement);
    *found = result == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_INTEGER;
    *out = *found ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

int connection_set_journal(connection *c, const char *mode, ipalloc_error *error) {
    char sql[48];
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", mode);
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    const char *now = result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    bool switched = now != NULL && strcmp(now, mode) == 0;
    sqlite3_finalize(statement);
    if (result != SQLITE_ROW)
        return connection_error(c, result, "switching the journal", error);
    if (!switched)
        return error_set(error, IPALLOC_E_UNAVAILABLE,
                         "sqlite store \"%s\": journal mode %s is not possible here (does the "
                         "file system share memory?)",
                         c->path->quoted, mode);
    return IPALLOC_OK;
}

int bind_bytes(sqlite3_stmt *statement, int place, ipalloc_bytes bytes) {
    if (bytes.size == 0)
        return sqlite3_bind_text(statement, place, "", 0, SQLITE_STATIC);
    if (memchr(bytes.data, '\0', bytes.size) != NULL)
        return sqlite3_bind_blob(statement, place, bytes.data, (int)bytes.size, SQLITE_STATIC);
    return sqlite3_bind_text(statement, place, bytes.data, (int)bytes.size, SQLITE_STATIC);
}
