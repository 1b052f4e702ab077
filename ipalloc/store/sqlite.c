/*
 * sqlite.c: the store in one SQLite file: opening and closing it.
 *
 * May use: the other sqlite_*.c files. The order of opening is the order of trust: where it lies,
 * who owns it, what it is, and only then a connection that can write.
 * Memory: SQLite's own is SQLite's (it does not go through the hooks).
 */
#include "store/sqlite_store.h"

#include "base/error.h"

#include <string.h>

/* A file that is absent is fine where one may be made. */
static int check_file(sqlite_store *s, bool must_exist, bool *absent, ipalloc_error *error) {
    ipalloc_error found; /* the caller's is written only if the whole call fails */
    int status = path_check_file(&s->path, &found);
    *absent = status == IPALLOC_E_NOT_FOUND;
    if (*absent && !must_exist)
        return IPALLOC_OK;
    if (status != IPALLOC_OK && error != NULL)
        *error = found;
    return status;
}

/* Find or make a file that is a store. The caller owns it. */
static int prepare_file(sqlite_store *s, const ipalloc_store_options *options,
                        ipalloc_error *error) {
    bool absent;
    int status = check_file(s, s->read_only || options->must_exist, &absent, error);
    if (status == IPALLOC_OK && absent)
        status = schema_create(&s->path, options->first_epoch, error);
    return status == IPALLOC_OK ? schema_validate(&s->path, error) : status;
}

static int open_owner(sqlite_store *s, const ipalloc_store_options *options, ipalloc_error *error) {
    bool absent;
    int status = check_file(s, options->must_exist, &absent, error);
    if (status != IPALLOC_OK) /* leave no lock file beside what is no store */
        return status;
    status = lock_take(&s->path, &s->lock_file, error);
    if (status == IPALLOC_OK)
        status = prepare_file(s, options, error);
    if (status == IPALLOC_OK)
        status = writer_open(s, error);
    if (status == IPALLOC_OK)
        status = readers_open(s, error);
    return status;
}

static int open_reader_only(sqlite_store *s, const ipalloc_store_options *options,
                            ipalloc_error *error) {
    int status = prepare_file(s, options, error);
    return status == IPALLOC_OK ? readers_open(s, error) : status;
}

/* The lock goes last: the next owner must find nobody here. */
static void sqlite_close(void *self) {
    sqlite_store *s = self;
    readers_close(s);
    writer_close(s);
    lock_drop(s->system, s->lock_file);
    hooks_free(s->hooks, s);
}

int sqlite_store_open(const store_opening *opening, ipalloc_error *error) {
    sqlite_store *s = hooks_alloc_zeroed(opening->hooks, sizeof *s);
    if (s == NULL)
        return error_no_memory(error);
    s->hooks = opening->hooks;
    s->system = opening->system;
    s->lock_file = -1;
    s->read_only = opening->options->read_only;
    s->changes_kept = opening->options->changes_kept;
    int status = path_resolve(&s->path, opening->rest, s->system, error);
    if (status == IPALLOC_OK)
        status = path_check_file_system(&s->path, error);
    if (status == IPALLOC_OK)
        status = s->read_only ? open_reader_only(s, opening->options, error)
                              : open_owner(s, opening->options, error);
    if (status != IPALLOC_OK) {
        sqlite_close(s);
        return status;
    }
    *opening->methods = (ipalloc_store_methods){.size = sizeof *opening->methods,
                                                .get = sqlite_get,
                                                .scan = sqlite_scan,
                                                .commit = sqlite_commit,
                                                .changes = sqlite_changes,
                                                .info = sqlite_info,
                                                .backup = sqlite_backup,
                                                .accept = sqlite_accept,
                                                .close = sqlite_close};
    *opening->self = s;
    return IPALLOC_OK;
}
