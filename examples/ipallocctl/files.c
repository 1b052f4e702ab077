/* files.c: whole files in memory. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)1 << 30)

static bool refuse(const char *path, const char *why, struct text *problem) {
    show_add_clean(problem, path);
    text_format(problem, ": %s", why);
    return false;
}

static bool read_stream(const char *path, FILE *file, struct text *out, struct text *problem) {
    char bytes[65536];
    size_t got;
    while ((got = fread(bytes, 1, sizeof bytes, file)) > 0) {
        if (out->size + got > FILE_MAX) {
            return refuse(path, "it is larger than a gibibyte", problem);
        }
        text_append(out, bytes, got);
    }
    return ferror(file) == 0 || refuse(path, strerror(errno), problem);
}

bool file_read(const char *path, struct text *out, struct text *problem) {
    if (strcmp(path, "-") == 0) {
        return read_stream("standard input", stdin, out, problem);
    }
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return refuse(path, strerror(errno), problem);
    }
    bool fine = read_stream(path, file, out, problem);
    fclose(file);
    return fine;
}

bool file_write(const char *path, const void *bytes, size_t size, struct text *problem) {
    const char *at = bytes;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) {
        return refuse(path, strerror(errno), problem);
    }
    bool fine = true;
    while (fine && size > 0) {
        ssize_t written = write(file, at, size);
        fine = written > 0 || (written < 0 && errno == EINTR);
        at += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    fine = fine && fsync(file) == 0;
    if (!fine) {
        refuse(path, strerror(errno), problem);
    }
    return close(file) == 0 && fine;
}
