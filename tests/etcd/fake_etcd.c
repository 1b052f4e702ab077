/*
 * fake_etcd.c: the thread of the fake server: connections, HTTP/2, streams.
 *
 * One recursive mutex guards everything; the thread gives it away while it polls.
 */
#include "fake_etcd_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- connections ---------------------------------------------------------------------------------
 */

static void free_stream(fake_stream *s) {
    free(s->in);
    free(s->out);
    free(s);
}

void fake_close_connection(fake_connection *c) {
    nghttp2_session_del(c->session);
    while (c->streams != NULL) {
        fake_stream *s = c->streams;
        c->streams = s->next;
        free_stream(s);
    }
    SSL_free(c->ssl);
    close(c->socket);
    free(c->out);
    *c = (fake_connection){.socket = -1};
}

static void append(uint8_t **bytes, size_t *length, const void *more, size_t size) {
    size_t wanted = *length + size + 1;
    if (*bytes == NULL || malloc_usable_size(*bytes) < wanted)
        *bytes = realloc(*bytes, 2 * wanted); /* seldom: large messages come in many pieces */
    ck_assert_ptr_nonnull(*bytes);
    if (size > 0)
        memcpy(*bytes + *length, more, size);
    *length += size;
}

/* The handshake, where there is TLS. OpenSSL is at the socket itself. */
static bool is_secured(fake_connection *c) {
    if (c->ssl == NULL || c->secured)
        return true;
    int result = SSL_accept(c->ssl);
    c->secured = result == 1;
    int reason = SSL_get_error(c->ssl, result);
    if (result != 1 && reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
        fake_close_connection(c);
    return c->secured;
}

static ssize_t receive(fake_connection *c, uint8_t *bytes, size_t size) {
    if (c->ssl == NULL)
        return recv(c->socket, bytes, size, MSG_DONTWAIT);
    int got = SSL_read(c->ssl, bytes, (int)size);
    if (got > 0)
        return got;
    errno = EAGAIN;
    return SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static ssize_t transmit(fake_connection *c, const uint8_t *bytes, size_t size) {
    if (c->ssl == NULL)
        return send(c->socket, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    int sent = SSL_write(c->ssl, bytes, (int)size);
    return sent > 0 ? sent : -1;
}

/* Send what nghttp2 has, as far as it goes and may. */
static void flush_connection(fake_etcd *server, fake_connection *c) {
    const uint8_t *bytes;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(c->session, &bytes)) > 0)
        append(&c->out, &c->out_length, bytes, (size_t)size);
    size_t rest = c->out_length;
    bool cut = server->cut_armed && rest >= server->cut_after;
    if (cut)
        rest = server->cut_after;
    ssize_t sent = rest > 0 ? transmit(c, c->out, rest) : 0;
    if (sent > 0) {
        memmove(c->out, c->out + sent, c->out_length - (size_t)sent);
        c->out_length -= (size_t)sent;
        if (server->cut_armed)
            server->cut_after -= (size_t)sent;
    }
    if (cut && server->cut_after == 0) {
        server->cut_armed = false;
        fake_close_connection(c);
    }
}

static void read_connection(fake_connection *c) {
    uint8_t bytes[16384];
    ssize_t got = receive(c, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || nghttp2_session_mem_recv(c->session, bytes, (size_t)got) < 0)
        fake_close_connection(c);
}

/* --- nghttp2's callbacks -------------------------------------------------------------------------
 */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    fake_connection *c = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    fake_stream *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    s->connection = c;
    s->id = frame->hd.stream_id;
    s->name = ++c->server->stream_names;
    s->next = c->streams;
    c->streams = s;
    if (++c->open > c->server->streams_most)
        c->server->streams_most = c->open;
    return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static void keep(char *out, size_t capacity, const uint8_t *value, size_t length) {
    snprintf(out, capacity, "%.*s", (int)length, (const char *)value);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *context) {
    (void)flags;
    (void)context;
    fake_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (name_length == 5 && memcmp(name, ":path", 5) == 0)
        keep(s->method, sizeof s->method, value, length);
    if (name_length == 5 && memcmp(name, "token", 5) == 0)
        keep(s->token, sizeof s->token, value, length);
    return 0;
}

static void deliver(fake_stream *s, const uint8_t *message, size_t size) {
    fake_etcd *server = s->connection->server;
    fake_request request = {.stream = s->name,
                            .connection = s->connection->number,
                            .number = ++server->requests,
                            .method = s->method,
                            .token = s->token,
                            .message = message,
                            .size = size,
                            .again = s->messages++ > 0};
    pthread_cond_broadcast(&server->changed);
    if (server->options.handler != NULL)
        server->options.handler(server->options.context, server, &request);
    else
        fake_play(server, &request);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *context) {
    (void)flags;
    (void)context;
    fake_stream *s = nghttp2_session_get_stream_user_data(session, id);
    append(&s->in, &s->in_length, bytes, size);
    while (s->in_length >= 5) {
        size_t wanted =
            (size_t)s->in[1] << 24 | (size_t)s->in[2] << 16 | (size_t)s->in[3] << 8 | s->in[4];
        if (s->in_length - 5 < wanted)
            break;
        deliver(s, s->in + 5, wanted);
        s->in_length -= 5 + wanted;
        memmove(s->in, s->in + 5 + wanted, s->in_length);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)session;
    fake_connection *c = context;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        c->server->pings++;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *context) {
    (void)error;
    fake_connection *c = context;
    fake_stream *s = nghttp2_session_get_stream_user_data(session, id);
    for (fake_stream **link = &c->streams; *link != NULL; link = &(*link)->next) {
        if (*link == s) {
            *link = s->next;
            free_stream(s);
            c->open--;
            break;
        }
    }
    return 0;
}

static void begin_session(fake_etcd *server, fake_connection *c) {
    nghttp2_session_callbacks *callbacks;
    ck_assert_int_eq(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    ck_assert_int_eq(nghttp2_session_server_new(&c->session, callbacks, c), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                    server->options.streams_max};
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &entry,
                            server->options.streams_max > 0 ? 1 : 0);
}

static void accept_connection(fake_etcd *server) {
    int socket = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0)
        return;
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
        fake_connection *c = &server->connections[i];
        if (c->socket >= 0)
            continue;
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        *c = (fake_connection){.server = server, .socket = socket};
        c->number = ++server->accepted;
        if (server->tls != NULL) {
            c->ssl = SSL_new(server->tls);
            ck_assert_ptr_nonnull(c->ssl);
            SSL_set_fd(c->ssl, socket);
        }
        begin_session(server, c);
        return;
    }
    close(socket);
}

