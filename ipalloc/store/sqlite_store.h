/*
 * sqlite_store.h: what the files of the sqlite store share.
 *
 * sqlite.c        open, close, info, accept       sqlite_write.c   a group of batches, checkpoints
 * sqlite_path.c   canonical path, file system,    sqlite_read.c    readers: get, scan, changes
 *                 identity of the file            sqlite_backup.c  a marked copy
 * sqlite_lock.c   one owner                       sqlite_connection.c  connections, statements,
 * sqlite_view.c   what operators query
 * sqlite_schema.c a new file, a valid file                         SQLite's errors in our words
 *
 * One connection writes and checkpoints; readers are opened read-only and never checkpoint
 * (SQLite before 3.51.3 can corrupt a log that two connections reset).
 */
#ifndef IPALLOC_STORE_SQLITE_STORE_H
#define IPALLOC_STORE_SQLITE_STORE_H

#include "base/system.h"
#include "store/group.h"
#include "store/store.h"

#include <limits.h>
#include <sqlite3.h>

/* --- paths and identity --------------------------------------------------------------------------
 */

enum {
    SUFFIX_MAX = 16,                        /* "-lock", "-new", and SQLite's own */
    STORE_PATH_MAX = PATH_MAX - SUFFIX_MAX, /* with its NUL */
    IDENTITY_MAX = 96,
    QUOTED_PATH = 160,
};

typedef struct sqlite_path {
    const system_calls *system;
    char file[PATH_MAX];      /* absolute, symbolic links resolved */
    char directory[PATH_MAX]; /* the one that holds it */
    char quoted[QUOTED_PATH]; /* the path for messages */
} sqlite_path;

/* Resolve and check what the caller gave. OK; INVALID; NOT_FOUND (the directory); IO. */
int path_resolve(sqlite_path *path, const char *given, const system_calls *system,
                 ipalloc_error *error);
/* The path with a suffix; `out` is PATH_MAX bytes. */
const char *path_with(const sqlite_path *path, const char *suffix, char *out);
/* OK, or UNAVAILABLE for a network file system. */
int path_check_file_system(const sqlite_path *path, ipalloc_error *error);
/* What is at the path: OK (a regular file), NOT_FOUND, CORRUPT (something else), UNAVAILABLE (a
 * file with two names), IO. */
int path_check_file(const sqlite_path *path, ipalloc_error *error);
/* Text that tells this file from a copy of it. */
int path_identity(const system_calls *system, const char *file, char out[IDENTITY_MAX],
                  ipalloc_error *error);
/* Make a file's bytes durable. Not for a file that SQLite has locks on: they would be dropped. */
int path_sync_file(const sqlite_path *path, const char *file, ipalloc_error *error);
/* Remove a file that was being made, with what SQLite may have left beside it. */
void path_remove_unfinished(const sqlite_path *path);
/* The name of a file being made for this path. */
const char *path_unfinished(const sqlite_path *path, char *out);
/* Make a finished file durable and give it its name, which must be new: OK; BUSY; IO. */
int path_publish(const sqlite_path *path, ipalloc_error *error);

/* --- the lock ------------------------------------------------------------------------------------
 */

/* Become the owner: *file is the open lock file. OK; BUSY (names the holder's pid); IO. */
int lock_take(const sqlite_path *path, int *file, ipalloc_error *error);
void lock_drop(const system_calls *system, int file); /* -1 is fine */

/* --- connections ---------------------------------------------------------------------------------
 */

enum statement {
    STATEMENT_BEGIN_READ,
    STATEMENT_BEGIN_WRITE,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_FIND,       /* 1 key -> revision */
    STATEMENT_GET,        /* 1 key -> key, value, revision */
    STATEMENT_SCAN_FROM,  /* 1 key -> key, value, revision ... */
    STATEMENT_SCAN_AFTER, /* 1 key -> the same */
    STATEMENT_PUT,        /* 1 key, 2 value, 3 revision */
    STATEMENT_DELETE,     /* 1 key */
    STATEMENT_ADD_CHANGE, /* 1 position, 2 key, 3 value */
    STATEMENT_CHANGES,    /* 1 position -> key, value, position ... beyond it */
    STATEMENT_FIRST_CHANGE,
    STATEMENT_LAST_CHANGE,   /* -> position */
    STATEMENT_COUNT_CHANGES, /* -> count */
    STATEMENT_NTH_CHANGE,    /* 1 n -> position of the one after n others */
    STATEMENT_TRIM_CHANGES,  /* 1 position: all before it */
    STATEMENT_META,          /* 1 name -> value */
    STATEMENT_SET_META,      /* 1 name, 2 value */
    STATEMENT_COUNT
};

typedef struct connection {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared when first used, kept */
    const sqlite_path *path;
} connection;

enum { BUSY_TIMEOUT_MS = 5000 }; /* an operator's sqlite3 shell may hold the write lock a while */

