/*
 * fake_answer.c: what the fake server says: answers, ends, goodbyes; and its script.
 */
#include "fake_etcd_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

void fake_wake(fake_etcd *server) {
    ck_assert_int_eq(eventfd_write(server->wake, 1), 0);
}

/* NULL: it is gone, with its connection or because the client gave it up. */
static fake_stream *find(fake_etcd *server, uint64_t name) {
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        for (fake_stream *s = server->connections[i].streams; s != NULL; s = s->next)
            if (s->name == name)
                return s;
    return NULL;
}

static nghttp2_nv field(const char *name, const char *value) {
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* --- answers -------------------------------------------------------------------------------------
 */

static void submit_trailers(fake_stream *s) {
    char code[16];
    snprintf(code, sizeof code, "%d", s->code);
    nghttp2_nv fields[] = {field("grpc-status", code), field("grpc-message", s->text)};
    ck_assert_int_eq(nghttp2_submit_trailer(s->connection->session, s->id, fields, 2), 0);
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *context) {
    (void)source;
    fake_connection *c = context;
    fake_stream *s = nghttp2_session_get_stream_user_data(session, id);
    size_t size = s->out_length < room ? s->out_length : room;
    if (c->server->chunk > 0 && size > c->server->chunk)
        size = c->server->chunk;
    if (size > 0)
        memcpy(to, s->out, size);
    s->out_length -= size;
    memmove(s->out, s->out + size, s->out_length);
    if (s->out_length == 0 && s->ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        submit_trailers(s);
        return (ssize_t)size;
    }
    return size == 0 ? (ssize_t)NGHTTP2_ERR_DEFERRED : (ssize_t)size;
}

static void begin(fake_stream *s) {
    if (s->begun) {
        (void)nghttp2_session_resume_data(s->connection->session, s->id);
        return;
    }
    s->begun = true;
    nghttp2_data_provider provider = {.read_callback = read_out};
    nghttp2_nv fields[] = {field(":status", "200"), field("content-type", "application/grpc")};
    ck_assert_int_eq(nghttp2_submit_response(s->connection->session, s->id, fields, 2, &provider),
                     0);
}

static void put(fake_stream *s, const void *bytes, size_t size) {
    s->out = realloc(s->out, s->out_length + size + 1);
    ck_assert_ptr_nonnull(s->out);
    if (size > 0)
        memcpy(s->out + s->out_length, bytes, size);
    s->out_length += size;
}

void fake_answer(fake_etcd *server, uint64_t stream, const void *message, size_t size) {
    uint8_t prefix[5] = {0, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                         (uint8_t)size};
    pthread_mutex_lock(&server->mutex);
    fake_stream *s = find(server, stream);
    if (s != NULL) {
        put(s, prefix, sizeof prefix);
        put(s, message, size);
        begin(s);
        fake_wake(server);
    }
    pthread_mutex_unlock(&server->mutex);
}

void fake_answer_raw(fake_etcd *server, uint64_t stream, const void *bytes, size_t size) {
    pthread_mutex_lock(&server->mutex);
    fake_stream *s = find(server, stream);
    if (s != NULL) {
        put(s, bytes, size);
        begin(s);
        fake_wake(server);
    }
    pthread_mutex_unlock(&server->mutex);
}

static void end_at_once(fake_stream *s) {
    char code[16];
    snprintf(code, sizeof code, "%d", s->code);
    nghttp2_nv fields[] = {field(":status", "200"), field("content-type", "application/grpc"),
                           field("grpc-status", code), field("grpc-message", s->text)};
    ck_assert_int_eq(nghttp2_submit_response(s->connection->session, s->id, fields, 4, NULL), 0);
}

void fake_end(fake_etcd *server, uint64_t stream, int grpc_code, const char *text) {
    pthread_mutex_lock(&server->mutex);
    fake_stream *s = find(server, stream);
    if (s != NULL) {
        s->ended = true;
        s->code = grpc_code;
        snprintf(s->text, sizeof s->text, "%s", text != NULL ? text : "");
        if (s->begun)
            (void)nghttp2_session_resume_data(s->connection->session, s->id);
        else
            end_at_once(s);
        fake_wake(server);
    }
    pthread_mutex_unlock(&server->mutex);
}

void fake_end_http(fake_etcd *server, uint64_t stream, int http_status) {
    char status[16];
    snprintf(status, sizeof status, "%d", http_status);
    pthread_mutex_lock(&server->mutex);
    fake_stream *s = find(server, stream);
    if (s != NULL) {
        nghttp2_nv fields[] = {field(":status", status), field("content-type", "text/plain")};
        ck_assert_int_eq(nghttp2_submit_response(s->connection->session, s->id, fields, 2, NULL),
                         0);
        fake_wake(server);
    }
    pthread_mutex_unlock(&server->mutex);
}

void fake_reset(fake_etcd *server, uint64_t stream, unsigned http2_error) {
    pthread_mutex_lock(&server->mutex);
    fake_stream *s = find(server, stream);
    if (s != NULL) {
        nghttp2_submit_rst_stream(s->connection->session, NGHTTP2_FLAG_NONE, s->id, http2_error);
        fake_wake(server);
    }
    pthread_mutex_unlock(&server->mutex);
}

void fake_goaway(fake_etcd *server, bool processed) {
    pthread_mutex_lock(&server->mutex);
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
        fake_connection *c = &server->connections[i];
        if (c->socket < 0)
            continue;
        int32_t last = processed ? nghttp2_session_get_last_proc_stream_id(c->session) : 0;
        nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
    }
    fake_wake(server);
    pthread_mutex_unlock(&server->mutex);
}

