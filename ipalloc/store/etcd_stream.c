/*
 * etcd_stream.c: calls whose answers go on: watches.
 *
 * May use: base/, the other files of the channel. A stream lives from its opening to its closing by
 * its owner, and is in the channel's list as long as its connection is.
 */
#include "store/etcd_transport.h"

#include "base/error.h"

#include <stdio.h>

struct channel_stream {
    exchange x; /* the first member */
    stream_listener listener;
};

static void stream_message(etcd_channel *channel, exchange *x) {
    channel_stream *stream = (channel_stream *)(void *)x;
    dial_worked(channel);
    reader_notify(channel);
    stream->listener.message(stream->listener.context, x->reader.body, x->reader.size);
}

static void stream_ended(etcd_channel *channel, exchange *x, const ending *end) {
    channel_stream *stream = (channel_stream *)(void *)x;
    reader_notify(channel);
    stream->listener.ended(stream->listener.context, end->grpc_code, end->text);
}

static bool can_open(void *context) {
    etcd_channel *channel = context;
    return channel->phase == PHASE_UP && !channel->draining && !channel->leave &&
           !login_is_needed(channel) && h2_has_room(channel);
}

typedef struct opening {
    etcd_channel *channel;
    uint64_t give_ups;
} opening;

static bool opening_is_over(void *context) {
    opening *o = context;
    return can_open(o->channel) || o->channel->give_ups != o->give_ups;
}

static void append_message(text_buffer *out, ipalloc_bytes request) {
    uint8_t prefix[MESSAGE_PREFIX];
    message_prefix(prefix, request.size);
    text_append(out, (const char *)prefix, sizeof prefix);
    text_append(out, request.data, request.size);
}

/* The lock is held before and behind. */
static int wait_till_open(etcd_channel *channel, uint64_t wait_ms, ipalloc_error *error) {
    uint64_t begun = hooks_monotonic_ms(channel->hooks);
    opening o = {channel, channel->give_ups};
    if (wait_ms > 0 && !can_open(channel)) {
        waiter w = {.is_done = opening_is_over, .context = &o};
        if (reader_wait(channel, &w, begun + wait_ms))
            lock_take(&channel->lock);
    }
    if (can_open(channel))
        return IPALLOC_OK;
    char tried[IPALLOC_ERROR_TEXT];
    dial_tell(channel, begun, tried, sizeof tried);
    return error_set(error, IPALLOC_E_UNAVAILABLE, "etcd: no watch could be opened; tried: %s",
                     tried);
}

static int submit(etcd_channel *channel, channel_stream *stream, uint64_t wait_ms,
                  ipalloc_error *error) {
    int status = wait_till_open(channel, wait_ms, error);
    if (status == IPALLOC_OK && h2_submit(channel, &stream->x) != IPALLOC_OK)
        status = error_no_memory(error);
    if (status == IPALLOC_OK) {
        list_append(&channel->streams, &stream->x);
        reader_flush(channel);
    }
    return status;
}

static void free_stream(etcd_channel *channel, channel_stream *stream) {
    text_free(&stream->x.outbox);
    message_reset(&stream->x.reader, channel->hooks);
    hooks_free(channel->hooks, stream);
}

int channel_stream_open(etcd_channel *channel, const char *method, ipalloc_bytes request,
                        const stream_listener *listener, uint64_t wait_ms, channel_stream **out,
                        ipalloc_error *error) {
    channel_stream *stream = hooks_alloc_zeroed(channel->hooks, sizeof *stream);
    if (stream == NULL)
        return error_no_memory(error);
    stream->listener = *listener;
    stream->x = (exchange){
        .method = method, .goes_on = true, .message = stream_message, .ended = stream_ended};
    text_init(&stream->x.outbox, channel->hooks);
    append_message(&stream->x.outbox, request);
    lock_take(&channel->lock);
    int status =
        stream->x.outbox.failed ? error_no_memory(error) : submit(channel, stream, wait_ms, error);
    if (status != IPALLOC_OK)
        free_stream(channel, stream);
    else
        *out = stream;
    reader_pass_on(channel);
    lock_give(&channel->lock);
    return status;
}

int channel_stream_send(etcd_channel *channel, channel_stream *stream, ipalloc_bytes request,
                        ipalloc_error *error) {
    int status = IPALLOC_OK;
    lock_take(&channel->lock);
    size_t before = stream->x.outbox.length;
    if (stream->x.in == NULL) {
        status = error_set(error, IPALLOC_E_UNAVAILABLE, "etcd: the stream is over");
    } else {
        append_message(&stream->x.outbox, request);
        if (stream->x.outbox.failed) { /* what was there before is still whole */
            stream->x.outbox.failed = false;
            stream->x.outbox.length = before;
            status = error_no_memory(error);
        } else {
            h2_resume(channel, &stream->x);
            reader_flush(channel);
        }
    }
    lock_give(&channel->lock);
    return status;
}

void channel_stream_close(etcd_channel *channel, channel_stream *stream) {
    if (stream == NULL)
        return;
    lock_take(&channel->lock);
    if (stream->x.in != NULL) {
        h2_cancel(channel, &stream->x);
        list_remove(&stream->x);
        reader_flush(channel);
    }
    free_stream(channel, stream);
    lock_give(&channel->lock);
}
