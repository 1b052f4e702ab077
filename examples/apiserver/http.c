/*
 * http.c: libmicrohttpd under the server; see http.h. The workers are in workers.c.
 *
 * An exchange is one request and its reply. It is made by an event thread, suspended and handed to
 * a worker, resumed, answered by the event thread, and freed when libmicrohttpd says it is over.
 * A peer is one connection; its clock runs while a request is awaited or arriving.
 */
#include "http.h"

#include "admin_pages.h"
#include "exchange.h"
#include "json.h"
#include "router.h"
#include "status.h"
#include "watch.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WARNINGS_MAX 4096 /* bytes, as kube-apiserver's limit */
#define WATCH_BLOCK  (8u << 10)

const char *const method_names[METHOD_COUNT] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

const char *request_parameter(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool request_flag(const struct request *request, const char *name) {
    const char *value = request_parameter(request, name);
    return value != NULL && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

void reply_json(const struct request *request, struct reply *reply, int code,
                struct json_object *value) {
    int flags = request_flag(request, "pretty") ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                                : JSON_C_TO_STRING_PLAIN;
    size_t size = 0;
    const char *line =
        json_object_to_json_string_length(value, flags | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
    reply->code = code;
    reply->content_type = "application/json";
    text_append(&reply->body, line, size);
    text_add(&reply->body, "\n");
    json_object_put(value);
}

void http_suspend(void *connection) {
    MHD_suspend_connection(connection);
}

void http_resume(void *connection) {
    MHD_resume_connection(connection);
}

/* --- peers ------------------------------------------------------------------------------------ */

static struct peer *peer_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void peer_begin(struct http *http, struct MHD_Connection *connection, void **context) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct peer *peer = memory_allocate(sizeof *peer);
    peer->descriptor = info->connect_fd;
    peer->waiting_since = time(NULL);
    *context = peer;
    pthread_mutex_lock(&http->lock);
    peer->next = http->peers;
    if (http->peers != NULL) {
        http->peers->previous = peer;
    }
    http->peers = peer;
    pthread_mutex_unlock(&http->lock);
    counters_connection(http->server, 1);
}

static void peer_end(struct http *http, struct peer *peer) {
    pthread_mutex_lock(&http->lock);
    if (peer->previous != NULL) {
        peer->previous->next = peer->next;
    } else {
        http->peers = peer->next;
    }
    if (peer->next != NULL) {
        peer->next->previous = peer->previous;
    }
    pthread_mutex_unlock(&http->lock);
    free(peer);
    counters_connection(http->server, -1);
}

static void notify_connection(void *context, struct MHD_Connection *connection,
                              void **socket_context, enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        peer_begin(context, connection, socket_context);
    } else if (*socket_context != NULL) {
        peer_end(context, *socket_context);
    }
}

static void peer_set_waiting(struct http *http, struct MHD_Connection *connection, bool waiting) {
    struct peer *peer = peer_of(connection);
    if (peer != NULL) {
        pthread_mutex_lock(&http->lock);
        peer->waiting_since = waiting ? time(NULL) : 0;
        pthread_mutex_unlock(&http->lock);
    }
}

void http_sweep(struct http *http) {
    time_t now = time(NULL);
    pthread_mutex_lock(&http->lock);
    for (struct peer *peer = http->peers; peer != NULL; peer = peer->next) {
        if (peer->waiting_since != 0 && now - peer->waiting_since > HTTP_REQUEST_TIMEOUT_S) {
            shutdown(peer->descriptor, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&http->lock);
}

/* --- requests --------------------------------------------------------------------------------- */

static enum method method_of(const char *name) {
    if (strcmp(name, "HEAD") == 0) {
        return METHOD_GET;
    }
    for (unsigned i = 0; i < METHOD_COUNT; i++) {
        if (strcmp(name, method_names[i]) == 0) {
            return (enum method)i;
        }
    }
    return METHOD_OTHER;
}

/* Undo %XX, but not %00: a name that holds a NUL must not end early. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    char *out = text;
    for (const char *at = text; *at != '\0'; at++) {
        unsigned byte = 0;
        char digits[3] = {0};
        if (at[0] == '%' && at[1] != '\0') {
            digits[0] = at[1];
            digits[1] = at[2];
        }
        if (isxdigit((unsigned char)digits[0]) && isxdigit((unsigned char)digits[1])) {
            byte = (unsigned)strtoul(digits, NULL, 16);
        }
        if (byte != 0) {
            *out++ = (char)byte;
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
    return (size_t)(out - text);
}

static enum MHD_Result check_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                       const char *value) {
    (void)kind;
    bool *clean = context;
    *clean = *clean && text_is_clean(name, strlen(name)) &&
             (value == NULL || text_is_clean(value, strlen(value)));
    return MHD_YES;
}

static bool parameters_are_clean(struct MHD_Connection *connection) {
    bool clean = true;
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, check_parameter, &clean);
    return clean;
}

static struct exchange *exchange_new(struct http *http, struct MHD_Connection *connection,
                                     const char *path, const char *method) {
    struct exchange *exchange = memory_allocate(sizeof *exchange);
    exchange->http = http;
    exchange->path = memory_copy(path);
    exchange->request = (struct request){
        .method = method_of(method), .path = exchange->path, .connection = connection};
    pthread_mutex_lock(&http->lock);
    http->exchange_count++;
    pthread_mutex_unlock(&http->lock);
    return exchange;
}

static void exchange_free(struct exchange *exchange) {
    struct http *http = exchange->http;
    pthread_mutex_lock(&http->lock);
    http->exchange_count--;
    pthread_mutex_unlock(&http->lock);
    if (exchange->reply.watch != NULL) {
        watch_free(exchange->reply.watch);
    }
    text_clear(&exchange->reply.body);
    text_clear(&exchange->reply.warning);
    text_clear(&exchange->body);
    free(exchange->path);
    free(exchange);
}

static void refuse(struct exchange *exchange, int code, const char *reason, const char *message) {
    struct outcome outcome = {0};
    outcome_fail(&outcome, code, reason, "%s", message);
    reply_json(&exchange->request, &exchange->reply, code, json_object_get(outcome.value));
    outcome_clear(&outcome);
}

static size_t body_max(const struct exchange *exchange) {
    return text_starts_with(exchange->path, ADMIN_PAGES) ? HTTP_BODY_ADMIN_MAX : HTTP_BODY_MAX;
}

static void refuse_size(struct exchange *exchange) {
    char message[96];
    snprintf(message, sizeof message, "Request entity too large: limit is %zu", body_max(exchange));
    refuse(exchange, 413, "RequestEntityTooLarge", message);
}

/* --- replies ---------------------------------------------------------------------------------- */

struct stream {
    struct watch *watch;
    struct MHD_Connection *connection;
    int descriptor;
};

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t capacity) {
    (void)position;
    struct stream *stream = context;
    long size = watch_read(stream->watch, stream->connection, stream->descriptor, out, capacity);
    return size < 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)size;
}

static void free_stream(void *context) {
    struct stream *stream = context;
    watch_free(stream->watch);
    free(stream);
}

static struct MHD_Response *stream_response(struct exchange *exchange,
                                            struct MHD_Connection *connection) {
    struct stream *stream = memory_allocate(sizeof *stream);
    *stream = (struct stream){
        exchange->reply.watch, connection,
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd};
    exchange->reply.watch = NULL;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, WATCH_BLOCK, read_stream, stream, free_stream);
    if (response == NULL) {
        free_stream(stream);
    }
    return response;
}

