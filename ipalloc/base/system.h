/*
 * system.h: the one table of system calls that our own code makes.
 *
 * Everything that can fail because of the machine goes through it, so that a test can make each
 * call fail. Members answer as the calls they are named after: 0 or a count, or -1 with errno set.
 * (What SQLite does on its own goes through SQLite's file layer, which tests replace there.)
 */
#ifndef IPALLOC_BASE_SYSTEM_H
#define IPALLOC_BASE_SYSTEM_H

#include "base/atomic.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct addrinfo;
struct epoll_event;
struct pollfd;
struct sockaddr;
struct stat;
struct statfs;

/* What tells a file from every other one of its file system, also from an earlier one with the same
 * inode number. */
typedef struct file_birth {
    uint64_t inode;
    uint64_t device;
    int64_t born_seconds;
    uint32_t born_nanoseconds;
    bool born_known;
} file_birth;

typedef struct system_calls {
    int (*open)(const char *path, int flags, unsigned mode);
    int (*close)(int file);
    ssize_t (*pread)(int file, void *bytes, size_t size, off_t offset);
    ssize_t (*pwrite)(int file, const void *bytes, size_t size, off_t offset);
    int (*truncate)(int file, off_t size);
    int (*sync)(int file);
    int (*lock)(int file); /* the whole file, for writing, owned by the open file; never waits */
    int (*file_status)(int file, struct stat *out);
    int (*path_status)(const char *path, struct stat *out); /* follows symbolic links */
    int (*link_status)(const char *path, struct stat *out); /* does not */
    int (*file_system)(const char *path, struct statfs *out);
    int (*birth)(const char *path, file_birth *out);
    char *(*real_path)(const char *path, char *out);     /* out: PATH_MAX bytes */
    int (*rename_new)(const char *from, const char *to); /* EEXIST where `to` is there */
    int (*unlink)(const char *path);
    int (*process_id)(void);
    /* Sockets never wait, are closed on exec, and never raise SIGPIPE. */
    int (*resolve)(const char *name, const char *port, const struct addrinfo *hints,
                   struct addrinfo **out); /* as getaddrinfo: 0 or EAI_...; may wait */
    int (*socket)(int family, int type, int protocol);
    int (*set_option)(int socket, int level, int name, const void *value, unsigned size);
    int (*connect)(int socket, const struct sockaddr *address, unsigned size);
    int (*socket_error)(int socket, int *error); /* what became of connect */
    ssize_t (*send)(int socket, const void *bytes, size_t size);
    ssize_t (*receive)(int socket, void *bytes, size_t size);
    int (*poll)(struct pollfd *files, size_t count, int timeout_ms);
    int (*epoll_create)(void);
    int (*epoll_control)(int epoll, int operation, int file, struct epoll_event *event);
    int (*event_create)(void); /* an eventfd */
    int (*event_set)(int event);
    int (*event_clear)(int event); /* also where it is not set */
    /* Sleep while *word is `expected`, at most timeout_ns (0: for ever). May wake for no reason. */
    void (*wait)(const atomic_word32 *word, uint32_t expected, uint64_t timeout_ns);
    void (*wake_one)(const atomic_word32 *word);
    void (*wake_all)(const atomic_word32 *word);
} system_calls;

extern const system_calls SYSTEM_CALLS;

#endif
