/*
 * support.h: what every Check program shares. Tiny on purpose.
 *
 * A random test draws from test_seed() and says it on failure; SEED=<number> in the environment
 * repeats it. TEST_SCALE=<percent> stretches or shortens long loops (100 is the default).
 */
#ifndef IPALLOC_TEST_SUPPORT_H
#define IPALLOC_TEST_SUPPORT_H

#include <check.h>
#include <ipalloc/ipalloc.h>

/* The seed of this run: SEED if set, else new; printed once per program. */
uint64_t test_seed(void);

/* A small generator for tests: advance *state, return 64 uniform bits. */
uint64_t test_random(uint64_t *state);

/* `full` scaled by TEST_SCALE, at least 1. */
uint64_t test_scaled(uint64_t full);

/* When the rest of an address ends that a dense range has put to rest (range.h): it rests together
 * with all that were released in the same half of a cool-down, until two more halves are over. */
uint64_t test_end_of_rest(uint64_t released_ms, uint64_t cool_down_ms);

/* Run one suite under Check; returns the exit code for main. */
int test_main(Suite *suite);

/* Shorthands that fail the test on bad text. */
ipalloc_addr addr(const char *text);
ipalloc_cidr cidr(const char *text);
const char *addr_text(const ipalloc_addr *address); /* static buffers, four deep */

/* A fresh directory for this test's files, removed with all in it by test_directory_remove. */
const char *test_directory_make(void);
void test_directory_remove(const char *path);

/* Rows of a table, for a loop test over it. */
#define LENGTH(array) (int)(sizeof(array) / sizeof *(array))

#define ck_assert_status(call, expected)                                            \
    do {                                                                            \
        int status_ = (call);                                                       \
        ck_assert_msg(status_ == (expected), "%s is %s, expected %s", #call,        \
                      ipalloc_status_name(status_), ipalloc_status_name(expected)); \
    } while (0)

/* The same with the error's message shown. */
#define ck_assert_status_error(call, expected, error)                              \
    do {                                                                           \
        int status_ = (call);                                                      \
        ck_assert_msg(status_ == (expected), "%s is %s, expected %s: %s", #call,   \
                      ipalloc_status_name(status_), ipalloc_status_name(expected), \
                      (error)->message);                                           \
    } while (0)

/* As ck_assert and ck_assert_status, for loops of millions: Check writes to a pipe at every
 * assertion, these do only when they fail. */
#define require(condition)                            \
    do {                                              \
        if (!(condition))                             \
            ck_abort_msg("not true: %s", #condition); \
    } while (0)

#define require_status(call, expected)                                                 \
    do {                                                                               \
        int status_ = (call);                                                          \
        if (status_ != (expected))                                                     \
            ck_abort_msg("%s is %s, expected %s", #call, ipalloc_status_name(status_), \
                         ipalloc_status_name(expected));                               \
    } while (0)

#endif
