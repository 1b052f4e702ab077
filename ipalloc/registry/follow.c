/*
 * follow.c: keeping up with other servers without being asked: for event loops, and for a thread of
 * the program's own.
 *
 * May use: cache.c. Freshness is an optimisation: nothing that is decided anywhere relies on these
 * calls having been made.
 */
#include "base/system.h"
#include "registry/registry.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* After a failure nothing is tried sooner, whatever the store's timeout says. */
enum { PAUSE_AFTER_FAILURE_MS = 100 };

int ipalloc_registry_poll_fd(ipalloc_registry *registry) {
    return registry == NULL ? -1 : ipalloc_store_poll_fd(registry->store);
}

/* Reading anew that has failed is tried again, although nothing more may arrive. */
int ipalloc_registry_poll_timeout_ms(ipalloc_registry *registry) {
    if (registry == NULL)
        return -1;
    int timeout_ms = ipalloc_store_poll_timeout_ms(registry->store);
    bool sooner = timeout_ms < 0 || timeout_ms > PAUSE_AFTER_FAILURE_MS;
    return sooner && cache_must_rebuild(registry) ? PAUSE_AFTER_FAILURE_MS : timeout_ms;
}

int ipalloc_registry_process(ipalloc_registry *registry, uint64_t *known_to, ipalloc_error *error) {
    if (registry == NULL)
        return error_set(error, IPALLOC_E_INVALID, "process: the registry must not be NULL");
    int status = cache_take_in(registry, error);
    if (status == IPALLOC_OK)
        stranded_settle(registry); /* the store answers */
    if (known_to != NULL)
        *known_to = cache_seen_revision(registry);
    return status;
}

/* --- follow ----------------------------------------------------------------------------------- */

enum { STOP, ARRIVED, WAITED_ON };

/* Wait for either. OK; INVALID (stop_fd is not open); IO. */
static int wait_for(struct pollfd files[WAITED_ON], int timeout_ms, ipalloc_error *error) {
    files[STOP].revents = files[ARRIVED].revents = 0;
    int ready = SYSTEM_CALLS.poll(files, WAITED_ON, timeout_ms);
    if (ready < 0 && errno != EINTR)
        return error_set_errno(error, IPALLOC_E_IO, errno, "follow: waiting failed");
    if ((files[STOP].revents & POLLNVAL) != 0)
        return error_set(error, IPALLOC_E_INVALID, "follow: stop_fd is not open");
    return IPALLOC_OK;
}

static bool survives(int status) {
    return status == IPALLOC_OK || status == IPALLOC_E_UNAVAILABLE || status == IPALLOC_E_NOMEM;
}

/* After a failure the descriptor may stay readable: only the clock counts then. */
static int wait_ms(ipalloc_registry *registry, bool failed, struct pollfd *arrived) {
    int timeout_ms = ipalloc_registry_poll_timeout_ms(registry);
    arrived->fd = failed ? -1 : ipalloc_registry_poll_fd(registry);
    if (failed && timeout_ms < PAUSE_AFTER_FAILURE_MS)
        timeout_ms = PAUSE_AFTER_FAILURE_MS;
    return timeout_ms;
}

int ipalloc_registry_follow(ipalloc_registry *registry, int stop_fd, ipalloc_error *error) {
    struct pollfd files[WAITED_ON] = {
        [STOP] = {.fd = stop_fd, .events = POLLIN}, [ARRIVED] = {.events = POLLIN}};
    if (registry == NULL || stop_fd < 0)
        return error_set(error, IPALLOC_E_INVALID, "follow: registry and stop_fd must be set");
    int processed = IPALLOC_OK;
    for (;;) {
        int timeout_ms = wait_ms(registry, processed != IPALLOC_OK, &files[ARRIVED]);
        int status = wait_for(files, timeout_ms, error);
        if (status != IPALLOC_OK || files[STOP].revents != 0)
            return status;
        processed = ipalloc_registry_process(registry, NULL, error);
        if (!survives(processed))
            return processed;
    }
}
