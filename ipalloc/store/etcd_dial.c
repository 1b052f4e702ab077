/*
 * etcd_dial.c: endpoints: connecting to one, leaving it for another, backing off.
 *
 * May use: base/, etcd_link.c, etcd_tls.c, etcd_h2.c. One connection at a time; the endpoint that
 * works is kept, whatever its place in the list. The first one is drawn, so that many servers
 * spread over the members. An endpoint that fails is left for the next at once; after a round of
 * failures there is a pause, drawn from 0 to a bound that doubles.
 */
#include "store/etcd_transport.h"

#include "base/error.h"
#include "store/etcd_tls.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static endpoint *current(etcd_channel *channel) {
    return &channel->endpoints[channel->current];
}

/* --- leaving -------------------------------------------------------------------------------------
 */

void dial_back_off(etcd_channel *channel) {
    uint64_t bound = (uint64_t)BACKOFF_MIN_MS << (channel->rounds < 10 ? channel->rounds : 10);
    if (bound > BACKOFF_MAX_MS)
        bound = BACKOFF_MAX_MS;
    channel->rounds++;
    channel->not_before_ms =
        hooks_monotonic_ms(channel->hooks) + hooks_random_below(channel->hooks, bound + 1);
}

void dial_worked(etcd_channel *channel) {
    channel->failures = 0;
    channel->rounds = 0;
    current(channel)->hopeless = false;
}

uint64_t dial_patience(const etcd_channel *channel, uint64_t timeout_ms) {
    uint64_t share = timeout_ms / (channel->endpoint_count + 1);
    if (share < PATIENCE_MIN_MS)
        return PATIENCE_MIN_MS;
    return share < PATIENCE_MAX_MS ? share : PATIENCE_MAX_MS;
}

static void disconnect(etcd_channel *channel) {
    h2_end(channel);
    tls_end(channel);
    link_close(channel);
    channel->phase = PHASE_DOWN;
    channel->leave = false;
    channel->last_words = false;
    channel->draining = false;
}

static void tell_all(etcd_channel *channel, exchange_list *list, const char *why) {
    exchange *last = list->last; /* one that is opened again by being told is not told twice */
    exchange *x;
    do {
        x = list->first;
        if (x == NULL)
            break;
        list_remove(x);
        x->id = 0;
        message_reset(&x->reader, channel->hooks);
        x->ended(channel, x, &(ending){-1, false, why});
    } while (x != last);
}

static bool all_hopeless(const etcd_channel *channel) {
    for (size_t i = 0; i < channel->endpoint_count; i++)
        if (!channel->endpoints[i].hopeless)
            return false;
    return true;
}

void dial_give_up(etcd_channel *channel, int status) {
    channel->give_ups++;
    for (size_t i = 0; i < channel->endpoint_count; i++)
        channel->endpoints[i].hopeless = false;
    call_give_up(channel, status);
}

void dial_note(etcd_channel *channel, const char *why) {
    endpoint *e = current(channel);
    e->tried = true;
    e->left_ms = hooks_monotonic_ms(channel->hooks);
    snprintf(e->why, sizeof e->why, "%s", why[0] != '\0' ? why : "it refused without a reason");
}

static void note_failure(etcd_channel *channel, const char *why, bool hopeless) {
    dial_note(channel, why);
    current(channel)->hopeless = hopeless;
    channel->current = (channel->current + 1) % channel->endpoint_count;
    channel->failures++;
    if (channel->failures % channel->endpoint_count == 0)
        dial_back_off(channel);
}

