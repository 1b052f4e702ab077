/* moment.h: times as Kubernetes writes them: RFC 3339 in UTC. */
#ifndef APISERVER_MOMENT_H
#define APISERVER_MOMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define MOMENT_TEXT 40
#define MOMENT_LAST INT64_C(253402300799) /* the end of 9999; later ones have no such text */

struct moment {
    time_t seconds;
    int32_t microseconds;
};

/* "2006-01-02T15:04:05Z" */
void moment_format(time_t seconds, char out[MOMENT_TEXT]);

/* "2006-01-02T15:04:05.000000Z" */
void moment_format_micro(const struct moment *moment, char out[MOMENT_TEXT]);

/* What Go's clients read: any offset, a fraction or none; `micro`: exactly six digits of one. */
bool moment_read(const char *text, bool micro, struct moment *out);

/* The same of one in whole seconds; false: it is none, *out is 0. */
bool moment_parse(const char *text, time_t *out);

/* Can it be written with four digits for the year? */
bool moment_is_writable(int64_t seconds);

#endif
