/*
 * sqlite_path.c: where a store file is, whether it can live there, and whether it is still itself.
 *
 * May use: base/. The path is made canonical, so that two names of one file (symbolic links) lead
 * to one lock; a file with two hard links is refused, because they would not. Files are only asked
 * about by name and never opened here: closing one would drop SQLite's locks on it.
 */
#include "store/sqlite_store.h"

#include "base/error.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

/* --- resolving -----------------------------------------------------------------------------------
 */

static int refuse_path(const sqlite_path *path, int status, int number, const char *what,
                       ipalloc_error *error) {
    return error_set_errno(error, status, number, "sqlite store \"%s\": %s", path->quoted, what);
}

static const char *last_part(const char *given) {
    const char *slash = strrchr(given, '/');
    return slash != NULL ? slash + 1 : given;
}

/* The canonical path of a file that is not there yet: its directory's, and its name. */
static int resolve_new(sqlite_path *path, const char *given, ipalloc_error *error) {
    char parent[PATH_MAX] = ".";
    const char *name = last_part(given);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return refuse_path(path, IPALLOC_E_INVALID, 0, "the path must end in a file name", error);
    size_t parent_length = (size_t)(name - given);
    if (parent_length > 0) {
        memcpy(parent, given, parent_length);
        parent[parent_length] = '\0';
    }
    if (path->system->real_path(parent, path->directory) == NULL)
        return refuse_path(path, errno == ENOENT ? IPALLOC_E_NOT_FOUND : IPALLOC_E_IO, errno,
                           "its directory cannot be used", error);
    const char *separator = strcmp(path->directory, "/") == 0 ? "" : "/";
    int length =
        snprintf(path->file, sizeof path->file, "%s%s%s", path->directory, separator, name);
    if (length < 0 || length >= STORE_PATH_MAX)
        return refuse_path(path, IPALLOC_E_INVALID, 0, "the path is too long", error);
    return IPALLOC_OK;
}

static int set_directory(sqlite_path *path, ipalloc_error *error) {
    if (strlen(path->file) >= STORE_PATH_MAX)
        return refuse_path(path, IPALLOC_E_INVALID, 0, "the path is too long", error);
    memcpy(path->directory, path->file, strlen(path->file) + 1);
    char *slash = strrchr(path->directory, '/');
    assert(slash != NULL); /* a canonical path is absolute */
    slash[slash == path->directory ? 1 : 0] = '\0';
    return IPALLOC_OK;
}

int path_resolve(sqlite_path *path, const char *given, const system_calls *system,
                 ipalloc_error *error) {
    path->system = system;
    text_quote(given, strlen(given), path->quoted, sizeof path->quoted);
    if (given[0] == '\0')
        return error_set(error, IPALLOC_E_INVALID, "store: a path must follow \"sqlite:\"");
    if (strlen(given) >= STORE_PATH_MAX)
        return refuse_path(path, IPALLOC_E_INVALID, 0, "the path is too long", error);
    if (system->real_path(given, path->file) != NULL)
        return set_directory(path, error);
    if (errno != ENOENT)
        return refuse_path(path, IPALLOC_E_IO, errno, "the path cannot be followed", error);
    return resolve_new(path, given, error);
}

const char *path_with(const sqlite_path *path, const char *suffix, char *out) {
    size_t length = strlen(path->file);
    assert(length < STORE_PATH_MAX && strlen(suffix) < SUFFIX_MAX);
    memcpy(out, path->file, length);
    memcpy(out + length, suffix, strlen(suffix) + 1);
    return out;
}

/* --- where it may live ---------------------------------------------------------------------------
 */

/* Memory shared through a mapping and locks must mean the same to every process; on these they do
 * not, or only on one machine. FUSE is let through: it cannot be told whether there is a network
 * behind it, and local ones work. */
