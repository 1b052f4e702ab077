/*
 * etcd_channel.c: the handle of a channel: opening, closing, driving, event loops.
 *
 * May use: base/, the other files of the channel.
 */
#include "store/etcd_transport.h"

#include "base/error.h"
#include "store/etcd_tls.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

enum { LOOK_AGAIN_MS = 1000 };

/* --- opening and closing -------------------------------------------------------------------------
 */

static int make_descriptors(etcd_channel *channel, ipalloc_error *error) {
    const system_calls *system = channel->system;
    struct epoll_event event = {.events = EPOLLIN};
    channel->epoll = system->epoll_create();
    if (channel->epoll >= 0)
        channel->notify_event = system->event_create();
    if (channel->notify_event >= 0)
        channel->wake_event = system->event_create();
    if (channel->wake_event >= 0 &&
        system->epoll_control(channel->epoll, EPOLL_CTL_ADD, channel->notify_event, &event) == 0)
        return IPALLOC_OK;
    return error_set_errno(error, IPALLOC_E_IO, errno, "etcd: no descriptors to wait on");
}

static bool copy_text(etcd_channel *channel, const char *text, char **out) {
    *out = text == NULL ? NULL : hooks_strdup(channel->hooks, text);
    return text == NULL || *out != NULL;
}

static int fill(etcd_channel *channel, const channel_options *options, ipalloc_error *error) {
    channel->inbox = hooks_alloc(channel->hooks, INBOX_SIZE);
    if (channel->inbox == NULL || !copy_text(channel, options->user, &channel->user) ||
        !copy_text(channel, options->password, &channel->password))
        return error_no_memory(error);
    int status = dial_set_hosts(channel, options->hosts, options->host_count, error);
    if (status == IPALLOC_OK && options->tls)
        status = tls_open(options, &channel->tls, error);
    return status == IPALLOC_OK ? make_descriptors(channel, error) : status;
}

typedef struct opening {
    etcd_channel *channel;
    uint64_t give_ups;
} opening;

static bool opening_is_over(void *context) {
    opening *o = context;
    return (o->channel->phase == PHASE_UP && !login_is_needed(o->channel)) ||
           o->channel->give_ups != o->give_ups;
}

static int connect_first(etcd_channel *channel, ipalloc_error *error) {
    uint64_t begun = hooks_monotonic_ms(channel->hooks);
    opening o = {channel, channel->give_ups};
    waiter w = {.is_done = opening_is_over, .context = &o};
    lock_take(&channel->lock);
    if (!reader_wait(channel, &w, begun + channel->timeout_ms))
        lock_give(&channel->lock);
    if (channel->phase == PHASE_UP && !login_is_needed(channel))
        return IPALLOC_OK;
    char tried[IPALLOC_ERROR_TEXT];
    dial_tell(channel, begun, tried, sizeof tried);
    return error_set(error, IPALLOC_E_UNAVAILABLE, "etcd cannot be used; tried for %llu ms: %s",
                     (unsigned long long)(hooks_monotonic_ms(channel->hooks) - begun), tried);
}

int channel_open(const channel_options *options, etcd_channel **out, ipalloc_error *error) {
    etcd_channel *channel = hooks_alloc_zeroed(options->hooks, sizeof *channel);
    if (channel == NULL)
        return error_no_memory(error);
    channel->hooks = options->hooks;
    channel->system = options->system;
    channel->timeout_ms = options->timeout_ms;
    channel->epoll = channel->notify_event = channel->wake_event = channel->link.socket = -1;
    text_init(&channel->link.out, channel->hooks);
    text_init(&channel->login_request, channel->hooks);
    int status = fill(channel, options, error);
    if (status == IPALLOC_OK)
        status = connect_first(channel, error);
    if (status == IPALLOC_OK)
        *out = channel;
    else
        channel_close(channel);
    return status;
}

static void close_descriptor(etcd_channel *channel, int file) {
    if (file >= 0)
        channel->system->close(file);
}

void channel_close(etcd_channel *channel) {
    if (channel == NULL)
        return;
    h2_end(channel);
    tls_end(channel);
    link_close(channel);
    tls_close(channel->tls);
    close_descriptor(channel, channel->wake_event);
    close_descriptor(channel, channel->notify_event);
    close_descriptor(channel, channel->epoll);
    dial_free_hosts(channel);
    login_free(channel);
    hooks_free(channel->hooks, channel->inbox);
    hooks_free(channel->hooks, channel);
}

/* --- driving -------------------------------------------------------------------------------------
 */

int channel_drive(etcd_channel *channel, bool (*done)(void *context), void *context,
                  uint64_t timeout_ms, ipalloc_error *error) {
    uint64_t begun = hooks_monotonic_ms(channel->hooks);
    waiter w = {.is_done = done, .context = context};
    lock_take(&channel->lock);
    if (reader_wait(channel, &w, begun + timeout_ms))
        return IPALLOC_OK;
    char tried[IPALLOC_ERROR_TEXT];
    dial_tell(channel, begun, tried, sizeof tried);
    reader_pass_on(channel);
    lock_give(&channel->lock);
    return error_set(error, IPALLOC_E_UNAVAILABLE,
                     "etcd: what was waited for did not come in %llu ms; tried: %s",
                     (unsigned long long)timeout_ms, tried);
}

int channel_poll_fd(etcd_channel *channel) {
    return channel->epoll;
}

int channel_poll_timeout_ms(etcd_channel *channel) {
    lock_take(&channel->lock);
    uint64_t now = hooks_monotonic_ms(channel->hooks);
    /* Whoever reads looks after the timers, but may end before one comes. */
    uint64_t next = channel->reading ? now + LOOK_AGAIN_MS : reader_next_timer(channel);
    lock_give(&channel->lock);
    if (next == UINT64_MAX)
        return -1;
    if (next <= now)
        return 0;
    return next - now < INT_MAX ? (int)(next - now) : INT_MAX;
}

static int process(etcd_channel *channel, ipalloc_error *error) {
    uint64_t begun = hooks_monotonic_ms(channel->hooks);
    channel->reading = true;
    reader_turn(channel, 0);
    channel->reading = false;
    if (channel->phase == PHASE_UP)
        return IPALLOC_OK;
    char tried[IPALLOC_ERROR_TEXT];
    dial_tell(channel, begun, tried, sizeof tried);
    return error_set(error, IPALLOC_E_UNAVAILABLE, "etcd is not connected: %s", tried);
}

int channel_process(etcd_channel *channel, ipalloc_error *error) {
    int status = IPALLOC_OK;
    lock_take(&channel->lock);
    if (channel->reading) {
        if (!channel->muted) {
            channel->muted = true;
            link_watch(channel);
        }
    } else {
        status = process(channel, error);
    }
    if (channel->notified && channel->system->event_clear(channel->notify_event) == 0)
        channel->notified = false;
    reader_pass_on(channel);
    lock_give(&channel->lock);
    return status;
}

void channel_lock(etcd_channel *channel) {
    lock_take(&channel->lock);
}

void channel_unlock(etcd_channel *channel) {
    lock_give(&channel->lock);
}
