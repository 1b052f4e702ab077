/*
 * sqlite_write.c: the one connection that writes: a group of batches in one transaction,
 * checkpoints, trimming, acceptance.
 *
 * May use: SQLite through sqlite_connection, group.h. Everything here runs under writer_mutex.
 * Invariants: a batch is judged before anything of it is written, so that a loser leaves nothing
 * and its neighbours go on; revisions only grow, because the newest row of changes is never
 * trimmed; after a failed sync, or an outcome that SQLite cannot tell, nothing is written any more.
 * Cost of a commit: one look-up per condition, two rows per operation, one sync per group.
 */
#include "store/sqlite_store.h"

#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    CHECKPOINT_FRAMES = 4000, /* 16 MiB of log: pages written again and again are copied once */
    LONG_LOG_FRAMES = 4 * CHECKPOINT_FRAMES,
    LOG_BYTES_KEPT = 32 * 1024 * 1024, /* a log that had to grow shrinks to this again */
    PAGE_CACHE_KIB = 32 * 1024,        /* at most; addresses are scattered over all pages */
    TRIM_STEP_MAX = 256,               /* rows trimmed at once ... */
    TRIM_CATCH_UP = 4 * TRIM_STEP_MAX, /* ... and where the option was lowered */
    TRIM_PART = 16,                    /* small tables are trimmed in a sixteenth of them */
};

/* --- one batch -----------------------------------------------------------------------------------
 */

static int find_revision(connection *c, ipalloc_bytes key, bool *present, uint64_t *revision) {
    sqlite3_stmt *statement = connection_statement(c, STATEMENT_FIND);
    if (statement == NULL)
        return sqlite3_extended_errcode(c->db);
    int64_t found;
    int result = bind_bytes(statement, 1, key);
    if (result == SQLITE_OK)
        result = connection_integer(c, STATEMENT_FIND, present, &found);
    if (result == SQLITE_OK)
        *revision = (uint64_t)found;
    return result;
}

/* *failed_op is op_count where every condition holds. */
static int judge(connection *c, const ipalloc_batch *batch, size_t *failed_op) {
    for (size_t i = 0; i < batch->op_count; i++) {
        const ipalloc_op *op = &batch->ops[i];
        if (op->condition == IPALLOC_IF_ANY)
            continue;
        bool present = false;
        uint64_t revision = 0;
        int result = find_revision(c, op->key, &present, &revision);
        if (result != SQLITE_OK)
            return result;
        if (!op_condition_holds(op, present, revision)) {
            *failed_op = i;
            return SQLITE_OK;
        }
    }
    *failed_op = batch->op_count;
    return SQLITE_OK;
}

static int add_change(sqlite_store *s, int64_t position, const ipalloc_op *op) {
    sqlite3_stmt *statement = connection_statement(&s->writer, STATEMENT_ADD_CHANGE);
    if (statement == NULL)
        return sqlite3_extended_errcode(s->writer.db);
    int result = sqlite3_bind_int64(statement, 1, position);
    if (op == NULL) {
        sqlite3_bind_null(statement, 2);
        sqlite3_bind_null(statement, 3);
    } else {
        if (result == SQLITE_OK)
            result = bind_bytes(statement, 2, op->key);
        if (result == SQLITE_OK)
            result = op->kind == IPALLOC_OP_DELETE ? sqlite3_bind_null(statement, 3)
                                                   : bind_bytes(statement, 3, op->value);
    }
    if (result == SQLITE_OK)
        result = connection_run(&s->writer, STATEMENT_ADD_CHANGE);
    s->change_count += result == SQLITE_OK;
    return result;
}

static int write_record(connection *c, const ipalloc_op *op, uint64_t revision) {
    enum statement which = op->kind == IPALLOC_OP_PUT ? STATEMENT_PUT : STATEMENT_DELETE;
    sqlite3_stmt *statement = connection_statement(c, which);
    if (statement == NULL)
        return sqlite3_extended_errcode(c->db);
    int result = bind_bytes(statement, 1, op->key);
    if (which == STATEMENT_PUT && result == SQLITE_OK)
        result = bind_bytes(statement, 2, op->value);
    if (which == STATEMENT_PUT && result == SQLITE_OK)
        result = sqlite3_bind_int64(statement, 3, (int64_t)revision);
    return result == SQLITE_OK ? connection_run(c, which) : result;
}

/* Write a batch whose conditions hold. One that changes nothing leaves a row too: its revision is
 * taken. */
