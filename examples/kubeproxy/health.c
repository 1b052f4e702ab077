/* health.c: see health.h. */
#include "health.h"

#include "string_map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEALTHY_S  60
#define ASKERS_MAX 32 /* connected, and have not asked; with more, the eldest is let go */

struct listener {
    int descriptor;
    int port;
    size_t local; /* endpoints on this node */
};

struct asker {
    int descriptor;
    int port; /* of the Service's health check; 0: /healthz */
};

struct health {
    struct asker askers[ASKERS_MAX];
    size_t asker_count;
    int own;                    /* of /healthz; -1: none */
    struct string_map services; /* of struct listener, those with a health check port */
    time_t synced;
};

static int listen_on(const struct addrinfo *address) {
    int off = 0;
    int on = 1;
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6) { /* "::" takes IPv4, too */
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(descriptor, address->ai_addr, address->ai_addrlen) != 0 ||
        listen(descriptor, 64) != 0) {
        int problem = errno;
        close(descriptor);
        errno = problem;
        descriptor = -1;
    }
    return descriptor;
}

static int listen_at(const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        return -1;
    }
    int descriptor = listen_on(found);
    freeaddrinfo(found);
    return descriptor;
}

/* At every address of the node, of both families where it has both. */
static int listen_everywhere(const char *port) {
    int descriptor = listen_at("::", port);
    return descriptor >= 0 || errno == EADDRINUSE ? descriptor : listen_at("0.0.0.0", port);
}

struct health *health_open(const char *place, struct text *problem) {
    struct health *health = memory_allocate(sizeof *health);
    health->own = -1;
    if (place != NULL) {
        char host[128];
        const char *colon = strrchr(place, ':');
        bool bracketed = place[0] == '[';
        snprintf(host, sizeof host, "%.*s", (int)(colon - place) - 2 * bracketed,
                 place + bracketed);
        health->own = listen_at(host, colon + 1);
        if (health->own < 0) {
            text_format(problem, "--healthz=\"%.100s\": cannot listen there: %s", place,
                        strerror(errno));
            free(health);
            return NULL;
        }
    }
    return health;
}

static void listener_free(void *value) {
    struct listener *listener = value;
    if (listener != NULL && listener->descriptor >= 0) {
        close(listener->descriptor);
    }
    free(listener);
}

void health_close(struct health *health) {
    if (health != NULL) {
        string_map_clear(&health->services, listener_free);
        while (health->asker_count > 0) {
            close(health->askers[--health->asker_count].descriptor);
        }
        if (health->own >= 0) {
            close(health->own);
        }
        free(health);
    }
}

void health_synced(struct health *health) {
    health->synced = time(NULL);
}

/* --- health check ports ----------------------------------------------------------------------- */

static int check_port(struct json_object *service) {
    struct json_object *spec = json_member(service, "spec");
    int64_t port = json_member_number(spec, "healthCheckNodePort", 0);
    bool local = strcmp(json_member_text(spec, "externalTrafficPolicy"), "Local") == 0;
    return local && port >= 1 && port <= UINT16_MAX ? (int)port : 0;
}

void health_note(struct health *health, const char *name, struct json_object *service,
                 const struct target *targets) {
    int port = service != NULL ? check_port(service) : 0;
    struct listener *listener = string_map_find(&health->services, name);
    if (listener != NULL && listener->port != port) {
        listener_free(string_map_take(&health->services, name));
        listener = NULL;
    }
    if (port == 0) {
        return;
    }
    if (listener == NULL) {
        char text[16];
        listener = memory_allocate(sizeof *listener);
        snprintf(text, sizeof text, "%d", port);
        listener->port = port;
        listener->descriptor = listen_everywhere(text);
        if (listener->descriptor < 0) {
            fprintf(stderr, "ipalloc-kubeproxy: Service %s: health check port %d: %s\n", name, port,
                    strerror(errno));
        }
        string_map_set(&health->services, name, listener);
    }
    listener->local = 0;
    for (const struct target *at = targets; at != NULL; at = at->next) {
        listener->local += at->local_ready;
    }
}

/* --- answering -------------------------------------------------------------------------------- */

struct listing {
    struct pollfd *out;
    size_t count, capacity;
};

static void list_one(void *context, const char *name, void *value) {
    struct listing *listing = context;
    const struct listener *listener = value;
    (void)name;
    if (listener->descriptor >= 0 && listing->count < listing->capacity) {
        listing->out[listing->count++] =
            (struct pollfd){.fd = listener->descriptor, .events = POLLIN};
    }
}

size_t health_descriptors(const struct health *health, struct pollfd *out, size_t capacity) {
    struct listing listing = {out, 0, capacity};
    if (health->own >= 0 && capacity > 0) {
        out[listing.count++] = (struct pollfd){.fd = health->own, .events = POLLIN};
    }
    for (size_t i = 0; i < health->asker_count && listing.count < capacity; i++) {
        out[listing.count++] =
            (struct pollfd){.fd = health->askers[i].descriptor, .events = POLLIN};
    }
    string_map_each(&health->services, list_one, &listing);
    return listing.count;
}

static void let_go(struct health *health, size_t index) {
    close(health->askers[index].descriptor);
    health->asker_count--;
    memmove(&health->askers[index], &health->askers[index + 1],
            (health->asker_count - index) * sizeof *health->askers);
}

static void take_askers(struct health *health, int listening, int port) {
    for (int i = 0; i < ASKERS_MAX; i++) {
        int connection = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection < 0) {
            return;
        }
        if (health->asker_count == ASKERS_MAX) {
            let_go(health, 0);
        }
        health->askers[health->asker_count++] = (struct asker){connection, port};
    }
}

static void take_askers_of(void *context, const char *name, void *value) {
    const struct listener *listener = value;
    (void)name;
    if (listener->descriptor >= 0) {
        take_askers(context, listener->descriptor, listener->port);
    }
}

static void reply(int connection, bool well, const char *body) {
    char text[400];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: "
                        "%zu\r\nConnection: close\r\n\r\n%s",
                        well ? "200 OK" : "503 Service Unavailable", strlen(body), body);
    (void)!send(connection, text, (size_t)size, MSG_NOSIGNAL);
}

static void reply_own(const struct health *health, int connection) {
    char body[96];
    long age = (long)(time(NULL) - health->synced);
    bool well = health->synced != 0 && age <= HEALTHY_S;
    snprintf(body, sizeof body, "{\"healthy\":%s,\"secondsSinceSync\":%ld}\n",
             well ? "true" : "false", health->synced != 0 ? age : -1);
    reply(connection, well, body);
}

static void reply_service(void *context, const char *name, void *value) {
    const struct asker *asker = context;
    const struct listener *listener = value;
    char body[200];
    if (listener->port == asker->port) {
        snprintf(body, sizeof body, "{\"service\":\"%.120s\",\"localEndpoints\":%zu}\n", name,
                 listener->local);
        reply(asker->descriptor, listener->local > 0, body);
    }
}

void health_answer(struct health *health) {
    if (health->own >= 0) {
        take_askers(health, health->own, 0);
    }
    string_map_each(&health->services, take_askers_of, health);
    for (size_t i = health->asker_count; i-- > 0;) {
        char asked[1024];
        struct asker *asker = &health->askers[i];
        ssize_t size = recv(asker->descriptor, asked, sizeof asked, 0);
        if (size > 0 && asker->port == 0) {
            reply_own(health, asker->descriptor);
        } else if (size > 0) {
            string_map_each(&health->services, reply_service, asker);
        }
        if (size >= 0 || errno != EAGAIN) {
            let_go(health, i);
        }
    }
}
