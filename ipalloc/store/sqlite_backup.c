/*
 * sqlite_backup.c: a consistent copy of a living store.
 *
 * May use: SQLite through sqlite_connection. The copy is made under another name, marked (so that
 * opening it starts a new epoch even where it gets the old file's place), synced and renamed: what
 * carries the wanted name is whole. A connection of its own reads one snapshot while commits go on.
 */
#include "store/sqlite_store.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int copy_into(connection *c, const char *name, ipalloc_error *error) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(c->db, "VACUUM INTO ?1", -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? IPALLOC_OK : connection_error(c, result, "backup", error);
}

static int copy(sqlite_store *s, const char *name, ipalloc_error *error) {
    connection c;
    int status = connection_open(&c, &s->path, s->path.file, SQLITE_OPEN_READONLY, error);
    if (status != IPALLOC_OK)
        return status;
    status = copy_into(&c, name, error);
    connection_close(&c);
    return status;
}

/* In a journal of the kind that is gone once the change is made, so that the file alone is whole.
 */
static int mark(const sqlite_path *target, const char *name, ipalloc_error *error) {
    connection c;
    int status = connection_open(&c, target, name, SQLITE_OPEN_READWRITE, error);
    if (status != IPALLOC_OK)
        return status;
    status = connection_set_journal(&c, "delete", error);
    if (status == IPALLOC_OK) {
        int result = schema_set_meta(&c, "identity", IDENTITY_OF_BACKUP);
        if (result != SQLITE_OK)
            status = connection_error(&c, result, "marking the copy", error);
    }
    if (status == IPALLOC_OK)
        status = connection_set_journal(&c, "wal", error);
    connection_close(&c);
    return status;
}

static int check_absent(const sqlite_path *target, const char *name, const char *what,
                        ipalloc_error *error) {
    struct stat status;
    if (target->system->link_status(name, &status) == 0)
        return error_set(error, IPALLOC_E_BUSY, "backup to \"%s\": %s", target->quoted, what);
    if (errno != ENOENT)
        return error_set_errno(error, IPALLOC_E_IO, errno, "backup to \"%s\"", target->quoted);
    return IPALLOC_OK;
}

int sqlite_backup(void *self, const char *given, ipalloc_error *error) {
    sqlite_store *s = self;
    sqlite_path target;
    char name[PATH_MAX];
    int status = path_resolve(&target, given, s->system, error);
    if (status == IPALLOC_OK)
        status = check_absent(&target, target.file, "the file exists already", error);
    if (status != IPALLOC_OK)
        return status;
    path_unfinished(&target, name);
    status = check_absent(&target, name,
                          "its -new file exists: another backup is being made there, or one was "
                          "cut off and can be removed",
                          error);
    if (status != IPALLOC_OK)
        return status;
    status = copy(s, name, error);
    if (status == IPALLOC_OK)
        status = mark(&target, name, error);
    if (status == IPALLOC_OK)
        status = path_publish(&target, error);
    if (status != IPALLOC_OK)
        path_remove_unfinished(&target);
    return status;
}
