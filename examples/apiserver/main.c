/*
 * main.c: ipalloc-apiserver, from the command line to the last goodbye.
 *
 * Exit codes: 0 after SIGTERM or SIGINT, 1 where the store or the socket refuse, 2 for the command
 * line.
 */
#include "cluster.h"
#include "endpoint_keeper.h"
#include "http.h"
#include "listen.h"
#include "resource.h"
#include "watch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_RESERVED 64 /* the store, pipes of threads, what libraries open */

static void say(const char *problem) {
    fprintf(stderr, "ipalloc-apiserver: %s\n", problem);
}

/* As many descriptors as the system allows; returns how many connections fit into them. */
static unsigned raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 512;
    }
    rlim_t wanted = HTTP_CONNECTIONS_MAX + DESCRIPTORS_RESERVED;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur =
            limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    rlim_t usable = limit.rlim_cur < wanted ? limit.rlim_cur : wanted;
    return usable > 2 * DESCRIPTORS_RESERVED ? (unsigned)usable - DESCRIPTORS_RESERVED
                                             : DESCRIPTORS_RESERVED;
}

static void say_started(struct server *server, const char *url) {
    const struct options *options = server->options;
    char cidr[IPALLOC_CIDR_TEXT];
    printf("ipalloc-apiserver %s: serving on %s, store %s, ClusterIPs", ipalloc_version(), url,
           options->store.url);
    for (size_t i = 0; i < options->cluster_range_count; i++) {
        ipalloc_cidr_format(&options->cluster_ranges[i], cidr);
        printf("%s%s", i > 0 ? "," : " ", cidr);
    }
    printf(", node ports %u-%u", options->node_port_first, options->node_port_last);
    for (size_t i = 0; i < options->balancer_count; i++) {
        const struct balancer_ranges *balancer = &options->balancers[i];
        for (size_t j = 0; j < balancer->count; j++) {
            ipalloc_cidr_format(&balancer->ranges[j], cidr);
            printf("%s%s%s", j > 0 ? "," : ", load balancers ", cidr,
                   j + 1 < balancer->count || balancer->name[0] == '\0' ? "" : " (");
        }
        if (balancer->count > 0 && balancer->name[0] != '\0') {
            printf("%s)", balancer->name);
        }
    }
    printf("; loaded %zu Services holding %" PRIu64 " addresses and ports\n",
           hub_count(server->hub, &resource_services), cluster_leases(server));
    fflush(stdout);
}

/* Sweep once a second until a signal asks to stop. */
static int wait_for_signal(struct http *http, const sigset_t *signals) {
    const struct timespec second = {.tv_sec = 1};
    int signal_number;
    do {
        http_sweep(http);
        signal_number = sigtimedwait(signals, NULL, &second);
    } while (signal_number < 0);
    return signal_number;
}

/* Blocked before any thread starts, so that all inherit it and only wait_for_signal sees them. */
static sigset_t block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signals;
}

/* Where a client on this machine reaches us. */
static const char *own_url(const struct options *options, const struct listener *listener,
                           char out[LISTEN_URL_TEXT]) {
    static const uint8_t zeros[sizeof options->listen_address.bytes];
    bool any = memcmp(options->listen_address.bytes, zeros, sizeof zeros) == 0;
    const char *port = strrchr(listener->url, ':');
    if (!any) {
        return listener->url;
    }
    snprintf(out, LISTEN_URL_TEXT, "http://%s%s",
             options->listen_address.family == 4 ? "127.0.0.1" : "[::1]", port);
    return out;
}

static bool serve(struct server *server, struct listener *listener, const sigset_t *signals,
                  struct text *problem) {
    struct http *http = http_start(server, listener->descriptor, raise_descriptor_limit(), problem);
    if (http == NULL) {
        close(listener->descriptor);
        hub_stop(server->hub);
        return false;
    }
    char url[LISTEN_URL_TEXT];
    struct endpoint_keeper *keeper =
        server->options->endpoint_slices
            ? endpoint_keeper_start(own_url(server->options, listener, url))
            : NULL;
    say_started(server, listener->url);
    int signal_number = wait_for_signal(http, signals);
    printf("ipalloc-apiserver: %s, stopping\n", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
    fflush(stdout);
    endpoint_keeper_stop(keeper);
    hub_stop(server->hub);
    http_stop(http);
    return true;
}

static int run(const struct options *options, struct text *problem) {
    static struct server server; /* its threads outlive every frame but main's */
    struct listener listener;
    sigset_t signals = block_signals();
    if (!listen_open(options, &listener, problem)) {
        return EXIT_FAILURE;
    }
    if (!cluster_open(&server, options, problem)) {
        close(listener.descriptor);
        return EXIT_FAILURE;
    }
    bool served = serve(&server, &listener, &signals, problem);
    cluster_close(&server);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int count, char **arguments) {
    struct options options;
    struct text problem = {0};
    struct text help = {0};
    int code = EXIT_SUCCESS;
    switch (options_parse(count, arguments, &options, &problem)) {
    case OPTIONS_HELP:
        options_help(&help);
        fputs(help.data, stdout);
        text_clear(&help);
        break;
    case OPTIONS_VERSION:
        printf("ipalloc-apiserver %s\n", ipalloc_version());
        break;
    case OPTIONS_WRONG:
        code = 2;
        break;
    case OPTIONS_RUN:
        code = run(&options, &problem);
        break;
    }
    if (problem.size > 0) {
        say(problem.data);
    }
    text_clear(&problem);
    return code;
}