/* --- the thread ----------------------------------------------------------------------------------
 */

static void listen_again(fake_etcd *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(server->listener, 64), 0);
    socklen_t size = sizeof address;
    ck_assert_int_eq(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
}

static void serve(fake_etcd *server, fake_connection *c, short events) {
    if (!is_secured(c))
        return;
    /* OpenSSL may hold what poll does not see any more. */
    if (events != 0 || (c->ssl != NULL && SSL_pending(c->ssl) > 0))
        read_connection(c);
    if (c->socket >= 0)
        flush_connection(server, c);
}

static void turn(fake_etcd *server) {
    struct pollfd files[FAKE_CONNECTIONS_MAX + 2];
    files[0] = (struct pollfd){.fd = server->wake, .events = POLLIN};
    files[1] = (struct pollfd){.fd = server->silent ? -1 : server->listener, .events = POLLIN};
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
        fake_connection *c = &server->connections[i];
        files[i + 2] = (struct pollfd){
            .fd = server->silent ? -1 : c->socket,
            .events = (short)(POLLIN | (c->out_length > 0 && !server->cut_armed ? POLLOUT : 0))};
    }
    pthread_mutex_unlock(&server->mutex);
    poll(files, FAKE_CONNECTIONS_MAX + 2, 1000);
    pthread_mutex_lock(&server->mutex);
    eventfd_t value;
    (void)eventfd_read(server->wake, &value);
    if (server->silent)
        return;
    if (server->listener >= 0 && files[1].revents != 0)
        accept_connection(server);
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        if (server->connections[i].socket >= 0)
            serve(server, &server->connections[i],
                  files[i + 2].fd == server->connections[i].socket ? files[i + 2].revents : 0);
}

static void *run(void *context) {
    fake_etcd *server = context;
    pthread_mutex_lock(&server->mutex);
    while (!server->stopping)
        turn(server);
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}

static void set_absent(fake_etcd *server, bool absent) {
    if (absent && server->listener >= 0) {
        shutdown(server->listener, SHUT_RDWR); /* the thread may poll it still */
        close(server->listener);
        server->listener = -1;
    } else if (!absent && server->listener < 0) {
        listen_again(server);
    }
}

void fake_set_absent(fake_etcd *server, bool absent) {
    pthread_mutex_lock(&server->mutex);
    set_absent(server, absent);
    if (absent)
        fake_cut(server);
    fake_wake(server);
    pthread_mutex_unlock(&server->mutex);
}

fake_etcd *fake_start(const fake_options *options) {
    fake_etcd *server = calloc(1, sizeof *server);
    ck_assert_ptr_nonnull(server);
    if (options != NULL)
        server->options = *options;
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        server->connections[i].socket = -1;
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&server->mutex, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_cond_init(&server->changed, NULL);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that are closed */
    server->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(server->wake, 0);
    fake_open_tls(server);
    listen_again(server);
    snprintf(server->host, sizeof server->host, "127.0.0.1:%u", server->port);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, run, server), 0);
    return server;
}

void fake_stop(fake_etcd *server) {
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    fake_wake(server);
    pthread_mutex_unlock(&server->mutex);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        if (server->connections[i].socket >= 0)
            fake_close_connection(&server->connections[i]);
    set_absent(server, true);
    close(server->wake);
    SSL_CTX_free(server->tls);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
    free(server->steps);
    free(server);
}

const char *fake_host(const fake_etcd *server) {
    return server->host;
}
