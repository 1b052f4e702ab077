/*
 * fault_vfs.c: see fault_vfs.h.
 */
#include "fault_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

typedef struct fault_file {
    sqlite3_file base;
    bool is_main;
    _Alignas(8) char real[]; /* the wrapped layer's file */
} fault_file;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static fault_plan plan;
static uint64_t counted, fired;

static sqlite3_vfs *real_vfs(sqlite3_vfs *vfs) {
    return vfs->pAppData;
}

static sqlite3_file *real_file(sqlite3_file *file) {
    return (sqlite3_file *)(void *)((char *)file + offsetof(fault_file, real));
}

static bool is_main(const sqlite3_file *file) {
    return ((const fault_file *)file)->is_main;
}

/* Count a call; what is to go wrong with it? */
static enum fault_kind count_call(unsigned call, bool is_main) {
    enum fault_kind kind = FAULT_NOTHING;
    pthread_mutex_lock(&mutex);
    bool counts = plan.kind != FAULT_NOTHING && (plan.calls & call) != 0 &&
                  (is_main || !plan.main_file_only) &&
                  (plan.kind != FAULT_FULL || call == FAULT_IN_WRITE);
    if (counts) {
        counted++;
        if (counted == plan.fail_at || (plan.all_after && counted > plan.fail_at)) {
            kind = plan.kind;
            fired++;
        }
    }
    pthread_mutex_unlock(&mutex);
    return kind;
}

void fault_vfs_arm(fault_plan new_plan) {
    pthread_mutex_lock(&mutex);
    plan = new_plan;
    counted = fired = 0;
    pthread_mutex_unlock(&mutex);
}

void fault_vfs_disarm(void) {
    pthread_mutex_lock(&mutex);
    plan.kind = FAULT_NOTHING;
    pthread_mutex_unlock(&mutex);
}

uint64_t fault_vfs_fired(void) {
    pthread_mutex_lock(&mutex);
    uint64_t count = fired;
    pthread_mutex_unlock(&mutex);
    return count;
}

/* --- files ---------------------------------------------------------------------------------------
 */

static int file_close(sqlite3_file *file) {
    sqlite3_file *real = real_file(file);
    return real->pMethods != NULL ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset) {
    if (count_call(FAULT_IN_READ, is_main(file)) != FAULT_NOTHING)
        return SQLITE_IOERR_READ;
    return real_file(file)->pMethods->xRead(real_file(file), bytes, size, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset) {
    enum fault_kind kind = count_call(FAULT_IN_WRITE, is_main(file));
    int written = kind == FAULT_EIO                                ? 0
                  : kind == FAULT_TORN_WRITE || kind == FAULT_FULL ? size / 2
                                                                   : size;
    int result = SQLITE_OK;
    if (written > 0)
        result = real_file(file)->pMethods->xWrite(real_file(file), bytes, written, offset);
    if (kind == FAULT_FULL)
        return SQLITE_FULL;
    return kind != FAULT_NOTHING ? SQLITE_IOERR_WRITE : result;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    if (count_call(FAULT_IN_TRUNCATE, is_main(file)) != FAULT_NOTHING)
        return SQLITE_IOERR_TRUNCATE;
    return real_file(file)->pMethods->xTruncate(real_file(file), size);
}

/* Nothing is really synced: these tests end processes, not machines, and so they are quick. */
static int file_sync(sqlite3_file *file, int flags) {
    (void)flags;
    return count_call(FAULT_IN_SYNC, is_main(file)) != FAULT_NOTHING ? SQLITE_IOERR_FSYNC
                                                                     : SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    if (count_call(FAULT_IN_SIZE, is_main(file)) != FAULT_NOTHING)
        return SQLITE_IOERR_FSTAT;
    return real_file(file)->pMethods->xFileSize(real_file(file), size);
}

static int file_lock(sqlite3_file *file, int level) {
    return real_file(file)->pMethods->xLock(real_file(file), level);
}

static int file_unlock(sqlite3_file *file, int level) {
    return real_file(file)->pMethods->xUnlock(real_file(file), level);
}

static int file_reserved(sqlite3_file *file, int *out) {
    return real_file(file)->pMethods->xCheckReservedLock(real_file(file), out);
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
    return real_file(file)->pMethods->xFileControl(real_file(file), operation, argument);
}

static int file_sector(sqlite3_file *file) {
    return real_file(file)->pMethods->xSectorSize(real_file(file));
}

static int file_device(sqlite3_file *file) {
    return real_file(file)->pMethods->xDeviceCharacteristics(real_file(file));
}

static int file_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
    if (count_call(FAULT_IN_SHARED_MEMORY, is_main(file)) != FAULT_NOTHING)
        return SQLITE_IOERR_SHMMAP;
    return real_file(file)->pMethods->xShmMap(real_file(file), region, size, extend, out);
}