static struct MHD_Response *body_response(struct reply *reply) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->body.size, reply->body.data, MHD_RESPMEM_MUST_FREE);
    if (response != NULL) {
        reply->body = (struct text){0};
    }
    return response;
}

/* A Warning header's text may not hold quotes or anything but printable ASCII. */
static void add_warning(struct MHD_Response *response, const char *line, size_t size) {
    struct text header = {0};
    text_add(&header, "299 - \"");
    for (size_t i = 0; i < size; i++) {
        char byte = line[i];
        if (byte == '"' || byte == '\\') {
            text_add(&header, "\\");
        }
        bool printable = byte >= 0x20 && byte < 0x7f;
        text_append(&header, printable ? &byte : "?", 1);
    }
    text_add(&header, "\"");
    MHD_add_response_header(response, MHD_HTTP_HEADER_WARNING, header.data);
    text_clear(&header);
}

/* Each line, while they are not too many for a client's headers. */
static void add_warnings(struct MHD_Response *response, const struct text *warnings) {
    size_t end = warnings->size < WARNINGS_MAX ? warnings->size : WARNINGS_MAX;
    for (size_t at = 0; at < end;) {
        const char *line = warnings->data + at;
        const char *newline = memchr(line, '\n', end - at);
        size_t size = newline != NULL ? (size_t)(newline - line) : end - at;
        if (size > 0) {
            add_warning(response, line, size);
        }
        at += size + 1;
    }
}

static enum MHD_Result send_reply(struct exchange *exchange, struct MHD_Connection *connection) {
    struct reply *reply = &exchange->reply;
    struct MHD_Response *response =
        reply->watch != NULL ? stream_response(exchange, connection) : body_response(reply);
    if (response == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, private");
    if (reply->allow != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    }
    add_warnings(response, &reply->warning);
    counters_request(exchange->http->server, exchange->request.method, reply->code);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)reply->code, response);
    MHD_destroy_response(response);
    return result;
}

/* --- the conversation ------------------------------------------------------------------------- */

