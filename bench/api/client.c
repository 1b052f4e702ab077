/*
 * client.c: one thread that keeps many connections busy; see api.h.
 *
 * Each connection has one request under way. A request and its answer fit into the connection's
 * buffers; anything but 200 or 201 ends the program.
 */
#include "api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { REQUEST_MAX = 1024, ANSWER_MAX = 32768 };

#define SERVICES "/api/v1/namespaces/default/services"

typedef struct connection {
    int socket;
    size_t size; /* of the answer so far */
    char answer[ANSWER_MAX];
} connection;

typedef struct client {
    const api_work *work;
    int events;
    uint64_t begun, done;
    connection *connections;
} client;

static void open_connection(client *c, connection *to) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(c->work->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = to};
    int one = 1;
    to->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (to->socket < 0 || connect(to->socket, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(to->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        epoll_ctl(c->events, EPOLL_CTL_ADD, to->socket, &event) != 0)
        api_broken("a connection", strerror(errno));
}

static int write_create(char *out, const char *name, uint64_t serial) {
    char body[REQUEST_MAX / 2];
    int size = snprintf(body, sizeof body,
                        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":"
                        "\"%s-%llu\",\"labels\":{\"app\":\"%s\"}},\"spec\":{\"selector\":{"
                        "\"app\":\"%s\"},\"ports\":[{\"name\":\"http\",\"port\":80,"
                        "\"targetPort\":8080}]}}",
                        name, (unsigned long long)serial, name, name);
    return snprintf(out, REQUEST_MAX,
                    "POST " SERVICES " HTTP/1.1\r\nHost: bench\r\nUser-Agent: ipalloc-bench\r\n"
                    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                    size, body);
}

static int write_delete(char *out, const char *name, uint64_t serial) {
    return snprintf(out, REQUEST_MAX, "DELETE " SERVICES "/%s-%llu HTTP/1.1\r\nHost: bench\r\n\r\n",
                    name, (unsigned long long)serial);
}

static bool has_more(const client *c) {
    return c->begun < c->work->count && (c->work->end_ns == 0 || api_now_ns() < c->work->end_ns);
}

static void begin_request(client *c, connection *on) {
    char request[REQUEST_MAX];
    const api_work *work = c->work;
    int size = (work->deletes ? write_delete : write_create)(request, work->name, c->begun++);
    on->size = 0;
    if (write(on->socket, request, (size_t)size) != size)
        api_broken("a request", "was not taken in one piece");
}

/* Is the answer all there? */
static bool is_whole(const connection *from) {
    static const char length_name[] = "\r\nContent-Length: ";
    const char *end = strstr(from->answer, "\r\n\r\n");
    const char *length = strcasestr(from->answer, length_name);
    if (end == NULL)
        return false;
    if (length == NULL || length > end)
        api_broken("an answer has no length", from->answer);
    size_t body = strtoul(length + strlen(length_name), NULL, 10);
    return from->size >= (size_t)(end + 4 - from->answer) + body;
}

static void take_answer(client *c, connection *from) {
    ssize_t got =
        read(from->socket, from->answer + from->size, sizeof from->answer - 1 - from->size);
    if (got <= 0)
        api_broken("an answer", got == 0 ? "ends too early" : strerror(errno));
    from->size += (size_t)got;
    from->answer[from->size] = '\0';
    if (!is_whole(from))
        return;
    if (strncmp(from->answer, "HTTP/1.1 20", strlen("HTTP/1.1 20")) != 0)
        api_broken("an answer", from->answer);
    c->done++;
    if (has_more(c))
        begin_request(c, from);
}

static void take_answers(client *c) {
    struct epoll_event ready[API_CLIENTS_MAX];
    int count = epoll_wait(c->events, ready, API_CLIENTS_MAX, 30000);
    if (count == 0 || (count < 0 && errno != EINTR))
        api_broken("the server", "has not answered for 30 s");
    for (int i = 0; i < count; i++)
        take_answer(c, ready[i].data.ptr);
}

uint64_t api_client_run(const api_work *work, uint64_t *spent_ns) {
    client c = {.work = work, .events = epoll_create1(EPOLL_CLOEXEC)};
    c.connections = calloc(work->clients, sizeof *c.connections);
    if (c.events < 0 || c.connections == NULL)
        api_broken("the client", "has no memory");
    for (unsigned i = 0; i < work->clients; i++)
        open_connection(&c, &c.connections[i]);
    uint64_t begin = api_now_ns();
    for (unsigned i = 0; i < work->clients && has_more(&c); i++)
        begin_request(&c, &c.connections[i]);
    while (c.done < c.begun)
        take_answers(&c);
    *spent_ns = api_now_ns() - begin;
    for (unsigned i = 0; i < work->clients; i++)
        close(c.connections[i].socket);
    close(c.events);
    free(c.connections);
    return c.done;
}
