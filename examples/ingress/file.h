/* file.h: files that are there whole or not at all. */
#ifndef INGRESS_FILE_H
#define INGRESS_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Is this, byte for byte, what it holds? A crash may have left less under its name. */
bool file_holds(const char *path, const void *bytes, size_t size);

/* Written beside its place and renamed into it, readable by its owner only; false with errno. */
bool file_write(const char *path, const void *bytes, size_t size);

#endif
