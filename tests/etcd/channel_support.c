/*
 * channel_support.c: see channel_support.h.
 */
#include "channel_support.h"

#include <time.h>

hooks channel_hooks;

channel_options channel_options_for(const char *const *hosts, size_t count) {
    return (channel_options){.hooks = &channel_hooks,
                             .system = &SYSTEM_CALLS,
                             .hosts = hosts,
                             .host_count = count,
                             .timeout_ms = 10000};
}

etcd_channel *channel_open_to(const char *const *hosts, size_t count) {
    channel_options options = channel_options_for(hosts, count);
    etcd_channel *channel = NULL;
    ipalloc_error error = {0};
    ck_assert_status_error(channel_open(&options, &channel, &error), IPALLOC_OK, &error);
    return channel;
}

etcd_channel *channel_open_to_fake(fake_etcd *server) {
    const char *host = fake_host(server);
    return channel_open_to(&host, 1);
}

channel_call call_new(const char *text, bool repeatable) {
    return (channel_call){
        .method = "/test/Call", .request = {text, strlen(text)}, .repeatable = repeatable};
}

channel_call call_do(etcd_channel *channel, const char *text, bool repeatable) {
    channel_call call = call_new(text, repeatable);
    channel_do(channel, &call, 1);
    return call;
}

void call_free(etcd_channel *channel, channel_call *call) {
    channel_free_answer(channel, call);
}

void call_was_answered(etcd_channel *channel, channel_call *call, const char *text) {
    ck_assert_msg(call->end == CALL_ANSWERED, "%s", call->error.message);
    ck_assert_int_eq(call->status, IPALLOC_OK);
    ck_assert_uint_eq(call->answer_size, strlen(text));
    ck_assert_mem_eq(call->answer, text, call->answer_size);
    call_free(channel, call);
}

static void hear(void *context, const uint8_t *bytes, size_t size) {
    heard *h = context;
    h->messages++;
    snprintf(h->last, sizeof h->last, "%.*s", (int)size, (const char *)bytes);
}

static void hear_end(void *context, int code, const char *why) {
    heard *h = context;
    h->ended++;
    h->code = code;
    snprintf(h->why, sizeof h->why, "%s", why);
}

stream_listener listener_to(heard *h) {
    return (stream_listener){h, hear, hear_end};
}

channel_stream *stream_open_to(etcd_channel *channel, heard *h, const char *text) {
    stream_listener listener = listener_to(h);
    channel_stream *stream = NULL;
    ipalloc_error error = {0};
    ck_assert_status_error(channel_stream_open(channel, "/test/Stream",
                                               (ipalloc_bytes){text, strlen(text)}, &listener,
                                               10000, &stream, &error),
                           IPALLOC_OK, &error);
    return stream;
}

bool heard_one(void *context) {
    return ((heard *)context)->messages > 0;
}

bool heard_end(void *context) {
    return ((heard *)context)->ended > 0;
}

/* Streams get an answer to each message, calls are echoed. */
static void answer_streams(void *context, fake_etcd *server, const fake_request *request) {
    (void)context;
    fake_answer(server, request->stream, request->message, request->size);
    if (strcmp(request->method, "/test/Call") == 0)
        fake_end(server, request->stream, 0, "");
}

fake_etcd *fake_start_streaming(void) {
    return fake_start(&(fake_options){.handler = answer_streams});
}

uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void over_in_time(uint64_t begun, uint64_t may_take_ms) {
    enum { OURS_MS = 500, OTHERS_MS = 5000 };
    ck_assert_uint_le(now_ms() - begun, may_take_ms + OURS_MS + OTHERS_MS);
}
