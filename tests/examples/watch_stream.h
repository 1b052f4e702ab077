/* watch_stream.h: a watch of the real server, read event by event. Failures fail the test. */
#ifndef WATCH_STREAM_H
#define WATCH_STREAM_H

#include "server_process.h"

/* A stream of events, read as it comes. */
struct stream {
    int descriptor;
    char *buffer; /* what was read and not yet taken */
    size_t size;
};

/* Watch a list's path with these further parameters. */
struct stream stream_open(const struct server_process *server, const char *path,
                          const char *parameters, const char *accept);
void stream_close(struct stream *stream);

/* Take up to and including `mark`; the text before it lies at the returned place, which the next
 * call overwrites. */
char *stream_take(struct stream *stream, const char *mark);

/* The next event; the caller puts it. */
struct json_object *stream_next(struct stream *stream);

/* The next event must be this; returns its resourceVersion. */
unsigned long long stream_expect(struct stream *stream, const char *type, const char *name);

/* Nothing more comes, and the server has ended it. */
void stream_expect_end(struct stream *stream);

#endif