static int write_batch(sqlite_store *s, const ipalloc_batch *batch, uint64_t revision) {
    int64_t position = (int64_t)(revision << PLACE_BITS), start = position;
    for (size_t i = 0; i < batch->op_count; i++) {
        const ipalloc_op *op = &batch->ops[i];
        if (op->kind == IPALLOC_OP_CHECK)
            continue;
        int result = write_record(&s->writer, op, revision);
        if (result != SQLITE_OK)
            return result;
        if (op->kind == IPALLOC_OP_DELETE && sqlite3_changes(s->writer.db) == 0)
            continue; /* it was absent */
        result = add_change(s, position++, op);
        if (result != SQLITE_OK)
            return result;
    }
    return position == start ? add_change(s, position, NULL) : SQLITE_OK;
}

/* --- trimming ------------------------------------------------------------------------------------
 */

static uint64_t trim_step(const sqlite_store *s) {
    uint64_t step = s->changes_kept / TRIM_PART;
    return step > TRIM_STEP_MAX ? TRIM_STEP_MAX : step == 0 ? 1 : step;
}

/* Remove the oldest changes beyond those to be kept, in whole batches and bounded steps. `oldest`
 * is set where something was removed. */
static int trim(sqlite_store *s, uint64_t *oldest) {
    if (s->change_count < s->changes_kept + trim_step(s))
        return SQLITE_OK;
    uint64_t excess = s->change_count - s->changes_kept;
    if (excess > TRIM_CATCH_UP)
        excess = TRIM_CATCH_UP;
    sqlite3_stmt *statement = connection_statement(&s->writer, STATEMENT_NTH_CHANGE);
    if (statement == NULL)
        return sqlite3_extended_errcode(s->writer.db);
    bool found;
    int64_t first_kept;
    sqlite3_bind_int64(statement, 1, (int64_t)excess);
    int result = connection_integer(&s->writer, STATEMENT_NTH_CHANGE, &found, &first_kept);
    if (result != SQLITE_OK || !found)
        return result;
    uint64_t first_revision = (uint64_t)first_kept >> PLACE_BITS;
    statement = connection_statement(&s->writer, STATEMENT_TRIM_CHANGES);
    if (statement == NULL)
        return sqlite3_extended_errcode(s->writer.db);
    sqlite3_bind_int64(statement, 1, (int64_t)(first_revision << PLACE_BITS));
    result = connection_run(&s->writer, STATEMENT_TRIM_CHANGES);
    if (result == SQLITE_OK && sqlite3_changes(s->writer.db) > 0) {
        s->change_count -= (uint64_t)sqlite3_changes(s->writer.db);
        *oldest = first_revision - 1;
    }
    return result;
}

/* --- a transaction -------------------------------------------------------------------------------
 */

static int refuse_failed(const sqlite_store *s, ipalloc_error *error) {
    return error_set(error, IPALLOC_E_IO,
                     "sqlite store \"%s\": an earlier write failed, and the disk cannot be trusted "
                     "to hold it; reopen the store",
                     s->path.quoted);
}

/* Undo what is open. Where even that fails the connection is in no known state. */
static void roll_back(sqlite_store *s) {
    if (sqlite3_get_autocommit(s->writer.db))
        return;
    if (connection_run(&s->writer, STATEMENT_ROLLBACK) != SQLITE_OK &&
        !sqlite3_get_autocommit(s->writer.db))
        atomic_store_release(&s->failed, 1);
}

/* A COMMIT that fails for want of space has not written its last frame: it did not happen. After
 * any other failure the frame may be on the disk, and a sync that failed once may succeed the next
 * time without its pages: the outcome is unknown and nothing more is written. */
static int commit_failure(sqlite_store *s, int result, ipalloc_error *error) {
    bool definite = (result & 0xff) == SQLITE_FULL;
    int status = connection_error(&s->writer, result, "commit", error);
    if (!definite) {
        atomic_store_release(&s->failed, 1);
        status = IPALLOC_E_UNKNOWN_OUTCOME;
        if (error != NULL)
            error->status = status;
    }
    roll_back(s);
    return status;
}

/* Begin to write, as long as that is allowed. */
static int begin(sqlite_store *s, ipalloc_error *error) {
    if (atomic_load_acquire(&s->failed) != 0)
        return refuse_failed(s, error);
    int result = connection_run(&s->writer, STATEMENT_BEGIN_WRITE);
    return result == SQLITE_OK ? IPALLOC_OK
                               : connection_error(&s->writer, result, "begin to write", error);
}

