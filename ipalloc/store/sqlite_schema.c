/*
 * sqlite_schema.c: the form of a store file: making a new one, recognising an old one.
 *
 * May use: SQLite through sqlite_connection. A new file is built under another name, synced and
 * then renamed, so that whatever carries the store's name is complete. A file is believed only if
 * its application id, form version and table definitions are exactly ours; to find that out nothing
 * is written to it. The definitions carry their explanation into the file.
 */
#include "store/sqlite_store.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char IDENTITY_OF_BACKUP[] = "backup";

#define META_SQL                                                                               \
    "CREATE TABLE meta(\n"                                                                     \
    "  -- identity: the file this is, so that a copy can be told (\"backup\" in a copy made\n" \
    "  -- by the library); epoch: grows when a copy or an old state comes into use;\n"         \
    "  -- restored: 1 until such a store was accepted\n"                                       \
    "  name TEXT PRIMARY KEY NOT NULL,\n"                                                      \
    "  value TEXT NOT NULL\n"                                                                  \
    ") WITHOUT ROWID"

#define RECORDS_SQL                                                                 \
    "CREATE TABLE records(\n"                                                       \
    "  -- what holds now; read it with: sqlite3 -readonly FILE\n"                   \
    "  key TEXT PRIMARY KEY NOT NULL, -- parts percent-encoded, each ends in '/'\n" \
    "  value NOT NULL,\n"                                                           \
    "  revision INTEGER NOT NULL -- of the batch that wrote it\n"                   \
    ") WITHOUT ROWID"

#define CHANGES_SQL                                                                      \
    "CREATE TABLE changes(\n"                                                            \
    "  -- the latest changes in order, for those who watch; the oldest are removed\n"    \
    "  position INTEGER PRIMARY KEY NOT NULL, -- revision * 1024 + place in its batch\n" \
    "  key TEXT, -- NULL: the batch changed nothing\n"                                   \
    "  value, -- NULL: the key was deleted\n"                                            \
    "  revision INTEGER GENERATED ALWAYS AS (position >> 10) VIRTUAL\n"                  \
    ")"

_Static_assert(PLACE_BITS == 10, "the definition of changes says so");

static const struct {
    const char *name;
    const char *sql;
} TABLES[] = {{"changes", CHANGES_SQL}, {"meta", META_SQL}, {"records", RECORDS_SQL}};

enum { TABLE_COUNT = sizeof TABLES / sizeof TABLES[0], SQL_MAX = 256 };

/* --- meta ----------------------------------------------------------------------------------------
 */

int schema_meta_text(connection *c, const char *name, char *out, size_t capacity,
                     ipalloc_error *error) {
    sqlite3_stmt *statement = connection_statement(c, STATEMENT_META);
    if (statement == NULL)
        return connection_error(c, sqlite3_extended_errcode(c->db), "reading meta", error);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    int result = sqlite3_step(statement);
    int status = IPALLOC_OK;
    if (result == SQLITE_ROW) {
        const void *text = sqlite3_column_blob(statement, 0);
        size_t size = (size_t)sqlite3_column_bytes(statement, 0);
        if (size >= capacity || (size > 0 && (text == NULL || memchr(text, '\0', size) != NULL))) {
            status = error_set(error, IPALLOC_E_CORRUPT,
                               "sqlite store \"%s\": the value of %s in meta is damaged",
                               c->path->quoted, name);
        } else {
            if (size > 0)
                memcpy(out, text, size);
            out[size] = '\0';
        }
    } else if (result == SQLITE_DONE) {
        status = error_set(error, IPALLOC_E_CORRUPT, "sqlite store \"%s\": %s is missing in meta",
                           c->path->quoted, name);
    } else {
        status = connection_error(c, result, "reading meta", error);
    }
    sqlite3_reset(statement);
    return status;
}

int schema_meta_number(connection *c, const char *name, uint64_t *out, ipalloc_error *error) {
    char text[24];
    int status = schema_meta_text(c, name, text, sizeof text, error);
    if (status == IPALLOC_OK && !text_parse_decimal(text, strlen(text), REVISION_MAX, out))
        status = error_set(error, IPALLOC_E_CORRUPT,
                           "sqlite store \"%s\": the value of %s in meta is not a number",
                           c->path->quoted, name);
    return status;
}

int schema_set_meta(connection *c, const char *name, const char *value) {
    sqlite3_stmt *statement = connection_statement(c, STATEMENT_SET_META);
    if (statement == NULL)
        return sqlite3_extended_errcode(c->db);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* --- a new file ----------------------------------------------------------------------------------
 */

static int fill_new(connection *c, const char *identity, uint64_t epoch) {
    char header[SQL_MAX], digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)epoch);
    snprintf(header, sizeof header,
             "PRAGMA synchronous = FULL; BEGIN IMMEDIATE; PRAGMA application_id = %d; "
             "PRAGMA user_version = %d;",
             APPLICATION_ID, FORM_VERSION);
    int result = connection_execute(c, header);
    for (int i = 0; i < TABLE_COUNT && result == SQLITE_OK; i++)
        result = connection_execute(c, TABLES[i].sql);
    if (result == SQLITE_OK)
        result = schema_set_meta(c, "identity", identity);
    if (result == SQLITE_OK)
        result = schema_set_meta(c, "epoch", digits);
    if (result == SQLITE_OK)
        result = schema_set_meta(c, "restored", "0");
    return result == SQLITE_OK ? connection_run(c, STATEMENT_COMMIT) : result;
}

