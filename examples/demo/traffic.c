/*
 * traffic.c: ipalloc-traffic RATE URL...: new connections at a steady rate, counted.
 *
 * Each is opened, asks once, reads the whole answer and is closed; the URLs (http://ADDRESS[:PORT]/
 * [#HOST], with a Host header if given) take turns. On SIGTERM or SIGINT it waits for what is under
 * way and prints a line a URL, one a backend that answered, one a kind of failure, and the sum:
 * "N ok, M failed". Exit code 0 if some were made and none failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define UNDER_WAY_MAX 512
#define URLS_MAX      16
#define TALLIES_MAX   64
#define TIMEOUT_MS    3000

struct target {
    const char *url;
    char host[64], port[8], path[64], name[128]; /* `name`: the Host header */
    struct sockaddr_storage place;
    socklen_t place_size;
    unsigned long ok, failed;
};

struct attempt {
    int descriptor; /* -1: free */
    struct target *target;
    int64_t begun;
    bool asked;
    char answer[1024];
    size_t size;
};

struct tally {
    char words[96];
    unsigned long count;
};

static struct target targets[URLS_MAX];
static size_t target_count;
static struct attempt attempts[UNDER_WAY_MAX];
static size_t under_way;
static struct tally backends[TALLIES_MAX], failures[TALLIES_MAX];
static volatile sig_atomic_t stopping;

static void stop(int number) {
    (void)number;
    stopping = 1;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void count_in(struct tally *tallies, const char *words) {
    for (size_t i = 0; i < TALLIES_MAX; i++) {
        if (tallies[i].count == 0) {
            snprintf(tallies[i].words, sizeof tallies[i].words, "%s", words);
        }
        if (tallies[i].count == 0 || strcmp(tallies[i].words, words) == 0) {
            tallies[i].count++;
            return;
        }
    }
}

/* --- where to --------------------------------------------------------------------------------- */

static bool read_url(struct target *target, char *url) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    char copy[256];
    target->url = url;
    snprintf(copy, sizeof copy, "%s", url);
    char *hash = strchr(copy, '#');
    if (hash != NULL) {
        *hash = '\0';
        snprintf(target->name, sizeof target->name, "%s", hash + 1);
    }
    char *host = copy + strlen("http://");
    char *path = strncmp(copy, "http://", strlen("http://")) == 0 ? strchr(host, '/') : NULL;
    snprintf(target->path, sizeof target->path, "%s", path != NULL ? path : "/");
    if (path != NULL) {
        *path = '\0';
    }
    char *port = host[0] == '[' ? strstr(host, "]:") : strchr(host, ':');
    port = port != NULL && host[0] == '[' ? port + 1 : port;
    snprintf(target->port, sizeof target->port, "%s", port != NULL ? port + 1 : "80");
    if (port != NULL) {
        *port = '\0';
    }
    size_t length = strlen(host);
    bool bracketed = host[0] == '[' && host[length - 1] == ']';
    snprintf(target->host, sizeof target->host, "%.*s", (int)length - 2 * bracketed,
             host + bracketed);
    if (target->name[0] == '\0') {
        memcpy(target->name, target->host, sizeof target->host);
    }
    if (getaddrinfo(target->host, target->port, &hints, &found) != 0) {
        fprintf(stderr, "ipalloc-traffic: %s: not http://ADDRESS[:PORT]/PATH[#HOST]\n", url);
        return false;
    }
    memcpy(&target->place, found->ai_addr, found->ai_addrlen);
    target->place_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* --- one connection --------------------------------------------------------------------------- */

static void end(struct attempt *attempt, const char *problem) {
    if (problem == NULL) {
        char *body = strstr(attempt->answer, "\r\n\r\n");
        char backend[64] = "?";
        if (body != NULL) {
            snprintf(backend, sizeof backend, "%.*s", (int)strcspn(body + 4, " \r\n"), body + 4);
        }
        attempt->target->ok++;
        count_in(backends, backend);
    } else {
        char words[96];
        snprintf(words, sizeof words, "%.50s: %.40s", attempt->target->url, problem);
        attempt->target->failed++;
        count_in(failures, words);
        fprintf(stderr, "%lld ms: %s\n", (long long)now_ms(), words);
    }
    close(attempt->descriptor);
    attempt->descriptor = -1;
    under_way--;
}

static void begin(struct target *target) {
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        struct attempt *attempt = &attempts[i];
        if (attempt->descriptor >= 0) {
            continue;
        }
        *attempt = (struct attempt){.target = target, .begun = now_ms()};
        attempt->descriptor =
            socket(target->place.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        under_way++;
        if (connect(attempt->descriptor, (struct sockaddr *)&target->place, target->place_size) !=
                0 &&
            errno != EINPROGRESS) {
            end(attempt, strerror(errno));
        }
        return;
    }
    target->failed++;
    count_in(failures, "too many under way");
}

static void ask(struct attempt *attempt) {
    char request[300];
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(attempt->descriptor, SOL_SOCKET, SO_ERROR, &problem, &size);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                          attempt->target->path, attempt->target->name);
    if (problem != 0) {
        end(attempt, strerror(problem));
    } else if (send(attempt->descriptor, request, (size_t)length, MSG_NOSIGNAL) != length) {
        end(attempt, strerror(errno));
    } else {
        attempt->asked = true;
    }
}