/* --- a group -------------------------------------------------------------------------------------
 */

/* The whole group failed. A batch that lost did not happen, whatever became of the others; whom it
 * lost to may not have happened either, so it is no CONFLICT. */
static void fail_group(group_request *first, int status, const ipalloc_error *error) {
    for (group_request *request = first; request != NULL; request = request->next) {
        request->status = status;
        request->error = *error;
        for (size_t i = 0; i < request->count; i++) {
            bool lost = request->batches[i].status == IPALLOC_E_CONFLICT;
            bool unknown = status == IPALLOC_E_UNKNOWN_OUTCOME;
            request->batches[i].status = lost && unknown ? IPALLOC_E_IO : status;
        }
    }
}

static int write_request(sqlite_store *s, group_request *request, uint64_t *revision) {
    request->status = IPALLOC_OK;
    for (size_t i = 0; i < request->count; i++) {
        ipalloc_batch *batch = &request->batches[i];
        size_t failed_op = batch->op_count;
        int result = judge(&s->writer, batch, &failed_op);
        if (result != SQLITE_OK)
            return result;
        batch->status = failed_op < batch->op_count ? IPALLOC_E_CONFLICT : IPALLOC_OK;
        if (batch->status == IPALLOC_E_CONFLICT) {
            batch->failed_op = failed_op;
            continue;
        }
        result = write_batch(s, batch, *revision + 1);
        if (result != SQLITE_OK)
            return result;
        batch->revision = ++*revision;
    }
    return SQLITE_OK;
}

static int write_requests(sqlite_store *s, group_request *first, uint64_t *revision,
                          uint64_t *oldest) {
    int result = SQLITE_OK;
    for (group_request *request = first; request != NULL && result == SQLITE_OK;
         request = request->next)
        result = write_request(s, request, revision);
    return result == SQLITE_OK ? trim(s, oldest) : result;
}

/* Everything between BEGIN and COMMIT, and COMMIT. */
static int write_transaction(sqlite_store *s, group_request *first, uint64_t *sync_ns,
                             ipalloc_error *error) {
    int status = begin(s, error);
    if (status != IPALLOC_OK)
        return status;
    uint64_t before = atomic_load_relaxed(&s->revision), revision = before;
    uint64_t oldest = atomic_load_relaxed(&s->oldest_change);
    int result = write_requests(s, first, &revision, &oldest);
    if (result != SQLITE_OK) {
        status = connection_error(&s->writer, result, "writing", error);
        roll_back(s);
        return status;
    }
    if (revision == before) { /* nobody won: nothing to make durable */
        roll_back(s);
        return IPALLOC_OK;
    }
    uint64_t start_ns = hooks_pacing_ns();
    result = connection_run(&s->writer, STATEMENT_COMMIT);
    if (result != SQLITE_OK)
        return commit_failure(s, result, error);
    *sync_ns = hooks_pacing_ns() - start_ns;
    atomic_store_release(&s->revision, revision);
    atomic_store_release(&s->oldest_change, oldest);
    return IPALLOC_OK;
}

static uint64_t write_group(void *self, group_request *first) {
    sqlite_store *s = self;
    uint64_t sync_ns = 0;
    ipalloc_error error;
    pthread_mutex_lock(&s->writer_mutex);
    uint64_t change_count = s->change_count;
    int status = write_transaction(s, first, &sync_ns, &error);
    if (status != IPALLOC_OK) {
        s->change_count = change_count;
        fail_group(first, status, &error);
    }
    pthread_mutex_unlock(&s->writer_mutex);
    return sync_ns;
}

int sqlite_commit(void *self, ipalloc_batch *batches, size_t count, ipalloc_error *error) {
    sqlite_store *s = self;
    batches_set_status(batches, count, IPALLOC_E_READ_ONLY);
    if (s->read_only)
        return error_set(error, IPALLOC_E_READ_ONLY, "sqlite store \"%s\": opened for reading only",
                         s->path.quoted);
    batches_set_status(batches, count, IPALLOC_OK);
    group_request request = {.batches = batches, .count = count};
    group_submit(&s->group, &request);
    if (request.status != IPALLOC_OK && error != NULL)
        *error = request.error;
    return request.status;
}

/* --- checkpoints ---------------------------------------------------------------------------------
 */

