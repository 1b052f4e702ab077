/* file.c: see file.h. */
#include "file.h"

#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool file_holds(const char *path, const void *bytes, size_t size) {
    char *present = memory_allocate(size + 1); /* one more than it should have */
    FILE *file = fopen(path, "re");
    bool same = file != NULL && fread(present, 1, size + 1, file) == size &&
                memcmp(present, bytes, size) == 0;
    if (file != NULL) {
        fclose(file);
    }
    free(present);
    return same;
}

bool file_write(const char *path, const void *bytes, size_t size) {
    struct text fresh = {0};
    text_format(&fresh, "%s.new", path);
    int file = open(fresh.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool well = file >= 0 && write(file, bytes, size) == (ssize_t)size;
    well = file >= 0 && close(file) == 0 && well && rename(fresh.data, path) == 0;
    text_clear(&fresh);
    return well;
}