/* Headers are here. What cannot be answered well later is refused at once. */
static enum MHD_Result begin(struct http *http, struct MHD_Connection *connection, const char *path,
                             const char *method, void **context) {
    struct exchange *exchange = exchange_new(http, connection, path, method);
    *context = exchange;
    const char *length = request_header(&exchange->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *coding = request_header(&exchange->request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    if (length != NULL && coding != NULL) {
        refuse(exchange, 400, "BadRequest",
               "a request may not have both Content-Length and Transfer-Encoding");
        return send_reply(exchange, connection);
    }
    if (length != NULL && strtoull(length, NULL, 10) > HTTP_BODY_DISCARDED_MAX) {
        refuse_size(exchange);
        return send_reply(exchange, connection);
    }
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t size) {
    exchange->received += size;
    if (exchange->received > HTTP_BODY_DISCARDED_MAX) {
        return MHD_NO;
    }
    if (exchange->received > body_max(exchange)) {
        text_clear(&exchange->body);
    } else {
        text_append(&exchange->body, data, size);
    }
    return MHD_YES;
}

/* The request is here in full: a worker answers it, unless there is nothing to ask a worker. */
static enum MHD_Result submit(struct exchange *exchange, struct MHD_Connection *connection) {
    exchange->submitted = true;
    peer_set_waiting(exchange->http, connection, false);
    exchange->request.body = exchange->body.data != NULL ? exchange->body.data : "";
    exchange->request.body_size = exchange->body.size;
    if (exchange->received > body_max(exchange)) {
        refuse_size(exchange);
    } else if (!text_is_clean(exchange->path, strlen(exchange->path)) ||
               !parameters_are_clean(connection)) {
        refuse(exchange, 400, "BadRequest", "the URL is not valid UTF-8");
    } else if (router_is_quick(&exchange->request)) {
        router_answer(exchange->http->server, &exchange->request, &exchange->reply);
    } else if (workers_hand_over(exchange)) {
        return MHD_YES; /* called again when it is answered */
    } else {
        refuse(exchange, 503, "ServiceUnavailable", "the server is shutting down");
    }
    return send_reply(exchange, connection);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **exchange_context) {
    (void)version;
    struct exchange *exchange = *exchange_context;
    if (exchange == NULL) {
        return begin(context, connection, path, method, exchange_context);
    }
    if (*data_size > 0) {
        size_t size = *data_size;
        *data_size = 0;
        return take_body(exchange, data, size);
    }
    return exchange->submitted ? send_reply(exchange, connection) : submit(exchange, connection);
}

static void completed(void *context, struct MHD_Connection *connection, void **exchange_context,
                      enum MHD_RequestTerminationCode code) {
    (void)code;
    if (*exchange_context != NULL) {
        exchange_free(*exchange_context);
        *exchange_context = NULL;
        peer_set_waiting(context, connection, true);
    }
}

/* --- start and stop --------------------------------------------------------------------------- */

/* While it stops, nobody new comes in. MHD_quiesce_daemon would do that too, but races with its own
 * threads over the listening socket, and then ends the process (libmicrohttpd 0.9.75). */
static enum MHD_Result may_connect(void *context, const struct sockaddr *address, socklen_t size) {
    struct http *http = context;
    (void)address;
    (void)size;
    pthread_mutex_lock(&http->lock);
    bool stopping = http->stopping;
    pthread_mutex_unlock(&http->lock);
    return stopping ? MHD_NO : MHD_YES;
}

static struct MHD_Daemon *start_daemon(struct http *http, int listen_socket) {
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    return MHD_start_daemon(
        flags, 0, may_connect, http, answer, http, MHD_OPTION_LISTEN_SOCKET, listen_socket,
        MHD_OPTION_THREAD_POOL_SIZE, HTTP_EVENT_THREADS, MHD_OPTION_CONNECTION_LIMIT,
        http->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_COMPLETED, completed, http, MHD_OPTION_NOTIFY_CONNECTION,
        notify_connection, http, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_END);
}

struct http *http_start(struct server *server, int listen_socket, unsigned connections_max,
                        struct text *problem) {
    struct http *http = memory_allocate(sizeof *http);
    http->server = server;
    http->listen_socket = listen_socket;
    http->connections_max = connections_max;
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->work, NULL);
    if (workers_start(http)) {
        http->daemon = start_daemon(http, listen_socket);
    }
    if (http->daemon == NULL) {
        text_add(problem, "cannot start the HTTP server's threads");
        workers_stop(http);
        free(http);
        return NULL;
    }
    return http;
}

/* Give replies under way a moment to reach their clients. */
static void await_exchanges(struct http *http) {
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    bool idle = false;
    for (int i = 0; !idle && i < 300; i++) {
        pthread_mutex_lock(&http->lock);
        idle = http->exchange_count == 0;
        pthread_mutex_unlock(&http->lock);
        if (!idle) {
            nanosleep(&pause, NULL);
        }
    }
}

void http_stop(struct http *http) {
    workers_stop(http);
    await_exchanges(http);
    MHD_stop_daemon(http->daemon); /* closes the listening socket, too */
    pthread_cond_destroy(&http->work);
    pthread_mutex_destroy(&http->lock);
    free(http);
}