static int note_log_frames(void *self, sqlite3 *db, const char *name, int frames) {
    (void)db;
    (void)name;
    sqlite_store *s = self;
    if (frames < s->log_frames) /* the log began anew */
        s->checkpoint_at = CHECKPOINT_FRAMES;
    s->log_frames = frames;
    return SQLITE_OK;
}

/* Copy the log into the tables. A full disk or a reader in the way only puts it off; after a failed
 * write or sync the store stops, as after a failed commit. */
static int checkpoint(sqlite_store *s, int mode, bool *all) {
    int frames = 0, copied = 0;
    int result = sqlite3_wal_checkpoint_v2(s->writer.db, NULL, mode, &frames, &copied);
    *all = result == SQLITE_OK && frames == copied;
    if ((result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CORRUPT) {
        atomic_store_release(&s->failed, 1);
        hooks_log(s->hooks, IPALLOC_LOG_WARNING,
                  "sqlite store \"%s\": checkpoint failed (SQLite %d); reopen the store",
                  s->path.quoted, result);
    }
    return result;
}

/* Readers that follow one another without a gap keep the log from beginning anew. Once it is long,
 * wait for them; each time less often, should one of them never end. */
static void tidy_log(void *self) {
    sqlite_store *s = self;
    pthread_mutex_lock(&s->writer_mutex);
    if (s->log_frames >= s->checkpoint_at && atomic_load_relaxed(&s->failed) == 0) {
        bool all, is_long = s->log_frames >= LONG_LOG_FRAMES;
        checkpoint(s, is_long ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, &all);
        s->checkpoint_at = is_long ? s->log_frames * 2 : s->log_frames + CHECKPOINT_FRAMES;
    }
    pthread_mutex_unlock(&s->writer_mutex);
}

/* --- a restored store ----------------------------------------------------------------------------
 */

enum { EPOCH_STEP_MAX = 4095 };

/* Under the writer mutex (or before anybody else is there): a few meta values in one transaction.
 */
static int set_meta_values(sqlite_store *s, const char *const (*values)[2], size_t count,
                           ipalloc_error *error) {
    int status = begin(s, error);
    if (status != IPALLOC_OK)
        return status;
    int result = SQLITE_OK;
    for (size_t i = 0; i < count && result == SQLITE_OK; i++)
        result = schema_set_meta(&s->writer, values[i][0], values[i][1]);
    if (result != SQLITE_OK) {
        status = connection_error(&s->writer, result, "writing meta", error);
        roll_back(s);
        return status;
    }
    result = connection_run(&s->writer, STATEMENT_COMMIT);
    return result == SQLITE_OK ? IPALLOC_OK : commit_failure(s, result, error);
}

/* This file is a copy, or an older state that was put back: start a new epoch. The step is random,
 * so that two copies of one state do not go on under the same number. */
static int start_epoch(sqlite_store *s, const char *identity, ipalloc_error *error) {
    char epoch[24];
    uint64_t next = s->epoch + 1 + hooks_random_below(s->hooks, EPOCH_STEP_MAX);
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)next);
    const char *const values[][2] = {{"identity", identity}, {"epoch", epoch}, {"restored", "1"}};
    int status = set_meta_values(s, values, 3, error);
    if (status != IPALLOC_OK)
        return status;
    s->epoch = next;
    atomic_store_release(&s->restored, 1);
    hooks_log(s->hooks, IPALLOC_LOG_WARNING,
              "sqlite store \"%s\": is a copy or was restored; allocates nothing until it is "
              "accepted",
              s->path.quoted);
    return IPALLOC_OK;
}

int sqlite_accept(void *self, ipalloc_error *error) {
    sqlite_store *s = self;
    if (s->read_only)
        return error_set(error, IPALLOC_E_READ_ONLY, "sqlite store \"%s\": opened for reading only",
                         s->path.quoted);
    static const char *const values[][2] = {{"restored", "0"}};
    int status = IPALLOC_OK;
    pthread_mutex_lock(&s->writer_mutex);
    if (atomic_load_relaxed(&s->restored) != 0)
        status = set_meta_values(s, values, 1, error);
    if (status == IPALLOC_OK)
        atomic_store_release(&s->restored, 0);
    pthread_mutex_unlock(&s->writer_mutex);
    return status;
}

/* --- open and close ------------------------------------------------------------------------------
 */