static const struct {
    uint32_t magic;
    const char *name;
} NETWORK_FILE_SYSTEMS[] = {
    {0x6969, "NFS"},        {0x517b, "SMB"},        {0xff534d42, "CIFS"},  {0xfe534d42, "SMB2"},
    {0x5346414f, "AFS"},    {0x73757245, "Coda"},   {0x01021997, "9p"},    {0x00c36400, "Ceph"},
    {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"},   {0x01161970, "GFS2"},  {0x7461636f, "OCFS2"},
    {0x564c, "NCP"},        {0x19830326, "BeeGFS"}, {0xaad7aaea, "PanFS"},
};

int path_check_file_system(const sqlite_path *path, ipalloc_error *error) {
    struct statfs status;
    if (path->system->file_system(path->directory, &status) != 0)
        return refuse_path(path, IPALLOC_E_IO, errno, "its file system cannot be asked", error);
    for (size_t i = 0; i < sizeof NETWORK_FILE_SYSTEMS / sizeof NETWORK_FILE_SYSTEMS[0]; i++)
        if ((uint32_t)status.f_type == NETWORK_FILE_SYSTEMS[i].magic)
            return error_set(error, IPALLOC_E_UNAVAILABLE,
                             "sqlite store \"%s\": lies on a network file system (%s); a store "
                             "must be on a local disk",
                             path->quoted, NETWORK_FILE_SYSTEMS[i].name);
    return IPALLOC_OK;
}

int path_check_file(const sqlite_path *path, ipalloc_error *error) {
    struct stat status;
    if (path->system->path_status(path->file, &status) != 0) {
        if (errno == ENOENT)
            return refuse_path(path, IPALLOC_E_NOT_FOUND, 0, "there is no such store", error);
        return refuse_path(path, IPALLOC_E_IO, errno, "cannot be examined", error);
    }
    if (S_ISDIR(status.st_mode))
        return refuse_path(path, IPALLOC_E_CORRUPT, 0, "is a directory, not a store", error);
    if (!S_ISREG(status.st_mode))
        return refuse_path(path, IPALLOC_E_CORRUPT, 0, "is not a regular file", error);
    if (status.st_size == 0)
        return refuse_path(path, IPALLOC_E_CORRUPT, 0,
                           "is an empty file, not a store; remove it to start a new one", error);
    if (status.st_nlink > 1)
        return refuse_path(path, IPALLOC_E_UNAVAILABLE, 0,
                           "the file has more than one name (hard links), so that its owner could "
                           "not be told",
                           error);
    return IPALLOC_OK;
}

/* --- identity ------------------------------------------------------------------------------------
 */

/* A rename keeps the inode and its birth; a copy has new ones. The device number is left out where
 * the birth is known: it may change from one boot to the next. */
int path_identity(const system_calls *system, const char *file, char out[IDENTITY_MAX],
                  ipalloc_error *error) {
    file_birth birth;
    if (system->birth(file, &birth) != 0)
        return error_set_errno(error, IPALLOC_E_IO, errno, "sqlite store: cannot be examined");
    if (birth.born_known)
        snprintf(out, IDENTITY_MAX, "inode %llu born %lld.%09u", (unsigned long long)birth.inode,
                 (long long)birth.born_seconds, birth.born_nanoseconds);
    else
        snprintf(out, IDENTITY_MAX, "inode %llu device %llu", (unsigned long long)birth.inode,
                 (unsigned long long)birth.device);
    return IPALLOC_OK;
}

/* --- making names durable ------------------------------------------------------------------------
 */

static int sync_name(const sqlite_path *path, const char *name, int flags, ipalloc_error *error) {
    int file = path->system->open(name, flags | O_CLOEXEC, 0);
    if (file < 0)
        return refuse_path(path, IPALLOC_E_IO, errno, "cannot be opened to sync it", error);
    int status = IPALLOC_OK;
    if (path->system->sync(file) != 0)
        status = refuse_path(path, IPALLOC_E_IO, errno, "cannot be synced", error);
    path->system->close(file);
    return status;
}

int path_sync_file(const sqlite_path *path, const char *file, ipalloc_error *error) {
    return sync_name(path, file, O_RDONLY, error);
}

const char *path_unfinished(const sqlite_path *path, char *out) {
    return path_with(path, "-new", out);
}

void path_remove_unfinished(const sqlite_path *path) {
    static const char *const suffixes[] = {"-new", "-new-journal", "-new-wal", "-new-shm"};
    char name[PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        path->system->unlink(path_with(path, suffixes[i], name));
}

int path_publish(const sqlite_path *path, ipalloc_error *error) {
    char finished[PATH_MAX];
    int status = path_sync_file(path, path_unfinished(path, finished), error);
    if (status != IPALLOC_OK)
        return status;
    if (path->system->rename_new(finished, path->file) != 0)
        return refuse_path(path, errno == EEXIST ? IPALLOC_E_BUSY : IPALLOC_E_IO, errno,
                           "cannot be given its name", error);
    return sync_name(path, path->directory, O_RDONLY | O_DIRECTORY, error);
}