static void listen_to(struct attempt *attempt) {
    ssize_t got = recv(attempt->descriptor, attempt->answer + attempt->size,
                       sizeof attempt->answer - 1 - attempt->size, 0);
    if (got > 0) {
        attempt->size += (size_t)got;
    } else if (got == 0) {
        bool well = strncmp(attempt->answer, "HTTP/1.1 200 ", 13) == 0 &&
                    strstr(attempt->answer, "\r\n\r\n") != NULL;
        char first[32];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(attempt->answer, "\r\n"),
                 attempt->answer);
        end(attempt, well ? NULL : first[0] != '\0' ? first : "closed without an answer");
    } else if (errno != EAGAIN) {
        end(attempt, strerror(errno));
    }
}

static void look_at_all(int wait_ms) {
    static struct pollfd waiting[UNDER_WAY_MAX];
    int64_t now;
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        waiting[i] = (struct pollfd){.fd = attempts[i].descriptor,
                                     .events = attempts[i].asked ? POLLIN : POLLOUT};
    }
    poll(waiting, UNDER_WAY_MAX, wait_ms);
    now = now_ms();
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        struct attempt *attempt = &attempts[i];
        if (attempt->descriptor < 0) {
            continue;
        }
        if (waiting[i].revents != 0) {
            if (attempt->asked) {
                listen_to(attempt);
            } else {
                ask(attempt);
            }
        } else if (now - attempt->begun > TIMEOUT_MS) {
            end(attempt, attempt->asked ? "no answer in 3 s" : "no connection in 3 s");
        }
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static int report(void) {
    unsigned long ok = 0;
    unsigned long failed = 0;
    for (size_t i = 0; i < target_count; i++) {
        printf("  %-40s %6lu ok %4lu failed\n", targets[i].url, targets[i].ok, targets[i].failed);
        ok += targets[i].ok;
        failed += targets[i].failed;
    }
    for (size_t i = 0; i < TALLIES_MAX && backends[i].count > 0; i++) {
        printf("  answered by %-28s %6lu\n", backends[i].words, backends[i].count);
    }
    for (size_t i = 0; i < TALLIES_MAX && failures[i].count > 0; i++) {
        printf("  failed: %s: %lu\n", failures[i].words, failures[i].count);
    }
    printf("%lu ok, %lu failed\n", ok, failed);
    return ok > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int count, char **arguments) {
    double rate = count > 2 ? strtod(arguments[1], NULL) : 0;
    if (rate <= 0 || rate > 10000 || count - 2 > URLS_MAX) {
        fprintf(stderr, "usage: ipalloc-traffic CONNECTIONS-A-SECOND http://ADDRESS[:PORT]/[#HOST] "
                        "...\n");
        return 2;
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    for (int i = 2; i < count; i++) {
        if (!read_url(&targets[target_count++], arguments[i])) {
            return 2;
        }
    }
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        attempts[i].descriptor = -1;
    }
    int64_t begun = now_ms();
    for (uint64_t made = 0; !stopping;) {
        uint64_t wanted = (uint64_t)((double)(now_ms() - begun) * rate / 1000);
        for (; made < wanted; made++) {
            begin(&targets[made % target_count]);
        }
        look_at_all(1);
    }
    while (under_way > 0) {
        look_at_all(10);
    }
    return report();
}