static int file_shared_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_file(file)->pMethods->xShmLock(real_file(file), offset, count, flags);
}

static void file_barrier(sqlite3_file *file) {
    real_file(file)->pMethods->xShmBarrier(real_file(file));
}

static int file_unmap(sqlite3_file *file, int remove) {
    return real_file(file)->pMethods->xShmUnmap(real_file(file), remove);
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_device,
    .xShmMap = file_map,
    .xShmLock = file_shared_lock,
    .xShmBarrier = file_barrier,
    .xShmUnmap = file_unmap,
};

/* --- the layer -----------------------------------------------------------------------------------
 */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *out_flags) {
    file->pMethods = NULL;
    ((fault_file *)file)->is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    if (count_call(FAULT_IN_OPEN, (flags & SQLITE_OPEN_MAIN_DB) != 0) != FAULT_NOTHING)
        return SQLITE_CANTOPEN;
    real_file(file)->pMethods = NULL;
    int result = real_vfs(vfs)->xOpen(real_vfs(vfs), name, real_file(file), flags, out_flags);
    if (real_file(file)->pMethods != NULL)
        file->pMethods = &METHODS;
    return result;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory) {
    if (count_call(FAULT_IN_DELETE, false) != FAULT_NOTHING)
        return SQLITE_IOERR_DELETE;
    return real_vfs(vfs)->xDelete(real_vfs(vfs), name, sync_directory);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    return real_vfs(vfs)->xAccess(real_vfs(vfs), name, flags, out);
}

static int vfs_full_name(sqlite3_vfs *vfs, const char *name, int size, char *out) {
    return real_vfs(vfs)->xFullPathname(real_vfs(vfs), name, size, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out) {
    return real_vfs(vfs)->xRandomness(real_vfs(vfs), size, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    return real_vfs(vfs)->xSleep(real_vfs(vfs), microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *out) {
    return real_vfs(vfs)->xCurrentTime(real_vfs(vfs), out);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out) {
    return real_vfs(vfs)->xGetLastError(real_vfs(vfs), size, out);
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out) {
    return real_vfs(vfs)->xCurrentTimeInt64(real_vfs(vfs), out);
}

void fault_vfs_install(void) {
    static sqlite3_vfs vfs;
    if (vfs.zName != NULL)
        return;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    vfs = (sqlite3_vfs){.iVersion = 2,
                        .szOsFile = (int)offsetof(fault_file, real) + real->szOsFile,
                        .mxPathname = real->mxPathname,
                        .zName = "fault",
                        .pAppData = real,
                        .xOpen = vfs_open,
                        .xDelete = vfs_delete,
                        .xAccess = vfs_access,
                        .xFullPathname = vfs_full_name,
                        .xRandomness = vfs_randomness,
                        .xSleep = vfs_sleep,
                        .xCurrentTime = vfs_time,
                        .xGetLastError = vfs_last_error,
                        .xCurrentTimeInt64 = vfs_time_ms};
    sqlite3_vfs_register(&vfs, 1);
}
