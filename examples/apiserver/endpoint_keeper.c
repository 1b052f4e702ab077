/*
 * endpoint_keeper.c: the keeper's thread; see endpoint_keeper.h, and endpoint_pass.h for its parts.
 */
#include "endpoint_keeper.h"

#include "endpoint_pass.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int sooner(int one, int other) {
    return one < 0 || (other >= 0 && other < one) ? other : one;
}

static void *run(void *context) {
    struct endpoint_keeper *keeper = context;
    struct pollfd stop = {.fd = keeper->stop, .events = POLLIN};
    int wait_ms = 0;
    for (;;) {
        client_wait(keeper->client, &stop, 1, wait_ms);
        if (poll(&stop, 1, 0) > 0) {
            return NULL;
        }
        wait_ms = -1;
        if (client_has_synced(keeper->client)) {
            wait_ms = endpoint_end_due(keeper);
            wait_ms = sooner(wait_ms, endpoint_give_waiting(keeper));
            wait_ms = sooner(wait_ms, endpoint_settle(keeper));
        }
    }
}

static void say(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "ipalloc-apiserver: endpoints: %s\n", line);
}

static void keeper_free(struct endpoint_keeper *keeper) {
    client_close(keeper->client);
    endpoint_forget_all(keeper);
    free(keeper->url);
    close(keeper->stop);
    free(keeper);
}

struct endpoint_keeper *endpoint_keeper_start(const char *url) {
    struct endpoint_keeper *keeper = memory_allocate(sizeof *keeper);
    struct text problem = {0};
    keeper->url = memory_copy(url);
    keeper->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    due_open(&keeper->due);
    struct client_options options = {
        .server = keeper->url, .name = "ipalloc-endpoints", .log = say};
    keeper->client = client_open(&options, &problem);
    text_clear(&problem);
    if (keeper->client != NULL) {
        endpoint_follow(keeper);
    }
    if (keeper->client == NULL || pthread_create(&keeper->thread, NULL, run, keeper) != 0) {
        keeper_free(keeper);
        return NULL;
    }
    return keeper;
}

void endpoint_keeper_stop(struct endpoint_keeper *keeper) {
    if (keeper != NULL) {
        eventfd_write(keeper->stop, 1);
        pthread_join(keeper->thread, NULL);
        keeper_free(keeper);
    }
}
