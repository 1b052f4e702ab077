/* relay.c: pairs of sockets, and a thread that moves bytes between them. */
#include "relay.h"

#include "support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, HELD_MAX = 1 << 16, POLL_MS = 5, CHUNK = 4096 };

typedef struct pair {
    int client, member; /* -1: gone */
    char held[HELD_MAX];
    size_t held_size;
} pair;

struct relay {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener;
    struct sockaddr_in member;
    char host[64];
    bool stop, hold, lose;
    size_t pair_count;
    pair *pairs[PAIRS_MAX];
};

static void must(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "relay: %s\n", what);
        abort();
    }
}

static void shut(int *descriptor) {
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

/* Small messages on loopback: they always fit. */
static void pass(int to, const char *bytes, size_t size) {
    if (to >= 0 && send(to, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        fprintf(stderr, "relay: %zu bytes could not be passed on\n", size);
}

/* -1: nothing now; 0: the end. */
static ssize_t take(int from, char bytes[CHUNK]) {
    struct pollfd ready = {.fd = from, .events = POLLIN};
    if (from < 0 || poll(&ready, 1, 0) != 1)
        return -1;
    ssize_t got = recv(from, bytes, CHUNK, MSG_DONTWAIT);
    return got < 0 ? 0 : got;
}

static void move(relay *r, pair *p) {
    char bytes[CHUNK];
    ssize_t got = take(p->client, bytes);
    if (got > 0 && r->hold) {
        must(p->held_size + (size_t)got <= HELD_MAX, "more is held than there is room for");
        memcpy(p->held + p->held_size, bytes, (size_t)got);
        p->held_size += (size_t)got;
    } else if (got > 0) {
        pass(p->member, bytes, (size_t)got);
    } else if (got == 0) {
        shut(&p->client);
        if (p->held_size == 0)
            shut(&p->member);
    }
    got = take(p->member, bytes);
    if (got > 0 && !r->lose)
        pass(p->client, bytes, (size_t)got);
    else if (got == 0) {
        shut(&p->member);
        shut(&p->client);
    }
}

static void welcome(relay *r) {
    int client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    must(r->pair_count < PAIRS_MAX, "too many connections");
    pair *p = calloc(1, sizeof *p);
    must(p != NULL, "no memory");
    p->client = client;
    p->member = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(p->member, (struct sockaddr *)&r->member, sizeof r->member) != 0) {
        shut(&p->member);
        shut(&p->client);
    }
    r->pairs[r->pair_count++] = p;
}

static void *run(void *context) {
    relay *r = context;
    for (bool stop = false; !stop;) {
        struct pollfd ready[2 * PAIRS_MAX + 1] = {{.fd = r->listener, .events = POLLIN}};
        nfds_t count = 1;
        pthread_mutex_lock(&r->lock);
        for (size_t i = 0; i < r->pair_count; i++) {
            ready[count++] = (struct pollfd){.fd = r->pairs[i]->client, .events = POLLIN};
            ready[count++] = (struct pollfd){.fd = r->pairs[i]->member, .events = POLLIN};
        }
        pthread_mutex_unlock(&r->lock);
        poll(ready, count, POLL_MS);
        pthread_mutex_lock(&r->lock);
        if ((ready[0].revents & POLLIN) != 0)
            welcome(r);
        for (size_t i = 0; i < r->pair_count; i++)
            move(r, r->pairs[i]);
        stop = r->stop;
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

relay *relay_start(const char *member_host) {
    relay *r = calloc(1, sizeof *r);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    char host[64] = "";
    size_t length = strcspn(member_host, ":");
    must(r != NULL && length < sizeof host, "no memory, or no host");
    memcpy(host, member_host, length);
    r->member.sin_family = AF_INET;
    r->member.sin_port = htons((uint16_t)strtoul(member_host + length + 1, NULL, 10));
    must(inet_pton(AF_INET, host, &r->member.sin_addr) == 1, "not an address");
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(r->listener, (struct sockaddr *)&own, size) == 0 && listen(r->listener, 16) == 0 &&
             getsockname(r->listener, (struct sockaddr *)&own, &size) == 0,
         "it cannot listen");
    snprintf(r->host, sizeof r->host, "127.0.0.1:%u", ntohs(own.sin_port));
    pthread_mutex_init(&r->lock, NULL);
    must(pthread_create(&r->thread, NULL, run, r) == 0, "no thread");
    return r;
}

void relay_stop(relay *r) {
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    for (size_t i = 0; i < r->pair_count; i++) {
        shut(&r->pairs[i]->client);
        shut(&r->pairs[i]->member);
        free(r->pairs[i]);
    }
    close(r->listener);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

const char *relay_host(const relay *r) {
    return r->host;
}

void relay_hold_requests(relay *r) {
    pthread_mutex_lock(&r->lock);
    r->hold = true;
    pthread_mutex_unlock(&r->lock);
}

void relay_lose_answers(relay *r) {
    pthread_mutex_lock(&r->lock);
    r->lose = true;
    pthread_mutex_unlock(&r->lock);
}

size_t relay_held(relay *r) {
    size_t held = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->pair_count; i++)
        held += r->pairs[i]->held_size;
    pthread_mutex_unlock(&r->lock);
    return held;
}

void relay_forget_clients(relay *r) {
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->pair_count; i++)
        shut(&r->pairs[i]->client);
    r->hold = false;
    r->lose = false;
    pthread_mutex_unlock(&r->lock);
}

void relay_deliver(relay *r) {
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->pair_count; i++) {
        pass(r->pairs[i]->member, r->pairs[i]->held, r->pairs[i]->held_size);
        r->pairs[i]->held_size = 0;
    }
    pthread_mutex_unlock(&r->lock);
}
