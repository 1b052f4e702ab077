/* listen.c: bind and listen; see listen.h. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t fill_address(const struct options *options, union socket_address *out) {
    *out = (union socket_address){0};
    if (options->listen_address.family == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(options->listen_port);
        memcpy(&out->v4.sin_addr, options->listen_address.bytes, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(options->listen_port);
    memcpy(&out->v6.sin6_addr, options->listen_address.bytes, 16);
    return sizeof out->v6;
}

static bool listen_on(int descriptor, union socket_address *address, socklen_t size) {
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           bind(descriptor, &address->any, size) == 0 && listen(descriptor, BACKLOG) == 0 &&
           getsockname(descriptor, &address->any, &size) == 0;
}

bool listen_open(const struct options *options, struct listener *listener, struct text *problem) {
    union socket_address address;
    socklen_t size = fill_address(options, &address);
    char host[IPALLOC_ADDR_TEXT];
    bool v6 = options->listen_address.family == 6;
    ipalloc_addr_format(&options->listen_address, host);
    listener->descriptor =
        socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->descriptor < 0 || !listen_on(listener->descriptor, &address, size)) {
        text_format(problem, v6 ? "--listen=[%s]:%u: %s" : "--listen=%s:%u: %s", host,
                    options->listen_port, strerror(errno));
        if (listener->descriptor >= 0) {
            close(listener->descriptor);
        }
        return false;
    }
    unsigned port = ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port);
    snprintf(listener->url, sizeof listener->url, v6 ? "http://[%s]:%u" : "http://%s:%u", host,
             port);
    return true;
}
