/*
 * fault_vfs.h: a file layer for SQLite that fails on demand. It wraps the default one.
 *
 * Syncs do nothing. Calls are counted; the one with number `fail_at` fails, or that one and all
 * after it.
 */
#ifndef IPALLOC_TEST_FAULT_VFS_H
#define IPALLOC_TEST_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NOTHING,
    FAULT_EIO,        /* the call does nothing and fails */
    FAULT_EIO_LATE,   /* writes happen, and yet are reported as failed */
    FAULT_TORN_WRITE, /* half of a write happens, then it fails; others as FAULT_EIO */
    FAULT_FULL        /* writes find the disk full after half of it; nothing else fails */
};

enum fault_calls { /* which calls are counted; may be combined */
                   FAULT_IN_OPEN = 1,
                   FAULT_IN_DELETE = 2,
                   FAULT_IN_READ = 4,
                   FAULT_IN_WRITE = 8,
                   FAULT_IN_TRUNCATE = 16,
                   FAULT_IN_SYNC = 32,
                   FAULT_IN_SIZE = 64,
                   FAULT_IN_SHARED_MEMORY = 128,
                   FAULT_IN_ALL = 255
};

typedef struct fault_plan {
    enum fault_kind kind;
    unsigned calls;
    uint64_t fail_at; /* counted from 1 */
    bool all_after;
    bool main_file_only; /* the database, not its log or journal */
} fault_plan;

/* Make it the default file layer of this process. */
void fault_vfs_install(void);
void fault_vfs_arm(fault_plan plan); /* counting starts anew */
void fault_vfs_disarm(void);
uint64_t fault_vfs_fired(void); /* since it was armed */

#endif