static int build_new(const sqlite_path *path, const char *name, uint64_t epoch,
                     ipalloc_error *error) {
    connection c;
    int status = connection_open(&c, path, name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error);
    if (status != IPALLOC_OK)
        return status;
    /* The first write makes the file, so that it has an identity to write into it. */
    int result = connection_execute(&c, "PRAGMA journal_mode = DELETE; PRAGMA user_version = 1;");
    char identity[IDENTITY_MAX];
    if (result == SQLITE_OK)
        status = path_identity(path->system, name, identity, error);
    if (status == IPALLOC_OK && result == SQLITE_OK)
        result = fill_new(&c, identity, epoch);
    if (result != SQLITE_OK)
        status = connection_error(&c, result, "a new store cannot be made", error);
    if (status == IPALLOC_OK)
        status = view_ensure(&c, error);
    if (status == IPALLOC_OK) /* last: with nothing in a log, the file alone is the whole */
        status = connection_set_journal(&c, "wal", error);
    connection_close(&c);
    return status;
}

int schema_create(const sqlite_path *path, uint64_t epoch, ipalloc_error *error) {
    char name[PATH_MAX];
    path_remove_unfinished(path); /* what a crash may have left; we are the owner */
    int status = build_new(path, path_unfinished(path, name), epoch, error);
    if (status == IPALLOC_OK)
        status = path_publish(path, error);
    if (status != IPALLOC_OK)
        path_remove_unfinished(path);
    return status;
}

/* --- recognising ---------------------------------------------------------------------------------
 */

static int pragma_number(connection *c, const char *sql, int64_t *out) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

/* A file that SQLite cannot read is no store; say so in a way that the reader can act on. */
static int refuse_unreadable(connection *c, int result, ipalloc_error *error) {
    return connection_error(c, result,
                            result_status(result) == IPALLOC_E_CORRUPT
                                ? "is damaged, or not an ipalloc store"
                                : "cannot be read",
                            error);
}

static int check_header(connection *c, ipalloc_error *error) {
    int64_t application = 0, version = 0;
    int result = pragma_number(c, "PRAGMA application_id", &application);
    if (result == SQLITE_OK)
        result = pragma_number(c, "PRAGMA user_version", &version);
    if (result != SQLITE_OK)
        return refuse_unreadable(c, result, error);
    if (application != APPLICATION_ID)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "sqlite store \"%s\": is an SQLite database of another program "
                         "(application id 0x%08x), not an ipalloc store",
                         c->path->quoted, (unsigned)application);
    if (version > FORM_VERSION)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "sqlite store \"%s\": has form %lld; this library knows forms up to %d "
                         "(made by a newer one?)",
                         c->path->quoted, (long long)version, FORM_VERSION);
    if (version != FORM_VERSION)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "sqlite store \"%s\": has form %lld, which never was", c->path->quoted,
                         (long long)version);
    return IPALLOC_OK;
}

static int check_table(connection *c, sqlite3_stmt *statement, int table, ipalloc_error *error) {
    sqlite3_reset(statement);
    sqlite3_bind_text(statement, 1, TABLES[table].name, -1, SQLITE_STATIC);
    int result = sqlite3_step(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return refuse_unreadable(c, result, error);
    const char *sql = result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (sql == NULL || strcmp(sql, TABLES[table].sql) != 0)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "sqlite store \"%s\": the table %s is %s; the schema was changed",
                         c->path->quoted, TABLES[table].name,
                         sql == NULL ? "missing" : "not the one that the library made");
    return IPALLOC_OK;
}

static int check_tables(connection *c, ipalloc_error *error) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        c->db, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?1", -1, &statement,
        NULL);
    int status = result == SQLITE_OK ? IPALLOC_OK : refuse_unreadable(c, result, error);
    for (int i = 0; i < TABLE_COUNT && status == IPALLOC_OK; i++)
        status = check_table(c, statement, i, error);
    sqlite3_finalize(statement);
    return status;
}

int schema_validate(const sqlite_path *path, ipalloc_error *error) {
    connection c;
    int status = connection_open(&c, path, path->file, SQLITE_OPEN_READONLY, error);
    if (status != IPALLOC_OK)
        return status;
    status = check_header(&c, error);
    if (status == IPALLOC_OK)
        status = check_tables(&c, error);
    connection_close(&c);
    return status;
}
