/*
 * etcd_h2.c: HTTP/2 frames of gRPC exchanges, by nghttp2, whose memory comes through the hooks.
 *
 * May use: base/, etcd_link.c, etcd_message.c. An exchange is one stream of the session; nghttp2
 * knows it as the stream's user data, and forgets it when it is cancelled. Callbacks never end the
 * session: what has to be done to it is noted in `leave` and done when nghttp2 has returned.
 */
#include "store/etcd_transport.h"

#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    OUT_FULL = 64 << 10, /* no more frames are made while the link has so much to send */
    FIELDS_MAX = 12,
};

/* --- lists ---------------------------------------------------------------------------------------
 */

void list_append(exchange_list *list, exchange *x) {
    assert(x->in == NULL);
    x->in = list;
    x->next = NULL;
    x->previous = list->last;
    if (list->last != NULL)
        list->last->next = x;
    else
        list->first = x;
    list->last = x;
    list->count++;
}

void list_remove(exchange *x) {
    if (x->in == NULL)
        return;
    if (x->previous != NULL)
        x->previous->next = x->next;
    else
        x->in->first = x->next;
    if (x->next != NULL)
        x->next->previous = x->previous;
    else
        x->in->last = x->previous;
    x->in->count--;
    x->in = NULL;
    x->next = x->previous = NULL;
}

/* --- what goes out -------------------------------------------------------------------------------
 */

/* Copy from `from` what was not sent of it yet. */
static size_t copy_rest(uint8_t *to, size_t room, const void *from, size_t size, size_t sent) {
    size_t rest = sent < size ? size - sent : 0;
    size_t copied = rest < room ? rest : room;
    if (copied > 0)
        memcpy(to, (const uint8_t *)from + sent, copied);
    return copied;
}

static size_t read_request(exchange *x, uint8_t *to, size_t room) {
    size_t copied = copy_rest(to, room, x->prefix, MESSAGE_PREFIX, x->sent);
    x->sent += copied;
    if (x->sent < MESSAGE_PREFIX)
        return copied;
    size_t more = copy_rest(to + copied, room - copied, x->request.data, x->request.size,
                            x->sent - MESSAGE_PREFIX);
    x->sent += more;
    return copied + more;
}

static size_t read_outbox(exchange *x, uint8_t *to, size_t room) {
    size_t copied = copy_rest(to, room, x->outbox.bytes, x->outbox.length, x->outbox_sent);
    x->outbox_sent += copied;
    if (x->outbox_sent == x->outbox.length) {
        text_clear(&x->outbox);
        x->outbox_sent = 0;
    }
    return copied;
}

static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user_data) {
    (void)source;
    (void)user_data;
    exchange *x = nghttp2_session_get_stream_user_data(session, id);
    if (x == NULL) /* cancelled */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (x->goes_on) {
        size_t copied = read_outbox(x, to, room);
        x->idle = copied == 0;
        return x->idle ? (ssize_t)NGHTTP2_ERR_DEFERRED : (ssize_t)copied;
    }
    size_t copied = read_request(x, to, room);
    if (x->sent == MESSAGE_PREFIX + x->request.size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)copied;
}

static nghttp2_nv field(const char *name, const char *value) {
    nghttp2_nv nv = {.namelen = strlen(name), .valuelen = strlen(value)};
    memcpy(&nv.name, &name, sizeof name); /* nghttp2 copies; its type has no const */
    memcpy(&nv.value, &value, sizeof value);
    return nv;
}

int h2_submit(etcd_channel *channel, exchange *x) {
    char timeout[32];
    nghttp2_nv fields[FIELDS_MAX];
    size_t count = 0;
    fields[count++] = field(":method", "POST");
    fields[count++] = field(":scheme", channel->tls != NULL ? "https" : "http");
    fields[count++] = field(":path", x->method);
    fields[count++] = field(":authority", channel->endpoints[channel->current].text);
    fields[count++] = field("te", "trailers");
    fields[count++] = field("content-type", "application/grpc");
    fields[count++] = field("user-agent", "ipalloc/" IPALLOC_VERSION_TEXT);
    /* A member without a leader refuses at once, and ends its watches, rather than being silent. */
    fields[count++] = field("hasleader", "true");
    if (x->timeout_ms != 0) {
        /* gRPC allows eight digits. */
        snprintf(timeout, sizeof timeout, "%um",
                 (unsigned)(x->timeout_ms < 99999999 ? x->timeout_ms : 99999999));
        fields[count++] = field("grpc-timeout", timeout);
    }
    if (channel->token != NULL) {
        fields[count] = field("token", channel->token);
        fields[count++].flags = NGHTTP2_NV_FLAG_NO_INDEX;
    }
    assert(count <= FIELDS_MAX);
    message_prefix(x->prefix, x->request.size);
    x->sent = 0;
    x->idle = false;
    x->http_status = 0;
    x->grpc_code = -1;
    x->is_grpc = false;
    x->header_bytes = 0;
    x->text[0] = '\0';
    x->sent_ms = hooks_monotonic_ms(channel->hooks);
    nghttp2_data_provider provider = {.read_callback = read_data};
    int32_t id = nghttp2_submit_request(channel->session, NULL, fields, count, &provider, x);
    if (id < 0)
        return IPALLOC_E_NOMEM; /* or the ids are used up, after 2^30 calls: see h2_has_room */
    x->id = id;
    return IPALLOC_OK;
}