void dial_leave(etcd_channel *channel, int status, bool hopeless, const char *format, ...) {
    char why[WHY_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    disconnect(channel);
    tell_all(channel, &channel->flight, why); /* they speak of the current endpoint */
    tell_all(channel, &channel->streams, why);
    note_failure(channel, why, hopeless);
    channel->leave = false;
    if (all_hopeless(channel))
        dial_give_up(channel, status);
    reader_notify(channel);
}

void dial_leave_soon(etcd_channel *channel, int status, bool hopeless, const char *why) {
    if (channel->leave)
        return;
    channel->leave = true;
    channel->leave_status = status;
    channel->leave_hopeless = hopeless;
    snprintf(channel->leave_why, sizeof channel->leave_why, "%s", why);
}

void dial_leave_now(etcd_channel *channel) {
    char why[WHY_MAX];
    memcpy(why, channel->leave_why, sizeof why);
    dial_leave(channel, channel->leave_status, channel->leave_hopeless, "%s", why);
}

/* --- what was tried ------------------------------------------------------------------------------
 */

/* What there is to say of one endpoint. `buffer` is for what has to be put together. */
static const char *tell_one(const etcd_channel *channel, const endpoint *e, uint64_t since_ms,
                            uint64_t now, char *buffer) {
    bool connected = e == &channel->endpoints[channel->current] && channel->phase != PHASE_DOWN;
    if (e->tried && e->left_ms >= since_ms)
        return e->why;
    if (connected)
        snprintf(buffer, WHY_MAX, "no answer in %llu ms", (unsigned long long)(now - since_ms));
    else if (e->tried)
        snprintf(buffer, WHY_MAX, "%.120s (%llu ms before)", e->why,
                 (unsigned long long)(since_ms - e->left_ms));
    else
        return "not tried";
    return buffer;
}

void dial_tell(const etcd_channel *channel, uint64_t since_ms, char *out, size_t capacity) {
    size_t length = 0;
    uint64_t now = hooks_monotonic_ms(channel->hooks);
    out[0] = '\0';
    for (size_t i = 0; i < channel->endpoint_count && length + 1 < capacity; i++) {
        const endpoint *e = &channel->endpoints[i];
        char buffer[WHY_MAX];
        int written = snprintf(out + length, capacity - length, "%s%s: %s", i > 0 ? "; " : "",
                               e->text, tell_one(channel, e, since_ms, now, buffer));
        length += written > 0 ? (size_t)written : 0;
    }
}

/* --- connecting ----------------------------------------------------------------------------------
 */

/* Look the name up. An address is not looked up; for a name the lock is given away, since that may
 * take long: the others' deadlines are their own. */
static bool look_up(etcd_channel *channel) {
    endpoint *e = current(channel);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    int failed = channel->system->resolve(e->name, e->port, &hints, &found);
    if (failed == EAI_NONAME) {
        hints.ai_flags = AI_ADDRCONFIG;
        lock_give(&channel->lock);
        failed = channel->system->resolve(e->name, e->port, &hints, &found);
        lock_take(&channel->lock);
    }
    if (failed == 0 && found != NULL) {
        e->addresses = e->next = found;
        return true;
    }
    dial_leave(channel, failed == EAI_MEMORY ? IPALLOC_E_NOMEM : IPALLOC_E_UNAVAILABLE, false,
               "the name cannot be resolved (%s)", gai_strerror(failed));
    return false;
}

static void forget_addresses(endpoint *e) {
    if (e->addresses != NULL)
        freeaddrinfo(e->addresses);
    e->addresses = e->next = NULL;
}

static void set_options(etcd_channel *channel, int socket) {
    int on = 1;
    unsigned unacknowledged = UNACKNOWLEDGED_MS;
    /* Each only makes it better. */
    (void)channel->system->set_option(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)channel->system->set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged,
                                      sizeof unacknowledged);
}

