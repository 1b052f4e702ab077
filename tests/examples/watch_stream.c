/* watch_stream.c: see watch_stream.h. */
#include "watch_stream.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STREAM_MAX ((size_t)1 << 20)

static void read_more(struct stream *stream) {
    ck_assert_uint_lt(stream->size + 1, STREAM_MAX);
    ssize_t got =
        read(stream->descriptor, stream->buffer + stream->size, STREAM_MAX - 1 - stream->size);
    ck_assert_msg(got > 0, "the stream ended, or nothing came for ten seconds; left: %s",
                  stream->buffer);
    stream->size += (size_t)got;
    stream->buffer[stream->size] = '\0';
}

char *stream_take(struct stream *stream, const char *mark) {
    static char taken[STREAM_MAX];
    char *end;
    while ((end = strstr(stream->buffer, mark)) == NULL) {
        read_more(stream);
    }
    size_t size = (size_t)(end - stream->buffer);
    memcpy(taken, stream->buffer, size);
    taken[size] = '\0';
    size += strlen(mark);
    memmove(stream->buffer, stream->buffer + size, stream->size - size + 1);
    stream->size -= size;
    return taken;
}

/* HTTP/1.0, so that there are no chunks between the lines. */
struct stream stream_open(const struct server_process *server, const char *path,
                          const char *parameters, const char *accept) {
    char request[1024];
    struct stream stream = {.descriptor = server_connect(server), .buffer = calloc(1, STREAM_MAX)};
    int size = snprintf(request, sizeof request,
                        "GET %s?watch=true&%s HTTP/1.0\r\nHost: x\r\nAccept: %s\r\n\r\n", path,
                        parameters, accept);
    ck_assert(socket_write(stream.descriptor, request, (size_t)size));
    char *head = stream_take(&stream, "\r\n\r\n");
    ck_assert_msg(strncmp(head + strlen("HTTP/1.x"), " 200", 4) == 0, "%s", head);
    return stream;
}

struct json_object *stream_next(struct stream *stream) {
    char *line = stream_take(stream, "\n");
    struct json_object *event = json_tokener_parse(line);
    ck_assert_msg(event != NULL, "no JSON: %s", line);
    return event;
}

unsigned long long stream_expect(struct stream *stream, const char *type, const char *name) {
    struct json_object *event = stream_next(stream);
    const char *text = json_object_to_json_string(event);
    ck_assert_msg(strcmp(json_text_at(event, "type"), type) == 0, "%s", text);
    ck_assert_msg(strcmp(json_text_at(event, "object.metadata.name"), name) == 0, "%s", text);
    unsigned long long version =
        strtoull(json_text_at(event, "object.metadata.resourceVersion"), NULL, 10);
    json_object_put(event);
    return version;
}

void stream_expect_end(struct stream *stream) {
    char rest[256];
    ck_assert_str_eq(stream->buffer, "");
    ck_assert_int_eq(read(stream->descriptor, rest, sizeof rest), 0);
}

void stream_close(struct stream *stream) {
    close(stream->descriptor);
    free(stream->buffer);
}
