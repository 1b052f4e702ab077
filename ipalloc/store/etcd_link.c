/*
 * etcd_link.c: bytes in and out of one connection that never waits, plain or through TLS.
 *
 * May use: base/, etcd_tls.c. What the socket does not take stays in `out`, and the reader is told
 * to wait for room.
 */
#include "store/etcd_transport.h"

#include "base/error.h"
#include "store/etcd_tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

static void tell_errno(char *why, const char *what, int number) {
    ipalloc_error error;
    error_fill(&error, IPALLOC_E_UNAVAILABLE, number, "%s", what);
    snprintf(why, WHY_MAX, "%.*s", WHY_MAX - 1, error.message);
}

static bool would_wait(int number) {
    return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

enum link_result link_send(etcd_channel *channel, char *why) {
    etcd_link *link = &channel->link;
    link->wants_write = false;
    while (link->out_sent < link->out.length) {
        ssize_t sent = channel->system->send(link->socket, link->out.bytes + link->out_sent,
                                             link->out.length - link->out_sent);
        if (sent < 0 && would_wait(errno)) {
            link->wants_write = true;
            return LINK_BLOCKED;
        }
        if (sent < 0) {
            tell_errno(why, "sending failed", errno);
            return LINK_FAILED;
        }
        link->out_sent += (size_t)sent;
    }
    text_clear(&link->out);
    link->out_sent = 0;
    return LINK_OK;
}

bool link_is_connected(const etcd_channel *channel) {
    struct pollfd file = {.fd = channel->link.socket, .events = POLLOUT};
    return channel->system->poll(&file, 1, 0) > 0;
}

enum link_result link_receive_raw(etcd_channel *channel, uint8_t *bytes, size_t size, size_t *got,
                                  char *why) {
    ssize_t received = channel->system->receive(channel->link.socket, bytes, size);
    if (received >= 0) {
        *got = (size_t)received;
        return LINK_OK;
    }
    if (would_wait(errno))
        return LINK_BLOCKED;
    tell_errno(why, "receiving failed", errno);
    return LINK_FAILED;
}

enum link_result link_receive(etcd_channel *channel, uint8_t *bytes, size_t size, size_t *got,
                              char *why, bool *hopeless) {
    if (channel->link.tls != NULL)
        return tls_receive(channel, bytes, size, got, why, hopeless);
    return link_receive_raw(channel, bytes, size, got, why);
}

bool link_put(etcd_channel *channel, const uint8_t *bytes, size_t size) {
    return channel->link.tls != NULL ? tls_put(channel, bytes, size)
                                     : link_put_raw(channel, bytes, size);
}

bool link_put_raw(etcd_channel *channel, const uint8_t *bytes, size_t size) {
    text_append(&channel->link.out, (const char *)bytes, size);
    return !channel->link.out.failed;
}

bool link_has_more(const etcd_channel *channel) {
    return channel->link.tls != NULL && tls_has_more(channel->link.tls);
}

size_t link_pending(const etcd_channel *channel) {
    return channel->link.out.length - channel->link.out_sent;
}

void link_close(etcd_channel *channel) {
    etcd_link *link = &channel->link;
    if (link->socket >= 0)
        channel->system->close(link->socket); /* that takes it out of the epoll descriptor too */
    link->socket = -1;
    link->wants_write = false;
    link->out_sent = 0;
    text_free(&link->out);
    text_init(&link->out, channel->hooks);
}

void link_watch(etcd_channel *channel) {
    if (channel->link.socket < 0)
        return;
    struct epoll_event event = {.events = 0};
    if (!channel->muted) {
        bool connecting = channel->phase == PHASE_CONNECTING;
        event.events = (uint32_t)(connecting ? 0 : EPOLLIN) |
                       (uint32_t)(connecting || channel->link.wants_write ? EPOLLOUT : 0);
    }
    /* Where this fails, an event loop learns from its timer. */
    (void)channel->system->epoll_control(channel->epoll, EPOLL_CTL_MOD, channel->link.socket,
                                         &event);
}
