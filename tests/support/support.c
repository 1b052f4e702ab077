/*
 * support.c: seeds, short forms and temporary directories for the tests.
 */
#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint64_t test_seed(void) {
    static uint64_t seed;
    if (seed != 0)
        return seed;
    const char *given = getenv("SEED");
    if (given != NULL)
        seed = strtoull(given, NULL, 0);
    else if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = 1;
    if (seed == 0)
        seed = 1;
    fprintf(stderr, "seed %llu (SEED=%llu repeats this run)\n", (unsigned long long)seed,
            (unsigned long long)seed);
    return seed;
}

uint64_t test_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t test_scaled(uint64_t full) {
    const char *percent = getenv("TEST_SCALE");
    uint64_t scaled = percent != NULL ? full * strtoull(percent, NULL, 10) / 100 : full;
    return scaled > 0 ? scaled : 1;
}

uint64_t test_end_of_rest(uint64_t released_ms, uint64_t cool_down_ms) {
    uint64_t half = cool_down_ms / 2 + cool_down_ms % 2;
    return (released_ms / half + 3) * half;
}

int test_main(Suite *suite) {
    test_seed(); /* before any fork, so that every test of the program shares it */
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

ipalloc_addr addr(const char *text) {
    ipalloc_addr out;
    ipalloc_error error;
    ck_assert_status_error(ipalloc_addr_parse(text, strlen(text), &out, &error), IPALLOC_OK,
                           &error);
    return out;
}

ipalloc_cidr cidr(const char *text) {
    ipalloc_cidr out;
    ipalloc_error error;
    ck_assert_status_error(ipalloc_cidr_parse(text, strlen(text), &out, &error), IPALLOC_OK,
                           &error);
    return out;
}

const char *addr_text(const ipalloc_addr *address) {
    static char buffers[4][IPALLOC_ADDR_TEXT];
    static unsigned next;
    char *out = buffers[next++ % 4];
    ipalloc_addr_format(address, out);
    return out;
}

const char *test_directory_make(void) {
    const char *base = getenv("TEST_DIRECTORY");
    char *path = malloc(4096);
    ck_assert_ptr_nonnull(path);
    snprintf(path, 4096, "%s/ipalloc-test-XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void test_directory_remove(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free((void *)(uintptr_t)path);
}
