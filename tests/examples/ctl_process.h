/*
 * ctl_process.h: the real ipallocctl for tests: run to its end, with what it wrote.
 *
 * The binary is named by the environment variable IPALLOCCTL (meson sets it).
 */
#ifndef CTL_PROCESS_H
#define CTL_PROCESS_H

#include <json-c/json.h>

struct ran {
    int code; /* exit code; -1 if it was killed */
    char *out;
    char *errors;
    struct json_object *json; /* of `out`; NULL if it is none */
};

/* Run it with the words of this line, which spaces separate; "%s" and the like as printf. */
struct ran ctl(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ran_free(struct ran *ran);

/* Run it, and fail the test unless it ends with this code; its standard error must be one line
 * where it failed, and empty where not. */
struct ran ctl_expect(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fail the test unless the part is in what the program said. */
void expect_in(const char *text, const char *part);

#endif
