/*
 * program.c: what a stranger's first program may look like. Prints the library's version, which
 * the install test compares with pkg-config's.
 */
#include <ipalloc/ipalloc.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    ipalloc_cidr cidr;
    ipalloc_error error;
    if (ipalloc_cidr_parse("10.96.0.0/24", strlen("10.96.0.0/24"), &cidr, &error) != IPALLOC_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (strcmp(ipalloc_version(), IPALLOC_VERSION_TEXT) != 0)
        return 1;
    puts(ipalloc_version());
    return 0;
}
