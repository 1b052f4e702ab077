/* common.c: the clock, and the end of a run that went wrong; see api.h. */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t api_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void api_broken(const char *what, const char *why) {
    fprintf(stderr, "ipalloc-bench-api: %s: %.400s\n", what, why);
    exit(EXIT_FAILURE);
}