void h2_cancel(etcd_channel *channel, exchange *x) {
    if (channel->session != NULL && x->id > 0) {
        nghttp2_session_set_stream_user_data(channel->session, x->id, NULL);
        /* Without memory for it the server is not told; it finds its own deadline. */
        (void)nghttp2_submit_rst_stream(channel->session, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_CANCEL);
    }
    x->id = 0;
    message_reset(&x->reader, channel->hooks);
}

void h2_resume(etcd_channel *channel, exchange *x) {
    if (x->idle && x->id > 0) {
        x->idle = false;
        (void)nghttp2_session_resume_data(channel->session, x->id);
    }
}

bool h2_has_room(const etcd_channel *channel) {
    uint32_t allowed = nghttp2_session_get_remote_settings(channel->session,
                                                           NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return !h2_is_used_up(channel) && channel->flight.count + channel->streams.count < allowed;
}

bool h2_is_used_up(const etcd_channel *channel) {
    return nghttp2_session_check_request_allowed(channel->session) == 0;
}

void h2_ping(etcd_channel *channel) {
    if (nghttp2_submit_ping(channel->session, NGHTTP2_FLAG_NONE, NULL) == 0)
        channel->pinged_ms = hooks_monotonic_ms(channel->hooks);
}

bool h2_give_out(etcd_channel *channel) {
    while (link_pending(channel) < OUT_FULL) {
        const uint8_t *bytes;
        ssize_t size = nghttp2_session_mem_send(channel->session, &bytes);
        if (size == 0)
            return true;
        if (size < 0 || !link_put(channel, bytes, (size_t)size))
            return false;
    }
    return true;
}

/* --- what comes in -------------------------------------------------------------------------------
 */

/* End an exchange whose answer makes no sense. */
static void refuse_answer(etcd_channel *channel, exchange *x, const char *why) {
    h2_cancel(channel, x);
    list_remove(x);
    x->ended(channel, x, &(ending){-1, false, why});
}

static bool value_is(const uint8_t *bytes, size_t length, const char *text) {
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

static int parse_code(const uint8_t *bytes, size_t length, uint64_t max) {
    uint64_t number;
    bool good = length <= 4 && text_parse_decimal((const char *)bytes, length, max, &number);
    return good ? (int)number : -1;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *user_data) {
    (void)flags;
    etcd_channel *channel = user_data;
    exchange *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (x == NULL)
        return 0;
    x->header_bytes += name_length + length;
    if (x->header_bytes > HEADERS_MAX) {
        refuse_answer(channel, x, "it sent headers of more than 64 KiB");
        return 0;
    }
    if (value_is(name, name_length, ":status"))
        x->http_status = parse_code(value, length, 999);
    else if (value_is(name, name_length, "content-type"))
        x->is_grpc = length >= 16 && memcmp(value, "application/grpc", 16) == 0;
    else if (value_is(name, name_length, "grpc-status")) {
        x->grpc_code = parse_code(value, length, 9999);
        if (x->grpc_code < 0)
            x->grpc_code = 2; /* what it is told as where it cannot be read */
    } else if (value_is(name, name_length, "grpc-message"))
        message_decode_text(value, length, x->text, sizeof x->text);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *user_data) {
    (void)flags;
    etcd_channel *channel = user_data;
    while (size > 0) {
        exchange *x = nghttp2_session_get_stream_user_data(session, id);
        if (x == NULL) /* cancelled, by a callback at the latest */
            return 0;
        const char *why = "it answered with something that is not gRPC";
        if (!x->is_grpc || message_take(&x->reader, channel->hooks, &bytes, &size, &why) != 0) {
            refuse_answer(channel, x, why);
            return 0;
        }
        if (x->reader.whole)
            x->message(channel, x);
    }
    return 0;
}

/* The empty message is whole without any further byte: on_data has seen to it, because the reader
 * takes it with its prefix. What is left here is an answer that was cut. */
static ending end_of(const exchange *x, uint32_t error_code, char *buffer) {
    if (error_code == NGHTTP2_REFUSED_STREAM)
        return (ending){-1, true, "it takes no more requests"};
    if (x->grpc_code >= 0)
        return (ending){x->grpc_code, false, x->text};
    if (x->http_status != 0 && x->http_status != 200) {
        snprintf(buffer, WHY_MAX, "it answered with HTTP status %d", x->http_status);
        return (ending){-1, false, buffer};
    }
    snprintf(buffer, WHY_MAX, "it ended the request (HTTP/2 error %u)", error_code);
    return (ending){-1, false, buffer};
}

/* The server has said all, but HTTP/2 does not call a stream closed that we have not ended too. */
static void end_stream(etcd_channel *channel, exchange *x) {
    char buffer[WHY_MAX];
    ending end = end_of(x, NGHTTP2_NO_ERROR, buffer);
    h2_cancel(channel, x);
    list_remove(x);
    x->ended(channel, x, &end);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data) {
    etcd_channel *channel = user_data;
    uint8_t type = frame->hd.type;
    if (type == NGHTTP2_SETTINGS && channel->phase == PHASE_GREETING)
        dial_greeted(channel);
    if (type == NGHTTP2_GOAWAY && !channel->draining) {
        channel->draining = true;
        channel->drain_until_ms = hooks_monotonic_ms(channel->hooks) + DRAIN_MAX_MS;
    }
    if ((type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        exchange *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (x != NULL && x->goes_on)
            end_stream(channel, x);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user_data) {
    etcd_channel *channel = user_data;
    exchange *x = nghttp2_session_get_stream_user_data(session, id);
    if (x == NULL)
        return 0;
    char buffer[WHY_MAX];
    ending end = end_of(x, error_code, buffer);
    x->id = 0;
    list_remove(x);
    x->ended(channel, x, &end);
    return 0;
}

bool h2_take_in(etcd_channel *channel, const uint8_t *bytes, size_t size, const char **why) {
    ssize_t taken = nghttp2_session_mem_recv(channel->session, bytes, size);
    if (taken == (ssize_t)size)
        return true;
    *why = taken == NGHTTP2_ERR_NOMEM         ? "out of memory"
           : channel->phase == PHASE_GREETING ? "it does not speak HTTP/2"
                                              : "it sent frames that are not HTTP/2";
    return false;
}

/* --- the session ---------------------------------------------------------------------------------
 */

static void *h2_malloc(size_t size, void *context) {
    return hooks_alloc(context, size);
}

static void h2_free(void *memory, void *context) {
    hooks_free(context, memory);
}

static void *h2_calloc(size_t count, size_t size, void *context) {
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return hooks_alloc_zeroed(context, count * size);
}

static void *h2_realloc(void *memory, size_t size, void *context) {
    return hooks_realloc(context, memory, size);
}

static int announce(nghttp2_session *session) {
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX},
    };
    int failed = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                         sizeof settings / sizeof settings[0]);
    return failed != 0 ? failed
                       : nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                                               CONNECTION_WINDOW);
}

/* nghttp2 allocates its table of callbacks and its options with malloc, for a moment. */
int h2_begin(etcd_channel *channel) {
    nghttp2_mem *memory = &channel->memory;
    const void *context = channel->hooks;
    memcpy(&memory->mem_user_data, &context, sizeof context);
    memory->malloc = h2_malloc;
    memory->free = h2_free;
    memory->calloc = h2_calloc;
    memory->realloc = h2_realloc;
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return IPALLOC_E_NOMEM;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    int failed = nghttp2_session_client_new3(&channel->session, callbacks, channel, NULL, memory);
    nghttp2_session_callbacks_del(callbacks);
    if (failed != 0) {
        channel->session = NULL;
        return IPALLOC_E_NOMEM;
    }
    channel->draining = false;
    channel->pinged_ms = 0;
    if (announce(channel->session) == 0)
        return IPALLOC_OK;
    h2_end(channel);
    return IPALLOC_E_NOMEM;
}

void h2_end(etcd_channel *channel) {
    nghttp2_session_del(channel->session);
    channel->session = NULL;
}
