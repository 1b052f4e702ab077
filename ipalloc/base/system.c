/*
 * system.c: the table of system calls as the machine offers them.
 */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1 /* as in linux/fs.h; musl's headers lack it */
#endif

static int system_open(const char *path, int flags, unsigned mode) {
    return open(path, flags, mode);
}

static int system_lock(int file) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file, F_OFD_SETLK, &whole);
}

#ifdef STATX_BTIME
static int system_birth(const char *path, file_birth *out) {
    struct statx status;
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &status) != 0)
        return -1;
    *out = (file_birth){.inode = status.stx_ino,
                        .device = makedev(status.stx_dev_major, status.stx_dev_minor),
                        .born_known = (status.stx_mask & STATX_BTIME) != 0};
    if (out->born_known) {
        out->born_seconds = status.stx_btime.tv_sec;
        out->born_nanoseconds = status.stx_btime.tv_nsec;
    }
    return 0;
}
#else /* musl before 1.2.5: the birth is not known, inode and device have to do */
static int system_birth(const char *path, file_birth *out) {
    struct stat status;
    if (stat(path, &status) != 0)
        return -1;
    *out = (file_birth){.inode = status.st_ino, .device = status.st_dev};
    return 0;
}
#endif

/* Some file systems cannot refuse to replace; there the check before the rename has to do. */
static int system_rename_new(const char *from, const char *to) {
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    struct stat status;
    if (lstat(to, &status) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

static int system_process_id(void) {
    return (int)getpid();
}

static void system_wait(const atomic_word32 *word, uint32_t expected, uint64_t timeout_ns) {
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                               .tv_nsec = (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns != 0 ? &timeout : NULL, NULL,
            0);
}

static void system_wake_one(const atomic_word32 *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void system_wake_all(const atomic_word32 *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

const system_calls SYSTEM_CALLS = {
    .open = system_open,
    .close = close,
    .pread = pread,
    .pwrite = pwrite,
    .truncate = ftruncate,
    .sync = fsync,
    .lock = system_lock,
    .file_status = fstat,
    .path_status = stat,
    .link_status = lstat,
    .file_system = statfs,
    .birth = system_birth,
    .real_path = realpath,
    .rename_new = system_rename_new,
    .unlink = unlink,
    .process_id = system_process_id,
    .wait = system_wait,
    .wake_one = system_wake_one,
    .wake_all = system_wake_all,
};