static int configure_writer(sqlite_store *s, ipalloc_error *error) {
    char settings[128];
    snprintf(settings, sizeof settings,
             "PRAGMA synchronous = FULL; PRAGMA cache_size = -%d; PRAGMA journal_size_limit = %d;",
             PAGE_CACHE_KIB, LOG_BYTES_KEPT);
    int result = connection_execute(&s->writer, settings);
    return result == SQLITE_OK ? IPALLOC_OK
                               : connection_error(&s->writer, result, "settings", error);
}

/* What the log was found to hold may never have reached the disk, if a process was killed between
 * writing and syncing. Put it into the tables, durably, before anybody reads and relies on it. */
static int settle_log(sqlite_store *s, ipalloc_error *error) {
    bool all;
    char log[PATH_MAX];
    int result = checkpoint(s, SQLITE_CHECKPOINT_PASSIVE, &all);
    if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY)
        return connection_error(&s->writer, result, "settling the log", error);
    return all ? IPALLOC_OK /* else a reader is in the way: sync the log itself */
               : path_sync_file(&s->path, path_with(&s->path, "-wal", log), error);
}

static int load_state(sqlite_store *s, ipalloc_error *error) {
    bool found;
    int64_t last = 0, first = 0, count = 0;
    int result = connection_integer(&s->writer, STATEMENT_LAST_CHANGE, &found, &last);
    if (result == SQLITE_OK)
        result = connection_integer(&s->writer, STATEMENT_FIRST_CHANGE, &found, &first);
    if (result == SQLITE_OK)
        atomic_store_relaxed(&s->oldest_change, oldest_of_first(found, first));
    if (result == SQLITE_OK)
        result = connection_integer(&s->writer, STATEMENT_COUNT_CHANGES, &found, &count);
    if (result != SQLITE_OK)
        return connection_error(&s->writer, result, "reading changes", error);
    if (last < 0 || first < 0)
        return error_set(error, IPALLOC_E_CORRUPT,
                         "sqlite store \"%s\": the table changes has a negative position",
                         s->path.quoted);
    atomic_store_relaxed(&s->revision, (uint64_t)last >> PLACE_BITS);
    s->change_count = (uint64_t)count;
    return IPALLOC_OK;
}

static int check_identity(sqlite_store *s, ipalloc_error *error) {
    char stored[IDENTITY_MAX], own[IDENTITY_MAX];
    uint64_t restored = 0;
    int status = path_identity(s->system, s->path.file, own, error);
    if (status == IPALLOC_OK)
        status = schema_meta_text(&s->writer, "identity", stored, sizeof stored, error);
    if (status == IPALLOC_OK)
        status = schema_meta_number(&s->writer, "epoch", &s->epoch, error);
    if (status == IPALLOC_OK)
        status = schema_meta_number(&s->writer, "restored", &restored, error);
    if (status != IPALLOC_OK)
        return status;
    atomic_store_relaxed(&s->restored, restored != 0);
    return strcmp(stored, own) == 0 ? IPALLOC_OK : start_epoch(s, own, error);
}

int writer_open(sqlite_store *s, ipalloc_error *error) {
    int status = connection_open(&s->writer, &s->path, s->path.file, SQLITE_OPEN_READWRITE, error);
    if (status != IPALLOC_OK)
        return status;
    s->checkpoint_at = CHECKPOINT_FRAMES;
    sqlite3_wal_hook(s->writer.db, note_log_frames, s);
    status = connection_set_journal(&s->writer, "wal", error);
    if (status == IPALLOC_OK)
        status = configure_writer(s, error);
    if (status == IPALLOC_OK)
        status = settle_log(s, error);
    if (status == IPALLOC_OK)
        status = view_ensure(&s->writer, error);
    if (status == IPALLOC_OK)
        status = load_state(s, error);
    if (status == IPALLOC_OK)
        status = check_identity(s, error);
    if (status != IPALLOC_OK) {
        connection_close(&s->writer);
        return status;
    }
    pthread_mutex_init(&s->writer_mutex, NULL);
    group_init(&s->group, s->system, write_group, tidy_log, s);
    return IPALLOC_OK;
}

/* A healthy log is copied and removed with the last connection; after a failure it stays as it is
 * for the next open to look at. */
void writer_close(sqlite_store *s) {
    if (s->writer.db == NULL)
        return;
    if (atomic_load_acquire(&s->failed) != 0)
        sqlite3_db_config(s->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    connection_close(&s->writer);
    group_destroy(&s->group);
    pthread_mutex_destroy(&s->writer_mutex);
}
