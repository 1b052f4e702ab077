/*
 * system.c: the table of system calls as the machine offers them.
 */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
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

static int system_socket(int family, int type, int protocol) {
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int system_set_option(int socket, int level, int name, const void *value, unsigned size) {
    return setsockopt(socket, level, name, value, size);
}

static int system_connect(int socket, const struct sockaddr *address, unsigned size) {
    return connect(socket, address, size);
}

static int system_socket_error(int socket, int *error) {
    socklen_t size = sizeof *error;
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, error, &size);
}

static ssize_t system_send(int socket, const void *bytes, size_t size) {
    return send(socket, bytes, size, MSG_NOSIGNAL);
}

static ssize_t system_receive(int socket, void *bytes, size_t size) {
    return recv(socket, bytes, size, 0);
}

static int system_poll(struct pollfd *files, size_t count, int timeout_ms) {
    return poll(files, (nfds_t)count, timeout_ms);
}

static int system_epoll_create(void) {
    return epoll_create1(EPOLL_CLOEXEC);
}

static int system_event_create(void) {
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static int system_event_set(int event) {
    return eventfd_write(event, 1);
}

static int system_event_clear(int event) {
    eventfd_t value;
    return eventfd_read(event, &value) == 0 || errno == EAGAIN ? 0 : -1;
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
    .resolve = getaddrinfo,
    .socket = system_socket,
    .set_option = system_set_option,
    .connect = system_connect,
    .socket_error = system_socket_error,
    .send = system_send,
    .receive = system_receive,
    .poll = system_poll,
    .epoll_create = system_epoll_create,
    .epoll_control = epoll_ctl,
    .event_create = system_event_create,
    .event_set = system_event_set,
    .event_clear = system_event_clear,
    .wait = system_wait,
    .wake_one = system_wake_one,
    .wake_all = system_wake_all,
};