/* Open with SQLite's flags (SQLITE_OPEN_READONLY, ...). On failure nothing stays open. */
int connection_open(connection *c, const sqlite_path *path, const char *file, int flags,
                    ipalloc_error *error);
void connection_close(connection *c); /* one that was never opened is fine */

/* The statement, reset and ready to bind; NULL where preparing failed (connection_error says why).
 */
sqlite3_stmt *connection_statement(connection *c, enum statement which);
/* Run to its end a statement that gives no rows. SQLite's result code. */
int connection_run(connection *c, enum statement which);
/* Run any SQL text. SQLite's result code. */
int connection_execute(connection *c, const char *sql);
/* One integer: *found is false where there is no row or a NULL. SQLite's result code. */
int connection_integer(connection *c, enum statement which, bool *found, int64_t *out);
/* Switch the file to "wal" or "delete". OK; UNAVAILABLE (not possible here); IO. */
int connection_set_journal(connection *c, const char *mode, ipalloc_error *error);
/* Bind bytes as text, or as a blob where they hold a zero byte. */
int bind_bytes(sqlite3_stmt *statement, int place, ipalloc_bytes bytes);
/* Our status for SQLite's result code, with what was being done and SQLite's own words. */
int connection_error(const connection *c, int result, const char *doing, ipalloc_error *error);
int result_status(int result);

/* --- the form of the file ------------------------------------------------------------------------
 */

enum { FORM_VERSION = 1, APPLICATION_ID = 0x6970616c /* "ipal" */ };

/* A change's position: its batch's revision, and its place in the batch in the low bits. */
enum { PLACE_BITS = 10 };
_Static_assert(IPALLOC_BATCH_OPS_MAX <= 1 << PLACE_BITS, "every operation has a place");
#define REVISION_MAX (((uint64_t)1 << 53) - 1)

/* Make a new store file of that epoch under another name, complete and durable, then give it its
 * name. */
int schema_create(const sqlite_path *path, uint64_t epoch, ipalloc_error *error);
/* Is this file a store of a form that we know? Reads only. OK; CORRUPT (what was found); IO. */
int schema_validate(const sqlite_path *path, ipalloc_error *error);
/* Make the view `leases`, for operators, where it is missing or an older one. OK; CORRUPT; IO. */
int view_ensure(connection *c, ipalloc_error *error);
/* Read one value of the table meta. OK; CORRUPT; IO. */
int schema_meta_text(connection *c, const char *name, char *out, size_t capacity,
                     ipalloc_error *error);
int schema_meta_number(connection *c, const char *name, uint64_t *out, ipalloc_error *error);
int schema_set_meta(connection *c, const char *name, const char *value);
/* What a backup carries in place of the file's identity. */
extern const char IDENTITY_OF_BACKUP[];

/* --- the store -----------------------------------------------------------------------------------
 */

enum { READERS_MAX = 4 };

typedef struct reader_pool {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t returned;
    connection readers[READERS_MAX];
    bool lent[READERS_MAX];
} reader_pool;

typedef struct sqlite_store {
    hooks *hooks;
    const system_calls *system;
    sqlite_path path;
    int lock_file; /* -1: read-only */
    bool read_only;
    uint64_t epoch;
    uint64_t changes_kept;
    atomic_word restored;
    atomic_word failed; /* 1 after a failed sync or an unknown outcome: no more writes */
    atomic_word revision;
    atomic_word oldest_change;
    reader_pool pool;
    group_commit group;
    pthread_mutex_t writer_mutex; /* guards what follows */
    connection writer;
    uint64_t change_count; /* rows in the table changes */
    int log_frames;        /* in the write-ahead log */
    int checkpoint_at;
} sqlite_store;

/* Oldest revision since which all changes are in the table, from the first row's position. */
uint64_t oldest_of_first(bool found, int64_t first_position);

int writer_open(sqlite_store *s, ipalloc_error *error);
void writer_close(sqlite_store *s);
int sqlite_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error);
int sqlite_accept(void *self, ipalloc_error *error);

int readers_open(sqlite_store *s, ipalloc_error *error);
void readers_close(sqlite_store *s);
int sqlite_get(void *self, ipalloc_bytes key, ipalloc_visit visit, void *context,
               ipalloc_error *error);
int sqlite_scan(void *self, ipalloc_bytes prefix, ipalloc_bytes after, size_t limit,
                ipalloc_visit visit, void *context, uint64_t *at_revision, ipalloc_error *error);
int sqlite_changes(void *self, uint64_t since, ipalloc_bytes prefix, size_t limit,
                   ipalloc_visit visit, void *context, uint64_t *up_to, ipalloc_error *error);
int sqlite_info(void *self, ipalloc_store_info *out, ipalloc_error *error);
int sqlite_backup(void *self, const char *path, ipalloc_error *error);

#endif
