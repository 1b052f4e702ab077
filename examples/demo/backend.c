/*
 * backend.c: ipalloc-backend NAME PORT [ADDRESS]: what runs in the demonstration's Pods. Says over
 * HTTP, and to datagrams, who it is and who asked; connections stay open if the client wants that.
 *
 * One thread and poll(2), small on purpose. SIGTERM is not its end: it serves on while it is
 * drained, until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 1000
#define REQUEST_MAX 4096

struct client {
    int descriptor;
    char request[REQUEST_MAX];
    size_t size;
};

static const char *name;
static struct client clients[CLIENTS_MAX];
static size_t client_count;

/* `address`: IPv6, or IPv4 as "::ffff:10.96.1.1". */
static int open_socket(int type, const char *address, int port) {
    struct sockaddr_in6 place = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int off = 0;
    int on = 1;
    int descriptor = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (inet_pton(AF_INET6, address, &place.sin6_addr) != 1 ||
        bind(descriptor, (struct sockaddr *)&place, sizeof place) != 0 ||
        (type == SOCK_STREAM && listen(descriptor, 512) != 0)) {
        fprintf(stderr, "ipalloc-backend: port %d: %s\n", port, strerror(errno));
        exit(EXIT_FAILURE);
    }
    return descriptor;
}

/* "::ffff:10.20.1.2" is "10.20.1.2". */
static const char *address_text(const struct sockaddr_in6 *place, char out[INET6_ADDRSTRLEN]) {
    inet_ntop(AF_INET6, &place->sin6_addr, out, INET6_ADDRSTRLEN);
    return strncmp(out, "::ffff:", 7) == 0 ? out + 7 : out;
}

static void reply(struct client *client, bool keep) {
    struct sockaddr_in6 peer = {0};
    struct sockaddr_in6 own = {0};
    socklen_t size = sizeof peer;
    char peer_text[INET6_ADDRSTRLEN];
    char own_text[INET6_ADDRSTRLEN];
    char body[256];
    char out[512];
    getpeername(client->descriptor, (struct sockaddr *)&peer, &size);
    size = sizeof own;
    getsockname(client->descriptor, (struct sockaddr *)&own, &size);
    int length = snprintf(body, sizeof body, "%s at %s, asked by %s\n", name,
                          address_text(&own, own_text), address_text(&peer, peer_text));
    int all = snprintf(out, sizeof out,
                       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
                       "%d\r\nConnection: %s\r\n\r\n%s",
                       length, keep ? "keep-alive" : "close", body);
    (void)!send(client->descriptor, out, (size_t)all, MSG_NOSIGNAL);
}

static void drop(size_t index) {
    close(clients[index].descriptor);
    clients[index] = clients[--client_count];
}

/* Returns whether the connection stays. */
static bool take_requests(struct client *client) {
    for (;;) {
        client->request[client->size] = '\0';
        char *end = strstr(client->request, "\r\n\r\n");
        if (end == NULL) {
            return client->size + 1 < REQUEST_MAX;
        }
        size_t used = (size_t)(end + 4 - client->request);
        end[2] = '\0';
        bool keep = strstr(client->request, " HTTP/1.1\r\n") != NULL &&
                    strcasestr(client->request, "\r\nConnection: close") == NULL;
        reply(client, keep);
        memmove(client->request, client->request + used, client->size - used);
        client->size -= used;
        if (!keep) {
            return false;
        }
    }
}

static bool serve(struct client *client) {
    ssize_t got =
        recv(client->descriptor, client->request + client->size, REQUEST_MAX - 1 - client->size, 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    client->size += (size_t)got;
    return take_requests(client);
}

static void take_clients(int listener) {
    int descriptor;
    while (client_count < CLIENTS_MAX &&
           (descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        clients[client_count++] = (struct client){.descriptor = descriptor};
    }
}

static void answer_datagrams(int datagrams) {
    struct sockaddr_in6 peer;
    socklen_t size = sizeof peer;
    char bytes[64];
    while (recvfrom(datagrams, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &size) >= 0) {
        sendto(datagrams, name, strlen(name), 0, (struct sockaddr *)&peer, size);
        size = sizeof peer;
    }
}

int main(int count, char **arguments) {
    static struct pollfd waiting[CLIENTS_MAX + 2];
    long port = count > 2 ? strtol(arguments[2], NULL, 10) : 0;
    if (count < 3 || count > 4 || port <= 0 || port > 65535) {
        fprintf(stderr, "usage: ipalloc-backend NAME PORT [ADDRESS]\n");
        return 2;
    }
    name = arguments[1];
    signal(SIGTERM, SIG_IGN);
    const char *address = count > 3 ? arguments[3] : "::";
    int listener = open_socket(SOCK_STREAM, address, (int)port);
    int datagrams = open_socket(SOCK_DGRAM, address, (int)port);
    for (;;) {
        waiting[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        waiting[1] = (struct pollfd){.fd = datagrams, .events = POLLIN};
        for (size_t i = 0; i < client_count; i++) {
            waiting[i + 2] = (struct pollfd){.fd = clients[i].descriptor, .events = POLLIN};
        }
        poll(waiting, client_count + 2, -1);
        for (size_t i = client_count; i > 0; i--) {
            if (waiting[i + 1].revents != 0 && !serve(&clients[i - 1])) {
                drop(i - 1);
            }
        }
        if (waiting[0].revents != 0) {
            take_clients(listener);
        }
        if (waiting[1].revents != 0) {
            answer_datagrams(datagrams);
        }
    }
}
