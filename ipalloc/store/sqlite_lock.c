/*
 * sqlite_lock.c: one owner per store file.
 *
 * The owner holds a lock on PATH-lock, which belongs to the open file: it goes with the process,
 * however that ends, and a second open in the same process fails like any other. The file stays
 * where it is (removing it would let two owners lock two files of one name) and holds the owner's
 * pid as text, for the message to others; the lock counts, never the text.
 */
#include "store/sqlite_store.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PID_TEXT_MAX = 24, ATTEMPTS_MAX = 10 };

void lock_drop(const system_calls *system, int file) {
    if (file >= 0)
        system->close(file);
}

static int refuse_busy(const sqlite_path *path, int file, ipalloc_error *error) {
    char text[PID_TEXT_MAX];
    ssize_t length = path->system->pread(file, text, sizeof text, 0);
    const char *end = length > 0 ? memchr(text, '\n', (size_t)length) : NULL;
    uint64_t holder;
    if (end == NULL || !text_parse_decimal(text, (size_t)(end - text), INT_MAX, &holder))
        return error_set(error, IPALLOC_E_BUSY, "sqlite store \"%s\": in use by another process",
                         path->quoted);
    if (holder == (uint64_t)path->system->process_id())
        return error_set(error, IPALLOC_E_BUSY,
                         "sqlite store \"%s\": this process (pid %d) has it open already",
                         path->quoted, (int)holder);
    return error_set(error, IPALLOC_E_BUSY, "sqlite store \"%s\": in use by process %d",
                     path->quoted, (int)holder);
}

/* For the message to others only: a full disk does not keep the store from opening. */
static void write_pid(const sqlite_path *path, int file) {
    char text[PID_TEXT_MAX];
    int length = snprintf(text, sizeof text, "%d\n", path->system->process_id());
    if (path->system->truncate(file, 0) == 0)
        (void)!path->system->pwrite(file, text, (size_t)length, 0);
}

/* Is what we locked still what the name leads to? Somebody may have removed it in between. */
static bool is_still_named(const system_calls *system, int file, const char *name) {
    struct stat ours, named;
    return system->file_status(file, &ours) == 0 && system->path_status(name, &named) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static int lock_failed(const sqlite_path *path, const char *what, ipalloc_error *error) {
    return error_set_errno(error, IPALLOC_E_IO, errno, "sqlite store \"%s\": its lock file %s",
                           path->quoted, what);
}

int lock_take(const sqlite_path *path, int *out, ipalloc_error *error) {
    char name[PATH_MAX];
    path_with(path, "-lock", name);
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        int file = path->system->open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (file < 0)
            return lock_failed(path, "cannot be opened", error);
        if (path->system->lock(file) != 0) {
            int status = errno == EAGAIN || errno == EACCES
                             ? refuse_busy(path, file, error)
                             : lock_failed(path, "cannot be locked", error);
            path->system->close(file);
            return status;
        }
        if (is_still_named(path->system, file, name)) {
            write_pid(path, file);
            *out = file;
            return IPALLOC_OK;
        }
        path->system->close(file);
    }
    return error_set(error, IPALLOC_E_BUSY, "sqlite store \"%s\": its lock file keeps vanishing",
                     path->quoted);
}
