/* files.c: whole files in memory. */
#include "command.h"

#include <errno.h>
#include <string.h>

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