static int start_socket(etcd_channel *channel, const struct addrinfo *to) {
    const system_calls *system = channel->system;
    int socket = system->socket(to->ai_family, to->ai_socktype, to->ai_protocol);
    if (socket < 0)
        return errno;
    set_options(channel, socket);
    struct epoll_event event = {.events = EPOLLOUT};
    if (system->epoll_control(channel->epoll, EPOLL_CTL_ADD, socket, &event) == 0 &&
        (system->connect(socket, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS)) {
        channel->link.socket = socket;
        return 0;
    }
    int failed = errno;
    system->close(socket);
    return failed;
}

/* One address of this endpoint failed: try its next, or leave it. */
static void address_failed(etcd_channel *channel, int number) {
    endpoint *e = current(channel);
    link_close(channel);
    channel->phase = PHASE_DOWN;
    if (e->next != NULL) {
        channel->not_before_ms = 0;
        return;
    }
    forget_addresses(e); /* they may have changed */
    ipalloc_error error;
    error_fill(&error, IPALLOC_E_UNAVAILABLE, number, "no connection");
    dial_leave(channel, IPALLOC_E_UNAVAILABLE, false, "%s", error.message);
}

static void start(etcd_channel *channel) {
    endpoint *e = current(channel);
    if (e->next == NULL) {
        forget_addresses(e);
        if (!look_up(channel))
            return;
    }
    const struct addrinfo *to = e->next;
    e->next = to->ai_next;
    int failed = start_socket(channel, to);
    if (failed != 0) {
        address_failed(channel, failed);
        return;
    }
    channel->phase = PHASE_CONNECTING;
    channel->phase_until_ms = hooks_monotonic_ms(channel->hooks) + CONNECT_MAX_MS;
}

/* It is ready for HTTP/2: say hello, and wait for the server to do so. */
static void greet(etcd_channel *channel) {
    channel->phase = PHASE_GREETING;
    if (h2_begin(channel) != IPALLOC_OK) {
        dial_leave(channel, IPALLOC_E_NOMEM, false, "out of memory");
        return;
    }
    link_watch(channel);
    reader_flush(channel);
}

/* poll is asked again, since turns come for other reasons too. */
static void finish_connecting(etcd_channel *channel) {
    int failed = 0;
    if (!link_is_connected(channel))
        return;
    if (channel->system->socket_error(channel->link.socket, &failed) != 0)
        failed = errno;
    if (failed != 0) {
        address_failed(channel, failed);
        return;
    }
    if (channel->tls == NULL) {
        greet(channel);
        return;
    }
    channel->phase = PHASE_SECURING;
    if (tls_begin(channel, current(channel)) != IPALLOC_OK)
        dial_leave(channel, IPALLOC_E_NOMEM, false, "out of memory");
    else
        link_watch(channel);
}

static void secure(etcd_channel *channel) {
    char why[WHY_MAX];
    bool hopeless = false;
    bool waited = channel->link.wants_write;
    enum link_result result = tls_shake_hands(channel, why, &hopeless);
    if (result == LINK_FAILED)
        dial_leave(channel, IPALLOC_E_UNAVAILABLE, hopeless, "%s", why);
    else if (result == LINK_OK)
        greet(channel);
    else if (channel->link.wants_write != waited)
        link_watch(channel);
}

void dial_step(etcd_channel *channel) {
    if (channel->phase == PHASE_DOWN &&
        hooks_monotonic_ms(channel->hooks) >= channel->not_before_ms)
        start(channel);
    if (channel->phase == PHASE_CONNECTING)
        finish_connecting(channel);
    if (channel->phase == PHASE_SECURING)
        secure(channel);
}

void dial_greeted(etcd_channel *channel) {
    endpoint *e = current(channel);
    channel->phase = PHASE_UP;
    channel->greeted_ms = hooks_monotonic_ms(channel->hooks);
    channel->received_ms = channel->answered_ms = channel->greeted_ms;
    e->next = e->addresses; /* the next connection begins at the first address again */
    reader_notify(channel);
}

/* --- the list ------------------------------------------------------------------------------------
 */

enum { HOST_MAX = 256 };

static int refuse_host(const char *host, ipalloc_error *error) {
    char quoted[128];
    return error_set(error, IPALLOC_E_INVALID,
                     "etcd: \"%s\" is no endpoint: NAME:PORT, ADDRESS:PORT or [ADDRESS]:PORT",
                     text_quote(host, strlen(host), quoted, sizeof quoted));
}

static bool is_name(const char *name, size_t length) {
    static const char ALLOWED[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";
    for (size_t i = 0; i < length; i++)
        if (strchr(ALLOWED, name[i]) == NULL)
            return false;
    return length > 0 && length < HOST_MAX;
}

static char *copy_part(const hooks *h, const char *from, size_t length) {
    char *copy = hooks_alloc(h, length + 1);
    if (copy != NULL) {
        memcpy(copy, from, length);
        copy[length] = '\0';
    }
    return copy;
}

static int set_host(etcd_channel *channel, endpoint *e, const char *host, ipalloc_error *error) {
    const char *colon = strrchr(host, ':'), *name = host;
    if (colon == NULL)
        return refuse_host(host, error);
    size_t length = (size_t)(colon - host);
    uint64_t port;
    if (length > 2 && host[0] == '[' && colon[-1] == ']') {
        name++;
        length -= 2;
    } else if (memchr(host, ':', length) != NULL) {
        return refuse_host(host, error);
    }
    if (!is_name(name, length) ||
        !text_parse_decimal(colon + 1, strlen(colon + 1), UINT16_MAX, &port) || port == 0)
        return refuse_host(host, error);
    e->text = hooks_strdup(channel->hooks, host);
    e->name = copy_part(channel->hooks, name, length);
    e->port = hooks_strdup(channel->hooks, colon + 1);
    return e->text != NULL && e->name != NULL && e->port != NULL ? IPALLOC_OK
                                                                 : error_no_memory(error);
}

int dial_set_hosts(etcd_channel *channel, const char *const *hosts, size_t count,
                   ipalloc_error *error) {
    if (count == 0)
        return error_set(error, IPALLOC_E_INVALID, "etcd: no endpoint was given");
    channel->endpoints = hooks_alloc_zeroed(channel->hooks, count * sizeof(endpoint));
    if (channel->endpoints == NULL)
        return error_no_memory(error);
    channel->endpoint_count = count;
    for (size_t i = 0; i < count; i++) {
        int status = set_host(channel, &channel->endpoints[i], hosts[i], error);
        if (status != IPALLOC_OK)
            return status;
    }
    channel->current = hooks_random_below(channel->hooks, count);
    return IPALLOC_OK;
}

void dial_free_hosts(etcd_channel *channel) {
    for (size_t i = 0; i < channel->endpoint_count; i++) {
        endpoint *e = &channel->endpoints[i];
        forget_addresses(e);
        hooks_free(channel->hooks, e->text);
        hooks_free(channel->hooks, e->name);
        hooks_free(channel->hooks, e->port);
    }
    hooks_free(channel->hooks, channel->endpoints);
}
