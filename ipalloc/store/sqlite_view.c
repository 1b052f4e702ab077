/*
 * sqlite_view.c: the view `leases`: what an operator sees with sqlite3 -readonly.
 *
 * May use: SQLite through sqlite_connection. The view reads records, so it always shows the one
 * truth; it takes keys lease/<pool>/.../ and values of name=value lines apart as text, and the
 * store itself never reads it. It is no part of the file's form: an older one is replaced.
 */
#include "store/sqlite_store.h"

#include <string.h>

/* Text between the line that begins with `name=` and the end of line; values end in a newline. */
#define LINE(name)                                                                           \
    "CASE WHEN instr(lines, char(10) || '" name "=') > 0 THEN "                              \
    "substr(lines, instr(lines, char(10) || '" name "=') + length('" name "=') + 1, "        \
    "instr(substr(lines, instr(lines, char(10) || '" name "=') + length('" name "=') + 1), " \
    "char(10)) - 1) END"

/* The lines slot=... come one after the other, just before generation=. */
#define SLOTS                                                                            \
    "replace(substr(lines, instr(lines, char(10) || 'slot=') + 6, "                      \
    "instr(lines, char(10) || 'generation=') - instr(lines, char(10) || 'slot=') - 6), " \
    "char(10) || 'slot=', ' ')"

static const char VIEW_SQL[] =
    "CREATE VIEW leases AS\n"
    "SELECT pool,\n"
    "  coalesce(" LINE("address") ", " LINE(
        "port") ") AS address,\n"
                "  " LINE("owner") " AS owner,\n"
                                   "  " SLOTS " AS slots,\n"
                                   "  CAST(" LINE(
                                       "generation") " AS INTEGER) AS generation,\n"
                                                     "  strftime('%Y-%m-%dT%H:%M:%SZ', " LINE(
                                                         "time") " / 1000, 'unixepoch') AS time,\n"
                                                                 "  revision\n"
                                                                 "FROM (SELECT substr(key, 7, "
                                                                 "instr(substr(key, 7), '/') - 1) "
                                                                 "AS pool,\n"
                                                                 "  char(10) || value AS lines, "
                                                                 "revision FROM records\n"
                                                                 "  WHERE key >= 'lease/' AND key "
                                                                 "< 'lease0')";

/* *same: the view is there as we make it. SQLite's result code. */
static int find_view(connection *c, bool *same) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        c->db, "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = 'leases'", -1,
        &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    const char *sql = result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    *same = sql != NULL && strcmp(sql, VIEW_SQL) == 0;
    sqlite3_finalize(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

int view_ensure(connection *c, ipalloc_error *error) {
    bool same = false;
    int result = find_view(c, &same);
    if (same)
        return IPALLOC_OK;
    if (result == SQLITE_OK)
        result = connection_run(c, STATEMENT_BEGIN_WRITE);
    if (result == SQLITE_OK)
        result = connection_execute(c, "DROP VIEW IF EXISTS leases");
    if (result == SQLITE_OK)
        result = connection_execute(c, VIEW_SQL);
    if (result == SQLITE_OK)
        result = connection_run(c, STATEMENT_COMMIT);
    return result == SQLITE_OK ? IPALLOC_OK
                               : connection_error(c, result, "making the view leases", error);
}