/* Not at once: a callback of nghttp2's may be running. The sockets are shut down, and read on. */
void fake_cut(fake_etcd *server) {
    pthread_mutex_lock(&server->mutex);
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        if (server->connections[i].socket >= 0)
            shutdown(server->connections[i].socket, SHUT_RDWR);
    fake_wake(server);
    pthread_mutex_unlock(&server->mutex);
}

void fake_cut_after(fake_etcd *server, size_t bytes) {
    pthread_mutex_lock(&server->mutex);
    server->cut_armed = true;
    server->cut_after = bytes;
    fake_wake(server);
    pthread_mutex_unlock(&server->mutex);
}

void fake_set_chunk(fake_etcd *server, size_t bytes) {
    pthread_mutex_lock(&server->mutex);
    server->chunk = bytes;
    pthread_mutex_unlock(&server->mutex);
}

void fake_set_silent(fake_etcd *server, bool silent) {
    pthread_mutex_lock(&server->mutex);
    server->silent = silent;
    fake_wake(server);
    pthread_mutex_unlock(&server->mutex);
}

/* --- the script ----------------------------------------------------------------------------------
 */

void fake_set_script(fake_etcd *server, const fake_step *steps, size_t count) {
    pthread_mutex_lock(&server->mutex);
    free(server->steps);
    server->steps = calloc(count, sizeof *steps);
    ck_assert_ptr_nonnull(server->steps);
    memcpy(server->steps, steps, count * sizeof *steps);
    server->step_count = count;
    server->step_next = 0;
    pthread_mutex_unlock(&server->mutex);
}

void fake_play(fake_etcd *server, const fake_request *request) {
    fake_step step = {.deed = FAKE_ECHO};
    if (server->step_count > 0)
        step = server->steps[server->step_next];
    if (server->step_next + 1 < server->step_count)
        server->step_next++;
    const char *text = step.text != NULL ? step.text : "";
    switch (step.deed) {
    case FAKE_OK:
        fake_answer(server, request->stream, text, strlen(text));
        fake_end(server, request->stream, 0, "");
        break;
    case FAKE_ECHO:
        fake_answer(server, request->stream, request->message, request->size);
        fake_end(server, request->stream, 0, "");
        break;
    case FAKE_STATUS:
        fake_end(server, request->stream, step.number, text);
        break;
    case FAKE_HTTP:
        fake_end_http(server, request->stream, step.number);
        break;
    case FAKE_RESET:
        fake_reset(server, request->stream, (unsigned)step.number);
        break;
    case FAKE_GOAWAY:
        fake_goaway(server, step.number != 0);
        break;
    case FAKE_CUT:
        fake_cut(server);
        break;
    case FAKE_NOTHING:
        break;
    }
}

/* --- looking -------------------------------------------------------------------------------------
 */

#define LOOK(type, name, member)              \
    type name(fake_etcd *server) {            \
        pthread_mutex_lock(&server->mutex);   \
        type value = server->member;          \
        pthread_mutex_unlock(&server->mutex); \
        return value;                         \
    }
LOOK(int, fake_requests, requests)
LOOK(int, fake_connections, accepted)
LOOK(int, fake_pings, pings)
LOOK(unsigned, fake_streams_most, streams_most)

void fake_wait_requests(fake_etcd *server, int count) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 10;
    pthread_mutex_lock(&server->mutex);
    while (server->requests < count)
        ck_assert_msg(pthread_cond_timedwait(&server->changed, &server->mutex, &end) == 0,
                      "%d requests came, not %d", server->requests, count);
    pthread_mutex_unlock(&server->mutex);
}

/* --- TLS -----------------------------------------------------------------------------------------
 */

static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *size,
                     const unsigned char *in, unsigned in_size, void *context) {
    (void)ssl;
    (void)context;
    return nghttp2_select_next_protocol((unsigned char **)(uintptr_t)out, size, in, in_size) == 1
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

void fake_open_tls(fake_etcd *server) {
    const fake_options *options = &server->options;
    if (options->cert_file == NULL)
        return;
    server->tls = SSL_CTX_new(TLS_server_method());
    ck_assert_ptr_nonnull(server->tls);
    SSL_CTX_set_mode(server->tls,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(server->tls, options->cert_file), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(server->tls, options->key_file, SSL_FILETYPE_PEM),
                     1);
    if (!options->no_alpn)
        SSL_CTX_set_alpn_select_cb(server->tls, select_h2, NULL);
    if (options->client_ca_file != NULL) {
        ck_assert_int_eq(SSL_CTX_load_verify_locations(server->tls, options->client_ca_file, NULL),
                         1);
        SSL_CTX_set_verify(server->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
}
